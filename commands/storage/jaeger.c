/* Traces in the JSON of Jaeger's query service, which its interface loads from files. */
#include "commands/storage/query.h"
#include "formats/otlp/json_text.h"

static void put(struct json_out *out, const char *text)
{
    const size_t n = strlen(text);
    memcpy(json_out_reserve(out, n), text, n);
    json_out_commit(out, n);
}

static void put_text(struct json_out *out, sl_bytes text)
{
    json_text_string(out, text.p, text.n);
}

static void put_number(struct json_out *out, uint64_t v)
{
    json_out_commit(out, decimal_u64(v, json_out_reserve(out, 24)));
}

static void put_trace_id(struct json_out *out, const struct set_trace *trace)
{
    const uint64_t id[2] = {__builtin_bswap64(trace->high), __builtin_bswap64(trace->low)};
    json_text_hex(out, (const uint8_t *)id, sizeof id);
}

static void put_id(struct json_out *out, uint64_t id)
{
    json_text_hex(out, (const uint8_t *)&id, sizeof id);
}

/* One tag; values that are no numbers or truths are texts. */
static void put_tag(struct json_out *out, struct value_texts *texts, sl_bytes key,
                    const sl_value *value)
{
    const bool plain = value->type == SL_VALUE_BOOL || value->type == SL_VALUE_INT ||
                       (value->type == SL_VALUE_DOUBLE && value->number.f - value->number.f == 0);
    const sl_bytes text = otlp_value_text(&texts->powers, value, &texts->scratch);
    put(out, "{\"key\":");
    put_text(out, key);
    put(out, !plain                         ? ",\"type\":\"string\",\"value\":"
             : value->type == SL_VALUE_BOOL ? ",\"type\":\"bool\",\"value\":"
             : value->type == SL_VALUE_INT  ? ",\"type\":\"int64\",\"value\":"
                                            : ",\"type\":\"float64\",\"value\":");
    if (plain && text.n < JSON_OUT_RESERVE_MAX) {
        (void)sl_put_slice(json_out_reserve(out, text.n), text);
        json_out_commit(out, text.n);
    } else {
        put_text(out, text);
    }
    put(out, "}");
    otlp_scratch_clear(&texts->scratch);
}

static void put_tags(struct json_out *out, struct value_texts *texts, sl_attrs attrs, bool *first)
{
    sl_bytes key;
    sl_value value;
    while (sl_attr_next(&attrs, &key, &value)) {
        put(out, *first ? "" : ",");
        put_tag(out, texts, key, &value);
        *first = false;
    }
}

static void put_text_tag(struct json_out *out, struct value_texts *texts, const char *key,
                         sl_bytes text, bool *first)
{
    put(out, *first ? "" : ",");
    put_tag(out, texts, sl_str(key), &(sl_value){.type = SL_VALUE_TEXT, .bytes = text});
    *first = false;
}

/* Attributes, and what OTLP has in fields of its own and Jaeger in tags. */
static void put_span_tags(struct json_out *out, struct value_texts *texts, sl_bytes record)
{
    static const char *const kinds[] = {"", "internal", "server", "client", "producer", "consumer"};
    const uint64_t kind = sl_message_number(record, SPAN_KIND);
    const sl_bytes status = sl_message_bytes(record, SPAN_STATUS);
    const uint64_t code = sl_message_number(status, 3);
    bool first = true;
    put_tags(out, texts, sl_repeated_of(record, SPAN_ATTRIBUTE), &first);
    if (kind > 0 && kind < sizeof kinds / sizeof kinds[0]) {
        put_text_tag(out, texts, "span.kind", sl_str(kinds[kind]), &first);
    }
    if (code == SL_SPAN_OK || code == SL_SPAN_ERROR) {
        put_text_tag(out, texts, "otel.status_code", sl_str(code == SL_SPAN_OK ? "OK" : "ERROR"),
                     &first);
    }
    if (code == SL_SPAN_ERROR) {
        put(out, first ? "" : ",");
        put_tag(out, texts, sl_str("error"),
                &(sl_value){.type = SL_VALUE_BOOL, .number = {.u = 1}});
        first = false;
    }
    const sl_bytes message = sl_message_bytes(status, 2);
    if (message.n > 0) {
        put_text_tag(out, texts, "otel.status_description", message, &first);
    }
}

