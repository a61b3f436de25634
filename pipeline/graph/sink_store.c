/* What waits in front of an exporter on disk: all of it, where the config asks for that
 * (sending_queue.storage); or, behind a pipeline's journal, what cannot be sent soon, so that the
 * journal's records end and the exporters beside it are not held up. */
#include "pipeline/graph/sink_internal.h"

enum { READ_AHEAD_BYTES = 4 << 20 };

int32_t sink_open_store(struct sink *s, const struct stream_options *o, bool all, sl_error *error)
{
    if (s->stream) /* over a reload */
        return SL_OK;
    s->stream = stream_open(s->component->runtime, o, error);
    if (!s->stream)
        return error->code;
    s->store = all ? STORE_ALL : STORE_OVERFLOW;
    s->overflows = stream_size(s->stream, SIZER_REQUESTS) > 0;
    return SL_OK;
}

void sink_release_store(struct sink *s)
{
    sink_leave_store(s);
    stream_release(s->stream);
    s->stream = NULL;
    s->store = STORE_NOTHING;
}

bool sink_stores_all(const struct sink *s)
{
    return s->store == STORE_ALL;
}

/* ---- from disk ---- */

bool sink_store_room(const struct sink *s)
{
    return s->queued_bytes < READ_AHEAD_BYTES &&
           (s->batch || s->queued_requests < s->max_consumers);
}

static bool has_room(void *ctx, const sl_hear *ready)
{
    struct sink *s = ctx;
    pthread_mutex_lock(&s->mutex);
    const bool room = sink_store_room(s);
    if (!room && ready)
        s->store_waits = ready;
    pthread_mutex_unlock(&s->mutex);
    return room;
}

/* In the ledger what lies on disk has been absorbed, and what is read is received again. */
static void push(void *ctx, struct delivery *d)
{
    struct sink *s = ctx;
    ledger_add(&s->ledger->received, d->pub.items);
    sink_enqueue(s, d, true);
}

/* Where the bound counts what is on disk, room comes up when that ends. */
static void fell(void *ctx)
{
    struct sink *s = ctx;
    pthread_mutex_lock(&s->mutex);
    struct sink_wake wake = sink_take_waiters(s);
    pthread_mutex_unlock(&s->mutex);
    sink_poke(s, wake);
}

static void forget(void *ctx, const sl_hear *ready)
{
    struct sink *s = ctx;
    (void)ready;
    pthread_mutex_lock(&s->mutex);
    s->store_waits = NULL;
    pthread_mutex_unlock(&s->mutex);
    sink_forget_gone(s); /* waits for those who are telling */
}

void sink_lead_store(struct sink *s)
{
    const struct stream_outlet outlet = {.ctx = s,
                                         .has_room = has_room,
                                         .push = push,
                                         .fell = s->store == STORE_ALL ? fell : NULL,
                                         .forget = forget};
    if (s->stream)
        stream_lead(s->stream, &outlet);
}

void sink_leave_store(struct sink *s)
{
    if (s->stream)
        stream_leave(s->stream, s);
}

/* ---- to disk ---- */

void sink_overflow(struct sink *s)
{
    struct delivery *first = NULL, *last = NULL, *d;
    pthread_mutex_lock(&s->mutex);
    const bool begins = !s->overflows;
    s->overflows = true;
    while (begins && (d = sink_pop(s))) {
        if (last)
            last->next = d;
        else
            first = d;
        last = d;
    }
    struct sink_wake wake = sink_take_waiters(s); /* the queue is empty now */
    pthread_mutex_unlock(&s->mutex);
    while ((d = first)) {
        first = d->next;
        d->next = NULL;
        stream_push(s->stream, d, NULL, s->ledger, &s->storing);
    }
    sink_poke(s, wake);
}

/* Does the destination keep all attempts waiting? What comes now would wait for long, and with it the
 * journal's records, which the other exporters would get again after a crash. Mutex held. */
static bool is_stalled(const struct sink *s)
{
    return !s->free && clock_now(s->component->runtime->clock) - s->busy_since_ns > SINK_STALLED_NS;
}

/* May what comes now go into memory alone? Not behind what is on disk. */
static bool is_direct(struct sink *s)
{
    pthread_mutex_lock(&s->mutex);
    if (s->overflows && !stream_size(s->stream, SIZER_REQUESTS))
        s->overflows = false;
    const bool direct = !s->overflows && !sink_is_full(s) && !is_stalled(s);
    pthread_mutex_unlock(&s->mutex);
    return direct;
}

bool sink_to_store(struct sink *s, struct delivery *d, struct delivery *run)
{
    if (s->store == STORE_OVERFLOW) {
        if (is_direct(s))
            return false;
        sink_overflow(s);
    } else if (!sink_makes_wait(s) && sink_is_full(s)) {
        sink_refuse(s, d, SL_ERR_FULL, d->pub.items);
        return true;
    }
    stream_push(s->stream, d, run, s->ledger, &s->storing);
    return true;
}

bool sink_store_takes(struct sink *s, struct lane *waiter)
{
    return stream_room(s->stream, NULL, NULL, waiter) != SL_ERR_FULL;
}
