/* Decimal text of numbers. Doubles go through the Schubfach algorithm (R. Giulietti, "The Schubfach
 * way to render doubles", 2020): scale the double and the borders of its rounding interval by one
 * 128-bit power of ten, then pick the shortest decimal inside. The text's form is that of
 * ECMAScript and Go: plain from 1e-6 up to 1e21, with an exponent outside. Any thread. */
#include "formats/otlp/decimal.h"

#include <stdbool.h>
#include <string.h>

__extension__ typedef unsigned __int128 u128;

enum {
    LIMBS = 21,               /* of 64 bits: holds 10^324 and 2^1280 */
    NEGATIVE_EXPONENT = 1280, /* 2^1280 / 10^292 still has more than 128 bits */
    SIGNIFICAND_BITS = 52,
    EXPONENT_BIAS = 1075, /* of the significand taken as an integer */
    PLAIN_DIGITS_MAX = 21,
    PLAIN_ZEROS_MAX = 5 /* after "0." */
};

/* The highest 128 bits of a number, rounded up where anything is below them. */
static struct decimal_power power_of(const uint64_t *limbs, bool inexact)
{
    int top = LIMBS - 1;
    while (limbs[top] == 0) {
        top--;
    }
    int shift = __builtin_clzll(limbs[top]);
    uint64_t below[3] = {limbs[top], top > 0 ? limbs[top - 1] : 0, top > 1 ? limbs[top - 2] : 0};
    u128 power = ((u128)below[0] << 64 | below[1]) << shift;
    uint64_t rest = below[2];
    if (shift > 0) {
        power |= below[2] >> (64 - shift);
        rest = below[2] << shift;
    }
    for (int i = 0; i + 2 < top; i++) {
        rest |= limbs[i];
    }
    power += inexact || rest != 0;
    return (struct decimal_power){(uint64_t)(power >> 64), (uint64_t)power};
}

void decimal_powers_init(struct decimal_powers *powers)
{
    struct decimal_power *zeroth = powers->of - DECIMAL_POWER_MIN;
    uint64_t limbs[LIMBS] = {1};
    for (int k = 0; k <= DECIMAL_POWER_MAX; k++) {
        zeroth[k] = power_of(limbs, false);
        uint64_t carry = 0;
        for (int i = 0; i < LIMBS; i++) {
            u128 product = (u128)limbs[i] * 10 + carry;
            limbs[i] = (uint64_t)product;
            carry = (uint64_t)(product >> 64);
        }
    }
    /* Dividing by ten with truncation k times truncates the division by 10^k once. */
    memset(limbs, 0, sizeof limbs);
    limbs[NEGATIVE_EXPONENT / 64] = 1;
    for (int k = -1; k >= DECIMAL_POWER_MIN; k--) {
        u128 rest = 0;
        for (int i = LIMBS - 1; i >= 0; i--) {
            rest = rest << 64 | limbs[i];
            limbs[i] = (uint64_t)(rest / 10);
            rest %= 10;
        }
        zeroth[k] = power_of(limbs, true);
    }
}

static const uint8_t digit_pairs[] = "00010203040506070809101112131415161718192021222324"
                                     "25262728293031323334353637383940414243444546474849"
                                     "50515253545556575859606162636465666768697071727374"
                                     "75767778798081828384858687888990919293949596979899";

size_t decimal_u64(uint64_t value, uint8_t *at)
{
    uint8_t text[20];
    size_t start = sizeof text;
    while (value >= 100) {
        start -= 2;
        memcpy(text + start, digit_pairs + 2 * (value % 100), 2);
        value /= 100;
    }
    if (value >= 10) {
        start -= 2;
        memcpy(text + start, digit_pairs + 2 * value, 2);
    } else {
        text[--start] = (uint8_t)('0' + value);
    }
    memcpy(at, text + start, sizeof text - start);
    return sizeof text - start;
}

size_t decimal_i64(int64_t value, uint8_t *at)
{
    if (value >= 0) {
        return decimal_u64((uint64_t)value, at);
    }
    *at = '-';
    return 1 + decimal_u64(0 - (uint64_t)value, at + 1);
}

/* floor(e * log2(10)), floor(e * log10(2)) and floor(log10(3/4 * 2^e)) for every e of a double. */
static int floor_log2_of_power_of_10(int e)
{
    return (e * 1741647) >> 19;
}

static int floor_log10_of_power_of_2(int e, bool three_quarters)
{
    return (e * 1262611 - (three_quarters ? 524031 : 0)) >> 22;
}

