/* The memory limiter: what it refuses, when it looks, and what it does to get memory back. */
#include "tests/support/plugin_host.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

extern const sl_plugin sluice_plugin;

static const int64_t S = 1000000000;
static const uint64_t MIB = 1024 * 1024;

struct fixture {
    struct plugin_host *h;
    const sl_type *type;
    void *limiter; /* the config struct, filled by its own field table */
    sl_error error;
};

/* Sets a key as the host does; the struct is the plugin's own affair. */
static void set(struct fixture *f, const char *key, int64_t value)
{
    for (const sl_field *field = f->type->fields; field->key; field++) {
        if (strcmp(field->key, key) != 0)
            continue;
        uint8_t *at = (uint8_t *)f->limiter + field->offset;
        if (field->kind == SL_FIELD_U32)
            *(uint32_t *)(void *)at = (uint32_t)value;
        else
            *(int64_t *)(void *)at = value;
        return;
    }
    fail_msg("no key %s", key);
}

static void limiter_open(struct fixture *f)
{
    *f = (struct fixture){.h = plugin_host_create(), .type = sluice_plugin.types[0]};
    f->limiter = calloc(1, f->type->config_size);
    assert_non_null(f->limiter);
    ((sl_base *)f->limiter)->host = &f->h->host;
    for (const sl_field *field = f->type->fields; field->key; field++) {
        if (field->kind == SL_FIELD_DURATION)
            set(f, field->key, field->def.i);
    }
    f->h->now_ns = 100 * S;
    f->error = (sl_error){.size = sizeof f->error};
    set(f, "check_interval", S);
}

static int32_t limiter_start(struct fixture *f)
{
    const int32_t status = f->type->prepare(f->limiter, &f->error);
    return status == SL_OK ? f->type->start(f->limiter, &f->error) : status;
}

static void limiter_close(struct fixture *f)
{
    plugin_host_destroy(f->h);
    free(f->limiter);
}

/* Is a delivery of 3 spans handed on? If not, it has failed, which senders try again. */
static bool passes(struct fixture *f)
{
    static const uint8_t bytes[] = {0x0a, 0};
    const sl_bytes segment = sl_slice(bytes, 2);
    sl_delivery *d = plugin_host_delivery_of(f->h, SL_TRACES, &segment, 1, 3);
    const uint32_t failed = plugin_host_count(f->h, SL_FAILED);
    assert_int_equal(f->type->process(f->limiter, d), SL_OK);
    sl_delivery *out = plugin_host_take(f->h);
    assert_int_equal(plugin_host_count(f->h, SL_FAILED), failed + (out ? 0 : 3));
    if (out)
        plugin_host_end(f->h, out, SL_DELIVERED, NULL);
    else
        assert_string_equal(f->h->why[f->h->ids - 1], "memory_limiter");
    return out != NULL;
}

static void soft_limit(void **state)
{
    struct fixture f;
    (void)state;
    limiter_open(&f);
    set(&f, "limit_mib", 100);
    set(&f, "spike_limit_mib", 30);
    assert_int_equal(limiter_start(&f), SL_OK);
    f.h->memory_used = 70 * MIB - 1;
    assert_true(passes(&f));
    f.h->now_ns += S;
    f.h->memory_used = 70 * MIB;
    assert_false(passes(&f));
    assert_non_null(strstr(f.h->log, "above soft limit. Refusing data. cur_mem_mib: 70"));
    f.h->now_ns += S;
    f.h->memory_used = 60 * MIB;
    assert_true(passes(&f));
    assert_non_null(strstr(f.h->log, "Resuming normal operation. cur_mem_mib: 60"));
    assert_int_equal(plugin_host_metric(f.h, "otelcol_processor_accepted_spans"), 6);
    assert_int_equal(plugin_host_metric(f.h, "otelcol_processor_refused_spans"), 3);
    limiter_close(&f);
}

static void looks_at_intervals(void **state)
{
    struct fixture f;
    (void)state;
    limiter_open(&f);
    set(&f, "limit_mib", 100);
    assert_int_equal(limiter_start(&f), SL_OK);
    f.h->memory_used = 10 * MIB;
    assert_true(passes(&f)); /* looks at once, as the last look was never */
    f.h->memory_used = 99 * MIB;
    f.h->now_ns += S - 1;
    assert_true(passes(&f));
    f.h->now_ns += 1;
    assert_false(passes(&f));
    f.h->memory_used = 10 * MIB;
    assert_false(passes(&f));
    f.h->now_ns += 100 * S; /* however long nothing came, the next one finds out */
    assert_true(passes(&f));
    for (int slot = 0; slot < HOST_TIMERS; slot++)
        assert_int_equal(f.h->timer_ns[slot], 0); /* and nothing wakes an idle process */
    limiter_close(&f);
}

static void a_fifth_by_default(void **state)
{
    struct fixture f;
    (void)state;
    limiter_open(&f);
    set(&f, "limit_mib", 100);
    assert_int_equal(limiter_start(&f), SL_OK);
    f.h->memory_used = 80 * MIB - 1;
    assert_true(passes(&f));
    f.h->now_ns += S;
    f.h->memory_used = 80 * MIB;
    assert_false(passes(&f));
    limiter_close(&f);
}

