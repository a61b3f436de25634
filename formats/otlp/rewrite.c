/* See rewrite.h. The walk keeps the stretch of old bytes that nobody has changed yet (`run`); it is
 * written out only when something after it changes, and envelopes are opened as late. */
#include "formats/otlp/rewrite.h"
#include "formats/otlp/view_entries.h"

#include <stdlib.h>

/* Old bytes from so many on are referenced: a slice costs a reference and an iovec wherever it
 * goes, a short copy does not. */
enum { REFERENCE_FROM = 4096 };

enum { STRETCHES_KEPT = 65536 /* room for more is not kept for the next request */ };

/* Envelopes that an item stands in, from outside. */
enum { RESOURCE, SCOPE, METRIC, DATA, LEVELS };

enum {
    HEAD_MAX = 1 + SL_VARINT_MAX,
    TAG_ITEM = OTLP_SCOPE_ITEMS << 3 | SL_BYTES,
    TAG_POINT = OTLP_DATA_POINTS << 3 | SL_BYTES
};

struct mark {
    size_t used;
    uint32_t n;
    uint64_t bytes;
    size_t last_n; /* of the last stretch */
    bool aligned;
};

struct level {
    const uint8_t *head;    /* where its tag begins in the old request */
    const uint8_t *content; /* what follows the length */
    struct mark before;
    size_t length_at, length_room; /* in the new memory */
    uint64_t content_at;           /* `bytes` where the content begins */
    uint32_t first_stretch;
    uint32_t seen, left; /* items before it */
    bool open;
    bool dropped; /* by a call: vanishes even if it has no items */
};

struct walk {
    struct otlp_rewriter *r;
    const struct otlp_rewrite_calls *calls;
    void *ctx;
    const sl_bytes *segments;
    uint32_t segment; /* at hand */
    uint32_t signal;
    const uint8_t *run;
    uint32_t n_levels;
    bool dropping; /* all that comes, until the level at hand ends */
    int32_t status;
    struct level levels[LEVELS];
};

static bool fail(struct walk *w, int32_t status)
{
    if (w->status == SL_OK) {
        w->status = status;
    }
    return false;
}

/* ---- stretches ---- */

static bool add_stretch(struct walk *w, const uint8_t *p, size_t at, size_t n)
{
    struct otlp_rewriter *r = w->r;
    struct otlp_stretch *last = r->n > 0 ? &r->stretches[r->n - 1] : NULL;
    r->bytes += n;
    if (last && (p ? last->p && last->p + last->n == p : !last->p && last->at + last->n == at)) {
        last->n += n;
        return true;
    }
    if (r->n == r->room) {
        const uint32_t room = r->room ? r->room * 2 : 32;
        struct otlp_stretch *grown =
            room > r->room ? realloc(r->stretches, room * sizeof *grown) : NULL;
        if (!grown) {
            return fail(w, SL_ERR_NOMEM);
        }
        r->stretches = grown;
        r->room = room;
    }
    r->stretches[r->n++] = (struct otlp_stretch){.p = p, .at = at, .n = n};
    return true;
}

/* Bytes that were just written to the new memory, from `at` on. */
static bool add_written(struct walk *w, size_t at)
{
    return w->r->out.failed ? fail(w, SL_ERR_NOMEM) : add_stretch(w, NULL, at, w->r->out.used - at);
}

static bool is_old(const struct walk *w, sl_bytes b)
{
    const sl_bytes s = w->segments[w->segment];
    const uintptr_t at = (uintptr_t)b.p, begin = (uintptr_t)s.p;
    return at >= begin && b.n <= s.n && at - begin <= s.n - b.n;
}

static bool add_old(struct walk *w, const uint8_t *from, const uint8_t *to)
{
    const size_t n = (size_t)(to - from);
    if (n >= REFERENCE_FROM) {
        return add_stretch(w, from, 0, n);
    }
    const size_t at = w->r->out.used;
    sl_write_raw(&w->r->out, sl_slice(from, n));
    return n == 0 || add_written(w, at);
}

/* The stretch that nobody changed, up to `to`; what follows begins at `next`. */
static bool flush(struct walk *w, const uint8_t *to, const uint8_t *next)
{
    const bool ok = w->run == to || add_old(w, w->run, to);
    w->run = next;
    return ok;
}

