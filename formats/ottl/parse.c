/* Conditions to programs: a parser by precedence, which writes instructions as it goes.
 *     or < and < not < comparison < + - < * / < value
 * Depth and length are bounded. One thread for each condition. */
#include "formats/otlp/value_text.h"
#include "formats/ottl/lex.h"

#include <stdlib.h>

enum { DEPTH_MAX = 32 };

/* What an expression can stand for. */
enum kind { VALUE = 1, CONDITION = 2, EITHER = VALUE | CONDITION };

/* ---- instructions ---- */

static bool emit(struct parser *p, enum ottl_op op, uint32_t n, uint32_t arg, size_t at,
                 int32_t grows)
{
    struct ottl *to = p->to;
    if (to->n == OTTL_CODE_MAX) {
        return ottl_fail_at(p, at, "the condition is too long");
    }
    if (grows > 0 && p->stack + (uint32_t)grows > OTTL_STACK) {
        return ottl_fail_at(p, at, "the condition holds more than %d values at once", OTTL_STACK);
    }
    if (to->n == to->room) {
        const uint32_t room = to->room ? to->room * 2 : 16;
        struct ottl_instruction *code = realloc(to->code, room * sizeof *code);
        if (!code) {
            return ottl_no_memory(p);
        }
        to->code = code;
        to->room = room;
    }
    p->stack = (uint32_t)((int32_t)p->stack + grows);
    to->code[to->n++] = (struct ottl_instruction){
        .op = (uint8_t)op, .n = (uint8_t)n, .arg = (uint16_t)arg, .at = (uint32_t)at};
    return true;
}

static bool add_constant(struct parser *p, struct ottl_value value, uint32_t *number)
{
    struct ottl *to = p->to;
    if (to->n_constants == to->constants_room) {
        const uint32_t room = to->constants_room ? to->constants_room * 2 : 16;
        struct ottl_value *at = realloc(to->constants, room * sizeof *at);
        if (!at) {
            return ottl_no_memory(p);
        }
        to->constants = at;
        to->constants_room = room;
    }
    *number = to->n_constants;
    to->constants[to->n_constants++] = value;
    return true;
}

static bool push(struct parser *p, struct ottl_value value, size_t at)
{
    uint32_t number = 0;
    return add_constant(p, value, &number) && emit(p, OP_CONST, 0, number, at, 1);
}

/* ---- values ---- */

static bool expression(struct parser *p, enum kind *kind);

static bool needs(struct parser *p, size_t at, enum kind kind, enum kind wanted)
{
    if (kind & wanted) {
        return true;
    }
    return ottl_fail_at(p, at,
                        wanted == VALUE
                            ? "a value is needed here, and this is a condition"
                            : "this is a value; a condition needs a comparison, such as "
                              "== nil");
}

static bool value(struct parser *p)
{
    enum kind kind;
    const size_t at = p->at;
    return expression(p, &kind) && needs(p, at, kind, VALUE);
}

/* Keys behind a path or function: ["key"] and [0]. */
static bool keys(struct parser *p)
{
    while (ottl_is(p, "[")) {
        uint32_t number = 0;
        const size_t at = p->at;
        if (!ottl_advance(p)) {
            return false;
        }
        if (p->token != T_TEXT && p->token != T_INT) {
            return ottl_fail_at(p, p->at, "a key is a text or a number: [\"name\"] or [0]");
        }
        if (!add_constant(p, p->literal, &number) || !ottl_advance(p) || !ottl_expect(p, "]") ||
            !emit(p, OP_INDEX, 0, number, at, 0)) {
            return false;
        }
    }
    return true;
}

static bool path(struct parser *p)
{
    const size_t at = p->at;
    size_t end = p->next;
    while (ottl_char_at(p, end) == '.' && ottl_is_letter(ottl_char_at(p, end + 1))) {
        for (end++; ottl_is_letter(ottl_char_at(p, end)) || ottl_is_digit(ottl_char_at(p, end));
             end++) {
        }
    }
    const sl_bytes text = sl_slice(p->text.p + at, end - at);
    const int32_t number = ottl_path_find(p->context, text);
    if (number < 0) {
        return ottl_fail_at(p, at,
                            "there is no path \"%.*s\" in the context %s, or it is not supported",
                            (int)(text.n < 100 ? text.n : 100), (const char *)text.p,
                            ottl_context_name(p->context));
    }
    static const char body[] = "body.string";
    const bool as_text = text.n >= sizeof body - 1 &&
                         memcmp(text.p + text.n - (sizeof body - 1), body, sizeof body - 1) == 0;
    p->next = end;
    if (!ottl_advance(p) || !emit(p, OP_PATH, 0, (uint32_t)number, at, 1)) {
        return false;
    }
    return as_text ? emit(p, OP_CALL, 1, (uint32_t)ottl_function_find(sl_str("String")), at, 0)
                   : keys(p);
}

