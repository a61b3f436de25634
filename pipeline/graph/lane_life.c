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
    const bool begins = !in->closing;
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

static struct instance *instance_create(struct lane *lane, struct component *c)
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
    lane->layout.pipeline = p;
    lane->index = index;
    if (pthread_mutex_init(&lane->mutex, NULL))
        return SL_ERR_NOMEM;
    if (pthread_cond_init(&lane->work, NULL)) {
        pthread_mutex_destroy(&lane->mutex);
        return SL_ERR_NOMEM;
    }
    return SL_OK;
}

static int32_t give_note(void *ctx, sl_bytes key, sl_bytes note)
{
    lane_give_note(ctx, key, note);
    return SL_OK;
}

/* The instance gets back what it noted, before any delivery. */
static int32_t give_notes(struct instance *in, sl_error *error)
{
    if (!in->log || !in->component->type->on_note)
        return SL_OK;
    const int32_t status = journal_notes(in->log, sl_str(in->component->id), give_note, in);
    return status == SL_OK ? SL_OK
                           : sl_fail(error, status,
                                     "the notes of \"%s\" cannot be read from the "
                                     "journal",
                                     in->component->id);
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
    return give_notes(in, error);
}

/* ---- running it from the control thread ---- */

/* Waits until nobody runs the lane and becomes the runner; of a closed lane it is that already. */
static void enter(struct lane *lane)
{
    pthread_mutex_lock(&lane->mutex);
    while (lane->running && !lane->closed) {
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
    const bool closed = lane->closed;
    lane->running = closed;
    pthread_mutex_unlock(&lane->mutex);
    if (!closed)
        lane_poke(lane); /* what came meanwhile goes on */
}

void lane_pass(struct lane *lane)
{
    enter(lane);
    leave(lane);
}

/* ---- layouts ---- */

static void each_of(const struct layout *l, void (*visit)(struct instance *, void *), void *arg)
{
    for (uint32_t i = 0; l->instances && i < l->pipeline->n_processors; i++)
        if (l->instances[i])
            visit(l->instances[i], arg);
    for (uint32_t i = 0; l->outputs && i < l->pipeline->n_exporters; i++)
        if (l->outputs[i].instance)
            visit(l->outputs[i].instance, arg);
}

static void each_leaving(const struct layout *l, void (*visit)(struct instance *, void *),
                         void *arg)
{
    for (uint32_t i = 0; i < l->n_leaving; i++)
        visit(l->leaving[i], arg);
}

struct search {
    const struct component *component;
    struct instance *found;
};

static void look(struct instance *in, void *arg)
{
    struct search *s = arg;
    if (in->component == s->component)
        s->found = in;
}

static struct instance *instance_in(const struct layout *l, const struct component *c)
{
    struct search s = {.component = c};
    each_of(l, look, &s);
    return s.found;
}

static void count(struct instance *in, void *arg)
{
    (void)in;
    ++*(uint32_t *)arg;
}

int32_t layout_make(struct layout *l, struct pipeline *p, struct lane *lane)
{
    uint32_t there = 0;
    each_of(&lane->layout, count, &there);
    *l = (struct layout){.pipeline = p};
    l->instances = calloc(p->n_processors + 1, sizeof *l->instances);
    l->outputs = calloc(p->n_exporters + 1, sizeof *l->outputs);
    l->leaving = calloc(there + 1, sizeof(struct instance *));
    if (!l->instances || !l->outputs || !l->leaving)
        return SL_ERR_NOMEM;
    for (uint32_t i = 0; i < p->n_processors; i++) {
        struct instance *in = instance_in(&lane->layout, p->processors[i]);
        l->instances[i] = in ? in : instance_create(lane, p->processors[i]);
        if (!l->instances[i])
            return SL_ERR_NOMEM;
    }
    for (uint32_t i = 0; i < p->n_exporters; i++) {
        struct component *c = p->exporters[i];
        const uint32_t s = signal_index(p->signal);
        if (c->kind == SL_KIND_exporter) {
            l->outputs[i].sink = c->sinks[s] ? c->sinks[s] : c->plan.sinks[s];
            continue;
        }
        struct instance *in = instance_in(&lane->layout, c);
        l->outputs[i].instance = in ? in : instance_create(lane, c);
        if (!l->outputs[i].instance)
            return SL_ERR_NOMEM;
    }
    return SL_OK;
}

struct opening {
    struct journal *log;
    int32_t status;
    sl_error *error;
};

static void open_new(struct instance *in, void *arg)
{
    struct opening *o = arg;
    if (in->opened || o->status != SL_OK)
        return;
    in->log = o->log;
    o->status = instance_open(in, o->error);
}

static void set_log(struct instance *in, void *arg)
{
    in->log = arg;
}

static struct journal *log_of(const struct layout *l)
{
    struct stream *s = l->pipeline->journal.stream;
    return s ? stream_log(s) : NULL;
}

int32_t layout_open(struct layout *l, sl_error *error)
{
    struct opening o = {.log = log_of(l), .error = error};
    each_of(l, open_new, &o);
    return o.status;
}

static void free_arrays(struct layout *l)
{
    free(l->instances);
    free(l->outputs);
    free(l->leaving);
    l->instances = NULL;
    l->outputs = NULL;
    l->leaving = NULL;
    l->n_leaving = 0;
}

static void take_out(struct instance *in, void *arg)
{
    struct layout *l = arg;
    if (instance_in(l, in->component) != in)
        l->leaving[l->n_leaving++] = in;
}

void lane_take_layout(struct lane *lane, struct layout *l)
{
    struct runtime *r = NULL;
    enter(lane);
    struct layout old = lane->layout;
    each_of(&old, take_out, l);
    each_of(l, set_log, log_of(l)); /* of those that stay, which may have been others */
    /* what stays leads where the new layout leads; what leaves goes on leading where it led */
    for (uint32_t i = 0; i < l->pipeline->n_processors; i++)
        l->instances[i]->next = i + 1 < l->pipeline->n_processors ? l->instances[i + 1] : NULL;
    r = l->pipeline->runtime;
    pthread_mutex_lock(&r->topology);
    pthread_mutex_lock(&lane->mutex);
    lane->layout = *l;
    pthread_mutex_unlock(&lane->mutex);
    pthread_mutex_unlock(&r->topology);
    *l = (struct layout){.pipeline = l->pipeline};
    free_arrays(&old);
    leave(lane);
}

static void destroy_visited(struct instance *in, void *arg)
{
    (void)arg;
    instance_destroy(in);
}

void lane_deinit(struct lane *lane)
{
    each_of(&lane->layout, destroy_visited, NULL);
    each_leaving(&lane->layout, destroy_visited, NULL);
    free_arrays(&lane->layout);
    pthread_cond_destroy(&lane->work);
    pthread_mutex_destroy(&lane->mutex);
}

/* ---- draining and closing ---- */

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
        each_of(&lane->layout, drain_instance, NULL);
    leave(lane);
}