static void put_logs(struct json_out *out, struct value_texts *texts, sl_bytes record)
{
    sl_repeated events = sl_repeated_of(record, SPAN_EVENT);
    sl_event event;
    for (bool first = true; sl_event_next(&events, &event); first = false) {
        bool first_field = true;
        put(out, first ? "{\"timestamp\":" : ",{\"timestamp\":");
        put_number(out, event.time_ns / 1000);
        put(out, ",\"fields\":[");
        if (event.name.n > 0) {
            put_text_tag(out, texts, "event", event.name, &first_field);
        }
        put_tags(out, texts, sl_event_attrs(&event), &first_field);
        put(out, "]}");
    }
}

static void put_references(struct json_out *out, const struct set_trace *trace,
                           const struct set_span *span)
{
    bool first = true;
    if (span->has_parent) {
        put(out, "{\"refType\":\"CHILD_OF\",\"traceID\":");
        put_trace_id(out, trace);
        put(out, ",\"spanID\":");
        put_id(out, span->parent_id);
        put(out, "}");
        first = false;
    }
    sl_repeated links = sl_repeated_of(span->record, SPAN_LINK);
    sl_link link;
    while (sl_link_next(&links, &link)) {
        put(out, first ? "{\"refType\":\"FOLLOWS_FROM\",\"traceID\":"
                       : ",{\"refType\":\"FOLLOWS_FROM\",\"traceID\":");
        json_text_hex(out, link.trace_id.p, link.trace_id.n);
        put(out, ",\"spanID\":");
        json_text_hex(out, link.span_id.p, link.span_id.n);
        put(out, "}");
        first = false;
    }
}

static void put_process_name(struct json_out *out, uint32_t resource)
{
    put(out, "\"p");
    put_number(out, resource + 1);
    put(out, "\"");
}

static void put_span(struct json_out *out, struct value_texts *texts, const struct span_set *set,
                     const struct set_trace *trace, const struct set_span *span)
{
    put(out, "{\"traceID\":");
    put_trace_id(out, trace);
    put(out, ",\"spanID\":");
    put_id(out, span->id);
    put(out, ",\"operationName\":");
    put_text(out, sl_message_bytes(span->record, SPAN_NAME));
    put(out, ",\"references\":[");
    put_references(out, trace, span);
    put(out, "],\"startTime\":");
    put_number(out, span->start / 1000);
    put(out, ",\"duration\":");
    put_number(out, span->end > span->start ? (span->end - span->start) / 1000 : 0);
    put(out, ",\"tags\":[");
    put_span_tags(out, texts, span->record);
    put(out, "],\"logs\":[");
    put_logs(out, texts, span->record);
    put(out, "],\"processID\":");
    put_process_name(out, set->scopes[span->scope].resource);
    put(out, ",\"warnings\":null}");
}

static bool has_resource(const struct span_set *set, const struct set_trace *trace,
                         uint32_t resource)
{
    for (uint32_t i = 0; i < trace->n; i++) {
        const struct set_span *span = &set->spans[set->places[trace->first + i].span];
        if (set->scopes[span->scope].resource == resource) {
            return true;
        }
    }
    return false;
}

/* The attribute service.name stands beside the others. */
static void put_processes(struct json_out *out, struct value_texts *texts,
                          const struct span_set *set, const struct set_trace *trace)
{
    bool first = true;
    for (uint32_t i = 0; i < set->n_resources; i++) {
        if (!has_resource(set, trace, i)) {
            continue;
        }
        const sl_attrs attrs = sl_repeated_of(sl_message_bytes(set->resources[i], 1), 1);
        bool first_tag = true;
        put(out, first ? "" : ",");
        first = false;
        put_process_name(out, i);
        put(out, ":{\"serviceName\":");
        put_text(out, sl_attr_text(attrs, "service.name"));
        put(out, ",\"tags\":[");
        put_tags(out, texts, attrs, &first_tag);
        put(out, "]}");
    }
}

void jaeger_trace(struct json_out *out, struct value_texts *texts, const struct span_set *set,
                  const struct set_trace *trace)
{
    put(out, "{\"traceID\":");
    put_trace_id(out, trace);
    put(out, ",\"spans\":[");
    for (uint32_t i = 0; i < trace->n; i++) {
        put(out, i == 0 ? "" : ",");
        put_span(out, texts, set, trace, &set->spans[set->places[trace->first + i].span]);
    }
    put(out, "],\"processes\":{");
    put_processes(out, texts, set, trace);
    put(out, "},\"warnings\":null}");
}
