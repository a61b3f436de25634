/* The functions of conditions. Each takes its values off the stack and leaves one; texts that it makes
 * lie in the machine's scratch. One thread for each machine. */
#include "formats/otlp/value_text.h"
#include "formats/otlp/view_entries.h"
#include "formats/ottl/internal.h"

enum function {
    F_IS_MATCH,
    F_IS_ROOT_SPAN,
    F_HAS_ATTR_KEY,
    F_HAS_ATTR,
    F_IS_STRING,
    F_IS_INT,
    F_IS_DOUBLE,
    F_IS_BOOL,
    F_IS_MAP,
    F_IS_LIST,
    F_LEN,
    F_CONCAT,
    F_SUBSTRING,
    F_TO_LOWER,
    F_TO_UPPER,
    F_TRIM,
    F_HAS_PREFIX,
    F_HAS_SUFFIX,
    F_INT,
    F_DOUBLE,
    F_STRING,
    F_BOOL,
    F_TRACE_ID,
    F_SPAN_ID,
    F_NOW,
    F_DURATION,
    F_HOURS,
    F_MINUTES,
    F_SECONDS,
    F_MILLISECONDS,
    F_MICROSECONDS,
    F_NANOSECONDS,
    F_UNIX,
    F_UNIX_SECONDS,
    F_UNIX_MILLI,
    F_UNIX_MICRO,
    F_UNIX_NANO,
    F_CONTAINS_VALUE
};

const struct ottl_function ottl_functions[] = {
    [F_IS_MATCH] = {.name = "IsMatch", .min = 2, .max = 2, .pattern = 1},
    [F_IS_ROOT_SPAN] = {.name = "IsRootSpan", .min = 0, .max = 0, .contexts = 1 << OTTL_SPAN},
    [F_HAS_ATTR_KEY] = {.name = "HasAttrKeyOnDatapoint",
                        .min = 1,
                        .max = 1,
                        .contexts = 1 << OTTL_METRIC},
    [F_HAS_ATTR] = {.name = "HasAttrOnDatapoint", .min = 2, .max = 2, .contexts = 1 << OTTL_METRIC},
    [F_IS_STRING] = {.name = "IsString", .min = 1, .max = 1},
    [F_IS_INT] = {.name = "IsInt", .min = 1, .max = 1},
    [F_IS_DOUBLE] = {.name = "IsDouble", .min = 1, .max = 1},
    [F_IS_BOOL] = {.name = "IsBool", .min = 1, .max = 1},
    [F_IS_MAP] = {.name = "IsMap", .min = 1, .max = 1},
    [F_IS_LIST] = {.name = "IsList", .min = 1, .max = 1},
    [F_LEN] = {.name = "Len", .min = 1, .max = 1},
    [F_CONCAT] = {.name = "Concat", .min = 2, .max = 2, .list = 1},
    [F_SUBSTRING] = {.name = "Substring", .min = 3, .max = 3},
    [F_TO_LOWER] = {.name = "ToLowerCase", .min = 1, .max = 1},
    [F_TO_UPPER] = {.name = "ToUpperCase", .min = 1, .max = 1},
    [F_TRIM] = {.name = "Trim", .min = 1, .max = 1},
    [F_HAS_PREFIX] = {.name = "HasPrefix", .min = 2, .max = 2},
    [F_HAS_SUFFIX] = {.name = "HasSuffix", .min = 2, .max = 2},
    [F_INT] = {.name = "Int", .min = 1, .max = 1},
    [F_DOUBLE] = {.name = "Double", .min = 1, .max = 1},
    [F_STRING] = {.name = "String", .min = 1, .max = 1},
    [F_BOOL] = {.name = "Bool", .min = 1, .max = 1},
    [F_TRACE_ID] = {.name = "TraceID", .min = 1, .max = 1},
    [F_SPAN_ID] = {.name = "SpanID", .min = 1, .max = 1},
    [F_NOW] = {.name = "Now", .min = 0, .max = 0},
    [F_DURATION] = {.name = "Duration", .min = 1, .max = 1},
    [F_HOURS] = {.name = "Hours", .min = 1, .max = 1},
    [F_MINUTES] = {.name = "Minutes", .min = 1, .max = 1},
    [F_SECONDS] = {.name = "Seconds", .min = 1, .max = 1},
    [F_MILLISECONDS] = {.name = "Milliseconds", .min = 1, .max = 1},
    [F_MICROSECONDS] = {.name = "Microseconds", .min = 1, .max = 1},
    [F_NANOSECONDS] = {.name = "Nanoseconds", .min = 1, .max = 1},
    [F_UNIX] = {.name = "Unix", .min = 1, .max = 2},
    [F_UNIX_SECONDS] = {.name = "UnixSeconds", .min = 1, .max = 1},
    [F_UNIX_MILLI] = {.name = "UnixMilli", .min = 1, .max = 1},
    [F_UNIX_MICRO] = {.name = "UnixMicro", .min = 1, .max = 1},
    [F_UNIX_NANO] = {.name = "UnixNano", .min = 1, .max = 1},
    [F_CONTAINS_VALUE] = {.name = "ContainsValue", .min = 2, .max = 2},
    {.name = NULL},
};

