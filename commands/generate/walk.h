/* The state of traces.c that attributes.c and logs.c share with it: the trace under construction.
 */
#ifndef SLUICE_GENERATE_WALK_H
#define SLUICE_GENERATE_WALK_H

#include "commands/generate/shopper.h"
#include "commands/generate/topology.h"
#include "commands/generate/traces.h"

enum {
    EVENTS_MAX = 1024,
    LINKS_MAX = 64,
    LOGS_MAX = 2048,
    PENDING_MAX = 32,
};

/* gRPC's status codes serve for all protocols; http goes with it where a call is HTTP. */
enum code {
    CODE_OK = 0,
    CODE_CANCELLED = 1,
    CODE_INVALID = 3,
    CODE_DEADLINE = 4,
    CODE_NOT_FOUND = 5,
    CODE_EXHAUSTED = 8,
    CODE_PRECONDITION = 9,
    CODE_INTERNAL = 13,
    CODE_UNAVAILABLE = 14,
    CODE_UNAUTHENTICATED = 16,
};

struct result {
    uint64_t end;
    enum code code;
    uint16_t http;
    bool refused; /* the caller's fault: not tried again, no error on the server's side */
    sl_bytes message;
};

/* A consumer that will work on a message of this trace. */
struct pending {
    uint16_t operation;
    uint32_t parent;
    uint64_t start;
};

/* Messages of a topic that a batch consumer has not fetched yet. */
struct backlog {
    struct span_link links[LINKS_MAX];
    uint32_t n;
    uint32_t wanted;
    uint64_t newest;
};

struct traces {
    struct traces_options options;
    struct rng rng;
    struct rng arrivals;
    struct rng extras; /* of padding, so that it changes nothing else */
    double clock;      /* ns since options.start */
    uint64_t number;
    uint32_t weights; /* of all journeys */
    struct shopper shopper;
    sl_bytes baggage;
    struct text_pool text;
    struct attr_pool attrs;
    struct span *spans;
    uint32_t span_count;
    struct span_event *events;
    uint32_t event_count;
    struct span_link *links;
    struct log_record *logs;
    uint32_t log_count;
    struct pending pending[PENDING_MAX];
    uint32_t pending_count;
    struct backlog backlog[TOPIC_COUNT];
    uint64_t offsets[TOPIC_COUNT];
    bool failed;
};

/* One call over the network, as its client sees it. */
struct call {
    const struct operation *operation; /* NULL for an outsider */
    const struct outsider *outsider;
    uint32_t attempt;
    struct result result;
};

static inline uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* traces.c */
uint32_t walk_span(struct traces *t, uint32_t parent, enum span_kind kind, uint32_t resource,
                   uint16_t scope, uint64_t start);
uint32_t walk_instance(struct traces *t, enum service_id service);
/* Runs an operation in the span made for it; all that belongs to it has ended by the deadline. */
struct result walk_operation(struct traces *t, uint16_t id, uint32_t span, uint64_t deadline);

/* calls.c */
/* Time of some work, ns: log-normal, and now and then a multiple of it. */
uint64_t walk_latency(struct rng *r, uint32_t median_us, double sigma, double outliers);
/* Runs the first `count` steps of an operation from `start`; r->end is when the last of them has
 * ended. */
void walk_steps(struct traces *t, const struct operation *op, uint32_t count, uint32_t parent,
                uint64_t start, uint64_t deadline, struct result *r);
void walk_fail(struct result *r, enum code code, sl_bytes message);
enum code walk_code(uint16_t http);
uint16_t walk_http(enum code code);

/* attributes.c: each writes name, kind-specific attributes and status of a span whose end is known.
 */
void span_server(struct traces *t, struct span *s, const struct operation *op,
                 const struct result *r, bool root);
void span_client(struct traces *t, struct span *s, const struct call *call);
void span_local(struct traces *t, struct span *s, const struct operation *op,
                const struct result *r);
void span_query(struct traces *t, struct span *s, const struct query *q, const struct result *r);
void span_publish(struct traces *t, struct span *s, const struct topic *topic,
                  const struct result *r);
void span_consume(struct traces *t, struct span *s, const struct operation *op,
                  const struct result *r);
/* An exception event; `origin` where it was thrown, else where it passed through. */
void span_exception(struct traces *t, struct span *s, sl_bytes type, sl_bytes message,
                    uint64_t time);
void span_event_add(struct traces *t, struct span *s, sl_bytes name, uint64_t time,
                    struct attrs attrs);
sl_bytes code_name(enum code code);
const struct service *span_service(const struct traces *t, const struct span *s);

/* logs.c */
void log_operation(struct traces *t, const struct span *s, const struct operation *op,
                   const struct result *r);
void log_retry(struct traces *t, const struct span *s, const struct call *call, uint64_t wait);
void log_degraded(struct traces *t, const struct span *s, uint64_t time, sl_bytes what);

#endif
