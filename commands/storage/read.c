/* Reading files of traces. */
#include "commands/storage/trace_files.h"
#include "formats/otlp/check.h"
#include "formats/otlp/json_read.h"
#include "formats/otlp/proto/trace_service.pb-c.h"
#include "formats/otlp/view.h"
#include "formats/trace/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const names[FORMATS] = {"sluice", "otlp", "json"};

enum file_format format_named(const char *name)
{
    uint32_t i = 0;
    while (i < FORMATS && strcmp(names[i], name) != 0) {
        i++;
    }
    return (enum file_format)i;
}

enum file_format format_of_path(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot && !strchr(dot, '/') ? format_named(dot + 1) : FORMATS;
}

int32_t mapped_open(struct mapped *file, const char *path, sl_error *error)
{
    struct stat status;
    *file = (struct mapped){.path = path};
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0) {
        const int why = errno;
        if (fd >= 0) {
            close(fd);
        }
        return sl_fail(error, SL_ERR_IO, "%s: %s", path, strerror(why));
    }
    void *at = status.st_size > 0
                   ? mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0)
                   : NULL;
    const int why = errno;
    close(fd);
    if (at == MAP_FAILED) {
        return sl_fail(error, SL_ERR_IO, "%s: %s", path, strerror(why));
    }
    file->bytes = sl_slice(at, (size_t)status.st_size);
    return SL_OK;
}

void mapped_close(struct mapped *file)
{
    if (file->bytes.n > 0) {
        munmap((void *)(uintptr_t)file->bytes.p, file->bytes.n);
    }
    *file = (struct mapped){0};
}

/* Says where in which file a failure was. */
static int32_t failed_at(sl_error *error, int32_t status, const struct mapped *file, uint64_t at,
                         const sl_error *why)
{
    return sl_fail(error, status, "%s: at byte %" PRIu64 ": %s", file->path, at, why->text);
}

static int32_t check_and_sink(const struct mapped *file, sl_bytes request, uint64_t at,
                              uint64_t read, request_sink *sink, void *ctx, sl_error *error)
{
    sl_error why = {.size = sizeof why};
    struct otlp_checked checked;
    const int32_t status = otlp_check(SL_TRACES, request.p, request.n, NULL, &checked, &why);
    return status == SL_OK ? sink(ctx, request, read, error)
                           : failed_at(error, status, file, at, &why);
}

/* ---- .otlp ---- */

static int32_t read_otlp(const struct mapped *file, request_sink *sink, void *ctx, sl_error *error)
{
    const sl_bytes all = file->bytes;
    for (size_t at = 0; at < all.n;) {
        const uint32_t n =
            all.n - at >= 4 ? __builtin_bswap32(sl_get_fixed32(all.p + at)) : UINT32_MAX;
        if (all.n - at < 4 || n > all.n - at - 4) {
            return sl_fail(error, SL_ERR_INVALID, "%s: the request at byte %zu is cut off",
                           file->path, at);
        }
        const int32_t status =
            check_and_sink(file, sl_slice(all.p + at + 4, n), at, at + 4 + n, sink, ctx, error);
        if (status != SL_OK) {
            return status;
        }
        at += 4 + (size_t)n;
    }
    return SL_OK;
}

/* ---- .json ---- */

static int32_t grow_target(void *ctx, size_t capacity, uint8_t **at, size_t *got)
{
    sl_writer *w = ctx;
    if (capacity > w->room && !sl_writer_room(w, capacity)) {
        return SL_ERR_NOMEM;
    }
    *at = w->at;
    *got = w->room;
    return SL_OK;
}

static int32_t read_json(const struct mapped *file, request_sink *sink, void *ctx, sl_error *error)
{
    struct json_schema *schema = NULL;
    sl_writer request = heap_writer();
    const struct byte_target target = {&request, grow_target};
    int32_t status = json_schema_create(
        &opentelemetry__proto__collector__trace__v1__export_trace_service_request__descriptor,
        &schema);
    struct json_reader *reader = status == SL_OK ? json_reader_create(schema) : NULL;
    if (!reader) {
        status = sl_fail(error, SL_ERR_NOMEM, "no memory to read JSON");
    }
    const uint8_t *p = file->bytes.p, *const end = p + file->bytes.n;
    while (status == SL_OK && p < end) {
        const uint8_t *newline = memchr(p, '\n', (size_t)(end - p));
        const sl_bytes line = sl_slice(p, (size_t)((newline ? newline : end) - p));
        const uint64_t at = (uint64_t)(p - file->bytes.p);
        p = newline ? newline + 1 : end;
        if (line.n == 0) {
            continue;
        }
        sl_error why = {.size = sizeof why};
        size_t n = 0;
        request.used = 0;
        status = json_read(reader, line, &target, UINT32_MAX, &n, &why);
        status = status == SL_OK ? check_and_sink(file, sl_slice(request.at, n), at,
                                                  (uint64_t)(p - file->bytes.p), sink, ctx, error)
                                 : failed_at(error, status, file, at, &why);
    }
    json_reader_destroy(reader);
    json_schema_destroy(schema);
    free(request.at);
    return status;
}

