/* Numbers as decimal text, free of locales. Doubles become the shortest text that reads back as the
 * same double. Pure functions over an immutable table, any thread. */
#ifndef SLUICE_FORMATS_OTLP_DECIMAL_H
#define SLUICE_FORMATS_OTLP_DECIMAL_H
#include <stddef.h>
#include <stdint.h>

#define DECIMAL_MAX 32 /* room that every function here may use */

enum { DECIMAL_POWER_MIN = -292, DECIMAL_POWER_MAX = 324 };

/* 10^k for k from DECIMAL_POWER_MIN on, scaled by a power of two to 128 bits with the highest one
 * set, rounded up. */
struct decimal_powers {
    struct decimal_power {
        uint64_t high, low;
    } of[DECIMAL_POWER_MAX - DECIMAL_POWER_MIN + 1];
};

/* Computes the table, which costs some tens of microseconds. */
void decimal_powers_init(struct decimal_powers *powers);

/* Each writes its text to `at` without a NUL and returns the length. `value` of decimal_double is
 * finite. */
size_t decimal_u64(uint64_t value, uint8_t *at);
size_t decimal_i64(int64_t value, uint8_t *at);
size_t decimal_double(const struct decimal_powers *powers, double value, uint8_t *at);

#endif
