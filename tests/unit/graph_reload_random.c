/* Random graphs that become other random graphs under traffic: whatever stays, is made anew or
 * goes, whatever fails while it is tried, and with allocations failing, each item ends once and
 * every account adds up; and where nothing fails, each item is delivered. Real plugins
 * (tests/plugins/world.h), virtual time, real threads. Usage: test [SEED [RUNS]]; a run's own seed
 * repeats it with RUNS 1. */
#include "pipeline/graph/component.h"
#include "tests/plugins/world.h"
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

static struct random_runs runs = {.seed = 1, .n = 30};
static struct yaml_text yaml;

enum { PIPELINES = 3, SINKS = 3, SOURCES = 2, RELOADS = 12, PROCESSORS = 4 };
enum { MAIN, SECOND, BEHIND }; /* pipelines; the last is fed by the connector */
enum { FORWARD = SINKS };      /* among a pipeline's outputs */
/* Spans from here on are offered by a thread of its own. */
enum { BESIDE = TEST_SPANS_MAX / 2 };

/* What the config says; a reload changes some of it. */
struct shape {
    struct {
        bool there;
        uint32_t lanes, sources, outputs; /* masks */
        uint32_t n, processors[PROCESSORS];
    } pipelines[PIPELINES];
    uint32_t versions[SOURCES + SINKS + PROCESSORS];
    bool want_taken[SOURCES];
};

static struct fixture f;
static const test_world *world;
static bool calm; /* nothing fails: everything is delivered */
static _Atomic bool sender_stop;
static uint8_t offered[TEST_SPANS_MAX];
static uint64_t reloads, refused_reloads;
static struct test_counts totals;

static void shape_pipeline(struct shape *s, uint32_t p)
{
    uint32_t used = 0;
    s->pipelines[p].there = p == MAIN || rnd(2);
    s->pipelines[p].lanes = 1 + rnd(2);
    s->pipelines[p].sources = p == BEHIND ? 0 : 1 + rnd(3);
    s->pipelines[p].outputs = 1 + rnd((1u << SINKS) - 1);
    if (p == MAIN && rnd(2))
        s->pipelines[p].outputs |= 1u << FORWARD;
    s->pipelines[p].n = 0;
    for (uint32_t i = rnd(4); i; i--) {
        const uint32_t one = rnd(PROCESSORS);
        if (!(used & 1u << one))
            s->pipelines[p].processors[s->pipelines[p].n++] = one;
        used |= 1u << one;
    }
}

/* A connector has to lead somewhere, and be fed. */
static void settle(struct shape *s)
{
    const bool feeds = s->pipelines[MAIN].outputs & 1u << FORWARD;
    s->pipelines[BEHIND].there = feeds;
    s->pipelines[MAIN].sources |= 1; /* the first source is always there */
    s->pipelines[BEHIND].outputs &= (1u << SINKS) - 1;
}

static void shape_change(struct shape *s)
{
    for (uint32_t i = 1 + rnd(4); i; i--) {
        switch (rnd(3)) {
        case 0:
            s->versions[rnd(SOURCES + SINKS + PROCESSORS)] = 1 + rnd(1000);
            break;
        case 1:
            s->want_taken[rnd(SOURCES)] ^= true;
            break;
        default:
            shape_pipeline(s, rnd(PIPELINES));
            break;
        }
    }
    settle(s);
}

/* ---- as text ---- */

static void put_list(const char *key, uint32_t mask, uint32_t n, const char *name)
{
    const char *comma = "";
    yaml_put(&yaml, "%s: [", key);
    for (uint32_t i = 0; i < n; i++)
        if (mask & 1u << i) {
            yaml_put(&yaml, "%s%s/%u", comma, name, i);
            comma = ", ";
        }
}

