/* The page at :8888/metrics. Ledgers are copied into the metrics when it is asked for, under a
 * lock, since extensions may ask too. */
#include "pipeline/process/metrics_page.h"
#include "formats/http/server.h"
#include "pipeline/graph/publish.h"
#include "pipeline/graph/sockets.h"
#include "pipeline/telemetry/process.h"
#include "pipeline/telemetry/prometheus.h"
#include <stdlib.h>
#include <sys/random.h>

enum { RESOURCE_MAX = 32 };

struct endpoint {
    char name[300]; /* "localhost:8888"; "": none */
    bool listens;
    int32_t fd;
    struct http_server *server;
};

struct metrics_page {
    struct runtime *runtime;
    uv_loop_t *loop;
    struct endpoint now, next; /* next: prepared and not committed */
    uint32_t open;             /* servers that have not closed yet */
    struct process_metrics *process;
    pthread_mutex_t mutex; /* guards what follows */
    struct prometheus_options options;
    struct metric_label resource[RESOURCE_MAX];
    char instance_id[40];
};

struct text {
    uint8_t *at;
    size_t used, room;
    bool failed;
};

static void append(void *ctx, sl_bytes part)
{
    struct text *t = ctx;
    if (t->failed || part.n > SIZE_MAX / 4 - t->used) {
        t->failed = true;
        return;
    }
    if (t->used + part.n > t->room) {
        const size_t room = (t->used + part.n) * 2;
        uint8_t *at = realloc(t->at, room);
        if (!at) {
            t->failed = true;
            return;
        }
        t->at = at;
        t->room = room;
    }
    memcpy(t->at + t->used, part.p, part.n);
    t->used += part.n;
}

static void write_page(void *arg, void (*write)(void *, sl_bytes), void *ctx)
{
    struct metrics_page *p = arg;
    pthread_mutex_lock(&p->mutex);
    publish(p->runtime);
    prometheus_write(p->runtime->metrics, &p->options, write, ctx);
    pthread_mutex_unlock(&p->mutex);
}

static void on_headers(void *ctx, struct http_request *r)
{
    const bool is_get = !strcmp(r->method, "GET") || !strcmp(r->method, "HEAD");
    (void)ctx;
    if (is_get && sl_eq(r->path, sl_str("/metrics")))
        return;
    const struct http_answer no = {
        .status = is_get ? 404 : 405,
        .content_type = "text/plain; charset=utf-8",
        .body = sl_str(is_get ? "the metrics are at /metrics\n" : "use GET\n")};
    http_answer(r, &no);
}

static void on_end(void *ctx, struct http_request *r)
{
    struct text text = {0};
    write_page(ctx, append, &text);
    const struct http_answer page = {.status = text.failed ? 503 : 200,
                                     .content_type = PROMETHEUS_CONTENT_TYPE,
                                     .body = sl_slice(text.at, text.failed ? 0 : text.used)};
    http_answer(r, &page);
    free(text.at);
}

/* A random version-4 UUID: service.instance.id, as the Collector has it. */
static void make_instance_id(char out[40])
{
    uint8_t r[16] = {0};
    if (getrandom(r, sizeof r, GRND_NONBLOCK) != (ssize_t)sizeof r)
        memset(r, 0x5a, sizeof r);
    r[6] = (uint8_t)((r[6] & 0x0f) | 0x40);
    r[8] = (uint8_t)((r[8] & 0x3f) | 0x80);
    (void)snprintf(out, 40, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                   r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12],
                   r[13], r[14], r[15]);
}

