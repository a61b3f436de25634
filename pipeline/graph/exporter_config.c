/* The keys that every exporter has from the host: timeout, sending_queue, retry_on_failure; names
 * and defaults are the collector's (exporterhelper, configretry). Control thread. */
#include "formats/partition/partition_key.h"
#include "pipeline/graph/sink.h"
#include <inttypes.h>

static const char *const sizers[] = {"requests", "items", "bytes", NULL};

/* As in the collector, requests are not counted here. */
static const char *const batch_sizers[] = {"items", "bytes", NULL};

static const sl_field partition_fields[] = {
    {.key = "metadata_keys",
     .kind = SL_FIELD_TEXTS,
     .offset = offsetof(struct batch_config, partition.metadata_keys),
     .help = "Only requests with the same values of these client metadata keys are merged."},
    SL_END};
static const sl_struct partition_struct = {sizeof(struct batch_config), 0, partition_fields};

static const sl_field batch_fields[] = {
    SL_DURATION(struct batch_config, flush_timeout,
                "How long the oldest request waits for its batch to fill.", .def.i = 200000000,
                SL_RANGE(i, 1, INT64_C(86400000000000))),
    SL_U64(struct batch_config, min_size, "Size at which a batch is sent at once.", .def.u = 8192,
           SL_RANGE(u, 0, UINT64_C(1) << 50)),
    SL_U64(struct batch_config, max_size, "Larger batches are split; 0: never.",
           SL_RANGE(u, 0, UINT64_C(1) << 50)),
    SL_ENUM(struct batch_config, sizer, batch_sizers, "What min_size and max_size count."),
    {.key = "partition",
     .kind = SL_FIELD_STRUCT,
     .help = "What is not merged with what.",
     .of = &partition_struct},
    SL_END};
static const sl_struct batch_struct = {sizeof(struct batch_config), 0, batch_fields};

static const sl_field queue_fields[] = {
    SL_BOOL(struct queue_config, enabled, "Queue data before it is sent.", .def.u = 1),
    SL_BOOL(struct queue_config, wait_for_result,
            "Answer the sender only when the destination has answered."),
    SL_BOOL(struct queue_config, block_on_overflow,
            "Make senders wait while the queue is full, instead of refusing new data."),
    SL_U32(struct queue_config, num_consumers, "Requests that are sent at the same time.",
           .def.u = 10, SL_RANGE(u, 1, 1000)),
    SL_ENUM(struct queue_config, sizer, sizers, "What queue_size counts."),
    SL_U64(struct queue_config, queue_size, "Size of the queue, in units of sizer.", .def.u = 1000,
           SL_RANGE(u, 1, UINT64_C(1) << 50)),
    SL_TEXT(struct queue_config, storage, "Extension that keeps the queue on disk."),
    SL_STRUCT(struct queue_config, batch, &batch_struct,
              "Merges requests in the queue, and splits what is too large.",
              SL_PRESENT(struct queue_config, batch_present)),
    SL_END,
};
static const sl_struct queue_struct = {sizeof(struct queue_config), 0, queue_fields};

static const sl_field retry_fields[] = {
    SL_BOOL(struct retry_config, enabled, "Send again what a destination could not take.",
            .def.u = 1),
    SL_DURATION(struct retry_config, initial_interval, "Wait before the first retry.",
                .def.i = INT64_C(5000000000), SL_RANGE(i, 0, INT64_C(3600000000000))),
    SL_F64(struct retry_config, randomization_factor, "Spread of each wait, as a part of it.",
           .def.f = 0.5, SL_RANGE(f, 0, 1)),
    SL_F64(struct retry_config, multiplier, "Growth of the wait from retry to retry.", .def.f = 1.5,
           SL_RANGE(f, 0, 1000)),
    SL_DURATION(struct retry_config, max_interval, "Longest wait between retries.",
                .def.i = INT64_C(30000000000), SL_RANGE(i, 0, INT64_C(86400000000000))),
    SL_DURATION(struct retry_config, max_elapsed_time,
                "Give up after this time since the first attempt; 0: never.",
                .def.i = INT64_C(300000000000), SL_RANGE(i, 0, INT64_MAX),
                SL_PRESENT(struct retry_config, max_elapsed_given)),
    SL_END,
};
static const sl_struct retry_struct = {sizeof(struct retry_config), 0, retry_fields};

