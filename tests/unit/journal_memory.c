/* The journal when memory is short: each allocation fails once, and from then on. Appends may be
 * refused then; what was told durable and is not settled is there at the next opening. */
#include "pipeline/journal/log.h"
#include "tests/support/failing_memory.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { RECORDS = 40, ITEMS = 70, BODY = 3000, SEGMENT = 65536 };

struct record {
    struct journal_write w; /* first */
    bool durable, settled;
    uint8_t body[BODY];
};

static struct record records[RECORDS];
static char directory[64];
static int64_t now = INT64_C(1700000000000000000);

static int64_t read_clock(void *ctx)
{
    return *(int64_t *)ctx;
}

static void on_durable(struct journal_write *w, int32_t status)
{
    ((struct record *)(void *)w)->durable = status == SL_OK;
}

static int32_t open_journal(struct journal **journal)
{
    const struct journal_config config = {.directory = directory,
                                          .stream = "in traces/in",
                                          .io = &journal_io_posix,
                                          .segment_bytes = SEGMENT,
                                          .max_bytes = 16 * SEGMENT,
                                          .now = read_clock,
                                          .now_arg = &now};
    *journal = NULL;
    return journal_open(&config, journal, NULL);
}

static void append(struct journal *journal, unsigned i)
{
    struct record *r = &records[i];
    const struct iovec part = {r->body, BODY};
    memset(r, 0, sizeof *r);
    memset(r->body, (int)i + 1, BODY);
    r->w = (struct journal_write){.parts = &part,
                                  .n_parts = 1,
                                  .items = ITEMS,
                                  .arrived_ns = now,
                                  .take = i % 3 != 0,
                                  .durable = on_durable};
    const int32_t status = journal_append(journal, &r->w);
    assert_true(status == SL_OK || !r->durable);
    if (status == SL_OK && r->w.taken && i % 2) {
        journal_settle(journal, r->w.seq, 0, i % ITEMS + 1);
        journal_settle(journal, r->w.seq, i % ITEMS + 1, ITEMS - i % ITEMS - 1);
        r->settled = true;
    } else if (status == SL_OK && r->w.taken && i % 4 == 0) {
        journal_put_back(journal, r->w.seq);
    }
}

/* Takes all that waits and settles it; marks[i]: record i was among it. */
static void read_all(struct journal *journal, bool settles, bool *marks)
{
    static uint8_t body[BODY];
    struct journal_record r;
    while (journal_peek(journal, &r) == SL_OK) {
        uint64_t mask[(ITEMS + 63) / 64] = {0};
        assert_int_equal(r.bytes, BODY);
        if (journal_take(journal, &r, body) != SL_OK)
            break;
        for (unsigned i = 1; i < BODY; i++)
            assert_int_equal(body[i], body[0]);
        assert_in_range(body[0], 1, RECORDS);
        journal_open_items(journal, r.seq, mask);
        marks[body[0] - 1] = true;
        for (uint32_t k = 0; settles && k < ITEMS; k++)
            if (mask[k / 64] >> (k % 64) & 1)
                journal_settle(journal, r.seq, k, 1);
    }
}

static int32_t ignore_note(void *ctx, sl_bytes key, sl_bytes note)
{
    (void)key;
    (void)note;
    ++*(unsigned *)ctx;
    return SL_OK;
}

/* Memory may be short in here. */
static void work(void)
{
    struct journal *journal;
    unsigned notes = 0;
    bool marks[RECORDS] = {false};
    for (unsigned life = 0; life < 2; life++) {
        if (open_journal(&journal) != SL_OK)
            continue;
        for (unsigned i = life * RECORDS / 2; i < (life + 1) * RECORDS / 2; i++)
            append(journal, i);
        (void)journal_note(journal, sl_str("owner"), sl_str("key"), sl_str("note"));
        journal_forget(journal, sl_str("owner"), sl_str("other"));
        (void)journal_notes(journal, sl_str("owner"), ignore_note, &notes);
        now += INT64_C(2000000000);
        journal_work(journal);
        read_all(journal, false, marks);
        journal_work(journal);
        journal_close(journal);
    }
}

static void remove_all(void)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s/*", directory);
    assert_int_equal(system(command), 0);
}

static bool one_failure(uint64_t n, bool goes_on)
{
    struct journal *journal;
    bool marks[RECORDS] = {false};
    memset(records, 0, sizeof records);
    remove_all();
    failing_memory_at(n, goes_on);
    work();
    const bool failed = failing_memory_has_failed();
    failing_memory_at(0, false);
    assert_int_equal(open_journal(&journal), SL_OK);
    read_all(journal, true, marks);
    for (unsigned i = 0; i < RECORDS; i++)
        if (records[i].durable && !records[i].settled)
            assert_true(marks[i]);
    append(journal, 1);
    assert_true(records[1].durable);
    journal_close(journal);
    return failed;
}

static void every_allocation(bool goes_on)
{
    uint64_t n = 1;
    (void)snprintf(directory, sizeof directory, "%s/journal-XXXXXX",
                   access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    assert_non_null(mkdtemp(directory));
    while (one_failure(n, goes_on))
        n++;
    print_message("%lu allocations\n", (unsigned long)n - 1);
    assert_true(n > 10);
    remove_all();
    assert_int_equal(rmdir(directory), 0);
}

static void once(void **state)
{
    (void)state;
    every_allocation(false);
}

static void from_then_on(void **state)
{
    (void)state;
    every_allocation(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(once),
        cmocka_unit_test(from_then_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
