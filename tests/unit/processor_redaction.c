/* The redaction processor: what is refused, what is told of an earlier redaction, that hostile texts are
 * masked, and that nothing goes through without memory. */
#include "formats/otlp/check.h"
#include "processors/redaction/redaction.h"
#include "tests/support/plugin_host.h"
#include "tests/support/random_otlp.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

extern const sl_plugin sluice_plugin;

static uint64_t seed;

struct fixture {
    struct plugin_host *h;
    const sl_type *type;
    struct redaction_config config;
    sl_bytes blocked[2], keys[2];
    void *instance;
};

static void fixture_init(struct fixture *f, const char *blocked, const char *key, uint32_t summary)
{
    memset(f, 0, sizeof *f);
    f->h = plugin_host_create();
    f->type = sluice_plugin.types[0];
    f->config.base.host = &f->h->host;
    f->config.allow_all_keys = 1;
    f->config.summary = summary;
    f->blocked[0] = sl_str(blocked);
    f->keys[0] = sl_str(key);
    f->config.blocked_values =
        (sl_list){.at = f->blocked, .n = blocked ? 1 : 0, .stride = sizeof(sl_bytes)};
    f->config.blocked_key_patterns =
        (sl_list){.at = f->keys, .n = key ? 1 : 0, .stride = sizeof(sl_bytes)};
}

static void fixture_open(struct fixture *f)
{
    plugin_host_open(f->h, f->type, &f->config, &f->instance);
}

static void fixture_end(struct fixture *f)
{
    plugin_host_close(f->h, f->type, &f->config, f->instance);
}

/* A log record with a text as body and these attributes: name, value, ..., NULL. */
static sl_bytes log_of(uint8_t *at, size_t room, sl_bytes body, const char *const *attrs)
{
    sl_writer w = sl_writer_fixed(at, room);
    const size_t resource = sl_write_begin(&w, 1), scope = sl_write_begin(&w, 2);
    const size_t record = sl_write_begin(&w, 2);
    sl_write_value_text(&w, 5, body);
    for (; *attrs; attrs += 2)
        sl_write_attr_text(&w, 6, sl_str(attrs[0]), sl_str(attrs[1]));
    sl_write_end(&w, record);
    sl_write_end(&w, scope);
    sl_write_end(&w, resource);
    assert_false(w.failed);
    return sl_written(&w);
}

/* The one log record of what was handed on; ends the delivery. */
static void take(struct fixture *f, void (*look)(const sl_log_record *))
{
    sl_view view;
    sl_delivery *d = plugin_host_take(f->h);
    assert_non_null(d);
    assert_int_equal(sl_view_of(&f->h->host, d, &view), SL_OK);
    look(sl_log_at(&view, 0));
    plugin_host_end(f->h, d, SL_DELIVERED, NULL);
}

static void give(struct fixture *f, sl_bytes request)
{
    sl_delivery *d = plugin_host_delivery_of(f->h, SL_LOGS, &request, 1, 1);
    assert_int_equal(f->type->process(f->instance, d), SL_OK);
}

static void told_of_both(const sl_log_record *log)
{
    const sl_attrs attrs = sl_log_attrs(log);
    const sl_value body = sl_log_body(log);
    assert_true(sl_value_is(&body, "my **** is ****"));
    assert_true(sl_eq(sl_attr_text(attrs, "a"), sl_str("****")));
    assert_true(sl_eq(sl_attr_text(attrs, "token"), sl_str("****")));
    assert_true(sl_eq(sl_attr_text(attrs, "redaction.masked.keys"), sl_str("a,b,token,z")));
    assert_int_equal(sl_attr_int(attrs, "redaction.masked.count", -1), 2);
    assert_true(sl_eq(sl_attr_text(attrs, "redaction.body.masked.keys"), sl_str("body")));
    assert_int_equal(sl_attr_int(attrs, "redaction.body.masked.count", -1), 1);
}

static void summaries_add_up(void **state)
{
    static const char *const attrs[] = {"a",   "secret1", "token", "any", "redaction.masked.keys",
                                        "z,b", NULL};
    uint8_t at[1024];
    struct fixture f;
    (void)state;
    fixture_init(&f, "secret[0-9]", "token", SUMMARY_DEBUG);
    fixture_open(&f);
    give(&f, log_of(at, sizeof at, sl_str("my secret1 is secret2"), attrs));
    take(&f, told_of_both);
    fixture_end(&f);
}

