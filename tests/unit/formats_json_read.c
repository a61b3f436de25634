/* Reading OTLP's JSON: what each form of a value becomes, keys, escapes, and recorded order. What is
 * read is written again, and the texts are compared. */
#include "formats/otlp/json_read.h"
#include "tests/unit/formats_json_support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* The text of what was read in a text. */
static void reads_as(const ProtobufCMessageDescriptor *type, const char *text, const char *expected)
{
    sl_error error = {.size = sizeof error};
    struct json_bytes wire;
    if (json_wire_of(type, sl_str(text), &wire, &error) != SL_OK) {
        fail_msg("%s", error.text);
    }
    const sl_bytes whole = sl_slice(wire.at, wire.n);
    char *again = json_text_of(type, &whole, 1);
    assert_string_equal(again, expected);
    free(again);
    free(wire.at);
}

static void refuses(const ProtobufCMessageDescriptor *type, const char *text, const char *why)
{
    sl_error error = {.size = sizeof error};
    struct json_bytes wire;
    assert_int_equal(json_wire_of(type, sl_str(text), &wire, &error), SL_ERR_INVALID);
    if (!strstr(error.text, why)) {
        fail_msg("\"%s\" does not say \"%s\"", error.text, why);
    }
    free(wire.at);
}

static void test_golden(void **state)
{
    (void)state;
    uint8_t expected[JSON_TEST_BYTES_MAX];
    const size_t n = json_from_hex(json_golden, expected);
    struct json_bytes wire;
    assert_int_equal(json_wire_of(&TRACES, sl_str(json_golden_text), &wire, NULL), SL_OK);
    /* But for "scope":{}, which the writer puts where there is none. */
    const uint8_t scope[] = {0x0a, 0x00};
    assert_int_equal(wire.n, n + sizeof scope);
    const sl_bytes whole = sl_slice(wire.at, wire.n);
    char *text = json_text_of(&TRACES, &whole, 1);
    assert_string_equal(text, json_golden_text);
    free(text);
    free(wire.at);

    const char *bare =
        "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":"
        "{\"stringValue\":\"a\"}}]},\"scopeSpans\":[{\"spans\":[{\"traceId\":"
        "\"0102030405060708090a0b0c0d0e0f10\",\"spanId\":\"0102030405060708\",\"name\":\"op\","
        "\"kind\":2,\"startTimeUnixNano\":\"1\",\"endTimeUnixNano\":\"2\",\"attributes\":[{\"key\":"
        "\"k\",\"value\":{\"stringValue\":\"v\"}}],\"status\":{\"code\":2},\"flags\":257}]}]}]}";
    assert_int_equal(json_wire_of(&TRACES, sl_str(bare), &wire, NULL), SL_OK);
    assert_int_equal(wire.n, n);
    assert_memory_equal(wire.at, expected, n);
    free(wire.at);
}

static void test_white_space(void **state)
{
    (void)state;
    reads_as(&KEY_VALUE,
             " \n{ \"key\"\t: \"k\" ,\r\n \"value\" : { \"arrayValue\" : { \"values\" : "
             "[ { \"intValue\" : 1 } , { } ] } } } \n",
             "{\"key\":\"k\",\"value\":{\"arrayValue\":{\"values\":[{\"intValue\":\"1\"},{}]}}}");
    reads_as(&HISTOGRAM_POINT, "{\"bucketCounts\":[ 1 , \"2\" ],\"explicitBounds\":[ ]}",
             "{\"bucketCounts\":[\"1\",\"2\"]}");
}

