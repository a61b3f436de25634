/* Snappy and lz4, through packers and unpackers as others use them: round trips, what others have
 * written, every cut, damage, lengths that lie, limits. */
#include "formats/compress/crc32c.h"
#include "formats/compress/pack.h"
#include "formats/compress/snappy_lz4.h"
#include "formats/compress/unpack.h"

#include <setjmp.h>
#include <stdlib.h>
// clang-format off
#include <cmocka.h>
// clang-format on

enum { LIMIT = 1 << 20 };

static const enum pack_format formats[] = {PACK_SNAPPY, PACK_SNAPPY_FRAMED, PACK_LZ4};
enum { FORMATS = sizeof formats / sizeof *formats };

static const struct snappy_lz4 *more(void)
{
    extern const sl_plugin sluice_plugin_snappy_lz4;
    return (const struct snappy_lz4 *)sluice_plugin_snappy_lz4.interface_of(SNAPPY_LZ4);
}

struct sink {
    uint8_t *at;
    size_t largest;
    uint32_t calls;
};

static int32_t sink_grow(void *ctx, size_t capacity, uint8_t **at, size_t *got)
{
    struct sink *s = (struct sink *)ctx;
    s->calls++;
    s->largest = capacity > s->largest ? capacity : s->largest;
    s->at = (uint8_t *)realloc(s->at, capacity); /* exactly: an overrun is seen by the sanitizer */
    assert_non_null(s->at);
    *at = s->at;
    *got = capacity;
    return SL_OK;
}

/* Unpacks a copy in memory of its own, so that reading beyond it is seen. */
static int32_t try_unpack(enum pack_format format, const void *at, size_t n, size_t limit,
                          struct sink *s, size_t *size, sl_error *error)
{
    struct unpacker *u = unpacker_create();
    uint8_t *exact = (uint8_t *)malloc(n ? n : 1);
    const struct byte_target target = {s, sink_grow};
    assert_non_null(u);
    assert_non_null(exact);
    if (n)
        memcpy(exact, at, n);
    unpacker_use(u, more());
    *size = SIZE_MAX;
    const int32_t status = unpack(u, format, sl_slice(exact, n), &target, limit, size, error);
    free(exact);
    unpacker_destroy(u);
    return status;
}

static void expect(enum pack_format format, const void *at, size_t n, const void *plain,
                   size_t n_plain)
{
    struct sink s = {0};
    size_t size;
    assert_int_equal(try_unpack(format, at, n, LIMIT, &s, &size, NULL), SL_OK);
    assert_int_equal(size, n_plain);
    if (n_plain)
        assert_memory_equal(s.at, plain, n_plain);
    free(s.at);
}

static void expect_refused(enum pack_format format, const void *at, size_t n, const char *says)
{
    struct sink s = {0};
    size_t size;
    sl_error error = {.size = sizeof error};
    assert_int_equal(try_unpack(format, at, n, LIMIT, &s, &size, &error), SL_ERR_INVALID);
    if (!strstr(error.text, says))
        fail_msg("\"%s\" says nothing of \"%s\"", error.text, says);
    free(s.at);
}

/* Half of it repeats itself, half does not. */
static uint8_t *make_text(size_t n)
{
    uint8_t *p = (uint8_t *)malloc(n + 1);
    uint32_t seed = 7;
    assert_non_null(p);
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        p[i] = i / 1000 % 2 ? (uint8_t)(seed >> 24) : (uint8_t)("service.name"[i % 12]);
    }
    return p;
}

static struct packer *packer_of(enum pack_format format)
{
    struct packer *p = packer_create_with(more(), format);
    assert_non_null(p);
    return p;
}

static void what_is_packed_is_unpacked(void **state)
{
    static const size_t sizes[] = {0, 1, 100, 65535, 65536, 65537, 400000};
    (void)state;
    for (uint32_t f = 0; f < FORMATS; f++) {
        struct packer *p = packer_of(formats[f]);
        struct pack_buffer out = {0};
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            uint8_t *text = make_text(sizes[i]);
            const size_t half = sizes[i] / 2;
            const sl_bytes parts[] = {sl_slice(text, half), sl_slice(text + half, sizes[i] - half)};
            assert_int_equal(packer_pack(p, parts, 2, SIZE_MAX, &out), SL_OK);
            assert_true(sizes[i] < 400000 || out.n < sizes[i] * 3 / 4);
            expect(formats[f], out.at, out.n, text, sizes[i]);
            assert_int_equal(packer_begin(p, SIZE_MAX, &out), SL_OK);
            for (size_t at = 0; at < sizes[i]; at += 10000)
                assert_int_equal(
                    packer_feed(p, text + at, sizes[i] - at < 10000 ? sizes[i] - at : 10000),
                    SL_OK);
            assert_int_equal(packer_end(p), SL_OK);
            expect(formats[f], out.at, out.n, text, sizes[i]);
            free(text);
        }
        pack_buffer_deinit(&out);
        packer_destroy(p);
    }
}

