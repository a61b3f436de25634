/* The queue in front of an exporter, its consumers and its retries.
 *
 * At most num_consumers deliveries are in the exporter's hands or wait for a retry; the rest waits
 * in the queue, in order. An exporter with SL_ASYNC_SEND is handed its deliveries by whoever brings
 * them, or by whoever ends the one before (pump). Others have consumers: threads that sleep when
 * there is nothing to do, started one by one when work finds nobody idle. */
#include "pipeline/graph/sink.h"
#include "pipeline/graph/lane.h"
#include "pipeline/graph/queue_batch.h"
#include "pipeline/graph/retry.h"
#include "pipeline/graph/transcode.h"
#include "pipeline/process/fault.h"
#include "pipeline/telemetry/log.h"
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>

/* One delivery on its way out. */
struct attempt {
    struct sink *sink;
    struct delivery *d;
    uint32_t n; /* attempts made */
    int64_t first_ns, backoff_ns;
    uint64_t items, bytes; /* what the delivery counted for when it was queued */
    struct clock_timer timer;
    struct attempt *next; /* free, or due again */
    bool waiting;         /* for its timer */
    bool is_due;          /* its wait is over */
    sl_send send;
};

struct sink_waiter {
    struct lane *lane;
    struct sink_waiter *next;
};

struct sink {
    struct component *component;
    uint32_t signal;
    struct exporter_config config;
    struct ledger *ledger;
    const sl_async_send *async;    /* NULL: consumers are threads */
    pthread_mutex_t mutex;         /* guards what follows */
    pthread_cond_t work;           /* for consumers; and for sink_close, that sends have ended */
    bool pumping, pump_again;      /* someone hands out attempts; and shall look again */
    struct delivery *first, *last; /* the queue, or */
    struct queue_batch *batch;     /* one that merges; NULL: it does not */
    struct clock_timer flush;      /* of what has waited long enough in it */
    int64_t flush_ns;              /* when it fires; 0: it is not armed */
    uint64_t queued_requests, queued_items, queued_bytes;
    uint64_t out_requests, out_items, out_bytes; /* in attempts */
    struct attempt *attempts, *free, *due;
    pthread_t *threads;
    uint32_t n_threads, idle, in_flight, max_consumers;
    struct sink_waiter *waiters;
    _Atomic uint32_t waking; /* threads that poke waiters which they took from the list */
    struct sink *heir;       /* after a reload: gets all that is not being sent; or NULL */
    bool stopping;
    int64_t drain_deadline_ns; /* 0: not draining */
    uint64_t sends, retries;
    uint64_t left; /* items given up because the process ends */
    uint64_t random;
};

/* ---- the queue ---- */

static uint64_t size_locked(const struct sink *s)
{
    switch (s->config.sending_queue.sizer) {
    case SIZER_ITEMS:
        return s->queued_items;
    case SIZER_BYTES:
        return s->queued_bytes;
    default:
        return s->queued_requests;
    }
}

static bool is_full(const struct sink *s)
{
    return size_locked(s) >= s->config.sending_queue.queue_size;
}

static void timer_fired(struct clock_timer *);
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
        s->attempts[i].timer.fire = timer_fired;
        s->attempts[i].next = s->free;
        s->free = &s->attempts[i];
    }
    return s;
}

void sink_destroy(struct sink *s)
{
    if (!s)
        return;
    while (s->waiters) {
        struct sink_waiter *next = s->waiters->next;
        free(s->waiters);
        s->waiters = next;
    }
    clock_unreserve(s->component->runtime->clock, s->max_consumers + 1);
    queue_batch_destroy(s->batch);
    pthread_cond_destroy(&s->work);
    pthread_mutex_destroy(&s->mutex);
    free(s->attempts);
    free(s->threads);
    free(s);
}

static void *consume(void *);
static void pump(struct sink *);

/* Someone shall look at the work. Mutex held; an async sink is pumped once it is released. */
static void call_consumer(struct sink *s)
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
    if (pthread_create(&s->threads[s->n_threads], &attr, consume, s) == 0)
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

