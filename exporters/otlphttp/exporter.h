/* What the files of the OTLP/HTTP exporter share. The config is read-only once `prepare` has run.
 * Requests go one of two ways: plain ones straight from the payload over the process's HTTP loop
 * (direct.c), all others through libcurl on the consumers' threads (transfer.c). */
#ifndef SLUICE_EXPORTERS_OTLPHTTP_EXPORTER_H
#define SLUICE_EXPORTERS_OTLPHTTP_EXPORTER_H
#include "exporters/otlp_client/certificates.h"
#include "exporters/otlp_client/client.h"
#include "formats/compress/pack.h"
#include "formats/otlp/json_schema.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>

enum { SIGNALS = 4 };

#define USER_AGENT "Sluice/0.1"

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

struct cookies {
    uint8_t enabled;
};

struct client;
struct direct;

struct exporter {
    sl_base base;
    sl_bytes endpoint, signal_endpoints[SIGNALS], proxy_url;
    sl_list headers; /* sl_meta_entry */
    uint32_t compression, encoding;
    struct compression_params compression_params;
    struct tls_client_config tls;
    struct client_auth auth;
    struct cookies cookies;
    uint32_t max_idle_conns, max_idle_conns_per_host, max_conns_per_host;
    uint64_t read_buffer_size, write_buffer_size;
    int64_t idle_conn_timeout;
    uint8_t disable_keep_alives;
    const sl_raw *middlewares;

    struct client *client; /* set by start */
};

/* config.c */
extern const sl_field exporter_fields[];
int32_t exporter_prepare(void *component, sl_error *);
extern const char *const exporter_compressions[];
bool exporter_compresses(const struct exporter *);
/* What the packer takes for `compression_params.level`. */
int exporter_level(const struct exporter *);
/* How many idle connections are kept; 0: all. */
uint32_t exporter_idle_max(const struct exporter *);

/* Where a signal's requests go. */
struct route {
    char *url;                /* NULL: there is no endpoint for the signal */
    char *shown;              /* for logs: without what may be secret */
    char *host, *port;        /* without brackets */
    char *authority, *target; /* what the request says */
    char *socket_path;        /* NULL: TCP */
    bool https;
    const char *proxy;             /* NULL: none; the config's or the environment's */
    struct curl_slist *connect_to; /* where the URL has server_name_override as its host */
};

/* route.c. SL_ERR_INVALID, SL_ERR_UNSUPPORTED, SL_ERR_NOMEM; the text names the key. */
int32_t route_make(const struct exporter *, unsigned signal, struct route *, sl_error *);
void route_deinit(struct route *);

/* headers.c. `auth` may be NULL. NULL: no memory. */
struct curl_slist *headers_make(const struct exporter *, const struct route *,
                                const sl_metadata *auth);
/* The head of a request up to the value of Content-Length; malloc. */
char *head_make(const struct exporter *, const struct route *, const sl_metadata *auth);

/* What came back. */
struct answer {
    long http; /* the status that counts; 0: there was none */
    sl_bytes body;
    int64_t retry_after_ns;
    bool is_protobuf, is_json;
    bool is_gzip, is_packed; /* the body; with something else than gzip */
    bool too_long;           /* the body, and so it was cut off */
    bool is_late;            /* the deadline has passed */
    const char *text;        /* why it is missing or breaks off; NULL: it is complete */
};

/* A request's body in one piece. A zeroed one needs no init. */
struct body {
    struct packer *packer; /* made when first needed; NULL: no compression */
    struct pack_buffer packed;
};

/* One request through curl and its answer; holds a connection. */
struct transfer {
    struct transfer *next; /* free ones */
    struct client *client;
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

struct client {
    const struct exporter *exporter;
    const sl_host *host;
    const sl_auth_client *auth; /* NULL: none */
    struct route routes[SIGNALS];
    struct curl_slist *headers[SIGNALS];  /* NULL where an authenticator adds to them */
    struct json_schema *schemas[SIGNALS]; /* where the encoding is json; NULL: no such form */
    struct json_schema *success_schemas[SIGNALS], *status_schema; /* of answers */
    struct direct *direct; /* NULL: everything goes through curl */
    struct client_notices notices;
    CURLSH *cookies;
    pthread_mutex_t cookies_mutex;
    struct client_certificates certificates;
    pthread_mutex_t certificates_mutex;
    _Atomic bool stopping;
    /* the pool */
    pthread_mutex_t mutex;
    pthread_cond_t given;
    struct transfer *free;
    uint32_t n_free, in_use;
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

/* pool.c */
void pool_init(struct client *);
/* Waits for at most `left_ns` (0: without end) where the connections are limited. SL_ERR_NOMEM,
 * SL_ERR_TIMEOUT, SL_ERR_SHUTDOWN. */
int32_t pool_take(struct client *, int64_t left_ns, struct transfer **);
void pool_give(struct transfer *);
/* Nobody waits any more: `stopping` is set. */
void pool_stop(struct client *);
/* When all have been given back. */
void pool_deinit(struct client *);

/* transfer.c */
int32_t exporter_send(void *component, sl_delivery *, sl_send *);
bool transfer_set_callbacks(struct transfer *);

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
/* `name.p` NULL: another answer begins, and what the one before said is void. */
void answer_header(struct answer *, const sl_host *, sl_bytes name, sl_bytes value);
/* Seconds or an HTTP date as nanoseconds from now; 0: neither, or not in the future. */
int64_t answer_retry_after(sl_bytes value, int64_t wall_clock_ns);
int32_t answer_judge(struct client *, unsigned signal, const struct answer *, sl_delivery *,
                     sl_send *);

#endif
