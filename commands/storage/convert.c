/* sluice convert: from one file of traces to another. */
#include "commands/storage/commands.h"
#include "commands/storage/trace_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct convert {
    struct request_writer *writer;
    uint64_t size; /* of the file that is read */
    bool progress;
    uint32_t shown; /* percent */
};

static void show_progress(struct convert *c, uint64_t read)
{
    enum { WIDTH = 40 };
    static const char bar[] = "########################################";
    const uint32_t percent = c->size ? (uint32_t)(read * 100 / c->size) : 100;
    if (c->progress && percent != c->shown) {
        const int done = (int)(percent * WIDTH / 100);
        (void)fprintf(stderr, "\r[%-*.*s] %3u %%", WIDTH, done, bar, percent);
        c->shown = percent;
    }
}

static int32_t take_request(void *ctx, sl_bytes request, uint64_t read, sl_error *error)
{
    struct convert *c = ctx;
    const int32_t status = request_writer_add(c->writer, request, error);
    show_progress(c, read);
    return status;
}

static void report(const struct written *written, const char *path, uint64_t read)
{
    (void)fprintf(stderr, "%s: %llu bytes, from %llu", path, (unsigned long long)written->bytes,
                  (unsigned long long)read);
    if (written->bytes > 0) {
        (void)fprintf(stderr, ", which are %.2f times as many",
                      (double)read / (double)written->bytes);
    }
    if (written->spans > 0) {
        (void)fprintf(stderr, "; %llu spans, %.2f bytes a span", (unsigned long long)written->spans,
                      (double)written->bytes / (double)written->spans);
    }
    (void)fputc('\n', stderr);
}

static int run(const struct convert_options *o)
{
    sl_error error = {.size = sizeof error};
    struct convert c = {.progress = isatty(STDERR_FILENO), .shown = UINT32_MAX};
    struct mapped file = {0};
    struct written written;
    int32_t status = mapped_open(&file, o->in, &error);
    c.size = file.bytes.n;
    status = status == SL_OK ? request_writer_open(&c.writer, o->out, &o->writer, &error) : status;
    status =
        status == SL_OK ? requests_read(&file, o->in_format, take_request, &c, &error) : status;
    status = status == SL_OK ? request_writer_finish(c.writer, &written, &error) : status;
    if (c.progress) {
        (void)fputs("\r\x1b[K", stderr);
    }
    if (status == SL_OK) {
        report(&written, o->out, file.bytes.n);
    } else {
        (void)fprintf(stderr, "sluice convert: %s\n", error.text);
    }
    request_writer_close(c.writer);
    mapped_close(&file);
    return status == SL_OK ? STORAGE_OK : STORAGE_FAILED;
}

int convert_command(int argc, char **argv)
{
    struct convert_options options;
    const int status = convert_options_read(argc, argv, &options);
    return status == STORAGE_OK ? run(&options) : status;
}
