/* The channel that calls are made on. gRPC's C core connects when the first request needs it. When
 * certificates have been rotated, a new channel takes its place. Any thread. */
#include "exporters/otlp/exporter.h"

#include <grpc/grpc_security.h>
#include <stdlib.h>

static const int64_t MS = 1000000;

/* Waits between attempts to connect. Not above the host's first retry interval, so that a retry
 * finds out by itself whether the destination is back. */
enum { CONNECT_FIRST_MS = 500, CONNECT_LAST_MS = 5000 };

/* grpc-go raises what is below; servers close connections that ping more often. */
enum { KEEPALIVE_MIN_MS = 10000 };

static const char *const methods[SIGNALS] = {
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
};

struct arguments {
    grpc_arg list[32];
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

/* What the core is told; it copies keys and values. */
static void set_arguments(struct arguments *a, const struct exporter *e, const char *proxy)
{
    /* retries are the host's; the core's would keep every request a second time */
    add_integer(a, GRPC_ARG_ENABLE_RETRIES, 0);
    /* a connection of its own ends with the channel, and gives back the requests' bytes */
    add_integer(a, GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    /* the core would inflate an answer without a limit */
    add_integer(a, GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
    add_integer(a, GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, e->compression == COMPRESS_GZIP);
    add_integer(a, GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, CLIENT_RESPONSE_MAX);
    add_integer(a, GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, -1);
    add_integer(a, GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
    add_integer(a, GRPC_ARG_ENABLE_CHANNELZ, 0);
    /* answers are a few bytes: there is no bandwidth to probe for */
    add_integer(a, GRPC_ARG_HTTP2_BDP_PROBE, 0);
    add_integer(a, GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, CONNECT_FIRST_MS);
    add_integer(a, GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, CONNECT_FIRST_MS);
    add_integer(a, GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, CONNECT_LAST_MS);
    add_text(a, GRPC_ARG_LB_POLICY_NAME, balancer_names[e->balancer_name]);
    /* the core's own look at the environment differs from Go's */
    if (proxy)
        add_text(a, GRPC_ARG_HTTP_PROXY, proxy);
    else
        add_integer(a, GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    if (e->user_agent.n)
        add_text(a, GRPC_ARG_PRIMARY_USER_AGENT_STRING, (const char *)e->user_agent.p);
    if (e->authority.n)
        add_text(a, GRPC_ARG_DEFAULT_AUTHORITY, (const char *)e->authority.p);
    if (e->tls.server_name_override.n && !exporter_is_plain(e))
        add_text(a, GRPC_SSL_TARGET_NAME_OVERRIDE_ARG, (const char *)e->tls.server_name_override.p);
    if (e->keepalive_set) {
        const int64_t least = KEEPALIVE_MIN_MS * MS;
        const int64_t time = e->keepalive.time < least ? least : e->keepalive.time;
        add_integer(a, GRPC_ARG_KEEPALIVE_TIME_MS, (int)(time / MS));
        add_integer(a, GRPC_ARG_KEEPALIVE_TIMEOUT_MS, (int)(e->keepalive.timeout / MS));
        add_integer(a, GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, e->keepalive.permit_without_stream);
        add_integer(a, GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    }
}

int32_t channel_open(const struct client *c, struct channel **opened, sl_error *error)
{
    const struct exporter *e = c->exporter;
    struct arguments a = {.n = 0};
    grpc_channel_credentials *credentials = NULL;
    char *proxy = NULL;
    int32_t status = exporter_proxy(e, &proxy, error);
    struct channel *channel = calloc(1, sizeof *channel);
    if (status == SL_OK && !channel)
        status = sl_fail(error, SL_ERR_NOMEM, "no memory for the gRPC client");
    if (status == SL_OK)
        status = credentials_make(c, &credentials, error);
    if (status != SL_OK) {
        free(channel);
        free(proxy);
        return status;
    }
    set_arguments(&a, e, proxy);
    const grpc_channel_args args = {.num_args = a.n, .args = a.list};
    atomic_init(&channel->references, 1);
    channel->core = grpc_channel_create((const char *)exporter_target(e).p, credentials, &args);
    grpc_channel_credentials_release(credentials);
    free(proxy);
    for (size_t i = 0; i < SIGNALS; i++)
        channel->methods[i] = grpc_channel_register_call(channel->core, methods[i], NULL, NULL);
    *opened = channel;
    return SL_OK;
}

void channel_unref(struct channel *channel)
{
    if (atomic_fetch_sub(&channel->references, 1) != 1)
        return;
    grpc_channel_destroy(channel->core);
    free(channel);
}

/* gRPC is never called under the mutex. */
static void renew(struct client *c)
{
    struct channel *next = NULL;
    sl_error error = {.size = sizeof error};
    pthread_mutex_lock(&c->certificates_mutex);
    if (client_certificates_renew(&c->certificates) && channel_open(c, &next, &error) != SL_OK)
        sl_log(c->host, SL_LOG_ERROR, "%s", error.text);
    pthread_mutex_unlock(&c->certificates_mutex);
    if (!next)
        return;
    pthread_mutex_lock(&c->mutex);
    struct channel *before = c->channel;
    c->channel = next;
    pthread_mutex_unlock(&c->mutex);
    channel_unref(before); /* its calls hold it until they have ended */
}

struct channel *channel_ref(struct client *c)
{
    if (!exporter_is_plain(c->exporter) && client_certificates_are_due(&c->certificates))
        renew(c);
    pthread_mutex_lock(&c->mutex);
    struct channel *channel = c->channel;
    atomic_fetch_add(&channel->references, 1);
    pthread_mutex_unlock(&c->mutex);
    return channel;
}
