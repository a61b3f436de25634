/* Gathers encoded records into export requests: one bucket for each resource, as SDKs export, or
 * one for all, as a gateway does. One thread. */
#ifndef SLUICE_GENERATE_BATCHES_H
#define SLUICE_GENERATE_BATCHES_H

#include "commands/generate/topology.h"

/* Takes one request of `items` items; its bytes are valid during the call. Another status than
 * SL_OK ends the run. */
typedef enum sl_status batch_sink(void *ctx, enum sl_signal signal, sl_bytes request,
                                  uint32_t items);

struct batches;

struct batches_options {
    const struct topology *topology; /* must outlive the batches */
    enum sl_signal signal;
    uint32_t items; /* in a request at most, unless one record holds more */
    bool mixed;     /* one bucket for all resources */
    uint64_t delay; /* ns after its first record, a bucket is sent as it is; 0: only when full */
    batch_sink *sink;
    void *ctx;
};

enum sl_status batches_create(const struct batches_options *options, struct batches **out);
void batches_destroy(struct batches *b);

/* Records come in order of time. */
enum sl_status batches_add(struct batches *b, uint64_t time, uint32_t resource, uint16_t scope,
                           sl_bytes record, uint32_t items);
/* Sends what is left. */
enum sl_status batches_flush(struct batches *b);

#endif
