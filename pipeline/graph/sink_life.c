/* The end of a sink: another one takes over after a reload, or the process ends. Control thread. */
#include "pipeline/graph/sink_internal.h"
#include <sched.h>
#include <stdlib.h>

/* ---- after a reload ---- */

void sink_hand_over(struct sink *s, struct sink *heir)
{
    pthread_mutex_lock(&s->mutex);
    atomic_store(&s->heir, heir);
    struct delivery *first = NULL, *last = NULL, *d;
    while ((d = sink_pop(s))) {
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
        sink_release_attempt(s, a);
        d->next = first;
        first = d;
    }
    struct sink_wake wake = sink_take_waiters(s);
    pthread_mutex_unlock(&s->mutex);
    while ((d = first)) {
        first = d->next;
        d->next = NULL;
        sink_hand_on(heir, d);
    }
    sink_poke(s, wake);
}

void sink_forget_gone(struct sink *s)
{
    pthread_mutex_lock(&s->mutex);
    waiters_forget_gone(&s->waiters);
    pthread_mutex_unlock(&s->mutex);
    while (atomic_load(&s->waking))
        sched_yield(); /* someone is poking those that it took from the list */
    if (s->stream)
        stream_forget_gone(s->stream);
}

/* ---- ending ---- */

void sink_drain(struct sink *s, int64_t deadline_ns)
{
    __atomic_store_n(&s->drain_deadline_ns, deadline_ns, __ATOMIC_RELAXED);
    pthread_mutex_lock(&s->mutex);
    for (uint32_t i = 0; i < s->max_consumers; i++) { /* waiting retries are tried now */
        struct attempt *a = &s->attempts[i];
        if (a->waiting)
            sink_make_due(s, a);
    }
    if (sink_has_work(s)) /* what waited for more to come need not any longer */
        sink_call_consumer(s);
    pthread_mutex_unlock(&s->mutex);
    sink_pump(s);
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
            sink_finish_attempt(a, &e);
        }
    }
    for (struct delivery *d; (d = sink_pop(s));) {
        items += d->pub.unclaimed;
        delivery_finish(d, &e, s->ledger);
    }
    while (atomic_load(&s->storing))
        sched_yield(); /* another sink's stream from now on, perhaps, but still this one's ledger */
    return items;
}
