/* A set of numbers as ranges, in order and apart from each other. Not for several threads at once. */
#ifndef SLUICE_PIPELINE_JOURNAL_RANGES_H
#define SLUICE_PIPELINE_JOURNAL_RANGES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct range {
    uint64_t first, last;
};

struct ranges {
    struct range *all;
    size_t n, room;
};

/* False: no memory; the set is as it was. */
bool ranges_add(struct ranges *, uint64_t first, uint64_t last);
bool ranges_have(const struct ranges *, uint64_t number);
/* Forgets the first n ranges. */
void ranges_drop(struct ranges *, size_t n);
void ranges_free(struct ranges *);
#endif
