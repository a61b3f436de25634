/* What comes out of an unpacker, into memory that the caller hands out. */
#ifndef SLUICE_FORMATS_COMPRESS_OUTPUT_H
#define SLUICE_FORMATS_COMPRESS_OUTPUT_H
#include "formats/byte_target.h"
#include <sluice/plugin.h>

struct output {
    const struct byte_target *target;
    uint8_t *at;
    size_t used, capacity, limit;
    size_t ratio;    /* what is expected of messages that do not tell their size */
    size_t expected; /* bytes of the first buffer */
};

/* Sets what is expected of n bytes that say they hold `said`, if that can be true. */
void output_expect(struct output *, size_t n, uint64_t said);
/* More room: twice as much, up to the limit. SL_ERR_TOO_LARGE at the limit; else what the target
 * says. */
int32_t output_grow(struct output *, sl_error *);
/* Until there is room for n bytes behind what is written. */
int32_t output_room(struct output *, size_t n, sl_error *);

#endif