void lane_drain_leaving(struct lane *lane)
{
    enter(lane);
    each_leaving(&lane->layout, drain_instance, NULL);
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
    each_of(&lane->layout, count_left, &items);
    const bool empty = !items && !has_input(lane);
    leave(lane);
    return empty;
}

bool lane_leaving_is_empty(struct lane *lane)
{
    uint64_t items = 0;
    enter(lane);
    each_leaving(&lane->layout, count_left, &items);
    leave(lane);
    return !items;
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

/* The next task of a lane that the control thread runs; false: there is none. */
static bool run_task(struct lane *lane)
{
    pthread_mutex_lock(&lane->mutex);
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
    return task != NULL;
}

/* Blocking work ends on the lane, which nobody else runs any more; none begins. */
static void finish_jobs(struct instance *in)
{
    struct lane *lane = in->lane;
    for (;;) {
        pthread_mutex_lock(&lane->mutex);
        in->closing = true;
        const bool over = !in->jobs;
        pthread_mutex_unlock(&lane->mutex);
        if (over)
            return;
        if (!run_task(lane))
            (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
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
    struct ledger *ledger =
        &in->component->ledgers[signal_index(in->lane->layout.pipeline->signal)];
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
    if (lane->closed)
        return 0;
    enter(lane);
    pthread_mutex_lock(&lane->mutex);
    lane->closed = true;
    struct delivery *input = lane->first;
    struct waiter *waiters = lane->waiters;
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
    waiters_free(waiters);
    each_of(&lane->layout, close_instance, &items);
    pthread_mutex_lock(&lane->mutex);
    lane->worker_stop = true;
    pthread_cond_signal(&lane->work);
    pthread_mutex_unlock(&lane->mutex);
    if (lane->worker_started)
        pthread_join(lane->worker, NULL);
    lane->worker_started = false;
    return items;
}

uint64_t lane_close_leaving(struct lane *lane)
{
    uint64_t items = 0;
    enter(lane);
    each_leaving(&lane->layout, close_instance, &items);
    while (run_task(lane)) { /* tasks lie in the instances that are freed now */
    }
    each_leaving(&lane->layout, destroy_visited, NULL);
    lane->layout.n_leaving = 0;
    leave(lane);
    return items;
}

void layout_discard(struct layout *l)
{
    const struct pipeline *p = l->pipeline;
    const uint32_t n = l->instances && l->outputs ? p->n_processors + p->n_exporters : 0;
    for (uint32_t i = 0; i < n; i++) {
        struct instance **at =
            i < p->n_processors ? &l->instances[i] : &l->outputs[i - p->n_processors].instance;
        struct instance *in = *at;
        if (!in || instance_in(&in->lane->layout, in->component) == in)
            continue; /* it stays where it is */
        uint64_t none = 0;
        enter(in->lane);
        close_instance(in, &none);
        while (run_task(in->lane)) {
        }
        leave(in->lane);
        instance_destroy(in);
    }
    free_arrays(l);
}

void lane_forget_gone(struct lane *lane)
{
    pthread_mutex_lock(&lane->mutex);
    waiters_forget_gone(&lane->waiters);
    pthread_mutex_unlock(&lane->mutex);
    lane_pass(lane); /* someone may be telling those that it took from the list */
}

void lane_forget(struct lane *lane, const sl_hear *hear)
{
    pthread_mutex_lock(&lane->mutex);
    waiters_forget(&lane->waiters, hear);
    pthread_mutex_unlock(&lane->mutex);
    lane_pass(lane); /* someone may be telling those that it took from the list */
}
