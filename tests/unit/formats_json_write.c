/* OTLP wire bytes as JSON: golden texts, records in unusual order, merging, limits, malformed
 * bytes; and random messages, rewritten by protobuf-c into the usual order, which must give the
 * same text. */
#include "formats/otlp/json_write.h"

#include "formats/otlp/proto/logs_service.pb-c.h"
#include "formats/otlp/proto/metrics_service.pb-c.h"
#include "formats/otlp/proto/status.pb-c.h"
#include "formats/otlp/proto/trace_service.pb-c.h"
#include "tests/oracle/random_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define ANY_VALUE opentelemetry__proto__common__v1__any_value__descriptor
#define KEY_VALUE opentelemetry__proto__common__v1__key_value__descriptor
#define ENTITY opentelemetry__proto__common__v1__entity_ref__descriptor
#define SPAN opentelemetry__proto__trace__v1__span__descriptor
#define SCOPE_SPANS opentelemetry__proto__trace__v1__scope_spans__descriptor
#define LINK opentelemetry__proto__trace__v1__span__link__descriptor
#define NUMBER_POINT opentelemetry__proto__metrics__v1__number_data_point__descriptor
#define HISTOGRAM_POINT opentelemetry__proto__metrics__v1__histogram_data_point__descriptor
#define EXPONENTIAL_POINT                                                                          \
    opentelemetry__proto__metrics__v1__exponential_histogram_data_point__descriptor
#define METRIC opentelemetry__proto__metrics__v1__metric__descriptor
#define LOG opentelemetry__proto__logs__v1__log_record__descriptor
#define TRACES opentelemetry__proto__collector__trace__v1__export_trace_service_request__descriptor
#define METRICS                                                                                    \
    opentelemetry__proto__collector__metrics__v1__export_metrics_service_request__descriptor
#define LOGS opentelemetry__proto__collector__logs__v1__export_logs_service_request__descriptor
#define RESPONSE                                                                                   \
    opentelemetry__proto__collector__trace__v1__export_trace_service_response__descriptor

enum { RANDOM_MESSAGES = 2000, RANDOM_DEPTH = 7, BYTES_MAX = 4096, SEGMENTS_MAX = 8 };

static uint64_t seed;

static size_t from_hex(const char *hex, uint8_t *at)
{
    size_t n = 0;
    for (; *hex; hex++) {
        if (*hex == ' ') {
            continue;
        }
        const char pair[3] = {hex[0], hex[1], 0};
        assert_true(n < BYTES_MAX);
        at[n++] = (uint8_t)strtoul(pair, NULL, 16);
        hex++;
    }
    return n;
}

static struct json_schema *schema_of(const ProtobufCMessageDescriptor *type)
{
    struct json_schema *schema;
    assert_int_equal(json_schema_create(type, &schema), SL_OK);
    return schema;
}

static void init_collecting(struct json_out *out)
{
    assert_int_equal(json_out_init(out, UINT32_MAX, NULL, NULL), SL_OK);
}

/* The text of segments; the caller frees it. */
static char *text_of(const ProtobufCMessageDescriptor *type, const sl_bytes *segments, size_t count)
{
    struct json_schema *schema = schema_of(type);
    struct json_out out;
    sl_error error = {.size = sizeof error};
    init_collecting(&out);
    if (json_write(schema, segments, count, &out, &error) != SL_OK) {
        fail_msg("%s", error.text);
    }
    char *text = malloc(out.used + 1);
    assert_non_null(text);
    memcpy(text, out.at, out.used);
    text[out.used] = 0;
    json_out_deinit(&out);
    json_schema_destroy(schema);
    return text;
}

static void expect(const ProtobufCMessageDescriptor *type, const char *hex, const char *json)
{
    uint8_t bytes[BYTES_MAX];
    sl_bytes whole = sl_slice(bytes, from_hex(hex, bytes));
    char *text = text_of(type, &whole, 1);
    assert_string_equal(text, json);
    free(text);
}

