/* Lanes and instances: opening, timers, draining, closing. Lifecycle on the control thread; the
 * instance_ functions on the lane. */
#include "pipeline/delivery/metadata.h"
#include "pipeline/graph/host.h"
#include "pipeline/graph/lane.h"
#include "pipeline/graph/sink.h"
#include <sched.h>
#include <stdlib.h>
#include <time.h>

/* ---- timers ---- */

static void timer_due(struct lane_task *task)
{
    struct instance_timer *t =
        (struct instance_timer *)(void *)((uint8_t *)task - offsetof(struct instance_timer, task));
    struct instance *in = t->instance;
    if (!in->opened || in->lane->closed)
        return;
    /* set anew, or disarmed, after it had fired */
    if (!t->at_ns || clock_now(in->component->runtime->clock) < t->at_ns)
        return;
    t->at_ns = 0;
    t->due = true; /* fires as soon as the output has room, which a poke finds out */
    lane_poke(in->lane);
}

static void timer_fired(struct clock_timer *clock)
{
    struct instance_timer *t =
        (struct instance_timer *)(void *)((uint8_t *)clock -
                                          offsetof(struct instance_timer, clock));
    lane_post(t->instance->lane, &t->task);
}

void instance_timer_set(struct instance *in, uint32_t slot, int64_t at_ns)
{
    if (slot >= INSTANCE_TIMERS)
        return;
    struct instance_timer *t = &in->timers[slot];
    struct clock *clock = in->component->runtime->clock;
    t->due = false;
    if (at_ns)
        (void)clock_arm(clock, &t->clock, at_ns); /* has room: see clock_reserve */
    else if (t->at_ns)
        clock_disarm(clock, &t->clock);
    t->at_ns = at_ns;
}

void instance_set_ready(struct instance *in, bool ready)
{
    in->shut = !ready;
    if (ready) {
        in->refused = false;
        lane_poke(in->lane);
    }
}

bool instance_job_begins(struct instance *in)
{
    pthread_mutex_lock(&in->lane->mutex);
    const bool begins = !in->lane->closed;
    in->jobs += begins;
    pthread_mutex_unlock(&in->lane->mutex);
    return begins;
}

void instance_job_ends(struct instance *in)
{
    pthread_mutex_lock(&in->lane->mutex);
    in->jobs--;
    pthread_mutex_unlock(&in->lane->mutex);
}

uint64_t *instance_mask(struct instance *in, uint32_t bits)
{
    const uint32_t words = bits / 64 + 1;
    if (words > in->mask_words) {
        uint64_t *mask = realloc(in->mask, (size_t)words * 8);
        if (!mask)
            return NULL;
        in->mask = mask;
        in->mask_words = words;
    }
    memset(in->mask, 0xff, (size_t)words * 8);
    return in->mask;
}

/* ---- making ---- */

static struct instance *instance_create(struct lane *lane, struct component *c, uint32_t position)
{
    struct instance *in = calloc(1, sizeof *in);
    if (!in)
        return NULL;
    if (holder_init(&in->held)) {
        free(in);
        return NULL;
    }
    if (clock_reserve(c->runtime->clock, INSTANCE_TIMERS)) {
        holder_deinit(&in->held);
        free(in);
        return NULL;
    }
    host_init(&in->host, c, in);
    in->lane = lane;
    in->component = c;
    in->position = position;
    in->self = c->self;
    for (uint32_t t = 0; t < INSTANCE_TIMERS; t++) {
        in->timers[t].instance = in;
        in->timers[t].slot = t;
        in->timers[t].clock.fire = timer_fired;
        in->timers[t].task.run = timer_due;
    }
    return in;
}

static void instance_destroy(struct instance *in)
{
    if (!in)
        return;
    clock_unreserve(in->component->runtime->clock, INSTANCE_TIMERS);
    holder_deinit(&in->held);
    free(in->mask);
    free(in);
}

