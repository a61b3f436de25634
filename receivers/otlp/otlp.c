/* The receiver type "otlp": opens the listening sockets, serves HTTP at once, and loads the gRPC
 * server on a thread that may sleep, because that takes longer than HTTP's clients should wait.
 * Everything here is [control], but `load_grpc`. */
#include "receivers/otlp/receiver.h"

#include <stdlib.h>

/* Where answers wait for a destination, draining does not wait for them long: the pipelines behind
 * are drained after their receivers, and the answers are still given until `stop`. */
#define DRAIN_SETTLED_NS INT64_C(500000000)

static void server_failed(struct receiver *r, const char *text)
{
    char line[600];
    (void)snprintf(line, sizeof line, "OTLP/gRPC: %s", text);
    sl_log(r->base.host, SL_LOG_ERROR, "%s", line);
    sl_report(r->base.host, SL_STATUS_FATAL, line);
}

/* [blocking] */
static void load_grpc(void *arg)
{
    struct receiver *r = (struct receiver *)arg;
    const sl_host *h = r->base.host;
    const struct grpc_config *c = &r->protocols.grpc;
    const struct server_parameters *p = &c->keepalive.server_parameters;
    struct otlp_grpc_settings settings = {
        .max_message = receiver_message_limit(c),
        .max_streams = c->max_concurrent_streams,
        .max_connection_idle = p->max_connection_idle,
        .max_connection_age = p->max_connection_age,
        .max_connection_age_grace = p->max_connection_age_grace,
        .keepalive_time = p->time,
        .keepalive_timeout = p->timeout,
        .min_time = c->keepalive.enforcement_policy.min_time,
        .permit_without_stream = c->keepalive.enforcement_policy.permit_without_stream != 0,
        .auth = r->grpc_auth,
        .include_metadata = c->include_metadata != 0,
    };
    const sl_plugins *plugins = (const sl_plugins *)sl_interface(h, SL_PLUGINS);
    const void *table = NULL;
    sl_error error = {.size = sizeof error};
    int32_t status =
        plugins ? plugins->load(h, "otlp_grpc", OTLP_GRPC_SERVER, &table, &error)
                : sl_fail(&error, SL_ERR_UNSUPPORTED, "this host cannot load other plugins");
    pthread_mutex_lock(&r->mutex);
    if (r->stopping) {
        pthread_mutex_unlock(&r->mutex);
        return;
    }
    settings.security = r->grpc_tls; /* `stop` lets go of it */
    if (status == SL_OK) {
        const struct otlp_grpc_api *api = (const struct otlp_grpc_api *)table;
        status = api->start(h, r->grpc_fd, &settings, &r->server, &error);
        if (status == SL_OK)
            r->grpc = api;
    }
    pthread_mutex_unlock(&r->mutex);
    if (status == SL_OK)
        sl_report(h, SL_STATUS_OK, NULL);
    else
        server_failed(r, error.text);
}

static int32_t receiver_create(void *config, void **component, sl_error *error)
{
    struct receiver *r = (struct receiver *)config;
    if (pthread_mutex_init(&r->mutex, NULL) != 0)
        return sl_fail(error, SL_ERR_NOMEM, "no memory for the receiver");
    r->grpc_fd = r->http_fd = -1;
    *component = r;
    return SL_OK;
}

static void receiver_destroy(void *component)
{
    pthread_mutex_destroy(&((struct receiver *)component)->mutex);
}

static void close_sockets(struct receiver *r)
{
    const sl_listen *listen = (const sl_listen *)sl_interface(r->base.host, SL_LISTEN);
    if (listen && r->http_fd >= 0)
        listen->done(r->base.host, r->http_fd);
    if (listen && r->grpc_fd >= 0)
        listen->done(r->base.host, r->grpc_fd);
    r->http_fd = r->grpc_fd = -1;
    tls_server_unsecure(&r->http_tls);
    tls_server_unsecure(&r->grpc_tls);
}

