/* Memory of one block while it is encoded or decoded: an arena that is freed as a whole, growing
 * arrays of numbers, and a hash table from 64-bit hashes to indices. One thread at a time. */
#ifndef SLUICE_FORMATS_TRACE_MEMORY_H
#define SLUICE_FORMATS_TRACE_MEMORY_H
#include <sluice/otlp.h>
#include <stdlib.h>

enum { TRACE_NONE = UINT32_MAX /* no index */ };

/* ---- arena ---- */

struct arena_chunk;

/* Zero it, and set `limit`: the bytes that it may take in all. */
struct trace_arena {
    struct arena_chunk *last;
    size_t used, room; /* of the last chunk */
    uint64_t bytes, limit;
};

/* Uninitialised memory, aligned to 16; NULL: no memory, or more than the limit. */
void *arena_get(struct trace_arena *arena, uint64_t count, size_t size);

/* Zeroed memory. */
void *arena_zeroed(struct trace_arena *arena, uint64_t count, size_t size);

/* A copy; .p is NULL where there is no memory. */
sl_bytes arena_copy(struct trace_arena *arena, sl_bytes bytes);

/* Everything in it is gone; one chunk of memory is kept for what comes. */
void arena_reset(struct trace_arena *arena);

void arena_free(struct trace_arena *arena);

/* ---- growing arrays ---- */

/* Zero it; free `at`. */
struct numbers {
    int64_t *at;
    uint32_t n, room;
};

/* Zero it; free `at`. */
struct indices {
    uint32_t *at;
    uint32_t n, room;
};

bool numbers_grow(struct numbers *numbers);
bool indices_grow(struct indices *indices);

static inline bool numbers_add(struct numbers *numbers, int64_t v)
{
    if (numbers->n == numbers->room && !numbers_grow(numbers)) {
        return false;
    }
    numbers->at[numbers->n++] = v;
    return true;
}

static inline bool indices_add(struct indices *indices, uint32_t v)
{
    if (indices->n == indices->room && !indices_grow(indices)) {
        return false;
    }
    indices->at[indices->n++] = v;
    return true;
}

/* Makes room for `more` elements of `size` bytes behind n; for arrays of structs. */
bool array_room(void **at, uint32_t n, uint32_t *room, uint32_t more, size_t size);

/* ---- bytes that grow on the heap ---- */

/* A writer on the heap; free its `at`. */
sl_writer heap_writer(void);

static inline void write_number(sl_writer *w, uint64_t v)
{
    if (sl_writer_room(w, SL_VARINT_MAX)) {
        w->used = (size_t)(sl_put_varint(w->at + w->used, v) - w->at);
    }
}

static inline uint64_t zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0);
}

/* ---- hash table ---- */

/* Zero it; free with map_free. Several indices may have the same hash: the caller compares what
 * they stand for. */
struct trace_map {
    uint64_t *slots; /* the hash's upper half, and index + 1; 0: free */
    uint32_t mask, n;
};

/* Adds an index, which is below TRACE_NONE. False: no memory. */
bool map_add(struct trace_map *map, uint64_t hash, uint32_t index);
void map_free(struct trace_map *map);

/* Steps through the indices with this hash: `at` begins as map_first; TRACE_NONE: no more. The
 * place in the table is the upper half of the hash, which is all that is kept of it. */
static inline uint64_t map_first(uint64_t hash)
{
    return hash >> 32;
}

static inline uint32_t map_next(const struct trace_map *map, uint64_t hash, uint64_t *at)
{
    if (!map->slots) {
        return TRACE_NONE;
    }
    for (;;) {
        const uint64_t slot = map->slots[*at & map->mask];
        if (slot == 0) {
            return TRACE_NONE;
        }
        *at += 1;
        if (slot >> 32 == hash >> 32) {
            return (uint32_t)slot - 1;
        }
    }
}

static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
    const unsigned __int128 product =
        (unsigned __int128)(a ^ 0x9e3779b97f4a7c15u) * (b ^ 0xe7037ed1a0b428dbu);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t hash_bytes(uint64_t seed, sl_bytes bytes)
{
    const uint8_t *p = bytes.p;
    size_t n = bytes.n;
    uint64_t h = seed ^ n, last = 0;
    for (; n > 8; p += 8, n -= 8) {
        h = hash_mix(h, sl_get_fixed64(p));
    }
    if (n >= 4) {
        last = (uint64_t)sl_get_fixed32(p) << 32 | sl_get_fixed32(p + n - 4);
    } else if (n > 0) {
        last = (uint64_t)p[0] << 16 | (uint64_t)p[n / 2] << 8 | p[n - 1];
    }
    return hash_mix(h ^ 0xa0761d6478bd642fu, last);
}

#endif
