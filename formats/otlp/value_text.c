/* See value_text.h. */
#include "formats/otlp/value_text.h"
#include "formats/otlp/json_text.h"

#include <math.h>
#include <stdlib.h>

enum { NUMBER_MAX = 400 /* bytes of a text that is read as a number */ };

static const uint64_t TEXT_MAX = UINT64_C(64) << 20;

static size_t double_text(const struct decimal_powers *powers, double value, char *at, size_t room)
{
    if (isfinite(value)) {
        return decimal_double(powers, value, (uint8_t *)at);
    }
    return (size_t)snprintf(at, room, "json: unsupported value: %s",
                            isnan(value) ? "NaN"
                            : value > 0  ? "+Inf"
                                         : "-Inf");
}

static void put(struct json_out *out, const char *text, size_t n)
{
    memcpy(json_out_reserve(out, n), text, n);
    json_out_commit(out, n);
}

static void put_plain(const struct decimal_powers *powers, struct json_out *out, const sl_value *v)
{
    uint8_t *at;
    switch (v->type) {
    case SL_VALUE_TEXT:
        json_text_string(out, v->bytes.p, v->bytes.n);
        break;
    case SL_VALUE_BYTES:
        json_text_base64(out, v->bytes.p, v->bytes.n);
        break;
    case SL_VALUE_BOOL:
        put(out, v->number.u ? "true" : "false", v->number.u ? 4 : 5);
        break;
    case SL_VALUE_INT:
        at = json_out_reserve(out, DECIMAL_MAX);
        json_out_commit(out, decimal_i64(v->number.i, at));
        break;
    case SL_VALUE_DOUBLE:
        if (isfinite(v->number.f)) {
            at = json_out_reserve(out, DECIMAL_MAX);
            json_out_commit(out, decimal_double(powers, v->number.f, at));
            break;
        }
        put(out, "null", 4); /* JSON has no such numbers */
        break;
    default:
        put(out, "null", 4);
        break;
    }
}

/* Lists and maps. The walk gives a map's entries with their keys. */
static void put_nested(const struct decimal_powers *powers, struct json_out *out, const sl_value *v)
{
    bool first = true;
    bool map[SL_VALUE_DEPTH_MAX + 1];
    int32_t step;
    sl_value_walk walk;
    sl_value_walk_begin(&walk, v);
    while ((step = sl_value_walk_next(&walk)) > 0) {
        if (step == SL_WALK_CLOSE) {
            put(out, map[walk.depth] ? "}" : "]", 1);
            first = false;
            continue;
        }
        if (!first) {
            put(out, ",", 1);
        }
        if (walk.depth > 1 && map[walk.depth - 1]) {
            json_text_string(out, walk.key.p, walk.key.n);
            put(out, ":", 1);
        }
        first = step == SL_WALK_OPEN;
        if (step == SL_WALK_VALUE) {
            put_plain(powers, out, &walk.value);
            continue;
        }
        map[walk.depth] = walk.value.type == SL_VALUE_MAP;
        put(out, map[walk.depth] ? "{" : "[", 1);
    }
}

static sl_bytes keep(struct otlp_scratch *scratch, const void *text, size_t n)
{
    uint8_t *at = otlp_scratch_room(scratch, n + 1);
    if (!at) {
        return sl_slice(NULL, 0);
    }
    sl_put_slice(at, sl_slice(text, n));
    otlp_scratch_take(scratch, n);
    return sl_slice(at, n);
}

sl_bytes otlp_value_text(const struct decimal_powers *powers, const sl_value *value,
                         struct otlp_scratch *scratch)
{
    char number[DECIMAL_MAX + 32];
    struct json_out out;
    switch (value->type) {
    case SL_VALUE_EMPTY:
        return sl_str("");
    case SL_VALUE_TEXT:
        return value->bytes.p ? value->bytes : sl_str("");
    case SL_VALUE_BOOL:
        return sl_str(value->number.u ? "true" : "false");
    case SL_VALUE_INT:
        return keep(scratch, number, decimal_i64(value->number.i, (uint8_t *)number));
    case SL_VALUE_DOUBLE:
        return keep(scratch, number, double_text(powers, value->number.f, number, sizeof number));
    default:
        break;
    }
    if (json_out_init(&out, TEXT_MAX, NULL, NULL) != SL_OK) {
        return sl_slice(NULL, 0);
    }
    if (value->type == SL_VALUE_BYTES) {
        json_text_base64(&out, value->bytes.p, value->bytes.n);
    } else {
        put_nested(powers, &out, value);
    }
    sl_bytes text = sl_slice(NULL, 0);
    if (json_out_finish(&out) == SL_OK) {
        /* base64 stands in quotes inside JSON, and without them as a value of its own */
        const size_t quote = value->type == SL_VALUE_BYTES;
        text = keep(scratch, out.at + quote, out.used - 2 * quote);
    }
    json_out_deinit(&out);
    return text;
}

/* Go's ParseInt and ParseFloat take a plus sign, which JSON's grammar does not know. */
static const uint8_t *skip_sign(sl_bytes text, bool *negative)
{
    *negative = text.n > 0 && text.p[0] == '-';
    return text.p + (text.n > 0 && (text.p[0] == '-' || text.p[0] == '+'));
}

bool otlp_text_int(sl_bytes text, int64_t *value)
{
    bool negative;
    uint64_t n = 0;
    const uint8_t *p = skip_sign(text, &negative), *end = text.p + text.n;
    if (p == end) {
        return false;
    }
    for (; p < end; p++) {
        if (*p < '0' || *p > '9' || __builtin_mul_overflow(n, UINT64_C(10), &n) ||
            __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n)) {
            return false;
        }
    }
    if (n > (uint64_t)INT64_MAX + negative) {
        return false;
    }
    *value = negative ? (int64_t)(0 - n) : (int64_t)n;
    return true;
}

bool otlp_text_double(sl_bytes text, double *value)
{
    char copy[NUMBER_MAX + 1], *end;
    if (text.n == 0 || text.n > NUMBER_MAX || memchr(text.p, 0, text.n) ||
        !strchr("+-.0123456789iInN", text.p[0])) {
        return false;
    }
    memcpy(copy, text.p, text.n);
    copy[text.n] = 0;
    /* the process never leaves the C locale, in which the point is a point */
    *value = strtod(copy, &end);
    const bool written = isfinite(*value) || !strpbrk(copy, "0123456789");
    return *end == 0 && written;
}
