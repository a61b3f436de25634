/* See needs.h. */
#include "formats/pattern/needs.h"

/* The pattern from here on. The steps below answer false where they do not understand it. */
struct reader {
    const uint8_t *p, *end;
};

static bool is_letter(uint8_t c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool next_is(const struct reader *r, uint8_t c)
{
    return r->p < r->end && *r->p == c;
}

static bool take(struct reader *r, uint8_t c)
{
    const bool taken = next_is(r, c);
    r->p += taken;
    return taken;
}

/* "[:alpha:]", of which the bracket has been taken. */
static bool skip_named_class(struct reader *r)
{
    r->p++;
    (void)take(r, '^');
    while (r->p < r->end && is_letter(*r->p)) {
        r->p++;
    }
    return take(r, ':') && take(r, ']');
}

/* Behind the opening bracket; a closing one in the first place is a character. */
static bool skip_class(struct reader *r)
{
    (void)take(r, '^');
    for (bool first = true; r->p < r->end; first = false) {
        const uint8_t c = *r->p++;
        if (c == ']' && !first) {
            return true;
        }
        if (c == '\\' && (r->p == r->end || strchr("QEc", *r->p++))) {
            return false;
        }
        if (c == '[' &&
            (next_is(r, '.') || next_is(r, '=') || (next_is(r, ':') && !skip_named_class(r)))) {
            return false;
        }
    }
    return false;
}

/* "{2}", "{2,}" and "{2,3}" behind the brace; all else that follows one may be text. */
static bool skip_count(struct reader *r)
{
    if (r->p == r->end || !is_digit(*r->p)) {
        return false;
    }
    while (r->p < r->end && (is_digit(*r->p) || *r->p == ',')) {
        r->p++;
    }
    return take(r, '}');
}

/* What repeats the thing before. */
static bool skip_repetition(struct reader *r, bool *may_be_absent)
{
    *may_be_absent = false;
    if (r->p == r->end || !strchr("*+?{", *r->p) || *r->p == '\0') {
        return true;
    }
    const uint8_t c = *r->p++;
    *may_be_absent = c != '+';
    if (c == '{' && !skip_count(r)) {
        return false;
    }
    if (!take(r, '?')) { /* as few as can be */
        (void)take(r, '+');
    }
    return true;
}

/* "(" and "(?:"; what other groups do to what is in them, and behind them, is not understood. */
static bool skip_opening(struct reader *r)
{
    if (next_is(r, '*')) {
        return false;
    }
    return !take(r, '?') || take(r, ':');
}

/* Behind a backslash. `*c` becomes the character, or 0 where it is a class or a place. */
static bool take_escape(struct reader *r, uint8_t *c)
{
    if (r->p == r->end) {
        return false;
    }
    *c = *r->p++;
    if (is_letter(*c)) {
        const bool known = strchr("dDwWsSbBAz", *c) != NULL;
        *c = 0;
        return known;
    }
    return *c != 0 && *c < 0x80 && !is_digit(*c);
}

/* One thing with what repeats it. `*c`: the character that every match has for it; 0: none. */
static bool take_thing(struct reader *r, uint32_t *depth, uint8_t *c)
{
    bool may_be_absent;
    *c = *r->p++;
    switch (*c) {
    case '\\':
        if (!take_escape(r, c)) {
            return false;
        }
        break;
    case '(':
        *c = 0;
        ++*depth;
        return skip_opening(r);
    case ')':
        if (*depth == 0) {
            return false;
        }
        *c = 0;
        --*depth;
        break;
    case '[':
        *c = 0;
        if (!skip_class(r)) {
            return false;
        }
        break;
    case '|':
        *c = 0;
        return *depth > 0;
    case '^':
    case '$':
    case '.':
        *c = 0;
        break;
    case '*':
    case '+':
    case '?':
    case '{':
        return false;
    default:
        break;
    }
    if (!skip_repetition(r, &may_be_absent)) {
        return false;
    }
    if (may_be_absent || *depth > 0 || *c >= 0x80 || is_letter(*c)) {
        *c = 0;
    }
    return true;
}

void pattern_needs_add(struct pattern_needs *needs, uint8_t character)
{
    if (needs->n < PATTERN_NEEDS_MAX &&
        (needs->n == 0 || !memchr(needs->at, character, needs->n))) {
        needs->at[needs->n++] = character;
    }
}

/* Of many characters, those that are in few texts. */
static bool is_rare(uint8_t c)
{
    return !is_digit(c) && !strchr(" ./-_:=,", c);
}

void pattern_needs_read(struct pattern_needs *needs, sl_bytes pattern)
{
    struct pattern_needs common = {.n = 0}, rare = {.n = 0};
    struct reader r = {.p = pattern.p, .end = pattern.n ? pattern.p + pattern.n : pattern.p};
    uint32_t depth = 0;
    uint8_t c;
    while (r.p < r.end) {
        if (!take_thing(&r, &depth, &c)) {
            return;
        }
        if (c) {
            pattern_needs_add(is_rare(c) ? &rare : &common, c);
        }
    }
    for (uint32_t i = 0; i < rare.n; i++) {
        pattern_needs_add(needs, rare.at[i]);
    }
    for (uint32_t i = 0; i < common.n; i++) {
        pattern_needs_add(needs, common.at[i]);
    }
}
