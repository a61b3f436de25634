/* Text and bytes as JSON strings. Any thread. */
#include "formats/otlp/json_text.h"

#include "formats/otlp/utf8.h"

#include <stdbool.h>
#include <string.h>

enum {
    PIECE = 768,       /* input bytes a reservation, for strings */
    CODED_PIECE = 384, /* for hex and base64; a multiple of 3 */
    ESCAPE_MAX = 8
};
_Static_assert((int)PIECE + ESCAPE_MAX <= (int)JSON_OUT_RESERVE_MAX && CODED_PIECE % 3 == 0,
               "pieces");

static const uint8_t hex_digits[] = "0123456789abcdef";

static void put(struct json_out *out, uint8_t c)
{
    *json_out_reserve(out, 1) = c;
    json_out_commit(out, 1);
}

/* Writes what the character at p becomes, at most ESCAPE_MAX bytes; returns the bytes read. */
static size_t escape(const uint8_t *p, size_t n, uint8_t *at, size_t *written)
{
    uint8_t c = *p;
    if (c >= 0x80) {
        size_t length = otlp_utf8_length(p, n);
        memcpy(at, length ? p : (const uint8_t *)"\xef\xbf\xbd", length ? length : 3);
        *written = length ? length : 3;
        return length ? length : 1;
    }
    static const uint8_t short_forms[0x20] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    uint8_t form = c >= 0x20 ? c : short_forms[c];
    at[0] = '\\';
    if (form) {
        at[1] = form;
        *written = 2;
    } else {
        memcpy(at + 1, "u00", 3);
        at[4] = hex_digits[c >> 4];
        at[5] = hex_digits[c & 15];
        *written = 6;
    }
    return 1;
}

static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* A word whose bytes have their highest bit set where that of the input is not plain; above the
 * first such byte the answer may be wrong. */
static uint64_t specials(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t highs = UINT64_C(0x8080808080808080);
    uint64_t quote = word ^ (ones * '"');
    uint64_t slash = word ^ (ones * '\\');
    return (word | (word - ones * 0x20) | (quote - ones) | (slash - ones)) & highs;
}

void json_text_string(struct json_out *out, const uint8_t *p, size_t n)
{
    put(out, '"');
    while (n > 0) {
        size_t piece = n < PIECE ? n : PIECE;
        uint8_t *start = json_out_reserve(out, piece + ESCAPE_MAX);
        uint8_t *at = start;
        uint8_t *last = start + piece; /* there is room for one escape from here on */
        size_t used = 0;
        while (used < piece && at <= last) {
            if (n - used >= 8 && at + 8 <= last) {
                uint64_t word;
                memcpy(&word, p + used, 8);
                uint64_t found = specials(word);
                memcpy(at, &word, 8);
                size_t clean = found ? (size_t)__builtin_ctzll(found) / 8 : 8;
                at += clean;
                used += clean;
                if (!found) {
                    continue;
                }
            } else if (is_plain(p[used])) {
                *at++ = p[used++];
                continue;
            }
            size_t written;
            used += escape(p + used, n - used, at, &written);
            at += written;
        }
        json_out_commit(out, (size_t)(at - start));
        p += used;
        n -= used;
    }
    put(out, '"');
}

void json_text_hex(struct json_out *out, const uint8_t *p, size_t n)
{
    put(out, '"');
    while (n > 0) {
        size_t piece = n < CODED_PIECE ? n : CODED_PIECE;
        uint8_t *at = json_out_reserve(out, 2 * piece);
        for (size_t i = 0; i < piece; i++) {
            at[2 * i] = hex_digits[p[i] >> 4];
            at[2 * i + 1] = hex_digits[p[i] & 15];
        }
        json_out_commit(out, 2 * piece);
        p += piece;
        n -= piece;
    }
    put(out, '"');
}

void json_text_base64(struct json_out *out, const uint8_t *p, size_t n)
{
    static const uint8_t digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    put(out, '"');
    while (n > 0) {
        size_t piece = n < CODED_PIECE ? n : CODED_PIECE;
        uint8_t *start = json_out_reserve(out, (piece + 2) / 3 * 4);
        uint8_t *at = start;
        for (size_t i = 0; i < piece; i += 3) {
            size_t left = piece - i;
            uint32_t group = (uint32_t)p[i] << 16;
            group |= left > 1 ? (uint32_t)p[i + 1] << 8 : 0;
            group |= left > 2 ? p[i + 2] : 0;
            *at++ = digits[group >> 18];
            *at++ = digits[group >> 12 & 63];
            *at++ = left > 1 ? digits[group >> 6 & 63] : '=';
            *at++ = left > 2 ? digits[group & 63] : '=';
        }
        json_out_commit(out, (size_t)(at - start));
        p += piece;
        n -= piece;
    }
    put(out, '"');
}
