/* Times compression of recorded requests (uint32 big-endian length, then the request): with
 * formats/compress, whole and in segments, against one call of the codec with all it could want.
 * Prints a JSON line for each format.
 *     bench_pack FILE [PASSES] */
#include "formats/compress/pack.h"

#include <libdeflate.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <zstd.h>

enum { SEGMENTS = 16, REQUESTS_MAX = 4096 };

struct input {
    sl_bytes request[REQUESTS_MAX];
    size_t n, bytes;
};

/* The codec by itself: memory for the worst case, contexts made beforehand. */
struct codec {
    enum pack_format format;
    struct libdeflate_compressor *deflate;
    ZSTD_CCtx *zstd;
    uint8_t *out;
    size_t room;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static bool read_requests(const char *path, struct input *in)
{
    FILE *file = fopen(path, "rb");
    uint8_t head[4];
    while (file && in->n < REQUESTS_MAX && fread(head, 1, 4, file) == 4) {
        const size_t n =
            (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
        uint8_t *at = malloc(n + 1);
        if (!at || fread(at, 1, n, file) != n) {
            free(at);
            break;
        }
        in->request[in->n++] = sl_slice(at, n);
        in->bytes += n;
    }
    if (file)
        fclose(file);
    return in->n > 0;
}

static size_t run_codec(struct codec *c, sl_bytes in)
{
    if (c->format == PACK_ZSTD)
        return ZSTD_compress2(c->zstd, c->out, c->room, in.p, in.n);
    return c->format == PACK_GZIP
               ? libdeflate_gzip_compress(c->deflate, in.p, in.n, c->out, c->room)
               : libdeflate_zlib_compress(c->deflate, in.p, in.n, c->out, c->room);
}

static size_t run_packer(struct packer *p, struct pack_buffer *out, sl_bytes in, uint32_t segments)
{
    sl_bytes parts[SEGMENTS];
    const size_t part = in.n / segments;
    for (uint32_t i = 0; i < segments; i++)
        parts[i] = sl_slice(in.p + i * part, i == segments - 1 ? in.n - i * part : part);
    if (packer_pack(p, parts, segments, SIZE_MAX, out) != SL_OK)
        abort();
    return out->n;
}

static void measure(const struct input *in, enum pack_format format, const char *name, int passes)
{
    struct codec c = {.format = format};
    struct pack_buffer out = {0};
    struct packer *p = packer_create(format, PACK_FASTEST);
    double best[3] = {1e9, 1e9, 1e9};
    size_t bytes[3] = {0};
    for (size_t i = 0; i < in->n; i++) {
        const size_t n = in->request[i].n;
        const size_t bound = ZSTD_compressBound(n) + libdeflate_gzip_compress_bound(NULL, n);
        c.room = bound > c.room ? bound : c.room;
    }
    c.out = malloc(c.room);
    c.zstd = ZSTD_createCCtx();
    c.deflate = libdeflate_alloc_compressor(PACK_FASTEST);
    if (!p || !c.out || !c.zstd || !c.deflate)
        abort();
    (void)ZSTD_CCtx_setParameter(c.zstd, ZSTD_c_compressionLevel, PACK_FASTEST);
    for (int k = 0; k < passes * 3; k++) { /* in turns, so that drift of the machine cancels */
        const int way = k % 3;
        const double start = now();
        bytes[way] = 0;
        for (size_t i = 0; i < in->n; i++)
            bytes[way] += way == 0 ? run_codec(&c, in->request[i])
                                   : run_packer(p, &out, in->request[i], way == 1 ? 1 : SEGMENTS);
        const double took = now() - start;
        best[way] = took < best[way] ? took : best[way];
    }
    printf(
        "{\"bench\":\"pack\",\"format\":\"%s\",\"requests\":%zu,\"bytes\":%zu,\"codec_mb_per_s\":"
        "%.0f,\"mb_per_s\":%.0f,\"segments_mb_per_s\":%.0f,\"overhead\":%.3f,"
        "\"segments_overhead\":%.3f,\"ratio\":%.2f}\n",
        name, in->n, in->bytes, (double)in->bytes / best[0] * 1e-6,
        (double)in->bytes / best[1] * 1e-6, (double)in->bytes / best[2] * 1e-6,
        best[1] / best[0] - 1, best[2] / best[0] - 1, (double)in->bytes / (double)bytes[1]);
    packer_destroy(p);
    pack_buffer_deinit(&out);
    libdeflate_free_compressor(c.deflate);
    ZSTD_freeCCtx(c.zstd);
    free(c.out);
}

int main(int argc, char **argv)
{
    static struct input in;
    if (argc < 2) {
        fprintf(stderr, "usage: %s FILE [PASSES]\n", argv[0]);
        return 2;
    }
    if (!read_requests(argv[1], &in)) {
        fprintf(stderr, "%s: no requests\n", argv[1]);
        return 1;
    }
    const int passes = argc > 2 ? atoi(argv[2]) : 10;
    measure(&in, PACK_GZIP, "gzip", passes);
    measure(&in, PACK_ZLIB, "zlib", passes);
    measure(&in, PACK_ZSTD, "zstd", passes);
    for (size_t i = 0; i < in.n; i++)
        free((void *)(uintptr_t)in.request[i].p);
    return 0;
}