int32_t ottl_function_find(sl_bytes name)
{
    for (int32_t i = 0; ottl_functions[i].name; i++) {
        if (sl_eq(name, sl_str(ottl_functions[i].name))) {
            return i;
        }
    }
    return -1;
}

/* ---- arguments ---- */

static const char *type_name(const struct ottl_value *v)
{
    static const char *const names[] = {"nil",   "bool", "int",  "double", "string",
                                        "bytes", "map",  "list", "time",   "duration"};
    return names[v->type];
}

static bool wrong(uint32_t function, const struct ottl_value *v, const char *wanted,
                  sl_error *error)
{
    (void)sl_fail(error, SL_ERR_INVALID, "%s needs a %s and got a %s",
                  ottl_functions[function].name, wanted, type_name(v));
    return false;
}

/* As the Collector's "string-like" getters; .p NULL and .n not 0: it is no text, or no memory. */
static sl_bytes text_of(struct ottl_machine *m, const struct ottl_value *v)
{
    static const uint32_t types[] = {SL_VALUE_EMPTY, SL_VALUE_BOOL,  SL_VALUE_INT, SL_VALUE_DOUBLE,
                                     SL_VALUE_TEXT,  SL_VALUE_BYTES, SL_VALUE_MAP, SL_VALUE_LIST};
    /* all attributes of a record are no value, and have another field number */
    const bool is_record = (v->type == OTTL_MAP || v->type == OTTL_LIST) && v->field != 1;
    if (v->type == OTTL_NIL || v->type >= OTTL_TIME || is_record) {
        return sl_slice(NULL, 1);
    }
    const sl_value value = {.type = types[v->type], .number = v->number, .bytes = v->bytes};
    const sl_bytes text = otlp_value_text(&m->powers, &value, &m->scratch);
    return text.p ? text : sl_slice(NULL, 1);
}

static uint8_t *room(struct ottl_machine *m, size_t n, sl_error *error)
{
    uint8_t *at = otlp_scratch_room(&m->scratch, n + 1);
    if (at) {
        otlp_scratch_take(&m->scratch, n + 1);
    } else {
        (void)sl_fail(error, SL_ERR_NOMEM, "no memory to evaluate a condition");
    }
    return at;
}

/* ---- functions ---- */

static bool on_points(const struct ottl_subject *s, sl_bytes key, const sl_bytes *expected)
{
    sl_wire metric = sl_wire_of(s->metric);
    while (sl_wire_next(&metric)) {
        if (!otlp_is_data(&metric)) {
            continue;
        }
        const uint32_t field = metric.number == SL_METRIC_HISTOGRAM     ? 9
                               : metric.number == SL_METRIC_EXPONENTIAL ? 1
                                                                        : 7;
        sl_repeated points = sl_repeated_of(metric.bytes, OTLP_DATA_POINTS);
        sl_bytes point;
        sl_value value;
        while (sl_repeated_next(&points, &point)) {
            if (sl_attr_find(sl_repeated_of(point, field), key, &value)) {
                /* the first point with the key decides, as in the Collector */
                return !expected || (value.type == SL_VALUE_TEXT ? sl_eq(value.bytes, *expected)
                                                                 : expected->n == 0);
            }
        }
    }
    return false;
}

static uint32_t count(const struct ottl_value *v)
{
    sl_bytes entry;
    uint32_t n = 0;
    sl_repeated all = sl_repeated_of(v->bytes, v->field);
    while (sl_repeated_next(&all, &entry)) {
        n++;
    }
    return n;
}

