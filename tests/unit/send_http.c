/* The load sender over HTTP against a server that plays a script: answers of all kinds, whole and
 * byte by byte, before the body was read, and none at all. */
#include "commands/generate/send.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

enum { BODY = 300000, SCRIPT_MAX = 8 };

/* What the server does with its n-th request; the last one is for all that follow. */
struct act {
    const char *answer; /* NULL: closes the connection instead */
    bool unread;        /* answers as soon as it has the head, then closes */
    bool in_pieces;     /* a byte at a time */
    bool silent;        /* neither answers nor closes */
};

struct script {
    const struct act *acts;
    size_t count;
};

struct server {
    int listener;
    uint16_t port;
    struct script script;
    pthread_t thread;
    size_t served;
    char head[2048]; /* of the last request */
    uint8_t *body;
    size_t body_n;
    int silent[16]; /* connections that are left open */
    size_t silent_n;
};

static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/* Reads one request. False when the client has closed the connection. */
static bool server_read(struct server *s, int fd, bool head_only)
{
    size_t n = 0;
    char *end = NULL;
    while (!end) {
        if (recv(fd, s->head + n, 1, 0) != 1)
            return false;
        s->head[++n] = '\0';
        end = strstr(s->head, "\r\n\r\n");
        assert_true(n < sizeof s->head - 1);
    }
    const char *length = strcasestr(s->head, "content-length:");
    assert_non_null(length);
    s->body_n = strtoul(length + strlen("content-length:"), NULL, 10);
    if (head_only)
        return true;
    free(s->body);
    s->body = (uint8_t *)malloc(s->body_n);
    return s->body_n == 0 || recv(fd, s->body, s->body_n, MSG_WAITALL) == (ssize_t)s->body_n;
}

static bool server_serve(struct server *s, int fd)
{
    size_t i = s->served < s->script.count ? s->served : s->script.count - 1;
    const struct act *act = &s->script.acts[i];
    if (!server_read(s, fd, act->unread))
        return false;
    s->served++;
    if (act->silent) {
        s->silent[s->silent_n++] = fd;
        return true;
    }
    if (!act->answer)
        return false;
    size_t n = strlen(act->answer), step = act->in_pieces ? 1 : n;
    for (size_t at = 0; at < n; at += step) {
        if (send(fd, act->answer + at, step, MSG_NOSIGNAL) < 0)
            return false;
        if (act->in_pieces)
            usleep(300); /* lets the pieces arrive one by one; nothing depends on it */
    }
    return !act->unread;
}

static void *server_run(void *arg)
{
    struct server *s = (struct server *)arg;
    int fd;
    while ((fd = accept(s->listener, NULL, NULL)) >= 0) {
        size_t silent = s->silent_n;
        while (s->silent_n == silent && server_serve(s, fd))
            continue;
        if (s->silent_n == silent)
            close(fd);
    }
    return NULL;
}

static void server_start(struct server *s, const struct act *acts, size_t count)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    memset(s, 0, sizeof *s);
    s->script = (struct script){acts, count};
    s->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(s->listener, 16), 0);
    assert_int_equal(getsockname(s->listener, (struct sockaddr *)&a, &n), 0);
    s->port = ntohs(a.sin_port);
    assert_int_equal(pthread_create(&s->thread, NULL, server_run, s), 0);
}

/* Waits for the thread; what it received can be looked at then. */
static void server_end(struct server *s)
{
    shutdown(s->listener, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->listener);
}

static void server_free(struct server *s)
{
    for (size_t i = 0; i < s->silent_n; i++)
        close(s->silent[i]);
    free(s->body);
}

static void server_stop(struct server *s)
{
    server_end(s);
    server_free(s);
}

static struct send_report run(struct server *s, struct send_options options)
{
    static uint8_t body[BODY];
    char endpoint[64];
    struct send_report report;
    sl_error error = {.size = sizeof error, .text = ""};
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (uint8_t)(i * 7 % 251);
    struct send_request request = {
        .body = sl_slice(body, sizeof body), .items = 5, .signal = SL_LOGS};
    snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%u/base/", s->port);
    options.protocol = SEND_HTTP;
    options.endpoint = endpoint;
    if (!options.requests)
        options.requests = 1;
    if (!options.timeout_ns)
        options.timeout_ns = 20000000000;
    enum sl_status status = send_run(&options, &request, 1, &report, &error);
    assert_string_equal(error.text, "");
    assert_int_equal(status, SL_OK);
    if (!options.gzip && s->body) {
        assert_int_equal(s->body_n, sizeof body);
        assert_memory_equal(s->body, body, sizeof body);
    }
    return report;
}

