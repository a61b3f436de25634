/* Reads this process's CPU time and memory when the metrics page is asked for. The Collector's
 * metrics of Go's memory manager are mapped to malloc's: heap_alloc is what the program holds,
 * total_sys_memory what malloc got from the system. total_alloc, a running total, has no
 * counterpart and is left out. Any thread, under the registry's lock. */
#include "pipeline/telemetry/process.h"
#include "pipeline/telemetry/ids.h"
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { CALLBACKS = 5 };

struct process_metrics {
    struct metrics *metrics;
    int64_t started_ns;
    struct metrics_callback *callbacks[CALLBACKS];
};

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    return clock_gettime(clock, &t) == 0 ? (int64_t)t.tv_sec * 1000000000 + t.tv_nsec : 0;
}

static int64_t read_uptime(void *ctx)
{
    const struct process_metrics *process = ctx;
    return clock_ns(CLOCK_MONOTONIC) - process->started_ns;
}

static int64_t read_cpu(void *ctx)
{
    (void)ctx;
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static int64_t read_rss(void *ctx)
{
    char text[128];
    (void)ctx;
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0)
        return 0;
    text[n] = 0;
    char *second = strchr(text, ' '); /* size resident shared ..., in pages */
    return second ? strtoll(second, NULL, 10) * sysconf(_SC_PAGESIZE) : 0;
}

static int64_t read_heap(void *ctx)
{
    struct mallinfo2 info = mallinfo2();
    (void)ctx;
    return (int64_t)(info.uordblks + info.hblkhd);
}

static int64_t read_sys(void *ctx)
{
    struct mallinfo2 info = mallinfo2();
    (void)ctx;
    return (int64_t)(info.arena + info.hblkhd);
}

struct process_metrics *process_metrics_create(struct metrics *metrics)
{
    static const struct {
        enum metric_id id;
        int64_t (*read)(void *ctx);
    } all[CALLBACKS] = {{METRIC_PROCESS_UPTIME, read_uptime},
                        {METRIC_PROCESS_CPU, read_cpu},
                        {METRIC_PROCESS_RSS, read_rss},
                        {METRIC_PROCESS_HEAP_ALLOC, read_heap},
                        {METRIC_PROCESS_SYS_MEMORY, read_sys}};
    struct process_metrics *process = calloc(1, sizeof *process);
    if (!process)
        return NULL;
    process->metrics = metrics;
    process->started_ns = clock_ns(CLOCK_MONOTONIC);
    for (int i = 0; i < CALLBACKS; i++)
        process->callbacks[i] =
            metrics_observe(metrics, metric_id(all[i].id), NULL, 0, all[i].read, process);
    return process;
}

void process_metrics_destroy(struct process_metrics *process)
{
    if (!process)
        return;
    for (int i = 0; i < CALLBACKS; i++)
        metrics_unobserve(process->metrics, process->callbacks[i]);
    free(process);
}
