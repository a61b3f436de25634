/* From ledgers and queues to the metrics page, when it is asked for. One thread at a time. */
#include "pipeline/graph/publish.h"
#include "pipeline/graph/lane.h"
#include "pipeline/graph/sink.h"
#include "pipeline/telemetry/ids.h"
#include "pipeline/telemetry/log.h"

static void set(struct metrics *m, const struct metric_def *def, const struct metric_label *labels,
                uint32_t n, uint64_t value)
{
    if (def)
        metric_set(metrics_series(m, def, labels, n), (int64_t)value);
}

/* What ended at this node, by reason; what has no reason by outcome alone. */
static void publish_outcomes(struct metrics *m, const struct component *c, uint32_t index)
{
    const struct ledger *l = &c->ledgers[index];
    struct metric_label labels[] = {{"component", c->id},
                                    {"kind", service_kind_name(c->kind)},
                                    {"signal", service_signal_name(1u << index)},
                                    {"outcome", ""},
                                    {"reason", ""}};
    for (uint32_t o = 0; o < SL_OUTCOMES; o++) {
        const uint64_t all = atomic_load(&l->ended[o]);
        if (!all)
            continue;
        labels[3].value = metric_outcome_name((int32_t)o);
        if (o == SL_DELIVERED || o == SL_ABSORBED) {
            set(m, metric_id(METRIC_ITEMS), labels, 4, all);
            continue;
        }
        for (uint32_t i = 0; i < LEDGER_REASONS; i++) {
            const char *why = atomic_load_explicit(&l->reasons[o][i].why, memory_order_acquire);
            if (!why)
                break;
            labels[4].value = why;
            set(m, metric_id(METRIC_ITEMS), labels, 5, atomic_load(&l->reasons[o][i].items));
        }
    }
}

static void publish_exporter(struct metrics *m, const struct component *c, uint32_t index)
{
    const struct sink *sink = c->sinks[index];
    if (!sink)
        return;
    const struct ledger *l = &c->ledgers[index];
    const uint32_t signal = 1u << index;
    struct sink_stats stats;
    sink_read(c->sinks[index], &stats);
    const struct metric_label labels[] = {{"exporter", c->id},
                                          {"data_type", metric_signal_name(signal)}};
    const uint64_t sent = atomic_load(&l->ended[SL_DELIVERED]);
    const uint64_t enqueue_failed = atomic_load(&l->enqueue_failed);
    const uint64_t bad = atomic_load(&l->ended[SL_FAILED]) + atomic_load(&l->ended[SL_REJECTED]) +
                         atomic_load(&l->ended[SL_EXPIRED]);
    set(m, metric_of_signal(METRIC_EXPORTER_SENT, signal), labels, 1, sent);
    set(m, metric_of_signal(METRIC_EXPORTER_SEND_FAILED, signal), labels, 1, bad - enqueue_failed);
    set(m, metric_of_signal(METRIC_EXPORTER_ENQUEUE_FAILED, signal), labels, 1, enqueue_failed);
    if (c->type->flags & SL_QUEUE) {
        set(m, metric_id(METRIC_EXPORTER_QUEUE_SIZE), labels, 2, stats.size);
        set(m, metric_id(METRIC_EXPORTER_QUEUE_CAPACITY), labels, 2, stats.capacity);
    }
    set(m, metric_id(METRIC_EXPORTER_IN_FLIGHT_REQUESTS), labels, 2, stats.in_flight);
    const struct metric_label held[] = {
        {"component", c->id}, {"kind", "exporter"}, {"signal", metric_signal_name(signal)}};
    set(m, metric_id(METRIC_HELD_ITEMS), held, 3, stats.items);
    set(m, metric_id(METRIC_HELD_BYTES), held, 3, stats.bytes);
}

