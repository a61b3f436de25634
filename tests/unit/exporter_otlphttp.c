/* The OTLP/HTTP exporter against a scripted server: bytes and headers that arrive, what each answer
 * means, and destinations that misbehave. Each test runs three times: through libcurl, and over the
 * HTTP loop with a thread that waits for the answer, and with none. */
#include "exporters/otlphttp/exporter.h"
#include "tests/support/http_sink.h"
#include "tests/support/plugin_host.h"

#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>
#include <zstd.h>

extern const sl_plugin sluice_plugin, sluice_plugin_http_loop, sluice_plugin_otlphttp_curl;

static bool direct, async; /* which of the ways is tested */

static const int64_t S = 1000000000;

struct fixture {
    struct plugin_host *h;
    const sl_type *type;
    struct exporter exporter;
    char endpoint[64];
    struct http_sink *sink;
    sl_meta_entry headers[3];
    sl_send send;
};

static struct exporter defaults(const struct plugin_host *h, const char *endpoint)
{
    return (struct exporter){.base.host = h ? &h->host : NULL,
                             .endpoint = sl_str(endpoint),
                             .compression = COMPRESS_NONE,
                             .cookies.enabled = !direct, /* which takes libcurl */
                             .write_buffer_size = 524288,
                             .idle_conn_timeout = 90 * S};
}

static void open_with(struct fixture *f, int port, const struct exporter *changed,
                      const sl_meta_entry *header, const sl_auth_client *auth)
{
    sl_error error = {.size = sizeof error};
    *f = (struct fixture){.h = plugin_host_create(), .type = sluice_plugin.types[0]};
    snprintf(f->endpoint, sizeof f->endpoint, "http://127.0.0.1:%d", port);
    f->exporter = changed ? *changed : defaults(f->h, f->endpoint);
    f->exporter.base.host = &f->h->host;
    f->h->loadable[0] = &sluice_plugin_http_loop;
    f->h->loadable[1] = &sluice_plugin_otlphttp_curl;
    if (!f->exporter.endpoint.n)
        f->exporter.endpoint = sl_str(f->endpoint);
    const sl_meta_entry headers[] = {
        {sl_str("X-Test"), sl_str("a value")}, {sl_str("X-Empty"), sl_str("")}, *header};
    memcpy(f->headers, headers, sizeof headers);
    f->exporter.headers = (sl_list){f->headers, 3, sizeof *headers};
    f->h->extension_name = "bearertokenauth";
    f->h->extension_id = SL_AUTH_CLIENT;
    f->h->extension = auth;
    assert_int_equal(f->type->prepare(&f->exporter, &error), SL_OK);
    assert_int_equal(f->type->start(&f->exporter, &error), SL_OK);
}

static void open_on(struct fixture *f, int port, const struct exporter *changed)
{
    const sl_meta_entry header = {sl_str("X-Third"), sl_str("3")};
    open_with(f, port, changed, &header, NULL);
}

static void open_sink(struct fixture *f, const struct exporter *changed)
{
    struct http_sink *sink = http_sink_create(0);
    open_on(f, http_sink_port(sink), changed);
    f->sink = sink;
}

static void close_exporter(struct fixture *f)
{
    f->type->stop(&f->exporter);
    f->type->stop(&f->exporter);
    f->type->destroy(&f->exporter);
    if (f->sink)
        http_sink_destroy(f->sink);
    plugin_host_destroy(f->h);
}

static sl_delivery *delivery(struct fixture *f, uint32_t signal, uint32_t items)
{
    static const char text[] = "bytes of a request";
    const sl_bytes segments[] = {sl_slice(text, 5), sl_slice(text + 5, 4), sl_slice(NULL, 0),
                                 sl_slice(text + 9, sizeof text - 1 - 9)};
    return plugin_host_delivery_of(f->h, signal, segments, 4, items);
}

static int32_t send_until(struct fixture *f, sl_delivery *d, int64_t deadline_ns)
{
    f->send.deadline_ns = deadline_ns;
    return (async ? plugin_host_begin : plugin_host_send)(f->type, &f->exporter, d, &f->send);
}

static int32_t send_one(struct fixture *f, sl_delivery *d)
{
    return send_until(f, d, sl_now(&f->h->host) + 20 * S);
}

/* Sends one delivery of two items and gives it back. */
static int32_t send_two(struct fixture *f)
{
    sl_delivery *d = delivery(f, SL_TRACES, 2);
    const int32_t status = send_one(f, d);
    plugin_host_end(f->h, d, SL_FAILED, NULL);
    return status;
}

static void answer(struct fixture *f, const char *text)
{
    http_sink_script(f->sink, (struct http_sink_answer){.bytes = sl_str(text)});
}

static void arrives_as_it_is(void **state)
{
    static const char *const lines[] = {
        "POST /v1/traces HTTP/1.1\r\n", "POST /v1/metrics HTTP/1.1\r\n",
        "POST /v1/logs HTTP/1.1\r\n", "POST /v1development/profiles HTTP/1.1\r\n"};
    struct fixture f;
    (void)state;
    open_sink(&f, NULL);
    for (unsigned i = 0; i < SIGNALS; i++) {
        sl_delivery *d = delivery(&f, 1u << i, 3);
        assert_int_equal(send_one(&f, d), SL_OK);
        plugin_host_end(f.h, d, SL_FAILED, NULL);
        const struct http_sink_seen *seen = http_sink_seen(f.sink);
        assert_memory_equal(seen->head, lines[i], strlen(lines[i]));
        assert_non_null(strstr(seen->head, "\r\nContent-Type: application/x-protobuf\r\n"));
        assert_non_null(strstr(seen->head, "\r\nUser-Agent: Sluice/0.1\r\n"));
        assert_non_null(strstr(seen->head, "\r\nX-Test: a value\r\n"));
        assert_non_null(strstr(seen->head, "\r\nX-Empty:"));
        assert_null(strcasestr(seen->head, "expect:"));
        assert_null(strcasestr(seen->head, "content-encoding:"));
        assert_int_equal(seen->body_n, 18);
        assert_memory_equal(seen->body, "bytes of a request", 18);
    }
    assert_int_equal(plugin_host_count(f.h, SL_DELIVERED), 12);
    assert_int_equal(http_sink_seen(f.sink)->connections, 1);
    close_exporter(&f);
}

