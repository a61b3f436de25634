/* From a tree to C structs: a list of structs that wait to be filled, each matched against the map
 * that stands for it, so that recursive tables need no recursion. Control thread only. */
#include "pipeline/config/bind_internal.h"
#include "pipeline/config/nearest.h"

#define MAX_MEMORY ((size_t)256 * 1024 * 1024)

struct config_bound {
    struct config_arena arena; /* this struct and the places lie in it */
    const struct bind_place *places;
};

static void push(struct binder *b, const sl_field *fields, uint8_t *base,
                 const struct config_node *node)
{
    struct bind_frame *f = b->unused;
    if (f)
        b->unused = f->next;
    else
        f = arena_take(b->scratch, sizeof *f);
    if (!f) {
        b->no_memory = true;
        return;
    }
    *f = (struct bind_frame){.fields = fields, .base = base, .node = node, .next = b->frames};
    b->frames = f;
}

/* ---- slots: the keys that a map may have ----------------------------------------------------- */

static void add_slot(struct binder *b, const sl_field *field, uint8_t *base)
{
    if (b->n_slots == b->room) {
        uint32_t room = b->room ? b->room * 2 : 64;
        struct bind_slot *slots = arena_take_array(b->scratch, room, sizeof *slots);
        if (!slots) {
            b->no_memory = true;
            return;
        }
        if (b->n_slots)
            memcpy(slots, b->slots, b->n_slots * sizeof *slots);
        b->slots = slots;
        b->room = room;
    }
    b->slots[b->n_slots++] = (struct bind_slot){field, base, NULL};
}

static void add_slots(struct binder *b, const sl_field *fields, uint8_t *base)
{
    struct {
        const sl_field *next;
        uint8_t *base;
    } stack[BIND_MAX_NESTED + 1];
    uint32_t depth = 0;
    stack[depth].next = fields;
    stack[depth++].base = base;
    while (depth > 0) {
        const sl_field *f = stack[depth - 1].next;
        if (!f || !f->key) {
            depth--;
            continue;
        }
        stack[depth - 1].next = f + 1;
        base = stack[depth - 1].base;
        if (f->kind == SL_FIELD_STRUCT && (f->flags & SL_INLINE) && depth <= BIND_MAX_NESTED) {
            stack[depth].next = f->of->fields;
            stack[depth++].base = base + f->offset;
        } else {
            add_slot(b, f, base);
        }
    }
}

/* The index of the choice that `key` names, or -1. */
static int64_t choice_of(const sl_field *f, sl_bytes key)
{
    for (int64_t i = 0; f->names[i]; i++)
        if (f->choices[i] && sl_eq(key, sl_str(f->names[i])))
            return i;
    return -1;
}

static struct bind_slot *find_slot(struct binder *b, sl_bytes key, int64_t *choice)
{
    *choice = -1;
    for (uint32_t i = 0; i < b->n_slots; i++) {
        const sl_field *f = b->slots[i].field;
        if (f->kind != SL_FIELD_UNION && sl_eq(key, sl_str(f->key)))
            return &b->slots[i];
    }
    for (uint32_t i = 0; i < b->n_slots; i++) {
        const sl_field *f = b->slots[i].field;
        if (f->kind != SL_FIELD_UNION)
            continue;
        *choice = choice_of(f, key);
        if (*choice >= 0 || sl_eq(key, sl_str(f->tag_key)))
            return &b->slots[i];
    }
    return NULL;
}

static const char *slot_key(const struct bind_slot *s)
{
    return s->field->kind == SL_FIELD_UNION ? s->field->tag_key : s->field->key;
}

static void try_keys(const struct bind_slot *s, struct nearest *near)
{
    if (s->field->flags & SL_DEPRECATED)
        return;
    nearest_try(near, slot_key(s));
    if (s->field->kind == SL_FIELD_UNION)
        for (uint32_t i = 0; s->field->names[i]; i++)
            if (s->field->choices[i])
                nearest_try(near, s->field->names[i]);
}

