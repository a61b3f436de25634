/* Makes traces of the shop, one after another in order of their start, with the log records written
 * under them. The same options give the same traces. Each trace depends only on the seed, its
 * number and the messages of earlier ones. One thread. */
#ifndef SLUICE_GENERATE_TRACES_H
#define SLUICE_GENERATE_TRACES_H

#include "commands/generate/topology.h"

struct traces;

struct traces_options {
    const struct topology *topology; /* must outlive the maker */
    uint64_t seed;
    uint64_t start;      /* Unix time, ns */
    double mean_gap;     /* ns between two traces */
    double errors;       /* multiplies all rates of failure */
    uint32_t attributes; /* a span has at least that many */
    uint32_t baggage;    /* bytes of it; 0: none */
};

#define TRACES_SPANS_MAX 2048u
#define TRACES_BAGGAGE_MAX 65536u
#define TRACES_ATTRIBUTES_MAX 64u

enum sl_status traces_create(const struct traces_options *options, struct traces **out);
void traces_destroy(struct traces *t);

/* The next trace, valid until the next call. */
enum sl_status traces_next(struct traces *t, struct trace *out);

/* No span or log record of the traces still to come is older than this (Unix time, ns). */
uint64_t traces_watermark(const struct traces *t);

/* The text that pads spans of the current trace; empty without options.baggage. */
sl_bytes traces_baggage(const struct traces *t);

/* Ids follow from the seed and the number, so that metrics can name a trace before it is made. */
void trace_context(uint64_t seed, uint64_t number, uint32_t span, struct span_context *out);

#endif
