/* Lists of texts as patterns and columns of their numbers. One thread at a time. */
#ifndef SLUICE_FORMATS_TRACE_TEXTS_H
#define SLUICE_FORMATS_TRACE_TEXTS_H
#include "formats/trace/number_code.h"

/* Appends n texts to the streams and their patterns to `patterns`. False: no memory. */
bool texts_write(struct number_writer *w, sl_writer *patterns, const sl_bytes *texts, uint32_t n);

/* About how many bits the numbers and other bytes of one text hold. */
double text_cost(sl_bytes text, uint8_t *scratch);

struct text_reader {
    struct number_reader *numbers;
    const uint8_t *patterns, *patterns_end;
    struct trace_arena *arena; /* for the texts; its limit bounds them */
};

/* Reads n texts into `texts`: all of them, or where `wanted` is not NULL those for which it is not
 * 0; the others become empty. SL_OK, SL_ERR_INVALID or SL_ERR_NOMEM. */
int32_t texts_read(struct text_reader *r, const uint8_t *wanted, sl_bytes *texts, uint32_t n);

#endif
