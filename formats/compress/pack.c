/* See pack.h. One thread at a time for each packer. */
#include "formats/compress/pack.h"
#include "formats/compress/snappy_lz4.h"

#include <libdeflate.h>
#include <limits.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

enum {
    WINDOW = 15,               /* zlib's largest */
    WINDOW_GZIP = WINDOW + 16, /* the same, in gzip's container */
    DEFLATE_MEMORY = 8,        /* zlib's default */
    HUFFMAN_ONLY = -2,
    USUAL = -1,
    USUAL_LEVEL = 6,
    LEVEL_MAX = 9,
    GATHERED_MAX = 8 << 20,  /* larger messages of several segments are packed part by part */
    GATHERED_KEPT = 1 << 20, /* a larger buffer is not kept for the next message */
    ZSTD_LEVEL_MAX = 19,
    RATIO_EXPECTED = 4,        /* of OTLP; it makes 5 to 15 */
    OUTPUT_AT_FIRST = 4 * 1024 /* bytes */
};

/* Messages that are there as a whole go through libdeflate, in half the time of zlib, which packs what
 * comes in parts. */
struct packer {
    enum pack_format format;
    int level;
    struct libdeflate_compressor *whole; /* NULL: it has no such level */
    struct pack_buffer gathered;         /* segments in one piece, for `whole` */
    z_stream z;
    bool z_begun; /* at the first message in parts */
    ZSTD_CCtx *zstd;
    const struct snappy_lz4 *more; /* of its formats */
    /* of the message */
    struct pack_buffer *out;
    size_t limit;
};

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static uInt chunk_of(size_t n)
{
    return n < UINT_MAX ? (uInt)n : UINT_MAX;
}

/* ---- the buffer ---- */

/* Room behind what is written, at least a byte. */
static int32_t buffer_room(struct pack_buffer *b, size_t limit, size_t *room)
{
    if (b->n >= limit)
        return SL_ERR_TOO_LARGE;
    if (b->n == b->capacity) {
        const size_t doubled = b->capacity > limit / 2 ? limit : b->capacity * 2;
        const int32_t status = pack_buffer_reserve(b, doubled);
        if (status != SL_OK)
            return status;
    }
    *room = smaller(b->capacity, limit) - b->n;
    return SL_OK;
}

/* ---- life ---- */

static bool zlib_begin(struct packer *p)
{
    const int window = p->format == PACK_GZIP ? WINDOW_GZIP : WINDOW;
    const bool huffman = p->level == HUFFMAN_ONLY;
    p->z_begun = p->z_begun || deflateInit2(&p->z, huffman ? Z_DEFAULT_COMPRESSION : p->level,
                                            Z_DEFLATED, window, DEFLATE_MEMORY,
                                            huffman ? Z_HUFFMAN_ONLY : Z_DEFAULT_STRATEGY) == Z_OK;
    return p->z_begun;
}

static bool deflate_create(struct packer *p)
{
    if (p->level < HUFFMAN_ONLY || p->level > LEVEL_MAX)
        return false;
    if (p->level == HUFFMAN_ONLY)
        return true;
    p->whole = libdeflate_alloc_compressor(p->level == USUAL ? USUAL_LEVEL : p->level);
    return p->whole != NULL;
}

static bool zstd_create(struct packer *p)
{
    p->zstd = ZSTD_createCCtx(); /* brings levels that are too low into its range by itself */
    return p->zstd && !ZSTD_isError(ZSTD_CCtx_setParameter(
                          p->zstd, ZSTD_c_compressionLevel,
                          p->level < ZSTD_LEVEL_MAX ? p->level : ZSTD_LEVEL_MAX));
}

struct packer *packer_create(enum pack_format format, int level)
{
    struct packer *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->format = format;
    p->level = level;
    if (format == PACK_ZSTD ? zstd_create(p) : deflate_create(p))
        return p;
    packer_destroy(p);
    return NULL;
}

struct packer *packer_create_with(const struct snappy_lz4 *more, enum pack_format format)
{
    struct packer *p = calloc(1, sizeof *p);
    if (p) {
        p->format = format;
        p->more = more;
    }
    return p;
}

