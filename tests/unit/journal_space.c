/* The journal's log at its limits: full, without room on the disk, with what is too old, and with a
 * little that is old. */
#include "pipeline/journal/format.h"
#include "tests/support/journal_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SECOND = 1000000000, BYTES = 10000 };

/* Appends until that is refused; how many. */
static uint64_t fill(struct journal_fixture *f, bool take, uint64_t *first)
{
    struct journal_write w;
    for (uint64_t n = 0;; n++) {
        const int32_t status = journal_fixture_try(f, &w, 1, BYTES, 2, take);
        if (status != SL_OK) {
            assert_int_equal(status, SL_ERR_FULL);
            return n;
        }
        if (n == 0)
            *first = w.seq;
    }
}

static void refuses_when_full(void **state)
{
    struct journal_fixture f;
    uint64_t first;
    (void)state;
    journal_fixture_start(&f);
    const uint64_t n = fill(&f, false, &first);
    struct journal_stats stats = journal_fixture_stats(&f);
    assert_int_equal(stats.state, JOURNAL_FULL);
    assert_non_null(strstr(stats.text, "max_bytes"));
    assert_true(stats.disk_bytes <= f.config.max_bytes);
    assert_true(n * BYTES > f.config.max_bytes * 2 / 3);
    assert_int_equal(stats.records, n);
    assert_false(journal_has_room(f.journal));
    assert_int_equal(f.rooms, 0);
    /* what goes out makes room, and that is told once */
    for (uint64_t i = 0; i < n / 2; i++)
        assert_int_equal(journal_settle(f.journal, journal_fixture_take(&f, 1), 0, 2), 2);
    journal_work(f.journal);
    assert_int_equal(f.rooms, 1);
    assert_true(journal_has_room(f.journal));
    assert_int_equal(journal_fixture_stats(&f).state, JOURNAL_OK);
    const uint64_t more = fill(&f, false, &first);
    assert_true(more > n / 4);
    /* a full one keeps what was settled, also when it is opened again */
    assert_int_equal(journal_settle(f.journal, journal_fixture_take(&f, 1), 0, 2), 2);
    journal_fixture_reopen(&f);
    assert_int_equal(journal_fixture_stats(&f).records, n - n / 2 + more - 1);
    journal_fixture_end(&f);
}

static void drops_the_oldest(void **state)
{
    struct journal_fixture f;
    (void)state;
    journal_fixture_init(&f);
    f.config.on_full = JOURNAL_DROP_OLDEST;
    journal_fixture_open(&f);
    const uint64_t taken = journal_fixture_append(&f, 1, BYTES, 2, true);
    const uint64_t put_back = journal_fixture_append(&f, 1, BYTES, 2, true);
    journal_put_back(f.journal, put_back);
    struct journal_write w;
    for (int i = 0; i < 500; i++)
        assert_int_equal(journal_fixture_try(&f, &w, 1, BYTES, 2, true), SL_OK);
    const struct journal_stats stats = journal_fixture_stats(&f);
    assert_int_equal(stats.state, JOURNAL_OK);
    assert_true(stats.disk_bytes <= f.config.max_bytes);
    assert_int_equal(stats.records + f.ended_records[JOURNAL_EXPIRED_SIZE], 502);
    assert_int_equal(f.ended_items[JOURNAL_EXPIRED_SIZE],
                     2 * f.ended_records[JOURNAL_EXPIRED_SIZE]);
    assert_int_equal(journal_settle(f.journal, taken, 0, 2), 0); /* it has ended before */
    /* the newest are there, and nothing else */
    for (uint64_t i = 0; i < stats.records; i++)
        assert_int_equal(journal_fixture_take(&f, 1), w.seq - stats.records + 1 + i);
    assert_false(journal_fixture_waits(&f));
    journal_fixture_end(&f);
}

