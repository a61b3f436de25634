/* What the files of the probabilistic sampler share. The config is the component, and read-only once
 * it has started. */
#ifndef SLUICE_PROCESSORS_SAMPLER_H
#define SLUICE_PROCESSORS_SAMPLER_H
#include "processors/probabilistic_sampler/tracestate.h"
#include "sluice/otlp.h"

enum mode { MODE_HASH_SEED, MODE_PROPORTIONAL, MODE_EQUALIZING };
enum attribute_source { SOURCE_TRACE_ID, SOURCE_RECORD };

/* Where a decision came from: a label of the metrics. */
enum policy {
    POLICY_MISSING_RANDOMNESS,
    POLICY_TRACE_ID_HASH,
    POLICY_TRACE_ID_W3C,
    POLICY_SAMPLING_RANDOMNESS,
    POLICY_SAMPLING_PRIORITY,
    POLICY_ATTRIBUTE,
    POLICIES
};

struct sampler {
    sl_base base;
    double sampling_percentage;
    uint32_t mode, hash_seed, sampling_precision, attribute_source;
    uint8_t fail_closed;
    sl_bytes from_attribute, sampling_priority; /* of logs */

    /* set by start */
    bool never;         /* nothing is kept, but by priority */
    double ratio;       /* 0 to 1 */
    uint64_t threshold; /* of items that were not sampled before */
    const sl_metrics *metrics;
    sl_metric *counts[2][POLICIES][2]; /* signal (traces, logs), policy, sampled */
};

/* One item before, and after, its decision. */
struct item {
    const uint8_t *trace_id; /* 16 bytes */
    sl_bytes hashed;         /* logs: what stands in for the trace id; .n is 0 where nothing does */
    bool malformed;          /* what it says of its sampling cannot be read */
    struct sampling_state state;
    bool has_priority;
    uint64_t priority; /* the threshold that it asks for */
    bool is_log;

    /* what became of it */
    bool sampled;
    bool changed; /* the state */
    enum policy policy;
    char randomness_text[HEX_DIGITS], threshold_text[HEX_DIGITS]; /* the new state's */
};

/* decide.c */
void sampler_prepare(struct sampler *);
void sampler_decide(const struct sampler *, struct item *);

/* items.c: reading an item, and writing its record anew with the state of the decision. The strings
 * that `item` points to are of the record, or in `item` itself. */
void span_read(const sl_span *, struct item *);
void span_write(const sl_span *, const struct item *, sl_writer *);
void log_read(const struct sampler *, const sl_log_record *, struct item *,
              char scratch[32] /* for numbers that are hashed as text */);
void log_write(const sl_log_record *, const struct item *, sl_writer *);

#endif