#define ACTS(acts) (acts), sizeof(acts) / sizeof *(acts)

static void sends_a_correct_request(void **state)
{
    (void)state;
    static const struct act acts[] = {{.answer = ok}};
    static const struct send_header headers[] = {{"X-Tenant", "blue"}};
    struct server s;
    server_start(&s, ACTS(acts));
    struct send_report r =
        run(&s, (struct send_options){.requests = 4, .headers = headers, .header_count = 1});
    server_stop(&s);
    assert_int_equal(r.acknowledged, 4);
    assert_int_equal(r.items_acknowledged, 20);
    assert_int_equal(r.bytes_acknowledged, 4 * BODY);
    assert_memory_equal(s.head, "POST /base/v1/logs HTTP/1.1\r\n", 29);
    assert_non_null(strstr(s.head, "\r\nContent-Type: application/x-protobuf\r\n"));
    assert_non_null(strstr(s.head, "\r\nX-Tenant: blue\r\n"));
}

static void compresses_bodies(void **state)
{
    (void)state;
    static const struct act acts[] = {{.answer = ok}};
    struct server s;
    server_start(&s, ACTS(acts));
    run(&s, (struct send_options){.gzip = true});
    server_end(&s);
    assert_non_null(strstr(s.head, "\r\nContent-Encoding: gzip\r\n"));
    uint8_t *plain = (uint8_t *)malloc(BODY + 1);
    z_stream z = {.next_in = s.body, .avail_in = (uInt)s.body_n};
    z.next_out = plain;
    z.avail_out = BODY + 1;
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(z.total_out, BODY);
    assert_int_equal(plain[BODY - 1], (uint8_t)((size_t)(BODY - 1) * 7 % 251));
    inflateEnd(&z);
    free(plain);
    server_free(&s);
}

static void reads_answers_that_come_in_pieces(void **state)
{
    (void)state;
    static const struct act acts[] = {
        {.answer =
             "HTTP/1.1 503 Service Unavailable\r\nretry-AFTER: 1\r\nContent-Length: 2\r\n\r\nno",
         .in_pieces = true},
        {.answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n\x0a\x07\x08\x03\r\n"
                   "5\r\n\x12\x03"
                   "bad\r\n0\r\n\r\n",
         .in_pieces = true},
    };
    struct server s;
    server_start(&s, ACTS(acts));
    struct send_report r = run(&s, (struct send_options){.retries = 1});
    server_stop(&s);
    assert_int_equal(r.refusals, 1);
    assert_int_equal(r.refusals_delayed, 1);
    assert_in_range(r.wall_ns, 1000000000, 60000000000);
    assert_int_equal(r.acknowledged, 1);
    assert_int_equal(r.partial, 1);
    assert_int_equal(r.items_rejected, 3);
}

