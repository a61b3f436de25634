/* Columns of doubles: numbers with few decimals as whole ones, others by their bits. One thread. */
#ifndef SLUICE_FORMATS_TRACE_DOUBLES_H
#define SLUICE_FORMATS_TRACE_DOUBLES_H
#include "formats/trace/number_code.h"

/* `bits` are the bits of n doubles. False: no memory. */
bool doubles_write(struct number_writer *w, const int64_t *bits, uint32_t n);

/* SL_OK, SL_ERR_INVALID or SL_ERR_NOMEM. */
int32_t doubles_read(struct number_reader *r, int64_t *bits, uint32_t n);

#endif
