/* How the test programs talk to the test plugins. */
#ifndef SLUICE_TESTS_TEST_INTERFACES_H
#define SLUICE_TESTS_TEST_INTERFACES_H
#include <sluice/plugin.h>

enum { TEST_SPANS_MAX = 1 << 18 /* span numbers are below it */ };

#define TEST_SOURCE "test.source/1"
struct test_counts {
    uint64_t offers, full, refused, taken, settled, ready;
    uint64_t items;              /* offered and accepted */
    uint64_t ended[SL_OUTCOMES]; /* items */
    uint64_t out_of_order;       /* settled before taken, or either twice */
};
typedef struct test_source {
    /* Offers spans first..first+n-1, the trace of a span being its number / 4. [any] */
    int32_t (*offer)(void *self, uint32_t first, uint32_t n);
    void (*counts)(void *self, struct test_counts *);
} test_source;

#define TEST_SINK "test.sink/1"
enum test_sink_mode {
    TEST_SINK_OK,
    TEST_SINK_FAIL,    /* unavailable, for all of it */
    TEST_SINK_REJECT,  /* for good, for all of it */
    TEST_SINK_PARTIAL, /* rejects every 5th span, takes every 3rd of the rest, and fails */
    TEST_SINK_HANG     /* until the mode changes */
};
typedef struct test_sink {
    void (*mode)(void *self, uint32_t mode);
    uint32_t (*seen)(void *self, uint32_t span); /* how often it was taken */
    uint64_t (*sends)(void *self);
    uint64_t (*items)(void *self); /* taken, duplicates included */
    uint32_t (*hanging)(void *self);
} test_sink;
#endif
