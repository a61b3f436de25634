/* The quick check, see check_fast.h. Every function answers "in order" or "not known". */
#include "formats/otlp/check_fast.h"
#include "formats/otlp/ascii.h"
#include "formats/otlp/utf8.h"
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define NOINLINE static __attribute__((noinline))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

struct pass {
    const uint8_t *limit; /* the end of what may be read */
    uint32_t max_depth;   /* of values */
};

INLINE size_t left(const uint8_t *p, const uint8_t *end)
{
    return (size_t)(end - p);
}

INLINE uint32_t word_at(const uint8_t *p)
{
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

/* Steps over a varint; NULL: not known. */
INLINE const uint8_t *varint(const uint8_t *p, const uint8_t *end)
{
    for (size_t i = 0; i < 10 && p + i < end; i++) {
        if (LIKELY(p[i] < 0x80)) {
            return p + i + 1;
        }
    }
    return NULL;
}

/* Reads a length of one to three bytes and steps over it. NULL where the bytes it counts are not
 * all there, or the length is longer. */
INLINE const uint8_t *length(const uint8_t *p, const uint8_t *end, size_t *n)
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
        if (*p++ >= 0x80) {
            if (p == end || *p >= 0x80) {
                return NULL;
            }
            *n |= (size_t)*p++ << 14;
        }
    }
    return LIKELY(*n <= left(p, end)) ? p : NULL;
}

NOINLINE bool other_text(const uint8_t *p, size_t n)
{
    return otlp_utf8_valid(p, n) == n;
}

INLINE bool text(const struct pass *pass, const uint8_t *p, size_t n)
{
    return LIKELY(otlp_is_ascii(p, n, pass->limit)) || other_text(p, n);
}

/* Steps over a text with its length. NULL: not known. */
INLINE const uint8_t *past_text(const struct pass *pass, const uint8_t *p, const uint8_t *end)
{
    size_t n;
    p = length(p, end, &n);
    return p && text(pass, p, n) ? p + n : NULL;
}

/* Is [p, p + n) one varint? Its length is hard to predict, so that short ones are compared with
 * the pattern of a varint of n bytes. */
INLINE bool whole_varint(const struct pass *pass, const uint8_t *p, size_t n)
{
    const uint64_t tops = UINT64_C(0x8080808080808080);
    if (UNLIKELY(n - 1 >= 8 || left(p, pass->limit) < 8)) {
        return n > 0 && varint(p, p + n) == p + n;
    }
    uint64_t word;
    memcpy(&word, p, sizeof word);
    const unsigned beyond = 64 - 8 * (unsigned)n; /* bits behind the varint */
    return (word & tops) << beyond == (tops ^ UINT64_C(1) << 63 >> beyond) << beyond;
}

/* Is [p, p + n) one plain value: a text, a number, a truth, bytes, or nothing? */
INLINE bool plain_value(const struct pass *pass, const uint8_t *p, size_t n)
{
    const uint8_t *const stop = p + n;
    if (n == 0) {
        return true;
    }
    const uint8_t tag = *p++;                 /* no switch: an indirect jump is harder to predict */
    if (LIKELY(tag == 0x18 || tag == 0x10)) { /* int_value, bool_value */
        return whole_varint(pass, p, n - 1);
    }
    if (tag == 0x21) { /* double_value */
        return n == 9;
    }
    if (tag == 0x0a) { /* string_value */
        return past_text(pass, p, stop) == stop;
    }
    size_t bytes;
    p = tag == 0x3a ? length(p, stop, &bytes) : NULL; /* bytes_value */
    return p && p + bytes == stop;
}

/* Steps from the start of a KeyValue that ends at `stop` to its value, which is then all that is
 * left of it. NULL: not known. */
INLINE const uint8_t *past_key(const struct pass *pass, const uint8_t *p, const uint8_t *stop)
{
    size_t bytes;
    if (left(p, stop) < 2 || p[0] != 0x0a) { /* key */
        return NULL;
    }
    p = past_text(pass, p + 1, stop);
    if (!p || p == stop || *p != 0x12) { /* value */
        return NULL;
    }
    p = length(p + 1, stop, &bytes);
    return p && p + bytes == stop ? p : NULL;
}

