/* The JSON reader's limits: what errors say, truncation everywhere, depth, output, memory; and
 * random messages, written as JSON and read back, whole ones and damaged ones. */
#include "formats/otlp/json_read.h"
#include "tests/oracle/random_message.h"
#include "tests/unit/formats_json_support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

enum { RANDOM_MESSAGES = 2000, RANDOM_DEPTH = 7 };

static uint64_t seed;

static void says(const ProtobufCMessageDescriptor *type, const char *text, const char *expected)
{
    sl_error error = {.size = sizeof error};
    struct json_bytes wire;
    assert_int_equal(json_wire_of(type, sl_str(text), &wire, &error), SL_ERR_INVALID);
    assert_int_equal(error.code, SL_ERR_INVALID);
    assert_string_equal(error.text, expected);
    free(wire.at);
    assert_int_equal(json_wire_of(type, sl_str(text), &wire, NULL), SL_ERR_INVALID);
    free(wire.at);
}

static void test_errors_say_where(void **state)
{
    (void)state;
    says(&TRACES, "", "OTLP/JSON line 1, column 1: an object is expected, but the text ends");
    says(&TRACES, "\n [", "OTLP/JSON line 2, column 2: an object is expected, not: [");
    says(&TRACES, "\xef\xbb\xbf{}",
         "OTLP/JSON line 1, column 1: the text begins with a byte order mark; leave it out");
    says(&TRACES, "{}\n}", "OTLP/JSON line 2, column 1: the text's end is expected, not: }");
    says(&TRACES, "{} \xff",
         "OTLP/JSON line 1, column 4: the text's end is expected, not byte 0xff");
    says(&TRACES, "{\"resourceSpans\":{}}",
         "OTLP/JSON line 1, column 18, resourceSpans: an array is expected, not: {}}");
    says(&TRACES,
         "{\"resourceSpans\":[{},\n{\"scopeSpans\":[{\"spans\":[{},{},{\"kind\":true}]}]}]}",
         "OTLP/JSON line 2, column 40, resourceSpans[1].scopeSpans[0].spans[2].kind: the number or "
         "the name of an enum value is expected, not: true}]}]}]}");
    says(&TRACES, "{\"resourceSpans\":[{},]}",
         "OTLP/JSON line 1, column 22, resourceSpans[1]: an object is expected, not: ]}");
    says(&SPAN, "{\"name\":\"x\",}",
         "OTLP/JSON line 1, column 13: a key in quotes is expected, not: }");
    says(&SPAN, "{\"unknown\":[{\"a\":1,}]}",
         "OTLP/JSON line 1, column 20: a key in quotes is expected, not: }]}");
    says(&SPAN, "{\"name\":\"abcdefghijklmnopqrstuvwxyz\x01\"}",
         "OTLP/JSON line 1, column 36, name: control character 0x01 inside a string");
    says(&SPAN, "{\"kind\":abcdefghijklmnopqrstuvwxyz}",
         "OTLP/JSON line 1, column 9, kind: the number or the name of an enum value is expected, "
         "not: abcdefghijklmnopqrstuvwx...");
}

/* Lists in lists, `depth` of them, around a value; the caller frees it. */
static char *nested(size_t depth, const char *innermost)
{
    static const char open[] = "{\"arrayValue\":{\"values\":[", close[] = "]}}";
    const size_t n = strlen(innermost);
    char *text = malloc(depth * (sizeof open + sizeof close) + n + 1), *p = text;
    assert_non_null(text);
    for (size_t i = 0; i < depth; i++, p += sizeof open - 1) {
        memcpy(p, open, sizeof open - 1);
    }
    memcpy(p, innermost, n);
    p += n;
    for (size_t i = 0; i < depth; i++, p += sizeof close - 1) {
        memcpy(p, close, sizeof close - 1);
    }
    *p = 0;
    return text;
}

