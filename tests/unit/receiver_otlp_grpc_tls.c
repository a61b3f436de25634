/* OTLP over gRPC with TLS, on a scripted host: clients of the C core on threads of their own, while
 * others come and leave at any moment and the certificate is replaced. */
#include "formats/grpc/loop.h"
#include "receivers/otlp/grpc_server.h"
#include "tests/support/certificate.h"
#include "tests/support/receiver_host.h"

#include <arpa/inet.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/time.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
// clang-format off
#include <cmocka.h>
// clang-format on

extern const sl_plugin sluice_plugin_otlp_grpc, sluice_plugin_otlp_decode, sluice_plugin_grpc_loop,
    sluice_plugin_tls;

enum { CLIENTS = 3, ROUNDS = 4, LARGEST = 900000, LEAVERS = 20, MESSAGE_MAX = 1 << 20 };

struct fixture {
    struct receiver_host *host;
    const struct otlp_grpc_api *api;
    struct certificate certificate;
    struct tls_server_config config;
    struct otlp_grpc_settings settings;
    struct otlp_grpc_server *server;
    int32_t fd;
    uint16_t port;
    _Atomic uint32_t logs; /* that clients know to be taken */
};

static const void *plugin(const char *file, const char *id)
{
    return strcmp(file, "otlp_grpc") == 0     ? sluice_plugin_otlp_grpc.interface_of(id)
           : strcmp(file, "otlp_decode") == 0 ? sluice_plugin_otlp_decode.interface_of(id)
           : strcmp(file, "grpc_loop") == 0   ? sluice_plugin_grpc_loop.interface_of(id)
                                              : NULL;
}

static int set_up(void **state)
{
    struct fixture *f = (struct fixture *)calloc(1, sizeof *f);
    sl_error error = {.size = sizeof error};
    assert_non_null(f);
    f->host = receiver_host_create();
    f->host->plugin = plugin;
    const sl_host *h = &f->host->host;
    f->api = (const struct otlp_grpc_api *)plugin("otlp_grpc", OTLP_GRPC_SERVER);
    certificate_init(&f->certificate);
    f->config.common.cert_file = sl_str(f->certificate.cert);
    f->config.common.key_file = sl_str(f->certificate.key);
    f->config.common.reload_interval = 1;
    f->settings.max_message = MESSAGE_MAX;
    f->settings.security.api = (const tls_api *)sluice_plugin_tls.interface_of(TLS_API);
    if (f->settings.security.api->server_create(h, &f->config, "tls", "h2", true,
                                                &f->settings.security.server, &error) != SL_OK)
        fail_msg("%s", error.text);
    const sl_listen *listen = (const sl_listen *)sl_interface(h, SL_LISTEN);
    assert_int_equal(listen->open(h, sl_str("localhost:4317"), sl_str("tcp"), &f->fd, &error),
                     SL_OK);
    if (f->api->start(h, f->fd, &f->settings, &f->server, &error) != SL_OK)
        fail_msg("%s", error.text);
    f->port = receiver_host_port(f->host, 0);
    *state = f;
    return 0;
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
    stop(f);
    ((const sl_listen *)sl_interface(h, SL_LISTEN))->done(h, f->fd);
    f->settings.security.api->server_destroy(f->settings.security.server);
    certificate_deinit(&f->certificate);
    receiver_host_destroy(f->host);
    free(f);
    return 0;
}

/* ---- clients of the C core ---- */

/* Which trusts the certificate that is in the file now. */
static grpc_channel *channel_to(const struct fixture *f)
{
    char target[32], pem[4096];
    FILE *file = fopen(f->certificate.cert, "re");
    assert_non_null(file);
    pem[fread(pem, 1, sizeof pem - 1, file)] = '\0';
    (void)fclose(file);
    (void)snprintf(target, sizeof target, "127.0.0.1:%u", f->port);
    grpc_arg list[] = {{.type = GRPC_ARG_INTEGER,
                        .key = (char *)(uintptr_t) "grpc.use_local_subchannel_pool",
                        .value.integer = 1},
                       {.type = GRPC_ARG_STRING,
                        .key = (char *)(uintptr_t)GRPC_SSL_TARGET_NAME_OVERRIDE_ARG,
                        .value.string = (char *)(uintptr_t) "localhost"}};
    const grpc_channel_args args = {2, list};
    grpc_channel_credentials *creds = grpc_ssl_credentials_create(pem, NULL, NULL, NULL);
    grpc_channel *c = grpc_channel_create(target, creds, &args);
    grpc_channel_credentials_release(creds);
    return c;
}