static bool concat(struct ottl_machine *m, struct ottl_value *v, uint32_t n, sl_error *error)
{
    const sl_bytes between = v[n - 1].bytes;
    size_t size = 0;
    if (v[n - 1].type != OTTL_TEXT) {
        return wrong(F_CONCAT, &v[n - 1], "string", error);
    }
    for (uint32_t i = 0; i + 1 < n; i++) {
        const sl_bytes text = v[i].type == OTTL_NIL ? sl_str("<nil>") : text_of(m, &v[i]);
        if (!text.p) {
            return wrong(F_CONCAT, &v[i], "value that is a text", error);
        }
        v[i] = ottl_text(text);
        size += text.n + between.n;
    }
    uint8_t *at = room(m, size, error), *p = at;
    for (uint32_t i = 0; at && i + 1 < n; i++) {
        p = i ? sl_put_slice(p, between) : p;
        p = sl_put_slice(p, v[i].bytes);
    }
    v[0] = ottl_text(sl_slice(at, (size_t)(p - at)));
    return at != NULL;
}

static bool substring(struct ottl_value *v, sl_error *error)
{
    const int64_t start = v[1].number.i, length = v[2].number.i;
    if (v[0].type != OTTL_TEXT || v[1].type != OTTL_INT || v[2].type != OTTL_INT) {
        return wrong(F_SUBSTRING,
                     &v[v[0].type != OTTL_TEXT  ? 0
                        : v[1].type != OTTL_INT ? 1
                                                : 2],
                     v[0].type != OTTL_TEXT ? "string" : "int", error);
    }
    if (start < 0 || length <= 0 || (uint64_t)start > v[0].bytes.n ||
        (uint64_t)length > v[0].bytes.n - (uint64_t)start) {
        (void)sl_fail(error, SL_ERR_INVALID,
                      "Substring from %lld of %lld bytes is not in a text "
                      "of %zu",
                      (long long)start, (long long)length, v[0].bytes.n);
        return false;
    }
    v[0].bytes = sl_slice(v[0].bytes.p + start, (size_t)length);
    return true;
}

/* Letters of ASCII; others stay. */
static bool change_case(struct ottl_machine *m, uint32_t f, struct ottl_value *v, sl_error *error)
{
    const char first = f == F_TO_LOWER ? 'A' : 'a';
    if (v->type != OTTL_TEXT) {
        return wrong(f, v, "string", error);
    }
    uint8_t *at = room(m, v->bytes.n, error);
    for (size_t i = 0; at && i < v->bytes.n; i++) {
        const uint8_t c = v->bytes.p[i];
        at[i] = c >= first && c < first + 26 ? c ^ 0x20 : c;
    }
    v->bytes = sl_slice(at, v->bytes.n);
    return at != NULL;
}

static bool trim(struct ottl_value *v, sl_error *error)
{
    if (v->type != OTTL_TEXT) {
        return wrong(F_TRIM, v, "string", error);
    }
    while (v->bytes.n > 0 && v->bytes.p[0] == ' ') {
        v->bytes = sl_slice(v->bytes.p + 1, v->bytes.n - 1);
    }
    while (v->bytes.n > 0 && v->bytes.p[v->bytes.n - 1] == ' ') {
        v->bytes.n--;
    }
    return true;
}

static bool has_end(uint32_t f, struct ottl_value *v, sl_error *error)
{
    if (v[0].type != OTTL_TEXT || v[1].type != OTTL_TEXT) {
        return wrong(f, &v[v[0].type == OTTL_TEXT], "string", error);
    }
    const sl_bytes text = v[0].bytes, end = v[1].bytes;
    const size_t skip = f == F_HAS_PREFIX ? 0 : text.n - end.n;
    v[0] = ottl_bool(end.n <= text.n && (end.n == 0 || memcmp(text.p + skip, end.p, end.n) == 0));
    return true;
}

