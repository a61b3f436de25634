/* The quick check, see check_fast.h. Every function answers "in order" or "not known". */
#include "formats/otlp/check_fast.h"
#include "formats/otlp/utf8.h"
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

struct pass {
    size_t high;        /* bytes above 0x7f found outside texts */
    uint32_t max_depth; /* of values */
};

INLINE size_t high_in_word(uint64_t word)
{
    return (size_t)((((word >> 7) & UINT64_C(0x0101010101010101)) * UINT64_C(0x0101010101010101)) >>
                    56);
}

INLINE size_t high_in_8(const uint8_t *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return high_in_word(word);
}

INLINE size_t high_in_4(const uint8_t *p)
{
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return high_in_word(word);
}

INLINE size_t left(const uint8_t *p, const uint8_t *end)
{
    return (size_t)(end - p);
}

/* Steps over a varint; NULL: not known. */
INLINE const uint8_t *varint(struct pass *pass, const uint8_t *p, const uint8_t *end)
{
    for (size_t i = 0; i < 10 && p + i < end; i++) {
        if (LIKELY(p[i] < 0x80)) {
            pass->high += i;
            return p + i + 1;
        }
    }
    return NULL;
}

/* Reads a length of one to three bytes and steps over it. NULL where the bytes it counts are not
 * all there, or the length is longer. */
INLINE const uint8_t *length(struct pass *pass, const uint8_t *p, const uint8_t *end, size_t *n)
{
    if (UNLIKELY(p == end)) {
        return NULL;
    }
    *n = *p++;
    if (UNLIKELY(*n >= 0x80)) {
        if (p == end) {
            return NULL;
        }
        *n = (*n & 0x7f) | (size_t)(*p & 0x7f) << 7;
        pass->high++;
        if (*p++ >= 0x80) {
            if (p == end || *p >= 0x80) {
                return NULL;
            }
            *n |= (size_t)*p++ << 14;
            pass->high++;
        }
    }
    return LIKELY(*n <= left(p, end)) ? p : NULL;
}

/* Is [p, end) one plain value: a text, a number, a truth, bytes, or nothing? */
INLINE bool plain_value(struct pass *pass, const uint8_t *p, const uint8_t *end)
{
    size_t n;
    if (p == end) {
        return true;
    }
    switch (*p++) {
    case 0x0a: /* string_value */
        p = length(pass, p, end, &n);
        return p && p + n == end;
    case 0x10: /* bool_value */
    case 0x18: /* int_value */
        return varint(pass, p, end) == end;
    case 0x21: /* double_value */
        if (left(p, end) != 8) {
            return false;
        }
        pass->high += high_in_8(p);
        return true;
    case 0x3a: /* bytes_value */
        p = length(pass, p, end, &n);
        if (!p || p + n != end) {
            return false;
        }
        pass->high += otlp_count_high(p, n);
        return true;
    default:
        return false;
    }
}

/* The same, or a list of plain values. */
static __attribute__((noinline)) bool value(struct pass *pass, const uint8_t *p, const uint8_t *end)
{
    size_t n;
    if (p == end || *p != 0x2a) {
        return plain_value(pass, p, end);
    }
    p = length(pass, p + 1, end, &n); /* array_value */
    if (!p || p + n != end || pass->max_depth < 2) {
        return false;
    }
    while (p < end) {
        if (*p != 0x0a) {
            return false;
        }
        p = length(pass, p + 1, end, &n); /* values */
        if (!p || !plain_value(pass, p, p + n)) {
            return false;
        }
        p += n;
    }
    return true;
}

/* Steps over KeyValues that follow one another with the one-byte tag. NULL: not known. */
INLINE const uint8_t *attributes(struct pass *pass, const uint8_t *p, const uint8_t *end,
                                 uint8_t tag)
{
    do {
        size_t n, n_value;
        const uint8_t *at = length(pass, p + 1, end, &n);
        if (UNLIKELY(!at || n < 4 || at[0] != 0x0a || at[1] >= 0x80 || at[1] + 4u > n)) {
            return NULL;
        }
        p = at + n;
        at += 2 + at[1];
        if (UNLIKELY(at[0] != 0x12)) {
            return NULL;
        }
        at = length(pass, at + 1, p, &n_value);
        if (UNLIKELY(!at || at + n_value != p)) {
            return NULL;
        }
        if (LIKELY(n_value >= 2 && at[0] == 0x0a && at[1] < 0x80)) {
            if (UNLIKELY(at[1] + 2u != n_value)) {
                return NULL;
            }
        } else if (!value(pass, at, p)) {
            return NULL;
        }
    } while (p < end && *p == tag);
    return p;
}

