/* What is done to a key, a text, and the attributes of a record. On the instance's lane. What cannot be
 * decided, because a pattern takes too long, is masked as a whole. */
#include "formats/otlp/value_text.h"
#include "processors/redaction/redaction.h"

#include <stdlib.h>

/* What is kept from record to record: a huge one does not hold its memory. */
enum { KEYS_KEPT = 4096, BYTES_KEPT = 1 << 20 };

bool redaction_grow(sl_writer *w, size_t more)
{
    size_t room;
    if (__builtin_add_overflow(w->used, more, &room) || room > SIZE_MAX / 2) {
        return false;
    }
    room *= 2;
    uint8_t *at = realloc(w->at, room);
    if (!at) {
        return false;
    }
    w->at = at;
    w->room = room;
    return true;
}

void redaction_restart(sl_writer *writer)
{
    if (writer->room > BYTES_KEPT) {
        free(writer->at);
        writer->at = NULL;
        writer->room = 0;
    }
    writer->used = 0;
    writer->failed = false;
}

void touched_clear(struct touched *t)
{
    for (uint32_t i = 0; i < TOUCHES; i++) {
        if (t->room[i] > KEYS_KEPT) {
            free(t->at[i]);
            t->at[i] = NULL;
            t->room[i] = 0;
        }
    }
    memset(t->n, 0, sizeof t->n);
}

void touched_add(struct redaction *r, enum touch touch, sl_bytes key)
{
    struct touched *t = &r->touched;
    if (t->n[touch] == t->room[touch]) {
        const uint32_t room = t->room[touch] ? t->room[touch] * 2 : 32;
        sl_bytes *at = realloc(t->at[touch], room * sizeof *at);
        if (!at) {
            r->failed = true;
            return;
        }
        t->at[touch] = at;
        t->room[touch] = room;
    }
    t->at[touch][t->n[touch]++] = key;
}

/* ---- keys and values ---- */

/* `costly`: what it means that a pattern takes too long. */
static bool one_matches(struct redaction *r, const struct patterns *patterns, sl_bytes text,
                        bool costly)
{
    for (uint32_t i = 0; i < patterns->n; i++) {
        const int32_t found = pattern_match(patterns->at[i], r->matcher, text);
        if (found == PATTERN_YES || (found == PATTERN_COSTLY && costly)) {
            return true;
        }
    }
    return false;
}

enum fate fate_of_key(struct redaction *r, sl_bytes key)
{
    const struct redaction_config *c = r->config;
    if (key_set_has(&c->ignored, key) || one_matches(r, &c->ignored_keys_by_pattern, key, false)) {
        return FATE_IGNORE;
    }
    if (!c->allow_all_keys && !key_set_has(&c->allowed, key)) {
        return FATE_REMOVE;
    }
    return one_matches(r, &c->blocked_keys, key, true) ? FATE_MASK : FATE_LOOK;
}

bool value_is_allowed(struct redaction *r, sl_bytes text)
{
    return one_matches(r, &r->config->unblocked, text, false);
}

static void write_mask(struct redaction *r, sl_bytes match)
{
    char hex[DIGEST_HEX_MAX];
    if (!r->digest) {
        sl_write_raw(&r->text, sl_str("****"));
        return;
    }
    const size_t n = digest_hex(r->digest, match, hex);
    r->failed |= n == 0;
    sl_write_raw(&r->text, sl_slice(hex, n));
}

/* The text with all matches masked; the same slice: there are none. */
static sl_bytes mask(struct redaction *r, struct otlp_scratch *scratch, sl_bytes text,
                     const struct pattern *pattern)
{
    struct pattern_all all = {.at = 0};
    size_t done = 0;
    bool any = false;
    int32_t found;
    redaction_restart(&r->text);
    while ((found = pattern_next(pattern, r->matcher, text, &all)) == PATTERN_YES) {
        sl_write_raw(&r->text, sl_slice(text.p + done, all.begin - done));
        write_mask(r, sl_slice(text.p + all.begin, all.end - all.begin));
        done = all.end;
        any = true;
    }
    if (found == PATTERN_COSTLY) {
        redaction_restart(&r->text);
        write_mask(r, text);
        any = true;
    } else if (any) {
        sl_write_raw(&r->text, sl_slice(text.p + done, text.n - done));
    }
    if (!any) {
        return text;
    }
    const sl_bytes made = sl_written(&r->text);
    uint8_t *at = otlp_scratch_room(scratch, made.n + 1);
    if (!at || r->text.failed) {
        r->failed = true;
        return sl_str("");
    }
    sl_put_slice(at, made);
    otlp_scratch_take(scratch, made.n + 1);
    return sl_slice(at, made.n);
}

