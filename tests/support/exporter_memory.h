/* Exporters while memory is short: every single allocation of an exporter's life fails once, or all do
 * from it on, and then there is memory again. For programs linked with failing_memory.c and its
 * --wrap. Assertions are cmocka's. */
#ifndef SLUICE_TESTS_EXPORTER_MEMORY_H
#define SLUICE_TESTS_EXPORTER_MEMORY_H
#include "tests/support/plugin_host.h"

struct exporter_trial {
    const sl_type *type;
    /* The config, which stays the trial's, for a life with this host. */
    void *(*configure)(struct plugin_host *);
    sl_bytes segments[2]; /* of a request of traces with two items, each in one of them */
    /* Is at the destination what these requests say, which counted as delivered? Optional. */
    void (*look)(uint64_t requests);
};

/* What fails to start, or to send, must say why; nothing may be refused for good; and when memory is back the
 * same exporter must send. */
void exporter_trial_run(const struct exporter_trial *);

/* Runs `serve` in a process of its own, which has memory: it makes a server and returns its port. It
 * ends with this process. To be called before there are threads. */
int exporter_trial_serve(int (*serve)(void));

#endif
