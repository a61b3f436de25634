/* The OTLP receiver over gRPC, on a scripted host, with the C core as client. */
#include "formats/compress/pack.h"
#include "formats/grpc/loop.h"
#include "formats/otlp/status.h"
#include "receivers/otlp/grpc_server.h"
#include "receivers/otlp/receiver.h"
#include "tests/support/receiver_host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/compression.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>
#include <setjmp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
// clang-format off
#include <cmocka.h>
// clang-format on

extern const sl_plugin sluice_plugin_otlp, sluice_plugin_otlp_grpc, sluice_plugin_otlp_decode,
    sluice_plugin_grpc_loop;

#define TRACES "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
#define METRICS "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
#define LOGS "/opentelemetry.proto.collector.logs.v1.LogsService/Export"

static const uint8_t one_span[] = {
    0x0a, 0x23, 0x12, 0x21, 0x12, 0x1f, 0x0a, 0x10, 1, 2, 3, 4, 5, 6, 7, 8,    9,    10, 11,
    12,   13,   14,   15,   16,   0x12, 0x08, 1,    2, 3, 4, 5, 6, 7, 8, 0x2a, 0x01, 'x'};
static const uint8_t one_point[] = {0x0a, 0x08, 0x12, 0x06, 0x12, 0x04, 0x2a, 0x02, 0x0a, 0x00};
static const uint8_t one_log[] = {0x0a, 0x04, 0x12, 0x02, 0x12, 0x00};

enum { MESSAGE_MAX = 1 << 20 };

struct fixture {
    struct receiver_host *host;
    const struct otlp_grpc_api *api;
    struct otlp_grpc_settings settings;
    struct otlp_grpc_server *server;
    int32_t fd;
    grpc_channel *channel, *zipping, *deflating; /* which say that messages are packed */
    grpc_completion_queue *queue;
};

static const void *plugin(const char *file, const char *id)
{
    return strcmp(file, "otlp_grpc") == 0     ? sluice_plugin_otlp_grpc.interface_of(id)
           : strcmp(file, "otlp_decode") == 0 ? sluice_plugin_otlp_decode.interface_of(id)
           : strcmp(file, "grpc_loop") == 0   ? sluice_plugin_grpc_loop.interface_of(id)
                                              : NULL;
}

static grpc_channel *channel_to(uint16_t port, grpc_compression_algorithm packing)
{
    char target[32];
    (void)snprintf(target, sizeof target, "127.0.0.1:%u", port);
    grpc_arg list[] = {{.type = GRPC_ARG_INTEGER,
                        .key = (char *)(uintptr_t) "grpc.use_local_subchannel_pool",
                        .value.integer = 1},
                       {.type = GRPC_ARG_INTEGER,
                        .key = (char *)(uintptr_t)GRPC_COMPRESSION_CHANNEL_DEFAULT_ALGORITHM,
                        .value.integer = (int)packing}};
    const grpc_channel_args args = {2, list};
    grpc_channel_credentials *creds = grpc_insecure_credentials_create();
    grpc_channel *c = grpc_channel_create(target, creds, &args);
    grpc_channel_credentials_release(creds);
    return c;
}

static int set_up(void **state)
{
    struct fixture *f = (struct fixture *)calloc(1, sizeof *f);
    f->host = receiver_host_create();
    f->host->plugin = plugin;
    f->api = (const struct otlp_grpc_api *)plugin("otlp_grpc", OTLP_GRPC_SERVER);
    f->settings.max_message = MESSAGE_MAX;
    f->queue = grpc_completion_queue_create_for_next(NULL);
    *state = f;
    return 0;
}

static void start(struct fixture *f)
{
    const sl_host *h = &f->host->host;
    const sl_listen *listen = (const sl_listen *)sl_interface(h, SL_LISTEN);
    sl_error error = {.size = sizeof error};
    assert_int_equal(listen->open(h, sl_str("localhost:4317"), sl_str("tcp"), &f->fd, &error),
                     SL_OK);
    if (f->api->start(h, f->fd, &f->settings, &f->server, &error) != SL_OK)
        fail_msg("%s", error.text);
    f->channel = channel_to(receiver_host_port(f->host, 0), GRPC_COMPRESS_NONE);
    f->zipping = channel_to(receiver_host_port(f->host, 0), GRPC_COMPRESS_GZIP);
    f->deflating = channel_to(receiver_host_port(f->host, 0), GRPC_COMPRESS_DEFLATE);
}

