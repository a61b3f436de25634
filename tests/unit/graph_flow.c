/* What a graph does with deliveries, case by case: real plugins (tests/plugins), virtual time. */
#include "pipeline/config/bind.h"
#include "pipeline/graph/component.h"
#include "pipeline/graph/sink.h"
#include "tests/plugins/test_interfaces.h"
#include "tests/support/graph_fixture.h"
#include <setjmp.h>
#include <stdlib.h>
/* cmocka wants the headers above first */
#include <cmocka.h>

static struct fixture f;

/* A component and its interface. */
static void *self_of(uint32_t kind, const char *id)
{
    return graph_component(f.graph, kind, id)->self;
}

static const test_source *source(void)
{
    return fixture_interface(&f, SL_KIND_receiver, "test_source", TEST_SOURCE);
}

static int32_t offer(uint32_t first, uint32_t n)
{
    return source()->offer(self_of(SL_KIND_receiver, "test_source"), first, n);
}

static struct test_counts counts(void)
{
    struct test_counts c;
    source()->counts(self_of(SL_KIND_receiver, "test_source"), &c);
    return c;
}

static const test_sink *sink_of(const char *id)
{
    return fixture_interface(&f, SL_KIND_exporter, id, TEST_SINK);
}

static uint64_t items_in(const char *id)
{
    return sink_of(id)->items(self_of(SL_KIND_exporter, id));
}

static uint32_t seen_in(const char *id, uint32_t span)
{
    return sink_of(id)->seen(self_of(SL_KIND_exporter, id), span);
}

static void set_mode(const char *id, uint32_t mode)
{
    sink_of(id)->mode(self_of(SL_KIND_exporter, id), mode);
}

static bool all_settled(void *arg)
{
    const struct test_counts c = counts();
    (void)arg;
    return c.settled == c.offers;
}

static void advance(int64_t seconds)
{
    clock_advance(f.runtime.clock, seconds * 1000000000);
}

static void check_counts(uint64_t items, uint64_t delivered)
{
    const struct test_counts c = counts();
    uint64_t sum = 0;
    for (uint32_t i = 0; i < SL_OUTCOMES; i++)
        sum += c.ended[i];
    assert_int_equal(c.items, items);
    assert_int_equal(sum, items);
    assert_int_equal(c.ended[SL_DELIVERED], delivered);
    assert_int_equal(c.out_of_order, 0);
    assert_int_equal(c.taken, c.offers);
}

#define SOURCE "receivers: {test_source: {}}\n"
#define SERVICE(processors, exporters)                                                             \
    "service: {pipelines: {traces: {receivers: [test_source], processors: [" processors            \
    "], exporters: [" exporters "]}}}\n"

static void passes_through(void **state)
{
    (void)state;
    fixture_start(&f, SOURCE "exporters: {test_sink: {}}\n" SERVICE("", "test_sink"), 0);
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(offer(i * 10, 10), SL_OK);
    assert_int_equal(offer(0, 0), SL_OK); /* empty: success, and no plugin sees it */
    fixture_until(&f, all_settled, NULL, 0);
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(seen_in("test_sink", i), 1);
    check_counts(1000, 1000);
    assert_int_equal(fixture_end(&f), 0);
}

static void holds_for_a_minute(void **state)
{
    (void)state;
    fixture_start(&f,
                  SOURCE "processors: {test_hold: {hold: 60s, most: 1000}}\n"
                         "exporters: {test_sink: {}}\n" SERVICE("test_hold", "test_sink"),
                  0);
    for (uint32_t i = 0; i < 50; i++)
        assert_int_equal(offer(i * 4, 4), SL_OK);
    advance(59);
    assert_int_equal(items_in("test_sink"), 0);
    assert_int_equal(counts().taken, 50); /* in memory, and so answered */
    assert_int_equal(counts().settled, 0);
    assert_int_equal(ledger_held(fixture_ledger(&f, SL_KIND_processor, "test_hold", SL_TRACES)),
                     200);
    advance(2);
    fixture_until(&f, all_settled, NULL, 0);
    check_counts(200, 200);
    assert_int_equal(fixture_end(&f), 0);
}

