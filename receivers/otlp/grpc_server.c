/* The plugin file otlp_grpc.so: OTLP's gRPC server on the C core. Requests run on the threads of
 * the loop that all gRPC plugins share; a thread of its own accepts. [control], but `on_shut`. */
#include "receivers/otlp/grpc_internal.h"

#include <errno.h>
#include <grpc/compression.h>
#include <grpc/grpc_security.h>
#include <stdlib.h>
#include <time.h>

enum {
    STREAMS_DEFAULT = 100,
    METADATA_MAX = 16 * 1024,
    QUOTA_MESSAGES = 16 /* what gRPC may hold of messages of the largest size... */
};
#define QUOTA_MIN (UINT64_C(64) << 20) /* ...and at least this */
#define STOP_LOOK_NS INT64_C(20000000)

/* ---- the C core ---- */

struct arguments {
    grpc_arg at[20];
    size_t n;
};

static void argument(struct arguments *a, const char *key, int64_t value)
{
    grpc_arg *arg = &a->at[a->n++];
    arg->type = GRPC_ARG_INTEGER;
    arg->key = (char *)(uintptr_t)key;
    arg->value.integer = value > INT32_MAX ? INT32_MAX : (int)value;
}

/* Milliseconds of a duration that is set. */
static void argument_ms(struct arguments *a, const char *key, int64_t ns)
{
    if (ns > 0)
        argument(a, key, ns / 1000000 + (ns % 1000000 != 0));
}

static grpc_server *core_create(const struct otlp_grpc_settings *c)
{
    struct arguments a = {.n = 0};
    const uint64_t quota_bytes =
        c->max_message * QUOTA_MESSAGES > QUOTA_MIN ? c->max_message * QUOTA_MESSAGES : QUOTA_MIN;
    grpc_resource_quota *quota = grpc_resource_quota_create("otlp");
    grpc_resource_quota_resize(quota, (size_t)quota_bytes);
    a.at[a.n++] = (grpc_arg){.type = GRPC_ARG_POINTER,
                             .key = (char *)(uintptr_t)GRPC_ARG_RESOURCE_QUOTA,
                             .value.pointer = {quota, grpc_resource_quota_arg_vtable()}};
    argument(&a, GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int64_t)c->max_message);
    argument(&a, GRPC_ARG_MAX_CONCURRENT_STREAMS,
             c->max_streams ? c->max_streams : STREAMS_DEFAULT);
    argument(&a, GRPC_ARG_MAX_METADATA_SIZE, METADATA_MAX);
    /* The core inflates without a limit; this server does it itself, within one. */
    argument(&a, GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
    argument(&a, GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET,
             (1 << GRPC_COMPRESS_NONE) | (1 << GRPC_COMPRESS_GZIP) | (1 << GRPC_COMPRESS_DEFLATE));
    argument(&a, GRPC_ARG_ENABLE_CHANNELZ, 0);
    argument_ms(&a, GRPC_ARG_MAX_CONNECTION_IDLE_MS, c->max_connection_idle);
    argument_ms(&a, GRPC_ARG_MAX_CONNECTION_AGE_MS, c->max_connection_age);
    argument_ms(&a, GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, c->max_connection_age_grace);
    argument_ms(&a, GRPC_ARG_KEEPALIVE_TIME_MS, c->keepalive_time);
    argument_ms(&a, GRPC_ARG_KEEPALIVE_TIMEOUT_MS, c->keepalive_timeout);
    argument_ms(&a, GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, c->min_time);
    argument(&a, GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, c->permit_without_stream ? 1 : 0);
    const grpc_channel_args args = {a.n, a.at};
    grpc_server *server = grpc_server_create(&args, NULL);
    grpc_resource_quota_unref(quota);
    return server;
}

/* ---- life ---- */

void grpc_server_release(struct otlp_grpc_server *s)
{
    if (atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    for (struct exchange *e = s->all, *next; e; e = next) {
        next = e->next_all;
        free(e);
    }
    pthread_cond_destroy(&s->ended);
    pthread_mutex_destroy(&s->mutex);
    pthread_mutex_destroy(&s->unpacking);
    free(s);
}

bool grpc_server_is_full(struct otlp_grpc_server *s)
{
    pthread_mutex_lock(&s->mutex);
    const bool full = s->waiting == 0;
    pthread_mutex_unlock(&s->mutex);
    return full;
}

static struct otlp_grpc_server *server_new(const sl_host *host)
{
    struct otlp_grpc_server *s = (struct otlp_grpc_server *)calloc(1, sizeof *s);
    pthread_condattr_t attr;
    if (!s)
        return NULL;
    s->host = host;
    atomic_init(&s->refs, 1);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&s->ended, &attr);
    (void)pthread_condattr_destroy(&attr);
    (void)pthread_mutex_init(&s->mutex, NULL);
    (void)pthread_mutex_init(&s->unpacking, NULL);
    return s;
}

