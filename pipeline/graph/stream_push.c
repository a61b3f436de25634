/* What is pushed into a journal's stream, and how what it offered ends. */
#include "pipeline/delivery/metadata.h"
#include "pipeline/graph/stream_internal.h"
#include "pipeline/journal/envelope.h"
#include <stdlib.h>

enum { FEW_PARTS = 16 };

/* ---- roots ---- */

struct delivery *stream_root(struct stream *s, struct payload *payload, const sl_metadata *metadata,
                             struct flight **flight)
{
    struct flight *f = calloc(1, sizeof *f);
    struct delivery *root =
        f ? delivery_root(payload, metadata, &s->hear, (uint64_t)(uintptr_t)f, NULL, NULL) : NULL;
    if (!root) {
        free(f);
        payload_unref(payload);
        metadata_unref(metadata);
        return NULL;
    }
    f->stream = s;
    f->items = payload->pub.items;
    *flight = f;
    return root;
}

void stream_root_discard(struct delivery *root, struct flight *f)
{
    root->root->hear = NULL; /* it was never on its way */
    const struct ending e = {.outcome = SL_FAILED};
    delivery_finish(root, &e, NULL);
    free(f);
}

void stream_root_launch(struct delivery *root, struct flight *f, uint64_t seq, uint64_t bytes)
{
    struct stream *s = f->stream;
    f->seq = seq;
    f->bytes = bytes;
    root->root->watch = &s->watch;
    root->is_kept = true;
    stream_ref(s);
    atomic_fetch_add_explicit(&s->in_flight, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->in_flight_bytes, bytes, memory_order_relaxed);
}

void stream_deliver(struct stream *s, struct delivery *d)
{
    struct stream_way *way = stream_way_enter(s);
    const bool leads = way->leads;
    if (leads)
        way->outlet.push(way->outlet.ctx, d);
    stream_way_leave(way);
    if (!leads) {
        const struct ending e = {
            .outcome = SL_FAILED, .status = SL_ERR_SHUTDOWN, .why = "shutdown"};
        delivery_finish(d, &e, NULL);
    }
}

void stream_item_ended(void *ctx, uint64_t cookie, uint32_t first, uint32_t n,
                       const struct ending *e)
{
    struct stream *s = ctx;
    struct flight *f = (struct flight *)(uintptr_t)cookie;
    if (f->settled_before)
        return;
    if (e->outcome == SL_FAILED) {
        atomic_fetch_add_explicit(&f->failed, n, memory_order_relaxed);
        return;
    }
    if (e->outcome == SL_DELIVERED)
        atomic_store_explicit(&s->backoff_ns, 0, memory_order_relaxed);
    const uint32_t ended = journal_settle(s->log, f->seq, first, n);
    atomic_fetch_add_explicit(&s->ended[e->outcome], ended, memory_order_relaxed);
}

void stream_root_settled(void *ctx, uint64_t cookie, const sl_result *result)
{
    struct stream *s = ctx;
    struct flight *f = (struct flight *)(uintptr_t)cookie;
    const uint32_t failed = atomic_load_explicit(&f->failed, memory_order_acquire);
    if (failed) {
        atomic_fetch_add_explicit(&s->offered_again, failed, memory_order_relaxed);
        journal_put_back(s->log, f->seq);
        stream_back_off(s);
    }
    atomic_fetch_sub_explicit(&s->in_flight, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&s->in_flight_bytes, f->bytes, memory_order_release);
    free(f);
    if (result->n[SL_FAILED] < result->items)
        stream_fell(s);
    stream_wake(s);
    stream_unref(s);
}

/* ---- pushing ---- */

/* A delivery between its append and the moment when that is durable. */
struct append {
    struct journal_write write;
    struct stream *stream;
    struct delivery *d;
    struct delivery *run;
    struct ledger *ledger;
    _Atomic uint32_t *pending;
    _Atomic uint32_t refs; /* whoever appends, and `durable` */
    uint8_t head[];
};

static void append_unref(struct append *a)
{
    if (atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) == 1)
        free(a);
}

static void end(struct delivery *d, struct delivery *run, const struct ending *e,
                struct ledger *ledger)
{
    delivery_finish(d, e, ledger);
    if (run)
        delivery_run_over(run);
}

