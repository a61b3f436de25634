/* Moves the bytes of one connection between the client, through TLS, and gRPC's core: see
 * grpc_relay.h. It copies through the thread's buffer; what a full socket does not take waits in the
 * connection's own, and nothing more is read on that way meanwhile. */
#include "receivers/otlp/grpc_relay.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
    TURN = 1 << 20, /* what one connection may move before the others have their turn */
    RECORD = 16384, /* the most that one TLS record holds */
    FRAME_HEADERS = 1,
    FRAME_CONTINUATION = 9,
    HEADERS_MAX = 64 * 1024 /* a header list over all its frames; the core bounds each frame's */
};

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

/* From the client: gathers records while there are any, since each time that gRPC is woken costs two
 * switches of threads. Who has sent less than a whole record has nothing more to say for now, and
 * the socket is not asked. Returns what the last read answered: only with a full buffer, `got`
 * above RELAY_BUFFER - RECORD, may there be more that epoll does not tell of. */
static ssize_t read_client(struct relay *r, struct relay_conn *c, size_t *got)
{
    const tls_api *tls = r->security.api;
    ssize_t n = RECORD;
    *got = 0;
    while (RELAY_BUFFER - *got >= RECORD && (n >= RECORD || (n > 0 && tls->has_pending(c->tls)))) {
        n = tls->read(c->tls, r->buffer + *got, RELAY_BUFFER - *got);
        if (n > 0)
            *got += (size_t)n;
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
        if (f->n_head < RELAY_FRAME_HEAD)
            continue;
        f->n_head = 0;
        f->skip = (uint32_t)f->head[0] << 16 | (uint32_t)f->head[1] << 8 | f->head[2];
        if (f->head[3] == FRAME_HEADERS)
            f->headers = 0;
        if (f->head[3] == FRAME_HEADERS || f->head[3] == FRAME_CONTINUATION) {
            f->headers += RELAY_FRAME_HEAD + (uint32_t)f->skip;
            if (f->headers > HEADERS_MAX)
                return false;
        }
    }
    return true;
}

static void note_preface(struct relay_conn *c, size_t n)
{
    c->got += n < RELAY_PREFACE ? (uint32_t)n : RELAY_PREFACE;
    c->young = c->got < RELAY_PREFACE;
}

/* The core has closed its end. What it has said before is still for the client, which may have sent
 * something meanwhile. */
static void end_in(struct relay_conn *c)
{
    free(c->in.at);
    c->in = (struct held){NULL, 0, 0};
    c->in_ended = true;
    c->more = false;
}

/* Gives the core what is in the buffer. False: the connection is of no use any more. */
static bool pass_in(struct relay *r, struct relay_conn *c, size_t got)
{
    if (got == 0)
        return true;
    if (!walk_frames(&c->frames, r->buffer, got))
        return false;
    const ssize_t put = give_core(c, r->buffer, got);
    if (put < 0) {
        end_in(c);
        return true;
    }
    if ((size_t)put < got && !hold(&c->in, r->buffer + put, got - (size_t)put))
        return false;
    acceptor_relayed(r->acceptor, c->handed, got);
    if (c->young)
        note_preface(c, got);
    return true;
}

void relay_move_in(struct relay *r, struct relay_conn *c)
{
    size_t total = 0;
    c->more = !c->in_ended;
    while (!c->in.at && !c->in_ended && total < TURN) {
        size_t got;
        const ssize_t last = read_client(r, c, &got);
        if (!pass_in(r, c, got) || last == TLS_BROKEN) {
            relay_kill(r, c);
            return;
        }
        total += got;
        if (last > 0 && RELAY_BUFFER - got < RECORD)
            continue;
        c->more = false;
        if (last == TLS_CLOSED) {
            c->in_ended = true;
            if (!c->in.at)
                (void)shutdown(c->core.fd, SHUT_WR);
        }
        return;
    }
}

void relay_move_out(struct relay *r, struct relay_conn *c)
{
    size_t total = 0;
    while (!c->out.at && !c->out_ended && total < TURN) {
        const ssize_t got = recv(c->core.fd, r->buffer, RELAY_BUFFER, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (got <= 0) {
            c->out_ended = true;
            break;
        }
        const ssize_t put = give_client(r, c, r->buffer, (size_t)got);
        if (put < 0 || (put < got && !hold(&c->out, r->buffer + put, (size_t)got - (size_t)put))) {
            relay_kill(r, c);
            return;
        }
        total += (size_t)got;
    }
    if (c->out_ended && !c->out.at)
        relay_linger(r, c);
}

static void flush_out(struct relay *r, struct relay_conn *c)
{
    const ssize_t put = give_client(r, c, c->out.at + c->out.from, c->out.to - c->out.from);
    if (put < 0) {
        relay_kill(r, c);
        return;
    }
    held_took(&c->out, (size_t)put);
    c->unread = c->unread && put == 0;
}

void relay_flush(struct relay *r, struct relay_conn *c)
{
    if (c->in.at) {
        const ssize_t put = give_core(c, c->in.at + c->in.from, c->in.to - c->in.from);
        if (put < 0)
            end_in(c);
        else
            held_took(&c->in, (size_t)put);
        if (!c->in.at && c->in_ended)
            (void)shutdown(c->core.fd, SHUT_WR);
    }
    if (c->out.at)
        flush_out(r, c);
}