static void test_depth(void **state)
{
    (void)state;
    enum { DEEPEST = (JSON_READ_DEPTH_MAX - 1) / 2 };
    sl_error error = {.size = sizeof error};
    struct json_bytes wire;
    char *text = nested(DEEPEST, "{\"boolValue\":true}");
    assert_int_equal(json_wire_of(&ANY_VALUE, sl_str(text), &wire, &error), SL_OK);
    free(wire.at);
    free(text);
    text = nested(DEEPEST + 1, "{\"boolValue\":true}");
    assert_int_equal(json_wire_of(&ANY_VALUE, sl_str(text), &wire, &error), SL_ERR_INVALID);
    assert_non_null(strstr(error.text, "nested deeper than 256"));
    free(wire.at);
    free(text);

    /* Of a long path the inner part is shown. */
    text = nested(30, "{\"boolValue\":1}");
    assert_int_equal(json_wire_of(&ANY_VALUE, sl_str(text), &wire, &error), SL_ERR_INVALID);
    assert_non_null(strstr(error.text, ", ...arrayValue.values[0].arrayValue.values[0]."));
    assert_non_null(strstr(error.text, "arrayValue.values[0].boolValue: true or false is"));
    free(wire.at);
    free(text);
}

/* Brackets without end cost neither stack nor memory, where they are known and where not. */
static void test_bracket_floods(void **state)
{
    (void)state;
    enum { BRACKETS = 100000 };
    static const char *const heads[] = {"", "{\"unknown\":", "{\"arrayValue\":{\"values\":"};
    char *text = malloc(BRACKETS * 5 + 100);
    assert_non_null(text);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        for (int objects = 0; objects < 2; objects++) {
            size_t n = strlen(heads[i]);
            memcpy(text, heads[i], n);
            for (int k = 0; k < BRACKETS; k++) {
                memcpy(text + n, objects ? "{\"a\":" : "[", objects ? 5 : 1);
                n += objects ? 5 : 1;
            }
            struct json_bytes wire;
            assert_int_equal(json_wire_of(&ANY_VALUE, sl_slice(text, n), &wire, NULL),
                             SL_ERR_INVALID);
            assert_true(wire.capacity <= n);
            free(wire.at);
        }
    }
    free(text);
    /* As deep as it may be, and one more. */
    char skipped[2 * JSON_READ_DEPTH_MAX + 100] = "{\"unknown\":";
    const size_t n = strlen(skipped);
    for (size_t depth = JSON_READ_DEPTH_MAX; depth < JSON_READ_DEPTH_MAX + 2; depth++) {
        memset(skipped + n, '[', depth);
        memset(skipped + n + depth, ']', depth);
        memcpy(skipped + n + 2 * depth, "}", 2);
        struct json_bytes wire;
        assert_int_equal(json_wire_of(&ANY_VALUE, sl_str(skipped), &wire, NULL),
                         depth == JSON_READ_DEPTH_MAX ? SL_OK : SL_ERR_INVALID);
        free(wire.at);
    }
}

static const char everything[] =
    "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"a\",\"value\":{\"bytesValue\":"
    "\"AA==\"}}"
    "]},\"scopeSpans\":[{\"spans\":[{\"traceId\":\"0102030405060708090a0b0c0d0e0f10\",\"kind\":"
    "\"SPAN_KIND_CLIENT\",\"startTimeUnixNano\":\"12\",\"x\":[1,{\"y\":null}],\"attributes\":[{"
    "\"key\":"
    "\"\\u00e4\\ud83d\\ude00\xc3\xa4\",\"value\":{\"doubleValue\":-1.5e-3}},{\"value\":{"
    "\"boolValue\":"
    "true}}]}]}]}]}";

static void test_truncation(void **state)
{
    (void)state;
    const size_t whole = sizeof everything - 1;
    struct json_bytes wire;
    for (size_t n = 0; n < whole; n++) {
        sl_error error = {.size = sizeof error};
        assert_int_equal(json_wire_of(&TRACES, sl_slice(everything, n), &wire, &error),
                         SL_ERR_INVALID);
        assert_true(strstr(error.text, "ends") || strstr(error.text, "does not end") ||
                    strstr(error.text, "is expected") || strstr(error.text, "not valid UTF-8"));
        free(wire.at);
    }
    assert_int_equal(json_wire_of(&TRACES, sl_slice(everything, whole), &wire, NULL), SL_OK);
    free(wire.at);
}

