/* gzip: round trips over segments, every cut, every split, bombs, damage, several members, limits
 * and failing targets. */
#include "formats/compress/gzip.h"
#include "formats/compress/pack.h"

#include <setjmp.h>
#include <stdlib.h>
// clang-format off
#include <cmocka.h>
// clang-format on
#include <zlib.h>

struct sink {
    uint8_t *at;
    size_t capacity, largest_asked;
    uint32_t calls, fail_at; /* fail the call with this number, from 1 */
    int32_t failure;
};

static int32_t sink_grow(void *ctx, size_t capacity, uint8_t **at, size_t *got)
{
    struct sink *s = (struct sink *)ctx;
    s->calls++;
    if (capacity > s->largest_asked)
        s->largest_asked = capacity;
    if (s->fail_at == s->calls)
        return s->failure;
    s->at = (uint8_t *)realloc(s->at, capacity); /* exactly: an overrun is seen by the sanitizer */
    assert_non_null(s->at);
    s->capacity = capacity;
    *at = s->at;
    *got = capacity;
    return SL_OK;
}

static struct gzip_target target_of(struct sink *s)
{
    struct gzip_target t = {s, sink_grow};
    return t;
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

static void compress_to(struct pack_buffer *out, const uint8_t *p, size_t n, int level)
{
    struct packer *w = packer_create(PACK_GZIP, level);
    assert_non_null(w);
    sl_bytes one = sl_slice(p, n);
    assert_int_equal(packer_pack(w, &one, 1, SIZE_MAX, out), SL_OK);
    packer_destroy(w);
}

static void round_trip(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 100, 4095, 4096, 4097, 65535, 65536, 1000003};
    struct gzip_reader *r = gzip_reader_create();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int level = PACK_FASTEST; level <= 9; level += 4) {
            size_t n = sizes[i];
            uint8_t *text = text_make(n, (uint32_t)(7 + i));
            struct pack_buffer packed = {0};
            compress_to(&packed, text, n, level);
            struct sink s = {0};
            struct gzip_target t = target_of(&s);
            size_t got = 99;
            assert_int_equal(gzip_inflate(r, &t, sl_slice(packed.at, packed.n), n, &got, NULL),
                             SL_OK);
            assert_int_equal(got, n);
            if (n > 0) /* a compared pointer must not be NULL */
                assert_memory_equal(s.at, text, n);
            assert_true(s.calls <= 1); /* the message says its length */
            free(s.at);
            free(text);
            pack_buffer_deinit(&packed);
        }
    }
    gzip_reader_destroy(r);
}

static void many_segments(void **state)
{
    (void)state;
    enum { N = 300000 };
    uint8_t *text = text_make(N, 5);
    sl_bytes segments[1000];
    uint32_t n = 0;
    size_t at = 0, step = 0;
    while (at < N) { /* empty ones among them */
        size_t len = n == 999 ? N - at : (step++ * 37) % 700;
        if (len > N - at)
            len = N - at;
        segments[n++] = sl_slice(len ? text + at : NULL, len);
        at += len;
    }
    struct packer *w = packer_create(PACK_GZIP, -1);
    struct gzip_reader *r = gzip_reader_create();
    struct pack_buffer packed = {0};
    for (int again = 0; again < 3; again++) { /* contexts and the buffer are used again */
        assert_int_equal(packer_pack(w, segments, n, SIZE_MAX, &packed), SL_OK);
        struct sink s = {0};
        struct gzip_target t = target_of(&s);
        size_t got = 0;
        assert_int_equal(gzip_inflate(r, &t, sl_slice(packed.at, packed.n), N, &got, NULL), SL_OK);
        assert_int_equal(got, N);
        assert_memory_equal(s.at, text, N);
        free(s.at);
    }
    assert_int_equal(packer_pack(w, segments, n, packed.n + 1, &packed), SL_OK);
    assert_int_equal(packer_pack(w, segments, n, packed.n - 1, &packed), SL_ERR_TOO_LARGE);
    assert_int_equal(packer_pack(w, NULL, 0, 100, &packed), SL_OK);
    assert_true(packed.n >= 18);
    pack_buffer_deinit(&packed);
    packer_destroy(w);
    gzip_reader_destroy(r);
    free(text);
}

