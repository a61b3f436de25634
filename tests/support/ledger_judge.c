/* What a crash has left of a journal, held against the account. */
#include "pipeline/journal/inspect.h"
#include "tests/support/ledger_internal.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { MASK_WORDS = (LEDGER_ITEMS + 63) / 64, BODY_MAX = LEDGER_BODY_MAX };

/* One opening of an image. */
struct trial {
    const struct ledger *l;
    struct ledger_trial how;
    struct journal *journal;
    bool *seen; /* by id */
    uint64_t *taken;
    uint32_t *taken_items;
    uint64_t (*taken_mask)[MASK_WORDS];
    size_t n_taken;
    struct ledger_found found;
};

static const struct ledger_entry *entry_of(const struct trial *t, const uint8_t *body, size_t n)
{
    uint64_t id = 0;
    assert_true(n >= 8);
    for (unsigned i = 0; i < 8; i++)
        id |= (uint64_t)body[i] << (8 * i);
    assert_true(id < t->l->n_entries);
    return t->l->entries[id];
}

static bool must_be_open(const struct trial *t, const struct ledger_entry *e, uint32_t item)
{
    return e->state == ENTRY_DURABLE && e->durable_at <= t->how.n &&
           e->settled_at[item] >= t->how.n;
}

static void judge_record(struct trial *t, const struct journal_record *r, const uint8_t *body)
{
    static uint8_t expected[BODY_MAX];
    uint64_t *mask = t->taken_mask[t->n_taken];
    const struct ledger_entry *e = entry_of(t, body, r->bytes);
    if (t->seen[e->id])
        fail_msg("record %lu was found twice", (unsigned long)e->id);
    t->seen[e->id] = true;
    if (e->issued_at >= t->how.n)
        fail_msg("record %lu is of the future", (unsigned long)e->id);
    assert_int_equal(r->bytes, e->size);
    ledger_fill(e->id, expected, e->size);
    assert_memory_equal(body, expected, e->size);
    assert_int_equal(r->items, e->w.items);
    assert_int_equal(r->arrived_ns, e->w.arrived_ns);
    assert_true(r->earlier);
    if (e->state == ENTRY_DURABLE)
        assert_int_equal(r->seq, e->w.seq);
    memset(mask, 0, MASK_WORDS * sizeof *mask);
    journal_open_items(t->journal, r->seq, mask);
    bool again = false;
    for (uint32_t i = 0; i < e->w.items; i++) {
        const bool open = mask[i / 64] >> (i % 64) & 1;
        if (!open && must_be_open(t, e, i))
            fail_msg("item %u of record %lu was lost", i, (unsigned long)e->id);
        if (open && t->how.kept && e->sure_at[i] <= t->how.n)
            fail_msg("item %u of record %lu came again: its end was written at %zu, crash at %zu",
                     i, (unsigned long)e->id, e->sure_at[i], t->how.n);
        again |= open && e->settled_at[i] < t->how.n;
    }
    for (uint32_t i = e->w.items; i < MASK_WORDS * 64; i++)
        assert_false(mask[i / 64] >> (i % 64) & 1);
    t->found.records++;
    t->found.again += again;
    t->taken[t->n_taken] = r->seq;
    t->taken_items[t->n_taken++] = e->w.items;
}

static void judge_records(struct trial *t)
{
    static uint8_t body[BODY_MAX];
    struct journal_record r;
    struct journal_stats stats;
    int32_t status;
    journal_read_stats(t->journal, &stats);
    const uint64_t waiting = stats.waiting_records, ended = stats.ended_records[2];
    uint64_t damaged = 0;
    assert_int_equal(stats.records, waiting);
    while ((status = journal_peek(t->journal, &r)) == SL_OK) {
        assert_true(r.bytes <= sizeof body);
        assert_true(t->n_taken < t->l->n_entries);
        status = journal_take(t->journal, &r, body);
        if (status == SL_ERR_INVALID) {
            damaged++;
            continue;
        }
        assert_int_equal(status, SL_OK);
        judge_record(t, &r, body);
    }
    assert_int_equal(status, SL_ERR_NOT_FOUND);
    assert_int_equal(waiting, t->n_taken + damaged);
    journal_read_stats(t->journal, &stats);
    assert_int_equal(stats.ended_records[2] - ended, damaged);
    assert_int_equal(stats.records, t->n_taken);
    for (size_t i = 0; i < t->l->n_entries; i++)
        for (uint32_t k = 0; !t->seen[i] && k < t->l->entries[i]->w.items; k++)
            if (must_be_open(t, t->l->entries[i], k)) {
                if (!t->how.damaged)
                    fail_msg("record %zu was lost: durable at %zu, crash at %zu", i,
                             t->l->entries[i]->durable_at, t->how.n);
                t->found.lost++;
                break;
            }
}

/* ---- notes ---- */

struct notes {
    const struct trial *t;
    bool seen[LEDGER_KEYS];
};

static int32_t judge_note(void *ctx, sl_bytes key, sl_bytes note)
{
    static uint8_t expected[BODY_MAX];
    struct notes *notes = ctx;
    const struct ledger *l = notes->t->l;
    unsigned k = LEDGER_KEYS;
    for (unsigned i = 0; i < LEDGER_KEYS; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "key %u", i);
        if (sl_eq(key, sl_str(name)))
            k = i;
    }
    assert_true(k < LEDGER_KEYS);
    assert_false(notes->seen[k]);
    notes->seen[k] = true;
    /* It must be one that was written, and none before the last that is durable. */
    bool is_known = false;
    for (size_t i = 0; i < l->n_notes && l->notes[i].issued_at < notes->t->how.n; i++) {
        const struct ledger_note *n = &l->notes[i];
        if (n->key != k)
            continue;
        if (!n->forgets && n->durable_at <= notes->t->how.n && !notes->t->how.damaged)
            is_known = false;
        if (!n->forgets && n->size == note.n) {
            ledger_fill(n->id, expected, n->size);
            is_known |= !memcmp(expected, note.p, n->size);
        }
    }
    if (!is_known)
        fail_msg("key %u has a note that was replaced, or never written", k);
    return SL_OK;
}

