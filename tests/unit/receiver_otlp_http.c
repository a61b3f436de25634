/* The OTLP receiver over HTTP, on a scripted host. */
#include "formats/compress/pack.h"
#include "formats/otlp/status.h"
#include "receivers/otlp/receiver.h"
#include "tests/support/receiver_host.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
// clang-format off
#include <cmocka.h>
// clang-format on

extern const sl_plugin sluice_plugin_otlp, sluice_plugin_otlp_decode;

/* One span, with everything (wire-format golden vector). */
static const uint8_t one_span[] = {
    0x0a, 0x63, 0x0a, 0x15, 0x0a, 0x13, 0x0a, 0x0c, 's',  'e',  'r',  'v',  'i',  'c',  'e',
    '.',  'n',  'a',  'm',  'e',  0x12, 0x03, 0x0a, 0x01, 'a',  0x12, 0x4a, 0x12, 0x48, 0x0a,
    0x10, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e,
    0x0f, 0x10, 0x12, 0x08, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x2a, 0x02, 'o',
    'p',  0x30, 0x02, 0x39, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x41, 0x02, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x4a, 0x08, 0x0a, 0x01, 'k',  0x12, 0x03, 0x0a, 0x01,
    'v',  0x7a, 0x02, 0x18, 0x02, 0x85, 0x01, 0x01, 0x01, 0x00, 0x00};
/* A gauge with one point, a log record: the least that counts. */
static const uint8_t one_point[] = {0x0a, 0x08, 0x12, 0x06, 0x12, 0x04, 0x2a, 0x02, 0x0a, 0x00};
static const uint8_t one_log[] = {0x0a, 0x04, 0x12, 0x02, 0x12, 0x00};

/* What gzip makes of nothing. */
static const uint8_t empty_gzip[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3,
                                     3,    0,    0, 0, 0, 0, 0, 0, 0, 0};

#define PROTO "Content-Type: application/x-protobuf\r\n"
#define GZIP PROTO "Content-Encoding: gzip\r\n"

struct fixture {
    struct receiver_host *host;
    const sl_type *type;
    struct receiver config;
    void *component;
};

static void defaults(struct fixture *f)
{
    struct http_config *c = &f->config.protocols.http;
    memset(&f->config, 0, sizeof f->config);
    f->config.base.host = &f->host->host;
    f->config.protocols.http_on = 1;
    c->endpoint = sl_str("localhost:4318");
    c->transport = f->config.protocols.grpc.transport = sl_str("tcp");
    c->traces_url_path = sl_str("/v1/traces");
    c->metrics_url_path = sl_str("/v1/metrics");
    c->logs_url_path = sl_str("/v1/logs");
    c->keep_alives_enabled = 1;
    c->max_request_body_size = 100000;
    c->read_header_timeout = 10 * INT64_C(1000000000);
}

static _Atomic bool decoder_is_missing; /* a host's callback has no context */

static const void *plugin(const char *file, const char *id)
{
    if (decoder_is_missing)
        return NULL;
    return strcmp(file, "otlp_decode") == 0 ? sluice_plugin_otlp_decode.interface_of(id) : NULL;
}

static int set_up(void **state)
{
    struct fixture *f = (struct fixture *)calloc(1, sizeof *f);
    f->host = receiver_host_create();
    f->host->plugin = plugin;
    f->type = sluice_plugin_otlp.types[0];
    defaults(f);
    *state = f;
    return 0;
}

static void start(struct fixture *f)
{
    sl_error error = {.size = sizeof error};
    assert_int_equal(f->type->create(&f->config, &f->component, &error), SL_OK);
    assert_int_equal(f->type->prepare(f->component, &error), SL_OK);
    if (f->type->start(f->component, &error) != SL_OK)
        fail_msg("%s", error.text);
}

static int tear_down(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    if (f->component) {
        f->type->stop(f->component);
        f->type->stop(f->component); /* legal */
        f->type->destroy(f->component);
    }
    receiver_host_destroy(f->host);
    free(f);
    return 0;
}

/* ---- client ---- */

struct reply {
    char text[4096];
    size_t n;
    int status;
    sl_bytes body;
};

