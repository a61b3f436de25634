/* The steps of an operation: calls with their time-outs and retries, statements, messages. Runs on
 * the thread that generates. */
#include "commands/generate/walk.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)
#define TIMEOUT_DEFAULT_MS 5000

/* Time of some work: log-normal, and now and then a multiple of it. */
uint64_t walk_latency(struct rng *r, uint32_t median_us, double sigma, double outliers)
{
    double us = rng_lognormal(r, (double)median_us, sigma > 0 ? sigma : 0.45);
    if (rng_chance(r, outliers)) {
        us *= 4 + 21 * rng_unit(r);
    }
    return (uint64_t)(us * 1000) + 1000 + rng_below(r, 1000);
}

static uint64_t network(struct rng *r)
{
    return walk_latency(r, 140, 0.4, 0.002);
}

enum code walk_code(uint16_t http)
{
    switch (http) {
    case 401:
        return CODE_UNAUTHENTICATED;
    case 404:
        return CODE_NOT_FOUND;
    case 402:
    case 409:
        return CODE_PRECONDITION;
    case 429:
        return CODE_EXHAUSTED;
    case 503:
        return CODE_UNAVAILABLE;
    case 504:
        return CODE_DEADLINE;
    default:
        return http >= 500 ? CODE_INTERNAL : CODE_INVALID;
    }
}

uint16_t walk_http(enum code code)
{
    switch (code) {
    case CODE_OK:
        return 200;
    case CODE_CANCELLED:
        return 499;
    case CODE_DEADLINE:
        return 504;
    case CODE_NOT_FOUND:
        return 404;
    case CODE_EXHAUSTED:
        return 429;
    case CODE_PRECONDITION:
        return 409;
    case CODE_UNAVAILABLE:
        return 503;
    case CODE_UNAUTHENTICATED:
        return 401;
    case CODE_INVALID:
        return 400;
    default:
        return 500;
    }
}

void walk_fail(struct result *r, enum code code, sl_bytes message)
{
    r->code = code;
    r->http = walk_http(code);
    r->message = message;
}

static struct result run_query(struct traces *t, uint16_t id, uint32_t parent, uint64_t start,
                               uint64_t deadline)
{
    const struct query *q = &topology_queries[id];
    const struct span *p = &t->spans[parent];
    enum service_id service = (enum service_id)t->options.topology->owners[p->resource];
    uint16_t scope = topology_scope(service, topology_stores[q->store].role);
    uint32_t index = walk_span(t, parent, KIND_CLIENT, p->resource, scope, start);
    struct result r = {.end = start + walk_latency(&t->rng, q->median_us, q->sigma, 0.004)};
    if (r.end > deadline) {
        r.end = deadline;
        walk_fail(&r, CODE_DEADLINE, LIT("canceling statement due to user request"));
    } else if (rng_chance(&t->rng, 0.0006 * t->options.errors)) {
        walk_fail(&r, CODE_UNAVAILABLE, LIT("connection reset by peer"));
    }
    struct span *s = &t->spans[index];
    s->end = r.end;
    span_query(t, s, q, &r);
    return r;
}

/* Nine in ten keys are in the cache. */
static struct result run_cached(struct traces *t, const struct step *step, uint32_t parent,
                                uint64_t start, uint64_t deadline)
{
    struct result r = run_query(t, step->target, parent, start, deadline);
    if ((r.code != CODE_OK || rng_chance(&t->rng, 0.12)) && r.end + 200 * US < deadline) {
        if (r.code == CODE_OK) {
            attrs_begin(&t->attrs);
            attrs_text(&t->attrs, LIT("cache.operation"), t->spans[t->span_count - 1].name);
            attrs_bool(&t->attrs, LIT("cache.hit"), false);
            span_event_add(t, &t->spans[parent], LIT("cache.miss"), r.end, attrs_end(&t->attrs));
        } else {
            log_degraded(t, &t->spans[parent], r.end, LIT("cache"));
        }
        r = run_query(t, step->fallback, parent, r.end + 30 * US, deadline);
    }
    return r;
}