struct with_queue {
    struct queue_config sending_queue;
};
static const sl_field with_queue_fields[] = {
    SL_STRUCT(struct with_queue, sending_queue, &queue_struct, "The queue in front of it."),
    SL_END,
};
struct with_retry {
    struct retry_config retry_on_failure;
};
static const sl_field with_retry_fields[] = {
    SL_STRUCT(struct with_retry, retry_on_failure, &retry_struct, "Retries."),
    SL_END,
};
struct with_timeout {
    int64_t timeout;
};
static const sl_field with_timeout_fields[] = {
    SL_DURATION(struct with_timeout, timeout, "Longest time that one attempt may take; 0: none.",
                SL_RANGE(i, 0, INT64_C(86400000000000))),
    SL_END,
};

void exporter_config_parts(const sl_type *type, struct config_part *parts, uint32_t *n_parts,
                           sl_field timeout[2])
{
    uint32_t n = 0;
    if (type->flags & SL_QUEUE)
        parts[n++] = (struct config_part){with_queue_fields, sizeof(struct with_queue), NULL};
    if (type->flags & SL_RETRY)
        parts[n++] = (struct config_part){with_retry_fields, sizeof(struct with_retry), NULL};
    if (type->flags & SL_TIMEOUT) {
        memcpy(timeout, with_timeout_fields, sizeof with_timeout_fields);
        timeout[0].def.i = type->timeout_ns;
        parts[n++] = (struct config_part){timeout, sizeof(struct with_timeout), NULL};
    }
    *n_parts = n;
}

static int32_t check_batch(const struct queue_config *q, sl_error *error)
{
    const struct batch_config *b = &q->batch;
    const uint32_t sizer = b->sizer ? SIZER_BYTES : SIZER_ITEMS;
    if (!q->batch_present || !q->enabled)
        return SL_OK;
    if (b->max_size && b->max_size < b->min_size)
        return sl_fail(error, SL_ERR_INVALID,
                       "sending_queue.batch: max_size (%" PRIu64 ") is below min_size (%" PRIu64
                       "); raise it, or set it to 0 for no limit",
                       b->max_size, b->min_size);
    if (sizer == q->sizer && b->min_size > q->queue_size)
        return sl_fail(error, SL_ERR_INVALID,
                       "sending_queue.batch: min_size (%" PRIu64 ") is above queue_size (%" PRIu64
                       "): no batch would ever fill",
                       b->min_size, q->queue_size);
    return partition_keys_check(&b->partition.metadata_keys,
                                "sending_queue.batch.partition.metadata_keys", error);
}

int32_t exporter_config_finish(const sl_type *type, const struct config_part *parts,
                               struct exporter_config *out, sl_error *error)
{
    uint32_t n = 0;
    /* Without a queue each send is waited for, so senders are made to wait and nothing is refused;
     * such exporters (files, consoles) take one delivery after another. */
    *out = (struct exporter_config){
        .sending_queue = {
            .wait_for_result = 1, .block_on_overflow = 1, .num_consumers = 1, .queue_size = 16}};
    if (type->flags & SL_QUEUE) {
        const struct queue_config *q = &((const struct with_queue *)parts[n++].out)->sending_queue;
        if (q->enabled) {
            out->sending_queue = *q;
        } else {
            out->sending_queue.num_consumers = q->num_consumers;
            out->sending_queue.queue_size = q->num_consumers;
        }
        const int32_t status = check_batch(q, error);
        if (status != SL_OK)
            return status;
        if (out->sending_queue.batch_present) /* the enumeration here begins with items */
            out->sending_queue.batch.sizer = q->batch.sizer ? SIZER_BYTES : SIZER_ITEMS;
    }
    if (type->flags & SL_RETRY) {
        out->retry_on_failure = ((const struct with_retry *)parts[n++].out)->retry_on_failure;
        if (out->retry_on_failure.max_interval < out->retry_on_failure.initial_interval)
            out->retry_on_failure.max_interval = out->retry_on_failure.initial_interval;
    }
    if (type->flags & SL_TIMEOUT)
        out->timeout = ((const struct with_timeout *)parts[n++].out)->timeout;
    return SL_OK;
}
