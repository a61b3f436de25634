/* One connection: reads, runs the parser as far as requests have been answered, writes answers, and
 * ends. On the loop's thread, but http_conn_free. */
#include "formats/http/internal.h"

#include <stdlib.h>
#include <unistd.h>

static void on_closed(uv_handle_t *handle)
{
    struct http_conn *c = (struct http_conn *)handle->data;
    /* An owed answer may be in the queue already, and forgetting the last connection empties it. */
    bool owed = c->owed;
    c->handle_closed = true;
    http_stream_deinit(c);
    http_server_forget(c->server, c);
    if (!owed)
        http_conn_free(c);
}

void http_conn_free(struct http_conn *c)
{
    struct http_server *s = c->server;
    http_answer_release(c);
    http_request_deinit(c);
    free(c);
    http_server_unref(s);
}

void http_conn_close(struct http_conn *c)
{
    if (c->stage == HTTP_STAGE_CLOSED)
        return;
    const struct http_handler *handler = &c->server->handler;
    bool abandoned = c->stage == HTTP_STAGE_BODY && !c->answered;
    c->stage = HTTP_STAGE_CLOSED;
    c->deadline = 0;
    if (abandoned && handler->abandon)
        handler->abandon(handler->ctx, &c->rq);
    http_stream_close(c, on_closed);
}

/* ---- writing ---- */

/* The last answer is out: what the client still sends is read for a moment, because closing a
 * socket with unread bytes would take the answer back. */
static void linger(struct http_conn *c)
{
    if (c->eof || http_stream_shutdown(c) != 0) {
        http_conn_close(c);
        return;
    }
    c->stage = HTTP_STAGE_LINGER;
    free(c->stash);
    c->stash = NULL;
    c->stash_n = 0;
    http_server_deadline(c->server, c, HTTP_LINGER_MS);
}

void http_conn_written(struct http_conn *c, int status)
{
    c->writing = false;
    if (status != 0)
        http_conn_close(c);
    else
        http_conn_resume(c);
}

/* Gives the answer to the socket; most go out at once. */
static void send_answer(struct http_conn *c, bool closes)
{
    c->close_after = closes = closes || c->close_after || !c->keep || c->eof || c->server->draining;
    http_answer_head(c, closes);
    const uv_buf_t parts[2] = {{.base = c->head, .len = c->head_n},
                               {.base = (char *)c->out, .len = c->out_n}};
    c->sent = true;
    const int done = http_stream_write(c, parts, 2);
    if (done < 0) {
        http_conn_close(c);
    } else if (!done) {
        c->writing = true;
        http_server_deadline(c->server, c, c->server->limits.write_timeout_ms);
    }
}

/* After an answer has left: the next request, or the end. */
static void proceed(struct http_conn *c)
{
    struct http_server *s = c->server;
    if (c->stage >= HTTP_STAGE_LINGER || !c->sent || c->writing)
        return;
    if (c->close_after) {
        http_answer_release(c);
        linger(c);
    } else if (c->complete) {
        http_answer_release(c);
        c->complete = c->answered = c->sent = false;
        c->stage = HTTP_STAGE_IDLE;
        c->since = uv_now(s->loop);
        if (s->draining && c->stash_n == 0)
            http_conn_close(c);
        else
            http_server_deadline(s, c, s->limits.idle_timeout_ms);
    }
}

void http_conn_refuse(struct http_conn *c, int status)
{
    struct http_counts *n = &c->server->counts;
    const struct http_handler *handler = &c->server->handler;
    char text[96];
    int len =
        snprintf(text, sizeof text, "%d %s\n", status, http_status_str((enum http_status)status));
    struct http_answer a = {.status = status,
                            .close = true,
                            .content_type = "text/plain; charset=utf-8",
                            .body = sl_slice(text, (size_t)len)};
    if (status == 408)
        n->timeouts++;
    else if (status == 413)
        n->too_large++;
    else
        n->malformed++;
    bool abandoned = c->stage == HTTP_STAGE_BODY;
    c->stage = HTTP_STAGE_SKIP;
    if (abandoned && handler->abandon)
        handler->abandon(handler->ctx, &c->rq);
    http_answer_serialize(c, &a);
    c->answered = true;
    send_answer(c, true);
    proceed(c);
}

/* ---- parsing ---- */