/* Plain values, and lists and maps of values. */
NOINLINE bool any_value(const struct pass *pass, const uint8_t *p, const uint8_t *stop)
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
            p = length(p + 1, stop, &n);
            if (!p || p + n != stop || level == NESTED_MAX || level + 2 > pass->max_depth) {
                return false;
            }
            in[level].end = stop;
            in[level++].map = map;
        } else {
            if (!plain_value(pass, p, left(p, stop))) {
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
        p = length(p + 1, in[level - 1].end, &n);
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

/* Is [at, at + n) a KeyValue? */
NOINLINE bool any_attribute(const struct pass *pass, const uint8_t *at, size_t n)
{
    const uint8_t *const stop = at + n;
    at = past_key(pass, at, stop);
    if (!at || (at < stop && (*at == 0x2a || *at == 0x32))) { /* array_value, kvlist_value */
        return at && any_value(pass, at, stop);
    }
    return plain_value(pass, at, left(at, stop));
}

/* Are [p, end) KeyValues, each behind the one-byte tag? */
NOINLINE bool attributes_singly(const struct pass *pass, const uint8_t *p, const uint8_t *end,
                                uint8_t tag)
{
    while (p < end) {
        size_t n;
        if (*p != tag) {
            return false;
        }
        p = length(p + 1, end, &n);
        if (!p || !any_attribute(pass, p, n)) {
            return false;
        }
        p += n;
    }
    return true;
}

/* The same, where it is known that their texts are ASCII if no more than `high` bytes are above
 * 0x7f. */
INLINE bool attributes_hold(const struct pass *pass, const uint8_t *p, const uint8_t *end,
                            uint8_t tag, uint32_t high)
{
    const size_t n = left(p, end);
    const bool ascii = high == 0
                           ? otlp_is_ascii(p, n, pass->limit)
                           : n <= OTLP_COUNTED_MAX && otlp_count_high(p, n, pass->limit) == high;
    return LIKELY(ascii) || attributes_singly(pass, p, end, tag);
}

/* Steps over a KeyValue whose value is a text of whatever length, and adds the bytes above 0x7f that
 * are not of its texts: lengths of two bytes have one, those of three have two. NULL: it is something
 * else. */
INLINE const uint8_t *past_text_attribute(const uint8_t *p, const uint8_t *end, uint32_t *high)
{
    size_t n, value, bytes;
    const uint8_t *const key = length(p + 1, end, &n);
    if (!key || n < 4 || key[0] != 0x0a || key[1] >= 0x80 || n - 4 < key[1]) {
        return NULL;
    }
    const uint8_t *const stop = key + n, *const v = key + 2 + key[1];
    const uint8_t *const any = v[0] == 0x12 ? length(v + 1, stop, &value) : NULL;
    if (!any || value != left(any, stop) || value == 0 || any[0] != 0x0a) { /* string_value */
        return NULL;
    }
    const uint8_t *const text = length(any + 1, stop, &bytes);
    if (!text || bytes != left(text, stop)) {
        return NULL;
    }
    *high += (uint32_t)(left(p, key) + left(v, any) + left(any, text) - 6);
    return stop;
}

/* Is there a value's field of n bytes with a number at p, of which the first four bytes are
 * `word`? Adds its bytes above 0x7f. */
INLINE bool number_field(const uint8_t *p, uint32_t word, uint32_t n, uint32_t *high)
{
    const uint64_t tops = UINT64_C(0x8080808080808080);
    uint64_t number;
    memcpy(&number, p + 3, sizeof number);
    if (LIKELY((word & 0xf7ffff) == n * 0x100 + 0x100012 && n <= 8)) { /* int_value, bool_value */
        const uint64_t ends = (~number & tops) | UINT64_C(1) << 63; /* the first ends the varint */
        if (UNLIKELY((uint32_t)__builtin_ctzll(ends) + 9 != 8 * n)) {
            return false;
        }
        *high += n - 2;
        return true;
    }
    if ((word & 0xffffff) != 0x210912 || n != 9) { /* double_value */
        return false;
    }
    *high += (uint32_t)(((number & tops) >> 7) * UINT64_C(0x0101010101010101) >> 56);
    return true;
}

/* p + 2 + n, where p + 2 is there before n is: each attribute waits for the length of the one
 * before, and left to itself the compiler adds 2 to n first. */
INLINE const uint8_t *after(const uint8_t *p, size_t n)
{
    p += 2;
    __asm__("" : "+r"(p));
    return p + n;
}

/* Steps over KeyValues that follow one another with the one-byte tag. NULL: not known.
 *
 * Most are tag n 0a key.n key... 12 value.n value... with lengths of one byte and a text or a
 * number as value: two words of four bytes tell. Their texts are looked at together: they are
 * ASCII if there are no more bytes above 0x7f than the numbers and lengths between them have. */
NOINLINE const uint8_t *attributes(const struct pass *pass, const uint8_t *p, const uint8_t *end,
                                   uint8_t tag)
{
    enum { ROOM = 4 + 255 + 16 }; /* what is read beyond p before anything is compared */
    const uint8_t *safe = left(p, pass->limit) > ROOM ? pass->limit - ROOM : p;
    const uint32_t begin = 0x0a0000 | (uint32_t)tag;
    const uint8_t *from = p; /* texts from here to p are still to be looked at */
    uint32_t high = 0;       /* bytes above 0x7f from there that are in no text */
    safe = safe < end ? safe : end;
    for (;;) {
        while (LIKELY(p < safe)) { /* p may end up beyond `end`, but not beyond the limit */
            const uint32_t head = word_at(p);
            const uint32_t n = p[1], key = head >> 24, value = n - 4 - key;
            const uint8_t *const v = p + 4 + key;
            if (UNLIKELY((head & 0xff80ff) != begin || value - 2 >= 0x7e)) {
                break;
            }
            const uint32_t word = word_at(v);
            if (UNLIKELY(word != value * 0x01000100 + 0x000a0012 - 0x02000000) && /* no text */
                !number_field(v, word, value, &high)) {
                break;
            }
            p = after(p, n);
        }
        if (p >= end || *p != tag) {
            break;
        }
        const uint8_t *next = past_text_attribute(p, end, &high);
        if (UNLIKELY(!next)) {
            size_t n;
            if (!attributes_hold(pass, from, p, tag, high)) {
                return NULL;
            }
            p = length(p + 1, end, &n);
            if (!p || !any_attribute(pass, p, n)) {
                return NULL;
            }
            from = next = p + n;
            high = 0;
        }
        p = next;
    }
    return LIKELY(p <= end) && attributes_hold(pass, from, p, tag, high) ? p : NULL;
}

/* Steps over what nearly every span begins with, in this order: ids, name, kind, times. Stops at
 * whatever else. */
INLINE const uint8_t *span_head(const struct pass *pass, const uint8_t *p, const uint8_t *end)
{
    enum { TRACE_ID = 0x100a, SPAN_ID = 0x0812, PARENT_ID = 0x0822, NAME = 0x2a };
    enum { KIND = 0x30, START = 0x39, END = 0x41 };
    uint16_t tag;
    if (UNLIKELY(left(p, end) < 64)) {
        return p;
    }
    memcpy(&tag, p, sizeof tag);
    p += LIKELY(tag == TRACE_ID) ? 18 : 0;
    memcpy(&tag, p, sizeof tag);
    p += LIKELY(tag == SPAN_ID) ? 10 : 0;
    memcpy(&tag, p, sizeof tag);
    p += tag == PARENT_ID ? 10 : 0;
    if (LIKELY(p[0] == NAME && p[1] < 0x80 && left(p, end) >= 2u + p[1] + 20 &&
               text(pass, p + 2, p[1]))) {
        p += 2 + p[1];
        if (LIKELY(p[0] == KIND && p[1] < 0x80)) {
            p += 2;
        }
        if (LIKELY(p[0] == START && p[9] == END)) {
            p += 18;
        }
    }
    return p;
}

/* Is this what most spans end with: a status without a text, and flags? */
INLINE bool is_span_tail(const uint8_t *p, const uint8_t *end)
{
    enum { STATUS = 0x7a, CODE = 0x18, FLAGS = 0x0185, FLAGS_SIZE = 6 };
    uint16_t tag;
    if (left(p, end) < 2 + FLAGS_SIZE || p[0] != STATUS) {
        return false;
    }
    if (p[1] == 2 && p[2] == CODE && p[3] < 0x80) {
        p += 2;
    } else if (p[1] != 0) {
        return false;
    }
    memcpy(&tag, p + 2, sizeof tag);
    return left(p, end) == 2 + FLAGS_SIZE && tag == FLAGS;
}

/* The same for log records: time, severity, its text, and a body that is a text. */
INLINE const uint8_t *log_head(const struct pass *pass, const uint8_t *p, const uint8_t *end)
{
    enum { TIME = 0x09, SEVERITY = 0x10, SEVERITY_TEXT = 0x1a, BODY = 0x2a, STRING = 0x0a };
    if (UNLIKELY(left(p, end) < 32 || p[0] != TIME || p[9] != SEVERITY || p[10] >= 0x80)) {
        return p;
    }
    p += 11;
    if (LIKELY(p[0] == SEVERITY_TEXT && p[1] < 0x80 && left(p, end) >= 2u + p[1] + 4 &&
               text(pass, p + 2, p[1]))) {
        p += 2 + p[1];
        if (LIKELY(p[0] == BODY && p[1] < 0x80 && p[1] >= 2 && left(p, end) >= 2u + p[1] &&
                   p[2] == STRING && p[3] == p[1] - 2 && text(pass, p + 4, p[3]))) {
            p += 2 + p[1];
        }
    }
    return p;
}

/* Is this what most log records end with: flags, ids, time observed? */
INLINE bool is_log_tail(const uint8_t *p, const uint8_t *end)
{
    enum { SIZE = 42, FLAGS = 0x45, TRACE_ID = 0x104a, SPAN_ID = 0x0852, OBSERVED = 0x59 };
    uint16_t trace_id, span_id;
    if (left(p, end) != SIZE) {
        return false;
    }
    memcpy(&trace_id, p + 5, sizeof trace_id);
    memcpy(&span_id, p + 23, sizeof span_id);
    return p[0] == FLAGS && trace_id == TRACE_ID && span_id == SPAN_ID && p[33] == OBSERVED;
}

NOINLINE bool long_varints(const uint8_t *p, const uint8_t *end)
{
    while (p && p < end) {
        p = varint(p, end);
    }
    return p == end;
}

/* Numbers in one run of bytes. Varints end in it where its last byte ends one, and none is too long
 * where no group of four bytes is within one. */
INLINE bool packed(const uint8_t *p, size_t n, uint8_t kind)
{
    const uint32_t tops = UINT32_C(0x80808080);
    if (kind == OTLP_PACKED_FIXED64) {
        return n % 8 == 0;
    }
    for (size_t i = 0; i + 4 <= n; i += 4) {
        if (UNLIKELY((word_at(p + i) & tops) == tops)) {
            return long_varints(p, p + n);
        }
    }
    return n == 0 || p[n - 1] < 0x80;
}

/* Steps over fields of eight bytes: points begin with several. */
INLINE const uint8_t *past_fixed64(const struct otlp_field *fields, const uint8_t *p,
                                   const uint8_t *end)
{
    while (left(p, end) >= 9 && (*p & 0x87) == 1 && fields[*p >> 3].kind == OTLP_FIXED64) {
        p += 9;
    }
    return p;
}

INLINE bool message(const struct pass *pass, enum otlp_type type, const uint8_t *p,
                    const uint8_t *end, int level);

NOINLINE bool inner_message(const struct pass *pass, enum otlp_type type, const uint8_t *p,
                            const uint8_t *end)
{
    return message(pass, type, p, end, 1);
}

/* `level` is a constant: messages inside the outermost one hold only KeyValues. */
INLINE bool message(const struct pass *pass, enum otlp_type type, const uint8_t *p,
                    const uint8_t *end, int level)
{
    const struct otlp_field *fields = otlp_layout[type];
    while (p < end) {
        if (level == 0 && ((type == OTLP_SPAN && is_span_tail(p, end)) ||
                           (type == OTLP_LOG_RECORD && is_log_tail(p, end)))) {
            return true;
        }
        p = past_fixed64(fields, p, end);
        if (p == end) {
            return true;
        }
        const uint8_t tag = *p;
        uint32_t number = tag >> 3;
        if (UNLIKELY(tag >= 0x80)) { /* fields 16 and up */
            if (tag != 0x85 || left(p, end) < 2 || p[1] != 1) {
                return false;
            }
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
            p = varint(p + 1, end);
            break;
        case OTLP_FIXED32:
            p = left(p, end) >= 5 ? p + 5 : NULL;
            break;
        case OTLP_TEXT:
            p = past_text(pass, p + 1, end);
            break;
        case OTLP_ID8:
        case OTLP_ID16:
            p = length(p + 1, end, &n);
            p = p && (n == 0 || n == (field.kind == OTLP_ID8 ? 8 : 16)) ? p + n : NULL;
            break;
        case OTLP_MESSAGE:
            if (field.message == OTLP_KEY_VALUE && number < 16) {
                p = attributes(pass, p, end, tag);
                break;
            }
            p = length(p + 1, end, &n);
            if (!p) {
                return false;
            }
            if (field.message == OTLP_ANY_VALUE) {
                if (!any_value(pass, p, p + n)) {
                    return false;
                }
            } else if (level > 0 || !inner_message(pass, (enum otlp_type)field.message, p, p + n)) {
                return false;
            }
            p += n;
            break;
        case OTLP_PACKED_VARINT:
        case OTLP_PACKED_FIXED64:
            p = run ? length(p + 1, end, &n) : NULL;
            p = p && packed(p, n, field.kind) ? p + n : NULL;
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

/* Is `tag`, below 64, one of a set with a bit for each? */
INLINE bool is_among(uint8_t tag, uint64_t set)
{
    return (set >> tag & 1) != 0;
}

/* A point of a gauge or a sum: attributes, times and the value in any order. */
INLINE bool number_point(const struct pass *pass, const uint8_t *p, const uint8_t *end)
{
    enum { START = 0x11, TIME = 0x19, DOUBLE = 0x21, INT = 0x31, ATTRIBUTES = 0x3a };
    const uint64_t numbers =
        UINT64_C(1) << START | UINT64_C(1) << TIME | UINT64_C(1) << DOUBLE | UINT64_C(1) << INT;
    while (p < end) {
        if (*p == ATTRIBUTES) {
            p = attributes(pass, p, end, ATTRIBUTES);
            if (UNLIKELY(!p)) {
                return false;
            }
        } else if (LIKELY(*p < 64 && is_among(*p, numbers) && left(p, end) >= 9)) {
            p += 9;
        } else {
            return message(pass, OTLP_NUMBER_POINT, p, end, 0);
        }
    }
    return true;
}

/* A record of a type that is no metric. */
INLINE bool record(const struct pass *pass, enum otlp_type type, const uint8_t *p,
                   const uint8_t *end)
{
    enum { SPAN_ATTRIBUTES = 0x4a, LOG_ATTRIBUTES = 0x32 };
    if (type == OTLP_NUMBER_POINT) {
        return number_point(pass, p, end);
    }
    if (type == OTLP_SPAN || type == OTLP_LOG_RECORD) {
        const bool span = type == OTLP_SPAN;
        const uint8_t tag = span ? SPAN_ATTRIBUTES : LOG_ATTRIBUTES;
        p = span ? span_head(pass, p, end) : log_head(pass, p, end);
        if (LIKELY(p < end && *p == tag)) {
            p = attributes(pass, p, end, tag);
            if (UNLIKELY(!p)) {
                return false;
            }
        }
    }
    return message(pass, type, p, end, 0);
}

/* A metric's data: points, and numbers that describe them. */
INLINE bool data(const struct pass *pass, enum otlp_type type, const uint8_t *p, const uint8_t *end,
                 uint32_t *points)
{
    enum { POINT = 0x0a, TEMPORALITY = 0x10, MONOTONIC = 0x18 };
    const enum otlp_type point = (enum otlp_type)otlp_layout[type][1].message;
    while (p < end) {
        if (LIKELY(*p == POINT)) {
            size_t n;
            p = length(p + 1, end, &n);
            if (!p || !record(pass, point, p, p + n)) {
                return false;
            }
            p += n;
            *points += 1;
        } else if ((*p == TEMPORALITY || *p == MONOTONIC) &&
                   otlp_layout[type][*p >> 3].kind == OTLP_VARINT) {
            p = varint(p + 1, end);
            if (!p) {
                return false;
            }
        } else {
            return false;
        }
    }
    return true;
}

/* Steps over what metrics begin with: short texts. Stops at whatever else. NULL: not known. */
INLINE const uint8_t *metric_head(const struct pass *pass, const uint8_t *p, const uint8_t *end)
{
    enum { NAME = 0x0a, DESCRIPTION = 0x12, UNIT = 0x1a };
    const uint64_t texts = UINT64_C(1) << NAME | UINT64_C(1) << DESCRIPTION | UINT64_C(1) << UNIT;
    const uint8_t *const from = p;
    while (left(p, end) >= 2 && *p < 64 && is_among(*p, texts) && p[1] < 0x80 &&
           left(p, end) - 2 >= p[1]) {
        p += 2 + p[1];
    }
    return text(pass, from, left(from, p)) ? p : NULL;
}

INLINE bool metric(const struct pass *pass, const uint8_t *p, const uint8_t *end, uint32_t *points)
{
    uint32_t kind = 0; /* the number of its data's field */
    p = metric_head(pass, p, end);
    if (!p) {
        return false;
    }
    while (p < end) {
        const uint8_t tag = *p;
        const uint32_t number = tag >> 3;
        if (UNLIKELY(tag >= 0x80 || (tag & 7) != 2)) {
            return false;
        }
        const struct otlp_field field = otlp_layout[OTLP_METRIC][number];
        if (LIKELY(field.flags & OTLP_DATA)) {
            size_t n;
            p = length(p + 1, end, &n);
            if (!p || (kind && kind != number) ||
                !data(pass, (enum otlp_type)field.message, p, p + n, points)) {
                return false;
            }
            kind = number;
            p += n;
        } else if (field.kind == OTLP_TEXT) {
            p = past_text(pass, p + 1, end);
        } else {
            p = field.message == OTLP_KEY_VALUE ? attributes(pass, p, end, tag) : NULL;
        }
        if (!p) {
            return false;
        }
    }
    return true;
}

const uint8_t *otlp_check_run(enum otlp_type type, const uint8_t *p, const uint8_t *end,
                              const uint8_t *limit, uint32_t max_depth, struct otlp_run *run)
{
    const struct pass pass = {limit, max_depth};
    const uint8_t tag = *p;
    *run = (struct otlp_run){.records = 0};
    if (tag >= 0x80) {
        return p;
    }
    do {
        uint32_t points = 0;
        size_t n;
        const uint8_t *at = length(p + 1, end, &n);
        if (!at || !(type == OTLP_METRIC ? metric(&pass, at, at + n, &points)
                                         : record(&pass, type, at, at + n))) {
            break;
        }
        run->records++;
        run->points += points;
        p = at + n;
    } while (p < end && *p == tag);
    return p;
}
