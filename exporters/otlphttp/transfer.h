/* What the files of the plugin with libcurl share: the handles and their pool. */
#ifndef SLUICE_EXPORTERS_OTLPHTTP_TRANSFER_H
#define SLUICE_EXPORTERS_OTLPHTTP_TRANSFER_H
#include "exporters/otlp_client/certificates.h"
#include "exporters/otlphttp/curl.h"

#include <curl/curl.h>

/* One request through curl and its answer; holds a connection. */
struct transfer {
    struct transfer *next; /* free ones */
    struct curl_way *way;
    CURL *curl;
    unsigned signal;  /* whose URL is set; SIGNALS: none's */
    struct body body; /* what is sent, if it is not the payload as it lies */
    /* what is sent straight from the payload */
    const sl_bytes *segments;
    uint32_t n_segments, segment;
    size_t offset;              /* in that segment */
    struct curl_slist *headers; /* where an authenticator has added to them */
    struct answer answer;
    uint8_t *reply;
    size_t reply_n, reply_room, header_bytes;
    char error[CURL_ERROR_SIZE];
    sl_error tls_error; /* why a connection's TLS could not be set up */
};

/* A route as curl takes it. */
struct curl_route {
    char *url;                     /* has server_name_override as its host */
    struct curl_slist *connect_to; /* where that is; NULL: as the URL says */
    struct curl_slist *headers;    /* NULL where an authenticator adds to them */
};

struct curl_way {
    struct client *client;
    struct curl_route routes[SIGNALS];
    CURLSH *cookies; /* one jar for all handles; NULL: none are kept */
    pthread_mutex_t cookies_mutex;
    struct client_certificates certificates;
    pthread_mutex_t certificates_mutex;
    /* the pool */
    pthread_mutex_t mutex;
    pthread_cond_t given;
    struct transfer *free;
    uint32_t n_free, in_use;
};

/* curl_route.c */

/* SL_ERR_NOMEM. */
int32_t curl_route_init(struct curl_route *, const struct client *, const struct route *);
void curl_route_deinit(struct curl_route *);
/* `auth` may be NULL. NULL: no memory. */
struct curl_slist *curl_headers_make(const struct exporter *, const struct route *,
                                     const sl_metadata *auth);

/* pool.c */

void pool_init(struct curl_way *);
/* Waits for at most `left_ns` (0: without end) where the connections are limited. SL_ERR_NOMEM,
 * SL_ERR_TIMEOUT, SL_ERR_SHUTDOWN. */
int32_t pool_take(struct curl_way *, int64_t left_ns, struct transfer **);
void pool_give(struct transfer *);
/* Nobody waits any more: the client is stopping. */
void pool_stop(struct curl_way *);
/* When all have been given back. */
void pool_deinit(struct curl_way *);

/* transfer.c */

int32_t transfer_send(struct curl_way *, sl_delivery *, sl_send *);
bool transfer_set_callbacks(struct transfer *);

#endif
