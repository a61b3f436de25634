/* What the OTLP receiver takes over HTTP, and what it refuses for what the request is: paths, types,
 * encodings, damage, sizes. */
#include "formats/compress/pack.h"
#include "tests/unit/receiver_otlp_http_support.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void three_signals(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    const struct {
        const char *path;
        sl_bytes body;
        const char *metric;
    } all[] = {
        {"/v1/traces", sl_slice(one_span, sizeof one_span), "otelcol_receiver_accepted_spans"},
        {"/v1/metrics", sl_slice(one_point, sizeof one_point),
         "otelcol_receiver_accepted_metric_points"},
        {"/v1/logs", sl_slice(one_log, sizeof one_log), "otelcol_receiver_accepted_log_records"},
    };
    struct reply r;
    fixture_start(f);
    int fd = client_open(f); /* one connection for all */
    for (uint32_t i = 0; i < 3; i++) {
        client_post(fd, all[i].path, PROTO, all[i].body.p, all[i].body.n);
        client_read(fd, &r);
        assert_int_equal(r.status, 200);
        assert_int_equal(r.body.n, 0);
        assert_non_null(strstr(r.text, "Content-Type: application/x-protobuf\r\n"));
        assert_int_equal(f->host->items[i], 1);
        assert_true(sl_eq(sl_slice(f->host->last, f->host->last_n), all[i].body));
        assert_int_equal(metric_of(f, all[i].metric), 1);
    }
    close(fd);
    assert_int_equal(f->host->status, 0); /* nothing to wait for: OK by default */
}

static void bodies_in_every_form(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct packer *w = packer_create(PACK_GZIP, -1);
    struct pack_buffer packed = {0};
    struct reply r;
    enum { SPANS = 900 };
    uint8_t *many = (uint8_t *)malloc(SPANS * sizeof one_span);
    for (size_t i = 0; i < SPANS; i++)
        memcpy(many + i * sizeof one_span, one_span, sizeof one_span);
    const size_t n = SPANS * sizeof one_span;
    const sl_bytes whole = sl_slice(many, n);
    fixture_start(f);
    assert_int_equal(packer_pack(w, &whole, 1, SIZE_MAX, &packed), SL_OK);
    client_post_once(f, "/v1/traces", GZIP, packed.at, packed.n, &r);
    assert_int_equal(r.status, 200);
    assert_true(sl_eq(sl_slice(f->host->last, f->host->last_n), whole));
    client_post_once(f, "/v1/traces?a=b", PROTO "Content-Encoding: identity\r\n", many, n, &r);
    assert_int_equal(r.status, 200);
    /* chunked: plain, and gzip, in chunks of many sizes */
    for (int zipped = 0; zipped < 2; zipped++) {
        sl_bytes body = zipped ? sl_slice(packed.at, packed.n) : whole;
        int fd = client_open(f);
        char head[200];
        int len = snprintf(head, sizeof head,
                           "POST /v1/traces HTTP/1.1\r\nHost: x\r\n%s"
                           "Transfer-Encoding: chunked\r\n\r\n",
                           zipped ? GZIP : PROTO);
        client_send(fd, head, (size_t)len);
        for (size_t at = 0, step = 1; at < body.n; at += step, step = step * 2 + 1) {
            if (step > body.n - at)
                step = body.n - at;
            len = snprintf(head, sizeof head, "%zx\r\n", step);
            client_send(fd, head, (size_t)len);
            client_send(fd, body.p + at, step);
            client_send(fd, "\r\n", 2);
        }
        client_send(fd, "0\r\n\r\n", 5);
        client_read(fd, &r);
        assert_int_equal(r.status, 200);
        assert_true(sl_eq(sl_slice(f->host->last, f->host->last_n), whole));
        close(fd);
    }
    assert_int_equal(f->host->items[0], 4 * SPANS);
    pack_buffer_deinit(&packed);
    packer_destroy(w);
    free(many);
}

static void empty_requests_succeed(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    static const uint8_t no_spans[] = {0x0a, 0x02, 0x12, 0x00};
    struct reply r;
    fixture_start(f);
    client_post_once(f, "/v1/traces", PROTO, "", 0, &r);
    assert_int_equal(r.status, 200);
    client_post_once(f, "/v1/traces", GZIP, "", 0, &r);
    assert_int_equal(r.status, 400); /* nothing is not gzip */
    client_post_once(f, "/v1/traces", GZIP, empty_gzip, sizeof empty_gzip, &r);
    assert_int_equal(r.status, 200);
    client_post_once(f, "/v1/traces", PROTO, no_spans, sizeof no_spans, &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body.n, 0);
    assert_int_equal(f->host->offers, 0);
}

