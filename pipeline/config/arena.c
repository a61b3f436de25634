/* Memory of the configuration. Chunks double from 4 KiB, so that the tree of an ordinary file costs
 * a handful of allocations. Control thread only. */
#include "pipeline/config/arena.h"
#include <stdlib.h>

#define FIRST_CHUNK 4096u
#define LARGEST_CHUNK (256u * 1024u)
#define ALIGNMENT 16u

struct config_chunk {
    struct config_chunk *older;
    size_t size; /* with this header */
};
_Static_assert(sizeof(struct config_chunk) % ALIGNMENT == 0, "what follows the header is aligned");

void arena_init(struct config_arena *a, const struct config_allocator *allocator, size_t limit)
{
    *a = (struct config_arena){.allocator = allocator, .limit = limit};
}

void arena_deinit(struct config_arena *a)
{
    /* The arena itself may lie in its first chunk. */
    const struct config_allocator *allocator = a->allocator;
    struct config_chunk *chunk = a->chunks;
    a->chunks = NULL;
    a->free = a->end = NULL;
    a->used = 0;
    while (chunk) {
        struct config_chunk *older = chunk->older;
        if (allocator)
            allocator->release(allocator->user, chunk);
        else
            free(chunk);
        chunk = older;
    }
}

static bool add_chunk(struct config_arena *a, size_t n)
{
    size_t size = a->chunks ? a->chunks->size * 2 : FIRST_CHUNK;
    if (size > LARGEST_CHUNK)
        size = LARGEST_CHUNK;
    if (size < n + sizeof(struct config_chunk))
        size = n + sizeof(struct config_chunk);
    if (size > a->limit - a->used)
        return false;
    struct config_chunk *chunk =
        a->allocator ? a->allocator->allocate(a->allocator->user, size) : malloc(size);
    if (!chunk)
        return false;
    chunk->older = a->chunks;
    chunk->size = size;
    a->chunks = chunk;
    a->used += size;
    a->free = (uint8_t *)(chunk + 1);
    a->end = (uint8_t *)chunk + size;
    return true;
}

void *arena_take(struct config_arena *a, size_t n)
{
    if (n > SIZE_MAX / 4)
        return NULL;
    n = n ? (n + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1) : ALIGNMENT;
    if ((size_t)(a->end - a->free) < n && !add_chunk(a, n))
        return NULL;
    void *p = a->free;
    a->free += n;
    return memset(p, 0, n);
}

void *arena_take_array(struct config_arena *a, size_t count, size_t size)
{
    size_t n;
    if (__builtin_mul_overflow(count, size, &n))
        return NULL;
    return arena_take(a, n);
}

sl_bytes arena_copy(struct config_arena *a, const void *p, size_t n)
{
    uint8_t *copy = n < SIZE_MAX ? arena_take(a, n + 1) : NULL;
    if (!copy)
        return sl_slice(NULL, 0);
    if (n)
        memcpy(copy, p, n);
    return sl_slice(copy, n);
}
