/* The thorough check: walks a request message by message with a stack of its own, and finds the
 * words for what is wrong. Spans, points and log records go to the quick check first, so that this
 * walk sees the envelopes, and the rare records that the quick check cannot decide. */
#include "formats/otlp/check.h"
#include "formats/otlp/check_fast.h"
#include "formats/otlp/utf8.h"
#include <inttypes.h>

enum {
    /* From the request down to the value of an exemplar's attribute: data, resource, scope, metric,
     * sum, point, exemplar, attribute. Then up to three messages for each level of a value. */
    FRAMES = 8 + 3 * SL_VALUE_DEPTH_MAX,
    FIELD_NUMBER_MAX = (1 << 29) - 1
};

struct frame {
    const uint8_t *tag; /* where the message's field begins in the enclosing message */
    const uint8_t *start, *end;
    uint32_t number; /* of that field */
    uint8_t type;    /* enum otlp_type */
    uint8_t data;    /* of a metric: the number of its kind of data, once seen */
};

struct walk {
    const uint8_t *bytes, *end;
    uint32_t max_depth;
    uint32_t n; /* frames in use */
    sl_error *error;
    struct frame frames[FRAMES];
};

/* ---- saying what is wrong ---- */

struct text {
    char at[400];
    size_t used;
};

static void add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(t->at + t->used, sizeof t->at - t->used, format, args);
    va_end(args);
    if (n > 0) {
        const size_t wanted = t->used + (size_t)n;
        t->used = wanted < sizeof t->at ? wanted : sizeof t->at - 1;
    }
}

/* Adds ".field" or ".field[3]": counts the fields of the same number before this one. */
static void add_field(struct text *t, const struct frame *in, const uint8_t *tag, uint32_t number)
{
    const char *name = otlp_field_name((enum otlp_type)in->type, number);
    const char *dot = t->used ? "." : "";
    if (!name) {
        add(t, "%sfield %" PRIu32, dot, number);
        return;
    }
    add(t, "%s%s", dot, name);
    if (otlp_layout[in->type][number].flags & OTLP_REPEATED) {
        uint32_t before = 0;
        sl_wire wire = sl_wire_of(sl_slice(in->start, (size_t)(tag - in->start)));
        while (sl_wire_next(&wire)) {
            before += wire.number == number;
        }
        add(t, "[%" PRIu32 "]", before);
    }
}

/* The field that begins at `tag` in the innermost message is at fault; `number` 0: not known. */
static int32_t fault(const struct walk *w, const uint8_t *tag, uint32_t number, const char *format,
                     ...) __attribute__((format(printf, 4, 5)));
static int32_t fault(const struct walk *w, const uint8_t *tag, uint32_t number, const char *format,
                     ...)
{
    struct text path = {.used = 0}, what = {.used = 0};
    va_list args;
    for (uint32_t i = 1; i < w->n && path.used < 200; i++) {
        add_field(&path, &w->frames[i - 1], w->frames[i].tag, w->frames[i].number);
    }
    if (number > 0) {
        add_field(&path, &w->frames[w->n - 1], tag, number);
    }
    va_start(args, format);
    vsnprintf(what.at, sizeof what.at, format, args);
    va_end(args);
    return sl_fail(w->error, SL_ERR_INVALID, "%.200s%s%s (offset %zu)", path.at,
                   path.used ? ": " : "", what.at, (size_t)(tag - w->bytes));
}

/* ---- walking ---- */

/* Returns what follows, or NULL: cut off, or longer than ten bytes. */
static const uint8_t *varint(const uint8_t *p, const uint8_t *end, uint64_t *value)
{
    if (p < end && *p < 0x80) {
        *value = *p;
        return p + 1;
    }
    return sl_get_varint(p, end, value);
}

static int32_t bad_varint(const struct walk *w, const uint8_t *tag, uint32_t number,
                          const uint8_t *p, const uint8_t *end)
{
    return end - p >= SL_VARINT_MAX ? fault(w, tag, number, "a number of more than ten bytes")
                                    : fault(w, tag, number, "the message ends inside a number");
}

static int32_t check_packed(const struct walk *w, const uint8_t *tag, uint32_t number,
                            const uint8_t *p, uint64_t n, uint8_t kind)
{
    const uint8_t *end = p + n;
    if (kind == OTLP_PACKED_FIXED64) {
        return n % 8 == 0 ? SL_OK
                          : fault(w, tag, number, "%" PRIu64 " bytes, must be a multiple of 8", n);
    }
    while (p < end) {
        uint64_t value;
        const uint8_t *next = varint(p, end, &value);
        if (!next) {
            return bad_varint(w, tag, number, p, end);
        }
        p = next;
    }
    return SL_OK;
}

static int32_t check_id(const struct walk *w, const uint8_t *tag, uint32_t number, uint64_t n,
                        uint64_t wanted)
{
    return n == 0 || n == wanted
               ? SL_OK
               : fault(w, tag, number, "%" PRIu64 " bytes, must be 0 or %" PRIu64, n, wanted);
}

static int32_t check_text(const struct walk *w, const uint8_t *tag, uint32_t number,
                          const uint8_t *p, uint64_t n)
{
    const size_t valid = otlp_utf8_valid(p, (size_t)n);
    return valid == n ? SL_OK
                      : fault(w, tag, number, "not UTF-8 at byte %zu of %" PRIu64, valid, n);
}

