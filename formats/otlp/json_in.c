/* The reader's output and its failures. Used by one thread at a time. */
#include "formats/otlp/json_in.h"

#include <stdarg.h>
#include <stdio.h>

const uint8_t *json_in_fail(struct json_in *in, const uint8_t *bad, int32_t status,
                            const char *format, ...)
{
    va_list arguments;
    in->bad = bad;
    in->status = status;
    va_start(arguments, format);
    vsnprintf(in->why, sizeof in->why, format, arguments);
    va_end(arguments);
    return NULL;
}

const uint8_t *json_in_unexpected(struct json_in *in, const uint8_t *p, const char *expected)
{
    enum { SHOWN = 24 };
    char shown[SHOWN + 1];
    size_t n = 0;
    for (; p + n < in->end && n < SHOWN && p[n] >= ' ' && p[n] < 0x7f; n++) {
        shown[n] = (char)p[n];
    }
    shown[n] = 0;
    if (p == in->end) {
        return json_in_fail(in, p, SL_ERR_INVALID, "%s is expected, but the text ends", expected);
    }
    if (n == 0) {
        return json_in_fail(in, p, SL_ERR_INVALID, "%s is expected, not byte 0x%02x", expected, *p);
    }
    return json_in_fail(in, p, SL_ERR_INVALID, "%s is expected, not: %s%s", expected, shown,
                        n == SHOWN ? "..." : "");
}

bool json_in_grow(struct json_in *in, size_t n)
{
    /* A reservation may exceed what is used of it in the end, so the limit is on what was used. */
    const size_t most = in->limit + JSON_IN_RESERVE_MAX;
    size_t capacity = in->capacity ? 2 * in->capacity : (size_t)(in->end - in->text) / 2;
    uint8_t *at;
    size_t got;
    if (in->used > in->limit) {
        json_in_fail(in, NULL, SL_ERR_TOO_LARGE,
                     "becomes more than the limit of %zu bytes of protobuf", in->limit);
        return false;
    }
    if (capacity < in->used + n) {
        capacity = in->used + n;
    }
    if (capacity > most) {
        capacity = most;
    }
    const int32_t status = in->target->grow(in->target->ctx, capacity, &at, &got);
    if (status != SL_OK) {
        json_in_fail(in, NULL, status, "no memory for %zu bytes of protobuf", capacity);
        return false;
    }
    in->at = at;
    in->capacity = got < most ? got : most;
    return true;
}

bool json_record_begin(struct json_in *in, const struct json_field *field,
                       struct json_record *record)
{
    if (!json_in_reserve(in, JSON_TAG_MAX + 8)) {
        return false;
    }
    const uint8_t width = in->width[field - in->schema->fields];
    uint8_t *p = in->at + in->used;
    p[0] = field->tag[0];
    p[1] = field->tag[1];
    in->used += (size_t)field->tag_size + width;
    record->start = in->used;
    record->width = width;
    return true;
}

/* The room was another than is needed. */
static bool record_move(struct json_in *in, const struct json_record *record, size_t size,
                        size_t width)
{
    if (!json_in_reserve(in, 8)) {
        return false;
    }
    uint8_t *content = in->at + record->start;
    memmove(content - record->width + width, content, size);
    in->used = record->start - record->width + width + size;
    return true;
}

bool json_record_end(struct json_in *in, const struct json_field *field,
                     const struct json_record *record)
{
    const size_t size = in->used - record->start;
    if (size < 0x80 && record->width == 1) {
        in->at[record->start - 1] = (uint8_t)size;
        return true;
    }
    const size_t width = sl_varint_size(size);
    if (width != record->width) {
        in->width[field - in->schema->fields] = (uint8_t)width;
        if (!record_move(in, record, size, width)) {
            return false;
        }
    }
    sl_put_varint(in->at + record->start - record->width, size);
    return true;
}
