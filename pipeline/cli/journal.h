/* `sluice journal`: looks into journals without opening them. Main thread. */
#ifndef SLUICE_PIPELINE_CLI_JOURNAL_H
#define SLUICE_PIPELINE_CLI_JOURNAL_H
#include "pipeline/cli/options.h"
#include "pipeline/journal/inspect.h"

int journal_command(const struct cli_command *, const struct cli_values *);
const char *journal_signal_name(uint32_t signal);

/* Writes what is not settled into files of the directory `output`, one a stream and signal. Each
 * of its bodies that cannot be read is said. An exit code. */
int journal_export(struct inspection *, const char *directory, const char *output);
#endif
