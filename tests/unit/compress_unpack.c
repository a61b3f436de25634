/* Reading gzip, zlib and zstd: round trips, every cut, damage, several members, bombs, lengths that
 * lie, windows, limits, and memory that runs out. */
#include "formats/compress/pack.h"
#include "formats/compress/unpack.h"

#include <setjmp.h>
#include <stdlib.h>
// clang-format off
#include <cmocka.h>
// clang-format on
#include <libdeflate.h>
#include <zstd.h>

enum { FORMATS = PACK_ZSTD + 1 };

struct sink {
    uint8_t *at;
    size_t capacity, largest_asked;
    uint32_t calls, fail_at; /* fail the call with this number, from 1 */
};

static int32_t sink_grow(void *ctx, size_t capacity, uint8_t **at, size_t *got)
{
    struct sink *s = (struct sink *)ctx;
    s->calls++;
    if (capacity > s->largest_asked)
        s->largest_asked = capacity;
    if (s->fail_at == s->calls)
        return SL_ERR_SHUTDOWN;
    s->at = (uint8_t *)realloc(s->at, capacity); /* exactly: an overrun is seen by the sanitizer */
    assert_non_null(s->at);
    s->capacity = capacity;
    *at = s->at;
    *got = capacity;
    return SL_OK;
}

/* Text with structure, so that it compresses by 5 or so, from a linear congruential generator. */
static uint8_t *text_make(size_t n, uint32_t seed)
{
    static const char *const words[] = {"http.method",  "GET",        "service.name", "checkout",
                                        "span",         "0123456789", "db.statement", "SELECT 1",
                                        "\x0a\x2f\x12", "user",       "200",          "error"};
    uint8_t *p = (uint8_t *)malloc(n + 1);
    assert_non_null(p);
    for (size_t i = 0; i < n;) {
        seed = seed * 1664525u + 1013904223u;
        const char *w = words[(seed >> 24) % 12];
        for (size_t k = 0; w[k] && i < n; k++)
            p[i++] = (uint8_t)w[k];
        if (i < n)
            p[i++] = (uint8_t)(seed >> 16);
    }
    return p;
}

static struct pack_buffer packed_of(enum pack_format format, const void *p, size_t n, int level)
{
    struct pack_buffer out = {0};
    struct packer *w = packer_create(format, level);
    assert_non_null(w);
    const sl_bytes one = sl_slice(p, n);
    assert_int_equal(packer_pack(w, &one, 1, SIZE_MAX, &out), SL_OK);
    packer_destroy(w);
    return out;
}

/* What becomes of `n` bytes; the sink's memory is a copy that ends where they do. */
static int32_t unpacked(enum pack_format format, const void *p, size_t n, size_t limit,
                        struct sink *s, size_t *size, sl_error *error)
{
    struct unpacker *u = unpacker_create();
    const struct byte_target target = {s, sink_grow};
    uint8_t *exact = (uint8_t *)malloc(n ? n : 1);
    assert_true(u && exact);
    if (n > 0)
        memcpy(exact, p, n);
    *size = SIZE_MAX;
    const int32_t status = unpack(u, format, sl_slice(exact, n), &target, limit, size, error);
    assert_true((*size == SIZE_MAX) == (status != SL_OK));
    free(exact);
    unpacker_destroy(u);
    return status;
}

static void expect_status(enum pack_format format, const void *p, size_t n, size_t limit,
                          int32_t expected)
{
    struct sink s = {0};
    sl_error error = {.size = sizeof error};
    size_t size;
    assert_int_equal(unpacked(format, p, n, limit, &s, &size, &error), expected);
    assert_true(s.largest_asked <= limit);
    if (expected != SL_OK) {
        assert_int_equal(error.code, expected);
        assert_true(error.text[0] != 0);
    }
    free(s.at);
}

static void expect_text(enum pack_format format, const void *p, size_t n, const void *text,
                        size_t text_n)
{
    struct sink s = {0};
    sl_error error = {.size = sizeof error};
    size_t size;
    if (unpacked(format, p, n, text_n, &s, &size, &error) != SL_OK)
        fail_msg("format %d, %zu bytes: %s", format, text_n, error.text);
    assert_int_equal(size, text_n);
    assert_int_equal(s.calls > 0, text_n > 0);
    if (text_n > 0)
        assert_memory_equal(s.at, text, text_n);
    free(s.at);
}

