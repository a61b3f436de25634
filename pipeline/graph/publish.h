/* Brings the metrics up to date with the ledgers and queues of what runs, and of what a reload replaced. */
#ifndef SLUICE_PIPELINE_PUBLISH_H
#define SLUICE_PIPELINE_PUBLISH_H
#include "pipeline/graph/graph.h"

/* One thread at a time: the caller holds a lock or is the only one who serves the page. */
void publish(struct runtime *);
/* Of that, the journals. */
void publish_journals(struct runtime *);
#endif
