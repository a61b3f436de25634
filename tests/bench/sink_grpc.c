/* A gRPC destination for the benchmarks: takes unary requests of any method and answers OK at
 * once, or UNAVAILABLE (--refuse), or never (--stall). SIGUSR1 switches between that and OK,
 * SIGUSR2 prints the counts as a JSON line, SIGTERM and SIGINT print them and end the program. One
 * thread serves; the main thread waits for signals. */
#include "tests/bench/grpc_args.h"
#include "tests/bench/sink.h"

#include <grpc/grpc_security.h>
#include <grpc/support/time.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum stage { STAGE_REQUESTED, STAGE_RECEIVED, STAGE_REPLIED };

struct reception {
    struct reception *next_held;
    enum stage stage;
    grpc_call *call;
    grpc_call_details details;
    grpc_metadata_array metadata;
    grpc_byte_buffer *message, *reply;
    int cancelled;
};

struct service {
    grpc_server *server;
    grpc_completion_queue *queue;
    struct sink *sink;
    grpc_slice empty;
    grpc_metadata retry_info; /* of UNAVAILABLE answers */
    struct reception *held;   /* those that are not answered */
};

static void check(grpc_call_error error)
{
    if (error != GRPC_CALL_OK) {
        fprintf(stderr, "sink_grpc: %s\n", grpc_call_error_to_string(error));
        abort();
    }
}

static void reception_await(struct service *s, struct reception *r)
{
    r->stage = STAGE_REQUESTED;
    check(grpc_server_request_call(s->server, &r->call, &r->details, &r->metadata, s->queue,
                                   s->queue, r));
}

static struct reception *reception_create(void)
{
    struct reception *r = (struct reception *)calloc(1, sizeof *r);
    if (!r)
        abort();
    grpc_call_details_init(&r->details);
    return r;
}

static void reception_reply(struct service *s, struct reception *r, bool ok)
{
    r->stage = STAGE_REPLIED;
    r->reply = ok ? grpc_raw_byte_buffer_create(&s->empty, 1) : NULL;
    grpc_op ops[4] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_RECV_CLOSE_ON_SERVER, .data.recv_close_on_server.cancelled = &r->cancelled},
        {.op = GRPC_OP_SEND_STATUS_FROM_SERVER,
         .data.send_status_from_server = {.status = ok ? GRPC_STATUS_OK : GRPC_STATUS_UNAVAILABLE,
                                          .trailing_metadata_count =
                                              ok || !s->sink->retry_after ? 0 : 1,
                                          .trailing_metadata = &s->retry_info}},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = r->reply},
    };
    check(grpc_call_start_batch(r->call, ops, ok ? 4 : 3, r, NULL));
}

static void reception_received(struct service *s, struct reception *r)
{
    bool whole = r->message != NULL;
    size_t bytes = 0;
    if (whole) {
        bytes = grpc_byte_buffer_length(r->message);
        grpc_byte_buffer_destroy(r->message);
        r->message = NULL;
    }
    enum sink_mode mode = sink_take(s->sink, whole, bytes);
    if (mode == SINK_STALL) {
        r->next_held = s->held;
        s->held = r;
        reception_await(s, reception_create());
        return;
    }
    reception_reply(s, r, whole && mode == SINK_OK);
}

static void reception_finish(struct reception *r)
{
    grpc_call_unref(r->call);
    if (r->reply)
        grpc_byte_buffer_destroy(r->reply);
    r->reply = NULL;
    grpc_call_details_destroy(&r->details);
    grpc_call_details_init(&r->details);
    r->metadata.count = 0;
}

/* Refuses what was held back, once the mode has been switched: its sender may have given it up. */
static void service_release(struct service *s)
{
    enum sink_mode mode = (enum sink_mode)atomic_load(&s->sink->mode);
    while (mode != SINK_STALL && s->held) {
        struct reception *r = s->held;
        s->held = r->next_held;
        reception_reply(s, r, false);
    }
}

