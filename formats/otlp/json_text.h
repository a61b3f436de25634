/* Text and bytes as JSON strings, written in pieces so that the sink needs little room. Any thread.
 */
#ifndef SLUICE_FORMATS_OTLP_JSON_TEXT_H
#define SLUICE_FORMATS_OTLP_JSON_TEXT_H
#include "formats/otlp/json_out.h"

/* Quoted and escaped; a byte that is not part of valid UTF-8 becomes U+FFFD. */
void json_text_string(struct json_out *out, const uint8_t *p, size_t n);
void json_text_hex(struct json_out *out, const uint8_t *p, size_t n);
void json_text_base64(struct json_out *out, const uint8_t *p, size_t n);

#endif
