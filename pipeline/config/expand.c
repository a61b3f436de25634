/* ${...} as the collector's confmap resolves it: again and again the innermost one, until none is
 * left; only then is $$ made $. One difference: an escaped "$${" stays as it is without keeping its
 * neighbours from being replaced. Control thread only. */
#include "pipeline/config/expand.h"
#include "pipeline/config/retrieve.h"
#include "pipeline/config/scalar.h"
#include "pipeline/config/yaml.h"

#define MAX_IN_VALUE 1000u

struct expansion {
    struct config_tree *tree;
    const struct config_sources *sources;
    struct config_diagnostics *d;
    uint32_t done, in_value; /* substitutions so far: in all, in this value */
    int32_t status;
};

static const uint8_t *find(const uint8_t *p, const uint8_t *end, const char *two)
{
    for (; p + 1 < end; p++)
        if (p[0] == (uint8_t)two[0] && p[1] == (uint8_t)two[1])
            return p;
    return NULL;
}

/* The first innermost ${...} that is not escaped; .p is NULL when there is none. */
static sl_bytes next_uri(sl_bytes text)
{
    const uint8_t *from = text.p, *end = text.p + text.n;
    while (from && from < end) {
        const uint8_t *close = memchr(from, '}', (size_t)(end - from));
        if (!close)
            break;
        const uint8_t *open = NULL;
        for (const uint8_t *p = from; (p = find(p, close, "${")) != NULL; p++)
            open = p;
        size_t dollars = 0;
        while (open && open - dollars > text.p && *(open - dollars - 1) == '$')
            dollars++;
        if (open && dollars % 2 == 0)
            return sl_slice(open, (size_t)(close + 1 - open));
        from = close + 1;
    }
    return sl_slice(NULL, 0);
}

static bool no_memory(struct expansion *x)
{
    diagnostics_no_memory(x->d);
    x->status = SL_ERR_NOMEM;
    return false;
}

/* The value of one ${...}. `d` NULL: errors are silent. */
static bool look_up(struct expansion *x, sl_bytes uri, struct config_place at,
                    struct config_diagnostics *d, struct retrieved *value)
{
    sl_bytes inner = sl_slice(uri.p + 2, uri.n - 3), scheme = sl_str("env"), rest = inner;
    int shown = (int)(uri.n < 100 ? uri.n : 100);
    if (++x->done > CONFIG_MAX_EXPANSIONS || ++x->in_value > MAX_IN_VALUE) {
        diagnostics_add(x->d, CONFIG_ERROR, at,
                        "more than %u substitutions; does \"%.*s\" refer to itself?",
                        x->in_value > MAX_IN_VALUE ? MAX_IN_VALUE : CONFIG_MAX_EXPANSIONS, shown,
                        (const char *)uri.p);
        x->status = SL_ERR_TOO_LARGE;
        return false;
    }
    if (memchr(inner.p, ':', inner.n) && !uri_split(inner, &scheme, &rest)) {
        if (d)
            diagnostics_add(d, CONFIG_ERROR, at, "\"%.*s\" does not begin with a scheme", shown,
                            (const char *)uri.p);
        return false;
    }
    if (memchr(rest.p, '$', rest.n)) {
        if (d)
            diagnostics_add(d, CONFIG_ERROR, at, "\"%.*s\" contains a $", shown,
                            (const char *)uri.p);
        return false;
    }
    int32_t rc = retrieve(x->sources, scheme, rest, true, &x->tree->arena, at, d, value);
    if (rc == SL_ERR_NOMEM)
        return no_memory(x);
    return rc == SL_OK;
}

/* `what` lies in `text`. */
static sl_bytes replace(struct config_arena *arena, sl_bytes text, sl_bytes what, sl_bytes by,
                        bool *too_large)
{
    size_t n = text.n - what.n + by.n, before = (size_t)(what.p - text.p);
    *too_large = n > CONFIG_MAX_FILE;
    uint8_t *out = *too_large ? NULL : arena_take(arena, n + 1);
    if (!out)
        return sl_slice(NULL, 0);
    memcpy(out, text.p, before);
    if (by.n)
        memcpy(out + before, by.p, by.n);
    memcpy(out + before + by.n, what.p + what.n, text.n - before - what.n);
    return sl_slice(out, n);
}

/* Inserts the value of `uri` into the text around it. */
static bool insert(struct expansion *x, sl_bytes uri, struct config_place at,
                   struct config_diagnostics *d, sl_bytes *text)
{
    struct retrieved value;
    bool too_large;
    if (!look_up(x, uri, at, d, &value))
        return false;
    sl_bytes longer = replace(&x->tree->arena, *text, uri, value.text, &too_large);
    if (too_large && d)
        diagnostics_add(d, CONFIG_ERROR, at, "the text is larger than %u bytes", CONFIG_MAX_FILE);
    if (!longer.p)
        return too_large ? false : no_memory(x);
    *text = longer;
    return true;
}