static void round_trip(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 100, 4095, 4096, 4097, 65535, 65536, 1000003};
    for (int format = 0; format < FORMATS; format++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            for (int level = 1; level <= 9; level += 4) {
                uint8_t *text = text_make(sizes[i], (uint32_t)(7 + i));
                struct pack_buffer packed =
                    packed_of((enum pack_format)format, text, sizes[i], level);
                expect_text((enum pack_format)format, packed.at, packed.n, text, sizes[i]);
                pack_buffer_deinit(&packed);
                free(text);
            }
        }
    }
}

/* gzip tells its length, and zstd may: then memory is taken once. */
static void memory_is_taken_once(void **state)
{
    (void)state;
    uint8_t *text = text_make(300000, 4);
    for (int format = 0; format < FORMATS; format++) {
        struct pack_buffer packed = packed_of((enum pack_format)format, text, 300000, 3);
        struct sink s = {0};
        size_t size;
        assert_int_equal(
            unpacked((enum pack_format)format, packed.at, packed.n, SIZE_MAX, &s, &size, NULL),
            SL_OK);
        if (format != PACK_ZLIB) {
            assert_int_equal(s.calls, 1);
            assert_int_equal(s.capacity, 300000);
        }
        free(s.at);
        pack_buffer_deinit(&packed);
    }
    free(text);
}

/* One unpacker for messages of all formats, failed ones among them. */
static void unpackers_are_used_again(void **state)
{
    (void)state;
    struct unpacker *u = unpacker_create();
    uint8_t *text = text_make(50000, 9);
    struct pack_buffer packed[FORMATS];
    for (int format = 0; format < FORMATS; format++)
        packed[format] = packed_of((enum pack_format)format, text, 50000, 3);
    for (int i = 0; i < 30; i++) {
        const enum pack_format format = (enum pack_format)(i % FORMATS);
        struct sink s = {0};
        const struct byte_target target = {&s, sink_grow};
        const sl_bytes all = sl_slice(packed[format].at, packed[format].n);
        size_t size = 0;
        assert_int_equal(unpack(u, format, sl_slice(all.p, all.n / 2), &target, 60000, &size, NULL),
                         SL_ERR_INVALID);
        assert_int_equal(unpack(u, format, all, &target, 49999, &size, NULL), SL_ERR_TOO_LARGE);
        assert_int_equal(unpack(u, format, all, &target, 50000, &size, NULL), SL_OK);
        assert_int_equal(size, 50000);
        assert_memory_equal(s.at, text, 50000);
        free(s.at);
    }
    for (int format = 0; format < FORMATS; format++)
        pack_buffer_deinit(&packed[format]);
    free(text);
    unpacker_destroy(u);
}

static void truncated_everywhere(void **state)
{
    (void)state;
    uint8_t *text = text_make(3000, 3);
    for (int format = 0; format < FORMATS; format++) {
        struct pack_buffer packed = packed_of((enum pack_format)format, text, 3000, 5);
        for (size_t n = 0; n < packed.n; n++)
            expect_status((enum pack_format)format, packed.at, n, 1 << 20, SL_ERR_INVALID);
        pack_buffer_deinit(&packed);
    }
    free(text);
}

static void other_things_are_refused(void **state)
{
    (void)state;
    static const char *const others[] = {"plain text",       "{\"resourceSpans\":[]}",
                                         "\x1f\x8b",         "\x78",
                                         "\x28\xb5\x2f\xfd", "\x04\x22\x4d\x18 lz4 it is"};
    for (int format = 0; format < FORMATS; format++) {
        for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
            struct sink s = {0};
            size_t size;
            assert_int_equal(unpacked((enum pack_format)format, others[i], strlen(others[i]), 4096,
                                      &s, &size, NULL),
                             SL_ERR_INVALID);
            assert_int_equal(s.calls, 0);
        }
        for (int other = 0; other < FORMATS; other++) {
            struct pack_buffer packed = packed_of((enum pack_format)other, "abcabcabc", 9, 1);
            expect_status((enum pack_format)format, packed.at, packed.n, 4096,
                          other == format ? SL_OK : SL_ERR_INVALID);
            pack_buffer_deinit(&packed);
        }
    }
}

