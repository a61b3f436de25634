/* The HTTP server over real sockets. Server and client share one thread, so that every cut of the
 * input is one read, except where another thread answers. */
#include "formats/http/server.h"
#include "formats/http/thread.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
// clang-format off
#include <cmocka.h>
// clang-format on

/* ---- the server's side ---- */

enum mode {
    ANSWER_NOW,
    ANSWER_LATER,       /* the test calls answer_waiting */
    ANSWER_BY_THREAD,   /* another thread answers at once */
    REFUSE_AT_HEADERS,  /* 403 */
    REFUSE_AT_ROOM,     /* 503 */
    REFUSE_WHEN_FILLED, /* 422 */
    ROOM_FORGETS        /* says no without an answer */
};

struct body {
    uint8_t *at;
    size_t n, capacity, asked;
};

struct app {
    enum mode mode;
    size_t room_size; /* 0: the whole body */
    struct http_request *waiting;
    uint32_t begun, ended, abandoned, rooms, fills;
    uint8_t *big; /* an answer's body, if set */
    size_t big_n;
    pthread_t answerer;
    bool answering;
};

static struct body *body_of(struct http_request *rq)
{
    return (struct body *)rq->user;
}

static void body_free(struct http_request *rq)
{
    struct body *b = body_of(rq);
    if (b)
        free(b->at);
    free(b);
    rq->user = NULL;
}

static void answer(struct http_request *rq, int status, const char *text)
{
    struct http_answer a = {.status = status, .content_type = "text/plain", .body = sl_str(text)};
    http_answer(rq, &a);
}

/* Says what came in: "METHOD path?query bytes sum". */
static void answer_echo(struct app *app, struct http_request *rq)
{
    struct body *b = body_of(rq);
    uint32_t sum = 0;
    size_t n = b ? b->n : 0;
    for (size_t i = 0; i < n; i++)
        sum = sum * 31 + b->at[i];
    char text[200];
    (void)snprintf(text, sizeof text, "%s %.*s?%.*s %zu %u", rq->method, (int)rq->path.n,
                   (const char *)rq->path.p, (int)rq->query.n, (const char *)rq->query.p, n, sum);
    body_free(rq);
    if (app->big) {
        struct http_answer a = {.status = 200, .body = sl_slice(app->big, app->big_n)};
        http_answer(rq, &a);
    } else {
        answer(rq, 200, text);
    }
}

static void app_headers(void *ctx, struct http_request *rq)
{
    struct app *app = (struct app *)ctx;
    app->begun++;
    assert_null(rq->user);
    for (size_t i = 0; i < sizeof rq->scratch / sizeof *rq->scratch; i++)
        assert_int_equal(rq->scratch[i], 0);
    rq->scratch[3] = 1;
    if (app->mode == REFUSE_AT_HEADERS)
        answer(rq, 403, "no");
    else
        rq->user = calloc(1, sizeof(struct body));
}

static int32_t app_room(void *ctx, struct http_request *rq, uint8_t **at, size_t *n)
{
    struct app *app = (struct app *)ctx;
    struct body *b = body_of(rq);
    app->rooms++;
    if (app->mode == REFUSE_AT_ROOM) {
        body_free(rq);
        answer(rq, 503, "full");
        return SL_ERR_NOMEM;
    }
    if (app->mode == ROOM_FORGETS)
        return SL_ERR_NOMEM;
    size_t room = app->room_size                 ? app->room_size
                  : rq->length != HTTP_NO_LENGTH ? (size_t)rq->length
                                                 : 1000;
    /* Exactly as large as said: an overrun is seen by the sanitizer. */
    uint8_t *moved = (uint8_t *)malloc(b->n + room);
    assert_non_null(moved);
    if (b->n)
        memcpy(moved, b->at, b->n);
    free(b->at);
    b->at = moved;
    b->asked = room;
    *at = moved + b->n;
    *n = room;
    return SL_OK;
}

static void app_filled(void *ctx, struct http_request *rq, size_t n)
{
    struct app *app = (struct app *)ctx;
    struct body *b = body_of(rq);
    app->fills++;
    assert_true(n > 0 && n <= b->asked);
    b->n += n;
    b->asked = 0;
    if (app->mode == REFUSE_WHEN_FILLED) {
        body_free(rq);
        answer(rq, 422, "bad");
    }
}

