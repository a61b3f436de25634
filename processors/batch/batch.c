/* batch: merges deliveries until they have send_batch_size items or the oldest has waited for
 * `timeout`, and splits what is above send_batch_max_size. Merging lists the segments of what came
 * in, splitting references its records: no bytes are copied. Everything runs on the instance's
 * lane; the config is read-only. */
#include "processors/batch/batch.h"
#include "formats/partition/partition_key.h"

static const int64_t NOMEM_RETRY_NS = 20000000;

/* A child's items are counted in 32 bits. */
static const uint64_t BATCH_MAX = UINT64_C(1) << 31;

static void count_batch(const struct batch_config *c, uint32_t items, bool by_size)
{
    if (!c->metrics)
        return;
    c->metrics->add(by_size ? c->by_size : c->by_timeout, 1);
    c->metrics->record(c->sizes, items);
}

static void arm(struct batch *b, int64_t at_ns)
{
    if (b->timer_ns == 0 || at_ns < b->timer_ns) {
        sl_timer(b->host, 0, at_ns);
        b->timer_ns = at_ns;
    }
}

static void wait_for(struct batch *b, enum batch_wait reason)
{
    b->wait = reason;
    sl_set_ready(b->host, false);
    if (reason == WAIT_MEMORY)
        arm(b, sl_now(b->host) + NOMEM_RETRY_NS);
}

/* Makes one batch of at most `limit` items and hands it on. */
static void send_batch(struct batch *b, struct group *g, uint64_t limit, bool by_size)
{
    uint64_t taken = 0;
    uint32_t n = 0, rest = 0; /* rest: items of the last piece that stay */
    while (n < g->n && taken < limit) {
        taken += g->held[n++].count;
    }
    sl_piece *last = &g->held[n - 1];
    if (taken > limit) {
        rest = (uint32_t)(taken - limit);
        last->count -= rest;
        taken = limit;
    }
    sl_delivery *out = NULL;
    const bool whole = g->held[0].count == g->held[0].from->items;
    int32_t status = SL_OK;
    if (n > 1 || !whole)
        status = sl_derive(b->host, g->held, n, &out);
    if (status != SL_OK && whole) {
        /* merging takes memory, handing on as it came does not */
        last->count += rest;
        rest = 0;
        n = 1;
        taken = g->held[0].count;
        status = taken <= limit ? SL_OK : status;
    }
    if (status != SL_OK) {
        last->count += rest;
        wait_for(b, WAIT_MEMORY);
        return;
    }
    for (uint32_t i = 0; out && i < n - (rest > 0); i++)
        sl_finish(b->host, g->held[i].from, SL_DELIVERED, NULL); /* all of it is in the child */
    if (!out)
        out = g->held[0].from;
    if (rest) {
        last->first += last->count;
        last->count = rest;
    }
    group_remove(g, n - (rest > 0));
    g->items -= taken;
    count_batch(b->config, (uint32_t)taken, by_size);
    if (sl_forward(b->host, out) == SL_ERR_FULL)
        wait_for(b, WAIT_OUTPUT);
}

/* Hands on full batches, or everything; then waits anew for what is left. */
static void flush(struct batch *b, struct group *g, bool all)
{
    const struct batch_config *c = b->config;
    const uint64_t max = c->send_batch_max_size ? c->send_batch_max_size : BATCH_MAX;
    while (b->wait == WAIT_NOT && g->items > 0 && (all || g->items >= c->send_batch_size))
        send_batch(b, g, max, !all || g->items >= c->send_batch_size);
    if (g->items == 0) {
        group_release(b, g);
        return;
    }
    const bool due = b->wait != WAIT_NOT && (all || g->items >= c->send_batch_size);
    const int64_t now = sl_now(b->host);
    g->deadline_ns = due ? now : now + c->timeout;
    group_queue(b, g, due);
}

/* Hands on all that is due. The timer is left armed when a full batch goes early: it then fires for
 * nothing once, which is cheaper than to disarm it for each batch. */
static void flush_due(struct batch *b)
{
    const int64_t now = sl_now(b->host);
    while (b->wait == WAIT_NOT && b->first && (b->draining || b->first->deadline_ns <= now))
        flush(b, b->first, true);
    if (b->first && b->wait == WAIT_NOT)
        arm(b, b->first->deadline_ns);
}

static int32_t process(void *instance, sl_delivery *d)
{
    struct batch *b = instance;
    const struct batch_config *c = b->config;
    struct group *g;
    if (b->wait != WAIT_NOT)
        return SL_ERR_FULL;
    int32_t status = group_find(b, d->metadata, &g);
    if (status != SL_OK)
        return status;
    const bool fresh = g->items == 0;
    status = group_append(b, g, d);
    if (status != SL_OK) {
        if (fresh)
            group_release(b, g);
        return status;
    }
    if (g->items >= c->send_batch_size || c->timeout == 0 || b->draining) {
        flush(b, g, c->timeout == 0 || b->draining);
        if (b->first && b->wait == WAIT_NOT)
            arm(b, b->first->deadline_ns);
    } else if (fresh) {
        g->deadline_ns = sl_now(b->host) + c->timeout;
        group_queue(b, g, false);
        arm(b, g->deadline_ns);
    }
    return SL_OK;
}

