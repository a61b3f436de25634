/* What a field table says, for people and for programs: text, YAML, Markdown, JSON Schema. Every
 * function stops at structs that contain themselves. Control thread only. */
#ifndef SLUICE_CONFIG_DESCRIBE_H
#define SLUICE_CONFIG_DESCRIBE_H
#include <sluice/plugin.h>
#include <stdio.h>

/* SL_ERR_IO: the stream failed. */
int32_t describe_text(FILE *out, const sl_field *fields);     /* for a terminal */
int32_t describe_yaml(FILE *out, const sl_field *fields);     /* an example with the defaults */
int32_t describe_markdown(FILE *out, const sl_field *fields); /* a table of keys */
/* An object with "type", "properties", ...; "$defs" for structs that contain themselves. `id` may
 * be NULL. */
int32_t describe_json_schema(FILE *out, const sl_field *fields, const char *id);

#endif