static void percentages(void **state)
{
    static const struct {
        int64_t limit, spike;
        uint64_t soft;
    } cases[] = {{80, 20, 600}, {50, 0, 400}, {100, 1, 990}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        limiter_open(&f);
        f.h->memory_granted = 1000 * MIB;
        set(&f, "limit_percentage", cases[i].limit);
        set(&f, "spike_limit_percentage", cases[i].spike);
        assert_int_equal(limiter_start(&f), SL_OK);
        f.h->memory_used = (cases[i].soft - 1) * MIB;
        assert_true(passes(&f));
        f.h->now_ns += S;
        f.h->memory_used = cases[i].soft * MIB;
        assert_false(passes(&f));
        limiter_close(&f);
    }
    struct fixture f; /* limit_mib goes before */
    limiter_open(&f);
    f.h->memory_granted = 1000 * MIB;
    set(&f, "limit_mib", 10);
    set(&f, "limit_percentage", 50);
    assert_int_equal(limiter_start(&f), SL_OK);
    f.h->memory_used = 100 * MIB;
    assert_false(passes(&f));
    limiter_close(&f);
}

/* Before data is refused for long, what is kept for reuse is given back, and that may be enough. */
static void trims(void **state)
{
    struct fixture f;
    (void)state;
    limiter_open(&f);
    set(&f, "limit_mib", 100);
    assert_int_equal(limiter_start(&f), SL_OK);
    f.h->memory_used = 90 * MIB;
    f.h->memory_after_trim = 50 * MIB;
    assert_true(passes(&f));
    assert_int_equal(f.h->trims, 1);
    /* it does not help any more: not again before ten seconds are over */
    f.h->memory_after_trim = 0;
    f.h->memory_used = 90 * MIB;
    for (int i = 1; i < 10; i++) {
        f.h->now_ns += S;
        assert_false(passes(&f));
        assert_int_equal(f.h->trims, 1);
    }
    f.h->now_ns += S;
    assert_false(passes(&f));
    assert_int_equal(f.h->trims, 2);
    /* above the hard limit at each look */
    f.h->memory_used = 100 * MIB;
    for (int i = 1; i < 5; i++) {
        f.h->now_ns += S;
        assert_false(passes(&f));
        assert_int_equal(f.h->trims, 2 + i);
    }
    limiter_close(&f);
}

static void every_signal_is_counted(void **state)
{
    static const uint32_t signals[] = {SL_TRACES, SL_METRICS, SL_LOGS, SL_PROFILES};
    static const uint8_t bytes[] = {0x0a, 0};
    const sl_bytes segment = sl_slice(bytes, 2);
    struct fixture f;
    (void)state;
    limiter_open(&f);
    set(&f, "limit_mib", 100);
    assert_int_equal(limiter_start(&f), SL_OK);
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 4; i++) {
            sl_delivery *d = plugin_host_delivery_of(f.h, signals[i], &segment, 1, i + 1);
            assert_int_equal(f.type->process(f.limiter, d), SL_OK);
            sl_delivery *out = plugin_host_take(f.h);
            assert_int_equal(out != NULL, round == 0);
            if (out)
                plugin_host_end(f.h, out, SL_DELIVERED, NULL);
        }
        f.h->memory_used = 100 * MIB;
        f.h->now_ns += S;
    }
    static const char *const items[] = {"spans", "metric_points", "log_records"};
    for (int i = 0; i < 3; i++) {
        char name[64];
        snprintf(name, sizeof name, "otelcol_processor_accepted_%s", items[i]);
        assert_int_equal(plugin_host_metric(f.h, name), i + 1);
        snprintf(name, sizeof name, "otelcol_processor_refused_%s", items[i]);
        assert_int_equal(plugin_host_metric(f.h, name), i + 1);
    }
    limiter_close(&f);
}

static void what_is_wrong_is_refused(void **state)
{
    static const struct {
        int64_t interval, limit, spike, percentage, spike_percentage, soft_gc, hard_gc;
        const char *text; /* NULL: it is right */
    } cases[] = {
        {1, 10, 0, 0, 0, 1, 1, NULL},
        {1, 10, 9, 0, 0, 1, 0, NULL},
        {1, 0, 0, 100, 99, 1, 0, NULL},
        {0, 10, 0, 0, 0, 1, 0, "check_interval must be greater than zero"},
        {1, 0, 0, 0, 0, 1, 0, "limit_mib or limit_percentage must be greater than zero"},
        {1, 10, 10, 0, 0, 1, 0, "spike_limit_mib (10) must be smaller than limit_mib (10)"},
        {1, 0, 0, 50, 50, 1, 0, "spike_limit_percentage (50) must be smaller"},
        {1, 10, 0, 0, 0, 1, 2, "min_gc_interval_when_soft_limited must not be less"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        limiter_open(&f);
        set(&f, "check_interval", cases[i].interval);
        set(&f, "limit_mib", cases[i].limit);
        set(&f, "spike_limit_mib", cases[i].spike);
        set(&f, "limit_percentage", cases[i].percentage);
        set(&f, "spike_limit_percentage", cases[i].spike_percentage);
        set(&f, "min_gc_interval_when_soft_limited", cases[i].soft_gc);
        set(&f, "min_gc_interval_when_hard_limited", cases[i].hard_gc);
        f.h->memory_granted = 1000 * MIB;
        assert_int_equal(limiter_start(&f), cases[i].text ? SL_ERR_INVALID : SL_OK);
        if (cases[i].text)
            assert_non_null(strstr(f.error.text, cases[i].text));
        limiter_close(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(soft_limit),
        cmocka_unit_test(looks_at_intervals),
        cmocka_unit_test(a_fifth_by_default),
        cmocka_unit_test(percentages),
        cmocka_unit_test(trims),
        cmocka_unit_test(every_signal_is_counted),
        cmocka_unit_test(what_is_wrong_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
