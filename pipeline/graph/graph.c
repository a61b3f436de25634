/* The graph's life: made, started, drained, stopped. Control thread, but for what is marked. */
#include "pipeline/graph/graph.h"
#include "pipeline/graph/build.h"
#include "pipeline/graph/component.h"
#include "pipeline/graph/journals.h"
#include "pipeline/graph/outlet.h"
#include "pipeline/graph/sink.h"
#include "pipeline/memory/memory.h"
#include <stdlib.h>

const char *signal_items_name(uint32_t index)
{
    static const char *const names[SIGNALS] = {"spans", "metric_points", "log_records",
                                               "profile_samples"};
    return names[index];
}

struct graph *graph_create(struct runtime *r, const struct service_config *s,
                           struct config_diagnostics *d)
{
    return graph_build(r, s, NULL, d);
}

bool graph_borrows(const struct graph *g, const struct component *c)
{
    return g->before && c->plan.stays;
}

static void forget_plan(struct component *c)
{
    for (uint32_t s = 0; s < SIGNALS; s++) {
        free(c->plan.outlets[s]);
        sink_destroy(c->plan.sinks[s]);
    }
    c->plan = (struct component_plan){.stays = c->plan.stays};
}

void graph_destroy(struct graph *g)
{
    if (!g)
        return;
    struct runtime *r = g->runtime;
    (void)graph_stop(g);
    pthread_mutex_lock(&r->topology);
    r->current = r->current == g ? NULL : r->current;
    r->leaving = r->leaving == g ? NULL : r->leaving;
    pthread_mutex_unlock(&r->topology);
    for (uint32_t i = 0; i < g->n_pipelines; i++)
        pipeline_destroy(g->pipelines[i]);
    for (uint32_t i = 0; i < g->n_components; i++) {
        if (graph_borrows(g, g->components[i]))
            forget_plan(g->components[i]);
        else
            component_destroy(g->components[i]);
    }
    components_sweep(r);
    free(g->components);
    free(g->extensions);
    free(g->pipelines);
    free(g->order);
    free(g);
}

/* ---- starting ---- */

static int32_t start_one(struct component *c, sl_error *error)
{
    if (c->state == COMPONENT_RUNNING) /* it has stayed over a reload */
        return SL_OK;
    return component_start(c, error);
}

static int32_t start_kind(struct graph *g, uint32_t kind, sl_error *error)
{
    for (uint32_t i = 0; i < g->n_components; i++) {
        struct component *c = g->components[i];
        if (c->kind != kind)
            continue;
        const int32_t status = start_one(c, error);
        if (status != SL_OK)
            return status;
        for (uint32_t s = 0; s < SIGNALS; s++)
            if (c->plan.sinks[s])
                sink_started(c->plan.sinks[s]);
    }
    return SL_OK;
}

int32_t graph_start_consumers(struct graph *g, sl_error *error)
{
    static const uint32_t consumers_first[] = {SL_KIND_exporter, SL_KIND_connector,
                                               SL_KIND_processor};
    int32_t status = SL_OK;
    for (uint32_t i = 0; i < g->n_extensions && status == SL_OK; i++)
        status = start_one(g->extensions[i], error);
    if (status == SL_OK)
        status = journals_open(g, error);
    for (uint32_t k = 0; k < 3 && status == SL_OK; k++)
        status = start_kind(g, consumers_first[k], error);
    for (uint32_t i = 0; i < g->n_pipelines; i++)
        for (uint32_t l = 0; l < g->pipelines[i]->n_lanes && status == SL_OK; l++)
            status = layout_open(&g->pipelines[i]->layouts[l], error);
    return status;
}

int32_t graph_start_receivers(struct graph *g, sl_error *error)
{
    return start_kind(g, SL_KIND_receiver, error);
}

static void adopt_plan(struct graph *g, struct component *c)
{
    c->graph = g;
    for (uint32_t s = 0; s < SIGNALS; s++) {
        if (c->plan.sinks[s])
            c->sinks[s] = c->plan.sinks[s];
        c->plan.sinks[s] = NULL;
    }
    outlet_adopt(c);
}

/* What a lane may have waiting before its senders are told to wait: enough for a few large
 * requests, and never a large part of the budget. */
static uint64_t input_limit(const struct pipeline *p)
{
    const uint64_t usual = UINT64_C(16) << 20;
    const uint64_t budget = memory_limit(p->runtime->memory);
    const uint64_t share = budget ? budget / 16 / p->n_lanes : usual;
    return share < usual ? (share ? share : 1) : usual;
}

static void take_layouts(struct pipeline *p)
{
    p->input_limit = input_limit(p);
    for (uint32_t l = 0; l < p->n_lanes; l++)
        lane_take_layout(&p->lanes[l], &p->layouts[l]);
    free(p->layouts);
    p->layouts = NULL;
    p->before = NULL;
}

