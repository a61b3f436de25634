/* A segment's file: its head, the way from record to record, and what is damaged in between. */
#ifndef SLUICE_PIPELINE_JOURNAL_SEGMENT_H
#define SLUICE_PIPELINE_JOURNAL_SEGMENT_H
#include "pipeline/journal/format.h"
#include "pipeline/journal/io.h"

/* Writes the head and its copy. 0, or a negative errno. */
int segment_write_head(const struct journal_io *, int fd, const struct segment_head *);
/* The head, or its copy. SL_OK; SL_ERR_INVALID: both are damaged; SL_ERR_UNSUPPORTED: a newer
 * version's; SL_ERR_IO: it cannot be read, *failed is the errno. */
int32_t segment_read_head(const struct journal_io *, int fd, struct segment_head *, int *failed);

enum { SCAN_BUFFER = 65536 };

/* A walk over the records of a file, from `at` on. Bodies are not read. */
struct scan {
    const struct journal_io *io;
    int fd;
    uint32_t seed;  /* format_seed */
    bool end_known; /* records reach up to `end`; else they end somewhere before */
    uint64_t at;    /* of what comes next */
    uint64_t end;
    uint64_t buffer_at; /* set to 0, as the next */
    size_t buffered;
    uint8_t buffer[SCAN_BUFFER];
};

enum {
    SCAN_END = 0,    /* of the records; `at` says where */
    SCAN_RECORD = 1, /* `at` is behind it */
    SCAN_GAP = 2     /* no records: damage; `at` is behind it */
};
/* One of these, or a negative errno. *from: where the record or the gap begins. */
int scan_next(struct scan *, struct record_head *, uint64_t *from);
/* 1: there is a record at `at` or behind it; 0: there is none; or a negative errno. */
int scan_has_more(struct scan *);

/* Reads a body of `bytes` at `at` for its checksum. 1: it is `crc`; 0: it is not; or a negative errno. */
int segment_check_body(const struct journal_io *, int fd, uint64_t at, uint32_t bytes,
                       uint32_t crc);
#endif
