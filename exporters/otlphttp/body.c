/* The body of a request in one piece: written as JSON, compressed, or gathered from small segments.
 * [blocking], each body's own thread. */
#include "exporters/otlphttp/exporter.h"
#include "formats/otlp/json_write.h"

#include <stdlib.h>

enum { BODY_KEPT = 1 << 20 /* a larger buffer is not kept for the next request */ };

enum pack_format exporter_pack_format(const struct exporter *e)
{
    return e->compression == COMPRESS_GZIP   ? PACK_GZIP
           : e->compression == COMPRESS_ZSTD ? PACK_ZSTD
                                             : PACK_ZLIB;
}

static int32_t append(void *context, const uint8_t *at, size_t n)
{
    struct pack_buffer *b = context;
    if (n > b->capacity - b->n) {
        size_t capacity = b->capacity ? b->capacity : JSON_OUT_FLUSH_ROOM;
        while (capacity - b->n < n)
            capacity *= 2;
        uint8_t *more = realloc(b->at, capacity);
        if (!more)
            return SL_ERR_NOMEM;
        b->at = more;
        b->capacity = capacity;
    }
    if (n)
        memcpy(b->at + b->n, at, n);
    b->n += n;
    return SL_OK;
}

static int32_t feed(void *context, const uint8_t *at, size_t n)
{
    return packer_feed(context, at, n);
}

/* The text goes into the packer as it is made; as a whole it is several times the payload. */
static int32_t make_json(struct body *b, const struct client *c, const sl_payload *payload,
                         sl_error *error)
{
    const struct json_schema *schema = c->schemas[__builtin_ctz(payload->signal)];
    const sl_bytes *segments = payload->segments;
    uint32_t n = payload->n_segments;
    struct json_out out;
    sl_bytes whole;
    int32_t status = SL_OK;
    if (!schema)
        return sl_fail(error, SL_ERR_UNSUPPORTED, "this signal cannot be written as JSON");
    if (!(payload->flags & SL_PAYLOAD_ALIGNED)) { /* such as what was split */
        status = c->host->table->payload_flatten(c->host, payload, &whole);
        segments = &whole;
        n = 1;
    }
    b->packed.n = 0;
    if (status == SL_OK && b->packer)
        status = packer_begin(b->packer, SIZE_MAX, &b->packed);
    if (status == SL_OK)
        status = b->packer ? json_out_init(&out, UINT64_MAX, feed, b->packer)
                           : json_out_init(&out, UINT64_MAX, append, &b->packed);
    if (status != SL_OK)
        return status;
    status = json_write(schema, segments, n, &out, error);
    if (status == SL_OK)
        status = json_out_finish(&out);
    json_out_deinit(&out);
    return status == SL_OK && b->packer ? packer_end(b->packer) : status;
}

static int32_t gather(struct body *b, const sl_payload *payload)
{
    int32_t status = SL_OK;
    b->packed.n = 0;
    for (uint32_t i = 0; i < payload->n_segments && status == SL_OK; i++)
        status = append(&b->packed, payload->segments[i].p, payload->segments[i].n);
    return status;
}

int32_t body_make(struct body *b, const struct client *c, const sl_payload *payload,
                  sl_bytes *whole, sl_error *error)
{
    const struct exporter *e = c->exporter;
    int32_t status = SL_OK;
    if (exporter_compresses(e) && !b->packer)
        b->packer = packer_create(exporter_pack_format(e), exporter_level(e));
    if (exporter_compresses(e) && !b->packer)
        return SL_ERR_NOMEM;
    if (e->encoding == ENCODE_JSON)
        status = make_json(b, c, payload, error);
    else if (b->packer)
        status =
            packer_pack(b->packer, payload->segments, payload->n_segments, SIZE_MAX, &b->packed);
    else if (payload->n_segments == 1)
        *whole = payload->segments[0];
    else if (payload->bytes <= BODY_GATHERED_MAX)
        status = gather(b, payload);
    else
        *whole = sl_slice(NULL, (size_t)payload->bytes);
    if (status == SL_OK && !whole->n)
        *whole = sl_slice(b->packed.at, b->packed.n);
    return status;
}

void body_rest(struct body *b)
{
    if (b->packed.capacity > BODY_KEPT)
        pack_buffer_deinit(&b->packed);
}

void body_deinit(struct body *b)
{
    packer_destroy(b->packer);
    pack_buffer_deinit(&b->packed);
}
