/* OTLP/gRPC exporter: the type and its life. `send` is in call.c. Control thread. */
#include "exporters/otlp/exporter.h"

#include <stdlib.h>

static bool make_metadata(struct client *c)
{
    const struct exporter *e = c->exporter;
    c->metadata = calloc(e->headers.n + 1, sizeof *c->metadata);
    if (!c->metadata)
        return false;
    for (uint32_t i = 0; i < e->headers.n; i++) {
        const sl_meta_entry *header = SL_LIST_AT(sl_meta_entry, e->headers, i);
        grpc_metadata *m = &c->metadata[c->metadata_count++];
        m->key = grpc_slice_from_copied_buffer((const char *)header->key.p, header->key.n);
        for (uint8_t *k = GRPC_SLICE_START_PTR(m->key); k < GRPC_SLICE_END_PTR(m->key); k++) {
            if (*k >= 'A' && *k <= 'Z')
                *k = (uint8_t)(*k + ('a' - 'A'));
        }
        m->value = grpc_slice_from_copied_buffer((const char *)header->value.p, header->value.n);
    }
    if (e->compression == COMPRESS_GZIP) { /* has the core say so; the bytes are packed by us */
        grpc_metadata *m = &c->metadata[c->metadata_count++];
        m->key = grpc_slice_from_static_string(GRPC_COMPRESSION_REQUEST_ALGORITHM_MD_KEY);
        m->value = grpc_slice_from_static_string("gzip");
    }
    return true;
}

static void client_destroy(struct client *c)
{
    calls_destroy(c);
    if (c->channel)
        channel_unref(c->channel);
    const uint32_t held = messages_wait(c);
    for (size_t i = 0; i < c->metadata_count; i++) {
        grpc_slice_unref(c->metadata[i].key);
        grpc_slice_unref(c->metadata[i].value);
    }
    free(c->metadata);
    if (c->queue)
        c->loop->give();
    if (held > 0) { /* rather leaked than used after it is gone */
        sl_log(c->host, SL_LOG_ERROR, "gRPC has not given back %u requests", held);
        return;
    }
    client_certificates_deinit(&c->certificates);
    pthread_mutex_destroy(&c->certificates_mutex);
    pthread_cond_destroy(&c->quiet);
    pthread_mutex_destroy(&c->mutex);
    free(c);
}

/* gRPC is ready once the loop is taken. */
static int32_t take_loop(struct client *c, sl_error *error)
{
    const sl_plugins *plugins = sl_interface(c->host, SL_PLUGINS);
    const void *table;
    if (!plugins)
        return sl_fail(error, SL_ERR_UNSUPPORTED,
                       "the host loads no plugins: " GRPC_LOOP_PLUGIN " is needed");
    const int32_t status = plugins->load(c->host, GRPC_LOOP_PLUGIN, GRPC_LOOP, &table, error);
    if (status != SL_OK)
        return status;
    c->loop = table;
    return c->loop->take(1, &c->queue, error);
}

static int32_t client_create(struct client *c, sl_error *error)
{
    const struct exporter *e = c->exporter;
    int32_t status = client_auth_find(c->host, &e->auth, &c->auth, error);
    if (status == SL_OK && !exporter_is_plain(e))
        status = client_certificates_init(&c->certificates, c->host, &e->tls, error);
    if (status == SL_OK)
        status = take_loop(c, error);
    if (status == SL_OK && !make_metadata(c))
        status = sl_fail(error, SL_ERR_NOMEM, "no memory for the gRPC client");
    return status == SL_OK ? channel_open(c, &c->channel, error) : status;
}

static int32_t start(void *component, sl_error *error)
{
    struct exporter *e = component;
    struct client *c = calloc(1, sizeof *c);
    if (!c)
        return sl_fail(error, SL_ERR_NOMEM, "no memory for the gRPC client");
    c->exporter = e;
    c->host = sl_host_of(e);
    pthread_mutex_init(&c->mutex, NULL);
    pthread_mutex_init(&c->certificates_mutex, NULL);
    pthread_cond_init(&c->quiet, NULL);
    const int32_t status = client_create(c, error);
    if (status == SL_OK)
        e->client = c;
    else
        client_destroy(c);
    return status;
}

static void stop(void *component)
{
    struct exporter *e = component;
    if (e->client) {
        atomic_store(&e->client->stopping, true);
        calls_cancel(e->client);
    }
}

static void destroy(void *component)
{
    struct exporter *e = component;
    if (e->client)
        client_destroy(e->client);
    e->client = NULL;
}

/* With compression `send` is used: it keeps a thread busy for milliseconds. */
static const void *interface_of(void *component, const char *id)
{
    static const sl_async_send async = {.size = sizeof async, .begin = exporter_begin};
    const struct exporter *e = component;
    return e->compression != COMPRESS_GZIP && strcmp(id, SL_ASYNC_SEND) == 0 ? &async : NULL;
}

static const char *const aliases[] = {"otlp_grpc", NULL};

SL_ALIAS(exporter, otlp_grpc);
SL_TYPE(exporter, otlp, .aliases = aliases,
        .signals = SL_TRACES | SL_METRICS | SL_LOGS | SL_PROFILES,
        .flags = SL_QUEUE | SL_RETRY | SL_TIMEOUT, .timeout_ns = INT64_C(5000000000),
        .stability = SL_BETA, SL_CONFIG(struct exporter, exporter_fields),
        .prepare = exporter_prepare, .start = start, .stop = stop, .destroy = destroy,
        .interface_of = interface_of, .send = exporter_send,
        .help = "Sends OTLP over gRPC: to another collector, or to any backend that takes OTLP.");
SL_PLUGIN("0.1.0", &sl_type_otlp);