static void report_unknown(struct binder *b, const struct config_node *map,
                           const struct config_node *c)
{
    if (diagnostics_full(b->d, CONFIG_ERROR)) {
        diagnostics_add(b->d, CONFIG_ERROR, c->key_at, "unknown key");
        return;
    }
    char path[BIND_PATH], in[BIND_PATH + 16] = "", list[400];
    if (map != b->top)
        (void)snprintf(in, sizeof in, "\"%s\" of ", bind_path(b, map, path));
    struct nearest near = nearest_to(c->key);
    size_t at = 0;
    list[0] = '\0';
    for (uint32_t i = 0; i < b->n_slots; i++) {
        try_keys(&b->slots[i], &near);
        if (at < sizeof list && !(b->slots[i].field->flags & (SL_DEPRECATED | SL_IGNORED)))
            at += (size_t)snprintf(list + at, sizeof list - at, "%s\"%s\"", at ? ", " : "",
                                   slot_key(&b->slots[i]));
    }
    if (near.found)
        diagnostics_add(b->d, CONFIG_ERROR, c->key_at,
                        "unknown key \"%.100s\" in %s%s (nearest: \"%s\")", (const char *)c->key.p,
                        in, b->what, near.found);
    else if (list[0])
        diagnostics_add(b->d, CONFIG_ERROR, c->key_at,
                        "unknown key \"%.100s\" in %s%s (known: %s%s)", (const char *)c->key.p, in,
                        b->what, list, at >= sizeof list ? "..." : "");
    else
        diagnostics_add(b->d, CONFIG_ERROR, c->key_at,
                        "unknown key \"%.100s\" in %s%s (it takes no keys)", (const char *)c->key.p,
                        in, b->what);
}

/* ---- one slot ---------------------------------------------------------------------------------
 */

static void want_map(struct binder *b, const struct config_node *node)
{
    char path[BIND_PATH];
    BIND_ERROR(b, node, "\"%s\" of %s wants a map, found %s", bind_path(b, node, path), b->what,
               config_kind_name(node));
}

static void bind_list(struct binder *b, const sl_field *f, uint8_t *base,
                      const struct config_node *node)
{
    if (node->kind != CONFIG_LIST) {
        char path[BIND_PATH];
        BIND_ERROR(b, node, "\"%s\" of %s wants a list, found %s", bind_path(b, node, path),
                   b->what, config_kind_name(node));
        return;
    }
    uint8_t *at = node->n ? arena_take_array(b->arena, node->n, f->of->size) : NULL;
    if (node->n && !at) {
        b->no_memory = true;
        return;
    }
    *(sl_list *)(void *)(base + f->offset) =
        (sl_list){.at = at, .n = node->n, .stride = f->of->size};
    for (const struct config_node *c = node->first; c; c = c->next, at += f->of->size) {
        if (c->kind == CONFIG_MAP)
            push(b, f->of->fields, at, c);
        else
            want_map(b, c);
    }
}

static void set_present(const struct bind_slot *s)
{
    if (s->field->present)
        s->base[s->field->present - 1] = 1;
}

static void remember_place(struct binder *b, const struct bind_slot *s, const struct config_node *c)
{
    struct bind_place *place = arena_take(b->arena, sizeof *place);
    if (!place) {
        b->no_memory = true;
        return;
    }
    *place = (struct bind_place){s->base + s->field->offset, c->at, b->places};
    b->places = place;
}

static void report_missing(struct binder *b, const char *key, const struct config_node *map,
                           struct config_place where)
{
    char path[BIND_PATH];
    bool top = !map || map == b->top;
    diagnostics_add(b->d, CONFIG_ERROR, map ? map->at : where, "missing key \"%s\" in %s%s%s%s",
                    key, top ? "" : "\"", top ? "" : bind_path(b, map, path), top ? "" : "\" of ",
                    b->what);
}

static bool requires_keys(const sl_struct *of)
{
    const sl_field *f = of->fields;
    while (f && f->key && !(f->flags & SL_REQUIRED))
        f++;
    return f && f->key;
}

/* Which choice, by the sibling key; and that choice's own map, which may be absent. Maps of other
 * choices are checked, as the collector does, but have no effect. */
