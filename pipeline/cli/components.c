/* Describing components. The list comes from the files' sections, so that no foreign code runs; one
 * component's keys are in its table, for which its plugin is loaded, in a child process. */
#include "pipeline/cli/components.h"
#include "pipeline/cli/options.h"
#include "pipeline/config/describe.h"
#include "pipeline/config/print.h"
#include "pipeline/graph/build.h"
#include "pipeline/graph/sink.h"
#include "pipeline/plugins/loader.h"
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static const uint32_t kinds[] = {SL_KIND_receiver,  SL_KIND_processor, SL_KIND_exporter,
                                 SL_KIND_connector, SL_KIND_extension, SL_KIND_codec};
enum { KINDS = sizeof kinds / sizeof *kinds };

static struct plugin_registry *scan(const struct cli_values *v)
{
    struct plugin_registry *r = plugin_registry_create();
    sl_error error = {.size = sizeof error};
    char path[4096];
    int32_t status = r ? SL_OK : SL_ERR_NOMEM;
    for (uint32_t i = 0; i < v->n_plugins && status == SL_OK; i++)
        status = plugin_registry_scan(r, v->plugins[i], &error);
    if (!v->n_plugins && status == SL_OK)
        status = plugin_directory_default(SLUICE_PLUGIN_DIRECTORY, path, sizeof path, &error);
    if (!v->n_plugins && status == SL_OK)
        status = plugin_registry_scan(r, path, &error);
    if (status == SL_OK)
        return r;
    (void)fprintf(stderr, "sluice: %s\n", error.text[0] ? error.text : "no memory");
    plugin_registry_destroy(r);
    return NULL;
}

static void list(const struct plugin_registry *r)
{
    (void)printf(
        "buildinfo:\n  command: sluice\n  description: Sluice, an OpenTelemetry collector\n"
        "  version: %s\n",
        SLUICE_VERSION);
    for (uint32_t k = 0; k < KINDS; k++) {
        bool first = true;
        for (uint32_t i = 0; i < plugin_registry_files(r); i++) {
            const struct plugin_file *f = plugin_registry_at(r, i);
            for (uint32_t t = 0; t < f->n_types; t++) {
                if (f->types[t].kind != kinds[k])
                    continue;
                if (first)
                    (void)printf("%s:\n", service_section_name(kinds[k]));
                first = false;
                (void)printf("  - name: %s\n    plugin: %s\n", f->types[t].name, f->path);
            }
        }
    }
    for (uint32_t i = 0; i < plugin_registry_files(r); i++)
        if (plugin_registry_at(r, i)->problem)
            (void)fprintf(stderr, "sluice: %s: %s\n", plugin_registry_at(r, i)->path,
                          plugin_registry_at(r, i)->problem);
}

static const char *stability_name(uint32_t stability)
{
    static const char *const names[] = {"unspecified", "development", "alpha",
                                        "beta",        "stable",      "deprecated"};
    return names[stability <= SL_STABILITY_DEPRECATED ? stability : 0];
}

static void print_signals(const char *label, uint32_t mask)
{
    (void)printf("%s", label);
    const char *comma = "";
    for (uint32_t s = 0; s < SIGNALS; s++)
        if (mask & 1u << s) {
            (void)printf("%s%s", comma, service_signal_name(1u << s));
            comma = ", ";
        }
    (void)printf("\n");
}

/* The component's own keys, and those that the host gives every exporter like it. */
static void describe_keys(const sl_type *type, bool json)
{
    struct config_part parts[3];
    uint32_t n = 0;
    if (type->kind == SL_KIND_exporter)
        exporter_config_parts(type, parts, &n);
    if (json) {
        const sl_field *tables[4] = {type->fields};
        for (uint32_t i = 0; i < n; i++)
            tables[1 + i] = parts[i].fields;
        uint32_t fields = 0;
        for (uint32_t t = 0; t <= n; t++)
            for (const sl_field *f = tables[t]; f && f->key; f++)
                fields++;
        sl_field *all = calloc(fields + 1, sizeof *all);
        uint32_t at = 0;
        for (uint32_t t = 0; all && t <= n; t++)
            for (const sl_field *f = tables[t]; f && f->key; f++)
                all[at++] = *f;
        if (all)
            (void)describe_json_schema(stdout, all, type->name);
        free(all);
        return;
    }
    (void)printf("\nKeys:\n");
    if (type->fields && type->fields->key)
        (void)describe_text(stdout, type->fields);
    else if (!n)
        (void)printf("  none\n");
    for (uint32_t i = 0; i < n; i++)
        (void)describe_text(stdout, parts[i].fields);
}

static void describe(const struct plugin_file *file, const sl_type *type, const char *version,
                     bool json)
{
    if (!json) {
        (void)printf("%s \"%s\"\n", service_kind_name(type->kind), type->name);
        for (const char *const *a = type->aliases; a && *a; a++)
            (void)printf("also called: %s\n", *a);
        print_signals(type->kind == SL_KIND_connector ? "takes: " : "signals: ", type->signals);
        if (type->kind == SL_KIND_connector)
            print_signals("gives: ", type->signals_out ? type->signals_out : type->signals);
        (void)printf("stability: %s\nplugin: %s, version %s\n", stability_name(type->stability),
                     file->path, version);
        if (type->help)
            (void)printf("\n%s\n", type->help);
    }
    describe_keys(type, json);
}

