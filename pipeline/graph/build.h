/* The graph's own struct, and its building; for graph.c, build.c and inspect.c. */
#ifndef SLUICE_PIPELINE_BUILD_H
#define SLUICE_PIPELINE_BUILD_H
#include "pipeline/graph/graph.h"
#include "pipeline/graph/lane.h"

enum { MAX_CODECS = 32 };

struct graph {
    struct runtime *runtime;
    struct component **components; /* extensions, then the rest in the order of the file */
    uint32_t n_components;
    struct component **extensions; /* in the order in which they start */
    uint32_t n_extensions;
    struct pipeline *pipelines;
    uint32_t n_pipelines;
    struct pipeline **order; /* each before those that it feeds */
    pthread_mutex_t mutex;   /* guards the codecs */
    struct component *codecs[MAX_CODECS];
    uint32_t n_codecs;
    _Atomic bool takes;
    _Atomic bool started;
    _Atomic int64_t up_since;
};

bool build_graph(struct graph *, const struct service_config *, struct config_diagnostics *);
/* Does a connector of `from` feed `to`? */
bool pipeline_feeds(const struct pipeline *from, const struct pipeline *to);
/* Loads the plugin that has it; NULL: the reason is in `error`. */
const sl_type *find_type(struct runtime *, uint32_t kind, sl_bytes name, uint32_t signals,
                         sl_error *error);
#endif
