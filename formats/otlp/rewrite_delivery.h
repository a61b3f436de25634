/* Rewriting a delivery: what a processor does that changes or drops some of what it is given. On
 * the lane of the instance that the host belongs to. */
#ifndef SLUICE_FORMATS_OTLP_REWRITE_DELIVERY_H
#define SLUICE_FORMATS_OTLP_REWRITE_DELIVERY_H
#include "formats/otlp/rewrite.h"

struct otlp_delivery_rewriter {
    const sl_host *host;
    const sl_rewrite *rewrite;
    struct otlp_rewriter r;
    sl_payload *fresh;  /* the new memory while it is written */
    uint64_t estimate;  /* of the next one */
    uint64_t per_kibi;  /* new bytes per 1024 old ones, as of late */
    sl_bytes *segments; /* of the child */
    sl_piece *pieces;
    uint32_t segments_room, pieces_room;
};

/* SL_ERR_UNSUPPORTED where the host cannot close rewritten payloads. */
int32_t otlp_delivery_rewriter_init(struct otlp_delivery_rewriter *, const sl_host *host,
                                    sl_error *error);
void otlp_delivery_rewriter_deinit(struct otlp_delivery_rewriter *);

/* Rewrites the delivery by the calls and forwards what is left of it: itself where nothing changed,
 * else a child. Items that were dropped end as SL_DROPPED with `why`; NULL: the calls drop nothing.
 * `*dropped` (may be NULL) gets their number. After any status but SL_OK the caller still has the
 * delivery, and nothing of it is claimed. */
int32_t otlp_rewrite_delivery(struct otlp_delivery_rewriter *, sl_delivery *delivery,
                              const struct otlp_rewrite_calls *calls, void *ctx, const char *why,
                              uint32_t *dropped);

#endif
