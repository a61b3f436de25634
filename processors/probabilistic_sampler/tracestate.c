/* See tracestate.h. */
#include "processors/probabilistic_sampler/tracestate.h"

enum {
    MEMBERS_MAX = 32,
    KEY_MAX = 256,
    TENANT_MAX = 241,
    SYSTEM_MAX = 14,
    VALUE_MAX = 256,
    OT_MAX = 256
};

/* Takes the first member off a list. false: there is none left. */
static bool next_member(sl_bytes *list, uint8_t separator, sl_bytes *member)
{
    if (list->n == 0)
        return false;
    const uint8_t *end = memchr(list->p, separator, list->n);
    *member = sl_slice(list->p, end ? (size_t)(end - list->p) : list->n);
    const size_t taken = member->n + (end ? 1 : 0);
    *list = sl_slice(list->p + taken, list->n - taken);
    return true;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static sl_bytes trim(sl_bytes text)
{
    while (text.n && is_blank(text.p[0]))
        text = sl_slice(text.p + 1, text.n - 1);
    while (text.n && is_blank(text.p[text.n - 1]))
        text.n--;
    return text;
}

static bool split(sl_bytes member, uint8_t by, sl_bytes *key, sl_bytes *value)
{
    const uint8_t *at = member.n ? memchr(member.p, by, member.n) : NULL;
    if (!at)
        return false;
    *key = sl_slice(member.p, (size_t)(at - member.p));
    *value = sl_slice(at + 1, member.n - key->n - 1);
    return true;
}

static bool is_lower(uint8_t c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_name(sl_bytes name, bool digit_first)
{
    if (name.n == 0 || !(is_lower(name.p[0]) || (digit_first && is_digit(name.p[0]))))
        return false;
    for (size_t i = 1; i < name.n; i++) {
        const uint8_t c = name.p[i];
        if (!is_lower(c) && !is_digit(c) && c != '_' && c != '-' && c != '*' && c != '/')
            return false;
    }
    return true;
}

static bool is_key(sl_bytes key)
{
    sl_bytes tenant, system;
    if (key.n > KEY_MAX)
        return false;
    if (split(key, '@', &tenant, &system))
        return is_name(tenant, true) && is_name(system, false) && tenant.n <= TENANT_MAX &&
               system.n <= SYSTEM_MAX;
    return is_name(key, false);
}

static bool is_value(sl_bytes value)
{
    for (size_t i = 0; i < value.n; i++) {
        const uint8_t c = value.p[i];
        if (c < 0x20 || c > 0x7e || c == ',' || c == '=')
            return false;
    }
    return value.n > 0 && value.n <= VALUE_MAX && value.p[value.n - 1] != ' ';
}

static bool is_ot_member(sl_bytes key, sl_bytes value)
{
    if (key.n == 0 || !is_lower(key.p[0]))
        return false;
    for (size_t i = 1; i < key.n; i++) {
        if (!is_lower(key.p[i]) && !is_digit(key.p[i]))
            return false;
    }
    for (size_t i = 0; i < value.n; i++) {
        const uint8_t c = value.p[i];
        if (!is_lower(c | 0x20) && !is_digit(c) && c != '.' && c != '_' && c != '-')
            return false;
    }
    return true;
}

static bool read_ot(sl_bytes ot, struct sampling_state *s)
{
    sl_bytes rest = ot, member, key, value;
    *s = (struct sampling_state){.ot = ot};
    if (ot.n == 0 || ot.n > OT_MAX || ot.p[ot.n - 1] == ';')
        return false;
    while (next_member(&rest, ';', &member)) {
        if (!split(member, ':', &key, &value) || !is_ot_member(key, value))
            return false;
        if (sl_eq(key, sl_str("rv"))) {
            if (!randomness_of_text(value, &s->randomness))
                return false;
            s->randomness_text = value;
        } else if (sl_eq(key, sl_str("th"))) {
            if (!threshold_of_text(value, &s->threshold))
                return false;
            s->threshold_text = value;
        }
    }
    return true;
}

bool tracestate_read(sl_bytes text, struct sampling_state *s)
{
    sl_bytes rest = text, member, key, value;
    uint32_t members = 0;
    *s = (struct sampling_state){.randomness = 0};
    if (text.n > TRACESTATE_MAX)
        return false;
    while (next_member(&rest, ',', &member)) {
        member = trim(member);
        if (++members > MEMBERS_MAX)
            return false;
        if (member.n == 0)
            continue;
        if (!split(member, '=', &key, &value) || !is_key(key) || !is_value(value) ||
            (sl_eq(key, sl_str("ot")) && !read_ot(value, s)))
            return false;
    }
    return true;
}

static char *put(char *at, sl_bytes text)
{
    if (text.n)
        memcpy(at, text.p, text.n);
    return at + text.n;
}

size_t tracestate_write(sl_bytes text, const struct sampling_state *s, char out[TRACESTATE_ROOM])
{
    sl_bytes rest = s->ot, member, key, value;
    char *const begin = put(out, sl_str("ot=")), *at = begin;
    if (s->randomness_text.n)
        at = put(put(at, sl_str("rv:")), s->randomness_text);
    if (s->threshold_text.n) {
        if (at > begin)
            *at++ = ';';
        at = put(put(at, sl_str("th:")), s->threshold_text);
    }
    while (next_member(&rest, ';', &member)) {
        if (!split(member, ':', &key, &value) || sl_eq(key, sl_str("rv")) ||
            sl_eq(key, sl_str("th")))
            continue;
        if (at > begin)
            *at++ = ';';
        at = put(at, member);
    }
    if (at == begin) /* nothing of ours is left */
        at = out;
    for (rest = text; next_member(&rest, ',', &member);) {
        member = trim(member);
        if (member.n == 0 || (split(member, '=', &key, &value) && sl_eq(key, sl_str("ot"))))
            continue;
        if (at > out)
            *at++ = ',';
        at = put(at, member);
    }
    return (size_t)(at - out);
}
