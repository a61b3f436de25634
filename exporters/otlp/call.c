/* Requests of the OTLP/gRPC exporter: a unary call is begun on the caller's thread, which writes as
 * much as the connection takes, and ends on a thread of the gRPC loop. `begin` may be called by any
 * thread, `send` waits. */
#include "exporters/otlp/exporter.h"

#include <grpc/byte_buffer.h>
#include <grpc/support/time.h>
#include <stdlib.h>

/* ---- the pool of calls ---- */

static void call_ended(grpc_loop_event *event, bool ok);

static struct call *call_take(struct client *c)
{
    pthread_mutex_lock(&c->mutex);
    struct call *call = c->free;
    if (call) {
        c->free = call->next_free;
        c->running++;
    }
    pthread_mutex_unlock(&c->mutex);
    if (call)
        return call;
    call = calloc(1, sizeof *call);
    if (!call)
        return NULL;
    call->client = c;
    call->ended.run = call_ended;
    grpc_metadata_array_init(&call->initial);
    grpc_metadata_array_init(&call->trailing);
    pthread_mutex_lock(&c->mutex);
    call->next = c->all;
    c->all = call;
    c->running++;
    pthread_mutex_unlock(&c->mutex);
    return call;
}

static void call_give(struct call *call)
{
    struct client *c = call->client;
    pthread_mutex_lock(&c->mutex);
    call->next_free = c->free;
    c->free = call;
    if (--c->running == 0)
        pthread_cond_broadcast(&c->quiet);
    pthread_mutex_unlock(&c->mutex);
}

/* gRPC is never called under the mutex: it may release a request's bytes at any time, which takes
 * the mutex. */
void calls_cancel(struct client *c)
{
    for (;;) {
        grpc_call *running = NULL;
        pthread_mutex_lock(&c->mutex);
        for (struct call *call = c->all; call && !running; call = call->next) {
            if (call->running && !call->cancelled) {
                call->cancelled = true;
                running = call->running;
                grpc_call_ref(running);
            }
        }
        pthread_mutex_unlock(&c->mutex);
        if (!running)
            return;
        grpc_call_cancel(running, NULL);
        grpc_call_unref(running);
    }
}

void calls_destroy(struct client *c)
{
    pthread_mutex_lock(&c->mutex);
    while (c->running > 0)
        pthread_cond_wait(&c->quiet, &c->mutex);
    pthread_mutex_unlock(&c->mutex);
    while (c->all) {
        struct call *call = c->all;
        c->all = call->next;
        grpc_metadata_array_destroy(&call->initial);
        grpc_metadata_array_destroy(&call->trailing);
        packer_destroy(call->packer);
        pack_buffer_deinit(&call->packed);
        free(call);
    }
    c->free = NULL;
}

/* ---- a call ---- */

static gpr_timespec deadline_of(const sl_host *host, int64_t deadline_ns)
{
    if (deadline_ns == 0)
        return gpr_inf_future(GPR_CLOCK_MONOTONIC);
    const int64_t left = deadline_ns - sl_now(host); /* the host's clock may be a virtual one */
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                        gpr_time_from_nanos(left > 0 ? left : 0, GPR_TIMESPAN));
}

/* The config's headers and an authenticator's, which stand in for others of the same name. */
static int32_t add_credentials(struct call *call, sl_send *send)
{
    const struct client *c = call->client;
    const sl_metadata *auth = NULL;
    int32_t status = client_auth_headers(c->auth, &auth, send);
    if (status == SL_OK) {
        call->own = malloc((c->metadata_count + auth->n) * sizeof *call->own + 1);
        if (!call->own)
            status = sl_fail(&send->error, SL_ERR_NOMEM, "no memory for a request");
    }
    for (size_t i = 0; i < c->metadata_count && status == SL_OK; i++) {
        const grpc_slice key = c->metadata[i].key;
        if (!client_auth_has(auth, sl_slice(GRPC_SLICE_START_PTR(key), GRPC_SLICE_LENGTH(key))))
            call->own[call->own_count++] = (grpc_metadata){
                .key = grpc_slice_ref(key), .value = grpc_slice_ref(c->metadata[i].value)};
    }
    for (uint32_t i = 0; status == SL_OK && i < auth->n; i++) {
        const sl_meta_entry *h = &auth->at[i];
        grpc_metadata *m = &call->own[call->own_count++];
        m->key = grpc_slice_from_copied_buffer((const char *)h->key.p, h->key.n);
        m->value = grpc_slice_from_copied_buffer((const char *)h->value.p, h->value.n);
        if (!grpc_header_key_is_legal(m->key) || !grpc_header_nonbin_value_is_legal(m->value)) {
            send->why = "auth";
            status = sl_fail(&send->error, SL_ERR_DENIED,
                             "the authenticator gives what cannot be a header");
        }
    }
    if (auth)
        sl_metadata_unref(c->host, auth);
    return status;
}

static void drop_credentials(struct call *call)
{
    while (call->own_count > 0) {
        const grpc_metadata *m = &call->own[--call->own_count];
        grpc_slice_unref(m->key);
        grpc_slice_unref(m->value);
    }
    free(call->own);
    call->own = NULL;
}

