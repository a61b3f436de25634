/* What the files of the OTLP/gRPC exporter share. The config is read-only once `prepare` has run;
 * the channel is made by `start`; calls are pooled under a mutex, begun on any thread, and end on a
 * thread of the process's gRPC loop (formats/grpc/loop.h). */
#ifndef SLUICE_EXPORTERS_OTLP_EXPORTER_H
#define SLUICE_EXPORTERS_OTLP_EXPORTER_H
#include "exporters/otlp_client/client.h"
#include "formats/compress/pack.h"
#include "formats/compress/unpack.h"
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
    struct keepalive keepalive;
    struct client_tls tls;
    uint64_t read_buffer_size, write_buffer_size;
    const sl_raw *auth, *middlewares;

    struct client *client; /* set by start */
};

/* config.c */
extern const sl_field exporter_fields[];
extern const char *const balancer_names[];
int32_t exporter_prepare(void *component, sl_error *);
/* The name that gRPC resolves: the endpoint without an http scheme. */
sl_bytes exporter_target(const struct exporter *);

/* One unary call at a time for each; the last one used is the next one taken. */
struct call {
    grpc_loop_event ended; /* the tag on the loop's queue */
    struct client *client;
    struct call *next_free, *next;
    struct packer *packer; /* made when first needed */
    struct pack_buffer packed;
    struct unpacker *unpacker; /* likewise */
    grpc_metadata_array initial, trailing;
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

struct client {
    const struct exporter *exporter;
    const sl_host *host;
    const grpc_loop *loop;
    grpc_completion_queue *queue; /* the loop's */
    grpc_channel *channel;
    void *methods[SIGNALS]; /* registered with the channel, which owns them */
    grpc_metadata *metadata;
    size_t metadata_count;
    pthread_mutex_t mutex;
    pthread_cond_t quiet; /* running or held has become 0 */
    struct call *free, *all;
    uint32_t running;
    uint32_t held; /* requests whose bytes gRPC refers to; may outlast their calls */
    _Atomic bool stopping;
};

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
int32_t answer_judge(const sl_host *host, sl_delivery *delivery, struct call *call, sl_send *send);

#endif
