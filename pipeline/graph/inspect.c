/* What the process tells about itself (SL_INSPECT): gathered when it is asked for. Any thread. */
#include "pipeline/graph/build.h"
#include "pipeline/graph/component.h"
#include "pipeline/graph/host.h"
#include "pipeline/graph/lane.h"
#include "pipeline/graph/sink.h"
#include "pipeline/memory/memory.h"
#include "pipeline/telemetry/log.h"
#include "pipeline/telemetry/recent.h"
#include <stdlib.h>
#include <unistd.h>

/* A node as it is shown, and where its status text is kept meanwhile. */
struct node {
    sl_node_info info;
    char text[sizeof((struct component *)0)->status_text];
};

static void fill(struct node *n, struct component *c, uint32_t signal)
{
    n->info = (sl_node_info){.size = sizeof n->info,
                             .kind = c->kind,
                             .signal = signal,
                             .name = c->id,
                             .status = atomic_load(&c->status),
                             .text = n->text};
    pthread_mutex_lock(&c->mutex);
    memcpy(n->text, c->status_text, sizeof n->text);
    pthread_mutex_unlock(&c->mutex);
    if (!signal)
        return;
    const struct ledger *l = &c->ledgers[signal_index(signal)];
    const int64_t held = ledger_held(l);
    n->info.received = atomic_load(&l->received);
    n->info.forwarded = atomic_load(&l->forwarded);
    for (uint32_t o = 0; o < SL_OUTCOMES; o++)
        n->info.ended[o] = atomic_load(&l->ended[o]);
    n->info.held = held > 0 ? (uint64_t)held : 0;
    struct sink *sink = c->sinks[signal_index(signal)];
    if (!sink)
        return;
    struct sink_stats stats;
    sink_read(sink, &stats);
    n->info.held = stats.items;
    n->info.held_bytes = stats.bytes;
    n->info.in_flight = stats.in_flight;
    if (c->type->flags & SL_QUEUE) {
        n->info.queue_size = stats.size;
        n->info.queue_capacity = stats.capacity;
    }
}

static bool gives_to(const struct component *c, const struct pipeline *p)
{
    const struct outlet *o = atomic_load(&c->outlets[signal_index(p->signal)]);
    for (uint32_t i = 0; o && i < o->n; i++)
        if (o->pipelines[i] == p)
            return true;
    return false;
}

/* A pipeline's nodes in the order of the flow; counts only where `nodes` is NULL. */
static uint32_t nodes_of(const struct graph *g, const struct pipeline *p, struct node *nodes)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->n_components; i++) {
        if (!gives_to(g->components[i], p))
            continue;
        if (nodes)
            fill(&nodes[n], g->components[i], p->signal);
        n++;
    }
    for (uint32_t i = 0; nodes && i < p->n_processors; i++)
        fill(&nodes[n + i], p->processors[i], p->signal);
    n += p->n_processors;
    for (uint32_t i = 0; nodes && i < p->n_exporters; i++)
        fill(&nodes[n + i], p->exporters[i], p->signal);
    return n + p->n_exporters;
}

/* ---- SL_INSPECT ---- */

static int32_t visit_pipeline(const struct graph *g, struct pipeline *p,
                              void (*visit)(void *, const sl_pipeline_info *), void *ctx)
{
    const uint32_t n = nodes_of(g, p, NULL);
    struct node *nodes = calloc(n + 1, sizeof *nodes);
    const sl_node_info **infos = calloc(n + 1, sizeof *infos);
    sl_pipeline_info info = {.size = sizeof info,
                             .signal = p->signal,
                             .name = p->id,
                             .lanes = p->n_lanes,
                             .n_nodes = n,
                             .nodes = infos};
    if (nodes && infos) {
        (void)nodes_of(g, p, nodes);
        for (uint32_t i = 0; i < n; i++)
            infos[i] = &nodes[i].info;
        for (uint32_t i = 0; i < p->n_lanes; i++) {
            struct lane *lane = &p->lanes[i];
            pthread_mutex_lock(&lane->mutex);
            info.waiting += lane->n_input;
            info.waiting_bytes += lane->input_bytes;
            pthread_mutex_unlock(&lane->mutex);
        }
        visit(ctx, &info);
    }
    const int32_t status = nodes && infos ? SL_OK : SL_ERR_NOMEM;
    free(nodes);
    free(infos);
    return status;
}

static int32_t inspect_pipelines(const sl_host *h, void (*visit)(void *, const sl_pipeline_info *),
                                 void *ctx)
{
    struct runtime *r = host_of(h)->component->runtime;
    int32_t status = SL_OK;
    pthread_mutex_lock(&r->topology);
    const struct graph *g = r->current;
    for (uint32_t i = 0; g && i < g->n_pipelines && status == SL_OK; i++)
        status = visit_pipeline(g, g->pipelines[i], visit, ctx);
    pthread_mutex_unlock(&r->topology);
    return status;
}

static int32_t inspect_extensions(const sl_host *h, void (*visit)(void *, const sl_node_info *),
                                  void *ctx)
{
    struct runtime *r = host_of(h)->component->runtime;
    pthread_mutex_lock(&r->topology);
    const struct graph *g = r->current;
    for (uint32_t i = 0; g && i < g->n_extensions; i++) {
        struct node node;
        fill(&node, g->extensions[i], 0);
        visit(ctx, &node.info);
    }
    pthread_mutex_unlock(&r->topology);
    return SL_OK;
}

struct problem_visit {
    void (*visit)(void *ctx, const sl_log_line *);
    void *ctx;
};

static void visit_problem(void *ctx, const struct recent_line *l)
{
    const struct problem_visit *v = ctx;
    const sl_log_line line = {.size = sizeof line,
                              .level = l->level,
                              .count = l->count,
                              .at_ns = l->at_ns,
                              .component = l->component,
                              .text = l->text};
    v->visit(v->ctx, &line);
}

static int32_t inspect_problems(const sl_host *h, void (*visit)(void *, const sl_log_line *),
                                void *ctx)
{
    struct problem_visit v = {visit, ctx};
    return log_recent(host_of(h)->component->runtime->log, visit_problem, &v);
}

static void inspect_process(const sl_host *h, sl_process_info *out)
{
    const struct runtime *r = host_of(h)->component->runtime;
    const sl_process_info info = {.size = out->size,
                                  .pid = getpid(),
                                  .version = SLUICE_VERSION,
                                  .memory_limit = memory_limit(r->memory),
                                  .memory_used = memory_used(r->memory),
                                  .memory_pooled = memory_pooled(r->memory)};
    memcpy(out, &info, out->size < sizeof info ? out->size : sizeof info);
}

const sl_inspect inspect_table = {.size = sizeof inspect_table,
                                  .pipelines = inspect_pipelines,
                                  .extensions = inspect_extensions,
                                  .problems = inspect_problems,
                                  .process = inspect_process};
