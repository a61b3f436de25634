/* filter: drops spans, events of spans, metrics, points and log records by conditions in OTTL, or by
 * the Collector's older include and exclude. Each lane has an instance; the component is read-only. */
#include "processors/filter/filter.h"
#include "formats/otlp/rewrite_delivery.h"
#include "formats/otlp/view_entries.h"

struct instance {
    struct otlp_delivery_rewriter rewriter;
    struct filter_config *config;
    const struct signal_rules *rules; /* of the delivery at hand */
    struct ottl_machine *machine;
    struct match_scratch match;
    struct ottl_subject subject;
    uint32_t signal;
    int32_t status; /* why the rewriting was aborted */
    sl_error error; /* of the condition at hand; half a KiB, not to be cleared for each */
    bool resource_in, scope_in; /* what include says so far of what is inside */
    bool resource_out, scope_out;
};

/* Is one of the conditions true? An error that is to be propagated aborts the delivery. */
static enum otlp_verdict ask(struct instance *in, enum ottl_context context)
{
    const struct conditions *c = &in->rules->by_context[context];
    for (uint32_t i = 0; i < c->n; i++) {
        switch (ottl_eval(c->at[i].ottl, in->machine, &in->subject, &in->error)) {
        case OTTL_TRUE:
            return OTLP_DROP;
        case OTTL_FALSE:
            continue;
        default:
            break;
        }
        if (c->at[i].mode == ERROR_SILENT)
            continue;
        const bool ends = c->at[i].mode == ERROR_PROPAGATE;
        sl_log(in->rewriter.host, ends ? SL_LOG_ERROR : SL_LOG_WARN,
               "Cannot evaluate the condition \"%.300s\": %s", c->at[i].text, in->error.text);
        if (ends) {
            in->status = SL_ERR_INVALID;
            return OTLP_ABORT;
        }
    }
    return OTLP_KEEP;
}

/* ---- what the rewriter shows ---- */

static enum otlp_verdict see_resource(void *ctx, sl_bytes record, struct otlp_parts *parts)
{
    struct instance *in = ctx;
    const struct signal_rules *r = in->rules;
    (void)parts;
    ottl_machine_forget(in->machine);
    in->subject.resource = record;
    in->subject.scope = sl_slice(NULL, 0);
    if ((r->include_resource && !match_resource(r->include_resource, &in->match, record)) ||
        (r->exclude_resource && match_resource(r->exclude_resource, &in->match, record)))
        return OTLP_DROP;
    in->resource_in = in->scope_in = !r->include || match_resource(r->include, &in->match, record);
    in->resource_out = in->scope_out = r->exclude && match_resource(r->exclude, &in->match, record);
    return in->resource_in ? ask(in, OTTL_RESOURCE) : OTLP_DROP;
}

static enum otlp_verdict see_scope(void *ctx, sl_bytes record, struct otlp_parts *parts)
{
    struct instance *in = ctx;
    const struct signal_rules *r = in->rules;
    (void)parts;
    in->subject.scope = record;
    in->scope_in = !r->include || match_scope(r->include, &in->match, record);
    in->scope_out = in->resource_out && match_scope(r->exclude, &in->match, record);
    return in->scope_in ? ask(in, OTTL_SCOPE) : OTLP_DROP;
}

static enum otlp_verdict see_metric(void *ctx, sl_bytes record)
{
    struct instance *in = ctx;
    const struct signal_rules *r = in->rules;
    const sl_bytes name = sl_message_bytes(record, 1);
    in->subject.metric = record;
    if ((r->include && !match_metric(r->include, &in->match, name)) ||
        (r->exclude && match_metric(r->exclude, &in->match, name)))
        return OTLP_DROP;
    return ask(in, OTTL_METRIC);
}

/* Leaves out the events for which a condition is true. */
static enum otlp_verdict filter_events(struct instance *in, const sl_span *span,
                                       struct otlp_parts *parts)
{
    const uint8_t *p = span->record.p, *end = p + span->record.n;
    sl_wire w = sl_wire_of(span->record);
    bool changed = false;
    in->subject.event_index = 0;
    for (;;) {
        const uint8_t *from = w.p;
        sl_event event;
        if (!sl_wire_next(&w))
            break;
        if (w.number != 11 || w.type != SL_BYTES)
            continue;
        sl_repeated one = sl_repeated_of(sl_slice(from, (size_t)(w.p - from)), 11);
        (void)sl_event_next(&one, &event);
        in->subject.event = &event;
        const enum otlp_verdict verdict = ask(in, OTTL_SPANEVENT);
        in->subject.event_index++;
        if (verdict == OTLP_ABORT)
            return OTLP_ABORT;
        if (verdict == OTLP_DROP) {
            otlp_parts_add(parts, p, (size_t)(from - p));
            p = w.p;
            changed = true;
        }
    }
    otlp_parts_add(parts, p, (size_t)(end - p));
    return changed ? OTLP_CHANGE : OTLP_KEEP;
}

static enum otlp_verdict see_span(void *ctx, sl_bytes record, uint32_t metric_type,
                                  struct otlp_parts *parts)
{
    struct instance *in = ctx;
    const struct signal_rules *r = in->rules;
    sl_span span;
    (void)metric_type;
    if (!otlp_read_span(record, &span))
        return OTLP_KEEP;
    in->subject.span = &span;
    if ((r->include && !match_span(r->include, &in->match, &span)) ||
        (in->scope_out && match_span(r->exclude, &in->match, &span)))
        return OTLP_DROP;
    const enum otlp_verdict verdict = ask(in, OTTL_SPAN);
    if (verdict != OTLP_KEEP || !r->by_context[OTTL_SPANEVENT].n ||
        span.events_at == span.events_end)
        return verdict;
    return filter_events(in, &span, parts);
}

