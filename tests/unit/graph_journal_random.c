/* Random graphs with journals and queues on disk, under random treatment: exporters that fail and
 * hang, reloads, ends of the process, crashes, and allocations that fail. Whatever was acknowledged
 * is seen by every exporter behind a journal at least once, nothing else is, and the journals'
 * accounts add up. A crash is a copy of the journals' directory, taken while the graph runs: that is
 * what a kill leaves. Real plugins (tests/plugins/world.h), virtual time, real threads.
 * Usage: test [SEED [RUNS]]; a run's own seed repeats it with RUNS 1. */
#include "pipeline/graph/component.h"
#include "pipeline/graph/journals.h"
#include "pipeline/graph/stream.h"
#include "tests/plugins/world.h"
#include "tests/support/failing_memory.h"
#include "tests/support/graph_fixture.h"
#include "tests/support/journal_image.h"
#include "tests/support/random_runs.h"
#include <ftw.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
/* cmocka wants the headers above first */
#include <cmocka.h>

static struct random_runs runs = {.seed = 1, .n = 25};
static struct yaml_text yaml;

enum { PIPELINES = 3, SINKS = 3, PROCESSORS = 4, TURNS = 8 };
enum { MAIN, SECOND, BEHIND }; /* pipelines; the last is fed by the connector */
/* Spans from here on are offered by a thread of its own. */
enum { SPANS = 1 << 16, BESIDE = SPANS / 2 };

/* What the config says. A reload changes processors and versions; the rest holds for a run, so that
 * it can be said where an item has to arrive. */
struct shape {
    struct {
        bool there, journal;
        uint32_t outputs; /* a mask */
        uint32_t lanes, n, processors[PROCESSORS];
    } pipelines[PIPELINES];
    bool forwards; /* from MAIN to BEHIND */
    bool on_disk[SINKS], power;
    uint32_t versions[1 + SINKS + PROCESSORS];
};

static struct fixture f;
static const test_world *world;
static struct shape shape;
static char root[64], directory[96];
static uint32_t crashes, n_spans, n_beside;
static pthread_t sender;
static bool has_sender;
static _Atomic bool sender_stop;
static bool had_failures;
static uint8_t offered[SPANS], must[SPANS], seen[SINKS][SPANS];
static uint64_t totals[4], acknowledged, again;
enum { RELOADED, REFUSED, ENDED, CRASHED };

/* ---- configs ---- */

static void shape_processors(uint32_t p)
{
    uint32_t used = 0;
    shape.pipelines[p].n = 0;
    for (uint32_t i = rnd(4); i; i--) {
        const uint32_t one = rnd(PROCESSORS);
        if (!(used & 1u << one))
            shape.pipelines[p].processors[shape.pipelines[p].n++] = one;
        used |= 1u << one;
    }
}

static void shape_make(void)
{
    memset(&shape, 0, sizeof shape);
    shape.forwards = rnd(3) == 0;
    shape.power = rnd(6) == 0;
    for (uint32_t p = 0; p < PIPELINES; p++) {
        shape.pipelines[p].there = p == MAIN || (p == BEHIND ? shape.forwards : rnd(2));
        shape.pipelines[p].journal = rnd(4) > 0;
        shape.pipelines[p].outputs = 1 + rnd((1u << SINKS) - 1);
        shape.pipelines[p].lanes = 1 + rnd(2);
        shape_processors(p);
    }
    for (uint32_t i = 0; i < SINKS; i++)
        shape.on_disk[i] = rnd(4) == 0;
}

static void shape_change(void)
{
    for (uint32_t i = 1 + rnd(3); i; i--) {
        if (rnd(2))
            shape.versions[rnd(1 + SINKS + PROCESSORS)] = 1 + rnd(1000);
        else
            shape_processors(rnd(PIPELINES));
    }
}

