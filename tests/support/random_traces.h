/* Random traces as services send them, with what they seldom send: for tests of whatever keeps
 * spans. One thread. */
#ifndef SLUICE_TESTS_RANDOM_TRACES_H
#define SLUICE_TESTS_RANDOM_TRACES_H
#include <sluice/otlp.h>

enum random_traces_flag {
    RANDOM_TRACES_ODD =
        1, /* circles of parents, the same span id twice, ids of other lengths, unknown
                              fields, explicit defaults, times at both ends of their range */
    RANDOM_TRACES_MANY_NAMES = 2 /* names and attribute keys that hardly come twice */
};

/* Appends an export request of about `spans` spans. */
void random_traces(uint64_t *state, uint32_t spans, uint32_t flags, sl_writer *to);

#endif
