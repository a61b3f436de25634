/* A field table as JSON Schema (2020-12), for editors. A struct that contains itself refers to the
 * place where it stands first. Control thread only. */
#include "pipeline/config/bind_internal.h"
#include "pipeline/config/describe.h"
#include "pipeline/config/describe_walk.h"
#include "pipeline/config/print.h"
#include "pipeline/config/scalar.h"
#include <math.h>

/* JSON pointers: ~ and / are written ~0 and ~1, and the whole stands in a URI fragment. */
static void print_pointer(FILE *out, const struct table_walk *w, uint32_t frames)
{
    (void)fputs("\"#", out);
    for (uint32_t i = 1; i <= frames; i++) {
        const struct table_frame *f = &w->frames[i];
        if (f->inlined)
            continue;
        (void)fputs("/properties/", out);
        for (const char *c = f->key; *c; c++) {
            if (*c == '~' || *c == '/')
                (void)fputs(*c == '~' ? "~0" : "~1", out);
            else
                (void)fputc(*c, out);
        }
        if (f->owner->kind == SL_FIELD_LIST)
            (void)fputs("/items", out);
    }
    (void)fputc('"', out);
}

static void print_number(FILE *out, const sl_field *f, const char *key, sl_number v)
{
    char text[48];
    if (f->kind == SL_FIELD_F64 && !isfinite(v.f))
        return; /* JSON has no such number */
    (void)fprintf(out, ",\"%s\":", key);
    if (f->kind == SL_FIELD_F64) {
        scalar_write_f64(v.f, text);
        (void)fputs(text, out);
    } else if (f->kind == SL_FIELD_I64) {
        (void)fprintf(out, "%lld", (long long)v.i);
    } else {
        (void)fprintf(out, "%llu", (unsigned long long)v.u);
    }
}

static void print_type(FILE *out, const struct table_item *item)
{
    const sl_field *f = item->field;
    switch (item->tag ? (uint32_t)SL_FIELD_ENUM : f->kind) {
    case SL_FIELD_BOOL:
        (void)fputs("\"type\":[\"boolean\",\"null\"]", out);
        break;
    case SL_FIELD_U32:
    case SL_FIELD_U64:
    case SL_FIELD_I64:
        (void)fputs("\"type\":[\"integer\",\"null\"]", out);
        break;
    case SL_FIELD_F64:
        (void)fputs("\"type\":[\"number\",\"null\"]", out);
        break;
    case SL_FIELD_TEXT:
        (void)fputs("\"type\":[\"string\",\"number\",\"boolean\",\"null\"]", out);
        break;
    case SL_FIELD_DURATION:
        (void)fputs("\"type\":[\"string\",\"integer\",\"null\"],\"pattern\":"
                    "\"^[-+]?(0|([0-9]+(\\\\.[0-9]*)?|\\\\.[0-9]+)(ns|us|\xc2\xb5s|ms|s|m|h))+$\"",
                    out);
        break;
    case SL_FIELD_SIZE:
        (void)fputs("\"type\":[\"string\",\"integer\",\"null\"]", out);
        break;
    case SL_FIELD_ENUM:
        (void)fputs("\"enum\":[", out);
        for (uint32_t i = 0; f->names[i]; i++) {
            (void)fputs(i ? "," : "", out);
            print_quoted(out, sl_str(f->names[i]));
        }
        (void)fputs(f->flags & SL_REQUIRED ? "]" : ",null]", out);
        break;
    case SL_FIELD_TEXTS:
        (void)fputs("\"type\":[\"array\",\"string\",\"null\"],\"items\":{\"type\":[\"string\","
                    "\"number\",\"boolean\"]}",
                    out);
        break;
    case SL_FIELD_MAP:
        (void)fputs("\"type\":[\"object\",\"array\",\"null\"]", out);
        break;
    default:
        (void)fputs("\"type\":[\"object\",\"array\",\"string\",\"number\",\"boolean\",\"null\"]",
                    out);
    }
    bool number = f->kind == SL_FIELD_U32 || f->kind == SL_FIELD_U64 || f->kind == SL_FIELD_I64 ||
                  f->kind == SL_FIELD_F64;
    if (number && sl_field_is_bounded(f)) {
        print_number(out, f, "minimum", f->min);
        print_number(out, f, "maximum", f->max);
    } else if (f->kind == SL_FIELD_U32 || f->kind == SL_FIELD_U64) {
        (void)fputs(",\"minimum\":0", out);
    }
}