static const char span_json[] =
    "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":"
    "{\"stringValue\":\"a\"}}]},\"scopeSpans\":[{\"spans\":[{\"traceId\":"
    "\"0102030405060708090a0b0c0d0e0f10\",\"spanId\":\"0102030405060708\",\"name\":\"op\","
    "\"kind\":2,\"startTimeUnixNano\":\"1\",\"endTimeUnixNano\":\"2\",\"attributes\":[{\"key\":"
    "\"k\",\"value\":{\"stringValue\":\"v\"}}],\"status\":{\"code\":2},\"flags\":257}]}]}]}";

static void json_of_three_signals(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    const struct {
        const char *path, *text;
        sl_bytes becomes;
        const char *metric;
    } all[] = {
        {"/v1/traces", span_json, sl_slice(one_span, sizeof one_span),
         "otelcol_receiver_accepted_spans"},
        {"/v1/metrics",
         "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"gauge\":{\"dataPoints\":[{}]}}]"
         "}]}]}",
         sl_slice(one_point, sizeof one_point), "otelcol_receiver_accepted_metric_points"},
        {"/v1/logs", "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{}]}]}]}",
         sl_slice(one_log, sizeof one_log), "otelcol_receiver_accepted_log_records"},
    };
    struct reply r;
    fixture_start(f);
    int fd = client_open(f);
    for (int again = 0; again < 2; again++) {
        for (uint32_t i = 0; i < 3; i++) {
            client_post(fd, all[i].path,
                        again ? "content-type: Application/JSON; charset=utf-8\r\n" : JSON,
                        all[i].text, strlen(all[i].text));
            client_read(fd, &r);
            assert_int_equal(r.status, 200);
            assert_true(reply_is(&r, "{}"));
            assert_true(sl_eq(sl_slice(f->host->last, f->host->last_n), all[i].becomes));
            assert_int_equal(metric_of(f, all[i].metric), 1 + again);
        }
    }
    close(fd);
    client_post_once(f, "/v1/traces", JSON, " {} ", 4, &r);
    assert_int_equal(r.status, 200);
    assert_true(reply_is(&r, "{}"));
    assert_int_equal(f->host->items[0], 2);
}

