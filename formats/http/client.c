/* The HTTP client's pool of connections, its addresses and its timeouts. On the loop's thread. */
#include "formats/http/client_internal.h"

#include <stdlib.h>

enum { ADDRESSES_MS = 60000 /* names are resolved anew after that */ };

static void on_timer(uv_timer_t *timer);

/* ---- exchanges ---- */

static void link_running(struct http_client *c, struct http_exchange *x)
{
    x->prev = NULL;
    x->next = c->running;
    if (x->next)
        x->next->prev = x;
    c->running = x;
}

static void unlink_running(struct http_client *c, struct http_exchange *x)
{
    if (x->prev)
        x->prev->next = x->next;
    else
        c->running = x->next;
    if (x->next)
        x->next->prev = x->prev;
}

/* ---- the limit of connections ---- */

static void wait_for_connection(struct http_client *c, struct http_exchange *x)
{
    x->waiting = true;
    x->next_waiting = NULL;
    *c->last_waiting = x;
    c->last_waiting = &x->next_waiting;
}

static void unlink_waiting(struct http_client *c, struct http_exchange *x)
{
    struct http_exchange **at = &c->waiting;
    while (*at != x)
        at = &(*at)->next_waiting;
    *at = x->next_waiting;
    if (!*at)
        c->last_waiting = at;
    x->waiting = false;
}

static void end(struct http_client *c, struct http_exchange *x, int error)
{
    unlink_running(c, x);
    x->conversation = NULL;
    x->error = error;
    x->done(x); /* the exchange is the caller's again */
}

/* A connection has become free, or there is room for another. */
static void serve_waiting(struct http_client *c)
{
    while (c->waiting && !c->closing &&
           (c->idle || c->n_conversations < c->options.connections_max)) {
        struct http_exchange *x = c->waiting;
        unlink_waiting(c, x);
        bool begun = false;
        while (c->idle && !begun)
            begun = conversation_begin(c->idle, x);
        const int failed = begun ? 0 : client_connect(c, x);
        if (failed)
            end(c, x, failed);
    }
}

void client_finish(struct http_client *c, struct http_exchange *x, int error)
{
    if (x->waiting)
        unlink_waiting(c, x);
    serve_waiting(c);
    end(c, x, error);
}

int32_t http_client_send(struct http_client *c, struct http_exchange *x)
{
    if (c->closing)
        return SL_ERR_UNAVAILABLE;
    uv_update_time(c->loop);
    x->error = x->status = 0;
    x->too_long = x->retried = x->waiting = false;
    x->body = sl_slice(NULL, 0);
    x->conversation = NULL;
    x->resolution = 0;
    x->until_ms = x->timeout_ms ? uv_now(c->loop) + x->timeout_ms : 0;
    link_running(c, x);
    if (x->until_ms)
        client_arm(c, x->until_ms);
    while (c->idle) {
        if (conversation_begin(c->idle, x))
            return SL_OK;
    }
    x->error = client_connect(c, x);
    if (x->error == 0)
        return SL_OK;
    unlink_running(c, x);
    return x->error == UV_ENOMEM ? SL_ERR_NOMEM : SL_ERR_UNAVAILABLE;
}

/* ---- addresses ---- */

/* `done` may send anew, which waits for another resolution. */
static void resolved(struct http_client *c, int error)
{
    const uint32_t number = c->resolution;
    struct http_exchange *x = c->running;
    while (x && !c->closing) {
        if (x->resolution != number) {
            x = x->next;
            continue;
        }
        x->resolution = 0;
        const int failed = error ? error : client_connect(c, x);
        if (failed)
            client_finish(c, x, failed);
        x = c->running;
    }
}

static void on_resolved(uv_getaddrinfo_t *resolver, int error, struct addrinfo *found)
{
    struct http_client *c = resolver->data;
    c->resolving = false;
    c->n_addresses = 0;
    for (const struct addrinfo *a = found; a && c->n_addresses < CLIENT_ADDRESSES_MAX;
         a = a->ai_next) {
        if (a->ai_addrlen > sizeof c->addresses[0])
            continue;
        memcpy(&c->addresses[c->n_addresses++], a->ai_addr, a->ai_addrlen);
    }
    uv_freeaddrinfo(found);
    c->resolved_ms = uv_now(c->loop);
    if (error == 0 && c->n_addresses == 0)
        error = UV_EAI_NONAME;
    if (!c->closing)
        resolved(c, error);
    client_handle_closed(c); /* it counts as a handle */
}

