/* Streams of numbers, each in the cheapest of several exact forms, found by estimating what they
 * cost. Docs: docs/trace-format.md. One thread at a time. */
#ifndef SLUICE_FORMATS_TRACE_NUMBER_CODE_H
#define SLUICE_FORMATS_TRACE_NUMBER_CODE_H
#include "formats/trace/memory.h"
#include "formats/trace/rans.h"

/* A stream's first byte: kind, transform << 3, and flags. */
enum number_kind {
    NUMBERS_CONSTANT = 0, /* after its transform all are 0 */
    NUMBERS_PACKED = 1,   /* in as many bits as the largest needs */
    NUMBERS_CODED = 2     /* + index of a split; the upper kinds are its indices */
};
enum number_transform {
    NUMBERS_FROM_BASE = 0, /* (v - smallest) / unit */
    NUMBERS_ZIGZAG = 1,    /* v with its sign in the lowest bit */
    NUMBERS_DELTA = 2,     /* zigzag of the difference between two of FROM_BASE */
    NUMBERS_FROM_MOST = 3  /* 0: one above the largest so far, else 1 + largest - x */
};
enum {
    NUMBERS_LISTED = 1 << 5,
    NUMBERS_UNIT = 1 << 6,
    NUMBERS_SPLITS = 6,
    NUMBERS_LIST_MAX = 4096
};

/* How a number becomes a symbol and raw bits: numbers below 2^direct are symbols; of others the
 * symbol tells the length and `mantissa` bits below the highest. */
struct number_split {
    uint8_t direct, mantissa;
};
extern const struct number_split number_splits[NUMBERS_SPLITS];

struct number_writer {
    sl_writer about; /* what the streams are */
    sl_writer bits;  /* their contents */
    /* scratch memory */
    uint64_t *x, *y;
    uint16_t *symbols;
    uint8_t *coded;
    uint32_t room;
    struct rans_model model;
    uint32_t counts[RANS_SYMBOLS];
    struct trace_map listed;
};

void number_writer_init(struct number_writer *w);
void number_writer_deinit(struct number_writer *w);

/* Appends a stream; n may be 0. False: no memory. */
bool numbers_write(struct number_writer *w, const int64_t *v, uint32_t n);

/* About how many bits numbers_write would take; looks at a sample. Infinite: no memory. */
double numbers_cost(struct number_writer *w, const int64_t *v, uint32_t n);

struct number_reader {
    const uint8_t *about, *about_end;
    const uint8_t *bits, *bits_end;
    struct trace_arena *arena;   /* for arrays as long as the longest stream */
    struct trace_arena *scratch; /* for what may go after each call */
    uint64_t *x;
    uint16_t *symbols;
    uint32_t room;
    struct rans_model model;
    struct rans_slot slots[RANS_TOTAL];
};

/* SL_OK, SL_ERR_INVALID or SL_ERR_NOMEM. */
int32_t numbers_read(struct number_reader *r, int64_t *v, uint32_t n);

/* The same, but numbers that are all the same are not written out: `*constant` tells, and then v[0]
 * is the number. */
int32_t numbers_read_some(struct number_reader *r, int64_t *v, uint32_t n, bool *constant);

/* Steps over a stream. SL_OK or SL_ERR_INVALID. */
int32_t numbers_skip(struct number_reader *r, uint32_t n);

/* The next number of `about`. False: it ends before. */
bool read_number(struct number_reader *r, uint64_t *v);

#endif
