/* Random wire bytes of a message type. One thread. */
#include "tests/oracle/random_message.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { RECORDS_MAX = 64, ELEMENTS_MAX = 4, UNKNOWN_NUMBER = 500 };

/* splitmix64 */
uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static size_t below(uint64_t *state, size_t n)
{
    return (size_t)(random_next(state) % n);
}

static void add(struct random_bytes *b, const void *at, size_t n)
{
    if (b->n + n > b->room) {
        b->room = 2 * (b->n + n) + 64;
        b->at = realloc(b->at, b->room);
        if (!b->at) {
            abort();
        }
    }
    if (n > 0) {
        memcpy(b->at + b->n, at, n);
    }
    b->n += n;
}

static void add_varint(struct random_bytes *b, uint64_t v)
{
    for (; v >= 0x80; v >>= 7) {
        add(b, &(uint8_t){(uint8_t)(v | 0x80)}, 1);
    }
    add(b, &(uint8_t){(uint8_t)v}, 1);
}

static void add_bytes(struct random_bytes *b, const void *at, size_t n)
{
    add_varint(b, n);
    add(b, at, n);
}

static uint64_t any_integer(uint64_t *state)
{
    static const uint64_t edges[] = {
        0,          1,          2,         127,        128,        INT32_MAX,  INT32_MAX + 1ull,
        UINT32_MAX, 1ull << 32, INT64_MAX, 1ull << 63, UINT64_MAX, 1ull << 53, UINT64_MAX - 99};
    if (below(state, 2)) {
        return edges[below(state, sizeof edges / sizeof *edges)];
    }
    return random_next(state) >> below(state, 64);
}

static uint64_t any_double(uint64_t *state, enum random_style style)
{
    double d;
    switch (below(state, 6)) {
    case 0:
        d = (double)(int64_t)any_integer(state);
        break;
    case 1:
        d = (double)below(state, 100000) / 1000;
        break;
    case 2: {
        const double edges[] = {0, -0.0, NAN, INFINITY, -INFINITY, 5e-324, 1e21, 1e-6, 1e23};
        d = edges[below(state, sizeof edges / sizeof *edges)];
        break;
    }
    default: {
        uint64_t bits = random_next(state);
        memcpy(&d, &bits, sizeof d);
        d = isnan(d) ? 1 : d;
    }
    }
    d = style == RANDOM_WHOLE && d == 0 ? 0 : d;
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    return bits;
}

static void add_text(uint64_t *state, struct random_bytes *b)
{
    static const char *const pieces[] = {"a",
                                         "service.name",
                                         "\"",
                                         "\\",
                                         "\n",
                                         "\x01",
                                         "\x1f\x7f",
                                         "\t",
                                         "\xc3\xa9",
                                         "\xe2\x82\xac",
                                         "\xf0\x9f\x98\x80",
                                         "/",
                                         "<>&",
                                         "\xe2\x80\xa8"};
    struct random_bytes text = {0};
    size_t length = below(state, 20) == 0 ? below(state, 2000) : below(state, 12);
    for (size_t i = 0; i < length; i++) {
        const char *piece = pieces[below(state, sizeof pieces / sizeof *pieces)];
        add(&text, piece, strlen(piece));
    }
    add_bytes(b, text.at, text.n);
    free(text.at);
}

static void add_binary(uint64_t *state, struct random_bytes *b)
{
    static const size_t lengths[] = {0, 8, 16, 1, 2, 3, 700};
    uint8_t binary[700];
    size_t n = lengths[below(state, sizeof lengths / sizeof *lengths)];
    for (size_t i = 0; i < n; i++) {
        binary[i] = (uint8_t)random_next(state);
    }
    add_bytes(b, binary, n);
}

static uint32_t wire_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return PROTOBUF_C_WIRE_TYPE_64BIT;
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return PROTOBUF_C_WIRE_TYPE_32BIT;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
    default:
        return PROTOBUF_C_WIRE_TYPE_VARINT;
    }
}