static void stop(struct fixture *f)
{
    if (f->server)
        f->api->stop(f->server);
    f->server = NULL;
}

static int tear_down(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    const sl_host *h = &f->host->host;
    if (f->channel) {
        grpc_channel_destroy(f->channel);
        grpc_channel_destroy(f->zipping);
        grpc_channel_destroy(f->deflating);
    }
    stop(f);
    if (f->host->n_sockets)
        ((const sl_listen *)sl_interface(h, SL_LISTEN))->done(h, f->fd);
    grpc_completion_queue_shutdown(f->queue);
    while (grpc_completion_queue_next(f->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).type !=
           GRPC_QUEUE_SHUTDOWN)
        ;
    grpc_completion_queue_destroy(f->queue);
    receiver_host_destroy(f->host);
    free(f);
    return 0;
}

/* ---- client ---- */

struct call {
    grpc_call *call;
    grpc_metadata_array initial, trailing;
    grpc_byte_buffer *request, *reply;
    grpc_status_code status;
    grpc_slice text;
    char message[512];
    uint8_t details[512], body[512];
    size_t details_n, body_n;
};

/* How the bytes go out. */
enum form { PLAIN, PACKED, DEFLATED, NOTHING };

static void call_begin(struct fixture *f, struct call *c, const char *method, enum form form,
                       const void *bytes, size_t n)
{
    receiver_host_meet(f->host);
    memset(c, 0, sizeof *c);
    grpc_metadata_array_init(&c->initial);
    grpc_metadata_array_init(&c->trailing);
    grpc_slice slice = grpc_slice_from_copied_buffer((const char *)bytes, n);
    c->request = form == PACKED
                     ? grpc_raw_compressed_byte_buffer_create(&slice, 1, GRPC_COMPRESS_GZIP)
                 : form == DEFLATED
                     ? grpc_raw_compressed_byte_buffer_create(&slice, 1, GRPC_COMPRESS_DEFLATE)
                     : grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    gpr_timespec deadline =
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_seconds(20, GPR_TIMESPAN));
    grpc_channel *channel = form == PACKED     ? f->zipping
                            : form == DEFLATED ? f->deflating
                                               : f->channel;
    c->call = grpc_channel_create_call(channel, NULL, 0, f->queue,
                                       grpc_slice_from_static_string(method), NULL, deadline, NULL);
    grpc_op ops[6];
    size_t k = 0;
    memset(ops, 0, sizeof ops);
    ops[k++].op = GRPC_OP_SEND_INITIAL_METADATA;
    if (form != NOTHING) {
        ops[k].op = GRPC_OP_SEND_MESSAGE;
        ops[k++].data.send_message.send_message = c->request;
    }
    ops[k++].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    ops[k].op = GRPC_OP_RECV_INITIAL_METADATA;
    ops[k++].data.recv_initial_metadata.recv_initial_metadata = &c->initial;
    ops[k].op = GRPC_OP_RECV_MESSAGE;
    ops[k++].data.recv_message.recv_message = &c->reply;
    ops[k].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    ops[k].data.recv_status_on_client.trailing_metadata = &c->trailing;
    ops[k].data.recv_status_on_client.status = &c->status;
    ops[k++].data.recv_status_on_client.status_details = &c->text;
    assert_int_equal(grpc_call_start_batch(c->call, ops, k, c, NULL), GRPC_CALL_OK);
}

