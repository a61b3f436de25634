/* Follows the call trees of topology's operations and gives each step its time: sequential and
 * parallel calls, time-outs that cancel what runs below them, retries, failures that travel up, and
 * messages that others work on later. Runs on the thread that generates. */
#include "commands/generate/traces.h"

#include "commands/generate/queries.h"
#include "commands/generate/walk.h"

#include <stdlib.h>

#define MS UINT64_C(1000000)
#define DAY_NS 86400e9
#define GATEWAY_TIMEOUT_MS 15000
#define CONSUMER_TIMEOUT_MS 30000

enum {
    SPAN_REMOTE = 0x301,
    SPAN_LOCAL = 0x101
}; /* sampled; and whether the parent is in another process */

void trace_context(uint64_t seed, uint64_t number, uint32_t span, struct span_context *out)
{
    uint64_t key = rng_mix(seed ^ rng_mix(number));
    uint64_t words[3] = {rng_mix(key + 1), rng_mix(key + 2), rng_mix(key + 3 + span)};
    for (unsigned i = 0; i < 8; i++) {
        out->trace_id[i] = (uint8_t)(words[0] >> (8 * i));
        out->trace_id[8 + i] = (uint8_t)(words[1] >> (8 * i));
        out->span_id[i] = (uint8_t)(words[2] >> (8 * i));
    }
    out->span_id[7] |= 1; /* never all zero */
}

uint32_t walk_span(struct traces *t, uint32_t parent, enum span_kind kind, uint32_t resource,
                   uint16_t scope, uint64_t start)
{
    if (t->span_count == TRACES_SPANS_MAX) {
        t->failed = true;
        t->span_count--;
    }
    uint32_t index = t->span_count++;
    struct span *s = &t->spans[index];
    memset(s, 0, sizeof(*s));
    trace_context(t->options.seed, t->number, index, &s->context);
    s->parent = parent;
    s->kind = (uint8_t)kind;
    s->resource = resource;
    s->scope = scope;
    s->start = start;
    s->flags = kind == KIND_SERVER || kind == KIND_CONSUMER ? SPAN_REMOTE : SPAN_LOCAL;
    return index;
}

uint32_t walk_instance(struct traces *t, enum service_id service)
{
    const struct topology *topology = t->options.topology;
    return topology->service_first[service] +
           rng_below(&t->rng, topology->service_instances[service]);
}

/* Runs an operation in the span made for it; all that belongs to it has ended by the deadline. */
struct result walk_operation(struct traces *t, uint16_t id, uint32_t span, uint64_t deadline)
{
    const struct operation *op = &topology_operations[id];
    uint64_t start = t->spans[span].start;
    uint64_t work = walk_latency(&t->rng, op->work_us, op->sigma, 0.006);
    double draw = rng_unit(&t->rng);
    double failure = op->failure * t->options.errors;
    bool fails = draw < failure;
    bool refuses = !fails && draw < failure + op->rejection;
    uint32_t steps = op->step_count;
    if (fails) {
        steps = rng_below(&t->rng, steps + 1);
    } else if (refuses) {
        steps = steps ? 1 : 0;
    }
    uint16_t success = op->success_status ? op->success_status : 200;
    struct result r = {.http = success};
    walk_steps(t, op, steps, span, earlier(start + work * 2 / 5, deadline), deadline, &r);
    bool origin = false;
    if (r.code == CODE_OK && refuses) {
        bool rpc = op->kind == OP_RPC;
        r.code = rpc ? (enum code)op->rejected_status : walk_code(op->rejected_status);
        r.http = rpc ? walk_http(r.code) : op->rejected_status;
        r.refused = true;
        r.message = op->rejected_message;
    } else if (r.code == CODE_OK && fails) {
        walk_fail(&r, CODE_INTERNAL,
                  template_fill(&t->text, op->fault.message, &t->shopper, &t->rng));
        origin = true;
    } else if (r.code == CODE_OK) {
        r.http = success;
    } else if (!r.refused && r.http < 500) {
        r.http = walk_http(r.code);
    }
    r.end += work - work * 2 / 5;
    if (r.end > deadline) {
        r.end = deadline;
        r.refused = false;
        origin = false;
        walk_fail(&r, CODE_CANCELLED, LIT("context canceled"));
    }
    struct span *s = &t->spans[span];
    s->end = r.end;
    if (op->kind == OP_LOCAL) {
        span_local(t, s, op, &r);
    } else if (op->kind == OP_HTTP || op->kind == OP_RPC) {
        span_server(t, s, op, &r, s->parent == MODEL_NONE);
    } else {
        span_consume(t, s, op, &r);
    }
    if (origin) {
        span_exception(t, s, op->fault.type, r.message, s->end - 1 - rng_below(&t->rng, 2000));
    }
    log_operation(t, s, op, &r);
    return r;
}

static void run_pending(struct traces *t)
{
    for (uint32_t i = 0; i < t->pending_count; i++) {
        struct pending next = t->pending[i];
        const struct operation *op = &topology_operations[next.operation];
        uint32_t index = walk_span(t, next.parent, KIND_CONSUMER, walk_instance(t, op->service),
                                   topology_scope(op->service, ROLE_KAFKA), next.start);
        t->spans[index].async = true;
        walk_operation(t, next.operation, index, next.start + CONSUMER_TIMEOUT_MS * MS);
    }
}

/* A consumer takes what has gathered in a topic: a trace of its own with links to the messages'
 * traces. */
