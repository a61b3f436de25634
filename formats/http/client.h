/* A small HTTP/1.1 client on libuv and http-parser, for one origin in plain text: it writes bodies
 * straight from where they lie, in pieces, over connections that are kept alive; the one used last
 * is the next one used. Answers are read within limits, because destinations are not trusted.
 * Redirects, proxies, TLS and compression are not its business. Everything runs on the loop's
 * thread. SIGPIPE must be ignored, or blocked on that thread. */
#ifndef SLUICE_FORMATS_HTTP_CLIENT_H
#define SLUICE_FORMATS_HTTP_CLIENT_H
#include "sluice/plugin.h"

#include <uv.h>

struct http_client;
struct http_conversation;

struct http_client_options {
    const char *host; /* name or address, without brackets */
    const char *port;
    const char *socket_path;  /* of a unix socket, in place of host and port; NULL: none */
    uint32_t idle_timeout_ms; /* connections that are idle for longer are closed; 0: never */
    uint32_t connections_max; /* exchanges wait while all of them are busy; 0: no limit */
    uint32_t idle_max;        /* idle connections above it are closed; 0: no limit */
    bool no_keep_alive;
    size_t body_max;   /* of an answer with 2xx */
    size_t error_max;  /* of any other */
    size_t header_max; /* of all headers together, interim answers' included */
};

/* One request and its answer: the caller's memory until `done`. */
struct http_exchange {
    /* in */
    sl_bytes head;            /* request line, headers with Content-Length, and the empty line */
    const sl_bytes *segments; /* the body */
    uint32_t n_segments;
    uint32_t timeout_ms; /* for all of it; 0: none */
    /* A header of an answer; called again from the beginning for the next of several answers, which
     * `name` NULL announces. Optional. */
    void (*header)(struct http_exchange *, sl_bytes name, sl_bytes value);
    /* The end, once; may send the next request. */
    void (*done)(struct http_exchange *);
    /* out */
    int error;  /* libuv's, negative: why the answer is missing or breaks off; UV_ECANCELED: closed
                 */
    int status; /* of the answer; 0: there was none */
    bool too_long;
    sl_bytes body; /* valid during `done` */
    /* the client's */
    struct http_exchange *prev, *next, *next_waiting;
    struct http_conversation *conversation;
    uint64_t until_ms;   /* loop's clock; 0: no limit */
    uint32_t resolution; /* waits for the one with this number; 0: for none */
    bool waiting;        /* for one of the connections */
    bool retried;
};

int32_t http_client_create(uv_loop_t *, const struct http_client_options *, struct http_client **);
/* SL_OK: `done` follows, never before this has returned. Else SL_ERR_NOMEM, SL_ERR_UNAVAILABLE. */
int32_t http_client_send(struct http_client *, struct http_exchange *);
/* Ends what runs, with UV_ECANCELED, before it returns; nothing more can be sent. `closed` is the
 * last thing that happens on the loop. */
void http_client_close(struct http_client *, void (*closed)(void *ctx), void *ctx);

#endif
