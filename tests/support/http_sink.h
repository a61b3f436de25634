/* An HTTP server for unit tests: takes requests with a Content-Length, records the last one, and
 * answers with whatever bytes the test has given. A thread for each connection; the test's thread
 * scripts and reads. */
#ifndef SLUICE_TESTS_HTTP_SINK_H
#define SLUICE_TESTS_HTTP_SINK_H
#include "sluice/plugin.h"

struct http_sink;

struct http_sink_answer {
    sl_bytes bytes;  /* header and body; .p NULL: 200 without a body; n 0: none, ever */
    uint32_t repeat; /* how often more the bytes are sent */
    bool close;      /* the connection, after it */
    bool reset;      /* the connection, instead of an answer, by RST */
};

/* What the last request was. */
struct http_sink_seen {
    uint32_t requests, connections;
    uint32_t at_one_time; /* the most connections that were open together */
    char head[8192];      /* request line and headers, NUL-terminated */
    uint8_t *body;
    size_t body_n;
};

struct http_sink *http_sink_create(int port); /* 0: any */
struct http_sink *http_sink_create_unix(const char *path);
int http_sink_port(const struct http_sink *);
/* Copies the bytes. Answers 200 until it is called. */
void http_sink_script(struct http_sink *, struct http_sink_answer);
/* Closes the connections after the next request, without a word. */
void http_sink_drop_next(struct http_sink *);
const struct http_sink_seen *http_sink_seen(struct http_sink *);
void http_sink_destroy(struct http_sink *);

#endif
