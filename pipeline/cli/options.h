/* The command line's own table: commands, their options, and the reading of both. Help texts, and
 * whatever else describes the command line, are made from it. */
#ifndef SLUICE_PIPELINE_OPTIONS_H
#define SLUICE_PIPELINE_OPTIONS_H
#include "pipeline/process/service.h"
#include <stdio.h>

enum { CLI_VALUES_MAX = 100 };

/* Exit codes of every command. */
enum cli_exit { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

struct cli_option {
    const char *name;  /* "--config" */
    const char *brief; /* "-c", or NULL */
    const char *value; /* "FILE"; NULL: a switch */
    const char *help;
};

struct cli_command {
    const char *name;
    const char *arguments;                   /* "[NAME]", or NULL: none */
    const char *summary;                     /* one line */
    const char *help;                        /* more of it; may be NULL */
    const struct cli_option *const *options; /* ends with NULL */
    int (*run)(const struct cli_command *, int argc, char **argv);
    const char *program; /* a program of its own that is run instead */
};

extern const struct cli_command cli_commands[]; /* ends with a NULL name */

/* What was given; values in the order of the command line. */
struct cli_values {
    const char *configs[CLI_VALUES_MAX], *sets[CLI_VALUES_MAX], *plugins[CLI_VALUES_MAX];
    uint32_t n_configs, n_sets, n_plugins;
    const char *state, *journal, *format, *output;
    bool unredacted, json, validate, watch;
    const char *arguments[CLI_VALUES_MAX];
    uint32_t n_arguments;
};

extern const struct cli_option cli_config, cli_set, cli_plugins, cli_state, cli_journal, cli_format,
    cli_unredacted, cli_json, cli_validate, cli_watch, cli_feature_gates, cli_output;

/* Reads argv[1..]; true to go on, else *code is what to exit with (help was printed, or an error).
 */
bool cli_read(const struct cli_command *, int argc, char **argv, struct cli_values *, int *code);
void cli_print_help(const struct cli_command *, FILE *);
void cli_print_usage(FILE *);
/* What a process should exit with that was about to exit with `code`: CLI_FAILED, after saying so,
 * where a full disk or a closed pipe did not take its output. */
int cli_flush_output(int code);
/* Of `sluice components`. */
extern const struct cli_option cli_form;
void cli_service_options(const struct cli_values *, struct service_options *);
#endif