static int client_open(struct fixture *f)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons(receiver_host_port(f->host, 0))};
    struct timeval patience = {10, 0};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    /* A body that is sent after its head would wait for the head's acknowledgement, 40 ms. */
    const int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void client_send(int fd, const void *p, size_t n)
{
    const char *at = (const char *)p;
    while (n > 0) {
        ssize_t sent = send(fd, at, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* the server has refused the rest */
        at += sent;
        n -= (size_t)sent;
    }
}

static void client_post(int fd, const char *path, const char *headers, const void *body, size_t n)
{
    char head[512];
    int len =
        snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n",
                 path, headers, n);
    client_send(fd, head, (size_t)len);
    client_send(fd, body, n);
}

/* Reads one answer to its end. */
static void client_read(int fd, struct reply *r)
{
    memset(r, 0, sizeof *r);
    for (;;) {
        const char *end = strstr(r->text, "\r\n\r\n");
        const char *length = strcasestr(r->text, "content-length:");
        if (end && length) {
            size_t head = (size_t)(end + 4 - r->text), n = (size_t)atoi(length + 15);
            if (r->n >= head + n) {
                r->status = atoi(r->text + 9);
                r->body = sl_slice(r->text + head, n);
                return;
            }
        }
        ssize_t got = recv(fd, r->text + r->n, sizeof r->text - 1 - r->n, 0);
        if (got <= 0)
            fail_msg("no answer; got: %s", r->text);
        r->n += (size_t)got;
    }
}

static void post(struct fixture *f, const char *path, const char *headers, const void *body,
                 size_t n, struct reply *r)
{
    int fd = client_open(f);
    client_post(fd, path, headers, body, n);
    client_read(fd, r);
    close(fd);
}

/* Answers with errors carry a google.rpc.Status. */
static struct otlp_status status_of(const struct reply *r)
{
    struct otlp_status status;
    assert_non_null(strstr(r->text, "Content-Type: application/x-protobuf\r\n"));
    assert_int_equal(otlp_status_decode(r->body, &status), SL_OK);
    return status;
}

static int64_t count(struct fixture *f, const char *name)
{
    return receiver_host_metric(f->host, name, "http");
}

static int64_t refusals(struct fixture *f, const char *reason)
{
    return receiver_host_metric(f->host, "sluice_receiver_refused_http_requests", reason);
}

/* ---- tests ---- */

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
    start(f);
    int fd = client_open(f); /* one connection for all */
    for (uint32_t i = 0; i < 3; i++) {
        client_post(fd, all[i].path, PROTO, all[i].body.p, all[i].body.n);
        client_read(fd, &r);
        assert_int_equal(r.status, 200);
        assert_int_equal(r.body.n, 0);
        assert_non_null(strstr(r.text, "Content-Type: application/x-protobuf\r\n"));
        assert_int_equal(f->host->items[i], 1);
        assert_true(sl_eq(sl_slice(f->host->last, f->host->last_n), all[i].body));
        assert_int_equal(count(f, all[i].metric), 1);
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
    start(f);
    assert_int_equal(packer_pack(w, &whole, 1, SIZE_MAX, &packed), SL_OK);
    post(f, "/v1/traces", GZIP, packed.at, packed.n, &r);
    assert_int_equal(r.status, 200);
    assert_true(sl_eq(sl_slice(f->host->last, f->host->last_n), whole));
    post(f, "/v1/traces?a=b", PROTO "Content-Encoding: identity\r\n", many, n, &r);
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
    start(f);
    post(f, "/v1/traces", PROTO, "", 0, &r);
    assert_int_equal(r.status, 200);
    post(f, "/v1/traces", GZIP, "", 0, &r);
    assert_int_equal(r.status, 400); /* nothing is not gzip */
    post(f, "/v1/traces", GZIP, empty_gzip, sizeof empty_gzip, &r);
    assert_int_equal(r.status, 200);
    post(f, "/v1/traces", PROTO, no_spans, sizeof no_spans, &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body.n, 0);
    assert_int_equal(f->host->offers, 0);
}

#define JSON "Content-Type: application/json\r\n"

