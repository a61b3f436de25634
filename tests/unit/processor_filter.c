/* The filter processor: what is refused, the older include and exclude, errors of conditions, and that
 * nothing is lost without memory. What conditions say is tested in formats_ottl.c. */
#include "processors/filter/filter.h"
#include "tests/support/plugin_host.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

extern const sl_plugin sluice_plugin;

struct fixture {
    struct plugin_host *h;
    const sl_type *type;
    struct filter_config config;
    sl_raw list, conditions[2];
    sl_bytes texts[2];
    struct match_attribute_config attribute;
    void *instance;
};

static void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    f->h = plugin_host_create();
    f->type = sluice_plugin.types[0];
    f->config.base.host = &f->h->host;
}

/* A list of conditions as it stands in a config. */
static const sl_raw *conditions(struct fixture *f, const char *first, const char *second)
{
    const char *const texts[] = {first, second};
    f->list = (sl_raw){.kind = 2, .n = second ? 2 : 1, .children = f->conditions, .line = 3};
    for (uint32_t i = 0; i < f->list.n; i++)
        f->conditions[i] =
            (sl_raw){.kind = 1, .text = sl_str(texts[i]), .line = 4 + i, .column = 9};
    return &f->list;
}

static sl_list one_text(struct fixture *f, const char *text)
{
    f->texts[0] = sl_str(text);
    return (sl_list){.at = f->texts, .n = 1, .stride = sizeof(sl_bytes)};
}

static void fixture_open(struct fixture *f)
{
    plugin_host_open(f->h, f->type, &f->config, &f->instance);
}

static void fixture_end(struct fixture *f)
{
    plugin_host_close(f->h, f->type, &f->config, f->instance);
}

/* Two resources of two records each: services s0 and s1, severities 5, 9, 13, 17. */
static sl_bytes logs(uint8_t *at, size_t room)
{
    sl_writer w = sl_writer_fixed(at, room);
    for (uint32_t r = 0; r < 2; r++) {
        const size_t resource = sl_write_begin(&w, 1), inner = sl_write_begin(&w, 1);
        sl_write_attr_text(&w, 1, sl_str("service.name"), sl_str(r ? "s1" : "s0"));
        sl_write_end(&w, inner);
        const size_t scope = sl_write_begin(&w, 2);
        for (uint32_t i = 0; i < 2; i++) {
            const size_t record = sl_write_begin(&w, 2);
            sl_write_varint(&w, 2, 5 + 4 * (2 * r + i));
            sl_write_value_text(&w, 5, sl_str(i ? "second" : "first"));
            sl_write_attr_int(&w, 6, sl_str("i"), i);
            sl_write_end(&w, record);
        }
        sl_write_end(&w, scope);
        sl_write_end(&w, resource);
    }
    assert_false(w.failed);
    return sl_written(&w);
}

/* Metrics "a" and "b" with two points each. */
static sl_bytes metrics(uint8_t *at, size_t room)
{
    sl_writer w = sl_writer_fixed(at, room);
    const size_t resource = sl_write_begin(&w, 1), scope = sl_write_begin(&w, 2);
    for (uint32_t m = 0; m < 2; m++) {
        const size_t metric = sl_write_begin(&w, 2);
        sl_write_text(&w, 1, m ? "b" : "a");
        const size_t gauge = sl_write_begin(&w, SL_METRIC_GAUGE);
        for (uint32_t i = 0; i < 2; i++) {
            const size_t point = sl_write_begin(&w, 1);
            sl_write_fixed64(&w, 6, i);
            sl_write_end(&w, point);
        }
        sl_write_end(&w, gauge);
        sl_write_end(&w, metric);
    }
    sl_write_end(&w, scope);
    sl_write_end(&w, resource);
    assert_false(w.failed);
    return sl_written(&w);
}

