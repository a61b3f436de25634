/* The spans of the kill tests, see span.h. */
#include "tests/e2e/kill/span.h"

enum { IDS = 28 /* trace id and span id with their tags and lengths */, LONG_ONE_IN = 64 };

static const char name[] = "acknowledged";
static const char key[] = "text";

uint64_t span_mix(uint64_t n) /* splitmix64 */
{
    n += 0x9e3779b97f4a7c15;
    n = (n ^ (n >> 30)) * 0xbf58476d1ce4e5b9;
    n = (n ^ (n >> 27)) * 0x94d049bb133111eb;
    return n ^ (n >> 31);
}

static uint8_t *put_varint(uint8_t *p, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        *p++ = (uint8_t)(v | 0x80);
    *p++ = (uint8_t)v;
    return p;
}

static uint8_t *put(uint8_t *p, uint32_t field, const void *bytes, size_t n)
{
    p = put_varint(p, field << 3 | 2);
    p = put_varint(p, n);
    memcpy(p, bytes, n);
    return p + n;
}

static uint8_t *put_fixed64(uint8_t *p, uint32_t field, uint64_t v)
{
    p = put_varint(p, field << 3 | 1);
    memcpy(p, &v, sizeof v);
    return p + sizeof v;
}

/* Mostly short, so that requests are cheap; now and then long, so that records and segments do not
 * all end in the same places. */
static size_t text_length(uint64_t number)
{
    const uint64_t random = span_mix(number ^ 0x7465787420697321);
    return (size_t)(random >> 8) % (random % LONG_ONE_IN == 0 ? 8192 : 160);
}

static size_t put_text(uint64_t number, char *out)
{
    const size_t n = text_length(number);
    uint64_t random = 0;
    for (size_t i = 0; i < n; i++) {
        if (i % 8 == 0)
            random = span_mix(number + i);
        out[i] = (char)('a' + (random >> (8 * (i % 8)) & 15));
    }
    return n;
}

size_t span_encode(uint64_t number, uint8_t out[SPAN_MAX])
{
    const uint64_t trace[2] = {span_mix(number), span_mix(~number)};
    char text[8192];
    uint8_t value[SPAN_MAX - 256], attribute[SPAN_MAX - 128];
    const size_t value_n =
        (size_t)(put(value, 1, text, put_text(number, text)) - value); /* AnyValue.string_value */
    uint8_t *p = put(put(attribute, 1, key, sizeof key - 1), 2, value, value_n);
    const size_t attribute_n = (size_t)(p - attribute);
    p = put(out, 1, trace, sizeof trace);
    p = put(p, 2, &number, sizeof number);
    p = put(p, 5, name, sizeof name - 1);
    p = put_fixed64(p, 7, UINT64_C(1700000000000000000) + number);
    p = put_fixed64(p, 8, UINT64_C(1700000000000001000) + number);
    p = put(p, 9, attribute, attribute_n);
    return (size_t)(p - out);
}

bool span_number(sl_bytes span, uint64_t *number)
{
    static const uint8_t trace_id[2] = {1 << 3 | 2, 16}, span_id[2] = {2 << 3 | 2, 8};
    if (span.n < IDS || memcmp(span.p, trace_id, 2) != 0 || memcmp(span.p + 18, span_id, 2) != 0)
        return false;
    memcpy(number, span.p + 20, sizeof *number);
    return true;
}

size_t span_request(uint64_t first, uint32_t n, uint8_t *out)
{
    /* The messages around the spans have lengths that are known only afterwards: each has room for
     * five bytes, the longest that protobuf allows for a length of this size, written in full. */
    static const uint8_t resource[] = {1 << 3 | 2, 0};
    enum { LENGTH = 5 };
    uint8_t *p = out, *ends[2];
    *p++ = 1 << 3 | 2; /* resource_spans */
    ends[0] = p += LENGTH;
    memcpy(p, resource, sizeof resource);
    p += sizeof resource;
    *p++ = 2 << 3 | 2; /* scope_spans */
    ends[1] = p += LENGTH;
    for (uint32_t i = 0; i < n; i++) {
        uint8_t span[SPAN_MAX];
        p = put(p, 2, span, span_encode(first + i, span));
    }
    for (int i = 0; i < 2; i++) {
        uint64_t length = (uint64_t)(p - ends[i]);
        for (int k = LENGTH; k > 0; k--, length >>= 7)
            ends[i][-k] = (uint8_t)((length & 0x7f) | (k > 1 ? 0x80 : 0));
    }
    return (size_t)(p - out);
}
