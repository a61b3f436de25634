/* The HTTP server with TLS over real sockets: clients on threads of their own, answers from other
 * threads, certificates that are replaced, and the host's clock moved by the test. */
#include "formats/http/thread.h"
#include "tests/support/certificate.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
// clang-format off
#include <cmocka.h>
// clang-format on

extern const sl_plugin sluice_plugin_tls;

enum { CLIENTS = 4, LARGEST = 300000, BODY_LATE_MS = 200 };

/* ---- a host of which only the clock is asked ---- */

static _Atomic int64_t clock_ns;
static _Atomic uint32_t logged;

static const void *no_interface(const sl_host *h, const char *id)
{
    (void)h;
    (void)id;
    return NULL;
}

static bool log_enabled(const sl_host *h, int32_t level)
{
    (void)h;
    (void)level;
    return true;
}

static void log_line(const sl_host *h, int32_t level, sl_bytes text, const sl_log_field *fields,
                     uint32_t n)
{
    (void)h;
    (void)level;
    (void)text;
    (void)fields;
    (void)n;
    atomic_fetch_add(&logged, 1);
}

static int64_t host_now(const sl_host *h)
{
    (void)h;
    return atomic_load(&clock_ns);
}

static const sl_host_table table = {.size = sizeof table,
                                    .interface_of_host = no_interface,
                                    .log_enabled = log_enabled,
                                    .log = log_line,
                                    .now = host_now};
static const sl_host host = {&table};

/* ---- the server: says how many bytes came ---- */

struct body {
    uint64_t n;
    uint32_t sum;
    uint8_t *at;
    size_t room;
};

static void on_headers(void *ctx, struct http_request *rq)
{
    (void)ctx;
    rq->user = calloc(1, sizeof(struct body));
}

static int32_t on_room(void *ctx, struct http_request *rq, uint8_t **at, size_t *n)
{
    struct body *b = (struct body *)rq->user;
    (void)ctx;
    free(b->at);
    b->room = rq->length == HTTP_NO_LENGTH ? 1000 : (size_t)rq->length;
    b->at = (uint8_t *)malloc(b->room);
    assert_non_null(b->at);
    *at = b->at;
    *n = b->room;
    return SL_OK;
}

static void on_filled(void *ctx, struct http_request *rq, size_t n)
{
    struct body *b = (struct body *)rq->user;
    (void)ctx;
    assert_true(n <= b->room);
    for (size_t i = 0; i < n; i++)
        b->sum = b->sum * 31 + b->at[i];
    b->n += n;
}

static void let_go(struct http_request *rq)
{
    struct body *b = (struct body *)rq->user;
    free(b->at);
    free(b);
}

static void on_abandon(void *ctx, struct http_request *rq)
{
    (void)ctx;
    let_go(rq);
}

static void *answer(void *arg)
{
    struct http_request *rq = (struct http_request *)arg;
    const struct body *b = (const struct body *)rq->user;
    char text[64];
    (void)snprintf(text, sizeof text, "%llu %u", (unsigned long long)b->n, b->sum);
    const struct http_answer a = {.status = 200, .body = sl_str(text)};
    let_go(rq);
    http_answer(rq, &a);
    return NULL;
}

/* Every other answer comes from another thread. */
static void on_end(void *ctx, struct http_request *rq)
{
    _Atomic uint32_t *n = (_Atomic uint32_t *)ctx;
    pthread_t thread;
    pthread_attr_t attr;
    if (atomic_fetch_add(n, 1) % 2 == 0) {
        (void)answer(rq);
        return;
    }
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    assert_int_equal(pthread_create(&thread, &attr, answer, rq), 0);
    (void)pthread_attr_destroy(&attr);
}

struct fixture {
    struct certificate certificate;
    struct tls_server_config config;
    struct tls_security security;
    struct http_thread *thread;
    int listener;
    struct sockaddr_in address;
    _Atomic uint32_t ended;
};