/* Waits for whichever call ends next. */
static struct call *call_next(struct fixture *f)
{
    gpr_timespec until =
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_seconds(30, GPR_TIMESPAN));
    grpc_event e = grpc_completion_queue_next(f->queue, until, NULL);
    assert_int_equal(e.type, GRPC_OP_COMPLETE);
    receiver_host_meet(f->host);
    struct call *c = (struct call *)e.tag;
    (void)snprintf(c->message, sizeof c->message, "%.*s", (int)GRPC_SLICE_LENGTH(c->text),
                   (const char *)GRPC_SLICE_START_PTR(c->text));
    for (size_t i = 0; i < c->trailing.count; i++) {
        const grpc_metadata *m = &c->trailing.metadata[i];
        if (grpc_slice_str_cmp(m->key, "grpc-status-details-bin") == 0) {
            c->details_n = GRPC_SLICE_LENGTH(m->value);
            assert_true(c->details_n <= sizeof c->details);
            memcpy(c->details, GRPC_SLICE_START_PTR(m->value), c->details_n);
        }
    }
    if (c->reply) {
        grpc_byte_buffer_reader reader;
        assert_true(grpc_byte_buffer_reader_init(&reader, c->reply));
        grpc_slice all = grpc_byte_buffer_reader_readall(&reader);
        c->body_n = GRPC_SLICE_LENGTH(all);
        assert_true(c->body_n <= sizeof c->body);
        memcpy(c->body, GRPC_SLICE_START_PTR(all), c->body_n);
        grpc_slice_unref(all);
        grpc_byte_buffer_reader_destroy(&reader);
        grpc_byte_buffer_destroy(c->reply);
    }
    grpc_slice_unref(c->text);
    grpc_byte_buffer_destroy(c->request);
    grpc_metadata_array_destroy(&c->initial);
    grpc_metadata_array_destroy(&c->trailing);
    grpc_call_unref(c->call);
    return c;
}

static void call_it(struct fixture *f, struct call *c, const char *method, enum form form,
                    const void *bytes, size_t n)
{
    call_begin(f, c, method, form, bytes, n);
    assert_ptr_equal(call_next(f), c);
}

static int64_t retry_delay(const struct call *c)
{
    struct otlp_status status = {.retry_delay_ns = OTLP_NO_DELAY};
    if (c->details_n == 0)
        return OTLP_NO_DELAY;
    assert_int_equal(otlp_status_decode(sl_slice(c->details, c->details_n), &status), SL_OK);
    assert_int_equal(status.code, c->status);
    assert_true(sl_eq(status.message, sl_str(c->message)));
    return status.retry_delay_ns;
}

static int64_t count(struct fixture *f, const char *name)
{
    return receiver_host_metric(f->host, name, "grpc");
}

static int64_t refusals(struct fixture *f, const char *reason)
{
    return receiver_host_metric(f->host, "sluice_receiver_refused_grpc_requests", reason);
}

static void pack_as(enum pack_format format, struct pack_buffer *out, const void *p, size_t n)
{
    struct packer *w = packer_create(format, 9);
    const sl_bytes one = sl_slice(p, n);
    assert_int_equal(packer_pack(w, &one, 1, SIZE_MAX, out), SL_OK);
    packer_destroy(w);
}

static void pack(struct pack_buffer *out, const void *p, size_t n)
{
    pack_as(PACK_GZIP, out, p, n);
}

/* ---- tests ---- */

static void three_signals(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    const struct {
        const char *method;
        sl_bytes body;
        const char *metric;
    } all[] = {
        {TRACES, sl_slice(one_span, sizeof one_span), "otelcol_receiver_accepted_spans"},
        {METRICS, sl_slice(one_point, sizeof one_point), "otelcol_receiver_accepted_metric_points"},
        {LOGS, sl_slice(one_log, sizeof one_log), "otelcol_receiver_accepted_log_records"},
    };
    struct call c;
    start(f);
    for (uint32_t i = 0; i < 3; i++) {
        call_it(f, &c, all[i].method, PLAIN, all[i].body.p, all[i].body.n);
        assert_int_equal(c.status, GRPC_STATUS_OK);
        assert_int_equal(c.body_n, 0);
        assert_int_equal(f->host->items[i], 1);
        assert_true(sl_eq(sl_slice(f->host->last, f->host->last_n), all[i].body));
        assert_int_equal(count(f, all[i].metric), 1);
    }
}