static void own_paths(void **state)
{
    struct http_sink *sink = http_sink_create(0);
    char whole[80], base[80];
    struct fixture f;
    (void)state;
    snprintf(whole, sizeof whole, "http://127.0.0.1:%d/otlp?key=1", http_sink_port(sink));
    snprintf(base, sizeof base, "http://127.0.0.1:%d/base/", http_sink_port(sink));
    struct exporter e = defaults(NULL, base);
    e.signal_endpoints[2] = sl_str(whole);
    open_on(&f, http_sink_port(sink), &e);
    f.sink = sink;
    sl_delivery *d = delivery(&f, SL_LOGS, 1);
    assert_int_equal(send_one(&f, d), SL_OK);
    plugin_host_end(f.h, d, SL_FAILED, NULL);
    assert_memory_equal(http_sink_seen(sink)->head, "POST /otlp?key=1 HTTP", 21);
    d = delivery(&f, SL_TRACES, 1);
    assert_int_equal(send_one(&f, d), SL_OK);
    plugin_host_end(f.h, d, SL_FAILED, NULL);
    assert_memory_equal(http_sink_seen(sink)->head, "POST /base/v1/traces HTTP", 25);
    close_exporter(&f);
}

/* Several megabytes in segments of odd sizes, plain, and again over a connection that has died. */
static void large_bodies(void **state)
{
    const size_t n = 3 << 20;
    uint8_t *bytes = malloc(n);
    sl_bytes segments[64];
    struct fixture f;
    (void)state;
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(i * 2654435761u >> 13);
    size_t at = 0;
    for (size_t i = 0; i < 64; i++) {
        const size_t part = i == 63 ? n - at : 1 + i * 997;
        segments[i] = sl_slice(bytes + at, part);
        at += part;
    }
    open_sink(&f, NULL);
    for (int i = 0; i < 3; i++) {
        sl_delivery *d = plugin_host_delivery_of(f.h, SL_TRACES, segments, i == 1 ? 1 : 64, 1);
        if (i == 2)
            http_sink_drop_next(f.sink);
        assert_int_equal(send_one(&f, d), SL_OK);
        plugin_host_end(f.h, d, SL_FAILED, NULL);
        const struct http_sink_seen *seen = http_sink_seen(f.sink);
        assert_int_equal(seen->body_n, i == 1 ? 1 : n);
        assert_memory_equal(seen->body, bytes, seen->body_n);
    }
    assert_int_equal(http_sink_seen(f.sink)->connections, 2);
    free(bytes);
    close_exporter(&f);
}

/* The libraries themselves are the readers. */
static size_t unpack(uint32_t compression, sl_bytes in, char *at, size_t room)
{
    if (compression == COMPRESS_ZSTD)
        return ZSTD_decompress(at, room, in.p, in.n);
    z_stream z = {.next_in = (Bytef *)(uintptr_t)in.p,
                  .avail_in = (uInt)in.n,
                  .next_out = (Bytef *)at,
                  .avail_out = (uInt)room};
    assert_int_equal(inflateInit2(&z, compression == COMPRESS_GZIP ? 31 : 15), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    inflateEnd(&z);
    return z.total_out;
}

static void compressed_bodies(void **state)
{
    static const struct {
        uint32_t compression;
        int64_t level;
        const char *header;
    } cases[] = {{COMPRESS_GZIP, 0, "\r\nContent-Encoding: gzip\r\n"},
                 {COMPRESS_GZIP, 9, "\r\nContent-Encoding: gzip\r\n"},
                 {COMPRESS_GZIP, -1, "\r\nContent-Encoding: gzip\r\n"},
                 {COMPRESS_ZLIB, -2, "\r\nContent-Encoding: zlib\r\n"},
                 {COMPRESS_DEFLATE, 6, "\r\nContent-Encoding: deflate\r\n"},
                 {COMPRESS_ZSTD, 0, "\r\nContent-Encoding: zstd\r\n"},
                 {COMPRESS_ZSTD, 11, "\r\nContent-Encoding: zstd\r\n"}};
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct exporter e = defaults(NULL, "");
        struct fixture f;
        e.compression = cases[c].compression;
        e.compression_params.level = cases[c].level;
        open_sink(&f, &e);
        assert_null(f.type->interface_of(&f.exporter, SL_ASYNC_SEND));
        assert_int_equal(f.exporter.client->curl == NULL, direct);
        for (int i = 0; i < 2; i++) {
            char plain[100];
            sl_delivery *d = delivery(&f, SL_TRACES, 2);
            assert_int_equal(plugin_host_send(f.type, &f.exporter, d, &f.send), SL_OK);
            plugin_host_end(f.h, d, SL_FAILED, NULL);
            const struct http_sink_seen *seen = http_sink_seen(f.sink);
            assert_non_null(strstr(seen->head, cases[c].header));
            assert_int_equal(unpack(e.compression, sl_slice(seen->body, seen->body_n), plain, 100),
                             18);
            assert_memory_equal(plain, "bytes of a request", 18);
        }
        close_exporter(&f);
    }
}

