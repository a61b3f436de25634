/* Plain requests of the OTLP/HTTP exporter: heads are made once, bodies are written from where they
 * lie, and nobody waits for the answer (sluice.async_send/1). `begin` is called by any thread; the
 * rest runs on the process's HTTP loop. Where data comes in over HTTP too, that is the same thread,
 * and a request is received, sent and answered without waking another. */
#include "exporters/otlphttp/exporter.h"
#include "formats/http/client.h"
#include "formats/http/loop.h"

#include <stdlib.h>
#include <strings.h>

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
    uint8_t head[];
};

struct direct {
    struct client *client;
    const http_loop *loop;
    struct http_client *http; /* on the loop; NULL once it has been closed */
    char *heads[SIGNALS];     /* up to the Content-Length's value */
    size_t head_room;         /* of the longest, with the rest */
    uv_loop_t *uv;            /* the loop's */
    http_loop_task open, close;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct attempt *free;
    uint32_t running;
    bool opened, closing, closed;
    int32_t status; /* of opening */
    char *host, *port;
};

/* ---- what can go this way ---- */

static char *part_of(CURLU *u, CURLUPart part, unsigned flags)
{
    char *text = NULL;
    return curl_url_get(u, part, &text, flags) == CURLUE_OK ? text : NULL;
}

/* Appends to a text of `n` bytes; NULL: no memory, and the text is freed. */
static char *append(char *text, const char *more)
{
    const size_t before = text ? strlen(text) : 0, n = strlen(more);
    char *longer = realloc(text, before + n + 1);
    if (!longer) {
        free(text);
        return NULL;
    }
    memcpy(longer + before, more, n + 1);
    return longer;
}

static char *append_header(char *head, const sl_meta_entry *header)
{
    const size_t size = header->key.n + header->value.n + 5;
    char *line = malloc(size);
    if (!line) {
        free(head);
        return NULL;
    }
    (void)snprintf(line, size, "%.*s: %.*s\r\n", (int)header->key.n, (const char *)header->key.p,
                   (int)header->value.n, (const char *)header->value.p);
    head = append(head, line);
    free(line);
    return head;
}

static bool is_own(const sl_meta_entry *header, const char *name)
{
    return header->key.n == strlen(name) &&
           strncasecmp((const char *)header->key.p, name, header->key.n) == 0;
}

static char *make_head(const struct exporter *e, const char *target, const char *authority)
{
    const char *const parts[] = {"POST ", target, " HTTP/1.1\r\n"};
    bool has_host = false, has_agent = false;
    char *head = append(NULL, "");
    for (size_t i = 0; i < sizeof parts / sizeof *parts && head; i++)
        head = append(head, parts[i]);
    for (uint32_t i = 0; i < e->headers.n && head; i++) {
        const sl_meta_entry *header = SL_LIST_AT(sl_meta_entry, e->headers, i);
        has_host = has_host || is_own(header, "host");
        has_agent = has_agent || is_own(header, "user-agent");
        head = append_header(head, header);
    }
    if (head && !has_host) {
        const sl_meta_entry host = {sl_str("Host"), sl_str(authority)};
        head = append_header(head, &host);
    }
    if (head && !has_agent)
        head = append(head, "User-Agent: Sluice/0.1\r\n");
    if (head && e->disable_keep_alives)
        head = append(head, "Connection: close\r\n");
    return head ? append(head, "Content-Type: application/x-protobuf\r\nContent-Length: ") : NULL;
}

