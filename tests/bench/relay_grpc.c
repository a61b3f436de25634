/* The bare gRPC relay: the floor that OTLP/gRPC in to OTLP/gRPC out is held against. It receives
 * unary requests of any method, sends the same slices to an upstream server, and replies with the
 * upstream's reply and status; it neither looks at a byte nor copies one. Every thread (one by
 * default, which is the cheapest) owns a completion queue for both directions, so that an event
 * never crosses threads on its way. It runs with gRPC's own settings, or with --tuned on those that
 * were measured to make the same relay a fifth cheaper. */
#include "tests/bench/grpc_args.h"

#include <getopt.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS_MAX = 16 };

enum stage { STAGE_REQUESTED, STAGE_RECEIVED, STAGE_ANSWERED, STAGE_REPLIED };

/* One request on its way. A fixed number of them exist per thread; a finished one waits for the
 * next request, so that the relay itself allocates nothing while it runs. */
struct passage {
    enum stage stage;
    grpc_call *down; /* from the client */
    grpc_call *up;   /* to the upstream */
    grpc_call_details details;
    grpc_metadata_array down_metadata, up_initial, up_trailing;
    grpc_byte_buffer *request, *reply;
    grpc_status_code status;
    grpc_slice status_text;
    int cancelled;
};

struct worker {
    grpc_server *server;
    grpc_completion_queue *queue;
    grpc_channel *upstream;
    pthread_t thread;
};

static void check(grpc_call_error error)
{
    if (error != GRPC_CALL_OK) {
        fprintf(stderr, "relay_grpc: %s\n", grpc_call_error_to_string(error));
        abort();
    }
}

static void passage_await(struct worker *w, struct passage *p)
{
    p->stage = STAGE_REQUESTED;
    check(grpc_server_request_call(w->server, &p->down, &p->details, &p->down_metadata, w->queue,
                                   w->queue, p));
}

static void passage_receive(struct passage *p)
{
    p->stage = STAGE_RECEIVED;
    p->request = NULL;
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &p->request};
    check(grpc_call_start_batch(p->down, &op, 1, p, NULL));
}

static void passage_forward(struct worker *w, struct passage *p)
{
    p->stage = STAGE_ANSWERED;
    p->reply = NULL;
    p->up = grpc_channel_create_call(w->upstream, NULL, 0, w->queue, p->details.method, NULL,
                                     p->details.deadline, NULL);
    grpc_op ops[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = p->request},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        {.op = GRPC_OP_RECV_INITIAL_METADATA,
         .data.recv_initial_metadata.recv_initial_metadata = &p->up_initial},
        {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &p->reply},
        {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
         .data.recv_status_on_client = {.trailing_metadata = &p->up_trailing,
                                        .status = &p->status,
                                        .status_details = &p->status_text}},
    };
    check(grpc_call_start_batch(p->up, ops, sizeof ops / sizeof *ops, p, NULL));
}

static void passage_reply(struct passage *p)
{
    p->stage = STAGE_REPLIED;
    grpc_op ops[4] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_RECV_CLOSE_ON_SERVER, .data.recv_close_on_server.cancelled = &p->cancelled},
        {.op = GRPC_OP_SEND_STATUS_FROM_SERVER,
         .data.send_status_from_server = {.status = p->status, .status_details = &p->status_text}},
    };
    size_t n = 3;
    if (p->reply) {
        ops[n].op = GRPC_OP_SEND_MESSAGE;
        ops[n].data.send_message.send_message = p->reply;
        n++;
    }
    check(grpc_call_start_batch(p->down, ops, n, p, NULL));
}

static void passage_finish(struct passage *p)
{
    grpc_call_unref(p->down);
    if (p->up) {
        grpc_call_unref(p->up);
        p->up = NULL;
    }
    if (p->request)
        grpc_byte_buffer_destroy(p->request);
    if (p->reply)
        grpc_byte_buffer_destroy(p->reply);
    p->request = p->reply = NULL;
    grpc_slice_unref(p->status_text);
    p->status_text = grpc_empty_slice();
    grpc_call_details_destroy(&p->details);
    grpc_call_details_init(&p->details);
    p->down_metadata.count = p->up_initial.count = p->up_trailing.count = 0;
}

static void passage_step(struct worker *w, struct passage *p, bool success)
{
    switch (p->stage) {
    case STAGE_REQUESTED:
        if (success)
            passage_receive(p);
        break;
    case STAGE_RECEIVED:
        if (p->request) {
            passage_forward(w, p);
        } else { /* the client went away, or sent more than the limit */
            p->status = GRPC_STATUS_CANCELLED;
            passage_reply(p);
        }
        break;
    case STAGE_ANSWERED:
        passage_reply(p);
        break;
    case STAGE_REPLIED:
        passage_finish(p);
        passage_await(w, p);
        break;
    }
}

