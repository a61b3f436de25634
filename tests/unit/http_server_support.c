/* See http_server_support.h. */
#include "tests/unit/http_server_support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

const char post_length[] = "POST /v1/traces HTTP/1.1\r\nHost: x\r\nX-Empty:\r\n"
                           "Content-Type: application/x-protobuf\r\n"
                           "Content-Length: 26\r\n\r\nabcdefghijklmnopqrstuvwxyz";
const char post_chunked[] = "POST /v1/traces HTTP/1.1\r\nHost: x\r\n"
                            "Transfer-Encoding: Chunked\r\n\r\n"
                            "5\r\nabcde\r\n1;ext=\"1\"\r\nf\r\n00014\r\nghijklmnopqrstuvwxyz"
                            "\r\n0\r\nTrailer: 1\r\n\r\n";
const char echoed[] = "POST /v1/traces? 26 958031277";

/* ---- the server's side ---- */

struct body {
    uint8_t *at;
    size_t n, capacity, asked;
};

static struct body *body_of(struct http_request *rq)
{
    return (struct body *)rq->user;
}

void app_body_free(struct http_request *rq)
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

void app_answer_echo(struct app *app, struct http_request *rq)
{
    struct body *b = body_of(rq);
    uint32_t sum = 0;
    size_t n = b ? b->n : 0;
    for (size_t i = 0; i < n; i++)
        sum = sum * 31 + b->at[i];
    char text[200];
    (void)snprintf(text, sizeof text, "%s %.*s?%.*s %zu %u", rq->method, (int)rq->path.n,
                   (const char *)rq->path.p, (int)rq->query.n, (const char *)rq->query.p, n, sum);
    app_body_free(rq);
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
        app_body_free(rq);
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
        app_body_free(rq);
        answer(rq, 422, "bad");
    }
}

void *app_answer_thread(void *arg)
{
    struct app *app = (struct app *)arg;
    app_answer_echo(app, app->waiting);
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
        assert_int_equal(pthread_create(&app->answerer, NULL, app_answer_thread, app), 0);
    } else {
        app_answer_echo(app, rq);
    }
}

static void app_abandon(void *ctx, struct http_request *rq)
{
    struct app *app = (struct app *)ctx;
    app->abandoned++;
    app_body_free(rq);
}

void app_answer_waiting(struct app *app)
{
    struct http_request *rq = app->waiting;
    app->waiting = NULL;
    assert_non_null(rq);
    app_answer_echo(app, rq);
}

int listen_any(uint16_t *port)
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

struct http_handler app_handler(struct app *app)
{
    struct http_handler h = {app, app_headers, app_room, app_filled, app_end, app_abandon};
    return h;
}

void fixture_start(struct fixture *f)
{
    struct http_handler h = app_handler(&f->app);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    assert_int_equal(http_server_create(&f->loop, &h, &f->limits, &f->server, NULL), SL_OK);
    f->listener = listen_any(&f->port);
    assert_int_equal(http_server_listen(f->server, f->listener, NULL), SL_OK);
}

static void on_closed(void *ctx)
{
    ((struct fixture *)ctx)->closed = true;
}

void fixture_drained(void *ctx)
{
    ((struct fixture *)ctx)->drained = true;
}

void fixture_finish(struct fixture *f)
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

void fixture_pump(struct fixture *f)
{
    for (int i = 0; i < 3; i++)
        (void)uv_run(&f->loop, UV_RUN_NOWAIT);
}

/* ---- the client's side ---- */

uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

void client_open(struct client *c, struct fixture *f)
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

void client_close(struct client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    free(c->in);
    memset(c, 0, sizeof *c);
    c->fd = -1;
}

void client_read(struct client *c)
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

bool client_send(struct client *c, const void *p, size_t n)
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
    fixture_pump(c->f);
    return true;
}

bool client_text(struct client *c, const char *text)
{
    return client_send(c, text, strlen(text));
}

uint32_t client_count(const struct client *c, const char *what)
{
    uint32_t n = 0;
    const size_t len = strlen(what);
    for (const char *p = c->in;
         p && (p = (const char *)memmem(p, c->n - (size_t)(p - c->in), what, len)) != NULL;
         p += len)
        n++;
    return n;
}

bool client_has(const struct client *c, const char *what)
{
    return client_count(c, what) > 0;
}

void client_wait(struct client *c, uint32_t n)
{
    uint64_t until = now_ms() + 10000;
    do {
        fixture_pump(c->f);
        client_read(c);
        if (c->eof || c->reset ||
            client_count(c, "HTTP/1.1 ") - client_count(c, "HTTP/1.1 100 ") >= n)
            return;
    } while (now_ms() < until);
    fail_msg("no answer; got: %s", c->in);
}

void client_wait_end(struct client *c)
{
    uint64_t until = now_ms() + 10000;
    while (!c->eof && !c->reset) {
        fixture_pump(c->f);
        client_read(c);
        assert_true(now_ms() < until);
    }
}

void client_expect(const struct client *c, const char *what)
{
    if (!client_has(c, what))
        fail_msg("\"%s\" is missing in: %s", what, c->in ? c->in : "");
}
