/* Statuses, partial successes and the rules of sending again: golden bytes, protobuf-c as a second
 * reader, hostile bytes. */
#include "formats/otlp/status.h"

#include "formats/otlp/proto/error_details.pb-c.h"
#include "formats/otlp/proto/status.pb-c.h"
#include "formats/otlp/proto/trace_service.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define S INT64_C(1000000000)
#define BYTES(literal) sl_slice(literal, sizeof(literal) - 1)

/* Status{14, "busy", RetryInfo 5 s} */
static const char busy[] = "\x08\x0e\x12\x04"
                           "busy\x1a\x30\x0a\x28type.googleapis.com/google.rpc.RetryInfo"
                           "\x12\x04\x0a\x02\x08\x05";

static void test_status_golden(void **state)
{
    (void)state;
    uint8_t at[OTLP_STATUS_ROOM];
    size_t used;
    const struct otlp_status status = {OTLP_CODE_UNAVAILABLE, sl_str("busy"), 5 * S};
    assert_int_equal(otlp_status_encode(&status, at, sizeof at, &used), SL_OK);
    assert_int_equal(used, sizeof busy - 1);
    assert_memory_equal(at, busy, used);

    struct otlp_status read;
    assert_int_equal(otlp_status_decode(BYTES(busy), &read), SL_OK);
    assert_int_equal(read.code, OTLP_CODE_UNAVAILABLE);
    assert_true(sl_eq(read.message, sl_str("busy")));
    assert_int_equal(read.retry_delay_ns, 5 * S);
}

static void check_status(int32_t code, const char *message, int64_t delay)
{
    uint8_t at[1024];
    size_t used;
    const struct otlp_status status = {code, sl_str(message), delay};
    assert_int_equal(otlp_status_encode(&status, at, sizeof at, &used), SL_OK);
    struct otlp_status read;
    assert_int_equal(otlp_status_decode(sl_slice(at, used), &read), SL_OK);
    assert_int_equal(read.code, code);
    assert_true(sl_eq(read.message, sl_str(message)));
    assert_int_equal(read.retry_delay_ns, delay);

    Google__Rpc__Status *theirs = google__rpc__status__unpack(NULL, used, at);
    assert_non_null(theirs);
    assert_int_equal(theirs->code, code);
    assert_string_equal(theirs->message, message);
    assert_int_equal(theirs->n_details, delay >= 0);
    if (delay >= 0) {
        const ProtobufCBinaryData *value = &theirs->details[0]->value;
        Google__Rpc__RetryInfo *info =
            google__rpc__retry_info__unpack(NULL, value->len, value->data);
        assert_non_null(info);
        assert_int_equal(info->retry_delay->seconds * S + info->retry_delay->nanos, delay);
        google__rpc__retry_info__free_unpacked(info, NULL);
    }
    google__rpc__status__free_unpacked(theirs, NULL);
}

static void test_status_round_trip(void **state)
{
    (void)state;
    check_status(OTLP_CODE_OK, "", OTLP_NO_DELAY);
    check_status(OTLP_CODE_INTERNAL, "caf\xc3\xa9", OTLP_NO_DELAY);
    check_status(OTLP_CODE_RESOURCE_EXHAUSTED, "", 0);
    check_status(-7, "negative", 1);
    check_status(INT32_MAX, "largest", INT64_MAX);
    check_status(OTLP_CODE_UNAVAILABLE, "half", S / 2);
}

static void test_status_cut(void **state)
{
    (void)state;
    uint8_t at[300];
    char message[256];
    memset(message, 'x', sizeof message);
    memcpy(message + 98, "\xe2\x82\xac", 3);
    const struct otlp_status status = {3, sl_slice(message, sizeof message), OTLP_NO_DELAY};
    for (size_t room = 0; room <= sizeof at; room++) {
        size_t used = 0;
        int32_t result = otlp_status_encode(&status, at, room, &used);
        assert_int_equal(result, room < 2 ? SL_ERR_TOO_LARGE : SL_OK);
        if (result != SL_OK) {
            continue;
        }
        assert_true(used <= room);
        struct otlp_status read;
        assert_int_equal(otlp_status_decode(sl_slice(at, used), &read), SL_OK);
        assert_int_equal(read.code, 3);
        assert_memory_equal(read.message.p, message, read.message.n);
        assert_true(read.message.n <= 98 || read.message.n >= 101); /* the euro sign is whole */
        if (room >= 2 + 3 + sizeof message) {
            assert_int_equal(read.message.n, sizeof message);
        }
    }
    /* Whatever the message, what must be said fits into the stated room. */
    const struct otlp_status longest = {-1, sl_slice(message, sizeof message), INT64_MAX};
    size_t used;
    assert_int_equal(otlp_status_encode(&longest, at, OTLP_STATUS_ROOM, &used), SL_OK);
    const struct otlp_response response = {INT64_MIN, sl_slice(message, sizeof message)};
    assert_int_equal(otlp_response_encode(&response, at, OTLP_STATUS_ROOM, &used), SL_OK);
    assert_true(used <= OTLP_STATUS_ROOM);
    assert_int_equal(otlp_response_encode(&response, at, 5, &used), SL_ERR_TOO_LARGE);
}

