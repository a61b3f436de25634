/* A journal's log: records that survive the process, in segments of one directory, until all their
 * items have ended. docs/journal-format.md specifies what lies on disk.
 *
 *   append --> written (and, for JOURNAL_POWER, synced) --> durable --> taken --> settled
 *                                                             \--> read, then taken
 *
 * A record has a sequence number, a body and a number of items. The log keeps a cursor: what lies
 * before it has been taken, at the append (the common case: nothing waits on disk) or by reading;
 * what lies behind it waits. Whoever takes a record settles its items, or puts the record back to
 * read what is left of it again. What is not settled when the process ends, however it ends, waits
 * at the next opening. Nothing about a record that waits is kept in memory, so that a backlog of
 * any size takes none.
 *
 * Any thread, but where said otherwise: one reader at a time (peek, take). Errors of the disk never
 * end the process: appends are refused until journal_work finds that the disk works again. */
#ifndef SLUICE_PIPELINE_JOURNAL_LOG_H
#define SLUICE_PIPELINE_JOURNAL_LOG_H
#include "pipeline/journal/io.h"
#include <sluice/plugin.h>
#include <sys/uio.h>

struct journal;
struct journal_write;
struct journal_entry;

enum journal_durability {
    JOURNAL_PROCESS, /* durable once written: survives the end of the process */
    JOURNAL_POWER    /* durable once synced: survives the end of the machine */
};

enum journal_full {
    JOURNAL_REFUSE,     /* appends are refused until something is settled */
    JOURNAL_DROP_OLDEST /* the oldest records end as expired to make room */
};

/* How records end without being settled. */
enum journal_end {
    JOURNAL_EXPIRED_AGE,  /* waited longer than max_age_ns; one that is taken does not wait */
    JOURNAL_EXPIRED_SIZE, /* made room for others, taken or not */
    JOURNAL_QUARANTINED   /* damaged on disk; what is left of them was moved aside */
};

enum journal_state {
    JOURNAL_OK,
    JOURNAL_FULL,    /* max_bytes is reached, and appends are refused */
    JOURNAL_NO_ROOM, /* the file system has no space */
    JOURNAL_FAILED   /* it answers with another error */
};

/* What the log tells its owner; any thread, never with a lock of the log held, at the end of the call
 * that brought it about. journal_open does so when it has set its result. Each may be NULL. */
struct journal_events {
    void *ctx;
    /* After appends were refused: they will be taken again. */
    void (*room)(void *ctx);
    /* Items that nobody will settle any more. */
    void (*ended)(void *ctx, enum journal_end, uint64_t records, uint64_t items);
    /* journal_work shall be called in `delay_ns`, on a thread that may block; what was asked for
     * earlier and has not come yet stays valid, so the sooner counts. */
    void (*work)(void *ctx, int64_t delay_ns);
    /* The state or its text has changed: see journal_read_stats. */
    void (*state)(void *ctx);
    /* A sync took this long. */
    void (*synced)(void *ctx, int64_t duration_ns);
};

struct journal_config {
    const char *directory; /* made, mode 0700, where it is missing; its parent must be there */
    const char *stream;    /* what is in it, such as "in traces/in"; refused where it differs */
    const struct journal_io *io; /* journal_io_posix, or a test's */
    uint64_t segment_bytes;      /* 0: max_bytes / 8, from 1 MiB to 4 (POWER: 64) */
    uint64_t max_bytes;          /* of all segments in use; at least 4 of them are */
    int64_t max_age_ns;          /* 0: records do not grow too old */
    enum journal_durability durability;
    enum journal_full on_full;
    struct journal_events events;
    int64_t (*now)(void *); /* wall clock, ns since the epoch */
    void *now_arg;
};

/* One record on its way in; the caller's, and in place until `durable` was called. */
struct journal_write {
    const struct iovec *parts; /* the body; valid until journal_append has returned */
    uint32_t n_parts;
    uint32_t items;     /* at least 1 */
    int64_t arrived_ns; /* wall clock; the record's age counts from it */
    bool take;          /* wants to take the record at once, if nothing waits before it */
    bool taken;         /* out: it has; the record will not be read. Set before `durable` */
    uint64_t seq;       /* out, as `taken` */
    /* SL_OK: it is durable. SL_ERR_UNAVAILABLE: the sync failed, and the record counts as not
     * written: it will not be read, and settling it does nothing. Called once for every append that
     * returned SL_OK; for JOURNAL_PROCESS from within it, for JOURNAL_POWER by another thread, which
     * may be before journal_append has returned. */
    void (*durable)(struct journal_write *, int32_t status);
    struct { /* the log's */
        struct journal_write *next;
        struct journal_entry *entry;
        void *waiter;
        uint64_t at;
        uint32_t bytes, crc;
        int32_t status;
        uint8_t type;
    } own;
};

