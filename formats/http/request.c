/* The way of one request through the parser: collects the head, holds it to the rules that keep
 * two readers of the same bytes from disagreeing, asks the handler, and brings the body into the
 * handler's memory. On the loop's thread. */
#include "formats/http/internal.h"

#include <stdlib.h>
#include <strings.h>

static struct http_conn *conn_of(http_parser *parser)
{
    return (struct http_conn *)parser->data;
}

/* ends parsing with an answer by the server */
static int refuse(struct http_conn *c, int status)
{
    c->refusal = status;
    return -1;
}

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    return value ? value : otherwise;
}

/* ---- the head ---- */

static bool text_append(struct http_conn *c, const char *at, size_t n)
{
    const size_t limit = c->server->limits.header_bytes;
    /* A pair costs its ": " and CRLF too, so that empty headers count. */
    size_t total = (size_t)c->text_n + (size_t)c->n_spans * 4 + n;
    if (n > limit || total > limit)
        return false;
    if (c->text_capacity - c->text_n < n) {
        size_t capacity = c->text_capacity ? c->text_capacity : HTTP_TEXT_AT_FIRST;
        while (capacity - c->text_n < n)
            capacity *= 2;
        char *moved = (char *)realloc(c->text, capacity);
        if (!moved)
            return false;
        c->text = moved;
        c->text_capacity = (uint32_t)capacity;
    }
    memcpy(c->text + c->text_n, at, n);
    c->text_n += (uint32_t)n;
    return true;
}

static bool span_add(struct http_conn *c)
{
    if (c->n_spans >= c->server->limits.header_count)
        return false;
    if (c->n_spans == c->spans_capacity) {
        uint32_t capacity = or_default(c->spans_capacity * 2, HTTP_HEADERS_AT_FIRST);
        struct http_span *moved = (struct http_span *)realloc(
            c->spans, (size_t)capacity * (sizeof(struct http_span) + sizeof(struct http_header)));
        if (!moved)
            return false;
        c->spans = moved;
        c->headers = (struct http_header *)(void *)(moved + capacity);
        c->spans_capacity = capacity;
    }
    struct http_span *s = &c->spans[c->n_spans++];
    memset(s, 0, sizeof *s);
    s->name = s->value = c->text_n;
    return true;
}

void http_request_begin(struct http_conn *c)
{
    memset(&c->rq, 0, sizeof c->rq);
    c->text_n = c->target_n = c->n_spans = 0;
    c->in_value = c->headers_done = c->complete = c->expects = false;
    c->body_got = c->trailer_bytes = 0;
    c->room = NULL;
    c->room_n = c->room_used = 0;
    c->refusal = 0;
    c->answered = c->sent = c->close_after = false;
    c->status = 0;
}

void http_request_deinit(struct http_conn *c)
{
    free(c->text);
    free(c->spans);
    free(c->stash);
    c->text = NULL;
    c->spans = NULL;
    c->stash = NULL;
}

static int on_message_begin(http_parser *parser)
{
    struct http_conn *c = conn_of(parser);
    http_request_begin(c);
    c->stage = HTTP_STAGE_HEADERS;
    if (!c->fresh) /* else the accept has set it */
        http_server_deadline(c->server, c, c->server->limits.header_timeout_ms);
    c->fresh = false;
    return 0;
}

static int on_url(http_parser *parser, const char *at, size_t n)
{
    struct http_conn *c = conn_of(parser);
    if (!text_append(c, at, n))
        return refuse(c, 414);
    c->target_n = c->text_n;
    return 0;
}

static int on_trailer(struct http_conn *c, size_t n)
{
    c->trailer_bytes += n;
    return c->trailer_bytes > c->server->limits.header_bytes ? refuse(c, 431) : 0;
}

static int on_header_field(http_parser *parser, const char *at, size_t n)
{
    struct http_conn *c = conn_of(parser);
    if (c->headers_done)
        return on_trailer(c, n + 4);
    if (c->n_spans == 0 || c->in_value) {
        if (!span_add(c))
            return refuse(c, 431);
        c->in_value = false;
    }
    if (!text_append(c, at, n))
        return refuse(c, 431);
    struct http_span *s = &c->spans[c->n_spans - 1];
    s->name_n += (uint32_t)n;
    s->value = c->text_n;
    return 0;
}

/* Is there only white space before it on its line? The parser joins such a line with the one above,
 * which not all readers do. */
static bool is_folded(const struct http_conn *c, const char *at)
{
    while (at > c->piece && (at[-1] == ' ' || at[-1] == '\t'))
        at--;
    return at > c->piece ? at[-1] == '\n' : c->after_line;
}

void http_request_remember(struct http_conn *c, const char *at, size_t n)
{
    while (n > 0 && (at[n - 1] == ' ' || at[n - 1] == '\t'))
        n--;
    if (n > 0)
        c->after_line = at[n - 1] == '\n';
}

