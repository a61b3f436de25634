/* Writing files of traces. */
#include "commands/storage/trace_files.h"
#include "formats/otlp/json_write.h"
#include "formats/otlp/proto/trace_service.pb-c.h"
#include "formats/trace/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { BUFFER = 1 << 20 };

struct request_writer {
    struct writer_options options;
    FILE *file;
    char *path, *temporary; /* temporary NULL: standard output */
    struct written written;
    /* FORMAT_SLUICE: requests for the next block */
    sl_writer requests, block;
    struct block_footer footer;
    /* FORMAT_JSON */
    struct json_schema *schema;
    struct json_out json;
};

static int32_t put(struct request_writer *w, sl_bytes bytes, sl_error *error)
{
    if (bytes.n > 0 && fwrite(bytes.p, 1, bytes.n, w->file) != bytes.n) {
        return sl_fail(error, SL_ERR_IO, "%s: %s", w->path, strerror(errno));
    }
    w->written.bytes += bytes.n;
    return SL_OK;
}

int32_t request_writer_open(struct request_writer **writer, const char *path,
                            const struct writer_options *options, sl_error *error)
{
    const bool standard = strcmp(path, "-") == 0;
    struct request_writer *w = *writer = calloc(1, sizeof *w);
    if (!w) {
        return sl_fail(error, SL_ERR_NOMEM, "no memory to write %s", path);
    }
    w->options = *options;
    w->requests = w->block = w->footer.heads = heap_writer();
    const size_t n = strlen(path) + 32;
    w->path = strdup(standard ? "standard output" : path);
    w->temporary = standard ? NULL : malloc(n);
    if (!w->path || (!standard && !w->temporary)) {
        return sl_fail(error, SL_ERR_NOMEM, "no memory to write %s", path);
    }
    if (!standard) {
        (void)snprintf(w->temporary, n, "%s.%ld.part", path, (long)getpid());
    }
    w->file = standard ? stdout : fopen(w->temporary, "wbe");
    if (!w->file) {
        const int why = errno;
        free(w->temporary);
        w->temporary = NULL;
        return sl_fail(error, SL_ERR_IO, "%s: %s", path, strerror(why));
    }
    (void)setvbuf(w->file, NULL, _IOFBF, BUFFER);
    if (options->format == FORMAT_JSON &&
        (json_schema_create(
             &opentelemetry__proto__collector__trace__v1__export_trace_service_request__descriptor,
             &w->schema) != SL_OK ||
         json_out_init(&w->json, UINT64_MAX, NULL, NULL) != SL_OK)) {
        return sl_fail(error, SL_ERR_NOMEM, "no memory to write JSON");
    }
    return SL_OK;
}

static int32_t write_block(struct request_writer *w, sl_error *error)
{
    const sl_bytes requests = sl_written(&w->requests);
    struct trace_block_info info;
    if (requests.n == 0) {
        return SL_OK;
    }
    w->block.used = 0;
    int32_t status = trace_block_encode(&w->options.trace, &requests, 1, &w->block, error);
    status = status == SL_OK ? trace_block_info(sl_written(&w->block), &info, error) : status;
    if (status != SL_OK) {
        return status;
    }
    w->written.spans += info.n_spans;
    w->requests.used = 0;
    return block_footer_add(&w->footer, sl_written(&w->block))
               ? put(w, sl_written(&w->block), error)
               : sl_fail(error, SL_ERR_NOMEM, "no memory for the index of %s", w->path);
}

static int32_t write_json(struct request_writer *w, sl_bytes request, sl_error *error)
{
    w->json.used = 0;
    int32_t status = json_write(w->schema, &request, 1, &w->json, error);
    status = status == SL_OK ? put(w, sl_slice(w->json.at, w->json.used), error) : status;
    return status == SL_OK ? put(w, sl_str("\n"), error) : status;
}

int32_t request_writer_add(struct request_writer *w, sl_bytes request, sl_error *error)
{
    w->written.otlp_bytes += request.n;
    if (w->options.format == FORMAT_JSON) {
        return write_json(w, request, error);
    }
    if (w->options.format == FORMAT_OTLP) {
        const uint32_t length = __builtin_bswap32((uint32_t)request.n);
        const int32_t status = put(w, sl_slice(&length, sizeof length), error);
        return status == SL_OK ? put(w, request, error) : status;
    }
    if (w->requests.used > 0 && w->requests.used + request.n > w->options.block_bytes) {
        const int32_t status = write_block(w, error);
        if (status != SL_OK) {
            return status;
        }
    }
    sl_write_raw(&w->requests, request);
    return w->requests.failed ? sl_fail(error, SL_ERR_NOMEM, "no memory for a block of %s", w->path)
                              : SL_OK;
}

int32_t request_writer_finish(struct request_writer *w, struct written *written, sl_error *error)
{
    int32_t status = SL_OK;
    if (w->options.format == FORMAT_SLUICE) {
        status = write_block(w, error);
        w->block.used = 0;
        block_footer_write(&w->footer, &w->block);
        status = status != SL_OK   ? status
                 : w->block.failed ? sl_fail(error, SL_ERR_NOMEM, "no memory for the index")
                                   : put(w, sl_written(&w->block), error);
    }
    if (status == SL_OK && fflush(w->file) != 0) {
        status = sl_fail(error, SL_ERR_IO, "%s: %s", w->path, strerror(errno));
    }
    if (status == SL_OK && w->temporary) {
        if (fsync(fileno(w->file)) != 0 || rename(w->temporary, w->path) != 0) {
            status = sl_fail(error, SL_ERR_IO, "%s: %s", w->path, strerror(errno));
        } else {
            free(w->temporary);
            w->temporary = NULL;
        }
    }
    *written = w->written;
    return status;
}

void request_writer_close(struct request_writer *w)
{
    if (!w) {
        return;
    }
    if (w->file && w->file != stdout) {
        (void)fclose(w->file);
    }
    if (w->temporary) {
        (void)unlink(w->temporary);
    }
    if (w->options.format == FORMAT_JSON) {
        json_out_deinit(&w->json);
        json_schema_destroy(w->schema);
    }
    free(w->requests.at);
    free(w->block.at);
    free(w->footer.heads.at);
    free(w->path);
    free(w->temporary);
    free(w);
}