static void large_and_packed(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    enum { SPANS = 20000 };
    uint8_t *many = (uint8_t *)malloc(SPANS * sizeof one_span);
    struct pack_buffer packed = {0};
    struct call c;
    for (size_t i = 0; i < SPANS; i++)
        memcpy(many + i * sizeof one_span, one_span, sizeof one_span);
    const sl_bytes whole = sl_slice(many, SPANS * sizeof one_span);
    start(f);
    call_it(f, &c, TRACES, PLAIN, whole.p, whole.n); /* many slices */
    assert_int_equal(c.status, GRPC_STATUS_OK);
    assert_true(sl_eq(sl_slice(f->host->last, f->host->last_n), whole));
    pack(&packed, whole.p, whole.n);
    call_it(f, &c, TRACES, PACKED, packed.at, packed.n);
    assert_int_equal(c.status, GRPC_STATUS_OK);
    assert_true(sl_eq(sl_slice(f->host->last, f->host->last_n), whole));
    pack_as(PACK_ZLIB, &packed, whole.p, whole.n);
    call_it(f, &c, TRACES, DEFLATED, packed.at, packed.n);
    assert_int_equal(c.status, GRPC_STATUS_OK);
    assert_true(sl_eq(sl_slice(f->host->last, f->host->last_n), whole));
    pack_as(PACK_ZSTD, &packed, whole.p, whole.n);
    call_it(f, &c, TRACES, PLAIN, packed.at, packed.n); /* as the core shows it */
    assert_int_equal(c.status, GRPC_STATUS_OK);
    assert_true(sl_eq(sl_slice(f->host->last, f->host->last_n), whole));
    assert_int_equal(f->host->items[0], 4 * SPANS);
    pack_buffer_deinit(&packed);
    free(many);
}

static void empty_requests_succeed(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    static const uint8_t no_spans[] = {0x0a, 0x02, 0x12, 0x00};
    struct pack_buffer packed = {0};
    struct call c;
    start(f);
    call_it(f, &c, TRACES, PLAIN, "", 0);
    assert_int_equal(c.status, GRPC_STATUS_OK);
    call_it(f, &c, METRICS, PLAIN, no_spans, sizeof no_spans);
    assert_int_equal(c.status, GRPC_STATUS_OK);
    pack(&packed, "", 0);
    call_it(f, &c, LOGS, PACKED, packed.at, packed.n);
    assert_int_equal(c.status, GRPC_STATUS_OK);
    pack_buffer_deinit(&packed);
    assert_int_equal(f->host->offers, 0);
}

