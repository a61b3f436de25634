/* A value as it stands in a config, as an OTLP attribute value: texts in quotes are texts, plain
 * scalars have the type that YAML gives them. Control thread. */
#ifndef SLUICE_FORMATS_RAW_VALUE_H
#define SLUICE_FORMATS_RAW_VALUE_H
#include "formats/otlp/parts.h"

/* Is a value there? `key:` alone, `~` and `null` are none. */
bool raw_has_value(const sl_raw *raw);

/* An AnyValue message in the scratch. SL_ERR_INVALID where it nests too deep, SL_ERR_NOMEM. */
int32_t raw_value(const sl_raw *raw, struct otlp_scratch *scratch, sl_bytes *any, sl_error *error);

#endif
