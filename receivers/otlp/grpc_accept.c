/* Accepts on the host's listening socket and hands connections to gRPC, whose own listener would
 * have to bind the port itself. One thread, which sleeps while nobody connects. gRPC does not tell
 * when it has closed a connection, so each is remembered by descriptor and inode: one that does not
 * lead to the same socket any more is gone.
 *
 * It also ends connections on which bytes come that lead to no request. The core bounds a header
 * list within each frame only: one that goes on over many frames costs as much memory as is sent.
 * Within a header list nothing else can be said on a connection, so whoever has sent some megabytes
 * without a call being heard of is at that. */
#include "receivers/otlp/grpc_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <grpc/grpc_posix.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CONNECTIONS_DEFAULT = 1024,
    PREFACE_BYTES = 24,    /* what every HTTP/2 client sends first... */
    PREFACE_MS = 10000,    /* ...within this time, unless set otherwise */
    LOOK_MS = 1000,        /* how often all are looked at while some are young or bytes come */
    SHORTAGE_MS = 100,     /* without descriptors, accepting pauses */
    GLANCE_MS = 50,        /* how often those are looked at on which bytes come... */
    GLANCE_MOST = 64,      /* ...and how many of them at once */
    PACE_MS = 10000,       /* a message must arrive at... */
    PACE_BYTES_MS = 1,     /* ...a KiB a second, on average over this time, as over HTTP */
    UNHEARD_MAX = 8 << 20, /* bytes that may come without a call */
    STACK = 512 * 1024
};

struct connection {
    bool known; /* else there is none with this descriptor */
    bool young; /* has not said anything yet, as far as is known */
    ino_t inode;
    int64_t since_ms;
    bool counted;        /* what it receives is: by the kernel, or with TLS... */
    uint64_t relayed;    /* ...here, once it is decrypted */
    uint32_t receiving;  /* calls whose message is on its way */
    uint32_t calls;      /* how often one of its calls was heard of... */
    uint32_t calls_then; /* ...at the last look */
    uint64_t bytes_then; /* received by then */
    int64_t pace_ms;     /* since when its pace is measured... */
    uint64_t pace_bytes; /* ...and what it had received by then */
    uint32_t pace_calls;
};

struct acceptor {
    struct otlp_grpc_server *server;
    struct relay *relay; /* NULL: plain text */
    int listener, wake;
    int watch; /* epoll: bytes have come on some connection */
    bool accepting;
    pthread_t thread;
    uint32_t max;
    int64_t preface_ms;
    int look_ms;

    pthread_mutex_t mutex; /* guards the rest: TLS hands connections on from its own thread */
    struct connection *at; /* by descriptor, so that calls need not search */
    uint32_t n, capacity;  /* n of them are known */
    _Atomic uint32_t young;
    int64_t looked_ms;
};

static bool leads_to(int fd, ino_t inode)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_ino == inode;
}

/* A copy of the descriptor keeps it from becoming another connection's while it is ended. */
static void hang_up(int fd, ino_t inode)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        return;
    if (leads_to(copy, inode))
        (void)shutdown(copy, SHUT_RDWR);
    (void)close(copy);
}

/* False: not TCP, or a kernel that does not count. */
static bool bytes_received(const struct acceptor *a, int fd, uint64_t *bytes)
{
    struct tcp_info info;
    socklen_t n = sizeof info;
    if (a->relay) {
        *bytes = a->at[fd].relayed;
        return true;
    }
    memset(&info, 0, sizeof info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) != 0 ||
        n < offsetof(struct tcp_info, tcpi_bytes_received) + sizeof info.tcpi_bytes_received)
        return false;
    *bytes = info.tcpi_bytes_received;
    return true;
}

/* Does it keep a message open of which next to nothing comes? The memory for it is reserved. */
static bool is_too_slow(struct connection *c, uint64_t bytes, int64_t now)
{
    const int64_t spent = now - c->pace_ms;
    if (c->receiving > 0 && c->calls == c->pace_calls && spent < PACE_MS)
        return false;
    const bool slow = c->receiving > 0 && c->calls == c->pace_calls &&
                      bytes - c->pace_bytes < (uint64_t)spent * PACE_BYTES_MS;
    c->pace_ms = now;
    c->pace_bytes = bytes;
    c->pace_calls = c->calls;
    return slow;
}

/* Must it be ended? */
static bool is_unwanted(struct acceptor *a, int fd, struct connection *c, int64_t now)
{
    uint64_t bytes;
    if (!c->counted || !bytes_received(a, fd, &bytes)) {
        c->young = false;
        return false;
    }
    if (c->young && bytes >= PREFACE_BYTES)
        c->young = false;
    if (c->young)
        return now - c->since_ms >= a->preface_ms;
    if (c->calls != c->calls_then || grpc_server_is_full(a->server)) {
        c->calls_then = c->calls;
        c->bytes_then = bytes;
    }
    if (is_too_slow(c, bytes, now))
        return true;
    return bytes - c->bytes_then > UNHEARD_MAX + c->receiving * a->server->max_message;
}

