/* See pack.h. One thread at a time for each packer. */
#include "formats/compress/pack.h"

#include <limits.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

enum {
    WINDOW = 15,               /* zlib's largest */
    WINDOW_GZIP = WINDOW + 16, /* the same, in gzip's container */
    DEFLATE_MEMORY = 8,        /* zlib's default */
    HUFFMAN_ONLY = -2,
    ZSTD_LEVEL_MAX = 19,
    RATIO_EXPECTED = 4,        /* of OTLP; it makes 5 to 15 */
    OUTPUT_AT_FIRST = 4 * 1024 /* bytes */
};

struct packer {
    enum pack_format format;
    z_stream z;
    ZSTD_CCtx *zstd;
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

void pack_buffer_deinit(struct pack_buffer *b)
{
    free(b->at);
    b->at = NULL;
    b->n = b->capacity = 0;
}

static int32_t buffer_reserve(struct pack_buffer *b, size_t capacity)
{
    if (capacity <= b->capacity)
        return SL_OK;
    uint8_t *at = realloc(b->at, capacity);
    if (!at)
        return SL_ERR_NOMEM;
    b->at = at;
    b->capacity = capacity;
    return SL_OK;
}

/* Room behind what is written, at least a byte. */
static int32_t buffer_room(struct pack_buffer *b, size_t limit, size_t *room)
{
    if (b->n >= limit)
        return SL_ERR_TOO_LARGE;
    if (b->n == b->capacity) {
        const size_t doubled = b->capacity > limit / 2 ? limit : b->capacity * 2;
        const int32_t status = buffer_reserve(b, doubled);
        if (status != SL_OK)
            return status;
    }
    *room = smaller(b->capacity, limit) - b->n;
    return SL_OK;
}

/* ---- life ---- */

static bool deflate_begin(struct packer *p, int level)
{
    const int window = p->format == PACK_GZIP ? WINDOW_GZIP : WINDOW;
    const bool huffman = level == HUFFMAN_ONLY;
    return deflateInit2(&p->z, huffman ? Z_DEFAULT_COMPRESSION : level, Z_DEFLATED, window,
                        DEFLATE_MEMORY, huffman ? Z_HUFFMAN_ONLY : Z_DEFAULT_STRATEGY) == Z_OK;
}

static bool zstd_begin(struct packer *p, int level)
{
    p->zstd = ZSTD_createCCtx(); /* brings levels that are too low into its range by itself */
    return p->zstd &&
           !ZSTD_isError(ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_compressionLevel,
                                                level < ZSTD_LEVEL_MAX ? level : ZSTD_LEVEL_MAX));
}

struct packer *packer_create(enum pack_format format, int level)
{
    struct packer *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->format = format;
    if (format == PACK_ZSTD ? zstd_begin(p, level) : deflate_begin(p, level))
        return p;
    ZSTD_freeCCtx(p->zstd);
    free(p);
    return NULL;
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
    if (p->format == PACK_ZSTD)
        (void)ZSTD_freeCCtx(p->zstd);
    else
        (void)deflateEnd(&p->z);
    free(p);
}

/* ---- packing ---- */

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

/* With `last` the message ends behind the input. */
static int32_t feed(struct packer *p, sl_bytes in, bool last)
{
    return (p->format == PACK_ZSTD ? zstd_feed : deflate_feed)(p, in, last);
}

static int32_t begin(struct packer *p, size_t expected, size_t limit, struct pack_buffer *out)
{
    size_t room = expected / RATIO_EXPECTED + OUTPUT_AT_FIRST;
    p->out = out;
    p->limit = limit;
    out->n = 0;
    if (p->format == PACK_ZSTD) {
        (void)ZSTD_CCtx_reset(p->zstd, ZSTD_reset_session_only);
        /* spares a copy of all output, and of the input too where it comes as one piece; pages that
         * are not written to cost nothing */
        const size_t bound = ZSTD_compressBound(expected);
        room = bound > room ? bound : room;
    } else {
        (void)deflateReset(&p->z);
    }
    return buffer_reserve(out, smaller(limit, room));
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
    return feed(p, sl_slice(&p->format, 0), true); /* zlib wants an address, also of nothing */
}

int32_t packer_pack(struct packer *p, const sl_bytes *segments, uint32_t n_segments, size_t limit,
                    struct pack_buffer *out)
{
    size_t total = 0;
    sl_bytes held = sl_slice(&p->format, 0);
    for (uint32_t i = 0; i < n_segments; i++) {
        if (__builtin_add_overflow(total, segments[i].n, &total))
            return SL_ERR_TOO_LARGE;
    }
    int32_t status = begin(p, total, limit, out);
    if (p->format == PACK_ZSTD)
        (void)ZSTD_CCtx_setPledgedSrcSize(p->zstd, total);
    /* the last one goes in together with the end: a single one is packed in one go */
    for (uint32_t i = 0; i < n_segments && status == SL_OK; i++) {
        if (segments[i].n == 0)
            continue;
        status = packer_feed(p, held.p, held.n);
        held = segments[i];
    }
    return status == SL_OK ? feed(p, held, true) : status;
}