static const char span_json[] =
    "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":"
    "{\"stringValue\":\"a\"}}]},\"scopeSpans\":[{\"spans\":[{\"traceId\":"
    "\"0102030405060708090a0b0c0d0e0f10\",\"spanId\":\"0102030405060708\",\"name\":\"op\","
    "\"kind\":2,\"startTimeUnixNano\":\"1\",\"endTimeUnixNano\":\"2\",\"attributes\":[{\"key\":"
    "\"k\",\"value\":{\"stringValue\":\"v\"}}],\"status\":{\"code\":2},\"flags\":257}]}]}]}";

static bool body_is(const struct reply *r, const char *text)
{
    return strstr(r->text, "Content-Type: application/json\r\n") && sl_eq(r->body, sl_str(text));
}

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
    start(f);
    int fd = client_open(f);
    for (int again = 0; again < 2; again++) {
        for (uint32_t i = 0; i < 3; i++) {
            client_post(fd, all[i].path,
                        again ? "content-type: Application/JSON; charset=utf-8\r\n" : JSON,
                        all[i].text, strlen(all[i].text));
            client_read(fd, &r);
            assert_int_equal(r.status, 200);
            assert_true(body_is(&r, "{}"));
            assert_true(sl_eq(sl_slice(f->host->last, f->host->last_n), all[i].becomes));
            assert_int_equal(count(f, all[i].metric), 1 + again);
        }
    }
    close(fd);
    post(f, "/v1/traces", JSON, " {} ", 4, &r);
    assert_int_equal(r.status, 200);
    assert_true(body_is(&r, "{}"));
    assert_int_equal(f->host->items[0], 2);
}

/* What reads compressed and JSON requests is loaded by the first of them. */
static void the_decoder_is_loaded_when_it_is_needed(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct reply r;
    decoder_is_missing = true;
    start(f);
    post(f, "/v1/traces", PROTO, one_span, sizeof one_span, &r);
    assert_int_equal(r.status, 200);
    post(f, "/v1/traces", GZIP, empty_gzip, sizeof empty_gzip, &r);
    assert_int_equal(r.status, 503);
    assert_non_null(strstr(r.text, "Retry-After: 1\r\n"));
    post(f, "/v1/traces", JSON, span_json, strlen(span_json), &r);
    assert_int_equal(r.status, 503);
    post(f, "/v1/traces", PROTO, one_span, sizeof one_span, &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(f->host->items[0], 2);
    decoder_is_missing = false;
    post(f, "/v1/traces", JSON, span_json, strlen(span_json), &r);
    assert_int_equal(r.status, 200);
    post(f, "/v1/traces", GZIP, empty_gzip, sizeof empty_gzip, &r);
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
    start(f);
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
            post(f, "/v1/traces", headers, packed.at, packed.n, &r);
            assert_int_equal(r.status, 200);
            assert_true(sl_eq(sl_slice(f->host->last, f->host->last_n),
                              sl_slice(one_span, sizeof one_span)));
            post(f, "/v1/traces", headers, packed.at, packed.n - 1, &r); /* cut short */
            assert_int_equal(r.status, 400);
            post(f, "/v1/traces", headers, plain.p, plain.n, &r); /* not packed */
            assert_int_equal(r.status, 400);
            post(f, "/v1/traces", headers, "", 0, &r);
            assert_int_equal(r.status, 400);
            pack_buffer_deinit(&packed);
        }
        packer_destroy(w);
    }
    assert_int_equal(refusals(f, "malformed"), 4 * 2 * 3);
}

