/* The config as it was read at one time. Control thread. */
#include "pipeline/process/settings.h"
#include <stdlib.h>

static void note_file(void *arg, const char *path)
{
    struct settings *s = arg;
    for (uint32_t i = 0; i < s->n_files; i++)
        if (!strcmp(s->files[i], path))
            return;
    char *copy = strdup(path);
    char **files = copy ? realloc(s->files, (s->n_files + 1) * sizeof *files) : NULL;
    if (!files) { /* the file is not watched */
        free(copy);
        return;
    }
    s->files = files;
    s->files[s->n_files++] = copy;
}

struct settings *settings_load(const struct config_sources *sources, struct config_diagnostics *d)
{
    struct settings *s = calloc(1, sizeof *s);
    if (!s) {
        diagnostics_no_memory(d);
        return NULL;
    }
    struct config_sources noting = *sources;
    noting.on_file = note_file;
    noting.on_file_arg = s;
    if (sources_load(&noting, &s->tree, d) == SL_OK) {
        const int32_t status = service_init(&s->config, &s->tree, NULL, d);
        s->has_config = status == SL_OK || status == SL_ERR_INVALID;
        if (!s->has_config)
            service_deinit(&s->config);
    }
    return s;
}

void settings_destroy(struct settings *s)
{
    if (!s)
        return;
    if (s->has_config)
        service_deinit(&s->config);
    tree_deinit(&s->tree);
    for (uint32_t i = 0; i < s->n_files; i++)
        free(s->files[i]);
    free(s->files);
    free(s);
}

bool settings_agree(const struct settings *a, const struct settings *b, const char *const *path)
{
    return config_node_equal(config_at(a->tree.root, path), config_at(b->tree.root, path));
}
