/* The metrics that the shop's programs, machines and stores report: names, dimensions and how
 * values move. */
#ifndef SLUICE_GENERATE_FAMILIES_H
#define SLUICE_GENERATE_FAMILIES_H

#include "commands/generate/topology.h"

/* Who reports a family. */
enum reporter {
    BY_SERVICE,  /* of the language in `whose`, or any */
    BY_CONSUMER, /* services that read topics */
    BY_MACHINE,
    BY_STORE, /* of the role in `whose`, or any */
};

#define ANYONE 0xff

/* Dimensions beside the fixed ones. */
enum spread {
    SPREAD_NONE,
    SPREAD_ROUTES,     /* the service's HTTP operations, each with success and failure */
    SPREAD_CALLS,      /* its RPC operations */
    SPREAD_STORES,     /* the stores that it queries, each with its statements' operations */
    SPREAD_POOLS,      /* the stores that it queries */
    SPREAD_PARTITIONS, /* of the topics that it reads */
};

/* How a series' value moves. */
enum movement {
    MOVE_WAVE,     /* with the time of day, and some noise */
    MOVE_WALK,     /* randomly, between bounds */
    MOVE_STEP,     /* rarely, by much */
    MOVE_CONSTANT, /* never */
    MOVE_SPIKES,   /* zero, but for bursts */
    MOVE_RATE,     /* grows with traffic */
    MOVE_RARE,     /* grows seldom */
    MOVE_UPTIME,   /* seconds since the last restart */
};

struct dimension {
    sl_bytes key;
    const sl_bytes *values;
    uint32_t n;
};

struct family {
    sl_bytes name;
    sl_bytes description;
    sl_bytes unit;
    enum point_type type;
    bool monotonic;
    bool delta;
    bool whole; /* values are integers */
    enum reporter reporter;
    uint8_t whose;
    uint8_t role; /* instrumentation scope of services' metrics */
    enum spread spread;
    enum movement movement;
    double low; /* a series' level lies between these; for counters, of the growth a second */
    double high;
    double median; /* of observations in histograms and summaries */
    double sigma;
    const double *bounds;
    uint32_t bound_count;
    struct dimension dimensions[2];
};

extern const struct family metric_families[];
extern const uint32_t metric_family_count;

#endif
