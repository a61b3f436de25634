/* Unpacks and transcodes bodies; the plugin "otlp_decode". One thread at a time for each decoder. */
#include "receivers/otlp/decode.h"

#include "formats/compress/snappy_lz4.h"
#include "formats/compress/unpack.h"
#include "formats/otlp/json_read.h"
#include "formats/otlp/proto/logs_service.pb-c.h"
#include "formats/otlp/proto/metrics_service.pb-c.h"
#include "formats/otlp/proto/trace_service.pb-c.h"

#include <stdlib.h>

struct decoder {
    const sl_host *host;
    size_t limit;
    struct unpacker *unpacker;
    bool has_more; /* snappy and lz4 */
    struct json_schema *schemas[INTAKE_SIGNALS];
    struct json_reader *readers[INTAKE_SIGNALS];
};

static struct decoder *decoder_create(const sl_host *host, size_t limit)
{
    struct decoder *d = (struct decoder *)calloc(1, sizeof *d);
    if (d) {
        d->host = host;
        d->limit = limit;
    }
    return d;
}

static void decoder_destroy(struct decoder *d)
{
    if (!d)
        return;
    unpacker_destroy(d->unpacker);
    for (uint32_t i = 0; i < INTAKE_SIGNALS; i++) {
        json_reader_destroy(d->readers[i]);
        json_schema_destroy(d->schemas[i]);
    }
    free(d);
}

/* A payload that grows as it is written. */
struct payload_writer {
    const sl_host *host;
    sl_payload *payload; /* NULL at first */
    uint8_t *at;
};

static int32_t payload_writer_grow(void *ctx, size_t capacity, uint8_t **at, size_t *got)
{
    struct payload_writer *w = (struct payload_writer *)ctx;
    const sl_host *h = w->host;
    const int32_t status = w->payload ? sl_payload_grow(h, w->payload, capacity, &w->at)
                                      : sl_payload_open(h, capacity, &w->payload, &w->at);
    *at = w->at;
    *got = capacity;
    return status;
}

/* Where the plugin is missing, the sender did nothing wrong, and may try again. */
static int32_t load_more(struct decoder *d, sl_error *error)
{
    const sl_plugins *plugins = (const sl_plugins *)sl_interface(d->host, SL_PLUGINS);
    sl_error why = {.size = sizeof why};
    const void *more = NULL;
    if (d->has_more)
        return SL_OK;
    if (plugins->load(d->host, SNAPPY_LZ4_PLUGIN, SNAPPY_LZ4, &more, &why) != SL_OK) {
        sl_log(d->host, SL_LOG_ERROR, "OTLP: snappy and lz4 cannot be read: %s", why.text);
        return sl_fail(error, SL_ERR_IO, "this server cannot read snappy and lz4 now");
    }
    unpacker_use(d->unpacker, (const struct snappy_lz4 *)more);
    d->has_more = true;
    return SL_OK;
}

static int32_t unpack_body(struct decoder *d, enum content_encoding encoding, sl_bytes in,
                           const struct byte_target *target, size_t *n, sl_error *error)
{
    const enum pack_format format = encoding_format(encoding);
    if (!d->unpacker)
        d->unpacker = unpacker_create();
    if (!d->unpacker)
        return sl_fail(error, SL_ERR_NOMEM, "no memory to unpack the body");
    const int32_t status = format > PACK_ZSTD ? load_more(d, error) : SL_OK;
    return status == SL_OK ? unpack(d->unpacker, format, in, target, d->limit, n, error) : status;
}

static struct json_reader *reader_of(struct decoder *d, uint32_t index)
{
    static const ProtobufCMessageDescriptor *const requests[INTAKE_SIGNALS] = {
        &opentelemetry__proto__collector__trace__v1__export_trace_service_request__descriptor,
        &opentelemetry__proto__collector__metrics__v1__export_metrics_service_request__descriptor,
        &opentelemetry__proto__collector__logs__v1__export_logs_service_request__descriptor};
    if (!d->schemas[index])
        (void)json_schema_create(requests[index], &d->schemas[index]);
    if (d->schemas[index] && !d->readers[index])
        d->readers[index] = json_reader_create(d->schemas[index]);
    return d->readers[index];
}

static int32_t read_json(struct decoder *d, uint32_t index, sl_bytes in,
                         const struct byte_target *target, size_t *n, sl_error *error)
{
    struct json_reader *reader = reader_of(d, index);
    if (!reader)
        return sl_fail(error, SL_ERR_NOMEM, "no memory to read JSON");
    return json_read(reader, in, target, d->limit, n, error);
}

/* What was written takes the body's place. */
static void replace(struct decoder *d, sl_payload **body, struct payload_writer *writer, size_t n,
                    sl_bytes *bytes)
{
    if (*body)
        sl_payload_unref(d->host, *body);
    *body = writer->payload;
    *bytes = sl_slice(writer->at, n);
    *writer = (struct payload_writer){.host = d->host};
}

static int32_t decoder_run(struct decoder *d, struct body_form form, uint32_t index,
                           sl_payload **body, const uint8_t *at, uint64_t *used, sl_error *error)
{
    struct payload_writer writer = {.host = d->host};
    const struct byte_target target = {&writer, payload_writer_grow};
    sl_bytes bytes = sl_slice(at, (size_t)*used);
    int32_t status = SL_OK;
    size_t n = 0;
    if (form.encoding != ENCODING_PLAIN) {
        status = unpack_body(d, (enum content_encoding)form.encoding, bytes, &target, &n, error);
        if (status == SL_OK)
            replace(d, body, &writer, n, &bytes);
    }
    if (status == SL_OK && form.json) {
        status = read_json(d, index, bytes, &target, &n, error);
        if (status == SL_OK)
            replace(d, body, &writer, n, &bytes);
    }
    if (writer.payload)
        sl_payload_unref(d->host, writer.payload);
    *used = bytes.n;
    return status;
}

static const struct decoder_api api = {
    .size = sizeof api, .create = decoder_create, .destroy = decoder_destroy, .run = decoder_run};

static const void *plugin_interface(const char *id)
{
    return strcmp(id, OTLP_DECODE) == 0 ? &api : NULL;
}

SL_PLUGIN_WITH("0.1.0", plugin_interface);
