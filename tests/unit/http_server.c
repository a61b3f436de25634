/* What the HTTP server makes of requests, whole and in pieces, good and bad, and what it answers. */
#include "tests/unit/http_server_support.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static void get_and_keep_alive(void **state)
{
    (void)state;
    struct fixture f = {0};
    struct client c;
    fixture_start(&f);
    client_open(&c, &f);
    for (uint32_t i = 1; i <= 3; i++) {
        assert_true(client_text(&c, "GET /metrics?a=b HTTP/1.1\r\nHost: x\r\n\r\n"));
        client_wait(&c, i);
        assert_int_equal(client_count(&c, "GET /metrics?a=b 0 0"), i);
    }
    client_expect(&c, "HTTP/1.1 200 OK\r\nDate: ");
    client_expect(&c, " GMT\r\n");
    client_expect(&c, "Content-Type: text/plain\r\nContent-Length: 20\r\n\r\n");
    assert_false(client_has(&c, "Connection:"));
    assert_false(c.eof);
    c.n = 0;
    client_text(&c, "HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    client_wait_end(&c);
    client_expect(&c, "Connection: close\r\n");
    client_expect(&c, "Content-Length: 11\r\n\r\n");
    assert_false(client_has(&c, "HEAD"));
    assert_false(c.reset);
    client_close(&c);
    client_open(&c, &f);
    client_text(&c, "GET http://host:80/abs?q HTTP/1.0\r\n\r\n");
    client_wait_end(&c);
    client_expect(&c, "GET /abs?q 0 0");
    client_close(&c);
    client_open(&c, &f);
    client_text(&c, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    client_wait(&c, 1);
    client_expect(&c, "Connection: keep-alive\r\n");
    client_close(&c);
    fixture_finish(&f);
}

/* Every cut into two reads, and one byte a read, with rooms of any size. */
static void split_everywhere(void **state)
{
    (void)state;
    const char *const posts[] = {post_length, post_chunked};
    for (int which = 0; which < 2; which++) {
        for (size_t room = 0; room < 30; room += 7) {
            struct fixture f = {.app.room_size = room};
            struct client c;
            const size_t n = strlen(posts[which]);
            fixture_start(&f);
            client_open(&c, &f);
            uint32_t done = 0;
            for (size_t cut = 0; cut <= n; cut++) {
                assert_true(client_send(&c, posts[which], cut));
                assert_int_equal(f.app.ended, cut < n ? done : done + 1);
                assert_true(client_send(&c, posts[which] + cut, n - cut));
                client_wait(&c, ++done);
                assert_int_equal(client_count(&c, echoed), done);
            }
            for (size_t i = 0; i < n; i++)
                assert_true(client_send(&c, posts[which] + i, 1));
            client_wait(&c, ++done);
            assert_int_equal(client_count(&c, echoed), done);
            assert_int_equal(f.app.abandoned, 0);
            client_close(&c);
            fixture_finish(&f);
        }
    }
}

/* Every two cuts of a request that has chunks and a trailer. */
static void split_twice(void **state)
{
    (void)state;
    struct fixture f = {0};
    struct client c;
    const size_t n = strlen(post_chunked);
    fixture_start(&f);
    client_open(&c, &f);
    for (size_t first = 1; first < n; first++) {
        for (size_t second = first + 1; second < n; second++) {
            c.n = 0;
            assert_true(client_send(&c, post_chunked, first));
            assert_true(client_send(&c, post_chunked + first, second - first));
            assert_true(client_send(&c, post_chunked + second, n - second));
            client_wait(&c, 1);
            client_expect(&c, echoed);
        }
    }
    client_close(&c);
    fixture_finish(&f);
}

/* A trailer's second line is refused however it is cut. */
static void folded_trailer(void **state)
{
    (void)state;
    static const char post[] = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                               "1\r\na\r\n0\r\nTrailer: 1\r\n folded\r\n\r\n";
    const size_t n = sizeof post - 1;
    for (size_t cut = 1; cut <= n; cut++) {
        struct fixture f = {0};
        struct client c;
        fixture_start(&f);
        client_open(&c, &f);
        (void)client_send(&c, post, cut);
        (void)client_send(&c, post + cut, n - cut);
        client_wait_end(&c);
        client_expect(&c, "HTTP/1.1 400 ");
        assert_int_equal(f.app.ended, 0);
        client_close(&c);
        fixture_finish(&f);
    }
}

/* The last one is broken, which must not harm those before it. */
static void pipelined(void **state)
{
    (void)state;
    char all[20000];
    size_t n = 0;
    for (int i = 0; i < 20; i++) {
        n += (size_t)snprintf(all + n, sizeof all - n, "%s%s", post_length, post_chunked);
        n += (size_t)snprintf(all + n, sizeof all - n,
                              "GET /n%d HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: "
                              "Upgrade\r\n\r\n\r\n",
                              i);
    }
    n += (size_t)snprintf(all + n, sizeof all - n,
                          "BROKEN\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
    for (int mode = ANSWER_NOW; mode <= ANSWER_BY_THREAD; mode++) {
        for (size_t step = n; step > 3; step = step * 2 / 5) {
            struct fixture f = {.app.mode = (enum mode)mode};
            struct client c;
            fixture_start(&f);
            client_open(&c, &f);
            for (size_t at = 0; at < n; at += step) {
                client_send(&c, all + at, n - at < step ? n - at : step);
                if (f.app.mode == ANSWER_LATER && f.app.waiting)
                    app_answer_waiting(&f.app);
            }
            while (f.app.ended < 60 || (f.app.mode == ANSWER_LATER && f.app.waiting)) {
                if (f.app.mode == ANSWER_LATER && f.app.waiting)
                    app_answer_waiting(&f.app);
                client_wait(&c, f.app.ended - (f.app.mode == ANSWER_LATER && f.app.waiting));
                /* rather than wait for ever */
                assert_false(c.reset || (c.eof && f.app.ended < 60));
            }
            client_wait_end(&c);
            assert_int_equal(client_count(&c, "HTTP/1.1 200 OK"), 60);
            assert_int_equal(client_count(&c, echoed), 40);
            const char *at = c.in;
            for (int i = 0; i < 20; i++) { /* in order */
                char want[32];
                (void)snprintf(want, sizeof want, "GET /n%d?", i);
                at = strstr(at, want);
                assert_non_null(at);
            }
            assert_int_equal(client_count(&c, "HTTP/1.1 400 Bad Request"), 1);
            assert_int_equal(f.app.ended, 60);
            assert_false(c.reset);
            client_close(&c);
            fixture_finish(&f);
        }
    }
}

/* What must be refused by the server itself, before a handler sees it. */
static void malformed(void **state)
{
    (void)state;
#define H "Host: x\r\n"
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400}, /* TLS */
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
        {"GET / HTTP/2.0\r\n" H "\r\n", 505},
        {"GET / HTTP/0.9\r\n" H "\r\n", 505},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "Host: y\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "No colon\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H " folded: 1\r\nX : y\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "X\x01: y\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "X: a\x02"
         "b\r\n\r\n",
         400},
        {"GET  HTTP/1.1\r\n" H "\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "\r\n", 411},
        {"POST / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: +1\r\n\r\na", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 0x1\r\n\r\na", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 1 1\r\n\r\na", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 1, 1\r\n\r\na", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 99999999999999999999\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551615\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551614\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 1000000000000000000\r\n\r\n", 413},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 1\r\n\r\na", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 2\r\n\r\na", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length : 1\r\n\r\na", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 1\r\n 0\r\n\r\na", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
         400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chu\r\n nked\r\n\r\n0\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"
         "0\r\n\r\n",
         400},
        {"POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nG\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Expect: magic\r\nContent-Length: 1\r\n\r\na", 417},
        {"CONNECT x:1 HTTP/1.1\r\n" H "\r\n", 405},
    };
#undef H
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int bytewise = 0; bytewise < 2; bytewise++) {
            struct fixture f = {0};
            struct client c;
            char want[32];
            fixture_start(&f);
            client_open(&c, &f);
            if (bytewise) {
                for (const char *p = cases[i].text; *p && client_send(&c, p, 1); p++)
                    ;
            } else {
                client_text(&c, cases[i].text);
            }
            client_wait_end(&c);
            (void)snprintf(want, sizeof want, "HTTP/1.1 %d ", cases[i].status);
            if (client_count(&c, want) != 1 || client_count(&c, "HTTP/1.1 ") != 1)
                fail_msg("case %zu: %s\nanswered: %s", i, cases[i].text, c.in);
            client_expect(&c, "Connection: close\r\n");
            assert_int_equal(f.app.ended, 0);
            assert_int_equal(f.app.begun, f.app.abandoned);
            client_close(&c);
            fixture_finish(&f);
        }
    }
}

