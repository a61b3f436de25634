/* A small HTTP/1.1 server on libuv and http-parser: for OTLP's large POSTs and for admin pages.
 *
 * It runs on the caller's loop and accepts on a listening socket that stays the caller's. A body
 * lands in memory that the handler hands out: once the headers are there the handler is asked, and
 * bytes of a Content-Length body are read from the socket straight into that memory. What came
 * along with the headers, and chunked bodies, are copied once.
 *
 * A request's way through the handler's callbacks, all on the loop's thread:
 *
 *     headers -> [room -> filled]... -> end          then http_answer, once, from any thread
 *            \-> http_answer: refused before its body is read; nothing else is called
 *                 \-> (filled) http_answer: the same, in the middle of the body
 *                 \-> abandon: the client has gone, or broke a rule; not to be answered any more
 *
 * So whatever a request holds is let go in `end` (and after), in `abandon`, or by the handler
 * itself where it refuses. After `end` a request stays valid until it has been answered, also when
 * its client has gone and the server has been closed. http_thread (thread.h) gives a server a
 * thread of its own.
 *
 * SIGPIPE must be ignored, or blocked on the loop's thread: libuv writes without MSG_NOSIGNAL. */
#ifndef SLUICE_FORMATS_HTTP_SERVER_H
#define SLUICE_FORMATS_HTTP_SERVER_H
#include "formats/tls/tls.h"

#include <sluice/plugin.h>
#include <uv.h>

struct http_server;

struct http_header {
    sl_bytes name; /* of a request: as it was sent; compare without regard to case */
    sl_bytes value;
};

#define HTTP_NO_LENGTH UINT64_MAX

/* Read-only for the handler, but `user` and `scratch`. The slices are valid until the answer. */
struct http_request {
    void *user;           /* the handler's; NULL at first */
    uint64_t scratch[16]; /* the handler's; zero at first */
    const char *method;   /* "GET" */
    sl_bytes target;      /* "/v1/traces?x=y" as sent */
    sl_bytes path;        /* without the query; not percent-decoded */
    sl_bytes query;       /* without the '?' */
    uint64_t length;      /* Content-Length; HTTP_NO_LENGTH for a chunked body; 0: no body */
    uint32_t n_headers;
    uint32_t reserved;
    const struct http_header *headers;
};

/* The value of a header that may stand there once; .p is NULL where it is missing, and where it
 * stands there several times *repeated (may be NULL) is set and the first one given. */
sl_bytes http_header_of(const struct http_request *, const char *name, bool *repeated);
/* May a header be called so? May it have that value, that is one without control characters, which
 * some readers take for its end? */
bool http_is_name(sl_bytes name);
bool http_is_value(sl_bytes value);
/* Does the value, a media type, name `type` (lower case), whatever its parameters? */
bool http_media_type_is(sl_bytes value, const char *type);

struct http_answer {
    int status;
    bool close;               /* the connection ends with this answer */
    const char *content_type; /* NULL: none is sent */
    uint32_t n_headers;
    const struct http_header *headers; /* more of them; CR and LF are refused (500 is sent) */
    sl_bytes body;                     /* copied where it cannot be sent at once */
};

struct http_handler {
    void *ctx;
    /* The headers are there. May answer at once, and so refuse the body. */
    void (*headers)(void *ctx, struct http_request *);
    /* Memory for the next body bytes, at least one; SL_OK, or answer the request and return
     * anything else. For a body with a Content-Length the first room given may take all of it;
     * bytes are read straight into it. NULL: requests with bodies are answered 413. */
    int32_t (*room)(void *ctx, struct http_request *, uint8_t **at, size_t *n);
    /* The first `n` bytes of the last room are written: it is full, or the body has ended. May
     * answer, and so refuse the rest. NULL where `room` is. */
    void (*filled)(void *ctx, struct http_request *, size_t n);
    /* The request is complete: answer now or later. */
    void (*end)(void *ctx, struct http_request *);
    /* It will never be complete. Optional. */
    void (*abandon)(void *ctx, struct http_request *);
};

/* 0 stands for "no such limit" in the timeouts and for the default, in parentheses, elsewhere. */
struct http_limits {
    uint32_t connections;        /* (1024) above it the longest idle one is closed, else 503 */
    uint32_t header_bytes;       /* (16 KiB) request line and headers, or trailers */
    uint32_t header_count;       /* (100) */
    uint64_t body_bytes;         /* (20 MiB) as sent; 413 */
    uint32_t body_rate;          /* bytes a second, on average since... */
    uint32_t body_rate_after_ms; /* ...the headers, that a body must make after this time; 408 */
    uint32_t header_timeout_ms;  /* from the first byte (or the accept) to the end of the headers */
    uint32_t body_timeout_ms;    /* from the end of the headers to the end of the body; 408 */
    uint32_t write_timeout_ms;   /* for an answer that the client does not read */
    uint32_t idle_timeout_ms;    /* between requests */
    bool no_keep_alive;          /* every answer ends its connection */
};

/* The limits that a server open to a network should have. */
void http_limits_init(struct http_limits *);

/* Makes a server; [loop]. The loop is the caller's and outlives `closed`. */
int32_t http_server_create(uv_loop_t *, const struct http_handler *, const struct http_limits *,
                           struct http_server **, sl_error *);
/* Connections accepted from now on speak TLS, where it is not all NULL. [loop] */
void http_server_secure(struct http_server *, const struct tls_security *);
/* Accepts on the listening, non-blocking socket, which stays the caller's. [loop] */
int32_t http_server_listen(struct http_server *, int fd, sl_error *);
/* Answers; exactly once for each request that was given to `headers`, unless it was abandoned.
 * [any] after `end`, else on the loop's thread. Cannot fail: what cannot be sent ends the
 * connection. */
void http_answer(struct http_request *, const struct http_answer *);
/* Ends politely: no more accepts, idle connections are closed, the rest after their answers; calls
 * `drained` (may be NULL) on the loop once there are none left. No deadline: that is close's.
 * [loop]
 */
void http_server_drain(struct http_server *, void (*drained)(void *ctx), void *ctx);
/* Ends at once, and frees the server; from any state but twice. `closed` is the last thing that
 * happens on the loop. Requests that are still to be answered keep what they need until they are.
 * [loop] */
void http_server_close(struct http_server *, void (*closed)(void *ctx), void *ctx);

/* Counters since the beginning. [loop] */
struct http_counts {
    uint64_t accepted;    /* connections */
    uint64_t turned_away; /* connections above the limit */
    uint64_t requests;    /* complete */
    uint64_t malformed;   /* answered 400, 411, 414, 417, 431 or 505 by the server itself */
    uint64_t too_large;   /* 413, by the server itself */
    uint64_t timeouts;    /* of headers, bodies and answers; not of idle connections */
    uint32_t open;
};
void http_server_counts(const struct http_server *, struct http_counts *);

#endif