/* Takes an URL apart. SL_ERR_UNSUPPORTED: it leads to another place than the ones before. */
static int32_t add_url(struct direct *d, unsigned signal, const char *url)
{
    int32_t status = SL_ERR_NOMEM;
    CURLU *u = curl_url();
    char *host = NULL, *port = NULL, *path = NULL, *query = NULL, *authority = NULL, *target = NULL;
    if (!u || curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK)
        goto out;
    host = part_of(u, CURLUPART_HOST, 0);
    port = part_of(u, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    path = part_of(u, CURLUPART_PATH, 0);
    query = part_of(u, CURLUPART_QUERY, 0);
    if (!host || !port || !path)
        goto out;
    target = append(NULL, path);
    if (query && target)
        target = append(target, "?");
    if (query && target)
        target = append(target, query);
    authority = append(NULL, host);
    if (authority && strcmp(port, "80") != 0) {
        authority = append(authority, ":");
        authority = authority ? append(authority, port) : NULL;
    }
    const size_t n = strlen(host);
    if (host[0] == '[' && host[n - 1] == ']') { /* an IPv6 address */
        memmove(host, host + 1, n - 2);
        host[n - 2] = '\0';
    }
    if (d->host && (strcmp(d->host, host) != 0 || strcmp(d->port, port) != 0)) {
        status = SL_ERR_UNSUPPORTED;
        goto out;
    }
    if (!d->host) {
        d->host = strdup(host);
        d->port = strdup(port);
    }
    d->heads[signal] =
        target && authority ? make_head(d->client->exporter, target, authority) : NULL;
    if (d->host && d->port && d->heads[signal]) {
        const size_t room = strlen(d->heads[signal]) + LENGTH_ROOM;
        d->head_room = room > d->head_room ? room : d->head_room;
        status = SL_OK;
    }
out:
    free(target);
    free(authority);
    curl_free(host);
    curl_free(port);
    curl_free(path);
    curl_free(query);
    curl_url_cleanup(u);
    return status;
}

/* Compression and JSON take a thread's time, proxies take curl. */
static bool is_plain(const struct exporter *e)
{
    const char *proxy = getenv("http_proxy"), *all = getenv("all_proxy"),
               *ALL = getenv("ALL_PROXY");
    return !exporter_compresses(e) && e->encoding == ENCODE_PROTO && !(proxy && *proxy) &&
           !(all && *all) && !(ALL && *ALL);
}

/* ---- attempts ---- */

static void on_header(struct http_exchange *x, sl_bytes name, sl_bytes value)
{
    struct attempt *a = (struct attempt *)(void *)x; /* its first member */
    if (!name.p) {
        a->answer.retry_after_ns = 0;
        a->answer.is_protobuf = false;
    } else {
        answer_header(&a->answer, a->direct->client->host, name, value);
    }
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
        a = malloc(sizeof *a + d->head_room);
    return a;
}

/* `a` may be NULL. */
static void attempt_give(struct direct *d, struct attempt *a)
{
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
        (void)sl_fail(&a->send->error, status, "%.150s: %s", d->client->urls[a->signal],
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

int32_t direct_begin(struct direct *d, sl_delivery *delivery, sl_send *send,
                     void (*done)(void *ctx, int32_t status), void *ctx)
{
    const sl_payload *payload = delivery->payload;
    struct attempt *a = attempt_take(d);
    if (!a) {
        attempt_give(d, NULL);
        return sl_fail(&send->error, SL_ERR_NOMEM, "no memory for a request");
    }
    memset(a, 0, sizeof *a);
    a->direct = d;
    a->delivery = delivery;
    a->send = send;
    a->done = done;
    a->ctx = ctx;
    a->signal = (unsigned)__builtin_ctz(payload->signal);
    const int n = snprintf((char *)a->head, d->head_room, "%s%llu\r\n\r\n", d->heads[a->signal],
                           (unsigned long long)payload->bytes);
    a->exchange = (struct http_exchange){.head = sl_slice(a->head, (size_t)n),
                                         .segments = payload->segments,
                                         .n_segments = payload->n_segments,
                                         .timeout_ms = timeout_of(d, send),
                                         .header = on_header,
                                         .done = on_done};
    if (!d->loop->is_here()) {
        a->task.run = start_posted;
        d->loop->post(&a->task);
        return SL_OK;
    }
    const int32_t status = start(a);
    if (status != SL_OK)
        attempt_give(d, a);
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
        free(a);
    }
    for (unsigned i = 0; i < SIGNALS; i++)
        free(d->heads[i]);
    free(d->host);
    free(d->port);
    pthread_cond_destroy(&d->changed);
    pthread_mutex_destroy(&d->mutex);
    free(d);
}

static void open_posted(http_loop_task *task)
{
    struct direct *d = (struct direct *)(void *)((uint8_t *)task - offsetof(struct direct, open));
    const struct exporter *e = d->client->exporter;
    const struct http_client_options options = {
        .host = d->host,
        .port = d->port,
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
    if (!is_plain(c->exporter))
        return SL_OK;
    struct direct *d = calloc(1, sizeof *d);
    if (!d)
        return sl_fail(error, SL_ERR_NOMEM, "no memory for the HTTP client");
    d->client = c;
    d->open.run = open_posted;
    d->close.run = close_posted;
    pthread_mutex_init(&d->mutex, NULL);
    pthread_cond_init(&d->changed, NULL);
    int32_t status = SL_OK;
    for (unsigned i = 0; i < SIGNALS && status == SL_OK; i++) {
        if (c->urls[i])
            status = add_url(d, i, c->urls[i]);
    }
    if (status == SL_ERR_UNSUPPORTED) { /* several destinations: curl's */
        direct_destroy(d);
        return SL_OK;
    }
    status = status == SL_OK ? open_on_loop(d, error)
                             : sl_fail(error, status, "no memory for the HTTP client");
    if (status != SL_OK) {
        direct_destroy(d);
        return status;
    }
    *direct = d;
    return SL_OK;
}
