/* The stream of requests as another library reads it (protobuf-c): counts, unique ids, order, sizes
 * of batches, invariants of metric points; and the flat JSON lines. */
#include "commands/generate/stream.h"

#include "commands/generate/replay.h"
#include "formats/otlp/proto/logs_service.pb-c.h"
#include "formats/otlp/proto/metrics_service.pb-c.h"
#include "formats/otlp/proto/trace_service.pb-c.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define START UINT64_C(1757930400000000000)
#define MINUTE UINT64_C(60000000000)

typedef Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceRequest TraceRequest;
typedef Opentelemetry__Proto__Collector__Metrics__V1__ExportMetricsServiceRequest MetricsRequest;
typedef Opentelemetry__Proto__Collector__Logs__V1__ExportLogsServiceRequest LogsRequest;
typedef Opentelemetry__Proto__Metrics__V1__Metric Metric;

static uint64_t seed = 1;

struct seen {
    uint32_t batch;
    uint64_t spans;
    uint64_t points;
    uint64_t logs;
    uint64_t requests;
    uint64_t full; /* requests with as many items as allowed */
    uint64_t hash;
    uint64_t *ids;
    size_t id_count;
    size_t id_room;
    uint64_t last_end;
    uint64_t late; /* spans that ended before one of an earlier request */
    uint32_t resources_most;
    uint64_t span_bytes_least;
    uint32_t types[5];
};

