/* What has become of records, as found in the files: shared by inspect.c, which fills it, and
 * inspect_ends.c. */
#ifndef SLUICE_PIPELINE_JOURNAL_INSPECT_INTERNAL_H
#define SLUICE_PIPELINE_JOURNAL_INSPECT_INTERNAL_H
#include "pipeline/journal/inspect.h"
#include "pipeline/journal/ranges.h"

/* Some items of a record. */
struct inspect_part {
    uint64_t seq;
    uint32_t first, n;
};

/* Where a record was copied to last. */
struct inspect_copy {
    uint64_t seq, segment, at;
};

struct inspect_list {
    void *at;
    size_t n, room;
};

struct inspect_ends {
    struct ranges settled;
    struct inspect_list parts, copies; /* by sequence number, once sorted */
    bool no_memory;
};

void ends_add_settled(struct inspect_ends *, const uint8_t *body, size_t n);
void ends_add_part(struct inspect_ends *, uint64_t seq, const uint8_t *body, size_t n);
void ends_add_copy(struct inspect_ends *, const struct inspect_record *);
/* To be called once all were added, before what follows. */
void ends_sort(struct inspect_ends *);
void ends_free(struct inspect_ends *);

bool ends_is_settled(const struct inspect_ends *, uint64_t seq);
/* Does another record stand in for it? */
bool ends_is_replaced(const struct inspect_ends *, const struct inspect_record *);
/* Clears the bits of items that have ended. */
void ends_clear(const struct inspect_ends *, uint64_t seq, uint32_t items, uint64_t *mask);
/* Adds what does not fit, growing as needed; false: no memory. */
bool inspect_list_add(struct inspect_list *, const void *item, size_t size);
#endif