/* `broken`: a component of it does not start. */
static void put_shape(const struct shape *s, bool broken)
{
    static const char *const processors[PROCESSORS] = {"test_hold/a", "test_hold/b", "batch/a",
                                                       "batch/b"};
    const uint32_t *v = s->versions;
    yaml.used = 0;
    yaml_put(&yaml, "receivers:\n");
    for (uint32_t i = 0; i < SOURCES; i++)
        yaml_put(&yaml, "  world_source/%u: {version: %u, want_taken: %s}\n", i, v[i],
                 s->want_taken[i] ? "true" : "false");
    yaml_put(&yaml, "  world_source/9: {fail_start: true}\n");
    v += SOURCES;
    yaml_put(&yaml, "exporters:\n");
    for (uint32_t i = 0; i < SINKS; i++)
        yaml_put(&yaml,
                 "  world_sink/%u: {version: %u, retry_on_failure: {initial_interval: 1s, "
                 "max_interval: 2s, max_elapsed_time: 0}, sending_queue: {block_on_overflow: true, "
                 "queue_size: %u, num_consumers: %u%s}}\n",
                 i, v[i], 1 + v[i] % 20, 1 + v[i] % 3,
                 v[i] % 4 == 0   ? ", batch: {min_size: 50, max_size: 70}"
                 : v[i] % 4 == 1 ? ", batch: {sizer: bytes, min_size: 3000, flush_timeout: 1s}"
                                 : "");
    v += SINKS;
    yaml_put(&yaml,
             "connectors: {forward: {}}\nprocessors:\n"
             "  test_hold/a: {hold: %us, most: %u}\n  test_hold/b: {hold: 2s, most: %u}\n"
             "  batch/a: {timeout: 1s, send_batch_size: %u}\n"
             "  batch/b: {timeout: %us, send_batch_size: 30, send_batch_max_size: 30}\n",
             1 + v[0] % 5, 10 + v[0] % 7, 5 + v[1] % 20, 20 + v[2] % 200, v[3] % 3);
    yaml_put(&yaml, "service:\n  pipelines:\n");
    for (uint32_t p = 0; p < PIPELINES; p++) {
        if (!s->pipelines[p].there)
            continue;
        yaml_put(&yaml, "    traces/%u: {lanes: %u, ", p, s->pipelines[p].lanes);
        if (p == BEHIND)
            yaml_put(&yaml, "receivers: [forward");
        else
            put_list("receivers", s->pipelines[p].sources, SOURCES, "world_source");
        yaml_put(&yaml, "%s], processors: [", broken && p == MAIN ? ", world_source/9" : "");
        for (uint32_t i = 0; i < s->pipelines[p].n; i++)
            yaml_put(&yaml, "%s%s", i ? ", " : "", processors[s->pipelines[p].processors[i]]);
        yaml_put(&yaml, "], ");
        put_list("exporters", s->pipelines[p].outputs, SINKS, "world_sink");
        yaml_put(&yaml, "%s]}\n", s->pipelines[p].outputs & 1u << FORWARD ? ", forward" : "");
    }
}

/* ---- traffic ---- */

static uint32_t n_spans;

static bool may_answer(int32_t status)
{
    return status == SL_OK || status == SL_ERR_FULL || status == SL_ERR_UNAVAILABLE ||
           status == SL_ERR_SHUTDOWN || status == SL_ERR_NOMEM || status == SL_ERR_NOT_FOUND;
}

static void offer_some(void)
{
    const char *name = rnd(3) ? "world_source/0" : "world_source/1";
    const uint32_t n = 1 + rnd(rnd(2) ? 10 : 100);
    if (n_spans + n > BESIDE)
        return;
    const int32_t status = world->offer(name, n_spans, n);
    assert_true(may_answer(status));
    if (status == SL_OK)
        memset(offered + n_spans, 1, n);
    n_spans += n;
}

static void *offer_beside(void *arg)
{
    uint32_t at = BESIDE;
    (void)arg;
    for (uint32_t i = 0; !atomic_load(&sender_stop); i++) {
        const uint32_t n = 1 + i * 7 % 13;
        if (at + n > TEST_SPANS_MAX || i > 3000) {
            sched_yield();
            continue;
        }
        const int32_t status = world->offer(i % 3 ? "world_source/0" : "world_source/1", at, n);
        if (status == SL_OK)
            memset(offered + at, 1, n);
        at += n;
        if (i % 4 == 0)
            sched_yield();
    }
    return NULL;
}

static void operate(void)
{
    char name[32];
    switch (rnd(8)) {
    case 0:
        (void)snprintf(name, sizeof name, "world_sink/%u", rnd(SINKS));
        if (!calm)
            world->mode(name, rnd(2) ? TEST_SINK_OK : rnd(2) ? TEST_SINK_FAIL : TEST_SINK_HANG);
        break;
    case 1:
    case 2:
        clock_advance(f.runtime.clock, (int64_t)rnd(200) * 10000000);
        break;
    default:
        offer_some();
        break;
    }
}

