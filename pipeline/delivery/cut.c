/* Cutting a payload from pieces. Whole deliveries are merged by listing their segments; parts of
 * them are cut out under their resources and scopes, and copied where the slices would be small:
 * a slice costs a reference and an iovec wherever it goes, a short copy does not. */
#include "formats/otlp/view.h"
#include "pipeline/delivery/delivery.h"
#include <stdlib.h>

/* Bytes in an average slice from which on it is referenced instead of copied. */
enum { REFERENCE_FROM = 4096 };

/* Neighbouring pieces of one delivery. */
struct group {
    struct payload *payload;
    bool whole;        /* all items as they are: its segments are listed */
    uint32_t first, n; /* ranges */
    sl_view view;
    struct otlp_cut cut;
};

struct cutting {
    struct otlp_range *ranges; /* of all pieces */
    struct group *groups;
    uint32_t n_groups;
    uint64_t bytes, slices, starts, arena, items;
    bool replaces;
};

static bool is_whole(const sl_piece *p)
{
    return !p->first && p->count == p->from->items && !p->with.p;
}

static int32_t plan_group(struct cutting *c, struct group *g)
{
    if (g->whole) {
        c->slices += g->payload->pub.n_segments;
        c->bytes += g->payload->pub.bytes;
        c->items += g->payload->pub.items;
        return SL_OK;
    }
    int32_t status = payload_view(g->payload, &g->view);
    if (status != SL_OK)
        return status;
    status = otlp_cut_plan(&g->view, c->ranges + g->first, g->n, &g->cut, NULL);
    if (status != SL_OK)
        return status;
    c->slices += g->cut.n_slices;
    c->starts += g->cut.n_starts;
    c->arena += g->cut.arena_used;
    c->bytes += g->cut.bytes;
    c->items += g->cut.items;
    return SL_OK;
}

static int32_t plan(struct cutting *c, const sl_piece *pieces, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const sl_piece p = piece_normal(&pieces[i]);
        struct payload *payload = payload_of(p.from->payload);
        c->ranges[i] = (struct otlp_range){.first = p.first, .count = p.count, .with = p.with};
        c->replaces |= p.with.p != NULL;
        struct group *last = c->n_groups ? &c->groups[c->n_groups - 1] : NULL;
        if (last && last->payload == payload && !last->whole && !is_whole(&p))
            last->n++;
        else
            c->groups[c->n_groups++] =
                (struct group){.payload = payload, .whole = is_whole(&p), .first = i, .n = 1};
    }
    for (uint32_t i = 0; i < c->n_groups; i++) {
        const int32_t status = plan_group(c, &c->groups[i]);
        if (status != SL_OK)
            return status;
    }
    return c->slices <= UINT32_MAX && c->items <= UINT32_MAX ? SL_OK : SL_ERR_TOO_LARGE;
}

/* The slices of all groups, one after another. */
static void fill(struct cutting *c, sl_bytes *slices, uint32_t *starts, uint8_t *arena)
{
    for (uint32_t i = 0; i < c->n_groups; i++) {
        struct group *g = &c->groups[i];
        if (g->whole) {
            for (uint32_t k = 0; k < g->payload->pub.n_segments; k++)
                *slices++ = g->payload->pub.segments[k];
            continue;
        }
        g->cut.slices = slices;
        g->cut.starts = starts;
        g->cut.arena = arena;
        otlp_cut_fill(&g->view, c->ranges + g->first, g->n, &g->cut);
        slices += g->cut.n_slices;
        starts += g->cut.n_starts;
        arena =
            arena ? arena + g->cut.arena_used : NULL; /* there is none where nothing is copied */
    }
}

static struct payload *reference(struct memory *memory, struct cutting *c, uint32_t signal)
{
    struct payload *p = payload_list(memory, (uint32_t)c->slices, c->n_groups);
    uint32_t *starts = malloc(c->starts * sizeof *starts + 1);
    bool aligned = true;
    if (p && c->arena)
        p->buffer = memory_buffer_take(memory, c->arena, &p->capacity);
    if (!p || !starts || (c->arena && !p->buffer)) {
        free(starts);
        payload_unref(p);
        return NULL;
    }
    fill(c, (sl_bytes *)(uintptr_t)p->pub.segments, starts, p->buffer);
    free(starts);
    for (uint32_t i = 0; i < c->n_groups; i++) {
        payload_list_hold(p, c->groups[i].payload);
        aligned &= c->groups[i].whole && (c->groups[i].payload->pub.flags & SL_PAYLOAD_ALIGNED);
    }
    p->pub.signal = signal;
    p->pub.encoding = c->groups[0].payload->pub.encoding;
    p->pub.bytes = c->bytes;
    p->pub.items = (uint32_t)c->items;
    p->pub.flags = aligned ? SL_PAYLOAD_ALIGNED : 0;
    return p;
}

static struct payload *copy(struct memory *memory, struct cutting *c, uint32_t signal)
{
    const size_t n_slices = c->slices * sizeof(sl_bytes), n_starts = c->starts * sizeof(uint32_t);
    uint8_t *scratch = malloc(n_slices + n_starts + c->arena + 1);
    struct payload *p = scratch ? payload_open(memory, c->bytes) : NULL;
    if (p) {
        sl_bytes *slices = (sl_bytes *)(void *)scratch;
        fill(c, slices, (uint32_t *)(void *)(scratch + n_slices), scratch + n_slices + n_starts);
        uint8_t *to = p->buffer;
        for (uint64_t i = 0; i < c->slices; i++)
            to = sl_put_slice(to, slices[i]);
        payload_close_trusted(p, c->bytes, signal, (uint32_t)c->items);
    }
    free(scratch);
    return p;
}

int32_t payload_cut(struct memory *memory, const sl_piece *pieces, uint32_t n, struct payload **out)
{
    const sl_payload *first = pieces[0].from->payload;
    bool whole = true;
    for (uint32_t i = 0; i < n; i++) {
        const sl_piece p = piece_normal(&pieces[i]);
        const sl_payload *from = p.from->payload;
        whole &= is_whole(&p);
        if (from->signal != first->signal ||
            strcmp(from->encoding ? from->encoding : "", first->encoding ? first->encoding : ""))
            return SL_ERR_INVALID;
    }
    if (whole && n == 1) {
        *out = payload_of(first);
        payload_ref(*out);
        return SL_OK;
    }
    if (first->encoding) /* encodings are neither merged nor cut: they are decoded first */
        return SL_ERR_UNSUPPORTED;
    struct cutting c = {0};
    c.ranges = malloc(n * sizeof *c.ranges);
    c.groups = malloc(n * sizeof *c.groups);
    int32_t status = c.ranges && c.groups ? plan(&c, pieces, n) : SL_ERR_NOMEM;
    if (status == SL_OK) {
        const bool small = c.bytes / (c.slices ? c.slices : 1) < REFERENCE_FROM;
        *out = c.replaces || (small && !whole) ? copy(memory, &c, first->signal)
                                               : reference(memory, &c, first->signal);
        status = *out ? SL_OK : SL_ERR_NOMEM;
    }
    free(c.ranges);
    free(c.groups);
    return status;
}
