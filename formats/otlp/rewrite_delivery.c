/* See rewrite_delivery.h. */
#include "formats/otlp/rewrite_delivery.h"

#include <stdlib.h>

enum {
    SPARE = 4096,       /* bytes beyond the estimate */
    PER_KIBI_MAX = 1024 /* more is not asked for beforehand, however small records have grown */
};

int32_t otlp_delivery_rewriter_init(struct otlp_delivery_rewriter *w, const sl_host *host,
                                    sl_error *error)
{
    *w = (struct otlp_delivery_rewriter){.host = host, .per_kibi = 128};
    w->rewrite = sl_interface(host, SL_REWRITE);
    return w->rewrite ? SL_OK
                      : sl_fail(error, SL_ERR_UNSUPPORTED, "the host is too old: it has no %s",
                                SL_REWRITE);
}

void otlp_delivery_rewriter_deinit(struct otlp_delivery_rewriter *w)
{
    otlp_rewriter_free(&w->r);
    free(w->segments);
    free(w->pieces);
}

/* The payload is opened with the first byte that is written, so that what stays as it is costs
 * nothing. Where there is no memory for all that is expected, there may be for what is needed. */
static bool grow(sl_writer *out, size_t more)
{
    struct otlp_delivery_rewriter *w = out->ctx;
    const sl_host *h = w->host;
    const uint64_t room = out->room;
    const uint64_t wanted[] = {(out->used ? 2 * room : w->estimate) + more,
                               (out->used ? room + room / 8 : SPARE) + more};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        uint8_t *at = NULL;
        const int32_t status = w->fresh ? sl_payload_grow(h, w->fresh, wanted[i], &at)
                                        : sl_payload_open(h, wanted[i], &w->fresh, &at);
        if (status == SL_OK) {
            out->at = at;
            out->room = (size_t)wanted[i];
            return true;
        }
    }
    return false;
}

/* What was written against what came in decides how much is asked for next time; not what fits into
 * the spare bytes: short records grow many times over, long ones do not. */
static void learn(struct otlp_delivery_rewriter *w, uint64_t bytes)
{
    const uint64_t beyond = w->r.out.used > SPARE ? w->r.out.used - SPARE : 0;
    const uint64_t said = bytes ? beyond * 1024 / bytes + 32 : 0;
    const uint64_t now = said < PER_KIBI_MAX ? said : PER_KIBI_MAX;
    w->per_kibi = now > w->per_kibi ? now : w->per_kibi - (w->per_kibi - now) / 8;
}

static bool make_room(void **at, uint32_t *room, uint32_t n, size_t size)
{
    if (n <= *room) {
        return true;
    }
    void *grown = realloc(*at, (size_t)n * 2 * size);
    if (!grown || n > UINT32_MAX / 2) {
        return false;
    }
    *at = grown;
    *room = n * 2;
    return true;
}

static int32_t close_fresh(struct otlp_delivery_rewriter *w, const sl_payload *from, uint32_t items)
{
    const struct otlp_rewriter *r = &w->r;
    uint8_t *at;
    if (!make_room((void **)&w->segments, &w->segments_room, r->n, sizeof *w->segments)) {
        return SL_ERR_NOMEM;
    }
    if (!w->fresh && sl_payload_open(w->host, 1, &w->fresh, &at) != SL_OK) {
        return SL_ERR_NOMEM; /* all that is left is referenced */
    }
    for (uint32_t i = 0; i < r->n; i++) {
        const struct otlp_stretch *s = &r->stretches[i];
        w->segments[i] = sl_slice(s->p ? s->p : r->out.at + s->at, s->n);
    }
    return w->rewrite->close(w->host, w->fresh, from, r->out.used, w->segments, r->n, from->signal,
                             items, r->aligned ? SL_PAYLOAD_ALIGNED : 0);
}

/* Runs of items that were kept. */
static bool kept_pieces(struct otlp_delivery_rewriter *w, sl_delivery *d, uint32_t *n)
{
    *n = 0;
    for (uint32_t i = 0, end; i < d->items; i = end) {
        const bool kept = !w->r.keep || sl_mask_test(w->r.keep, i);
        for (end = i + 1; end < d->items && w->r.keep && sl_mask_test(w->r.keep, end) == kept;
             end++) {
        }
        if (!w->r.keep) {
            end = d->items;
        }
        if (!kept) {
            continue;
        }
        if (!make_room((void **)&w->pieces, &w->pieces_room, *n + 1, sizeof *w->pieces)) {
            return false;
        }
        w->pieces[(*n)++] = (sl_piece){.from = d, .first = i, .count = end - i};
    }
    return true;
}

static int32_t run(struct otlp_delivery_rewriter *w, sl_delivery *d,
                   const struct otlp_rewrite_calls *calls, void *ctx)
{
    const sl_payload *p = d->payload;
    const sl_bytes *segments = p->segments;
    uint32_t n = p->n_segments;
    sl_bytes flat;
    if (!(p->flags & SL_PAYLOAD_ALIGNED)) {
        const int32_t status = sl_payload_flatten(w->host, p, &flat);
        if (status != SL_OK) {
            return status;
        }
        segments = &flat;
        n = 1;
    }
    w->estimate = p->bytes * w->per_kibi / 1024 + SPARE;
    w->r.out = sl_writer_growing(grow, w);
    return otlp_rewrite(&w->r, p->signal, segments, n, calls, ctx);
}

int32_t otlp_rewrite_delivery(struct otlp_delivery_rewriter *w, sl_delivery *d,
                              const struct otlp_rewrite_calls *calls, void *ctx, const char *why,
                              uint32_t *dropped)
{
    const sl_host *h = w->host;
    const sl_payload *from = d->payload;
    sl_delivery *child = NULL;
    uint32_t n_pieces = 0;
    w->fresh = NULL;
    w->r.keep = why ? sl_mask(h, d) : NULL;
    if (!from) {
        return SL_ERR_STATE;
    }
    if (why && !w->r.keep) {
        return SL_ERR_NOMEM;
    }
    int32_t status = run(w, d, calls, ctx);
    const uint32_t gone = status == SL_OK ? w->r.seen - w->r.items : 0;
    const uint32_t items = d->items - gone;
    if (status == SL_OK && w->r.changed && items > 0) {
        status = close_fresh(w, from, items);
        if (status == SL_OK && !kept_pieces(w, d, &n_pieces)) {
            status = SL_ERR_NOMEM;
        }
        if (status == SL_OK) {
            learn(w, from->bytes);
            status = sl_derive_with(h, w->pieces, n_pieces, SL_ITEMWISE, w->fresh, NULL, &child);
        }
    }
    if (!child && w->fresh) {
        sl_payload_unref(h, w->fresh);
    }
    if (status != SL_OK) {
        return status;
    }
    if (dropped) {
        *dropped = gone;
    }
    if (!w->r.changed) {
        (void)sl_forward(h, d);
        return SL_OK;
    }
    sl_finish(h, d, SL_DROPPED, why);
    if (child) {
        (void)sl_forward(h, child);
    }
    return SL_OK;
}
