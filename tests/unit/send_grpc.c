/* The load sender over gRPC against a server on the same core that plays a script of statuses. */
#include "commands/generate/send.h"

#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { BODY = 300000 };

struct act {
    grpc_status_code code;
    const char *reply; /* bytes of the message, with OK */
    size_t reply_n;
    bool retry_info; /* tells to come back after one second */
    bool silent;     /* never answers */
};

struct server {
    grpc_server *server;
    grpc_completion_queue *queue;
    int port;
    const struct act *acts;
    size_t count, served;
    pthread_t thread;
    char method[128], tenant[32];
    grpc_slice body; /* of the last request */
};

static void finish_batch(struct server *s, grpc_call *call, const grpc_op *ops, size_t n)
{
    assert_int_equal(grpc_call_start_batch(call, ops, n, call, NULL), GRPC_CALL_OK);
    grpc_event e;
    do
        e = grpc_completion_queue_next(s->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
    while (e.tag != call);
}

static void server_note(struct server *s, const grpc_call_details *details,
                        const grpc_metadata_array *metadata, grpc_byte_buffer *message)
{
    char *method = grpc_slice_to_c_string(details->method);
    snprintf(s->method, sizeof s->method, "%s", method);
    gpr_free(method);
    for (size_t i = 0; i < metadata->count; i++) {
        if (grpc_slice_str_cmp(metadata->metadata[i].key, "x-tenant") == 0) {
            char *value = grpc_slice_to_c_string(metadata->metadata[i].value);
            snprintf(s->tenant, sizeof s->tenant, "%s", value);
            gpr_free(value);
        }
    }
    grpc_byte_buffer_reader reader;
    assert_true(grpc_byte_buffer_reader_init(&reader, message));
    grpc_slice_unref(s->body);
    s->body = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
}

static void server_answer(struct server *s, grpc_call *call, const struct act *act)
{
    static const char retry_info[] =
        "\x08\x0e\x1a\x30\x0a\x28type.googleapis.com/google.rpc.RetryInfo\x12\x04\x0a\x02\x08\x01";
    grpc_metadata trailing = {.key = grpc_slice_from_static_string("grpc-status-details-bin"),
                              .value =
                                  grpc_slice_from_static_buffer(retry_info, sizeof retry_info - 1)};
    grpc_slice text = grpc_slice_from_static_string("as the script says");
    grpc_slice slice = grpc_slice_from_static_buffer(act->reply, act->reply_n);
    grpc_byte_buffer *reply = grpc_raw_byte_buffer_create(&slice, 1);
    int cancelled;
    grpc_op ops[] = {
        {.op = GRPC_OP_RECV_CLOSE_ON_SERVER, .data.recv_close_on_server.cancelled = &cancelled},
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_SEND_STATUS_FROM_SERVER,
         .data.send_status_from_server = {.status = act->code,
                                          .status_details = &text,
                                          .trailing_metadata_count = act->retry_info,
                                          .trailing_metadata = &trailing}},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = reply},
    };
    if (act->silent)
        finish_batch(s, call, ops, 1); /* ends when the client gives up */
    else
        finish_batch(s, call, ops, act->code == GRPC_STATUS_OK ? 4 : 3);
    grpc_byte_buffer_destroy(reply);
}

