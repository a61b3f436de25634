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

/* Is [p, p + n) one varint? Its length is hard to predict, so that short ones are compared with
 * the pattern of a varint of n bytes. */
INLINE bool whole_varint(struct pass *pass, const uint8_t *p, size_t n, const uint8_t *end)
{
    const uint64_t tops = UINT64_C(0x8080808080808080);
    if (UNLIKELY(n - 1 >= 8 || left(p, end) < 8)) {
        return n > 0 && varint(pass, p, p + n) == p + n;
    }
    uint64_t word;
    memcpy(&word, p, sizeof word);
    const unsigned beyond = 64 - 8 * (unsigned)n; /* bits behind the varint */
    pass->high += n - 1;
    return (word & tops) << beyond == (tops ^ UINT64_C(1) << 63 >> beyond) << beyond;
}

/* Is [p, p + n) one plain value: a text, a number, a truth, bytes, or nothing? Bytes up to `end`
 * may be read. */
INLINE bool plain_value(struct pass *pass, const uint8_t *p, size_t n, const uint8_t *end)
{
    const uint8_t *const stop = p + n;
    size_t bytes;
    if (n == 0) {
        return true;
    }
    const uint8_t tag = *p++;                 /* no switch: an indirect jump is harder to predict */
    if (LIKELY(tag == 0x18 || tag == 0x10)) { /* int_value, bool_value */
        return whole_varint(pass, p, n - 1, end);
    }
    if (tag == 0x21 && n == 9) { /* double_value */
        pass->high += high_in_8(p);
        return true;
    }
    if (tag != 0x0a && tag != 0x3a) { /* string_value, bytes_value */
        return false;
    }
    p = length(pass, p, stop, &bytes);
    if (!p || p + bytes != stop) {
        return false;
    }
    if (tag == 0x3a) {
        pass->high += otlp_count_high(p, bytes);
    }
    return true;
}

/* Steps from the start of a KeyValue that ends at `stop` to its value, which is then all that is
 * left of it. NULL: not known. */
INLINE const uint8_t *past_key(struct pass *pass, const uint8_t *p, const uint8_t *stop)
{
    size_t bytes;
    if (left(p, stop) < 2 || p[0] != 0x0a) { /* key */
        return NULL;
    }
    p = length(pass, p + 1, stop, &bytes);
    if (!p || bytes == left(p, stop) || p[bytes] != 0x12) { /* value */
        return NULL;
    }
    p = length(pass, p + bytes + 1, stop, &bytes);
    return p && p + bytes == stop ? p : NULL;
}

/* The same, or lists and maps of such values. */
static __attribute__((noinline)) bool any_value(struct pass *pass, const uint8_t *p,
                                                const uint8_t *stop)
{
    enum { NESTED_MAX = 8 };
    struct {
        const uint8_t *end;
        bool map;
    } in[NESTED_MAX];
    uint32_t level = 0; /* lists and maps that p is in */
    for (;;) {
        size_t n;
        if (p < stop && (*p == 0x2a || *p == 0x32)) { /* array_value, kvlist_value */
            const bool map = *p == 0x32;
            p = length(pass, p + 1, stop, &n);
            if (!p || p + n != stop || level == NESTED_MAX || level + 2 > pass->max_depth) {
                return false;
            }
            in[level].end = stop;
            in[level++].map = map;
        } else {
            if (!plain_value(pass, p, left(p, stop), stop)) {
                return false;
            }
            p = stop;
        }
        while (level > 0 && p == in[level - 1].end) {
            level--;
        }
        if (level == 0) {
            return true;
        }
        if (*p != 0x0a) { /* values */
            return false;
        }
        p = length(pass, p + 1, in[level - 1].end, &n);
        if (!p) {
            return false;
        }
        stop = p + n;
        if (in[level - 1].map) {
            p = past_key(pass, p, stop);
            if (!p) {
                return false;
            }
        }
    }
}

/* Calls outside get a pass of their own, so that the count can stay in a register here. */
INLINE bool value(struct pass *pass, const uint8_t *p, const uint8_t *end)
{
    struct pass inner = {.high = 0, .max_depth = pass->max_depth};
    const bool known = any_value(&inner, p, end);
    pass->high += inner.high;
    return known;
}

/* Is [at, at + n) a KeyValue? */
static __attribute__((noinline)) bool any_attribute(struct pass *pass, const uint8_t *at, size_t n)
{
    const uint8_t *const stop = at + n;
    at = past_key(pass, at, stop);
    return at && any_value(pass, at, stop);
}

INLINE bool attribute(struct pass *pass, const uint8_t *at, size_t n, const uint8_t *end)
{
    /* 0a key.n key... 12 value.n value..., with lengths of one byte */
    if (LIKELY(n < 0x80 && n >= 4 && at[0] == 0x0a && at[1] + 4u <= n)) {
        const uint8_t *v = at + 2 + at[1];
        const uint32_t bytes = (uint32_t)n - 4 - at[1];
        if (LIKELY(bytes >= 2)) {
            /* 12 value.n 0a text.n: a text */
            uint32_t word;
            memcpy(&word, v, sizeof word);
            if (LIKELY(word == 0x000a0012 + (bytes << 8) + ((bytes - 2) << 24))) {
                return true;
            }
        }
        if (LIKELY(v[0] == 0x12 && v[1] == bytes &&
                   (bytes == 0 || (v[2] != 0x2a && v[2] != 0x32)))) {
            return plain_value(pass, v + 2, bytes, end);
        }
    }
    struct pass inner = {.high = 0, .max_depth = pass->max_depth};
    const bool known = any_attribute(&inner, at, n);
    pass->high += inner.high;
    return known;
}