static void no_more_than_the_limit_comes_out(void **state)
{
    (void)state;
    uint8_t *text = make_text(100000);
    const sl_bytes whole = sl_slice(text, 100000);
    for (uint32_t f = 0; f < FORMATS; f++) {
        struct packer *p = packer_of(formats[f]);
        struct pack_buffer out = {0};
        assert_int_equal(packer_pack(p, &whole, 1, SIZE_MAX, &out), SL_OK);
        const size_t n = out.n;
        for (int32_t missing = 0; missing < 2; missing++) {
            struct sink s = {0};
            size_t size;
            sl_error error = {.size = sizeof error};
            assert_int_equal(
                try_unpack(formats[f], out.at, n, 100000 - (size_t)missing, &s, &size, &error),
                missing ? SL_ERR_TOO_LARGE : SL_OK);
            assert_true(s.largest <= 100000 - (size_t)missing);
            assert_true(!missing || strstr(error.text, "limit of 99999 bytes"));
            free(s.at);
        }
        assert_int_equal(packer_pack(p, &whole, 1, n - 1, &out), SL_ERR_TOO_LARGE);
        assert_int_equal(packer_pack(p, &whole, 1, n, &out), SL_OK);
        pack_buffer_deinit(&out);
        packer_destroy(p);
    }
    free(text);
}

/* Every beginning of a message is none, but where a frame ends; and neither is one with a wrong
 * byte, which bare blocks cannot know of: but nothing is read or written that is not there. */
static void damage_is_found(void **state)
{
    (void)state;
    uint8_t *text = make_text(3000);
    const sl_bytes whole = sl_slice(text, 3000);
    for (uint32_t f = 0; f < FORMATS; f++) {
        struct packer *p = packer_of(formats[f]);
        struct pack_buffer out = {0};
        assert_int_equal(packer_pack(p, &whole, 1, SIZE_MAX, &out), SL_OK);
        for (size_t n = 0; n < out.n; n++) {
            struct sink s = {0};
            size_t size;
            const int32_t status = try_unpack(formats[f], out.at, n, LIMIT, &s, &size, NULL);
            if (formats[f] == PACK_SNAPPY_FRAMED && n == 10)
                assert_int_equal(size, 0); /* the stream's identifier: an empty message */
            else
                assert_int_equal(status, SL_ERR_INVALID);
            free(s.at);
        }
        for (size_t i = 0; i < out.n; i++) {
            struct sink s = {0};
            size_t size;
            out.at[i] ^= 0x41;
            const int32_t status = try_unpack(formats[f], out.at, out.n, LIMIT, &s, &size, NULL);
            if (formats[f] == PACK_SNAPPY)
                assert_true(status == SL_OK || status == SL_ERR_INVALID ||
                            status == SL_ERR_TOO_LARGE);
            else
                assert_true(status != SL_OK);
            out.at[i] ^= 0x41;
            free(s.at);
        }
        pack_buffer_deinit(&out);
        packer_destroy(p);
    }
    free(text);
}

static const uint8_t identifier[] = {0xff, 6, 0, 0, 's', 'N', 'a', 'P', 'p', 'Y'};

/* By the implementations in Rust; 100 times "abc". */
static void what_others_have_written(void **state)
{
    static const uint8_t block[] = {0xac, 2,    8, 'a', 'b',  'c', 0xfe, 3,    0, 0xfe, 3,
                                    0,    0xfe, 3, 0,   0xfe, 3,   0,    0xa2, 3, 0};
    static const uint8_t lz4[] = {0x04, 0x22, 0x4d, 0x18, 0x54, 0x40, 0xae, 0x0e, 0x00, 0x00,
                                  0x00, 0x3f, 0x61, 0x62, 0x63, 0x03, 0x00, 0xff, 0x12, 0x50,
                                  0x62, 0x63, 0x61, 0x62, 0x63, 0xc0, 0xaa, 0xd4, 0x5c, 0x00,
                                  0x00, 0x00, 0x00, 0xbe, 0xd6, 0xca, 0x55};
    uint8_t text[300], framed[10 + 8 + sizeof block];
    (void)state;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)("abc"[i % 3]);
    memcpy(framed, identifier, 10);
    memcpy(framed + 10, (const uint8_t[]){0, 25, 0, 0, 0xcc, 0xcf, 0x89, 0xc7}, 8);
    memcpy(framed + 18, block, sizeof block);
    expect(PACK_SNAPPY, block, sizeof block, text, sizeof text);
    expect(PACK_SNAPPY_FRAMED, framed, sizeof framed, text, sizeof text);
    expect(PACK_SNAPPY, framed, sizeof framed, text, sizeof text); /* seen by its beginning */
    uint8_t twice[2 * sizeof lz4];
    expect(PACK_LZ4, lz4, sizeof lz4, text, sizeof text);
    memcpy(twice, lz4, sizeof lz4);
    memcpy(twice + sizeof lz4, lz4, sizeof lz4);
    uint8_t *both = (uint8_t *)malloc(2 * sizeof text);
    assert_non_null(both);
    memcpy(both, text, sizeof text);
    memcpy(both + sizeof text, text, sizeof text);
    expect(PACK_LZ4, twice, sizeof twice, both, 2 * sizeof text);
    free(both);
    expect_refused(PACK_LZ4, twice, sizeof lz4 + 1, "cut short");
    expect_refused(PACK_LZ4, text, sizeof text, "lz4");
}

