/* A field table for people: text for a terminal, YAML for scripts, Markdown for the reference.
 * Control thread only. */
#include "pipeline/config/describe.h"
#include "pipeline/config/bind_internal.h"
#include "pipeline/config/describe_walk.h"
#include "pipeline/config/print.h"
#include "pipeline/config/scalar.h"

static const struct {
    uint32_t flag;
    const char *yaml, *text;
} flags[] = {
    {SL_REQUIRED, "required", "required"},
    {SL_SECRET, "secret", "secret"},
    {SL_IGNORED, "ignored", "has no effect in Sluice"},
    {SL_DEPRECATED, "deprecated", "deprecated"},
};
#define N_FLAGS (sizeof flags / sizeof *flags)

static bool has_names(const struct table_item *item)
{
    return item->tag || (item->field->kind == SL_FIELD_ENUM && !item->choice);
}

/* "whole number between 1 and 64, default 1, required" */
static void print_facts(FILE *out, const struct table_item *item)
{
    char bounds[BIND_BOUNDS], text[64];
    const sl_field *f = item->field;
    (void)fputs(has_names(item) ? "one of " : table_type_name(item), out);
    for (uint32_t i = 0; has_names(item) && f->names[i]; i++)
        (void)fprintf(out, "%s%s", i ? ", " : "", *f->names[i] ? f->names[i] : "\"\"");
    if (bind_bounds(f, bounds)[0])
        (void)fprintf(out, " %s", bounds);
    else if (f->unit)
        (void)fprintf(out, " in %s", f->unit);
    const char *value = table_default(item, text);
    if (*value)
        (void)fprintf(out, ", default %s", value);
    if (item->choice)
        (void)fprintf(out, ", where %s is %s", f->tag_key, item->key);
    for (size_t i = 0; i < N_FLAGS && !item->choice; i++)
        if (f->flags & flags[i].flag)
            (void)fprintf(out, ", %s", flags[i].text);
}

static const char *help_of(const struct table_item *item)
{
    return item->field->help && !item->choice ? item->field->help : "";
}

int32_t describe_text(FILE *out, const sl_field *fields)
{
    struct table_walk walk;
    struct table_item item;
    char path[TABLE_PATH];
    table_walk_init(&walk, fields);
    for (enum table_step step; (step = table_walk_next(&walk, &item)) != TABLE_END;) {
        if (step == TABLE_CLOSE)
            continue;
        int indent = (int)item.depth * 2;
        (void)fprintf(out, "%*s%s  (", indent, "", item.key);
        print_facts(out, &item);
        (void)fputs(")\n", out);
        if (*help_of(&item))
            (void)fprintf(out, "%*s%s\n", indent + 4, "", help_of(&item));
        if (item.again)
            (void)fprintf(out, "%*sIts keys are those of %s.\n", indent + 4, "",
                          item.ancestor ? table_walk_path(&walk, item.ancestor + 1, path)
                                        : "the component itself");
    }
    return ferror(out) ? SL_ERR_IO : SL_OK;
}

/* ---- YAML ---------------------------------------------------------------------------------- */

static void yaml_pair(FILE *out, int indent, const char *key, const char *value)
{
    (void)fprintf(out, "%*s%s: ", indent, "", key);
    print_quoted(out, sl_str(value));
    (void)fputc('\n', out);
}

static void yaml_item(FILE *out, const struct table_walk *walk, const struct table_item *item,
                      enum table_step step)
{
    const sl_field *f = item->field;
    int indent = (int)item->depth * 4 + 2;
    char text[BIND_BOUNDS], path[TABLE_PATH];
    (void)fprintf(out, "%*s- key: ", indent - 2, "");
    print_quoted(out, sl_str(item->key));
    (void)fputc('\n', out);
    yaml_pair(out, indent, "type", table_type_name(item));
    if (has_names(item)) {
        (void)fprintf(out, "%*svalues: [", indent, "");
        for (uint32_t i = 0; f->names[i]; i++) {
            (void)fputs(i ? ", " : "", out);
            print_quoted(out, sl_str(f->names[i]));
        }
        (void)fputs("]\n", out);
    }
    const char *value = table_default(item, text);
    if (*value)
        yaml_pair(out, indent, "default", value);
    if (bind_bounds(f, text)[0])
        yaml_pair(out, indent, "bounds", text);
    if (f->unit)
        yaml_pair(out, indent, "unit", f->unit);
    for (size_t i = 0; i < N_FLAGS && !item->choice; i++)
        if (f->flags & flags[i].flag)
            (void)fprintf(out, "%*s%s: true\n", indent, "", flags[i].yaml);
    if (*help_of(item))
        yaml_pair(out, indent, "help", help_of(item));
    if (item->again)
        yaml_pair(out, indent, "keys_as_in", table_walk_path(walk, item->ancestor + 1, path));
    if (step == TABLE_OPEN)
        (void)fprintf(out, "%*skeys:\n", indent, "");
}

int32_t describe_yaml(FILE *out, const sl_field *fields)
{
    struct table_walk walk;
    struct table_item item;
    bool any = false;
    table_walk_init(&walk, fields);
    for (enum table_step step; (step = table_walk_next(&walk, &item)) != TABLE_END;) {
        if (step != TABLE_CLOSE)
            yaml_item(out, &walk, &item, step);
        any = true;
    }
    if (!any)
        (void)fputs("[]\n", out);
    return ferror(out) ? SL_ERR_IO : SL_OK;
}

/* ---- Markdown ------------------------------------------------------------------------------ */

static void markdown_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (strchr("|<", *text))
            (void)fputc('\\', out);
        (void)fputc(*text == '\n' ? ' ' : *text, out);
    }
}

int32_t describe_markdown(FILE *out, const sl_field *fields)
{
    struct table_walk walk;
    struct table_item item;
    char path[TABLE_PATH], text[64], bounds[BIND_BOUNDS];
    (void)fputs("| key | type | default | meaning |\n| --- | --- | --- | --- |\n", out);
    table_walk_init(&walk, fields);
    for (enum table_step step; (step = table_walk_next(&walk, &item)) != TABLE_END;) {
        if (step == TABLE_CLOSE)
            continue;
        const sl_field *f = item.field;
        /* When a struct opens, its own frame is already there. */
        (void)table_walk_path(&walk, step == TABLE_OPEN ? walk.n - 1 : walk.n, path);
        (void)fprintf(out, "| `%s%s%s` | ", path, *path ? "." : "", item.key);
        (void)fputs(has_names(&item) ? "" : table_type_name(&item), out);
        for (uint32_t i = 0; has_names(&item) && f->names[i]; i++)
            (void)fprintf(out, "%s`%s`", i ? ", " : "", *f->names[i] ? f->names[i] : "\"\"");
        if (bind_bounds(f, bounds)[0])
            (void)fprintf(out, " %s", bounds);
        else if (f->unit)
            (void)fprintf(out, " in %s", f->unit);
        const char *value = table_default(&item, text);
        (void)fprintf(out, *value ? " | `%s` | " : " | %s | ", value);
        markdown_text(out, help_of(&item));
        if (item.choice)
            (void)fprintf(out, "Where `%s` is `%s`.", f->tag_key, item.key);
        for (size_t i = 0; i < N_FLAGS && !item.choice; i++)
            if (f->flags & flags[i].flag)
                (void)fprintf(out, " *%s.*", flags[i].text);
        if (item.again)
            (void)fprintf(out, " Keys as in `%s`.",
                          table_walk_path(&walk, item.ancestor + 1, path));
        (void)fputs(" |\n", out);
    }
    return ferror(out) ? SL_ERR_IO : SL_OK;
}
