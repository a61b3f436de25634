/* One OTLP/gRPC request: is posted, receives its message once the budget has room for the largest,
 * hands it to the pipelines, and replies. Runs on the loop's threads, but for the reply, which is
 * given wherever the pipelines answer: the C core takes batches from any thread. */
#include "receivers/otlp/grpc_internal.h"

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <grpc/support/log.h>
#include <stdlib.h>

static const char *const methods[INTAKE_SIGNALS] = {
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
};

/* ---- life of an exchange ---- */

static void on_event(grpc_loop_event *event, bool ok);

static struct exchange *exchange_new(struct otlp_grpc_server *s)
{
    struct exchange *e = (struct exchange *)calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->event.run = on_event;
    e->server = s;
    e->empty = grpc_raw_byte_buffer_create(NULL, 0);
    e->text = grpc_empty_slice();
    grpc_call_details_init(&e->details);
    grpc_metadata_array_init(&e->headers);
    return e;
}

/* NULL: enough are waiting, or there is no memory: the next call that ends tries again. */
static struct exchange *exchange_take(struct otlp_grpc_server *s)
{
    struct exchange *e = NULL;
    pthread_mutex_lock(&s->mutex);
    if (!atomic_load(&s->draining) && s->waiting < CALLS_WAITING && s->live < CALLS_MAX) {
        e = s->free;
        if (e) {
            s->free = e->next_free;
        } else if ((e = exchange_new(s)) != NULL) {
            e->next_all = s->all;
            s->all = e;
        }
        if (e) {
            s->waiting++;
            s->live++;
        }
    }
    pthread_mutex_unlock(&s->mutex);
    return e;
}

/* Lets go of what belongs to gRPC and stays over requests; the memory is the server's. */
void exchange_deinit(struct exchange *e)
{
    if (e->empty) {
        grpc_byte_buffer_destroy(e->empty);
        grpc_call_details_destroy(&e->details);
        grpc_metadata_array_destroy(&e->headers);
        e->empty = NULL;
    }
}

static void give_back(struct exchange *e)
{
    if (e->reserved)
        e->server->budget->give_back(e->server->host, e->server->max_message);
    e->reserved = false;
}

/* Lets go of the call and of everything that hangs on it. */
static void exchange_clear(struct exchange *e)
{
    const sl_host *h = e->server->host;
    give_back(e);
    if (e->payload)
        sl_payload_unref(h, e->payload);
    if (e->metadata)
        sl_metadata_unref(h, e->metadata);
    if (e->request)
        grpc_byte_buffer_destroy(e->request);
    if (e->reply)
        grpc_byte_buffer_destroy(e->reply);
    if (e->has_trailer)
        grpc_slice_unref(e->trailer.value);
    if (e->call)
        grpc_call_unref(e->call);
    grpc_slice_unref(e->text);
    grpc_call_details_destroy(&e->details);
    grpc_call_details_init(&e->details);
    e->headers.count = 0;
    e->payload = NULL;
    e->metadata = NULL;
    e->request = e->reply = NULL;
    e->has_trailer = false;
    e->call = NULL;
    e->text = grpc_empty_slice();
}

/* The server may be gone afterwards. */
static void exchange_finish(struct exchange *e)
{
    struct otlp_grpc_server *s = e->server;
    exchange_clear(e);
    atomic_store(&e->owner, OWNER_NOBODY);
    pthread_mutex_lock(&s->mutex);
    e->next_free = s->free;
    s->free = e;
    if (--s->live == 0)
        pthread_cond_broadcast(&s->ended);
    pthread_mutex_unlock(&s->mutex);
}

/* The last thing before gRPC gets the exchange. gRPC orders the threads itself; that the stage does
 * so too is for those who read along, tools among them. */
/* From here on the exchange may be used only to hand it to gRPC. */
static void exchange_enter(struct exchange *e, enum exchange_stage stage)
{
    grpc_loop_hand_over(&e->event);
    atomic_store_explicit(&e->stage, stage, memory_order_release);
}

