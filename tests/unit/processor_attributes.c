/* The processors `attributes` and `resource`: what each action does, what is refused, and that
 * nothing is lost without memory. */
#include "processors/attributes/actions.h"
#include "sluice/otlp.h"
#include "tests/support/plugin_host.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

extern const sl_plugin sluice_plugin;

/* A plain scalar of a config; text in "quotes" is quoted. */
static sl_raw scalar(const char *text)
{
    const bool quoted = text[0] == '"';
    const size_t n = strlen(text) - 2 * quoted;
    return (sl_raw){
        .size = sizeof(sl_raw), .kind = 1, .quoted = quoted, .text = sl_slice(text + quoted, n)};
}

struct act {
    const char *key, *action, *value, *pattern, *from_attribute, *from_context, *converted_type,
        *default_value;
};

enum { ACTS_MAX = 4 };

struct list {
    struct action_config configs[ACTS_MAX];
    sl_raw values[ACTS_MAX], defaults[ACTS_MAX];
    sl_list list;
};

static sl_bytes text_of(const char *text)
{
    return text ? sl_str(text) : sl_slice(NULL, 0);
}

static void list_init(struct list *l, const struct act *acts, uint32_t n)
{
    memset(l, 0, sizeof *l);
    for (uint32_t i = 0; i < n; i++) {
        struct action_config *c = &l->configs[i];
        c->key = text_of(acts[i].key);
        c->action = text_of(acts[i].action);
        c->pattern = text_of(acts[i].pattern);
        c->from_attribute = text_of(acts[i].from_attribute);
        c->from_context = text_of(acts[i].from_context);
        c->converted_type = text_of(acts[i].converted_type);
        if (acts[i].value) {
            l->values[i] = scalar(acts[i].value);
            c->value = &l->values[i];
        }
        if (acts[i].default_value) {
            l->defaults[i] = scalar(acts[i].default_value);
            c->default_value = &l->defaults[i];
        }
    }
    l->list = (sl_list){.at = l->configs, .n = n, .stride = sizeof *l->configs};
}

/* ---- one record ---- */

static void show(sl_bytes record, char *text, size_t room)
{
    sl_attrs attrs = sl_repeated_of(record, 9);
    sl_bytes key;
    sl_value v;
    size_t n = 0;
    text[0] = 0;
    while (sl_attr_next(&attrs, &key, &v)) {
        n += (size_t)snprintf(text + n, room - n, "%s%.*s=", n ? " " : "", (int)key.n,
                              (const char *)key.p);
        switch (v.type) {
        case SL_VALUE_TEXT:
            n += (size_t)snprintf(text + n, room - n, "\"%.*s\"", (int)v.bytes.n,
                                  (const char *)v.bytes.p);
            break;
        case SL_VALUE_BOOL:
            n += (size_t)snprintf(text + n, room - n, v.number.u ? "true" : "false");
            break;
        case SL_VALUE_INT:
            n += (size_t)snprintf(text + n, room - n, "%lld", (long long)v.number.i);
            break;
        case SL_VALUE_DOUBLE:
            n += (size_t)snprintf(text + n, room - n, "%g", v.number.f);
            break;
        default:
            n += (size_t)snprintf(text + n, room - n, "(%u)", v.type);
            break;
        }
    }
}

static sl_bytes sample(uint8_t *at, size_t room)
{
    sl_writer w = sl_writer_fixed(at, room);
    sl_write_attr_text(&w, 9, sl_str("s"), sl_str("text"));
    sl_write_attr_int(&w, 9, sl_str("i"), 7);
    sl_write_attr_double(&w, 9, sl_str("d"), 2.75);
    sl_write_attr_bool(&w, 9, sl_str("b"), true);
    sl_write_attr_text(&w, 9, sl_str("n"), sl_str("-12"));
    sl_write_attr_text(&w, 9, sl_str("f"), sl_str("1.5e3"));
    assert_false(w.failed);
    return sl_written(&w);
}

#define SAMPLE "s=\"text\" i=7 d=2.75 b=true n=\"-12\" f=\"1.5e3\""

