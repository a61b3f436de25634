/* Building the graph from the service's config: types are found and loaded, components made,
 * pipelines joined. Control thread; every problem is reported, not only the first. */
#include "pipeline/graph/build.h"
#include "pipeline/config/nearest.h"
#include "pipeline/graph/component.h"
#include "pipeline/graph/outlet.h"
#include "pipeline/graph/sink.h"
#include "pipeline/graph/stores.h"
#include "pipeline/plugins/loader.h"
#include <stdlib.h>

const sl_type *find_type(struct runtime *r, uint32_t kind, sl_bytes name, uint32_t signals,
                         sl_error *error)
{
    const struct plugin_file *file;
    const struct plugin *plugin;
    if (plugin_registry_find(r->registry, kind, name, &file, error) != SL_OK ||
        plugin_load(r->loader, file->path, &plugin, error) != SL_OK)
        return NULL;
    const sl_type *type = plugin_type(plugin, kind, name, signals);
    if (!type)
        (void)sl_fail(error, SL_ERR_NOT_FOUND, "%s does not have %s \"%.*s\"", file->path,
                      service_kind_name(kind), (int)name.n, (const char *)name.p);
    return type;
}

static struct component *made(const struct graph *g, const struct service_component *sc)
{
    for (uint32_t i = 0; i < g->n_components; i++)
        if (g->components[i]->kind == sc->kind && !strcmp(g->components[i]->id, sc->id))
            return g->components[i];
    return NULL;
}

/* No plugin has the type: which name was meant? */
static void report_unknown(const struct graph *g, const struct service_component *sc,
                           const sl_error *error, struct config_diagnostics *d)
{
    struct nearest near = nearest_to(sl_str(sc->type));
    for (uint32_t i = 0; i < plugin_registry_files(g->runtime->registry); i++) {
        const struct plugin_file *f = plugin_registry_at(g->runtime->registry, i);
        for (uint32_t t = 0; t < f->n_types; t++)
            if (f->types[t].kind == sc->kind)
                nearest_try(&near, f->types[t].name);
    }
    const bool hint = error->code == SL_ERR_NOT_FOUND && near.found;
    diagnostics_add(d, CONFIG_ERROR, sc->at, "%s \"%s\": %s%s%s%s", service_kind_name(sc->kind),
                    sc->id, error->text, hint ? " (nearest: \"" : "", hint ? near.found : "",
                    hint ? "\")" : "");
}

static void make_component(struct graph *g, const struct service_component *sc,
                           struct config_diagnostics *d)
{
    sl_error error = {.size = sizeof error};
    struct component *there = g->before ? graph_component(g->before, sc->kind, sc->id) : NULL;
    if (there && there->plan.stays) {
        g->components[g->n_components++] = there;
        return;
    }
    const sl_type *type = find_type(g->runtime, sc->kind, sl_str(sc->type), 0, &error);
    if (!type) {
        report_unknown(g, sc, &error, d);
        return;
    }
    struct component *c = component_create(g, g->runtime, type, sc, there, d);
    if (c)
        g->components[g->n_components++] = c;
}

/* Extensions first, because others look for their interfaces in `prepare`. Where the pipelines are
 * wrong, nobody knows which components are used: then all are checked. */
static void make_components(struct graph *g, const struct service_config *s,
                            struct config_diagnostics *d)
{
    const bool all = diagnostics_failed(d);
    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < s->n_components; i++) {
            const struct service_component *sc = &s->components[i];
            if ((sc->used || all) && (sc->kind == SL_KIND_extension) == (pass == 0))
                make_component(g, sc, d);
        }
    }
}

/* Does the component take part in the pipeline's signal? */
static bool takes_signal(const struct component *c, const struct service_ref *ref, uint32_t signal,
                         bool as_receiver, struct config_diagnostics *d)
{
    const uint32_t out = c->type->signals_out ? c->type->signals_out : c->type->signals;
    const uint32_t mask = c->kind == SL_KIND_connector && as_receiver ? out : c->type->signals;
    if (mask & signal)
        return true;
    char list[64] = "";
    for (uint32_t i = 0; i < SIGNALS; i++)
        if (mask & 1u << i) {
            const size_t n = strlen(list);
            (void)snprintf(list + n, sizeof list - n, "%s%s", n ? ", " : "",
                           service_signal_name(1u << i));
        }
    diagnostics_add(d, CONFIG_ERROR, ref->at, "%s \"%s\" does not %s %s; it does %s",
                    service_kind_name(c->kind), c->id, as_receiver ? "give" : "take",
                    service_signal_name(signal), list);
    return false;
}

/* The queue in front of an exporter for a signal. */
static bool has_sink(struct component *c, uint32_t signal)
{
    struct sink **plan = &c->plan.sinks[signal_index(signal)];
    if (!c->sinks[signal_index(signal)] && !*plan)
        *plan = sink_create(c, signal);
    return c->sinks[signal_index(signal)] || *plan;
}