/* A span named "a", over two segments, and what becomes of it. */
static void json_bodies(void **state)
{
    static const uint8_t wire[] = {0x0a, 0x07, 0x12, 0x05, 0x12, 0x03, 0x2a, 0x01, 'a'};
    static const uint32_t compressions[] = {COMPRESS_NONE, COMPRESS_GZIP, COMPRESS_ZSTD};
    const sl_bytes segments[] = {sl_slice(wire, sizeof wire), sl_slice(wire, sizeof wire)};
    static const char text[] = "{\"resourceSpans\":[{\"resource\":{},\"scopeSpans\":[{\"scope\":{},"
                               "\"spans\":[{";
    (void)state;
    for (size_t c = 0; c < sizeof compressions / sizeof *compressions; c++) {
        struct exporter e = defaults(NULL, "");
        struct fixture f;
        char plain[1000];
        e.compression = compressions[c];
        e.encoding = ENCODE_JSON;
        open_sink(&f, &e);
        assert_null(f.type->interface_of(&f.exporter, SL_ASYNC_SEND));
        assert_int_equal(f.exporter.client->curl == NULL, direct);
        sl_delivery *d = plugin_host_delivery_of(f.h, SL_TRACES, segments, 2, 2);
        assert_int_equal(plugin_host_send(f.type, &f.exporter, d, &f.send), SL_OK);
        plugin_host_end(f.h, d, SL_FAILED, NULL);
        const struct http_sink_seen *seen = http_sink_seen(f.sink);
        sl_bytes body = sl_slice(seen->body, seen->body_n);
        assert_non_null(strstr(seen->head, "\r\nContent-Type: application/json\r\n"));
        if (e.compression != COMPRESS_NONE)
            body = sl_slice(plain, unpack(e.compression, body, plain, sizeof plain));
        assert_memory_equal(body.p, text, sizeof text - 1);
        assert_non_null(memmem(body.p, body.n, "},{\"resource\"", 13)); /* the second one */
        assert_int_equal(body.p[body.n - 1], '}');
        /* what there is no JSON for is refused for good */
        d = plugin_host_delivery_of(f.h, SL_PROFILES, segments, 2, 2);
        assert_int_equal(plugin_host_send(f.type, &f.exporter, d, &f.send), SL_ERR_UNSUPPORTED);
        assert_string_equal(f.send.why, "not_encodable");
        plugin_host_end(f.h, d, SL_FAILED, NULL);
        close_exporter(&f);
    }
}