/* Is there something in the queue that can be sent now? Mutex held. */
static bool has_work(const struct sink *s)
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
    if (has_work(s)) /* where no attempt is free, the next one to be looks */
        call_consumer(s);
    else
        arm_flush(s);
    pthread_mutex_unlock(&s->mutex);
    pump(s);
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

static struct delivery *pop(struct sink *);

/* The next delivery to send; NULL: there is none now. Mutex held. */
static struct delivery *take(struct sink *s)
{
    struct queue_taken taken;
    if (!s->batch)
        return pop(s);
    struct delivery *d = queue_batch_take(s->batch, now_of(s), must_hurry(s), &taken);
    if (d)
        count_taken(s, &taken);
    arm_flush(s);
    return d;
}

/* Any delivery of the queue, as it is; NULL: it is empty. Mutex held. */
static struct delivery *pop(struct sink *s)
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

static void refuse(struct sink *s, struct delivery *d, int32_t status, uint32_t items)
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

/* `always`: also above the bound. */
static void enqueue(struct sink *s, struct delivery *d, bool always)
{
    const uint32_t items = d->pub.items;
    /* a queue that merges and splits wants what can be */
    const int32_t decoded = s->batch ? delivery_decode_for(s->component, &d) : SL_OK;
    always |= s->config.sending_queue.block_on_overflow;
    pthread_mutex_lock(&s->mutex);
    while (s->heir) {
        struct sink *heir = s->heir;
        pthread_mutex_unlock(&s->mutex);
        s = heir;
        pthread_mutex_lock(&s->mutex);
    }
    const int32_t status = decoded != SL_OK        ? decoded
                           : s->stopping           ? SL_ERR_SHUTDOWN
                           : !always && is_full(s) ? SL_ERR_FULL
                                                   : put(s, d);
    if (status == SL_OK && s->free && has_work(s))
        call_consumer(s);
    pthread_mutex_unlock(&s->mutex);
    if (status == SL_OK)
        pump(s);
    else
        refuse(s, d, status, items);
}

void sink_push(struct sink *s, struct delivery *d)
{
    ledger_add(&s->ledger->received, d->pub.items);
    enqueue(s, d, false);
}

bool sink_has_room(struct sink *s, struct lane *waiter)
{
    if (!s->config.sending_queue.block_on_overflow)
        return true; /* makes nobody wait: it refuses */
    pthread_mutex_lock(&s->mutex);
    if (s->heir) {
        struct sink *heir = s->heir;
        pthread_mutex_unlock(&s->mutex);
        return sink_has_room(heir, waiter);
    }
    const bool room = !is_full(s);
    if (!room && waiter) {
        const struct sink_waiter *w = s->waiters;
        while (w && w->lane != waiter)
            w = w->next;
        struct sink_waiter *more = w ? NULL : malloc(sizeof *more);
        if (more) {
            *more = (struct sink_waiter){.lane = waiter, .next = s->waiters};
            s->waiters = more;
        }
        if (!w && !more) { /* cannot be remembered: rather overshoot than wait for ever */
            pthread_mutex_unlock(&s->mutex);
            return true;
        }
    }
    pthread_mutex_unlock(&s->mutex);
    return room;
}

/* The waiters, if there are room and any. Mutex held. */
static struct sink_waiter *take_waiters(struct sink *s)
{
    struct sink_waiter *w = s->waiters;
    if (!w || is_full(s))
        return NULL;
    s->waiters = NULL;
    atomic_fetch_add(&s->waking, 1);
    return w;
}

static void poke(struct sink *s, struct sink_waiter *w)
{
    if (!w)
        return;
    while (w) {
        struct sink_waiter *next = w->next;
        lane_poke(w->lane);
        free(w);
        w = next;
    }
    atomic_fetch_sub(&s->waking, 1);
}

/* ---- attempts; on consumers ---- */

