#include "formats/trace/text_pattern.h"

enum { UUID_TEXT = 36, HEX_LEAST = 4 };

enum { DIGIT = 1, LOWER = 2, UPPER = 4, LETTER = 8 }; /* of a byte; LOWER and UPPER: a to f */

static uint32_t class_of(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return DIGIT;
    }
    if (c >= 'a' && c <= 'z') {
        return LETTER | (c <= 'f' ? LOWER : 0);
    }
    if (c >= 'A' && c <= 'Z') {
        return LETTER | (c <= 'F' ? UPPER : 0);
    }
    return 0;
}

static uint32_t hex_value(uint8_t c)
{
    return c <= '9' ? (uint32_t)c - '0' : (c | 0x20u) - 'a' + 10;
}

/* Up to 16 digits. */
static int64_t hex_number(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        v = v << 4 | hex_value(p[i]);
    }
    return (int64_t)v;
}

static int64_t decimal_number(const uint8_t *p, size_t n)
{
    int64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        v = v * 10 + (p[i] - '0');
    }
    return v;
}

static bool is_uuid(const uint8_t *p, size_t n)
{
    if (n < UUID_TEXT || p[8] != '-') {
        return false;
    }
    for (size_t i = 0; i < UUID_TEXT; i++) {
        const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? p[i] != '-' : !(class_of(p[i]) & (DIGIT | LOWER))) {
            return false;
        }
    }
    return n == UUID_TEXT || class_of(p[UUID_TEXT]) == 0;
}

struct pattern_writer {
    uint8_t *p;
    int64_t *numbers;
    uint32_t n;
};

static void mark(struct pattern_writer *w, uint32_t code, int64_t number)
{
    *w->p++ = PATTERN_MARK;
    *w->p++ = (uint8_t)code;
    w->numbers[w->n++] = number;
}

static void plain(struct pattern_writer *w, const uint8_t *p, size_t n)
{
    memcpy(w->p, p, n);
    w->p += n;
}

static void put_uuid(struct pattern_writer *w, const uint8_t *p)
{
    uint8_t digits[32];
    size_t n = 0;
    for (size_t i = 0; i < UUID_TEXT; i++) {
        if (p[i] != '-') {
            digits[n++] = p[i];
        }
    }
    mark(w, PATTERN_UUID, hex_number(digits, 16));
    w->numbers[w->n++] = hex_number(digits + 16, 16);
}

static void put_decimal(struct pattern_writer *w, const uint8_t *p, size_t n)
{
    if (n > PATTERN_DIGITS || w->n == PATTERN_NUMBERS) {
        plain(w, p, n);
    } else {
        const bool padded = *p == '0' && n > 1;
        mark(w, padded ? PATTERN_PADDED + (uint32_t)n : PATTERN_DECIMAL, decimal_number(p, n));
    }
}

static void put_hex(struct pattern_writer *w, const uint8_t *p, size_t n, uint32_t code)
{
    while (n > 0) {
        const size_t part = n < PATTERN_HEX ? n : PATTERN_HEX;
        mark(w, code + (uint32_t)part, hex_number(p, part));
        p += part;
        n -= part;
    }
}

/* Letters as they are, digits as decimal numbers. */
static void put_mixed(struct pattern_writer *w, const uint8_t *p, size_t n)
{
    while (n > 0) {
        size_t part = 1;
        const bool digits = class_of(*p) == DIGIT;
        while (part < n && (class_of(p[part]) == DIGIT) == digits) {
            part++;
        }
        if (digits) {
            put_decimal(w, p, part);
        } else {
            plain(w, p, part);
        }
        p += part;
        n -= part;
    }
}

/* A run of letters and digits. */
static void put_run(struct pattern_writer *w, const uint8_t *p, size_t n, uint32_t some,
                    uint32_t all)
{
    const bool room = n / PATTERN_HEX + 1 <= PATTERN_NUMBERS - w->n;
    if (!(some & DIGIT)) {
        plain(w, p, n);
    } else if (some == DIGIT) {
        put_decimal(w, p, n);
    } else if (n >= HEX_LEAST && room && all == LOWER) {
        put_hex(w, p, n, PATTERN_LOWER);
    } else if (n >= HEX_LEAST && room && all == UPPER) {
        put_hex(w, p, n, PATTERN_UPPER);
    } else {
        put_mixed(w, p, n);
    }
}

size_t pattern_of(sl_bytes text, uint8_t *pattern, int64_t *numbers, uint32_t *n_numbers)
{
    struct pattern_writer w = {.p = pattern, .numbers = numbers};
    const uint8_t *p = text.p, *const end = p + text.n;
    while (p < end) {
        uint32_t some = class_of(*p);
        if (some == 0) {
            *w.p++ = *p;
            if (*p++ == PATTERN_MARK) {
                *w.p++ = PATTERN_LITERAL;
            }
            continue;
        }
        if (w.n + 2 <= PATTERN_NUMBERS && is_uuid(p, (size_t)(end - p))) {
            put_uuid(&w, p);
            p += UUID_TEXT;
            continue;
        }
        const uint8_t *const start = p;
        bool lower = true, upper = true;
        for (uint32_t c; p < end && (c = class_of(*p)) != 0; p++) {
            some |= c;
            lower = lower && (c & (DIGIT | LOWER));
            upper = upper && (c & (DIGIT | UPPER));
        }
        put_run(&w, start, (size_t)(p - start), some, lower ? LOWER : upper ? UPPER : LETTER);
    }
    *n_numbers = w.n;
    return (size_t)(w.p - pattern);
}

