/* The registry of Sluice's own metrics: families of counters, gauges and histograms, each with its
 * series.
 *
 * A series is one atomic integer on a cache line of its own (of a histogram: and its buckets): adding
 * takes no lock. Making a series, looking one up, removing and reading them takes the registry's.
 * Any thread. */
#ifndef SLUICE_PIPELINE_METRICS_H
#define SLUICE_PIPELINE_METRICS_H
#include <sluice/plugin.h>
#include <stdatomic.h>

enum {
    METRIC_LABELS_MAX = 8,
    METRIC_VALUE_MAX = 1024, /* bytes of a label's value; longer ones are refused */
    METRIC_BOUNDS_MAX = 32,
    METRIC_SERIES_MAX = 20000
};

enum { METRIC_HISTOGRAM = 3 }; /* a kind beside SL_COUNTER and SL_GAUGE */

/* What a family is. The strings of a constant one (ids.h) or of a plugin's are copied. */
struct metric_def {
    const char *name; /* without suffixes for the unit and the type */
    const char *unit; /* UCUM: "s", "By", "{span}"; NULL: none */
    const char *help;
    uint32_t kind;         /* SL_COUNTER, SL_GAUGE or METRIC_HISTOGRAM */
    int64_t divisor;       /* of the stored integer: 1000000000 for ns shown as seconds; 0: 1 */
    const int64_t *bounds; /* of a histogram: its buckets' upper ends, ascending, each included */
    uint32_t n_bounds;     /* 1 to METRIC_BOUNDS_MAX */
};

struct metric_label {
    const char *key;
    const char *value;
};

/* A series; of a histogram: the sum. */
struct metric {
    _Alignas(64) _Atomic int64_t value;
};

struct metrics;
struct metrics_callback;

/* `max_series`: 0 for METRIC_SERIES_MAX. NULL: no memory. */
struct metrics *metrics_create(uint32_t max_series);
void metrics_destroy(struct metrics *);

/* The series of a family with these labels, in any order; made if it is not there. NULL: no memory,
 * above the bound on series, not a name that Prometheus takes, or a family of that name is of
 * another kind or has other bounds; it is counted in metrics_refused. */
struct metric *metrics_series(struct metrics *, const struct metric_def *,
                              const struct metric_label *, uint32_t n_labels);

/* NULL is ignored, so that callers need not care whether a series could be made. */
static inline void metric_add(struct metric *m, int64_t n)
{
    if (m)
        atomic_fetch_add_explicit(&m->value, n, memory_order_relaxed);
}
static inline void metric_set(struct metric *m, int64_t n)
{
    if (m)
        atomic_store_explicit(&m->value, n, memory_order_relaxed);
}
static inline int64_t metric_get(const struct metric *m)
{
    return m ? atomic_load_explicit(&m->value, memory_order_relaxed) : 0;
}

/* Of a histogram: puts the value into its bucket. NULL is ignored. */
void metric_record(struct metric *, int64_t value);

/* A series whose value is read when it is asked for, until metrics_unobserve; `read` is called
 * under the registry's lock: it must neither block nor call the registry. NULL as for
 * metrics_series, or if the series exists. Not for histograms. */
struct metrics_callback *metrics_observe(struct metrics *, const struct metric_def *,
                                         const struct metric_label *, uint32_t n_labels,
                                         int64_t (*read)(void *ctx), void *ctx);
/* The series is gone, and `read` is not running and will not be called. NULL is ignored. */
void metrics_unobserve(struct metrics *, struct metrics_callback *);

/* Removes the series of a component that is gone: those with the label {kind: id}, and those with
 * both {component: id} and {kind: kind}. Nobody may use, or look up, one of them meanwhile. */
void metrics_forget(struct metrics *, const char *kind, const char *id);

uint64_t metrics_refused(const struct metrics *);

/* Walks all families by name, and the series of each by labels, under the registry's lock: the
 * functions must neither block nor call the registry. Each may be NULL. */
struct metrics_visitor {
    void *ctx;
    void (*family)(void *ctx, const struct metric_def *);
    void (*series)(void *ctx, const struct metric_def *, const struct metric_label *,
                   uint32_t n_labels, int64_t value);
    /* Instead of `series`. `counts`: how many values each of the n_bounds + 1 buckets has. */
    void (*histogram)(void *ctx, const struct metric_def *, const struct metric_label *,
                      uint32_t n_labels, int64_t sum, const uint64_t *counts);
};
void metrics_visit(struct metrics *, const struct metrics_visitor *);
#endif
