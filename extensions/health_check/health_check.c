/* The extension "health_check": says over HTTP whether the process is ready, as the OpenTelemetry
 * Collector's does. Life callbacks are [control]; pages are made on the HTTP server's thread. */
#include "formats/http/thread.h"

#include <inttypes.h>
#include <time.h>

enum { CONNECTIONS_MAX = 64, TIMEOUT_MS = 10000 };

struct response_body {
    sl_bytes healthy, unhealthy;
};

struct health_check {
    sl_base base;
    sl_bytes endpoint, path;
    struct response_body response_body;
    uint8_t body_given;
    const sl_raw *tls, *auth, *cors, *response_headers, *middlewares;

    int32_t fd; /* of start, -1 before */
    uint8_t is_listening;
    const sl_process *process;
    struct http_thread *thread;
};

#define NOT_YET "Not in this version of Sluice: refused when set."

static const sl_field body_fields[] = {
    SL_TEXT(struct response_body, healthy, "The body of a 200."),
    SL_TEXT(struct response_body, unhealthy, "The body of a 503."), SL_END};
static const sl_struct body_struct = {sizeof(struct response_body), 0, body_fields};

static const sl_field fields[] = {
    SL_TEXT(struct health_check, endpoint, "Where to listen: host:port.",
            .text = "localhost:13133"),
    SL_TEXT(struct health_check, path, "The page; with a slash at its end also all pages below it.",
            .text = "/"),
    SL_STRUCT(struct health_check, response_body, &body_struct,
              "Texts in place of the JSON document.", SL_PRESENT(struct health_check, body_given)),
    SL_RAW(struct health_check, tls, NOT_YET),
    SL_RAW(struct health_check, auth, NOT_YET),
    SL_RAW(struct health_check, cors, NOT_YET),
    SL_RAW(struct health_check, response_headers, NOT_YET),
    SL_RAW(struct health_check, middlewares, NOT_YET),
    SL_IGNORE("check_collector_pipeline",
              "The Collector does not use it any more; components report their own state."),
    SL_END};

static int32_t prepare(void *component, sl_error *error)
{
    const struct health_check *h = (const struct health_check *)component;
    const struct {
        const char *name;
        const sl_raw *value;
    } refused[] = {{"tls", h->tls},
                   {"auth", h->auth},
                   {"cors", h->cors},
                   {"response_headers", h->response_headers},
                   {"middlewares", h->middlewares}};
    for (uint32_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const sl_raw *raw = refused[i].value;
        if (raw && (raw->kind == 1 || raw->n > 0))
            return sl_fail(error, SL_ERR_UNSUPPORTED,
                           "%s:%u:%u: %s is not supported yet by this version of Sluice; remove it",
                           raw->file ? raw->file : "config", raw->line, raw->column,
                           refused[i].name);
    }
    if (h->path.n == 0 || h->path.p[0] != '/')
        return sl_fail(error, SL_ERR_INVALID, "path must begin with \"/\"");
    return SL_OK;
}

/* ---- the page ---- */

/* "2025-09-15T10:00:00.123456789Z" */
static void put_time(int64_t ns, char *at, size_t room)
{
    time_t seconds = (time_t)(ns / 1000000000);
    struct tm tm;
    if (ns <= 0 || !gmtime_r(&seconds, &tm)) {
        (void)snprintf(at, room, "0001-01-01T00:00:00Z"); /* what Go says for "never" */
        return;
    }
    (void)snprintf(at, room, "%04d-%02d-%02dT%02d:%02d:%02d.%09" PRId64 "Z", tm.tm_year + 1900,
                   tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, ns % 1000000000);
}

/* "1h2m3.456s", as Go writes durations. */
static void put_duration(int64_t ns, char *at, size_t room)
{
    const int64_t ms = ns / 1000000, s = ms / 1000, minutes = s / 60, hours = minutes / 60;
    if (hours > 0)
        (void)snprintf(at, room, "%" PRId64 "h%" PRId64 "m%" PRId64 ".%03" PRId64 "s", hours,
                       minutes % 60, s % 60, ms % 1000);
    else if (minutes > 0)
        (void)snprintf(at, room, "%" PRId64 "m%" PRId64 ".%03" PRId64 "s", minutes, s % 60,
                       ms % 1000);
    else
        (void)snprintf(at, room, "%" PRId64 ".%03" PRId64 "s", s, ms % 1000);
}

