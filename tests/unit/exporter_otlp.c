/* The OTLP/gRPC exporter against a scripted server: bytes and headers that arrive, what each answer
 * means, deadlines, stopping, and destinations that misbehave. */
#include "exporters/otlp/exporter.h"
#include "exporters/otlp_client/reply.h"
#include "tests/support/grpc_sink.h"
#include "tests/support/plugin_host.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

extern const sl_plugin sluice_plugin, sluice_plugin_grpc_loop;

static const int64_t S = 1000000000;

struct fixture {
    struct plugin_host *h;
    const sl_type *type;
    struct exporter exporter;
    char endpoint[64];
    sl_send send;
};

static struct exporter defaults(const struct plugin_host *h, const char *endpoint)
{
    return (struct exporter){.base.host = &h->host,
                             .endpoint = sl_str(endpoint),
                             .user_agent = sl_str("Sluice/0.1"),
                             .tls.insecure = 1};
}

static void open_on(struct fixture *f, int port, uint32_t compression)
{
    sl_error error = {.size = sizeof error};
    *f = (struct fixture){.h = plugin_host_create(), .type = sluice_plugin.types[0]};
    f->h->loadable[0] = &sluice_plugin_grpc_loop;
    snprintf(f->endpoint, sizeof f->endpoint, "127.0.0.1:%d", port);
    f->exporter = defaults(f->h, f->endpoint);
    f->exporter.compression = compression;
    static const sl_meta_entry header = {{(const uint8_t *)"X-Test", 6},
                                         {(const uint8_t *)"a value", 7}};
    f->exporter.headers = (sl_list){&header, 1, sizeof header};
    assert_int_equal(f->type->prepare(&f->exporter, &error), SL_OK);
    assert_int_equal(f->type->start(&f->exporter, &error), SL_OK);
}

static void open_to(struct fixture *f, const char *endpoint, uint32_t balancer,
                    const sl_auth_client *auth)
{
    sl_error error = {.size = sizeof error};
    static const sl_meta_entry header = {{(const uint8_t *)"X-Test", 6},
                                         {(const uint8_t *)"a value", 7}};
    *f = (struct fixture){.h = plugin_host_create(), .type = sluice_plugin.types[0]};
    f->h->loadable[0] = &sluice_plugin_grpc_loop;
    f->h->extension_name = "bearertokenauth";
    f->h->extension_id = SL_AUTH_CLIENT;
    f->h->extension = auth;
    snprintf(f->endpoint, sizeof f->endpoint, "%s", endpoint);
    f->exporter = defaults(f->h, f->endpoint);
    f->exporter.compression = COMPRESS_NONE;
    f->exporter.balancer_name = balancer;
    f->exporter.headers = (sl_list){&header, 1, sizeof header};
    if (auth)
        f->exporter.auth.authenticator = sl_str("bearertokenauth");
    assert_int_equal(f->type->prepare(&f->exporter, &error), SL_OK);
    assert_int_equal(f->type->start(&f->exporter, &error), SL_OK);
}

static void close_exporter(struct fixture *f)
{
    f->type->stop(&f->exporter);
    f->type->stop(&f->exporter);
    f->type->destroy(&f->exporter);
    plugin_host_destroy(f->h);
}

static sl_delivery *delivery(struct fixture *f, uint32_t signal, uint32_t items)
{
    static const char text[] = "bytes of a request";
    const sl_bytes segments[] = {sl_slice(text, 5), sl_slice(text + 5, 4), sl_slice(NULL, 0),
                                 sl_slice(text + 9, sizeof text - 1 - 9)};
    return plugin_host_delivery_of(f->h, signal, segments, 4, items);
}

static int32_t send_one(struct fixture *f, sl_delivery *d)
{
    f->send.deadline_ns = sl_now(&f->h->host) + 20 * S;
    return plugin_host_send(f->type, &f->exporter, d, &f->send);
}