/* The attempt is free for another delivery. Mutex held. */
static void release_attempt(struct sink *s, struct attempt *a)
{
    a->d = NULL;
    s->out_requests--;
    s->out_items -= a->items;
    s->out_bytes -= a->bytes;
    a->next = s->free;
    s->free = a;
}

static void finish_attempt(struct attempt *a, const struct ending *e)
{
    struct sink *s = a->sink;
    delivery_finish(a->d, e, s->ledger);
    fault_point("export.settled");
    pthread_mutex_lock(&s->mutex);
    release_attempt(s, a);
    if (has_work(s))
        call_consumer(s);
    pthread_mutex_unlock(&s->mutex);
}

static bool cut_rest(const struct sink *, struct delivery **);

/* After a reload: what this sink does not send any more. A queue that merges wants whole ones. */
static void hand_on(struct sink *heir, struct delivery *d)
{
    if (cut_rest(heir, &d))
        enqueue(heir, d, true);
    else
        refuse(heir, d, SL_ERR_NOMEM, d->pub.unclaimed);
}

/* After a reload another sink makes the next attempt. False: there is none. */
static bool leave_to_heir(struct attempt *a)
{
    struct sink *s = a->sink;
    pthread_mutex_lock(&s->mutex);
    struct sink *heir = s->heir;
    struct delivery *d = a->d;
    if (heir)
        release_attempt(s, a);
    pthread_mutex_unlock(&s->mutex);
    if (heir)
        hand_on(heir, d);
    return heir != NULL;
}

/* Its wait is over. Mutex held. */
static void make_due(struct sink *s, struct attempt *a)
{
    a->waiting = false;
    a->is_due = true;
    a->next = s->due;
    s->due = a;
    call_consumer(s);
}

static void timer_fired(struct clock_timer *timer)
{
    struct attempt *a =
        (struct attempt *)(void *)((uint8_t *)timer - offsetof(struct attempt, timer));
    struct sink *s = a->sink;
    pthread_mutex_lock(&s->mutex);
    if (a->waiting)
        make_due(s, a);
    pthread_mutex_unlock(&s->mutex);
    pump(s);
}

static bool is_for_good(int32_t status)
{
    switch (status) {
    case SL_ERR_INVALID:
    case SL_ERR_UNSUPPORTED:
    case SL_ERR_REJECTED:
    case SL_ERR_TOO_LARGE:
    case SL_ERR_DENIED:
        return true;
    default:
        return false;
    }
}

static void log_failure(const struct sink *s, const struct attempt *a, const char *what,
                        int64_t delay_ns)
{
    struct log *log = s->component->runtime->log;
    const int32_t level = delay_ns >= 0 ? SL_LOG_INFO : SL_LOG_ERROR;
    if (!log_enabled(log, level))
        return;
    char items[24], delay[32], attempts[16];
    (void)snprintf(items, sizeof items, "%" PRIu32, a->d->pub.unclaimed);
    (void)snprintf(attempts, sizeof attempts, "%" PRIu32, a->n);
    (void)snprintf(delay, sizeof delay, "%.3fs", (double)(delay_ns < 0 ? 0 : delay_ns) / 1e9);
    const sl_log_field fields[] = {
        {"error", sl_str(a->send.error.text)},
        {"items", sl_str(items)},
        {"attempts", sl_str(attempts)},
        {"interval", sl_str(delay)},
    };
    log_write(log, level, sl_str(what), (struct log_fields){s->component->log_fields, 2},
              (struct log_fields){fields, delay_ns >= 0 ? 4 : 3});
}

