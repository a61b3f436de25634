/* OTLP/HTTP exporter: the type and its life. `send` is in transfer.c. Control thread. */
#include "exporters/otlphttp/exporter.h"
#include "formats/otlp/proto/logs_service.pb-c.h"
#include "formats/otlp/proto/metrics_service.pb-c.h"
#include "formats/otlp/proto/trace_service.pb-c.h"

#include <stdlib.h>
#include <strings.h>

static bool add_header(struct client *c, const char *text)
{
    struct curl_slist *more = curl_slist_append(c->headers, text);
    if (more)
        c->headers = more;
    return more != NULL;
}

/* curl takes "name: value", and "name;" where the value is empty. */
static bool add_entry(struct client *c, const sl_meta_entry *header)
{
    const size_t size = header->key.n + header->value.n + 3;
    char *text = malloc(size);
    if (!text)
        return false;
    (void)snprintf(text, size, header->value.n ? "%.*s: %.*s" : "%.*s;", (int)header->key.n,
                   (const char *)header->key.p, (int)header->value.n,
                   (const char *)header->value.p);
    const bool added = add_header(c, text);
    free(text);
    return added;
}

static bool make_headers(struct client *c)
{
    const struct exporter *e = c->exporter;
    bool good = add_header(c, e->encoding == ENCODE_JSON ? "Content-Type: application/json"
                                                         : "Content-Type: application/x-protobuf");
    /* a body is not announced first: that would cost a round trip */
    good = good && add_header(c, "Expect:");
    if (exporter_compresses(e)) {
        char text[48];
        (void)snprintf(text, sizeof text, "Content-Encoding: %s",
                       exporter_compressions[e->compression]);
        good = good && add_header(c, text);
    }
    for (uint32_t i = 0; i < e->headers.n; i++)
        good = good && add_entry(c, SL_LIST_AT(sl_meta_entry, e->headers, i));
    return good;
}

static bool make_urls(struct client *c)
{
    for (unsigned i = 0; i < SIGNALS; i++) {
        bool missing;
        c->urls[i] = exporter_url(c->exporter, i, &missing);
        if (!c->urls[i] && !missing)
            return false;
    }
    return true;
}

/* Of profiles there is no JSON. */
static bool make_schemas(struct client *c)
{
    const ProtobufCMessageDescriptor *const roots[SIGNALS] = {
        &opentelemetry__proto__collector__trace__v1__export_trace_service_request__descriptor,
        &opentelemetry__proto__collector__metrics__v1__export_metrics_service_request__descriptor,
        &opentelemetry__proto__collector__logs__v1__export_logs_service_request__descriptor};
    bool good = true;
    for (unsigned i = 0; i < SIGNALS && c->exporter->encoding == ENCODE_JSON; i++) {
        if (roots[i])
            good = good && json_schema_create(roots[i], &c->schemas[i]) == SL_OK;
    }
    return good;
}

static void client_destroy(struct client *c)
{
    direct_destroy(c->direct);
    transfers_destroy(c);
    curl_slist_free_all(c->headers);
    for (unsigned i = 0; i < SIGNALS; i++) {
        free(c->urls[i]);
        json_schema_destroy(c->schemas[i]);
    }
    pthread_mutex_destroy(&c->mutex);
    curl_global_cleanup();
    free(c);
}

static int32_t start(void *component, sl_error *error)
{
    struct exporter *e = component;
    struct client *c = calloc(1, sizeof *c);
    /* not even OpenSSL is started, which would take milliseconds */
    if (!c || curl_global_init(CURL_GLOBAL_NOTHING) != CURLE_OK) {
        free(c);
        return sl_fail(error, SL_ERR_NOMEM, "no memory for the HTTP client");
    }
    c->exporter = e;
    c->host = sl_host_of(e);
    pthread_mutex_init(&c->mutex, NULL);
    if (!make_headers(c) || !make_urls(c) || !make_schemas(c)) {
        client_destroy(c);
        return sl_fail(error, SL_ERR_NOMEM, "no memory for the HTTP client");
    }
    const int32_t status = direct_create(c, &c->direct, error);
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
