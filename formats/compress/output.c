/* See output.h. */
#include "formats/compress/output.h"

enum {
    RATIO_BELIEVED = 64,       /* no first buffer is larger, whatever the message says */
    OUTPUT_AT_FIRST = 4 * 1024 /* bytes */
};

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

void output_expect(struct output *o, size_t n, uint64_t said)
{
    if (n > SIZE_MAX / RATIO_BELIEVED)
        o->expected = SIZE_MAX;
    else if (said >= n / 2 && said <= (uint64_t)n * RATIO_BELIEVED)
        o->expected = (size_t)said;
    else
        o->expected = n * smaller(o->ratio, RATIO_BELIEVED);
}

int32_t output_grow(struct output *o, sl_error *error)
{
    if (o->capacity >= o->limit)
        return sl_fail(error, SL_ERR_TOO_LARGE, "unpacks to more than the limit of %zu bytes",
                       o->limit);
    size_t capacity = o->expected;
    if (o->capacity > 0 && __builtin_mul_overflow(o->capacity, (size_t)2, &capacity))
        capacity = o->limit;
    if (capacity <= o->used)
        capacity = o->used + OUTPUT_AT_FIRST;
    capacity = smaller(capacity, o->limit);
    uint8_t *at = NULL;
    size_t got = 0;
    const int32_t status = o->target->grow(o->target->ctx, capacity, &at, &got);
    if (status != SL_OK)
        return sl_fail(error, status, "no memory for %zu unpacked bytes", capacity);
    o->at = at;
    o->capacity = smaller(got, o->limit);
    return SL_OK;
}

int32_t output_room(struct output *o, size_t n, sl_error *error)
{
    int32_t status = SL_OK;
    while (status == SL_OK && o->capacity - o->used < n)
        status = output_grow(o, error);
    return status;
}
