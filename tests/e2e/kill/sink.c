/* The destinations of the kill tests: HTTP/1.1 servers that look at every span and count in their
 * ledgers what they have answered OK. They outlive every process that sends to them. Each does what
 * the test says on stdin, a line at a time:
 *
 *     NUMBER up|refuse|hang|down|flap    of the destination; the first is 0
 *
 * up: answers OK; refuse: 503; hang: takes requests and never answers; down: nobody listens, and
 * connections are reset; flap: one of the four, and soon another. Ends when stdin does. One thread. */
#include "tests/bench/net.h"
#include "tests/e2e/kill/ledger.h"
#include "tests/e2e/kill/span.h"
#include <errno.h>
#include <signal.h>
#include <sluice/otlp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    DESTINATIONS_MAX = 4,
    EVENTS = 64,
    HEAD_MAX = 16 * 1024,
    BODY_MAX = 64 * 1024 * 1024,
    READ_AT_ONCE = 64 * 1024,
    FLAP_MIN_MS = 20,
    FLAP_MAX_MS = 250
};

enum mode { UP, REFUSE, HANG, DOWN, FLAP, MODES };
static const char *const mode_names[MODES] = {"up", "refuse", "hang", "down", "flap"};

struct destination;

struct client {
    struct destination *of;
    struct client *next, *previous;
    int fd;
    bool broken; /* to be closed once the events at hand are served */
    uint8_t *bytes;
    size_t n, room;
};

struct destination {
    struct sink *sink;
    const char *address;
    struct ledger *ledger;
    int listener; /* -1: down */
    enum mode told, mode;
    int64_t flap_ms; /* when the mode changes, while it flaps */
    struct client *clients;
};

struct sink {
    int epoll;
    uint64_t random;
    uint32_t n;
    struct destination destinations[DESTINATIONS_MAX];
    char line[64]; /* what came of the next line on stdin */
    size_t line_n;
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- what came ---- */

static void count_span(struct ledger *l, sl_bytes span)
{
    uint8_t expected[SPAN_MAX];
    uint64_t number;
    if (!span_number(span, &number) || number >= LEDGER_SPANS ||
        span_encode(number, expected) != span.n || memcmp(expected, span.p, span.n) != 0) {
        atomic_fetch_add(&l->spoilt, 1);
        return;
    }
    if (l->spans[number] < UINT8_MAX)
        l->spans[number]++;
    atomic_fetch_add(&l->delivered, 1);
}

static void count_request(struct ledger *l, sl_bytes request)
{
    sl_bytes resource, scope, span;
    sl_repeated resources = sl_repeated_of(request, 1);
    while (sl_repeated_next(&resources, &resource)) {
        sl_repeated scopes = sl_repeated_of(resource, 2);
        while (sl_repeated_next(&scopes, &scope)) {
            sl_repeated spans = sl_repeated_of(scope, 2);
            while (sl_repeated_next(&spans, &span))
                count_span(l, span);
        }
    }
}

/* ---- connections ---- */

static bool answer(struct client *c, sl_bytes body)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n"
                             "Content-Length: 0\r\n\r\n";
    static const char refusal[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    struct ledger *l = c->of->ledger;
    atomic_fetch_add(&l->requests, 1);
    if (c->of->mode != UP)
        atomic_fetch_add(&l->refused, 1);
    if (c->of->mode == HANG)
        return true;
    if (c->of->mode == UP)
        count_request(l, body); /* before the answer: a destination keeps what it says it has */
    const char *text = c->of->mode == UP ? ok : refusal;
    return send(c->fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

/* Serves the requests that are complete. False: the connection is of no use any more. */
static bool client_step(struct client *c)
{
    size_t used = 0;
    bool good = true;
    while (good) {
        const uint8_t *at = c->bytes + used, *end = memmem(at, c->n - used, "\r\n\r\n", 4);
        if (!end) {
            good = c->n - used < HEAD_MAX;
            break;
        }
        char head[HEAD_MAX];
        const size_t head_n = (size_t)(end - at) + 4;
        if (head_n >= sizeof head)
            return false;
        memcpy(head, at, head_n);
        head[head_n] = '\0';
        const char *length = strcasestr(head, "\r\ncontent-length:");
        const size_t body =
            length ? strtoul(length + strlen("\r\ncontent-length:"), NULL, 10) : BODY_MAX + 1;
        if (body > BODY_MAX)
            return false;
        if (c->n - used < head_n + body)
            break;
        good = answer(c, sl_slice(at + head_n, body));
        used += head_n + body;
    }
    memmove(c->bytes, c->bytes + used, c->n - used);
    c->n -= used;
    return good;
}

static void client_read(struct client *c)
{
    while (!c->broken) {
        if (c->room - c->n < READ_AT_ONCE) {
            c->room = 2 * c->room + READ_AT_ONCE;
            c->bytes = realloc(c->bytes, c->room);
            if (!c->bytes)
                abort();
        }
        const ssize_t n = recv(c->fd, c->bytes + c->n, c->room - c->n, 0);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n > 0)
            c->n += (size_t)n;
        c->broken = n <= 0 || c->n > HEAD_MAX + BODY_MAX || !client_step(c);
    }
}

static void client_close(struct client *c)
{
    const struct linger reset = {.l_onoff = 1};
    (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(c->fd);
    if (c->next)
        c->next->previous = c->previous;
    if (c->previous)
        c->previous->next = c->next;
    else
        c->of->clients = c->next;
    free(c->bytes);
    free(c);
}

static void close_clients(struct destination *d, bool broken_only)
{
    for (struct client *c = d->clients, *next; c; c = next) {
        next = c->next;
        if (c->broken || !broken_only)
            client_close(c);
    }
}

/* ---- destinations ---- */

static void watch(const struct sink *s, int fd, void *who)
{
    struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = who};
    if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e))
        abort();
}