static void door_shuts_when_full(void **state)
{
    (void)state;
    fixture_start(&f,
                  SOURCE "processors: {test_hold: {hold: 10s, most: 4}}\n"
                         "exporters: {test_sink: {}}\n" SERVICE("test_hold", "test_sink"),
                  UINT64_C(64) << 20);
    uint32_t n = 0;
    while (n < 200 && offer(n * 1000, 1000) == SL_OK)
        n++;
    assert_in_range(n, 5, 199); /* four are held, a bounded number waits at the door */
    const struct test_counts c = counts();
    assert_int_equal(c.full, 1);
    for (uint32_t i = 0; i < 60; i++) {
        advance(10);
        while (n < 200 && offer(n * 1000, 1000) == SL_OK)
            n++;
    }
    assert_true(counts().ready > 0);
    fixture_until(&f, all_settled, NULL, 10000000000);
    check_counts(n * UINT64_C(1000), n * UINT64_C(1000));
    assert_int_equal(fixture_end(&f), 0);
}

static void splits_and_merges(void **state)
{
    (void)state;
    fixture_start(&f,
                  SOURCE "processors: {test_shuffle: {}}\n"
                         "exporters: {test_sink: {}}\n" SERVICE("test_shuffle", "test_sink"),
                  0);
    for (uint32_t i = 0; i < 40; i++)
        assert_int_equal(offer(i * 50, 50), SL_OK);
    fixture_until(&f, all_settled, NULL, 0);
    uint64_t kept = 0;
    for (uint32_t i = 0; i < 2000; i++) {
        assert_int_equal(seen_in("test_sink", i), i % 7 ? 1 : 0);
        kept += i % 7 != 0;
    }
    check_counts(2000, kept);
    assert_int_equal(counts().ended[SL_DROPPED], 2000 - kept);
    assert_int_equal(fixture_end(&f), 0);
}

struct expected {
    const char *sink;
    uint64_t items, rejected;
};

static bool has_items(void *arg)
{
    const struct expected *e = arg;
    return items_in(e->sink) >= e->items;
}

/* Every delivery has been tried once, at least: what it takes and what it rejects of each has
 * ended. */
static bool parts_ended(void *arg)
{
    const struct expected *e = arg;
    const struct ledger *l = fixture_ledger(&f, SL_KIND_exporter, e->sink, SL_TRACES);
    return items_in(e->sink) >= e->items && l->ended[SL_REJECTED] >= e->rejected;
}

static void part_of_it_is_retried(void **state)
{
    struct expected parts = {.sink = "test_sink"};
    (void)state;
    fixture_start(&f,
                  SOURCE "processors: {test_shuffle: {}}\n"
                         "exporters: {test_sink: {mode: partial, retry_on_failure: "
                         "{initial_interval: 1s, max_elapsed_time: 0}}}\n" SERVICE("test_shuffle",
                                                                                   "test_sink"),
                  0);
    for (uint32_t i = 0; i < 8; i++)
        assert_int_equal(offer(i * 30, 30), SL_OK);
    for (uint32_t i = 0; i < 240; i++) {
        parts.items += i % 7 && i % 5 && i % 3 == 0;
        parts.rejected += i % 7 && i % 5 == 0;
    }
    fixture_until(&f, parts_ended, &parts, 1000000000);
    for (uint32_t i = 0; i < 50; i++)
        advance(1);
    assert_int_equal(counts().settled, 0); /* some of it still fails */
    set_mode("test_sink", TEST_SINK_OK);
    fixture_until(&f, all_settled, NULL, 1000000000);
    for (uint32_t i = 0; i < 240; i++) /* nothing that was taken or rejected came again */
        assert_int_equal(seen_in("test_sink", i), i % 7 && i % 5 ? 1 : 0);
    assert_int_equal(counts().ended[SL_REJECTED], parts.rejected);
    assert_int_equal(fixture_end(&f), 0);
}

static void metrics_of_spans(void **state)
{
    (void)state;
    fixture_start(&f,
                  SOURCE "connectors: {test_count: {}}\n"
                         "processors: {test_hold: {hold: 5s, most: 100}}\n"
                         "exporters: {nop: {}}\n"
                         "service: {pipelines: {traces: {receivers: [test_source], exporters: "
                         "[test_count]}, metrics: {receivers: [test_count], processors: "
                         "[test_hold], exporters: [nop]}}}\n",
                  0);
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(offer(i * 10, 10), SL_OK);
    assert_int_equal(counts().settled, 0); /* the metric has not been delivered yet */
    advance(6);
    fixture_until(&f, all_settled, NULL, 0);
    check_counts(200, 200);
    assert_int_equal(
        atomic_load(&fixture_ledger(&f, SL_KIND_exporter, "nop", SL_METRICS)->received), 20);
    assert_int_equal(fixture_end(&f), 0);
}