/* Only what is not claimed goes again, or on. False: no memory for cutting it out. */
static bool cut_rest(const struct sink *s, struct delivery **d)
{
    struct delivery *whole = *d, *rest = NULL;
    if (whole->pub.unclaimed == whole->pub.items)
        return true;
    const uint32_t n = delivery_unclaimed(whole, NULL, 0);
    sl_piece *pieces = malloc(n * sizeof *pieces);
    if (pieces) {
        (void)delivery_unclaimed(whole, pieces, n);
        (void)delivery_derive(s->component->runtime->memory, pieces, n, SL_ITEMWISE, NULL, NULL,
                              NULL, &rest);
        free(pieces);
    }
    if (!rest)
        return false;
    const struct ending none = {.outcome = SL_DELIVERED};
    delivery_finish(whole, &none, NULL);
    *d = rest;
    return true;
}

static void retry_later(struct attempt *a, int64_t delay_ns)
{
    struct sink *s = a->sink;
    struct clock *clock = s->component->runtime->clock;
    fault_point("export.before_retry");
    pthread_mutex_lock(&s->mutex);
    s->retries++;
    if (s->stopping) {
        pthread_mutex_unlock(&s->mutex);
        return; /* sink_close finds it */
    }
    a->waiting = true;
    pthread_mutex_unlock(&s->mutex);
    if (clock_arm(clock, &a->timer, clock_now(clock) + delay_ns))
        timer_fired(&a->timer); /* no memory for the timer: rather at once than never */
}

/* Cuts out what is left, decodes it, and fills the sl_send. */
static int32_t prepare(struct attempt *a)
{
    struct sink *s = a->sink;
    struct component *c = s->component;
    const int64_t now = clock_now(c->runtime->clock);
    a->send =
        (sl_send){.size = sizeof a->send, .attempt = a->n, .error = {.size = sizeof(sl_error)}};
    const int32_t status = cut_rest(s, &a->d) ? delivery_decode_for(c, &a->d) : SL_ERR_NOMEM;
    if (!a->n++)
        a->first_ns = now;
    const int64_t deadline = __atomic_load_n(&s->drain_deadline_ns, __ATOMIC_RELAXED);
    a->send.deadline_ns = s->config.timeout ? now + s->config.timeout : 0;
    if (deadline && (!a->send.deadline_ns || deadline < a->send.deadline_ns))
        a->send.deadline_ns = deadline;
    if (status != SL_OK)
        (void)sl_fail(&a->send.error, status,
                      status == SL_ERR_NOMEM ? "no memory to prepare the data for sending"
                                             : "no codec can decode the data for this exporter");
    fault_point("export.before_send");
    return status;
}

static void count_left(struct sink *s, uint32_t items)
{
    pthread_mutex_lock(&s->mutex);
    s->left += items;
    pthread_mutex_unlock(&s->mutex);
}

/* The attempt has ended with this status: what is unclaimed ends, or is tried again later. */
static void conclude(struct attempt *a, int32_t status)
{
    struct sink *s = a->sink;
    struct clock *clock = s->component->runtime->clock;
    const sl_send *send = &a->send;
    fault_point("export.answered");
    if (status == SL_OK || !a->d->pub.unclaimed) {
        finish_attempt(a, &(struct ending){.outcome = SL_DELIVERED});
        return;
    }
    struct ending e = {.outcome = SL_REJECTED,
                       .status = status,
                       .retry_after_ns = send->retry_after_ns,
                       .why = send->why ? send->why : "rejected"};
    if (is_for_good(status)) {
        log_failure(s, a, "Exporting failed. The error is not retryable. Dropping data.", -1);
        finish_attempt(a, &e);
        return;
    }
    e.outcome = SL_FAILED;
    e.why = send->why ? send->why : "send_failed";
    const struct retry_config *r = &s->config.retry_on_failure;
    if (!r->enabled) {
        log_failure(s, a, "Exporting failed. Retries are off. Dropping data.", -1);
        finish_attempt(a, &e);
        return;
    }
    if (leave_to_heir(a))
        return;
    const int64_t delay = retry_delay(r, &a->backoff_ns, send->retry_after_ns, &s->random);
    const int64_t again = clock_now(clock) + delay;
    const int64_t deadline = __atomic_load_n(&s->drain_deadline_ns, __ATOMIC_RELAXED);
    const bool too_late = deadline && again > deadline;
    if (too_late || (r->max_elapsed_time && again - a->first_ns > r->max_elapsed_time)) {
        log_failure(s, a, "Exporting failed. No more retries left. Dropping data.", -1);
        e.outcome = too_late ? SL_FAILED : SL_EXPIRED;
        e.why = too_late ? "shutdown" : "max_elapsed_time";
        if (too_late)
            count_left(s, a->d->pub.unclaimed);
        finish_attempt(a, &e);
        return;
    }
    log_failure(s, a, "Exporting failed. Will retry the request after interval.", delay);
    retry_later(a, delay);
}

