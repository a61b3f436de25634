/* sluice/otlp.h - reading and writing the bytes of OTLP.  C11 and C++; header-only.
 *
 * A payload is OTLP protobuf bytes, and stays so. Whoever needs spans asks the host for the view
 * (sl_view_of): arrays of fixed-size records, one for each span, metric point or log record, made
 * by one scan. Everything that varies in size - attributes, events, links, buckets - is read from
 * the wire by the iterators below, when it is asked for.
 *
 *     sl_view view;
 *     if (sl_view_of(host, d, &view) == SL_OK)
 *         for (uint32_t i = 0; i < view.items.n; i++) {
 *             const sl_span *span = sl_span_at(&view, i);
 *             sl_bytes route = sl_attr_text(sl_span_attrs(span), "http.route");
 *             ...
 *         }
 *
 * RULES
 *   1. Nothing is copied: slices point into the payload or its view and live as long as those.
 *   2. Nothing is read out of bounds, whatever the bytes are. An iterator that meets malformed
 *      bytes ends as if there were no more; the host has checked what it hands out. When an
 *      iterator answers false, what it was to fill is empty.
 *   3. No function recurses or allocates. Iterators are small structs to be copied freely.
 *   4. A record's attributes need not lie together in it. Of attributes with the same key the first
 *      counts (sl_attr_find); sl_attr_next shows all.
 *   5. Of a field that should occur once and occurs several times, the last counts, as in protobuf;
 *      parts of a message that occurs several times are merged (resource, scope, status).
 *   6. A missing field has the value 0, or an empty slice.
 *   7. Unknown fields are skipped; unknown enum values are passed on, those above 254 as 255.
 *   8. Records have a stride and grow at their end: step through them with the accessors.
 *
 * SECTIONS  1 wire  2 values and attributes  3 views and their records  4 events and links
 *           5 metric points  6 writer
 */
#ifndef SLUICE_OTLP_H
#define SLUICE_OTLP_H
#include <sluice/plugin.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the wire is little-endian, and so must the machine be"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- 1. wire ------------------------------------------------------------------------------- */

enum sl_wire_type { SL_VARINT = 0, SL_FIXED64 = 1, SL_BYTES = 2, SL_FIXED32 = 5 };

enum { SL_VARINT_MAX = 10 /* bytes */ };

/* Returns what follows the varint at p, or NULL where it is cut off or longer than ten bytes. Bits
 * above the 64th are dropped. */
static inline const uint8_t *sl_get_varint(const uint8_t *p, const uint8_t *end, uint64_t *value)
{
    uint64_t v = 0;
    unsigned shift;
    if (p < end && *p < 0x80) {
        *value = *p;
        return p + 1;
    }
    for (shift = 0; p < end && shift < 7 * SL_VARINT_MAX; shift += 7) {
        const uint64_t byte = *p++;
        v |= (byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = v;
            return p;
        }
    }
    return NULL;
}

