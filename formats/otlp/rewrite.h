/* Writes an export request anew where a processor changes it, in one pass and without an index:
 * resources, scopes, metrics and items are shown to the processor, which keeps, changes or drops
 * them. All other bytes stay as they are and where they are, in long stretches by reference and in
 * short ones by copy; unknown fields keep their place. Envelopes that lose all their items vanish.
 *
 *     old:  RS1[ resource SS1[ scope span0 span1 ] ] RS2[ ... ]
 *     span1 changed:
 *           tag+len | resource | tag+len | scope span0 | tag+len new bytes | RS2[ ... ] by reference
 *
 * Reads bytes that were checked, and stays within bounds even if they were not. One thread at a
 * time for each rewriter. */
#ifndef SLUICE_FORMATS_OTLP_REWRITE_H
#define SLUICE_FORMATS_OTLP_REWRITE_H
#include "formats/otlp/parts.h"

enum otlp_verdict {
    OTLP_KEEP,
    OTLP_CHANGE, /* to what was put into the parts */
    OTLP_DROP,   /* with all that is in it */
    OTLP_ABORT   /* ends the rewriting with SL_ERR_NOMEM */
};

/* Each may be NULL: kept. Slices of `parts` must stay valid until the next call, and are either of
 * the request or the processor's own. */
struct otlp_rewrite_calls {
    /* The Resource and InstrumentationScope messages, empty where there is none, put together where
     * there are several; before all that is in their envelopes. */
    enum otlp_verdict (*resource)(void *ctx, sl_bytes record, struct otlp_parts *parts);
    enum otlp_verdict (*scope)(void *ctx, sl_bytes record, struct otlp_parts *parts);
    /* A Metric message with its points. KEEP and DROP only. */
    enum otlp_verdict (*metric)(void *ctx, sl_bytes record);
    /* A span, log record or data point; `metric_type` (enum sl_metric_type) is that of the point's
     * metric, else 0. */
    enum otlp_verdict (*item)(void *ctx, sl_bytes record, uint32_t metric_type,
                              struct otlp_parts *parts);
};

/* A stretch of the new request: of the old one (p), or `at` in the new memory. */
struct otlp_stretch {
    const uint8_t *p; /* NULL: in the new memory */
    size_t at, n;
};

struct otlp_rewriter {
    sl_writer out; /* the new memory: given by the caller, who may let it grow */
    bool changed;  /* else nothing was written: the request stays as it is */
    bool aligned;  /* no top-level record runs from one stretch into the next */
    struct otlp_stretch *stretches;
    uint32_t n, room;
    uint64_t bytes; /* of all stretches */
    uint32_t items; /* that are left, of those that were */
    uint32_t seen;  /* seen: none where no call asks for what is inside resources */
    uint64_t *keep; /* a bit for each item of the old request; those of dropped ones are cleared */
    /* kept between runs */
    struct otlp_parts parts;
    struct otlp_scratch merged;
};

/* `out` and `keep` are set by the caller before each run; `keep` may be NULL where nothing is
 * dropped. The segments must be aligned. SL_OK; SL_ERR_INVALID: malformed; SL_ERR_NOMEM: no memory,
 * the writer could not grow, or a call aborted. */
int32_t otlp_rewrite(struct otlp_rewriter *r, uint32_t signal, const sl_bytes *segments,
                     uint32_t n_segments, const struct otlp_rewrite_calls *calls, void *ctx);
void otlp_rewriter_free(struct otlp_rewriter *r);

#endif
