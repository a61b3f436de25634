/* `sluice journal export`: what a journal holds that has not ended, as files of OTLP requests with
 * their lengths in front, which `sluice generate` sends and which the file exporter writes, too. */
#include "formats/otlp/view.h"
#include "pipeline/cli/journal.h"
#include "pipeline/journal/envelope.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES_MAX = 32 };

struct export_file {
    char path[4096];
    FILE *to;
};

struct export
{
    struct inspection *inspection;
    const char *output;
    char stream[FORMAT_STREAM_MAX + 1]; /* as part of a file's name */
    struct export_file *files;
    uint32_t n_files;
    uint64_t records, items, failures;
};

static void fail(struct export *e, const char *segment, uint64_t at, const char *why)
{
    e->failures++;
    (void)fprintf(stderr, "sluice journal export: %s, byte %llu: left out: %s\n", segment,
                  (unsigned long long)at, why);
}

/* ---- files ---- */

const char *journal_signal_name(uint32_t signal)
{
    switch (signal) {
    case SL_TRACES:
        return "traces";
    case SL_METRICS:
        return "metrics";
    case SL_LOGS:
        return "logs";
    default:
        return "profiles";
    }
}

/* Letters and digits stay; the rest, which may come from a configuration, must not lead elsewhere. */
static void make_name(const char *from, size_t n, char *to, size_t room)
{
    size_t i = 0;
    for (; i < n && i + 1 < room; i++)
        to[i] = isalnum((unsigned char)from[i]) ? from[i] : '-';
    to[i] = 0;
}

/* The file for this signal and encoding, made with the first record of them. */
static FILE *file_for(struct export *e, const struct envelope *envelope)
{
    char path[4096], encoding[64] = "pb";
    if (envelope->encoding.n)
        make_name((const char *)envelope->encoding.p, envelope->encoding.n, encoding,
                  sizeof encoding);
    (void)snprintf(path, sizeof path, "%s/%s.%s.%s", e->output, e->stream,
                   journal_signal_name(envelope->signal), encoding);
    for (uint32_t i = 0; i < e->n_files; i++)
        if (!strcmp(e->files[i].path, path))
            return e->files[i].to;
    if (e->n_files == FILES_MAX)
        return NULL;
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *to = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!to) {
        (void)fprintf(stderr, "sluice journal export: %s: %m\n", path);
        if (fd >= 0)
            (void)close(fd);
        return NULL;
    }
    struct export_file *file = &e->files[e->n_files++];
    (void)snprintf(file->path, sizeof file->path, "%s", path);
    file->to = to;
    return to;
}

static bool write_request(FILE *to, const sl_bytes *slices, uint32_t n, uint64_t bytes)
{
    if (bytes > UINT32_MAX)
        return false;
    const uint8_t length[4] = {(uint8_t)(bytes >> 24), (uint8_t)(bytes >> 16),
                               (uint8_t)(bytes >> 8), (uint8_t)bytes};
    bool good = fwrite(length, 1, sizeof length, to) == sizeof length;
    for (uint32_t i = 0; i < n && good; i++)
        good = fwrite(slices[i].p, 1, slices[i].n, to) == slices[i].n;
    return good;
}

/* ---- records of which some items have ended ---- */

static uint32_t open_ranges(const uint64_t *mask, uint32_t items, struct otlp_range *ranges)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < items; i++) {
        if (!(mask[i / 64] >> (i % 64) & 1))
            continue;
        if (n && ranges[n - 1].first + ranges[n - 1].count == i)
            ranges[n - 1].count++;
        else
            ranges[n++] = (struct otlp_range){.first = i, .count = 1};
    }
    return n;
}

