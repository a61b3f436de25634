/* The movement of one series: gauges that wave, walk, jump or stay, counters that grow with the
 * traffic, and distributions whose buckets fill by their share. Runs on the thread that generates.
 */
#include "commands/generate/series.h"

#include <math.h>
#include <stdlib.h>

#define DAY_S 86400.0
#define PAGE 4096.0

/* The normal distribution's cumulative share; Abramowitz and Stegun 7.1.26, error below 1.5e-7. */
static double normal_share(double x)
{
    double z = fabs(x) / 1.4142135623730951;
    double t = 1 / (1 + 0.3275911 * z);
    double tail = t *
                  (0.254829592 +
                   t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))) *
                  exact_exp(-z * z);
    return x < 0 ? tail / 2 : 1 - tail / 2;
}

static double share_below(double bound, double median, double sigma)
{
    return bound <= 0 ? 0 : normal_share((exact_log(bound) - exact_log(median)) / sigma);
}

static void explicit_init(struct distribution *d, const struct family *f, double median)
{
    d->n = f->bound_count + 1;
    double below = 0;
    for (uint32_t i = 0; i < d->n; i++) {
        double to = i < f->bound_count ? share_below(f->bounds[i], median, f->sigma) : 1;
        double low = i > 0 ? f->bounds[i - 1] : 0;
        d->shares[i] = to - below;
        d->middles[i] = i < f->bound_count ? (low + f->bounds[i]) / 2 : low * 1.3;
        below = to;
    }
}

static void exponential_init(struct distribution *d, const struct family *f, double median)
{
    const double per_turn = (double)(1 << EXPONENTIAL_SCALE) / 0.6931471805599453;
    double centre = exact_log(median) * per_turn;
    double reach = 3.2 * f->sigma * per_turn;
    d->n = (uint32_t)(2 * reach) + 2;
    if (d->n > EXPONENTIAL_BUCKETS_MAX) {
        d->n = EXPONENTIAL_BUCKETS_MAX;
    }
    d->offset = (int32_t)(centre - reach) - 1;
    double below = 0;
    for (uint32_t i = 0; i < d->n; i++) {
        double edge = exact_exp((double)(d->offset + (int32_t)i + 1) / per_turn);
        double to = i + 1 < d->n ? share_below(edge, median, f->sigma) : 1;
        d->shares[i] = to - below;
        d->middles[i] = edge * 0.96;
        below = to;
    }
}

static void summary_init(struct distribution *d, const struct family *f)
{
    d->n = f->bound_count;
}

static enum sl_status distribution_create(const struct family *f, double median,
                                          struct distribution **out)
{
    uint32_t room = f->type == POINT_EXPONENTIAL ? EXPONENTIAL_BUCKETS_MAX : f->bound_count + 1;
    struct distribution *d = calloc(1, sizeof(*d) + room * (sizeof(uint64_t) + 3 * sizeof(double)));
    if (!d) {
        return SL_ERR_NOMEM;
    }
    d->buckets = (uint64_t *)(d + 1);
    d->shares = (double *)(d->buckets + room);
    d->middles = d->shares + room;
    d->values = d->middles + room;
    if (f->type == POINT_HISTOGRAM) {
        explicit_init(d, f, median);
    } else if (f->type == POINT_EXPONENTIAL) {
        exponential_init(d, f, median);
    } else {
        summary_init(d, f);
    }
    *out = d;
    return SL_OK;
}

/* A number of events where `expected` are. */
static uint64_t events(struct rng *r, double expected)
{
    double n = expected + sqrt(expected) * rng_normal(r) + rng_unit(r);
    return n > 0 ? (uint64_t)n : 0;
}

enum sl_status series_init(struct series *s, struct rng *r, double age, double share)
{
    const struct family *f = s->family;
    double u = rng_unit(r);
    s->level = f->low + (f->high - f->low) * u * u * u; /* few are busy */
    if (f->type < POINT_HISTOGRAM && !f->monotonic) {
        s->level = f->low + (f->high - f->low) * u;
    }
    s->level *= share;
    s->value = f->movement == MOVE_SPIKES ? 0 : s->level;
    s->phase = 0.1 * rng_unit(r);
    if (f->monotonic) {
        s->total = (uint64_t)(s->level * age * (f->whole ? 1 : 100));
    }
    if (f->type < POINT_HISTOGRAM) {
        return SL_OK;
    }
    enum sl_status status =
        distribution_create(f, rng_lognormal(r, f->median, 0.5), &s->distribution);
    if (status == SL_OK && !f->delta) {
        struct distribution *d = s->distribution;
        for (uint32_t i = 0; i < d->n && f->type != POINT_SUMMARY; i++) {
            d->buckets[i] = events(r, s->level * age * d->shares[i]);
            d->count += d->buckets[i];
            d->sum += (double)d->buckets[i] * d->middles[i];
            if (d->buckets[i]) {
                d->min = d->min == 0 ? d->middles[i] : d->min;
                d->max = d->middles[i];
            }
        }
        if (f->type == POINT_SUMMARY) {
            d->count = (uint64_t)(s->level * age);
            d->sum = (double)d->count * f->median;
        }
    }
    return status;
}

void series_deinit(struct series *s)
{
    free(s->distribution);
    s->distribution = NULL;
}

void series_reset(struct series *s)
{
    s->total = 0;
    struct distribution *d = s->distribution;
    if (d) {
        memset(d->buckets, 0, d->n * sizeof(*d->buckets));
        d->count = 0;
        d->sum = 0;
        d->min = 0;
        d->max = 0;
    }
}

