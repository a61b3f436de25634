/* See http_sink.h. */
#include "tests/support/http_sink.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 64, BODY_MAX = 64 << 20 };

struct http_sink {
    int fd, port;
    pthread_t acceptor;
    pthread_mutex_t mutex;
    struct http_sink_answer answer;
    struct http_sink_seen seen;
    bool drop_next, stopping;
    int connections[CONNECTIONS_MAX];
    pthread_t threads[CONNECTIONS_MAX];
    uint32_t n, open;
};

struct connection {
    struct http_sink *sink;
    uint32_t index;
};

static bool write_all(int fd, sl_bytes bytes)
{
    for (size_t done = 0; done < bytes.n;) {
        const ssize_t n = send(fd, bytes.p + done, bytes.n - done, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

/* A copy, to be freed. */
static sl_bytes copy_of(sl_bytes bytes)
{
    uint8_t *copy = malloc(bytes.n + 1);
    if (!copy)
        abort();
    if (bytes.n)
        memcpy(copy, bytes.p, bytes.n);
    return sl_slice(copy, bytes.n);
}

static bool respond(struct http_sink *s, int fd)
{
    pthread_mutex_lock(&s->mutex);
    struct http_sink_answer a = s->answer;
    a.bytes = copy_of(a.bytes);
    const bool drop = s->drop_next;
    s->drop_next = false;
    pthread_mutex_unlock(&s->mutex);
    bool good = !drop;
    if (good && a.reset) {
        const struct linger now = {1, 0};
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        good = false;
    }
    for (uint32_t i = 0; i <= a.repeat && good; i++)
        good = write_all(fd, a.bytes);
    free((void *)(uintptr_t)a.bytes.p);
    return good && !a.close;
}

/* Reads one request; false: the connection has ended. */
static bool take(struct http_sink *s, int fd)
{
    char head[sizeof s->seen.head];
    size_t used = 0, length = 0;
    char *end = NULL;
    while (!end) {
        const ssize_t n = recv(fd, head + used, sizeof head - 1 - used, 0);
        if (n <= 0)
            return false;
        used += (size_t)n;
        head[used] = '\0';
        end = strstr(head, "\r\n\r\n");
        if (!end && used == sizeof head - 1)
            return false;
    }
    const char *declared = strcasestr(head, "\r\ncontent-length:");
    if (declared)
        length = strtoul(declared + 17, NULL, 10);
    if (length > BODY_MAX)
        return false;
    uint8_t *body = malloc(length + 1);
    if (!body)
        abort();
    size_t got = used - (size_t)(end + 4 - head);
    memcpy(body, end + 4, got);
    while (got < length) {
        const ssize_t n = recv(fd, body + got, length - got, 0);
        if (n <= 0) {
            free(body);
            return false;
        }
        got += (size_t)n;
    }
    end[2] = '\0';
    pthread_mutex_lock(&s->mutex);
    s->seen.requests++;
    memcpy(s->seen.head, head, sizeof head);
    free(s->seen.body);
    s->seen.body = body;
    s->seen.body_n = got;
    pthread_mutex_unlock(&s->mutex);
    return true;
}

static void *serve(void *arg)
{
    const struct connection c = *(struct connection *)arg;
    free(arg);
    const int fd = c.sink->connections[c.index];
    while (take(c.sink, fd) && respond(c.sink, fd))
        continue;
    pthread_mutex_lock(&c.sink->mutex);
    close(fd);
    c.sink->open--;
    c.sink->connections[c.index] = -1;
    pthread_mutex_unlock(&c.sink->mutex);
    return NULL;
}

static void *accept_all(void *arg)
{
    struct http_sink *s = arg;
    for (;;) {
        const int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return NULL;
        pthread_mutex_lock(&s->mutex);
        struct connection *c = malloc(sizeof *c);
        if (!c || s->stopping || s->n == CONNECTIONS_MAX) {
            close(fd);
            free(c);
            pthread_mutex_unlock(&s->mutex);
            continue;
        }
        *c = (struct connection){s, s->n};
        s->seen.connections++;
        if (++s->open > s->seen.at_one_time)
            s->seen.at_one_time = s->open;
        s->connections[s->n] = fd;
        if (pthread_create(&s->threads[s->n++], NULL, serve, c))
            abort();
        pthread_mutex_unlock(&s->mutex);
    }
}

static struct http_sink *create_on(const struct sockaddr *address, socklen_t size)
{
    struct sockaddr_in bound;
    socklen_t bound_size = sizeof bound;
    struct http_sink *s = calloc(1, sizeof *s);
    const int one = 1;
    if (!s)
        abort();
    pthread_mutex_init(&s->mutex, NULL);
    s->fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (s->fd < 0 || bind(s->fd, address, size) || listen(s->fd, 64) ||
        getsockname(s->fd, (struct sockaddr *)&bound, &bound_size) ||
        pthread_create(&s->acceptor, NULL, accept_all, s))
        abort();
    s->port = address->sa_family == AF_INET ? ntohs(bound.sin_port) : 0;
    http_sink_script(s, (struct http_sink_answer){.repeat = 0});
    return s;
}

struct http_sink *http_sink_create(int port)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                        .sin_port = htons((uint16_t)port)};
    return create_on((const struct sockaddr *)&address, sizeof address);
}

struct http_sink *http_sink_create_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        abort();
    memcpy(address.sun_path, path, strlen(path) + 1);
    return create_on((const struct sockaddr *)&address, sizeof address);
}

int http_sink_port(const struct http_sink *s)
{
    return s->port;
}

void http_sink_script(struct http_sink *s, struct http_sink_answer answer)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    answer.bytes = copy_of(answer.bytes.p ? answer.bytes : sl_str(ok));
    pthread_mutex_lock(&s->mutex);
    const sl_bytes before = s->answer.bytes;
    s->answer = answer;
    pthread_mutex_unlock(&s->mutex);
    free((void *)(uintptr_t)before.p);
}

void http_sink_drop_next(struct http_sink *s)
{
    pthread_mutex_lock(&s->mutex);
    s->drop_next = true;
    pthread_mutex_unlock(&s->mutex);
}

const struct http_sink_seen *http_sink_seen(struct http_sink *s)
{
    return &s->seen;
}

void http_sink_destroy(struct http_sink *s)
{
    pthread_mutex_lock(&s->mutex);
    s->stopping = true;
    for (uint32_t i = 0; i < s->n; i++) {
        if (s->connections[i] >= 0)
            (void)shutdown(s->connections[i], SHUT_RDWR);
    }
    pthread_mutex_unlock(&s->mutex);
    (void)shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->acceptor, NULL);
    for (uint32_t i = 0; i < s->n; i++)
        pthread_join(s->threads[i], NULL);
    close(s->fd);
    pthread_mutex_destroy(&s->mutex);
    free((void *)(uintptr_t)s->answer.bytes.p);
    free(s->seen.body);
    free(s);
}
