/* The OTLP/gRPC server, which lives in a plugin file of its own, otlp_grpc.so: loading gRPC takes
 * milliseconds and megabytes that a config with HTTP alone does not need. Private to the receiver;
 * both files are built together. */
#ifndef SLUICE_RECEIVERS_OTLP_GRPC_SERVER_H
#define SLUICE_RECEIVERS_OTLP_GRPC_SERVER_H
#include "formats/tls/tls.h"

struct otlp_grpc_server;

/* Durations in ns; 0: not set. */
struct otlp_grpc_settings {
    uint64_t max_message;     /* bytes, before and after decompression */
    uint32_t max_streams;     /* on a connection; 0: the default */
    uint32_t max_connections; /* 0: the default */
    int64_t max_connection_idle, max_connection_age, max_connection_age_grace;
    int64_t keepalive_time, keepalive_timeout, min_time;
    int64_t preface_timeout; /* within which a client must say something; 0: the default */
    bool permit_without_stream;
    const sl_auth_server *auth; /* NULL: whoever wants may send */
    bool include_metadata;
    struct tls_security security; /* outlives the server */
};

#define OTLP_GRPC_SERVER "sluice.otlp_grpc_server/1"
struct otlp_grpc_api {
    uint32_t size;
    uint32_t reserved;
    /* [control, blocking] Serves the listening socket, which stays the caller's. */
    int32_t (*start)(const sl_host *, int32_t fd, const struct otlp_grpc_settings *,
                     struct otlp_grpc_server **, sl_error *);
    /* [control] No more connections and requests: clients are told to go away. */
    void (*drain)(struct otlp_grpc_server *);
    /* [control] Waits until each request has been answered; false: time is up. After drain. */
    bool (*wait)(struct otlp_grpc_server *, int64_t wait_ns);
    /* [control] Ends what runs and frees the server. */
    void (*stop)(struct otlp_grpc_server *);
};

#endif
