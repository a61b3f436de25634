/* Cuts messages out of views. The new message has the records as slices of the old bytes, in
 * envelopes of which only tag and length are new; a resource or scope that is taken whole is one
 * slice. Pure functions, any thread.
 *
 *     old:  RS1[ resource SS1[ scope span0 span1 span2 ] ] RS2[ ... ]
 *     cut of span1, span2, and all of RS2:
 *           tag+len | resource | tag+len | scope | span1 span2 | RS2[ ... ]
 */
#include "formats/otlp/view.h"
#include "formats/otlp/view_entries.h"

/* The envelopes that an item stands in, from outside. */
enum { RESOURCE, SCOPE, METRIC, DATA, LEVELS };

enum { ENVELOPE_MAX = 1 + SL_VARINT_MAX /* bytes of a one-byte tag and a length */ };

struct level {
    uint64_t content; /* cut.bytes where the envelope's content begins */
    uint32_t slice;   /* the slice with its tag and length */
    uint32_t index;   /* of the view's resource, scope or metric */
    uint8_t tag;
};

struct cutter {
    const sl_view *view;
    struct otlp_cut *cut;
    bool fill;
    bool whole;         /* the last slice is made of whole top-level records */
    uint32_t open;      /* levels in use */
    const uint8_t *end; /* of the last slice, if what follows there may be joined to it */
    struct level levels[LEVELS];
};

static uint8_t tag_of(uint32_t field)
{
    return (uint8_t)(field << 3 | SL_BYTES);
}

/* The items' place in the view, alike for all three signals. */
struct place {
    sl_bytes record;
    uint32_t head;
    uint32_t at[DATA + 1]; /* indices; DATA: the metric's */
};

static struct place place_of(const sl_view *view, uint32_t i)
{
    struct place place = {.at = {0}};
    if (view->signal == SL_TRACES) {
        const sl_span *span = sl_span_at(view, i);
        place.record = span->record;
        place.head = span->head;
        place.at[RESOURCE] = span->resource;
        place.at[SCOPE] = span->scope;
    } else if (view->signal == SL_LOGS) {
        const sl_log_record *log = sl_log_at(view, i);
        place.record = log->record;
        place.head = log->head;
        place.at[RESOURCE] = log->resource;
        place.at[SCOPE] = log->scope;
    } else {
        const sl_point *point = sl_point_at(view, i);
        place.record = point->record;
        place.head = point->head;
        place.at[RESOURCE] = point->resource;
        place.at[SCOPE] = point->scope;
        place.at[METRIC] = place.at[DATA] = point->metric;
    }
    return place;
}

/* ---- writing slices ---- */

static void add_slice(struct cutter *c, const uint8_t *p, uint64_t n)
{
    struct otlp_cut *cut = c->cut;
    if (n == 0) {
        return;
    }
    cut->bytes += n;
    if (c->end == p) {
        if (c->fill) {
            cut->slices[cut->n_slices - 1].n += (size_t)n;
        }
    } else {
        if (c->fill) {
            cut->slices[cut->n_slices] = sl_slice(p, (size_t)n);
        }
        cut->n_slices++;
    }
    c->end = p + n;
}

/* The next slice begins a top-level record. */
static void begin_record(struct cutter *c)
{
    struct otlp_cut *cut = c->cut;
    if (c->fill) {
        cut->starts[cut->n_starts] = cut->n_slices;
    }
    cut->n_starts++;
    c->end = NULL;
}

/* A slice for tag and length, to be written once the length is known. */
static uint32_t add_envelope(struct cutter *c)
{
    struct otlp_cut *cut = c->cut;
    if (c->fill) {
        cut->slices[cut->n_slices] = sl_slice(cut->arena + cut->arena_used, 0);
    }
    cut->arena_used += ENVELOPE_MAX;
    c->end = NULL;
    return cut->n_slices++;
}

static void write_envelope(struct cutter *c, uint32_t slice, uint8_t tag, uint64_t n)
{
    struct otlp_cut *cut = c->cut;
    cut->bytes += 1 + sl_varint_size(n);
    if (c->fill) {
        sl_bytes *at = &cut->slices[slice];
        uint8_t *to = cut->arena + (at->p - cut->arena);
        to[0] = tag;
        at->n = (size_t)(sl_put_varint(to + 1, n) - to);
    }
}

/* ---- envelopes ---- */

static void close_to(struct cutter *c, uint32_t open)
{
    while (c->open > open) {
        const struct level *level = &c->levels[--c->open];
        write_envelope(c, level->slice, level->tag, c->cut->bytes - level->content);
    }
}

static void open_level(struct cutter *c, uint32_t field, uint32_t index,
                       const struct otlp_header *header)
{
    struct level *level = &c->levels[c->open];
    if (c->open == RESOURCE) {
        begin_record(c);
    }
    c->whole = false;
    c->open++;
    level->tag = tag_of(field);
    level->index = index;
    level->slice = add_envelope(c);
    level->content = c->cut->bytes;
    for (uint32_t i = 0; i < 2; i++) {
        add_slice(c, header->parts[i].p, header->parts[i].n);
    }
}

static const struct otlp_resource_entry *resource_at(const struct cutter *c, uint32_t i)
{
    return (const struct otlp_resource_entry *)sl_array_at(&c->view->resources, i);
}

static const struct otlp_scope_entry *scope_at(const struct cutter *c, uint32_t i)
{
    return (const struct otlp_scope_entry *)sl_array_at(&c->view->scopes, i);
}

static const struct otlp_metric_entry *metric_at(const struct cutter *c, uint32_t i)
{
    return (const struct otlp_metric_entry *)sl_array_at(&c->view->metrics, i);
}