static void tells_refusals_apart(void **state)
{
    (void)state;
    static const struct act acts[] = {
        {.answer = "HTTP/1.1 429 Too Many\r\nContent-Length: 0\r\n\r\n"},
        {.answer = "HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n"},
        {.answer = "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\nRetry-After: 1\r\n\r\n"},
        {.answer = "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
        {.answer = ok},
    };
    struct server s;
    server_start(&s, ACTS(acts));
    struct send_report r = run(&s, (struct send_options){.requests = 5});
    server_stop(&s);
    assert_int_equal(r.refused_retryable, 2);
    assert_int_equal(r.refused_permanent, 2);
    assert_int_equal(r.acknowledged, 1);
    assert_int_equal(r.sent, 5);
    assert_string_equal(r.last_problem, "HTTP status 500");
}

static void takes_an_answer_that_comes_before_the_body_was_read(void **state)
{
    (void)state;
    static const struct act acts[] = {
        {.answer = "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
         .unread = true},
        {.answer = ok},
    };
    struct server s;
    server_start(&s, ACTS(acts));
    struct send_report r = run(&s, (struct send_options){.requests = 2});
    server_stop(&s);
    assert_int_equal(r.refused_permanent, 1);
    assert_int_equal(r.acknowledged, 1);
    assert_string_equal(r.last_problem, "HTTP status 413");
}

static void counts_lost_connections_as_failures(void **state)
{
    (void)state;
    static const struct act acts[] = {
        {.answer = NULL}, {.answer = "garbage\r\n\r\n"}, {.answer = ok}};
    struct server s;
    server_start(&s, ACTS(acts));
    struct send_report r = run(&s, (struct send_options){.requests = 3});
    server_stop(&s);
    assert_int_equal(r.failed, 2);
    assert_int_equal(r.items_failed, 10);
    assert_int_equal(r.acknowledged, 1);
}

static void gives_up_waiting_and_retries(void **state)
{
    (void)state;
    static const struct act acts[] = {{.silent = true}, {.answer = ok}};
    struct server s;
    server_start(&s, ACTS(acts));
    struct send_report r =
        run(&s, (struct send_options){.timeout_ns = 300000000, .retries = 1, .in_flight = 1});
    server_stop(&s);
    assert_int_equal(r.retries, 1);
    assert_int_equal(r.acknowledged, 1);
    assert_string_equal(r.last_problem, "no answer in time");
}

struct ledger {
    size_t n;
    enum send_outcome outcomes[SCRIPT_MAX];
};

static void on_done(void *ctx, size_t request, uint64_t sequence, enum send_outcome outcome)
{
    struct ledger *l = (struct ledger *)ctx;
    assert_int_equal(request, 0);
    assert_true(sequence < SCRIPT_MAX);
    l->outcomes[sequence] = outcome;
    l->n++;
}

static void tells_the_outcome_of_each_request(void **state)
{
    (void)state;
    static const struct act acts[] = {
        {.answer = ok},
        {.answer = "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n"},
        {.answer = ok},
    };
    struct ledger ledger = {.n = 0};
    struct server s;
    server_start(&s, ACTS(acts));
    run(&s, (struct send_options){.requests = 3, .on_done = on_done, .ctx = &ledger});
    server_stop(&s);
    assert_int_equal(ledger.n, 3);
    assert_int_equal(ledger.outcomes[0], SEND_ACKNOWLEDGED);
    assert_int_equal(ledger.outcomes[1], SEND_REFUSED_PERMANENT);
    assert_int_equal(ledger.outcomes[2], SEND_ACKNOWLEDGED);
}

static void refuses_endpoints_that_it_cannot_serve(void **state)
{
    (void)state;
    static const struct {
        enum send_protocol protocol;
        const char *endpoint, *says;
    } wrong[] = {
        {SEND_HTTP, "https://h:1", "TLS"},
        {SEND_HTTP, "h", "host:port"},
        {SEND_HTTP, "", "host:port"},
        {SEND_HTTP, "http://h:/x", "host:port"},
        {SEND_GRPC, "grpc://h:1/x", "no path"},
        {SEND_HTTP, "h:1 x", "space"},
        {SEND_HTTP, "http://127.0.0.1:1", "cannot connect"},
        {SEND_GRPC, "grpc://127.0.0.1:1", "cannot connect"},
    };
    struct send_request request = {.body = sl_str("x"), .items = 1, .signal = SL_TRACES};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct send_options options = {
            .protocol = wrong[i].protocol, .endpoint = wrong[i].endpoint, .timeout_ns = 100000000};
        struct send_report report;
        sl_error error = {.size = sizeof error};
        assert_int_not_equal(send_run(&options, &request, 1, &report, &error), SL_OK);
        assert_non_null(strstr(error.text, wrong[i].says));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sends_a_correct_request),
        cmocka_unit_test(compresses_bodies),
        cmocka_unit_test(reads_answers_that_come_in_pieces),
        cmocka_unit_test(tells_refusals_apart),
        cmocka_unit_test(takes_an_answer_that_comes_before_the_body_was_read),
        cmocka_unit_test(counts_lost_connections_as_failures),
        cmocka_unit_test(gives_up_waiting_and_retries),
        cmocka_unit_test(tells_the_outcome_of_each_request),
        cmocka_unit_test(refuses_endpoints_that_it_cannot_serve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
