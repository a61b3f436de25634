/* Conditions in OTTL: what they say of a span, an event, a metric, a point and a log record, and what
 * is refused, where. */
#include "formats/otlp/view_entries.h"
#include "formats/ottl/ottl.h"
#include "tests/support/random_otlp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t seed;

struct sample {
    uint8_t at[6][1024];
    sl_span span;
    sl_event event;
    sl_log_record log;
    struct ottl_subject subject;
};

static sl_bytes resource_of(uint8_t *at)
{
    sl_writer w = sl_writer_fixed(at, 1024);
    sl_write_attr_text(&w, 1, sl_str("service.name"), sl_str("shop"));
    sl_write_attr_int(&w, 1, sl_str("pid"), 42);
    sl_write_varint(&w, 2, 3);
    return sl_written(&w);
}

static sl_bytes scope_of(uint8_t *at)
{
    sl_writer w = sl_writer_fixed(at, 1024);
    sl_write_text(&w, 1, "io.http");
    sl_write_text(&w, 2, "1.2");
    sl_write_attr_bool(&w, 3, sl_str("beta"), true);
    return sl_written(&w);
}

static void write_event(sl_writer *w, const char *name)
{
    const size_t event = sl_write_begin(w, 11);
    sl_write_fixed64(w, 1, 1700000000500000000);
    sl_write_text(w, 2, name);
    sl_write_attr_text(w, 3, sl_str("exception.type"), sl_str("Timeout"));
    sl_write_end(w, event);
}

