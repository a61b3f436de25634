/* Sluice's own metrics on an HTTP endpoint for Prometheus. Served on the main loop. */
#ifndef SLUICE_PIPELINE_METRICS_PAGE_H
#define SLUICE_PIPELINE_METRICS_PAGE_H
#include "pipeline/config/service.h"
#include "pipeline/graph/graph.h"
#include <uv.h>

struct metrics_page;

/* Opens the endpoint; the loop serves it. NULL: the reason is in `error`. */
struct metrics_page *metrics_page_create(struct graph *, struct runtime *,
                                         const struct service_config *, uv_loop_t *, sl_error *);
/* After the loop's last run; runs the loop until the server is closed. */
void metrics_page_destroy(struct metrics_page *);
#endif
