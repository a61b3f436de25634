/* Forks: several branches owe the same items; an item has ended when it has ended in each, with
 * the best outcome; or as failed, if it has failed in one that is owed. Endings arrive from any
 * thread; the mutex is not held while the parent is credited. */
#include "pipeline/delivery/delivery.h"
#include "pipeline/delivery/metadata.h"
#include <stdlib.h>

/* Beside enum sl_outcome: it has failed where it is owed. */
enum { FAILED_OWED = SL_OUTCOMES };

struct fork {
    pthread_mutex_t mutex;
    _Atomic uint32_t refs;
    struct delivery *parent;
    uint32_t branches, items;
    uint32_t whole;      /* branches that ended all at once, before any ended in parts */
    bool in_parts;       /* the arrays are in use */
    uint32_t outcome;    /* of the whole ones together */
    struct ending worst; /* the reason that a failed or rejected item carries on */
    uint8_t *left;       /* branches in which the item has not ended */
    uint8_t *outcomes;   /* of the branches in which it has */
};

void fork_unref(struct fork *f)
{
    if (atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1)
        return;
    pthread_mutex_destroy(&f->mutex);
    free(f);
}

int32_t delivery_fork(struct delivery *d, uint32_t n, struct delivery **branches)
{
    if (d->pub.unclaimed != d->pub.items || n < 1 || n > UINT8_MAX)
        return SL_ERR_STATE;
    struct fork *f = malloc(sizeof *f + (size_t)d->pub.items * 2);
    if (!f)
        return SL_ERR_NOMEM;
    *f = (struct fork){.parent = d, .branches = n, .items = d->pub.items};
    f->left = (uint8_t *)(f + 1);
    f->outcomes = f->left + d->pub.items;
    atomic_init(&f->refs, n);
    if (pthread_mutex_init(&f->mutex, NULL)) {
        free(f);
        return SL_ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n; i++) {
        struct delivery *b = delivery_new(DELIVERY_BRANCH, d->pub.items, 0);
        if (!b) {
            while (i--)
                free(branches[i]);
            pthread_mutex_destroy(&f->mutex);
            free(f);
            return SL_ERR_NOMEM;
        }
        b->fork = f;
        b->is_kept = b->is_owed = d->is_kept;
        branches[i] = b;
    }
    for (uint32_t i = 0; i < n; i++) {
        branches[i]->pub.payload = d->pub.payload;
        if (d->pub.payload)
            payload_ref(payload_of(d->pub.payload));
        branches[i]->pub.metadata = metadata_ref(d->pub.metadata);
    }
    /* The handle of `d` ends here; its debt now waits for the branches. */
    holder_remove(d);
    d->pub.unclaimed = 0;
    delivery_drop_payload(d);
    metadata_unref(d->pub.metadata);
    d->pub.metadata = NULL;
    delivery_unref(d);
    return SL_OK;
}

static void note_reason(struct fork *f, const struct ending *e)
{
    if (e->outcome == SL_FAILED || (e->outcome == SL_REJECTED && f->worst.outcome != SL_FAILED))
        f->worst = *e;
}

static uint32_t combine(uint32_t a, uint32_t b)
{
    if (a == FAILED_OWED || b == FAILED_OWED)
        return FAILED_OWED;
    return a < b ? a : b; /* the better one */
}

/* What the parent hears: the outcome; a reason only where that outcome needs one. */
static struct ending for_parent(const struct fork *f, uint32_t outcome, const struct ending *last)
{
    struct ending e = *last;
    if (outcome == FAILED_OWED)
        outcome = SL_FAILED;
    if (outcome == SL_FAILED || outcome == SL_REJECTED)
        e = f->worst;
    e.outcome = outcome;
    return e;
}

static void credit_in_parts(struct fork *f, uint32_t outcome, uint32_t first, uint32_t n,
                            const struct ending *e)
{
    enum { CHUNK = 256, OPEN = UINT8_MAX };
    while (n) {
        uint8_t ended[CHUNK];
        const uint32_t k = n < CHUNK ? n : CHUNK;
        pthread_mutex_lock(&f->mutex);
        for (uint32_t i = 0; i < k; i++) {
            uint8_t *all = &f->outcomes[first + i];
            *all = (uint8_t)combine(*all, outcome);
            ended[i] = --f->left[first + i] ? OPEN : *all;
        }
        const struct fork copy = {.worst = f->worst};
        pthread_mutex_unlock(&f->mutex);
        for (uint32_t i = 0, end; i < k; i = end) {
            for (end = i + 1; end < k && ended[end] == ended[i]; end++) {
            }
            if (ended[i] != OPEN) {
                const struct ending up = for_parent(&copy, ended[i], e);
                delivery_credit(f->parent, first + i, end - i, &up);
            }
        }
        first += k;
        n -= k;
    }
}

void fork_credit(struct fork *f, bool is_owed, uint32_t first, uint32_t n, const struct ending *e)
{
    const uint32_t outcome = is_owed && e->outcome == SL_FAILED ? FAILED_OWED : e->outcome;
    pthread_mutex_lock(&f->mutex);
    note_reason(f, e);
    if (!f->in_parts && n == f->items) {
        f->outcome = f->whole++ ? combine(f->outcome, outcome) : outcome;
        const bool last = f->whole == f->branches;
        const struct ending up = for_parent(f, f->outcome, e);
        pthread_mutex_unlock(&f->mutex);
        if (last)
            delivery_credit(f->parent, 0, n, &up);
        return;
    }
    if (!f->in_parts) {
        f->in_parts = true;
        memset(f->left, (int)(f->branches - f->whole), f->items);
        memset(f->outcomes, f->whole ? (int)f->outcome : SL_REJECTED, f->items);
    }
    pthread_mutex_unlock(&f->mutex);
    credit_in_parts(f, outcome, first, n, e);
}
