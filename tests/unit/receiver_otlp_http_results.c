/* What senders over HTTP hear of what became of their data, under load, while the receiver starts and
 * stops; and which configurations it refuses. */
#include "formats/compress/pack.h"
#include "tests/unit/receiver_otlp_http_support.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

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
    fixture_start(f);
    f->host->result =
        (sl_result){.items = 2, .n = {[SL_DELIVERED] = 1, [SL_REJECTED] = 1}, .why = "a \"b\""};
    for (size_t i = 0; i < 3; i++) {
        client_post_once(f, all[i].path, JSON, all[i].text, strlen(all[i].text), &r);
        assert_int_equal(r.status, 200);
        (void)snprintf(expected, sizeof expected,
                       "{\"partialSuccess\":{\"%s\":\"1\",\"errorMessage\":\"1 of 2 items were "
                       "refused: a \\\"b\\\"\"}}",
                       all[i].becomes);
        assert_true(reply_is(&r, expected));
    }
    f->host->result = (sl_result){.items = 2,
                                  .n = {[SL_FAILED] = 2},
                                  .status = SL_ERR_UNAVAILABLE,
                                  .retry_after_ns = INT64_C(2500000000)};
    client_post_once(f, all[0].path, JSON, all[0].text, strlen(all[0].text), &r);
    assert_int_equal(r.status, 503);
    assert_non_null(strstr(r.text, "Retry-After: 3\r\n"));
    assert_true(reply_is(
        &r, "{\"code\":14,\"message\":\"cannot be handled now; try again\",\"details\":[{\"@type\":"
            "\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"2.500000000s\"}]}"));
    f->host->answer = HOST_REFUSES;
    f->host->offer_status = SL_ERR_FULL;
    client_post_once(f, all[0].path, JSON, all[0].text, strlen(all[0].text), &r);
    assert_int_equal(r.status, 503);
    assert_non_null(strstr(r.text, "\"retryDelay\":\"1s\"}]}"));
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
    fixture_start(f);
    f->host->answer = HOST_REFUSES;
    int64_t n = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        f->host->offer_status = cases[i].offer;
        client_post_once(f, "/v1/traces", PROTO, one_span, sizeof one_span, &r);
        assert_int_equal(r.status, cases[i].status);
        assert_int_equal(status_of(&r).code, cases[i].code);
        assert_int_equal(strstr(r.text, "Retry-After: 1\r\n") != NULL, cases[i].again);
        assert_int_equal(status_of(&r).retry_delay_ns,
                         cases[i].again ? INT64_C(1000000000) : OTLP_NO_DELAY);
        assert_int_equal(metric_of(f, "otelcol_receiver_refused_spans") +
                             metric_of(f, "otelcol_receiver_failed_spans"),
                         ++n);
    }
    assert_int_equal(metric_of(f, "otelcol_receiver_accepted_spans"), 0);
    assert_int_equal(metric_of(f, "otelcol_receiver_failed_spans"), 2); /* no memory, no pipeline */
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
    fixture_start(f);
    for (int ack = SL_ACK_TAKEN; ack <= SL_ACK_JOURNALED; ack++) {
        f->host->ack = ack;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            f->host->result = cases[i].result;
            client_post_once(f, "/v1/traces", PROTO, two, sizeof two, &r);
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
    assert_int_equal(metric_of(f, "otelcol_receiver_accepted_spans"), 3 * (2 + 2 + 1 + 1));
    assert_int_equal(metric_of(f, "otelcol_receiver_refused_spans"), 3 * (1 + 1 + 2 + 2 + 2 + 2));
}

/* The body is refused from its declared length, before a byte of it was sent. */
static void budget_is_asked_first(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct reply r;
    f->host->budget = 5000;
    fixture_start(f);
    int fd = client_open(f);
    static const char head[] =
        "POST /v1/traces HTTP/1.1\r\nHost: x\r\n" PROTO "Content-Length: 6000\r\n\r\n";
    client_send(fd, head, strlen(head));
    client_read(fd, &r);
    assert_int_equal(r.status, 503);
    assert_int_equal(status_of(&r).code, OTLP_CODE_UNAVAILABLE);
    assert_non_null(strstr(r.text, "Retry-After: 1\r\n"));
    close(fd);
    assert_int_equal(refusals_of(f, "no_memory"), 1);
    /* Inflating needs memory too. */
    struct packer *w = packer_create(PACK_GZIP, 9);
    struct pack_buffer packed = {0};
    static const uint8_t zeros[50000];
    const sl_bytes whole = sl_slice(zeros, sizeof zeros);
    assert_int_equal(packer_pack(w, &whole, 1, SIZE_MAX, &packed), SL_OK);
    client_post_once(f, "/v1/traces", GZIP, packed.at, packed.n, &r);
    assert_int_equal(r.status, 503);
    assert_int_equal(refusals_of(f, "no_memory"), 2);
    pack_buffer_deinit(&packed);
    packer_destroy(w);
    client_post_once(f, "/v1/traces", PROTO, one_span, sizeof one_span, &r);
    assert_int_equal(r.status, 200);
}

static void answers_when_it_is_safe(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct reply r;
    fixture_start(f);
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
    fixture_start(f);
    for (int ack = SL_ACK_TAKEN; ack <= SL_ACK_SETTLED; ack++) {
        f->host->ack = ack;
        for (int i = 0; i < 4; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, hammer, f), 0);
        for (int i = 0; i < 4; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(f->host->items[0], 800);
    assert_int_equal(f->host->items[2], 800);
    assert_int_equal(metric_of(f, "otelcol_receiver_accepted_spans"), 800);
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
    fixture_start(f);
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
    fixture_start(f);
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
    fixture_start(f);
    receiver_host_wait_status(f->host, SL_STATUS_FATAL);
    assert_non_null(strstr(f->host->status_text, "otlp_grpc"));
    client_post_once(f, "/v1/traces", PROTO, one_span, sizeof one_span, &r);
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
        fixture_defaults(f);
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
    fixture_defaults(f);
    for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++) {
        const sl_bytes name = sl_str(algorithms[i].name);
        p->http.compression_algorithms = (sl_list){&name, 1, sizeof name};
        assert_int_equal(f->type->prepare(&f->config, &error), algorithms[i].status);
        if (algorithms[i].status != SL_OK)
            assert_non_null(strstr(error.text, algorithms[i].name));
    }
    fixture_defaults(f);
    p->http_on = 0;
    assert_int_equal(f->type->prepare(&f->config, &error), SL_ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(json_results),
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