static void add_number(uint64_t *state, ProtobufCType type, enum random_style style,
                       struct random_bytes *b)
{
    uint64_t v = type == PROTOBUF_C_TYPE_DOUBLE ? any_double(state, style) : any_integer(state);
    switch (wire_of(type)) {
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        add(b, &v, 8);
        break;
    case PROTOBUF_C_WIRE_TYPE_32BIT:
        add(b, &v, 4);
        break;
    default:
        if (type == PROTOBUF_C_TYPE_BOOL) {
            v &= 1;
        } else if (type == PROTOBUF_C_TYPE_ENUM || type == PROTOBUF_C_TYPE_INT32) {
            v = (uint64_t)(int64_t)(int32_t)v;
        } else if (type == PROTOBUF_C_TYPE_SINT32 || type == PROTOBUF_C_TYPE_UINT32) {
            v = (uint32_t)v;
        }
        add_varint(b, v);
    }
}

static void add_unknown(uint64_t *state, uint32_t number, uint32_t wire, struct random_bytes *b)
{
    add_varint(b, number << 3 | wire);
    if (wire == PROTOBUF_C_WIRE_TYPE_VARINT) {
        add_varint(b, any_integer(state));
    } else if (wire == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED) {
        add_binary(state, b);
    } else {
        add(b, &(uint64_t){random_next(state)}, wire == PROTOBUF_C_WIRE_TYPE_64BIT ? 8 : 4);
    }
}

static void add_record(uint64_t *state, const ProtobufCFieldDescriptor *field, int depth,
                       enum random_style style, struct random_bytes *b)
{
    uint32_t wire = wire_of(field->type);
    if (wire != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED && field->label == PROTOBUF_C_LABEL_REPEATED &&
        below(state, 2)) {
        struct random_bytes packed = {0};
        for (size_t i = below(state, ELEMENTS_MAX); i > 0; i--) {
            add_number(state, field->type, style, &packed);
        }
        add_varint(b, field->id << 3 | PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED);
        add_bytes(b, packed.at, packed.n);
        free(packed.at);
        return;
    }
    add_varint(b, field->id << 3 | wire);
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        struct random_bytes child = {0};
        random_message(state, field->descriptor, depth - 1, style, &child);
        add_bytes(b, child.at, child.n);
        free(child.at);
    } else if (field->type == PROTOBUF_C_TYPE_STRING) {
        add_text(state, b);
    } else if (field->type == PROTOBUF_C_TYPE_BYTES) {
        add_binary(state, b);
    } else {
        add_number(state, field->type, style, b);
    }
}

/* A wire type that no reader takes for the field's own. */
static uint32_t wrong_wire(const ProtobufCFieldDescriptor *field)
{
    return wire_of(field->type) == PROTOBUF_C_WIRE_TYPE_32BIT ? PROTOBUF_C_WIRE_TYPE_64BIT
                                                              : PROTOBUF_C_WIRE_TYPE_32BIT;
}

void random_message(uint64_t *state, const ProtobufCMessageDescriptor *type, int depth,
                    enum random_style style, struct random_bytes *bytes)
{
    struct random_bytes records[RECORDS_MAX] = {{0}};
    size_t count = 0;
    for (unsigned i = 0; i < type->n_fields && count + ELEMENTS_MAX < RECORDS_MAX; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        if (field->type == PROTOBUF_C_TYPE_MESSAGE && depth <= 1) {
            continue;
        }
        bool once = style == RANDOM_WHOLE && field->type == PROTOBUF_C_TYPE_MESSAGE &&
                    field->label != PROTOBUF_C_LABEL_REPEATED;
        for (size_t times = below(state, once ? 2 : 3); times > 0; times--) {
            add_record(state, field, depth, style, &records[count++]);
        }
        if (style == RANDOM_WILD && below(state, 20) == 0) {
            add_unknown(state, field->id, wrong_wire(field), &records[count++]);
        }
    }
    if (below(state, 4) == 0) {
        static const uint32_t wires[] = {0, 1, 2, 5};
        add_unknown(state, UNKNOWN_NUMBER, wires[below(state, 4)], &records[count++]);
    }
    bool shuffle = below(state, 2);
    for (size_t i = 0; i < count; i++) {
        size_t j = shuffle ? i + below(state, count - i) : i;
        add(bytes, records[j].at, records[j].n);
        free(records[j].at);
        records[j] = records[i];
    }
}