/* A failed reload leaves the process as healthy as it was, but somebody should know. */
static void put_reload(const struct health_check *h, char *at, size_t room)
{
    int64_t ns = 0;
    char time[80];
    if (!SL_HAS(h->process, sl_process, last_reload))
        return;
    const int32_t status = h->process->last_reload(h->base.host, &ns);
    if (status == SL_ERR_NOT_FOUND)
        return;
    put_time(ns, time, sizeof time);
    (void)snprintf(at, room, ",\"lastReload\":{\"result\":\"%s\",\"at\":\"%s\"}",
                   status == SL_OK ? "ok" : "failed", time);
}

static bool is_page(const struct health_check *h, sl_bytes path)
{
    if (sl_eq(path, h->path))
        return true;
    return h->path.p[h->path.n - 1] == '/' && path.n > h->path.n &&
           memcmp(path.p, h->path.p, h->path.n) == 0;
}

static void on_headers(void *ctx, struct http_request *rq)
{
    static const struct http_header allow = {{(const uint8_t *)"Allow", 5},
                                             {(const uint8_t *)"GET, HEAD", 9}};
    const struct health_check *h = (const struct health_check *)ctx;
    struct http_answer a = {.content_type = "text/plain; charset=utf-8"};
    if (!is_page(h, rq->path)) {
        a.status = 404;
        a.body = sl_str("404 page not found\n");
        http_answer(rq, &a);
    } else if (strcmp(rq->method, "GET") != 0 && strcmp(rq->method, "HEAD") != 0) {
        a.status = 405;
        a.body = sl_str("405 method not allowed\n");
        a.n_headers = 1;
        a.headers = &allow;
        http_answer(rq, &a);
    }
}

static void on_end(void *ctx, struct http_request *rq)
{
    const struct health_check *h = (const struct health_check *)ctx;
    const sl_host *host = h->base.host;
    const bool healthy = h->process->healthy(host);
    char text[520], since[80], uptime[80] = "", reload[160] = "";
    struct http_answer a = {.status = healthy ? 200 : 503, .content_type = "application/json"};
    if (h->body_given) {
        a.content_type = "text/plain; charset=utf-8";
        a.body = healthy ? h->response_body.healthy : h->response_body.unhealthy;
    } else {
        const int64_t up = h->process->up_since(host), now = sl_wall_clock(host);
        put_time(healthy ? up : 0, since, sizeof since);
        if (healthy)
            put_duration(now > up ? now - up : 0, uptime, sizeof uptime);
        put_reload(h, reload, sizeof reload);
        int n = snprintf(text, sizeof text,
                         "{\"status\":\"Server %s\",\"upSince\":\"%s\",\"uptime\":\"%s\"%s}",
                         healthy ? "available" : "not available", since, uptime, reload);
        a.body = sl_slice(text, (size_t)n);
    }
    http_answer(rq, &a);
}

/* ---- life ---- */

static int32_t create(void *config, void **component, sl_error *error)
{
    struct health_check *h = (struct health_check *)config;
    (void)error;
    h->fd = -1;
    *component = h;
    return SL_OK;
}

static int32_t start(void *component, sl_error *error)
{
    struct health_check *h = (struct health_check *)component;
    const sl_host *host = h->base.host;
    const sl_listen *listen = (const sl_listen *)sl_interface(host, SL_LISTEN);
    const struct http_handler handler = {.ctx = h, .headers = on_headers, .end = on_end};
    struct http_limits limits;
    h->process = (const sl_process *)sl_interface(host, SL_PROCESS);
    if (!listen || !h->process)
        return sl_fail(error, SL_ERR_UNSUPPORTED, "this host has no sockets or no health");
    int32_t status = listen->open(host, h->endpoint, sl_str("tcp"), &h->fd, error);
    if (status != SL_OK)
        return status;
    h->is_listening = 1;
    http_limits_init(&limits);
    limits.connections = CONNECTIONS_MAX;
    limits.write_timeout_ms = TIMEOUT_MS;
    return http_thread_start(&handler, &limits, h->fd, NULL, "health-check", &h->thread, error);
}

static void stop(void *component)
{
    struct health_check *h = (struct health_check *)component;
    const sl_listen *listen = (const sl_listen *)sl_interface(h->base.host, SL_LISTEN);
    http_thread_stop(h->thread);
    h->thread = NULL;
    if (h->is_listening)
        listen->done(h->base.host, h->fd);
    h->is_listening = 0;
}

SL_TYPE(extension, health_check,
        .help = "Answers 200 on an HTTP page while the process is ready, and 503 while it is not.",
        .stability = SL_BETA, SL_CONFIG(struct health_check, fields), .create = create,
        .prepare = prepare, .start = start, .stop = stop);
SL_PLUGIN("0.1.0", &sl_type_health_check);
