/* A configuration as a tree: what was written, with the place of every key and value, whichever
 * file it came from. Nodes live in the tree's arena. Used on the control thread only. */
#ifndef SLUICE_CONFIG_TREE_H
#define SLUICE_CONFIG_TREE_H
#include "pipeline/config/diagnostics.h"

#define CONFIG_MAX_DEPTH 32u            /* nested maps and lists */
#define CONFIG_MAX_NODES 65536u         /* of all files together, aliases expanded */
#define CONFIG_MAX_FILE (1024u * 1024u) /* bytes of one file */

enum config_kind { CONFIG_NULL, CONFIG_SCALAR, CONFIG_LIST, CONFIG_MAP }; /* as in sl_raw */

struct config_index;

struct config_node {
    uint8_t kind;   /* enum config_kind */
    uint8_t quoted; /* a scalar in quotes or in a block: always text */
    uint32_t n;     /* children */
    sl_bytes key;   /* in a map; NUL-terminated */
    sl_bytes text;  /* of a scalar; NUL-terminated */
    /* Set where the whole value came from ${...}: its characters before they were read as YAML,
     * which is what a field for text gets. NUL-terminated; .p NULL elsewhere. */
    sl_bytes original;
    struct config_place key_at, at;
    struct config_node *parent, *next, *first, *last;
    struct config_index *index; /* of a large map; see config_find */
};

struct config_tree {
    struct config_arena arena;
    struct config_node *root; /* a map, or NULL */
    uint32_t nodes;
};

void tree_init(struct config_tree *t, const struct config_allocator *allocator);
void tree_deinit(struct config_tree *t);

/* NULL when memory or the number of nodes is used up; the caller reports it. */
struct config_node *tree_node(struct config_tree *t, enum config_kind kind, struct config_place at);
/* Appends; of a map, the child's key must be set and not be there yet. False: no memory. */
bool tree_append(struct config_tree *t, struct config_node *parent, struct config_node *child);
void tree_remove(struct config_node *parent, struct config_node *child);
/* Makes `to` what `from` is, key and place in the parent aside; `from` is not used afterwards. */
void tree_become(struct config_node *to, struct config_node *from);
/* A deep copy, with the places of the original. NULL: no memory, or too many nodes. */
struct config_node *tree_copy(struct config_tree *t, const struct config_node *from);

/* Levels of lists and maps; 0 for a scalar. */
uint32_t tree_height(const struct config_node *top);

/* The child of a map, or NULL; also for a node that is no map, and for NULL. */
struct config_node *config_find(const struct config_node *map, sl_bytes key);
/* The node under a path of keys that ends with NULL; or NULL. */
const struct config_node *config_at(const struct config_node *node, const char *const *path);

/* Same content: maps in any order, scalars by text and by being quoted; places do not count. */
bool config_node_equal(const struct config_node *a, const struct config_node *b);

/* The tree in document order without recursion: each list and map is visited twice. */
enum config_step { CONFIG_DONE, CONFIG_ENTER, CONFIG_LEAVE, CONFIG_LEAF };
struct config_walk {
    const struct config_node *top, *at;
    enum config_step last;
};
void config_walk_init(struct config_walk *w, const struct config_node *top);
enum config_step config_walk_next(struct config_walk *w, const struct config_node **node);

const char *config_kind_name(const struct config_node *n); /* "a list", "text", "a number", ... */

#endif
