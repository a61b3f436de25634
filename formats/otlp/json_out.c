/* The JSON writer's buffer. Used by one thread at a time. */
#include "formats/otlp/json_out.h"

#include <sluice/plugin.h>

#include <stdlib.h>

enum { FIRST_ROOM = 4096 };

int32_t json_out_init(struct json_out *out, uint64_t limit, json_out_flush_fn flush, void *context)
{
    size_t room = flush ? JSON_OUT_FLUSH_ROOM : FIRST_ROOM;
    *out = (struct json_out){.limit = limit, .flush = flush, .context = context};
    out->at = malloc(room + JSON_OUT_RESERVE_MAX);
    if (!out->at) {
        return SL_ERR_NOMEM;
    }
    out->room = room;
    return SL_OK;
}

void json_out_deinit(struct json_out *out)
{
    free(out->at);
    out->at = NULL;
}

static void hand_over(struct json_out *out)
{
    if (out->status == SL_OK && out->flushed + out->used > out->limit) {
        out->status = SL_ERR_TOO_LARGE;
    }
    if (out->status == SL_OK && out->used > 0) {
        out->status = out->flush(out->context, out->at, out->used);
        out->flushed += out->used;
    }
    out->used = 0;
}

static void grow(struct json_out *out, size_t n)
{
    /* A reservation may exceed what is used of it in the end, so the limit is on what was used. */
    if (out->used > out->limit) {
        out->status = SL_ERR_TOO_LARGE;
        return;
    }
    size_t room = out->room;
    while (room - out->used < n) {
        if (__builtin_mul_overflow(room, 2, &room)) {
            out->status = SL_ERR_NOMEM;
            return;
        }
    }
    if (room > out->limit) {
        room = (size_t)out->limit + JSON_OUT_RESERVE_MAX; /* used <= limit, so n still fits */
    }
    uint8_t *at = realloc(out->at, room + JSON_OUT_RESERVE_MAX);
    if (!at) {
        out->status = SL_ERR_NOMEM;
        return;
    }
    out->at = at;
    out->room = room;
}

void json_out_make_room(struct json_out *out, size_t n)
{
    if (out->status == SL_OK) {
        if (out->flush) {
            hand_over(out);
        } else {
            grow(out, n);
        }
    }
    if (out->status != SL_OK) {
        out->used = out->room; /* what follows goes into the spare bytes behind the room */
    }
}

int32_t json_out_finish(struct json_out *out)
{
    if (out->flush) {
        hand_over(out);
    } else if (out->status == SL_OK && out->used > out->limit) {
        out->status = SL_ERR_TOO_LARGE;
    }
    return out->status;
}
