/* Journals in a graph: what was acknowledged comes back after a crash, and ends once. A crash is a
 * copy of the journal's directory, taken while the graph runs: that is what a kill leaves. */
#include "pipeline/graph/component.h"
#include "pipeline/graph/journals.h"
#include "pipeline/graph/stream.h"
#include "tests/plugins/test_interfaces.h"
#include "tests/support/graph_fixture.h"
#include <ftw.h>
#include <setjmp.h>
#include <stdlib.h>
#include <unistd.h>
/* cmocka wants the headers above first */
#include <cmocka.h>

enum { SPANS = 1000, EACH = 10 };

static struct fixture f;
static char root[64], directory[96];
static uint32_t crashes;

/* ---- the parts of the graph ---- */

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

static uint32_t seen_in(const char *id, uint32_t span)
{
    return sink_of(id)->seen(self_of(SL_KIND_exporter, id), span);
}

static uint64_t items_in(const char *id)
{
    return sink_of(id)->items(self_of(SL_KIND_exporter, id));
}

static void set_mode(const char *id, uint32_t mode)
{
    sink_of(id)->mode(self_of(SL_KIND_exporter, id), mode);
}

static void start(const char *processors, const char *exporters, const char *names,
                  const char *journal)
{
    char yaml[4096];
    (void)snprintf(yaml, sizeof yaml,
                   "receivers: {test_source: {}}\n"
                   "processors: {%s}\n"
                   "exporters: {%s}\n"
                   "extensions: {file_storage: {directory: %s, create_directory: true}}\n"
                   "service: {extensions: [file_storage], pipelines: {traces: {\n"
                   "  receivers: [test_source], processors: [%.*s], exporters: [%s]%s}}}\n",
                   processors, exporters, directory, (int)strcspn(processors, ":"), processors,
                   names, journal);
    fixture_start(&f, yaml, UINT64_C(256) << 20);
}

#define JOURNAL ", journal: {storage: file_storage}"

/* ---- crashes ---- */

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

/* The running graph goes on, and its journal no longer matters. */
static void crash(void)
{
    char command[512], next[96];
    (void)snprintf(next, sizeof next, "%s/%u", root, ++crashes);
    (void)snprintf(command, sizeof command, "cp -r %s %s", directory, next);
    assert_int_equal(system(command), 0);
    (void)snprintf(directory, sizeof directory, "%s", next);
}

static uint64_t unsettled(void)
{
    return journals_left(&f.runtime).items;
}

static bool nothing_is_left(void *arg)
{
    (void)arg;
    return unsettled() == 0;
}

static bool all_settled(void *arg)
{
    const struct test_counts c = counts();
    (void)arg;
    return c.settled == c.offers;
}

static void drained(void)
{
    fixture_until(&f, nothing_is_left, NULL, 100000000);
}

static void offer_all(void)
{
    for (uint32_t i = 0; i < SPANS; i += EACH)
        assert_int_equal(offer(i, EACH), SL_OK);
    fixture_until(&f, all_settled, NULL, 0);
    const struct test_counts c = counts();
    assert_int_equal(c.ended[SL_ABSORBED], SPANS); /* on disk: nobody asks for it again */
    assert_int_equal(c.out_of_order, 0);
}

