/* The memory that is there: cgroup v2, then v1, then the machine's. Control thread. */
#include "pipeline/process/limits.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* "max" and what is absurdly large mean no limit: UINT64_MAX. */
static uint64_t read_limit(const char *path)
{
    char text[64] = "";
    FILE *f = fopen(path, "re");
    if (!f)
        return UINT64_MAX;
    if (!fgets(text, sizeof text, f))
        text[0] = 0;
    (void)fclose(f);
    if (text[0] < '0' || text[0] > '9')
        return UINT64_MAX;
    return strtoull(text, NULL, 10);
}

uint64_t default_memory_limit(void)
{
    const uint64_t usual = UINT64_C(512) << 20;
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t there = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : UINT64_MAX;
    const uint64_t groups[] = {read_limit("/sys/fs/cgroup/memory.max"),
                               read_limit("/sys/fs/cgroup/memory/memory.limit_in_bytes")};
    for (int i = 0; i < 2; i++)
        if (groups[i] < there)
            there = groups[i];
    return there / 2 < usual ? there / 2 : usual;
}
