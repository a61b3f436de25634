/* Opens plugins: checks who could have written the file, maps it, checks what it says of itself,
 * and copies its types into tables of the host's own size. Nothing is ever unmapped.
 * Any thread; loads are made one at a time. */
#ifndef SLUICE_PIPELINE_LOADER_H
#define SLUICE_PIPELINE_LOADER_H
#include "pipeline/plugins/registry.h"

/* A loaded plugin; lives as long as the loader. */
struct plugin {
    const char *path;
    const char *name;    /* file name without ".so" */
    const char *version; /* the plugin's own */
    uint32_t n_types;
    const sl_type *types; /* copies: slots that the plugin lacks are zero, unknown ones are gone */
    const void *(*interface_of)(const char *id); /* NULL: none */
};

struct plugin_loader;

/* NULL: no memory. */
struct plugin_loader *plugin_loader_create(void);
/* Frees the tables; the code stays mapped, and so does what it points to. */
void plugin_loader_destroy(struct plugin_loader *);

/* The plugin in the file at `path`; the same one when the same file is asked for again. A file that
 * was replaced since is another one. Refusals: SL_ERR_NOT_FOUND, SL_ERR_IO, SL_ERR_DENIED (who may
 * write it), SL_ERR_INVALID (what it says), SL_ERR_UNSUPPORTED (its ABI version); the text begins
 * with path. */
int32_t plugin_load(struct plugin_loader *, const char *path, const struct plugin **, sl_error *);

/* The type of that name or alias; `signals`: one that has all of these (0: any). NULL: none. */
const sl_type *plugin_type(const struct plugin *, uint32_t kind, sl_bytes name, uint32_t signals);
#endif
