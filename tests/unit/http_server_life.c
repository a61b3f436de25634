/* Connections of the HTTP server: slow ones, large ones, many of them, those that end early; draining
 * and closing; a server on a thread of its own. */
#include "formats/http/thread.h"
#include "tests/unit/http_server_support.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void expects_continue(void **state)
{
    (void)state;
    struct fixture f = {0};
    struct client c;
    fixture_start(&f);
    client_open(&c, &f);
    client_text(&c,
                "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n");
    client_read(&c);
    assert_string_equal(c.in, "HTTP/1.1 100 Continue\r\n\r\n");
    client_text(&c, "abc");
    client_wait(&c, 1);
    client_expect(&c, "POST /? 3 ");
    c.n = 0;
    /* Nobody waits for it when the body is there already. */
    client_text(
        &c, "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nab");
    client_text(&c, "c");
    client_wait(&c, 1);
    assert_false(client_has(&c, "100 Continue"));
    client_close(&c);
    fixture_finish(&f);
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
        fixture_start(&f);
        client_open(&c, &f);
        (void)snprintf(text, sizeof text,
                       "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", N);
        client_text(&c, text);
        client_send(&c, body, N);
        client_wait(&c, 1);
        (void)snprintf(want, sizeof want, "POST /? %d %u", N, sum);
        client_expect(&c, want);
        assert_int_equal(f.app.rooms, 1);
        assert_int_equal(f.app.fills, 1);
        c.n = 0;
        f.app.big = body;
        f.app.big_n = N;
        /* Two answers, far more than the socket takes, to a client that reads late. */
        client_text(&c, "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
        uint64_t until = now_ms() + 10000;
        while (c.n < 2 * N && now_ms() < until) {
            fixture_pump(&f);
            client_read(&c);
        }
        while (now_ms() < until && !(c.n > 2 * N && memcmp(c.in + c.n - N, body, N) == 0)) {
            fixture_pump(&f);
            client_read(&c);
        }
        assert_int_equal(client_count(&c, "Content-Length: 6291456\r\n"), 2);
        assert_memory_equal(c.in + c.n - N, body, N);
        client_close(&c);
        fixture_finish(&f);
    }
}

