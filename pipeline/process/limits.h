/* What the machine, or the container, grants the process. */
#ifndef SLUICE_PIPELINE_LIMITS_H
#define SLUICE_PIPELINE_LIMITS_H
#include <stdint.h>

/* Bytes for the memory budget where the config does not say: 512 MiB, but at most half of what the
 * cgroup or the machine has. */
uint64_t default_memory_limit(void);
#endif
