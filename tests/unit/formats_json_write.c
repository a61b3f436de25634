/* OTLP wire bytes as JSON: golden texts, values, records in unusual order, merging, segments. */
#include "tests/unit/formats_json_support.h"

#include "formats/otlp/proto/status.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SEGMENTS_MAX = 8 };

static void expect(const ProtobufCMessageDescriptor *type, const char *hex, const char *json)
{
    uint8_t bytes[JSON_TEST_BYTES_MAX];
    sl_bytes whole = sl_slice(bytes, json_from_hex(hex, bytes));
    char *text = json_text_of(type, &whole, 1);
    assert_string_equal(text, json);
    free(text);
}

/* ---- golden ------------------------------------------------------------------------------- */

static void test_golden(void **state)
{
    (void)state;
    expect(&TRACES, json_golden, json_golden_text);
    expect(&RESPONSE, "0a0708031203626164",
           "{\"partialSuccess\":{\"rejectedSpans\":\"3\",\"errorMessage\":\"bad\"}}");
    expect(&google__rpc__status__descriptor, "080e120462757379",
           "{\"code\":14,\"message\":\"busy\"}");
}

static void test_objects_always_written(void **state)
{
    (void)state;
    expect(&TRACES, "", "{}");
    expect(&TRACES, "0a00", "{\"resourceSpans\":[{\"resource\":{}}]}");
    expect(&SCOPE_SPANS, "1200", "{\"scope\":{},\"spans\":[{\"status\":{}}]}");
    expect(&RESPONSE, "", "{\"partialSuccess\":{}}");
    expect(&LOG, "", "{\"body\":{}}");
    expect(&KEY_VALUE, "0a016b", "{\"key\":\"k\",\"value\":{}}");
    expect(&EXPONENTIAL_POINT, "", "{\"positive\":{},\"negative\":{}}");
    expect(&METRIC, "2a00", "{\"gauge\":{}}");
}

static void test_values(void **state)
{
    (void)state;
    /* Members of a oneof are written even where they are zero. */
    expect(&ANY_VALUE, "", "{}");
    expect(&ANY_VALUE, "0a00", "{\"stringValue\":\"\"}");
    expect(&ANY_VALUE, "1000", "{\"boolValue\":false}");
    expect(&ANY_VALUE, "1001", "{\"boolValue\":true}");
    expect(&ANY_VALUE, "1800", "{\"intValue\":\"0\"}");
    expect(&ANY_VALUE, "18ffffffffffffffffff01", "{\"intValue\":\"-1\"}");
    expect(&ANY_VALUE, "18ffffffffffffffff7f", "{\"intValue\":\"9223372036854775807\"}");
    expect(&ANY_VALUE, "210000000000000000", "{\"doubleValue\":0}");
    expect(&ANY_VALUE, "21000000000000f83f", "{\"doubleValue\":1.5}");
    expect(&ANY_VALUE, "21000000000000f87f", "{\"doubleValue\":\"NaN\"}");
    expect(&ANY_VALUE, "21000000000000f07f", "{\"doubleValue\":\"Infinity\"}");
    expect(&ANY_VALUE, "21000000000000f0ff", "{\"doubleValue\":\"-Infinity\"}");
    expect(&ANY_VALUE, "2a00", "{\"arrayValue\":{}}");
    expect(&ANY_VALUE, "2a06 0a00 0a021001",
           "{\"arrayValue\":{\"values\":[{},{\"boolValue\":true}]}}");
    expect(&ANY_VALUE, "3207 0a05 0a016b 1200",
           "{\"kvlistValue\":{\"values\":[{\"key\":\"k\",\"value\":{}}]}}");
    expect(&ANY_VALUE, "4007", "{\"stringValueStrindex\":7}");
}

