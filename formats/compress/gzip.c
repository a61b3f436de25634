/* gzip on zlib: inflating within a limit into the caller's memory. One thread at a time for each
 * reader. */
#include "formats/compress/gzip.h"

#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

enum {
    WINDOW_GZIP = 15 + 16,     /* the largest window, gzip's container only */
    RATIO_EXPECTED = 4,        /* of OTLP where nothing better is known; it makes 5 to 15 */
    RATIO_BELIEVED = 64,       /* no first buffer is larger, whatever the message says */
    OUTPUT_AT_FIRST = 4 * 1024 /* bytes */
};

struct gzip_reader {
    z_stream z;
    struct gzip_target target;
    uint8_t *at;
    size_t used, capacity, expected, limit;
    bool any, ended; /* saw input; stands at the end of a member */
};

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static uInt chunk_of(size_t n)
{
    return n < UINT_MAX ? (uInt)n : UINT_MAX;
}

struct gzip_reader *gzip_reader_create(void)
{
    struct gzip_reader *r = (struct gzip_reader *)calloc(1, sizeof *r);
    if (r && inflateInit2(&r->z, WINDOW_GZIP) != Z_OK) {
        free(r);
        r = NULL;
    }
    return r;
}

void gzip_reader_destroy(struct gzip_reader *r)
{
    if (r) {
        (void)inflateEnd(&r->z);
        free(r);
    }
}

void gzip_reader_begin(struct gzip_reader *r, const struct gzip_target *target, size_t expected,
                       size_t limit)
{
    (void)inflateReset(&r->z);
    r->target = *target;
    r->at = NULL;
    r->used = r->capacity = 0;
    r->expected = expected;
    r->limit = limit;
    r->any = r->ended = false;
}

/* The memory is full and one more byte, `next`, has come out. */
static int32_t reader_grow(struct gzip_reader *r, uint8_t next, sl_error *error)
{
    if (r->used >= r->limit)
        return sl_fail(error, SL_ERR_TOO_LARGE, "inflates to more than the limit of %zu bytes",
                       r->limit);
    size_t capacity = r->expected;
    if (r->capacity > 0 && __builtin_mul_overflow(r->capacity, (size_t)2, &capacity))
        capacity = r->limit;
    capacity = smaller(capacity, r->limit);
    if (capacity <= r->used)
        capacity = smaller(r->used + OUTPUT_AT_FIRST, r->limit);
    uint8_t *at = NULL;
    size_t got = 0;
    int32_t status = r->target.grow(r->target.ctx, capacity, &at, &got);
    if (status != SL_OK)
        return sl_fail(error, status, "no memory for %zu inflated bytes", capacity);
    r->at = at;
    r->capacity = smaller(got, r->limit);
    r->at[r->used++] = next;
    return SL_OK;
}

int32_t gzip_reader_feed(struct gzip_reader *r, const void *at, size_t n, sl_error *error)
{
    const Bytef *in = (const Bytef *)at;
    bool more = n > 0;
    while (more) {
        if (r->ended) { /* another member, or garbage, which its header check refuses */
            (void)inflateReset(&r->z);
            r->ended = false;
        }
        r->any = true;
        /* With no room left a single byte tells whether anything is still to come, so that memory
         * of exactly the right size never grows. */
        uint8_t probe = 0;
        size_t room = r->capacity - r->used;
        bool probing = room == 0;
        uInt out = probing ? 1 : chunk_of(room), fed = chunk_of(n);
        r->z.next_out = probing ? &probe : r->at + r->used;
        r->z.avail_out = out;
        r->z.next_in = (z_const Bytef *)in;
        r->z.avail_in = fed;
        int result = inflate(&r->z, Z_NO_FLUSH);
        in += fed - r->z.avail_in;
        n -= fed - r->z.avail_in;
        if (result == Z_BUF_ERROR && n == 0)
            break; /* it held nothing back */
        if (result == Z_MEM_ERROR)
            return sl_fail(error, SL_ERR_NOMEM, "no memory to inflate");
        if (result != Z_OK && result != Z_STREAM_END)
            return sl_fail(error, SL_ERR_INVALID, "not a valid gzip body: %s",
                           r->z.msg ? r->z.msg : "damaged");
        r->ended = result == Z_STREAM_END;
        bool full = r->z.avail_out == 0;
        if (!probing) {
            r->used += out - r->z.avail_out;
        } else if (full) {
            int32_t status = reader_grow(r, probe, error);
            if (status != SL_OK)
                return status;
        }
        more = n > 0 || (full && !r->ended);
    }
    return SL_OK;
}

int32_t gzip_reader_end(struct gzip_reader *r, size_t *inflated, sl_error *error)
{
    if (!r->ended)
        return sl_fail(error, SL_ERR_INVALID,
                       r->any ? "not a valid gzip body: cut short" : "an empty body is not gzip");
    *inflated = r->used;
    return SL_OK;
}

int32_t gzip_inflate(struct gzip_reader *r, const struct gzip_target *target, sl_bytes in,
                     size_t limit, size_t *inflated, sl_error *error)
{
    static const uint8_t none[4];
    gzip_reader_begin(r, target, gzip_expected(in.n, in.n >= 4 ? in.p + in.n - 4 : none), limit);
    int32_t status = gzip_reader_feed(r, in.p, in.n, error);
    return status == SL_OK ? gzip_reader_end(r, inflated, error) : status;
}

size_t gzip_expected(uint64_t n, const uint8_t last[4])
{
    if (n > SIZE_MAX / RATIO_BELIEVED)
        return SIZE_MAX;
    size_t said =
        (size_t)last[0] | (size_t)last[1] << 8 | (size_t)last[2] << 16 | (size_t)last[3] << 24;
    size_t most = (size_t)n * RATIO_BELIEVED;
    return said >= n / 2 && said <= most ? said : (size_t)n * RATIO_EXPECTED;
}