/* A record that waits, or was read. */
struct journal_record {
    uint64_t seq;
    uint64_t bytes; /* of the body */
    uint32_t items;
    bool partly;  /* some of its items have been settled: see journal_open_items */
    bool earlier; /* was appended before the log was opened: it is replayed */
    int64_t arrived_ns;
    uint64_t segment, at, room; /* the log's */
};

/* What has not ended, waiting or taken. */
struct journal_size {
    uint64_t records, items, bytes;
    bool unwritten; /* something has ended, and the disk has not been told yet */
};

struct journal_stats {
    uint64_t records, items, bytes; /* not settled, waiting or taken */
    uint64_t waiting_records, waiting_items, waiting_bytes;
    int64_t oldest_ns; /* arrival of the oldest of them; 0: none */
    uint64_t segments, disk_bytes;
    uint64_t appended_records, appended_bytes, settled_items, reread_records, syncs, copied_records;
    uint64_t ended_records[3], ended_items[3];   /* by enum journal_end */
    uint64_t recovered_records, recovered_items; /* found at the opening */
    enum journal_state state;
    char text[160]; /* what is wrong, where state is not JOURNAL_OK */
};

/* Opens or makes the log and recovers what is in it: reads headers, not bodies, so that a gibibyte
 * takes less than a second. SL_ERR_STATE: another process has it open. SL_ERR_INVALID: its format is
 * newer, or another stream's; nothing was touched then. */
int32_t journal_open(const struct journal_config *, struct journal **, sl_error *);
/* Nothing is appended, read or settled any more. Writes the last settlements, syncs where durable
 * means that, and gives the lock back. Pending `durable` calls are made before it returns. */
void journal_close(struct journal *);

/* SL_ERR_FULL: max_bytes is reached. SL_ERR_UNAVAILABLE: the disk cannot take it now. In both cases
 * `room` follows, the sender shall try again, and `durable` is not called. SL_ERR_TOO_LARGE: never.
 */
int32_t journal_append(struct journal *, struct journal_write *);
/* Would an append be refused now? Then `room` follows. A look, without a lock. */
bool journal_has_room(struct journal *);

/* Does a record wait? A look, without a lock. */
bool journal_waits(struct journal *);
/* [reader] The next record that waits. SL_ERR_NOT_FOUND: none does. */
int32_t journal_peek(struct journal *, struct journal_record *);
/* [reader] Takes it and reads its `bytes`; SL_ERR_INVALID: it is damaged, has been moved aside and
 * told as ended: peek for the next one. SL_ERR_UNAVAILABLE: it could not be read now; it waits on,
 * before all others, and counts as damaged once the disk has failed to read it a hundred times.
 * SL_ERR_NOT_FOUND: it has expired meanwhile. */
int32_t journal_take(struct journal *, const struct journal_record *, uint8_t *body);
/* [reader] The body of a taken record makes no sense to its owner: as if it were damaged. */
void journal_quarantine(struct journal *, const struct journal_record *);
/* Of a taken record: bit k of `mask`, of (items + 63) / 64 words, is set where item k is open. */
void journal_open_items(struct journal *, uint64_t seq, uint64_t *mask);

/* Items of a taken record have ended. Cannot fail: where memory is short it is forgotten that they
 * have until all of the record's items have, or the process ends. An item is settled once. Returns how many
 * of them had not: a record that made room for others has ended before. */
uint32_t journal_settle(struct journal *, uint64_t seq, uint32_t first, uint32_t n);
/* A taken record's other items have not ended and shall be read again, before what waits. */
void journal_put_back(struct journal *, uint64_t seq);

/* Notes: side records by key, kept until the key is noted anew or forgotten. `owner` is a namespace
 * of keys. As durable as an append when it returns. Errors: as journal_append. */
int32_t journal_note(struct journal *, sl_bytes owner, sl_bytes key, sl_bytes note);
void journal_forget(struct journal *, sl_bytes owner, sl_bytes key);
/* Calls `visit` for each note of the owner, in the order in which they were written. Ends with the
 * first status that is not SL_OK. */
int32_t journal_notes(struct journal *, sl_bytes owner,
                      int32_t (*visit)(void *ctx, sl_bytes key, sl_bytes note), void *ctx);

/* Writes settlements that no append has taken along, ends what is too old, copies forward what pins
 * segments, tries again what failed. Blocks. */
void journal_work(struct journal *);

/* A short look, which never waits for the disk, as journal_read_stats may. */
void journal_read_size(struct journal *, struct journal_size *);
void journal_read_stats(struct journal *, struct journal_stats *);
#endif
