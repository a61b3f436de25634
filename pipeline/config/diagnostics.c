/* What is wrong with a configuration, collected, sorted and printed. Control thread only. */
#include "pipeline/config/diagnostics.h"
#include <stdarg.h>

#define MAX_TEXT 1024
#define MAX_MEMORY ((size_t)1024 * 1024)

void diagnostics_init(struct config_diagnostics *d, const struct config_allocator *allocator)
{
    memset(d, 0, sizeof *d);
    arena_init(&d->arena, allocator, MAX_MEMORY);
}

void diagnostics_deinit(struct config_diagnostics *d)
{
    arena_deinit(&d->arena);
    d->list = NULL;
    d->n = 0;
}

bool diagnostics_full(const struct config_diagnostics *d, enum config_severity severity)
{
    return d->count[severity] >= CONFIG_MAX_DIAGNOSTICS;
}

/* The file's name lives in whatever is being read; the list outlives that. */
static const char *keep_file(struct config_diagnostics *d, const char *file)
{
    if (!file)
        return NULL;
    for (uint32_t i = d->n; i-- > 0;)
        if (d->list[i].at.file && strcmp(d->list[i].at.file, file) == 0)
            return d->list[i].at.file;
    return (const char *)arena_copy(&d->arena, file, strlen(file)).p;
}

/* Texts quote what stands in files: a terminal must not obey it. */
static void blunt(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

void diagnostics_add(struct config_diagnostics *d, enum config_severity severity,
                     struct config_place at, const char *format, ...)
{
    bool full = diagnostics_full(d, severity);
    d->count[severity]++;
    if (full)
        return;
    char text[MAX_TEXT];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0)
        text[0] = '\0';
    blunt(text);
    if (!d->list)
        d->list = arena_take_array(&d->arena, CONFIG_SEVERITIES * CONFIG_MAX_DIAGNOSTICS,
                                   sizeof *d->list);
    const char *file = d->list ? keep_file(d, at.file) : NULL;
    const char *copy = d->list ? (const char *)arena_copy(&d->arena, text, strlen(text)).p : NULL;
    if (!copy || (at.file && !file)) {
        d->out_of_memory = true;
        return;
    }
    d->list[d->n] = (struct config_diagnostic){
        .severity = severity, .at = {file, at.line, at.column}, .order = d->n, .text = copy};
    d->n++;
}

void diagnostics_no_memory(struct config_diagnostics *d)
{
    d->out_of_memory = true;
}

static int compare(const struct config_diagnostic *a, const struct config_diagnostic *b)
{
    if (a->at.line != b->at.line)
        return a->at.line < b->at.line ? -1 : 1;
    if (a->at.column != b->at.column)
        return a->at.column < b->at.column ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

static uint32_t file_rank(const struct config_diagnostic *list, uint32_t n, const char *file)
{
    for (uint32_t i = 0; i < n; i++)
        if (list[i].at.file == file) /* names are kept once */
            return i;
    return n;
}

void diagnostics_sort(struct config_diagnostics *d)
{
    /* At most 300 entries: insertion into place by the rank of the file first. */
    uint32_t rank[CONFIG_SEVERITIES * CONFIG_MAX_DIAGNOSTICS];
    for (uint32_t i = 0; i < d->n; i++)
        rank[i] = file_rank(d->list, d->n, d->list[i].at.file);
    for (uint32_t i = 1; i < d->n; i++) {
        struct config_diagnostic moved = d->list[i];
        uint32_t moved_rank = rank[i];
        uint32_t j = i;
        while (j > 0 && (rank[j - 1] > moved_rank ||
                         (rank[j - 1] == moved_rank && compare(&d->list[j - 1], &moved) > 0))) {
            d->list[j] = d->list[j - 1];
            rank[j] = rank[j - 1];
            j--;
        }
        d->list[j] = moved;
        rank[j] = moved_rank;
    }
}

static void print_place(const struct config_place *at, FILE *out)
{
    if (at->file)
        (void)fprintf(out, "%s:", at->file);
    if (at->line)
        (void)fprintf(out, "%u:%u:", at->line, at->column);
    if (at->file || at->line)
        (void)fputc(' ', out);
}

void diagnostics_print(struct config_diagnostics *d, FILE *out, bool notes)
{
    static const char *const names[CONFIG_SEVERITIES] = {"error", "warning", "note"};
    diagnostics_sort(d);
    for (uint32_t i = 0; i < d->n; i++) {
        const struct config_diagnostic *one = &d->list[i];
        if (one->severity == CONFIG_NOTE && !notes)
            continue;
        print_place(&one->at, out);
        (void)fprintf(out, "%s: %s\n", names[one->severity], one->text);
    }
    for (uint32_t s = 0; s < CONFIG_SEVERITIES; s++)
        if (d->count[s] > CONFIG_MAX_DIAGNOSTICS && (s != CONFIG_NOTE || notes))
            (void)fprintf(out, "%u more %ss are not shown\n", d->count[s] - CONFIG_MAX_DIAGNOSTICS,
                          names[s]);
    if (d->out_of_memory)
        (void)fprintf(out, "error: out of memory, or the configuration is larger than allowed\n");
}
