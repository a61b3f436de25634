/* What the two transports of the load sender share: which request is next and when, what an answer
 * means, retries, counts and latencies. Used by the one thread in send_run. */
#ifndef SLUICE_GENERATE_SEND_CORE_H
#define SLUICE_GENERATE_SEND_CORE_H

#include "commands/generate/send.h"

#define SEND_NS_PER_S 1000000000ull
#define SEND_NEVER UINT64_MAX

/* A latency's class: 128 for each power of two, so that the error is below 0.8 %. */
enum { SEND_CLASS_BITS = 7, SEND_CLASSES = 44 << SEND_CLASS_BITS };

struct send_core {
    const struct send_options *options;
    const struct send_request *requests;
    size_t count;
    sl_bytes *bodies; /* what is sent: the requests' bytes, or their compressed copies */
    uint8_t **owned;  /* the compressed copies, to be freed; NULL without gzip */
    uint64_t limit;   /* requests to begin */
    uint64_t timeout_ns;
    uint64_t start_ns, end_ns, progress_ns; /* of the next progress report */
    double due_ns;                          /* of the next request; only with a rate */
    size_t next;
    uint64_t active; /* begun and not ended */
    struct send_report report;
    uint32_t *latencies; /* SEND_CLASSES counts */
};

/* One request on its way; part of a transport's slot. */
struct send_task {
    uint64_t sequence;
    size_t request;
    uint32_t tries;
    uint64_t try_ns; /* when the present try began */
};

/* What came back for one try. */
struct send_answer {
    enum send_outcome outcome;
    bool partial;
    uint64_t rejected; /* items, with a partial success */
    bool delayed;      /* delay_ns was told by the server */
    uint64_t delay_ns;
    char text[160]; /* of what is not an acknowledgement */
};

enum sl_status send_core_init(struct send_core *c, const struct send_options *options,
                              const struct send_request *requests, size_t count, sl_error *error);
void send_core_deinit(struct send_core *c);

uint64_t send_now(void); /* monotonic, ns */

/* Starts the clock; to be called once all connections stand. */
void send_core_start(struct send_core *c);

/* True when a request is to be begun now: `task` says which. Otherwise *wake_ns is when to ask
 * again (SEND_NEVER: there will be no further one). */
bool send_core_begin(struct send_core *c, uint64_t now_ns, struct send_task *task,
                     uint64_t *wake_ns);

/* Takes the answer to a try. True when the task is to be tried again, at *again_ns; otherwise it
 * has ended, and its slot should begin nothing before *again_ns (0 unless the connection failed).
 */
bool send_core_end(struct send_core *c, uint64_t now_ns, struct send_task *task,
                   const struct send_answer *answer, uint64_t *again_ns);

bool send_core_stopping(const struct send_core *c);

/* Reports progress when it is time. Transports call it at least every SEND_TICK_NS. */
void send_core_tick(struct send_core *c, uint64_t now_ns);
#define SEND_TICK_NS (50 * 1000000ull)

/* Fills the report; to be called when nothing is active. */
void send_core_finish(struct send_core *c);

/* Reads a response body. False when malformed. */
bool send_read_partial(sl_bytes body, struct send_answer *answer);

/* Looks for RetryInfo in a google.rpc.Status, and sets delayed and delay_ns. */
void send_read_retry_info(sl_bytes status, struct send_answer *answer);

/* The transports: send until nothing is left. */
enum sl_status send_grpc(struct send_core *c, const char *target, sl_error *error);
enum sl_status send_http(struct send_core *c, const char *authority, const char *base,
                         sl_error *error);

enum sl_status send_fail(sl_error *error, enum sl_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