static void fails_hangs_and_recovers(void **state)
{
    (void)state;
    fixture_start(&f,
                  SOURCE "exporters: {test_sink: {mode: fail, retry_on_failure: {initial_interval: "
                         "5s, max_interval: 30s, max_elapsed_time: 0}}}\n" SERVICE("", "test_sink"),
                  0);
    for (uint32_t i = 0; i < 30; i++)
        assert_int_equal(offer(i, 1), SL_OK);
    for (uint32_t i = 0; i < 120; i++)
        advance(1);
    assert_int_equal(items_in("test_sink"), 0);
    set_mode("test_sink", TEST_SINK_HANG);
    for (uint32_t i = 0; i < 60; i++)
        advance(1);
    assert_int_equal(counts().settled, 0);
    set_mode("test_sink", TEST_SINK_OK);
    fixture_until(&f, all_settled, NULL, 1000000000);
    check_counts(30, 30);
    for (uint32_t i = 0; i < 30; i++)
        assert_int_equal(seen_in("test_sink", i), 1);
    assert_int_equal(fixture_end(&f), 0);
}

static void gives_up_after_max_elapsed_time(void **state)
{
    (void)state;
    fixture_start(&f,
                  SOURCE "exporters: {test_sink: {mode: fail, retry_on_failure: {initial_interval: "
                         "1s, max_elapsed_time: 60s}}}\n" SERVICE("", "test_sink"),
                  0);
    assert_int_equal(offer(0, 7), SL_OK);
    fixture_until(&f, all_settled, NULL, 1000000000);
    check_counts(7, 0);
    assert_int_equal(counts().ended[SL_EXPIRED], 7);
    assert_int_equal(fixture_end(&f), 0);
}

static bool hangs(void *arg)
{
    return sink_of(arg)->hanging(self_of(SL_KIND_exporter, arg)) > 0;
}

static void full_queue_refuses(void **state)
{
    (void)state;
    fixture_start(&f,
                  SOURCE "exporters: {test_sink: {mode: hang, sending_queue: {queue_size: 3, "
                         "num_consumers: 1}}}\n" SERVICE("", "test_sink"),
                  0);
    assert_int_equal(offer(0, 1), SL_OK);
    fixture_until(&f, hangs, "test_sink", 0);
    for (uint32_t i = 1; i < 10; i++)
        assert_int_equal(offer(i, 1), SL_OK); /* taken in, and refused by the queue */
    assert_int_equal(counts().ended[SL_FAILED], 6);
    set_mode("test_sink", TEST_SINK_OK);
    fixture_until(&f, all_settled, NULL, 0);
    check_counts(10, 4);
    assert_int_equal(fixture_end(&f), 0);
}

static void full_queue_blocks_where_told_to(void **state)
{
    (void)state;
    fixture_start(&f,
                  SOURCE "exporters: {test_sink: {mode: hang, sending_queue: {queue_size: 3, "
                         "num_consumers: 1, block_on_overflow: true}}}\n" SERVICE("", "test_sink"),
                  UINT64_C(64) << 20);
    uint32_t n = 0;
    while (n < 200 && offer(n * 1000, 1000) == SL_OK)
        n++;
    assert_in_range(n, 4, 199);
    assert_int_equal(counts().ended[SL_FAILED], 0);
    set_mode("test_sink", TEST_SINK_OK);
    fixture_until(&f, all_settled, NULL, 0);
    assert_true(counts().ready > 0);
    check_counts(n * UINT64_C(1000), n * UINT64_C(1000));
    assert_int_equal(fixture_end(&f), 0);
}