static int set_up_for(void **state, uint32_t body_late_ms)
{
    struct fixture *f = (struct fixture *)calloc(1, sizeof *f);
    struct http_limits limits;
    socklen_t n = sizeof f->address;
    sl_error error = {.size = sizeof error};
    assert_non_null(f);
    certificate_init(&f->certificate);
    f->config.common.cert_file = sl_str(f->certificate.cert);
    f->config.common.key_file = sl_str(f->certificate.key);
    f->config.common.reload_interval = 1000;
    f->security.api = (const tls_api *)sluice_plugin_tls.interface_of(TLS_API);
    assert_non_null(f->security.api);
    assert_null(sluice_plugin_tls.interface_of("sluice.other/1"));
    if (f->security.api->server_create(&host, &f->config, "tls", "http/1.1", false,
                                       &f->security.server, &error) != SL_OK)
        fail_msg("%s", error.text);
    f->address.sin_family = AF_INET;
    f->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    f->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->listener, (struct sockaddr *)&f->address, n), 0);
    assert_int_equal(listen(f->listener, 64), 0);
    assert_int_equal(getsockname(f->listener, (struct sockaddr *)&f->address, &n), 0);
    http_limits_init(&limits);
    limits.body_rate_after_ms = body_late_ms;
    const struct http_handler handler = {&f->ended, on_headers, on_room,
                                         on_filled, on_end,     on_abandon};
    assert_int_equal(http_thread_start(&handler, &limits, f->listener, &f->security, "tls-test",
                                       &f->thread, NULL),
                     SL_OK);
    *state = f;
    return 0;
}

static int set_up(void **state)
{
    return set_up_for(state, 10000);
}

static int set_up_impatient(void **state)
{
    return set_up_for(state, BODY_LATE_MS);
}

static int tear_down(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    http_thread_stop(f->thread);
    f->security.api->server_destroy(f->security.server);
    close(f->listener);
    certificate_deinit(&f->certificate);
    free(f);
    return 0;
}

/* ---- clients ---- */

static int dial(const struct fixture *f)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&f->address, sizeof f->address), 0);
    return fd;
}

static SSL *shake(const struct fixture *f, SSL_CTX *ctx)
{
    SSL *ssl = SSL_new(ctx);
    assert_int_equal(SSL_set_fd(ssl, dial(f)), 1);
    assert_int_equal(SSL_connect(ssl), 1);
    return ssl;
}

static void hang_up(SSL *ssl)
{
    const int fd = SSL_get_fd(ssl);
    SSL_free(ssl);
    close(fd);
}

/* Sends a body and reads what the server says of it. */
static void exchange(SSL *ssl, const uint8_t *body, size_t n)
{
    char text[256], *end = NULL, expected[64];
    uint32_t sum = 0;
    int head =
        snprintf(text, sizeof text, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", n);
    assert_int_equal(SSL_write(ssl, text, head), head);
    for (size_t put = 0; put < n;) { /* in pieces of odd sizes */
        const size_t part = n - put < 17001 ? n - put : 17001;
        assert_int_equal(SSL_write(ssl, body + put, (int)part), (int)part);
        put += part;
    }
    for (size_t i = 0; i < n; i++)
        sum = sum * 31 + body[i];
    (void)snprintf(expected, sizeof expected, "%zu %u", n, sum);
    size_t got = 0;
    while (!end || strlen(end) < strlen(expected)) {
        const int more = SSL_read(ssl, text + got, (int)(sizeof text - 1 - got));
        assert_true(more > 0);
        got += (size_t)more;
        text[got] = '\0';
        end = strstr(text, "\r\n\r\n");
        end = end ? end + 4 : NULL;
    }
    assert_string_equal(end, expected);
}

static void *client(void *arg)
{
    const struct fixture *f = (const struct fixture *)arg;
    static const size_t sizes[] = {0, 1, 100, 16384, 16385, 70000, 131072, LARGEST, 5, 200000};
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    uint8_t *body = (uint8_t *)malloc(LARGEST);
    assert_non_null(body);
    for (size_t i = 0; i < LARGEST; i++)
        body[i] = (uint8_t)(i * 7 + i / 251);
    for (int round = 0; round < 3; round++) {
        SSL *ssl = shake(f, ctx);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            exchange(ssl, body, sizes[i]);
        hang_up(ssl);
    }
    free(body);
    SSL_CTX_free(ctx);
    return NULL;
}

static void many_clients(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    pthread_t threads[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, client, f), 0);
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&f->ended), CLIENTS * 30);
    assert_true(http_thread_drain(f->thread, 5000));
}