static bool hungry(const struct http_conn *c)
{
    return !c->complete && c->stage < HTTP_STAGE_BUSY && !(c->sent && c->close_after);
}

static void finish_request(struct http_conn *c)
{
    const struct http_handler *handler = &c->server->handler;
    if (c->stage != HTTP_STAGE_BODY)
        return; /* answered before its end */
    c->server->counts.requests++;
    if (!http_request_flush(c))
        return;
    c->stage = HTTP_STAGE_BUSY;
    http_server_deadline(c->server, c, 0);
    c->owed = true;
    handler->end(handler->ctx, &c->rq);
}

/* The parser stopped: by the handler, who has answered, or over a broken rule. */
static void parse_failed(struct http_conn *c, enum http_errno error)
{
    if (c->answered) {
        if (!c->sent)
            send_answer(c, true);
        c->close_after = true;
        proceed(c);
    } else if (c->refusal) {
        http_conn_refuse(c, c->refusal);
    } else if (error == HPE_HEADER_OVERFLOW) {
        http_conn_refuse(c, 431);
    } else {
        http_conn_refuse(c, 400);
    }
}

static void send_continue(struct http_conn *c)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    c->expects = false;
    const uv_buf_t part = {.base = (char *)(uintptr_t)text, .len = sizeof text - 1};
    /* The socket is empty here: a part that does not fit means that the client is not reading. */
    if (http_stream_write(c, &part, 1) != 1)
        http_conn_close(c);
}

/* Runs the parser until the input is used up or a request waits for its answer; returns how much it
 * took. */
static size_t parse(struct http_conn *c, const uint8_t *at, size_t n)
{
    size_t taken = 0;
    c->parsing = true;
    while (taken < n && hungry(c)) {
        c->piece = (const char *)at + taken;
        taken += http_parser_execute(&c->parser, &http_request_settings, (const char *)at + taken,
                                     n - taken);
        enum http_errno error = HTTP_PARSER_ERRNO(&c->parser);
        if (error != HPE_OK && error != HPE_PAUSED) {
            parse_failed(c, error);
            taken = n;
            break;
        }
        if (error == HPE_PAUSED) {
            http_parser_pause(&c->parser, 0);
            finish_request(c);
        }
        if (c->answered && !c->sent)
            send_answer(c, false);
        proceed(c);
    }
    if (hungry(c) && c->stage == HTTP_STAGE_BODY) {
        if (!http_request_want_room(c))
            parse_failed(c, HPE_OK);
        else if (c->expects && c->body_got == 0)
            send_continue(c);
    }
    const bool chunked = c->stage == HTTP_STAGE_BODY && c->rq.length == HTTP_NO_LENGTH;
    if (c->stage == HTTP_STAGE_HEADERS || chunked) /* trailers come after chunks */
        http_request_remember(c, (const char *)at, taken);
    c->parsing = false;
    return taken;
}

/* ---- reading ---- */

/* Bytes of a body whose length is known are read into the handler's memory, and never a byte
 * beyond it. */
static bool reads_directly(const struct http_conn *c)
{
    return c->stage == HTTP_STAGE_BODY && !c->complete && c->room_n > c->room_used &&
           c->rq.length != HTTP_NO_LENGTH;
}

uv_buf_t http_conn_room(struct http_conn *c)
{
    if (reads_directly(c)) {
        const uint64_t rest = c->rq.length - c->body_got;
        const size_t room = c->room_n - c->room_used;
        return (uv_buf_t){.base = (char *)c->room + c->room_used,
                          .len = rest < room ? (size_t)rest : room};
    }
    /* Whoever sent a large body sends another one: little of it should come with its head. */
    const bool large = c->stage == HTTP_STAGE_IDLE && c->body_got > HTTP_SCRATCH;
    return uv_buf_init((char *)c->server->scratch, large ? HTTP_HEAD_ALONE : HTTP_SCRATCH);
}

static void stop_reading(struct http_conn *c)
{
    if (c->reading) {
        c->reading = false;
        http_stream_stop(c);
    }
}

static void on_eof(struct http_conn *c, ssize_t error)
{
    if (error == UV_EOF && (c->stage == HTTP_STAGE_BUSY || c->writing)) {
        c->eof = true; /* a half-closed client still gets its answer */
        stop_reading(c);
    } else {
        http_conn_close(c);
    }
}

