/* The body of a journal's record: a delivery's metadata and payload.
 *
 *   head: magic and version, signal, sizes; the payload's encoding; the metadata's entries
 *   payload: the rest of the body, as it came
 *
 * docs/journal-format.md has the table. Credentials are left out: what a request was allowed with
 * has done its work, and a file would keep it. Any thread. */
#ifndef SLUICE_PIPELINE_JOURNAL_ENVELOPE_H
#define SLUICE_PIPELINE_JOURNAL_ENVELOPE_H
#include <sluice/plugin.h>

/* What a body says of itself; slices lie in the body. */
struct envelope {
    uint32_t signal;         /* one of enum sl_signal */
    uint32_t metadata_flags; /* SL_META_ */
    int64_t arrived_ns;
    sl_bytes encoding; /* empty: OTLP protobuf */
    uint32_t n_entries;
    sl_bytes entries; /* for envelope_entry */
    sl_bytes payload;
};

/* The bytes that envelope_head writes before the payload. 0: the metadata is too large. */
size_t envelope_head_size(const sl_payload *, const sl_metadata *);
void envelope_head(const sl_payload *, const sl_metadata *, uint8_t *head);

/* Where body is truncated, damaged or of a later version: SL_ERR_INVALID, and why in `error`. */
int32_t envelope_open(sl_bytes body, struct envelope *, sl_error *error);
/* The next of n_entries; *rest begins as `entries`. */
sl_meta_entry envelope_entry(sl_bytes *rest);
#endif
