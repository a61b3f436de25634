/* The host's table: what plugins call. Each function states its thread in plugin.h. */
#include "pipeline/graph/host.h"
#include "pipeline/delivery/metadata.h"
#include "pipeline/graph/component.h"
#include "pipeline/graph/lane.h"
#include "pipeline/graph/outlet.h"
#include "pipeline/graph/workers.h"
#include "pipeline/telemetry/log.h"
#include <stdlib.h>

static struct runtime *runtime_of(const sl_host *h)
{
    return host_of(h)->component->runtime;
}

/* The instance that the call belongs to: the handle's, or the one whose callback this thread runs.
 */
static struct instance *instance_of(const sl_host *h)
{
    struct instance *in = host_of(h)->instance;
    return in ? in : lane_current_instance();
}

/* Counts for the node and signal of a delivery. */
static struct ledger *ledger_for(const sl_host *h, const sl_delivery *d)
{
    struct component *c = host_of(h)->component;
    const struct instance *in = instance_of(h);
    if (in && in->component == c)
        return &c->ledgers[signal_index(in->lane->layout.pipeline->signal)];
    return d->payload ? &c->ledgers[signal_index(d->payload->signal)] : NULL;
}

/* ---- services ---- */

static const void *h_component(const sl_host *h, const char *name, const char *id)
{
    struct component *self = host_of(h)->component;
    struct runtime *r = self->runtime;
    static const uint32_t kinds[] = {SL_KIND_extension, SL_KIND_connector, SL_KIND_exporter,
                                     SL_KIND_processor, SL_KIND_receiver};
    struct component *found[sizeof kinds / sizeof *kinds];
    uint32_t n = 0;
    pthread_mutex_lock(&r->topology);
    const bool remembered = component_uses(self, name);
    for (uint32_t i = 0; self->graph && remembered && i < sizeof kinds / sizeof *kinds; i++) {
        struct component *c = graph_component(self->graph, kinds[i], name);
        if (c && c->type->interface_of)
            found[n++] = c;
    }
    pthread_mutex_unlock(&r->topology);
    const void *table = NULL;
    for (uint32_t i = 0; i < n && !table; i++)
        table = found[i]->type->interface_of(found[i]->self, id);
    return table;
}

/* In front of what a plugin allocates, so that release knows what to give back. */
struct block {
    uint64_t size;
    uint64_t reserved;
};

static void *h_allocate(const sl_host *h, size_t n)
{
    struct component *c = host_of(h)->component;
    size_t size;
    if (__builtin_add_overflow(n, sizeof(struct block), &size) ||
        !memory_reserve(c->runtime->memory, size))
        return NULL;
    struct block *b = malloc(size);
    if (!b) {
        memory_give_back(c->runtime->memory, size);
        return NULL;
    }
    b->size = size;
    atomic_fetch_add_explicit(&c->allocated, size, memory_order_relaxed);
    return b + 1;
}

static void h_release(const sl_host *h, void *p)
{
    if (!p)
        return;
    struct component *c = host_of(h)->component;
    struct block *b = (struct block *)p - 1;
    memory_give_back(c->runtime->memory, b->size);
    atomic_fetch_sub_explicit(&c->allocated, b->size, memory_order_relaxed);
    free(b);
}

static bool h_log_enabled(const sl_host *h, int32_t level)
{
    return log_enabled(runtime_of(h)->log, level);
}

static void h_log(const sl_host *h, int32_t level, sl_bytes text, const sl_log_field *fields,
                  uint32_t n)
{
    log_write(runtime_of(h)->log, level, text,
              (struct log_fields){host_of(h)->component->log_fields, 2},
              (struct log_fields){fields, n});
}

static int64_t h_now(const sl_host *h)
{
    return clock_now(runtime_of(h)->clock);
}

static int64_t h_wall_clock(const sl_host *h)
{
    return clock_wall(runtime_of(h)->clock);
}

static void h_status(const sl_host *h, int32_t status, const char *text)
{
    component_report(host_of(h)->component, status, text);
}

static const char *h_name(const sl_host *h)
{
    return host_of(h)->component->id;
}

/* ---- payloads and metadata ---- */

static int32_t h_payload_open(const sl_host *h, uint64_t capacity, sl_payload **out, uint8_t **at)
{
    const struct component *c = host_of(h)->component;
    if (c->kind == SL_KIND_receiver && !memory_takes_in(c->runtime->memory, capacity))
        return SL_ERR_NOMEM;
    struct payload *p = payload_open(c->runtime->memory, capacity);
    if (!p)
        return SL_ERR_NOMEM;
    *out = &p->pub;
    *at = p->buffer;
    return SL_OK;
}

static int32_t h_payload_grow(const sl_host *h, sl_payload *p, uint64_t capacity, uint8_t **at)
{
    (void)h;
    const int32_t status = payload_grow(payload_of(p), capacity);
    *at = payload_of(p)->buffer;
    return status;
}

