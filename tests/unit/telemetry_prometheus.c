/* The metrics page, byte for byte. */
#include "pipeline/telemetry/ids.h"
#include "pipeline/telemetry/prometheus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct page {
    size_t n;
    char text[256 * 1024];
};

static void write_part(void *ctx, sl_bytes part)
{
    struct page *page = ctx;
    assert_true(part.n > 0 && page->n + part.n < sizeof page->text);
    memcpy(page->text + page->n, part.p, part.n);
    page->n += part.n;
    page->text[page->n] = 0;
}

static struct page *page_of(struct metrics *metrics, const struct prometheus_options *options)
{
    struct page *page = calloc(1, sizeof *page);
    assert_non_null(page);
    prometheus_write(metrics, options, write_part, page);
    return page;
}

static void expect(struct metrics *metrics, const struct prometheus_options *options,
                   const char *expected)
{
    struct page *page = page_of(metrics, options);
    assert_string_equal(page->text, expected);
    free(page);
}

static struct metrics *example(void)
{
    struct metrics *metrics = metrics_create(0);
    struct metric_label otlp[] = {{"transport", "grpc"}, {"receiver", "otlp"}};
    struct metric_label queue[] = {{"exporter", "otlp/2"}, {"data_type", "traces"}};
    metric_add(
        metrics_series(metrics, metric_of_signal(METRIC_RECEIVER_ACCEPTED, SL_TRACES), otlp, 2),
        1000);
    metric_set(metrics_series(metrics, metric_id(METRIC_EXPORTER_QUEUE_SIZE), queue, 2), 3);
    metric_set(metrics_series(metrics, metric_id(METRIC_PROCESS_UPTIME), NULL, 0),
               INT64_C(12500000000));
    metric_set(metrics_series(metrics, metric_id(METRIC_PROCESS_RSS), NULL, 0), 4096);
    metric_set(metrics_series(metrics, metric_id(METRIC_PROCESS_CPU), NULL, 0), 1000001);
    metric_add(metrics_series(metrics, metric_id(METRIC_ITEMS), NULL, 0), 2);
    return metrics;
}

/* As the Collector's default reader shows them: no units, no _total, no scope. */
static void test_default_names(void **state)
{
    struct metrics *metrics = example();
    struct metric_label resource[] = {
        {"service.instance.id", "1-2"}, {"service.name", "sluice"}, {"service.version", "0.1.0"}};
    struct prometheus_options options = {.resource = resource, .n_resource = 3};
    (void)state;
    expect(metrics, &options,
           "# HELP otelcol_exporter_queue_size Current size of the sending queue, in the unit of "
           "its sizer.\n"
           "# TYPE otelcol_exporter_queue_size gauge\n"
           "otelcol_exporter_queue_size{data_type=\"traces\",exporter=\"otlp/2\"} 3\n"
           "# HELP otelcol_process_cpu_seconds Total CPU user and system time in seconds.\n"
           "# TYPE otelcol_process_cpu_seconds counter\n"
           "otelcol_process_cpu_seconds 0.001000001\n"
           "# HELP otelcol_process_memory_rss Total physical memory (resident set size).\n"
           "# TYPE otelcol_process_memory_rss gauge\n"
           "otelcol_process_memory_rss 4096\n"
           "# HELP otelcol_process_uptime Uptime of the process.\n"
           "# TYPE otelcol_process_uptime counter\n"
           "otelcol_process_uptime 12.5\n"
           "# HELP otelcol_receiver_accepted_spans Number of spans successfully pushed into the "
           "pipeline.\n"
           "# TYPE otelcol_receiver_accepted_spans counter\n"
           "otelcol_receiver_accepted_spans{receiver=\"otlp\",transport=\"grpc\"} 1000\n"
           "# HELP sluice_items_total Items that ended, or were handed on, at a component, by "
           "outcome and reason.\n"
           "# TYPE sluice_items_total counter\n"
           "sluice_items_total 2\n"
           "# HELP target_info Target metadata\n"
           "# TYPE target_info gauge\n"
           "target_info{service_instance_id=\"1-2\",service_name=\"sluice\",service_version="
           "\"0.1.0\"} 1\n");
    metrics_destroy(metrics);
}

