/* What the files of the OTLP/HTTP exporter share. The config is read-only once `prepare` has run.
 * Requests go one of two ways: over the process's HTTP loop (direct.c), or, where the destination
 * takes TLS, a proxy or cookies, through libcurl on the consumers' threads (curl.h), which is a
 * plugin file of its own. */
#ifndef SLUICE_EXPORTERS_OTLPHTTP_EXPORTER_H
#define SLUICE_EXPORTERS_OTLPHTTP_EXPORTER_H
#include "exporters/otlp_client/client.h"
#include "formats/compress/pack.h"
#include "formats/otlp/json_schema.h"
#include "formats/tls/config.h"

#include <pthread.h>
#include <stdatomic.h>

enum { SIGNALS = 4 };

#define USER_AGENT "Sluice/0.1"
#define CONTENT_PROTO "application/x-protobuf"
#define CONTENT_JSON "application/json"

enum compression {
    COMPRESS_GZIP,
    COMPRESS_NONE,
    COMPRESS_EMPTY,
    COMPRESS_ZSTD,
    COMPRESS_ZLIB,
    COMPRESS_DEFLATE, /* another name for zlib's format */
    COMPRESS_SNAPPY,
    COMPRESS_SNAPPY_FRAMED,
    COMPRESS_LZ4
};

enum encoding { ENCODE_PROTO, ENCODE_JSON };

struct compression_params {
    int64_t level;
};

struct cookies {
    uint8_t enabled;
};

struct client;
struct curl_api;
struct curl_way;
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

/* How many idle connections are kept; 0: all. */
static inline uint32_t exporter_idle_max(const struct exporter *e)
{
    const uint32_t all = e->max_idle_conns, one = e->max_idle_conns_per_host;
    return all == 0 || (one && one < all) ? one : all;
}

/* config.c */
extern const sl_field exporter_fields[];
int32_t exporter_prepare(void *component, sl_error *);
/* Loads the plugin with libcurl. [control, blocking] */
int32_t exporter_load_curl(const sl_host *, const struct curl_api **, sl_error *);

/* Where a signal's requests go. */
struct route {
    char *target, *authority; /* what the request says; NULL: there is no endpoint for the signal */
    char *shown;              /* for logs: without what may be secret */
    char *host, *port;        /* without brackets */
    char *socket_path;        /* NULL: TCP */
    bool https;
    const char *proxy; /* NULL: none; the config's or the environment's */
};

/* route.c. SL_ERR_INVALID, SL_ERR_UNSUPPORTED, SL_ERR_NOMEM; the text names the key. */
int32_t route_make(const struct exporter *, unsigned signal, struct route *, sl_error *);
void route_deinit(struct route *);

/* headers.c. The head of a request up to the value of Content-Length; malloc, NULL: no memory.
 * `auth` may be NULL. */
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

struct client {
    const struct exporter *exporter;
    const sl_host *host;
    const sl_auth_client *auth; /* NULL: none */
    struct route routes[SIGNALS];
    struct json_schema *schemas[SIGNALS]; /* where the encoding is json; NULL: no such form */
    struct json_schema *success_schemas[SIGNALS], *status_schema; /* of answers */
    struct client_notices notices;
    _Atomic bool stopping;
    struct direct *direct; /* NULL: everything goes through curl */
    struct curl_way *curl; /* NULL: nothing does */
    const struct curl_api *curl_api;
};

/* body.c */

extern const char *const exporter_compressions[];
bool exporter_compresses(const struct exporter *);
/* Must bodies be made, which takes a thread's time? Else payloads are sent as they lie. */
bool body_is_made(const struct exporter *);
/* Makes it: `whole` stays valid until the next call. A failure is explained. */
int32_t body_make(struct body *, const struct client *, const sl_payload *, sl_bytes *whole,
                  sl_send *);
/* The payload's segments in one piece, likewise. SL_ERR_NOMEM. */
int32_t body_gather(struct body *, const sl_payload *, sl_bytes *whole);
/* Between two requests: gives back what only large ones need. */
void body_rest(struct body *);
void body_deinit(struct body *);

/* direct.c */

/* NULL where the destination or the settings need curl; an error where memory or the loop lacks. */
int32_t direct_create(struct client *, struct direct **, sl_error *);
/* Sends the payload as it lies; waits for nothing. */
int32_t direct_begin(struct direct *, sl_delivery *, sl_send *,
                     void (*done)(void *ctx, int32_t status), void *ctx);
/* Makes the body where it must be made, and waits for the answer. */
int32_t direct_send(struct direct *, sl_delivery *, sl_send *);
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
