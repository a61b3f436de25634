/* One connection of the HTTP client: connecting, writing a request from where it lies, reading the
 * answer within limits. On the loop's thread. */
#include "formats/http/client_internal.h"

#include <stdlib.h>

enum {
    PIECES_AT_ONCE = 64,
    KEEPALIVE_S = 30, /* TCP's own probes */
    BODY_AT_FIRST = 1024
};

static void write_on(struct http_conversation *v);

/* ---- the end of an exchange ---- */

static void on_closed(uv_handle_t *handle)
{
    struct http_conversation *v = handle->data;
    struct http_client *c = v->client;
    free(v->body);
    free(v);
    client_handle_closed(c);
}

static void unlink_idle(struct http_conversation *v)
{
    struct http_conversation **at = &v->client->idle;
    while (*at && *at != v)
        at = &(*at)->next_idle;
    if (*at) {
        *at = v->next_idle;
        v->client->n_idle--;
    }
}

void conversation_close(struct http_conversation *v)
{
    if (v->state == CONVERSATION_CLOSED)
        return;
    if (v->state == CONVERSATION_IDLE)
        unlink_idle(v);
    v->state = CONVERSATION_CLOSED;
    v->exchange = NULL;
    if (v->prev)
        v->prev->next = v->next;
    else
        v->client->all = v->next;
    if (v->next)
        v->next->prev = v->prev;
    v->client->n_conversations--;
    uv_close(&v->io.handle, on_closed);
}

static void make_idle(struct http_conversation *v)
{
    struct http_client *c = v->client;
    v->state = CONVERSATION_IDLE;
    v->exchange = NULL;
    v->reused = true;
    v->idle_since_ms = uv_now(c->loop);
    v->next_idle = c->idle;
    c->idle = v;
    c->n_idle++;
    if (c->options.idle_timeout_ms)
        client_arm(c, v->idle_since_ms + c->options.idle_timeout_ms);
}

/* The answer is there, or what there will ever be of it. */
static void finish(struct http_conversation *v, int error)
{
    struct http_exchange *x = v->exchange;
    struct http_client *c = v->client;
    x->body = sl_slice(v->body, v->body_n);
    if (error == 0 && v->keep && !v->writing && !v->broken && !c->options.no_keep_alive &&
        !c->closing && (!c->options.idle_max || c->n_idle < c->options.idle_max || c->waiting))
        make_idle(v);
    else
        conversation_close(v);
    client_finish(c, x, error);
}

/* A kept connection that is dead already is nobody's fault: the request goes out once more. */
static void fail(struct http_conversation *v, int error)
{
    struct http_exchange *x = v->exchange;
    struct http_client *c = v->client;
    if (v->reused && !v->answered && !x->retried) {
        x->retried = true;
        x->conversation = NULL;
        conversation_close(v);
        error = client_connect(c, x);
        if (error)
            client_finish(c, x, error);
        return;
    }
    finish(v, error);
}

/* ---- reading ---- */

static struct http_conversation *of_parser(const http_parser *parser)
{
    return (struct http_conversation *)parser->data;
}

static int on_begin(http_parser *parser)
{
    struct http_conversation *v = of_parser(parser);
    v->name_n = v->value_n = 0;
    v->in_value = v->skip_header = false;
    if (v->exchange->header)
        v->exchange->header(v->exchange, sl_slice(NULL, 0), sl_slice(NULL, 0));
    return 0;
}

static void give_header(struct http_conversation *v)
{
    struct http_exchange *x = v->exchange;
    if (v->in_value && !v->skip_header && x->header)
        x->header(x, sl_slice(v->name, v->name_n), sl_slice(v->value, v->value_n));
    v->name_n = v->value_n = 0;
    v->in_value = v->skip_header = false;
}

static int on_name(http_parser *parser, const char *at, size_t n)
{
    struct http_conversation *v = of_parser(parser);
    if (v->in_value)
        give_header(v);
    if (n > sizeof v->name - v->name_n) {
        v->skip_header = true;
        return 0;
    }
    memcpy(v->name + v->name_n, at, n);
    v->name_n += n;
    return 0;
}

static int on_value(http_parser *parser, const char *at, size_t n)
{
    struct http_conversation *v = of_parser(parser);
    v->in_value = true;
    if (n > sizeof v->value - v->value_n) {
        v->skip_header = true;
        return 0;
    }
    memcpy(v->value + v->value_n, at, n);
    v->value_n += n;
    return 0;
}