static struct result run_publish(struct traces *t, enum topic_id id, uint32_t parent,
                                 uint64_t start, uint64_t deadline)
{
    const struct topic *topic = &topology_topics[id];
    const struct span *p = &t->spans[parent];
    enum service_id service = (enum service_id)t->options.topology->owners[p->resource];
    uint32_t index = walk_span(t, parent, KIND_PRODUCER, p->resource,
                               topology_scope(service, ROLE_KAFKA), start);
    struct result r = {.end = start + walk_latency(&t->rng, 1300, 0.5, 0.01)};
    if (r.end > deadline) {
        r.end = deadline;
        walk_fail(&r, CODE_DEADLINE, LIT("Failed to deliver message: Local: Message timed out"));
    }
    struct span *s = &t->spans[index];
    s->end = r.end;
    t->offsets[id] += rng_between(&t->rng, 1, 3);
    span_publish(t, s, topic, &r);
    if (r.code != CODE_OK) {
        return r;
    }
    struct backlog *b = &t->backlog[id];
    if (topic->batch && b->n < LINKS_MAX) {
        struct span_link link = {.context = s->context};
        b->links[b->n++] = link;
        b->newest = later(b->newest, r.end);
    }
    for (uint32_t i = 0; !topic->batch && i < topic->consumer_count; i++) {
        if (t->pending_count == PENDING_MAX) {
            t->failed = true;
            break;
        }
        struct pending *next = &t->pending[t->pending_count++];
        next->operation = topic->consumers[i];
        next->parent = index;
        next->start = r.end + walk_latency(&t->rng, topic->delay_ms * 1000, 0.7, 0.01);
    }
    return r;
}

/* What happens at the other end of one attempt. */
static struct result run_remote(struct traces *t, const struct call *call, uint16_t id,
                                uint32_t client, uint64_t start, uint64_t limit)
{
    struct result r = {.end = start, .http = 200};
    uint64_t there = network(&t->rng);
    if (call->outsider) {
        r.end = start + there + walk_latency(&t->rng, call->outsider->median_us, 0.5, 0.015);
        if (r.end >= limit) {
            walk_fail(&r, CODE_DEADLINE, LIT("timeout"));
        } else if (rng_chance(&t->rng, call->outsider->failure * t->options.errors)) {
            walk_fail(&r, walk_code(call->outsider->failure_status), LIT(""));
            r.http = call->outsider->failure_status;
        }
    } else if (rng_chance(&t->rng, 0.0012 * t->options.errors)) {
        walk_fail(&r, CODE_UNAVAILABLE, LIT("connect: connection refused"));
        r.http = 0; /* there was no answer */
        r.end = start + 2 * there;
    } else if (start + 2 * there + 300 * US >= limit) {
        walk_fail(&r, CODE_DEADLINE, LIT("context deadline exceeded"));
        r.end = limit;
    } else {
        const struct operation *op = call->operation;
        uint16_t scope =
            topology_scope(op->service, op->kind == OP_RPC ? ROLE_RPC : ROLE_HTTP_SERVER);
        uint32_t server =
            walk_span(t, client, KIND_SERVER, walk_instance(t, op->service), scope, start + there);
        r = walk_operation(t, id, server, limit - there);
        r.end += there;
    }
    if (r.end >= limit || r.code == CODE_CANCELLED) {
        r.end = limit;
        r.refused = false;
        walk_fail(&r, CODE_DEADLINE, LIT("context deadline exceeded"));
        r.http = 0;
    }
    return r;
}