static void test_integers(void **state)
{
    (void)state;
    reads_as(&ANY_VALUE, "{\"intValue\":-1}", "{\"intValue\":\"-1\"}");
    reads_as(&ANY_VALUE, "{\"intValue\":\"-9223372036854775808\"}",
             "{\"intValue\":\"-9223372036854775808\"}");
    reads_as(&ANY_VALUE, "{\"intValue\":9223372036854775807}",
             "{\"intValue\":\"9223372036854775807\"}");
    reads_as(&ANY_VALUE, "{\"intValue\":1.5e1}", "{\"intValue\":\"15\"}");
    reads_as(&ANY_VALUE, "{\"intValue\":\"\\u0031\\u0032\"}", "{\"intValue\":\"12\"}");
    reads_as(&EXPONENTIAL_POINT, "{\"count\":\"18446744073709551615\",\"scale\":-2147483648}",
             "{\"count\":\"18446744073709551615\",\"scale\":-2147483648,\"positive\":{},"
             "\"negative\":{}}");
    reads_as(&NUMBER_POINT, "{\"asInt\":\"-5\",\"flags\":4294967295}",
             "{\"asInt\":\"-5\",\"flags\":4294967295}");
    static const char *const wrong[] = {"{\"intValue\":9223372036854775808}",
                                        "{\"intValue\":-9223372036854775809}",
                                        "{\"intValue\":1.5}",
                                        "{\"intValue\":1e400}",
                                        "{\"intValue\":\"\"}",
                                        "{\"intValue\":\" 1\"}",
                                        "{\"intValue\":\"1x\"}",
                                        "{\"intValue\":true}",
                                        "{\"intValue\":{}}",
                                        "{\"intValue\":[1]}",
                                        "{\"intValue\":01}",
                                        "{\"intValue\":NaN}"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        refuses(&ANY_VALUE, wrong[i], "intValue: a 64-bit integer is expected, not");
    }
    refuses(&NUMBER_POINT, "{\"flags\":4294967296}", "an unsigned 32-bit integer is expected");
    refuses(&NUMBER_POINT, "{\"flags\":-1}", "an unsigned 32-bit integer is expected");
    refuses(&NUMBER_POINT, "{\"timeUnixNano\":-1}", "an unsigned 64-bit integer is expected");
    refuses(&EXPONENTIAL_POINT, "{\"scale\":2147483648}", "a 32-bit integer is expected");
    refuses(&ANY_VALUE, "{\"intValue\":1 2}", "a comma or } is expected, not: 2}");
}

static void test_enums(void **state)
{
    (void)state;
    reads_as(&SPAN, "{\"kind\":\"SPAN_KIND_SERVER\"}", "{\"kind\":2,\"status\":{}}");
    reads_as(&SPAN, "{\"kind\":\"2\"}", "{\"kind\":2,\"status\":{}}");
    reads_as(&SPAN, "{\"kind\":77,\"status\":{\"code\":\"STATUS_CODE_ERROR\"}}",
             "{\"kind\":77,\"status\":{\"code\":2}}");
    reads_as(&SPAN, "{\"kind\":-1}", "{\"kind\":-1,\"status\":{}}");
    reads_as(&LOG, "{\"severityNumber\":\"SEVERITY_NUMBER_FATAL4\"}",
             "{\"severityNumber\":24,\"body\":{}}");
    refuses(&SPAN, "{\"kind\":\"SERVER\"}", "the number or the name of an enum value is expected");
    refuses(&SPAN, "{\"kind\":2147483648}", "the number or the name of an enum value is expected");
}

static void test_doubles(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } good[] = {{"1.5", "1.5"},
                {"\"1.5\"", "1.5"},
                {"1", "1"},
                {"0", "0"},
                {"-0", "-0"},
                {"\"NaN\"", "\"NaN\""},
                {"\"Infinity\"", "\"Infinity\""},
                {"\"-Infinity\"", "\"-Infinity\""},
                {"1e-400", "0"},
                {"1E+2", "100"},
                {"0.30000000000000004", "0.30000000000000004"},
                {"1.7976931348623157e308", "1.7976931348623157e+308"},
                {"5e-324", "5e-324"}};
    char in[100], out[100];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        snprintf(in, sizeof in, "{\"doubleValue\":%s}", good[i].in);
        snprintf(out, sizeof out, "{\"doubleValue\":%s}", good[i].out);
        reads_as(&ANY_VALUE, in, out);
    }
    refuses(&ANY_VALUE, "{\"doubleValue\":1e400}", "this number is too large");
    refuses(&ANY_VALUE, "{\"doubleValue\":NaN}", "a number is expected, not: NaN}");
    refuses(&ANY_VALUE, "{\"doubleValue\":Infinity}", "a number is expected");
    refuses(&ANY_VALUE, "{\"doubleValue\":\"nan\"}", "a number is expected, not: \"nan\"}");
    refuses(&ANY_VALUE, "{\"doubleValue\":\"\"}", "a number is expected");
    refuses(&ANY_VALUE, "{\"doubleValue\":.5}", "a number is expected");
}

