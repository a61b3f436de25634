/* The spans of the kill tests. Span number n has one encoding, so whoever finds a span can tell
 * which one it is and whether a byte of it has changed. Pure functions. */
#ifndef SLUICE_E2E_KILL_SPAN_H
#define SLUICE_E2E_KILL_SPAN_H
#include <sluice/plugin.h>

enum { SPAN_MAX = 9 * 1024 };

/* Writes the Span message and returns its length. */
size_t span_encode(uint64_t number, uint8_t out[SPAN_MAX]);

/* The number that these bytes claim to have. False: it is none of ours. */
bool span_number(sl_bytes span, uint64_t *number);

/* A number that looks random, the same one for the same n. */
uint64_t span_mix(uint64_t n);

/* Appends an ExportTraceServiceRequest with the spans first .. first + n - 1 to `out`, which has
 * room for n * (SPAN_MAX + 16) + 256 bytes. Returns its length. */
size_t span_request(uint64_t first, uint32_t n, uint8_t *out);
#endif
