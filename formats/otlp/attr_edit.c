/* See attr_edit.h. */
#include "formats/otlp/attr_edit.h"

#include <stdlib.h>

enum { ATTRS_KEPT = 1024 /* room for more is not kept for the next record */ };

/* ---- keys ---- */

uint32_t otlp_keys_add(struct otlp_keys *keys, sl_bytes key)
{
    for (uint32_t i = 0; i < keys->n; i++) {
        if (sl_eq(keys->at[i], key)) {
            return i;
        }
    }
    sl_bytes *at = realloc(keys->at, (keys->n + 1) * sizeof *at);
    if (!at) {
        return OTLP_NONE;
    }
    at[keys->n] = key;
    keys->at = at;
    keys->lengths |= UINT64_C(1) << key.n % 64;
    return keys->n++;
}

void otlp_keys_free(struct otlp_keys *keys)
{
    free(keys->at);
    *keys = (struct otlp_keys){.n = 0};
}

static inline uint32_t key_number(const struct otlp_keys *keys, sl_bytes key)
{
    if (keys->lengths >> key.n % 64 & 1) {
        for (uint32_t i = 0; i < keys->n; i++) {
            if (sl_eq(keys->at[i], key)) {
                return i;
            }
        }
    }
    return OTLP_NONE;
}

/* ---- loading ---- */

static struct otlp_attr *add(struct otlp_attr_edit *e)
{
    if (e->n == e->room) {
        const uint32_t room = e->room ? e->room * 2 : 32;
        struct otlp_attr *at = room > e->room ? realloc(e->at, room * sizeof *at) : NULL;
        if (!at) {
            e->failed = true;
            return NULL;
        }
        e->at = at;
        e->room = room;
    }
    return &e->at[e->n++];
}

/* Puts the newest attribute behind those with the same key. */
static void link_newest(struct otlp_attr_edit *e, uint32_t key)
{
    struct otlp_attr_chain *chain = &e->chains[key];
    const uint32_t newest = e->n - 1;
    if (chain->first == OTLP_NONE) {
        chain->first = newest;
    } else {
        e->at[chain->last].next = newest;
    }
    chain->last = newest;
}

static void found(struct otlp_attr_edit *e, sl_bytes key, sl_bytes any, const uint8_t *from,
                  const uint8_t *to)
{
    const uint32_t number = key_number(e->keys, key);
    if (number == OTLP_NONE && !e->all) {
        return;
    }
    struct otlp_attr *attr = add(e);
    if (!attr) {
        return;
    }
    *attr = (struct otlp_attr){.key = key, .any = any, .from = from, .to = to, .next = OTLP_NONE};
    if (number != OTLP_NONE) {
        link_newest(e, number);
    }
}

/* A length of one or two bytes; returns the bytes that it takes, or 0. */
static inline uint32_t short_length(const uint8_t *p, uint32_t *n)
{
    *n = p[0];
    if (p[0] < 0x80) {
        return 1;
    }
    *n = (p[0] & 0x7fu) | (uint32_t)p[1] << 7;
    return p[1] < 0x80 ? 2 : 0;
}

/* Is what follows the key nothing but a value? Two bytes can be read at `end`. */
static inline bool value_only(const uint8_t *p, const uint8_t *end, sl_bytes *any)
{
    uint32_t n;
    *any = sl_slice(NULL, 0);
    if (p == end) {
        return true;
    }
    const uint32_t size = short_length(p + 1, &n);
    if (p[0] != 0x12 || size == 0 || p + 1 + size + n != end) {
        return false;
    }
    if (n > 0) {
        *any = sl_slice(p + 1 + size, n);
    }
    return true;
}

enum { TAG_FLAGS = 0x85, LOOKAHEAD = 4 };

/* Steps over fields that are written as nearly all are, and looks at the attributes among them;
 * stops before any other, and before the last few bytes. */
