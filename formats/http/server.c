/* The server: accepts, keeps the connections, their deadlines and the answers that come from other
 * threads, drains and closes. On the loop's thread, but http_answer and the reference count. */
#include "formats/http/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

void http_limits_init(struct http_limits *l)
{
    memset(l, 0, sizeof *l);
    l->body_rate = 1024;
    l->body_rate_after_ms = 10000;
    l->header_timeout_ms = 10000;
    l->write_timeout_ms = 30000;
    l->idle_timeout_ms = 60000;
}

static void limits_complete(struct http_limits *l)
{
    if (!l->connections)
        l->connections = 1024;
    if (!l->header_bytes)
        l->header_bytes = 16 * 1024;
    if (!l->header_count)
        l->header_count = 100;
    if (!l->body_bytes)
        l->body_bytes = 20 * 1024 * 1024;
}

void http_server_ref(struct http_server *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
}

void http_server_unref(struct http_server *s)
{
    if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1) {
        pthread_mutex_destroy(&s->lock);
        free(s);
    }
}

/* ---- answers ---- */

/* The handler's answer has arrived on the loop. */
static void take_answer(struct http_conn *c)
{
    c->owed = false;
    c->answered = true;
    if (c->handle_closed)
        http_conn_free(c);
    else if (!c->parsing) /* else whoever runs the parser goes on */
        http_conn_resume(c);
}

void http_answer(struct http_request *rq, const struct http_answer *answer)
{
    struct http_conn *c = (struct http_conn *)(void *)rq; /* its first member */
    struct http_server *s = c->server;
    http_answer_serialize(c, answer);
    if (pthread_equal(pthread_self(), s->thread) && !s->gone) {
        take_answer(c);
        return;
    }
    pthread_mutex_lock(&s->lock);
    bool gone = s->gone;
    if (!gone) {
        bool first = s->answers == NULL;
        c->next_answer = s->answers;
        s->answers = c;
        if (first && !s->deaf)
            (void)uv_async_send(&s->wake);
    }
    pthread_mutex_unlock(&s->lock);
    if (gone)
        http_conn_free(c);
}

static struct http_conn *answers_take(struct http_server *s)
{
    pthread_mutex_lock(&s->lock);
    struct http_conn *latest = s->answers, *first = NULL;
    s->answers = NULL;
    pthread_mutex_unlock(&s->lock);
    while (latest) {
        struct http_conn *next = latest->next_answer;
        latest->next_answer = first;
        first = latest;
        latest = next;
    }
    return first;
}

static void on_wake(uv_async_t *wake)
{
    struct http_server *s = (struct http_server *)wake->data;
    struct http_conn *c = answers_take(s);
    while (c) {
        struct http_conn *next = c->next_answer;
        take_answer(c);
        c = next;
    }
}

/* ---- time ---- */

static void on_timer(uv_timer_t *timer);

static void timer_arm(struct http_server *s, uint64_t at)
{
    uint64_t now = uv_now(s->loop);
    if (s->closing || (s->timer_at && s->timer_at <= at))
        return;
    s->timer_at = at;
    (void)uv_timer_start(&s->timer, on_timer, at > now ? at - now : 0, 0);
}

void http_server_deadline(struct http_server *s, struct http_conn *c, uint64_t after_ms)
{
    c->deadline = 0;
    if (after_ms) {
        c->deadline = uv_now(s->loop) + after_ms;
        timer_arm(s, c->deadline);
    }
}

static void accept_resume(struct http_server *s);

/* One timer for all connections: it is set to the earliest deadline that there was, and looks for
 * the next one when it fires. Most requests never touch it. */
static void on_timer(uv_timer_t *timer)
{
    struct http_server *s = (struct http_server *)timer->data;
    uint64_t now = uv_now(s->loop), earliest = 0;
    s->timer_at = 0;
    if (s->accept_again && s->accept_again <= now)
        accept_resume(s);
    for (struct http_conn *c = s->conns, *next; c; c = next) {
        next = c->next; /* closing leaves the list alone until later */
        if (c->deadline && c->deadline <= now)
            http_conn_expire(c, now);
        if (c->deadline && (!earliest || c->deadline < earliest))
            earliest = c->deadline;
    }
    if (s->accept_again && (!earliest || s->accept_again < earliest))
        earliest = s->accept_again;
    if (earliest)
        timer_arm(s, earliest);
}

/* ---- accepting ---- */

/* The one that has been idle for the longest time makes room for another. */
static bool evict_idle(struct http_server *s)
{
    struct http_conn *longest = NULL;
    for (struct http_conn *c = s->conns; c; c = c->next) {
        if (c->stage == HTTP_STAGE_IDLE && !c->fresh && (!longest || c->since <= longest->since))
            longest = c;
    }
    if (longest)
        http_conn_close(longest);
    return longest != NULL;
}

static void turn_away(struct http_server *s, int fd)
{
    static const char busy[] = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n"
                               "Retry-After: 1\r\nContent-Length: 0\r\n\r\n";
    s->counts.turned_away++;
    if (!s->security.api) /* there is no way to say it before a handshake */
        (void)!send(fd, busy, sizeof busy - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)shutdown(fd, SHUT_WR);
    (void)close(fd);
}