void graph_take_over(struct graph *g)
{
    struct runtime *r = g->runtime;
    struct graph *before = g->before;
    for (uint32_t i = 0; i < g->n_pipelines; i++) /* before an outlet leads there */
        if (!g->pipelines[i]->before)
            take_layouts(g->pipelines[i]);
    pthread_mutex_lock(&r->topology);
    r->current = g;
    r->leaving = before;
    for (uint32_t i = 0; i < g->n_components; i++)
        adopt_plan(g, g->components[i]);
    for (uint32_t i = 0; i < g->n_pipelines; i++)
        if (g->pipelines[i]->before)
            g->pipelines[i]->before->lanes_stay = true;
    pthread_mutex_unlock(&r->topology);
    for (uint32_t i = 0; i < g->n_pipelines; i++)
        if (g->pipelines[i]->before)
            take_layouts(g->pipelines[i]);
    /* whoever was in the middle of a run may have looked at the outlets as they were */
    for (uint32_t i = 0; before && i < before->n_pipelines; i++)
        for (uint32_t l = 0; l < before->pipelines[i]->n_lanes; l++)
            lane_pass(&before->pipelines[i]->lanes[l]);
    for (uint32_t i = 0; i < g->n_components; i++)
        outlet_forget(g->components[i]);
    journals_lead(g, before);
}

void graph_open(struct graph *g)
{
    for (uint32_t i = 0; i < g->n_components; i++)
        atomic_store_explicit(&g->components[i]->door, DOOR_OPEN, memory_order_release);
}

void graph_started(struct graph *g)
{
    pthread_mutex_lock(&g->runtime->topology);
    g->started = true;
    pthread_mutex_unlock(&g->runtime->topology);
    (void)runtime_up_since(g->runtime);
}

int32_t graph_start(struct graph *g, sl_error *error)
{
    pthread_mutex_lock(&g->runtime->topology);
    g->runtime->current = g; /* what a component reports counts */
    pthread_mutex_unlock(&g->runtime->topology);
    int32_t status = graph_start_consumers(g, error);
    if (status != SL_OK)
        return status;
    graph_take_over(g);
    graph_open(g);
    status = graph_start_receivers(g, error);
    if (status == SL_OK)
        graph_started(g);
    return status;
}

/* ---- ending ---- */

static void close_door(struct component *c)
{
    atomic_store_explicit(&c->door, DOOR_CLOSED, memory_order_release);
}

void graph_drain(struct graph *g, int64_t deadline_ns)
{
    for (uint32_t i = 0; i < g->n_components; i++)
        if (g->components[i]->kind == SL_KIND_receiver)
            component_drain(g->components[i], deadline_ns);
    for (uint32_t i = 0; i < g->n_components; i++)
        close_door(g->components[i]);
    journals_pause(g);
    for (uint32_t i = 0; i < g->n_components; i++) {
        struct component *c = g->components[i];
        if (c->kind != SL_KIND_receiver && c->kind != SL_KIND_extension)
            component_drain(c, deadline_ns);
        for (uint32_t s = 0; s < SIGNALS; s++)
            if (c->sinks[s])
                sink_drain(c->sinks[s], deadline_ns);
    }
}

/* Does someone still wait for what becomes of what the component offered? */
static bool owes_answers(const struct component *c)
{
    bool settles = false;
    for (uint32_t s = 0; s < SIGNALS; s++) {
        const struct outlet *o = atomic_load(&c->outlets[s]);
        settles |= o && o->ack == SL_ACK_SETTLED;
    }
    return settles && atomic_load_explicit(&c->unsettled, memory_order_acquire);
}

bool graph_drained(struct graph *g)
{
    bool empty = true;
    for (uint32_t i = 0; i < g->n_pipelines; i++) {
        pipeline_drain(g->order[i]);
        empty &= pipeline_is_empty(g->order[i]);
    }
    for (uint32_t i = 0; i < g->n_components; i++) {
        struct component *c = g->components[i];
        for (uint32_t s = 0; s < SIGNALS; s++)
            if (c->sinks[s])
                empty &= sink_is_empty(c->sinks[s]);
        empty &= !owes_answers(c);
    }
    return empty;
}

static void stop_kind(struct graph *g, uint32_t kind)
{
    for (uint32_t i = 0; i < g->n_components; i++)
        if (g->components[i]->kind == kind && !graph_borrows(g, g->components[i]))
            component_stop(g->components[i]);
}

