/* From --config and --set to one tree. As in the collector, maps are merged deeply and everything
 * else is replaced by what comes later, null included: `processors:` in a later file takes away the
 * processors of an earlier one, and a later `grpc:` puts the defaults in place of what was there.
 * `a::b: x` stands for `a: {b: x}`. Control thread only. */
#include "pipeline/config/sources.h"
#include "pipeline/config/expand.h"
#include "pipeline/config/retrieve.h"
#include "pipeline/config/yaml.h"

struct loader {
    const struct config_sources *s;
    struct config_tree *tree;
    struct config_diagnostics *d;
};

static int32_t no_room(struct loader *l)
{
    diagnostics_no_memory(l->d);
    return SL_ERR_NOMEM;
}

int32_t sources_merge(struct config_tree *t, struct config_node *into, struct config_node *from)
{
    struct {
        struct config_node *into, *next;
    } stack[CONFIG_MAX_DEPTH];
    uint32_t depth = 0;
    stack[depth].into = into;
    stack[depth++].next = from->first;
    while (depth > 0) {
        struct config_node *c = stack[depth - 1].next;
        if (!c) {
            depth--;
            continue;
        }
        stack[depth - 1].next = c->next;
        into = stack[depth - 1].into;
        struct config_node *old = config_find(into, c->key);
        if (!old) {
            if (!tree_append(t, into, c))
                return SL_ERR_NOMEM;
        } else if (old->kind == CONFIG_MAP && c->kind == CONFIG_MAP && depth < CONFIG_MAX_DEPTH) {
            stack[depth].into = old;
            stack[depth++].next = c->first;
        } else {
            tree_become(old, c);
            old->key_at = c->key_at;
        }
    }
    return SL_OK;
}

/* ---- a::b ---------------------------------------------------------------------------------- */

static const uint8_t *find_colons(sl_bytes key)
{
    return key.n ? memmem(key.p, key.n, "::", 2) : NULL;
}

/* Puts `c`, whose key is a path, into maps of its own: {a: {b: c}}. The top's key is the first
 * part. `separator` is "::" or ".". NULL: refused or no memory. */
static struct config_node *wrap(struct loader *l, struct config_node *c, const char *separator,
                                uint32_t depth)
{
    sl_bytes rest = c->key;
    depth += tree_height(c);
    size_t n_separator = strlen(separator);
    struct config_node *top = NULL, *map = NULL;
    for (;;) {
        const uint8_t *end = rest.n ? memmem(rest.p, rest.n, separator, n_separator) : NULL;
        size_t n = end ? (size_t)(end - rest.p) : rest.n;
        if (n == 0 || ++depth > CONFIG_MAX_DEPTH) {
            diagnostics_add(l->d, CONFIG_ERROR, c->key_at,
                            n ? "the path \"%.200s\" is too deep" : "a part of \"%.200s\" is empty",
                            (const char *)c->key.p);
            return NULL;
        }
        struct config_node *node = end ? tree_node(l->tree, CONFIG_MAP, c->key_at) : c;
        sl_bytes key = arena_copy(&l->tree->arena, rest.p, n);
        if (!node || !key.p) {
            (void)no_room(l);
            return NULL;
        }
        node->key = key;
        if (map && !tree_append(l->tree, map, node)) {
            (void)no_room(l);
            return NULL;
        }
        top = top ? top : node;
        map = node;
        if (!end)
            return top;
        rest = sl_slice(end + n_separator, rest.n - n - n_separator);
    }
}

static int32_t split_keys_of(struct loader *l, struct config_node *map, uint32_t depth)
{
    struct config_node *c = map->first;
    while (c && !find_colons(c->key))
        c = c->next;
    if (!c)
        return SL_OK;
    c = map->first;
    map->first = map->last = NULL;
    map->index = NULL;
    map->n = 0;
    int32_t status = SL_OK;
    for (struct config_node *next; c; c = next) {
        next = c->next;
        struct config_node *top = wrap(l, c, "::", depth);
        struct config_node *one = top ? tree_node(l->tree, CONFIG_MAP, c->at) : NULL;
        if (!top || !one)
            status = SL_ERR_INVALID;
        else if (!tree_append(l->tree, one, top) || sources_merge(l->tree, map, one))
            return no_room(l);
    }
    return status;
}

/* In all maps that are not inside a list, as the collector does. */
static int32_t split_keys(struct loader *l, struct config_node *root)
{
    int32_t status = SL_OK;
    uint32_t depth = 0, lists = 0;
    struct config_walk walk;
    config_walk_init(&walk, root);
    const struct config_node *n;
    for (enum config_step step; (step = config_walk_next(&walk, &n)) != CONFIG_DONE;) {
        if (step == CONFIG_ENTER) {
            depth++;
            lists += n->kind == CONFIG_LIST;
            if (n->kind == CONFIG_MAP && lists == 0) {
                int32_t rc = split_keys_of(l, (struct config_node *)n, depth - 1);
                if (rc == SL_ERR_NOMEM)
                    return rc;
                status = rc ? rc : status;
            }
        } else if (step == CONFIG_LEAVE) {
            depth--;
            lists -= n->kind == CONFIG_LIST;
        }
    }
    return status;
}

/* ---- --config, --set ----------------------------------------------------------------------- */

