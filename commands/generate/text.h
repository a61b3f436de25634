/* Pools of text and attributes with a fixed size, emptied for each trace or collection. A pool that
 * is full sets `failed` and gives empty results, so that a maker checks once, at its end. One
 * thread. */
#ifndef SLUICE_GENERATE_TEXT_H
#define SLUICE_GENERATE_TEXT_H

#include "commands/generate/model.h"
#include "commands/generate/random.h"

struct text_pool {
    char *at;
    size_t used;
    size_t room;
    size_t start; /* of the text under construction */
    bool failed;
};

struct attr_pool {
    struct attr *at;
    uint32_t used;
    uint32_t room;
    uint32_t start; /* of the list under construction */
    bool failed;
};

enum sl_status text_pool_init(struct text_pool *p, size_t room);
void text_pool_deinit(struct text_pool *p);
enum sl_status attr_pool_init(struct attr_pool *p, uint32_t room);
void attr_pool_deinit(struct attr_pool *p);

/* One text at a time: begin, add pieces, end. */
static inline void text_begin(struct text_pool *p)
{
    p->start = p->used;
}

static inline void text_add(struct text_pool *p, sl_bytes s)
{
    if (s.n > p->room - p->used) {
        p->failed = true;
        return;
    }
    if (s.n) { /* an empty slice may have no address */
        memcpy(p->at + p->used, s.p, s.n);
        p->used += s.n;
    }
}

static inline void text_char(struct text_pool *p, char c)
{
    if (p->used == p->room) {
        p->failed = true;
        return;
    }
    p->at[p->used++] = c;
}

static inline sl_bytes text_end(struct text_pool *p)
{
    return sl_slice(p->at + p->start, p->used - p->start);
}

void text_uint(struct text_pool *p, uint64_t value);
void text_uint_padded(struct text_pool *p, uint64_t value, unsigned digits);
void text_hex(struct text_pool *p, uint64_t value, unsigned digits); /* the low digits */
void text_hex_bytes(struct text_pool *p, const uint8_t *at, size_t n);
void text_fixed(struct text_pool *p, uint64_t hundredths); /* 12.34 */
void text_uuid(struct text_pool *p, struct rng *r);
/* Random letters and digits, as in the names of Kubernetes pods. */
void text_suffix(struct text_pool *p, struct rng *r, unsigned length);

/* One list at a time, as with texts. */
static inline void attrs_begin(struct attr_pool *p)
{
    p->start = p->used;
}

static inline struct attrs attrs_end(const struct attr_pool *p)
{
    struct attrs list = {p->at + p->start, p->used - p->start};
    return list;
}

static inline struct attr *attrs_add(struct attr_pool *p, sl_bytes key, enum value_type type)
{
    if (p->used == p->room) {
        p->failed = true;
        p->used--; /* overwrites the last one: what is made is thrown away */
    }
    struct attr *a = &p->at[p->used++];
    a->key = key;
    a->type = type;
    return a;
}

static inline void attrs_text(struct attr_pool *p, sl_bytes key, sl_bytes value)
{
    attrs_add(p, key, VALUE_TEXT)->value.text = value;
}

static inline void attrs_int(struct attr_pool *p, sl_bytes key, int64_t value)
{
    attrs_add(p, key, VALUE_INT)->value.integer = value;
}

static inline void attrs_double(struct attr_pool *p, sl_bytes key, double value)
{
    attrs_add(p, key, VALUE_DOUBLE)->value.number = value;
}

static inline void attrs_bool(struct attr_pool *p, sl_bytes key, bool value)
{
    attrs_add(p, key, VALUE_BOOL)->value.truth = value;
}

void attrs_list(struct attr_pool *p, sl_bytes key, const sl_bytes *texts, uint32_t n);

#endif
