/* Reloads case by case: what stays, what is made anew, what goes, and that a failure changes
 * nothing. Real plugins (tests/plugins/world.h), virtual time. */
#include "pipeline/graph/component.h"
#include "pipeline/graph/publish.h"
#include "pipeline/telemetry/metrics.h"
#include "tests/plugins/world.h"
#include "tests/support/graph_fixture.h"
#include <setjmp.h>
#include <stdlib.h>
/* cmocka wants the headers above first */
#include <cmocka.h>

static struct fixture f;
static const test_world *world;

#define SOURCE "receivers: {world_source: {}}\n"
#define PATIENT "retry_on_failure: {initial_interval: 1s, max_elapsed_time: 0}"

static void begin(const char *yaml)
{
    fixture_start(&f, yaml, 0);
    world = fixture_interface(&f, SL_KIND_receiver, "world_source", TEST_WORLD);
    world->reset();
}

static void advance(int64_t seconds)
{
    clock_advance(f.runtime.clock, seconds * 1000000000);
}

static void reload(const char *yaml)
{
    char *text = fixture_reload(&f, yaml);
    if (text)
        fail_msg("%s", text);
}

static void refuse(const char *yaml, const char *reason)
{
    struct graph *now = f.graph;
    char *text = fixture_reload(&f, yaml);
    assert_non_null(text);
    if (!strstr(text, reason))
        fail_msg("no \"%s\" in: %s", reason, text);
    free(text);
    assert_ptr_equal(f.graph, now);
}

static void offer(uint32_t first, uint32_t n)
{
    assert_int_equal(world->offer("world_source", first, n), SL_OK);
}

static bool all_settled(void *arg)
{
    struct test_counts c;
    (void)arg;
    world->counts(&c);
    return c.settled == c.offers;
}

static void check_delivered(uint64_t items)
{
    struct test_counts c;
    fixture_until(&f, all_settled, NULL, 10000000);
    world->counts(&c);
    assert_int_equal(c.items, items);
    assert_int_equal(c.ended[SL_DELIVERED], items);
    assert_int_equal(c.out_of_order, 0);
}

static bool sink_has(void *arg)
{
    const uint64_t *want = arg;
    return world->items("world_sink") == *want;
}

static void until_sent(uint64_t items)
{
    fixture_until(&f, sink_has, &items, 0);
}

static struct component *component(uint32_t kind, const char *id)
{
    struct component *c = graph_component(f.graph, kind, id);
    assert_non_null(c);
    return c;
}

static void end(void)
{
    assert_int_equal(fixture_end(&f), 0);
    assert_int_equal(world->components(), 0);
}

/* ---- what stays ---- */

static void the_same_config_keeps_everything(void **state)
{
    static const char yaml[] =
        SOURCE "processors: {test_hold: {hold: 10s}}\n"
               "exporters: {world_sink: {}}\n"
               "service: {pipelines: {traces: {receivers: [world_source], processors: [test_hold], "
               "exporters: [world_sink]}}}\n";
    (void)state;
    begin(yaml);
    const struct component *source = component(SL_KIND_receiver, "world_source");
    offer(0, 10);
    advance(4);
    reload(yaml);
    assert_int_equal(f.kept, 3);
    assert_int_equal(f.made + f.removed, 0);
    assert_int_equal(fixture_retire(&f, 0), 0);
    assert_ptr_equal(component(SL_KIND_receiver, "world_source"), source);
    assert_int_equal(world->items("world_sink"), 0); /* it goes on holding */
    offer(10, 5);
    advance(7);
    until_sent(10);
    advance(10);
    check_delivered(15);
    end();
}

#define HOLD_AND(processors_)                                                                      \
    SOURCE "processors: {test_hold: {hold: 10s}, batch: {timeout: 1s}, batch/b: {timeout: 2s}}\n"  \
           "exporters: {world_sink: {}}\n"                                                         \
           "service: {pipelines: {traces: {receivers: [world_source], processors: [" processors_   \
           "], exporters: [world_sink]}}}\n"

static void an_instance_stays_whatever_is_put_around_it(void **state)
{
    static const char *const shapes[] = {
        HOLD_AND("test_hold"), HOLD_AND("batch, test_hold"), HOLD_AND("test_hold, batch/b"),
        HOLD_AND("batch/b, test_hold, batch"), HOLD_AND("test_hold")};
    (void)state;
    begin(shapes[0]);
    offer(0, 10);
    for (uint32_t i = 1; i < 5; i++) {
        advance(1);
        reload(shapes[i]);
        assert_int_equal(fixture_retire(&f, 0), 0);
        assert_int_equal(world->items("world_sink"), 0);
    }
    advance(7); /* ten seconds since the offer, and what stands behind has its time */
    until_sent(10);
    check_delivered(10);
    end();
}