static void fed_in_parts(void **state)
{
    (void)state;
    enum { N = 20000 };
    uint8_t *text = text_make(N, 11);
    struct pack_buffer packed = {0};
    compress_to(&packed, text, N, -1);
    struct gzip_reader *r = gzip_reader_create();
    for (size_t step = 1; step < 300; step = step * 3 + 1) {
        struct sink s = {0};
        struct gzip_target t = target_of(&s);
        gzip_reader_begin(r, &t, 10, N); /* a poor guess: it has to grow */
        for (size_t at = 0; at < packed.n; at += step) {
            size_t n = packed.n - at < step ? packed.n - at : step;
            assert_int_equal(gzip_reader_feed(r, packed.at + at, n, NULL), SL_OK);
        }
        size_t got = 0;
        assert_int_equal(gzip_reader_end(r, &got, NULL), SL_OK);
        assert_int_equal(got, N);
        assert_memory_equal(s.at, text, N);
        assert_true(s.calls > 1 && s.largest_asked <= N);
        free(s.at);
    }
    gzip_reader_destroy(r);
    pack_buffer_deinit(&packed);
    free(text);
}

static void truncated_everywhere(void **state)
{
    (void)state;
    uint8_t *text = text_make(3000, 3);
    struct pack_buffer packed = {0};
    compress_to(&packed, text, 3000, -1);
    struct gzip_reader *r = gzip_reader_create();
    for (size_t n = 0; n < packed.n; n++) {
        struct sink s = {0};
        struct gzip_target t = target_of(&s);
        sl_error error = {.size = sizeof error};
        size_t got = 77;
        assert_int_equal(gzip_inflate(r, &t, sl_slice(packed.at, n), 1 << 20, &got, &error),
                         SL_ERR_INVALID);
        assert_int_equal(got, 77);
        assert_true(error.text[0] != 0);
        free(s.at);
    }
    gzip_reader_destroy(r);
    pack_buffer_deinit(&packed);
    free(text);
}

static int32_t inflate_status(const uint8_t *p, size_t n, size_t limit, size_t *got, struct sink *s)
{
    struct gzip_reader *r = gzip_reader_create();
    struct gzip_target t = target_of(s);
    int32_t status = gzip_inflate(r, &t, sl_slice(p, n), limit, got, NULL);
    gzip_reader_destroy(r);
    return status;
}

static void damage_is_refused(void **state)
{
    (void)state;
    enum { N = 1000 };
    uint8_t *text = text_make(N, 3);
    struct pack_buffer packed = {0};
    compress_to(&packed, text, N, -1);
    uint8_t *copy = (uint8_t *)malloc(packed.n * 2 + 16);
    size_t got;
    for (size_t i = 0; i < 8; i++) { /* CRC and ISIZE */
        struct sink s = {0};
        memcpy(copy, packed.at, packed.n);
        copy[packed.n - 1 - i] ^= 0x40;
        assert_int_equal(inflate_status(copy, packed.n, N, &got, &s), SL_ERR_INVALID);
        free(s.at);
    }
    for (size_t junk = 1; junk <= 16; junk++) { /* bytes after the end, zeros too */
        struct sink s = {0};
        memcpy(copy, packed.at, packed.n);
        memset(copy + packed.n, junk & 1 ? 0 : 'x', junk);
        assert_int_equal(inflate_status(copy, packed.n + junk, N, &got, &s), SL_ERR_INVALID);
        free(s.at);
    }
    struct sink s = {0};
    static const uint8_t zlib_empty[] = {0x78, 0x9c, 3, 0, 0, 0, 0, 1};
    assert_int_equal(inflate_status(zlib_empty, sizeof zlib_empty, N, &got, &s), SL_ERR_INVALID);
    assert_int_equal(inflate_status((const uint8_t *)"plain text", 10, N, &got, &s),
                     SL_ERR_INVALID);
    assert_null(s.at);
    free(copy);
    free(text);
    pack_buffer_deinit(&packed);
}

