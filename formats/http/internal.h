/* What the HTTP server's files share; not for its users. Everything belongs to the loop's thread,
 * but what the comments say is shared with the threads that answer. */
#ifndef SLUICE_FORMATS_HTTP_INTERNAL_H
#define SLUICE_FORMATS_HTTP_INTERNAL_H
#include "formats/http/server.h"

#include <http_parser.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

enum {
    HTTP_SCRATCH = 32 * 1024,  /* headers, small requests and chunked bodies are read into it */
    HTTP_HEAD_ALONE = 1024,    /* holds a usual head */
    HTTP_SKIP_MAX = 64 * 1024, /* a refused body up to this size is read, to keep a connection */
    HTTP_SKIP_MS = 10000,
    HTTP_LINGER_BYTES = 1 << 20, /* what a closing connection reads, so that its answer arrives */
    HTTP_LINGER_MS = 1000,
    HTTP_HEAD_MAX = 192, /* status line, Date, Connection */
    HTTP_OUT_INLINE = 512,
    HTTP_TEXT_AT_FIRST = 1024,
    HTTP_HEADERS_AT_FIRST = 16,
    HTTP_ACCEPT_PAUSE_MS = 100,
    HTTP_HANDSHAKE_MS = 10000 /* of TLS, where the headers have no timeout */
};

enum http_stage {
    HTTP_STAGE_IDLE,    /* nothing of the next request has come */
    HTTP_STAGE_HEADERS, /* a part of its head is there */
    HTTP_STAGE_BODY,
    HTTP_STAGE_SKIP,   /* answered; its body, if any, is read and forgotten */
    HTTP_STAGE_BUSY,   /* complete; the handler is to answer */
    HTTP_STAGE_LINGER, /* its last answer is written; reads and forgets */
    HTTP_STAGE_CLOSED
};

/* Offsets into http_conn.text; it may move while headers come in. */
struct http_span {
    uint32_t name, name_n, value, value_n;
};

struct http_secure;

struct http_conn {
    struct http_request rq;
    struct http_server *server; /* holds one of its references */
    struct http_conn *prev, *next;
    union { /* of libuv */
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_poll_t poll; /* with TLS */
    } io;
    struct http_secure *secure; /* NULL: plain text */
    http_parser parser;
    enum http_stage stage;
    bool fresh;    /* no request has begun yet */
    bool parsing;  /* the parser runs: answers wait until it has returned */
    bool complete; /* the request is */
    bool keep;     /* the client would send another one */
    bool expects;  /* 100-continue */
    bool reading, writing, eof;
    bool after_line;    /* what was parsed before ends with a line, but for spaces */
    const char *piece;  /* what is being parsed */
    bool in_value;      /* the last piece of a header was of its value */
    bool headers_done;  /* what comes now are trailers */
    bool handle_closed; /* libuv has let go of `io` */
    int refusal;        /* the status to answer for a rule that was broken inside the parser */

    uint64_t deadline; /* of uv_now; 0: none */
    uint64_t since;    /* idle: when it began; body: when the headers were there */
    uint64_t body_got, trailer_bytes, lingered;

    char *text; /* target, names and values one after another */
    uint32_t text_n, text_capacity, target_n;
    struct http_span *spans;
    struct http_header *headers; /* the second half of the memory at `spans` */
    uint32_t n_spans, spans_capacity;

    uint8_t *room;
    size_t room_n, room_used;

    uint8_t *stash; /* read, and to be parsed once the present request has been answered */
    size_t stash_at, stash_n;

    /* The answer. Written by whoever answers, then, handed over by `answers`, the loop's. */
    struct http_conn *next_answer;
    int status;
    bool answered, close_after;
    bool sent; /* has been given to the socket */
    bool owed; /* `end` was called and the loop has not seen the answer: the memory must stay */
    uint8_t *out;
    size_t out_n, head_n;
    uv_write_t write;
    char head[HTTP_HEAD_MAX];
    uint8_t out_inline[HTTP_OUT_INLINE];
};