int32_t lane_init(struct lane *lane, struct pipeline *p, uint32_t index)
{
    memset(lane, 0, sizeof *lane);
    lane->pipeline = p;
    lane->index = index;
    pthread_mutex_init(&lane->mutex, NULL);
    pthread_cond_init(&lane->work, NULL);
    lane->instances = calloc(p->n_processors + 1, sizeof *lane->instances);
    lane->outputs = calloc(p->n_exporters + 1, sizeof *lane->outputs);
    if (!lane->instances || !lane->outputs)
        return SL_ERR_NOMEM;
    for (uint32_t i = 0; i < p->n_processors; i++)
        if (!(lane->instances[i] = instance_create(lane, p->processors[i], i)))
            return SL_ERR_NOMEM;
    for (uint32_t i = 0; i < p->n_exporters; i++) {
        struct component *c = p->exporters[i];
        if (c->kind == SL_KIND_exporter)
            lane->outputs[i].sink = c->sinks[signal_index(p->signal)];
        else if (!(lane->outputs[i].instance = instance_create(lane, c, p->n_processors)))
            return SL_ERR_NOMEM;
    }
    return SL_OK;
}

static int32_t instance_open(struct instance *in, sl_error *error)
{
    const sl_type *type = in->component->type;
    if (type->open) {
        void *self = NULL;
        const int32_t status = type->open(in->component->self, &in->host.pub, &self, error);
        if (status != SL_OK)
            return status;
        in->self = self;
    }
    in->opened = true;
    return SL_OK;
}

int32_t lane_open(struct lane *lane, sl_error *error)
{
    const struct pipeline *p = lane->pipeline;
    for (uint32_t i = 0; i < p->n_processors; i++) {
        const int32_t status = instance_open(lane->instances[i], error);
        if (status != SL_OK)
            return status;
    }
    for (uint32_t i = 0; i < p->n_exporters; i++) {
        if (!lane->outputs[i].instance)
            continue;
        const int32_t status = instance_open(lane->outputs[i].instance, error);
        if (status != SL_OK)
            return status;
    }
    return SL_OK;
}

void lane_deinit(struct lane *lane)
{
    const struct pipeline *p = lane->pipeline;
    if (!p)
        return;
    for (uint32_t i = 0; lane->instances && i < p->n_processors; i++)
        instance_destroy(lane->instances[i]);
    for (uint32_t i = 0; lane->outputs && i < p->n_exporters; i++)
        instance_destroy(lane->outputs[i].instance);
    free(lane->instances);
    free(lane->outputs);
    pthread_cond_destroy(&lane->work);
    pthread_mutex_destroy(&lane->mutex);
}

/* ---- draining and closing ---- */

static void each_instance(struct lane *lane, void (*visit)(struct instance *, void *), void *arg)
{
    for (uint32_t i = 0; lane->instances && i < lane->pipeline->n_processors; i++)
        if (lane->instances[i])
            visit(lane->instances[i], arg);
    for (uint32_t i = 0; lane->outputs && i < lane->pipeline->n_exporters; i++)
        if (lane->outputs[i].instance)
            visit(lane->outputs[i].instance, arg);
}

/* Waits until nobody runs the lane and becomes the runner. */
static void enter(struct lane *lane)
{
    pthread_mutex_lock(&lane->mutex);
    while (lane->running) {
        pthread_mutex_unlock(&lane->mutex);
        sched_yield();
        pthread_mutex_lock(&lane->mutex);
    }
    lane->running = true;
    pthread_mutex_unlock(&lane->mutex);
}

static void leave(struct lane *lane)
{
    pthread_mutex_lock(&lane->mutex);
    lane->running = false;
    pthread_mutex_unlock(&lane->mutex);
    lane_poke(lane); /* what came meanwhile goes on */
}

static bool has_input(struct lane *lane)
{
    pthread_mutex_lock(&lane->mutex);
    const bool has = lane->first || lane->tasks;
    pthread_mutex_unlock(&lane->mutex);
    return has;
}

