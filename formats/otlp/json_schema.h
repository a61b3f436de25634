/* How the messages below one protobuf message type look in OTLP's JSON: worked out once from the
 * protobuf-c descriptors, then immutable, for any number of threads. */
#ifndef SLUICE_FORMATS_OTLP_JSON_SCHEMA_H
#define SLUICE_FORMATS_OTLP_JSON_SCHEMA_H
#include "formats/otlp/decimal.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    JSON_FIELDS_MAX = 32,   /* of a message: they are kept in masks */
    JSON_NUMBER_MAX = 63,   /* the highest field number */
    JSON_MESSAGES_MAX = 64, /* types below one root; metrics have 21 */
    JSON_KEY_MAX = 64,      /* bytes of a key with quotes and colon */
    JSON_TAG_MAX = 2,       /* bytes, for numbers up to JSON_NUMBER_MAX */
    JSON_NO_FIELD = 0xff
};

enum json_form {
    JSON_BOOL,
    JSON_INT32, /* enums too */
    JSON_SINT32,
    JSON_UINT32,
    JSON_INT64, /* 64-bit integers are decimal text in quotes */
    JSON_SINT64,
    JSON_UINT64,
    JSON_DOUBLE,
    JSON_STRING,
    JSON_HEX, /* ids */
    JSON_BASE64,
    JSON_OBJECT
};

struct json_field {
    const struct json_message *message; /* JSON_OBJECT: its type */
    const char *key;                    /* "name":, with quotes and colon */
    uint32_t key_length;
    uint32_t name_length;
    const char *name;                      /* as in the .proto file: snake_case */
    const ProtobufCEnumDescriptor *values; /* of an enum, else NULL */
    uint32_t number;
    uint32_t others;           /* mask: the other members of its oneof */
    uint8_t tag[JSON_TAG_MAX]; /* of its records, where numbers are packed */
    uint8_t tag_size;
    uint8_t form;    /* enum json_form */
    uint8_t wire;    /* enum sl_wire_type of one value */
    uint8_t id_size; /* JSON_HEX: bytes of an id that is not empty */
    bool repeated;
    bool presence; /* written whenever it is on the wire, zero or not */
};

struct json_message {
    const char *name; /* the full protobuf name */
    struct json_field *fields;
    uint32_t field_count;
    uint32_t always; /* mask: objects that are written even where the wire has none */
    uint8_t by_number[JSON_NUMBER_MAX + 1]; /* index of the field, or JSON_NO_FIELD */
};

struct json_schema {
    const struct json_message *root;
    struct decimal_powers powers;
    struct json_message *messages;
    struct json_field *fields;
    uint32_t message_count, field_count;
    char *keys;
};

/* Returns SL_OK, SL_ERR_NOMEM, or SL_ERR_UNSUPPORTED for a message above the limits here or with a
 * type that OTLP does not use (float). */
int32_t json_schema_create(const ProtobufCMessageDescriptor *root, struct json_schema **schema);
void json_schema_destroy(struct json_schema *schema);

#endif
