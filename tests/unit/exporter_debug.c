/* The debug exporter: the texts of each verbosity, sampling, outputs, and data that would like to
 * steer a terminal. */
#include "exporters/debug/text.h"
#include "tests/support/plugin_host.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

extern const sl_plugin sluice_plugin;

/* The config struct as the table describes it. */
struct config {
    uint8_t *at;
    uint32_t size;
};

static const sl_field *field(const char *key)
{
    for (const sl_field *f = sluice_plugin.types[0]->fields; f->key; f++) {
        if (strcmp(f->key, key) == 0)
            return f;
    }
    fail();
    return NULL;
}

static void set_u64(struct config *c, const char *key, uint64_t value)
{
    memcpy(c->at + field(key)->offset, &value, sizeof value);
}

static void set_u32(struct config *c, const char *key, uint32_t value)
{
    memcpy(c->at + field(key)->offset, &value, sizeof value);
}

struct fixture {
    struct plugin_host *h;
    const sl_type *type;
    struct config config;
    char path[64], text[1 << 16];
    sl_bytes output;
};

enum { BASIC, NORMAL, DETAILED };

static void open_debug(struct fixture *f, uint32_t verbosity, bool logger)
{
    sl_error error = {.size = sizeof error};
    memset(f, 0, sizeof *f);
    f->h = plugin_host_create();
    f->h->now_ns = 1000000000;
    f->type = sluice_plugin.types[0];
    f->config.at = calloc(1, f->type->config_size);
    assert_non_null(f->config.at);
    ((sl_base *)(void *)f->config.at)->host = &f->h->host;
    (void)snprintf(f->path, sizeof f->path, "/tmp/sluice-debug-XXXXXX");
    const int fd = mkstemp(f->path);
    assert_true(fd >= 0);
    close(fd);
    f->output = sl_str(f->path);
    const sl_list paths = {&f->output, 1, sizeof f->output};
    set_u32(&f->config, "verbosity", verbosity);
    set_u64(&f->config, "sampling_initial", 2);
    set_u64(&f->config, "sampling_thereafter", 1);
    f->config.at[field("use_internal_logger")->offset] = logger;
    if (!logger)
        memcpy(f->config.at + field("output_paths")->offset, &paths, sizeof paths);
    assert_int_equal(f->type->prepare(f->config.at, &error), SL_OK);
    assert_int_equal(f->type->start(f->config.at, &error), SL_OK);
}

static void close_debug(struct fixture *f)
{
    f->type->destroy(f->config.at);
    f->type->destroy(f->config.at);
    free(f->config.at);
    (void)unlink(f->path);
    plugin_host_destroy(f->h);
}

static void send_bytes(struct fixture *f, uint32_t signal, sl_bytes bytes, uint32_t items)
{
    sl_send send = {.size = sizeof send};
    sl_delivery *d = plugin_host_delivery_of(f->h, signal, &bytes, 1, items);
    assert_int_equal(plugin_host_send(f->type, f->config.at, d, &send), SL_OK);
    plugin_host_end(f->h, d, SL_FAILED, NULL);
}

static const char *output(struct fixture *f)
{
    const int fd = open(f->path, O_RDONLY | O_CLOEXEC);
    const ssize_t n = read(fd, f->text, sizeof f->text - 1);
    assert_true(n >= 0);
    close(fd);
    f->text[n] = '\0';
    return f->text;
}

/* ---- data ---- */

static const uint64_t START = UINT64_C(1581452772000000321), END = UINT64_C(1581452773509000000);

static void resource(sl_writer *w)
{
    const size_t mark = sl_write_begin(w, 1);
    sl_write_attr_text(w, 1, sl_str("service.name"), sl_str("shop"));
    sl_write_end(w, mark);
}

static void scope(sl_writer *w)
{
    const size_t mark = sl_write_begin(w, 1);
    sl_write_text(w, 1, "lib");
    sl_write_text(w, 2, "1.2");
    sl_write_end(w, mark);
}