/* The status for bytes that must not be written, and whether nothing is left of them. */
static int32_t refused(const ProtobufCMessageDescriptor *type, sl_bytes whole, sl_error *error)
{
    struct json_schema *schema = schema_of(type);
    struct json_out out;
    init_collecting(&out);
    memcpy(json_out_reserve(&out, 2), "x\n", 2);
    json_out_commit(&out, 2);
    int32_t status = json_write(schema, &whole, 1, &out, error);
    assert_int_not_equal(status, SL_OK);
    assert_int_equal(out.used, 2);
    assert_memory_equal(out.at, "x\n", 2);
    assert_int_equal(json_out_finish(&out), SL_OK);
    json_out_deinit(&out);
    json_schema_destroy(schema);
    return status;
}

static void expect_malformed(const ProtobufCMessageDescriptor *type, const char *hex)
{
    uint8_t bytes[BYTES_MAX];
    size_t n = from_hex(hex, bytes);
    sl_error error = {.size = sizeof error};
    assert_int_equal(refused(type, sl_slice(bytes, n), &error), SL_ERR_INVALID);
    assert_int_equal(error.code, SL_ERR_INVALID);
    assert_non_null(strstr(error.text, type->name));
    assert_int_equal(refused(type, sl_slice(bytes, n), NULL), SL_ERR_INVALID);
}

/* ---- golden ------------------------------------------------------------------------------- */

static const char golden[] =
    "0a630a150a130a0c736572766963652e6e616d6512030a0161124a12480a100102030405060708090a0b0c0d0e0f10"
    "120801020304050607082a026f7030023901000000000000004102000000000000004a080a016b12030a01767a0218"
    "02850101010000";
static const char golden_json[] =
    "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":"
    "{\"stringValue\":\"a\"}}]},\"scopeSpans\":[{\"scope\":{},\"spans\":[{\"traceId\":"
    "\"0102030405060708090a0b0c0d0e0f10\",\"spanId\":\"0102030405060708\",\"name\":\"op\","
    "\"kind\":2,\"startTimeUnixNano\":\"1\",\"endTimeUnixNano\":\"2\",\"attributes\":[{\"key\":"
    "\"k\",\"value\":{\"stringValue\":\"v\"}}],\"status\":{\"code\":2},\"flags\":257}]}]}]}";

static void test_golden(void **state)
{
    (void)state;
    expect(&TRACES, golden, golden_json);
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
            char *text = text_of(&ANY_VALUE, &whole, 1);
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
    char *text = text_of(&ANY_VALUE, &whole, 1);
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
    expect_malformed(&HISTOGRAM_POINT, "3207 01000000000000");
    expect_malformed(&HISTOGRAM_POINT, "3a09 000000000000000000");
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
    uint8_t bytes[BYTES_MAX];
    size_t n = from_hex(golden, bytes);
    sl_bytes segments[SEGMENTS_MAX] = {{NULL, 0},  {bytes, n}, {NULL, 0},
                                       {bytes, 0}, {bytes, n}, {(const uint8_t *)"\x10\x01", 2},
                                       {bytes, n}, {NULL, 0}};
    char *text = text_of(&TRACES, segments, SEGMENTS_MAX);
    char expected[BYTES_MAX];
    size_t inner = sizeof golden_json - 1 - strlen("{\"resourceSpans\":[") - strlen("]}");
    const char *one = golden_json + strlen("{\"resourceSpans\":[");
    snprintf(expected, sizeof expected, "{\"resourceSpans\":[%.*s,%.*s,%.*s]}", (int)inner, one,
             (int)inner, one, (int)inner, one);
    assert_string_equal(text, expected);
    free(text);
    text = text_of(&TRACES, NULL, 0);
    assert_string_equal(text, "{}");
    free(text);
    /* A singular message in parts in several segments. */
    const sl_bytes parts[] = {sl_slice("\x0a\x02\x08\x03", 4), sl_slice("\x0a\x03\x12\x01x", 5)};
    text = text_of(&RESPONSE, parts, 2);
    assert_string_equal(text,
                        "{\"partialSuccess\":{\"rejectedSpans\":\"3\",\"errorMessage\":\"x\"}}");
    free(text);
}

