/* What OpenSSL alone costs a server: a process takes so many requests of so many bytes from another
 * one through loopback TCP, into one buffer, and answers each with a few bytes; plain, and with TLS
 * as formats/tls sets it up. Prints the CPU time of the taking process for each request. */
#include "formats/tls/context.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER = 100 };

struct plan {
    const char *cert, *key;
    size_t bytes;
    long requests;
    bool tls;
    uint8_t *buffer;
};

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static bool move(SSL *ssl, int fd, uint8_t *at, size_t n, bool out)
{
    while (n > 0) {
        const ssize_t moved = ssl   ? (out ? SSL_write(ssl, at, (int)n) : SSL_read(ssl, at, (int)n))
                              : out ? write(fd, at, n)
                                    : read(fd, at, n);
        if (moved <= 0)
            return false;
        at += moved;
        n -= (size_t)moved;
    }
    return true;
}

static SSL *secure(const struct plan *p, int fd, bool server)
{
    const struct tls_server_config config = {
        .common = {.cert_file = sl_str(p->cert), .key_file = sl_str(p->key)}};
    sl_error error = {.size = sizeof error};
    SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    if (server && tls_server_apply(&config, "tls", ctx, &error) != SL_OK) {
        fprintf(stderr, "%s\n", error.text);
        exit(1);
    }
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_AUTO_RETRY);
    SSL *ssl = SSL_new(ctx);
    if (!ssl || SSL_set_fd(ssl, fd) != 1 || (server ? SSL_accept(ssl) : SSL_connect(ssl)) != 1)
        fail("handshake");
    return ssl;
}

static double cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void send_all(const struct plan *p, int fd)
{
    SSL *ssl = p->tls ? secure(p, fd, false) : NULL;
    for (long i = 0; i < p->requests; i++) {
        if (!move(ssl, fd, p->buffer, p->bytes, true) || !move(ssl, fd, p->buffer, ANSWER, false))
            fail("send");
    }
}

static double take_all(const struct plan *p, int fd)
{
    SSL *ssl = p->tls ? secure(p, fd, true) : NULL;
    const long warm = p->requests / 6;
    double before = 0;
    for (long i = 0; i < p->requests; i++) {
        if (i == warm)
            before = cpu_us();
        if (!move(ssl, fd, p->buffer, p->bytes, false) || !move(ssl, fd, p->buffer, ANSWER, true))
            fail("take");
    }
    return (cpu_us() - before) / (double)(p->requests - warm);
}

/* The taker has the last processor to itself, as in run.py. */
static void pin(bool taker)
{
    const long n = sysconf(_SC_NPROCESSORS_ONLN);
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)(taker ? n - 1 : 0), &set);
    (void)sched_setaffinity(0, sizeof set, &set);
}

static double measure(const struct plan *p)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (listener < 0 || bind(listener, (struct sockaddr *)&a, n) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&a, &n) != 0)
        fail("listen");
    const pid_t sender = fork();
    pin(sender != 0);
    const int fd = sender ? accept(listener, NULL, NULL) : socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || (!sender && connect(fd, (struct sockaddr *)&a, n) != 0))
        fail("connect");
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (!sender) {
        send_all(p, fd);
        _exit(0);
    }
    const double us = take_all(p, fd);
    (void)waitpid(sender, NULL, 0);
    close(fd);
    close(listener);
    return us;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fputs("bench_tls_floor CERTIFICATE KEY BYTES REQUESTS\n", stderr);
        return 2;
    }
    struct plan p = {.cert = argv[1],
                     .key = argv[2],
                     .bytes = strtoul(argv[3], NULL, 10),
                     .requests = strtol(argv[4], NULL, 10)};
    const size_t room = p.bytes > ANSWER ? p.bytes : ANSWER;
    p.buffer = (uint8_t *)calloc(1, room);
    if (!p.buffer || p.requests < 1)
        return 2;
    const double plain = measure(&p);
    p.tls = true;
    const double tls = measure(&p);
    printf("{\"bytes\":%zu,\"plain_us\":%.2f,\"tls_us\":%.2f}\n", p.bytes, plain, tls);
    free(p.buffer);
    return 0;
}
