/* Deliveries inside the runtime: the handle that plugins see, and behind it the debt.
 *
 * A handle names items; its debt says which root's items end when they do. Handle and debt share
 * one allocation with two references: the handle's, dropped by finish or by passing everything on,
 * and the debt's, dropped when the last item has ended. Everything that settling needs (claim bits,
 * arrays of a fork) is allocated when a delivery is made, so that settling cannot fail.
 *
 *   ROOT      offered by an emitter, who hears when all items have ended
 *   ITEMWISE  child item k is item `first + k - at` of the part it falls into
 *   AS_ONE    its parts end together, with the child's worst outcome
 *   BRANCH    one of several that owe the same items; an item ends with the best outcome
 *
 * Claims on one handle are made by one thread at a time; endings arrive from any thread. */
#ifndef SLUICE_PIPELINE_DELIVERY_H
#define SLUICE_PIPELINE_DELIVERY_H
#include "pipeline/delivery/ledger.h"
#include "pipeline/delivery/payload.h"
#include <pthread.h>

enum delivery_kind { DELIVERY_ROOT, DELIVERY_ITEMWISE, DELIVERY_AS_ONE, DELIVERY_BRANCH };

struct delivery;
struct holder;

/* How items end. */
struct ending {
    uint32_t outcome;
    int32_t status; /* enum sl_status that led to it; SL_OK where there is none */
    int64_t retry_after_ns;
    const char *why;
};

struct part {
    struct delivery *from;
    uint32_t first; /* item of `from` */
    uint32_t at;    /* item of the child at which the part begins */
};

/* Counts by outcome, and the reason of the worst; in roots and AS_ONE children. */
struct tally {
    _Atomic uint32_t n[SL_OUTCOMES];
    atomic_flag lock; /* guards the reason; taken only for failed and rejected items */
    bool has_reason;
    struct ending reason;
};

/* For an emitter inside the runtime that must know which items have ended, and how. Any thread;
 * `settled` of the root's sl_hear comes last. */
struct root_watch {
    void (*ended)(void *ctx, uint64_t cookie, uint32_t first, uint32_t n, const struct ending *);
    void *ctx;
};

struct root {
    const sl_hear *hear; /* may be NULL */
    uint64_t cookie;
    const struct root_watch *watch; /* NULL: nobody asks which items have ended */
    struct ledger *ledger;          /* the emitter's; may be NULL */
    _Atomic uint64_t *unsettled; /* the emitter's roots that have not been heard of; may be NULL */
    _Atomic uint32_t runs;       /* runs through processors that `taken` waits for */
    _Atomic uint32_t gates;      /* settled is heard when both have passed: items, taken */
};

struct fork;

struct delivery {
    sl_delivery pub;
    uint8_t kind;
    bool has_bits;  /* `claimed` is in use; else all or nothing is claimed */
    bool first_run; /* was taken from a lane's input, or from where it was parked */
    bool is_kept;   /* whoever offered it keeps it and offers again what has failed; passed on to
                       children */
    bool is_owed;   /* BRANCH: an item that fails here has failed, whatever other branches make of
                       it; those of what is kept are, so that it is offered again */
    _Atomic uint32_t open; /* items that have not ended */
    _Atomic uint32_t refs;
    uint32_t n_parts;
    struct delivery *run;  /* root whose `taken` waits for this handle's first run; or NULL */
    struct holder *holder; /* list that the handle is in; or NULL */
    struct delivery *prev, *next;
    uint64_t *claimed;   /* a bit for each item; allocated with the delivery */
    struct part *parts;  /* ITEMWISE, AS_ONE */
    struct tally *tally; /* ROOT, AS_ONE */
    union {
        struct root *root; /* ROOT */
        struct fork *fork; /* BRANCH */
    };
};

static inline struct delivery *delivery_of(const sl_delivery *d)
{
    return (struct delivery *)(uintptr_t)d;
}

/* A list of handles that someone holds: an instance, a queue. Any thread. */
struct holder {
    pthread_mutex_t mutex;
    struct delivery *first, *last;
    uint32_t n;
    _Atomic uint64_t items, bytes;
};
int holder_init(struct holder *);
void holder_deinit(struct holder *);
void holder_add(struct holder *, struct delivery *);
/* Takes the handle out of the list that it is in, if any. */
void holder_remove(struct delivery *);

/* ---- making them. Each returns NULL without memory, and then has changed nothing. ---- */

/* Takes over the caller's references to payload and metadata. `unsettled`, if given, is one more
 * until `settled` has returned; the ledger and `hear` are used until then. */
struct delivery *delivery_root(struct payload *, const sl_metadata *, const sl_hear *,
                               uint64_t cookie, struct ledger *, _Atomic uint64_t *unsettled);
/* Pieces are normalised, claimed and become the child's parts. `payload` and `metadata` are taken
 * over where given, else cut and merged. SL_ERR_STATE: an item is claimed twice. */
int32_t delivery_derive(struct memory *, const sl_piece *, uint32_t n, uint32_t mode,
                        struct payload *, const sl_metadata *, struct ledger *,
                        struct delivery **child);
/* `n` branches that owe all of `d`, of which nothing is claimed; the handle `d` ends. */
int32_t delivery_fork(struct delivery *d, uint32_t n, struct delivery **branches);

/* ---- claiming and ending ---- */

int32_t delivery_settle(const sl_piece *, uint32_t n, const struct ending *, struct ledger *);
int32_t delivery_settle_some(struct delivery *, uint32_t n, const struct ending *, struct ledger *);
/* Ends the handle; what is unclaimed ends as said. */
void delivery_finish(struct delivery *, const struct ending *, struct ledger *);
void delivery_drop_payload(struct delivery *);
/* The pieces of `d` that are not claimed, at most `max`; returns how many there are in all. */
uint32_t delivery_unclaimed(struct delivery *, sl_piece *pieces, uint32_t max);

/* `taken` is heard when every run that was begun is over. A root that wants to hear it begins one
 * before it is pushed anywhere, and one more for each handle that carries the token (`run`). */
void delivery_run_begin(struct delivery *root, bool first);
void delivery_run_over(struct delivery *root);

/* ---- inside the module ---- */
int32_t delivery_claim(struct delivery *, uint32_t first, uint32_t n, struct ledger *);
void delivery_unclaim(struct delivery *, uint32_t first, uint32_t n);
sl_piece piece_normal(const sl_piece *);
int32_t claim_pieces(const sl_piece *, uint32_t n, struct ledger *);
void delivery_credit(struct delivery *, uint32_t first, uint32_t n, const struct ending *);
void delivery_unref(struct delivery *);
struct delivery *delivery_new(uint8_t kind, uint32_t items, uint32_t n_parts);
void fork_unref(struct fork *);
void fork_credit(struct fork *, bool is_owed, uint32_t first, uint32_t n, const struct ending *);
/* A payload of the pieces' records. The deliveries must have their payloads. */
int32_t payload_cut(struct memory *, const sl_piece *, uint32_t n, struct payload **);
#endif
