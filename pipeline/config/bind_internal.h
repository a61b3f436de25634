/* Between bind.c, which walks maps and tables, and bind_value.c, which reads single values. */
#ifndef SLUICE_CONFIG_BIND_INTERNAL_H
#define SLUICE_CONFIG_BIND_INTERNAL_H
#include "pipeline/config/bind.h"

#define BIND_MAX_NESTED 16u /* structs by value, inline ones too, within each other */

/* A struct that waits to be filled. */
struct bind_frame {
    const sl_field *fields;
    uint8_t *base;
    const struct config_node *node; /* NULL: absent, only defaults */
    struct bind_frame *next;
};

struct bind_slot {
    const sl_field *field;
    uint8_t *base;                  /* of the struct that the field's offset counts from */
    const struct config_node *node; /* what stands there, once found */
};

/* A value of the file, and where it was put. */
struct bind_place {
    const void *member;
    struct config_place at;
    struct bind_place *next;
};

struct binder {
    struct config_arena *arena;   /* of what is bound */
    struct config_arena *scratch; /* of frames and slots */
    struct config_diagnostics *d;
    const char *what;
    const struct config_node *top;
    struct bind_frame *frames, *unused;
    struct bind_place *places;
    struct bind_slot *slots; /* of the struct being filled */
    uint32_t n_slots, room;
    bool no_memory;
};

/* "receivers" of `node` below the top, such as `"policies[2].latency"`, for messages. */
#define BIND_PATH 200
const char *bind_path(const struct binder *b, const struct config_node *node, char *out);

void bind_default(const sl_field *f, uint8_t *base);
/* Fills the member of a field that is no struct, list of structs, union or raw; `node` is not of
 * kind null, unless for a TEXT. */
void bind_scalar(struct binder *b, const sl_field *f, uint8_t *base,
                 const struct config_node *node);
/* The index of a name, or -1 with an error. `key`: what it is the value of, for the message. */
int64_t bind_name(struct binder *b, const char *const *names, const struct config_node *node,
                  bool secret);
/* The least text that says what the bounds are; "" without. */
#define BIND_BOUNDS 128
const char *bind_bounds(const sl_field *f, char *out);

/* The field of a table that takes `key`, through inline structs and unions; *inside: the table of
 * what stands under the key, if that is a map or a list of maps. NULL: unknown. */
const sl_field *table_find(const sl_field *fields, sl_bytes key, const sl_field **inside);

#define BIND_ERROR(b, node, ...) diagnostics_add((b)->d, CONFIG_ERROR, (node)->at, __VA_ARGS__)

#endif
