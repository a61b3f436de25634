/* The extension "zpages": pages about the running process, at the addresses that the OpenTelemetry
 * Collector has them. Life callbacks are [control]; pages are made on the HTTP server's thread, and
 * nothing is done while nobody looks. */
#include "extensions/zpages/page.h"
#include "formats/http/pages.h"

#include <stdlib.h>
#include <strings.h>
#include <time.h>

enum { CONNECTIONS_MAX = 32 };

struct expvar {
    uint8_t enabled;
};

struct zpages {
    sl_base base;
    sl_bytes endpoint;
    struct expvar expvar;
    struct http_pages_config server;

    const sl_process *process;
    const sl_inspect *inspect;
    struct rates rates; /* the HTTP server's thread's, while that runs */
    struct http_pages *pages;
};

static const sl_field expvar_fields[] = {
    {.key = "enabled",
     .kind = SL_FIELD_BOOL,
     .flags = SL_IGNORED,
     .offset = SL_OFFSET_(struct expvar, enabled, uint8_t),
     .help = "expvar shows variables of Go's runtime, which Sluice does not have."},
    SL_END};
static const sl_struct expvar_struct = {sizeof(struct expvar), 0, expvar_fields};

static const sl_field fields[] = {
    SL_TEXT(struct zpages, endpoint, "Where to listen: host:port.", .text = "localhost:55679"),
    SL_STRUCT(struct zpages, expvar, &expvar_struct, "Variables of Go's runtime."),
    SL_STRUCT(struct zpages, server, &http_pages_struct, "The server.", .flags = SL_INLINE),
    SL_END};

/* ---- words ---- */

static const char *word(const char *const *words, uint32_t n, uint32_t i)
{
    return i < n ? words[i] : "unknown";
}

const char *kind_name(uint32_t kind)
{
    static const char *const names[] = {"",          "receiver",  "processor", "exporter",
                                        "connector", "extension", "codec"};
    return word(names, sizeof names / sizeof *names, kind);
}

const char *status_name(int32_t status)
{
    static const char *const names[] = {
        "", "starting", "ok", "recoverable error", "permanent error", "fatal error"};
    return word(names, sizeof names / sizeof *names, (uint32_t)status);
}

const char *level_name(int32_t level)
{
    return level >= SL_LOG_ERROR ? "error" : level >= SL_LOG_WARN ? "warn" : "info";
}

const char *signal_name(uint32_t signal)
{
    return signal == SL_TRACES    ? "traces"
           : signal == SL_METRICS ? "metrics"
           : signal == SL_LOGS    ? "logs"
                                  : "profiles";
}

const char *time_text(int64_t wall_ns, char out[40])
{
    const time_t seconds = (time_t)(wall_ns / 1000000000);
    struct tm tm;
    out[0] = 0;
    if (wall_ns > 0 && gmtime_r(&seconds, &tm)) {
        const size_t n = strftime(out, 40, "%Y-%m-%dT%H:%M:%S", &tm);
        (void)snprintf(out + n, 40 - n, ".%03dZ", (int)(wall_ns / 1000000 % 1000));
    }
    return out;
}

/* ---- answers ---- */

static const struct route {
    const char *path;
    void (*html)(struct page *);
    void (*json)(struct page *);
} routes[] = {{"/debug/servicez", html_service, json_service},
              {"/debug/pipelinez", html_pipelines, json_pipelines},
              {"/debug/extensionz", html_extensions, json_extensions},
              {"/debug/errorz", html_errors, json_errors}};

static const struct route *route_of(sl_bytes path)
{
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        if (sl_eq(path, sl_str(routes[i].path)))
            return &routes[i];
    return NULL;
}

#define HEADER(name_, value_)                                                                      \
    {                                                                                              \
        {(const uint8_t *)(name_), sizeof(name_) - 1},                                             \
        {                                                                                          \
            (const uint8_t *)(value_), sizeof(value_) - 1                                          \
        }                                                                                          \
    }

/* Nothing but the page's own style sheet may be loaded, and nobody may frame it. */
static void answer(struct http_request *rq, int status, const char *type, sl_bytes body,
                   const struct http_header *more)
{
    struct http_header headers[] = {
        HEADER("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; "
                                          "form-action 'none'; frame-ancestors 'none'"),
        HEADER("X-Content-Type-Options", "nosniff"),
        HEADER("Referrer-Policy", "no-referrer"),
        HEADER("Cache-Control", "no-store"),
        HEADER("Vary", "Accept"),
        {{NULL, 0}, {NULL, 0}},
    };
    const uint32_t fixed = sizeof headers / sizeof *headers - 1;
    if (more)
        headers[fixed] = *more;
    const struct http_answer a = {.status = status,
                                  .content_type = type,
                                  .n_headers = fixed + (more ? 1 : 0),
                                  .headers = headers,
                                  .body = body};
    http_answer(rq, &a);
}

