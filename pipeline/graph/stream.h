/* Journal streams: logs (pipeline/journal/log.h) whose records are deliveries.
 *
 *   stream_push --append--> durable: the delivery has ended as absorbed, its sender is answered
 *                     \--taken--> outlet                     (nothing waits on disk: no reading)
 *                      \--waits--> reader --> outlet         (the outlet had no room, or a restart)
 *
 * A stream stands at the input of a pipeline ("in") or in front of an exporter's queue ("out"). It
 * is an emitter of its own: it offers each record until all its items have ended. What failed, or
 * was still on its way when the process ended, is offered again; any other outcome is an end.
 *
 * [any] but where said otherwise. */
#ifndef SLUICE_PIPELINE_STREAM_H
#define SLUICE_PIPELINE_STREAM_H
#include "pipeline/graph/graph.h"
#include "pipeline/journal/log.h"

struct stream;

struct stream_options {
    const char *directory; /* of the storage; the stream has one of its own in it */
    const char *name;      /* "in traces/a", "out otlp/b traces" */
    enum journal_durability durability;
    enum journal_full on_full;
    uint64_t max_bytes;
    int64_t max_age_ns;
};

/* Where a stream's deliveries go. */
struct stream_outlet {
    void *ctx;
    /* May one more be pushed? If not and `ready` is given: that is called once it may. */
    bool (*has_room)(void *ctx, const sl_hear *ready);
    void (*push)(void *ctx, struct delivery *); /* always takes */
    /* The stream's size has fallen. NULL: nobody asks. */
    void (*fell)(void *ctx);
    /* `ready` is not called any more once this has returned. */
    void (*forget)(void *ctx, const sl_hear *ready);
};

/* [control] The stream of this directory and name, opened if nobody has it; options that can change
 * do. NULL: see `error`. */
struct stream *stream_open(struct runtime *, const struct stream_options *, sl_error *error);
/* Has there been one of this directory and name? */
bool stream_is_there(const struct stream_options *);
/* Gives up one stream_open; closes with the last of them, and of its deliveries on their way. */
void stream_release(struct stream *);

/* [control] From now on deliveries go there. NULL: nothing is read or taken any more, what comes in
 * is kept. When it returns nobody uses the outlet before. */
void stream_lead(struct stream *, const struct stream_outlet *);
/* [control] It leads nowhere, if it has led to this outlet. */
void stream_leave(struct stream *, const void *ctx);
/* Looks whether there is something to read. */
void stream_wake(struct stream *);

/* SL_OK: a push would be taken now. SL_ERR_FULL: `hear`, or the lane, is told once it would; where
 * neither is given, nobody. SL_ERR_NOMEM: and could not be remembered. */
int32_t stream_room(struct stream *, const struct component *emitter, const sl_hear *hear,
                    struct lane *waiter);
/* [control] Forgets waiters that are stopped components or closed lanes; before they are freed. */
void stream_forget_gone(struct stream *);
/* Takes the delivery, of which nothing is claimed: it ends as absorbed once it is durable, as
 * failed where the log refuses it, which is counted in the ledger, if given. `run`: the root whose
 * `taken` waits until then; or NULL. `pending`, if given, is one more until the ledger is not used
 * any more. */
void stream_push(struct stream *, struct delivery *, struct delivery *run, struct ledger *ledger,
                 _Atomic uint32_t *pending);
/* What has not ended, in units of a queue's sizer (enum queue_sizer). */
uint64_t stream_size(struct stream *, uint32_t sizer);

/* The log behind it, for notes. */
struct journal *stream_log(struct stream *);
const char *stream_name(const struct stream *);
bool stream_is_at(const struct stream *, const char *directory);
/* False while the log refuses what comes in. */
bool stream_healthy(const struct stream *);

struct stream_stats {
    struct journal_stats log;
    uint64_t appended_items, offered_again;
    uint64_t ended_items[SL_OUTCOMES];   /* since the start, but for failed ones */
    uint64_t in_flight, in_flight_bytes; /* records that were taken and have not ended */
};
void stream_read(struct stream *, struct stream_stats *);
/* [control] Calls `visit` for every stream that is open. */
void streams_each(struct runtime *, void (*visit)(void *, struct stream *), void *arg);
#endif
