/* The journal when the disk fails it: each call once and from then on, with each error, and a disk
 * that is full. The process goes on, senders are refused, nothing that was told durable is lost,
 * and once the disk works all is as before. */
#include "tests/support/ledger.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { STEPS = 60, CALLS_MAX = 5000 };

static uint64_t seed;

static const struct disk_fault no_fault = {.at = 0};

/* What failed last, to be told where a test does. */
static struct disk_fault current;

static int tell(void **state)
{
    (void)state;
    print_message("seed %lu, call %lu, errno %d%s%s\n", (unsigned long)seed,
                  (unsigned long)current.at, current.error, current.goes_on ? ", from then on" : "",
                  current.partly ? ", partly" : "");
    return 0;
}

static struct ledger_options options_for(enum journal_durability durability)
{
    return (struct ledger_options){
        .seed = seed, .durability = durability, .segment_bytes = 65536, .max_bytes = 16 * 65536};
}

/* What a crash at this moment would leave, with and without power. */
static void judge_now(struct ledger *l, struct disk *d, enum journal_durability durability)
{
    static const struct disk_fate fates[] = {
        {.writes = DISK_KEEP_ALL, .names = DISK_KEEP_ALL, .sector = 512},
        {.writes = DISK_KEEP_NONE, .names = DISK_KEEP_NONE, .sector = 512},
        {.writes = DISK_KEEP_SOME, .names = DISK_KEEP_ALL, .sector = 512, .seed = 1},
    };
    for (unsigned i = 0; i < (durability == JOURNAL_POWER ? 3 : 1); i++) {
        const struct ledger_trial trial = {.n = disk_now(d), .use = true};
        struct disk *image = disk_crash(d, trial.n, &fates[i]);
        (void)ledger_judge(l, image, &trial);
        disk_destroy(image);
    }
}

/* False: no call failed, as there are not so many. */
static bool one_fault(const struct disk_fault *fault, enum journal_durability durability)
{
    const struct ledger_options options = options_for(durability);
    struct disk *d = ledger_disk();
    struct ledger *l = ledger_create(d, &options);
    current = *fault;
    disk_fail(d, fault);
    for (unsigned life = 0; life < 2; life++) {
        if (ledger_open(l) != SL_OK) {
            assert_true(disk_failures(d) > 0);
            if (!fault->goes_on) /* it was this one call */
                assert_int_equal(ledger_open(l), SL_OK);
            else
                break;
        }
        ledger_run(l, STEPS);
        if (life == 0)
            ledger_close(l);
    }
    const bool failed = disk_failures(d) > 0;
    judge_now(l, d, durability);
    disk_fail(d, &no_fault);
    if (!ledger_is_open(l))
        assert_int_equal(ledger_open(l), SL_OK);
    ledger_drain(l);
    ledger_close(l);
    ledger_destroy(l);
    disk_destroy(d);
    return failed;
}

static void every_call(struct disk_fault fault, enum journal_durability durability, unsigned stride)
{
    unsigned n = 0;
    fault.mask = DISK_ALL;
    for (fault.at = 1; one_fault(&fault, durability); fault.at += stride, n++)
        assert_true(n < CALLS_MAX);
    print_message("errno %d, %s%s: %u calls\n", fault.error,
                  fault.goes_on ? "from then on" : "once", fault.partly ? ", partly" : "", n);
    assert_true(n > 20);
}

static void once(void **state)
{
    static const int errors[] = {ENOSPC, EIO, EDQUOT, EROFS, ENFILE, EINTR};
    (void)state;
    for (unsigned i = 0; i < sizeof errors / sizeof *errors; i++)
        every_call((struct disk_fault){.error = errors[i], .partly = i % 2 == 0},
                   i % 2 ? JOURNAL_PROCESS : JOURNAL_POWER, i ? 3 : 1);
}

static void from_then_on(void **state)
{
    static const int errors[] = {ENOSPC, EIO, EDQUOT, EROFS, ENFILE};
    (void)state;
    for (unsigned i = 0; i < sizeof errors / sizeof *errors; i++)
        every_call((struct disk_fault){.error = errors[i], .goes_on = true, .partly = i % 2 == 0},
                   i % 2 ? JOURNAL_PROCESS : JOURNAL_POWER, i ? 3 : 1);
}

/* ---- a sync that fails, and then seems to work ---- */

static void a_sync(void **state)
{
    const struct ledger_options options = options_for(JOURNAL_POWER);
    unsigned told = 0;
    (void)state;
    for (uint64_t at = 1; at <= 20; at++) {
        struct disk *d = ledger_disk();
        struct ledger *l = ledger_create(d, &options);
        assert_int_equal(ledger_open(l), SL_OK);
        ledger_run(l, 10);
        disk_fail(d, &(struct disk_fault){.at = at, .error = EIO, .mask = DISK_SYNCS});
        ledger_run(l, 2 * STEPS);
        assert_true(disk_failures(d) > 0);
        told += ledger_count(l).failed > 0;
        judge_now(l, d, JOURNAL_POWER);
        ledger_drain(l);
        ledger_destroy(l);
        disk_destroy(d);
    }
    assert_true(told > 5);
}

/* ---- no room ---- */

static void a_full_disk(void **state)
{
    static const uint64_t rooms[] = {0, 1, 4095, 30000, 3 * 65536 + 1};
    unsigned refused = 0;
    (void)state;
    for (unsigned i = 0; i < 4 * sizeof rooms / sizeof *rooms; i++) {
        const enum journal_durability durability = i % 2 ? JOURNAL_POWER : JOURNAL_PROCESS;
        struct ledger_options options = options_for(durability);
        options.no_notes = i / 2 % 2;
        struct disk *d = ledger_disk();
        struct ledger *l = ledger_create(d, &options);
        assert_int_equal(ledger_open(l), SL_OK);
        ledger_run(l, 40);
        disk_set_room(d, disk_used(d) + rooms[i / 4]);
        ledger_run(l, 400);
        refused += ledger_count(l).refused;
        judge_now(l, d, durability);
        /* What is in it goes out, although nothing fits, and makes the room that is needed. A note
         * stays where it is until there is room for another segment. */
        if (!options.no_notes)
            disk_set_room(d, disk_used(d) + options.segment_bytes);
        ledger_drain(l);
        disk_set_room(d, UINT64_MAX);
        ledger_run(l, 40);
        ledger_drain(l);
        ledger_destroy(l);
        disk_destroy(d);
    }
    assert_true(refused > 100);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(once, tell),
        cmocka_unit_test_teardown(from_then_on, tell),
        cmocka_unit_test(a_sync),
        cmocka_unit_test(a_full_disk),
    };
    seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL);
    print_message("seed %lu\n", (unsigned long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
