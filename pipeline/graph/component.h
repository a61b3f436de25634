/* Components: one entry of the config file each. Lifecycle on the control thread. */
#ifndef SLUICE_PIPELINE_COMPONENT_H
#define SLUICE_PIPELINE_COMPONENT_H
#include "pipeline/graph/graph.h"

/* Binds the config and calls create and prepare; reasons of a refusal go to `d`. NULL then.
 * `predecessor`: what stands for the same config entry now, whose account goes on; or NULL. */
struct component *component_create(struct graph *, struct runtime *, const sl_type *,
                                   const struct service_component *,
                                   const struct component *predecessor,
                                   struct config_diagnostics *d);
int32_t component_start(struct component *, sl_error *);
void component_drain(struct component *, int64_t deadline_ns);
void component_stop(struct component *);
/* It goes once all that it offered has been settled; until then it lingers. */
void component_destroy(struct component *);
/* Ends those that lingered and need no longer. */
void components_sweep(struct runtime *);

/* With the topology's mutex held: it looked up another component, found or not; where that changes,
 * a reload makes this one anew. False: no memory to remember it. */
bool component_uses(struct component *, const char *name);

/* [any] */
int32_t component_offer(struct component *, struct payload *, const sl_metadata *, const sl_hear *,
                        uint64_t cookie);
void component_report(struct component *, int32_t status, const char *text);
/* False: it has stopped. */
bool component_job_begins(struct component *);
void component_job_ends(struct component *);
#endif