static int on_headers(http_parser *parser)
{
    struct http_conversation *v = of_parser(parser);
    give_header(v);
    if (parser->status_code >= 200) { /* an interim answer is followed by another */
        v->final = true;
        v->exchange->status = (int)parser->status_code;
    }
    return parser->upgrade ? 1 : 0; /* nobody has asked for that */
}

static int on_body(http_parser *parser, const char *at, size_t n)
{
    struct http_conversation *v = of_parser(parser);
    const struct http_client_options *o = &v->client->options;
    const int status = v->exchange->status;
    const size_t max = status >= 200 && status <= 299 ? o->body_max : o->error_max;
    if (n > max - v->body_n) {
        v->exchange->too_long = true;
        return 1;
    }
    if (n > v->body_room - v->body_n) {
        size_t room = v->body_room ? v->body_room : BODY_AT_FIRST;
        while (room - v->body_n < n)
            room *= 2;
        uint8_t *more = realloc(v->body, room);
        if (!more)
            return 1;
        v->body = more;
        v->body_room = room;
    }
    memcpy(v->body + v->body_n, at, n);
    v->body_n += n;
    return 0;
}

static int on_complete(http_parser *parser)
{
    struct http_conversation *v = of_parser(parser);
    if (v->final) {
        v->keep = http_should_keep_alive(parser) != 0;
        v->complete = true;
        http_parser_pause(parser, 1); /* nothing may follow */
    }
    return 0;
}

static const http_parser_settings *settings(void)
{
    static const http_parser_settings all = {.on_message_begin = on_begin,
                                             .on_header_field = on_name,
                                             .on_header_value = on_value,
                                             .on_headers_complete = on_headers,
                                             .on_body = on_body,
                                             .on_message_complete = on_complete};
    return &all;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct http_conversation *v = handle->data;
    (void)suggested;
    *buffer = uv_buf_init((char *)v->client->scratch, sizeof v->client->scratch);
}

static void on_end(struct http_conversation *v, int error)
{
    if (v->state == CONVERSATION_IDLE) {
        conversation_close(v);
        return;
    }
    if (error == UV_EOF && v->final) { /* a body without a length ends so */
        (void)http_parser_execute(&v->parser, settings(), NULL, 0);
        if (v->complete) {
            v->keep = false;
            finish(v, 0);
            return;
        }
    }
    fail(v, error);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    struct http_conversation *v = stream->data;
    if (n == 0 || v->state == CONVERSATION_CLOSED)
        return;
    if (n < 0) {
        on_end(v, (int)n);
        return;
    }
    if (v->state == CONVERSATION_IDLE) { /* an answer to nothing */
        conversation_close(v);
        return;
    }
    v->answered = true;
    const bool in_headers = !v->final;
    const size_t parsed = http_parser_execute(&v->parser, settings(), buffer->base, (size_t)n);
    if (in_headers)
        v->header_bytes += v->final ? 0 : (size_t)n;
    if (v->complete) {
        v->keep = v->keep && parsed == (size_t)n;
        finish(v, 0);
    } else if (HTTP_PARSER_ERRNO(&v->parser) != HPE_OK || v->parser.upgrade) {
        finish(v, v->exchange->too_long ? UV_E2BIG : UV_EPROTO);
    } else if (v->header_bytes > v->client->options.header_max) {
        finish(v, UV_E2BIG);
    }
}

/* ---- writing ---- */

static sl_bytes piece_of(const struct http_exchange *x, uint32_t piece)
{
    return piece == 0 ? x->head : x->segments[piece - 1];
}

static unsigned gather(const struct http_conversation *v, uv_buf_t buffers[PIECES_AT_ONCE],
                       size_t *bytes)
{
    const struct http_exchange *x = v->exchange;
    unsigned n = 0;
    size_t offset = v->offset;
    *bytes = 0;
    for (uint32_t i = v->piece; i <= x->n_segments && n < PIECES_AT_ONCE; i++) {
        const sl_bytes piece = piece_of(x, i);
        if (piece.n > offset) {
            const size_t left = piece.n - offset;
            /* libuv only reads it; lengths of one write stay within an int */
            const size_t part =
                left < INT32_MAX / PIECES_AT_ONCE ? left : INT32_MAX / PIECES_AT_ONCE;
            buffers[n].base = (char *)(uintptr_t)(piece.p + offset);
            buffers[n++].len = part;
            *bytes += part;
            if (part < left)
                break;
        }
        offset = 0;
    }
    return n;
}

static void advance(struct http_conversation *v, size_t n)
{
    const struct http_exchange *x = v->exchange;
    while (v->piece <= x->n_segments) {
        const size_t left = piece_of(x, v->piece).n - v->offset;
        if (n < left) {
            v->offset += n;
            return;
        }
        n -= left;
        v->piece++;
        v->offset = 0;
    }
}

