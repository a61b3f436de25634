/* YAML to a tree. libyaml's parser gives events; a stack of the open lists and maps, as deep as a
 * configuration may be, makes nodes of them, so that nothing recurses and an alias is counted by
 * what it expands to. Control thread only. */
#include "pipeline/config/yaml.h"
#include <yaml.h>

#define MAX_ANCHORS 1024u
#define TAG_PREFIX "tag:yaml.org,2002:"

struct anchor {
    sl_bytes name;
    struct config_node *node;
    struct anchor *older;
    bool open; /* still being read: an alias to it would contain itself */
};

struct level {
    struct config_node *node;
    struct anchor *anchor;
    sl_bytes key; /* of a map: read, its value is not */
    struct config_place key_at;
    bool has_key;
    bool merge_key;             /* the key is a plain << */
    bool skip_value;            /* the key was refused */
    struct config_node *merges; /* the value of << */
};

struct reader {
    struct config_tree *tree;
    struct config_diagnostics *d; /* NULL: silent */
    const char *file;
    const struct config_place *fixed;
    struct level stack[CONFIG_MAX_DEPTH];
    uint32_t depth;
    uint32_t skipping; /* open lists and maps below a refused key */
    struct anchor *anchors;
    uint32_t n_anchors;
    struct config_node *root;
    int32_t status;
};

static struct config_place place(const struct reader *r, const yaml_mark_t *mark)
{
    if (r->fixed)
        return *r->fixed;
    return (struct config_place){r->file, (uint32_t)mark->line + 1, (uint32_t)mark->column + 1};
}

#define REPORT(r, at, ...)                                                                         \
    do {                                                                                           \
        if ((r)->d)                                                                                \
            diagnostics_add((r)->d, CONFIG_ERROR, (at), __VA_ARGS__);                              \
        if ((r)->status == SL_OK)                                                                  \
            (r)->status = SL_ERR_INVALID;                                                          \
    } while (0)

static bool no_room(struct reader *r, struct config_place at)
{
    if (r->tree->nodes >= CONFIG_MAX_NODES) {
        REPORT(r, at,
               "the configuration has more than %u values (with what aliases stand for); if it "
               "uses aliases, make them shallower",
               CONFIG_MAX_NODES);
        r->status = SL_ERR_TOO_LARGE;
    } else {
        if (r->d)
            diagnostics_no_memory(r->d);
        r->status = SL_ERR_NOMEM;
    }
    return false;
}

/* ---- keys and values ----------------------------------------------------------------------- */

static bool add_value(struct reader *r, struct config_node *node)
{
    if (r->depth == 0) {
        r->root = node;
        return true;
    }
    struct level *top = &r->stack[r->depth - 1];
    if (top->node->kind == CONFIG_MAP) {
        node->key = top->key;
        node->key_at = top->key_at;
        top->has_key = false;
        if (top->merge_key) {
            top->merge_key = false;
            top->merges = node;
            return true;
        }
    }
    return tree_append(r->tree, top->node, node) || no_room(r, node->at);
}

/* Is a value expected that belongs to a refused key? */
static bool skips(struct reader *r)
{
    struct level *top = r->depth ? &r->stack[r->depth - 1] : NULL;
    if (!top || !top->skip_value)
        return false;
    top->skip_value = false;
    return true;
}

static bool wants_key(const struct reader *r)
{
    const struct level *top = r->depth ? &r->stack[r->depth - 1] : NULL;
    return top && top->node->kind == CONFIG_MAP && !top->has_key && !top->skip_value;
}

static bool take_key(struct reader *r, const yaml_event_t *e)
{
    struct level *top = &r->stack[r->depth - 1];
    struct config_place at = place(r, &e->start_mark);
    sl_bytes key = sl_slice(e->data.scalar.value, e->data.scalar.length);
    top->skip_value = true;
    if (key.n == 0) {
        REPORT(r, at, "a key is empty");
        return true;
    }
    if (memchr(key.p, 0, key.n)) {
        REPORT(r, at, "a key contains a NUL character");
        return true;
    }
    bool merge = sl_eq(key, sl_str("<<")) && e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    const struct config_node *twin = merge ? top->merges : config_find(top->node, key);
    if (twin) {
        REPORT(r, at, "duplicate key \"%s\" (it already stands at %u:%u)", (const char *)key.p,
               twin->key_at.line, twin->key_at.column);
        return true;
    }
    top->key = arena_copy(&r->tree->arena, key.p, key.n);
    if (!top->key.p)
        return no_room(r, at);
    top->key_at = at;
    top->merge_key = merge;
    top->skip_value = false;
    top->has_key = true;
    return true;
}

/* ---- tags, anchors ------------------------------------------------------------------------- */

/* The short name of a standard tag, "" for none, NULL for a foreign one. */
static const char *standard_tag(const yaml_char_t *tag)
{
    const char *t = (const char *)tag;
    if (!t)
        return "";
    if (strcmp(t, "!") == 0)
        return "str"; /* the non-specific tag: not to be interpreted */
    return strncmp(t, TAG_PREFIX, strlen(TAG_PREFIX)) == 0 ? t + strlen(TAG_PREFIX) : NULL;
}

