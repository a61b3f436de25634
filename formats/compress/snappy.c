/* Snappy: bare blocks (format_description.txt), and frames of them with checksums
 * (framing_format.txt). Any thread. */
#include "formats/compress/crc32c.h"
#include "formats/compress/snappy_lz4.h"

#include <snappy-c.h>

enum {
    CHUNK_COMPRESSED = 0x00,
    CHUNK_PLAIN = 0x01,
    CHUNK_SKIPPED = 0x80, /* from here on a reader skips what it does not know */
    CHUNK_HEAD = 4,       /* bytes: the type, and the length of what follows */
    CHECKSUM = 4,         /* bytes */
    CHUNK_PLAIN_MAX = 65536,
    RATIO_MAX = 64 /* a copy of three bytes makes 64 at most */
};

static const uint8_t identifier[] = {0xff, 6, 0, 0, 's', 'N', 'a', 'P', 'p', 'Y'};

static int32_t damaged(sl_error *error)
{
    return sl_fail(error, SL_ERR_INVALID, "not a valid snappy body: damaged or cut short");
}

/* ---- blocks ---- */

static int32_t pack_at_end(sl_bytes in, struct pack_buffer *out)
{
    size_t n = snappy_max_compressed_length(in.n);
    const int32_t status = pack_buffer_reserve(out, out->n + n);
    if (status != SL_OK)
        return status;
    if (snappy_compress((const char *)in.p, in.n, (char *)out->at + out->n, &n) != SNAPPY_OK)
        return SL_ERR_NOMEM;
    out->n += n;
    return SL_OK;
}

int32_t snappy_pack_block(sl_bytes in, size_t limit, struct pack_buffer *out)
{
    if (in.n > UINT32_MAX) /* a block's length has 32 bits */
        return SL_ERR_TOO_LARGE;
    out->n = 0;
    const int32_t status = pack_at_end(in, out);
    return status == SL_OK && out->n > limit ? SL_ERR_TOO_LARGE : status;
}

/* What the block says it holds; false: it cannot. */
static bool length_said(sl_bytes block, size_t *n)
{
    return snappy_uncompressed_length((const char *)block.p, block.n, n) == SNAPPY_OK &&
           *n / RATIO_MAX <= block.n;
}

static int32_t unpack_into(sl_bytes block, size_t n, struct output *o, sl_error *error)
{
    const int32_t status = output_room(o, n, error);
    if (status != SL_OK)
        return status;
    uint8_t nothing;
    char *to = (char *)(o->at ? o->at + o->used : &nothing);
    if (snappy_uncompress((const char *)block.p, block.n, to, &n) != SNAPPY_OK)
        return damaged(error);
    o->used += n;
    return SL_OK;
}

int32_t snappy_unpack_block(sl_bytes in, struct output *o, sl_error *error)
{
    if (!length_said(in, &o->expected))
        return damaged(error);
    if (o->expected > o->limit)
        return sl_fail(error, SL_ERR_TOO_LARGE, "unpacks to more than the limit of %zu bytes",
                       o->limit);
    return unpack_into(in, o->expected, o, error);
}

/* ---- frames ---- */

static void put_little_endian(uint8_t *to, uint32_t v, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++)
        to[i] = (uint8_t)(v >> (8 * i));
}

static uint32_t little_endian(const uint8_t *at, uint32_t bytes)
{
    uint32_t v = 0;
    for (uint32_t i = 0; i < bytes; i++)
        v |= (uint32_t)at[i] << (8 * i);
    return v;
}

/* So that the checksum of data with checksums in it is a good one, too. */
static uint32_t masked_checksum(sl_bytes plain)
{
    const uint32_t sum = crc32c(plain);
    return ((sum >> 15) | (sum << 17)) + 0xa282ead8u;
}

