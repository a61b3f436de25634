/* UTF-8, with 16 bytes at a time for what is ASCII. Pure functions, any thread. */
#include "formats/otlp/utf8.h"
#include <string.h>

/* Becomes one register with SSE2, NEON and the like, and four words elsewhere. */
typedef int8_t lanes __attribute__((vector_size(16)));
typedef uint8_t counts __attribute__((vector_size(16)));

enum {
    BLOCK = 4 * sizeof(lanes),
    BLOCKS_MAX = 255 / 4 /* so that four added lanes still fit a byte */
};

/* -1 for each byte above 0x7f. */
static counts high_at(const uint8_t *p)
{
    const lanes zero = {0};
    lanes v;
    memcpy(&v, p, sizeof v);
    return (counts)(v < zero);
}

/* Adds up 16 unsigned bytes. */
static size_t sum(counts v)
{
    const uint64_t even = UINT64_C(0x00ff00ff00ff00ff);
    uint64_t half[2];
    memcpy(half, &v, sizeof half);
    const uint64_t pairs =
        (half[0] & even) + ((half[0] >> 8) & even) + (half[1] & even) + ((half[1] >> 8) & even);
    return (size_t)((pairs * UINT64_C(0x0001000100010001)) >> 48);
}

/* Fewer than BLOCK bytes. */
static size_t count_few(const uint8_t *p, size_t n)
{
    const uint64_t tops = UINT64_C(0x0101010101010101);
    size_t count = 0;
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, sizeof word);
        count += (size_t)((((word >> 7) & tops) * tops) >> 56);
    }
    for (; n > 0; n--, p++) {
        count += *p >> 7;
    }
    return count;
}

/* The lengths of messages are hard to predict, so the rest behind the last full block is not
 * stepped through: the last block's worth of bytes is read again, and those that were counted are
 * left out by their position. */
static size_t count_rest(const uint8_t *end, size_t n)
{
    const counts position = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    counts count = {0}, first = {0};
    first += (uint8_t)(BLOCK - n);
    for (uint8_t i = 0; i < BLOCK; i = (uint8_t)(i + 16)) {
        count -= high_at(end - BLOCK + i) & (counts)(position + i >= first);
    }
    return sum(count);
}

size_t otlp_count_high(const uint8_t *p, size_t n)
{
    const counts zero = {0};
    const uint8_t *end = p + n;
    size_t count = 0;
    if (n < BLOCK) {
        return count_few(p, n);
    }
    while (n >= BLOCK) {
        size_t blocks = n / BLOCK;
        if (blocks > BLOCKS_MAX) {
            blocks = BLOCKS_MAX;
        }
        n -= blocks * BLOCK;
        counts a = zero, b = zero, c = zero, d = zero;
        for (; blocks > 0; blocks--, p += BLOCK) {
            a -= high_at(p);
            b -= high_at(p + 16);
            c -= high_at(p + 32);
            d -= high_at(p + 48);
        }
        count += sum((a + b) + (c + d));
    }
    return count + count_rest(end, n);
}

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
