/* A gRPC server for unit tests: takes unary calls of any method, records them, and answers as the
 * test has said. One thread serves; the test's thread scripts and reads under the mutex. */
#ifndef SLUICE_TESTS_GRPC_SINK_H
#define SLUICE_TESTS_GRPC_SINK_H
#include "sluice/plugin.h"

#include <grpc/grpc.h>
#include <pthread.h>

struct grpc_sink;

struct grpc_sink_answer {
    int status;
    const char *text;
    sl_bytes reply;   /* the message of an OK */
    bool reply_gzip;  /* its bytes are gzip already */
    sl_bytes details; /* grpc-status-details-bin */
    bool never;       /* no answer until the sink is destroyed */
};

/* What the last call was. */
struct grpc_sink_seen {
    uint32_t calls;
    char method[128];
    char encoding_of_message[16]; /* "gzip" or "identity" */
    char header[64];              /* value of x-test */
    char user_agent[128];
    char authority[128];
    uint8_t *body; /* as on the wire */
    size_t body_n;
};

/* Listens on 127.0.0.1; `port` 0: any. */
struct grpc_sink *grpc_sink_create(int port);
int grpc_sink_port(const struct grpc_sink *);
void grpc_sink_script(struct grpc_sink *, struct grpc_sink_answer answer);
/* Valid until the next look. */
const struct grpc_sink_seen *grpc_sink_seen(struct grpc_sink *);
void grpc_sink_destroy(struct grpc_sink *);

#endif