static void partial_success(void **state)
{
    struct fixture f;
    uint8_t at[256];
    char text[512];
    size_t n;
    (void)state;
    open_sink(&f, NULL);
    const struct otlp_response one = {1, sl_str("too late")};
    assert_int_equal(otlp_response_encode(&one, at, sizeof at, &n), SL_OK);
    const int head = snprintf(text, sizeof text,
                              "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n"
                              "Content-Length: %zu\r\n\r\n",
                              n);
    memcpy(text + head, at, n);
    http_sink_script(f.sink, (struct http_sink_answer){.bytes = sl_slice(text, (size_t)head + n)});
    assert_int_equal(send_two(&f), SL_OK);
    assert_int_equal(plugin_host_count(f.h, SL_REJECTED), 1);
    assert_non_null(strstr(f.h->log, "rejected 1 of 2 items: too late"));
    /* the same bytes as another type mean nothing */
    memcpy(strstr(text, "application/x-protobuf"), "application/x-protobug", 22);
    http_sink_script(f.sink, (struct http_sink_answer){.bytes = sl_slice(text, (size_t)head + n)});
    assert_int_equal(send_two(&f), SL_OK);
    assert_int_equal(plugin_host_count(f.h, SL_REJECTED), 1);
    static const char *const full[] = {
        "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 2\r\n\r\n\x0a",
        "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    };
    for (size_t i = 0; i < sizeof full / sizeof *full; i++) {
        const size_t length = strlen(full[i]) + (i == 0); /* 0a 00 */
        http_sink_script(f.sink, (struct http_sink_answer){.bytes = sl_slice(full[i], length)});
        assert_int_equal(send_two(&f), SL_OK);
    }
    assert_int_equal(plugin_host_count(f.h, SL_DELIVERED), 11);
    close_exporter(&f);
}

static void statuses(void **state)
{
    static const struct {
        int http;
        int32_t status;
        const char *why;
    } cases[] = {{302, SL_ERR_REJECTED, "http_3xx"},    {400, SL_ERR_INVALID, "http_400"},
                 {401, SL_ERR_DENIED, "http_401"},      {403, SL_ERR_DENIED, "http_403"},
                 {404, SL_ERR_UNSUPPORTED, "http_404"}, {413, SL_ERR_TOO_LARGE, "http_413"},
                 {418, SL_ERR_REJECTED, "http_4xx"},    {429, SL_ERR_UNAVAILABLE, "http_429"},
                 {500, SL_ERR_REJECTED, "http_500"},    {501, SL_ERR_REJECTED, "http_501"},
                 {502, SL_ERR_UNAVAILABLE, "http_502"}, {503, SL_ERR_UNAVAILABLE, "http_503"},
                 {504, SL_ERR_UNAVAILABLE, "http_504"}, {505, SL_ERR_REJECTED, "http_5xx"}};
    struct fixture f;
    (void)state;
    open_sink(&f, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[300];
        snprintf(text, sizeof text,
                 "HTTP/1.1 %d No\r\nLocation: http://127.0.0.1:1/\r\nContent-Type: text/plain\r\n"
                 "Content-Length: 13\r\n\r\nso\x1b[1m it is\n",
                 cases[i].http);
        answer(&f, text);
        assert_int_equal(send_two(&f), cases[i].status);
        assert_string_equal(f.send.why, cases[i].why);
        assert_non_null(strstr(f.send.error.text, "so [1m it is"));
        assert_int_equal(f.send.retry_after_ns, 0);
    }
    /* the message of a Status */
    answer(&f, "HTTP/1.1 400 Bad\r\nContent-Type: application/x-protobuf; v=1\r\n"
               "Content-Length: 9\r\n\r\n\x08\x03\x12\x05wrong");
    assert_int_equal(send_two(&f), SL_ERR_INVALID);
    assert_non_null(strstr(f.send.error.text, ": wrong"));
    close_exporter(&f);
}

static void retry_after(void **state)
{
    const int64_t wall = 784111777 * S; /* Sun, 06 Nov 1994 08:49:37 GMT */
    const struct {
        const char *text;
        int64_t ns;
    } cases[] = {{"7", 7 * S},
                 {" 7 ", 7 * S},
                 {"0", 0},
                 {"-1", 0},
                 {"", 0},
                 {"1.5", 0},
                 {"soon", 0},
                 {"1000000000000000000", 3600 * S},
                 {"99999999999999999999999999999999999999999999999999", 3600 * S},
                 {"Sun, 06 Nov 1994 08:49:47 GMT", 10 * S},
                 {"Sunday, 06-Nov-94 08:49:47 GMT", 10 * S},
                 {"Sun Nov  6 08:49:47 1994", 10 * S},
                 {"Sun, 06 Nov 1994 08:49:47 +0000", 0},
                 {"Sun, 06 Nov 1994 08:49:37 GMT", 0},
                 {"Sun, 06 Nov 1994 08:49:27 GMT", 0},
                 {"Sun, 06 Nov 2094 08:49:37 GMT", 3600 * S},
                 {"Sun, 06 Nov 999999999999 08:49:37 GMT", 0}};
    struct fixture f;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(answer_retry_after(sl_str(cases[i].text), wall), cases[i].ns);
    open_sink(&f, NULL);
    answer(&f, "HTTP/1.1 503 Busy\r\nretry-after: 3\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(send_two(&f), SL_ERR_UNAVAILABLE);
    assert_int_equal(f.send.retry_after_ns, 3 * S);
    /* that of an answer for good, or of an interim one, does not count */
    answer(&f, "HTTP/1.1 400 Bad\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(send_two(&f), SL_ERR_INVALID);
    assert_int_equal(f.send.retry_after_ns, 0);
    answer(&f, "HTTP/1.1 100 Continue\r\nRetry-After: 3\r\n\r\n"
               "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(send_two(&f), SL_ERR_UNAVAILABLE);
    assert_int_equal(f.send.retry_after_ns, 0);
    close_exporter(&f);
}

static void hostile_answers(void **state)
{
    static const struct {
        const char *bytes;
        uint32_t repeat;
        int32_t status;
    } cases[] = {
        {"HTTP/1.1 500 No\r\n\r\n0123456789abcdef", 0, SL_ERR_REJECTED},
        {"garbage\r\n\r\n", 0, SL_ERR_UNAVAILABLE},
        {"HTTP/1.1 100 Continue\r\n\r\n", 1000000, SL_ERR_UNAVAILABLE},
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", 0, SL_OK},
        {"HTTP/1.1 503 No\r\nContent-Length: 10\r\n\r\nhalf", 0, SL_ERR_UNAVAILABLE},
        {"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", 0, SL_ERR_UNAVAILABLE}, /* or success */
        {"HTTP/1.1 9999 OK\r\n\r\n", 0, SL_ERR_UNAVAILABLE},
        {"HTTP/1.1 200", 0, SL_ERR_UNAVAILABLE},
        {"\0\0\0\0", 0, SL_ERR_UNAVAILABLE},
    };
    struct fixture f;
    (void)state;
    open_sink(&f, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        http_sink_script(f.sink, (struct http_sink_answer){.bytes = sl_str(cases[i].bytes),
                                                           .repeat = cases[i].repeat,
                                                           .close = true});
        const int32_t status = send_two(&f);
        if (strstr(cases[i].bytes, "200") && cases[i].status != SL_OK)
            assert_true(status == SL_OK || status == SL_ERR_UNAVAILABLE);
        else
            assert_int_equal(status, cases[i].status);
    }
    http_sink_script(f.sink, (struct http_sink_answer){.reset = true});
    assert_int_equal(send_two(&f), SL_ERR_UNAVAILABLE);
    assert_string_equal(f.send.why, "connection");
    close_exporter(&f);
}

/* Endless bodies and headers: a bounded part is read, and the status counts. */
static void endless_answers(void **state)
{
    enum { N = 8 << 20 };
    char *text = malloc(N);
    struct fixture f;
    (void)state;
    open_sink(&f, NULL);
    static const char *const heads[] = {
        "HTTP/1.1 500 No\r\nContent-Type: text/plain\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n\r\n"};
    for (int i = 0; i < 2; i++) {
        memset(text, 'x', N);
        memcpy(text, heads[i], strlen(heads[i]));
        http_sink_script(f.sink,
                         (struct http_sink_answer){.bytes = sl_slice(text, N), .close = true});
        assert_int_equal(send_two(&f), i == 0 ? SL_ERR_REJECTED : SL_OK);
        assert_true(strlen(f.send.error.text) < 504);
    }
    assert_non_null(strstr(f.h->log, "longer than 4 MiB"));
    size_t used = (size_t)snprintf(text, N, "HTTP/1.1 503 No\r\n");
    while (used < N - 100)
        used += (size_t)snprintf(text + used, N - used, "X-%zu: 0123456789abcdef\r\n", used);
    http_sink_script(f.sink,
                     (struct http_sink_answer){.bytes = sl_slice(text, used), .close = true});
    assert_int_equal(send_two(&f), SL_ERR_UNAVAILABLE);
    free(text);
    close_exporter(&f);
}

static void deadline_passes(void **state)
{
    struct fixture f;
    (void)state;
    open_sink(&f, NULL);
    http_sink_script(f.sink, (struct http_sink_answer){.bytes = sl_slice("", 0)});
    sl_delivery *d = delivery(&f, SL_TRACES, 1);
    const int64_t begun = sl_now(&f.h->host);
    assert_int_equal(send_until(&f, d, begun + S / 5), SL_ERR_TIMEOUT);
    assert_string_equal(f.send.why, "timeout");
    assert_in_range(sl_now(&f.h->host) - begun, S / 5 - S / 100, 10 * S); /* clocks tick in ms */
    assert_int_equal(send_until(&f, d, 1), SL_ERR_TIMEOUT);
    plugin_host_end(f.h, d, SL_FAILED, NULL);
    close_exporter(&f);
}

static void dead_destination_comes_back(void **state)
{
    struct http_sink *sink = http_sink_create(0);
    const int port = http_sink_port(sink);
    struct fixture f;
    (void)state;
    http_sink_destroy(sink);
    open_on(&f, port, NULL);
    assert_int_equal(send_two(&f), SL_ERR_UNAVAILABLE);
    f.sink = http_sink_create(port);
    assert_int_equal(send_two(&f), SL_OK);
    http_sink_destroy(f.sink);
    f.sink = http_sink_create(port); /* the kept connection is dead: a new one is made */
    assert_int_equal(send_two(&f), SL_OK);
    close_exporter(&f);
}

static void *send_in_thread(void *arg)
{
    struct fixture *f = arg;
    sl_delivery *d = delivery(f, SL_TRACES, 1);
    const int32_t status = send_until(f, d, sl_now(&f->h->host) + 60 * S);
    plugin_host_end(f->h, d, SL_FAILED, NULL);
    return (void *)(intptr_t)status;
}

static void *send_large_in_thread(void *arg)
{
    struct fixture *f = arg;
    const size_t n = 32 << 20;
    uint8_t *bytes = calloc(1, n);
    const sl_bytes segment = sl_slice(bytes, n);
    sl_delivery *d = plugin_host_delivery_of(f->h, SL_TRACES, &segment, 1, 1);
    const int32_t status = send_one(f, d);
    plugin_host_end(f->h, d, SL_FAILED, NULL);
    free(bytes);
    return (void *)(intptr_t)status;
}

/* ---- names with several addresses ---- */

/* "two.test" is at 127.0.0.2, where nobody listens, and at 127.0.0.1. Stands in for the C library's,
 * also for libuv and curl. */
__attribute__((visibility("default"))) int getaddrinfo(const char *name, const char *port,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **found)
{
    static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (!name || strcmp(name, "two.test") != 0)
        return real(name, port, hints, found);
    const int failed = real("127.0.0.2", port, hints, found);
    return failed ? failed : real("127.0.0.1", port, hints, &(*found)->ai_next);
}

static void a_dead_address_is_passed_over(void **state)
{
    struct http_sink *sink = http_sink_create(0);
    char endpoint[64];
    struct fixture f;
    (void)state;
    snprintf(endpoint, sizeof endpoint, "http://two.test:%d", http_sink_port(sink));
    struct exporter e = defaults(NULL, endpoint);
    open_on(&f, http_sink_port(sink), &e);
    f.sink = sink;
    for (int i = 0; i < 3; i++)
        assert_int_equal(send_two(&f), SL_OK);
    assert_non_null(strstr(http_sink_seen(sink)->head, "\r\nHost: two.test:"));
    assert_int_equal(http_sink_seen(sink)->connections, 1);
    close_exporter(&f);
}

/* ---- sockets of other kinds, and their number ---- */

static void unix_sockets(void **state)
{
    char folder[] = "/tmp/sluice-unit-XXXXXX", path[64], endpoint[80];
    struct fixture f;
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/otlp.sock", folder);
    snprintf(endpoint, sizeof endpoint, "unix://%s", path);
    struct exporter e = defaults(NULL, endpoint);
    open_on(&f, 0, &e);
    assert_int_equal(send_two(&f), SL_ERR_UNAVAILABLE);
    assert_string_equal(f.send.why, "connection");
    f.sink = http_sink_create_unix(path);
    for (int i = 0; i < 2; i++)
        assert_int_equal(send_two(&f), SL_OK);
    assert_memory_equal(http_sink_seen(f.sink)->head, "POST /v1/traces HTTP/1.1\r\n", 26);
    assert_non_null(strstr(http_sink_seen(f.sink)->head, "\r\nHost: localhost\r\n"));
    assert_int_equal(http_sink_seen(f.sink)->connections, 1);
    close_exporter(&f);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

enum { SENDERS = 8 };

struct sender {
    struct fixture *f;
    pthread_t thread;
    sl_delivery *d;
    sl_send send;
    int32_t status;
};

static void *send_its_own(void *arg)
{
    struct sender *s = arg;
    s->status =
        (async ? plugin_host_begin : plugin_host_send)(s->f->type, &s->f->exporter, s->d, &s->send);
    return NULL;
}

static void senders_start(struct fixture *f, struct sender senders[SENDERS], int64_t within_ns)
{
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.f = f, .d = delivery(f, SL_TRACES, 1)};
        senders[i].send.deadline_ns = sl_now(&f->h->host) + within_ns;
    }
    for (int i = 0; i < SENDERS; i++)
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_its_own, &senders[i]), 0);
}

static void senders_end(struct fixture *f, struct sender senders[SENDERS], int32_t status)
{
    for (int i = 0; i < SENDERS; i++)
        pthread_join(senders[i].thread, NULL);
    for (int i = 0; i < SENDERS; i++) {
        assert_int_equal(senders[i].status, status);
        plugin_host_end(f->h, senders[i].d, SL_FAILED, NULL);
    }
}

static void send_many(struct fixture *f)
{
    struct sender senders[SENDERS];
    senders_start(f, senders, 20 * S);
    senders_end(f, senders, SL_OK);
}

static void connections_are_limited(void **state)
{
    static const uint32_t limits[] = {1, 3};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct exporter e = defaults(NULL, "");
        struct fixture f;
        e.max_conns_per_host = limits[i];
        open_sink(&f, &e);
        for (int k = 0; k < 5; k++)
            send_many(&f);
        assert_in_range(http_sink_seen(f.sink)->at_one_time, 1, limits[i]);
        assert_int_equal(http_sink_seen(f.sink)->requests, 5 * SENDERS);
        close_exporter(&f);
    }
}

