/* What the operating system knows of this process, as metrics. Read when the page is asked for. */
#ifndef SLUICE_PIPELINE_PROCESS_H
#define SLUICE_PIPELINE_PROCESS_H
#include "pipeline/telemetry/metrics.h"

struct process_metrics;

/* Registers otelcol_process_*; uptime counts from here. NULL: no memory. */
struct process_metrics *process_metrics_create(struct metrics *);
/* Before metrics_destroy. */
void process_metrics_destroy(struct process_metrics *);
#endif
