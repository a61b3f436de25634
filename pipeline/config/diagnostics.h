/* What is wrong with a configuration: a bounded list of errors, warnings and notes, each with its
 * place, shown together and in the order of the files. Used on the control thread only. */
#ifndef SLUICE_CONFIG_DIAGNOSTICS_H
#define SLUICE_CONFIG_DIAGNOSTICS_H
#include "pipeline/config/arena.h"
#include <stdbool.h>
#include <stdio.h>

enum config_severity { CONFIG_ERROR, CONFIG_WARNING, CONFIG_NOTE, CONFIG_SEVERITIES };

/* Of each severity so many are kept; the rest is only counted. */
#define CONFIG_MAX_DIAGNOSTICS 100u

/* Lines and columns count from 1; line 0: the file as a whole, or no file. */
struct config_place {
    const char *file; /* as the user named it; NULL: none */
    uint32_t line, column;
};

struct config_diagnostic {
    enum config_severity severity;
    struct config_place at;
    uint32_t order; /* of reporting; breaks ties */
    const char *text;
};

struct config_diagnostics {
    struct config_arena arena; /* the texts, and copies of the file names */
    struct config_diagnostic *list;
    uint32_t n;
    uint32_t count[CONFIG_SEVERITIES]; /* all that were reported, kept or not */
    bool out_of_memory;                /* a text was lost */
};

/* `allocator` may be NULL. The list's own storage is the caller's. */
void diagnostics_init(struct config_diagnostics *d, const struct config_allocator *allocator);
void diagnostics_deinit(struct config_diagnostics *d);

/* Takes copies of everything. Never fails; what does not fit is counted. */
void diagnostics_add(struct config_diagnostics *d, enum config_severity severity,
                     struct config_place at, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The memory for the configuration is used up; one error however often it is called. */
void diagnostics_no_memory(struct config_diagnostics *d);

/* One more error would only be counted: what makes texts expensive need not be done. */
bool diagnostics_full(const struct config_diagnostics *d, enum config_severity severity);

static inline bool diagnostics_failed(const struct config_diagnostics *d)
{
    return d->count[CONFIG_ERROR] > 0 || d->out_of_memory;
}

/* Sorted by file (in the order in which files were first reported), line and column. */
void diagnostics_sort(struct config_diagnostics *d);

/* Sorts, and prints `pipeline.yaml:12:7: error: ...`, one a line. Notes only where asked for. */
void diagnostics_print(struct config_diagnostics *d, FILE *out, bool notes);

#endif