static void *answer_thread(void *arg)
{
    struct app *app = (struct app *)arg;
    answer_echo(app, app->waiting);
    return NULL;
}

static void app_end(void *ctx, struct http_request *rq)
{
    struct app *app = (struct app *)ctx;
    app->ended++;
    assert_int_equal(rq->scratch[3], 1);
    if (app->mode == ANSWER_LATER) {
        assert_null(app->waiting);
        app->waiting = rq;
    } else if (app->mode == ANSWER_BY_THREAD) {
        if (app->answering)
            assert_int_equal(pthread_join(app->answerer, NULL), 0);
        app->waiting = rq;
        app->answering = true;
        assert_int_equal(pthread_create(&app->answerer, NULL, answer_thread, app), 0);
    } else {
        answer_echo(app, rq);
    }
}

static void app_abandon(void *ctx, struct http_request *rq)
{
    struct app *app = (struct app *)ctx;
    app->abandoned++;
    body_free(rq);
}

static void answer_waiting(struct app *app)
{
    struct http_request *rq = app->waiting;
    app->waiting = NULL;
    assert_non_null(rq);
    answer_echo(app, rq);
}

struct fixture {
    uv_loop_t loop;
    struct app app;
    struct http_limits limits;
    struct http_server *server;
    int listener;
    uint16_t port;
    bool closed, drained;
};

static int listen_any(uint16_t *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 128), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

static struct http_handler handler_of(struct app *app)
{
    struct http_handler h = {app, app_headers, app_room, app_filled, app_end, app_abandon};
    return h;
}

static void start(struct fixture *f)
{
    struct http_handler h = handler_of(&f->app);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    assert_int_equal(http_server_create(&f->loop, &h, &f->limits, &f->server, NULL), SL_OK);
    f->listener = listen_any(&f->port);
    assert_int_equal(http_server_listen(f->server, f->listener, NULL), SL_OK);
}

static void on_closed(void *ctx)
{
    ((struct fixture *)ctx)->closed = true;
}

static void on_drained(void *ctx)
{
    ((struct fixture *)ctx)->drained = true;
}

static void finish(struct fixture *f)
{
    http_server_close(f->server, on_closed, f);
    assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
    assert_true(f->closed);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    if (f->app.answering)
        (void)pthread_join(f->app.answerer, NULL);
    close(f->listener);
    free(f->app.big);
}

static void pump(struct fixture *f)
{
    for (int i = 0; i < 3; i++)
        (void)uv_run(&f->loop, UV_RUN_NOWAIT);
}

/* ---- the client's side ---- */

struct client {
    struct fixture *f;
    int fd;
    char *in;
    size_t n, capacity;
    bool eof, reset;
};

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

