/* Text and attribute pools of the generator; numbers are written by hand because printf would be
 * half of the cost of a span. Used by the thread that owns the pool. */
#include "commands/generate/text.h"

#include <stdlib.h>

enum sl_status text_pool_init(struct text_pool *p, size_t room)
{
    memset(p, 0, sizeof(*p));
    p->at = malloc(room);
    p->room = p->at ? room : 0;
    return p->at ? SL_OK : SL_ERR_NOMEM;
}

void text_pool_deinit(struct text_pool *p)
{
    free(p->at);
    memset(p, 0, sizeof(*p));
}

enum sl_status attr_pool_init(struct attr_pool *p, uint32_t room)
{
    memset(p, 0, sizeof(*p));
    p->at = malloc(room * sizeof(*p->at));
    p->room = p->at ? room : 0;
    return p->at ? SL_OK : SL_ERR_NOMEM;
}

void attr_pool_deinit(struct attr_pool *p)
{
    free(p->at);
    memset(p, 0, sizeof(*p));
}

void text_uint_padded(struct text_pool *p, uint64_t value, unsigned digits)
{
    char buf[20];
    unsigned n = 0;
    do {
        buf[sizeof(buf) - ++n] = (char)('0' + value % 10);
        value /= 10;
    } while (value && n < sizeof(buf));
    while (n < digits && n < sizeof(buf)) {
        buf[sizeof(buf) - ++n] = '0';
    }
    text_add(p, sl_slice(buf + sizeof(buf) - n, n));
}

void text_uint(struct text_pool *p, uint64_t value)
{
    text_uint_padded(p, value, 1);
}

void text_hex(struct text_pool *p, uint64_t value, unsigned digits)
{
    static const char hex[] = "0123456789abcdef";
    char buf[16];
    for (unsigned i = digits; i-- > 0;) {
        buf[i] = hex[value & 15];
        value >>= 4;
    }
    text_add(p, sl_slice(buf, digits));
}

void text_hex_bytes(struct text_pool *p, const uint8_t *at, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        text_hex(p, at[i], 2);
    }
}

void text_fixed(struct text_pool *p, uint64_t hundredths)
{
    text_uint(p, hundredths / 100);
    text_char(p, '.');
    text_uint_padded(p, hundredths % 100, 2);
}

void text_uuid(struct text_pool *p, struct rng *r)
{
    uint64_t a = rng_u64(r);
    uint64_t b = rng_u64(r);
    text_hex(p, a >> 32, 8);
    text_char(p, '-');
    text_hex(p, a >> 16, 4);
    text_add(p, LIT("-4"));
    text_hex(p, a, 3);
    text_char(p, '-');
    text_hex(p, 0x8000 | ((b >> 48) & 0x3fff), 4);
    text_char(p, '-');
    text_hex(p, b, 12);
}

void text_suffix(struct text_pool *p, struct rng *r, unsigned length)
{
    static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
    for (unsigned i = 0; i < length; i++) {
        text_char(p, letters[rng_below(r, sizeof(letters) - 1)]);
    }
}

void attrs_list(struct attr_pool *p, sl_bytes key, const sl_bytes *texts, uint32_t n)
{
    struct attr *a = attrs_add(p, key, VALUE_LIST);
    a->list_size = n;
    a->value.list = texts;
}
