/* The part of the load sender that knows no transport, see send_core.h: order and pace of requests,
 * outcomes, counts. Runs in the thread that called send_run. */
#include "commands/generate/send_core.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <zlib.h>

/* The first wait before a retry when the server named none; doubled by each further one. */
#define BACKOFF_NS (100 * 1000000ull)
#define BACKOFF_MAX_NS (5 * SEND_NS_PER_S)
/* A paced sender that fell behind by more than this, because no answer came, does not make up for
 * it: a burst of seconds of traffic is not the rate that was asked for. */
#define CATCH_UP_NS (1.0 * (double)SEND_NS_PER_S)

enum sl_status send_fail(sl_error *error, enum sl_status code, const char *format, ...)
{
    if (error) {
        error->code = code;
        va_list args;
        va_start(args, format);
        vsnprintf(error->text, sizeof error->text, format, args);
        va_end(args);
    }
    return code;
}

uint64_t send_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SEND_NS_PER_S + (uint64_t)t.tv_nsec;
}

static bool compress_body(z_stream *z, sl_bytes in, sl_bytes *out)
{
    if (in.n > UINT32_MAX / 2)
        return false;
    uLong room = deflateBound(z, (uLong)in.n);
    uint8_t *buffer = (uint8_t *)malloc(room);
    if (!buffer)
        return false;
    deflateReset(z);
    z->next_in = (z_const Bytef *)(uintptr_t)in.p;
    z->avail_in = (uInt)in.n;
    z->next_out = buffer;
    z->avail_out = (uInt)room;
    if (deflate(z, Z_FINISH) != Z_STREAM_END) {
        free(buffer);
        return false;
    }
    size_t used = z->total_out;
    uint8_t *fitted = (uint8_t *)realloc(buffer, used);
    *out = sl_slice(fitted ? fitted : buffer, used);
    return true;
}

