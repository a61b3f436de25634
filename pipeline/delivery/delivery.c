/* Handles: making them, holding them in lists, claiming their items. The lists are locked; claims
 * on one handle are made by its owner alone. */
#include "pipeline/delivery/delivery.h"
#include "pipeline/delivery/metadata.h"
#include <stdlib.h>

/* ---- memory ---- */

struct delivery *delivery_new(uint8_t kind, uint32_t items, uint32_t n_parts)
{
    const size_t words = ((size_t)items + 63) / 64;
    const bool tallied = kind == DELIVERY_ROOT || kind == DELIVERY_AS_ONE;
    const size_t tail =
        (kind == DELIVERY_ROOT ? sizeof(struct root) : 0) + (tallied ? sizeof(struct tally) : 0);
    size_t size;
    if (__builtin_mul_overflow((size_t)n_parts, sizeof(struct part), &size) ||
        __builtin_add_overflow(size, sizeof(struct delivery) + tail + words * 8, &size))
        return NULL;
    struct delivery *d = malloc(size);
    if (!d)
        return NULL;
    memset(d, 0, sizeof *d + tail);
    uint8_t *at = (uint8_t *)(d + 1);
    if (kind == DELIVERY_ROOT) {
        d->root = (struct root *)(void *)at;
        at += sizeof(struct root);
    }
    if (tallied) {
        d->tally = (struct tally *)(void *)at;
        atomic_flag_clear(&d->tally->lock);
        at += sizeof(struct tally);
    }
    d->parts = (struct part *)(void *)at;
    d->claimed = (uint64_t *)(void *)(d->parts + n_parts); /* cleared by the first partial claim */
    d->kind = kind;
    d->n_parts = n_parts;
    d->pub.items = d->pub.unclaimed = items;
    atomic_init(&d->open, items);
    atomic_init(&d->refs, 2);
    return d;
}

