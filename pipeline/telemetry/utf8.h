/* Walks text that may not be UTF-8, for writers that must put out UTF-8 whatever they get. */
#ifndef SLUICE_PIPELINE_UTF8_H
#define SLUICE_PIPELINE_UTF8_H
#include <stddef.h>
#include <stdint.h>

#define UTF8_REPLACEMENT "\xef\xbf\xbd"

/* Bytes of the well-formed sequence that begins at p (n > 0 bytes are there); 0: none does. */
static inline size_t utf8_sequence(const uint8_t *p, size_t n)
{
    uint8_t first = p[0];
    size_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (length < 2)
        return length;
    if (first > 0xf4 || length > n)
        return 0;
    uint8_t low = 0x80, high = 0xbf; /* of the second byte: no overlong forms, no surrogates */
    if (first == 0xe0)
        low = 0xa0;
    else if (first == 0xed)
        high = 0x9f;
    else if (first == 0xf0)
        low = 0x90;
    else if (first == 0xf4)
        high = 0x8f;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return length;
}
#endif
