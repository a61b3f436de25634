/* The other side of the HTTP server comparison: http-parser on libuv, one thread. The head is read
 * into a small buffer; once its Content-Length is known, the socket is read straight into the
 * body's own memory, over which the parser then steps without looking at it. */
#include "tests/bench/http_choice/body_pool.h"

#include <http_parser.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

enum { HEAD_MAX = 16 * 1024 };

struct server {
    uv_loop_t loop;
    uv_tcp_t listener;
    struct body_pool pool;
};

struct client {
    struct server *server;
    uv_tcp_t socket;
    uv_write_t write;
    http_parser parser;
    uint8_t *body; /* NULL while a head is read */
    size_t size, used;
    char head[HEAD_MAX];
};

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n"
                             "Content-Length: 0\r\n\r\n";

static void on_closed(uv_handle_t *handle)
{
    struct client *c = (struct client *)handle->data;
    body_give(&c->server->pool, c->body, c->size);
    free(c);
}

static void client_close(struct client *c)
{
    if (!uv_is_closing((uv_handle_t *)&c->socket))
        uv_close((uv_handle_t *)&c->socket, on_closed);
}

static int on_headers_complete(http_parser *p)
{
    struct client *c = (struct client *)p->data;
    if (p->content_length == UINT64_MAX || p->content_length > BODY_MAX)
        return -1;
    c->size = (size_t)p->content_length;
    c->used = 0;
    c->body = body_take(&c->server->pool, c->size);
    return c->body ? 0 : -1;
}

static int on_body(http_parser *p, const char *at, size_t n)
{
    struct client *c = (struct client *)p->data;
    if ((const uint8_t *)at != c->body + c->used) /* it came with the head */
        memcpy(c->body + c->used, at, n);
    c->used += n;
    return 0;
}

static int on_message_complete(http_parser *p)
{
    struct client *c = (struct client *)p->data;
    body_give(&c->server->pool, c->body, c->size);
    c->body = NULL;
    uv_buf_t out = uv_buf_init((char *)(uintptr_t)answer, sizeof answer - 1);
    return uv_try_write((uv_stream_t *)&c->socket, &out, 1) == (int)sizeof answer - 1 ? 0 : -1;
}

static const http_parser_settings settings = {.on_headers_complete = on_headers_complete,
                                              .on_body = on_body,
                                              .on_message_complete = on_message_complete};

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct client *c = (struct client *)handle->data;
    (void)suggested;
    if (c->body)
        *out = uv_buf_init((char *)c->body + c->used, (unsigned)(c->size - c->used));
    else
        *out = uv_buf_init(c->head, HEAD_MAX);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    struct client *c = (struct client *)stream->data;
    if (n < 0)
        client_close(c);
    else if (n > 0 &&
             http_parser_execute(&c->parser, &settings, buffer->base, (size_t)n) != (size_t)n)
        client_close(c);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct server *s = (struct server *)listener->data;
    struct client *c = status == 0 ? (struct client *)calloc(1, sizeof *c) : NULL;
    if (!c)
        return;
    c->server = s;
    uv_tcp_init(&s->loop, &c->socket);
    c->socket.data = c;
    http_parser_init(&c->parser, HTTP_REQUEST);
    c->parser.data = c;
    if (uv_accept(listener, (uv_stream_t *)&c->socket) ||
        uv_read_start((uv_stream_t *)&c->socket, on_alloc, on_read))
        client_close(c);
    else
        uv_tcp_nodelay(&c->socket, 1);
}

int main(int argc, char **argv)
{
    struct server s;
    memset(&s, 0, sizeof s);
    int port = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--pool") == 0)
            s.pool.keep = true;
        else
            port = atoi(argv[i]);
    }
    if (port <= 0) {
        fputs("bench_http_uv [--pool] PORT\n", stderr);
        return 2;
    }
    struct sockaddr_in address;
    uv_loop_init(&s.loop);
    uv_ip4_addr("127.0.0.1", port, &address);
    uv_tcp_init(&s.loop, &s.listener);
    s.listener.data = &s;
    if (uv_tcp_bind(&s.listener, (const struct sockaddr *)&address, 0) ||
        uv_listen((uv_stream_t *)&s.listener, 128, on_connection))
        return 1;
    return uv_run(&s.loop, UV_RUN_DEFAULT);
}
