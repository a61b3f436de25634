/* JSON's values as protobuf records. Any thread, one at a time for each json_in. */
#include "formats/otlp/decimal_read.h"
#include "formats/otlp/json_in.h"

enum { NUMBER_MAX = 10 /* bytes of a varint */ };

/* A number of the text, with or without quotes. */
struct number {
    sl_bytes text;
    const uint8_t *at; /* in the input, for errors */
    struct decimal decimal;
    bool scanned; /* `text` is a number from its first byte to its last */
};

/* Reads what should be a number; anything in quotes passes, as `scanned` says. */
static const uint8_t *number_read(struct json_in *in, const uint8_t *p, const char *expected,
                                  struct number *number)
{
    const bool quoted = p < in->end && *p == '"';
    const uint8_t *start = p + quoted;
    const uint8_t *next = decimal_scan(start, in->end, &number->decimal);
    number->at = p;
    if (next && (!quoted || (next < in->end && *next == '"'))) {
        number->text = sl_slice(start, (size_t)(next - start));
        number->scanned = true;
        return next + quoted;
    }
    if (!quoted) {
        return json_in_unexpected(in, p, expected);
    }
    p = json_quoted(in, start, &number->text);
    if (p) { /* it may be a number with escapes */
        const uint8_t *end = number->text.p + number->text.n;
        number->scanned = decimal_scan(number->text.p, end, &number->decimal) == end;
    }
    return p;
}

static const char *name_of(const struct json_field *field)
{
    static const char *const names[] = {[JSON_BOOL] = "true or false",
                                        [JSON_INT32] = "a 32-bit integer",
                                        [JSON_SINT32] = "a 32-bit integer",
                                        [JSON_UINT32] = "an unsigned 32-bit integer",
                                        [JSON_INT64] = "a 64-bit integer",
                                        [JSON_SINT64] = "a 64-bit integer",
                                        [JSON_UINT64] = "an unsigned 64-bit integer",
                                        [JSON_DOUBLE] = "a number",
                                        [JSON_STRING] = "a string",
                                        [JSON_HEX] = "an id in hex",
                                        [JSON_BASE64] = "base64 in quotes",
                                        [JSON_OBJECT] = "an object"};
    return field->values ? "the number or the name of an enum value" : names[field->form];
}

/* The integer as the wire has it; false where it is out of range. */
static bool integer_bits(enum json_form form, const struct decimal *d, uint64_t *bits)
{
    uint64_t most = form == JSON_UINT64                         ? UINT64_MAX
                    : form == JSON_UINT32                       ? UINT32_MAX
                    : form == JSON_INT64 || form == JSON_SINT64 ? INT64_MAX
                                                                : INT32_MAX;
    const bool is_signed = form != JSON_UINT64 && form != JSON_UINT32;
    uint64_t value;
    if (!decimal_whole(d, &value) || value > most + (is_signed && d->negative) ||
        (!is_signed && d->negative && value != 0)) {
        return false;
    }
    *bits = d->negative ? 0 - value : value;
    if (form == JSON_SINT32 || form == JSON_SINT64) { /* zigzag */
        *bits = *bits << 1 ^ (*bits >> 63 ? UINT64_MAX : 0);
    }
    return true;
}

static bool enum_named(const ProtobufCEnumDescriptor *values, sl_bytes name, uint64_t *bits)
{
    for (unsigned i = 0; i < values->n_values; i++) {
        if (sl_eq(sl_str(values->values[i].name), name)) {
            *bits = (uint64_t)(int64_t)values->values[i].value;
            return true;
        }
    }
    return false;
}

static const uint8_t *integer_read(struct json_in *in, const struct json_field *field,
                                   const uint8_t *p, uint64_t *bits)
{
    struct number number;
    p = number_read(in, p, name_of(field), &number);
    if (!p || (number.scanned && integer_bits(field->form, &number.decimal, bits)) ||
        (field->values && enum_named(field->values, number.text, bits))) {
        return p;
    }
    return json_in_unexpected(in, number.at, name_of(field));
}

