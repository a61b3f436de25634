/* Times reading OTLP's JSON over a recorded file of requests, which are written as JSON first, and
 * prints one JSON line. What is read back has the same text.
 *     bench_json traces|metrics|logs FILE [SECONDS] */
#include "formats/otlp/check.h"
#include "formats/otlp/json_read.h"
#include "formats/otlp/json_write.h"
#include "formats/otlp/proto/logs_service.pb-c.h"
#include "formats/otlp/proto/metrics_service.pb-c.h"
#include "formats/otlp/proto/trace_service.pb-c.h"
#include "tests/bench/frames.h"

#include <stdlib.h>

struct bench {
    struct frames frames;
    uint32_t signal;
    struct json_schema *schema;
    struct json_reader *reader;
    sl_bytes *texts; /* one a frame, in one buffer */
    struct json_out json;
    uint8_t *wire;
    size_t capacity;
    uint64_t items, wire_bytes;
    bool good;
};

static const ProtobufCMessageDescriptor *descriptor_of(uint32_t signal)
{
    return signal == SL_TRACES
               ? &opentelemetry__proto__collector__trace__v1__export_trace_service_request__descriptor
           : signal == SL_METRICS
               ? &opentelemetry__proto__collector__metrics__v1__export_metrics_service_request__descriptor
               : &opentelemetry__proto__collector__logs__v1__export_logs_service_request__descriptor;
}

static int32_t grow(void *ctx, size_t capacity, uint8_t **at, size_t *got)
{
    struct bench *b = ctx;
    if (capacity > b->capacity) { /* kept, as the pool of buffers does */
        uint8_t *moved = realloc(b->wire, capacity);
        if (!moved) {
            return SL_ERR_NOMEM;
        }
        b->wire = moved;
        b->capacity = capacity;
    }
    *at = b->wire;
    *got = b->capacity;
    return SL_OK;
}

static bool complain(struct bench *b, size_t i, const char *what)
{
    fprintf(stderr, "request %zu: %s\n", i, what);
    b->good = false;
    return false;
}

static bool texts_make(struct bench *b)
{
    sl_error error = {.size = sizeof error};
    size_t *ends = malloc((b->frames.n + 1) * sizeof *ends);
    b->texts = malloc(b->frames.n * sizeof *b->texts);
    if (!ends || !b->texts || json_out_init(&b->json, UINT32_MAX, NULL, NULL) != SL_OK) {
        return complain(b, 0, "no memory");
    }
    ends[0] = 0;
    for (size_t i = 0; i < b->frames.n; i++) {
        if (json_write(b->schema, &b->frames.at[i], 1, &b->json, &error) != SL_OK) {
            return complain(b, i, error.text);
        }
        ends[i + 1] = b->json.used;
    }
    for (size_t i = 0; i < b->frames.n; i++) {
        b->texts[i] = sl_slice(b->json.at + ends[i], ends[i + 1] - ends[i]);
    }
    free(ends);
    return true;
}

static void pass(void *ctx)
{
    struct bench *b = ctx;
    const struct byte_target target = {b, grow};
    sl_error error = {.size = sizeof error};
    b->wire_bytes = 0;
    for (size_t i = 0; i < b->frames.n && b->good; i++) {
        size_t n = 0;
        if (json_read(b->reader, b->texts[i], &target, UINT32_MAX, &n, &error) != SL_OK) {
            complain(b, i, error.text);
        }
        b->wire_bytes += n;
    }
}

/* Reads each text, writes it again, and compares; counts the items. */
static void compare(struct bench *b)
{
    const struct byte_target target = {b, grow};
    sl_error error = {.size = sizeof error};
    for (size_t i = 0; i < b->frames.n && b->good; i++) {
        struct json_out again;
        struct otlp_checked checked;
        size_t n = 0;
        if (json_read(b->reader, b->texts[i], &target, UINT32_MAX, &n, &error) != SL_OK ||
            otlp_check(b->signal, b->wire, n, NULL, &checked, &error) != SL_OK ||
            json_out_init(&again, UINT32_MAX, NULL, NULL) != SL_OK) {
            complain(b, i, error.text);
            return;
        }
        const sl_bytes wire = sl_slice(b->wire, n);
        if (json_write(b->schema, &wire, 1, &again, &error) != SL_OK ||
            !sl_eq(sl_slice(again.at, again.used), b->texts[i])) {
            complain(b, i, "reads back as something else");
        }
        json_out_deinit(&again);
        b->items += checked.items;
    }
}

int main(int argc, char **argv)
{
    struct bench b = {.signal = argc >= 3 ? signal_named(argv[1]) : 0, .good = true};
    if (!b.signal) {
        fprintf(stderr, "usage: %s traces|metrics|logs FILE [SECONDS]\n", argv[0]);
        return 2;
    }
    if (!frames_read(argv[2], &b.frames) ||
        json_schema_create(descriptor_of(b.signal), &b.schema) != SL_OK ||
        !(b.reader = json_reader_create(b.schema)) || !texts_make(&b)) {
        return 1;
    }
    compare(&b);
    if (b.good && b.items > 0) {
        const double best = best_of(argc > 3 ? atof(argv[3]) : 1.0, pass, &b);
        printf(
            "{\"bench\":\"json_read\",\"signal\":\"%s\",\"requests\":%zu,\"items\":%llu,"
            "\"json_bytes\":%zu,\"wire_bytes\":%llu,\"ns_per_item\":%.1f,\"json_mb_per_s\":%.0f}\n",
            argv[1], b.frames.n, (unsigned long long)b.items, b.json.used,
            (unsigned long long)b.wire_bytes, best * 1e9 / (double)b.items,
            (double)b.json.used / best * 1e-6);
    }
    free(b.wire);
    free(b.texts);
    json_out_deinit(&b.json);
    json_reader_destroy(b.reader);
    json_schema_destroy(b.schema);
    frames_deinit(&b.frames);
    return b.good && b.items > 0 ? 0 : 1;
}
