/* sending_queue.batch: the queue that merges what waits in it. Deliveries are kept in partitions by
 * metadata values; a partition is ready when it has min_size or its oldest has waited for
 * flush_timeout. What is taken has max_size at most: segments are listed and records referenced, as
 * in the batch processor, and every item of a merged delivery is settled by itself.
 *
 * No lock of its own: everything is called with the sink's mutex held. */
#ifndef SLUICE_PIPELINE_QUEUE_BATCH_H
#define SLUICE_PIPELINE_QUEUE_BATCH_H
#include "pipeline/graph/sink.h"

struct queue_batch;

/* What the queue is less by; what is put back counts against it. */
struct queue_taken {
    int64_t requests, items, bytes;
};

/* The config must outlive it. NULL: no memory. */
struct queue_batch *queue_batch_create(const struct batch_config *, struct memory *);
void queue_batch_destroy(struct queue_batch *); /* nothing is in it */

/* SL_OK: it is in the queue. SL_ERR_NOMEM, or SL_ERR_TOO_LARGE for metadata values that are beyond
 * any use as a key: it stays the caller's. */
int32_t queue_batch_add(struct queue_batch *, struct delivery *, int64_t now_ns);
bool queue_batch_is_empty(const struct queue_batch *);
/* Is there something to take? `all`: whatever waits need not wait any longer. */
bool queue_batch_ready(const struct queue_batch *, int64_t now_ns, bool all);
/* When something becomes ready by itself; INT64_MAX: not by time. */
int64_t queue_batch_deadline(const struct queue_batch *);
/* A batch that is ready; NULL: there is none, or no memory for it now. */
struct delivery *queue_batch_take(struct queue_batch *, int64_t now_ns, bool all,
                                  struct queue_taken *);
/* Any delivery, not merged; of one that was split the rest is unclaimed. NULL: it is empty. */
struct delivery *queue_batch_pop(struct queue_batch *, struct queue_taken *);
#endif
