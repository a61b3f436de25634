/* A connection's bytes: plain text by libuv's streams, or through TLS (secure.c). On the loop's
 * thread. */
#include "formats/http/internal.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

int http_stream_init(struct http_conn *c, int fd)
{
    const int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* fails on unix sockets */
    const int failed = c->server->security.api ? http_secure_init(c, fd)
                                               : uv_tcp_init(c->server->loop, &c->io.tcp);
    c->io.handle.data = c;
    return failed;
}

int http_stream_open(struct http_conn *c, int fd)
{
    return c->secure ? 0 : uv_tcp_open(&c->io.tcp, fd);
}

void http_stream_close(struct http_conn *c, uv_close_cb closed)
{
    if (c->secure)
        http_secure_shutdown(c);
    uv_close(&c->io.handle, closed);
}

void http_stream_deinit(struct http_conn *c)
{
    if (c->secure)
        http_secure_deinit(c);
}

/* ---- reading ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    *buf = http_conn_room((struct http_conn *)handle->data);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    http_conn_input((struct http_conn *)stream->data, n, (const uint8_t *)buf->base);
}

int http_stream_start(struct http_conn *c)
{
    return c->secure ? http_secure_watch(c) : uv_read_start(&c->io.stream, on_alloc, on_read);
}

void http_stream_stop(struct http_conn *c)
{
    if (c->secure)
        (void)http_secure_watch(c);
    else
        (void)uv_read_stop(&c->io.stream);
}

void http_stream_catch_up(struct http_conn *c)
{
    if (c->secure)
        http_secure_catch_up(c);
}

/* ---- writing ---- */

static void on_written(uv_write_t *request, int status)
{
    http_conn_written((struct http_conn *)request->data, status);
}

int http_stream_write(struct http_conn *c, const uv_buf_t *parts, unsigned n)
{
    if (c->secure)
        return http_secure_write(c, parts, n);
    int put = uv_try_write(&c->io.stream, parts, n);
    if (put < 0 && put != UV_EAGAIN)
        return put;
    size_t done = put > 0 ? (size_t)put : 0;
    uv_buf_t rest[2];
    unsigned left = 0;
    for (unsigned i = 0; i < n; i++) {
        const size_t gone = done < parts[i].len ? done : parts[i].len;
        done -= gone;
        if (parts[i].len > gone)
            rest[left++] = (uv_buf_t){.base = parts[i].base + gone, .len = parts[i].len - gone};
    }
    if (left == 0)
        return 1;
    c->write.data = c;
    return uv_write(&c->write, &c->io.stream, rest, left, on_written);
}

int http_stream_shutdown(struct http_conn *c)
{
    uv_os_fd_t fd;
    if (c->secure)
        http_secure_shutdown(c);
    return uv_fileno(&c->io.handle, &fd) == 0 && shutdown(fd, SHUT_WR) == 0 ? 0 : UV_ENOTCONN;
}