static void arrives_as_it_is(void **state)
{
    static const char *const methods[] = {
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export"};
    struct grpc_sink *sink = grpc_sink_create(0);
    struct fixture f;
    (void)state;
    open_on(&f, grpc_sink_port(sink), COMPRESS_NONE);
    for (uint32_t i = 0; i < SIGNALS; i++) {
        sl_delivery *d = delivery(&f, 1u << i, 3);
        assert_int_equal(send_one(&f, d), SL_OK);
        const struct grpc_sink_seen *seen = grpc_sink_seen(sink);
        assert_int_equal(seen->calls, i + 1);
        assert_string_equal(seen->method, methods[i]);
        assert_string_equal(seen->encoding_of_message, "identity");
        assert_string_equal(seen->header, "a value");
        assert_memory_equal(seen->user_agent, "Sluice/0.1 ", 11);
        assert_int_equal(seen->body_n, 18);
        assert_memory_equal(seen->body, "bytes of a request", 18);
        plugin_host_end(f.h, d, SL_FAILED, NULL);
    }
    assert_int_equal(plugin_host_count(f.h, SL_DELIVERED), 12);
    close_exporter(&f);
    grpc_sink_destroy(sink);
}

static void gzip_is_understood(void **state)
{
    struct grpc_sink *sink = grpc_sink_create(0);
    struct fixture f;
    (void)state;
    open_on(&f, grpc_sink_port(sink), COMPRESS_GZIP);
    assert_null(f.type->interface_of(&f.exporter, SL_ASYNC_SEND));
    for (int i = 0; i < 2; i++) { /* the second one uses what the first one has made */
        sl_delivery *d = delivery(&f, SL_TRACES, 1);
        assert_int_equal(send_one(&f, d), SL_OK);
        plugin_host_end(f.h, d, SL_FAILED, NULL);
        const struct grpc_sink_seen *seen = grpc_sink_seen(sink);
        assert_string_equal(seen->encoding_of_message, "gzip");
        struct client_reply plain;
        assert_int_equal(client_reply_inflate(sl_slice(seen->body, seen->body_n), 1000, &plain),
                         SL_OK);
        assert_int_equal(plain.n, 18);
        assert_memory_equal(plain.at, "bytes of a request", 18);
        free(plain.at);
    }
    close_exporter(&f);
    grpc_sink_destroy(sink);
}

/* partial_success { rejected, error_message } */
static sl_bytes partial(uint8_t *at, size_t room, int64_t rejected, const char *message)
{
    const struct otlp_response response = {rejected, sl_str(message)};
    size_t n;
    assert_int_equal(otlp_response_encode(&response, at, room, &n), SL_OK);
    return sl_slice(at, n);
}

static void partial_success(void **state)
{
    const struct {
        int64_t rejected;
        uint32_t ends_rejected;
    } cases[] = {{0, 0}, {2, 2}, {5, 5}, {6, 5}, {INT64_MAX, 5}, {-1, 0}};
    struct grpc_sink *sink = grpc_sink_create(0);
    struct fixture f;
    uint32_t rejected = 0, items = 0;
    (void)state;
    open_on(&f, grpc_sink_port(sink), COMPRESS_NONE);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t at[256];
        const sl_bytes reply = partial(at, sizeof at, cases[i].rejected, "too\nlate");
        grpc_sink_script(sink, (struct grpc_sink_answer){.reply = reply});
        sl_delivery *d = delivery(&f, SL_LOGS, 5);
        assert_int_equal(send_one(&f, d), SL_OK);
        plugin_host_end(f.h, d, SL_FAILED, NULL);
        rejected += cases[i].ends_rejected;
        items += 5;
        assert_int_equal(plugin_host_count(f.h, SL_REJECTED), rejected);
        assert_int_equal(plugin_host_count(f.h, SL_DELIVERED), items - rejected);
    }
    assert_non_null(strstr(f.h->log, "WARN the destination rejected 2 of 5 items: too late"));
    assert_non_null(strstr(f.h->log, "WARN the destination warns: too late"));
    close_exporter(&f);
    grpc_sink_destroy(sink);
}

static void packed_and_broken_replies(void **state)
{
    struct grpc_sink *sink = grpc_sink_create(0);
    struct fixture f;
    (void)state;
    open_on(&f, grpc_sink_port(sink), COMPRESS_NONE);
    uint8_t at[256];
    const sl_bytes reply = partial(at, sizeof at, 1, "no");
    struct packer *writer = packer_create(PACK_GZIP, -1);
    struct pack_buffer packed = {0};
    assert_int_equal(packer_pack(writer, &reply, 1, SIZE_MAX, &packed), SL_OK);
    const sl_bytes good = sl_slice(packed.at, packed.n);
    grpc_sink_script(sink, (struct grpc_sink_answer){.reply = good, .reply_gzip = true});
    sl_delivery *d = delivery(&f, SL_TRACES, 2);
    assert_int_equal(send_one(&f, d), SL_OK);
    plugin_host_end(f.h, d, SL_FAILED, NULL);
    assert_int_equal(plugin_host_count(f.h, SL_REJECTED), 1);

    /* 64 MiB of zeros in 64 KiB: the limit holds, and what was taken counts as delivered */
    const size_t bomb_n = 64u << 20;
    uint8_t *zeros = calloc(1, bomb_n);
    const sl_bytes bomb = sl_slice(zeros, bomb_n);
    assert_int_equal(packer_pack(writer, &bomb, 1, SIZE_MAX, &packed), SL_OK);
    free(zeros);
    grpc_sink_script(sink, (struct grpc_sink_answer){.reply = sl_slice(packed.at, packed.n),
                                                     .reply_gzip = true});
    d = delivery(&f, SL_TRACES, 2);
    assert_int_equal(send_one(&f, d), SL_OK);
    plugin_host_end(f.h, d, SL_FAILED, NULL);
    assert_non_null(strstr(f.h->log, "cannot be decompressed"));

    grpc_sink_script(sink, (struct grpc_sink_answer){.reply = sl_str("\x0a\xff\xff\xff")});
    d = delivery(&f, SL_TRACES, 2);
    assert_int_equal(send_one(&f, d), SL_OK);
    plugin_host_end(f.h, d, SL_FAILED, NULL);
    assert_non_null(strstr(f.h->log, "no OTLP response"));
    assert_int_equal(plugin_host_count(f.h, SL_DELIVERED), 5);

    /* an answer above the limit: the core refuses it */
    uint8_t *large = calloc(1, CLIENT_RESPONSE_MAX + 100);
    grpc_sink_script(sink,
                     (struct grpc_sink_answer){.reply = sl_slice(large, CLIENT_RESPONSE_MAX + 1)});
    d = delivery(&f, SL_TRACES, 2);
    assert_int_equal(send_one(&f, d), SL_ERR_REJECTED);
    plugin_host_end(f.h, d, SL_FAILED, NULL);
    free(large);
    packer_destroy(writer);
    pack_buffer_deinit(&packed);
    close_exporter(&f);
    grpc_sink_destroy(sink);
}

