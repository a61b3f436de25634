/* Sending: attempts, their retries, and who makes them.
 *
 * At most num_consumers deliveries are in the exporter's hands or wait for a retry; the rest waits
 * in the queue, in order. An exporter with SL_ASYNC_SEND is handed its deliveries by whoever brings
 * them, or by whoever ends the one before (sink_pump). Others have consumers: threads that sleep
 * when there is nothing to do, started one by one when work finds nobody idle. */
#include "pipeline/graph/retry.h"
#include "pipeline/graph/sink_internal.h"
#include "pipeline/graph/transcode.h"
#include "pipeline/process/fault.h"
#include "pipeline/telemetry/log.h"
#include <inttypes.h>
#include <stdlib.h>

void sink_release_attempt(struct sink *s, struct attempt *a)
{
    a->d = NULL;
    s->out_requests--;
    s->out_items -= a->items;
    s->out_bytes -= a->bytes;
    a->next = s->free;
    s->free = a;
}

void sink_finish_attempt(struct attempt *a, const struct ending *e)
{
    struct sink *s = a->sink;
    delivery_finish(a->d, e, s->ledger);
    fault_point("export.settled");
    pthread_mutex_lock(&s->mutex);
    sink_release_attempt(s, a);
    if (sink_has_work(s))
        sink_call_consumer(s);
    pthread_mutex_unlock(&s->mutex);
}

static bool cut_rest(const struct sink *, struct delivery **);

/* After a reload: what this sink does not send any more. A queue that merges wants whole ones. */
void sink_hand_on(struct sink *heir, struct delivery *d)
{
    if (cut_rest(heir, &d))
        sink_enqueue(heir, d, true);
    else
        sink_refuse(heir, d, SL_ERR_NOMEM, d->pub.unclaimed);
}

/* After a reload another sink makes the next attempt. False: there is none. */
static bool leave_to_heir(struct attempt *a)
{
    struct sink *s = a->sink;
    pthread_mutex_lock(&s->mutex);
    struct sink *heir = atomic_load(&s->heir);
    struct delivery *d = a->d;
    if (heir)
        sink_release_attempt(s, a);
    pthread_mutex_unlock(&s->mutex);
    if (heir)
        sink_hand_on(heir, d);
    return heir != NULL;
}

void sink_make_due(struct sink *s, struct attempt *a)
{
    a->waiting = false;
    a->is_due = true;
    a->next = s->due;
    s->due = a;
    sink_call_consumer(s);
}