static bool needs_affinity(const struct pipeline *p)
{
    for (uint32_t i = 0; i < p->n_processors; i++)
        if (p->processors[i]->type->flags & SL_TRACE_AFFINITY)
            return true;
    return false;
}

static struct pipeline *pipeline_of_before(const struct graph *g, const struct service_pipeline *sp,
                                           uint32_t n_lanes)
{
    for (uint32_t i = 0; g->before && i < g->before->n_pipelines; i++) {
        struct pipeline *p = g->before->pipelines[i];
        if (!strcmp(p->id, sp->id) && p->n_lanes == n_lanes)
            return p;
    }
    return NULL;
}

static void make_pipeline(struct graph *g, const struct service_pipeline *sp,
                          struct config_diagnostics *d)
{
    struct pipeline *p = calloc(1, sizeof *p);
    if (!p) {
        diagnostics_no_memory(d);
        return;
    }
    g->pipelines[g->n_pipelines++] = p;
    p->runtime = g->runtime;
    p->signal = sp->signal;
    p->id = strdup(sp->id);
    p->processors = calloc(sp->n_processors + 1, sizeof *p->processors);
    p->exporters = calloc(sp->n_exporters + 1, sizeof *p->exporters);
    if (!p->id || !p->processors || !p->exporters) {
        diagnostics_no_memory(d);
        return;
    }
    journal_make_plan(g, p, sp, d);
    for (uint32_t i = 0; i < sp->n_processors; i++) {
        struct component *c = made(g, sp->processors[i].component);
        if (c && takes_signal(c, &sp->processors[i], sp->signal, false, d))
            p->processors[p->n_processors++] = c;
    }
    for (uint32_t i = 0; i < sp->n_exporters; i++) {
        struct component *c = made(g, sp->exporters[i].component);
        if (!c || !takes_signal(c, &sp->exporters[i], sp->signal, false, d))
            continue;
        if (c->kind == SL_KIND_exporter && !has_sink(c, sp->signal))
            diagnostics_no_memory(d);
        if (c->kind == SL_KIND_exporter)
            store_check(g, c, sp->exporters[i].at, d);
        p->exporters[p->n_exporters++] = c;
    }
    for (uint32_t i = 0; i < sp->n_receivers; i++) {
        struct component *c = made(g, sp->receivers[i].component);
        if (c && takes_signal(c, &sp->receivers[i], sp->signal, true, d) && !outlet_plan(c, p))
            diagnostics_no_memory(d);
    }
    p->n_lanes = sp->lanes ? sp->lanes : 1;
    p->before = pipeline_of_before(g, sp, p->n_lanes);
    p->trace_affinity = needs_affinity(p);
}

/* Does a connector of `from` feed `to`? */
static bool feeds(const struct pipeline *from, const struct pipeline *to)
{
    for (uint32_t i = 0; i < from->n_exporters; i++) {
        const struct component *c = from->exporters[i];
        const struct outlet *o = c->plan.outlets[signal_index(to->signal)];
        for (uint32_t k = 0; c->kind == SL_KIND_connector && o && k < o->n; k++)
            if (o->pipelines[k] == to)
                return true;
    }
    return false;
}

/* Orders the pipelines so that each comes before those that its connectors feed; a circle of
 * connectors would pass the same data round for ever. */
static void order_pipelines(struct graph *g, const struct service_config *s,
                            struct config_diagnostics *d)
{
    uint32_t placed = 0;
    while (placed < g->n_pipelines) {
        const uint32_t before = placed;
        for (uint32_t i = 0; i < g->n_pipelines; i++) {
            struct pipeline *p = g->pipelines[i];
            bool ready = true;
            for (uint32_t o = 0; o < placed; o++)
                ready &= g->order[o] != p;
            for (uint32_t k = 0; ready && k < g->n_pipelines; k++) {
                const struct pipeline *from = g->pipelines[k];
                bool is_placed = false;
                for (uint32_t o = 0; o < placed; o++)
                    is_placed |= g->order[o] == from;
                ready = is_placed || !feeds(from, p);
            }
            if (ready)
                g->order[placed++] = p;
        }
        if (placed == before) {
            diagnostics_add(d, CONFIG_ERROR, s->pipelines[0].at,
                            "the connectors join pipelines in a circle; data would never leave it");
            return;
        }
    }
}

/* What the answer to a sender waits for; of several branches the highest counts. */
enum {
    ANSWER_SYNC,   /* exporters without a queue alone: their result, as in the Collector */
    ANSWER_QUEUED, /* something rests in between, and nobody asked to wait for it */
    ANSWER_WAITED  /* an exporter that was told to have the sender wait */
};

