/* Fuzz target: gzip bodies from the network. Inflates the input whole and in two parts, with the
 * same result, and never beyond the limit; one thread. */
#include "formats/compress/gzip.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 1 << 16 };

struct sink {
    uint8_t *at;
};

static int32_t sink_grow(void *ctx, size_t capacity, uint8_t **at, size_t *got)
{
    struct sink *s = (struct sink *)ctx;
    if (capacity == 0 || capacity > LIMIT)
        abort();
    uint8_t *moved = (uint8_t *)realloc(s->at, capacity);
    if (!moved)
        return SL_ERR_NOMEM;
    s->at = moved;
    *at = moved;
    *got = capacity;
    return SL_OK;
}

/* The first byte says where the input is cut, in 256ths. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    sl_bytes in = sl_slice(data + 1, size - 1);
    size_t cut = in.n * data[0] / 256, whole_n = 0, parts_n = 0;
    struct gzip_reader *r = gzip_reader_create();
    if (!r)
        return 0;
    struct sink whole = {0}, parts = {0};
    struct gzip_target to_whole = {&whole, sink_grow}, to_parts = {&parts, sink_grow};
    int32_t a = gzip_inflate(r, &to_whole, in, LIMIT, &whole_n, NULL);
    gzip_reader_begin(r, &to_parts, 1, LIMIT);
    int32_t b = gzip_reader_feed(r, in.p, cut, NULL);
    if (b == SL_OK)
        b = gzip_reader_feed(r, in.p + cut, in.n - cut, NULL);
    if (b == SL_OK)
        b = gzip_reader_end(r, &parts_n, NULL);
    if (a != b || whole_n != parts_n || whole_n > LIMIT ||
        (a == SL_OK && whole_n > 0 && memcmp(whole.at, parts.at, whole_n) != 0))
        abort();
    free(whole.at);
    free(parts.at);
    gzip_reader_destroy(r);
    return 0;
}
