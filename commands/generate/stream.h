/* Generated telemetry as a stream of export requests, or of flat JSON lines, in the order in which
 * programs would send them. One thread. */
#ifndef SLUICE_GENERATE_STREAM_H
#define SLUICE_GENERATE_STREAM_H

#include "commands/generate/batches.h"

#define STREAM_SPAN_BYTES_MAX 65536u

struct stream_options {
    uint32_t signals; /* mask of enum sl_signal */
    uint64_t seed;
    uint64_t start;    /* Unix time, ns */
    uint64_t duration; /* ns that the traces spread over and metrics are collected for */
    uint64_t traces;   /* also those that logs belong to */
    uint64_t logs;     /* at most; 0: all that belong to the traces */
    uint32_t series;
    double errors;       /* multiplies the rates of failure */
    uint32_t attributes; /* of a span, at least */
    uint32_t span_bytes; /* spans are padded to that size; 0: not */
    uint32_t batch;      /* items in a request */
    bool mixed;
    uint64_t delay;   /* of batches, ns */
    bool lines;       /* flat JSON lines instead of requests: one item each call of the sink */
    batch_sink *sink; /* its `items` are spans, points, or log records */
    void *ctx;
    /* Called after each trace or collection; true breaks off. May be NULL. */
    bool (*pause)(void *ctx, uint64_t traces);
};

struct stream_counts {
    uint64_t traces;
    uint64_t spans;
    uint64_t points;
    uint64_t logs;
    uint64_t requests;
};

enum sl_status stream_run(const struct stream_options *options, struct stream_counts *counts,
                          sl_error *error);

#endif
