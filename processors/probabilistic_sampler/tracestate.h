/* The W3C tracestate, as far as sampling goes: its member `ot` with `rv` and `th`. What else stands
 * there is kept. Source: W3C Trace Context Level 2, 3.3, and OpenTelemetry's "TraceState Handling".
 * Pure functions, any thread. */
#ifndef SLUICE_PROCESSORS_TRACESTATE_H
#define SLUICE_PROCESSORS_TRACESTATE_H
#include "processors/probabilistic_sampler/sampling.h"

enum {
    TRACESTATE_MAX = 1024,
    TRACESTATE_ROOM = TRACESTATE_MAX + 64 /* for what is added */
};

/* What an item says of its sampling: a span in its tracestate, a log record in attributes. */
struct sampling_state {
    uint64_t randomness, threshold;
    sl_bytes randomness_text, threshold_text; /* as they came; .n is 0 where there is none */
    sl_bytes ot;                              /* the value of the member */
};

/* false: malformed. */
bool tracestate_read(sl_bytes text, struct sampling_state *state);
/* Writes `text` anew with the state's randomness and threshold in front. Returns the length. */
size_t tracestate_write(sl_bytes text, const struct sampling_state *state,
                        char out[TRACESTATE_ROOM]);

#endif
