/* sluice-generate, which `sluice generate` starts: makes or replays telemetry and writes or sends
 * it. It is a program of its own so that `sluice` does not carry what only sending needs. One
 * thread, but for those of gRPC. */
#include "commands/generate/options.h"
#include "commands/generate/replay.h"
#include "commands/generate/report.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_INCOMPLETE = 1, EXIT_USAGE = 2 };

/* Requests kept for sending take no more than that. */
#define POOL_MAX ((size_t)2 << 30)
#define REQUESTS_MAX ((size_t)64 << 20)
#define PROGRESS_TRACES 1024

/* Set by a signal handler, which can reach nothing else. */
static atomic_bool interrupted;

struct run {
    const struct options *options;
    struct output *output;
    struct stream_counts counts;
    struct send_request *requests;
    size_t request_count;
    size_t request_room;
    size_t pool; /* bytes of generated requests */
    bool owned;  /* the requests' bytes are on the heap */
    bool progress;
    sl_error error;
};

static void on_signal(int number)
{
    (void)number;
    atomic_store(&interrupted, true);
}

static double seconds_now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static enum sl_status fail(struct run *r, enum sl_status status, const char *text)
{
    r->error.code = status;
    (void)snprintf(r->error.text, sizeof(r->error.text), "%s", text);
    return status;
}

static enum sl_status request_keep(struct run *r, enum sl_signal signal, sl_bytes request,
                                   uint32_t items)
{
    if (r->request_count == r->request_room) {
        size_t room = r->request_room ? r->request_room * 2 : 256;
        struct send_request *all =
            room > REQUESTS_MAX ? NULL : realloc(r->requests, room * sizeof(*r->requests));
        if (!all) {
            return fail(r, SL_ERR_NOMEM, "out of memory for requests: generate fewer");
        }
        r->requests = all;
        r->request_room = room;
    }
    struct send_request *kept = &r->requests[r->request_count++];
    kept->body = request;
    kept->items = items;
    kept->signal = signal;
    return SL_OK;
}

/* A batch_sink for sending: keeps a copy. */
static enum sl_status request_copy(void *ctx, enum sl_signal signal, sl_bytes request,
                                   uint32_t items)
{
    struct run *r = ctx;
    r->counts.requests++;
    if (request.n > POOL_MAX - r->pool) {
        return fail(r, SL_ERR_TOO_LARGE,
                    "the encoded requests take more than 2 GiB of memory: generate fewer and use "
                    "--requests or --for, "
                    "or write files and send those with --from");
    }
    uint8_t *copy = malloc(request.n);
    if (!copy) {
        return fail(r, SL_ERR_NOMEM, "out of memory for requests: generate fewer");
    }
    memcpy(copy, request.p, request.n);
    enum sl_status status = request_keep(r, signal, sl_slice(copy, request.n), items);
    if (status != SL_OK) {
        free(copy);
        return status;
    }
    r->pool += request.n;
    return SL_OK;
}

static enum sl_status request_write(void *ctx, enum sl_signal signal, sl_bytes request,
                                    uint32_t items)
{
    struct run *r = ctx;
    r->counts.requests++;
    enum sl_status status = output_request(r->output, signal, request, items);
    if (status != SL_OK) {
        r->error = *output_error(r->output);
    }
    return status;
}

/* Recorded requests stay where they are mapped. */
static enum sl_status request_replayed(void *ctx, enum sl_signal signal, sl_bytes request,
                                       uint32_t items)
{
    struct run *r = ctx;
    r->counts.spans += signal == SL_TRACES ? items : 0;
    r->counts.points += signal == SL_METRICS ? items : 0;
    r->counts.logs += signal == SL_LOGS ? items : 0;
    if (!r->options->to) {
        return request_write(ctx, signal, request, items);
    }
    r->counts.requests++;
    return request_keep(r, signal, request, items);
}

static bool on_generated(void *ctx, uint64_t traces)
{
    struct run *r = ctx;
    if (r->progress && traces && traces % PROGRESS_TRACES == 0) {
        (void)fprintf(stderr, "\r%llu of %llu traces generated\x1b[K", (unsigned long long)traces,
                      (unsigned long long)r->options->stream.traces);
    }
    return atomic_load(&interrupted);
}

