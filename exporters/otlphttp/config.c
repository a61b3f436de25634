/* The config keys of the OTLP/HTTP exporter and what is checked about them. Control thread. */
#include "exporters/otlphttp/exporter.h"

#include <stdlib.h>
#include <strings.h>

#define SECONDS_MAX INT64_C(86400000000000)

const char *const exporter_compressions[] = {
    "gzip", "none", "", "zstd", "zlib", "deflate", "snappy", "x-snappy-framed", "lz4", NULL};
static const char *const encodings[] = {"proto", "json", NULL};

static const sl_field params_fields[] = {SL_I64(struct compression_params, level,
                                                "gzip, zlib, deflate: 1 (fast) to 9 (small), -1 "
                                                "for the usual 6, -2 for Huffman codes only; "
                                                "zstd: 1 to 19. 0: 1."),
                                         SL_END};
static const sl_struct params_struct = {sizeof(struct compression_params), 0, params_fields};

#define SIGNAL_ENDPOINT(i, key_, help_)                                                            \
    {                                                                                              \
        .key = (key_), .kind = SL_FIELD_TEXT,                                                      \
        .offset =                                                                                  \
            (uint32_t)(offsetof(struct exporter, signal_endpoints) + (i) * sizeof(sl_bytes)),      \
        .help = (help_)                                                                            \
    }

const sl_field exporter_fields[] = {
    SL_TEXT(struct exporter, endpoint,
            "Base URL, http://host:port; /v1/traces and the like are appended."),
    SIGNAL_ENDPOINT(0, "traces_endpoint", "URL for traces, used as it is."),
    SIGNAL_ENDPOINT(1, "metrics_endpoint", "URL for metrics, used as it is."),
    SIGNAL_ENDPOINT(2, "logs_endpoint", "URL for logs, used as it is."),
    SIGNAL_ENDPOINT(3, "profiles_endpoint", "URL for profiles, used as it is."),
    SL_ENUM(struct exporter, encoding, encodings, "The form of requests."),
    SL_ENUM(struct exporter, compression, exporter_compressions,
            "gzip, zstd, zlib, deflate (the same as zlib by its other name) or none."),
    SL_STRUCT(struct exporter, compression_params, &params_struct, "How hard to compress."),
    SL_STRUCT(struct exporter, tls, &client_tls_struct, "How the connection is secured."),
    SL_MAP(struct exporter, headers, "Headers that are sent with each request.",
           .flags = SL_SECRET),
    SL_BOOL(struct exporter, disable_keep_alives, "A connection for each request."),
    SL_DURATION(struct exporter, idle_conn_timeout,
                "Connections that have been idle for longer are not used again.",
                .def.i = INT64_C(90000000000), SL_RANGE(i, 0, SECONDS_MAX)),
    SL_SIZE(struct exporter, write_buffer_size, "Bytes that are written to the socket at once.",
            .def.u = 524288),
    SL_SIZE(struct exporter, read_buffer_size, "Bytes that are read from the socket at once."),
    SL_IGNORE("max_idle_conns", "Each consumer of the queue keeps one connection."),
    SL_IGNORE("max_idle_conns_per_host", "Each consumer of the queue keeps one connection."),
    SL_IGNORE("max_conns_per_host", "sending_queue.num_consumers bounds the connections."),
    SL_IGNORE("force_attempt_http2", "HTTP/1.1 is used."),
    SL_IGNORE("http2_read_idle_timeout", "HTTP/1.1 is used."),
    SL_IGNORE("http2_ping_timeout", "HTTP/1.1 is used."),
    CLIENT_REFUSED(struct exporter, proxy_url, "proxies by this key."),
    CLIENT_REFUSED(struct exporter, auth, "authenticators."),
    CLIENT_REFUSED(struct exporter, cookies, "cookies."),
    CLIENT_REFUSED(struct exporter, middlewares, "middlewares."),
    SL_END};

char *exporter_url(const struct exporter *e, unsigned signal, bool *missing)
{
    static const char *const paths[SIGNALS] = {"v1/traces", "v1/metrics", "v1/logs",
                                               "v1development/profiles"};
    const sl_bytes whole = e->signal_endpoints[signal];
    const sl_bytes base = whole.n ? whole : e->endpoint;
    *missing = base.n == 0;
    if (*missing)
        return NULL;
    const bool slash = base.p[base.n - 1] == '/';
    const size_t size = base.n + 1 + strlen(paths[signal]) + 1;
    char *url = malloc(size);
    if (url && whole.n)
        (void)snprintf(url, size, "%.*s", (int)whole.n, (const char *)whole.p);
    else if (url)
        (void)snprintf(url, size, "%.*s%s%s", (int)base.n, (const char *)base.p, slash ? "" : "/",
                       paths[signal]);
    return url;
}

