/* Numbers and truth values as JSON. Any thread. */
#include "formats/otlp/json_number.h"

#include <string.h>

static int64_t unzigzag(uint64_t bits)
{
    return (int64_t)(bits >> 1 ^ (0 - (bits & 1)));
}

static size_t literal(uint8_t *at, const char *text)
{
    size_t n = strlen(text);
    memcpy(at, text, n);
    return n;
}

static size_t double_copy(const struct decimal_powers *powers, uint64_t bits, uint8_t *at)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    if (value - value == 0) {
        return decimal_double(powers, value, at);
    }
    return literal(at, value != value ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
}

size_t json_number(const struct decimal_powers *powers, enum json_form form, uint64_t bits,
                   uint8_t *at)
{
    size_t n;
    switch (form) {
    case JSON_BOOL:
        return literal(at, bits ? "true" : "false");
    case JSON_INT32:
        return decimal_i64((int32_t)(uint32_t)bits, at);
    case JSON_SINT32:
        return decimal_i64((int32_t)unzigzag((uint32_t)bits), at);
    case JSON_UINT32:
        return decimal_u64((uint32_t)bits, at);
    case JSON_DOUBLE:
        return double_copy(powers, bits, at);
    case JSON_INT64:
        n = decimal_i64((int64_t)bits, at + 1);
        break;
    case JSON_SINT64:
        n = decimal_i64(unzigzag(bits), at + 1);
        break;
    default:
        n = decimal_u64(bits, at + 1);
        break;
    }
    at[0] = at[n + 1] = '"';
    return n + 2;
}
