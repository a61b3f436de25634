/* A tree as text again: YAML or JSON, with secrets left out. Control thread only. */
#ifndef SLUICE_CONFIG_PRINT_H
#define SLUICE_CONFIG_PRINT_H
#include "pipeline/config/tree.h"

#define CONFIG_REDACTED "[REDACTED]"

/* Asked for each scalar: is it secret? Its way from the top is found by `parent` and `key`. */
typedef bool (*config_is_secret)(void *user, const struct config_node *node);

/* `secret` NULL: nothing is left out. SL_ERR_IO: the stream failed. */
int32_t config_print_yaml(FILE *out, const struct config_node *node, config_is_secret secret,
                          void *user);
int32_t config_print_json(FILE *out, const struct config_node *node, config_is_secret secret,
                          void *user);

/* Text in double quotes, as both YAML and JSON read it. */
void print_quoted(FILE *out, sl_bytes text);

/* Does a table say that `node`, which lies in the map `top` that the table describes, is secret?
 * Also true where the table does not know the way: an unknown key may be a misspelt secret. Meant
 * to be asked by a config_is_secret. */
bool config_secret_in(const sl_field *fields, const struct config_node *top,
                      const struct config_node *node);

#endif
