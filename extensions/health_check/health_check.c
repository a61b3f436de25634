/* The extension "health_check": says over HTTP whether the process is ready, as the OpenTelemetry
 * Collector's does. Life callbacks are [control]; pages are made on the HTTP server's thread. */
#include "formats/http/pages.h"

#include <inttypes.h>
#include <time.h>

enum { CONNECTIONS_MAX = 64 };

struct response_body {
    sl_bytes healthy, unhealthy;
};

struct health_check {
    sl_base base;
    sl_bytes endpoint, path;
    struct response_body response_body;
    uint8_t body_given;
    struct http_pages_config server;

    const sl_process *process;
    struct http_pages *pages;
};

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
    SL_STRUCT(struct health_check, server, &http_pages_struct, "The server.", .flags = SL_INLINE),
    SL_IGNORE("check_collector_pipeline",
              "The Collector does not use it any more; components report their own state."),
    SL_END};

static int32_t prepare(void *component, sl_error *error)
{
    const struct health_check *h = (const struct health_check *)component;
    const int32_t status = http_pages_prepare(h->base.host, &h->server, error);
    if (status != SL_OK)
        return status;
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

static int32_t start(void *component, sl_error *error)
{
    struct health_check *h = (struct health_check *)component;
    const sl_host *host = h->base.host;
    const struct http_handler handler = {.ctx = h, .headers = on_headers, .end = on_end};
    h->process = (const sl_process *)sl_interface(host, SL_PROCESS);
    if (!h->process)
        return sl_fail(error, SL_ERR_UNSUPPORTED, "this host has no health");
    return http_pages_start(host, &h->server, h->endpoint, &handler, CONNECTIONS_MAX,
                            "health-check", &h->pages, error);
}

static void stop(void *component)
{
    struct health_check *h = (struct health_check *)component;
    http_pages_stop(h->pages);
    h->pages = NULL;
}

SL_TYPE(extension, health_check,
        .help = "Answers 200 on an HTTP page while the process is ready, and 503 while it is not.",
        .stability = SL_BETA, SL_CONFIG(struct health_check, fields), .prepare = prepare,
        .start = start, .stop = stop);
SL_PLUGIN("0.1.0", &sl_type_health_check);