static int32_t h_payload_close(const sl_host *h, sl_payload *p, uint64_t used, uint32_t signal,
                               const char *encoding, uint32_t items, sl_error *error)
{
    return payload_close(payload_of(p), &runtime_of(h)->limits, used, signal, encoding, items,
                         error);
}

static void h_payload_ref(const sl_host *h, const sl_payload *p)
{
    (void)h;
    payload_ref(payload_of(p));
}

static void h_payload_unref(const sl_host *h, const sl_payload *p)
{
    (void)h;
    payload_unref(payload_of(p));
}

static int32_t h_payload_flatten(const sl_host *h, const sl_payload *p, sl_bytes *out)
{
    (void)h;
    return payload_flatten(payload_of(p), out);
}

static int32_t h_payload_view(const sl_host *h, const sl_payload *p, sl_view *view)
{
    (void)h;
    return payload_view(payload_of(p), view);
}

static const sl_metadata *h_metadata_make(const sl_host *h, const sl_metadata *base,
                                          const sl_meta_entry *entries, uint32_t n)
{
    return metadata_make(base, entries, n, h_wall_clock(h));
}

static void h_metadata_unref(const sl_host *h, const sl_metadata *m)
{
    (void)h;
    metadata_unref(m);
}

/* ---- emitters ---- */

static int32_t h_offer(const sl_host *h, uint32_t port, sl_payload *payload, const sl_metadata *m,
                       const sl_hear *hear, uint64_t cookie)
{
    struct component *c = host_of(h)->component;
    if (port)
        return SL_ERR_INVALID;
    return component_offer(c, payload_of(payload), m, hear, cookie);
}

static int32_t h_ack(const sl_host *h, uint32_t port, uint32_t signal)
{
    struct component *c = host_of(h)->component;
    uint32_t epoch;
    (void)port;
    const struct outlet *outlet = outlet_enter(c, signal, &epoch);
    const int32_t ack = outlet ? outlet->ack : SL_ACK_TAKEN;
    outlet_leave(c, epoch);
    return ack;
}

/* ---- deliveries ---- */

static int32_t h_forward(const sl_host *h, uint32_t port, sl_delivery *d)
{
    struct instance *in = instance_of(h);
    (void)port;
    if (!in) { /* not on a lane: the rule is broken, but nothing may be lost in silence */
        const struct ending e = {
            .outcome = SL_FAILED, .status = SL_ERR_STATE, .why = "forward_outside_lane"};
        delivery_finish(delivery_of(d), &e, NULL);
        return SL_ERR_STATE;
    }
    return lane_forward(in, delivery_of(d));
}

static struct ending ending_of(int32_t outcome, const char *why)
{
    return (struct ending){
        .outcome = (uint32_t)outcome < SL_OUTCOMES ? (uint32_t)outcome : SL_FAILED, .why = why};
}

static void h_finish(const sl_host *h, sl_delivery *d, int32_t outcome, const char *why)
{
    const struct ending e = ending_of(outcome, why);
    delivery_finish(delivery_of(d), &e, ledger_for(h, d));
}

static int32_t h_settle(const sl_host *h, const sl_piece *pieces, uint32_t n, int32_t outcome,
                        const char *why)
{
    if (!n || (uint32_t)outcome >= SL_OUTCOMES)
        return SL_ERR_INVALID;
    const struct ending e = ending_of(outcome, why);
    return delivery_settle(pieces, n, &e, ledger_for(h, pieces[0].from));
}

static int32_t h_settle_some(const sl_host *h, sl_delivery *d, uint32_t n, int32_t outcome,
                             const char *why)
{
    if ((uint32_t)outcome >= SL_OUTCOMES)
        return SL_ERR_INVALID;
    const struct ending e = ending_of(outcome, why);
    return delivery_settle_some(delivery_of(d), n, &e, ledger_for(h, d));
}

static int32_t h_derive(const sl_host *h, const sl_piece *pieces, uint32_t n, uint32_t mode,
                        sl_payload *payload, const sl_metadata *m, sl_delivery **child)
{
    struct delivery *d = NULL;
    if (!n)
        return SL_ERR_INVALID;
    const int32_t status = delivery_derive(
        runtime_of(h)->memory, pieces, n, mode, payload ? payload_of(payload) : NULL,
        m ? metadata_ref(m) : NULL, ledger_for(h, pieces[0].from), &d);
    if (status == SL_OK)
        *child = &d->pub;
    else
        metadata_unref(m);
    return status;
}

/* Runs of equal bits as pieces: kept and left out. */
static uint32_t runs_of(sl_delivery *d, const uint64_t *keep, bool want, sl_piece *pieces)
{
    uint32_t n = 0;
    for (uint32_t i = 0, end; i < d->items; i = end) {
        const bool kept = sl_mask_test(keep, i);
        for (end = i + 1; end < d->items && sl_mask_test(keep, end) == kept; end++) {
        }
        if (kept != want)
            continue;
        if (pieces)
            pieces[n] = (sl_piece){.from = d, .first = i, .count = end - i};
        n++;
    }
    return n;
}

