#include "tests/support/graph_fixture.h"
#include "pipeline/config/sources.h"
#include "pipeline/graph/component.h"
#include "pipeline/graph/reload.h"
#include "pipeline/graph/runtime.h"
#include "pipeline/memory/memory.h"
#include <sched.h>
#include <setjmp.h>
#include <stdlib.h>
#include <time.h>
/* cmocka wants the headers above first */
#include <cmocka.h>

static const char *const directories[] = {SLUICE_TEST_BUILD "/plugins",
                                          SLUICE_TEST_BUILD "/tests/plugins"};

static char *text_of(struct config_diagnostics *d)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    diagnostics_print(d, f, true);
    (void)fclose(f);
    return text;
}

/* false: the reasons are in `d`. Both are to be ended in any case. */
static bool read_config(const char *yaml, struct config_tree *tree, struct service_config *config,
                        struct config_diagnostics *d)
{
    char *source = NULL;
    if (asprintf(&source, "yaml:%s", yaml) < 0)
        fail_msg("no memory");
    const char *const configs[] = {source};
    const struct config_sources sources = {.configs = configs, .n_configs = 1};
    memset(config, 0, sizeof *config);
    const bool ok =
        sources_load(&sources, tree, d) == SL_OK && service_init(config, tree, NULL, d) == SL_OK;
    free(source);
    return ok;
}

/* false: the reasons are in *text, to be freed. */
static bool make(struct fixture *f, const char *yaml, uint64_t memory_limit, char **text)
{
    memset(f, 0, sizeof *f);
    struct config_diagnostics d;
    sl_error error = {.size = sizeof error};
    const struct runtime_options options = {.memory_limit = memory_limit,
                                            .virtual_clock = true,
                                            .plugin_directories = directories,
                                            .n_plugin_directories = 2};
    diagnostics_init(&d, NULL);
    if (runtime_init(&f->runtime, &options, &error) != SL_OK)
        fail_msg("%s", error.text);
    if (read_config(yaml, &f->tree, &f->config, &d))
        f->graph = graph_create(&f->runtime, &f->config, &d);
    *text = text_of(&d);
    diagnostics_deinit(&d);
    return f->graph != NULL;
}

static void unmake(struct fixture *f)
{
    graph_destroy(f->graph);
    service_deinit(&f->config);
    tree_deinit(&f->tree);
    runtime_deinit(&f->runtime);
}

void fixture_start(struct fixture *f, const char *yaml, uint64_t memory_limit)
{
    char *text;
    sl_error error = {.size = sizeof error};
    if (!make(f, yaml, memory_limit, &text))
        fail_msg("%s", text);
    free(text);
    if (graph_start(f->graph, &error) != SL_OK)
        fail_msg("%s", error.text);
}

char *fixture_errors(const char *yaml)
{
    struct fixture f;
    char *text;
    const bool ok = make(&f, yaml, 0, &text);
    unmake(&f);
    if (!ok)
        return text;
    free(text);
    return NULL;
}

char *fixture_reload(struct fixture *f, const char *yaml)
{
    struct config_tree tree;
    struct service_config config;
    struct config_diagnostics d;
    char *text = NULL;
    struct graph *next = NULL;
    assert_null(f->leaving);
    diagnostics_init(&d, NULL);
    struct reload r = {.runtime = &f->runtime, .now = f->graph, .old = &f->config, .next = &config};
    if (read_config(yaml, &tree, &config, &d))
        next = reload_swap(&r, &d);
    if (!next) {
        text = text_of(&d);
        service_deinit(&config);
        tree_deinit(&tree);
    } else {
        f->kept = r.kept;
        f->made = r.made;
        f->removed = r.removed;
        f->leaving = f->graph;
        f->graph = next;
        service_deinit(&f->config);
        tree_deinit(&f->tree);
        f->config = config;
        f->tree = tree;
    }
    diagnostics_deinit(&d);
    return text;
}

static int64_t real_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

uint64_t fixture_retire(struct fixture *f, int64_t wait_ns)
{
    const int64_t deadline = clock_now(f->runtime.clock) + wait_ns;
    graph_drain(f->leaving, deadline);
    while (!graph_drained(f->leaving) && clock_now(f->runtime.clock) < deadline) {
        clock_advance(f->runtime.clock, INT64_C(50000000));
        /* the lanes' threads need real time, however much virtual time has passed */
        const int64_t until = real_now() + 20000;
        do
            sched_yield();
        while (real_now() < until && !graph_drained(f->leaving));
    }
    const uint64_t left = reload_retire(f->leaving);
    f->leaving = NULL;
    return left;
}

void fixture_until(struct fixture *f, bool (*done)(void *), void *arg, int64_t step_ns)
{
    const int64_t deadline = real_now() + INT64_C(120000000000);
    while (!done(arg)) {
        if (real_now() > deadline)
            fail_msg("what the test waits for did not happen in two minutes");
        clock_advance(f->runtime.clock, step_ns);
        sched_yield();
    }
}

static bool is_drained(void *arg)
{
    return graph_drained(arg);
}

static void check_component(void *arg, struct component *c)
{
    (void)arg;
    for (uint32_t i = 0; i < SIGNALS; i++) {
        const int64_t held = ledger_held(&c->ledgers[i]);
        if (held)
            fail_msg("the ledger of %s for signal %u does not add up: %lld items held at the end",
                     c->id, i, (long long)held);
        assert_int_equal(atomic_load(&c->ledgers[i].double_claims), 0);
    }
}

void fixture_forget(struct fixture *f)
{
    assert_int_equal(memory_used(f->runtime.memory), 0);
    unmake(f);
}

uint64_t fixture_end(struct fixture *f)
{
    const int64_t deadline = clock_now(f->runtime.clock) + INT64_C(3600000000000);
    graph_drain(f->graph, deadline);
    fixture_until(f, is_drained, f->graph, 10000000);
    const uint64_t left = graph_stop(f->graph);
    graph_components(f->graph, check_component, NULL);
    graph_destroy(f->graph);
    f->graph = NULL;
    fixture_forget(f);
    return left;
}

const void *fixture_interface(struct fixture *f, uint32_t kind, const char *id,
                              const char *interface)
{
    struct component *c = graph_component(f->graph, kind, id);
    if (!c)
        fail_msg("no component %s", id);
    assert_non_null(c->type->interface_of);
    const void *table = c->type->interface_of(c->self, interface);
    assert_non_null(table);
    return table;
}

struct ledger *fixture_ledger(struct fixture *f, uint32_t kind, const char *id, uint32_t signal)
{
    struct component *c = graph_component(f->graph, kind, id);
    if (!c)
        fail_msg("no component %s", id);
    return &c->ledgers[signal_index(signal)];
}