/* From now on everything is written: first the segments that stayed as they are. */
static bool begin_change(struct walk *w)
{
    struct otlp_rewriter *r = w->r;
    if (r->changed) {
        return true;
    }
    r->changed = true;
    const uint32_t at_hand = w->segment;
    for (w->segment = 0; w->segment < at_hand; w->segment++) {
        const sl_bytes s = w->segments[w->segment];
        if (s.n && !add_old(w, s.p, s.p + s.n)) {
            break;
        }
    }
    w->segment = at_hand;
    return w->status == SL_OK;
}

/* A message with its tag. Long parts of the old request are referenced. */
static bool write_message(struct walk *w, uint8_t tag, const struct otlp_parts *parts)
{
    sl_writer *out = &w->r->out;
    size_t at = out->used;
    if (parts->failed || !sl_writer_room(out, HEAD_MAX)) {
        return fail(w, SL_ERR_NOMEM);
    }
    out->at[out->used] = tag;
    out->used = (size_t)(sl_put_varint(out->at + out->used + 1, parts->bytes) - out->at);
    for (uint32_t i = 0; i < parts->n; i++) {
        const sl_bytes part = parts->at[i];
        if (part.n >= REFERENCE_FROM && is_old(w, part)) {
            if (!add_written(w, at) || !add_stretch(w, part.p, 0, part.n)) {
                return false;
            }
            at = out->used;
        } else {
            sl_write_raw(out, part);
        }
    }
    return add_written(w, at);
}

/* ---- envelopes ---- */

static struct mark mark_of(const struct otlp_rewriter *r)
{
    return (struct mark){.used = r->out.used,
                         .n = r->n,
                         .bytes = r->bytes,
                         .last_n = r->n ? r->stretches[r->n - 1].n : 0,
                         .aligned = r->aligned};
}

static void go_back(struct otlp_rewriter *r, const struct mark *mark)
{
    r->out.used = mark->used;
    r->n = mark->n;
    r->bytes = mark->bytes;
    r->aligned = mark->aligned;
    if (r->n) {
        r->stretches[r->n - 1].n = mark->last_n;
    }
}

static struct level *enter(struct walk *w, const uint8_t *head, const uint8_t *content)
{
    struct level *level = &w->levels[w->n_levels++];
    level->head = head;
    level->content = content;
    level->seen = w->r->seen;
    level->left = w->r->items;
    level->open = level->dropped = false;
    return level;
}

static bool open_level(struct walk *w, struct level *level)
{
    struct otlp_rewriter *r = w->r;
    const size_t head = (size_t)(level->content - level->head);
    if (!flush(w, level->head, level->content)) {
        return false;
    }
    level->before = mark_of(r);
    /* the old tag, and room for a length of the old size: the new one rarely needs another */
    const size_t at = r->out.used;
    sl_write_raw(&r->out, sl_slice(level->head, head));
    if (!add_written(w, at)) {
        return false;
    }
    uint64_t tag;
    const uint8_t *length = sl_get_varint(level->head, level->content, &tag);
    level->length_room = length ? (size_t)(level->content - length) : 0;
    level->length_at = r->out.used - level->length_room;
    level->content_at = r->bytes;
    level->first_stretch = r->n - 1;
    level->open = true;
    return true;
}

/* Something in the innermost envelope changes. */
static bool open_levels(struct walk *w)
{
    if (w->n_levels > 0 && w->levels[w->n_levels - 1].open) {
        return true;
    }
    if (!begin_change(w)) {
        return false;
    }
    for (uint32_t i = 0; i < w->n_levels; i++) {
        if (!w->levels[i].open && !open_level(w, &w->levels[i])) {
            return false;
        }
    }
    return true;
}

/* Moves what was written behind a length that needs more or fewer bytes than the old one. */
static bool resize_length(struct walk *w, const struct level *level, size_t needed)
{
    struct otlp_rewriter *r = w->r;
    const size_t behind = level->length_at + level->length_room;
    if (needed > level->length_room && !sl_writer_room(&r->out, needed - level->length_room)) {
        return fail(w, SL_ERR_NOMEM);
    }
    memmove(r->out.at + level->length_at + needed, r->out.at + behind, r->out.used - behind);
    r->out.used = r->out.used - level->length_room + needed;
    r->bytes = r->bytes - level->length_room + needed;
    r->stretches[level->first_stretch].n =
        r->stretches[level->first_stretch].n - level->length_room + needed;
    for (uint32_t i = level->first_stretch + 1; i < r->n; i++) {
        if (!r->stretches[i].p) {
            r->stretches[i].at = r->stretches[i].at - level->length_room + needed;
        }
    }
    return true;
}

