/* Takes requests apart with protobuf-c and its descriptors. One thread. */
#include "tests/support/otlp_flat.h"
#include "formats/otlp/proto/logs_service.pb-c.h"
#include "formats/otlp/proto/metrics_service.pb-c.h"
#include "formats/otlp/proto/trace_service.pb-c.h"
#include <stdlib.h>

struct children {
    size_t *n;
    ProtobufCMessage **at;
};

static struct children children_of(ProtobufCMessage *m, uint32_t number)
{
    const ProtobufCFieldDescriptor *f =
        protobuf_c_message_descriptor_get_field(m->descriptor, number);
    uint8_t *base = (uint8_t *)m;
    return (struct children){.n = (size_t *)(void *)(base + f->quantifier_offset),
                             .at = *(ProtobufCMessage ***)(void *)(base + f->offset)};
}

/* The Gauge, Sum, ... of a Metric, or NULL. */
static ProtobufCMessage *data_of(ProtobufCMessage *metric)
{
    static const uint32_t numbers[] = {5, 7, 9, 10, 11};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        const ProtobufCFieldDescriptor *f =
            protobuf_c_message_descriptor_get_field(metric->descriptor, numbers[i]);
        const uint8_t *base = (const uint8_t *)metric;
        if (*(const uint32_t *)(const void *)(base + f->quantifier_offset) == numbers[i]) {
            return *(ProtobufCMessage *const *)(const void *)(base + f->offset);
        }
    }
    return NULL;
}

struct text {
    uint8_t at[1 << 20];
    size_t n;
};

static void pack(struct text *t, const ProtobufCMessage *m)
{
    if (protobuf_c_message_get_packed_size(m) > sizeof t->at - t->n) {
        abort();
    }
    t->n += protobuf_c_message_pack(m, t->at + t->n);
}

/* As if the children were not there. */
static void pack_without(struct text *t, const ProtobufCMessage *m, const struct children *without)
{
    const size_t n = *without->n;
    *without->n = 0;
    pack(t, m);
    *without->n = n;
}

static void add(struct otlp_flat *flat, struct text *t, const ProtobufCMessage *item)
{
    const size_t record = t->n;
    if ((flat->n & (flat->n - 1)) == 0) {
        flat->items = realloc(flat->items, (flat->n ? 2 * flat->n : 1) * sizeof *flat->items);
    }
    pack(t, item);
    struct otlp_flat_item *to = &flat->items[flat->n++];
    *to = (struct otlp_flat_item){.at = malloc(t->n + 1), .n = t->n, .record = record};
    memcpy(to->at, t->at, t->n);
    t->n = record;
}

static void flatten(struct otlp_flat *flat, struct text *t, ProtobufCMessage *request, bool metrics)
{
    const struct children resources = children_of(request, 1);
    for (size_t r = 0; r < *resources.n; r++) {
        const struct children scopes = children_of(resources.at[r], 2);
        for (size_t s = 0; s < *scopes.n; s++) {
            const struct children items = children_of(scopes.at[s], 2);
            t->n = 0;
            pack_without(t, resources.at[r], &scopes);
            pack_without(t, scopes.at[s], &items);
            const size_t header = t->n;
            for (size_t i = 0; i < *items.n; i++) {
                ProtobufCMessage *data = metrics ? data_of(items.at[i]) : NULL;
                if (!metrics) {
                    add(flat, t, items.at[i]);
                } else if (data) {
                    const struct children points = children_of(data, 1);
                    pack_without(t, items.at[i], &points);
                    for (size_t p = 0; p < *points.n; p++) {
                        add(flat, t, points.at[p]);
                    }
                    t->n = header;
                }
            }
        }
    }
}

bool otlp_flat_init(struct otlp_flat *flat, uint32_t signal, sl_bytes request)
{
    const ProtobufCMessageDescriptor *type =
        signal == SL_TRACES
            ? &opentelemetry__proto__collector__trace__v1__export_trace_service_request__descriptor
        : signal == SL_METRICS
            ? &opentelemetry__proto__collector__metrics__v1__export_metrics_service_request__descriptor
            : &opentelemetry__proto__collector__logs__v1__export_logs_service_request__descriptor;
    ProtobufCMessage *message = protobuf_c_message_unpack(type, NULL, request.n, request.p);
    struct text *text = malloc(sizeof *text);
    *flat = (struct otlp_flat){.n = 0};
    if (message && text) {
        flatten(flat, text, message, signal == SL_METRICS);
    }
    if (message) {
        protobuf_c_message_free_unpacked(message, NULL);
    }
    free(text);
    return message != NULL;
}

void otlp_flat_deinit(struct otlp_flat *flat)
{
    for (uint32_t i = 0; i < flat->n; i++) {
        free(flat->items[i].at);
    }
    free(flat->items);
}
