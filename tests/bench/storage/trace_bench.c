/* bench_storage REQUESTS [SECONDS]: what blocks of traces and zstd make of a file of export requests
 * (each after its length in 4 bytes, big-endian), in bytes and in bytes of OTLP a second of one
 * core. One line a form:
 *   form  bytes  bytes a span  encoding MB/s  decoding MB/s */
#include "formats/trace/memory.h"
#include "formats/trace/trace_block.h"
#include "tests/bench/frames.h"
#include <stdio.h>
#include <zstd.h>

struct bench {
    struct frames frames;
    struct trace_options options;
    int zstd_level;
    sl_writer coded, plain;
    sl_bytes all; /* requests one after another: what zstd gets */
};

static void stop(const char *why)
{
    fprintf(stderr, "bench_storage: %s\n", why);
    exit(1);
}

static void encode_block(void *ctx)
{
    struct bench *b = ctx;
    sl_error error = {.size = sizeof error};
    b->coded.used = 0;
    if (trace_block_encode(&b->options, b->frames.at, (uint32_t)b->frames.n, &b->coded, &error) !=
        SL_OK) {
        stop(error.text);
    }
}

static void decode_block(void *ctx)
{
    struct bench *b = ctx;
    sl_error error = {.size = sizeof error};
    b->plain.used = 0;
    if (trace_block_decode(sl_written(&b->coded), UINT64_C(8) << 30, &b->plain, &error) != SL_OK) {
        stop(error.text);
    }
}

static void encode_zstd(void *ctx)
{
    struct bench *b = ctx;
    b->coded.used = 0;
    if (!sl_writer_room(&b->coded, ZSTD_compressBound(b->all.n))) {
        stop("no memory");
    }
    b->coded.used = ZSTD_compress(b->coded.at, b->coded.room, b->all.p, b->all.n, b->zstd_level);
}

static void decode_zstd(void *ctx)
{
    struct bench *b = ctx;
    b->plain.used = 0;
    if (!sl_writer_room(&b->plain, b->all.n) ||
        ZSTD_decompress(b->plain.at, b->all.n, b->coded.at, b->coded.used) != b->all.n) {
        stop("zstd failed");
    }
}

static void measure(struct bench *b, const char *form, double seconds, uint32_t spans,
                    void (*encode)(void *), void (*decode)(void *))
{
    const double at_least = seconds > 0 ? seconds : 1e-9; /* once */
    const double encoding = best_of(at_least, encode, b);
    const double decoding = best_of(at_least, decode, b);
    printf("%-28s %10zu %8.3f %8.1f %8.1f\n", form, b->coded.used, (double)b->coded.used / spans,
           (double)b->frames.bytes / encoding / 1e6, (double)b->frames.bytes / decoding / 1e6);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *form;
        uint32_t mode;
    } modes[] = {{"block, lossless", 0},
                 {"block, ids derived", TRACE_DERIVED_IDS},
                 {"block, microseconds", TRACE_MICROSECONDS},
                 {"block, ids derived, ms", TRACE_DERIVED_IDS | TRACE_MILLISECONDS}};
    struct bench b = {.coded = heap_writer(), .plain = heap_writer()};
    const double seconds = argc > 2 ? strtod(argv[2], NULL) : 1;
    if (argc < 2 || !frames_read(argv[1], &b.frames)) {
        stop("usage: bench_storage REQUESTS [SECONDS]");
    }
    uint8_t *all = malloc(b.frames.bytes + 1), *p = all;
    if (!all) {
        stop("no memory");
    }
    for (size_t i = 0; i < b.frames.n; i++) {
        p = sl_put_slice(p, b.frames.at[i]);
    }
    b.all = sl_slice(all, (size_t)(p - all));
    encode_block(&b);
    struct trace_block_info info;
    if (trace_block_info(sl_written(&b.coded), &info, NULL) != SL_OK) {
        stop("the block cannot be read");
    }
    printf("# %u spans, %u traces, %zu bytes of OTLP (%.1f a span)\n", info.n_spans, info.n_traces,
           b.all.n, (double)b.all.n / info.n_spans);
    printf("%-28s %10s %8s %8s %8s\n", "# form", "bytes", "a span", "encode", "decode");
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        b.options.mode = modes[i].mode;
        measure(&b, modes[i].form, seconds, info.n_spans, encode_block, decode_block);
    }
    b.zstd_level = 3;
    measure(&b, "zstd -3", seconds, info.n_spans, encode_zstd, decode_zstd);
    b.zstd_level = 19;
    measure(&b, "zstd -19", 0, info.n_spans, encode_zstd, decode_zstd);
    free(all);
    free(b.coded.at);
    free(b.plain.at);
    frames_deinit(&b.frames);
    return 0;
}