static int on_header_value(http_parser *parser, const char *at, size_t n)
{
    struct http_conn *c = conn_of(parser);
    if (n > 0 && is_folded(c, at))
        return refuse(c, 400);
    if (c->headers_done)
        return on_trailer(c, n);
    c->in_value = true;
    if (!text_append(c, at, n))
        return refuse(c, 431);
    c->spans[c->n_spans - 1].value_n += (uint32_t)n;
    return 0;
}

/* ---- the rules ---- */

bool http_is_name(sl_bytes name)
{
    for (size_t i = 0; i < name.n; i++) {
        uint8_t ch = name.p[i];
        bool alnum =
            (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z');
        if (!alnum && (ch <= ' ' || ch >= 127 || strchr("!#$%&'*+-.^_`|~", ch) == NULL))
            return false;
    }
    return name.n > 0;
}

bool http_is_value(sl_bytes value)
{
    for (size_t i = 0; i < value.n; i++) {
        if ((value.p[i] < ' ' && value.p[i] != '\t') || value.p[i] == 127)
            return false;
    }
    return true;
}

static bool named(sl_bytes text, const char *lower)
{
    return text.n == strlen(lower) && strncasecmp((const char *)text.p, lower, text.n) == 0;
}

static bool number_is(sl_bytes digits, uint64_t expected)
{
    uint64_t n = 0;
    for (size_t i = 0; i < digits.n; i++) {
        if (digits.p[i] < '0' || digits.p[i] > '9' || __builtin_mul_overflow(n, 10u, &n) ||
            __builtin_add_overflow(n, (uint64_t)(digits.p[i] - '0'), &n))
            return false;
    }
    return digits.n > 0 && n == expected;
}

/* A second opinion on what the parser let pass: whatever another reader of these bytes might take
 * for a different message is refused. Sets rq.length. */
static int check_head(struct http_conn *c)
{
    const http_parser *parser = &c->parser;
    struct http_request *rq = &c->rq;
    uint32_t lengths = 0, codings = 0, hosts = 0, expects = 0;
    const bool chunked = (parser->flags & F_CHUNKED) != 0;
    if (parser->http_major != 1)
        return 505;
    for (uint32_t i = 0; i < rq->n_headers; i++) {
        const struct http_header *h = &rq->headers[i];
        if (!http_is_name(h->name) || !http_is_value(h->value))
            return 400;
        if (named(h->name, "content-length")) {
            if (lengths++ > 0 || !number_is(h->value, parser->content_length))
                return 400;
        } else if (named(h->name, "transfer-encoding")) {
            if (codings++ > 0 || !chunked || !named(h->value, "chunked"))
                return 400;
        } else if (named(h->name, "host")) {
            hosts++;
        } else if (named(h->name, "expect")) {
            if (!named(h->value, "100-continue"))
                return 417;
            expects++;
        }
    }
    const bool old = parser->http_minor == 0;
    if (hosts > 1 || (hosts == 0 && !old) || (lengths && codings) || (codings && old) ||
        (chunked && !codings))
        return 400;
    if (parser->method == HTTP_CONNECT)
        return 405;
    if (!lengths && !codings &&
        (parser->method == HTTP_POST || parser->method == HTTP_PUT || parser->method == HTTP_PATCH))
        return 411;
    rq->length = codings ? HTTP_NO_LENGTH : lengths ? parser->content_length : 0;
    c->expects = expects > 0 && !old && rq->length > 0;
    if (rq->length > 0 &&
        (!c->server->handler.room || (lengths && rq->length > c->server->limits.body_bytes)))
        return 413;
    return 0;
}

static void split_target(struct http_request *rq)
{
    sl_bytes t = rq->target;
    if (t.n > 0 && t.p[0] != '/') { /* absolute form: http://host/path */
        const uint8_t *p = (const uint8_t *)memmem(t.p, t.n, "://", 3);
        if (p) {
            size_t skipped = (size_t)(p + 3 - t.p);
            const uint8_t *slash = (const uint8_t *)memchr(p + 3, '/', t.n - skipped);
            t = slash ? sl_slice(slash, t.n - (size_t)(slash - t.p)) : sl_str("/");
        }
    }
    const uint8_t *mark = t.n ? (const uint8_t *)memchr(t.p, '?', t.n) : NULL;
    rq->path = sl_slice(t.p, mark ? (size_t)(mark - t.p) : t.n);
    rq->query = mark ? sl_slice(mark + 1, t.n - rq->path.n - 1) : sl_slice(NULL, 0);
}

static int on_headers_complete(http_parser *parser)
{
    struct http_conn *c = conn_of(parser);
    struct http_request *rq = &c->rq;
    const uint8_t *text = (const uint8_t *)c->text;
    for (uint32_t i = 0; i < c->n_spans; i++) {
        const struct http_span *s = &c->spans[i];
        size_t n = s->value_n;
        while (n > 0 && (text[s->value + n - 1] == ' ' || text[s->value + n - 1] == '\t'))
            n--;
        c->headers[i].name = sl_slice(text + s->name, s->name_n);
        c->headers[i].value = sl_slice(text + s->value, n);
    }
    rq->headers = c->headers;
    rq->n_headers = c->n_spans;
    rq->method = http_method_str((enum http_method)parser->method);
    rq->target = sl_slice(text, c->target_n);
    split_target(rq);
    c->headers_done = true;
    c->keep = http_should_keep_alive(parser) && !c->server->limits.no_keep_alive;
    parser->upgrade = 0; /* there is nothing to upgrade to: the request stands for itself */

    int status = check_head(c);
    if (status)
        return refuse(c, status);
    const struct http_handler *handler = &c->server->handler;
    c->stage = HTTP_STAGE_BODY;
    c->since = uv_now(c->server->loop);
    handler->headers(handler->ctx, rq);
    if (c->answered) {
        /* A small body is read and forgotten; a client that waits for 100 may or may not send. */
        c->stage = HTTP_STAGE_SKIP;
        http_server_deadline(c->server, c, HTTP_SKIP_MS);
        return rq->length <= HTTP_SKIP_MAX && !c->expects ? 0 : -1;
    }
    http_server_deadline(c->server, c, 0);
    if (rq->length > 0) {
        const struct http_limits *l = &c->server->limits;
        uint64_t after = l->body_timeout_ms;
        if (l->body_rate && (after == 0 || l->body_rate_after_ms < after))
            after = l->body_rate_after_ms;
        http_server_deadline(c->server, c, after);
    }
    return 0;
}

/* ---- the body ---- */

static bool room_ask(struct http_conn *c)
{
    const struct http_handler *handler = &c->server->handler;
    uint8_t *at = NULL;
    size_t n = 0;
    int32_t status = handler->room(handler->ctx, &c->rq, &at, &n);
    if (c->answered)
        return false;
    if (status != SL_OK || n == 0) { /* a handler that forgot to answer */
        c->refusal = 500;
        return false;
    }
    c->room = at;
    c->room_n = n;
    c->room_used = 0;
    return true;
}

bool http_request_want_room(struct http_conn *c)
{
    if (c->stage != HTTP_STAGE_BODY || c->room_n > 0 || c->rq.length == HTTP_NO_LENGTH ||
        c->body_got >= c->rq.length)
        return true;
    return room_ask(c);
}

bool http_request_flush(struct http_conn *c)
{
    const struct http_handler *handler = &c->server->handler;
    size_t n = c->room_used;
    c->room = NULL;
    c->room_n = c->room_used = 0;
    if (n > 0)
        handler->filled(handler->ctx, &c->rq, n);
    return !c->answered;
}

static int on_body(http_parser *parser, const char *at, size_t n)
{
    struct http_conn *c = conn_of(parser);
    c->body_got += n;
    if (c->stage == HTTP_STAGE_SKIP)
        return c->body_got > HTTP_SKIP_MAX ? -1 : 0;
    if (c->body_got > c->server->limits.body_bytes)
        return refuse(c, 413);
    while (n > 0) {
        if (c->room_n == 0 && !room_ask(c))
            return -1;
        size_t part = c->room_n - c->room_used;
        part = part < n ? part : n;
        uint8_t *to = c->room + c->room_used;
        if (to != (const uint8_t *)at) /* else it was read right there */
            memcpy(to, at, part);
        at += part;
        n -= part;
        c->room_used += part;
        if (c->room_used == c->room_n && !http_request_flush(c))
            return -1;
    }
    return 0;
}

static int on_message_complete(http_parser *parser)
{
    conn_of(parser)->complete = true;
    http_parser_pause(parser, 1);
    return 0;
}

const http_parser_settings http_request_settings = {
    .on_message_begin = on_message_begin,
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* ---- for handlers ---- */

sl_bytes http_header_of(const struct http_request *rq, const char *name, bool *repeated)
{
    sl_bytes found = {NULL, 0};
    if (repeated)
        *repeated = false;
    for (uint32_t i = 0; i < rq->n_headers; i++) {
        if (!named(rq->headers[i].name, name))
            continue;
        if (found.p) {
            if (repeated)
                *repeated = true;
            break;
        }
        found = rq->headers[i].value;
    }
    return found;
}

bool http_media_type_is(sl_bytes value, const char *type)
{
    size_t n = strlen(type), i = 0;
    while (i < value.n && (value.p[i] == ' ' || value.p[i] == '\t'))
        i++;
    if (value.n - i < n || strncasecmp((const char *)value.p + i, type, n) != 0)
        return false;
    i += n;
    while (i < value.n && (value.p[i] == ' ' || value.p[i] == '\t'))
        i++;
    return i == value.n || value.p[i] == ';';
}