static void ends_what_is_too_old(void **state)
{
    struct journal_fixture f;
    (void)state;
    journal_fixture_init(&f);
    f.config.max_age_ns = (int64_t)10 * SECOND;
    journal_fixture_open(&f);
    const uint64_t taken = journal_fixture_append(&f, 1, 100, 2, true);
    (void)journal_fixture_append(&f, 2, 100, 3, false);
    assert_int_equal(f.work_ns, (int64_t)10 * SECOND);
    f.now_ns += (int64_t)4 * SECOND;
    struct journal_write w;
    assert_int_equal(journal_fixture_try(&f, &w, 3, 100, 4, false), SL_OK);
    f.now_ns += (int64_t)6 * SECOND;
    f.work_ns = -1;
    journal_work(f.journal);
    assert_int_equal(f.ended_records[JOURNAL_EXPIRED_AGE], 1);
    assert_int_equal(f.ended_items[JOURNAL_EXPIRED_AGE], 3);
    assert_true(f.work_ns >= 0 && f.work_ns <= (int64_t)4 * SECOND);
    /* one that is taken is its holder's; once it waits again, it is too old */
    journal_put_back(f.journal, taken);
    journal_work(f.journal);
    assert_int_equal(f.ended_items[JOURNAL_EXPIRED_AGE], 5);
    journal_fixture_crash(&f);
    assert_int_equal(journal_fixture_take(&f, 3), w.seq);
    assert_false(journal_fixture_waits(&f));
    journal_fixture_end(&f);
}

/* One old record does not keep the disk, nor loses what of it has ended. */
static void copies_forward(void **state)
{
    struct journal_fixture f;
    (void)state;
    for (int power = 0; power < 2; power++) {
        journal_fixture_init(&f);
        f.config.durability = power ? JOURNAL_POWER : JOURNAL_PROCESS;
        journal_fixture_open(&f);
        const uint64_t old = journal_fixture_append(&f, 77, 2000, 100, true);
        assert_int_equal(journal_settle(f.journal, old, 10, 20), 20);
        for (int i = 0; i < 300; i++) {
            journal_fixture_pass(&f, 1, BYTES, 2);
            journal_work(f.journal);
        }
        struct journal_stats stats = journal_fixture_stats(&f);
        assert_true(stats.segments <= 4);
        assert_true(stats.copied_records > 10);
        assert_int_equal(stats.records, 1);
        assert_int_equal(stats.items, 80);
        assert_int_equal(stats.oldest_ns, SECOND);
        journal_fixture_crash(&f);
        assert_int_equal(journal_fixture_stats(&f).items, 80);
        uint64_t mask[2];
        assert_int_equal(journal_fixture_take(&f, 77), old);
        journal_open_items(f.journal, old, mask);
        for (uint32_t i = 0; i < 100; i++)
            assert_int_equal(mask[i / 64] >> i % 64 & 1, i < 10 || i >= 30);
        assert_false(journal_fixture_waits(&f));
        journal_fixture_end(&f);
    }
}

static void goes_on_by_itself(void **state)
{
    static const struct {
        int error;
        enum journal_state state;
    } cases[] = {{ENOSPC, JOURNAL_NO_ROOM},
                 {EDQUOT, JOURNAL_NO_ROOM},
                 {EIO, JOURNAL_FAILED},
                 {EROFS, JOURNAL_FAILED}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct journal_fixture f;
        struct journal_write w;
        journal_fixture_start(&f);
        const uint64_t before = journal_fixture_append(&f, 1, 100, 1, false);
        f.fail_write = f.fail_allocate = cases[i].error;
        assert_int_equal(journal_fixture_try(&f, &w, 2, 100, 1, false), SL_ERR_UNAVAILABLE);
        assert_int_equal(journal_fixture_stats(&f).state, cases[i].state);
        assert_non_null(strstr(journal_fixture_stats(&f).text, strerror(cases[i].error)));
        assert_false(journal_has_room(f.journal));
        assert_int_equal(f.work_ns, SECOND);
        /* what is in it goes out meanwhile */
        assert_int_equal(journal_fixture_take(&f, 1), before);
        assert_int_equal(journal_settle(f.journal, before, 0, 1), 1);
        journal_work(f.journal);
        assert_int_equal(f.rooms, 0);
        f.fail_write = f.fail_allocate = 0;
        journal_work(f.journal);
        assert_int_equal(f.rooms, 1);
        assert_int_equal(journal_fixture_stats(&f).state, JOURNAL_OK);
        assert_string_equal(journal_fixture_stats(&f).text, "");
        const uint64_t after = journal_fixture_append(&f, 3, 100, 1, false);
        journal_fixture_crash(&f);
        assert_int_equal(journal_fixture_take(&f, 3), after);
        assert_false(journal_fixture_waits(&f));
        journal_fixture_end(&f);
    }
}