static void bind_union(struct binder *b, const struct bind_slot *s, const struct config_node *map,
                       struct config_place where)
{
    const sl_field *f = s->field;
    const struct config_node *tag = config_find(map, sl_str(f->tag_key));
    int64_t chosen =
        tag && tag->kind != CONFIG_NULL ? bind_name(b, f->names, tag, false) : (int64_t)f->def.u;
    if (chosen < 0)
        return;
    if (tag)
        set_present(s);
    *(uint32_t *)(void *)(s->base + f->tag) = (uint32_t)chosen;
    for (int64_t i = 0; f->names[i]; i++) {
        const struct config_node *own = config_find(map, sl_str(f->names[i]));
        if (!f->choices[i] || (!own && i != chosen))
            continue;
        uint8_t *base = s->base + f->offset;
        if (i != chosen) {
            char path[BIND_PATH];
            diagnostics_add(b->d, CONFIG_WARNING, own->key_at,
                            "\"%s\" of %s has no effect, because \"%s\" is \"%s\"",
                            bind_path(b, own, path), b->what, f->tag_key, f->names[chosen]);
            base = arena_take(b->scratch, f->choices[i]->size);
            b->no_memory |= !base;
        }
        if (own && own->kind != CONFIG_MAP && own->kind != CONFIG_NULL)
            want_map(b, own);
        else if (base)
            push(b, f->choices[i]->fields, base, own);
        if (!own && requires_keys(f->choices[i]))
            report_missing(b, f->names[i], map, where);
    }
}

static void bind_slot_value(struct binder *b, struct bind_slot *s, const struct config_node *c)
{
    const sl_field *f = s->field;
    char path[BIND_PATH];
    if (f->flags & SL_IGNORED) {
        diagnostics_add(b->d, CONFIG_NOTE, c->key_at, "\"%s\" of %s has no effect in Sluice: %s",
                        bind_path(b, c, path), b->what,
                        f->help ? f->help : "it has no meaning here");
        return;
    }
    if (f->flags & SL_DEPRECATED)
        diagnostics_add(b->d, CONFIG_WARNING, c->key_at, "\"%s\" of %s is deprecated: %s",
                        bind_path(b, c, path), b->what, f->help ? f->help : "it will be removed");
    s->node = c;
    remember_place(b, s, c);
    switch (f->kind) {
    case SL_FIELD_STRUCT:
        set_present(s);
        if (c->kind != CONFIG_MAP && c->kind != CONFIG_NULL)
            want_map(b, c);
        return; /* filled by a frame of its own */
    case SL_FIELD_RAW:
        set_present(s);
        *(const sl_raw **)(void *)(s->base + f->offset) = config_raw(b->arena, c);
        b->no_memory |= !*(const sl_raw **)(void *)(s->base + f->offset);
        return;
    default:
        break;
    }
    if (c->kind == CONFIG_NULL && !(f->kind == SL_FIELD_TEXT && c->original.p)) {
        s->node = NULL; /* as if it was not there */
        return;
    }
    set_present(s);
    if (f->kind == SL_FIELD_LIST)
        bind_list(b, f, s->base, c);
    else
        bind_scalar(b, f, s->base, c);
}

/* ---- one struct -------------------------------------------------------------------------------
 */

/* Defaults, and what has to be done whether the key is there or not. */
static void finish_slot(struct binder *b, const struct bind_slot *s, const struct config_node *node,
                        struct config_place where)
{
    const sl_field *f = s->field;
    if (f->flags & SL_IGNORED)
        return;
    if (f->kind == SL_FIELD_STRUCT) {
        const struct config_node *c = s->node;
        push(b, f->of->fields, s->base + f->offset,
             c && (c->kind == CONFIG_MAP || c->kind == CONFIG_NULL) ? c : NULL);
    }
    bool there = s->node != NULL;
    if (f->kind == SL_FIELD_UNION) {
        const struct config_node *tag = config_find(node, sl_str(f->tag_key));
        there = tag && tag->kind != CONFIG_NULL;
        if (there || !(f->flags & SL_REQUIRED))
            bind_union(b, s, node, where);
    }
    if ((f->flags & SL_REQUIRED) && !there)
        report_missing(b, slot_key(s), node, where);
}

