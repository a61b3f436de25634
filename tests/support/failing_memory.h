/* Allocations that fail now and then, for test programs linked with --wrap=malloc,calloc,realloc,
 * aligned_alloc. Any thread. */
#ifndef SLUICE_TESTS_FAILING_MEMORY_H
#define SLUICE_TESTS_FAILING_MEMORY_H
#include <stdbool.h>
#include <stdint.h>

void failing_memory_set(uint32_t one_in); /* 0: none fails */
/* The n-th allocation from now on fails, counted from 1, and with `goes_on` all after it; 0: none. */
void failing_memory_at(uint64_t n, bool goes_on);
bool failing_memory_has_failed(void); /* since then */
bool failing_memory_is_on(void);
uint64_t failing_memory_failures(void); /* ever */
#endif