static void statuses(void **state)
{
    static const struct {
        int code;
        int32_t status;
        const char *why;
    } cases[] = {
        {1, SL_ERR_UNAVAILABLE, "grpc_cancelled"},
        {2, SL_ERR_REJECTED, "grpc_unknown"},
        {3, SL_ERR_INVALID, "grpc_invalid_argument"},
        {4, SL_ERR_TIMEOUT, "grpc_deadline_exceeded"},
        {5, SL_ERR_REJECTED, "grpc_not_found"},
        {6, SL_ERR_REJECTED, "grpc_already_exists"},
        {7, SL_ERR_DENIED, "grpc_permission_denied"},
        {8, SL_ERR_REJECTED, "grpc_resource_exhausted"},
        {9, SL_ERR_REJECTED, "grpc_failed_precondition"},
        {10, SL_ERR_UNAVAILABLE, "grpc_aborted"},
        {11, SL_ERR_UNAVAILABLE, "grpc_out_of_range"},
        {12, SL_ERR_UNSUPPORTED, "grpc_unimplemented"},
        {13, SL_ERR_REJECTED, "grpc_internal"},
        {14, SL_ERR_UNAVAILABLE, "grpc_unavailable"},
        {15, SL_ERR_UNAVAILABLE, "grpc_data_loss"},
        {16, SL_ERR_DENIED, "grpc_unauthenticated"},
        {17, SL_ERR_REJECTED, "grpc_other"},
    };
    struct grpc_sink *sink = grpc_sink_create(0);
    struct fixture f;
    (void)state;
    open_on(&f, grpc_sink_port(sink), COMPRESS_NONE);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        grpc_sink_script(
            sink, (struct grpc_sink_answer){.status = cases[i].code, .text = "so\x1b[1m it is"});
        sl_delivery *d = delivery(&f, SL_TRACES, 1);
        assert_int_equal(send_one(&f, d), cases[i].status);
        if (cases[i].code <= 16)
            assert_string_equal(f.send.why, cases[i].why);
        assert_non_null(strstr(f.send.error.text, "so [1m it is"));
        assert_int_equal(f.send.retry_after_ns, 0);
        plugin_host_end(f.h, d, SL_FAILED, NULL);
    }
    close_exporter(&f);
    grpc_sink_destroy(sink);
}

static void retry_info(void **state)
{
    const struct {
        int code;
        int64_t delay_ns;
        int32_t status;
        int64_t retry_after_ns;
    } cases[] = {
        {14, 3 * S, SL_ERR_UNAVAILABLE, 3 * S}, {8, 2 * S, SL_ERR_UNAVAILABLE, 2 * S},
        {8, 0, SL_ERR_UNAVAILABLE, 1},          {14, INT64_MAX, SL_ERR_UNAVAILABLE, 3600 * S},
        {3, 2 * S, SL_ERR_INVALID, 0},
    };
    struct grpc_sink *sink = grpc_sink_create(0);
    struct fixture f;
    (void)state;
    open_on(&f, grpc_sink_port(sink), COMPRESS_NONE);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t at[256];
        size_t n;
        const struct otlp_status status = {cases[i].code, sl_str("later"), cases[i].delay_ns};
        assert_int_equal(otlp_status_encode(&status, at, sizeof at, &n), SL_OK);
        grpc_sink_script(
            sink, (struct grpc_sink_answer){.status = cases[i].code, .details = sl_slice(at, n)});
        sl_delivery *d = delivery(&f, SL_TRACES, 1);
        assert_int_equal(send_one(&f, d), cases[i].status);
        assert_int_equal(f.send.retry_after_ns, cases[i].retry_after_ns);
        plugin_host_end(f.h, d, SL_FAILED, NULL);
    }
    close_exporter(&f);
    grpc_sink_destroy(sink);
}

