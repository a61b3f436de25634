/* Lanes: the queue, who runs it, and the walk of a delivery through the processors. The functions
 * below the line "running" are entered only by whoever runs the lane. */
#include "pipeline/graph/lane.h"
#include "pipeline/delivery/metadata.h"
#include "pipeline/graph/outlet.h"
#include "pipeline/graph/sink.h"
#include "pipeline/graph/transcode.h"
#include <stdlib.h>

enum { TURNS = 32 }; /* deliveries that a passer-by runs before the worker takes over */

/* A component without `open` is called with itself, from several lanes at once; which instance that
 * is can only be known from the thread. */
static _Thread_local struct instance *current_instance;

struct instance *lane_current_instance(void)
{
    return current_instance;
}

/* ---- running ---- */

static void run_at(struct lane *, struct instance *, struct delivery *);
static void run_instance(struct instance *, struct delivery *);
static bool start_worker(struct lane *);

static struct ledger *ledger_of(const struct instance *i)
{
    return &i->component->ledgers[signal_index(i->lane->layout.pipeline->signal)];
}

static bool is_connector(const struct instance *in)
{
    return in->component->kind == SL_KIND_connector;
}

/* Where a delivery from the input goes first: a processor, or NULL for the outputs. */
static struct instance *first_of(const struct lane *lane)
{
    return lane->layout.pipeline->n_processors ? lane->layout.instances[0] : NULL;
}

static bool connector_has_room(struct instance *in)
{
    for (uint32_t s = 0; s < SIGNALS; s++)
        if (outlet_room(outlet_in_lane(in->component, 1u << s), in->component, NULL, in->lane) ==
            SL_ERR_FULL)
            return false;
    return true;
}

/* Where a lane cannot be remembered (SL_ERR_NOMEM) it rather overshoots than waits for ever. */
static bool outputs_have_room(struct lane *lane)
{
    for (uint32_t i = 0; i < lane->layout.pipeline->n_exporters; i++) {
        const struct output *o = &lane->layout.outputs[i];
        if (o->sink) {
            if (!sink_has_room(o->sink, lane))
                return false;
            continue;
        }
        if (o->instance->parked_first || o->instance->shut || o->instance->refused ||
            !connector_has_room(o->instance))
            return false;
    }
    return true;
}

/* May a delivery be handed to the processor `in`, or to the outputs, without piling up behind it?
 * Where the answer is no, the lane will be poked. */
static bool has_room_at(struct lane *lane, const struct instance *in)
{
    for (; in; in = in->next) {
        if (in->parked_first || in->shut || in->refused)
            return false;
        if (in->component->type->flags & SL_HOLDS)
            return true;
    }
    return outputs_have_room(lane);
}

/* Is there room behind the instance? */
static bool has_room_after(struct instance *in)
{
    return is_connector(in) ? connector_has_room(in) : has_room_at(in->lane, in->next);
}

/* The flag tells a handle from one that has ended and left its address to another. */
static bool is_first_run(const struct lane *lane, const struct delivery *d)
{
    return d == lane->current && d->first_run;
}

static void park(struct instance *in, struct delivery *d)
{
    struct lane *lane = in->lane;
    if (is_first_run(lane, d)) { /* its first run goes on later */
        d->run = lane->current_run;
        lane->current_run = NULL;
    }
    d->next = NULL;
    if (in->parked_last)
        in->parked_last->next = d;
    else
        in->parked_first = d;
    in->parked_last = d;
    in->n_parked++;
}

static void fail(struct delivery *d, int32_t status, const char *why, struct ledger *ledger)
{
    const struct ending e = {.outcome = SL_FAILED, .status = status, .why = why};
    delivery_finish(d, &e, ledger);
}

static bool is_for_good(int32_t status)
{
    return status == SL_ERR_REJECTED || status == SL_ERR_INVALID || status == SL_ERR_TOO_LARGE;
}

