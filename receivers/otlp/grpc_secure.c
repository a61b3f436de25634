/* TLS in front of gRPC, whose core takes accepted connections in plain text only: once a client's
 * handshake is done, gRPC is given one end of a pair of sockets, and a thread here moves the bytes
 * between the other end and the client. README.md says what that costs, and why it is not gRPC's
 * own TLS. The thread sleeps while nothing moves. It copies through one buffer; what a full socket
 * does not take waits in the connection's own, and nothing more is read on that way meanwhile. */
#include "receivers/otlp/grpc_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BUFFER = 128 * 1024, /* of the thread */
    TURN = 1 << 20,      /* what one connection may move before the others have their turn */
    EVENTS = 32,
    PREFACE_BYTES = 24, /* what every HTTP/2 client sends first */
    FRAME_HEAD = 9,
    FRAME_HEADERS = 1,
    FRAME_CONTINUATION = 9,
    HEADERS_MAX = 64 * 1024, /* a header list over all its frames; the core bounds each frame's */
    LINGER_MS = 1000,        /* what a client gets to read the last bytes */
    STACK = 512 * 1024
};

enum stage {
    STAGE_HANDSHAKE,
    STAGE_OPEN,
    STAGE_LINGER /* everything is written; what still comes is for nobody */
};

/* Bytes that a socket did not take. */
struct held {
    uint8_t *at;
    size_t from, to;
};

/* Where in a client's frames the bytes stand. */
struct frames {
    uint64_t skip; /* what is left of the preface, or of a frame's payload */
    uint8_t head[FRAME_HEAD];
    uint32_t n_head;
    uint32_t headers; /* bytes of the present header list */
};

struct side {
    struct relay_conn *conn;
    int fd;
    uint32_t events; /* that epoll reports */
};

struct relay_conn {
    struct relay_conn *prev, *next;
    struct side client, core; /* gRPC's core: -1 before the handshake is done */
    int handed;               /* the descriptor that gRPC's core was given */
    struct tls_conn *tls;
    enum stage stage;
    int32_t wants; /* of the handshake: TLS_WANT_READ or TLS_WANT_WRITE */
    struct frames frames;
    struct held in, out; /* for the core; for the client */
    bool more;           /* there may be bytes from the client that epoll does not tell of */
    bool client_ended, core_ended;
    bool dead;        /* to be freed once its events are through */
    bool young;       /* its preface has not come */
    bool unread;      /* the client takes none of the bytes that are held for it */
    uint32_t got;     /* bytes of the preface */
    int64_t until_ms; /* young, unread or lingering: when it is ended */
};

struct relay {
    struct acceptor *acceptor;
    struct tls_security security;
    int64_t patience_ms;
    int epoll, wake;
    pthread_t thread;
    struct relay_conn *all, *dead;
    uint8_t *buffer;
    _Atomic uint32_t handshakes;
    int64_t look_ms; /* when a connection's time may be over; INT64_MAX: none has one */
    bool finishing;
    int64_t finish_ms;