/* What reads compressed and JSON requests is loaded by the first of them. */
static void the_decoder_is_loaded_when_it_is_needed(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct reply r;
    decoder_is_missing = true;
    fixture_start(f);
    client_post_once(f, "/v1/traces", PROTO, one_span, sizeof one_span, &r);
    assert_int_equal(r.status, 200);
    client_post_once(f, "/v1/traces", GZIP, empty_gzip, sizeof empty_gzip, &r);
    assert_int_equal(r.status, 503);
    assert_non_null(strstr(r.text, "Retry-After: 1\r\n"));
    client_post_once(f, "/v1/traces", JSON, span_json, strlen(span_json), &r);
    assert_int_equal(r.status, 503);
    client_post_once(f, "/v1/traces", PROTO, one_span, sizeof one_span, &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(f->host->items[0], 2);
    decoder_is_missing = false;
    client_post_once(f, "/v1/traces", JSON, span_json, strlen(span_json), &r);
    assert_int_equal(r.status, 200);
    client_post_once(f, "/v1/traces", GZIP, empty_gzip, sizeof empty_gzip, &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(f->host->items[0], 3);
}

/* Both formats in every encoding. */
static void encodings(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    static const struct {
        enum pack_format format;
        const char *name;
    } all[] = {
        {PACK_GZIP, "gzip"}, {PACK_ZLIB, "zlib"}, {PACK_ZLIB, "deflate"}, {PACK_ZSTD, "ZSTD"}};
    struct reply r;
    fixture_start(f);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct packer *w = packer_create(all[i].format, 1);
        for (int json = 0; json < 2; json++) {
            const sl_bytes plain = json ? sl_str(span_json) : sl_slice(one_span, sizeof one_span);
            struct pack_buffer packed = {0};
            char headers[200];
            (void)snprintf(headers, sizeof headers, "%sContent-Encoding: %s\r\n",
                           json ? JSON : PROTO, all[i].name);
            assert_int_equal(packer_pack(w, &plain, 1, SIZE_MAX, &packed), SL_OK);
            f->host->last_n = 0;
            client_post_once(f, "/v1/traces", headers, packed.at, packed.n, &r);
            assert_int_equal(r.status, 200);
            assert_true(sl_eq(sl_slice(f->host->last, f->host->last_n),
                              sl_slice(one_span, sizeof one_span)));
            client_post_once(f, "/v1/traces", headers, packed.at, packed.n - 1, &r); /* cut short */
            assert_int_equal(r.status, 400);
            client_post_once(f, "/v1/traces", headers, plain.p, plain.n, &r); /* not packed */
            assert_int_equal(r.status, 400);
            client_post_once(f, "/v1/traces", headers, "", 0, &r);
            assert_int_equal(r.status, 400);
            pack_buffer_deinit(&packed);
        }
        packer_destroy(w);
    }
    assert_int_equal(refusals_of(f, "malformed"), 4 * 2 * 3);
}

static void json_that_is_refused(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct reply r;
    fixture_start(f);
    for (size_t n = 0; n < sizeof span_json - 1; n++) { /* cut everywhere */
        client_post_once(f, "/v1/traces", JSON, span_json, n, &r);
        assert_int_equal(r.status, 400);
    }
    assert_int_equal(refusals_of(f, "malformed"), sizeof span_json - 1);
    static const char kind[] =
        "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"kind\":[]}]}]}]}";
    client_post_once(f, "/v1/traces", JSON, kind, strlen(kind), &r);
    assert_int_equal(r.status, 400);
    assert_true(reply_is(
        &r,
        "{\"code\":3,\"message\":\"OTLP/JSON line 1, column 52, "
        "resourceSpans[0].scopeSpans[0].spans[0].kind: the number or the name of an enum value is "
        "expected, not: []}]}]}]}\"}"));
    /* What JSON becomes is held to the limit too. */
    enum { NUMBERS = 40000 };
    char *text = (char *)malloc(3 * NUMBERS);
    static const char head[] =
        "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"histogram\":{"
        "\"dataPoints\":[{\"explicitBounds\":[0";
    size_t n = sizeof head - 1;
    memcpy(text, head, n);
    for (int i = 0; i < NUMBERS; i++, n += 2)
        memcpy(text + n, ",0", 2);
    memcpy(text + n, "]}]}}]}]}]}", 11);
    client_post_once(f, "/v1/metrics", JSON, text, n + 11, &r);
    assert_int_equal(r.status, 413);
    assert_non_null(
        strstr(r.text, "{\"code\":8,\"message\":\"OTLP/JSON becomes more than the limit"));
    assert_int_equal(f->host->offers, 0);
    free(text);
    client_post_once(f, "/v1/traces", JSON, span_json, sizeof span_json - 1,
                     &r); /* and it goes on */
    assert_int_equal(r.status, 200);
}

static void refused_by_the_headers(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    static const struct {
        const char *head;
        int status;
        const char *says;
    } cases[] = {
        {"POST /v1/unknown HTTP/1.1\r\nHost: x\r\n" PROTO "Content-Length: 0\r\n\r\n", 404,
         "not found"},
        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 404, "not found"},
        {"GET /v1/traces HTTP/1.1\r\nHost: x\r\n\r\n", 405, "Allow: POST\r\n"},
        {"PUT /v1/traces HTTP/1.1\r\nHost: x\r\n" PROTO "Content-Length: 0\r\n\r\n", 405, "POST"},
        {"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 415, "x-protobuf"},
        {"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: "
         "0\r\n\r\n",
         415, "x-protobuf"},
        {"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/jsonp\r\n"
         "Content-Length: 2\r\n\r\n{}",
         415, "supported: [application/json, application/x-protobuf]"},
        {"POST /v1/traces HTTP/1.1\r\nHost: x\r\n" PROTO PROTO "Content-Length: 0\r\n\r\n", 415,
         ""},
        {"POST /v1/traces HTTP/1.1\r\nHost: x\r\n" PROTO
         "Content-Encoding: br\r\nContent-Length: 0\r\n\r\n",
         400,
         "unsupported Content-Encoding; this server takes: none, gzip, zstd, zlib, deflate, "
         "snappy, "
         "x-snappy-framed, lz4"},
        {"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
         "Content-Encoding: lzma\r\nContent-Length: 0\r\n\r\n",
         400, "{\"code\":3,\"message\":\"unsupported Content-Encoding; this server takes: none, "},
        {"POST /v1/traces HTTP/1.1\r\nHost: x\r\n" GZIP
         "Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n",
         400, "unsupported Content-Encoding"},
        {"POST /v1/traces HTTP/1.1\r\nHost: x\r\n" PROTO
         "Content-Encoding: gzip, gzip\r\nContent-Length: 0\r\n\r\n",
         400, "unsupported Content-Encoding"},
        {"POST /v1/traces HTTP/1.1\r\nHost: x\r\n" PROTO "Content-Length: 100001\r\n\r\n", 413,
         "larger than max_request_body_size"},
    };
    struct reply r;
    fixture_start(f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int fd = client_open(f);
        client_send(fd, cases[i].head, strlen(cases[i].head));
        client_read(fd, &r);
        if (r.status != cases[i].status ||
            !memmem(r.text, r.n, cases[i].says, strlen(cases[i].says)))
            fail_msg("case %zu: %s", i, r.text);
        close(fd);
    }
    assert_int_equal(f->host->offers, 0);
    assert_int_equal(refusals_of(f, "unsupported"), sizeof cases / sizeof *cases - 1);
    assert_int_equal(refusals_of(f, "too_large"), 1);
}

static void content_type_takes_parameters(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct reply r;
    fixture_start(f);
    client_post_once(f, "/v1/traces", "content-type: Application/X-Protobuf ; charset=utf-8\r\n",
                     one_span, sizeof one_span, &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(f->host->items[0], 1);
}

static void damaged_bodies(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct packer *w = packer_create(PACK_GZIP, -1);
    struct pack_buffer packed = {0};
    const sl_bytes whole = sl_slice(one_span, sizeof one_span);
    struct reply r;
    fixture_start(f);
    for (size_t n = 1; n < sizeof one_span; n++) { /* cut everywhere */
        client_post_once(f, "/v1/traces", PROTO, one_span, n, &r);
        assert_int_equal(r.status, 400);
        assert_int_equal(status_of(&r).code, OTLP_CODE_INVALID_ARGUMENT);
        assert_true(status_of(&r).message.n > 0);
        assert_null(strstr(r.text, "Retry-After"));
    }
    assert_int_equal(packer_pack(w, &whole, 1, SIZE_MAX, &packed), SL_OK);
    for (size_t n = 1; n < packed.n; n += 7) {
        client_post_once(f, "/v1/traces", GZIP, packed.at, n, &r);
        assert_int_equal(r.status, 400);
        assert_int_equal(status_of(&r).code, OTLP_CODE_INVALID_ARGUMENT);
    }
    client_post_once(f, "/v1/traces", GZIP, one_span, sizeof one_span, &r);
    assert_int_equal(r.status, 400);
    client_post_once(f, "/v1/traces", PROTO, packed.at, packed.n, &r);
    assert_int_equal(r.status, 400);
    assert_int_equal(f->host->offers, 0);
    assert_true(refusals_of(f, "malformed") > 100);
    pack_buffer_deinit(&packed);
    packer_destroy(w);
}

static void bodies_above_the_limit(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct packer *w = packer_create(PACK_GZIP, 9);
    struct pack_buffer packed = {0};
    struct reply r;
    enum { BOMB = 32 << 20 };
    uint8_t *zeros = (uint8_t *)calloc(1, BOMB);
    const sl_bytes whole = sl_slice(zeros, BOMB);
    fixture_start(f);
    assert_int_equal(packer_pack(w, &whole, 1, SIZE_MAX, &packed), SL_OK);
    assert_true(packed.n < f->config.protocols.http.max_request_body_size);
    client_post_once(f, "/v1/traces", GZIP, packed.at, packed.n, &r);
    assert_int_equal(r.status, 413);
    assert_int_equal(status_of(&r).code, OTLP_CODE_RESOURCE_EXHAUSTED);
    assert_int_equal(status_of(&r).retry_delay_ns, OTLP_NO_DELAY);
    int fd = client_open(f); /* chunked, so that nobody knows before */
    static const char head[] = "POST /v1/traces HTTP/1.1\r\nHost: x\r\n" PROTO
                               "Transfer-Encoding: chunked\r\n\r\n2000000\r\n";
    client_send(fd, head, strlen(head));
    client_send(fd, zeros, 150000);
    client_read(fd, &r);
    assert_int_equal(r.status, 413);
    assert_int_equal(status_of(&r).code, OTLP_CODE_RESOURCE_EXHAUSTED);
    close(fd);
    assert_int_equal(refusals_of(f, "too_large"), 2);
    /* wire bytes and inflated bytes, and while a buffer grows the old one too */
    assert_true(f->host->used_most <= 3 * f->config.protocols.http.max_request_body_size);
    pack_buffer_deinit(&packed);
    packer_destroy(w);
    free(zeros);
}

static void encodings_may_be_narrowed(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    const sl_bytes gzip = sl_str("gzip");
    struct reply r;
    f->config.protocols.http.algorithms_given = 1;
    f->config.protocols.http.compression_algorithms = (sl_list){&gzip, 1, sizeof gzip};
    fixture_start(f);
    client_post_once(f, "/v1/traces", PROTO, one_span, sizeof one_span, &r);
    assert_int_equal(r.status, 400);
    client_post_once(f, "/v1/traces", GZIP, empty_gzip, sizeof empty_gzip, &r);
    assert_int_equal(r.status, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(three_signals),
        TEST(bodies_in_every_form),
        TEST(empty_requests_succeed),
        TEST(json_of_three_signals),
        TEST(the_decoder_is_loaded_when_it_is_needed),
        TEST(encodings),
        TEST(json_that_is_refused),
        TEST(refused_by_the_headers),
        TEST(content_type_takes_parameters),
        TEST(damaged_bodies),
        TEST(bodies_above_the_limit),
        TEST(encodings_may_be_narrowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