static void on_written(uv_write_t *request, int error)
{
    struct http_conversation *v = request->data;
    v->writing = false;
    if (v->state != CONVERSATION_BUSY)
        return;
    v->broken = error != 0;
    write_on(v);
}

/* 0 or libuv's error. */
static int write_some(struct http_conversation *v)
{
    uv_buf_t buffers[PIECES_AT_ONCE];
    uv_stream_t *stream = &v->io.stream;
    size_t bytes;
    for (unsigned n; (n = gather(v, buffers, &bytes)) > 0;) {
        const int wrote = uv_try_write(stream, buffers, n);
        if (wrote < 0 && wrote != UV_EAGAIN)
            return wrote;
        if (wrote > 0)
            advance(v, (size_t)wrote);
        if (wrote > 0 && (size_t)wrote == bytes)
            continue;
        n = gather(v, buffers, &bytes);
        const int failed = uv_write(&v->write, stream, buffers, n, on_written);
        if (failed)
            return failed;
        advance(v, bytes); /* is libuv's now */
        v->writing = true;
        break;
    }
    return 0;
}

/* Servers refuse large requests midway. What they have to say is read first; the socket's error, if
 * that is all there is, comes to the reader too. */
static void write_on(struct http_conversation *v)
{
    if (!v->broken)
        v->broken = write_some(v) != 0;
}

/* ---- beginning ---- */

static void prepare(struct http_conversation *v, struct http_exchange *x)
{
    v->exchange = x;
    x->conversation = v;
    http_parser_init(&v->parser, HTTP_RESPONSE);
    v->parser.data = v;
    v->piece = 0;
    v->offset = v->header_bytes = v->body_n = 0;
    v->answered = v->final = v->complete = v->keep = false;
}

bool conversation_begin(struct http_conversation *v, struct http_exchange *x)
{
    unlink_idle(v);
    v->state = CONVERSATION_BUSY;
    prepare(v, x);
    if (write_some(v) == 0)
        return true;
    x->conversation = NULL;
    conversation_close(v);
    return false;
}

static void on_connected(uv_connect_t *connect, int error)
{
    struct http_conversation *v = connect->data;
    struct http_client *c = v->client;
    struct http_exchange *x = v->exchange;
    if (v->state == CONVERSATION_CLOSED)
        return;
    if (error == 0)
        error = uv_read_start(&v->io.stream, on_alloc, on_read);
    if (error == 0) {
        v->state = CONVERSATION_BUSY;
        write_on(v);
        return;
    }
    const uint32_t next = v->address + 1;
    x->conversation = NULL;
    conversation_close(v);
    if (next < c->n_addresses && conversation_open(c, x, next) == 0)
        return;
    c->n_addresses = c->literal ? c->n_addresses : 0; /* ask again next time */
    client_finish(c, x, error);
}

static int open_handle(struct http_conversation *v)
{
    struct http_client *c = v->client;
    const int error = c->options.socket_path ? uv_pipe_init(c->loop, &v->io.pipe, 0)
                                             : uv_tcp_init(c->loop, &v->io.tcp);
    if (error)
        return error;
    v->io.handle.data = v->connect.data = v->write.data = v;
    c->handles++;
    c->n_conversations++;
    v->next = c->all;
    if (v->next)
        v->next->prev = v;
    c->all = v;
    return 0;
}

static int begin_connecting(struct http_conversation *v)
{
    struct http_client *c = v->client;
    if (c->options.socket_path) {
        uv_pipe_connect(&v->connect, &v->io.pipe, c->options.socket_path, on_connected);
        return 0;
    }
    (void)uv_tcp_nodelay(&v->io.tcp, 1);
    (void)uv_tcp_keepalive(&v->io.tcp, 1, KEEPALIVE_S);
    return uv_tcp_connect(&v->connect, &v->io.tcp, &c->addresses[v->address].any, on_connected);
}

int conversation_open(struct http_client *c, struct http_exchange *x, uint32_t address)
{
    int error = UV_EADDRNOTAVAIL;
    for (; address < c->n_addresses; address++) {
        struct http_conversation *v = calloc(1, sizeof *v);
        if (!v)
            return UV_ENOMEM;
        v->client = c;
        v->address = address;
        error = open_handle(v);
        if (error) {
            free(v);
            return error;
        }
        error = begin_connecting(v);
        if (error == 0) {
            prepare(v, x);
            return 0;
        }
        conversation_close(v);
    }
    return error;
}
