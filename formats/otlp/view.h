/* Views: the index over a payload's records (sl_view in <sluice/otlp.h>), and cutting: a new
 * payload from some of the records, under their resources and scopes. Both read bytes that were
 * checked, and stay within bounds even if they were not. Pure functions, any thread. */
#ifndef SLUICE_FORMATS_OTLP_VIEW_H
#define SLUICE_FORMATS_OTLP_VIEW_H
#include <sluice/otlp.h>

/* ---- views ---- */

/* How much memory a view takes, and what for. */
struct otlp_view_plan {
    const sl_bytes *segments;
    uint32_t n_segments;
    uint32_t signal;
    uint32_t items, resources, scopes, metrics;
    uint64_t merged; /* bytes of messages that lie in several parts and are put together */
    uint64_t bytes;  /* of memory, all in all */
};

/* Counts the records of a payload. Its segments must be aligned: no top-level record runs from one
 * into the next. SL_ERR_UNSUPPORTED for other signals than traces, metrics and logs; SL_ERR_INVALID
 * where the bytes are malformed; SL_ERR_TOO_LARGE where a record or a count exceeds 32 bits. */
int32_t otlp_view_plan(uint32_t signal, const sl_bytes *segments, uint32_t n_segments,
                       struct otlp_view_plan *plan, sl_error *error);

/* Fills `memory` (plan->bytes of it, aligned to 16), which the view then points into, as it does
 * into the segments. Nothing needs to be released but the memory. */
int32_t otlp_view_build(const struct otlp_view_plan *plan, void *memory, sl_view *view,
                        sl_error *error);

/* ---- cutting ---- */

/* Items first .. first + count - 1 of the view. */
struct otlp_range {
    uint32_t first, count;
    sl_bytes with; /* if .p: a record (without tag and length) in place of the one item */
};

/* A message as a list of slices: one after another they are an export request. Top-level records
 * do not begin and end with slices in general: `starts` tells the slices at which one begins, and
 * a slice may hold several. */
struct otlp_cut {
    sl_bytes *slices;
    uint32_t *starts;
    uint8_t *arena; /* for tags and lengths */
    uint32_t n_slices, n_starts;
    uint64_t arena_used;
    uint64_t bytes; /* of the message */
    uint32_t items;
};

/* Counts what the message of these items takes: n_slices, n_starts, arena_used, bytes and items.
 * The items come in the order of the ranges, any item as often as wished; empty ranges are skipped.
 * Only views made by otlp_view_build can be cut. SL_ERR_INVALID for a range beyond the view's
 * items, and for a replacement of more or less than one item. */
int32_t otlp_cut_plan(const sl_view *view, const struct otlp_range *ranges, uint32_t n,
                      struct otlp_cut *cut, sl_error *error);

/* Fills the memory that `cut` was given after its plan: slices[n_slices], starts[n_starts],
 * arena[arena_used]. The slices point into the payload, the view's memory, the arena and the
 * replacements. What lies in a resource's, scope's or metric's message beside the items is kept,
 * unknown fields included; unknown fields of the request itself are not. */
void otlp_cut_fill(const sl_view *view, const struct otlp_range *ranges, uint32_t n,
                   struct otlp_cut *cut);

#endif
