/* What the tests of JSON share: short names of the messages, and ways to read and write one. One
 * thread. */
#ifndef SLUICE_TESTS_UNIT_FORMATS_JSON_SUPPORT_H
#define SLUICE_TESTS_UNIT_FORMATS_JSON_SUPPORT_H
#include "formats/otlp/json_write.h"

#include "formats/otlp/proto/logs_service.pb-c.h"
#include "formats/otlp/proto/metrics_service.pb-c.h"
#include "formats/otlp/proto/trace_service.pb-c.h"

#define ANY_VALUE opentelemetry__proto__common__v1__any_value__descriptor
#define KEY_VALUE opentelemetry__proto__common__v1__key_value__descriptor
#define ENTITY opentelemetry__proto__common__v1__entity_ref__descriptor
#define SPAN opentelemetry__proto__trace__v1__span__descriptor
#define SCOPE_SPANS opentelemetry__proto__trace__v1__scope_spans__descriptor
#define LINK opentelemetry__proto__trace__v1__span__link__descriptor
#define NUMBER_POINT opentelemetry__proto__metrics__v1__number_data_point__descriptor
#define HISTOGRAM_POINT opentelemetry__proto__metrics__v1__histogram_data_point__descriptor
#define EXPONENTIAL_POINT                                                                          \
    opentelemetry__proto__metrics__v1__exponential_histogram_data_point__descriptor
#define METRIC opentelemetry__proto__metrics__v1__metric__descriptor
#define LOG opentelemetry__proto__logs__v1__log_record__descriptor
#define TRACES opentelemetry__proto__collector__trace__v1__export_trace_service_request__descriptor
#define METRICS                                                                                    \
    opentelemetry__proto__collector__metrics__v1__export_metrics_service_request__descriptor
#define LOGS opentelemetry__proto__collector__logs__v1__export_logs_service_request__descriptor
#define RESPONSE                                                                                   \
    opentelemetry__proto__collector__trace__v1__export_trace_service_response__descriptor

enum { JSON_TEST_BYTES_MAX = 4096 };

/* A request of one span, in hex, and its text. */
extern const char json_golden[];
extern const char json_golden_text[];

/* Reads hex digits with spaces between bytes into JSON_TEST_BYTES_MAX bytes; returns how many. */
size_t json_from_hex(const char *hex, uint8_t *at);

struct json_schema *json_schema_of(const ProtobufCMessageDescriptor *type);
void json_init_collecting(struct json_out *out);

/* The text of segments; the caller frees it. */
char *json_text_of(const ProtobufCMessageDescriptor *type, const sl_bytes *segments, size_t count);

/* The wire bytes of a text, in memory of exactly the sizes that the reader asks for; free(at), also
 * after a failure. */
struct json_bytes {
    uint8_t *at;
    size_t n, capacity;
    size_t calls, fail_at; /* the call that fails, from 1 */
};
int32_t json_bytes_grow(void *bytes, size_t capacity, uint8_t **at, size_t *got);
int32_t json_wire_of(const ProtobufCMessageDescriptor *type, sl_bytes text,
                     struct json_bytes *bytes, sl_error *error);

/* The status for bytes that must not be written; asserts that nothing is left of them. */
int32_t json_refused(const ProtobufCMessageDescriptor *type, sl_bytes whole, sl_error *error);

#endif
