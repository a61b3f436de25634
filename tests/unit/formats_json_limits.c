/* The JSON writer's limits: depth, malformed bytes, output, memory; and random messages, whole ones
 * against protobuf-c's rewriting and damaged ones. */
#include "tests/unit/formats_json_support.h"

#include "tests/oracle/random_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

enum { RANDOM_MESSAGES = 2000, RANDOM_DEPTH = 7 };

static uint64_t seed;

static void expect_malformed(const ProtobufCMessageDescriptor *type, const char *hex)
{
    uint8_t bytes[JSON_TEST_BYTES_MAX];
    size_t n = json_from_hex(hex, bytes);
    sl_error error = {.size = sizeof error};
    assert_int_equal(json_refused(type, sl_slice(bytes, n), &error), SL_ERR_INVALID);
    assert_int_equal(error.code, SL_ERR_INVALID);
    assert_non_null(strstr(error.text, type->name));
    assert_int_equal(json_refused(type, sl_slice(bytes, n), NULL), SL_ERR_INVALID);
}

/* Arrays inside arrays, around a bool. */
static size_t nested(size_t depth, uint8_t *at)
{
    uint8_t *end = at + JSON_TEST_BYTES_MAX;
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
    uint8_t bytes[JSON_TEST_BYTES_MAX];
    sl_bytes whole = sl_slice(bytes, nested(DEEPEST, bytes));
    char *text = json_text_of(&ANY_VALUE, &whole, 1);
    assert_non_null(strstr(text, "{\"boolValue\":true}]"));
    free(text);
    whole.n = nested(DEEPEST + 1, bytes);
    sl_error error = {.size = sizeof error};
    assert_int_equal(json_refused(&ANY_VALUE, whole, &error), SL_ERR_INVALID);
    assert_non_null(strstr(error.text, "deeper than 128"));
}

static void test_malformed(void **state)
{
    (void)state;
    expect_malformed(&HISTOGRAM_POINT, "3207 01000000000000");
    expect_malformed(&HISTOGRAM_POINT, "3a09 000000000000000000");
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
    uint8_t bytes[JSON_TEST_BYTES_MAX];
    size_t n = json_from_hex(json_golden, bytes);
    for (size_t i = 1; i < n; i++) {
        uint8_t *cut = malloc(i);
        assert_non_null(cut);
        memcpy(cut, bytes, i);
        assert_int_equal(json_refused(&TRACES, sl_slice(cut, i), NULL), SL_ERR_INVALID);
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
    assert_int_equal(json_refused(&SPAN, whole, NULL), SL_ERR_TOO_LARGE);
    free(bytes);
}

static void test_output_limit(void **state)
{
    (void)state;
    struct json_schema *schema = json_schema_of(&ANY_VALUE);
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
    uint8_t bytes[JSON_TEST_BYTES_MAX];
    size_t n = json_from_hex(json_golden, bytes);
    enum { REQUESTS = 1000 };
    sl_bytes *segments = malloc(REQUESTS * sizeof *segments);
    assert_non_null(segments);
    for (size_t i = 0; i < REQUESTS; i++) {
        segments[i] = sl_slice(bytes, n);
    }
    struct json_schema *schema = json_schema_of(&TRACES);
    char *expected = json_text_of(&TRACES, segments, REQUESTS);
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
        char *text = json_text_of(type, &wild, 1);
        char *expected = json_text_of(type, &tidy, 1);
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
        schemas[i] = json_schema_of(random_types[i]);
    }
    struct json_out out;
    json_init_collecting(&out);
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