static const uint8_t *load_usual(struct otlp_attr_edit *e, const uint8_t *p, const uint8_t *end)
{
    const uint8_t tag = (uint8_t)(e->field << 3 | SL_BYTES);
    const uint64_t lengths = e->all ? UINT64_MAX : e->keys->lengths;
    while (end - p > LOOKAHEAD) {
        uint32_t n, size;
        switch (p[0] & 0x87) {
        case SL_BYTES: {
            size = short_length(p + 1, &n);
            const uint8_t *content = p + 1 + size;
            if (size == 0 || n > end - content) {
                return p;
            }
            if (p[0] == tag) {
                const uint8_t *next = content + n;
                sl_bytes any;
                if (n < 2 || content[0] != 0x0a || content[1] >= 0x80 || content[1] > n - 2 ||
                    end - next < 2 || !value_only(content + 2 + content[1], next, &any)) {
                    return p;
                }
                if (lengths >> content[1] % 64 & 1) {
                    found(e, sl_slice(content + 2, content[1]), any, p, next);
                }
            }
            p = content + n;
            break;
        }
        case SL_FIXED64:
            if (end - p < 9) {
                return p;
            }
            p += 9;
            break;
        case SL_VARINT:
            if (p[1] >= 0x80) {
                return p;
            }
            p += 2;
            break;
        case TAG_FLAGS: /* of a span: its number takes two bytes */
            if (p[0] != TAG_FLAGS || p[1] != 1 || end - p < 6) {
                return p;
            }
            p += 6;
            break;
        default:
            return p;
        }
    }
    return p;
}

bool otlp_attrs_load(struct otlp_attr_edit *e, sl_bytes record, uint32_t field)
{
    if (e->room > ATTRS_KEPT) {
        free(e->at);
        e->at = NULL;
        e->room = 0;
    }
    e->n = 0;
    e->record = record;
    e->field = field;
    e->changed = e->failed = false;
    otlp_scratch_clear(&e->scratch);
    if (e->chains_room < e->keys->n) {
        struct otlp_attr_chain *chains = realloc(e->chains, e->keys->n * sizeof *chains);
        if (!chains) {
            e->failed = true;
            return false;
        }
        e->chains = chains;
        e->chains_room = e->keys->n;
    }
    for (uint32_t i = 0; i < e->keys->n; i++) {
        e->chains[i] = (struct otlp_attr_chain){OTLP_NONE, OTLP_NONE};
    }
    sl_wire w = sl_wire_of(record);
    for (;;) {
        w.p = load_usual(e, w.p, w.end);
        const uint8_t *from = w.p;
        if (!sl_wire_next(&w)) {
            e->failed |= w.p != w.end;
            return !e->failed;
        }
        if (w.number == field && w.type == SL_BYTES) {
            sl_bytes key, any;
            sl_attr_split(w.bytes, &key, &any);
            found(e, key, any, from, w.p);
        }
    }
}

/* ---- changing ---- */

struct otlp_attr *otlp_attrs_get(const struct otlp_attr_edit *e, uint32_t key)
{
    for (uint32_t i = e->chains[key].first; i != OTLP_NONE; i = e->at[i].next) {
        if (e->at[i].state != OTLP_ATTR_GONE) {
            return &e->at[i];
        }
    }
    return NULL;
}

void otlp_attr_replace(struct otlp_attr_edit *e, struct otlp_attr *attr, sl_bytes any)
{
    e->failed |= !any.p;
    attr->any = any;
    attr->state = OTLP_ATTR_SET;
    e->changed = true;
}

void otlp_attr_remove(struct otlp_attr_edit *e, struct otlp_attr *attr)
{
    e->changed |= attr->from != NULL;
    attr->state = OTLP_ATTR_GONE;
}

void otlp_attrs_append(struct otlp_attr_edit *e, sl_bytes key, sl_bytes any)
{
    struct otlp_attr *attr = add(e);
    if (attr) {
        *attr = (struct otlp_attr){.key = key, .next = OTLP_NONE};
        otlp_attr_replace(e, attr, any);
    }
}

void otlp_attrs_set(struct otlp_attr_edit *e, uint32_t key, sl_bytes any)
{
    struct otlp_attr *first = otlp_attrs_get(e, key);
    if (!first) {
        const uint32_t n = e->n;
        otlp_attrs_append(e, e->keys->at[key], any);
        if (e->n > n) {
            link_newest(e, key);
        }
        return;
    }
    otlp_attr_replace(e, first, any);
    for (uint32_t i = first->next; i != OTLP_NONE; i = e->at[i].next) {
        otlp_attr_remove(e, &e->at[i]);
    }
}

