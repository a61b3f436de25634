/* Body buffers for both servers of the comparison, so that it is not one of allocators: with
 * --pool a freed buffer is kept and used again, without it each body is malloc'ed. One thread. */
#ifndef SLUICE_BENCH_BODY_POOL_H
#define SLUICE_BENCH_BODY_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

enum { BODY_MAX = 64 << 20, BODY_POOLED = 32, BODY_ROOM = 1 << 20 };

struct body_pool {
    bool keep;
    size_t count;
    uint8_t *kept[BODY_POOLED]; /* of BODY_ROOM bytes each */
};

/* NULL: larger than the limit, or no memory. */
static inline uint8_t *body_take(struct body_pool *pool, size_t size)
{
    if (size > BODY_MAX)
        return NULL;
    if (!pool->keep || size > BODY_ROOM)
        return (uint8_t *)malloc(size ? size : 1);
    return pool->count > 0 ? pool->kept[--pool->count] : (uint8_t *)malloc(BODY_ROOM);
}

static inline void body_give(struct body_pool *pool, uint8_t *body, size_t size)
{
    if (body && pool->keep && size <= BODY_ROOM && pool->count < BODY_POOLED)
        pool->kept[pool->count++] = body;
    else
        free(body);
}

#endif
