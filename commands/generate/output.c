/* The generator's files: framed OTLP protobuf, OTLP JSON lines, flat JSON lines. Runs on the thread
 * that generates. */
#include "commands/generate/output.h"

#include "formats/otlp/json_write.h"
#include "formats/otlp/proto/logs_service.pb-c.h"
#include "formats/otlp/proto/metrics_service.pb-c.h"
#include "formats/otlp/proto/trace_service.pb-c.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_BYTES ((size_t)1 << 20)
#define LINE_MAX_BYTES (UINT64_C(1) << 30)

enum { SIGNALS = 3 };

struct output_file {
    FILE *stream;
    char *path;
    uint64_t bytes;
    struct json_schema *schema;
};

struct output {
    enum output_format format;
    const char *folder;
    const char *file;
    struct output_file files[SIGNALS];
    struct json_out json;
    bool json_ready;
    sl_error error;
};

static const char *const names[SIGNALS] = {"traces", "metrics", "logs"};
static const char *const endings[] = {
    [OUTPUT_OTLP] = "otlp", [OUTPUT_JSON] = "json", [OUTPUT_NDJSON] = "ndjson"};

static unsigned signal_index(enum sl_signal signal)
{
    return signal == SL_TRACES ? 0 : signal == SL_METRICS ? 1 : 2;
}

static enum sl_status fail(struct output *o, enum sl_status status, const char *what,
                           const char *path)
{
    o->error.size = sizeof(o->error);
    o->error.code = status;
    (void)snprintf(o->error.text, sizeof(o->error.text), "cannot %s %.400s: %s", what, path,
                   status == SL_ERR_NOMEM ? "out of memory" : strerror(errno));
    return status;
}

enum sl_status output_create(const char *folder, const char *file, enum output_format format,
                             struct output **out, sl_error *error)
{
    struct output *o = calloc(1, sizeof(*o));
    if (!o) {
        error->code = SL_ERR_NOMEM;
        (void)snprintf(error->text, sizeof(error->text), "out of memory");
        return SL_ERR_NOMEM;
    }
    o->format = format;
    o->folder = folder;
    o->file = file;
    enum sl_status status = SL_OK;
    if (folder && mkdir(folder, 0777) != 0 && errno != EEXIST) {
        status = fail(o, SL_ERR_IO, "make the folder", folder);
    } else if (format == OUTPUT_JSON) {
        status = (enum sl_status)json_out_init(&o->json, LINE_MAX_BYTES, NULL, NULL);
        o->json_ready = status == SL_OK;
        if (status != SL_OK) {
            (void)fail(o, status, "write", folder ? folder : file);
        }
    }
    if (status != SL_OK) {
        *error = o->error;
        output_destroy(o);
        return status;
    }
    *out = o;
    return SL_OK;
}

static enum sl_status file_open(struct output *o, unsigned signal, struct output_file *f)
{
    static const ProtobufCMessageDescriptor *const messages[SIGNALS] = {
        &opentelemetry__proto__collector__trace__v1__export_trace_service_request__descriptor,
        &opentelemetry__proto__collector__metrics__v1__export_metrics_service_request__descriptor,
        &opentelemetry__proto__collector__logs__v1__export_logs_service_request__descriptor};
    char path[4096];
    int n = o->file ? snprintf(path, sizeof(path), "%s", o->file)
                    : snprintf(path, sizeof(path), "%s/%s.%s", o->folder, names[signal],
                               endings[o->format]);
    if (n < 0 || (size_t)n >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return fail(o, SL_ERR_IO, "open", o->file ? o->file : o->folder);
    }
    for (int i = 0; i < SIGNALS; i++) {
        if (o->file && o->files[i].stream) {
            errno = EINVAL;
            return fail(o, SL_ERR_INVALID, "write more than one signal to", path);
        }
    }
    bool standard = o->file && strcmp(o->file, "-") == 0;
    /* Not truncated but replaced: it may be what is being replayed. */
    struct stat st;
    if (!standard && stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
        (void)unlink(path);
    }
    f->path = strdup(path);
    f->stream = standard ? stdout : fopen(path, "we");
    if (!f->path || !f->stream) {
        return fail(o, f->path ? SL_ERR_IO : SL_ERR_NOMEM, "open", path);
    }
    (void)setvbuf(f->stream, NULL, _IOFBF, BUFFER_BYTES);
    if (o->format == OUTPUT_JSON && json_schema_create(messages[signal], &f->schema) != SL_OK) {
        return fail(o, SL_ERR_NOMEM, "write", path);
    }
    return SL_OK;
}