static void what_is_taken_out_forwards_what_it_holds(void **state)
{
    (void)state;
    begin(HOLD_AND("test_hold, batch"));
    offer(0, 10);
    advance(1);
    reload(HOLD_AND("batch"));
    assert_int_equal(world->items("world_sink"), 0);
    offer(10, 1); /* is not held up by it */
    advance(2);
    until_sent(1);
    assert_int_equal(fixture_retire(&f, INT64_C(5000000000)), 0);
    advance(2);
    check_delivered(11);
    assert_int_equal(ledger_held(fixture_ledger(&f, SL_KIND_processor, "batch", SL_TRACES)), 0);
    end();
}

static void what_does_not_drain_in_time_is_failed_and_counted(void **state)
{
    struct test_counts c;
    (void)state;
    begin(SOURCE "exporters: {world_sink: {" PATIENT ", sending_queue: {num_consumers: 1}}, "
                 "world_sink/b: {}}\n"
                 "service: {pipelines: {traces: {receivers: [world_source], "
                 "exporters: [world_sink]}}}\n");
    world->mode("world_sink", TEST_SINK_HANG);
    for (uint32_t i = 0; i < 5; i++)
        offer(i * 10, 10);
    reload(SOURCE "exporters: {world_sink/b: {}}\n"
                  "service: {pipelines: {traces: {receivers: [world_source], "
                  "exporters: [world_sink/b]}}}\n");
    offer(50, 10);
    assert_int_equal(fixture_retire(&f, INT64_C(1000000000)), 50);
    fixture_until(&f, all_settled, NULL, 0);
    world->counts(&c);
    assert_int_equal(c.ended[SL_FAILED], 50);
    assert_int_equal(c.ended[SL_DELIVERED], 10);
    end();
}

/* ---- queues ---- */

#define TO_SINK(keys_)                                                                             \
    SOURCE                                                                                         \
    "exporters: {world_sink: {" keys_ "}}\n"                                                       \
    "service: {pipelines: {traces: {receivers: [world_source], exporters: [world_sink]}}}\n"

static void an_exporter_made_anew_goes_on_with_the_queue(void **state)
{
    (void)state;
    begin(TO_SINK(PATIENT ", version: 1"));
    world->mode("world_sink", TEST_SINK_FAIL);
    for (uint32_t i = 0; i < 30; i++) /* in hand, waiting for a retry, and queued */
        offer(i * 10, 10);
    reload(TO_SINK(PATIENT ", version: 2, sending_queue: {queue_size: 2}"));
    assert_int_equal(f.made, 1);
    assert_int_equal(f.kept, 1);
    assert_int_equal(fixture_retire(&f, INT64_C(5000000000)), 0);
    assert_int_equal(world->items("world_sink"), 0);
    world->mode("world_sink", TEST_SINK_OK);
    check_delivered(300);
    const struct ledger *l = fixture_ledger(&f, SL_KIND_exporter, "world_sink", SL_TRACES);
    assert_int_equal(atomic_load(&l->received), 300); /* the account of the name goes on */
    end();
}

static void a_send_that_hangs_is_left_to_the_new_one(void **state)
{
    (void)state;
    begin(TO_SINK(PATIENT ", version: 1, sending_queue: {num_consumers: 2}"));
    world->mode("world_sink", TEST_SINK_HANG);
    for (uint32_t i = 0; i < 5; i++)
        offer(i * 10, 10);
    reload(TO_SINK(PATIENT ", version: 2"));
    assert_int_equal(fixture_retire(&f, 0), 0); /* stopped in the middle of two sends */
    world->mode("world_sink", TEST_SINK_OK);
    check_delivered(50);
    end();
}

/* ---- emitters ---- */

static void a_removed_receiver_still_hears_of_what_it_offered(void **state)
{
    (void)state;
    begin(TO_SINK(PATIENT));
    world->mode("world_sink", TEST_SINK_FAIL);
    offer(0, 10);
    reload("receivers: {world_source/b: {}}\n"
           "exporters: {world_sink: {" PATIENT "}}\n"
           "service: {pipelines: {traces: {receivers: [world_source/b], "
           "exporters: [world_sink]}}}\n");
    assert_int_equal(fixture_retire(&f, 0), 0);
    assert_int_equal(world->offer("world_source", 10, 1), SL_ERR_NOT_FOUND);
    assert_int_equal(world->offer("world_source/b", 10, 1), SL_OK);
    assert_int_equal(world->components(), 3); /* the old one lingers */
    world->mode("world_sink", TEST_SINK_OK);
    check_delivered(11);
    components_sweep(&f.runtime);
    assert_int_equal(world->components(), 2);
    end();
}

