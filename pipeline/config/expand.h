/* ${...} in a merged tree. Control thread only. */
#ifndef SLUICE_CONFIG_EXPAND_H
#define SLUICE_CONFIG_EXPAND_H
#include "pipeline/config/sources.h"

#define CONFIG_MAX_EXPANSIONS 10000u /* in one configuration */

/* Puts values in for ${env:NAME}, ${env:NAME:-default}, ${NAME}, ${file:PATH} and ${yaml:TEXT} in
 * every scalar of the tree, innermost first, and $ for $$. What stands for a whole scalar is read
 * as YAML; inside other text it is text. Keys are left as they are. */
int32_t expand_tree(struct config_tree *t, const struct config_sources *s,
                    struct config_diagnostics *d);

#endif
