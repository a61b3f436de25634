/* The load sender's HTTP/1.1 transport: non-blocking sockets and edge-triggered epoll in the thread
 * that called send_run. A slot is one connection with one request at a time; head and body go out
 * in one sendmsg, straight from the caller's memory. Answers are parsed by http-parser. */
#include "commands/generate/send_core.h"

#include <errno.h>
#include <http_parser.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    SLOTS_MAX = 20000,
    HEAD_MAX = 16 * 1024,
    REPLY_MAX = 64 * 1024, /* of an answer's body; more of it is not looked at */
    EVENTS = 64,
    SIGNALS = 4
};

enum slot_state {
    SLOT_IDLE,
    SLOT_CONNECTING,
    SLOT_BUSY,   /* a request is being sent or its answer awaited */
    SLOT_WAITING /* for the time of a retry, or resting after a failure */
};

struct sender;

struct slot {
    struct sender *sender;
    enum slot_state state;
    bool has_task;
    uint64_t until_ns; /* end of the wait; of other states but idle: when it has taken too long */
    struct slot *next_idle;
    int fd; /* -1: not connected */
    struct send_task task;
    char length[32]; /* the last lines of the head: the value of Content-Length */
    size_t written;  /* of head and body together */
    size_t total;
    http_parser parser;
    bool answered;
    bool hung_up;  /* the server ends, or has broken, the connection */
    bool in_value; /* the parser's last piece was of a header's value, not of its name */
    char name[16]; /* of the header at hand, cut; the parser may hand it over in pieces */
    size_t name_n;
    char retry_after[40];
    size_t retry_after_n;
    uint8_t *reply; /* REPLY_MAX bytes, allocated for the first body that comes */
    size_t reply_n;
};

struct sender {
    struct send_core *core;
    int epoll;
    struct slot *slots, *idle;
    size_t slot_count, waiting;
    struct sockaddr_storage address;
    socklen_t address_n;
    char *heads[SIGNALS]; /* up to and including "Content-Length: " */
    size_t head_n[SIGNALS];
    char refusal[120]; /* why the last connection failed */
};

static const char *const paths[SIGNALS] = {"/v1/traces", "/v1/metrics", "/v1/logs",
                                           "/v1development/profiles"};

/* Appends as much as fits into a buffer with room for a final NUL. */
static void append(char *buffer, size_t room, size_t *used, const char *at, size_t n)
{
    if (n > room - 1 - *used)
        n = room - 1 - *used;
    memcpy(buffer + *used, at, n);
    *used += n;
    buffer[*used] = '\0';
}

static int on_field(http_parser *p, const char *at, size_t n)
{
    struct slot *slot = (struct slot *)p->data;
    if (slot->in_value)
        slot->name_n = 0;
    slot->in_value = false;
    append(slot->name, sizeof slot->name, &slot->name_n, at, n);
    return 0;
}

static int on_value(http_parser *p, const char *at, size_t n)
{
    struct slot *slot = (struct slot *)p->data;
    slot->in_value = true;
    if (strcasecmp(slot->name, "retry-after") == 0)
        append(slot->retry_after, sizeof slot->retry_after, &slot->retry_after_n, at, n);
    return 0;
}

static int on_body(http_parser *p, const char *at, size_t n)
{
    struct slot *slot = (struct slot *)p->data;
    if (!slot->reply)
        slot->reply = (uint8_t *)malloc(REPLY_MAX);
    if (!slot->reply)
        return 1;
    if (n > REPLY_MAX - slot->reply_n)
        n = REPLY_MAX - slot->reply_n;
    memcpy(slot->reply + slot->reply_n, at, n);
    slot->reply_n += n;
    return 0;
}

static int on_complete(http_parser *p)
{
    struct slot *slot = (struct slot *)p->data;
    if (p->status_code >= 200) { /* 1xx announces the answer */
        slot->answered = true;
        http_parser_pause(p, 1);
    }
    return 0;
}

static const http_parser_settings parser_settings = {.on_header_field = on_field,
                                                     .on_header_value = on_value,
                                                     .on_body = on_body,
                                                     .on_message_complete = on_complete};

static void slot_disconnect(struct slot *slot)
{
    if (slot->fd >= 0)
        close(slot->fd);
    slot->fd = -1;
}

static void slot_idle(struct slot *slot)
{
    slot->state = SLOT_IDLE;
    slot->next_idle = slot->sender->idle;
    slot->sender->idle = slot;
}

static void slot_end(struct slot *slot, const struct send_answer *answer)
{
    struct sender *s = slot->sender;
    uint64_t again_ns;
    slot->has_task = send_core_end(s->core, send_now(), &slot->task, answer, &again_ns);
    if (again_ns == 0) {
        slot_idle(slot);
        return;
    }
    slot->state = SLOT_WAITING;
    slot->until_ns = again_ns;
    s->waiting++;
}