/* All wait for one connection whose answer does not come. */
static void waiting_for_a_connection_ends(void **state)
{
    struct exporter e = defaults(NULL, "");
    struct sender senders[SENDERS];
    struct fixture f;
    (void)state;
    e.max_conns_per_host = 1;
    open_sink(&f, &e);
    http_sink_script(f.sink, (struct http_sink_answer){.bytes = sl_slice("", 0)});
    senders_start(&f, senders, S / 5);
    senders_end(&f, senders, SL_ERR_TIMEOUT);
    for (int i = 0; i < SENDERS; i++)
        assert_string_equal(senders[i].send.why, "timeout");
    senders_start(&f, senders, 60 * S);
    f.type->stop(&f.exporter);
    senders_end(&f, senders, SL_ERR_SHUTDOWN);
    close_exporter(&f);
}

static void idle_connections_are_limited(void **state)
{
    struct exporter e = defaults(NULL, "");
    struct fixture f;
    (void)state;
    e.max_idle_conns = 100;
    e.max_idle_conns_per_host = 1;
    open_sink(&f, &e);
    assert_int_equal(exporter_idle_max(&e), 1);
    for (int i = 0; i < 4; i++) { /* one is kept, and used again */
        send_many(&f);
        const uint32_t before = http_sink_seen(f.sink)->connections;
        assert_int_equal(send_two(&f), SL_OK);
        assert_int_equal(http_sink_seen(f.sink)->connections, before);
    }
    close_exporter(&f);
    e.max_idle_conns = 0;
    e.max_idle_conns_per_host = 0;
    assert_int_equal(exporter_idle_max(&e), 0);
    e.max_idle_conns = 5;
    assert_int_equal(exporter_idle_max(&e), 5);
}