/* How busy the shop is, 1 on average: the day's wave, rushes of some minutes, noise. */
static double traffic(const struct series *s, struct rng *r, double time)
{
    double busy = 1 + 0.45 * exact_wave(time / DAY_S + s->phase) + 0.2 * exact_wave(time / 420);
    return busy * (0.92 + 0.16 * rng_unit(r));
}

static double rounded(double value, double quantum)
{
    double n = value / quantum;
    return (double)(int64_t)(n < 0 ? n - 0.5 : n + 0.5) * quantum;
}

static double between(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

static void gauge_step(struct series *s, struct rng *r, double time, double uptime)
{
    const struct family *f = s->family;
    double range = f->high - f->low;
    switch (f->movement) {
    case MOVE_WAVE: {
        double wave = 1 + 0.4 * exact_wave(time / DAY_S + s->phase) + 0.06 * rng_normal(r);
        s->value = between(s->level * wave, f->low, f->high);
        break;
    }
    case MOVE_WALK:
        if (rng_chance(r, 0.7)) { /* unchanged now and then, as many real gauges are */
            s->value = between(s->value + 0.012 * range * rng_normal(r), f->low, f->high);
        }
        break;
    case MOVE_STEP:
        if (rng_chance(r, 0.004)) {
            s->value = f->low + range * rng_unit(r);
        }
        break;
    case MOVE_SPIKES:
        s->value =
            rng_chance(r, 0.012) ? f->low + range * rng_unit(r) * rng_unit(r) : s->value * 0.55;
        if (s->value < 1) {
            s->value = 0;
        }
        break;
    case MOVE_UPTIME:
        s->value = uptime;
        break;
    default:
        break;
    }
}

static void number_step(struct series *s, struct rng *r, double seconds, double time, double uptime,
                        struct point *out)
{
    const struct family *f = s->family;
    if (f->monotonic) {
        double growth = s->level * seconds * (f->whole ? 1 : 100);
        if (f->movement == MOVE_RARE) {
            s->total += rng_chance(r, growth) ? rng_between(r, 1, 3) : 0;
        } else {
            s->total += events(r, growth * traffic(s, r, time));
        }
        out->whole = f->whole;
        out->integer = (int64_t)s->total;
        out->number = (double)s->total / 100;
        return;
    }
    gauge_step(s, r, time, uptime);
    out->whole = f->whole;
    if (f->whole) {
        out->integer = (int64_t)(f->high > 1e6 ? rounded(s->value, PAGE) : rounded(s->value, 1));
    } else if (f->high >= 2 || f->movement == MOVE_UPTIME) {
        out->number = rounded(s->value * 100, 1) / 100;
    } else if (f->movement == MOVE_WAVE) {
        out->number =
            rounded(s->value * 1500, 1) / 1500; /* a share of the interval's clock ticks */
    } else {
        out->number = rounded(s->value * 1e9, 1) / 1e9;
    }
}

static void distribution_step(struct series *s, struct rng *r, double seconds, double time)
{
    const struct family *f = s->family;
    struct distribution *d = s->distribution;
    if (f->delta) {
        series_reset(s);
    }
    double expected = s->level * seconds * traffic(s, r, time);
    for (uint32_t i = 0; i < d->n; i++) {
        double share = expected * d->shares[i];
        uint64_t n = share < 0.02 ? rng_chance(r, share) : events(r, share);
        if (n == 0) {
            continue;
        }
        d->buckets[i] += n;
        d->count += n;
        double typical = d->middles[i] * (0.96 + 0.08 * rng_unit(r));
        d->sum += (double)n * typical;
        d->min = d->min == 0 || typical < d->min ? typical : d->min;
        d->max = typical > d->max ? typical : d->max;
    }
}

static void summary_step(struct series *s, struct rng *r, double seconds, double time)
{
    struct distribution *d = s->distribution;
    uint64_t n = events(r, s->level * seconds * traffic(s, r, time));
    d->count += n;
    double value = s->family->median * 0.3;
    for (uint32_t i = 0; i < d->n; i++) {
        value *= 1 + 1.2 * rng_unit(r);
        d->values[i] = rounded(value, 1e-9);
    }
    d->sum += (double)n * d->values[d->n / 2];
}

static void distribution_point(const struct series *s, struct point *out)
{
    const struct distribution *d = s->distribution;
    out->count = d->count;
    out->sum = d->sum;
    out->min = d->min;
    out->max = d->max;
    out->buckets = d->buckets;
    out->bucket_count = d->n;
    out->bounds = s->family->bounds;
    out->bound_count = s->family->bound_count;
    out->values = d->values;
    if (s->family->type != POINT_EXPONENTIAL) {
        return;
    }
    /* An SDK knows no buckets outside those that it has filled. */
    uint32_t first = 0;
    uint32_t end = d->n;
    while (end > 0 && d->buckets[end - 1] == 0) {
        end--;
    }
    while (first < end && d->buckets[first] == 0) {
        first++;
    }
    out->buckets = d->buckets + first;
    out->bucket_count = end - first;
    out->scale = EXPONENTIAL_SCALE;
    out->offset = end > first ? d->offset + (int32_t)first : 0;
    out->bound_count = 0;
}

void series_step(struct series *s, struct rng *r, double seconds, double time, double uptime,
                 struct point *out)
{
    memset(out, 0, sizeof(*out));
    out->attrs = s->attrs;
    switch (s->family->type) {
    case POINT_HISTOGRAM:
    case POINT_EXPONENTIAL:
        distribution_step(s, r, seconds, time);
        distribution_point(s, out);
        break;
    case POINT_SUMMARY:
        summary_step(s, r, seconds, time);
        distribution_point(s, out);
        out->bucket_count = 0;
        break;
    default:
        number_step(s, r, seconds, time, uptime, out);
        break;
    }
}