static void damage_is_refused(void **state)
{
    (void)state;
    enum { N = 1000 };
    uint8_t *text = text_make(N, 3);
    static const size_t checked[] = {[PACK_GZIP] = 8, [PACK_ZLIB] = 4}; /* CRC and ISIZE; Adler */
    for (int format = PACK_GZIP; format <= PACK_ZLIB; format++) {
        struct pack_buffer packed = packed_of((enum pack_format)format, text, N, -1);
        for (size_t i = 0; i < checked[format]; i++) {
            packed.at[packed.n - 1 - i] ^= 0x40;
            expect_status((enum pack_format)format, packed.at, packed.n, N, SL_ERR_INVALID);
            packed.at[packed.n - 1 - i] ^= 0x40;
        }
        pack_buffer_deinit(&packed);
    }
    ZSTD_CCtx *zstd = ZSTD_createCCtx();
    uint8_t packed[2 * N];
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1);
    const size_t n = ZSTD_compress2(zstd, packed, sizeof packed, text, N);
    expect_text(PACK_ZSTD, packed, n, text, N);
    for (size_t i = 0; i < n; i++) {
        packed[i] ^= 0x40;
        struct sink s = {0};
        size_t size;
        const int32_t status = unpacked(PACK_ZSTD, packed, n, N, &s, &size, NULL);
        /* A reserved bit of the head may change without harm. */
        assert_true(status != SL_OK || (size == N && memcmp(s.at, text, N) == 0));
        free(s.at);
        packed[i] ^= 0x40;
    }
    ZSTD_freeCCtx(zstd);
    free(text);
}

static void garbage_behind_is_refused(void **state)
{
    (void)state;
    for (int format = 0; format < FORMATS; format++) {
        struct pack_buffer packed = packed_of((enum pack_format)format, "some text", 9, 1);
        uint8_t all[256];
        memcpy(all, packed.at, packed.n);
        for (size_t junk = 1; junk <= 20; junk++) { /* zeros too */
            memset(all + packed.n, junk & 1 ? 0 : 'x', junk);
            expect_status((enum pack_format)format, all, packed.n + junk, 1000, SL_ERR_INVALID);
        }
        pack_buffer_deinit(&packed);
    }
}

static void members_are_joined(void **state)
{
    (void)state;
    enum { N = 5000, CUT = 2000 };
    uint8_t *text = text_make(N, 8);
    for (int f = 0; f < FORMATS; f++) {
        const enum pack_format format = (enum pack_format)f;
        struct pack_buffer parts[] = {
            packed_of(format, text, 0, 1), packed_of(format, text, CUT, 1),
            packed_of(format, text, 0, 1), packed_of(format, text + CUT, N - CUT, 9)};
        uint8_t all[2 * N];
        size_t n = 0;
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
            memcpy(all + n, parts[i].at, parts[i].n);
            n += parts[i].n;
            pack_buffer_deinit(&parts[i]);
        }
        if (format == PACK_ZLIB) { /* which has no such thing */
            expect_status(format, all, n, N, SL_ERR_INVALID);
            continue;
        }
        expect_text(format, all, n, text, N);
        expect_status(format, all, n, N - 1, SL_ERR_TOO_LARGE);
        expect_status(format, all, n - 1, 2 * N, SL_ERR_INVALID);
    }
    free(text);
}

static void bombs_stop_at_the_limit(void **state)
{
    (void)state;
    enum { N = 64 << 20, LIMIT = 1 << 20 };
    uint8_t *zeros = (uint8_t *)calloc(1, N);
    for (int format = 0; format < FORMATS; format++) {
        struct pack_buffer packed = packed_of((enum pack_format)format, zeros, N, 9);
        assert_true(packed.n < N / 500);
        expect_status((enum pack_format)format, packed.at, packed.n, LIMIT, SL_ERR_TOO_LARGE);
        /* Within the limit the ratio does not matter. */
        expect_text((enum pack_format)format, packed.at, packed.n, zeros, N);
        pack_buffer_deinit(&packed);
    }
    free(zeros);
}

