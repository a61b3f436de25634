/* The config keys of the OTLP receiver, as the OpenTelemetry Collector has them, and what is
 * checked about them. What this version does not do yet is refused here, never ignored. [control]
 */
#include "formats/sender/sender.h"
#include "receivers/otlp/encoding.h"
#include "receivers/otlp/receiver.h"
#include "receivers/otlp/response_headers.h"

#define SECOND INT64_C(1000000000)
#define LONGEST (INT64_C(365) * 86400 * SECOND)
#define NOT_YET "Not in this version of Sluice: refused when set."
#define INCLUDE_METADATA                                                                           \
    "Headers go with the data, for processors such as batch; without those of the connection and " \
    "those that hold credentials."

enum { MESSAGE_MIB_DEFAULT = 4 }; /* gRPC's own, and the Collector's */

/* ---- who may send ---- */

#define AUTHENTICATOR                                                                              \
    SL_TEXT(struct auth_config, authenticator,                                                     \
            "An extension that checks who sends, such as \"basicauth\"; it must be listed in "     \
            "service.extensions.")

static const sl_field grpc_auth_fields[] = {AUTHENTICATOR, SL_END};
static const sl_struct grpc_auth_struct = {sizeof(struct auth_config), 0, grpc_auth_fields};

static const sl_field http_auth_fields[] = {
    AUTHENTICATOR,
    SL_TEXTS(struct auth_config, request_params,
             "Parameters of the URL's query that the authenticator sees in place of the headers of "
             "the same names."),
    SL_END};
static const sl_struct http_auth_struct = {sizeof(struct auth_config), 0, http_auth_fields};

static const sl_field cors_fields[] = {
    SL_TEXTS(struct cors_config, allowed_origins,
             "Origins whose pages may send; * stands for anything, once in each, and alone for all "
             "origins."),
    SL_TEXTS(struct cors_config, allowed_headers,
             "Headers that they may set; * for all. Where none are given: Accept, Content-Type, "
             "X-Requested-With."),
    SL_TEXTS(struct cors_config, exposed_headers, "Headers of answers that pages may read."),
    SL_I64(struct cors_config, max_age,
           "How long browsers may remember what is allowed; 0: not said, negative: not at all.",
           .unit = "seconds"),
    SL_END};
static const sl_struct cors_struct = {sizeof(struct cors_config), 0, cors_fields};

/* ---- grpc ---- */

static const sl_field parameters_fields[] = {
    SL_DURATION(struct server_parameters, max_connection_idle,
                "Closes a connection that has had no request for so long; 0: never.",
                SL_RANGE(i, 0, LONGEST)),
    SL_DURATION(struct server_parameters, max_connection_age,
                "Asks a client to connect anew after so long; 0: never.", SL_RANGE(i, 0, LONGEST)),
    SL_DURATION(struct server_parameters, max_connection_age_grace,
                "What running requests get to end after max_connection_age; 0: all they need.",
                SL_RANGE(i, 0, LONGEST)),
    SL_DURATION(struct server_parameters, time,
                "Pings a client that has been silent for so long; 0: two hours.",
                SL_RANGE(i, 0, LONGEST)),
    SL_DURATION(struct server_parameters, timeout,
                "Closes a connection whose ping has no answer after so long; 0: 20 seconds.",
                SL_RANGE(i, 0, LONGEST)),
    SL_END};
static const sl_struct parameters_struct = {sizeof(struct server_parameters), 0, parameters_fields};

static const sl_field policy_fields[] = {
    SL_DURATION(struct enforcement_policy, min_time,
                "A client that pings more often is sent away; 0: five minutes.",
                SL_RANGE(i, 0, LONGEST)),
    SL_BOOL(struct enforcement_policy, permit_without_stream,
            "Clients may ping while no request is running."),
    SL_END};
static const sl_struct policy_struct = {sizeof(struct enforcement_policy), 0, policy_fields};

static const sl_field keepalive_fields[] = {
    SL_STRUCT(struct keepalive_config, server_parameters, &parameters_struct,
              "How long connections live, and when they are probed."),
    SL_STRUCT(struct keepalive_config, enforcement_policy, &policy_struct,
              "How often clients may probe."),
    SL_END};
