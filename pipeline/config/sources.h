/* From the command line to one tree: reads what --config names, merges it as the collector merges,
 * applies --set, and puts values in for ${...}. Control thread only. */
#ifndef SLUICE_CONFIG_SOURCES_H
#define SLUICE_CONFIG_SOURCES_H
#include "pipeline/config/tree.h"

#define CONFIG_MAX_SOURCES 100u

struct config_sources {
    /* A path, `file:PATH`, `yaml:a::b: value` or `env:NAME`. Later ones win. */
    const char *const *configs;
    uint32_t n_configs;
    /* `a.b=value` or `a::b=value`, the value in YAML; applied after all files. */
    const char *const *sets;
    uint32_t n_sets;
    const struct config_allocator *allocator; /* NULL: malloc */
    /* Looks up the environment; NULL: getenv. */
    const char *(*environment)(void *user, const char *name);
    void *user;
    /* Hears of each file that is read, or cannot be; or NULL. */
    void (*on_file)(void *arg, const char *path);
    void *on_file_arg;
};

/* Fills `tree`, which the caller has not initialised and ends with tree_deinit whatever comes back.
 * SL_OK: tree->root is a map. Otherwise the reasons are in `d`. The strings of `s` may go. */
int32_t sources_load(const struct config_sources *s, struct config_tree *tree,
                     struct config_diagnostics *d);

/* Merges `from` into `into`, both maps of `t`: maps deeply, everything else is replaced, null
 * included. `from` is not used afterwards. */
int32_t sources_merge(struct config_tree *t, struct config_node *into, struct config_node *from);

#endif