/* A length that lies does not make the first buffer large. */
static void lies_cost_nothing(void **state)
{
    (void)state;
    struct pack_buffer gzip = packed_of(PACK_GZIP, "abc", 3, -1);
    struct sink s = {0};
    size_t size;
    memset(gzip.at + gzip.n - 4, 0xff, 4);
    assert_int_equal(unpacked(PACK_GZIP, gzip.at, gzip.n, SIZE_MAX, &s, &size, NULL),
                     SL_ERR_INVALID);
    assert_true(s.largest_asked <= 64 * gzip.n);
    free(s.at);
    pack_buffer_deinit(&gzip);

    /* A frame of 4 GiB with three bytes in it, and one of three with none. */
    static const uint8_t large[] = {0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0xff, 0xff, 0xff,
                                    0xff, 0x19, 0,    0,    'a',  'b',  'c'};
    s = (struct sink){0};
    assert_int_equal(unpacked(PACK_ZSTD, large, sizeof large, SIZE_MAX, &s, &size, NULL),
                     SL_ERR_TOO_LARGE);
    assert_true(s.largest_asked <= 64 * sizeof large);
    free(s.at);
    static const uint8_t small[] = {0x28, 0xb5, 0x2f, 0xfd, 0x20, 3, 0x01, 0, 0};
    expect_status(PACK_ZSTD, small, sizeof small, 100, SL_ERR_INVALID);
}

/* A frame with a window of 2^(10 + exponent) bytes and one raw block. */
static void expect_window(uint8_t exponent, int32_t expected)
{
    const uint8_t frame[] = {0x28, 0xb5, 0x2f, 0xfd, 0,   (uint8_t)(exponent << 3),
                             0x19, 0,    0,    'a',  'b', 'c'};
    expect_status(PACK_ZSTD, frame, sizeof frame, 1000, expected);
}

static void windows_are_bounded(void **state)
{
    (void)state;
    expect_window(0, SL_OK);
    expect_window(15, SL_OK);
    expect_window(16, SL_ERR_TOO_LARGE);
    expect_window(21, SL_ERR_TOO_LARGE);
    expect_window(31, SL_ERR_TOO_LARGE);
}

static void other_frames(void **state)
{
    (void)state;
    /* One to be skipped, alone and around another. */
    static const uint8_t skippable[] = {0x5a, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4};
    expect_text(PACK_ZSTD, skippable, sizeof skippable, "", 0);
    expect_status(PACK_ZSTD, skippable, sizeof skippable - 1, 100, SL_ERR_INVALID);
    struct pack_buffer packed = packed_of(PACK_ZSTD, "some text", 9, 1);
    uint8_t all[200];
    memcpy(all, skippable, sizeof skippable);
    memcpy(all + sizeof skippable, packed.at, packed.n);
    memcpy(all + sizeof skippable + packed.n, skippable, sizeof skippable);
    expect_text(PACK_ZSTD, all, 2 * sizeof skippable + packed.n, "some text", 9);
    pack_buffer_deinit(&packed);
    /* One that wants a dictionary. */
    static const uint8_t dictionary[] = {0x28, 0xb5, 0x2f, 0xfd, 0x21, 7,  3,
                                         0x19, 0,    0,    'a',  'b',  'c'};
    expect_status(PACK_ZSTD, dictionary, sizeof dictionary, 100, SL_ERR_INVALID);
}

/* Frames as streaming writers make them, without their size and with a window. */
static void zstd_of_unknown_length(void **state)
{
    (void)state;
    enum { N = 3000000 };
    uint8_t *text = text_make(N, 77), *packed = (uint8_t *)malloc(N);
    ZSTD_CCtx *zstd = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_contentSizeFlag, 0);
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_windowLog, 18);
    static const size_t sizes[] = {0, 1, 100, 131072, 262144, 262145, N};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const size_t n = ZSTD_compress2(zstd, packed, N, text, sizes[i]);
        assert_false(ZSTD_isError(n));
        expect_text(PACK_ZSTD, packed, n, text, sizes[i]);
        if (sizes[i] > 0)
            expect_status(PACK_ZSTD, packed, n, sizes[i] - 1, SL_ERR_TOO_LARGE);
        expect_status(PACK_ZSTD, packed, n - 1, N, SL_ERR_INVALID);
    }
    ZSTD_freeCCtx(zstd);
    free(packed);
    free(text);
}

