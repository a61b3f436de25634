/* Requests of the OTLP/HTTP exporter over the process's HTTP loop: heads are made once, and bodies
 * are written from where they lie. Where that is the payload itself, nobody waits for the answer
 * (sluice.async_send/1); and where data comes in over HTTP too, the loop's thread is the same, and a
 * request is received, sent and answered without waking another. Compression and JSON take a
 * thread's time: the consumer that has made the body waits. Both begin on any thread; the rest runs
 * on the loop. */
#include "exporters/otlphttp/exporter.h"
#include "formats/http/client.h"
#include "formats/http/loop.h"

#include <semaphore.h>
#include <stdlib.h>

enum { LENGTH_ROOM = 24 /* of a Content-Length, and the empty line */ };

static const int64_t NS_PER_MS = 1000000;

struct attempt {
    struct http_exchange exchange;
    http_loop_task task;
    struct direct *direct;
    struct attempt *next_free;
    sl_delivery *delivery;
    sl_send *send;
    void (*done)(void *ctx, int32_t status);
    void *ctx;
    unsigned signal;
    struct answer answer;
    struct body body; /* where it is made; kept from attempt to attempt */
    sl_bytes whole;   /* the same as bytes */
    char *own_head;   /* where an authenticator adds to it; else NULL */
    char head[];
};

struct direct {
    struct client *client;
    const http_loop *loop;
    struct http_client *http; /* on the loop; NULL once it has been closed */
    char *heads[SIGNALS];     /* up to the Content-Length's value; NULL with an authenticator */
    size_t head_room;         /* of the longest, with the rest */
    uv_loop_t *uv;            /* the loop's */
    http_loop_task open, close;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct attempt *free;
    uint32_t running;
    bool opened, closing, closed;
    int32_t status; /* of opening */
};

/* ---- what can go this way ---- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool leads_to(const struct route *r, const struct route *first)
{
    return same_text(r->host, first->host) && same_text(r->port, first->port) &&
           same_text(r->socket_path, first->socket_path);
}

/* TLS, proxies and cookies take curl. The one place that all signals go to; NULL: several, or it
 * must be curl. */
static const struct route *plain_route(const struct client *c)
{
    const struct route *first = NULL;
    if (c->exporter->cookies.enabled)
        return NULL;
    for (unsigned i = 0; i < SIGNALS; i++) {
        const struct route *r = &c->routes[i];
        if (!r->target)
            continue;
        if (r->https || r->proxy || (first && !leads_to(r, first)))
            return NULL;
        first = first ? first : r;
    }
    return first;
}

static int32_t make_heads(struct direct *d)
{
    const struct client *c = d->client;
    for (unsigned i = 0; i < SIGNALS; i++) {
        if (!c->routes[i].target || c->auth)
            continue;
        d->heads[i] = head_make(c->exporter, &c->routes[i], NULL);
        if (!d->heads[i])
            return SL_ERR_NOMEM;
        const size_t room = strlen(d->heads[i]) + LENGTH_ROOM;
        d->head_room = room > d->head_room ? room : d->head_room;
    }
    return SL_OK;
}

/* ---- attempts ---- */

static void on_header(struct http_exchange *x, sl_bytes name, sl_bytes value)
{
    struct attempt *a = (struct attempt *)(void *)x; /* its first member */
    answer_header(&a->answer, a->direct->client->host, name, value);
}

static struct attempt *attempt_take(struct direct *d)
{
    pthread_mutex_lock(&d->mutex);
    struct attempt *a = d->free;
    if (a)
        d->free = a->next_free;
    d->running++;
    pthread_mutex_unlock(&d->mutex);
    if (!a)
        a = calloc(1, sizeof *a + d->head_room);
    return a;
}

/* `a` may be NULL. */
static void attempt_give(struct direct *d, struct attempt *a)
{
    if (a) {
        free(a->own_head);
        a->own_head = NULL;
        body_rest(&a->body);
    }
    pthread_mutex_lock(&d->mutex);
    if (a) {
        a->next_free = d->free;
        d->free = a;
    }
    if (--d->running == 0)
        pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->mutex);
}

static void end(struct attempt *a, int32_t status)
{
    struct direct *d = a->direct;
    void (*done)(void *, int32_t) = a->done;
    void *ctx = a->ctx;
    if (status != SL_OK && atomic_load(&d->client->stopping))
        status = SL_ERR_SHUTDOWN;
    attempt_give(d, a);
    done(ctx, status);
}

static void on_done(struct http_exchange *x)
{
    struct attempt *a = (struct attempt *)(void *)x;
    a->answer.http = x->status;
    a->answer.body = x->body;
    a->answer.too_long = x->too_long;
    a->answer.is_late = x->error == UV_ETIMEDOUT;
    a->answer.text = x->error ? uv_strerror(x->error) : NULL;
    end(a, answer_judge(a->direct->client, a->signal, &a->answer, a->delivery, a->send));
}

