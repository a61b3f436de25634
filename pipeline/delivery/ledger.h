/* The account of one node for one signal: what came in, and where it went.
 *     received + made = forwarded + sum(ended) + held
 * holds at every moment in which the node is not inside a call. Any thread. */
#ifndef SLUICE_PIPELINE_LEDGER_H
#define SLUICE_PIPELINE_LEDGER_H
#include <sluice/plugin.h>
#include <stdatomic.h>

enum { LEDGER_REASONS = 12 };

struct ledger_reason {
    _Atomic(const char *) why; /* NULL: free, and so are all entries after it */
    _Atomic uint64_t items;
};

struct ledger {
    _Atomic uint64_t received;
    _Atomic uint64_t forwarded;
    _Atomic int64_t made; /* by AS_ONE: items of children less the items claimed for them */
    _Atomic uint64_t ended[SL_OUTCOMES];
    _Atomic uint64_t double_claims;
    _Atomic uint64_t enqueue_failed; /* of an exporter: failed because its queue refused them */
    /* Ended items that were neither delivered nor absorbed, by outcome and reason; the last
     * reason takes what does not fit. */
    struct ledger_reason reasons[SL_OUTCOMES][LEDGER_REASONS];
};

static inline void ledger_add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* `ledger` may be NULL. */
void ledger_ended(struct ledger *, uint32_t outcome, const char *why, uint64_t items);

/* Items that came in and have not gone out. */
int64_t ledger_held(const struct ledger *);

const char *outcome_name(uint32_t outcome);
#endif
