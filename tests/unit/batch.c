/* The batch processor: what is merged, split, held and handed on, and when. */
#include "processors/batch/batch.h"
#include "tests/support/plugin_host.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

extern const sl_plugin sluice_plugin;

static const int64_t MS = 1000000;

struct fixture {
    struct plugin_host *h;
    const sl_type *type;
    struct batch_config config;
    void *instance;
    int64_t time_ns;
};

static void open_batch(struct fixture *f, struct batch_config config)
{
    *f = (struct fixture){.h = plugin_host_create(), .type = sluice_plugin.types[0]};
    f->h->now_ns = 1000 * MS;
    f->config = config;
    f->config.base.host = &f->h->host;
    sl_error error = {.size = sizeof error};
    assert_int_equal(f->type->prepare(&f->config, &error), SL_OK);
    assert_int_equal(f->type->start(&f->config, &error), SL_OK);
    assert_int_equal(f->type->open(&f->config, &f->h->host, &f->instance, &error), SL_OK);
}

static void close_batch(struct fixture *f)
{
    f->type->close(f->instance);
    plugin_host_destroy(f->h);
}

static void give_with(struct fixture *f, uint32_t n, const sl_metadata *m)
{
    assert_false(f->h->not_ready);
    assert_int_equal(f->type->process(f->instance, plugin_host_delivery(f->h, n, m)), SL_OK);
}

static void give(struct fixture *f, uint32_t n)
{
    give_with(f, n, NULL);
}

static void move_clock(struct fixture *f, int64_t ns)
{
    f->h->now_ns += ns;
    if (f->h->timer_ns[0] && f->h->timer_ns[0] <= f->h->now_ns) {
        f->h->timer_ns[0] = 0;
        f->type->on_timer(f->instance, 0);
    }
}

/* Takes one batch, delivers it and checks that it has the ids from `first` on. */
static void expect(struct fixture *f, uint64_t first, uint32_t n)
{
    sl_delivery *d = plugin_host_take(f->h);
    assert_non_null(d);
    assert_int_equal(d->items, n);
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(plugin_host_id(d, i), first + i);
    plugin_host_end(f->h, d, SL_DELIVERED, NULL);
}

static void expect_nothing(struct fixture *f)
{
    assert_null(plugin_host_take(f->h));
}

static void merges_until_full(void **state)
{
    struct fixture f;
    (void)state;
    open_batch(&f, (struct batch_config){.timeout = 200 * MS, .send_batch_size = 100});
    give(&f, 40);
    give(&f, 40);
    expect_nothing(&f);
    give(&f, 40);
    expect(&f, 0, 120);
    expect_nothing(&f);
    assert_int_equal(f.h->derives, 1);
    assert_int_equal(plugin_host_metric(f.h, "otelcol_processor_batch_batch_size_trigger_send"), 1);
    assert_int_equal(plugin_host_metric(f.h, "otelcol_processor_batch_batch_send_size"), 120);
    close_batch(&f);
}

static void full_delivery_passes_as_it_is(void **state)
{
    struct fixture f;
    (void)state;
    open_batch(&f, (struct batch_config){.timeout = 200 * MS, .send_batch_size = 100});
    give(&f, 100);
    expect(&f, 0, 100);
    assert_int_equal(f.h->derives, 0);
    close_batch(&f);
}

static void timeout_sends_what_is_there(void **state)
{
    struct fixture f;
    (void)state;
    open_batch(&f, (struct batch_config){.timeout = 200 * MS, .send_batch_size = 100});
    give(&f, 10);
    move_clock(&f, 150 * MS);
    give(&f, 10);
    expect_nothing(&f);
    move_clock(&f, 50 * MS);
    expect(&f, 0, 20);
    assert_int_equal(plugin_host_metric(f.h, "otelcol_processor_batch_timeout_trigger_send"), 1);
    /* the next one waits its own time */
    give(&f, 1);
    move_clock(&f, 199 * MS);
    expect_nothing(&f);
    move_clock(&f, 1 * MS);
    expect(&f, 20, 1);
    close_batch(&f);
}

static void early_batch_leaves_no_early_timeout(void **state)
{
    struct fixture f;
    (void)state;
    open_batch(&f, (struct batch_config){.timeout = 200 * MS, .send_batch_size = 100});
    give(&f, 50);
    move_clock(&f, 100 * MS);
    give(&f, 50);
    expect(&f, 0, 100);
    give(&f, 5);
    move_clock(&f, 100 * MS); /* the first one's timer */
    expect_nothing(&f);
    move_clock(&f, 100 * MS);
    expect(&f, 100, 5);
    close_batch(&f);
}

