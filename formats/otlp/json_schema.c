/* Works out the JSON form of a message type and of all types below it. Runs once a type, on the
 * thread that sets a component up. */
#include "formats/otlp/json_schema.h"

#include "formats/otlp/wire.h"
#include <sluice/plugin.h>

#include <stdlib.h>
#include <string.h>

struct reachable {
    const ProtobufCMessageDescriptor *types[JSON_MESSAGES_MAX];
    size_t count;
    size_t fields;
    size_t key_bytes;
};

/* Adds the type if it is new; returns its place, or JSON_MESSAGES_MAX where there is no room. */
static size_t reachable_add(struct reachable *all, const ProtobufCMessageDescriptor *type)
{
    for (size_t i = 0; i < all->count; i++) {
        if (all->types[i] == type) {
            return i;
        }
    }
    if (all->count == JSON_MESSAGES_MAX) {
        return JSON_MESSAGES_MAX;
    }
    all->types[all->count] = type;
    return all->count++;
}

static int32_t reachable_find(struct reachable *all, const ProtobufCMessageDescriptor *root)
{
    reachable_add(all, root);
    for (size_t i = 0; i < all->count; i++) {
        const ProtobufCMessageDescriptor *type = all->types[i];
        if (type->n_fields > JSON_FIELDS_MAX) {
            return SL_ERR_UNSUPPORTED;
        }
        for (unsigned j = 0; j < type->n_fields; j++) {
            const ProtobufCFieldDescriptor *field = &type->fields[j];
            size_t key_length = strlen(field->name) + 3;
            if (field->id > JSON_NUMBER_MAX || key_length > JSON_KEY_MAX) {
                return SL_ERR_UNSUPPORTED;
            }
            if (field->type == PROTOBUF_C_TYPE_MESSAGE &&
                reachable_add(all, field->descriptor) == JSON_MESSAGES_MAX) {
                return SL_ERR_UNSUPPORTED;
            }
            all->key_bytes += key_length;
        }
        all->fields += type->n_fields;
    }
    return SL_OK;
}

/* lowerCamelCase with quotes and colon; returns the length, at most that of the name + 3. */
static uint32_t key_write(const char *name, char *at)
{
    char *p = at;
    bool upper = false;
    *p++ = '"';
    for (; *name; name++) {
        if (*name == '_') {
            upper = true;
            continue;
        }
        *p++ = (char)(upper && *name >= 'a' && *name <= 'z' ? *name - 'a' + 'A' : *name);
        upper = false;
    }
    *p++ = '"';
    *p++ = ':';
    return (uint32_t)(p - at);
}

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

/* OTLP's ids are the bytes fields that are called so; they are hex, all others base64. */
static uint8_t id_size_of(const char *name)
{
    return ends_with(name, "span_id") ? 8 : ends_with(name, "_id") ? 16 : 0;
}

static int32_t form_of(const ProtobufCFieldDescriptor *from, struct json_field *field)
{
    static const struct {
        uint8_t form, wire;
        bool known;
    } forms[] = {
        [PROTOBUF_C_TYPE_INT32] = {JSON_INT32, SL_VARINT, true},
        [PROTOBUF_C_TYPE_SINT32] = {JSON_SINT32, SL_VARINT, true},
        [PROTOBUF_C_TYPE_SFIXED32] = {JSON_INT32, SL_FIXED32, true},
        [PROTOBUF_C_TYPE_INT64] = {JSON_INT64, SL_VARINT, true},
        [PROTOBUF_C_TYPE_SINT64] = {JSON_SINT64, SL_VARINT, true},
        [PROTOBUF_C_TYPE_SFIXED64] = {JSON_INT64, SL_FIXED64, true},
        [PROTOBUF_C_TYPE_UINT32] = {JSON_UINT32, SL_VARINT, true},
        [PROTOBUF_C_TYPE_FIXED32] = {JSON_UINT32, SL_FIXED32, true},
        [PROTOBUF_C_TYPE_UINT64] = {JSON_UINT64, SL_VARINT, true},
        [PROTOBUF_C_TYPE_FIXED64] = {JSON_UINT64, SL_FIXED64, true},
        [PROTOBUF_C_TYPE_DOUBLE] = {JSON_DOUBLE, SL_FIXED64, true},
        [PROTOBUF_C_TYPE_BOOL] = {JSON_BOOL, SL_VARINT, true},
        [PROTOBUF_C_TYPE_ENUM] = {JSON_INT32, SL_VARINT, true},
        [PROTOBUF_C_TYPE_STRING] = {JSON_STRING, SL_BYTES, true},
        [PROTOBUF_C_TYPE_BYTES] = {JSON_BASE64, SL_BYTES, true},
        [PROTOBUF_C_TYPE_MESSAGE] = {JSON_OBJECT, SL_BYTES, true},
    };
    if ((size_t)from->type >= sizeof forms / sizeof *forms || !forms[from->type].known) {
        return SL_ERR_UNSUPPORTED;
    }
    field->form = forms[from->type].form;
    field->wire = forms[from->type].wire;
    if (field->form == JSON_BASE64) {
        field->id_size = id_size_of(from->name);
        field->form = field->id_size ? JSON_HEX : JSON_BASE64;
    } else if (from->type == PROTOBUF_C_TYPE_ENUM) {
        field->values = (const ProtobufCEnumDescriptor *)from->descriptor;
    }
    return SL_OK;
}