/* `allowed`: names separated by spaces. */
static bool check_tag(struct reader *r, const yaml_char_t *tag, const char *allowed,
                      struct config_place at, const char **name)
{
    *name = standard_tag(tag);
    if (*name && **name == '\0')
        return true;
    size_t n = *name ? strlen(*name) : 0;
    for (const char *a = allowed; n && *a; a += strcspn(a, " "), a += *a == ' ')
        if (strncmp(a, *name, n) == 0 && (a[n] == ' ' || a[n] == '\0'))
            return true;
    REPORT(r, at, "the tag \"%.100s\" is not supported here; remove it", (const char *)tag);
    return false;
}

static bool add_anchor(struct reader *r, const yaml_char_t *name, struct config_node *node,
                       struct anchor **anchor)
{
    *anchor = NULL;
    if (!name)
        return true;
    if (r->n_anchors++ >= MAX_ANCHORS) {
        REPORT(r, node->at, "more than %u anchors", MAX_ANCHORS);
        r->status = SL_ERR_TOO_LARGE;
        return false;
    }
    struct anchor *a = arena_take(&r->tree->arena, sizeof *a);
    if (!a)
        return no_room(r, node->at);
    a->name = arena_copy(&r->tree->arena, name, strlen((const char *)name));
    if (!a->name.p)
        return no_room(r, node->at);
    a->node = node;
    a->older = r->anchors;
    r->anchors = *anchor = a;
    return true;
}

static bool take_alias(struct reader *r, const yaml_event_t *e)
{
    struct config_place at = place(r, &e->start_mark);
    sl_bytes name = sl_str((const char *)e->data.alias.anchor);
    if (r->skipping)
        return true;
    if (wants_key(r)) {
        r->stack[r->depth - 1].skip_value = true;
        REPORT(r, at, "an alias cannot be a key");
        return true;
    }
    if (skips(r))
        return true;
    const struct anchor *a = r->anchors;
    while (a && !sl_eq(a->name, name))
        a = a->older;
    struct config_node *node = NULL;
    if (!a)
        REPORT(r, at, "the anchor \"%s\" of this alias is not defined above it",
               (const char *)name.p);
    else if (a->open)
        REPORT(r, at, "the anchor \"%s\" contains itself", (const char *)name.p);
    else if (r->depth + tree_height(a->node) > CONFIG_MAX_DEPTH)
        REPORT(r, at, "more than %u levels of maps and lists", CONFIG_MAX_DEPTH);
    else if (!(node = tree_copy(r->tree, a->node)))
        return no_room(r, at);
    if (!node && !(node = tree_node(r->tree, CONFIG_NULL, at)))
        return no_room(r, at);
    return add_value(r, node);
}

/* ---- scalars, lists, maps ------------------------------------------------------------------ */

static bool take_scalar(struct reader *r, const yaml_event_t *e)
{
    if (r->skipping)
        return true;
    if (wants_key(r))
        return take_key(r, e);
    if (skips(r))
        return true;
    struct config_place at = place(r, &e->start_mark);
    const char *tag;
    (void)check_tag(r, e->data.scalar.tag, "str int float bool null", at, &tag);
    sl_bytes text = sl_slice(e->data.scalar.value, e->data.scalar.length);
    bool quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    if (tag && *tag)
        quoted = strcmp(tag, "str") == 0;
    if (memchr(text.p, 0, text.n))
        REPORT(r, at, "a value contains a NUL character");
    bool null =
        !quoted && (text.n == 0 || sl_eq(text, sl_str("~")) || sl_eq(text, sl_str("null")) ||
                    sl_eq(text, sl_str("Null")) || sl_eq(text, sl_str("NULL")));
    struct config_node *node = tree_node(r->tree, null ? CONFIG_NULL : CONFIG_SCALAR, at);
    if (!node)
        return no_room(r, at);
    node->quoted = quoted;
    if (!null) {
        node->text = arena_copy(&r->tree->arena, text.p, text.n);
        if (!node->text.p)
            return no_room(r, at);
    }
    struct anchor *anchor;
    return add_anchor(r, e->data.scalar.anchor, node, &anchor) && add_value(r, node);
}

static bool open_node(struct reader *r, const yaml_event_t *e, enum config_kind kind)
{
    struct config_place at = place(r, &e->start_mark);
    bool list = kind == CONFIG_LIST;
    if (r->skipping) {
        r->skipping++;
        return true;
    }
    if (wants_key(r)) {
        /* The key is a list or a map; its value is to be skipped as well. */
        REPORT(r, at, "a key must be text, not %s", list ? "a list" : "a map");
        r->stack[r->depth - 1].skip_value = true;
        r->skipping = 1;
        return true;
    }
    if (skips(r)) {
        r->skipping = 1;
        return true;
    }
    if (r->depth == CONFIG_MAX_DEPTH) {
        REPORT(r, at, "more than %u levels of maps and lists", CONFIG_MAX_DEPTH);
        r->status = SL_ERR_TOO_LARGE;
        return false;
    }
    const char *tag;
    (void)check_tag(r, list ? e->data.sequence_start.tag : e->data.mapping_start.tag,
                    list ? "seq" : "map", at, &tag);
    struct config_node *node = tree_node(r->tree, kind, at);
    if (!node)
        return no_room(r, at);
    struct anchor *anchor;
    if (!add_anchor(r, list ? e->data.sequence_start.anchor : e->data.mapping_start.anchor, node,
                    &anchor) ||
        !add_value(r, node))
        return false;
    if (anchor)
        anchor->open = true;
    r->stack[r->depth++] = (struct level){.node = node, .anchor = anchor};
    return true;
}