static void put_sink(uint32_t i, uint32_t v)
{
    yaml_put(&yaml,
             "  world_sink/%u: {version: %u, retry_on_failure: {initial_interval: 1s, "
             "max_interval: 2s%s}, sending_queue: {block_on_overflow: %s, "
             "queue_size: %u, num_consumers: %u%s%s}}\n",
             i, v, v % 2 ? "" : ", max_elapsed_time: 0", v % 5 ? "false" : "true", 1 + v % 20,
             1 + v % 3, shape.on_disk[i] ? ", storage: file_storage" : "",
             v % 4 == 0   ? ", batch: {min_size: 50, max_size: 70}"
             : v % 4 == 1 ? ", batch: {sizer: bytes, min_size: 3000, flush_timeout: 1s}"
                          : "");
}

static void put_pipeline(uint32_t p, bool broken)
{
    static const char *const processors[PROCESSORS] = {"test_hold/a", "test_hold/b", "batch/a",
                                                       "batch/b"};
    const char *comma = "";
    yaml_put(&yaml, "    traces/%u: {lanes: %u, receivers: [%s%s], processors: [", p,
             shape.pipelines[p].lanes, p == BEHIND ? "forward" : "world_source",
             broken ? ", world_source/9" : "");
    for (uint32_t i = 0; i < shape.pipelines[p].n; i++)
        yaml_put(&yaml, "%s%s", i ? ", " : "", processors[shape.pipelines[p].processors[i]]);
    yaml_put(&yaml, "], exporters: [");
    for (uint32_t i = 0; i < SINKS; i++)
        if (shape.pipelines[p].outputs & 1u << i) {
            yaml_put(&yaml, "%sworld_sink/%u", comma, i);
            comma = ", ";
        }
    yaml_put(&yaml, "%s]", p == MAIN && shape.forwards ? ", forward" : "");
    if (shape.pipelines[p].journal)
        yaml_put(&yaml, ", journal: {storage: file_storage, max_bytes: 16MiB, durability: %s}",
                 shape.power ? "power" : "process");
    yaml_put(&yaml, "}\n");
}

/* `broken`: a component of it does not start. */
static void put_shape(bool broken)
{
    const uint32_t *v = shape.versions;
    yaml.used = 0;
    yaml_put(&yaml,
             "extensions: {file_storage: {directory: %s, create_directory: true}}\n"
             "receivers:\n  world_source: {want_taken: %s}\n  world_source/9: {fail_start: true}\n"
             "exporters:\n",
             directory, v[0] % 2 ? "true" : "false");
    v++;
    for (uint32_t i = 0; i < SINKS; i++)
        put_sink(i, *v++);
    yaml_put(&yaml,
             "connectors: {forward: {}}\nprocessors:\n"
             "  test_hold/a: {hold: %us, most: %u}\n  test_hold/b: {hold: 2s, most: %u}\n"
             "  batch/a: {timeout: 1s, send_batch_size: %u}\n"
             "  batch/b: {timeout: %us, send_batch_size: 30, send_batch_max_size: 30}\n"
             "service:\n  extensions: [file_storage]\n  pipelines:\n",
             1 + v[0] % 5, 10 + v[0] % 7, 5 + v[1] % 20, 20 + v[2] % 200, v[3] % 3);
    for (uint32_t p = 0; p < PIPELINES; p++)
        if (shape.pipelines[p].there)
            put_pipeline(p, broken && p == MAIN);
}

static const char *sink_name(uint32_t i)
{
    static const char *const names[SINKS] = {"world_sink/0", "world_sink/1", "world_sink/2"};
    return names[i];
}

/* Exporters that have to see all that is acknowledged: those behind journals all the way. */
static uint32_t owed(void)
{
    uint32_t sinks = 0;
    for (uint32_t p = 0; p < PIPELINES; p++)
        if (shape.pipelines[p].there && shape.pipelines[p].journal &&
            (p != BEHIND || shape.pipelines[MAIN].journal))
            sinks |= shape.pipelines[p].outputs;
    return sinks;
}

/* ---- traffic ---- */

static void offer(uint32_t *at, uint32_t end, uint32_t n)
{
    if (*at + n > end)
        return;
    if (world->offer("world_source", *at, n) == SL_OK)
        memset(offered + *at, 1, n);
    *at += n;
}

static void *offer_beside(void *arg)
{
    (void)arg;
    for (uint32_t i = 0; !atomic_load(&sender_stop) && i < 500; i++) {
        offer(&n_beside, SPANS, 1 + i * 7 % 13);
        if (i % 4 == 0)
            sched_yield();
    }
    return NULL;
}

