/* See grpc_sink.h. */
#include "tests/support/grpc_sink.h"

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc_security.h>
#include <grpc/support/time.h>
#include <stdlib.h>

enum stage { REQUESTED, RECEIVED, REPLIED, STOPPED };

struct reception {
    _Atomic enum stage stage; /* set last before gRPC is given the reception as a tag */
    grpc_call *call;
    grpc_call_details details;
    grpc_metadata_array metadata;
    grpc_byte_buffer *message;
    int cancelled;
    struct reception *next_held;
};

struct grpc_sink {
    grpc_server *server;
    grpc_completion_queue *queue;
    pthread_t thread;
    pthread_mutex_t mutex;
    int port;
    struct grpc_sink_answer answer;
    struct grpc_sink_seen seen;  /* under the mutex */
    struct grpc_sink_seen shown; /* the test's: a copy */
    struct reception *held;
    struct reception stop; /* a tag only */
};

static void await(struct grpc_sink *s)
{
    struct reception *r = calloc(1, sizeof *r);
    if (!r)
        abort();
    grpc_call_details_init(&r->details);
    grpc_metadata_array_init(&r->metadata);
    if (grpc_server_request_call(s->server, &r->call, &r->details, &r->metadata, s->queue, s->queue,
                                 r) != GRPC_CALL_OK)
        abort();
}

static void forget(struct reception *r)
{
    if (r->call)
        grpc_call_unref(r->call);
    grpc_call_details_destroy(&r->details);
    grpc_metadata_array_destroy(&r->metadata);
    if (r->message)
        grpc_byte_buffer_destroy(r->message);
    free(r);
}

static void copy(char *at, size_t room, grpc_slice slice)
{
    const size_t n = GRPC_SLICE_LENGTH(slice) < room - 1 ? GRPC_SLICE_LENGTH(slice) : room - 1;
    memcpy(at, GRPC_SLICE_START_PTR(slice), n);
    at[n] = '\0';
}

static void record(struct grpc_sink *s, const struct reception *r)
{
    struct grpc_sink_seen *seen = &s->seen;
    grpc_byte_buffer_reader reader;
    seen->calls++;
    copy(seen->method, sizeof seen->method, r->details.method);
    copy(seen->authority, sizeof seen->authority, r->details.host);
    seen->header[0] = seen->user_agent[0] = '\0';
    for (size_t i = 0; i < r->metadata.count; i++) {
        const grpc_metadata *m = &r->metadata.metadata[i];
        if (grpc_slice_str_cmp(m->key, "x-test") == 0)
            copy(seen->header, sizeof seen->header, m->value);
        if (grpc_slice_str_cmp(m->key, "user-agent") == 0)
            copy(seen->user_agent, sizeof seen->user_agent, m->value);
    }
    const bool gzip = r->message->data.raw.compression == GRPC_COMPRESS_GZIP;
    (void)snprintf(seen->encoding_of_message, sizeof seen->encoding_of_message, "%s",
                   gzip ? "gzip" : "identity");
    free(seen->body);
    if (!grpc_byte_buffer_reader_init(&reader, r->message))
        abort();
    grpc_slice all = grpc_byte_buffer_reader_readall(&reader);
    seen->body_n = GRPC_SLICE_LENGTH(all);
    seen->body = malloc(seen->body_n + 1);
    if (!seen->body)
        abort();
    memcpy(seen->body, GRPC_SLICE_START_PTR(all), seen->body_n);
    grpc_slice_unref(all);
    grpc_byte_buffer_reader_destroy(&reader);
}

static grpc_slice slice_of(sl_bytes b)
{
    return grpc_slice_from_copied_buffer((const char *)b.p, b.n);
}

static void reply(struct grpc_sink *s, struct reception *r)
{
    const struct grpc_sink_answer *a = &s->answer;
    grpc_slice body = slice_of(a->reply);
    grpc_byte_buffer *message =
        a->reply_gzip ? grpc_raw_compressed_byte_buffer_create(&body, 1, GRPC_COMPRESS_GZIP)
                      : grpc_raw_byte_buffer_create(&body, 1);
    grpc_slice_unref(body);
    grpc_slice text = slice_of(sl_str(a->text ? a->text : ""));
    grpc_metadata details = {.key = grpc_slice_from_static_string("grpc-status-details-bin"),
                             .value = slice_of(a->details)};
    grpc_metadata packed = {
        .key = grpc_slice_from_static_string(GRPC_COMPRESSION_REQUEST_ALGORITHM_MD_KEY),
        .value = grpc_slice_from_static_string("gzip")};
    grpc_op ops[4] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA,
         .data.send_initial_metadata = {.count = a->reply_gzip, .metadata = &packed}},
        {.op = GRPC_OP_RECV_CLOSE_ON_SERVER, .data.recv_close_on_server.cancelled = &r->cancelled},
        {.op = GRPC_OP_SEND_STATUS_FROM_SERVER,
         .data.send_status_from_server = {.status = (grpc_status_code)a->status,
                                          .status_details = &text,
                                          .trailing_metadata_count = a->details.n > 0,
                                          .trailing_metadata = &details}},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = message},
    };
    const size_t n = a->status == 0 ? 4 : 3;
    grpc_call *call = r->call;
    r->stage = REPLIED;
    if (grpc_call_start_batch(call, ops, n, r, NULL) != GRPC_CALL_OK)
        abort();
    grpc_byte_buffer_destroy(message);
    grpc_slice_unref(text);
    grpc_slice_unref(details.value);
}

