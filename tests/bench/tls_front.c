/* Wraps connections in TLS: what comes in plain goes to the upstream through OpenSSL, so that the
 * load program, which speaks plain text, can measure a server with TLS. A thread for each
 * connection. The server's certificate is not checked: only what the bytes cost is of interest. */
#include "tests/bench/net.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 256 * 1024 };

struct front {
    const char *upstream;
    SSL_CTX *context;
};

struct connection {
    const struct front *front;
    int plain, secure;
    SSL *ssl;
    uint8_t *buffer;
};

static bool wait_for(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};
    return poll(&p, 1, -1) > 0;
}

/* After an answer of OpenSSL's that is no success: waits for what it wants. */
static bool wait_for_ssl(struct connection *c, int answer)
{
    const int error = SSL_get_error(c->ssl, answer);
    return (error == SSL_ERROR_WANT_READ && wait_for(c->secure, POLLIN)) ||
           (error == SSL_ERROR_WANT_WRITE && wait_for(c->secure, POLLOUT));
}

static bool to_secure(struct connection *c)
{
    const ssize_t got = recv(c->plain, c->buffer, BUFFER, MSG_DONTWAIT);
    if (got < 0)
        return errno == EAGAIN;
    for (ssize_t put = 0; put < got;) {
        const int n = SSL_write(c->ssl, c->buffer + put, (int)(got - put));
        if (n > 0)
            put += n;
        else if (!wait_for_ssl(c, n))
            return false;
    }
    return got > 0;
}

static bool to_plain(struct connection *c)
{
    for (;;) {
        const int got = SSL_read(c->ssl, c->buffer, BUFFER);
        if (got <= 0)
            return SSL_get_error(c->ssl, got) == SSL_ERROR_WANT_READ;
        for (ssize_t put = 0; put < got;) {
            const ssize_t n = send(c->plain, c->buffer + put, (size_t)(got - put), MSG_NOSIGNAL);
            if (n > 0)
                put += n;
            else if (errno != EAGAIN || !wait_for(c->plain, POLLOUT))
                return false;
        }
    }
}

static void serve(struct connection *c)
{
    int answer;
    while ((answer = SSL_connect(c->ssl)) != 1) {
        if (!wait_for_ssl(c, answer))
            return;
    }
    for (;;) {
        struct pollfd both[2] = {{.fd = c->plain, .events = POLLIN},
                                 {.fd = c->secure, .events = POLLIN}};
        if (poll(both, 2, -1) < 0 || (both[0].revents && !to_secure(c)) ||
            (both[1].revents && !to_plain(c)))
            return;
    }
}

static void *run(void *arg)
{
    struct connection *c = (struct connection *)arg;
    c->secure = net_connect(c->front->upstream);
    c->ssl = SSL_new(c->front->context);
    c->buffer = (uint8_t *)malloc(BUFFER);
    if (c->secure >= 0 && c->ssl && c->buffer && SSL_set_fd(c->ssl, c->secure) == 1)
        serve(c);
    SSL_free(c->ssl);
    if (c->secure >= 0)
        close(c->secure);
    close(c->plain);
    free(c->buffer);
    free(c);
    return NULL;
}

static bool begin(const struct front *f, int fd)
{
    struct connection *c = (struct connection *)calloc(1, sizeof *c);
    pthread_t thread;
    if (!c)
        return false;
    c->front = f;
    c->plain = fd;
    if (pthread_create(&thread, NULL, run, c) != 0)
        return false;
    pthread_detach(thread);
    return true;
}

int main(int argc, char **argv)
{
    struct front f = {.context = SSL_CTX_new(TLS_client_method())};
    int listener = -1;
    bool h2 = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--listen") == 0 && i + 1 < argc)
            listener = net_listen(argv[++i]);
        else if (strcmp(argv[i], "--upstream") == 0 && i + 1 < argc)
            f.upstream = argv[++i];
        else if (strcmp(argv[i], "--h2") == 0)
            h2 = true;
    }
    if (listener < 0 || !f.upstream || !f.context) {
        fputs("bench_tls_front --listen HOST:PORT --upstream HOST:PORT [--h2]\n", stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    (void)SSL_CTX_set_mode(f.context, SSL_MODE_ENABLE_PARTIAL_WRITE);
    /* The order of the clients that senders are built with, Go's and BoringSSL's. */
    (void)SSL_CTX_set_ciphersuites(f.context, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                                              "TLS_CHACHA20_POLY1305_SHA256");
    if (h2)
        (void)SSL_CTX_set_alpn_protos(f.context, (const unsigned char *)"\x02h2", 3);
    while (wait_for(listener, POLLIN)) {
        const int fd = net_accept(listener);
        if (fd >= 0 && !begin(&f, fd))
            return 1;
    }
    return 1;
}
