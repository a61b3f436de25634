/* Threads for blocking work of plugins; started when work finds nobody idle, up to a maximum. */
#ifndef SLUICE_PIPELINE_WORKERS_H
#define SLUICE_PIPELINE_WORKERS_H
#include <stdint.h>

struct workers;

struct workers *workers_create(uint32_t max_threads);
/* Waits for what runs; what has not begun is run first. */
void workers_destroy(struct workers *);
/* [any] Runs `work(arg)` on a thread that may sleep. -1: no memory. */
int workers_run(struct workers *, void (*work)(void *), void *arg);
#endif
