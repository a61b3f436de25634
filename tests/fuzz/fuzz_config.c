/* Fuzz target: configurations. The input holds up to two files and a value for every environment
 * variable, separated by lines of "%%%"; they are merged, expanded, printed, read back, bound to a
 * table with every kind of field, and taken for a whole service. One thread. */
#include "pipeline/config/bind.h"
#include "pipeline/config/print.h"
#include "pipeline/config/service.h"
#include "pipeline/config/sources.h"
#include "pipeline/config/yaml.h"
#include "tests/unit/config_kinds.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PARTS = 3, LARGEST = 1 << 16 };

static const char *environment(void *value, const char *name)
{
    return *name == 'U' ? NULL : value; /* some are not set */
}

/* "yaml:" and a part, NUL-terminated. Files are not read: they are not part of the input. */
static char *as_source(const uint8_t *p, size_t n, bool scheme)
{
    char *text = malloc(n + 6);
    if (!text)
        abort();
    size_t at = scheme ? 5 : 0;
    memcpy(text, "yaml:", 6);
    memcpy(text + at, p, n);
    text[at + n] = '\0';
    for (char *file = text; (file = strstr(file, "file:"));)
        *file = 'F';
    return text;
}

static void read_raw(const uint8_t *data, size_t size)
{
    struct config_diagnostics d;
    struct config_tree tree;
    diagnostics_init(&d, NULL);
    tree_init(&tree, NULL);
    int32_t rc = yaml_parse(&tree, "raw", sl_slice(data, size), NULL, &d, &tree.root);
    if ((rc == SL_OK) == diagnostics_failed(&d))
        abort(); /* every refusal has a reason */
    if (tree.root && tree_height(tree.root) > CONFIG_MAX_DEPTH)
        abort();
    tree_deinit(&tree);
    diagnostics_deinit(&d);
}

static char *printed(const struct config_node *root, size_t *n)
{
    char *text;
    FILE *out = open_memstream(&text, n);
    if (!out || config_print_yaml(out, root, NULL, NULL))
        abort();
    if (fclose(out))
        abort();
    return text;
}

/* What is printed reads back, and prints the same again. */
static void print_and_read(const struct config_tree *tree)
{
    struct config_diagnostics d;
    struct config_tree again;
    size_t n, m;
    char *text = printed(tree->root, &n);
    diagnostics_init(&d, NULL);
    tree_init(&again, NULL);
    if (yaml_parse(&again, "again", sl_slice(text, n), NULL, &d, &again.root) == SL_OK) {
        char *twice = printed(again.root, &m);
        if (n != m || memcmp(text, twice, n) != 0)
            abort();
        free(twice);
    } else if (n <= CONFIG_MAX_FILE) {
        diagnostics_print(&d, stderr, true);
        abort();
    }
    free(text);
    tree_deinit(&again);
    diagnostics_deinit(&d);
}

static void use(struct config_tree *tree, struct config_diagnostics *d)
{
    struct config_part part = {kinds_fields, sizeof(struct kinds), NULL};
    struct config_bound *bound;
    struct service_config service;
    const struct config_node *copy = tree_copy(tree, tree->root);
    if (copy && !config_node_equal(tree->root, copy))
        abort();
    print_and_read(tree);
    int32_t rc = config_bind("fuzz", tree->root, tree->root->at, &part, 1, NULL, d, &bound);
    if ((rc == SL_OK) != (bound != NULL) || (rc != SL_OK && !diagnostics_failed(d)))
        abort();
    config_free(bound);
    (void)service_init(&service, tree, NULL, d);
    service_deinit(&service);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > LARGEST)
        return 0;
    read_raw(data, size);
    char *parts[PARTS];
    for (int i = 0; i < PARTS; i++) {
        const uint8_t *end = i < PARTS - 1 && size ? memmem(data, size, "\n%%%\n", 5) : NULL;
        size_t n = end ? (size_t)(end - data) : size;
        parts[i] = as_source(data, n, i < PARTS - 1);
        data += end ? n + 5 : n;
        size -= end ? n + 5 : n;
    }
    const char *const sets[] = {"count=3", "http.limit=4"};
    struct config_sources sources = {.configs = (const char *const *)parts,
                                     .n_configs = PARTS - 1,
                                     .sets = sets,
                                     .n_sets = 2,
                                     .environment = environment,
                                     .user = parts[PARTS - 1]};
    struct config_diagnostics d;
    struct config_tree tree;
    diagnostics_init(&d, NULL);
    int32_t rc = sources_load(&sources, &tree, &d);
    if (rc != SL_OK && !diagnostics_failed(&d))
        abort();
    if (rc == SL_OK)
        use(&tree, &d);
    FILE *out = fopen("/dev/null", "w");
    if (out) {
        diagnostics_print(&d, out, true);
        (void)fclose(out);
    }
    tree_deinit(&tree);
    diagnostics_deinit(&d);
    for (int i = 0; i < PARTS; i++)
        free(parts[i]);
    return 0;
}
