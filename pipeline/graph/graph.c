/* The graph's life: made, started, drained, stopped. Control thread, but for what is marked. */
#include "pipeline/graph/graph.h"
#include "pipeline/graph/build.h"
#include "pipeline/graph/component.h"
#include "pipeline/graph/sink.h"
#include "pipeline/plugins/registry.h"
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
    struct graph *g = calloc(1, sizeof *g);
    if (!g || pthread_mutex_init(&g->mutex, NULL)) {
        free(g);
        diagnostics_no_memory(d);
        return NULL;
    }
    g->runtime = r;
    if (!build_graph(g, s, d)) {
        graph_destroy(g);
        return NULL;
    }
    return g;
}

void graph_destroy(struct graph *g)
{
    if (!g)
        return;
    (void)graph_stop(g);
    for (uint32_t i = 0; i < g->n_pipelines; i++) {
        struct pipeline *p = &g->pipelines[i];
        for (uint32_t l = 0; p->lanes && l < p->n_lanes; l++)
            lane_deinit(&p->lanes[l]);
        free(p->lanes);
        free(p->processors);
        free(p->exporters);
        free((void *)(uintptr_t)p->id);
    }
    for (uint32_t i = 0; i < g->n_components; i++)
        component_destroy(g->components[i]);
    for (uint32_t i = 0; i < g->n_codecs; i++)
        component_destroy(g->codecs[i]);
    free(g->components);
    free(g->extensions);
    free(g->pipelines);
    free(g->order);
    pthread_mutex_destroy(&g->mutex);
    free(g);
}

static int32_t start_kind(struct graph *g, uint32_t kind, sl_error *error)
{
    for (uint32_t i = 0; i < g->n_components; i++) {
        if (g->components[i]->kind != kind)
            continue;
        const int32_t status = component_start(g->components[i], error);
        if (status != SL_OK)
            return status;
        for (uint32_t s = 0; s < SIGNALS; s++)
            if (g->components[i]->sinks[s])
                sink_started(g->components[i]->sinks[s]);
    }
    return SL_OK;
}

int32_t graph_start(struct graph *g, sl_error *error)
{
    static const uint32_t consumers_first[] = {SL_KIND_exporter, SL_KIND_connector,
                                               SL_KIND_processor};
    int32_t status = SL_OK;
    for (uint32_t i = 0; i < g->n_extensions && status == SL_OK; i++)
        status = component_start(g->extensions[i], error);
    for (uint32_t k = 0; k < 3 && status == SL_OK; k++)
        status = start_kind(g, consumers_first[k], error);
    for (uint32_t i = 0; i < g->n_pipelines; i++)
        for (uint32_t l = 0; l < g->pipelines[i].n_lanes && status == SL_OK; l++)
            status = lane_open(&g->pipelines[i].lanes[l], error);
    if (status != SL_OK)
        return status;
    atomic_store(&g->takes, true);
    status = start_kind(g, SL_KIND_receiver, error);
    if (status == SL_OK) {
        atomic_store(&g->started, true);
        graph_status_changed(g);
    }
    return status;
}

void graph_drain(struct graph *g, int64_t deadline_ns)
{
    for (uint32_t i = 0; i < g->n_components; i++)
        if (g->components[i]->kind == SL_KIND_receiver)
            component_drain(g->components[i], deadline_ns);
    atomic_store(&g->takes, false);
    for (uint32_t i = 0; i < g->n_components; i++) {
        struct component *c = g->components[i];
        if (c->kind != SL_KIND_receiver && c->kind != SL_KIND_extension)
            component_drain(c, deadline_ns);
        for (uint32_t s = 0; s < SIGNALS; s++)
            if (c->sinks[s])
                sink_drain(c->sinks[s], deadline_ns);
    }
}

bool graph_drained(struct graph *g)
{
    bool empty = true;
    for (uint32_t i = 0; i < g->n_pipelines; i++) {
        for (uint32_t l = 0; l < g->order[i]->n_lanes; l++) {
            lane_drain(&g->order[i]->lanes[l]);
            empty &= lane_is_empty(&g->order[i]->lanes[l]);
        }
    }
    for (uint32_t i = 0; i < g->n_components; i++)
        for (uint32_t s = 0; s < SIGNALS; s++)
            if (g->components[i]->sinks[s])
                empty &= sink_is_empty(g->components[i]->sinks[s]);
    return empty;
}

static void stop_kind(struct graph *g, uint32_t kind)
{
    for (uint32_t i = 0; i < g->n_components; i++)
        if (g->components[i]->kind == kind)
            component_stop(g->components[i]);
}

