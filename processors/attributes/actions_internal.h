/* What the files of the actions share. */
#ifndef SLUICE_PROCESSORS_ACTIONS_INTERNAL_H
#define SLUICE_PROCESSORS_ACTIONS_INTERNAL_H
#include "processors/attributes/actions.h"

enum action_kind {
    ACTION_INSERT,
    ACTION_UPDATE,
    ACTION_UPSERT,
    ACTION_DELETE,
    ACTION_HASH,
    ACTION_EXTRACT,
    ACTION_CONVERT
};

enum convert_to { TO_STRING, TO_INT, TO_DOUBLE };

struct action {
    enum action_kind kind;
    enum convert_to to;
    uint32_t key;            /* number; OTLP_NONE: only the pattern */
    uint32_t from_attribute; /* number; OTLP_NONE */
    sl_bytes from_context;   /* .p NULL: not from there */
    sl_bytes value;          /* AnyValue message; .p NULL: not constant */
    sl_bytes otherwise;      /* default_value; .p NULL: none */
    struct pattern *pattern;
    uint32_t *groups; /* extract: the keys' numbers, of group 1 and on */
    uint32_t n_groups;
};

struct actions {
    struct action *at;
    uint32_t n;
    uint32_t groups_max; /* of all patterns */
    bool by_pattern;     /* some key is found by a pattern */
    bool hashes;
    struct otlp_keys keys;
    struct otlp_scratch values;
    struct decimal_powers powers;
};

#endif
