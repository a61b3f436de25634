/* An entropy coder: range asymmetric numeral systems (J. Duda, "Asymmetric numeral systems",
 * arXiv:1311.2540) with static frequencies, 32-bit states and 16-bit words. From RANS_TWO symbols
 * on two states take turns, so that the processor can work on both. Pure functions, any thread. */
#ifndef SLUICE_FORMATS_TRACE_RANS_H
#define SLUICE_FORMATS_TRACE_RANS_H
#include <sluice/otlp.h>

enum {
    RANS_BITS = 12,
    RANS_TOTAL = 1 << RANS_BITS, /* the frequencies add up to it */
    RANS_SYMBOLS = 1024,         /* symbols are smaller */
    RANS_TWO = 64
};

/* What one symbol is worth. A symbol that does not occur has frequency 0. */
struct rans_model {
    uint32_t symbols; /* the alphabet's size */
    uint16_t frequency[RANS_SYMBOLS];
};

/* One for each of the RANS_TOTAL positions. */
struct rans_slot {
    uint16_t symbol, frequency;
    uint16_t offset; /* of the position within the symbol's */
};

/* Makes frequencies in proportion to counts, rounded to what a few bits a symbol can say, and
 * writes them. `counts` has `symbols` entries, at least one of which is not 0. */
void rans_make_model(struct rans_model *model, const uint32_t *counts, uint32_t symbols,
                     sl_writer *to);

/* Reads the model of n_symbols symbols; returns what follows, or NULL where the bytes are none. */
const uint8_t *rans_read_model(struct rans_model *model, size_t n_symbols, const uint8_t *p,
                               const uint8_t *end);

/* Appends n symbols, all of which have a frequency; `room` holds 2 * n + 8 bytes. */
void rans_encode(const struct rans_model *model, const uint16_t *symbols, size_t n, uint8_t *room,
                 sl_writer *to);

/* Reads n symbols; returns what follows, or NULL where the bytes are none. */
const uint8_t *rans_decode(const struct rans_model *model, struct rans_slot slots[RANS_TOTAL],
                           const uint8_t *p, const uint8_t *end, uint16_t *symbols, size_t n);

#endif
