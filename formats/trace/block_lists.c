/* Reads the lists of the topology, the texts, and the columns that classes share. */
#include "formats/trace/block_read.h"
#include "formats/trace/doubles.h"

/* ---- lists ---- */

/* The next text of the topology. */
static bool next_text(struct block_reader *b, sl_bytes *text)
{
    uint64_t n;
    struct text_reader *r = &b->texts;
    if (!read_number(&b->values, &n) || n > (uint64_t)(r->patterns_end - r->patterns)) {
        return false;
    }
    *text = sl_slice(r->patterns, (size_t)n);
    r->patterns += n;
    return true;
}

/* Is this a message without message field `number`? What stands in a request as it is must be, or
 * what follows it would be read wrongly. */
static bool is_message_without(sl_bytes message, uint32_t number)
{
    sl_wire w = sl_wire_of(message);
    while (sl_wire_next(&w)) {
        if (w.number == number && w.type == SL_BYTES) {
            return false;
        }
    }
    return w.p == w.end;
}

/* Do the tokens nest as they should? */
static bool good_tokens(const struct block_reader *b, const struct read_class *class)
{
    uint32_t open = TOKEN_END; /* nothing */
    for (uint32_t i = 0; i < class->n_tokens; i++) {
        const uint32_t kind = b->types[class->types[i]].kind;
        const uint32_t follows =
            i + 1 < class->n_tokens ? b->types[class->types[i + 1]].kind : TOKEN_END;
        switch (kind) {
        case TOKEN_ATTR_ABSENT:
        case TOKEN_ATTR_NULL:
        case TOKEN_ATTR_TEXT:
        case TOKEN_ATTR_BOOL:
        case TOKEN_ATTR_INT:
        case TOKEN_ATTR_DOUBLE:
        case TOKEN_ATTR_BYTES:
        case TOKEN_ATTR_ANY:
        case TOKEN_ATTR_OTHER:
            break;
        case TOKEN_EVENT_NAME:
        case TOKEN_EVENT_DROPPED:
            if (open != TOKEN_EVENT) {
                return false;
            }
            break;
        case TOKEN_LINK_STATE:
        case TOKEN_LINK_DROPPED:
        case TOKEN_LINK_FLAGS:
            if (open != TOKEN_LINK) {
                return false;
            }
            break;
        case TOKEN_LINK_LOW:
            if (i == 0 || b->types[class->types[i - 1]].kind != TOKEN_LINK ||
                follows != TOKEN_LINK_SPAN) {
                return false;
            }
            break;
        case TOKEN_LINK_SPAN:
            if (i == 0 || b->types[class->types[i - 1]].kind != TOKEN_LINK_LOW) {
                return false;
            }
            break;
        case TOKEN_EVENT:
        case TOKEN_LINK:
            if (open != TOKEN_END || (kind == TOKEN_LINK && follows != TOKEN_LINK_LOW)) {
                return false;
            }
            open = kind;
            break;
        case TOKEN_END:
            if (open == TOKEN_END) {
                return false;
            }
            open = TOKEN_END;
            break;
        case TOKEN_WHOLE:
            if (class->n_tokens != 1) {
                return false;
            }
            break;
        default: /* of the span */
            if (open != TOKEN_END) {
                return false;
            }
        }
    }
    return open == TOKEN_END;
}

static int32_t read_class(struct block_reader *b, struct read_class *class)
{
    uint32_t name, *types;
    if (b->n_scopes == 0 || !next_number(b, b->n_scopes - 1, &class->head.scope) ||
        !next_number(b, b->n_names, &name) || !next_number(b, UINT32_MAX, &class->head.kind) ||
        !next_number(b, UINT32_MAX, &class->head.status) ||
        !next_number(b, UINT32_MAX, &class->head.flags) ||
        !next_number(b, CLASS_HAS_ALL, &class->head.has) ||
        !next_number(b, (uint64_t)(b->values.about_end - b->values.about), &class->n_tokens)) {
        return SL_ERR_INVALID;
    }
    class->head.name = name > 0 ? name - 1 : TRACE_NONE;
    class->types = types = arena_get(&b->arena, class->n_tokens + 1, sizeof *types);
    if (!types) {
        return SL_ERR_NOMEM;
    }
    for (uint32_t i = 0; i < class->n_tokens; i++) {
        if (b->n_types == 0 || !next_number(b, b->n_types - 1, &types[i])) {
            return SL_ERR_INVALID;
        }
    }
    class->whole = class->n_tokens > 0 && b->types[types[0]].kind == TOKEN_WHOLE;
    return good_tokens(b, class) ? SL_OK : SL_ERR_INVALID;
}

