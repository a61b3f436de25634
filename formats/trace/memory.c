#include "formats/trace/memory.h"

enum { CHUNK = 64 * 1024, ALIGN = 16 };

struct arena_chunk {
    struct arena_chunk *before;
    uint64_t align;
};

void *arena_get(struct trace_arena *arena, uint64_t count, size_t size)
{
    uint64_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > arena->limit ||
        bytes > SIZE_MAX / 2) {
        return NULL;
    }
    bytes = bytes > 0 ? (bytes + ALIGN - 1) & ~(uint64_t)(ALIGN - 1) : ALIGN;
    if (bytes > arena->room - arena->used) {
        const uint64_t room = bytes > CHUNK / 4 ? bytes : CHUNK;
        if (room > arena->limit - arena->bytes) {
            return NULL;
        }
        struct arena_chunk *chunk = malloc(sizeof *chunk + room);
        if (!chunk) {
            return NULL;
        }
        arena->bytes += room;
        if (room == bytes && arena->last) { /* of its own: the last one may have room yet */
            chunk->before = arena->last->before;
            arena->last->before = chunk;
            return chunk + 1;
        }
        chunk->before = arena->last;
        arena->last = chunk;
        arena->used = 0;
        arena->room = room;
    }
    void *at = (uint8_t *)(arena->last + 1) + arena->used;
    arena->used += bytes;
    return at;
}

void *arena_zeroed(struct trace_arena *arena, uint64_t count, size_t size)
{
    void *at = arena_get(arena, count, size);
    return at ? memset(at, 0, (size_t)count * size) : NULL;
}

sl_bytes arena_copy(struct trace_arena *arena, sl_bytes bytes)
{
    uint8_t *at = arena_get(arena, bytes.n + 1, 1);
    if (at && bytes.n) {
        memcpy(at, bytes.p, bytes.n);
    }
    return sl_slice(at, at ? bytes.n : 0);
}

void arena_reset(struct trace_arena *arena)
{
    if (!arena->last) {
        return;
    }
    struct arena_chunk *kept = arena->last, *chunk = kept->before;
    while (chunk) {
        struct arena_chunk *before = chunk->before;
        free(chunk);
        chunk = before;
    }
    kept->before = NULL;
    arena->used = 0;
    arena->bytes = arena->room;
}

void arena_free(struct trace_arena *arena)
{
    while (arena->last) {
        struct arena_chunk *chunk = arena->last;
        arena->last = chunk->before;
        free(chunk);
    }
    arena->used = arena->room = 0;
    arena->bytes = 0;
}

bool array_room(void **at, uint32_t n, uint32_t *room, uint32_t more, size_t size)
{
    const uint64_t needed = (uint64_t)n + more;
    if (needed <= *room) {
        return true;
    }
    uint64_t wanted = needed + needed / 2 + 8;
    wanted = wanted < TRACE_NONE ? wanted : TRACE_NONE - 1;
    void *bigger = needed <= wanted ? realloc(*at, (size_t)wanted * size) : NULL;
    if (!bigger) {
        return false;
    }
    *at = bigger;
    *room = (uint32_t)wanted;
    return true;
}

bool numbers_grow(struct numbers *numbers)
{
    void *at = numbers->at;
    const bool grown = array_room(&at, numbers->n, &numbers->room, 1, sizeof *numbers->at);
    numbers->at = at;
    return grown;
}

bool indices_grow(struct indices *indices)
{
    void *at = indices->at;
    const bool grown = array_room(&at, indices->n, &indices->room, 1, sizeof *indices->at);
    indices->at = at;
    return grown;
}

static bool grow_heap(sl_writer *w, size_t more)
{
    size_t needed, wanted;
    if (__builtin_add_overflow(w->used, more, &needed) ||
        __builtin_add_overflow(needed, needed / 2 + 64, &wanted)) {
        return false;
    }
    uint8_t *bigger = realloc(w->at, wanted);
    if (bigger) {
        w->at = bigger;
        w->room = wanted;
    }
    return bigger;
}

sl_writer heap_writer(void)
{
    return sl_writer_growing(grow_heap, NULL);
}

static void map_put(struct trace_map *map, uint64_t slot)
{
    uint64_t at = map_first(slot);
    while (map->slots[at & map->mask]) {
        at++;
    }
    map->slots[at & map->mask] = slot;
}

bool map_add(struct trace_map *map, uint64_t hash, uint32_t index)
{
    if (!map->slots || map->n >= map->mask / 2) {
        const uint32_t mask = map->slots ? map->mask * 2 + 1 : 63;
        struct trace_map bigger = {calloc((size_t)mask + 1, sizeof *bigger.slots), mask, map->n};
        if (!bigger.slots) {
            return false;
        }
        for (uint32_t i = 0; map->slots && i <= map->mask; i++) {
            if (map->slots[i]) {
                map_put(&bigger, map->slots[i]);
            }
        }
        free(map->slots);
        *map = bigger;
    }
    map_put(map, (hash >> 32) << 32 | (index + 1));
    map->n++;
    return true;
}

void map_free(struct trace_map *map)
{
    free(map->slots);
    *map = (struct trace_map){0};
}