static void expect_delay(sl_bytes body, int64_t delay)
{
    struct otlp_status read;
    assert_int_equal(otlp_status_decode(body, &read), SL_OK);
    assert_int_equal(read.retry_delay_ns, delay);
}

static void test_status_of_peers(void **state)
{
    (void)state;
    struct otlp_status read;
    assert_int_equal(otlp_status_decode(sl_slice(NULL, 0), &read), SL_OK);
    assert_int_equal(read.code, OTLP_CODE_OK);
    assert_int_equal(read.retry_delay_ns, OTLP_NO_DELAY);

    expect_delay(BYTES("\x1a\x00"), OTLP_NO_DELAY);
    expect_delay(BYTES("\x1a\x06\x0a\x04name"), OTLP_NO_DELAY);
    /* Another host before the name, the value before the name, and an unknown detail before both.
     */
    expect_delay(BYTES("\x1a\x04\x0a\x02h/\x1a\x1c\x12\x04\x0a\x02\x08\x02"
                       "\x0a\x14/google.rpc.RetryInf"),
                 OTLP_NO_DELAY);
    expect_delay(BYTES("\x1a\x04\x0a\x02h/\x1a\x1e\x12\x04\x0a\x02\x08\x02"
                       "\x0a\x16h/google.rpc.RetryInfo"),
                 2 * S);
    /* RetryInfo without a delay is one of nothing. */
    expect_delay(BYTES("\x1a\x18\x0a\x16h/google.rpc.RetryInfo"), 0);
    /* Parts of a delay are merged: 1 s, then 500 ns. */
    expect_delay(BYTES("\x1a\x23\x0a\x16h/google.rpc.RetryInfo\x12\x09\x0a\x02\x08\x01\x0a\x03\x10"
                       "\xf4\x03"),
                 S + 500);
    /* The first RetryInfo counts. */
    expect_delay(BYTES("\x1a\x1e\x0a\x16h/google.rpc.RetryInfo\x12\x04\x0a\x02\x08\x01"
                       "\x1a\x1e\x0a\x16h/google.rpc.RetryInfo\x12\x04\x0a\x02\x08\x09"),
                 S);
    /* -1 s, and more seconds than 64 bits of nanoseconds hold. */
    expect_delay(BYTES("\x1a\x27\x0a\x16h/google.rpc.RetryInfo\x12\x0d\x0a\x0b\x08"
                       "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
                 0);
    expect_delay(BYTES("\x1a\x26\x0a\x16h/google.rpc.RetryInfo\x12\x0c\x0a\x0a\x08"
                       "\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
                 INT64_MAX);
}

static void test_status_hostile(void **state)
{
    (void)state;
    static const char *const malformed[] = {"\x12\x05tiny", "\x08", "\x0b\x0c", "\x02",
                                            "\x12\xff\xff\xff\xff\x0f"};
    struct otlp_status read;
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        assert_int_equal(otlp_status_decode(sl_str(malformed[i]), &read), SL_ERR_INVALID);
    }
    /* Every change of one byte, and every cut, is read to an end inside the input. */
    for (size_t i = 0; i < sizeof busy - 1; i++) {
        uint8_t *bytes = malloc(sizeof busy - 1);
        assert_non_null(bytes);
        for (unsigned value = 0; value < 256; value++) {
            memcpy(bytes, busy, sizeof busy - 1);
            bytes[i] = (uint8_t)value;
            otlp_status_decode(sl_slice(bytes, sizeof busy - 1), &read);
        }
        free(bytes);
        uint8_t *cut = malloc(i + 1);
        assert_non_null(cut);
        memcpy(cut, busy, i);
        int32_t result = otlp_status_decode(sl_slice(cut, i), &read);
        bool between_records = i == 0 || i == 2 || i == 8;
        assert_int_equal(result, between_records ? SL_OK : SL_ERR_INVALID);
        free(cut);
    }
}

static void test_response(void **state)
{
    (void)state;
    uint8_t at[OTLP_STATUS_ROOM];
    size_t used;
    struct otlp_response read;
    const struct otlp_response bad = {3, sl_str("bad")};
    assert_int_equal(otlp_response_encode(&bad, at, sizeof at, &used), SL_OK);
    assert_int_equal(used, 9);
    assert_memory_equal(at,
                        "\x0a\x07\x08\x03\x12\x03"
                        "bad",
                        used);
    assert_int_equal(otlp_response_decode(sl_slice(at, used), &read), SL_OK);
    assert_int_equal(read.rejected, 3);
    assert_true(sl_eq(read.message, sl_str("bad")));

    const struct otlp_response full = {0, sl_str("")};
    assert_int_equal(otlp_response_encode(&full, NULL, 0, &used), SL_OK);
    assert_int_equal(used, 0);

    const struct otlp_response warning = {0, sl_str("slow down")};
    assert_int_equal(otlp_response_encode(&warning, at, sizeof at, &used), SL_OK);
    Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceResponse *theirs =
        opentelemetry__proto__collector__trace__v1__export_trace_service_response__unpack(NULL,
                                                                                          used, at);
    assert_non_null(theirs);
    assert_int_equal(theirs->partial_success->rejected_spans, 0);
    assert_string_equal(theirs->partial_success->error_message, "slow down");
    opentelemetry__proto__collector__trace__v1__export_trace_service_response__free_unpacked(theirs,
                                                                                             NULL);
}

static void test_response_of_peers(void **state)
{
    (void)state;
    struct otlp_response read;
    assert_int_equal(otlp_response_decode(sl_slice(NULL, 0), &read), SL_OK);
    assert_int_equal(read.rejected, 0);
    assert_int_equal(otlp_response_decode(BYTES("\x0a\x00"), &read), SL_OK);
    assert_int_equal(read.rejected, 0);
    assert_int_equal(read.message.n, 0);
    /* Two parts are one partial success; unknown fields are nobody's. */
    assert_int_equal(
        otlp_response_decode(BYTES("\x0a\x02\x08\x05\x18\x01\x0a\x03\x12\x01x"), &read), SL_OK);
    assert_int_equal(read.rejected, 5);
    assert_true(sl_eq(read.message, sl_str("x")));
    assert_int_equal(
        otlp_response_decode(BYTES("\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), &read),
        SL_OK);
    assert_int_equal(read.rejected, -1);

    assert_int_equal(otlp_response_decode(BYTES("\x0a\x01"), &read), SL_ERR_INVALID);
    assert_int_equal(otlp_response_decode(BYTES("\x0a\x02\x12\x09"), &read), SL_ERR_INVALID);
    assert_int_equal(otlp_response_decode(BYTES("<html>"), &read), SL_ERR_INVALID);
}

static void test_rules(void **state)
{
    (void)state;
    static const int http[] = {200, 503, 500, 400, 503, 500, 500, 403, 429,
                               500, 503, 503, 404, 500, 503, 503, 401};
    static const bool again[] = {false, true, false, false, true,  false, false, false, false,
                                 false, true, true,  false, false, true,  true,  false};
    for (int32_t code = OTLP_CODE_OK; code <= OTLP_CODE_UNAUTHENTICATED; code++) {
        assert_int_equal(otlp_http_of_code(code), http[code]);
        assert_int_equal(otlp_code_retryable(code, OTLP_NO_DELAY), again[code]);
    }
    assert_int_equal(otlp_http_of_code(17), 500);
    assert_int_equal(otlp_http_of_code(-1), 500);
    assert_true(otlp_code_retryable(OTLP_CODE_RESOURCE_EXHAUSTED, 0));
    assert_false(otlp_code_retryable(OTLP_CODE_INVALID_ARGUMENT, 0));

    static const int codes[][2] = {{200, 0}, {202, 0},  {299, 0},  {300, 2},  {400, 3}, {401, 16},
                                   {403, 7}, {404, 12}, {405, 2},  {413, 2},  {429, 8}, {500, 2},
                                   {501, 2}, {502, 14}, {503, 14}, {504, 14}, {505, 2}, {0, 2}};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        assert_int_equal(otlp_code_of_http(codes[i][0]), codes[i][1]);
    }
    for (int status = 100; status < 600; status++) {
        bool retry = status == 429 || (status >= 502 && status <= 504);
        assert_int_equal(otlp_http_retryable(status), retry);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_golden),     cmocka_unit_test(test_status_round_trip),
        cmocka_unit_test(test_status_cut),        cmocka_unit_test(test_status_of_peers),
        cmocka_unit_test(test_status_hostile),    cmocka_unit_test(test_response),
        cmocka_unit_test(test_response_of_peers), cmocka_unit_test(test_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