static void check_acts(const struct act *acts, uint32_t n, const char *expected)
{
    static const sl_meta_entry entries[] = {
        {{(const uint8_t *)"x-tenant", 8}, {(const uint8_t *)"a", 1}},
        {{(const uint8_t *)"x-tenant", 8}, {(const uint8_t *)"b", 1}},
        {{(const uint8_t *)"auth.subject", 12}, {(const uint8_t *)"me", 2}}};
    static const sl_metadata metadata = {.size = sizeof metadata, .n = 3, .at = entries};
    struct list l;
    struct actions *actions = NULL;
    struct actions_runner runner;
    struct otlp_parts parts = {.at = NULL};
    sl_error error = {.size = sizeof error};
    uint8_t at[512], all[1024], *p = all;
    char text[1024];
    const sl_bytes record = sample(at, sizeof at);
    list_init(&l, acts, n);
    if (actions_compile(&l.list, "actions", &actions, &error) != SL_OK)
        fail_msg("%s", error.text);
    assert_int_equal(actions_runner_init(&runner, actions, &error), SL_OK);
    assert_true(actions_begin(&runner, &metadata));
    const enum otlp_verdict verdict = actions_run(&runner, record, 9, &parts);
    for (uint32_t i = 0; i < parts.n; i++)
        p = sl_put_slice(p, parts.at[i]);
    show(verdict == OTLP_CHANGE ? sl_slice(all, (size_t)(p - all)) : record, text, sizeof text);
    assert_true(verdict == OTLP_CHANGE || verdict == OTLP_KEEP);
    assert_string_equal(text, expected);
    otlp_parts_free(&parts);
    actions_runner_deinit(&runner);
    actions_free(actions);
}