static void pipelines_and_connectors_come_and_go(void **state)
{
    static const char *const shapes[] = {
        "service: {pipelines: {traces: {receivers: [world_source], exporters: [world_sink]}}}\n",
        "service: {pipelines: {traces: {receivers: [world_source], exporters: [forward]}, "
        "traces/b: {receivers: [forward], processors: [test_hold], exporters: [world_sink]}}}\n",
        "service: {pipelines: {traces/c: {lanes: 3, receivers: [world_source], "
        "exporters: [forward, nop]}, "
        "traces/b: {receivers: [forward, world_source], processors: [test_hold], "
        "exporters: [nop, world_sink]}}}\n",
        "service: {pipelines: {traces/c: {lanes: 2, receivers: [world_source], "
        "processors: [test_hold], exporters: [world_sink]}}}\n"};
    (void)state;
    char yaml[2048];
    for (uint32_t i = 0; i < 12; i++) {
        (void)snprintf(yaml, sizeof yaml,
                       SOURCE "connectors: {forward: {}}\n"
                              "processors: {test_hold: {hold: 3s}}\n"
                              "exporters: {world_sink: {}, nop: {}}\n%s",
                       shapes[i % 4]);
        if (i == 0)
            begin(yaml);
        else
            reload(yaml);
        offer(i * 10, 10);
        if (i)
            assert_int_equal(fixture_retire(&f, INT64_C(60000000000)), 0);
    }
    advance(3);
    check_delivered(120);
    end();
}

/* ---- failures ---- */

static void a_failure_changes_nothing(void **state)
{
    (void)state;
    begin(HOLD_AND("test_hold"));
    offer(0, 10);
    advance(5);
    refuse("receivers: {}\n", "pipelines");
    refuse(HOLD_AND("test_hold, missing"), "missing");
    refuse(SOURCE "processors: {test_hold: {hold: 10s}, batch: {}}\n"
                  "exporters: {world_sink: {fail_start: true}}\n"
                  "service: {pipelines: {traces: {receivers: [world_source], "
                  "processors: [batch, test_hold], exporters: [world_sink]}}}\n",
           "told not to start");
    /* everything else has been started by then */
    refuse("receivers: {world_source: {}, world_source/b: {fail_start: true}}\n"
           "processors: {test_hold: {hold: 10s}, batch: {}}\n"
           "exporters: {world_sink: {version: 7}, nop: {}}\n"
           "service: {pipelines: {traces: {receivers: [world_source], "
           "processors: [batch, test_hold], exporters: [world_sink, nop]}, "
           "traces/b: {receivers: [world_source/b, world_source], exporters: [world_sink]}}}\n",
           "receiver \"world_source/b\": told not to start");
    assert_int_equal(world->components(), 2);
    offer(10, 10);
    advance(6);
    until_sent(10); /* it has held them all the time */
    advance(10);
    check_delivered(20);
    end();
}

/* ---- metrics ---- */

struct search {
    const char *label;
    uint32_t found;
};

static void look(void *ctx, const struct metric_def *def, const struct metric_label *labels,
                 uint32_t n, int64_t value)
{
    struct search *s = ctx;
    (void)def;
    (void)value;
    for (uint32_t i = 0; i < n; i++)
        s->found += !strcmp(labels[i].value, s->label);
}

static uint32_t series_of(const char *id)
{
    struct search s = {.label = id};
    const struct metrics_visitor visitor = {.ctx = &s, .series = look};
    publish(&f.runtime);
    metrics_visit(f.runtime.metrics, &visitor);
    return s.found;
}

static void metrics_of_what_is_gone_go(void **state)
{
    (void)state;
    begin(TO_SINK("version: 1"));
    offer(0, 10);
    check_delivered(10);
    const uint32_t before = series_of("world_sink");
    assert_true(before > 3);
    reload(TO_SINK("version: 2"));
    assert_true(series_of("world_sink") >= before);
    (void)fixture_retire(&f, INT64_C(1000000000));
    assert_true(series_of("world_sink") >= before);
    reload(SOURCE "exporters: {nop: {}}\n"
                  "service: {pipelines: {traces: {receivers: [world_source], "
                  "exporters: [nop]}}}\n");
    (void)fixture_retire(&f, INT64_C(1000000000));
    assert_int_equal(series_of("world_sink"), 0);
    assert_true(series_of("nop") > 0);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_config_keeps_everything),
        cmocka_unit_test(an_instance_stays_whatever_is_put_around_it),
        cmocka_unit_test(what_is_taken_out_forwards_what_it_holds),
        cmocka_unit_test(what_does_not_drain_in_time_is_failed_and_counted),
        cmocka_unit_test(an_exporter_made_anew_goes_on_with_the_queue),
        cmocka_unit_test(a_send_that_hangs_is_left_to_the_new_one),
        cmocka_unit_test(a_removed_receiver_still_hears_of_what_it_offered),
        cmocka_unit_test(pipelines_and_connectors_come_and_go),
        cmocka_unit_test(a_failure_changes_nothing),
        cmocka_unit_test(metrics_of_what_is_gone_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