/* A client whose bytes come slowly, but faster than the least rate: they count although the thread was
 * not woken for them. */
static void slow_bodies_are_not_late(void **state)
{
    enum { LENGTH = 300000, FIRST = 40000 };
    const struct fixture *f = (const struct fixture *)*state;
    static const uint8_t body[LENGTH];
    char text[256];
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = shake(f, ctx);
    const int head = snprintf(text, sizeof text,
                              "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                              "Content-Length: %d\r\n\r\n",
                              LENGTH);
    assert_int_equal(SSL_write(ssl, text, head), head);
    int n = SSL_read(ssl, text, sizeof text);
    assert_true(n > 12 && memcmp(text, "HTTP/1.1 100", 12) == 0);
    struct pollfd answer = {.fd = SSL_get_fd(ssl), .events = POLLIN};
    assert_int_equal(SSL_write(ssl, body, 1), 1);
    assert_int_equal(poll(&answer, 1, BODY_LATE_MS / 4), 0); /* it has been read */
    assert_int_equal(SSL_write(ssl, body, FIRST), FIRST);
    assert_int_equal(poll(&answer, 1, 3 * BODY_LATE_MS), 0);
    assert_int_equal(SSL_write(ssl, body, LENGTH - FIRST - 1), LENGTH - FIRST - 1);
    n = SSL_read(ssl, text, sizeof text);
    assert_true(n > 12 && memcmp(text, "HTTP/1.1 200", 12) == 0);
    hang_up(ssl);
    SSL_CTX_free(ctx);
}

static long serial_of(SSL *ssl)
{
    X509 *x = SSL_get1_peer_certificate(ssl);
    assert_non_null(x);
    const long serial = ASN1_INTEGER_get(X509_get0_serialNumber(x));
    X509_free(x);
    return serial;
}

static void new_certificates_when_it_is_time(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *old = shake(f, ctx);
    assert_int_equal(serial_of(old), 1);
    certificate_write(&f->certificate, 2);
    SSL *early = shake(f, ctx);
    assert_int_equal(serial_of(early), 1);
    atomic_fetch_add(&clock_ns, 2000);
    SSL *late = shake(f, ctx);
    assert_int_equal(serial_of(late), 2);
    FILE *out = fopen(f->certificate.cert, "we");
    assert_non_null(out);
    (void)fputs("nothing", out);
    (void)fclose(out);
    atomic_fetch_add(&clock_ns, 2000);
    const uint32_t before = atomic_load(&logged);
    SSL *still = shake(f, ctx);
    assert_int_equal(serial_of(still), 2);
    assert_int_equal(atomic_load(&logged), before + 1);
    SSL *const all[] = {old, early, late, still};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        exchange(all[i], (const uint8_t *)"abc", 3);
        hang_up(all[i]);
    }
    SSL_CTX_free(ctx);
}

static void plain_text_is_told_so(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    char text[256];
    size_t got = 0;
    ssize_t n;
    const int fd = dial(f);
    assert_int_equal(write(fd, request, sizeof request - 1), sizeof request - 1);
    while ((n = read(fd, text + got, sizeof text - 1 - got)) > 0)
        got += (size_t)n;
    text[got] = '\0';
    assert_non_null(strstr(text, "400 Bad Request"));
    assert_non_null(strstr(text, "Client sent an HTTP request to an HTTPS server."));
    close(fd);
}

static void clients_that_leave(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    static const char part[] = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nabc";
    for (int i = 0; i < 10; i++) {
        close(dial(f));
        SSL *ssl = shake(f, ctx);
        if (i % 2)
            assert_true(SSL_write(ssl, part, sizeof part - 1) > 0);
        if (i % 3)
            (void)SSL_shutdown(ssl);
        hang_up(ssl);
    }
    SSL *ssl = shake(f, ctx); /* the others are served as before */
    exchange(ssl, (const uint8_t *)"abc", 3);
    hang_up(ssl);
    SSL_CTX_free(ctx);
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN); /* as the host does */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(many_clients, set_up, tear_down),
        cmocka_unit_test_setup_teardown(slow_bodies_are_not_late, set_up_impatient, tear_down),
        cmocka_unit_test_setup_teardown(new_certificates_when_it_is_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(plain_text_is_told_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(clients_that_leave, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
