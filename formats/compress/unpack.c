/* See unpack.h. gzip and zlib go through libdeflate, which wants the whole output's room and is told
 * again where that was too little; it takes half of zlib's time. One thread at a time for each
 * unpacker. */
#include "formats/compress/unpack.h"
#include "formats/compress/snappy_lz4.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

enum {
    RATIO_EXPECTED = 4, /* of OTLP at least, which makes 4 to 15 */
    RATIO_LEARNED_MAX = 64,
    GZIP_LENGTH = 4,              /* bytes at the end that say how much is in it */
    WINDOW_LOG_MAX = 25,          /* 32 MiB: what Go's zstd asks for at its best level */
    WINDOW_KEPT = 9 * 1024 * 1024 /* bytes of zstd's memory, for the usual window of up to 8 MiB */
};

struct unpacker {
    struct libdeflate_decompressor *deflate;
    ZSTD_DCtx *zstd;               /* made when first needed */
    const struct snappy_lz4 *more; /* NULL: not loaded */
    size_t ratio; /* what is expected of messages that do not tell their size: as the last one */
};

struct unpacker *unpacker_create(void)
{
    struct unpacker *u = (struct unpacker *)calloc(1, sizeof *u);
    if (u && !(u->deflate = libdeflate_alloc_decompressor())) {
        free(u);
        u = NULL;
    }
    if (u)
        u->ratio = RATIO_EXPECTED;
    return u;
}

void unpacker_destroy(struct unpacker *u)
{
    if (u) {
        libdeflate_free_decompressor(u->deflate);
        (void)ZSTD_freeDCtx(u->zstd);
        free(u);
    }
}

static size_t ratio_of(size_t packed, size_t plain)
{
    const size_t ratio = plain / packed + 1;
    return ratio < RATIO_EXPECTED      ? RATIO_EXPECTED
           : ratio > RATIO_LEARNED_MAX ? RATIO_LEARNED_MAX
                                       : ratio;
}

/* ---- gzip and zlib ---- */

static uint32_t length_of_gzip(sl_bytes in)
{
    uint32_t said = 0;
    for (size_t i = 0; in.n >= GZIP_LENGTH && i < GZIP_LENGTH; i++)
        said |= (uint32_t)in.p[in.n - GZIP_LENGTH + i] << (8 * i);
    return said;
}

/* Does it begin as the format does (RFC 1952, RFC 1950)? */
static bool begins_as(enum pack_format format, sl_bytes in)
{
    if (in.n < 2)
        return false;
    return format == PACK_GZIP ? in.p[0] == 0x1f && in.p[1] == 0x8b
                               : (in.p[0] & 15) == 8 && (in.p[0] << 8 | in.p[1]) % 31 == 0;
}

static int32_t inflate_all(struct unpacker *u, enum pack_format format, sl_bytes in,
                           struct output *o, sl_error *error)
{
    const bool gzip = format == PACK_GZIP;
    const char *name = gzip ? "gzip" : "zlib";
    uint8_t nothing;
    const uint32_t said = gzip ? length_of_gzip(in) : UINT32_MAX;
    int32_t status = SL_OK;
    output_expect(o, in.n, said);
    if (in.n == 0)
        return sl_fail(error, SL_ERR_INVALID, "an empty body is not %s", name);
    if (said > 0 && o->limit > 0 && begins_as(format, in))
        status = output_grow(o, error);
    while (status == SL_OK && in.n > 0) {
        size_t read = 0, written = 0;
        uint8_t *at = o->at ? o->at + o->used : &nothing;
        const size_t room = o->capacity - o->used;
        const enum libdeflate_result result =
            gzip ? libdeflate_gzip_decompress_ex(u->deflate, in.p, in.n, at, room, &read, &written)
                 : libdeflate_zlib_decompress_ex(u->deflate, in.p, in.n, at, room, &read, &written);
        if (result == LIBDEFLATE_INSUFFICIENT_SPACE) {
            status = output_grow(o, error);
            continue;
        }
        if (result != LIBDEFLATE_SUCCESS)
            return sl_fail(error, SL_ERR_INVALID, "not a valid %s body: damaged or cut short",
                           name);
        o->used += written;
        in = sl_slice(in.p + read, in.n - read);
        if (in.n > 0 && !gzip)
            return sl_fail(error, SL_ERR_INVALID, "not a valid zlib body: %zu bytes after its end",
                           in.n);
    }
    return status;
}