/* Serves one call after the other until the server is shut down. */
static void *server_run(void *arg)
{
    struct server *s = (struct server *)arg;
    for (;;) {
        grpc_call *call = NULL;
        grpc_call_details details;
        grpc_metadata_array metadata;
        grpc_byte_buffer *message = NULL;
        grpc_call_details_init(&details);
        grpc_metadata_array_init(&metadata);
        if (grpc_server_request_call(s->server, &call, &details, &metadata, s->queue, s->queue,
                                     &details) != GRPC_CALL_OK)
            abort();
        grpc_event e =
            grpc_completion_queue_next(s->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
        bool called = e.tag == &details && e.success;
        if (called) {
            grpc_op receive = {.op = GRPC_OP_RECV_MESSAGE,
                               .data.recv_message.recv_message = &message};
            finish_batch(s, call, &receive, 1);
            server_note(s, &details, &metadata, message);
            size_t i = s->served < s->count ? s->served : s->count - 1;
            s->served++;
            server_answer(s, call, &s->acts[i]);
            grpc_byte_buffer_destroy(message);
            grpc_call_unref(call);
        }
        grpc_call_details_destroy(&details);
        grpc_metadata_array_destroy(&metadata);
        if (!called)
            return NULL;
    }
}

static void server_start(struct server *s, const struct act *acts, size_t count)
{
    memset(s, 0, sizeof *s);
    s->acts = acts;
    s->count = count;
    s->body = grpc_empty_slice();
    s->server = grpc_server_create(NULL, NULL);
    s->queue = grpc_completion_queue_create_for_next(NULL);
    grpc_server_register_completion_queue(s->server, s->queue, NULL);
    grpc_server_credentials *creds = grpc_insecure_server_credentials_create();
    s->port = grpc_server_add_http2_port(s->server, "127.0.0.1:0", creds);
    grpc_server_credentials_release(creds);
    assert_true(s->port > 0);
    grpc_server_start(s->server);
    assert_int_equal(pthread_create(&s->thread, NULL, server_run, s), 0);
}

static void server_stop(struct server *s)
{
    grpc_server_shutdown_and_notify(s->server, s->queue, NULL);
    pthread_join(s->thread, NULL);
    grpc_completion_queue_shutdown(s->queue);
    while (grpc_completion_queue_next(s->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL).type !=
           GRPC_QUEUE_SHUTDOWN)
        continue;
    grpc_server_destroy(s->server);
    grpc_completion_queue_destroy(s->queue);
    grpc_slice_unref(s->body);
}

/* Runs the sender against the server and checks that the last body arrived as it was. */
static struct send_report run(struct server *s, struct send_options options)
{
    static uint8_t body[BODY];
    char endpoint[64];
    struct send_report report;
    sl_error error = {.size = sizeof error, .text = ""};
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (uint8_t)(i * 7 % 251);
    struct send_request request = {
        .body = sl_slice(body, sizeof body), .items = 5, .signal = SL_METRICS};
    snprintf(endpoint, sizeof endpoint, "grpc://127.0.0.1:%d", s->port);
    options.protocol = SEND_GRPC;
    options.endpoint = endpoint;
    if (!options.requests)
        options.requests = 1;
    if (!options.timeout_ns)
        options.timeout_ns = 20000000000;
    enum sl_status status = send_run(&options, &request, 1, &report, &error);
    assert_string_equal(error.text, "");
    assert_int_equal(status, SL_OK);
    assert_int_equal(GRPC_SLICE_LENGTH(s->body), sizeof body);
    assert_memory_equal(GRPC_SLICE_START_PTR(s->body), body, sizeof body);
    return report;
}

#define ACTS(acts) (acts), sizeof(acts) / sizeof *(acts)

static void sends_to_the_signals_method_with_headers(void **state)
{
    (void)state;
    static const struct act acts[] = {{.code = GRPC_STATUS_OK}};
    static const struct send_header headers[] = {{"X-Tenant", "blue"}};
    struct server s;
    server_start(&s, ACTS(acts));
    struct send_report r =
        run(&s, (struct send_options){.requests = 4, .headers = headers, .header_count = 1});
    server_stop(&s);
    assert_int_equal(r.acknowledged, 4);
    assert_int_equal(r.items_acknowledged, 20);
    assert_string_equal(s.method,
                        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export");
    assert_string_equal(s.tenant, "blue");
}

static void sends_compressed_messages_that_the_core_can_read(void **state)
{
    (void)state;
    static const struct act acts[] = {{.code = GRPC_STATUS_OK}};
    struct server s;
    server_start(&s, ACTS(acts));
    struct send_report r = run(&s, (struct send_options){.gzip = true});
    server_stop(&s);
    assert_int_equal(r.acknowledged, 1);
    assert_in_range(r.bytes_acknowledged, 1, BODY / 2);
}

static void reads_partial_success(void **state)
{
    (void)state;
    static const struct act acts[] = {{.code = GRPC_STATUS_OK,
                                       .reply = "\x0a\x07\x08\x03\x12\x03"
                                                "bad",
                                       .reply_n = 9}};
    struct server s;
    server_start(&s, ACTS(acts));
    struct send_report r = run(&s, (struct send_options){.requests = 2});
    server_stop(&s);
    assert_int_equal(r.acknowledged, 2);
    assert_int_equal(r.partial, 2);
    assert_int_equal(r.items_rejected, 6);
}

static void retries_when_the_server_says(void **state)
{
    (void)state;
    static const struct act acts[] = {
        {.code = GRPC_STATUS_UNAVAILABLE, .retry_info = true},
        {.code = GRPC_STATUS_OK},
    };
    struct server s;
    server_start(&s, ACTS(acts));
    struct send_report r = run(&s, (struct send_options){.retries = 1});
    server_stop(&s);
    assert_int_equal(r.acknowledged, 1);
    assert_int_equal(r.retries, 1);
    assert_int_equal(r.refusals_delayed, 1);
    assert_in_range(r.wall_ns, 1000000000, 60000000000);
}

static void tells_refusals_apart(void **state)
{
    (void)state;
    static const struct act acts[] = {
        {.code = GRPC_STATUS_UNAVAILABLE},
        {.code = GRPC_STATUS_RESOURCE_EXHAUSTED, .retry_info = true},
        {.code = GRPC_STATUS_DEADLINE_EXCEEDED}, /* the server's own, not the sender's */
        {.code = GRPC_STATUS_RESOURCE_EXHAUSTED},
        {.code = GRPC_STATUS_INVALID_ARGUMENT},
        {.code = GRPC_STATUS_INTERNAL},
    };
    struct server s;
    server_start(&s, ACTS(acts));
    struct send_report r = run(&s, (struct send_options){.requests = 6});
    server_stop(&s);
    assert_int_equal(r.refused_retryable, 3);
    assert_int_equal(r.refused_permanent, 3);
    assert_int_equal(r.failed, 0);
    assert_string_equal(r.last_problem, "gRPC status 13: as the script says");
}

static void gives_up_waiting(void **state)
{
    (void)state;
    static const struct act acts[] = {{.silent = true}, {.code = GRPC_STATUS_OK}};
    struct server s;
    server_start(&s, ACTS(acts));
    struct send_report r = run(&s, (struct send_options){.requests = 2, .timeout_ns = 300000000});
    server_stop(&s);
    assert_int_equal(r.failed, 1);
    assert_int_equal(r.acknowledged, 1);
}

static int group_init(void **state)
{
    (void)state;
    grpc_init();
    return 0;
}

static int group_deinit(void **state)
{
    (void)state;
    grpc_shutdown_blocking();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sends_to_the_signals_method_with_headers),
        cmocka_unit_test(sends_compressed_messages_that_the_core_can_read),
        cmocka_unit_test(reads_partial_success),
        cmocka_unit_test(retries_when_the_server_says),
        cmocka_unit_test(tells_refusals_apart),
        cmocka_unit_test(gives_up_waiting),
    };
    return cmocka_run_group_tests(tests, group_init, group_deinit);
}