void delivery_unref(struct delivery *d)
{
    if (atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (d->kind == DELIVERY_BRANCH)
        fork_unref(d->fork);
    free(d);
}

struct delivery *delivery_root(struct payload *payload, const sl_metadata *metadata,
                               const sl_hear *hear, uint64_t cookie, struct ledger *ledger,
                               _Atomic uint64_t *unsettled)
{
    struct delivery *d = delivery_new(DELIVERY_ROOT, payload->pub.items, 0);
    if (!d)
        return NULL;
    d->pub.payload = &payload->pub;
    d->pub.metadata = metadata;
    d->root->hear = hear;
    d->root->cookie = cookie;
    d->root->ledger = ledger;
    d->root->unsettled = unsettled;
    if (unsettled)
        atomic_fetch_add_explicit(unsettled, 1, memory_order_relaxed);
    atomic_init(&d->root->gates, 1);
    return d;
}

void delivery_drop_payload(struct delivery *d)
{
    if (d->holder && d->pub.payload)
        atomic_fetch_sub_explicit(&d->holder->bytes, d->pub.payload->bytes, memory_order_relaxed);
    if (d->pub.payload)
        payload_unref(payload_of(d->pub.payload));
    d->pub.payload = NULL;
}

/* ---- lists ---- */

int holder_init(struct holder *h)
{
    memset(h, 0, sizeof *h);
    return pthread_mutex_init(&h->mutex, NULL);
}

void holder_deinit(struct holder *h)
{
    pthread_mutex_destroy(&h->mutex);
}

void holder_add(struct holder *h, struct delivery *d)
{
    pthread_mutex_lock(&h->mutex);
    d->holder = h;
    d->next = NULL;
    d->prev = h->last;
    if (h->last)
        h->last->next = d;
    else
        h->first = d;
    h->last = d;
    h->n++;
    pthread_mutex_unlock(&h->mutex);
    atomic_fetch_add_explicit(&h->items, d->pub.items, memory_order_relaxed);
    if (d->pub.payload)
        atomic_fetch_add_explicit(&h->bytes, d->pub.payload->bytes, memory_order_relaxed);
}

void holder_remove(struct delivery *d)
{
    struct holder *h = d->holder;
    if (!h)
        return;
    pthread_mutex_lock(&h->mutex);
    if (d->prev)
        d->prev->next = d->next;
    else
        h->first = d->next;
    if (d->next)
        d->next->prev = d->prev;
    else
        h->last = d->prev;
    h->n--;
    pthread_mutex_unlock(&h->mutex);
    d->holder = NULL;
    d->prev = d->next = NULL;
    atomic_fetch_sub_explicit(&h->items, d->pub.items, memory_order_relaxed);
    if (d->pub.payload)
        atomic_fetch_sub_explicit(&h->bytes, d->pub.payload->bytes, memory_order_relaxed);
}

/* ---- claims ---- */

static bool is_claimed(const struct delivery *d, uint32_t i)
{
    return d->has_bits ? (d->claimed[i / 64] >> (i % 64)) & 1 : d->pub.unclaimed == 0;
}

/* The first item at or after `i` whose claim differs from item i's; `items` at the end. */
static uint32_t end_of_run(const struct delivery *d, uint32_t i)
{
    if (!d->has_bits)
        return d->pub.items;
    const uint64_t same = is_claimed(d, i) ? ~UINT64_C(0) : 0;
    uint64_t differs = (d->claimed[i / 64] ^ same) >> (i % 64) << (i % 64);
    uint32_t word = i / 64;
    const uint32_t words = (d->pub.items + 63) / 64;
    while (!differs && ++word < words)
        differs = d->claimed[word] ^ same;
    if (!differs)
        return d->pub.items;
    const uint32_t at = word * 64 + (uint32_t)__builtin_ctzll(differs);
    return at < d->pub.items ? at : d->pub.items;
}

static int32_t double_claim(struct ledger *ledger)
{
#ifdef SLUICE_CHECKED
    (void)ledger;
    fputs("sluice: an item of a delivery was claimed twice\n", stderr);
    abort();
#else
    if (ledger)
        ledger_add(&ledger->double_claims, 1);
    return SL_ERR_STATE;
#endif
}

static void set_bits(uint64_t *bits, uint32_t first, uint32_t n, bool on)
{
    while (n) {
        const uint32_t from = first % 64;
        const uint32_t k = n < 64 - from ? n : 64 - from;
        const uint64_t mask = (k == 64 ? ~UINT64_C(0) : (UINT64_C(1) << k) - 1) << from;
        bits[first / 64] = on ? bits[first / 64] | mask : bits[first / 64] & ~mask;
        first += k;
        n -= k;
    }
}

int32_t delivery_claim(struct delivery *d, uint32_t first, uint32_t n, struct ledger *ledger)
{
    uint32_t end;
    if (__builtin_add_overflow(first, n, &end) || end > d->pub.items || !n)
        return SL_ERR_INVALID;
    if (n > d->pub.unclaimed)
        return double_claim(ledger);
    if (n == d->pub.items) { /* whole: no bits */
        d->pub.unclaimed = 0;
        d->has_bits = false;
        return SL_OK;
    }
    if (!d->has_bits) {
        memset(d->claimed, 0, ((size_t)d->pub.items + 63) / 64 * 8);
        d->has_bits = true;
    }
    if (is_claimed(d, first) || end_of_run(d, first) < end)
        return double_claim(ledger);
    set_bits(d->claimed, first, n, true);
    d->pub.unclaimed -= n;
    return SL_OK;
}

void delivery_unclaim(struct delivery *d, uint32_t first, uint32_t n)
{
    d->pub.unclaimed += n;
    if (d->has_bits)
        set_bits(d->claimed, first, n, false);
}

sl_piece piece_normal(const sl_piece *piece)
{
    sl_piece p = *piece;
    if (!p.first && !p.count)
        p.count = p.from->items;
    return p;
}

int32_t claim_pieces(const sl_piece *pieces, uint32_t n, struct ledger *ledger)
{
    for (uint32_t i = 0; i < n; i++) {
        const sl_piece p = piece_normal(&pieces[i]);
        const int32_t status = delivery_claim(delivery_of(p.from), p.first, p.count, ledger);
        if (status != SL_OK) {
            while (i--) {
                const sl_piece q = piece_normal(&pieces[i]);
                delivery_unclaim(delivery_of(q.from), q.first, q.count);
            }
            return status;
        }
    }
    return SL_OK;
}

uint32_t delivery_unclaimed(struct delivery *d, sl_piece *pieces, uint32_t max)
{
    uint32_t n = 0;
    if (!d->pub.unclaimed)
        return 0;
    for (uint32_t i = 0, end; i < d->pub.items; i = end) {
        end = end_of_run(d, i);
        if (is_claimed(d, i))
            continue;
        if (n < max)
            pieces[n] = (sl_piece){.from = &d->pub, .first = i, .count = end - i};
        n++;
    }
    return n;
}

int32_t delivery_settle_some(struct delivery *d, uint32_t n, const struct ending *ending,
                             struct ledger *ledger)
{
    if (n > d->pub.unclaimed)
        return SL_ERR_INVALID;
    for (uint32_t i = 0, end; i < d->pub.items && n; i = end) {
        end = end_of_run(d, i);
        if (is_claimed(d, i))
            continue;
        const uint32_t k = end - i < n ? end - i : n;
        const sl_piece piece = {.from = &d->pub, .first = i, .count = k};
        const int32_t status = delivery_settle(&piece, 1, ending, ledger);
        if (status != SL_OK)
            return status;
        n -= k;
        end = i + k;
    }
    return SL_OK;
}
