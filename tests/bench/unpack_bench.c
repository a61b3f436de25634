/* Times unpacking of recorded requests: with formats/compress, against one call of the codec that is
 * told the size and has the room. Prints a JSON line for each format.
 *     bench_unpack FILE [SECONDS] */
#include "formats/compress/pack.h"
#include "formats/compress/unpack.h"
#include "tests/bench/frames.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

struct bench {
    struct frames frames;
    enum pack_format format;
    struct pack_buffer *packed; /* one a frame */
    uint64_t packed_bytes;
    struct unpacker *unpacker;
    struct libdeflate_decompressor *deflate;
    ZSTD_DCtx *zstd;
    z_stream zlib;
    uint8_t *out;
    size_t room;
    bool good;
};

static int32_t grow(void *ctx, size_t capacity, uint8_t **at, size_t *got)
{
    struct bench *b = ctx;
    if (capacity > b->room) { /* kept, as the pool of buffers does */
        uint8_t *moved = realloc(b->out, capacity);
        if (!moved)
            return SL_ERR_NOMEM;
        b->out = moved;
        b->room = capacity;
    }
    *at = b->out;
    *got = capacity;
    return SL_OK;
}

static void ours(void *ctx)
{
    struct bench *b = ctx;
    const struct byte_target target = {b, grow};
    for (size_t i = 0; i < b->frames.n; i++) {
        const sl_bytes in = sl_slice(b->packed[i].at, b->packed[i].n);
        size_t n = 0;
        if (unpack(b->unpacker, b->format, in, &target, UINT32_MAX, &n, NULL) != SL_OK ||
            n != b->frames.at[i].n)
            b->good = false;
    }
}

static void codec(void *ctx)
{
    struct bench *b = ctx;
    for (size_t i = 0; i < b->frames.n; i++) {
        const struct pack_buffer *in = &b->packed[i];
        const size_t n = b->frames.at[i].n;
        size_t got = n;
        if (b->format == PACK_GZIP)
            (void)libdeflate_gzip_decompress(b->deflate, in->at, in->n, b->out, n, NULL);
        else if (b->format == PACK_ZLIB)
            (void)libdeflate_zlib_decompress(b->deflate, in->at, in->n, b->out, n, NULL);
        else
            got = ZSTD_decompressDCtx(b->zstd, b->out, b->room, in->at, in->n);
        if (got != n)
            b->good = false;
    }
}

/* What everybody else takes for gzip. */
static void zlib(void *ctx)
{
    struct bench *b = ctx;
    for (size_t i = 0; i < b->frames.n; i++) {
        (void)inflateReset(&b->zlib);
        b->zlib.next_in = b->packed[i].at;
        b->zlib.avail_in = (uInt)b->packed[i].n;
        b->zlib.next_out = b->out;
        b->zlib.avail_out = (uInt)b->room;
        if (inflate(&b->zlib, Z_FINISH) != Z_STREAM_END)
            b->good = false;
    }
}

static bool pack_all(struct bench *b)
{
    struct packer *packer = packer_create(b->format, b->format == PACK_ZSTD ? 3 : 6);
    b->packed_bytes = 0;
    for (size_t i = 0; i < b->frames.n && packer; i++) {
        pack_buffer_deinit(&b->packed[i]);
        if (packer_pack(packer, &b->frames.at[i], 1, SIZE_MAX, &b->packed[i]) != SL_OK)
            return false;
        b->packed_bytes += b->packed[i].n;
    }
    packer_destroy(packer);
    return packer != NULL;
}

static void measure(struct bench *b, const char *name, double seconds)
{
    ours(b); /* makes room for the largest */
    const double best = best_of(seconds, ours, b), alone = best_of(seconds, codec, b);
    const double others = b->format == PACK_GZIP ? best_of(seconds, zlib, b) : 0;
    printf(
        "{\"bench\":\"unpack\",\"format\":\"%s\",\"requests\":%zu,\"bytes\":%llu,\"packed_bytes\":"
        "%llu,\"mb_per_s\":%.0f,\"codec_mb_per_s\":%.0f,\"ratio\":%.3f",
        name, b->frames.n, (unsigned long long)b->frames.bytes, (unsigned long long)b->packed_bytes,
        (double)b->frames.bytes / best * 1e-6, (double)b->frames.bytes / alone * 1e-6,
        best / alone);
    if (others > 0)
        printf(",\"zlib_mb_per_s\":%.0f", (double)b->frames.bytes / others * 1e-6);
    printf("}\n");
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"gzip", "zlib", "zstd"};
    struct bench b = {.good = true};
    if (argc < 2) {
        fprintf(stderr, "usage: %s FILE [SECONDS]\n", argv[0]);
        return 2;
    }
    b.unpacker = unpacker_create();
    b.deflate = libdeflate_alloc_decompressor();
    b.zstd = ZSTD_createDCtx();
    if (!frames_read(argv[1], &b.frames) || !b.unpacker || !b.deflate || !b.zstd ||
        inflateInit2(&b.zlib, 15 + 16) != Z_OK ||
        !(b.packed = calloc(b.frames.n, sizeof *b.packed)))
        return 1;
    for (int format = PACK_GZIP; format <= PACK_ZSTD && b.good; format++) {
        b.format = (enum pack_format)format;
        b.good = pack_all(&b);
        measure(&b, names[format], argc > 2 ? atof(argv[2]) : 1.0);
    }
    for (size_t i = 0; i < b.frames.n; i++)
        pack_buffer_deinit(&b.packed[i]);
    free(b.packed);
    free(b.out);
    unpacker_destroy(b.unpacker);
    libdeflate_free_decompressor(b.deflate);
    (void)ZSTD_freeDCtx(b.zstd);
    (void)inflateEnd(&b.zlib);
    frames_deinit(&b.frames);
    return b.good ? 0 : 1;
}
