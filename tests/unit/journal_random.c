/* The journal's log against a model: random calls, failures, crashes and openings, from a seed that is
 * printed. What is open in the model comes out, bit for bit and once; nothing else does, but what was
 * settled or refused so shortly before a crash that nobody had to write it. */
#include "tests/support/failing_memory.h"
#include "tests/support/journal_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { RECORDS = 4096, ITEMS = 130, STEPS = 1500 };

struct record {
    uint64_t seq;
    uint32_t bytes, items;
    bool taken;
    uint8_t open[ITEMS];
    uint8_t maybe[ITEMS]; /* has ended, but may come again after a crash */
};

struct model {
    struct journal_fixture fixture;
    struct record *records[RECORDS]; /* by sequence number */
    uint64_t random;
};

static uint32_t any(struct model *m, uint32_t below)
{
    m->random = m->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(m->random >> 33) % below;
}

static uint32_t count(const struct record *r, const uint8_t *items)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->items; i++)
        n += items[i];
    return n;
}

static void forget(struct model *m, uint64_t seq)
{
    free(m->records[seq]);
    m->records[seq] = NULL;
}

static struct record *remember(struct model *m, const struct journal_write *w, uint32_t bytes)
{
    assert_true(w->seq < RECORDS);
    assert_null(m->records[w->seq]);
    struct record *r = calloc(1, sizeof *r);
    assert_non_null(r);
    *r = (struct record){.seq = w->seq, .bytes = bytes, .items = w->items, .taken = w->taken};
    m->records[w->seq] = r;
    return r;
}

static struct record *pick(struct model *m, bool taken)
{
    const uint64_t from = any(m, RECORDS);
    for (uint64_t i = 0; i < RECORDS; i++) {
        struct record *r = m->records[(from + i) % RECORDS];
        if (r && r->taken == taken && count(r, r->open) > 0)
            return r;
    }
    return NULL;
}

/* ---- steps ---- */

static void append(struct model *m)
{
    struct journal_write w = {.seq = 0};
    const uint32_t bytes = any(m, 4) ? any(m, 2000) : any(m, 30000);
    const uint32_t items = any(m, 3) ? 1 + any(m, 5) : 1 + any(m, ITEMS);
    /* the key is not known before: all bodies of a size are the same */
    const int32_t status = journal_fixture_try(&m->fixture, &w, 1, bytes, items, any(m, 2) != 0);
    if (status == SL_OK) {
        memset(remember(m, &w, bytes)->open, 1, items);
        return;
    }
    assert_true(status == SL_ERR_FULL || status == SL_ERR_UNAVAILABLE);
    if (w.seq > 0) { /* it got as far as to the disk */
        w.taken = false;
        memset(remember(m, &w, bytes)->maybe, 1, items);
    }
}

static void settle(struct model *m)
{
    struct record *r = pick(m, true);
    if (!r)
        return;
    const bool all = any(m, 3) != 0;
    for (uint32_t i = 0; i < r->items;) {
        uint32_t n = 0;
        while (i + n < r->items && r->open[i + n] && (all || any(m, 3)))
            n++;
        if (n == 0) {
            i++;
            continue;
        }
        journal_settle(m->fixture.journal, r->seq, i, n);
        memset(r->open + i, 0, n);
        memset(r->maybe + i, 1, n);
        i += n;
    }
}

/* Takes the record and compares it with what is known. */
static void check_record(struct model *m, const struct journal_record *record, bool opening,
                         bool crashed)
{
    static uint8_t body[65536], right[65536];
    uint64_t mask[(ITEMS + 63) / 64];
    assert_true(record->seq < RECORDS);
    struct record *r = m->records[record->seq];
    if (!r)
        fail_msg("record %llu is not known", (unsigned long long)record->seq);
    assert_int_equal(record->bytes, r->bytes);
    assert_int_equal(record->items, r->items);
    const int32_t status = journal_take(m->fixture.journal, record, body);
    if (status == SL_ERR_UNAVAILABLE) {
        assert_true(failing_memory_is_on());
        return;
    }
    assert_int_equal(status, SL_OK);
    journal_fixture_fill(right, r->bytes, 1);
    assert_memory_equal(body, right, r->bytes);
    journal_open_items(m->fixture.journal, record->seq, mask);
    for (uint32_t i = 0; i < r->items; i++) {
        const bool open = mask[i / 64] >> i % 64 & 1;
        if (r->open[i])
            assert_true(open);
        else if (open)
            assert_true(crashed && r->maybe[i]);
        r->open[i] = open;
        if (opening) /* what it says was found on the disk */
            r->maybe[i] = 0;
    }
    assert_false(r->taken);
    r->taken = true;
}

