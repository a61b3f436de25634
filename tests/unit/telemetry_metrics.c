/* The registry: identity of series, order, bounds, callbacks, and threads that make and add to the
 * same series while others read. */
#include "pipeline/telemetry/ids.h"
#include "pipeline/telemetry/process.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct metric_def items = {"test_items", "{item}", "Items.", SL_COUNTER, 0, NULL, 0};
static const struct metric_def depth = {"test_depth", NULL, NULL, SL_GAUGE, 0, NULL, 0};

struct listing {
    char text[4096];
    size_t n;
    uint32_t families, series;
    int64_t sum;
};

static void list_family(void *ctx, const struct metric_def *def)
{
    struct listing *l = ctx;
    l->families++;
    l->n += (size_t)snprintf(l->text + l->n, sizeof l->text - l->n, "%s|", def->name);
}

static void list_series(void *ctx, const struct metric_def *def, const struct metric_label *labels,
                        uint32_t n, int64_t value)
{
    struct listing *l = ctx;
    (void)def;
    l->series++;
    l->sum += value;
    for (uint32_t i = 0; i < n; i++)
        l->n += (size_t)snprintf(l->text + l->n, sizeof l->text - l->n, "%s=%s,", labels[i].key,
                                 labels[i].value);
    l->n += (size_t)snprintf(l->text + l->n, sizeof l->text - l->n, "%lld|", (long long)value);
}

static struct listing list(struct metrics *metrics)
{
    struct listing l = {.n = 0};
    struct metrics_visitor visitor = {&l, list_family, list_series, NULL};
    metrics_visit(metrics, &visitor);
    return l;
}

static void test_identity(void **state)
{
    struct metrics *metrics = metrics_create(0);
    struct metric_label ab[] = {{"a", "1"}, {"b", "2"}}, ba[] = {{"b", "2"}, {"a", "1"}};
    struct metric_label other[] = {{"a", "12"}, {"b", ""}};
    (void)state;
    struct metric *m = metrics_series(metrics, &items, ab, 2);
    assert_non_null(m);
    assert_int_equal((uintptr_t)m % 64, 0);
    assert_ptr_equal(metrics_series(metrics, &items, ba, 2), m);
    struct metric *o = metrics_series(metrics, &items, other, 2);
    struct metric *bare = metrics_series(metrics, &items, NULL, 0);
    assert_true(o && o != m && bare && bare != m && bare != o);
    metric_add(m, 5);
    metric_add(m, -2);
    metric_set(o, 7);
    metric_add(NULL, 1);
    metric_set(NULL, 1);
    assert_int_equal(metric_get(m), 3);
    assert_int_equal(metric_get(NULL), 0);
    metric_set(metrics_series(metrics, &depth, NULL, 0), 9);
    struct listing l = list(metrics);
    assert_string_equal(l.text, "test_depth|9|test_items|0|a=1,b=2,3|a=12,b=,7|");
    metrics_destroy(metrics);
}

static void test_refusals(void **state)
{
    struct metrics *metrics = metrics_create(2);
    char value[METRIC_VALUE_MAX + 2];
    struct metric_label many[METRIC_LABELS_MAX + 1];
    struct metric_label bad_key[] = {{"a-b", "1"}}, reserved[] = {{"__name__", "1"}},
                        twice[] = {{"a", "1"}, {"a", "2"}}, no_key[] = {{NULL, "1"}},
                        too_long[] = {{"a", value}}, one[] = {{"a", NULL}};
    struct metric_def bad_name = items, bad_kind = items, clash = items;
    (void)state;
    bad_name.name = "1up";
    bad_kind.kind = 3;
    clash.kind = SL_GAUGE;
    memset(value, 'x', sizeof value);
    value[METRIC_VALUE_MAX + 1] = 0;
    for (int i = 0; i <= METRIC_LABELS_MAX; i++)
        many[i] = (struct metric_label){&"abcdefghi"[i], "1"};

    assert_null(metrics_series(metrics, &bad_name, NULL, 0));
    assert_null(metrics_series(metrics, &bad_kind, NULL, 0));
    assert_null(metrics_series(metrics, &items, bad_key, 1));
    assert_null(metrics_series(metrics, &items, reserved, 1));
    assert_null(metrics_series(metrics, &items, twice, 2));
    assert_null(metrics_series(metrics, &items, no_key, 1));
    assert_null(metrics_series(metrics, &items, too_long, 1));
    assert_null(metrics_series(metrics, &items, many, METRIC_LABELS_MAX + 1));
    assert_int_equal(list(metrics).families, 0);
    value[METRIC_VALUE_MAX] = 0;
    assert_non_null(metrics_series(metrics, &items, too_long, 1));
    assert_null(metrics_series(metrics, &clash, NULL, 0));
    assert_null(metrics_series(metrics, &clash, too_long, 1));
    assert_non_null(metrics_series(metrics, &items, one, 1));
    assert_null(metrics_series(metrics, &items, NULL, 0)); /* above the bound */
    assert_non_null(metrics_series(metrics, &items, one, 1));
    assert_int_equal(metrics_refused(metrics), 11);
    assert_int_equal(list(metrics).series, 2);
    metrics_destroy(metrics);
}

