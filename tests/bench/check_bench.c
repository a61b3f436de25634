/* Times the wire check over a recorded file of requests and prints one JSON line.
 *     bench_check traces|metrics|logs FILE [SECONDS] */
#include "formats/otlp/check.h"
#include "tests/bench/frames.h"

#include <stdlib.h>

struct bench {
    struct frames frames;
    uint32_t signal;
    uint64_t items;
    bool good;
};

static void pass(void *ctx)
{
    struct bench *b = ctx;
    sl_error error = {.size = sizeof error};
    b->items = 0;
    for (size_t i = 0; i < b->frames.n; i++) {
        struct otlp_checked checked;
        if (otlp_check(b->signal, b->frames.at[i].p, b->frames.at[i].n, NULL, &checked, &error) !=
            SL_OK) {
            fprintf(stderr, "request %zu: %s\n", i, error.text);
            b->good = false;
            return;
        }
        b->items += checked.items;
    }
}

int main(int argc, char **argv)
{
    struct bench b = {.signal = argc >= 3 ? signal_named(argv[1]) : 0, .good = true};
    if (!b.signal) {
        fprintf(stderr, "usage: %s traces|metrics|logs FILE [SECONDS]\n", argv[0]);
        return 2;
    }
    if (frames_read(argv[2], &b.frames)) {
        pass(&b);
        if (b.good && b.items > 0) {
            const double best = best_of(argc > 3 ? atof(argv[3]) : 1.0, pass, &b);
            printf("{\"bench\":\"otlp_check\",\"signal\":\"%s\",\"requests\":%zu,\"items\":%llu,"
                   "\"bytes\":%llu,\"ns_per_item\":%.1f,\"gb_per_s\":%.2f}\n",
                   argv[1], b.frames.n, (unsigned long long)b.items,
                   (unsigned long long)b.frames.bytes, best * 1e9 / (double)b.items,
                   (double)b.frames.bytes / best * 1e-9);
        }
    }
    frames_deinit(&b.frames);
    return b.good && b.items > 0 ? 0 : 1;
}