static void test_bools(void **state)
{
    (void)state;
    reads_as(&ANY_VALUE, "{\"boolValue\":true}", "{\"boolValue\":true}");
    reads_as(&ANY_VALUE, "{\"boolValue\":false}", "{\"boolValue\":false}");
    refuses(&ANY_VALUE, "{\"boolValue\":\"true\"}", "true or false is expected");
    refuses(&ANY_VALUE, "{\"boolValue\":1}", "true or false is expected");
    refuses(&ANY_VALUE, "{\"boolValue\":truely}", "a comma or } is expected, not: ly}");
}

static void test_texts(void **state)
{
    (void)state;
    reads_as(&ANY_VALUE, "{\"stringValue\":\"\"}", "{\"stringValue\":\"\"}");
    reads_as(&ANY_VALUE,
             "{\"stringValue\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\u001F\\u00e4\\u20AC\"}",
             "{\"stringValue\":\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\xc3\xa4\xe2\x82\xac\"}");
    reads_as(&ANY_VALUE, "{\"stringValue\":\"\\ud83d\\ude00 \xf0\x9f\x98\x80\"}",
             "{\"stringValue\":\"\xf0\x9f\x98\x80 \xf0\x9f\x98\x80\"}");
    /* Halves of pairs. */
    reads_as(&ANY_VALUE, "{\"stringValue\":\"a\\ud83d\"}", "{\"stringValue\":\"a\xef\xbf\xbd\"}");
    reads_as(&ANY_VALUE, "{\"stringValue\":\"\\ude00\\ud83dx\"}",
             "{\"stringValue\":\"\xef\xbf\xbd\xef\xbf\xbdx\"}");
    reads_as(&ANY_VALUE, "{\"stringValue\":\"\\ud83d\\ud83d\\ude00\"}",
             "{\"stringValue\":\"\xef\xbf\xbd\xf0\x9f\x98\x80\"}");
    refuses(&ANY_VALUE, "{\"stringValue\":\"\\x41\"}", "one of JSON's escapes is expected");
    refuses(&ANY_VALUE, "{\"stringValue\":\"\\u12g4\"}", "\\u with four hex digits is expected");
    refuses(&ANY_VALUE, "{\"stringValue\":\"a\nb\"}", "control character 0x0a inside a string");
    refuses(&ANY_VALUE, "{\"stringValue\":\"a\xff\"}", "byte 0xff is not valid UTF-8");
    refuses(&ANY_VALUE, "{\"stringValue\":\"\xed\xa0\x80\"}", "byte 0xed is not valid UTF-8");
    refuses(&ANY_VALUE, "{\"stringValue\":\"\xc0\x80\"}", "byte 0xc0 is not valid UTF-8");
    refuses(&ANY_VALUE, "{\"stringValue\":'a'}", "a string is expected, not: 'a'}");
    refuses(&ANY_VALUE, "{\"stringValue\":5}", "a string is expected, not: 5}");
    refuses(&ANY_VALUE, "{\"stringValue\":\"abc", "this string does not end");
}

/* A string value of `length` letters with `odd` after the first `at`. */
static void long_text(char *to, size_t length, size_t at, const char *odd)
{
    static const char begin[] = "{\"stringValue\":\"";
    memcpy(to, begin, sizeof begin - 1);
    to += sizeof begin - 1;
    memset(to, 'x', at);
    to += at;
    memcpy(to, odd, strlen(odd));
    to += strlen(odd);
    memset(to, 'y', length - at);
    memcpy(to + length - at, "\"}", 3);
}

/* Every length around those that the length prefix and the blocks change at, with something that is
 * not plain at every place of a block. */
