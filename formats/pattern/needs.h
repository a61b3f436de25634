/* What every match of a pattern has: a length, and some characters. Most texts lack one of them, and to
 * look for it costs a fraction of a call of PCRE2. Exact: what is not known for certain is not needed.
 * Read-only once made. */
#ifndef SLUICE_FORMATS_PATTERN_NEEDS_H
#define SLUICE_FORMATS_PATTERN_NEEDS_H
#include <sluice/plugin.h>

enum { PATTERN_NEEDS_MAX = 3 };

struct pattern_needs {
    uint32_t bytes;                /* at least so many */
    uint8_t at[PATTERN_NEEDS_MAX]; /* and these ASCII characters, all within the match */
    uint32_t n;
};

/* Adds the characters that stand in the pattern for themselves, outside of groups, alternatives and
 * repetitions: '@' in "[a-z]+@[a-z]+". No letters, which are in most texts anyway. Nothing is added
 * where the pattern has anything that is not understood here. The pattern must compile. */
void pattern_needs_read(struct pattern_needs *, sl_bytes pattern);
void pattern_needs_add(struct pattern_needs *, uint8_t character);

/* false: no match is in the text. */
static inline bool pattern_needs_met(const struct pattern_needs *needs, const uint8_t *at, size_t n)
{
    bool met = n >= needs->bytes;
    for (uint32_t i = 0; i < needs->n && met; i++) {
        met = memchr(at, needs->at[i], n) != NULL;
    }
    return met;
}

#endif
