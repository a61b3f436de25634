/* A field table as JSON Schema, for editors: draft-07, which the YAML support of VS Code and of
 * JetBrains' programs reads best. Wherever a value may stand, so may a text with ${...} in it: the
 * pattern beside a type only speaks of texts. A struct that contains itself refers to the place
 * where it stands first. Control thread only. */
#include "pipeline/config/bind_internal.h"
#include "pipeline/config/describe.h"
#include "pipeline/config/describe_walk.h"
#include "pipeline/config/print.h"
#include "pipeline/config/scalar.h"
#include <math.h>

/* JSON pointers: ~ and / are written ~0 and ~1, and the whole stands in a URI fragment. */
static void print_pointer(FILE *out, const char *base, const struct table_walk *w, uint32_t frames)
{
    (void)fprintf(out, "\"#%s", base);
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

#define SUBSTITUTED "[$][{]"
#define OR_SUBSTITUTED ",\"string\",\"null\"],\"pattern\":\"" SUBSTITUTED "\""
#define DURATION "^[-+]?(0|([0-9]+([.][0-9]*)?|[.][0-9]+)(ns|us|\xc2\xb5s|ms|s|m|h))+$"
#define SIZE "^ *[0-9]+([.][0-9]*)? *([KMGT](iB?|B)|kB|B)?$"
#define SCALAR "{\"type\":[\"string\",\"number\",\"boolean\",\"null\"]}"

static void print_type(FILE *out, const struct table_item *item)
{
    const sl_field *f = item->field;
    switch (item->tag ? (uint32_t)SL_FIELD_ENUM : f->kind) {
    case SL_FIELD_BOOL:
        (void)fputs("\"type\":[\"boolean\"" OR_SUBSTITUTED, out);
        break;
    case SL_FIELD_U32:
    case SL_FIELD_U64:
    case SL_FIELD_I64:
        (void)fputs("\"type\":[\"integer\"" OR_SUBSTITUTED, out);
        break;
    case SL_FIELD_F64:
        (void)fputs("\"type\":[\"number\"" OR_SUBSTITUTED, out);
        break;
    case SL_FIELD_TEXT:
        (void)fputs("\"type\":[\"string\",\"number\",\"boolean\",\"null\"]", out);
        break;
    case SL_FIELD_DURATION:
        (void)fputs("\"type\":[\"string\",\"integer\",\"null\"],\"pattern\":\"" SUBSTITUTED
                    "|" DURATION "\"",
                    out);
        break;
    case SL_FIELD_SIZE:
        (void)fputs("\"type\":[\"string\",\"integer\",\"null\"],\"pattern\":\"" SUBSTITUTED "|" SIZE
                    "\",\"minimum\":0",
                    out);
        break;
    case SL_FIELD_ENUM:
        (void)fputs("\"anyOf\":[{\"enum\":[", out);
        for (uint32_t i = 0; f->names[i]; i++) {
            const enum scalar_type type = scalar_type(sl_str(f->names[i]));
            (void)fputs(i ? "," : "", out);
            print_quoted(out, sl_str(f->names[i]));
            if (type == SCALAR_INT || type == SCALAR_FLOAT) /* 1.2 without quotes is a number */
                (void)fprintf(out, ",%s", f->names[i]);
        }
        (void)fputs(f->flags & SL_REQUIRED ? "]}" : ",null]}", out);
        (void)fputs(",{\"type\":\"string\",\"pattern\":\"" SUBSTITUTED "\"}]", out);
        break;
    case SL_FIELD_TEXTS:
        (void)fputs("\"type\":[\"array\",\"string\",\"null\"],\"items\":" SCALAR, out);
        break;
    case SL_FIELD_MAP:
        (void)fputs("\"type\":[\"object\",\"array\"" OR_SUBSTITUTED
                    ",\"additionalProperties\":" SCALAR,
                    out);
        break;
    case SL_FIELD_LIST:
        (void)fputs("\"type\":[\"array\"" OR_SUBSTITUTED, out);
        break;
    case SL_FIELD_STRUCT:
    case SL_FIELD_UNION: /* the map of a choice */
        (void)fputs("\"type\":[\"object\"" OR_SUBSTITUTED, out);
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

/* The help, and what the schema cannot say in its own words: bounds and units of texts. */
static void print_description(FILE *out, const struct table_item *item)
{
    const sl_field *f = item->field;
    char bounds[BIND_BOUNDS], text[1024];
    if (item->choice) {
        (void)snprintf(text, sizeof text, "Where %s is %s.", f->tag_key, item->key);
    } else {
        const char *fact = bind_bounds(f, bounds)[0] ? bounds : f->unit ? f->unit : "";
        (void)snprintf(text, sizeof text, "%s%s%s%s%s%s",
                       f->flags & SL_IGNORED ? "Has no effect in Sluice. " : "",
                       f->help ? f->help : "", *fact ? " (" : "",
                       *fact && fact != bounds ? "in " : "", fact, *fact ? ")" : "");
    }
    if (*text) {
        (void)fputs(",\"description\":", out);
        print_quoted(out, sl_str(text));
    }
    if (item->choice)
        return;
    if (f->flags & SL_DEPRECATED) {
        (void)fputs(",\"deprecated\":true,\"deprecationMessage\":", out);
        print_quoted(out, sl_str(f->help ? f->help : "deprecated"));
    }
    if (f->flags & SL_SECRET)
        (void)fputs(",\"writeOnly\":true", out);
    if (f->flags & SL_IGNORED)
        (void)fputs(",\"x-ignored\":true", out);
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

static const char *reference(const struct describe_reference *references, const char *key)
{
    for (; references && references->key; references++)
        if (!strcmp(references->key, key))
            return references->pointer;
    return NULL;
}

/* The value of a key: all of it, or its beginning if it is a map or a list of maps to come. */
static void print_value(FILE *out, const struct table_walk *walk, const struct table_item *item,
                        enum table_step step, const char *base)
{
    bool list = item->field->kind == SL_FIELD_LIST;
    if (item->again && !list) {
        (void)fputs("\"$ref\":", out);
        print_pointer(out, base, walk, item->ancestor);
        return;
    }
    print_type(out, item);
    if (item->again) {
        (void)fputs(",\"items\":{\"$ref\":", out);
        print_pointer(out, base, walk, item->ancestor);
        (void)fputc('}', out);
    } else if (step == TABLE_LEAF) {
        print_default(out, item);
    }
    print_description(out, item);
    if (step == TABLE_OPEN && list)
        (void)fputs(",\"items\":{\"type\":[\"object\"" OR_SUBSTITUTED ",\"properties\":{", out);
    else if (step == TABLE_OPEN)
        (void)fputs(",\"properties\":{", out);
}

/* The members of an object schema without its braces. */
static void print_object(FILE *out, const sl_field *fields, const char *base,
                         const struct describe_reference *references)
{
    struct table_walk walk;
    struct table_item item;
    const sl_field *open[TABLE_MAX_DEPTH];
    uint32_t depth = 0;
    bool first = true;
    (void)fputs("\"type\":[\"object\"" OR_SUBSTITUTED ",\"properties\":{", out);
    table_walk_init(&walk, fields);
    for (enum table_step step; (step = table_walk_next(&walk, &item)) != TABLE_END;) {
        if (step == TABLE_CLOSE) {
            (void)fputs("},\"additionalProperties\":false", out);
            print_required(out, open[--depth]);
            (void)fputs(item.field->kind == SL_FIELD_LIST ? "}}" : "}", out);
            first = false;
            continue;
        }
        const char *elsewhere = item.depth ? NULL : reference(references, item.key);
        (void)fputs(first ? "" : ",", out);
        first = step == TABLE_OPEN;
        print_quoted(out, sl_str(item.key));
        (void)fputs(":{", out);
        if (elsewhere && step == TABLE_LEAF)
            (void)fprintf(out, "\"$ref\":\"#%s\"", elsewhere);
        else
            print_value(out, &walk, &item, step, base);
        if (step == TABLE_LEAF)
            (void)fputc('}', out);
        else
            open[depth++] = walk.frames[walk.n - 1].start;
    }
    (void)fputs("},\"additionalProperties\":false", out);
    if (fields)
        print_required(out, fields);
}

int32_t describe_json_schema(FILE *out, const sl_field *fields, const char *id)
{
    (void)fputs("{\"$schema\":\"" DESCRIBE_SCHEMA "\",", out);
    if (id) {
        (void)fputs("\"$id\":", out);
        print_quoted(out, sl_str(id));
        (void)fputc(',', out);
    }
    print_object(out, fields, "", NULL);
    (void)fputs("}\n", out);
    return ferror(out) ? SL_ERR_IO : SL_OK;
}

int32_t describe_json_part(FILE *out, const sl_field *fields, const char *pointer, const char *help,
                           const struct describe_reference *references)
{
    (void)fputc('{', out);
    if (help) {
        (void)fputs("\"description\":", out);
        print_quoted(out, sl_str(help));
        (void)fputc(',', out);
    }
    print_object(out, fields, pointer, references);
    (void)fputc('}', out);
    return ferror(out) ? SL_ERR_IO : SL_OK;
}
