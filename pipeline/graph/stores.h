/* Which exporters' queues keep what on disk. Control thread. */
#ifndef SLUICE_PIPELINE_STORES_H
#define SLUICE_PIPELINE_STORES_H
#include "pipeline/graph/graph.h"

/* Is the storage that the exporter's queue names one? Told to `d`. */
void store_check(struct graph *, const struct component *exporter, struct config_place,
                 struct config_diagnostics *d);
/* Opens the streams of new queues, after the extensions have started. */
int32_t stores_open(struct graph *, sl_error *);
void stores_lead(struct graph *);
void stores_pause(struct graph *);
#endif