static void splits_above_the_maximum(void **state)
{
    struct fixture f;
    (void)state;
    open_batch(&f, (struct batch_config){
                       .timeout = 200 * MS, .send_batch_size = 100, .send_batch_max_size = 100});
    give(&f, 30);
    give(&f, 250);
    expect(&f, 0, 100);
    expect(&f, 100, 100);
    expect_nothing(&f);
    move_clock(&f, 200 * MS);
    expect(&f, 200, 80);
    assert_int_equal(plugin_host_count(f.h, SL_DELIVERED), 280);
    close_batch(&f);
}

static void no_timeout_only_splits(void **state)
{
    struct fixture f;
    (void)state;
    open_batch(&f, (struct batch_config){.send_batch_size = 10, .send_batch_max_size = 10});
    give(&f, 25);
    give(&f, 3);
    expect(&f, 0, 10);
    expect(&f, 10, 10);
    expect(&f, 20, 5);
    expect(&f, 25, 3);
    assert_int_equal(f.h->timer_ns[0], 0);
    close_batch(&f);
}

static void no_size_sends_at_once(void **state)
{
    struct fixture f;
    (void)state;
    open_batch(&f, (struct batch_config){.timeout = 200 * MS});
    give(&f, 3);
    expect(&f, 0, 3);
    close_batch(&f);
}

static void outcome_goes_back_item_by_item(void **state)
{
    struct fixture f;
    (void)state;
    open_batch(&f, (struct batch_config){.timeout = 200 * MS, .send_batch_size = 6});
    give(&f, 2);
    give(&f, 4);
    sl_delivery *d = plugin_host_take(f.h);
    assert_int_equal(sl_settle(&f.h->host, d, 1, 2, SL_REJECTED, "bad"), SL_OK);
    plugin_host_end(f.h, d, SL_DELIVERED, NULL);
    assert_int_equal(f.h->outcome[0], SL_DELIVERED);
    assert_int_equal(f.h->outcome[1], SL_REJECTED);
    assert_int_equal(f.h->outcome[2], SL_REJECTED);
    assert_int_equal(f.h->outcome[3], SL_DELIVERED);
    close_batch(&f);
}

static void full_output_pauses(void **state)
{
    struct fixture f;
    (void)state;
    open_batch(&f, (struct batch_config){
                       .timeout = 200 * MS, .send_batch_size = 10, .send_batch_max_size = 10});
    f.h->out_full_at = 1;
    give(&f, 35);
    assert_true(f.h->not_ready);
    assert_int_equal(f.h->out_n, 1);
    sl_delivery *d = plugin_host_delivery(f.h, 1, NULL);
    assert_int_equal(f.type->process(f.instance, d), SL_ERR_FULL);
    plugin_host_end(f.h, d, SL_FAILED, NULL);
    expect(&f, 0, 10);
    f.type->on_ready(f.instance);
    assert_true(f.h->not_ready);
    expect(&f, 10, 10);
    f.h->out_full_at = 0;
    f.type->on_ready(f.instance);
    assert_false(f.h->not_ready);
    expect(&f, 20, 10);
    expect(&f, 30, 5);
    close_batch(&f);
}

static void drain_sends_all(void **state)
{
    struct fixture f;
    (void)state;
    open_batch(&f, (struct batch_config){.timeout = 200 * MS, .send_batch_size = 100});
    give(&f, 10);
    give(&f, 20);
    f.type->on_drain(f.instance);
    expect(&f, 0, 30);
    give(&f, 4); /* comes late: is not kept waiting */
    expect(&f, 30, 4);
    close_batch(&f);
}