static void forget(struct acceptor *a, struct connection *c)
{
    a->n -= c->known;
    a->young -= c->young;
    *c = (struct connection){.known = false};
}

/* Forgets a connection that is gone, ends one that never spoke, or does not say anything. */
static void look_at(struct acceptor *a, int fd, struct connection *c, int64_t now)
{
    if (!leads_to(fd, c->inode)) {
        forget(a, c);
        return;
    }
    const bool was_young = c->young, unwanted = is_unwanted(a, fd, c, now);
    a->young -= was_young && !c->young;
    if (!unwanted)
        return;
    if (!c->young)
        sl_log(a->server->host, SL_LOG_WARN,
               "OTLP/gRPC: a connection is ended: its messages do not arrive, or it sends "
               "without end, but no request");
    hang_up(fd, c->inode);
    forget(a, c);
}

static void look(struct acceptor *a)
{
    const int64_t now = now_ms();
    uint32_t left = a->n;
    a->looked_ms = now;
    for (int fd = 0; left > 0; fd++) {
        if (!a->at[fd].known)
            continue;
        left--;
        look_at(a, fd, &a->at[fd], now);
    }
}

/* NULL: it is gone. */
static struct connection *find(struct acceptor *a, int32_t descriptor)
{
    struct connection *c = (uint32_t)descriptor < a->capacity ? &a->at[descriptor] : NULL;
    return c && c->known ? c : NULL;
}

/* Looks at those on which bytes wait to be read, so that the others cost nothing. epoll brings the
 * ones that it has not told of first. */
static void glance(struct acceptor *a)
{
    struct epoll_event events[GLANCE_MOST];
    const int n = epoll_wait(a->watch, events, GLANCE_MOST, 0);
    const int64_t now = now_ms();
    for (int i = 0; i < n; i++) {
        struct connection *c = find(a, events[i].data.fd);
        if (c)
            look_at(a, events[i].data.fd, c, now);
    }
}

void acceptor_heard(struct acceptor *a, int32_t descriptor, int receiving)
{
    pthread_mutex_lock(&a->mutex);
    struct connection *c = find(a, descriptor);
    if (c) {
        c->calls++;
        c->receiving += receiving > 0 || c->receiving > 0 ? (uint32_t)receiving : 0;
    }
    pthread_mutex_unlock(&a->mutex);
}

void acceptor_relayed(struct acceptor *a, int32_t descriptor, size_t n)
{
    pthread_mutex_lock(&a->mutex);
    struct connection *c = find(a, descriptor);
    if (c)
        c->relayed += n;
    pthread_mutex_unlock(&a->mutex);
}

/* Room for the descriptor; false: no memory. */
static bool make_room(struct acceptor *a, int fd)
{
    uint32_t capacity = a->capacity ? a->capacity : 64;
    while (capacity <= (uint32_t)fd)
        capacity *= 2;
    if (capacity == a->capacity)
        return true;
    struct connection *moved = (struct connection *)realloc(a->at, capacity * sizeof *moved);
    if (!moved)
        return false;
    memset(moved + a->capacity, 0, (capacity - a->capacity) * sizeof *moved);
    a->at = moved;
    a->capacity = capacity;
    return true;
}

static bool remember(struct acceptor *a, int fd)
{
    struct stat st;
    if (a->n >= a->max && now_ms() - a->looked_ms >= SHORTAGE_MS)
        look(a);
    if (!make_room(a, fd) || fstat(fd, &st) != 0)
        return false;
    struct connection *c = &a->at[fd];
    forget(a, c); /* who had the descriptor before is gone */
    if (a->n >= a->max)
        return false;
    uint64_t bytes;
    *c =
        (struct connection){.known = true, .young = true, .inode = st.st_ino, .since_ms = now_ms()};
    c->counted = bytes_received(a, fd, &bytes);
    a->n++;
    a->young++;
    if (c->counted) {
        struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
        (void)epoll_ctl(a->watch, EPOLL_CTL_ADD, fd, &e); /* closing takes it out again */
    }
    return true;
}

bool acceptor_adopt(struct acceptor *a, int fd)
{
    pthread_mutex_lock(&a->mutex);
    const bool room = !atomic_load(&a->server->draining) && remember(a, fd);
    pthread_mutex_unlock(&a->mutex);
    if (room)
        grpc_server_add_channel_from_fd(a->server->server, fd, a->server->credentials);
    return room;
}

