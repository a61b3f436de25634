/* An HTTP/1.1 destination for the benchmarks: takes POST requests with a Content-Length and
 * answers 200 at once, or 503 (--refuse), or never (--stall); signals as in sink.h. Bodies are
 * read into memory and forgotten. One thread serves; the main thread waits for signals. */
#include "tests/bench/net.h"
#include "tests/bench/sink.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD_MAX = 32 * 1024, SCRATCH = 256 * 1024, EVENTS = 64 };

struct client {
    int fd;
    size_t head;    /* bytes in `bytes` */
    size_t body;    /* bytes of the body, as declared */
    size_t missing; /* of them, not yet seen; only while in_body */
    bool in_body;
    bool held;
    struct client *next_held;
    char bytes[HEAD_MAX]; /* a head, and what came with it */
};

struct service {
    struct sink *sink;
    int epoll, listener;
    struct client *held; /* those whose request is not answered */
    char refusal[160];
    uint8_t *scratch;
};

static const char ok_answer[] = "HTTP/1.1 200 OK\r\n"
                                "Content-Type: application/x-protobuf\r\n"
                                "Content-Length: 0\r\n\r\n";

static void client_close(struct service *s, struct client *c)
{
    if (c->in_body)
        sink_take(s->sink, false, 0);
    for (struct client **p = &s->held; *p; p = &(*p)->next_held) {
        if (*p == c) {
            *p = c->next_held;
            break;
        }
    }
    close(c->fd);
    free(c);
}

/* False when the connection is broken. An answer always fits an idle socket's buffer. */
static bool client_answer(struct service *s, struct client *c, enum sink_mode mode)
{
    if (mode == SINK_STALL) {
        if (c->held) /* pipelined: nobody here does that */
            return false;
        c->held = true;
        c->next_held = s->held;
        s->held = c;
        return true;
    }
    const char *text = mode == SINK_OK ? ok_answer : s->refusal;
    size_t n = strlen(text);
    return send(c->fd, text, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* Reads the head of a request, which ends at `end`. False when it cannot be served. */
static bool client_read_head(struct client *c, char *end)
{
    *end = '\0';
    const char *length = strcasestr(c->bytes, "\r\ncontent-length:");
    if (strncmp(c->bytes, "POST ", 5) != 0 || !length)
        return false;
    c->body = strtoul(length + strlen("\r\ncontent-length:"), NULL, 10);
    c->in_body = true;
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (strcasestr(c->bytes, "\r\nexpect: 100-continue"))
        return send(c->fd, go_on, sizeof go_on - 1, MSG_NOSIGNAL) > 0;
    return true;
}

/* Serves whatever requests are complete in the bytes at hand. False: close. */
static bool client_step(struct service *s, struct client *c)
{
    for (;;) {
        if (!c->in_body) {
            char *end = (char *)memmem(c->bytes, c->head, "\r\n\r\n", 4);
            if (!end)
                return c->head < HEAD_MAX;
            if (!client_read_head(c, end))
                return false;
            size_t used = (size_t)(end - c->bytes) + 4;
            size_t more = c->head - used < c->body ? c->head - used : c->body;
            c->missing = c->body - more;
            c->head -= used + more;
            memmove(c->bytes, c->bytes + used + more, c->head);
        }
        if (c->missing)
            return true;
        c->in_body = false;
        if (!client_answer(s, c, sink_take(s->sink, true, c->body)))
            return false;
        if (c->head == 0)
            return true;
    }
}

static bool client_read(struct service *s, struct client *c)
{
    for (;;) {
        ssize_t n;
        if (c->in_body && c->missing) {
            n = recv(c->fd, s->scratch, c->missing < SCRATCH ? c->missing : SCRATCH, 0);
            if (n > 0)
                c->missing -= (size_t)n;
        } else {
            n = recv(c->fd, c->bytes + c->head, HEAD_MAX - c->head, 0);
            if (n > 0)
                c->head += (size_t)n;
        }
        if (n < 0)
            return errno == EAGAIN;
        if (n == 0 || !client_step(s, c))
            return false;
    }
}

static void service_accept(struct service *s)
{
    int fd;
    while ((fd = net_accept(s->listener)) >= 0) {
        struct client *c = (struct client *)calloc(1, sizeof *c);
        if (!c)
            abort();
        c->fd = fd;
        struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = c};
        epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e);
    }
}

/* Refuses what was held back, once the mode has been switched. */
static void service_release(struct service *s)
{
    enum sink_mode mode = (enum sink_mode)atomic_load(&s->sink->mode);
    while (mode != SINK_STALL && s->held) {
        struct client *c = s->held;
        s->held = c->next_held;
        c->held = false;
        client_answer(s, c, SINK_REFUSE); /* a broken one is found by the next read */
    }
}

static void *service_run(void *arg)
{
    struct service *s = (struct service *)arg;
    for (;;) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(s->epoll, events, EVENTS, 200);
        for (int i = 0; i < n; i++) {
            struct client *c = (struct client *)events[i].data.ptr;
            if (!c)
                service_accept(s);
            else if (!client_read(s, c))
                client_close(s, c);
        }
        service_release(s);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    struct sink sink;
    struct service s = {.sink = &sink};
    if (!sink_init(&sink, "bench_sink_http", argc, argv, NULL, NULL))
        return 2;
    char hint[48] = "";
    if (sink.retry_after)
        snprintf(hint, sizeof hint, "Retry-After: %u\r\n", sink.retry_after);
    snprintf(s.refusal, sizeof s.refusal,
             "HTTP/1.1 503 Service Unavailable\r\n%sContent-Length: 0\r\n\r\n", hint);
    s.epoll = epoll_create1(EPOLL_CLOEXEC);
    s.listener = net_listen(sink.listen);
    s.scratch = (uint8_t *)malloc(SCRATCH);
    if (s.epoll < 0 || s.listener < 0 || !s.scratch)
        return 1;
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(s.epoll, EPOLL_CTL_ADD, s.listener, &e);
    pthread_t thread;
    if (pthread_create(&thread, NULL, service_run, &s))
        return 1;
    sink_wait(&sink);
    _exit(0); /* the serving thread is at work on this stack */
}
