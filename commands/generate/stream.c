/* Runs the makers of traces and metrics side by side in virtual time, encodes what they make, puts
 * it in the order of time and cuts it into requests. Runs on the calling thread. */
#include "commands/generate/stream.h"

#include "commands/generate/encode.h"
#include "commands/generate/metrics.h"
#include "commands/generate/order.h"
#include "commands/generate/traces.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { SIGNALS = 3 };

struct stream {
    const struct stream_options *options;
    struct stream_counts *counts;
    struct topology *topology;
    struct traces *traces;
    struct metrics *metrics;
    struct order order;
    struct batches *batches[SIGNALS];
    struct ndjson ndjson;
    sl_writer writer;
    bool want_traces; /* traces or logs are made still */
};

static unsigned signal_index(unsigned signal)
{
    return signal == SL_TRACES ? 0 : signal == SL_METRICS ? 1 : 2;
}

static enum sl_status push(struct stream *s, struct order_record *record)
{
    if (s->writer.failed) {
        return SL_ERR_NOMEM;
    }
    return order_push(&s->order, record, sl_written(&s->writer));
}

static enum sl_status push_span(struct stream *s, const struct trace *t, uint32_t i)
{
    const struct span *span = &t->spans[i];
    struct order_record r = {.time = span->end,
                             .resource = span->resource,
                             .scope = span->scope,
                             .items = 1,
                             .signal = SL_TRACES};
    s->writer.used = 0;
    if (s->options->lines) {
        ndjson_span(&s->ndjson, &s->writer, t, i, &s->topology->resources[span->resource]);
    } else {
        encode_span(&s->writer, t, i, s->options->span_bytes, traces_baggage(s->traces));
    }
    s->counts->spans++;
    return push(s, &r);
}

static enum sl_status push_log(struct stream *s, const struct log_record *l)
{
    struct order_record r = {
        .time = l->time, .resource = l->resource, .scope = l->scope, .items = 1, .signal = SL_LOGS};
    s->writer.used = 0;
    if (s->options->lines) {
        ndjson_log(&s->ndjson, &s->writer, l, &s->topology->resources[l->resource]);
    } else {
        encode_log(&s->writer, l);
    }
    s->counts->logs++;
    return push(s, &r);
}

static bool logs_wanted(const struct stream *s)
{
    return (s->options->signals & SL_LOGS) &&
           (s->options->logs == 0 || s->counts->logs < s->options->logs);
}

static enum sl_status next_trace(struct stream *s)
{
    struct trace t;
    enum sl_status status = traces_next(s->traces, &t);
    for (uint32_t i = 0; status == SL_OK && (s->options->signals & SL_TRACES) && i < t.span_count;
         i++) {
        status = push_span(s, &t, i);
    }
    for (uint32_t i = 0; status == SL_OK && i < t.log_count && logs_wanted(s); i++) {
        status = push_log(s, &t.logs[i]);
    }
    s->counts->traces++;
    s->want_traces = s->counts->traces < s->options->traces &&
                     ((s->options->signals & SL_TRACES) || logs_wanted(s));
    return status;
}

/* A metric with more points than a request may hold is cut. */
static enum sl_status push_metric(struct stream *s, const struct collection *c,
                                  const struct metric *m)
{
    struct order_record r = {
        .time = c->time, .resource = c->resource, .scope = m->scope, .signal = SL_METRICS};
    uint32_t most = s->options->lines ? 1 : s->options->batch;
    enum sl_status status = SL_OK;
    for (uint32_t first = 0; first < m->point_count && status == SL_OK; first += r.items) {
        struct metric part = *m;
        part.points += first;
        part.point_count = m->point_count - first < most ? m->point_count - first : most;
        r.items = part.point_count;
        s->writer.used = 0;
        if (s->options->lines) {
            ndjson_metric(&s->ndjson, &s->writer, &part, &s->topology->resources[c->resource]);
        } else {
            encode_metric(&s->writer, &part);
        }
        status = push(s, &r);
    }
    return status;
}

static enum sl_status next_collection(struct stream *s)
{
    struct collection c;
    enum sl_status status = SL_OK;
    metrics_next(s->metrics, &c);
    for (uint32_t i = 0; i < c.metric_count && status == SL_OK; i++) {
        status = push_metric(s, &c, &c.metrics[i]);
    }
    s->counts->points += c.point_count;
    return status;
}

static enum sl_status release(struct stream *s, uint64_t before)
{
    struct order_record r;
    enum sl_status status = SL_OK;
    while (status == SL_OK && order_pop(&s->order, before, &r)) {
        sl_bytes bytes = sl_slice(r.bytes, r.n);
        if (s->options->lines) {
            status = s->options->sink(s->options->ctx, (enum sl_signal)r.signal, bytes, r.items);
        } else {
            status = batches_add(s->batches[signal_index(r.signal)], r.time, r.resource, r.scope,
                                 bytes, r.items);
        }
        free(r.bytes);
    }
    return status;
}