static void json_that_is_refused(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct reply r;
    start(f);
    for (size_t n = 0; n < sizeof span_json - 1; n++) { /* cut everywhere */
        post(f, "/v1/traces", JSON, span_json, n, &r);
        assert_int_equal(r.status, 400);
    }
    assert_int_equal(refusals(f, "malformed"), sizeof span_json - 1);
    static const char kind[] =
        "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"kind\":[]}]}]}]}";
    post(f, "/v1/traces", JSON, kind, strlen(kind), &r);
    assert_int_equal(r.status, 400);
    assert_true(body_is(
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
    post(f, "/v1/metrics", JSON, text, n + 11, &r);
    assert_int_equal(r.status, 413);
    assert_non_null(
        strstr(r.text, "{\"code\":8,\"message\":\"OTLP/JSON becomes more than the limit"));
    assert_int_equal(f->host->offers, 0);
    free(text);
    post(f, "/v1/traces", JSON, span_json, sizeof span_json - 1, &r); /* and it goes on */
    assert_int_equal(r.status, 200);
}

static void json_results(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    static const struct {
        const char *path, *text, *becomes;
    } all[] = {{"/v1/traces", "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{},{}]}]}]}",
                "rejectedSpans"},
               {"/v1/metrics",
                "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"gauge\":{\"dataPoints\":"
                "[{},{}]}}]}]}]}",
                "rejectedDataPoints"},
               {"/v1/logs", "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{},{}]}]}]}",
                "rejectedLogRecords"}};
    char expected[200];
    struct reply r;
    start(f);
    f->host->result =
        (sl_result){.items = 2, .n = {[SL_DELIVERED] = 1, [SL_REJECTED] = 1}, .why = "a \"b\""};
    for (size_t i = 0; i < 3; i++) {
        post(f, all[i].path, JSON, all[i].text, strlen(all[i].text), &r);
        assert_int_equal(r.status, 200);
        (void)snprintf(expected, sizeof expected,
                       "{\"partialSuccess\":{\"%s\":\"1\",\"errorMessage\":\"1 of 2 items were "
                       "refused: a \\\"b\\\"\"}}",
                       all[i].becomes);
        assert_true(body_is(&r, expected));
    }
    f->host->result = (sl_result){.items = 2,
                                  .n = {[SL_FAILED] = 2},
                                  .status = SL_ERR_UNAVAILABLE,
                                  .retry_after_ns = INT64_C(2500000000)};
    post(f, all[0].path, JSON, all[0].text, strlen(all[0].text), &r);
    assert_int_equal(r.status, 503);
    assert_non_null(strstr(r.text, "Retry-After: 3\r\n"));
    assert_true(body_is(
        &r, "{\"code\":14,\"message\":\"cannot be handled now; try again\",\"details\":[{\"@type\":"
            "\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"2.500000000s\"}]}"));
    f->host->answer = HOST_REFUSES;
    f->host->offer_status = SL_ERR_FULL;
    post(f, all[0].path, JSON, all[0].text, strlen(all[0].text), &r);
    assert_int_equal(r.status, 503);
    assert_non_null(strstr(r.text, "\"retryDelay\":\"1s\"}]}"));
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
    start(f);
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
    assert_int_equal(refusals(f, "unsupported"), sizeof cases / sizeof *cases - 1);
    assert_int_equal(refusals(f, "too_large"), 1);
}

static void content_type_takes_parameters(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct reply r;
    start(f);
    post(f, "/v1/traces", "content-type: Application/X-Protobuf ; charset=utf-8\r\n", one_span,
         sizeof one_span, &r);
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
    start(f);
    for (size_t n = 1; n < sizeof one_span; n++) { /* cut everywhere */
        post(f, "/v1/traces", PROTO, one_span, n, &r);
        assert_int_equal(r.status, 400);
        assert_int_equal(status_of(&r).code, OTLP_CODE_INVALID_ARGUMENT);
        assert_true(status_of(&r).message.n > 0);
        assert_null(strstr(r.text, "Retry-After"));
    }
    assert_int_equal(packer_pack(w, &whole, 1, SIZE_MAX, &packed), SL_OK);
    for (size_t n = 1; n < packed.n; n += 7) {
        post(f, "/v1/traces", GZIP, packed.at, n, &r);
        assert_int_equal(r.status, 400);
        assert_int_equal(status_of(&r).code, OTLP_CODE_INVALID_ARGUMENT);
    }
    post(f, "/v1/traces", GZIP, one_span, sizeof one_span, &r);
    assert_int_equal(r.status, 400);
    post(f, "/v1/traces", PROTO, packed.at, packed.n, &r);
    assert_int_equal(r.status, 400);
    assert_int_equal(f->host->offers, 0);
    assert_true(refusals(f, "malformed") > 100);
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
    start(f);
    assert_int_equal(packer_pack(w, &whole, 1, SIZE_MAX, &packed), SL_OK);
    assert_true(packed.n < f->config.protocols.http.max_request_body_size);
    post(f, "/v1/traces", GZIP, packed.at, packed.n, &r);
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
    assert_int_equal(refusals(f, "too_large"), 2);
    /* wire bytes and inflated bytes, and while a buffer grows the old one too */
    assert_true(f->host->used_most <= 3 * f->config.protocols.http.max_request_body_size);
    pack_buffer_deinit(&packed);
    packer_destroy(w);
    free(zeros);
}

static void refused_offers(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    static const struct {
        int32_t offer;
        int status;
        int32_t code;
        bool again;
    } cases[] = {
        {SL_ERR_FULL, 503, OTLP_CODE_UNAVAILABLE, true},
        {SL_ERR_NOMEM, 503, OTLP_CODE_UNAVAILABLE, true},
        {SL_ERR_FAILED, 503, OTLP_CODE_UNAVAILABLE, true},
        {SL_ERR_TIMEOUT, 503, OTLP_CODE_UNAVAILABLE, true},
        {SL_ERR_SHUTDOWN, 503, OTLP_CODE_UNAVAILABLE, true},
        {SL_ERR_REJECTED, 500, OTLP_CODE_INTERNAL, false},
        {SL_ERR_INVALID, 400, OTLP_CODE_INVALID_ARGUMENT, false},
        {SL_ERR_TOO_LARGE, 413, OTLP_CODE_RESOURCE_EXHAUSTED, false},
        {SL_ERR_DENIED, 403, OTLP_CODE_PERMISSION_DENIED, false},
        {SL_ERR_UNSUPPORTED, 404, OTLP_CODE_UNIMPLEMENTED, false},
    };
    struct reply r;
    start(f);
    f->host->answer = HOST_REFUSES;
    int64_t n = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        f->host->offer_status = cases[i].offer;
        post(f, "/v1/traces", PROTO, one_span, sizeof one_span, &r);
        assert_int_equal(r.status, cases[i].status);
        assert_int_equal(status_of(&r).code, cases[i].code);
        assert_int_equal(strstr(r.text, "Retry-After: 1\r\n") != NULL, cases[i].again);
        assert_int_equal(status_of(&r).retry_delay_ns,
                         cases[i].again ? INT64_C(1000000000) : OTLP_NO_DELAY);
        assert_int_equal(count(f, "otelcol_receiver_refused_spans") +
                             count(f, "otelcol_receiver_failed_spans"),
                         ++n);
    }
    assert_int_equal(count(f, "otelcol_receiver_accepted_spans"), 0);
    assert_int_equal(count(f, "otelcol_receiver_failed_spans"), 2); /* no memory, no pipeline */
}

static void results(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    static const struct {
        sl_result result;
        int status;
        int32_t code;
        int64_t rejected;
        const char *says;
    } cases[] = {
        {{.items = 2, .n = {[SL_DELIVERED] = 1, [SL_DROPPED] = 1}}, 200, OTLP_CODE_OK, 0, ""},
        {{.items = 2, .n = {[SL_ABSORBED] = 2}}, 200, OTLP_CODE_OK, 0, ""},
        {{.items = 2, .n = {[SL_DELIVERED] = 1, [SL_REJECTED] = 1}, .why = "too_old"},
         200,
         OTLP_CODE_OK,
         1,
         "1 of 2 items were refused: too_old"},
        {{.items = 2, .n = {[SL_DELIVERED] = 1, [SL_EXPIRED] = 1}}, 200, OTLP_CODE_OK, 1, "1 of 2"},
        {{.items = 2, .n = {[SL_REJECTED] = 2}, .status = SL_ERR_INVALID},
         400,
         OTLP_CODE_INVALID_ARGUMENT,
         0,
         ""},
        {{.items = 2, .n = {[SL_REJECTED] = 2}, .status = SL_ERR_REJECTED, .why = "http_401"},
         500,
         OTLP_CODE_INTERNAL,
         0,
         "http_401"},
        {{.items = 2,
          .n = {[SL_FAILED] = 1, [SL_DELIVERED] = 1},
          .status = SL_ERR_UNAVAILABLE,
          .retry_after_ns = INT64_C(2500000000),
          .why = "http_503"},
         503,
         OTLP_CODE_UNAVAILABLE,
         0,
         "http_503"},
        {{.items = 2, .n = {[SL_FAILED] = 2}, .status = SL_ERR_INVALID},
         503,
         OTLP_CODE_UNAVAILABLE,
         0,
         ""},
    };
    uint8_t two[2 * sizeof one_span];
    struct reply r;
    memcpy(two, one_span, sizeof one_span);
    memcpy(two + sizeof one_span, one_span, sizeof one_span);
    start(f);
    for (int ack = SL_ACK_TAKEN; ack <= SL_ACK_JOURNALED; ack++) {
        f->host->ack = ack;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            f->host->result = cases[i].result;
            post(f, "/v1/traces", PROTO, two, sizeof two, &r);
            assert_int_equal(r.status, cases[i].status);
            assert_non_null(memmem(r.text, r.n, cases[i].says, strlen(cases[i].says)));
            if (r.status == 200) {
                struct otlp_response response;
                assert_int_equal(otlp_response_decode(r.body, &response), SL_OK);
                assert_int_equal(response.rejected, cases[i].rejected);
                assert_int_equal(r.body.n > 0, cases[i].rejected > 0);
            } else {
                assert_int_equal(status_of(&r).code, cases[i].code);
                assert_int_equal(strstr(r.text, "Retry-After: 3\r\n") != NULL,
                                 cases[i].result.retry_after_ns != 0);
            }
        }
    }
    assert_int_equal(count(f, "otelcol_receiver_accepted_spans"), 3 * (2 + 2 + 1 + 1));
    assert_int_equal(count(f, "otelcol_receiver_refused_spans"), 3 * (1 + 1 + 2 + 2 + 2 + 2));
}