void packer_add_checksum(struct packer *p)
{
    if (p->format == PACK_ZSTD)
        (void)ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_checksumFlag, 1);
}

void packer_destroy(struct packer *p)
{
    if (!p)
        return;
    if (p->z_begun)
        (void)deflateEnd(&p->z);
    libdeflate_free_compressor(p->whole);
    pack_buffer_deinit(&p->gathered);
    (void)ZSTD_freeCCtx(p->zstd);
    free(p);
}

/* ---- in parts ---- */

static int32_t deflate_feed(struct packer *p, sl_bytes in, bool last)
{
    z_stream *z = &p->z;
    for (;;) {
        const uInt fed = chunk_of(in.n);
        size_t room;
        const int32_t status = buffer_room(p->out, p->limit, &room);
        if (status != SL_OK)
            return status;
        const uInt space = chunk_of(room);
        z->next_in = (z_const Bytef *)in.p;
        z->avail_in = fed;
        z->next_out = p->out->at + p->out->n;
        z->avail_out = space;
        const int result = deflate(z, last && fed == in.n ? Z_FINISH : Z_NO_FLUSH);
        in = sl_slice(in.p + (fed - z->avail_in), in.n - (fed - z->avail_in));
        p->out->n += space - z->avail_out;
        if (last ? result == Z_STREAM_END : in.n == 0 && z->avail_out > 0)
            return SL_OK;
    }
}

static int32_t zstd_feed(struct packer *p, sl_bytes in, bool last)
{
    ZSTD_inBuffer from = {in.p, in.n, 0};
    for (;;) {
        size_t room;
        const int32_t status = buffer_room(p->out, p->limit, &room);
        if (status != SL_OK)
            return status;
        ZSTD_outBuffer to = {p->out->at + p->out->n, room, 0};
        const size_t left =
            ZSTD_compressStream2(p->zstd, &to, &from, last ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left))
            return SL_ERR_NOMEM; /* nothing else can go wrong: the input is what was pledged */
        p->out->n += to.pos;
        if (last ? left == 0 : from.pos == from.size)
            return SL_OK;
    }
}

/* Snappy and lz4 want messages in one piece: what comes in parts is gathered first. */
static int32_t more_feed(struct packer *p, sl_bytes in, bool last)
{
    struct pack_buffer *g = &p->gathered;
    if (last)
        return p->more->pack(p->format, sl_slice(g->at, g->n), p->limit, p->out);
    size_t wanted;
    if (__builtin_add_overflow(g->n, in.n, &wanted))
        return SL_ERR_TOO_LARGE;
    if (wanted > g->capacity) {
        const int32_t status = pack_buffer_reserve(g, wanted < SIZE_MAX / 2 ? 2 * wanted : wanted);
        if (status != SL_OK)
            return status;
    }
    memcpy(g->at + g->n, in.p, in.n);
    g->n = wanted;
    return SL_OK;
}

/* With `last` the message ends behind the input. */
static int32_t feed(struct packer *p, sl_bytes in, bool last)
{
    return (p->more ? more_feed : p->format == PACK_ZSTD ? zstd_feed : deflate_feed)(p, in, last);
}

static int32_t begin(struct packer *p, size_t expected, size_t limit, struct pack_buffer *out)
{
    size_t room = expected / RATIO_EXPECTED + OUTPUT_AT_FIRST;
    p->out = out;
    p->limit = limit;
    out->n = 0;
    if (p->more) {
        p->gathered.n = 0;
        return SL_OK;
    }
    if (p->format == PACK_ZSTD) {
        (void)ZSTD_CCtx_reset(p->zstd, ZSTD_reset_session_only);
        /* spares a copy of all output, and of the input too where it comes as one piece; pages that
         * are not written to cost nothing */
        const size_t bound = ZSTD_compressBound(expected);
        room = bound > room ? bound : room;
    } else if (!zlib_begin(p)) {
        return SL_ERR_NOMEM;
    } else {
        (void)deflateReset(&p->z);
    }
    return pack_buffer_reserve(out, smaller(limit, room));
}

