/* Pipelines' journals: planned with the graph, opened when it starts, led into the lanes when it
 * takes over. Control thread. */
#ifndef SLUICE_PIPELINE_JOURNALS_H
#define SLUICE_PIPELINE_JOURNALS_H
#include "pipeline/graph/graph.h"
#include "pipeline/graph/stream.h"

/* What a pipeline's journal is to be; in the pipeline. */
struct journal_plan {
    bool wanted;
    struct component *storage; /* an extension; NULL: --journal's directory */
    struct service_journal config;
    struct stream *stream; /* once it is open */
};

/* The directory of an extension with SL_STORAGE_PROVIDER. NULL: not such a one; told to `d`. */
struct component *storage_find(struct graph *, sl_bytes id, const char *wanted_by,
                               struct config_place, struct config_diagnostics *d);
const sl_storage_provider *storage_of(const struct component *);

/* How the pipeline's journal is to be opened; all but the name. */
void journal_options(const struct pipeline *, struct stream_options *);
void journal_make_plan(struct graph *, struct pipeline *, const struct service_pipeline *,
                       struct config_diagnostics *);
/* Opens the logs, after the extensions have started. */
int32_t journals_open(struct graph *, sl_error *);
/* What waits goes into this graph's lanes from now on; those of `before` that it does not have stop.
 */
void journals_lead(struct graph *, struct graph *before);
/* Nothing more is read for the graph's pipelines; what comes in is kept. */
void journals_pause(struct graph *);
void journal_release(struct pipeline *);

/* What is in the open journals and has not ended. */
struct journals_left {
    uint32_t streams;
    uint64_t items, bytes;
};
struct journals_left journals_left(struct runtime *);
/* How many of the graph's pipelines have a journal. */
uint32_t journals_count(const struct graph *);
#endif
