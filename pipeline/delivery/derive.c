/* Deriving: pieces of deliveries become a child. Everything that can fail is done before the first
 * claim. One thread at a time for each delivery that the pieces name. */
#include "pipeline/delivery/delivery.h"
#include "pipeline/delivery/metadata.h"
#include <stdlib.h>

static int32_t check_pieces(const sl_piece *pieces, uint32_t n, bool cut, uint64_t *items)
{
    *items = 0;
    if (!n)
        return SL_ERR_INVALID;
    for (uint32_t i = 0; i < n; i++) {
        const sl_piece p = piece_normal(&pieces[i]);
        uint32_t end;
        if (__builtin_add_overflow(p.first, p.count, &end) || end > p.from->items || !p.count)
            return SL_ERR_INVALID;
        if (p.with.p && p.count != 1)
            return SL_ERR_INVALID;
        if (cut && !p.from->payload)
            return SL_ERR_STATE;
        *items += p.count;
    }
    return *items <= UINT32_MAX ? SL_OK : SL_ERR_TOO_LARGE;
}

static const sl_metadata *common_metadata(const sl_piece *pieces, uint32_t n)
{
    const sl_metadata *few[32];
    const sl_metadata **all = few;
    uint32_t k = 0;
    if (n > 32 && !(all = malloc(n * sizeof *all)))
        return NULL;
    for (uint32_t i = 0; i < n; i++)
        if (!k || all[k - 1] != pieces[i].from->metadata)
            all[k++] = pieces[i].from->metadata;
    const sl_metadata *common = metadata_common(all, k);
    if (all != few)
        free(all);
    return common;
}

int32_t delivery_derive(struct memory *memory, const sl_piece *pieces, uint32_t n, uint32_t mode,
                        struct payload *payload, const sl_metadata *metadata, struct ledger *ledger,
                        struct delivery **child)
{
    uint64_t items;
    int32_t status = check_pieces(pieces, n, !payload, &items);
    if (status != SL_OK)
        return status;
    if (mode > SL_AS_ONE || (mode == SL_AS_ONE && !payload) ||
        (mode == SL_ITEMWISE && payload && payload->pub.items != items))
        return SL_ERR_INVALID;
    if (payload && !payload->pub.items)
        return SL_ERR_INVALID; /* a child without items would never end */

    struct payload *made = payload;
    const sl_metadata *common = metadata ? metadata : common_metadata(pieces, n);
    struct delivery *d = delivery_new(mode == SL_AS_ONE ? DELIVERY_AS_ONE : DELIVERY_ITEMWISE,
                                      payload ? payload->pub.items : (uint32_t)items, n);
    status = SL_ERR_NOMEM;
    if (!common || !d)
        goto failed;
    if (!made && (status = payload_cut(memory, pieces, n, &made)) != SL_OK)
        goto failed;
    if ((status = claim_pieces(pieces, n, ledger)) != SL_OK)
        goto failed;
    uint32_t at = 0;
    for (uint32_t i = 0; i < n; i++) {
        const sl_piece p = piece_normal(&pieces[i]);
        d->parts[i] = (struct part){.from = delivery_of(p.from), .first = p.first, .at = at};
        d->is_kept |= d->parts[i].from->is_kept;
        if (mode == SL_AS_ONE)
            d->parts[i].at = p.count;
        at += p.count;
    }
    d->pub.payload = &made->pub;
    d->pub.metadata = common;
    if (ledger && mode == SL_AS_ONE)
        atomic_fetch_add_explicit(&ledger->made, (int64_t)d->pub.items - (int64_t)items,
                                  memory_order_relaxed);
    *child = d;
    return SL_OK;

failed:
    free(d);
    if (!metadata)
        metadata_unref(common);
    if (!payload)
        payload_unref(made);
    return status;
}
