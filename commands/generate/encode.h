/* Writes the generator's spans, log records and metrics as bodies of OTLP protobuf messages, or as
 * lines of flat JSON. Any thread that owns the writer. */
#ifndef SLUICE_GENERATE_ENCODE_H
#define SLUICE_GENERATE_ENCODE_H

#include "commands/generate/model.h"
#include "formats/otlp/decimal.h"
#include "sluice/otlp.h"

/* A growing writer's memory, up to ENCODE_MAX bytes. */
#define ENCODE_MAX ((size_t)256 << 20)

sl_writer encode_writer(void);
void encode_writer_deinit(sl_writer *w);

/* A span shorter than `least` bytes gets an attribute app.baggage that makes up for it, as far as
 * `baggage` goes. */
void encode_span(sl_writer *w, const struct trace *t, uint32_t index, size_t least,
                 sl_bytes baggage);
void encode_log(sl_writer *w, const struct log_record *l);
void encode_metric(sl_writer *w, const struct metric *m);
void encode_resource(sl_writer *w, const struct resource *r);
void encode_scope(sl_writer *w, const struct scope *s);

/* The same as lines that end with a newline; a metric gives a line for each point. */
struct ndjson {
    struct decimal_powers powers; /* decimal_powers_init fills it */
};

void ndjson_span(const struct ndjson *j, sl_writer *w, const struct trace *t, uint32_t index,
                 const struct resource *r);
void ndjson_log(const struct ndjson *j, sl_writer *w, const struct log_record *l,
                const struct resource *r);
void ndjson_metric(const struct ndjson *j, sl_writer *w, const struct metric *m,
                   const struct resource *r);

#endif
