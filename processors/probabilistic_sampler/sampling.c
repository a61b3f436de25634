/* See sampling.h. */
#include "processors/probabilistic_sampler/sampling.h"

#include <math.h>

bool threshold_of_probability(double probability, uint32_t precision, uint64_t *threshold)
{
    const double all = 72057594037927936.0; /* 2^56 */
    int digits = precision ? (int)precision : HEX_DIGITS, kept, left;
    if (!(probability >= PROBABILITY_MIN && probability <= 1))
        return false;
    *threshold = THRESHOLD_ALWAYS;
    if (probability == 1)
        return true;
    /* Leading digits that are 0 or f say little, so they do not count. */
    (void)frexp(probability, &kept);
    (void)frexp(1 - probability, &left);
    const int more = kept < left ? kept : left;
    digits += more / -4;
    if (digits > HEX_DIGITS)
        digits = HEX_DIGITS;
    *threshold = (UINT64_C(1) << 56) - (uint64_t)round(probability * all);
    const int shift = 4 * (HEX_DIGITS - digits);
    if (shift)
        *threshold = (*threshold + (UINT64_C(1) << (shift - 1))) >> shift << shift;
    return true;
}

double probability_of_threshold(uint64_t threshold)
{
    return (double)(THRESHOLD_NEVER - threshold) / 72057594037927936.0;
}

uint64_t randomness_of_trace_id(const uint8_t id[16])
{
    uint64_t low;
    memcpy(&low, id + 8, sizeof low);
    return __builtin_bswap64(low) & RANDOMNESS_ALL;
}

enum { BUCKET_BITS = 14, BUCKETS = 1 << BUCKET_BITS };

uint64_t randomness_of_hash(uint32_t seed, sl_bytes bytes)
{
    uint32_t h = UINT32_C(2166136261);
    for (int i = 0; i < 4; i++)
        h = (h ^ (seed >> 8 * i & 0xff)) * UINT32_C(16777619);
    for (size_t i = 0; i < bytes.n; i++)
        h = (h ^ bytes.p[i]) * UINT32_C(16777619);
    /* "Kept when the low 14 bits are below a limit" turned round, so that it reads R >= T. What the
     * hash has beside them fills the rest, which decides nothing. */
    const uint64_t low = h & (BUCKETS - 1), high = h >> (32 - BUCKET_BITS);
    const uint64_t mixed = high ^ high << 10;
    return (BUCKETS - 1 - low) << 42 | mixed << 14 | low;
}

uint64_t threshold_of_hash(float percentage)
{
    /* in float, and rounded down, as the Collector has always done it */
    const uint32_t kept = (uint32_t)(percentage * ((float)BUCKETS / 100.0F));
    return (uint64_t)(BUCKETS - kept) << 42;
}

bool is_zero_id(const uint8_t id[16])
{
    uint64_t half[2];
    memcpy(half, id, sizeof half);
    return (half[0] | half[1]) == 0;
}

static bool hex_number(sl_bytes text, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < text.n; i++) {
        const uint8_t c = text.p[i], letter = c | 0x20;
        if (c >= '0' && c <= '9')
            *value = *value << 4 | (uint64_t)(c - '0');
        else if (letter >= 'a' && letter <= 'f')
            *value = *value << 4 | (uint64_t)(letter - 'a' + 10);
        else
            return false;
    }
    return true;
}

bool randomness_of_text(sl_bytes text, uint64_t *randomness)
{
    return text.n == HEX_DIGITS && hex_number(text, randomness);
}

bool threshold_of_text(sl_bytes text, uint64_t *threshold)
{
    if (text.n == 0 || text.n > HEX_DIGITS || !hex_number(text, threshold))
        return false;
    *threshold <<= 4 * (HEX_DIGITS - text.n);
    return true;
}

size_t text_of_randomness(uint64_t randomness, char out[HEX_DIGITS])
{
    for (int i = 0; i < HEX_DIGITS; i++)
        out[i] = "0123456789abcdef"[randomness >> 4 * (HEX_DIGITS - 1 - i) & 15];
    return HEX_DIGITS;
}

size_t text_of_threshold(uint64_t threshold, char out[HEX_DIGITS])
{
    size_t n = text_of_randomness(threshold, out);
    while (n > 1 && out[n - 1] == '0')
        n--;
    return n;
}