static enum otlp_verdict see_log(void *ctx, sl_bytes record, uint32_t metric_type,
                                 struct otlp_parts *parts)
{
    struct instance *in = ctx;
    const struct signal_rules *r = in->rules;
    sl_log_record log;
    (void)metric_type;
    (void)parts;
    if (!otlp_read_log(record, &log))
        return OTLP_KEEP;
    in->subject.log = &log;
    if ((r->include && !match_log(r->include, &in->match, &log)) ||
        (in->scope_out && match_log(r->exclude, &in->match, &log)))
        return OTLP_DROP;
    return ask(in, OTTL_LOG);
}

static enum otlp_verdict see_point(void *ctx, sl_bytes record, uint32_t metric_type,
                                   struct otlp_parts *parts)
{
    struct instance *in = ctx;
    (void)parts;
    in->subject.point = record;
    in->subject.metric_type = metric_type;
    return ask(in, OTTL_DATAPOINT);
}

/* ---- deliveries ---- */

static void count(const struct filter_config *c, uint32_t signal, uint32_t dropped)
{
    if (c->counters && dropped)
        c->counters->add(signal == SL_TRACES    ? c->spans_filtered
                         : signal == SL_METRICS ? c->points_filtered
                                                : c->logs_filtered,
                         dropped);
}

static int32_t process(void *instance, sl_delivery *d)
{
    struct instance *in = instance;
    struct filter_config *c = in->config;
    uint32_t dropped = 0;
    if (!d->payload)
        return SL_ERR_STATE;
    in->signal = d->payload->signal;
    in->rules = in->signal == SL_TRACES    ? &c->for_traces
                : in->signal == SL_METRICS ? &c->for_metrics
                                           : &c->for_logs;
    in->status = SL_OK;
    in->subject = (struct ottl_subject){.now_ns = sl_wall_clock(in->rewriter.host)};
    const struct otlp_rewrite_calls calls = {
        .resource = see_resource,
        .scope = see_scope,
        .metric = see_metric,
        .item = in->signal == SL_TRACES    ? see_span
                : in->signal == SL_METRICS ? see_point
                                           : see_log,
    };
    const uint32_t signal = in->signal;
    const int32_t status =
        otlp_rewrite_delivery(&in->rewriter, d, &calls, in, "filtered", &dropped);
    if (status != SL_OK)
        return in->status != SL_OK ? in->status : status;
    count(c, signal, dropped); /* the delivery is gone */
    return SL_OK;
}

/* ---- life ---- */

static void close_lane(void *instance)
{
    struct instance *in = instance;
    const sl_host *h = in->rewriter.host;
    ottl_machine_free(in->machine);
    pattern_matcher_free(in->match.matcher);
    otlp_scratch_free(&in->match.texts);
    otlp_delivery_rewriter_deinit(&in->rewriter);
    sl_release(h, in);
}

static int32_t open_lane(void *component, const sl_host *lane, void **instance, sl_error *error)
{
    struct instance *in = sl_allocate(lane, sizeof *in);
    if (!in)
        return sl_fail(error, SL_ERR_NOMEM, "no memory for a lane");
    *in = (struct instance){.config = component, .error = {.size = sizeof in->error}};
    const int32_t status = otlp_delivery_rewriter_init(&in->rewriter, lane, error);
    in->machine = ottl_machine_create();
    in->match.matcher = pattern_matcher_create(0);
    in->match.powers = &in->config->powers;
    if (status != SL_OK || !in->machine || !in->match.matcher) {
        close_lane(in);
        return status != SL_OK ? status : sl_fail(error, SL_ERR_NOMEM, "no memory for a lane");
    }
    *instance = in;
    return SL_OK;
}

static int32_t prepare(void *component, sl_error *error)
{
    return filter_compile(component, error);
}

static int32_t start(void *component, sl_error *error)
{
    struct filter_config *c = component;
    const sl_host *h = sl_host_of(c);
    const sl_metrics *m = sl_interface(h, SL_METRICS_INTERFACE);
    (void)error;
    if (!m)
        return SL_OK;
    c->spans_filtered = m->metric(h, SL_COUNTER, "otelcol_processor_filter_spans_filtered",
                                  "Spans dropped by conditions.", NULL, NULL);
    c->points_filtered = m->metric(h, SL_COUNTER, "otelcol_processor_filter_datapoints_filtered",
                                   "Metric points dropped by conditions.", NULL, NULL);
    c->logs_filtered = m->metric(h, SL_COUNTER, "otelcol_processor_filter_logs_filtered",
                                 "Log records dropped by conditions.", NULL, NULL);
    c->counters = m;
    return SL_OK;
}

static void destroy(void *component)
{
    filter_free_rules(component);
}

SL_TYPE(processor, filter, .signals = SL_TRACES | SL_METRICS | SL_LOGS, .flags = SL_MUTATES,
        .stability = SL_BETA, SL_CONFIG(struct filter_config, filter_fields), .prepare = prepare,
        .start = start, .destroy = destroy, .open = open_lane, .close = close_lane,
        .process = process,
        .help = "Drops spans, events, metrics, points and log records for which a condition is "
                "true.");
SL_PLUGIN("0.1.0", &sl_type_filter);