static void limit_is_exact(void **state)
{
    (void)state;
    uint8_t *text = text_make(70000, 21);
    for (int f = 0; f < FORMATS; f++) {
        const enum pack_format format = (enum pack_format)f;
        for (size_t n = 1; n < 70000; n = n * 2 + 1) {
            struct pack_buffer packed = packed_of(format, text, n, -1);
            expect_status(format, packed.at, packed.n, n, SL_OK);
            expect_status(format, packed.at, packed.n, n - 1, SL_ERR_TOO_LARGE);
            expect_status(format, packed.at, packed.n, 0, SL_ERR_TOO_LARGE);
            pack_buffer_deinit(&packed);
        }
    }
    free(text);
}

static void target_may_refuse(void **state)
{
    (void)state;
    enum { N = 1 << 20 };
    uint8_t *text = (uint8_t *)calloc(1, N); /* compresses beyond what is believed */
    for (int f = 0; f < FORMATS; f++) {
        const enum pack_format format = (enum pack_format)f;
        struct pack_buffer packed = packed_of(format, text, N, 9);
        for (uint32_t call = 1; call <= 3; call++) {
            struct sink s = {.fail_at = call};
            size_t size;
            assert_int_equal(unpacked(format, packed.at, packed.n, N, &s, &size, NULL),
                             SL_ERR_SHUTDOWN);
            assert_int_equal(s.calls, call);
            free(s.at);
        }
        pack_buffer_deinit(&packed);
    }
    free(text);
}

/* ---- memory that runs out ---- */

/* The linker sends the unpacker's allocations here. The countdown: 1 fails the next one, 0 none. */
static size_t countdown;

void *__real_calloc(size_t count, size_t n);
void *__wrap_calloc(size_t count, size_t n);
struct libdeflate_decompressor *__real_libdeflate_alloc_decompressor(void);
struct libdeflate_decompressor *__wrap_libdeflate_alloc_decompressor(void);
ZSTD_DCtx *__real_ZSTD_createDCtx(void);
ZSTD_DCtx *__wrap_ZSTD_createDCtx(void);

static bool runs_out(void)
{
    return countdown > 0 && --countdown == 0;
}

void *__wrap_calloc(size_t count, size_t n)
{
    return runs_out() ? NULL : __real_calloc(count, n);
}

struct libdeflate_decompressor *__wrap_libdeflate_alloc_decompressor(void)
{
    return runs_out() ? NULL : __real_libdeflate_alloc_decompressor();
}

ZSTD_DCtx *__wrap_ZSTD_createDCtx(void)
{
    return runs_out() ? NULL : __real_ZSTD_createDCtx();
}

static void no_memory(void **state)
{
    (void)state;
    for (countdown = 1; countdown <= 2;) {
        const size_t call = countdown;
        assert_null(unpacker_create());
        countdown = call + 1;
    }
    countdown = 0;
    struct unpacker *u = unpacker_create();
    struct pack_buffer packed = packed_of(PACK_ZSTD, "abc", 3, 1);
    struct sink s = {0};
    const struct byte_target target = {&s, sink_grow};
    size_t size = 0;
    countdown = 1;
    assert_int_equal(unpack(u, PACK_ZSTD, sl_slice(packed.at, packed.n), &target, 3, &size, NULL),
                     SL_ERR_NOMEM);
    assert_int_equal(unpack(u, PACK_ZSTD, sl_slice(packed.at, packed.n), &target, 3, &size, NULL),
                     SL_OK);
    assert_int_equal(size, 3);
    free(s.at);
    pack_buffer_deinit(&packed);
    unpacker_destroy(u);
    unpacker_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(memory_is_taken_once),
        cmocka_unit_test(unpackers_are_used_again),
        cmocka_unit_test(truncated_everywhere),
        cmocka_unit_test(other_things_are_refused),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(garbage_behind_is_refused),
        cmocka_unit_test(members_are_joined),
        cmocka_unit_test(bombs_stop_at_the_limit),
        cmocka_unit_test(lies_cost_nothing),
        cmocka_unit_test(windows_are_bounded),
        cmocka_unit_test(other_frames),
        cmocka_unit_test(zstd_of_unknown_length),
        cmocka_unit_test(limit_is_exact),
        cmocka_unit_test(target_may_refuse),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