static int32_t pack_chunk(sl_bytes plain, struct pack_buffer *out)
{
    const size_t head = out->n;
    int32_t status = pack_buffer_reserve(out, head + CHUNK_HEAD + CHECKSUM);
    if (status != SL_OK)
        return status;
    out->n += CHUNK_HEAD + CHECKSUM;
    status = pack_at_end(plain, out);
    if (status != SL_OK)
        return status;
    uint8_t *at = out->at + head;
    at[0] = CHUNK_COMPRESSED;
    put_little_endian(at + 1, (uint32_t)(out->n - head - CHUNK_HEAD), 3);
    put_little_endian(at + CHUNK_HEAD, masked_checksum(plain), CHECKSUM);
    return SL_OK;
}

int32_t snappy_pack_framed(sl_bytes in, size_t limit, struct pack_buffer *out)
{
    /* chunks that grow by much are none: the room for all is asked for at once */
    size_t room;
    if (__builtin_add_overflow(in.n, in.n / 4 + 256, &room))
        return SL_ERR_TOO_LARGE;
    int32_t status = pack_buffer_reserve(out, room);
    if (status != SL_OK)
        return status;
    memcpy(out->at, identifier, sizeof identifier);
    out->n = sizeof identifier;
    while (in.n > 0 && status == SL_OK && out->n <= limit) {
        const size_t n = in.n < CHUNK_PLAIN_MAX ? in.n : CHUNK_PLAIN_MAX;
        status = pack_chunk(sl_slice(in.p, n), out);
        in = sl_slice(in.p + n, in.n - n);
    }
    return status == SL_OK && out->n > limit ? SL_ERR_TOO_LARGE : status;
}

bool snappy_is_framed(sl_bytes in)
{
    return in.n >= sizeof identifier && memcmp(in.p, identifier, sizeof identifier) == 0;
}

/* A chunk of data: a checksum, and the bytes, compressed or not. */
static int32_t unpack_chunk(uint8_t type, sl_bytes chunk, struct output *o, sl_error *error)
{
    if (chunk.n < CHECKSUM)
        return damaged(error);
    const sl_bytes data = sl_slice(chunk.p + CHECKSUM, chunk.n - CHECKSUM);
    size_t n = data.n;
    if (type == CHUNK_COMPRESSED && !length_said(data, &n))
        return damaged(error);
    if (n > CHUNK_PLAIN_MAX)
        return damaged(error);
    const size_t before = o->used;
    const int32_t status =
        type == CHUNK_COMPRESSED ? unpack_into(data, n, o, error) : output_room(o, n, error);
    if (status != SL_OK)
        return status;
    if (type == CHUNK_PLAIN && n)
        memcpy(o->at + o->used, data.p, n);
    o->used = before + n;
    if (n && masked_checksum(sl_slice(o->at + before, n)) != little_endian(chunk.p, CHECKSUM))
        return sl_fail(error, SL_ERR_INVALID, "not a valid snappy body: a checksum is wrong");
    return SL_OK;
}

int32_t snappy_unpack_framed(sl_bytes in, struct output *o, sl_error *error)
{
    if (!snappy_is_framed(in))
        return sl_fail(error, SL_ERR_INVALID, "not a valid snappy body: it is not framed");
    output_expect(o, in.n, 0);
    while (in.n > 0) {
        if (in.n < CHUNK_HEAD)
            return damaged(error);
        const uint8_t type = in.p[0];
        const uint32_t n = little_endian(in.p + 1, 3);
        in = sl_slice(in.p + CHUNK_HEAD, in.n - CHUNK_HEAD);
        if (n > in.n)
            return damaged(error);
        if (type == CHUNK_COMPRESSED || type == CHUNK_PLAIN) {
            const int32_t status = unpack_chunk(type, sl_slice(in.p, n), o, error);
            if (status != SL_OK)
                return status;
        } else if (type < CHUNK_SKIPPED) {
            return sl_fail(error, SL_ERR_INVALID, "not a valid snappy body: a chunk of type 0x%02x",
                           type);
        }
        in = sl_slice(in.p + n, in.n - n);
    }
    return SL_OK;
}