static void no_longer_waiting(struct otlp_grpc_server *s)
{
    pthread_mutex_lock(&s->mutex);
    s->waiting--;
    pthread_mutex_unlock(&s->mutex);
}

void exchange_post(struct otlp_grpc_server *s)
{
    struct exchange *e;
    while ((e = exchange_take(s)) != NULL) {
        exchange_enter(e, EXCHANGE_REQUESTED);
        if (grpc_server_request_call(s->server, &e->call, &e->details, &e->headers, s->queue,
                                     s->queue, e) != GRPC_CALL_OK) { /* has been shut down */
            no_longer_waiting(s);
            exchange_finish(e);
            return;
        }
    }
}

/* ---- replies ---- */

static void reply_batch(struct exchange *e, const struct verdict *v)
{
    grpc_op ops[4];
    memset(ops, 0, sizeof ops);
    size_t n = 0;
    ops[n++].op = GRPC_OP_SEND_INITIAL_METADATA;
    if (v->code == OTLP_CODE_OK) {
        ops[n].op = GRPC_OP_SEND_MESSAGE;
        ops[n++].data.send_message.send_message = e->reply ? e->reply : e->empty;
    }
    ops[n].op = GRPC_OP_RECV_CLOSE_ON_SERVER;
    ops[n++].data.recv_close_on_server.cancelled = &e->cancelled;
    ops[n].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    ops[n].data.send_status_from_server.status = (grpc_status_code)v->code;
    ops[n].data.send_status_from_server.status_details = &e->text;
    if (e->has_trailer) {
        ops[n].data.send_status_from_server.trailing_metadata_count = 1;
        ops[n].data.send_status_from_server.trailing_metadata = &e->trailer;
    }
    n++;
    grpc_call *call = e->call;
    exchange_enter(e, EXCHANGE_REPLYING);
    grpc_call_error error = grpc_call_start_batch(call, ops, n, e, NULL);
    GPR_ASSERT(error == GRPC_CALL_OK); /* the batch has the same shape each time */
}

/* Whoever calls this owns the exchange. */
static void reply(struct exchange *e, const struct verdict *v)
{
    uint8_t bytes[512];
    size_t n = 0;
    if (v->code != OTLP_CODE_OK) {
        e->text = grpc_slice_from_copied_string(v->text);
        if (v->retry_delay_ns != OTLP_NO_DELAY) {
            const struct otlp_status status = {v->code, sl_str(v->text), v->retry_delay_ns};
            if (otlp_status_encode(&status, bytes, sizeof bytes, &n) == SL_OK) {
                e->trailer.key = grpc_slice_from_static_string("grpc-status-details-bin");
                e->trailer.value = grpc_slice_from_copied_buffer((const char *)bytes, n);
                e->has_trailer = true;
            }
        }
    } else if (v->rejected > 0) {
        const struct otlp_response response = {v->rejected, sl_str(v->text)};
        if (otlp_response_encode(&response, bytes, sizeof bytes, &n) == SL_OK) {
            grpc_slice slice = grpc_slice_from_copied_buffer((const char *)bytes, n);
            e->reply = grpc_raw_byte_buffer_create(&slice, 1);
            grpc_slice_unref(slice);
        }
    }
    reply_batch(e, v);
}

/* Before the message is received. */
static void refuse_sender(struct exchange *e, int32_t status, const char *text)
{
    struct verdict v;
    verdict_of_authenticator(status, text, &v);
    intake_count_refusal(&e->server->intake, intake_refusal_of(status));
    reply(e, &v);
}

static void refuse(struct exchange *e, int32_t status, const char *text, enum intake_refusal reason)
{
    struct verdict v;
    verdict_of_status(status, text, &v);
    intake_count_refusal(&e->server->intake, reason);
    reply(e, &v);
}

