/* Outlets. An emitter says which epoch's outlets it uses by counting itself in; whoever replaces
 * them moves on to the next epoch, so that the old count can only fall, and waits until it is 0. */
#include "pipeline/graph/outlet.h"
#include "pipeline/graph/lane.h"
#include <sched.h>
#include <stdlib.h>

struct outlet *outlet_in_lane(struct component *c, uint32_t signal)
{
    return atomic_load_explicit(&c->outlets[signal_index(signal)], memory_order_acquire);
}

struct outlet *outlet_enter(struct component *c, uint32_t signal, uint32_t *epoch)
{
    for (;;) {
        const uint32_t now = atomic_load(&c->epoch);
        atomic_fetch_add(&c->inside[now & 1], 1);
        if (atomic_load(&c->epoch) == now) {
            *epoch = now;
            return outlet_in_lane(c, signal);
        }
        atomic_fetch_sub(&c->inside[now & 1], 1); /* too late: it may not be waited for */
    }
}

void outlet_leave(struct component *c, uint32_t epoch)
{
    atomic_fetch_sub(&c->inside[epoch & 1], 1);
}

int32_t outlet_room(const struct outlet *o, struct component *emitter, const sl_hear *hear,
                    struct lane *waiter)
{
    for (uint32_t i = 0; o && i < o->n; i++) {
        const int32_t status = pipeline_room(o->pipelines[i], emitter, hear, waiter);
        if (status != SL_OK)
            return status;
    }
    return SL_OK;
}

void outlet_push(const struct outlet *o, struct delivery *d, struct delivery *run)
{
    enum { FEW = 8 };
    struct delivery *few[FEW];
    struct delivery **branches = few;
    const uint32_t n = o ? o->n : 0;
    int32_t status = n ? SL_OK : SL_ERR_UNSUPPORTED;
    few[0] = d;
    if (n > FEW && !(branches = malloc(n * sizeof *branches)))
        status = SL_ERR_NOMEM;
    else if (n > 1)
        status = delivery_fork(d, n, branches);
    if (status != SL_OK) {
        const struct ending e = {
            .outcome = SL_FAILED, .status = status, .why = n ? "no_memory" : "no_pipeline"};
        delivery_finish(d, &e, NULL);
    } else {
        for (uint32_t i = 0; i < n; i++) {
            /* what a journal refuses would else be acknowledged, and missing in its pipeline */
            branches[i]->is_owed |= n > 1 && o->pipelines[i]->journal.stream;
            pipeline_push(o->pipelines[i], branches[i], run);
        }
    }
    if (branches != few)
        free(branches);
}

bool outlet_plan(struct component *c, struct pipeline *p)
{
    struct outlet **plan = &c->plan.outlets[signal_index(p->signal)];
    const uint32_t n = *plan ? (*plan)->n : 0;
    struct outlet *o = realloc(*plan, sizeof *o + (n + 1) * sizeof(struct pipeline *));
    if (!o)
        return false;
    if (!n)
        *o = (struct outlet){.ack = 0};
    o->pipelines[n] = p;
    o->n = n + 1;
    *plan = o;
    return true;
}

void outlet_adopt(struct component *c)
{
    for (uint32_t s = 0; s < SIGNALS; s++)
        c->plan.outlets[s] = atomic_exchange(&c->outlets[s], c->plan.outlets[s]);
    atomic_fetch_add(&c->epoch, 1);
}

void outlet_forget(struct component *c)
{
    const uint32_t old = atomic_load(&c->epoch) - 1;
    while (atomic_load(&c->inside[old & 1]))
        sched_yield(); /* an offer that is on its way through the lanes; they never block */
    for (uint32_t s = 0; s < SIGNALS; s++) {
        free(c->plan.outlets[s]);
        c->plan.outlets[s] = NULL;
    }
}
