/* See text.h. */
#include "exporters/debug/text.h"
#include "formats/otlp/json_text.h"

#include <time.h>

enum { PIECE = 512 };

static void put(struct text *t, const void *at, size_t n)
{
    const uint8_t *p = at;
    while (n > 0) {
        const size_t part = n < PIECE ? n : PIECE;
        memcpy(json_out_reserve(&t->out, part), p, part);
        json_out_commit(&t->out, part);
        p += part;
        n -= part;
    }
}

static void put_text(struct text *t, const char *text)
{
    put(t, text, strlen(text));
}

void text_format(struct text *t, const char *format, ...)
{
    char piece[PIECE];
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(piece, sizeof piece, format, args);
    va_end(args);
    if (n > 0)
        put(t, piece, (size_t)n < sizeof piece ? (size_t)n : sizeof piece - 1);
}

/* Length of the control character at p (C0, DEL, and C1 in UTF-8); 0: there is none. */
static size_t control_at(const uint8_t *p, const uint8_t *end)
{
    if (*p < 0x20 || *p == 0x7f)
        return 1;
    return *p == 0xc2 && end - p > 1 && p[1] >= 0x80 && p[1] <= 0x9f ? 2 : 0;
}

void text_safe(struct text *t, sl_bytes text)
{
    const uint8_t *p = text.p, *end = text.n ? text.p + text.n : text.p, *plain = p;
    while (p < end) {
        const size_t n = control_at(p, end);
        if (n == 0) {
            p++;
            continue;
        }
        put(t, plain, (size_t)(p - plain));
        if (*p == '\n')
            put_text(t, "\\n");
        else if (*p == '\t')
            put_text(t, "\\t");
        else if (*p == '\r')
            put_text(t, "\\r");
        else
            text_format(t, "\\u%04x", n == 1 ? p[0] : p[1]);
        p += n;
        plain = p;
    }
    put(t, plain, (size_t)(p - plain));
}

void text_hex(struct text *t, const uint8_t *id, size_t n)
{
    bool any = false;
    for (size_t i = 0; i < n; i++)
        any = any || id[i];
    for (size_t i = 0; any && i < n; i++)
        text_format(t, "%02x", id[i]);
}

/* "2006-01-02 15:04:05.000000001 +0000 UTC", without zeros at the fraction's end. */
void text_time(struct text *t, uint64_t ns)
{
    const uint64_t per_second = 1000000000;
    const time_t seconds = (time_t)(ns / per_second);
    char date[32], fraction[16] = "";
    struct tm tm;
    if (!gmtime_r(&seconds, &tm) || !strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", &tm))
        return;
    if (ns % per_second) {
        (void)snprintf(fraction, sizeof fraction, ".%09u", (unsigned)(ns % per_second));
        for (size_t n = strlen(fraction); fraction[n - 1] == '0'; n--)
            fraction[n - 1] = '\0';
    }
    text_format(t, "%s%s +0000 UTC", date, fraction);
}

void text_double(struct text *t, double value)
{
    if (value - value != 0) { /* not finite */
        put_text(t, value != value ? "NaN" : value > 0 ? "+Inf" : "-Inf");
        return;
    }
    json_out_commit(&t->out,
                    decimal_double(t->powers, value, json_out_reserve(&t->out, DECIMAL_MAX)));
}

/* A value inside a list or map, as JSON. */
static void put_element(struct text *t, const sl_value *v)
{
    switch (v->type) {
    case SL_VALUE_TEXT:
        json_text_string(&t->out, v->bytes.p, v->bytes.n);
        break;
    case SL_VALUE_BYTES:
        json_text_base64(&t->out, v->bytes.p, v->bytes.n);
        break;
    case SL_VALUE_EMPTY:
        put_text(t, "null");
        break;
    default:
        text_value(t, v);
    }
}

static void put_nested(struct text *t, const sl_value *v)
{
    sl_value_walk walk;
    bool is_map[SL_VALUE_DEPTH_MAX + 1];
    int32_t step, before = SL_WALK_OPEN;
    sl_value_walk_begin(&walk, v);
    while ((step = sl_value_walk_next(&walk)) > 0) {
        if (step == SL_WALK_CLOSE) {
            put_text(t, is_map[walk.depth] ? "}" : "]");
        } else {
            if (before != SL_WALK_OPEN)
                put_text(t, ",");
            if (walk.depth > 1 && is_map[walk.depth - 1]) {
                json_text_string(&t->out, walk.key.p, walk.key.n);
                put_text(t, ":");
            }
            if (step == SL_WALK_OPEN) {
                is_map[walk.depth] = walk.value.type == SL_VALUE_MAP;
                put_text(t, is_map[walk.depth] ? "{" : "[");
            } else {
                put_element(t, &walk.value);
            }
        }
        before = step;
    }
}

void text_value(struct text *t, const sl_value *v)
{
    switch (v->type) {
    case SL_VALUE_TEXT:
        text_safe(t, v->bytes);
        break;
    case SL_VALUE_BOOL:
        put_text(t, v->number.u ? "true" : "false");
        break;
    case SL_VALUE_INT:
        text_format(t, "%lld", (long long)v->number.i);
        break;
    case SL_VALUE_DOUBLE:
        text_double(t, v->number.f);
        break;
    case SL_VALUE_BYTES:
        json_text_base64(&t->out, v->bytes.p, v->bytes.n);
        break;
    case SL_VALUE_LIST:
    case SL_VALUE_MAP:
        put_nested(t, v);
        break;
    default:
        break;
    }
}

void text_typed_value(struct text *t, const sl_value *v)
{
    static const char *const types[] = {"Empty",  "Str",   "Bool", "Int",
                                        "Double", "Slice", "Map",  "Bytes"};
    text_format(t, "%s(", types[v->type & 7]);
    text_value(t, v);
    put_text(t, ")");
}
