/* What the files of the gRPC server share. */
#ifndef SLUICE_RECEIVERS_OTLP_GRPC_INTERNAL_H
#define SLUICE_RECEIVERS_OTLP_GRPC_INTERNAL_H
#include "formats/compress/gzip.h"
#include "receivers/otlp/grpc_server.h"
#include "receivers/otlp/intake.h"

#include <grpc/grpc.h>
#include <pthread.h>
#include <stdatomic.h>

enum {
    CALLS_WAITING = 8, /* calls posted for requests that are still to come */
    CALLS_MAX = 1024   /* running ones; further requests wait inside gRPC */
};

/* Where a call stands; what its next event means. */
enum exchange_stage { EXCHANGE_REQUESTED, EXCHANGE_RECEIVING, EXCHANGE_REPLYING };

/* Who may end a call that was offered to the pipelines: whoever changes OWED first. */
enum exchange_owner { OWNER_NOBODY, OWNER_OWED, OWNER_ANSWERING, OWNER_DEAD };

/* One request. Pooled; belongs to the polling thread, but while it is owed. */
struct exchange {
    struct exchange *next_free, *next_all;
    struct otlp_grpc_server *server;
    enum exchange_stage stage;
    _Atomic uint32_t owner; /* enum exchange_owner */
    grpc_call *call;
    grpc_call_details details;
    grpc_metadata_array metadata;
    grpc_byte_buffer *request;
    grpc_byte_buffer *reply; /* of a partial success; NULL: the empty one */
    grpc_byte_buffer *empty; /* kept; sending takes nothing out of it */
    sl_payload *payload;     /* while it is being filled */
    uint32_t index;          /* of the signal */
    bool reserved;           /* room for a largest message, in the budget */
    bool has_trailer;
    int cancelled;
    grpc_slice text;
    grpc_metadata trailer;
};

struct acceptor;

struct otlp_grpc_server {
    const sl_host *host;
    const sl_budget *budget; /* NULL: the host has none */
    struct intake intake;
    uint64_t max_message;
    struct gzip_reader *gzip; /* made with the first compressed request; the polling thread's */

    grpc_server *server;
    grpc_completion_queue *queue;
    grpc_server_credentials *credentials;
    struct acceptor *acceptor;
    pthread_t poller;
    struct exchange *free; /* the polling thread's */
    uint32_t waiting;      /* posted; the polling thread's */

    _Atomic uint32_t refs; /* the owner's, and one for each dead call whose answer is to come */
    _Atomic uint32_t live; /* calls that gRPC or an answer still refers to */
    _Atomic bool draining;

    pthread_mutex_t mutex; /* guards the rest */
    pthread_cond_t ended;
    struct exchange *all;
    bool is_shut; /* gRPC has ended every connection */
    bool is_over; /* the polling thread has nothing left to do */
};

/* grpc_call.c */
void exchange_post(struct otlp_grpc_server *); /* waits for one more request; polling thread */
void exchange_step(struct exchange *, bool success);
/* Ends a call that waits for the pipelines' answer; its memory stays until that comes. [control],
 * with the server's mutex held. */
void exchange_kill(struct exchange *);
void exchange_deinit(struct exchange *);

/* grpc_server.c */
void grpc_server_release(struct otlp_grpc_server *);

/* grpc_accept.c: a thread that accepts and hands connections to gRPC. */
int32_t acceptor_start(struct otlp_grpc_server *, int32_t fd, uint32_t max_connections,
                       struct acceptor **, sl_error *);
void acceptor_stop(struct acceptor *); /* NULL is legal */

#endif