/* ---- limits ------------------------------------------------------------------------------- */

/* Arrays inside arrays, around a bool. */
static size_t nested(size_t depth, uint8_t *at)
{
    uint8_t *end = at + BYTES_MAX;
    uint8_t *p = end - 2;
    memcpy(p, "\x10\x01", 2);
    for (size_t i = 0; i < 2 * depth; i++) {
        size_t n = (size_t)(end - p);
        uint8_t head[4] = {i % 2 ? 0x2a : 0x0a, (uint8_t)n};
        size_t size = 2;
        if (n >= 0x80) {
            head[1] = (uint8_t)(n | 0x80);
            head[2] = (uint8_t)(n >> 7);
            size = 3;
        }
        p -= size;
        memcpy(p, head, size);
    }
    size_t n = (size_t)(end - p);
    memmove(at, p, n);
    return n;
}

static void test_depth(void **state)
{
    (void)state;
    enum { DEEPEST = (JSON_DEPTH_MAX - 1) / 2 };
    uint8_t bytes[BYTES_MAX];
    sl_bytes whole = sl_slice(bytes, nested(DEEPEST, bytes));
    char *text = text_of(&ANY_VALUE, &whole, 1);
    assert_non_null(strstr(text, "{\"boolValue\":true}]"));
    free(text);
    whole.n = nested(DEEPEST + 1, bytes);
    sl_error error = {.size = sizeof error};
    assert_int_equal(refused(&ANY_VALUE, whole, &error), SL_ERR_INVALID);
    assert_non_null(strstr(error.text, "deeper than 128"));
}

static void test_malformed(void **state)
{
    (void)state;
    expect_malformed(&SPAN, "2a");
    expect_malformed(&SPAN, "2a05 61");
    expect_malformed(&SPAN, "39 00000000000000");
    expect_malformed(&SPAN, "850100 0000");
    expect_malformed(&SPAN, "30");
    expect_malformed(&SPAN, "3080");
    expect_malformed(&SPAN, "30 ffffffffffffffffffff01"); /* eleven bytes */
    expect_malformed(&SPAN, "02 00");                     /* field 0 */
    expect_malformed(&SPAN, "0b 0c");                     /* a group */
    expect_malformed(&SPAN, "0e");                        /* no such wire type */
    expect_malformed(&SPAN, "2a ffffffffffffffffff01");   /* a length beyond memory */
    expect_malformed(&SPAN, "aa808080 20 00");            /* a tag above 32 bits */
    expect_malformed(&SPAN, "f2ffffffff0f");
}

/* The golden request cut at each byte: only nothing and all of it are a request. */
static void test_truncation(void **state)
{
    (void)state;
    uint8_t bytes[BYTES_MAX];
    size_t n = from_hex(golden, bytes);
    for (size_t i = 1; i < n; i++) {
        uint8_t *cut = malloc(i);
        assert_non_null(cut);
        memcpy(cut, bytes, i);
        assert_int_equal(refused(&TRACES, sl_slice(cut, i), NULL), SL_ERR_INVALID);
        free(cut);
    }
}

static void test_merge_limit(void **state)
{
    (void)state;
    /* A status whose first part is just small enough, and whose second one is not. */
    const size_t size = JSON_MERGED_MAX;
    uint8_t *bytes = calloc(1, size + 64);
    assert_non_null(bytes);
    const uint8_t head[] = {0x7a, 0x02, 0x18, 0x01, 0x7a, 0xff, 0xff,
                            0xff, 0x1f, 0x12, 0xfa, 0xff, 0xff, 0x1f};
    memcpy(bytes, head, sizeof head);
    /* The second part: 0x3ffffff bytes, a message of 0x3fffffa bytes behind five of tag and length.
     */
    sl_bytes whole = sl_slice(bytes, 4 + 5 + 0x3ffffff);
    assert_int_equal(refused(&SPAN, whole, NULL), SL_ERR_TOO_LARGE);
    free(bytes);
}