/* A request with one record, of which all but the body's fields is there. */
static sl_writer log_begin(uint8_t *at, size_t room, size_t open[3])
{
    sl_writer w = sl_writer_fixed(at, room);
    open[0] = sl_write_begin(&w, 1);
    open[1] = sl_write_begin(&w, 2);
    open[2] = sl_write_begin(&w, 2);
    return w;
}

static sl_bytes log_end(sl_writer *w, const size_t open[3])
{
    for (int i = 3; i-- > 0;)
        sl_write_end(w, open[i]);
    assert_false(w->failed);
    return sl_written(w);
}

/* A list of texts as field `field`. */
static void write_list(sl_writer *w, uint32_t field, const char *const *texts)
{
    const size_t any = sl_write_begin(w, field), list = sl_write_begin(w, SL_VALUE_LIST);
    for (; *texts; texts++)
        sl_write_value_text(w, 1, sl_str(*texts));
    sl_write_end(w, list);
    sl_write_end(w, any);
}

static void has_one_body(const sl_log_record *log, sl_value *body)
{
    sl_repeated parts = sl_repeated_of(log->record, 5);
    sl_bytes part;
    assert_true(sl_repeated_next(&parts, &part));
    *body = sl_value_of(part);
    assert_false(sl_repeated_next(&parts, &part));
}

static void lists_are_merged(const sl_log_record *log)
{
    static const char *const texts[] = {"c", "****", "d", "e"};
    sl_value body, value;
    has_one_body(log, &body);
    sl_repeated list = sl_value_list(&body);
    for (size_t i = 0; i < 4; i++) {
        assert_true(sl_list_next(&list, &value));
        assert_true(sl_value_is(&value, texts[i]));
    }
    assert_false(sl_list_next(&list, &value));
}

static void last_text_counts(const sl_log_record *log)
{
    sl_value body;
    has_one_body(log, &body);
    assert_true(sl_value_is(&body, "plain"));
    assert_null(memmem(log->record.p, log->record.n, "secret", 6));
}

/* A list in the body's list in two fields, and a map's entry with two values. */
static void nothing_hides_inside(const sl_log_record *log)
{
    sl_value body;
    has_one_body(log, &body);
    assert_null(memmem(log->record.p, log->record.n, "secret", 6));
    assert_non_null(memmem(log->record.p, log->record.n, "****", 4));
    assert_non_null(memmem(log->record.p, log->record.n, "plain", 5));
}

static void bodies_in_several_parts(void **state)
{
    static const char *const before[] = {"a", "secret0", NULL},
                             *const first[] = {"c", "secret1", NULL}, *const second[] = {"d", NULL},
                             *const third[] = {"e", NULL};
    uint8_t at[1024];
    size_t open[3];
    struct fixture f;
    (void)state;
    fixture_init(&f, "secret[0-9]", "none", SUMMARY_SILENT);
    fixture_open(&f);

    sl_writer w = log_begin(at, sizeof at, open);
    write_list(&w, 5, before);
    sl_write_value_text(&w, 5, sl_str("secret2")); /* and so the list before it is gone */
    write_list(&w, 5, first);
    write_list(&w, 5, second);
    sl_write_bytes(&w, 5, sl_str(""));
    write_list(&w, 5, third);
    give(&f, log_end(&w, open));
    take(&f, lists_are_merged);

    w = log_begin(at, sizeof at, open);
    write_list(&w, 5, first);
    sl_write_value_text(&w, 5, sl_str("secret2"));
    sl_write_value_text(&w, 5, sl_str("plain"));
    give(&f, log_end(&w, open));
    take(&f, last_text_counts);

    w = log_begin(at, sizeof at, open);
    const size_t body = sl_write_begin(&w, 5), list = sl_write_begin(&w, SL_VALUE_LIST);
    const size_t any = sl_write_begin(&w, 1);
    for (int i = 0; i < 2; i++) {
        const size_t inner = sl_write_begin(&w, SL_VALUE_LIST);
        sl_write_value_text(&w, 1, sl_str(i == 0 ? "secret1" : "plain"));
        sl_write_end(&w, inner);
    }
    sl_write_end(&w, any);
    const size_t map_any = sl_write_begin(&w, 1), map = sl_write_begin(&w, SL_VALUE_MAP);
    const size_t pair = sl_write_begin(&w, 1);
    sl_write_bytes(&w, 1, sl_str("key"));
    write_list(&w, 2, first);
    write_list(&w, 2, third);
    sl_write_end(&w, pair);
    sl_write_end(&w, map);
    sl_write_end(&w, map_any);
    sl_write_end(&w, list);
    sl_write_end(&w, body);
    give(&f, log_end(&w, open));
    take(&f, nothing_hides_inside);
    fixture_end(&f);
}

