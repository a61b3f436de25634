/* The config keys of the OTLP/HTTP exporter and what is checked about them. Control thread. */
#include "exporters/otlphttp/curl.h"

#include <stdlib.h>
#include <strings.h>

#define SECONDS_MAX INT64_C(86400000000000)

static const char *const encodings[] = {"proto", "json", NULL};

static const sl_field params_fields[] = {SL_I64(struct compression_params, level,
                                                "gzip, zlib, deflate: 1 (fast) to 9 (small), -1 "
                                                "for the usual 6, -2 for Huffman codes only; "
                                                "zstd: 1 to 19. 0: 1."),
                                         SL_END};
static const sl_struct params_struct = {sizeof(struct compression_params), 0, params_fields};

static const sl_field cookies_fields[] = {
    SL_BOOL(struct cookies, enabled, "They are kept and sent back, as long as the process runs."),
    SL_END};
static const sl_struct cookies_struct = {sizeof(struct cookies), 0, cookies_fields};

#define SIGNAL_ENDPOINT(i, key_, help_)                                                            \
    {                                                                                              \
        .key = (key_), .kind = SL_FIELD_TEXT,                                                      \
        .offset =                                                                                  \
            (uint32_t)(offsetof(struct exporter, signal_endpoints) + (i) * sizeof(sl_bytes)),      \
        .help = (help_)                                                                            \
    }

const sl_field exporter_fields[] = {
    SL_TEXT(struct exporter, endpoint,
            "Base URL, http://host:port or https://host:port, to which /v1/traces and the like are "
            "appended; or unix:///path/of/a/socket."),
    SIGNAL_ENDPOINT(0, "traces_endpoint", "URL for traces, used as it is."),
    SIGNAL_ENDPOINT(1, "metrics_endpoint", "URL for metrics, used as it is."),
    SIGNAL_ENDPOINT(2, "logs_endpoint", "URL for logs, used as it is."),
    SIGNAL_ENDPOINT(3, "profiles_endpoint", "URL for profiles, used as it is."),
    SL_ENUM(struct exporter, encoding, encodings, "The form of requests."),
    SL_ENUM(struct exporter, compression, exporter_compressions,
            "gzip, zstd, zlib, deflate (the same as zlib by its other name), snappy (a block), "
            "x-snappy-framed, lz4 or none."),
    SL_STRUCT(struct exporter, compression_params, &params_struct, "How hard to compress."),
    SL_STRUCT(struct exporter, tls, &tls_client_struct, "How https:// is secured."),
    SL_MAP(struct exporter, headers, "Headers that are sent with each request.",
           .flags = SL_SECRET),
    SL_BOOL(struct exporter, disable_keep_alives, "A connection for each request."),
    SL_DURATION(struct exporter, idle_conn_timeout,
                "Connections that have been idle for longer are not used again.",
                .def.i = INT64_C(90000000000), SL_RANGE(i, 0, SECONDS_MAX)),
    SL_SIZE(struct exporter, write_buffer_size, "Bytes that are written to the socket at once.",
            .def.u = 524288),
    SL_SIZE(struct exporter, read_buffer_size, "Bytes that are read from the socket at once."),
    SL_U32(struct exporter, max_idle_conns, "Idle connections that are kept; 0: all.",
           .def.u = 100),
    SL_U32(struct exporter, max_idle_conns_per_host,
           "The same for each host; 0: as many as were needed at one time."),
    SL_U32(struct exporter, max_conns_per_host,
           "Connections at one time; attempts wait for one, up to their timeout. 0: no limit."),
    SL_TEXT(
        struct exporter, proxy_url,
        "http://host:port or socks5://host:port; else what HTTP_PROXY, HTTPS_PROXY and NO_PROXY "
        "say.",
        .flags = SL_SECRET),
    SL_STRUCT(struct exporter, auth, &client_auth_struct, "Who gives the credentials."),
    SL_STRUCT(struct exporter, cookies, &cookies_struct,
              "Whether a destination's cookies are kept."),
    SL_IGNORE("force_attempt_http2", "HTTP/1.1 is used, over as many connections as it takes."),
    SL_IGNORE("http2_read_idle_timeout", "HTTP/1.1 is used."),
    SL_IGNORE("http2_ping_timeout", "HTTP/1.1 is used."),
    CLIENT_REFUSED(struct exporter, middlewares, "middlewares."),
    SL_END};

