/* The field tables of OTLP's messages, from opentelemetry-proto 1.11. Constant; any thread. */
#include "formats/otlp/layout.h"
#include <stddef.h>

#define WIRE_VARINT 0
#define WIRE_FIXED32 5
#define WIRE_FIXED64 1
#define WIRE_TEXT 2
#define WIRE_BYTES 2
#define WIRE_ID8 2
#define WIRE_ID16 2
#define WIRE_MESSAGE 2
#define WIRE_PACKED_VARINT 0
#define WIRE_PACKED_FIXED64 1

#define R OTLP_REPEATED
#define OTLP_NOTHING OTLP_TYPES

/* F(message, number, name, kind, message of the field, flags) */
#define OTLP_FIELDS(F)                                                                             \
    F(TRACES_DATA, 1, resource_spans, MESSAGE, RESOURCE_SPANS, R)                                  \
    F(RESOURCE_SPANS, 1, resource, MESSAGE, RESOURCE, OTLP_UNIT)                                   \
    F(RESOURCE_SPANS, 2, scope_spans, MESSAGE, SCOPE_SPANS, R)                                     \
    F(RESOURCE_SPANS, 3, schema_url, TEXT, NOTHING, 0)                                             \
    F(SCOPE_SPANS, 1, scope, MESSAGE, SCOPE, OTLP_UNIT)                                            \
    F(SCOPE_SPANS, 2, spans, MESSAGE, SPAN, R | OTLP_ITEM | OTLP_UNIT)                             \
    F(SCOPE_SPANS, 3, schema_url, TEXT, NOTHING, 0)                                                \
    F(SPAN, 1, trace_id, ID16, NOTHING, 0)                                                         \
    F(SPAN, 2, span_id, ID8, NOTHING, 0)                                                           \
    F(SPAN, 3, trace_state, TEXT, NOTHING, 0)                                                      \
    F(SPAN, 4, parent_span_id, ID8, NOTHING, 0)                                                    \
    F(SPAN, 5, name, TEXT, NOTHING, 0)                                                             \
    F(SPAN, 6, kind, VARINT, NOTHING, 0)                                                           \
    F(SPAN, 7, start_time_unix_nano, FIXED64, NOTHING, 0)                                          \
    F(SPAN, 8, end_time_unix_nano, FIXED64, NOTHING, 0)                                            \
    F(SPAN, 9, attributes, MESSAGE, KEY_VALUE, R)                                                  \
    F(SPAN, 10, dropped_attributes_count, VARINT, NOTHING, 0)                                      \
    F(SPAN, 11, events, MESSAGE, EVENT, R)                                                         \
    F(SPAN, 12, dropped_events_count, VARINT, NOTHING, 0)                                          \
    F(SPAN, 13, links, MESSAGE, LINK, R)                                                           \
    F(SPAN, 14, dropped_links_count, VARINT, NOTHING, 0)                                           \
    F(SPAN, 15, status, MESSAGE, STATUS, 0)                                                        \
    F(SPAN, 16, flags, FIXED32, NOTHING, 0)                                                        \
    F(EVENT, 1, time_unix_nano, FIXED64, NOTHING, 0)                                               \
    F(EVENT, 2, name, TEXT, NOTHING, 0)                                                            \
    F(EVENT, 3, attributes, MESSAGE, KEY_VALUE, R)                                                 \
    F(EVENT, 4, dropped_attributes_count, VARINT, NOTHING, 0)                                      \
    F(LINK, 1, trace_id, ID16, NOTHING, 0)                                                         \
    F(LINK, 2, span_id, ID8, NOTHING, 0)                                                           \
    F(LINK, 3, trace_state, TEXT, NOTHING, 0)                                                      \
    F(LINK, 4, attributes, MESSAGE, KEY_VALUE, R)                                                  \
    F(LINK, 5, dropped_attributes_count, VARINT, NOTHING, 0)                                       \
    F(LINK, 6, flags, FIXED32, NOTHING, 0)                                                         \
    F(STATUS, 2, message, TEXT, NOTHING, 0)                                                        \
    F(STATUS, 3, code, VARINT, NOTHING, 0)                                                         \
    F(METRICS_DATA, 1, resource_metrics, MESSAGE, RESOURCE_METRICS, R)                             \
    F(RESOURCE_METRICS, 1, resource, MESSAGE, RESOURCE, OTLP_UNIT)                                 \
    F(RESOURCE_METRICS, 2, scope_metrics, MESSAGE, SCOPE_METRICS, R)                               \
    F(RESOURCE_METRICS, 3, schema_url, TEXT, NOTHING, 0)                                           \
    F(SCOPE_METRICS, 1, scope, MESSAGE, SCOPE, OTLP_UNIT)                                          \
    F(SCOPE_METRICS, 2, metrics, MESSAGE, METRIC, R | OTLP_UNIT)                                   \
    F(SCOPE_METRICS, 3, schema_url, TEXT, NOTHING, 0)                                              \
    F(METRIC, 1, name, TEXT, NOTHING, 0)                                                           \
    F(METRIC, 2, description, TEXT, NOTHING, 0)                                                    \
    F(METRIC, 3, unit, TEXT, NOTHING, 0)                                                           \
    F(METRIC, 5, gauge, MESSAGE, GAUGE, OTLP_DATA)                                                 \
    F(METRIC, 7, sum, MESSAGE, SUM, OTLP_DATA)                                                     \
    F(METRIC, 9, histogram, MESSAGE, HISTOGRAM, OTLP_DATA)                                         \
    F(METRIC, 10, exponential_histogram, MESSAGE, EXPONENTIAL_HISTOGRAM, OTLP_DATA)                \
    F(METRIC, 11, summary, MESSAGE, SUMMARY, OTLP_DATA)                                            \
    F(METRIC, 12, metadata, MESSAGE, KEY_VALUE, R)                                                 \
    F(GAUGE, 1, data_points, MESSAGE, NUMBER_POINT, R | OTLP_ITEM | OTLP_UNIT)                     \
    F(SUM, 1, data_points, MESSAGE, NUMBER_POINT, R | OTLP_ITEM | OTLP_UNIT)                       \
    F(SUM, 2, aggregation_temporality, VARINT, NOTHING, 0)                                         \
    F(SUM, 3, is_monotonic, VARINT, NOTHING, 0)                                                    \
    F(HISTOGRAM, 1, data_points, MESSAGE, HISTOGRAM_POINT, R | OTLP_ITEM | OTLP_UNIT)              \
    F(HISTOGRAM, 2, aggregation_temporality, VARINT, NOTHING, 0)                                   \
    F(EXPONENTIAL_HISTOGRAM, 1, data_points, MESSAGE, EXPONENTIAL_POINT,                           \
      R | OTLP_ITEM | OTLP_UNIT)                                                                   \
    F(EXPONENTIAL_HISTOGRAM, 2, aggregation_temporality, VARINT, NOTHING, 0)                       \
    F(SUMMARY, 1, data_points, MESSAGE, SUMMARY_POINT, R | OTLP_ITEM | OTLP_UNIT)                  \
    F(NUMBER_POINT, 2, start_time_unix_nano, FIXED64, NOTHING, 0)                                  \
    F(NUMBER_POINT, 3, time_unix_nano, FIXED64, NOTHING, 0)                                        \
    F(NUMBER_POINT, 4, as_double, FIXED64, NOTHING, 0)                                             \
    F(NUMBER_POINT, 5, exemplars, MESSAGE, EXEMPLAR, R)                                            \
    F(NUMBER_POINT, 6, as_int, FIXED64, NOTHING, 0)                                                \
    F(NUMBER_POINT, 7, attributes, MESSAGE, KEY_VALUE, R)                                          \
    F(NUMBER_POINT, 8, flags, VARINT, NOTHING, 0)                                                  \
    F(HISTOGRAM_POINT, 2, start_time_unix_nano, FIXED64, NOTHING, 0)                               \
    F(HISTOGRAM_POINT, 3, time_unix_nano, FIXED64, NOTHING, 0)                                     \
    F(HISTOGRAM_POINT, 4, count, FIXED64, NOTHING, 0)                                              \
    F(HISTOGRAM_POINT, 5, sum, FIXED64, NOTHING, 0)                                                \
    F(HISTOGRAM_POINT, 6, bucket_counts, PACKED_FIXED64, NOTHING, R)                               \
    F(HISTOGRAM_POINT, 7, explicit_bounds, PACKED_FIXED64, NOTHING, R)                             \
    F(HISTOGRAM_POINT, 8, exemplars, MESSAGE, EXEMPLAR, R)                                         \
    F(HISTOGRAM_POINT, 9, attributes, MESSAGE, KEY_VALUE, R)                                       \
    F(HISTOGRAM_POINT, 10, flags, VARINT, NOTHING, 0)                                              \
    F(HISTOGRAM_POINT, 11, min, FIXED64, NOTHING, 0)                                               \
    F(HISTOGRAM_POINT, 12, max, FIXED64, NOTHING, 0)                                               \
    F(EXPONENTIAL_POINT, 1, attributes, MESSAGE, KEY_VALUE, R)                                     \
    F(EXPONENTIAL_POINT, 2, start_time_unix_nano, FIXED64, NOTHING, 0)                             \
    F(EXPONENTIAL_POINT, 3, time_unix_nano, FIXED64, NOTHING, 0)                                   \
    F(EXPONENTIAL_POINT, 4, count, FIXED64, NOTHING, 0)                                            \
    F(EXPONENTIAL_POINT, 5, sum, FIXED64, NOTHING, 0)                                              \
    F(EXPONENTIAL_POINT, 6, scale, VARINT, NOTHING, 0)                                             \
    F(EXPONENTIAL_POINT, 7, zero_count, FIXED64, NOTHING, 0)                                       \
    F(EXPONENTIAL_POINT, 8, positive, MESSAGE, BUCKETS, 0)                                         \
    F(EXPONENTIAL_POINT, 9, negative, MESSAGE, BUCKETS, 0)                                         \
    F(EXPONENTIAL_POINT, 10, flags, VARINT, NOTHING, 0)                                            \
    F(EXPONENTIAL_POINT, 11, exemplars, MESSAGE, EXEMPLAR, R)                                      \
    F(EXPONENTIAL_POINT, 12, min, FIXED64, NOTHING, 0)                                             \
    F(EXPONENTIAL_POINT, 13, max, FIXED64, NOTHING, 0)                                             \
    F(EXPONENTIAL_POINT, 14, zero_threshold, FIXED64, NOTHING, 0)                                  \
    F(BUCKETS, 1, offset, VARINT, NOTHING, 0)                                                      \
    F(BUCKETS, 2, bucket_counts, PACKED_VARINT, NOTHING, R)                                        \
    F(SUMMARY_POINT, 2, start_time_unix_nano, FIXED64, NOTHING, 0)                                 \
    F(SUMMARY_POINT, 3, time_unix_nano, FIXED64, NOTHING, 0)                                       \
    F(SUMMARY_POINT, 4, count, FIXED64, NOTHING, 0)                                                \
    F(SUMMARY_POINT, 5, sum, FIXED64, NOTHING, 0)                                                  \
    F(SUMMARY_POINT, 6, quantile_values, MESSAGE, QUANTILE, R)                                     \
    F(SUMMARY_POINT, 7, attributes, MESSAGE, KEY_VALUE, R)                                         \
    F(SUMMARY_POINT, 8, flags, VARINT, NOTHING, 0)                                                 \
    F(QUANTILE, 1, quantile, FIXED64, NOTHING, 0)                                                  \
    F(QUANTILE, 2, value, FIXED64, NOTHING, 0)                                                     \
    F(EXEMPLAR, 2, time_unix_nano, FIXED64, NOTHING, 0)                                            \
    F(EXEMPLAR, 3, as_double, FIXED64, NOTHING, 0)                                                 \
    F(EXEMPLAR, 4, span_id, ID8, NOTHING, 0)                                                       \
    F(EXEMPLAR, 5, trace_id, ID16, NOTHING, 0)                                                     \
    F(EXEMPLAR, 6, as_int, FIXED64, NOTHING, 0)                                                    \
    F(EXEMPLAR, 7, filtered_attributes, MESSAGE, KEY_VALUE, R)                                     \
    F(LOGS_DATA, 1, resource_logs, MESSAGE, RESOURCE_LOGS, R)                                      \
    F(RESOURCE_LOGS, 1, resource, MESSAGE, RESOURCE, OTLP_UNIT)                                    \
    F(RESOURCE_LOGS, 2, scope_logs, MESSAGE, SCOPE_LOGS, R)                                        \
    F(RESOURCE_LOGS, 3, schema_url, TEXT, NOTHING, 0)                                              \
    F(SCOPE_LOGS, 1, scope, MESSAGE, SCOPE, OTLP_UNIT)                                             \
    F(SCOPE_LOGS, 2, log_records, MESSAGE, LOG_RECORD, R | OTLP_ITEM | OTLP_UNIT)                  \
    F(SCOPE_LOGS, 3, schema_url, TEXT, NOTHING, 0)                                                 \
    F(LOG_RECORD, 1, time_unix_nano, FIXED64, NOTHING, 0)                                          \
    F(LOG_RECORD, 2, severity_number, VARINT, NOTHING, 0)                                          \
    F(LOG_RECORD, 3, severity_text, TEXT, NOTHING, 0)                                              \
    F(LOG_RECORD, 5, body, MESSAGE, ANY_VALUE, 0)                                                  \
    F(LOG_RECORD, 6, attributes, MESSAGE, KEY_VALUE, R)                                            \
    F(LOG_RECORD, 7, dropped_attributes_count, VARINT, NOTHING, 0)                                 \
    F(LOG_RECORD, 8, flags, FIXED32, NOTHING, 0)                                                   \
    F(LOG_RECORD, 9, trace_id, ID16, NOTHING, 0)                                                   \
    F(LOG_RECORD, 10, span_id, ID8, NOTHING, 0)                                                    \
    F(LOG_RECORD, 11, observed_time_unix_nano, FIXED64, NOTHING, 0)                                \
    F(LOG_RECORD, 12, event_name, TEXT, NOTHING, 0)                                                \
    F(RESOURCE, 1, attributes, MESSAGE, KEY_VALUE, R)                                              \
    F(RESOURCE, 2, dropped_attributes_count, VARINT, NOTHING, 0)                                   \
    F(RESOURCE, 3, entity_refs, MESSAGE, ENTITY_REF, R)                                            \
    F(ENTITY_REF, 1, schema_url, TEXT, NOTHING, 0)                                                 \
    F(ENTITY_REF, 2, type, TEXT, NOTHING, 0)                                                       \
    F(ENTITY_REF, 3, id_keys, TEXT, NOTHING, R)                                                    \
    F(ENTITY_REF, 4, description_keys, TEXT, NOTHING, R)                                           \
    F(SCOPE, 1, name, TEXT, NOTHING, 0)                                                            \
    F(SCOPE, 2, version, TEXT, NOTHING, 0)                                                         \
    F(SCOPE, 3, attributes, MESSAGE, KEY_VALUE, R)                                                 \
    F(SCOPE, 4, dropped_attributes_count, VARINT, NOTHING, 0)                                      \
    F(KEY_VALUE, 1, key, TEXT, NOTHING, 0)                                                         \
    F(KEY_VALUE, 2, value, MESSAGE, ANY_VALUE, 0)                                                  \
    F(KEY_VALUE, 3, key_strindex, VARINT, NOTHING, 0)                                              \
    F(ANY_VALUE, 1, string_value, TEXT, NOTHING, 0)                                                \
    F(ANY_VALUE, 2, bool_value, VARINT, NOTHING, 0)                                                \
    F(ANY_VALUE, 3, int_value, VARINT, NOTHING, 0)                                                 \
    F(ANY_VALUE, 4, double_value, FIXED64, NOTHING, 0)                                             \
    F(ANY_VALUE, 5, array_value, MESSAGE, ARRAY_VALUE, 0)                                          \
    F(ANY_VALUE, 6, kvlist_value, MESSAGE, KEY_VALUE_LIST, 0)                                      \
    F(ANY_VALUE, 7, bytes_value, BYTES, NOTHING, 0)                                                \
    F(ANY_VALUE, 8, string_value_strindex, VARINT, NOTHING, 0)                                     \
    F(ARRAY_VALUE, 1, values, MESSAGE, ANY_VALUE, R)                                               \
    F(KEY_VALUE_LIST, 1, values, MESSAGE, KEY_VALUE, R)

#define LAYOUT(type, number, name, kind, message, flags)                                           \
    [OTLP_##type][number] = {OTLP_##kind, WIRE_##kind, OTLP_##message, flags},
#define NAME(type, number, name, kind, message, flags) [OTLP_##type][number] = #name,

const struct otlp_field otlp_layout[OTLP_TYPES][OTLP_FIELD_NUMBERS] = {OTLP_FIELDS(LAYOUT)};

static const char *const names[OTLP_TYPES][OTLP_FIELD_NUMBERS] = {OTLP_FIELDS(NAME)};

const char *otlp_field_name(enum otlp_type type, uint32_t number)
{
    return number < OTLP_FIELD_NUMBERS ? names[type][number] : NULL;
}