static void hidden_as_a_whole(const sl_log_record *log)
{
    const sl_value body = sl_log_body(log);
    assert_true(sl_value_is(&body, "****"));
    assert_true(sl_eq(sl_attr_text(sl_log_attrs(log), "k"), sl_str("****")));
}

static void hostile_texts_are_masked(void **state)
{
    static char text[60001];
    static uint8_t at[200000];
    const char *const attrs[] = {"k", text, NULL};
    struct fixture f;
    (void)state;
    memset(text, 'a', sizeof text - 1);
    fixture_init(&f, "(a+)+[bd]$", NULL, SUMMARY_SILENT);
    fixture_open(&f);
    give(&f, log_of(at, sizeof at, sl_str(text), attrs));
    take(&f, hidden_as_a_whole);
    fixture_end(&f);
}

static void long_paths_are_cut_short(const sl_log_record *log)
{
    const sl_attrs attrs = sl_log_attrs(log);
    assert_int_equal(sl_attr_int(attrs, "redaction.body.masked.count", -1), 20000);
    assert_true(sl_attr_text(attrs, "redaction.body.masked.keys").n < 200000);
}

/* {"aaa...": ["s1", "s1", ...]}: paths to all entries would be 2 GB. */
static void paths_do_not_multiply(void **state)
{
    enum { KEY = 100000, ENTRIES = 20000 };
    static char key[KEY];
    static uint8_t at[400000];
    struct fixture f;
    (void)state;
    memset(key, 'a', sizeof key);
    sl_writer w = sl_writer_fixed(at, sizeof at);
    const size_t resource = sl_write_begin(&w, 1), scope = sl_write_begin(&w, 2);
    const size_t record = sl_write_begin(&w, 2), body = sl_write_begin(&w, 5);
    const size_t map = sl_write_begin(&w, SL_VALUE_MAP), pair = sl_write_begin(&w, 1);
    sl_write_bytes(&w, 1, sl_slice(key, sizeof key));
    const size_t value = sl_write_begin(&w, 2), list = sl_write_begin(&w, SL_VALUE_LIST);
    for (uint32_t i = 0; i < ENTRIES; i++)
        sl_write_value_text(&w, 1, sl_str("s1"));
    const size_t open[] = {list, value, pair, map, body, record, scope, resource};
    for (size_t i = 0; i < sizeof open / sizeof *open; i++)
        sl_write_end(&w, open[i]);
    assert_false(w.failed);
    fixture_init(&f, "s[0-9]", NULL, SUMMARY_DEBUG);
    fixture_open(&f);
    give(&f, sl_written(&w));
    take(&f, long_paths_are_cut_short);
    fixture_end(&f);
}

static void nothing_goes_through_without_memory(void **state)
{
    static const char *const attrs[] = {"a", "secret1", NULL};
    uint8_t at[1024];
    struct fixture f;
    uint32_t failures = 0;
    (void)state;
    fixture_init(&f, "secret[0-9]", NULL, SUMMARY_INFO);
    fixture_open(&f);
    const sl_bytes request = log_of(at, sizeof at, sl_str("secret1"), attrs);
    for (uint32_t fail = 1;; fail++) {
        sl_delivery *d = plugin_host_delivery_of(f.h, SL_LOGS, &request, 1, 1);
        f.h->fail_at = f.h->calls + fail;
        f.h->fail_on = true;
        const int32_t status = f.type->process(f.instance, d);
        f.h->fail_on = false;
        if (status == SL_OK)
            break;
        failures++;
        assert_int_equal(d->unclaimed, 1);
        assert_null(plugin_host_take(f.h));
        plugin_host_end(f.h, d, SL_FAILED, NULL);
    }
    assert_true(failures >= 3);
    plugin_host_end(f.h, plugin_host_take(f.h), SL_DELIVERED, NULL);
    fixture_end(&f);
}

