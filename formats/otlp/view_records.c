/* Fills the view's records from their messages. Pure functions, any thread. */
#include "formats/otlp/view_entries.h"

/* A stretch of a record that holds all occurrences of a field. */
static void stretch(uint32_t *at, uint32_t *end, sl_bytes record, const uint8_t *from,
                    const uint8_t *to)
{
    if (*at == *end) {
        *at = (uint32_t)(from - record.p);
    }
    *end = (uint32_t)(to - record.p);
}

static uint8_t small_enum(uint64_t value)
{
    return value < 255 ? (uint8_t)value : 255;
}

static void id(uint8_t *to, size_t size, sl_bytes from)
{
    if (from.n == size) {
        memcpy(to, from.p, size);
    } else {
        memset(to, 0, size);
    }
}

static bool read_status(sl_bytes status, sl_span *span)
{
    sl_wire w = sl_wire_of(status);
    while (sl_wire_next(&w)) {
        if (w.number == 3 && w.type == SL_VARINT) {
            span->status = small_enum(w.value);
        }
    }
    return w.p == w.end;
}

/* Steps over fields with the one-byte tag that follow one another from p on, all with one-byte
 * lengths; stops before anything else. Attributes are most of the fields. */
static const uint8_t *skip_short(const uint8_t *p, const uint8_t *end, uint8_t tag)
{
    while (end - p >= 2 && p[0] == tag && p[1] < 0x80 && end - p >= 2 + p[1]) {
        p += 2 + p[1];
    }
    return p;
}

enum { TAG_SPAN_ATTRIBUTES = 0x4a, TAG_LOG_ATTRIBUTES = 0x32 };

/* Reads what nearly every span begins with, in this order: ids, name, kind, times. Returns what
 * follows; stops at whatever else. */
static const uint8_t *read_span_head(sl_span *s, const uint8_t *p, const uint8_t *end)
{
    if (end - p < 64) {
        return p;
    }
    if (p[0] == 0x0a && p[1] == 16) {
        memcpy(s->trace_id, p + 2, 16);
        p += 18;
    }
    if (p[0] == 0x12 && p[1] == 8) {
        memcpy(s->span_id, p + 2, 8);
        p += 10;
    }
    if (p[0] == 0x1a && p[1] < 0x80 && end - p >= 2 + p[1] + 36) {
        s->trace_state = sl_slice(p + 2, p[1]);
        p += 2 + p[1];
    }
    if (p[0] == 0x22 && p[1] == 8) {
        memcpy(s->parent_id, p + 2, 8);
        p += 10;
    }
    if (p[0] == 0x2a && p[1] < 0x80 && end - p >= 2 + p[1] + 20) {
        s->name = sl_slice(p + 2, p[1]);
        p += 2 + p[1];
        if (p[0] == 0x30 && p[1] < 0x80) {
            s->kind = p[1];
            p += 2;
        }
        if (p[0] == 0x39 && p[9] == 0x41) {
            s->start_ns = sl_get_fixed64(p + 1);
            s->end_ns = sl_get_fixed64(p + 10);
            p += 18;
        }
    }
    return p;
}

bool otlp_read_span(sl_bytes record, sl_span *s)
{
    memset(s, 0, sizeof *s);
    s->record = record;
    sl_wire w = sl_wire_of(record);
    w.p = read_span_head(s, w.p, w.end);
    for (;;) {
        const uint8_t *from = w.p;
        w.p = skip_short(w.p, w.end, TAG_SPAN_ATTRIBUTES);
        if (w.p != from) {
            stretch(&s->attrs_at, &s->attrs_end, record, from, w.p);
            from = w.p;
        }
        if (!sl_wire_next(&w)) {
            return w.p == w.end;
        }
        switch (w.number * 8 + w.type) {
        case 1 * 8 + SL_BYTES:
            id(s->trace_id, 16, w.bytes);
            break;
        case 2 * 8 + SL_BYTES:
            id(s->span_id, 8, w.bytes);
            break;
        case 3 * 8 + SL_BYTES:
            s->trace_state = w.bytes;
            break;
        case 4 * 8 + SL_BYTES:
            id(s->parent_id, 8, w.bytes);
            break;
        case 5 * 8 + SL_BYTES:
            s->name = w.bytes;
            break;
        case 6 * 8 + SL_VARINT:
            s->kind = small_enum(w.value);
            break;
        case 7 * 8 + SL_FIXED64:
            s->start_ns = w.value;
            break;
        case 8 * 8 + SL_FIXED64:
            s->end_ns = w.value;
            break;
        case 9 * 8 + SL_BYTES:
            stretch(&s->attrs_at, &s->attrs_end, record, from, w.p);
            break;
        case 11 * 8 + SL_BYTES:
            stretch(&s->events_at, &s->events_end, record, from, w.p);
            break;
        case 13 * 8 + SL_BYTES:
            stretch(&s->links_at, &s->links_end, record, from, w.p);
            break;
        case 15 * 8 + SL_BYTES:
            if (!read_status(w.bytes, s)) {
                return false;
            }
            break;
        case 16 * 8 + SL_FIXED32:
            s->flags = (uint32_t)w.value;
            break;
        default:
            break;
        }
    }
}

