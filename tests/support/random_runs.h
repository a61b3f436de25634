/* Tests that run again and again, each time as a seed says: random numbers, and configurations written
 * piece by piece. One thread, but for what a run starts. Assertions are cmocka's. */
#ifndef SLUICE_TESTS_RANDOM_RUNS_H
#define SLUICE_TESTS_RANDOM_RUNS_H
#include <sluice/plugin.h>

/* Below n; 0 for n = 0. */
uint32_t rnd(uint32_t n);
void rnd_seed(uint64_t seed);

/* How many runs there are, and the seed of the first. */
struct random_runs {
    uint64_t seed;
    uint32_t n;
};
/* The command line of a test: [SEED [RUNS]]. */
void random_runs_read(struct random_runs *, int argc, char **argv);
/* Each seed is told before its run: an abort or a hang must be repeatable, too. */
void random_runs_do(const struct random_runs *, void (*run)(uint64_t seed, bool with_failures),
                    bool with_failures);

struct yaml_text {
    char at[8192];
    size_t used;
};
void yaml_put(struct yaml_text *, const char *format, ...) SL_PRINTF_(2, 3);

#endif