/* The body is refused from its declared length, before a byte of it was sent. */
static void budget_is_asked_first(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct reply r;
    f->host->budget = 5000;
    start(f);
    int fd = client_open(f);
    static const char head[] =
        "POST /v1/traces HTTP/1.1\r\nHost: x\r\n" PROTO "Content-Length: 6000\r\n\r\n";
    client_send(fd, head, strlen(head));
    client_read(fd, &r);
    assert_int_equal(r.status, 503);
    assert_int_equal(status_of(&r).code, OTLP_CODE_UNAVAILABLE);
    assert_non_null(strstr(r.text, "Retry-After: 1\r\n"));
    close(fd);
    assert_int_equal(refusals(f, "no_memory"), 1);
    /* Inflating needs memory too. */
    struct packer *w = packer_create(PACK_GZIP, 9);
    struct pack_buffer packed = {0};
    static const uint8_t zeros[50000];
    const sl_bytes whole = sl_slice(zeros, sizeof zeros);
    assert_int_equal(packer_pack(w, &whole, 1, SIZE_MAX, &packed), SL_OK);
    post(f, "/v1/traces", GZIP, packed.at, packed.n, &r);
    assert_int_equal(r.status, 503);
    assert_int_equal(refusals(f, "no_memory"), 2);
    pack_buffer_deinit(&packed);
    packer_destroy(w);
    post(f, "/v1/traces", PROTO, one_span, sizeof one_span, &r);
    assert_int_equal(r.status, 200);
}