static void damaged_messages(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    static const uint8_t zstd[] = {0x28, 0xb5, 0x2f, 0xfd, 0x04, 0x00, 0x01};
    struct pack_buffer packed = {0};
    struct call c;
    start(f);
    for (size_t n = 1; n < sizeof one_span; n++) {
        call_it(f, &c, TRACES, PLAIN, one_span, n);
        assert_int_equal(c.status, GRPC_STATUS_INVALID_ARGUMENT);
        assert_true(c.message[0] != 0);
        assert_int_equal(c.details_n, 0);
    }
    pack(&packed, one_span, sizeof one_span);
    for (size_t n = 1; n < packed.n; n += 5) {
        call_it(f, &c, TRACES, PACKED, packed.at, n);
        assert_int_equal(c.status, GRPC_STATUS_INVALID_ARGUMENT);
    }
    call_it(f, &c, TRACES, PACKED, one_span, sizeof one_span);
    assert_int_equal(c.status, GRPC_STATUS_INVALID_ARGUMENT);
    call_it(f, &c, TRACES, DEFLATED, packed.at, packed.n); /* which is gzip */
    assert_int_equal(c.status, GRPC_STATUS_INVALID_ARGUMENT);
    call_it(f, &c, TRACES, PLAIN, zstd, sizeof zstd);
    assert_int_equal(c.status, GRPC_STATUS_INVALID_ARGUMENT);
    call_it(f, &c, TRACES, NOTHING, "", 0);
    assert_int_equal(c.status, GRPC_STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(f->host->offers, 0);
    call_it(f, &c, TRACES, PLAIN, one_span, sizeof one_span); /* and it goes on */
    assert_int_equal(c.status, GRPC_STATUS_OK);
    pack_buffer_deinit(&packed);
}

static void messages_above_the_limit(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    uint8_t *zeros = (uint8_t *)calloc(1, 64 << 20);
    struct pack_buffer packed = {0};
    struct call c;
    start(f);
    call_it(f, &c, TRACES, PLAIN, zeros, MESSAGE_MAX + 1);
    assert_int_equal(c.status, GRPC_STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(c.details_n, 0); /* without a RetryInfo it is final */
    pack(&packed, zeros, 64 << 20);
    assert_true(packed.n < MESSAGE_MAX);
    call_it(f, &c, TRACES, PACKED, packed.at, packed.n);
    assert_int_equal(c.status, GRPC_STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(c.details_n, 0);
    assert_int_equal(refusals(f, "too_large"), 2);
    assert_true(f->host->used_most <= 3 * MESSAGE_MAX);
    pack_buffer_deinit(&packed);
    free(zeros);
}

static void unknown_methods(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct call c;
    start(f);
    call_it(f, &c, "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
            PLAIN, "", 0);
    assert_int_equal(c.status, GRPC_STATUS_UNIMPLEMENTED);
    call_it(f, &c, "/x", PLAIN, one_span, sizeof one_span);
    assert_int_equal(c.status, GRPC_STATUS_UNIMPLEMENTED);
    assert_int_equal(refusals(f, "unsupported"), 2);
}

static void refused_offers(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    static const struct {
        int32_t offer;
        grpc_status_code code;
        bool again;
    } cases[] = {
        {SL_ERR_FULL, GRPC_STATUS_UNAVAILABLE, true},
        {SL_ERR_NOMEM, GRPC_STATUS_UNAVAILABLE, true},
        {SL_ERR_FAILED, GRPC_STATUS_UNAVAILABLE, true},
        {SL_ERR_SHUTDOWN, GRPC_STATUS_UNAVAILABLE, true},
        {SL_ERR_REJECTED, GRPC_STATUS_INTERNAL, false},
        {SL_ERR_INVALID, GRPC_STATUS_INVALID_ARGUMENT, false},
        {SL_ERR_TOO_LARGE, GRPC_STATUS_RESOURCE_EXHAUSTED, false},
        {SL_ERR_DENIED, GRPC_STATUS_PERMISSION_DENIED, false},
        {SL_ERR_UNSUPPORTED, GRPC_STATUS_UNIMPLEMENTED, false},
    };
    struct call c;
    start(f);
    f->host->answer = HOST_REFUSES;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        f->host->offer_status = cases[i].offer;
        call_it(f, &c, TRACES, PLAIN, one_span, sizeof one_span);
        assert_int_equal(c.status, cases[i].code);
        assert_true(c.message[0] != 0);
        assert_int_equal(retry_delay(&c), cases[i].again ? INT64_C(1000000000) : OTLP_NO_DELAY);
    }
    assert_int_equal(count(f, "otelcol_receiver_refused_spans"), sizeof cases / sizeof *cases - 2);
    assert_int_equal(count(f, "otelcol_receiver_failed_spans"), 2); /* no memory, no pipeline */
}

static void results(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct call c;
    start(f);
    for (int answer = HOST_TAKES; answer <= HOST_TAKES_ELSEWHERE; answer++) {
        for (int ack = SL_ACK_TAKEN; ack <= SL_ACK_JOURNALED; ack++) {
            f->host->answer = (enum host_answer)answer;
            f->host->ack = ack;
            f->host->result = (sl_result){.items = 1,
                                          .n = {[SL_FAILED] = 1},
                                          .retry_after_ns = INT64_C(1500000000),
                                          .why = "http_503"};
            call_it(f, &c, TRACES, PLAIN, one_span, sizeof one_span);
            assert_int_equal(c.status, GRPC_STATUS_UNAVAILABLE);
            assert_int_equal(retry_delay(&c), INT64_C(1500000000));
            assert_non_null(strstr(c.message, "http_503"));
            f->host->result = (sl_result){
                .items = 1, .n = {[SL_REJECTED] = 1}, .status = SL_ERR_REJECTED, .why = "old"};
            call_it(f, &c, TRACES, PLAIN, one_span, sizeof one_span);
            assert_int_equal(c.status, GRPC_STATUS_INTERNAL);
            assert_int_equal(c.details_n, 0);
        }
    }
}

static void partial_success(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct otlp_response response;
    uint8_t two[2 * sizeof one_span];
    struct call c;
    memcpy(two, one_span, sizeof one_span);
    memcpy(two + sizeof one_span, one_span, sizeof one_span);
    start(f);
    f->host->result =
        (sl_result){.items = 2, .n = {[SL_DELIVERED] = 1, [SL_REJECTED] = 1}, .why = "bad"};
    call_it(f, &c, TRACES, PLAIN, two, sizeof two);
    assert_int_equal(c.status, GRPC_STATUS_OK);
    assert_int_equal(otlp_response_decode(sl_slice(c.body, c.body_n), &response), SL_OK);
    assert_int_equal(response.rejected, 1);
    assert_true(sl_eq(response.message, sl_str("1 of 2 items were refused: bad")));
    assert_int_equal(count(f, "otelcol_receiver_accepted_spans"), 1);
    assert_int_equal(count(f, "otelcol_receiver_refused_spans"), 1);
}

static void budget_is_asked_first(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct call c;
    f->host->budget = MESSAGE_MAX - 1; /* no room for a largest message */
    start(f);
    call_it(f, &c, TRACES, PLAIN, one_span, sizeof one_span);
    assert_int_equal(c.status, GRPC_STATUS_UNAVAILABLE);
    assert_int_equal(retry_delay(&c), INT64_C(1000000000));
    assert_int_equal(refusals(f, "no_memory"), 1);
    f->host->budget = MESSAGE_MAX;
    call_it(f, &c, TRACES, PLAIN, one_span, sizeof one_span);
    assert_int_equal(c.status, GRPC_STATUS_OK);
}

static void answers_when_it_is_safe(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    enum { N = 50 };
    struct call c[N];
    start(f);
    f->host->ack = SL_ACK_SETTLED;
    f->host->answer = HOST_HOLDS;
    for (int i = 0; i < N; i++)
        call_begin(f, &c[i], TRACES, PLAIN, one_span, sizeof one_span);
    receiver_host_wait_held(f->host, N);
    gpr_timespec now = gpr_now(GPR_CLOCK_MONOTONIC);
    assert_int_equal(grpc_completion_queue_next(f->queue, now, NULL).type, GRPC_QUEUE_TIMEOUT);
    for (int i = 0; i < N; i++) {
        receiver_host_answer(f->host);
        assert_int_equal(call_next(f)->status, GRPC_STATUS_OK);
    }
    /* The client gives up first. */
    call_begin(f, &c[0], TRACES, PLAIN, one_span, sizeof one_span);
    receiver_host_wait_held(f->host, 1);
    assert_int_equal(grpc_call_cancel(c[0].call, NULL), GRPC_CALL_OK);
    assert_int_equal(call_next(f)->status, GRPC_STATUS_CANCELLED);
    receiver_host_answer(f->host);
    f->host->answer = HOST_TAKES;
    call_it(f, &c[0], TRACES, PLAIN, one_span, sizeof one_span);
    assert_int_equal(c[0].status, GRPC_STATUS_OK);
}

static void many_at_once(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    enum { N = 300 };
    struct call *c = (struct call *)calloc(N, sizeof *c);
    f->settings.max_streams = 1000;
    start(f);
    f->host->answer = HOST_TAKES_ELSEWHERE;
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < N; i++)
            call_begin(f, &c[i], LOGS, PLAIN, one_log, sizeof one_log);
        for (int i = 0; i < N; i++)
            assert_int_equal(call_next(f)->status, GRPC_STATUS_OK);
    }
    assert_int_equal(f->host->items[2], 5 * N);
    free(c);
}

