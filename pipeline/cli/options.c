/* Reading the command line by its table. Main thread. */
#include "pipeline/cli/options.h"
#include <errno.h>

const struct cli_option cli_config = {
    "--config", "-c", "SOURCE",
    "Configuration: a file, file:PATH, env:NAME, or yaml:a::b: value. May be given several times; "
    "later ones win."};
const struct cli_option cli_set = {
    "--set", NULL, "KEY=VALUE",
    "Sets one key after all sources: --set processors.batch.timeout=2s."};
const struct cli_option cli_plugins = {
    "--plugins", NULL, "DIR",
    "Directory to look for plugins in, instead of the built-in one. May be given several times."};
const struct cli_option cli_state = {"--state", NULL, "DIR",
                                     "Directory for what components keep between runs."};
const struct cli_option cli_journal = {"--journal", NULL, "DIR",
                                       "Gives every pipeline that has none a journal in this "
                                       "directory: what was acknowledged survives "
                                       "the process."};
const struct cli_option cli_format = {"--format", NULL, "FORMAT", "yaml (default) or json."};
const struct cli_option cli_form = {"--format", NULL, "FORMAT", "text (default) or markdown."};
const struct cli_option cli_unredacted = {"--unredacted", NULL, NULL,
                                          "Show secrets instead of [REDACTED]."};
const struct cli_option cli_json = {"--json", NULL, NULL,
                                    "Print the JSON Schema of the keys instead of text."};
const struct cli_option cli_validate = {"--validate", NULL, NULL,
                                        "Refuse what `sluice validate` would refuse."};
const struct cli_option cli_watch = {
    "--watch", NULL, NULL,
    "Reload, as on SIGHUP, when a file of the configuration changes; those of ${file:...}, too."};
const struct cli_option cli_feature_gates = {
    "--feature-gates", NULL, "LIST",
    "Taken for the OpenTelemetry Collector's sake; Sluice has none, and says so."};

const struct cli_option cli_output = {"--output", "-o", "DIR",
                                      "Directory for the files, made where it is missing."};

static bool is_option(const struct cli_option *o, const char *arg, size_t n)
{
    return (strlen(o->name) == n && !strncmp(o->name, arg, n)) ||
           (o->brief && !strcmp(o->brief, arg));
}

static int usage_error(const struct cli_command *c, const char *what, const char *arg)
{
    (void)fprintf(stderr, "sluice %s: %s: %s\nTry: sluice %s --help\n", c->name, what, arg,
                  c->name);
    return CLI_USAGE;
}

static bool add(const char **list, uint32_t *n, const char *value)
{
    if (*n == CLI_VALUES_MAX)
        return false;
    list[(*n)++] = value;
    return true;
}

static bool take(const struct cli_option *o, const char *value, struct cli_values *v)
{
    if (o == &cli_config)
        return add(v->configs, &v->n_configs, value);
    if (o == &cli_set)
        return add(v->sets, &v->n_sets, value);
    if (o == &cli_plugins)
        return add(v->plugins, &v->n_plugins, value);
    if (o == &cli_state)
        v->state = value;
    else if (o == &cli_journal)
        v->journal = value;
    else if (o == &cli_format || o == &cli_form)
        v->format = value;
    else if (o == &cli_output)
        v->output = value;
    else if (o == &cli_unredacted)
        v->unredacted = true;
    else if (o == &cli_json)
        v->json = true;
    else if (o == &cli_validate)
        v->validate = true;
    else if (o == &cli_watch)
        v->watch = true;
    else if (o == &cli_feature_gates)
        (void)fprintf(stderr, "sluice: --feature-gates %s: Sluice has no feature gates; ignored\n",
                      value);
    return true;
}

bool cli_read(const struct cli_command *c, int argc, char **argv, struct cli_values *v, int *code)
{
    memset(v, 0, sizeof *v);
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        if (!strcmp(arg, "--help") || !strcmp(arg, "-h")) {
            cli_print_help(c, stdout);
            *code = CLI_OK;
            return false;
        }
        if (arg[0] != '-' || !arg[1]) {
            if (!c->arguments || !add(v->arguments, &v->n_arguments, arg)) {
                *code = usage_error(c, "unexpected argument", arg);
                return false;
            }
            continue;
        }
        const char *equals = arg[1] == '-' ? strchr(arg, '=') : NULL;
        const size_t n = equals ? (size_t)(equals - arg) : strlen(arg);
        const struct cli_option *const *o = c->options;
        while (*o && !is_option(*o, arg, n))
            o++;
        if (!*o) {
            *code = usage_error(c, "unknown option", arg);
            return false;
        }
        const char *value = equals ? equals + 1 : NULL;
        if ((*o)->value && !value && !(value = ++i < argc ? argv[i] : NULL)) {
            *code = usage_error(c, "option needs a value", arg);
            return false;
        }
        if (!(*o)->value && value) {
            *code = usage_error(c, "option takes no value", arg);
            return false;
        }
        if (!take(*o, value, v)) {
            *code = usage_error(c, "option was given too often", arg);
            return false;
        }
    }
    return true;
}

void cli_print_help(const struct cli_command *c, FILE *out)
{
    (void)fprintf(out, "%s\n\nUsage: sluice %s%s%s%s\n", c->summary, c->name,
                  c->options[0] ? " [OPTIONS]" : "", c->arguments ? " " : "",
                  c->arguments ? c->arguments : "");
    if (c->help)
        (void)fprintf(out, "\n%s\n", c->help);
    if (c->options[0])
        (void)fprintf(out, "\nOptions:\n");
    for (const struct cli_option *const *o = c->options; *o; o++) {
        char name[64];
        (void)snprintf(name, sizeof name, "%s%s%s%s%s", (*o)->brief ? (*o)->brief : "",
                       (*o)->brief ? ", " : "", (*o)->name, (*o)->value ? " " : "",
                       (*o)->value ? (*o)->value : "");
        (void)fprintf(out, "  %-24s %s\n", name, (*o)->help);
    }
    (void)fprintf(out, "  %-24s %s\n", "-h, --help", "This text.");
}

void cli_print_usage(FILE *out)
{
    (void)fprintf(out, "Sluice, an OpenTelemetry collector.\n\nUsage: sluice COMMAND [OPTIONS]\n\n"
                       "Commands:\n");
    for (const struct cli_command *c = cli_commands; c->name; c++)
        (void)fprintf(out, "  %-14s %s\n", c->name, c->summary);
    (void)fprintf(out,
                  "\nsluice COMMAND --help tells more.\n\n"
                  "Exit codes: 0 all went well; 1 it did not, and the reason is on stderr; 2 the "
                  "command line is\nwrong; 3 (run) the process ended, but data was left.\n");
}

void cli_service_options(const struct cli_values *v, struct service_options *o)
{
    memset(o, 0, sizeof *o);
    o->sources.configs = v->configs;
    o->sources.n_configs = v->n_configs;
    o->sources.sets = v->sets;
    o->sources.n_sets = v->n_sets;
    o->plugin_directories = v->plugins;
    o->n_plugin_directories = v->n_plugins;
    o->state_directory = v->state;
    o->journal_directory = v->journal;
    o->watch = v->watch;
}

int cli_flush_output(int code)
{
    errno = 0;
    if ((fflush(stdout) == 0 && !ferror(stdout)) || code != CLI_OK)
        return code;
    (void)fprintf(stderr, "sluice: cannot write to standard output%s%s\n", errno ? ": " : "",
                  errno ? strerror(errno) : "");
    return CLI_FAILED;
}