/* A message inside the innermost one, `bytes` long at p. */
static int32_t enter(struct walk *w, const struct otlp_field *field, const uint8_t *tag,
                     uint32_t number, const uint8_t *p, uint64_t bytes, uint32_t *depth)
{
    struct frame *in = &w->frames[w->n - 1];
    if (field->message == OTLP_ANY_VALUE && ++*depth > w->max_depth) {
        return fault(w, tag, number, "values nested deeper than %" PRIu32, w->max_depth);
    }
    if (field->flags & OTLP_DATA) {
        if (in->data && in->data != number) {
            return fault(w, tag, number, "a metric cannot also have %s",
                         otlp_field_name((enum otlp_type)in->type, in->data));
        }
        in->data = (uint8_t)number;
    }
    if (w->n == FRAMES) {
        return fault(w, tag, number, "nested too deep");
    }
    w->frames[w->n++] = (struct frame){
        .tag = tag, .start = p, .end = p + bytes, .number = number, .type = field->message};
    return SL_OK;
}

static int32_t walk(struct walk *w, struct otlp_checked *result)
{
    uint32_t depth = 0; /* of values */
    const uint8_t *p = w->frames[0].start;
    while (w->n > 0) {
        const struct frame *in = &w->frames[w->n - 1];
        const uint8_t *const end = in->end;
        if (p == end) {
            depth -= in->type == OTLP_ANY_VALUE;
            w->n--;
            continue;
        }
        const uint8_t *const tag = p;
        uint64_t key, value = 0;
        p = varint(p, end, &key);
        if (!p) {
            return bad_varint(w, tag, 0, tag, end);
        }
        const uint64_t number64 = key >> 3;
        if (number64 == 0 || number64 > FIELD_NUMBER_MAX) {
            return fault(w, tag, 0, "field number %" PRIu64, number64);
        }
        const uint32_t number = (uint32_t)number64, wire = key & 7;
        static const struct otlp_field unknown = {.kind = OTLP_UNKNOWN};
        const struct otlp_field *field =
            number < OTLP_FIELD_NUMBERS ? &otlp_layout[in->type][number] : &unknown;
        const bool is_packed = field->kind >= OTLP_PACKED_VARINT && wire == SL_BYTES;
        if (field->kind != OTLP_UNKNOWN && field->wire != wire && !is_packed) {
            return fault(w, tag, number, "wire type %" PRIu32 ", must be %u", wire, field->wire);
        }
        const uint8_t *const at = p;
        switch (wire) {
        case SL_VARINT:
        case SL_BYTES:
            p = varint(p, end, &value);
            if (!p) {
                return bad_varint(w, tag, number, at, end);
            }
            break;
        case SL_FIXED64:
            value = 8;
            break;
        case SL_FIXED32:
            value = 4;
            break;
        default:
            return fault(w, tag, number, "wire type %" PRIu32 "%s", wire,
                         wire == 3 || wire == 4 ? ": groups are not part of OTLP" : "");
        }
        if (wire == SL_VARINT) {
            continue;
        }
        if (value > (uint64_t)(end - p)) {
            return fault(w, tag, number, "%" PRIu64 " bytes, but the message has only %zu left",
                         value, (size_t)(end - p));
        }
        int32_t status = SL_OK;
        switch (field->kind) {
        case OTLP_TEXT:
            status = check_text(w, tag, number, p, value);
            break;
        case OTLP_ID8:
            status = check_id(w, tag, number, value, 8);
            break;
        case OTLP_ID16:
            status = check_id(w, tag, number, value, 16);
            break;
        case OTLP_PACKED_VARINT:
        case OTLP_PACKED_FIXED64:
            if (is_packed) {
                status = check_packed(w, tag, number, p, value, field->kind);
            }
            break;
        case OTLP_MESSAGE:
            if (field->flags & OTLP_UNIT) {
                struct otlp_run run;
                const uint8_t *next = otlp_check_run((enum otlp_type)field->message, tag, end,
                                                     w->end, w->max_depth, &run);
                result->items += (field->flags & OTLP_ITEM ? run.records : 0) + run.points;
                if (next != tag) {
                    p = next;
                    value = 0;
                    break;
                }
            }
            result->records += w->n == 1;
            result->items += (field->flags & OTLP_ITEM) != 0;
            status = enter(w, field, tag, number, p, value, &depth);
            value = 0;
            break;
        default:
            break;
        }
        if (status != SL_OK) {
            return status;
        }
        p += value;
    }
    return SL_OK;
}

int32_t otlp_check(uint32_t signal, const uint8_t *bytes, size_t n,
                   const struct otlp_limits *limits, struct otlp_checked *result, sl_error *error)
{
    uint32_t depth = limits ? limits->max_depth : 0;
    if (depth == 0) {
        depth = OTLP_DEPTH_DEFAULT;
    } else if (depth > SL_VALUE_DEPTH_MAX) {
        depth = SL_VALUE_DEPTH_MAX;
    }
    enum otlp_type type;
    switch (signal) {
    case SL_TRACES:
        type = OTLP_TRACES_DATA;
        break;
    case SL_METRICS:
        type = OTLP_METRICS_DATA;
        break;
    case SL_LOGS:
        type = OTLP_LOGS_DATA;
        break;
    default:
        return sl_fail(error, SL_ERR_UNSUPPORTED,
                       "signal %" PRIu32 " cannot be checked: only traces, metrics and logs can",
                       signal);
    }
    if (n > UINT32_MAX) { /* so that no count overflows */
        return sl_fail(error, SL_ERR_TOO_LARGE, "a request of %zu bytes; the limit is 4 GiB", n);
    }
    struct otlp_checked counted = {.items = 0, .records = 0};
    if (n == 0) {
        *result = counted;
        return SL_OK;
    }
    struct walk w;
    w.bytes = bytes;
    w.end = bytes + n;
    w.max_depth = depth;
    w.error = error;
    w.n = 1;
    w.frames[0] = (struct frame){.start = bytes, .end = bytes + n, .type = (uint8_t)type};
    const int32_t status = walk(&w, &counted);
    if (status == SL_OK) {
        *result = counted;
    }
    return status;
}
