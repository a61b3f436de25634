/* A sink's own struct, and what its files share: sink.c (the queue), sink_send.c (attempts and
 * consumers), sink_store.c (what it keeps on disk), sink_life.c (reload, draining, ending). */
#ifndef SLUICE_PIPELINE_SINK_INTERNAL_H
#define SLUICE_PIPELINE_SINK_INTERNAL_H
#include "pipeline/graph/lane.h"
#include "pipeline/graph/queue_batch.h"
#include "pipeline/graph/sink.h"
#include "pipeline/graph/stream.h"

/* One delivery on its way out. */
struct attempt {
    struct sink *sink;
    struct delivery *d;
    uint32_t n; /* attempts made */
    int64_t first_ns, backoff_ns;
    uint64_t items, bytes; /* what the delivery counted for when it was queued */
    struct clock_timer timer;
    struct attempt *next; /* free, or due again */
    bool waiting;         /* for its timer */
    bool is_due;          /* its wait is over */
    sl_send send;
};

enum { SINK_KEPT_BYTES = 16 << 20 /* that wait in memory of what is kept on disk */ };
enum {
    SINK_STALLED_NS = 100000000 /* all attempts go on, and none has been answered for so long */
};

/* What a sink does with its stream on disk. */
enum sink_store {
    STORE_NOTHING,
    STORE_OVERFLOW, /* what cannot be sent soon */
    STORE_ALL       /* sending_queue.storage */
};

struct sink {
    struct component *component;
    uint32_t signal;
    struct exporter_config config;
    struct ledger *ledger;
    const sl_async_send *async;    /* NULL: consumers are threads */
    pthread_mutex_t mutex;         /* guards what follows */
    pthread_cond_t work;           /* for consumers; and for sink_close, that sends have ended */
    bool pumping, pump_again;      /* someone hands out attempts; and shall look again */
    struct delivery *first, *last; /* the queue, or */
    struct queue_batch *batch;     /* one that merges; NULL: it does not */
    struct clock_timer flush;      /* of what has waited long enough in it */
    int64_t flush_ns;              /* when it fires; 0: it is not armed */
    uint64_t queued_requests, queued_items, queued_bytes;
    uint64_t out_requests, out_items, out_bytes; /* in attempts */
    struct attempt *attempts, *free, *due;
    pthread_t *threads;
    uint32_t n_threads, idle, in_flight, max_consumers;
    struct waiter *waiters;
    _Atomic uint32_t waking;      /* threads that poke waiters which they took from the list */
    _Atomic int64_t max_age_ns;   /* see sink_keep */
    _Atomic bool waits_for_store; /* makes lanes wait where it would refuse: see sink_keep */
    struct stream *stream;        /* NULL: STORE_NOTHING */
    enum sink_store store;
    int64_t busy_since_ns;       /* STORE_OVERFLOW: when the last free attempt began */
    _Atomic uint32_t storing;    /* appends to it that are not durable yet, and use the ledger */
    _Atomic bool overflows;      /* STORE_OVERFLOW: what comes goes to the stream */
    const sl_hear *store_waits;  /* the stream's reader, which waits for room; or NULL */
    _Atomic(struct sink *) heir; /* after a reload: gets all that is not being sent; or NULL */
    bool stopping;
    int64_t drain_deadline_ns; /* 0: not draining */
    uint64_t sends, retries;
    uint64_t left; /* items given up because the process ends */
    uint64_t random;
};

/* Those who can be told that there is room. */
struct sink_wake {
    struct waiter *waiters;
    const sl_hear *store;
};

/* ---- sink.c; the mutex is held where not said otherwise ---- */

bool sink_is_full(const struct sink *);
/* Not held. Does a full queue make lanes wait, instead of refusing? */
bool sink_makes_wait(const struct sink *);
bool sink_has_work(const struct sink *);
/* The next delivery to send; NULL: there is none now. */
struct delivery *sink_take(struct sink *);
/* Any delivery of the queue, as it is; NULL: it is empty. */
struct delivery *sink_pop(struct sink *);
/* Someone shall look at the work; an async sink is pumped once the mutex is released. */
void sink_call_consumer(struct sink *);
/* Not held. `always`: also above the bound. */
void sink_enqueue(struct sink *, struct delivery *, bool always);
void sink_refuse(struct sink *, struct delivery *, int32_t status, uint32_t items);
/* The waiters, if there are room and any; to be poked without the mutex. */
struct sink_wake sink_take_waiters(struct sink *);
void sink_poke(struct sink *, struct sink_wake);

/* ---- sink_store.c ---- */

void sink_release_store(struct sink *);
/* Room for what the stream reads? Held. */
bool sink_store_room(const struct sink *);
/* Not held. From now on what comes goes to the stream, and what waits in the queue does. */
void sink_overflow(struct sink *);
/* Not held. Takes it to the stream, or refuses it; false: it goes into the queue. */
bool sink_to_store(struct sink *, struct delivery *, struct delivery *run);
/* Not held. Room on disk; else the lane is told. */
bool sink_store_takes(struct sink *, struct lane *waiter);

/* ---- sink_send.c ---- */

void *sink_consume(void *sink);
/* Not held. Hands out attempts of an async sink while there are any. */
void sink_pump(struct sink *);
void sink_timer_fired(struct clock_timer *);
/* The attempt is free for another delivery. Held. */
void sink_release_attempt(struct sink *, struct attempt *);
/* Its wait is over. Held. */
void sink_make_due(struct sink *, struct attempt *);
/* Not held. */
void sink_finish_attempt(struct attempt *, const struct ending *);
/* Not held. What this sink does not send any more. */
void sink_hand_on(struct sink *heir, struct delivery *);
#endif