int client_connect(struct http_client *c, struct http_exchange *x)
{
    if (c->options.connections_max && c->n_conversations >= c->options.connections_max) {
        wait_for_connection(c, x);
        return 0;
    }
    const bool fresh =
        c->literal || (c->n_addresses && uv_now(c->loop) - c->resolved_ms < ADDRESSES_MS);
    if (fresh)
        return conversation_open(c, x, 0);
    if (c->resolving) {
        x->resolution = c->resolution;
        return 0;
    }
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    c->resolver.data = c;
    const int failed = uv_getaddrinfo(c->loop, &c->resolver, on_resolved, c->options.host,
                                      c->options.port, &hints);
    if (failed)
        return failed;
    c->resolving = true;
    c->handles++;
    c->resolution += c->resolution == UINT32_MAX ? 2 : 1;
    x->resolution = c->resolution;
    return 0;
}

/* ---- timeouts ---- */

void client_arm(struct http_client *c, uint64_t at_ms)
{
    if (c->closing || (c->timer_ms && c->timer_ms <= at_ms))
        return;
    const uint64_t now = uv_now(c->loop);
    c->timer_ms = at_ms;
    (void)uv_timer_start(&c->timer, on_timer, at_ms > now ? at_ms - now : 0, 0);
}

static struct http_exchange *find_late(const struct http_client *c, uint64_t now)
{
    struct http_exchange *x = c->running;
    while (x && (x->until_ms == 0 || x->until_ms > now))
        x = x->next;
    return x;
}

static void on_timer(uv_timer_t *timer)
{
    struct http_client *c = timer->data;
    const uint64_t now = uv_now(c->loop), idle = c->options.idle_timeout_ms;
    struct http_exchange *late;
    c->timer_ms = 0;
    while (!c->closing && (late = find_late(c, now))) {
        if (late->conversation)
            conversation_close(late->conversation);
        client_finish(c, late, UV_ETIMEDOUT);
    }
    for (struct http_conversation *v = c->idle, *next; v; v = next) {
        next = v->next_idle;
        if (idle && v->idle_since_ms + idle <= now)
            conversation_close(v);
        else if (idle)
            client_arm(c, v->idle_since_ms + idle);
    }
    for (const struct http_exchange *x = c->running; x; x = x->next) {
        if (x->until_ms)
            client_arm(c, x->until_ms);
    }
}

/* ---- life ---- */

/* Nothing is to be resolved. */
static bool parse_literal(struct http_client *c)
{
    if (!c->options.socket_path) {
        const int port = atoi(c->options.port);
        if (uv_ip4_addr(c->options.host, port, &c->addresses[0].v4) != 0 &&
            uv_ip6_addr(c->options.host, port, &c->addresses[0].v6) != 0)
            return false;
    }
    c->n_addresses = 1;
    return true;
}

static void free_options(struct http_client_options *o)
{
    free((void *)(uintptr_t)o->host);
    free((void *)(uintptr_t)o->port);
    free((void *)(uintptr_t)o->socket_path);
}

int32_t http_client_create(uv_loop_t *loop, const struct http_client_options *options,
                           struct http_client **client)
{
    struct http_client *c = malloc(sizeof *c);
    struct http_client_options o = *options;
    o.host = strdup(options->host);
    o.port = strdup(options->port);
    o.socket_path = options->socket_path ? strdup(options->socket_path) : NULL;
    if (!c || !o.host || !o.port || (options->socket_path && !o.socket_path)) {
        free(c);
        free_options(&o);
        return SL_ERR_NOMEM;
    }
    memset(c, 0, offsetof(struct http_client, scratch));
    c->loop = loop;
    c->options = o;
    c->last_waiting = &c->waiting;
    c->literal = parse_literal(c);
    (void)uv_timer_init(loop, &c->timer);
    c->timer.data = c;
    c->handles = 1;
    *client = c;
    return SL_OK;
}

void client_handle_closed(struct http_client *c)
{
    if (--c->handles > 0)
        return;
    void (*closed)(void *) = c->closed;
    void *ctx = c->ctx;
    free_options(&c->options);
    free(c);
    if (closed)
        closed(ctx);
}

static void on_timer_closed(uv_handle_t *timer)
{
    client_handle_closed(timer->data);
}

void http_client_close(struct http_client *c, void (*closed)(void *ctx), void *ctx)
{
    c->closing = true;
    c->closed = closed;
    c->ctx = ctx;
    while (c->running) {
        struct http_exchange *x = c->running;
        if (x->conversation)
            conversation_close(x->conversation);
        client_finish(c, x, UV_ECANCELED);
    }
    while (c->idle)
        conversation_close(c->idle);
    if (c->resolving)
        (void)uv_cancel((uv_req_t *)&c->resolver); /* its callback comes in any case */
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}
