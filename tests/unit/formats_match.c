/* Include and exclude: what each property matches, and what is refused. */
#include "formats/match/match.h"
#include "formats/match/raw_value.h"
#include "formats/otlp/value_text.h"
#include "formats/otlp/view_entries.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { STRICT, REGEXP };

struct library { /* as the field table has it */
    sl_bytes name, version;
};

static sl_list texts(const char *text, sl_bytes *at)
{
    *at = sl_str(text);
    return (sl_list){.at = at, .n = text ? 1 : 0, .stride = sizeof *at};
}

struct rule {
    uint32_t type;
    const char *service, *span_name, *kind, *body, *severity_text, *metric_name;
    const char *attribute, *attribute_value; /* quoted: "x" */
    const char *resource, *resource_value;
    const char *library, *version;
    int64_t min;
    bool undefined;
};

struct fixture {
    sl_bytes one[6];
    sl_raw values[2];
    struct match_attribute_config attributes[2];
    struct library library;
    struct match_config config;
};

static void attribute(struct fixture *f, uint32_t i, const char *key, const char *value,
                      sl_list *list)
{
    f->attributes[i].key = sl_str(key);
    if (value) {
        const bool quoted = value[0] == '"';
        f->values[i] = (sl_raw){.kind = 1,
                                .quoted = quoted,
                                .text = sl_slice(value + quoted, strlen(value) - 2 * quoted)};
        f->attributes[i].value = &f->values[i];
    }
    *list = (sl_list){.at = &f->attributes[i], .n = key ? 1 : 0, .stride = sizeof *f->attributes};
}

static int32_t compile(const struct rule *r, struct match **match, sl_error *error)
{
    struct fixture f;
    memset(&f, 0, sizeof f);
    f.config.match_type = r->type;
    f.config.services = texts(r->service, &f.one[0]);
    f.config.span_names = texts(r->span_name, &f.one[1]);
    f.config.span_kinds = texts(r->kind, &f.one[2]);
    f.config.log_bodies = texts(r->body, &f.one[3]);
    f.config.log_severity_texts = texts(r->severity_text, &f.one[4]);
    f.config.metric_names = texts(r->metric_name, &f.one[5]);
    attribute(&f, 0, r->attribute, r->attribute_value, &f.config.attributes);
    attribute(&f, 1, r->resource, r->resource_value, &f.config.resources);
    f.library =
        (struct library){sl_str(r->library), r->version ? sl_str(r->version) : sl_slice(NULL, 0)};
    f.config.libraries =
        (sl_list){.at = &f.library, .n = r->library ? 1 : 0, .stride = sizeof f.library};
    f.config.has_severity = r->min || r->undefined;
    f.config.log_severity_number.min = r->min;
    f.config.log_severity_number.match_undefined = r->undefined;
    return match_compile(&f.config, "include", match, error); /* texts are literals: they stay */
}

static sl_bytes resource(uint8_t *at, size_t room)
{
    sl_writer w = sl_writer_fixed(at, room);
    sl_write_attr_text(&w, 1, sl_str("service.name"), sl_str("shop"));
    sl_write_attr_int(&w, 1, sl_str("n"), 5);
    return sl_written(&w);
}

static sl_bytes scope(uint8_t *at, size_t room)
{
    sl_writer w = sl_writer_fixed(at, room);
    sl_write_text(&w, 1, "io.http");
    sl_write_text(&w, 2, "1.2");
    return sl_written(&w);
}

static sl_bytes span(uint8_t *at, size_t room)
{
    sl_writer w = sl_writer_fixed(at, room);
    sl_write_text(&w, 5, "GET /cart");
    sl_write_varint(&w, 6, SL_SPAN_SERVER);
    sl_write_attr_text(&w, 9, sl_str("route"), sl_str("/cart"));
    sl_write_attr_int(&w, 9, sl_str("code"), 200);
    sl_write_attr_bool(&w, 9, sl_str("ok"), true);
    sl_write_attr_double(&w, 9, sl_str("ratio"), 0.5);
    return sl_written(&w);
}

