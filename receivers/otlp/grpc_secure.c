/* TLS in front of gRPC, whose core takes accepted connections in plain text only: once a client's
 * handshake is done, gRPC is given one end of a pair of sockets, and a thread here moves the bytes
 * between the other end and the client. README.md says what that costs, and why it is not gRPC's
 * own TLS. The thread sleeps while nothing moves. */
#include "receivers/otlp/grpc_relay.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EVENTS = 32,
    LINGER_MS = 1000, /* what a client gets to read the last bytes */
    STACK = 512 * 1024
};

/* ---- life of a connection ---- */

static void conn_free(struct relay *r, struct relay_conn *c)
{
    r->security.api->free(c->tls);
    (void)close(c->client.fd); /* which takes it out of epoll too */
    if (c->core.fd >= 0)
        (void)close(c->core.fd);
    free(c->in.at);
    free(c->out.at);
    free(c);
}

void relay_kill(struct relay *r, struct relay_conn *c)
{
    if (c->dead)
        return;
    if (c->stage == STAGE_HANDSHAKE)
        atomic_fetch_sub(&r->handshakes, 1);
    c->dead = true;
    if (c->prev)
        c->prev->next = c->next;
    else
        r->all = c->next;
    if (c->next)
        c->next->prev = c->prev;
    c->next = r->dead;
    r->dead = c;
}

static void expect(struct relay *r, int64_t at_ms)
{
    if (at_ms < r->look_ms)
        r->look_ms = at_ms;
}

void relay_linger(struct relay *r, struct relay_conn *c)
{
    if (c->stage == STAGE_HANDSHAKE)
        atomic_fetch_sub(&r->handshakes, 1);
    else
        r->security.api->say_goodbye(c->tls);
    c->stage = STAGE_LINGER;
    c->until_ms = now_ms() + LINGER_MS;
    expect(r, c->until_ms);
    if (shutdown(c->client.fd, SHUT_WR) != 0)
        relay_kill(r, c);
}

/* ---- stages ---- */

/* A socket of which nothing is wanted is taken out: epoll would tell of its end again and again. */
static bool watch(struct relay *r, struct side *s, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = s};
    const int how = !s->events ? EPOLL_CTL_ADD : !events ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
    if (s->events == events)
        return true;
    s->events = events;
    return epoll_ctl(r->epoll, how, s->fd, &e) == 0;
}

/* The handshake is done: gRPC gets its end. What is gathered in the buffer should fit the pair. */
static bool join_core(struct relay *r, struct relay_conn *c)
{
    int pair[2], room = RELAY_BUFFER;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
        return false;
    (void)setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    c->core.fd = pair[0];
    c->handed = pair[1];
    if (acceptor_adopt(r->acceptor, pair[1]))
        return true;
    (void)close(pair[1]);
    return false;
}

static void shake(struct relay *r, struct relay_conn *c)
{
    const int32_t result = r->security.api->handshake(c->tls);
    if (result == TLS_WANT_READ || result == TLS_WANT_WRITE) {
        c->wants = result;
        return;
    }
    if (result != TLS_DONE) {
        relay_linger(r, c); /* so that the client reads why */
        return;
    }
    atomic_fetch_sub(&r->handshakes, 1);
    c->stage = STAGE_OPEN;
    if (!join_core(r, c))
        relay_kill(r, c);
}