static void dead_destination_comes_back(void **state)
{
    struct grpc_sink *sink = grpc_sink_create(0);
    const int port = grpc_sink_port(sink);
    struct fixture f;
    (void)state;
    grpc_sink_destroy(sink);
    open_on(&f, port, COMPRESS_NONE);
    sl_delivery *d = delivery(&f, SL_TRACES, 1);
    assert_int_equal(send_one(&f, d), SL_ERR_UNAVAILABLE);
    assert_string_equal(f.send.why, "grpc_unavailable");
    sink = grpc_sink_create(port);
    const int64_t until = sl_now(&f.h->host) + 20 * S;
    int32_t status = SL_ERR_UNAVAILABLE;
    while (status == SL_ERR_UNAVAILABLE && sl_now(&f.h->host) < until)
        status = send_one(&f, d);
    assert_int_equal(status, SL_OK);
    plugin_host_end(f.h, d, SL_FAILED, NULL);
    close_exporter(&f);
    grpc_sink_destroy(sink);
}

static void wait_for_ready_waits(void **state)
{
    struct grpc_sink *sink = grpc_sink_create(0);
    const int port = grpc_sink_port(sink);
    struct fixture f;
    (void)state;
    grpc_sink_destroy(sink);
    open_on(&f, port, COMPRESS_NONE);
    f.exporter.wait_for_ready = 1;
    sl_delivery *d = delivery(&f, SL_TRACES, 1);
    f.send.deadline_ns = sl_now(&f.h->host) + S / 5;
    assert_int_equal(plugin_host_send(f.type, &f.exporter, d, &f.send), SL_ERR_TIMEOUT);
    sink = grpc_sink_create(port);
    assert_int_equal(send_one(&f, d), SL_OK);
    plugin_host_end(f.h, d, SL_FAILED, NULL);
    close_exporter(&f);
    grpc_sink_destroy(sink);
}

static void deadline_and_no_time_left(void **state)
{
    struct grpc_sink *sink = grpc_sink_create(0);
    struct fixture f;
    (void)state;
    open_on(&f, grpc_sink_port(sink), COMPRESS_NONE);
    grpc_sink_script(sink, (struct grpc_sink_answer){.never = true});
    sl_delivery *d = delivery(&f, SL_TRACES, 1);
    const int64_t begun = sl_now(&f.h->host);
    f.send.deadline_ns = begun + S / 5;
    assert_int_equal(plugin_host_send(f.type, &f.exporter, d, &f.send), SL_ERR_TIMEOUT);
    /* gRPC counts whole milliseconds, and may round down */
    assert_in_range(sl_now(&f.h->host) - begun, S / 5 - S / 1000, 10 * S);
    f.send.deadline_ns = 1;
    assert_int_equal(plugin_host_send(f.type, &f.exporter, d, &f.send), SL_ERR_TIMEOUT);
    plugin_host_end(f.h, d, SL_FAILED, NULL);
    close_exporter(&f);
    grpc_sink_destroy(sink);
}

struct asynchronous {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    uint32_t ended;
    int32_t status[16];
};

static void ended(void *ctx, int32_t status)
{
    struct asynchronous *a = ctx;
    pthread_mutex_lock(&a->mutex);
    a->status[a->ended++] = status;
    pthread_cond_signal(&a->cond);
    pthread_mutex_unlock(&a->mutex);
}

static void wait_ended(struct asynchronous *a, uint32_t n)
{
    pthread_mutex_lock(&a->mutex);
    while (a->ended < n)
        pthread_cond_wait(&a->cond, &a->mutex);
    pthread_mutex_unlock(&a->mutex);
}

