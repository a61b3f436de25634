/* What is installed: the list from the files' sections, a component's table from its plugin. Main
 * thread. */
#include "pipeline/cli/installed.h"
#include "pipeline/graph/component.h"
#include "pipeline/graph/sink.h"
#include "pipeline/plugins/loader.h"
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

const uint32_t installed_kinds[INSTALLED_KINDS] = {SL_KIND_receiver,  SL_KIND_processor,
                                                   SL_KIND_exporter,  SL_KIND_connector,
                                                   SL_KIND_extension, SL_KIND_codec};

struct plugin_registry *installed_scan(const struct cli_values *v)
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

static int describe_in_child(const struct plugin_file *file, uint32_t kind, const char *name,
                             installed_print *print, void *arg)
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
    const int code = print(file, type, plugin->version, name, arg);
    plugin_loader_destroy(loader);
    return code;
}

int installed_describe(const struct plugin_file *file, uint32_t kind, const char *name,
                       installed_print *print, void *arg)
{
    (void)fflush(stdout);
    const pid_t child = fork();
    if (child == 0)
        _exit(cli_flush_output(describe_in_child(file, kind, name, print, arg)));
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) < 0 || !WIFEXITED(status)) {
        (void)fprintf(stderr, "sluice: loading %s ended a process\n", file->path);
        return CLI_FAILED;
    }
    return WEXITSTATUS(status);
}

sl_field *installed_fields(const sl_type *type)
{
    struct config_part parts[3];
    sl_field timeout[2];
    const sl_field *tables[4] = {type->fields};
    uint32_t n = 0, fields = 0, at = 0;
    if (type->kind == SL_KIND_exporter)
        exporter_config_parts(type, parts, &n, timeout);
    for (uint32_t i = 0; i < n; i++)
        tables[1 + i] = parts[i].fields;
    for (uint32_t t = 0; t <= n; t++)
        for (const sl_field *f = tables[t]; f && f->key; f++)
            fields++;
    sl_field *all = calloc(fields + 1, sizeof *all);
    for (uint32_t t = 0; all && t <= n; t++)
        for (const sl_field *f = tables[t]; f && f->key; f++)
            all[at++] = *f;
    return all;
}
