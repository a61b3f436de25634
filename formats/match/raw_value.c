/* See raw_value.h. */
#include "formats/match/raw_value.h"
#include "formats/otlp/value_text.h"

#include <math.h>
#include <stdlib.h>

enum { RAW_NULL, RAW_SCALAR, RAW_LIST, RAW_MAP }; /* sl_raw.kind */

enum { DEPTH_MAX = 32, SIZE_MAX_ = 1 << 20 };

static bool is_one_of(sl_bytes text, const char *const *names)
{
    for (; *names; names++) {
        if (sl_eq(text, sl_str(*names))) {
            return true;
        }
    }
    return false;
}

bool raw_has_value(const sl_raw *raw)
{
    static const char *const none[] = {"", "~", "null", "Null", "NULL", NULL};
    return raw && raw->kind != RAW_NULL &&
           !(raw->kind == RAW_SCALAR && !raw->quoted && is_one_of(raw->text, none));
}

/* Decimal, 0x, 0o and 0b, as YAML 1.2's core schema and Go have them. */
static bool whole(sl_bytes text, int64_t *value)
{
    char copy[72], *end;
    if (otlp_text_int(text, value)) {
        return text.n < 2 || text.p[0] != '0'; /* 007 is a text */
    }
    if (text.n < 3 || text.n >= sizeof copy || text.p[0] != '0' || !strchr("xob", text.p[1]) ||
        text.p[2] == '-' || text.p[2] == '+') {
        return false;
    }
    memcpy(copy, text.p, text.n);
    copy[text.n] = 0;
    *value = strtoll(copy + 2, &end, text.p[1] == 'x' ? 16 : text.p[1] == 'o' ? 8 : 2);
    return *end == 0;
}

static bool fraction(sl_bytes text, double *value)
{
    static const char *const infinite[] = {".inf", ".Inf", ".INF", "+.inf", NULL};
    static const char *const negative[] = {"-.inf", "-.Inf", "-.INF", NULL};
    static const char *const none[] = {".nan", ".NaN", ".NAN", NULL};
    if (is_one_of(text, infinite) || is_one_of(text, negative)) {
        *value = text.p[0] == '-' ? -(double)INFINITY : (double)INFINITY;
        return true;
    }
    if (is_one_of(text, none)) {
        *value = (double)NAN;
        return true;
    }
    for (size_t i = 0; i < text.n; i++) {
        if (!strchr("+-.0123456789eE", text.p[i])) {
            return false;
        }
    }
    return otlp_text_double(text, value);
}

static void write_scalar(sl_writer *w, uint32_t field, const sl_raw *raw)
{
    static const char *const yes[] = {"true", "True", "TRUE", NULL};
    static const char *const no[] = {"false", "False", "FALSE", NULL};
    int64_t i;
    double f;
    if (raw->quoted) {
        sl_write_value_text(w, field, raw->text);
    } else if (!raw_has_value(raw)) {
        sl_write_bytes(w, field, sl_slice(NULL, 0));
    } else if (is_one_of(raw->text, yes) || is_one_of(raw->text, no)) {
        sl_write_value_bool(w, field, is_one_of(raw->text, yes));
    } else if (whole(raw->text, &i)) {
        sl_write_value_int(w, field, i);
    } else if (fraction(raw->text, &f)) {
        sl_write_value_double(w, field, f);
    } else {
        sl_write_value_text(w, field, raw->text);
    }
}

/* The value as field `field` of what is around it. The depth was checked. */
static void write_value(sl_writer *w, uint32_t field, const sl_raw *raw)
{
    struct {
        const sl_raw *raw;
        uint32_t next;
        size_t any, list, pair;
    } stack[DEPTH_MAX + 1];
    uint32_t depth = 0;
    for (;;) {
        if (raw->kind == RAW_LIST || raw->kind == RAW_MAP) {
            stack[depth].raw = raw;
            stack[depth].next = 0;
            stack[depth].any = sl_write_begin(w, field);
            stack[depth].list =
                sl_write_begin(w, raw->kind == RAW_LIST ? SL_VALUE_LIST : SL_VALUE_MAP);
            stack[depth].pair = 0;
            depth++;
        } else {
            write_scalar(w, field, raw);
        }
        for (;;) {
            if (depth == 0) {
                return;
            }
            if (stack[depth - 1].pair) {
                sl_write_end(w, stack[depth - 1].pair);
                stack[depth - 1].pair = 0;
            }
            if (stack[depth - 1].next < stack[depth - 1].raw->n) {
                break;
            }
            depth--;
            sl_write_end(w, stack[depth].list);
            sl_write_end(w, stack[depth].any);
        }
        raw = &stack[depth - 1].raw->children[stack[depth - 1].next++];
        field = 1;
        if (stack[depth - 1].raw->kind == RAW_MAP) {
            stack[depth - 1].pair = sl_write_begin(w, 1);
            sl_write_bytes(w, 1, raw->key);
            field = 2;
        }
    }
}

/* Levels of lists and maps, at most DEPTH_MAX + 1. */
static uint32_t depth_of(const sl_raw *raw, uint32_t level)
{
    uint32_t deepest = level;
    for (uint32_t i = 0; level <= DEPTH_MAX && i < raw->n; i++) {
        const uint32_t depth = depth_of(&raw->children[i], level + 1);
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest;
}

static bool grow(sl_writer *w, size_t more)
{
    const size_t room = (w->room + more) * 2;
    uint8_t *at = room <= SIZE_MAX_ ? realloc(w->at, room) : NULL;
    if (!at) {
        return false;
    }
    w->at = at;
    w->room = room;
    return true;
}

int32_t raw_value(const sl_raw *raw, struct otlp_scratch *scratch, sl_bytes *any, sl_error *error)
{
    if (depth_of(raw, 0) > DEPTH_MAX) {
        return sl_fail(error, SL_ERR_INVALID, "line %u: a value nested deeper than %d", raw->line,
                       DEPTH_MAX);
    }
    sl_writer w = sl_writer_growing(grow, NULL);
    write_value(&w, 1, raw);
    const sl_bytes value = sl_message_bytes(sl_written(&w), 1);
    uint8_t *at = w.failed ? NULL : otlp_scratch_room(scratch, value.n + 1);
    if (at) {
        sl_put_slice(at, value);
        otlp_scratch_take(scratch, value.n + 1);
        *any = sl_slice(at, value.n);
    }
    free(w.at);
    return at ? SL_OK : sl_fail(error, SL_ERR_NOMEM, "no memory for a value of the config");
}
