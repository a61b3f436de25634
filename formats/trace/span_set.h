/* The spans of one block, put in order: trace by trace, and in each trace parents before their
 * children. One thread at a time. */
#ifndef SLUICE_FORMATS_TRACE_SPAN_SET_H
#define SLUICE_FORMATS_TRACE_SPAN_SET_H
#include "formats/trace/memory.h"

/* Fields of a Span that are kept beside its attributes. */
enum span_field {
    SPAN_TRACE_ID = 1,
    SPAN_ID = 2,
    SPAN_TRACE_STATE = 3,
    SPAN_PARENT_ID = 4,
    SPAN_NAME = 5,
    SPAN_KIND = 6,
    SPAN_START = 7,
    SPAN_END = 8,
    SPAN_ATTRIBUTE = 9,
    SPAN_DROPPED_ATTRIBUTES = 10,
    SPAN_EVENT = 11,
    SPAN_DROPPED_EVENTS = 12,
    SPAN_LINK = 13,
    SPAN_DROPPED_LINKS = 14,
    SPAN_STATUS = 15,
    SPAN_FLAGS = 16
};

/* Is this one of the fields that place a span: its ids, its parent's, its times? */
static inline bool is_place_field(const sl_wire *w)
{
    return w->number <= SPAN_END &&
           (w->type == SL_BYTES
                ? w->number == SPAN_TRACE_ID || w->number == SPAN_ID || w->number == SPAN_PARENT_ID
                : w->type == SL_FIXED64 && w->number >= SPAN_START);
}

struct set_span {
    sl_bytes record; /* in the request */
    uint64_t start, end;
    uint64_t id, parent_id; /* their bytes */
    uint32_t scope, trace;
    uint8_t has_parent; /* in the block or not */
    uint8_t whole;      /* its ids are not as they should be: it is kept as it is, without times */
};

struct set_trace {
    uint64_t high, low; /* of the id, big-endian */
    uint64_t start;     /* of the earliest root */
    uint32_t first, n;  /* spans in the final order */
};

struct set_scope {
    uint32_t resource;
    sl_bytes head; /* what the ScopeSpans has beside its spans */
};

/* Where a span is in the final order. */
struct set_place {
    uint32_t span;    /* index in spans */
    uint32_t parent;  /* in the final order; TRACE_NONE: a root */
    uint32_t sibling; /* the one before it, in the final order; TRACE_NONE: the first */
    uint32_t children;
};

struct span_set {
    struct trace_arena arena;
    sl_bytes *resources; /* what the ResourceSpans has beside its scopes */
    struct set_scope *scopes;
    struct set_span *spans;
    struct set_trace *traces; /* by their start */
    struct set_place *places;
    uint32_t n_resources, n_scopes, n_spans, n_traces;
    uint32_t room_resources, room_scopes, room_spans, room_traces;
    uint64_t bytes; /* of the requests */
    uint64_t unit;  /* times are cut to multiples of it; 0: as they are */
    struct trace_map resource_map, scope_map, trace_map;
};

/* Adds the spans of an export request, or of a stretch of whole top-level records. The bytes must
 * stay until the set is freed. SL_ERR_INVALID where they are malformed. */
int32_t span_set_add(struct span_set *set, sl_bytes request);

/* Fills traces and places. */
int32_t span_set_order(struct span_set *set);

void span_set_free(struct span_set *set);

#endif