static void answers_when_it_is_safe(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct reply r;
    start(f);
    f->host->ack = SL_ACK_SETTLED;
    f->host->answer = HOST_HOLDS;
    int fd = client_open(f);
    client_post(fd, "/v1/traces", PROTO, one_span, sizeof one_span);
    client_post(fd, "/v1/logs", PROTO, one_log, sizeof one_log); /* pipelined */
    receiver_host_wait_held(f->host, 1);
    assert_int_equal(recv(fd, r.text, 1, MSG_DONTWAIT), -1);
    receiver_host_answer(f->host);
    client_read(fd, &r);
    assert_int_equal(r.status, 200);
    receiver_host_wait_held(f->host, 1);
    receiver_host_answer(f->host);
    client_read(fd, &r);
    assert_int_equal(r.status, 200);
    /* The client goes away first. */
    client_post(fd, "/v1/traces", PROTO, one_span, sizeof one_span);
    receiver_host_wait_held(f->host, 1);
    close(fd);
    receiver_host_answer(f->host);
}

static void *hammer(void *arg)
{
    struct fixture *f = (struct fixture *)arg;
    struct reply r;
    int fd = client_open(f);
    for (int i = 0; i < 200; i++) {
        client_post(fd, i % 2 ? "/v1/traces" : "/v1/logs", PROTO, i % 2 ? one_span : one_log,
                    i % 2 ? sizeof one_span : sizeof one_log);
        client_read(fd, &r);
        if (r.status != 200)
            break;
    }
    close(fd);
    return NULL;
}