static int32_t merge_source(struct loader *l, struct config_node *root)
{
    int32_t rc = split_keys(l, root);
    if (rc)
        return rc;
    if (!l->tree->root) {
        l->tree->root = root;
        return SL_OK;
    }
    rc = sources_merge(l->tree, l->tree->root, root);
    return rc ? no_room(l) : SL_OK;
}

static int32_t load_config(struct loader *l, const char *config)
{
    sl_bytes uri = sl_str(config), scheme = sl_str("file"), rest = uri;
    struct config_place at = {.file = "--config"};
    if (memchr(uri.p, ':', uri.n) && !uri_split(uri, &scheme, &rest)) {
        diagnostics_add(l->d, CONFIG_ERROR, at,
                        "\"%.200s\" does not begin with a scheme; write file:%.200s", config,
                        config);
        return SL_ERR_INVALID;
    }
    struct retrieved got;
    int32_t rc = retrieve(l->s, scheme, rest, false, &l->tree->arena, at, l->d, &got);
    if (rc)
        return rc;
    /* Names in messages. The text of `yaml:` may hold secrets and is left out. */
    sl_bytes name = sl_eq(scheme, sl_str("file"))  ? rest
                    : sl_eq(scheme, sl_str("env")) ? uri
                                                   : sl_str("--config=yaml");
    name = arena_copy(&l->tree->arena, name.p, name.n);
    if (!name.p)
        return no_room(l);
    struct config_node *root;
    rc = yaml_parse(l->tree, (const char *)name.p, got.text, NULL, l->d, &root);
    if (rc || !root || root->kind == CONFIG_NULL)
        return rc;
    if (root->kind != CONFIG_MAP) {
        diagnostics_add(l->d, CONFIG_ERROR, root->at, "a configuration is a map, found %s",
                        config_kind_name(root));
        return SL_ERR_INVALID;
    }
    return merge_source(l, root);
}

static sl_bytes trimmed(sl_bytes t)
{
    while (t.n && (t.p[0] == ' ' || t.p[0] == '\t'))
        t = sl_slice(t.p + 1, t.n - 1);
    while (t.n && (t.p[t.n - 1] == ' ' || t.p[t.n - 1] == '\t'))
        t.n--;
    return t;
}

static int32_t load_set(struct loader *l, const char *set)
{
    const char *equals = strchr(set, '=');
    struct config_place at = {.file = "--set"};
    if (!equals) {
        diagnostics_add(l->d, CONFIG_ERROR, at, "no \"=\" in \"%.200s\"; write key.key=value", set);
        return SL_ERR_INVALID;
    }
    sl_bytes path = trimmed(sl_slice(set, (size_t)(equals - set)));
    /* The name in messages is the path alone: the value may be a secret. */
    char *label = arena_take(&l->tree->arena, path.n + sizeof "--set ");
    sl_bytes key = arena_copy(&l->tree->arena, path.p, path.n);
    sl_bytes value = trimmed(sl_str(equals + 1));
    if (!label || !key.p)
        return no_room(l);
    (void)snprintf(label, path.n + sizeof "--set ", "--set %s", (const char *)key.p);
    at.file = label;
    struct config_node *node;
    int32_t rc = yaml_parse(l->tree, at.file, value, &at, l->d, &node);
    if (rc)
        return rc;
    if (!node)
        node = tree_node(l->tree, CONFIG_NULL, at);
    struct config_node *root = node ? tree_node(l->tree, CONFIG_MAP, at) : NULL;
    if (!root)
        return no_room(l);
    node->key = key;
    node->key_at = at;
    struct config_node *top = wrap(l, node, find_colons(key) ? "::" : ".", 0);
    if (!top)
        return SL_ERR_INVALID;
    if (!tree_append(l->tree, root, top))
        return no_room(l);
    return merge_source(l, root);
}

int32_t sources_load(const struct config_sources *s, struct config_tree *tree,
                     struct config_diagnostics *d)
{
    struct loader l = {s, tree, d};
    int32_t status = SL_OK;
    tree_init(tree, s->allocator);
    if (s->n_configs == 0 || s->n_configs > CONFIG_MAX_SOURCES || s->n_sets > CONFIG_MAX_SOURCES) {
        diagnostics_add(d, CONFIG_ERROR, (struct config_place){NULL, 0, 0},
                        s->n_configs ? "more than %u times --config or --set"
                                     : "no configuration: give --config FILE (up to %u times)",
                        CONFIG_MAX_SOURCES);
        return SL_ERR_INVALID;
    }
    for (uint32_t i = 0; i < s->n_configs && status != SL_ERR_NOMEM; i++) {
        int32_t rc = load_config(&l, s->configs[i]);
        status = rc ? rc : status;
    }
    for (uint32_t i = 0; i < s->n_sets && status != SL_ERR_NOMEM; i++) {
        int32_t rc = load_set(&l, s->sets[i]);
        status = rc ? rc : status;
    }
    if (status == SL_OK && !tree->root)
        tree->root = tree_node(tree, CONFIG_MAP, (struct config_place){s->configs[0], 0, 0});
    if (status == SL_OK && !tree->root)
        return no_room(&l);
    if (tree->root && status != SL_ERR_NOMEM) {
        int32_t rc = expand_tree(tree, s, d);
        status = rc ? rc : status;
    }
    return status;
}