static void on_progress(void *ctx, const struct send_report *so_far)
{
    (void)ctx;
    report_progress(so_far);
}

static enum sl_status generate(struct run *r)
{
    struct stream_options s = r->options->stream;
    struct stream_counts counts;
    s.lines = r->options->format == OUTPUT_NDJSON;
    s.sink = r->options->to ? request_copy : request_write;
    s.ctx = r;
    s.pause = on_generated;
    r->owned = r->options->to != NULL;
    enum sl_status status = stream_run(&s, &counts, &r->error);
    counts.requests = s.lines ? 0 : r->counts.requests;
    r->counts = counts;
    if (r->progress) {
        (void)fputs("\r\x1b[K", stderr);
    }
    return status;
}

static int send_all(struct run *r)
{
    struct send_options s = r->options->send;
    struct send_report report;
    if (r->request_count == 0) {
        (void)fail(r, SL_ERR_INVALID, "there is nothing to send");
        return EXIT_INCOMPLETE;
    }
    s.stop = &interrupted;
    s.on_progress = r->progress ? on_progress : NULL;
    enum sl_status status = send_run(&s, r->requests, r->request_count, &report, &r->error);
    if (r->progress) {
        (void)fputs("\r\x1b[K", stderr);
    }
    if (status != SL_OK) {
        return EXIT_INCOMPLETE;
    }
    report_send(stdout, r->options->json, &report);
    bool complete = report.acknowledged == report.sent && report.items_rejected == 0 &&
                    !atomic_load(&interrupted);
    return complete ? EXIT_SUCCESS : EXIT_INCOMPLETE;
}

static enum sl_status make(struct run *r, struct replay *files)
{
    if (r->options->from_count == 0) {
        return generate(r);
    }
    enum sl_status status = SL_OK;
    for (uint32_t i = 0; i < r->options->from_count && status == SL_OK; i++) {
        status = replay_open(&files[i], r->options->from[i], &r->error);
        if (status == SL_OK) {
            status = replay_run(&files[i], r->options->from[i], request_replayed, r, &r->error);
        }
    }
    return status;
}

static int run(struct run *r)
{
    const struct options *o = r->options;
    struct replay files[FROM_MAX];
    memset(files, 0, sizeof(files));
    double began = seconds_now();
    enum sl_status status =
        o->to ? SL_OK : output_create(o->folder, o->file, o->format, &r->output, &r->error);
    if (status == SL_OK) {
        status = make(r, files);
    }
    int code = status == SL_OK ? EXIT_SUCCESS : EXIT_INCOMPLETE;
    if (status == SL_OK && o->to) {
        code = send_all(r);
    } else if (status == SL_OK && output_finish(r->output, &r->error) != SL_OK) {
        code = EXIT_INCOMPLETE;
    } else if (status == SL_OK) {
        bool to_stdout = o->file && strcmp(o->file, "-") == 0;
        report_files(to_stdout ? stderr : stdout, o->json, r->output, &r->counts,
                     seconds_now() - began);
        code = atomic_load(&interrupted) ? EXIT_INCOMPLETE : EXIT_SUCCESS;
    }
    if (r->error.code != SL_OK) {
        (void)fprintf(stderr, "sluice generate: %s\n", r->error.text);
    }
    for (size_t i = 0; r->owned && i < r->request_count; i++) {
        free((void *)(uintptr_t)r->requests[i].body.p);
    }
    free(r->requests);
    output_destroy(r->output);
    for (uint32_t i = 0; i < o->from_count; i++) {
        replay_close(&files[i]);
    }
    return code;
}

int main(int argc, char **argv)
{
    struct options options;
    struct run r;
    memset(&r, 0, sizeof(r));
    r.error.size = sizeof(r.error);
    if (options_parse(&options, argc, argv, &r.error) != SL_OK) {
        (void)fprintf(stderr, "sluice generate: %s\n", r.error.text);
        return EXIT_USAGE;
    }
    if (options.help) {
        (void)fputs(options_usage, stdout);
        return EXIT_SUCCESS;
    }
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = on_signal;
    action.sa_flags = (int)SA_RESETHAND; /* a second one ends the program at once */
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    r.options = &options;
    r.progress = options.progress || isatty(STDERR_FILENO);
    return run(&r);
}
