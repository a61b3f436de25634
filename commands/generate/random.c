/* The generator's random numbers and the few transcendental functions they need, from basic
 * arithmetic alone, so that a seed gives the same bytes everywhere. Called by the one thread that
 * generates. */
#include "commands/generate/random.h"

#include <math.h>
#include <string.h>

void rng_init(struct rng *r, uint64_t seed, uint64_t stream)
{
    uint64_t x = rng_mix(seed) ^ rng_mix(stream * UINT64_C(0xd1342543de82ef95) + 1);
    for (int i = 0; i < 4; i++) {
        r->state[i] = rng_mix(x);
        x += UINT64_C(0x9e3779b97f4a7c15);
    }
}

uint32_t rng_skewed(struct rng *r, uint32_t n)
{
    double u = rng_unit(r);
    uint32_t k = (uint32_t)(u * u * u * (double)n);
    return k < n ? k : n - 1;
}

/* Inverse of the normal distribution by P. J. Acklam's rational approximation (relative error below
 * 1.2e-9): one draw a number, and no logarithm but in the tails. */
static double normal_quantile(double p)
{
    static const double a[] = {-3.969683028665376e+01, 2.209460984245205e+02,
                               -2.759285104469687e+02, 1.383577518672690e+02,
                               -3.066479806614716e+01, 2.506628277459239e+00};
    static const double b[] = {-5.447609879822406e+01, 1.615858368580409e+02,
                               -1.556989798598866e+02, 6.680131188771972e+01,
                               -1.328068155288572e+01};
    static const double c[] = {-7.784894002430293e-03, -3.223964580411365e-01,
                               -2.400758277161838e+00, -2.549732539343734e+00,
                               4.374664141464968e+00,  2.938163982698783e+00};
    static const double d[] = {7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00,
                               3.754408661907416e+00};
    const double low = 0.02425;
    if (p < low || p > 1 - low) {
        double q = sqrt(-2 * exact_log(p < low ? p : 1 - p));
        double x = (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) /
                   ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1);
        return p < low ? x : -x;
    }
    double q = p - 0.5;
    double s = q * q;
    return (((((a[0] * s + a[1]) * s + a[2]) * s + a[3]) * s + a[4]) * s + a[5]) * q /
           (((((b[0] * s + b[1]) * s + b[2]) * s + b[3]) * s + b[4]) * s + 1);
}

double rng_normal(struct rng *r)
{
    return normal_quantile(((double)(rng_u64(r) >> 12) + 0.5) * 0x1p-52);
}

double rng_exponential(struct rng *r)
{
    return -exact_log(((double)(rng_u64(r) >> 12) + 0.5) * 0x1p-52);
}

double rng_lognormal(struct rng *r, double median, double sigma)
{
    return median * exact_exp(sigma * rng_normal(r));
}

double exact_exp(double x)
{
    if (x > 700) {
        x = 700;
    }
    if (x < -700) {
        return 0;
    }
    double scaled = x * 1.4426950408889634;
    int64_t k = (int64_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    double t = x - (double)k * 6.93147180369123816490e-01 - (double)k * 1.90821492927058770002e-10;
    static const double inverse[] = {1,        1.0 / 2,  1.0 / 3, 1.0 / 4, 1.0 / 5,
                                     1.0 / 6,  1.0 / 7,  1.0 / 8, 1.0 / 9, 1.0 / 10,
                                     1.0 / 11, 1.0 / 12, 1.0 / 13};
    double sum = 1;
    for (int i = 12; i >= 0; i--) {
        sum = 1 + sum * t * inverse[i];
    }
    uint64_t bits = (uint64_t)(k + 1023) << 52;
    double power;
    memcpy(&power, &bits, sizeof(power));
    return sum * power;
}

double exact_log(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof(bits));
    int64_t exponent = (int64_t)(bits >> 52) - 1023;
    bits = (bits & UINT64_C(0xfffffffffffff)) | UINT64_C(0x3ff0000000000000);
    double m;
    memcpy(&m, &bits, sizeof(m));
    if (m > 1.4142135623730951) {
        m *= 0.5;
        exponent++;
    }
    double z = (m - 1) / (m + 1);
    double square = z * z;
    static const double odd[] = {1,        1.0 / 3,  1.0 / 5,  1.0 / 7,  1.0 / 9,
                                 1.0 / 11, 1.0 / 13, 1.0 / 15, 1.0 / 17, 1.0 / 19};
    double sum = 0;
    for (int i = 9; i >= 0; i--) {
        sum = sum * square + odd[i];
    }
    return 2 * z * sum + (double)exponent * 0.6931471805599453;
}

double exact_wave(double turn)
{
    turn -= (double)(int64_t)turn;
    if (turn < 0) {
        turn += 1;
    }
    double sign = 1;
    if (turn >= 0.5) {
        turn -= 0.5;
        sign = -1;
    }
    if (turn > 0.25) {
        turn = 0.5 - turn;
    }
    double x = turn * 6.283185307179586;
    double square = x * x;
    double sum = 1;
    for (int i = 16; i > 0; i -= 2) {
        sum = 1 - sum * square / (i * (i + 1));
    }
    return sign * x * sum;
}