/* ---- zstd ---- */

static int32_t zstd_failed(size_t result, sl_error *error)
{
    switch (ZSTD_getErrorCode(result)) {
    case ZSTD_error_memory_allocation:
        return sl_fail(error, SL_ERR_NOMEM, "no memory to unpack zstd");
    case ZSTD_error_frameParameter_windowTooLarge:
        return sl_fail(error, SL_ERR_TOO_LARGE,
                       "the zstd window is larger than the limit of %d MiB",
                       1 << (WINDOW_LOG_MAX - 20));
    default:
        return sl_fail(error, SL_ERR_INVALID, "not a valid zstd body: %s",
                       ZSTD_getErrorName(result));
    }
}

static int32_t zstd_begin(struct unpacker *u, sl_error *error)
{
    if (!u->zstd && (u->zstd = ZSTD_createDCtx()) != NULL)
        (void)ZSTD_DCtx_setParameter(u->zstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    if (!u->zstd)
        return sl_fail(error, SL_ERR_NOMEM, "no memory to unpack zstd");
    (void)ZSTD_DCtx_reset(u->zstd, ZSTD_reset_session_only);
    return SL_OK;
}

/* Where there is room for all of a frame, zstd decodes it right there; else through its window. */
static int32_t unzstd_all(struct unpacker *u, sl_bytes in, struct output *o, sl_error *error)
{
    ZSTD_inBuffer from = {in.p, in.n, 0};
    bool ended = false;
    if (in.n == 0)
        return sl_fail(error, SL_ERR_INVALID, "an empty body is not zstd");
    const uint64_t said = ZSTD_getFrameContentSize(in.p, in.n);
    int32_t status = zstd_begin(u, error);
    output_expect(o, in.n, said);
    if (status == SL_OK && said > 0 && said < ZSTD_CONTENTSIZE_ERROR)
        status = output_grow(o, error);
    while (status == SL_OK && (from.pos < from.size || !ended)) {
        /* With no room left a single byte tells whether anything is still to come. */
        uint8_t spare = 0;
        const bool probing = o->used == o->capacity;
        const size_t read = from.pos, used = probing ? 0 : o->used;
        ZSTD_outBuffer to = probing ? (ZSTD_outBuffer){&spare, 1, 0}
                                    : (ZSTD_outBuffer){o->at, o->capacity, o->used};
        const size_t result = ZSTD_decompressStream(u->zstd, &to, &from);
        if (ZSTD_isError(result))
            return zstd_failed(result, error);
        ended = result == 0;
        if (to.pos == used && from.pos == read && !ended)
            return sl_fail(error, SL_ERR_INVALID, "not a valid zstd body: cut short");
        if (!probing) {
            o->used = to.pos;
        } else if (to.pos == 1) {
            status = output_grow(o, error);
            if (status == SL_OK)
                o->at[o->used++] = spare;
        }
    }
    return status;
}

void unpacker_use(struct unpacker *u, const struct snappy_lz4 *more)
{
    u->more = more;
}

static int32_t unpack_more(struct unpacker *u, enum pack_format format, sl_bytes in,
                           struct output *o, sl_error *error)
{
    return u->more ? u->more->unpack(format, in, o, error)
                   : sl_fail(error, SL_ERR_UNSUPPORTED, "snappy and lz4 are not loaded");
}

int32_t unpack(struct unpacker *u, enum pack_format format, sl_bytes packed,
               const struct byte_target *target, size_t limit, size_t *size, sl_error *error)
{
    struct output o = {.target = target, .limit = limit, .ratio = u->ratio};
    const int32_t status = format > PACK_ZSTD    ? unpack_more(u, format, packed, &o, error)
                           : format == PACK_ZSTD ? unzstd_all(u, packed, &o, error)
                                                 : inflate_all(u, format, packed, &o, error);
    if (ZSTD_sizeof_DCtx(u->zstd) > WINDOW_KEPT) {
        (void)ZSTD_freeDCtx(u->zstd);
        u->zstd = NULL;
    }
    if (status == SL_OK) {
        *size = o.used;
        u->ratio = ratio_of(packed.n, o.used);
    }
    return status;
}
