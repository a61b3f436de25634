/* Makes metric points: every resource of the shop is collected every 15 s with some jitter, and
 * gives all its series' points at once. The same options give the same points. One thread. */
#ifndef SLUICE_GENERATE_METRICS_H
#define SLUICE_GENERATE_METRICS_H

#include "commands/generate/topology.h"

#define METRICS_INTERVAL_NS UINT64_C(15000000000)
#define METRICS_SERIES_MAX 2000000u

struct metrics;

struct metrics_options {
    const struct topology *topology; /* must outlive the maker */
    uint64_t seed;
    uint64_t start;  /* Unix time, ns */
    uint32_t series; /* at most metrics_capacity(topology) */
    double
        trace_gap; /* ns between traces, so that exemplars name ones that exist; 0: no exemplars */
    uint64_t traces; /* their number */
};

/* What one resource reports at one moment; valid until the next call. */
struct collection {
    uint32_t resource;
    uint64_t time;
    const struct metric *metrics;
    uint32_t metric_count;
    uint32_t point_count;
};

/* How many series the resources of a topology have. */
uint32_t metrics_capacity(const struct topology *t);

enum sl_status metrics_create(const struct metrics_options *options, struct metrics **out);
void metrics_destroy(struct metrics *m);

void metrics_next(struct metrics *m, struct collection *out);

/* No point still to come is older than this (Unix time, ns); the next collection begins then. */
uint64_t metrics_watermark(const struct metrics *m);

#endif