/* Steps over KeyValues that follow one another with the one-byte tag. NULL: not known. */
INLINE const uint8_t *attributes(struct pass *pass, const uint8_t *p, const uint8_t *end,
                                 uint8_t tag)
{
    do {
        size_t n;
        p = length(pass, p + 1, end, &n);
        if (UNLIKELY(!p || !attribute(pass, p, n, end))) {
            return NULL;
        }
        p += n;
    } while (p < end && *p == tag);
    return p;
}

/* Steps over what nearly every span begins with, in this order: ids, name, kind, times. Stops at
 * whatever else. */
INLINE const uint8_t *span_head(struct pass *pass, const uint8_t *p, const uint8_t *end)
{
    enum { TRACE_ID = 0x100a, SPAN_ID = 0x0812, PARENT_ID = 0x0822, NAME = 0x2a };
    enum { KIND = 0x30, START = 0x39, END = 0x41 };
    uint16_t tag;
    if (UNLIKELY(left(p, end) < 64)) {
        return p;
    }
    memcpy(&tag, p, sizeof tag);
    if (LIKELY(tag == TRACE_ID)) {
        pass->high += high_in_8(p + 2) + high_in_8(p + 10);
        p += 18;
    }
    memcpy(&tag, p, sizeof tag);
    if (LIKELY(tag == SPAN_ID)) {
        pass->high += high_in_8(p + 2);
        p += 10;
    }
    memcpy(&tag, p, sizeof tag);
    if (LIKELY(tag == PARENT_ID)) {
        pass->high += high_in_8(p + 2);
        p += 10;
    }
    if (LIKELY(p[0] == NAME && p[1] < 0x80 && left(p, end) >= 2u + p[1] + 20)) {
        p += 2 + p[1];
        if (LIKELY(p[0] == KIND && p[1] < 0x80)) {
            p += 2;
        }
        if (LIKELY(p[0] == START && p[9] == END)) {
            pass->high += high_in_8(p + 1) + high_in_8(p + 10);
            p += 18;
        }
    }
    return p;
}

/* The same for log records: time, severity, its text, and a body that is a text. */
INLINE const uint8_t *log_head(struct pass *pass, const uint8_t *p, const uint8_t *end)
{
    enum { TIME = 0x09, SEVERITY = 0x10, SEVERITY_TEXT = 0x1a, BODY = 0x2a, STRING = 0x0a };
    if (UNLIKELY(left(p, end) < 32 || p[0] != TIME || p[9] != SEVERITY || p[10] >= 0x80)) {
        return p;
    }
    pass->high += high_in_8(p + 1);
    p += 11;
    if (LIKELY(p[0] == SEVERITY_TEXT && p[1] < 0x80 && left(p, end) >= 2u + p[1] + 4)) {
        p += 2 + p[1];
        if (LIKELY(p[0] == BODY && p[1] < 0x80 && p[1] >= 2 && left(p, end) >= 2u + p[1] &&
                   p[2] == STRING && p[3] == p[1] - 2)) {
            p += 2 + p[1];
        }
    }
    return p;
}

/* Is this what most log records end with: flags, ids, time observed? */
INLINE bool log_tail(struct pass *pass, const uint8_t *p, const uint8_t *end)
{
    enum { SIZE = 42, FLAGS = 0x45, TRACE_ID = 0x104a, SPAN_ID = 0x0852, OBSERVED = 0x59 };
    uint16_t trace_id, span_id;
    if (left(p, end) != SIZE) {
        return false;
    }
    memcpy(&trace_id, p + 5, sizeof trace_id);
    memcpy(&span_id, p + 23, sizeof span_id);
    if (p[0] != FLAGS || trace_id != TRACE_ID || span_id != SPAN_ID || p[33] != OBSERVED) {
        return false;
    }
    pass->high += high_in_4(p + 1) + high_in_8(p + 7) + high_in_8(p + 15) + high_in_8(p + 25) +
                  high_in_8(p + 34);
    return true;
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
    if (level == 0 && type == OTLP_SPAN) {
        p = span_head(pass, p, end);
    } else if (level == 0 && type == OTLP_LOG_RECORD) {
        p = log_head(pass, p, end);
    }
    while (p < end) {
        if (level == 0 && type == OTLP_LOG_RECORD && log_tail(pass, p, end)) {
            return true;
        }
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
    /* Counting first also fetches the message into the nearest cache, at full speed; the walk from
     * length to length could not. */
    const size_t high = otlp_count_high(p, n);
    return message(&pass, type, p, p + n, 0) && pass.high == high;
}