static const sl_struct keepalive_struct = {sizeof(struct keepalive_config), 0, keepalive_fields};

static const sl_field grpc_fields[] = {
    SL_TEXT(struct grpc_config, endpoint, "Where to listen: host:port, or a path.",
            .text = "localhost:4317"),
    SL_TEXT(struct grpc_config, transport, "tcp, tcp4, tcp6, or unix: the endpoint is a path then.",
            .text = "tcp"),
    SL_U32(struct grpc_config, max_recv_msg_size_mib,
           "The largest request, before and after decompression; 0: 4 MiB.", .unit = "MiB",
           SL_RANGE(u, 0, 2047)),
    SL_U32(struct grpc_config, max_concurrent_streams,
           "Requests that may run on one connection; 0: 100."),
    SL_STRUCT(struct grpc_config, keepalive, &keepalive_struct,
              "Probing of connections, both ways."),
    SL_SIZE(struct grpc_config, read_buffer_size, "gRPC's C core sizes its buffers itself.",
            .def.u = 524288, .flags = SL_IGNORED),
    SL_SIZE(struct grpc_config, write_buffer_size, "gRPC's C core sizes its buffers itself.",
            .flags = SL_IGNORED),
    SL_BOOL(struct grpc_config, include_metadata, INCLUDE_METADATA),
    SL_STRUCT(struct grpc_config, auth, &grpc_auth_struct, "Who may send; without it, everybody.",
              SL_PRESENT(struct grpc_config, auth_given)),
    SL_STRUCT(struct grpc_config, tls, &tls_server_struct,
              "TLS; without this key connections are plain text.",
              SL_PRESENT(struct grpc_config, tls_on)),
    SL_IGNORE("dialer", "A server calls nobody."),
    SL_RAW(struct grpc_config, middlewares, NOT_YET),
    SL_END};
static const sl_struct grpc_struct = {sizeof(struct grpc_config), 0, grpc_fields};

/* ---- http ---- */

static const sl_field http_fields[] = {
    SL_TEXT(struct http_config, endpoint, "Where to listen: host:port, or a path.",
            .text = "localhost:4318"),
    SL_TEXT(struct http_config, transport, "tcp, tcp4, tcp6, or unix: the endpoint is a path then.",
            .text = "tcp"),
    SL_TEXT(struct http_config, traces_url_path, "Where traces are posted to.",
            .text = "/v1/traces"),
    SL_TEXT(struct http_config, metrics_url_path, "Where metrics are posted to.",
            .text = "/v1/metrics"),
    SL_TEXT(struct http_config, logs_url_path, "Where logs are posted to.", .text = "/v1/logs"),
    SL_SIZE(struct http_config, max_request_body_size,
            "The largest body, before and after decompression; 0: 20 MiB.", .unit = "bytes",
            .def.u = 20971520, SL_RANGE(u, 0, UINT32_MAX)),
    SL_DURATION(struct http_config, read_timeout,
                "What a body may take to arrive; 0: no fixed time, but at least 1 KiB a second on "
                "average once 10 seconds have passed.",
                SL_RANGE(i, 0, LONGEST)),
    SL_DURATION(struct http_config, read_header_timeout,
                "What a request's headers may take to arrive; 0: for ever.", .def.i = 10 * SECOND,
                SL_RANGE(i, 0, LONGEST)),
    SL_DURATION(struct http_config, write_timeout,
                "What a client may take to read an answer; 0: for ever.", .def.i = 30 * SECOND,
                SL_RANGE(i, 0, LONGEST)),
    SL_DURATION(struct http_config, idle_timeout,
                "How long a connection may wait for its next request; 0: until its place is "
                "needed.",
                SL_RANGE(i, 0, LONGEST)),
    SL_BOOL(struct http_config, keep_alives_enabled, "Connections may serve several requests.",
            .def.u = 1),
    SL_TEXTS(struct http_config, compression_algorithms,
             "Content encodings that are taken, of \"\", gzip, zstd, zlib, deflate, snappy, "
             "x-snappy-framed and lz4; all of them where nothing is given.",
             SL_PRESENT(struct http_config, algorithms_given)),
    SL_BOOL(struct http_config, include_metadata, INCLUDE_METADATA),
    SL_STRUCT(struct http_config, auth, &http_auth_struct, "Who may send; without it, everybody.",
              SL_PRESENT(struct http_config, auth_given)),
    SL_STRUCT(struct http_config, cors, &cors_struct, "Which web pages may send."),
    SL_STRUCT(struct http_config, tls, &tls_server_struct,
              "TLS; without this key connections are plain text.",
              SL_PRESENT(struct http_config, tls_on)),
    SL_MAP(struct http_config, response_headers, "Headers that stand in every answer.",
           .flags = SL_SECRET),
    SL_IGNORE("dialer", "A server calls nobody."),
    SL_RAW(struct http_config, middlewares, NOT_YET),
    SL_END};