static bool special_double(sl_bytes text, double *value)
{
    const bool infinite = sl_eq(text, sl_str("Infinity")),
               negative = sl_eq(text, sl_str("-Infinity"));
    *value = infinite ? __builtin_inf() : negative ? -__builtin_inf() : __builtin_nan("");
    return infinite || negative || sl_eq(text, sl_str("NaN"));
}

static const uint8_t *double_read(struct json_in *in, const struct json_field *field,
                                  const uint8_t *p, uint64_t *bits)
{
    struct number number;
    double value;
    p = number_read(in, p, name_of(field), &number);
    if (!p) {
        return NULL;
    }
    if (number.scanned) {
        if (!decimal_to_double(&in->schema->powers, &number.decimal, number.text.p, number.text.n,
                               &value)) {
            return json_in_fail(in, number.at, SL_ERR_INVALID,
                                "this number is too large, or has more than %d digits",
                                (int)DECIMAL_TEXT_MAX);
        }
    } else if (!special_double(number.text, &value)) {
        return json_in_unexpected(in, number.at, name_of(field));
    }
    memcpy(bits, &value, sizeof value);
    return p;
}

static const uint8_t *bool_read(struct json_in *in, const uint8_t *p, uint64_t *bits)
{
    const size_t left = (size_t)(in->end - p);
    if (left >= 4 && memcmp(p, "true", 4) == 0) {
        *bits = 1;
        return p + 4;
    }
    if (left >= 5 && memcmp(p, "false", 5) == 0) {
        *bits = 0;
        return p + 5;
    }
    return json_in_unexpected(in, p, "true or false");
}

static const uint8_t *bits_read(struct json_in *in, const struct json_field *field,
                                const uint8_t *p, uint64_t *bits)
{
    switch (field->form) {
    case JSON_BOOL:
        return bool_read(in, p, bits);
    case JSON_DOUBLE:
        return double_read(in, field, p, bits);
    default:
        return integer_read(in, field, p, bits);
    }
}

static uint8_t *bits_put(uint8_t *at, uint8_t wire, uint64_t bits)
{
    switch (wire) {
    case SL_VARINT:
        return sl_put_varint(at, bits);
    case SL_FIXED64:
        memcpy(at, &bits, 8);
        return at + 8;
    default: {
        const uint32_t low = (uint32_t)bits;
        memcpy(at, &low, 4);
        return at + 4;
    }
    }
}

/* ---- bytes ---- */

/* The value of each digit; above 63: none. */
static uint8_t base64_digit(uint8_t c)
{
    return c >= 'A' && c <= 'Z'   ? (uint8_t)(c - 'A')
           : c >= 'a' && c <= 'z' ? (uint8_t)(c - 'a' + 26)
           : c >= '0' && c <= '9' ? (uint8_t)(c - '0' + 52)
           : c == '+' || c == '-' ? 62
           : c == '/' || c == '_' ? 63
                                  : 0xff;
}

/* Decodes at[0..n) into the same place; false where it is no base64. Both alphabets, with or
 * without padding. */
static bool base64_decode(uint8_t *at, size_t n, size_t *size)
{
    uint8_t *to = at;
    uint32_t group = 0;
    for (size_t i = 0; i < 2 && n > 0 && at[n - 1] == '='; i++) {
        n--;
    }
    for (size_t i = 0; i < n; i++) {
        const uint8_t digit = base64_digit(at[i]);
        if (digit > 63) {
            return false;
        }
        group = group << 6 | digit;
        if (i % 4 != 0) {
            *to++ = (uint8_t)(group >> (6 - 2 * (i % 4)));
        }
    }
    *size = (size_t)(to - at);
    return n % 4 != 1;
}

/* One more than each digit's value; 0: none. */
static const uint8_t hex_digits[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16};

/* Decodes into the same place. */
static bool hex_decode(uint8_t *at, size_t n, size_t *size)
{
    uint32_t any = 0;
    for (size_t i = 0; i < n / 2; i++) {
        const uint32_t high = hex_digits[at[2 * i]] - 1u, low = hex_digits[at[2 * i + 1]] - 1u;
        any |= high | low;
        at[i] = (uint8_t)(high << 4 | low);
    }
    *size = n / 2;
    return any <= 15;
}