static void test_text_lengths(void **state)
{
    (void)state;
    enum { LONGEST = 20000 };
    static const size_t lengths[] = {1,   15,  16,  17,  31,    48,    63,    64,     65,
                                     124, 125, 126, 127, 16381, 16382, 16384, LONGEST};
    char *text = malloc(LONGEST + 100);
    assert_non_null(text);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        for (size_t at = 0; at <= lengths[i] && at < 40; at++) {
            long_text(text, lengths[i], at, "");
            reads_as(&ANY_VALUE, text, text);
            long_text(text, lengths[i], at, "\\n");
            reads_as(&ANY_VALUE, text, text);
            long_text(text, lengths[i], at, "\xc3\xa4");
            reads_as(&ANY_VALUE, text, text);
        }
    }
    free(text);
}

static void test_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } good[] = {{"", ""},          {"AA==", "AA=="},         {"AA", "AA=="},
                {"+/+/", "+/+/"},  {"-_-_", "+/+/"},         {"AAE=", "AAE="},
                {"AAE", "AAE="},   {"aGVsbG8=", "aGVsbG8="}, {"\\u0041A=", "AA=="},
                {"\\/w==", "/w=="}};
    char in[100], out[100];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        snprintf(in, sizeof in, "{\"bytesValue\":\"%s\"}", good[i].in);
        snprintf(out, sizeof out, "{\"bytesValue\":\"%s\"}", good[i].out);
        reads_as(&ANY_VALUE, in, out);
    }
    static const char *const wrong[] = {"A", "AAAAA", "A===", "AA=A", "AA A", "A*=="};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        snprintf(in, sizeof in, "{\"bytesValue\":\"%s\"}", wrong[i]);
        refuses(&ANY_VALUE, in, "base64 in quotes is expected");
    }
    refuses(&ANY_VALUE, "{\"bytesValue\":[1]}", "base64 in quotes is expected, not: [1]}");
}

static void test_ids(void **state)
{
    (void)state;
    reads_as(&LINK,
             "{\"traceId\":\"0102030405060708090A0b0C0d0e0f10\",\"spanId\":\"FFeeddccbbaa9988\"}",
             "{\"traceId\":\"0102030405060708090a0b0c0d0e0f10\",\"spanId\":\"ffeeddccbbaa9988\"}");
    reads_as(&LINK, "{\"traceId\":\"\",\"spanId\":\"\"}", "{}");
    reads_as(&SPAN, "{\"parentSpanId\":\"0000000000000000\"}",
             "{\"parentSpanId\":\"0000000000000000\",\"status\":{}}");
    refuses(&LINK, "{\"traceId\":\"0102\"}", "an id of 32 hex digits is expected");
    refuses(&LINK, "{\"spanId\":\"010203040506070\"}", "an id of 16 hex digits is expected");
    refuses(&LINK, "{\"spanId\":\"01020304050607080\"}", "an id of 16 hex digits is expected");
    refuses(&LINK, "{\"spanId\":\"010203040506070g\"}", "an id of 16 hex digits is expected");
    refuses(&LINK, "{\"traceId\":\"AQIDBAUGBwgJCgsMDQ4PEA==\"}", "an id of 32 hex digits");
    refuses(&LINK, "{\"spanId\":72623859790382856}", "an id in hex is expected");
}

static void test_keys(void **state)
{
    (void)state;
    reads_as(&SPAN, "{\"trace_id\":\"\",\"start_time_unix_nano\":5,\"dropped_events_count\":1}",
             "{\"startTimeUnixNano\":\"5\",\"droppedEventsCount\":1,\"status\":{}}");
    reads_as(&SPAN, "{\"n\\u0061me\":\"x\"}", "{\"name\":\"x\",\"status\":{}}");
    /* In any order, and the next time in another. */
    reads_as(
        &METRICS,
        "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"unit\":\"s\",\"name\":\"a\"},"
        "{\"name\":\"b\",\"unit\":\"m\"},{\"unit\":\"s\",\"name\":\"c\"}]}]}]}",
        "{\"resourceMetrics\":[{\"resource\":{},\"scopeMetrics\":[{\"scope\":{},\"metrics\":["
        "{\"name\":\"a\",\"unit\":\"s\"},{\"name\":\"b\",\"unit\":\"m\"},{\"name\":\"c\",\"unit\":"
        "\"s\"}]}]}]}");
    /* Names that begin alike, and those of other cases, are others. */
    reads_as(&SPAN, "{\"nam\":1,\"names\":1,\"Name\":1,\"traceID\":1,\"\":1}", "{\"status\":{}}");
    reads_as(&SPAN,
             "{\"x\":{\"a\":[1,{\"b\":[]},[[{}]],\"\\\"}\",true,false,null,-1.5e3],\"c\":{}},"
             "\"name\":\"n\",\"y\":[],\"z\":\"\xc3\xa4\\ud800\"}",
             "{\"name\":\"n\",\"status\":{}}");
    static const char *const wrong[] = {
        "{\"x\":[1}", "{\"x\":{1:2}}",     "{\"x\":[1,]}", "{\"x\":{\"a\":1,}}", "{\"x\":tru}",
        "{\"x\":01}", "{\"x\":\"\\q\"}",   "{\"x\":}",     "{\"x\":[",           "{\"x\":{\"a\"",
        "{\"x\" 1}",  "{\"x\":{\"a\" 1}}", "{\"x\":[1 2]}"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        refuses(&SPAN, wrong[i], "");
    }
}