static bool add_pattern(struct parser *p, size_t at, uint32_t *number)
{
    struct ottl *to = p->to;
    struct pattern *pattern;
    sl_error error = {.size = sizeof error};
    if (to->n_patterns == to->patterns_room) {
        const uint32_t room = to->patterns_room ? to->patterns_room * 2 : 4;
        struct pattern **grown = realloc(to->patterns, room * sizeof *grown);
        if (!grown) {
            return ottl_no_memory(p);
        }
        to->patterns = grown;
        to->patterns_room = room;
    }
    if (pattern_compile(p->literal.bytes, &pattern, &error) != SL_OK) {
        return ottl_fail_at(p, at, "%s", error.text);
    }
    *number = to->n_patterns;
    to->patterns[to->n_patterns++] = pattern;
    return true;
}

/* A pattern is known beforehand, and stands for itself by its number. */
static bool pattern_argument(struct parser *p)
{
    uint32_t number = 0;
    const size_t at = p->at;
    if (p->token != T_TEXT) {
        return ottl_fail_at(p, at, "the pattern must be a text in quotation marks");
    }
    return add_pattern(p, at, &number) && push(p, ottl_int(number), at) && ottl_advance(p);
}

static bool list_argument(struct parser *p, uint32_t *n)
{
    if (!ottl_expect(p, "[")) {
        return false;
    }
    while (!ottl_is(p, "]")) {
        if (*n && !ottl_expect(p, ",")) {
            return false;
        }
        if (!value(p)) {
            return false;
        }
        ++*n;
    }
    return ottl_advance(p);
}

static bool call(struct parser *p, sl_bytes name, size_t at)
{
    const int32_t number = ottl_function_find(name);
    const struct ottl_function *f = number < 0 ? NULL : &ottl_functions[number];
    if (!f || (f->contexts && !(f->contexts >> p->context & 1))) {
        return ottl_fail_at(p, at, "there is no function %.*s%s, or it is not supported",
                            (int)(name.n < 60 ? name.n : 60), (const char *)name.p,
                            f ? " in this context" : "");
    }
    uint32_t n = 0, arguments = 0;
    if (!ottl_advance(p)) { /* the parenthesis */
        return false;
    }
    while (!ottl_is(p, ")")) {
        if (arguments && !ottl_expect(p, ",")) {
            return false;
        }
        bool ok;
        if (arguments == 0 && f->list) {
            ok = list_argument(p, &n);
        } else if (arguments == 1 && f->pattern) {
            ok = pattern_argument(p);
            n++;
        } else {
            ok = value(p);
            n++;
        }
        if (!ok) {
            return false;
        }
        arguments++;
    }
    if (arguments < f->min || arguments > f->max) {
        return ottl_fail_at(p, at, "%s takes %u%s argument%s, not %u", f->name, f->min,
                            f->max > f->min ? " or more" : "", f->min == 1 ? "" : "s", arguments);
    }
    return ottl_advance(p) && emit(p, OP_CALL, n, (uint32_t)number, at, 1 - (int32_t)n) && keys(p);
}

/* A function, or one of the names for numbers. */
static bool upper(struct parser *p, enum kind *kind)
{
    const sl_bytes name = p->lexeme;
    const size_t at = p->at;
    int64_t number;
    if (!ottl_advance(p)) {
        return false;
    }
    if (ottl_is(p, "(")) {
        *kind = EITHER;
        return call(p, name, at);
    }
    *kind = VALUE;
    if (!ottl_enum_find(name, &number)) {
        return ottl_fail_at(p, at, "there is no enum %.*s; a text stands in quotation marks",
                            (int)(name.n < 60 ? name.n : 60), (const char *)name.p);
    }
    return push(p, ottl_int(number), at);
}

static bool lower(struct parser *p, enum kind *kind)
{
    const size_t at = p->at;
    *kind = VALUE;
    if (ottl_is(p, "nil")) {
        return push(p, ottl_nil(), at) && ottl_advance(p);
    }
    if (ottl_is(p, "true") || ottl_is(p, "false")) {
        *kind = EITHER;
        return push(p, ottl_bool(ottl_is(p, "true")), at) && ottl_advance(p);
    }
    return path(p);
}

