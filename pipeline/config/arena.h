/* Memory of the configuration: an arena from which trees, bound structs and diagnostics take what
 * they need and which is given back at once. Used on the control thread only; an arena has no lock.
 */
#ifndef SLUICE_CONFIG_ARENA_H
#define SLUICE_CONFIG_ARENA_H
#include <sluice/plugin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where an arena's chunks come from. NULL stands for malloc and free; tests pass one that fails. */
struct config_allocator {
    void *(*allocate)(void *user, size_t n); /* NULL when there is none */
    void (*release)(void *user, void *p);
    void *user;
};

struct config_chunk;

struct config_arena {
    const struct config_allocator *allocator;
    struct config_chunk *chunks; /* newest first */
    uint8_t *free, *end;         /* of the newest chunk */
    size_t used, limit;          /* bytes of all chunks */
};

void arena_init(struct config_arena *a, const struct config_allocator *allocator, size_t limit);
void arena_deinit(struct config_arena *a);

/* Zeroed, aligned to 16; NULL when memory or the limit is used up. n == 0 gives a valid pointer. */
void *arena_take(struct config_arena *a, size_t n);
/* The same for `count` elements of `size` bytes, checked for overflow. */
void *arena_take_array(struct config_arena *a, size_t count, size_t size);
/* A copy with a NUL behind it; `.p` is NULL when memory is used up. */
sl_bytes arena_copy(struct config_arena *a, const void *p, size_t n);

#endif