static void on_acceptable(uv_poll_t *poll, int status, int events)
{
    struct http_server *s = (struct http_server *)poll->data;
    uv_os_fd_t listener;
    (void)events;
    if (status != 0 || uv_fileno((uv_handle_t *)poll, &listener) != 0)
        return;
    for (int i = 0; i < 64; i++) { /* then the others have their turn */
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                (void)evict_idle(s);
                (void)uv_poll_stop(&s->accept);
                s->accept_again = uv_now(s->loop) + HTTP_ACCEPT_PAUSE_MS;
                timer_arm(s, s->accept_again);
            } else if (errno == EINTR || errno == ECONNABORTED) {
                continue;
            }
            return;
        }
        if (!s->scratch)
            s->scratch = (uint8_t *)malloc(HTTP_SCRATCH);
        if (!s->scratch || (s->counts.open >= s->limits.connections && !evict_idle(s)))
            turn_away(s, fd);
        else
            http_conn_accept(s, fd);
    }
}

static void accept_resume(struct http_server *s)
{
    s->accept_again = 0;
    if (s->listening && !s->draining && !s->closing)
        (void)uv_poll_start(&s->accept, UV_READABLE, on_acceptable);
}

/* ---- life ---- */

int32_t http_server_create(uv_loop_t *loop, const struct http_handler *handler,
                           const struct http_limits *limits, struct http_server **out,
                           sl_error *error)
{
    struct http_server *s = (struct http_server *)calloc(1, sizeof *s);
    if (!s || pthread_mutex_init(&s->lock, NULL) != 0) {
        free(s);
        return sl_fail(error, SL_ERR_NOMEM, "no memory for an HTTP server");
    }
    s->loop = loop;
    s->handler = *handler;
    s->limits = *limits;
    limits_complete(&s->limits);
    s->thread = pthread_self();
    atomic_init(&s->refs, 1);
    s->timer.data = s->accept.data = s->wake.data = s;
    int failed = uv_async_init(loop, &s->wake, on_wake);
    if (failed) {
        http_server_unref(s);
        return sl_fail(error, SL_ERR_IO, "cannot set up an HTTP server: %s", uv_strerror(failed));
    }
    (void)uv_timer_init(loop, &s->timer); /* always succeeds */
    s->handles = 2;
    *out = s;
    return SL_OK;
}

void http_server_secure(struct http_server *s, const struct tls_security *security)
{
    s->security = *security;
}

int32_t http_server_listen(struct http_server *s, int fd, sl_error *error)
{
    int failed = uv_poll_init(s->loop, &s->accept, fd);
    if (!failed) {
        s->listening = true;
        s->handles++;
        failed = uv_poll_start(&s->accept, UV_READABLE, on_acceptable);
    }
    return failed ? sl_fail(error, SL_ERR_IO, "cannot accept connections: %s", uv_strerror(failed))
                  : SL_OK;
}

static void drained_check(struct http_server *s)
{
    if (s->draining && !s->conns && s->drained) {
        void (*drained)(void *) = s->drained;
        s->drained = NULL;
        drained(s->drained_ctx);
    }
}

/* The end of the loop's part. Answers that are still to come find `gone`. */
static void gone_check(struct http_server *s)
{
    if (!s->closing || s->handles > 0 || s->conns)
        return;
    pthread_mutex_lock(&s->lock);
    s->gone = true;
    pthread_mutex_unlock(&s->lock);
    on_wake(&s->wake);
    void (*closed)(void *) = s->closed;
    void *ctx = s->closed_ctx;
    http_server_unref(s);
    if (closed)
        closed(ctx);
}

void http_server_forget(struct http_server *s, struct http_conn *c)
{
    if (c->prev)
        c->prev->next = c->next;
    else
        s->conns = c->next;
    if (c->next)
        c->next->prev = c->prev;
    c->prev = c->next = NULL;
    s->counts.open--;
    if (!s->conns) {
        free(s->scratch);
        s->scratch = NULL;
    }
    drained_check(s);
    gone_check(s);
}

/* An idle connection may have a request under way that has not been read yet. */
static bool has_input(const struct http_conn *c)
{
    uv_os_fd_t fd;
    char byte;
    return uv_fileno(&c->io.handle, &fd) == 0 && recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

void http_server_drain(struct http_server *s, void (*drained)(void *ctx), void *ctx)
{
    s->draining = true;
    s->drained = drained;
    s->drained_ctx = ctx;
    if (s->listening)
        (void)uv_poll_stop(&s->accept);
    for (struct http_conn *c = s->conns, *next; c; c = next) {
        next = c->next;
        if (c->stage == HTTP_STAGE_IDLE && !has_input(c))
            http_conn_close(c);
    }
    drained_check(s);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct http_server *s = (struct http_server *)handle->data;
    s->handles--;
    gone_check(s);
}

void http_server_close(struct http_server *s, void (*closed)(void *ctx), void *ctx)
{
    s->closing = true;
    s->closed = closed;
    s->closed_ctx = ctx;
    pthread_mutex_lock(&s->lock);
    s->deaf = true;
    pthread_mutex_unlock(&s->lock);
    if (s->listening)
        uv_close((uv_handle_t *)&s->accept, on_handle_closed);
    uv_close((uv_handle_t *)&s->timer, on_handle_closed);
    uv_close((uv_handle_t *)&s->wake, on_handle_closed);
    for (struct http_conn *c = s->conns, *next; c; c = next) {
        next = c->next;
        http_conn_close(c);
    }
}

void http_server_counts(const struct http_server *s, struct http_counts *counts)
{
    *counts = s->counts;
}
