/* The config keys of the OTLP/gRPC exporter and what is checked about them. Control thread. */
#include "exporters/otlp/exporter.h"

static const char *const compressions[] = {
    "gzip", "none", "", "zstd", "zlib", "deflate", "snappy", "x-snappy-framed", "lz4", NULL};
const char *const balancer_names[] = {"round_robin", "pick_first", NULL};

static const int64_t S = INT64_C(1000000000);
#define SECONDS_MAX INT64_C(86400000000000)

static const sl_field keepalive_fields[] = {
    SL_DURATION(struct keepalive, time, "Pings the server when nothing came from it for so long.",
                .def.i = INT64_C(10000000000), SL_RANGE(i, 1000000, SECONDS_MAX)),
    SL_DURATION(struct keepalive, timeout, "Closes the connection when a ping has no answer.",
                .def.i = INT64_C(10000000000), SL_RANGE(i, 1000000, SECONDS_MAX)),
    SL_BOOL(struct keepalive, permit_without_stream, "Pings also while nothing is being sent."),
    SL_END};
static const sl_struct keepalive_struct = {sizeof(struct keepalive), 0, keepalive_fields};

const sl_field exporter_fields[] = {
    SL_TEXT(struct exporter, endpoint,
            "Where to send: host:port, also with http:// in front, dns:///host:port, ipv4:, ipv6: "
            "or unix:.",
            .flags = SL_REQUIRED),
    SL_ENUM(struct exporter, compression, compressions,
            "gzip or none; gRPC's C core can send nothing else."),
    SL_STRUCT(struct exporter, tls, &client_tls_struct, "How the connection is secured."),
    SL_MAP(struct exporter, headers, "Headers that are sent with each request.",
           .flags = SL_SECRET),
    SL_STRUCT(struct exporter, keepalive, &keepalive_struct,
              "Pings that find dead connections; none without this key.",
              SL_PRESENT(struct exporter, keepalive_set)),
    SL_ENUM(struct exporter, balancer_name, balancer_names,
            "How requests are spread over the addresses that the endpoint resolves to."),
    SL_BOOL(struct exporter, wait_for_ready,
            "An attempt waits for the connection, up to its timeout, instead of failing at once."),
    SL_TEXT(struct exporter, authority, "The :authority that is sent; else the endpoint."),
    SL_TEXT(struct exporter, user_agent, "The user agent's first part.", .text = "Sluice/0.1"),
    SL_SIZE(struct exporter, read_buffer_size, "gRPC's C core sizes its buffers itself.",
            .flags = SL_IGNORED),
    SL_SIZE(struct exporter, write_buffer_size,
            "Requests are written from where they lie; there is no buffer.", .def.u = 524288,
            .flags = SL_IGNORED),
    CLIENT_REFUSED(struct exporter, auth, "authenticators."),
    CLIENT_REFUSED(struct exporter, middlewares, "middlewares."),
    SL_END};

static bool starts_with(sl_bytes text, const char *prefix)
{
    const size_t n = strlen(prefix);
    return text.n >= n && memcmp(text.p, prefix, n) == 0;
}

static sl_bytes without(sl_bytes text, size_t n)
{
    return sl_slice(text.p + n, text.n - n);
}

sl_bytes exporter_target(const struct exporter *e)
{
    return starts_with(e->endpoint, "http://") ? without(e->endpoint, strlen("http://"))
                                               : e->endpoint;
}

/* host:port, [address]:port */
static bool is_address(sl_bytes text)
{
    if (text.n == 0)
        return false;
    const uint8_t *colon = memrchr(text.p, ':', text.n);
    if (!colon || colon == text.p)
        return false;
    const sl_bytes port = without(text, (size_t)(colon - text.p) + 1);
    uint32_t number = 0;
    if (port.n == 0 || port.n > 5)
        return false;
    for (size_t i = 0; i < port.n; i++) {
        if (port.p[i] < '0' || port.p[i] > '9')
            return false;
        number = number * 10 + (uint32_t)(port.p[i] - '0');
    }
    const sl_bytes host = sl_slice(text.p, (size_t)(colon - text.p));
    const bool bracketed = host.p[0] == '[';
    if (bracketed != (host.p[host.n - 1] == ']') || (!bracketed && memchr(host.p, ':', host.n)) ||
        memchr(host.p, '/', host.n))
        return false;
    return number <= 65535;
}