/* One log record whose body has `n` bytes; returns the length of the message. */
static size_t write_request(uint8_t *at, size_t n)
{
    /* the fields resource_logs, scope_logs, log_records, body and string_value, from the inside */
    static const uint8_t tags[] = {0x0a, 0x12, 0x12, 0x2a, 0x0a};
    enum { LEVELS = sizeof tags, VARINT = 4 };
    for (size_t i = 0; i < LEVELS; i++) {
        size_t length = n + (LEVELS - 1 - i) * (1 + VARINT);
        *at++ = tags[i];
        for (int k = 0; k < VARINT; k++, length >>= 7)
            *at++ = (uint8_t)((length & 0x7f) | (k < VARINT - 1 ? 0x80u : 0u));
    }
    for (size_t i = 0; i < n; i++)
        at[i] = (uint8_t)('a' + i % 26);
    return n + LEVELS * (1 + VARINT);
}

static void call(struct fixture *f, grpc_channel *channel, grpc_completion_queue *queue,
                 const uint8_t *bytes, size_t n)
{
    grpc_metadata_array initial, trailing;
    grpc_status_code status = GRPC_STATUS_UNKNOWN;
    grpc_slice text, slice = grpc_slice_from_copied_buffer((const char *)bytes, n);
    grpc_byte_buffer *request = grpc_raw_byte_buffer_create(&slice, 1), *reply = NULL;
    const gpr_timespec deadline =
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_seconds(60, GPR_TIMESPAN));
    grpc_call *c = grpc_channel_create_call(
        channel, NULL, 0, queue,
        grpc_slice_from_static_string("/opentelemetry.proto.collector.logs.v1.LogsService/Export"),
        NULL, deadline, NULL);
    grpc_op ops[6];
    grpc_metadata_array_init(&initial);
    grpc_metadata_array_init(&trailing);
    memset(ops, 0, sizeof ops);
    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[0].flags = GRPC_INITIAL_METADATA_WAIT_FOR_READY;
    ops[1].op = GRPC_OP_SEND_MESSAGE;
    ops[1].data.send_message.send_message = request;
    ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    ops[3].op = GRPC_OP_RECV_INITIAL_METADATA;
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &initial;
    ops[4].op = GRPC_OP_RECV_MESSAGE;
    ops[4].data.recv_message.recv_message = &reply;
    ops[5].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    ops[5].data.recv_status_on_client.trailing_metadata = &trailing;
    ops[5].data.recv_status_on_client.status = &status;
    ops[5].data.recv_status_on_client.status_details = &text;
    receiver_host_meet(f->host);
    assert_int_equal(grpc_call_start_batch(c, ops, 6, c, NULL), GRPC_CALL_OK);
    assert_ptr_equal(
        grpc_completion_queue_next(queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).tag, c);
    receiver_host_meet(f->host);
    if (status != GRPC_STATUS_OK)
        fail_msg("%d %.*s", status, (int)GRPC_SLICE_LENGTH(text),
                 (const char *)GRPC_SLICE_START_PTR(text));
    atomic_fetch_add(&f->logs, 1);
    grpc_slice_unref(slice);
    grpc_slice_unref(text);
    grpc_byte_buffer_destroy(request);
    grpc_byte_buffer_destroy(reply);
    grpc_metadata_array_destroy(&initial);
    grpc_metadata_array_destroy(&trailing);
    grpc_call_unref(c);
}

static void send_all(struct fixture *f)
{
    static const size_t sizes[] = {0, 1, 100, 16000, 70000, 262144, LARGEST, 5, 300000};
    grpc_completion_queue *queue = grpc_completion_queue_create_for_next(NULL);
    grpc_channel *channel = channel_to(f);
    uint8_t *bytes = (uint8_t *)malloc(LARGEST + 64);
    assert_non_null(bytes);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        call(f, channel, queue, bytes, write_request(bytes, sizes[i]));
    free(bytes);
    grpc_channel_destroy(channel);
    grpc_completion_queue_shutdown(queue);
    while (grpc_completion_queue_next(queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).type !=
           GRPC_QUEUE_SHUTDOWN)
        ;
    grpc_completion_queue_destroy(queue);
}

static void *client(void *arg)
{
    for (int round = 0; round < ROUNDS; round++)
        send_all((struct fixture *)arg);
    return NULL;
}

/* ---- clients of OpenSSL, for what the C core does not do ---- */