/* Random requests: what comes out is sound, and a second redaction finds nothing to do. */
static void random_requests_are_redacted(void **state)
{
    static const uint32_t signals[] = {SL_TRACES, SL_METRICS, SL_LOGS};
    static const enum otlp_type tops[] = {OTLP_TRACES_DATA, OTLP_METRICS_DATA, OTLP_LOGS_DATA};
    uint32_t changed = 0;
    (void)state;
    for (uint32_t round = 0; round < 600; round++) {
        struct fixture f;
        struct otlp_checked checked;
        const uint32_t s = round % 3;
        sl_writer w = random_otlp_writer();
        random_otlp(&seed, tops[s], random_below(&seed, RANDOM_OTLP_FLAGS), 1 + round % 2, &w);
        const sl_bytes request = sl_written(&w);
        if (otlp_check(signals[s], request.p, request.n, NULL, &checked, NULL) != SL_OK ||
            checked.items == 0) {
            free(w.at);
            continue;
        }
        fixture_init(&f, "[a-m0-4]", NULL, SUMMARY_SILENT);
        f.config.redact_all_types = 1;
        fixture_open(&f);
        sl_delivery *first = plugin_host_delivery_of(f.h, signals[s], &request, 1, checked.items);
        assert_int_equal(f.type->process(f.instance, first), SL_OK);
        sl_delivery *once = plugin_host_take(f.h);
        struct otlp_checked after;
        sl_error error = {.size = sizeof error};
        if (otlp_check(signals[s], once->payload->segments[0].p, once->payload->segments[0].n, NULL,
                       &after, &error) != SL_OK)
            fail_msg("%s", error.text);
        assert_int_equal(after.items, checked.items);
        changed += once != first;
        assert_int_equal(f.type->process(f.instance, once), SL_OK);
        sl_delivery *twice = plugin_host_take(f.h);
        assert_ptr_equal(twice, once);
        plugin_host_end(f.h, twice, SL_DELIVERED, NULL);
        fixture_end(&f);
        free(w.at);
    }
    assert_true(changed > 100);
}

static void wrong_configs_are_refused(void **state)
{
    const sl_raw enabled = {.kind = 1, .key = sl_str("enabled"), .text = sl_str("true")};
    const sl_raw sql = {.kind = 3, .key = sl_str("sql"), .n = 1, .children = &enabled};
    const sl_raw url = {.kind = 3, .key = sl_str("url_sanitizer"), .n = 1, .children = &enabled};
    const sl_raw db = {.kind = 3, .key = sl_str("db_sanitizer"), .n = 1, .children = &sql};
    static const char *const said[] = {
        "blocked_values[0]: pattern \"(\"", "url_sanitizer is not supported",
        "db_sanitizer is not supported", "hmac-sha512 needs hmac_key"};
    (void)state;
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        struct fixture f;
        sl_error error = {.size = sizeof error};
        fixture_init(&f, i == 0 ? "(" : "x", NULL, SUMMARY_SILENT);
        f.config.url_sanitizer = i == 1 ? &url : NULL;
        f.config.db_sanitizer = i == 2 ? &db : NULL;
        f.config.hash_function = i == 3 ? 5 : 0;
        assert_int_equal(f.type->prepare(&f.config, &error), SL_ERR_INVALID);
        if (!strstr(error.text, said[i]))
            fail_msg("\"%s\" does not say: %s", error.text, said[i]);
        fixture_end(&f);
    }
}

int main(int argc, char **argv)
{
    seed = random_seed(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(summaries_add_up),
        cmocka_unit_test(bodies_in_several_parts),
        cmocka_unit_test(hostile_texts_are_masked),
        cmocka_unit_test(paths_do_not_multiply),
        cmocka_unit_test(nothing_goes_through_without_memory),
        cmocka_unit_test(random_requests_are_redacted),
        cmocka_unit_test(wrong_configs_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