static uint64_t hash_bytes(uint64_t hash, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static void see_id(struct seen *s, ProtobufCBinaryData trace_id, ProtobufCBinaryData span_id)
{
    assert_int_equal(trace_id.len, 16);
    assert_int_equal(span_id.len, 8);
    if (s->id_count == s->id_room) {
        s->id_room = s->id_room ? s->id_room * 2 : 1024;
        s->ids = realloc(s->ids, s->id_room * sizeof(*s->ids));
        assert_non_null(s->ids);
    }
    memcpy(&s->ids[s->id_count++], span_id.data, 8);
}

static uint32_t see_traces(struct seen *s, sl_bytes request)
{
    TraceRequest *r =
        opentelemetry__proto__collector__trace__v1__export_trace_service_request__unpack(
            NULL, request.n, request.p);
    assert_non_null(r);
    uint32_t items = 0;
    uint64_t oldest = UINT64_MAX;
    uint64_t newest = 0;
    for (size_t i = 0; i < r->n_resource_spans; i++) {
        assert_non_null(r->resource_spans[i]->resource);
        assert_true(r->resource_spans[i]->resource->n_attributes > 5);
        for (size_t j = 0; j < r->resource_spans[i]->n_scope_spans; j++) {
            assert_true(strlen(r->resource_spans[i]->scope_spans[j]->scope->name) > 0);
            for (size_t k = 0; k < r->resource_spans[i]->scope_spans[j]->n_spans; k++) {
                Opentelemetry__Proto__Trace__V1__Span *span =
                    r->resource_spans[i]->scope_spans[j]->spans[k];
                see_id(s, span->trace_id, span->span_id);
                assert_true(span->end_time_unix_nano > span->start_time_unix_nano);
                oldest = span->end_time_unix_nano < oldest ? span->end_time_unix_nano : oldest;
                newest = span->end_time_unix_nano > newest ? span->end_time_unix_nano : newest;
                uint64_t bytes = opentelemetry__proto__trace__v1__span__get_packed_size(span);
                s->span_bytes_least = bytes < s->span_bytes_least ? bytes : s->span_bytes_least;
                items++;
            }
        }
    }
    s->late += oldest < s->last_end;
    s->last_end = newest;
    s->resources_most =
        r->n_resource_spans > s->resources_most ? (uint32_t)r->n_resource_spans : s->resources_most;
    opentelemetry__proto__collector__trace__v1__export_trace_service_request__free_unpacked(r,
                                                                                            NULL);
    s->spans += items;
    return items;
}

static uint32_t see_logs(struct seen *s, sl_bytes request)
{
    LogsRequest *r = opentelemetry__proto__collector__logs__v1__export_logs_service_request__unpack(
        NULL, request.n, request.p);
    assert_non_null(r);
    uint32_t items = 0;
    for (size_t i = 0; i < r->n_resource_logs; i++) {
        for (size_t j = 0; j < r->resource_logs[i]->n_scope_logs; j++) {
            for (size_t k = 0; k < r->resource_logs[i]->scope_logs[j]->n_log_records; k++) {
                Opentelemetry__Proto__Logs__V1__LogRecord *l =
                    r->resource_logs[i]->scope_logs[j]->log_records[k];
                assert_int_equal(l->trace_id.len, 16);
                assert_int_equal(l->span_id.len, 8);
                assert_true(l->body && strlen(l->body->string_value) > 0);
                assert_true(strchr(l->body->string_value, '%') ==
                            NULL); /* all templates were filled */
                assert_in_range(l->severity_number, 5, 20);
                items++;
            }
        }
    }
    opentelemetry__proto__collector__logs__v1__export_logs_service_request__free_unpacked(r, NULL);
    s->logs += items;
    return items;
}

static uint32_t see_histogram(const Opentelemetry__Proto__Metrics__V1__Histogram *h)
{
    for (size_t i = 0; i < h->n_data_points; i++) {
        const Opentelemetry__Proto__Metrics__V1__HistogramDataPoint *p = h->data_points[i];
        uint64_t sum = 0;
        for (size_t k = 0; k < p->n_bucket_counts; k++) {
            sum += p->bucket_counts[k];
        }
        assert_int_equal(sum, p->count);
        assert_int_equal(p->n_bucket_counts, p->n_explicit_bounds + 1);
        assert_true(p->start_time_unix_nano < p->time_unix_nano);
        if (p->count) {
            assert_true(p->min <= p->max);
            assert_true(p->sum >= p->min * (double)p->count * 0.5);
        }
    }
    return (uint32_t)h->n_data_points;
}

static uint32_t see_exponential(const Opentelemetry__Proto__Metrics__V1__ExponentialHistogram *h)
{
    for (size_t i = 0; i < h->n_data_points; i++) {
        const Opentelemetry__Proto__Metrics__V1__ExponentialHistogramDataPoint *p =
            h->data_points[i];
        uint64_t sum = p->zero_count;
        size_t n = p->positive ? p->positive->n_bucket_counts : 0;
        for (size_t k = 0; k < n; k++) {
            sum += p->positive->bucket_counts[k];
        }
        assert_int_equal(sum, p->count);
        if (n) {
            assert_true(p->positive->bucket_counts[0] > 0);
            assert_true(p->positive->bucket_counts[n - 1] > 0);
        }
    }
    return (uint32_t)h->n_data_points;
}

static uint32_t see_metric(struct seen *s, const Metric *m)
{
    assert_true(strlen(m->name) > 0 && strlen(m->unit) > 0);
    switch (m->data_case) {
    case OPENTELEMETRY__PROTO__METRICS__V1__METRIC__DATA_GAUGE:
        s->types[0]++;
        return (uint32_t)m->gauge->n_data_points;
    case OPENTELEMETRY__PROTO__METRICS__V1__METRIC__DATA_SUM:
        s->types[1]++;
        assert_int_equal(m->sum->aggregation_temporality, 2);
        return (uint32_t)m->sum->n_data_points;
    case OPENTELEMETRY__PROTO__METRICS__V1__METRIC__DATA_HISTOGRAM:
        s->types[2]++;
        return see_histogram(m->histogram);
    case OPENTELEMETRY__PROTO__METRICS__V1__METRIC__DATA_EXPONENTIAL_HISTOGRAM:
        s->types[3]++;
        return see_exponential(m->exponential_histogram);
    case OPENTELEMETRY__PROTO__METRICS__V1__METRIC__DATA_SUMMARY:
        s->types[4]++;
        return (uint32_t)m->summary->n_data_points;
    default:
        fail_msg("metric %s has no data", m->name);
        return 0;
    }
}

static uint32_t see_metrics(struct seen *s, sl_bytes request)
{
    MetricsRequest *r =
        opentelemetry__proto__collector__metrics__v1__export_metrics_service_request__unpack(
            NULL, request.n, request.p);
    assert_non_null(r);
    uint32_t items = 0;
    for (size_t i = 0; i < r->n_resource_metrics; i++) {
        for (size_t j = 0; j < r->resource_metrics[i]->n_scope_metrics; j++) {
            for (size_t k = 0; k < r->resource_metrics[i]->scope_metrics[j]->n_metrics; k++) {
                items += see_metric(s, r->resource_metrics[i]->scope_metrics[j]->metrics[k]);
            }
        }
    }
    opentelemetry__proto__collector__metrics__v1__export_metrics_service_request__free_unpacked(
        r, NULL);
    s->points += items;
    return items;
}

static enum sl_status see(void *ctx, enum sl_signal signal, sl_bytes request, uint32_t items)
{
    struct seen *s = ctx;
    uint32_t found = signal == SL_TRACES    ? see_traces(s, request)
                     : signal == SL_METRICS ? see_metrics(s, request)
                                            : see_logs(s, request);
    assert_int_equal(found, items);
    assert_in_range(items, 1, s->batch);
    s->requests++;
    s->full += items == s->batch;
    s->hash = hash_bytes(s->hash, request.p, request.n);
    enum sl_signal told;
    uint32_t counted;
    assert_int_equal(request_inspect(request, &told, &counted), SL_OK);
    assert_int_equal(told, signal);
    assert_int_equal(counted, items);
    return SL_OK;
}

static struct stream_options options_of(uint32_t signals, struct seen *seen)
{
    struct stream_options o = {.signals = signals,
                               .seed = seed,
                               .start = START,
                               .duration = MINUTE,
                               .traces = 400,
                               .series = 600,
                               .errors = 1,
                               .batch = 100,
                               .delay = UINT64_C(5000000000),
                               .sink = see,
                               .ctx = seen};
    memset(seen, 0, sizeof(*seen));
    seen->batch = o.batch;
    seen->span_bytes_least = UINT64_MAX;
    return o;
}

static void run(const struct stream_options *o, struct stream_counts *counts)
{
    sl_error error = {.size = sizeof(error)};
    if (stream_run(o, counts, &error) != SL_OK) {
        fail_msg("%s", error.text);
    }
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void assert_unique(struct seen *s)
{
    qsort(s->ids, s->id_count, sizeof(*s->ids), by_value);
    for (size_t i = 1; i < s->id_count; i++) {
        assert_true(s->ids[i] != s->ids[i - 1]);
    }
    free(s->ids);
    s->ids = NULL;
}

static void test_requests(void **state)
{
    (void)state;
    struct seen first;
    struct seen second;
    struct stream_counts counts;
    struct stream_options o = options_of(SL_TRACES | SL_METRICS | SL_LOGS, &first);
    run(&o, &counts);
    assert_int_equal(counts.traces, 400);
    assert_int_equal(counts.spans, first.spans);
    assert_int_equal(counts.points, first.points);
    assert_int_equal(counts.logs, first.logs);
    assert_int_equal(first.points, 600 * 4);
    assert_int_equal(first.resources_most, 1);
    assert_int_equal(first.id_count, first.spans);
    for (int i = 0; i < 5; i++) {
        assert_true(first.types[i] > 0);
    }
    assert_unique(&first);
    print_message("seed %llu: hash of %llu requests %016llx\n", (unsigned long long)seed,
                  (unsigned long long)first.requests, (unsigned long long)first.hash);
    o = options_of(SL_TRACES | SL_METRICS | SL_LOGS, &second);
    run(&o, &counts);
    assert_true(second.hash == first.hash);
    free(second.ids);
}

/* Each signal has the same content whether the others are made too or not. */
static void test_signals_are_independent(void **state)
{
    (void)state;
    static const uint32_t signals[] = {SL_TRACES, SL_METRICS, SL_LOGS};
    struct seen all;
    struct stream_counts counts;
    struct stream_options o = options_of(SL_TRACES | SL_METRICS | SL_LOGS, &all);
    run(&o, &counts);
    uint64_t items[3] = {all.spans, all.points, all.logs};
    free(all.ids);
    for (int i = 0; i < 3; i++) {
        struct seen one;
        o = options_of(signals[i], &one);
        run(&o, &counts);
        assert_int_equal(i == 0 ? one.spans : i == 1 ? one.points : one.logs, items[i]);
        assert_int_equal(one.spans + one.points + one.logs, items[i]);
        free(one.ids);
    }
}

static void test_mixed(void **state)
{
    (void)state;
    struct seen seen;
    struct stream_counts counts;
    struct stream_options o = options_of(SL_TRACES, &seen);
    o.mixed = true;
    o.delay = 0;
    run(&o, &counts);
    assert_true(seen.full >= seen.requests - 1);
    assert_true(seen.resources_most > 5);
    assert_int_equal(seen.late, 0); /* spans come in the order of their ends */
    assert_unique(&seen);
}

static void test_full_batches(void **state)
{
    (void)state;
    struct seen seen;
    struct stream_counts counts;
    struct stream_options o = options_of(SL_TRACES, &seen);
    o.delay = 0;
    run(&o, &counts);
    struct topology *t = NULL;
    assert_int_equal(topology_create(seed, 1, &t), SL_OK);
    assert_true(seen.requests - seen.full <=
                t->resource_count); /* one that is not full for each resource */
    topology_destroy(t);
    free(seen.ids);
}

static void test_limits(void **state)
{
    (void)state;
    struct seen seen;
    struct stream_counts counts;
    struct stream_options o = options_of(SL_LOGS, &seen);
    o.logs = 77;
    run(&o, &counts);
    assert_int_equal(seen.logs, 77);

    o = options_of(SL_METRICS, &seen);
    o.series = 1;
    run(&o, &counts);
    assert_int_equal(seen.points, 4);

    o = options_of(SL_METRICS, &seen);
    o.series = 20000; /* more than the shop has */
    o.duration = 1;
    o.duration = UINT64_C(15000000000);
    run(&o, &counts);
    assert_int_equal(seen.points, 20000);
}

static void test_span_bytes(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {140, 500, 757, 800, 2000, 20000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct seen seen;
        struct stream_counts counts;
        struct stream_options o = options_of(SL_TRACES, &seen);
        o.span_bytes = sizes[i];
        o.traces = 30;
        run(&o, &counts);
        /* A varint's length may leave a byte or two over. */
        assert_true(seen.span_bytes_least + 4 >= sizes[i]);
        if (sizes[i] > 400) {
            assert_true(seen.span_bytes_least <= sizes[i] + 24);
        }
        free(seen.ids);
    }
}

static enum sl_status see_line(void *ctx, enum sl_signal signal, sl_bytes line, uint32_t items)
{
    struct seen *s = ctx;
    assert_int_equal(items, 1);
    assert_true(line.n > 2 && line.p[0] == '{' && line.p[line.n - 1] == '\n' &&
                line.p[line.n - 2] == '}');
    assert_null(memchr(line.p, '\n', line.n - 1));
    s->spans += signal == SL_TRACES;
    s->points += signal == SL_METRICS;
    s->logs += signal == SL_LOGS;
    return SL_OK;
}

static void test_lines(void **state)
{
    (void)state;
    struct seen seen;
    struct stream_counts counts;
    struct stream_options o = options_of(SL_TRACES | SL_METRICS | SL_LOGS, &seen);
    o.lines = true;
    o.sink = see_line;
    run(&o, &counts);
    assert_int_equal(seen.spans, counts.spans);
    assert_int_equal(seen.points, counts.points);
    assert_int_equal(seen.logs, counts.logs);
    assert_int_equal(seen.points, 600 * 4);
}

static enum sl_status refuse(void *ctx, enum sl_signal signal, sl_bytes request, uint32_t items)
{
    (void)ctx;
    (void)signal;
    (void)request;
    (void)items;
    return SL_ERR_IO;
}

static void test_sink_fails(void **state)
{
    (void)state;
    struct seen seen;
    struct stream_counts counts;
    sl_error error = {.size = sizeof(error)};
    struct stream_options o = options_of(SL_TRACES, &seen);
    o.sink = refuse;
    assert_int_equal(stream_run(&o, &counts, &error), SL_ERR_IO);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        seed = strtoull(argv[1], NULL, 10);
    }
    print_message("seed %llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests), cmocka_unit_test(test_signals_are_independent),
        cmocka_unit_test(test_mixed),    cmocka_unit_test(test_full_batches),
        cmocka_unit_test(test_limits),   cmocka_unit_test(test_span_bytes),
        cmocka_unit_test(test_lines),    cmocka_unit_test(test_sink_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
