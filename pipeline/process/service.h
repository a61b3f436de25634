/* The running process: everything that `sluice run` and `sluice validate` have in common, from the
 * config sources to the graph, and the life of the process around it. Control thread. */
#ifndef SLUICE_PIPELINE_SERVICE_H
#define SLUICE_PIPELINE_SERVICE_H
#include "pipeline/config/service.h"
#include "pipeline/config/sources.h"
#include "pipeline/graph/graph.h"

struct service_options {
    struct config_sources sources;
    const char *const *plugin_directories; /* none: the default one */
    uint32_t n_plugin_directories;
    const char *state_directory;   /* NULL: none */
    const char *journal_directory; /* of pipelines without a journal of their own; NULL: none */
    bool watch;                    /* reload when the config's files change */
};

struct service;

/* Reads the config, loads plugins, makes all components. Problems go to `d`, which the caller
 * prints; NULL then. */
struct service *service_create(const struct service_options *, struct config_diagnostics *d);
void service_destroy(struct service *);

/* Starts, runs until a signal or a fatal error, drains, stops. */
enum service_end {
    SERVICE_ENDED = 0,       /* nothing was left */
    SERVICE_NOT_STARTED = 1, /* the reason was logged */
    SERVICE_FATAL_ERROR = 1,
    SERVICE_LEFT_ITEMS = 3 /* the deadline came first */
};
int service_run(struct service *);

/* What runs, or is to be started. */
const struct graph *service_graph(const struct service *);
const struct config_tree *service_tree(const struct service *);
#endif
