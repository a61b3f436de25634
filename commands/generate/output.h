/* Writes requests to files: one for each signal in a folder, or a single one. One thread. */
#ifndef SLUICE_GENERATE_OUTPUT_H
#define SLUICE_GENERATE_OUTPUT_H

#include "sluice/plugin.h"

enum output_format {
    OUTPUT_OTLP,   /* protobuf; each request after its length in 4 bytes, big-endian */
    OUTPUT_JSON,   /* OTLP JSON, one request a line */
    OUTPUT_NDJSON, /* what the sink gets are lines */
};

struct output;

/* `folder` is made if it does not exist; its files are traces, metrics and logs with the format's
 * ending. Or `file`, where "-" is standard output, for the one signal there is. Files that exist
 * are overwritten. */
enum sl_status output_create(const char *folder, const char *file, enum output_format format,
                             struct output **out, sl_error *error);
/* Writes what is buffered and closes the files; without `error`, gives up. */
enum sl_status output_finish(struct output *o, sl_error *error);
void output_destroy(struct output *o);

/* A batch_sink whose ctx is the output. */
enum sl_status output_request(void *ctx, enum sl_signal signal, sl_bytes request, uint32_t items);

uint64_t output_bytes(const struct output *o, enum sl_signal signal);
/* The path of a signal's file, or NULL if there was nothing to write. */
const char *output_path(const struct output *o, enum sl_signal signal);
/* What went wrong in output_request. */
const sl_error *output_error(const struct output *o);

#endif
