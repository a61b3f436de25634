/* The commands: run, validate, components, config, print-config, journal,
 * version; and the table of all. */
#include "pipeline/cli/components.h"
#include "pipeline/cli/journal.h"
#include "pipeline/cli/schema.h"
#include "pipeline/config/print.h"
#include "pipeline/graph/describe.h"
#include <uv.h>
#include <yaml.h>
#include <zlib.h>

static bool has_config(const struct cli_command *c, const struct cli_values *v, int *code)
{
    if (v->n_configs)
        return true;
    (void)fprintf(stderr, "sluice %s: no configuration; name one: sluice %s --config FILE\n",
                  c->name, c->name);
    *code = CLI_USAGE;
    return false;
}

/* Makes the service and prints what is wrong with the config. */
static struct service *make_service(const struct cli_values *v, bool notes)
{
    struct service_options options;
    struct config_diagnostics d;
    cli_service_options(v, &options);
    diagnostics_init(&d, NULL);
    struct service *s = service_create(&options, &d);
    diagnostics_print(&d, stderr, notes);
    if (!s)
        (void)fprintf(stderr, "sluice: the configuration has %u error%s\n", d.count[CONFIG_ERROR],
                      d.count[CONFIG_ERROR] == 1 ? "" : "s");
    diagnostics_deinit(&d);
    return s;
}

static int run(const struct cli_command *c, int argc, char **argv)
{
    struct cli_values v;
    int code;
    if (!cli_read(c, argc, argv, &v, &code) || !has_config(c, &v, &code))
        return code;
    struct service *s = make_service(&v, false);
    if (!s)
        return CLI_FAILED;
    code = service_run(s);
    service_destroy(s);
    return code;
}

static int validate(const struct cli_command *c, int argc, char **argv)
{
    struct cli_values v;
    int code;
    if (!cli_read(c, argc, argv, &v, &code) || !has_config(c, &v, &code))
        return code;
    struct service *s = make_service(&v, true);
    if (!s)
        return CLI_FAILED;
    (void)printf("The configuration is valid.\n");
    graph_describe(service_graph(s), stdout);
    service_destroy(s);
    return CLI_OK;
}

static int components(const struct cli_command *c, int argc, char **argv)
{
    struct cli_values v;
    int code;
    if (!cli_read(c, argc, argv, &v, &code))
        return code;
    return components_print(&v);
}

static int config(const struct cli_command *c, int argc, char **argv)
{
    struct cli_values v;
    int code;
    if (!cli_read(c, argc, argv, &v, &code))
        return code;
    return config_describe(&v);
}

static int print_config(const struct cli_command *c, int argc, char **argv)
{
    struct cli_values v;
    int code;
    if (!cli_read(c, argc, argv, &v, &code) || !has_config(c, &v, &code))
        return code;
    if (v.format && strcmp(v.format, "yaml") && strcmp(v.format, "json")) {
        (void)fprintf(stderr, "sluice print-config: unknown format \"%s\"; use yaml or json\n",
                      v.format);
        return CLI_USAGE;
    }
    if (v.validate) {
        struct service *s = make_service(&v, false);
        if (!s)
            return CLI_FAILED;
        service_destroy(s);
    }
    return config_print(&v);
}

static int journal(const struct cli_command *c, int argc, char **argv)
{
    struct cli_values v;
    int code;
    if (!cli_read(c, argc, argv, &v, &code))
        return code;
    return journal_command(c, &v);
}

static int version(const struct cli_command *c, int argc, char **argv)
{
    struct cli_values v;
    int code;
    if (argc > 1 && !cli_read(c, argc, argv, &v, &code))
        return code;
    (void)printf("sluice %s\nplugin ABI %d.%d\nlibuv %s\nlibyaml %s\nzlib %s\n", SLUICE_VERSION,
                 SL_ABI_MAJOR, SL_ABI_MINOR, uv_version_string(), yaml_get_version_string(),
                 zlibVersion());
    return CLI_OK;
}