static void groups_by_metadata(void **state)
{
    struct fixture f;
    (void)state;
    const sl_bytes keys[] = {sl_str("Tenant"), sl_str("zone")};
    const sl_meta_entry a_entries[] = {{sl_str("tenant"), sl_str("a")}, {sl_str("x"), sl_str("1")}};
    const sl_meta_entry b_entries[] = {{sl_str("tenant"), sl_str("b")}};
    const sl_meta_entry z_entries[] = {{sl_str("zone"), sl_str("a")}};
    const sl_metadata a = {.size = sizeof a, .n = 2, .at = a_entries};
    const sl_metadata b = {.size = sizeof b, .n = 1, .at = b_entries};
    const sl_metadata z = {.size = sizeof z, .n = 1, .at = z_entries};
    open_batch(&f, (struct batch_config){.timeout = 200 * MS,
                                         .send_batch_size = 100,
                                         .metadata_keys = {keys, 2, sizeof *keys},
                                         .metadata_cardinality_limit = 2});
    give_with(&f, 10, &a);
    move_clock(&f, 50 * MS);
    give_with(&f, 10, &b);
    give_with(&f, 10, &a);
    sl_delivery *one_more = plugin_host_delivery(f.h, 1, &z);
    assert_int_equal(f.type->process(f.instance, one_more), SL_ERR_REJECTED);
    plugin_host_end(f.h, one_more, SL_REJECTED, NULL);
    move_clock(&f, 150 * MS);
    sl_delivery *d = plugin_host_take(f.h);
    assert_int_equal(d->items, 20);
    assert_int_equal(plugin_host_id(d, 0), 0);
    assert_int_equal(plugin_host_id(d, 10), 20);
    plugin_host_end(f.h, d, SL_DELIVERED, NULL);
    expect_nothing(&f);
    give_with(&f, 5, &z); /* a's group is gone */
    move_clock(&f, 50 * MS);
    expect(&f, 10, 10);
    move_clock(&f, 150 * MS);
    expect(&f, 31, 5);
    close_batch(&f);
}

static void overlong_metadata_is_refused(void **state)
{
    struct fixture f;
    (void)state;
    const sl_bytes key = sl_str("k");
    char *text = calloc(1, 20000);
    const sl_meta_entry entry = {sl_str("k"), sl_slice(text, 20000)};
    const sl_metadata m = {.size = sizeof m, .n = 1, .at = &entry};
    open_batch(&f, (struct batch_config){.timeout = 200 * MS,
                                         .send_batch_size = 100,
                                         .metadata_keys = {&key, 1, sizeof key}});
    sl_delivery *d = plugin_host_delivery(f.h, 1, &m);
    assert_int_equal(f.type->process(f.instance, d), SL_ERR_TOO_LARGE);
    plugin_host_end(f.h, d, SL_REJECTED, NULL);
    close_batch(&f);
    free(text);
}

static void one_item_deliveries_have_no_cap(void **state)
{
    struct fixture f;
    (void)state;
    open_batch(&f, (struct batch_config){.timeout = 200 * MS, .send_batch_size = 8192});
    for (int i = 0; i < 8192; i++)
        give(&f, 1);
    expect(&f, 0, 8192);
    assert_int_equal(f.h->derives, 1);
    close_batch(&f);
}

static void without_memory_goes_on_unmerged(void **state)
{
    struct fixture f;
    (void)state;
    open_batch(&f, (struct batch_config){.timeout = 200 * MS, .send_batch_size = 10});
    give(&f, 4);
    f.h->fail_at = f.h->calls + 1;
    f.h->fail_on = true;
    give(&f, 6);
    expect(&f, 0, 4); /* the merge failed; what is left is below the size */
    f.h->fail_at = 0;
    give(&f, 4);
    expect(&f, 4, 10);
    close_batch(&f);
}

static void without_memory_a_split_waits(void **state)
{
    struct fixture f;
    (void)state;
    open_batch(&f, (struct batch_config){
                       .timeout = 200 * MS, .send_batch_size = 10, .send_batch_max_size = 10});
    give(&f, 4);
    f.h->fail_at = f.h->calls + 1;
    f.h->fail_on = true;
    give(&f, 16);
    expect(&f, 0, 4);
    assert_true(f.h->not_ready);
    move_clock(&f, 20 * MS);
    assert_true(f.h->not_ready);
    expect_nothing(&f);
    f.h->fail_at = 0;
    move_clock(&f, 20 * MS);
    assert_false(f.h->not_ready);
    expect(&f, 4, 10);
    expect(&f, 14, 6);
    close_batch(&f);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    const sl_bytes keys[] = {sl_str("tenant")};
    for (uint32_t fail = 1; fail < 40; fail++) {
        struct fixture f;
        open_batch(&f, (struct batch_config){.timeout = 200 * MS,
                                             .send_batch_size = 50,
                                             .send_batch_max_size = 60,
                                             .metadata_keys = {keys, fail % 2, sizeof *keys}});
        f.h->fail_at = f.h->calls + fail;
        uint32_t given = 0;
        for (int i = 0; i < 100; i++) {
            sl_delivery *d = plugin_host_delivery(f.h, 1 + (uint32_t)i % 7, NULL);
            given += d->items;
            const int32_t status = f.type->process(f.instance, d);
            if (status != SL_OK) {
                assert_int_equal(status, f.h->not_ready ? SL_ERR_FULL : SL_ERR_NOMEM);
                plugin_host_end(f.h, d, SL_FAILED, "nomem");
                move_clock(&f, 20 * MS);
            }
        }
        move_clock(&f, 200 * MS);
        f.type->on_drain(f.instance);
        for (sl_delivery *d; (d = plugin_host_take(f.h));) {
            assert_true(d->items <= 60);
            plugin_host_end(f.h, d, SL_DELIVERED, NULL);
        }
        assert_int_equal(plugin_host_count(f.h, SL_DELIVERED) + plugin_host_count(f.h, SL_FAILED),
                         given);
        assert_true(plugin_host_count(f.h, SL_FAILED) <= 14);
        close_batch(&f);
    }
}