/* power * factor / 2^128, where any bit lost makes the result odd. */
static uint64_t scaled(struct decimal_power power, uint64_t factor)
{
    uint64_t low = (uint64_t)((u128)power.low * factor >> 64);
    u128 high = (u128)power.high * factor + low;
    return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

/* The shortest decimal, digits * 10^exponent, that rounds to significand * 2^binary; of several the
 * one closest to it. */
static uint64_t shortest(const struct decimal_powers *powers, uint64_t significand, int binary,
                         bool lower_border_closer, int *exponent)
{
    int k = floor_log10_of_power_of_2(binary, lower_border_closer);
    int shift = binary + floor_log2_of_power_of_10(-k) + 1;
    struct decimal_power power = powers->of[-k - DECIMAL_POWER_MIN];
    /* In quarters of the last binary place: the value, and halfway to its neighbours. */
    uint64_t value = scaled(power, (4 * significand) << shift);
    uint64_t lower = scaled(power, (4 * significand - 2 + lower_border_closer) << shift);
    uint64_t upper = scaled(power, (4 * significand + 2) << shift);
    /* The borders themselves read back as this value only where it is even. */
    lower += significand & 1;
    upper -= significand & 1;

    uint64_t down = value / 4;
    if (down >= 10) {
        uint64_t tens = down / 10;
        bool down_fits = lower <= 40 * tens;
        bool up_fits = 40 * tens + 40 <= upper;
        if (down_fits != up_fits) {
            *exponent = k + 1;
            return tens + up_fits;
        }
    }
    *exponent = k;
    bool down_fits = lower <= 4 * down;
    bool up_fits = 4 * down + 4 <= upper;
    if (down_fits != up_fits) {
        return down + up_fits;
    }
    uint64_t middle = 4 * down + 2;
    return down + (value > middle || (value == middle && (down & 1)));
}

/* digits * 10^exponent as text. */
static size_t laid_out(uint64_t digits, int exponent, uint8_t *at)
{
    while (digits % 10 == 0) {
        digits /= 10;
        exponent++;
    }
    uint8_t text[20];
    int count = (int)decimal_u64(digits, text);
    int point = count + exponent; /* the value is 0.text * 10^point */
    uint8_t *p = at;
    if (point > 0 && point <= PLAIN_DIGITS_MAX) {
        int whole = point < count ? point : count;
        memcpy(p, text, (size_t)whole);
        p += whole;
        if (point < count) {
            *p++ = '.';
            memcpy(p, text + whole, (size_t)(count - whole));
            p += count - whole;
        } else {
            memset(p, '0', (size_t)exponent);
            p += exponent;
        }
    } else if (point <= 0 && point >= -PLAIN_ZEROS_MAX) {
        memcpy(p, "0.00000", (size_t)(2 - point));
        p += 2 - point;
        memcpy(p, text, (size_t)count);
        p += count;
    } else {
        *p++ = text[0];
        if (count > 1) {
            *p++ = '.';
            memcpy(p, text + 1, (size_t)(count - 1));
            p += count - 1;
        }
        *p++ = 'e';
        *p++ = point > 0 ? '+' : '-';
        p += decimal_u64((uint64_t)(point > 0 ? point - 1 : 1 - point), p);
    }
    return (size_t)(p - at);
}

size_t decimal_double(const struct decimal_powers *powers, double value, uint8_t *at)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    size_t sign = bits >> 63;
    if (sign) {
        *at++ = '-';
    }
    uint64_t fraction = bits & ((UINT64_C(1) << SIGNIFICAND_BITS) - 1);
    int exponent = (int)(bits >> SIGNIFICAND_BITS & 0x7ff);
    if (exponent == 0 && fraction == 0) {
        *at = '0';
        return sign + 1;
    }
    bool normal = exponent != 0;
    uint64_t significand = fraction | (uint64_t)normal << SIGNIFICAND_BITS;
    int binary = (normal ? exponent : 1) - EXPONENT_BIAS;
    if (binary <= 0 && binary >= -SIGNIFICAND_BITS &&
        (significand & ((UINT64_C(1) << -binary) - 1)) == 0) {
        return sign + decimal_u64(significand >> -binary, at); /* a whole number below 2^53 */
    }
    int decimal;
    uint64_t digits =
        shortest(powers, significand, binary, fraction == 0 && exponent > 1, &decimal);
    return sign + laid_out(digits, decimal, at);
}
