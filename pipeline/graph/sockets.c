/* Listening sockets. Binding is exclusive: SO_REUSEADDR lets a restarted process take over an
 * address whose old connections linger, SO_REUSEPORT, which would let two share it, stays off but
 * for the moment in which a reload binds beside a socket that is about to go. */
#include "pipeline/graph/sockets.h"
#include "pipeline/graph/graph.h"
#include "pipeline/graph/unix_socket.h"
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct listener {
    int32_t fd;
    bool is_shared; /* a reload may open it again, once */
    const struct component *owner;
    char *endpoint, *transport; /* as they were asked for */
};

struct sockets {
    pthread_mutex_t mutex; /* guards what follows */
    struct listener *open;
    uint32_t n, room;
};

struct sockets *sockets_create(void)
{
    struct sockets *s = calloc(1, sizeof *s);
    if (s && pthread_mutex_init(&s->mutex, NULL)) {
        free(s);
        s = NULL;
    }
    return s;
}

static void close_at(struct sockets *s, uint32_t i)
{
    unix_socket_close(s->open[i].fd);
    free(s->open[i].endpoint);
    free(s->open[i].transport);
    s->open[i] = s->open[--s->n];
}

void sockets_destroy(struct sockets *s)
{
    if (!s)
        return;
    while (s->n)
        close_at(s, s->n - 1);
    free(s->open);
    pthread_mutex_destroy(&s->mutex);
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

static int listen_on(const struct addrinfo *a, bool beside)
{
    const int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    const int on = 1, off = 0, port_shared = beside;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &port_shared, sizeof port_shared);
    if (a->ai_family == AF_INET6) /* as Go: "[::]" takes both */
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* connections inherit it */
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &off, sizeof off);
        return fd;
    }
    const int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

/* ":4317" gives 0.0.0.0 and [::]; the latter takes both where there is IPv6. */
static int listen_on_any(const struct addrinfo *found, bool is_wildcard, bool beside)
{
    int opened = -1;
    errno = EADDRNOTAVAIL;
    for (int want_v6 = is_wildcard; want_v6 >= 0 && opened < 0; want_v6--)
        for (const struct addrinfo *a = found; a && opened < 0; a = a->ai_next)
            if (!is_wildcard || (a->ai_family == AF_INET6) == (want_v6 == 1))
                opened = listen_on(a, beside);
    return opened;
}

/* Lets the sockets that a reload is about to close share their ports, or no longer. False: there
 * are none. Mutex held. */
static bool let_share_ports(struct sockets *s, const struct component *owner, int on)
{
    bool any = false;
    for (uint32_t i = 0; i < s->n; i++) {
        if (!s->open[i].is_shared || !s->open[i].owner != !owner)
            continue;
        any = true;
        (void)setsockopt(s->open[i].fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    }
    return any;
}

/* Takes the socket over in any case. Mutex held. */
static int32_t remember(struct sockets *s, const struct component *owner, int32_t fd,
                        sl_bytes endpoint, sl_bytes transport, sl_error *error)
{
    const struct listener l = {
        .fd = fd,
        .owner = owner,
        .endpoint = strndup(endpoint.n ? (const char *)endpoint.p : "", endpoint.n),
        .transport = strndup(transport.n ? (const char *)transport.p : "", transport.n)};
    struct listener *open = s->open;
    if (s->n == s->room) {
        const uint32_t room = s->room ? s->room * 2 : 8;
        open = realloc(s->open, room * sizeof *open);
        if (open) {
            s->open = open;
            s->room = room;
        }
    }
    if (!open || !l.endpoint || !l.transport) {
        free(l.endpoint);
        free(l.transport);
        unix_socket_close(fd);
        return sl_fail(error, SL_ERR_NOMEM, "no memory");
    }
    s->open[s->n++] = l;
    return SL_OK;
}

/* The socket that a reload may open again for this endpoint; -1: none. Mutex held. */
static int shared_copy(struct sockets *s, const struct component *owner, sl_bytes endpoint,
                       sl_bytes transport)
{
    for (uint32_t i = 0; i < s->n; i++) {
        struct listener *l = &s->open[i];
        if (!l->is_shared || !l->owner != !owner || !sl_eq(sl_str(l->endpoint), endpoint) ||
            !sl_eq(sl_str(l->transport), transport))
            continue;
        const int fd = fcntl(l->fd, F_DUPFD_CLOEXEC, 0);
        l->is_shared = fd < 0;
        return fd;
    }
    return -1;
}

void sockets_share(struct sockets *s, const struct graph *old)
{
    pthread_mutex_lock(&s->mutex);
    for (uint32_t i = 0; i < s->n; i++) {
        struct listener *l = &s->open[i];
        l->is_shared = old && (!l->owner || (l->owner->graph == old && !l->owner->plan.stays));
    }
    pthread_mutex_unlock(&s->mutex);
}

static int32_t open_tcp(struct sockets *s, const struct component *owner, sl_bytes endpoint,
                        sl_bytes transport, int32_t *fd, sl_error *error)
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
    int opened = listen_on_any(found, !*name, false);
    if (opened < 0 && errno == EADDRINUSE && let_share_ports(s, owner, 1)) {
        opened = listen_on_any(found, !*name, true);
        const int saved = errno;
        (void)let_share_ports(s, owner, 0);
        errno = saved;
    }
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

static int32_t open_new(struct sockets *s, const struct component *owner, sl_bytes endpoint,
                        sl_bytes transport, int32_t *fd, sl_error *error)
{
    if (sl_eq(transport, sl_str("unix")))
        return unix_socket_listen(endpoint, fd, error);
    if (!transport.n || sl_eq(transport, sl_str("tcp")) || sl_eq(transport, sl_str("tcp4")) ||
        sl_eq(transport, sl_str("tcp6")))
        return open_tcp(s, owner, endpoint, transport, fd, error);
    return sl_fail(error, SL_ERR_UNSUPPORTED, "transport \"%.*s\" is none of tcp, tcp4, tcp6, unix",
                   (int)transport.n, (const char *)transport.p);
}

int32_t sockets_open(struct sockets *s, const struct component *owner, sl_bytes endpoint,
                     sl_bytes transport, int32_t *fd, sl_error *error)
{
    pthread_mutex_lock(&s->mutex);
    int opened = shared_copy(s, owner, endpoint, transport);
    int32_t status = opened < 0 ? open_new(s, owner, endpoint, transport, &opened, error) : SL_OK;
    if (status == SL_OK)
        status = remember(s, owner, opened, endpoint, transport, error);
    pthread_mutex_unlock(&s->mutex);
    if (status == SL_OK)
        *fd = opened;
    return status;
}

void sockets_done(struct sockets *s, int32_t fd)
{
    pthread_mutex_lock(&s->mutex);
    for (uint32_t i = 0; i < s->n; i++) {
        if (s->open[i].fd == fd) {
            close_at(s, i);
            break;
        }
    }
    pthread_mutex_unlock(&s->mutex);
}

void sockets_done_by(struct sockets *s, const struct component *owner)
{
    pthread_mutex_lock(&s->mutex);
    for (uint32_t i = s->n; i--;)
        if (s->open[i].owner == owner)
            close_at(s, i);
    pthread_mutex_unlock(&s->mutex);
}
