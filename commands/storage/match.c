/* Which traces match a query, to the letter. */
#include "commands/storage/query.h"

sl_bytes span_service(const struct span_set *set, const struct set_span *span)
{
    const sl_bytes head = set->resources[set->scopes[span->scope].resource];
    return sl_attr_text(sl_repeated_of(sl_message_bytes(head, 1), 1), "service.name");
}

static bool has_attribute(struct value_texts *texts, const struct set_span *span, sl_bytes key,
                          sl_bytes wanted)
{
    sl_value value;
    if (!sl_attr_find(sl_repeated_of(span->record, SPAN_ATTRIBUTE), key, &value)) {
        return false;
    }
    const bool is = sl_eq(otlp_value_text(&texts->powers, &value, &texts->scratch), wanted);
    otlp_scratch_clear(&texts->scratch);
    return is;
}

static bool span_matches(const struct query_options *o, struct value_texts *texts,
                         const struct span_set *set, const struct set_span *span)
{
    const struct trace_query *q = &o->query;
    const uint64_t start = sl_message_number(span->record, SPAN_START);
    const uint64_t end = sl_message_number(span->record, SPAN_END);
    const uint64_t duration = end > start ? end - start : 0;
    if ((q->service.p && !sl_eq(span_service(set, span), q->service)) ||
        (q->name.p && !sl_eq(sl_message_bytes(span->record, SPAN_NAME), q->name)) ||
        duration < q->min_ns || (q->max_ns && duration > q->max_ns) || start < q->from_ns ||
        (q->to_ns && start > q->to_ns)) {
        return false;
    }
    if (q->errors &&
        sl_message_number(sl_message_bytes(span->record, SPAN_STATUS), 3) != SL_SPAN_ERROR) {
        return false;
    }
    for (uint32_t i = 0; i < o->n_attributes; i++) {
        if (!has_attribute(texts, span, o->attributes[i].key, o->attributes[i].value)) {
            return false;
        }
    }
    return true;
}

bool trace_matches(const struct query_options *o, struct value_texts *texts,
                   const struct span_set *set, const struct set_trace *trace)
{
    for (uint32_t i = 0; i < trace->n; i++) {
        if (span_matches(o, texts, set, &set->spans[set->places[trace->first + i].span])) {
            return true;
        }
    }
    return false;
}