static void on_shut(grpc_loop_event *event, bool ok)
{
    struct otlp_grpc_server *s =
        (struct otlp_grpc_server *)(void *)((char *)event -
                                            offsetof(struct otlp_grpc_server, shut));
    (void)ok;
    pthread_mutex_lock(&s->mutex);
    s->is_shut = true;
    pthread_cond_broadcast(&s->ended);
    pthread_mutex_unlock(&s->mutex);
}

static int32_t take_loop(struct otlp_grpc_server *s, sl_error *error)
{
    const sl_plugins *plugins = (const sl_plugins *)sl_interface(s->host, SL_PLUGINS);
    const void *table = NULL;
    int32_t status = plugins ? plugins->load(s->host, GRPC_LOOP_PLUGIN, GRPC_LOOP, &table, error)
                             : sl_fail(error, SL_ERR_UNSUPPORTED, "this host loads no plugins");
    if (status != SL_OK)
        return status;
    s->loop = (const grpc_loop *)table;
    return s->loop->take(1, &s->queue, error);
}

static void api_stop(struct otlp_grpc_server *s);

static int32_t api_start(const sl_host *host, int32_t fd, const struct otlp_grpc_settings *settings,
                         struct otlp_grpc_server **out, sl_error *error)
{
    struct otlp_grpc_server *s = server_new(host);
    if (!s)
        return sl_fail(error, SL_ERR_NOMEM, "no memory for the gRPC server");
    s->max_message = settings->max_message;
    s->decoding = (struct decoding){.host = host, .limit = (size_t)settings->max_message};
    s->sender = (struct sender_rules){
        .host = host, .auth = settings->auth, .include_metadata = settings->include_metadata};
    s->budget = (const sl_budget *)sl_interface(host, SL_BUDGET);
    intake_init(&s->intake, host, "grpc");
    int32_t status = take_loop(s, error);
    if (status != SL_OK) {
        grpc_server_release(s);
        return status;
    }
    s->shut.run = on_shut;
    s->server = core_create(settings);
    grpc_server_register_completion_queue(s->server, s->queue, NULL);
    s->credentials = grpc_insecure_server_credentials_create();
    grpc_server_start(s->server);
    exchange_post(s);
    status = acceptor_start(s, fd, settings, &s->acceptor, error);
    if (status != SL_OK) {
        api_stop(s);
        return status;
    }
    *out = s;
    return SL_OK;
}

static void api_drain(struct otlp_grpc_server *s)
{
    acceptor_drain(s->acceptor);
    if (!atomic_exchange(&s->draining, true)) {
        grpc_loop_hand_over(&s->shut);
        grpc_server_shutdown_and_notify(s->server, s->queue, &s->shut);
    }
}

static bool api_wait(struct otlp_grpc_server *s, int64_t wait_ns)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    const int64_t wait = wait_ns > 0 ? wait_ns : 0;
    until.tv_sec += (time_t)(wait / 1000000000);
    until.tv_nsec += (long)(wait % 1000000000);
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    int waited = 0;
    pthread_mutex_lock(&s->mutex);
    while (!(s->is_shut && s->live == 0) && waited != ETIMEDOUT)
        waited = pthread_cond_timedwait(&s->ended, &s->mutex, &until);
    bool over = s->is_shut && s->live == 0;
    pthread_mutex_unlock(&s->mutex);
    return over;
}

static void api_stop(struct otlp_grpc_server *s)
{
    api_drain(s);
    grpc_server_cancel_all_calls(s->server);
    /* gRPC waits for calls that the pipelines still have to answer; they are ended here. More of
     * them may come as long as messages are being received, so this is done until none does. */
    do {
        pthread_mutex_lock(&s->mutex);
        for (struct exchange *e = s->all; e; e = e->next_all)
            exchange_kill(e);
        pthread_mutex_unlock(&s->mutex);
    } while (!api_wait(s, STOP_LOOK_NS));
    acceptor_stop(s->acceptor);
    for (struct exchange *e = s->all; e; e = e->next_all)
        exchange_deinit(e);
    grpc_server_destroy(s->server);
    grpc_server_credentials_release(s->credentials);
    decoding_deinit(&s->decoding);
    s->loop->give();
    grpc_server_release(s);
}

static const struct otlp_grpc_api api = {
    .size = sizeof api, .start = api_start, .drain = api_drain, .wait = api_wait, .stop = api_stop};

static const void *plugin_interface(const char *id)
{
    return strcmp(id, OTLP_GRPC_SERVER) == 0 ? &api : NULL;
}

SL_PLUGIN_WITH("0.1.0", plugin_interface);
