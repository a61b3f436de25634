/* Helpers of the tests of JSON. One thread. */
#include "tests/unit/formats_json_support.h"

#include "formats/otlp/json_read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

const char json_golden[] =
    "0a630a150a130a0c736572766963652e6e616d6512030a0161124a12480a100102030405060708090a0b0c0d0e0f10"
    "120801020304050607082a026f7030023901000000000000004102000000000000004a080a016b12030a01767a0218"
    "02850101010000";
const char json_golden_text[] =
    "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":"
    "{\"stringValue\":\"a\"}}]},\"scopeSpans\":[{\"scope\":{},\"spans\":[{\"traceId\":"
    "\"0102030405060708090a0b0c0d0e0f10\",\"spanId\":\"0102030405060708\",\"name\":\"op\","
    "\"kind\":2,\"startTimeUnixNano\":\"1\",\"endTimeUnixNano\":\"2\",\"attributes\":[{\"key\":"
    "\"k\",\"value\":{\"stringValue\":\"v\"}}],\"status\":{\"code\":2},\"flags\":257}]}]}]}";

size_t json_from_hex(const char *hex, uint8_t *at)
{
    size_t n = 0;
    for (; *hex; hex++) {
        if (*hex == ' ') {
            continue;
        }
        const char pair[3] = {hex[0], hex[1], 0};
        assert_true(n < JSON_TEST_BYTES_MAX);
        at[n++] = (uint8_t)strtoul(pair, NULL, 16);
        hex++;
    }
    return n;
}

struct json_schema *json_schema_of(const ProtobufCMessageDescriptor *type)
{
    struct json_schema *schema;
    assert_int_equal(json_schema_create(type, &schema), SL_OK);
    return schema;
}

void json_init_collecting(struct json_out *out)
{
    assert_int_equal(json_out_init(out, UINT32_MAX, NULL, NULL), SL_OK);
}

char *json_text_of(const ProtobufCMessageDescriptor *type, const sl_bytes *segments, size_t count)
{
    struct json_schema *schema = json_schema_of(type);
    struct json_out out;
    sl_error error = {.size = sizeof error};
    json_init_collecting(&out);
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

int32_t json_bytes_grow(void *ctx, size_t capacity, uint8_t **at, size_t *got)
{
    struct json_bytes *bytes = ctx;
    assert_true(capacity > bytes->capacity);
    if (++bytes->calls == bytes->fail_at) {
        return SL_ERR_NOMEM;
    }
    /* Moved each time, so that a sanitizer sees what still points to the old place. */
    uint8_t *moved = malloc(capacity);
    assert_non_null(moved);
    if (bytes->at) {
        memcpy(moved, bytes->at, bytes->capacity);
    }
    free(bytes->at);
    bytes->at = moved;
    bytes->capacity = capacity;
    *at = moved;
    *got = capacity;
    return SL_OK;
}

int32_t json_wire_of(const ProtobufCMessageDescriptor *type, sl_bytes text,
                     struct json_bytes *bytes, sl_error *error)
{
    struct json_schema *schema = json_schema_of(type);
    struct json_reader *reader = json_reader_create(schema);
    assert_non_null(reader);
    *bytes = (struct json_bytes){.at = NULL};
    /* A copy that ends where the text does. */
    uint8_t *exact = malloc(text.n ? text.n : 1);
    assert_non_null(exact);
    if (text.n > 0) {
        memcpy(exact, text.p, text.n);
    }
    const struct byte_target target = {bytes, json_bytes_grow};
    int32_t status =
        json_read(reader, sl_slice(exact, text.n), &target, UINT32_MAX, &bytes->n, error);
    free(exact);
    json_reader_destroy(reader);
    json_schema_destroy(schema);
    return status;
}

int32_t json_refused(const ProtobufCMessageDescriptor *type, sl_bytes whole, sl_error *error)
{
    struct json_schema *schema = json_schema_of(type);
    struct json_out out;
    json_init_collecting(&out);
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