static void test_text(void **state)
{
    (void)state;
    expect(&ANY_VALUE, "0a08 225c2f0a0d09080c", "{\"stringValue\":\"\\\"\\\\/\\n\\r\\t\\b\\f\"}");
    expect(&ANY_VALUE, "0a04 00011f7f", "{\"stringValue\":\"\\u0000\\u0001\\u001f\x7f\"}");
    expect(&ANY_VALUE, "0a0c c3a9 e282ac f09f9880 e280a8",
           "{\"stringValue\":\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xe2\x80\xa8\"}");
#define BAD "\xef\xbf\xbd"
    /* Lone and missing continuations, overlong, surrogate, above U+10FFFF, cut off. */
    expect(&ANY_VALUE, "0a03 61 80 62", "{\"stringValue\":\"a" BAD "b\"}");
    expect(&ANY_VALUE, "0a03 c3 61 c3", "{\"stringValue\":\"" BAD "a" BAD "\"}");
    expect(&ANY_VALUE, "0a02 c0af", "{\"stringValue\":\"" BAD BAD "\"}");
    expect(&ANY_VALUE, "0a03 eda080", "{\"stringValue\":\"" BAD BAD BAD "\"}");
    expect(&ANY_VALUE, "0a04 f4908080", "{\"stringValue\":\"" BAD BAD BAD BAD "\"}");
    expect(&ANY_VALUE, "0a02 e282", "{\"stringValue\":\"" BAD BAD "\"}");
    /* Each place of a special character in and around the words that are copied whole. */
    for (size_t n = 1; n < 40; n++) {
        for (size_t at = 0; at < n; at++) {
            uint8_t bytes[64] = {0x0a, (uint8_t)n};
            memset(bytes + 2, 'x', n);
            bytes[2 + at] = at % 2 ? '"' : 0x1f;
            char expected[128];
            size_t used = (size_t)snprintf(expected, sizeof expected, "{\"stringValue\":\"");
            memset(expected + used, 'x', at);
            used += at;
            used += (size_t)snprintf(expected + used, sizeof expected - used, "%s",
                                     at % 2 ? "\\\"" : "\\u001f");
            memset(expected + used, 'x', n - at - 1);
            memcpy(expected + used + n - at - 1, "\"}", 3);
            sl_bytes whole = sl_slice(bytes, n + 2);
            char *text = json_text_of(&ANY_VALUE, &whole, 1);
            assert_string_equal(text, expected);
            free(text);
        }
    }
}

static void test_binary(void **state)
{
    (void)state;
    expect(&ANY_VALUE, "3a00", "{\"bytesValue\":\"\"}");
    expect(&ANY_VALUE, "3a01 fb", "{\"bytesValue\":\"+w==\"}");
    expect(&ANY_VALUE, "3a02 ffff", "{\"bytesValue\":\"//8=\"}");
    expect(&ANY_VALUE, "3a03 000102", "{\"bytesValue\":\"AAEC\"}");
    expect(&LINK, "0a02 ABcd 1200", "{\"traceId\":\"abcd\"}");
    /* More than one piece of the writer's. */
    uint8_t bytes[3 + 1000] = {0x3a, 0xe8, 0x07};
    sl_bytes whole = sl_slice(bytes, sizeof bytes);
    char *text = json_text_of(&ANY_VALUE, &whole, 1);
    size_t length = strlen(text);
    assert_int_equal(length, strlen("{\"bytesValue\":\"\"}") + 1336);
    assert_int_equal(strspn(text + strlen("{\"bytesValue\":\""), "A"), 1334);
    assert_string_equal(text + length - 4, "==\"}");
    free(text);
}

static void test_zeros_left_out(void **state)
{
    (void)state;
    expect(&SPAN, "0a001200220030003900000000000000005000850100000000", "{\"status\":{}}");
    /* A varint whose low 32 bits are zero is a zero of a 32-bit field. */
    expect(&SPAN, "508080808010", "{\"status\":{}}");
    expect(&HISTOGRAM_POINT, "290000000000000000 590000000000000080", "{\"sum\":0,\"min\":-0}");
    expect(&HISTOGRAM_POINT, "3200", "{}");
    expect(&EXPONENTIAL_POINT, "3001", "{\"scale\":-1,\"positive\":{},\"negative\":{}}");
    expect(&NUMBER_POINT, "310000000000000000", "{\"asInt\":\"0\"}");
}

/* ---- what encoders seldom do -------------------------------------------------------------- */

static void test_packed_and_not(void **state)
{
    (void)state;
    const char *expected = "{\"bucketCounts\":[\"1\",\"2\",\"3\"]}";
    expect(&HISTOGRAM_POINT, "3218 0100000000000000 0200000000000000 0300000000000000", expected);
    expect(&HISTOGRAM_POINT, "31 0100000000000000 31 0200000000000000 31 0300000000000000",
           expected);
    expect(&HISTOGRAM_POINT, "31 0100000000000000 3200 3210 0200000000000000 0300000000000000",
           expected);
    expect(&EXPONENTIAL_POINT, "4208 0803 1202 8101 1005",
           "{\"positive\":{\"offset\":-2,\"bucketCounts\":[\"129\",\"5\"]},\"negative\":{}}");
    expect(&ENTITY, "1a0161 1a00 1a0162", "{\"idKeys\":[\"a\",\"\",\"b\"]}");
}

static void test_repeated_lies_apart(void **state)
{
    (void)state;
    /* attribute a, event, attribute b, name, attribute c, event, in one span. */
    expect(
        &SPAN, "4a030a0161 5a03120178 4a030a0162 2a016e 4a030a0163 5a0312017a",
        "{\"name\":\"n\",\"attributes\":[{\"key\":\"a\",\"value\":{}},{\"key\":\"b\",\"value\":{}}"
        ",{\"key\":\"c\",\"value\":{}}],\"events\":[{\"name\":\"x\"},{\"name\":\"z\"}],"
        "\"status\":{}}");
    /* Numbers between other fields, a record of another wire type, an unknown field. */
    expect(&HISTOGRAM_POINT, "31 0100000000000000 5001 3001 f21f0161 3208 0200000000000000",
           "{\"bucketCounts\":[\"1\",\"2\"],\"flags\":1}");
}

