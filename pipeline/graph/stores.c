/* Exporters' queues on disk: those that ask for it (sending_queue.storage), and those behind a
 * journal where waiting in its place would hold up others. */
#include "pipeline/graph/stores.h"
#include "pipeline/config/service.h"
#include "pipeline/graph/build.h"
#include "pipeline/graph/journals.h"
#include "pipeline/graph/sink.h"

static const int64_t queue_max_age_ns = INT64_C(86400000000000);
static const uint64_t queue_max_bytes = UINT64_C(1) << 40; /* queue_size is the bound */

void store_check(struct graph *g, const struct component *c, struct config_place at,
                 struct config_diagnostics *d)
{
    char what[160];
    const sl_bytes storage = c->exporter->sending_queue.storage;
    (void)snprintf(what, sizeof what, "sending_queue of exporter \"%.100s\"", c->id);
    if (storage.n)
        (void)storage_find(g, storage, what, at, d);
}

static const sl_storage_provider *storage_named(const struct graph *g, sl_bytes id)
{
    for (uint32_t i = 0; i < g->n_extensions; i++)
        if (sl_eq(sl_str(g->extensions[i]->id), id))
            return storage_of(g->extensions[i]);
    return NULL;
}

static bool leads_to(const struct pipeline *p, const struct component *c, uint32_t index)
{
    if (signal_index(p->signal) != index)
        return false;
    for (uint32_t i = 0; i < p->n_exporters; i++)
        if (p->exporters[i] == c)
            return true;
    return false;
}

/* Would data that waits in the journal for this exporter hold up something: an exporter beside it,
 * or what a processor has made of the data since? */
static bool holds_up(const struct pipeline *p)
{
    for (uint32_t i = 0; i < p->n_processors; i++)
        if (p->processors[i]->type->flags & SL_HOLDS)
            return true;
    return p->n_exporters > 1;
}

/* The journal behind which the queue overflows to disk; NULL: it does not. Where it did under
 * another configuration it still does: what is left there is to be sent. */
static const struct pipeline *journal_before(const struct graph *g, const struct component *c,
                                             uint32_t index, const char *name)
{
    for (uint32_t i = 0; i < g->n_pipelines; i++) {
        const struct pipeline *p = g->pipelines[i];
        struct stream_options o;
        if (!p->journal.wanted || !leads_to(p, c, index))
            continue;
        journal_options(p, &o);
        o.name = name;
        if (holds_up(p) || stream_is_there(&o))
            return p;
    }
    return NULL;
}

static int32_t open_one(const struct graph *g, const struct component *c, uint32_t index,
                        sl_error *error)
{
    char name[256];
    const sl_bytes storage = c->exporter->sending_queue.storage;
    struct stream_options o = {.name = name};
    (void)snprintf(name, sizeof name, "out %.200s %s", c->id, service_signal_name(1u << index));
    const struct pipeline *p = storage.n ? NULL : journal_before(g, c, index, name);
    if (!storage.n && !p)
        return SL_OK;
    if (p) {
        journal_options(p, &o);
        o.name = name;
        if (p->n_exporters > 1) /* it may not hold up the others, whatever happens to it */
            o.on_full = JOURNAL_DROP_OLDEST;
    } else {
        const sl_storage_provider *s = storage_named(g, storage);
        o.directory = s->directory;
        o.durability = s->sync ? JOURNAL_POWER : JOURNAL_PROCESS;
        o.max_bytes = s->max_bytes ? s->max_bytes : queue_max_bytes;
        o.max_age_ns = queue_max_age_ns;
    }
    sl_error why = {.size = sizeof why};
    const int32_t status = sink_open_store(c->plan.sinks[index], &o, storage.n > 0, &why);
    return status == SL_OK
               ? SL_OK
               : sl_fail(error, status, "queue of exporter \"%s\": %s", c->id, why.text);
}

int32_t stores_open(struct graph *g, sl_error *error)
{
    int32_t status = SL_OK;
    for (uint32_t i = 0; i < g->n_components; i++)
        for (uint32_t s = 0; s < SIGNALS && status == SL_OK; s++)
            if (g->components[i]->plan.sinks[s])
                status = open_one(g, g->components[i], s, error);
    return status;
}

/* How long what comes to the queue is kept, and whether it was kept before it came. */
static void keep(const struct graph *g, const struct component *c, uint32_t index)
{
    struct sink *sink = c->sinks[index];
    int64_t max_age = 0;
    for (uint32_t i = 0; i < g->n_pipelines; i++) {
        const struct pipeline *p = g->pipelines[i];
        if (p->journal.wanted && leads_to(p, c, index) && p->journal.config.max_age > max_age)
            max_age = p->journal.config.max_age;
    }
    const bool journaled = max_age > 0;
    if (sink_stores_all(sink) && max_age < queue_max_age_ns)
        max_age = queue_max_age_ns;
    sink_keep(sink, max_age, journaled);
}

void stores_lead(struct graph *g)
{
    for (uint32_t i = 0; i < g->n_components; i++) {
        for (uint32_t s = 0; s < SIGNALS; s++) {
            if (!g->components[i]->sinks[s])
                continue;
            keep(g, g->components[i], s);
            sink_lead_store(g->components[i]->sinks[s]);
        }
    }
}

void stores_pause(struct graph *g)
{
    for (uint32_t i = 0; i < g->n_components; i++)
        for (uint32_t s = 0; s < SIGNALS; s++)
            if (g->components[i]->sinks[s] && !graph_borrows(g, g->components[i]))
                sink_leave_store(g->components[i]->sinks[s]);
}