static void call_process(struct instance *in, struct delivery *d)
{
    const sl_type *type = in->component->type;
    struct ledger *ledger = ledger_of(in);
    const uint32_t items = d->pub.items;
    const bool first_run = is_first_run(in->lane, d);
    ledger_add(&ledger->received, items);
    int32_t status = delivery_decode_for(in->component, &d);
    if (status != SL_OK) {
        fail(d, status, "decode", ledger);
        return;
    }
    if (first_run) { /* also where decoding has put another handle in its place */
        in->lane->current = d;
        d->first_run = true;
    }
    holder_add(&in->held, d);
    struct instance *outer = current_instance;
    current_instance = in;
    status = type->process(in->self, &d->pub);
    current_instance = outer;
    if (status == SL_OK)
        return;
    /* not taken: the handle is still the host's */
    if (status == SL_ERR_FULL) {
        atomic_fetch_sub_explicit(&ledger->received, items, memory_order_relaxed);
        holder_remove(d);
        in->refused = true;
        park(in, d);
        return;
    }
    const struct ending e = {.outcome = is_for_good(status) ? SL_REJECTED : SL_FAILED,
                             .status = status,
                             .why = "refused"};
    delivery_finish(d, &e, ledger);
}

static void run_instance(struct instance *in, struct delivery *d)
{
    if (in->parked_first || in->shut || in->refused)
        park(in, d);
    else
        call_process(in, d);
}

static void run_outputs(struct lane *lane, struct delivery *d)
{
    const struct pipeline *p = lane->layout.pipeline;
    const struct output *outputs = lane->layout.outputs;
    struct delivery *few[8];
    struct delivery **branches = few;
    int32_t status = SL_OK;
    few[0] = d;
    if (p->n_exporters > 8 && !(branches = malloc(p->n_exporters * sizeof *branches)))
        status = SL_ERR_NOMEM;
    else if (p->n_exporters > 1)
        status = delivery_fork(d, p->n_exporters, branches);
    if (status != SL_OK) {
        fail(d, status, "no_memory", NULL);
        return;
    }
    for (uint32_t i = 0; i < p->n_exporters; i++) {
        if (outputs[i].sink)
            sink_push(outputs[i].sink, branches[i], lane->current_run);
        else
            run_instance(outputs[i].instance, branches[i]);
    }
    if (branches != few)
        free(branches);
}

static void run_at(struct lane *lane, struct instance *in, struct delivery *d)
{
    if (in)
        run_instance(in, d);
    else
        run_outputs(lane, d);
}

int32_t lane_forward(struct instance *in, struct delivery *d)
{
    holder_remove(d);
    ledger_add(&ledger_of(in)->forwarded, d->pub.items);
    if (!is_connector(in))
        run_at(in->lane, in->next, d);
    else
        outlet_push(outlet_in_lane(in->component, d->pub.payload
                                                      ? d->pub.payload->signal
                                                      : in->lane->layout.pipeline->signal),
                    d, NULL);
    if (has_room_after(in))
        return SL_OK;
    in->told_full = true;
    return SL_ERR_FULL;
}

void lane_call(struct instance *in, void (*callback)(void *))
{
    struct instance *outer = current_instance;
    current_instance = in;
    callback(in->self);
    current_instance = outer;
    in->refused = false;
}

void lane_give_note(struct instance *in, sl_bytes key, sl_bytes note)
{
    struct instance *outer = current_instance;
    current_instance = in;
    in->component->type->on_note(in->self, key, note);
    current_instance = outer;
}

static void call_timer(struct instance *in, uint32_t slot)
{
    struct instance *outer = current_instance;
    in->timers[slot].due = false;
    current_instance = in;
    in->component->type->on_timer(in->self, slot);
    current_instance = outer;
    in->refused = false;
}

