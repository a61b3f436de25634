/* Backoff. Any thread; the caller owns the state. */
#include "pipeline/graph/retry.h"

static const int64_t LONGEST_WAIT_NS = INT64_C(3600) * 1000000000;

/* In [0, 1). xorshift64*, good enough to keep retries apart. Several consumers may share the state:
 * a lost update only repeats a number. */
static double next_random(uint64_t *state)
{
    uint64_t x = __atomic_load_n(state, __ATOMIC_RELAXED);
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    __atomic_store_n(state, x ? x : 1, __ATOMIC_RELAXED);
    return (double)((x * UINT64_C(0x2545f4914f6cdd1d)) >> 11) / 9007199254740992.0;
}

int64_t retry_delay(const struct retry_config *r, int64_t *backoff_ns, int64_t retry_after_ns,
                    uint64_t *random)
{
    if (!*backoff_ns)
        *backoff_ns = r->initial_interval;
    const double base = (double)*backoff_ns;
    const double spread = r->randomization_factor * base;
    const double delay = base - spread + next_random(random) * 2 * spread;
    const double next = base * r->multiplier;
    *backoff_ns = next < (double)r->max_interval ? (int64_t)next : r->max_interval;
    int64_t ns = delay < (double)LONGEST_WAIT_NS ? (int64_t)delay : LONGEST_WAIT_NS;
    if (retry_after_ns > ns)
        ns = retry_after_ns < LONGEST_WAIT_NS ? retry_after_ns : LONGEST_WAIT_NS;
    return ns;
}
