/* Which plugins are installed: the shared objects of the plugin directories and the names that
 * their ".sluice" sections promise. Nothing is loaded. Filled by one thread; then read-only. */
#ifndef SLUICE_PIPELINE_REGISTRY_H
#define SLUICE_PIPELINE_REGISTRY_H
#include "pipeline/plugins/section.h"

/* A shared object in a plugin directory. */
struct plugin_file {
    const char *directory; /* as it was given */
    const char *path;      /* directory/name.so */
    const char *name;      /* without ".so" */
    uint32_t abi_major, abi_minor;
    uint32_t n_types;
    const struct section_type *types;
    const char *problem; /* why it cannot be used; NULL: nothing known. With no types, mostly */
};

/* A name that two files promise; it is an error only where a config uses it. */
struct plugin_conflict {
    uint32_t kind;
    const char *name;
    const struct plugin_file *first, *second;
};

struct plugin_registry;

/* NULL: no memory. */
struct plugin_registry *plugin_registry_create(void);
void plugin_registry_destroy(struct plugin_registry *);

/* Adds the files *.so of a directory, by name; a directory given twice is read once. A file that is
 * no plugin, or is damaged, is listed with its problem and spoils nothing. */
int32_t plugin_registry_scan(struct plugin_registry *, const char *directory, sl_error *);
/* Where plugins are by default: "plugins" beside the running executable if that is a directory
 * (a build tree), else `installed` (LIBDIR/sluice/plugins), which may be relative to the
 * executable's directory. */
int32_t plugin_directory_default(const char *installed, char *path, size_t capacity, sl_error *);

/* The file that has the type of that name or alias. SL_ERR_NOT_FOUND: none; SL_ERR_INVALID: two
 * files have it, or its file cannot be used. Several codecs may share a name (they differ by
 * signal): use plugin_registry_next. */
int32_t plugin_registry_find(const struct plugin_registry *, uint32_t kind, sl_bytes name,
                             const struct plugin_file **, sl_error *);
/* The files with that name one after another: `after` NULL gives the first, NULL ends. */
const struct plugin_file *plugin_registry_next(const struct plugin_registry *, uint32_t kind,
                                               sl_bytes name, const struct plugin_file *after);
/* By file name without ".so", as in sl_plugins.load. */
int32_t plugin_registry_file(const struct plugin_registry *, sl_bytes name,
                             const struct plugin_file **, sl_error *);

uint32_t plugin_registry_files(const struct plugin_registry *);
const struct plugin_file *plugin_registry_at(const struct plugin_registry *, uint32_t i);
uint32_t plugin_registry_conflicts(const struct plugin_registry *);
const struct plugin_conflict *plugin_registry_conflict(const struct plugin_registry *, uint32_t i);
/* The directories as one text, "/a, /b", for messages. */
const char *plugin_registry_directories(const struct plugin_registry *);
#endif
