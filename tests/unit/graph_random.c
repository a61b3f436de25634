/* Random graphs under random treatment: whatever exporters do, wherever the end comes, and with
 * allocations failing, each item ends once and every account adds up. Real plugins (tests/plugins),
 * virtual time, real threads. Usage: test [SEED [RUNS]]; a run's own seed repeats it with RUNS 1.
 */
#include "pipeline/graph/component.h"
#include "pipeline/memory/memory.h"
#include "tests/plugins/test_interfaces.h"
#include "tests/support/failing_memory.h"
#include "tests/support/graph_fixture.h"
#include "tests/support/random_runs.h"
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the headers above first */
#include <cmocka.h>

static struct random_runs runs = {.seed = 1, .n = 150};
static struct yaml_text yaml;

/* ---- graphs ---- */

enum { EXPORTERS_MAX = 4, OFFER_MAX = 200, OPERATIONS = 60 };
/* Spans from here on are offered by a thread of its own. */
enum { BESIDE = TEST_SPANS_MAX / 2, OFFERS_BESIDE = 2000 };

static struct fixture f;

/* What the current run is about. */
static struct run {
    uint64_t seed;
    uint32_t exporters;
    bool keeps;                      /* test_shuffle waits for more data, without a timer */
    uint32_t n_spans;                /* numbers below it were offered by the test's own thread */
    uint8_t offered[TEST_SPANS_MAX]; /* 1: accepted */
    void *source, *sinks[EXPORTERS_MAX];
    const test_source *source_table;
    const test_sink *sink_tables[EXPORTERS_MAX];
    pthread_t sender;
    bool has_sender;
    _Atomic bool sender_stop;
} run;

/* Of all runs: a test in which nothing fails, or nothing arrives, would prove nothing. */
static struct test_counts totals;

/* For half of the queues: what they merge and split. */
static void put_batch(void)
{
    if (rnd(2))
        return;
    const bool bytes = rnd(2);
    const uint32_t min = 1 + rnd(bytes ? 20000 : 300);
    yaml_put(&yaml, ", batch: {flush_timeout: %us, min_size: %u, max_size: %u, sizer: %s}",
             1 + rnd(3), min, rnd(2) ? 0 : min + rnd(100), bytes ? "bytes" : "items");
}

static void put_exporters(void)
{
    static const char *const sizers[] = {"requests", "items", "bytes"};
    static const char *const modes[] = {"ok", "ok", "fail", "reject", "partial", "hang"};
    yaml_put(&yaml, "exporters:\n");
    for (uint32_t i = 0; i < run.exporters; i++) {
        const uint32_t sizer = rnd(3);
        const uint32_t size = (1 + rnd(8)) * (sizer == 0 ? 1 : sizer == 1 ? 50 : 5000);
        yaml_put(&yaml,
                 "  test_sink/%u: {mode: %s, async: %s, sending_queue: {queue_size: %u, sizer: %s, "
                 "num_consumers: %u, block_on_overflow: %s",
                 i, modes[rnd(6)], rnd(2) ? "true" : "false", size, sizers[sizer], 1 + rnd(3),
                 rnd(2) ? "true" : "false");
        if (sizer == 0) /* else min_size is bounded by queue_size */
            put_batch();
        yaml_put(&yaml,
                 "}, retry_on_failure: {enabled: %s, "
                 "initial_interval: %us, max_interval: 20s, max_elapsed_time: %us}}\n",
                 rnd(5) ? "true" : "false", 1 + rnd(5), rnd(2) ? 20 : 0);
    }
}

/* The list of a pipeline's processors; encoded data is not handed to what cannot take it back. */
static void put_processors(uint32_t most)
{
    static const char *const names[] = {"test_hold/short", "test_hold/long", "test_shuffle",
                                        "batch/small",     "batch/split",    "test_encode"};
    enum { SHUFFLE = 2 };
    uint32_t used = 0;
    yaml_put(&yaml, "processors: [");
    for (uint32_t i = rnd(most + 1); i; i--) {
        const uint32_t p = rnd(6);
        if (used & 1u << p)
            continue;
        yaml_put(&yaml, "%s%s", used ? ", " : "", names[p]);
        used |= 1u << p;
        run.keeps |= p == SHUFFLE;
    }
    yaml_put(&yaml, "]");
}

static void put_sinks(uint32_t first, uint32_t n, const char *more)
{
    yaml_put(&yaml, "exporters: [");
    for (uint32_t i = 0; i < n; i++)
        yaml_put(&yaml, "%stest_sink/%u", i ? ", " : "", first + i);
    yaml_put(&yaml, "%s%s]}\n", n && more ? ", " : "", more ? more : "");
}

