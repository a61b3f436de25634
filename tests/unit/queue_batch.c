/* sending_queue.batch: what is merged, when it goes, how it is split, and that every item is settled
 * by itself. Real plugins (tests/plugins), virtual time. */
#include "pipeline/graph/component.h"
#include "tests/plugins/test_interfaces.h"
#include "tests/support/graph_fixture.h"
#include <setjmp.h>
#include <stdlib.h>
/* cmocka wants the headers above first */
#include <cmocka.h>

static struct fixture f;
static const test_source *source;
static const test_sink *sink;
static void *source_self, *sink_self;

#define YAML(exporter_)                                                                            \
    "receivers: {test_source: {}}\n"                                                               \
    "exporters: {test_sink: {retry_on_failure: {initial_interval: 1s, max_elapsed_time: 0}, "      \
    "sending_queue: {num_consumers: 1, " exporter_ "}}}\n"                                         \
    "service: {pipelines: {traces: {receivers: [test_source], exporters: [test_sink]}}}\n"

static void begin(const char *yaml)
{
    fixture_start(&f, yaml, 0);
    source = fixture_interface(&f, SL_KIND_receiver, "test_source", TEST_SOURCE);
    sink = fixture_interface(&f, SL_KIND_exporter, "test_sink", TEST_SINK);
    source_self = graph_component(f.graph, SL_KIND_receiver, "test_source")->self;
    sink_self = graph_component(f.graph, SL_KIND_exporter, "test_sink")->self;
}

static void offer(uint32_t first, uint32_t n)
{
    assert_int_equal(source->offer(source_self, first, n), SL_OK);
}

static bool has_items(void *arg)
{
    return sink->items(sink_self) == *(const uint64_t *)arg;
}

/* The sink gets so many items in so many sends, and no more. */
static void expect(uint64_t items, uint64_t sends)
{
    fixture_until(&f, has_items, &items, 0);
    assert_int_equal(sink->items(sink_self), items);
    assert_int_equal(sink->sends(sink_self), sends);
}

static void advance_ms(int64_t ms)
{
    clock_advance(f.runtime.clock, ms * 1000000);
}

static bool all_settled(void *arg)
{
    struct test_counts c;
    (void)arg;
    source->counts(source_self, &c);
    return c.settled == c.offers;
}

static void check_delivered(uint64_t items)
{
    struct test_counts c;
    fixture_until(&f, all_settled, NULL, 0);
    source->counts(source_self, &c);
    assert_int_equal(c.items, items);
    assert_int_equal(c.ended[SL_DELIVERED], items);
    for (uint32_t i = 0; i < items; i++)
        assert_int_equal(sink->seen(sink_self, i), 1);
}

static void end(void)
{
    assert_int_equal(fixture_end(&f), 0);
}

static void merges_until_a_batch_is_full(void **state)
{
    (void)state;
    begin(YAML("batch: {min_size: 30, flush_timeout: 10s}"));
    offer(0, 10);
    offer(10, 10);
    advance_ms(9000);
    expect(0, 0);
    offer(20, 15);
    expect(35, 1);
    check_delivered(35);
    end();
}

static void sends_what_has_waited(void **state)
{
    (void)state;
    begin(YAML("batch: {flush_timeout: 2s}"));
    offer(0, 10);
    advance_ms(1500);
    offer(10, 10); /* the oldest decides */
    expect(0, 0);
    advance_ms(500);
    expect(20, 1);
    offer(20, 1);
    advance_ms(1999);
    expect(20, 1);
    advance_ms(1);
    expect(21, 2);
    check_delivered(21);
    end();
}

static void splits_what_is_too_large(void **state)
{
    (void)state;
    begin(YAML("batch: {min_size: 30, max_size: 30, flush_timeout: 2s}"));
    offer(0, 20);
    offer(20, 75); /* 95: three batches, and five that wait */
    expect(90, 3);
    advance_ms(1999);
    expect(90, 3);
    advance_ms(1);
    expect(95, 4);
    check_delivered(95);
    end();
}

