/* The latest lines of the log that tell of a problem, kept for status pages in a table of fixed size:
 * warnings, errors, and whatever has a field "error", such as a send that is tried again. What is
 * said again and again takes one place, so that it does not push out the rest. Under the log's
 * lock. */
#ifndef SLUICE_PIPELINE_RECENT_H
#define SLUICE_PIPELINE_RECENT_H
#include "pipeline/telemetry/log.h"

enum { RECENT_LINES = 64 };

struct recent_line {
    uint64_t count; /* how often it was said; 0: the place is free */
    int64_t at_ns;  /* the last time; wall clock */
    uint64_t turn;  /* grows with each line */
    int32_t level;
    char component[96]; /* "otlp/in", or "" */
    char text[336];     /* with the field "error"; cut where it is longer */
};

struct recent {
    uint64_t turn;
    struct recent_line at[RECENT_LINES];
};

/* Is left out where it tells of no problem. */
void recent_add(struct recent *, int64_t at_ns, int32_t level, sl_bytes text,
                struct log_fields of_component, struct log_fields of_line);
/* Sorts, the latest first; returns how many there are. */
uint32_t recent_sort(struct recent *);
#endif