void graph_forget_gone(struct graph *g)
{
    for (uint32_t i = 0; i < g->n_components; i++)
        for (uint32_t s = 0; s < SIGNALS; s++)
            if (g->components[i]->sinks[s])
                sink_forget_gone(g->components[i]->sinks[s]);
    for (uint32_t i = 0; i < g->n_pipelines; i++)
        if (g->pipelines[i]->journal.stream)
            stream_forget_gone(g->pipelines[i]->journal.stream);
}

uint64_t graph_stop(struct graph *g)
{
    uint64_t items = 0;
    if (g->stopped)
        return 0;
    g->stopped = true;
    for (uint32_t i = 0; i < g->n_components; i++)
        if (!graph_borrows(g, g->components[i]))
            close_door(g->components[i]);
    journals_pause(g);
    /* Lanes and sinks settle what they still hold while the receivers' threads can hear it. */
    for (uint32_t i = 0; i < g->n_pipelines; i++)
        if (g->order[i] && !g->order[i]->before)
            items += pipeline_close(g->order[i]);
    stop_kind(g, SL_KIND_exporter); /* makes sends that still run return */
    for (uint32_t i = 0; i < g->n_components; i++)
        for (uint32_t s = 0; s < SIGNALS; s++)
            if (g->components[i]->sinks[s] && !graph_borrows(g, g->components[i]))
                items += sink_close(g->components[i]->sinks[s]);
    stop_kind(g, SL_KIND_receiver);
    stop_kind(g, SL_KIND_processor);
    stop_kind(g, SL_KIND_connector);
    for (uint32_t i = g->n_extensions; i--;)
        if (!graph_borrows(g, g->extensions[i]))
            component_stop(g->extensions[i]);
    graph_forget_gone(g);
    return items;
}

/* ---- questions ---- */

uint32_t graph_pipelines(const struct graph *g)
{
    return g->n_pipelines;
}

uint64_t graph_failed_items(const struct graph *g)
{
    uint64_t items = 0;
    for (uint32_t i = 0; i < g->n_components; i++)
        for (uint32_t s = 0; s < SIGNALS; s++)
            if (g->components[i]->kind == SL_KIND_receiver)
                items += atomic_load(&g->components[i]->ledgers[s].ended[SL_FAILED]);
    return items;
}

/* The topology's mutex is held. */
static bool is_healthy(const struct graph *g)
{
    if (!g || !g->started)
        return false;
    for (uint32_t i = 0; i < g->n_components; i++) {
        const struct component *c = g->components[i];
        const int32_t status = atomic_load(&c->status);
        if (status == SL_STATUS_STARTING || status >= SL_STATUS_PERMANENT ||
            atomic_load(&c->door) == DOOR_CLOSED)
            return false;
    }
    for (uint32_t i = 0; i < g->n_pipelines; i++)
        if (g->pipelines[i]->journal.stream && !stream_healthy(g->pipelines[i]->journal.stream))
            return false; /* senders are told to go away */
    return true;
}

/* The topology's mutex is held. */
static void note_up(const struct runtime *r)
{
    if (r->current && !r->current->up_since && is_healthy(r->current))
        r->current->up_since = clock_wall(r->clock);
}

bool runtime_healthy(struct runtime *r)
{
    pthread_mutex_lock(&r->topology);
    const bool healthy = is_healthy(r->current);
    pthread_mutex_unlock(&r->topology);
    return healthy;
}

int64_t runtime_up_since(struct runtime *r)
{
    pthread_mutex_lock(&r->topology);
    note_up(r);
    const int64_t since = r->current ? r->current->up_since : 0;
    pthread_mutex_unlock(&r->topology);
    return since;
}

bool graph_status_changed(struct component *c)
{
    struct runtime *r = c->runtime;
    pthread_mutex_lock(&r->topology);
    note_up(r);
    const bool runs = c->graph && c->graph == r->current;
    pthread_cond_broadcast(&r->status_changed);
    pthread_mutex_unlock(&r->topology);
    return runs;
}

struct component *graph_component(struct graph *g, uint32_t kind, const char *id)
{
    for (uint32_t i = 0; i < g->n_components; i++)
        if (g->components[i]->kind == kind && !strcmp(g->components[i]->id, id))
            return g->components[i];
    return NULL;
}

void graph_components(struct graph *g, void (*visit)(void *, struct component *), void *arg)
{
    for (uint32_t i = 0; i < g->n_components; i++)
        visit(arg, g->components[i]);
}

void graph_lanes(struct graph *g, void (*visit)(void *, struct lane *), void *arg)
{
    for (uint32_t i = 0; i < g->n_pipelines; i++)
        for (uint32_t l = 0; l < g->pipelines[i]->n_lanes && !g->pipelines[i]->lanes_stay; l++)
            visit(arg, &g->pipelines[i]->lanes[l]);
}
