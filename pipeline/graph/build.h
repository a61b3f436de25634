/* The graph's own struct, and its building; for graph.c, build.c, reload.c and inspect.c. */
#ifndef SLUICE_PIPELINE_BUILD_H
#define SLUICE_PIPELINE_BUILD_H
#include "pipeline/graph/graph.h"
#include "pipeline/graph/lane.h"

struct graph {
    struct runtime *runtime;
    struct graph *before; /* while it is built for a reload: the running one, parts of which stay */
    struct component **components; /* extensions, then the rest in the order of the file */
    uint32_t n_components;
    struct component **extensions; /* in the order in which they start */
    uint32_t n_extensions;
    struct pipeline **pipelines;
    uint32_t n_pipelines;
    struct pipeline **order; /* each before those that it feeds */
    bool stopped;
    bool started;     /* guarded by the topology's mutex, as what follows */
    int64_t up_since; /* wall clock ns; 0: not up yet */
};

/* The graph, built; the caller starts it. `before`: see there; or NULL. */
struct graph *graph_build(struct runtime *, const struct service_config *, struct graph *before,
                          struct config_diagnostics *);
/* Starts what is new, receivers aside, and opens the new instances. */
int32_t graph_start_consumers(struct graph *, sl_error *);
int32_t graph_start_receivers(struct graph *, sl_error *);
/* What was planned comes into force: outlets, queues, what stands in the lanes. Cannot fail. `before`
 * keeps what the next graph does not have. */
void graph_take_over(struct graph *);
/* Its components' offers are taken from now on. */
void graph_open(struct graph *);
void graph_started(struct graph *);
/* A component of the running graph, which stays there unless the reload goes through. */
bool graph_borrows(const struct graph *, const struct component *);
/* Nobody tells stopped components and closed lanes that there is room, once it has returned. */
void graph_forget_gone(struct graph *);
/* Loads the plugin that has it; NULL: the reason is in `error`. */
const sl_type *find_type(struct runtime *, uint32_t kind, sl_bytes name, uint32_t signals,
                         sl_error *error);
#endif