/* ---- .sluice ---- */

uint64_t decode_limit(const struct trace_block_info *info)
{
    const uint64_t most = (uint64_t)16 << 30, least = (uint64_t)256 << 20;
    return info->otlp_bytes > most / 8 ? most : info->otlp_bytes * 8 + least;
}

/* A view of spans, and what requests are cut from it. */
struct cutter {
    void *memory;
    sl_view view;
    sl_writer request;
    sl_bytes *slices;
    uint32_t *starts;
    uint8_t *arena;
};

static void cutter_free(struct cutter *c)
{
    free(c->memory);
    free(c->request.at);
    free(c->slices);
    free(c->starts);
    free(c->arena);
}

static int32_t cut(struct cutter *c, uint32_t first, uint32_t count, sl_error *error)
{
    const struct otlp_range range = {.first = first, .count = count};
    struct otlp_cut plan;
    const int32_t status = otlp_cut_plan(&c->view, &range, 1, &plan, error);
    if (status != SL_OK) {
        return status;
    }
    free(c->slices);
    free(c->starts);
    free(c->arena);
    plan.slices = c->slices = malloc((plan.n_slices + 1) * sizeof *plan.slices);
    plan.starts = c->starts = malloc((plan.n_starts + 1) * sizeof *plan.starts);
    plan.arena = c->arena = malloc(plan.arena_used + 1);
    if (!plan.slices || !plan.starts || !plan.arena) {
        return sl_fail(error, SL_ERR_NOMEM, "no memory for a request of %u spans", count);
    }
    otlp_cut_fill(&c->view, &range, 1, &plan);
    c->request.used = 0;
    for (uint32_t i = 0; i < plan.n_slices; i++) {
        sl_write_raw(&c->request, plan.slices[i]);
    }
    return c->request.failed ? sl_fail(error, SL_ERR_NOMEM, "no memory for a request") : SL_OK;
}

/* Hands on the spans of one large request as several. */
static int32_t sink_in_parts(sl_bytes request, uint64_t read, request_sink *sink, void *ctx,
                             sl_error *error)
{
    struct cutter c = {.request = heap_writer()};
    struct otlp_view_plan plan;
    int32_t status = otlp_view_plan(SL_TRACES, &request, 1, &plan, error);
    if (status == SL_OK) {
        c.memory = aligned_alloc(16, (plan.bytes + 31) & ~(uint64_t)15);
        status = c.memory ? otlp_view_build(&plan, c.memory, &c.view, error)
                          : sl_fail(error, SL_ERR_NOMEM, "no memory for a view");
    }
    for (uint32_t i = 0; status == SL_OK && i < c.view.items.n; i += REQUEST_SPANS) {
        const uint32_t left = c.view.items.n - i;
        status = cut(&c, i, left < REQUEST_SPANS ? left : REQUEST_SPANS, error);
        status = status == SL_OK ? sink(ctx, sl_written(&c.request), read, error) : status;
    }
    cutter_free(&c);
    return status;
}

static int32_t read_blocks(const struct mapped *file, request_sink *sink, void *ctx,
                           sl_error *error)
{
    struct block_index index = {0};
    sl_error why = {.size = sizeof why};
    sl_writer spans = heap_writer();
    int32_t status = block_index_read(file->bytes, &index, &why);
    if (status != SL_OK) {
        sl_fail(error, status, "%s: %s", file->path, why.text);
    }
    for (uint32_t i = 0; status == SL_OK && i < index.n; i++) {
        const struct block_entry *entry = &index.at[i];
        const sl_bytes block = sl_slice(file->bytes.p + entry->at, (size_t)entry->info.bytes);
        spans.used = 0;
        status = trace_block_decode(block, decode_limit(&entry->info), &spans, &why);
        status = status == SL_OK ? sink_in_parts(sl_written(&spans), entry->at + entry->info.bytes,
                                                 sink, ctx, error)
                                 : failed_at(error, status, file, entry->at, &why);
    }
    free(spans.at);
    block_index_free(&index);
    return status;
}

int32_t requests_read(const struct mapped *file, enum file_format format, request_sink *sink,
                      void *ctx, sl_error *error)
{
    return format == FORMAT_SLUICE ? read_blocks(file, sink, ctx, error)
           : format == FORMAT_OTLP ? read_otlp(file, sink, ctx, error)
                                   : read_json(file, sink, ctx, error);
}
