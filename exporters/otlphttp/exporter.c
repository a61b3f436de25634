/* OTLP/HTTP exporter: the type and its life. `send` is in transfer.c. Control thread. */
#include "exporters/otlphttp/exporter.h"
#include "formats/otlp/proto/logs_service.pb-c.h"
#include "formats/otlp/proto/metrics_service.pb-c.h"
#include "formats/otlp/proto/status.pb-c.h"
#include "formats/otlp/proto/trace_service.pb-c.h"

#include <stdlib.h>

static int32_t make_routes(struct client *c, sl_error *error)
{
    for (unsigned i = 0; i < SIGNALS; i++) {
        struct route *r = &c->routes[i];
        const int32_t status = route_make(c->exporter, i, r, error);
        if (status != SL_OK)
            return status;
        if (!r->url || c->auth)
            continue;
        c->headers[i] = headers_make(c->exporter, r, NULL);
        if (!c->headers[i])
            return SL_ERR_NOMEM;
    }
    return SL_OK;
}

static bool needs_tls(const struct client *c)
{
    bool needs = false;
    for (unsigned i = 0; i < SIGNALS; i++)
        needs = needs || c->routes[i].https;
    return needs;
}

/* ---- one cookie jar for all handles ---- */

static void lock_cookies(CURL *curl, curl_lock_data data, curl_lock_access access, void *arg)
{
    struct client *c = arg;
    (void)curl;
    (void)data;
    (void)access;
    pthread_mutex_lock(&c->cookies_mutex);
}

static void unlock_cookies(CURL *curl, curl_lock_data data, void *arg)
{
    struct client *c = arg;
    (void)curl;
    (void)data;
    pthread_mutex_unlock(&c->cookies_mutex);
}

static bool make_jar(struct client *c)
{
    if (!c->exporter->cookies.enabled)
        return true;
    c->cookies = curl_share_init();
    return c->cookies &&
           curl_share_setopt(c->cookies, CURLSHOPT_LOCKFUNC, lock_cookies) == CURLSHE_OK &&
           curl_share_setopt(c->cookies, CURLSHOPT_UNLOCKFUNC, unlock_cookies) == CURLSHE_OK &&
           curl_share_setopt(c->cookies, CURLSHOPT_USERDATA, c) == CURLSHE_OK &&
           curl_share_setopt(c->cookies, CURLSHOPT_SHARE, CURL_LOCK_DATA_COOKIE) == CURLSHE_OK;
}

/* ---- JSON ---- */

/* Of profiles there is no JSON; their answer looks like the others. */
static bool make_schemas(struct client *c)
{
    const ProtobufCMessageDescriptor *const
        requests[SIGNALS] =
            {&opentelemetry__proto__collector__trace__v1__export_trace_service_request__descriptor,
             &opentelemetry__proto__collector__metrics__v1__export_metrics_service_request__descriptor,
             &opentelemetry__proto__collector__logs__v1__export_logs_service_request__descriptor},
        *const answers[SIGNALS] = {
            &opentelemetry__proto__collector__trace__v1__export_trace_service_response__descriptor,
            &opentelemetry__proto__collector__metrics__v1__export_metrics_service_response__descriptor,
            &opentelemetry__proto__collector__logs__v1__export_logs_service_response__descriptor,
            &opentelemetry__proto__collector__trace__v1__export_trace_service_response__descriptor};
    bool good = json_schema_create(&google__rpc__status__descriptor, &c->status_schema) == SL_OK;
    for (unsigned i = 0; i < SIGNALS && good; i++) {
        if (requests[i] && c->exporter->encoding == ENCODE_JSON)
            good = json_schema_create(requests[i], &c->schemas[i]) == SL_OK;
        good = good && json_schema_create(answers[i], &c->success_schemas[i]) == SL_OK;
    }
    return good;
}

