/* What the benchmarks' destinations have in common: command line, mode, counts, signals. The
 * serving thread calls sink_take; the main thread stays in sink_wait. */
#ifndef SLUICE_BENCH_SINK_H
#define SLUICE_BENCH_SINK_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sink_mode {
    SINK_OK,     /* answer OK at once */
    SINK_REFUSE, /* answer UNAVAILABLE or 503 at once */
    SINK_STALL   /* take everything, answer nothing */
};

struct sink {
    const char *program;
    const char *listen;        /* HOST:PORT */
    enum sink_mode other;      /* what SIGUSR1 switches to and from */
    uint32_t items;            /* items a request, as told; only multiplies the count */
    uint32_t retry_after;      /* seconds told with a refusal; 0: none */
    _Atomic int mode;          /* enum sink_mode */
    _Atomic uint64_t requests; /* received whole */
    _Atomic uint64_t bytes;    /* of their bodies */
    _Atomic uint64_t acknowledged, acknowledged_bytes;
    _Atomic uint64_t broken; /* given up by the sender, or too large */
};

/* Reads the command line and blocks the signals that sink_wait serves, for this thread and those
 * it starts. False after having printed how to call the program. `more` may take an option that
 * is not known here (name without dashes) and answers whether it did. */
bool sink_init(struct sink *s, const char *program, int argc, char **argv,
               bool (*more)(void *ctx, const char *name, char *value), void *ctx);

/* Counts one request and says how to answer it. */
enum sink_mode sink_take(struct sink *s, bool whole, size_t bytes);

/* Serves signals until SIGTERM or SIGINT; the last counts are printed then. */
void sink_wait(struct sink *s);

#endif
