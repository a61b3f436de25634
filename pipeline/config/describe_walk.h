/* Goes through a field table in its order, into structs, lists and the choices of unions, but not
 * into a struct from within itself. Inline structs do not show. Control thread only. */
#ifndef SLUICE_CONFIG_DESCRIBE_WALK_H
#define SLUICE_CONFIG_DESCRIBE_WALK_H
#include <sluice/plugin.h>

#define TABLE_MAX_DEPTH 32u
#define TABLE_PATH 512

enum table_step { TABLE_END, TABLE_LEAF, TABLE_OPEN, TABLE_CLOSE };

struct table_frame {
    const sl_field *start, *next;
    const sl_field *owner;  /* the field whose struct this is; NULL at the top */
    const char *key;        /* the owner's key, or the choice's name */
    uint32_t choice;        /* next choice of the union at `next` */
    bool inlined, in_union; /* the tag of the union at `next` has been shown */
};

struct table_walk {
    struct table_frame frames[TABLE_MAX_DEPTH];
    uint32_t n;
};

struct table_item {
    const sl_field *field;
    const char *key;
    bool tag;          /* the key that chooses from a union */
    bool choice;       /* the map of one choice of a union */
    bool again;        /* a leaf, because its struct is already open: see `ancestor` */
    uint32_t ancestor; /* index of the open frame */
    uint32_t depth;    /* 0: a key of the table itself */
};

void table_walk_init(struct table_walk *w, const sl_field *fields);
enum table_step table_walk_next(struct table_walk *w, struct table_item *item);

/* The keys of the open frames up to `frames`, joined: "policies[].latency". `out` has TABLE_PATH.
 */
const char *table_walk_path(const struct table_walk *w, uint32_t frames, char *out);

/* For people: "whole number", ... ; the default as text, "" where there is none. `out` has 64. */
const char *table_type_name(const struct table_item *item);
const char *table_default(const struct table_item *item, char *out);

#endif