static void slot_fail(struct slot *slot, const char *why)
{
    struct send_answer answer = {.outcome = SEND_FAILED};
    snprintf(answer.text, sizeof answer.text, "%s", why);
    slot_disconnect(slot);
    slot_end(slot, &answer);
}

static bool slot_sent(const struct slot *slot)
{
    return slot->written == slot->total;
}

/* Sends what the socket takes. False when the connection is broken. */
static bool slot_write(struct slot *slot)
{
    const struct send_core *core = slot->sender->core;
    size_t request = slot->task.request;
    unsigned signal = (unsigned)__builtin_ctz((unsigned)core->requests[request].signal);
    while (!slot_sent(slot)) {
        struct iovec parts[3] = {
            {.iov_base = slot->sender->heads[signal], .iov_len = slot->sender->head_n[signal]},
            {.iov_base = slot->length, .iov_len = strlen(slot->length)},
            {.iov_base = (void *)(uintptr_t)core->bodies[request].p,
             .iov_len = core->bodies[request].n},
        };
        size_t skip = slot->written, first = 0;
        while (skip >= parts[first].iov_len)
            skip -= parts[first++].iov_len;
        parts[first].iov_base = (uint8_t *)parts[first].iov_base + skip;
        parts[first].iov_len -= skip;
        struct msghdr message = {.msg_iov = &parts[first], .msg_iovlen = 3 - first};
        ssize_t n = sendmsg(slot->fd, &message, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        slot->written += (size_t)n;
    }
    return true;
}

static bool slot_connect(struct slot *slot)
{
    struct sender *s = slot->sender;
    int on = 1;
    slot->fd = socket(s->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (slot->fd < 0)
        return false;
    slot->hung_up = false;
    setsockopt(slot->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP, .data.ptr = slot};
    if ((connect(slot->fd, (const struct sockaddr *)&s->address, s->address_n) &&
         errno != EINPROGRESS) ||
        epoll_ctl(s->epoll, EPOLL_CTL_ADD, slot->fd, &e)) {
        slot_disconnect(slot);
        return false;
    }
    return true;
}

/* Begins a try of the slot's task, on the connection at hand or a new one. */
static void slot_begin(struct slot *slot, uint64_t now_ns)
{
    const struct send_core *core = slot->sender->core;
    const sl_bytes *body = &core->bodies[slot->task.request];
    unsigned signal = (unsigned)__builtin_ctz((unsigned)core->requests[slot->task.request].signal);
    snprintf(slot->length, sizeof slot->length, "%zu\r\n\r\n", body->n);
    slot->written = 0;
    slot->total = slot->sender->head_n[signal] + strlen(slot->length) + body->n;
    slot->answered = false;
    slot->in_value = true;
    slot->retry_after_n = 0;
    slot->retry_after[0] = '\0';
    slot->reply_n = 0;
    slot->task.try_ns = now_ns;
    slot->until_ns = now_ns + core->timeout_ns;
    http_parser_init(&slot->parser, HTTP_RESPONSE);
    slot->parser.data = slot;
    if (slot->fd < 0) {
        slot->state = SLOT_CONNECTING;
        if (!slot_connect(slot))
            slot_fail(slot, strerror(errno));
        return;
    }
    slot->state = SLOT_BUSY;
    if (!slot_write(slot))
        slot_fail(slot, strerror(errno));
}

static void read_retry_after(const char *text, struct send_answer *answer)
{
    char *end;
    unsigned long seconds = strtoul(text, &end, 10);
    if (end != text && *end == '\0' && seconds < 1000000) {
        answer->delayed = true;
        answer->delay_ns = seconds * SEND_NS_PER_S;
        return;
    }
    struct tm date;
    memset(&date, 0, sizeof date);
    end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &date);
    time_t now = time(NULL), then = end ? timegm(&date) : 0;
    if (end) {
        answer->delayed = true;
        answer->delay_ns = then > now ? (uint64_t)(then - now) * SEND_NS_PER_S : 0;
    }
}

static void slot_answered(struct slot *slot)
{
    struct send_answer answer = {.outcome = SEND_ACKNOWLEDGED};
    unsigned code = slot->parser.status_code;
    bool keep = http_should_keep_alive(&slot->parser) && slot_sent(slot) && !slot->hung_up;
    if (code < 300) {
        send_read_partial(sl_slice(slot->reply, slot->reply_n), &answer);
    } else {
        read_retry_after(slot->retry_after, &answer);
        snprintf(answer.text, sizeof answer.text, "HTTP status %u", code);
        answer.outcome = code == 429 || code == 502 || code == 503 || code == 504
                             ? SEND_REFUSED_RETRYABLE
                             : SEND_REFUSED_PERMANENT;
    }
    if (!keep) /* a server may refuse before it has read the body, which then has no use */
        slot_disconnect(slot);
    slot_end(slot, &answer);
}

/* Reads what came. False when the connection ended before the answer was complete. */
static bool slot_read(struct slot *slot)
{
    char bytes[16 * 1024];
    while (!slot->answered) {
        ssize_t n = recv(slot->fd, bytes, sizeof bytes, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return true;
        if (n < 0)
            return false;
        size_t used = http_parser_execute(&slot->parser, &parser_settings, bytes, (size_t)n);
        if (slot->answered)
            return true;
        if (n == 0 || used != (size_t)n) {
            errno = n == 0 ? ECONNRESET : EPROTO;
            return false;
        }
    }
    return true;
}

static void slot_event(struct slot *slot)
{
    if (slot->state == SLOT_CONNECTING) {
        int problem = 0;
        socklen_t n = sizeof problem;
        getsockopt(slot->fd, SOL_SOCKET, SO_ERROR, &problem, &n);
        if (problem) {
            slot_fail(slot, strerror(problem));
            return;
        }
        slot->state = SLOT_BUSY;
    }
    if (slot->state != SLOT_BUSY) { /* the server closed an idle connection */
        char byte;
        if (slot->fd >= 0 && recv(slot->fd, &byte, 1, MSG_PEEK) >= 0)
            slot_disconnect(slot);
        return;
    }
    /* a broken connection may still hold the answer that was sent before it broke */
    bool writable = slot_write(slot);
    int problem = errno;
    bool readable = slot_read(slot);
    if (slot->answered)
        slot_answered(slot);
    else if (!readable || !writable)
        slot_fail(slot, strerror(readable ? problem : errno));
}

/* Ends waits that are over and tries that take too long; returns when to look again. */
static uint64_t sender_scan(struct sender *s, uint64_t now_ns)
{
    uint64_t next = SEND_NEVER;
    bool stopping = send_core_stopping(s->core);
    for (size_t i = 0; i < s->slot_count; i++) {
        struct slot *slot = &s->slots[i];
        if (slot->state == SLOT_IDLE)
            continue;
        bool waiting = slot->state == SLOT_WAITING;
        if (slot->until_ns > now_ns && !(waiting && stopping)) {
            next = slot->until_ns < next ? slot->until_ns : next;
        } else if (!waiting) {
            slot_fail(slot, "no answer in time");
        } else {
            s->waiting--;
            if (slot->has_task)
                slot_begin(slot, now_ns);
            else
                slot_idle(slot);
        }
    }
    return next;
}

static void sender_poll(struct sender *s, uint64_t wait_ns)
{
    struct epoll_event events[EVENTS];
    struct timespec wait = {.tv_sec = (time_t)(wait_ns / SEND_NS_PER_S),
                            .tv_nsec = (long)(wait_ns % SEND_NS_PER_S)};
    int n = epoll_pwait2(s->epoll, events, EVENTS, &wait, NULL);
    for (int i = 0; i < n; i++) {
        struct slot *slot = (struct slot *)events[i].data.ptr;
        slot->hung_up = (events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
        slot_event(slot);
    }
}

static void sender_loop(struct sender *s)
{
    struct send_core *core = s->core;
    uint64_t scan_ns = 0;
    for (;;) {
        uint64_t now_ns = send_now(), due_ns = SEND_NEVER;
        if (now_ns >= scan_ns || s->waiting > 0) {
            uint64_t next = sender_scan(s, now_ns), tick = now_ns + SEND_TICK_NS;
            scan_ns = next < tick ? next : tick;
        }
        while (s->idle) {
            struct slot *slot = s->idle;
            if (!send_core_begin(core, now_ns, &slot->task, &due_ns))
                break;
            s->idle = slot->next_idle;
            slot_begin(slot, now_ns);
        }
        if (core->active == 0 && s->idle && due_ns == SEND_NEVER)
            return;
        send_core_tick(core, now_ns);
        uint64_t wake_ns = due_ns < scan_ns ? due_ns : scan_ns;
        sender_poll(s, wake_ns > now_ns ? wake_ns - now_ns : 0);
    }
}

static enum sl_status sender_resolve(struct sender *s, const char *authority, sl_error *error)
{
    char host[300];
    const char *colon = strrchr(authority, ':');
    size_t n = (size_t)(colon - authority);
    if (n >= sizeof host)
        return send_fail(error, SL_ERR_INVALID, "host name in \"%s\" is too long", authority);
    bool bracketed = n > 2 && authority[0] == '[' && colon[-1] == ']';
    memcpy(host, authority + bracketed, n);
    host[bracketed ? n - 2 : n] = '\0';
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    int problem = getaddrinfo(host, colon + 1, &hints, &found);
    if (problem)
        return send_fail(error, SL_ERR_UNAVAILABLE, "cannot find %s: %s", authority,
                         gai_strerror(problem));
    memcpy(&s->address, found->ai_addr, found->ai_addrlen);
    s->address_n = found->ai_addrlen;
    freeaddrinfo(found);
    return SL_OK;
}

/* Everything of a request but the length and the body, which is the same for all of a signal. */
static bool sender_build_head(struct sender *s, size_t signal, const char *authority,
                              const char *base)
{
    const struct send_options *o = s->core->options;
    char *head = (char *)malloc(HEAD_MAX);
    if (!head)
        return false;
    s->heads[signal] = head;
    int n = snprintf(head, HEAD_MAX,
                     "POST %s%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: sluice-generate\r\n"
                     "Content-Type: application/x-protobuf\r\n%s",
                     base, paths[signal], authority, o->gzip ? "Content-Encoding: gzip\r\n" : "");
    for (size_t i = 0; i < o->header_count && n > 0 && n < HEAD_MAX; i++)
        n += snprintf(head + n, (size_t)(HEAD_MAX - n), "%s: %s\r\n", o->headers[i].name,
                      o->headers[i].value);
    if (n > 0 && n < HEAD_MAX)
        n += snprintf(head + n, (size_t)(HEAD_MAX - n), "Content-Length: ");
    s->head_n[signal] = (size_t)n;
    return n > 0 && n < HEAD_MAX;
}

/* Connects once and leaves the connection to the first slot: a wrong address is an error of the
 * run, not of each of its requests. */
static enum sl_status sender_connect(struct sender *s, const char *authority, sl_error *error)
{
    uint64_t deadline = send_now() + s->core->timeout_ns;
    struct slot *slot = &s->slots[0];
    int problem = ETIMEDOUT;
    do {
        struct epoll_event e;
        socklen_t n = sizeof problem;
        if (slot_connect(slot) && epoll_wait(s->epoll, &e, 1, 1000) == 1 &&
            !getsockopt(slot->fd, SOL_SOCKET, SO_ERROR, &problem, &n) && !problem)
            return SL_OK;
        slot_disconnect(slot);
        nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
    } while (send_now() < deadline && !send_core_stopping(s->core));
    return send_fail(error, SL_ERR_UNAVAILABLE, "cannot connect to %s: %s", authority,
                     strerror(problem));
}

static enum sl_status sender_init(struct sender *s, const char *authority, const char *base,
                                  sl_error *error)
{
    const struct send_options *o = s->core->options;
    size_t connections = o->connections ? o->connections : 1;
    size_t each = o->in_flight ? o->in_flight : 1;
    if (connections > SLOTS_MAX || each > SLOTS_MAX / connections)
        return send_fail(error, SL_ERR_INVALID, "%zu times %zu connections: too many", connections,
                         each);
    s->slot_count = connections * each;
    s->slots = (struct slot *)calloc(s->slot_count, sizeof *s->slots);
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!s->slots || s->epoll < 0)
        return send_fail(error, SL_ERR_NOMEM, "no memory for %zu connections", s->slot_count);
    for (size_t i = s->slot_count; i-- > 0;) {
        s->slots[i].sender = s;
        s->slots[i].fd = -1;
        slot_idle(&s->slots[i]);
    }
    for (size_t i = 0; i < SIGNALS; i++) {
        if (!sender_build_head(s, i, authority, base))
            return send_fail(error, SL_ERR_TOO_LARGE, "the headers are longer than %d bytes",
                             HEAD_MAX);
    }
    return sender_resolve(s, authority, error);
}

enum sl_status send_http(struct send_core *core, const char *authority, const char *base,
                         sl_error *error)
{
    struct sender s = {.core = core, .epoll = -1};
    enum sl_status status = sender_init(&s, authority, base, error);
    if (status == SL_OK)
        status = sender_connect(&s, authority, error);
    if (status == SL_OK) {
        send_core_start(core);
        sender_loop(&s);
    }
    for (size_t i = 0; s.slots && i < s.slot_count; i++) {
        slot_disconnect(&s.slots[i]);
        free(s.slots[i].reply);
    }
    for (size_t i = 0; i < SIGNALS; i++)
        free(s.heads[i]);
    free(s.slots);
    if (s.epoll >= 0)
        close(s.epoll);
    return status;
}