static void call_start(struct call *call, grpc_byte_buffer *message, gpr_timespec deadline)
{
    struct client *c = call->client;
    grpc_metadata *metadata = call->own ? call->own : c->metadata;
    const size_t count = call->own ? call->own_count : c->metadata_count;
    const uint32_t wait =
        GRPC_INITIAL_METADATA_WAIT_FOR_READY | GRPC_INITIAL_METADATA_WAIT_FOR_READY_EXPLICITLY_SET;
    const grpc_op ops[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA,
         .flags = c->exporter->wait_for_ready ? wait : 0,
         .data.send_initial_metadata = {.count = count, .metadata = metadata}},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = message},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        {.op = GRPC_OP_RECV_INITIAL_METADATA,
         .data.recv_initial_metadata.recv_initial_metadata = &call->initial},
        {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &call->reply},
        {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
         .data.recv_status_on_client = {.trailing_metadata = &call->trailing,
                                        .status = &call->code,
                                        .status_details = &call->text}},
    };
    call->channel = channel_ref(c);
    void *method = call->channel->methods[__builtin_ctz(call->delivery->payload->signal)];
    call->reply = NULL;
    call->code = GRPC_STATUS_UNKNOWN;
    call->text = grpc_empty_slice();
    grpc_call *running = grpc_channel_create_registered_call(
        call->channel->core, NULL, GRPC_PROPAGATE_DEFAULTS, c->queue, method, deadline, NULL);
    pthread_mutex_lock(&c->mutex);
    call->running = running;
    call->cancelled = false;
    pthread_mutex_unlock(&c->mutex);
    if (atomic_load(&c->stopping)) /* `stop` may have looked before the call was to be seen */
        grpc_call_cancel(running, NULL);
    grpc_loop_hand_over(&call->ended);
    /* fails only for operations that contradict each other */
    if (grpc_call_start_batch(running, ops, sizeof ops / sizeof *ops, &call->ended, NULL) !=
        GRPC_CALL_OK)
        abort();
}

static void call_ended(grpc_loop_event *event, bool ok)
{
    struct call *call = (struct call *)(void *)event; /* its first member */
    struct client *c = call->client;
    (void)ok; /* the status says more */
    pthread_mutex_lock(&c->mutex);
    grpc_call *running = call->running;
    call->running = NULL;
    pthread_mutex_unlock(&c->mutex);
    void (*done)(void *, int32_t) = call->done;
    void *ctx = call->ctx;
    int32_t status = answer_judge(c, call->delivery, call, call->send);
    if (status != SL_OK && atomic_load(&c->stopping))
        status = SL_ERR_SHUTDOWN;
    if (call->reply)
        grpc_byte_buffer_destroy(call->reply);
    grpc_slice_unref(call->text);
    call->initial.count = call->trailing.count = 0; /* their elements are the call's */
    grpc_call_unref(running);
    channel_unref(call->channel);
    drop_credentials(call);
    call_give(call);
    done(ctx, status);
}

/* ---- sending ---- */

static int32_t check(const struct exporter *e, const sl_delivery *delivery, sl_send *send)
{
    const struct client *c = e->client;
    const sl_payload *payload = delivery->payload;
    if (!c || atomic_load(&c->stopping))
        return sl_fail(&send->error, SL_ERR_SHUTDOWN, "the exporter has stopped");
    if (!payload)
        return sl_fail(&send->error, SL_ERR_STATE, "the delivery has no payload");
    if (payload->signal == 0 || payload->signal >= 1u << SIGNALS ||
        (payload->signal & (payload->signal - 1)))
        return sl_fail(&send->error, SL_ERR_UNSUPPORTED, "OTLP has no service for this signal");
    if (send->deadline_ns && send->deadline_ns <= sl_now(c->host)) {
        send->why = "timeout";
        return sl_fail(&send->error, SL_ERR_TIMEOUT, "no time is left for the attempt");
    }
    return SL_OK;
}

int32_t exporter_begin(void *component, sl_delivery *delivery, sl_send *send,
                       void (*done)(void *ctx, int32_t status), void *ctx)
{
    const struct exporter *e = component;
    int32_t status = check(e, delivery, send);
    if (status != SL_OK)
        return status;
    struct call *call = call_take(e->client);
    grpc_byte_buffer *message;
    if (!call)
        return sl_fail(&send->error, SL_ERR_NOMEM, "no memory for a request");
    if (e->client->auth)
        status = add_credentials(call, send);
    if (status == SL_OK)
        status = message_make(call, delivery->payload, &message, send);
    if (status != SL_OK) {
        drop_credentials(call);
        call_give(call);
        return status;
    }
    call->delivery = delivery;
    call->send = send;
    call->done = done;
    call->ctx = ctx;
    call_start(call, message, deadline_of(e->client->host, send->deadline_ns));
    grpc_byte_buffer_destroy(message);
    return SL_OK;
}

struct waiter {
    pthread_mutex_t mutex;
    pthread_cond_t ended;
    bool done;
    int32_t status;
};

static void wake(void *ctx, int32_t status)
{
    struct waiter *w = ctx;
    pthread_mutex_lock(&w->mutex);
    w->status = status;
    w->done = true;
    pthread_cond_signal(&w->ended);
    pthread_mutex_unlock(&w->mutex);
}

int32_t exporter_send(void *component, sl_delivery *delivery, sl_send *send)
{
    struct waiter w = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, SL_OK};
    const int32_t status = exporter_begin(component, delivery, send, wake, &w);
    if (status != SL_OK)
        return status;
    pthread_mutex_lock(&w.mutex);
    while (!w.done)
        pthread_cond_wait(&w.ended, &w.mutex);
    pthread_mutex_unlock(&w.mutex);
    return w.status;
}
