/* Recorded requests, and the clock, for the benchmarks of formats/. One thread. */
#include "tests/bench/frames.h"

#include <stdlib.h>
#include <time.h>

static bool file_read(const char *path, uint8_t **at, size_t *n)
{
    FILE *file = fopen(path, "rb");
    long size = 0;
    bool ok = file && fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 0 &&
              fseek(file, 0, SEEK_SET) == 0;
    *n = ok ? (size_t)size : 0;
    *at = malloc(*n + 1);
    ok = ok && *at && fread(*at, 1, *n, file) == *n;
    if (file) {
        fclose(file);
    }
    if (!ok) {
        perror(path);
    }
    return ok;
}

bool frames_read(const char *path, struct frames *frames)
{
    size_t n = 0;
    *frames = (struct frames){.n = 0};
    if (!file_read(path, &frames->file, &n)) {
        return false;
    }
    frames->at = malloc((n / 4 + 1) * sizeof *frames->at);
    for (size_t i = 0; frames->at && i + 4 <= n;) {
        const uint8_t *p = frames->file + i;
        const size_t size = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
        if (size > n - i - 4) {
            fprintf(stderr, "%s ends inside a request\n", path);
            return false;
        }
        frames->at[frames->n++] = sl_slice(p + 4, size);
        frames->bytes += size;
        i += 4 + size;
    }
    return frames->n > 0;
}

void frames_deinit(struct frames *frames)
{
    free(frames->at);
    free(frames->file);
}

uint32_t signal_named(const char *name)
{
    return strcmp(name, "traces") == 0    ? SL_TRACES
           : strcmp(name, "metrics") == 0 ? SL_METRICS
           : strcmp(name, "logs") == 0    ? SL_LOGS
                                          : 0;
}

double cpu_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double best_of(double seconds, void (*pass)(void *ctx), void *ctx)
{
    const double start = cpu_now();
    double best = 1e9;
    for (double last = start; last - start < seconds;) {
        pass(ctx);
        const double end = cpu_now();
        best = end - last < best ? end - last : best;
        last = end;
    }
    return best;
}
