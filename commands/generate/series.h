/* One series and how its values move: shared by metrics.c, which lists the series, and series.c. */
#ifndef SLUICE_GENERATE_SERIES_H
#define SLUICE_GENERATE_SERIES_H

#include "commands/generate/families.h"

enum { EXPONENTIAL_BUCKETS_MAX = 64, EXPONENTIAL_SCALE = 3 };

/* Observations of a histogram or summary so far. */
struct distribution {
    uint64_t count;
    double sum;
    double min;
    double max;
    uint64_t *buckets;
    double *shares;  /* of all observations, for each bucket; sums to 1 */
    double *middles; /* a typical value in each bucket */
    double *values;  /* of a summary */
    uint32_t n;
    int32_t offset; /* exponential */
};

struct series {
    const struct family *family;
    struct attrs attrs;
    double level; /* where it began; for counters the growth a second */
    double value;
    double phase;                      /* of the daily wave, in turns */
    uint64_t total;                    /* of a whole counter, or hundredths of another */
    struct distribution *distribution; /* of a histogram or summary, else NULL */
};

/* Fills the state of a series whose family and attributes are set. `age` is how long it has been
 * counting, s; `share` multiplies how busy it is. */
enum sl_status series_init(struct series *s, struct rng *r, double age, double share);
void series_deinit(struct series *s);
void series_reset(struct series *s);

/* Lets `seconds` pass until `time` (seconds since the start of the day), and says what is seen
 * then. */
void series_step(struct series *s, struct rng *r, double seconds, double time, double uptime,
                 struct point *out);

#endif
