/* A reload: the next graph takes the place of the running one, around what stays of it. Control
 * thread.
 *
 * What stays: a component whose config is the same after merging and ${...}, and whose every look-up
 * of another component still finds the same; with it its queues and what it has opened. In a
 * pipeline of the same id with as many lanes, the instances of the processors that stay, whatever
 * stands around them now. Everything that can fail comes before the swap; on a failure nothing has
 * changed. */
#ifndef SLUICE_PIPELINE_RELOAD_H
#define SLUICE_PIPELINE_RELOAD_H
#include "pipeline/graph/graph.h"

struct reload {
    struct runtime *runtime;
    struct graph *now;                 /* runs */
    const struct service_config *old;  /* what it was built from */
    const struct service_config *next; /* what is wanted */
    /* Set from another thread, under the topology's mutex and with status_changed signalled: give
     * up unless the swap is made. NULL: never. */
    const _Atomic bool *cancel;
    /* Called last before the swap, when all is started: what else may fail. */
    int32_t (*prepare)(void *arg, sl_error *);
    void *arg;
    uint32_t kept, made, removed; /* out: components; one made anew counts as made and removed */
};

/* The graph that runs from here on, or NULL and the reasons in `d`. After a swap `now` has what has
 * left, and takes nothing in. The caller drains it (graph_drain, graph_drained) and ends it with
 * reload_retire; until then there is no other reload. */
struct graph *reload_swap(struct reload *, struct config_diagnostics *d);

/* Stops and destroys what a swap took out; what is left in it is settled as failed, and its items
 * returned. */
uint64_t reload_retire(struct graph *old);
#endif
