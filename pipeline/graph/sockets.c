/* Listening sockets. Binding is exclusive: SO_REUSEADDR lets a restarted process take over an
 * address whose old connections linger, SO_REUSEPORT, which would let two share it, stays off. */
#include "pipeline/graph/sockets.h"
#include "pipeline/graph/unix_socket.h"
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct sockets {
    int32_t *open;
    uint32_t n, room;
};

struct sockets *sockets_create(void)
{
    return calloc(1, sizeof(struct sockets));
}

void sockets_destroy(struct sockets *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; i < s->n; i++)
        unix_socket_close(s->open[i]);
    free(s->open);
    free(s);
}

/* "[::1]:4317", "localhost:4317", ":4317", "0.0.0.0:0" */
static int32_t split(sl_bytes endpoint, char *host, size_t host_room, char *port, size_t port_room,
                     sl_error *error)
{
    const char *text = (const char *)endpoint.p;
    size_t colon = endpoint.n;
    while (colon && text[colon - 1] != ':')
        colon--;
    if (!colon)
        return sl_fail(error, SL_ERR_INVALID,
                       "endpoint \"%.*s\" has no port; write host:port, such as localhost:4317",
                       (int)endpoint.n, text);
    size_t n = colon - 1;
    if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
        text++;
        n -= 2;
    }
    const size_t n_port = endpoint.n - colon;
    if (n >= host_room || n_port >= port_room || !n_port)
        return sl_fail(error, SL_ERR_INVALID, "endpoint \"%.*s\" is not host:port", (int)endpoint.n,
                       (const char *)endpoint.p);
    memcpy(host, text, n);
    host[n] = 0;
    memcpy(port, endpoint.p + colon, n_port);
    port[n_port] = 0;
    return SL_OK;
}

static int listen_on(const struct addrinfo *a)
{
    const int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    const int on = 1, off = 0;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (a->ai_family == AF_INET6) /* as Go: "[::]" takes both */
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* connections inherit it */
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    const int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static bool remember(struct sockets *s, int32_t fd)
{
    if (s->n == s->room) {
        const uint32_t room = s->room ? s->room * 2 : 8;
        int32_t *open = realloc(s->open, room * sizeof *open);
        if (!open)
            return false;
        s->open = open;
        s->room = room;
    }
    s->open[s->n++] = fd;
    return true;
}

static int32_t open_tcp(sl_bytes endpoint, sl_bytes transport, int *fd, sl_error *error)
{
    char host[256], port[32];
    const int32_t status = split(endpoint, host, sizeof host, port, sizeof port, error);
    if (status != SL_OK)
        return status;
    const struct addrinfo hints = {
        .ai_family = sl_eq(transport, sl_str("tcp4"))   ? AF_INET
                     : sl_eq(transport, sl_str("tcp6")) ? AF_INET6
                                                        : AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
    };
    /* As Go does for "localhost": IPv4 first. Looked up without the resolver, whose start costs a
     * millisecond. */
    const char *name =
        !strcmp(host, "localhost") ? (hints.ai_family == AF_INET6 ? "::1" : "127.0.0.1") : host;
    struct addrinfo *found = NULL;
    const int rc = getaddrinfo(*name ? name : NULL, port, &hints, &found);
    if (rc)
        return sl_fail(error, SL_ERR_INVALID, "endpoint \"%.*s\": %s", (int)endpoint.n,
                       (const char *)endpoint.p, gai_strerror(rc));
    int opened = -1;
    errno = EADDRNOTAVAIL;
    /* ":4317" gives 0.0.0.0 and [::]; the latter takes both where there is IPv6. */
    for (int want_v6 = !*name; want_v6 >= 0 && opened < 0; want_v6--)
        for (const struct addrinfo *a = found; a && opened < 0; a = a->ai_next)
            if (*name || (a->ai_family == AF_INET6) == (want_v6 == 1))
                opened = listen_on(a);
    const int saved = errno;
    freeaddrinfo(found);
    if (opened < 0)
        return sl_fail(error, SL_ERR_IO, "cannot listen on \"%.*s\": %s%s", (int)endpoint.n,
                       (const char *)endpoint.p, strerror(saved),
                       saved == EADDRINUSE ? "; another process, or another component of this "
                                             "config, listens there"
                                           : "");
    *fd = opened;
    return SL_OK;
}

int32_t sockets_open(struct sockets *s, sl_bytes endpoint, sl_bytes transport, int32_t *fd,
                     sl_error *error)
{
    int opened = -1;
    int32_t status;
    if (sl_eq(transport, sl_str("unix")))
        status = unix_socket_listen(endpoint, &opened, error);
    else if (!transport.n || sl_eq(transport, sl_str("tcp")) || sl_eq(transport, sl_str("tcp4")) ||
             sl_eq(transport, sl_str("tcp6")))
        status = open_tcp(endpoint, transport, &opened, error);
    else
        status = sl_fail(error, SL_ERR_UNSUPPORTED,
                         "transport \"%.*s\" is none of tcp, tcp4, tcp6, unix", (int)transport.n,
                         (const char *)transport.p);
    if (status != SL_OK)
        return status;
    if (!remember(s, opened)) {
        unix_socket_close(opened);
        return sl_fail(error, SL_ERR_NOMEM, "no memory");
    }
    *fd = opened;
    return SL_OK;
}

void sockets_done(struct sockets *s, int32_t fd)
{
    for (uint32_t i = 0; i < s->n; i++) {
        if (s->open[i] == fd) {
            s->open[i] = s->open[--s->n];
            unix_socket_close(fd);
            return;
        }
    }
}
