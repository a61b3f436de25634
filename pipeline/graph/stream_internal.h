/* What the files of a journal's stream share: stream.c (life), stream_push.c (appends and
 * endings) and stream_read.c (reading). */
#ifndef SLUICE_PIPELINE_STREAM_INTERNAL_H
#define SLUICE_PIPELINE_STREAM_INTERNAL_H
#include "pipeline/graph/stream.h"
#include "pipeline/graph/waiters.h"

/* A record that has been taken and not ended. */
struct flight {
    struct stream *stream;
    uint64_t seq, bytes;
    uint32_t items;
    bool settled_before;     /* what ends now had ended before the record was read */
    _Atomic uint32_t failed; /* items that shall be offered again */
};

struct encoding_name {
    struct encoding_name *next;
    char text[];
};

struct stream {
    struct runtime *runtime;
    struct journal *log;
    char *name, *directory;
    uint64_t max_bytes;
    int64_t max_age_ns;
    enum journal_durability durability;
    enum journal_full on_full;
    _Atomic bool healthy;
    uint32_t owners;       /* stream_open without stream_release; guarded by the list's mutex */
    struct stream *next;   /* of the runtime's list */
    _Atomic uint32_t refs; /* owners as one, flights and jobs */
    struct metric *sync_durations; /* a histogram; or NULL */
    struct root_watch watch;
    sl_hear hear; /* of its roots; and `ready` of its reader */

    /* The one in force is ways[epoch & 1]. Who uses it counts itself in, so that whoever replaces
     * it can wait for the count before, which only falls, however many come meanwhile. */
    struct stream_way {
        struct stream_outlet outlet;
        bool leads; /* the outlet may be used */
        _Atomic uint32_t inside;
    } ways[2];
    _Atomic uint32_t epoch;

    _Atomic uint64_t in_flight, in_flight_bytes, appended_items, offered_again, ended[SL_OUTCOMES];

    _Atomic int64_t backoff_ns; /* after the last failure; 0: none since something went well */

    pthread_mutex_t mutex;         /* guards what follows */
    bool reading, read_again;      /* a job reads; and shall look again */
    bool reads_one;                /* it looks for a record, or has one in its hands */
    pthread_cond_t read_one;       /* it does so no longer */
    bool waits_for_outlet;         /* it will be told of room */
    struct clock_timer read_timer; /* after a failure, or without memory */
    int64_t read_at_ns;            /* nothing is read before that; 0: at once */
    struct clock_timer work_timer;
    int64_t work_at_ns; /* when it fires; 0: it is not armed */
    struct encoding_name *encodings;
    struct waiter *waiters;   /* for room in the log */
    _Atomic uint32_t telling; /* threads that tell waiters which they took from the list */
};

void stream_ref(struct stream *);
bool stream_try_ref(struct stream *); /* for timers: false where the last one was given up */
void stream_unref(struct stream *);
/* May a record of so many bytes be on its way, besides those that are? */
bool stream_window_open(const struct stream *, uint64_t bytes);
/* Where it leads, until stream_way_leave; may be entered again within. */
struct stream_way *stream_way_enter(struct stream *);
void stream_way_leave(struct stream_way *);
/* Some of it has ended. */
void stream_fell(struct stream *);
/* A root for a record; takes over the references to payload and metadata. NULL: no memory, and they
 * are given back. */
struct delivery *stream_root(struct stream *, struct payload *, const sl_metadata *,
                             struct flight **);
void stream_root_discard(struct delivery *, struct flight *);
/* A root of stream_root is on its way as this record. */
void stream_root_launch(struct delivery *, struct flight *, uint64_t seq, uint64_t bytes);
/* Pushes it, or puts the record back where the stream leads nowhere. `d` is the root, or a part of
 * it. */
void stream_deliver(struct stream *, struct delivery *d);

/* Of its roots: some items have ended; all have. */
void stream_item_ended(void *stream, uint64_t cookie, uint32_t first, uint32_t n,
                       const struct ending *);
void stream_root_settled(void *stream, uint64_t cookie, const sl_result *);

/* stream_read.c */
void stream_read_timer_fired(struct clock_timer *);
/* What failed is offered again after a while. */
void stream_back_off(struct stream *);
#endif
