/* What a message is to be, as slices of what it was and of new bytes; and memory for those. Both
 * are reused from message to message, so that nothing is allocated once they have grown. One thread
 * at a time. */
#ifndef SLUICE_FORMATS_OTLP_PARTS_H
#define SLUICE_FORMATS_OTLP_PARTS_H
#include <sluice/otlp.h>

/* Zeroed: empty. */
struct otlp_parts {
    sl_bytes *at;
    uint32_t n, room;
    uint64_t bytes;
    bool failed; /* no memory for one of them */
};

void otlp_parts_free(struct otlp_parts *parts);
bool otlp_parts_grow(struct otlp_parts *parts);

enum { OTLP_PARTS_KEPT = 4096 /* room for more is not kept for the next message */ };

static inline void otlp_parts_clear(struct otlp_parts *parts)
{
    if (parts->room > OTLP_PARTS_KEPT) {
        otlp_parts_free(parts);
    }
    parts->n = 0;
    parts->bytes = 0;
    parts->failed = false;
}

/* What follows the last part in memory is joined to it. */
static inline void otlp_parts_add(struct otlp_parts *parts, const uint8_t *p, size_t n)
{
    if (n == 0) {
        return;
    }
    sl_bytes *last = parts->n > 0 ? &parts->at[parts->n - 1] : NULL;
    if (last && last->p + last->n == p) {
        last->n += n;
    } else if (parts->n < parts->room || otlp_parts_grow(parts)) {
        parts->at[parts->n++] = sl_slice(p, n);
    } else {
        parts->failed = true;
    }
    parts->bytes += n;
}

/* Memory that stays where it is until it is cleared. Zeroed: empty. */
struct otlp_scratch {
    struct otlp_chunk *chunk; /* the newest; older ones behind it */
    size_t used;              /* of the newest */
};

/* Room for n bytes, of which otlp_scratch_take then makes some one's own; NULL: no memory. */
uint8_t *otlp_scratch_grow(struct otlp_scratch *scratch, size_t n);
void otlp_scratch_shrink(struct otlp_scratch *scratch);
void otlp_scratch_free(struct otlp_scratch *scratch);

enum { OTLP_CHUNK_ROOM = 32768 - 16 };

struct otlp_chunk {
    struct otlp_chunk *older;
    size_t room;
    uint8_t at[];
};

static inline uint8_t *otlp_scratch_room(struct otlp_scratch *scratch, size_t n)
{
    struct otlp_chunk *chunk = scratch->chunk;
    if (chunk && n <= chunk->room - scratch->used) {
        return chunk->at + scratch->used;
    }
    return otlp_scratch_grow(scratch, n);
}

static inline void otlp_scratch_clear(struct otlp_scratch *scratch)
{
    if (scratch->chunk && (scratch->chunk->older || scratch->chunk->room > OTLP_CHUNK_ROOM)) {
        otlp_scratch_shrink(scratch);
    }
    scratch->used = 0;
}

static inline void otlp_scratch_take(struct otlp_scratch *scratch, size_t n)
{
    scratch->used += n;
}

#endif
