/* What `sluice query` is asked for, and the traces that it finds. One thread. */
#ifndef SLUICE_STORAGE_QUERY_H
#define SLUICE_STORAGE_QUERY_H
#include "commands/storage/commands.h"
#include "formats/otlp/json_out.h"
#include "formats/otlp/value_text.h"
#include "formats/trace/span_set.h"

enum query_output { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_JAEGER, OUTPUT_WATERFALL };

enum { QUERY_ATTRIBUTES = 16 };

struct query_options {
    struct trace_query query;
    struct {
        sl_bytes key, value;
    } attributes[QUERY_ATTRIBUTES]; /* of the one span that matches */
    uint32_t n_attributes;
    uint32_t limit; /* traces */
    enum query_output output;
    const char *const *paths; /* files, or folders of .sluice files */
    uint32_t n_paths;
};

/* STORAGE_OK, or what the process is to end with, after a message. Moves the paths to the front of argv. */
int query_options_read(int argc, char **argv, struct query_options *options);

/* The attribute service.name of the span's resource. */
sl_bytes span_service(const struct span_set *set, const struct set_span *span);

/* What values become texts with. Zero it; otlp_scratch_free its scratch. */
struct value_texts {
    struct decimal_powers powers;
    struct otlp_scratch scratch;
};

/* Has a span of the trace all that is asked for? */
bool trace_matches(const struct query_options *options, struct value_texts *texts,
                   const struct span_set *set, const struct set_trace *trace);

/* ---- what is printed of a trace ---- */

struct trace_facts {
    uint64_t start, end;
    uint32_t services, errors, depth, width;
    uint32_t *depths;  /* of each span of the trace */
    uint8_t *critical; /* is it on the critical path? */
};

/* False: no memory. Free with trace_facts_free. */
bool trace_facts_make(struct trace_facts *facts, const struct span_set *set,
                      const struct set_trace *trace);
void trace_facts_free(struct trace_facts *facts);

void print_table_head(void);
void print_table_line(const struct span_set *set, const struct set_trace *trace,
                      const struct trace_facts *facts);
void print_waterfall(const struct span_set *set, const struct set_trace *trace,
                     const struct trace_facts *facts);

/* The trace as Jaeger's JSON has it: an object of the list `data`. */
void jaeger_trace(struct json_out *out, struct value_texts *texts, const struct span_set *set,
                  const struct set_trace *trace);

/* The trace as an export request, appended. */
void trace_request(const struct span_set *set, const struct set_trace *trace, sl_writer *to);

#endif