static int32_t check_url(const char *url, sl_error *error)
{
    char *scheme = NULL, *user = NULL;
    CURLU *u = curl_url();
    int32_t status = SL_OK;
    if (!u)
        return sl_fail(error, SL_ERR_NOMEM, "no memory for an URL");
    if (curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
        status = sl_fail(error, SL_ERR_INVALID,
                         "endpoint: \"%.200s\" is not of the form http://host:port/path", url);
    else if (strcmp(scheme, "https") == 0)
        status =
            sl_fail(error, SL_ERR_UNSUPPORTED,
                    "endpoint: \"%.200s\": TLS is not supported by this version; use http://", url);
    else if (strcmp(scheme, "http") != 0)
        status =
            sl_fail(error, SL_ERR_INVALID, "endpoint: \"%.200s\" does not begin with http://", url);
    else if (curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_OK)
        status = sl_fail(error, SL_ERR_UNSUPPORTED,
                         "endpoint: a user and password in it are not supported by this version; "
                         "give a header \"authorization\"");
    curl_free(scheme);
    curl_free(user);
    curl_url_cleanup(u);
    return status;
}

static int32_t check_endpoints(const struct exporter *e, sl_error *error)
{
    bool any = false;
    for (unsigned i = 0; i <= SIGNALS; i++) {
        const sl_bytes text = i < SIGNALS ? e->signal_endpoints[i] : e->endpoint;
        if (text.n == 0)
            continue;
        char *url = malloc(text.n + 1);
        if (!url)
            return sl_fail(error, SL_ERR_NOMEM, "no memory for an URL");
        memcpy(url, text.p, text.n);
        url[text.n] = '\0';
        const int32_t status = check_url(url, error);
        free(url);
        if (status != SL_OK)
            return status;
        any = true;
    }
    return any ? SL_OK
               : sl_fail(error, SL_ERR_INVALID,
                         "endpoint is missing; set it, or traces_endpoint, metrics_endpoint and so "
                         "on");
}

static bool is_token(sl_bytes name)
{
    for (size_t i = 0; i < name.n; i++) {
        const uint8_t c = name.p[i];
        if (c <= ' ' || c >= 0x7f || strchr("()<>@,;:\\\"/[]?={}", c))
            return false;
    }
    return name.n > 0;
}

static bool is_value(sl_bytes value)
{
    for (size_t i = 0; i < value.n; i++) {
        if ((value.p[i] < ' ' && value.p[i] != '\t') || value.p[i] == 0x7f)
            return false;
    }
    return true;
}

static int32_t check_headers(const struct exporter *e, sl_error *error)
{
    static const char *const own[] = {"content-type",      "content-encoding", "content-length",
                                      "transfer-encoding", "connection",       "expect"};
    for (uint32_t i = 0; i < e->headers.n; i++) {
        const sl_meta_entry *header = SL_LIST_AT(sl_meta_entry, e->headers, i);
        const int shown = (int)(header->key.n < 100 ? header->key.n : 100);
        if (!is_token(header->key))
            return sl_fail(error, SL_ERR_INVALID, "headers: \"%.*s\" cannot be a header's name",
                           shown, (const char *)header->key.p);
        if (!is_value(header->value))
            return sl_fail(
                error, SL_ERR_INVALID,
                "headers: the value of \"%.*s\" has characters that a header cannot have", shown,
                (const char *)header->key.p);
        for (size_t k = 0; k < sizeof own / sizeof *own; k++) {
            if (header->key.n == strlen(own[k]) &&
                strncasecmp((const char *)header->key.p, own[k], header->key.n) == 0)
                return sl_fail(error, SL_ERR_INVALID,
                               "headers: \"%s\" follows from the data and cannot be set", own[k]);
        }
    }
    return SL_OK;
}

bool exporter_compresses(const struct exporter *e)
{
    return e->compression != COMPRESS_NONE && e->compression != COMPRESS_EMPTY;
}

int exporter_level(const struct exporter *e)
{
    const int64_t level = e->compression_params.level;
    if (level == 0)
        return PACK_FASTEST;
    return (int)(level < INT16_MIN ? INT16_MIN : level > INT16_MAX ? INT16_MAX : level);
}

static int32_t check_compression(const struct exporter *e, sl_error *error)
{
    const int64_t level = e->compression_params.level;
    const char *name = exporter_compressions[e->compression];
    if (e->compression >= COMPRESS_REFUSED)
        return sl_fail(
            error, SL_ERR_UNSUPPORTED,
            "compression: %s is not supported; use zstd, which is as fast and smaller, or "
            "gzip, which every OTLP server takes",
            name);
    if (exporter_compresses(e) && e->compression != COMPRESS_ZSTD && (level < -2 || level > 9))
        return sl_fail(error, SL_ERR_INVALID,
                       "compression_params.level: %s has the levels -2 to 9, not %lld", name,
                       (long long)level);
    return SL_OK;
}

int32_t exporter_prepare(void *component, sl_error *error)
{
    const struct exporter *e = component;
    const struct {
        const sl_raw *raw;
        const char *key;
    } refused[] = {{e->proxy_url, "proxy_url"},
                   {e->auth, "auth"},
                   {e->cookies, "cookies"},
                   {e->middlewares, "middlewares"}};
    int32_t status = check_endpoints(e, error);
    if (status == SL_OK)
        status = client_check_tls(&e->tls, error);
    for (size_t i = 0; i < sizeof refused / sizeof *refused && status == SL_OK; i++)
        status = client_refuse(refused[i].raw, refused[i].key, error);
    if (status == SL_OK)
        status = check_headers(e, error);
    return status == SL_OK ? check_compression(e, error) : status;
}