void otlp_attrs_remove(struct otlp_attr_edit *e, uint32_t key)
{
    for (uint32_t i = e->chains[key].first; i != OTLP_NONE; i = e->at[i].next) {
        otlp_attr_remove(e, &e->at[i]);
    }
}

/* ---- storing ---- */

static bool write_attr(struct otlp_attr_edit *e, const struct otlp_attr *attr,
                       struct otlp_parts *parts)
{
    const size_t pair =
        2 + sl_varint_size(attr->key.n) + attr->key.n + sl_varint_size(attr->any.n) + attr->any.n;
    const size_t all = 1 + sl_varint_size(pair) + pair;
    uint8_t *at = otlp_scratch_room(&e->scratch, all);
    if (!at) {
        return false;
    }
    uint8_t *p = at;
    *p++ = (uint8_t)(e->field << 3 | SL_BYTES);
    p = sl_put_varint(p, pair);
    *p++ = 0x0a;
    p = sl_put_slice(sl_put_varint(p, attr->key.n), attr->key);
    *p++ = 0x12;
    sl_put_slice(sl_put_varint(p, attr->any.n), attr->any);
    otlp_scratch_take(&e->scratch, all);
    otlp_parts_add(parts, at, all);
    return true;
}

bool otlp_attrs_store(struct otlp_attr_edit *e, struct otlp_parts *parts)
{
    const uint8_t *p = e->record.p;
    bool ok = !e->failed;
    bool rest = false; /* the record's end is written */
    for (uint32_t i = 0; i < e->n && ok; i++) {
        const struct otlp_attr *attr = &e->at[i];
        if (attr->state == OTLP_ATTR_OLD) {
            continue;
        }
        if (attr->from) {
            otlp_parts_add(parts, p, (size_t)(attr->from - p));
            p = attr->to;
        } else if (!rest && e->record.n) {
            otlp_parts_add(parts, p, (size_t)(e->record.p + e->record.n - p));
            rest = true;
        }
        if (attr->state == OTLP_ATTR_SET) {
            ok = write_attr(e, attr, parts);
        }
    }
    if (!rest && e->record.n) {
        otlp_parts_add(parts, p, (size_t)(e->record.p + e->record.n - p));
    }
    return ok && !parts->failed;
}

void otlp_attrs_free(struct otlp_attr_edit *e)
{
    free(e->at);
    free(e->chains);
    otlp_scratch_free(&e->scratch);
    *e = (struct otlp_attr_edit){.keys = NULL};
}

/* ---- values ---- */

sl_bytes otlp_any_text(struct otlp_scratch *scratch, sl_bytes text)
{
    const size_t n = 1 + sl_varint_size(text.n) + text.n;
    uint8_t *at = otlp_scratch_room(scratch, n);
    if (!at) {
        return sl_slice(NULL, 0);
    }
    at[0] = 0x0a;
    sl_put_slice(sl_put_varint(at + 1, text.n), text);
    otlp_scratch_take(scratch, n);
    return sl_slice(at, n);
}

static sl_bytes any_number(struct otlp_scratch *scratch, uint8_t tag, uint64_t value)
{
    uint8_t *at = otlp_scratch_room(scratch, 1 + SL_VARINT_MAX);
    if (!at) {
        return sl_slice(NULL, 0);
    }
    at[0] = tag;
    const size_t n = (size_t)(sl_put_varint(at + 1, value) - at);
    otlp_scratch_take(scratch, n);
    return sl_slice(at, n);
}

sl_bytes otlp_any_bool(struct otlp_scratch *scratch, bool value)
{
    return any_number(scratch, SL_VALUE_BOOL << 3 | SL_VARINT, value);
}

sl_bytes otlp_any_int(struct otlp_scratch *scratch, int64_t value)
{
    return any_number(scratch, SL_VALUE_INT << 3 | SL_VARINT, (uint64_t)value);
}

sl_bytes otlp_any_double(struct otlp_scratch *scratch, double value)
{
    uint8_t *at = otlp_scratch_room(scratch, 9);
    if (!at) {
        return sl_slice(NULL, 0);
    }
    at[0] = SL_VALUE_DOUBLE << 3 | SL_FIXED64;
    memcpy(at + 1, &value, sizeof value);
    otlp_scratch_take(scratch, 9);
    return sl_slice(at, 9);
}