int32_t read_lists(struct block_reader *b)
{
    /* every entry takes at least one byte */
    const uint64_t most = (uint64_t)(b->values.about_end - b->values.about);
    if (!next_number(b, most, &b->n_resources) || !next_number(b, most, &b->n_scopes) ||
        !next_number(b, most, &b->n_names) || !next_number(b, most, &b->n_types) ||
        !next_number(b, most, &b->n_classes)) {
        return SL_ERR_INVALID;
    }
    b->resources = arena_get(&b->arena, b->n_resources, sizeof *b->resources);
    b->scopes = arena_get(&b->arena, b->n_scopes, sizeof *b->scopes);
    b->names = arena_get(&b->arena, b->n_names, sizeof *b->names);
    b->types = arena_zeroed(&b->arena, b->n_types, sizeof *b->types);
    b->classes = arena_zeroed(&b->arena, b->n_classes, sizeof *b->classes);
    if (!b->resources || !b->scopes || !b->names || !b->types || !b->classes) {
        return SL_ERR_NOMEM;
    }
    bool fine = true;
    for (uint32_t i = 0; fine && i < b->n_resources; i++) {
        fine = next_text(b, &b->resources[i]) && is_message_without(b->resources[i], 2);
    }
    for (uint32_t i = 0; fine && i < b->n_scopes; i++) {
        fine = b->n_resources > 0 && next_number(b, b->n_resources - 1, &b->scopes[i].resource) &&
               next_text(b, &b->scopes[i].head) && is_message_without(b->scopes[i].head, 2);
    }
    for (uint32_t i = 0; fine && i < b->n_names; i++) {
        fine = next_text(b, &b->names[i]);
    }
    for (uint32_t i = 0; fine && i < b->n_types; i++) {
        fine = next_number(b, TOKEN_KINDS - 1, &b->types[i].kind) && next_text(b, &b->types[i].key);
    }
    int32_t status = fine ? SL_OK : SL_ERR_INVALID;
    for (uint32_t i = 0; status == SL_OK && i < b->n_classes; i++) {
        status = read_class(b, &b->classes[i]);
    }
    return status;
}

/* ---- dictionaries, and the columns that classes share ---- */

bool good_texts(const struct read_type *type, const sl_bytes *texts, uint32_t n)
{
    const bool raw = type->kind == TOKEN_REST || type->kind == TOKEN_WHOLE;
    for (uint32_t i = 0; raw && i < n; i++) {
        if (!is_message_without(texts[i], 0)) {
            return false;
        }
    }
    return true;
}

static int32_t read_shared(struct block_reader *b, struct read_type *type)
{
    const uint32_t n = type->n_shared;
    if (n == 0) {
        return SL_OK;
    }
    if (column_of(type->kind) == COLUMN_TEXT && type->n == 0) {
        type->shared_texts = arena_get(&b->arena, n, sizeof *type->shared_texts);
        const int32_t status = type->shared_texts
                                   ? texts_read(&b->texts, type->wanted, type->shared_texts, n)
                                   : SL_ERR_NOMEM;
        return status == SL_OK && !good_texts(type, type->shared_texts, n) ? SL_ERR_INVALID
                                                                           : status;
    }
    type->shared = arena_get(&b->arena, n, sizeof *type->shared);
    return !type->shared                     ? SL_ERR_NOMEM
           : type->kind == TOKEN_ATTR_DOUBLE ? doubles_read(&b->values, type->shared, n)
                                             : numbers_read(&b->values, type->shared, n);
}

/* Which texts of shared columns the selected traces have. */
static int32_t want_texts(struct block_reader *b)
{
    for (uint32_t i = 0; i < b->n_types; i++) {
        struct read_type *type = &b->types[i];
        if (column_of(type->kind) == COLUMN_TEXT && type->n == 0) {
            type->wanted = arena_zeroed(&b->arena, type->n_shared, 1);
            if (!type->wanted) {
                return SL_ERR_NOMEM;
            }
        }
    }
    for (uint32_t i = 0; i < b->n_classes; i++) {
        const struct read_class *class = &b->classes[i];
        for (uint32_t k = 0; k < class->n_tokens; k++) {
            struct read_type *type = &b->types[class->types[k]];
            for (uint32_t j = 0; type->wanted && is_shared(class, type) && j < class->n; j++) {
                const uint32_t place = b->by_class[class->first + j];
                type->wanted[type->at_shared++] = b->selected[b->places[place].trace];
            }
        }
    }
    for (uint32_t i = 0; i < b->n_types; i++) {
        b->types[i].at_shared = 0;
    }
    return SL_OK;
}

int32_t read_dictionaries(struct block_reader *b)
{
    for (uint32_t i = 0; i < b->n_types; i++) {
        struct read_type *type = &b->types[i];
        if (column_of(type->kind) != COLUMN_TEXT) {
            continue;
        }
        if (!next_number(b, UINT32_MAX - 1, &type->n)) {
            return SL_ERR_INVALID;
        }
        const uint8_t *const from = b->values.bits;
        type->texts = arena_get(&b->arena, type->n, sizeof *type->texts);
        const int32_t status =
            type->texts ? texts_read(&b->texts, NULL, type->texts, type->n) : SL_ERR_NOMEM;
        arena_reset(&b->scratch);
        type->bytes += (uint64_t)(b->values.bits - from);
        if (status != SL_OK || !good_texts(type, type->texts, type->n)) {
            return status != SL_OK ? status : SL_ERR_INVALID;
        }
    }
    for (uint32_t i = 0; i < b->n_classes; i++) {
        const struct read_class *class = &b->classes[i];
        for (uint32_t k = 0; k < class->n_tokens; k++) {
            struct read_type *type = &b->types[class->types[k]];
            if (is_shared(class, type) &&
                __builtin_add_overflow(type->n_shared, class->n, &type->n_shared)) {
                return SL_ERR_INVALID;
            }
        }
    }
    const int32_t wanting = b->selected ? want_texts(b) : SL_OK;
    if (wanting != SL_OK) {
        return wanting;
    }
    for (uint32_t i = 0; i < b->n_types; i++) {
        const uint8_t *const from = b->values.bits;
        const int32_t status = read_shared(b, &b->types[i]);
        arena_reset(&b->scratch);
        b->types[i].n_values += b->types[i].n_shared;
        b->types[i].bytes += (uint64_t)(b->values.bits - from);
        if (status != SL_OK) {
            return status;
        }
    }
    return SL_OK;
}