/* The identifier, then one chunk. */
static size_t chunk(uint8_t *to, uint8_t type, const void *at, size_t n)
{
    memcpy(to, identifier, sizeof identifier);
    memcpy(to + 10, (const uint8_t[]){type, (uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16)}, 4);
    if (n)
        memcpy(to + 14, at, n);
    return 14 + n;
}

static void chunks(void **state)
{
    static const uint8_t padding[100];
    uint8_t in[70100];
    (void)state;
    expect(PACK_SNAPPY_FRAMED, identifier, sizeof identifier, "", 0);
    const uint32_t sum = crc32c(sl_slice("a", 1)), masked = (sum >> 15 | sum << 17) + 0xa282ead8u;
    uint8_t good[5] = {0, 0, 0, 0, 'a'};
    for (uint32_t i = 0; i < 4; i++)
        good[i] = (uint8_t)(masked >> (8 * i));
    expect(PACK_SNAPPY_FRAMED, in, chunk(in, 0x01, good, sizeof good), "a", 1);
    good[0] ^= 1;
    expect_refused(PACK_SNAPPY_FRAMED, in, chunk(in, 0x01, good, sizeof good), "checksum");
    expect(PACK_SNAPPY_FRAMED, in, chunk(in, 0xfe, padding, sizeof padding), "", 0);
    expect(PACK_SNAPPY_FRAMED, in, chunk(in, 0x80, padding, sizeof padding), "", 0);
    expect_refused(PACK_SNAPPY_FRAMED, in, chunk(in, 0x02, padding, 4), "type 0x02");
    expect_refused(PACK_SNAPPY_FRAMED, in, chunk(in, 0x7f, padding, 4), "type 0x7f");
    expect_refused(PACK_SNAPPY_FRAMED, in, chunk(in, 0x00, padding, 3), "damaged");
    expect_refused(PACK_SNAPPY_FRAMED, in, chunk(in, 0x00, padding, 4), "damaged");
    expect_refused(PACK_SNAPPY_FRAMED, "abc", 3, "not framed");
    uint8_t *large = (uint8_t *)calloc(1, 65541);
    assert_non_null(large);
    expect_refused(PACK_SNAPPY_FRAMED, in, chunk(in, 0x01, large, 65541), "damaged");
    free(large);
}

/* A body of few bytes says that it holds much: no memory is taken for it. */
static void lengths_that_lie(void **state)
{
    static const uint8_t lies[] = {0xff, 0xff, 0x3f, 0},
                         never[] = {0xff, 0xff, 0xff, 0xff, 0xff, 1};
    struct sink s = {0};
    size_t size;
    (void)state;
    assert_int_equal(try_unpack(PACK_SNAPPY, lies, sizeof lies, LIMIT, &s, &size, NULL),
                     SL_ERR_INVALID);
    assert_int_equal(try_unpack(PACK_SNAPPY, never, sizeof never, LIMIT, &s, &size, NULL),
                     SL_ERR_INVALID);
    assert_int_equal(s.calls, 0);
}

static void checksums(void **state)
{
    uint8_t zeros[32] = {0}, ones[32];
    (void)state;
    memset(ones, 0xff, sizeof ones);
    assert_int_equal(crc32c(sl_str("123456789")), 0xe3069283); /* RFC 3720, appendix B.4 */
    assert_int_equal(crc32c(sl_slice(zeros, 32)), 0x8a9136aa);
    assert_int_equal(crc32c(sl_slice(ones, 32)), 0x62a8ab43);
    assert_int_equal(crc32c(sl_str("")), 0);
}

static void without_the_plugin(void **state)
{
    struct unpacker *u = unpacker_create();
    struct sink s = {0};
    const struct byte_target target = {&s, sink_grow};
    size_t size;
    (void)state;
    assert_non_null(u);
    assert_int_equal(unpack(u, PACK_LZ4, sl_str("x"), &target, LIMIT, &size, NULL),
                     SL_ERR_UNSUPPORTED);
    unpacker_destroy(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_packed_is_unpacked),
        cmocka_unit_test(no_more_than_the_limit_comes_out),
        cmocka_unit_test(damage_is_found),
        cmocka_unit_test(what_others_have_written),
        cmocka_unit_test(chunks),
        cmocka_unit_test(lengths_that_lie),
        cmocka_unit_test(checksums),
        cmocka_unit_test(without_the_plugin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
