/* YAML to a tree, by libyaml's events. Refused with an error: what is no UTF-8, NUL, several
 * documents, foreign tags, duplicate keys, and what exceeds the bounds in tree.h. Anchors, aliases
 * and merge keys (<<) are expanded, counted by what they expand to. Control thread only. */
#ifndef SLUICE_CONFIG_YAML_H
#define SLUICE_CONFIG_YAML_H
#include "pipeline/config/tree.h"

/* Parses one document into nodes of `tree`; *root is NULL where the text holds nothing. `file` is
 * kept in the nodes and must live as long as the tree. With `at`, every node stands there instead
 * of where it is in the text (for values from the environment). Reports errors to `d`. */
int32_t yaml_parse(struct config_tree *tree, const char *file, sl_bytes text,
                   const struct config_place *at, struct config_diagnostics *d,
                   struct config_node **root);

#endif