static void many_clients(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    pthread_t threads[4];
    f->host->answer = HOST_TAKES_ELSEWHERE;
    start(f);
    for (int ack = SL_ACK_TAKEN; ack <= SL_ACK_SETTLED; ack++) {
        f->host->ack = ack;
        for (int i = 0; i < 4; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, hammer, f), 0);
        for (int i = 0; i < 4; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(f->host->items[0], 800);
    assert_int_equal(f->host->items[2], 800);
    assert_int_equal(count(f, "otelcol_receiver_accepted_spans"), 800);
}

static void *drain_run(void *arg)
{
    struct fixture *f = (struct fixture *)arg;
    f->type->drain(f->component, f->host->host.table->now(&f->host->host) + INT64_C(10000000000));
    return NULL;
}

static void drains_and_stops(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct reply r;
    pthread_t thread;
    start(f);
    f->host->answer = HOST_HOLDS;
    int fd = client_open(f), idle = client_open(f);
    client_post(fd, "/v1/traces", PROTO, one_span, sizeof one_span);
    receiver_host_wait_held(f->host, 1);
    assert_int_equal(pthread_create(&thread, NULL, drain_run, f), 0);
    assert_int_equal(recv(idle, r.text, 1, 0), 0); /* idle connections are closed */
    receiver_host_answer(f->host);
    client_read(fd, &r);
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.text, "Connection: close\r\n"));
    assert_int_equal(pthread_join(thread, NULL), 0);
    close(fd);
    close(idle);
}

static void stops_with_requests_open(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    char byte;
    start(f);
    f->host->answer = HOST_HOLDS;
    int a = client_open(f), b = client_open(f);
    client_post(a, "/v1/traces", PROTO, one_span, sizeof one_span);
    receiver_host_wait_held(f->host, 1);
    static const char half[] =
        "POST /v1/traces HTTP/1.1\r\nHost: x\r\n" PROTO "Content-Length: 6000\r\n\r\nabc";
    client_send(b, half, strlen(half));
    f->type->drain(f->component, 0); /* no time at all */
    f->type->stop(f->component);
    assert_true(recv(a, &byte, 1, 0) <= 0);
    receiver_host_answer(f->host); /* too late for the client, and harmless */
    close(a);
    close(b);
}

static void starts_that_fail(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    sl_error error = {.size = sizeof error};
    f->config.protocols.http.endpoint = sl_str("taken:1");
    assert_int_equal(f->type->create(&f->config, &f->component, &error), SL_OK);
    assert_int_equal(f->type->start(f->component, &error), SL_ERR_IO);
    assert_non_null(strstr(error.text, "taken:1"));
}

static void grpc_that_is_not_there(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct reply r;
    f->config.protocols.grpc_on = 1;
    f->config.protocols.grpc.endpoint = sl_str("localhost:4317");
    start(f);
    receiver_host_wait_status(f->host, SL_STATUS_FATAL);
    assert_non_null(strstr(f->host->status_text, "otlp_grpc"));
    post(f, "/v1/traces", PROTO, one_span, sizeof one_span, &r);
    assert_int_equal(r.status, 200); /* HTTP did not wait for it */
}