uint64_t graph_stop(struct graph *g)
{
    uint64_t items = 0;
    atomic_store(&g->takes, false);
    /* Lanes and sinks settle what they still hold while the receivers' threads can hear it. */
    for (uint32_t i = 0; i < g->n_pipelines; i++)
        for (uint32_t l = 0; g->order[i] && g->order[i]->lanes && l < g->order[i]->n_lanes; l++)
            items += lane_close(&g->order[i]->lanes[l]);
    stop_kind(g, SL_KIND_exporter); /* makes sends that still run return */
    for (uint32_t i = 0; i < g->n_components; i++)
        for (uint32_t s = 0; s < SIGNALS; s++)
            if (g->components[i]->sinks[s])
                items += sink_close(g->components[i]->sinks[s]);
    stop_kind(g, SL_KIND_receiver);
    stop_kind(g, SL_KIND_processor);
    stop_kind(g, SL_KIND_connector);
    for (uint32_t i = 0; i < g->n_codecs; i++)
        component_stop(g->codecs[i]);
    for (uint32_t i = g->n_extensions; i--;)
        component_stop(g->extensions[i]);
    return items;
}

/* ---- questions; any thread ---- */

bool graph_takes(const struct graph *g)
{
    return atomic_load_explicit(&g->takes, memory_order_acquire);
}

bool graph_healthy(struct graph *g)
{
    if (!atomic_load(&g->started) || !graph_takes(g))
        return false;
    for (uint32_t i = 0; i < g->n_components; i++) {
        const int32_t status = atomic_load(&g->components[i]->status);
        if (status == SL_STATUS_STARTING || status >= SL_STATUS_PERMANENT)
            return false;
    }
    return true;
}

void graph_status_changed(struct graph *g)
{
    int64_t none = 0;
    if (!atomic_load(&g->up_since) && graph_healthy(g))
        (void)atomic_compare_exchange_strong(&g->up_since, &none, clock_wall(g->runtime->clock));
}

int64_t graph_up_since(struct graph *g)
{
    return atomic_load(&g->up_since);
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

void graph_sinks(struct graph *g, void (*visit)(void *, struct sink *), void *arg)
{
    for (uint32_t i = 0; i < g->n_components; i++)
        for (uint32_t s = 0; s < SIGNALS; s++)
            if (g->components[i]->sinks[s])
                visit(arg, g->components[i]->sinks[s]);
}

void graph_lanes(struct graph *g, void (*visit)(void *, struct lane *), void *arg)
{
    for (uint32_t i = 0; i < g->n_pipelines; i++)
        for (uint32_t l = 0; l < g->pipelines[i].n_lanes; l++)
            visit(arg, &g->pipelines[i].lanes[l]);
}

uint64_t graph_items_inside(struct graph *g)
{
    int64_t items = 0;
    for (uint32_t i = 0; i < g->n_components; i++)
        for (uint32_t s = 0; s < SIGNALS; s++)
            if (g->components[i]->kind == SL_KIND_receiver)
                items += ledger_held(&g->components[i]->ledgers[s]);
    return items > 0 ? (uint64_t)items : 0;
}

/* ---- codecs ---- */

static struct component *make_codec(struct graph *g, const char *encoding, uint32_t signal)
{
    sl_error error = {.size = sizeof error};
    struct config_diagnostics d;
    const struct service_component sc = {
        .id = encoding, .type = encoding, .name = "", .kind = SL_KIND_codec, .used = true};
    const sl_type *type = find_type(g->runtime, SL_KIND_codec, sl_str(encoding), signal, &error);
    if (!type || !type->decode)
        return NULL;
    diagnostics_init(&d, NULL);
    struct component *c = component_create(g, g->runtime, type, &sc, &d);
    diagnostics_deinit(&d);
    if (c && component_start(c, &error) != SL_OK) {
        component_destroy(c);
        c = NULL;
    }
    return c;
}

struct component *graph_codec(struct graph *g, const char *encoding, uint32_t signal)
{
    pthread_mutex_lock(&g->mutex);
    struct component *c = NULL;
    for (uint32_t i = 0; i < g->n_codecs && !c; i++)
        if (!strcmp(g->codecs[i]->id, encoding) && (g->codecs[i]->type->signals & signal))
            c = g->codecs[i];
    if (!c && g->n_codecs < MAX_CODECS && (c = make_codec(g, encoding, signal)))
        g->codecs[g->n_codecs++] = c;
    pthread_mutex_unlock(&g->mutex);
    return c;
}