/* Writes the open items alone. NULL, or why not. */
static const char *write_open(FILE *to, const struct envelope *envelope, const uint64_t *mask,
                              uint32_t items)
{
    struct otlp_view_plan plan;
    struct otlp_cut cut = {.n_slices = 0};
    sl_view view;
    const char *why = "no memory";
    if (otlp_view_plan(envelope->signal, &envelope->payload, 1, &plan, NULL) != SL_OK ||
        plan.items != items)
        return "its items are not those that it was written with";
    struct otlp_range *ranges = calloc((size_t)items + 1, sizeof *ranges);
    void *memory = aligned_alloc(16, (plan.bytes + 31) & ~(uint64_t)15);
    const uint32_t n = ranges ? open_ranges(mask, items, ranges) : 0;
    if (ranges && memory && otlp_view_build(&plan, memory, &view, NULL) == SL_OK &&
        otlp_cut_plan(&view, ranges, n, &cut, NULL) == SL_OK) {
        cut.slices = calloc((size_t)cut.n_slices + 1, sizeof *cut.slices);
        cut.starts = calloc((size_t)cut.n_starts + 1, sizeof *cut.starts);
        cut.arena = malloc(cut.arena_used + 1);
        if (cut.slices && cut.starts && cut.arena) {
            otlp_cut_fill(&view, ranges, n, &cut);
            why = write_request(to, cut.slices, cut.n_slices, cut.bytes) ? NULL : "not written";
        }
    }
    free(cut.slices);
    free(cut.starts);
    free(cut.arena);
    free(memory);
    free(ranges);
    return why;
}

/* ---- all ---- */

static const char *write_body(struct export *e, const struct inspect_record *r, const uint8_t *body,
                              uint64_t *mask)
{
    struct envelope envelope;
    const uint32_t open = inspect_open_items(e->inspection, r, body, mask);
    if (!open)
        return NULL;
    if (envelope_open(sl_slice(body + r->head.prefix, r->head.bytes - r->head.prefix), &envelope,
                      NULL) != SL_OK)
        return "what is in it is of an unknown form";
    FILE *to = file_for(e, &envelope);
    if (!to)
        return "no file for it";
    /* Of what cannot be cut all goes out: twice is better than never. */
    if (open < r->head.items && !envelope.encoding.n && envelope.signal != SL_PROFILES) {
        const char *why = write_open(to, &envelope, mask, r->head.items);
        if (why)
            return why;
    } else if (!write_request(to, &envelope.payload, 1, envelope.payload.n)) {
        return "not written";
    }
    e->records++;
    e->items += open;
    return NULL;
}

static void export_record(void *ctx, const struct inspect_record *r)
{
    struct export *e = ctx;
    if (!inspect_is_unsettled(e->inspection, r))
        return;
    uint64_t *mask = malloc(((size_t)r->head.items + 63) / 64 * sizeof *mask + 1);
    uint8_t *body = NULL;
    const char *why = "it is damaged";
    if (mask && inspect_body(e->inspection, r, &body) == SL_OK)
        why = write_body(e, r, body, mask);
    if (why)
        fail(e, r->segment->name, r->at, why);
    free(body);
    free(mask);
}

static void say_damage(void *ctx, const struct inspect_segment *segment, uint64_t at,
                       uint64_t bytes, const char *what)
{
    (void)bytes;
    fail(ctx, segment->name, at, what);
}

static void close_files(struct export *e)
{
    for (uint32_t i = 0; i < e->n_files; i++) {
        bool good = fflush(e->files[i].to) == 0 && fsync(fileno(e->files[i].to)) == 0;
        good &= fclose(e->files[i].to) == 0;
        if (!good) {
            e->failures++;
            (void)fprintf(stderr, "sluice journal export: %s: %m\n", e->files[i].path);
        } else {
            (void)printf("%s\n", e->files[i].path);
        }
    }
    free(e->files);
}

int journal_export(struct inspection *inspection, const char *directory, const char *output)
{
    struct export e = {.inspection = inspection, .output = output};
    const struct inspect_visitor visitor = {
        .ctx = &e, .record = export_record, .damage = say_damage};
    struct inspect_totals totals;
    if (mkdir(output, 0700) && errno != EEXIST) {
        (void)fprintf(stderr, "sluice journal export: %s: %m\n", output);
        return CLI_FAILED;
    }
    inspect_totals(inspection, &totals);
    make_name(totals.stream, strlen(totals.stream), e.stream, sizeof e.stream);
    e.files = calloc(FILES_MAX, sizeof *e.files);
    if (!e.files)
        return CLI_FAILED;
    inspect_walk(inspection, &visitor);
    close_files(&e);
    (void)printf("%s: %llu records, %llu items%s\n", directory, (unsigned long long)e.records,
                 (unsigned long long)e.items, e.failures ? "; see what could not be read" : "");
    return e.failures ? CLI_FAILED : CLI_OK;
}