static void drop_unread(struct relay *r, struct relay_conn *c)
{
    const ssize_t n = recv(c->client.fd, r->buffer, RELAY_BUFFER, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        relay_kill(r, c);
}

/* Tells epoll what to wait for. The core's socket is nearly always writable: waiting for that gives
 * bytes their turn that OpenSSL has read already. */
static void arm(struct relay *r, struct relay_conn *c)
{
    uint32_t client = EPOLLIN, core = 0;
    if (c->stage == STAGE_HANDSHAKE) {
        client = c->wants == TLS_WANT_READ ? EPOLLIN : EPOLLOUT;
    } else if (c->stage == STAGE_OPEN) {
        client = (c->in.at || c->in_ended ? 0u : EPOLLIN) | (c->out.at ? EPOLLOUT : 0u);
        core = (c->out.at ? 0u : EPOLLIN) | (c->in.at || c->more ? EPOLLOUT : 0u);
    }
    if (!watch(r, &c->client, client) || (c->core.fd >= 0 && !watch(r, &c->core, core)))
        relay_kill(r, c);
}

/* gRPC may have ended the connection long ago: nobody else would end one whose client never reads. */
static void time_unread(struct relay *r, struct relay_conn *c)
{
    if (c->unread || c->young || c->stage != STAGE_OPEN || !c->out.at)
        return;
    c->unread = true;
    c->until_ms = now_ms() + r->patience_ms;
    expect(r, c->until_ms);
}

static void serve(struct relay *r, struct relay_conn *c, bool client_gone)
{
    if (c->stage == STAGE_HANDSHAKE)
        shake(r, c);
    if (c->stage == STAGE_OPEN && !c->dead)
        relay_flush(r, c);
    if (c->stage == STAGE_OPEN && !c->dead)
        relay_move_in(r, c);
    if (c->stage == STAGE_OPEN && !c->dead)
        relay_move_out(r, c);
    if (c->stage == STAGE_LINGER && !c->dead)
        drop_unread(r, c);
    if (client_gone)
        relay_kill(r, c);
    if (c->dead)
        return;
    time_unread(r, c);
    arm(r, c);
}

/* ---- the thread ---- */

static void take_fresh(struct relay *r)
{
    eventfd_t ignored;
    (void)eventfd_read(r->wake, &ignored);
    pthread_mutex_lock(&r->mutex);
    struct relay_conn *c = r->fresh;
    r->fresh = NULL;
    if (r->stop && !r->finishing) {
        r->finishing = true;
        r->look_ms = now_ms();
        r->finish_ms = r->look_ms + LINGER_MS;
    }
    pthread_mutex_unlock(&r->mutex);
    while (c) {
        struct relay_conn *next = c->next;
        c->prev = NULL;
        c->next = r->all;
        if (c->next)
            c->next->prev = c;
        r->all = c;
        expect(r, c->until_ms);
        serve(r, c, false);
        c = next;
    }
}

/* Ends those whose time is over; returns how long to wait for the next one, -1: for ever. */
static int look(struct relay *r)
{
    if (r->look_ms == INT64_MAX)
        return -1;
    const int64_t now = now_ms();
    if (r->look_ms > now)
        return (int)(r->look_ms - now);
    r->look_ms = INT64_MAX;
    if (r->finishing)
        expect(r, r->finish_ms);
    for (struct relay_conn *c = r->all, *next; c; c = next) {
        next = c->next;
        const bool timed = c->young || c->unread || c->stage == STAGE_LINGER;
        if ((timed && c->until_ms <= now) || (r->finishing && c->stage == STAGE_HANDSHAKE))
            relay_kill(r, c);
        else if (timed)
            expect(r, c->until_ms);
    }
    return r->look_ms == INT64_MAX ? -1 : r->look_ms > now ? (int)(r->look_ms - now) : 0;
}

static void bury(struct relay *r)
{
    while (r->dead) {
        struct relay_conn *c = r->dead;
        r->dead = c->next;
        conn_free(r, c);
    }
}

static void *relay_run(void *arg)
{
    struct relay *r = (struct relay *)arg;
    (void)pthread_setname_np(pthread_self(), "otlp-tls");
    while (!(r->finishing && (!r->all || now_ms() >= r->finish_ms))) {
        struct epoll_event events[EVENTS];
        const int wait = look(r);
        bury(r);
        const int n = epoll_wait(r->epoll, events, EVENTS, wait);
        for (int i = 0; i < n; i++) {
            struct side *s = (struct side *)events[i].data.ptr;
            if (!s)
                take_fresh(r);
            else if (!s->conn->dead)
                serve(r, s->conn,
                      s == &s->conn->client && (events[i].events & (EPOLLERR | EPOLLHUP)));
        }
        bury(r);
    }
    while (r->all)
        relay_kill(r, r->all);
    bury(r);
    return NULL;
}

/* ---- for the acceptor ---- */

bool relay_take(struct relay *r, int fd)
{
    struct relay_conn *c = (struct relay_conn *)calloc(1, sizeof *c);
    if (!c)
        return false;
    c->client = (struct side){c, fd, 0};
    c->core = (struct side){c, -1, 0};
    c->young = true;
    c->frames.skip = RELAY_PREFACE;
    c->until_ms = now_ms() + r->patience_ms;
    c->tls = r->security.api->accept(r->security.server, fd);
    if (!c->tls) {
        free(c);
        return false;
    }
    atomic_fetch_add(&r->handshakes, 1);
    pthread_mutex_lock(&r->mutex);
    c->next = r->fresh;
    r->fresh = c;
    pthread_mutex_unlock(&r->mutex);
    (void)eventfd_write(r->wake, 1);
    return true;
}

uint32_t relay_handshakes(const struct relay *r)
{
    return atomic_load(&r->handshakes);
}

static void relay_free(struct relay *r)
{
    for (struct relay_conn *c = r->fresh, *next; c; c = next) {
        next = c->next;
        conn_free(r, c);
    }
    if (r->epoll >= 0)
        (void)close(r->epoll);
    if (r->wake >= 0)
        (void)close(r->wake);
    pthread_mutex_destroy(&r->mutex);
    free(r->buffer);
    free(r);
}

static bool thread_start(struct relay *r)
{
    pthread_attr_t attr;
    sigset_t all, before;
    if (pthread_attr_init(&attr) != 0)
        return false;
    (void)pthread_attr_setstacksize(&attr, STACK);
    (void)sigfillset(&all); /* signals are for the host's own threads */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = pthread_create(&r->thread, &attr, relay_run, r);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
    return failed == 0;
}

int32_t relay_start(struct acceptor *acceptor, const struct tls_security *security,
                    int64_t patience_ms, struct relay **out, sl_error *error)
{
    struct relay *r = (struct relay *)calloc(1, sizeof *r);
    if (!r || pthread_mutex_init(&r->mutex, NULL) != 0) {
        free(r);
        return sl_fail(error, SL_ERR_NOMEM, "no memory for TLS");
    }
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    r->acceptor = acceptor;
    r->security = *security;
    r->patience_ms = patience_ms;
    r->look_ms = INT64_MAX;
    r->buffer = (uint8_t *)malloc(RELAY_BUFFER);
    r->epoll = epoll_create1(EPOLL_CLOEXEC);
    r->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!r->buffer || r->epoll < 0 || r->wake < 0 ||
        epoll_ctl(r->epoll, EPOLL_CTL_ADD, r->wake, &e) != 0 || !thread_start(r)) {
        relay_free(r);
        return sl_fail(error, SL_ERR_IO, "cannot start the thread for TLS");
    }
    *out = r;
    return SL_OK;
}

void relay_stop(struct relay *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->mutex);
    r->stop = true;
    pthread_mutex_unlock(&r->mutex);
    (void)eventfd_write(r->wake, 1);
    (void)pthread_join(r->thread, NULL);
    relay_free(r);
}
