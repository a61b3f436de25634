/* Bodies of the journal's records. */
#include "pipeline/journal/envelope.h"
#include "pipeline/journal/format.h"
#include <string.h>

enum {
    VERSION = 1,
    FIXED = 32, /* bytes before the encoding's name */
    HEAD_MAX = 1 << 20
};

/* At what byte of the head what stands; all numbers are little-endian. */
enum {
    AT_VERSION = 0,
    AT_HEAD = 4, /* bytes before the payload */
    AT_SIGNAL = 8,
    AT_METADATA_FLAGS = 12,
    AT_ENCODING = 16, /* bytes of the name */
    AT_ENTRIES = 20,
    AT_ARRIVED = 24
};

static bool is_credential(sl_bytes key)
{
    static const char *const names[] = {
        "authorization", "proxy-authorization", "cookie",     "set-cookie",
        "api-key",       "x-api-key",           "dd-api-key", "x-amz-security-token",
        "x-auth-token",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (sl_eq(key, sl_str(names[i])))
            return true;
    return false;
}

static size_t encoding_size(const sl_payload *p)
{
    return p->encoding ? strlen(p->encoding) : 0;
}

size_t envelope_head_size(const sl_payload *p, const sl_metadata *m)
{
    size_t n = FIXED + encoding_size(p);
    for (uint32_t i = 0; m && i < m->n; i++)
        if (!is_credential(m->at[i].key))
            if (__builtin_add_overflow(n, 8 + m->at[i].key.n, &n) ||
                __builtin_add_overflow(n, m->at[i].value.n, &n))
                return 0;
    return n <= HEAD_MAX ? n : 0;
}

static uint8_t *put_text(uint8_t *at, sl_bytes text)
{
    format_put32(at, (uint32_t)text.n);
    if (text.n)
        memcpy(at + 4, text.p, text.n);
    return at + 4 + text.n;
}

void envelope_head(const sl_payload *p, const sl_metadata *m, uint8_t *head)
{
    const size_t encoding = encoding_size(p);
    uint8_t *at = head + FIXED + encoding;
    uint32_t entries = 0;
    for (uint32_t i = 0; m && i < m->n; i++) {
        if (is_credential(m->at[i].key))
            continue;
        at = put_text(put_text(at, m->at[i].key), m->at[i].value);
        entries++;
    }
    memset(head, 0, FIXED);
    format_put32(head + AT_VERSION, VERSION);
    format_put32(head + AT_HEAD, (uint32_t)(at - head));
    format_put32(head + AT_SIGNAL, p->signal);
    format_put32(head + AT_METADATA_FLAGS, m ? m->flags : 0);
    format_put32(head + AT_ENCODING, (uint32_t)encoding);
    format_put32(head + AT_ENTRIES, entries);
    format_put64(head + AT_ARRIVED, m ? (uint64_t)m->arrived_ns : 0);
    if (encoding)
        memcpy(head + FIXED, p->encoding, encoding);
}

/* Takes a text with its length off the front. False: there is none. */
static bool take_text(sl_bytes *rest, sl_bytes *text)
{
    if (rest->n < 4)
        return false;
    const uint32_t n = format_get32(rest->p);
    if (n > rest->n - 4)
        return false;
    *text = sl_slice(rest->p + 4, n);
    *rest = sl_slice(rest->p + 4 + n, rest->n - 4 - n);
    return true;
}

int32_t envelope_open(sl_bytes body, struct envelope *e, sl_error *error)
{
    if (body.n < FIXED)
        return sl_fail(error, SL_ERR_INVALID, "a record of %zu bytes has no head", body.n);
    if (format_get32(body.p + AT_VERSION) != VERSION)
        return sl_fail(error, SL_ERR_INVALID,
                       "a record's head is of version %u; this program knows version %d",
                       format_get32(body.p + AT_VERSION), VERSION);
    const uint32_t head = format_get32(body.p + AT_HEAD),
                   encoding = format_get32(body.p + AT_ENCODING);
    *e = (struct envelope){.signal = format_get32(body.p + AT_SIGNAL),
                           .metadata_flags = format_get32(body.p + AT_METADATA_FLAGS),
                           .arrived_ns = (int64_t)format_get64(body.p + AT_ARRIVED),
                           .n_entries = format_get32(body.p + AT_ENTRIES)};
    if (head < FIXED || head > body.n || encoding > head - FIXED)
        return sl_fail(error, SL_ERR_INVALID, "a record's head does not fit into it");
    if (!e->signal || (e->signal & (e->signal - 1)) || e->signal > SL_PROFILES)
        return sl_fail(error, SL_ERR_INVALID, "a record is of no known signal (0x%x)", e->signal);
    e->encoding = sl_slice(body.p + FIXED, encoding);
    e->entries = sl_slice(body.p + FIXED + encoding, head - FIXED - encoding);
    e->payload = sl_slice(body.p + head, body.n - head);
    sl_bytes rest = e->entries, text;
    for (uint32_t i = 0; i < e->n_entries; i++)
        if (!take_text(&rest, &text) || !take_text(&rest, &text))
            return sl_fail(error, SL_ERR_INVALID, "a record's metadata is cut off");
    return rest.n ? sl_fail(error, SL_ERR_INVALID, "a record's head has bytes left over") : SL_OK;
}

sl_meta_entry envelope_entry(sl_bytes *rest)
{
    sl_meta_entry entry = {0};
    if (take_text(rest, &entry.key))
        (void)take_text(rest, &entry.value);
    return entry;
}