static void drains(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct call c, late;
    start(f);
    f->host->answer = HOST_HOLDS;
    call_begin(f, &c, TRACES, PLAIN, one_span, sizeof one_span);
    receiver_host_wait_held(f->host, 1);
    f->api->drain(f->server);
    assert_false(f->api->wait(f->server, 1000000));
    receiver_host_answer(f->host);
    assert_ptr_equal(call_next(f), &c);
    assert_int_equal(c.status, GRPC_STATUS_OK); /* what was begun gets its answer */
    assert_true(f->api->wait(f->server, INT64_C(10000000000)));
    /* Nobody accepts any more: the client keeps trying, until its patience ends. */
    call_begin(f, &late, TRACES, PLAIN, one_span, sizeof one_span);
    assert_int_equal(
        grpc_call_cancel_with_status(late.call, GRPC_STATUS_DEADLINE_EXCEEDED, "", NULL),
        GRPC_CALL_OK);
    assert_int_equal(call_next(f)->status, GRPC_STATUS_DEADLINE_EXCEEDED);
    assert_int_equal(f->host->offers, 1);
}

static void stops_with_calls_open(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct call c[3];
    start(f);
    f->host->answer = HOST_HOLDS;
    for (int i = 0; i < 3; i++)
        call_begin(f, &c[i], TRACES, PLAIN, one_span, sizeof one_span);
    receiver_host_wait_held(f->host, 3);
    stop(f);
    for (int i = 0; i < 3; i++)
        assert_int_not_equal(call_next(f)->status, GRPC_STATUS_OK);
    for (int i = 0; i < 3; i++)
        receiver_host_answer(f->host); /* too late for the client, and harmless */
}

