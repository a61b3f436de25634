/* sluice/plugin.h - the plugin ABI of Sluice, version 0.1.  C11 and C++; header-only.
 *
 * A plugin is a shared object made from one file and this header: cc -shared -fPIC -o my.so my.c
 * It describes component types (receivers, processors, exporters, connectors, extensions, codecs)
 * in one exported constant, `sluice_plugin`, and calls the host only through the table it is given:
 * it links against nothing of Sluice's. <sluice/otlp.h> reads and writes the bytes of OTLP.
 *
 * CONCEPTS
 *   payload    immutable, counted bytes of one signal: OTLP protobuf, or a codec's encoding. It has
 *              `items` records (spans, metric points, log records) numbered 0..items-1 in wire
 *              order.
 *   delivery   a payload, its metadata, and the debt for its items. It has one owner at a time.
 *   piece      {delivery, first, count}: names items and their bytes.
 *   claim      to settle an item with an outcome, or to hand it on in a derived delivery. Each item
 *              of a delivery is claimed exactly once.
 *   component  one entry of the config file, `type/name`.
 *   instance   a processor's state in a lane.
 *   lane       a place where a pipeline's processors run one after another. A lane is symbolic: it
 *              may move between operating system threads, but never runs twice at the same time.
 *   emitter    whoever offers new deliveries: a receiver, a connector.
 *
 * LIFE OF A COMPONENT
 *   1. The host fills the config struct from the file by the type's field table, defaults included.
 *   2. `create` allocates only. Without `create` the filled config struct is the component; its
 *      first member is an `sl_base`. A `create` that fails frees what it made: nothing is called
 *      after it.
 *   3. `prepare` checks what can be checked without side effects (files exist, patterns compile).
 *   4. `start` may open sockets and files. Extensions are started first, then consumers before
 *      those who feed them. Where `prepare`, `start` or `open` fails, `stop` and `destroy` follow.
 *   5. `open` makes an instance in each lane; without it `process` gets the component itself, from
 *      all lanes at once, and must treat it as read-only.
 *   6. `drain`: take in nothing new, finish or hand on what is held, until the deadline. Receivers
 *      first; extensions are not drained, they serve until `stop`.
 *   7. `close`, then `stop`, then `destroy`. What an instance still owns after `close` is settled
 *      by the host as failed. `stop` and `destroy` are legal from every state; `stop` also
 *      repeatedly.
 *
 *        create -> CREATED --start--> RUNNING --drain--> DRAINING --stop--> STOPPED --destroy--> gone
 *                     \_______________ stop, destroy: legal from every state ___________/
 *
 * WHO OWNS A DELIVERY `d` AND A PAYLOAD `p`
 *   call                         after SL_OK                  after any other status
 *   type->process(inst, d)       the plugin owns d            the host keeps d (see below)
 *   type->send(comp, d, s)       the host owns d throughout; what `send` leaves unclaimed ends as
 *                                its status says (see sl_type.send)
 *   sl_offer(h, p, ...)          the host owns p              the caller keeps p
 *   sl_forward(h, d)             d is gone, always; SL_ERR_FULL says: taken, but pause until on_ready
 *   sl_finish(h, d, oc, why)     d is gone; items not yet claimed are settled as oc. Cannot fail
 *   sl_settle(h, d, a, n, oc, y) items a..a+n-1 are claimed   nothing is claimed
 *   sl_derive(h, pieces, ...)    the pieces are claimed, a    nothing is claimed; a payload passed
 *                                payload passed in is the     in stays the caller's
 *                                child's
 *   sl_select(h, d, keep, why)   d is gone                    the caller keeps d, nothing is claimed
 *   sl_drop_payload(h, d)        the bytes are given back, the debt for the items stays
 *
 *   A status of `process` other than SL_OK is legal only while nothing of d is claimed.
 *   SL_ERR_FULL: d comes again once the instance is ready. REJECTED, INVALID, TOO_LARGE: d is settled
 *   as rejected. All others: d is settled as failed.
 *   A handle ends only by forward, finish or select; claiming its last item does not free it.
 *   To claim an item twice is SL_ERR_STATE, and ends a Sluice that is built for tests; so is to
 *   select from a delivery of which something is claimed.
 *   Deliveries without items never reach a plugin.
 *
 * THREADS (the tag in front of every function pointer)
 *   [control]   one call at a time for each component; may allocate, open files, wait briefly
 *   [lane]      on the instance's lane: never concurrently for one instance; must not block
 *   [blocking]  on a thread that may sleep; several calls for one component at once
 *   [any]       from any thread; thread-safe; never blocks
 *   Claims on one delivery are made by its owner, one thread at a time.
 *
 * GROWING, THE TWO WAYS
 *   1. Tables begin with their size and grow at the end. A reader copies min(theirs, its own) and
 *      treats what is missing as zero; test a newer slot with SL_HAS.
 *   2. Everything optional is an interface: a table fetched by a string id with a revision, such as
 *      "sluice.listen/1", from the host, a component or another plugin. NULL: not there. Ids that
 *      begin with "sluice." are Sluice's; plugins give theirs a name of their own.
 *   Before 1.0 tables may still change; the host refuses another minor version. Reserved fields are
 *   zero; unknown flag bits are refused.
 *   No exception, longjmp or signal may leave a plugin.
 */
#ifndef SLUICE_PLUGIN_H
#define SLUICE_PLUGIN_H
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SL_ABI_MAJOR 0
#define SL_ABI_MINOR 1
#define SL_MAGIC 0x45434c53u /* "SLCE" in little-endian order */

/* Does this table, perhaps of an older host or plugin, have the slot? */
#define SL_HAS(table, type_, slot)                                                                 \
    ((table)->size >= offsetof(type_, slot) + sizeof((table)->slot) && (table)->slot)

#if defined(__GNUC__)
#define SL_PRINTF_(f, a) __attribute__((format(printf, f, a)))
#define SL_MUST_USE_ __attribute__((warn_unused_result))
#else
#define SL_PRINTF_(f, a)
#define SL_MUST_USE_
#endif

/* ---- 1. base ------------------------------------------------------------------------------ */

/* What a call answers. Closed list; a reader treats an unknown negative value as SL_ERR_FAILED. */
enum sl_status {
    SL_OK = 0,
    SL_ERR_FAILED = -1,      /* for no reason below; may be tried again */
    SL_ERR_FULL = -2,        /* no room now; `ready` or `on_ready` follows */
    SL_ERR_NOMEM = -3,       /* memory, or the memory budget, is used up; may be tried again */
    SL_ERR_INVALID = -4,     /* the argument, or the bytes, are malformed; for good */
    SL_ERR_UNSUPPORTED = -5, /* this host, plugin or component cannot do it; for good */
    SL_ERR_REJECTED = -6,    /* refused for good by a policy or a destination */
    SL_ERR_TOO_LARGE = -7,   /* above a limit; for good */
    SL_ERR_UNAVAILABLE = -8, /* a destination cannot be reached or is throttled; try again */
    SL_ERR_TIMEOUT = -9,     /* no answer in time; try again */
    SL_ERR_DENIED = -10,     /* credentials are missing or do not allow it; for good */
    SL_ERR_NOT_FOUND = -11,
    SL_ERR_IO = -12,       /* a file or socket failed; the text has the errno */
    SL_ERR_SHUTDOWN = -13, /* the host or component is stopping */
    SL_ERR_STATE = -14     /* not legal in this state */
};

/* Signals, usable as a mask. The set is open: a pipeline that only moves bytes passes any. */
enum sl_signal { SL_TRACES = 1, SL_METRICS = 2, SL_LOGS = 4, SL_PROFILES = 8 };