static enum sl_status compress_bodies(struct send_core *c, sl_error *error)
{
    z_stream z = {0};
    c->owned = (uint8_t **)calloc(c->count, sizeof *c->owned);
    if (!c->owned || deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return send_fail(error, SL_ERR_NOMEM, "no memory to compress requests");
    enum sl_status status = SL_OK;
    for (size_t i = 0; i < c->count && status == SL_OK; i++) {
        if (compress_body(&z, c->requests[i].body, &c->bodies[i]))
            c->owned[i] = (uint8_t *)(uintptr_t)c->bodies[i].p;
        else
            status = send_fail(error, SL_ERR_NOMEM, "request %zu (%zu bytes) cannot be compressed",
                               i, c->requests[i].body.n);
    }
    deflateEnd(&z);
    return status;
}

enum sl_status send_core_init(struct send_core *c, const struct send_options *options,
                              const struct send_request *requests, size_t count, sl_error *error)
{
    memset(c, 0, sizeof *c);
    c->options = options;
    c->requests = requests;
    c->count = count;
    if (count == 0)
        return send_fail(error, SL_ERR_INVALID, "there is no request to send");
    c->limit = options->requests;
    if (c->limit == 0)
        c->limit = options->duration_ns ? UINT64_MAX : count;
    c->timeout_ns = options->timeout_ns ? options->timeout_ns : 10 * SEND_NS_PER_S;
    c->latencies = (uint32_t *)calloc(SEND_CLASSES, sizeof *c->latencies);
    c->bodies = (sl_bytes *)calloc(count, sizeof *c->bodies);
    if (!c->latencies || !c->bodies)
        return send_fail(error, SL_ERR_NOMEM, "no memory for %zu requests", count);
    if (options->gzip)
        return compress_bodies(c, error);
    for (size_t i = 0; i < count; i++)
        c->bodies[i] = requests[i].body;
    return SL_OK;
}

void send_core_deinit(struct send_core *c)
{
    if (c->owned) {
        for (size_t i = 0; i < c->count; i++)
            free(c->owned[i]);
    }
    free(c->owned);
    free(c->bodies);
    free(c->latencies);
}

void send_core_start(struct send_core *c)
{
    c->start_ns = send_now();
    c->end_ns = c->options->duration_ns ? c->start_ns + c->options->duration_ns : SEND_NEVER;
    c->due_ns = (double)c->start_ns;
    c->progress_ns = c->start_ns;
    send_core_tick(c, c->start_ns);
}

bool send_core_stopping(const struct send_core *c)
{
    return c->options->stop && atomic_load_explicit(c->options->stop, memory_order_relaxed);
}

/* ns from the begin of the request at hand to that of the next; 0 without a rate. */
static double pause_after(const struct send_core *c, uint32_t items)
{
    double pause = 0;
    if (c->options->requests_per_second > 0)
        pause = (double)SEND_NS_PER_S / c->options->requests_per_second;
    if (c->options->items_per_second > 0)
        pause = fmax(pause, (double)SEND_NS_PER_S * items / c->options->items_per_second);
    return pause;
}

bool send_core_begin(struct send_core *c, uint64_t now_ns, struct send_task *task,
                     uint64_t *wake_ns)
{
    *wake_ns = SEND_NEVER;
    if (c->report.sent >= c->limit || now_ns >= c->end_ns || send_core_stopping(c))
        return false;
    if (c->due_ns > (double)now_ns) {
        *wake_ns = (uint64_t)c->due_ns;
        return false;
    }
    const struct send_request *r = &c->requests[c->next];
    double pause = pause_after(c, r->items);
    if (pause > 0)
        c->due_ns = fmax(c->due_ns, (double)now_ns - CATCH_UP_NS) + pause;
    task->sequence = c->report.sent++;
    task->request = c->next;
    task->tries = 1;
    task->try_ns = now_ns;
    c->report.items_sent += r->items;
    c->next = c->next + 1 == c->count ? 0 : c->next + 1;
    c->active++;
    return true;
}

static size_t latency_class(uint64_t ns)
{
    if (ns < (1u << SEND_CLASS_BITS))
        return (size_t)ns;
    unsigned shift = 63u - (unsigned)__builtin_clzll(ns) - SEND_CLASS_BITS;
    size_t class = ((size_t)shift << SEND_CLASS_BITS) + (size_t)(ns >> shift);
    return class < SEND_CLASSES ? class : SEND_CLASSES - 1;
}

static uint64_t latency_of_class(size_t class)
{
    if (class < (2u << SEND_CLASS_BITS))
        return class;
    unsigned shift = (unsigned)(class >> SEND_CLASS_BITS) - 1;
    return (uint64_t)(class - ((size_t)shift << SEND_CLASS_BITS)) << shift;
}

static void count_outcome(struct send_core *c, const struct send_task *task,
                          const struct send_answer *answer, uint64_t now_ns)
{
    struct send_report *r = &c->report;
    uint32_t items = c->requests[task->request].items;
    switch (answer->outcome) {
    case SEND_ACKNOWLEDGED: {
        uint64_t ns = now_ns - task->try_ns;
        r->acknowledged++;
        r->items_acknowledged += items;
        r->bytes_acknowledged += c->bodies[task->request].n;
        r->partial += answer->partial;
        r->items_rejected += answer->rejected;
        c->latencies[latency_class(ns)]++;
        if (ns > r->max_ns)
            r->max_ns = ns;
        break;
    }
    case SEND_REFUSED_RETRYABLE:
        r->refused_retryable++;
        r->items_refused_retryable += items;
        break;
    case SEND_REFUSED_PERMANENT:
        r->refused_permanent++;
        r->items_refused_permanent += items;
        break;
    case SEND_FAILED:
        r->failed++;
        r->items_failed += items;
        break;
    }
}

bool send_core_end(struct send_core *c, uint64_t now_ns, struct send_task *task,
                   const struct send_answer *answer, uint64_t *again_ns)
{
    struct send_report *r = &c->report;
    *again_ns = 0;
    if (answer->outcome != SEND_ACKNOWLEDGED)
        snprintf(r->last_problem, sizeof r->last_problem, "%s", answer->text);
    if (answer->outcome == SEND_REFUSED_RETRYABLE) {
        r->refusals++;
        r->refusals_delayed += answer->delayed;
    }
    bool retryable = answer->outcome == SEND_REFUSED_RETRYABLE || answer->outcome == SEND_FAILED;
    unsigned doublings = task->tries < 7 ? task->tries - 1 : 6;
    uint64_t backoff = BACKOFF_NS << doublings;
    if (backoff > BACKOFF_MAX_NS)
        backoff = BACKOFF_MAX_NS;
    if (retryable && task->tries <= c->options->retries && !send_core_stopping(c)) {
        uint64_t wait = answer->delayed && answer->delay_ns > backoff ? answer->delay_ns : backoff;
        *again_ns = now_ns + wait;
        task->tries++;
        r->retries++;
        return true;
    }
    if (answer->outcome == SEND_FAILED)
        *again_ns = now_ns + BACKOFF_NS;
    count_outcome(c, task, answer, now_ns);
    c->active--;
    if (c->options->on_done)
        c->options->on_done(c->options->ctx, task->request, task->sequence, answer->outcome);
    return false;
}

static uint64_t percentile(const struct send_core *c, double share)
{
    uint64_t rank = (uint64_t)ceil(share * (double)c->report.acknowledged);
    uint64_t seen = 0;
    for (size_t i = 0; i < SEND_CLASSES; i++) {
        seen += c->latencies[i];
        if (seen >= rank && seen > 0)
            return latency_of_class(i);
    }
    return 0;
}

static void fill_latencies(struct send_core *c, uint64_t now_ns)
{
    struct send_report *r = &c->report;
    r->p50_ns = percentile(c, 0.50);
    r->p90_ns = percentile(c, 0.90);
    r->p99_ns = percentile(c, 0.99);
    r->wall_ns = now_ns - c->start_ns;
}

void send_core_tick(struct send_core *c, uint64_t now_ns)
{
    if (now_ns < c->progress_ns)
        return;
    uint64_t every = c->options->progress_ns ? c->options->progress_ns : SEND_NS_PER_S;
    bool first = now_ns == c->start_ns;
    c->progress_ns = now_ns + every;
    if (first || !c->options->on_progress)
        return;
    fill_latencies(c, now_ns);
    c->options->on_progress(c->options->ctx, &c->report);
}

void send_core_finish(struct send_core *c)
{
    fill_latencies(c, send_now());
}