size_t pattern_plain(sl_bytes text, uint8_t *pattern)
{
    uint8_t *to = pattern;
    for (size_t i = 0; i < text.n; i++) {
        *to++ = text.p[i];
        if (text.p[i] == PATTERN_MARK) {
            *to++ = PATTERN_LITERAL;
        }
    }
    return (size_t)(to - pattern);
}

static uint32_t width_of(uint32_t code)
{
    return code & 31;
}

uint32_t pattern_numbers(sl_bytes pattern, uint64_t *bytes)
{
    uint32_t n = 0;
    *bytes = 0;
    for (size_t i = 0; i < pattern.n; i++, *bytes += 1) {
        if (pattern.p[i] != PATTERN_MARK) {
            continue;
        }
        if (++i == pattern.n) {
            return TRACE_NONE;
        }
        const uint32_t code = pattern.p[i], width = width_of(code);
        switch (code & ~31u) {
        case 0:
            if (code > PATTERN_DECIMAL) {
                return TRACE_NONE;
            }
            n += code == PATTERN_DECIMAL;
            *bytes += code == PATTERN_DECIMAL ? 20 : 0;
            break;
        case PATTERN_PADDED:
            if (width < 2 || width > PATTERN_DIGITS) {
                return TRACE_NONE;
            }
            n++;
            *bytes += width;
            break;
        case PATTERN_LOWER:
        case PATTERN_UPPER:
            if (width < 1 || width > PATTERN_HEX) {
                return TRACE_NONE;
            }
            n++;
            *bytes += width;
            break;
        default:
            if (code != PATTERN_UUID) {
                return TRACE_NONE;
            }
            n += 2;
            *bytes += UUID_TEXT;
        }
        if (n > PATTERN_NUMBERS) {
            return TRACE_NONE;
        }
    }
    return n;
}

static uint8_t *put_hex_digits(uint8_t *to, uint64_t v, uint32_t width, const char *digits)
{
    for (uint32_t i = width; i-- > 0; v >>= 4) {
        to[i] = (uint8_t)digits[v & 15];
    }
    return to + width;
}

static uint8_t *put_padded(uint8_t *to, uint64_t v, uint32_t width)
{
    for (uint32_t i = width; i-- > 0; v /= 10) {
        to[i] = (uint8_t)('0' + v % 10);
    }
    return to + width;
}

static uint8_t *put_digits(uint8_t *to, uint64_t v)
{
    uint8_t digits[20];
    uint32_t n = 0;
    do {
        digits[n++] = (uint8_t)('0' + v % 10);
        v /= 10;
    } while (v);
    while (n > 0) {
        *to++ = digits[--n];
    }
    return to;
}

static uint8_t *put_uuid_text(uint8_t *to, uint64_t high, uint64_t low)
{
    static const char lower[] = "0123456789abcdef";
    to = put_hex_digits(to, high >> 32, 8, lower);
    *to++ = '-';
    to = put_hex_digits(to, high >> 16, 4, lower);
    *to++ = '-';
    to = put_hex_digits(to, high, 4, lower);
    *to++ = '-';
    to = put_hex_digits(to, low >> 48, 4, lower);
    *to++ = '-';
    return put_hex_digits(to, low, 12, lower);
}

uint8_t *pattern_text(sl_bytes pattern, const int64_t *numbers, size_t stride, uint8_t *to)
{
    for (size_t i = 0; i < pattern.n; i++) {
        if (pattern.p[i] != PATTERN_MARK) {
            *to++ = pattern.p[i];
            continue;
        }
        const uint32_t code = pattern.p[++i];
        if (code == PATTERN_LITERAL) {
            *to++ = PATTERN_MARK;
            continue;
        }
        const uint64_t v = (uint64_t)*numbers;
        numbers += stride;
        if (code == PATTERN_DECIMAL) {
            to = put_digits(to, v);
        } else if (code == PATTERN_UUID) {
            to = put_uuid_text(to, v, (uint64_t)*numbers);
            numbers += stride;
        } else if (code < PATTERN_LOWER) {
            to = put_padded(to, v, width_of(code));
        } else {
            to = put_hex_digits(to, v, width_of(code),
                                code < PATTERN_UPPER ? "0123456789abcdef" : "0123456789ABCDEF");
        }
    }
    return to;
}

uint32_t pattern_bits(sl_bytes pattern, const int64_t *numbers)
{
    uint32_t bits = 0;
    for (size_t i = 0; i + 1 < pattern.n; i++) {
        if (pattern.p[i] != PATTERN_MARK) {
            continue;
        }
        const uint32_t code = pattern.p[++i];
        if (code >= PATTERN_LOWER) {
            bits += code == PATTERN_UUID ? 122 : 4 * width_of(code);
        } else if (code != PATTERN_LITERAL) {
            bits += 64 - (uint32_t)__builtin_clzll((uint64_t)*numbers | 1);
        }
        numbers += code == PATTERN_UUID ? 2 : code != PATTERN_LITERAL;
    }
    return bits;
}
