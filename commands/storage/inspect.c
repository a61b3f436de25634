/* sluice inspect: what files of blocks hold, and what takes how much of them. */
#include "commands/storage/commands.h"
#include "formats/trace/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char help[] =
    "Usage: sluice inspect [--columns] FILE...\n"
    "\n"
    "Shows what is in files of Sluice's blocks: each block, what its mode left out, and how much "
    "of\n"
    "its OTLP bytes it takes.\n"
    "\n"
    "Options:\n"
    "  --columns   also what the values of each kind take: times, ids, each attribute\n";

struct column_sum {
    char *name;
    uint64_t values, bytes;
};

struct inspection {
    bool with_columns;
    struct column_sum *columns;
    uint32_t n_columns, room_columns;
    uint64_t bytes, otlp_bytes, spans, topology, ids, values;
    bool no_memory;
};

static const char *mode_text(uint32_t mode)
{
    static const char *const texts[] = {
        "lossless",
        "span ids are derived",
        "times cut to microseconds",
        "span ids are derived, times cut to microseconds",
        "times cut to milliseconds",
        "span ids are derived, times cut to milliseconds",
    };
    return mode < sizeof texts / sizeof texts[0] ? texts[mode] : "unknown";
}

/* 2025-09-15T10:00:00.123Z */
static const char *time_text(uint64_t ns, char text[40])
{
    const time_t seconds = (time_t)(ns / 1000000000);
    struct tm parts;
    char date[32];
    if (!gmtime_r(&seconds, &parts) ||
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts) == 0) {
        (void)snprintf(text, 40, "%" PRIu64 " ns", ns);
    } else {
        (void)snprintf(text, 40, "%s.%03uZ", date, (unsigned)(ns / 1000000 % 1000));
    }
    return text;
}

static void add_column(void *ctx, const struct trace_column *column)
{
    struct inspection *in = ctx;
    char name[200];
    const int key = column->key.n < 120 ? (int)column->key.n : 120;
    (void)snprintf(name, sizeof name, "%s%s%.*s", column->what, key > 0 ? " " : "", key,
                   key > 0 ? (const char *)column->key.p : "");
    for (uint32_t i = 0; i < in->n_columns; i++) {
        if (strcmp(in->columns[i].name, name) == 0) {
            in->columns[i].values += column->values;
            in->columns[i].bytes += column->bytes;
            return;
        }
    }
    void *columns = in->columns;
    char *copy = strdup(name);
    if (!copy || !array_room(&columns, in->n_columns, &in->room_columns, 1, sizeof *in->columns)) {
        free(copy);
        in->no_memory = true;
        return;
    }
    in->columns = columns;
    in->columns[in->n_columns++] = (struct column_sum){copy, column->values, column->bytes};
}

static void print_block(uint32_t i, const struct block_entry *entry)
{
    const struct trace_block_info *info = &entry->info;
    char first[40], last[40];
    (void)printf("block %u at %" PRIu64
                 ": %u spans in %u traces, %u errors, %s to %s, durations %.3f to %.3f ms\n",
                 i, entry->at, info->n_spans, info->n_traces, info->n_errors,
                 time_text(info->first_ns, first), time_text(info->last_ns, last),
                 (double)info->shortest_ns / 1e6, (double)info->longest_ns / 1e6);
    (void)printf("  %s; %" PRIu64 " bytes (topology %" PRIu64 ", ids %" PRIu64 ", values %" PRIu64
                 ")",
                 mode_text(info->mode), info->bytes, info->section_bytes[TRACE_TOPOLOGY],
                 info->section_bytes[TRACE_IDS] + info->section_bytes[TRACE_SPAN_IDS],
                 info->section_bytes[TRACE_VALUES]);
    if (info->n_spans > 0) {
        (void)printf(", %.2f a span, %.2f times smaller than its OTLP bytes",
                     (double)info->bytes / info->n_spans,
                     (double)info->otlp_bytes / (double)info->bytes);
    }
    (void)putchar('\n');
}

