/* file: writes each request to a file, as a line of OTLP JSON or as protobuf with its length. A
 * request counts as delivered when the kernel has it, so a killed process loses nothing that it has
 * acknowledged. `send` runs on consumer threads, one after the other under the output's mutex. */
#include "exporters/file/file.h"
#include "formats/otlp/json_write.h"
#include "formats/otlp/proto/logs_service.pb-c.h"
#include "formats/otlp/proto/metrics_service.pb-c.h"
#include "formats/otlp/proto/trace_service.pb-c.h"

static const ProtobufCMessageDescriptor *descriptor_of(unsigned signal)
{
    switch (signal) {
    case 0:
        return &opentelemetry__proto__collector__trace__v1__export_trace_service_request__descriptor;
    case 1:
        return &opentelemetry__proto__collector__metrics__v1__export_metrics_service_request__descriptor;
    default:
        return &opentelemetry__proto__collector__logs__v1__export_logs_service_request__descriptor;
    }
}

static int32_t flush(void *context, const uint8_t *at, size_t n)
{
    return output_write(context, at, n);
}

static int32_t write_json(const sl_host *h, struct output *o, const sl_payload *payload)
{
    const unsigned signal = (unsigned)__builtin_ctz(payload->signal);
    const sl_bytes *segments = payload->segments;
    uint32_t n = payload->n_segments;
    struct json_out out;
    sl_bytes whole;
    int32_t status = SL_OK;
    if (!(payload->flags & SL_PAYLOAD_ALIGNED)) { /* such as what was split */
        status = h->table->payload_flatten(h, payload, &whole);
        segments = &whole;
        n = 1;
    }
    if (status != SL_OK)
        return status;
    if (!o->schemas[signal])
        status = json_schema_create(descriptor_of(signal), &o->schemas[signal]);
    if (status != SL_OK)
        return status;
    status = json_out_init(&out, UINT64_MAX, flush, o);
    if (status != SL_OK)
        return status;
    status = json_write(o->schemas[signal], segments, n, &out, o->error);
    if (status == SL_OK) {
        *json_out_reserve(&out, 1) = '\n';
        json_out_commit(&out, 1);
        status = json_out_finish(&out);
    }
    json_out_deinit(&out);
    return status;
}

static int32_t write_proto(struct output *o, const sl_payload *payload)
{
    if (payload->bytes > UINT32_MAX)
        return sl_fail(o->error, SL_ERR_TOO_LARGE, "a record cannot have %llu bytes",
                       (unsigned long long)payload->bytes);
    const uint32_t n = (uint32_t)payload->bytes;
    const uint8_t length[4] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8),
                               (uint8_t)n};
    const int32_t status = output_write(o, length, sizeof length);
    return status == SL_OK ? output_write_segments(o, payload->segments, payload->n_segments)
                           : status;
}

static int32_t send_to_file(void *component, sl_delivery *delivery, sl_send *send)
{
    const struct exporter *e = component;
    struct output *o = e->output;
    const sl_payload *payload = delivery->payload;
    if (!o || atomic_load(&o->stopping))
        return sl_fail(&send->error, SL_ERR_SHUTDOWN, "the exporter has stopped");
    if (!payload)
        return sl_fail(&send->error, SL_ERR_STATE, "the delivery has no payload");
    if (payload->signal != SL_TRACES && payload->signal != SL_METRICS && payload->signal != SL_LOGS)
        return sl_fail(&send->error, SL_ERR_UNSUPPORTED, "this signal cannot be written to files");
    pthread_mutex_lock(&o->mutex);
    int32_t status = output_begin(o, send->deadline_ns, &send->error);
    if (status == SL_OK) {
        status = e->format == FORMAT_PROTO ? write_proto(o, payload)
                                           : write_json(sl_host_of(e), o, payload);
        if (status != SL_OK)
            output_undo(o);
    }
    pthread_mutex_unlock(&o->mutex);
    if (status != SL_OK) {
        send->why = status == SL_ERR_INVALID ? "invalid" : "io";
        if (!send->error.text[0])
            (void)sl_fail(&send->error, status, "cannot write a request of %llu bytes",
                          (unsigned long long)payload->bytes);
    }
    return status;
}

static int32_t start(void *component, sl_error *error)
{
    struct exporter *e = component;
    return output_open(e, &e->output, error);
}

static void stop(void *component)
{
    struct exporter *e = component;
    if (e->output)
        atomic_store(&e->output->stopping, true);
}

static void destroy(void *component)
{
    struct exporter *e = component;
    if (e->output)
        output_close(e->output);
    e->output = NULL;
}

SL_TYPE(exporter, file, .signals = SL_TRACES | SL_METRICS | SL_LOGS, .flags = SL_RETRY,
        .stability = SL_BETA, SL_CONFIG(struct exporter, exporter_fields),
        .prepare = exporter_prepare, .start = start, .stop = stop, .destroy = destroy,
        .send = send_to_file,
        .help = "Writes traces, metrics and logs to a file, as lines of OTLP JSON or as protobuf.");
SL_PLUGIN("0.1.0", &sl_type_file);
