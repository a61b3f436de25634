/* See random_runs.h. */
#include "tests/support/random_runs.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdlib.h>
/* cmocka wants the headers above first */
#include <cmocka.h>

static uint64_t rng;

uint32_t rnd(uint32_t n)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return n ? (uint32_t)((rng >> 11) % n) : 0;
}

void rnd_seed(uint64_t seed)
{
    rng = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
    (void)rnd(0);
}

void random_runs_read(struct random_runs *r, int argc, char **argv)
{
    if (argc > 1)
        r->seed = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        r->n = (uint32_t)strtoul(argv[2], NULL, 10);
}

void random_runs_do(const struct random_runs *r, void (*run)(uint64_t seed, bool with_failures),
                    bool with_failures)
{
    for (uint32_t i = 0; i < r->n; i++) {
        (void)fprintf(stderr, "\rseed %" PRIu64 "%s ", r->seed + i,
                      with_failures ? ", allocations fail" : "");
        rnd_seed(r->seed + i);
        run(r->seed + i, with_failures);
    }
    (void)fputc('\n', stderr);
}

void yaml_put(struct yaml_text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(t->at + t->used, sizeof t->at - t->used, format, args);
    va_end(args);
    assert_true(n >= 0 && (size_t)n < sizeof t->at - t->used);
    t->used += (size_t)n;
}