static void test_output_limit(void **state)
{
    (void)state;
    struct json_schema *schema = schema_of(&ANY_VALUE);
    enum { TEXT = 20000, FRAME = 18 /* of {"stringValue":""} */ };
    uint8_t *bytes = malloc(TEXT + 4);
    assert_non_null(bytes);
    memset(bytes, 'x', TEXT + 4);
    memcpy(bytes, "\x0a\xa0\x9c\x01", 4);
    sl_bytes whole = sl_slice(bytes, TEXT + 4);
    for (size_t limit = TEXT + FRAME - 1; limit <= TEXT + FRAME + 1; limit++) {
        struct json_out out;
        assert_int_equal(json_out_init(&out, limit, NULL, NULL), SL_OK);
        int32_t status = json_write(schema, &whole, 1, &out, NULL);
        bool enough = limit >= TEXT + FRAME;
        assert_int_equal(status, enough ? SL_OK : SL_ERR_TOO_LARGE);
        assert_int_equal(out.used, enough ? TEXT + FRAME : 0);
        assert_true(out.room <= limit + JSON_OUT_RESERVE_MAX || out.room <= 32768);
        /* What is refused leaves room for what is smaller. */
        if (!enough) {
            const sl_bytes small = sl_slice("\x10\x01", 2);
            assert_int_equal(json_write(schema, &small, 1, &out, NULL), SL_OK);
            assert_int_equal(out.used, strlen("{\"boolValue\":true}"));
        }
        json_out_deinit(&out);
    }
    free(bytes);
    json_schema_destroy(schema);
}

struct collected {
    char *at;
    size_t n, calls, fail_at;
};

static int32_t collect(void *context, const uint8_t *at, size_t n)
{
    struct collected *c = context;
    assert_true(n > 0 && n <= JSON_OUT_FLUSH_ROOM + JSON_OUT_RESERVE_MAX);
    if (++c->calls == c->fail_at) {
        return SL_ERR_IO;
    }
    c->at = realloc(c->at, c->n + n);
    assert_non_null(c->at);
    memcpy(c->at + c->n, at, n);
    c->n += n;
    return SL_OK;
}

static void test_flushing(void **state)
{
    (void)state;
    uint8_t bytes[BYTES_MAX];
    size_t n = from_hex(golden, bytes);
    enum { REQUESTS = 1000 };
    sl_bytes *segments = malloc(REQUESTS * sizeof *segments);
    assert_non_null(segments);
    for (size_t i = 0; i < REQUESTS; i++) {
        segments[i] = sl_slice(bytes, n);
    }
    struct json_schema *schema = schema_of(&TRACES);
    char *expected = text_of(&TRACES, segments, REQUESTS);
    struct json_out out;
    struct collected c = {.at = NULL};
    assert_int_equal(json_out_init(&out, UINT64_MAX, collect, &c), SL_OK);
    assert_int_equal(json_write(schema, segments, REQUESTS, &out, NULL), SL_OK);
    assert_int_equal(json_out_finish(&out), SL_OK);
    assert_true(c.calls > 3);
    assert_int_equal(c.n, strlen(expected));
    assert_memory_equal(c.at, expected, c.n);
    assert_int_equal(out.room, JSON_OUT_FLUSH_ROOM);
    json_out_deinit(&out);

    /* A sink that fails ends the writing, for good. */
    sl_error error = {.size = sizeof error};
    c.calls = 0;
    c.fail_at = 2;
    assert_int_equal(json_out_init(&out, UINT64_MAX, collect, &c), SL_OK);
    assert_int_equal(json_write(schema, segments, REQUESTS, &out, &error), SL_ERR_IO);
    assert_non_null(strstr(error.text, "sink"));
    assert_int_equal(json_write(schema, segments, 1, &out, NULL), SL_ERR_IO);
    assert_int_equal(json_out_finish(&out), SL_ERR_IO);
    assert_int_equal(c.calls, 2);
    json_out_deinit(&out);

    /* The limit counts what has been flushed. */
    c.fail_at = 0;
    assert_int_equal(json_out_init(&out, 100000, collect, &c), SL_OK);
    assert_int_equal(json_write(schema, segments, REQUESTS, &out, NULL), SL_ERR_TOO_LARGE);
    assert_int_equal(json_out_finish(&out), SL_ERR_TOO_LARGE);
    json_out_deinit(&out);

    free(c.at);
    free(expected);
    free(segments);
    json_schema_destroy(schema);
}