static bool run_backlog(struct traces *t)
{
    for (unsigned id = 0; id < TOPIC_COUNT; id++) {
        struct backlog *b = &t->backlog[id];
        const struct topic *topic = &topology_topics[id];
        if (!topic->batch || b->n < b->wanted) {
            continue;
        }
        const struct operation *op = &topology_operations[topic->consumers[0]];
        uint64_t start = later(b->newest, traces_watermark(t)) +
                         walk_latency(&t->rng, topic->delay_ms * 1000, 0.3, 0);
        uint32_t index = walk_span(t, MODEL_NONE, KIND_CONSUMER, walk_instance(t, op->service),
                                   topology_scope(op->service, ROLE_KAFKA), start);
        memcpy(t->links, b->links, b->n * sizeof(*t->links));
        struct span *s = &t->spans[index];
        s->links = t->links;
        s->link_count = b->n;
        s->flags = SPAN_LOCAL;
        b->n = 0;
        b->wanted = rng_between(&t->rng, 2, topic->batch);
        walk_operation(t, topic->consumers[0], index, start + CONSUMER_TIMEOUT_MS * MS);
        return true;
    }
    return false;
}

static void run_journey(struct traces *t)
{
    uint32_t draw = rng_below(&t->rng, t->weights);
    uint32_t i = 0;
    while (draw >= topology_journeys[i].weight) {
        draw -= topology_journeys[i++].weight;
    }
    uint64_t start = traces_watermark(t);
    uint32_t root = walk_span(t, MODEL_NONE, KIND_SERVER, walk_instance(t, SVC_GATEWAY),
                              topology_scope(SVC_GATEWAY, ROLE_HTTP_SERVER), start);
    t->spans[root].flags = SPAN_LOCAL;
    walk_operation(t, topology_journeys[i].operation, root, start + GATEWAY_TIMEOUT_MS * MS);
}

/* Customers come in waves: over the day, and in rushes of some minutes. */
static void advance(struct traces *t)
{
    double rate = 1 + 0.45 * exact_wave(t->clock / DAY_NS) + 0.25 * exact_wave(t->clock / 420e9);
    t->clock += rng_exponential(&t->arrivals) * t->options.mean_gap / rate;
}

enum sl_status traces_next(struct traces *t, struct trace *out)
{
    t->text.used = 0;
    t->attrs.used = 0;
    t->span_count = 0;
    t->event_count = 0;
    t->log_count = 0;
    t->pending_count = 0;
    t->number++;
    rng_init(&t->rng, t->options.seed, t->number + 1000);
    shopper_init(&t->shopper, &t->rng, 70000000 + t->number * 3 + rng_below(&t->rng, 3));
    rng_init(&t->extras, t->options.seed, ~t->number);
    if (t->options.baggage) {
        t->baggage = shopper_baggage(&t->text, &t->shopper, &t->extras, t->options.baggage);
    }
    if (!run_backlog(t)) {
        run_journey(t);
        advance(t);
    }
    run_pending(t);
    out->number = t->number;
    out->spans = t->spans;
    out->span_count = t->span_count;
    out->logs = t->logs;
    out->log_count = t->log_count;
    return t->failed || t->text.failed || t->attrs.failed ? SL_ERR_TOO_LARGE : SL_OK;
}

uint64_t traces_watermark(const struct traces *t)
{
    return t->options.start + (uint64_t)t->clock;
}

sl_bytes traces_baggage(const struct traces *t)
{
    return t->baggage;
}

enum sl_status traces_create(const struct traces_options *options, struct traces **out)
{
    if (options->baggage > TRACES_BAGGAGE_MAX || options->attributes > TRACES_ATTRIBUTES_MAX) {
        return SL_ERR_INVALID;
    }
    struct traces *t = calloc(1, sizeof(*t));
    if (!t) {
        return SL_ERR_NOMEM;
    }
    t->options = *options;
    rng_init(&t->arrivals, options->seed, 2);
    for (uint32_t i = 0; i < topology_journey_count; i++) {
        t->weights += topology_journeys[i].weight;
    }
    for (unsigned i = 0; i < TOPIC_COUNT; i++) {
        t->backlog[i].wanted = topology_topics[i].batch;
        t->offsets[i] = 100000 + rng_mix(options->seed + i) % 9000000;
    }
    t->spans = malloc(TRACES_SPANS_MAX * sizeof(*t->spans));
    t->events = malloc(EVENTS_MAX * sizeof(*t->events));
    t->links = malloc(LINKS_MAX * sizeof(*t->links));
    t->logs = malloc(LOGS_MAX * sizeof(*t->logs));
    enum sl_status status = t->spans && t->events && t->links && t->logs ? SL_OK : SL_ERR_NOMEM;
    if (status == SL_OK) {
        status = text_pool_init(&t->text, (size_t)8 << 20);
    }
    if (status == SL_OK) {
        status = attr_pool_init(&t->attrs, TRACES_SPANS_MAX * 96);
    }
    if (status != SL_OK) {
        traces_destroy(t);
        return status;
    }
    *out = t;
    return SL_OK;
}

void traces_destroy(struct traces *t)
{
    if (!t) {
        return;
    }
    free(t->spans);
    free(t->events);
    free(t->links);
    free(t->logs);
    text_pool_deinit(&t->text);
    attr_pool_deinit(&t->attrs);
    free(t);
}