static int setup(void **state)
{
    (void)state;
    crashes = 0;
    (void)snprintf(root, sizeof root, "/tmp/sluice-journal-XXXXXX");
    if (!mkdtemp(root))
        return -1;
    (void)snprintf(directory, sizeof directory, "%s/0", root);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- the tests ---- */

static void comes_back_after_a_crash(void **state)
{
    (void)state;
    start("", "test_sink: {}", "test_sink", JOURNAL);
    set_mode("test_sink", TEST_SINK_FAIL);
    offer_all();
    assert_int_equal(unsettled(), SPANS);
    crash();
    (void)fixture_end(&f);
    start("", "test_sink: {}", "test_sink", JOURNAL);
    drained();
    for (uint32_t i = 0; i < SPANS; i++)
        assert_int_equal(seen_in("test_sink", i), 1);
    assert_int_equal(fixture_end(&f), 0);
    start("", "test_sink: {}", "test_sink", JOURNAL); /* and not a second time */
    assert_int_equal(unsettled(), 0);
    assert_int_equal(fixture_end(&f), 0);
}

static bool some_were_taken(void *arg)
{
    (void)arg;
    return items_in("test_sink") > 0;
}

static void only_what_is_open_comes_back(void **state)
{
    (void)state;
    start("", "test_sink: {}", "test_sink", JOURNAL);
    set_mode("test_sink", TEST_SINK_PARTIAL);
    offer_all();
    fixture_until(&f, some_were_taken, NULL, 0);
    const uint64_t taken = items_in("test_sink");
    uint32_t first[SPANS];
    for (uint32_t i = 0; i < SPANS; i++)
        first[i] = seen_in("test_sink", i);
    (void)fixture_end(&f);
    start("", "test_sink: {}", "test_sink", JOURNAL);
    assert_in_range(unsettled(), 1, SPANS - taken);
    drained();
    for (uint32_t i = 0; i < SPANS; i++)
        assert_in_range(first[i] + seen_in("test_sink", i), 0, 1); /* rejected, or taken once */
    assert_int_equal(fixture_end(&f), 0);
}

static void holders_are_covered(void **state)
{
    (void)state;
    start("test_hold: {hold: 60s, most: 1000}", "test_sink: {}", "test_sink", JOURNAL);
    offer_all();
    clock_advance(f.runtime.clock, INT64_C(30000000000));
    assert_int_equal(items_in("test_sink"), 0);
    crash();
    (void)fixture_end(&f);
    start("test_hold: {hold: 60s, most: 1000}", "test_sink: {}", "test_sink", JOURNAL);
    drained();
    for (uint32_t i = 0; i < SPANS; i++)
        assert_int_equal(seen_in("test_sink", i), 1);
    assert_int_equal(fixture_end(&f), 0);
}

static bool healthy_has_all(void *arg)
{
    (void)arg;
    return items_in("test_sink/a") == SPANS;
}

static void add_input(void *arg, struct stream *s)
{
    struct journal_size size;
    journal_read_size(stream_log(s), &size);
    if (!strcmp(stream_name(s), "in traces"))
        *(uint64_t *)arg += size.unwritten ? SPANS : size.items;
}

/* All but what the dead exporter has in its hands has gone to its own stream, and the disk knows. */
static bool input_is_settled(void *arg)
{
    uint64_t items = 0;
    (void)arg;
    streams_each(&f.runtime, add_input, &items);
    return items <= 2 * EACH;
}

static bool both_hang(void *arg)
{
    (void)arg;
    return sink_of("test_sink/b")->hanging(self_of(SL_KIND_exporter, "test_sink/b")) == 2;
}

static void a_dead_exporter_holds_its_own_share(void **state)
{
    static const char exporters[] =
        "test_sink/a: {}, test_sink/b: {sending_queue: {num_consumers: 2}}";
    (void)state;
    start("", exporters, "test_sink/a, test_sink/b", JOURNAL);
    set_mode("test_sink/b", TEST_SINK_FAIL);
    offer_all();
    fixture_until(&f, healthy_has_all, NULL, 10000000);
    fixture_until(&f, input_is_settled, NULL, 10000000);
    crash();
    (void)fixture_end(&f);
    start("", exporters, "test_sink/a, test_sink/b", JOURNAL);
    drained();
    for (uint32_t i = 0; i < SPANS; i++)
        assert_int_equal(seen_in("test_sink/b", i), 1);
    /* again only what the dead one had in its hands */
    assert_in_range(items_in("test_sink/a"), 0, 2 * EACH);
    assert_int_equal(fixture_end(&f), 0);
}

static void a_hanging_exporter_holds_no_more(void **state)
{
    static const char exporters[] =
        "test_sink/a: {}, test_sink/b: {sending_queue: {num_consumers: 2}}";
    (void)state;
    start("", exporters, "test_sink/a, test_sink/b", JOURNAL);
    set_mode("test_sink/b", TEST_SINK_HANG);
    assert_int_equal(offer(0, EACH), SL_OK);
    assert_int_equal(offer(EACH, EACH), SL_OK);
    fixture_until(&f, both_hang, NULL, 0);
    clock_advance(f.runtime.clock, 200000000);
    for (uint32_t i = 2 * EACH; i < SPANS; i += EACH)
        assert_int_equal(offer(i, EACH), SL_OK);
    fixture_until(&f, healthy_has_all, NULL, 0);
    fixture_until(&f, input_is_settled, NULL, 10000000);
    crash();
    set_mode("test_sink/b", TEST_SINK_OK);
    (void)fixture_end(&f);
    start("", exporters, "test_sink/a, test_sink/b", JOURNAL);
    drained();
    for (uint32_t i = 0; i < SPANS; i++)
        assert_int_equal(seen_in("test_sink/b", i), 1);
    assert_in_range(items_in("test_sink/a"), 0, 2 * EACH);
    assert_int_equal(fixture_end(&f), 0);
}

static void a_queue_on_disk(void **state)
{
    static const char exporters[] = "test_sink: {sending_queue: {storage: file_storage}}";
    (void)state;
    start("", exporters, "test_sink", "");
    set_mode("test_sink", TEST_SINK_FAIL);
    offer_all();
    crash();
    (void)fixture_end(&f);
    start("", exporters, "test_sink", "");
    drained();
    for (uint32_t i = 0; i < SPANS; i++)
        assert_int_equal(seen_in("test_sink", i), 1);
    assert_int_equal(fixture_end(&f), 0);
}

static void a_queue_on_disk_refuses_when_full(void **state)
{
    (void)state;
    start("", "test_sink: {sending_queue: {storage: file_storage, queue_size: 5}}", "test_sink",
          "");
    set_mode("test_sink", TEST_SINK_FAIL);
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(offer(i * EACH, EACH), SL_OK);
    fixture_until(&f, all_settled, NULL, 0);
    assert_int_equal(counts().ended[SL_ABSORBED], 5 * EACH);
    assert_int_equal(counts().ended[SL_FAILED], 5 * EACH);
    set_mode("test_sink", TEST_SINK_OK);
    drained();
    assert_int_equal(items_in("test_sink"), 5 * EACH);
    assert_int_equal(fixture_end(&f), 0);
}

static bool was_told(void *arg)
{
    (void)arg;
    return counts().ready > 0;
}

static void refuses_when_full(void **state)
{
    (void)state;
    start("", "test_sink: {}", "test_sink", ", journal: {storage: file_storage, max_bytes: 4MiB}");
    set_mode("test_sink", TEST_SINK_FAIL);
    uint32_t n = 0;
    while (n < 200 && offer(n * 1000, 1000) == SL_OK)
        n++;
    assert_in_range(n, 10, 100);
    assert_int_equal(counts().full, 1);
    fixture_until(&f, all_settled, NULL, 0);
    assert_int_equal(counts().ended[SL_FAILED], 1000); /* the last one was too much */
    set_mode("test_sink", TEST_SINK_OK);
    fixture_until(&f, was_told, NULL, 100000000);
    assert_int_equal(offer((n - 1) * 1000, 1000), SL_OK); /* so it is sent again */
    drained();
    for (uint32_t i = 0; i < n * 1000; i++)
        assert_int_equal(seen_in("test_sink", i), 1);
    assert_int_equal(fixture_end(&f), 0);
}

static void drops_the_oldest(void **state)
{
    (void)state;
    start("", "test_sink: {}", "test_sink",
          ", journal: {storage: file_storage, max_bytes: 4MiB, on_full: drop_oldest}");
    set_mode("test_sink", TEST_SINK_FAIL);
    for (uint32_t i = 0; i < 200; i++)
        assert_int_equal(offer(i * 1000, 1000), SL_OK);
    assert_in_range(unsettled(), 1000, 100000);
    set_mode("test_sink", TEST_SINK_OK);
    drained();
    for (uint32_t i = 199000; i < 200000; i++)
        assert_int_equal(seen_in("test_sink", i), 1); /* the newest are there */
    assert_int_equal(fixture_end(&f), 0);
}

static void decides_the_same_again(void **state)
{
    static const char processor[] = "test_decide: {hold: 10s}";
    (void)state;
    start(processor, "test_sink: {}", "test_sink", JOURNAL);
    offer_all();
    set_mode("test_sink", TEST_SINK_PARTIAL);
    fixture_until(&f, some_were_taken, NULL, INT64_C(1000000000));
    crash();
    uint32_t before[SPANS];
    for (uint32_t i = 0; i < SPANS; i++)
        before[i] = seen_in("test_sink", i);
    set_mode("test_sink", TEST_SINK_OK);
    drained(); /* what the first would have gone on to do shows how it had decided */
    uint32_t kept[SPANS];
    for (uint32_t i = 0; i < SPANS; i++)
        kept[i] = seen_in("test_sink", i);
    assert_int_equal(fixture_end(&f), 0);
    start(processor, "test_sink: {}", "test_sink", JOURNAL);
    drained();
    for (uint32_t i = 0; i < SPANS; i++)
        if (!before[i] && seen_in("test_sink", i) && i % 5) /* every fifth was rejected */
            assert_int_equal(kept[i], 1);
    assert_int_equal(fixture_end(&f), 0);
}

static void stays_when_the_process_ends(void **state)
{
    (void)state;
    start("", "test_sink: {}", "test_sink", JOURNAL);
    set_mode("test_sink", TEST_SINK_FAIL);
    offer_all();
    const int64_t deadline = clock_now(f.runtime.clock) + 1000000000;
    graph_drain(f.graph, deadline);
    clock_advance(f.runtime.clock, 2000000000);
    (void)graph_stop(f.graph);
    assert_int_equal(unsettled(), SPANS);
    assert_int_equal(graph_failed_items(f.graph), 0); /* the senders' answer stays true */
    graph_destroy(f.graph);
    f.graph = NULL;
    fixture_forget(&f);
    start("", "test_sink: {}", "test_sink", JOURNAL);
    drained();
    for (uint32_t i = 0; i < SPANS; i++)
        assert_int_equal(seen_in("test_sink", i), 1);
    assert_int_equal(fixture_end(&f), 0);
}

static char *yaml_of(char *yaml, size_t room, const char *exporter, const char *more)
{
    (void)snprintf(yaml, room,
                   "receivers: {test_source: {}}\n"
                   "exporters: {test_sink: {%s}}\n"
                   "extensions: {file_storage: {directory: %s, create_directory: true}}\n"
                   "service: {extensions: [file_storage], pipelines: {traces: {\n"
                   "  receivers: [test_source], exporters: [test_sink]%s}}}\n",
                   exporter, directory, more);
    return yaml;
}

static void reload(const char *exporter, const char *more)
{
    char yaml[2048];
    char *errors = fixture_reload(&f, yaml_of(yaml, sizeof yaml, exporter, more));
    if (errors)
        fail_msg("%s", errors);
}

static void a_reload_keeps_it(void **state)
{
    (void)state;
    start("", "test_sink: {}", "test_sink", JOURNAL);
    set_mode("test_sink", TEST_SINK_FAIL);
    offer_all();
    reload("timeout: 3s", JOURNAL ", lanes: 2"); /* another exporter, in other lanes */
    (void)fixture_retire(&f, 0);
    drained();
    for (uint32_t i = 0; i < SPANS; i++)
        assert_int_equal(seen_in("test_sink", i), 1);
    assert_int_equal(offer(SPANS, 1), SL_OK);
    drained();
    assert_int_equal(seen_in("test_sink", SPANS), 1);
    assert_int_equal(fixture_end(&f), 0);
}

static bool nothing_is_on_its_way(void *arg)
{
    (void)arg;
    return all_settled(NULL) && journals_left(&f.runtime).streams == 0;
}

static void what_a_reload_leaves_waits(void **state)
{
    (void)state;
    start("", "test_sink: {}", "test_sink", JOURNAL);
    set_mode("test_sink", TEST_SINK_FAIL);
    offer_all();
    reload("timeout: 3s", ""); /* the pipeline has no journal any more */
    (void)fixture_retire(&f, 0);
    assert_int_equal(offer(SPANS, 1), SL_OK);
    fixture_until(&f, nothing_is_on_its_way, NULL, 10000000);
    uint32_t first[SPANS]; /* what was on its way already */
    for (uint32_t i = 0; i < SPANS; i++)
        first[i] = seen_in("test_sink", i);
    assert_int_equal(fixture_end(&f), 0);
    start("", "test_sink: {}", "test_sink", JOURNAL);
    drained();
    for (uint32_t i = 0; i < SPANS; i++)
        assert_int_equal(first[i] + seen_in("test_sink", i), 1);
    assert_int_equal(fixture_end(&f), 0);
}

static void a_reload_brings_one(void **state)
{
    (void)state;
    start("", "test_sink: {}", "test_sink", "");
    assert_int_equal(offer(0, 1), SL_OK);
    fixture_until(&f, all_settled, NULL, 0);
    reload("", JOURNAL);
    (void)fixture_retire(&f, INT64_C(1000000000));
    set_mode("test_sink", TEST_SINK_FAIL);
    for (uint32_t i = 1; i < 100; i++)
        assert_int_equal(offer(i, 1), SL_OK);
    fixture_until(&f, all_settled, NULL, 0);
    assert_int_equal(counts().ended[SL_ABSORBED], 99);
    crash();
    (void)fixture_end(&f);
    start("", "test_sink: {}", "test_sink", JOURNAL);
    drained();
    for (uint32_t i = 1; i < 100; i++)
        assert_int_equal(seen_in("test_sink", i), 1);
    assert_int_equal(fixture_end(&f), 0);
}

static void names_what_is_wrong(void **state)
{
    static const struct {
        const char *yaml, *want;
    } cases[] = {
        {"service: {pipelines: {traces: {receivers: [test_source], exporters: [test_sink], "
         "journal: {storage: disk}}}}\n",
         "the storage \"disk\" is not among service::extensions"},
        {"service: {pipelines: {traces: {receivers: [test_source], exporters: [test_sink], "
         "journal: {}}}}\n",
         "storage"},
        {"extensions: {health_check: {}}\n"
         "service: {extensions: [health_check], pipelines: {traces: {receivers: [test_source], "
         "exporters: [test_sink], journal: {storage: health_check}}}}\n",
         "the extension \"health_check\" is no storage"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char yaml[1024];
        (void)snprintf(yaml, sizeof yaml,
                       "receivers: {test_source: {}}\nexporters: {test_sink: {}}\n%s",
                       cases[i].yaml);
        char *errors = fixture_errors(yaml);
        assert_non_null(errors);
        if (!strstr(errors, cases[i].want))
            fail_msg("wanted: %s\ngot: %s", cases[i].want, errors);
        free(errors);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(comes_back_after_a_crash, setup, teardown),
        cmocka_unit_test_setup_teardown(only_what_is_open_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(holders_are_covered, setup, teardown),
        cmocka_unit_test_setup_teardown(a_dead_exporter_holds_its_own_share, setup, teardown),
        cmocka_unit_test_setup_teardown(a_hanging_exporter_holds_no_more, setup, teardown),
        cmocka_unit_test_setup_teardown(a_queue_on_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(a_queue_on_disk_refuses_when_full, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_when_full, setup, teardown),
        cmocka_unit_test_setup_teardown(drops_the_oldest, setup, teardown),
        cmocka_unit_test_setup_teardown(decides_the_same_again, setup, teardown),
        cmocka_unit_test_setup_teardown(stays_when_the_process_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reload_keeps_it, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_reload_leaves_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reload_brings_one, setup, teardown),
        cmocka_unit_test(names_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
