/* Where the JSON writer puts its text: a buffer that either grows up to a limit, or is handed to a
 * flush function each time it is full, so that any amount of text needs one small buffer. Used by
 * one thread at a time. */
#ifndef SLUICE_FORMATS_OTLP_JSON_OUT_H
#define SLUICE_FORMATS_OTLP_JSON_OUT_H
#include <stddef.h>
#include <stdint.h>

enum {
    JSON_OUT_RESERVE_MAX = 1024, /* bytes that one reservation may ask for */
    JSON_OUT_FLUSH_ROOM = 65536  /* the buffer's size where there is a flush function */
};

/* Takes n bytes, which stay valid during the call. Anything but SL_OK ends the writing. */
typedef int32_t (*json_out_flush_fn)(void *context, const uint8_t *at, size_t n);

struct json_out {
    uint8_t *at; /* owned; room + JSON_OUT_RESERVE_MAX bytes */
    size_t used;
    size_t room;
    uint64_t limit;   /* of all bytes written */
    uint64_t flushed; /* of them, those that are no longer in the buffer */
    json_out_flush_fn flush;
    void *context;
    int32_t status; /* enum sl_status: the first failure; what is written after it is lost */
};

/* Both: SL_OK or SL_ERR_NOMEM. With flush == NULL the text collects in at[0..used). */
int32_t json_out_init(struct json_out *out, uint64_t limit, json_out_flush_fn flush, void *context);
void json_out_deinit(struct json_out *out);

/* Hands the rest to the flush function. Returns the first failure of all. */
int32_t json_out_finish(struct json_out *out);

void json_out_make_room(struct json_out *out, size_t n);

/* Room for n <= JSON_OUT_RESERVE_MAX bytes; never NULL: after a failure it is room whose content
 * nobody reads. */
static inline uint8_t *json_out_reserve(struct json_out *out, size_t n)
{
    if (out->used + n > out->room) {
        json_out_make_room(out, n);
    }
    return out->at + out->used;
}

/* Adds the first n bytes of the reservation to the text. */
static inline void json_out_commit(struct json_out *out, size_t n)
{
    out->used += n;
}

#endif
