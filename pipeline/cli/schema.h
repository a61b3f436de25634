/* `sluice config`: descriptions of configurations as a whole. */
#ifndef SLUICE_PIPELINE_SCHEMA_H
#define SLUICE_PIPELINE_SCHEMA_H
#include "pipeline/cli/options.h"

/* "schema": the JSON Schema of a whole file with the installed components; "service": the reference
 * of the section that belongs to no component, as Markdown. Returns the exit code. */
int config_describe(const struct cli_values *);
#endif