static int32_t h_select(const sl_host *h, sl_delivery *d, const uint64_t *keep, const char *why)
{
    struct instance *in = instance_of(h);
    struct delivery *own = delivery_of(d);
    struct ledger *ledger = ledger_for(h, d);
    const struct ending dropped = {.outcome = SL_DROPPED, .why = why};
    if (!in || d->unclaimed != d->items)
        return SL_ERR_STATE;
    const uint32_t n = runs_of(d, keep, true, NULL);
    if (!n) {
        delivery_finish(own, &dropped, ledger);
        return SL_OK;
    }
    const bool whole = n == 1 && runs_of(d, keep, false, NULL) == 0;
    if (whole) {
        (void)lane_forward(in, own);
        return SL_OK;
    }
    sl_piece few[64];
    sl_piece *pieces = n <= 64 ? few : malloc(n * sizeof *pieces);
    struct delivery *child = NULL;
    int32_t status = SL_ERR_NOMEM;
    if (pieces) {
        (void)runs_of(d, keep, true, pieces);
        status = delivery_derive(in->component->runtime->memory, pieces, n, SL_ITEMWISE, NULL, NULL,
                                 ledger, &child);
    }
    if (pieces != few)
        free(pieces);
    if (status != SL_OK)
        return status;
    delivery_finish(own, &dropped, ledger);
    (void)lane_forward(in, child);
    return SL_OK;
}

static void h_drop_payload(const sl_host *h, sl_delivery *d)
{
    (void)h;
    delivery_drop_payload(delivery_of(d));
}

/* ---- instances ---- */

static void h_timer(const sl_host *h, uint32_t slot, int64_t at_ns)
{
    struct instance *in = instance_of(h);
    if (in)
        instance_timer_set(in, slot, at_ns);
}

static void h_set_ready(const sl_host *h, bool ready)
{
    struct instance *in = instance_of(h);
    if (in)
        instance_set_ready(in, ready);
}

static uint64_t *h_scratch_mask(const sl_host *h, uint32_t bits)
{
    struct instance *in = instance_of(h);
    return in ? instance_mask(in, bits) : NULL;
}

/* ---- blocking work ---- */

struct blocking_job {
    struct lane_task task;
    struct component *component;
    struct instance *instance;
    void (*work)(void *);
    void (*done)(void *);
    void *arg;
};

static void job_over(struct blocking_job *job)
{
    if (job->instance)
        instance_job_ends(job->instance);
    component_job_ends(job->component);
    free(job);
}

static void job_done_on_lane(struct lane_task *task)
{
    struct blocking_job *job = (struct blocking_job *)(void *)task;
    job->done(job->arg);
    job_over(job);
}

static void job_run(void *arg)
{
    struct blocking_job *job = arg;
    job->work(job->arg);
    if (job->done && job->instance) {
        job->task.run = job_done_on_lane;
        lane_post(job->instance->lane, &job->task);
        return;
    }
    if (job->done)
        job->done(job->arg);
    job_over(job);
}

static int32_t h_blocking(const sl_host *h, void (*work)(void *), void (*done)(void *), void *arg)
{
    struct component *c = host_of(h)->component;
    struct blocking_job *job = calloc(1, sizeof *job);
    if (!job)
        return SL_ERR_NOMEM;
    *job = (struct blocking_job){
        .component = c, .instance = host_of(h)->instance, .work = work, .done = done, .arg = arg};
    if (!component_job_begins(c)) {
        free(job);
        return SL_ERR_SHUTDOWN;
    }
    if (job->instance && !instance_job_begins(job->instance)) {
        free(job);
        component_job_ends(c);
        return SL_ERR_SHUTDOWN;
    }
    if (workers_run(c->runtime->workers, job_run, job)) {
        job_over(job);
        return SL_ERR_NOMEM;
    }
    return SL_OK;
}

static const sl_host_table table = {
    .size = sizeof table,
    .interface_of_host = host_interface,
    .interface_of_component = h_component,
    .allocate = h_allocate,
    .release = h_release,
    .log_enabled = h_log_enabled,
    .log = h_log,
    .now = h_now,
    .wall_clock = h_wall_clock,
    .status = h_status,
    .name = h_name,
    .payload_open = h_payload_open,
    .payload_grow = h_payload_grow,
    .payload_close = h_payload_close,
    .payload_ref = h_payload_ref,
    .payload_unref = h_payload_unref,
    .payload_flatten = h_payload_flatten,
    .payload_view = h_payload_view,
    .metadata_make = h_metadata_make,
    .metadata_unref = h_metadata_unref,
    .offer = h_offer,
    .ack = h_ack,
    .forward = h_forward,
    .finish = h_finish,
    .settle = h_settle,
    .settle_some = h_settle_some,
    .derive = h_derive,
    .select = h_select,
    .drop_payload = h_drop_payload,
    .timer = h_timer,
    .set_ready = h_set_ready,
    .scratch_mask = h_scratch_mask,
    .blocking = h_blocking,
};

void host_init(struct host *h, struct component *c, struct instance *in)
{
    h->pub.table = &table;
    h->component = c;
    h->instance = in;
}