static const struct cli_option *const run_options[] = {
    &cli_config,  &cli_set,   &cli_plugins,       &cli_state,
    &cli_journal, &cli_watch, &cli_feature_gates, NULL};
static const struct cli_option *const validate_options[] = {
    &cli_config, &cli_set, &cli_plugins, &cli_state, &cli_journal, &cli_feature_gates, NULL};
static const struct cli_option *const components_options[] = {&cli_plugins, &cli_form, &cli_json,
                                                              NULL};
static const struct cli_option *const config_options[] = {&cli_plugins, NULL};
static const struct cli_option *const print_options[] = {
    &cli_config,     &cli_set,      &cli_plugins,       &cli_format,
    &cli_unredacted, &cli_validate, &cli_feature_gates, NULL};
static const struct cli_option *const journal_options[] = {&cli_output, NULL};
static const struct cli_option *const no_options[] = {NULL};

const struct cli_command cli_commands[] = {
    {.name = "run",
     .summary = "Run the pipelines of a configuration.",
     .help =
         "SIGTERM and SIGINT drain what is inside, for service::shutdown::timeout at most (30s), "
         "and end the\nprocess; a second signal does not wait. SIGHUP reloads the configuration: "
         "what has "
         "not changed in it goes\non as it is, and a configuration with errors changes nothing.",
     .options = run_options,
     .run = run},
    {.name = "validate",
     .summary = "Check a configuration without running it.",
     .help = "Shows every error with file, line and column, and what is accepted but has no "
             "effect; then "
             "the plan, a\nline for each pipeline: its nodes, whether senders are answered once "
             "their data "
             "is taken in memory or\nonce it is delivered, and what a crash loses.",
     .options = validate_options,
     .run = validate},
    {.name = "components",
     .arguments = "[[KIND:]NAME]",
     .summary = "List the installed components, or describe one with all its keys.",
     .options = components_options,
     .run = components},
    {.name = "config",
     .arguments = "schema|service",
     .summary = "Print the JSON Schema of configuration files, for editors.",
     .help = "schema: of a whole file with every installed component, for the YAML support of an "
             "editor.\nservice: the keys of the section service, as Markdown.",
     .options = config_options,
     .run = config},
    {.name = "print-config",
     .summary = "Print the configuration as it is after merging, with secrets left out.",
     .options = print_options,
     .run = print_config},
    {.name = "journal",
     .arguments = "ls|inspect|verify|export DIR",
     .summary = "See what is in a journal, check it, and rescue what has not been delivered.",
     .help = "DIR is a journal's directory, or one that has some in it. Nothing in it is changed, "
             "and a process\nthat works with it may go on.\n"
             "  ls       what is not settled: records, items, bytes, age\n"
             "  inspect  every segment and record\n"
             "  verify   all checksums; exit code 1 where something is damaged\n"
             "  export   what is not settled, as files in --output: OTLP requests with their "
             "lengths in front, which\n           `sluice generate` sends",
     .options = journal_options,
     .run = journal},
    {.name = "generate",
     .summary = "Make realistic traces, metrics and logs, and write or send them.",
     .options = no_options,
     .program = "sluice-generate"},
    {.name = "convert",
     .summary = "Convert stored traces: Sluice's blocks, OTLP in protobuf, OTLP JSON.",
     .options = no_options,
     .program = "sluice-storage"},
    {.name = "inspect",
     .summary = "See what files of Sluice's blocks hold, and what takes how much of them.",
     .options = no_options,
     .program = "sluice-storage"},
    {.name = "query",
     .summary = "Find stored traces by id, service, operation, attribute, status and time.",
     .options = no_options,
     .program = "sluice-storage"},
    {.name = "version",
     .summary = "Print the version of Sluice and of its libraries.",
     .options = no_options,
     .run = version},
    {.name = NULL},
};
