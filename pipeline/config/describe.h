/* What a field table says, for people and for programs: text, YAML, Markdown, JSON Schema. Every
 * function stops at structs that contain themselves. Control thread only. */
#ifndef SLUICE_CONFIG_DESCRIBE_H
#define SLUICE_CONFIG_DESCRIBE_H
#include <sluice/plugin.h>
#include <stdio.h>

/* SL_ERR_IO: the stream failed. */
int32_t describe_text(FILE *out, const sl_field *fields);     /* for a terminal */
int32_t describe_yaml(FILE *out, const sl_field *fields);     /* a list of keys, for scripts */
int32_t describe_markdown(FILE *out, const sl_field *fields); /* a table of keys */
/* An object schema; a struct that contains itself is referred to by its place. `id` may be NULL. It
 * is stricter than the reading of files in one thing: names are to be written as they are listed. */
#define DESCRIBE_SCHEMA "http://json-schema.org/draft-07/schema#"
int32_t describe_json_schema(FILE *out, const sl_field *fields, const char *id);

/* A key at the top of a table, of kind RAW, that is described elsewhere in the same schema. */
struct describe_reference {
    const char *key, *pointer; /* "/definitions/pipelines" */
};
/* The same as part of a larger schema, where it stands at `pointer`. `help` may be NULL; so may
 * `references`, which end with a key that is NULL. */
int32_t describe_json_part(FILE *out, const sl_field *fields, const char *pointer, const char *help,
                           const struct describe_reference *references);

#endif
