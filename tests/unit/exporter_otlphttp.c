/* What the OTLP/HTTP exporter sends: bytes and headers, compressed and as JSON, with credentials; and
 * which configurations it refuses. */
#include "tests/unit/exporter_otlphttp_support.h"

#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

static void arrives_as_it_is(void **state)
{
    static const char *const lines[] = {
        "POST /v1/traces HTTP/1.1\r\n", "POST /v1/metrics HTTP/1.1\r\n",
        "POST /v1/logs HTTP/1.1\r\n", "POST /v1development/profiles HTTP/1.1\r\n"};
    struct fixture f;
    (void)state;
    fixture_open_sink(&f, NULL);
    for (unsigned i = 0; i < SIGNALS; i++) {
        sl_delivery *d = fixture_delivery(&f, 1u << i, 3);
        assert_int_equal(fixture_send(&f, d), SL_OK);
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
    fixture_close(&f);
}

static void own_paths(void **state)
{
    struct http_sink *sink = http_sink_create(0);
    char whole[80], base[80];
    struct fixture f;
    (void)state;
    snprintf(whole, sizeof whole, "http://127.0.0.1:%d/otlp?key=1", http_sink_port(sink));
    snprintf(base, sizeof base, "http://127.0.0.1:%d/base/", http_sink_port(sink));
    struct exporter e = exporter_defaults(NULL, base);
    e.signal_endpoints[2] = sl_str(whole);
    fixture_open_on(&f, http_sink_port(sink), &e);
    f.sink = sink;
    sl_delivery *d = fixture_delivery(&f, SL_LOGS, 1);
    assert_int_equal(fixture_send(&f, d), SL_OK);
    plugin_host_end(f.h, d, SL_FAILED, NULL);
    assert_memory_equal(http_sink_seen(sink)->head, "POST /otlp?key=1 HTTP", 21);
    d = fixture_delivery(&f, SL_TRACES, 1);
    assert_int_equal(fixture_send(&f, d), SL_OK);
    plugin_host_end(f.h, d, SL_FAILED, NULL);
    assert_memory_equal(http_sink_seen(sink)->head, "POST /base/v1/traces HTTP", 25);
    fixture_close(&f);
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
    fixture_open_sink(&f, NULL);
    for (int i = 0; i < 3; i++) {
        sl_delivery *d = plugin_host_delivery_of(f.h, SL_TRACES, segments, i == 1 ? 1 : 64, 1);
        if (i == 2)
            http_sink_drop_next(f.sink);
        assert_int_equal(fixture_send(&f, d), SL_OK);
        plugin_host_end(f.h, d, SL_FAILED, NULL);
        const struct http_sink_seen *seen = http_sink_seen(f.sink);
        assert_int_equal(seen->body_n, i == 1 ? 1 : n);
        assert_memory_equal(seen->body, bytes, seen->body_n);
    }
    assert_int_equal(http_sink_seen(f.sink)->connections, 2);
    free(bytes);
    fixture_close(&f);
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
        struct exporter e = exporter_defaults(NULL, "");
        struct fixture f;
        e.compression = cases[c].compression;
        e.compression_params.level = cases[c].level;
        fixture_open_sink(&f, &e);
        assert_null(f.type->interface_of(&f.exporter, SL_ASYNC_SEND));
        assert_int_equal(f.exporter.client->curl == NULL, over_the_loop);
        for (int i = 0; i < 2; i++) {
            char plain[100];
            sl_delivery *d = fixture_delivery(&f, SL_TRACES, 2);
            assert_int_equal(plugin_host_send(f.type, &f.exporter, d, &f.send), SL_OK);
            plugin_host_end(f.h, d, SL_FAILED, NULL);
            const struct http_sink_seen *seen = http_sink_seen(f.sink);
            assert_non_null(strstr(seen->head, cases[c].header));
            assert_int_equal(unpack(e.compression, sl_slice(seen->body, seen->body_n), plain, 100),
                             18);
            assert_memory_equal(plain, "bytes of a request", 18);
        }
        fixture_close(&f);
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
        struct exporter e = exporter_defaults(NULL, "");
        struct fixture f;
        char plain[1000];
        e.compression = compressions[c];
        e.encoding = ENCODE_JSON;
        fixture_open_sink(&f, &e);
        assert_null(f.type->interface_of(&f.exporter, SL_ASYNC_SEND));
        assert_int_equal(f.exporter.client->curl == NULL, over_the_loop);
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
        fixture_close(&f);
    }
}

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
    struct exporter e = exporter_defaults(NULL, "");
    struct fixture f;
    (void)state;
    atomic_store(&token, 0);
    e.auth.authenticator = sl_str("bearertokenauth");
    struct http_sink *sink = http_sink_create(0);
    fixture_open_with(&f, http_sink_port(sink), &e, &old, &table);
    f.sink = sink;
    assert_int_equal(fixture_send_two(&f), SL_OK);
    assert_non_null(strstr(http_sink_seen(f.sink)->head, "\r\nauthorization: Bearer new\r\n"));
    assert_null(strstr(http_sink_seen(f.sink)->head, "Basic old"));
    assert_int_equal(fixture_send_two(&f), SL_ERR_UNAVAILABLE);
    assert_string_equal(f.send.why, "auth");
    assert_int_equal(http_sink_seen(f.sink)->requests, 1);
    assert_int_equal(fixture_send_two(&f), SL_OK);
    assert_int_equal(f.h->metadata_unrefs, 2);
    fixture_close(&f);
}

static void cookies_are_kept_where_wanted(void **state)
{
    (void)state;
    for (int wanted = 0; wanted <= 1; wanted++) {
        struct exporter e = exporter_defaults(NULL, "");
        struct fixture f;
        e.cookies.enabled = (uint8_t)wanted;
        fixture_open_sink(&f, &e);
        if (wanted) /* curl's business */
            assert_null(f.type->interface_of(&f.exporter, SL_ASYNC_SEND));
        fixture_answer(&f, "HTTP/1.1 200 OK\r\nSet-Cookie: node=7\r\nContent-Length: 0\r\n\r\n");
        for (int i = 0; i < 2; i++) {
            sl_delivery *d = fixture_delivery(&f, SL_TRACES, 1);
            assert_int_equal(plugin_host_send(f.type, &f.exporter, d, &f.send), SL_OK);
            plugin_host_end(f.h, d, SL_FAILED, NULL);
        }
        assert_int_equal(strstr(http_sink_seen(f.sink)->head, "\r\nCookie: node=7\r\n") != NULL,
                         wanted);
        fixture_close(&f);
    }
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
    const struct exporter good = exporter_defaults(h, "http://localhost:4318");
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
        assert_int_equal(prepare(exporter_defaults(h, endpoints[i].endpoint), &error),
                         endpoints[i].status);
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrives_as_it_is),
        cmocka_unit_test(own_paths),
        cmocka_unit_test(large_bodies),
        cmocka_unit_test(compressed_bodies),
        cmocka_unit_test(json_bodies),
        cmocka_unit_test(authenticators_are_asked),
        cmocka_unit_test(cookies_are_kept_where_wanted),
        cmocka_unit_test(what_is_missing_is_refused),
    };
    return run_each_way(tests, sizeof tests / sizeof *tests);
}
