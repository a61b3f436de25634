/* Random work with a journal, and the account of it. */
#include "tests/support/ledger_internal.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

uint64_t ledger_random(uint64_t *seed)
{
    uint64_t x = *seed += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

void ledger_fill(uint64_t id, uint8_t *to, size_t n)
{
    uint64_t seed = id ^ UINT64_C(0x5eed), word = 0;
    for (size_t i = 0; i < n; i++) {
        if (i % 8 == 0)
            word = i ? ledger_random(&seed) : id;
        to[i] = (uint8_t)(word >> (8 * (i % 8)));
    }
}

static uint64_t roll(struct ledger *l, uint64_t n)
{
    return ledger_random(&l->seed) % n;
}

/* ---- what the log tells ---- */

static void on_durable(struct journal_write *w, int32_t status)
{
    struct ledger_entry *e = (struct ledger_entry *)(void *)w; /* its first member */
    struct ledger *l = e->ledger;
    pthread_mutex_lock(&l->mutex);
    if (e->state != ENTRY_PENDING) /* told twice, or refused; and this may be the log's thread */
        abort();
    e->state = status == SL_OK ? ENTRY_DURABLE : ENTRY_FAILED;
    e->durable_at = disk_now(l->disk);
    l->pending--;
    pthread_cond_signal(&l->told);
    pthread_mutex_unlock(&l->mutex);
}

static void on_work(void *ctx, int64_t delay_ns)
{
    (void)delay_ns;
    atomic_store(&((struct ledger *)ctx)->work_is_due, true);
}

static void on_ended(void *ctx, enum journal_end end, uint64_t records, uint64_t items)
{
    struct ledger *l = ctx;
    (void)items;
    atomic_fetch_add(&l->ended[end], records);
}

int64_t ledger_clock(void *ctx)
{
    return *(int64_t *)ctx;
}

void ledger_wait(struct ledger *l)
{
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += 60;
    pthread_mutex_lock(&l->mutex);
    while (l->pending)
        if (pthread_cond_timedwait(&l->told, &l->mutex, &deadline))
            fail_msg("%u records were not told durable within a minute", l->pending);
    pthread_mutex_unlock(&l->mutex);
}

/* ---- steps ---- */

static void append(struct ledger *l)
{
    struct ledger_entry *e = calloc(1, sizeof *e);
    assert_non_null(e);
    l->entries = realloc(l->entries, (l->n_entries + 1) * sizeof *l->entries);
    assert_non_null(l->entries);
    e->ledger = l;
    e->id = l->n_entries;
    e->size = (size_t)(8 + (roll(l, 8) ? roll(l, 2500) : roll(l, 20000)));
    e->w.items = (uint32_t)(1 + roll(l, LEDGER_ITEMS));
    e->w.arrived_ns = l->now;
    e->w.take = roll(l, 5) != 0;
    e->w.durable = on_durable;
    e->life = l->life;
    for (uint32_t i = 0; i < LEDGER_ITEMS; i++) {
        e->open[i] = i < e->w.items;
        e->settled_at[i] = e->sure_at[i] = SIZE_MAX;
    }
    uint8_t *body = malloc(e->size);
    assert_non_null(body);
    ledger_fill(e->id, body, e->size);
    const size_t cut = (size_t)roll(l, e->size);
    const struct iovec parts[] = {{body, cut}, {body + cut, e->size - cut}};
    e->w.parts = parts;
    e->w.n_parts = 2;
    e->state = ENTRY_PENDING;
    e->issued_at = disk_now(l->disk);
    l->entries[l->n_entries++] = e;
    pthread_mutex_lock(&l->mutex);
    l->pending++;
    pthread_mutex_unlock(&l->mutex);
    const int32_t status = journal_append(l->journal, &e->w);
    if (status != SL_OK) {
        assert_true(status == SL_ERR_FULL || status == SL_ERR_UNAVAILABLE);
        pthread_mutex_lock(&l->mutex);
        assert_true(e->state == ENTRY_PENDING);
        e->state = ENTRY_REFUSED;
        l->pending--;
        pthread_mutex_unlock(&l->mutex);
    }
    memset(body, 0xee, e->size); /* the log must not look at it any more */
    free(body);
    e->taken = status == SL_OK && e->w.taken;
    pthread_mutex_lock(&l->mutex);
    const bool many = l->pending > 3;
    pthread_mutex_unlock(&l->mutex);
    if (many || roll(l, 2))
        ledger_wait(l);
}

static bool is_open(const struct ledger_entry *e)
{
    return (e->state == ENTRY_DURABLE || e->state == ENTRY_FOUND) &&
           memchr(e->open, true, e->w.items);
}

/* One of those that were taken and have open items, or NULL. */
static struct ledger_entry *pick_taken(struct ledger *l)
{
    for (unsigned tries = 0; l->n_entries && tries < 20; tries++) {
        struct ledger_entry *e = l->entries[roll(l, l->n_entries)];
        if (e->taken && is_open(e))
            return e;
    }
    return NULL;
}

static void settle(struct ledger *l, struct ledger_entry *e, bool whole)
{
    const uint32_t from = whole ? 0 : (uint32_t)roll(l, e->w.items);
    const uint32_t to = whole ? e->w.items : from + 1 + (uint32_t)roll(l, e->w.items - from);
    const size_t now = disk_now(l->disk);
    for (uint32_t i = from; i < to;) {
        uint32_t n = 0;
        for (; i + n < to && e->open[i + n]; n++) {
            e->open[i + n] = false;
            if (e->settled_at[i + n] == SIZE_MAX)
                e->settled_at[i + n] = now;
        }
        if (n)
            journal_settle(l->journal, e->w.seq, i, n);
        i += n ? n : 1;
    }
    e->taken = is_open(e);
}

static struct ledger_entry *find(const struct ledger *l, const uint8_t *body, size_t n)
{
    uint64_t id = 0;
    assert_true(n >= 8);
    for (unsigned i = 0; i < 8; i++)
        id |= (uint64_t)body[i] << (8 * i);
    assert_true(id < l->n_entries);
    return l->entries[id];
}

/* A record that was read: is it what went in, and open what may be? */
static void take(struct ledger *l, const struct journal_record *r, const uint8_t *body)
{
    static uint8_t expected[LEDGER_BODY_MAX];
    uint64_t mask[(LEDGER_ITEMS + 63) / 64] = {0};
    struct ledger_entry *e = find(l, body, r->bytes);
    assert_false(e->taken);
    assert_int_equal(r->bytes, e->size);
    assert_int_equal(r->items, e->w.items);
    assert_int_equal(r->arrived_ns, e->w.arrived_ns);
    assert_int_equal(r->earlier, e->life != l->life);
    ledger_fill(e->id, expected, e->size);
    assert_memory_equal(body, expected, e->size);
    if (e->life == l->life)
        assert_int_equal(e->state, ENTRY_DURABLE);
    if (e->state == ENTRY_DURABLE || e->state == ENTRY_FOUND)
        assert_int_equal(r->seq, e->w.seq);
    else
        e->state = ENTRY_FOUND;
    e->w.seq = r->seq;
    journal_open_items(l->journal, r->seq, mask);
    for (uint32_t i = 0; i < e->w.items; i++) {
        const bool open = mask[i / 64] >> (i % 64) & 1;
        if (e->life == l->life)
            assert_int_equal(open, e->open[i]);
        else
            assert_true(open ? e->sure_at[i] == SIZE_MAX : e->settled_at[i] != SIZE_MAX);
        e->open[i] = open;
    }
    e->taken = true;
}

/* False: there is none. */
static bool read_one(struct ledger *l)
{
    static uint8_t body[LEDGER_BODY_MAX];
    struct journal_record r;
    int32_t status = journal_peek(l->journal, &r);
    if (status != SL_OK) {
        assert_true(status == SL_ERR_NOT_FOUND || status == SL_ERR_UNAVAILABLE);
        return false;
    }
    assert_true(r.bytes <= sizeof body);
    status = journal_take(l->journal, &r, body);
    if (status == SL_OK)
        take(l, &r, body);
    else
        assert_int_equal(status, SL_ERR_UNAVAILABLE);
    return true;
}

static void note(struct ledger *l)
{
    l->notes = realloc(l->notes, (l->n_notes + 1) * sizeof *l->notes);
    assert_non_null(l->notes);
    struct ledger_note *n = &l->notes[l->n_notes];
    *n = (struct ledger_note){.id = l->n_notes + LEDGER_NOTE_IDS,
                              .key = (uint32_t)roll(l, LEDGER_KEYS),
                              .size = (size_t)(8 + roll(l, 300)),
                              .forgets = roll(l, 4) == 0,
                              .issued_at = disk_now(l->disk),
                              .durable_at = SIZE_MAX};
    char key[16];
    uint8_t value[512];
    const int length = snprintf(key, sizeof key, "key %u", n->key);
    ledger_fill(n->id, value, n->size);
    l->n_notes++;
    if (n->forgets)
        journal_forget(l->journal, sl_str(LEDGER_OWNER), sl_slice(key, (size_t)length));
    else if (journal_note(l->journal, sl_str(LEDGER_OWNER), sl_slice(key, (size_t)length),
                          sl_slice(value, n->size)) == SL_OK)
        n->durable_at = disk_now(l->disk);
}

/* What was settled until now is known to be written from here on, with all writes kept. */
static void make_sure(struct ledger *l)
{
    const size_t now = disk_now(l->disk);
    for (size_t i = 0; i < l->n_entries; i++)
        for (uint32_t k = 0; k < l->entries[i]->w.items; k++)
            if (l->entries[i]->settled_at[k] != SIZE_MAX && l->entries[i]->sure_at[k] == SIZE_MAX)
                l->entries[i]->sure_at[k] = now;
}

static void work(struct ledger *l)
{
    struct journal_stats stats;
    l->now += (int64_t)(1 + roll(l, 50)) * 1000000;
    if (!atomic_exchange(&l->work_is_due, false))
        return;
    journal_work(l->journal);
    journal_read_stats(l->journal, &stats);
    if (stats.state == JOURNAL_OK)
        make_sure(l);
}

void ledger_run(struct ledger *l, unsigned steps)
{
    while (steps--) {
        const uint64_t kind = roll(l, 100);
        struct ledger_entry *e;
        if (kind < 35) {
            append(l);
        } else if (kind < 65) {
            ledger_wait(l);
            if ((e = pick_taken(l)))
                settle(l, e, roll(l, 3) != 0);
        } else if (kind < 72) {
            ledger_wait(l);
            if ((e = pick_taken(l))) {
                e->taken = false;
                journal_put_back(l->journal, e->w.seq);
            }
        } else if (kind < 85) {
            ledger_wait(l);
            (void)read_one(l);
        } else if (kind < 90) {
            if (!l->options.no_notes)
                note(l);
        } else {
            work(l);
        }
    }
    ledger_wait(l);
}

void ledger_drain(struct ledger *l)
{
    struct journal_stats stats;
    const size_t before = l->n_entries;
    /* The log tries again each second. */
    for (unsigned i = 0; i < 3; i++) {
        l->now += INT64_C(2000000000);
        journal_work(l->journal);
    }
    while (read_one(l))
        ;
    for (size_t i = 0; i < l->n_entries; i++)
        if (l->entries[i]->taken && is_open(l->entries[i]))
            settle(l, l->entries[i], true);
    assert_int_equal(ledger_unsettled(l), 0);
    journal_work(l->journal);
    journal_read_stats(l->journal, &stats);
    assert_string_equal(stats.text, "");
    assert_int_equal(stats.state, JOURNAL_OK);
    append(l);
    ledger_wait(l);
    assert_int_equal(l->entries[before]->state, ENTRY_DURABLE);
    if (!l->entries[before]->taken)
        assert_true(read_one(l));
    settle(l, l->entries[before], true);
    journal_read_stats(l->journal, &stats);
    assert_int_equal(stats.records, 0);
    assert_int_equal(stats.items, 0);
    assert_int_equal(stats.bytes, 0);
}

/* ---- life ---- */

struct disk *ledger_disk(void)
{
    struct disk *d = disk_create();
    assert_int_equal(disk_mkdir(d, "/data"), 0);
    disk_settle(d);
    return d;
}

struct ledger *ledger_create(struct disk *d, const struct ledger_options *o)
{
    struct ledger *l = calloc(1, sizeof *l);
    assert_non_null(l);
    l->disk = d;
    l->io = disk_journal_io(d);
    l->options = *o;
    l->seed = o->seed;
    l->now = INT64_C(1700000000000000000);
    pthread_mutex_init(&l->mutex, NULL);
    pthread_cond_init(&l->told, NULL);
    return l;
}

void ledger_config(const struct ledger *l, const struct journal_io *io, struct journal_config *c)
{
    *c = (struct journal_config){.directory = LEDGER_DIRECTORY,
                                 .stream = "in traces/in",
                                 .io = io,
                                 .segment_bytes = l->options.segment_bytes,
                                 .max_bytes = l->options.max_bytes,
                                 .durability = l->options.durability,
                                 .on_full = l->options.on_full,
                                 .now = ledger_clock,
                                 .now_arg = (void *)&l->now};
}

int32_t ledger_open(struct ledger *l)
{
    struct journal_config c;
    sl_error error = {.size = sizeof error};
    ledger_config(l, &l->io, &c);
    c.events = (struct journal_events){.ctx = l, .work = on_work, .ended = on_ended};
    l->life++;
    return journal_open(&c, &l->journal, &error);
}

void ledger_close(struct ledger *l)
{
    struct journal_stats stats;
    journal_read_stats(l->journal, &stats);
    const uint64_t failures = disk_failures(l->disk);
    l->copied += stats.copied_records;
    journal_close(l->journal);
    l->journal = NULL;
    assert_int_equal(l->pending, 0);
    if (stats.state == JOURNAL_OK && disk_failures(l->disk) == failures)
        make_sure(l);
    for (size_t i = 0; i < l->n_entries; i++)
        l->entries[i]->taken = false;
}

void ledger_destroy(struct ledger *l)
{
    if (l->journal)
        journal_close(l->journal);
    for (size_t i = 0; i < l->n_entries; i++)
        free(l->entries[i]);
    free(l->entries);
    free(l->notes);
    pthread_cond_destroy(&l->told);
    pthread_mutex_destroy(&l->mutex);
    free(l);
}

unsigned ledger_unsettled(const struct ledger *l)
{
    unsigned n = 0;
    for (size_t i = 0; i < l->n_entries; i++)
        n += l->entries[i]->state == ENTRY_DURABLE && is_open(l->entries[i]);
    return n;
}

bool ledger_is_open(const struct ledger *l)
{
    return l->journal;
}

struct ledger_counts ledger_count(const struct ledger *l)
{
    struct ledger_counts counts = {.copied = l->copied};
    for (size_t i = 0; i < l->n_entries; i++) {
        counts.refused += l->entries[i]->state == ENTRY_REFUSED;
        counts.failed += l->entries[i]->state == ENTRY_FAILED;
    }
    return counts;
}
