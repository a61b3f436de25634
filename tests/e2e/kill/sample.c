/* A processor for the kill tests that keeps some groups of spans and drops others, by chance and
 * for good: it holds deliveries for a time, notes each decision in the journal, and writes it into
 * a file that outlives it. What it decides differently than an earlier process is counted there. */
#include "tests/e2e/kill/ledger.h"
#include "tests/e2e/kill/span.h"
#include <sluice/otlp.h>
#include <stdlib.h>
#include <unistd.h>

enum { GROUP = 64 /* spans */, GROUPS = LEDGER_SPANS / GROUP, DROP_ONE_IN = 4 };
enum { UNDECIDED, KEEP, DROP };

/* kill/audit.py reads it. */
struct decisions {
    _Atomic uint64_t contradictions;
    _Atomic uint8_t groups[GROUPS];
};

struct config {
    sl_base base;
    int64_t hold;
    uint32_t most;
    sl_bytes decisions;
};

static const sl_field fields[] = {
    SL_DURATION(struct config, hold, "How long.", .def.i = 100000000),
    SL_U32(struct config, most, "Deliveries that are held at once.", .def.u = 4096),
    SL_TEXT(struct config, decisions, "File for what was decided.", .flags = SL_REQUIRED),
    SL_END,
};

struct held {
    sl_delivery *d;
    int64_t due;
};

struct sample {
    const sl_host *host;
    const sl_journal_note *notes; /* NULL: the pipeline has no journal */
    const struct config *config;
    struct decisions *outside;
    uint8_t *known; /* of each group */
    uint64_t random;
    uint32_t n;
    bool paused;
    struct held held[]; /* a queue: the oldest first */
};

static void close_lane(void *self)
{
    struct sample *s = self;
    free(s->known);
    sl_release(s->host, s);
}

static int32_t open_lane(void *component, const sl_host *lane, void **instance, sl_error *error)
{
    const struct config *c = component;
    char path[4096];
    struct sample *s = sl_allocate(lane, sizeof *s + c->most * sizeof(struct held));
    if (!s || c->decisions.n >= sizeof path)
        return sl_fail(error, SL_ERR_NOMEM, "no memory");
    memcpy(path, c->decisions.p, c->decisions.n);
    path[c->decisions.n] = '\0';
    *s = (struct sample){.host = lane,
                         .notes = sl_interface(lane, SL_JOURNAL_NOTE),
                         .config = c,
                         .outside = ledger_map(path, sizeof *s->outside),
                         .known = calloc(GROUPS, 1),
                         .random = span_mix((uint64_t)getpid() ^ (uint64_t)sl_now(lane))};
    if (!s->known || !s->outside) {
        close_lane(s);
        return sl_fail(error, SL_ERR_IO, "cannot map \"%s\"", path);
    }
    *instance = s;
    return SL_OK;
}

static void learn(struct sample *s, uint32_t group, uint8_t decision)
{
    const uint8_t before = s->outside->groups[group];
    s->known[group] = decision;
    if (before == UNDECIDED)
        s->outside->groups[group] = decision;
    else if (before != decision)
        atomic_fetch_add(&s->outside->contradictions, 1);
}

static void on_note(void *self, sl_bytes key, sl_bytes note)
{
    uint32_t group = GROUPS;
    if (key.n == sizeof group && note.n == 1)
        memcpy(&group, key.p, sizeof group);
    if (group < GROUPS)
        learn(self, group, note.p[0]);
}

/* UNDECIDED: it cannot be noted now. */
static uint8_t decision_of(struct sample *s, uint32_t group)
{
    if (s->known[group] != UNDECIDED)
        return s->known[group];
    s->random = span_mix(s->random);
    const uint8_t decision = s->random % DROP_ONE_IN ? KEEP : DROP;
    if (s->notes && s->notes->append(s->host, sl_slice((const uint8_t *)&group, sizeof group),
                                     sl_slice(&decision, 1)) != SL_OK)
        return UNDECIDED;
    learn(s, group, decision);
    return decision;
}

/* False: it stays. */
static bool let_go(struct sample *s, sl_delivery *d)
{
    sl_view view;
    uint64_t *keep = sl_mask(s->host, d);
    if (!keep || sl_view_of(s->host, d, &view) != SL_OK)
        return false;
    for (uint32_t i = 0; i < d->items; i++) {
        uint64_t number;
        memcpy(&number, sl_span_at(&view, i)->span_id, sizeof number);
        const uint8_t decision = decision_of(s, (uint32_t)(number / GROUP % GROUPS));
        if (decision == UNDECIDED)
            return false;
        if (decision == DROP)
            sl_mask_clear(keep, i);
    }
    const int32_t status = sl_select(s->host, d, keep, "not_chosen");
    s->paused |= status == SL_ERR_FULL;
    return status == SL_OK || status == SL_ERR_FULL;
}

static void let_go_of_those_due(struct sample *s, bool all)
{
    uint32_t gone = 0;
    while (gone < s->n && !s->paused && (all || s->held[gone].due <= sl_now(s->host)) &&
           let_go(s, s->held[gone].d))
        gone++;
    s->n -= gone;
    memmove(s->held, s->held + gone, s->n * sizeof *s->held);
    const int64_t soon = sl_now(s->host) + 1000000;
    const int64_t due = s->n && s->held[0].due > soon ? s->held[0].due : soon;
    s->host->table->timer(s->host, 0, s->n && !s->paused ? due : 0);
    s->host->table->set_ready(s->host, s->n < s->config->most);
}

static int32_t process(void *self, sl_delivery *d)
{
    struct sample *s = self;
    if (s->n == s->config->most)
        return SL_ERR_FULL;
    s->held[s->n++] = (struct held){d, sl_now(s->host) + s->config->hold};
    if (s->n == 1 && !s->paused)
        s->host->table->timer(s->host, 0, s->held[0].due);
    if (s->n == s->config->most)
        s->host->table->set_ready(s->host, false);
    return SL_OK;
}

static void on_timer(void *self, uint32_t slot)
{
    (void)slot;
    let_go_of_those_due(self, false);
}

static void on_ready(void *self)
{
    struct sample *s = self;
    s->paused = false;
    let_go_of_those_due(s, false);
}

static void on_drain(void *self)
{
    let_go_of_those_due(self, true);
}

SL_TYPE(processor, kill_sample, .signals = SL_TRACES, .flags = SL_HOLDS,
        SL_CONFIG(struct config, fields), .open = open_lane, .close = close_lane,
        .process = process, .on_timer = on_timer, .on_ready = on_ready, .on_drain = on_drain,
        .on_note = on_note, .help = "Holds deliveries for a time, then keeps most by chance.");
SL_PLUGIN("0.1", &sl_type_kill_sample);