/* An exporter that takes any encoding gets it as it came. */
static void leaves_whole_what_is_encoded(void **state)
{
    struct test_counts c;
    static const char *const sizers[] = {"items", "bytes"};
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        char yaml[512];
        (void)snprintf(yaml, sizeof yaml,
                       "receivers: {test_source: {}}\nprocessors: {test_encode: {}}\n"
                       "exporters: {test_encoded: {sending_queue: {batch: {min_size: 30, max_size: "
                       "30, sizer: %s}}}}\n"
                       "service: {pipelines: {traces: {receivers: [test_source], processors: "
                       "[test_encode], exporters: [test_encoded]}}}\n",
                       sizers[i]);
        fixture_start(&f, yaml, 0);
        source = fixture_interface(&f, SL_KIND_receiver, "test_source", TEST_SOURCE);
        source_self = graph_component(f.graph, SL_KIND_receiver, "test_source")->self;
        offer(0, 20);
        offer(20, 75);
        fixture_until(&f, all_settled, NULL, 100000000);
        source->counts(source_self, &c);
        assert_int_equal(c.ended[SL_DELIVERED], 95);
        end();
    }
}

static void counts_bytes(void **state)
{
    (void)state;
    /* a span takes some 70 bytes: batches of 1000 bytes hold at most 14 */
    begin(YAML("batch: {sizer: bytes, min_size: 900, max_size: 1000, flush_timeout: 1s}"));
    offer(0, 5);
    expect(0, 0);
    offer(5, 95);
    const uint64_t all = 100;
    fixture_until(&f, has_items, (void *)(uintptr_t)&all, 100000000);
    assert_in_range(sink->sends(sink_self), 7, 12);
    check_delivered(100);
    end();
}

static void settles_each_item_of_a_batch(void **state)
{
    struct test_counts c;
    (void)state;
    begin(YAML("batch: {min_size: 40, flush_timeout: 1s}"));
    sink->mode(sink_self, TEST_SINK_PARTIAL); /* rejects each 5th, takes each 3rd of the rest */
    for (uint32_t i = 0; i < 4; i++)
        offer(i * 10, 10);
    const uint64_t first = 11; /* of 0..39 */
    fixture_until(&f, has_items, (void *)(uintptr_t)&first, 0);
    sink->mode(sink_self, TEST_SINK_OK);
    const uint64_t all = 32;
    fixture_until(&f, has_items, (void *)(uintptr_t)&all, 100000000);
    fixture_until(&f, all_settled, NULL, 0);
    source->counts(source_self, &c);
    assert_int_equal(c.ended[SL_REJECTED], 8);
    assert_int_equal(c.ended[SL_DELIVERED], 32);
    end();
}

static bool is_drained(void *arg)
{
    return graph_drained(arg);
}

static void draining_waits_for_nothing(void **state)
{
    (void)state;
    begin(YAML("batch: {flush_timeout: 1h}"));
    offer(0, 10);
    offer(10, 10);
    expect(0, 0);
    graph_drain(f.graph, clock_now(f.runtime.clock) + INT64_C(1000000000));
    fixture_until(&f, is_drained, f.graph, 0);
    expect(20, 1);
    check_delivered(20);
    end();
}

static void what_is_left_at_the_end_is_counted(void **state)
{
    (void)state;
    begin(YAML("batch: {min_size: 8, max_size: 8, flush_timeout: 1h}"));
    sink->mode(sink_self, TEST_SINK_FAIL);
    offer(0, 20); /* one batch of eight is being tried, twelve items wait */
    assert_int_equal(graph_stop(f.graph), 20);
    struct test_counts c;
    source->counts(source_self, &c);
    assert_int_equal(c.ended[SL_FAILED], 20);
    graph_destroy(f.graph);
    f.graph = NULL;
    fixture_forget(&f);
}

static void refuse(const char *yaml, const char *reason)
{
    char *text = fixture_errors(yaml);
    assert_non_null(text);
    if (!strstr(text, reason))
        fail_msg("no \"%s\" in: %s", reason, text);
    free(text);
}

static void refuses_what_cannot_work(void **state)
{
    (void)state;
    refuse(YAML("batch: {min_size: 10, max_size: 5}"), "max_size (5) is below min_size (10)");
    refuse(YAML("sizer: items, queue_size: 100, batch: {min_size: 101}"),
           "min_size (101) is above queue_size (100)");
    refuse(YAML("batch: {sizer: requests}"), "sizer");
    refuse(YAML("batch: {partition: {metadata_keys: [a, A]}}"), "twice");
    refuse(YAML("batch: {flush_timeout: 0s}"), "flush_timeout");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_until_a_batch_is_full),
        cmocka_unit_test(sends_what_has_waited),
        cmocka_unit_test(splits_what_is_too_large),
        cmocka_unit_test(leaves_whole_what_is_encoded),
        cmocka_unit_test(counts_bytes),
        cmocka_unit_test(settles_each_item_of_a_batch),
        cmocka_unit_test(draining_waits_for_nothing),
        cmocka_unit_test(what_is_left_at_the_end_is_counted),
        cmocka_unit_test(refuses_what_cannot_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
