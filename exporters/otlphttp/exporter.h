/* What the files of the OTLP/HTTP exporter share. The config is read-only once `prepare` has run;
 * transfers are pooled under a mutex, each used by one consumer thread at a time. */
#ifndef SLUICE_EXPORTERS_OTLPHTTP_EXPORTER_H
#define SLUICE_EXPORTERS_OTLPHTTP_EXPORTER_H
#include "exporters/otlp_client/client.h"
#include "formats/compress/gzip.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>

enum { SIGNALS = 4 };

enum compression {
    COMPRESS_GZIP,
    COMPRESS_NONE,
    COMPRESS_EMPTY,
    COMPRESS_ZSTD,
    COMPRESS_SNAPPY,
    COMPRESS_ZLIB,
    COMPRESS_DEFLATE,
    COMPRESS_LZ4
};

enum encoding { ENCODE_PROTO, ENCODE_JSON };

struct compression_params {
    int64_t level;
};

struct client;

struct exporter {
    sl_base base;
    sl_bytes endpoint, signal_endpoints[SIGNALS];
    sl_list headers; /* sl_meta_entry */
    uint32_t compression, encoding;
    struct compression_params compression_params;
    struct client_tls tls;
    uint64_t read_buffer_size, write_buffer_size;
    int64_t idle_conn_timeout;
    uint8_t disable_keep_alives;
    const sl_raw *proxy_url, *auth, *cookies, *middlewares;

    struct client *client; /* set by start */
};

/* config.c */
extern const sl_field exporter_fields[];
int32_t exporter_prepare(void *component, sl_error *);
/* The URL of a signal (its bit's number); malloc. NULL: no memory, or `*missing`. */
char *exporter_url(const struct exporter *, unsigned signal, bool *missing);

/* One request and its answer; holds a connection. */
struct transfer {
    struct transfer *next_free, *next;
    struct client *client;
    CURL *curl;
    unsigned signal; /* whose URL is set; SIGNALS: none's */
    struct gzip_writer *gzip;
    struct gzip_buffer packed; /* what is sent, if it is compressed or gathered */
    /* what is sent straight from the payload */
    const sl_bytes *segments;
    uint32_t n_segments, segment;
    size_t offset; /* in that segment */
    /* the answer */
    uint8_t *body;
    size_t body_n, body_room, header_bytes;
    int64_t retry_after_ns;
    bool is_protobuf, too_long;
    char error[CURL_ERROR_SIZE];
};

struct client {
    const struct exporter *exporter;
    const sl_host *host;
    struct curl_slist *headers;
    char *urls[SIGNALS]; /* NULL: there is none for the signal */
    pthread_mutex_t mutex;
    struct transfer *free, *all;
    _Atomic bool stopping;
};

/* transfer.c */
int32_t exporter_send(void *component, sl_delivery *, sl_send *);
void transfers_destroy(struct client *);

/* answer.c */
size_t answer_header(char *at, size_t size, size_t n, void *transfer);
size_t answer_body(char *at, size_t size, size_t n, void *transfer);
/* Seconds or an HTTP date as nanoseconds from now; 0: neither, or not in the future. */
int64_t answer_retry_after(sl_bytes value, int64_t wall_clock_ns);
int32_t answer_judge(struct transfer *, CURLcode result, sl_delivery *, sl_send *);

#endif