static void stash(struct http_conn *c, const uint8_t *at, size_t n)
{
    c->stash = (uint8_t *)malloc(n);
    if (!c->stash) {
        http_conn_close(c);
        return;
    }
    memcpy(c->stash, at, n);
    c->stash_at = 0;
    c->stash_n = n;
    stop_reading(c);
}

void http_conn_input(struct http_conn *c, ssize_t nread, const uint8_t *at)
{
    if (c->stage == HTTP_STAGE_CLOSED || nread == 0)
        return;
    if (nread < 0) {
        on_eof(c, nread);
        return;
    }
    size_t n = (size_t)nread;
    if (c->stage == HTTP_STAGE_LINGER) {
        c->lingered += n;
        if (c->lingered > HTTP_LINGER_BYTES)
            http_conn_close(c);
        return;
    }
    size_t taken = parse(c, at, n);
    if (taken < n && c->stage < HTTP_STAGE_LINGER)
        stash(c, at + taken, n - taken);
}

static void start_reading(struct http_conn *c)
{
    if (c->reading || c->eof || c->stage == HTTP_STAGE_CLOSED)
        return;
    c->reading = true;
    if (http_stream_start(c) != 0)
        http_conn_close(c);
}

void http_conn_resume(struct http_conn *c)
{
    if (c->answered && !c->sent && c->stage != HTTP_STAGE_CLOSED)
        send_answer(c, false);
    proceed(c);
    if (c->stash && hungry(c)) {
        size_t taken = parse(c, c->stash + c->stash_at, c->stash_n);
        if (c->stash) { /* else it was let go with the connection's last answer */
            c->stash_at += taken;
            c->stash_n -= taken;
            if (c->stash_n == 0) {
                free(c->stash);
                c->stash = NULL;
            }
        }
    }
    if (!c->stash && (hungry(c) || c->stage == HTTP_STAGE_LINGER))
        start_reading(c);
}

/* ---- beginning and time ---- */

void http_conn_accept(struct http_server *s, int fd)
{
    struct http_conn *c = (struct http_conn *)calloc(1, sizeof *c);
    if (!c) {
        (void)close(fd);
        return;
    }
    c->server = s;
    if (http_stream_init(c, fd) != 0) {
        free(c);
        (void)close(fd);
        return;
    }
    http_server_ref(s);
    http_parser_init(&c->parser, HTTP_REQUEST);
    c->parser.data = c;
    c->stage = HTTP_STAGE_IDLE;
    c->fresh = true;
    c->since = uv_now(s->loop);
    c->next = s->conns;
    if (c->next)
        c->next->prev = c;
    s->conns = c;
    s->counts.open++;
    s->counts.accepted++;
    if (http_stream_open(c, fd) != 0) {
        (void)close(fd);
        http_conn_close(c);
        return;
    }
    const uint32_t within = s->limits.header_timeout_ms;
    http_server_deadline(s, c, within || !c->secure ? within : HTTP_HANDSHAKE_MS);
    start_reading(c);
}

/* A body may be slow for a while, but not for long, and must not fall below the rate on average. */
static bool body_is_late(struct http_conn *c, uint64_t now)
{
    const struct http_limits *l = &c->server->limits;
    uint64_t spent = now - c->since, again = 1000;
    if (l->body_timeout_ms) {
        if (spent >= l->body_timeout_ms)
            return true;
        again = l->body_timeout_ms - spent < again ? l->body_timeout_ms - spent : again;
    }
    if (l->body_rate && spent >= l->body_rate_after_ms &&
        c->body_got * 1000 < (uint64_t)l->body_rate * spent)
        return true;
    http_server_deadline(c->server, c, again);
    return false;
}

void http_conn_expire(struct http_conn *c, uint64_t now)
{
    struct http_counts *n = &c->server->counts;
    c->deadline = 0;
    if (c->writing) {
        n->timeouts++;
        http_conn_close(c);
    } else if (c->stage == HTTP_STAGE_HEADERS) {
        http_conn_refuse(c, 408);
    } else if (c->stage == HTTP_STAGE_BODY) {
        http_stream_catch_up(c); /* or what has come would not count */
        if (c->stage == HTTP_STAGE_BODY && body_is_late(c, now))
            http_conn_refuse(c, 408);
    } else {
        http_conn_close(c);
    }
}