bool otlp_read_log(sl_bytes record, sl_log_record *l)
{
    memset(l, 0, sizeof *l);
    l->record = record;
    sl_wire w = sl_wire_of(record);
    for (;;) {
        const uint8_t *from = w.p;
        w.p = skip_short(w.p, w.end, TAG_LOG_ATTRIBUTES);
        if (w.p != from) {
            stretch(&l->attrs_at, &l->attrs_end, record, from, w.p);
            from = w.p;
        }
        if (!sl_wire_next(&w)) {
            return w.p == w.end;
        }
        switch (w.number * 8 + w.type) {
        case 1 * 8 + SL_FIXED64:
            l->time_ns = w.value;
            break;
        case 2 * 8 + SL_VARINT:
            l->severity = small_enum(w.value);
            break;
        case 3 * 8 + SL_BYTES:
            l->severity_text = w.bytes;
            break;
        case 5 * 8 + SL_BYTES:
            if (w.bytes.n > 0 || !l->body.p) { /* an empty value changes nothing in a merge */
                l->body = w.bytes;
            }
            break;
        case 6 * 8 + SL_BYTES:
            stretch(&l->attrs_at, &l->attrs_end, record, from, w.p);
            break;
        case 8 * 8 + SL_FIXED32:
            l->flags = (uint32_t)w.value;
            break;
        case 9 * 8 + SL_BYTES:
            id(l->trace_id, 16, w.bytes);
            break;
        case 10 * 8 + SL_BYTES:
            id(l->span_id, 8, w.bytes);
            break;
        case 11 * 8 + SL_FIXED64:
            l->observed_ns = w.value;
            break;
        case 12 * 8 + SL_BYTES:
            l->event_name = w.bytes;
            break;
        default:
            break;
        }
    }
}

bool otlp_read_point(sl_bytes record, uint32_t metric_type, sl_point *p)
{
    /* Times have the same numbers in all kinds of points; these fields do not. */
    uint32_t attributes = 7, exemplars = 5, flags = 8;
    bool number = true;
    switch (metric_type) {
    case SL_METRIC_HISTOGRAM:
        attributes = 9;
        exemplars = 8;
        flags = 10;
        number = false;
        break;
    case SL_METRIC_EXPONENTIAL:
        attributes = 1;
        exemplars = 11;
        flags = 10;
        number = false;
        break;
    case SL_METRIC_SUMMARY:
        exemplars = 0;
        number = false;
        break;
    default:
        break;
    }
    memset(p, 0, sizeof *p);
    p->record = record;
    sl_wire w = sl_wire_of(record);
    for (;;) {
        const uint8_t *from = w.p;
        if (!sl_wire_next(&w)) {
            return w.p == w.end;
        }
        if (w.type == SL_BYTES) {
            if (w.number == attributes) {
                w.p = skip_short(w.p, w.end, (uint8_t)(attributes * 8 + SL_BYTES));
                stretch(&p->attrs_at, &p->attrs_end, record, from, w.p);
            } else if (w.number == exemplars) {
                stretch(&p->exemplars_at, &p->exemplars_end, record, from, w.p);
            }
        } else if (w.type == SL_FIXED64) {
            if (w.number == 2) {
                p->start_ns = w.value;
            } else if (w.number == 3) {
                p->time_ns = w.value;
            } else if (number && (w.number == 4 || w.number == 6)) {
                p->value.u = w.value;
                p->value_type = w.number == 4 ? SL_VALUE_DOUBLE : SL_VALUE_INT;
            }
        } else if (w.number == flags && w.type == SL_VARINT) {
            p->flags = (uint32_t)w.value;
        }
    }
}

bool otlp_read_resource(sl_bytes record, sl_resource *r)
{
    sl_wire w = sl_wire_of(record);
    r->record = record;
    for (;;) {
        const uint8_t *from = w.p;
        if (!sl_wire_next(&w)) {
            return w.p == w.end;
        }
        if (w.number == 1 && w.type == SL_BYTES) {
            stretch(&r->attrs_at, &r->attrs_end, record, from, w.p);
        } else if (w.number == 2 && w.type == SL_VARINT) {
            r->dropped_attributes = (uint32_t)w.value;
        }
    }
}

bool otlp_read_scope(sl_bytes record, sl_scope *s)
{
    sl_wire w = sl_wire_of(record);
    s->record = record;
    for (;;) {
        const uint8_t *from = w.p;
        if (!sl_wire_next(&w)) {
            return w.p == w.end;
        }
        if (w.type == SL_BYTES) {
            if (w.number == 1) {
                s->name = w.bytes;
            } else if (w.number == 2) {
                s->version = w.bytes;
            } else if (w.number == 3) {
                stretch(&s->attrs_at, &s->attrs_end, record, from, w.p);
            }
        } else if (w.number == 4 && w.type == SL_VARINT) {
            s->dropped_attributes = (uint32_t)w.value;
        }
    }
}