static void fill(struct binder *b, const struct config_node *node, bool absent,
                 struct config_place where)
{
    for (uint32_t i = 0; i < b->n_slots; i++)
        if (!(b->slots[i].field->flags & SL_IGNORED))
            bind_default(b->slots[i].field, b->slots[i].base);
    if (absent) {
        for (uint32_t i = 0; i < b->n_slots; i++) {
            const sl_field *f = b->slots[i].field;
            uint8_t *base = b->slots[i].base + f->offset;
            if (f->flags & SL_IGNORED)
                continue;
            if (f->kind == SL_FIELD_STRUCT)
                push(b, f->of->fields, base, NULL);
            else if (f->kind == SL_FIELD_UNION && f->choices[f->def.u])
                push(b, f->choices[f->def.u]->fields, base, NULL);
        }
        return;
    }
    for (const struct config_node *c = node && node->kind == CONFIG_MAP ? node->first : NULL; c;
         c = c->next) {
        int64_t choice;
        struct bind_slot *s = find_slot(b, c->key, &choice);
        if (!s)
            report_unknown(b, node, c);
        else if (s->field->kind != SL_FIELD_UNION) /* a union is bound when all keys are known */
            bind_slot_value(b, s, c);
    }
    for (uint32_t i = 0; i < b->n_slots; i++)
        finish_slot(b, &b->slots[i], node, where);
}

static void fill_frames(struct binder *b, struct config_place where)
{
    while (b->frames && !b->no_memory) {
        struct bind_frame frame = *b->frames;
        struct bind_frame *used = b->frames;
        b->frames = used->next;
        used->next = b->unused;
        b->unused = used;
        b->n_slots = 0;
        add_slots(b, frame.fields, frame.base);
        if (!b->no_memory)
            fill(b, frame.node, frame.node == NULL, where);
    }
}

int32_t config_bind(const char *what, const struct config_node *node, struct config_place where,
                    struct config_part *parts, uint32_t n_parts,
                    const struct config_allocator *allocator, struct config_diagnostics *d,
                    struct config_bound **bound)
{
    struct config_arena arena, scratch;
    arena_init(&arena, allocator, MAX_MEMORY);
    arena_init(&scratch, allocator, MAX_MEMORY);
    struct binder b = {.arena = &arena, .scratch = &scratch, .d = d, .what = what, .top = node};
    uint32_t errors = d->count[CONFIG_ERROR];
    *bound = arena_take(&arena, sizeof **bound);
    b.no_memory = !*bound;
    for (uint32_t i = 0; i < n_parts; i++) {
        parts[i].out = arena_take(&arena, parts[i].size);
        b.no_memory |= !parts[i].out;
        if (!b.no_memory)
            add_slots(&b, parts[i].fields, parts[i].out);
    }
    if (node && node->kind != CONFIG_MAP && node->kind != CONFIG_NULL)
        BIND_ERROR(&b, node, "%s wants a map, found %s", what, config_kind_name(node));
    else if (!b.no_memory)
        fill(&b, node, false, where);
    fill_frames(&b, where);
    arena_deinit(&scratch);
    if (b.no_memory)
        diagnostics_no_memory(d);
    if (b.no_memory || d->count[CONFIG_ERROR] > errors) {
        arena_deinit(&arena);
        for (uint32_t i = 0; i < n_parts; i++)
            parts[i].out = NULL;
        *bound = NULL;
        return b.no_memory ? SL_ERR_NOMEM : SL_ERR_INVALID;
    }
    (*bound)->arena = arena;
    (*bound)->places = b.places;
    return SL_OK;
}

bool config_place_of(const struct config_bound *bound, const void *member,
                     struct config_place *place)
{
    const struct bind_place *p = bound->places;
    while (p && p->member != member)
        p = p->next;
    if (p)
        *place = p->at;
    return p != NULL;
}

void config_free(struct config_bound *bound)
{
    if (bound) {
        struct config_arena arena = bound->arena;
        arena_deinit(&arena);
    }
}