/* Answers race with the end of the server. */
static void *answer_all(void *arg)
{
    struct receiver_host *host = (struct receiver_host *)arg;
    for (int i = 0; i < 40; i++)
        receiver_host_answer(host);
    return NULL;
}

static void stops_while_answers_come(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct call c[40];
    pthread_t thread;
    start(f);
    f->host->answer = HOST_HOLDS;
    for (int i = 0; i < 40; i++)
        call_begin(f, &c[i], TRACES, PLAIN, one_span, sizeof one_span);
    receiver_host_wait_held(f->host, 40);
    assert_int_equal(pthread_create(&thread, NULL, answer_all, f->host), 0);
    stop(f);
    assert_int_equal(pthread_join(thread, NULL), 0);
    for (int i = 0; i < 40; i++)
        (void)call_next(f);
}

/* ---- connections ---- */

static int connect_raw(struct fixture *f)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons(receiver_host_port(f->host, 0))};
    struct timeval patience = {10, 0};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

/* Reads until the server ends the connection. */
static bool ends(int fd)
{
    char bytes[4096];
    ssize_t n;
    do
        n = recv(fd, bytes, sizeof bytes, 0);
    while (n > 0);
    return n == 0 || errno == ECONNRESET;
}

static void clients_that_say_nothing(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    static const char part[] = "PRI * HTTP/2.0\r\n";
    struct call c;
    f->settings.preface_timeout = INT64_C(50000000);
    start(f);
    call_it(f, &c, TRACES, PLAIN, one_span, sizeof one_span); /* speaks, and stays */
    int silent = connect_raw(f), slow = connect_raw(f);
    (void)send(slow, part, strlen(part), MSG_NOSIGNAL);
    assert_true(ends(silent));
    assert_true(ends(slow));
    call_it(f, &c, TRACES, PLAIN, one_span, sizeof one_span);
    assert_int_equal(c.status, GRPC_STATUS_OK);
    close(silent);
    close(slow);
}

static void clients_that_speak_otherwise(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    static const char http1[] = "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    static const char tls[] =
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 more than 24 bytes of it";
    struct call c;
    start(f);
    int a = connect_raw(f), b = connect_raw(f);
    (void)send(a, http1, strlen(http1), MSG_NOSIGNAL);
    (void)send(b, tls, sizeof tls - 1, MSG_NOSIGNAL);
    assert_true(ends(a));
    assert_true(ends(b));
    call_it(f, &c, TRACES, PLAIN, one_span, sizeof one_span);
    assert_int_equal(c.status, GRPC_STATUS_OK);
    close(a);
    close(b);
}

static void connections_are_limited(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
    int fds[3];
    char byte;
    f->settings.max_connections = 2;
    start(f);
    for (int i = 0; i < 3; i++) {
        fds[i] = connect_raw(f);
        (void)send(fds[i], preface, sizeof preface, MSG_NOSIGNAL);
        if (i < 2)
            assert_int_equal(recv(fds[i], &byte, 1, 0), 1); /* the server's settings */
    }
    assert_true(ends(fds[2]));
    close(fds[2]);
    close(fds[0]); /* makes room, as soon as gRPC has closed it too */
    gpr_timespec until =
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_seconds(20, GPR_TIMESPAN));
    ssize_t n;
    do {
        fds[0] = connect_raw(f);
        (void)send(fds[0], preface, sizeof preface, MSG_NOSIGNAL);
        n = recv(fds[0], &byte, 1, 0);
        if (n != 1)
            close(fds[0]);
    } while (n != 1 && gpr_time_cmp(gpr_now(GPR_CLOCK_MONOTONIC), until) < 0);
    assert_int_equal(n, 1);
    close(fds[0]);
    close(fds[1]);
}

static void old_connections_are_renewed(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct call c;
    f->settings.max_connection_age = INT64_C(100000000);
    f->settings.max_connection_age_grace = INT64_C(100000000);
    start(f);
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
    int fd = connect_raw(f);
    (void)send(fd, preface, sizeof preface, MSG_NOSIGNAL);
    assert_true(ends(fd));
    close(fd);
    call_it(f, &c, TRACES, PLAIN, one_span, sizeof one_span);
    assert_int_equal(c.status, GRPC_STATUS_OK);
}