/* ---- authenticators ---- */

static _Atomic int token;

static int32_t give_token(void *self, const sl_metadata **headers, sl_error *error)
{
    static const sl_meta_entry one = {{(const uint8_t *)"authorization", 13},
                                      {(const uint8_t *)"Bearer new", 10}};
    static const sl_metadata list = {.size = sizeof list, .n = 1, .at = &one};
    (void)self;
    if (atomic_fetch_add(&token, 1) == 1)
        return sl_fail(error, SL_ERR_UNAVAILABLE, "the token cannot be read");
    *headers = &list;
    return SL_OK;
}

static void authenticators_are_asked(void **state)
{
    static const sl_auth_client table = {.size = sizeof table, .headers = give_token};
    static const sl_meta_entry old = {{(const uint8_t *)"Authorization", 13},
                                      {(const uint8_t *)"Basic old", 9}};
    struct exporter e = defaults(NULL, "");
    struct fixture f;
    (void)state;
    atomic_store(&token, 0);
    e.auth.authenticator = sl_str("bearertokenauth");
    struct http_sink *sink = http_sink_create(0);
    open_with(&f, http_sink_port(sink), &e, &old, &table);
    f.sink = sink;
    assert_int_equal(send_two(&f), SL_OK);
    assert_non_null(strstr(http_sink_seen(f.sink)->head, "\r\nauthorization: Bearer new\r\n"));
    assert_null(strstr(http_sink_seen(f.sink)->head, "Basic old"));
    assert_int_equal(send_two(&f), SL_ERR_UNAVAILABLE);
    assert_string_equal(f.send.why, "auth");
    assert_int_equal(http_sink_seen(f.sink)->requests, 1);
    assert_int_equal(send_two(&f), SL_OK);
    assert_int_equal(f.h->metadata_unrefs, 2);
    close_exporter(&f);
}

static void cookies_are_kept_where_wanted(void **state)
{
    (void)state;
    for (int wanted = 0; wanted <= 1; wanted++) {
        struct exporter e = defaults(NULL, "");
        struct fixture f;
        e.cookies.enabled = (uint8_t)wanted;
        open_sink(&f, &e);
        if (wanted) /* curl's business */
            assert_null(f.type->interface_of(&f.exporter, SL_ASYNC_SEND));
        answer(&f, "HTTP/1.1 200 OK\r\nSet-Cookie: node=7\r\nContent-Length: 0\r\n\r\n");
        for (int i = 0; i < 2; i++) {
            sl_delivery *d = delivery(&f, SL_TRACES, 1);
            assert_int_equal(plugin_host_send(f.type, &f.exporter, d, &f.send), SL_OK);
            plugin_host_end(f.h, d, SL_FAILED, NULL);
        }
        assert_int_equal(strstr(http_sink_seen(f.sink)->head, "\r\nCookie: node=7\r\n") != NULL,
                         wanted);
        close_exporter(&f);
    }
}

/* ---- answers in other forms ---- */

static void answer_bytes(struct fixture *f, const char *head, sl_bytes body)
{
    char *text = malloc(1000 + body.n);
    const int n = snprintf(text, 1000, "%sContent-Length: %zu\r\n\r\n", head, body.n);
    memcpy(text + n, body.p, body.n);
    http_sink_script(f->sink,
                     (struct http_sink_answer){.bytes = sl_slice(text, (size_t)n + body.n)});
    free(text);
}

static void json_answers(void **state)
{
    static const char head[] = "HTTP/1.1 %s\r\nContent-Type: application/json; charset=utf-8\r\n";
    static const struct {
        const char *status, *body;
        int32_t result;
        uint32_t rejected;
        const char *text;
    } cases[] = {
        {"200 OK", "{}", SL_OK, 0, NULL},
        {"200 OK", "{\"partialSuccess\":{}}", SL_OK, 0, NULL},
        {"200 OK", "{\"partialSuccess\":{\"rejectedSpans\":\"1\",\"errorMessage\":\"too old\"}}",
         SL_OK, 1, "rejected 1 of 2 items: too old"},
        {"200 OK", "{\"partial_success\":{\"rejected_spans\":7}}", SL_OK, 2, "rejected 2 of 2"},
        {"200 OK", "{\"partialSuccess\":", SL_OK, 0, "cannot be read"},
        {"400 No", "{\"code\":3,\"message\":\"no such tenant\"}", SL_ERR_INVALID, 0,
         ": no such tenant"},
        {"503 No", "not JSON", SL_ERR_UNAVAILABLE, 0, ": not JSON"},
    };
    struct fixture f;
    uint32_t rejected = 0;
    (void)state;
    open_sink(&f, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[200];
        snprintf(text, sizeof text, head, cases[i].status);
        answer_bytes(&f, text, sl_str(cases[i].body));
        assert_int_equal(send_two(&f), cases[i].result);
        rejected += cases[i].rejected;
        assert_int_equal(plugin_host_count(f.h, SL_REJECTED) -
                             (cases[i].result == SL_ERR_INVALID ? 2 : 0),
                         rejected);
        if (cases[i].result == SL_ERR_INVALID)
            rejected += 2;
        if (cases[i].text)
            assert_non_null(
                strstr(cases[i].result == SL_OK ? f.h->log : f.send.error.text, cases[i].text));
    }
    close_exporter(&f);
}