static void what_is_not_supported_is_refused(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct protocols *p = &f->config.protocols;
    static const sl_raw child = {.size = sizeof child, .kind = 1};
    static const sl_raw map = {.size = sizeof map,
                               .kind = 3,
                               .n = 1,
                               .children = &child,
                               .file = "c.yaml",
                               .line = 7,
                               .column = 3};
    static const sl_raw nothing = {.size = sizeof nothing};
    static const struct {
        const char *name;
        int32_t status;
    } algorithms[] = {{"snappy", SL_OK}, {"x-snappy-framed", SL_OK},
                      {"lz4", SL_OK},    {"gzipp", SL_ERR_INVALID},
                      {"", SL_OK},       {"gzip", SL_OK},
                      {"zstd", SL_OK},   {"zlib", SL_OK},
                      {"deflate", SL_OK}};
    sl_error error = {.size = sizeof error};
    const struct {
        const sl_raw **raw;
        sl_bytes *text, value;
        const char *says;
    } cases[] = {
        {&p->http.middlewares, NULL, {NULL, 0}, "http.middlewares"},
        {&p->grpc.middlewares, NULL, {NULL, 0}, "grpc.middlewares"},
        {NULL, &p->http.transport, sl_str("udp"), "http.transport is \"udp\""},
        {NULL, &p->grpc.transport, sl_str("udp"), "grpc.transport is \"udp\""},
        {NULL, &p->http.traces_url_path, sl_str("v1"), "must begin with \"/\""},
        {NULL, &p->http.logs_url_path, sl_str("/v1/traces"), "a path of its own"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        defaults(f);
        p->grpc_on = 1;
        assert_int_equal(f->type->prepare(&f->config, &error), SL_OK);
        if (cases[i].raw) {
            *cases[i].raw = &nothing; /* a key without a value asks for nothing */
            assert_int_equal(f->type->prepare(&f->config, &error), SL_OK);
            *cases[i].raw = &map;
        } else {
            *cases[i].text = cases[i].value;
        }
        assert_int_not_equal(f->type->prepare(&f->config, &error), SL_OK);
        if (!strstr(error.text, cases[i].says))
            fail_msg("case %zu: %s", i, error.text);
    }
    defaults(f);
    for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++) {
        const sl_bytes name = sl_str(algorithms[i].name);
        p->http.compression_algorithms = (sl_list){&name, 1, sizeof name};
        assert_int_equal(f->type->prepare(&f->config, &error), algorithms[i].status);
        if (algorithms[i].status != SL_OK)
            assert_non_null(strstr(error.text, algorithms[i].name));
    }
    defaults(f);
    p->http_on = 0;
    assert_int_equal(f->type->prepare(&f->config, &error), SL_ERR_INVALID);
}

static void encodings_may_be_narrowed(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    const sl_bytes gzip = sl_str("gzip");
    struct reply r;
    f->config.protocols.http.algorithms_given = 1;
    f->config.protocols.http.compression_algorithms = (sl_list){&gzip, 1, sizeof gzip};
    start(f);
    post(f, "/v1/traces", PROTO, one_span, sizeof one_span, &r);
    assert_int_equal(r.status, 400);
    post(f, "/v1/traces", GZIP, empty_gzip, sizeof empty_gzip, &r);
    assert_int_equal(r.status, 200);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(three_signals),
        TEST(bodies_in_every_form),
        TEST(empty_requests_succeed),
        TEST(refused_by_the_headers),
        TEST(content_type_takes_parameters),
        TEST(json_of_three_signals),
        TEST(the_decoder_is_loaded_when_it_is_needed),
        TEST(encodings),
        TEST(json_that_is_refused),
        TEST(json_results),
        TEST(damaged_bodies),
        TEST(bodies_above_the_limit),
        TEST(refused_offers),
        TEST(results),
        TEST(budget_is_asked_first),
        TEST(answers_when_it_is_safe),
        TEST(many_clients),
        TEST(drains_and_stops),
        TEST(stops_with_requests_open),
        TEST(starts_that_fail),
        TEST(grpc_that_is_not_there),
        TEST(what_is_not_supported_is_refused),
        TEST(encodings_may_be_narrowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