static void sender_begin(void)
{
    atomic_store(&sender_stop, false);
    has_sender = rnd(2) && pthread_create(&sender, NULL, offer_beside, NULL) == 0;
}

static void sender_end(void)
{
    atomic_store(&sender_stop, true);
    if (has_sender)
        (void)pthread_join(sender, NULL);
    has_sender = false;
}

static void operate(void)
{
    switch (rnd(8)) {
    case 0:
        world->mode(sink_name(rnd(SINKS)), rnd(2)   ? TEST_SINK_OK
                                           : rnd(3) ? TEST_SINK_FAIL
                                                    : TEST_SINK_HANG);
        break;
    case 1:
    case 2:
        clock_advance(f.runtime.clock, (int64_t)rnd(300) * 10000000);
        break;
    case 3:
        for (uint32_t i = rnd(20); i; i--)
            sched_yield();
        break;
    default:
        offer(&n_spans, BESIDE, 1 + rnd(rnd(2) ? 10 : 200));
        break;
    }
}

static void sinks_take_all(void)
{
    for (uint32_t i = 0; i < SINKS; i++)
        world->mode(sink_name(i), TEST_SINK_OK);
}

/* ---- what is known ---- */

static void note_acknowledged(void)
{
    for (uint32_t i = 0; i < SPANS; i++)
        must[i] |= world->acknowledged(i);
}

static void note_seen(void)
{
    for (uint32_t k = 0; k < SINKS; k++)
        for (uint32_t i = 0; i < SPANS; i++)
            seen[k][i] = (uint8_t)(seen[k][i] + world->seen_by(sink_name(k), i));
}

static void check_stream(void *arg, struct stream *s)
{
    struct stream_stats st;
    uint64_t ended = 0;
    (void)arg;
    stream_read(s, &st);
    for (uint32_t o = 0; o < SL_OUTCOMES; o++)
        ended += st.ended_items[o];
    /* without memory it is forgotten which of a record's items have ended, and they end again */
    const uint64_t came = st.log.recovered_items + st.appended_items;
    if (had_failures ? came > st.log.items + ended : came != st.log.items + ended)
        fail_msg("%s: %" PRIu64 " recovered + %" PRIu64 " appended != %" PRIu64 " left + %" PRIu64
                 " ended",
                 stream_name(s), st.log.recovered_items, st.appended_items, st.log.items, ended);
    assert_int_equal(
        st.ended_items[SL_EXPIRED] + st.ended_items[SL_DROPPED] + st.ended_items[SL_REJECTED], 0);
    again += st.offered_again;
}

static void count_flights(void *arg, struct stream *s)
{
    struct stream_stats st;
    stream_read(s, &st);
    *(uint64_t *)arg += st.in_flight;
}

/* The graph has stopped; what is being synced may not have ended yet. */
static bool nothing_is_on_its_way(void *arg)
{
    uint64_t n = 0;
    (void)arg;
    streams_each(&f.runtime, count_flights, &n);
    return n == 0;
}

static void check(void)
{
    const uint32_t sinks = owed();
    for (uint32_t i = 0; i < SPANS; i++) {
        acknowledged += must[i];
        for (uint32_t k = 0; k < SINKS; k++) {
            if (must[i] && (sinks >> k & 1) && !seen[k][i])
                fail_msg("span %u was acknowledged, and world_sink/%u has not got it", i, k);
            if (seen[k][i] && !offered[i])
                fail_msg("span %u was sent, but never accepted", i);
        }
    }
}

/* ---- what happens to it ---- */

static void begin(void)
{
    put_shape(false);
    fixture_start(&f, yaml.at, 0);
    world = fixture_interface(&f, SL_KIND_receiver, "world_source", TEST_WORLD);
    sender_begin();
}

