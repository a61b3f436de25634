/* Texts as patterns and the numbers in them: "req-9f86d081" is "req-" and eight hexadecimal digits.
 * A pattern is the text with a mark in the place of each number: the byte PATTERN_MARK and a code.
 * Pure functions, any thread. */
#ifndef SLUICE_FORMATS_TRACE_TEXT_PATTERN_H
#define SLUICE_FORMATS_TRACE_TEXT_PATTERN_H
#include "formats/trace/memory.h"

enum {
    PATTERN_MARK = 1,
    PATTERN_LITERAL = 0,  /* no number: the byte PATTERN_MARK itself */
    PATTERN_DECIMAL = 1,  /* without leading zeros */
    PATTERN_PADDED = 32,  /* + width, 2 to 18: decimal digits, the first of them 0 */
    PATTERN_LOWER = 64,   /* + width, 1 to 16: hexadecimal digits */
    PATTERN_UPPER = 96,   /* + width, 1 to 16 */
    PATTERN_UUID = 128,   /* in lower case; two numbers */
    PATTERN_DIGITS = 18,  /* decimal numbers have no more */
    PATTERN_NUMBERS = 64, /* a pattern has no more; the rest of the text stays as it is */
    PATTERN_HEX = 16
};

/* Writes the pattern of a text to `pattern` (3 * text.n bytes) and its numbers to `numbers`
 * (PATTERN_NUMBERS); returns the pattern's length. */
size_t pattern_of(sl_bytes text, uint8_t *pattern, int64_t *numbers, uint32_t *n_numbers);

/* The pattern of a text that is to stay as it is (2 * text.n bytes). */
size_t pattern_plain(sl_bytes text, uint8_t *pattern);

/* How many numbers a pattern has; TRACE_NONE: it is none. `bytes`: the most that a text of it has.
 */
uint32_t pattern_numbers(sl_bytes pattern, uint64_t *bytes);

/* Writes the text of a good pattern; `numbers` are `stride` apart. Returns what follows. */
uint8_t *pattern_text(sl_bytes pattern, const int64_t *numbers, size_t stride, uint8_t *to);

/* About how many bits the numbers of a pattern hold. */
uint32_t pattern_bits(sl_bytes pattern, const int64_t *numbers);

#endif
