/* Is a plugin's field table sound? Checked once when its type is loaded, so that binding can trust
 * offsets, names and structs. Control thread only. */
#include "pipeline/config/bind_internal.h"

#define MAX_STRUCTS 256u /* of one table */

#define KNOWN_FLAGS (SL_REQUIRED | SL_SECRET | SL_IGNORED | SL_DEPRECATED | SL_INLINE | SL_BOUNDED)

struct check {
    sl_struct seen[MAX_STRUCTS]; /* to be checked, and checked */
    uint32_t depth[MAX_STRUCTS]; /* by value below the top or a list */
    uint32_t n;
    sl_error *error;
};

static uint32_t member_size(uint32_t kind)
{
    switch (kind) {
    case SL_FIELD_BOOL:
        return 1;
    case SL_FIELD_U32:
    case SL_FIELD_ENUM:
        return 4;
    case SL_FIELD_TEXT:
    case SL_FIELD_TEXTS:
    case SL_FIELD_MAP:
    case SL_FIELD_LIST:
        return 16;
    case SL_FIELD_STRUCT:
    case SL_FIELD_UNION:
        return 0;
    default:
        return 8;
    }
}

static int32_t add(struct check *c, const sl_field *f, const sl_struct *s, uint32_t depth)
{
    if (!s || !s->fields)
        return sl_fail(c->error, SL_ERR_INVALID, "key \"%s\": no struct is given", f->key);
    if (depth > BIND_MAX_NESTED)
        return sl_fail(c->error, SL_ERR_INVALID,
                       "key \"%s\": more than %u structs within each other, or one contains itself",
                       f->key, BIND_MAX_NESTED);
    for (uint32_t i = 0; i < c->n; i++)
        if (c->seen[i].fields == s->fields && c->seen[i].size == s->size && c->depth[i] >= depth)
            return SL_OK;
    if (c->n == MAX_STRUCTS)
        return sl_fail(c->error, SL_ERR_INVALID, "more than %u structs", MAX_STRUCTS);
    c->seen[c->n] = *s;
    c->depth[c->n++] = depth;
    return SL_OK;
}

static bool fits(const sl_struct *s, uint32_t offset, uint32_t size, uint32_t alignment)
{
    return offset % alignment == 0 && size <= s->size && offset <= s->size - size;
}

static int32_t check_names(const sl_field *f, sl_error *error)
{
    uint64_t n = 0;
    while (f->names && f->names[n])
        n++;
    if (n == 0)
        return sl_fail(error, SL_ERR_INVALID, "key \"%s\": no names are given", f->key);
    if (f->def.u >= n)
        return sl_fail(error, SL_ERR_INVALID, "key \"%s\": the default is none of the %llu names",
                       f->key, (unsigned long long)n);
    return SL_OK;
}

static int32_t check_bounds(const sl_field *f, sl_error *error)
{
    bool ordered, within;
    switch (f->kind) {
    case SL_FIELD_U32:
    case SL_FIELD_U64:
    case SL_FIELD_SIZE:
        ordered = f->min.u <= f->max.u;
        within = f->def.u >= f->min.u && f->def.u <= f->max.u;
        break;
    case SL_FIELD_I64:
    case SL_FIELD_DURATION:
        ordered = f->min.i <= f->max.i;
        within = f->def.i >= f->min.i && f->def.i <= f->max.i;
        break;
    case SL_FIELD_F64:
        ordered = f->min.f <= f->max.f;
        within = f->def.f >= f->min.f && f->def.f <= f->max.f;
        break;
    default:
        return SL_OK;
    }
    if (!ordered)
        return sl_fail(error, SL_ERR_INVALID, "key \"%s\": the lower bound is above the upper one",
                       f->key);
    if (sl_field_is_bounded(f) && !within && !(f->flags & SL_REQUIRED))
        return sl_fail(error, SL_ERR_INVALID, "key \"%s\": the default is out of bounds", f->key);
    return SL_OK;
}

static int32_t check_union(struct check *c, const sl_struct *s, const sl_field *f, uint32_t depth)
{
    if (!f->tag_key || !f->choices || !fits(s, f->tag, 4, 4))
        return sl_fail(c->error, SL_ERR_INVALID,
                       "key \"%s\": the tag's key, the choices or the tag's offset is wrong",
                       f->key);
    for (uint32_t i = 0; f->names[i]; i++) {
        const sl_struct *choice = f->choices[i];
        if (choice && !fits(s, f->offset, choice->size, 1))
            return sl_fail(c->error, SL_ERR_INVALID, "key \"%s\": \"%s\" does not fit", f->key,
                           f->names[i]);
        int32_t rc = choice ? add(c, f, choice, depth + 1) : SL_OK;
        if (rc)
            return rc;
    }
    return SL_OK;
}