static int32_t open_sockets(struct receiver *r, sl_error *error)
{
    const struct protocols *p = &r->protocols;
    const sl_host *h = r->base.host;
    const sl_listen *listen = (const sl_listen *)sl_interface(h, SL_LISTEN);
    if (!listen)
        return sl_fail(error, SL_ERR_UNSUPPORTED, "this host has no listening sockets");
    int32_t status = SL_OK;
    if (p->http_on)
        status = listen->open(h, p->http.endpoint, p->http.transport, &r->http_fd, error);
    if (status == SL_OK && p->grpc_on)
        status = listen->open(h, p->grpc.endpoint, p->grpc.transport, &r->grpc_fd, error);
    return status;
}

static int32_t receiver_start(void *component, sl_error *error)
{
    struct receiver *r = (struct receiver *)component;
    const sl_host *h = r->base.host;
    r->stopping = false;
    r->running = true; /* whatever fails now, `stop` undoes the rest */
    const struct grpc_config *grpc = &r->protocols.grpc;
    const struct http_config *http = &r->protocols.http;
    const sl_auth_server *http_auth;
    int32_t status =
        receiver_authenticator(h, "grpc", &grpc->auth, grpc->auth_given, &r->grpc_auth, error);
    if (status == SL_OK)
        status =
            receiver_authenticator(h, "http", &http->auth, http->auth_given, &http_auth, error);
    if (status == SL_OK)
        status = open_sockets(r, error);
    if (status == SL_OK && r->protocols.http_on)
        status = receiver_secure_http(h, http, &r->http_tls, error);
    if (status == SL_OK && r->protocols.grpc_on)
        status = receiver_secure_grpc(h, grpc, &r->grpc_tls, error);
    if (status == SL_OK && r->protocols.http_on)
        status = otlp_http_start(h, http, http_auth, &r->http_tls, r->http_fd, &r->http, error);
    if (status != SL_OK || !r->protocols.grpc_on)
        return status;
    sl_report(h, SL_STATUS_STARTING, "loading gRPC");
    return sl_blocking(h, load_grpc, NULL, r);
}

static void receiver_drain(void *component, int64_t deadline_ns)
{
    struct receiver *r = (struct receiver *)component;
    const sl_host *h = r->base.host;
    pthread_mutex_lock(&r->mutex);
    r->stopping = true;
    pthread_mutex_unlock(&r->mutex);
    bool settles = false;
    for (uint32_t signal = SL_TRACES; signal <= SL_LOGS; signal <<= 1)
        settles = settles || sl_ack(h, signal) == SL_ACK_SETTLED;
    const int64_t now = sl_now(h);
    int64_t until = deadline_ns;
    if (settles && until > now + DRAIN_SETTLED_NS)
        until = now + DRAIN_SETTLED_NS;
    if (r->server)
        r->grpc->drain(r->server);
    if (r->http)
        (void)otlp_http_drain(r->http, until - sl_now(h));
    if (r->server)
        (void)r->grpc->wait(r->server, until - sl_now(h));
}

static void receiver_stop(void *component)
{
    struct receiver *r = (struct receiver *)component;
    if (!r->running)
        return;
    r->running = false;
    pthread_mutex_lock(&r->mutex);
    r->stopping = true;
    pthread_mutex_unlock(&r->mutex);
    otlp_http_stop(r->http);
    r->http = NULL;
    if (r->server)
        r->grpc->stop(r->server);
    r->server = NULL;
    close_sockets(r);
}

SL_TYPE(receiver, otlp,
        .help =
            "Receives traces, metrics and logs over OTLP/gRPC and OTLP/HTTP, as protobuf and as "
            "JSON.",
        .signals = SL_TRACES | SL_METRICS | SL_LOGS, .stability = SL_BETA,
        SL_CONFIG(struct receiver, receiver_fields), .create = receiver_create,
        .prepare = receiver_prepare, .start = receiver_start, .drain = receiver_drain,
        .stop = receiver_stop, .destroy = receiver_destroy);
SL_PLUGIN("0.1.0", &sl_type_otlp);