/* The defaults, changed by service.telemetry.resource; a null there takes one away. */
static void make_resource(struct metrics_page *p, const struct service_attribute *changes,
                          uint32_t n_changes)
{
    uint32_t n = 0;
    const struct metric_label defaults[] = {{"service.name", "sluice"},
                                            {"service.version", SLUICE_VERSION},
                                            {"service.instance.id", p->instance_id}};
    for (uint32_t i = 0; i < 3; i++) {
        bool changed = false;
        for (uint32_t k = 0; k < n_changes; k++)
            changed |= !strcmp(changes[k].name, defaults[i].key);
        if (!changed)
            p->resource[n++] = defaults[i];
    }
    for (uint32_t k = 0; k < n_changes && n < RESOURCE_MAX; k++)
        if (changes[k].value)
            p->resource[n++] = (struct metric_label){changes[k].name, changes[k].value};
    p->options.resource = p->resource;
    p->options.n_resource = n;
}

static void take_options(struct metrics_page *p, const struct service_config *s)
{
    pthread_mutex_lock(&p->mutex);
    p->options.units = !s->metrics.without_units;
    p->options.type_suffix = !s->metrics.without_type_suffix;
    p->options.scope = !s->metrics.without_scope_info;
    make_resource(p, s->resource, s->n_resource);
    pthread_mutex_unlock(&p->mutex);
}

struct metrics_page *metrics_page_create(struct runtime *r, uv_loop_t *loop)
{
    struct metrics_page *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->runtime = r;
    p->loop = loop;
    p->options.version = SLUICE_VERSION;
    make_instance_id(p->instance_id);
    pthread_mutex_init(&p->mutex, NULL);
    p->process = process_metrics_create(r->metrics);
    r->write_metrics_arg = p;
    r->write_metrics = write_page;
    return p;
}

/* ---- serving it ---- */

static void on_closed(void *ctx)
{
    struct metrics_page *p = ctx;
    p->open--;
}

static void endpoint_close(struct metrics_page *p, struct endpoint *e)
{
    if (e->server)
        http_server_close(e->server, on_closed, p);
    if (e->listens)
        sockets_done(p->runtime->sockets, e->fd);
    *e = (struct endpoint){.listens = false};
}

static int32_t endpoint_open(struct metrics_page *p, struct endpoint *e, sl_error *error)
{
    const struct http_handler handler = {.ctx = p, .headers = on_headers, .end = on_end};
    struct http_limits limits;
    http_limits_init(&limits);
    limits.connections = 32;
    int32_t status =
        sockets_open(p->runtime->sockets, NULL, sl_str(e->name), sl_str("tcp"), &e->fd, error);
    e->listens = status == SL_OK;
    if (status == SL_OK)
        status = http_server_create(p->loop, &handler, &limits, &e->server, error);
    if (status == SL_OK) {
        p->open++;
        status = http_server_listen(e->server, e->fd, error);
    }
    if (status != SL_OK)
        endpoint_close(p, e);
    return status;
}

int32_t metrics_page_prepare(struct metrics_page *p, const struct service_config *s,
                             sl_error *error)
{
    struct endpoint *e = &p->next;
    *e = (struct endpoint){.listens = false};
    if (s->metrics.enabled)
        (void)snprintf(e->name, sizeof e->name, "%.*s:%u", (int)s->metrics.host.n,
                       (const char *)s->metrics.host.p, s->metrics.port);
    if (!strcmp(e->name, p->now.name))
        return SL_OK;
    return s->metrics.enabled ? endpoint_open(p, e, error) : SL_OK;
}

void metrics_page_commit(struct metrics_page *p, const struct service_config *s)
{
    take_options(p, s);
    if (!strcmp(p->next.name, p->now.name))
        return;
    endpoint_close(p, &p->now);
    p->now = p->next;
    p->next = (struct endpoint){.listens = false};
}

void metrics_page_destroy(struct metrics_page *p)
{
    if (!p)
        return;
    p->runtime->write_metrics = NULL;
    endpoint_close(p, &p->now);
    endpoint_close(p, &p->next);
    while (p->open)
        (void)uv_run(p->loop, UV_RUN_ONCE);
    process_metrics_destroy(p->process);
    pthread_mutex_destroy(&p->mutex);
    free(p);
}
