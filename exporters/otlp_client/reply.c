/* See reply.h. */
#include "exporters/otlp_client/reply.h"
#include "formats/compress/unpack.h"
#include "formats/otlp/json_read.h"

#include <stdlib.h>

static int32_t grow(void *ctx, size_t capacity, uint8_t **at, size_t *got)
{
    struct client_reply *r = ctx;
    uint8_t *more = realloc(r->at, capacity);
    if (!more)
        return SL_ERR_NOMEM;
    r->at = more;
    *at = more;
    *got = capacity;
    return SL_OK;
}

int32_t client_reply_inflate(sl_bytes packed, size_t limit, struct client_reply *r)
{
    const struct byte_target target = {.ctx = r, .grow = grow};
    struct unpacker *unpacker = unpacker_create();
    *r = (struct client_reply){NULL, 0};
    if (!unpacker)
        return SL_ERR_NOMEM;
    const int32_t status = unpack(unpacker, PACK_GZIP, packed, &target, limit, &r->n, NULL);
    unpacker_destroy(unpacker);
    return status;
}

int32_t client_reply_transcode(const struct json_schema *schema, sl_bytes text, size_t limit,
                               struct client_reply *r)
{
    const struct byte_target target = {.ctx = r, .grow = grow};
    struct json_reader *reader = json_reader_create(schema);
    *r = (struct client_reply){NULL, 0};
    if (!reader)
        return SL_ERR_NOMEM;
    const int32_t status = json_read(reader, text, &target, limit, &r->n, NULL);
    json_reader_destroy(reader);
    return status;
}
