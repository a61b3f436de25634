/* Metadata of deliveries: immutable, counted lists of keys and values. Any thread. */
#ifndef SLUICE_PIPELINE_METADATA_H
#define SLUICE_PIPELINE_METADATA_H
#include <sluice/plugin.h>

/* The list without entries that arrived at `arrived_ns`; NULL: no memory. */
const sl_metadata *metadata_empty(int64_t arrived_ns);
/* A new list: the entries of `base` (may be NULL) and the given ones, copied. */
const sl_metadata *metadata_make(const sl_metadata *base, const sl_meta_entry *entries, uint32_t n,
                                 int64_t arrived_ns);
/* What several parents have in common: entries equal in all, the earliest arrival, replayed if any
 * is. Gives a reference to an existing list where it can. */
const sl_metadata *metadata_common(const sl_metadata *const *parents, uint32_t n);
const sl_metadata *metadata_ref(const sl_metadata *);
void metadata_unref(const sl_metadata *);
#endif
