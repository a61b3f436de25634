/* What the files of recovery share: recover_files.c finds the files and reads their heads, recover.c
 * their records. */
#ifndef SLUICE_PIPELINE_JOURNAL_RECOVER_H
#define SLUICE_PIPELINE_JOURNAL_RECOVER_H
#include "pipeline/journal/log_internal.h"

/* Files by their numbers. */
struct numbers {
    uint64_t *all;
    size_t n, room;
};

struct recovery {
    struct journal *journal;
    sl_error *error;
    struct numbers segments, spares;
    bool no_memory;
    struct scan *scan;
    struct ranges lost; /* records that should be where damage is */
    uint64_t oldest_seq;
    uint64_t next_data; /* DATA comes with growing numbers */
};

int32_t recover_fail_io(const struct recovery *, const char *doing, const char *name, int failed);
int32_t recover_fail_memory(const struct recovery *);
/* Finds the segments and the spare files. Nothing is touched where a newer version or another stream's
 * file is among them. */
int32_t recover_files(struct recovery *);
#endif
