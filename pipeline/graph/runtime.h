/* What the whole process shares, made and ended in one place. Control thread. */
#ifndef SLUICE_PIPELINE_RUNTIME_H
#define SLUICE_PIPELINE_RUNTIME_H
#include "pipeline/graph/graph.h"

struct runtime_options {
    uint64_t memory_limit; /* bytes; 0: none */
    bool virtual_clock;
    const struct log_options *log;         /* NULL: its defaults */
    const char *const *plugin_directories; /* none: the default one */
    uint32_t n_plugin_directories;
    const char *installed_plugins; /* the default one where there is no build tree */
    const char *state_directory;   /* NULL: none */
    const char *journal_directory; /* of pipelines without a journal of their own; NULL: none */
};

/* On failure the reason is in `error`; runtime_deinit is legal, and needed, after both. */
int32_t runtime_init(struct runtime *, const struct runtime_options *, sl_error *);
void runtime_deinit(struct runtime *);
#endif
