/* The installed components, for the commands that describe them. The list comes from the sections of
 * the files, so that no foreign code runs; a component's keys are in its table, for which its plugin
 * is loaded, in a child process. Main thread. */
#ifndef SLUICE_PIPELINE_INSTALLED_H
#define SLUICE_PIPELINE_INSTALLED_H
#include "pipeline/cli/options.h"
#include "pipeline/plugins/registry.h"

enum { INSTALLED_KINDS = 6 };
/* enum sl_kind, in the order in which they are shown; codecs, which have no section, are last. */
extern const uint32_t installed_kinds[INSTALLED_KINDS];

/* Of the directories that the command line names, or the built-in one. NULL after an error, which
 * was printed. The caller ends it with plugin_registry_destroy. */
struct plugin_registry *installed_scan(const struct cli_values *);

/* Prints a component to stdout, in the child process. `name` is as it was asked for, perhaps an
 * alias. Returns an exit code. */
typedef int installed_print(const struct plugin_file *, const sl_type *, const char *version,
                            const char *name, void *arg);
int installed_describe(const struct plugin_file *, uint32_t kind, const char *name,
                       installed_print *, void *arg);

/* The type's own keys and those that the host gives every component like it, as one table; to be
 * freed. NULL: no memory. */
sl_field *installed_fields(const sl_type *);
#endif