static void received(struct grpc_sink *s, struct reception *r)
{
    pthread_mutex_lock(&s->mutex);
    if (!r->message) {
        pthread_mutex_unlock(&s->mutex);
        forget(r);
        return;
    }
    record(s, r);
    if (s->answer.never) {
        r->next_held = s->held;
        s->held = r;
    } else {
        reply(s, r);
    }
    pthread_mutex_unlock(&s->mutex);
}

static void *serve(void *arg)
{
    struct grpc_sink *s = arg;
    for (;;) {
        const grpc_event e =
            grpc_completion_queue_next(s->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
        if (e.type == GRPC_QUEUE_SHUTDOWN)
            return NULL;
        struct reception *r = e.tag;
        const enum stage stage = r->stage;
        if (stage == STOPPED) {
            grpc_completion_queue_shutdown(s->queue);
        } else if (stage == REQUESTED && e.success) {
            await(s);
            r->stage = RECEIVED;
            grpc_op op = {.op = GRPC_OP_RECV_MESSAGE,
                          .data.recv_message.recv_message = &r->message};
            if (grpc_call_start_batch(r->call, &op, 1, r, NULL) != GRPC_CALL_OK)
                abort();
        } else if (stage == RECEIVED) {
            received(s, r);
        } else {
            forget(r);
        }
    }
}

struct grpc_sink *grpc_sink_create(int port)
{
    struct grpc_sink *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    grpc_arg list[] = {
        {.type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)GRPC_ARG_ALLOW_REUSEPORT},
        {.type = GRPC_ARG_INTEGER,
         .key = (char *)(uintptr_t)GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION},
    };
    const grpc_channel_args args = {sizeof list / sizeof *list, list};
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%d", port);
    grpc_init();
    s->stop.stage = STOPPED;
    pthread_mutex_init(&s->mutex, NULL);
    s->server = grpc_server_create(&args, NULL);
    s->queue = grpc_completion_queue_create_for_next(NULL);
    grpc_server_register_completion_queue(s->server, s->queue, NULL);
    grpc_server_credentials *plain = grpc_insecure_server_credentials_create();
    s->port = grpc_server_add_http2_port(s->server, address, plain);
    grpc_server_credentials_release(plain);
    if (s->port == 0)
        abort();
    grpc_server_start(s->server);
    await(s);
    if (pthread_create(&s->thread, NULL, serve, s))
        abort();
    return s;
}

int grpc_sink_port(const struct grpc_sink *s)
{
    return s->port;
}

void grpc_sink_script(struct grpc_sink *s, struct grpc_sink_answer answer)
{
    pthread_mutex_lock(&s->mutex);
    s->answer = answer;
    pthread_mutex_unlock(&s->mutex);
}

const struct grpc_sink_seen *grpc_sink_seen(struct grpc_sink *s)
{
    pthread_mutex_lock(&s->mutex);
    free(s->shown.body);
    s->shown = s->seen;
    s->shown.body = malloc(s->seen.body_n + 1);
    if (!s->shown.body)
        abort();
    if (s->seen.body_n > 0)
        memcpy(s->shown.body, s->seen.body, s->seen.body_n);
    pthread_mutex_unlock(&s->mutex);
    return &s->shown;
}

void grpc_sink_destroy(struct grpc_sink *s)
{
    pthread_mutex_lock(&s->mutex);
    while (s->held) {
        struct reception *r = s->held;
        s->held = r->next_held;
        s->answer.status = GRPC_STATUS_UNAVAILABLE;
        reply(s, r);
    }
    pthread_mutex_unlock(&s->mutex);
    grpc_server_shutdown_and_notify(s->server, s->queue, &s->stop);
    grpc_server_cancel_all_calls(s->server);
    pthread_join(s->thread, NULL);
    grpc_server_destroy(s->server);
    grpc_completion_queue_destroy(s->queue);
    grpc_shutdown_blocking();
    pthread_mutex_destroy(&s->mutex);
    free(s->seen.body);
    free(s->shown.body);
    free(s);
}