/* p is behind the quote. The text is put where the bytes will be, and decoded there. */
static const uint8_t *bytes_read(struct json_in *in, const struct json_field *field,
                                 const uint8_t *p)
{
    const uint8_t *start = p;
    const size_t used = in->used;
    p = json_text(in, p);
    if (!p || field->form == JSON_STRING) {
        return p;
    }
    uint8_t *at = in->at + used;
    const size_t n = in->used - used;
    size_t size = 0;
    if (field->form == JSON_BASE64) {
        if (!base64_decode(at, n, &size)) {
            return json_in_unexpected(in, start - 1, name_of(field));
        }
    } else if ((n != 0 && n != 2 * (size_t)field->id_size) || !hex_decode(at, n, &size)) {
        return json_in_fail(in, start - 1, SL_ERR_INVALID,
                            "an id of %d hex digits is expected, or an empty one",
                            2 * field->id_size);
    }
    in->used = used + size;
    return p;
}

static const uint8_t *bytes_value(struct json_in *in, const struct json_field *field, bool keep,
                                  const uint8_t *p)
{
    struct json_record record;
    if (p == in->end || *p != '"') {
        return json_in_unexpected(in, p, name_of(field));
    }
    if (!json_record_begin(in, field, &record)) {
        return NULL;
    }
    p = bytes_read(in, field, p + 1);
    if (!p) {
        return NULL;
    }
    if (in->used == record.start && !keep) {
        json_record_forget(in, field, &record);
        return p;
    }
    return json_record_end(in, field, &record) ? p : NULL;
}

const uint8_t *json_value(struct json_in *in, const struct json_field *field, bool keep,
                          const uint8_t *p)
{
    uint64_t bits = 0;
    if (field->wire == SL_BYTES) {
        return bytes_value(in, field, keep, p);
    }
    p = bits_read(in, field, p, &bits);
    if (!p || (bits == 0 && !keep)) {
        return p;
    }
    if (!json_in_reserve(in, JSON_TAG_MAX + NUMBER_MAX)) {
        return NULL;
    }
    uint8_t *at = in->at + in->used;
    at[0] = field->tag[0];
    at[1] = field->tag[1];
    at = bits_put(at + field->tag_size, field->wire, bits);
    in->used = (size_t)(at - in->at);
    return p;
}

static const uint8_t *element_read(struct json_in *in, const struct json_field *field,
                                   const uint8_t *p)
{
    uint64_t bits = 0;
    if (field->wire == SL_BYTES) {
        return bytes_value(in, field, true, p);
    }
    p = bits_read(in, field, p, &bits);
    if (!p || !json_in_reserve(in, NUMBER_MAX)) {
        return NULL;
    }
    in->used = (size_t)(bits_put(in->at + in->used, field->wire, bits) - in->at);
    return p;
}

/* p is behind the bracket. */
static const uint8_t *elements_read(struct json_in *in, const struct json_field *field,
                                    const uint8_t *p)
{
    p = json_space(p, in->end);
    if (p < in->end && *p == ']') {
        return p + 1;
    }
    for (;;) {
        p = element_read(in, field, p);
        if (!p) {
            return NULL;
        }
        p = json_space(p, in->end);
        if (p < in->end && *p == ']') {
            return p + 1;
        }
        if (p == in->end || *p != ',') {
            return json_in_unexpected(in, p, "a comma or ]");
        }
        p = json_space(p + 1, in->end);
    }
}

const uint8_t *json_values(struct json_in *in, const struct json_field *field, const uint8_t *p)
{
    struct json_record record;
    if (p == in->end || *p != '[') {
        return json_in_unexpected(in, p, "an array");
    }
    if (field->wire == SL_BYTES) { /* a record each */
        return elements_read(in, field, p + 1);
    }
    if (!json_record_begin(in, field, &record)) {
        return NULL;
    }
    p = elements_read(in, field, p + 1);
    if (!p) {
        return NULL;
    }
    if (in->used == record.start) {
        json_record_forget(in, field, &record);
        return p;
    }
    return json_record_end(in, field, &record) ? p : NULL;
}
