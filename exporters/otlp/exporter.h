/* What the files of the OTLP/gRPC exporter share. The config is read-only once `prepare` has run;
 * the channel is made by `start`; calls are pooled under a mutex, begun on any thread, and end on a
 * thread of the process's gRPC loop (formats/grpc/loop.h). */
#ifndef SLUICE_EXPORTERS_OTLP_EXPORTER_H
#define SLUICE_EXPORTERS_OTLP_EXPORTER_H
#include "exporters/otlp_client/certificates.h"
#include "exporters/otlp_client/client.h"
#include "formats/compress/pack.h"
#include "formats/grpc/loop.h"

#include <pthread.h>
#include <stdatomic.h>

enum { SIGNALS = 4 };

enum compression { COMPRESS_GZIP, COMPRESS_NONE, COMPRESS_EMPTY, COMPRESS_REFUSED /* the rest */ };

struct keepalive {
    int64_t time, timeout;
    uint8_t permit_without_stream;
};

struct client;

struct exporter {
    sl_base base;
    sl_bytes endpoint, user_agent, authority;
    sl_list headers; /* sl_meta_entry */
    uint32_t compression, balancer_name;
    uint8_t wait_for_ready, keepalive_set;
    uint8_t https; /* set by prepare: the endpoint says so, whatever tls.insecure says */
    struct keepalive keepalive;
    struct tls_client_config tls;
    struct client_auth auth;
    uint64_t read_buffer_size, write_buffer_size;
    const sl_raw *middlewares;

    struct client *client; /* set by start */
};

/* config.c */
extern const sl_field exporter_fields[];
extern const char *const balancer_names[];
int32_t exporter_prepare(void *component, sl_error *);
/* The name that gRPC resolves: the endpoint without an http scheme. */
sl_bytes exporter_target(const struct exporter *);

/* The http:// proxy on the way to the endpoint; malloc; NULL: none. */
int32_t exporter_proxy(const struct exporter *, char **proxy, sl_error *);

/* One unary call at a time for each; the last one used is the next one taken. */
struct call {
    grpc_loop_event ended; /* the tag on the loop's queue */
    struct client *client;
    struct call *next_free, *next;
    struct packer *packer; /* made when first needed */
    struct pack_buffer packed;
    grpc_metadata_array initial, trailing;
    grpc_metadata *own; /* the headers, where an authenticator adds to them */
    size_t own_count;
    struct channel *channel;
    grpc_call *running; /* client's mutex, as the next */
    bool cancelled;
    grpc_byte_buffer *reply;
    grpc_status_code code;
    grpc_slice text;
    /* of the attempt */
    sl_delivery *delivery;
    sl_send *send;
    void (*done)(void *ctx, int32_t status);
    void *ctx;
};

struct channel {
    grpc_channel *core;
    void *methods[SIGNALS]; /* registered with the channel, which owns them */
    _Atomic uint32_t references;
};

struct client {
    const struct exporter *exporter;
    const sl_host *host;
    const grpc_loop *loop;
    grpc_completion_queue *queue; /* the loop's */
    struct channel *channel;      /* mutex */
    struct client_certificates certificates;
    pthread_mutex_t certificates_mutex; /* taken before the other one */
    const sl_auth_client *auth;         /* NULL: none */
    struct client_notices notices;
    grpc_metadata *metadata;
    size_t metadata_count;
    pthread_mutex_t mutex;
    pthread_cond_t quiet; /* running or held has become 0 */
    struct call *free, *all;
    uint32_t running;
    uint32_t held; /* requests whose bytes gRPC refers to; may outlast their calls */
    _Atomic bool stopping;
};

/* secure.c */
bool exporter_is_plain(const struct exporter *);
/* Also reads the files. */
int32_t exporter_check_tls(const struct exporter *, sl_error *);
int32_t credentials_make(const struct client *, grpc_channel_credentials **, sl_error *);

/* channel.c */
int32_t channel_open(const struct client *, struct channel **, sl_error *);
/* The one for the next call. */
struct channel *channel_ref(struct client *);
void channel_unref(struct channel *);

/* call.c */
int32_t exporter_send(void *component, sl_delivery *, sl_send *);
int32_t exporter_begin(void *component, sl_delivery *, sl_send *,
                       void (*done)(void *ctx, int32_t status), void *ctx);
/* Ends the running calls. */
void calls_cancel(struct client *);
/* Waits for them. */
void calls_destroy(struct client *);

/* message.c: a request's bytes as gRPC takes them. SL_ERR_NOMEM, SL_ERR_TOO_LARGE. */
int32_t message_make(struct call *call, const sl_payload *payload, grpc_byte_buffer **message,
                     sl_send *send);
/* Waits until gRPC refers to no request any more; how many are left when it does not come to that.
 */
uint32_t messages_wait(struct client *);

/* answer.c: what a call's end means. */
int32_t answer_judge(struct client *, sl_delivery *, const struct call *, sl_send *);

#endif
