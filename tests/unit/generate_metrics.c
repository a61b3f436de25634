/* Generated series over hours of virtual time: intervals, counters that only grow but for restarts,
 * bounds. */
#include "commands/generate/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define START UINT64_C(1757930400000000000)
#define HOURS 6

static uint64_t seed = 1;

struct last {
    uint64_t time;
    uint64_t start;
    double value;
};

static struct metrics *maker(const struct topology *t, uint32_t series)
{
    struct metrics_options options = {.topology = t,
                                      .seed = seed,
                                      .start = START,
                                      .series = series,
                                      .trace_gap = 1e7,
                                      .traces = 1000000};
    struct metrics *m = NULL;
    assert_int_equal(metrics_create(&options, &m), SL_OK);
    return m;
}

/* A series is told by its resource and its place in the collection, which do not change. */
static void check_counter(struct last *last, const struct point *p, uint32_t *restarts)
{
    double value = p->whole ? (double)p->integer : p->number;
    assert_true(p->start < p->time);
    if (last->time && p->start == last->start) {
        assert_true(value >= last->value);
    } else if (last->time) {
        assert_true(p->start > last->time);
        ++*restarts;
    }
    last->start = p->start;
    last->value = value;
}

static void test_hours(void **state)
{
    (void)state;
    struct topology *t = NULL;
    assert_int_equal(topology_create(seed, 1, &t), SL_OK);
    uint32_t capacity = metrics_capacity(t);
    print_message("the shop has %u series\n", capacity);
    assert_in_range(capacity, 1500, 10000);
    struct metrics *m = maker(t, capacity);
    const size_t width = 512;
    struct last *last = calloc(t->resource_count * width, sizeof(*last));
    assert_non_null(last);
    uint64_t before = 0;
    uint64_t points = 0;
    uint64_t exemplars = 0;
    uint32_t restarts = 0;
    while (metrics_watermark(m) < START + HOURS * UINT64_C(3600000000000)) {
        uint64_t watermark = metrics_watermark(m);
        assert_true(watermark >= before);
        before = watermark;
        struct collection c;
        metrics_next(m, &c);
        assert_in_range(c.time - watermark, 0, UINT64_C(1200000000));
        assert_true(c.point_count < width);
        uint32_t place = 0;
        for (uint32_t i = 0; i < c.metric_count; i++) {
            for (uint32_t k = 0; k < c.metrics[i].point_count; k++, place++) {
                const struct point *p = &c.metrics[i].points[k];
                struct last *l = &last[c.resource * width + place];
                assert_int_equal(p->time, c.time);
                if (l->time) {
                    assert_in_range(p->time - l->time, UINT64_C(13000000000),
                                    UINT64_C(17000000000));
                }
                if (c.metrics[i].type == POINT_SUM && c.metrics[i].monotonic) {
                    check_counter(l, p, &restarts);
                }
                exemplars += p->exemplar_count;
                l->time = p->time;
            }
        }
        assert_int_equal(place, c.point_count);
        points += c.point_count;
    }
    print_message("%llu points, %u restarted counters, %llu exemplars\n",
                  (unsigned long long)points, restarts, (unsigned long long)exemplars);
    assert_int_equal(points, (uint64_t)capacity * HOURS * 240);
    assert_true(restarts > 0);
    assert_true(exemplars > 0);
    free(last);
    metrics_destroy(m);
    topology_destroy(t);
}

static void test_selection(void **state)
{
    (void)state;
    struct topology *t = NULL;
    assert_int_equal(topology_create(seed, 1, &t), SL_OK);
    static const uint32_t wanted[] = {1, 2, 37, 500, 1499};
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        struct metrics *m = maker(t, wanted[i]);
        uint32_t points = 0;
        while (metrics_watermark(m) < START + METRICS_INTERVAL_NS) {
            struct collection c;
            metrics_next(m, &c);
            points += c.point_count;
        }
        assert_int_equal(points, wanted[i]);
        metrics_destroy(m);
    }
    struct metrics *m = NULL;
    struct metrics_options options = {
        .topology = t, .seed = seed, .start = START, .series = metrics_capacity(t) + 1};
    assert_int_equal(metrics_create(&options, &m), SL_ERR_INVALID);
    options.series = 0;
    assert_int_equal(metrics_create(&options, &m), SL_ERR_INVALID);
    topology_destroy(t);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        seed = strtoull(argv[1], NULL, 10);
    }
    print_message("seed %llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hours),
                                       cmocka_unit_test(test_selection)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
