/* OTLP/gRPC exporter: the type and its life. gRPC's C core makes the connection when the first
 * request needs it. `send` is in call.c. */
#include "exporters/otlp/exporter.h"

#include <grpc/grpc_security.h>
#include <stdlib.h>

static const int64_t MS = 1000000;

/* Waits between attempts to connect. Not above the host's first retry interval, so that a retry
 * finds out by itself whether the destination is back. */
enum { CONNECT_FIRST_MS = 500, CONNECT_LAST_MS = 5000 };

static const char *const methods[SIGNALS] = {
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
};

static char *text_of(sl_bytes text)
{
    char *copy = malloc(text.n + 1);
    if (copy) {
        if (text.n)
            memcpy(copy, text.p, text.n);
        copy[text.n] = '\0';
    }
    return copy;
}

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

struct arguments {
    grpc_arg list[24];
    size_t n;
};

static void add_integer(struct arguments *a, const char *key, int value)
{
    a->list[a->n++] =
        (grpc_arg){.type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)key, .value.integer = value};
}

static void add_text(struct arguments *a, const char *key, const char *value)
{
    a->list[a->n++] = (grpc_arg){.type = GRPC_ARG_STRING,
                                 .key = (char *)(uintptr_t)key,
                                 .value.string = (char *)(uintptr_t)value};
}

/* The core copies keys and values. */
static void channel_open(struct client *c, const char *target, const char *authority,
                         const char *user_agent)
{
    const struct exporter *e = c->exporter;
    struct arguments a = {.n = 0};
    /* retries are the host's; the core's would keep every request a second time */
    add_integer(&a, GRPC_ARG_ENABLE_RETRIES, 0);
    /* a connection of its own ends with the channel, and gives back the requests' bytes */
    add_integer(&a, GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    /* the core would inflate an answer without a limit */
    add_integer(&a, GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
    add_integer(&a, GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, e->compression == COMPRESS_GZIP);
    add_integer(&a, GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, CLIENT_RESPONSE_MAX);
    add_integer(&a, GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, -1);
    add_integer(&a, GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
    add_integer(&a, GRPC_ARG_ENABLE_CHANNELZ, 0);
    /* answers are a few bytes: there is no bandwidth to probe for */
    add_integer(&a, GRPC_ARG_HTTP2_BDP_PROBE, 0);
    add_integer(&a, GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, CONNECT_FIRST_MS);
    add_integer(&a, GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, CONNECT_FIRST_MS);
    add_integer(&a, GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, CONNECT_LAST_MS);
    add_text(&a, GRPC_ARG_LB_POLICY_NAME, balancer_names[e->balancer_name]);
    if (user_agent[0])
        add_text(&a, GRPC_ARG_PRIMARY_USER_AGENT_STRING, user_agent);
    if (authority[0])
        add_text(&a, GRPC_ARG_DEFAULT_AUTHORITY, authority);
    if (e->keepalive_set) {
        add_integer(&a, GRPC_ARG_KEEPALIVE_TIME_MS, (int)(e->keepalive.time / MS));
        add_integer(&a, GRPC_ARG_KEEPALIVE_TIMEOUT_MS, (int)(e->keepalive.timeout / MS));
        add_integer(&a, GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS,
                    e->keepalive.permit_without_stream);
        add_integer(&a, GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    }
    const grpc_channel_args args = {.num_args = a.n, .args = a.list};
    grpc_channel_credentials *plain = grpc_insecure_credentials_create();
    c->channel = grpc_channel_create(target, plain, &args);
    grpc_channel_credentials_release(plain);
    for (size_t i = 0; i < SIGNALS; i++)
        c->methods[i] = grpc_channel_register_call(c->channel, methods[i], NULL, NULL);
}

static void client_destroy(struct client *c)
{
    calls_destroy(c);
    if (c->channel)
        grpc_channel_destroy(c->channel);
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

static int32_t start(void *component, sl_error *error)
{
    struct exporter *e = component;
    struct client *c = calloc(1, sizeof *c);
    char *target = text_of(exporter_target(e));
    char *authority = text_of(e->authority), *user_agent = text_of(e->user_agent);
    int32_t status = SL_ERR_NOMEM;
    if (c) {
        c->exporter = e;
        c->host = sl_host_of(e);
        pthread_mutex_init(&c->mutex, NULL);
        pthread_cond_init(&c->quiet, NULL);
    }
    if (!c || !target || !authority || !user_agent)
        goto failed;
    status = take_loop(c, error);
    if (status != SL_OK)
        goto failed;
    status = SL_ERR_NOMEM;
    if (!make_metadata(c))
        goto failed;
    channel_open(c, target, authority, user_agent);
    e->client = c;
    status = SL_OK;
failed:
    if (status == SL_ERR_NOMEM)
        (void)sl_fail(error, status, "no memory for the gRPC client");
    if (status != SL_OK && c)
        client_destroy(c);
    free(target);
    free(authority);
    free(user_agent);
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