static void test_schema_refuses(void **state)
{
    (void)state;
    struct json_schema *schema = NULL;
    ProtobufCFieldDescriptor fields[] = {{.name = "x", .id = 1, .type = PROTOBUF_C_TYPE_DOUBLE}};
    ProtobufCMessageDescriptor type = {.name = "T", .n_fields = 1, .fields = fields};
    assert_int_equal(json_schema_create(&type, &schema), SL_OK);
    json_schema_destroy(schema);
    fields[0].type = PROTOBUF_C_TYPE_FLOAT;
    assert_int_equal(json_schema_create(&type, &schema), SL_ERR_UNSUPPORTED);
    assert_null(schema);
    fields[0].type = PROTOBUF_C_TYPE_DOUBLE;
    fields[0].id = JSON_NUMBER_MAX + 1;
    assert_int_equal(json_schema_create(&type, &schema), SL_ERR_UNSUPPORTED);
    fields[0].id = 1;
    fields[0].name = "a_name_that_is_longer_than_any_in_otlp_and_does_not_fit_its_reservation";
    assert_int_equal(json_schema_create(&type, &schema), SL_ERR_UNSUPPORTED);
    type.n_fields = JSON_FIELDS_MAX + 1;
    assert_int_equal(json_schema_create(&type, &schema), SL_ERR_UNSUPPORTED);
    json_schema_destroy(NULL);
}

/* ---- memory that runs out ------------------------------------------------------------------ */