/* The other members of field i's oneof: protobuf-c lets them share one quantifier. */
static uint32_t oneof_others(const ProtobufCMessageDescriptor *type, unsigned i)
{
    uint32_t others = 0;
    for (unsigned j = 0; j < type->n_fields; j++) {
        const ProtobufCFieldDescriptor *other = &type->fields[j];
        if (j != i && (other->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
            other->quantifier_offset == type->fields[i].quantifier_offset) {
            others |= UINT32_C(1) << j;
        }
    }
    return others;
}

static int32_t message_fill(struct json_schema *schema, struct reachable *all, size_t place,
                            char **keys)
{
    const ProtobufCMessageDescriptor *type = all->types[place];
    struct json_message *message = &schema->messages[place];
    message->name = type->name;
    message->field_count = type->n_fields;
    memset(message->by_number, JSON_NO_FIELD, sizeof message->by_number);
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *from = &type->fields[i];
        struct json_field *field = &message->fields[i];
        int32_t status = form_of(from, field);
        if (status != SL_OK) {
            return status;
        }
        message->by_number[from->id] = (uint8_t)i;
        field->number = from->id;
        field->name = from->name;
        field->name_length = (uint32_t)strlen(from->name);
        field->key = *keys;
        field->key_length = key_write(from->name, *keys);
        *keys += field->key_length;
        field->repeated = from->label == PROTOBUF_C_LABEL_REPEATED;
        field->tag_size =
            (uint8_t)(sl_put_tag(field->tag, from->id, field->repeated ? SL_BYTES : field->wire) -
                      field->tag);
        bool member = from->flags & PROTOBUF_C_FIELD_FLAG_ONEOF;
        field->others = member ? oneof_others(type, i) : 0;
        field->presence = member || from->label == PROTOBUF_C_LABEL_OPTIONAL ||
                          from->label == PROTOBUF_C_LABEL_REQUIRED;
        if (field->form == JSON_OBJECT) {
            field->message = &schema->messages[reachable_add(all, from->descriptor)];
            if (!field->repeated && !field->presence) {
                message->always |= UINT32_C(1) << i;
            }
        }
    }
    return SL_OK;
}

int32_t json_schema_create(const ProtobufCMessageDescriptor *root, struct json_schema **schema)
{
    struct reachable all = {.count = 0};
    *schema = NULL;
    int32_t status = reachable_find(&all, root);
    if (status != SL_OK) {
        return status;
    }
    struct json_schema *s = calloc(1, sizeof *s);
    if (!s) {
        return SL_ERR_NOMEM;
    }
    s->messages = calloc(all.count, sizeof *s->messages);
    s->fields = calloc(all.fields + 1, sizeof *s->fields);
    s->keys = malloc(all.key_bytes + 1);
    if (!s->messages || !s->fields || !s->keys) {
        json_schema_destroy(s);
        return SL_ERR_NOMEM;
    }
    struct json_field *fields = s->fields;
    char *keys = s->keys;
    for (size_t i = 0; i < all.count; i++) {
        s->messages[i].fields = fields;
        fields += all.types[i]->n_fields;
        status = message_fill(s, &all, i, &keys);
        if (status != SL_OK) {
            json_schema_destroy(s);
            return status;
        }
    }
    s->root = &s->messages[0];
    s->message_count = (uint32_t)all.count;
    s->field_count = (uint32_t)all.fields;
    decimal_powers_init(&s->powers);
    *schema = s;
    return SL_OK;
}

void json_schema_destroy(struct json_schema *schema)
{
    if (!schema) {
        return;
    }
    free(schema->messages);
    free(schema->fields);
    free(schema->keys);
    free(schema);
}