/* Handshakes that are under way take room too, so that no more of them begin than may end well. */
static bool begin_handshake(struct acceptor *a, int fd)
{
    return relay_handshakes(a->relay) < a->max && relay_take(a->relay, fd);
}

/* Returns how long to wait before the next look at the listener, 0: not at all. */
static int accept_some(struct acceptor *a)
{
    for (;;) {
        int one = 1;
        int fd = accept4(a->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0)
            return errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM
                       ? SHORTAGE_MS
                       : 0;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* not on unix sockets */
        if (!(a->relay ? begin_handshake(a, fd) : acceptor_adopt(a, fd)))
            (void)close(fd);
    }
}

static void *acceptor_run(void *arg)
{
    struct acceptor *a = (struct acceptor *)arg;
    int pause = 0;
    bool glanced = false;   /* bytes that come are not waited for until some time has passed... */
    int64_t glanced_ms = 0; /* ...since then */
    (void)pthread_setname_np(pthread_self(), "otlp-accept");
    for (;;) {
        struct pollfd fds[3] = {{.fd = a->wake, .events = POLLIN},
                                {.fd = pause ? -1 : a->listener, .events = POLLIN},
                                {.fd = glanced ? -1 : a->watch, .events = POLLIN}};
        int timeout = pause ? pause : glanced ? GLANCE_MS : a->young ? a->look_ms : -1;
        if (poll(fds, 3, timeout) < 0 && errno != EINTR)
            break;
        pause = 0;
        if (fds[0].revents)
            break;
        if (fds[1].revents)
            pause = accept_some(a);
        pthread_mutex_lock(&a->mutex);
        const int64_t now = now_ms();
        const bool bytes = fds[2].revents != 0;
        glanced = glanced && now - glanced_ms < GLANCE_MS;
        if ((a->young || bytes) && now - a->looked_ms >= a->look_ms)
            look(a);
        if (bytes) {
            glance(a);
            glanced = true;
            glanced_ms = now;
        }
        pthread_mutex_unlock(&a->mutex);
    }
    return NULL;
}

static int thread_create(struct acceptor *a)
{
    pthread_attr_t attr;
    sigset_t all, before;
    int failed = pthread_attr_init(&attr);
    if (failed)
        return failed;
    (void)pthread_attr_setstacksize(&attr, STACK);
    (void)sigfillset(&all); /* signals are for the host's own threads */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&a->thread, &attr, acceptor_run, a);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
    return failed;
}

static void acceptor_free(struct acceptor *a)
{
    relay_stop(a->relay);
    if (a->wake >= 0)
        (void)close(a->wake);
    if (a->watch >= 0)
        (void)close(a->watch);
    pthread_mutex_destroy(&a->mutex);
    free(a->at);
    free(a);
}

int32_t acceptor_start(struct otlp_grpc_server *server, int32_t fd,
                       const struct otlp_grpc_settings *settings, struct acceptor **out,
                       sl_error *error)
{
    struct acceptor *a = (struct acceptor *)calloc(1, sizeof *a);
    if (!a || pthread_mutex_init(&a->mutex, NULL) != 0) {
        free(a);
        return sl_fail(error, SL_ERR_NOMEM, "no memory");
    }
    a->server = server;
    a->listener = fd;
    a->max = settings->max_connections ? settings->max_connections : CONNECTIONS_DEFAULT;
    a->preface_ms = settings->preface_timeout ? settings->preface_timeout / 1000000 : PREFACE_MS;
    a->look_ms = a->preface_ms < LOOK_MS ? (int)a->preface_ms : LOOK_MS;
    a->looked_ms = now_ms();
    a->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    a->watch = epoll_create1(EPOLL_CLOEXEC);
    *out = a; /* calls may come as soon as the thread runs */
    int32_t status = SL_OK;
    if (settings->security.api)
        status = relay_start(a, &settings->security, a->preface_ms, &a->relay, error);
    if (status == SL_OK && (a->wake < 0 || a->watch < 0 || thread_create(a) != 0))
        status = sl_fail(error, SL_ERR_IO, "cannot start the thread that accepts connections");
    if (status != SL_OK) {
        *out = NULL;
        acceptor_free(a);
        return status;
    }
    a->accepting = true;
    return SL_OK;
}

void acceptor_drain(struct acceptor *a)
{
    if (!a || !a->accepting)
        return;
    a->accepting = false;
    (void)eventfd_write(a->wake, 1);
    (void)pthread_join(a->thread, NULL);
}

void acceptor_stop(struct acceptor *a)
{
    if (!a)
        return;
    acceptor_drain(a);
    acceptor_free(a);
}