/* The offer was taken or settled, whichever counts. [any] */
static void heard(void *ctx, uint64_t cookie, const sl_result *result)
{
    struct exchange *e = (struct exchange *)(uintptr_t)cookie;
    struct otlp_grpc_server *s = e->server;
    struct verdict v;
    uint32_t owed = OWNER_OWED;
    (void)ctx;
    if (!atomic_compare_exchange_strong(&e->owner, &owed, OWNER_ANSWERING)) {
        /* The server was stopped meanwhile; `exchange_kill` may still be at it. */
        pthread_mutex_lock(&s->mutex);
        pthread_mutex_unlock(&s->mutex);
        grpc_server_release(s);
        return;
    }
    verdict_of_result(result, &v);
    intake_count(&s->intake, e->index, result->items, &v);
    reply(e, &v);
}

static void heard_no_more(void *ctx, uint64_t cookie, const sl_result *result)
{
    (void)ctx;
    (void)cookie; /* has been answered */
    (void)result;
}

/* Constants, because they must outlive the server. */
static const sl_hear hear_taken = {
    .size = sizeof hear_taken, .taken = heard, .settled = heard_no_more};
static const sl_hear hear_settled = {.size = sizeof hear_settled, .settled = heard};

void exchange_kill(struct exchange *e)
{
    uint32_t owed = OWNER_OWED;
    struct otlp_grpc_server *s = e->server;
    atomic_fetch_add(&s->refs, 1); /* for the answer that is to come */
    if (!atomic_compare_exchange_strong(&e->owner, &owed, OWNER_DEAD)) {
        grpc_server_release(s);
        return;
    }
    exchange_clear(e);
    exchange_deinit(e);
    s->live--; /* whoever stops the server looks at it next */
}

/* ---- the message ---- */

/* The message in one piece. */
static int32_t unpack_slices(struct exchange *e, enum content_encoding encoding, uint64_t *used,
                             sl_error *error)
{
    struct otlp_grpc_server *s = e->server;
    grpc_byte_buffer_reader reader;
    if (!grpc_byte_buffer_reader_init(&reader, e->request))
        return sl_fail(error, SL_ERR_INVALID, "the message cannot be read");
    const grpc_slice packed = grpc_byte_buffer_reader_readall(&reader);
    *used = GRPC_SLICE_LENGTH(packed);
    pthread_mutex_lock(&s->unpacking);
    const int32_t status =
        decoding_run(&s->decoding, (struct body_form){(uint8_t)encoding, false}, e->index,
                     &e->payload, GRPC_SLICE_START_PTR(packed), used, error);
    pthread_mutex_unlock(&s->unpacking);
    grpc_slice_unref(packed);
    grpc_byte_buffer_reader_destroy(&reader);
    return status;
}

static int32_t copy_slices(struct exchange *e, const grpc_slice_buffer *b, uint64_t *used)
{
    const sl_host *h = e->server->host;
    uint8_t *at = NULL;
    int32_t status = sl_payload_open(h, b->length, &e->payload, &at);
    if (status != SL_OK)
        return status;
    for (size_t i = 0; i < b->count; i++) {
        size_t n = GRPC_SLICE_LENGTH(b->slices[i]);
        memcpy(at, GRPC_SLICE_START_PTR(b->slices[i]), n);
        at += n;
    }
    *used = b->length;
    return SL_OK;
}

/* gRPC 1.51 does not know zstd, nor snappy, which is framed in gRPC: it complains on stderr about the
 * header and hands the message on as if it were not compressed. No request of OTLP begins like one of
 * them: that would be a field 5, of which there is none, or a field of no known type. */
static enum content_encoding encoding_of_bytes(const grpc_slice_buffer *b)
{
    static const uint8_t zstd[] = {0x28, 0xb5, 0x2f, 0xfd}, snappy[] = {0xff, 6, 0, 0, 's', 'N'};
    if (b->count == 0)
        return ENCODING_PLAIN;
    const uint8_t *at = GRPC_SLICE_START_PTR(b->slices[0]);
    const size_t n = GRPC_SLICE_LENGTH(b->slices[0]);
    if (n >= sizeof zstd && memcmp(at, zstd, sizeof zstd) == 0)
        return ENCODING_ZSTD;
    return n >= sizeof snappy && memcmp(at, snappy, sizeof snappy) == 0 ? ENCODING_SNAPPY_FRAMED
                                                                        : ENCODING_PLAIN;
}

