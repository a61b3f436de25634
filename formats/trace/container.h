/* The outside of a block: head, checksums, and sections, of which the topology is compressed with
 * zstd. Pure functions, any thread. */
#ifndef SLUICE_FORMATS_TRACE_CONTAINER_H
#define SLUICE_FORMATS_TRACE_CONTAINER_H
#include "formats/trace/trace_block.h"

struct container_sections {
    sl_bytes about;     /* descriptions of the streams in `values`, in TRACE_TOPOLOGY */
    sl_bytes text;      /* in TRACE_TOPOLOGY, too */
    sl_bytes ids_about; /* in TRACE_IDS */
    sl_bytes ids;       /* the streams of trace ids; there, too */
    sl_bytes span_ids;  /* of remote parents, then of spans: TRACE_SPAN_IDS */
    sl_bytes values;    /* TRACE_VALUES */
};

/* Appends a block; bytes and section_bytes of the info are not looked at. SL_OK or SL_ERR_NOMEM. */
int32_t container_write(const struct trace_block_info *info,
                        const struct container_sections *sections, uint32_t level, sl_writer *to);

/* Reads a whole block. `*memory`, to be freed, holds what was compressed, at most `limit` bytes. */
int32_t container_read(sl_bytes block, uint64_t limit, struct trace_block_info *info,
                       struct container_sections *sections, void **memory, sl_error *error);

/* The trace ids alone, for a look at them: nothing but the head and that section is checked. */
int32_t container_read_ids(sl_bytes block, struct trace_block_info *info,
                           struct container_sections *sections, sl_error *error);

#endif