static void judge_notes(struct trial *t)
{
    struct notes notes = {.t = t};
    assert_int_equal(journal_notes(t->journal, sl_str(LEDGER_OWNER), judge_note, &notes), SL_OK);
    for (unsigned k = 0; k < LEDGER_KEYS; k++) {
        bool must = false;
        for (size_t i = 0; i < t->l->n_notes && t->l->notes[i].issued_at < t->how.n; i++)
            if (t->l->notes[i].key == k)
                must = !t->l->notes[i].forgets && (must || t->l->notes[i].durable_at <= t->how.n);
        if (must && !notes.seen[k]) {
            if (!t->how.damaged)
                fail_msg("the note of key %u was lost", k);
            t->found.lost++;
        }
    }
}

/* ---- the whole ---- */

static _Atomic int used_status;

static void on_used(struct journal_write *w, int32_t status)
{
    (void)w;
    atomic_store(&used_status, status);
}

static void use(struct trial *t)
{
    static uint8_t body[BODY_MAX];
    struct iovec part = {body, 100};
    struct journal_write w = {.parts = &part, .n_parts = 1, .items = 1, .durable = on_used};
    struct journal_record r;
    for (size_t i = 0; i < t->n_taken; i++)
        for (uint32_t k = 0; k < t->taken_items[i]; k++)
            if (t->taken_mask[i][k / 64] >> (k % 64) & 1)
                journal_settle(t->journal, t->taken[i], k, 1);
    journal_work(t->journal);
    atomic_store(&used_status, 1);
    w.arrived_ns = t->l->now;
    w.take = true;
    assert_int_equal(journal_append(t->journal, &w), SL_OK);
    for (unsigned i = 0; atomic_load(&used_status) == 1; i++) {
        assert_true(i < 60000);
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    assert_int_equal(atomic_load(&used_status), SL_OK);
    assert_true(w.taken);
    for (size_t i = 0; i < t->n_taken; i++)
        assert_int_not_equal(w.seq, t->taken[i]);
    journal_settle(t->journal, w.seq, 0, 1);
    assert_int_equal(journal_peek(t->journal, &r), SL_ERR_NOT_FOUND);
}

static struct journal *open_image(const struct ledger *l, const struct journal_io *io)
{
    struct journal_config c;
    struct journal *journal = NULL;
    sl_error error = {.size = sizeof error};
    ledger_config(l, io, &c);
    if (journal_open(&c, &journal, &error) != SL_OK)
        fail_msg("the journal could not be opened: %s", error.text);
    return journal;
}

/* ---- without opening ---- */

static void count_damage(void *ctx, const struct inspect_segment *segment, uint64_t at,
                         uint64_t bytes, const char *what)
{
    (void)segment;
    (void)at;
    (void)bytes;
    (void)what;
    ++*(unsigned *)ctx;
}

/* What the files show by themselves; false: nothing can be said, as there is damage or no journal. */
static bool look(const struct journal_io *io, struct inspect_totals *totals)
{
    struct inspection *inspection;
    unsigned damages = 0;
    const struct inspect_visitor count = {.ctx = &damages, .damage = count_damage};
    if (inspect_open(io, LEDGER_DIRECTORY, &inspection, NULL) != SL_OK)
        return false;
    inspect_totals(inspection, totals);
    inspect_walk(inspection, &count);
    inspect_close(inspection);
    return !damages;
}

struct ledger_found ledger_judge(const struct ledger *l, struct disk *image,
                                 const struct ledger_trial *how)
{
    const size_t room = l->n_entries + 1, before = disk_now(image);
    const struct journal_io io = disk_journal_io(image);
    struct inspect_totals totals;
    const bool looked = look(&io, &totals);
    assert_int_equal(disk_now(image), before);
    struct journal_record r;
    struct journal_stats stats;
    struct trial t = {.l = l,
                      .how = *how,
                      .journal = open_image(l, &io),
                      .seen = calloc(room, sizeof *t.seen),
                      .taken = calloc(room, sizeof *t.taken),
                      .taken_items = calloc(room, sizeof *t.taken_items),
                      .taken_mask = calloc(room, sizeof *t.taken_mask)};
    assert_true(t.seen && t.taken && t.taken_items && t.taken_mask);
    journal_read_stats(t.journal, &stats);
    if (looked) {
        assert_int_equal(totals.records, stats.records);
        assert_int_equal(totals.items, stats.items);
    }
    judge_records(&t);
    judge_notes(&t);
    if (how->use)
        use(&t);
    journal_close(t.journal);
    if (how->use) {
        t.journal = open_image(l, &io);
        assert_int_equal(journal_peek(t.journal, &r), SL_ERR_NOT_FOUND);
        const unsigned lost = t.found.lost;
        judge_notes(&t);
        t.found.lost = lost;
        journal_close(t.journal);
    }
    free(t.seen);
    free(t.taken);
    free(t.taken_items);
    free(t.taken_mask);
    return t.found;
}