static void client_goes_away(void **state)
{
    (void)state;
    struct fixture f = {.app.mode = ANSWER_LATER};
    struct client c;
    fixture_start(&f);
    /* in the middle of the body */
    client_open(&c, &f);
    client_text(&c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na");
    assert_int_equal(f.app.begun, 1);
    client_close(&c);
    fixture_pump(&f);
    assert_int_equal(f.app.abandoned, 1);
    /* before the answer, by a reset */
    client_open(&c, &f);
    client_text(&c, post_length);
    assert_int_equal(f.app.ended, 1);
    struct linger hard = {1, 0};
    (void)setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    client_close(&c);
    fixture_pump(&f);
    app_answer_waiting(&f.app);
    fixture_pump(&f);
    /* only its sending half: it still gets the answer */
    client_open(&c, &f);
    client_text(&c, post_length);
    assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
    fixture_pump(&f);
    app_answer_waiting(&f.app);
    client_wait_end(&c);
    client_expect(&c, echoed);
    client_close(&c);
    /* in the head; and with a request that nobody will read */
    client_open(&c, &f);
    client_text(&c, "GET / HT");
    client_close(&c);
    client_open(&c, &f);
    client_text(&c, post_length);
    client_text(&c, post_length);
    client_close(&c);
    fixture_pump(&f);
    app_answer_waiting(&f.app);
    fixture_pump(&f);
    if (f.app.waiting)
        app_answer_waiting(&f.app);
    fixture_pump(&f);
    struct http_counts n;
    http_server_counts(f.server, &n);
    assert_int_equal(n.open, 0);
    fixture_finish(&f);
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
    fixture_start(&f);
    for (int i = 0; i < 5; i++)
        client_open(&c[i], &f);
    client_text(&c[0], "GET / HTTP/1.1\r\nHo"); /* slow head */
    /* c[1] says nothing at all */
    client_text(&c[2], "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); /* idle afterwards */
    client_text(&c[3], "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\nabc");
    client_text(&c[4], "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na");
    for (int i = 0; i < 5; i++)
        client_wait_end(&c[i]);
    client_expect(&c[0], "HTTP/1.1 408 Request Timeout");
    assert_int_equal(c[1].n, 0);
    assert_int_equal(client_count(&c[2], "HTTP/1.1 "), 1);
    client_expect(&c[3], "HTTP/1.1 408 Request Timeout");
    client_expect(&c[4], "HTTP/1.1 408 Request Timeout");
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
        fixture_pump(&f);
        http_server_counts(f.server, &n);
    } while ((f.app.ended < 2 || n.open > 0) && now_ms() < until);
    assert_int_equal(n.open, 0);
    assert_int_equal(n.timeouts, 4);
    client_close(&c[0]);
    fixture_finish(&f);
}

/* A trickle that stays within the header timeout is cut off by it all the same. */
static void slow_header_byte_by_byte(void **state)
{
    (void)state;
    struct fixture f = {.limits = {.header_timeout_ms = 60}};
    struct client c;
    fixture_start(&f);
    client_open(&c, &f);
    uint64_t from = now_ms();
    while (!c.eof && now_ms() - from < 10000) {
        if (send(c.fd, "A", 1, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
            break;
        fixture_pump(&f);
        client_read(&c);
    }
    client_wait_end(&c);
    assert_true(client_has(&c, "HTTP/1.1 408 ") || client_has(&c, "HTTP/1.1 400 ") ||
                client_has(&c, "HTTP/1.1 414 "));
    client_close(&c);
    client_open(&c, &f);
    client_text(&c, "GET / HTTP/1.1\r\nX: ");
    while (!c.eof && now_ms() - from < 10000) {
        struct timespec ms = {0, 1000000};
        (void)nanosleep(&ms, NULL); /* the pace of the attack */
        (void)send(c.fd, "a", 1, MSG_NOSIGNAL);
        fixture_pump(&f);
        client_read(&c);
    }
    client_expect(&c, "HTTP/1.1 408 ");
    client_close(&c);
    fixture_finish(&f);
}

static void too_many_connections(void **state)
{
    (void)state;
    struct fixture f = {.limits = {.connections = 3}};
    struct client c[5];
    fixture_start(&f);
    for (int i = 0; i < 3; i++) {
        client_open(&c[i], &f);
        client_text(&c[i], "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        client_wait(&c[i], 1);
    }
    client_text(&c[0], "GET / HT"); /* the oldest one is not idle */
    client_open(&c[3], &f);
    client_text(&c[3], "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    client_wait(&c[3], 1);
    client_expect(&c[3], "200 OK");
    client_wait_end(&c[1]);
    client_text(&c[2], "GET / HT");
    client_text(&c[3], "GET / HT");
    client_open(&c[4], &f);
    client_wait_end(&c[4]);
    client_expect(&c[4], "HTTP/1.1 503 ");
    client_text(&c[0], "TP/1.1\r\nHost: x\r\n\r\n");
    client_wait(&c[0], 2);
    for (int i = 0; i < 5; i++)
        client_close(&c[i]);
    fixture_finish(&f);
}

static void drains(void **state)
{
    (void)state;
    struct fixture f = {.app.mode = ANSWER_LATER};
    struct client idle, busy, half, ready, late;
    fixture_start(&f);
    client_open(&idle, &f);
    client_open(&busy, &f);
    client_open(&half, &f);
    client_text(&busy, post_length);
    client_text(&half, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na");
    f.app.mode = ANSWER_NOW; /* but for the one that waits already */
    client_open(&ready, &f);
    fixture_pump(&f);
    (void)send(ready.fd, "GET /ready HTTP/1.1\r\nHost: x\r\n\r\n", 32, 0); /* not read yet */
    http_server_drain(f.server, fixture_drained, &f);
    client_wait_end(&idle);
    client_open(&late, &f);
    fixture_pump(&f);
    assert_false(f.drained);
    app_answer_waiting(&f.app);
    client_wait_end(&busy);
    client_expect(&busy, echoed);
    client_expect(&busy, "Connection: close\r\n");
    client_wait_end(&ready);
    client_expect(&ready, "GET /ready?");
    client_close(&busy);
    client_close(&ready);
    fixture_pump(&f);
    assert_false(f.drained);
    client_text(&half, "bc");
    client_wait_end(&half);
    client_expect(&half, "POST /? 3 ");
    client_close(&half);
    fixture_pump(&f);
    assert_true(f.drained);
    client_read(&late);
    assert_int_equal(late.n, 0);
    client_close(&idle);
    client_close(&late);
    fixture_finish(&f);
}

/* Closing with requests in every state; one answer comes after the loop has gone. */
static void closes_at_once(void **state)
{
    (void)state;
    struct fixture f = {.app.mode = ANSWER_LATER};
    struct client c[4];
    fixture_start(&f);
    for (int i = 0; i < 4; i++)
        client_open(&c[i], &f);
    client_text(&c[1], "GET / HT");
    client_text(&c[2], "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na");
    client_text(&c[3], post_length);
    struct http_request *owed = f.app.waiting;
    assert_non_null(owed);
    fixture_finish(&f);
    assert_int_equal(f.app.abandoned, 1);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, app_answer_thread, &f.app), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    for (int i = 0; i < 4; i++)
        client_close(&c[i]);
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
    app_answer_echo(&app, (struct http_request *)arg);
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
    struct http_handler h = app_handler(&app);
    h.end = pool_end;
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
        cmocka_unit_test(expects_continue),
        cmocka_unit_test(large_both_ways),
        cmocka_unit_test(client_goes_away),
        cmocka_unit_test(late_clients),
        cmocka_unit_test(slow_header_byte_by_byte),
        cmocka_unit_test(too_many_connections),
        cmocka_unit_test(drains),
        cmocka_unit_test(closes_at_once),
        cmocka_unit_test(on_its_own_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
