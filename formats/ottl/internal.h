/* What the files of OTTL share. */
#ifndef SLUICE_FORMATS_OTTL_INTERNAL_H
#define SLUICE_FORMATS_OTTL_INTERNAL_H
#include "formats/otlp/decimal.h"
#include "formats/ottl/ottl.h"
#include "formats/pattern/pattern.h"

enum {
    OTTL_STACK = 64,     /* values at once */
    OTTL_CODE_MAX = 4096 /* instructions of a condition */
};

enum ottl_type {
    OTTL_NIL,
    OTTL_BOOL,
    OTTL_INT,
    OTTL_DOUBLE,
    OTTL_TEXT,
    OTTL_BYTES,
    OTTL_MAP,     /* KeyValue messages as field `field` of `bytes` */
    OTTL_LIST,    /* messages as field `field` of `bytes`: AnyValues, or records to be counted */
    OTTL_TIME,    /* ns since 1970 */
    OTTL_DURATION /* ns */
};

struct ottl_value {
    uint8_t type; /* enum ottl_type */
    uint8_t field;
    sl_number number; /* BOOL .u, INT, TIME, DURATION .i, DOUBLE .f */
    sl_bytes bytes;   /* TEXT, BYTES, MAP, LIST */
};

enum ottl_op {
    OP_CONST,   /* push constant `arg` */
    OP_PATH,    /* push what path `arg` shows */
    OP_INDEX,   /* pop a map or list, push its entry `arg`, a constant */
    OP_CALL,    /* function `arg` on `n` values; pattern `pattern` */
    OP_COMPARE, /* enum ottl_comparison `arg` */
    OP_MATH,    /* '+', '-', '*', '/' in `arg` */
    OP_NOT,
    OP_AND, /* if the top is false jump to `arg`, else pop it */
    OP_OR,  /* if it is true */
    OP_NEGATE
};

enum ottl_comparison { CMP_EQ, CMP_NE, CMP_LT, CMP_LE, CMP_GT, CMP_GE };

struct ottl_instruction {
    uint8_t op; /* enum ottl_op */
    uint8_t n;
    uint16_t arg;
    uint32_t at; /* in the text */
};

struct ottl {
    struct ottl_instruction *code;
    uint32_t n, room;
    struct ottl_value *constants;
    uint32_t n_constants, constants_room;
    struct pattern **patterns; /* of IsMatch; arg of OP_CALL's second value */
    uint32_t n_patterns, patterns_room;
    struct otlp_scratch texts; /* of the constants */
};

/* An entry of a large map. */
struct ottl_found {
    const uint8_t *map; /* NULL: nothing is known */
    size_t map_n;
    sl_bytes key; /* the condition's constant */
    uint8_t field;
    struct ottl_value value;
};

/* A path's value in what is around a record. */
struct ottl_known {
    const uint8_t *message; /* NULL: nothing is known */
    size_t n;
    struct ottl_value value;
};

enum { OTTL_FOUND = 16, OTTL_AROUND = 14 /* paths */ };

struct ottl_machine {
    struct ottl_value stack[OTTL_STACK];
    struct ottl_found found[OTTL_FOUND];
    struct ottl_known known[OTTL_AROUND];
    struct otlp_scratch scratch;
    struct pattern_matcher *matcher;
    struct decimal_powers powers;
};

/* ---- paths.c ---- */

/* The path's number for ottl_path_value; -1: the context has no such path. `path` is without keys:
 * "resource.attributes". */
int32_t ottl_path_find(enum ottl_context context, sl_bytes path);
/* The message that all of the path's value is from, if it is around the record: many records have the
 * same. .p is NULL for other paths; those below OTTL_AROUND are not. */
sl_bytes ottl_path_around(uint32_t path, const struct ottl_subject *subject);
struct ottl_value ottl_path_value(uint32_t path, const struct ottl_subject *subject,
                                  struct otlp_scratch *scratch);
/* A message's AnyValue as a value. */
struct ottl_value ottl_value_of(const sl_value *value);
/* false: there is no such enum. */
bool ottl_enum_find(sl_bytes name, int64_t *value);

/* ---- functions.c ---- */

struct ottl_function {
    const char *name;
    uint8_t min, max;  /* arguments; a list counts with its elements */
    uint8_t list;      /* the first argument is a list */
    uint8_t pattern;   /* the second is a pattern, known when it is compiled */
    uint32_t contexts; /* mask of where it is known; 0: everywhere */
};
extern const struct ottl_function ottl_functions[];
int32_t ottl_function_find(sl_bytes name); /* -1: there is none */

/* Calls it on `n` values, of which the result takes the first's place. False: `error` says why. */
bool ottl_call(uint32_t function, struct ottl_machine *machine, struct ottl_value *values,
               uint32_t n, const struct pattern *pattern, const struct ottl_subject *subject,
               sl_error *error);

/* ---- parse.c: a Go duration such as "1h2m3.5s" ---- */
bool ottl_duration(sl_bytes text, int64_t *ns);

static inline struct ottl_value ottl_nil(void)
{
    return (struct ottl_value){.type = OTTL_NIL};
}
static inline struct ottl_value ottl_bool(bool b)
{
    return (struct ottl_value){.type = OTTL_BOOL, .number.u = b};
}
static inline struct ottl_value ottl_int(int64_t i)
{
    return (struct ottl_value){.type = OTTL_INT, .number.i = i};
}
static inline struct ottl_value ottl_double(double f)
{
    return (struct ottl_value){.type = OTTL_DOUBLE, .number.f = f};
}
static inline struct ottl_value ottl_text(sl_bytes text)
{
    return (struct ottl_value){.type = OTTL_TEXT, .bytes = text};
}

#endif