static void test_null_is_absent(void **state)
{
    (void)state;
    reads_as(&SPAN,
             "{\"name\":null,\"attributes\":null,\"kind\":null,\"status\":null,\"traceId\":null,"
             "\"unknown\":null}",
             "{\"status\":{}}");
    reads_as(&KEY_VALUE, "{\"key\":\"k\",\"value\":null}", "{\"key\":\"k\",\"value\":{}}");
    reads_as(&ANY_VALUE, "{\"stringValue\":null,\"intValue\":1}", "{\"intValue\":\"1\"}");
    refuses(&SPAN, "{\"attributes\":[null]}", "attributes[0]: an object is expected, not: null]}");
    refuses(&HISTOGRAM_POINT, "{\"bucketCounts\":[null]}", "integer is expected, not: null]}");
    refuses(&ENTITY, "{\"idKeys\":[null]}", "a string is expected, not: null]}");
    refuses(&SPAN, "{\"name\":nul}", "a value is expected, not: nul}");
}

/* As a field that is twice on the wire. */
static void test_keys_that_come_twice(void **state)
{
    (void)state;
    reads_as(&SPAN, "{\"name\":\"a\",\"name\":\"b\",\"kind\":3,\"kind\":0}",
             "{\"name\":\"b\",\"status\":{}}");
    reads_as(&SPAN, "{\"name\":\"a\",\"name\":\"\",\"name\":null}", "{\"status\":{}}");
    reads_as(&SPAN, "{\"attributes\":[{\"key\":\"a\"}],\"attributes\":[{\"key\":\"b\"}]}",
             "{\"attributes\":[{\"key\":\"a\",\"value\":{}},{\"key\":\"b\",\"value\":{}}],"
             "\"status\":{}}");
    reads_as(&SPAN, "{\"status\":{\"code\":1,\"message\":\"m\"},\"status\":{\"code\":2}}",
             "{\"status\":{\"message\":\"m\",\"code\":2}}");
    reads_as(&ANY_VALUE, "{\"stringValue\":\"a\",\"intValue\":0}", "{\"intValue\":\"0\"}");
    reads_as(&HISTOGRAM_POINT, "{\"bucketCounts\":[1],\"bucket_counts\":[2]}",
             "{\"bucketCounts\":[\"1\",\"2\"]}");
}

static void test_what_is_left_out(void **state)
{
    (void)state;
    struct json_bytes wire;
    const char *zeros = "{\"name\":\"\",\"kind\":0,\"startTimeUnixNano\":\"0\",\"attributes\":[],"
                        "\"droppedAttributesCount\":0,\"traceId\":\"\",\"flags\":0}";
    assert_int_equal(json_wire_of(&SPAN, sl_str(zeros), &wire, NULL), SL_OK);
    assert_int_equal(wire.n, 0);
    free(wire.at);
    /* But not what has presence. */
    reads_as(&HISTOGRAM_POINT, "{\"sum\":0,\"min\":0.0,\"count\":0}", "{\"sum\":0,\"min\":0}");
    reads_as(&NUMBER_POINT, "{\"asInt\":\"0\"}", "{\"asInt\":\"0\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_white_space),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_enums),
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_bools),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_text_lengths),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_null_is_absent),
        cmocka_unit_test(test_keys_that_come_twice),
        cmocka_unit_test(test_what_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
