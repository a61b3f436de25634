/* The reader of a journal's stream: records that wait on disk become deliveries again, as long as
 * there is room for them. One job at a time reads; it gives its thread back after a while. */
#include "pipeline/delivery/metadata.h"
#include "pipeline/graph/stream_internal.h"
#include "pipeline/graph/workers.h"
#include "pipeline/journal/envelope.h"
#include "pipeline/telemetry/log.h"
#include <inttypes.h>
#include <stdlib.h>

enum { RECORDS_AT_ONCE = 64 };
static const int64_t first_backoff_ns = 1000000000, last_backoff_ns = INT64_C(30000000000);
static const int64_t no_memory_ns = 100000000;

enum progress {
    READ_ONE,  /* and there may be more */
    READ_DONE, /* nothing waits, or nothing can be done until something else happens */
    READ_LATER /* try again by itself, in a while */
};

/* ---- from a record to a delivery ---- */

/* Codecs know their encoding by a text that stays. NULL: no memory. */
static const char *encoding_text(struct stream *s, sl_bytes name)
{
    pthread_mutex_lock(&s->mutex);
    struct encoding_name *e = s->encodings;
    while (e && !sl_eq(sl_str(e->text), name))
        e = e->next;
    if (!e && (e = calloc(1, sizeof *e + name.n + 1))) {
        memcpy(e->text, name.p, name.n);
        e->next = s->encodings;
        s->encodings = e;
    }
    pthread_mutex_unlock(&s->mutex);
    return e ? e->text : NULL;
}

static const sl_metadata *metadata_of(const struct envelope *e, bool replayed)
{
    enum { FEW = 32 };
    sl_meta_entry few[FEW], *entries = few;
    if (e->n_entries > FEW && !(entries = malloc(e->n_entries * sizeof *entries)))
        return NULL;
    sl_bytes rest = e->entries;
    for (uint32_t i = 0; i < e->n_entries; i++)
        entries[i] = envelope_entry(&rest);
    const sl_metadata base = {.size = sizeof base,
                              .flags = e->metadata_flags | (replayed ? SL_META_REPLAYED : 0u),
                              .arrived_ns = e->arrived_ns};
    const sl_metadata *m = metadata_make(&base, entries, e->n_entries, e->arrived_ns);
    if (entries != few)
        free(entries);
    return m;
}

/* Closes the payload over what follows the head. */
static bool close_payload(struct stream *s, struct payload *p, const struct envelope *e,
                          uint32_t items)
{
    const char *encoding = e->encoding.n ? encoding_text(s, e->encoding) : NULL;
    if (e->encoding.n && !encoding)
        return false;
    payload_close_part(p, e->payload, e->signal, encoding, items);
    return true;
}

/* Only what is open goes on; the rest of the root had ended before the record was read. NULL: no
 * memory, and everything has ended as failed. */
static struct delivery *open_part(struct stream *s, struct delivery *root, struct flight *f)
{
    const uint32_t items = f->items;
    uint64_t *open = calloc((items + 63) / 64, sizeof *open);
    sl_piece *pieces = malloc(((size_t)items / 2 + 1) * sizeof *pieces);
    struct delivery *part = NULL;
    const struct ending failed = {.outcome = SL_FAILED, .status = SL_ERR_NOMEM, .why = "no_memory"};
    const struct ending before = {.outcome = SL_ABSORBED};
    if (open && pieces) {
        uint32_t n = 0;
        journal_open_items(s->log, f->seq, open);
        f->settled_before = true;
        for (uint32_t i = 0, end; i < items; i = end) {
            const bool is_open = open[i / 64] >> (i % 64) & 1;
            for (end = i + 1; end < items && (open[end / 64] >> (end % 64) & 1) == is_open; end++) {
            }
            const sl_piece piece = {.from = &root->pub, .first = i, .count = end - i};
            if (is_open)
                pieces[n++] = piece;
            else
                (void)delivery_settle(&piece, 1, &before, NULL);
        }
        if (n) { /* else it has made room for others meanwhile, and the flight is over */
            f->settled_before = false;
            (void)delivery_derive(s->runtime->memory, pieces, n, SL_ITEMWISE, NULL, NULL, NULL,
                                  &part);
        }
    }
    free(open);
    free(pieces);
    delivery_finish(root, &failed, NULL);
    return part;
}

/* ---- reading ---- */

