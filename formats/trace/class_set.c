#include "formats/trace/class_set.h"

enum {
    NAMES_OF_SCOPE = 512,     /* further names of a scope become values */
    ALL_TOKENS = 1024 * 1024, /* of classes; further spans are kept as they are */
};

bool class_set_init(struct class_set *set, uint32_t n_scopes)
{
    *set = (struct class_set){.arena = {.limit = UINT64_MAX}};
    tokens_init(&set->tokens);
    set->names_of_scope = calloc((size_t)n_scopes + 1, sizeof *set->names_of_scope);
    return set->names_of_scope;
}

void class_set_free(struct class_set *set)
{
    for (uint32_t i = 0; i < set->n_types; i++) {
        free(set->types[i].texts);
        free(set->types[i].used);
        map_free(&set->types[i].map);
    }
    for (uint32_t i = 0; i < set->n; i++) {
        for (uint32_t k = 0; k < set->classes[i].n_tokens; k++) {
            free(set->classes[i].columns[k].values.at);
        }
    }
    free(set->names);
    free(set->types);
    free(set->classes);
    free(set->names_of_scope);
    map_free(&set->name_map);
    map_free(&set->type_map);
    map_free(&set->map);
    tokens_deinit(&set->tokens);
    arena_free(&set->arena);
}

/* ---- names and types ---- */

static uint32_t find_name(struct class_set *set, sl_bytes name, uint64_t hash)
{
    uint64_t at = map_first(hash);
    uint32_t i;
    while ((i = map_next(&set->name_map, hash, &at)) != TRACE_NONE) {
        if (sl_eq(set->names[i], name)) {
            break;
        }
    }
    return i;
}

static uint32_t add_name(struct class_set *set, sl_bytes name, uint64_t hash)
{
    void *names = set->names;
    if (!array_room(&names, set->n_names, &set->room_names, 1, sizeof *set->names)) {
        return TRACE_NONE;
    }
    set->names = names;
    set->names[set->n_names] = name;
    return map_add(&set->name_map, hash, set->n_names) ? set->n_names++ : TRACE_NONE;
}

static uint64_t token_hash(const struct class_set *set, const struct token *token)
{
    return hash_bytes((uintptr_t)set + token->kind, token->key);
}

static uint32_t intern_type(struct class_set *set, const struct token *token)
{
    const uint64_t hash = token_hash(set, token);
    uint64_t at = map_first(hash);
    uint32_t i;
    while ((i = map_next(&set->type_map, hash, &at)) != TRACE_NONE) {
        if (set->types[i].kind == token->kind && sl_eq(set->types[i].key, token->key)) {
            return i;
        }
    }
    void *types = set->types;
    if (!array_room(&types, set->n_types, &set->room_types, 1, sizeof *set->types)) {
        return TRACE_NONE;
    }
    set->types = types;
    set->types[set->n_types] = (struct token_type){.kind = token->kind, .key = token->key};
    return map_add(&set->type_map, hash, set->n_types) ? set->n_types++ : TRACE_NONE;
}

/* The index of a text among those of its type. Texts made of several fields are copied. */
static uint32_t intern_text(struct class_set *set, struct token_type *type, sl_bytes text)
{
    const uint64_t hash = hash_bytes((uintptr_t)set, text);
    uint64_t at = map_first(hash);
    uint32_t i;
    while ((i = map_next(&type->map, hash, &at)) != TRACE_NONE) {
        if (sl_eq(type->texts[i], text)) {
            type->used[i]++;
            return i;
        }
    }
    void *texts = type->texts, *used = type->used;
    const bool room = array_room(&texts, type->n, &type->room, 1, sizeof *type->texts);
    type->texts = texts;
    const bool room_used = array_room(&used, type->n, &type->room_used, 1, sizeof *type->used);
    type->used = used;
    if (type->kind == TOKEN_REST) {
        text = arena_copy(&set->arena, text);
    }
    if (!room || !room_used || (type->kind == TOKEN_REST && !text.p)) {
        return TRACE_NONE;
    }
    type->texts[type->n] = text;
    type->used[type->n] = 1;
    return map_add(&type->map, hash, type->n) ? type->n++ : TRACE_NONE;
}

/* ---- classes ---- */

static bool same_class(const struct class_set *set, const struct span_class *class,
                       const struct class_head *head)
{
    const struct tokens *t = &set->tokens;
    if (memcmp(&class->head, head, sizeof *head) != 0 || class->n_tokens != t->n) {
        return false;
    }
    for (uint32_t i = 0; i < t->n; i++) {
        const struct token_type *type = &set->types[class->types[i]];
        if (type->kind != t->at[i].kind || !sl_eq(type->key, t->at[i].key)) {
            return false;
        }
    }
    return true;
}

static uint64_t class_hash(const struct class_set *set, const struct class_head *head)
{
    uint64_t hash = hash_bytes((uintptr_t)set, sl_slice(head, sizeof *head));
    for (uint32_t i = 0; i < set->tokens.n; i++) {
        hash = hash_mix(hash, token_hash(set, &set->tokens.at[i]));
    }
    return hash;
}