static void drain_instance(struct instance *in, void *arg)
{
    (void)arg;
    if (in->opened && !in->told_full && in->component->type->on_drain)
        lane_call(in, in->component->type->on_drain);
}

void lane_drain(struct lane *lane)
{
    if (lane->closed)
        return;
    enter(lane);
    if (!has_input(lane))
        each_instance(lane, drain_instance, NULL);
    leave(lane);
}

static void count_left(struct instance *in, void *arg)
{
    uint64_t *items = arg;
    *items += atomic_load(&in->held.items);
    for (const struct delivery *d = in->parked_first; d; d = d->next)
        *items += d->pub.items;
}

bool lane_is_empty(struct lane *lane)
{
    uint64_t items = 0;
    if (lane->closed)
        return true;
    enter(lane);
    each_instance(lane, count_left, &items);
    const bool empty = !items && !has_input(lane);
    leave(lane);
    return empty;
}

static uint64_t end_left(struct delivery *d, struct ledger *ledger)
{
    const struct ending e = {.outcome = SL_FAILED, .status = SL_ERR_SHUTDOWN, .why = "shutdown"};
    const uint64_t items = d->pub.unclaimed;
    struct delivery *run = d->run;
    d->run = NULL;
    delivery_finish(d, &e, ledger);
    if (run)
        delivery_run_over(run);
    return items;
}

/* Blocking work ends on the lane, which nobody else runs any more. */
static void finish_jobs(struct instance *in)
{
    struct lane *lane = in->lane;
    pthread_mutex_lock(&lane->mutex);
    while (in->jobs) {
        struct lane_task *task = lane->tasks;
        if (task) {
            lane->tasks = task->next;
            if (!lane->tasks)
                lane->last_task = NULL;
            task->queued = false;
        }
        pthread_mutex_unlock(&lane->mutex);
        if (task)
            task->run(task);
        else
            (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        pthread_mutex_lock(&lane->mutex);
    }
    pthread_mutex_unlock(&lane->mutex);
}

static void close_instance(struct instance *in, void *arg)
{
    uint64_t *items = arg;
    struct clock *clock = in->component->runtime->clock;
    finish_jobs(in);
    if (in->opened && in->component->type->close)
        lane_call(in, in->component->type->close);
    in->opened = false;
    for (uint32_t t = 0; t < INSTANCE_TIMERS; t++) /* `close` may have set one, too */
        clock_disarm(clock, &in->timers[t].clock);
    struct ledger *ledger = &in->component->ledgers[signal_index(in->lane->pipeline->signal)];
    for (struct delivery *d = in->parked_first, *next; d; d = next) {
        next = d->next;
        d->next = NULL;
        *items += end_left(d, NULL);
    }
    in->parked_first = in->parked_last = NULL;
    in->n_parked = 0;
    while (in->held.first)
        *items += end_left(in->held.first, ledger);
}

uint64_t lane_close(struct lane *lane)
{
    uint64_t items = 0;
    if (!lane->instances || !lane->outputs || lane->closed)
        return 0;
    enter(lane);
    pthread_mutex_lock(&lane->mutex);
    lane->closed = true;
    struct delivery *input = lane->first;
    struct ready_waiter *waiters = lane->waiters;
    lane->first = lane->last = NULL;
    lane->n_input = 0;
    lane->input_bytes = 0;
    lane->waiters = NULL;
    pthread_mutex_unlock(&lane->mutex);
    while (input) {
        struct delivery *next = input->next;
        input->next = NULL;
        items += end_left(input, NULL);
        input = next;
    }
    while (waiters) {
        struct ready_waiter *next = waiters->next;
        free(waiters);
        waiters = next;
    }
    each_instance(lane, close_instance, &items);
    pthread_mutex_lock(&lane->mutex);
    lane->worker_stop = true;
    pthread_cond_signal(&lane->work);
    pthread_mutex_unlock(&lane->mutex);
    if (lane->worker_started)
        pthread_join(lane->worker, NULL);
    lane->worker_started = false;
    return items;
}