static void service_step(struct service *s, struct reception *r, bool success)
{
    switch (r->stage) {
    case STAGE_REQUESTED:
        if (success) {
            r->stage = STAGE_RECEIVED;
            grpc_op op = {.op = GRPC_OP_RECV_MESSAGE,
                          .data.recv_message.recv_message = &r->message};
            check(grpc_call_start_batch(r->call, &op, 1, r, NULL));
        }
        break;
    case STAGE_RECEIVED:
        reception_received(s, r);
        break;
    case STAGE_REPLIED:
        reception_finish(r);
        reception_await(s, r);
        break;
    }
}

static void *service_run(void *arg)
{
    struct service *s = (struct service *)arg;
    for (;;) {
        gpr_timespec deadline =
            gpr_time_add(gpr_now(GPR_CLOCK_REALTIME), gpr_time_from_millis(200, GPR_TIMESPAN));
        grpc_event e = grpc_completion_queue_next(s->queue, deadline, NULL);
        if (e.type == GRPC_OP_COMPLETE)
            service_step(s, (struct reception *)e.tag, e.success != 0);
        service_release(s);
    }
    return NULL;
}

struct settings {
    struct grpc_args args;
    const char *tls; /* files TLS.pem and TLS.key: gRPC's own TLS; NULL: plain text */
};

static bool take_argument(void *ctx, const char *name, char *value)
{
    struct settings *settings = (struct settings *)ctx;
    if (strcmp(name, "tls") == 0) {
        settings->tls = value;
        return true;
    }
    return strcmp(name, "server-arg") == 0 && grpc_args_parse(&settings->args, value);
}

static const char *read_text(const char *base, const char *ending)
{
    static char texts[2][65536];
    char name[512];
    char *text = texts[strcmp(ending, ".key") == 0];
    (void)snprintf(name, sizeof name, "%s%s", base, ending);
    FILE *f = fopen(name, "re");
    if (!f || fread(text, 1, sizeof texts[0] - 1, f) == 0) {
        fprintf(stderr, "sink_grpc: cannot read %s\n", name);
        exit(1);
    }
    (void)fclose(f);
    return text;
}

static grpc_server_credentials *credentials_create(const char *tls)
{
    if (!tls)
        return grpc_insecure_server_credentials_create();
    grpc_ssl_pem_key_cert_pair pair = {read_text(tls, ".key"), read_text(tls, ".pem")};
    return grpc_ssl_server_credentials_create_ex(NULL, &pair, 1,
                                                 GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE, NULL);
}

/* google.rpc.Status{14, details: RetryInfo{retry_delay: seconds}} as bytes. The delay fits one
 * varint byte, so that all lengths are constants. */
static grpc_slice retry_status(uint32_t seconds)
{
    static const char type[] = "type.googleapis.com/google.rpc.RetryInfo";
    char bytes[64];
    int n = snprintf(bytes, sizeof bytes, "\x08\x0e\x1a\x30\x0a\x28%s\x12\x04\x0a\x02\x08%c", type,
                     (char)(seconds < 127 ? seconds : 127));
    return grpc_slice_from_copied_buffer(bytes, (size_t)n);
}

int main(int argc, char **argv)
{
    struct sink sink;
    struct settings settings = {.tls = NULL};
    grpc_args_init(&settings.args);
    if (!sink_init(&sink, "bench_sink_grpc", argc, argv, take_argument, &settings))
        return 2;
    grpc_init();
    struct service s = {.sink = &sink, .empty = grpc_empty_slice()};
    s.server = grpc_server_create(&settings.args.args, NULL);
    s.queue = grpc_completion_queue_create_for_next(NULL);
    grpc_server_register_completion_queue(s.server, s.queue, NULL);
    grpc_server_credentials *creds = credentials_create(settings.tls);
    if (!grpc_server_add_http2_port(s.server, sink.listen, creds)) {
        fprintf(stderr, "sink_grpc: cannot listen on %s\n", sink.listen);
        return 1;
    }
    grpc_server_credentials_release(creds);
    grpc_server_start(s.server);
    if (sink.retry_after) {
        s.retry_info.key = grpc_slice_from_static_string("grpc-status-details-bin");
        s.retry_info.value = retry_status(sink.retry_after);
    }
    for (int i = 0; i < 64; i++)
        reception_await(&s, reception_create());
    pthread_t thread;
    if (pthread_create(&thread, NULL, service_run, &s))
        return 1;
    sink_wait(&sink);
    _exit(0); /* the serving thread is at work on this stack */
}
