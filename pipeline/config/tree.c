/* Trees of configuration nodes: building, finding, comparing, walking. Nothing here recurses; the
 * depth of a tree is bounded by those who build it. Control thread only. */
#include "pipeline/config/tree.h"
#include "pipeline/config/scalar.h"

#define MAX_MEMORY ((size_t)64 * 1024 * 1024)
#define INDEX_FROM 16u /* children of a map, from which on a search by hash pays */

struct config_index {
    uint32_t slots; /* a power of two, at least twice the children */
    struct config_node *at[];
};

void tree_init(struct config_tree *t, const struct config_allocator *allocator)
{
    memset(t, 0, sizeof *t);
    arena_init(&t->arena, allocator, MAX_MEMORY);
}

void tree_deinit(struct config_tree *t)
{
    arena_deinit(&t->arena);
    t->root = NULL;
    t->nodes = 0;
}

struct config_node *tree_node(struct config_tree *t, enum config_kind kind, struct config_place at)
{
    if (t->nodes >= CONFIG_MAX_NODES)
        return NULL;
    struct config_node *n = arena_take(&t->arena, sizeof *n);
    if (!n)
        return NULL;
    t->nodes++;
    n->kind = (uint8_t)kind;
    n->at = n->key_at = at;
    return n;
}

static uint32_t hash(sl_bytes key)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < key.n; i++)
        h = (h ^ key.p[i]) * 16777619u;
    return h ^ h >> 15;
}

static void index_add(struct config_index *index, struct config_node *child)
{
    uint32_t at = hash(child->key) & (index->slots - 1);
    while (index->at[at])
        at = (at + 1) & (index->slots - 1);
    index->at[at] = child;
}

static bool index_grow(struct config_tree *t, struct config_node *map)
{
    uint32_t slots = 4 * INDEX_FROM;
    while (slots < map->n * 4)
        slots *= 2;
    struct config_index *index =
        arena_take(&t->arena, sizeof *index + (size_t)slots * sizeof(struct config_node *));
    if (!index)
        return false;
    index->slots = slots;
    for (struct config_node *c = map->first; c; c = c->next)
        index_add(index, c);
    map->index = index;
    return true;
}

bool tree_append(struct config_tree *t, struct config_node *parent, struct config_node *child)
{
    child->parent = parent;
    child->next = NULL;
    if (parent->last)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
    parent->n++;
    if (parent->kind != CONFIG_MAP || parent->n < INDEX_FROM)
        return true;
    if (!parent->index || parent->n * 2 > parent->index->slots)
        return index_grow(t, parent);
    index_add(parent->index, child);
    return true;
}

void tree_remove(struct config_node *parent, struct config_node *child)
{
    struct config_node *before = NULL;
    for (struct config_node *c = parent->first; c != child; c = c->next)
        before = c;
    if (before)
        before->next = child->next;
    else
        parent->first = child->next;
    if (parent->last == child)
        parent->last = before;
    parent->n--;
    parent->index = NULL; /* made again by the next append */
    child->parent = child->next = NULL;
}

void tree_become(struct config_node *to, struct config_node *from)
{
    to->kind = from->kind;
    to->quoted = from->quoted;
    to->n = from->n;
    to->text = from->text;
    to->original = from->original;
    to->at = from->at;
    to->first = from->first;
    to->last = from->last;
    to->index = from->index;
    for (struct config_node *c = to->first; c; c = c->next)
        c->parent = to;
}

struct config_node *tree_copy(struct config_tree *t, const struct config_node *from)
{
    struct config_walk walk;
    config_walk_init(&walk, from);
    struct config_node *top = NULL, *parent = NULL;
    const struct config_node *n;
    for (enum config_step step; (step = config_walk_next(&walk, &n)) != CONFIG_DONE;) {
        if (step == CONFIG_LEAVE) {
            parent = parent->parent;
            continue;
        }
        struct config_node *copy = tree_node(t, (enum config_kind)n->kind, n->at);
        if (!copy)
            return NULL;
        copy->quoted = n->quoted;
        copy->key = n->key;
        copy->key_at = n->key_at;
        copy->text = n->text;
        copy->original = n->original;
        if (!top)
            top = copy;
        else if (!tree_append(t, parent, copy))
            return NULL;
        if (step == CONFIG_ENTER)
            parent = copy;
    }
    return top;
}