/* ---- output and memory --------------------------------------------------------------------- */

static void test_output_limit(void **state)
{
    (void)state;
    struct json_schema *schema = json_schema_of(&TRACES);
    struct json_reader *reader = json_reader_create(schema);
    const sl_bytes text = sl_str(everything);
    struct json_bytes whole;
    assert_int_equal(json_wire_of(&TRACES, text, &whole, NULL), SL_OK);
    for (size_t limit = 0; limit < whole.n + 100; limit++) {
        struct json_bytes wire = {.at = NULL};
        const struct byte_target target = {&wire, json_bytes_grow};
        sl_error error = {.size = sizeof error};
        const int32_t status = json_read(reader, text, &target, limit, &wire.n, &error);
        assert_int_equal(status, limit < whole.n ? SL_ERR_TOO_LARGE : SL_OK);
        assert_true(wire.capacity <= limit + 64);
        if (status == SL_OK) {
            assert_int_equal(wire.n, whole.n);
            assert_memory_equal(wire.at, whole.at, whole.n);
        } else {
            assert_non_null(strstr(error.text, "more than the limit of"));
        }
        free(wire.at);
    }
    free(whole.at);
    json_reader_destroy(reader);
    json_schema_destroy(schema);
}

/* A text that is half as large as its bytes, and one that is skipped. */
static void test_growth(void **state)
{
    (void)state;
    enum { NUMBERS = 50000 };
    char *text = malloc(2 * NUMBERS + 100);
    assert_non_null(text);
    size_t n = strlen("{\"explicitBounds\":[");
    memcpy(text, "{\"explicitBounds\":[", n);
    for (int i = 0; i < NUMBERS; i++) {
        memcpy(text + n, i ? ",1" : "1", 2);
        n += i ? 2 : 1;
    }
    memcpy(text + n, "]}", 2);
    struct json_bytes wire;
    assert_int_equal(json_wire_of(&HISTOGRAM_POINT, sl_slice(text, n + 2), &wire, NULL), SL_OK);
    assert_int_equal(wire.n, 1 + 3 + 8 * NUMBERS);
    free(wire.at);

    memcpy(text, "{\"x\":\"", 6);
    memset(text + 6, 'x', 2 * NUMBERS);
    memcpy(text + 6 + 2 * NUMBERS, "\"}", 2);
    assert_int_equal(json_wire_of(&SPAN, sl_slice(text, 8 + 2 * NUMBERS), &wire, NULL), SL_OK);
    assert_int_equal(wire.n, 0);
    assert_int_equal(wire.calls, 0);
    free(wire.at);
    free(text);
}

static void test_target_that_fails(void **state)
{
    (void)state;
    struct json_schema *schema = json_schema_of(&ANY_VALUE);
    struct json_reader *reader = json_reader_create(schema);
    char text[20000] = "{\"stringValue\":\"";
    const size_t head = strlen(text);
    /* Escapes to begin with, so that half the text is enough for a while, and then a length. */
    memset(text + head, 'x', sizeof text - head);
    memcpy(text + sizeof text - 2, "\"}", 2);
    int32_t status = SL_ERR_NOMEM;
    size_t fail_at = 0;
    while (status == SL_ERR_NOMEM) {
        struct json_bytes wire = {.fail_at = ++fail_at};
        const struct byte_target target = {&wire, json_bytes_grow};
        sl_error error = {.size = sizeof error};
        status =
            json_read(reader, sl_slice(text, sizeof text), &target, UINT32_MAX, &wire.n, &error);
        assert_true(status == SL_OK || strstr(error.text, "no memory for"));
        free(wire.at);
    }
    assert_int_equal(status, SL_OK);
    assert_int_equal(fail_at, 3);
    json_reader_destroy(reader);
    json_schema_destroy(schema);
}

/* The linker sends the library's allocations here. The countdown: 1 fails the next one, 0 none. */
static size_t countdown;

void *__real_calloc(size_t count, size_t n);
void *__wrap_calloc(size_t count, size_t n);

