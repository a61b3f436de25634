/* Attribute values as text, as the Collector shows them where a text is asked for: texts as they
 * are, numbers in decimal, bytes in base64, lists and maps as JSON with the keys in their order on
 * the wire. Pure functions, any thread. */
#ifndef SLUICE_FORMATS_OTLP_VALUE_TEXT_H
#define SLUICE_FORMATS_OTLP_VALUE_TEXT_H
#include "formats/otlp/decimal.h"
#include "formats/otlp/parts.h"

/* The value's text, in place where it is a text and else in the scratch; .p is NULL without memory.
 * An empty value has an empty text. */
sl_bytes otlp_value_text(const struct decimal_powers *powers, const sl_value *value,
                         struct otlp_scratch *scratch);

/* Decimal texts as Go reads them: all of the text, with a sign, without white space. False: it is
 * no such number, or out of range. */
bool otlp_text_int(sl_bytes text, int64_t *value);
bool otlp_text_double(sl_bytes text, double *value);

#endif