struct config_node *config_find(const struct config_node *map, sl_bytes key)
{
    if (!map || map->kind != CONFIG_MAP)
        return NULL;
    if (map->index) {
        uint32_t mask = map->index->slots - 1;
        for (uint32_t at = hash(key) & mask; map->index->at[at]; at = (at + 1) & mask)
            if (sl_eq(map->index->at[at]->key, key))
                return map->index->at[at];
        return NULL;
    }
    for (struct config_node *c = map->first; c; c = c->next)
        if (sl_eq(c->key, key))
            return c;
    return NULL;
}

const struct config_node *config_at(const struct config_node *node, const char *const *path)
{
    for (; node && *path; path++)
        node = config_find(node, sl_str(*path));
    return node;
}

static bool same_here(const struct config_node *a, const struct config_node *b)
{
    return a->kind == b->kind && a->n == b->n && a->quoted == b->quoted &&
           sl_eq(a->text, b->text) && sl_eq(a->original, b->original);
}

bool config_node_equal(const struct config_node *a, const struct config_node *b)
{
    if (!a || !b)
        return a == b;
    struct config_walk walk;
    config_walk_init(&walk, a);
    const struct config_node *n;
    /* `b` follows `n`: a list's children in step, a map's by key. */
    const struct config_node *list_next[CONFIG_MAX_DEPTH + 1], *parents[CONFIG_MAX_DEPTH + 1];
    uint32_t depth = 0;
    for (enum config_step step; (step = config_walk_next(&walk, &n)) != CONFIG_DONE;) {
        if (step == CONFIG_LEAVE) {
            depth--;
            continue;
        }
        if (depth > 0 && parents[depth - 1]->kind == CONFIG_MAP) {
            b = config_find(parents[depth - 1], n->key);
        } else if (depth > 0) {
            b = list_next[depth - 1];
            list_next[depth - 1] = b ? b->next : NULL;
        }
        if (!b || !same_here(n, b))
            return false;
        if (step == CONFIG_ENTER) {
            if (depth > CONFIG_MAX_DEPTH)
                return false;
            parents[depth] = b;
            list_next[depth++] = b->first;
        }
    }
    return true;
}

void config_walk_init(struct config_walk *w, const struct config_node *top)
{
    *w = (struct config_walk){.top = top, .at = NULL, .last = CONFIG_DONE};
}

enum config_step config_walk_next(struct config_walk *w, const struct config_node **node)
{
    if (!w->at) {
        w->at = w->top;
    } else if (w->last == CONFIG_ENTER) {
        if (!w->at->first) {
            *node = w->at;
            return w->last = CONFIG_LEAVE;
        }
        w->at = w->at->first;
    } else if (w->at == w->top) {
        return w->last = CONFIG_DONE;
    } else if (w->at->next) {
        w->at = w->at->next;
    } else {
        *node = w->at = w->at->parent;
        return w->last = CONFIG_LEAVE;
    }
    *node = w->at;
    if (!w->at)
        return w->last = CONFIG_DONE;
    return w->last = w->at->kind >= CONFIG_LIST ? CONFIG_ENTER : CONFIG_LEAF;
}

uint32_t tree_height(const struct config_node *top)
{
    struct config_walk walk;
    config_walk_init(&walk, top);
    const struct config_node *n;
    uint32_t depth = 0, most = 0;
    for (enum config_step step; (step = config_walk_next(&walk, &n)) != CONFIG_DONE;) {
        if (step == CONFIG_ENTER && ++depth > most)
            most = depth;
        if (step == CONFIG_LEAVE)
            depth--;
    }
    return most;
}

const char *config_kind_name(const struct config_node *n)
{
    switch (n->kind) {
    case CONFIG_NULL:
        return "nothing";
    case CONFIG_LIST:
        return "a list";
    case CONFIG_MAP:
        return "a map";
    default:
        break;
    }
    switch (n->quoted ? SCALAR_TEXT : scalar_type(n->text)) {
    case SCALAR_BOOL:
        return "a boolean";
    case SCALAR_INT:
    case SCALAR_FLOAT:
        return "a number";
    default:
        return "text";
    }
}