static sl_bytes log_record(uint8_t *at, size_t room, uint32_t severity)
{
    sl_writer w = sl_writer_fixed(at, room);
    sl_write_varint(&w, 2, severity);
    sl_write_text(&w, 3, "WARN");
    sl_write_value_text(&w, 5, sl_str("disk is full"));
    sl_write_attr_text(&w, 6, sl_str("route"), sl_str("/cart"));
    return sl_written(&w);
}

static bool matches(const struct rule *rule, uint32_t signal, uint32_t severity)
{
    struct decimal_powers powers;
    struct match *m = NULL;
    sl_error error = {.size = sizeof error};
    uint8_t at[3][256];
    sl_span s;
    sl_log_record l;
    if (compile(rule, &m, &error) != SL_OK)
        fail_msg("%s", error.text);
    decimal_powers_init(&powers);
    struct match_scratch scratch = {.matcher = pattern_matcher_create(0), .powers = &powers};
    assert_int_equal(match_asks_scope(m), rule->library != NULL);
    bool yes = match_resource(m, &scratch, resource(at[0], sizeof at[0])) &&
               match_scope(m, &scratch, scope(at[1], sizeof at[1]));
    if (signal == SL_TRACES) {
        assert_true(otlp_read_span(span(at[2], sizeof at[2]), &s));
        yes = yes && match_span(m, &scratch, &s);
    } else if (signal == SL_LOGS) {
        assert_true(otlp_read_log(log_record(at[2], sizeof at[2], severity), &l));
        yes = yes && match_log(m, &scratch, &l);
    } else {
        yes = yes && match_metric(m, &scratch, sl_str("http.duration"));
    }
    match_free(m);
    pattern_matcher_free(scratch.matcher);
    otlp_scratch_free(&scratch.texts);
    return yes;
}

