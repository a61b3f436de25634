/* Describing components, for a terminal, for the reference and for editors; and print-config, which
 * asks their tables what is secret. Main thread. */
#include "pipeline/cli/components.h"
#include "pipeline/cli/installed.h"
#include "pipeline/config/describe.h"
#include "pipeline/config/print.h"
#include "pipeline/graph/build.h"
#include "pipeline/graph/sink.h"
#include "pipeline/plugins/loader.h"
#include <stdlib.h>

enum format { FORMAT_TEXT, FORMAT_MARKDOWN, FORMAT_SCHEMA };

static void list(const struct plugin_registry *r)
{
    (void)printf(
        "buildinfo:\n  command: sluice\n  description: Sluice, an OpenTelemetry collector\n"
        "  version: %s\n",
        SLUICE_VERSION);
    for (uint32_t k = 0; k < INSTALLED_KINDS; k++) {
        bool first = true;
        for (uint32_t i = 0; i < plugin_registry_files(r); i++) {
            const struct plugin_file *f = plugin_registry_at(r, i);
            for (uint32_t t = 0; t < f->n_types; t++) {
                if (f->types[t].kind != installed_kinds[k])
                    continue;
                if (first)
                    (void)printf("%s:\n", service_section_name(installed_kinds[k]));
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

static void describe_as_text(const struct plugin_file *file, const sl_type *type,
                             const char *version, const sl_field *fields)
{
    (void)printf("%s \"%s\"\n", service_kind_name(type->kind), type->name);
    for (const char *const *a = type->aliases; a && *a; a++)
        (void)printf("also called: %s\n", *a);
    print_signals(type->kind == SL_KIND_connector ? "takes: " : "signals: ", type->signals);
    if (type->kind == SL_KIND_connector)
        print_signals("gives: ", type->signals_out ? type->signals_out : type->signals);
    (void)printf("stability: %s\nplugin: %s, version %s\n", stability_name(type->stability),
                 file->path, version);
    if (type->flags & SL_INERT)
        (void)printf("has no effect in Sluice\n");
    if (type->help)
        (void)printf("\n%s\n", type->help);
    (void)printf("\nKeys:\n");
    if (fields->key)
        (void)describe_text(stdout, fields);
    else
        (void)printf("  none\n");
}

static void describe_as_markdown(const sl_type *type, const sl_field *fields)
{
    (void)printf("# %s `%s`\n\n", service_kind_name(type->kind), type->name);
    if (type->help)
        (void)printf("%s\n\n", type->help);
    for (const char *const *a = type->aliases; a && *a; a++)
        (void)printf("- also called: `%s`\n", *a);
    if (type->signals) {
        print_signals(type->kind == SL_KIND_connector ? "- takes: " : "- signals: ", type->signals);
        if (type->kind == SL_KIND_connector)
            print_signals("- gives: ", type->signals_out ? type->signals_out : type->signals);
    }
    (void)printf("- stability: %s\n%s\n## Keys\n\n", stability_name(type->stability),
                 type->flags & SL_INERT ? "- has no effect in Sluice\n" : "");
    if (fields->key)
        (void)describe_markdown(stdout, fields);
    else
        (void)printf("It has none.\n");
}

static int describe(const struct plugin_file *file, const sl_type *type, const char *version,
                    const char *name, void *format)
{
    sl_field *fields = installed_fields(type);
    (void)name;
    if (!fields)
        return CLI_FAILED;
    switch (*(const enum format *)format) {
    case FORMAT_TEXT:
        describe_as_text(file, type, version, fields);
        break;
    case FORMAT_MARKDOWN:
        describe_as_markdown(type, fields);
        break;
    case FORMAT_SCHEMA:
        (void)describe_json_schema(stdout, fields, type->name);
        break;
    }
    free(fields);
    return CLI_OK;
}

static int describe_named(const struct plugin_registry *r, const char *argument, enum format format)
{
    const char *colon = strchr(argument, ':');
    const char *name = colon ? colon + 1 : argument;
    int code = CLI_FAILED;
    bool found = false;
    for (uint32_t k = 0; k < INSTALLED_KINDS; k++) {
        const char *kind = service_kind_name(installed_kinds[k]);
        if (colon &&
            (strlen(kind) != (size_t)(colon - argument) || strncmp(kind, argument, strlen(kind))))
            continue;
        const struct plugin_file *f = NULL;
        while ((f = plugin_registry_next(r, installed_kinds[k], sl_str(name), f))) {
            if (found && format != FORMAT_SCHEMA)
                (void)printf("\n");
            found = true;
            code = installed_describe(f, installed_kinds[k], name, describe, &format);
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
    enum format format = v->json ? FORMAT_SCHEMA : FORMAT_TEXT;
    if (v->format && !strcmp(v->format, "markdown"))
        format = FORMAT_MARKDOWN;
    else if (v->format && strcmp(v->format, "text")) {
        (void)fprintf(stderr, "sluice components: unknown format \"%s\"; use text or markdown\n",
                      v->format);
        return CLI_USAGE;
    }
    struct plugin_registry *r = installed_scan(v);
    int code = CLI_OK;
    if (!r)
        return CLI_FAILED;
    if (!v->n_arguments)
        list(r);
    for (uint32_t i = 0; i < v->n_arguments && code == CLI_OK; i++)
        code = describe_named(r, v->arguments[i], format);
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
    for (uint32_t k = 0; k < INSTALLED_KINDS - 1; k++) {
        if (!sl_eq(section->key, sl_str(service_section_name(installed_kinds[k]))))
            continue;
        sl_bytes name = entry->key;
        const uint8_t *slash = name.n ? memchr(name.p, '/', name.n) : NULL;
        if (slash)
            name.n = (size_t)(slash - name.p);
        const struct plugin_file *file;
        const struct plugin *plugin;
        sl_error error = {.size = sizeof error};
        if (plugin_registry_find(s->registry, installed_kinds[k], name, &file, &error) != SL_OK ||
            plugin_load(s->loader, file->path, &plugin, &error) != SL_OK)
            return true;
        const sl_type *type = plugin_type(plugin, installed_kinds[k], name, 0);
        if (!type)
            return true;
        struct config_part parts[3];
        sl_field timeout[2];
        uint32_t n = 0;
        if (type->kind == SL_KIND_exporter)
            exporter_config_parts(type, parts, &n, timeout);
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
        struct secrets s = {.registry = installed_scan(v), .loader = plugin_loader_create()};
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
