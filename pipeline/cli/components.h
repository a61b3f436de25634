/* `sluice components` and `sluice print-config`: what the plugins say of themselves. */
#ifndef SLUICE_PIPELINE_COMPONENTS_H
#define SLUICE_PIPELINE_COMPONENTS_H
#include "pipeline/cli/options.h"

/* Lists what is installed, from the sections of the files, or describes the named one, which is
 * loaded in a child process. Returns the exit code. */
int components_print(const struct cli_values *);
/* Prints the merged config; secrets are found by the tables of the components' plugins. */
int config_print(const struct cli_values *);
#endif
