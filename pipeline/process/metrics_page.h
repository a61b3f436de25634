/* Sluice's own metrics on an HTTP endpoint for Prometheus. Served on the main loop. */
#ifndef SLUICE_PIPELINE_METRICS_PAGE_H
#define SLUICE_PIPELINE_METRICS_PAGE_H
#include "pipeline/config/service.h"
#include "pipeline/graph/graph.h"
#include <uv.h>

struct metrics_page;

/* Makes the page, which others may write (runtime.write_metrics), without an endpoint. NULL: no
 * memory. */
struct metrics_page *metrics_page_create(struct runtime *, uv_loop_t *);
/* Opens the config's endpoint, where it is another than now; and serves there from now on, under the
 * config's resource and names, which must stay until the next commit. */
int32_t metrics_page_prepare(struct metrics_page *, const struct service_config *, sl_error *);
void metrics_page_commit(struct metrics_page *, const struct service_config *);
/* After the loop's last run; runs the loop until the servers are closed. */
void metrics_page_destroy(struct metrics_page *);
#endif