static int32_t inspect_file(struct inspection *in, const char *path, sl_error *error)
{
    struct mapped file;
    struct block_index index = {0};
    sl_error why = {.size = sizeof why};
    int32_t status = mapped_open(&file, path, error);
    if (status != SL_OK) {
        return status;
    }
    status = block_index_read(file.bytes, &index, &why);
    if (status != SL_OK) {
        sl_fail(error, status, "%s: %s", path, why.text);
    }
    (void)printf("%s: %zu bytes, %u blocks%s\n", path, file.bytes.n, index.n,
                 index.closed ? "" : "; it was not closed: no footer");
    if (!index.closed && index.end < file.bytes.n) {
        (void)printf("  %" PRIu64 " bytes at the end are no whole block\n",
                     file.bytes.n - index.end);
    }
    in->bytes += file.bytes.n;
    for (uint32_t i = 0; i < index.n; i++) {
        const struct block_entry *entry = &index.at[i];
        print_block(i, entry);
        in->otlp_bytes += entry->info.otlp_bytes;
        in->spans += entry->info.n_spans;
        in->topology += entry->info.section_bytes[TRACE_TOPOLOGY];
        in->ids += entry->info.section_bytes[TRACE_IDS] + entry->info.section_bytes[TRACE_SPAN_IDS];
        in->values += entry->info.section_bytes[TRACE_VALUES];
        if (in->with_columns && status == SL_OK) {
            status =
                trace_block_columns(sl_slice(file.bytes.p + entry->at, (size_t)entry->info.bytes),
                                    decode_limit(&entry->info), add_column, in, &why);
            if (status != SL_OK) {
                sl_fail(error, status, "%s: at byte %" PRIu64 ": %s", path, entry->at, why.text);
            }
        }
    }
    block_index_free(&index);
    mapped_close(&file);
    return status;
}

static int compare_columns(const void *left, const void *right)
{
    const struct column_sum *a = left, *b = right;
    return a->bytes > b->bytes ? -1 : a->bytes < b->bytes ? 1 : strcmp(a->name, b->name);
}

static void print_columns(struct inspection *in)
{
    if (in->n_columns == 0) {
        return;
    }
    qsort(in->columns, in->n_columns, sizeof *in->columns, compare_columns);
    (void)printf("\n%-44s %10s %10s %8s %7s\n", "column", "values", "bytes", "a value", "a span");
    for (uint32_t i = 0; i < in->n_columns; i++) {
        const struct column_sum *c = &in->columns[i];
        (void)printf("%-44s %10" PRIu64 " %10" PRIu64 " %8.3f %7.3f\n", c->name, c->values,
                     c->bytes, c->values ? (double)c->bytes / (double)c->values : 0,
                     in->spans ? (double)c->bytes / (double)in->spans : 0);
    }
}

static void print_total(const struct inspection *in)
{
    if (in->spans > 0) {
        (void)printf("\n%" PRIu64 " spans, %" PRIu64
                     " bytes: %.3f a span (topology %.3f, ids %.3f, values %.3f), "
                     "%.2f times smaller than %" PRIu64 " bytes of OTLP\n",
                     in->spans, in->bytes, (double)in->bytes / (double)in->spans,
                     (double)in->topology / (double)in->spans, (double)in->ids / (double)in->spans,
                     (double)in->values / (double)in->spans,
                     (double)in->otlp_bytes / (double)in->bytes, in->otlp_bytes);
    }
}

int inspect_command(int argc, char **argv)
{
    struct inspection in = {0};
    sl_error error = {.size = sizeof error};
    int files = 0, status = STORAGE_OK;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            (void)fputs(help, stdout);
            return STORAGE_HELP;
        }
        if (strcmp(argv[i], "--columns") == 0) {
            in.with_columns = true;
        } else if (argv[i][0] == '-') {
            (void)fprintf(stderr, "sluice inspect: unknown option %s\n", argv[i]);
            return STORAGE_USAGE;
        } else {
            files++;
        }
    }
    if (files == 0) {
        (void)fputs(help, stderr);
        return STORAGE_USAGE;
    }
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-' && inspect_file(&in, argv[i], &error) != SL_OK) {
            (void)fflush(stdout);
            (void)fprintf(stderr, "sluice inspect: %s\n", error.text);
            status = STORAGE_FAILED;
        }
    }
    print_columns(&in);
    print_total(&in);
    for (uint32_t i = 0; i < in.n_columns; i++) {
        free(in.columns[i].name);
    }
    free(in.columns);
    if (in.no_memory) {
        (void)fputs("sluice inspect: no memory for all columns\n", stderr);
        status = STORAGE_FAILED;
    }
    return status;
}