/* Everything stops where it is; what has not ended stays in the journals. */
static void stop(bool at_once)
{
    sender_end();
    sinks_take_all();
    if (!at_once)
        graph_drain(f.graph, clock_now(f.runtime.clock) + (int64_t)rnd(3) * 1000000000);
    for (uint32_t i = at_once ? 0 : rnd(4); i; i--)
        clock_advance(f.runtime.clock, 1000000000);
    (void)graph_stop(f.graph);
    failing_memory_set(0);
    fixture_until(&f, nothing_is_on_its_way, NULL, 0);
    streams_each(&f.runtime, check_stream, NULL);
}

static void forget(void)
{
    graph_destroy(f.graph);
    f.graph = NULL;
    world->reset(); /* what is offered again is seen as soon as the next graph starts */
    fixture_forget(&f);
}

static void crash(void)
{
    char image[96];
    (void)snprintf(image, sizeof image, "%s/%u", root, ++crashes);
    note_acknowledged();
    assert_true(journal_image_take(directory, image));
    note_seen();
    stop(true);
    forget();
    (void)snprintf(directory, sizeof directory, "%s", image);
    totals[CRASHED]++;
    begin();
}

static void restart(void)
{
    stop(false);
    note_acknowledged();
    note_seen();
    forget();
    totals[ENDED]++;
    begin();
}

static void reload(void)
{
    const struct shape before = shape;
    const bool broken = rnd(4) == 0;
    shape_change();
    put_shape(broken);
    char *text = fixture_reload(&f, yaml.at);
    assert_true(!broken || text);
    if (text && !broken && !failing_memory_is_on())
        fail_msg("%s", text);
    totals[text ? REFUSED : RELOADED]++;
    if (text) {
        free(text);
        shape = before;
        return;
    }
    for (uint32_t i = rnd(10); i; i--)
        operate();
    (void)fixture_retire(&f, (int64_t)rnd(3) * 1000000000);
}

static bool nothing_is_left(void *arg)
{
    struct test_counts c;
    (void)arg;
    world->counts(&c);
    return c.settled == c.offers && journals_left(&f.runtime).items == 0;
}

static void run_one(uint64_t seed, bool with_failures)
{
    (void)seed;
    memset(offered, 0, sizeof offered);
    memset(must, 0, sizeof must);
    memset(seen, 0, sizeof seen);
    n_spans = 0;
    n_beside = BESIDE;
    (void)snprintf(directory, sizeof directory, "%s/%u", root, ++crashes);
    shape_make();
    begin();
    for (uint32_t n = 1 + rnd(TURNS); n; n--) {
        had_failures = with_failures;
        if (with_failures)
            failing_memory_set(20 + rnd(300));
        for (uint32_t i = rnd(40); i; i--)
            operate();
        switch (rnd(4)) {
        case 0:
            crash();
            break;
        case 1:
            restart();
            break;
        default:
            reload();
            break;
        }
    }
    failing_memory_set(0);
    sender_end();
    sinks_take_all();
    fixture_until(&f, nothing_is_left, NULL, 100000000);
    stop(true);
    note_acknowledged();
    note_seen();
    check();
    forget();
}

static void run_all(bool with_failures)
{
    memset(totals, 0, sizeof totals);
    acknowledged = again = 0;
    random_runs_do(&runs, run_one, with_failures);
    (void)fprintf(stderr,
                  "%" PRIu64 " reloads, %" PRIu64 " refused; %" PRIu64 " ends, %" PRIu64
                  " crashes; %" PRIu64 " items acknowledged, %" PRIu64 " offered again\n",
                  totals[RELOADED], totals[REFUSED], totals[ENDED], totals[CRASHED], acknowledged,
                  again);
    if (runs.n < 20)
        return;
    for (uint32_t i = 0; i < sizeof totals / sizeof *totals; i++)
        assert_true(totals[i] > 0);
    assert_true(acknowledged > 0 && again > 0);
}

static void what_is_acknowledged_arrives(void **state)
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

/* ---- */

static int make_root(void **state)
{
    (void)state;
    (void)snprintf(root, sizeof root, "/tmp/sluice-journal-random-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static int remove_root(void **state)
{
    (void)state;
    return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(int argc, char **argv)
{
    random_runs_read(&runs, argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_acknowledged_arrives, make_root, remove_root),
        cmocka_unit_test_setup_teardown(and_without_memory, make_root, remove_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
