/* From a tree to C structs: fills them by the field tables of plugin.h, checks every value, and
 * reports everything that is wrong, unknown or without effect. Control thread only. */
#ifndef SLUICE_CONFIG_BIND_H
#define SLUICE_CONFIG_BIND_H
#include "pipeline/config/tree.h"

/* One struct to fill. Several parts share the keys of one map: an exporter's own, and the host's
 * `sending_queue`, `retry_on_failure` and `timeout`. */
struct config_part {
    const sl_field *fields; /* ends with a field whose key is NULL; NULL: no keys */
    uint32_t size;          /* of the C struct */
    void *out;              /* set by config_bind: zeroed, then defaults, then what stands there */
};

struct config_bound; /* owns the memory of all parts */

/* `what` names the map in messages: `processor "batch/small"`. `node` may be NULL or null: only
 * defaults. `where` is the place for "missing key" when there is no node.
 * SL_OK: the parts are filled and live, whatever becomes of the tree, until config_free(*bound).
 * Otherwise *bound is NULL, the parts' `out` are NULL and the reasons are in `d`. */
int32_t config_bind(const char *what, const struct config_node *node, struct config_place where,
                    struct config_part *parts, uint32_t n_parts,
                    const struct config_allocator *allocator, struct config_diagnostics *d,
                    struct config_bound **bound);
void config_free(struct config_bound *bound); /* NULL is allowed */
/* Where the value of a member stands in the file, the member named by its address; false: it does
 * not stand there. As long as the tree lives. */
bool config_place_of(const struct config_bound *bound, const void *member,
                     struct config_place *place);

/* A copy of the subtree in the form that plugins see. NULL: no memory. */
const sl_raw *config_raw(struct config_arena *arena, const struct config_node *node);

/* Is the table sound: bounds, defaults, names and offsets as they should be? For the loader, before
 * any config is bound to a plugin's table. */
int32_t config_check_table(const sl_field *fields, uint32_t size, sl_error *error);

#endif
