/* The example of a processor: which spans it drops. */
#include "sluice/otlp.h"
#include "tests/support/plugin_host.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

extern const sl_plugin sluice_plugin;

/* The struct of the example. */
struct config {
    sl_base base;
    sl_bytes key, value;
};

/* Spans 0 to 3: no attribute, env=prod, env=test, env=7. */
static sl_delivery *spans(struct plugin_host *h)
{
    uint8_t at[512];
    sl_writer w = sl_writer_fixed(at, sizeof at);
    const size_t resource = sl_write_begin(&w, 1), scope = sl_write_begin(&w, 2);
    for (int i = 0; i < 4; i++) {
        const size_t span = sl_write_begin(&w, 2);
        sl_write_attr_text(&w, 9, sl_str("other"), sl_str("test"));
        if (i == 1 || i == 2)
            sl_write_attr_text(&w, 9, sl_str("env"), sl_str(i == 1 ? "prod" : "test"));
        if (i == 3)
            sl_write_attr_int(&w, 9, sl_str("env"), 7);
        sl_write_end(&w, span);
    }
    sl_write_end(&w, scope);
    sl_write_end(&w, resource);
    assert_false(w.failed);
    const sl_bytes bytes = sl_written(&w);
    return plugin_host_delivery_of(h, SL_TRACES, &bytes, 1, 4);
}

static void check_dropped(const char *key, const char *value, const bool dropped[4])
{
    struct plugin_host *h = plugin_host_create();
    struct config config = {{&h->host}, sl_str(key), sl_str(value)};
    assert_int_equal(sluice_plugin.types[0]->config_size, sizeof config);
    assert_int_equal(sluice_plugin.types[0]->process(&config, spans(h)), SL_OK);
    sl_delivery *d = plugin_host_take(h);
    if (d)
        plugin_host_end(h, d, SL_DELIVERED, NULL);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(h->outcome[i], dropped[i] ? SL_DROPPED : SL_DELIVERED);
        if (dropped[i])
            assert_string_equal(h->why[i], "attribute");
    }
    plugin_host_destroy(h);
}

static void by_key(void **state)
{
    (void)state;
    check_dropped("env", NULL, (const bool[4]){false, true, true, true});
    check_dropped("missing", NULL, (const bool[4]){false, false, false, false});
    check_dropped("other", NULL, (const bool[4]){true, true, true, true});
}

static void by_value(void **state)
{
    (void)state;
    check_dropped("env", "test", (const bool[4]){false, false, true, false});
    check_dropped("env", "7", (const bool[4]){false, false, false, false});
}

static void without_memory_the_host_keeps_it(void **state)
{
    struct plugin_host *h = plugin_host_create();
    struct config config = {{&h->host}, sl_str("env"), {NULL, 0}};
    (void)state;
    for (uint32_t fail = 1; fail <= 2; fail++) { /* the mask, the cut */
        sl_delivery *d = spans(h);
        h->fail_at = h->calls + fail;
        assert_int_equal(sluice_plugin.types[0]->process(&config, d), SL_ERR_NOMEM);
        assert_int_equal(d->unclaimed, 4);
        plugin_host_end(h, d, SL_FAILED, NULL);
    }
    plugin_host_destroy(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_key),
        cmocka_unit_test(by_value),
        cmocka_unit_test(without_memory_the_host_keeps_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
