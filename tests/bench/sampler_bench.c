/* Times the probabilistic sampler's decisions over the first request of a recorded file of traces (see
 * frames.h), in the cache as it is behind a receiver, per span: reading what a span says of its
 * sampling and deciding, and writing its record anew; without the view, which is shared with all who
 * look at spans. One JSON line.
 *     bench_sampler FILE [PERCENTAGE [hash_seed|proportional|equalizing]] */
#include "formats/otlp/view.h"
#include "processors/probabilistic_sampler/sampler.h"
#include "tests/bench/frames.h"

#include <stdlib.h>

struct run {
    struct sampler sampler;
    sl_view *views;
    size_t n;
    uint64_t spans, kept, written;
    bool write;
    uint8_t *room;
};

enum { ROOM = 1 << 20 };

static void pass(void *ctx)
{
    struct run *r = ctx;
    r->spans = r->kept = r->written = 0;
    for (size_t v = 0; v < r->n; v++) {
        for (uint32_t i = 0; i < r->views[v].items.n; i++) {
            const sl_span *span = sl_span_at(&r->views[v], i);
            struct item item;
            span_read(span, &item);
            sampler_decide(&r->sampler, &item);
            r->spans++;
            r->kept += item.sampled;
            if (r->write && item.changed) {
                sl_writer out = sl_writer_fixed(r->room, ROOM);
                span_write(span, &item, &out);
                r->written += out.used;
            }
        }
    }
}

int main(int argc, char **argv)
{
    struct frames frames;
    struct run r = {.sampler = {.sampling_percentage = argc > 2 ? atof(argv[2]) : 10,
                                .sampling_precision = 4,
                                .fail_closed = 1}};
    if (argc < 2 || !frames_read(argv[1], &frames)) {
        fprintf(stderr, "usage: %s FILE [PERCENTAGE [MODE]]\n", argv[0]);
        return 2;
    }
    r.sampler.mode = argc < 4                               ? MODE_HASH_SEED
                     : strcmp(argv[3], "proportional") == 0 ? MODE_PROPORTIONAL
                     : strcmp(argv[3], "equalizing") == 0   ? MODE_EQUALIZING
                                                            : MODE_HASH_SEED;
    sampler_prepare(&r.sampler);
    const size_t requests = 1;
    r.room = malloc(ROOM);
    r.views = calloc(requests, sizeof *r.views);
    void **memory = calloc(requests, sizeof *memory);
    for (r.n = 0; r.room && r.views && memory && r.n < requests; r.n++) {
        struct otlp_view_plan plan;
        if (otlp_view_plan(SL_TRACES, &frames.at[r.n], 1, &plan, NULL) != SL_OK ||
            !(memory[r.n] = malloc(plan.bytes + 1)) ||
            otlp_view_build(&plan, memory[r.n], &r.views[r.n], NULL) != SL_OK)
            break;
    }
    const double decide = best_of(1, pass, &r);
    r.write = true;
    const double all = best_of(1, pass, &r);
    printf("{\"bench\":\"sampler\",\"mode\":\"%s\",\"percentage\":%g,\"spans\":%llu,\"kept\":%llu,"
           "\"decide_ns_per_span\":%.1f,\"with_writing_ns_per_span\":%.1f}\n",
           argc > 3 ? argv[3] : "hash_seed", r.sampler.sampling_percentage,
           (unsigned long long)r.spans, (unsigned long long)r.kept, decide * 1e9 / (double)r.spans,
           all * 1e9 / (double)r.spans);
    for (size_t i = 0; memory && i < r.n; i++)
        free(memory[i]);
    free(memory);
    free(r.views);
    free(r.room);
    frames_deinit(&frames);
    return r.n == requests ? 0 : 1;
}