/* Opens the envelopes that the item needs and closes others. */
static void open_for(struct cutter *c, const struct place *place, uint32_t levels)
{
    uint32_t same = 0;
    while (same < c->open && same < levels && c->levels[same].index == place->at[same]) {
        same++;
    }
    close_to(c, same);
    for (uint32_t i = same; i < levels; i++) {
        const uint32_t index = place->at[i];
        switch (i) {
        case RESOURCE:
            open_level(c, OTLP_TOP_RECORD, index, &resource_at(c, index)->header);
            break;
        case SCOPE:
            open_level(c, OTLP_RECORD_SCOPES, index, &scope_at(c, index)->header);
            break;
        case METRIC:
            open_level(c, OTLP_SCOPE_ITEMS, index, &metric_at(c, index)->header);
            break;
        default:
            open_level(c, metric_at(c, index)->pub.type, index, &metric_at(c, index)->data);
            break;
        }
    }
}

/* ---- items ---- */

static void add_whole(struct cutter *c, sl_bytes message, uint32_t head)
{
    add_slice(c, message.p - head, (uint64_t)message.n + head);
}

static void add_whole_resource(struct cutter *c, const struct otlp_resource_entry *resource)
{
    close_to(c, RESOURCE);
    if (!c->whole || c->end != resource->pub.envelope.p - resource->header.head) {
        begin_record(c);
    }
    add_whole(c, resource->pub.envelope, resource->header.head);
    c->whole = true;
}

static bool covers(uint32_t first, uint32_t n, uint32_t from, uint32_t to)
{
    return first == from && n <= to - from;
}

/* Items from .. to-1, some of one envelope or that whole. Returns the first that is left. */
static uint32_t add_some(struct cutter *c, uint32_t from, uint32_t to)
{
    const bool metrics = c->view->signal == SL_METRICS;
    struct place place = place_of(c->view, from);
    const struct otlp_resource_entry *resource = resource_at(c, place.at[RESOURCE]);
    const struct otlp_scope_entry *scope = scope_at(c, place.at[SCOPE]);
    const struct otlp_metric_entry *metric = metrics ? metric_at(c, place.at[METRIC]) : NULL;
    if (covers(resource->pub.first, resource->pub.n, from, to)) {
        add_whole_resource(c, resource);
        return from + resource->pub.n;
    }
    if (covers(scope->pub.first, scope->pub.n, from, to)) {
        open_for(c, &place, SCOPE);
        add_whole(c, scope->pub.envelope, scope->header.head);
        return from + scope->pub.n;
    }
    if (metric && covers(metric->pub.first, metric->pub.n, from, to)) {
        open_for(c, &place, METRIC);
        add_whole(c, metric->pub.record, metric->header.head);
        return from + metric->pub.n;
    }
    const uint32_t end =
        metric ? metric->pub.first + metric->pub.n : scope->pub.first + scope->pub.n;
    const uint32_t stop = end < to ? end : to;
    open_for(c, &place, metric ? LEVELS : METRIC);
    for (;;) {
        add_whole(c, place.record, place.head);
        if (++from == stop) {
            return from;
        }
        place = place_of(c->view, from);
    }
}

static void add_replaced(struct cutter *c, uint32_t item, sl_bytes with)
{
    const struct place place = place_of(c->view, item);
    const bool metrics = c->view->signal == SL_METRICS;
    open_for(c, &place, metrics ? LEVELS : METRIC);
    const uint32_t slice = add_envelope(c);
    write_envelope(c, slice, tag_of(metrics ? OTLP_DATA_POINTS : OTLP_SCOPE_ITEMS), with.n);
    add_slice(c, with.p, with.n);
    c->end = NULL;
}

static void run(struct cutter *c, const struct otlp_range *ranges, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (ranges[i].with.p) {
            add_replaced(c, ranges[i].first, ranges[i].with);
            continue;
        }
        uint32_t at = ranges[i].first, to = at + ranges[i].count;
        while (i + 1 < n && !ranges[i + 1].with.p &&
               (ranges[i + 1].count == 0 || ranges[i + 1].first == to)) {
            to += ranges[++i].count;
        }
        while (at < to) {
            at = add_some(c, at, to);
        }
    }
    close_to(c, RESOURCE);
}

int32_t otlp_cut_plan(const sl_view *view, const struct otlp_range *ranges, uint32_t n,
                      struct otlp_cut *cut, sl_error *error)
{
    struct otlp_cut planned = {.items = 0};
    uint64_t items = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t end;
        if (__builtin_add_overflow(ranges[i].first, ranges[i].count, &end) || end > view->items.n) {
            return sl_fail(error, SL_ERR_INVALID, "items %u to %llu of a payload of %u",
                           ranges[i].first, (unsigned long long)ranges[i].first + ranges[i].count,
                           view->items.n);
        }
        if (ranges[i].with.p && ranges[i].count != 1) {
            return sl_fail(error, SL_ERR_INVALID, "one record cannot stand in for %u",
                           ranges[i].count);
        }
        items += ranges[i].count;
    }
    /* An item has at most an envelope on each level with three slices, and two of its own. */
    if (items > UINT32_MAX / (3 * LEVELS + 2)) {
        return sl_fail(error, SL_ERR_TOO_LARGE, "%llu items are too many for one payload",
                       (unsigned long long)items);
    }
    struct cutter c = {.view = view, .cut = &planned};
    run(&c, ranges, n);
    planned.items = (uint32_t)items;
    *cut = planned;
    return SL_OK;
}

void otlp_cut_fill(const sl_view *view, const struct otlp_range *ranges, uint32_t n,
                   struct otlp_cut *cut)
{
    struct cutter c = {.view = view, .cut = cut, .fill = true};
    cut->n_slices = cut->n_starts = 0;
    cut->arena_used = cut->bytes = 0;
    run(&c, ranges, n);
}
