/* Decides nearly all spans, points, log records, resources and scopes in one quick pass. Pure
 * function, any thread.
 *
 * What makes it quick: texts are not looked at one by one. The pass notes how many bytes above 0x7f
 * stand where they may (ids, times, numbers, long lengths); if the whole message has no more of
 * them, every text is ASCII. Whatever is rare - other texts, values nested deep, unknown fields -
 * is left to the thorough check, which alone finds fault. */
#ifndef SLUICE_FORMATS_OTLP_CHECK_FAST_H
#define SLUICE_FORMATS_OTLP_CHECK_FAST_H
#include "formats/otlp/layout.h"
#include <stdbool.h>
#include <stddef.h>

/* True: the message is in order. False: not known. */
bool otlp_check_fast(enum otlp_type type, const uint8_t *p, size_t n, uint32_t max_depth);

#endif
