/* Text for people, written piece by piece into a small buffer that is handed on when it is full.
 * What comes from the data is shown so that it can neither forge a line nor steer a terminal. Used
 * by one thread at a time. */
#ifndef SLUICE_EXPORTERS_DEBUG_TEXT_H
#define SLUICE_EXPORTERS_DEBUG_TEXT_H
#include "formats/otlp/decimal.h"
#include "formats/otlp/json_out.h"
#include "sluice/otlp.h"

struct text {
    struct json_out out;
    const struct decimal_powers *powers;
};

/* Of the format's result, what goes beyond 500 bytes is left out: for numbers and fixed texts. */
void text_format(struct text *, const char *format, ...) SL_PRINTF_(2, 3);
void text_safe(struct text *, sl_bytes);                   /* control characters escaped */
void text_hex(struct text *, const uint8_t *id, size_t n); /* nothing for zeros */
void text_time(struct text *, uint64_t ns);                /* as Go prints it, UTC */
void text_double(struct text *, double); /* shortest text that reads back as the same */
/* As the collector shows values: "text", and with the type around it, "Str(text)". */
void text_value(struct text *, const sl_value *);
void text_typed_value(struct text *, const sl_value *);

/* normal.c and detailed*.c: everything in the view. */
void normal_write(struct text *, const sl_view *);
void detailed_write(struct text *, const sl_view *);
void detailed_write_metrics(struct text *, const sl_view *);

/* Shared by the two detailed ones: lines with a header, and the head of a resource or scope. */
void detailed_attributes(struct text *, const char *indent, const char *header, sl_attrs);
void detailed_resource(struct text *, const char *what, uint32_t number, const sl_resource *);
void detailed_scope(struct text *, const char *what, uint32_t number, const sl_scope *);

#endif