/* The next attempt to make, or NULL. Mutex held. */
static struct attempt *next_attempt(struct sink *s, struct sink_waiter **wake)
{
    struct attempt *a = s->due;
    if (a) {
        s->due = a->next;
        a->is_due = false;
        s->in_flight++;
        s->sends++;
        return a;
    }
    struct delivery *d = s->free ? take(s) : NULL;
    if (!d)
        return NULL;
    a = s->free;
    s->free = a->next;
    a->d = d;
    a->n = 0;
    a->backoff_ns = 0;
    a->items = a->d->pub.items;
    a->bytes = a->d->pub.payload ? a->d->pub.payload->bytes : 0;
    s->out_requests++;
    s->out_items += a->items;
    s->out_bytes += a->bytes;
    s->in_flight++;
    s->sends++;
    *wake = take_waiters(s);
    return a;
}

/* A send has ended. Mutex held. */
static void leave_flight(struct sink *s)
{
    if (--s->in_flight == 0 && s->stopping)
        pthread_cond_broadcast(&s->work);
}

static void *consume(void *arg)
{
    struct sink *s = arg;
    pthread_mutex_lock(&s->mutex);
    while (!s->stopping) {
        struct sink_waiter *wake = NULL;
        struct attempt *a = next_attempt(s, &wake);
        if (!a) {
            s->idle++;
            pthread_cond_wait(&s->work, &s->mutex);
            s->idle--;
            continue;
        }
        /* `idle` counts a woken thread until it runs: what came in the meantime woke nobody else */
        if (s->due || (s->free && has_work(s)))
            call_consumer(s);
        pthread_mutex_unlock(&s->mutex);
        poke(s, wake);
        int32_t status = prepare(a);
        if (status == SL_OK)
            status = s->component->type->send(s->component->self, &a->d->pub, &a->send);
        conclude(a, status);
        pthread_mutex_lock(&s->mutex);
        leave_flight(s);
    }
    pthread_mutex_unlock(&s->mutex);
    return NULL;
}

static void on_sent(void *ctx, int32_t status)
{
    struct attempt *a = ctx;
    struct sink *s = a->sink;
    conclude(a, status);
    pump(s);
    pthread_mutex_lock(&s->mutex);
    leave_flight(s); /* last: from here on the sink may be closed */
    pthread_mutex_unlock(&s->mutex);
}

/* Hands out attempts while there are any. One thread at a time, so that an exporter that answers at
 * once is not called from within its own answer again and again. */
static void pump(struct sink *s)
{
    if (!s->async)
        return;
    pthread_mutex_lock(&s->mutex);
    s->pump_again = true;
    if (s->pumping) {
        pthread_mutex_unlock(&s->mutex);
        return;
    }
    s->pumping = true;
    while (s->pump_again) {
        struct sink_waiter *wake = NULL;
        struct attempt *a = s->stopping ? NULL : next_attempt(s, &wake);
        if (!a) {
            s->pump_again = false;
            break;
        }
        pthread_mutex_unlock(&s->mutex);
        poke(s, wake);
        int32_t status = prepare(a);
        if (status == SL_OK)
            status = s->async->begin(s->component->self, &a->d->pub, &a->send, on_sent, a);
        if (status != SL_OK) {
            conclude(a, status);
            pthread_mutex_lock(&s->mutex);
            leave_flight(s);
            continue;
        }
        pthread_mutex_lock(&s->mutex);
    }
    s->pumping = false;
    if (s->stopping)
        pthread_cond_broadcast(&s->work);
    pthread_mutex_unlock(&s->mutex);
}