static bool leave(struct walk *w, const uint8_t *end)
{
    struct otlp_rewriter *r = w->r;
    struct level *level = &w->levels[--w->n_levels];
    /* a metric's data may come in several parts, which hold its other fields: the metric vanishes */
    const bool emptied = w->n_levels != DATA && r->seen > level->seen && r->items == level->left;
    if (!level->open) {
        return true;
    }
    if (emptied || level->dropped) {
        go_back(r, &level->before);
        w->run = end;
        return true;
    }
    if (!flush(w, end, end)) {
        return false;
    }
    const uint64_t n = r->bytes - level->content_at;
    const size_t needed = sl_varint_size(n);
    if (needed != level->length_room && !resize_length(w, level, needed)) {
        return false;
    }
    sl_put_varint(r->out.at + level->length_at, n);
    if (w->n_levels == 0) {
        r->aligned &= level->first_stretch == r->n - 1;
    }
    return true;
}

/* ---- what the calls say ---- */

static bool walk_item(struct walk *w, sl_bytes record, const uint8_t *head, uint32_t metric_type)
{
    struct otlp_rewriter *r = w->r;
    const uint32_t item = r->seen++;
    enum otlp_verdict verdict = OTLP_KEEP;
    if (w->dropping) {
        verdict = OTLP_DROP;
    } else if (w->calls->item) {
        otlp_parts_clear(&r->parts);
        verdict = w->calls->item(w->ctx, record, metric_type, &r->parts);
    }
    const uint8_t *end = record.p + record.n;
    switch (verdict) {
    case OTLP_KEEP:
        r->items++;
        return true;
    case OTLP_CHANGE:
        r->items++;
        return open_levels(w) && flush(w, head, end) &&
               write_message(w, metric_type ? TAG_POINT : TAG_ITEM, &r->parts);
    case OTLP_DROP:
        if (r->keep) {
            sl_mask_clear(r->keep, item);
        }
        return open_levels(w) && flush(w, head, end);
    default:
        return fail(w, SL_ERR_NOMEM);
    }
}

/* All occurrences of field `number`, one after another: the merged message. */
static bool find_header(struct walk *w, sl_bytes envelope, uint32_t number, sl_bytes *record)
{
    sl_bytes part;
    size_t n = 0, parts = 0;
    sl_repeated all = sl_repeated_of(envelope, number);
    *record = sl_slice(NULL, 0);
    while (sl_repeated_next(&all, &part)) {
        *record = part;
        n += part.n;
        parts++;
    }
    if (parts <= 1) {
        return true;
    }
    uint8_t *to = otlp_scratch_room(&w->r->merged, n + 1);
    if (!to) {
        return fail(w, SL_ERR_NOMEM);
    }
    otlp_scratch_take(&w->r->merged, n);
    *record = sl_slice(to, n);
    all = sl_repeated_of(envelope, number);
    while (sl_repeated_next(&all, &part)) {
        to = sl_put_slice(to, part);
    }
    return true;
}

/* Shows the header (resource or scope) of the level that was just entered. `*replaced`: it is
 * written, and the old one is to be left out. */
static bool show_header(struct walk *w, struct level *level, sl_bytes envelope, uint32_t number,
                        enum otlp_verdict (*call)(void *, sl_bytes, struct otlp_parts *),
                        bool *replaced)
{
    struct otlp_parts *parts = &w->r->parts;
    sl_bytes record;
    *replaced = false;
    if (!call || w->dropping) {
        return true;
    }
    if (!find_header(w, envelope, number, &record)) {
        return false;
    }
    otlp_parts_clear(parts);
    switch (call(w->ctx, record, parts)) {
    case OTLP_KEEP:
        return true;
    case OTLP_CHANGE:
        *replaced = true;
        return open_levels(w) && write_message(w, (uint8_t)(number << 3 | SL_BYTES), parts);
    case OTLP_DROP:
        w->dropping = level->dropped = true;
        return open_levels(w);
    default:
        return fail(w, SL_ERR_NOMEM);
    }
}

/* ---- the walk ---- */

static bool ended(struct walk *w, const sl_wire *f)
{
    return f->p == f->end || fail(w, SL_ERR_INVALID);
}

static bool walk_data(struct walk *w, const sl_wire *data, const uint8_t *head)
{
    sl_wire f = sl_wire_of(data->bytes);
    const uint32_t type = data->number;
    enter(w, head, data->bytes.p);
    for (;;) {
        const uint8_t *from = f.p;
        if (!sl_wire_next(&f)) {
            break;
        }
        if (f.number == OTLP_DATA_POINTS && f.type == SL_BYTES &&
            !walk_item(w, f.bytes, from, type)) {
            return false;
        }
    }
    return ended(w, &f) && leave(w, f.end);
}