/* Keys of `from` that `map` does not have are copied to it. */
static bool merge_map(struct reader *r, struct config_node *map, const struct config_node *from)
{
    if (from->kind != CONFIG_MAP) {
        REPORT(r, from->at, "\"<<\" wants a map or a list of maps, found %s",
               config_kind_name(from));
        return true;
    }
    for (const struct config_node *c = from->first; c; c = c->next) {
        if (config_find(map, c->key))
            continue;
        struct config_node *copy = tree_copy(r->tree, c);
        if (!copy || !tree_append(r->tree, map, copy))
            return no_room(r, from->at);
    }
    return true;
}

static bool close_node(struct reader *r)
{
    if (r->skipping) {
        r->skipping--;
        return true;
    }
    struct level *top = &r->stack[--r->depth];
    if (top->anchor)
        top->anchor->open = false;
    const struct config_node *m = top->merges;
    if (!m || m->kind != CONFIG_LIST)
        return !m || merge_map(r, top->node, m);
    for (const struct config_node *c = m->first; c; c = c->next)
        if (!merge_map(r, top->node, c))
            return false;
    return true;
}

/* ---- documents ----------------------------------------------------------------------------- */

static bool take_event(struct reader *r, const yaml_event_t *e, uint32_t *documents)
{
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (++*documents == 1)
            return true;
        REPORT(r, place(r, &e->start_mark),
               "a second document begins here; one file holds one document");
        return false;
    case YAML_ALIAS_EVENT:
        return take_alias(r, e);
    case YAML_SCALAR_EVENT:
        return take_scalar(r, e);
    case YAML_SEQUENCE_START_EVENT:
        return open_node(r, e, CONFIG_LIST);
    case YAML_MAPPING_START_EVENT:
        return open_node(r, e, CONFIG_MAP);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return close_node(r);
    default:
        return true;
    }
}

static struct config_place place_of_byte(const struct reader *r, sl_bytes text, size_t offset)
{
    yaml_mark_t mark = {0, 0, 0};
    for (size_t i = 0; i < offset && i < text.n; i++) {
        if (text.p[i] == '\n') {
            mark.line++;
            mark.column = 0;
        } else if ((text.p[i] & 0xc0) != 0x80) {
            mark.column++;
        }
    }
    return place(r, &mark);
}

static void report_syntax(struct reader *r, const yaml_parser_t *p, sl_bytes text)
{
    const char *problem = p->problem ? p->problem : "cannot be read";
    switch (p->error) {
    case YAML_MEMORY_ERROR:
        if (r->d)
            diagnostics_no_memory(r->d);
        r->status = SL_ERR_NOMEM;
        break;
    case YAML_READER_ERROR:
        REPORT(r, place_of_byte(r, text, p->problem_offset), "this is not UTF-8 text: %s", problem);
        break;
    default:
        if (p->context)
            REPORT(r, place(r, &p->problem_mark), "%s, %s", problem, p->context);
        else
            REPORT(r, place(r, &p->problem_mark), "%s", problem);
    }
}

int32_t yaml_parse(struct config_tree *tree, const char *file, sl_bytes text,
                   const struct config_place *at, struct config_diagnostics *d,
                   struct config_node **root)
{
    struct reader r = {.tree = tree, .d = d, .file = file, .fixed = at};
    *root = NULL;
    if (text.n > CONFIG_MAX_FILE) {
        REPORT(&r, ((struct config_place){file, 0, 0}), "larger than %u bytes", CONFIG_MAX_FILE);
        return SL_ERR_TOO_LARGE;
    }
    const uint8_t *nul = text.n ? memchr(text.p, 0, text.n) : NULL;
    if (nul) {
        /* libyaml would take it for the end. */
        REPORT(&r, place_of_byte(&r, text, (size_t)(nul - text.p)), "a NUL character");
        return r.status;
    }
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        if (d)
            diagnostics_no_memory(d);
        return SL_ERR_NOMEM;
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, text.p ? text.p : (const uint8_t *)"", text.n);
    uint32_t documents = 0;
    for (bool more = true; more;) {
        yaml_event_t e;
        if (!yaml_parser_parse(&parser, &e)) {
            report_syntax(&r, &parser, text);
            break;
        }
        more = take_event(&r, &e, &documents) && e.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&e);
    }
    yaml_parser_delete(&parser);
    *root = r.status == SL_OK ? r.root : NULL;
    return r.status;
}