/* Which of the four items stay: "0101". */
static void check_kept(struct fixture *f, uint32_t signal, const char *expected)
{
    uint8_t at[1024];
    char kept[5] = "????";
    const sl_bytes request = signal == SL_LOGS ? logs(at, sizeof at) : metrics(at, sizeof at);
    fixture_open(f);
    sl_delivery *d = plugin_host_delivery_of(f->h, signal, &request, 1, 4);
    assert_int_equal(f->type->process(f->instance, d), SL_OK);
    sl_delivery *out = plugin_host_take(f->h);
    if (out)
        plugin_host_end(f->h, out, SL_DELIVERED, NULL);
    for (uint32_t i = 0; i < 4; i++) {
        kept[i] = f->h->outcome[i] == SL_DELIVERED ? '1' : '0';
        if (f->h->outcome[i] == SL_DROPPED)
            assert_string_equal(f->h->why[i], "filtered");
    }
    assert_string_equal(kept, expected);
    const char *name = signal == SL_LOGS ? "otelcol_processor_filter_logs_filtered"
                                         : "otelcol_processor_filter_datapoints_filtered";
    int64_t dropped = 0;
    for (uint32_t i = 0; i < 4; i++)
        dropped += kept[i] == '0';
    assert_int_equal(plugin_host_metric(f->h, name), dropped);
    fixture_end(f);
}

static void one_true_condition_drops(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    f.config.logs.log_record = conditions(&f, "severity_number == 5", "severity_number == 17");
    check_kept(&f, SL_LOGS, "0110");
    fixture_init(&f);
    f.config.logs.resource = conditions(&f, "attributes[\"service.name\"] == \"s0\"", NULL);
    check_kept(&f, SL_LOGS, "0011");
    fixture_init(&f);
    f.config.logs.log_record = conditions(&f, "severity_number > 0", NULL);
    check_kept(&f, SL_LOGS, "0000");
    fixture_init(&f);
    f.config.logs.log_record = conditions(&f, "severity_number < 0", NULL);
    check_kept(&f, SL_LOGS, "1111");
    fixture_init(&f);
    f.config.metrics.metric = conditions(&f, "name == \"a\"", NULL);
    check_kept(&f, SL_METRICS, "0011");
    fixture_init(&f);
    f.config.metric_conditions =
        conditions(&f, "metric.name == \"b\" and datapoint.value_int == 1", "scope.name != \"\"");
    check_kept(&f, SL_METRICS, "1110");
}

static void the_older_rules_drop(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    f.config.metrics.has_include = 1;
    f.config.metrics.include.metric_names = one_text(&f, "b");
    check_kept(&f, SL_METRICS, "0011");
    fixture_init(&f);
    f.config.metrics.has_exclude = 1;
    f.config.metrics.exclude.match_type = 1;
    f.config.metrics.exclude.metric_names = one_text(&f, "^b$");
    check_kept(&f, SL_METRICS, "1100");
    fixture_init(&f);
    f.config.logs.has_include = 1;
    f.config.logs.include.has_severity = 1;
    f.config.logs.include.severity_number.min = sl_str("info");
    check_kept(&f, SL_LOGS, "0111");
    fixture_init(&f);
    f.config.logs.has_exclude = 1;
    f.config.logs.exclude.bodies = one_text(&f, "first");
    check_kept(&f, SL_LOGS, "0101");
    fixture_init(&f);
    const sl_raw value = {.kind = 1, .text = sl_str("s1")};
    f.attribute = (struct match_attribute_config){sl_str("service.name"), &value};
    f.config.logs.has_exclude = 1;
    f.config.logs.exclude.resource_attributes =
        (sl_list){.at = &f.attribute, .n = 1, .stride = sizeof f.attribute};
    check_kept(&f, SL_LOGS, "1100");
}

static void errors_are_treated_as_configured(void **state)
{
    (void)state;
    for (uint32_t mode = ERROR_PROPAGATE; mode <= ERROR_SILENT; mode++) {
        struct fixture f;
        uint8_t at[1024];
        const sl_bytes request = logs(at, sizeof at);
        fixture_init(&f);
        f.config.error_mode = mode;
        f.config.logs.log_record =
            conditions(&f, "attributes[\"i\"][\"x\"] == 1", "severity_number == 5");
        fixture_open(&f);
        sl_delivery *d = plugin_host_delivery_of(f.h, SL_LOGS, &request, 1, 4);
        const int32_t status = f.type->process(f.instance, d);
        assert_int_equal(status, mode == ERROR_PROPAGATE ? SL_ERR_INVALID : SL_OK);
        assert_int_equal(strstr(f.h->log, "attributes[\"i\"][\"x\"]") != NULL,
                         mode != ERROR_SILENT);
        if (status == SL_OK) { /* the other condition counts */
            d = plugin_host_take(f.h);
            assert_int_equal(d->items, 3);
        }
        plugin_host_end(f.h, d, SL_DELIVERED, NULL);
        fixture_end(&f);
    }
}

