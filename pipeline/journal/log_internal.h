/* What the files of the log share.
 *
 *   log.c      open and close, what is told to the owner       recover.c  what is found at opening
 *   append.c   records in, one write for all that came         sync.c     one sync for all that came
 *   settle.c   records out, and how that is written            read.c     what waits, in order
 *   space.c    segments begun, freed, copied forward           entry.c    records that are taken
 *   expire.c   what is too old, or makes room                  notes.c    side records
 *   quarantine.c  what is damaged                              work.c     what is due
 *   copy.c     what is old and keeps a segment                 recover_files.c  the same, of files
 *
 * One mutex guards all; the functions below are called with it held, unless said otherwise. Nobody
 * holds it while files are read or written. Who changes files or the list of segments has the turn
 * (`writing`), so that there is one at a time. Whoever reads a segment's file pins it. */
#ifndef SLUICE_PIPELINE_JOURNAL_LOG_INTERNAL_H
#define SLUICE_PIPELINE_JOURNAL_LOG_INTERNAL_H
#include "pipeline/journal/log.h"
#include "pipeline/journal/ranges.h"
#include "pipeline/journal/segment.h"
#include "pipeline/process/fault.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    SPARES_MAX = 8,
    SPARE_BYTES =
        32 << 20,   /* of small segments, so many are kept that a burst needs no new files */
    BATCH_MAX = 64, /* records that one write takes */
    FLUSH_NS = 20 * 1000 * 1000,
    RETRY_NS = 1000 * 1000 * 1000
};

struct tally {
    uint64_t records, items, bytes;
};

static inline void tally_add(struct tally *t, uint64_t records, uint64_t items, uint64_t bytes)
{
    t->records += records;
    t->items += items;
    t->bytes += bytes;
}

static inline void tally_sub(struct tally *t, uint64_t records, uint64_t items, uint64_t bytes)
{
    t->records -= records;
    t->items -= items;
    t->bytes -= bytes;
}

/* A doubly linked list through its elements; the list itself is one link. */
struct link {
    struct link *before, *after; /* NULL: in no list */
};

static inline void list_init(struct link *list)
{
    list->before = list->after = list;
}

static inline void list_put(struct link *list, struct link *link) /* at its end */
{
    link->before = list->before;
    link->after = list;
    list->before->after = link;
    list->before = link;
}

static inline void list_take(struct link *link)
{
    if (!link->before)
        return;
    link->before->after = link->after;
    link->after->before = link->before;
    link->before = link->after = NULL;
}

/* A segment in use. */
struct segment {
    struct segment *next; /* by id */
    uint64_t id, first_seq, salt;
    uint32_t seed;
    uint64_t bytes; /* of the file */
    uint64_t end;   /* of its last record */
    int fd;         /* -1: not open */
    uint32_t pins;
    bool gone;           /* no longer in use; ends with its last pin */
    bool cut;            /* ends before it was full: its file is to be shortened to that */
    bool end_told;       /* recovery: the next segment's head says where it ends */
    struct tally open;   /* not settled */
    struct tally unread; /* of them, those that no one has taken since the opening */
    uint64_t notes, note_bytes;
    struct link entries; /* struct journal_entry, the oldest first */
};

enum entry_state {
    ENTRY_TAKEN,
    ENTRY_PUT_BACK,
    ENTRY_UNREAD /* found at opening, and remembered since it ends in parts, or was copied */
};

/* A record that is remembered: one that was taken, mostly. */
struct journal_entry {
    struct journal_entry *chain; /* of the table */
    struct link in_segment, in_put_back, in_changed;
    struct segment *segment, *copy_segment;
    uint64_t at, copy_at, seq; /* copy_...: while it is copied forward */
    int64_t arrived_ns;
    uint32_t bytes; /* of the owner's body */
    uint32_t items, open;
    enum entry_state state;
    uint32_t failed_reads; /* in a row: the disk gave an error */
    bool forgetful;        /* no memory for the mask: `open` is all that is known */
    uint64_t *open_mask;   /* NULL: all are open, or `forgetful` */
    uint64_t small_mask;   /* its place, for up to 64 items */
};

