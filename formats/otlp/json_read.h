/* OTLP's JSON as OTLP's protobuf wire bytes, in one pass and without an object tree.
 *
 * Read is proto3's JSON as OTLP specialises it: ids in hex, other bytes in base64 (either alphabet,
 * padded or not), integers as numbers or in quotes, enums as numbers or by name, "NaN" and
 * "Infinity", keys in lowerCamelCase or snake_case, null for what is absent, unknown keys skipped. A
 * key that comes twice counts as a field that is twice on the wire: the last scalar counts, arrays
 * are joined, messages merged. A surrogate without its other half becomes U+FFFD.
 *
 * Zeros and empty texts are left out where protobuf has no presence for them, so what comes out is
 * what encoders write, but for the order of fields, which is that of the keys. */
#ifndef SLUICE_FORMATS_OTLP_JSON_READ_H
#define SLUICE_FORMATS_OTLP_JSON_READ_H
#include "formats/byte_target.h"
#include "formats/otlp/json_schema.h"
#include <sluice/plugin.h>

/* Messages inside each other, the root among them: enough for SL_VALUE_DEPTH_MAX maps in maps. */
enum { JSON_READ_DEPTH_MAX = 256 };

struct json_reader;

/* Keeps about 16 KiB, and what it learnt about the order of keys and the sizes of messages, from one
 * text to the next; one thread at a time. The schema outlives it. NULL: no memory. */
struct json_reader *json_reader_create(const struct json_schema *schema);
void json_reader_destroy(struct json_reader *reader);

/* Reads one message of the schema's root type; nothing but white space may follow it. The target's
 * memory then holds `size` bytes. They are at most `limit` and are rarely more than the text has
 * (arrays of zeros are): the first `grow` asks for half of it, and none for more than `limit` + 64.
 *
 * SL_OK, or SL_ERR_INVALID with path, line and column (counted in bytes); SL_ERR_TOO_LARGE; or what
 * `grow` said. `error` may be NULL. */
int32_t json_read(struct json_reader *reader, sl_bytes text, const struct byte_target *target,
                  size_t limit, size_t *size, sl_error *error);

#endif