static void make_yaml(void)
{
    const uint32_t shape = rnd(4);
    yaml.used = 0;
    run.exporters = 1 + rnd(3);
    yaml_put(&yaml, "receivers: {test_source: {want_taken: %s}}\n", rnd(4) ? "true" : "false");
    yaml_put(&yaml,
             "connectors: {forward: {}, test_count: {}}\n"
             "processors:\n"
             "  test_hold/short: {hold: %us, most: %u}\n"
             "  test_hold/long: {hold: 30s, most: 20}\n"
             "  test_shuffle: {}\n"
             "  test_encode: {}\n"
             "  batch/small: {timeout: 2s, send_batch_size: %u}\n"
             "  batch/split: {timeout: %us, send_batch_size: 50, send_batch_max_size: 50}\n",
             1 + rnd(4), 1 + rnd(5), 10 + rnd(300), rnd(3));
    put_exporters();
    yaml_put(
        &yaml,
        "  nop: {}\nservice:\n  pipelines:\n    traces: {lanes: %u, receivers: [test_source], ",
        1 + rnd(2));
    put_processors(3);
    yaml_put(&yaml, ", ");
    const uint32_t here = shape == 0 ? run.exporters : rnd(run.exporters + 1);
    if (shape == 0 || shape == 3) { /* 3: two pipelines take all that the receiver offers */
        put_sinks(0, shape == 0 ? here : 1, NULL);
        if (shape == 3) {
            yaml_put(&yaml, "    traces/beside: {receivers: [test_source], ");
            put_processors(2);
            yaml_put(&yaml, ", ");
            put_sinks(0, run.exporters, NULL);
        }
        return;
    }
    put_sinks(0, here, shape == 1 ? "forward" : "test_count");
    if (shape == 1) {
        yaml_put(&yaml, "    traces/behind: {lanes: %u, receivers: [forward], ", 1 + rnd(2));
        put_processors(2);
        yaml_put(&yaml, ", ");
        put_sinks(0, run.exporters, NULL);
    } else {
        yaml_put(&yaml,
                 "    metrics: {receivers: [test_count], processors: [%s], exporters: [nop]}\n",
                 rnd(2) ? "test_hold/short, batch/small" : "");
        run.exporters = here;
    }
}

/* ---- treatment ---- */

static void advance(int64_t ns)
{
    clock_advance(f.runtime.clock, ns);
}

static void offer_some(void)
{
    const uint32_t n = rnd(20) ? 1 + rnd(rnd(2) ? 10 : OFFER_MAX) : 0;
    if (run.n_spans + n > BESIDE)
        return;
    if (run.source_table->offer(run.source, run.n_spans, n) == SL_OK)
        memset(run.offered + run.n_spans, 1, n);
    run.n_spans += n;
}

/* Someone who goes on offering while the graph is drained and stopped. */
static void *offer_beside(void *arg)
{
    uint32_t at = BESIDE;
    (void)arg;
    for (uint32_t i = 0; i < OFFERS_BESIDE && !atomic_load(&run.sender_stop); i++) {
        const uint32_t n = 1 + i * 7 % 13;
        const int32_t status = run.source_table->offer(run.source, at, n);
        if (status == SL_OK) {
            memset(run.offered + at, 1, n);
            at += n;
        } else if (status == SL_ERR_SHUTDOWN) {
            break;
        }
        sched_yield();
    }
    return NULL;
}

static void end_sender(void)
{
    if (run.has_sender)
        (void)pthread_join(run.sender, NULL);
    run.has_sender = false;
}

static void set_modes(uint32_t first, uint32_t n, uint32_t mode)
{
    for (uint32_t i = first; i < first + n; i++)
        run.sink_tables[i]->mode(run.sinks[i], mode);
}

static void operate(void)
{
    switch (rnd(10)) {
    case 0:
        if (run.exporters)
            set_modes(rnd(run.exporters), 1, rnd(TEST_SINK_HANG + 1));
        break;
    case 1:
    case 2:
        advance((int64_t)rnd(2000) * 10000000);
        break;
    case 3:
        for (uint32_t i = rnd(20); i; i--)
            sched_yield();
        break;
    default:
        offer_some();
        break;
    }
}

/* ---- what must hold ---- */

static void check_component(void *arg, struct component *c)
{
    (void)arg;
    for (uint32_t s = 0; s < SIGNALS; s++) {
        const int64_t held = ledger_held(&c->ledgers[s]);
        if (held)
            fail_msg("%s, signal %u: %" PRId64 " items are not accounted for", c->id, s, held);
        assert_int_equal(atomic_load(&c->ledgers[s].double_claims), 0);
    }
}