struct entry_table {
    struct journal_entry **buckets;
    size_t n_buckets, n;
};

struct note {
    struct note *chain; /* of the table; of the list of those to be forgotten */
    struct segment *segment;
    uint64_t at, number;
    uint32_t hash;
    uint32_t bytes; /* of the body */
    uint32_t owner_bytes, key_bytes;
    uint8_t names[]; /* the owner and the key */
};

struct note_table {
    struct note **buckets;
    size_t n_buckets, n;
};

/* Bytes that are about to be written; kept to be used again. */
struct buffer {
    uint8_t *bytes;
    size_t n, room;
};

/* What the owner is to hear once the mutex is free. */
struct told {
    struct tally ended[3];
    int64_t work_ns, synced_ns; /* -1: nothing */
    bool room, state;
};

struct spare {
    uint64_t id;
    int fd; /* -1: not open */
};

struct journal {
    struct journal_config config;
    const struct journal_io *io;
    char *directory_name, *stream;
    int directory, lock_file;

    pthread_mutex_t mutex;
    pthread_cond_t turned; /* the turn was given back, a batch was written, a sync has ended */
    pthread_mutex_t cursor_mutex; /* held by whoever moves the cursor by reading; before `mutex` */
    bool writing;                 /* somebody has the turn */
    struct journal_write *first, *last; /* to be written */
    struct told told;
    struct journal_write *done; /* to hear that they are durable, or not */

    struct segment *head, *newest; /* in use */
    bool active;                   /* records are written behind those of `newest` */
    struct spare spares[SPARES_MAX];
    uint32_t n_spares;
    uint64_t segment_bytes, in_use_bytes;
    uint64_t next_segment, next_seq, next_note;
    uint64_t opened_segment, opened_seq; /* the first of this opening */

    struct segment *cursor; /* NULL: nothing is unread */
    uint64_t cursor_at;
    uint64_t cursor_seq;       /* DATA behind it has this or a higher one */
    int64_t cursor_arrived_ns; /* of the record at the cursor; 0: not known */
    struct tally open, unread, put_back;
    struct link put_backs; /* entries, to be read first */
    struct ranges ended;   /* found at opening as settled, of what may still be read */

    struct entry_table entries;
    struct ranges settled, settling;                 /* to be written; being written */
    struct ranges settled_unsynced, settled_syncing; /* JOURNAL_POWER: written; being synced */
    struct link changed;                             /* entries of which some items were settled */
    struct note_table notes;
    struct note *forgotten, *forgetting; /* to be written; being written */
    struct buffer house;                 /* the log's own records of one write */
    struct iovec *parts;                 /* of one write */
    size_t parts_room;
    bool flush_asked;

    /* JOURNAL_POWER */
    pthread_t syncer;
    pthread_cond_t sync_wanted;
    bool syncer_runs, stopping, syncing;
    int sync_failed; /* a negative errno that nobody has acted on */
    struct journal_write *unsynced, *unsynced_last;
    struct tally unsynced_unread; /* unread records that were written since the last sync began */
    uint64_t durable_seq, durable_at; /* what lies before, in `newest`, is synced */

    enum journal_state state;
    _Atomic bool refusing; /* state is not JOURNAL_OK; also read without the mutex, as the next */
    _Atomic bool waits;    /* something is unread or was put back */
    bool wants_room;       /* somebody was refused */
    char text[160];
    uint64_t appended_records, appended_bytes, settled_items, reread_records, syncs, failed_syncs;
    uint64_t copied_records, recovered_records, recovered_items;
    struct tally ended_tally[3];

    pthread_mutex_t quarantine_mutex; /* guards what follows */
    int quarantine;                   /* the directory; -1: not open */
    uint64_t quarantine_bytes;        /* in it */
};

static inline void log_enter(struct journal *j)
{
    (void)pthread_mutex_lock(&j->mutex);
}

