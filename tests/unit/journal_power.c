/* The journal when the power fails, or the process is killed: random work on a disk in memory, a crash
 * behind each of its operations, and everything that the crash may leave there. What was told
 * durable and is not settled is found again bit for bit, nothing else that never was, and the journal
 * goes on. Usage: journal_power [SEED [RUNS]] */
#include "tests/support/ledger.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static uint64_t seed;
static unsigned runs = 5; /* of each kind */

static uint64_t roll(uint64_t *state, uint64_t n)
{
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    return ((x ^ x >> 27) * UINT64_C(0x94d049bb133111eb) >> 32) % n;
}

struct counts {
    unsigned images, records, again;
    uint64_t copied;
};

/* Where a test fails, what happened is printed by this alone. */
static struct {
    size_t n;
    struct disk_fate fate;
    bool twice;
} current;

static struct disk_fate any_fate(uint64_t *state)
{
    return (struct disk_fate){.writes = (enum disk_keep)roll(state, DISK_KEEPS),
                              .names = (enum disk_keep)roll(state, DISK_KEEPS),
                              .sector = roll(state, 2) ? 512 : 4096,
                              .seed = roll(state, UINT32_MAX)};
}

/* A crash behind operation n; every third time another one while the journal was recovering. */
static void crash(struct ledger *l, struct disk *d, size_t n, bool power, uint64_t *state,
                  struct counts *counts)
{
    const struct disk_fate only_process = {.sector = 512};
    struct ledger_trial trial = {.n = n, .use = roll(state, 3) != 0};
    current.n = n;
    current.fate = power ? any_fate(state) : only_process;
    current.twice = false;
    struct disk *image = disk_crash(d, n, &current.fate);
    trial.kept = current.fate.writes == DISK_KEEP_ALL && current.fate.names == DISK_KEEP_ALL;
    const struct ledger_found found = ledger_judge(l, image, &trial);
    counts->images++;
    counts->records += found.records;
    counts->again += found.again;
    if (!trial.use) {
        current.twice = true;
        current.fate = power ? any_fate(state) : only_process;
        struct disk *again =
            disk_crash(image, (size_t)roll(state, disk_now(image) + 1), &current.fate);
        trial = (struct ledger_trial){.n = n, .use = true};
        (void)ledger_judge(l, again, &trial);
        disk_destroy(again);
        counts->images++;
    }
    disk_destroy(image);
}

static void run(enum journal_durability durability, bool power, uint64_t run_seed,
                struct counts *counts)
{
    const struct ledger_options options = {.seed = run_seed,
                                           .durability = durability,
                                           .segment_bytes = 32768,
                                           .max_bytes = 12 * 32768};
    uint64_t state = run_seed;
    struct disk *d = ledger_disk();
    struct ledger *l = ledger_create(d, &options);
    for (unsigned life = 0; life < 2; life++) {
        assert_int_equal(ledger_open(l), SL_OK);
        ledger_run(l, 200);
        ledger_close(l);
    }
    const size_t n = disk_now(d);
    assert_true(n > 50);
    for (size_t i = 0; i <= n; i++)
        crash(l, d, i, power, &state, counts);
    counts->copied += ledger_count(l).copied;
    ledger_destroy(l);
    disk_destroy(d);
}

static void each_run(const char *what, enum journal_durability durability, bool power,
                     unsigned least)
{
    struct counts counts = {0};
    for (unsigned i = 0; i < runs; i++)
        run(durability, power, seed + i, &counts);
    print_message("%s: %u images, %u records read, %u of them again, %lu copied; seed %lu\n", what,
                  counts.images, counts.records, counts.again, (unsigned long)counts.copied,
                  (unsigned long)seed);
    assert_true(counts.images >= least);
    assert_true(counts.records > counts.images);
}

static void power_fails(void **state)
{
    (void)state;
    each_run("power", JOURNAL_POWER, true, runs * 250);
}

static void process_is_killed(void **state)
{
    (void)state;
    each_run("process", JOURNAL_PROCESS, false, runs * 150);
}

static int tell(void **state)
{
    (void)state;
    print_message(
        "seed %lu, operation %zu, writes %d, names %d, sector %u, seed of the crash %lu%s\n",
        (unsigned long)seed, current.n, (int)current.fate.writes, (int)current.fate.names,
        current.fate.sector, (unsigned long)current.fate.seed,
        current.twice ? ", while recovering" : "");
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(power_fails, tell),
        cmocka_unit_test_teardown(process_is_killed, tell),
    };
    seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL);
    if (argc > 2)
        runs = (unsigned)strtoul(argv[2], NULL, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