/* The message becomes e->payload; stays NULL for an empty request. */
static int32_t read_message(struct exchange *e, sl_error *error)
{
    const sl_host *h = e->server->host;
    const grpc_slice_buffer *b = &e->request->data.raw.slice_buffer;
    const grpc_compression_algorithm packed = e->request->data.raw.compression;
    const enum content_encoding seen = encoding_of_bytes(b);
    uint64_t used = 0;
    int32_t status;
    if (packed == GRPC_COMPRESS_GZIP)
        status = unpack_slices(e, ENCODING_GZIP, &used, error);
    else if (packed == GRPC_COMPRESS_DEFLATE)
        status = unpack_slices(e, ENCODING_ZLIB, &used, error);
    else if (packed != GRPC_COMPRESS_NONE)
        return sl_fail(error, SL_ERR_UNSUPPORTED,
                       "unsupported grpc-encoding; this server takes gzip, deflate, zstd and "
                       "snappy");
    else if (seen != ENCODING_PLAIN)
        status = unpack_slices(e, seen, &used, error);
    else if (b->length == 0)
        return SL_OK;
    else
        status = copy_slices(e, b, &used);
    grpc_byte_buffer_destroy(e->request);
    e->request = NULL;
    if (status == SL_OK && e->payload)
        status = sl_payload_close(h, e->payload, used, intake_signal(e->index), NULL, 0, error);
    return status;
}

/* The connection's descriptor, by which the acceptor knows it: the core names those that it was given
 * so. -1: not known. */
static int32_t descriptor_of(grpc_call *call)
{
    char *peer = grpc_call_get_peer(call); /* "fd:12" */
    const long fd = peer && strncmp(peer, "fd:", 3) == 0 ? strtol(peer + 3, NULL, 10) : -1;
    gpr_free(peer);
    return fd >= 0 && fd <= INT32_MAX ? (int32_t)fd : -1;
}

/* Tells the acceptor that a message is received from now on (1), or no longer (-1). */
static void hear(struct exchange *e, int receiving)
{
    if (receiving > 0)
        e->descriptor = descriptor_of(e->call);
    if (e->descriptor >= 0)
        acceptor_heard(e->server->acceptor, e->descriptor, receiving);
}

static void handle_message(struct exchange *e)
{
    struct otlp_grpc_server *s = e->server;
    const sl_host *h = s->host;
    sl_error error = {.size = sizeof error};
    struct verdict v;
    give_back(e);      /* from here on the payload is what is counted */
    if (!e->request) { /* too large, cut short, or its client has gone */
        char text[96];
        (void)snprintf(text, sizeof text, "no message, or one of more than %llu bytes",
                       (unsigned long long)s->max_message);
        refuse(e, SL_ERR_TOO_LARGE, text, REFUSED_TOO_LARGE);
        return;
    }
    int32_t status = read_message(e, &error);
    if (status != SL_OK) {
        refuse(e, status, error.text,
               status == SL_ERR_UNSUPPORTED ? REFUSED_UNSUPPORTED : intake_refusal_of(status));
        return;
    }
    sl_payload *payload = e->payload;
    if (!payload || payload->items == 0) {
        verdict_success(&v);
        reply(e, &v);
        return;
    }
    const uint32_t items = payload->items, index = e->index;
    const bool settled = sl_ack(h, intake_signal(index)) == SL_ACK_SETTLED;
    const sl_metadata *metadata = e->metadata;
    e->payload = NULL;
    e->metadata = NULL;
    atomic_store(&e->owner, OWNER_OWED);
    status = sl_offer(h, payload, metadata, settled ? &hear_settled : &hear_taken,
                      (uint64_t)(uintptr_t)e);
    if (metadata)
        sl_metadata_unref(h, metadata);
    if (status == SL_OK)
        return; /* it may have been answered by now */
    sl_payload_unref(h, payload);
    const sl_result none = {.size = sizeof none};
    uint32_t owed = OWNER_OWED;
    if (!atomic_compare_exchange_strong(&e->owner, &owed, OWNER_ANSWERING)) {
        heard(NULL, (uint64_t)(uintptr_t)e, &none); /* stopped meanwhile: lets go of it */
        return;
    }
    verdict_of_status(status, NULL, &v);
    intake_count_untaken(&s->intake, index, items, status);
    reply(e, &v);
}