    pthread_mutex_t mutex;    /* guards the rest */
    struct relay_conn *fresh; /* accepted, not yet the thread's */
    bool stop;
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

static void conn_kill(struct relay *r, struct relay_conn *c)
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

/* What the client still sends is read for a moment: closing a socket with unread bytes would take
 * back what it has not read yet. */
static void conn_linger(struct relay *r, struct relay_conn *c)
{
    if (c->stage == STAGE_HANDSHAKE)
        atomic_fetch_sub(&r->handshakes, 1);
    else
        r->security.api->say_goodbye(c->tls);
    c->stage = STAGE_LINGER;
    c->until_ms = now_ms() + LINGER_MS;
    expect(r, c->until_ms);
    if (shutdown(c->client.fd, SHUT_WR) != 0)
        conn_kill(r, c);
}

/* ---- moving bytes ---- */

/* Keeps what was not taken. */
static bool hold(struct held *h, const uint8_t *at, size_t n)
{
    h->at = (uint8_t *)malloc(n);
    if (!h->at)
        return false;
    memcpy(h->at, at, n);
    h->from = 0;
    h->to = n;
    return true;
}

static void held_took(struct held *h, size_t n)
{
    h->from += n;
    if (h->from == h->to) {
        free(h->at);
        *h = (struct held){NULL, 0, 0};
    }
}

/* Bytes that the core's socket took; -1: it is gone. */
static ssize_t give_core(struct relay_conn *c, const uint8_t *at, size_t n)
{
    const ssize_t put = send(c->core.fd, at, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    return put >= 0 ? put : errno == EAGAIN || errno == EINTR ? 0 : -1;
}

static ssize_t give_client(struct relay *r, struct relay_conn *c, const uint8_t *at, size_t n)
{
    size_t put = 0;
    while (put < n) {
        const ssize_t some = r->security.api->write(c->tls, at + put, n - put);
        if (some == TLS_WANT_WRITE)
            break;
        if (some < 0)
            return -1;
        put += (size_t)some;
    }
    return (ssize_t)put;
}

/* From the client: fills the buffer with whole records. Returns what the last read answered. */
static ssize_t read_client(struct relay *r, struct relay_conn *c, size_t *got)
{
    ssize_t n = 1;
    *got = 0;
    while (n > 0 && BUFFER - *got >= 16384) {
        n = r->security.api->read(c->tls, r->buffer + *got, BUFFER - *got);
        if (n > 0)
            *got += (size_t)n;
        if (n > 0 && !r->security.api->has_pending(c->tls))
            break;
    }
    return n;
}

/* False: a header list does not end. */
static bool walk_frames(struct frames *f, const uint8_t *at, size_t n)
{
    while (n > 0) {
        if (f->skip > 0) {
            const size_t step = f->skip < n ? (size_t)f->skip : n;
            f->skip -= step;
            at += step;
            n -= step;
            continue;
        }
        f->head[f->n_head++] = *at++;
        n--;
        if (f->n_head < FRAME_HEAD)
            continue;
        f->n_head = 0;
        f->skip = (uint32_t)f->head[0] << 16 | (uint32_t)f->head[1] << 8 | f->head[2];
        if (f->head[3] == FRAME_HEADERS)
            f->headers = 0;
        if (f->head[3] == FRAME_HEADERS || f->head[3] == FRAME_CONTINUATION) {
            f->headers += FRAME_HEAD + (uint32_t)f->skip;
            if (f->headers > HEADERS_MAX)
                return false;
        }
    }
    return true;
}

static void note_preface(struct relay_conn *c, size_t n)
{
    c->got += n < PREFACE_BYTES ? (uint32_t)n : PREFACE_BYTES;
    c->young = c->got < PREFACE_BYTES;
}

static void move_in(struct relay *r, struct relay_conn *c)
{
    size_t total = 0;
    c->more = true;
    while (!c->in.at && !c->client_ended && total < TURN) {
        size_t got;
        const ssize_t last = read_client(r, c, &got);
        const bool good = walk_frames(&c->frames, r->buffer, got);
        const ssize_t put = good && got > 0 ? give_core(c, r->buffer, got) : 0;
        if (!good || put < 0 ||
            ((size_t)put < got && !hold(&c->in, r->buffer + put, got - (size_t)put))) {
            conn_kill(r, c);
            return;
        }
        total += got;
        if (got > 0)
            acceptor_relayed(r->acceptor, c->handed, got);
        if (c->young && got > 0)
            note_preface(c, got);
        if (last > 0 && r->security.api->has_pending(c->tls))
            continue;
        c->more = false; /* the socket is empty, or epoll will tell */
        if (last == TLS_BROKEN) {
            conn_kill(r, c);
        } else if (last == TLS_CLOSED) {
            c->client_ended = true;
            if (!c->in.at)
                (void)shutdown(c->core.fd, SHUT_WR);
        }
        return;
    }
}

static void move_out(struct relay *r, struct relay_conn *c)
{
    size_t total = 0;
    while (!c->out.at && !c->core_ended && total < TURN) {
        const ssize_t got = recv(c->core.fd, r->buffer, BUFFER, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (got <= 0) {
            c->core_ended = true;
            break;
        }
        const ssize_t put = give_client(r, c, r->buffer, (size_t)got);
        if (put < 0 || (put < got && !hold(&c->out, r->buffer + put, (size_t)got - (size_t)put))) {
            conn_kill(r, c);
            return;
        }
        total += (size_t)got;
    }
    if (c->core_ended && !c->out.at)
        conn_linger(r, c);
}

static void flush_held(struct relay *r, struct relay_conn *c)
{
    if (c->in.at) {
        const ssize_t put = give_core(c, c->in.at + c->in.from, c->in.to - c->in.from);
        if (put < 0) {
            conn_kill(r, c);
            return;
        }
        held_took(&c->in, (size_t)put);
        if (!c->in.at && c->client_ended)
            (void)shutdown(c->core.fd, SHUT_WR);
    }
    if (c->out.at) {
        const ssize_t put = give_client(r, c, c->out.at + c->out.from, c->out.to - c->out.from);
        if (put < 0)
            conn_kill(r, c);
        else
            held_took(&c->out, (size_t)put);
        c->unread = c->unread && put == 0;
    }
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

/* The handshake is done: gRPC gets its end. */
static bool join_core(struct relay *r, struct relay_conn *c)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
        return false;
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
        conn_linger(r, c); /* so that the client reads why */
        return;
    }
    atomic_fetch_sub(&r->handshakes, 1);
    c->stage = STAGE_OPEN;
    if (!join_core(r, c))
        conn_kill(r, c);
}

static void drop_unread(struct relay *r, struct relay_conn *c)
{
    const ssize_t n = recv(c->client.fd, r->buffer, BUFFER, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        conn_kill(r, c);
}

/* Tells epoll what to wait for. The core's socket is nearly always writable: waiting for that gives
 * bytes their turn that OpenSSL has read already. */
static void arm(struct relay *r, struct relay_conn *c)
{
    uint32_t client = EPOLLIN, core = 0;
    if (c->stage == STAGE_HANDSHAKE) {
        client = c->wants == TLS_WANT_READ ? EPOLLIN : EPOLLOUT;
    } else if (c->stage == STAGE_OPEN) {
        client = (c->in.at || c->client_ended ? 0u : EPOLLIN) | (c->out.at ? EPOLLOUT : 0u);
        core = (c->out.at ? 0u : EPOLLIN) | (c->in.at || c->more ? EPOLLOUT : 0u);
    }
    if (!watch(r, &c->client, client) || (c->core.fd >= 0 && !watch(r, &c->core, core)))
        conn_kill(r, c);
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
        flush_held(r, c);
    if (c->stage == STAGE_OPEN && !c->dead)
        move_in(r, c);
    if (c->stage == STAGE_OPEN && !c->dead)
        move_out(r, c);
    if (c->stage == STAGE_LINGER && !c->dead)
        drop_unread(r, c);
    if (client_gone)
        conn_kill(r, c);
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
            conn_kill(r, c);
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
        conn_kill(r, r->all);
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
    c->frames.skip = PREFACE_BYTES;
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
    r->buffer = (uint8_t *)malloc(BUFFER);
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