/* On the loop. */
static int32_t start(struct attempt *a)
{
    struct direct *d = a->direct;
    int32_t status = d->http ? http_client_send(d->http, &a->exchange) : SL_ERR_SHUTDOWN;
    if (status != SL_OK) {
        a->send->why = "connection";
        (void)sl_fail(&a->send->error, status, "%.150s: %s", d->client->routes[a->signal].shown,
                      a->exchange.error ? uv_strerror(a->exchange.error) : "cannot send");
    }
    return status;
}

static void start_posted(http_loop_task *task)
{
    struct attempt *a =
        (struct attempt *)(void *)((uint8_t *)task - offsetof(struct attempt, task));
    const int32_t status = start(a);
    if (status != SL_OK)
        end(a, status);
}

static uint32_t timeout_of(const struct direct *d, const sl_send *send)
{
    if (send->deadline_ns == 0)
        return 0;
    const int64_t left = send->deadline_ns - sl_now(d->client->host);
    const int64_t ms = left > 0 ? left / NS_PER_MS + 1 : 1;
    return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

/* The head with an authenticator's headers. */
static int32_t make_own_head(struct attempt *a, uint64_t bytes, sl_bytes *head)
{
    const struct client *c = a->direct->client;
    const sl_metadata *auth = NULL;
    const int32_t status = client_auth_headers(c->auth, &auth, a->send);
    char *start = NULL;
    if (status == SL_OK)
        start = head_make(c->exporter, &c->routes[a->signal], auth);
    if (auth)
        sl_metadata_unref(c->host, auth);
    if (status != SL_OK)
        return status;
    const size_t room = start ? strlen(start) + LENGTH_ROOM : 0;
    a->own_head = start ? realloc(start, room) : NULL;
    if (!a->own_head) {
        free(start);
        return sl_fail(&a->send->error, SL_ERR_NOMEM, "no memory for a request");
    }
    const size_t n = room - LENGTH_ROOM;
    const int more =
        snprintf(a->own_head + n, LENGTH_ROOM, "%llu\r\n\r\n", (unsigned long long)bytes);
    *head = sl_slice(a->own_head, n + (size_t)more);
    return SL_OK;
}

static int32_t make_head(struct attempt *a, uint64_t bytes, sl_bytes *head)
{
    const struct direct *d = a->direct;
    if (d->client->auth)
        return make_own_head(a, bytes, head);
    const int n = snprintf(a->head, d->head_room, "%s%llu\r\n\r\n", d->heads[a->signal],
                           (unsigned long long)bytes);
    *head = sl_slice(a->head, (size_t)n);
    return SL_OK;
}

/* The payload as it lies, or what the thread that calls makes of it. */
static int32_t set_body(struct attempt *a, uint64_t *bytes)
{
    const struct client *c = a->direct->client;
    const sl_payload *payload = a->delivery->payload;
    a->exchange.segments = payload->segments;
    a->exchange.n_segments = payload->n_segments;
    *bytes = payload->bytes;
    if (!body_is_made(c->exporter))
        return SL_OK;
    const int32_t status = body_make(&a->body, c, payload, &a->whole, a->send);
    a->exchange.segments = &a->whole;
    a->exchange.n_segments = 1;
    *bytes = a->whole.n;
    return status;
}

int32_t direct_begin(struct direct *d, sl_delivery *delivery, sl_send *send,
                     void (*done)(void *ctx, int32_t status), void *ctx)
{
    struct attempt *a = attempt_take(d);
    uint64_t bytes;
    if (!a) {
        attempt_give(d, NULL);
        return sl_fail(&send->error, SL_ERR_NOMEM, "no memory for a request");
    }
    *a = (struct attempt){.exchange = {.header = on_header, .done = on_done},
                          .direct = d,
                          .delivery = delivery,
                          .send = send,
                          .done = done,
                          .ctx = ctx,
                          .signal = (unsigned)__builtin_ctz(delivery->payload->signal),
                          .body = a->body};
    int32_t status = set_body(a, &bytes);
    if (status == SL_OK)
        status = make_head(a, bytes, &a->exchange.head);
    a->exchange.timeout_ms = timeout_of(d, send);
    if (status == SL_OK && !d->loop->is_here()) {
        a->task.run = start_posted;
        d->loop->post(&a->task);
        return SL_OK;
    }
    if (status == SL_OK)
        status = start(a);
    if (status != SL_OK)
        attempt_give(d, a);
    return status;
}

/* ---- waiting for the answer ---- */

struct waiting {
    sem_t ended;
    int32_t status;
};

static void end_waiting(void *ctx, int32_t status)
{
    struct waiting *w = ctx;
    w->status = status;
    (void)sem_post(&w->ended);
}

int32_t direct_send(struct direct *d, sl_delivery *delivery, sl_send *send)
{
    struct waiting w = {.status = SL_OK};
    (void)sem_init(&w.ended, 0, 0);
    int32_t status = direct_begin(d, delivery, send, end_waiting, &w);
    if (status == SL_OK) {
        while (sem_wait(&w.ended) != 0) { /* a signal's handler has run */
        }
        status = w.status;
    }
    (void)sem_destroy(&w.ended);
    return status;
}

/* ---- life ---- */

static void on_closed(void *ctx)
{
    struct direct *d = ctx;
    pthread_mutex_lock(&d->mutex);
    d->closed = true;
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->mutex);
}

