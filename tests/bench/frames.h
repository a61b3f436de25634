/* Recorded requests for the benchmarks of formats/: a file of messages, each behind its length (32
 * bits, big-endian), as `sluice generate` and the file exporter write them. One thread. */
#ifndef SLUICE_TESTS_BENCH_FRAMES_H
#define SLUICE_TESTS_BENCH_FRAMES_H
#include <sluice/plugin.h>

struct frames {
    sl_bytes *at; /* owned, as the memory behind them */
    size_t n;
    uint64_t bytes; /* of all messages */
    uint8_t *file;
};

/* False, with a line on stderr, where the file cannot be read or has no messages. */
bool frames_read(const char *path, struct frames *frames);
void frames_deinit(struct frames *frames);

/* 0 for a name that is none of traces, metrics, logs. */
uint32_t signal_named(const char *name);

/* CPU time of this thread, in seconds. */
double cpu_now(void);

/* The least CPU time in which `pass` runs, of all its runs in so many seconds. */
double best_of(double seconds, void (*pass)(void *ctx), void *ctx);

#endif
