/* Decimal text to numbers. A double is the product of the digits and a 128-bit power of ten, which
 * is off by less than one in its last place; where that could decide about rounding, strtod does it
 * (D. Lemire, "Number parsing at a gigabyte per second", 2021, on the table of decimal.h). Any
 * thread. */
#include "formats/otlp/decimal_read.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

__extension__ typedef unsigned __int128 u128;

enum {
    EXPONENT_MAX = 1000000, /* larger ones say the same */
    MANTISSA_BITS = 53,
    BIAS = 1023,
    BIASED_INFINITE = 2047
};

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* The number that eight digits are; false where they are not all digits. Two, four and eight digits
 * at a time are put together in one word. */
static bool eight_digits(const uint8_t *p, uint32_t *value)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    word -= UINT64_C(0x3030303030303030);
    if (((word + UINT64_C(0x7676767676767676)) | word) & UINT64_C(0x8080808080808080)) {
        return false;
    }
    word = word * 10 + (word >> 8);
    *value =
        (uint32_t)(((word & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x000f424000000064) +
                    (word >> 16 & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x0000271000000001)) >>
                   32);
    return true;
}

/* Takes one more digit; false where it does not fit any more. */
static bool digit_add(struct decimal *d, uint8_t c)
{
    uint64_t digits;
    if (d->more || __builtin_mul_overflow(d->digits, 10, &digits) ||
        __builtin_add_overflow(digits, (uint64_t)(c - '0'), &digits)) {
        return false;
    }
    d->digits = digits;
    return true;
}

static int32_t bounded(int64_t exponent)
{
    return (int32_t)(exponent > EXPONENT_MAX    ? EXPONENT_MAX
                     : exponent < -EXPONENT_MAX ? -EXPONENT_MAX
                                                : exponent);
}

/* p is behind the 'e'. */
static const uint8_t *exponent_scan(const uint8_t *p, const uint8_t *end, int64_t *exponent)
{
    bool negative = p < end && *p == '-';
    int64_t value = 0;
    if (p < end && (*p == '-' || *p == '+')) {
        p++;
    }
    if (p == end || !is_digit(*p)) {
        return NULL;
    }
    for (; p < end && is_digit(*p); p++) {
        value = value < EXPONENT_MAX ? value * 10 + (*p - '0') : value;
    }
    *exponent += negative ? -value : value;
    return p;
}

const uint8_t *decimal_scan(const uint8_t *p, const uint8_t *end, struct decimal *d)
{
    int64_t exponent = 0;
    bool full = false; /* from here on digits are left out */
    *d = (struct decimal){.negative = p < end && *p == '-'};
    p += d->negative;
    if (p == end || !is_digit(*p) || (*p == '0' && end - p > 1 && is_digit(p[1]))) {
        return NULL;
    }
    uint32_t eight;
    for (int i = 0; i < 2 && end - p >= 8 && eight_digits(p, &eight); i++, p += 8) {
        d->digits = d->digits * 100000000 + eight;
    }
    for (; p < end && is_digit(*p); p++) {
        if (full || !digit_add(d, *p)) {
            full = true;
            d->more = d->more || *p != '0';
            exponent++;
        }
    }
    if (p < end && *p == '.') {
        p++;
        if (p == end || !is_digit(*p)) {
            return NULL;
        }
        for (; p < end && is_digit(*p); p++) {
            if (!full && digit_add(d, *p)) {
                exponent--;
            } else {
                full = true;
                d->more = d->more || *p != '0';
            }
        }
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p = exponent_scan(p + 1, end, &exponent);
    }
    d->exponent = bounded(exponent);
    return p;
}

bool decimal_whole(const struct decimal *d, uint64_t *value)
{
    uint64_t digits = d->digits;
    int32_t exponent = d->exponent;
    if (d->more) {
        return false;
    }
    for (; exponent < 0 && digits != 0; exponent++) {
        if (digits % 10 != 0) {
            return false;
        }
        digits /= 10;
    }
    for (; exponent > 0 && digits != 0; exponent--) {
        if (__builtin_mul_overflow(digits, 10, &digits)) {
            return false;
        }
    }
    *value = digits;
    return true;
}

static int floor_log2_of_power_of_10(int e)
{
    return (e * 1741647) >> 19;
}

/* digits * 10^exponent as the bits of a double; false where the result is not certain, or not a
 * normal number. */
static bool product(const struct decimal_powers *powers, uint64_t digits, int exponent,
                    uint64_t *bits)
{
    if (digits == 0 || exponent < DECIMAL_POWER_MIN || exponent > DECIMAL_POWER_MAX) {
        *bits = 0;
        return digits == 0;
    }
    const struct decimal_power power = powers->of[exponent - DECIMAL_POWER_MIN];
    const int shift = __builtin_clzll(digits);
    const uint64_t scaled = digits << shift;
    /* The highest 128 of 192 bits; the exact number lies between `high` - 1 and `high` + 1. */
    const u128 high = (u128)scaled * power.high + (uint64_t)(((u128)scaled * power.low) >> 64);
    const int lead = (uint64_t)(high >> 127) ? 127 : 126;
    const int below = lead - (MANTISSA_BITS - 1);
    const u128 half = (u128)1 << (below - 1);
    const u128 rest = high & (2 * half - 1);
    if (rest + 2 >= half && rest <= half + 2) {
        return false;
    }
    uint64_t mantissa = (uint64_t)(high >> below) + (rest > half);
    int biased = lead + 64 + floor_log2_of_power_of_10(exponent) - 127 - shift + BIAS;
    if (mantissa >> MANTISSA_BITS) {
        mantissa >>= 1;
        biased++;
    }
    *bits = (uint64_t)biased << (MANTISSA_BITS - 1) |
            (mantissa & ((UINT64_C(1) << (MANTISSA_BITS - 1)) - 1));
    return biased > 0 && biased < BIASED_INFINITE;
}

/* In the C locale, whatever the process has set. */
static bool thorough(const uint8_t *at, size_t n, double *value)
{
    char text[DECIMAL_TEXT_MAX + 1];
    locale_t c = n <= DECIMAL_TEXT_MAX ? newlocale(LC_ALL_MASK, "C", (locale_t)0) : (locale_t)0;
    if (!c) {
        return false;
    }
    memcpy(text, at, n);
    text[n] = 0;
    *value = strtod_l(text, NULL, c);
    freelocale(c);
    return *value - *value == 0;
}

bool decimal_to_double(const struct decimal_powers *powers, const struct decimal *d,
                       const uint8_t *at, size_t n, double *value)
{
    uint64_t bits, above;
    if (!product(powers, d->digits, d->exponent, &bits) ||
        (d->more && (!product(powers, d->digits + 1, d->exponent, &above) || above != bits))) {
        return thorough(at, n, value);
    }
    bits |= (uint64_t)d->negative << 63;
    memcpy(value, &bits, sizeof bits);
    return true;
}
