/* What the machine, or the container, grants the process, and what it uses of it. Any thread. */
#ifndef SLUICE_PIPELINE_SYSTEM_H
#define SLUICE_PIPELINE_SYSTEM_H
#include <stdint.h>

/* Bytes that the process may use: the least of its cgroup's limit and those above it (v2 and v1), and
 * what the machine has. `root` stands in front of /proc and /sys, for tests; else "". */
uint64_t system_memory_granted(const char *root);

/* Bytes for the memory budget where the config does not say: 512 MiB, but at most half of what is
 * granted. */
uint64_t system_memory_default(void);

/* Bytes of main memory that the process has for itself, without files that are mapped (RssAnon);
 * 0: not known. */
uint64_t system_memory_used(void);
#endif