static void idle_connections_are_closed(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
    f->settings.max_connection_idle = INT64_C(100000000);
    start(f);
    int fd = connect_raw(f);
    (void)send(fd, preface, sizeof preface, MSG_NOSIGNAL);
    assert_true(ends(fd));
    close(fd);
}

static void dead_connections_are_found(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
    f->settings.keepalive_time = INT64_C(100000000);
    f->settings.keepalive_timeout = INT64_C(100000000);
    f->settings.permit_without_stream = true;
    start(f);
    int fd = connect_raw(f); /* never answers a ping */
    (void)send(fd, preface, sizeof preface, MSG_NOSIGNAL);
    assert_true(ends(fd));
    close(fd);
}

/* ---- both plugin files together ---- */

static void loaded_by_the_receiver(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    const sl_type *type = sluice_plugin_otlp.types[0];
    struct receiver config;
    void *component = NULL;
    sl_error error = {.size = sizeof error};
    struct call c;
    memset(&config, 0, sizeof config);
    config.base.host = &f->host->host;
    config.protocols.grpc_on = 1;
    config.protocols.grpc.endpoint = sl_str("localhost:4317");
    config.protocols.grpc.transport = sl_str("tcp");
    assert_int_equal(type->create(&config, &component, &error), SL_OK);
    assert_int_equal(type->prepare(component, &error), SL_OK);
    assert_int_equal(type->start(component, &error), SL_OK);
    receiver_host_wait_status(f->host, SL_STATUS_OK);
    f->channel = channel_to(receiver_host_port(f->host, 0), GRPC_COMPRESS_NONE);
    f->zipping = channel_to(receiver_host_port(f->host, 0), GRPC_COMPRESS_GZIP);
    f->deflating = channel_to(receiver_host_port(f->host, 0), GRPC_COMPRESS_DEFLATE);
    call_it(f, &c, TRACES, PLAIN, one_span, sizeof one_span);
    assert_int_equal(c.status, GRPC_STATUS_OK);
    type->drain(component, f->host->host.table->now(&f->host->host) + INT64_C(5000000000));
    type->stop(component);
    type->stop(component);
    type->destroy(component);
    f->host->n_sockets = f->host->sockets_done = 0; /* `done` was called for it */
    close(f->host->sockets[0]);
}

/* Stopped before the server is up. */
static void stopped_while_loading(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    const sl_type *type = sluice_plugin_otlp.types[0];
    sl_error error = {.size = sizeof error};
    for (int i = 0; i < 20; i++) {
        struct receiver *config = (struct receiver *)calloc(1, sizeof *config);
        void *component = NULL;
        config->base.host = &f->host->host;
        config->protocols.grpc_on = 1;
        config->protocols.grpc.endpoint = sl_str("localhost:4317");
        config->protocols.grpc.transport = sl_str("tcp");
        assert_int_equal(type->create(config, &component, &error), SL_OK);
        assert_int_equal(type->start(component, &error), SL_OK);
        if (i % 3 == 1)
            type->drain(component, 0);
        if (i % 3 == 2)
            receiver_host_wait_status(f->host, SL_STATUS_OK);
        type->stop(component);
        receiver_host_wait_jobs(f->host);
        type->destroy(component);
        free(config);
        close(f->host->sockets[0]);
        f->host->n_sockets = f->host->sockets_done = 0;
        f->host->n_series = 0;
        f->host->status = 0;
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    grpc_init();
    const struct CMUnitTest tests[] = {
        TEST(three_signals),
        TEST(large_and_packed),
        TEST(empty_requests_succeed),
        TEST(damaged_messages),
        TEST(messages_above_the_limit),
        TEST(unknown_methods),
        TEST(refused_offers),
        TEST(results),
        TEST(partial_success),
        TEST(budget_is_asked_first),
        TEST(answers_when_it_is_safe),
        TEST(many_at_once),
        TEST(drains),
        TEST(stops_with_calls_open),
        TEST(stops_while_answers_come),
        TEST(clients_that_say_nothing),
        TEST(clients_that_speak_otherwise),
        TEST(connections_are_limited),
        TEST(old_connections_are_renewed),
        TEST(idle_connections_are_closed),
        TEST(dead_connections_are_found),
        TEST(loaded_by_the_receiver),
        TEST(stopped_while_loading),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    grpc_shutdown_blocking();
    return failed;
}