static bool unescape(struct expansion *x, sl_bytes *text)
{
    if (!text->p || !find(text->p, text->p + text->n, "$$"))
        return true;
    uint8_t *out = arena_take(&x->tree->arena, text->n + 1);
    if (!out)
        return no_memory(x);
    size_t n = 0;
    for (size_t i = 0; i < text->n; i++) {
        out[n++] = text->p[i];
        if (text->p[i] == '$' && i + 1 < text->n && text->p[i + 1] == '$')
            i++;
    }
    *text = sl_slice(out, n);
    return true;
}

/* What a value looked like before it was YAML, with its own ${...} put in as text. The collector
 * forgets it where that fails; the parsed value stays. */
static bool settle_original(struct expansion *x, struct config_node *node, sl_bytes original)
{
    for (sl_bytes uri; (uri = next_uri(original)).p;) {
        if (!insert(x, uri, node->at, NULL, &original)) {
            node->original = sl_slice(NULL, 0);
            return x->status == SL_OK;
        }
    }
    node->original = original;
    return unescape(x, &node->original);
}

static uint32_t depth_of(const struct config_node *node)
{
    uint32_t depth = 0;
    for (; node; node = node->parent)
        depth++;
    return depth;
}

static bool too_deep(struct expansion *x, const struct config_node *node,
                     const struct config_node *value)
{
    if (depth_of(node) - 1 + tree_height(value) <= CONFIG_MAX_DEPTH)
        return false;
    diagnostics_add(x->d, CONFIG_ERROR, node->at,
                    "more than %u levels of maps and lists, with what ${...} stands for",
                    CONFIG_MAX_DEPTH);
    return true;
}

/* The whole scalar is one ${...}: the value may be anything. Answers whether the node is text that
 * has to be looked at again. */
static bool become(struct expansion *x, struct config_node *node, const struct retrieved *value)
{
    struct config_node *parsed = NULL;
    int32_t rc = SL_ERR_INVALID;
    if (!value->as_text)
        rc = yaml_parse(x->tree, node->at.file, value->text, &node->at, NULL, &parsed);
    if (rc == SL_ERR_NOMEM || rc == SL_ERR_TOO_LARGE) {
        if (rc == SL_ERR_NOMEM)
            return no_memory(x);
        diagnostics_add(x->d, CONFIG_ERROR, node->at, "the value of ${...} is too large");
        x->status = rc;
        return false;
    }
    bool text = rc != SL_OK || (parsed && parsed->kind == CONFIG_SCALAR &&
                                (parsed->quoted || scalar_type(parsed->text) == SCALAR_TEXT));
    if (text) {
        /* Verbatim, quotes and a final newline included, as the collector has it. */
        node->text = value->text;
        node->quoted = true;
        return true;
    }
    if (!parsed) {
        node->kind = CONFIG_NULL;
        node->quoted = false;
        node->text = sl_slice(NULL, 0);
    } else if (too_deep(x, node, parsed)) {
        x->status = SL_ERR_INVALID;
        return false;
    } else {
        tree_become(node, parsed);
    }
    (void)settle_original(x, node, value->text);
    return false;
}

static void expand_scalar(struct expansion *x, struct config_node *node)
{
    x->in_value = 0;
    for (sl_bytes uri; (uri = next_uri(node->text)).p;) {
        if (uri.n == node->text.n) {
            struct retrieved value;
            if (!look_up(x, uri, node->at, x->d, &value))
                break;
            if (!become(x, node, &value))
                return;
        } else if (insert(x, uri, node->at, x->d, &node->text)) {
            node->quoted = true;
        } else {
            break;
        }
    }
    (void)unescape(x, &node->text);
}

int32_t expand_tree(struct config_tree *t, const struct config_sources *s,
                    struct config_diagnostics *d)
{
    struct expansion x = {.tree = t, .sources = s, .d = d, .status = SL_OK};
    uint32_t errors = d->count[CONFIG_ERROR];
    struct config_walk walk;
    config_walk_init(&walk, t->root);
    const struct config_node *n;
    for (enum config_step step; t->root && (step = config_walk_next(&walk, &n)) != CONFIG_DONE;) {
        if (step != CONFIG_LEAF || n->kind != CONFIG_SCALAR || !memchr(n->text.p, '$', n->text.n))
            continue;
        struct config_node *node = (struct config_node *)n; /* the tree is ours */
        expand_scalar(&x, node);
        if (x.status == SL_ERR_NOMEM || x.status == SL_ERR_TOO_LARGE)
            return x.status;
        if (node->kind >= CONFIG_LIST)
            walk.last = CONFIG_ENTER; /* what came may hold ${...} itself */
    }
    return d->count[CONFIG_ERROR] > errors || x.status ? SL_ERR_INVALID : SL_OK;
}