static const sl_struct http_struct = {sizeof(struct http_config), 0, http_fields};

static const sl_field protocols_fields[] = {
    SL_STRUCT(struct protocols, grpc, &grpc_struct, "OTLP/gRPC; the key alone switches it on.",
              SL_PRESENT(struct protocols, grpc_on)),
    SL_STRUCT(struct protocols, http, &http_struct,
              "OTLP/HTTP, protobuf and JSON; the key alone switches it on.",
              SL_PRESENT(struct protocols, http_on)),
    SL_END};
static const sl_struct protocols_struct = {sizeof(struct protocols), 0, protocols_fields};

const sl_field receiver_fields[] = {SL_STRUCT(struct receiver, protocols, &protocols_struct,
                                              "What to listen for; at least one of grpc and http.",
                                              .flags = SL_REQUIRED),
                                    SL_END};

/* ---- checks ---- */

uint64_t receiver_message_limit(const struct grpc_config *c)
{
    const uint64_t mib = c->max_recv_msg_size_mib ? c->max_recv_msg_size_mib : MESSAGE_MIB_DEFAULT;
    return mib * 1024 * 1024;
}

struct refused_key {
    const char *name;
    const sl_raw *value;
};

/* A key without a value, or with an empty list or map, asks for nothing. */
static bool is_set(const sl_raw *raw)
{
    return raw && (raw->kind == 1 || (raw->kind >= 2 && raw->n > 0));
}

static int32_t refuse_keys(const char *protocol, const struct refused_key *keys, uint32_t n,
                           sl_bytes transport, sl_error *error)
{
    for (uint32_t i = 0; i < n; i++) {
        const sl_raw *raw = keys[i].value;
        if (is_set(raw))
            return sl_fail(error, SL_ERR_UNSUPPORTED,
                           "%s:%u:%u: protocols.%s.%s is not supported yet by this version of "
                           "Sluice; remove it",
                           raw->file ? raw->file : "config", raw->line, raw->column, protocol,
                           keys[i].name);
    }
    if (!sl_eq(transport, sl_str("tcp")) && !sl_eq(transport, sl_str("tcp4")) &&
        !sl_eq(transport, sl_str("tcp6")) && !sl_eq(transport, sl_str("unix")))
        return sl_fail(error, SL_ERR_UNSUPPORTED,
                       "protocols.%s.transport is \"%.*s\", which is none of tcp, tcp4, tcp6, unix",
                       protocol, (int)(transport.n < 40 ? transport.n : 40),
                       (const char *)transport.p);
    return SL_OK;
}

int32_t receiver_authenticator(const sl_host *host, const char *protocol,
                               const struct auth_config *c, bool given, const sl_auth_server **out,
                               sl_error *error)
{
    char path[32];
    *out = NULL;
    (void)snprintf(path, sizeof path, "protocols.%s.auth", protocol);
    return given ? sender_authenticator(host, &c->authenticator, path, out, error) : SL_OK;
}

static int32_t check_auth(const sl_host *host, const char *protocol, const struct auth_config *c,
                          bool given, sl_error *error)
{
    const sl_auth_server *ignored;
    return receiver_authenticator(host, protocol, c, given, &ignored, error);
}

static int32_t check_grpc(const sl_host *host, const struct grpc_config *c, sl_error *error)
{
    const struct refused_key keys[] = {{"middlewares", c->middlewares}};
    const int32_t status =
        refuse_keys("grpc", keys, sizeof keys / sizeof *keys, c->transport, error);
    return status == SL_OK ? check_auth(host, "grpc", &c->auth, c->auth_given, error) : status;
}

