/* Allocations that fail now and then, for test programs linked with --wrap=malloc,calloc,realloc,
 * aligned_alloc. Any thread. */
#ifndef SLUICE_TESTS_FAILING_MEMORY_H
#define SLUICE_TESTS_FAILING_MEMORY_H
#include <stdbool.h>
#include <stdint.h>

void failing_memory_set(uint32_t one_in); /* 0: none fails */
bool failing_memory_is_on(void);
uint64_t failing_memory_failures(void); /* ever */
#endif