void sink_started(struct sink *s)
{
    const struct component *c = s->component;
    if (c->type->interface_of)
        s->async = c->type->interface_of(c->self, SL_ASYNC_SEND);
}

/* ---- after a reload ---- */

void sink_hand_over(struct sink *s, struct sink *heir)
{
    pthread_mutex_lock(&s->mutex);
    s->heir = heir;
    struct delivery *first = NULL, *last = NULL, *d;
    while ((d = pop(s))) {
        if (last)
            last->next = d;
        else
            first = d;
        last = d;
    }
    s->due = NULL;
    for (uint32_t i = 0; i < s->max_consumers; i++) {
        struct attempt *a = &s->attempts[i];
        if (!a->waiting && !a->is_due)
            continue;
        d = a->d; /* older than what is queued */
        a->waiting = a->is_due = false;
        release_attempt(s, a);
        d->next = first;
        first = d;
    }
    struct sink_waiter *wake = take_waiters(s);
    pthread_mutex_unlock(&s->mutex);
    while ((d = first)) {
        first = d->next;
        d->next = NULL;
        hand_on(heir, d);
    }
    poke(s, wake);
}

void sink_forget_gone(struct sink *s)
{
    pthread_mutex_lock(&s->mutex);
    for (struct sink_waiter **at = &s->waiters; *at;) {
        struct sink_waiter *w = *at;
        if (w->lane->closed) {
            *at = w->next;
            free(w);
        } else {
            at = &w->next;
        }
    }
    pthread_mutex_unlock(&s->mutex);
    while (atomic_load(&s->waking))
        sched_yield(); /* someone is poking those that it took from the list */
}

/* ---- ending ---- */

void sink_drain(struct sink *s, int64_t deadline_ns)
{
    __atomic_store_n(&s->drain_deadline_ns, deadline_ns, __ATOMIC_RELAXED);
    pthread_mutex_lock(&s->mutex);
    for (uint32_t i = 0; i < s->max_consumers; i++) { /* waiting retries are tried now */
        struct attempt *a = &s->attempts[i];
        if (a->waiting)
            make_due(s, a);
    }
    if (has_work(s)) /* what waited for more to come need not any longer */
        call_consumer(s);
    pthread_mutex_unlock(&s->mutex);
    pump(s);
}

bool sink_is_empty(struct sink *s)
{
    pthread_mutex_lock(&s->mutex);
    const bool empty = !s->queued_requests && !s->out_requests;
    pthread_mutex_unlock(&s->mutex);
    return empty;
}

uint64_t sink_close(struct sink *s)
{
    const struct ending e = {.outcome = SL_FAILED, .status = SL_ERR_SHUTDOWN, .why = "shutdown"};
    pthread_mutex_lock(&s->mutex);
    s->stopping = true;
    pthread_cond_broadcast(&s->work);
    while (s->async && (s->in_flight || s->pumping))
        pthread_cond_wait(&s->work, &s->mutex);
    pthread_mutex_unlock(&s->mutex);
    for (uint32_t i = 0; i < s->n_threads; i++)
        pthread_join(s->threads[i], NULL);
    s->n_threads = 0;
    clock_disarm(s->component->runtime->clock, &s->flush);
    uint64_t items = s->left;
    s->left = 0;
    for (uint32_t i = 0; i < s->max_consumers; i++) {
        struct attempt *a = &s->attempts[i];
        clock_disarm(s->component->runtime->clock, &a->timer);
        if (a->d) {
            items += a->d->pub.unclaimed;
            finish_attempt(a, &e);
        }
    }
    for (struct delivery *d; (d = pop(s));) {
        items += d->pub.unclaimed;
        delivery_finish(d, &e, s->ledger);
    }
    return items;
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