static enum sl_status run(struct stream *s)
{
    const struct stream_options *o = s->options;
    enum sl_status status = SL_OK;
    while (status == SL_OK) {
        uint64_t end = o->start + o->duration;
        uint64_t trace_time = s->want_traces ? traces_watermark(s->traces) : UINT64_MAX;
        uint64_t metric_time = s->metrics ? metrics_watermark(s->metrics) : UINT64_MAX;
        if (metric_time >= end) {
            metric_time = UINT64_MAX;
        }
        uint64_t now = trace_time < metric_time ? trace_time : metric_time;
        status = release(s, now);
        if (now == UINT64_MAX || status != SL_OK) {
            break;
        }
        status = trace_time <= metric_time ? next_trace(s) : next_collection(s);
        if (status == SL_OK && o->pause && o->pause(o->ctx, s->counts->traces)) {
            break;
        }
    }
    for (int i = 0; i < SIGNALS && status == SL_OK; i++) {
        status = s->batches[i] ? batches_flush(s->batches[i]) : SL_OK;
    }
    return status;
}

static enum sl_status makers_create(struct stream *s)
{
    const struct stream_options *o = s->options;
    double gap = (double)o->duration / (double)(o->traces ? o->traces : 1);
    bool traced = (o->signals & (SL_TRACES | SL_LOGS)) && o->traces;
    uint32_t scale = 1;
    enum sl_status status = topology_create(o->seed, scale, &s->topology);
    /* More series than the shop has: a larger shop. */
    while (status == SL_OK && (o->signals & SL_METRICS) &&
           metrics_capacity(s->topology) < o->series) {
        scale += 1 + scale / 8;
        topology_destroy(s->topology);
        s->topology = NULL;
        status = topology_create(o->seed, scale, &s->topology);
    }
    if (status == SL_OK && traced) {
        struct traces_options options = {.topology = s->topology,
                                         .seed = o->seed,
                                         .start = o->start,
                                         .mean_gap = gap,
                                         .errors = o->errors,
                                         .attributes = o->attributes,
                                         .baggage = o->span_bytes};
        status = traces_create(&options, &s->traces);
        s->want_traces = status == SL_OK;
    }
    if (status == SL_OK && (o->signals & SL_METRICS)) {
        struct metrics_options options = {.topology = s->topology,
                                          .seed = o->seed,
                                          .start = o->start,
                                          .series = o->series,
                                          .trace_gap = o->traces ? gap : 0,
                                          .traces = o->traces};
        status = metrics_create(&options, &s->metrics);
    }
    return status;
}

static enum sl_status batches_init(struct stream *s)
{
    static const enum sl_signal signals[SIGNALS] = {SL_TRACES, SL_METRICS, SL_LOGS};
    enum sl_status status = SL_OK;
    for (unsigned i = 0; i < SIGNALS && status == SL_OK && !s->options->lines; i++) {
        struct batches_options options = {.topology = s->topology,
                                          .signal = signals[i],
                                          .items = s->options->batch,
                                          .mixed = s->options->mixed,
                                          .delay = s->options->delay,
                                          .sink = s->options->sink,
                                          .ctx = s->options->ctx};
        /* An SDK exports what it collects at once. */
        if (signals[i] == SL_METRICS && !s->options->mixed && s->options->delay) {
            options.delay = 1;
        }
        status = batches_create(&options, &s->batches[i]);
    }
    return status;
}

enum sl_status stream_run(const struct stream_options *options, struct stream_counts *counts,
                          sl_error *error)
{
    struct stream s;
    memset(&s, 0, sizeof(s));
    memset(counts, 0, sizeof(*counts));
    s.options = options;
    s.counts = counts;
    s.writer = encode_writer();
    decimal_powers_init(&s.ndjson.powers);
    enum sl_status status = makers_create(&s);
    if (status == SL_OK) {
        status = batches_init(&s);
    }
    if (status == SL_OK) {
        status = run(&s);
    }
    if (status != SL_OK && error && error->code == SL_OK) {
        error->code = status;
        (void)snprintf(error->text, sizeof(error->text), "%s after %" PRIu64 " traces",
                       status == SL_ERR_NOMEM ? "out of memory"
                       : status == SL_ERR_TOO_LARGE
                           ? "too much is generated for one moment: use a longer --duration"
                           : "cannot go on",
                       counts->traces);
    }
    for (int i = 0; i < SIGNALS; i++) {
        batches_destroy(s.batches[i]);
    }
    order_deinit(&s.order);
    encode_writer_deinit(&s.writer);
    traces_destroy(s.traces);
    metrics_destroy(s.metrics);
    topology_destroy(s.topology);
    return status;
}