/* Nobody asked for it, but some servers compress whatever they say. */
static void compressed_answers(void **state)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n"
                             "Content-Encoding: gzip\r\n";
    static uint8_t zeros[CLIENT_RESPONSE_MAX + 1];
    struct packer *p = packer_create(PACK_GZIP, 9);
    struct pack_buffer packed = {0};
    struct fixture f;
    uint8_t at[256];
    size_t n;
    (void)state;
    open_sink(&f, NULL);
    const struct otlp_response one = {1, sl_str("too late")};
    assert_int_equal(otlp_response_encode(&one, at, sizeof at, &n), SL_OK);
    sl_bytes plain = sl_slice(at, n);
    assert_int_equal(packer_pack(p, &plain, 1, SIZE_MAX, &packed), SL_OK);
    answer_bytes(&f, ok, sl_slice(packed.at, packed.n));
    assert_int_equal(send_two(&f), SL_OK);
    assert_int_equal(plugin_host_count(f.h, SL_REJECTED), 1);
    answer_bytes(&f, ok, sl_slice(packed.at, packed.n - 1));
    assert_int_equal(send_two(&f), SL_OK);
    answer_bytes(&f,
                 "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n"
                 "Content-Encoding: br\r\n",
                 plain);
    assert_int_equal(send_two(&f), SL_OK);
    plain = sl_slice(zeros, sizeof zeros); /* a bomb */
    assert_int_equal(packer_pack(p, &plain, 1, SIZE_MAX, &packed), SL_OK);
    answer_bytes(&f, ok, sl_slice(packed.at, packed.n));
    assert_int_equal(send_two(&f), SL_OK);
    assert_int_equal(plugin_host_count(f.h, SL_REJECTED), 1);
    assert_int_equal(plugin_host_count(f.h, SL_DELIVERED), 7);
    assert_non_null(strstr(f.h->log, "its answer cannot be read"));
    answer_bytes(&f, "HTTP/1.1 400 No\r\nContent-Type: text/plain\r\nContent-Encoding: gzip\r\n",
                 plain.n ? sl_str("\x1f\x8b") : plain);
    assert_int_equal(send_two(&f), SL_ERR_INVALID);
    assert_non_null(strstr(f.send.error.text, "its text is compressed"));
    packer_destroy(p);
    pack_buffer_deinit(&packed);
    close_exporter(&f);
}

static void stop_ends_a_send(void **state)
{
    struct fixture f;
    pthread_t thread;
    void *status;
    (void)state;
    open_sink(&f, NULL);
    http_sink_script(f.sink, (struct http_sink_answer){.bytes = sl_slice("", 0)});
    const int64_t begun = sl_now(&f.h->host);
    assert_int_equal(pthread_create(&thread, NULL, send_in_thread, &f), 0);
    f.type->stop(&f.exporter);
    pthread_join(thread, &status);
    assert_int_equal((intptr_t)status, SL_ERR_SHUTDOWN);
    assert_true(sl_now(&f.h->host) - begun < 20 * S);
    close_exporter(&f);
}

static void names_are_resolved(void **state)
{
    struct http_sink *sink = http_sink_create(0);
    char endpoint[64];
    struct fixture f;
    (void)state;
    snprintf(endpoint, sizeof endpoint, "http://localhost:%d", http_sink_port(sink));
    struct exporter e = defaults(NULL, endpoint);
    open_on(&f, http_sink_port(sink), &e);
    f.sink = sink;
    assert_int_equal(send_two(&f), SL_OK);
    assert_non_null(strstr(http_sink_seen(sink)->head, "\r\nHost: localhost:"));
    close_exporter(&f);
    e.endpoint = sl_str("http://name.invalid:4318");
    open_on(&f, 0, &e);
    assert_int_equal(send_two(&f), SL_ERR_UNAVAILABLE);
    assert_string_equal(f.send.why, "connection");
    close_exporter(&f);
}

static void connections_are_not_kept(void **state)
{
    struct exporter e = defaults(NULL, "");
    struct fixture f;
    (void)state;
    e.disable_keep_alives = 1;
    open_sink(&f, &e);
    for (uint32_t i = 1; i <= 3; i++) {
        assert_int_equal(send_two(&f), SL_OK);
        assert_int_equal(http_sink_seen(f.sink)->connections, i);
    }
    close_exporter(&f);
}

enum { MANY = 32 };

struct many {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint32_t ended;
    int32_t status[MANY];
};

static void many_ended(void *ctx, int32_t status)
{
    struct many *m = ctx;
    pthread_mutex_lock(&m->mutex);
    m->status[m->ended++] = status;
    pthread_cond_signal(&m->changed);
    pthread_mutex_unlock(&m->mutex);
}

static void wait_ended(struct many *m, uint32_t n)
{
    pthread_mutex_lock(&m->mutex);
    while (m->ended < n)
        pthread_cond_wait(&m->changed, &m->mutex);
    pthread_mutex_unlock(&m->mutex);
}

static void many_at_once_and_stop(void **state)
{
    struct many m = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    sl_delivery *d[MANY];
    sl_send sends[MANY];
    struct fixture f;
    (void)state;
    if (!direct)
        return; /* through curl, threads wait */
    open_sink(&f, NULL);
    const sl_async_send *sender = f.type->interface_of(&f.exporter, SL_ASYNC_SEND);
    assert_non_null(sender);
    for (uint32_t i = 0; i < MANY; i++) {
        if (i == MANY / 2) {
            wait_ended(&m, MANY / 2);
            http_sink_script(f.sink, (struct http_sink_answer){.bytes = sl_slice("", 0)});
        }
        d[i] = delivery(&f, SL_TRACES, 1);
        sends[i] = (sl_send){.size = sizeof sends[i], .error.size = sizeof sends[i].error};
        assert_int_equal(sender->begin(&f.exporter, d[i], &sends[i], many_ended, &m), SL_OK);
    }
    f.type->stop(&f.exporter);
    wait_ended(&m, MANY);
    for (uint32_t i = 0; i < MANY; i++) {
        assert_int_equal(m.status[i], i < MANY / 2 ? SL_OK : SL_ERR_SHUTDOWN);
        plugin_host_end(f.h, d[i], SL_FAILED, NULL);
    }
    sl_delivery *late = delivery(&f, SL_TRACES, 1);
    assert_int_equal(sender->begin(&f.exporter, late, &sends[0], many_ended, &m), SL_ERR_SHUTDOWN);
    plugin_host_end(f.h, late, SL_FAILED, NULL);
    close_exporter(&f);
}

