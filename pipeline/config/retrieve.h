/* What a URI stands for: `file:PATH`, `env:NAME`, `yaml:TEXT`; the providers that --config and
 * ${...} share. Control thread only. */
#ifndef SLUICE_CONFIG_RETRIEVE_H
#define SLUICE_CONFIG_RETRIEVE_H
#include "pipeline/config/sources.h"

struct retrieved {
    sl_bytes text; /* UTF-8 without NUL, NUL-terminated, in the arena */
    bool as_text;  /* an empty default: text, where nothing would be null */
};

/* Splits `scheme:rest`; false when it does not begin with a scheme of two or more characters. */
bool uri_split(sl_bytes uri, sl_bytes *scheme, sl_bytes *rest);

/* `embedded`: stands in ${...}: a file must be a regular one, and a missing variable is reported as
 * a warning. Reports errors to `d`, if there is one. */
int32_t retrieve(const struct config_sources *s, sl_bytes scheme, sl_bytes rest, bool embedded,
                 struct config_arena *arena, struct config_place at, struct config_diagnostics *d,
                 struct retrieved *out);

#endif
