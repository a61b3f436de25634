#include "pipeline/journal/format.h"
#include "pipeline/journal/crc32c.h"

#include <sluice/plugin.h>
#include <stdio.h>
#include <string.h>

static const uint8_t magic[8] = {'s', 'l', 'u', 'i', 'c', 'e', 'j', 'l'};

void format_put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

void format_put32(uint8_t *p, uint32_t v)
{
    format_put16(p, (uint16_t)v);
    format_put16(p + 2, (uint16_t)(v >> 16));
}

void format_put64(uint8_t *p, uint64_t v)
{
    format_put32(p, (uint32_t)v);
    format_put32(p + 4, (uint32_t)(v >> 32));
}

uint16_t format_get16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

uint32_t format_get32(const uint8_t *p)
{
    return format_get16(p) | (uint32_t)format_get16(p + 2) << 16;
}

uint64_t format_get64(const uint8_t *p)
{
    return format_get32(p) | (uint64_t)format_get32(p + 4) << 32;
}

static uint32_t crc_of_head(const uint8_t head[FORMAT_HEAD_BYTES])
{
    return crc32c(crc32c(0, head, 12), head + 16, FORMAT_HEAD_BYTES - 16);
}

void format_encode_head(const struct segment_head *head, uint8_t out[FORMAT_HEAD_BYTES])
{
    const size_t n = strnlen(head->stream, FORMAT_STREAM_MAX);
    memset(out, 0, FORMAT_HEAD_BYTES);
    memcpy(out, magic, sizeof magic);
    format_put32(out + 8, FORMAT_VERSION);
    format_put64(out + 16, head->id);
    format_put64(out + 24, head->salt);
    format_put64(out + 32, head->first_seq);
    format_put64(out + 40, head->previous_id);
    format_put64(out + 48, head->previous_end);
    format_put64(out + 56, head->previous_salt);
    format_put64(out + 64, (uint64_t)head->created_ns);
    format_put64(out + 72, head->bytes);
    format_put16(out + 80, (uint16_t)n);
    memcpy(out + 82, head->stream, n);
    format_put32(out + 12, crc_of_head(out));
}

int32_t format_decode_head(const uint8_t in[FORMAT_HEAD_BYTES], struct segment_head *head)
{
    if (memcmp(in, magic, sizeof magic) != 0 || format_get32(in + 12) != crc_of_head(in))
        return SL_ERR_INVALID;
    if (format_get32(in + 8) != FORMAT_VERSION)
        return SL_ERR_UNSUPPORTED;
    const uint16_t n = format_get16(in + 80);
    if (n > FORMAT_STREAM_MAX)
        return SL_ERR_INVALID;
    *head = (struct segment_head){.id = format_get64(in + 16),
                                  .salt = format_get64(in + 24),
                                  .first_seq = format_get64(in + 32),
                                  .previous_id = format_get64(in + 40),
                                  .previous_end = format_get64(in + 48),
                                  .previous_salt = format_get64(in + 56),
                                  .created_ns = (int64_t)format_get64(in + 64),
                                  .bytes = format_get64(in + 72)};
    memcpy(head->stream, in + 82, n);
    return SL_OK;
}

uint32_t format_seed(uint64_t id, uint64_t salt)
{
    uint8_t bytes[16];
    format_put64(bytes, id);
    format_put64(bytes + 8, salt);
    return crc32c(0, bytes, sizeof bytes);
}

void format_encode_record(const struct record_head *head, uint32_t seed,
                          uint8_t out[FORMAT_RECORD_BYTES])
{
    format_put32(out + 4, head->body_crc);
    format_put32(out + 8, head->bytes);
    out[12] = head->type;
    out[13] = head->flags;
    format_put16(out + 14, 0);
    format_put32(out + 16, head->items);
    format_put32(out + 20, head->prefix);
    format_put64(out + 24, head->seq);
    format_put64(out + 32, (uint64_t)head->arrived_ns);
    format_put32(out, crc32c(seed, out + 4, FORMAT_RECORD_BYTES - 4));
}

static bool are_items_right(uint8_t type, uint32_t items)
{
    if (type == RECORD_DATA || type == RECORD_COPY || type == RECORD_PARTS)
        return items > 0 && items <= FORMAT_ITEMS_MAX;
    return items == 0;
}

bool format_decode_record(const uint8_t in[FORMAT_RECORD_BYTES], uint32_t seed, uint64_t room,
                          struct record_head *head)
{
    const uint32_t bytes = format_get32(in + 8), prefix = format_get32(in + 20);
    /* what is cheap and tells most of what is no record comes first */
    if (in[12] < RECORD_DATA || in[12] > RECORD_END || in[13] || in[14] || in[15] ||
        format_room(bytes) > room || prefix > bytes ||
        !are_items_right(in[12], format_get32(in + 16)) ||
        format_get32(in) != crc32c(seed, in + 4, FORMAT_RECORD_BYTES - 4))
        return false;
    *head = (struct record_head){.body_crc = format_get32(in + 4),
                                 .bytes = bytes,
                                 .items = format_get32(in + 16),
                                 .prefix = prefix,
                                 .type = in[12],
                                 .flags = in[13],
                                 .seq = format_get64(in + 24),
                                 .arrived_ns = (int64_t)format_get64(in + 32)};
    return true;
}

void format_segment_name(uint64_t id, char out[FORMAT_NAME_MAX])
{
    (void)snprintf(out, FORMAT_NAME_MAX, "%016llx.seg", (unsigned long long)id);
}

void format_spare_name(uint64_t id, char out[FORMAT_NAME_MAX])
{
    (void)snprintf(out, FORMAT_NAME_MAX, "spare-%016llx.seg", (unsigned long long)id);
}

/* 16 hexadecimal digits, ".seg" and the end. */
static bool is_numbered(const char *name, uint64_t *id)
{
    *id = 0;
    for (int i = 0; i < 16; i++) {
        const char c = name[i];
        if (c >= '0' && c <= '9')
            *id = *id << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            *id = *id << 4 | (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    return strcmp(name + 16, ".seg") == 0;
}

bool format_is_segment(const char *name, uint64_t *id)
{
    return is_numbered(name, id) && *id > 0 && *id < UINT64_MAX;
}

bool format_is_spare(const char *name, uint64_t *id)
{
    return strncmp(name, "spare-", 6) == 0 && is_numbered(name + 6, id);
}
