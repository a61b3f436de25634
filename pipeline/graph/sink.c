/* The queue in front of an exporter: what waits in it, who waits for room in it. */
#include "pipeline/graph/sink_internal.h"
#include "pipeline/graph/transcode.h"
#include <stdlib.h>

/* ---- the queue ---- */

static uint64_t size_locked(const struct sink *s)
{
    if (s->store == STORE_ALL)
        return stream_size(s->stream, s->config.sending_queue.sizer);
    switch (s->config.sending_queue.sizer) {
    case SIZER_ITEMS:
        return s->queued_items;
    case SIZER_BYTES:
        return s->queued_bytes;
    default:
        return s->queued_requests;
    }
}

bool sink_is_full(const struct sink *s)
{
    /* what is kept on disk anyway need not fill the memory, however much the queue may hold */
    if (atomic_load_explicit(&s->waits_for_store, memory_order_relaxed) &&
        s->queued_bytes >= SINK_KEPT_BYTES)
        return true;
    return size_locked(s) >= s->config.sending_queue.queue_size;
}

static void flush_fired(struct clock_timer *);

struct sink *sink_create(struct component *c, uint32_t signal)
{
    struct sink *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->component = c;
    s->signal = signal;
    s->config = *c->exporter;
    s->ledger = &c->ledgers[signal_index(signal)];
    s->max_consumers = s->config.sending_queue.num_consumers;
    s->random =
        (uint64_t)(uintptr_t)s ^ (uint64_t)clock_now(c->runtime->clock) ^ 0x9e3779b97f4a7c15;
    s->attempts = calloc(s->max_consumers, sizeof *s->attempts);
    s->threads = calloc(s->max_consumers, sizeof *s->threads);
    s->flush.fire = flush_fired;
    const struct queue_config *queue = &s->config.sending_queue;
    if (queue->batch_present)
        s->batch = queue_batch_create(&queue->batch, c->runtime->memory);
    const bool timed = !clock_reserve(c->runtime->clock, s->max_consumers + 1);
    if (!s->attempts || !s->threads || !timed || (queue->batch_present && !s->batch) ||
        pthread_mutex_init(&s->mutex, NULL)) {
        if (timed)
            clock_unreserve(c->runtime->clock, s->max_consumers + 1);
        queue_batch_destroy(s->batch);
        free(s->attempts);
        free(s->threads);
        free(s);
        return NULL;
    }
    pthread_cond_init(&s->work, NULL);
    for (uint32_t i = 0; i < s->max_consumers; i++) {
        s->attempts[i].sink = s;
        s->attempts[i].timer.fire = sink_timer_fired;
        s->attempts[i].next = s->free;
        s->free = &s->attempts[i];
    }
    return s;
}

void sink_destroy(struct sink *s)
{
    if (!s)
        return;
    waiters_free(s->waiters);
    sink_release_store(s);
    clock_unreserve(s->component->runtime->clock, s->max_consumers + 1);
    queue_batch_destroy(s->batch);
    pthread_cond_destroy(&s->work);
    pthread_mutex_destroy(&s->mutex);
    free(s->attempts);
    free(s->threads);
    free(s);
}

void sink_call_consumer(struct sink *s)
{
    if (s->async)
        return;
    if (s->idle) {
        pthread_cond_signal(&s->work);
        return;
    }
    if (s->n_threads == s->max_consumers || s->stopping)
        return;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 512 * 1024);
    if (pthread_create(&s->threads[s->n_threads], &attr, sink_consume, s) == 0)
        s->n_threads++;
    pthread_attr_destroy(&attr);
}

/* Nothing in the queue waits for more to come. Mutex held. */
static bool must_hurry(const struct sink *s)
{
    return __atomic_load_n(&s->drain_deadline_ns, __ATOMIC_RELAXED) != 0;
}

static int64_t now_of(const struct sink *s)
{
    return clock_now(s->component->runtime->clock);
}

bool sink_has_work(const struct sink *s)
{
    return s->batch ? queue_batch_ready(s->batch, now_of(s), must_hurry(s)) : s->first != NULL;
}

/* Someone looks when the next batch has waited long enough. Mutex held. */
static void arm_flush(struct sink *s)
{
    const int64_t at = s->batch ? queue_batch_deadline(s->batch) : INT64_MAX;
    if (at == INT64_MAX || (s->flush_ns && s->flush_ns <= at))
        return;
    s->flush_ns = at;
    (void)clock_arm(s->component->runtime->clock, &s->flush, at); /* has room: see clock_reserve */
}

static void flush_fired(struct clock_timer *timer)
{
    struct sink *s = (struct sink *)(void *)((uint8_t *)timer - offsetof(struct sink, flush));
    pthread_mutex_lock(&s->mutex);
    s->flush_ns = 0;
    if (sink_has_work(s)) /* where no attempt is free, the next one to be looks */
        sink_call_consumer(s);
    else
        arm_flush(s);
    pthread_mutex_unlock(&s->mutex);
    sink_pump(s);
}

/* Puts it into the queue. Mutex held. */
static int32_t put(struct sink *s, struct delivery *d)
{
    const uint64_t bytes = d->pub.payload ? d->pub.payload->bytes : 0;
    if (s->batch) {
        const int32_t status = queue_batch_add(s->batch, d, now_of(s));
        if (status != SL_OK)
            return status;
        arm_flush(s);
    } else {
        d->next = NULL;
        if (s->last)
            s->last->next = d;
        else
            s->first = d;
        s->last = d;
    }
    s->queued_requests++;
    s->queued_items += d->pub.items;
    s->queued_bytes += bytes;
    return SL_OK;
}