void sink_timer_fired(struct clock_timer *timer)
{
    struct attempt *a =
        (struct attempt *)(void *)((uint8_t *)timer - offsetof(struct attempt, timer));
    struct sink *s = a->sink;
    pthread_mutex_lock(&s->mutex);
    if (a->waiting)
        sink_make_due(s, a);
    pthread_mutex_unlock(&s->mutex);
    sink_pump(s);
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
        sink_timer_fired(&a->timer); /* no memory for the timer: rather at once than never */
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

/* 0: for ever. */
static int64_t longest_retry(const struct sink *s)
{
    const struct retry_config *r = &s->config.retry_on_failure;
    const int64_t max_age = atomic_load(&s->max_age_ns);
    return max_age && !r->max_elapsed_given ? max_age : r->max_elapsed_time;
}

/* The attempt has ended with this status: what is unclaimed ends, or is tried again later. */
static void conclude(struct attempt *a, int32_t status)
{
    struct sink *s = a->sink;
    struct clock *clock = s->component->runtime->clock;
    const sl_send *send = &a->send;
    fault_point("export.answered");
    if (status == SL_OK || !a->d->pub.unclaimed) {
        sink_finish_attempt(a, &(struct ending){.outcome = SL_DELIVERED});
        return;
    }
    struct ending e = {.outcome = SL_REJECTED,
                       .status = status,
                       .retry_after_ns = send->retry_after_ns,
                       .why = send->why ? send->why : "rejected"};
    if (is_for_good(status)) {
        log_failure(s, a, "Exporting failed. The error is not retryable. Dropping data.", -1);
        sink_finish_attempt(a, &e);
        return;
    }
    e.outcome = SL_FAILED;
    e.why = send->why ? send->why : "send_failed";
    const struct retry_config *r = &s->config.retry_on_failure;
    const int64_t most = longest_retry(s);
    if (!r->enabled) {
        log_failure(s, a, "Exporting failed. Retries are off. Dropping data.", -1);
        if (atomic_load(&s->max_age_ns) && (s->component->type->flags & SL_RETRY)) {
            /* the operator wants no retries, and the journal would make some */
            e.outcome = SL_EXPIRED;
            e.why = "retries_off";
        }
        sink_finish_attempt(a, &e);
        return;
    }
    if (leave_to_heir(a))
        return;
    const int64_t delay = retry_delay(r, &a->backoff_ns, send->retry_after_ns, &s->random);
    const int64_t again = clock_now(clock) + delay;
    const int64_t deadline = __atomic_load_n(&s->drain_deadline_ns, __ATOMIC_RELAXED);
    const bool too_late = deadline && again > deadline;
    if (too_late || (most && again - a->first_ns > most)) {
        log_failure(s, a, "Exporting failed. No more retries left. Dropping data.", -1);
        e.outcome = too_late ? SL_FAILED : SL_EXPIRED;
        e.why = too_late ? "shutdown" : "max_elapsed_time";
        if (too_late)
            count_left(s, a->d->pub.unclaimed);
        sink_finish_attempt(a, &e);
        return;
    }
    log_failure(s, a, "Exporting failed. Will retry the request after interval.", delay);
    if (s->store == STORE_OVERFLOW)
        sink_overflow(s);
    retry_later(a, delay);
}

/* The next attempt to make, or NULL. Mutex held. */
static struct attempt *next_attempt(struct sink *s, struct sink_wake *wake)
{
    struct attempt *a = s->due;
    if (a) {
        s->due = a->next;
        a->is_due = false;
        s->in_flight++;
        s->sends++;
        return a;
    }
    struct delivery *d = s->free ? sink_take(s) : NULL;
    if (!d)
        return NULL;
    a = s->free;
    s->free = a->next;
    if (!s->free && s->store == STORE_OVERFLOW)
        s->busy_since_ns = clock_now(s->component->runtime->clock);
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
    *wake = sink_take_waiters(s);
    return a;
}

/* A send has ended. Mutex held. */
static void leave_flight(struct sink *s)
{
    if (--s->in_flight == 0 && s->stopping)
        pthread_cond_broadcast(&s->work);
}

void *sink_consume(void *arg)
{
    struct sink *s = arg;
    pthread_mutex_lock(&s->mutex);
    while (!s->stopping) {
        struct sink_wake wake = {0};
        struct attempt *a = next_attempt(s, &wake);
        if (!a) {
            s->idle++;
            pthread_cond_wait(&s->work, &s->mutex);
            s->idle--;
            continue;
        }
        /* `idle` counts a woken thread until it runs: what came in the meantime woke nobody else */
        if (s->due || (s->free && sink_has_work(s)))
            sink_call_consumer(s);
        pthread_mutex_unlock(&s->mutex);
        sink_poke(s, wake);
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
    sink_pump(s);
    pthread_mutex_lock(&s->mutex);
    leave_flight(s); /* last: from here on the sink may be closed */
    pthread_mutex_unlock(&s->mutex);
}

/* Hands out attempts while there are any. One thread at a time, so that an exporter that answers at
 * once is not called from within its own answer again and again. */
void sink_pump(struct sink *s)
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
        struct sink_wake wake = {0};
        struct attempt *a = s->stopping ? NULL : next_attempt(s, &wake);
        if (!a) {
            s->pump_again = false;
            break;
        }
        pthread_mutex_unlock(&s->mutex);
        sink_poke(s, wake);
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
