/* Lists of those who wait for room: emitters, who are told once, and lanes, which are poked. The
 * list's owner guards it; they are told, any thread, without a lock. */
#ifndef SLUICE_PIPELINE_WAITERS_H
#define SLUICE_PIPELINE_WAITERS_H
#include "pipeline/graph/graph.h"

struct waiter;

/* Whoever waits already is not added twice. False: no memory. */
bool waiters_add(struct waiter **list, const struct component *emitter, const sl_hear *,
                 struct lane *);
/* Tells all of a list that was taken from its owner, and frees it. */
void waiters_tell(struct waiter *list);
void waiters_free(struct waiter *list);
/* Takes out stopped components and closed lanes; and whoever waits with `hear`. */
void waiters_forget_gone(struct waiter **list);
void waiters_forget(struct waiter **list, const sl_hear *hear);
#endif
