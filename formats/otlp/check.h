/* Checks OTLP bytes once, at the edge, so that everything behind it can trust them: well-formed
 * wire format, wire types of known fields, lengths of ids, UTF-8 of texts, nesting of attribute
 * values. Unknown fields pass. Pure functions, any thread. */
#ifndef SLUICE_FORMATS_OTLP_CHECK_H
#define SLUICE_FORMATS_OTLP_CHECK_H
#include <sluice/otlp.h>

enum { OTLP_DEPTH_DEFAULT = 32 };

struct otlp_limits {
    /* How deep lists and maps may be nested in an attribute or a body: 1 allows only plain values.
     * 0: OTLP_DEPTH_DEFAULT; at most SL_VALUE_DEPTH_MAX, above which this is set to it. */
    uint32_t max_depth;
};

struct otlp_checked {
    uint32_t items;   /* spans, metric points or log records */
    uint32_t records; /* top-level records: ResourceSpans, ... */
};

/* Checks an export request of the signal (SL_TRACES, SL_METRICS or SL_LOGS) that lies in one piece;
 * several requests one after another are one. `limits` NULL: the defaults. SL_ERR_INVALID for
 * malformed bytes, with the path and the offset; SL_ERR_TOO_LARGE from 4 GiB on;
 * SL_ERR_UNSUPPORTED for another signal. `result` is filled only on SL_OK. */
int32_t otlp_check(uint32_t signal, const uint8_t *bytes, size_t n,
                   const struct otlp_limits *limits, struct otlp_checked *result, sl_error *error);

#endif