int32_t exporter_load_curl(const sl_host *host, const struct curl_api **curl, sl_error *error)
{
    const sl_plugins *plugins = (const sl_plugins *)sl_interface(host, SL_PLUGINS);
    const void *table = NULL;
    const int32_t status =
        plugins ? plugins->load(host, OTLPHTTP_CURL_PLUGIN, OTLPHTTP_CURL, &table, error)
                : sl_fail(error, SL_ERR_UNSUPPORTED,
                          "the host loads no plugins: " OTLPHTTP_CURL_PLUGIN " is needed");
    *curl = (const struct curl_api *)table;
    return status;
}

static int32_t check_proxy(const struct route *r, sl_error *error)
{
    if (!r->proxy || !strstr(r->proxy, "://") || strncasecmp(r->proxy, "http://", 7) == 0 ||
        strncasecmp(r->proxy, "socks5://", 9) == 0 || strncasecmp(r->proxy, "socks5h://", 10) == 0)
        return SL_OK;
    char text[CLIENT_URL_MAX];
    client_url_text(text, sizeof text, sl_str(r->proxy));
    return sl_fail(error, SL_ERR_UNSUPPORTED,
                   "proxy \"%s\": proxies are http://, socks5:// or socks5h://; what goes through "
                   "them to an https:// endpoint is secured by itself",
                   text);
}

/* Also reads the files that the endpoints need. */
static int32_t check_endpoints(const struct exporter *e, sl_error *error)
{
    bool any = false, https = false;
    for (unsigned i = 0; i < SIGNALS; i++) {
        struct route r;
        int32_t status = route_make(e, i, &r, error);
        if (status != SL_OK)
            return status;
        any = any || r.target;
        https = https || r.https;
        status = check_proxy(&r, error);
        route_deinit(&r);
        if (status != SL_OK)
            return status;
    }
    if (!any)
        return sl_fail(error, SL_ERR_INVALID,
                       "endpoint is missing; set it, or traces_endpoint, metrics_endpoint and so "
                       "on");
    if (!https)
        return SL_OK;
    const struct curl_api *curl;
    const int32_t status = exporter_load_curl(sl_host_of(e), &curl, error);
    return status == SL_OK ? curl->check_tls(sl_host_of(e), &e->tls, error) : status;
}

static int32_t check_headers(const struct exporter *e, sl_error *error)
{
    static const char *const own[] = {"content-type",      "content-encoding", "content-length",
                                      "transfer-encoding", "connection",       "expect"};
    for (uint32_t i = 0; i < e->headers.n; i++) {
        const sl_meta_entry *header = SL_LIST_AT(sl_meta_entry, e->headers, i);
        const int shown = (int)(header->key.n < 100 ? header->key.n : 100);
        if (!client_header_name(header->key))
            return sl_fail(error, SL_ERR_INVALID, "headers: \"%.*s\" cannot be a header's name",
                           shown, (const char *)header->key.p);
        if (!client_header_value(header->value))
            return sl_fail(
                error, SL_ERR_INVALID,
                "headers: the value of \"%.*s\" has characters that a header cannot have", shown,
                (const char *)header->key.p);
        for (size_t k = 0; k < sizeof own / sizeof *own; k++) {
            if (client_name_is(header->key, own[k]))
                return sl_fail(error, SL_ERR_INVALID,
                               "headers: \"%s\" follows from the data and cannot be set", own[k]);
        }
    }
    return SL_OK;
}

static int32_t check_compression(const struct exporter *e, sl_error *error)
{
    const int64_t level = e->compression_params.level;
    const char *name = exporter_compressions[e->compression];
    if (e->compression >= COMPRESS_SNAPPY && level != 0)
        return sl_fail_at(error, SL_ERR_INVALID, &e->compression_params.level,
                          "compression_params.level: %s has no levels", name);
    if (exporter_compresses(e) && e->compression != COMPRESS_ZSTD &&
        e->compression < COMPRESS_SNAPPY && (level < -2 || level > 9))
        return sl_fail(error, SL_ERR_INVALID,
                       "compression_params.level: %s has the levels -2 to 9, not %lld", name,
                       (long long)level);
    return SL_OK;
}

int32_t exporter_prepare(void *component, sl_error *error)
{
    const struct exporter *e = component;
    const sl_auth_client *auth;
    int32_t status = tls_client_check(&e->tls, "tls", error);
    if (status == SL_OK)
        status = check_endpoints(e, error);
    if (status == SL_OK)
        status = client_auth_find(sl_host_of(e), &e->auth, &auth, error);
    if (status == SL_OK)
        status = client_refuse(e->middlewares, "middlewares", error);
    if (status == SL_OK)
        status = check_headers(e, error);
    return status == SL_OK ? check_compression(e, error) : status;
}