static void dead_exporter_takes_nothing_from_its_sibling(void **state)
{
    (void)state;
    fixture_start(&f,
                  SOURCE "exporters: {test_sink/alive: {}, test_sink/dead: {mode: fail, "
                         "retry_on_failure: {initial_interval: 1s, max_elapsed_time: 120s}, "
                         "sending_queue: {queue_size: 5, num_consumers: 2}}}\n" SERVICE(
                             "", "test_sink/alive, test_sink/dead"),
                  0);
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(offer(i * 3, 3), SL_OK);
    for (uint32_t i = 0; i < 200; i++)
        advance(1);
    fixture_until(&f, all_settled, NULL, 1000000000);
    for (uint32_t i = 0; i < 300; i++)
        assert_int_equal(seen_in("test_sink/alive", i), 1);
    /* the best outcome counts: nobody is asked to send again what one branch has kept */
    check_counts(300, 300);
    assert_int_equal(items_in("test_sink/dead"), 0);
    assert_int_equal(fixture_end(&f), 0);
}

static void codec_decodes_for_an_exporter_that_needs_spans(void **state)
{
    struct expected taken = {.sink = "test_sink"};
    (void)state;
    fixture_start(&f,
                  SOURCE "processors: {test_encode: {}}\n"
                         "exporters: {test_sink: {mode: partial, retry_on_failure: "
                         "{initial_interval: 1s, max_elapsed_time: 0}}}\n" SERVICE("test_encode",
                                                                                   "test_sink"),
                  0);
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(offer(i * 20, 20), SL_OK);
    for (uint32_t i = 0; i < 200; i++)
        taken.items += i % 5 && i % 3 == 0;
    fixture_until(&f, has_items, &taken, 1000000000);
    set_mode("test_sink", TEST_SINK_OK);
    fixture_until(&f, all_settled, NULL, 1000000000);
    for (uint32_t i = 0; i < 200; i++)
        assert_int_equal(seen_in("test_sink", i), i % 5 ? 1 : 0);
    check_counts(200, 160);
    assert_int_equal(fixture_end(&f), 0);
}

/* Everything up to `n` has been offered, encoded, and is to arrive once. */
static void arrives_whole(uint32_t n)
{
    for (uint32_t i = 0; i < n; i += 20)
        assert_int_equal(offer(i, 20), SL_OK);
    fixture_until(&f, all_settled, NULL, 100000000);
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(seen_in("test_sink", i), 1);
    check_counts(n, n);
}

static void encoded_data_is_decoded_to_be_dealt_out_by_trace(void **state)
{
    (void)state;
    fixture_start(&f,
                  SOURCE "processors: {test_encode: {}, test_hold: {hold: 1s}}\n"
                         "connectors: {forward: {}}\n"
                         "exporters: {test_sink: {}}\n"
                         "service: {pipelines: {traces: {receivers: [test_source], processors: "
                         "[test_encode], exporters: [forward]},\n"
                         " traces/b: {lanes: 2, receivers: [forward], processors: [test_hold], "
                         "exporters: [test_sink]}}}\n",
                  0);
    arrives_whole(200);
    assert_int_equal(fixture_end(&f), 0);
}

static void encoded_data_is_decoded_to_be_batched_in_the_queue(void **state)
{
    (void)state;
    fixture_start(&f,
                  SOURCE
                  "processors: {test_encode: {}}\n"
                  "exporters: {test_sink: {sending_queue: {batch: {min_size: 50, max_size: "
                  "50, flush_timeout: 1s, sizer: items}}}}\n" SERVICE("test_encode", "test_sink"),
                  0);
    arrives_whole(200);
    assert_int_equal(sink_of("test_sink")->sends(self_of(SL_KIND_exporter, "test_sink")), 4);
    assert_int_equal(fixture_end(&f), 0);
}

