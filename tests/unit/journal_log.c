/* The journal's log: what goes in comes out once, whole and in order, until it is settled, across
 * openings. */
#include "tests/support/journal_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SECOND = 1000000000 };

static void taken_and_settled(void **state)
{
    struct journal_fixture f;
    (void)state;
    journal_fixture_start(&f);
    assert_false(journal_fixture_waits(&f));
    const uint64_t seq = journal_fixture_append(&f, 1, 1000, 3, true);
    assert_false(journal_fixture_waits(&f));
    struct journal_stats stats = journal_fixture_stats(&f);
    assert_int_equal(stats.records, 1);
    assert_int_equal(stats.items, 3);
    assert_int_equal(stats.bytes, 1000);
    assert_int_equal(stats.waiting_records, 0);
    assert_int_equal(stats.oldest_ns, SECOND);
    assert_int_equal(stats.appended_records, 1);
    assert_int_equal(f.work_ns, -1);
    journal_settle(f.journal, seq, 0, 3);
    /* it asks to be called soon, so that it is written even if nothing else comes */
    assert_int_equal(f.work_ns, 20 * 1000 * 1000);
    stats = journal_fixture_stats(&f);
    assert_int_equal(stats.records, 0);
    assert_int_equal(stats.items, 0);
    assert_int_equal(stats.bytes, 0);
    assert_int_equal(stats.settled_items, 3);
    assert_int_equal(stats.oldest_ns, 0);
    journal_work(f.journal);
    journal_fixture_crash(&f);
    assert_false(journal_fixture_waits(&f));
    journal_fixture_end(&f);
}

/* What was not settled waits at the next opening, whether it had been taken or not; what is settled but
 * not yet written comes again after a crash, and only then. */
static void waits_at_the_next_opening(void **state)
{
    struct journal_fixture f;
    (void)state;
    for (int crash = 0; crash < 2; crash++) {
        journal_fixture_start(&f);
        const uint64_t first = journal_fixture_append(&f, 1, 100, 1, true);
        const uint64_t second = journal_fixture_append(&f, 2, 0, 2, false);
        struct journal_write w;
        assert_int_equal(journal_fixture_try(&f, &w, 3, 5000, 3, true), SL_OK);
        assert_false(w.taken); /* something waits before it */
        assert_int_equal(w.seq, second + 1);
        journal_settle(f.journal, first, 0, 1);
        if (crash)
            journal_fixture_crash(&f);
        else
            journal_fixture_reopen(&f);
        struct journal_stats stats = journal_fixture_stats(&f);
        assert_int_equal(stats.records, 2 + crash);
        assert_int_equal(stats.items, 5 + crash);
        assert_int_equal(stats.recovered_records, 2 + crash);
        assert_int_equal(stats.recovered_items, 5 + crash);
        assert_int_equal(stats.waiting_bytes, 5000 + 100 * crash);
        if (crash)
            assert_int_equal(journal_fixture_take(&f, 1), first);
        struct journal_record record;
        assert_int_equal(journal_peek(f.journal, &record), SL_OK);
        assert_true(record.earlier);
        assert_false(record.partly);
        assert_int_equal(record.arrived_ns, SECOND);
        assert_int_equal(record.items, 2);
        /* what is new comes behind what waits */
        assert_int_equal(journal_fixture_try(&f, &w, 4, 7, 1, true), SL_OK);
        assert_false(w.taken);
        assert_int_equal(w.seq, second + 2);
        assert_int_equal(journal_fixture_take(&f, 2), second);
        assert_int_equal(journal_fixture_take(&f, 3), second + 1);
        assert_int_equal(journal_peek(f.journal, &record), SL_OK);
        assert_false(record.earlier);
        assert_int_equal(journal_fixture_take(&f, 4), second + 2);
        assert_false(journal_fixture_waits(&f));
        assert_true(journal_fixture_append(&f, 5, 7, 1, true) == second + 3);
        journal_settle(f.journal, second, 0, 2);
        journal_settle(f.journal, second + 1, 0, 3);
        journal_settle(f.journal, second + 2, 0, 1);
        journal_settle(f.journal, second + 3, 0, 1);
        if (crash)
            journal_settle(f.journal, first, 0, 1);
        assert_int_equal(journal_fixture_stats(&f).records, 0);
        journal_fixture_reopen(&f);
        assert_false(journal_fixture_waits(&f));
        journal_fixture_end(&f);
    }
}

