/* An HTTP server with a scripted handler, and a client that speaks byte by byte, for the server's unit
 * tests. Both share one thread, so that every cut of the input is one read, except where another
 * thread answers. Assertions are cmocka's. */
#ifndef SLUICE_TESTS_HTTP_SERVER_SUPPORT_H
#define SLUICE_TESTS_HTTP_SERVER_SUPPORT_H
#include "formats/http/server.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
// clang-format off
#include <cmocka.h>
// clang-format on

enum mode {
    ANSWER_NOW,
    ANSWER_LATER,       /* the test calls app_answer_waiting */
    ANSWER_BY_THREAD,   /* another thread answers at once */
    REFUSE_AT_HEADERS,  /* 403 */
    REFUSE_AT_ROOM,     /* 503 */
    REFUSE_WHEN_FILLED, /* 422 */
    ROOM_FORGETS        /* says no without an answer */
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

struct http_handler app_handler(struct app *app);
/* Says what came in: "METHOD path?query bytes sum". */
void app_answer_echo(struct app *app, struct http_request *rq);
void app_answer_waiting(struct app *app); /* of ANSWER_LATER */
void *app_answer_thread(void *app);       /* the same, for pthread_create */
/* What came of a body that a test answers by itself. */
void app_body_free(struct http_request *rq);

struct fixture {
    uv_loop_t loop;
    struct app app;
    struct http_limits limits;
    struct http_server *server;
    int listener;
    uint16_t port;
    bool closed, drained;
};

int listen_any(uint16_t *port); /* a listening socket */
/* With the limits that the test has set in it. */
void fixture_start(struct fixture *f);
void fixture_finish(struct fixture *f);
/* Lets the server do what it can do now. */
void fixture_pump(struct fixture *f);
void fixture_drained(void *fixture); /* for http_server_drain */
uint64_t now_ms(void);

struct client {
    struct fixture *f;
    int fd;
    char *in;
    size_t n, capacity;
    bool eof, reset;
};

void client_open(struct client *c, struct fixture *f);
void client_close(struct client *c);
void client_read(struct client *c);
/* Sends all, while the server reads; false when the server has closed. */
bool client_send(struct client *c, const void *p, size_t n);
bool client_text(struct client *c, const char *text);
/* How often it stands in what came in. */
uint32_t client_count(const struct client *c, const char *what);
bool client_has(const struct client *c, const char *what);
/* Waits until `n` final answers are there, or the connection has ended. */
void client_wait(struct client *c, uint32_t n);
void client_wait_end(struct client *c);
void client_expect(const struct client *c, const char *what);

/* A request with a length, one in chunks, and what both are answered with. */
extern const char post_length[], post_chunked[], echoed[];

#endif
