/* The config keys of the OTLP/gRPC exporter and what is checked about them. Control thread. */
#include "exporters/otlp/exporter.h"
#include "exporters/otlp_client/proxy.h"

#include <stdlib.h>
#include <strings.h>

static const char *const compressions[] = {
    "gzip", "none", "", "zstd", "zlib", "deflate", "snappy", "x-snappy-framed", "lz4", NULL};
const char *const balancer_names[] = {"round_robin", "pick_first", NULL};

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
            "Where to send: host:port, also with http:// or https:// in front, dns:///host:port, "
            "ipv4: and ipv6: with a list of addresses, or unix:.",
            .flags = SL_REQUIRED),
    SL_ENUM(struct exporter, compression, compressions,
            "gzip or none; gRPC's C core can send nothing else."),
    SL_STRUCT(struct exporter, tls, &tls_client_struct, "How the connection is secured."),
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
    SL_STRUCT(struct exporter, auth, &client_auth_struct, "Who gives the credentials."),
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
    const size_t scheme = starts_with(e->endpoint, "http://")    ? strlen("http://")
                          : starts_with(e->endpoint, "https://") ? strlen("https://")
                                                                 : 0;
    return without(e->endpoint, scheme);
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

/* ipv4:a:1,b:2 */
static bool is_address_list(sl_bytes text)
{
    const uint8_t *comma;
    while (text.n && (comma = memchr(text.p, ',', text.n))) {
        if (!is_address(sl_slice(text.p, (size_t)(comma - text.p))))
            return false;
        text = without(text, (size_t)(comma - text.p) + 1);
    }
    return is_address(text);
}

/* The address within a target, where it is one; gRPC resolves the others by themselves. */
static sl_bytes address_of(sl_bytes target)
{
    if (starts_with(target, "dns://")) { /* dns://[server]/host:port */
        const sl_bytes rest = without(target, strlen("dns://"));
        const uint8_t *slash = rest.n ? memchr(rest.p, '/', rest.n) : NULL;
        return slash ? without(rest, (size_t)(slash - rest.p) + 1) : sl_slice(NULL, 0);
    }
    return starts_with(target, "dns:") ? without(target, strlen("dns:")) : target;
}

static int32_t check_endpoint(const struct exporter *e, sl_error *error)
{
    const sl_bytes target = exporter_target(e);
    const int shown = (int)(e->endpoint.n < 200 ? e->endpoint.n : 200);
    const char *text = (const char *)e->endpoint.p;
    bool good;
    if (starts_with(target, "unix:"))
        return target.n > strlen("unix:")
                   ? SL_OK
                   : sl_fail(error, SL_ERR_INVALID, "endpoint \"%.*s\" lacks a path", shown, text);
    if (starts_with(target, "ipv4:") || starts_with(target, "ipv6:"))
        good = is_address_list(without(target, strlen("ipv4:")));
    else
        good = is_address(address_of(target));
    if (good)
        return SL_OK;
    return sl_fail(error, SL_ERR_INVALID,
                   "endpoint \"%.*s\" is not of the form host:port, such as \"localhost:4317\"",
                   shown, text);
}

/* As grpc-go: HTTPS_PROXY counts, whether the connection is secured or not. */
int32_t exporter_proxy(const struct exporter *e, char **proxy, sl_error *error)
{
    const sl_bytes address = address_of(exporter_target(e));
    const uint8_t *colon = address.n ? memrchr(address.p, ':', address.n) : NULL;
    *proxy = NULL;
    if (!is_address(address))
        return SL_OK;
    size_t n = (size_t)(colon - address.p);
    const char *from = (const char *)address.p;
    if (from[0] == '[') {
        from++;
        n -= 2;
    }
    char *host = strndup(from, n);
    char *port = strndup((const char *)colon + 1, address.n - (size_t)(colon + 1 - address.p));
    const char *named = host && port ? client_proxy(true, host, port) : NULL;
    const bool whole = named && strstr(named, "://");
    int32_t status = host && port ? SL_OK : SL_ERR_NOMEM;
    free(host);
    free(port);
    if (whole && strncasecmp(named, "http://", strlen("http://")) != 0)
        return sl_fail(error, SL_ERR_UNSUPPORTED,
                       "the environment's HTTPS_PROXY: gRPC goes through http:// proxies only");
    if (named && asprintf(proxy, "%s%s", whole ? "" : "http://", named) < 0) {
        *proxy = NULL;
        status = SL_ERR_NOMEM;
    }
    return status == SL_OK ? SL_OK : sl_fail(error, status, "no memory for the proxy's name");
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
    struct exporter *e = component;
    const sl_auth_client *auth;
    char *proxy = NULL;
    e->https = starts_with(e->endpoint, "https://");
    int32_t status = check_endpoint(e, error);
    if (status == SL_OK)
        status = exporter_check_tls(e, error);
    if (status == SL_OK)
        status = exporter_proxy(e, &proxy, error);
    free(proxy);
    if (status == SL_OK)
        status = client_auth_find(sl_host_of(e), &e->auth, &auth, error);
    if (status == SL_OK)
        status = client_refuse(e->middlewares, "middlewares", error);
    if (status == SL_OK)
        status = check_headers(e, error);
    if (status != SL_OK)
        return status;
    if (e->compression >= COMPRESS_REFUSED)
        return sl_fail(error, SL_ERR_UNSUPPORTED,
                       "compression: gRPC's C core cannot announce %s to the server; use gzip or "
                       "none, or the exporter otlphttp",
                       compressions[e->compression]);
    return SL_OK;
}
