/* The classes of a block's spans and their columns, while it is encoded. A class is what spans have
 * in common: scope, name, kind, status, and the kinds and keys of their tokens in order. A column
 * holds the values of one token of one class. One thread at a time. */
#ifndef SLUICE_FORMATS_TRACE_CLASS_SET_H
#define SLUICE_FORMATS_TRACE_CLASS_SET_H
#include "formats/trace/tokens.h"

/* Values in the order of the spans. While all are the same only the first is kept. */
struct column {
    int64_t first;
    uint32_t n;
    struct numbers values;
    sl_bytes last_text; /* the text that was added last, and its index */
    uint32_t last;
};

/* A kind of token and the key of its attribute, with the texts that occur as its values. */
struct token_type {
    uint32_t kind;
    sl_bytes key;
    sl_bytes *texts; /* in the order of their first occurrence */
    uint32_t *used;  /* how often each occurs */
    uint32_t n, room, room_used;
    struct trace_map map;
    bool direct; /* texts are written in the columns, not once for all columns */
};

struct span_class {
    struct class_head head;
    uint64_t hash;
    uint64_t order;       /* to sort by */
    uint32_t number;      /* before it is sorted */
    uint32_t n_tokens, n; /* n: spans */
    uint32_t *types;      /* of the tokens */
    struct column *columns;
};

struct class_set {
    struct trace_arena arena;
    sl_bytes *names;
    uint32_t n_names, room_names;
    struct trace_map name_map;
    struct token_type *types;
    uint32_t n_types, room_types;
    struct trace_map type_map;
    struct span_class *classes;
    uint32_t n, room;
    struct trace_map map;
    uint32_t n_tokens;        /* of all classes */
    uint32_t *names_of_scope; /* how many names the classes of each scope have */
    struct tokens tokens;
};

bool class_set_init(struct class_set *set, uint32_t n_scopes);
void class_set_free(struct class_set *set);

/* Adds a span's values to the columns of its class; returns the class, or TRACE_NONE where there is
 * no memory. */
uint32_t class_set_add(struct class_set *set, const struct set_span *span, bool remote_parent);

/* Value i of a column. */
static inline int64_t column_at(const struct column *column, uint32_t i)
{
    return column->values.n ? column->values.at[i] : column->first;
}

#endif