static void in_parts(void **state)
{
    static const uint32_t sizes[] = {2, 64, 65, 1000};
    struct journal_fixture f;
    (void)state;
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        const uint32_t n = sizes[k], words = (n + 63) / 64;
        uint64_t mask[16];
        journal_fixture_start(&f);
        const uint64_t seq = journal_fixture_append(&f, 1, 100, n, true);
        journal_open_items(f.journal, seq, mask);
        uint32_t open = 0;
        for (uint32_t i = 0; i < words; i++)
            open += (uint32_t)__builtin_popcountll(mask[i]);
        assert_int_equal(open, n);
        for (uint32_t i = 1; i < n; i += 2)
            journal_settle(f.journal, seq, i, 1);
        assert_int_equal(journal_fixture_stats(&f).items, (n + 1) / 2);
        journal_work(f.journal);
        journal_fixture_crash(&f);
        struct journal_record record;
        assert_int_equal(journal_peek(f.journal, &record), SL_OK);
        assert_true(record.partly);
        assert_int_equal(record.items, n);
        assert_int_equal(journal_fixture_stats(&f).waiting_items, (n + 1) / 2);
        assert_int_equal(journal_fixture_take(&f, 1), seq);
        journal_open_items(f.journal, seq, mask);
        for (uint32_t i = 0; i < n; i++)
            assert_int_equal(mask[i / 64] >> i % 64 & 1, i % 2 == 0);
        for (uint32_t i = 0; i < n; i += 2)
            journal_settle(f.journal, seq, i, 1);
        assert_int_equal(journal_fixture_stats(&f).records, 0);
        journal_fixture_reopen(&f);
        assert_false(journal_fixture_waits(&f));
        journal_fixture_end(&f);
    }
}

static void put_back(void **state)
{
    struct journal_fixture f;
    struct journal_write w;
    (void)state;
    journal_fixture_start(&f);
    const uint64_t a = journal_fixture_append(&f, 1, 10, 2, true);
    const uint64_t b = journal_fixture_append(&f, 2, 20, 2, true);
    const uint64_t c = journal_fixture_append(&f, 3, 30, 2, false);
    journal_settle(f.journal, a, 0, 1);
    journal_put_back(f.journal, a);
    journal_put_back(f.journal, b);
    const struct journal_stats stats = journal_fixture_stats(&f);
    assert_int_equal(stats.waiting_records, 3);
    assert_int_equal(stats.waiting_items, 5);
    assert_int_equal(stats.waiting_bytes, 60);
    /* before what waits, in the order in which they came back */
    struct journal_record record;
    assert_int_equal(journal_peek(f.journal, &record), SL_OK);
    assert_int_equal(record.seq, a);
    assert_true(record.partly);
    assert_false(record.earlier);
    assert_int_equal(journal_fixture_take(&f, 1), a);
    assert_int_equal(journal_fixture_take(&f, 2), b);
    assert_int_equal(journal_fixture_take(&f, 3), c);
    assert_false(journal_fixture_waits(&f));
    /* and nothing passes by what was put back */
    journal_put_back(f.journal, b);
    assert_int_equal(journal_fixture_try(&f, &w, 4, 10, 1, true), SL_OK);
    assert_false(w.taken);
    assert_int_equal(journal_fixture_take(&f, 2), b);
    assert_int_equal(journal_fixture_take(&f, 4), w.seq);
    journal_settle(f.journal, a, 1, 1);
    journal_settle(f.journal, b, 0, 2);
    journal_settle(f.journal, c, 0, 2);
    journal_settle(f.journal, w.seq, 0, 1);
    assert_int_equal(journal_fixture_stats(&f).records, 0);
    assert_int_equal(journal_fixture_stats(&f).waiting_records, 0);
    journal_fixture_end(&f);
}

/* What settles everything soon never needs more than a few files. */
static void files_are_used_again(void **state)
{
    struct journal_fixture f;
    (void)state;
    journal_fixture_start(&f);
    for (uint64_t i = 0; i < 500; i++) {
        journal_fixture_pass(&f, i, 10000, 1);
        if (i % 10 == 0)
            journal_work(f.journal);
    }
    const struct journal_stats stats = journal_fixture_stats(&f);
    assert_true(stats.segments <= 3);
    assert_true(stats.disk_bytes <= 5 * f.config.segment_bytes);
    assert_true(journal_fixture_files(&f, "0000") + journal_fixture_files(&f, "spare") <= 5);
    journal_fixture_crash(&f);
    while (journal_fixture_waits(&f)) {
        struct journal_record record;
        assert_int_equal(journal_peek(f.journal, &record), SL_OK);
        assert_true(record.seq > 490);
        journal_settle(f.journal, journal_fixture_take(&f, record.seq - 1), 0, 1);
    }
    journal_fixture_end(&f);
}

