/* The reader's two ends: the JSON text and the protobuf bytes made of it, with the first failure.
 * What reads takes the place it is at and returns the place behind, or NULL once it has failed. Used
 * by one thread at a time. */
#ifndef SLUICE_FORMATS_OTLP_JSON_IN_H
#define SLUICE_FORMATS_OTLP_JSON_IN_H
#include "formats/byte_target.h"
#include "formats/otlp/json_schema.h"
#include <sluice/otlp.h>

enum {
    JSON_IN_RESERVE_MAX = 64, /* bytes that one reservation may ask for */
    JSON_SKIP_DEPTH_MAX = 256 /* arrays and objects inside each other, in what is not known */
};

struct json_in {
    const uint8_t *text, *end;
    const struct json_schema *schema;
    const struct byte_target *target;
    uint8_t *at; /* the target's memory */
    size_t used, capacity;
    size_t limit;
    uint8_t *width; /* one a field of the schema: the length's bytes of its last record */
    int32_t status; /* enum sl_status; the first failure */
    const uint8_t *bad;
    char why[200];
};

/* Notes the failure and where in the text it is; returns NULL. */
const uint8_t *json_in_fail(struct json_in *in, const uint8_t *bad, int32_t status,
                            const char *format, ...) __attribute__((format(printf, 4, 5)));
/* A failure of the text, which the place itself says more about. */
const uint8_t *json_in_unexpected(struct json_in *in, const uint8_t *p, const char *expected);

bool json_in_grow(struct json_in *in, size_t n);

/* Room for n <= JSON_IN_RESERVE_MAX bytes behind those that are used. */
static inline bool json_in_reserve(struct json_in *in, size_t n)
{
    return in->capacity - in->used >= n || json_in_grow(in, n);
}

static inline const uint8_t *json_space(const uint8_t *p, const uint8_t *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) {
        p++;
    }
    return p;
}

/* ---- records: a tag, a length, and what is in it ---- */

/* The length's room is what the field's last record needed, so that it is right nearly always: no
 * second pass, and nothing is kept for a message but this. */
struct json_record {
    size_t start; /* of the content, from the output's beginning */
    uint8_t width;
};

bool json_record_begin(struct json_in *in, const struct json_field *field,
                       struct json_record *record);
bool json_record_end(struct json_in *in, const struct json_field *field,
                     const struct json_record *record);
/* As if it had not been begun. */
static inline void json_record_forget(struct json_in *in, const struct json_field *field,
                                      const struct json_record *record)
{
    in->used = record->start - record->width - field->tag_size;
}

/* ---- text, in json_scan.c ---- */

/* p is behind the opening quote; the text is appended to the output, without escapes. A surrogate
 * without its other half becomes U+FFFD, as everywhere where JSON from JavaScript is read. */
const uint8_t *json_text(struct json_in *in, const uint8_t *p);
/* The same into a slice, which lies in the input or, until more is written, behind the output. */
const uint8_t *json_quoted(struct json_in *in, const uint8_t *p, sl_bytes *text);
/* Any value; checked, but forgotten. */
const uint8_t *json_skip(struct json_in *in, const uint8_t *p);
/* p is at an 'n'. */
const uint8_t *json_null(struct json_in *in, const uint8_t *p);

/* ---- values, in json_value.c ---- */

/* Every form but JSON_OBJECT; `keep`: a zero or an empty text is written, too. */
const uint8_t *json_value(struct json_in *in, const struct json_field *field, bool keep,
                          const uint8_t *p);
/* An array of them. */
const uint8_t *json_values(struct json_in *in, const struct json_field *field, const uint8_t *p);

#endif