void *__wrap_calloc(size_t count, size_t n)
{
    return countdown > 0 && --countdown == 0 ? NULL : __real_calloc(count, n);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct json_schema *schema = json_schema_of(&ANY_VALUE);
    struct json_reader *reader = NULL;
    for (size_t calls = 1; !reader; calls++) {
        assert_true(calls < 5);
        countdown = calls;
        reader = json_reader_create(schema);
        assert_true(calls > 2 || !reader);
    }
    countdown = 0;
    json_reader_destroy(reader);
    json_reader_destroy(NULL);
    json_schema_destroy(schema);
}

/* ---- random -------------------------------------------------------------------------------- */

static const ProtobufCMessageDescriptor *const random_types[] = {
    &TRACES, &METRICS, &LOGS, &RESPONSE, &SPAN, &EXPONENTIAL_POINT, &HISTOGRAM_POINT, &ANY_VALUE};
enum { RANDOM_TYPES = sizeof random_types / sizeof *random_types };

/* Ids of random messages have random lengths. */
static bool has_odd_ids(const char *why)
{
    return strstr(why, "an id of") != NULL;
}

static void test_random_reads_back(void **state)
{
    (void)state;
    uint64_t random = seed;
    size_t read = 0;
    for (int i = 0; i < RANDOM_MESSAGES; i++) {
        const ProtobufCMessageDescriptor *type = random_types[i % RANDOM_TYPES];
        struct random_bytes bytes = {0};
        random_message(&random, type, RANDOM_DEPTH, RANDOM_WILD, &bytes);
        const sl_bytes wild = sl_slice(bytes.at, bytes.n);
        char *text = json_text_of(type, &wild, 1);
        struct json_bytes wire;
        sl_error error = {.size = sizeof error};
        const int32_t status = json_wire_of(type, sl_str(text), &wire, &error);
        if (status != SL_OK && !has_odd_ids(error.text)) {
            fail_msg("message %d: %s", i, error.text);
        }
        if (status == SL_OK) {
            const sl_bytes whole = sl_slice(wire.at, wire.n);
            char *again = json_text_of(type, &whole, 1);
            assert_string_equal(again, text);
            free(again);
            read++;
        }
        free(wire.at);
        free(text);
        free(bytes.at);
    }
    assert_true(read > RANDOM_MESSAGES / 4);
}

/* Damaged texts give bytes or a clean error, and nothing outside them is read. */
static void test_random_damage(void **state)
{
    (void)state;
    static const char odd[] = "{}[]\",:\\u0e-.n\x00\x80";
    uint64_t random = seed ^ 1;
    size_t refusals = 0;
    for (int i = 0; i < RANDOM_MESSAGES; i++) {
        const ProtobufCMessageDescriptor *type = random_types[i % RANDOM_TYPES];
        struct random_bytes bytes = {0};
        random_message(&random, type, RANDOM_DEPTH, RANDOM_WHOLE, &bytes);
        const sl_bytes whole = sl_slice(bytes.at, bytes.n);
        char *text = json_text_of(type, &whole, 1);
        size_t n = strlen(text);
        for (uint64_t k = random_next(&random) % 3 + 1; k > 0; k--) {
            text[random_next(&random) % n] = odd[random_next(&random) % (sizeof odd - 1)];
        }
        struct json_bytes wire;
        sl_error error = {.size = sizeof error};
        const int32_t status = json_wire_of(type, sl_slice(text, n), &wire, &error);
        assert_true(status == SL_OK || status == SL_ERR_INVALID);
        refusals += status != SL_OK;
        free(wire.at);
        free(text);
        free(bytes.at);
    }
    assert_true(refusals > RANDOM_MESSAGES / 2);
}

int main(int argc, char **argv)
{
    seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)time(NULL);
    printf("seed %llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors_say_where),  cmocka_unit_test(test_depth),
        cmocka_unit_test(test_bracket_floods),    cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_output_limit),      cmocka_unit_test(test_growth),
        cmocka_unit_test(test_target_that_fails), cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_random_reads_back), cmocka_unit_test(test_random_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