static void properties_match(void **state)
{
    static const struct {
        struct rule rule;
        bool span, log, metric;
    } cases[] = {
        {{STRICT, .service = "shop"}, true, false, false},
        {{STRICT, .service = "sho"}, false, false, false},
        {{REGEXP, .service = "^sh"}, true, false, false},
        {{STRICT, .span_name = "GET /cart"}, true, false, false},
        {{REGEXP, .span_name = "cart$"}, true, false, false},
        {{STRICT, .span_name = "cart"}, false, false, false},
        {{STRICT, .kind = "SPAN_KIND_SERVER"}, true, false, false},
        {{STRICT, .kind = "SPAN_KIND_CLIENT"}, false, false, false},
        {{REGEXP, .kind = "SERVER|CLIENT"}, true, false, false},
        {{STRICT, .body = "disk is full"}, false, true, false},
        {{REGEXP, .body = "is"}, false, true, false},
        {{STRICT, .severity_text = "WARN"}, false, true, false},
        {{STRICT, .min = 13}, false, true, false},
        {{STRICT, .min = 14}, false, false, false},
        {{STRICT, .metric_name = "http.duration"}, false, false, true},
        {{REGEXP, .metric_name = "^http\\."}, false, false, true},
        {{STRICT, .attribute = "route"}, true, true, false},
        {{STRICT, .attribute = "route", .attribute_value = "/cart"}, true, true, false},
        {{STRICT, .attribute = "route", .attribute_value = "/"}, false, false, false},
        {{STRICT, .attribute = "code", .attribute_value = "200"}, true, false, false},
        {{STRICT, .attribute = "code", .attribute_value = "\"200\""}, false, false, false},
        {{STRICT, .attribute = "ok", .attribute_value = "true"}, true, false, false},
        {{STRICT, .attribute = "ratio", .attribute_value = "0.5"}, true, false, false},
        {{REGEXP, .attribute = "code", .attribute_value = "\"^2..$\""}, true, false, false},
        {{REGEXP, .attribute = "ok", .attribute_value = "\"tr\""}, true, false, false},
        {{REGEXP, .attribute = "none", .attribute_value = "\"\""}, false, false, false},
        {{STRICT, .resource = "n", .resource_value = "5"}, true, true, true},
        {{STRICT, .resource = "n", .resource_value = "6"}, false, false, false},
        {{STRICT, .library = "io.http"}, true, true, true},
        {{STRICT, .library = "io.http", .version = "1.2"}, true, true, true},
        {{STRICT, .library = "io.http", .version = ""}, false, false, false},
        {{STRICT, .service = "shop", .span_name = "no"}, false, false, false},
        {{STRICT, .service = "shop", .attribute = "route"}, true, false, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (matches(&cases[i].rule, SL_TRACES, 0) != cases[i].span ||
            matches(&cases[i].rule, SL_LOGS, 13) != cases[i].log ||
            matches(&cases[i].rule, SL_METRICS, 0) != cases[i].metric)
            fail_msg("case %zu", i);
    }
    assert_false(matches(&(struct rule){STRICT, .min = 1}, SL_LOGS, 0));
    assert_true(matches(&(struct rule){STRICT, .min = 1, .undefined = true}, SL_LOGS, 0));
}

static void wrong_rules_are_refused(void **state)
{
    static const struct {
        struct rule rule;
        const char *error;
    } cases[] = {
        {{.type = STRICT}, "include needs at least one property"},
        {{STRICT, .span_name = "a", .body = "b"}, "properties of several signals"},
        {{STRICT, .kind = "server"}, "no kind of spans is called \"server\""},
        {{REGEXP, .span_name = "("}, "missing closing parenthesis"},
        {{REGEXP, .attribute = "a", .attribute_value = "5"}, "must be a text"},
        {{STRICT, .attribute = ""}, "a key is empty"},
        {{REGEXP, .library = "["}, "pattern \"[\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct match *m = NULL;
        sl_error error = {.size = sizeof error};
        assert_int_equal(compile(&cases[i].rule, &m, &error), SL_ERR_INVALID);
        if (!strstr(error.text, cases[i].error))
            fail_msg("\"%s\" does not say: %s", error.text, cases[i].error);
    }
}

/* ---- values ---- */

static const char *text_of(const sl_value *value)
{
    static char text[4096];
    struct decimal_powers powers;
    struct otlp_scratch scratch = {.chunk = NULL};
    decimal_powers_init(&powers);
    const sl_bytes t = otlp_value_text(&powers, value, &scratch);
    assert_non_null(t.p);
    (void)snprintf(text, sizeof text, "%.*s", (int)t.n, (const char *)t.p);
    otlp_scratch_free(&scratch);
    return text;
}

static void values_of_configs_have_types(void **state)
{
    static const struct {
        const char *text;
        bool quoted;
        uint32_t type;
        const char *value;
    } cases[] = {
        {"abc", false, SL_VALUE_TEXT, "abc"},
        {"12", false, SL_VALUE_INT, "12"},
        {"12", true, SL_VALUE_TEXT, "12"},
        {"-9223372036854775808", false, SL_VALUE_INT, "-9223372036854775808"},
        {"9223372036854775808", false, SL_VALUE_DOUBLE, "9223372036854776000"},
        {"1.50", false, SL_VALUE_DOUBLE, "1.5"},
        {"1e3", false, SL_VALUE_DOUBLE, "1000"},
        {"true", false, SL_VALUE_BOOL, "true"},
        {"False", false, SL_VALUE_BOOL, "false"},
        {"yes", false, SL_VALUE_TEXT, "yes"},
        {"0x1F", false, SL_VALUE_INT, "31"},
        {"0o17", false, SL_VALUE_INT, "15"},
        {"0b11", false, SL_VALUE_INT, "3"},
        {"0x-1", false, SL_VALUE_TEXT, "0x-1"},
        {"~", true, SL_VALUE_TEXT, "~"},
        {"1.2.3", false, SL_VALUE_TEXT, "1.2.3"},
        {"e", false, SL_VALUE_TEXT, "e"},
        {".nan", false, SL_VALUE_DOUBLE, "json: unsupported value: NaN"},
        {"-.inf", false, SL_VALUE_DOUBLE, "json: unsupported value: -Inf"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const sl_raw raw = {.kind = 1, .quoted = cases[i].quoted, .text = sl_str(cases[i].text)};
        struct otlp_scratch scratch = {.chunk = NULL};
        sl_bytes any;
        assert_true(raw_has_value(&raw));
        assert_int_equal(raw_value(&raw, &scratch, &any, NULL), SL_OK);
        const sl_value value = sl_value_of(any);
        if (value.type != cases[i].type)
            fail_msg("%s has type %u", cases[i].text, value.type);
        assert_string_equal(text_of(&value), cases[i].value);
        otlp_scratch_free(&scratch);
    }
    const sl_raw none = {.kind = 1, .text = sl_str("null")}, nothing = {.kind = 0};
    assert_false(raw_has_value(&none) || raw_has_value(&nothing) || raw_has_value(NULL));
}

static void nested_values_become_json(void **state)
{
    const sl_raw inner[] = {{.kind = 1, .key = sl_str("x"), .text = sl_str("1")},
                            {.kind = 1, .key = sl_str("y\""), .text = sl_str("a\nb"), .quoted = 1},
                            {.kind = 2, .key = sl_str("none")}};
    const sl_raw items[] = {{.kind = 1, .text = sl_str("true")},
                            {.kind = 3, .n = 3, .children = inner},
                            {.kind = 1, .text = sl_str("null")},
                            {.kind = 1, .text = sl_str("2.5")}};
    const sl_raw list = {.kind = 2, .n = 4, .children = items};
    struct otlp_scratch scratch = {.chunk = NULL};
    sl_bytes any;
    (void)state;
    assert_int_equal(raw_value(&list, &scratch, &any, NULL), SL_OK);
    const sl_value value = sl_value_of(any);
    assert_string_equal(text_of(&value),
                        "[true,{\"x\":1,\"y\\\"\":\"a\\nb\",\"none\":[]},null,2.5]");
    otlp_scratch_free(&scratch);
    const sl_value bytes = {.type = SL_VALUE_BYTES, .bytes = sl_slice("\x01\x02", 2)};
    assert_string_equal(text_of(&bytes), "AQI=");
}

static void numbers_are_read_as_in_go(void **state)
{
    static const char *const no_ints[] = {"", "+", "1.0", " 1", "1 ", "9223372036854775808", "0x1"};
    static const char *const no_doubles[] = {"", "x", " 1", "1 ", "1e999", "--1"};
    int64_t i;
    double f;
    (void)state;
    for (size_t k = 0; k < sizeof no_ints / sizeof *no_ints; k++)
        assert_false(otlp_text_int(sl_str(no_ints[k]), &i));
    for (size_t k = 0; k < sizeof no_doubles / sizeof *no_doubles; k++)
        assert_false(otlp_text_double(sl_str(no_doubles[k]), &f));
    assert_true(otlp_text_int(sl_str("-9223372036854775808"), &i) && i == INT64_MIN);
    assert_true(otlp_text_int(sl_str("+07"), &i) && i == 7);
    assert_true(otlp_text_double(sl_str("+.5e1"), &f) && f == 5);
    assert_true(otlp_text_double(sl_str("-Inf"), &f) && f < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(properties_match),
        cmocka_unit_test(wrong_rules_are_refused),
        cmocka_unit_test(values_of_configs_have_types),
        cmocka_unit_test(nested_values_become_json),
        cmocka_unit_test(numbers_are_read_as_in_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
