/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. NUL is
 * text. Pure functions, any thread. */
#ifndef SLUICE_FORMATS_OTLP_UTF8_H
#define SLUICE_FORMATS_OTLP_UTF8_H
#include <stddef.h>
#include <stdint.h>

/* Returns the offset of the first byte that does not belong to a character; n where all do. */
size_t otlp_utf8_valid(const uint8_t *p, size_t n);

/* Length of the character at p, which does not begin with an ASCII byte; 0 where it is none. n > 0.
 */
size_t otlp_utf8_length(const uint8_t *p, size_t n);

#endif