static int32_t answer_of_exporter(const struct component *c)
{
    if (!(c->type->flags & SL_QUEUE) || c->exporter->sending_queue.storage.n)
        return ANSWER_SYNC; /* on disk it has ended, for whoever sent it */
    return c->exporter->sending_queue.wait_for_result ? ANSWER_WAITED : ANSWER_QUEUED;
}

static int32_t answer_of_pipeline(const struct pipeline *p)
{
    int32_t most = ANSWER_SYNC;
    if (p->journal.wanted) /* `taken` waits for the write, and all has ended then */
        return ANSWER_SYNC;
    for (uint32_t i = 0; i < p->n_processors; i++)
        if (p->processors[i]->type->flags & SL_HOLDS)
            most = ANSWER_QUEUED;
    for (uint32_t i = 0; i < p->n_exporters; i++) {
        const struct component *c = p->exporters[i];
        const bool is_exporter = c->kind == SL_KIND_exporter;
        for (uint32_t s = 0; s < (is_exporter ? 1 : SIGNALS); s++) {
            const struct outlet *o = c->plan.outlets[s];
            const int32_t answer = is_exporter ? answer_of_exporter(c) : o ? o->ack : ANSWER_SYNC;
            most = answer > most ? answer : most;
        }
    }
    return most;
}

/* Is everything that comes out of the outlet written to a journal first? */
static bool is_journaled(const struct outlet *o)
{
    for (uint32_t i = 0; i < o->n; i++)
        if (!o->pipelines[i]->journal.wanted)
            return false;
    return true;
}

/* A file beside a queue is not waited for: the sender would wait for the queue's destination too,
 * which may be dead. Until the end `ack` holds the answer's kind. */
static void decide_acks(struct graph *g)
{
    for (uint32_t i = g->n_pipelines; i--;) { /* those that are fed first */
        const struct pipeline *p = g->order[i];
        const int32_t answer = answer_of_pipeline(p);
        for (uint32_t k = 0; k < g->n_components; k++) {
            struct outlet *o = g->components[k]->plan.outlets[signal_index(p->signal)];
            for (uint32_t n = 0; o && n < o->n; n++)
                if (o->pipelines[n] == p && answer > o->ack)
                    o->ack = answer;
        }
    }
    for (uint32_t k = 0; k < g->n_components; k++)
        for (uint32_t s = 0; s < SIGNALS; s++) {
            struct outlet *o = g->components[k]->plan.outlets[s];
            if (o && is_journaled(o))
                o->ack = SL_ACK_JOURNALED;
            else if (o)
                o->ack = o->ack != ANSWER_QUEUED ? SL_ACK_SETTLED : SL_ACK_TAKEN;
        }
}

/* The lanes, its own or those of the pipeline before, and what is to stand in them. */
static bool make_lanes(struct pipeline *p)
{
    p->lanes = p->before ? p->before->lanes : calloc(p->n_lanes, sizeof *p->lanes);
    p->layouts = calloc(p->n_lanes, sizeof *p->layouts);
    if (!p->lanes || !p->layouts)
        return false;
    for (uint32_t l = 0; l < p->n_lanes; l++)
        if ((!p->before && lane_init(&p->lanes[l], p, l) != SL_OK) ||
            layout_make(&p->layouts[l], p, &p->lanes[l]) != SL_OK)
            return false;
    return true;
}

static bool build(struct graph *g, const struct service_config *s, struct config_diagnostics *d)
{
    g->components = calloc(s->n_components + 1, sizeof *g->components);
    g->pipelines = calloc(s->n_pipelines + 1, sizeof *g->pipelines);
    g->order = calloc(s->n_pipelines + 1, sizeof *g->order);
    g->extensions = calloc(s->n_extensions + 1, sizeof *g->extensions);
    if (!g->components || !g->pipelines || !g->order || !g->extensions) {
        diagnostics_no_memory(d);
        return false;
    }
    make_components(g, s, d);
    for (uint32_t i = 0; i < s->n_extensions; i++) {
        struct component *c = made(g, s->extensions[i].component);
        if (c)
            g->extensions[g->n_extensions++] = c;
    }
    for (uint32_t i = 0; i < s->n_pipelines; i++)
        make_pipeline(g, &s->pipelines[i], d);
    if (diagnostics_failed(d))
        return false;
    order_pipelines(g, s, d);
    if (diagnostics_failed(d))
        return false;
    decide_acks(g);
    for (uint32_t i = 0; i < g->n_pipelines; i++) {
        if (!make_lanes(g->pipelines[i])) {
            diagnostics_no_memory(d);
            return false;
        }
    }
    return true;
}

struct graph *graph_build(struct runtime *r, const struct service_config *s, struct graph *before,
                          struct config_diagnostics *d)
{
    struct graph *g = calloc(1, sizeof *g);
    if (!g) {
        diagnostics_no_memory(d);
        return NULL;
    }
    g->runtime = r;
    g->before = before;
    if (!build(g, s, d)) {
        graph_destroy(g);
        return NULL;
    }
    return g;
}