static void test_merging(void **state)
{
    (void)state;
    /* Of scalars the last counts, zero or not. */
    expect(&SPAN, "2a0161 2a0162", "{\"name\":\"b\",\"status\":{}}");
    expect(&SPAN, "3002 3000", "{\"status\":{}}");
    /* Two parts of a status, with the name between them. */
    expect(&SPAN, "7a03120161 2a016e 7a021802",
           "{\"name\":\"n\",\"status\":{\"message\":\"a\",\"code\":2}}");
    /* Parts inside parts: the span's scope. */
    expect(&SCOPE_SPANS, "0a030a0161 1200 0a0512017a2001 0a021a00",
           "{\"scope\":{\"name\":\"a\",\"version\":\"z\",\"attributes\":[{\"value\":{}}],"
           "\"droppedAttributesCount\":1},\"spans\":[{\"status\":{}}]}");
    expect(&LOG, "2a042a020a00 2a082a060a040a026869",
           "{\"body\":{\"arrayValue\":{\"values\":[{},{\"stringValue\":\"hi\"}]}}}");
}

static void test_oneof(void **state)
{
    (void)state;
    expect(&ANY_VALUE, "0a0161 1805", "{\"intValue\":\"5\"}");
    expect(&ANY_VALUE, "1805 0a0161", "{\"stringValue\":\"a\"}");
    /* Another member in between throws away what was there before; parts after it merge. */
    expect(&ANY_VALUE, "2a040a021801 1805 2a040a021802",
           "{\"arrayValue\":{\"values\":[{\"intValue\":\"2\"}]}}");
    expect(&ANY_VALUE, "1805 2a040a021801 2a040a021802",
           "{\"arrayValue\":{\"values\":[{\"intValue\":\"1\"},{\"intValue\":\"2\"}]}}");
    /* Every optional field is on its own. */
    expect(&HISTOGRAM_POINT, "61 000000000000f03f 29 000000000000f03f 59 000000000000f03f",
           "{\"sum\":1,\"min\":1,\"max\":1}");
}

static void test_unknown(void **state)
{
    (void)state;
    expect(&SPAN, "f83e01 f13e0000000000000000 fa3e03616263 fd3e00000000 2a016e",
           "{\"name\":\"n\",\"status\":{}}");
    /* Field 5 as a varint, and 2^29-1, the highest number there is. */
    expect(&SPAN, "2807 faffffff0f00", "{\"status\":{}}");
}

static void test_segments(void **state)
{
    (void)state;
    uint8_t bytes[JSON_TEST_BYTES_MAX];
    size_t n = json_from_hex(json_golden, bytes);
    sl_bytes segments[SEGMENTS_MAX] = {{NULL, 0},  {bytes, n}, {NULL, 0},
                                       {bytes, 0}, {bytes, n}, {(const uint8_t *)"\x10\x01", 2},
                                       {bytes, n}, {NULL, 0}};
    char *text = json_text_of(&TRACES, segments, SEGMENTS_MAX);
    char expected[JSON_TEST_BYTES_MAX];
    size_t inner = strlen(json_golden_text) - strlen("{\"resourceSpans\":[") - strlen("]}");
    const char *one = json_golden_text + strlen("{\"resourceSpans\":[");
    snprintf(expected, sizeof expected, "{\"resourceSpans\":[%.*s,%.*s,%.*s]}", (int)inner, one,
             (int)inner, one, (int)inner, one);
    assert_string_equal(text, expected);
    free(text);
    text = json_text_of(&TRACES, NULL, 0);
    assert_string_equal(text, "{}");
    free(text);
    /* A singular message in parts in several segments. */
    const sl_bytes parts[] = {sl_slice("\x0a\x02\x08\x03", 4), sl_slice("\x0a\x03\x12\x01x", 5)};
    text = json_text_of(&RESPONSE, parts, 2);
    assert_string_equal(text,
                        "{\"partialSuccess\":{\"rejectedSpans\":\"3\",\"errorMessage\":\"x\"}}");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),         cmocka_unit_test(test_objects_always_written),
        cmocka_unit_test(test_values),         cmocka_unit_test(test_text),
        cmocka_unit_test(test_binary),         cmocka_unit_test(test_zeros_left_out),
        cmocka_unit_test(test_packed_and_not), cmocka_unit_test(test_repeated_lies_apart),
        cmocka_unit_test(test_merging),        cmocka_unit_test(test_oneof),
        cmocka_unit_test(test_unknown),        cmocka_unit_test(test_segments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
