/* A look into a journal's files without opening the journal: nothing is changed, no lock is taken, and
 * a process that works with it is not disturbed. What it appends, settles and frees meanwhile may
 * be seen or not. Reads by docs/journal-format.md; knows nothing of the log. One thread. [blocking]
 */
#ifndef SLUICE_PIPELINE_JOURNAL_INSPECT_H
#define SLUICE_PIPELINE_JOURNAL_INSPECT_H
#include "pipeline/journal/format.h"
#include "pipeline/journal/io.h"
#include <sluice/plugin.h>

struct inspection;

struct inspect_segment {
    char name[FORMAT_NAME_MAX];
    struct segment_head head; /* where is_readable */
    uint64_t size;            /* of the file */
    uint64_t end;             /* where its records end */
    bool is_readable;
    bool is_sealed; /* the next segment says where it ends */
};

struct inspect_record {
    const struct inspect_segment *segment;
    uint64_t at; /* in the file */
    struct record_head head;
};

/* Whatever is NULL is not called. */
struct inspect_visitor {
    void *ctx;
    void (*record)(void *ctx, const struct inspect_record *);
    /* Bytes in which no record can be found; all of a segment, or none: `what` says what it is. */
    void (*damage)(void *ctx, const struct inspect_segment *, uint64_t at, uint64_t bytes,
                   const char *what);
};

struct inspect_totals {
    uint64_t records, items, bytes; /* not settled; bytes of the owner's bodies */
    int64_t oldest_ns;              /* arrival of the oldest of them; 0: none */
    uint64_t notes;                 /* in force or not */
    uint64_t disk_bytes;            /* of all segments, spare ones too */
    uint64_t quarantined_files, quarantined_bytes;
    uint32_t segments, spares;
    char stream[FORMAT_STREAM_MAX + 1];
};

/* Reads what every decision needs: heads of segments, settlements, which records were copied.
 * SL_ERR_NOT_FOUND: no journal is there. SL_ERR_UNSUPPORTED: it is of a newer version. */
int32_t inspect_open(const struct journal_io *, const char *directory, struct inspection **,
                     sl_error *);
void inspect_close(struct inspection *);
/* Is it one at all? */
bool inspect_is_journal(const struct journal_io *, const char *directory);

/* In the order in which they were written. */
const struct inspect_segment *inspect_segments(const struct inspection *, uint32_t *n);
void inspect_totals(struct inspection *, struct inspect_totals *);
/* Every record, settled or not, and every damage. */
void inspect_walk(struct inspection *, const struct inspect_visitor *);
/* Is it a record of deliveries that has open items, and was it not copied? */
bool inspect_is_unsettled(const struct inspection *, const struct inspect_record *);
/* Of an unsettled record, whose body is given: bit k of `mask`, of (items + 63) / 64 words, is set
 * where item k is open. How many are. */
uint32_t inspect_open_items(const struct inspection *, const struct inspect_record *,
                            const uint8_t *body, uint64_t *mask);
/* The record's body, of head.bytes, which the caller frees. SL_ERR_INVALID: it is damaged. */
int32_t inspect_body(struct inspection *, const struct inspect_record *, uint8_t **body);
#endif
