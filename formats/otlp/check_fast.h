/* Decides nearly all spans, metrics, points, log records, resources and scopes in one quick pass.
 * Pure function, any thread.
 *
 * What makes it quick: records that follow one another are stepped over in one loop, what nearly
 * all of them begin or end with is known by its bytes, and an attribute's key and text are compared
 * with ASCII together. Whatever is rare - values nested deep, unknown fields, long lengths - is left
 * to the thorough check, which alone finds fault. */
#ifndef SLUICE_FORMATS_OTLP_CHECK_FAST_H
#define SLUICE_FORMATS_OTLP_CHECK_FAST_H
#include "formats/otlp/layout.h"
#include <stdbool.h>
#include <stddef.h>

struct otlp_run {
    uint32_t records; /* that were stepped over */
    uint32_t points;  /* in them, where they are metrics */
};

/* Steps over records of the type, each behind the one-byte tag that stands at p (p < end), as long
 * as they are known to be in order. Returns where the next field begins: p itself where the first
 * one is not known, `end` where all are. Bytes up to `limit` (>= end) may be read. */
const uint8_t *otlp_check_run(enum otlp_type type, const uint8_t *p, const uint8_t *end,
                              const uint8_t *limit, uint32_t max_depth, struct otlp_run *run);

#endif
