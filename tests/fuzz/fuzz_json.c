/* Fuzz target: OTLP's JSON. The first byte chooses the signal, the rest is the text. A reader that
 * has learnt from the text reads the same bytes from it again; and what they are written as reads
 * back as what is written the same. One thread. */
#include "formats/otlp/json_read.h"
#include "formats/otlp/json_write.h"
#include "formats/otlp/proto/logs_service.pb-c.h"
#include "formats/otlp/proto/metrics_service.pb-c.h"
#include "formats/otlp/proto/trace_service.pb-c.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 1 << 20 };

struct sink {
    uint8_t *at;
    size_t n;
};

static int32_t sink_grow(void *ctx, size_t capacity, uint8_t **at, size_t *got)
{
    struct sink *s = ctx;
    if (capacity == 0 || capacity > LIMIT + 64) {
        abort();
    }
    uint8_t *moved = realloc(s->at, capacity);
    if (!moved) {
        return SL_ERR_NOMEM;
    }
    s->at = moved;
    *at = moved;
    *got = capacity;
    return SL_OK;
}

static int32_t read_into(struct json_reader *reader, sl_bytes text, struct sink *s)
{
    const struct byte_target target = {s, sink_grow};
    sl_error error = {.size = sizeof error};
    const int32_t status = json_read(reader, text, &target, LIMIT, &s->n, &error);
    if (status != SL_OK && error.text[0] == 0) {
        abort();
    }
    return status;
}

static int32_t write_into(const struct json_schema *schema, const struct sink *wire,
                          struct json_out *out)
{
    const sl_bytes whole = sl_slice(wire->at, wire->n);
    if (json_out_init(out, UINT32_MAX, NULL, NULL) != SL_OK) {
        return SL_ERR_NOMEM;
    }
    return json_write(schema, &whole, 1, out, NULL);
}

static bool same(const uint8_t *a, size_t a_n, const uint8_t *b, size_t b_n)
{
    return sl_eq(sl_slice(a, a_n), sl_slice(b, b_n));
}

/* What was read as `wire` is written, read and written. */
static void there_and_back(const struct json_schema *schema, struct json_reader *reader,
                           const struct sink *wire)
{
    struct json_out first = {.at = NULL}, second = {.at = NULL};
    struct sink again = {.at = NULL};
    /* The writer allows fewer messages inside each other. */
    if (write_into(schema, wire, &first) == SL_OK) {
        if (read_into(reader, sl_slice(first.at, first.used), &again) != SL_OK ||
            write_into(schema, &again, &second) != SL_OK ||
            !same(first.at, first.used, second.at, second.used)) {
            abort();
        }
    }
    free(again.at);
    json_out_deinit(&first);
    json_out_deinit(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const ProtobufCMessageDescriptor *const roots[] = {
        &opentelemetry__proto__collector__trace__v1__export_trace_service_request__descriptor,
        &opentelemetry__proto__collector__metrics__v1__export_metrics_service_request__descriptor,
        &opentelemetry__proto__collector__logs__v1__export_logs_service_request__descriptor};
    struct json_schema *schema = NULL;
    if (size == 0 || json_schema_create(roots[data[0] % 3], &schema) != SL_OK) {
        return 0;
    }
    const sl_bytes text = sl_slice(data + 1, size - 1);
    struct json_reader *reader = json_reader_create(schema);
    struct sink wire = {.at = NULL}, again = {.at = NULL};
    const int32_t status = read_into(reader, text, &wire);
    if (read_into(reader, text, &again) != status ||
        (status == SL_OK && !same(wire.at, wire.n, again.at, again.n))) {
        abort();
    }
    if (status == SL_OK) {
        there_and_back(schema, reader, &wire);
    }
    free(wire.at);
    free(again.at);
    json_reader_destroy(reader);
    json_schema_destroy(schema);
    return 0;
}
