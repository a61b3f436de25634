/* A subtree in the form that plugins see: arrays of sl_raw that live as long as the bound config.
 * Control thread only. */
#include "pipeline/config/bind.h"

static const char *keep(struct config_arena *arena, const char *file, const char **last,
                        const char **copy)
{
    if (file && file != *last) {
        *last = file;
        *copy = (const char *)arena_copy(arena, file, strlen(file)).p;
    }
    return file ? *copy : NULL;
}

const sl_raw *config_raw(struct config_arena *arena, const struct config_node *top)
{
    struct {
        sl_raw *children;
        uint32_t next;
    } stack[CONFIG_MAX_DEPTH + 1];
    uint32_t depth = 0;
    const char *last = NULL, *file = NULL;
    sl_raw *root = NULL;
    struct config_walk walk;
    config_walk_init(&walk, top);
    const struct config_node *n;
    for (enum config_step step; (step = config_walk_next(&walk, &n)) != CONFIG_DONE;) {
        if (step == CONFIG_LEAVE) {
            depth--;
            continue;
        }
        sl_raw *raw = depth ? &stack[depth - 1].children[stack[depth - 1].next++]
                            : (root = arena_take(arena, sizeof *root));
        if (!raw || depth > CONFIG_MAX_DEPTH)
            return NULL;
        raw->size = sizeof *raw;
        raw->kind = n->kind;
        raw->quoted = n->quoted;
        raw->n = n->n;
        raw->line = n->at.line;
        raw->column = n->at.column;
        raw->file = keep(arena, n->at.file, &last, &file);
        raw->key = n->key.p ? arena_copy(arena, n->key.p, n->key.n) : n->key;
        raw->text = n->text.p ? arena_copy(arena, n->text.p, n->text.n) : n->text;
        if ((n->key.p && !raw->key.p) || (n->text.p && !raw->text.p) || (n->at.file && !raw->file))
            return NULL;
        if (step != CONFIG_ENTER)
            continue;
        sl_raw *children = arena_take_array(arena, n->n, sizeof *children);
        if (!children)
            return NULL;
        raw->children = n->n ? children : NULL;
        stack[depth].children = children;
        stack[depth++].next = 0;
    }
    return root;
}