static sl_bytes traces(sl_writer *w)
{
    const size_t rs = sl_write_begin(w, 1);
    resource(w);
    const size_t ss = sl_write_begin(w, 2);
    scope(w);
    const size_t span = sl_write_begin(w, 2);
    sl_write_bytes(w, 1,
                   sl_str("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"));
    sl_write_bytes(w, 2, sl_str("\x11\x12\x13\x14\x15\x16\x17\x18"));
    sl_write_text(w, 5, "GET /\x1b[31m\n");
    sl_write_varint(w, 6, SL_SPAN_SERVER);
    sl_write_fixed64(w, 7, START);
    sl_write_fixed64(w, 8, END);
    sl_write_attr_text(w, 9, sl_str("http.route"), sl_str("/"));
    sl_write_attr_int(w, 9, sl_str("n"), -7);
    const size_t event = sl_write_begin(w, 11);
    sl_write_fixed64(w, 1, END);
    sl_write_text(w, 2, "boom");
    sl_write_attr_bool(w, 3, sl_str("bad"), true);
    sl_write_end(w, event);
    const size_t link = sl_write_begin(w, 13);
    sl_write_bytes(w, 2, sl_str("\x21\x22\x23\x24\x25\x26\x27\x28"));
    sl_write_end(w, link);
    const size_t status = sl_write_begin(w, 15);
    sl_write_text(w, 2, "cancelled");
    sl_write_varint(w, 3, SL_SPAN_ERROR);
    sl_write_end(w, status);
    sl_write_end(w, span);
    const size_t empty = sl_write_begin(w, 2);
    sl_write_end(w, empty);
    sl_write_end(w, ss);
    sl_write_end(w, rs);
    assert_false(w->failed);
    return sl_written(w);
}

static const char traces_detailed[] =
    "ResourceSpans #0\n"
    "Resource SchemaURL: \n"
    "Resource attributes:\n"
    "     -> service.name: Str(shop)\n"
    "ScopeSpans #0\n"
    "ScopeSpans SchemaURL: \n"
    "InstrumentationScope lib 1.2\n"
    "Span #0\n"
    "    Trace ID       : 0102030405060708090a0b0c0d0e0f10\n"
    "    Parent ID      : \n"
    "    ID             : 1112131415161718\n"
    "    Name           : GET /\\u001b[31m\\n\n"
    "    Kind           : Server\n"
    "    Start time     : 2020-02-11 20:26:12.000000321 +0000 UTC\n"
    "    End time       : 2020-02-11 20:26:13.509 +0000 UTC\n"
    "    Status code    : Error\n"
    "    Status message : cancelled\n"
    "Attributes:\n"
    "     -> http.route: Str(/)\n"
    "     -> n: Int(-7)\n"
    "Events:\n"
    "SpanEvent #0\n"
    "     -> Name: boom\n"
    "     -> Timestamp: 2020-02-11 20:26:13.509 +0000 UTC\n"
    "     -> DroppedAttributesCount: 0\n"
    "     -> Attributes::\n"
    "          -> bad: Bool(true)\n"
    "Links:\n"
    "SpanLink #0\n"
    "     -> Trace ID: \n"
    "     -> ID: 2122232425262728\n"
    "     -> TraceState: \n"
    "     -> DroppedAttributesCount: 0\n"
    "Span #1\n"
    "    Trace ID       : \n"
    "    Parent ID      : \n"
    "    ID             : \n"
    "    Name           : \n"
    "    Kind           : Unspecified\n"
    "    Start time     : 1970-01-01 00:00:00 +0000 UTC\n"
    "    End time       : 1970-01-01 00:00:00 +0000 UTC\n"
    "    Status code    : Unset\n"
    "    Status message : \n";

static void point_head(sl_writer *w)
{
    sl_write_fixed64(w, 2, START);
    sl_write_fixed64(w, 3, END);
}