static int32_t check_field(struct check *c, const sl_struct *s, const sl_field *f, uint32_t depth)
{
    if (f->kind < SL_FIELD_BOOL || f->kind > SL_FIELD_RAW || (f->flags & ~(uint32_t)KNOWN_FLAGS))
        return sl_fail(c->error, SL_ERR_UNSUPPORTED,
                       "key \"%s\": unknown kind %u or flags 0x%x; the plugin needs another Sluice",
                       f->key, f->kind, f->flags);
    for (const sl_field *other = s->fields; other != f; other++)
        if (strcmp(other->key, f->key) == 0)
            return sl_fail(c->error, SL_ERR_INVALID, "key \"%s\" stands there twice", f->key);
    if (f->flags & SL_IGNORED)
        return SL_OK;
    uint32_t size = f->kind == SL_FIELD_STRUCT && f->of ? f->of->size : member_size(f->kind);
    uint32_t alignment = size == 0 || f->kind == SL_FIELD_STRUCT ? 1 : size < 8 ? size : 8;
    if (!fits(s, f->offset, size, alignment) || (f->present && f->present > s->size))
        return sl_fail(c->error, SL_ERR_INVALID, "key \"%s\" lies outside its struct of %u bytes",
                       f->key, s->size);
    int32_t rc = check_bounds(f, c->error);
    if (rc == SL_OK && (f->kind == SL_FIELD_ENUM || f->kind == SL_FIELD_UNION))
        rc = check_names(f, c->error);
    if (rc == SL_OK && f->kind == SL_FIELD_STRUCT)
        rc = add(c, f, f->of, depth + 1);
    if (rc == SL_OK && f->kind == SL_FIELD_LIST)
        rc = f->of && f->of->size
                 ? add(c, f, f->of, 0)
                 : sl_fail(c->error, SL_ERR_INVALID, "key \"%s\": no struct is given", f->key);
    if (rc == SL_OK && f->kind == SL_FIELD_UNION)
        rc = check_union(c, s, f, depth);
    return rc;
}

int32_t config_check_table(const sl_field *fields, uint32_t size, sl_error *error)
{
    struct check c = {.error = error};
    sl_struct top = {.size = size, .fields = fields};
    if (!fields)
        return SL_OK;
    c.seen[c.n++] = top;
    for (uint32_t i = 0; i < c.n; i++) {
        sl_struct s = c.seen[i];
        for (const sl_field *f = s.fields; f->key; f++) {
            int32_t rc = check_field(&c, &s, f, c.depth[i]);
            if (rc)
                return rc;
        }
    }
    return SL_OK;
}

/* ---- finding a key ----------------------------------------------------------------------------
 */

static const sl_field *union_field(const sl_field *f, sl_bytes key, const sl_field **inside)
{
    if (sl_eq(key, sl_str(f->tag_key)))
        return f;
    for (uint32_t i = 0; f->names[i]; i++) {
        if (f->choices[i] && sl_eq(key, sl_str(f->names[i]))) {
            *inside = f->choices[i]->fields;
            return f;
        }
    }
    return NULL;
}

const sl_field *table_find(const sl_field *fields, sl_bytes key, const sl_field **inside)
{
    const sl_field *stack[BIND_MAX_NESTED + 1], *found = NULL;
    uint32_t depth = 0;
    stack[depth++] = fields;
    *inside = NULL;
    while (depth > 0 && !found) {
        const sl_field *f = stack[depth - 1];
        if (!f || !f->key) {
            depth--;
            continue;
        }
        stack[depth - 1] = f + 1;
        if (f->kind == SL_FIELD_UNION) {
            found = union_field(f, key, inside);
        } else if (f->kind == SL_FIELD_STRUCT && (f->flags & SL_INLINE)) {
            if (depth <= BIND_MAX_NESTED)
                stack[depth++] = f->of->fields;
        } else if (sl_eq(key, sl_str(f->key))) {
            found = f;
            *inside = f->of && !(f->flags & SL_IGNORED) ? f->of->fields : NULL;
        }
    }
    return found;
}
