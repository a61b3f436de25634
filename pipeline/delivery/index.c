/* Views of payloads: built by whoever asks first, kept with the payload. Any thread. */
#include "formats/otlp/view.h"
#include "pipeline/delivery/payload.h"
#include <stdlib.h>

struct payload_index {
    struct memory *memory;
    uint64_t reserved;
    sl_view view;
    _Alignas(16) uint8_t at[];
};

void payload_index_destroy(struct payload_index *index)
{
    if (!index)
        return;
    memory_give_back(index->memory, index->reserved);
    free(index);
}

static int32_t build(struct payload *p, struct payload_index **out)
{
    struct otlp_view_plan plan;
    sl_bytes flat;
    const sl_bytes *segments = p->pub.segments;
    uint32_t n = p->pub.n_segments;
    if (!(p->pub.flags & SL_PAYLOAD_ALIGNED)) {
        const int32_t status = payload_flatten(p, &flat);
        if (status != SL_OK)
            return status;
        segments = &flat;
        n = 1;
    }
    int32_t status = otlp_view_plan(p->pub.signal, segments, n, &plan, NULL);
    if (status != SL_OK)
        return status;
    const uint64_t size = sizeof(struct payload_index) + plan.bytes;
    if (!memory_reserve(p->memory, size))
        return SL_ERR_NOMEM;
    struct payload_index *index = aligned_alloc(16, (size + 15) / 16 * 16);
    if (!index) {
        memory_give_back(p->memory, size);
        return SL_ERR_NOMEM;
    }
    index->memory = p->memory;
    index->reserved = size;
    status = otlp_view_build(&plan, index->at, &index->view, NULL);
    if (status == SL_OK && index->view.items.n != p->pub.items)
        status = SL_ERR_INVALID;
    if (status != SL_OK) {
        payload_index_destroy(index);
        return status;
    }
    *out = index;
    return SL_OK;
}

int32_t payload_view(struct payload *p, sl_view *view)
{
    if (p->pub.encoding)
        return SL_ERR_UNSUPPORTED;
    struct payload_index *index = atomic_load_explicit(&p->index, memory_order_acquire);
    if (!index) {
        const int32_t status = build(p, &index);
        if (status != SL_OK)
            return status;
        struct payload_index *first = NULL;
        if (!atomic_compare_exchange_strong(&p->index, &first, index)) {
            payload_index_destroy(index); /* someone else was faster */
            index = first;
        }
    }
    *view = index->view;
    return SL_OK;
}
