/* TLS in front of gRPC, in two files: grpc_secure.c is the thread that waits and decides, and
 * grpc_relay.c moves the bytes of one connection. All of it belongs to that thread, but for what the
 * mutex guards. */
#ifndef SLUICE_RECEIVERS_OTLP_GRPC_RELAY_H
#define SLUICE_RECEIVERS_OTLP_GRPC_RELAY_H
#include "receivers/otlp/grpc_internal.h"

enum {
    RELAY_BUFFER = 256 * 1024, /* of the thread: what gRPC is woken for at once */
    RELAY_PREFACE = 24,        /* bytes that every HTTP/2 client sends first */
    RELAY_FRAME_HEAD = 9
};

enum relay_stage {
    STAGE_HANDSHAKE,
    STAGE_OPEN,
    STAGE_LINGER /* everything is written; what still comes is for nobody */
};

/* Bytes that a socket did not take. */
struct held {
    uint8_t *at;
    size_t from, to;
};

/* Where in a client's frames the bytes stand. */
struct frames {
    uint64_t skip; /* what is left of the preface, or of a frame's payload */
    uint8_t head[RELAY_FRAME_HEAD];
    uint32_t n_head;
    uint32_t headers; /* bytes of the present header list */
};

struct side {
    struct relay_conn *conn;
    int fd;
    uint32_t events; /* that epoll reports */
};

struct relay_conn {
    struct relay_conn *prev, *next;
    struct side client, core; /* gRPC's core: -1 before the handshake is done */
    int handed;               /* the descriptor that gRPC's core was given */
    struct tls_conn *tls;
    enum relay_stage stage;
    int32_t wants; /* of the handshake: TLS_WANT_READ or TLS_WANT_WRITE */
    struct frames frames;
    struct held in, out; /* for the core; for the client */
    bool more;           /* there may be bytes from the client that epoll does not tell of */
    bool in_ended;       /* the client has ended, or the core takes nothing more */
    bool out_ended;      /* the core has ended */
    bool dead;           /* to be freed once its events are through */
    bool young;          /* its preface has not come */
    bool unread;         /* the client takes none of the bytes that are held for it */
    uint32_t got;        /* bytes of the preface */
    int64_t until_ms;    /* young, unread or lingering: when it is ended */
};

struct relay {
    struct acceptor *acceptor;
    struct tls_security security;
    int64_t patience_ms;
    int epoll, wake;
    pthread_t thread;
    struct relay_conn *all, *dead;
    uint8_t *buffer;
    _Atomic uint32_t handshakes;
    int64_t look_ms; /* when a connection's time may be over; INT64_MAX: none has one */
    bool finishing;
    int64_t finish_ms;

    pthread_mutex_t mutex;    /* guards the rest */
    struct relay_conn *fresh; /* accepted, not yet the thread's */
    bool stop;
};

/* grpc_secure.c */
/* Takes it out of the relay; it is freed once its events are through. Again is legal. */
void relay_kill(struct relay *, struct relay_conn *);
/* Ends it for the client: what it still sends is read for a moment, since closing a socket with
 * unread bytes would take back what the client has not read yet. */
void relay_linger(struct relay *, struct relay_conn *);

/* grpc_relay.c: each moves what it can of an open connection, which it may end. */
void relay_move_in(struct relay *, struct relay_conn *);  /* from the client to the core */
void relay_move_out(struct relay *, struct relay_conn *); /* from the core to the client */
void relay_flush(struct relay *, struct relay_conn *);    /* what is held, both ways */

#endif
