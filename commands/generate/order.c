/* A binary heap of encoded records by time. Runs on the thread that generates. */
#include "commands/generate/order.h"

#include <stdlib.h>

static bool older(const struct order_record *a, const struct order_record *b)
{
    return a->time != b->time ? a->time < b->time : a->sequence < b->sequence;
}

void order_deinit(struct order *o)
{
    for (uint32_t i = 0; i < o->n; i++) {
        free(o->heap[i].bytes);
    }
    free(o->heap);
    memset(o, 0, sizeof(*o));
}

enum sl_status order_push(struct order *o, const struct order_record *record, sl_bytes bytes)
{
    if (o->n == o->room) {
        uint32_t room = o->room ? o->room * 2 : 1024;
        if (room > ORDER_MAX) {
            return SL_ERR_TOO_LARGE;
        }
        struct order_record *heap = realloc(o->heap, room * sizeof(*heap));
        if (!heap) {
            return SL_ERR_NOMEM;
        }
        o->heap = heap;
        o->room = room;
    }
    struct order_record r = *record;
    r.bytes = malloc(bytes.n ? bytes.n : 1);
    if (!r.bytes) {
        return SL_ERR_NOMEM;
    }
    memcpy(r.bytes, bytes.p, bytes.n);
    r.n = (uint32_t)bytes.n;
    r.sequence = o->sequence++;
    uint32_t at = o->n++;
    while (at > 0 && older(&r, &o->heap[(at - 1) / 2])) {
        o->heap[at] = o->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    o->heap[at] = r;
    return SL_OK;
}

bool order_pop(struct order *o, uint64_t before, struct order_record *out)
{
    if (o->n == 0 || o->heap[0].time >= before) {
        return false;
    }
    *out = o->heap[0];
    struct order_record last = o->heap[--o->n];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = at * 2 + 1;
        if (child >= o->n) {
            break;
        }
        if (child + 1 < o->n && older(&o->heap[child + 1], &o->heap[child])) {
            child++;
        }
        if (!older(&o->heap[child], &last)) {
            break;
        }
        o->heap[at] = o->heap[child];
        at = child;
    }
    if (o->n) {
        o->heap[at] = last;
    }
    return true;
}