static struct result run_call(struct traces *t, const struct step *step, uint32_t parent,
                              uint64_t start, uint64_t deadline)
{
    struct call call = {0};
    if (step->kind == STEP_OUTSIDE) {
        call.outsider = &topology_outsiders[step->target];
    } else {
        call.operation = &topology_operations[step->target];
    }
    uint32_t resource = t->spans[parent].resource;
    enum service_id service = (enum service_id)t->options.topology->owners[resource];
    if (call.operation && call.operation->kind == OP_LOCAL) {
        uint32_t local = walk_span(t, parent, KIND_INTERNAL, resource,
                                   topology_scope(service, ROLE_LOCAL), start);
        return walk_operation(t, step->target, local, deadline);
    }
    bool rpc = call.operation && call.operation->kind == OP_RPC;
    uint16_t scope = topology_scope(service, rpc ? ROLE_RPC : ROLE_HTTP_CLIENT);
    uint64_t timeout = (step->timeout_ms ? step->timeout_ms : TIMEOUT_DEFAULT_MS) * MS;
    for (;;) {
        uint64_t limit = earlier(deadline, start + timeout);
        uint32_t client = walk_span(t, parent, KIND_CLIENT, resource, scope, start);
        call.result = run_remote(t, &call, step->target, client, start, limit);
        struct span *s = &t->spans[client];
        s->end = call.result.end;
        span_client(t, s, &call);
        if (call.result.code == CODE_OK || call.result.refused || call.attempt == step->retries) {
            return call.result;
        }
        uint64_t wait = (uint64_t)((double)((40 * MS) << call.attempt) * (0.5 + rng_unit(&t->rng)));
        if (call.result.end + wait + 2 * MS >= deadline) {
            return call.result;
        }
        log_retry(t, &t->spans[parent], &call, wait);
        start = call.result.end + wait;
        call.attempt++;
    }
}

static struct result run_step(struct traces *t, const struct step *step, uint32_t parent,
                              uint64_t start, uint64_t deadline)
{
    switch (step->kind) {
    case STEP_QUERY:
        return run_query(t, step->target, parent, start, deadline);
    case STEP_CACHED:
        return run_cached(t, step, parent, start, deadline);
    case STEP_PUBLISH:
        return run_publish(t, (enum topic_id)step->target, parent, start, deadline);
    default:
        return run_call(t, step, parent, start, deadline);
    }
}

/* Runs the steps of an operation from `start`; r->end is when the last of them has ended. */
void walk_steps(struct traces *t, const struct operation *op, uint32_t count, uint32_t parent,
                uint64_t start, uint64_t deadline, struct result *r)
{
    uint64_t group = start; /* begin of the steps that run side by side */
    r->end = start;
    for (uint32_t i = 0; i < count; i++) {
        const struct step *step = &op->steps[i];
        if (!step->parallel) {
            if (r->code != CODE_OK) {
                return;
            }
            group = r->end + 20 * US + rng_below(&t->rng, 60000);
        }
        if (step->chance > 0 && !rng_chance(&t->rng, step->chance)) {
            continue;
        }
        uint64_t from = group;
        uint32_t times =
            step->times_max ? rng_between(&t->rng, step->times_min, step->times_max) : 1;
        for (uint32_t k = 0; k < times; k++) {
            if (from + 100 * US >= deadline) {
                r->end = deadline;
                walk_fail(r, CODE_CANCELLED, LIT("context canceled"));
                return;
            }
            if (k) {
                t->shopper.product = 100000 + rng_skewed(&t->rng, 18000);
            }
            struct result one = run_step(t, step, parent, from, deadline);
            r->end = later(r->end, one.end);
            if (one.code != CODE_OK && !step->optional) {
                uint64_t end = r->end;
                *r = one;
                r->end = end;
                break;
            }
            if (one.code != CODE_OK && step->kind == STEP_CALL) {
                log_degraded(t, &t->spans[parent], one.end,
                             topology_operations[step->target].route);
            }
            from = step->parallel ? from + 15 * US + rng_below(&t->rng, 20000) : one.end + 25 * US;
        }
    }
}
