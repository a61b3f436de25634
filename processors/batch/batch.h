/* What the files of the batch processor share: the config, which is the component and read-only for
 * all lanes, and a lane's instance, which only its lane touches. */
#ifndef SLUICE_PROCESSORS_BATCH_H
#define SLUICE_PROCESSORS_BATCH_H
#include "sluice/plugin.h"

struct batch_config {
    sl_base base;
    int64_t timeout;
    uint32_t send_batch_size;
    uint32_t send_batch_max_size;
    uint32_t metadata_cardinality_limit;
    sl_list metadata_keys; /* sl_bytes */

    /* set by start; NULL where the host shows no metrics */
    const sl_metrics *metrics;
    sl_metric *by_size, *by_timeout;
    sl_metric_histogram *sizes;
};

/* Deliveries with the same values of the metadata keys. Groups that hold something stand in the
 * instance's list in the order of their deadlines. */
struct group {
    struct group *next, *previous; /* by deadline */
    struct group *chain;           /* of its hash bucket */
    sl_piece *held;                /* what is not handed on yet of each delivery, oldest first */
    uint32_t n, room;
    uint64_t items;
    int64_t deadline_ns;
    uint64_t hash;
    size_t key_length;
    uint8_t key[];
};

enum { BUCKETS = 256 }; /* a power of two */

/* Why no more is taken in for now. */
enum batch_wait {
    WAIT_NOT,
    WAIT_OUTPUT, /* forward answered FULL */
    WAIT_MEMORY  /* a batch could not be made */
};

struct batch {
    const sl_host *host;
    const struct batch_config *config;
    struct group *only;         /* where there are no metadata keys */
    struct group *first, *last; /* by deadline */
    struct group *buckets[BUCKETS];
    uint32_t groups;
    enum batch_wait wait;
    bool draining;
    int64_t timer_ns; /* when the timer fires; 0: not armed */
};

/* groups.c: finding, queueing and freeing groups; nothing of it calls into the pipeline. */

/* The group that the delivery belongs to, made if need be. SL_ERR_REJECTED: one too many;
 * SL_ERR_TOO_LARGE: values beyond any use as a key; SL_ERR_NOMEM. */
int32_t group_find(struct batch *batch, const sl_metadata *metadata, struct group **group);
int32_t group_append(struct batch *batch, struct group *group, sl_delivery *delivery);
/* Forgets the first n pieces, which have been handed on. */
void group_remove(struct group *group, uint32_t n);
/* Puts it where its deadline belongs: last, since all wait equally long, or first if it is due. */
void group_queue(struct batch *batch, struct group *group, bool due);
/* Takes it out of the queue once it is empty, and frees it unless it is the only one. */
void group_release(struct batch *batch, struct group *group);
void group_free_all(struct batch *batch);

#endif
