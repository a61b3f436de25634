/* What the files of the OTLP/HTTP exporter share. The config is read-only once `prepare` has run.
 * Requests go one of two ways: plain ones straight from the payload over the process's HTTP loop
 * (direct.c), all others through libcurl on the consumers' threads (transfer.c). */
#ifndef SLUICE_EXPORTERS_OTLPHTTP_EXPORTER_H
#define SLUICE_EXPORTERS_OTLPHTTP_EXPORTER_H
#include "exporters/otlp_client/client.h"
#include "formats/compress/pack.h"
#include "formats/otlp/json_schema.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>

enum { SIGNALS = 4 };

enum compression {
    COMPRESS_GZIP,
    COMPRESS_NONE,
    COMPRESS_EMPTY,
    COMPRESS_ZSTD,
    COMPRESS_ZLIB,
    COMPRESS_DEFLATE, /* another name for zlib's format */
    COMPRESS_REFUSED  /* what the names from here on stand for */
};

enum encoding { ENCODE_PROTO, ENCODE_JSON };

struct compression_params {
    int64_t level;
};

struct client;
struct direct;

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
extern const char *const exporter_compressions[];
bool exporter_compresses(const struct exporter *);
/* What the packer takes for `compression_params.level`. */
int exporter_level(const struct exporter *);
/* The URL of a signal (its bit's number); malloc. NULL: no memory, or `*missing`. */
char *exporter_url(const struct exporter *, unsigned signal, bool *missing);

/* What came back. */
struct answer {
    long http; /* the status that counts; 0: there was none */
    sl_bytes body;
    int64_t retry_after_ns;
    bool is_protobuf;
    bool too_long;    /* the body, and so it was cut off */
    bool is_late;     /* the deadline has passed */
    const char *text; /* why it is missing or breaks off; NULL: it is complete */
};

/* A request's body in one piece. A zeroed one needs no init. */
struct body {
    struct packer *packer; /* made when first needed; NULL: no compression */
    struct pack_buffer packed;
};

/* One request through curl and its answer; holds a connection. */
struct transfer {
    struct transfer *next_free, *next;
    struct client *client;
    CURL *curl;
    unsigned signal;  /* whose URL is set; SIGNALS: none's */
    struct body body; /* what is sent, if it is not the payload as it lies */
    /* what is sent straight from the payload */
    const sl_bytes *segments;
    uint32_t n_segments, segment;
    size_t offset; /* in that segment */
    struct answer answer;
    uint8_t *reply;
    size_t reply_n, reply_room, header_bytes;
    char error[CURL_ERROR_SIZE];
};

struct client {
    const struct exporter *exporter;
    const sl_host *host;
    struct curl_slist *headers;
    char *urls[SIGNALS];                  /* NULL: there is none for the signal */
    struct json_schema *schemas[SIGNALS]; /* where the encoding is json; NULL: no such form */
    struct direct *direct;                /* NULL: everything goes through curl */
    pthread_mutex_t mutex;
    struct transfer *free, *all;
    _Atomic bool stopping;
};

/* body.c */

enum { BODY_GATHERED_MAX = 60 << 10 /* curl sends a body below 64 KiB together with the header */ };

enum pack_format exporter_pack_format(const struct exporter *);
/* What is to be sent: bytes that stay valid until the next call, or, with `whole->p` NULL, the
 * payload's segments one after another. */
int32_t body_make(struct body *, const struct client *, const sl_payload *, sl_bytes *whole,
                  sl_error *);
/* Between two requests: gives back what only large ones need. */
void body_rest(struct body *);
void body_deinit(struct body *);

/* transfer.c */
int32_t exporter_send(void *component, sl_delivery *, sl_send *);
void transfers_destroy(struct client *);

/* direct.c */

/* NULL where the destination or the settings need curl; an error where memory or the loop lacks. */
int32_t direct_create(struct client *, struct direct **, sl_error *);
int32_t direct_begin(struct direct *, sl_delivery *, sl_send *,
                     void (*done)(void *ctx, int32_t status), void *ctx);
/* Ends what runs. */
void direct_stop(struct direct *);
/* Waits for it. */
void direct_destroy(struct direct *);

/* answer.c */

enum { ANSWER_HEADERS_MAX = 256 << 10 };

/* What is wrong with a delivery before it is sent; SL_OK: nothing. */
int32_t answer_check(const struct client *, const sl_delivery *, sl_send *);
void answer_header(struct answer *, const sl_host *, sl_bytes name, sl_bytes value);
/* Seconds or an HTTP date as nanoseconds from now; 0: neither, or not in the future. */
int64_t answer_retry_after(sl_bytes value, int64_t wall_clock_ns);
int32_t answer_judge(const struct client *, unsigned signal, const struct answer *, sl_delivery *,
                     sl_send *);

#endif
