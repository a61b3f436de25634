/* The process's memory budget, and the pool of payload buffers below it.
 *
 * Every byte that a sender can make Sluice hold is reserved here before it is allocated, so that
 * the process refuses work instead of growing. Buffers of payloads are kept for reuse: a fresh
 * 750 KB buffer costs a page fault for each 4 KiB. Any thread. */
#ifndef SLUICE_PIPELINE_MEMORY_H
#define SLUICE_PIPELINE_MEMORY_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memory;

/* `limit`: bytes, 0 for none. NULL: no memory. */
struct memory *memory_create(uint64_t limit);
void memory_destroy(struct memory *);

/* Counts bytes that someone else allocates. false: above the limit. */
bool memory_reserve(struct memory *, uint64_t bytes);
void memory_give_back(struct memory *, uint64_t bytes);

/* Is there room for `bytes` of new data? What comes in may use three quarters of the budget; the
 * rest is for those who must work on what is inside already to let it go, and for what libraries
 * keep. */
bool memory_takes_in(const struct memory *, uint64_t bytes);

/* A buffer of at least `bytes`; *capacity gets its real size, which is what was reserved. */
uint8_t *memory_buffer_take(struct memory *, uint64_t bytes, uint64_t *capacity);
void memory_buffer_give(struct memory *, uint8_t *buffer, uint64_t capacity);

/* Frees the buffers that nobody uses; called when the process has been idle for a while. */
void memory_trim(struct memory *);

/* `used` is called, from any thread, when a buffer is taken for the first time, and again after
 * memory_rested has answered true: so that someone can come back later and look. */
void memory_on_use(struct memory *, void (*used)(void *), void *arg);
/* Has no buffer been taken since the last call? */
bool memory_rested(struct memory *);

uint64_t memory_limit(const struct memory *);
/* Holds from now on; what is above a lower one stays until it is given back. */
void memory_set_limit(struct memory *, uint64_t limit);
uint64_t memory_used(const struct memory *);   /* reserved and not given back */
uint64_t memory_pooled(const struct memory *); /* buffers kept for reuse */
#endif