static int32_t check_endpoint(const struct exporter *e, sl_error *error)
{
    const sl_bytes target = exporter_target(e);
    const int shown = (int)(e->endpoint.n < 200 ? e->endpoint.n : 200);
    const char *text = (const char *)e->endpoint.p;
    sl_bytes address = target;
    if (starts_with(target, "https://"))
        return sl_fail(
            error, SL_ERR_UNSUPPORTED,
            "endpoint \"%.*s\": TLS is not supported by this version; give host:port and "
            "tls.insecure: true",
            shown, text);
    if (starts_with(target, "unix:"))
        return target.n > strlen("unix:")
                   ? SL_OK
                   : sl_fail(error, SL_ERR_INVALID, "endpoint \"%.*s\" lacks a path", shown, text);
    if (starts_with(target, "dns://")) { /* dns://[server]/host:port */
        const sl_bytes rest = without(target, strlen("dns://"));
        const uint8_t *slash = rest.n ? memchr(rest.p, '/', rest.n) : NULL;
        address = slash ? without(rest, (size_t)(slash - rest.p) + 1) : sl_slice(NULL, 0);
    } else if (starts_with(target, "dns:")) {
        address = without(target, strlen("dns:"));
    } else if (starts_with(target, "ipv4:")) {
        address = without(target, strlen("ipv4:"));
    } else if (starts_with(target, "ipv6:")) {
        address = without(target, strlen("ipv6:"));
    }
    if (is_address(address))
        return SL_OK;
    return sl_fail(error, SL_ERR_INVALID,
                   "endpoint \"%.*s\" is not of the form host:port, such as \"localhost:4317\"",
                   shown, text);
}

static int32_t check_headers(const struct exporter *e, sl_error *error)
{
    for (uint32_t i = 0; i < e->headers.n; i++) {
        const sl_meta_entry *header = SL_LIST_AT(sl_meta_entry, e->headers, i);
        char lower[256];
        if (header->key.n == 0 || header->key.n >= sizeof lower)
            return sl_fail(error, SL_ERR_INVALID,
                           "headers: a name of %zu bytes; at most %zu are possible", header->key.n,
                           sizeof lower - 1);
        for (size_t k = 0; k < header->key.n; k++) {
            const uint8_t c = header->key.p[k];
            lower[k] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
        }
        const grpc_slice key = grpc_slice_from_static_buffer(lower, header->key.n);
        const grpc_slice value = grpc_slice_from_static_buffer(header->value.p, header->value.n);
        if (!grpc_header_key_is_legal(key))
            return sl_fail(error, SL_ERR_INVALID, "headers: \"%.*s\" cannot be a header's name",
                           (int)header->key.n, lower);
        if (strncmp(lower, "grpc-", header->key.n < 5 ? header->key.n : 5) == 0)
            return sl_fail(error, SL_ERR_INVALID,
                           "headers: \"%.*s\" is gRPC's own; names that begin with grpc- are not "
                           "available",
                           (int)header->key.n, lower);
        if (!grpc_is_binary_header(key) && !grpc_header_nonbin_value_is_legal(value))
            return sl_fail(
                error, SL_ERR_INVALID,
                "headers: the value of \"%.*s\" has characters that a header cannot have",
                (int)header->key.n, lower);
    }
    return SL_OK;
}

int32_t exporter_prepare(void *component, sl_error *error)
{
    const struct exporter *e = component;
    int32_t status = check_endpoint(e, error);
    if (status == SL_OK)
        status = client_check_tls(&e->tls, error);
    if (status == SL_OK)
        status = client_refuse(e->auth, "auth", error);
    if (status == SL_OK)
        status = client_refuse(e->middlewares, "middlewares", error);
    if (status == SL_OK)
        status = check_headers(e, error);
    if (status != SL_OK)
        return status;
    if (!e->tls.insecure)
        return sl_fail(error, SL_ERR_UNSUPPORTED,
                       "TLS is not supported by this version; set tls.insecure: true to send in "
                       "plain text");
    if (e->compression >= COMPRESS_REFUSED)
        return sl_fail(error, SL_ERR_UNSUPPORTED,
                       "compression: gRPC's C core cannot announce %s to the server; use gzip or "
                       "none, or the exporter otlphttp",
                       compressions[e->compression]);
    if (e->keepalive_set && e->keepalive.time < 10 * S)
        sl_log(
            sl_host_of(e), SL_LOG_WARN,
            "keepalive.time is below 10s: gRPC servers may close connections that ping so often");
    return SL_OK;
}