struct http_server {
    uv_loop_t *loop;
    struct http_handler handler;
    struct http_limits limits;
    struct http_counts counts;
    struct tls_security security;
    _Atomic uint32_t refs; /* the owner's, and one for each connection's memory */
    pthread_t thread;      /* the loop's */

    uv_poll_t accept;
    uv_timer_t timer;
    uv_async_t wake;
    uint64_t timer_at; /* when the timer fires; 0: not armed */
    uint64_t
        accept_again; /* accepting pauses until then, for lack of descriptors; 0: it does not */
    uint32_t handles; /* of the three above, those that libuv still knows */
    bool listening, draining, closing;

    struct http_conn *conns;
    uint8_t *scratch; /* made with the first connection, gone with the last */

    pthread_mutex_t lock;      /* guards the next three */
    struct http_conn *answers; /* given by other threads, the latest first */
    bool deaf;                 /* `wake` must not be used any more */
    bool gone;                 /* the loop has ended: whoever answers frees */

    void (*drained)(void *ctx);
    void *drained_ctx;
    void (*closed)(void *ctx);
    void *closed_ctx;

    time_t date_at;
    char date[48];
};

/* connection.c */
void http_conn_accept(struct http_server *, int fd);
void http_conn_close(struct http_conn *);
void http_conn_free(struct http_conn *); /* [any] once nobody needs it */
void http_conn_expire(struct http_conn *, uint64_t now);
/* Goes on after an answer was given, or written, outside of the parser. */
void http_conn_resume(struct http_conn *);
/* Answers for the server itself, and ends the connection. */
void http_conn_refuse(struct http_conn *, int status);
/* What the stream calls: where to put the next bytes; what has come (a negative number: an error of
 * libuv's); a write that did not end at once has ended. */
uv_buf_t http_conn_room(struct http_conn *);
void http_conn_input(struct http_conn *, ssize_t n, const uint8_t *at);
void http_conn_written(struct http_conn *, int status);

/* stream.c: the connection's bytes, plain, or through secure.c. Numbers below 0 are libuv's. */
int http_stream_init(struct http_conn *, int fd); /* on failure nothing is left of it */
int http_stream_open(struct http_conn *, int fd); /* on success the descriptor is its own */
void http_stream_close(struct http_conn *, uv_close_cb);
void http_stream_deinit(struct http_conn *); /* once libuv has let go of it */
int http_stream_start(struct http_conn *);   /* reading */
void http_stream_stop(struct http_conn *);
/* Reads what has come but was not worth waking for. */
void http_stream_catch_up(struct http_conn *);
/* Ends the writing half. */
int http_stream_shutdown(struct http_conn *);
/* 1: all has been written; 0: the rest is on its way, and the memory stays. */
int http_stream_write(struct http_conn *, const uv_buf_t *parts, unsigned n);

/* secure.c: the same with TLS. */
int http_secure_init(struct http_conn *, int fd);
void http_secure_deinit(struct http_conn *);
int http_secure_watch(struct http_conn *); /* as `reading` wants it */
void http_secure_catch_up(struct http_conn *);
void http_secure_shutdown(struct http_conn *);
int http_secure_write(struct http_conn *, const uv_buf_t *parts, unsigned n);

/* request.c: what the parser calls */
extern const http_parser_settings http_request_settings;
void http_request_begin(struct http_conn *);
/* How what has been parsed ends. */
void http_request_remember(struct http_conn *, const char *at, size_t n);
/* Makes room for the body where the handler knows its length; false: it has answered instead. */
bool http_request_want_room(struct http_conn *);
bool http_request_flush(struct http_conn *); /* gives the handler what is in the room */
void http_request_deinit(struct http_conn *);

/* answer.c */
void http_answer_serialize(struct http_conn *, const struct http_answer *);
void http_answer_head(struct http_conn *, bool close);
void http_answer_release(struct http_conn *);

/* server.c */
void http_server_deadline(struct http_server *, struct http_conn *, uint64_t after_ms);
void http_server_ref(struct http_server *);
void http_server_unref(struct http_server *);
void http_server_forget(struct http_server *, struct http_conn *); /* its socket is closed */

#endif
