/* What zpages is made of: what the host tells about itself, rates, and escaping. The pages themselves
 * are tried end to end. */
#include "extensions/zpages/escape.h"
#include "extensions/zpages/rates.h"
#include "pipeline/graph/component.h"
#include "pipeline/telemetry/log.h"
#include "tests/plugins/test_interfaces.h"
#include "tests/support/graph_fixture.h"

#include <setjmp.h>
#include <stdlib.h>
#include <unistd.h>
/* cmocka wants the headers above first */
#include <cmocka.h>

#define SECOND INT64_C(1000000000)

static struct fixture f;

/* ---- escaping ---- */

static void expect_escaped(void (*put)(FILE *, const char *), const char *text, const char *wanted)
{
    char *got = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&got, &n);
    assert_non_null(out);
    put(out, text);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(got, wanted);
    free(got);
}

static void text_from_elsewhere_is_escaped(void **state)
{
    (void)state;
    expect_escaped(put_html, "<script>alert('\"&\")</script>",
                   "&lt;script&gt;alert(&#39;&quot;&amp;&quot;)&lt;/script&gt;");
    expect_escaped(put_html, "a\x01\n\x7f\xc3\xa4\xff\xc3", "a   \xc3\xa4\xef\xbf\xbd\xef\xbf\xbd");
    expect_escaped(put_html, "", "");
    expect_escaped(put_json, "say \"a\\b\"\n\x01\xc3\xa4\xff</script>",
                   "\"say \\\"a\\\\b\\\"\\u000a\\u0001\xc3\xa4\xef\xbf\xbd</script>\"");
    expect_escaped(put_json, "", "\"\"");
}

/* ---- rates, of a host that counts as it is told ---- */

static uint64_t received, delivered;

static int32_t fake_pipelines(const sl_host *h, void (*visit)(void *, const sl_pipeline_info *),
                              void *ctx)
{
    const sl_node_info in = {.size = sizeof in,
                             .kind = SL_KIND_receiver,
                             .signal = SL_TRACES,
                             .name = "a",
                             .received = received};
    const sl_node_info out = {.size = sizeof out,
                              .kind = SL_KIND_exporter,
                              .signal = SL_TRACES,
                              .name = "a",
                              .received = received,
                              .ended = {[SL_DELIVERED] = delivered}};
    const sl_node_info *const nodes[] = {&in, &out};
    const sl_pipeline_info info = {.size = sizeof info, .n_nodes = 2, .nodes = nodes};
    (void)h;
    visit(ctx, &info);
    return SL_OK;
}

static void expect_rates(const struct rates *r, int64_t now, double in, double out)
{
    const sl_node_info node = {.size = sizeof node,
                               .kind = SL_KIND_exporter,
                               .signal = SL_TRACES,
                               .name = "a",
                               .received = received,
                               .ended = {[SL_DELIVERED] = delivered}};
    const struct rate rate = rates_of(r, &node, now);
    assert_true(rate.in > in - 0.001 && rate.in < in + 0.001);
    assert_true(rate.out > out - 0.001 && rate.out < out + 0.001);
}

static void rates_are_of_the_time_between_looks(void **state)
{
    static const sl_inspect inspect = {.size = sizeof inspect, .pipelines = fake_pipelines};
    struct rates r;
    (void)state;
    received = delivered = 0;
    rates_init(&r, 5 * SECOND);
    expect_rates(&r, 5 * SECOND, 0, 0); /* no time has passed */
    received = 100;
    delivered = 50;
    assert_int_equal(rates_look(&r, NULL, &inspect, 15 * SECOND), SL_OK);
    expect_rates(&r, 15 * SECOND, 10, 5); /* since the beginning */
    received = 300;
    assert_int_equal(rates_look(&r, NULL, &inspect, 15 * SECOND + SECOND / 2), SL_OK);
    expect_rates(&r, 20 * SECOND, 20, 50.0 / 15); /* too soon: still since the beginning */
    assert_int_equal(rates_look(&r, NULL, &inspect, 25 * SECOND), SL_OK);
    expect_rates(&r, 25 * SECOND, 20, 0); /* since the first look */
    received = 7;                         /* made anew */
    expect_rates(&r, 26 * SECOND, 0, 0);
    rates_deinit(&r);
}

/* ---- what the host tells ---- */

#define CONFIG                                                                                     \
    "receivers: {test_source: {}}\n"                                                               \
    "processors: {test_hold: {}}\n"                                                                \
    "exporters:\n"                                                                                 \
    "  test_sink: {sending_queue: {queue_size: 7, num_consumers: 1}}\n"                            \
    "  nop: {}\n"                                                                                  \
    "extensions: {bearertokenauth: {token: x}, bearertokenauth/b: {token: x}}\n"                   \
    "service:\n"                                                                                   \
    "  extensions: [bearertokenauth/b, bearertokenauth]\n"                                         \
    "  pipelines:\n"                                                                               \
    "    traces/in: {receivers: [test_source], exporters: [test_sink, nop]}\n"                     \
    "    traces/held: {receivers: [test_source], processors: [test_hold], exporters: [nop]}\n"

static const sl_host *host(void)
{
    return &graph_component(f.graph, SL_KIND_receiver, "test_source")->host.pub;
}

static const sl_inspect *inspect(void)
{
    const sl_inspect *i = sl_interface(host(), SL_INSPECT);
    assert_non_null(i);
    return i;
}