static void run_parked(struct instance *in)
{
    while (in->parked_first && !in->shut && !in->refused && has_room_after(in)) {
        struct lane *lane = in->lane;
        struct delivery *d = in->parked_first;
        in->parked_first = d->next;
        if (!in->parked_first)
            in->parked_last = NULL;
        in->n_parked--;
        d->next = NULL;
        struct delivery *outer = lane->current, *outer_run = lane->current_run;
        lane->current = d;
        lane->current_run = d->run;
        d->first_run = true;
        d->run = NULL;
        /* what waits behind it must not be overtaken if it is refused again */
        struct delivery *rest = in->parked_first, *last = in->parked_last;
        const uint32_t n = in->n_parked;
        in->parked_first = in->parked_last = NULL;
        in->n_parked = 0;
        call_process(in, d);
        if (rest) {
            if (in->parked_last)
                in->parked_last->next = rest;
            else
                in->parked_first = rest;
            in->parked_last = last;
            in->n_parked += n;
        }
        if (lane->current_run)
            delivery_run_over(lane->current_run);
        lane->current = outer;
        lane->current_run = outer_run;
    }
}

/* Room may have come up somewhere: what waits for it goes on, from the end of the lane backwards.
 */
static void progress(struct instance *in)
{
    run_parked(in);
    if (!in->opened)
        return;
    if (in->told_full && has_room_after(in)) {
        in->told_full = false;
        if (in->component->type->on_ready)
            lane_call(in, in->component->type->on_ready);
    }
    for (uint32_t t = 0; t < INSTANCE_TIMERS && !in->told_full; t++)
        if (in->timers[t].due && has_room_after(in))
            call_timer(in, t);
    run_parked(in);
}

static void progress_all(struct lane *lane)
{
    const struct layout *l = &lane->layout;
    if (!l->instances || !l->outputs) /* it is still being built */
        return;
    for (uint32_t i = l->pipeline->n_exporters; i--;)
        if (l->outputs[i].instance)
            progress(l->outputs[i].instance);
    for (uint32_t i = l->pipeline->n_processors; i--;)
        progress(l->instances[i]);
    for (uint32_t i = l->n_leaving; i--;)
        progress(l->leaving[i]);
}

static void run_one(struct lane *lane, struct delivery *d)
{
    lane->current = d;
    lane->current_run = d->run;
    d->first_run = true;
    d->run = NULL;
    run_at(lane, first_of(lane), d);
    if (lane->current_run)
        delivery_run_over(lane->current_run);
    lane->current = NULL;
    lane->current_run = NULL;
}

/* Runs until nothing can be done, or `turns` deliveries have passed and the worker shall go on. The
 * caller has set `running`, and holds the mutex, which is held again on return. */
static void run_lane(struct lane *lane, uint32_t turns)
{
    for (;;) {
        if (lane->tasks) {
            struct lane_task *task = lane->tasks;
            lane->tasks = task->next;
            if (!lane->tasks)
                lane->last_task = NULL;
            task->queued = false;
            pthread_mutex_unlock(&lane->mutex);
            task->run(task);
            pthread_mutex_lock(&lane->mutex);
            continue;
        }
        if (lane->poked) {
            lane->poked = false;
            pthread_mutex_unlock(&lane->mutex);
            progress_all(lane);
            pthread_mutex_lock(&lane->mutex);
            continue;
        }
        if (!lane->first || lane->closed)
            break;
        if (!turns) {
            if (start_worker(lane)) {
                lane->worker_wanted = true;
                pthread_cond_signal(&lane->work);
                break;
            }
            turns = UINT32_MAX; /* nobody could take over */
        }
        pthread_mutex_unlock(&lane->mutex);
        const bool room = has_room_at(lane, first_of(lane));
        pthread_mutex_lock(&lane->mutex);
        if (!room) {
            if (lane->poked || lane->tasks)
                continue;
            break;
        }
        struct delivery *d = lane->first;
        lane->first = d->next;
        if (!lane->first)
            lane->last = NULL;
        d->next = NULL;
        lane->n_input--;
        lane->input_bytes -= d->pub.payload->bytes;
        struct waiter *waiters = NULL;
        if (lane->input_bytes < lane->layout.pipeline->input_limit) {
            waiters = lane->waiters;
            lane->waiters = NULL;
        }
        pthread_mutex_unlock(&lane->mutex);
        run_one(lane, d);
        waiters_tell(waiters);
        pthread_mutex_lock(&lane->mutex);
        if (turns != UINT32_MAX)
            turns--;
    }
    lane->running = false;
}