static void check(void)
{
    struct test_counts c;
    uint64_t sum = 0, seen = 0;
    run.source_table->counts(run.source, &c);
    for (uint32_t i = 0; i < SL_OUTCOMES; i++)
        sum += c.ended[i];
    assert_int_equal(c.settled, c.offers);
    assert_true(c.taken == c.offers || c.taken == 0); /* 0: did not ask */
    assert_int_equal(c.out_of_order, 0);
    assert_int_equal(sum, c.items);
    for (uint32_t i = 0; i < TEST_SPANS_MAX; i++) {
        uint32_t times = 0;
        for (uint32_t k = 0; k < run.exporters; k++)
            times += run.sink_tables[k]->seen(run.sinks[k], i);
        if (times && !run.offered[i])
            fail_msg("span %u was sent, but never accepted", i);
        seen += times > 0;
    }
    if (!graph_component(f.graph, SL_KIND_connector, "test_count"))
        assert_int_equal(c.ended[SL_DELIVERED], seen); /* in one branch is enough */
    graph_components(f.graph, check_component, NULL);
    totals.offers += c.offers;
    totals.refused += c.full + c.refused;
    for (uint32_t i = 0; i < SL_OUTCOMES; i++)
        totals.ended[i] += c.ended[i];
}

static bool all_settled(void *arg)
{
    struct test_counts c;
    (void)arg;
    run.source_table->counts(run.source, &c);
    return c.settled == c.offers;
}

static bool is_drained(void *arg)
{
    return graph_drained(arg);
}

static void finish(void)
{
    const uint32_t how = rnd(3);
    const int64_t now = clock_now(f.runtime.clock);
    if (how == 0) { /* everything finds its way out */
        failing_memory_set(0);
        set_modes(0, run.exporters, TEST_SINK_OK);
        if (!run.keeps && rnd(2)) { /* by itself: nobody has missed a call to go on */
            atomic_store(&run.sender_stop, true);
            end_sender();
            fixture_until(&f, all_settled, NULL, 1000000000);
        }
        graph_drain(f.graph, now + INT64_C(3600000000000));
        end_sender();
        fixture_until(&f, is_drained, f.graph, 100000000);
        assert_int_equal(graph_stop(f.graph), 0);
    } else {
        if (how == 1) {
            graph_drain(f.graph, now + INT64_C(5000000000));
            for (uint32_t i = rnd(8); i && !graph_drained(f.graph); i--)
                advance(1000000000);
        }
        (void)graph_stop(f.graph);
        atomic_store(&run.sender_stop, true);
        end_sender();
        assert_int_not_equal(run.source_table->offer(run.source, run.n_spans, 1), SL_OK);
    }
    failing_memory_set(0);
    check();
    graph_destroy(f.graph);
    f.graph = NULL;
    fixture_forget(&f);
}

static void run_one(uint64_t seed, bool with_failures)
{
    memset(&run, 0, sizeof run);
    run.seed = seed;
    make_yaml();
    fixture_start(&f, yaml.at, rnd(4) ? UINT64_C(64) << 20 : UINT64_C(2) << 20);
    run.source_table = fixture_interface(&f, SL_KIND_receiver, "test_source", TEST_SOURCE);
    run.source = graph_component(f.graph, SL_KIND_receiver, "test_source")->self;
    for (uint32_t i = 0; i < run.exporters; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "test_sink/%u", i);
        struct component *c = graph_component(f.graph, SL_KIND_exporter, id);
        if (!c) { /* in no pipeline; so are those after it */
            run.exporters = i;
            break;
        }
        run.sink_tables[i] = fixture_interface(&f, SL_KIND_exporter, id, TEST_SINK);
        run.sinks[i] = c->self;
    }
    if (with_failures)
        failing_memory_set(5 + rnd(100));
    if (!rnd(3))
        run.has_sender = pthread_create(&run.sender, NULL, offer_beside, NULL) == 0;
    for (uint32_t i = rnd(OPERATIONS); i; i--)
        operate();
    finish();
}

static void run_all(bool with_failures)
{
    memset(&totals, 0, sizeof totals);
    random_runs_do(&runs, run_one, with_failures);
    (void)fprintf(stderr, "offers %" PRIu64 ", refused %" PRIu64 "; items", totals.offers,
                  totals.refused);
    for (uint32_t i = 0; i < SL_OUTCOMES; i++) {
        (void)fprintf(stderr, " %s %" PRIu64, outcome_name(i), totals.ended[i]);
        if (runs.n > 100 && i != SL_ABSORBED)
            assert_true(totals.ended[i] > 0);
    }
    (void)fputc('\n', stderr);
}

static void everything_ends_once(void **state)
{
    (void)state;
    run_all(false);
}

static void and_without_memory(void **state)
{
    (void)state;
    run_all(true);
    if (runs.n > 20)
        assert_true(failing_memory_failures() > 0);
}

int main(int argc, char **argv)
{
    random_runs_read(&runs, argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_ends_once),
        cmocka_unit_test(and_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