static sl_bytes span_of(uint8_t *at)
{
    static const uint8_t id[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    sl_writer w = sl_writer_fixed(at, 1024);
    sl_write_bytes(&w, 1, sl_slice(id, 16));
    sl_write_bytes(&w, 2, sl_slice(id, 8));
    sl_write_text(&w, 3, "a=1,vendor=x=y");
    sl_write_text(&w, 5, "GET /cart");
    sl_write_varint(&w, 6, SL_SPAN_SERVER);
    sl_write_fixed64(&w, 7, 1700000000000000000);
    sl_write_fixed64(&w, 8, 1700000001500000000);
    sl_write_attr_text(&w, 9, sl_str("route"), sl_str("/cart"));
    sl_write_attr_int(&w, 9, sl_str("code"), 200);
    sl_write_attr_double(&w, 9, sl_str("ratio"), 0.5);
    sl_write_attr_bool(&w, 9, sl_str("ok"), true);
    const size_t pair = sl_write_begin(&w, 9); /* user: {name: "ann", ids: [7, "x"]} */
    sl_write_text(&w, 1, "user");
    const size_t any = sl_write_begin(&w, 2), map = sl_write_begin(&w, SL_VALUE_MAP);
    sl_write_attr_text(&w, 1, sl_str("name"), sl_str("ann"));
    const size_t ids = sl_write_begin(&w, 1);
    sl_write_text(&w, 1, "ids");
    const size_t ids_any = sl_write_begin(&w, 2), list = sl_write_begin(&w, SL_VALUE_LIST);
    sl_write_value_int(&w, 1, 7);
    sl_write_value_text(&w, 1, sl_str("x"));
    sl_write_end(&w, list);
    sl_write_end(&w, ids_any);
    sl_write_end(&w, ids);
    sl_write_end(&w, map);
    sl_write_end(&w, any);
    sl_write_end(&w, pair);
    write_event(&w, "exception");
    write_event(&w, "retry");
    const size_t status = sl_write_begin(&w, 15);
    sl_write_text(&w, 2, "it broke");
    sl_write_varint(&w, 3, SL_SPAN_ERROR);
    sl_write_end(&w, status);
    assert_false(w.failed);
    return sl_written(&w);
}

static sl_bytes log_of(uint8_t *at)
{
    sl_writer w = sl_writer_fixed(at, 1024);
    sl_write_fixed64(&w, 1, 5);
    sl_write_varint(&w, 2, 13);
    sl_write_text(&w, 3, "WARN");
    const size_t any = sl_write_begin(&w, 5), map = sl_write_begin(&w, SL_VALUE_MAP);
    sl_write_attr_text(&w, 1, sl_str("msg"), sl_str("full"));
    sl_write_end(&w, map);
    sl_write_end(&w, any);
    sl_write_attr_text(&w, 6, sl_str("k"), sl_str("v"));
    return sl_written(&w);
}

static sl_bytes metric_of(uint8_t *at)
{
    sl_writer w = sl_writer_fixed(at, 1024);
    sl_write_text(&w, 1, "http.requests");
    sl_write_text(&w, 3, "1");
    const size_t sum = sl_write_begin(&w, SL_METRIC_SUM);
    for (int i = 0; i < 2; i++) {
        const size_t point = sl_write_begin(&w, 1);
        sl_write_fixed64(&w, 3, 9);
        sl_write_fixed64(&w, 6, 5);
        sl_write_attr_text(&w, 7, sl_str(i ? "second" : "first"), sl_str("yes"));
        sl_write_end(&w, point);
    }
    sl_write_varint(&w, 2, SL_TEMPORALITY_CUMULATIVE);
    sl_write_bool(&w, 3, true);
    sl_write_end(&w, sum);
    return sl_written(&w);
}

static void sample_init(struct sample *s)
{
    struct ottl_subject *to = &s->subject;
    memset(s, 0, sizeof *s);
    to->resource = resource_of(s->at[0]);
    to->scope = scope_of(s->at[1]);
    assert_true(otlp_read_span(span_of(s->at[2]), &s->span));
    to->span = &s->span;
    sl_repeated events = sl_span_events(&s->span);
    assert_true(sl_event_next(&events, &s->event));
    to->event = &s->event;
    assert_true(otlp_read_log(log_of(s->at[3]), &s->log));
    to->log = &s->log;
    to->metric = metric_of(s->at[4]);
    to->metric_type = SL_METRIC_SUM;
    to->point = sl_message_bytes(sl_message_bytes(to->metric, SL_METRIC_SUM), 1);
    to->now_ns = 1700000002000000000;
}

static void check(const struct sample *s, struct ottl_machine *m, enum ottl_context context,
                  const char *text, int32_t expected)
{
    struct ottl *c = NULL;
    size_t at;
    sl_error error = {.size = sizeof error};
    if (ottl_compile(context, sl_str(text), &c, &at, &error) != SL_OK)
        fail_msg("%s: %s", text, error.text);
    const int32_t result = ottl_eval(c, m, &s->subject, &error);
    if (result != expected)
        fail_msg("%s is %d, not %d: %s", text, result, expected, error.text);
    ottl_free(c);
}

static void conditions_are_evaluated(void **state)
{
    static const struct {
        enum ottl_context context;
        const char *text;
        int32_t result;
    } cases[] = {
        /* as the documentation of the filter processor and of the tail sampler has them */
        {OTTL_SPAN, "attributes[\"route\"] == \"/cart\"", 1},
        {OTTL_SPAN,
         "resource.attributes[\"service.name\"] == \"shop\" and kind == SPAN_KIND_SERVER", 1},
        {OTTL_SPAN, "status.code == STATUS_CODE_ERROR", 1},
        {OTTL_SPAN, "IsMatch(name, \"GET /.*\")", 1},
        {OTTL_SPAN, "not IsRootSpan()", 0},
        {OTTL_SPAN, "attributes[\"none\"] == nil", 1},
        {OTTL_SPAN, "attributes[\"route\"] != nil", 1},
        {OTTL_SPAN, "(end_time_unix_nano - start_time_unix_nano) / 1000000 > 1000", 1},
        {OTTL_SPANEVENT, "name == \"exception\" and attributes[\"exception.type\"] != nil", 1},
        {OTTL_SPANEVENT, "span.name == \"GET /cart\"", 1},
        {OTTL_SPANEVENT, "event_index == 0", 1},
        {OTTL_METRIC, "name == \"http.requests\" and HasAttrOnDatapoint(\"first\", \"yes\")", 1},
        {OTTL_METRIC, "HasAttrKeyOnDatapoint(\"second\")", 1},
        {OTTL_METRIC, "HasAttrOnDatapoint(\"second\", \"no\")", 0},
        {OTTL_METRIC, "type == METRIC_DATA_TYPE_SUM and is_monotonic == true", 1},
        {OTTL_METRIC, "aggregation_temporality == AGGREGATION_TEMPORALITY_CUMULATIVE", 1},
        {OTTL_METRIC, "Len(data_points) == 2", 1},
        {OTTL_DATAPOINT, "metric.name == \"http.requests\" and value_int == 5", 1},
        {OTTL_DATAPOINT, "value_double == 0.0 and attributes[\"second\"] == \"yes\"", 1},
        {OTTL_DATAPOINT, "count == nil and flags == FLAG_NONE", 1},
        {OTTL_LOG, "severity_number < SEVERITY_NUMBER_ERROR", 1},
        {OTTL_LOG, "IsMap(body) and body[\"msg\"] == \"full\"", 1},
        {OTTL_LOG, "IsMatch(body, \"full\")", 1},
        {OTTL_LOG, "body.string == \"{\\\"msg\\\":\\\"full\\\"}\"", 1},
        {OTTL_LOG, "log.attributes[\"k\"] == \"v\" and trace_id.string == \"\"", 1},
        {OTTL_RESOURCE, "attributes[\"pid\"] == 42 and resource.dropped_attributes_count == 3", 1},
        {OTTL_SCOPE, "name == \"io.http\" and attributes[\"beta\"]  == true", 1},
        {OTTL_SPAN, "instrumentation_scope.version == \"1.2\" and scope.name != \"x\"", 1},
        /* prefixes, ids, keys */
        {OTTL_SPAN, "span.attributes[\"user\"][\"name\"] == \"ann\"", 1},
        {OTTL_SPAN,
         "attributes[\"user\"][\"ids\"][0] == 7 and attributes[\"user\"][\"ids\"][1] == \"x\"", 1},
        {OTTL_SPAN, "attributes[\"user\"][\"ids\"][2] == 7", -1},
        {OTTL_SPAN, "attributes[\"none\"][\"deep\"] == nil", 1},
        {OTTL_SPAN, "attributes[\"code\"][\"deep\"] == nil", -1},
        {OTTL_SPAN, "trace_id == TraceID(0x000102030405060708090a0b0c0d0e0f)", 1},
        {OTTL_SPAN, "trace_id == TraceID(\"000102030405060708090a0b0c0d0e0f\")", 1},
        {OTTL_SPAN, "span_id.string == \"0001020304050607\" and parent_span_id.string == \"\"", 1},
        {OTTL_SPAN, "parent_span_id == SpanID(0x0000000000000000)", 1},
        {OTTL_SPAN, "trace_state[\"vendor\"] == \"x=y\" and trace_state[\"b\"] == \"\"", 1},
        {OTTL_SPAN, "kind.string == \"Server\" and status.message == \"it broke\"", 1},
        {OTTL_SPAN, "Len(events) == 2 and Len(attributes[\"user\"]) == 2 and Len(name) == 9", 1},
        /* precedence */
        {OTTL_SPAN, "true or false and false", 1},
        {OTTL_SPAN, "(true or false) and false", 0},
        {OTTL_SPAN, "not false and false", 0},
        {OTTL_SPAN, "not (false and false)", 1},
        {OTTL_SPAN, "not name == \"x\"", 1},
        {OTTL_SPAN, "1 + 2 * 3 == 7 and (1 + 2) * 3 == 9 and 7 / 2 == 3", 1},
        {OTTL_SPAN, "10 - 2 - 3 == 5 and -2 + 5 == 3 and - (1 + 1) == -2", 1},
        {OTTL_SPAN, "true or attributes[\"code\"][\"x\"] == nil", 1}, /* not evaluated */
        {OTTL_SPAN, "false and attributes[\"code\"][\"x\"] == nil", 0},
        /* types */
        {OTTL_SPAN, "attributes[\"code\"] == 200.0 and attributes[\"code\"] < 200.5", 1},
        {OTTL_SPAN, "attributes[\"code\"] == \"200\"", 0},
        {OTTL_SPAN, "attributes[\"code\"] != \"200\"", 1},
        {OTTL_SPAN, "attributes[\"code\"] < \"300\" or attributes[\"code\"] > \"100\"", 0},
        {OTTL_SPAN, "nil == nil and nil <= nil and not nil < nil and nil != 1", 1},
        {OTTL_SPAN, "true > false and \"a\" < \"b\" and \"a\" < \"aa\"", 1},
        {OTTL_SPAN, "0x0102 == 0x0102 and 0x01 < 0x0101", 1},
        {OTTL_SPAN, "1 + 1.5 == 2.5", -1},
        {OTTL_SPAN, "1 / 0 == 1", -1},
        {OTTL_SPAN, "9223372036854775807 + 1 > 0", -1},
        {OTTL_SPAN, "end_time - start_time == Duration(\"1.5s\")", 1},
        {OTTL_SPAN,
         "Milliseconds(end_time - start_time) == 1500 and Seconds(Duration(\"1m\")) == 60.0", 1},
        {OTTL_SPAN,
         "Now() - start_time > Duration(\"1s\") and UnixNano(start_time) == start_time_unix_nano",
         1},
        /* functions */
        {OTTL_SPAN,
         "IsString(name) and IsInt(attributes[\"code\"]) and IsDouble(1.0) and IsBool(true)", 1},
        {OTTL_SPAN, "IsString(attributes[\"none\"])", 0},
        {OTTL_SPAN, "IsList(attributes[\"user\"][\"ids\"]) and IsMap(attributes)", 1},
        {OTTL_SPAN, "IsMatch(attributes[\"code\"], \"^2\\\\d\\\\d$\")", 1},
        {OTTL_SPAN, "IsMatch(attributes[\"none\"], \".*\")", 0},
        {OTTL_SPAN, "Concat([name, attributes[\"code\"], nil], \"-\") == \"GET /cart-200-<nil>\"",
         1},
        {OTTL_SPAN,
         "Substring(name, 0, 3) == \"GET\" and HasPrefix(name, \"GET\") and HasSuffix(name, "
         "\"cart\")",
         1},
        {OTTL_SPAN, "Substring(name, 5, 10) == \"\"", -1},
        {OTTL_SPAN, "ToLowerCase(\"aB\\u00c4\") == \"ab\\u00c4\" and ToUpperCase(\"aB\") == \"AB\"",
         1},
        {OTTL_SPAN, "Int(\"12\") == 12 and Int(1.9) == 1 and Int(\"x\") == nil and Int(true) == 1",
         1},
        {OTTL_SPAN, "Double(\"1.5\") == 1.5 and String(200) == \"200\" and String(nil) == nil", 1},
        {OTTL_SPAN, "ContainsValue(attributes[\"user\"][\"ids\"], 7)", 1},
        {OTTL_SPAN, "ContainsValue(attributes[\"user\"][\"ids\"], \"7\")", 0},
        {OTTL_SPAN, "Trim(\"  a \") == \"a\"", 1},
        {OTTL_SPAN, "Len(200) == 1", -1},
        {OTTL_SPAN, "IsMatch(attributes, \"x\")", -1},
        {OTTL_SPAN, "Concat([start_time], \"x\") == \"\"", -1},
        {OTTL_SPAN, "IsMatch(Substring(\"a\\u00e4\", 0, 2), \"^a$\")", 0}, /* half a character */
    };
    struct sample *s = malloc(sizeof *s);
    struct ottl_machine *m = ottl_machine_create();
    (void)state;
    sample_init(s);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check(s, m, cases[i].context, cases[i].text, cases[i].result);
    ottl_machine_free(m);
    free(s);
}

static void wrong_conditions_are_refused(void **state)
{
    static const struct {
        enum ottl_context context;
        const char *text, *error;
    } cases[] = {
        {OTTL_SPAN, "", "at character 1: the condition ends"},
        {OTTL_SPAN, "name ==", "at character 8: the condition ends"},
        {OTTL_SPAN, "name", "at character 1: this is a value"},
        {OTTL_SPAN, "name = \"x\"", "at character 6: a comparison is written =="},
        {OTTL_SPAN, "nam == \"x\"", "at character 1: there is no path \"nam\" in the context span"},
        {OTTL_SPAN, "log.body == \"x\"", "there is no path \"log.body\""},
        {OTTL_RESOURCE, "span.name == \"x\"", "there is no path"},
        {OTTL_SPAN, "kind == SERVER", "at character 9: there is no enum SERVER"},
        {OTTL_SPAN, "name == \"x", "at character 9: the text does not end"},
        {OTTL_SPAN, "name == \"\\d\"", "at character 10: there is no escape \\d"},
        {OTTL_SPAN, "IsMatch(name, \"(\")", "missing closing parenthesis"},
        {OTTL_SPAN, "IsMatch(name, name)", "the pattern must be a text"},
        {OTTL_SPAN, "IsMatch(name)", "IsMatch takes 2 arguments, not 1"},
        {OTTL_SPAN, "Foo(name)", "there is no function Foo"},
        {OTTL_LOG, "IsRootSpan()", "in this context"},
        {OTTL_SPAN, "name == \"a\" name", "at character 13: the condition should end here"},
        {OTTL_SPAN, "(name == \"a\"", "\")\" was expected"},
        {OTTL_SPAN, "(name == \"a\") == true", "a value is needed here"},
        {OTTL_SPAN, "name and true", "this is a value"},
        {OTTL_SPAN, "true + 1 == 2 and", "the condition ends"},
        {OTTL_SPAN, "attributes[name] == 1", "a key is a text or a number"},
        {OTTL_SPAN, "name == 99999999999999999999", "out of range"},
        {OTTL_SPAN, "name == 0x1", "two digits each"},
        {OTTL_SPAN, "name ? 1", "means nothing here"},
        {OTTL_SPAN, "set(name, 1)", "there is no path \"set\""},
        {OTTL_SPAN, "((((((((((((((((((((((((((((((((((1 == 1))))))))))))))))))))))))))))))))))",
         "nested deeper than 32"},
        {OTTL_SPAN, "- - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - 1 == 1",
         "nested deeper than 32"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ottl *c = NULL;
        size_t at;
        sl_error error = {.size = sizeof error};
        if (ottl_compile(cases[i].context, sl_str(cases[i].text), &c, &at, &error) == SL_OK)
            fail_msg("\"%s\" is accepted", cases[i].text);
        assert_true(at <= strlen(cases[i].text));
        if (!strstr(error.text, cases[i].error))
            fail_msg("\"%s\": \"%s\" does not say: %s", cases[i].text, error.text, cases[i].error);
    }
}

static void contexts_are_inferred(void **state)
{
    (void)state;
    assert_int_equal(ottl_infer(sl_str("span.name == \"a\"")), OTTL_SPAN);
    assert_int_equal(ottl_infer(sl_str("resource.attributes[\"span.x\"] == 1")), OTTL_RESOURCE);
    assert_int_equal(ottl_infer(sl_str("span.name == resource.attributes[\"x\"]")), OTTL_SPAN);
    assert_int_equal(ottl_infer(sl_str("metric.name == \"a\" or datapoint.flags == 1")),
                     OTTL_DATAPOINT);
    assert_int_equal(ottl_infer(sl_str("IsMatch(log.body, \"span.\")")), OTTL_LOG);
    assert_int_equal(ottl_infer(sl_str("name == \"a\"")), OTTL_CONTEXTS);
}

/* Random tokens one after another: accepted ones evaluate to something. */
static void random_conditions_are_survived(void **state)
{
    static const char *const tokens[] = {"name",
                                         "attributes[\"code\"]",
                                         "attributes[\"none\"]",
                                         "resource.attributes",
                                         "nil",
                                         "true",
                                         "1",
                                         "2.5",
                                         "\"x\"",
                                         "0x0102",
                                         "==",
                                         "!=",
                                         "<",
                                         ">=",
                                         "and",
                                         "or",
                                         "not",
                                         "(",
                                         ")",
                                         "+",
                                         "-",
                                         "*",
                                         "/",
                                         "IsMatch(",
                                         "Len(",
                                         "Concat([",
                                         "]",
                                         ",",
                                         "Int(",
                                         "events",
                                         "end_time",
                                         "[0]",
                                         "SPAN_KIND_SERVER",
                                         "Duration(\"1s\")",
                                         "IsRootSpan()"};
    struct sample *s = malloc(sizeof *s);
    struct ottl_machine *m = ottl_machine_create();
    uint32_t accepted = 0;
    (void)state;
    sample_init(s);
    for (uint32_t round = 0; round < 100000; round++) {
        char text[400] = "";
        size_t n = 0, at;
        struct ottl *c = NULL;
        for (uint32_t k = 1 + random_below(&seed, 9); k--;)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s ",
                                  tokens[random_below(&seed, sizeof tokens / sizeof *tokens)]);
        if (ottl_compile(OTTL_SPAN, sl_slice(text, n), &c, &at, NULL) == SL_OK) {
            accepted++;
            (void)ottl_eval(c, m, &s->subject, NULL);
            ottl_free(c);
        }
    }
    assert_true(accepted > 100);
    ottl_machine_free(m);
    free(s);
}

int main(int argc, char **argv)
{
    seed = random_seed(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditions_are_evaluated),
        cmocka_unit_test(wrong_conditions_are_refused),
        cmocka_unit_test(contexts_are_inferred),
        cmocka_unit_test(random_conditions_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
