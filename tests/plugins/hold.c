/* A processor that holds each delivery for a time, in the manner of a tail sampler: it gives the
 * bytes' debt back only when the time has come, and shuts its door when it holds too many. */
#include <sluice/plugin.h>
#include <stdlib.h>

struct config {
    sl_base base;
    int64_t hold;
    uint32_t most;
};

static const sl_field fields[] = {
    SL_DURATION(struct config, hold, "How long.", .def.i = INT64_C(60000000000)),
    SL_U32(struct config, most, "Deliveries that are held at once.", .def.u = 64),
    SL_END,
};

struct held {
    sl_delivery *d;
    int64_t due;
};

struct hold {
    const sl_host *host;
    const struct config *config;
    uint32_t n;
    bool paused;
    struct held held[]; /* a queue: the oldest first */
};

static int32_t open_lane(void *component, const sl_host *lane, void **instance, sl_error *error)
{
    const struct config *c = component;
    struct hold *h = sl_allocate(lane, sizeof *h + c->most * sizeof(struct held));
    if (!h)
        return sl_fail(error, SL_ERR_NOMEM, "no memory");
    *h = (struct hold){.host = lane, .config = c};
    *instance = h;
    return SL_OK;
}

static void release(struct hold *h, bool all)
{
    uint32_t gone = 0;
    while (gone < h->n && !h->paused && (all || h->held[gone].due <= sl_now(h->host)))
        h->paused = sl_forward(h->host, h->held[gone++].d) == SL_ERR_FULL;
    h->n -= gone;
    memmove(h->held, h->held + gone, h->n * sizeof *h->held);
    sl_timer(h->host, 0, h->n && !h->paused ? h->held[0].due : 0);
    if (gone && h->n < h->config->most)
        sl_set_ready(h->host, true);
}

static int32_t process(void *self, sl_delivery *d)
{
    struct hold *h = self;
    if (h->n == h->config->most)
        return SL_ERR_FULL;
    h->held[h->n++] = (struct held){d, sl_now(h->host) + h->config->hold};
    if (h->n == 1 && !h->paused)
        sl_timer(h->host, 0, h->held[0].due);
    if (h->n == h->config->most)
        sl_set_ready(h->host, false);
    return SL_OK;
}

static void on_timer(void *self, uint32_t slot)
{
    (void)slot;
    release(self, false);
}

static void on_ready(void *self)
{
    struct hold *h = self;
    h->paused = false;
    release(h, false);
}

static void on_drain(void *self)
{
    release(self, true);
}

static void close_lane(void *self)
{
    struct hold *h = self;
    sl_release(h->host, h);
}

SL_TYPE(processor, test_hold, .signals = SL_TRACES | SL_METRICS | SL_LOGS,
        .flags = SL_HOLDS | SL_TRACE_AFFINITY, SL_CONFIG(struct config, fields), .open = open_lane,
        .close = close_lane, .process = process, .on_timer = on_timer, .on_ready = on_ready,
        .on_drain = on_drain, .help = "Holds deliveries for a time.");
SL_PLUGIN("0.1", &sl_type_test_hold);