static void metric(sl_writer *w, const char *name, uint32_t type, size_t marks[3])
{
    marks[0] = sl_write_begin(w, 2);
    sl_write_text(w, 1, name);
    sl_write_text(w, 3, "s");
    marks[1] = sl_write_begin(w, type);
    marks[2] = sl_write_begin(w, 1);
}

static void end_point(sl_writer *w, size_t marks[3])
{
    sl_write_end(w, marks[2]);
    marks[2] = 0;
}

static void end_metric(sl_writer *w, size_t marks[3])
{
    sl_write_end(w, marks[1]);
    sl_write_end(w, marks[0]);
}

static sl_bytes metrics(sl_writer *w)
{
    size_t m[3];
    const size_t rm = sl_write_begin(w, 1);
    resource(w);
    const size_t sm = sl_write_begin(w, 2);
    scope(w);
    metric(w, "gauge", SL_METRIC_GAUGE, m);
    point_head(w);
    sl_write_double(w, 4, 1.5);
    sl_write_attr_text(w, 7, sl_str("k"), sl_str("v"));
    const size_t exemplar = sl_write_begin(w, 5);
    sl_write_fixed64(w, 2, END);
    sl_write_fixed64(w, 6, 15);
    sl_write_end(w, exemplar);
    end_point(w, m);
    end_metric(w, m);
    metric(w, "sum", SL_METRIC_SUM, m);
    point_head(w);
    sl_write_fixed64(w, 6, 123);
    end_point(w, m);
    sl_write_varint(w, 2, SL_TEMPORALITY_CUMULATIVE);
    sl_write_bool(w, 3, true);
    end_metric(w, m);
    metric(w, "histogram", SL_METRIC_HISTOGRAM, m);
    point_head(w);
    sl_write_fixed64(w, 4, 3);
    sl_write_double(w, 5, 15);
    sl_write_packed_fixed64(w, 6, (const uint64_t[]){1, 2}, 2);
    sl_write_packed_double(w, 7, (const double[]){0.5}, 1);
    sl_write_double(w, 11, 0.25);
    end_point(w, m);
    sl_write_varint(w, 2, SL_TEMPORALITY_DELTA);
    end_metric(w, m);
    metric(w, "exponential", SL_METRIC_EXPONENTIAL, m);
    point_head(w);
    sl_write_fixed64(w, 4, 5);
    sl_write_sint(w, 6, 1);
    sl_write_fixed64(w, 7, 1);
    size_t buckets = sl_write_begin(w, 8);
    sl_write_sint(w, 1, 1);
    sl_write_packed_varint(w, 2, (const uint64_t[]){1, 1}, 2);
    sl_write_end(w, buckets);
    buckets = sl_write_begin(w, 9);
    sl_write_sint(w, 1, -1);
    sl_write_packed_varint(w, 2, (const uint64_t[]){2, 1}, 2);
    sl_write_end(w, buckets);
    end_point(w, m);
    end_metric(w, m);
    metric(w, "summary", SL_METRIC_SUMMARY, m);
    point_head(w);
    sl_write_fixed64(w, 4, 1);
    sl_write_double(w, 5, 15);
    const size_t quantile = sl_write_begin(w, 6);
    sl_write_double(w, 1, 0.99);
    sl_write_double(w, 2, 12);
    sl_write_end(w, quantile);
    end_point(w, m);
    end_metric(w, m);
    sl_write_end(w, sm);
    sl_write_end(w, rm);
    assert_false(w->failed);
    return sl_written(w);
}

#define TIMES                                                                                      \
    "StartTimestamp: 2020-02-11 20:26:12.000000321 +0000 UTC\n"                                    \
    "Timestamp: 2020-02-11 20:26:13.509 +0000 UTC\n"
#define DESCRIPTOR(name, type)                                                                     \
    "Descriptor:\n     -> Name: " name "\n     -> Description: \n     -> Unit: s\n"                \
    "     -> DataType: " type "\n"