static void publish_processor(struct metrics *m, const struct component *c, uint32_t index)
{
    const struct ledger *l = &c->ledgers[index];
    const uint64_t received = atomic_load(&l->received);
    if (!received)
        return;
    const struct metric_label labels[] = {{"processor", c->id},
                                          {"otel_signal", metric_signal_name(1u << index)}};
    set(m, metric_id(METRIC_PROCESSOR_INCOMING_ITEMS), labels, 2, received);
    set(m, metric_id(METRIC_PROCESSOR_OUTGOING_ITEMS), labels, 2, atomic_load(&l->forwarded));
}

static void publish_component(void *arg, struct component *c)
{
    struct metrics *m = arg;
    for (uint32_t i = 0; i < SIGNALS; i++) {
        publish_outcomes(m, c, i);
        if (c->kind == SL_KIND_exporter)
            publish_exporter(m, c, i);
        if (c->kind == SL_KIND_processor)
            publish_processor(m, c, i);
        const int64_t held = ledger_held(&c->ledgers[i]);
        const struct metric_label labels[] = {{"component", c->id},
                                              {"kind", service_kind_name(c->kind)},
                                              {"signal", metric_signal_name(1u << i)}};
        if (c->kind != SL_KIND_exporter && atomic_load(&c->ledgers[i].received))
            set(m, metric_id(METRIC_HELD_ITEMS), labels, 3, held > 0 ? (uint64_t)held : 0);
    }
}

static void publish_lane(void *arg, struct lane *lane)
{
    struct metrics *m = arg;
    const struct pipeline *p = lane->layout.pipeline;
    for (uint32_t i = 0; lane->index == 0 && i < p->n_processors; i++) {
        const struct metric_label labels[] = {{"component", p->processors[i]->id},
                                              {"kind", "processor"},
                                              {"signal", metric_signal_name(p->signal)}};
        uint64_t bytes = 0;
        for (uint32_t l = 0; l < p->n_lanes; l++)
            bytes += atomic_load(&p->lanes[l].layout.instances[i]->held.bytes);
        set(m, metric_id(METRIC_HELD_BYTES), labels, 3, bytes);
    }
}

static void publish_reloads(struct metrics *m, const struct reload_history *h)
{
    const struct metric_label ok[] = {{"result", "ok"}}, failed[] = {{"result", "failed"}};
    set(m, metric_id(METRIC_CONFIG_RELOADS), ok, 1, atomic_load(&h->succeeded));
    set(m, metric_id(METRIC_CONFIG_RELOADS), failed, 1, atomic_load(&h->failed));
    set(m, metric_id(METRIC_CONFIG_ITEMS_LEFT), NULL, 0, atomic_load(&h->items_left));
    set(m, metric_id(METRIC_CONFIG_LAST_RELOAD), NULL, 0,
        (uint64_t)atomic_load(&h->last_success_ns));
}

void publish(struct runtime *r)
{
    pthread_mutex_lock(&r->topology);
    /* what leaves first: where it has a successor of the same name, that one's state is shown */
    struct graph *const graphs[] = {r->leaving, r->current};
    for (uint32_t i = 0; i < 2; i++) {
        if (!graphs[i])
            continue;
        graph_components(graphs[i], publish_component, r->metrics);
        graph_lanes(graphs[i], publish_lane, r->metrics);
    }
    pthread_mutex_unlock(&r->topology);
    publish_journals(r);
    publish_reloads(r->metrics, &r->reloads);
    set(r->metrics, metric_id(METRIC_BUDGET_LIMIT), NULL, 0, memory_limit(r->memory));
    set(r->metrics, metric_id(METRIC_BUDGET_USED), NULL, 0, memory_used(r->memory));
    set(r->metrics, metric_id(METRIC_BUDGET_POOLED), NULL, 0, memory_pooled(r->memory));
    set(r->metrics, metric_id(METRIC_LOG_SUPPRESSED), NULL, 0, log_sampled_out(r->log));
    set(r->metrics, metric_id(METRIC_SERIES_REFUSED), NULL, 0, metrics_refused(r->metrics));
}
