/* What the configuration's unit tests share: loading texts, and the diagnostics as one text. */
#ifndef SLUICE_TESTS_CONFIG_SUPPORT_H
#define SLUICE_TESTS_CONFIG_SUPPORT_H
#include "pipeline/config/bind.h"
#include "pipeline/config/sources.h"
#include "pipeline/config/yaml.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct loaded {
    struct config_diagnostics d;
    struct config_tree tree;
    int32_t status;
    char *text; /* the diagnostics as printed, once asked for */
};

static inline void unload(struct loaded *l)
{
    tree_deinit(&l->tree);
    diagnostics_deinit(&l->d);
    free(l->text);
}

/* All diagnostics, notes included. */
static inline const char *said(struct loaded *l)
{
    size_t n;
    free(l->text);
    l->text = NULL;
    FILE *out = open_memstream(&l->text, &n);
    assert_non_null(out);
    diagnostics_print(&l->d, out, true);
    assert_int_equal(fclose(out), 0);
    return l->text;
}

/* Fails with what was said, so that a broken test shows why. */
#define assert_said(l, wanted)                                                                     \
    do {                                                                                           \
        if (!strstr(said(l), (wanted)))                                                            \
            fail_msg("wanted: %s\nfound: %s", (wanted), said(l));                                  \
    } while (0)
#define assert_silent(l) assert_string_equal(said(l), "")

static inline struct loaded parse_bytes(sl_bytes text)
{
    struct loaded l = {.text = NULL};
    diagnostics_init(&l.d, NULL);
    tree_init(&l.tree, NULL);
    l.status = yaml_parse(&l.tree, "a.yaml", text, NULL, &l.d, &l.tree.root);
    return l;
}

static inline struct loaded parse(const char *text)
{
    return parse_bytes(sl_str(text));
}

/* The environment of the tests: NAME=value texts that end with NULL. */
static inline const char *test_environment(void *user, const char *name)
{
    const char *const *at = user;
    for (; at && *at; at++)
        if (strncmp(*at, name, strlen(name)) == 0 && (*at)[strlen(name)] == '=')
            return *at + strlen(name) + 1;
    return NULL;
}

struct load_args {
    const char *configs[8];
    const char *sets[8];
    const char *const *environment;
    const struct config_allocator *allocator;
};

static inline struct loaded load_with(struct load_args a)
{
    struct loaded l = {.text = NULL};
    struct config_sources s = {.configs = a.configs,
                               .sets = a.sets,
                               .allocator = a.allocator,
                               .environment = test_environment,
                               .user = (void *)(uintptr_t)a.environment};
    while (s.n_configs < 8 && a.configs[s.n_configs])
        s.n_configs++;
    while (s.n_sets < 8 && a.sets[s.n_sets])
        s.n_sets++;
    diagnostics_init(&l.d, a.allocator);
    l.status = sources_load(&s, &l.tree, &l.d);
    return l;
}
#define load(...) load_with((struct load_args){__VA_ARGS__})

/* A path of keys separated by dots. */
static inline const struct config_node *at(const struct loaded *l, const char *path)
{
    const struct config_node *n = l->tree.root;
    for (const char *p = path; n && *p;) {
        size_t length = strcspn(p, ".");
        n = config_find(n, sl_slice(p, length));
        p += length + (p[length] == '.');
    }
    return n;
}

static inline const char *text_at(const struct loaded *l, const char *path)
{
    const struct config_node *n = at(l, path);
    return n && n->kind == CONFIG_SCALAR ? (const char *)n->text.p : NULL;
}

/* malloc, until so many allocations have been made. */
struct failing {
    struct config_allocator allocator;
    uint32_t left, made;
};

static inline void *failing_allocate(void *user, size_t n)
{
    struct failing *f = user;
    f->made++;
    return f->left-- > 0 ? malloc(n) : (f->left = 0, (void *)NULL);
}

static inline void failing_release(void *user, void *p)
{
    (void)user;
    free(p);
}

static inline void failing_init(struct failing *f, uint32_t left)
{
    *f = (struct failing){{failing_allocate, failing_release, f}, left, 0};
}

#endif