static inline uint64_t sl_get_fixed64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint32_t sl_get_fixed32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline double sl_get_double(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* sint32 and sint64 */
static inline int64_t sl_get_sint(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* Steps through the fields of any message:
 *     sl_wire w = sl_wire_of(message);
 *     while (sl_wire_next(&w)) ... w.number, w.type, w.value or w.bytes ...
 */
typedef struct sl_wire {
    const uint8_t *p, *end; /* p: behind the field; where next answered false: the end, or the field
                               that is malformed */
    uint32_t number;        /* of the field */
    uint32_t type;          /* enum sl_wire_type */
    uint64_t value;         /* SL_VARINT, SL_FIXED64, SL_FIXED32: the bits; SL_BYTES: the length */
    sl_bytes bytes;         /* SL_BYTES: the content */
} sl_wire;

static inline sl_wire sl_wire_of(sl_bytes message)
{
    sl_wire w;
    w.p = message.p;
    w.end = message.n ? message.p + message.n : message.p;
    w.number = 0;
    w.type = 0;
    w.value = 0;
    w.bytes = sl_slice(NULL, 0);
    return w;
}

/* false: there are no more fields, or the next one is malformed (a group, field number 0, a length
 * beyond the end). */
static inline bool sl_wire_next(sl_wire *w)
{
    uint64_t tag;
    const uint8_t *p;
    if (w->p == w->end) {
        return false;
    }
    p = sl_get_varint(w->p, w->end, &tag);
    if (!p || tag < 8 || tag > UINT32_MAX) {
        return false;
    }
    w->number = (uint32_t)tag >> 3;
    w->type = (uint32_t)tag & 7;
    switch (w->type) {
    case SL_VARINT:
        p = sl_get_varint(p, w->end, &w->value);
        if (!p) {
            return false;
        }
        break;
    case SL_FIXED64:
        if (w->end - p < 8) {
            return false;
        }
        w->value = sl_get_fixed64(p);
        p += 8;
        break;
    case SL_BYTES:
        p = sl_get_varint(p, w->end, &w->value);
        if (!p || w->value > (uint64_t)(w->end - p)) {
            return false;
        }
        w->bytes = sl_slice(p, (size_t)w->value);
        p += w->value;
        break;
    case SL_FIXED32:
        if (w->end - p < 4) {
            return false;
        }
        w->value = sl_get_fixed32(p);
        p += 4;
        break;
    default:
        return false;
    }
    w->p = p;
    return true;
}

/* The occurrences of one repeated message field within a stretch of bytes; other fields between
 * them are skipped. */
typedef struct sl_repeated {
    const uint8_t *p, *end;
    uint32_t field, reserved;
} sl_repeated;

static inline sl_repeated sl_repeated_of(sl_bytes bytes, uint32_t field)
{
    sl_repeated r;
    r.p = bytes.p;
    r.end = bytes.n ? bytes.p + bytes.n : bytes.p;
    r.field = field;
    r.reserved = 0;
    return r;
}

/* The stretch [at, end) of a record. */
static inline sl_repeated sl_repeated_in(sl_bytes record, uint32_t at, uint32_t end, uint32_t field)
{
    if (at >= end || end > record.n) {
        return sl_repeated_of(sl_slice(NULL, 0), field);
    }
    return sl_repeated_of(sl_slice(record.p + at, end - at), field);
}

/* false: there are no more, and `message` is empty. */
static inline bool sl_repeated_next(sl_repeated *r, sl_bytes *message)
{
    sl_wire w = sl_wire_of(sl_slice(r->p, (size_t)(r->end - r->p)));
    while (sl_wire_next(&w)) {
        if (w.number == r->field && w.type == SL_BYTES) {
            r->p = w.p;
            *message = w.bytes;
            return true;
        }
    }
    r->p = r->end;
    *message = sl_slice(NULL, 0);
    return false;
}

/* ---- 2. values and attributes -------------------------------------------------------------- */

/* Attribute values nest lists and maps at most this deep: what the host accepts, and what readers
 * need a stack for. A plain value has the depth 1. */
enum { SL_VALUE_DEPTH_MAX = 64 };

/* OTLP's AnyValue. */
enum sl_value_type {
    SL_VALUE_EMPTY = 0,
    SL_VALUE_TEXT = 1,
    SL_VALUE_BOOL = 2,
    SL_VALUE_INT = 3,
    SL_VALUE_DOUBLE = 4,
    SL_VALUE_LIST = 5,
    SL_VALUE_MAP = 6,
    SL_VALUE_BYTES = 7
};

typedef struct sl_value {
    uint32_t type; /* enum sl_value_type */
    uint32_t reserved;
    sl_number number; /* BOOL .u: 0 or 1; INT .i; DOUBLE .f */
    sl_bytes bytes;   /* TEXT (UTF-8), BYTES; LIST, MAP: for sl_value_list, sl_value_map */
} sl_value;

/* Reads an AnyValue message. */
static inline sl_value sl_value_of(sl_bytes any)
{
    sl_value v;
    sl_wire w = sl_wire_of(any);
    v.type = SL_VALUE_EMPTY;
    v.reserved = 0;
    v.number.u = 0;
    v.bytes = sl_slice(NULL, 0);
    while (sl_wire_next(&w)) {
        static const uint8_t types[8] = {0,          SL_BYTES, SL_VARINT, SL_VARINT,
                                         SL_FIXED64, SL_BYTES, SL_BYTES,  SL_BYTES};
        if (w.number < 8 && w.type == types[w.number]) {
            v.type = w.number;
            if (w.type == SL_BYTES) {
                v.bytes = w.bytes;
                v.number.u = 0;
            } else {
                v.bytes = sl_slice(NULL, 0);
                v.number.u = v.type == SL_VALUE_BOOL ? w.value != 0 : w.value;
            }
        }
    }
    return v;
}

static inline bool sl_value_is(const sl_value *v, const char *text)
{
    return v->type == SL_VALUE_TEXT && sl_eq(v->bytes, sl_str(text));
}

/* INT and DOUBLE; false for all others, which leaves `number` alone. */
static inline bool sl_value_number(const sl_value *v, double *number)
{
    if (v->type == SL_VALUE_INT) {
        *number = (double)v->number.i;
        return true;
    }
    if (v->type == SL_VALUE_DOUBLE) {
        *number = v->number.f;
        return true;
    }
    return false;
}

/* Values of a LIST; of any other value, none. */
static inline sl_repeated sl_value_list(const sl_value *v)
{
    return sl_repeated_of(v->type == SL_VALUE_LIST ? v->bytes : sl_slice(NULL, 0), 1);
}

static inline bool sl_list_next(sl_repeated *list, sl_value *value)
{
    sl_bytes any;
    const bool more = sl_repeated_next(list, &any);
    *value = sl_value_of(any);
    return more;
}

/* Attributes, from sl_span_attrs and the like; also the entries of a MAP. */
typedef sl_repeated sl_attrs;

/* Entries of a MAP; of any other value, none. */
static inline sl_attrs sl_value_map(const sl_value *v)
{
    return sl_repeated_of(v->type == SL_VALUE_MAP ? v->bytes : sl_slice(NULL, 0), 1);
}

/* Takes a KeyValue message apart: the key, and the value as an AnyValue message. */
static inline void sl_attr_split(sl_bytes pair, sl_bytes *key, sl_bytes *any)
{
    sl_wire w = sl_wire_of(pair);
    *key = sl_slice(NULL, 0);
    *any = sl_slice(NULL, 0);
    while (sl_wire_next(&w)) {
        if (w.type != SL_BYTES) {
            continue;
        }
        if (w.number == 1) {
            *key = w.bytes;
        } else if (w.number == 2 && w.bytes.n > 0) { /* an empty value changes nothing in a merge */
            *any = w.bytes;
        }
    }
}

/* Internal: the attribute at attrs->p, if it is written as nearly all are: key, then value, with
 * lengths of one byte. */
static inline bool sl_attr_usual_(sl_attrs *attrs, sl_bytes *key, sl_bytes *any)
{
    const uint8_t *p = attrs->p;
    const size_t left = (size_t)(attrs->end - p);
    size_t n, n_key;
    if (left < 6 || attrs->field > 15 || p[0] != attrs->field * 8 + SL_BYTES || p[1] > 0x7f ||
        p[1] > left - 2 || p[2] != 0x0a) {
        return false;
    }
    n = p[1];
    n_key = p[3];
    if (n_key + 4 > n || p[4 + n_key] != 0x12 || p[5 + n_key] != n - n_key - 4) {
        return false;
    }
    *key = sl_slice(p + 4, n_key);
    *any = sl_slice(p + 6 + n_key, n - n_key - 4);
    attrs->p = p + 2 + n;
    return true;
}

static inline bool sl_attr_next(sl_attrs *attrs, sl_bytes *key, sl_value *value)
{
    sl_bytes pair, any;
    bool more = sl_attr_usual_(attrs, key, &any);
    if (!more) {
        more = sl_repeated_next(attrs, &pair);
        sl_attr_split(pair, key, &any);
    }
    *value = sl_value_of(any);
    return more;
}

/* The first attribute with this key. false: none, and `value` is EMPTY. */
static inline bool sl_attr_find(sl_attrs attrs, sl_bytes key, sl_value *value)
{
    sl_bytes pair, k, any;
    for (;;) {
        if (!sl_attr_usual_(&attrs, &k, &any)) {
            if (!sl_repeated_next(&attrs, &pair)) {
                break;
            }
            sl_attr_split(pair, &k, &any);
        }
        if (sl_eq(k, key)) {
            *value = sl_value_of(any);
            return true;
        }
    }
    *value = sl_value_of(sl_slice(NULL, 0));
    return false;
}

/* The text of the first attribute with this key; .p is NULL if there is none, or no text. */
static inline sl_bytes sl_attr_text(sl_attrs attrs, const char *key)
{
    sl_value v;
    return sl_attr_find(attrs, sl_str(key), &v) && v.type == SL_VALUE_TEXT ? v.bytes
                                                                           : sl_slice(NULL, 0);
}

static inline int64_t sl_attr_int(sl_attrs attrs, const char *key, int64_t otherwise)
{
    sl_value v;
    return sl_attr_find(attrs, sl_str(key), &v) && v.type == SL_VALUE_INT ? v.number.i : otherwise;
}

static inline double sl_attr_number(sl_attrs attrs, const char *key, double otherwise)
{
    sl_value v;
    (void)sl_attr_find(attrs, sl_str(key), &v);
    (void)sl_value_number(&v, &otherwise);
    return otherwise;
}

/* Walks a value with all that is nested in it, parents before children:
 *     sl_value_walk walk;
 *     sl_value_walk_begin(&walk, &value);
 *     while ((step = sl_value_walk_next(&walk)) > 0) ... walk.key, walk.value, walk.depth ...
 */
enum sl_walk_step {
    SL_WALK_TOO_DEEP = -1, /* deeper than SL_VALUE_DEPTH_MAX; cannot happen in checked bytes */
    SL_WALK_END = 0,
    SL_WALK_VALUE = 1, /* a plain value, or an empty one */
    SL_WALK_OPEN = 2,  /* a list or map; its entries follow, then CLOSE */
    SL_WALK_CLOSE = 3
};

typedef struct sl_value_walk {
    sl_bytes key;    /* of an entry of a map; .p is NULL for the elements of a list */
    sl_value value;  /* of VALUE and OPEN */
    uint32_t depth;  /* of the value, list or map that the step is about; 1 for the outermost */
    uint32_t n_open; /* internal, as is what follows */
    uint32_t started;
    uint32_t reserved;
    sl_repeated open[SL_VALUE_DEPTH_MAX];
    uint8_t is_map[SL_VALUE_DEPTH_MAX];
} sl_value_walk;

/* `walk` need not be initialised. */
static inline void sl_value_walk_begin(sl_value_walk *walk, const sl_value *value)
{
    walk->key = sl_slice(NULL, 0);
    walk->value = *value;
    walk->depth = 0;
    walk->n_open = 0;
    walk->started = 0;
    walk->reserved = 0;
}

/* enum sl_walk_step */
static inline int32_t sl_value_walk_next(sl_value_walk *walk)
{
    if (walk->started) {
        const uint32_t in = walk->n_open - 1;
        walk->key = sl_slice(NULL, 0);
        walk->depth = walk->n_open;
        if (walk->n_open == 0) {
            return SL_WALK_END;
        }
        if (!(walk->is_map[in] ? sl_attr_next(&walk->open[in], &walk->key, &walk->value)
                               : sl_list_next(&walk->open[in], &walk->value))) {
            walk->n_open--;
            return SL_WALK_CLOSE;
        }
    }
    walk->started = 1;
    walk->depth = walk->n_open + 1;
    if (walk->value.type != SL_VALUE_LIST && walk->value.type != SL_VALUE_MAP) {
        return SL_WALK_VALUE;
    }
    if (walk->n_open == SL_VALUE_DEPTH_MAX) {
        return SL_WALK_TOO_DEEP;
    }
    walk->is_map[walk->n_open] = walk->value.type == SL_VALUE_MAP;
    walk->open[walk->n_open++] =
        walk->value.type == SL_VALUE_MAP ? sl_value_map(&walk->value) : sl_value_list(&walk->value);
    return SL_WALK_OPEN;
}

/* ---- 3. views and their records ------------------------------------------------------------ */

/* n records, `stride` bytes apart. */
typedef struct sl_array {
    const uint8_t *at;
    uint32_t n, stride;
} sl_array;

/* Record i, or NULL beyond the end. */
static inline const void *sl_array_at(const sl_array *array, uint32_t i)
{
    return i < array->n ? array->at + (size_t)i * array->stride : NULL;
}

/* From sl_view_of(host, delivery, &view). Lives as long as the payload. */
struct sl_view {
    uint32_t size;      /* of this struct, as the host knows it */
    uint32_t signal;    /* enum sl_signal */
    sl_array items;     /* sl_span, sl_point or sl_log_record, numbered in wire order */
    sl_array resources; /* sl_resource */
    sl_array scopes;    /* sl_scope */
    sl_array metrics;   /* sl_metric_info; none but for SL_METRICS */
    sl_array unused[2]; /* for tables to come: the struct keeps its size */
};

/* A resource, once for each ResourceSpans, ResourceMetrics or ResourceLogs: equal ones are not
 * brought together. */
typedef struct sl_resource {
    sl_bytes record;              /* the Resource message */
    sl_bytes envelope;            /* the ResourceSpans, ... message with all that is in it */
    sl_bytes schema_url;          /* of the envelope */
    uint32_t attrs_at, attrs_end; /* stretch of the record that holds the attributes */
    uint32_t first, n;            /* its items */
    uint32_t dropped_attributes;
    uint32_t reserved;
} sl_resource;

/* A scope, once for each ScopeSpans, ScopeMetrics or ScopeLogs. */
typedef struct sl_scope {
    sl_bytes record;   /* the InstrumentationScope message */
    sl_bytes envelope; /* the ScopeSpans, ... message with all that is in it */
    sl_bytes schema_url;
    sl_bytes name, version;
    uint32_t attrs_at, attrs_end;
    uint32_t first, n; /* its items */
    uint32_t dropped_attributes;
    uint32_t resource; /* index */
} sl_scope;

enum sl_span_kind {
    SL_SPAN_UNSPECIFIED = 0,
    SL_SPAN_INTERNAL = 1,
    SL_SPAN_SERVER = 2,
    SL_SPAN_CLIENT = 3,
    SL_SPAN_PRODUCER = 4,
    SL_SPAN_CONSUMER = 5
};

enum sl_span_status { SL_SPAN_UNSET = 0, SL_SPAN_OK = 1, SL_SPAN_ERROR = 2 };

typedef struct sl_span {
    uint8_t trace_id[16]; /* all zero: not given, as with all ids */
    uint8_t span_id[8];
    uint8_t parent_id[8];
    uint64_t start_ns, end_ns; /* since 1970 */
    sl_bytes record;           /* the Span message */
    sl_bytes name;
    uint8_t kind;   /* enum sl_span_kind */
    uint8_t status; /* enum sl_span_status */
    uint8_t head;   /* bytes of tag and length in front of the record */
    uint8_t reserved;
    uint32_t flags;
    uint32_t resource, scope;     /* indices */
    uint32_t attrs_at, attrs_end; /* stretches of the record; equal: there are none */
    uint32_t events_at, events_end;
    uint32_t links_at, links_end;
    sl_bytes trace_state; /* of W3C Trace Context */
} sl_span;

/* The kinds of metrics, and OTLP's field numbers of their data. */
enum sl_metric_type {
    SL_METRIC_EMPTY = 0, /* has no points */
    SL_METRIC_GAUGE = 5,
    SL_METRIC_SUM = 7,
    SL_METRIC_HISTOGRAM = 9,
    SL_METRIC_EXPONENTIAL = 10,
    SL_METRIC_SUMMARY = 11
};

enum sl_temporality {
    SL_TEMPORALITY_UNSPECIFIED = 0,
    SL_TEMPORALITY_DELTA = 1,
    SL_TEMPORALITY_CUMULATIVE = 2
};

enum { SL_POINT_NO_VALUE = 1 /* bit of sl_point.flags: the series has ended */ };

/* A metric: what its points have in common. */
typedef struct sl_metric_info {
    sl_bytes record; /* the Metric message with all its points */
    sl_bytes name, unit, description;
    uint8_t type;        /* enum sl_metric_type */
    uint8_t temporality; /* enum sl_temporality */
    uint8_t monotonic;   /* of a sum: 0 or 1 */
    uint8_t reserved;
    uint32_t first, n;        /* its points */
    uint32_t resource, scope; /* indices */
    uint32_t metadata_at, metadata_end;
    uint32_t reserved2;
} sl_metric_info;

typedef struct sl_point {
    uint64_t time_ns, start_ns; /* since 1970 */
    sl_bytes record;            /* the data point's message */
    sl_bytes name;              /* of the metric */
    sl_number value;            /* of a gauge or sum: .i or .f, as value_type says */
    uint8_t value_type;         /* SL_VALUE_INT, SL_VALUE_DOUBLE, or SL_VALUE_EMPTY */
    uint8_t type;               /* of the metric, as are the next two */
    uint8_t temporality;
    uint8_t monotonic;
    uint8_t head; /* bytes of tag and length in front of the record */
    uint8_t reserved[3];
    uint32_t flags;
    uint32_t metric, resource, scope; /* indices */
    uint32_t attrs_at, attrs_end;     /* stretches of the record */
    uint32_t exemplars_at, exemplars_end;
} sl_point;

typedef struct sl_log_record {
    uint64_t time_ns, observed_ns; /* since 1970; 0: not given */
    uint8_t trace_id[16];
    uint8_t span_id[8];
    sl_bytes record; /* the LogRecord message */
    sl_bytes body;   /* an AnyValue message: see sl_log_body */
    sl_bytes severity_text;
    sl_bytes event_name;
    uint8_t severity; /* 1 to 24, 0: not given */
    uint8_t head;     /* bytes of tag and length in front of the record */
    uint8_t reserved[2];
    uint32_t flags;
    uint32_t resource, scope; /* indices */
    uint32_t attrs_at, attrs_end;
} sl_log_record;

/* Record i of a view of that signal, or NULL beyond the end. */
static inline const sl_span *sl_span_at(const sl_view *view, uint32_t i)
{
    return (const sl_span *)sl_array_at(&view->items, i);
}
static inline const sl_point *sl_point_at(const sl_view *view, uint32_t i)
{
    return (const sl_point *)sl_array_at(&view->items, i);
}
static inline const sl_log_record *sl_log_at(const sl_view *view, uint32_t i)
{
    return (const sl_log_record *)sl_array_at(&view->items, i);
}
static inline const sl_resource *sl_resource_at(const sl_view *view, uint32_t i)
{
    return (const sl_resource *)sl_array_at(&view->resources, i);
}
static inline const sl_scope *sl_scope_at(const sl_view *view, uint32_t i)
{
    return (const sl_scope *)sl_array_at(&view->scopes, i);
}
static inline const sl_metric_info *sl_metric_at(const sl_view *view, uint32_t i)
{
    return (const sl_metric_info *)sl_array_at(&view->metrics, i);
}

static inline sl_attrs sl_resource_attrs(const sl_resource *r)
{
    return sl_repeated_in(r->record, r->attrs_at, r->attrs_end, 1);
}
static inline sl_attrs sl_scope_attrs(const sl_scope *s)
{
    return sl_repeated_in(s->record, s->attrs_at, s->attrs_end, 3);
}
static inline sl_attrs sl_span_attrs(const sl_span *s)
{
    return sl_repeated_in(s->record, s->attrs_at, s->attrs_end, 9);
}
static inline sl_attrs sl_log_attrs(const sl_log_record *l)
{
    return sl_repeated_in(l->record, l->attrs_at, l->attrs_end, 6);
}
static inline sl_attrs sl_metric_metadata(const sl_metric_info *m)
{
    return sl_repeated_in(m->record, m->metadata_at, m->metadata_end, 12);
}
static inline sl_attrs sl_point_attrs(const sl_point *p)
{
    const uint32_t field = p->type == SL_METRIC_HISTOGRAM     ? 9
                           : p->type == SL_METRIC_EXPONENTIAL ? 1
                                                              : 7;
    return sl_repeated_in(p->record, p->attrs_at, p->attrs_end, field);
}

static inline sl_value sl_log_body(const sl_log_record *l)
{
    return sl_value_of(l->body);
}

/* Eight bytes of an id as a number, to hash or compare; not the number that its hex form shows. */
static inline uint64_t sl_id8(const uint8_t *id)
{
    return sl_get_fixed64(id);
}

/* Bytes field `field` of a message: the last one, as protobuf has it; .p is NULL where there is
 * none. For what the records do not hold, such as a span's dropped_events_count (12). */
static inline sl_bytes sl_message_bytes(sl_bytes message, uint32_t field)
{
    sl_bytes bytes, last = sl_slice(NULL, 0);
    sl_repeated r = sl_repeated_of(message, field);
    while (sl_repeated_next(&r, &bytes)) {
        last = bytes;
    }
    return last;
}

/* Number field `field` of a message: the last one; 0 where there is none. */
static inline uint64_t sl_message_number(sl_bytes message, uint32_t field)
{
    uint64_t last = 0;
    sl_wire w = sl_wire_of(message);
    while (sl_wire_next(&w)) {
        if (w.number == field && w.type != SL_BYTES) {
            last = w.value;
        }
    }
    return last;
}

static inline sl_bytes sl_span_trace_state(const sl_span *s)
{
    return s->trace_state;
}

/* The message of the span's status. */
static inline sl_bytes sl_span_status_message(const sl_span *s)
{
    sl_bytes status, text, last = sl_slice(NULL, 0);
    sl_repeated all = sl_repeated_of(s->record, 15);
    while (sl_repeated_next(&all, &status)) {
        text = sl_message_bytes(status, 2);
        if (text.p) {
            last = text;
        }
    }
    return last;
}

/* ---- 4. events and links ------------------------------------------------------------------- */

typedef struct sl_event {
    sl_bytes record; /* the Event message */
    sl_bytes name;
    uint64_t time_ns;
    uint32_t dropped_attributes;
    uint32_t reserved;
} sl_event;

typedef struct sl_link {
    sl_bytes record;   /* the Link message */
    sl_bytes trace_id; /* 16 bytes, or none */
    sl_bytes span_id;  /* 8 bytes, or none */
    sl_bytes trace_state;
    uint32_t flags;
    uint32_t dropped_attributes;
} sl_link;

/*     sl_repeated events = sl_span_events(span);
 *     while (sl_event_next(&events, &event)) ... */
static inline sl_repeated sl_span_events(const sl_span *s)
{
    return sl_repeated_in(s->record, s->events_at, s->events_end, 11);
}
static inline sl_repeated sl_span_links(const sl_span *s)
{
    return sl_repeated_in(s->record, s->links_at, s->links_end, 13);
}

static inline bool sl_event_next(sl_repeated *events, sl_event *event)
{
    sl_wire w;
    const bool more = sl_repeated_next(events, &event->record);
    event->name = sl_slice(NULL, 0);
    event->time_ns = 0;
    event->dropped_attributes = 0;
    event->reserved = 0;
    w = sl_wire_of(event->record);
    while (sl_wire_next(&w)) {
        if (w.number == 1 && w.type == SL_FIXED64) {
            event->time_ns = w.value;
        } else if (w.number == 2 && w.type == SL_BYTES) {
            event->name = w.bytes;
        } else if (w.number == 4 && w.type == SL_VARINT) {
            event->dropped_attributes = (uint32_t)w.value;
        }
    }
    return more;
}

static inline bool sl_link_next(sl_repeated *links, sl_link *link)
{
    sl_wire w;
    const bool more = sl_repeated_next(links, &link->record);
    link->trace_id = link->span_id = link->trace_state = sl_slice(NULL, 0);
    link->flags = link->dropped_attributes = 0;
    w = sl_wire_of(link->record);
    while (sl_wire_next(&w)) {
        if (w.type == SL_BYTES) {
            if (w.number == 1) {
                link->trace_id = w.bytes;
            } else if (w.number == 2) {
                link->span_id = w.bytes;
            } else if (w.number == 3) {
                link->trace_state = w.bytes;
            }
        } else if (w.number == 5 && w.type == SL_VARINT) {
            link->dropped_attributes = (uint32_t)w.value;
        } else if (w.number == 6 && w.type == SL_FIXED32) {
            link->flags = (uint32_t)w.value;
        }
    }
    return more;
}

static inline sl_attrs sl_event_attrs(const sl_event *e)
{
    return sl_repeated_of(e->record, 3);
}
static inline sl_attrs sl_link_attrs(const sl_link *l)
{
    return sl_repeated_of(l->record, 4);
}

/* ---- 5. metric points ---------------------------------------------------------------------- */

/* A repeated number, packed or not:
 *     sl_numbers n = histogram.bucket_counts;
 *     while (sl_numbers_next(&n, &number)) ... number.u or number.f ... */
typedef struct sl_numbers {
    const uint8_t *p, *end;
    const uint8_t *run, *run_end; /* inside a packed field */
    uint32_t field;
    uint32_t wire; /* of one number: SL_VARINT or SL_FIXED64 */
} sl_numbers;

static inline sl_numbers sl_numbers_of(sl_bytes message, uint32_t field, uint32_t wire)
{
    sl_numbers n;
    n.p = message.p;
    n.end = message.n ? message.p + message.n : message.p;
    n.run = n.run_end = NULL;
    n.field = field;
    n.wire = wire;
    return n;
}

static inline bool sl_numbers_next(sl_numbers *n, sl_number *number)
{
    for (;;) {
        sl_wire w;
        if (n->run != n->run_end) {
            if (n->wire == SL_FIXED64 && n->run_end - n->run >= 8) {
                number->u = sl_get_fixed64(n->run);
                n->run += 8;
                return true;
            }
            n->run = n->wire == SL_VARINT ? sl_get_varint(n->run, n->run_end, &number->u) : NULL;
            if (n->run) {
                return true;
            }
            n->run = n->run_end;
        }
        w = sl_wire_of(sl_slice(n->p, (size_t)(n->end - n->p)));
        for (;;) {
            if (!sl_wire_next(&w)) {
                n->p = n->end;
                return false;
            }
            if (w.number == n->field && (w.type == n->wire || w.type == SL_BYTES)) {
                break;
            }
        }
        n->p = w.p;
        if (w.type != SL_BYTES) {
            number->u = w.value;
            return true;
        }
        n->run = w.bytes.p;
        n->run_end = w.bytes.p + w.bytes.n;
    }
}

static inline uint32_t sl_numbers_count(sl_numbers numbers)
{
    uint32_t n = 0;
    sl_number ignored;
    while (sl_numbers_next(&numbers, &ignored)) {
        n++;
    }
    return n;
}

enum sl_histogram_has { SL_HAS_SUM = 1, SL_HAS_MIN = 2, SL_HAS_MAX = 4 };

/* Of a point of SL_METRIC_HISTOGRAM. Bucket i holds what is above bound i-1 up to bound i. */
typedef struct sl_histogram {
    uint64_t count;
    double sum, min, max;
    uint32_t has; /* enum sl_histogram_has: which of them are given */
    uint32_t reserved;
    sl_numbers bucket_counts; /* .u; one more than bounds, or none */
    sl_numbers bounds;        /* .f */
} sl_histogram;

static inline sl_histogram sl_point_histogram(const sl_point *p)
{
    sl_histogram h;
    sl_wire w = sl_wire_of(p->record);
    h.count = 0;
    h.sum = h.min = h.max = 0;
    h.has = h.reserved = 0;
    h.bucket_counts = sl_numbers_of(p->record, 6, SL_FIXED64);
    h.bounds = sl_numbers_of(p->record, 7, SL_FIXED64);
    while (sl_wire_next(&w)) {
        if (w.type != SL_FIXED64) {
            continue;
        }
        if (w.number == 4) {
            h.count = w.value;
        } else if (w.number == 5) {
            h.sum = sl_get_double(w.value);
            h.has |= SL_HAS_SUM;
        } else if (w.number == 11) {
            h.min = sl_get_double(w.value);
            h.has |= SL_HAS_MIN;
        } else if (w.number == 12) {
            h.max = sl_get_double(w.value);
            h.has |= SL_HAS_MAX;
        }
    }
    return h;
}

/* Of a point of SL_METRIC_EXPONENTIAL. Bucket i of `positive` holds what is above base^(offset+i)
 * up to base^(offset+i+1), where base = 2^(2^-scale); `negative` the same for the absolute value.
 */
typedef struct sl_exponential {
    uint64_t count, zero_count;
    double sum, min, max, zero_threshold;
    uint32_t has; /* enum sl_histogram_has */
    int32_t scale;
    int32_t positive_offset, negative_offset;
    sl_numbers positive, negative; /* .u */
} sl_exponential;

/* Buckets: an offset (1, zigzag) and counts (2). Of several Buckets messages, the last. */
static inline sl_numbers sl_buckets_of(sl_bytes buckets, int32_t *offset)
{
    *offset = (int32_t)sl_get_sint(sl_message_number(buckets, 1));
    return sl_numbers_of(buckets, 2, SL_VARINT);
}

static inline sl_exponential sl_point_exponential(const sl_point *p)
{
    sl_exponential e;
    sl_wire w = sl_wire_of(p->record);
    e.count = e.zero_count = 0;
    e.sum = e.min = e.max = e.zero_threshold = 0;
    e.has = 0;
    e.scale = 0;
    e.positive = sl_buckets_of(sl_slice(NULL, 0), &e.positive_offset);
    e.negative = sl_buckets_of(sl_slice(NULL, 0), &e.negative_offset);
    while (sl_wire_next(&w)) {
        switch (w.number * 8 + w.type) {
        case 4 * 8 + SL_FIXED64:
            e.count = w.value;
            break;
        case 5 * 8 + SL_FIXED64:
            e.sum = sl_get_double(w.value);
            e.has |= SL_HAS_SUM;
            break;
        case 6 * 8 + SL_VARINT:
            e.scale = (int32_t)sl_get_sint(w.value);
            break;
        case 7 * 8 + SL_FIXED64:
            e.zero_count = w.value;
            break;
        case 8 * 8 + SL_BYTES:
            e.positive = sl_buckets_of(w.bytes, &e.positive_offset);
            break;
        case 9 * 8 + SL_BYTES:
            e.negative = sl_buckets_of(w.bytes, &e.negative_offset);
            break;
        case 12 * 8 + SL_FIXED64:
            e.min = sl_get_double(w.value);
            e.has |= SL_HAS_MIN;
            break;
        case 13 * 8 + SL_FIXED64:
            e.max = sl_get_double(w.value);
            e.has |= SL_HAS_MAX;
            break;
        case 14 * 8 + SL_FIXED64:
            e.zero_threshold = sl_get_double(w.value);
            break;
        default:
            break;
        }
    }
    return e;
}

/* Of a point of SL_METRIC_SUMMARY. */
typedef struct sl_summary {
    uint64_t count;
    double sum;
    sl_repeated quantiles; /* for sl_quantile_next */
} sl_summary;

static inline sl_summary sl_point_summary(const sl_point *p)
{
    sl_summary s;
    s.count = sl_message_number(p->record, 4);
    s.sum = sl_get_double(sl_message_number(p->record, 5));
    s.quantiles = sl_repeated_of(p->record, 6);
    return s;
}

static inline bool sl_quantile_next(sl_repeated *quantiles, double *quantile, double *value)
{
    sl_bytes record;
    const bool more = sl_repeated_next(quantiles, &record);
    *quantile = sl_get_double(sl_message_number(record, 1));
    *value = sl_get_double(sl_message_number(record, 2));
    return more;
}

typedef struct sl_exemplar {
    sl_bytes record;            /* the Exemplar message */
    sl_bytes trace_id, span_id; /* 16 and 8 bytes, or none */
    uint64_t time_ns;
    sl_number value;
    uint32_t value_type; /* SL_VALUE_INT, SL_VALUE_DOUBLE, or SL_VALUE_EMPTY */
    uint32_t reserved;
} sl_exemplar;

static inline sl_repeated sl_point_exemplars(const sl_point *p)
{
    const uint32_t field = p->type == SL_METRIC_HISTOGRAM     ? 8
                           : p->type == SL_METRIC_EXPONENTIAL ? 11
                                                              : 5;
    return sl_repeated_in(p->record, p->exemplars_at, p->exemplars_end, field);
}

static inline bool sl_exemplar_next(sl_repeated *exemplars, sl_exemplar *exemplar)
{
    sl_wire w;
    const bool more = sl_repeated_next(exemplars, &exemplar->record);
    exemplar->trace_id = exemplar->span_id = sl_slice(NULL, 0);
    exemplar->time_ns = 0;
    exemplar->value.u = 0;
    exemplar->value_type = SL_VALUE_EMPTY;
    exemplar->reserved = 0;
    w = sl_wire_of(exemplar->record);
    while (sl_wire_next(&w)) {
        if (w.type == SL_FIXED64) {
            if (w.number == 2) {
                exemplar->time_ns = w.value;
            } else if (w.number == 3 || w.number == 6) {
                exemplar->value.u = w.value;
                exemplar->value_type = w.number == 3 ? SL_VALUE_DOUBLE : SL_VALUE_INT;
            }
        } else if (w.type == SL_BYTES) {
            if (w.number == 4) {
                exemplar->span_id = w.bytes;
            } else if (w.number == 5) {
                exemplar->trace_id = w.bytes;
            }
        }
    }
    return more;
}

static inline sl_attrs sl_exemplar_attrs(const sl_exemplar *e)
{
    return sl_repeated_of(e->record, 7);
}

/* ---- 6. writer ----------------------------------------------------------------------------- */

/* Writes protobuf fields one after another. What is written is used, zeros and empty strings too:
 * leaving out a field that has its default is the caller's choice. Zero it, then set `at` and
 * `room`, or `grow`. Failing is sticky: write everything, then look at `failed` once. */
typedef struct sl_writer sl_writer;
struct sl_writer {
    uint8_t *at;
    size_t used, room;
    /* Makes room for `more` bytes behind `used` (updates at and room) or returns false. NULL: the
     * memory is fixed. */
    bool (*grow)(sl_writer *, size_t more);
    void *ctx; /* grow's */
    bool failed;
};

static inline sl_writer sl_writer_fixed(void *at, size_t room)
{
    sl_writer w;
    w.at = (uint8_t *)at;
    w.used = 0;
    w.room = room;
    w.grow = NULL;
    w.ctx = NULL;
    w.failed = false;
    return w;
}

static inline sl_writer sl_writer_growing(bool (*grow)(sl_writer *, size_t more), void *ctx)
{
    sl_writer w = sl_writer_fixed(NULL, 0);
    w.grow = grow;
    w.ctx = ctx;
    return w;
}

static inline sl_bytes sl_written(const sl_writer *w)
{
    return sl_slice(w->at, w->used);
}

/* Room for `more` bytes at at[used]; false once the writer has failed. */
static inline bool sl_writer_room(sl_writer *w, size_t more)
{
    if (more <= w->room - w->used && !w->failed) {
        return true;
    }
    if (w->failed || !w->grow || !w->grow(w, more) || more > w->room - w->used) {
        w->failed = true;
        return false;
    }
    return true;
}

/* Bytes that the varint takes: 1 to 10. */
static inline size_t sl_varint_size(uint64_t v)
{
#if defined(__GNUC__)
    return (size_t)((9 * (63 - __builtin_clzll(v | 1)) + 73) / 64);
#else
    size_t n = 1;
    for (; v >= 0x80; v >>= 7) {
        n++;
    }
    return n;
#endif
}

static inline size_t sl_tag_size(uint32_t field)
{
    return sl_varint_size((uint64_t)field << 3);
}

/* The put functions need room that was checked before, and return what follows. */
static inline uint8_t *sl_put_varint(uint8_t *p, uint64_t v)
{
    for (; v >= 0x80; v >>= 7) {
        *p++ = (uint8_t)(v | 0x80);
    }
    *p++ = (uint8_t)v;
    return p;
}

static inline uint8_t *sl_put_tag(uint8_t *p, uint32_t field, uint32_t wire_type)
{
    return sl_put_varint(p, ((uint64_t)field << 3) | wire_type);
}

static inline uint8_t *sl_put_slice(uint8_t *p, sl_bytes b)
{
    if (b.n) {
        memcpy(p, b.p, b.n);
    }
    return p + b.n;
}

static inline void sl_write_raw(sl_writer *w, sl_bytes b)
{
    if (b.n > 0 && sl_writer_room(w, b.n)) {
        w->used = (size_t)(sl_put_slice(w->at + w->used, b) - w->at);
    }
}

static inline void sl_write_varint(sl_writer *w, uint32_t field, uint64_t v)
{
    if (sl_writer_room(w, sl_tag_size(field) + sl_varint_size(v))) {
        w->used = (size_t)(sl_put_varint(sl_put_tag(w->at + w->used, field, SL_VARINT), v) - w->at);
    }
}

/* int32, int64, enum: a negative number takes ten bytes. */
static inline void sl_write_int(sl_writer *w, uint32_t field, int64_t v)
{
    sl_write_varint(w, field, (uint64_t)v);
}

static inline void sl_write_bool(sl_writer *w, uint32_t field, bool v)
{
    sl_write_varint(w, field, v ? 1 : 0);
}

/* sint32, sint64 */
static inline void sl_write_sint(sl_writer *w, uint32_t field, int64_t v)
{
    sl_write_varint(w, field, ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0));
}

static inline void sl_write_fixed64(sl_writer *w, uint32_t field, uint64_t v)
{
    if (sl_writer_room(w, sl_tag_size(field) + sizeof v)) {
        uint8_t *p = sl_put_tag(w->at + w->used, field, SL_FIXED64);
        memcpy(p, &v, sizeof v);
        w->used = (size_t)(p + sizeof v - w->at);
    }
}

static inline void sl_write_fixed32(sl_writer *w, uint32_t field, uint32_t v)
{
    if (sl_writer_room(w, sl_tag_size(field) + sizeof v)) {
        uint8_t *p = sl_put_tag(w->at + w->used, field, SL_FIXED32);
        memcpy(p, &v, sizeof v);
        w->used = (size_t)(p + sizeof v - w->at);
    }
}

static inline void sl_write_double(sl_writer *w, uint32_t field, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    sl_write_fixed64(w, field, bits);
}

/* bytes, string, and messages that are already encoded */
static inline void sl_write_bytes(sl_writer *w, uint32_t field, sl_bytes b)
{
    if (sl_writer_room(w, sl_tag_size(field) + sl_varint_size(b.n) + b.n)) {
        uint8_t *p = sl_put_varint(sl_put_tag(w->at + w->used, field, SL_BYTES), b.n);
        w->used = (size_t)(sl_put_slice(p, b) - w->at);
    }
}

static inline void sl_write_text(sl_writer *w, uint32_t field, const char *text)
{
    sl_write_bytes(w, field, sl_str(text));
}

/* A nested message: mark = sl_write_begin(w, field); its fields; sl_write_end(w, mark). The length
 * is written at the end in as few bytes as it needs, which moves the message where the guess was
 * wrong: `_sized` with a message that is known to be large avoids that. Ends in reverse order. */
static inline size_t sl_write_begin_sized(sl_writer *w, uint32_t field, size_t guess)
{
    const size_t reserved = sl_varint_size(guess);
    if (!sl_writer_room(w, sl_tag_size(field) + reserved)) {
        return 0;
    }
    w->used = (size_t)(sl_put_tag(w->at + w->used, field, SL_BYTES) - w->at);
    w->used += reserved;
    return w->used * 16 + reserved;
}

static inline size_t sl_write_begin(sl_writer *w, uint32_t field)
{
    return sl_write_begin_sized(w, field, 0);
}

static inline void sl_write_end(sl_writer *w, size_t mark)
{
    const size_t start = mark / 16, reserved = mark % 16;
    if (w->failed) {
        return;
    }
    const size_t n = w->used - start, needed = sl_varint_size(n);
    if (needed != reserved) {
        if (needed > reserved && !sl_writer_room(w, needed - reserved)) {
            return;
        }
        memmove(w->at + start - reserved + needed, w->at + start, n);
        w->used = start - reserved + needed + n;
    }
    sl_put_varint(w->at + start - reserved, n);
}

/* Packed repeated numbers; nothing is written for none. */
static inline void sl_write_packed_varint(sl_writer *w, uint32_t field, const uint64_t *v, size_t n)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        bytes += sl_varint_size(v[i]);
    }
    if (n && sl_writer_room(w, sl_tag_size(field) + sl_varint_size(bytes) + bytes)) {
        uint8_t *p = sl_put_varint(sl_put_tag(w->at + w->used, field, SL_BYTES), bytes);
        for (size_t i = 0; i < n; i++) {
            p = sl_put_varint(p, v[i]);
        }
        w->used = (size_t)(p - w->at);
    }
}