static int32_t check_paths(const struct http_config *c, sl_error *error)
{
    const struct {
        const char *key;
        sl_bytes path;
    } all[] = {{"traces_url_path", c->traces_url_path},
               {"metrics_url_path", c->metrics_url_path},
               {"logs_url_path", c->logs_url_path}};
    for (uint32_t i = 0; i < 3; i++) {
        const int shown = (int)(all[i].path.n < 100 ? all[i].path.n : 100);
        const char *text = (const char *)all[i].path.p;
        if (all[i].path.n == 0 || text[0] != '/' || memchr(text, '?', all[i].path.n))
            return sl_fail(error, SL_ERR_INVALID,
                           "protocols.http.%s is \"%.*s\"; it must begin with \"/\" and have no "
                           "query",
                           all[i].key, shown, text ? text : "");
        for (uint32_t k = 0; k < i; k++) {
            if (sl_eq(all[i].path, all[k].path))
                return sl_fail(error, SL_ERR_INVALID,
                               "protocols.http.%s and %s are both \"%.*s\"; each signal needs a "
                               "path of its own",
                               all[k].key, all[i].key, shown, text);
        }
    }
    return SL_OK;
}

static int32_t check_encodings(const struct http_config *c, sl_error *error)
{
    for (uint32_t i = 0; i < c->compression_algorithms.n; i++) {
        const sl_bytes name = *SL_LIST_AT(sl_bytes, c->compression_algorithms, i);
        const enum content_encoding encoding = encoding_named(name);
        if (encoding >= ENCODINGS)
            return sl_fail(
                error, SL_ERR_INVALID,
                "protocols.http.compression_algorithms has \"%.*s\", which is no content "
                "encoding; there are \"\", gzip, zstd, zlib, deflate, snappy, "
                "x-snappy-framed and lz4",
                (int)(name.n < 40 ? name.n : 40), (const char *)name.p);
    }
    return SL_OK;
}

static int32_t check_http(const sl_host *host, const struct http_config *c, sl_error *error)
{
    const struct refused_key keys[] = {{"middlewares", c->middlewares}};
    struct response_headers headers;
    int32_t status = refuse_keys("http", keys, sizeof keys / sizeof *keys, c->transport, error);
    if (status == SL_OK)
        status = check_auth(host, "http", &c->auth, c->auth_given, error);
    if (status == SL_OK)
        status = response_headers_init(&headers, &c->response_headers, error);
    if (status != SL_OK)
        return status;
    if (c->cors.allowed_origins.n == 0 && c->cors.allowed_headers.n > 0)
        sl_log(host, SL_LOG_WARN,
               "protocols.http.cors allows headers but no origins, and so has no effect");
    status = check_encodings(c, error);
    return status == SL_OK ? check_paths(c, error) : status;
}

/* Reads the certificates, and lets them go again. */
static int32_t check_security(const struct receiver *r, sl_error *error)
{
    const struct protocols *p = &r->protocols;
    struct tls_security security = {NULL, NULL};
    int32_t status = SL_OK;
    if (p->grpc_on)
        status = receiver_secure_grpc(r->base.host, &p->grpc, &security, error);
    tls_server_unsecure(&security);
    if (status == SL_OK && p->http_on)
        status = receiver_secure_http(r->base.host, &p->http, &security, error);
    tls_server_unsecure(&security);
    return status;
}

int32_t receiver_prepare(void *component, sl_error *error)
{
    const struct receiver *r = (const struct receiver *)component;
    const struct protocols *p = &r->protocols;
    const sl_host *h = r->base.host;
    if (!p->grpc_on && !p->http_on)
        return sl_fail(error, SL_ERR_INVALID,
                       "protocols names neither grpc nor http; \"grpc:\" or \"http:\" alone "
                       "switches one on with its defaults");
    int32_t status = p->grpc_on ? check_grpc(h, &p->grpc, error) : SL_OK;
    if (status == SL_OK && p->http_on)
        status = check_http(h, &p->http, error);
    return status == SL_OK ? check_security(r, error) : status;
}
