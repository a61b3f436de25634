/* The load sender: sends an array of encoded OTLP requests over gRPC or HTTP, again and again,
 * at a given or the highest rate, and reports what became of them. `sluice generate` and the
 * benchmarks use it. The bytes are never copied: requests are cut from the caller's memory for each
 * send. Everything runs in the calling thread (gRPC adds threads of its own, all of which have
 * ended, or sleep, when send_run returns).
 *
 * libgrpc is opened when a gRPC run begins and not linked, because opening it takes longer than
 * a program that also has other commands may take to start. */
#ifndef SLUICE_GENERATE_SEND_H
#define SLUICE_GENERATE_SEND_H

#include "sluice/plugin.h"

#include <stdatomic.h>

enum send_protocol { SEND_GRPC, SEND_HTTP };

/* How one request ended. */
enum send_outcome {
    SEND_ACKNOWLEDGED,      /* a partial success counts here too */
    SEND_REFUSED_RETRYABLE, /* an answer that asks to try again later, and no retry was left */
    SEND_REFUSED_PERMANENT, /* an answer that says never */
    SEND_FAILED             /* no answer: not connected, connection lost, time-out */
};

struct send_request {
    sl_bytes body; /* one Export...ServiceRequest; read until send_run returns */
    uint32_t items;
    enum sl_signal signal;
};

struct send_header {
    const char *name;
    const char *value;
};

struct send_report {
    uint64_t sent;    /* requests that were begun, each counted once however often it was tried */
    uint64_t retries; /* further tries */
    uint64_t acknowledged, refused_retryable, refused_permanent, failed; /* they add up to sent */
    uint64_t items_sent, items_acknowledged, items_refused_retryable, items_refused_permanent,
        items_failed;
    uint64_t partial;            /* acknowledged with a partial success */
    uint64_t items_rejected;     /* by partial successes; part of items_acknowledged */
    uint64_t refusals;           /* answers that asked to try again later, retried or not */
    uint64_t refusals_delayed;   /* of them, those that said when (Retry-After, RetryInfo) */
    uint64_t bytes_acknowledged; /* of bodies, as sent */
    /* From the begin of the acknowledged try until its answer; within 1 % of the true value. */
    uint64_t p50_ns, p90_ns, p99_ns, max_ns;
    uint64_t wall_ns;       /* from the first request to the last answer */
    char last_problem[160]; /* text of the last answer that was not an acknowledgement, or "" */
};

struct send_options {
    enum send_protocol protocol;
    const char
        *endpoint; /* host:port, or with a scheme: http://host:port[/base], grpc://host:port */
    bool gzip;     /* bodies are compressed once, before the first is sent */
    uint32_t connections; /* 0: 1 */
    uint32_t in_flight;   /* for each connection; 0: 1. HTTP/1.1 cannot have more than one, so it
                             opens connections * in_flight */
    double requests_per_second, items_per_second; /* 0: as fast as answers come */
    uint64_t requests;    /* how many to send; 0: no limit, or each once if duration is 0 too */
    uint64_t duration_ns; /* begin none after this; 0: no limit */
    uint64_t timeout_ns;  /* of one try, and for the first connection; 0: 10 s */
    uint32_t retries;     /* of one request, after retryable refusals and failures */
    const struct send_header *headers;
    size_t header_count;
    const atomic_bool *stop; /* when it turns true no request is begun any more; may be NULL */

    /* Called about once a progress_ns (0: once a second), in the calling thread. May be NULL. */
    void (*on_progress)(void *ctx, const struct send_report *so_far);
    uint64_t progress_ns;
    /* Called once for each request begun, in the calling thread. `sequence` counts from 0 in the
     * order of begin; `request` is the index in the array. May be NULL. */
    void (*on_done)(void *ctx, size_t request, uint64_t sequence, enum send_outcome outcome);
    void *ctx;
};

/* Returns when every request begun has ended. SL_OK says that the run took place, whatever the
 * answers were; an error says that it could not begin, or was broken off for want of memory. */
enum sl_status send_run(const struct send_options *options, const struct send_request *requests,
                        size_t count, struct send_report *report, sl_error *error);

#endif
