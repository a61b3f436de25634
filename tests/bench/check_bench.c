/* Times the wire check over a recorded file of requests (uint32 big-endian length, then the
 * request) and prints one JSON line.
 *     bench_check traces|metrics|logs FILE [SECONDS] */
#include "formats/otlp/check.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct input {
    uint8_t *at;
    size_t n;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static bool read_file(const char *path, struct input *in)
{
    FILE *file = fopen(path, "rb");
    long size = 0;
    bool ok = file && fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 0 &&
              fseek(file, 0, SEEK_SET) == 0;
    in->n = ok ? (size_t)size : 0;
    in->at = malloc(in->n + 1);
    ok = ok && in->at && fread(in->at, 1, in->n, file) == in->n;
    if (file) {
        fclose(file);
    }
    return ok;
}

/* One pass over all requests; false where one is not in order. */
static bool pass(const struct input *in, uint32_t signal, uint64_t *items, uint64_t *requests)
{
    sl_error error = {.size = sizeof error};
    for (size_t i = 0; i + 4 <= in->n;) {
        const uint8_t *p = in->at + i;
        const size_t n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
        struct otlp_checked checked;
        if (n > in->n - i - 4) {
            fprintf(stderr, "the file ends inside a request\n");
            return false;
        }
        if (otlp_check(signal, p + 4, n, NULL, &checked, &error) != SL_OK) {
            fprintf(stderr, "request at byte %zu: %s\n", i, error.text);
            return false;
        }
        *items += checked.items;
        *requests += 1;
        i += 4 + n;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct input in = {.at = NULL};
    uint32_t signal = 0;
    if (argc >= 3) {
        signal = strcmp(argv[1], "traces") == 0    ? SL_TRACES
                 : strcmp(argv[1], "metrics") == 0 ? SL_METRICS
                 : strcmp(argv[1], "logs") == 0    ? SL_LOGS
                                                   : 0;
    }
    if (!signal) {
        fprintf(stderr, "usage: %s traces|metrics|logs FILE [SECONDS]\n", argv[0]);
        return 2;
    }
    int result = 1;
    uint64_t items = 0, requests = 0;
    if (!read_file(argv[2], &in)) {
        perror(argv[2]);
    } else if (pass(&in, signal, &items, &requests) && items > 0) {
        const double seconds = argc > 3 ? atof(argv[3]) : 1.0, start = now();
        double best = 1e9;
        uint64_t passes = 0;
        for (double last = start; last - start < seconds; passes++) {
            uint64_t ignored[2] = {0, 0};
            (void)pass(&in, signal, &ignored[0], &ignored[1]);
            const double end = now();
            best = end - last < best ? end - last : best;
            last = end;
        }
        printf("{\"bench\":\"otlp_check\",\"signal\":\"%s\",\"requests\":%llu,\"items\":%llu,"
               "\"bytes\":%zu,\"passes\":%llu,\"ns_per_item\":%.1f,\"gb_per_s\":%.2f}\n",
               argv[1], (unsigned long long)requests, (unsigned long long)items, in.n,
               (unsigned long long)passes, best * 1e9 / (double)items, (double)in.n / best * 1e-9);
        result = 0;
    }
    free(in.at);
    return result;
}
