/* Packing, with zlib and libzstd themselves as the readers: sizes, segments, parts, levels, reuse,
 * and the limit of the output. */
#include "formats/compress/pack.h"

#include <setjmp.h>
#include <stdlib.h>
// clang-format off
#include <cmocka.h>
// clang-format on
#include <zlib.h>
#include <zstd.h>

static const enum pack_format formats[] = {PACK_GZIP, PACK_ZLIB, PACK_ZSTD};
enum { FORMATS = sizeof formats / sizeof *formats };

static uint8_t *text_make(size_t n)
{
    uint8_t *p = malloc(n + 1);
    assert_non_null(p);
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(i % 7 ? "service.name=checkout;"[i % 22] : (int)(i * 2654435761u >> 25));
    return p;
}

static void assert_unpacks(enum pack_format format, const struct pack_buffer *packed,
                           const uint8_t *text, size_t n)
{
    uint8_t *plain = malloc(n + 1);
    size_t got = 0;
    assert_non_null(plain);
    if (format == PACK_ZSTD) {
        got = ZSTD_decompress(plain, n + 1, packed->at, packed->n);
    } else {
        z_stream z = {.next_in = packed->at,
                      .avail_in = (uInt)packed->n,
                      .next_out = plain,
                      .avail_out = (uInt)n + 1};
        assert_int_equal(inflateInit2(&z, format == PACK_GZIP ? 31 : 15), Z_OK);
        assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
        assert_int_equal(z.avail_in, 0);
        got = z.total_out;
        inflateEnd(&z);
    }
    assert_int_equal(got, n);
    assert_memory_equal(plain, text, n);
    free(plain);
}

static void round_trip(void **state)
{
    static const size_t sizes[] = {0, 1, 100, 4095, 4096, 65536, 1000003};
    (void)state;
    for (size_t f = 0; f < FORMATS; f++) {
        for (int level = -2; level <= 9; level += 3) {
            struct packer *p = packer_create(formats[f], level);
            struct pack_buffer packed = {0};
            assert_non_null(p);
            for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
                uint8_t *text = text_make(sizes[i]);
                const sl_bytes one = sl_slice(text, sizes[i]);
                assert_int_equal(packer_pack(p, &one, 1, SIZE_MAX, &packed), SL_OK);
                assert_unpacks(formats[f], &packed, text, sizes[i]);
                free(text);
            }
            packer_destroy(p);
            pack_buffer_deinit(&packed);
        }
    }
}

static void segments_and_parts(void **state)
{
    enum { N = 300000, SEGMENTS = 500 };
    uint8_t *text = text_make(N);
    sl_bytes segments[SEGMENTS];
    uint32_t n = 0;
    (void)state;
    for (size_t at = 0; n < SEGMENTS; n++) { /* empty ones among them */
        const size_t some = (n * 37) % 700, left = N - at;
        const size_t part = n == SEGMENTS - 1 || some > left ? left : some;
        segments[n] = sl_slice(part ? text + at : NULL, part);
        at += part;
    }
    for (size_t f = 0; f < FORMATS; f++) {
        struct packer *p = packer_create(formats[f], PACK_FASTEST);
        struct pack_buffer packed = {0};
        const sl_bytes twice[] = {sl_slice(text, N / 2), sl_slice(text + N / 2, N - N / 2)};
        assert_int_equal(packer_pack(p, twice, 2, SIZE_MAX, &packed), SL_OK);
        assert_unpacks(formats[f], &packed, text, N);
        for (int again = 0; again < 2; again++) {
            assert_int_equal(packer_pack(p, segments, n, SIZE_MAX, &packed), SL_OK);
            assert_unpacks(formats[f], &packed, text, N);
            assert_int_equal(packer_begin(p, SIZE_MAX, &packed), SL_OK);
            for (uint32_t i = 0; i < n; i++)
                assert_int_equal(packer_feed(p, segments[i].p, segments[i].n), SL_OK);
            assert_int_equal(packer_end(p), SL_OK);
            assert_unpacks(formats[f], &packed, text, N);
        }
        assert_int_equal(packer_pack(p, NULL, 0, 100, &packed), SL_OK);
        assert_unpacks(formats[f], &packed, text, 0);
        packer_destroy(p);
        pack_buffer_deinit(&packed);
    }
    free(text);
}