static bool primary(struct parser *p, enum kind *kind)
{
    const size_t at = p->at;
    *kind = VALUE;
    switch (p->token) {
    case T_TEXT:
    case T_INT:
    case T_DOUBLE:
    case T_BYTES:
        return push(p, p->literal, at) && ottl_advance(p);
    case T_UPPER:
        return upper(p, kind);
    case T_LOWER:
        return lower(p, kind);
    case T_END:
        return ottl_fail_at(p, at, "the condition ends where a value was expected");
    default:
        break;
    }
    if (ottl_is(p, "(")) {
        return ottl_advance(p) && expression(p, kind) && ottl_expect(p, ")");
    }
    if (ottl_is(p, "-") || ottl_is(p, "+")) {
        const bool negative = ottl_is(p, "-");
        if (++p->depth > DEPTH_MAX) {
            return ottl_fail_at(p, at, "nested deeper than %d", DEPTH_MAX);
        }
        if (!ottl_advance(p) || !primary(p, kind) || !needs(p, at, *kind, VALUE)) {
            return false;
        }
        p->depth--;
        *kind = VALUE;
        return !negative || emit(p, OP_NEGATE, 0, 0, at, 0);
    }
    return ottl_fail_at(p, at, "a value was expected here");
}

static bool is_math(const struct parser *p, const char *ops)
{
    return p->token == T_OTHER && strchr(ops, p->lexeme.p[0]);
}

static bool math(struct parser *p, enum kind *kind, bool product)
{
    const size_t begin = p->at;
    if (!(product ? primary(p, kind) : math(p, kind, true))) {
        return false;
    }
    while (is_math(p, product ? "*/" : "+-")) {
        const uint8_t op = p->lexeme.p[0];
        const size_t at = p->at;
        enum kind right;
        if (!needs(p, begin, *kind, VALUE) || !ottl_advance(p)) {
            return false;
        }
        const size_t from = p->at;
        if (!(product ? primary(p, &right) : math(p, &right, true)) ||
            !needs(p, from, right, VALUE) || !emit(p, OP_MATH, 0, op, at, -1)) {
            return false;
        }
        *kind = VALUE;
    }
    return true;
}

static bool comparison(struct parser *p, enum kind *kind)
{
    const size_t begin = p->at;
    if (!math(p, kind, false)) {
        return false;
    }
    if (p->token == T_COMPARE) {
        const enum ottl_comparison op = p->comparison;
        const size_t at = p->at;
        enum kind right;
        if (!needs(p, begin, *kind, VALUE) || !ottl_advance(p)) {
            return false;
        }
        const size_t from = p->at;
        if (!math(p, &right, false) || !needs(p, from, right, VALUE) ||
            !emit(p, OP_COMPARE, 0, op, at, -1)) {
            return false;
        }
        *kind = CONDITION;
    }
    return true;
}

static bool negation(struct parser *p, enum kind *kind)
{
    size_t at = p->at;
    uint32_t n = 0;
    while (p->token == T_LOWER && ottl_is(p, "not")) {
        n++;
        if (!ottl_advance(p)) {
            return false;
        }
    }
    const size_t begin = p->at;
    if (!comparison(p, kind)) {
        return false;
    }
    if (n == 0) {
        return true;
    }
    if (!needs(p, begin, *kind, CONDITION)) {
        return false;
    }
    *kind = CONDITION;
    return n % 2 == 0 || emit(p, OP_NOT, 0, 0, at, 0);
}

/* One of the two levels of `and` and `or`: jumps over the rest once the result is known. */
static bool chain(struct parser *p, enum kind *kind, bool any)
{
    const size_t begin = p->at;
    if (!(any ? chain(p, kind, false) : negation(p, kind))) {
        return false;
    }
    while (p->token == T_LOWER && ottl_is(p, any ? "or" : "and")) {
        enum kind right;
        const size_t at = p->at;
        const uint32_t jump = p->to->n;
        if (!needs(p, begin, *kind, CONDITION) || !emit(p, any ? OP_OR : OP_AND, 0, 0, at, -1) ||
            !ottl_advance(p)) {
            return false;
        }
        const size_t from = p->at;
        if (!(any ? chain(p, &right, false) : negation(p, &right)) ||
            !needs(p, from, right, CONDITION)) {
            return false;
        }
        p->to->code[jump].arg = (uint16_t)p->to->n;
        *kind = CONDITION;
    }
    return true;
}

