/* The plan that `sluice validate` prints. Control thread, before the start: what is looked at is
 * what was planned. */
#include "pipeline/graph/describe.h"
#include "pipeline/graph/build.h"
#include "pipeline/graph/sink.h"
#include <stdlib.h>

static bool feeds(const struct component *c, const struct pipeline *p)
{
    const struct outlet *o = c->plan.outlets[signal_index(p->signal)];
    for (uint32_t i = 0; o && i < o->n; i++)
        if (o->pipelines[i] == p)
            return true;
    return false;
}

static bool gives_to(const struct pipeline *from, const struct pipeline *to)
{
    for (uint32_t i = 0; i < from->n_exporters; i++)
        if (from->exporters[i]->kind == SL_KIND_connector && feeds(from->exporters[i], to))
            return true;
    return false;
}

/* What senders hear: no more than "taken" as soon as that is all that one of them hears, or one of
 * a pipeline in front. `ends`: the answers for the pipelines before it in the graph's order. */
static bool ends_delivered(const struct graph *g, const struct pipeline *p, const bool *ends)
{
    bool delivered = true;
    for (uint32_t i = 0; i < g->n_components; i++) {
        const struct component *c = g->components[i];
        if (c->kind == SL_KIND_receiver && feeds(c, p))
            delivered &= c->plan.outlets[signal_index(p->signal)]->ack == SL_ACK_SETTLED;
    }
    for (uint32_t i = 0; g->order[i] != p; i++)
        if (gives_to(g->order[i], p))
            delivered &= ends[i];
    return delivered;
}

static void put_list(FILE *out, const char **comma, const char *text)
{
    (void)fprintf(out, "%s%s", *comma, text);
    *comma = ", ";
}

static void put_receivers(const struct graph *g, const struct pipeline *p, FILE *out)
{
    const char *comma = "";
    for (uint32_t i = 0; i < g->n_components; i++)
        if (feeds(g->components[i], p))
            put_list(out, &comma, g->components[i]->id);
}

/* A connector is followed by the pipelines that it feeds: "forward (traces/b)". */
static void put_exporters(const struct pipeline *p, FILE *out)
{
    const char *comma = "";
    for (uint32_t i = 0; i < p->n_exporters; i++) {
        const struct component *c = p->exporters[i];
        const char *inner = " (";
        put_list(out, &comma, c->id);
        for (uint32_t s = 0; s < SIGNALS; s++) {
            const struct outlet *o = c->plan.outlets[s];
            for (uint32_t k = 0; c->kind == SL_KIND_connector && o && k < o->n; k++)
                put_list(out, &inner, o->pipelines[k]->id);
        }
        if (*inner == ',')
            (void)fputc(')', out);
    }
}

static void describe_flow(const struct graph *g, const struct pipeline *p, bool delivered,
                          int width, FILE *out)
{
    (void)fprintf(out, "pipeline %-*s  acknowledges %-9s  ", width, p->id,
                  p->journal.wanted ? "journaled"
                  : delivered       ? "delivered"
                                    : "taken");
    put_receivers(g, p, out);
    for (uint32_t i = 0; i < p->n_processors; i++)
        (void)fprintf(out, " -> %s", p->processors[i]->id);
    (void)fputs(" -> ", out);
    put_exporters(p, out);
    if (p->n_lanes > 1)
        (void)fprintf(out, "  (%u lanes)", p->n_lanes);
    (void)fputc('\n', out);
}

static bool is_queued(const struct component *c)
{
    return (c->type->flags & SL_QUEUE) && !c->exporter->sending_queue.wait_for_result;
}

/* Senders wait for the slowest branch: one exporter's wait_for_result reaches those beside it, too. */
static void describe_waits(const struct pipeline *p, bool delivered, int width, FILE *out)
{
    bool others = false;
    for (uint32_t i = 0; i < p->n_exporters; i++)
        others |= is_queued(p->exporters[i]);
    if (!delivered || !others)
        return;
    const char *comma = "";
    (void)fprintf(
        out, "waits for all %-*s  an exporter that waits for results makes senders wait also for: ",
        width, p->id);
    for (uint32_t i = 0; i < p->n_exporters; i++)
        if (is_queued(p->exporters[i]))
            put_list(out, &comma, p->exporters[i]->id);
    (void)fputc('\n', out);
}

static void describe_journal(const struct pipeline *p, int width, FILE *out)
{
    const struct service_journal *c = &p->journal.config;
    const sl_storage_provider *storage = p->journal.storage ? storage_of(p->journal.storage) : NULL;
    const bool power = c->durability == SERVICE_SURVIVES_POWER || (storage && storage->sync);
    (void)fprintf(
        out,
        "journal    %-*s  in %s: what is acknowledged survives %s, for %.4gh and %.4g MiB "
        "at most; then %s\n",
        width, p->id, storage ? storage->directory : p->runtime->journal_directory,
        power ? "the process and a loss of power" : "the process", (double)c->max_age / 3.6e12,
        (double)c->max_bytes / 1048576,
        c->on_full == SERVICE_DROP_OLDEST ? "the oldest is dropped" : "senders are refused");
}

/* Where what has been acknowledged may rest. */
static void describe_loss(const struct pipeline *p, bool delivered, int width, FILE *out)
{
    const char *comma = "";
    if (p->journal.wanted) {
        describe_journal(p, width, out);
        return;
    }
    (void)fprintf(out, "no journal %-*s  a crash loses ", width, p->id);
    if (delivered) {
        (void)fputs("nothing that was acknowledged\n", out);
        return;
    }
    (void)fputs("what is acknowledged and still in: ", out);
    for (uint32_t i = 0; i < p->n_processors; i++)
        if (p->processors[i]->type->flags & SL_HOLDS)
            put_list(out, &comma, p->processors[i]->id);
    for (uint32_t i = 0; i < p->n_exporters; i++)
        if ((p->exporters[i]->type->flags & SL_QUEUE) &&
            !p->exporters[i]->exporter->sending_queue.storage.n)
            put_list(out, &comma, p->exporters[i]->id);
    (void)fputs(*comma ? "\n" : "the lanes\n", out);
}

void graph_describe(const struct graph *g, FILE *out)
{
    int width = 0;
    bool *ends = calloc(g->n_pipelines + 1, sizeof *ends);
    if (!ends)
        return;
    for (uint32_t i = 0; i < g->n_pipelines; i++) {
        const int n = (int)strlen(g->order[i]->id);
        width = n > width ? n : width;
        ends[i] = ends_delivered(g, g->order[i], ends);
    }
    for (uint32_t i = 0; i < g->n_pipelines; i++)
        describe_flow(g, g->order[i], ends[i], width, out);
    for (uint32_t i = 0; i < g->n_pipelines; i++)
        describe_waits(g->order[i], ends[i], width, out);
    for (uint32_t i = 0; i < g->n_pipelines; i++)
        describe_loss(g->order[i], ends[i], width, out);
    free(ends);
}
