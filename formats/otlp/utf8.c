/* UTF-8, with 8 bytes at a time for what is ASCII. Pure functions, any thread. */
#include "formats/otlp/utf8.h"
#include <string.h>

static int is_tail(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

size_t otlp_utf8_length(const uint8_t *p, size_t n)
{
    const uint8_t lead = p[0];
    if (lead >= 0xc2 && lead <= 0xdf) {
        return n >= 2 && is_tail(p[1]) ? 2 : 0;
    }
    if (lead >= 0xe0 && lead <= 0xef) {
        if (n < 3 || !is_tail(p[1]) || !is_tail(p[2])) {
            return 0;
        }
        const int overlong = lead == 0xe0 && p[1] < 0xa0;
        const int surrogate = lead == 0xed && p[1] > 0x9f;
        return overlong || surrogate ? 0 : 3;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        if (n < 4 || !is_tail(p[1]) || !is_tail(p[2]) || !is_tail(p[3])) {
            return 0;
        }
        const int overlong = lead == 0xf0 && p[1] < 0x90;
        const int beyond = lead == 0xf4 && p[1] > 0x8f;
        return overlong || beyond ? 0 : 4;
    }
    return 0;
}

size_t otlp_utf8_valid(const uint8_t *p, size_t n)
{
    size_t i = 0;
    while (i < n) {
        if (n - i >= 8) {
            uint64_t word;
            memcpy(&word, p + i, sizeof word);
            if (!(word & UINT64_C(0x8080808080808080))) {
                i += sizeof word;
                continue;
            }
        }
        if (p[i] < 0x80) {
            i++;
            continue;
        }
        const size_t length = otlp_utf8_length(p + i, n - i);
        if (length == 0) {
            return i;
        }
        i += length;
    }
    return n;
}