int32_t packer_begin(struct packer *p, size_t limit, struct pack_buffer *out)
{
    return begin(p, 0, limit, out);
}

int32_t packer_feed(struct packer *p, const void *at, size_t n)
{
    return n ? feed(p, sl_slice(at, n), false) : SL_OK;
}

int32_t packer_end(struct packer *p)
{
    const int32_t status = feed(p, sl_slice(&p->format, 0), true); /* zlib wants an address */
    if (p->gathered.capacity > GATHERED_KEPT)
        pack_buffer_deinit(&p->gathered);
    return status;
}

/* ---- as a whole ---- */

/* The segments in one piece: a copy costs less than what the codecs do about parts. */
static int32_t gather(struct packer *p, const sl_bytes *segments, uint32_t n_segments, size_t total,
                      sl_bytes *whole)
{
    const int32_t status = pack_buffer_reserve(&p->gathered, total);
    p->gathered.n = 0;
    for (uint32_t i = 0; i < n_segments && status == SL_OK; i++) {
        if (segments[i].n)
            memcpy(p->gathered.at + p->gathered.n, segments[i].p, segments[i].n);
        p->gathered.n += segments[i].n;
    }
    *whole = sl_slice(p->gathered.at, total);
    return status;
}

static int32_t deflate_whole(struct packer *p, sl_bytes in, size_t limit, struct pack_buffer *out)
{
    const bool gzip = p->format == PACK_GZIP;
    const size_t bound = gzip ? libdeflate_gzip_compress_bound(p->whole, in.n)
                              : libdeflate_zlib_compress_bound(p->whole, in.n);
    /* pages that are not written to cost nothing */
    const int32_t status = pack_buffer_reserve(out, smaller(bound, limit));
    if (status != SL_OK)
        return status;
    const size_t room = smaller(out->capacity, limit);
    out->n = gzip ? libdeflate_gzip_compress(p->whole, in.p, in.n, out->at, room)
                  : libdeflate_zlib_compress(p->whole, in.p, in.n, out->at, room);
    return out->n ? SL_OK : SL_ERR_TOO_LARGE;
}

static int32_t pack_whole(struct packer *p, sl_bytes in, size_t limit, struct pack_buffer *out)
{
    if (p->more)
        return p->more->pack(p->format, in, limit, out);
    if (p->whole)
        return deflate_whole(p, in, limit, out);
    const int32_t status = begin(p, in.n, limit, out);
    if (p->format == PACK_ZSTD)
        (void)ZSTD_CCtx_setPledgedSrcSize(p->zstd, in.n);
    return status == SL_OK ? feed(p, in, true) : status;
}

static int32_t pack_parts(struct packer *p, const sl_bytes *segments, uint32_t n_segments,
                          size_t total, size_t limit, struct pack_buffer *out)
{
    int32_t status = begin(p, total, limit, out);
    if (p->format == PACK_ZSTD)
        (void)ZSTD_CCtx_setPledgedSrcSize(p->zstd, total);
    for (uint32_t i = 0; i < n_segments && status == SL_OK; i++)
        status = packer_feed(p, segments[i].p, segments[i].n);
    return status == SL_OK ? packer_end(p) : status;
}

int32_t packer_pack(struct packer *p, const sl_bytes *segments, uint32_t n_segments, size_t limit,
                    struct pack_buffer *out)
{
    sl_bytes whole = n_segments == 1 ? segments[0] : sl_slice(&p->format, 0);
    size_t total = 0;
    int32_t status = SL_OK;
    for (uint32_t i = 0; i < n_segments; i++) {
        if (__builtin_add_overflow(total, segments[i].n, &total))
            return SL_ERR_TOO_LARGE;
    }
    if (n_segments > 1 && total > GATHERED_MAX && !p->more)
        return pack_parts(p, segments, n_segments, total, limit, out);
    if (n_segments > 1 && total > 0)
        status = gather(p, segments, n_segments, total, &whole);
    out->n = 0;
    if (status == SL_OK)
        status = pack_whole(p, whole, limit, out);
    if (p->gathered.capacity > GATHERED_KEPT)
        pack_buffer_deinit(&p->gathered);
    return status;
}