/* What a plugin may ask the host for. */
static void codecs_interface(void **state)
{
    (void)state;
    fixture_start(&f, SOURCE "exporters: {test_sink: {}}\n" SERVICE("", "test_sink"), 0);
    struct component *c = graph_component(f.graph, SL_KIND_exporter, "test_sink");
    const sl_host *h = &c->host.pub;
    const sl_codecs *codecs = sl_interface(h, SL_CODECS);
    static const uint8_t one_span[] = {0x0a, 4, 0x12, 2, 0x12, 0};
    sl_payload *plain, *turned, *same, *back = NULL;
    sl_error error = {.size = sizeof error};
    uint8_t *at;
    assert_int_equal(sl_payload_open(h, sizeof one_span, &plain, &at), SL_OK);
    memcpy(at, one_span, sizeof one_span);
    assert_int_equal(sl_payload_close(h, plain, sizeof one_span, SL_TRACES, NULL, 0, &error),
                     SL_OK);
    assert_int_equal(codecs->transcode(h, plain, "test_xor", &turned, &error), SL_OK);
    assert_string_equal(turned->encoding, "test_xor");
    assert_int_equal(turned->items, 1);
    assert_int_equal(turned->segments[0].p[0], 0xf5);
    assert_int_equal(codecs->transcode(h, turned, "test_xor", &same, &error), SL_OK);
    assert_ptr_equal(same, turned);
    assert_int_equal(codecs->transcode(h, turned, NULL, &back, &error), SL_OK);
    assert_null(back->encoding);
    assert_memory_equal(back->segments[0].p, one_span, sizeof one_span);
    sl_payload_unref(h, back);
    assert_int_equal(codecs->transcode(h, turned, "none", &back, &error), SL_ERR_UNSUPPORTED);
    assert_string_equal(error.text, "no codec \"none\" for traces");
    sl_payload_unref(h, same);
    sl_payload_unref(h, turned);
    sl_payload_unref(h, plain);
    assert_int_equal(fixture_end(&f), 0);
}

static void never(void *arg)
{
    *(bool *)arg = true;
}

static void a_stopped_component_gets_no_blocking_work(void **state)
{
    (void)state;
    bool ran = false;
    fixture_start(&f, SOURCE "exporters: {test_sink: {}}\n" SERVICE("", "test_sink"), 0);
    struct component *c = graph_component(f.graph, SL_KIND_exporter, "test_sink");
    component_stop(c);
    assert_int_equal(sl_blocking(&c->host.pub, never, NULL, &ran), SL_ERR_SHUTDOWN);
    assert_int_equal(fixture_end(&f), 0);
    assert_false(ran);
}

static void two_lanes(void **state)
{
    (void)state;
    fixture_start(&f,
                  SOURCE "processors: {test_shuffle: {}, batch: {timeout: 1s}}\n"
                         "exporters: {test_sink: {}}\n"
                         "service: {pipelines: {traces: {lanes: 2, receivers: [test_source], "
                         "processors: [test_shuffle, batch], exporters: [test_sink]}}}\n",
                  0);
    for (uint32_t i = 0; i < 200; i++)
        assert_int_equal(offer(i * 50, 50), SL_OK);
    fixture_until(&f, all_settled, NULL, 100000000);
    uint64_t kept = 0;
    for (uint32_t i = 0; i < 10000; i++) {
        assert_int_equal(seen_in("test_sink", i), i % 7 ? 1 : 0);
        kept += i % 7 != 0;
    }
    check_counts(10000, kept);
    assert_int_equal(fixture_end(&f), 0);
}

static void what_is_left_at_shutdown_is_told(void **state)
{
    (void)state;
    fixture_start(&f,
                  SOURCE "processors: {test_hold: {hold: 1h, most: 1000}}\n"
                         "exporters: {test_sink: {mode: hang}}\n" SERVICE("test_hold", "test_sink"),
                  0);
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(offer(i * 5, 5), SL_OK);
    graph_drain(f.graph, clock_now(f.runtime.clock) + 1);
    assert_int_equal(offer(200, 1), SL_ERR_SHUTDOWN);
    assert_false(graph_drained(f.graph));
    assert_int_equal(graph_stop(f.graph), 100);
    assert_true(all_settled(NULL));
    assert_int_equal(counts().ended[SL_FAILED], 100);
    graph_destroy(f.graph);
    f.graph = NULL;
    fixture_forget(&f);
}

static void budget_refuses_before_memory_is_used_up(void **state)
{
    (void)state;
    fixture_start(&f,
                  SOURCE "exporters: {test_sink: {mode: hang, sending_queue: {queue_size: "
                         "1000000}}}\n" SERVICE("", "test_sink"),
                  UINT64_C(4) << 20);
    uint32_t n = 0;
    int32_t status = SL_OK;
    while (n < 1000 && (status = offer((n * 1000) % 200000, 1000)) == SL_OK)
        n++;
    assert_in_range(n, 5, 999);
    assert_true(status == SL_ERR_NOMEM || status == SL_ERR_FULL);
    assert_true(memory_used(f.runtime.memory) <= UINT64_C(4) << 20);
    set_mode("test_sink", TEST_SINK_OK);
    fixture_until(&f, all_settled, NULL, 1000000000);
    assert_int_equal(offer(0, 1000), SL_OK); /* and takes again when there is room */
    fixture_until(&f, all_settled, NULL, 1000000000);
    assert_int_equal(fixture_end(&f), 0);
}

