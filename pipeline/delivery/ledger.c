/* Ledgers. Any thread: counters are relaxed atomics, the reasons a table filled once each. */
#include "pipeline/delivery/ledger.h"

static void count_reason(struct ledger_reason *reasons, const char *why, uint64_t items)
{
    for (uint32_t i = 0; i < LEDGER_REASONS; i++) {
        const char *there = atomic_load_explicit(&reasons[i].why, memory_order_acquire);
        if (!there && atomic_compare_exchange_strong(&reasons[i].why, &there, why))
            there = why;
        if (i == LEDGER_REASONS - 1 || there == why || !strcmp(there, why)) {
            ledger_add(&reasons[i].items, items);
            return;
        }
    }
}

void ledger_ended(struct ledger *l, uint32_t outcome, const char *why, uint64_t items)
{
    if (!l || !items)
        return;
    ledger_add(&l->ended[outcome], items);
    if (outcome != SL_DELIVERED && outcome != SL_ABSORBED)
        count_reason(l->reasons[outcome], why ? why : "unspecified", items);
}

int64_t ledger_held(const struct ledger *l)
{
    int64_t held = (int64_t)atomic_load(&l->received) + atomic_load(&l->made) -
                   (int64_t)atomic_load(&l->forwarded);
    for (uint32_t i = 0; i < SL_OUTCOMES; i++)
        held -= (int64_t)atomic_load(&l->ended[i]);
    return held;
}

const char *outcome_name(uint32_t outcome)
{
    static const char *const names[SL_OUTCOMES] = {"delivered", "absorbed", "dropped",
                                                   "expired",   "failed",   "rejected"};
    return outcome < SL_OUTCOMES ? names[outcome] : "unknown";
}
