/* A processor that holds deliveries for a time and then decides, trace by trace, whether to keep
 * them: by chance, so that only what it has noted in the journal lets it decide the same again
 * after a crash. */
#include "tests/plugins/test_interfaces.h"
#include <sluice/otlp.h>
#include <stdlib.h>
#include <unistd.h>

enum { UNDECIDED, KEEP, DROP };

struct config {
    sl_base base;
    int64_t hold;
    uint32_t most;
};

static const sl_field fields[] = {
    SL_DURATION(struct config, hold, "How long.", .def.i = INT64_C(10000000000)),
    SL_U32(struct config, most, "Deliveries that are held at once.", .def.u = 1024),
    SL_END,
};

struct decide {
    const sl_host *host;
    const sl_journal_note *notes; /* NULL: the pipeline has no journal */
    const struct config *config;
    uint32_t n;
    bool paused;
    uint64_t random;
    uint8_t decisions[TEST_SPANS_MAX / 4];
    sl_delivery *held[];
};

static int32_t open_lane(void *component, const sl_host *lane, void **instance, sl_error *error)
{
    const struct config *c = component;
    struct decide *d = sl_allocate(lane, sizeof *d + c->most * sizeof(sl_delivery *));
    if (!d)
        return sl_fail(error, SL_ERR_NOMEM, "no memory");
    memset(d, 0, sizeof *d);
    d->host = lane;
    d->config = c;
    d->notes = sl_interface(lane, SL_JOURNAL_NOTE);
    d->random = (uint64_t)(uintptr_t)d ^ (uint64_t)getpid();
    *instance = d;
    return SL_OK;
}

static uint32_t trace_of(const sl_span *span)
{
    uint64_t n;
    memcpy(&n, span->trace_id + 8, sizeof n);
    return (uint32_t)(n % (TEST_SPANS_MAX / 4));
}

static void on_note(void *self, sl_bytes key, sl_bytes note)
{
    struct decide *d = self;
    uint32_t trace;
    if (key.n != sizeof trace || note.n != 1)
        return;
    memcpy(&trace, key.p, sizeof trace);
    d->decisions[trace % (TEST_SPANS_MAX / 4)] = note.p[0];
}

/* Nothing leaves before its decision is noted. False: it could not be. */
static bool decision_of(struct decide *d, uint32_t trace, uint8_t *decision)
{
    uint8_t *known = &d->decisions[trace];
    if (*known == UNDECIDED) {
        d->random = d->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        const uint8_t made = d->random >> 63 ? KEEP : DROP;
        if (d->notes &&
            d->notes->append(d->host, sl_slice(&trace, sizeof trace), sl_slice(&made, 1)) != SL_OK)
            return false;
        *known = made;
    }
    *decision = *known;
    return true;
}

/* False: it stays. */
static bool decide(struct decide *d, sl_delivery *delivery)
{
    sl_view view;
    uint8_t decision;
    uint64_t *keep = sl_mask(d->host, delivery);
    if (!keep || sl_view_of(d->host, delivery, &view) != SL_OK)
        return false;
    for (uint32_t i = 0; i < delivery->items; i++) {
        if (!decision_of(d, trace_of(sl_span_at(&view, i)), &decision))
            return false;
        if (decision == DROP)
            sl_mask_clear(keep, i);
    }
    const int32_t status = sl_select(d->host, delivery, keep, "not_chosen");
    d->paused |= status == SL_ERR_FULL;
    return status == SL_OK || status == SL_ERR_FULL;
}

static void decide_all(struct decide *d)
{
    uint32_t gone = 0;
    while (gone < d->n && !d->paused && decide(d, d->held[gone]))
        gone++;
    d->n -= gone;
    memmove(d->held, d->held + gone, d->n * sizeof *d->held);
    d->host->table->timer(d->host, 0, d->n && !d->paused ? sl_now(d->host) + d->config->hold : 0);
    d->host->table->set_ready(d->host, d->n < d->config->most);
}

static int32_t process(void *self, sl_delivery *delivery)
{
    struct decide *d = self;
    if (d->n == d->config->most)
        return SL_ERR_FULL;
    d->held[d->n++] = delivery;
    if (d->n == 1 && !d->paused)
        d->host->table->timer(d->host, 0, sl_now(d->host) + d->config->hold);
    if (d->n == d->config->most)
        d->host->table->set_ready(d->host, false);
    return SL_OK;
}

static void on_timer(void *self, uint32_t slot)
{
    (void)slot;
    decide_all(self);
}

static void on_ready(void *self)
{
    struct decide *d = self;
    d->paused = false;
    decide_all(d);
}

static void close_lane(void *self)
{
    struct decide *d = self;
    sl_release(d->host, d);
}

SL_TYPE(processor, test_decide, .signals = SL_TRACES, .flags = SL_HOLDS | SL_TRACE_AFFINITY,
        SL_CONFIG(struct config, fields), .open = open_lane, .close = close_lane,
        .process = process, .on_timer = on_timer, .on_ready = on_ready, .on_note = on_note,
        .help = "Holds deliveries for a time, then keeps every second trace by chance.");
SL_PLUGIN("0.1", &sl_type_test_decide);
