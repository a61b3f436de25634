/* Goes through a field table without recursion. Control thread only. */
#include "pipeline/config/describe_walk.h"
#include "pipeline/config/scalar.h"

void table_walk_init(struct table_walk *w, const sl_field *fields)
{
    w->n = 0;
    if (fields)
        w->frames[w->n++] = (struct table_frame){.start = fields, .next = fields};
}

static uint32_t visible_depth(const struct table_walk *w)
{
    uint32_t depth = 0;
    for (uint32_t i = 1; i < w->n; i++)
        depth += !w->frames[i].inlined;
    return depth;
}

static enum table_step enter(struct table_walk *w, const sl_field *fields, struct table_item *item)
{
    for (uint32_t i = 0; i < w->n; i++) {
        if (w->frames[i].start == fields) {
            item->again = true;
            item->ancestor = i;
            return TABLE_LEAF;
        }
    }
    if (w->n == TABLE_MAX_DEPTH)
        return TABLE_LEAF;
    w->frames[w->n++] = (struct table_frame){
        .start = fields, .next = fields, .owner = item->field, .key = item->key};
    return TABLE_OPEN;
}

static bool step_union(struct table_walk *w, const sl_field *f, struct table_item *item,
                       enum table_step *step)
{
    struct table_frame *top = &w->frames[w->n - 1];
    if (!top->in_union) {
        top->in_union = true;
        top->choice = 0;
        item->key = f->tag_key;
        item->tag = true;
        *step = TABLE_LEAF;
        return true;
    }
    while (f->names[top->choice]) {
        uint32_t i = top->choice++;
        if (!f->choices[i])
            continue;
        item->key = f->names[i];
        item->choice = true;
        *step = enter(w, f->choices[i]->fields, item);
        return true;
    }
    top->in_union = false;
    top->next++;
    return false;
}

enum table_step table_walk_next(struct table_walk *w, struct table_item *item)
{
    while (w->n > 0) {
        struct table_frame *top = &w->frames[w->n - 1];
        const sl_field *f = top->next;
        if (!f->key) {
            struct table_frame left = *top;
            w->n--;
            if (left.inlined || w->n == 0)
                continue;
            *item = (struct table_item){
                .field = left.owner, .key = left.key, .depth = visible_depth(w)};
            return TABLE_CLOSE;
        }
        *item = (struct table_item){.field = f, .key = f->key, .depth = visible_depth(w)};
        if (f->kind == SL_FIELD_UNION) {
            enum table_step step;
            if (step_union(w, f, item, &step))
                return step;
            continue;
        }
        top->next++;
        if (f->kind == SL_FIELD_STRUCT && (f->flags & SL_INLINE)) {
            if (w->n < TABLE_MAX_DEPTH)
                w->frames[w->n++] = (struct table_frame){
                    .start = f->of->fields, .next = f->of->fields, .inlined = true};
            continue;
        }
        if ((f->kind == SL_FIELD_STRUCT || f->kind == SL_FIELD_LIST) && !(f->flags & SL_IGNORED))
            return enter(w, f->of->fields, item);
        return TABLE_LEAF;
    }
    return TABLE_END;
}

const char *table_walk_path(const struct table_walk *w, uint32_t frames, char *out)
{
    size_t at = 0;
    out[0] = '\0';
    for (uint32_t i = 1; i < frames && i < w->n && at < TABLE_PATH - 1; i++) {
        const struct table_frame *f = &w->frames[i];
        if (f->inlined)
            continue;
        int n = snprintf(out + at, TABLE_PATH - at, "%s%s%s", at ? "." : "", f->key,
                         f->owner->kind == SL_FIELD_LIST ? "[]" : "");
        at += n > 0 ? (size_t)n : 0;
    }
    return out;
}

const char *table_type_name(const struct table_item *item)
{
    if (item->tag)
        return "name";
    if (item->choice)
        return "map";
    switch (item->field->kind) {
    case SL_FIELD_BOOL:
        return "boolean";
    case SL_FIELD_U32:
    case SL_FIELD_U64:
    case SL_FIELD_I64:
        return "whole number";
    case SL_FIELD_F64:
        return "number";
    case SL_FIELD_TEXT:
        return "text";
    case SL_FIELD_DURATION:
        return "duration";
    case SL_FIELD_SIZE:
        return "size";
    case SL_FIELD_ENUM:
        return "name";
    case SL_FIELD_TEXTS:
        return "list of texts";
    case SL_FIELD_MAP:
        return "map of texts";
    case SL_FIELD_LIST:
        return "list of maps";
    case SL_FIELD_STRUCT:
        return "map";
    default:
        return "anything";
    }
}

const char *table_default(const struct table_item *item, char *out)
{
    const sl_field *f = item->field;
    out[0] = '\0';
    if (item->choice || (f->flags & (SL_REQUIRED | SL_IGNORED)))
        return out;
    switch (item->tag ? (uint32_t)SL_FIELD_ENUM : f->kind) {
    case SL_FIELD_BOOL:
        return f->def.u ? "true" : "false";
    case SL_FIELD_U32:
    case SL_FIELD_U64:
        (void)snprintf(out, 64, "%llu", (unsigned long long)f->def.u);
        return out;
    case SL_FIELD_I64:
        (void)snprintf(out, 64, "%lld", (long long)f->def.i);
        return out;
    case SL_FIELD_F64:
        scalar_write_f64(f->def.f, out);
        return out;
    case SL_FIELD_DURATION:
        scalar_write_duration(f->def.i, out);
        return out;
    case SL_FIELD_SIZE:
        scalar_write_size(f->def.u, out);
        return out;
    case SL_FIELD_TEXT:
        return f->text ? f->text : "";
    case SL_FIELD_ENUM:
        return f->names[f->def.u];
    default:
        return out;
    }
}