static int64_t read_number(void *ctx)
{
    return *(int64_t *)ctx;
}

static void test_callbacks(void **state)
{
    struct metrics *metrics = metrics_create(2);
    struct metric_label label[] = {{"exporter", "otlp"}};
    int64_t number = 4;
    (void)state;
    struct metrics_callback *callback =
        metrics_observe(metrics, &depth, label, 1, read_number, &number);
    assert_non_null(callback);
    assert_null(metrics_observe(metrics, &depth, label, 1, read_number, &number));
    assert_null(metrics_series(metrics, &depth, label, 1));
    assert_string_equal(list(metrics).text, "test_depth|exporter=otlp,4|");
    number = 5;
    assert_string_equal(list(metrics).text, "test_depth|exporter=otlp,5|");
    metrics_unobserve(metrics, callback);
    metrics_unobserve(metrics, NULL);
    assert_string_equal(list(metrics).text, ""); /* a family without series is not shown */
    for (int i = 0; i < 10; i++) {               /* the room is free again */
        callback = metrics_observe(metrics, &depth, label, 1, read_number, &number);
        assert_non_null(callback);
        metrics_unobserve(metrics, callback);
    }
    metrics_destroy(metrics);
}

static void test_ids(void **state)
{
    struct metrics *metrics = metrics_create(0);
    uint32_t made = 0;
    (void)state;
    assert_string_equal(metric_of_signal(METRIC_RECEIVER_ACCEPTED, SL_TRACES)->name,
                        "otelcol_receiver_accepted_spans");
    assert_string_equal(metric_of_signal(METRIC_EXPORTER_SEND_FAILED, SL_METRICS)->name,
                        "otelcol_exporter_send_failed_metric_points");
    assert_string_equal(metric_of_signal(METRIC_EXPORTER_ENQUEUE_FAILED, SL_LOGS)->name,
                        "otelcol_exporter_enqueue_failed_log_records");
    assert_null(metric_of_signal(METRIC_EXPORTER_SENT, 64));
    for (uint32_t i = 0; i < METRICS_OF_SIGNAL; i++, made += 4)
        for (uint32_t signal = SL_TRACES; signal <= SL_PROFILES; signal *= 2)
            assert_non_null(metrics_series(metrics, metric_of_signal(i, signal), NULL, 0));
    for (uint32_t i = 0; i < METRIC_IDS; i++, made++) {
        assert_non_null(metric_id(i)->help);
        assert_non_null(metrics_series(metrics, metric_id(i), NULL, 0));
    }
    assert_int_equal(list(metrics).families, made); /* no two have the same name */
    assert_string_equal(metric_outcome_name(SL_REJECTED), "rejected");
    assert_string_equal(metric_outcome_name(SL_OUTCOMES), "unknown");
    assert_string_equal(metric_signal_name(SL_METRICS), "metrics");
    assert_string_equal(metric_signal_name(32), "other");
    metrics_destroy(metrics);
}

static void test_process(void **state)
{
    struct metrics *metrics = metrics_create(0);
    struct process_metrics *process = process_metrics_create(metrics);
    (void)state;
    assert_non_null(process);
    struct listing l = list(metrics);
    assert_int_equal(l.series, 5);
    long long rss = 0, cpu = 0;
    const char *at = strstr(l.text, "otelcol_process_memory_rss|");
    assert_non_null(at);
    assert_int_equal(sscanf(at, "otelcol_process_memory_rss|%lld|", &rss), 1);
    assert_true(rss > 100000 && rss < (long long)1 << 40);
    at = strstr(l.text, "otelcol_process_cpu_seconds|");
    assert_int_equal(sscanf(at, "otelcol_process_cpu_seconds|%lld|", &cpu), 1);
    assert_true(cpu > 0);
    process_metrics_destroy(process);
    assert_int_equal(list(metrics).series, 0);
    metrics_destroy(metrics);
}

enum { THREADS = 4, ROUNDS = 20000, NAMES = 50 };

static void *add_all(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        char value[16];
        (void)snprintf(value, sizeof value, "%d", i % NAMES);
        struct metric_label label[] = {{"reason", value}};
        metric_add(metrics_series(arg, &items, label, 1), 1);
    }
    return NULL;
}

static void *observe_all(void *arg)
{
    int64_t number = 1;
    for (int i = 0; i < ROUNDS / 10; i++)
        metrics_unobserve(arg, metrics_observe(arg, &depth, NULL, 0, read_number, &number));
    return NULL;
}

static void test_threads(void **state)
{
    struct metrics *metrics = metrics_create(0);
    pthread_t threads[THREADS], observer;
    (void)state;
    assert_int_equal(pthread_create(&observer, NULL, observe_all, metrics), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_all, metrics), 0);
    for (int i = 0; i < 50; i++)
        (void)list(metrics);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_join(observer, NULL);
    struct listing l = list(metrics);
    assert_int_equal(l.series, NAMES);
    assert_int_equal(l.sum, THREADS * ROUNDS);
    metrics_destroy(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity),  cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_callbacks), cmocka_unit_test(test_ids),
        cmocka_unit_test(test_process),   cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