/* A slice of bytes or UTF-8 text; not NUL-terminated unless a field says so. Same layout as
 * struct iovec. Never owned by whoever holds the slice: the giver says until when it is valid. */
typedef struct sl_bytes {
    const uint8_t *p;
    size_t n;
} sl_bytes;

/* Filled by a call that fails, if the caller passed one; always NUL-terminated. */
typedef struct sl_error {
    uint32_t size; /* set by the caller: sizeof(sl_error) */
    int32_t code;  /* enum sl_status */
    char text[504];
    const void *at; /* of `create` and `prepare`: the member of the config struct that is wrong, so
                       that the host tells its place in the file; or NULL. See sl_fail_at */
} sl_error;

static inline sl_bytes sl_slice(const void *p, size_t n)
{
    sl_bytes b;
    b.p = (const uint8_t *)p;
    b.n = n;
    return b;
}

static inline sl_bytes sl_str(const char *s)
{
    return sl_slice(s, s ? strlen(s) : 0);
}

static inline bool sl_eq(sl_bytes a, sl_bytes b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Writes the text into `error`, if there is one, and returns `code`: return sl_fail(e, ...); */
static inline int32_t sl_fail(sl_error *error, int32_t code, const char *format, ...)
    SL_PRINTF_(3, 4);
static inline int32_t sl_fail(sl_error *error, int32_t code, const char *format, ...)
{
    if (error) {
        va_list args;
        error->code = code;
        va_start(args, format);
        (void)vsnprintf(error->text, sizeof error->text, format, args);
        va_end(args);
    }
    return code;
}

/* The same about a member of the config struct: sl_fail_at(e, ..., &config->endpoint, ...); */
static inline int32_t sl_fail_at(sl_error *error, int32_t code, const void *member,
                                 const char *format, ...) SL_PRINTF_(4, 5);
static inline int32_t sl_fail_at(sl_error *error, int32_t code, const void *member,
                                 const char *format, ...)
{
    if (error) {
        va_list args;
        error->code = code;
        va_start(args, format);
        (void)vsnprintf(error->text, sizeof error->text, format, args);
        va_end(args);
        if (error->size >= sizeof *error)
            error->at = member;
    }
    return code;
}

/* One for each component, and one for each instance of it in a lane. */
typedef struct sl_host_table sl_host_table;
typedef struct sl_host {
    const sl_host_table *table;
} sl_host;

/* ---- 2. payloads, metadata ----------------------------------------------------------------- */

enum {
    SL_PAYLOAD_ALIGNED = 1 /* no top-level record runs from one segment into the next */
};

/* Read-only for everyone; lives as long as a delivery, or the caller, holds it. The segments, one
 * after another, are the message. */
typedef struct sl_payload {
    uint32_t size;
    uint32_t signal; /* one of enum sl_signal */
    uint32_t items;  /* records; 1 for what the host cannot count */
    uint32_t n_segments;
    uint64_t bytes; /* sum of the segments */
    const sl_bytes *segments;
    const char *encoding; /* NULL: OTLP protobuf; else a codec's name */
    uint32_t flags;
    uint32_t reserved;
} sl_payload;

typedef struct sl_meta_entry {
    sl_bytes key; /* lower case */
    sl_bytes value;
} sl_meta_entry;

enum {
    SL_META_REPLAYED = 1 /* comes from a journal, perhaps for the second time */
};

/* Immutable and counted. A key that has several values stands there several times. */
typedef struct sl_metadata {
    uint32_t size;
    uint32_t flags;
    uint32_t n;
    uint32_t reserved;
    const sl_meta_entry *at;
    int64_t arrived_ns; /* host clock at the emitter; of a merge: the earliest */
} sl_metadata;

/* Defined in <sluice/otlp.h>: arrays of spans, points or log records over a payload. */
typedef struct sl_view sl_view;

/* ---- 3. deliveries ------------------------------------------------------------------------- */

/* How an item ends; from best to worst for branches of a fork, where the best counts. */
enum sl_outcome {
    SL_DELIVERED, /* a destination has it */
    SL_ABSORBED,  /* became part of something else, as durable as the journal */
    SL_DROPPED,   /* left out on purpose: filtered, sampled out */
    SL_EXPIRED,   /* given up after a cap that the operator set */
    SL_FAILED,    /* could not be handled now; sending it again makes sense */
    SL_REJECTED,  /* refused for good; sending it again does not make sense */
    SL_OUTCOMES
};

/* The public head; the host's part follows it. Only the owner looks at it. */
typedef struct sl_delivery {
    const sl_payload *payload;   /* NULL after sl_drop_payload */
    const sl_metadata *metadata; /* never NULL */
    uint32_t items;              /* fixed for life */
    uint32_t unclaimed;          /* falls to 0 as items are claimed */
} sl_delivery;

/* count 0 with first 0 stands for the whole delivery. */
typedef struct sl_piece {
    sl_delivery *from;
    uint32_t first, count;
    sl_bytes with; /* if .p: stands in for the one item's record (rewrite); copied by derive */
} sl_piece;

enum sl_derive_mode {
    SL_ITEMWISE = 0, /* child item k is the k-th item of the pieces: outcomes go back one by one */
    SL_AS_ONE = 1    /* items are made or multiplied: the pieces end when the whole child has, with
                        its worst outcome (failed, rejected, expired, dropped, absorbed, delivered) */
};

/* What became of an offered delivery. `why` and `retry_after_ns` belong to the worst outcome in it;
 * valid during the call. */
typedef struct sl_result {
    uint32_t size;
    uint32_t items;
    uint32_t n[SL_OUTCOMES]; /* they add up to `items` once everything has ended */
    int32_t status;          /* enum sl_status that led to failed or rejected items, or SL_OK */
    uint32_t reserved;
    int64_t retry_after_ns; /* 0: not said */
    const char *why;        /* NULL: not said */
} sl_result;

/* When an emitter may tell its sender that the data is safe; see sl_ack. */
enum sl_ack {
    SL_ACK_TAKEN = 0,    /* in memory: when `taken` is heard */
    SL_ACK_SETTLED = 1,  /* a destination answered: when `settled` is heard */
    SL_ACK_JOURNALED = 2 /* on disk: `taken` is heard only after the journal's write */
};

/* How an emitter hears about what it offered; the struct stays valid until the last settled. Called
 * [any], perhaps before the offer itself has returned, one after the other for each cookie. */
typedef struct sl_hear {
    uint32_t size;
    uint32_t reserved;
    void *ctx;
    /* The run through the processors has returned on every branch. `so_far` tells the items that
     * have already ended, such as those that a processor refused. Optional. */
    void (*taken)(void *ctx, uint64_t cookie, const sl_result *so_far);
    /* Every item has ended. Exactly once for each accepted offer, after `taken`. Perhaps after
     * `stop`, where a reload has removed the emitter; never after `destroy`. */
    void (*settled)(void *ctx, uint64_t cookie, const sl_result *result);
    /* There is room again; once after offers answered SL_ERR_FULL. */
    void (*ready)(void *ctx);
} sl_hear;

/* ---- 4. the host's table ------------------------------------------------------------------- */

enum sl_log_level { SL_LOG_DEBUG = -4, SL_LOG_INFO = 0, SL_LOG_WARN = 4, SL_LOG_ERROR = 8 };

typedef struct sl_log_field {
    const char *key;
    sl_bytes value;
} sl_log_field;

enum sl_component_status {
    SL_STATUS_STARTING = 1, /* not ready yet: health answers 503 */
    SL_STATUS_OK = 2,
    SL_STATUS_RECOVERABLE = 3, /* works on it */
    SL_STATUS_PERMANENT = 4,   /* needs an operator */
    SL_STATUS_FATAL = 5        /* the process should end: it drains and exits with an error */
};

struct sl_host_table {
    uint32_t size;
    uint32_t reserved;

    /* [any] An optional interface of the host, or NULL. Lives as long as the component. */
    const void *(*interface_of_host)(const sl_host *, const char *id);
    /* [control, lane] An interface of another component, by its config name ("basicauth/prod"), or
     * NULL. Where several kinds have the name, the first is taken that has the interface: of the
     * extension, the connector, the exporter, the processor, the receiver. Extensions are made before
     * all others: theirs are there from `prepare` on. It is valid as long as the caller: where a
     * reload changes what was found, it makes the caller anew. */
    const void *(*interface_of_component)(const sl_host *, const char *name, const char *id);
    /* [any] Memory that is accounted to the component; NULL when there is none. Aligned to 16. */
    void *(*allocate)(const sl_host *, size_t n);
    void (*release)(const sl_host *, void *);
    /* [any] Structured log line. `log_enabled` is cheap. */
    bool (*log_enabled)(const sl_host *, int32_t level);
    void (*log)(const sl_host *, int32_t level, sl_bytes text, const sl_log_field *, uint32_t n);
    /* [any] Monotonic nanoseconds, and wall clock since 1970; both virtual in tests. */
    int64_t (*now)(const sl_host *);
    int64_t (*wall_clock)(const sl_host *);
    /* [any] Reports health; `text` is copied. */
    void (*status)(const sl_host *, int32_t component_status, const char *text);
    /* [any] The component's config name, "otlp/2", NUL-terminated; lives as long as it. */
    const char *(*name)(const sl_host *);

    /* Payloads [any]. `open` gives memory for `capacity` bytes to write to; SL_ERR_NOMEM when the
     * process budget is used up. `grow` keeps what is written; `*at` may move. `close` makes it a
     * payload: for OTLP (encoding NULL) it checks the bytes and counts the items, and `items` is
     * ignored. `signal` is one bit, also one that this header does not name: of such a payload the
     * bytes are not looked at. After an error of grow or close the caller still owns the payload,
     * and ends it with `payload_unref`, as any that is not passed on. */
    int32_t (*payload_open)(const sl_host *, uint64_t capacity, sl_payload **, uint8_t **at);
    int32_t (*payload_grow)(const sl_host *, sl_payload *, uint64_t capacity, uint8_t **at);
    int32_t (*payload_close)(const sl_host *, sl_payload *, uint64_t used, uint32_t signal,
                             const char *encoding, uint32_t items, sl_error *);
    void (*payload_ref)(const sl_host *, const sl_payload *);
    void (*payload_unref)(const sl_host *, const sl_payload *);
    /* [any] The whole payload in one piece; made on first demand; valid as long as the payload. */
    int32_t (*payload_flatten)(const sl_host *, const sl_payload *, sl_bytes *);
    /* [any] Index of the records (see otlp.h); built on first demand; valid as long as the payload.
     * SL_ERR_UNSUPPORTED: it has an encoding, or is of a signal without views. */
    int32_t (*payload_view)(const sl_host *, const sl_payload *, sl_view *);

    /* Metadata [any]: a new list of copies, those of `base` (may be NULL) first. The caller unrefs
     * it. NULL: no memory. */
    const sl_metadata *(*metadata_make)(const sl_host *, const sl_metadata *base,
                                        const sl_meta_entry *, uint32_t n);
    void (*metadata_unref)(const sl_host *, const sl_metadata *);

    /* Emitters [any]. `port` is 0. `metadata` may be NULL and stays the caller's; `hear` may be NULL.
     * SL_ERR_FULL: no room; the `ready` of `hear` follows. SL_ERR_UNSUPPORTED: no pipeline takes this
     * signal from the component. SL_ERR_SHUTDOWN: the pipelines take in nothing any more.
     * SL_ERR_UNAVAILABLE, SL_ERR_NOMEM: not now. */
    int32_t (*offer)(const sl_host *, uint32_t port, sl_payload *, const sl_metadata *,
                     const sl_hear *, uint64_t cookie);
    /* [any] enum sl_ack of what happens to deliveries of this signal. */
    int32_t (*ack)(const sl_host *, uint32_t port, uint32_t signal);

    /* Owners of a delivery: [any], one thread at a time for each delivery; forward and select only
     * on the instance's lane. `why` is a short constant such as "queue_full": it becomes a label of
     * the metrics and must stay valid as long as the process. */
    int32_t (*forward)(const sl_host *, uint32_t port, sl_delivery *);
    void (*finish)(const sl_host *, sl_delivery *, int32_t outcome, const char *why);
    int32_t (*settle)(const sl_host *, const sl_piece *, uint32_t n, int32_t outcome,
                      const char *why);
    /* For a destination that tells a number without saying which: n unclaimed items, whichever. */
    int32_t (*settle_some)(const sl_host *, sl_delivery *, uint32_t n, int32_t outcome,
                           const char *why);
    /* `payload` NULL: cut from the pieces (their deliveries must still have theirs). One that is
     * given has as many items as the pieces; AS_ONE needs one, of any number but 0. `metadata` stays
     * the caller's; NULL: what all parents agree on. */
    int32_t (*derive)(const sl_host *, const sl_piece *, uint32_t n, uint32_t mode,
                      sl_payload *payload, const sl_metadata *, sl_delivery **child);
    int32_t (*select)(const sl_host *, sl_delivery *, const uint64_t *keep, const char *why);
    void (*drop_payload)(const sl_host *, sl_delivery *);

    /* Instances [lane]. A timer slot (0..7) fires once at `at_ns` of `now`; 0 disarms it. An
     * instance that is not ready gets no `process` until it is. */
    void (*timer)(const sl_host *, uint32_t slot, int64_t at_ns);
    void (*set_ready)(const sl_host *, bool ready);
    /* A bit for each of `bits` items, all ones; valid until the callback returns; NULL: no memory.
     */
    uint64_t *(*scratch_mask)(const sl_host *, uint32_t bits);

    /* [any] Runs `work` [blocking], then `done` (may be NULL): on the lane for an instance's host,
     * else [any]. Both have run before the instance's `close`, or the component's `destroy`, is
     * called: while `stop` runs, they may. After any status but SL_OK neither will.
     * SL_ERR_SHUTDOWN: the instance is closed, or `stop` has returned. */
    int32_t (*blocking)(const sl_host *, void (*work)(void *), void (*done)(void *), void *arg);
};

static inline const void *sl_interface(const sl_host *h, const char *id)
{
    return h->table->interface_of_host(h, id);
}
static inline const void *sl_component(const sl_host *h, const char *name, const char *id)
{
    return h->table->interface_of_component(h, name, id);
}
static inline void *sl_allocate(const sl_host *h, size_t n)
{
    return h->table->allocate(h, n);
}
static inline void sl_release(const sl_host *h, void *p)
{
    h->table->release(h, p);
}
static inline int64_t sl_now(const sl_host *h)
{
    return h->table->now(h);
}
static inline int64_t sl_wall_clock(const sl_host *h)
{
    return h->table->wall_clock(h);
}
static inline const char *sl_name(const sl_host *h)
{
    return h->table->name(h);
}
static inline void sl_report(const sl_host *h, int32_t component_status, const char *text)
{
    h->table->status(h, component_status, text);
}
static inline void sl_log(const sl_host *h, int32_t level, const char *format, ...)
    SL_PRINTF_(3, 4);
static inline void sl_log(const sl_host *h, int32_t level, const char *format, ...)
{
    if (h->table->log_enabled(h, level)) {
        char text[1024];
        va_list args;
        va_start(args, format);
        (void)vsnprintf(text, sizeof text, format, args);
        va_end(args);
        h->table->log(h, level, sl_str(text), NULL, 0);
    }
}
/* The same with fields; `text` is constant, so that lines of one kind are counted together. */
static inline void sl_log_with(const sl_host *h, int32_t level, const char *text,
                               const sl_log_field *fields, uint32_t n)
{
    h->table->log(h, level, sl_str(text), fields, n);
}
static inline bool sl_log_enabled(const sl_host *h, int32_t level)
{
    return h->table->log_enabled(h, level);
}
static inline int32_t sl_payload_open(const sl_host *h, uint64_t capacity, sl_payload **p,
                                      uint8_t **at)
{
    return h->table->payload_open(h, capacity, p, at);
}
static inline int32_t sl_payload_grow(const sl_host *h, sl_payload *p, uint64_t capacity,
                                      uint8_t **at)
{
    return h->table->payload_grow(h, p, capacity, at);
}
static inline int32_t sl_payload_close(const sl_host *h, sl_payload *p, uint64_t used,
                                       uint32_t signal, const char *encoding, uint32_t items,
                                       sl_error *error)
{
    return h->table->payload_close(h, p, used, signal, encoding, items, error);
}
static inline void sl_payload_ref(const sl_host *h, const sl_payload *p)
{
    h->table->payload_ref(h, p);
}
static inline void sl_payload_unref(const sl_host *h, const sl_payload *p)
{
    h->table->payload_unref(h, p);
}
static inline int32_t sl_payload_flatten(const sl_host *h, const sl_payload *p, sl_bytes *flat)
{
    return h->table->payload_flatten(h, p, flat);
}
static inline int32_t sl_payload_view(const sl_host *h, const sl_payload *p, sl_view *view)
{
    return h->table->payload_view(h, p, view);
}
static inline const sl_metadata *sl_metadata_make(const sl_host *h, const sl_metadata *base,
                                                  const sl_meta_entry *entries, uint32_t n)
{
    return h->table->metadata_make(h, base, entries, n);
}
static inline void sl_metadata_unref(const sl_host *h, const sl_metadata *m)
{
    h->table->metadata_unref(h, m);
}
static inline int32_t sl_offer(const sl_host *h, sl_payload *p, const sl_metadata *m,
                               const sl_hear *hear, uint64_t cookie)
{
    return h->table->offer(h, 0, p, m, hear, cookie);
}
static inline int32_t sl_ack(const sl_host *h, uint32_t signal)
{
    return h->table->ack(h, 0, signal);
}
static inline int32_t sl_forward(const sl_host *h, sl_delivery *d)
{
    return h->table->forward(h, 0, d);
}
static inline void sl_finish(const sl_host *h, sl_delivery *d, int32_t outcome, const char *why)
{
    h->table->finish(h, d, outcome, why);
}
static inline int32_t sl_settle(const sl_host *h, sl_delivery *d, uint32_t first, uint32_t count,
                                int32_t outcome, const char *why)
{
    sl_piece piece;
    piece.from = d;
    piece.first = first;
    piece.count = count;
    piece.with = sl_slice(NULL, 0);
    return h->table->settle(h, &piece, 1, outcome, why);
}
static inline int32_t sl_settle_some(const sl_host *h, sl_delivery *d, uint32_t n, int32_t outcome,
                                     const char *why)
{
    return h->table->settle_some(h, d, n, outcome, why);
}
static inline int32_t sl_derive(const sl_host *h, const sl_piece *pieces, uint32_t n,
                                sl_delivery **child)
{
    return h->table->derive(h, pieces, n, SL_ITEMWISE, NULL, NULL, child);
}
/* The same with bytes or metadata of its own. */
static inline int32_t sl_derive_with(const sl_host *h, const sl_piece *pieces, uint32_t n,
                                     uint32_t mode, sl_payload *payload, const sl_metadata *m,
                                     sl_delivery **child)
{
    return h->table->derive(h, pieces, n, mode, payload, m, child);
}
static inline int32_t sl_select(const sl_host *h, sl_delivery *d, const uint64_t *keep,
                                const char *why)
{
    return h->table->select(h, d, keep, why);
}
static inline void sl_drop_payload(const sl_host *h, sl_delivery *d)
{
    h->table->drop_payload(h, d);
}
/* The index over a delivery's records, see otlp.h; SL_ERR_STATE once its payload was dropped. */
static inline int32_t sl_view_of(const sl_host *h, const sl_delivery *d, sl_view *view)
{
    return d->payload ? h->table->payload_view(h, d->payload, view) : SL_ERR_STATE;
}
static inline void sl_timer(const sl_host *h, uint32_t slot, int64_t at_ns)
{
    h->table->timer(h, slot, at_ns);
}
static inline void sl_set_ready(const sl_host *h, bool ready)
{
    h->table->set_ready(h, ready);
}
static inline int32_t sl_blocking(const sl_host *h, void (*work)(void *), void (*done)(void *),
                                  void *arg)
{
    return h->table->blocking(h, work, done, arg);
}
static inline uint64_t *sl_mask(const sl_host *h, const sl_delivery *d)
{
    return h->table->scratch_mask(h, d->items);
}
static inline void sl_mask_clear(uint64_t *mask, uint32_t i)
{
    mask[i / 64] &= ~(UINT64_C(1) << (i % 64));
}
static inline bool sl_mask_test(const uint64_t *mask, uint32_t i)
{
    return (mask[i / 64] >> (i % 64)) & 1;
}

/* ---- 5. optional interfaces ---------------------------------------------------------------- */

/* The host's own are fetched with sl_interface; their first argument is the host of the caller, but
 * where a handle stands for it. A component's own are fetched from it by others with sl_component
 * (SL_AUTH_SERVER, SL_AUTH_CLIENT) or by the host (SL_ASYNC_SEND, see section 7). Tables live as
 * long as who gave them. */

/* Listening sockets. They belong to the host, which keeps them over a reload. */
#define SL_LISTEN "sluice.listen/1"
typedef struct sl_listen {
    uint32_t size;
    uint32_t reserved;
    /* [control] A bound, listening, non-blocking, close-on-exec socket for "host:port" (port 0:
     * any) or, with transport "unix", a path. Fails when someone else listens there. */
    int32_t (*open)(const sl_host *, sl_bytes endpoint, sl_bytes transport, int32_t *fd,
                    sl_error *);
    /* [control] The plugin stops accepting on it, and does not close or shut it down: over a reload
     * another component may have the same socket. */
    void (*done)(const sl_host *, int32_t fd);
} sl_listen;

/* Readiness of file descriptors, on the instance's lane (type->on_fd). One shot: after on_fd the
 * instance watches again when it wants to hear more. Stop watching before closing the descriptor.
 */
#define SL_POLL "sluice.poll/1"
enum { SL_POLL_READ = 1, SL_POLL_WRITE = 2 };
typedef struct sl_poll {
    uint32_t size;
    uint32_t reserved;
    /* [lane] Watches for events, or with 0 no longer watches the descriptor. */
    int32_t (*watch)(const sl_host *, int32_t fd, uint32_t events);
} sl_poll;

/* The process's memory budget, for memory that the host does not allocate (a library's receive
 * buffers). Payloads and `allocate` are counted by themselves. */
#define SL_BUDGET "sluice.budget/1"
typedef struct sl_budget {
    uint32_t size;
    uint32_t reserved;
    bool (*reserve)(const sl_host *, uint64_t bytes);   /* [any] false: above the limit now */
    void (*give_back)(const sl_host *, uint64_t bytes); /* [any] */
} sl_budget;

/* The memory of the whole process, for those who refuse data before it runs out. */
#define SL_MEMORY "sluice.memory/1"
typedef struct sl_memory {
    uint32_t size;
    uint32_t reserved;
    /* [any] Bytes that the process has for itself, as the system counts them; 0: not known. Costs a
     * microsecond. */
    uint64_t (*used)(const sl_host *);
    uint64_t (*granted)(const sl_host *); /* [control] what the container or machine lets it have */
    void (*trim)(const sl_host *);        /* [blocking] gives back what is only kept for reuse */
} sl_memory;

/* A component's own metrics, shown beside the host's, labelled with the component's name. A series
 * is valid until the component's `destroy`; texts are copied. */
#define SL_METRICS_INTERFACE "sluice.metrics/1"
enum { SL_COUNTER = 1, SL_GAUGE = 2 };
enum { SL_LABELS_MAX = 4 };
typedef struct sl_metric sl_metric;
typedef struct sl_metric_histogram sl_metric_histogram;
typedef struct sl_metrics {
    uint32_t size;
    uint32_t reserved;
    /* [control] A counter or a gauge. `label` and `value`, one pair, may be NULL. NULL: no memory,
     * or over the limit on series. Asking again gives the same one. Names as Prometheus takes them.
     */
    sl_metric *(*metric)(const sl_host *, uint32_t kind, const char *name, const char *help,
                         const char *label, const char *value);
    void (*add)(sl_metric *, int64_t); /* [any]; a NULL metric is ignored */
    void (*set)(sl_metric *, int64_t); /* [any] */
    /* [control] `bounds`: the buckets' upper ends, ascending, each included; 1 to 32 of them,
     * copied. NULL as for `metric`. */
    sl_metric_histogram *(*histogram)(const sl_host *, const char *name, const char *help,
                                      const int64_t *bounds, uint32_t n_bounds);
    void (*record)(sl_metric_histogram *, int64_t); /* [any]; NULL is ignored */
    /* [control] The same as `metric` with at most SL_LABELS_MAX labels; NULL where there are more. */
    sl_metric *(*labelled)(const sl_host *, uint32_t kind, const char *name, const char *help,
                           const sl_log_field *labels, uint32_t n);
} sl_metrics;

/* Another plugin's interface, loaded on first demand, so that a heavy library is opened only where
 * the config needs it. */
#define SL_PLUGINS "sluice.plugins/1"
typedef struct sl_plugins {
    uint32_t size;
    uint32_t reserved;
    /* [control, blocking], and from threads of the plugin's own that may wait for a disk. `file` is
     * a plugin's file name without ".so". */
    int32_t (*load)(const sl_host *, const char *file, const char *id, const void **table,
                    sl_error *);
} sl_plugins;

/* A directory of the component's own, mode 0700, kept between runs; made on first demand. */
#define SL_STORAGE "sluice.storage/1"
typedef struct sl_storage {
    uint32_t size;
    uint32_t reserved;
    int32_t (*directory)(const sl_host *, const char **path, sl_error *); /* [control] */
} sl_storage;

/* An extension's own: a directory for journals and persistent queues, named by `storage:` in the
 * config. Fetched after `start`; what it says stays true until `destroy`. */
#define SL_STORAGE_PROVIDER "sluice.storage_provider/1"
typedef struct sl_storage_provider {
    uint32_t size;
    uint32_t sync;         /* nonzero: what is kept in it shall survive a loss of power */
    const char *directory; /* is there since `start` */
    uint64_t max_bytes;    /* of each journal or queue in it; 0: what their own keys say */
} sl_storage_provider;

/* Notes in the pipeline's journal. What the instance forwards or settles after `append` leaves the
 * host only once the note is as durable as the journal. NULL where the pipeline has no journal. */
#define SL_JOURNAL_NOTE "sluice.journal_note/1"
typedef struct sl_journal_note {
    uint32_t size;
    uint32_t reserved;
    int32_t (*append)(const sl_host *, sl_bytes key, sl_bytes note); /* [lane] */
    void (*forget)(const sl_host *, sl_bytes key);                   /* [lane] */
} sl_journal_note;

/* An extension's own: checks who sends. A receiver fetches it by the name in its key
 * `auth: {authenticator: basicauth/prod}`. */
#define SL_AUTH_SERVER "sluice.auth_server/1"
typedef struct sl_auth_server {
    uint32_t size;
    uint32_t reserved;
    void *self;            /* first argument of the call */
    const char *header;    /* what carries the credentials, in lower case: never to be kept */
    const char *challenge; /* for WWW-Authenticate, `Basic realm="x"`; NULL: none */
    /* [any] May compute a slow hash, but waits for nobody. `headers`: a request's, names in lower
     * case. SL_OK: `identity` gets what is to be put into the delivery's metadata, keys that begin
     * with "auth." such as "auth.username", or NULL; the caller unrefs it. SL_ERR_DENIED: the text
     * may be shown to the sender, and names no secret. SL_ERR_UNAVAILABLE, SL_ERR_NOMEM: it cannot
     * be told now; the sender may try again. */
    int32_t (*authenticate)(void *self, const sl_meta_entry *headers, uint32_t n,
                            const sl_metadata **identity, sl_error *);
} sl_auth_server;

/* An extension's own: proves to a destination who sends. An exporter fetches it likewise. */
#define SL_AUTH_CLIENT "sluice.auth_client/1"
typedef struct sl_auth_client {
    uint32_t size;
    uint32_t reserved;
    void *self; /* first argument of the call */
    /* [any] Never blocks. The headers to add to a request, in place of its own of the same names;
     * names in lower case. Asked for each request, as they may change. The caller unrefs the list,
     * and shows no value of it. */
    int32_t (*headers)(void *self, const sl_metadata **, sl_error *);
} sl_auth_client;

/* What the whole process says of itself; for health checks and status pages. */
#define SL_PROCESS "sluice.process/1"
typedef struct sl_process {
    uint32_t size;
    uint32_t reserved;
    /* [any] true when every component is ready and none has failed for good. */
    bool (*healthy)(const sl_host *);
    int64_t (*up_since)(const sl_host *); /* [any] wall clock ns at which it became ready; 0: not */
    /* [any] Calls `write` with parts of a text, valid during the call: the metrics as Prometheus
     * reads them. `write` is short and calls nothing of the host's but `allocate` and `release`: a
     * lock is held meanwhile. */
    void (*write_metrics)(const sl_host *, void (*write)(void *ctx, sl_bytes), void *ctx);
    /* [any] How the last reload of the config ended, and when (wall clock ns): SL_OK;
     * SL_ERR_FAILED: nothing has changed; SL_ERR_NOT_FOUND: there was none. */
    int32_t (*last_reload)(const sl_host *, int64_t *at_ns);
} sl_process;

/* What the whole process is made of and has done; for status pages. What is visited is valid during
 * `visit`, which must be short and calls nothing of the host's but `allocate` and `release`: a lock
 * is held meanwhile. SL_OK, or SL_ERR_NOMEM: not all of it was visited. */
#define SL_INSPECT "sluice.inspect/1"

/* A component, with its items of one signal since it was made, of all pipelines that it is in:
 * received = forwarded + ended + held, but where items are made or multiplied. */
typedef struct sl_node_info {
    uint32_t size;
    uint32_t kind;    /* enum sl_kind */
    uint32_t signal;  /* of the counts; 0: there are none */
    int32_t status;   /* enum sl_component_status */
    const char *name; /* config name */
    const char *text; /* of the status; "" */
    uint64_t received, forwarded;
    uint64_t ended[SL_OUTCOMES]; /* here, by outcome */
    uint64_t held;               /* now inside */
    /* exporters */
    uint64_t held_bytes;
    uint64_t queue_size, queue_capacity; /* as the queue counts; 0: it has no queue */
    uint32_t in_flight;                  /* sends that run now */
    uint32_t reserved;
} sl_node_info;

typedef struct sl_pipeline_info {
    uint32_t size;
    uint32_t signal;
    const char *name; /* "traces/in" */
    uint32_t lanes;
    uint32_t n_nodes;
    const sl_node_info *const *nodes; /* in the order of the flow */
    uint64_t waiting, waiting_bytes;  /* requests in front of the lanes */
} sl_pipeline_info;

/* A line of the log that tells of a problem. */
typedef struct sl_log_line {
    uint32_t size;
    int32_t level;         /* enum sl_log_level */
    uint64_t count;        /* how often it was said */
    int64_t at_ns;         /* the last time; wall clock */
    const char *component; /* config name, or "" */
    const char *text;      /* with its error; long ones are cut */
} sl_log_line;

typedef struct sl_process_info {
    uint32_t size; /* set by the caller */
    uint32_t reserved;
    int64_t pid;
    const char *version;                               /* lives as long as the process */
    uint64_t memory_limit, memory_used, memory_pooled; /* bytes; limit 0: none */
} sl_process_info;

typedef struct sl_inspect {
    uint32_t size;
    uint32_t reserved;
    int32_t (*pipelines)(const sl_host *, void (*visit)(void *ctx, const sl_pipeline_info *),
                         void *ctx); /* [any] */
    int32_t (*extensions)(const sl_host *, void (*visit)(void *ctx, const sl_node_info *),
                          void *ctx); /* [any] in the order in which they start */
    /* [any] The latest of them, the newest first; each text once. */
    int32_t (*problems)(const sl_host *, void (*visit)(void *ctx, const sl_log_line *), void *ctx);
    void (*process)(const sl_host *, sl_process_info *); /* [any] */
} sl_inspect;

/* A payload of which only a part is new, so that what was checked is not checked again, and what
 * stays is not copied. */
#define SL_REWRITE "sluice.rewrite/1"
typedef struct sl_rewrite {
    uint32_t size;
    uint32_t reserved;
    /* [any] Closes a payload that payload_open gave: the message is the segments one after another,
     * each of which lies within the first `used` bytes written, or within one segment of `from` or
     * of its flat form, which the payload then holds. `from` may be NULL. The bytes are OTLP of
     * `signal` with `items` records; the host believes it, and a payload that is wrong spoils what
     * it is merged with. `flags`: SL_PAYLOAD_ALIGNED where it holds. SL_ERR_INVALID: a segment lies
     * elsewhere. After an error the caller still owns the payload. */
    int32_t (*close)(const sl_host *, sl_payload *, const sl_payload *from, uint64_t used,
                     const sl_bytes *segments, uint32_t n, uint32_t signal, uint32_t items,
                     uint32_t flags);
} sl_rewrite;

/* Payloads in other encodings: for who wants them (an exporter that is told a format), or takes what
 * is encoded (SL_ANY_ENCODING) and needs OTLP after all. The codec is loaded on first demand. */
#define SL_CODECS "sluice.codecs/1"
typedef struct sl_codecs {
    uint32_t size;
    uint32_t reserved;
    /* [any] The payload in the encoding of a codec's name, NULL: as OTLP; `in` itself where it has
     * the encoding. The caller unrefs it. May take as long as the codec does. SL_ERR_UNSUPPORTED: no
     * codec of that name for the signal. */
    int32_t (*transcode)(const sl_host *, const sl_payload *in, const char *encoding,
                         sl_payload **out, sl_error *);
} sl_codecs;

/* ---- 6. config tables ---------------------------------------------------------------------- */

/* Kinds of fields, and the C type of the member that each fills. */
enum sl_field_kind {
    SL_FIELD_BOOL = 1,     /* uint8_t */
    SL_FIELD_U32 = 2,      /* uint32_t */
    SL_FIELD_I64 = 3,      /* int64_t */
    SL_FIELD_U64 = 4,      /* uint64_t */
    SL_FIELD_F64 = 5,      /* double */
    SL_FIELD_TEXT = 6,     /* sl_bytes, NUL-terminated; .p is NULL where nothing is set */
    SL_FIELD_DURATION = 7, /* int64_t nanoseconds; "1h2m3s4ms" */
    SL_FIELD_SIZE = 8,     /* uint64_t bytes; 65536, "64KiB", "2MB" */
    SL_FIELD_ENUM = 9,     /* uint32_t index into names */
    SL_FIELD_TEXTS = 10,   /* sl_list of sl_bytes */
    SL_FIELD_MAP = 11,     /* sl_list of sl_meta_entry; keys as written */
    SL_FIELD_STRUCT = 12,  /* a nested struct */
    SL_FIELD_LIST = 13,    /* sl_list of structs */
    SL_FIELD_UNION = 14,   /* one of several structs, chosen by the value of a sibling key */
    SL_FIELD_RAW = 15      /* const sl_raw *: the subtree as written, with positions */
};

enum sl_field_flag {
    SL_REQUIRED = 1,
    SL_SECRET = 2, /* never shown: not in logs, errors or print-config */
    SL_IGNORED =
        4, /* known from the OpenTelemetry Collector, without meaning here; `help` says why */
    SL_DEPRECATED = 8,
    SL_INLINE = 16, /* a struct whose keys stand among its parent's */
    SL_BOUNDED = 32 /* min and max hold even where both are 0; they hold wherever min < max */
};

typedef struct sl_list {
    const void *at;
    uint32_t n, stride;
} sl_list;

#define SL_LIST_AT(type_, list, i)                                                                 \
    ((const type_ *)(const void *)((const uint8_t *)(list).at + (size_t)(i) * (list).stride))

/* A node of the config as it was written. `kind`: 0 null, 1 scalar, 2 list, 3 map. */
typedef struct sl_raw {
    uint32_t size, kind;
    sl_bytes key;  /* in a map: the key */
    sl_bytes text; /* of a scalar; NUL-terminated */
    uint32_t quoted, n;
    const struct sl_raw *children; /* list and map: n of them, an array */
    const char *file;
    uint32_t line, column;
} sl_raw;

typedef struct sl_field sl_field;
typedef struct sl_struct {
    uint32_t size; /* of the C struct */
    uint32_t reserved;
    const sl_field *fields; /* ends with a field whose key is NULL */
} sl_struct;

typedef union sl_number {
    int64_t i;
    uint64_t u;
    double f;
} sl_number;

struct sl_field {
    const char *key; /* NULL ends a table */
    uint32_t kind;   /* enum sl_field_kind */
    uint32_t flags;
    uint32_t offset;  /* of the member */
    uint32_t present; /* offset + 1 of a uint8_t that is set to 1 when the key stands there; or 0 */
    const char *help; /* one sentence */
    const char *unit; /* of a number; NULL: none */
    const char *text; /* default of a TEXT; NULL: not set. A LIST or TEXTS is empty by default */
    sl_number def, min, max;  /* by kind: BOOL, U32, U64, SIZE, ENUM .u; I64, DURATION .i; F64 .f */
    const char *const *names; /* ENUM and UNION: names, ends with NULL */
    const sl_struct *of;      /* STRUCT, LIST: the struct; may be an enclosing one */
    const sl_struct *const *choices; /* UNION: a struct for each name, NULL where it has no keys */
    const char *tag_key;             /* UNION: the sibling key that chooses, such as "type" */
    uint32_t tag; /* UNION: offset of the uint32_t that gets the index of the name */
    uint32_t reserved;
};

/* Do min and max hold for the field? */
static inline bool sl_field_is_bounded(const sl_field *f)
{
    if (f->flags & SL_BOUNDED)
        return true;
    switch (f->kind) {
    case SL_FIELD_U32:
    case SL_FIELD_U64:
    case SL_FIELD_SIZE:
        return f->min.u < f->max.u;
    case SL_FIELD_I64:
    case SL_FIELD_DURATION:
        return f->min.i < f->max.i;
    case SL_FIELD_F64:
        return f->min.f < f->max.f;
    default:
        return false;
    }
}

#ifndef __cplusplus
/* The member's C type is checked: a field declared `int` does not compile as SL_U32. In each macro
 * the key is the member's name and more designators may follow the help text:
 *     SL_U32(struct batch, send_batch_size, "Items that trigger a send.", .def.u = 8192) */
#define SL_OFFSET_(S, m, T) ((uint32_t)(offsetof(S, m) + 0 * sizeof(_Generic(((S *)0)->m, T : 1))))
#define SL_FIELD_(S, m, T, kind_, help_, ...)                                                      \
    {                                                                                              \
        .key = #m, .kind = (kind_), .offset = SL_OFFSET_(S, m, T), .help = (help_), __VA_ARGS__    \
    }
#define SL_BOOL(S, m, ...) SL_FIELD_(S, m, uint8_t, SL_FIELD_BOOL, __VA_ARGS__, .reserved = 0)
#define SL_U32(S, m, ...) SL_FIELD_(S, m, uint32_t, SL_FIELD_U32, __VA_ARGS__, .reserved = 0)
#define SL_I64(S, m, ...) SL_FIELD_(S, m, int64_t, SL_FIELD_I64, __VA_ARGS__, .reserved = 0)
#define SL_U64(S, m, ...) SL_FIELD_(S, m, uint64_t, SL_FIELD_U64, __VA_ARGS__, .reserved = 0)
#define SL_F64(S, m, ...) SL_FIELD_(S, m, double, SL_FIELD_F64, __VA_ARGS__, .reserved = 0)
#define SL_TEXT(S, m, ...) SL_FIELD_(S, m, sl_bytes, SL_FIELD_TEXT, __VA_ARGS__, .reserved = 0)
#define SL_DURATION(S, m, ...)                                                                     \
    SL_FIELD_(S, m, int64_t, SL_FIELD_DURATION, __VA_ARGS__, .reserved = 0)
#define SL_SIZE(S, m, ...) SL_FIELD_(S, m, uint64_t, SL_FIELD_SIZE, __VA_ARGS__, .reserved = 0)
#define SL_ENUM(S, m, names_, ...)                                                                 \
    SL_FIELD_(S, m, uint32_t, SL_FIELD_ENUM, __VA_ARGS__, .names = (names_))
#define SL_TEXTS(S, m, ...) SL_FIELD_(S, m, sl_list, SL_FIELD_TEXTS, __VA_ARGS__, .reserved = 0)
#define SL_MAP(S, m, ...) SL_FIELD_(S, m, sl_list, SL_FIELD_MAP, __VA_ARGS__, .reserved = 0)
#define SL_LIST(S, m, of_, ...) SL_FIELD_(S, m, sl_list, SL_FIELD_LIST, __VA_ARGS__, .of = (of_))
#define SL_RAW(S, m, ...) SL_FIELD_(S, m, const sl_raw *, SL_FIELD_RAW, __VA_ARGS__, .reserved = 0)
#define SL_STRUCT(S, m, of_, ...)                                                                  \
    {                                                                                              \
        .key = #m, .kind = SL_FIELD_STRUCT, .offset = (uint32_t)offsetof(S, m), .of = (of_),       \
        .help = __VA_ARGS__                                                                        \
    }
/* The member is a C union; the chosen struct stands in the file under the chosen name. */
#define SL_UNION(S, m, tag_, names_, choices_, ...)                                                \
    {                                                                                              \
        .key = #m, .kind = SL_FIELD_UNION, .offset = (uint32_t)offsetof(S, m), .tag_key = #tag_,   \
        .tag = SL_OFFSET_(S, tag_, uint32_t), .names = (names_), .choices = (choices_),            \
        .help = __VA_ARGS__                                                                        \
    }
/* A key of the collector's that means nothing here; it is checked for nothing. */
#define SL_IGNORE(key_, help_)                                                                     \
    {                                                                                              \
        .key = (key_), .kind = SL_FIELD_RAW, .flags = SL_IGNORED, .help = (help_)                  \
    }
/* Designators for the macros above. */
#define SL_PRESENT(S, m) .present = SL_OFFSET_(S, m, uint8_t) + 1
#define SL_RANGE(member, low, high) .min.member = (low), .max.member = (high)
#define SL_END                                                                                     \
    {                                                                                              \
        .key = NULL                                                                                \
    }
#endif

/* ---- 7. component types -------------------------------------------------------------------- */

enum sl_kind {
    SL_KIND_receiver = 1,
    SL_KIND_processor = 2,
    SL_KIND_exporter = 3,
    SL_KIND_connector = 4, /* exporter of one pipeline, receiver of another */
    SL_KIND_extension = 5,
    SL_KIND_codec = 6 /* turns OTLP payloads into an encoding and back; found by name and signal */
};

enum sl_type_flag {
    SL_TRACE_AFFINITY = 1, /* all spans of a trace must reach the same lane */
    SL_HOLDS = 2,          /* keeps deliveries beyond `process`; may shut its own door */
    SL_MUTATES = 4,        /* changes items, and so never passes bytes on untouched */
    SL_QUEUE = 8,          /* exporter: takes the key sending_queue */
    SL_RETRY = 16,         /* exporter: takes the key retry_on_failure */
    SL_TIMEOUT = 32,       /* exporter: takes the key timeout (see sl_type.timeout_ns) */
    SL_ANY_ENCODING = 64, /* can take payloads that are not OTLP; else a codec decodes them first */
    SL_INERT =
        128 /* extension: known from the OpenTelemetry Collector, and does nothing here; `help`
                      says why. The host tells the operator */
};

enum sl_stability {
    SL_DEVELOPMENT = 1,
    SL_ALPHA = 2,
    SL_BETA = 3,
    SL_STABLE = 4,
    SL_STABILITY_DEPRECATED = 5
};

/* First member of every config struct; the host fills it. */
typedef struct sl_base {
    const sl_host *host;
} sl_base;
#define sl_host_of(self) (((const sl_base *)(self))->host)

/* One attempt of an exporter to send. */
typedef struct sl_send {
    uint32_t size;
    uint32_t attempt;       /* in: 0 for the first */
    int64_t deadline_ns;    /* in: `now` at which the attempt should have ended; 0: none */
    int64_t retry_after_ns; /* out: what the destination asked for; 0: the host's backoff decides */
    const char *why;        /* out: short constant for the metrics, such as "http_503" */
    sl_error error;         /* out: for the log */
} sl_send;

/* An exporter's own: sending without a thread that waits for each answer. Fetched from the
 * component (type->interface_of) after `start`; NULL: it has only `send`. Otherwise the host calls
 * `begin` where it would have called `send`, and keeps as many attempts going as it has consumers;
 * `send` stands in the type none the less, for hosts that do not know this. */
#define SL_ASYNC_SEND "sluice.async_send/1"
typedef struct sl_async_send {
    uint32_t size;
    uint32_t reserved;
    /* [any] Never blocks. SL_OK: `done` is called exactly once, [any] and perhaps before `begin`
     * has returned, with the status that `send` would have returned. Until then the delivery is the
     * exporter's to read and to settle, and the sl_send stays valid. After any other status `done`
     * is not called; the status counts as that of a send. `stop` makes those that run end soon. */
    int32_t (*begin)(void *component, sl_delivery *, sl_send *,
                     void (*done)(void *ctx, int32_t status), void *ctx);
} sl_async_send;

typedef struct sl_type {
    uint32_t size;
    uint32_t kind;              /* enum sl_kind */
    const char *name;           /* as it stands in config files */
    const char *help;           /* one paragraph */
    const char *const *aliases; /* other names; ends with NULL; may be NULL. See SL_ALIAS */
    uint32_t signals;           /* mask of what it takes (receiver: gives) */
    uint32_t signals_out;       /* connector: mask of what it gives; 0: the same */
    uint32_t flags;             /* enum sl_type_flag */
    uint32_t stability;         /* enum sl_stability */
    uint32_t config_size;       /* of the config struct, which begins with an sl_base */
    uint32_t reserved;
    const sl_field *fields; /* see section 6 */
    int64_t timeout_ns;     /* exporter with SL_TIMEOUT: its default; 0: none */

    /* Component [control]. `config` stays valid until destroy. */
    int32_t (*create)(void *config, void **component, sl_error *);
    int32_t (*prepare)(void *component, sl_error *);
    int32_t (*start)(void *component, sl_error *);
    void (*drain)(void *component, int64_t deadline_ns);
    void (*stop)(void *component);
    void (*destroy)(void *component);
    /* [any, after create] An interface that other components fetch; NULL: unknown id. */
    const void *(*interface_of)(void *component, const char *id);

    /* Processors, and connectors on their exporting side. */
    int32_t (*open)(void *component, const sl_host *lane, void **instance,
                    sl_error *);                       /* [control] */
    void (*close)(void *instance);                     /* [lane] */
    int32_t (*process)(void *instance, sl_delivery *); /* [lane] */
    void (*on_timer)(void *instance, uint32_t slot);   /* [lane] while the output has room */
    void (*on_ready)(void *instance);                  /* [lane] after forward answered FULL */
    void (*on_drain)(void *instance);                  /* [lane] forward early what is held; again
                                                          until nothing is */
    void (*on_fd)(void *instance, int32_t fd, uint32_t events);   /* [lane] */
    void (*on_note)(void *instance, sl_bytes key, sl_bytes note); /* [lane] before any delivery */

    /* Exporters [blocking]: the host owns queue, consumers and backoff, and keeps the delivery.
     * `stop` makes a `send` that still runs return soon. What `send` has not claimed when it returns
     * ends by its status: SL_OK delivered; REJECTED, INVALID, TOO_LARGE, DENIED, UNSUPPORTED
     * rejected; any other is tried again after retry_after_ns or the backoff, with only what is
     * still unclaimed. */
    int32_t (*send)(void *component, sl_delivery *, sl_send *);

    /* Codecs [any]: same items, same order, same bytes out for the same bytes in. */
    int32_t (*encode)(void *component, const sl_payload *in, sl_payload **out, sl_error *);
    int32_t (*decode)(void *component, const sl_payload *in, sl_payload **out, sl_error *);
} sl_type;

/* ---- 8. the plugin ------------------------------------------------------------------------- */

typedef struct sl_plugin {
    uint32_t magic;
    uint32_t size;
    uint16_t abi_major, abi_minor;
    uint32_t n_types;
    const char *version; /* the plugin's own */
    const sl_type *const *types;
    /* [any] An interface for other plugins (see SL_PLUGINS); may be NULL. */
    const void *(*interface_of)(const char *id);
} sl_plugin;

#define SL_CAT_(a, b) a##b
#define SL_CAT(a, b) SL_CAT_(a, b)
#define SL_QUOTE_(a) #a
#define SL_QUOTE(a) SL_QUOTE_(a)

/* Lines of the section ".sluice" let the host list a plugin's types without loading it; the macros
 * below write them, so that the section and the types cannot disagree. The macros that need C's
 * designators are not there in C++: a plugin in C++ fills its sl_field, sl_type and sl_plugin by
 * hand, and writes the lines with SL_SECTION_: "abi 0.1", and "type processor:NAME" for each type
 * and alias. */
#define SL_SECTION_(text)                                                                          \
    static const char SL_CAT(sl_section_, __COUNTER__)[]                                           \
        __attribute__((section(".sluice"), used, aligned(1))) = text

#ifdef __cplusplus
#define SL_EXPORT_ extern "C" __attribute__((visibility("default")))
#else
#define SL_EXPORT_ extern __attribute__((visibility("default")))
#endif
#ifdef SL_STATIC_NAME /* several plugins linked into one test program */
#define SL_SYMBOL_ SL_CAT(sluice_plugin_, SL_STATIC_NAME)
#else
#define SL_SYMBOL_ sluice_plugin
#endif

#ifndef __cplusplus
/* SL_TYPE(processor, drop_spans, .signals = SL_TRACES, ...) defines sl_type_drop_spans. */
#define SL_TYPE(kind_, name_, ...)                                                                 \
    SL_SECTION_("type " #kind_ ":" #name_);                                                        \
    static const sl_type sl_type_##name_ = {                                                       \
        .size = sizeof(sl_type), .kind = SL_KIND_##kind_, .name = #name_, __VA_ARGS__}
/* One more name of a type; also to be listed in its .aliases. */
#define SL_ALIAS(kind_, name_) SL_SECTION_("type " #kind_ ":" #name_)
/* .config_size and .fields; the struct's first member must be `sl_base base`. */
#define SL_CONFIG(S, fields_)                                                                      \
    .config_size = (uint32_t)(sizeof(S) + 0 * sizeof(_Generic(((S *)0)->base, sl_base : 1)) +      \
                              0 * sizeof(char[offsetof(S, base) == 0 ? 1 : -1])),                  \
    .fields = (fields_)
#define SL_PLUGIN(version_, ...) SL_PLUGIN_WITH(version_, NULL, __VA_ARGS__)
/* The same, with a function that answers for interfaces of the plugin. */
#define SL_PLUGIN_WITH(version_, interface_of_, ...)                                               \
    SL_SECTION_("abi " SL_QUOTE(SL_ABI_MAJOR) "." SL_QUOTE(SL_ABI_MINOR));                         \
    static const sl_type *const sl_types_[] = {__VA_ARGS__};                                       \
    SL_EXPORT_ const sl_plugin SL_SYMBOL_;                                                         \
    const sl_plugin SL_SYMBOL_ = {SL_MAGIC,                                                        \
                                  sizeof(sl_plugin),                                               \
                                  SL_ABI_MAJOR,                                                    \
                                  SL_ABI_MINOR,                                                    \
                                  sizeof sl_types_ / sizeof *sl_types_,                            \
                                  version_,                                                        \
                                  sl_types_,                                                       \
                                  interface_of_}
#endif

#ifdef __cplusplus
}
#else
_Static_assert(sizeof(void *) == 8, "Sluice runs on 64-bit machines");
_Static_assert(sizeof(sl_bytes) == 16 && sizeof(sl_delivery) == 24 && sizeof(sl_piece) == 32,
               "shapes that plugins index");
#endif
#endif
