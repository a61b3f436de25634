/* What the files of the gRPC server share. */
#ifndef SLUICE_RECEIVERS_OTLP_GRPC_INTERNAL_H
#define SLUICE_RECEIVERS_OTLP_GRPC_INTERNAL_H
#include "formats/grpc/loop.h"
#include "formats/sender/sender.h"
#include "receivers/otlp/decode.h"
#include "receivers/otlp/grpc_server.h"
#include "receivers/otlp/intake.h"

#include <grpc/grpc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

enum {
    CALLS_WAITING = 8, /* calls posted for requests that are still to come */
    CALLS_MAX = 1024   /* running ones; further requests wait inside gRPC */
};

/* Where a call stands; what its next event means. */
enum exchange_stage { EXCHANGE_REQUESTED, EXCHANGE_RECEIVING, EXCHANGE_REPLYING };

/* Who may end a call that was offered to the pipelines: whoever changes OWED first. */
enum exchange_owner { OWNER_NOBODY, OWNER_OWED, OWNER_ANSWERING, OWNER_DEAD };

/* One request. Pooled; belongs to whoever runs its event, but while it is owed. */
struct exchange {
    grpc_loop_event event; /* the tag of everything that it asks gRPC for */
    struct exchange *next_free, *next_all;
    struct otlp_grpc_server *server;
    _Atomic uint32_t stage; /* enum exchange_stage */
    _Atomic uint32_t owner; /* enum exchange_owner */
    grpc_call *call;
    grpc_call_details details;
    grpc_metadata_array headers;
    const sl_metadata *metadata; /* goes with the data; NULL: none */
    grpc_byte_buffer *request;
    grpc_byte_buffer *reply; /* of a partial success; NULL: the empty one */
    grpc_byte_buffer *empty; /* kept; sending takes nothing out of it */
    sl_payload *payload;     /* while it is being filled */
    uint32_t index;          /* of the signal */
    int32_t descriptor;      /* the connection's, while its message is received; -1: not known */
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
    struct sender_rules sender;
    uint64_t max_message;

    const grpc_loop *loop;
    grpc_completion_queue *queue; /* the loop's */
    grpc_server *server;
    grpc_server_credentials *credentials;
    struct acceptor *acceptor;
    grpc_loop_event shut; /* the tag of the server's shutdown */

    _Atomic uint32_t refs; /* the owner's, and one for each dead call whose answer is to come */
    _Atomic bool draining;

    pthread_mutex_t mutex; /* guards the rest */
    pthread_cond_t ended;
    struct exchange *all, *free;
    uint32_t waiting; /* posted */
    uint32_t live;    /* calls that gRPC or an answer still refers to */
    bool is_shut;     /* gRPC has ended every connection */

    pthread_mutex_t unpacking; /* guards what compressed requests need */
    struct decoding decoding;
};

/* Of the monotonic clock. */
static inline int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* grpc_call.c */
/* Waits for requests, as many as should be waited for. */
void exchange_post(struct otlp_grpc_server *);
/* Ends a call that waits for the pipelines' answer; its memory stays until that comes. [control],
 * with the server's mutex held. */
void exchange_kill(struct exchange *);
void exchange_deinit(struct exchange *);

/* grpc_server.c */
void grpc_server_release(struct otlp_grpc_server *);
/* Do calls wait inside gRPC, unheard of? [any] */
bool grpc_server_is_full(struct otlp_grpc_server *);

/* grpc_accept.c: a thread that accepts and hands connections to gRPC. */
int32_t acceptor_start(struct otlp_grpc_server *, int32_t fd, const struct otlp_grpc_settings *,
                       struct acceptor **, sl_error *);
/* Accepts no more. */
void acceptor_drain(struct acceptor *); /* NULL is legal */
/* When gRPC has let go of all connections. */
void acceptor_stop(struct acceptor *); /* NULL is legal */
/* Gives gRPC a connection, if there is room for one more; else it stays the caller's. [any] */
bool acceptor_adopt(struct acceptor *, int fd);

/* A call has come on the connection with this descriptor, and its message is received from now on
 * (1), or no longer (-1). [any] */
void acceptor_heard(struct acceptor *, int32_t descriptor, int receiving);
/* With TLS: so many decrypted bytes went to the connection with this descriptor. [any] */
void acceptor_relayed(struct acceptor *, int32_t descriptor, size_t n);

/* grpc_secure.c: a thread with TLS between accepted connections and gRPC. */
struct relay;
int32_t relay_start(struct acceptor *, const struct tls_security *, int64_t patience_ms,
                    struct relay **, sl_error *);
/* Takes an accepted connection; it must have done its handshake and said something in
 * `patience_ms`. False: no memory, and the descriptor stays the caller's. [any] */
bool relay_take(struct relay *, int fd);
uint32_t relay_handshakes(const struct relay *); /* connections that gRPC does not have yet */
/* Gives connections a second to take the last bytes. */
void relay_stop(struct relay *); /* NULL is legal */

#endif
