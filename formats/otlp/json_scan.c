/* JSON's texts, and values that nobody asks for. Any thread, one at a time for each json_in. */
#include "formats/otlp/json_in.h"

#include "formats/otlp/ascii.h"
#include "formats/otlp/decimal_read.h"
#include "formats/otlp/utf8.h"

enum {
    BLOCK = sizeof(otlp_lanes),
    ESCAPED_MAX = 4 /* bytes of a character */
};

/* A bit for each byte that is not plain ASCII text. */
static uint32_t special_bits(otlp_lanes v)
{
    /* Bytes above 0x7f are below a space, too, as they are negative. */
    return otlp_high_bits((otlp_lanes)(v < ' ') | (otlp_lanes)(v == '"') | (otlp_lanes)(v == '\\'));
}

static bool is_plain(uint8_t c)
{
    return c >= ' ' && c < 0x80 && c != '"' && c != '\\';
}

/* Copies plain characters as far as they and the room go; the output has BLOCK bytes of room more
 * than `room` ends at. */
static const uint8_t *plain_copy(const uint8_t *p, const uint8_t *end, uint8_t **to,
                                 const uint8_t *room)
{
    uint8_t *at = *to;
    while (end - p >= BLOCK && at < room) {
        const otlp_lanes v = otlp_lanes_at(p);
        memcpy(at, &v, sizeof v);
        const uint32_t found = special_bits(v);
        const uint32_t n = found ? (uint32_t)__builtin_ctz(found) : BLOCK;
        p += n;
        at += n;
        if (found) {
            *to = at;
            return p;
        }
    }
    while (p < end && at < room && is_plain(*p)) {
        *at++ = *p++;
    }
    *to = at;
    return p;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hex digits at p; negative where there are none. */
static int32_t unit_at(const uint8_t *p, const uint8_t *end)
{
    int32_t unit = 0;
    if (end - p < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        const int digit = hex_digit(p[i]);
        if (digit < 0) {
            return -1;
        }
        unit = unit << 4 | digit;
    }
    return unit;
}

static uint8_t *utf8_put(uint8_t *at, uint32_t c)
{
    if (c < 0x80) {
        *at++ = (uint8_t)c;
        return at;
    }
    if (c < 0x800) {
        *at++ = (uint8_t)(0xc0 | c >> 6);
    } else {
        if (c < 0x10000) {
            *at++ = (uint8_t)(0xe0 | c >> 12);
        } else {
            *at++ = (uint8_t)(0xf0 | c >> 18);
            *at++ = (uint8_t)(0x80 | (c >> 12 & 0x3f));
        }
        *at++ = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    }
    *at++ = (uint8_t)(0x80 | (c & 0x3f));
    return at;
}

/* p is behind the "\u". */
static const uint8_t *unicode_escape(struct json_in *in, const uint8_t *p, uint8_t **to)
{
    enum { REPLACEMENT = 0xfffd };
    const int32_t unit = unit_at(p, in->end);
    if (unit < 0) {
        return json_in_unexpected(in, p, "\\u with four hex digits");
    }
    uint32_t c = (uint32_t)unit;
    p += 4;
    if (c >= 0xd800 && c < 0xdc00) {
        const bool pair = in->end - p >= 6 && p[0] == '\\' && p[1] == 'u';
        const int32_t low = pair ? unit_at(p + 2, in->end) : -1;
        if (low >= 0xdc00 && low < 0xe000) {
            c = 0x10000 + ((c - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
            p += 6;
        }
    }
    *to = utf8_put(*to, c >= 0xd800 && c < 0xe000 ? REPLACEMENT : c);
    return p;
}

/* p is at the backslash; there is room for ESCAPED_MAX bytes. */
static const uint8_t *escape(struct json_in *in, const uint8_t *p, uint8_t **to)
{
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    const char *found;
    if (in->end - p < 2) {
        return json_in_unexpected(in, in->end, "the rest of an escape");
    }
    if (p[1] == 'u') {
        return unicode_escape(in, p + 2, to);
    }
    found = p[1] ? strchr(from, p[1]) : NULL;
    if (!found) {
        return json_in_unexpected(in, p, "one of JSON's escapes");
    }
    *(*to)++ = (uint8_t)into[found - from];
    return p + 2;
}

/* Something that is not plain and no quote; there is room for ESCAPED_MAX bytes. */
static const uint8_t *character(struct json_in *in, const uint8_t *p, uint8_t **to)
{
    if (*p == '\\') {
        return escape(in, p, to);
    }
    if (*p < ' ') {
        return json_in_fail(in, p, SL_ERR_INVALID, "control character 0x%02x inside a string", *p);
    }
    const size_t left = (size_t)(in->end - p);
    const size_t length = otlp_utf8_length(p, left);
    if (length == 0) {
        return json_in_fail(in, p, SL_ERR_INVALID, "byte 0x%02x is not valid UTF-8", *p);
    }
    for (size_t i = 0; i < length; i++) {
        *(*to)++ = p[i];
    }
    return p + length;
}

const uint8_t *json_text(struct json_in *in, const uint8_t *p)
{
    const uint8_t *start = p;
    for (;;) {
        if (!json_in_reserve(in, BLOCK + ESCAPED_MAX)) {
            return NULL;
        }
        uint8_t *at = in->at + in->used;
        const uint8_t *room = in->at + in->capacity - BLOCK;
        p = plain_copy(p, in->end, &at, room);
        while (p < in->end && *p != '"' && at + ESCAPED_MAX <= room + BLOCK && !is_plain(*p)) {
            p = character(in, p, &at);
            if (!p) {
                return NULL;
            }
        }
        in->used = (size_t)(at - in->at);
        if (p == in->end) {
            return json_in_fail(in, start - 1, SL_ERR_INVALID, "this string does not end");
        }
        if (*p == '"') {
            return p + 1;
        }
    }
}

const uint8_t *json_quoted(struct json_in *in, const uint8_t *p, sl_bytes *text)
{
    const uint8_t *start = p;
    while (p < in->end && is_plain(*p)) {
        p++;
    }
    if (p < in->end && *p == '"') {
        *text = sl_slice(start, (size_t)(p - start));
        return p + 1;
    }
    const size_t used = in->used;
    p = json_text(in, start);
    *text = sl_slice(in->at + used, in->used - used);
    in->used = used;
    return p;
}

static const uint8_t *literal(struct json_in *in, const uint8_t *p, const char *word)
{
    const size_t n = strlen(word);
    if ((size_t)(in->end - p) < n || memcmp(p, word, n) != 0) {
        return json_in_unexpected(in, p, "a value");
    }
    return p + n;
}

const uint8_t *json_null(struct json_in *in, const uint8_t *p)
{
    return literal(in, p, "null");
}

static const uint8_t *text_skip(struct json_in *in, const uint8_t *p)
{
    const uint8_t *start = p;
    for (;;) {
        while (p < in->end && is_plain(*p)) {
            p++;
        }
        if (p == in->end) {
            return json_in_fail(in, start - 1, SL_ERR_INVALID, "this string does not end");
        }
        if (*p == '"') {
            return p + 1;
        }
        uint8_t sink[ESCAPED_MAX], *at = sink;
        p = character(in, p, &at);
        if (!p) {
            return NULL;
        }
    }
}

/* ---- what is not known ---- */

/* The arrays and objects that are open. */
struct nest {
    uint64_t objects[JSON_SKIP_DEPTH_MAX / 64]; /* a bit for each that is an object */
    size_t depth;
};

static bool in_object(const struct nest *nest)
{
    const size_t i = nest->depth - 1;
    return nest->objects[i / 64] >> (i % 64) & 1;
}

static const uint8_t *key_skip(struct json_in *in, const uint8_t *p)
{
    if (p == in->end || *p != '"') {
        return json_in_unexpected(in, p, "a key in quotes");
    }
    p = text_skip(in, p + 1);
    if (!p) {
        return NULL;
    }
    p = json_space(p, in->end);
    return p < in->end && *p == ':' ? p + 1 : json_in_unexpected(in, p, "a colon");
}

/* p is at the bracket; goes on to the first value, or behind an empty pair of brackets. */
static const uint8_t *nest_open(struct json_in *in, struct nest *nest, const uint8_t *p,
                                bool *empty)
{
    const bool object = *p == '{';
    if (nest->depth == JSON_SKIP_DEPTH_MAX) {
        return json_in_fail(in, p, SL_ERR_INVALID, "nested deeper than %d",
                            (int)JSON_SKIP_DEPTH_MAX);
    }
    p = json_space(p + 1, in->end);
    *empty = p < in->end && *p == (object ? '}' : ']');
    if (*empty) {
        return p + 1;
    }
    const size_t i = nest->depth++;
    const uint64_t bit = UINT64_C(1) << (i % 64);
    nest->objects[i / 64] = object ? nest->objects[i / 64] | bit : nest->objects[i / 64] & ~bit;
    return object ? key_skip(in, p) : p;
}

/* p is behind a value; goes on to the next one, or behind the outermost bracket. */
static const uint8_t *nest_next(struct json_in *in, struct nest *nest, const uint8_t *p)
{
    while (nest->depth > 0) {
        const bool object = in_object(nest);
        p = json_space(p, in->end);
        if (p < in->end && *p == ',') {
            p = json_space(p + 1, in->end);
            return object ? key_skip(in, p) : p;
        }
        if (p == in->end || *p != (object ? '}' : ']')) {
            return json_in_unexpected(in, p, object ? "a comma or }" : "a comma or ]");
        }
        nest->depth--;
        p++;
    }
    return p;
}

static const uint8_t *plain_skip(struct json_in *in, const uint8_t *p)
{
    struct decimal ignored;
    switch (*p) {
    case '"':
        return text_skip(in, p + 1);
    case 't':
        return literal(in, p, "true");
    case 'f':
        return literal(in, p, "false");
    case 'n':
        return json_null(in, p);
    default: {
        const uint8_t *next = decimal_scan(p, in->end, &ignored);
        return next ? next : json_in_unexpected(in, p, "a value");
    }
    }
}

const uint8_t *json_skip(struct json_in *in, const uint8_t *p)
{
    struct nest nest = {.depth = 0};
    do {
        bool opened = false;
        p = json_space(p, in->end);
        if (p == in->end) {
            return json_in_unexpected(in, p, "a value");
        }
        if (*p == '{' || *p == '[') {
            bool empty = false;
            p = nest_open(in, &nest, p, &empty);
            opened = !empty;
        } else {
            p = plain_skip(in, p);
        }
        if (p && !opened) {
            p = nest_next(in, &nest, p);
        }
    } while (p && nest.depth > 0);
    return p;
}