static void client_destroy(struct client *c)
{
    direct_destroy(c->direct);
    pool_deinit(c);
    (void)curl_share_cleanup(c->cookies);
    client_certificates_deinit(&c->certificates);
    for (unsigned i = 0; i < SIGNALS; i++) {
        curl_slist_free_all(c->headers[i]);
        route_deinit(&c->routes[i]);
        json_schema_destroy(c->schemas[i]);
        json_schema_destroy(c->success_schemas[i]);
    }
    json_schema_destroy(c->status_schema);
    pthread_mutex_destroy(&c->cookies_mutex);
    pthread_mutex_destroy(&c->certificates_mutex);
    curl_global_cleanup();
    free(c);
}

static int32_t client_create(struct client *c, sl_error *error)
{
    const struct exporter *e = c->exporter;
    int32_t status = client_auth_find(c->host, &e->auth, &c->auth, error);
    if (status == SL_OK)
        status = make_routes(c, error);
    if (status == SL_OK && (!make_schemas(c) || !make_jar(c)))
        status = SL_ERR_NOMEM;
    if (status == SL_ERR_NOMEM)
        (void)sl_fail(error, status, "no memory for the HTTP client");
    if (status == SL_OK && needs_tls(c))
        status = client_certificates_init(&c->certificates, c->host, &e->tls, error);
    return status == SL_OK ? direct_create(c, &c->direct, error) : status;
}

static int32_t start(void *component, sl_error *error)
{
    struct exporter *e = component;
    struct client *c = calloc(1, sizeof *c);
    /* OpenSSL starts itself with the first context; not before, as it takes milliseconds */
    if (!c || curl_global_init(CURL_GLOBAL_NOTHING) != CURLE_OK) {
        free(c);
        return sl_fail(error, SL_ERR_NOMEM, "no memory for the HTTP client");
    }
    c->exporter = e;
    c->host = sl_host_of(e);
    pthread_mutex_init(&c->cookies_mutex, NULL);
    pthread_mutex_init(&c->certificates_mutex, NULL);
    pool_init(c);
    const int32_t status = client_create(c, error);
    if (status != SL_OK) {
        client_destroy(c);
        return status;
    }
    e->client = c;
    return SL_OK;
}

/* Running transfers look at it at least once a second. */
static void stop(void *component)
{
    struct exporter *e = component;
    if (!e->client)
        return;
    atomic_store(&e->client->stopping, true);
    direct_stop(e->client->direct);
    pool_stop(e->client);
}

static void destroy(void *component)
{
    struct exporter *e = component;
    if (e->client)
        client_destroy(e->client);
    e->client = NULL;
}

static int32_t begin(void *component, sl_delivery *delivery, sl_send *send,
                     void (*done)(void *ctx, int32_t status), void *ctx)
{
    const struct exporter *e = component;
    const int32_t status = answer_check(e->client, delivery, send);
    return status == SL_OK ? direct_begin(e->client->direct, delivery, send, done, ctx) : status;
}

static const void *interface_of(void *component, const char *id)
{
    static const sl_async_send async = {.size = sizeof async, .begin = begin};
    const struct exporter *e = component;
    return e->client && e->client->direct && strcmp(id, SL_ASYNC_SEND) == 0 ? &async : NULL;
}

static const char *const aliases[] = {"otlp_http", NULL};

SL_ALIAS(exporter, otlp_http);
SL_TYPE(exporter, otlphttp, .aliases = aliases,
        .signals = SL_TRACES | SL_METRICS | SL_LOGS | SL_PROFILES,
        .flags = SL_QUEUE | SL_RETRY | SL_TIMEOUT, .timeout_ns = INT64_C(30000000000),
        .stability = SL_BETA, SL_CONFIG(struct exporter, exporter_fields),
        .prepare = exporter_prepare, .start = start, .stop = stop, .destroy = destroy,
        .interface_of = interface_of, .send = exporter_send,
        .help = "Sends OTLP over HTTP: to another collector, or to any backend that takes OTLP.");
SL_PLUGIN("0.1.0", &sl_type_otlphttp);