static void random_orders_lose_nothing(void **state)
{
    (void)state;
    const char *given_seed = getenv("SEED");
    const unsigned seed = given_seed ? (unsigned)strtoul(given_seed, NULL, 10) : 20260801;
    print_message("SEED=%u\n", seed);
    for (unsigned run = 0; run < 200; run++) {
        srand(seed + run);
        struct fixture f;
        const uint32_t size = 1 + (uint32_t)rand() % 100;
        const uint32_t max = rand() % 2 ? size + (uint32_t)rand() % 50 : 0;
        open_batch(&f, (struct batch_config){.timeout = rand() % 4 ? 200 * MS : 0,
                                             .send_batch_size = size,
                                             .send_batch_max_size = max});
        f.h->out_full_at = (uint32_t)rand() % 3;
        uint64_t expected = 0;
        for (int step = 0; step < 300; step++) {
            const int what = rand() % 4;
            if (what < 2 && !f.h->not_ready)
                give(&f, 1 + (uint32_t)rand() % 200);
            else if (what == 2 && f.h->out_n < f.h->out_full_at + 1u)
                move_clock(&f, rand() % 100 * MS);
            else if (f.h->out_n > 0) {
                sl_delivery *d = plugin_host_take(f.h);
                assert_true(max == 0 || d->items <= max);
                for (uint32_t i = 0; i < d->items; i++)
                    assert_int_equal(plugin_host_id(d, i), expected++);
                plugin_host_end(f.h, d, SL_DELIVERED, NULL);
                if (f.h->not_ready)
                    f.type->on_ready(f.instance);
            }
        }
        f.h->out_full_at = 0;
        f.type->on_ready(f.instance);
        f.type->on_drain(f.instance);
        for (sl_delivery *d; (d = plugin_host_take(f.h));) {
            for (uint32_t i = 0; i < d->items; i++)
                assert_int_equal(plugin_host_id(d, i), expected++);
            plugin_host_end(f.h, d, SL_DELIVERED, NULL);
        }
        assert_int_equal(expected, f.h->ids);
        close_batch(&f);
    }
}

static void wrong_settings_are_refused(void **state)
{
    (void)state;
    const sl_type *type = sluice_plugin.types[0];
    sl_error error = {.size = sizeof error};
    struct batch_config c = {.send_batch_size = 10, .send_batch_max_size = 9};
    assert_int_equal(type->prepare(&c, &error), SL_ERR_INVALID);
    assert_non_null(strstr(error.text, "send_batch_max_size (9)"));
    const sl_bytes twice[] = {sl_str("X-Tenant"), sl_str("x-tenant")};
    c = (struct batch_config){.metadata_keys = {twice, 2, sizeof *twice}};
    assert_int_equal(type->prepare(&c, &error), SL_ERR_INVALID);
    const sl_bytes near[] = {sl_str("x@"), sl_str("x`")}; /* differ by the case bit, no letters */
    c = (struct batch_config){.metadata_keys = {near, 2, sizeof *near}};
    assert_int_equal(type->prepare(&c, &error), SL_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_until_full),
        cmocka_unit_test(full_delivery_passes_as_it_is),
        cmocka_unit_test(timeout_sends_what_is_there),
        cmocka_unit_test(early_batch_leaves_no_early_timeout),
        cmocka_unit_test(splits_above_the_maximum),
        cmocka_unit_test(no_timeout_only_splits),
        cmocka_unit_test(no_size_sends_at_once),
        cmocka_unit_test(outcome_goes_back_item_by_item),
        cmocka_unit_test(full_output_pauses),
        cmocka_unit_test(drain_sends_all),
        cmocka_unit_test(groups_by_metadata),
        cmocka_unit_test(overlong_metadata_is_refused),
        cmocka_unit_test(one_item_deliveries_have_no_cap),
        cmocka_unit_test(without_memory_goes_on_unmerged),
        cmocka_unit_test(without_memory_a_split_waits),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(random_orders_lose_nothing),
        cmocka_unit_test(wrong_settings_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
