/* Outlets: where an emitter's deliveries go. Emitters look at them from any thread and without a
 * lock; a reload puts others in their place and then waits until nobody uses the old ones. */
#ifndef SLUICE_PIPELINE_OUTLET_H
#define SLUICE_PIPELINE_OUTLET_H
#include "pipeline/graph/graph.h"

/* [any] The outlet of a signal, or NULL; valid until outlet_leave with the epoch that comes back.
 * Within a lane that the connector stands in it is valid without that. */
struct outlet *outlet_enter(struct component *, uint32_t signal, uint32_t *epoch);
void outlet_leave(struct component *, uint32_t epoch);
struct outlet *outlet_in_lane(struct component *, uint32_t signal);

/* [any] SL_OK: room in every pipeline of the outlet. SL_ERR_FULL: `hear`, or the lane, is told once
 * there is. SL_ERR_NOMEM: and could not be remembered. NULL has room. */
int32_t outlet_room(const struct outlet *, struct component *emitter, const sl_hear *hear,
                    struct lane *waiter);
/* [any] Always takes; forks where there are several pipelines. `run`: the root whose `taken` waits
 * for this, or NULL. */
void outlet_push(const struct outlet *, struct delivery *, struct delivery *run);

/* [control] The plan: one more pipeline. False: no memory. */
bool outlet_plan(struct component *, struct pipeline *);
/* [control] What was planned comes into force, and what was in force lies in the plan until
 * outlet_forget, which waits until no emitter uses it. Lanes must have been entered before that. */
void outlet_adopt(struct component *);
void outlet_forget(struct component *);
#endif