/* Int, Double and Bool: nil where the value cannot be one. */
static bool to_number(uint32_t f, struct ottl_value *v, sl_error *error)
{
    int64_t i;
    double d;
    switch (v->type) {
    case OTTL_NIL:
        return true;
    case OTTL_BOOL:
        i = (int64_t)v->number.u;
        d = (double)i;
        break;
    case OTTL_INT:
        i = v->number.i;
        d = (double)i;
        break;
    case OTTL_DOUBLE:
        d = v->number.f;
        i = d >= 0x1p63 ? INT64_MAX : d >= -0x1p63 ? (int64_t)d : INT64_MIN;
        break;
    case OTTL_TEXT: {
        const sl_bytes text = v->bytes;
        *v = ottl_nil();
        if (f == F_INT && otlp_text_int(text, &i)) {
            *v = ottl_int(i);
        } else if (f == F_DOUBLE && otlp_text_double(text, &d)) {
            *v = ottl_double(d);
        } else if (f == F_BOOL && (sl_eq(text, sl_str("true")) || sl_eq(text, sl_str("false")))) {
            *v = ottl_bool(text.n == 4);
        }
        return true;
    }
    default:
        return wrong(f, v, "number, bool or string", error);
    }
    *v = f == F_INT ? ottl_int(i) : f == F_DOUBLE ? ottl_double(d) : ottl_bool(d != 0);
    return true;
}

static bool to_string(struct ottl_machine *m, struct ottl_value *v, sl_error *error)
{
    if (v->type == OTTL_NIL) {
        return true;
    }
    const sl_bytes text = text_of(m, v);
    if (!text.p) {
        return wrong(F_STRING, v, "value that is a text", error);
    }
    *v = ottl_text(text);
    return true;
}

