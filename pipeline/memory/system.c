/* Reads /proc and the cgroup file systems. Any thread. */
#include "pipeline/memory/system.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_ROOM = 4352 };

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

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The limits of a group and of all above it. In a container the path may be the host's and lead
 * nowhere here; the top is then the container's own. `group` is written to. */
static uint64_t least_of_group(const char *root, const char *mount, char *group, const char *file)
{
    uint64_t limit = UINT64_MAX;
    for (;;) {
        char path[PATH_ROOM];
        const int n = snprintf(path, sizeof path, "%s%s%s/%s", root, mount, group, file);
        if (n > 0 && (size_t)n < sizeof path)
            limit = least(limit, read_limit(path));
        char *slash = strrchr(group, '/');
        if (!slash)
            return limit;
        *slash = 0;
    }
}

/* A line of /proc/self/cgroup: "0::/a/b" (v2), "4:cpu,memory:/a/b" (v1). It is written to. */
static uint64_t limit_of_line(const char *root, char *line)
{
    line[strcspn(line, "\n")] = 0;
    char *controllers = strchr(line, ':');
    char *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group)
        return UINT64_MAX;
    *group++ = 0;
    controllers++;
    if (!*controllers)
        return least_of_group(root, "/sys/fs/cgroup", group, "memory.max");
    char *rest = NULL;
    for (char *c = strtok_r(controllers, ",", &rest); c; c = strtok_r(NULL, ",", &rest)) {
        if (!strcmp(c, "memory"))
            return least_of_group(root, "/sys/fs/cgroup/memory", group, "memory.limit_in_bytes");
    }
    return UINT64_MAX;
}

uint64_t system_memory_granted(const char *root)
{
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t granted = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : UINT64_MAX;
    char text[PATH_ROOM];
    (void)snprintf(text, sizeof text, "%s/proc/self/cgroup", root);
    FILE *f = fopen(text, "re");
    while (f && fgets(text, sizeof text, f))
        granted = least(granted, limit_of_line(root, text));
    if (f)
        (void)fclose(f);
    return granted;
}

uint64_t system_memory_default(void)
{
    return least(system_memory_granted("") / 2, UINT64_C(512) << 20);
}

uint64_t system_memory_used(void)
{
    char text[128];
    unsigned long long size, resident, shared;
    const int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        (void)close(fd);
    if (n <= 0)
        return 0;
    text[n] = 0;
    if (sscanf(text, "%llu %llu %llu", &size, &resident, &shared) != 3 || resident < shared)
        return 0;
    return (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}
