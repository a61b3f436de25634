/* Numbers drawn by chance, the same on every machine: a seeded xoshiro256** and distributions that
 * use only IEEE 754 addition, multiplication, division and square root (the C library's exp, log
 * and sin differ between versions in the last bit). The sources that use it are compiled without
 * contraction of floating-point operations. A struct rng belongs to one thread. */
#ifndef SLUICE_GENERATE_RANDOM_H
#define SLUICE_GENERATE_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct rng {
    uint64_t state[4];
};

/* A bijective mix of 64 bits (splitmix64's finaliser). */
static inline uint64_t rng_mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* Streams of one seed are independent of each other. */
void rng_init(struct rng *r, uint64_t seed, uint64_t stream);

static inline uint64_t rng_u64(struct rng *r)
{
    uint64_t *s = r->state;
    uint64_t five = s[1] * 5;
    uint64_t result = ((five << 7) | (five >> 57)) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = (s[3] << 45) | (s[3] >> 19);
    return result;
}

/* [0, n); 0 for n = 0. The bias of at most n / 2^32 does not matter here. */
static inline uint32_t rng_below(struct rng *r, uint32_t n)
{
    return (uint32_t)(((rng_u64(r) >> 32) * n) >> 32);
}

/* [low, high], both included. */
static inline uint32_t rng_between(struct rng *r, uint32_t low, uint32_t high)
{
    return low + rng_below(r, high - low + 1);
}

/* [0, 1) */
static inline double rng_unit(struct rng *r)
{
    return (double)(rng_u64(r) >> 11) * 0x1p-53;
}

static inline bool rng_chance(struct rng *r, double p)
{
    return rng_unit(r) < p;
}

/* Zipf-like: small numbers are frequent, as popular products and busy users are. [0, n) */
uint32_t rng_skewed(struct rng *r, uint32_t n);

double rng_normal(struct rng *r);                                 /* mean 0, deviation 1 */
double rng_exponential(struct rng *r);                            /* mean 1 */
double rng_lognormal(struct rng *r, double median, double sigma); /* sigma of the logarithm */

double exact_exp(double x);
double exact_log(double x);     /* x > 0 */
double exact_wave(double turn); /* the sine of a full turn times `turn` */

#endif