/* ---- events ---- */

static sl_bytes bytes_of(const grpc_slice *slice)
{
    return sl_slice(GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice));
}

/* SL_OK: e->metadata is set where there is any. */
static int32_t admit(struct exchange *e, sl_error *error)
{
    const struct sender_rules *rules = &e->server->sender;
    struct sender_headers headers;
    if (!sender_matters(rules))
        return SL_OK;
    sender_headers_init(&headers);
    bool has_host = false;
    for (size_t i = 0; i < e->headers.count; i++) {
        const grpc_metadata *m = &e->headers.metadata[i];
        has_host = has_host || sl_eq(bytes_of(&m->key), sl_str("host"));
        sender_add_header(&headers, bytes_of(&m->key), bytes_of(&m->value));
    }
    if (!has_host)
        sender_add_header(&headers, sl_str("host"), bytes_of(&e->details.host));
    return sender_admit(rules, &headers, sl_slice(NULL, 0), &e->metadata, error);
}

static void handle_request(struct exchange *e)
{
    struct otlp_grpc_server *s = e->server;
    hear(e, 1);
    for (e->index = 0; e->index < INTAKE_SIGNALS; e->index++) {
        if (grpc_slice_str_cmp(e->details.method, methods[e->index]) == 0)
            break;
    }
    if (e->index == INTAKE_SIGNALS) {
        hear(e, -1);
        refuse(e, SL_ERR_UNSUPPORTED, "unknown service or method", REFUSED_UNSUPPORTED);
        return;
    }
    sl_error error = {.size = sizeof error};
    const int32_t admitted = admit(e, &error);
    if (admitted != SL_OK) {
        hear(e, -1);
        refuse_sender(e, admitted, error.text);
        return;
    }
    /* The C core shows no length before it has received the whole message. */
    if (s->budget && !s->budget->reserve(s->host, s->max_message)) {
        hear(e, -1);
        refuse(e, SL_ERR_NOMEM, NULL, REFUSED_NO_MEMORY);
        return;
    }
    e->reserved = s->budget != NULL;
    grpc_op op;
    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_RECV_MESSAGE;
    op.data.recv_message.recv_message = &e->request;
    grpc_call *call = e->call;
    exchange_enter(e, EXCHANGE_RECEIVING);
    grpc_call_error failed = grpc_call_start_batch(call, &op, 1, e, NULL);
    GPR_ASSERT(failed == GRPC_CALL_OK);
}

static void on_event(grpc_loop_event *event, bool ok)
{
    struct exchange *e = (struct exchange *)(void *)event; /* its first member */
    struct otlp_grpc_server *s = e->server;
    switch (atomic_load_explicit(&e->stage, memory_order_acquire)) {
    case EXCHANGE_REQUESTED:
        no_longer_waiting(s);
        if (!ok) { /* the server is being shut down */
            exchange_finish(e);
            return;
        }
        exchange_post(s);
        handle_request(e);
        break;
    case EXCHANGE_RECEIVING:
        hear(e, -1);
        handle_message(e);
        break;
    case EXCHANGE_REPLYING:
        exchange_post(s);
        exchange_finish(e);
        break;
    }
}