/* A server that has heard enough says so and closes before it has read the body. */
static void refused_midway(void **state)
{
    static const char refusal[] =
        "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    char head[100];
    struct fixture f;
    pthread_t thread;
    void *status;
    (void)state;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    open_on(&f, ntohs(address.sin_port), NULL);
    assert_int_equal(pthread_create(&thread, NULL, send_large_in_thread, &f), 0);
    const int connection = accept(fd, NULL, NULL);
    assert_true(connection >= 0);
    assert_int_equal(recv(connection, head, sizeof head, MSG_WAITALL), sizeof head);
    assert_int_equal(send(connection, refusal, sizeof refusal - 1, MSG_NOSIGNAL),
                     sizeof refusal - 1);
    (void)shutdown(connection, SHUT_WR);
    pthread_join(thread, &status);
    close(connection);
    close(fd);
    assert_int_equal((intptr_t)status, SL_ERR_TOO_LARGE);
    close_exporter(&f);
}

static int32_t prepare(struct exporter e, sl_error *error)
{
    struct plugin_host *h = plugin_host_create();
    h->loadable[1] = &sluice_plugin_otlphttp_curl;
    e.base.host = &h->host;
    *error = (sl_error){.size = sizeof *error};
    const int32_t status = sluice_plugin.types[0]->prepare(&e, error);
    plugin_host_destroy(h);
    return status;
}

static void what_is_missing_is_refused(void **state)
{
    struct plugin_host *h = plugin_host_create();
    const struct exporter good = defaults(h, "http://localhost:4318");
    const sl_raw set = {.size = sizeof set,
                        .kind = 1,
                        .text = sl_str("x"),
                        .file = "a.yaml",
                        .line = 7,
                        .column = 5};
    static const struct {
        const char *endpoint;
        int32_t status;
    } endpoints[] = {{"http://a", SL_OK},
                     {"http://a:4318/", SL_OK},
                     {"http://[::1]:4318/x?y=z", SL_OK},
                     {"https://a:4318", SL_OK},
                     {"unix:///run/otlp.sock", SL_OK},
                     {"unix:otlp.sock", SL_ERR_INVALID},
                     {"http://me:secret@a", SL_ERR_UNSUPPORTED},
                     {"http://me:secret@a:b/?secret", SL_ERR_INVALID},
                     {"a:4318", SL_ERR_INVALID},
                     {"ftp://a", SL_ERR_INVALID},
                     {"http://a:b", SL_ERR_INVALID},
                     {"http://", SL_ERR_INVALID},
                     {"", SL_ERR_INVALID}};
    sl_error error;
    struct exporter e = good;
    (void)state;
    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++) {
        assert_int_equal(prepare(defaults(h, endpoints[i].endpoint), &error), endpoints[i].status);
        assert_null(strstr(error.text, "secret"));
    }
    e.middlewares = &set;
    assert_int_equal(prepare(e, &error), SL_ERR_UNSUPPORTED);
    assert_non_null(strstr(error.text, "a.yaml:7:5: key \""));
    e = good;
    e.auth.authenticator = sl_str("basicauth/none");
    assert_int_equal(prepare(e, &error), SL_ERR_INVALID);
    assert_non_null(strstr(error.text, "\"basicauth/none\""));
    e = good;
    e.proxy_url = sl_str("https://me:secret@proxy:3128");
    assert_int_equal(prepare(e, &error), SL_ERR_UNSUPPORTED);
    assert_null(strstr(error.text, "secret"));
    e = good;
    e.compression = COMPRESS_LZ4;
    e.compression_params.level = 1;
    assert_int_equal(prepare(e, &error), SL_ERR_INVALID);
    assert_non_null(strstr(error.text, "lz4 has no levels"));
    e.compression = COMPRESS_GZIP;
    e.compression_params.level = 10;
    assert_int_equal(prepare(e, &error), SL_ERR_INVALID);
    e.compression = COMPRESS_ZSTD;
    assert_int_equal(prepare(e, &error), SL_OK);
    static const struct {
        const char *name, *value;
    } headers[] = {{"", "x"},       {"a b", "x"},       {"a:", "x"},  {"Content-Type", "x"},
                   {"expect", "x"}, {"a", "x\r\nb: c"}, {"a", "x\ny"}};
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        const sl_meta_entry header = {sl_str(headers[i].name), sl_str(headers[i].value)};
        e = good;
        e.headers = (sl_list){&header, 1, sizeof header};
        assert_int_equal(prepare(e, &error), SL_ERR_INVALID);
    }
    plugin_host_destroy(h);
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN); /* as the host does */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrives_as_it_is),
        cmocka_unit_test(own_paths),
        cmocka_unit_test(large_bodies),
        cmocka_unit_test(compressed_bodies),
        cmocka_unit_test(json_bodies),
        cmocka_unit_test(partial_success),
        cmocka_unit_test(statuses),
        cmocka_unit_test(retry_after),
        cmocka_unit_test(hostile_answers),
        cmocka_unit_test(endless_answers),
        cmocka_unit_test(deadline_passes),
        cmocka_unit_test(dead_destination_comes_back),
        cmocka_unit_test(stop_ends_a_send),
        cmocka_unit_test(names_are_resolved),
        cmocka_unit_test(connections_are_not_kept),
        cmocka_unit_test(many_at_once_and_stop),
        cmocka_unit_test(refused_midway),
        cmocka_unit_test(a_dead_address_is_passed_over),
        cmocka_unit_test(unix_sockets),
        cmocka_unit_test(connections_are_limited),
        cmocka_unit_test(waiting_for_a_connection_ends),
        cmocka_unit_test(idle_connections_are_limited),
        cmocka_unit_test(authenticators_are_asked),
        cmocka_unit_test(cookies_are_kept_where_wanted),
        cmocka_unit_test(json_answers),
        cmocka_unit_test(compressed_answers),
        cmocka_unit_test(what_is_missing_is_refused),
    };
    int failed = cmocka_run_group_tests_name("through libcurl", tests, NULL, NULL);
    direct = true;
    failed += cmocka_run_group_tests_name("over the loop, waiting", tests, NULL, NULL);
    async = true;
    return failed + cmocka_run_group_tests_name("over the loop", tests, NULL, NULL);
}
