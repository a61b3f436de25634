/* Brings the metrics up to date with the graph's ledgers and queues. */
#ifndef SLUICE_PIPELINE_PUBLISH_H
#define SLUICE_PIPELINE_PUBLISH_H
#include "pipeline/graph/graph.h"

/* One thread at a time: the caller holds a lock or is the only one who serves the page. */
void publish(struct graph *, struct runtime *);
#endif
