/* A processor that gathers deliveries and sends on children made of pieces of several of them:
 * every 7th span is dropped, every 11th is rewritten, the rest is dealt out. */
#include <sluice/otlp.h>
#include <stdlib.h>

enum { GATHER = 4, CHILDREN = 3, PIECES = 4096 };

struct config {
    sl_base base;
};
static const sl_field fields[] = {SL_END};

struct shuffle {
    const sl_host *host;
    sl_delivery *held[GATHER];
    uint32_t n;
    bool paused;
    sl_piece pieces[PIECES];
};

static int32_t open_lane(void *component, const sl_host *lane, void **instance, sl_error *error)
{
    struct shuffle *s = sl_allocate(lane, sizeof *s);
    (void)component;
    if (!s)
        return sl_fail(error, SL_ERR_NOMEM, "no memory");
    s->host = lane;
    s->n = 0;
    s->paused = false;
    *instance = s;
    return SL_OK;
}

static uint64_t number_of(const sl_span *span)
{
    uint64_t id;
    memcpy(&id, span->span_id, sizeof id);
    return id - 1;
}

/* The spans of all held deliveries that belong to child `c` and are still unclaimed. */
static uint32_t deal(struct shuffle *s, uint32_t c)
{
    uint32_t n = 0;
    for (uint32_t h = 0; h < s->n; h++) {
        sl_view view;
        if (sl_view_of(s->host, s->held[h], &view) != SL_OK)
            continue;
        for (uint32_t i = 0; i < view.items.n && n < PIECES; i++) {
            const sl_span *span = sl_span_at(&view, i);
            const uint64_t number = number_of(span);
            if (number % 7 == 0 || number % CHILDREN != c)
                continue;
            s->pieces[n] = (sl_piece){.from = s->held[h], .first = i, .count = 1};
            if (number % 11 == 0) /* a rewrite that changes nothing shows most */
                s->pieces[n].with = span->record;
            n++;
        }
    }
    return n;
}

static void flush(struct shuffle *s)
{
    for (uint32_t c = 0; c < CHILDREN && s->n; c++) {
        const uint32_t n = deal(s, c);
        sl_delivery *child;
        if (n && sl_derive(s->host, s->pieces, n, &child) == SL_OK &&
            sl_forward(s->host, child) == SL_ERR_FULL)
            s->paused = true;
    }
    /* what was not dealt out: every 7th, and what there was no memory for */
    while (s->n)
        sl_finish(s->host, s->held[--s->n], SL_DROPPED, "seventh");
    if (s->paused)
        sl_set_ready(s->host, false);
}

static int32_t process(void *self, sl_delivery *d)
{
    struct shuffle *s = self;
    if (s->paused || s->n == GATHER || d->items > PIECES / GATHER)
        return s->paused || s->n == GATHER ? SL_ERR_FULL : SL_ERR_TOO_LARGE;
    s->held[s->n++] = d;
    if (s->n == GATHER)
        flush(s);
    return SL_OK;
}

static void on_ready(void *self)
{
    struct shuffle *s = self;
    s->paused = false;
    sl_set_ready(s->host, true);
}

static void on_drain(void *self)
{
    flush(self);
}

static void close_lane(void *self)
{
    struct shuffle *s = self;
    sl_release(s->host, s);
}

SL_TYPE(processor, test_shuffle, .signals = SL_TRACES, .flags = SL_HOLDS | SL_MUTATES,
        SL_CONFIG(struct config, fields), .open = open_lane, .close = close_lane,
        .process = process, .on_ready = on_ready, .on_drain = on_drain,
        .help = "Deals spans out to new deliveries.");
SL_PLUGIN("0.1", &sl_type_test_shuffle);