static void close_posted(http_loop_task *task)
{
    struct direct *d = (struct direct *)(void *)((uint8_t *)task - offsetof(struct direct, close));
    struct http_client *http = d->http;
    d->http = NULL;
    if (http)
        http_client_close(http, on_closed, d);
    else
        on_closed(d);
}

void direct_stop(struct direct *d)
{
    if (!d)
        return;
    pthread_mutex_lock(&d->mutex);
    const bool first = d->opened && !d->closing;
    d->closing = true;
    pthread_mutex_unlock(&d->mutex);
    if (first)
        d->loop->post(&d->close);
}

void direct_destroy(struct direct *d)
{
    if (!d)
        return;
    direct_stop(d);
    pthread_mutex_lock(&d->mutex);
    while ((d->opened && !d->closed) || d->running > 0)
        pthread_cond_wait(&d->changed, &d->mutex);
    pthread_mutex_unlock(&d->mutex);
    if (d->loop)
        d->loop->give();
    while (d->free) {
        struct attempt *a = d->free;
        d->free = a->next_free;
        body_deinit(&a->body);
        free(a);
    }
    for (unsigned i = 0; i < SIGNALS; i++)
        free(d->heads[i]);
    pthread_cond_destroy(&d->changed);
    pthread_mutex_destroy(&d->mutex);
    free(d);
}

static void open_posted(http_loop_task *task)
{
    struct direct *d = (struct direct *)(void *)((uint8_t *)task - offsetof(struct direct, open));
    const struct exporter *e = d->client->exporter;
    const struct route *r = plain_route(d->client);
    const struct http_client_options options = {
        .host = r->host,
        .port = r->port,
        .socket_path = r->socket_path,
        .connections_max = e->max_conns_per_host,
        .idle_max = exporter_idle_max(e),
        .idle_timeout_ms = (uint32_t)(e->idle_conn_timeout / NS_PER_MS < UINT32_MAX
                                          ? e->idle_conn_timeout / NS_PER_MS
                                          : UINT32_MAX),
        .no_keep_alive = e->disable_keep_alives,
        .body_max = CLIENT_RESPONSE_MAX,
        .error_max = CLIENT_ERROR_MAX,
        .header_max = ANSWER_HEADERS_MAX};
    const int32_t status = http_client_create(d->uv, &options, &d->http);
    pthread_mutex_lock(&d->mutex);
    d->status = status;
    d->opened = true;
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->mutex);
}

static int32_t open_on_loop(struct direct *d, sl_error *error)
{
    const sl_host *host = d->client->host;
    const sl_plugins *plugins = sl_interface(host, SL_PLUGINS);
    const void *table;
    if (!plugins)
        return sl_fail(error, SL_ERR_UNSUPPORTED,
                       "the host loads no plugins: " HTTP_LOOP_PLUGIN " is needed");
    int32_t status = plugins->load(host, HTTP_LOOP_PLUGIN, HTTP_LOOP, &table, error);
    if (status == SL_OK)
        status = ((const http_loop *)table)->take(&d->uv, error);
    if (status != SL_OK)
        return status;
    d->loop = table;
    d->loop->post(&d->open);
    pthread_mutex_lock(&d->mutex);
    while (!d->opened)
        pthread_cond_wait(&d->changed, &d->mutex);
    status = d->status;
    pthread_mutex_unlock(&d->mutex);
    return status == SL_OK ? SL_OK : sl_fail(error, status, "no memory for the HTTP client");
}

int32_t direct_create(struct client *c, struct direct **direct, sl_error *error)
{
    *direct = NULL;
    if (!plain_route(c))
        return SL_OK;
    struct direct *d = calloc(1, sizeof *d);
    if (!d)
        return sl_fail(error, SL_ERR_NOMEM, "no memory for the HTTP client");
    d->client = c;
    d->open.run = open_posted;
    d->close.run = close_posted;
    pthread_mutex_init(&d->mutex, NULL);
    pthread_cond_init(&d->changed, NULL);
    int32_t status = make_heads(d);
    status = status == SL_OK ? open_on_loop(d, error)
                             : sl_fail(error, status, "no memory for the HTTP client");
    if (status != SL_OK) {
        direct_destroy(d);
        return status;
    }
    *direct = d;
    return SL_OK;
}
