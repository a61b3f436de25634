/* What the config sources say, read and resolved; kept as long as the graph that was built from it.
 * Control thread. */
#ifndef SLUICE_PIPELINE_SETTINGS_H
#define SLUICE_PIPELINE_SETTINGS_H
#include "pipeline/config/service.h"
#include "pipeline/config/sources.h"

struct settings {
    struct config_tree tree;
    struct service_config config;
    bool has_config;
    char **files; /* that were read, or tried: --config, and those in ${file:...} */
    uint32_t n_files;
};

/* What is wrong is in `d`; the service may then be incomplete (has_config) or missing, but the
 * files are there. NULL: no memory. */
struct settings *settings_load(const struct config_sources *, struct config_diagnostics *d);
void settings_destroy(struct settings *);
/* Do both say the same under a path of keys that ends with NULL? */
bool settings_agree(const struct settings *, const struct settings *, const char *const *path);
#endif