static void accept_all(struct destination *d)
{
    int fd;
    while (d->listener >= 0 && (fd = net_accept(d->listener)) >= 0) {
        struct client *c = calloc(1, sizeof *c);
        if (!c)
            abort();
        *c = (struct client){.of = d, .next = d->clients, .fd = fd};
        if (c->next)
            c->next->previous = c;
        d->clients = c;
        watch(d->sink, fd, c);
    }
}

/* What was taken and not answered is never answered: the connection is reset. */
static void set_mode(struct destination *d, enum mode mode)
{
    if (d->mode == HANG || mode == DOWN)
        close_clients(d, false);
    if (mode == DOWN && d->listener >= 0) {
        close(d->listener);
        d->listener = -1;
    }
    if (mode != DOWN && d->listener < 0) {
        d->listener = net_listen(d->address);
        if (d->listener < 0)
            exit(1);
        watch(d->sink, d->listener, d);
    }
    d->mode = mode;
}

static uint64_t random_below(struct sink *s, uint64_t n)
{
    s->random = span_mix(s->random);
    return s->random % n;
}

static void flap(struct destination *d)
{
    set_mode(d, (enum mode)random_below(d->sink, FLAP));
    d->flap_ms = now_ms() + FLAP_MIN_MS + (int64_t)random_below(d->sink, FLAP_MAX_MS - FLAP_MIN_MS);
}

static void tell(struct destination *d, enum mode mode)
{
    d->told = mode;
    if (mode == FLAP)
        flap(d);
    else
        set_mode(d, mode);
}

/* How long nothing needs to change; -1: until something comes. */
static int flap_those_due(struct sink *s)
{
    const int64_t now = now_ms();
    int64_t wait = -1;
    for (uint32_t i = 0; i < s->n; i++) {
        struct destination *d = &s->destinations[i];
        if (d->told != FLAP)
            continue;
        if (d->flap_ms <= now)
            flap(d);
        if (wait < 0 || d->flap_ms - now < wait)
            wait = d->flap_ms - now;
    }
    return (int)wait;
}

/* ---- what the test says ---- */

static bool obey(struct sink *s, char *line)
{
    char *word;
    const unsigned long number = strtoul(line, &word, 10);
    if (word == line || *word++ != ' ' || number >= s->n)
        return false;
    for (int mode = 0; mode < MODES; mode++) {
        if (strcmp(word, mode_names[mode]) == 0) {
            tell(&s->destinations[number], (enum mode)mode);
            puts("done");
            return true;
        }
    }
    return false;
}

/* False: the test is gone, or speaks another language. */
static bool read_lines(struct sink *s)
{
    const ssize_t n = read(STDIN_FILENO, s->line + s->line_n, sizeof s->line - s->line_n);
    if (n <= 0)
        return false;
    s->line_n += (size_t)n;
    for (char *end; (end = memchr(s->line, '\n', s->line_n));) {
        *end++ = '\0';
        if (!obey(s, s->line))
            return false;
        s->line_n -= (size_t)(end - s->line);
        memmove(s->line, end, s->line_n);
    }
    return s->line_n < sizeof s->line;
}

static bool serve(struct sink *s)
{
    struct epoll_event events[EVENTS];
    const int n = epoll_wait(s->epoll, events, EVENTS, flap_those_due(s));
    bool told = false;
    for (int i = 0; i < n; i++) {
        void *who = events[i].data.ptr;
        if (who == s)
            told = true;
        else if (who >= (void *)s->destinations && who < (void *)(s->destinations + s->n))
            accept_all(who);
        else
            client_read(who);
    }
    for (uint32_t i = 0; i < s->n; i++)
        close_clients(&s->destinations[i], true);
    return !told || read_lines(s); /* last: a change of mode closes clients */
}

int main(int argc, char **argv)
{
    static const char usage[] = "kill_sink SEED (HOST:PORT LEDGER)...\n";
    struct sink s = {.epoll = epoll_create1(EPOLL_CLOEXEC)};
    if (argc < 4 || argc % 2 || argc / 2 - 1 > DESTINATIONS_MAX || s.epoll < 0) {
        fputs(usage, stderr);
        return 2;
    }
    s.random = strtoull(argv[1], NULL, 10);
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    for (int i = 2; i < argc; i += 2) {
        struct destination *d = &s.destinations[s.n++];
        *d = (struct destination){.sink = &s, .address = argv[i], .listener = -1, .mode = DOWN};
        d->ledger = ledger_open(argv[i + 1]);
        if (!d->ledger)
            return 1;
        tell(d, UP);
    }
    watch(&s, STDIN_FILENO, &s);
    puts("ready");
    while (serve(&s))
        ;
    return 0;
}