static const char metrics_detailed[] =
    "ResourceMetrics #0\n"
    "Resource SchemaURL: \n"
    "Resource attributes:\n"
    "     -> service.name: Str(shop)\n"
    "ScopeMetrics #0\n"
    "ScopeMetrics SchemaURL: \n"
    "InstrumentationScope lib 1.2\n"
    "Metric #0\n" DESCRIPTOR(
        "gauge",
        "Gauge") "NumberDataPoints #0\n"
                 "Data point attributes:\n"
                 "     -> k: Str(v)\n" TIMES "Value: 1.500000\n"
                 "Exemplars:\n"
                 "Exemplar #0\n"
                 "     -> Trace ID: \n"
                 "     -> Span ID: \n"
                 "     -> Timestamp: 2020-02-11 20:26:13.509 +0000 UTC\n"
                 "     -> Value: 15\n"
                 "Metric #1\n" DESCRIPTOR(
                     "sum",
                     "Sum") "     -> IsMonotonic: true\n"
                            "     -> AggregationTemporality: Cumulative\n"
                            "NumberDataPoints #0\n" TIMES "Value: 123\n"
                            "Metric #2\n" DESCRIPTOR(
                                "histogram",
                                "Histogram") "     -> AggregationTemporality: Delta\n"
                                             "HistogramDataPoints #0\n" TIMES "Count: 3\n"
                                             "Sum: 15.000000\n"
                                             "Min: 0.250000\n"
                                             "ExplicitBounds #0: 0.500000\n"
                                             "Buckets #0, Count: 1\n"
                                             "Buckets #1, Count: 2\n"
                                             "Metric #3\n" DESCRIPTOR(
                                                 "exponential",
                                                 "ExponentialHistogram") "     -> "
                                                                         "AggregationTemporality: "
                                                                         "Unspecified\n"
                                                                         "ExponentialHistogramDataP"
                                                                         "oints #0\n" TIMES
                                                                         "Count: 5\n"
                                                                         "Bucket [-1.414214, "
                                                                         "-1.000000), Count: 1\n"
                                                                         "Bucket [-1.000000, "
                                                                         "-0.707107), Count: 2\n"
                                                                         "Bucket [0, 0], Count: 1\n"
                                                                         "Bucket (1.414214, "
                                                                         "2.000000], Count: 1\n"
                                                                         "Bucket (2.000000, "
                                                                         "2.828427], Count: 1\n"
                                                                         "Metric #4\n" DESCRIPTOR(
                                                                             "summary",
                                                                             "Summary") "SummaryDat"
                                                                                        "aPoints "
                                                                                        "#0\n" TIMES
                                                                                        "Count: 1\n"
                                                                                        "Sum: "
                                                                                        "15."
                                                                                        "000000\n"
                                                                                        "QuantileVa"
                                                                                        "lue #0: "
                                                                                        "Quantile "
                                                                                        "0.990000, "
                                                                                        "Value "
                                                                                        "12."
                                                                                        "000000\n";

static sl_bytes logs(sl_writer *w)
{
    const size_t rl = sl_write_begin(w, 1);
    resource(w);
    const size_t sl = sl_write_begin(w, 2);
    scope(w);
    const size_t record = sl_write_begin(w, 2);
    sl_write_fixed64(w, 1, END);
    sl_write_varint(w, 2, 10);
    sl_write_text(w, 3, "INFO2");
    const size_t body = sl_write_begin(w, 5), map = sl_write_begin(w, 6);
    sl_write_attr_text(w, 1, sl_str("a\"b"), sl_str("x\ny"));
    sl_write_attr_double(w, 1, sl_str("d"), 0.1);
    const size_t pair = sl_write_begin(w, 1);
    sl_write_text(w, 1, "list");
    const size_t value = sl_write_begin(w, 2), list = sl_write_begin(w, 5);
    sl_write_value_int(w, 1, 1);
    sl_write_value_bytes(w, 1, sl_str("hi!"));
    const size_t nothing = sl_write_begin(w, 1);
    sl_write_end(w, nothing);
    sl_write_end(w, list);
    sl_write_end(w, value);
    sl_write_end(w, pair);
    sl_write_end(w, map);
    sl_write_end(w, body);
    sl_write_attr_bool(w, 6, sl_str("t"), false);
    sl_write_text(w, 12, "my.event");
    sl_write_end(w, record);
    sl_write_end(w, sl);
    sl_write_end(w, rl);
    assert_false(w->failed);
    return sl_written(w);
}