static void asynchronous_sends_and_stop(void **state)
{
    struct grpc_sink *sink = grpc_sink_create(0);
    struct fixture f;
    struct asynchronous a = {.mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    sl_delivery *d[16];
    sl_send sends[16];
    (void)state;
    open_on(&f, grpc_sink_port(sink), COMPRESS_NONE);
    const sl_async_send *async = f.type->interface_of(&f.exporter, SL_ASYNC_SEND);
    assert_non_null(async);
    assert_null(f.type->interface_of(&f.exporter, "sluice.nothing/1"));
    for (uint32_t i = 0; i < 16; i++) {
        if (i == 8) {
            wait_ended(&a, 8);
            grpc_sink_script(sink, (struct grpc_sink_answer){.never = true});
        }
        d[i] = delivery(&f, SL_TRACES, 1);
        sends[i] = (sl_send){.size = sizeof sends[i], .error.size = sizeof sends[i].error};
        assert_int_equal(async->begin(&f.exporter, d[i], &sends[i], ended, &a), SL_OK);
    }
    f.type->stop(&f.exporter);
    wait_ended(&a, 16);
    for (uint32_t i = 0; i < 16; i++) {
        assert_int_equal(a.status[i], i < 8 ? SL_OK : SL_ERR_SHUTDOWN);
        plugin_host_end(f.h, d[i], SL_FAILED, NULL);
    }
    sl_delivery *late = delivery(&f, SL_TRACES, 1);
    assert_int_equal(async->begin(&f.exporter, late, &sends[0], ended, &a), SL_ERR_SHUTDOWN);
    plugin_host_end(f.h, late, SL_FAILED, NULL);
    close_exporter(&f);
    grpc_sink_destroy(sink);
}

/* A destination that takes the connection and reads nothing: megabytes lie in gRPC's hands when the
 * deadline passes, and must be given back when the exporter goes. */
static void black_hole_gives_everything_back(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    struct fixture f;
    (void)state;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    open_on(&f, ntohs(address.sin_port), COMPRESS_NONE);
    uint8_t *bytes = calloc(1, 16 << 20);
    const sl_bytes segment = sl_slice(bytes, 16 << 20);
    sl_delivery *d = plugin_host_delivery_of(f.h, SL_TRACES, &segment, 1, 7);
    f.send.deadline_ns = sl_now(&f.h->host) + S / 5;
    const int32_t status = plugin_host_send(f.type, &f.exporter, d, &f.send);
    assert_true(status == SL_ERR_TIMEOUT || status == SL_ERR_UNAVAILABLE);
    plugin_host_end(f.h, d, SL_FAILED, NULL);
    free(bytes);
    close_exporter(&f);
    close(fd);
}

static void connection_cut_midway(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    struct fixture f;
    (void)state;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    open_on(&f, ntohs(address.sin_port), COMPRESS_NONE);
    struct asynchronous a = {.mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    sl_delivery *d = delivery(&f, SL_TRACES, 1);
    f.send = (sl_send){.size = sizeof f.send,
                       .deadline_ns = sl_now(&f.h->host) + 20 * S,
                       .error.size = sizeof f.send.error};
    assert_int_equal(exporter_begin(&f.exporter, d, &f.send, ended, &a), SL_OK);
    const int connection = accept(fd, NULL, NULL);
    const struct linger reset = {1, 0};
    assert_int_equal(setsockopt(connection, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    close(connection);
    close(fd);
    wait_ended(&a, 1);
    assert_int_equal(a.status[0], SL_ERR_UNAVAILABLE);
    plugin_host_end(f.h, d, SL_FAILED, NULL);
    close_exporter(&f);
}

/* ---- a server that speaks HTTP/2 byte by byte ---- */

enum { FRAME_DATA, FRAME_HEADERS, FRAME_RST = 3, FRAME_SETTINGS, FRAME_GOAWAY = 7, FRAME_MORE = 9 };
enum { END_STREAM = 1, END_HEADERS = 4 };

struct script {
    uint8_t at[64 << 10];
    size_t n;
};

static void add_bytes(struct script *s, const void *at, size_t n)
{
    assert_true(n <= sizeof s->at - s->n);
    if (n)
        memcpy(s->at + s->n, at, n);
    s->n += n;
}

static void add_frame(struct script *s, uint8_t type, uint8_t flags, uint8_t stream,
                      const void *payload, size_t n)
{
    const uint8_t head[] = {
        (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n, type, flags, 0, 0, 0, stream};
    add_bytes(s, head, sizeof head);
    add_bytes(s, payload, n);
}

static void add_number(struct script *s, uint8_t type, uint8_t stream, uint8_t number)
{
    const uint8_t payload[] = {0, 0, 0, number};
    add_frame(s, type, 0, stream, payload, sizeof payload);
}

/* HPACK, nothing indexed but ":status". */
static void add_headers(struct script *s, const char *status, const char *type, const char *name,
                        const char *value, uint8_t flags)
{
    struct script block = {.n = 0};
    const uint8_t status_head[] = {0x08, 3}, type_head[] = {0x0f, 0x10, (uint8_t)strlen(type)};
    add_bytes(&block, status_head, sizeof status_head);
    add_bytes(&block, status, 3);
    add_bytes(&block, type_head, sizeof type_head);
    add_bytes(&block, type, strlen(type));
    if (name) {
        const uint8_t name_head[] = {0, (uint8_t)strlen(name)}, n = (uint8_t)strlen(value);
        add_bytes(&block, name_head, sizeof name_head);
        add_bytes(&block, name, strlen(name));
        add_bytes(&block, &n, 1);
        add_bytes(&block, value, n);
    }
    add_frame(s, FRAME_HEADERS, flags | END_HEADERS, 1, block.at, block.n);
}

static bool read_exactly(int fd, void *at, size_t n)
{
    return recv(fd, at, n, MSG_WAITALL) == (ssize_t)n;
}

/* Until the request is there as a whole. */
static void read_request(int fd)
{
    uint8_t head[24], flags = 0;
    assert_true(read_exactly(fd, head, sizeof head)); /* the preface */
    for (uint8_t type = FRAME_SETTINGS; type != FRAME_DATA || !(flags & END_STREAM);) {
        uint8_t payload[1 << 14];
        assert_true(read_exactly(fd, head, 9));
        const size_t n = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
        assert_true(n <= sizeof payload && read_exactly(fd, payload, n));
        type = head[3];
        flags = head[4];
    }
}

/* Sends one request to a server that answers with the script, and then ends the connection. */
static int32_t send_to_script(const struct script *script, const char **why)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct asynchronous a = {.mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    socklen_t size = sizeof address;
    struct fixture f;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    open_on(&f, ntohs(address.sin_port), COMPRESS_NONE);
    sl_delivery *d = delivery(&f, SL_TRACES, 1);
    f.send = (sl_send){.size = sizeof f.send,
                       .deadline_ns = sl_now(&f.h->host) + 20 * S,
                       .error.size = sizeof f.send.error};
    assert_int_equal(exporter_begin(&f.exporter, d, &f.send, ended, &a), SL_OK);
    const int connection = accept(fd, NULL, NULL);
    struct script settings = {.n = 0};
    add_frame(&settings, FRAME_SETTINGS, 0, 0, NULL, 0);
    (void)send(connection, settings.at, settings.n, MSG_NOSIGNAL);
    read_request(connection);
    for (size_t sent = 0; sent < script->n;) {
        const ssize_t n = send(connection, script->at + sent, script->n - sent, MSG_NOSIGNAL);
        if (n <= 0)
            break; /* it has heard enough */
        sent += (size_t)n;
    }
    (void)shutdown(connection, SHUT_WR);
    wait_ended(&a, 1);
    close(connection);
    close(fd);
    *why = f.send.why;
    plugin_host_end(f.h, d, SL_FAILED, NULL);
    close_exporter(&f);
    return a.status[0];
}

static void hostile_servers(void **state)
{
    static const char grpc[] = "application/grpc";
    static const uint8_t goaway[8], long_message[5] = {0, 0xff, 0xff, 0xff, 0xff},
                                    half[7] = {0, 0, 0, 0, 9, 0x0a, 0x07};
    static uint8_t zeros[16 << 10];
    struct script s[16];
    static const struct {
        int32_t status;
        const char *why;
    } expected[] = {
        {SL_ERR_UNAVAILABLE, "grpc_unavailable"},   /* GOAWAY before the request */
        {SL_ERR_UNAVAILABLE, "grpc_unavailable"},   /* REFUSED_STREAM */
        {SL_ERR_UNAVAILABLE, "grpc_cancelled"},     /* CANCEL */
        {SL_ERR_REJECTED, "grpc_internal"},         /* INTERNAL_ERROR */
        {SL_ERR_UNAVAILABLE, "grpc_unavailable"},   /* 503 of a proxy */
        {SL_ERR_UNSUPPORTED, "grpc_unimplemented"}, /* 404 likewise */
        {SL_ERR_UNAVAILABLE, "grpc_unavailable"},   /* only trailers */
        {SL_ERR_REJECTED, "grpc_internal"},         /* no HTTP/2 any more */
        {SL_ERR_UNAVAILABLE, "grpc_unavailable"},   /* the connection ends */
        {SL_ERR_UNAVAILABLE, "grpc_unavailable"},   /* within the message */
        {SL_ERR_UNAVAILABLE, "grpc_unavailable"},   /* 4 GiB announced, and then nothing */
        {SL_ERR_UNAVAILABLE, "grpc_unavailable"},   /* headers without end */
    };
    (void)state;
    memset(s, 0, sizeof s);
    add_frame(&s[0], FRAME_GOAWAY, 0, 0, goaway, sizeof goaway);
    add_number(&s[1], FRAME_RST, 1, 7);
    add_number(&s[2], FRAME_RST, 1, 8);
    add_number(&s[3], FRAME_RST, 1, 2);
    add_headers(&s[4], "503", "text/html", NULL, NULL, END_STREAM);
    add_headers(&s[5], "404", "text/html", NULL, NULL, END_STREAM);
    add_headers(&s[6], "200", grpc, "grpc-status", "14", END_STREAM);
    add_bytes(&s[7], "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
    add_headers(&s[9], "200", grpc, NULL, NULL, 0);
    add_frame(&s[9], FRAME_DATA, 0, 1, half, sizeof half);
    add_headers(&s[10], "200", grpc, NULL, NULL, 0);
    add_frame(&s[10], FRAME_DATA, 0, 1, long_message, sizeof long_message);
    add_frame(&s[11], FRAME_HEADERS, 0, 1, "\x88\x00\x01x\x7f\xff\xff\x03", 8); /* 64 KiB value */
    for (int i = 0; i < 3; i++)
        add_frame(&s[11], FRAME_MORE, 0, 1, zeros, sizeof zeros);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        const char *why = NULL;
        const int32_t status = send_to_script(&s[i], &why);
        if (status != expected[i].status || strcmp(why, expected[i].why) != 0)
            fail_msg("%zu: %d, %s", i, status, why);
    }
}

/* ---- several addresses, authenticators ---- */

static void a_dead_address_is_passed_over(void **state)
{
    struct grpc_sink *sink = grpc_sink_create(0);
    const int port = grpc_sink_port(sink);
    char endpoint[64];
    struct fixture f;
    (void)state;
    snprintf(endpoint, sizeof endpoint, "ipv4:127.0.0.2:%d,127.0.0.1:%d", port, port);
    for (uint32_t balancer = 0; balancer < 2; balancer++) {
        open_to(&f, endpoint, balancer, NULL);
        for (int i = 0; i < 4; i++) {
            sl_delivery *d = delivery(&f, SL_TRACES, 1);
            assert_int_equal(send_one(&f, d), SL_OK);
            plugin_host_end(f.h, d, SL_FAILED, NULL);
        }
        close_exporter(&f);
    }
    grpc_sink_destroy(sink);
}

static int32_t give_token(void *self, const sl_metadata **headers, sl_error *error)
{
    static const sl_meta_entry one = {{(const uint8_t *)"x-test", 6}, {(const uint8_t *)"new", 3}},
                               bad = {{(const uint8_t *)":path", 5}, {(const uint8_t *)"/", 1}};
    static sl_metadata list = {.size = sizeof list, .n = 1};
    int *calls = self;
    if (++*calls == 2)
        return sl_fail(error, SL_ERR_UNAVAILABLE, "the token cannot be read");
    list.at = *calls == 3 ? &bad : &one;
    *headers = &list;
    return SL_OK;
}

static void authenticators_are_asked(void **state)
{
    static const int32_t statuses[] = {SL_OK, SL_ERR_UNAVAILABLE, SL_ERR_DENIED, SL_OK};
    struct grpc_sink *sink = grpc_sink_create(0);
    int calls = 0;
    const sl_auth_client auth = {.size = sizeof auth, .self = &calls, .headers = give_token};
    char endpoint[64];
    struct fixture f;
    (void)state;
    snprintf(endpoint, sizeof endpoint, "127.0.0.1:%d", grpc_sink_port(sink));
    open_to(&f, endpoint, 0, &auth);
    for (size_t i = 0; i < 4; i++) {
        sl_delivery *d = delivery(&f, SL_TRACES, 1);
        assert_int_equal(send_one(&f, d), statuses[i]);
        if (statuses[i] == SL_OK)
            assert_string_equal(grpc_sink_seen(sink)->header, "new");
        else
            assert_string_equal(f.send.why, "auth");
        plugin_host_end(f.h, d, SL_FAILED, NULL);
    }
    assert_int_equal(grpc_sink_seen(sink)->calls, 2);
    assert_int_equal(f.h->metadata_unrefs, 3);
    close_exporter(&f);
    grpc_sink_destroy(sink);
}

static int32_t prepare(struct exporter e, sl_error *error)
{
    struct plugin_host *h = plugin_host_create();
    e.base.host = &h->host;
    *error = (sl_error){.size = sizeof *error};
    const int32_t status = sluice_plugin.types[0]->prepare(&e, error);
    plugin_host_destroy(h);
    return status;
}

static void endpoints(void **state)
{
    static const char *const good[] = {"localhost:4317",          "http://collector:4317",
                                       "dns:///collector:4317",   "[::1]:4317",
                                       "10.0.0.1:4317",           "dns://8.8.8.8/otel:4317",
                                       "unix:/run/otlp.sock",     "dns:otel:4317",
                                       "ipv4:1.2.3.4:55",         "unix:///run/otlp.sock",
                                       "ipv6:[::1]:4317",         "https://a:4317",
                                       "ipv4:1.2.3.4:1,5.6.7.8:2"};
    static const char *const bad[] = {
        "",          "localhost",       "localhost:",      ":4317",
        "http://",   "localhost:http",  "localhost:70000", "unix:",
        "a:1/v1",    "http://a:1/",     "::1:4317",        "[::1:4317",
        "dns://a:1", "localhost:4317 ", "ipv4:1.2.3.4:1,"};
    struct plugin_host *h = plugin_host_create();
    sl_error error;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(prepare(defaults(h, good[i]), &error), SL_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(prepare(defaults(h, bad[i]), &error), SL_ERR_INVALID);
    plugin_host_destroy(h);
}

static void what_is_missing_is_refused(void **state)
{
    struct plugin_host *h = plugin_host_create();
    const struct exporter good = defaults(h, "localhost:4317");
    const sl_raw null = {.size = sizeof null}, empty_list = {.size = sizeof null, .kind = 2};
    const sl_raw set = {
        .size = sizeof set, .kind = 3, .n = 1, .file = "a.yaml", .line = 7, .column = 5};
    sl_error error;
    struct exporter e = good;
    (void)state;
    e.middlewares = &null;
    assert_int_equal(prepare(e, &error), SL_OK);
    e.middlewares = &empty_list;
    assert_int_equal(prepare(e, &error), SL_OK);
    e.middlewares = &set;
    assert_int_equal(prepare(e, &error), SL_ERR_UNSUPPORTED);
    assert_non_null(strstr(error.text, "a.yaml:7:5: key \"middlewares\""));
    e = good;
    e.auth.authenticator = sl_str("basicauth/none");
    assert_int_equal(prepare(e, &error), SL_ERR_INVALID);
    assert_non_null(strstr(error.text, "\"basicauth/none\""));
    /* what gRPC's core cannot be told */
    const struct {
        uint32_t low, high;
        int32_t status;
    } versions[] = {{0, 0, SL_OK},
                    {TLS_VERSION_1_2, TLS_VERSION_1_3, SL_OK},
                    {TLS_VERSION_1_0, 0, SL_OK},
                    {TLS_VERSION_1_3, 0, SL_ERR_UNSUPPORTED},
                    {0, TLS_VERSION_1_2, SL_ERR_UNSUPPORTED}};
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        e = good;
        e.tls.insecure = 0;
        e.tls.common.min_version = versions[i].low;
        e.tls.common.max_version = versions[i].high;
        assert_int_equal(prepare(e, &error), versions[i].status);
    }
    const sl_bytes suite = sl_str("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
    e = good;
    e.tls.insecure = 0;
    e.tls.common.cipher_suites = (sl_list){&suite, 1, sizeof suite};
    assert_int_equal(prepare(e, &error), SL_ERR_UNSUPPORTED);
    assert_non_null(strstr(error.text, "cipher_suites"));
    e.tls.insecure = 1; /* plain text: nothing to be told */
    assert_int_equal(prepare(e, &error), SL_OK);
    e = good;
    e.tls.insecure = 0;
    e.tls.ca_file = sl_str("/nowhere/ca.pem");
    assert_int_equal(prepare(e, &error), SL_ERR_IO);
    assert_non_null(strstr(error.text, "/nowhere/ca.pem"));
    e = good;
    e.compression = COMPRESS_REFUSED; /* the first of them */
    assert_int_equal(prepare(e, &error), SL_ERR_UNSUPPORTED);
    assert_non_null(strstr(error.text, "zstd"));
    static const char *const names[] = {"", "a b", "grpc-timeout", "Grpc-Encoding", ":path"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const sl_meta_entry header = {sl_str(names[i]), sl_str("x")};
        e = good;
        e.headers = (sl_list){&header, 1, sizeof header};
        assert_int_equal(prepare(e, &error), SL_ERR_INVALID);
    }
    const sl_meta_entry secret = {sl_str("authorization"), sl_str("Bearer\n hunter2")};
    e = good;
    e.headers = (sl_list){&secret, 1, sizeof secret};
    assert_int_equal(prepare(e, &error), SL_ERR_INVALID);
    assert_null(strstr(error.text, "hunter2"));
    plugin_host_destroy(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrives_as_it_is),
        cmocka_unit_test(gzip_is_understood),
        cmocka_unit_test(partial_success),
        cmocka_unit_test(packed_and_broken_replies),
        cmocka_unit_test(statuses),
        cmocka_unit_test(retry_info),
        cmocka_unit_test(dead_destination_comes_back),
        cmocka_unit_test(wait_for_ready_waits),
        cmocka_unit_test(deadline_and_no_time_left),
        cmocka_unit_test(asynchronous_sends_and_stop),
        cmocka_unit_test(black_hole_gives_everything_back),
        cmocka_unit_test(connection_cut_midway),
        cmocka_unit_test(hostile_servers),
        cmocka_unit_test(a_dead_address_is_passed_over),
        cmocka_unit_test(authenticators_are_asked),
        cmocka_unit_test(endpoints),
        cmocka_unit_test(what_is_missing_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
