/* How endings find their way back to those who wait for them: from a child's items to its parents',
 * from branches to the item that they share, and at a root to the emitter. From any thread; nothing
 * here allocates, and no lock is held while an emitter is called. */
#include "pipeline/delivery/delivery.h"
#include "pipeline/delivery/metadata.h"

/* The worst outcome of a whole AS_ONE child decides, in this order. */
static uint32_t badness(uint32_t outcome)
{
    static const uint8_t rank[SL_OUTCOMES] = {
        [SL_DELIVERED] = 0, [SL_ABSORBED] = 1, [SL_DROPPED] = 2,
        [SL_EXPIRED] = 3,   [SL_REJECTED] = 4, [SL_FAILED] = 5,
    };
    return rank[outcome];
}

static void tally_add(struct tally *t, uint32_t n, const struct ending *e)
{
    if (e->outcome == SL_FAILED || e->outcome == SL_REJECTED) {
        while (atomic_flag_test_and_set_explicit(&t->lock, memory_order_acquire)) {
        }
        if (!t->has_reason || badness(e->outcome) > badness(t->reason.outcome)) {
            t->reason = *e;
            t->has_reason = true;
        }
        atomic_flag_clear_explicit(&t->lock, memory_order_release);
    }
    atomic_fetch_add_explicit(&t->n[e->outcome], n, memory_order_release);
}

static struct ending tally_reason(struct tally *t)
{
    struct ending reason = {0};
    while (atomic_flag_test_and_set_explicit(&t->lock, memory_order_acquire)) {
    }
    if (t->has_reason)
        reason = t->reason;
    atomic_flag_clear_explicit(&t->lock, memory_order_release);
    return reason;
}

static sl_result result_of(struct delivery *root)
{
    sl_result r = {.size = sizeof r, .items = root->pub.items};
    for (uint32_t i = 0; i < SL_OUTCOMES; i++)
        r.n[i] = atomic_load_explicit(&root->tally->n[i], memory_order_acquire);
    if (r.n[SL_FAILED] || r.n[SL_REJECTED]) {
        const struct ending reason = tally_reason(root->tally);
        r.status =
            reason.status ? reason.status : (r.n[SL_FAILED] ? SL_ERR_UNAVAILABLE : SL_ERR_REJECTED);
        r.retry_after_ns = reason.retry_after_ns;
        r.why = reason.why;
    }
    return r;
}

/* One of the two gates of a root has passed: all items have ended, or `taken` was heard. */
static void pass_gate(struct delivery *d)
{
    if (atomic_fetch_sub_explicit(&d->root->gates, 1, memory_order_acq_rel) != 1)
        return;
    const sl_hear *hear = d->root->hear;
    if (hear && hear->settled) {
        const sl_result r = result_of(d);
        hear->settled(hear->ctx, d->root->cookie, &r);
    }
    if (d->root->unsettled)
        atomic_fetch_sub_explicit(d->root->unsettled, 1, memory_order_release);
    delivery_unref(d);
}

void delivery_run_begin(struct delivery *root, bool first)
{
    atomic_fetch_add_explicit(&root->root->runs, 1, memory_order_relaxed);
    if (!first)
        return;
    if (root->root->hear && root->root->hear->taken)
        atomic_store_explicit(&root->root->gates, 2, memory_order_relaxed);
    atomic_fetch_add_explicit(&root->refs, 1, memory_order_relaxed);
}

void delivery_run_over(struct delivery *root)
{
    if (atomic_fetch_sub_explicit(&root->root->runs, 1, memory_order_acq_rel) != 1)
        return;
    const sl_hear *hear = root->root->hear;
    if (hear && hear->taken) {
        const sl_result r = result_of(root);
        hear->taken(hear->ctx, root->root->cookie, &r);
        pass_gate(root);
    }
    delivery_unref(root);
}

/* Every item of `d` has ended. */
static void complete(struct delivery *d)
{
    switch (d->kind) {
    case DELIVERY_ROOT:
        pass_gate(d); /* drops the debt's reference */
        return;
    case DELIVERY_AS_ONE: {
        struct ending worst = tally_reason(d->tally);
        worst.outcome = SL_DELIVERED;
        for (uint32_t i = 0; i < SL_OUTCOMES; i++)
            if (atomic_load_explicit(&d->tally->n[i], memory_order_acquire) &&
                badness(i) > badness(worst.outcome))
                worst.outcome = i;
        for (uint32_t i = 0; i < d->n_parts; i++) {
            /* in an AS_ONE child `at` is the number of items of the part */
            delivery_credit(d->parts[i].from, d->parts[i].first, d->parts[i].at, &worst);
        }
        break;
    }
    default:
        break;
    }
    delivery_unref(d);
}

