/* Prints the descriptors of the OTLP messages, one fact a line, for otlp_descriptors.py:
 *   message NAME | field MESSAGE NUMBER NAME LABEL TYPE PACKED ONEOF OF | enum NAME VALUE NUMBER |
 *   method SERVICE NAME IN OUT
 * LABEL is one or many; ONEOF is the lowest field number of the oneof, or 0; OF is the type's name
 * for messages and enums, or a dash. One thread. */
#include "formats/otlp/proto/common.pb-c.h"
#include "formats/otlp/proto/error_details.pb-c.h"
#include "formats/otlp/proto/logs_service.pb-c.h"
#include "formats/otlp/proto/metrics_service.pb-c.h"
#include "formats/otlp/proto/status.pb-c.h"
#include "formats/otlp/proto/trace_service.pb-c.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { TYPES_MAX = 128 };

struct types {
    const ProtobufCMessageDescriptor *messages[TYPES_MAX];
    const ProtobufCEnumDescriptor *enums[TYPES_MAX];
    size_t message_count, enum_count;
};

static void add(const void **list, size_t *count, const void *type)
{
    for (size_t i = 0; i < *count; i++) {
        if (list[i] == type) {
            return;
        }
    }
    if (*count == TYPES_MAX) {
        abort();
    }
    list[(*count)++] = type;
}

static void add_message(struct types *t, const ProtobufCMessageDescriptor *type)
{
    add((const void **)t->messages, &t->message_count, type);
}

static void add_enum(struct types *t, const ProtobufCEnumDescriptor *type)
{
    add((const void **)t->enums, &t->enum_count, type);
}

static const char *type_name(ProtobufCType type)
{
    static const char *const names[] = {
        [PROTOBUF_C_TYPE_INT32] = "int32",       [PROTOBUF_C_TYPE_SINT32] = "sint32",
        [PROTOBUF_C_TYPE_SFIXED32] = "sfixed32", [PROTOBUF_C_TYPE_INT64] = "int64",
        [PROTOBUF_C_TYPE_SINT64] = "sint64",     [PROTOBUF_C_TYPE_SFIXED64] = "sfixed64",
        [PROTOBUF_C_TYPE_UINT32] = "uint32",     [PROTOBUF_C_TYPE_FIXED32] = "fixed32",
        [PROTOBUF_C_TYPE_UINT64] = "uint64",     [PROTOBUF_C_TYPE_FIXED64] = "fixed64",
        [PROTOBUF_C_TYPE_FLOAT] = "float",       [PROTOBUF_C_TYPE_DOUBLE] = "double",
        [PROTOBUF_C_TYPE_BOOL] = "bool",         [PROTOBUF_C_TYPE_ENUM] = "enum",
        [PROTOBUF_C_TYPE_STRING] = "string",     [PROTOBUF_C_TYPE_BYTES] = "bytes",
        [PROTOBUF_C_TYPE_MESSAGE] = "message"};
    return names[type];
}

static unsigned oneof_of(const ProtobufCMessageDescriptor *type,
                         const ProtobufCFieldDescriptor *field)
{
    if (!(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)) {
        return 0;
    }
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *other = &type->fields[i];
        if ((other->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
            other->quantifier_offset == field->quantifier_offset) {
            return other->id; /* fields are sorted by number */
        }
    }
    return 0;
}

static void print_message(struct types *t, const ProtobufCMessageDescriptor *type)
{
    printf("message %s\n", type->name);
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        const char *of = "-";
        if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
            const ProtobufCMessageDescriptor *child = field->descriptor;
            add_message(t, child);
            of = child->name;
        } else if (field->type == PROTOBUF_C_TYPE_ENUM) {
            const ProtobufCEnumDescriptor *child = field->descriptor;
            add_enum(t, child);
            of = child->name;
        }
        bool packed = field->flags & PROTOBUF_C_FIELD_FLAG_PACKED;
        printf("field %s %u %s %s %s %d %u %s\n", type->name, field->id, field->name,
               field->label == PROTOBUF_C_LABEL_REPEATED ? "many" : "one", type_name(field->type),
               packed, oneof_of(type, field), of);
    }
}

int main(void)
{
    const ProtobufCServiceDescriptor *services[] = {
        &opentelemetry__proto__collector__trace__v1__trace_service__descriptor,
        &opentelemetry__proto__collector__metrics__v1__metrics_service__descriptor,
        &opentelemetry__proto__collector__logs__v1__logs_service__descriptor};
    struct types t = {.message_count = 0};
    for (size_t i = 0; i < sizeof services / sizeof *services; i++) {
        for (unsigned j = 0; j < services[i]->n_methods; j++) {
            const ProtobufCMethodDescriptor *method = &services[i]->methods[j];
            printf("method %s %s %s %s\n", services[i]->name, method->name, method->input->name,
                   method->output->name);
            add_message(&t, method->input);
            add_message(&t, method->output);
        }
    }
    add_message(&t, &opentelemetry__proto__trace__v1__traces_data__descriptor);
    add_message(&t, &opentelemetry__proto__metrics__v1__metrics_data__descriptor);
    add_message(&t, &opentelemetry__proto__logs__v1__logs_data__descriptor);
    add_message(&t, &google__rpc__status__descriptor);
    add_message(&t, &google__rpc__retry_info__descriptor);
    add_message(&t, &google__rpc__bad_request__descriptor);
    /* Masks, which no field has as its type. */
    add_enum(&t, &opentelemetry__proto__trace__v1__span_flags__descriptor);
    add_enum(&t, &opentelemetry__proto__metrics__v1__data_point_flags__descriptor);
    add_enum(&t, &opentelemetry__proto__logs__v1__log_record_flags__descriptor);

    for (size_t i = 0; i < t.message_count; i++) {
        print_message(&t, t.messages[i]);
    }
    for (size_t i = 0; i < t.enum_count; i++) {
        for (unsigned j = 0; j < t.enums[i]->n_values; j++) {
            printf("enum %s %s %d\n", t.enums[i]->name, t.enums[i]->values[j].name,
                   t.enums[i]->values[j].value);
        }
    }
    return 0;
}