static void count_taken(struct sink *s, const struct queue_taken *t)
{
    s->queued_requests -= (uint64_t)t->requests;
    s->queued_items -= (uint64_t)t->items;
    s->queued_bytes -= (uint64_t)t->bytes;
}

struct delivery *sink_take(struct sink *s)
{
    struct queue_taken taken;
    if (!s->batch)
        return sink_pop(s);
    struct delivery *d = queue_batch_take(s->batch, now_of(s), must_hurry(s), &taken);
    if (d)
        count_taken(s, &taken);
    arm_flush(s);
    return d;
}

struct delivery *sink_pop(struct sink *s)
{
    struct delivery *d = s->first;
    struct queue_taken taken = {.requests = 1};
    if (s->batch) {
        d = queue_batch_pop(s->batch, &taken);
    } else if (d) {
        s->first = d->next;
        if (!s->first)
            s->last = NULL;
        d->next = NULL;
        taken.items = d->pub.items;
        taken.bytes = d->pub.payload ? (int64_t)d->pub.payload->bytes : 0;
    }
    if (d)
        count_taken(s, &taken);
    return d;
}

void sink_refuse(struct sink *s, struct delivery *d, int32_t status, uint32_t items)
{
    const char *why = status == SL_ERR_SHUTDOWN    ? "shutdown"
                      : status == SL_ERR_FULL      ? "queue_full"
                      : status == SL_ERR_TOO_LARGE ? "partition_key"
                                                   : "no_memory";
    const struct ending e = {.outcome = status == SL_ERR_TOO_LARGE ? SL_REJECTED : SL_FAILED,
                             .status = status,
                             .why = why};
    ledger_add(&s->ledger->enqueue_failed, items);
    delivery_finish(d, &e, s->ledger);
}

bool sink_makes_wait(const struct sink *s)
{
    return s->config.sending_queue.block_on_overflow || atomic_load(&s->waits_for_store);
}

void sink_enqueue(struct sink *s, struct delivery *d, bool always)
{
    const uint32_t items = d->pub.items;
    /* a queue that merges and splits wants what can be */
    const int32_t decoded = s->batch ? delivery_decode_for(s->component, &d) : SL_OK;
    always |= sink_makes_wait(s);
    pthread_mutex_lock(&s->mutex);
    for (struct sink *heir; (heir = atomic_load(&s->heir));) {
        pthread_mutex_unlock(&s->mutex);
        s = heir;
        pthread_mutex_lock(&s->mutex);
    }
    const int32_t status = decoded != SL_OK             ? decoded
                           : s->stopping                ? SL_ERR_SHUTDOWN
                           : !always && sink_is_full(s) ? SL_ERR_FULL
                                                        : put(s, d);
    if (status == SL_OK && s->free && sink_has_work(s))
        sink_call_consumer(s);
    pthread_mutex_unlock(&s->mutex);
    if (status == SL_OK)
        sink_pump(s);
    else
        sink_refuse(s, d, status, items);
}

/* The sink that has taken this one's place, if any. */
static struct sink *heir_of(struct sink *s)
{
    for (struct sink *heir; (heir = atomic_load(&s->heir));)
        s = heir;
    return s;
}

void sink_push(struct sink *s, struct delivery *d, struct delivery *run)
{
    ledger_add(&s->ledger->received, d->pub.items);
    s = heir_of(s);
    if (!s->stream || !sink_to_store(s, d, run))
        sink_enqueue(s, d, false);
}

bool sink_has_room(struct sink *s, struct lane *waiter)
{
    s = heir_of(s);
    if (!sink_makes_wait(s))
        return true;
    if (s->stream && !sink_store_takes(s, waiter))
        return false;
    if (s->store == STORE_OVERFLOW)
        return true;
    pthread_mutex_lock(&s->mutex);
    bool room = !sink_is_full(s);
    if (!room && waiter) /* who cannot be remembered rather overshoots than waits for ever */
        room = !waiters_add(&s->waiters, NULL, NULL, waiter);
    pthread_mutex_unlock(&s->mutex);
    return room;
}

struct sink_wake sink_take_waiters(struct sink *s)
{
    struct sink_wake wake = {0};
    if (s->store_waits && sink_store_room(s)) {
        wake.store = s->store_waits;
        s->store_waits = NULL;
    }
    if (s->waiters && !sink_is_full(s)) {
        wake.waiters = s->waiters;
        s->waiters = NULL;
    }
    if (wake.store || wake.waiters)
        atomic_fetch_add(&s->waking, 1);
    return wake;
}

void sink_poke(struct sink *s, struct sink_wake wake)
{
    if (!wake.store && !wake.waiters)
        return;
    if (wake.store)
        wake.store->ready(wake.store->ctx);
    waiters_tell(wake.waiters);
    atomic_fetch_sub(&s->waking, 1);
}

void sink_keep(struct sink *s, int64_t max_age_ns, bool makes_wait)
{
    atomic_store(&s->max_age_ns, max_age_ns);
    atomic_store(&s->waits_for_store, makes_wait);
}

void sink_read(struct sink *s, struct sink_stats *out)
{
    pthread_mutex_lock(&s->mutex);
    *out = (struct sink_stats){
        .component = s->component,
        .signal = s->signal,
        .requests = s->queued_requests + s->out_requests,
        .items = s->queued_items + s->out_items,
        .bytes = s->queued_bytes + s->out_bytes,
        .size = size_locked(s),
        .capacity = s->config.sending_queue.queue_size,
        .in_flight = s->in_flight,
        .attempts = s->sends,
        .retries = s->retries,
    };
    pthread_mutex_unlock(&s->mutex);
}