/* How many spare segments are kept: a fresh file costs two to three times the CPU of a used one, but
 * spare ones are not to be a large part of what the journal may take. */
static inline uint32_t spares_kept(const struct journal *j)
{
    const uint64_t share = j->config.max_bytes / 16;
    const uint64_t n = (share < SPARE_BYTES ? share : SPARE_BYTES) / j->segment_bytes;
    return n < 2 ? 2 : n < SPARES_MAX ? (uint32_t)n : SPARES_MAX;
}

static inline bool is_power(const struct journal *j)
{
    return j->config.durability == JOURNAL_POWER;
}

/* ---- log.c ---- */

/* Frees the mutex and tells the owner what has come up. Not with the turn. */
void log_leave(struct journal *);
void log_take_turn(struct journal *);
void log_give_turn(struct journal *);
/* Asks for journal_work. */
void log_ask_work(struct journal *, int64_t delay_ns);
/* Asks for it so that settlements are written soon. */
void log_ask_flush(struct journal *);
/* The text is of printf's kind. */
void log_set_state(struct journal *, enum journal_state, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* All is well; those that were refused are told. */
void log_set_ok(struct journal *);
/* The state that follows from a negative errno; gives SL_ERR_UNAVAILABLE. */
int32_t log_set_failed(struct journal *, const char *doing, int failed);
void log_count_ended(struct journal *, enum journal_end, uint64_t records, uint64_t items);
void log_free(struct journal *);

/* ---- entry.c ---- */

struct journal_entry *entry_find(const struct journal *, uint64_t seq);
/* Without the mutex; NULL: no memory. */
struct journal_entry *entry_new(void);
/* Into the table and its segment's list; it is filled in. */
void entry_add(struct journal *, struct journal_entry *);
/* Out of everything, and frees it. Counts nothing. */
void entry_remove(struct journal *, struct journal_entry *);
/* If it was put back: as if it were taken again. */
void entry_wait_no_more(struct journal *, struct journal_entry *);
void entry_move(struct journal_entry *, struct segment *, uint64_t at);
/* A place for the mask, all open. False: no memory. */
bool entry_make_mask(struct journal_entry *);
static inline size_t entry_mask_words(uint32_t items)
{
    return ((size_t)items + 63) / 64;
}
/* Clears bits; returns how many were set. */
uint32_t mask_clear(uint64_t *mask, uint32_t first, uint32_t n);
struct journal_entry *entry_in_segment(struct link *);
struct journal_entry *entry_in_put_back(struct link *);
struct journal_entry *entry_in_changed(struct link *);

/* ---- append.c ---- */

/* [turn] Writes behind the last record of the active segment, which has the room. Frees the mutex
 * meanwhile. SL_OK, or SL_ERR_UNAVAILABLE: nothing counts as written, and the state says why. */
int32_t append_at_tail(struct journal *, struct iovec *, int n, uint64_t bytes);
/* Appends the record of a note. The mutex is free before, not after. As journal_append. */
int32_t append_note(struct journal *, struct journal_write *, struct note *);

/* ---- settle.c ---- */

/* Takes so much from what is not settled in the segment. */
void settle_uncount(struct journal *, struct segment *, uint64_t records, uint64_t items,
                    uint64_t bytes);
/* The record has ended: counted, written soon, forgotten. */
void settle_record(struct journal *, struct journal_entry *);
/* [turn] Puts the log's own records that are due into j->house, at most `room` bytes. */
void settle_gather(struct journal *, uint64_t room);
/* [turn] After what was gathered has been written, or not. */
void settle_gathered(struct journal *, bool written);
/* JOURNAL_POWER: what was written until now will be durable, or is to be written again. */
void settle_sync_begins(struct journal *);
void settle_sync_ended(struct journal *, bool durable);
bool settle_is_due(const struct journal *);
/* [turn] Writes all that is due. */
int32_t settle_flush(struct journal *);

/* ---- sync.c: JOURNAL_POWER ---- */

/* Makes what was written durable, or tells those who wait that it is not. */
int32_t sync_now(struct journal *, bool has_turn);
/* [turn] Acts on a sync that has failed since. */
void sync_heed_failure(struct journal *);
bool sync_start_thread(struct journal *);
void sync_stop_thread(struct journal *);
static inline bool sync_may_read(const struct journal *j, uint64_t seq)
{
    return !is_power(j) || seq < j->durable_seq;
}

/* ---- space.c ---- */

enum space_for {
    SPACE_FOR_DATA,
    SPACE_FOR_HOUSE /* one segment is kept for the log's own records */
};
/* [turn] Makes sure that a record of so many bytes, header included, fits into the active segment. SL_OK;
 * SL_ERR_FULL, SL_ERR_UNAVAILABLE: it does not, and the state says why. */
int32_t space_ensure(struct journal *, uint64_t bytes, enum space_for);
/* The largest record, header included. */
uint64_t space_record_max(const struct journal *);
/* [turn] Gives back segments of which nothing is open any more, from the oldest on. */
void space_free_heads(struct journal *);
/* [turn] Begins no record in the newest segment any more. */
void space_seal(struct journal *);
/* [turn] The same, after a failure: what may lie behind its last record does not count. */
void space_cut(struct journal *);
/* Opens the file where it is not open. False: it cannot be, or there is no memory for it; *failed. */
bool segment_pin(struct journal *, struct segment *, int *failed);
void segment_unpin(struct journal *, struct segment *);
/* Closes its file where nobody needs it; ends the segment if it is gone. */
void segment_rest(struct journal *, struct segment *);
struct segment *segment_new(uint64_t id, uint64_t salt);

/* ---- copy.c ---- */

/* [turn] Copies forward what keeps the oldest segments, where that is little. */
void copy_forward(struct journal *);

/* ---- read.c ---- */

/* Moves the cursor to the next record that is unread. [cursor_mutex] SL_OK, SL_ERR_NOT_FOUND,
 * SL_ERR_UNAVAILABLE. */
int32_t read_next(struct journal *, struct journal_record *);
/* Moves the cursor past the unread record there, which was taken or has ended. */
void read_pass(struct journal *, const struct journal_record *, uint32_t open);
/* Takes so much from what is unread in the segment. */
void read_uncount(struct journal *, struct segment *, uint64_t records, uint64_t items,
                  uint64_t bytes);
/* Reads the owner's body of a record, without the mutex. 1; 0: it is damaged; or a negative errno. */
int read_body(struct journal *, const struct segment *, uint64_t at, uint64_t seq, uint32_t bytes,
              uint8_t *body);
/* A record that is damaged ends. `e` is gone. */
void read_end_damaged(struct journal *, struct journal_entry *e);

/* ---- expire.c ---- */

/* [turn] Ends everything in the oldest segment. */
void expire_head(struct journal *);
/* Ends what waits for too long, and asks to be called for the next. Takes the mutex itself. */
void expire_old(struct journal *);

/* ---- notes.c ---- */

/* A note's record was written: where. */
void notes_written(struct journal *, struct note *, uint64_t at, uint64_t number);

/* [turn] Writes the notes anew that lie in the segment. */
int32_t notes_copy(struct journal *, struct segment *);
/* At opening: a NOTE or FORGET was found. SL_OK, SL_ERR_NOMEM. */
int32_t notes_found(struct journal *, struct segment *, uint64_t at, const struct record_head *,
                    const uint8_t *body);
void notes_free(struct journal *);
/* What a body begins with; its bytes. */
size_t notes_body_head(const struct note *, uint8_t out[8]);
/* Drops the list; `again`: puts it back to be written. */
void notes_forgotten(struct journal *, bool again);

/* ---- quarantine.c ---- */

/* Without the mutex. Saves bytes of a segment's file, where that has not been done before. */
void quarantine_save(struct journal *, int fd, uint64_t segment, uint64_t from, uint64_t to);
/* Moves the whole file there. */
void quarantine_move(struct journal *, const char *name);
void quarantine_close(struct journal *);

/* ---- recover.c ---- */

int32_t recover(struct journal *, sl_error *);
#endif