/* A sync that fails once is believed, whatever the next one says. */
static void a_failed_sync(void **state)
{
    struct journal_fixture f;
    struct journal_write w;
    (void)state;
    journal_fixture_init(&f);
    f.config.durability = JOURNAL_POWER;
    journal_fixture_open(&f);
    const uint64_t before = journal_fixture_append(&f, 1, 100, 1, false);
    for (int take = 0; take < 2; take++) {
        f.fail_sync = EIO;
        assert_int_equal(journal_fixture_try(&f, &w, 2, 100, 1, take), SL_ERR_UNAVAILABLE);
        f.fail_sync = 0;
        journal_work(f.journal);
        assert_int_equal(journal_settle(f.journal, w.seq, 0, 1), 0);
        assert_int_equal(journal_fixture_stats(&f).records, 1);
    }
    assert_int_equal(journal_fixture_try(&f, &w, 3, 100, 1, false), SL_OK);
    journal_fixture_crash(&f);
    assert_int_equal(journal_fixture_take(&f, 1), before);
    assert_int_equal(journal_fixture_take(&f, 3), w.seq);
    assert_false(journal_fixture_waits(&f));
    journal_fixture_end(&f);
}

/* What the disk cannot read holds up the reader for a while, but not for good. */
static void a_bad_sector(void **state)
{
    enum { BAD_BYTE = FORMAT_RECORDS_AT + BYTES / 2 };
    static uint8_t body[BYTES];
    struct journal_fixture f;
    struct journal_record record;
    (void)state;
    journal_fixture_start(&f);
    const uint64_t bad = journal_fixture_append(&f, 1, BYTES, 2, false);
    const uint64_t good = journal_fixture_append(&f, 2, 100, 1, false);
    /* for a moment, and again: nothing is lost */
    for (int moment = 0; moment < 2; moment++) {
        f.bad_byte = BAD_BYTE;
        for (int i = 0; i < 60; i++) {
            assert_int_equal(journal_peek(f.journal, &record), SL_OK);
            assert_int_equal(journal_take(f.journal, &record, body), SL_ERR_UNAVAILABLE);
        }
        assert_int_equal(journal_fixture_stats(&f).waiting_records, 2);
        f.bad_byte = 0;
        assert_int_equal(journal_fixture_take(&f, 1), bad);
        journal_put_back(f.journal, bad);
    }
    f.bad_byte = BAD_BYTE;
    int32_t status = SL_ERR_UNAVAILABLE;
    for (int i = 0; i < 100 && status == SL_ERR_UNAVAILABLE; i++) {
        assert_int_equal(journal_peek(f.journal, &record), SL_OK);
        assert_int_equal(record.seq, bad);
        status = journal_take(f.journal, &record, body);
    }
    assert_int_equal(status, SL_ERR_INVALID);
    assert_int_equal(f.ended_records[JOURNAL_QUARANTINED], 1);
    assert_int_equal(f.ended_items[JOURNAL_QUARANTINED], 2);
    assert_int_equal(journal_fixture_take(&f, 2), good);
    assert_int_equal(journal_settle(f.journal, good, 0, 1), 1);
    f.bad_byte = 0;
    journal_fixture_reopen(&f);
    assert_false(journal_fixture_waits(&f));
    journal_fixture_end(&f);
}

static void too_large(void **state)
{
    struct journal_fixture f;
    struct journal_write w;
    (void)state;
    journal_fixture_start(&f);
    const uint32_t half = (uint32_t)f.config.max_bytes / 2;
    assert_int_equal(journal_fixture_try(&f, &w, 1, half, 1, false), SL_ERR_TOO_LARGE);
    /* a segment of its own */
    const uint64_t seq = journal_fixture_append(&f, 2, half - 20000, 1, false);
    journal_fixture_crash(&f);
    assert_int_equal(journal_fixture_take(&f, 2), seq);
    assert_int_equal(
        journal_note(f.journal, sl_str("o"), sl_str("k"), sl_slice("", f.config.segment_bytes)),
        SL_ERR_TOO_LARGE);
    journal_fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_when_full),    cmocka_unit_test(drops_the_oldest),
        cmocka_unit_test(ends_what_is_too_old), cmocka_unit_test(copies_forward),
        cmocka_unit_test(goes_on_by_itself),    cmocka_unit_test(a_failed_sync),
        cmocka_unit_test(a_bad_sector),         cmocka_unit_test(too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
