/* Backoff between attempts, as the collector's configretry: the interval grows by a factor up to a
 * maximum and is spread by a random factor; what the destination asks for counts more. */
#ifndef SLUICE_PIPELINE_RETRY_H
#define SLUICE_PIPELINE_RETRY_H
#include "pipeline/graph/sink.h"

/* Nanoseconds until the next attempt. `backoff_ns` is the attempt's state, 0 at first; `random` the
 * state of a generator, not 0. A wait that a destination asks for is bounded to an hour. */
int64_t retry_delay(const struct retry_config *, int64_t *backoff_ns, int64_t retry_after_ns,
                    uint64_t *random);
#endif
