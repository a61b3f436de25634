/* Files of traces: reading export requests from them, whatever they are, and writing requests to
 * them. What a file is, its name's end tells: .sluice blocks; .otlp requests in protobuf, each after
 * its length in 4 bytes, big-endian; .json OTLP JSON, a request a line. One thread. */
#ifndef SLUICE_STORAGE_TRACE_FILES_H
#define SLUICE_STORAGE_TRACE_FILES_H
#include "formats/trace/block_file.h"

enum file_format { FORMAT_SLUICE, FORMAT_OTLP, FORMAT_JSON, FORMATS };

/* The format of this name ("sluice", "otlp", "json"), or by the path's end; FORMATS: of none. */
enum file_format format_named(const char *name);
enum file_format format_of_path(const char *path);

/* ---- mapped files ---- */

struct mapped {
    sl_bytes bytes;
    const char *path;
};

/* SL_ERR_IO, with the path. */
int32_t mapped_open(struct mapped *file, const char *path, sl_error *error);
void mapped_close(struct mapped *file);

/* ---- reading ---- */

/* Called with each request, which is valid during the call, and how many bytes of the file have
 * been read. Another status than SL_OK ends the reading. */
typedef int32_t request_sink(void *ctx, sl_bytes request, uint64_t read, sl_error *error);

enum { REQUEST_SPANS = 1000 /* blocks are read as requests of so many spans */ };

/* Reads all requests of a file; each has passed the check. A file of blocks that ends within one is
 * read up to there; other files must be whole. */
int32_t requests_read(const struct mapped *file, enum file_format format, request_sink *sink,
                      void *ctx, sl_error *error);

/* The most memory that a block of this head is given to be decoded. */
uint64_t decode_limit(const struct trace_block_info *info);

/* ---- writing ---- */

struct request_writer;

struct writer_options {
    enum file_format format;
    struct trace_options trace;
    uint64_t block_bytes; /* of OTLP in one block */
};

/* Makes the file under a name of its own, which finish exchanges for the right one: a file that was
 * there before is replaced as a whole, or not at all. `path` "-": standard output. */
int32_t request_writer_open(struct request_writer **writer, const char *path,
                            const struct writer_options *options, sl_error *error);

/* Adds a checked request. */
int32_t request_writer_add(struct request_writer *writer, sl_bytes request, sl_error *error);

struct written {
    uint64_t bytes; /* of the file */
    uint64_t otlp_bytes;
    uint64_t spans;
};

int32_t request_writer_finish(struct request_writer *writer, struct written *written,
                              sl_error *error);

/* Closes; without a finish before, what was written is removed. */
void request_writer_close(struct request_writer *writer);

#endif