static void test_suffixes(void **state)
{
    struct metrics *metrics = example();
    struct prometheus_options options = {
        .units = true, .type_suffix = true, .scope = true, .version = "0.1.0"};
    struct page *page = page_of(metrics, &options);
    static const char *const lines[] = {
        "\notelcol_exporter_queue_size{data_type=\"traces\",exporter=\"otlp/2\",otel_scope_",
        "otel_scope_schema_url=\"\",otel_scope_version=\"0.1.0\"} 3\n",
        "\notelcol_process_cpu_seconds_total{otel_scope_name=\"sluice\",",
        "\n# TYPE otelcol_process_memory_rss_bytes gauge\n",
        "\n# TYPE otelcol_process_uptime_seconds_total counter\n",
        "\notelcol_receiver_accepted_spans_total{receiver=\"otlp\",transport=\"grpc\",otel_scope_",
        "\n# TYPE sluice_items_total counter\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!strstr(page->text, lines[i]))
            fail_msg("%s is not in\n%s", lines[i], page->text);
    assert_null(strstr(page->text, "target_info"));
    free(page);
    metrics_destroy(metrics);
}

static void test_escaping(void **state)
{
    struct metrics *metrics = metrics_create(0);
    struct metric_def def = {"m", NULL, "a \"help\"\nof \\ two", SL_GAUGE, 1000, NULL, 0};
    struct metric_label label[] = {{"l", "\"q\" \\ \n \xff gr\xc3\xbc\xc3\x9f"}};
    (void)state;
    metric_set(metrics_series(metrics, &def, label, 1), -1500);
    expect(metrics, NULL,
           "# HELP m a \"help\"\\nof \\\\ two\n# TYPE m gauge\n"
           "m{l=\"\\\"q\\\" \\\\ \\n \xef\xbf\xbd gr\xc3\xbc\xc3\x9f\"} -1.5\n");
    metrics_destroy(metrics);
}

static void test_extremes(void **state)
{
    struct metrics *metrics = metrics_create(0);
    struct metric_def low = {"low", NULL, "h", SL_GAUGE, 1, NULL, 0},
                      high = {"high", NULL, "h", SL_GAUGE, 1, NULL, 0};
    (void)state;
    metric_set(metrics_series(metrics, &low, NULL, 0), INT64_MIN);
    metric_set(metrics_series(metrics, &high, NULL, 0), INT64_MAX);
    expect(metrics, NULL,
           "# HELP high h\n# TYPE high gauge\nhigh 9223372036854775807\n"
           "# HELP low h\n# TYPE low gauge\nlow -9223372036854775808\n");
    metrics_destroy(metrics);
}

/* A page of many buffers has every series, and each once. */
static void test_long_page(void **state)
{
    struct metrics *metrics = metrics_create(0);
    enum { SERIES = 2000 };
    (void)state;
    for (int i = 0; i < SERIES; i++) {
        char value[32];
        (void)snprintf(value, sizeof value, "reason-%04d", i);
        struct metric_label label[] = {{"reason", value}};
        metric_add(metrics_series(metrics, metric_id(METRIC_ITEMS), label, 1), i);
    }
    struct page *page = page_of(metrics, NULL);
    const char *at = strstr(page->text, "counter\n") + strlen("counter\n");
    for (int i = 0; i < SERIES; i++) {
        int reason = -1, value = -1, n = 0;
        assert_int_equal(
            sscanf(at, "sluice_items_total{reason=\"reason-%d\"} %d\n%n", &reason, &value, &n), 2);
        assert_int_equal(reason, i);
        assert_int_equal(value, i);
        at += n;
    }
    assert_string_equal(at, "");
    free(page);
    metrics_destroy(metrics);
}

static void test_histogram(void **state)
{
    static const int64_t bounds[] = {-5, 10, 2500}, others[] = {-5, 10, 2501}, bad[] = {1, 1};
    struct metric_def def = {.name = "sizes",
                             .help = "Sizes.",
                             .kind = METRIC_HISTOGRAM,
                             .divisor = 1000,
                             .bounds = bounds,
                             .n_bounds = 3};
    struct metric_label label = {"processor", "batch"};
    struct metrics *metrics = metrics_create(0);
    (void)state;
    struct metric *m = metrics_series(metrics, &def, &label, 1);
    assert_non_null(m);
    static const int64_t values[] = {-6, -5, -4, 10, 11, 2500, 2501, 1000000};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        metric_record(m, values[i]);
    metric_record(NULL, 1);
    expect(metrics, NULL,
           "# HELP sizes Sizes.\n# TYPE sizes histogram\n"
           "sizes_bucket{processor=\"batch\",le=\"-0.005\"} 2\n"
           "sizes_bucket{processor=\"batch\",le=\"0.01\"} 4\n"
           "sizes_bucket{processor=\"batch\",le=\"2.5\"} 6\n"
           "sizes_bucket{processor=\"batch\",le=\"+Inf\"} 8\n"
           "sizes_sum{processor=\"batch\"} 1005.007\n"
           "sizes_count{processor=\"batch\"} 8\n");
    assert_ptr_equal(metrics_series(metrics, &def, &label, 1), m);
    def.bounds = others; /* of the same family: another one */
    assert_null(metrics_series(metrics, &def, &label, 1));
    def.name = "others";
    def.bounds = bad;
    def.n_bounds = 2;
    assert_null(metrics_series(metrics, &def, &label, 1));
    def.n_bounds = 0;
    assert_null(metrics_series(metrics, &def, &label, 1));
    assert_int_equal(metrics_refused(metrics), 3);
    metrics_destroy(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default_names), cmocka_unit_test(test_suffixes),
        cmocka_unit_test(test_escaping),      cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_long_page),     cmocka_unit_test(test_histogram),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