sl_bytes mask_values(struct redaction *r, struct otlp_scratch *scratch, sl_bytes text)
{
    for (uint32_t i = 0; i < r->config->blocked.n; i++) {
        text = mask(r, scratch, text, r->config->blocked.at[i]);
    }
    return text;
}

sl_bytes mask_all(struct redaction *r, struct otlp_scratch *scratch, sl_bytes text)
{
    return mask(r, scratch, text, r->config->everything);
}

/* ---- attributes ---- */

/* The value as the patterns see it: of others than texts nothing, unless all types are looked at. */
static sl_bytes seen_text(struct redaction *r, const struct otlp_attr *attr)
{
    const sl_value value = sl_value_of(attr->any);
    if (value.type != SL_VALUE_TEXT && !r->config->redact_all_types) {
        return sl_str("");
    }
    const sl_bytes text = otlp_value_text(&r->config->powers, &value, &r->edit.scratch);
    r->failed |= !text.p;
    return text.p ? text : sl_str("");
}

static void replace(struct redaction *r, struct otlp_attr *attr, sl_bytes text)
{
    otlp_attr_replace(&r->edit, attr, otlp_any_text(&r->edit.scratch, text));
    touched_add(r, MASKED, attr->key);
}

static void redact_attribute(struct redaction *r, struct otlp_attr *attr)
{
    const enum fate fate = fate_of_key(r, attr->key);
    if (fate == FATE_IGNORE) {
        touched_add(r, IGNORED, attr->key);
        return;
    }
    if (fate == FATE_REMOVE) {
        touched_add(r, REDACTED, attr->key);
        otlp_attr_remove(&r->edit, attr);
        return;
    }
    const sl_bytes text = seen_text(r, attr);
    if (value_is_allowed(r, text)) {
        touched_add(r, ALLOWED, attr->key);
        return;
    }
    const sl_bytes masked = fate == FATE_MASK ? mask_all(r, &r->edit.scratch, text)
                                              : mask_values(r, &r->edit.scratch, text);
    if (fate == FATE_MASK || !sl_eq(masked, text)) {
        replace(r, attr, masked);
    }
}

void redact_attributes(struct redaction *r)
{
    const uint32_t n = r->edit.n; /* those that were there */
    for (uint32_t i = 0; i < n; i++) {
        redact_attribute(r, &r->edit.at[i]);
    }
}

/* ---- the summary ---- */

static int by_bytes(const void *a, const void *b)
{
    const sl_bytes *x = a, *y = b;
    const size_t n = x->n < y->n ? x->n : y->n;
    const int order = n ? memcmp(x->p, y->p, n) : 0;
    return order ? order : (x->n > y->n) - (x->n < y->n);
}

static sl_value value_at(const struct redaction *r, uint32_t key)
{
    const struct otlp_attr *attr = otlp_attrs_get(&r->edit, key);
    return sl_value_of(attr ? attr->any : sl_slice(NULL, 0));
}

/* The keys and those that a redaction before this one has left, in order, joined by commas. */
static void set_keys(struct redaction *r, enum touch touch, uint32_t key)
{
    const sl_value old = value_at(r, key);
    const uint32_t own = r->touched.n[touch];
    if (old.type == SL_VALUE_TEXT && old.bytes.n) {
        size_t from = 0;
        for (size_t i = 0; i <= old.bytes.n; i++) {
            if (i == old.bytes.n || old.bytes.p[i] == ',') {
                touched_add(r, touch, sl_slice(old.bytes.p + from, i - from));
                from = i + 1;
            }
        }
    }
    qsort(r->touched.at[touch], r->touched.n[touch], sizeof(sl_bytes), by_bytes);
    redaction_restart(&r->text);
    for (uint32_t i = 0; i < r->touched.n[touch]; i++) {
        if (i) {
            sl_write_raw(&r->text, sl_str(","));
        }
        sl_write_raw(&r->text, r->touched.at[touch][i]);
    }
    r->touched.n[touch] = own;
    r->failed |= r->text.failed;
    otlp_attrs_set(&r->edit, key, otlp_any_text(&r->edit.scratch, sl_written(&r->text)));
}

void add_summary(struct redaction *r, uint32_t first_key)
{
    for (uint32_t touch = 0; touch < TOUCHES && r->config->summary != SUMMARY_SILENT; touch++) {
        const uint32_t n = r->touched.n[touch];
        if (n == 0) {
            continue;
        }
        if (r->config->summary == SUMMARY_DEBUG && touch != IGNORED) {
            set_keys(r, (enum touch)touch, first_key + KEY_OF_KEYS + touch);
        }
        const sl_value old = value_at(r, first_key + KEY_OF_COUNTS + touch);
        const uint64_t before = old.type == SL_VALUE_INT ? old.number.u : 0;
        otlp_attrs_set(&r->edit, first_key + KEY_OF_COUNTS + touch,
                       otlp_any_int(&r->edit.scratch, (int64_t)(before + n)));
    }
}