static void members_are_joined(void **state)
{
    (void)state;
    uint8_t *text = text_make(5000, 8);
    struct pack_buffer a = {0}, b = {0}, none = {0};
    compress_to(&a, text, 2000, PACK_FASTEST);
    compress_to(&none, text, 0, PACK_FASTEST);
    compress_to(&b, text + 2000, 3000, 9);
    size_t n = 0;
    uint8_t *all = (uint8_t *)malloc(a.n + b.n + 2 * none.n);
    const struct pack_buffer *const parts[] = {&none, &a, &none, &b};
    for (int i = 0; i < 4; i++) {
        memcpy(all + n, parts[i]->at, parts[i]->n);
        n += parts[i]->n;
    }
    struct sink s = {0};
    size_t got = 0;
    assert_int_equal(inflate_status(all, n, 5000, &got, &s), SL_OK);
    assert_int_equal(got, 5000);
    assert_memory_equal(s.at, text, 5000);
    free(s.at);
    memset(&s, 0, sizeof s);
    assert_int_equal(inflate_status(all, n, 4999, &got, &s), SL_ERR_TOO_LARGE);
    free(s.at);
    memset(&s, 0, sizeof s);
    assert_int_equal(inflate_status(all, n - 1, 5000, &got, &s), SL_ERR_INVALID);
    free(s.at);
    free(all);
    free(text);
    pack_buffer_deinit(&a);
    pack_buffer_deinit(&b);
    pack_buffer_deinit(&none);
}

static void bombs_stop_at_the_limit(void **state)
{
    (void)state;
    enum { N = 64 << 20, LIMIT = 1 << 20 };
    uint8_t *zeros = (uint8_t *)calloc(1, N);
    struct pack_buffer packed = {0};
    compress_to(&packed, zeros, N, 9);
    assert_true(packed.n < N / 1000);
    struct sink s = {0};
    size_t got = 0;
    assert_int_equal(inflate_status(packed.at, packed.n, LIMIT, &got, &s), SL_ERR_TOO_LARGE);
    assert_true(s.largest_asked <= LIMIT);
    free(s.at);
    /* Within the limit the ratio does not matter. */
    memset(&s, 0, sizeof s);
    assert_int_equal(inflate_status(packed.at, packed.n, N, &got, &s), SL_OK);
    assert_int_equal(got, N);
    free(s.at);
    /* A length that lies does not make the first buffer large. */
    memset(&s, 0, sizeof s);
    uint8_t tiny[64];
    struct pack_buffer small = {0};
    compress_to(&small, (const uint8_t *)"abc", 3, -1);
    memcpy(tiny, small.at, small.n);
    memset(tiny + small.n - 4, 0xff, 4);
    assert_int_equal(inflate_status(tiny, small.n, SIZE_MAX, &got, &s), SL_ERR_INVALID);
    assert_true(s.largest_asked <= 64 * sizeof tiny);
    free(s.at);
    pack_buffer_deinit(&small);
    pack_buffer_deinit(&packed);
    free(zeros);
}

static void limit_is_exact(void **state)
{
    (void)state;
    uint8_t *text = text_make(70000, 21);
    struct gzip_reader *r = gzip_reader_create();
    for (size_t n = 1; n < 70000; n = n * 2 + 1) {
        struct pack_buffer packed = {0};
        compress_to(&packed, text, n, -1);
        for (int over = 0; over < 2; over++) {
            struct sink s = {0};
            struct gzip_target t = target_of(&s);
            size_t got = 0;
            gzip_reader_begin(r, &t, 1, n - (size_t)over);
            int32_t status = gzip_reader_feed(r, packed.at, packed.n, NULL);
            if (status == SL_OK)
                status = gzip_reader_end(r, &got, NULL);
            assert_int_equal(status, over ? SL_ERR_TOO_LARGE : SL_OK);
            free(s.at);
        }
        pack_buffer_deinit(&packed);
    }
    gzip_reader_destroy(r);
    free(text);
}

static void target_may_refuse(void **state)
{
    (void)state;
    uint8_t *text = text_make(50000, 21);
    struct pack_buffer packed = {0};
    compress_to(&packed, text, 50000, -1);
    struct gzip_reader *r = gzip_reader_create();
    for (uint32_t call = 1; call <= 3; call++) {
        struct sink s = {.fail_at = call, .failure = SL_ERR_NOMEM};
        struct gzip_target t = target_of(&s);
        gzip_reader_begin(r, &t, 100, 50000);
        assert_int_equal(gzip_reader_feed(r, packed.at, packed.n, NULL), SL_ERR_NOMEM);
        assert_int_equal(s.calls, call);
        free(s.at);
    }
    gzip_reader_destroy(r);
    pack_buffer_deinit(&packed);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(many_segments),
        cmocka_unit_test(fed_in_parts),
        cmocka_unit_test(truncated_everywhere),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(members_are_joined),
        cmocka_unit_test(bombs_stop_at_the_limit),
        cmocka_unit_test(limit_is_exact),
        cmocka_unit_test(target_may_refuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