/* The linker sends the library's allocations here. The countdown: 1 fails the next one, 0 none. */
static size_t countdown;

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__real_realloc(void *at, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_realloc(void *at, size_t n);

static bool runs_out(void)
{
    return countdown > 0 && --countdown == 0;
}

void *__wrap_malloc(size_t n)
{
    return runs_out() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t n)
{
    return runs_out() ? NULL : __real_calloc(count, n);
}

void *__wrap_realloc(void *at, size_t n)
{
    return runs_out() ? NULL : __real_realloc(at, n);
}

/* A span with a status in two parts and a name that makes the sink grow. */
static int32_t write_all(sl_bytes whole)
{
    struct json_schema *schema;
    struct json_out out = {.at = NULL};
    int32_t status = json_schema_create(&SPAN, &schema);
    if (status == SL_OK) {
        status = json_out_init(&out, UINT32_MAX, NULL, NULL);
    }
    if (status == SL_OK) {
        status = json_write(schema, &whole, 1, &out, NULL);
        assert_int_equal(out.used > 0, status == SL_OK);
    }
    json_out_deinit(&out);
    json_schema_destroy(schema);
    return status;
}

static void test_no_memory(void **state)
{
    (void)state;
    uint8_t bytes[8 + 3 + 6000] = {0x7a, 0x02, 0x18, 0x01, 0x7a, 0x02,
                                   0x18, 0x02, 0x2a, 0xf0, 0x2e};
    memset(bytes + 11, 'x', 6000);
    int32_t status = SL_ERR_NOMEM;
    size_t calls = 0;
    while (status == SL_ERR_NOMEM) {
        assert_true(calls < 20);
        countdown = ++calls;
        status = write_all(sl_slice(bytes, sizeof bytes));
    }
    countdown = 0;
    assert_int_equal(status, SL_OK);
    assert_int_equal(calls, 1 + 4 + 1 + 3); /* schema, sink, then walk, growth, merged status */
}

/* ---- random ------------------------------------------------------------------------------- */

static const ProtobufCMessageDescriptor *const random_types[] = {
    &TRACES, &METRICS, &LOGS, &RESPONSE, &SPAN, &EXPONENTIAL_POINT, &HISTOGRAM_POINT, &ANY_VALUE};
enum { RANDOM_TYPES = sizeof random_types / sizeof *random_types };

/* protobuf-c reads the message and writes it anew, each scalar once and in the order of field
 * numbers: the text must stay. */
static void test_random_equals_rewritten(void **state)
{
    (void)state;
    uint64_t random = seed;
    for (int i = 0; i < RANDOM_MESSAGES; i++) {
        const ProtobufCMessageDescriptor *type = random_types[i % RANDOM_TYPES];
        struct random_bytes bytes = {0};
        random_message(&random, type, RANDOM_DEPTH, RANDOM_WHOLE, &bytes);
        sl_bytes wild = sl_slice(bytes.at, bytes.n);
        ProtobufCMessage *message = protobuf_c_message_unpack(type, NULL, bytes.n, bytes.at);
        assert_non_null(message);
        uint8_t *packed = malloc(protobuf_c_message_get_packed_size(message) + 1);
        assert_non_null(packed);
        sl_bytes tidy = sl_slice(packed, protobuf_c_message_pack(message, packed));
        char *text = text_of(type, &wild, 1);
        char *expected = text_of(type, &tidy, 1);
        if (strcmp(text, expected) != 0) {
            fail_msg("message %d, a %s", i, type->name);
        }
        free(text);
        free(expected);
        free(packed);
        protobuf_c_message_free_unpacked(message, NULL);
        free(bytes.at);
    }
}

/* Damaged bytes give a text or a clean error, and nothing outside them is read. */
static void test_random_damage(void **state)
{
    (void)state;
    uint64_t random = seed ^ 1;
    struct json_schema *schemas[RANDOM_TYPES];
    for (size_t i = 0; i < RANDOM_TYPES; i++) {
        schemas[i] = schema_of(random_types[i]);
    }
    struct json_out out;
    init_collecting(&out);
    size_t refusals = 0;
    for (int i = 0; i < RANDOM_MESSAGES; i++) {
        size_t type = (size_t)i % RANDOM_TYPES;
        struct random_bytes bytes = {0};
        random_message(&random, random_types[type], RANDOM_DEPTH, RANDOM_WILD, &bytes);
        size_t n = bytes.n ? random_next(&random) % (bytes.n + 1) : 0;
        uint8_t *damaged = malloc(n + 1);
        assert_non_null(damaged);
        for (size_t j = 0; j < n; j++) {
            damaged[j] = bytes.at[j];
        }
        for (uint64_t j = random_next(&random) % 4; n > 0 && j > 0; j--) {
            damaged[random_next(&random) % n] = (uint8_t)random_next(&random);
        }
        sl_bytes whole = sl_slice(damaged, n);
        out.used = 0;
        int32_t status = json_write(schemas[type], &whole, 1, &out, NULL);
        assert_true(status == SL_OK || status == SL_ERR_INVALID);
        refusals += status != SL_OK;
        free(damaged);
        free(bytes.at);
    }
    assert_true(refusals > RANDOM_MESSAGES / 8);
    json_out_deinit(&out);
    for (size_t i = 0; i < RANDOM_TYPES; i++) {
        json_schema_destroy(schemas[i]);
    }
}

int main(int argc, char **argv)
{
    seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)time(NULL);
    printf("seed %llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_objects_always_written),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_binary),
        cmocka_unit_test(test_zeros_left_out),
        cmocka_unit_test(test_packed_and_not),
        cmocka_unit_test(test_repeated_lies_apart),
        cmocka_unit_test(test_merging),
        cmocka_unit_test(test_oneof),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_segments),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_merge_limit),
        cmocka_unit_test(test_output_limit),
        cmocka_unit_test(test_flushing),
        cmocka_unit_test(test_schema_refuses),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_random_equals_rewritten),
        cmocka_unit_test(test_random_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
