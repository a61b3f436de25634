/* The OTLP receiver's config and state, for the files of otlp.so. */
#ifndef SLUICE_RECEIVERS_OTLP_RECEIVER_H
#define SLUICE_RECEIVERS_OTLP_RECEIVER_H
#include "formats/tls/tls.h"
#include "receivers/otlp/cors.h"
#include "receivers/otlp/grpc_server.h"

#include <pthread.h>

struct otlp_http;

/* 0: not set */
struct server_parameters {
    int64_t max_connection_idle, max_connection_age, max_connection_age_grace, time, timeout;
};

struct enforcement_policy {
    int64_t min_time;
    uint8_t permit_without_stream;
};

struct keepalive_config {
    struct server_parameters server_parameters;
    struct enforcement_policy enforcement_policy;
};

struct auth_config {
    sl_bytes authenticator;
    sl_list request_params; /* sl_bytes; of HTTP */
};

struct grpc_config {
    sl_bytes endpoint, transport;
    uint32_t max_recv_msg_size_mib, max_concurrent_streams;
    uint64_t read_buffer_size, write_buffer_size; /* accepted, without meaning */
    uint8_t include_metadata, auth_given, tls_on;
    struct auth_config auth;
    struct keepalive_config keepalive;
    struct tls_server_config tls;
    const sl_raw *middlewares;
};

struct http_config {
    sl_bytes endpoint, transport;
    sl_bytes traces_url_path, metrics_url_path, logs_url_path;
    uint64_t max_request_body_size;
    int64_t read_timeout, read_header_timeout, write_timeout, idle_timeout;
    uint8_t keep_alives_enabled, include_metadata, algorithms_given, auth_given, tls_on;
    sl_list compression_algorithms;
    struct auth_config auth;
    struct cors_config cors;
    struct tls_server_config tls;
    sl_list response_headers; /* sl_meta_entry */
    const sl_raw *middlewares;
};

struct protocols {
    struct grpc_config grpc;
    struct http_config http;
    uint8_t grpc_on, http_on;
};

struct receiver {
    sl_base base;
    struct protocols protocols;

    /* Made by start; [control], but what the mutex guards. */
    bool running;
    int32_t grpc_fd, http_fd;
    const sl_auth_server *grpc_auth;        /* NULL: whoever wants may send */
    struct tls_security grpc_tls, http_tls; /* all NULL: plain text */
    struct otlp_http *http;
    pthread_mutex_t mutex;
    bool stopping;                    /* a gRPC server that comes up now is unwanted */
    const struct otlp_grpc_api *grpc; /* once it is loaded */
    struct otlp_grpc_server *server;
};

/* config.c */
extern const sl_field receiver_fields[];
int32_t receiver_prepare(void *component, sl_error *);
uint64_t receiver_message_limit(const struct grpc_config *); /* bytes */
/* The authenticator that `protocols.<protocol>.auth` names; NULL where it is not given. An error
 * where it is and there is none: then nobody may send. */
int32_t receiver_authenticator(const sl_host *, const char *protocol, const struct auth_config *,
                               bool given, const sl_auth_server **, sl_error *);

/* security.c: loads TLS and reads the certificates, where the config has any; else `out` is all NULL.
 * [control] */
int32_t receiver_secure_grpc(const sl_host *, const struct grpc_config *, struct tls_security *out,
                             sl_error *);
int32_t receiver_secure_http(const sl_host *, const struct http_config *, struct tls_security *out,
                             sl_error *);

/* http.c: OTLP/HTTP on a thread of its own. `auth` NULL: whoever wants may send. [control] */
int32_t otlp_http_start(const sl_host *, const struct http_config *, const sl_auth_server *auth,
                        const struct tls_security *, int32_t fd, struct otlp_http **, sl_error *);
bool otlp_http_drain(struct otlp_http *, int64_t wait_ns);
void otlp_http_stop(struct otlp_http *);

#endif