static uint32_t part_end(const struct delivery *d, uint32_t i)
{
    return i + 1 < d->n_parts ? d->parts[i + 1].at : d->pub.items;
}

/* A root counts its items, and does not ask which they are. */
static bool only_counts(const struct delivery *d)
{
    return d->kind == DELIVERY_ROOT && !d->root->watch;
}

/* Items of an ITEMWISE child end: so do those that they stand for. Neighbours that are owed to the
 * same parent in one run, or to such a root, become one credit. */
static void credit_parents(struct delivery *d, uint32_t first, uint32_t n, const struct ending *e)
{
    uint32_t low = 0, high = d->n_parts;
    while (high - low > 1) { /* the part that `first` falls into */
        const uint32_t middle = low + (high - low) / 2;
        if (d->parts[middle].at <= first)
            low = middle;
        else
            high = middle;
    }
    for (uint32_t i = low; n; i++) {
        const struct part *p = &d->parts[i];
        const uint32_t start = p->first + (first - p->at);
        uint32_t k = part_end(d, i) - first;
        k = k < n ? k : n;
        uint32_t sum = k;
        first += k;
        n -= k;
        while (n && d->parts[i + 1].from == p->from &&
               (only_counts(p->from) || d->parts[i + 1].first == start + sum)) {
            i++;
            k = part_end(d, i) - first;
            k = k < n ? k : n;
            sum += k;
            first += k;
            n -= k;
        }
        delivery_credit(p->from, start, sum, e);
    }
}

void delivery_credit(struct delivery *d, uint32_t first, uint32_t n, const struct ending *e)
{
    if (!n)
        return;
    switch (d->kind) {
    case DELIVERY_ROOT:
        ledger_ended(d->root->ledger, e->outcome, e->why, n);
        tally_add(d->tally, n, e);
        if (d->root->watch)
            d->root->watch->ended(d->root->watch->ctx, d->root->cookie, first, n, e);
        break;
    case DELIVERY_AS_ONE:
        tally_add(d->tally, n, e);
        break;
    case DELIVERY_ITEMWISE:
        credit_parents(d, first, n, e);
        break;
    default:
        fork_credit(d->fork, d->is_owed, first, n, e);
        break;
    }
    if (atomic_fetch_sub_explicit(&d->open, n, memory_order_acq_rel) == n)
        complete(d);
}

int32_t delivery_settle(const sl_piece *pieces, uint32_t n, const struct ending *ending,
                        struct ledger *ledger)
{
    const int32_t status = claim_pieces(pieces, n, ledger);
    if (status != SL_OK)
        return status;
    for (uint32_t i = 0; i < n; i++) {
        const sl_piece p = piece_normal(&pieces[i]);
        struct delivery *d = delivery_of(p.from);
        uint32_t sum = p.count;
        while (i + 1 < n && pieces[i + 1].from == p.from &&
               (only_counts(d) || pieces[i + 1].first == p.first + sum))
            sum += pieces[++i].count;
        ledger_ended(ledger, ending->outcome, ending->why, sum);
        delivery_credit(d, p.first, sum, ending);
    }
    return SL_OK;
}

void delivery_finish(struct delivery *d, const struct ending *ending, struct ledger *ledger)
{
    holder_remove(d);
    delivery_drop_payload(d);
    const sl_metadata *metadata = d->pub.metadata;
    d->pub.metadata = NULL;
    if (d->pub.unclaimed) {
        sl_piece pieces[64];
        uint32_t n;
        ledger_ended(ledger, ending->outcome, ending->why, d->pub.unclaimed);
        while ((n = delivery_unclaimed(d, pieces, 64)) > 0) {
            n = n < 64 ? n : 64;
            for (uint32_t i = 0; i < n; i++)
                (void)delivery_claim(d, pieces[i].first, pieces[i].count, ledger);
            for (uint32_t i = 0; i < n; i++)
                delivery_credit(d, pieces[i].first, pieces[i].count, ending);
        }
    }
    metadata_unref(metadata);
    delivery_unref(d);
}