#define LOG_BODY "{\"a\\\"b\":\"x\\ny\",\"d\":0.1,\"list\":[1,\"aGkh\",null]}"

static const char logs_detailed[] = "ResourceLog #0\n"
                                    "Resource SchemaURL: \n"
                                    "Resource attributes:\n"
                                    "     -> service.name: Str(shop)\n"
                                    "ScopeLogs #0\n"
                                    "ScopeLogs SchemaURL: \n"
                                    "InstrumentationScope lib 1.2\n"
                                    "LogRecord #0\n"
                                    "ObservedTimestamp: 1970-01-01 00:00:00 +0000 UTC\n"
                                    "Timestamp: 2020-02-11 20:26:13.509 +0000 UTC\n"
                                    "SeverityText: INFO2\n"
                                    "SeverityNumber: Info2(10)\n"
                                    "EventName: my.event\n"
                                    "Body: Map(" LOG_BODY ")\n"
                                    "Attributes:\n"
                                    "     -> t: Bool(false)\n"
                                    "Trace ID: \n"
                                    "Span ID: \n"
                                    "Flags: 0\n";

/* ---- tests ---- */

static void basic_counts(void **state)
{
    uint8_t at[4096];
    struct fixture f;
    (void)state;
    open_debug(&f, BASIC, true);
    sl_writer w = sl_writer_fixed(at, sizeof at);
    send_bytes(&f, SL_TRACES, traces(&w), 2);
    w = sl_writer_fixed(at, sizeof at);
    send_bytes(&f, SL_METRICS, metrics(&w), 5);
    w = sl_writer_fixed(at, sizeof at);
    send_bytes(&f, SL_LOGS, logs(&w), 1);
    assert_string_equal(f.h->log, "INFO Traces resource spans=1 spans=2\n"
                                  "INFO Metrics resource metrics=1 metrics=5 data points=5\n"
                                  "INFO Logs resource logs=1 log records=1\n");
    assert_string_equal(output(&f), "");
    assert_int_equal(plugin_host_count(f.h, SL_DELIVERED), 8);
    close_debug(&f);
}

static void detailed_texts(void **state)
{
    uint8_t at[4096];
    struct fixture f;
    char expected[8192];
    (void)state;
    open_debug(&f, DETAILED, false);
    sl_writer w = sl_writer_fixed(at, sizeof at);
    send_bytes(&f, SL_TRACES, traces(&w), 2);
    w = sl_writer_fixed(at, sizeof at);
    send_bytes(&f, SL_METRICS, metrics(&w), 5);
    w = sl_writer_fixed(at, sizeof at);
    send_bytes(&f, SL_LOGS, logs(&w), 1);
    snprintf(expected, sizeof expected, "%s%s%s%s%s%s",
             "Traces\t{\"resource spans\": 1, \"spans\": 2}\n", traces_detailed,
             "Metrics\t{\"resource metrics\": 1, \"metrics\": 5, \"data points\": 5}\n",
             metrics_detailed, "Logs\t{\"resource logs\": 1, \"log records\": 1}\n", logs_detailed);
    assert_string_equal(output(&f), expected);
    assert_string_equal(f.h->log, "");
    close_debug(&f);
}