static void client_open(struct client *c, struct fixture *f)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons(f->port)};
    memset(c, 0, sizeof *c);
    c->f = f;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(c->fd >= 0);
    int one = 1;
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    assert_int_equal(connect(c->fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(fcntl(c->fd, F_SETFL, O_NONBLOCK), 0);
}

static void client_close(struct client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    free(c->in);
    memset(c, 0, sizeof *c);
    c->fd = -1;
}

static void client_read(struct client *c)
{
    for (;;) {
        if (c->capacity - c->n < 65536) {
            c->capacity = c->capacity * 2 + 65536;
            c->in = (char *)realloc(c->in, c->capacity + 1);
            assert_non_null(c->in);
        }
        ssize_t got = recv(c->fd, c->in + c->n, c->capacity - c->n, 0);
        if (got <= 0) {
            c->eof = c->eof || got == 0;
            c->reset = c->reset || (got < 0 && errno == ECONNRESET);
            break;
        }
        c->n += (size_t)got;
    }
    c->in[c->n] = 0;
}

/* Sends all, while the server reads; false when the server has closed. */
static bool client_send(struct client *c, const void *p, size_t n)
{
    const uint8_t *at = (const uint8_t *)p;
    uint64_t until = now_ms() + 10000;
    while (n > 0) {
        ssize_t sent = send(c->fd, at, n, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            return false;
        if (sent > 0) {
            at += sent;
            n -= (size_t)sent;
        }
        (void)uv_run(&c->f->loop, UV_RUN_NOWAIT);
        client_read(c);
        assert_true(now_ms() < until);
    }
    pump(c->f);
    return true;
}

static bool client_text(struct client *c, const char *text)
{
    return client_send(c, text, strlen(text));
}

static uint32_t count_of(const struct client *c, const char *what)
{
    uint32_t n = 0;
    const size_t len = strlen(what);
    for (const char *p = c->in;
         p && (p = (const char *)memmem(p, c->n - (size_t)(p - c->in), what, len)) != NULL;
         p += len)
        n++;
    return n;
}

static bool has(const struct client *c, const char *what)
{
    return count_of(c, what) > 0;
}

/* Waits until `n` final answers are there, or the connection has ended. */
static void client_wait(struct client *c, uint32_t n)
{
    uint64_t until = now_ms() + 10000;
    do {
        pump(c->f);
        client_read(c);
        if (c->eof || c->reset || count_of(c, "HTTP/1.1 ") - count_of(c, "HTTP/1.1 100 ") >= n)
            return;
    } while (now_ms() < until);
    fail_msg("no answer; got: %s", c->in);
}

static void client_wait_end(struct client *c)
{
    uint64_t until = now_ms() + 10000;
    while (!c->eof && !c->reset) {
        pump(c->f);
        client_read(c);
        assert_true(now_ms() < until);
    }
}

static void expect_text(const struct client *c, const char *what)
{
    if (!has(c, what))
        fail_msg("\"%s\" is missing in: %s", what, c->in ? c->in : "");
}

/* ---- tests ---- */

static void get_and_keep_alive(void **state)
{
    (void)state;
    struct fixture f = {0};
    struct client c;
    start(&f);
    client_open(&c, &f);
    for (uint32_t i = 1; i <= 3; i++) {
        assert_true(client_text(&c, "GET /metrics?a=b HTTP/1.1\r\nHost: x\r\n\r\n"));
        client_wait(&c, i);
        assert_int_equal(count_of(&c, "GET /metrics?a=b 0 0"), i);
    }
    expect_text(&c, "HTTP/1.1 200 OK\r\nDate: ");
    expect_text(&c, " GMT\r\n");
    expect_text(&c, "Content-Type: text/plain\r\nContent-Length: 20\r\n\r\n");
    assert_false(has(&c, "Connection:"));
    assert_false(c.eof);
    c.n = 0;
    client_text(&c, "HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    client_wait_end(&c);
    expect_text(&c, "Connection: close\r\n");
    expect_text(&c, "Content-Length: 11\r\n\r\n");
    assert_false(has(&c, "HEAD"));
    assert_false(c.reset);
    client_close(&c);
    client_open(&c, &f);
    client_text(&c, "GET http://host:80/abs?q HTTP/1.0\r\n\r\n");
    client_wait_end(&c);
    expect_text(&c, "GET /abs?q 0 0");
    client_close(&c);
    client_open(&c, &f);
    client_text(&c, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    client_wait(&c, 1);
    expect_text(&c, "Connection: keep-alive\r\n");
    client_close(&c);
    finish(&f);
}

static const char post_length[] = "POST /v1/traces HTTP/1.1\r\nHost: x\r\nX-Empty:\r\n"
                                  "Content-Type: application/x-protobuf\r\n"
                                  "Content-Length: 26\r\n\r\nabcdefghijklmnopqrstuvwxyz";
static const char post_chunked[] = "POST /v1/traces HTTP/1.1\r\nHost: x\r\n"
                                   "Transfer-Encoding: Chunked\r\n\r\n"
                                   "5\r\nabcde\r\n1;ext=\"1\"\r\nf\r\n00014\r\nghijklmnopqrstuvwxyz"
                                   "\r\n0\r\nTrailer: 1\r\n\r\n";
static const char echoed[] = "POST /v1/traces? 26 958031277";

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
            start(&f);
            client_open(&c, &f);
            uint32_t done = 0;
            for (size_t cut = 0; cut <= n; cut++) {
                assert_true(client_send(&c, posts[which], cut));
                assert_int_equal(f.app.ended, cut < n ? done : done + 1);
                assert_true(client_send(&c, posts[which] + cut, n - cut));
                client_wait(&c, ++done);
                assert_int_equal(count_of(&c, echoed), done);
            }
            for (size_t i = 0; i < n; i++)
                assert_true(client_send(&c, posts[which] + i, 1));
            client_wait(&c, ++done);
            assert_int_equal(count_of(&c, echoed), done);
            assert_int_equal(f.app.abandoned, 0);
            client_close(&c);
            finish(&f);
        }
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
            start(&f);
            client_open(&c, &f);
            for (size_t at = 0; at < n; at += step) {
                client_send(&c, all + at, n - at < step ? n - at : step);
                if (f.app.mode == ANSWER_LATER && f.app.waiting)
                    answer_waiting(&f.app);
            }
            while (f.app.ended < 60 || (f.app.mode == ANSWER_LATER && f.app.waiting)) {
                if (f.app.mode == ANSWER_LATER && f.app.waiting)
                    answer_waiting(&f.app);
                client_wait(&c, f.app.ended - (f.app.mode == ANSWER_LATER && f.app.waiting));
            }
            client_wait_end(&c);
            assert_int_equal(count_of(&c, "HTTP/1.1 200 OK"), 60);
            assert_int_equal(count_of(&c, echoed), 40);
            const char *at = c.in;
            for (int i = 0; i < 20; i++) { /* in order */
                char want[32];
                (void)snprintf(want, sizeof want, "GET /n%d?", i);
                at = strstr(at, want);
                assert_non_null(at);
            }
            assert_int_equal(count_of(&c, "HTTP/1.1 400 Bad Request"), 1);
            assert_int_equal(f.app.ended, 60);
            assert_false(c.reset);
            client_close(&c);
            finish(&f);
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
            start(&f);
            client_open(&c, &f);
            if (bytewise) {
                for (const char *p = cases[i].text; *p && client_send(&c, p, 1); p++)
                    ;
            } else {
                client_text(&c, cases[i].text);
            }
            client_wait_end(&c);
            (void)snprintf(want, sizeof want, "HTTP/1.1 %d ", cases[i].status);
            if (count_of(&c, want) != 1 || count_of(&c, "HTTP/1.1 ") != 1)
                fail_msg("case %zu: %s\nanswered: %s", i, cases[i].text, c.in);
            expect_text(&c, "Connection: close\r\n");
            assert_int_equal(f.app.ended, 0);
            assert_int_equal(f.app.begun, f.app.abandoned);
            client_close(&c);
            finish(&f);
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
    start(&f);
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
        expect_text(&c, what == 0 ? "HTTP/1.1 414 " : "HTTP/1.1 431 ");
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
    expect_text(&c, "200 OK");
    c.n = 0;
    client_text(&c, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n");
    for (int i = 0; i < 200 && client_text(&c, "Trailer: 12345\r\n"); i++)
        ;
    client_wait_end(&c);
    expect_text(&c, "HTTP/1.1 431 ");
    client_close(&c);
    assert_int_equal(f.app.abandoned, 1);
    struct http_counts n;
    http_server_counts(f.server, &n);
    assert_int_equal(n.malformed, 5);
    finish(&f);
    free(big);
}

static void limits_of_the_body(void **state)
{
    (void)state;
    struct fixture f = {.limits = {.body_bytes = 100}};
    struct client c;
    start(&f);
    client_open(&c, &f);
    client_text(&c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n");
    client_wait_end(&c); /* before a byte of it was sent */
    expect_text(&c, "HTTP/1.1 413 ");
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
    expect_text(&c, "HTTP/1.1 413 ");
    assert_int_equal(f.app.begun, 1);
    assert_int_equal(f.app.abandoned, 1);
    client_close(&c);
    struct http_counts n;
    http_server_counts(f.server, &n);
    assert_int_equal(n.too_large, 2);
    finish(&f);
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
        start(&f);
        client_open(&c, &f);
        client_text(&c, cases[i].head);
        /* The client goes on sending, and still reads the answer: the connection is not reset. */
        assert_true(client_send(&c, junk, cases[i].body));
        client_wait(&c, 1);
        if (count_of(&c, cases[i].want) != 1)
            fail_msg("case %zu: %s", i, c.in);
        if (cases[i].keeps) {
            f.app.mode = ANSWER_NOW;
            client_text(&c, "GET /next HTTP/1.1\r\nHost: x\r\n\r\n");
            client_wait(&c, 2);
            expect_text(&c, "GET /next");
        } else {
            expect_text(&c, "Connection: close");
            client_wait_end(&c);
        }
        assert_int_equal(f.app.abandoned, cases[i].abandoned);
        assert_false(c.reset);
        client_close(&c);
        finish(&f);
    }
    free(junk);
}

static void expects_continue(void **state)
{
    (void)state;
    struct fixture f = {0};
    struct client c;
    start(&f);
    client_open(&c, &f);
    client_text(&c,
                "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n");
    client_read(&c);
    assert_string_equal(c.in, "HTTP/1.1 100 Continue\r\n\r\n");
    client_text(&c, "abc");
    client_wait(&c, 1);
    expect_text(&c, "POST /? 3 ");
    c.n = 0;
    /* Nobody waits for it when the body is there already. */
    client_text(
        &c, "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nab");
    client_text(&c, "c");
    client_wait(&c, 1);
    assert_false(has(&c, "100 Continue"));
    client_close(&c);
    finish(&f);
}

static void large_both_ways(void **state)
{
    (void)state;
    enum { N = 6 << 20 };
    for (int mode = ANSWER_NOW; mode <= ANSWER_BY_THREAD; mode += 2) {
        struct fixture f = {.app.mode = (enum mode)mode};
        struct client c;
        uint8_t *body = (uint8_t *)malloc(N);
        uint32_t sum = 0;
        for (size_t i = 0; i < N; i++) {
            body[i] = (uint8_t)(i * 7 >> 5);
            sum = sum * 31 + body[i];
        }
        char text[100], want[100];
        start(&f);
        client_open(&c, &f);
        (void)snprintf(text, sizeof text,
                       "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", N);
        client_text(&c, text);
        client_send(&c, body, N);
        client_wait(&c, 1);
        (void)snprintf(want, sizeof want, "POST /? %d %u", N, sum);
        expect_text(&c, want);
        assert_int_equal(f.app.rooms, 1);
        assert_int_equal(f.app.fills, 1);
        c.n = 0;
        f.app.big = body;
        f.app.big_n = N;
        /* Two answers, far more than the socket takes, to a client that reads late. */
        client_text(&c, "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
        uint64_t until = now_ms() + 10000;
        while (c.n < 2 * N && now_ms() < until) {
            pump(&f);
            client_read(&c);
        }
        while (now_ms() < until && !(c.n > 2 * N && memcmp(c.in + c.n - N, body, N) == 0)) {
            pump(&f);
            client_read(&c);
        }
        assert_int_equal(count_of(&c, "Content-Length: 6291456\r\n"), 2);
        assert_memory_equal(c.in + c.n - N, body, N);
        client_close(&c);
        finish(&f);
    }
}

static void client_goes_away(void **state)
{
    (void)state;
    struct fixture f = {.app.mode = ANSWER_LATER};
    struct client c;
    start(&f);
    /* in the middle of the body */
    client_open(&c, &f);
    client_text(&c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na");
    assert_int_equal(f.app.begun, 1);
    client_close(&c);
    pump(&f);
    assert_int_equal(f.app.abandoned, 1);
    /* before the answer, by a reset */
    client_open(&c, &f);
    client_text(&c, post_length);
    assert_int_equal(f.app.ended, 1);
    struct linger hard = {1, 0};
    (void)setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    client_close(&c);
    pump(&f);
    answer_waiting(&f.app);
    pump(&f);
    /* only its sending half: it still gets the answer */
    client_open(&c, &f);
    client_text(&c, post_length);
    assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
    pump(&f);
    answer_waiting(&f.app);
    client_wait_end(&c);
    expect_text(&c, echoed);
    client_close(&c);
    /* in the head; and with a request that nobody will read */
    client_open(&c, &f);
    client_text(&c, "GET / HT");
    client_close(&c);
    client_open(&c, &f);
    client_text(&c, post_length);
    client_text(&c, post_length);
    client_close(&c);
    pump(&f);
    answer_waiting(&f.app);
    pump(&f);
    if (f.app.waiting)
        answer_waiting(&f.app);
    pump(&f);
    struct http_counts n;
    http_server_counts(f.server, &n);
    assert_int_equal(n.open, 0);
    finish(&f);
}

static void late_clients(void **state)
{
    (void)state;
    struct fixture f = {.limits = {.header_timeout_ms = 40,
                                   .idle_timeout_ms = 40,
                                   .body_rate = 1000,
                                   .body_rate_after_ms = 40,
                                   .write_timeout_ms = 40}};
    struct client c[5];
    start(&f);
    for (int i = 0; i < 5; i++)
        client_open(&c[i], &f);
    client_text(&c[0], "GET / HTTP/1.1\r\nHo"); /* slow head */
    /* c[1] says nothing at all */
    client_text(&c[2], "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); /* idle afterwards */
    client_text(&c[3], "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\nabc");
    client_text(&c[4], "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na");
    for (int i = 0; i < 5; i++)
        client_wait_end(&c[i]);
    expect_text(&c[0], "HTTP/1.1 408 Request Timeout");
    assert_int_equal(c[1].n, 0);
    assert_int_equal(count_of(&c[2], "HTTP/1.1 "), 1);
    expect_text(&c[3], "HTTP/1.1 408 Request Timeout");
    expect_text(&c[4], "HTTP/1.1 408 Request Timeout");
    assert_int_equal(f.app.abandoned, 2);
    for (int i = 0; i < 5; i++)
        client_close(&c[i]);
    /* An answer that is not read ends the connection after a while. */
    struct http_counts n;
    f.app.big_n = 8 << 20;
    f.app.big = (uint8_t *)calloc(1, f.app.big_n);
    client_open(&c[0], &f);
    (void)send(c[0].fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27, 0);
    uint64_t until = now_ms() + 10000;
    do {
        pump(&f);
        http_server_counts(f.server, &n);
    } while ((f.app.ended < 2 || n.open > 0) && now_ms() < until);
    assert_int_equal(n.open, 0);
    assert_int_equal(n.timeouts, 4);
    client_close(&c[0]);
    finish(&f);
}

/* A trickle that stays within the header timeout is cut off by it all the same. */
static void slow_header_byte_by_byte(void **state)
{
    (void)state;
    struct fixture f = {.limits = {.header_timeout_ms = 60}};
    struct client c;
    start(&f);
    client_open(&c, &f);
    uint64_t from = now_ms();
    while (!c.eof && now_ms() - from < 10000) {
        if (send(c.fd, "A", 1, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
            break;
        pump(&f);
        client_read(&c);
    }
    client_wait_end(&c);
    assert_true(has(&c, "HTTP/1.1 408 ") || has(&c, "HTTP/1.1 400 ") || has(&c, "HTTP/1.1 414 "));
    client_close(&c);
    client_open(&c, &f);
    client_text(&c, "GET / HTTP/1.1\r\nX: ");
    while (!c.eof && now_ms() - from < 10000) {
        struct timespec ms = {0, 1000000};
        (void)nanosleep(&ms, NULL); /* the pace of the attack */
        (void)send(c.fd, "a", 1, MSG_NOSIGNAL);
        pump(&f);
        client_read(&c);
    }
    expect_text(&c, "HTTP/1.1 408 ");
    client_close(&c);
    finish(&f);
}

static void too_many_connections(void **state)
{
    (void)state;
    struct fixture f = {.limits = {.connections = 3}};
    struct client c[5];
    start(&f);
    for (int i = 0; i < 3; i++) {
        client_open(&c[i], &f);
        client_text(&c[i], "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        client_wait(&c[i], 1);
    }
    client_text(&c[0], "GET / HT"); /* the oldest one is not idle */
    client_open(&c[3], &f);
    client_text(&c[3], "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    client_wait(&c[3], 1);
    expect_text(&c[3], "200 OK");
    client_wait_end(&c[1]);
    client_text(&c[2], "GET / HT");
    client_text(&c[3], "GET / HT");
    client_open(&c[4], &f);
    client_wait_end(&c[4]);
    expect_text(&c[4], "HTTP/1.1 503 ");
    client_text(&c[0], "TP/1.1\r\nHost: x\r\n\r\n");
    client_wait(&c[0], 2);
    for (int i = 0; i < 5; i++)
        client_close(&c[i]);
    finish(&f);
}

static void drains(void **state)
{
    (void)state;
    struct fixture f = {.app.mode = ANSWER_LATER};
    struct client idle, busy, half, ready, late;
    start(&f);
    client_open(&idle, &f);
    client_open(&busy, &f);
    client_open(&half, &f);
    client_text(&busy, post_length);
    client_text(&half, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na");
    f.app.mode = ANSWER_NOW; /* but for the one that waits already */
    client_open(&ready, &f);
    pump(&f);
    (void)send(ready.fd, "GET /ready HTTP/1.1\r\nHost: x\r\n\r\n", 32, 0); /* not read yet */
    http_server_drain(f.server, on_drained, &f);
    client_wait_end(&idle);
    client_open(&late, &f);
    pump(&f);
    assert_false(f.drained);
    answer_waiting(&f.app);
    client_wait_end(&busy);
    expect_text(&busy, echoed);
    expect_text(&busy, "Connection: close\r\n");
    client_wait_end(&ready);
    expect_text(&ready, "GET /ready?");
    client_close(&busy);
    client_close(&ready);
    pump(&f);
    assert_false(f.drained);
    client_text(&half, "bc");
    client_wait_end(&half);
    expect_text(&half, "POST /? 3 ");
    client_close(&half);
    pump(&f);
    assert_true(f.drained);
    client_read(&late);
    assert_int_equal(late.n, 0);
    client_close(&idle);
    client_close(&late);
    finish(&f);
}

/* Closing with requests in every state; one answer comes after the loop has gone. */
static void closes_at_once(void **state)
{
    (void)state;
    struct fixture f = {.app.mode = ANSWER_LATER};
    struct client c[4];
    start(&f);
    for (int i = 0; i < 4; i++)
        client_open(&c[i], &f);
    client_text(&c[1], "GET / HT");
    client_text(&c[2], "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na");
    client_text(&c[3], post_length);
    struct http_request *owed = f.app.waiting;
    assert_non_null(owed);
    finish(&f);
    assert_int_equal(f.app.abandoned, 1);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, answer_thread, &f.app), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    for (int i = 0; i < 4; i++)
        client_close(&c[i]);
}

static void answer_headers(void **state)
{
    (void)state;
    struct fixture f = {.app.mode = ANSWER_LATER};
    struct client c;
    start(&f);
    client_open(&c, &f);
    client_text(&c, "GET / HTTP/1.1\r\nHost: x\r\nX-One: 1\r\nx-two:  2 \r\nX-ONE: 3\r\n\r\n");
    struct http_request *rq = f.app.waiting;
    bool repeated;
    assert_true(sl_eq(http_header_of(rq, "x-two", &repeated), sl_str("2")));
    assert_false(repeated);
    assert_true(sl_eq(http_header_of(rq, "x-one", &repeated), sl_str("1")));
    assert_true(repeated);
    assert_null(http_header_of(rq, "x-three", NULL).p);
    body_free(rq);
    struct http_header more[] = {{sl_str("Retry-After"), sl_str("5")}};
    struct http_answer a = {.status = 503, .n_headers = 1, .headers = more};
    http_answer(rq, &a);
    f.app.waiting = NULL;
    client_wait(&c, 1);
    expect_text(&c, "HTTP/1.1 503 Service Unavailable\r\n");
    expect_text(&c, "\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n");
    c.n = 0;
    client_text(&c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    rq = f.app.waiting;
    body_free(rq);
    more[0].value = sl_str("5\r\nInjected: 1");
    http_answer(rq, &a);
    client_wait_end(&c);
    expect_text(&c, "HTTP/1.1 500 ");
    assert_false(has(&c, "Injected"));
    client_close(&c);
    finish(&f);
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
    struct http_handler h = {&f.app, app_headers, NULL, NULL, app_end, NULL};
    struct client c;
    assert_int_equal(uv_loop_init(&f.loop), 0);
    f.limits.no_keep_alive = true;
    assert_int_equal(http_server_create(&f.loop, &h, &f.limits, &f.server, NULL), SL_OK);
    f.listener = listen_any(&f.port);
    assert_int_equal(http_server_listen(f.server, f.listener, NULL), SL_OK);
    client_open(&c, &f);
    client_text(&c, post_length);
    client_wait_end(&c);
    expect_text(&c, "HTTP/1.1 413 ");
    client_close(&c);
    client_open(&c, &f);
    client_text(&c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    client_wait_end(&c);
    expect_text(&c, "Connection: close\r\n");
    client_close(&c);
    finish(&f);
}

/* A server on its own thread, many clients, answers by yet other threads. */
static void *thread_client(void *arg)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons(*(const uint16_t *)arg)};
    char in[4096];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    intptr_t good = 0;
    struct timeval patience = {10, 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0) {
        for (int i = 0; i < 200; i++) {
            if (send(fd, post_length, strlen(post_length), MSG_NOSIGNAL) < 0)
                break;
            ssize_t n = recv(fd, in, sizeof in - 1, 0);
            if (n <= 0)
                break;
            in[n] = 0;
            good += strstr(in, echoed) != NULL;
        }
    }
    close(fd);
    return (void *)good;
}

static void later_answer(void *arg)
{
    struct app app = {0};
    answer_echo(&app, (struct http_request *)arg);
}

static void *pool_run(void *arg)
{
    later_answer(arg);
    return NULL;
}

static void pool_end(void *ctx, struct http_request *rq)
{
    pthread_t thread;
    pthread_attr_t attr;
    (void)ctx;
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attr, pool_run, rq) != 0)
        later_answer(rq);
    (void)pthread_attr_destroy(&attr);
}

static void on_its_own_thread(void **state)
{
    (void)state;
    struct app app = {0};
    struct http_handler h = {&app, app_headers, app_room, app_filled, pool_end, app_abandon};
    struct http_limits limits;
    struct http_thread *t = NULL;
    uint16_t port;
    http_limits_init(&limits);
    int fd = listen_any(&port);
    assert_int_equal(http_thread_start(&h, &limits, fd, NULL, "test", &t, NULL), SL_OK);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, thread_client, &port), 0);
    for (int i = 0; i < 4; i++) {
        void *good = NULL;
        assert_int_equal(pthread_join(threads[i], &good), 0);
        assert_int_equal((intptr_t)good, 200);
    }
    assert_true(http_thread_drain(t, 5000));
    assert_true(http_thread_drain(t, 0));
    http_thread_stop(t);
    http_thread_stop(NULL);
    close(fd);
    sl_error error = {.size = sizeof error};
    assert_int_equal(http_thread_start(&h, &limits, -1, NULL, "test", &t, &error), SL_ERR_IO);
    assert_true(error.text[0] != 0);
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN); /* as the host does */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(get_and_keep_alive),
        cmocka_unit_test(split_everywhere),
        cmocka_unit_test(pipelined),
        cmocka_unit_test(malformed),
        cmocka_unit_test(limits_of_the_head),
        cmocka_unit_test(limits_of_the_body),
        cmocka_unit_test(refusals),
        cmocka_unit_test(expects_continue),
        cmocka_unit_test(large_both_ways),
        cmocka_unit_test(client_goes_away),
        cmocka_unit_test(late_clients),
        cmocka_unit_test(slow_header_byte_by_byte),
        cmocka_unit_test(too_many_connections),
        cmocka_unit_test(drains),
        cmocka_unit_test(closes_at_once),
        cmocka_unit_test(answer_headers),
        cmocka_unit_test(without_bodies),
        cmocka_unit_test(on_its_own_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
