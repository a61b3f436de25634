/* See receiver_otlp_http_support.h. */
#include "tests/unit/receiver_otlp_http_support.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

extern const sl_plugin sluice_plugin_otlp, sluice_plugin_otlp_decode;

const uint8_t one_span[101] = {
    0x0a, 0x63, 0x0a, 0x15, 0x0a, 0x13, 0x0a, 0x0c, 's',  'e',  'r',  'v',  'i',  'c',  'e',
    '.',  'n',  'a',  'm',  'e',  0x12, 0x03, 0x0a, 0x01, 'a',  0x12, 0x4a, 0x12, 0x48, 0x0a,
    0x10, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e,
    0x0f, 0x10, 0x12, 0x08, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x2a, 0x02, 'o',
    'p',  0x30, 0x02, 0x39, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x41, 0x02, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x4a, 0x08, 0x0a, 0x01, 'k',  0x12, 0x03, 0x0a, 0x01,
    'v',  0x7a, 0x02, 0x18, 0x02, 0x85, 0x01, 0x01, 0x01, 0x00, 0x00};
const uint8_t one_point[10] = {0x0a, 0x08, 0x12, 0x06, 0x12, 0x04, 0x2a, 0x02, 0x0a, 0x00};
const uint8_t one_log[6] = {0x0a, 0x04, 0x12, 0x02, 0x12, 0x00};

const uint8_t empty_gzip[20] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0};

_Atomic bool decoder_is_missing;

void fixture_defaults(struct fixture *f)
{
    struct http_config *c = &f->config.protocols.http;
    memset(&f->config, 0, sizeof f->config);
    f->config.base.host = &f->host->host;
    f->config.protocols.http_on = 1;
    c->endpoint = sl_str("localhost:4318");
    c->transport = f->config.protocols.grpc.transport = sl_str("tcp");
    c->traces_url_path = sl_str("/v1/traces");
    c->metrics_url_path = sl_str("/v1/metrics");
    c->logs_url_path = sl_str("/v1/logs");
    c->keep_alives_enabled = 1;
    c->max_request_body_size = 100000;
    c->read_header_timeout = 10 * INT64_C(1000000000);
}

static const void *plugin(const char *file, const char *id)
{
    if (decoder_is_missing)
        return NULL;
    return strcmp(file, "otlp_decode") == 0 ? sluice_plugin_otlp_decode.interface_of(id) : NULL;
}

int fixture_set_up(void **state)
{
    struct fixture *f = (struct fixture *)calloc(1, sizeof *f);
    f->host = receiver_host_create();
    f->host->plugin = plugin;
    f->type = sluice_plugin_otlp.types[0];
    fixture_defaults(f);
    *state = f;
    return 0;
}

void fixture_start(struct fixture *f)
{
    sl_error error = {.size = sizeof error};
    assert_int_equal(f->type->create(&f->config, &f->component, &error), SL_OK);
    assert_int_equal(f->type->prepare(f->component, &error), SL_OK);
    if (f->type->start(f->component, &error) != SL_OK)
        fail_msg("%s", error.text);
}

int fixture_tear_down(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    if (f->component) {
        f->type->stop(f->component);
        f->type->stop(f->component); /* legal */
        f->type->destroy(f->component);
    }
    receiver_host_destroy(f->host);
    free(f);
    return 0;
}

/* ---- client ---- */

int client_open(struct fixture *f)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons(receiver_host_port(f->host, 0))};
    struct timeval patience = {10, 0};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    /* A body that is sent after its head would wait for the head's acknowledgement, 40 ms. */
    const int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

void client_send(int fd, const void *p, size_t n)
{
    const char *at = (const char *)p;
    while (n > 0) {
        ssize_t sent = send(fd, at, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* the server has refused the rest */
        at += sent;
        n -= (size_t)sent;
    }
}

void client_post(int fd, const char *path, const char *headers, const void *body, size_t n)
{
    char head[512];
    int len =
        snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n",
                 path, headers, n);
    client_send(fd, head, (size_t)len);
    client_send(fd, body, n);
}

void client_read(int fd, struct reply *r)
{
    memset(r, 0, sizeof *r);
    for (;;) {
        const char *end = strstr(r->text, "\r\n\r\n");
        const char *length = strcasestr(r->text, "content-length:");
        if (end && length) {
            size_t head = (size_t)(end + 4 - r->text), n = (size_t)atoi(length + 15);
            if (r->n >= head + n) {
                r->status = atoi(r->text + 9);
                r->body = sl_slice(r->text + head, n);
                return;
            }
        }
        ssize_t got = recv(fd, r->text + r->n, sizeof r->text - 1 - r->n, 0);
        if (got <= 0)
            fail_msg("no answer; got: %s", r->text);
        r->n += (size_t)got;
    }
}

void client_post_once(struct fixture *f, const char *path, const char *headers, const void *body,
                      size_t n, struct reply *r)
{
    int fd = client_open(f);
    client_post(fd, path, headers, body, n);
    client_read(fd, r);
    close(fd);
}

struct otlp_status status_of(const struct reply *r)
{
    struct otlp_status status;
    assert_non_null(strstr(r->text, "Content-Type: application/x-protobuf\r\n"));
    assert_int_equal(otlp_status_decode(r->body, &status), SL_OK);
    return status;
}

int64_t metric_of(struct fixture *f, const char *name)
{
    return receiver_host_metric(f->host, name, "http");
}

int64_t refusals_of(struct fixture *f, const char *reason)
{
    return receiver_host_metric(f->host, "sluice_receiver_refused_http_requests", reason);
}

bool reply_is(const struct reply *r, const char *text)
{
    return strstr(r->text, "Content-Type: application/json\r\n") && sl_eq(r->body, sl_str(text));
}