static void *worker_run(void *arg)
{
    struct worker *w = (struct worker *)arg;
    for (;;) {
        grpc_event e =
            grpc_completion_queue_next(w->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
        if (e.type == GRPC_OP_COMPLETE)
            passage_step(w, (struct passage *)e.tag, e.success != 0);
    }
    return NULL;
}

/* A window as large as the messages instead of one that probing finds, no machinery for retries,
 * and memory that stays with the allocator between messages: most of what is saved are the page
 * faults of giving it back and taking it again. */
static void tune(struct grpc_args *server, struct grpc_args *client)
{
    grpc_args_add(server, GRPC_ARG_HTTP2_BDP_PROBE, 0);
    grpc_args_add(client, GRPC_ARG_HTTP2_BDP_PROBE, 0);
    grpc_args_add(server, GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 8 << 20);
    grpc_args_add(client, GRPC_ARG_ENABLE_RETRIES, 0);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
    mallopt(M_MMAP_THRESHOLD, 64 << 20);
}

static const char usage[] =
    "bench_relay_grpc --listen HOST:PORT --upstream HOST:PORT [--tuned] [--threads N]\n"
    "                 [--in-flight N] [--server-arg KEY=INT]... [--client-arg KEY=INT]...\n";

int main(int argc, char **argv)
{
    static const struct option longs[] = {{"listen", required_argument, NULL, 'l'},
                                          {"upstream", required_argument, NULL, 'u'},
                                          {"threads", required_argument, NULL, 't'},
                                          {"in-flight", required_argument, NULL, 'f'},
                                          {"server-arg", required_argument, NULL, 's'},
                                          {"client-arg", required_argument, NULL, 'c'},
                                          {"tuned", no_argument, NULL, 'T'},
                                          {NULL, 0, NULL, 0}};
    const char *listen = NULL, *upstream = NULL;
    int threads = 1, in_flight = 64, option;
    struct grpc_args server_args, client_args;
    grpc_args_init(&server_args);
    grpc_args_init(&client_args);
    bool good = true;
    while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (option) {
        case 'l':
            listen = optarg;
            break;
        case 'u':
            upstream = optarg;
            break;
        case 't':
            threads = atoi(optarg);
            break;
        case 'f':
            in_flight = atoi(optarg);
            break;
        case 's':
            good = good && grpc_args_parse(&server_args, optarg);
            break;
        case 'c':
            good = good && grpc_args_parse(&client_args, optarg);
            break;
        case 'T':
            tune(&server_args, &client_args);
            break;
        default:
            good = false;
        }
    }
    if (!good || !listen || !upstream || threads < 1 || threads > THREADS_MAX || in_flight < 1) {
        fputs(usage, stderr);
        return 2;
    }

    grpc_init();
    struct worker workers[THREADS_MAX];
    memset(workers, 0, sizeof workers);
    grpc_server *server = grpc_server_create(&server_args.args, NULL);
    for (int i = 0; i < threads; i++) {
        workers[i].server = server;
        workers[i].queue = grpc_completion_queue_create_for_next(NULL);
        grpc_server_register_completion_queue(server, workers[i].queue, NULL);
    }
    grpc_server_credentials *server_creds = grpc_insecure_server_credentials_create();
    if (!grpc_server_add_http2_port(server, listen, server_creds)) {
        fprintf(stderr, "relay_grpc: cannot listen on %s\n", listen);
        return 1;
    }
    grpc_server_start(server);
    grpc_server_credentials_release(server_creds);

    grpc_channel_credentials *creds = grpc_insecure_credentials_create();
    grpc_channel *channel = grpc_channel_create(upstream, creds, &client_args.args);
    grpc_channel_credentials_release(creds);
    struct passage *passages =
        (struct passage *)calloc((size_t)threads * (size_t)in_flight, sizeof *passages);
    if (!passages)
        return 1;
    for (int i = 0; i < threads; i++) {
        workers[i].upstream = channel;
        for (int k = 0; k < in_flight; k++) {
            struct passage *p = &passages[i * in_flight + k];
            grpc_call_details_init(&p->details);
            p->status_text = grpc_empty_slice();
            passage_await(&workers[i], p);
        }
    }
    fprintf(stderr, "relay_grpc: %s to %s, %d thread(s)\n", listen, upstream, threads);
    for (int i = 1; i < threads; i++)
        pthread_create(&workers[i].thread, NULL, worker_run, &workers[i]);
    worker_run(&workers[0]);
    return 0;
}