/* ---- the queue; any thread ---- */

static void *work(void *arg)
{
    struct lane *lane = arg;
    pthread_mutex_lock(&lane->mutex);
    while (!lane->worker_stop) {
        if (lane->worker_wanted && !lane->running) {
            lane->worker_wanted = false;
            lane->running = true;
            run_lane(lane, UINT32_MAX);
            continue;
        }
        pthread_cond_wait(&lane->work, &lane->mutex);
    }
    pthread_mutex_unlock(&lane->mutex);
    return NULL;
}

static bool start_worker(struct lane *lane)
{
    if (!lane->worker_started) {
        pthread_attr_t attr;
        pthread_attr_init(&attr);
        pthread_attr_setstacksize(&attr, 512 * 1024);
        lane->worker_started = pthread_create(&lane->worker, &attr, work, lane) == 0;
        pthread_attr_destroy(&attr);
    }
    return lane->worker_started;
}

/* There is work; whoever brought it runs the lane unless it runs already. Mutex held. */
static void kick(struct lane *lane)
{
    if (lane->running)
        return;
    if (lane->layout.pipeline->n_lanes > 1 && start_worker(lane)) {
        lane->worker_wanted = true;
        pthread_cond_signal(&lane->work);
        return;
    }
    lane->running = true;
    run_lane(lane, TURNS);
}

void lane_push(struct lane *lane, struct delivery *d)
{
    pthread_mutex_lock(&lane->mutex);
    if (lane->closed) {
        pthread_mutex_unlock(&lane->mutex);
        struct delivery *run = d->run;
        d->run = NULL;
        fail(d, SL_ERR_SHUTDOWN, "shutdown", NULL);
        if (run)
            delivery_run_over(run);
        return;
    }
    d->next = NULL;
    if (lane->last)
        lane->last->next = d;
    else
        lane->first = d;
    lane->last = d;
    lane->n_input++;
    lane->input_bytes += d->pub.payload->bytes;
    kick(lane);
    pthread_mutex_unlock(&lane->mutex);
}

bool lane_has_room(struct lane *lane)
{
    pthread_mutex_lock(&lane->mutex);
    const bool room = lane->input_bytes < lane->layout.pipeline->input_limit;
    pthread_mutex_unlock(&lane->mutex);
    return room;
}

bool lane_wait(struct lane *lane, const struct component *emitter, const sl_hear *hear,
               struct lane *waiter)
{
    struct waiter *at_once = NULL; /* room came up meanwhile */
    pthread_mutex_lock(&lane->mutex);
    const bool room = lane->input_bytes < lane->layout.pipeline->input_limit;
    const bool added = waiters_add(room ? &at_once : &lane->waiters, emitter, hear, waiter);
    pthread_mutex_unlock(&lane->mutex);
    waiters_tell(at_once);
    return added;
}

void lane_post(struct lane *lane, struct lane_task *task)
{
    pthread_mutex_lock(&lane->mutex);
    if (!task->queued) {
        task->queued = true;
        task->next = NULL;
        if (lane->last_task)
            lane->last_task->next = task;
        else
            lane->tasks = task;
        lane->last_task = task;
        kick(lane);
    }
    pthread_mutex_unlock(&lane->mutex);
}

void lane_poke(struct lane *lane)
{
    pthread_mutex_lock(&lane->mutex);
    lane->poked = true;
    kick(lane);
    pthread_mutex_unlock(&lane->mutex);
}
