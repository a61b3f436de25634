/* A connection's bytes through TLS: the socket is polled, and OpenSSL, behind tls.h, reads and
 * writes it. Decrypted bytes go straight to where the connection wants them, which for a body of
 * known length is the handler's memory. On the loop's thread. */
#include "formats/http/internal.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    READ_AT_ONCE = 1 << 20, /* then the others have their turn */
    WORTH_WAKING = 64 << 10,
    SMALL = HTTP_HEAD_MAX + HTTP_OUT_INLINE
};

struct http_secure {
    const tls_api *api;
    struct tls_conn *tls;
    int fd;
    int events;  /* that are polled for */
    bool shaken; /* the handshake is over */
    bool broken; /* nothing more is decrypted or encrypted */
    bool more;   /* there may be bytes that polling does not tell about */
    int low;     /* bytes in the socket that polling waits for; 0: one */
    int wants;   /* of the handshake: UV_READABLE or UV_WRITABLE */
    unsigned first, n;
    uv_buf_t rest[2];  /* to be written */
    char small[SMALL]; /* a small answer in one piece, which is one record */
};

int http_secure_init(struct http_conn *c, int fd)
{
    const struct tls_security *security = &c->server->security;
    struct http_secure *s = (struct http_secure *)calloc(1, sizeof *s);
    if (!s)
        return UV_ENOMEM;
    s->api = security->api;
    s->fd = fd;
    s->wants = UV_READABLE;
    s->tls = s->api->accept(security->server, fd);
    const int failed = s->tls ? uv_poll_init(c->server->loop, &c->io.poll, fd) : UV_ENOMEM;
    if (failed) {
        if (s->tls)
            s->api->free(s->tls);
        free(s);
        return failed;
    }
    c->secure = s;
    return 0;
}

void http_secure_deinit(struct http_conn *c)
{
    c->secure->api->free(c->secure->tls);
    (void)close(c->secure->fd);
    free(c->secure);
    c->secure = NULL;
}

void http_secure_shutdown(struct http_conn *c)
{
    if (c->secure->shaken && !c->secure->broken)
        c->secure->api->say_goodbye(c->secure->tls);
}

/* ---- the handshake ---- */

/* The peer is to read why: what it still sends is read for a moment, as closing a socket with
 * unread bytes would take that back. */
