/* Decimal text to numbers, free of locales. Pure functions over an immutable table, any thread. */
#ifndef SLUICE_FORMATS_OTLP_DECIMAL_READ_H
#define SLUICE_FORMATS_OTLP_DECIMAL_READ_H
#include "formats/otlp/decimal.h"

#include <stdbool.h>

/* A number in JSON's grammar: digits * 10^exponent. Digits that 64 bits do not hold are left out,
 * which `more` says if any of them is not zero. */
struct decimal {
    uint64_t digits;
    int32_t exponent;
    bool negative;
    bool more;
};

/* Returns what follows the number at p; NULL where there is none: an empty text, a sign alone, a
 * zero in front of other digits, a point or an exponent without digits. */
const uint8_t *decimal_scan(const uint8_t *p, const uint8_t *end, struct decimal *d);

/* Without the sign; false where it is not a whole number of 64 bits. */
bool decimal_whole(const struct decimal *d, uint64_t *value);

enum {
    DECIMAL_TEXT_MAX = 1000 /* bytes of a double; 767 digits may decide how one is rounded */
};

/* The double nearest to the number, which was scanned from at[0..n). Too small ones become 0; false
 * where it is too large, or the text is above DECIMAL_TEXT_MAX and has digits beyond those kept. */
bool decimal_to_double(const struct decimal_powers *powers, const struct decimal *d,
                       const uint8_t *at, size_t n, double *value);

#endif
