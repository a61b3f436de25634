/* OTLP's protobuf wire bytes as OTLP's JSON, in one pass and without an object tree. The text is
 * that of the OpenTelemetry Collector but for the order of keys, which is that of field numbers:
 * ids in hex, other bytes in base64, 64-bit integers in quotes, enums as numbers, zero scalars and
 * empty arrays left out, and objects that are neither in a oneof nor repeated always written
 * (`"resource":{}`, `"status":{}`). Nothing is shared but the schema, so any thread may write. */
#ifndef SLUICE_FORMATS_OTLP_JSON_WRITE_H
#define SLUICE_FORMATS_OTLP_JSON_WRITE_H
#include "formats/otlp/json_out.h"
#include "formats/otlp/json_schema.h"
#include <sluice/plugin.h>

/* Messages inside each other, the root among them. The protobuf libraries stop at 100. */
enum { JSON_DEPTH_MAX = 128 };

/* Copies of messages whose parts were apart on the wire; above it SL_ERR_TOO_LARGE. */
#define JSON_MERGED_MAX (UINT64_C(64) << 20)

/* Writes one message of the schema's root type, which is what the segments say one after another;
 * they are cut between records. Adds no newline.
 *
 * As protobuf has it: fields that the schema does not know and those of another wire type are left
 * out, of a scalar or a oneof the last one counts, parts of one message are merged, numbers may be
 * packed or not. Text that is not UTF-8 gets U+FFFD for each wrong byte.
 *
 * SL_OK, or SL_ERR_INVALID (malformed or too deep), SL_ERR_TOO_LARGE (the sink's limit,
 * JSON_MERGED_MAX), SL_ERR_NOMEM, or what the sink's flush function answered. After a failure the
 * sink holds what it held before, but for what it has flushed; with a flush function a failure of
 * the sink is for good. `error` may be NULL. */
int32_t json_write(const struct json_schema *schema, const sl_bytes *segments, size_t count,
                   struct json_out *out, sl_error *error);

#endif