static inline void sl_write_packed_fixed64(sl_writer *w, uint32_t field, const uint64_t *v,
                                           size_t n)
{
    if (n) {
        sl_write_bytes(w, field, sl_slice(v, n * sizeof *v));
    }
}

static inline void sl_write_packed_double(sl_writer *w, uint32_t field, const double *v, size_t n)
{
    if (n) {
        sl_write_bytes(w, field, sl_slice(v, n * sizeof *v));
    }
}

/* AnyValue as field `field`: of a KeyValue 2, of an ArrayValue 1, of a LogRecord's body 5. */
static inline void sl_write_value_text(sl_writer *w, uint32_t field, sl_bytes v)
{
    const size_t inner = 1 + sl_varint_size(v.n) + v.n;
    if (sl_writer_room(w, sl_tag_size(field) + sl_varint_size(inner) + inner)) {
        uint8_t *p = sl_put_varint(sl_put_tag(w->at + w->used, field, SL_BYTES), inner);
        *p++ = 0x0a; /* string_value */
        w->used = (size_t)(sl_put_slice(sl_put_varint(p, v.n), v) - w->at);
    }
}

static inline void sl_write_value_bytes(sl_writer *w, uint32_t field, sl_bytes v)
{
    const size_t mark = sl_write_begin_sized(w, field, v.n);
    sl_write_bytes(w, 7, v);
    sl_write_end(w, mark);
}