static void on_durable(struct journal_write *write, int32_t status)
{
    struct append *a = (struct append *)(void *)((uint8_t *)write - offsetof(struct append, write));
    const struct ending kept = {.outcome = SL_ABSORBED, .why = "journal"};
    const struct ending lost = {.outcome = SL_FAILED, .status = status, .why = "journal_sync"};
    if (status == SL_OK) {
        end(a->d, a->run, &kept, a->ledger);
        if (!write->taken) /* what is not durable cannot be read yet */
            stream_wake(a->stream);
    } else {
        atomic_fetch_sub_explicit(&a->stream->appended_items, write->items, memory_order_relaxed);
        end(a->d, a->run, &lost, a->ledger);
    }
    if (a->pending)
        atomic_fetch_sub(a->pending, 1);
    append_unref(a);
}

static void refuse(struct delivery *d, struct delivery *run, int32_t status, struct ledger *ledger)
{
    const struct ending e = {.outcome = status == SL_ERR_TOO_LARGE ? SL_REJECTED : SL_FAILED,
                             .status = status,
                             .why = status == SL_ERR_FULL        ? "journal_full"
                                    : status == SL_ERR_TOO_LARGE ? "journal_record"
                                    : status == SL_ERR_NOMEM     ? "no_memory"
                                                                 : "journal"};
    end(d, run, &e, ledger);
}

/* May the next record be taken at once? */
static bool outlet_takes(struct stream *s, uint64_t bytes)
{
    if (!stream_window_open(s, bytes))
        return false;
    struct stream_way *way = stream_way_enter(s);
    const bool room = way->leads && way->outlet.has_room(way->outlet.ctx, NULL);
    stream_way_leave(way);
    return room;
}

/* The root that goes on from here if the record is taken at once; NULL: it will be read. */
static struct delivery *root_of(struct stream *s, const struct delivery *d, struct flight **flight)
{
    if (!outlet_takes(s, d->pub.payload->bytes))
        return NULL;
    struct payload *payload = payload_of(d->pub.payload);
    payload_ref(payload);
    return stream_root(s, payload, metadata_ref(d->pub.metadata), flight);
}

static int32_t append(struct stream *s, struct append *a, struct iovec *parts, size_t head)
{
    const sl_payload *p = a->d->pub.payload;
    envelope_head(p, a->d->pub.metadata, a->head);
    parts[0] = (struct iovec){.iov_base = a->head, .iov_len = head};
    for (uint32_t i = 0; i < p->n_segments; i++)
        parts[1 + i] = (struct iovec){.iov_base = (void *)(uintptr_t)p->segments[i].p,
                                      .iov_len = p->segments[i].n};
    a->write.parts = parts;
    a->write.n_parts = 1 + p->n_segments;
    a->write.items = a->d->pub.items;
    a->write.arrived_ns =
        a->d->pub.metadata ? a->d->pub.metadata->arrived_ns : clock_wall(s->runtime->clock);
    a->write.durable = on_durable;
    return journal_append(s->log, &a->write);
}

void stream_push(struct stream *s, struct delivery *d, struct delivery *run, struct ledger *ledger,
                 _Atomic uint32_t *pending)
{
    struct iovec few[FEW_PARTS], *parts = few;
    struct flight *flight = NULL;
    const sl_payload *p = d->pub.payload;
    const size_t head = envelope_head_size(p, d->pub.metadata);
    struct append *a = head ? malloc(sizeof *a + head) : NULL;
    if (run)
        delivery_run_begin(run, false);
    if (p->n_segments >= FEW_PARTS)
        parts = malloc((p->n_segments + (size_t)1) * sizeof *parts);
    if (!a || !parts) {
        refuse(d, run, head ? SL_ERR_NOMEM : SL_ERR_TOO_LARGE, ledger);
    } else {
        *a = (struct append){.stream = s, .d = d, .run = run, .ledger = ledger, .pending = pending};
        atomic_init(&a->refs, 2);
        if (pending)
            atomic_fetch_add(pending, 1);
        const uint64_t bytes = p->bytes;
        struct delivery *root = root_of(s, d, &flight);
        a->write.take = root != NULL;
        const int32_t status = append(s, a, parts, head);
        if (status == SL_OK) {
            atomic_fetch_add_explicit(&s->appended_items, a->write.items, memory_order_relaxed);
        } else {
            refuse(d, run, status, ledger);
            if (pending)
                atomic_fetch_sub(pending, 1);
            append_unref(a);
        }
        const bool taken = status == SL_OK && a->write.taken;
        if (root && !taken)
            stream_root_discard(root, flight);
        if (taken) {
            stream_root_launch(root, flight, a->write.seq, bytes);
            stream_deliver(s, root);
        }
        append_unref(a);
        a = NULL;
    }
    free(a);
    if (parts != few)
        free(parts);
}
