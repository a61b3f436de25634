/* The way into a pipeline: which lane takes a delivery; any thread. And its end; control thread.
 *
 * Lanes take turns; where a processor needs whole traces, a delivery is cut by a hash of the trace
 * id, so that all spans of a trace meet in one lane. */
#include "pipeline/graph/lane.h"
#include "pipeline/graph/transcode.h"
#include <sluice/otlp.h>
#include <stdlib.h>

int32_t pipeline_room(struct pipeline *p, struct component *emitter, const sl_hear *hear,
                      struct lane *waiter)
{
    if (!p->journal.stream)
        return pipeline_lanes_have_room(p, emitter, hear, waiter);
    return stream_room(p->journal.stream, emitter, hear, waiter);
}

int32_t pipeline_lanes_have_room(struct pipeline *p, struct component *emitter, const sl_hear *hear,
                                 struct lane *waiter)
{
    for (uint32_t i = 0; i < p->n_lanes; i++) {
        if (lane_has_room(&p->lanes[i]))
            continue;
        if ((hear && hear->ready) || waiter)
            return lane_wait(&p->lanes[i], emitter, hear, waiter) ? SL_ERR_FULL : SL_ERR_NOMEM;
        return SL_ERR_FULL;
    }
    return SL_OK;
}

static void push_to(struct lane *lane, struct delivery *d, struct delivery *run)
{
    if (run)
        delivery_run_begin(run, false);
    d->run = run;
    lane_push(lane, d);
}

static uint32_t lane_of_trace(const struct pipeline *p, const uint8_t trace_id[16])
{
    /* ids are random, but some senders fill only half of them */
    uint64_t high, low;
    memcpy(&high, trace_id, 8);
    memcpy(&low, trace_id + 8, 8);
    const uint64_t hash = (high ^ low) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)((hash >> 32) * p->n_lanes >> 32);
}

static void fail(struct delivery *d, int32_t status, const char *why)
{
    const struct ending e = {.outcome = SL_FAILED, .status = status, .why = why};
    delivery_finish(d, &e, NULL);
}

/* Cuts `d` by trace into the lanes' shares. */
static void push_by_trace(struct pipeline *p, struct delivery *d, struct delivery *run)
{
    sl_view view = {.size = sizeof view};
    const uint32_t items = d->pub.items;
    const int32_t status = delivery_decode(p->runtime, &d);
    if (status != SL_OK) {
        fail(d, status, "decode");
        return;
    }
    if (payload_view(payload_of(d->pub.payload), &view) != SL_OK) {
        fail(d, SL_ERR_NOMEM, "no_memory");
        return;
    }
    sl_piece *pieces = malloc((size_t)items * sizeof *pieces);
    struct delivery **shares = calloc(p->n_lanes, sizeof *shares);
    bool ok = pieces && shares;
    for (uint32_t l = 0; ok && l < p->n_lanes; l++) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < items; i++) {
            if (lane_of_trace(p, sl_span_at(&view, i)->trace_id) != l)
                continue;
            if (n && pieces[n - 1].first + pieces[n - 1].count == i)
                pieces[n - 1].count++;
            else
                pieces[n++] = (sl_piece){.from = &d->pub, .first = i, .count = 1};
        }
        if (n)
            ok = delivery_derive(p->runtime->memory, pieces, n, SL_ITEMWISE, NULL, NULL, NULL,
                                 &shares[l]) == SL_OK;
    }
    for (uint32_t l = 0; shares && l < p->n_lanes; l++)
        if (shares[l])
            push_to(&p->lanes[l], shares[l], run);
    free(pieces);
    free(shares);
    fail(d, SL_ERR_NOMEM, "no_memory"); /* all claimed, unless memory ran out in between */
}

void pipeline_push(struct pipeline *p, struct delivery *d, struct delivery *run)
{
    if (p->journal.stream)
        stream_push(p->journal.stream, d, run, NULL, NULL);
    else
        pipeline_enter(p, d, run);
}

void pipeline_enter(struct pipeline *p, struct delivery *d, struct delivery *run)
{
    if (p->n_lanes == 1) {
        push_to(&p->lanes[0], d, run);
        return;
    }
    if (p->trace_affinity && p->signal == SL_TRACES) {
        push_by_trace(p, d, run);
        return;
    }
    const uint32_t turn = atomic_fetch_add_explicit(&p->turn, 1, memory_order_relaxed);
    push_to(&p->lanes[turn % p->n_lanes], d, run);
}

/* ---- ending ---- */

void pipeline_drain(struct pipeline *p)
{
    for (uint32_t l = 0; l < p->n_lanes; l++) {
        if (p->lanes_stay)
            lane_drain_leaving(&p->lanes[l]);
        else
            lane_drain(&p->lanes[l]);
    }
}

bool pipeline_is_empty(struct pipeline *p)
{
    bool empty = true;
    for (uint32_t l = 0; l < p->n_lanes; l++)
        empty &= p->lanes_stay ? lane_leaving_is_empty(&p->lanes[l]) : lane_is_empty(&p->lanes[l]);
    return empty;
}

uint64_t pipeline_close(struct pipeline *p)
{
    uint64_t items = 0;
    for (uint32_t l = 0; p->lanes && l < p->n_lanes; l++)
        items += p->lanes_stay ? lane_close_leaving(&p->lanes[l]) : lane_close(&p->lanes[l]);
    return items;
}

void pipeline_destroy(struct pipeline *p)
{
    if (!p)
        return;
    journal_release(p);
    for (uint32_t l = 0; p->layouts && l < p->n_lanes; l++)
        layout_discard(&p->layouts[l]);
    free(p->layouts);
    if (!p->lanes_stay && !p->before) {
        for (uint32_t l = 0; p->lanes && l < p->n_lanes; l++)
            lane_deinit(&p->lanes[l]);
        free(p->lanes);
    }
    free(p->processors);
    free(p->exporters);
    free((void *)(uintptr_t)p->id);
    free(p);
}
