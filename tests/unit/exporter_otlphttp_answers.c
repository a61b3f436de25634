/* What each answer means to the OTLP/HTTP exporter: statuses, partial success, when to come again, in
 * protobuf and JSON, and servers that misbehave. */
#include "tests/unit/exporter_otlphttp_support.h"

#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

static void partial_success(void **state)
{
    struct fixture f;
    uint8_t at[256];
    char text[512];
    size_t n;
    (void)state;
    fixture_open_sink(&f, NULL);
    const struct otlp_response one = {1, sl_str("too late")};
    assert_int_equal(otlp_response_encode(&one, at, sizeof at, &n), SL_OK);
    const int head = snprintf(text, sizeof text,
                              "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n"
                              "Content-Length: %zu\r\n\r\n",
                              n);
    memcpy(text + head, at, n);
    http_sink_script(f.sink, (struct http_sink_answer){.bytes = sl_slice(text, (size_t)head + n)});
    assert_int_equal(fixture_send_two(&f), SL_OK);
    assert_int_equal(plugin_host_count(f.h, SL_REJECTED), 1);
    assert_non_null(strstr(f.h->log, "rejected 1 of 2 items: too late"));
    /* the same bytes as another type mean nothing */
    memcpy(strstr(text, "application/x-protobuf"), "application/x-protobug", 22);
    http_sink_script(f.sink, (struct http_sink_answer){.bytes = sl_slice(text, (size_t)head + n)});
    assert_int_equal(fixture_send_two(&f), SL_OK);
    assert_int_equal(plugin_host_count(f.h, SL_REJECTED), 1);
    static const char *const full[] = {
        "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 2\r\n\r\n\x0a",
        "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    };
    for (size_t i = 0; i < sizeof full / sizeof *full; i++) {
        const size_t length = strlen(full[i]) + (i == 0); /* 0a 00 */
        http_sink_script(f.sink, (struct http_sink_answer){.bytes = sl_slice(full[i], length)});
        assert_int_equal(fixture_send_two(&f), SL_OK);
    }
    assert_int_equal(plugin_host_count(f.h, SL_DELIVERED), 11);
    fixture_close(&f);
}

static void statuses(void **state)
{
    static const struct {
        int http;
        int32_t status;
        const char *why;
    } cases[] = {{302, SL_ERR_REJECTED, "http_3xx"},    {400, SL_ERR_INVALID, "http_400"},
                 {401, SL_ERR_DENIED, "http_401"},      {403, SL_ERR_DENIED, "http_403"},
                 {404, SL_ERR_UNSUPPORTED, "http_404"}, {413, SL_ERR_TOO_LARGE, "http_413"},
                 {418, SL_ERR_REJECTED, "http_4xx"},    {429, SL_ERR_UNAVAILABLE, "http_429"},
                 {500, SL_ERR_REJECTED, "http_500"},    {501, SL_ERR_REJECTED, "http_501"},
                 {502, SL_ERR_UNAVAILABLE, "http_502"}, {503, SL_ERR_UNAVAILABLE, "http_503"},
                 {504, SL_ERR_UNAVAILABLE, "http_504"}, {505, SL_ERR_REJECTED, "http_5xx"}};
    struct fixture f;
    (void)state;
    fixture_open_sink(&f, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[300];
        snprintf(text, sizeof text,
                 "HTTP/1.1 %d No\r\nLocation: http://127.0.0.1:1/\r\nContent-Type: text/plain\r\n"
                 "Content-Length: 13\r\n\r\nso\x1b[1m it is\n",
                 cases[i].http);
        fixture_answer(&f, text);
        assert_int_equal(fixture_send_two(&f), cases[i].status);
        assert_string_equal(f.send.why, cases[i].why);
        assert_non_null(strstr(f.send.error.text, "so [1m it is"));
        assert_int_equal(f.send.retry_after_ns, 0);
    }
    /* the message of a Status */
    fixture_answer(&f, "HTTP/1.1 400 Bad\r\nContent-Type: application/x-protobuf; v=1\r\n"
                       "Content-Length: 9\r\n\r\n\x08\x03\x12\x05wrong");
    assert_int_equal(fixture_send_two(&f), SL_ERR_INVALID);
    assert_non_null(strstr(f.send.error.text, ": wrong"));
    fixture_close(&f);
}

static void retry_after(void **state)
{
    const int64_t wall = 784111777 * S; /* Sun, 06 Nov 1994 08:49:37 GMT */
    const struct {
        const char *text;
        int64_t ns;
    } cases[] = {{"7", 7 * S},
                 {" 7 ", 7 * S},
                 {"0", 0},
                 {"-1", 0},
                 {"", 0},
                 {"1.5", 0},
                 {"soon", 0},
                 {"1000000000000000000", 3600 * S},
                 {"99999999999999999999999999999999999999999999999999", 3600 * S},
                 {"Sun, 06 Nov 1994 08:49:47 GMT", 10 * S},
                 {"Sunday, 06-Nov-94 08:49:47 GMT", 10 * S},
                 {"Sun Nov  6 08:49:47 1994", 10 * S},
                 {"Sun, 06 Nov 1994 08:49:47 +0000", 0},
                 {"Sun, 06 Nov 1994 08:49:37 GMT", 0},
                 {"Sun, 06 Nov 1994 08:49:27 GMT", 0},
                 {"Sun, 06 Nov 2094 08:49:37 GMT", 3600 * S},
                 {"Sun, 06 Nov 999999999999 08:49:37 GMT", 0}};
    struct fixture f;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(answer_retry_after(sl_str(cases[i].text), wall), cases[i].ns);
    fixture_open_sink(&f, NULL);
    fixture_answer(&f, "HTTP/1.1 503 Busy\r\nretry-after: 3\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(fixture_send_two(&f), SL_ERR_UNAVAILABLE);
    assert_int_equal(f.send.retry_after_ns, 3 * S);
    /* that of an answer for good, or of an interim one, does not count */
    fixture_answer(&f, "HTTP/1.1 400 Bad\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(fixture_send_two(&f), SL_ERR_INVALID);
    assert_int_equal(f.send.retry_after_ns, 0);
    fixture_answer(&f, "HTTP/1.1 100 Continue\r\nRetry-After: 3\r\n\r\n"
                       "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(fixture_send_two(&f), SL_ERR_UNAVAILABLE);
    assert_int_equal(f.send.retry_after_ns, 0);
    fixture_close(&f);
}

static void hostile_answers(void **state)
{
    static const struct {
        const char *bytes;
        uint32_t repeat;
        int32_t status;
    } cases[] = {
        {"HTTP/1.1 500 No\r\n\r\n0123456789abcdef", 0, SL_ERR_REJECTED},
        {"garbage\r\n\r\n", 0, SL_ERR_UNAVAILABLE},
        {"HTTP/1.1 100 Continue\r\n\r\n", 1000000, SL_ERR_UNAVAILABLE},
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", 0, SL_OK},
        {"HTTP/1.1 503 No\r\nContent-Length: 10\r\n\r\nhalf", 0, SL_ERR_UNAVAILABLE},
        {"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", 0, SL_ERR_UNAVAILABLE}, /* or success */
        {"HTTP/1.1 9999 OK\r\n\r\n", 0, SL_ERR_UNAVAILABLE},
        {"HTTP/1.1 200", 0, SL_ERR_UNAVAILABLE},
        {"\0\0\0\0", 0, SL_ERR_UNAVAILABLE},
    };
    struct fixture f;
    (void)state;
    fixture_open_sink(&f, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        http_sink_script(f.sink, (struct http_sink_answer){.bytes = sl_str(cases[i].bytes),
                                                           .repeat = cases[i].repeat,
                                                           .close = true});
        const int32_t status = fixture_send_two(&f);
        if (strstr(cases[i].bytes, "200") && cases[i].status != SL_OK)
            assert_true(status == SL_OK || status == SL_ERR_UNAVAILABLE);
        else
            assert_int_equal(status, cases[i].status);
    }
    http_sink_script(f.sink, (struct http_sink_answer){.reset = true});
    assert_int_equal(fixture_send_two(&f), SL_ERR_UNAVAILABLE);
    assert_string_equal(f.send.why, "connection");
    fixture_close(&f);
}

/* Endless bodies and headers: a bounded part is read, and the status counts. */
static void endless_answers(void **state)
{
    enum { N = 8 << 20 };
    char *text = malloc(N);
    struct fixture f;
    (void)state;
    fixture_open_sink(&f, NULL);
    static const char *const heads[] = {
        "HTTP/1.1 500 No\r\nContent-Type: text/plain\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n\r\n"};
    for (int i = 0; i < 2; i++) {
        memset(text, 'x', N);
        memcpy(text, heads[i], strlen(heads[i]));
        http_sink_script(f.sink,
                         (struct http_sink_answer){.bytes = sl_slice(text, N), .close = true});
        assert_int_equal(fixture_send_two(&f), i == 0 ? SL_ERR_REJECTED : SL_OK);
        assert_true(strlen(f.send.error.text) < 504);
    }
    assert_non_null(strstr(f.h->log, "longer than 4 MiB"));
    size_t used = (size_t)snprintf(text, N, "HTTP/1.1 503 No\r\n");
    while (used < N - 100)
        used += (size_t)snprintf(text + used, N - used, "X-%zu: 0123456789abcdef\r\n", used);
    http_sink_script(f.sink,
                     (struct http_sink_answer){.bytes = sl_slice(text, used), .close = true});
    assert_int_equal(fixture_send_two(&f), SL_ERR_UNAVAILABLE);
    free(text);
    fixture_close(&f);
}

static void answer_bytes(struct fixture *f, const char *head, sl_bytes body)
{
    char *text = malloc(1000 + body.n);
    const int n = snprintf(text, 1000, "%sContent-Length: %zu\r\n\r\n", head, body.n);
    memcpy(text + n, body.p, body.n);
    http_sink_script(f->sink,
                     (struct http_sink_answer){.bytes = sl_slice(text, (size_t)n + body.n)});
    free(text);
}

static void json_answers(void **state)
{
    static const char head[] = "HTTP/1.1 %s\r\nContent-Type: application/json; charset=utf-8\r\n";
    static const struct {
        const char *status, *body;
        int32_t result;
        uint32_t rejected;
        const char *text;
    } cases[] = {
        {"200 OK", "{}", SL_OK, 0, NULL},
        {"200 OK", "{\"partialSuccess\":{}}", SL_OK, 0, NULL},
        {"200 OK", "{\"partialSuccess\":{\"rejectedSpans\":\"1\",\"errorMessage\":\"too old\"}}",
         SL_OK, 1, "rejected 1 of 2 items: too old"},
        {"200 OK", "{\"partial_success\":{\"rejected_spans\":7}}", SL_OK, 2, "rejected 2 of 2"},
        {"200 OK", "{\"partialSuccess\":", SL_OK, 0, "cannot be read"},
        {"400 No", "{\"code\":3,\"message\":\"no such tenant\"}", SL_ERR_INVALID, 0,
         ": no such tenant"},
        {"503 No", "not JSON", SL_ERR_UNAVAILABLE, 0, ": not JSON"},
    };
    struct fixture f;
    uint32_t rejected = 0;
    (void)state;
    fixture_open_sink(&f, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[200];
        snprintf(text, sizeof text, head, cases[i].status);
        answer_bytes(&f, text, sl_str(cases[i].body));
        assert_int_equal(fixture_send_two(&f), cases[i].result);
        rejected += cases[i].rejected;
        assert_int_equal(plugin_host_count(f.h, SL_REJECTED) -
                             (cases[i].result == SL_ERR_INVALID ? 2 : 0),
                         rejected);
        if (cases[i].result == SL_ERR_INVALID)
            rejected += 2;
        if (cases[i].text)
            assert_non_null(
                strstr(cases[i].result == SL_OK ? f.h->log : f.send.error.text, cases[i].text));
    }
    fixture_close(&f);
}

/* Nobody asked for it, but some servers compress whatever they say. */
static void compressed_answers(void **state)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n"
                             "Content-Encoding: gzip\r\n";
    static uint8_t zeros[CLIENT_RESPONSE_MAX + 1];
    struct packer *p = packer_create(PACK_GZIP, 9);
    struct pack_buffer packed = {0};
    struct fixture f;
    uint8_t at[256];
    size_t n;
    (void)state;
    fixture_open_sink(&f, NULL);
    const struct otlp_response one = {1, sl_str("too late")};
    assert_int_equal(otlp_response_encode(&one, at, sizeof at, &n), SL_OK);
    sl_bytes plain = sl_slice(at, n);
    assert_int_equal(packer_pack(p, &plain, 1, SIZE_MAX, &packed), SL_OK);
    answer_bytes(&f, ok, sl_slice(packed.at, packed.n));
    assert_int_equal(fixture_send_two(&f), SL_OK);
    assert_int_equal(plugin_host_count(f.h, SL_REJECTED), 1);
    answer_bytes(&f, ok, sl_slice(packed.at, packed.n - 1));
    assert_int_equal(fixture_send_two(&f), SL_OK);
    answer_bytes(&f,
                 "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n"
                 "Content-Encoding: br\r\n",
                 plain);
    assert_int_equal(fixture_send_two(&f), SL_OK);
    plain = sl_slice(zeros, sizeof zeros); /* a bomb */
    assert_int_equal(packer_pack(p, &plain, 1, SIZE_MAX, &packed), SL_OK);
    answer_bytes(&f, ok, sl_slice(packed.at, packed.n));
    assert_int_equal(fixture_send_two(&f), SL_OK);
    assert_int_equal(plugin_host_count(f.h, SL_REJECTED), 1);
    assert_int_equal(plugin_host_count(f.h, SL_DELIVERED), 7);
    assert_non_null(strstr(f.h->log, "its answer cannot be read"));
    answer_bytes(&f, "HTTP/1.1 400 No\r\nContent-Type: text/plain\r\nContent-Encoding: gzip\r\n",
                 plain.n ? sl_str("\x1f\x8b") : plain);
    assert_int_equal(fixture_send_two(&f), SL_ERR_INVALID);
    assert_non_null(strstr(f.send.error.text, "its text is compressed"));
    packer_destroy(p);
    pack_buffer_deinit(&packed);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(partial_success),    cmocka_unit_test(statuses),
        cmocka_unit_test(retry_after),        cmocka_unit_test(hostile_answers),
        cmocka_unit_test(endless_answers),    cmocka_unit_test(json_answers),
        cmocka_unit_test(compressed_answers),
    };
    return run_each_way(tests, sizeof tests / sizeof *tests);
}