/* A resource with many attributes costs the same for each of its records. The test's timeout tells:
 * looking at all of them again would take minutes. Nothing is remembered from one resource to the next. */
static void large_resources_are_looked_at_once(void **state)
{
    enum { ATTRS = 100000, RECORDS = 100000, ROOM = 2 * (ATTRS * 10 + RECORDS * 3) };
    struct fixture f;
    uint8_t *at = malloc(ROOM);
    (void)state;
    assert_non_null(at);
    sl_writer w = sl_writer_fixed(at, ROOM);
    for (uint32_t r = 0; r < 2; r++) {
        const size_t resource = sl_write_begin(&w, 1), inner = sl_write_begin(&w, 1);
        for (uint32_t i = 0; i < ATTRS; i++)
            sl_write_attr_int(&w, 1, sl_str("k"), 1);
        sl_write_attr_text(&w, 1, sl_str("name"), sl_str(r ? "b" : "a"));
        sl_write_end(&w, inner);
        const size_t scope = sl_write_begin(&w, 2);
        for (uint32_t i = 0; i < RECORDS; i++)
            sl_write_bytes(&w, 2, sl_slice(NULL, 0));
        sl_write_end(&w, scope);
        sl_write_end(&w, resource);
    }
    assert_false(w.failed);
    const sl_bytes request = sl_written(&w);
    fixture_init(&f);
    f.config.logs.log_record = conditions(&f, "resource.attributes[\"name\"] == \"a\"", NULL);
    fixture_open(&f);
    sl_delivery *d = plugin_host_delivery_of(f.h, SL_LOGS, &request, 1, 2 * RECORDS);
    assert_int_equal(f.type->process(f.instance, d), SL_OK);
    d = plugin_host_take(f.h);
    assert_int_equal(d->items, RECORDS);
    plugin_host_end(f.h, d, SL_DELIVERED, NULL);
    fixture_end(&f);
    free(at);
}

/* The same of a metric's fields, for its points. */
static void large_metrics_are_looked_at_once(void **state)
{
    enum { FIELDS = 100000, POINTS = 100000, ROOM = 2 * (FIELDS * 3 + POINTS * 2 + 100) };
    struct fixture f;
    uint8_t *at = malloc(ROOM);
    (void)state;
    assert_non_null(at);
    sl_writer w = sl_writer_fixed(at, ROOM);
    const size_t resource = sl_write_begin(&w, 1), scope = sl_write_begin(&w, 2);
    for (uint32_t r = 0; r < 2; r++) {
        const size_t metric = sl_write_begin(&w, 2);
        for (uint32_t i = 0; i < FIELDS; i++)
            sl_write_bytes(&w, 3, sl_str("s"));
        sl_write_bytes(&w, 1, sl_str(r ? "b" : "a"));
        const size_t gauge = sl_write_begin(&w, SL_METRIC_GAUGE);
        for (uint32_t i = 0; i < POINTS; i++)
            sl_write_bytes(&w, 1, sl_slice(NULL, 0));
        sl_write_end(&w, gauge);
        sl_write_end(&w, metric);
    }
    sl_write_end(&w, scope);
    sl_write_end(&w, resource);
    assert_false(w.failed);
    const sl_bytes request = sl_written(&w);
    fixture_init(&f);
    f.config.metrics.datapoint =
        conditions(&f, "metric.name == \"a\" and metric.unit == \"s\" and metric.type == 1", NULL);
    fixture_open(&f);
    sl_delivery *d = plugin_host_delivery_of(f.h, SL_METRICS, &request, 1, 2 * POINTS);
    assert_int_equal(f.type->process(f.instance, d), SL_OK);
    d = plugin_host_take(f.h);
    assert_int_equal(d->items, POINTS);
    plugin_host_end(f.h, d, SL_DELIVERED, NULL);
    fixture_end(&f);
    free(at);
}