/* The record has been read into the payload. */
static void offer(struct stream *s, struct payload *p, const struct journal_record *rec)
{
    struct envelope e;
    sl_error error = {.size = sizeof error};
    struct flight *f = NULL;
    struct delivery *root = NULL;
    if (envelope_open(sl_slice(p->buffer, rec->bytes), &e, &error) != SL_OK) {
        log_line(s->runtime->log, SL_LOG_ERROR, "journal \"%s\": record %" PRIu64 ": %s", s->name,
                 rec->seq, error.text);
        payload_unref(p);
        journal_quarantine(s->log, rec);
        return;
    }
    const sl_metadata *m = metadata_of(&e, rec->earlier);
    if (m && close_payload(s, p, &e, rec->items)) {
        root = stream_root(s, p, m, &f);
    } else {
        payload_unref(p);
        if (m)
            metadata_unref(m);
    }
    if (!root) {
        journal_put_back(s->log, rec->seq);
        stream_back_off(s);
        return;
    }
    stream_root_launch(root, f, rec->seq, rec->bytes);
    struct delivery *d = rec->partly ? open_part(s, root, f) : root;
    if (d)
        stream_deliver(s, d);
}

static bool has_room(struct stream *s)
{
    /* set first: `ready` may be called before has_room has returned */
    pthread_mutex_lock(&s->mutex);
    s->waits_for_outlet = true;
    pthread_mutex_unlock(&s->mutex);
    struct stream_way *way = stream_way_enter(s);
    const bool room = way->leads && way->outlet.has_room(way->outlet.ctx, &s->hear);
    stream_way_leave(way);
    if (room) {
        pthread_mutex_lock(&s->mutex);
        s->waits_for_outlet = false;
        pthread_mutex_unlock(&s->mutex);
    }
    return room;
}

static enum progress read_one(struct stream *s)
{
    struct journal_record rec;
    const int32_t found = journal_peek(s->log, &rec);
    if (found != SL_OK)
        return found == SL_ERR_NOT_FOUND ? READ_DONE : READ_LATER;
    if (!stream_window_open(s, rec.bytes) || !has_room(s))
        return READ_DONE;
    struct payload *p = payload_open(s->runtime->memory, rec.bytes);
    if (!p)
        return READ_LATER;
    const int32_t status = journal_take(s->log, &rec, p->buffer);
    if (status != SL_OK) {
        payload_unref(p);
        return status == SL_ERR_UNAVAILABLE ? READ_LATER : READ_ONE;
    }
    offer(s, p, &rec);
    return READ_ONE;
}

/* ---- when ---- */

/* What is there to be read may not be before this time. Mutex held. */
static void read_from(struct stream *s, int64_t at_ns)
{
    s->read_at_ns = at_ns;
    (void)clock_arm(s->runtime->clock, &s->read_timer, at_ns); /* has room: see clock_reserve */
}

/* Reads until there is nothing to do (true), or for long enough. */
static bool read_some(struct stream *s)
{
    for (uint32_t n = 0; n < RECORDS_AT_ONCE; n++) {
        pthread_mutex_lock(&s->mutex);
        s->read_again = false;
        s->reads_one = true;
        const bool wait = s->read_at_ns != 0;
        pthread_mutex_unlock(&s->mutex);
        const enum progress p = wait ? READ_DONE : read_one(s);
        pthread_mutex_lock(&s->mutex);
        if (p == READ_LATER)
            read_from(s, clock_now(s->runtime->clock) + no_memory_ns);
        const bool done = p != READ_ONE && !s->read_again;
        s->reading = !done;
        s->reads_one = false;
        pthread_cond_broadcast(&s->read_one);
        pthread_mutex_unlock(&s->mutex);
        if (done)
            return true;
    }
    return false;
}

static void read_job(void *arg)
{
    struct stream *s = arg;
    while (!read_some(s))
        if (!workers_run(s->runtime->workers, read_job, s))
            return; /* goes on behind what others want to have done */
    stream_unref(s);
}

void stream_wake(struct stream *s)
{
    if (!journal_waits(s->log))
        return;
    pthread_mutex_lock(&s->mutex);
    const bool begin = !s->reading && !s->waits_for_outlet && !s->read_at_ns && stream_try_ref(s);
    s->read_again = true;
    s->reading |= begin;
    pthread_mutex_unlock(&s->mutex);
    if (begin && workers_run(s->runtime->workers, read_job, s))
        read_job(s); /* no memory for handing it on: rather here than never */
}

void stream_back_off(struct stream *s)
{
    pthread_mutex_lock(&s->mutex);
    if (!s->read_at_ns) { /* what fails together is one failure */
        int64_t backoff = atomic_load_explicit(&s->backoff_ns, memory_order_relaxed) * 2;
        backoff = backoff < first_backoff_ns  ? first_backoff_ns
                  : backoff > last_backoff_ns ? last_backoff_ns
                                              : backoff;
        atomic_store_explicit(&s->backoff_ns, backoff, memory_order_relaxed);
        read_from(s, clock_now(s->runtime->clock) + backoff);
    }
    pthread_mutex_unlock(&s->mutex);
}

void stream_read_timer_fired(struct clock_timer *timer)
{
    struct stream *s =
        (struct stream *)(void *)((uint8_t *)timer - offsetof(struct stream, read_timer));
    pthread_mutex_lock(&s->mutex);
    s->read_at_ns = 0;
    pthread_mutex_unlock(&s->mutex);
    stream_wake(s);
}