static enum sl_status file_write(struct output *o, struct output_file *f, sl_bytes bytes)
{
    f->bytes += bytes.n;
    if (bytes.n && fwrite(bytes.p, 1, bytes.n, f->stream) != bytes.n) {
        return fail(o, SL_ERR_IO, "write", f->path);
    }
    return SL_OK;
}

static enum sl_status json_line(struct output *o, struct output_file *f, sl_bytes request)
{
    sl_error error = {.size = sizeof(error)};
    o->json.used = 0;
    int32_t status = json_write(f->schema, &request, 1, &o->json, &error);
    if (status != SL_OK) {
        o->error = error;
        return (enum sl_status)status;
    }
    enum sl_status written = file_write(o, f, sl_slice(o->json.at, o->json.used));
    return written == SL_OK ? file_write(o, f, sl_str("\n")) : written;
}

enum sl_status output_request(void *ctx, enum sl_signal signal, sl_bytes request, uint32_t items)
{
    struct output *o = ctx;
    (void)items;
    struct output_file *f = &o->files[signal_index(signal)];
    if (!f->stream) {
        enum sl_status status = file_open(o, signal_index(signal), f);
        if (status != SL_OK) {
            return status;
        }
    }
    if (o->format == OUTPUT_JSON) {
        return json_line(o, f, request);
    }
    if (o->format == OUTPUT_OTLP) {
        if (request.n > UINT32_MAX) {
            errno = EFBIG;
            return fail(o, SL_ERR_TOO_LARGE, "frame a request in", f->path);
        }
        const uint8_t length[4] = {(uint8_t)(request.n >> 24), (uint8_t)(request.n >> 16),
                                   (uint8_t)(request.n >> 8), (uint8_t)request.n};
        enum sl_status status = file_write(o, f, sl_slice(length, sizeof(length)));
        if (status != SL_OK) {
            return status;
        }
    }
    return file_write(o, f, request);
}

enum sl_status output_finish(struct output *o, sl_error *error)
{
    enum sl_status status = SL_OK;
    for (int i = 0; i < SIGNALS; i++) {
        struct output_file *f = &o->files[i];
        if (!f->stream) {
            continue;
        }
        int failed = f->stream == stdout ? fflush(f->stream) : fclose(f->stream);
        f->stream = NULL;
        if (failed && status == SL_OK) {
            status = fail(o, SL_ERR_IO, "write", f->path);
            if (error) {
                *error = o->error;
            }
        }
    }
    return status;
}

void output_destroy(struct output *o)
{
    if (!o) {
        return;
    }
    (void)output_finish(o, NULL);
    for (int i = 0; i < SIGNALS; i++) {
        json_schema_destroy(o->files[i].schema);
        free(o->files[i].path);
    }
    if (o->json_ready) {
        json_out_deinit(&o->json);
    }
    free(o);
}

uint64_t output_bytes(const struct output *o, enum sl_signal signal)
{
    return o->files[signal_index(signal)].bytes;
}

const char *output_path(const struct output *o, enum sl_signal signal)
{
    return o->files[signal_index(signal)].path;
}

const sl_error *output_error(const struct output *o)
{
    return &o->error;
}