/* Too large to be copied into one piece. */
static void large_messages_of_several_segments(void **state)
{
    enum { N = 9 << 20 };
    uint8_t *text = text_make(N);
    const sl_bytes segments[] = {sl_slice(text, 100), sl_slice(text + 100, N - 100)};
    (void)state;
    for (size_t f = 0; f < FORMATS; f++) {
        struct packer *p = packer_create(formats[f], PACK_FASTEST);
        struct pack_buffer packed = {0};
        assert_int_equal(packer_pack(p, segments, 2, SIZE_MAX, &packed), SL_OK);
        assert_unpacks(formats[f], &packed, text, N);
        packer_destroy(p);
        pack_buffer_deinit(&packed);
    }
    free(text);
}

static void limits(void **state)
{
    enum { N = 100000 };
    uint8_t *text = text_make(N);
    const sl_bytes parts[] = {sl_slice(text, N / 2), sl_slice(text + N / 2, N / 2)};
    (void)state;
    for (size_t f = 0; f < FORMATS; f++) {
        struct packer *p = packer_create(formats[f], PACK_FASTEST);
        struct pack_buffer packed = {0};
        assert_int_equal(packer_pack(p, parts, 2, SIZE_MAX, &packed), SL_OK);
        const size_t whole = packed.n;
        pack_buffer_deinit(&packed);
        for (size_t limit = 0; limit < whole; limit += 1 + whole / 50)
            assert_int_equal(packer_pack(p, parts, 2, limit, &packed), SL_ERR_TOO_LARGE);
        assert_int_equal(packer_pack(p, parts, 2, whole - 1, &packed), SL_ERR_TOO_LARGE);
        assert_true(packed.capacity < whole);
        assert_int_equal(packer_pack(p, parts, 2, whole + 64, &packed), SL_OK);
        assert_int_equal(packed.n, whole);
        assert_unpacks(formats[f], &packed, text, N);
        packer_destroy(p);
        pack_buffer_deinit(&packed);
    }
    free(text);
}

/* RFC 9659: receivers need not take a larger window. */
static void windows_are_bounded(void **state)
{
    enum { N = 20 << 20 };
    uint8_t *zeros = calloc(1, N);
    const sl_bytes one = sl_slice(zeros, N);
    struct packer *p = packer_create(PACK_ZSTD, 22);
    struct pack_buffer packed = {0};
    ZSTD_DCtx *reader = ZSTD_createDCtx();
    (void)state;
    assert_int_equal(packer_begin(p, SIZE_MAX, &packed), SL_OK);
    assert_int_equal(packer_feed(p, one.p, one.n), SL_OK);
    assert_int_equal(packer_end(p), SL_OK);
    assert_false(ZSTD_isError(ZSTD_DCtx_setParameter(reader, ZSTD_d_windowLogMax, 23)));
    ZSTD_inBuffer in = {packed.at, packed.n, 0};
    ZSTD_outBuffer out = {zeros, N, 0};
    size_t left;
    do
        left = ZSTD_decompressStream(reader, &out, &in);
    while (left && !ZSTD_isError(left) && in.pos < in.size);
    assert_int_equal(left, 0);
    assert_int_equal(out.pos, N);
    ZSTD_freeDCtx(reader);
    packer_destroy(p);
    pack_buffer_deinit(&packed);
    free(zeros);
}

static void levels(void **state)
{
    static const int bad[] = {-3, 10, 100};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct packer *zstd = packer_create(PACK_ZSTD, bad[i]);
        assert_null(packer_create(PACK_GZIP, bad[i]));
        assert_null(packer_create(PACK_ZLIB, bad[i]));
        assert_non_null(zstd);
        packer_destroy(zstd);
    }
    packer_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(segments_and_parts),
        cmocka_unit_test(large_messages_of_several_segments),
        cmocka_unit_test(limits),
        cmocka_unit_test(windows_are_bounded),
        cmocka_unit_test(levels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