static void limits_of_the_head(void **state)
{
    (void)state;
    char *big = (char *)malloc(1 << 20);
    memset(big, 'a', 1 << 20);
    struct fixture f = {.limits = {.header_bytes = 2000, .header_count = 20}};
    struct client c;
    fixture_start(&f);
    for (int what = 0; what < 4; what++) {
        client_open(&c, &f);
        client_text(&c, what == 0 ? "GET /" : "GET / HTTP/1.1\r\n");
        if (what == 1)
            client_text(&c, "X: ");
        if (what <= 2) /* target, value, name */
            (void)client_send(&c, big, what == 2 ? 1 << 20 : 2000);
        for (int i = 0; what == 3 && i < 21; i++)
            client_text(&c, "A:\r\n");
        client_wait_end(&c);
        client_expect(&c, what == 0 ? "HTTP/1.1 414 " : "HTTP/1.1 431 ");
        client_close(&c);
    }
    /* just below */
    client_open(&c, &f);
    client_text(&c, "GET / HTTP/1.1\r\nHost: x\r\nX: ");
    client_send(&c, big, 1890);
    client_text(&c, "\r\n");
    for (int i = 0; i < 18; i++)
        client_text(&c, "A:\r\n");
    client_text(&c, "\r\n");
    client_wait(&c, 1);
    client_expect(&c, "200 OK");
    c.n = 0;
    client_text(&c, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n");
    for (int i = 0; i < 200 && client_text(&c, "Trailer: 12345\r\n"); i++)
        ;
    client_wait_end(&c);
    client_expect(&c, "HTTP/1.1 431 ");
    client_close(&c);
    assert_int_equal(f.app.abandoned, 1);
    struct http_counts n;
    http_server_counts(f.server, &n);
    assert_int_equal(n.malformed, 5);
    fixture_finish(&f);
    free(big);
}

static void limits_of_the_body(void **state)
{
    (void)state;
    struct fixture f = {.limits = {.body_bytes = 100}};
    struct client c;
    fixture_start(&f);
    client_open(&c, &f);
    client_text(&c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n");
    client_wait_end(&c); /* before a byte of it was sent */
    client_expect(&c, "HTTP/1.1 413 ");
    assert_int_equal(f.app.begun, 0);
    client_close(&c);
    client_open(&c, &f);
    client_text(&c, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n");
    for (int i = 0; i < 4; i++)
        client_text(&c, "0123456789abcdef");
    client_text(&c, "\r\n40\r\n");
    for (int i = 0; i < 3; i++)
        client_text(&c, "0123456789abcdef");
    client_wait_end(&c);
    client_expect(&c, "HTTP/1.1 413 ");
    assert_int_equal(f.app.begun, 1);
    assert_int_equal(f.app.abandoned, 1);
    client_close(&c);
    struct http_counts n;
    http_server_counts(f.server, &n);
    assert_int_equal(n.too_large, 2);
    fixture_finish(&f);
}

static void refusals(void **state)
{
    (void)state;
    static const struct {
        enum mode mode;
        const char *head, *want;
        size_t body;
        bool keeps, abandoned;
    } cases[] = {
        {REFUSE_AT_HEADERS, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 403 Forbidden", 0, true,
         false},
        {REFUSE_AT_HEADERS, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n",
         "HTTP/1.1 403 Forbidden", 60000, true, false},
        {REFUSE_AT_HEADERS, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n",
         "HTTP/1.1 403 Forbidden", 900000, false, false},
        {REFUSE_AT_HEADERS,
         "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
         "HTTP/1.1 403 Forbidden", 0, false, false},
        {REFUSE_AT_HEADERS, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
         "HTTP/1.1 403 Forbidden", 0, false, false},
        {REFUSE_AT_ROOM, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n",
         "HTTP/1.1 503 Service Unavailable", 900000, false, false},
        {REFUSE_AT_ROOM, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n",
         "HTTP/1.1 503 Service Unavailable", 3, false, false},
        {REFUSE_WHEN_FILLED, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n",
         "HTTP/1.1 422 Unprocessable Entity", 900000, false, false},
        {REFUSE_WHEN_FILLED,
         "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
         "3\r\nabc\r\n0\r\n\r\n",
         "HTTP/1.1 422 Unprocessable Entity", 0, true, false},
        {ROOM_FORGETS, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n",
         "HTTP/1.1 500 Internal Server Error", 3, false, true},
    };
    uint8_t *junk = (uint8_t *)calloc(1, 1 << 20);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f = {.app = {.mode = cases[i].mode, .room_size = 1000}};
        struct client c;
        fixture_start(&f);
        client_open(&c, &f);
        client_text(&c, cases[i].head);
        /* The client goes on sending, and still reads the answer: the connection is not reset. */
        assert_true(client_send(&c, junk, cases[i].body));
        client_wait(&c, 1);
        if (client_count(&c, cases[i].want) != 1)
            fail_msg("case %zu: %s", i, c.in);
        if (cases[i].keeps) {
            f.app.mode = ANSWER_NOW;
            client_text(&c, "GET /next HTTP/1.1\r\nHost: x\r\n\r\n");
            client_wait(&c, 2);
            client_expect(&c, "GET /next");
        } else {
            client_expect(&c, "Connection: close");
            client_wait_end(&c);
        }
        assert_int_equal(f.app.abandoned, cases[i].abandoned);
        assert_false(c.reset);
        client_close(&c);
        fixture_finish(&f);
    }
    free(junk);
}

static void answer_headers(void **state)
{
    (void)state;
    struct fixture f = {.app.mode = ANSWER_LATER};
    struct client c;
    fixture_start(&f);
    client_open(&c, &f);
    client_text(&c, "GET / HTTP/1.1\r\nHost: x\r\nX-One: 1\r\nx-two:  2 \r\nX-ONE: 3\r\n\r\n");
    struct http_request *rq = f.app.waiting;
    bool repeated;
    assert_true(sl_eq(http_header_of(rq, "x-two", &repeated), sl_str("2")));
    assert_false(repeated);
    assert_true(sl_eq(http_header_of(rq, "x-one", &repeated), sl_str("1")));
    assert_true(repeated);
    assert_null(http_header_of(rq, "x-three", NULL).p);
    app_body_free(rq);
    struct http_header more[] = {{sl_str("Retry-After"), sl_str("5")}};
    struct http_answer a = {.status = 503, .n_headers = 1, .headers = more};
    http_answer(rq, &a);
    f.app.waiting = NULL;
    client_wait(&c, 1);
    client_expect(&c, "HTTP/1.1 503 Service Unavailable\r\n");
    client_expect(&c, "\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n");
    c.n = 0;
    client_text(&c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    rq = f.app.waiting;
    app_body_free(rq);
    more[0].value = sl_str("5\r\nInjected: 1");
    http_answer(rq, &a);
    client_wait_end(&c);
    client_expect(&c, "HTTP/1.1 500 ");
    assert_false(client_has(&c, "Injected"));
    client_close(&c);
    fixture_finish(&f);
    assert_true(
        http_media_type_is(sl_str("Application/X-Protobuf ; a=b"), "application/x-protobuf"));
    assert_true(http_media_type_is(sl_str(" application/json"), "application/json"));
    assert_false(http_media_type_is(sl_str("application/jsonp"), "application/json"));
    assert_false(http_media_type_is(sl_str("application/jso"), "application/json"));
    assert_false(http_media_type_is(sl_slice(NULL, 0), "application/json"));
}

static void without_bodies(void **state)
{
    (void)state;
    struct fixture f = {0};
    struct http_handler h = app_handler(&f.app);
    h.room = NULL;
    h.filled = NULL;
    h.abandon = NULL;
    struct client c;
    assert_int_equal(uv_loop_init(&f.loop), 0);
    f.limits.no_keep_alive = true;
    assert_int_equal(http_server_create(&f.loop, &h, &f.limits, &f.server, NULL), SL_OK);
    f.listener = listen_any(&f.port);
    assert_int_equal(http_server_listen(f.server, f.listener, NULL), SL_OK);
    client_open(&c, &f);
    client_text(&c, post_length);
    client_wait_end(&c);
    client_expect(&c, "HTTP/1.1 413 ");
    client_close(&c);
    client_open(&c, &f);
    client_text(&c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    client_wait_end(&c);
    client_expect(&c, "Connection: close\r\n");
    client_close(&c);
    fixture_finish(&f);
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN); /* as the host does */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(get_and_keep_alive), cmocka_unit_test(split_everywhere),
        cmocka_unit_test(split_twice),        cmocka_unit_test(folded_trailer),
        cmocka_unit_test(pipelined),          cmocka_unit_test(malformed),
        cmocka_unit_test(limits_of_the_head), cmocka_unit_test(limits_of_the_body),
        cmocka_unit_test(refusals),           cmocka_unit_test(answer_headers),
        cmocka_unit_test(without_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
