/* The buffer that packers write to; see pack.h. */
#include "formats/compress/pack.h"

#include <stdlib.h>

void pack_buffer_deinit(struct pack_buffer *b)
{
    free(b->at);
    b->at = NULL;
    b->n = b->capacity = 0;
}

int32_t pack_buffer_reserve(struct pack_buffer *b, size_t capacity)
{
    if (capacity <= b->capacity)
        return SL_OK;
    uint8_t *at = realloc(b->at, capacity);
    if (!at)
        return SL_ERR_NOMEM;
    b->at = at;
    b->capacity = capacity;
    return SL_OK;
}