static void give_up(struct http_conn *c, bool plain_http)
{
    static const char text[] = "HTTP/1.0 400 Bad Request\r\n\r\n"
                               "Client sent an HTTP request to an HTTPS server.\n";
    struct http_secure *s = c->secure;
    s->broken = s->shaken = true;
    if (plain_http) {
        c->server->counts.malformed++;
        (void)!send(s->fd, text, sizeof text - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    if (shutdown(s->fd, SHUT_WR) != 0) {
        http_conn_close(c);
        return;
    }
    c->stage = HTTP_STAGE_LINGER;
    http_server_deadline(c->server, c, HTTP_LINGER_MS);
}

static void shake(struct http_conn *c)
{
    struct http_secure *s = c->secure;
    const int32_t result = s->api->handshake(s->tls);
    switch (result) {
    case TLS_DONE:
        s->shaken = s->more = true;
        http_server_deadline(c->server, c, c->server->limits.header_timeout_ms);
        break;
    case TLS_WANT_READ:
    case TLS_WANT_WRITE:
        s->wants = result == TLS_WANT_READ ? UV_READABLE : UV_WRITABLE;
        break;
    default:
        give_up(c, result == TLS_PLAIN_HTTP);
    }
}

/* ---- reading ---- */

/* In the middle of a large body the thread is not woken for each record. OpenSSL may hold as much
 * as it reads at once, so that only what is beyond can be waited for. */
static void wait_for_more(struct http_secure *s, size_t missing)
{
    const int low = missing >= 2 * WORTH_WAKING ? WORTH_WAKING : 1;
    if (low == s->low || (low == 1 && s->low == 0))
        return;
    s->low = low;
    (void)setsockopt(s->fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof low);
}

/* What is read after a failure is for nobody. */
static ssize_t read_unread(struct http_conn *c, const uv_buf_t *room)
{
    const ssize_t n = recv(c->secure->fd, room->base, room->len, MSG_DONTWAIT);
    return n > 0 ? n : n == 0 ? TLS_CLOSED : TLS_WANT_READ;
}

/* Fills the room: a body's own until it is full or nothing more is there, the server's scratch
 * memory with what has come already. */
static ssize_t fill(struct http_conn *c, const uv_buf_t *room, size_t *got)
{
    struct http_secure *s = c->secure;
    const bool direct = (const uint8_t *)room->base != c->server->scratch;
    ssize_t n = 1;
    *got = 0;
    while (n > 0 && *got < room->len && (*got == 0 || direct || s->api->has_pending(s->tls))) {
        n = s->api->read(s->tls, room->base + *got, room->len - *got);
        if (n > 0)
            *got += (size_t)n;
    }
    wait_for_more(s, direct ? room->len - *got : 0);
    return n;
}

static void read_some(struct http_conn *c)
{
    struct http_secure *s = c->secure;
    size_t total = 0;
    s->more = true;
    while (c->reading && c->stage != HTTP_STAGE_CLOSED && total < READ_AT_ONCE) {
        const uv_buf_t room = http_conn_room(c);
        size_t got = 0;
        ssize_t n;
        if (s->broken) {
            n = read_unread(c, &room);
            got = n > 0 ? (size_t)n : 0;
        } else {
            n = fill(c, &room, &got);
        }
        total += got;
        if (got > 0)
            http_conn_input(c, (ssize_t)got, (const uint8_t *)room.base);
        if (n > 0 && s->api->has_pending(s->tls))
            continue;
        s->more = false; /* the socket is empty, or polling will tell */
        s->broken = s->broken || n == TLS_BROKEN;
        if (n <= 0 && n != TLS_WANT_READ && n != TLS_WANT_WRITE)
            http_conn_input(c, n == TLS_CLOSED ? UV_EOF : UV_ECONNRESET, NULL);
        return;
    }
}

/* ---- writing ---- */

/* 1: all of it has gone; 0: the socket is full. */
static int flush(struct http_secure *s)
{
    while (s->n > 0) {
        uv_buf_t *part = &s->rest[s->first];
        const ssize_t n = part->len ? s->api->write(s->tls, part->base, part->len) : 0;
        if (n == TLS_WANT_WRITE)
            return 0;
        if (n < 0)
            return UV_ECONNRESET;
        part->base += n;
        part->len -= (size_t)n;
        if (part->len == 0) {
            s->first++;
            s->n--;
        }
    }
    return 1;
}

int http_secure_write(struct http_conn *c, const uv_buf_t *parts, unsigned n)
{
    struct http_secure *s = c->secure;
    size_t total = 0;
    if (s->broken)
        return UV_ECONNRESET;
    for (unsigned i = 0; i < n; i++) {
        s->rest[i] = parts[i];
        total += parts[i].len;
    }
    s->first = 0;
    s->n = n;
    if (n == 2 && total <= sizeof s->small) {
        memcpy(s->small, parts[0].base, parts[0].len);
        memcpy(s->small + parts[0].len, parts[1].base, parts[1].len);
        s->rest[0] = (uv_buf_t){.base = s->small, .len = total};
        s->n = 1;
    }
    const int done = flush(s);
    return done == 0 && http_secure_watch(c) != 0 ? UV_ECONNRESET : done;
}

/* ---- events ---- */

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct http_conn *c = (struct http_conn *)poll->data;
    struct http_secure *s = c->secure;
    (void)events; /* whatever is possible is tried */
    if (status != 0) {
        http_conn_close(c);
        return;
    }
    if (!s->shaken)
        shake(c);
    if (s->shaken && s->n > 0) {
        const int done = flush(s);
        if (done != 0)
            http_conn_written(c, done < 0 ? done : 0);
    }
    if (s->shaken && c->stage != HTTP_STAGE_CLOSED)
        read_some(c);
    if (http_secure_watch(c) != 0)
        http_conn_close(c);
}

/* A socket is nearly always writable: polling for that gives bytes their turn that have been read
 * from it already. */
int http_secure_watch(struct http_conn *c)
{
    struct http_secure *s = c->secure;
    int events = s->shaken ? 0 : s->wants;
    if (c->stage == HTTP_STAGE_CLOSED)
        return 0;
    if (s->shaken && c->reading)
        events = UV_READABLE | (s->more ? UV_WRITABLE : 0);
    if (s->n > 0)
        events |= UV_WRITABLE;
    if (events == s->events)
        return 0;
    s->events = events;
    return events ? uv_poll_start(&c->io.poll, events, on_poll) : uv_poll_stop(&c->io.poll);
}

void http_secure_catch_up(struct http_conn *c)
{
    if (c->secure->shaken)
        read_some(c);
    if (http_secure_watch(c) != 0)
        http_conn_close(c);
}
