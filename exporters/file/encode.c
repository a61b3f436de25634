/* A request's record: a line of JSON, or protobuf with its length in front, or either of them as a
 * zstd frame with its length in front, so that a reader finds the next record whatever became of
 * one. [blocking] */
#include "exporters/file/file.h"
#include "formats/otlp/json_write.h"
#include "formats/otlp/proto/logs_service.pb-c.h"
#include "formats/otlp/proto/metrics_service.pb-c.h"
#include "formats/otlp/proto/trace_service.pb-c.h"

enum {
    LENGTH = 4,         /* bytes of a record's length */
    KEPT = 1024 * 1024, /* a larger buffer is not kept for the next record */
    DEFAULT_LEVEL = 3
};

static const ProtobufCMessageDescriptor *descriptor_of(uint32_t signal)
{
    switch (signal) {
    case SL_TRACES:
        return &opentelemetry__proto__collector__trace__v1__export_trace_service_request__descriptor;
    case SL_METRICS:
        return &opentelemetry__proto__collector__metrics__v1__export_metrics_service_request__descriptor;
    default:
        return &opentelemetry__proto__collector__logs__v1__export_logs_service_request__descriptor;
    }
}

int32_t encoder_init(struct encoder *c)
{
    *c = (struct encoder){.packer = NULL};
    return pthread_mutex_init(&c->mutex, NULL) ? SL_ERR_NOMEM : SL_OK;
}

void encoder_deinit(struct encoder *c)
{
    json_schema_destroy(c->schema);
    packer_destroy(c->packer);
    pack_buffer_deinit(&c->packed);
    pthread_mutex_destroy(&c->mutex);
}

static void put_length(uint8_t at[LENGTH], uint32_t n)
{
    at[0] = (uint8_t)(n >> 24);
    at[1] = (uint8_t)(n >> 16);
    at[2] = (uint8_t)(n >> 8);
    at[3] = (uint8_t)n;
}

static int32_t write_json(struct encoder *c, const struct request *r, json_out_flush_fn flush,
                          void *context, bool newline, sl_error *error)
{
    struct json_out out;
    int32_t status = json_out_init(&out, UINT64_MAX, flush, context);
    if (status != SL_OK)
        return status;
    status = json_write(c->schema, r->segments, r->n, &out, error);
    if (status == SL_OK) {
        if (newline) {
            *json_out_reserve(&out, 1) = '\n';
            json_out_commit(&out, 1);
        }
        status = json_out_finish(&out);
    }
    json_out_deinit(&out);
    return status;
}

/* ---- zstd ---- */

static int32_t pack_some(void *packer, const uint8_t *at, size_t n)
{
    return packer_feed(packer, at, n);
}

static int32_t pack_json(struct encoder *c, const struct request *r, sl_error *error)
{
    int32_t status = packer_begin(c->packer, UINT32_MAX, &c->packed);
    if (status == SL_OK)
        status = write_json(c, r, pack_some, c->packer, false, error);
    return status == SL_OK ? packer_end(c->packer) : status;
}

static int32_t pack(const struct exporter *e, struct encoder *c, const struct request *r,
                    sl_error *error)
{
    const uint32_t level = e->compression_params.level;
    if (!c->packer) {
        c->packer = packer_create(PACK_ZSTD, level ? (int)level : DEFAULT_LEVEL);
        if (!c->packer)
            return SL_ERR_NOMEM;
        packer_add_checksum(c->packer);
    }
    return e->format == FORMAT_JSON
               ? pack_json(c, r, error)
               : packer_pack(c->packer, r->segments, (uint32_t)r->n, UINT32_MAX, &c->packed);
}

int32_t encode_prepare(struct exporter *e, struct encoder *c, const struct request *r,
                       sl_error *error)
{
    int32_t status = SL_OK;
    if (r->n > UINT32_MAX || (e->format == FORMAT_PROTO && r->bytes > UINT32_MAX))
        return sl_fail(error, SL_ERR_TOO_LARGE, "a record cannot have %llu bytes",
                       (unsigned long long)r->bytes);
    if (e->format == FORMAT_JSON && !c->schema)
        status = json_schema_create(descriptor_of(r->signal), &c->schema);
    return status == SL_OK && e->compression == COMPRESSION_ZSTD ? pack(e, c, r, error) : status;
}

/* ---- writing ---- */

static int32_t to_output(void *output, const uint8_t *at, size_t n)
{
    return output_write(output, at, n);
}

static int32_t write_once(const struct exporter *e, struct encoder *c, const struct request *r,
                          struct output *o, int64_t deadline_ns, sl_error *error)
{
    uint8_t length[LENGTH];
    int32_t status;
    if (e->compression == COMPRESSION_ZSTD) {
        const sl_bytes packed = sl_slice(c->packed.at, c->packed.n);
        status = output_begin(o, LENGTH + packed.n, deadline_ns, error);
        put_length(length, (uint32_t)packed.n);
        if (status == SL_OK)
            status = output_write_segments(o, sl_slice(length, LENGTH), &packed, 1);
    } else if (e->format == FORMAT_PROTO) {
        status = output_begin(o, LENGTH + r->bytes, deadline_ns, error);
        put_length(length, (uint32_t)r->bytes);
        if (status == SL_OK)
            status = output_write_segments(o, sl_slice(length, LENGTH), r->segments, r->n);
    } else {
        status = output_begin(o, 0, deadline_ns, error);
        if (status == SL_OK)
            status = write_json(c, r, to_output, o, true, error);
    }
    return status == SL_OK ? output_end(o) : status;
}

int32_t encode_write(struct exporter *e, struct encoder *c, const struct request *r,
                     struct output *o, int64_t deadline_ns, sl_error *error)
{
    int32_t status = write_once(e, c, r, o, deadline_ns, error);
    if (status != SL_OK)
        output_undo(o);
    if (status == SL_ERR_FULL) { /* a line whose length was not known before */
        status = output_rotate(o, error);
        if (status == SL_OK)
            status = write_once(e, c, r, o, deadline_ns, error);
        if (status != SL_OK)
            output_undo(o);
    }
    return status;
}

void encode_done(struct encoder *c)
{
    if (c->packed.capacity > KEPT)
        pack_buffer_deinit(&c->packed);
}