static uint32_t find_class(const struct class_set *set, const struct class_head *head,
                           uint64_t hash)
{
    uint64_t at = map_first(hash);
    uint32_t i;
    while ((i = map_next(&set->map, hash, &at)) != TRACE_NONE) {
        if (set->classes[i].hash == hash && same_class(set, &set->classes[i], head)) {
            break;
        }
    }
    return i;
}

static uint32_t add_class(struct class_set *set, const struct class_head *head, uint64_t hash)
{
    const struct tokens *t = &set->tokens;
    void *classes = set->classes;
    if (!array_room(&classes, set->n, &set->room, 1, sizeof *set->classes)) {
        return TRACE_NONE;
    }
    set->classes = classes;
    struct span_class *class = &set->classes[set->n];
    *class = (struct span_class){.head = *head, .hash = hash, .n_tokens = t->n};
    class->types = arena_get(&set->arena, t->n + 1, sizeof *class->types);
    class->columns = arena_zeroed(&set->arena, t->n + 1, sizeof *class->columns);
    if (!class->types || !class->columns || !map_add(&set->map, hash, set->n)) {
        return TRACE_NONE;
    }
    set->n++;
    set->n_tokens += t->n;
    for (uint32_t i = 0; i < t->n; i++) {
        class->types[i] = intern_type(set, &t->at[i]);
        if (class->types[i] == TRACE_NONE) {
            class->n_tokens = i;
            return TRACE_NONE;
        }
    }
    return set->n - 1;
}

/* The class of the tokens at hand, new or not. Where there are too many classes the tokens become
 * one that keeps the fields as they are. */
static uint32_t class_of(struct class_set *set, const struct set_span *span, bool remote_parent)
{
    struct tokens *t = &set->tokens;
    for (;;) {
        struct class_head head = {.scope = span->scope,
                                  .name = TRACE_NONE,
                                  .kind = t->kind,
                                  .status = t->status,
                                  .flags = t->flags,
                                  .has = (t->has_status ? CLASS_STATUS : 0u) |
                                         (remote_parent ? CLASS_REMOTE_PARENT : 0u)};
        const uint64_t name_hash = hash_bytes((uintptr_t)set, t->name);
        const bool named = t->name.n > 0;
        head.name = named ? find_name(set, t->name, name_hash) : TRACE_NONE;
        uint64_t hash = class_hash(set, &head);
        uint32_t i = named && head.name == TRACE_NONE ? TRACE_NONE : find_class(set, &head, hash);
        if (i != TRACE_NONE) {
            return i;
        }
        if (named && set->names_of_scope[span->scope] < NAMES_OF_SCOPE) {
            if (head.name == TRACE_NONE) {
                head.name = add_name(set, t->name, name_hash);
                set->names_of_scope[span->scope]++;
                hash = class_hash(set, &head);
            }
            if (head.name == TRACE_NONE) {
                return TRACE_NONE;
            }
        } else if (named) { /* the name becomes a value */
            head.name = TRACE_NONE;
            void *at = t->at;
            if (!array_room(&at, t->n, &t->room, 1, sizeof *t->at)) {
                return TRACE_NONE;
            }
            t->at = at;
            t->at[t->n++] = (struct token){.kind = TOKEN_NAME, .text = t->name};
            t->name = sl_slice(NULL, 0);
            hash = class_hash(set, &head);
            i = find_class(set, &head, hash);
            if (i != TRACE_NONE) {
                return i;
            }
        }
        if (t->rest || set->n_tokens < ALL_TOKENS) {
            return add_class(set, &head, hash);
        }
        if (!tokens_rest(t, span)) {
            return TRACE_NONE;
        }
    }
}

static bool add_value(struct column *column, int64_t value)
{
    if (column->values.n == 0 && (column->n == 0 || value == column->first)) {
        column->first = value;
        column->n++;
        return true;
    }
    if (column->values.n == 0) {
        for (uint32_t i = 0; i < column->n; i++) {
            if (!numbers_add(&column->values, column->first)) {
                return false;
            }
        }
    }
    column->n++;
    return numbers_add(&column->values, value);
}

static bool add_text(struct class_set *set, struct column *column, struct token_type *type,
                     sl_bytes text)
{
    if (column->n > 0 && sl_eq(column->last_text, text)) {
        type->used[column->last]++;
        return add_value(column, column->last);
    }
    const uint32_t i = intern_text(set, type, text);
    if (i == TRACE_NONE) {
        return false;
    }
    column->last_text = type->texts[i];
    column->last = i;
    return add_value(column, i);
}

uint32_t class_set_add(struct class_set *set, const struct set_span *span, bool remote_parent)
{
    if (!tokens_of(&set->tokens, span)) {
        return TRACE_NONE;
    }
    const uint32_t i = class_of(set, span, remote_parent);
    if (i == TRACE_NONE) {
        return TRACE_NONE;
    }
    struct span_class *class = &set->classes[i];
    for (uint32_t k = 0; k < class->n_tokens; k++) {
        const struct token *token = &set->tokens.at[k];
        const enum column_kind kind = column_of(token->kind);
        if ((kind == COLUMN_NUMBER && !add_value(&class->columns[k], token->number)) ||
            (kind == COLUMN_TEXT &&
             !add_text(set, &class->columns[k], &set->types[class->types[k]], token->text))) {
            return TRACE_NONE;
        }
    }
    class->n++;
    return i;
}
