/* The bare copy between two sockets: the floor that OTLP/HTTP in to OTLP/HTTP out is held against.
 * For each connection taken it opens one upstream and copies both ways, 256 KiB a read at most,
 * with edge-triggered epoll in one thread. A buffer belongs to a direction only while a write is
 * incomplete, so that the same memory, warm in the cache, serves nearly all copies. */
#include "tests/bench/net.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHUNK = 256 * 1024, EVENTS = 64 };

struct chunk {
    struct chunk *next; /* in the list of free ones */
    size_t from, to;    /* what is still to be written */
    uint8_t bytes[CHUNK];
};

/* One direction of a connection; side 0 is the client's socket, 1 the upstream's. */
struct flow {
    struct chunk *held; /* NULL unless the last write was incomplete */
    bool ended;
};

struct link {
    struct side {
        struct link *link;
        int fd;
        struct flow out; /* from this side's socket to the other's */
    } sides[2];
    struct link *next_closed;
};

struct relay {
    int epoll, listener;
    const char *upstream;
    struct chunk *free;
    struct link *closed; /* freed after the events at hand, which may still name them */
};

static struct chunk *chunk_take(struct relay *r)
{
    struct chunk *c = r->free;
    if (c) {
        r->free = c->next;
        return c;
    }
    c = (struct chunk *)malloc(sizeof *c);
    if (!c)
        abort();
    return c;
}

static void chunk_give(struct relay *r, struct chunk *c)
{
    c->next = r->free;
    r->free = c;
}

static void link_close(struct relay *r, struct link *l)
{
    for (int i = 0; i < 2; i++) {
        struct side *s = &l->sides[i];
        if (s->fd < 0)
            return;
        close(s->fd);
        s->fd = -1;
        if (s->out.held)
            chunk_give(r, s->out.held);
    }
    l->next_closed = r->closed;
    r->closed = l;
}

static void link_open(struct relay *r, int fd)
{
    int up = net_connect(r->upstream);
    struct link *l = (struct link *)calloc(1, sizeof *l);
    if (up < 0 || !l) {
        close(fd);
        if (up >= 0)
            close(up);
        free(l);
        return;
    }
    l->sides[0].fd = fd;
    l->sides[1].fd = up;
    for (int i = 0; i < 2; i++) {
        l->sides[i].link = l;
        struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP,
                                .data.ptr = &l->sides[i]};
        epoll_ctl(r->epoll, EPOLL_CTL_ADD, l->sides[i].fd, &e);
    }
}

/* Writes what the chunk holds. 1: all; 0: the socket is full; -1: broken. */
static int chunk_write(struct chunk *c, int fd)
{
    while (c->from < c->to) {
        ssize_t n = send(fd, c->bytes + c->from, c->to - c->from, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN ? 0 : -1;
        c->from += (size_t)n;
    }
    return 1;
}

/* Moves what there is from `s` to the other side. False when the connection is broken. */
static bool side_pump(struct relay *r, struct side *s, struct side *other)
{
    struct flow *f = &s->out;
    for (;;) {
        if (f->held) {
            int done = chunk_write(f->held, other->fd);
            if (done <= 0)
                return done == 0;
            chunk_give(r, f->held);
            f->held = NULL;
        }
        if (f->ended)
            return true;
        struct chunk *c = chunk_take(r);
        ssize_t n = recv(s->fd, c->bytes, CHUNK, 0);
        if (n <= 0) {
            chunk_give(r, c);
            if (n < 0)
                return errno == EAGAIN;
            f->ended = true;
            shutdown(other->fd, SHUT_WR);
            return true;
        }
        c->from = 0;
        c->to = (size_t)n;
        f->held = c;
    }
}

static void link_serve(struct relay *r, struct side *s)
{
    struct link *l = s->link;
    if (s->fd < 0)
        return;
    struct side *other = s == &l->sides[0] ? &l->sides[1] : &l->sides[0];
    bool good = side_pump(r, s, other);
    if (good && other->out.held) /* what waited for room in this side's socket */
        good = side_pump(r, other, s);
    if (!good || (s->out.ended && other->out.ended && !s->out.held && !other->out.held))
        link_close(r, l);
}

int main(int argc, char **argv)
{
    struct relay r = {.listener = -1};
    const char *listen = NULL;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--listen") == 0)
            listen = argv[i + 1];
        else if (strcmp(argv[i], "--upstream") == 0)
            r.upstream = argv[i + 1];
    }
    if (!listen || !r.upstream || argc != 5) {
        fputs("bench_relay_copy --listen HOST:PORT --upstream HOST:PORT\n", stderr);
        return 2;
    }
    r.epoll = epoll_create1(EPOLL_CLOEXEC);
    r.listener = net_listen(listen);
    if (r.epoll < 0 || r.listener < 0)
        return 1;
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(r.epoll, EPOLL_CTL_ADD, r.listener, &e);
    for (;;) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(r.epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr) {
                link_serve(&r, (struct side *)events[i].data.ptr);
                continue;
            }
            int fd;
            while ((fd = net_accept(r.listener)) >= 0)
                link_open(&r, fd);
        }
        while (r.closed) {
            struct link *l = r.closed;
            r.closed = l->next_closed;
            free(l);
        }
    }
}