static inline void sl_write_value_bool(sl_writer *w, uint32_t field, bool v)
{
    const size_t mark = sl_write_begin(w, field);
    sl_write_bool(w, 2, v);
    sl_write_end(w, mark);
}

static inline void sl_write_value_int(sl_writer *w, uint32_t field, int64_t v)
{
    const size_t mark = sl_write_begin(w, field);
    sl_write_int(w, 3, v);
    sl_write_end(w, mark);
}

static inline void sl_write_value_double(sl_writer *w, uint32_t field, double v)
{
    const size_t mark = sl_write_begin(w, field);
    sl_write_double(w, 4, v);
    sl_write_end(w, mark);
}

/* KeyValue as field `field`, one attribute. For values of other kinds:
 *     kv = sl_write_begin(w, field); sl_write_bytes(w, 1, key);
 *     v = sl_write_begin(w, 2); list = sl_write_begin(w, 5);
 *     sl_write_value_text(w, 1, first); sl_write_value_text(w, 1, second);
 *     sl_write_end(w, list); sl_write_end(w, v); sl_write_end(w, kv); */
static inline void sl_write_attr_text(sl_writer *w, uint32_t field, sl_bytes key, sl_bytes value)
{
    const size_t any = 1 + sl_varint_size(value.n) + value.n;
    const size_t kv = 1 + sl_varint_size(key.n) + key.n + 1 + sl_varint_size(any) + any;
    if (sl_writer_room(w, sl_tag_size(field) + sl_varint_size(kv) + kv)) {
        uint8_t *p = sl_put_varint(sl_put_tag(w->at + w->used, field, SL_BYTES), kv);
        *p++ = 0x0a; /* key */
        p = sl_put_slice(sl_put_varint(p, key.n), key);
        *p++ = 0x12; /* value */
        p = sl_put_varint(p, any);
        *p++ = 0x0a; /* string_value */
        w->used = (size_t)(sl_put_slice(sl_put_varint(p, value.n), value) - w->at);
    }
}