/* A delivery that is refused stays the host's, wherever in it the error was. */
static void errors_in_any_context_refuse(void **state)
{
    static const char failing[] = "1 / (Len(\"\") + 0) == 1";
    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        struct fixture f;
        uint8_t at[1024];
        const sl_bytes request = metrics(at, sizeof at);
        fixture_init(&f);
        f.config.error_mode = ERROR_PROPAGATE;
        const sl_raw **const lists[] = {&f.config.metrics.resource, &f.config.metrics.metric,
                                        &f.config.metrics.datapoint, &f.config.metric_conditions};
        *lists[i] =
            conditions(&f, i == 3 ? "metric.name == \"a\" and 1 / Len(\"\") == 1" : failing, NULL);
        fixture_open(&f);
        sl_delivery *d = plugin_host_delivery_of(f.h, SL_METRICS, &request, 1, 4);
        assert_int_equal(f.type->process(f.instance, d), SL_ERR_INVALID);
        assert_null(plugin_host_take(f.h));
        assert_int_equal(d->unclaimed, 4);
        plugin_host_end(f.h, d, SL_REJECTED, NULL);
        fixture_end(&f);
    }
}

static void nothing_is_lost_without_memory(void **state)
{
    struct fixture f;
    uint8_t at[1024];
    uint32_t failures = 0;
    const sl_bytes request = logs(at, sizeof at);
    (void)state;
    fixture_init(&f);
    f.config.logs.log_record = conditions(&f, "severity_number == 5", NULL);
    fixture_open(&f);
    for (uint32_t fail = 1;; fail++) {
        sl_delivery *d = plugin_host_delivery_of(f.h, SL_LOGS, &request, 1, 4);
        f.h->fail_at = f.h->calls + fail;
        f.h->fail_on = true;
        const int32_t status = f.type->process(f.instance, d);
        f.h->fail_on = false;
        if (status == SL_OK)
            break;
        failures++;
        assert_int_equal(status, SL_ERR_NOMEM);
        assert_int_equal(d->unclaimed, 4);
        plugin_host_end(f.h, d, SL_FAILED, NULL);
    }
    assert_true(failures >= 3);
    plugin_host_end(f.h, plugin_host_take(f.h), SL_DELIVERED, NULL);
    fixture_end(&f);
}

static void refused(struct fixture *f, const char *said)
{
    sl_error error = {.size = sizeof error};
    assert_int_equal(f->type->prepare(&f->config, &error), SL_ERR_INVALID);
    if (!strstr(error.text, said))
        fail_msg("\"%s\" does not say: %s", error.text, said);
    fixture_end(f);
}

static void wrong_configs_are_refused(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    f.config.traces.span = conditions(&f, "name == \"a\"", "kid == 1");
    refused(&f, "traces.span, line 5, column 9: at character 1: there is no path \"kid\"");
    fixture_init(&f);
    f.config.traces.span = conditions(&f, "name == kind == 1", NULL);
    refused(&f, ">>>== 1\"");
    fixture_init(&f);
    f.config.logs.log_record = conditions(&f, "body == nil", NULL);
    f.config.logs.has_include = 1;
    refused(&f, "only one of log_conditions");
    fixture_init(&f);
    f.config.trace_conditions = conditions(&f, "log.body == nil", NULL);
    refused(&f, "trace_conditions: the context log is of another signal");
    fixture_init(&f);
    f.config.metrics.has_exclude = 1;
    f.config.metrics.exclude.expressions = one_text(&f, "MetricName == \"a\"");
    refused(&f, "metrics.exclude: match_type expr is not supported");
    fixture_init(&f);
    f.config.metrics.has_include = 1;
    f.config.metrics.include.match_type = 2;
    refused(&f, "each within not (...)");
    fixture_init(&f);
    f.config.logs.has_include = 1;
    f.config.logs.include.has_severity = 1;
    f.config.logs.include.severity_number.min = sl_str("LOUD");
    refused(&f, "there is no severity \"LOUD\"");
    fixture_init(&f);
    f.config.spans.has_include = 1;
    refused(&f, "spans.include needs at least one property");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_true_condition_drops),
        cmocka_unit_test(the_older_rules_drop),
        cmocka_unit_test(errors_are_treated_as_configured),
        cmocka_unit_test(large_resources_are_looked_at_once),
        cmocka_unit_test(large_metrics_are_looked_at_once),
        cmocka_unit_test(errors_in_any_context_refuse),
        cmocka_unit_test(nothing_is_lost_without_memory),
        cmocka_unit_test(wrong_configs_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
