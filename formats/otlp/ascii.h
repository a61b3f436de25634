/* Is a text ASCII? 16 bytes at a time, without a branch for lengths up to 64, because those of texts
 * are hard to predict. Pure functions, any thread. */
#ifndef SLUICE_FORMATS_OTLP_ASCII_H
#define SLUICE_FORMATS_OTLP_ASCII_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Becomes one register with SSE2, NEON and the like, and two words elsewhere. */
typedef int8_t otlp_lanes __attribute__((vector_size(16)));

typedef uint8_t otlp_bytes __attribute__((vector_size(16)));

static inline otlp_lanes otlp_lanes_at(const uint8_t *p)
{
    otlp_lanes v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* A bit for each byte above 0x7f. */
static inline uint32_t otlp_high_bits(otlp_lanes v)
{
#ifdef __SSE2__
    return (uint32_t)__builtin_ia32_pmovmskb128((__attribute__((vector_size(16))) char)v);
#else
    const uint64_t tops = UINT64_C(0x8080808080808080), gather = UINT64_C(0x0002040810204081);
    uint64_t half[2];
    memcpy(half, &v, sizeof half);
    return (uint32_t)(((half[0] & tops) * gather) >> 56) |
           (uint32_t)(((half[1] & tops) * gather) >> 56) << 8;
#endif
}

/* Bytes up to `limit` may be read. */
static inline bool otlp_is_ascii(const uint8_t *p, size_t n, const uint8_t *limit)
{
    enum { LANES = sizeof(otlp_lanes) };
    if (n < LANES) {
        if ((size_t)(limit - p) >= LANES) {
            return (otlp_high_bits(otlp_lanes_at(p)) & ((1u << n) - 1)) == 0;
        }
        uint8_t any = 0;
        for (size_t i = 0; i < n; i++) {
            any |= p[i];
        }
        return any < 0x80;
    }
    const size_t last = n - LANES;
    otlp_lanes any = otlp_lanes_at(p) | otlp_lanes_at(p + (last < LANES ? last : LANES)) |
                     otlp_lanes_at(p + (last < 2 * LANES ? last : 2 * LANES)) |
                     otlp_lanes_at(p + last);
    for (size_t i = 3 * LANES; i < last; i += LANES) {
        any |= otlp_lanes_at(p + i);
    }
    return otlp_high_bits(any) == 0;
}

/* The sum of 16 bytes. */
static inline uint32_t otlp_sum(otlp_bytes v)
{
#ifdef __SSE2__
    typedef long long words __attribute__((vector_size(16)));
    const words sums = (words)__builtin_ia32_psadbw128((__attribute__((vector_size(16))) char)v,
                                                       (__attribute__((vector_size(16))) char){0});
    return (uint32_t)(sums[0] + sums[1]);
#else
    uint32_t sum = 0;
    for (size_t i = 0; i < sizeof v; i++) {
        sum += v[i];
    }
    return sum;
#endif
}

enum { OTLP_COUNTED_MAX = 127 * 2 * sizeof(otlp_lanes) /* more would overflow a lane */ };

/* How many of at most OTLP_COUNTED_MAX bytes are above 0x7f. Bytes up to `limit` may be read. */
static inline uint32_t otlp_count_high(const uint8_t *p, size_t n, const uint8_t *limit)
{
    enum { LANES = sizeof(otlp_lanes), BLOCK = 2 * LANES };
    static const uint8_t edge[2 * BLOCK] = {
        [BLOCK] = 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
        255,           255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    const size_t rest = n % BLOCK;
    const uint8_t *const tail = p + n - rest, *const beyond = edge + BLOCK - rest;
    otlp_bytes low = {0}; /* bytes up to 0x7f */
    uint32_t count = (uint32_t)n;
    for (; p < tail; p += BLOCK) {
        low -= (otlp_bytes)(otlp_lanes_at(p) >= 0);
        low -= (otlp_bytes)(otlp_lanes_at(p + LANES) >= 0);
    }
    if ((size_t)(limit - tail) >= BLOCK) {
        low -= (otlp_bytes)((otlp_lanes_at(tail) | otlp_lanes_at(beyond)) >= 0);
        low -= (otlp_bytes)((otlp_lanes_at(tail + LANES) | otlp_lanes_at(beyond + LANES)) >= 0);
    } else {
        for (size_t i = 0; i < rest; i++) {
            count -= tail[i] < 0x80;
        }
    }
    return count - otlp_sum(low);
}

#endif