static bool expression(struct parser *p, enum kind *kind)
{
    if (p->depth == DEPTH_MAX) {
        return ottl_fail_at(p, p->at, "nested deeper than %d", DEPTH_MAX);
    }
    p->depth++;
    const bool ok = chain(p, kind, true);
    p->depth--;
    return ok;
}

int32_t ottl_compile(enum ottl_context context, sl_bytes text, struct ottl **condition, size_t *at,
                     sl_error *error)
{
    struct parser p = {.context = context, .text = text, .error_at = at, .error = error};
    enum kind kind;
    *at = 0;
    p.to = calloc(1, sizeof *p.to);
    if (!p.to) {
        (void)ottl_no_memory(&p);
        return p.status;
    }
    if (text.n > UINT16_MAX) {
        (void)ottl_fail_at(&p, 0, "the condition is longer than 64 KiB");
    } else if (ottl_advance(&p) && expression(&p, &kind)) {
        if (p.token != T_END) {
            (void)ottl_fail_at(&p, p.at,
                               "the condition should end here, or go on with and, or, or a "
                               "comparison");
        } else {
            (void)needs(&p, 0, kind, CONDITION);
        }
    }
    if (p.status != SL_OK) {
        ottl_free(p.to);
        return p.status;
    }
    *condition = p.to;
    return SL_OK;
}

void ottl_free(struct ottl *condition)
{
    if (!condition) {
        return;
    }
    for (uint32_t i = 0; i < condition->n_patterns; i++) {
        pattern_free(condition->patterns[i]);
    }
    free(condition->patterns);
    free(condition->constants);
    free(condition->code);
    otlp_scratch_free(&condition->texts);
    free(condition);
}

enum ottl_context ottl_infer(sl_bytes text)
{
    static const enum ottl_context lowest_first[] = {OTTL_SPANEVENT, OTTL_DATAPOINT, OTTL_LOG,
                                                     OTTL_SPAN,      OTTL_METRIC,    OTTL_SCOPE,
                                                     OTTL_RESOURCE};
    bool seen[OTTL_CONTEXTS] = {false};
    bool quoted = false;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\\' && quoted) {
            i++;
        } else if (text.p[i] == '"') {
            quoted = !quoted;
        }
        const bool begins =
            !quoted && (i == 0 || (!ottl_is_letter(text.p[i - 1]) &&
                                   !ottl_is_digit(text.p[i - 1]) && text.p[i - 1] != '.'));
        for (uint32_t c = 0; c < OTTL_CONTEXTS && begins; c++) {
            const sl_bytes name = sl_str(ottl_context_name((enum ottl_context)c));
            if (text.n - i > name.n && memcmp(text.p + i, name.p, name.n) == 0 &&
                text.p[i + name.n] == '.') {
                seen[c] = true;
            }
        }
    }
    for (size_t i = 0; i < sizeof lowest_first / sizeof *lowest_first; i++) {
        if (seen[lowest_first[i]]) {
            return lowest_first[i];
        }
    }
    return OTTL_CONTEXTS;
}

bool ottl_duration(sl_bytes text, int64_t *ns)
{
    static const struct {
        const char *name;
        double ns;
    } units[] = {{"ns", 1},  {"us", 1e3}, {"\xc2\xb5s", 1e3}, {"ms", 1e6},
                 {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
    double sum = 0;
    size_t i = text.n > 0 && (text.p[0] == '-' || text.p[0] == '+');
    if (sl_eq(text, sl_str("0"))) {
        *ns = 0;
        return true;
    }
    if (i == text.n) {
        return false;
    }
    while (i < text.n) {
        const size_t from = i;
        double number;
        while (i < text.n && (ottl_is_digit(text.p[i]) || text.p[i] == '.')) {
            i++;
        }
        if (!otlp_text_double(sl_slice(text.p + from, i - from), &number)) {
            return false;
        }
        size_t unit_end = i;
        while (unit_end < text.n && !ottl_is_digit(text.p[unit_end]) && text.p[unit_end] != '.') {
            unit_end++;
        }
        double unit = 0;
        for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
            if (sl_eq(sl_slice(text.p + i, unit_end - i), sl_str(units[u].name))) {
                unit = units[u].ns;
            }
        }
        if (unit == 0) {
            return false;
        }
        sum += number * unit;
        i = unit_end;
    }
    if (sum >= 0x1p63) {
        return false;
    }
    *ns = text.p[0] == '-' ? -(int64_t)sum : (int64_t)sum;
    return true;
}
