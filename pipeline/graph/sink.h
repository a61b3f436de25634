/* Sinks: what stands between a lane and an exporter's `send` for one signal: a queue bounded by
 * requests, items or bytes, consumers, and retries with backoff. Exporters themselves neither queue
 * nor retry. Any thread. */
#ifndef SLUICE_PIPELINE_SINK_H
#define SLUICE_PIPELINE_SINK_H
#include "pipeline/graph/graph.h"
#include "pipeline/graph/stream.h"

enum queue_sizer { SIZER_REQUESTS, SIZER_ITEMS, SIZER_BYTES };

/* sending_queue.batch */
struct batch_config {
    int64_t flush_timeout;       /* ns */
    uint64_t min_size, max_size; /* in units of sizer; max_size 0: none */
    uint32_t sizer;              /* SIZER_ITEMS or SIZER_BYTES */
    struct {
        sl_list metadata_keys; /* of sl_bytes */
    } partition;
};

/* The collector's exporterhelper keys, bound beside the exporter's own. */
struct queue_config {
    uint8_t enabled, wait_for_result, block_on_overflow;
    uint32_t num_consumers;
    uint32_t sizer; /* enum queue_sizer */
    uint64_t queue_size;
    sl_bytes storage;
    struct batch_config batch;
    uint8_t batch_present;
};

struct retry_config {
    uint8_t enabled;
    int64_t initial_interval, max_interval, max_elapsed_time; /* ns */
    uint8_t max_elapsed_given;
    double randomization_factor, multiplier;
};

struct exporter_config {
    struct queue_config sending_queue;
    struct retry_config retry_on_failure;
    int64_t timeout; /* ns */
};

/* The tables for an exporter type's flags; `parts` is filled for config_bind. `timeout` is room for
 * the table whose default is the type's, and lives as long as the parts are bound. */
void exporter_config_parts(const sl_type *, struct config_part *parts, uint32_t *n_parts,
                           sl_field timeout[2]);
/* What applies to the type: bound parts, or what stands for their absence. */
int32_t exporter_config_finish(const sl_type *, const struct config_part *parts,
                               struct exporter_config *, sl_error *);

struct sink *sink_create(struct component *, uint32_t signal);
void sink_destroy(struct sink *);

/* The exporter has started: how does it send? [control] */
void sink_started(struct sink *);
/* [control] What comes here is kept on disk until it ends: retries end with the data's `max_age_ns`
 * where the config does not say (0: it lies in memory alone), and where it is kept before it comes
 * here (`makes_wait`), a full queue makes its lanes wait instead of refusing. */
void sink_keep(struct sink *, int64_t max_age_ns, bool makes_wait);
/* [control] A stream on disk for what waits here: all of it, or what cannot be sent soon. Before
 * the sink gets anything. */
int32_t sink_open_store(struct sink *, const struct stream_options *, bool all, sl_error *);
/* [control] What the stream holds comes here from now on; and no more. */
void sink_lead_store(struct sink *);
void sink_leave_store(struct sink *);
bool sink_stores_all(const struct sink *);
/* [any] Takes the delivery: queues it, or settles it as failed when the queue refuses. `run`: the
 * root whose `taken` waits until it is durable, where the sink writes it to disk; or NULL. */
void sink_push(struct sink *, struct delivery *, struct delivery *run);
/* [any] Will the sink not make anyone wait? If it will and `waiter` is given, the lane is poked
 * when it no longer does. */
bool sink_has_room(struct sink *, struct lane *waiter);
/* No new attempt is made after the deadline; retries are not waited for beyond it. */
void sink_drain(struct sink *, int64_t deadline_ns);
bool sink_is_empty(struct sink *);
/* Ends the consumers; the exporter's stop has been called, so that running sends return. What is
 * left is settled as failed; returns its items. */
uint64_t sink_close(struct sink *);

/* [control] After a reload: what waits here, and what cannot be sent here, goes to the sink of the
 * component that has taken this one's place. */
void sink_hand_over(struct sink *, struct sink *heir);
/* [control] Forgets waiters that are closed lanes. */
void sink_forget_gone(struct sink *);

struct sink_stats {
    struct component *component;
    uint32_t signal;
    uint64_t requests, items, bytes; /* waiting or being sent */
    uint64_t size, capacity;         /* in units of the sizer */
    uint32_t in_flight;              /* sends that run now */
    uint64_t attempts, retries;
};
void sink_read(struct sink *, struct sink_stats *);
#endif