static bool take(struct model *m, bool opening, bool crashed)
{
    struct journal_record record;
    const int32_t status = journal_peek(m->fixture.journal, &record);
    if (status == SL_ERR_NOT_FOUND)
        return false;
    assert_int_equal(status, SL_OK);
    check_record(m, &record, opening, crashed);
    return true;
}

static void put_back(struct model *m)
{
    struct record *r = pick(m, true);
    if (!r)
        return;
    journal_put_back(m->fixture.journal, r->seq);
    r->taken = false;
}

static void check_stats(struct model *m)
{
    const struct journal_stats stats = journal_fixture_stats(&m->fixture);
    uint64_t records = 0, items = 0, bytes = 0, waiting = 0;
    for (uint64_t i = 0; i < RECORDS; i++) {
        const struct record *r = m->records[i];
        if (!r || count(r, r->open) == 0)
            continue;
        records++;
        items += count(r, r->open);
        bytes += r->bytes;
        waiting += !r->taken;
    }
    assert_int_equal(stats.records, records);
    assert_int_equal(stats.items, items);
    assert_int_equal(stats.bytes, bytes);
    assert_int_equal(stats.waiting_records, waiting);
    assert_true(stats.disk_bytes <=
                m->fixture.config.max_bytes + 2 * m->fixture.config.segment_bytes);
    for (int end = 0; end < 3; end++)
        assert_int_equal(stats.ended_records[end], 0);
}

/* All that waits after an opening is read, and some of it put back. */
static void reopen(struct model *m, bool crash)
{
    struct journal_fixture *f = &m->fixture;
    f->fail_write = f->fail_allocate = f->fail_sync = 0;
    const bool full = journal_fixture_stats(f).state == JOURNAL_FULL;
    if (crash)
        journal_fixture_crash(&m->fixture);
    else
        journal_fixture_reopen(&m->fixture);
    for (uint64_t i = 0; i < RECORDS; i++)
        if (m->records[i])
            m->records[i]->taken = false;
    while (take(m, true, crash || full))
        ;
    for (uint64_t i = 0; i < RECORDS; i++) {
        const struct record *r = m->records[i];
        if (r && !r->taken && count(r, r->open) > 0)
            fail_msg("record %llu is lost", (unsigned long long)r->seq);
        if (r && !r->taken)
            forget(m, i); /* and its number may be used again */
    }
    check_stats(m);
    for (uint32_t n = any(m, 10); n > 0; n--)
        put_back(m);
}

static void fail_for_a_while(struct model *m)
{
    static const int errors[] = {ENOSPC, EIO, EDQUOT, EROFS};
    struct journal_fixture *f = &m->fixture;
    const int error = errors[any(m, 4)];
    const uint32_t which = any(m, 8);
    f->fail_write = which & 1 ? error : 0;
    f->fail_allocate = which & 2 ? error : 0;
    f->fail_sync = which & 4 ? error : 0;
}

static void step(struct model *m)
{
    const uint32_t what = any(m, 100);
    if (what < 35)
        append(m);
    else if (what < 65)
        settle(m);
    else if (what < 80)
        (void)take(m, false, false);
    else if (what < 85)
        put_back(m);
    else if (what < 96)
        journal_work(m->fixture.journal);
    else if (what < 98)
        fail_for_a_while(m);
    else
        reopen(m, any(m, 3) != 0);
}

static void end(struct model *m)
{
    struct journal_fixture *f = &m->fixture;
    f->fail_write = f->fail_allocate = f->fail_sync = 0;
    journal_work(f->journal);
    check_stats(m);
    reopen(m, false);
    while (take(m, false, false))
        ;
    for (struct record *r; (r = pick(m, true));) {
        journal_settle(f->journal, r->seq, 0, r->items);
        forget(m, r->seq);
    }
    check_stats(m);
    journal_fixture_reopen(f);
    assert_false(journal_fixture_waits(f));
    journal_fixture_end(f);
    for (uint64_t i = 0; i < RECORDS; i++)
        forget(m, i);
}

static void run(uint64_t seed, bool power)
{
    static struct model m;
    memset(&m, 0, sizeof m);
    m.random = seed;
    print_message("seed %llu\r", (unsigned long long)seed);
    journal_fixture_init(&m.fixture);
    m.fixture.config.durability = power ? JOURNAL_POWER : JOURNAL_PROCESS;
    journal_fixture_open(&m.fixture);
    for (uint32_t i = 0; i < STEPS; i++) {
        step(&m);
        if (i % 16 == 0)
            check_stats(&m);
    }
    end(&m);
}

static uint64_t first_seed = 1, last_seed = 40;

static void process(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed; seed <= last_seed; seed++)
        run(seed, false);
}

static void power(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed; seed <= last_seed; seed++)
        run(seed, true);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(process),
        cmocka_unit_test(power),
    };
    if (argc > 1)
        first_seed = last_seed = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        last_seed = strtoull(argv[2], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
