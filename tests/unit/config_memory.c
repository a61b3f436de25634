/* Running out of memory: each allocation in turn fails, and nothing leaks, crashes or is accepted
 * half. Under the sanitizers this walks every clean-up path. */
#include "config_kinds.h"
#include "config_support.h"
#include "pipeline/config/service.h"

static const char *const environment[] = {"TREE={x: [1, 2], y: '${env:NAME}'}", "NAME=some name",
                                          NULL};

/* Large enough to need several chunks everywhere. */
static char *large_config(void)
{
    size_t room = 200000, n;
    char *text = malloc(room);
    assert_non_null(text);
    n = (size_t)snprintf(text, room,
                         "yaml:receivers: {otlp: &base {a: [1, 2, 3], <<: {b: 1}}}\n"
                         "exporters: {debug: *base, more: '${env:TREE}'}\nprocessors:\n");
    for (int i = 0; i < 60; i++)
        n += (size_t)snprintf(text + n, room - n,
                              "  batch/%d:\n    text: value-${env:NAME}-%d\n    names: [a, b, %d]\n"
                              "    headers: {k: v}\n    anything: {deep: [{x: 1}]}\n"
                              "    policies: [{name: a, type: values, values: {key: '%060d'}}]\n",
                              i, i, i, i);
    (void)snprintf(text + n, room - n,
                   "service:\n  telemetry: {metrics: {address: 'h:1'}}\n"
                   "  pipelines: {traces: {receivers: [otlp], exporters: [debug, more]}}\n");
    return text;
}

/* One run; SL_ERR_NOMEM only where an allocation failed. */
static int32_t run(const char *config, const struct config_allocator *allocator)
{
    struct loaded l = load(.configs = {config}, .sets = {"exporters.debug.z=1"},
                           .environment = environment, .allocator = allocator);
    int32_t status = l.status;
    if (status == SL_OK) {
        struct service_config s;
        status = service_init(&s, &l.tree, allocator, &l.d);
        service_deinit(&s);
    }
    const struct config_node *processors = config_find(l.tree.root, sl_str("processors"));
    for (const struct config_node *c = status == SL_OK ? processors->first : NULL; c; c = c->next) {
        struct config_part part = {kinds_fields, sizeof(struct kinds), NULL};
        struct config_bound *owner;
        int32_t rc = config_bind("processor", c, c->at, &part, 1, allocator, &l.d, &owner);
        assert_int_equal(rc == SL_OK, part.out != NULL);
        config_free(owner);
        status = rc ? rc : status;
    }
    if (status != SL_OK) {
        assert_int_equal(status, SL_ERR_NOMEM);
        assert_said(&l, "out of memory");
    }
    unload(&l);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    char *config = large_config();
    struct failing f;
    (void)state;
    failing_init(&f, UINT32_MAX);
    assert_int_equal(run(config, &f.allocator), SL_OK);
    uint32_t needed = f.made;
    assert_true(needed > 20);
    uint32_t failures = 0;
    for (uint32_t i = 0; i < needed; i++) {
        failing_init(&f, i);
        failures += run(config, &f.allocator) == SL_ERR_NOMEM;
    }
    /* Texts of diagnostics alone may be lost without harm. */
    assert_true(failures + 2 >= needed);
    free(config);
}

static void an_arena_has_a_limit(void **state)
{
    struct config_arena a;
    (void)state;
    arena_init(&a, NULL, 10000);
    assert_non_null(arena_take(&a, 0));
    uint8_t *p = arena_take(&a, 33);
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % 16, 0);
    for (int i = 0; i < 33; i++)
        assert_int_equal(p[i], 0);
    assert_null(arena_take(&a, 10000));
    assert_null(arena_take(&a, SIZE_MAX));
    assert_null(arena_take_array(&a, SIZE_MAX / 2, 3));
    assert_null(arena_copy(&a, "x", SIZE_MAX).p);
    assert_string_equal(arena_copy(&a, "text", 4).p, "text");
    uint32_t more = 0;
    while (arena_take(&a, 100))
        more++;
    assert_true(more > 30 && more < 100);
    arena_deinit(&a);
    arena_deinit(&a); /* harmless */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(an_arena_has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