static int describe_in_child(const struct plugin_file *file, uint32_t kind, const char *name,
                             bool json)
{
    sl_error error = {.size = sizeof error};
    const struct plugin *plugin;
    struct plugin_loader *loader = plugin_loader_create();
    if (!loader || plugin_load(loader, file->path, &plugin, &error) != SL_OK) {
        (void)fprintf(stderr, "sluice: %s\n", error.text);
        return CLI_FAILED;
    }
    const sl_type *type = plugin_type(plugin, kind, sl_str(name), 0);
    if (!type) {
        (void)fprintf(stderr, "sluice: %s promises %s \"%s\" and does not have it\n", file->path,
                      service_kind_name(kind), name);
        return CLI_FAILED;
    }
    describe(file, type, plugin->version, json);
    plugin_loader_destroy(loader);
    return CLI_OK;
}

static int describe_named(const struct plugin_registry *r, const char *argument, bool json)
{
    const char *colon = strchr(argument, ':');
    const char *name = colon ? colon + 1 : argument;
    int code = CLI_FAILED;
    bool found = false;
    for (uint32_t k = 0; k < KINDS; k++) {
        const char *kind = service_kind_name(kinds[k]);
        if (colon &&
            (strlen(kind) != (size_t)(colon - argument) || strncmp(kind, argument, strlen(kind))))
            continue;
        const struct plugin_file *f = NULL;
        while ((f = plugin_registry_next(r, kinds[k], sl_str(name), f))) {
            if (found && !json)
                (void)printf("\n");
            found = true;
            (void)fflush(stdout);
            const pid_t child = fork();
            if (child == 0) {
                _exit(cli_flush_output(describe_in_child(f, kinds[k], name, json)));
            }
            int status = 0;
            if (child < 0 || waitpid(child, &status, 0) < 0 || !WIFEXITED(status)) {
                (void)fprintf(stderr, "sluice: loading %s ended a process\n", f->path);
                return CLI_FAILED;
            }
            code = WEXITSTATUS(status);
            if (code)
                return code;
        }
    }
    if (!found)
        (void)fprintf(stderr, "sluice: no component \"%s\" in %s; `sluice components` lists all\n",
                      argument, plugin_registry_directories(r));
    return code;
}

int components_print(const struct cli_values *v)
{
    struct plugin_registry *r = scan(v);
    int code = CLI_OK;
    if (!r)
        return CLI_FAILED;
    if (!v->n_arguments)
        list(r);
    for (uint32_t i = 0; i < v->n_arguments && code == CLI_OK; i++)
        code = describe_named(r, v->arguments[i], v->json);
    plugin_registry_destroy(r);
    return code;
}

/* ---- print-config ---- */

struct secrets {
    const struct plugin_registry *registry;
    struct plugin_loader *loader;
};

/* A scalar under `section: id:` is looked up in its plugin's table; without one it is secret. */
static bool is_secret(void *user, const struct config_node *node)
{
    const struct secrets *s = user;
    const struct config_node *entry = node, *section = NULL;
    if (!node->parent || !node->parent->parent)
        return false;
    while (entry->parent->parent && entry->parent->parent->parent)
        entry = entry->parent;
    section = entry->parent;
    for (uint32_t k = 0; k < KINDS - 1; k++) {
        if (!sl_eq(section->key, sl_str(service_section_name(kinds[k]))))
            continue;
        sl_bytes name = entry->key;
        const uint8_t *slash = name.n ? memchr(name.p, '/', name.n) : NULL;
        if (slash)
            name.n = (size_t)(slash - name.p);
        const struct plugin_file *file;
        const struct plugin *plugin;
        sl_error error = {.size = sizeof error};
        if (plugin_registry_find(s->registry, kinds[k], name, &file, &error) != SL_OK ||
            plugin_load(s->loader, file->path, &plugin, &error) != SL_OK)
            return true;
        const sl_type *type = plugin_type(plugin, kinds[k], name, 0);
        if (!type)
            return true;
        struct config_part parts[3];
        uint32_t n = 0;
        if (type->kind == SL_KIND_exporter)
            exporter_config_parts(type, parts, &n);
        bool secret = config_secret_in(type->fields, entry, node);
        for (uint32_t i = 0; i < n && secret; i++)
            secret = config_secret_in(parts[i].fields, entry, node);
        return secret;
    }
    return false;
}

int config_print(const struct cli_values *v)
{
    struct service_options options;
    struct config_diagnostics d;
    struct config_tree tree;
    cli_service_options(v, &options);
    diagnostics_init(&d, NULL);
    int code = CLI_FAILED;
    const int32_t status = sources_load(&options.sources, &tree, &d);
    diagnostics_print(&d, stderr, false);
    if (status == SL_OK) {
        struct secrets s = {.registry = scan(v), .loader = plugin_loader_create()};
        const bool json = v->format && !strcmp(v->format, "json");
        if (s.registry && s.loader) {
            config_is_secret filter = v->unredacted ? NULL : is_secret;
            const int32_t printed = json ? config_print_json(stdout, tree.root, filter, &s)
                                         : config_print_yaml(stdout, tree.root, filter, &s);
            code = printed == SL_OK ? CLI_OK : CLI_FAILED;
        }
        plugin_loader_destroy(s.loader);
        plugin_registry_destroy((struct plugin_registry *)(uintptr_t)s.registry);
    }
    tree_deinit(&tree);
    diagnostics_deinit(&d);
    return code;
}