static int dial(const struct fixture *f)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                   .sin_port = htons(f->port)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static SSL *shake(const struct fixture *f, SSL_CTX *ctx)
{
    SSL *ssl = SSL_new(ctx);
    assert_int_equal(SSL_set_alpn_protos(ssl, (const unsigned char *)"\x02h2", 3), 0);
    assert_int_equal(SSL_set_fd(ssl, dial(f)), 1);
    assert_int_equal(SSL_connect(ssl), 1);
    return ssl;
}

static void hang_up(SSL *ssl)
{
    const int fd = SSL_get_fd(ssl);
    SSL_free(ssl);
    close(fd);
}

/* The preface and empty settings, then the head of a frame whose payload does not come. */
static const uint8_t opening[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                                 "\0\0\0\4\0\0\0\0\0"
                                 "\0\100\0\0\0\0\0\0\1";

static void *leaver(void *arg)
{
    const struct fixture *f = (const struct fixture *)arg;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    for (int i = 0; i < LEAVERS; i++) {
        close(dial(f)); /* before the handshake */
        SSL *ssl = shake(f, ctx);
        if (i % 2)
            assert_true(SSL_write(ssl, opening, i % 4 == 1 ? 10 : sizeof opening - 1) > 0);
        if (i % 3)
            (void)SSL_shutdown(ssl);
        hang_up(ssl);
    }
    SSL_CTX_free(ctx);
    return NULL;
}

static long serial_of(SSL *ssl)
{
    X509 *x = SSL_get1_peer_certificate(ssl);
    assert_non_null(x);
    const long serial = ASN1_INTEGER_get(X509_get0_serialNumber(x));
    X509_free(x);
    return serial;
}

/* ---- tests ---- */

static void many_clients_and_some_that_leave(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    pthread_t threads[CLIENTS + 1];
    for (int i = 0; i <= CLIENTS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i < CLIENTS ? client : leaver, f), 0);
    for (int i = 0; i <= CLIENTS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    stop(f);
    receiver_host_wait_jobs(f->host);
    assert_int_equal(f->host->items[SL_LOGS >> 1], atomic_load(&f->logs));
    assert_int_equal(atomic_load(&f->logs), CLIENTS * ROUNDS * 9);
}

/* Connections that are open go on with the certificate that they began with. */
static void new_certificates_under_load(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    grpc_completion_queue *queue = grpc_completion_queue_create_for_next(NULL);
    grpc_channel *old = channel_to(f);
    uint8_t bytes[1100];
    const size_t n = write_request(bytes, 1000);
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    call(f, old, queue, bytes, n);
    for (long serial = 2; serial < 6; serial++) {
        certificate_write(&f->certificate, serial);
        SSL *ssl = shake(f, ctx);
        assert_int_equal(serial_of(ssl), serial);
        hang_up(ssl);
        send_all(f);
        call(f, old, queue, bytes, n);
    }
    SSL_CTX_free(ctx);
    grpc_channel_destroy(old);
    grpc_completion_queue_shutdown(queue);
    while (grpc_completion_queue_next(queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).type !=
           GRPC_QUEUE_SHUTDOWN)
        ;
    grpc_completion_queue_destroy(queue);
}

/* The core's settings have come: the relay has read the end of the handshake. Before that, stopping
 * resets a connection whose client takes it for open. */
static void wait_open(SSL *ssl)
{
    char byte;
    assert_int_equal(SSL_read(ssl, &byte, 1), 1);
}

/* After what the core has said: that no more is taken, and the end of TLS. */
static void assert_ended(SSL *ssl)
{
    char bytes[256];
    int n = 1;
    while (n > 0)
        n = SSL_read(ssl, bytes, sizeof bytes);
    assert_int_equal(SSL_get_error(ssl, n), SSL_ERROR_ZERO_RETURN);
}

static void stops_with_connections_open(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    const int before_the_handshake = dial(f); /* accepted before those that come later */
    SSL *silent = shake(f, ctx), *in_a_frame = shake(f, ctx);
    char byte;
    wait_open(silent);
    wait_open(in_a_frame);
    assert_int_equal(SSL_write(in_a_frame, opening, sizeof opening - 1), sizeof opening - 1);
    stop(f);
    assert_ended(silent);
    assert_ended(in_a_frame);
    assert_true(read(before_the_handshake, &byte, 1) <= 0);
    close(before_the_handshake);
    hang_up(silent);
    hang_up(in_a_frame);
    SSL_CTX_free(ctx);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN); /* as the host does */
    grpc_init();
    const struct CMUnitTest tests[] = {
        TEST(many_clients_and_some_that_leave),
        TEST(new_certificates_under_load),
        TEST(stops_with_connections_open),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    grpc_shutdown_blocking();
    return failed;
}
