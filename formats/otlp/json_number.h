/* Numbers and truth values as JSON. Pure functions, any thread. */
#ifndef SLUICE_FORMATS_OTLP_JSON_NUMBER_H
#define SLUICE_FORMATS_OTLP_JSON_NUMBER_H
#include "formats/otlp/json_schema.h"

enum { JSON_NUMBER_TEXT_MAX = DECIMAL_MAX + 2 };

/* Writes what the wire's `bits` mean in one of the forms up to JSON_DOUBLE; returns the length, at
 * most JSON_NUMBER_TEXT_MAX. */
size_t json_number(const struct decimal_powers *powers, enum json_form form, uint64_t bits,
                   uint8_t *at);

#endif
