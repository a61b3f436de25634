/* What a scalar means. Numbers follow the collector's YAML library: 0x, 0o, 0b and a leading 0 for
 * octal, underscores between digits, .inf and .nan. Pure functions. */
#include "pipeline/config/scalar.h"
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define MAX_NUMBER 64u /* characters of a number */

static bool is(sl_bytes text, const char *word)
{
    return sl_eq(text, sl_str(word));
}

static bool digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

int32_t scalar_bool(sl_bytes t, bool *v)
{
    *v = is(t, "true") || is(t, "True") || is(t, "TRUE");
    bool no = is(t, "false") || is(t, "False") || is(t, "FALSE");
    return *v || no ? SL_OK : SL_ERR_INVALID;
}

/* Sign and magnitude of an integer. */
static int32_t magnitude(sl_bytes t, bool *negative, uint64_t *v)
{
    size_t i = 0;
    *negative = t.n > 0 && t.p[0] == '-';
    if (t.n > 0 && (t.p[0] == '-' || t.p[0] == '+'))
        i = 1;
    unsigned base = 10;
    if (t.n - i >= 3 && t.p[i] == '0' && strchr("xXoObB", t.p[i + 1])) {
        base = tolower(t.p[i + 1]) == 'x' ? 16 : tolower(t.p[i + 1]) == 'o' ? 8 : 2;
        i += 2;
    } else if (t.n - i >= 2 && t.p[i] == '0') {
        base = 8;
        i += 1;
    }
    *v = 0;
    bool any = false, overflow = false;
    for (; i < t.n; i++) {
        uint8_t c = t.p[i];
        if (c == '_' && i > 0)
            continue;
        unsigned d = digit(c)      ? (unsigned)c - '0'
                     : isxdigit(c) ? (unsigned)tolower(c) - 'a' + 10
                                   : 99;
        if (d >= base)
            return SL_ERR_INVALID;
        any = true;
        overflow |= __builtin_mul_overflow(*v, (uint64_t)base, v);
        overflow |= __builtin_add_overflow(*v, (uint64_t)d, v);
    }
    if (!any)
        return SL_ERR_INVALID;
    return overflow ? SL_ERR_TOO_LARGE : SL_OK;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool float_form(const char *s)
{
    if (*s == '-' || *s == '+')
        s++;
    const char *digits = s;
    while (digit((uint8_t)*s))
        s++;
    bool before = s > digits;
    if (*s == '.') {
        digits = ++s;
        while (digit((uint8_t)*s))
            s++;
        if (!before && s == digits)
            return false;
    } else if (!before) {
        return false;
    }
    if (*s == 'e' || *s == 'E') {
        s++;
        if (*s == '-' || *s == '+')
            s++;
        digits = s;
        while (digit((uint8_t)*s))
            s++;
        if (s == digits)
            return false;
    }
    return *s == '\0';
}

int32_t scalar_f64(sl_bytes t, double *v)
{
    bool negative;
    uint64_t u;
    int32_t rc = magnitude(t, &negative, &u);
    if (rc == SL_OK) {
        *v = negative ? -(double)u : (double)u;
        return SL_OK;
    }
    if (t.n == 0 || t.n >= MAX_NUMBER || t.p[0] == '_')
        return SL_ERR_INVALID;
    char s[MAX_NUMBER];
    size_t n = 0;
    for (size_t i = 0; i < t.n; i++)
        if (t.p[i] != '_')
            s[n++] = (char)t.p[i];
    s[n] = '\0';
    const char *unsigned_part = s[0] == '-' || s[0] == '+' ? s + 1 : s;
    if (strcmp(unsigned_part, ".inf") == 0 || strcmp(unsigned_part, ".Inf") == 0 ||
        strcmp(unsigned_part, ".INF") == 0) {
        *v = s[0] == '-' ? -(double)INFINITY : (double)INFINITY;
        return SL_OK;
    }
    if (strcmp(s, ".nan") == 0 || strcmp(s, ".NaN") == 0 || strcmp(s, ".NAN") == 0) {
        *v = (double)NAN;
        return SL_OK;
    }
    if (!float_form(s))
        return SL_ERR_INVALID;
    /* The process runs in the "C" locale, where the point is a point. */
    errno = 0;
    *v = strtod(s, NULL);
    return isinf(*v) ? SL_ERR_TOO_LARGE : SL_OK;
}

int32_t scalar_u64(sl_bytes t, uint64_t *v)
{
    bool negative;
    int32_t rc = magnitude(t, &negative, v);
    if (rc == SL_OK)
        return negative && *v ? SL_ERR_TOO_LARGE : SL_OK;
    double f;
    if (rc == SL_ERR_TOO_LARGE || scalar_f64(t, &f))
        return rc;
    if (f != floor(f)) /* 1e3 is a whole number, 1.5 is none */
        return SL_ERR_INVALID;
    if (f < 0 || f > 9007199254740992.0)
        return SL_ERR_TOO_LARGE;
    *v = (uint64_t)f;
    return SL_OK;
}

int32_t scalar_i64(sl_bytes t, int64_t *v)
{
    bool negative;
    uint64_t u;
    int32_t rc = magnitude(t, &negative, &u);
    if (rc == SL_OK) {
        if (u > (uint64_t)INT64_MAX + negative)
            return SL_ERR_TOO_LARGE;
        *v = negative ? (int64_t)(0 - u) : (int64_t)u;
        return SL_OK;
    }
    double f;
    if (rc == SL_ERR_TOO_LARGE || scalar_f64(t, &f))
        return rc;
    if (f != floor(f))
        return SL_ERR_INVALID;
    if (fabs(f) > 9007199254740992.0)
        return SL_ERR_TOO_LARGE;
    *v = (int64_t)f;
    return SL_OK;
}

enum scalar_type scalar_type(sl_bytes t)
{
    bool b;
    double f;
    bool negative;
    uint64_t u;
    if (t.n == 0 || is(t, "~") || is(t, "null") || is(t, "Null") || is(t, "NULL"))
        return SCALAR_NULL;
    if (scalar_bool(t, &b) == SL_OK)
        return SCALAR_BOOL;
    if (!digit(t.p[0]) && !strchr("+-.", t.p[0]))
        return SCALAR_TEXT;
    if (magnitude(t, &negative, &u) != SL_ERR_INVALID)
        return SCALAR_INT;
    return scalar_f64(t, &f) == SL_ERR_INVALID ? SCALAR_TEXT : SCALAR_FLOAT;
}

struct unit {
    const char *name;
    uint64_t factor;
};

/* One "12.5unit" at t[*i]: adds number times factor to *sum. What a fraction leaves over is lost,
 * or refused if the result must be exact. */
static int32_t scaled(sl_bytes t, size_t *i, const struct unit *units, bool exact, uint64_t *sum)
{
    uint64_t whole = 0, fraction = 0, scale = 1;
    bool any = false, point = false, overflow = false;
    for (; *i < t.n && (digit(t.p[*i]) || (t.p[*i] == '.' && !point)); ++*i) {
        if (t.p[*i] == '.') {
            point = true;
            continue;
        }
        uint64_t d = (uint64_t)(t.p[*i] - '0');
        any = true;
        if (!point) {
            overflow |= __builtin_mul_overflow(whole, (uint64_t)10, &whole);
            overflow |= __builtin_add_overflow(whole, d, &whole);
        } else if (scale < 1000000000000000000u) { /* further digits are below anything counted */
            fraction = fraction * 10 + d;
            scale *= 10;
        }
    }
    size_t unit = *i;
    while (*i < t.n && !digit(t.p[*i]) && t.p[*i] != '.')
        ++*i;
    size_t n = *i - unit;
    const struct unit *u = units;
    while (u->name && (strlen(u->name) != n || memcmp(u->name, t.p + unit, n) != 0))
        u++;
    if (!any || !u->name)
        return SL_ERR_INVALID;
    unsigned __int128 part = (unsigned __int128)fraction * u->factor;
    if (exact && part % scale != 0)
        return SL_ERR_INVALID;
    overflow |= __builtin_mul_overflow(whole, u->factor, &whole);
    overflow |= __builtin_add_overflow(whole, (uint64_t)(part / scale), &whole);
    overflow |= __builtin_add_overflow(*sum, whole, sum);
    return overflow ? SL_ERR_TOO_LARGE : SL_OK;
}

int32_t scalar_duration(sl_bytes t, int64_t *ns)
{
    static const struct unit units[] = {
        {"ns", 1},           {"us", 1000},         {"\xc2\xb5s", 1000},
        {"\xce\xbcs", 1000}, {"ms", 1000000},      {"s", 1000000000},
        {"m", 60000000000},  {"h", 3600000000000}, {NULL, 0},
    };
    size_t i = t.n > 0 && (t.p[0] == '-' || t.p[0] == '+');
    bool negative = i && t.p[0] == '-';
    if (t.n == i + 1 && t.p[i] == '0') {
        *ns = 0;
        return SL_OK;
    }
    if (i == t.n)
        return SL_ERR_INVALID;
    uint64_t sum = 0;
    bool overflow = false;
    while (i < t.n) {
        int32_t rc = scaled(t, &i, units, false, &sum);
        if (rc == SL_ERR_INVALID)
            return rc;
        overflow |= rc != SL_OK;
    }
    if (overflow || sum > (uint64_t)INT64_MAX + negative)
        return SL_ERR_TOO_LARGE;
    *ns = negative ? (int64_t)(0 - sum) : (int64_t)sum;
    return SL_OK;
}

int32_t scalar_size(sl_bytes t, uint64_t *bytes)
{
    static const struct unit units[] = {
        {"B", 1},
        {"KiB", 1ull << 10},
        {"MiB", 1ull << 20},
        {"GiB", 1ull << 30},
        {"TiB", 1ull << 40},
        {"Ki", 1ull << 10},
        {"Mi", 1ull << 20},
        {"Gi", 1ull << 30},
        {"Ti", 1ull << 40},
        {"KB", 1000},
        {"kB", 1000},
        {"MB", 1000000},
        {"GB", 1000000000},
        {"TB", 1000000000000},
        {NULL, 0},
    };
    int32_t rc = scalar_u64(t, bytes);
    if (rc != SL_ERR_INVALID)
        return rc;
    /* "64 KiB" is read too. */
    char packed[MAX_NUMBER];
    if (t.n >= sizeof packed)
        return SL_ERR_INVALID;
    size_t n = 0, i = 0;
    for (size_t k = 0; k < t.n; k++)
        if (t.p[k] != ' ' || k == 0 || !digit(t.p[k - 1]))
            packed[n++] = (char)t.p[k];
    *bytes = 0;
    rc = scaled(sl_slice(packed, n), &i, units, true, bytes);
    return i < n ? SL_ERR_INVALID : rc;
}

void scalar_write_duration(int64_t ns, char *out)
{
    static const struct unit units[] = {
        {"h", 3600000000000}, {"m", 60000000000}, {"s", 1000000000},
        {"ms", 1000000},      {"us", 1000},       {"ns", 1},
    };
    uint64_t rest = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    size_t n = 0;
    if (ns < 0)
        out[n++] = '-';
    out[n] = '\0';
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        uint64_t count = rest / units[i].factor;
        rest %= units[i].factor;
        if (count)
            n += (size_t)snprintf(out + n, 48 - n, "%llu%s", (unsigned long long)count,
                                  units[i].name);
    }
    if (ns == 0)
        (void)snprintf(out, 48, "0s");
}

void scalar_write_size(uint64_t bytes, char *out)
{
    static const struct unit units[] = {
        {"TiB", 1ull << 40}, {"GiB", 1ull << 30}, {"MiB", 1ull << 20}, {"KiB", 1ull << 10}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (bytes && bytes % units[i].factor == 0) {
            (void)snprintf(out, 48, "%llu%s", (unsigned long long)(bytes / units[i].factor),
                           units[i].name);
            return;
        }
    }
    (void)snprintf(out, 48, "%llu", (unsigned long long)bytes);
}

void scalar_write_f64(double v, char *out)
{
    if (isnan(v) || isinf(v)) {
        (void)snprintf(out, 48, "%s", isnan(v) ? ".nan" : v < 0 ? "-.inf" : ".inf");
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        (void)snprintf(out, 48, "%.*g", digits, v);
        if (strtod(out, NULL) == v)
            return;
    }
}
