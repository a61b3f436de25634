/* The body of a request in one piece: written as JSON, compressed, or gathered from small segments.
 * [blocking], one thread at a time for each body. */
#include "exporters/otlphttp/exporter.h"
#include "formats/compress/snappy_lz4.h"
#include "formats/otlp/json_write.h"

#include <stdlib.h>

enum { BODY_KEPT = 1 << 20 /* a larger buffer is not kept for the next request */ };

const char *const exporter_compressions[] = {
    "gzip", "none", "", "zstd", "zlib", "deflate", "snappy", "x-snappy-framed", "lz4", NULL};

bool exporter_compresses(const struct exporter *e)
{
    return e->compression != COMPRESS_NONE && e->compression != COMPRESS_EMPTY;
}

/* What the packer takes for `compression_params.level`. */
static int pack_level(const struct exporter *e)
{
    const int64_t level = e->compression_params.level;
    if (level == 0)
        return PACK_FASTEST;
    return (int)(level < INT16_MIN ? INT16_MIN : level > INT16_MAX ? INT16_MAX : level);
}

static enum pack_format pack_format(const struct exporter *e)
{
    static const enum pack_format formats[] = {
        [COMPRESS_GZIP] = PACK_GZIP,     [COMPRESS_ZSTD] = PACK_ZSTD,
        [COMPRESS_ZLIB] = PACK_ZLIB,     [COMPRESS_DEFLATE] = PACK_ZLIB,
        [COMPRESS_SNAPPY] = PACK_SNAPPY, [COMPRESS_SNAPPY_FRAMED] = PACK_SNAPPY_FRAMED,
        [COMPRESS_LZ4] = PACK_LZ4};
    return formats[e->compression];
}

static int32_t make_packer(struct body *b, const struct client *c, sl_error *error)
{
    const struct exporter *e = c->exporter;
    const void *more = NULL;
    if (e->compression < COMPRESS_SNAPPY) {
        b->packer = packer_create(pack_format(e), pack_level(e));
    } else {
        const sl_plugins *plugins = (const sl_plugins *)sl_interface(c->host, SL_PLUGINS);
        const int32_t status = plugins->load(c->host, SNAPPY_LZ4_PLUGIN, SNAPPY_LZ4, &more, error);
        if (status != SL_OK)
            return status;
        b->packer = packer_create_with((const struct snappy_lz4 *)more, pack_format(e));
    }
    return b->packer ? SL_OK : SL_ERR_NOMEM;
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
        status = sl_payload_flatten(c->host, payload, &whole);
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

int32_t body_gather(struct body *b, const sl_payload *payload, sl_bytes *whole)
{
    int32_t status = SL_OK;
    b->packed.n = 0;
    for (uint32_t i = 0; i < payload->n_segments && status == SL_OK; i++)
        status = append(&b->packed, payload->segments[i].p, payload->segments[i].n);
    *whole = sl_slice(b->packed.at, b->packed.n);
    return status;
}

bool body_is_made(const struct exporter *e)
{
    return exporter_compresses(e) || e->encoding != ENCODE_PROTO;
}

static int32_t make(struct body *b, const struct client *c, const sl_payload *payload,
                    sl_error *error)
{
    const struct exporter *e = c->exporter;
    const int32_t status = exporter_compresses(e) && !b->packer ? make_packer(b, c, error) : SL_OK;
    if (status != SL_OK)
        return status;
    return e->encoding == ENCODE_JSON ? make_json(b, c, payload, error)
                                      : packer_pack(b->packer, payload->segments,
                                                    payload->n_segments, SIZE_MAX, &b->packed);
}

int32_t body_make(struct body *b, const struct client *c, const sl_payload *payload,
                  sl_bytes *whole, sl_send *send)
{
    send->error.text[0] = '\0';
    const int32_t status = make(b, c, payload, &send->error);
    *whole = sl_slice(b->packed.at, b->packed.n);
    if (status == SL_OK)
        return SL_OK;
    send->why = status == SL_ERR_NOMEM ? "no_memory" : "not_encodable";
    if (!send->error.text[0])
        (void)sl_fail(&send->error, status, "no memory for the body of a request of %llu bytes",
                      (unsigned long long)payload->bytes);
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