static bool walk_metric(struct walk *w, sl_bytes message, const uint8_t *head)
{
    const bool dropping = w->dropping;
    sl_wire f = sl_wire_of(message);
    struct level *level = enter(w, head, message.p);
    if (w->calls->metric && !dropping) {
        const enum otlp_verdict verdict = w->calls->metric(w->ctx, message);
        if (verdict == OTLP_DROP) {
            w->dropping = level->dropped = true;
            if (!open_levels(w)) {
                return false;
            }
        } else if (verdict != OTLP_KEEP) {
            return fail(w, SL_ERR_NOMEM);
        }
    }
    for (;;) {
        const uint8_t *from = f.p;
        if (!sl_wire_next(&f)) {
            break;
        }
        if (otlp_is_data(&f) && !walk_data(w, &f, from)) {
            return false;
        }
    }
    w->dropping = dropping;
    return ended(w, &f) && leave(w, f.end);
}

static bool walk_scope(struct walk *w, sl_bytes message, const uint8_t *head)
{
    const bool dropping = w->dropping;
    sl_wire f = sl_wire_of(message);
    struct level *level = enter(w, head, message.p);
    bool replaced;
    if (!show_header(w, level, message, OTLP_SCOPE_SCOPE, w->calls->scope, &replaced)) {
        return false;
    }
    for (;;) {
        const uint8_t *from = f.p;
        if (!sl_wire_next(&f)) {
            break;
        }
        if (f.type != SL_BYTES) {
            continue;
        }
        bool ok = true;
        if (f.number == OTLP_SCOPE_ITEMS) {
            ok = w->signal == SL_METRICS ? walk_metric(w, f.bytes, from)
                                         : walk_item(w, f.bytes, from, 0);
        } else if (f.number == OTLP_SCOPE_SCOPE && replaced) {
            ok = flush(w, from, f.p);
        }
        if (!ok) {
            return false;
        }
    }
    w->dropping = dropping;
    return ended(w, &f) && leave(w, f.end);
}

static bool walk_resource(struct walk *w, sl_bytes message, const uint8_t *head)
{
    sl_wire f = sl_wire_of(message);
    struct level *level = enter(w, head, message.p);
    bool replaced;
    otlp_scratch_clear(&w->r->merged);
    if (!show_header(w, level, message, OTLP_RECORD_RESOURCE, w->calls->resource, &replaced)) {
        return false;
    }
    const bool inside = w->dropping || w->calls->scope || w->calls->metric || w->calls->item;
    for (;;) {
        const uint8_t *from = f.p;
        if (!sl_wire_next(&f)) {
            break;
        }
        if (f.type != SL_BYTES) {
            continue;
        }
        bool ok = true;
        if (f.number == OTLP_RECORD_SCOPES && inside) {
            ok = walk_scope(w, f.bytes, from);
        } else if (f.number == OTLP_RECORD_RESOURCE && replaced) {
            ok = flush(w, from, f.p);
        }
        if (!ok) {
            return false;
        }
    }
    w->dropping = false;
    return ended(w, &f) && leave(w, f.end);
}

static bool walk_segment(struct walk *w)
{
    sl_wire f = sl_wire_of(w->segments[w->segment]);
    w->run = f.p;
    for (;;) {
        const uint8_t *from = f.p;
        if (!sl_wire_next(&f)) {
            break;
        }
        if (f.number == OTLP_TOP_RECORD && f.type == SL_BYTES && !walk_resource(w, f.bytes, from)) {
            return false;
        }
    }
    return ended(w, &f) && (!w->r->changed || flush(w, f.end, f.end));
}

int32_t otlp_rewrite(struct otlp_rewriter *r, uint32_t signal, const sl_bytes *segments,
                     uint32_t n_segments, const struct otlp_rewrite_calls *calls, void *ctx)
{
    struct walk w = {.r = r, .calls = calls, .ctx = ctx, .segments = segments, .signal = signal};
    if (r->room > STRETCHES_KEPT) {
        free(r->stretches);
        r->stretches = NULL;
        r->room = 0;
    }
    r->changed = false;
    r->aligned = true;
    r->n = r->items = r->seen = 0;
    r->bytes = 0;
    for (w.segment = 0; w.segment < n_segments && walk_segment(&w); w.segment++) {
    }
    return w.status;
}

void otlp_rewriter_free(struct otlp_rewriter *r)
{
    free(r->stretches);
    otlp_parts_free(&r->parts);
    otlp_scratch_free(&r->merged);
    *r = (struct otlp_rewriter){.n = 0};
}