/* One line a node: pipeline, name, kind, what it has counted. */
static void keep_pipeline(void *ctx, const sl_pipeline_info *p)
{
    char *text = ctx;
    assert_int_equal(p->size, sizeof *p);
    assert_int_equal(p->signal, SL_TRACES);
    assert_int_equal(p->lanes, 1);
    for (uint32_t i = 0; i < p->n_nodes; i++) {
        const sl_node_info *n = p->nodes[i];
        const size_t used = strlen(text);
        assert_int_equal(n->size, sizeof *n);
        assert_int_equal(n->signal, SL_TRACES);
        assert_int_equal(n->status, SL_STATUS_OK);
        (void)snprintf(text + used, 4096 - used,
                       "%s %s: in %llu, ended %llu, held %llu, queue %llu/%llu\n", p->name, n->name,
                       (unsigned long long)n->received, (unsigned long long)n->ended[SL_DELIVERED],
                       (unsigned long long)n->held, (unsigned long long)n->queue_size,
                       (unsigned long long)n->queue_capacity);
    }
}

static const char *pipelines(void)
{
    static char text[4096];
    text[0] = 0;
    assert_int_equal(inspect()->pipelines(host(), keep_pipeline, text), SL_OK);
    return text;
}

static const test_sink *sink(void)
{
    return fixture_interface(&f, SL_KIND_exporter, "test_sink", TEST_SINK);
}

static void *sink_self(void)
{
    return graph_component(f.graph, SL_KIND_exporter, "test_sink")->self;
}

static bool one_hangs(void *arg)
{
    (void)arg;
    return sink()->hanging(sink_self()) == 1;
}

static void keep_name(void *ctx, const sl_node_info *n)
{
    char *text = ctx;
    const size_t used = strlen(text);
    assert_int_equal(n->kind, SL_KIND_extension);
    (void)snprintf(text + used, 4096 - used, "%s (%d %s)\n", n->name, n->status, n->text);
}

static void the_host_tells_what_there_is(void **state)
{
    char text[4096] = "";
    (void)state;
    fixture_start(&f, CONFIG, 1 << 20);
    assert_string_equal(pipelines(), "traces/in test_source: in 0, ended 0, held 0, queue 0/0\n"
                                     "traces/in test_sink: in 0, ended 0, held 0, queue 0/7\n"
                                     "traces/in nop: in 0, ended 0, held 0, queue 0/0\n"
                                     "traces/held test_source: in 0, ended 0, held 0, queue 0/0\n"
                                     "traces/held test_hold: in 0, ended 0, held 0, queue 0/0\n"
                                     "traces/held nop: in 0, ended 0, held 0, queue 0/0\n");
    const test_source *source = fixture_interface(&f, SL_KIND_receiver, "test_source", TEST_SOURCE);
    void *self = graph_component(f.graph, SL_KIND_receiver, "test_source")->self;
    sink()->mode(sink_self(), TEST_SINK_HANG);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(source->offer(self, i * 4, 4), SL_OK);
    fixture_until(&f, one_hangs, NULL, 0);
    assert_non_null(strstr(pipelines(), "traces/in test_source: in 12, ended 0, held 12,"));
    assert_non_null(strstr(pipelines(), "traces/in test_sink: in 12, ended 0, held 12, queue 2/7"));
    assert_int_equal(inspect()->extensions(host(), keep_name, text), SL_OK);
    assert_string_equal(text, "bearertokenauth/b (2 )\nbearertokenauth (2 )\n");
    struct component *c = graph_component(f.graph, SL_KIND_extension, "bearertokenauth");
    component_report(c, SL_STATUS_RECOVERABLE, "has a cold");
    text[0] = 0;
    assert_int_equal(inspect()->extensions(host(), keep_name, text), SL_OK);
    assert_string_equal(text, "bearertokenauth/b (2 )\nbearertokenauth (3 has a cold)\n");
    sl_process_info info = {.size = sizeof info};
    inspect()->process(host(), &info);
    assert_int_equal(info.pid, getpid());
    assert_int_equal(info.memory_limit, 1 << 20);
    assert_true(info.memory_used > 0);
    assert_non_null(info.version);
    sink()->mode(sink_self(), TEST_SINK_OK);
    (void)fixture_end(&f);
}

static void keep_problem(void *ctx, const sl_log_line *l)
{
    char *text = ctx;
    const size_t used = strlen(text);
    (void)snprintf(text + used, 4096 - used, "%s|%d|%llu|%s\n", l->component, l->level,
                   (unsigned long long)l->count, l->text);
}

static void the_host_tells_what_went_wrong(void **state)
{
    char text[4096] = "";
    (void)state;
    fixture_start(&f, CONFIG, 0);
    sl_log(host(), SL_LOG_WARN, "one");
    sl_log(host(), SL_LOG_ERROR, "two");
    sl_log(host(), SL_LOG_WARN, "one");
    assert_int_equal(inspect()->problems(host(), keep_problem, text), SL_OK);
    assert_string_equal(text, "test_source|4|2|one\ntest_source|8|1|two\n");
    assert_int_equal(fixture_end(&f), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_from_elsewhere_is_escaped),
        cmocka_unit_test(rates_are_of_the_time_between_looks),
        cmocka_unit_test(the_host_tells_what_there_is),
        cmocka_unit_test(the_host_tells_what_went_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