static void normal_texts(void **state)
{
    uint8_t at[4096];
    struct fixture f;
    (void)state;
    open_debug(&f, NORMAL, false);
    sl_writer w = sl_writer_fixed(at, sizeof at);
    send_bytes(&f, SL_TRACES, traces(&w), 2);
    w = sl_writer_fixed(at, sizeof at);
    send_bytes(&f, SL_METRICS, metrics(&w), 5);
    w = sl_writer_fixed(at, sizeof at);
    send_bytes(&f, SL_LOGS, logs(&w), 1);
    assert_string_equal(
        output(&f),
        "Traces\t{\"resource spans\": 1, \"spans\": 2}\n"
        "GET /\\u001b[31m\\n 0102030405060708090a0b0c0d0e0f10 1112131415161718 http.route=/ n=-7\n"
        "  \n"
        "Metrics\t{\"resource metrics\": 1, \"metrics\": 5, \"data points\": 5}\n"
        "gauge{k=v} 1.5\n"
        "sum{} 123\n"
        "histogram{} count=3 sum=15 min=0.25 le0.5=1 2\n"
        "exponential{} count=5 le0.7071067811865476=2 le1=1 le1.4142135623730951=1 le2=1 "
        "zero_count0=1\n"
        "summary{} count=1 sum=15.000000 q0.99=12\n"
        "Logs\t{\"resource logs\": 1, \"log records\": 1}\n" LOG_BODY " t=false\n");
    close_debug(&f);
}

static void sampling(void **state)
{
    uint8_t at[4096];
    struct fixture f;
    (void)state;
    open_debug(&f, BASIC, true);
    set_u64(&f.config, "sampling_thereafter", 3);
    for (int i = 0; i < 8; i++) { /* 1, 2, 5, 8 */
        sl_writer w = sl_writer_fixed(at, sizeof at);
        send_bytes(&f, SL_TRACES, traces(&w), 2);
    }
    sl_writer w = sl_writer_fixed(at, sizeof at);
    send_bytes(&f, SL_LOGS, logs(&w), 1); /* counted on its own */
    uint32_t lines = 0;
    for (const char *p = f.h->log; (p = strchr(p, '\n')); p++)
        lines++;
    assert_int_equal(lines, 5);
    set_u64(&f.config, "sampling_thereafter", 0);
    f.h->now_ns += 1000000000;
    for (int i = 0; i < 8; i++) {
        w = sl_writer_fixed(at, sizeof at);
        send_bytes(&f, SL_TRACES, traces(&w), 2);
    }
    lines = 0;
    for (const char *p = f.h->log; (p = strchr(p, '\n')); p++)
        lines++;
    assert_int_equal(lines, 7);
    assert_int_equal(plugin_host_count(f.h, SL_DELIVERED), 33);
    close_debug(&f);
}

static void wrong_outputs(void **state)
{
    struct fixture f;
    sl_error error = {.size = sizeof error};
    (void)state;
    open_debug(&f, BASIC, false);
    f.type->destroy(f.config.at);
    f.output = sl_str("/nonexistent/x");
    assert_int_equal(f.type->start(f.config.at, &error), SL_ERR_IO);
    assert_non_null(strstr(error.text, "/nonexistent/x"));
    f.output = sl_slice("a\0b", 3);
    assert_int_equal(f.type->start(f.config.at, &error), SL_ERR_INVALID);
    f.output = sl_str("/dev/full");
    assert_int_equal(f.type->start(f.config.at, &error), SL_OK);
    uint8_t at[4096];
    for (int i = 0; i < 2; i++) {
        sl_writer w = sl_writer_fixed(at, sizeof at);
        send_bytes(&f, SL_TRACES, traces(&w), 2);
    }
    assert_non_null(strstr(f.h->log, "cannot write to an output"));
    assert_ptr_equal(strstr(f.h->log, "WARN"), strstr(f.h->log, "WARN cannot"));
    close_debug(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(basic_counts),  cmocka_unit_test(detailed_texts),
        cmocka_unit_test(normal_texts),  cmocka_unit_test(sampling),
        cmocka_unit_test(wrong_outputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