static int digit(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* An id from its bytes, or from their hexadecimal digits. */
static bool to_id(struct ottl_machine *m, uint32_t f, struct ottl_value *v, sl_error *error)
{
    const size_t n = f == F_TRACE_ID ? 16 : 8;
    if (v->type == OTTL_BYTES && v->bytes.n == n) {
        return true;
    }
    if (v->type != OTTL_TEXT || v->bytes.n != 2 * n) {
        return wrong(f, v,
                     n == 16 ? "text of 32 digits, or 16 bytes" : "text of 16 digits, or 8 bytes",
                     error);
    }
    uint8_t *at = room(m, n, error);
    for (size_t i = 0; at && i < n; i++) {
        const int high = digit(v->bytes.p[2 * i]), low = digit(v->bytes.p[2 * i + 1]);
        if (high < 0 || low < 0) {
            return wrong(f, v, "text of hexadecimal digits", error);
        }
        at[i] = (uint8_t)(high << 4 | low);
    }
    *v = (struct ottl_value){.type = OTTL_BYTES, .bytes = sl_slice(at, n)};
    return at != NULL;
}

static bool of_duration(uint32_t f, struct ottl_value *v, sl_error *error)
{
    static const double fractions[] = {3600e9, 60e9, 1e9};
    static const int64_t whole[] = {1000000, 1000, 1};
    if (v->type != OTTL_DURATION) {
        return wrong(f, v, "duration", error);
    }
    *v = f <= F_SECONDS ? ottl_double((double)v->number.i / fractions[f - F_HOURS])
                        : ottl_int(v->number.i / whole[f - F_MILLISECONDS]);
    return true;
}

static bool of_time(uint32_t f, struct ottl_value *v, sl_error *error)
{
    static const int64_t units[] = {1000000000, 1000000, 1000, 1};
    if (v->type != OTTL_TIME) {
        return wrong(f, v, "time", error);
    }
    *v = ottl_int(v->number.i / units[f - F_UNIX_SECONDS]);
    return true;
}

static bool unix_time(struct ottl_value *v, uint32_t n, sl_error *error)
{
    int64_t ns;
    if (v[0].type != OTTL_INT || (n > 1 && v[1].type != OTTL_INT)) {
        return wrong(F_UNIX, &v[v[0].type == OTTL_INT], "int", error);
    }
    if (__builtin_mul_overflow(v[0].number.i, INT64_C(1000000000), &ns) ||
        __builtin_add_overflow(ns, n > 1 ? v[1].number.i : 0, &ns)) {
        (void)sl_fail(error, SL_ERR_INVALID, "Unix: beyond the year 2262");
        return false;
    }
    v[0] = (struct ottl_value){.type = OTTL_TIME, .number.i = ns};
    return true;
}

static bool contains_value(struct ottl_value *v, sl_error *error)
{
    bool found = false;
    sl_bytes any;
    if (v[0].type != OTTL_LIST || v[0].field != 1) {
        return wrong(F_CONTAINS_VALUE, &v[0], "list", error);
    }
    sl_repeated all = sl_repeated_of(v[0].bytes, 1);
    while (!found && sl_repeated_next(&all, &any)) {
        const sl_value value = sl_value_of(any);
        const struct ottl_value one = ottl_value_of(&value);
        found =
            one.type == v[1].type && one.number.u == v[1].number.u && sl_eq(one.bytes, v[1].bytes);
    }
    v[0] = ottl_bool(found);
    return true;
}

static bool is_match(struct ottl_machine *m, struct ottl_value *v, const struct pattern *pattern,
                     sl_error *error)
{
    if (v->type == OTTL_NIL) {
        *v = ottl_bool(false);
        return true;
    }
    const sl_bytes text = text_of(m, v);
    if (!text.p) {
        return wrong(F_IS_MATCH, v, "value that is a text", error);
    }
    const int32_t found = pattern_match(pattern, m->matcher, text);
    if (found == PATTERN_COSTLY) {
        (void)sl_fail(error, SL_ERR_INVALID,
                      "IsMatch: the text of %zu bytes takes too long to match", text.n);
        return false;
    }
    *v = ottl_bool(found == PATTERN_YES);
    return true;
}

static bool length(struct ottl_value *v, sl_error *error)
{
    if (v->type == OTTL_TEXT || v->type == OTTL_BYTES) {
        *v = ottl_int((int64_t)v->bytes.n);
        return true;
    }
    if (v->type == OTTL_MAP || v->type == OTTL_LIST) {
        *v = ottl_int(count(v));
        return true;
    }
    return wrong(F_LEN, v, "string, list or map", error);
}

bool ottl_call(uint32_t f, struct ottl_machine *m, struct ottl_value *v, uint32_t n,
               const struct pattern *pattern, const struct ottl_subject *s, sl_error *error)
{
    static const uint8_t types[] = {OTTL_TEXT, OTTL_INT, OTTL_DOUBLE,
                                    OTTL_BOOL, OTTL_MAP, OTTL_LIST};
    static const uint8_t none[8] = {0};
    switch ((enum function)f) {
    case F_IS_MATCH:
        return is_match(m, v, pattern, error);
    case F_IS_ROOT_SPAN:
        v[0] = ottl_bool(memcmp(s->span->parent_id, none, sizeof none) == 0);
        return true;
    case F_HAS_ATTR_KEY:
    case F_HAS_ATTR:
        if (v[0].type != OTTL_TEXT || (n > 1 && v[1].type != OTTL_TEXT)) {
            return wrong(f, &v[v[0].type == OTTL_TEXT], "string", error);
        }
        v[0] = ottl_bool(on_points(s, v[0].bytes, n > 1 ? &v[1].bytes : NULL));
        return true;
    case F_IS_STRING:
    case F_IS_INT:
    case F_IS_DOUBLE:
    case F_IS_BOOL:
    case F_IS_MAP:
    case F_IS_LIST:
        v[0] = ottl_bool(v[0].type == types[f - F_IS_STRING]);
        return true;
    case F_LEN:
        return length(v, error);
    case F_CONCAT:
        return concat(m, v, n, error);
    case F_SUBSTRING:
        return substring(v, error);
    case F_TO_LOWER:
    case F_TO_UPPER:
        return change_case(m, f, v, error);
    case F_TRIM:
        return trim(v, error);
    case F_HAS_PREFIX:
    case F_HAS_SUFFIX:
        return has_end(f, v, error);
    case F_INT:
    case F_DOUBLE:
    case F_BOOL:
        return to_number(f, v, error);
    case F_STRING:
        return to_string(m, v, error);
    case F_TRACE_ID:
    case F_SPAN_ID:
        return to_id(m, f, v, error);
    case F_NOW:
        v[0] = (struct ottl_value){.type = OTTL_TIME, .number.i = s->now_ns};
        return true;
    case F_DURATION: {
        int64_t ns;
        if (v[0].type != OTTL_TEXT || !ottl_duration(v[0].bytes, &ns)) {
            return wrong(f, v, "text such as \"1h2m3s\"", error);
        }
        v[0] = (struct ottl_value){.type = OTTL_DURATION, .number.i = ns};
        return true;
    }
    case F_UNIX:
        return unix_time(v, n, error);
    case F_CONTAINS_VALUE:
        return contains_value(v, error);
    case F_HOURS:
    case F_MINUTES:
    case F_SECONDS:
    case F_MILLISECONDS:
    case F_MICROSECONDS:
    case F_NANOSECONDS:
        return of_duration(f, v, error);
    case F_UNIX_SECONDS:
    case F_UNIX_MILLI:
    case F_UNIX_MICRO:
    case F_UNIX_NANO:
        return of_time(f, v, error);
    }
    return false;
}
