/* OTLP/HTTP exporter: the type and its life. Control thread, unless said otherwise. */
#include "exporters/otlphttp/curl.h"
#include "formats/otlp/proto/logs_service.pb-c.h"
#include "formats/otlp/proto/metrics_service.pb-c.h"
#include "formats/otlp/proto/status.pb-c.h"
#include "formats/otlp/proto/trace_service.pb-c.h"

#include <stdlib.h>

static int32_t make_routes(struct client *c, sl_error *error)
{
    int32_t status = SL_OK;
    for (unsigned i = 0; i < SIGNALS && status == SL_OK; i++)
        status = route_make(c->exporter, i, &c->routes[i], error);
    return status;
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
    if (c->curl)
        c->curl_api->destroy(c->curl);
    for (unsigned i = 0; i < SIGNALS; i++) {
        route_deinit(&c->routes[i]);
        json_schema_destroy(c->schemas[i]);
        json_schema_destroy(c->success_schemas[i]);
    }
    json_schema_destroy(c->status_schema);
    free(c);
}

static int32_t client_create(struct client *c, sl_error *error)
{
    const struct exporter *e = c->exporter;
    int32_t status = client_auth_find(c->host, &e->auth, &c->auth, error);
    if (status == SL_OK)
        status = make_routes(c, error);
    if (status == SL_OK && !make_schemas(c))
        status = sl_fail(error, SL_ERR_NOMEM, "no memory for the HTTP client");
    if (status == SL_OK)
        status = direct_create(c, &c->direct, error);
    if (status != SL_OK || c->direct)
        return status;
    status = exporter_load_curl(c->host, &c->curl_api, error);
    return status == SL_OK ? c->curl_api->create(c, &c->curl, error) : status;
}

static int32_t start(void *component, sl_error *error)
{
    struct exporter *e = component;
    struct client *c = calloc(1, sizeof *c);
    if (!c)
        return sl_fail(error, SL_ERR_NOMEM, "no memory for the HTTP client");
    c->exporter = e;
    c->host = sl_host_of(e);
    const int32_t status = client_create(c, error);
    if (status != SL_OK) {
        client_destroy(c);
        return status;
    }
    e->client = c;
    return SL_OK;
}

static void stop(void *component)
{
    struct exporter *e = component;
    if (!e->client)
        return;
    atomic_store(&e->client->stopping, true);
    direct_stop(e->client->direct);
    if (e->client->curl)
        e->client->curl_api->stop(e->client->curl);
}

static void destroy(void *component)
{
    struct exporter *e = component;
    if (e->client)
        client_destroy(e->client);
    e->client = NULL;
}

/* [blocking] Several threads at once. */
static int32_t send_waiting(void *component, sl_delivery *delivery, sl_send *send)
{
    const struct exporter *e = component;
    struct client *c = e->client;
    const int32_t status = answer_check(c, delivery, send);
    if (status != SL_OK)
        return status;
    return c->direct ? direct_send(c->direct, delivery, send)
                     : c->curl_api->send(c->curl, delivery, send);
}

/* [any] */
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
    const bool is_async = e->client && e->client->direct && !body_is_made(e);
    return is_async && strcmp(id, SL_ASYNC_SEND) == 0 ? &async : NULL;
}

static const char *const aliases[] = {"otlp_http", NULL};

SL_ALIAS(exporter, otlp_http);
SL_TYPE(exporter, otlphttp, .aliases = aliases,
        .signals = SL_TRACES | SL_METRICS | SL_LOGS | SL_PROFILES,
        .flags = SL_QUEUE | SL_RETRY | SL_TIMEOUT, .timeout_ns = INT64_C(30000000000),
        .stability = SL_BETA, SL_CONFIG(struct exporter, exporter_fields),
        .prepare = exporter_prepare, .start = start, .stop = stop, .destroy = destroy,
        .interface_of = interface_of, .send = send_waiting,
        .help = "Sends OTLP over HTTP: to another collector, or to any backend that takes OTLP.");
SL_PLUGIN("0.1.0", &sl_type_otlphttp);