static void sinks_take_all(void)
{
    for (uint32_t i = 0; i < SINKS; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "world_sink/%u", i);
        world->mode(name, TEST_SINK_OK);
    }
}

/* ---- a run ---- */

static bool all_settled(void *arg)
{
    struct test_counts c;
    (void)arg;
    world->counts(&c);
    return c.settled == c.offers;
}

static void reload_once(struct shape *s)
{
    struct shape next = *s;
    shape_change(&next);
    const bool broken = rnd(6) == 0;
    put_shape(&next, broken);
    char *text = fixture_reload(&f, yaml.at);
    assert_true(!broken || text);
    if (text && !broken && !failing_memory_is_on())
        fail_msg("%s", text);
    reloads += !text;
    refused_reloads += text != NULL;
    if (text) {
        free(text);
        return;
    }
    *s = next;
    for (uint32_t i = rnd(10); i; i--)
        operate();
    const uint64_t left =
        fixture_retire(&f, calm ? INT64_C(3600000000000) : (int64_t)rnd(5) * 1000000000);
    if (calm)
        assert_int_equal(left, 0);
}

static void check(void)
{
    struct test_counts c;
    uint64_t sum = 0, seen = 0;
    world->counts(&c);
    for (uint32_t i = 0; i < SL_OUTCOMES; i++)
        sum += c.ended[i];
    assert_int_equal(c.settled, c.offers);
    assert_int_equal(c.out_of_order, 0);
    assert_int_equal(sum, c.items);
    for (uint32_t i = 0; i < TEST_SPANS_MAX; i++) {
        const bool was_seen = world->seen(i) > 0;
        if (was_seen && !offered[i])
            fail_msg("span %u was sent, but never accepted", i);
        seen += was_seen;
    }
    assert_int_equal(c.ended[SL_DELIVERED], seen);
    if (calm)
        assert_int_equal(seen, c.items);
    totals.offers += c.offers;
    for (uint32_t i = 0; i < SL_OUTCOMES; i++)
        totals.ended[i] += c.ended[i];
}

static void run_one(uint64_t seed, bool with_failures)
{
    (void)seed;
    struct shape s;
    pthread_t sender;
    memset(&s, 0, sizeof s);
    memset(offered, 0, sizeof offered);
    n_spans = 0;
    calm = !with_failures && rnd(2);
    for (uint32_t p = 0; p < PIPELINES; p++)
        shape_pipeline(&s, p);
    settle(&s);
    put_shape(&s, false);
    fixture_start(&f, yaml.at, 0);
    world = fixture_interface(&f, SL_KIND_receiver, "world_source/0", TEST_WORLD);
    world->reset();
    if (with_failures)
        failing_memory_set(20 + rnd(200));
    atomic_store(&sender_stop, false);
    const bool has_sender = pthread_create(&sender, NULL, offer_beside, NULL) == 0;
    for (uint32_t n = 1 + rnd(RELOADS); n; n--) {
        for (uint32_t i = rnd(20); i; i--)
            operate();
        reload_once(&s);
    }
    failing_memory_set(0);
    atomic_store(&sender_stop, true);
    if (has_sender)
        (void)pthread_join(sender, NULL);
    sinks_take_all();
    fixture_until(&f, all_settled, NULL, 100000000);
    check();
    assert_int_equal(fixture_end(&f), 0);
    assert_int_equal(world->components(), 0);
}

static void run_all(bool with_failures)
{
    memset(&totals, 0, sizeof totals);
    reloads = refused_reloads = 0;
    random_runs_do(&runs, run_one, with_failures);
    (void)fprintf(stderr, "%" PRIu64 " reloads, %" PRIu64 " refused; %" PRIu64 " offers; items",
                  reloads, refused_reloads, totals.offers);
    for (uint32_t i = 0; i < SL_OUTCOMES; i++)
        (void)fprintf(stderr, " %s %" PRIu64, outcome_name(i), totals.ended[i]);
    (void)fputc('\n', stderr);
    if (runs.n > 20) {
        assert_true(reloads > runs.n && refused_reloads > runs.n / 4);
        assert_true(totals.ended[SL_DELIVERED] > 0 && totals.ended[SL_FAILED] > 0);
    }
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