static void answer_text(struct http_request *rq, int status, const char *text,
                        const struct http_header *more)
{
    answer(rq, status, "text/plain; charset=utf-8", sl_str(text), more);
}

/* Those of the Collector's pages that have nothing to show here. */
static const char *why_not(sl_bytes path)
{
    if (sl_eq(path, sl_str("/debug/tracez")))
        return "Sluice records no spans of its own; rates and errors are at /debug/pipelinez\n";
    if (sl_eq(path, sl_str("/debug/featurez")))
        return "Sluice has no feature gates\n";
    if (sl_eq(path, sl_str("/debug/expvarz")))
        return "Sluice has no Go runtime; its metrics are on the metrics page\n";
    return "404 page not found\n";
}

static bool contains(sl_bytes text, const char *part)
{
    return text.n > 0 && memmem(text.p, text.n, part, strlen(part)) != NULL;
}

static bool wants_json(const struct http_request *rq)
{
    if (contains(rq->query, "format=json"))
        return true;
    return http_media_type_is(http_header_of(rq, "accept", NULL), "application/json");
}

static void on_headers(void *ctx, struct http_request *rq)
{
    static const struct http_header allow = HEADER("Allow", "GET, HEAD");
    static const struct http_header location = HEADER("Location", "/debug/servicez");
    (void)ctx;
    if (strcmp(rq->method, "GET") != 0 && strcmp(rq->method, "HEAD") != 0)
        answer_text(rq, 405, "405 method not allowed\n", &allow);
    else if (sl_eq(rq->path, sl_str("/debug/style.css")))
        answer(rq, 200, "text/css; charset=utf-8", sl_str(style_sheet), NULL);
    else if (sl_eq(rq->path, sl_str("/")) || sl_eq(rq->path, sl_str("/debug")) ||
             sl_eq(rq->path, sl_str("/debug/")))
        answer_text(rq, 302, "/debug/servicez\n", &location);
    else if (!route_of(rq->path))
        answer_text(rq, 404, why_not(rq->path), NULL);
}

static void on_end(void *ctx, struct http_request *rq)
{
    struct zpages *z = ctx;
    const sl_host *h = z->base.host;
    const struct route *route = route_of(rq->path);
    const bool json = wants_json(rq);
    char *text = NULL;
    size_t n = 0;
    struct page page = {.out = open_memstream(&text, &n),
                        .host = h,
                        .inspect = z->inspect,
                        .process = z->process,
                        .rates = &z->rates,
                        .now_ns = sl_now(h)};
    bool good = page.out != NULL;
    if (good) {
        (void)rates_look(&z->rates, h, z->inspect, page.now_ns); /* else the earlier ones */
        if (json)
            route->json(&page);
        else
            route->html(&page);
        good = !ferror(page.out);
        good = fclose(page.out) == 0 && good;
    }
    if (good)
        answer(rq, 200, json ? "application/json" : "text/html; charset=utf-8", sl_slice(text, n),
               NULL);
    else
        answer_text(rq, 503, "no memory for the page\n", NULL);
    free(text);
}

/* ---- life ---- */

static int32_t prepare(void *component, sl_error *error)
{
    const struct zpages *z = component;
    const int32_t status = http_pages_prepare(z->base.host, &z->server, error);
    if (status != SL_OK)
        return status;
    return z->endpoint.n ? SL_OK
                         : sl_fail_at(error, SL_ERR_INVALID, &z->endpoint, "endpoint is empty");
}

static int32_t start(void *component, sl_error *error)
{
    struct zpages *z = component;
    const sl_host *host = z->base.host;
    const struct http_handler handler = {.ctx = z, .headers = on_headers, .end = on_end};
    z->process = sl_interface(host, SL_PROCESS);
    z->inspect = sl_interface(host, SL_INSPECT);
    if (!z->process || !z->inspect)
        return sl_fail(error, SL_ERR_UNSUPPORTED, "this host shows nothing");
    rates_init(&z->rates, sl_now(host));
    return http_pages_start(host, &z->server, z->endpoint, &handler, CONNECTIONS_MAX, "zpages",
                            &z->pages, error);
}

static void stop(void *component)
{
    struct zpages *z = component;
    http_pages_stop(z->pages);
    z->pages = NULL;
    rates_deinit(&z->rates);
    memset(&z->rates, 0, sizeof z->rates);
}

SL_TYPE(extension, zpages,
        .help = "Pages about the running process: components, pipelines with rates and queues, "
                "memory, the latest errors; for people and as JSON.",
        .stability = SL_BETA, SL_CONFIG(struct zpages, fields), .prepare = prepare, .start = start,
        .stop = stop);
SL_PLUGIN("0.1.0", &sl_type_zpages);