static inline void sl_write_attr_bool(sl_writer *w, uint32_t field, sl_bytes key, bool value)
{
    const size_t mark = sl_write_begin_sized(w, field, key.n + 8);
    sl_write_bytes(w, 1, key);
    sl_write_value_bool(w, 2, value);
    sl_write_end(w, mark);
}

static inline void sl_write_attr_int(sl_writer *w, uint32_t field, sl_bytes key, int64_t value)
{
    const size_t mark = sl_write_begin_sized(w, field, key.n + 8);
    sl_write_bytes(w, 1, key);
    sl_write_value_int(w, 2, value);
    sl_write_end(w, mark);
}

static inline void sl_write_attr_double(sl_writer *w, uint32_t field, sl_bytes key, double value)
{
    const size_t mark = sl_write_begin_sized(w, field, key.n + 8);
    sl_write_bytes(w, 1, key);
    sl_write_value_double(w, 2, value);
    sl_write_end(w, mark);
}

#ifdef __cplusplus
}
#else
_Static_assert(sizeof(sl_view) == 104 && sizeof(sl_array) == 16, "these keep their size for good");
_Static_assert(sizeof(sl_span) == 136 && sizeof(sl_point) == 96 && sizeof(sl_log_record) == 128,
               "records grow only at their end");
#endif
#endif
