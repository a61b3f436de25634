/* Running a condition's program on a stack of values. One thread for each machine. */
#include "formats/ottl/internal.h"

#include <stdlib.h>

struct ottl_machine *ottl_machine_create(void)
{
    struct ottl_machine *m = calloc(1, sizeof *m);
    if (m) {
        decimal_powers_init(&m->powers);
        m->matcher = pattern_matcher_create(0);
    }
    if (m && !m->matcher) {
        free(m);
        return NULL;
    }
    return m;
}

void ottl_machine_free(struct ottl_machine *machine)
{
    if (machine) {
        pattern_matcher_free(machine->matcher);
        otlp_scratch_free(&machine->scratch);
        free(machine);
    }
}

void ottl_machine_forget(struct ottl_machine *machine)
{
    memset(machine->found, 0, sizeof machine->found);
    memset(machine->known, 0, sizeof machine->known);
}

/* ---- comparing ---- */

static bool by_order(int order, enum ottl_comparison op)
{
    switch (op) {
    case CMP_EQ:
        return order == 0;
    case CMP_NE:
        return order != 0;
    case CMP_LT:
        return order < 0;
    case CMP_LE:
        return order <= 0;
    case CMP_GT:
        return order > 0;
    default:
        return order >= 0;
    }
}

static int order_of_bytes(sl_bytes a, sl_bytes b)
{
    const size_t n = a.n < b.n ? a.n : b.n;
    const int order = n ? memcmp(a.p, b.p, n) : 0;
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

static bool by_doubles(double a, double b, enum ottl_comparison op)
{
    if (a != a || b != b) {
        return op == CMP_NE;
    }
    return by_order((a > b) - (a < b), op);
}

/* As LANGUAGE.md has it: numbers with numbers, all others only with their own type; what does not go
 * together is not equal, and neither less nor greater. */
static bool compare(const struct ottl_value *a, const struct ottl_value *b, enum ottl_comparison op)
{
    const bool a_number = a->type == OTTL_INT || a->type == OTTL_DOUBLE;
    const bool b_number = b->type == OTTL_INT || b->type == OTTL_DOUBLE;
    if (a_number && b_number && a->type != b->type) {
        return by_doubles(a->type == OTTL_INT ? (double)a->number.i : a->number.f,
                          b->type == OTTL_INT ? (double)b->number.i : b->number.f, op);
    }
    if (a->type != b->type) {
        return op == CMP_NE;
    }
    switch (a->type) {
    case OTTL_NIL:
        return op == CMP_EQ || op == CMP_LE || op == CMP_GE;
    case OTTL_DOUBLE:
        return by_doubles(a->number.f, b->number.f, op);
    case OTTL_TEXT:
    case OTTL_BYTES:
        return by_order(order_of_bytes(a->bytes, b->bytes), op);
    case OTTL_MAP:
    case OTTL_LIST: /* as they lie on the wire, entries in their order */
        return op == CMP_EQ ? sl_eq(a->bytes, b->bytes)
                            : op == CMP_NE && !sl_eq(a->bytes, b->bytes);
    default:
        return by_order((a->number.i > b->number.i) - (a->number.i < b->number.i), op);
    }
}

/* ---- arithmetic ---- */

static bool no_math(sl_error *error, const char *why)
{
    (void)sl_fail(error, SL_ERR_INVALID, "%s", why);
    return false;
}

static bool whole_math(int64_t a, int64_t b, uint16_t op, int64_t *out, sl_error *error)
{
    bool over = false;
    switch (op) {
    case '+':
        over = __builtin_add_overflow(a, b, out);
        break;
    case '-':
        over = __builtin_sub_overflow(a, b, out);
        break;
    case '*':
        over = __builtin_mul_overflow(a, b, out);
        break;
    default:
        if (b == 0) {
            return no_math(error, "division by zero");
        }
        over = a == INT64_MIN && b == -1;
        *out = over ? 0 : a / b;
        break;
    }
    return !over || no_math(error, "a number beyond 64 bits");
}

static bool math(struct ottl_value *a, const struct ottl_value *b, uint16_t op, sl_error *error)
{
    if (a->type == OTTL_DOUBLE && b->type == OTTL_DOUBLE) {
        const double x = a->number.f, y = b->number.f;
        if (op == '/' && y == 0) {
            return no_math(error, "division by zero");
        }
        a->number.f = op == '+' ? x + y : op == '-' ? x - y : op == '*' ? x * y : x / y;
        return true;
    }
    uint8_t type = OTTL_NIL;
    if (a->type == OTTL_INT && b->type == OTTL_INT) {
        type = OTTL_INT;
    } else if (op == '-' && a->type == OTTL_TIME && b->type == OTTL_TIME) {
        type = OTTL_DURATION;
    } else if (op == '+' && a->type == OTTL_DURATION && b->type == OTTL_TIME) {
        type = OTTL_TIME;
    } else if ((op == '+' || op == '-') && b->type == OTTL_DURATION &&
               (a->type == OTTL_TIME || a->type == OTTL_DURATION)) {
        type = a->type;
    }
    if (type == OTTL_NIL) {
        return no_math(error, "these values cannot be added, subtracted, multiplied or divided: "
                              "both must be int, or both double, or times and durations");
    }
    a->type = type;
    return whole_math(a->number.i, b->number.i, op, &a->number.i, error);
}

static bool negate(struct ottl_value *v, sl_error *error)
{
    if (v->type == OTTL_DOUBLE) {
        v->number.f = -v->number.f;
        return true;
    }
    if (v->type != OTTL_INT) {
        return no_math(error, "only numbers have a sign");
    }
    return whole_math(0, v->number.i, '-', &v->number.i, error);
}

/* ---- entries of maps and lists ---- */

/* An entry of a trace state: "key=value,key=value". */
static struct ottl_value state_entry(sl_bytes state, sl_bytes key)
{
    for (size_t i = 0; i < state.n;) {
        size_t end = i, equal = 0;
        for (; end < state.n && state.p[end] != ','; end++) {
            equal = equal == 0 && state.p[end] == '=' ? end : equal;
        }
        if (equal && sl_eq(sl_slice(state.p + i, equal - i), key)) {
            return ottl_text(sl_slice(state.p + equal + 1, end - equal - 1));
        }
        for (i = end + 1; i < state.n && state.p[i] == ' '; i++) {
        }
    }
    return ottl_text(sl_str(""));
}

static struct ottl_value map_entry(struct ottl_machine *m, const struct ottl_value *map,
                                   sl_bytes key)
{
    enum { LARGE = 4096 /* bytes from which on looking twice costs more than remembering */ };
    struct ottl_found *f = &m->found[((uintptr_t)key.p ^ (uintptr_t)key.p >> 4) % OTTL_FOUND];
    sl_value found;
    if (f->map && f->map == map->bytes.p && f->map_n == map->bytes.n && f->field == map->field &&
        f->key.p == key.p && f->key.n == key.n) {
        return f->value;
    }
    const bool there = sl_attr_find(sl_repeated_of(map->bytes, map->field), key, &found);
    const struct ottl_value value = there ? ottl_value_of(&found) : ottl_nil();
    if (map->bytes.n >= LARGE) {
        *f = (struct ottl_found){.map = map->bytes.p,
                                 .map_n = map->bytes.n,
                                 .key = key,
                                 .field = map->field,
                                 .value = value};
    }
    return value;
}

static bool entry(struct ottl_machine *m, struct ottl_value *v, const struct ottl_value *key,
                  sl_error *error)
{
    sl_value found;
    sl_bytes any;
    if (v->type == OTTL_NIL) {
        return true; /* of nothing, nothing */
    }
    if (v->type == OTTL_TEXT && key->type == OTTL_TEXT) {
        *v = state_entry(v->bytes, key->bytes);
        return true;
    }
    if (v->type == OTTL_MAP && key->type == OTTL_TEXT) {
        *v = map_entry(m, v, key->bytes);
        return true;
    }
    if (v->type != OTTL_LIST || key->type != OTTL_INT || v->field != 1) {
        return no_math(error, "the key does not go with the value: maps take texts, lists numbers");
    }
    sl_repeated all = sl_repeated_of(v->bytes, v->field);
    int64_t i = 0;
    while (sl_repeated_next(&all, &any)) {
        if (i++ == key->number.i) {
            found = sl_value_of(any);
            *v = ottl_value_of(&found);
            return true;
        }
    }
    return no_math(error, "the list has no such entry");
}

/* ---- the machine ---- */

static bool is_bool(const struct ottl_value *v, sl_error *error)
{
    return v->type == OTTL_BOOL || no_math(error, "a condition is neither true nor false");
}

static struct ottl_value path_value(struct ottl_machine *m, uint32_t path,
                                    const struct ottl_subject *subject)
{
    const sl_bytes around = ottl_path_around(path, subject);
    if (!around.p) {
        return ottl_path_value(path, subject, &m->scratch);
    }
    struct ottl_known *k = &m->known[path];
    if (k->message != around.p || k->n != around.n) {
        *k = (struct ottl_known){.message = around.p,
                                 .n = around.n,
                                 .value = ottl_path_value(path, subject, &m->scratch)};
    }
    return k->value;
}

int32_t ottl_eval(const struct ottl *c, struct ottl_machine *m, const struct ottl_subject *subject,
                  sl_error *error)
{
    uint32_t top = 0; /* values on the stack; the parser has counted that they fit */
    bool ok = true;
    otlp_scratch_clear(&m->scratch);
    for (uint32_t i = 0; i < c->n && ok; i++) {
        const struct ottl_instruction *in = &c->code[i];
        switch ((enum ottl_op)in->op) {
        case OP_CONST:
            m->stack[top++] = c->constants[in->arg];
            break;
        case OP_PATH:
            m->stack[top++] = path_value(m, in->arg, subject);
            break;
        case OP_INDEX:
            ok = entry(m, &m->stack[top - 1], &c->constants[in->arg], error);
            break;
        case OP_CALL: {
            struct ottl_value *values = &m->stack[top - in->n];
            const struct pattern *pattern =
                ottl_functions[in->arg].pattern ? c->patterns[values[1].number.u] : NULL;
            ok = ottl_call(in->arg, m, values, in->n, pattern, subject, error);
            top = top - in->n + 1;
            break;
        }
        case OP_COMPARE:
            top--;
            m->stack[top - 1] = ottl_bool(
                compare(&m->stack[top - 1], &m->stack[top], (enum ottl_comparison)in->arg));
            break;
        case OP_MATH:
            top--;
            ok = math(&m->stack[top - 1], &m->stack[top], in->arg, error);
            break;
        case OP_NEGATE:
            ok = negate(&m->stack[top - 1], error);
            break;
        case OP_NOT:
            ok = is_bool(&m->stack[top - 1], error);
            m->stack[top - 1].number.u = !m->stack[top - 1].number.u;
            break;
        case OP_AND:
        case OP_OR:
            ok = is_bool(&m->stack[top - 1], error);
            if (m->stack[top - 1].number.u == (in->op == OP_OR)) {
                i = in->arg - 1u;
            } else {
                top--;
            }
            break;
        }
    }
    if (!ok || !is_bool(&m->stack[0], error)) {
        return OTTL_ERROR;
    }
    return m->stack[0].number.u ? OTTL_TRUE : OTTL_FALSE;
}
