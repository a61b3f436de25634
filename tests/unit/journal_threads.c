/* The journal's log used by many threads at once: some append, some read, some settle or put back, one
 * works. Every item ends once, and nothing is left. For ThreadSanitizer. */
#include "tests/support/journal_fixture.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { APPENDERS = 3, EACH = 400, BYTES = 3000, ITEMS = 7 };

struct shared {
    struct journal_fixture fixture;
    _Atomic uint64_t ended_items;
    _Atomic unsigned running;
};

static void settle(struct shared *s, uint64_t seq)
{
    for (uint32_t i = 0; i < ITEMS; i += 2)
        s->ended_items +=
            journal_settle(s->fixture.journal, seq, i, i + 2 <= ITEMS ? 2 : ITEMS - i);
}

static void *append_all(void *arg)
{
    struct shared *s = arg;
    for (uint64_t i = 0; i < EACH;) {
        struct journal_write w;
        if (!journal_has_room(s->fixture.journal) ||
            journal_fixture_try(&s->fixture, &w, 1, BYTES, ITEMS, i % 3 != 0) != SL_OK) {
            journal_work(s->fixture.journal);
            continue;
        }
        i++;
        if (w.taken && w.seq % 5 == 0)
            journal_put_back(s->fixture.journal, w.seq);
        else if (w.taken)
            settle(s, w.seq);
    }
    s->running--;
    return NULL;
}

static void *read_all(void *arg)
{
    static uint8_t body[BYTES], right[BYTES];
    struct shared *s = arg;
    struct journal_record record;
    journal_fixture_fill(right, BYTES, 1);
    for (;;) {
        const bool last = s->running == 0;
        if (journal_peek(s->fixture.journal, &record) != SL_OK) {
            if (last)
                return NULL;
            continue;
        }
        assert_int_equal(journal_take(s->fixture.journal, &record, body), SL_OK);
        assert_memory_equal(body, right, BYTES);
        if (record.seq % 7 == 0 && !record.partly) {
            s->ended_items += journal_settle(s->fixture.journal, record.seq, 3, 1);
            journal_put_back(s->fixture.journal, record.seq);
        } else {
            settle(s, record.seq);
        }
    }
}

static void *work_all(void *arg)
{
    struct shared *s = arg;
    struct journal_stats stats;
    while (s->running > 0) {
        journal_work(s->fixture.journal);
        journal_read_stats(s->fixture.journal, &stats);
        assert_int_equal(stats.ended_records[JOURNAL_QUARANTINED], 0);
        if (journal_note(s->fixture.journal, sl_str("owner"), sl_str("key"), sl_str("note")) ==
            SL_OK)
            journal_forget(s->fixture.journal, sl_str("owner"), sl_str("key"));
    }
    return NULL;
}

static void run(enum journal_durability durability)
{
    static struct shared s;
    pthread_t threads[APPENDERS + 2];
    memset(&s, 0, sizeof s);
    journal_fixture_init(&s.fixture);
    s.fixture.config.durability = durability;
    journal_fixture_open(&s.fixture);
    s.running = APPENDERS;
    for (int i = 0; i < APPENDERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, append_all, &s), 0);
    assert_int_equal(pthread_create(&threads[APPENDERS], NULL, read_all, &s), 0);
    assert_int_equal(pthread_create(&threads[APPENDERS + 1], NULL, work_all, &s), 0);
    for (int i = 0; i < APPENDERS + 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    const struct journal_stats stats = journal_fixture_stats(&s.fixture);
    assert_int_equal(stats.records, 0);
    assert_int_equal(stats.waiting_records, 0);
    assert_int_equal(stats.appended_records, APPENDERS * EACH);
    assert_int_equal(s.ended_items, APPENDERS * EACH * ITEMS);
    journal_fixture_reopen(&s.fixture);
    assert_false(journal_fixture_waits(&s.fixture));
    journal_fixture_end(&s.fixture);
}

static void process(void **state)
{
    (void)state;
    run(JOURNAL_PROCESS);
}

static void power(void **state)
{
    (void)state;
    run(JOURNAL_POWER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(process), cmocka_unit_test(power)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