static void resume(struct batch *b)
{
    if (b->wait == WAIT_NOT)
        return;
    b->wait = WAIT_NOT;
    flush_due(b);
    if (b->wait == WAIT_NOT)
        sl_set_ready(b->host, true);
}

static void on_timer(void *instance, uint32_t slot)
{
    struct batch *b = instance;
    (void)slot;
    b->timer_ns = 0;
    if (b->wait == WAIT_MEMORY)
        resume(b);
    else
        flush_due(b);
}

static void on_ready(void *instance)
{
    struct batch *b = instance;
    if (b->wait == WAIT_OUTPUT)
        resume(b);
}

static void on_drain(void *instance)
{
    struct batch *b = instance;
    b->draining = true;
    flush_due(b);
}

static int32_t open_lane(void *component, const sl_host *lane, void **instance, sl_error *error)
{
    struct batch *b = sl_allocate(lane, sizeof *b);
    if (!b)
        return sl_fail(error, SL_ERR_NOMEM, "no memory for a lane of batch");
    *b = (struct batch){.host = lane, .config = component};
    *instance = b;
    return SL_OK;
}

/* What is still held stays the host's to account for. */
static void close_lane(void *instance)
{
    struct batch *b = instance;
    group_free_all(b);
    sl_release(b->host, b);
}

static int32_t prepare(void *component, sl_error *error)
{
    const struct batch_config *c = component;
    if (c->send_batch_max_size && c->send_batch_max_size < c->send_batch_size)
        return sl_fail(
            error, SL_ERR_INVALID,
            "send_batch_max_size (%u) is below send_batch_size (%u); raise it, or set it "
            "to 0 for no limit",
            c->send_batch_max_size, c->send_batch_size);
    return partition_keys_check(&c->metadata_keys, "metadata_keys", error);
}

static int32_t start(void *component, sl_error *error)
{
    static const int64_t bounds[] = {
        10,   25,   50,   75,   100,  250,   500,   750,   1000,  2000,  3000, 4000,
        5000, 6000, 7000, 8000, 9000, 10000, 20000, 30000, 50000, 100000}; /* the Collector's */
    struct batch_config *c = component;
    const sl_host *h = sl_host_of(c);
    const sl_metrics *m = sl_interface(h, SL_METRICS_INTERFACE);
    (void)error;
    if (!m)
        return SL_OK;
    c->by_size = m->metric(h, SL_COUNTER, "otelcol_processor_batch_batch_size_trigger_send",
                           "Batches sent because they were full.", NULL, NULL);
    c->by_timeout = m->metric(h, SL_COUNTER, "otelcol_processor_batch_timeout_trigger_send",
                              "Batches sent because they had waited.", NULL, NULL);
    c->sizes = m->histogram(h, "otelcol_processor_batch_batch_send_size", "Items in batches sent.",
                            bounds, sizeof bounds / sizeof *bounds);
    c->metrics = m;
    return SL_OK;
}

static const sl_field fields[] = {
    SL_DURATION(struct batch_config, timeout,
                "How long the oldest item waits for its batch to fill; 0: batches are only split, "
                "never waited for.",
                .def.i = 200000000, SL_RANGE(i, 0, INT64_C(86400000000000))),
    SL_U32(
        struct batch_config, send_batch_size,
        "Spans, metric points or log records that a batch is sent with at once; 0: whatever comes.",
        .def.u = 8192, SL_RANGE(u, 0, 1u << 30)),
    SL_U32(struct batch_config, send_batch_max_size,
           "Batches above it are split; 0: never. Not below send_batch_size.",
           SL_RANGE(u, 0, 1u << 30)),
    SL_TEXTS(struct batch_config, metadata_keys,
             "Only deliveries with the same values of these client metadata keys are merged."),
    SL_U32(struct batch_config, metadata_cardinality_limit,
           "Combinations of those values that are held at once; data of one more is refused. 0: no "
           "limit.",
           .def.u = 1000),
    SL_END};

SL_TYPE(processor, batch, .signals = SL_TRACES | SL_METRICS | SL_LOGS | SL_PROFILES,
        .flags = SL_HOLDS, .stability = SL_BETA, SL_CONFIG(struct batch_config, fields),
        .prepare = prepare, .start = start, .open = open_lane, .close = close_lane,
        .process = process, .on_timer = on_timer, .on_ready = on_ready, .on_drain = on_drain,
        .help = "Merges small deliveries into larger ones and splits those that are too large, "
                "without copying bytes.");
SL_PLUGIN("0.1.0", &sl_type_batch);