static void wrong_graphs_are_refused(void **state)
{
    static const struct {
        const char *yaml, *says;
    } cases[] = {
        {SOURCE "exporters: {nop: {}}\nservice: {pipelines: {metrics: {receivers: [test_source], "
                "exporters: [nop]}}}\n",
         "receiver \"test_source\" does not give metrics; it does traces"},
        {SOURCE "exporters: {nope: {}}\n" SERVICE("", "nope"),
         "no plugin has the exporter \"nope\""},
        {SOURCE "connectors: {forward: {}, forward/2: {}}\nexporters: {nop: {}}\n"
                "service: {pipelines: {traces/a: {receivers: [test_source, forward/2], exporters: "
                "[forward]}, traces/b: {receivers: [forward], exporters: [forward/2, nop]}}}\n",
         "in a circle"},
        {SOURCE
         "exporters: {test_sink: {sending_queue: {queue_sise: 3}}}\n" SERVICE("", "test_sink"),
         "nearest: \"queue_size\""},
        {SOURCE
         "exporters: {test_sink: {sending_queue: {storage: disk}}}\n" SERVICE("", "test_sink"),
         "the storage \"disk\" is not among service::extensions"},
        {SOURCE "exporters: {nop: {sending_queue: {}}}\n" SERVICE("", "nop"),
         "unknown key \"sending_queue\""},
    };
    (void)state;
    for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = fixture_errors(cases[i].yaml);
        if (!text || !strstr(text, cases[i].says))
            fail_msg("expected \"%s\", got: %s", cases[i].says, text ? text : "no error");
        free(text);
    }
}

/* An exporter's timeout is what its type says, whatever that is. */
static void timeout_is_the_types(void **state)
{
    (void)state;
    static const int64_t defaults[] = {0, INT64_C(3000000000), INT64_C(30000000000)};
    for (uint32_t i = 0; i < sizeof defaults / sizeof *defaults; i++) {
        const sl_type type = {
            .kind = SL_KIND_exporter, .flags = SL_RETRY | SL_TIMEOUT, .timeout_ns = defaults[i]};
        struct config_part parts[3];
        sl_field timeout[2];
        uint32_t n = 0;
        exporter_config_parts(&type, parts, &n, timeout);
        assert_int_equal(n, 2);
        assert_string_equal(parts[1].fields[0].key, "timeout");
        assert_int_equal(parts[1].fields[0].def.i, defaults[i]);
        assert_null(parts[1].fields[1].key);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timeout_is_the_types),
        cmocka_unit_test(passes_through),
        cmocka_unit_test(holds_for_a_minute),
        cmocka_unit_test(door_shuts_when_full),
        cmocka_unit_test(splits_and_merges),
        cmocka_unit_test(part_of_it_is_retried),
        cmocka_unit_test(metrics_of_spans),
        cmocka_unit_test(fails_hangs_and_recovers),
        cmocka_unit_test(gives_up_after_max_elapsed_time),
        cmocka_unit_test(full_queue_refuses),
        cmocka_unit_test(full_queue_blocks_where_told_to),
        cmocka_unit_test(dead_exporter_takes_nothing_from_its_sibling),
        cmocka_unit_test(codec_decodes_for_an_exporter_that_needs_spans),
        cmocka_unit_test(encoded_data_is_decoded_to_be_dealt_out_by_trace),
        cmocka_unit_test(encoded_data_is_decoded_to_be_batched_in_the_queue),
        cmocka_unit_test(codecs_interface),
        cmocka_unit_test(a_stopped_component_gets_no_blocking_work),
        cmocka_unit_test(two_lanes),
        cmocka_unit_test(what_is_left_at_shutdown_is_told),
        cmocka_unit_test(budget_refuses_before_memory_is_used_up),
        cmocka_unit_test(wrong_graphs_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