/* Numbers in one run of bytes. */
INLINE bool packed(struct pass *pass, const uint8_t *p, size_t n, uint8_t kind)
{
    const uint8_t *end = p + n;
    if (kind == OTLP_PACKED_FIXED64) {
        pass->high += otlp_count_high(p, n);
        return n % 8 == 0;
    }
    while (p && p < end) {
        p = varint(pass, p, end);
    }
    return p == end;
}

INLINE bool message(struct pass *pass, enum otlp_type type, const uint8_t *p, const uint8_t *end,
                    int level);

static __attribute__((noinline)) bool inner_message(struct pass *pass, enum otlp_type type,
                                                    const uint8_t *p, const uint8_t *end)
{
    return message(pass, type, p, end, 1);
}

/* `level` is a constant: messages inside the outermost one hold only KeyValues. */
INLINE bool message(struct pass *pass, enum otlp_type type, const uint8_t *p, const uint8_t *end,
                    int level)
{
    const struct otlp_field *fields = otlp_layout[type];
    while (p < end) {
        const uint8_t tag = *p;
        uint32_t number = tag >> 3;
        if (UNLIKELY(tag >= 0x80)) { /* fields 16 and up */
            if (tag != 0x85 || left(p, end) < 2 || p[1] != 1) {
                return false;
            }
            pass->high++;
            p++;
            number = 16;
        }
        const struct otlp_field field = fields[number];
        const bool run = field.kind >= OTLP_PACKED_VARINT && (tag & 7) == 2;
        size_t n;
        if (UNLIKELY(field.kind == OTLP_UNKNOWN || (field.wire != (tag & 7) && !run))) {
            return false;
        }
        switch (field.kind) {
        case OTLP_VARINT:
            p = varint(pass, p + 1, end);
            break;
        case OTLP_FIXED32:
            if (left(p, end) < 5) {
                return false;
            }
            pass->high += high_in_4(p + 1);
            p += 5;
            break;
        case OTLP_FIXED64:
            if (left(p, end) < 9) {
                return false;
            }
            pass->high += high_in_8(p + 1);
            p += 9;
            break;
        case OTLP_TEXT:
            p = length(pass, p + 1, end, &n);
            p = p ? p + n : NULL;
            break;
        case OTLP_ID8:
            p = length(pass, p + 1, end, &n);
            if (!p || (n != 8 && n != 0)) {
                return false;
            }
            pass->high += n ? high_in_8(p) : 0;
            p += n;
            break;
        case OTLP_ID16:
            p = length(pass, p + 1, end, &n);
            if (!p || (n != 16 && n != 0)) {
                return false;
            }
            pass->high += n ? high_in_8(p) + high_in_8(p + 8) : 0;
            p += n;
            break;
        case OTLP_MESSAGE:
            if (field.message == OTLP_KEY_VALUE && number < 16) {
                p = attributes(pass, p, end, tag);
                break;
            }
            p = length(pass, p + 1, end, &n);
            if (!p) {
                return false;
            }
            if (field.message == OTLP_ANY_VALUE) {
                if (!value(pass, p, p + n)) {
                    return false;
                }
            } else if (level > 0 || !inner_message(pass, (enum otlp_type)field.message, p, p + n)) {
                return false;
            }
            p += n;
            break;
        case OTLP_PACKED_VARINT:
        case OTLP_PACKED_FIXED64:
            if (!run) {
                return false;
            }
            p = length(pass, p + 1, end, &n);
            if (!p || !packed(pass, p, n, field.kind)) {
                return false;
            }
            p += n;
            break;
        default:
            return false;
        }
        if (UNLIKELY(!p)) {
            return false;
        }
    }
    return true;
}

bool otlp_check_fast(enum otlp_type type, const uint8_t *p, size_t n, uint32_t max_depth)
{
    struct pass pass = {.high = 0, .max_depth = max_depth};
    return message(&pass, type, p, p + n, 0) && otlp_count_high(p, n) == pass.high;
}
