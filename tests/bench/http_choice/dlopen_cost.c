/* What opening a shared object costs a fresh process: prints milliseconds and KiB of resident
 * memory as a JSON line. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static long resident_kib(void)
{
    char line[128];
    long kib = 0;
    FILE *f = fopen("/proc/self/status", "re");
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "VmRSS: %ld", &kib) == 1)
            break;
    }
    if (f)
        fclose(f);
    return kib;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("bench_dlopen LIBRARY\n", stderr);
        return 2;
    }
    long before_kib = resident_kib();
    double before_ms = now_ms();
    if (!dlopen(argv[1], RTLD_NOW | RTLD_LOCAL)) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    double took_ms = now_ms() - before_ms;
    printf("{\"library\":\"%s\",\"ms\":%.3f,\"rss_kib\":%ld}\n", argv[1], took_ms,
           resident_kib() - before_kib);
    return 0;
}
