/* What the HTTP client's files share; not for its users. On the loop's thread. */
#ifndef SLUICE_FORMATS_HTTP_CLIENT_INTERNAL_H
#define SLUICE_FORMATS_HTTP_CLIENT_INTERNAL_H
#include "formats/http/client.h"

#include <http_parser.h>
#include <netinet/in.h>

enum {
    CLIENT_ADDRESSES_MAX = 8,
    CLIENT_SCRATCH = 64 * 1024, /* answers are read into it */
    CLIENT_NAME_MAX = 64,       /* of a header; longer ones are skipped */
    CLIENT_VALUE_MAX = 512      /* likewise */
};

union client_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

enum conversation_state {
    CONVERSATION_CONNECTING,
    CONVERSATION_BUSY,
    CONVERSATION_IDLE,
    CONVERSATION_CLOSED
};

/* One connection. */
struct http_conversation {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe; /* where the client has a socket_path */
    } io;
    uv_connect_t connect;
    uv_write_t write;
    http_parser parser;
    struct http_client *client;
    struct http_exchange *exchange;        /* NULL: idle */
    struct http_conversation *prev, *next; /* all */
    struct http_conversation *next_idle;
    enum conversation_state state;
    uint32_t address; /* index of the one that is tried */
    uint32_t piece;   /* of the request that is written next: 0 the head, then segments */
    size_t offset;    /* in that piece */
    uint64_t idle_since_ms;
    bool writing;  /* a write waits for the socket */
    bool broken;   /* cannot be written to any more; there may still be an answer */
    bool reused;   /* has had an exchange before this one */
    bool answered; /* a byte of the answer has come */
    bool final;    /* the headers that count are there */
    bool complete, keep;
    bool in_value, skip_header;
    size_t header_bytes;
    size_t name_n, value_n;
    uint8_t *body; /* malloc */
    size_t body_n, body_room;
    uint8_t name[CLIENT_NAME_MAX];
    uint8_t value[CLIENT_VALUE_MAX];
};

struct http_client {
    uv_loop_t *loop;
    struct http_client_options options; /* its texts are copies */
    struct http_exchange *running;      /* all that are not done */
    struct http_conversation *all, *idle;
    uint32_t n_conversations, n_idle;
    struct http_exchange *waiting, **last_waiting; /* for a connection, in order */
    uint32_t handles;                              /* open ones */
    uv_timer_t timer;
    uint64_t timer_ms; /* when it fires; 0: not armed */
    uv_getaddrinfo_t resolver;
    bool resolving, literal, closing, freeing;
    uint64_t resolved_ms;
    uint32_t resolution; /* the number of the last one */
    union client_address addresses[CLIENT_ADDRESSES_MAX];
    uint32_t n_addresses;
    void (*closed)(void *ctx);
    void *ctx;
    uint8_t scratch[CLIENT_SCRATCH];
};

/* client.c */

/* The exchange has ended: forgets it, then calls `done`. */
void client_finish(struct http_client *, struct http_exchange *, int error);
/* Gives it a connection of its own, at once or when there is one. 0, or libuv's error when there is
 * no way. */
int client_connect(struct http_client *, struct http_exchange *);
void client_arm(struct http_client *, uint64_t at_ms);
/* A handle is gone; frees a client that was closed once it was the last. */
void client_handle_closed(struct http_client *);

/* conversation.c */

/* Opens a connection to the address of that index, or the next ones, for the exchange. */
int conversation_open(struct http_client *, struct http_exchange *, uint32_t address);
/* Sends the exchange on an idle one; false: it turned out dead, and is closed. */
bool conversation_begin(struct http_conversation *, struct http_exchange *);
void conversation_close(struct http_conversation *);

#endif
