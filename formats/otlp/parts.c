/* See parts.h. */
#include "formats/otlp/parts.h"

#include <stdlib.h>

enum { PARTS_FIRST = 64 };

void otlp_parts_free(struct otlp_parts *parts)
{
    free(parts->at);
    *parts = (struct otlp_parts){.at = NULL};
}

bool otlp_parts_grow(struct otlp_parts *parts)
{
    const uint32_t room = parts->room ? parts->room * 2 : PARTS_FIRST;
    sl_bytes *at = room > parts->room ? realloc(parts->at, room * sizeof *at) : NULL;
    if (!at) {
        return false;
    }
    parts->at = at;
    parts->room = room;
    return true;
}

uint8_t *otlp_scratch_grow(struct otlp_scratch *scratch, size_t n)
{
    const size_t room = n > OTLP_CHUNK_ROOM ? n : OTLP_CHUNK_ROOM;
    size_t size;
    if (__builtin_add_overflow(room, sizeof(struct otlp_chunk), &size)) {
        return NULL;
    }
    struct otlp_chunk *chunk = malloc(size);
    if (!chunk) {
        return NULL;
    }
    chunk->older = scratch->chunk;
    chunk->room = room;
    scratch->chunk = chunk;
    scratch->used = 0;
    return chunk->at;
}

/* Keeps one chunk of the usual size: a record with large values does not hold its memory. */
void otlp_scratch_shrink(struct otlp_scratch *scratch)
{
    struct otlp_chunk *kept = NULL;
    while (scratch->chunk) {
        struct otlp_chunk *chunk = scratch->chunk;
        scratch->chunk = chunk->older;
        if (!kept && chunk->room == OTLP_CHUNK_ROOM) {
            kept = chunk;
        } else {
            free(chunk);
        }
    }
    if (kept) {
        kept->older = NULL;
    }
    scratch->chunk = kept;
}

void otlp_scratch_free(struct otlp_scratch *scratch)
{
    while (scratch->chunk) {
        struct otlp_chunk *chunk = scratch->chunk;
        scratch->chunk = chunk->older;
        free(chunk);
    }
    scratch->used = 0;
}