/* Starting often takes no room. */
static void opened_often(void **state)
{
    struct journal_fixture f;
    (void)state;
    journal_fixture_start(&f);
    for (uint64_t i = 0; i < 100; i++) {
        (void)journal_fixture_append(&f, i, 100, 1, false);
        if (i % 2)
            journal_fixture_crash(&f);
        else
            journal_fixture_reopen(&f);
        journal_fixture_reopen(&f);
        journal_fixture_take(&f, 0);
    }
    const struct journal_stats stats = journal_fixture_stats(&f);
    assert_int_equal(stats.records, 100);
    assert_int_equal(stats.state, JOURNAL_OK);
    journal_fixture_reopen(&f);
    for (uint64_t i = 0; i < 100; i++)
        journal_settle(f.journal, journal_fixture_take(&f, i), 0, 1);
    journal_fixture_end(&f);
}

static void one_process_at_a_time(void **state)
{
    struct journal_fixture f;
    struct journal *other = NULL;
    sl_error error = {.size = sizeof error};
    (void)state;
    journal_fixture_start(&f);
    assert_int_equal(journal_open(&f.config, &other, &error), SL_ERR_STATE);
    assert_non_null(strstr(error.text, "in use"));
    const uint64_t seq = journal_fixture_append(&f, 1, 10, 1, true);
    journal_close(f.journal);
    /* another stream's records are not to be mixed up with */
    struct journal_config config = f.config;
    config.stream = "in logs/test";
    assert_int_equal(journal_open(&config, &other, &error), SL_ERR_INVALID);
    assert_non_null(strstr(error.text, "in traces/test"));
    journal_fixture_open(&f);
    assert_int_equal(journal_fixture_take(&f, 1), seq);
    journal_fixture_end(&f);
}

/* ---- notes ---- */

struct visited {
    char text[256];
};

static int32_t visit(void *ctx, sl_bytes key, sl_bytes note)
{
    struct visited *v = ctx;
    (void)strncat(v->text, (const char *)key.p, key.n);
    (void)strncat(v->text, "=", 2);
    (void)strncat(v->text, (const char *)note.p, note.n);
    (void)strncat(v->text, " ", 2);
    return SL_OK;
}

static void check_notes(struct journal_fixture *f, const char *owner, const char *expected)
{
    struct visited v = {.text = ""};
    assert_int_equal(journal_notes(f->journal, sl_str(owner), visit, &v), SL_OK);
    assert_string_equal(v.text, expected);
}

static void note(struct journal_fixture *f, const char *owner, const char *key, const char *text)
{
    assert_int_equal(journal_note(f->journal, sl_str(owner), sl_str(key), sl_str(text)), SL_OK);
}

static void notes(void **state)
{
    struct journal_fixture f;
    (void)state;
    for (int power = 0; power < 2; power++) {
        journal_fixture_init(&f);
        f.config.durability = power ? JOURNAL_POWER : JOURNAL_PROCESS;
        journal_fixture_open(&f);
        note(&f, "sampler", "a", "1");
        note(&f, "sampler", "b", "2");
        note(&f, "other", "a", "3");
        note(&f, "sampler", "c", "");
        note(&f, "sampler", "a", "4");
        check_notes(&f, "sampler", "b=2 c= a=4 ");
        journal_fixture_crash(&f);
        check_notes(&f, "sampler", "b=2 c= a=4 ");
        check_notes(&f, "other", "a=3 ");
        check_notes(&f, "nobody", "");
        journal_forget(f.journal, sl_str("sampler"), sl_str("b"));
        journal_forget(f.journal, sl_str("sampler"), sl_str("none"));
        check_notes(&f, "sampler", "c= a=4 ");
        journal_work(f.journal);
        /* they go with the files that are used again, in their order */
        for (uint64_t i = 0; i < 100; i++) {
            journal_fixture_pass(&f, i, 10000, 1);
            journal_work(f.journal);
            if (i == 50)
                note(&f, "sampler", "d", "5");
        }
        assert_true(journal_fixture_stats(&f).segments <= 3);
        check_notes(&f, "sampler", "c= a=4 d=5 ");
        journal_fixture_crash(&f);
        check_notes(&f, "sampler", "c= a=4 d=5 ");
        check_notes(&f, "other", "a=3 ");
        journal_fixture_end(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(taken_and_settled),
        cmocka_unit_test(waits_at_the_next_opening),
        cmocka_unit_test(in_parts),
        cmocka_unit_test(put_back),
        cmocka_unit_test(files_are_used_again),
        cmocka_unit_test(opened_often),
        cmocka_unit_test(one_process_at_a_time),
        cmocka_unit_test(notes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
