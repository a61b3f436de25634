#include "tests/support/failing_memory.h"
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

static _Atomic uint32_t fail_one_in; /* 0: none fails */
static _Atomic uint64_t allocations, failures;
static _Atomic uint64_t fail_at, counted; /* which one fails, 0: none */
static _Atomic bool fail_on, at_has_failed;

void *__real_malloc(size_t);
void *__real_calloc(size_t, size_t);
void *__real_realloc(void *, size_t);
void *__real_aligned_alloc(size_t, size_t);
void *__wrap_malloc(size_t);
void *__wrap_calloc(size_t, size_t);
void *__wrap_realloc(void *, size_t);
void *__wrap_aligned_alloc(size_t, size_t);

static bool fails_at(void)
{
    const uint64_t at = atomic_load(&fail_at);
    if (!at)
        return false;
    const uint64_t n = atomic_fetch_add(&counted, 1) + 1;
    if (atomic_load(&fail_on) ? n < at : n != at)
        return false;
    atomic_store(&at_has_failed, true);
    errno = ENOMEM;
    return true;
}

static bool fails(void)
{
    if (fails_at())
        return true;
    const uint32_t one_in = atomic_load(&fail_one_in);
    if (!one_in)
        return false;
    /* a hash of the count, so that failures are not evenly spaced */
    uint64_t x = atomic_fetch_add(&allocations, 1) * UINT64_C(0x9e3779b97f4a7c15);
    x ^= x >> 29;
    if (x * UINT64_C(0xbf58476d1ce4e5b9) >> 33 > (UINT64_C(1) << 31) / one_in)
        return false;
    atomic_fetch_add(&failures, 1);
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return fails() ? NULL : __real_realloc(p, n);
}

void *__wrap_aligned_alloc(size_t alignment, size_t n)
{
    return fails() ? NULL : __real_aligned_alloc(alignment, n);
}

void failing_memory_set(uint32_t one_in)
{
    atomic_store(&fail_one_in, one_in);
}

void failing_memory_at(uint64_t n, bool goes_on)
{
    atomic_store(&fail_at, 0);
    atomic_store(&counted, 0);
    atomic_store(&fail_on, goes_on);
    if (n)
        atomic_store(&at_has_failed, false);
    atomic_store(&fail_at, n);
}

bool failing_memory_has_failed(void)
{
    return atomic_load(&at_has_failed);
}

bool failing_memory_is_on(void)
{
    return atomic_load(&fail_one_in) != 0;
}

uint64_t failing_memory_failures(void)
{
    return atomic_load(&failures);
}