static void print_default(FILE *out, const struct table_item *item)
{
    char text[64];
    const char *value = table_default(item, text);
    if (!*value || (item->field->kind == SL_FIELD_F64 && !isfinite(item->field->def.f)))
        return;
    (void)fputs(",\"default\":", out);
    switch (item->tag ? (uint32_t)SL_FIELD_ENUM : item->field->kind) {
    case SL_FIELD_BOOL:
    case SL_FIELD_U32:
    case SL_FIELD_U64:
    case SL_FIELD_I64:
    case SL_FIELD_F64:
        (void)fputs(value, out);
        break;
    default:
        print_quoted(out, sl_str(value));
    }
}

static void print_description(FILE *out, const struct table_item *item)
{
    if (item->field->help && !item->choice) {
        (void)fputs(",\"description\":", out);
        print_quoted(out, sl_str(item->field->help));
    }
    if (item->field->flags & SL_DEPRECATED)
        (void)fputs(",\"deprecated\":true", out);
    if (item->field->flags & SL_SECRET)
        (void)fputs(",\"writeOnly\":true", out);
}

static const char *required_key(const sl_field *f)
{
    if (!(f->flags & SL_REQUIRED))
        return NULL;
    return f->kind == SL_FIELD_UNION ? f->tag_key : f->key;
}

/* Behind the properties of an object: which of them must be there. */
static void print_required(FILE *out, const sl_field *fields)
{
    const sl_field *stack[TABLE_MAX_DEPTH];
    uint32_t depth = 0, n = 0;
    stack[depth++] = fields;
    while (depth > 0) {
        const sl_field *f = stack[depth - 1];
        if (!f->key) {
            depth--;
            continue;
        }
        stack[depth - 1] = f + 1;
        if (f->kind == SL_FIELD_STRUCT && (f->flags & SL_INLINE) && depth < TABLE_MAX_DEPTH) {
            stack[depth++] = f->of->fields;
        } else if (required_key(f)) {
            (void)fputs(n++ ? "," : ",\"required\":[", out);
            print_quoted(out, sl_str(required_key(f)));
        }
    }
    (void)fputs(n ? "]" : "", out);
}

int32_t describe_json_schema(FILE *out, const sl_field *fields, const char *id)
{
    struct table_walk walk;
    struct table_item item;
    const sl_field *open[TABLE_MAX_DEPTH];
    uint32_t depth = 0;
    bool first = true;
    (void)fputs("{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\"", out);
    if (id) {
        (void)fputs(",\"$id\":", out);
        print_quoted(out, sl_str(id));
    }
    (void)fputs(",\"type\":[\"object\",\"null\"],\"properties\":{", out);
    table_walk_init(&walk, fields);
    for (enum table_step step; (step = table_walk_next(&walk, &item)) != TABLE_END;) {
        bool list = item.field->kind == SL_FIELD_LIST;
        if (step == TABLE_CLOSE) {
            (void)fputs("},\"additionalProperties\":false", out);
            print_required(out, open[--depth]);
            (void)fputs(list ? "}}" : "}", out);
            first = false;
            continue;
        }
        (void)fputs(first ? "" : ",", out);
        first = step == TABLE_OPEN;
        print_quoted(out, sl_str(item.key));
        (void)fputs(":{", out);
        if (item.again) {
            (void)fputs(list ? "\"type\":[\"array\",\"null\"],\"items\":{\"$ref\":" : "\"$ref\":",
                        out);
            print_pointer(out, &walk, item.ancestor);
            (void)fputs(list ? "}" : "", out);
        } else if (step == TABLE_LEAF) {
            print_type(out, &item);
            print_default(out, &item);
        } else {
            (void)fputs(list ? "\"type\":[\"array\",\"null\"]" : "\"type\":[\"object\",\"null\"]",
                        out);
        }
        print_description(out, &item);
        if (step == TABLE_LEAF) {
            (void)fputc('}', out);
            continue;
        }
        (void)fputs(list ? ",\"items\":{\"type\":\"object\",\"properties\":{" : ",\"properties\":{",
                    out);
        open[depth++] = walk.frames[walk.n - 1].start;
    }
    (void)fputs("},\"additionalProperties\":false", out);
    if (fields)
        print_required(out, fields);
    (void)fputs("}\n", out);
    return ferror(out) ? SL_ERR_IO : SL_OK;
}