static void actions_do_what_they_say(void **state)
{
    static const struct {
        struct act act;
        const char *expected;
    } cases[] = {
        {{.key = "new", .action = "insert", .value = "yes"}, SAMPLE " new=\"yes\""},
        {{.key = "s", .action = "insert", .value = "yes"}, SAMPLE},
        {{.key = "new", .action = "update", .value = "1"}, SAMPLE},
        {{.key = "s", .action = "update", .value = "1"},
         "s=1 i=7 d=2.75 b=true n=\"-12\" f=\"1.5e3\""},
        {{.key = "s", .action = "upsert", .value = "\"1\""},
         "s=\"1\" i=7 d=2.75 b=true n=\"-12\" f=\"1.5e3\""},
        {{.key = "new", .action = "upsert", .value = "true"}, SAMPLE " new=true"},
        {{.key = "new", .action = "insert", .value = "0x10"}, SAMPLE " new=16"},
        {{.key = "new", .action = "insert", .value = "-1.5"}, SAMPLE " new=-1.5"},
        {{.key = "new", .action = "insert", .value = "1.2.3"}, SAMPLE " new=\"1.2.3\""},
        {{.key = "new", .action = "insert", .value = "\"\""}, SAMPLE " new=\"\""},
        {{.key = "i", .action = "DELETE"}, "s=\"text\" d=2.75 b=true n=\"-12\" f=\"1.5e3\""},
        {{.key = "new", .action = "delete"}, SAMPLE},
        {{.pattern = "^[a-m]$", .action = "delete"}, "s=\"text\" n=\"-12\""},
        {{.key = "new", .action = "upsert", .from_attribute = "i"}, SAMPLE " new=7"},
        {{.key = "new", .action = "upsert", .from_attribute = "none"}, SAMPLE},
        {{.key = "new", .action = "upsert", .from_attribute = "none", .default_value = "5"},
         SAMPLE " new=5"},
        {{.key = "new", .action = "insert", .from_context = "metadata.X-Tenant"},
         SAMPLE " new=\"a;b\""},
        {{.key = "new", .action = "insert", .from_context = "x-tenant"}, SAMPLE " new=\"a;b\""},
        {{.key = "new", .action = "insert", .from_context = "auth.subject"}, SAMPLE " new=\"me\""},
        {{.key = "new", .action = "insert", .from_context = "metadata.none"}, SAMPLE},
        {{.key = "n", .action = "convert", .converted_type = "int"},
         "s=\"text\" i=7 d=2.75 b=true n=-12 f=\"1.5e3\""},
        {{.key = "f", .action = "convert", .converted_type = "int"}, SAMPLE},
        {{.key = "f", .action = "convert", .converted_type = "double"},
         "s=\"text\" i=7 d=2.75 b=true n=\"-12\" f=1500"},
        {{.key = "d", .action = "convert", .converted_type = "int"},
         "s=\"text\" i=7 d=2 b=true n=\"-12\" f=\"1.5e3\""},
        {{.key = "b", .action = "convert", .converted_type = "int"},
         "s=\"text\" i=7 d=2.75 b=1 n=\"-12\" f=\"1.5e3\""},
        {{.key = "b", .action = "convert", .converted_type = "string"},
         "s=\"text\" i=7 d=2.75 b=\"true\" n=\"-12\" f=\"1.5e3\""},
        {{.key = "d", .action = "convert", .converted_type = "string"},
         "s=\"text\" i=7 d=\"2.75\" b=true n=\"-12\" f=\"1.5e3\""},
        {{.key = "s", .action = "convert", .converted_type = "double"}, SAMPLE},
        {{.key = "s", .action = "extract", .pattern = "^(?P<first>.)(?P<rest>.*)$"},
         SAMPLE " first=\"t\" rest=\"ext\""},
        {{.key = "s", .action = "extract", .pattern = "^(?P<i>t)|(?P<none>x)$"},
         "s=\"text\" i=\"t\" d=2.75 b=true n=\"-12\" f=\"1.5e3\" none=\"\""},
        {{.key = "s", .action = "extract", .pattern = "(?P<none>z)"}, SAMPLE},
        {{.key = "i", .action = "extract", .pattern = "(?P<none>7)"}, SAMPLE},
        /* the digests are those of sha256sum; of numbers, of eight bytes, the lowest first */
        {{.key = "s", .action = "hash"},
         "s=\"982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1\" i=7 d=2.75 b=true "
         "n=\"-12\" f=\"1.5e3\""},
        {{.key = "b", .action = "hash"},
         "s=\"text\" i=7 d=2.75 "
         "b=\"4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a\" n=\"-12\" "
         "f=\"1.5e3\""},
        {{.pattern = "^i", .action = "hash"},
         "s=\"text\" i=\"aae89fc0f03e2959ae4d701a80cc3915918c950b159f6abb6c92c1433b1a8534\" d=2.75 "
         "b=true n=\"-12\" f=\"1.5e3\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_acts(&cases[i].act, 1, cases[i].expected);
}

static void actions_see_what_those_before_did(void **state)
{
    (void)state;
    check_acts((const struct act[]){{.key = "new", .action = "insert", .value = "1"},
                                    {.key = "new", .action = "convert", .converted_type = "string"},
                                    {.key = "copy", .action = "insert", .from_attribute = "new"},
                                    {.pattern = "^[a-z]$|new", .action = "delete"}},
               4, "copy=\"1\"");
    check_acts((const struct act[]){{.key = "s", .action = "delete"},
                                    {.key = "s", .action = "insert", .value = "again"}},
               2, "i=7 d=2.75 b=true n=\"-12\" f=\"1.5e3\" s=\"again\"");
    check_acts((const struct act[]){{.key = "new", .action = "insert", .value = "1"},
                                    {.key = "new", .action = "delete"}},
               2, SAMPLE);
}

static void wrong_actions_are_refused(void **state)
{
    static const struct {
        struct act act;
        const char *error;
    } cases[] = {
        {{.key = "k", .action = "replace"}, "actions[0]: there is no action \"replace\""},
        {{.action = "insert", .value = "1"}, "actions[0]: action insert needs a key"},
        {{.action = "delete"}, "actions[0]: action delete needs a key or a pattern"},
        {{.key = "k", .action = "insert"}, "actions[0]: action insert needs one of value"},
        {{.key = "k", .action = "insert", .value = "~"}, "needs one of value"},
        {{.key = "k", .action = "insert", .value = "1", .from_attribute = "x"},
         "only one of value"},
        {{.key = "k", .action = "insert", .value = "1", .pattern = "x"}, "does not use pattern"},
        {{.key = "k", .action = "insert", .value = "1", .converted_type = "int"},
         "does not use converted_type"},
        {{.key = "k", .action = "hash", .value = "1"}, "does not use value"},
        {{.key = "k", .action = "hash", .from_attribute = "1"}, "does not use from_attribute"},
        {{.key = "k", .action = "delete", .from_context = "1"}, "does not use from_context"},
        {{.key = "k", .action = "delete", .default_value = "1"}, "does not use default_value"},
        {{.key = "k", .action = "extract"}, "needs a pattern"},
        {{.key = "k", .action = "extract", .pattern = "a"}, "has no named group"},
        {{.key = "k", .action = "extract", .pattern = "(?P<a>a)(b)"}, "group 2 of the pattern"},
        {{.key = "k", .action = "delete", .pattern = "a("}, "at its character 3: missing"},
        {{.key = "k", .action = "convert"}, "needs converted_type"},
        {{.key = "k", .action = "convert", .converted_type = "bool"}, "needs converted_type"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct list l;
        struct actions *actions = NULL;
        sl_error error = {.size = sizeof error};
        list_init(&l, &cases[i].act, 1);
        assert_int_equal(actions_compile(&l.list, "actions", &actions, &error), SL_ERR_INVALID);
        if (!strstr(error.text, cases[i].error))
            fail_msg("\"%s\" does not say: %s", error.text, cases[i].error);
    }
    struct actions *actions = NULL;
    const sl_list none = {.n = 0};
    sl_error error = {.size = sizeof error};
    assert_int_equal(actions_compile(&none, "actions", &actions, &error), SL_ERR_INVALID);
}

/* ---- whole deliveries ---- */

static sl_bytes spans(uint8_t *at, size_t room, uint32_t n)
{
    sl_writer w = sl_writer_fixed(at, room);
    const size_t resource = sl_write_begin(&w, 1), scope = sl_write_begin(&w, 2);
    for (uint32_t i = 0; i < n; i++) {
        const size_t span = sl_write_begin(&w, 2);
        sl_write_attr_int(&w, 9, sl_str("i"), i);
        sl_write_end(&w, span);
    }
    sl_write_end(&w, scope);
    sl_write_end(&w, resource);
    assert_false(w.failed);
    return sl_written(&w);
}

struct attributes_head { /* how the component begins */
    sl_base base;
    sl_list actions;
};

static void nothing_is_lost_without_memory(void **state)
{
    static uint8_t at[65536];
    struct plugin_host *h = plugin_host_create();
    struct list l;
    sl_error error = {.size = sizeof error};
    const sl_bytes request = spans(at, sizeof at, 300);
    uint32_t failures = 0;
    (void)state;
    list_init(&l, &(const struct act){.key = "new", .action = "insert", .value = "12345678"}, 1);
    for (uint32_t t = 0; t < sluice_plugin.n_types; t++) {
        const sl_type *type = sluice_plugin.types[t];
        struct attributes_head *c = calloc(1, type->config_size);
        void *instance = NULL;
        c->base.host = &h->host;
        c->actions = l.list;
        assert_int_equal(type->prepare(c, &error), SL_OK);
        assert_int_equal(type->open(c, &h->host, &instance, &error), SL_OK);
        for (uint32_t fail = 1;; fail++) {
            sl_delivery *d = plugin_host_delivery_of(h, SL_TRACES, &request, 1, 300);
            h->fail_at = h->calls + fail;
            h->fail_on = true;
            const int32_t status = type->process(instance, d);
            h->fail_at = 0;
            h->fail_on = false;
            if (status == SL_OK) {
                break;
            }
            failures++;
            assert_int_equal(status, SL_ERR_NOMEM);
            assert_int_equal(d->unclaimed, 300);
            plugin_host_end(h, d, SL_FAILED, NULL);
        }
        sl_delivery *d = plugin_host_take(h);
        assert_non_null(d);
        assert_true(d->payload->bytes > request.n);
        plugin_host_end(h, d, SL_DELIVERED, NULL);
        type->close(instance);
        type->destroy(c);
        free(c);
    }
    assert_true(failures >= 6); /* open, close, derive of both */
    plugin_host_destroy(h);
}

/* What short records grow to says nothing of long ones: those are not refused for want of memory that
 * nobody needs. */
static void no_more_memory_is_asked_for_than_there_is(void **state)
{
    enum { LONG = 60000, VALUE = 1000 };
    static char value[VALUE + 1], text[LONG];
    static uint8_t at[LONG + 100], few[100];
    struct plugin_host *h = plugin_host_create();
    struct list l;
    sl_error error = {.size = sizeof error};
    const sl_type *type = sluice_plugin.types[0];
    void *instance = NULL;
    (void)state;
    memset(value, 'v', VALUE);
    memset(text, 't', sizeof text);
    list_init(&l, &(const struct act){.key = "new", .action = "insert", .value = value}, 1);
    struct attributes_head *c = calloc(1, type->config_size);
    c->base.host = &h->host;
    c->actions = l.list;
    assert_int_equal(type->prepare(c, &error), SL_OK);
    assert_int_equal(type->open(c, &h->host, &instance, &error), SL_OK);
    sl_writer w = sl_writer_fixed(at, sizeof at);
    const size_t resource = sl_write_begin(&w, 1), scope = sl_write_begin(&w, 2);
    const size_t span = sl_write_begin(&w, 2);
    sl_write_bytes(&w, 5, sl_slice(text, sizeof text));
    sl_write_end(&w, span);
    sl_write_end(&w, scope);
    sl_write_end(&w, resource);
    assert_false(w.failed);
    const sl_bytes requests[] = {spans(few, sizeof few, 1), sl_written(&w)};
    h->payload_most = 2 * 4096; /* far less than the long one has, but more than is new in it */
    for (uint32_t i = 0; i < 2; i++) {
        sl_delivery *d = plugin_host_delivery_of(h, SL_TRACES, &requests[i], 1, 1);
        assert_int_equal(type->process(instance, d), SL_OK);
        plugin_host_end(h, plugin_host_take(h), SL_DELIVERED, NULL);
    }
    type->close(instance);
    type->destroy(c);
    free(c);
    plugin_host_destroy(h);
}

static void what_does_not_change_is_handed_on(void **state)
{
    static uint8_t at[4096];
    struct plugin_host *h = plugin_host_create();
    struct list l;
    sl_error error = {.size = sizeof error};
    const sl_type *type = sluice_plugin.types[0];
    const sl_bytes request = spans(at, sizeof at, 3);
    void *instance = NULL;
    (void)state;
    list_init(&l, &(const struct act){.key = "none", .action = "delete"}, 1);
    struct attributes_head *c = calloc(1, type->config_size);
    c->base.host = &h->host;
    c->actions = l.list;
    assert_int_equal(type->prepare(c, &error), SL_OK);
    assert_int_equal(type->open(c, &h->host, &instance, &error), SL_OK);
    sl_delivery *d = plugin_host_delivery_of(h, SL_TRACES, &request, 1, 3);
    assert_int_equal(type->process(instance, d), SL_OK);
    assert_ptr_equal(plugin_host_take(h), d);
    assert_int_equal(h->derives, 0);
    plugin_host_end(h, d, SL_DELIVERED, NULL);
    type->close(instance);
    type->destroy(c);
    free(c);
    plugin_host_destroy(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(actions_do_what_they_say),
        cmocka_unit_test(actions_see_what_those_before_did),
        cmocka_unit_test(wrong_actions_are_refused),
        cmocka_unit_test(nothing_is_lost_without_memory),
        cmocka_unit_test(no_more_memory_is_asked_for_than_there_is),
        cmocka_unit_test(what_does_not_change_is_handed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
