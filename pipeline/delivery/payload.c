/* Payloads. Reading a closed payload needs no lock; its index and its flat copy are made by
 * whoever asks first and published with one compare-and-swap. */
#include "pipeline/delivery/payload.h"
#include "formats/otlp/check.h"
#include <stdlib.h>

struct rewritten {
    struct payload *from;
    sl_bytes segments[];
};

static struct payload *payload_new(struct memory *memory, size_t extra)
{
    struct payload *p = calloc(1, sizeof *p + extra);
    if (!p)
        return NULL;
    p->pub.size = sizeof p->pub;
    p->memory = memory;
    atomic_store_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

struct payload *payload_open(struct memory *memory, uint64_t capacity)
{
    struct payload *p = payload_new(memory, 0);
    if (!p)
        return NULL;
    p->buffer = memory_buffer_take(memory, capacity ? capacity : 1, &p->capacity);
    if (!p->buffer) {
        free(p);
        return NULL;
    }
    return p;
}

int32_t payload_grow(struct payload *p, uint64_t capacity)
{
    if (capacity <= p->capacity)
        return SL_OK;
    uint64_t room;
    uint8_t *bigger = memory_buffer_take(p->memory, capacity, &room);
    if (!bigger)
        return SL_ERR_NOMEM;
    memcpy(bigger, p->buffer, p->capacity);
    memory_buffer_give(p->memory, p->buffer, p->capacity);
    p->buffer = bigger;
    p->capacity = room;
    return SL_OK;
}

static void set_one_segment(struct payload *p, uint64_t used, uint32_t signal, const char *encoding,
                            uint32_t items)
{
    p->own = sl_slice(p->buffer, used);
    p->pub.segments = &p->own;
    p->pub.n_segments = used ? 1 : 0;
    p->pub.bytes = used;
    p->pub.signal = signal;
    p->pub.encoding = encoding;
    p->pub.items = items;
    p->pub.flags = SL_PAYLOAD_ALIGNED;
}

int32_t payload_close(struct payload *p, const struct payload_limits *limits, uint64_t used,
                      uint32_t signal, const char *encoding, uint32_t items, sl_error *error)
{
    if (used > p->capacity)
        return sl_fail(error, SL_ERR_INVALID, "a payload of %llu bytes was opened for %llu",
                       (unsigned long long)used, (unsigned long long)p->capacity);
    if (!signal || (signal & (signal - 1)))
        return sl_fail(error, SL_ERR_INVALID, "a payload is of one signal, not of 0x%x", signal);
    if (!encoding && (signal == SL_TRACES || signal == SL_METRICS || signal == SL_LOGS)) {
        const struct otlp_limits check = {.max_depth = limits->max_depth};
        struct otlp_checked checked;
        const int32_t status = otlp_check(signal, p->buffer, used, &check, &checked, error);
        if (status != SL_OK)
            return status;
        items = checked.items;
    } else if (!encoding) {
        items = used ? 1 : 0;
    }
    set_one_segment(p, used, signal, encoding, items);
    return SL_OK;
}

void payload_close_trusted(struct payload *p, uint64_t used, uint32_t signal, uint32_t items)
{
    set_one_segment(p, used, signal, NULL, items);
}

void payload_close_part(struct payload *p, sl_bytes part, uint32_t signal, const char *encoding,
                        uint32_t items)
{
    set_one_segment(p, part.n, signal, encoding, items);
    p->own = part;
}

static bool lies_in(sl_bytes inner, sl_bytes outer)
{
    const uintptr_t at = (uintptr_t)inner.p, begin = (uintptr_t)outer.p;
    return at >= begin && inner.n <= outer.n && at - begin <= outer.n - inner.n;
}

/* Segments of `from` usually come in its order, so the search goes on where the last one ended. */
static bool lies_in_any(sl_bytes segment, const struct payload *from, uint32_t *at)
{
    const struct payload *flat =
        from ? atomic_load_explicit(&from->flat, memory_order_acquire) : NULL;
    if (flat && lies_in(segment, flat->own))
        return true;
    for (uint32_t i = 0; from && i < from->pub.n_segments; i++) {
        const uint32_t k = (*at + i) % from->pub.n_segments;
        if (lies_in(segment, from->pub.segments[k])) {
            *at = k;
            return true;
        }
    }
    return false;
}

/* Builds for tests do not believe what a plugin says of the bytes. */
static bool rewritten_is_sound(struct payload *p)
{
#ifdef SLUICE_CHECKED
    const struct otlp_limits deepest = {.max_depth = SL_VALUE_DEPTH_MAX};
    sl_bytes all;
    struct otlp_checked checked;
    if (payload_flatten(p, &all) == SL_OK)
        return otlp_check(p->pub.signal, all.p, all.n, &deepest, &checked, NULL) == SL_OK &&
               checked.items == p->pub.items;
#else
    (void)p;
#endif
    return true;
}

int32_t payload_close_rewritten(struct payload *p, struct payload *from, uint64_t used,
                                const sl_bytes *segments, uint32_t n, uint32_t signal,
                                uint32_t items, uint32_t flags)
{
    uint64_t bytes = 0;
    uint32_t at = 0;
    bool refers = false;
    if (used > p->capacity || (flags & ~(uint32_t)SL_PAYLOAD_ALIGNED))
        return SL_ERR_INVALID;
    for (uint32_t i = 0; i < n; i++) {
        const bool own = lies_in(segments[i], sl_slice(p->buffer, used));
        if (!own && !lies_in_any(segments[i], from, &at))
            return SL_ERR_INVALID;
        refers |= !own;
        bytes += segments[i].n;
    }
    struct rewritten *r = malloc(sizeof *r + n * sizeof *segments);
    if (!r)
        return SL_ERR_NOMEM;
    r->from = refers ? from : NULL;
    if (refers)
        payload_ref(from);
    if (n)
        memcpy(r->segments, segments, n * sizeof *segments);
    p->rewritten = r;
    p->pub.segments = r->segments;
    p->pub.n_segments = n;
    p->pub.bytes = bytes;
    p->pub.signal = signal;
    p->pub.items = items;
    p->pub.flags = flags;
    return rewritten_is_sound(p) ? SL_OK : SL_ERR_INVALID;
}

struct payload *payload_list(struct memory *memory, uint32_t n_segments, uint32_t n_sources)
{
    struct payload *p =
        payload_new(memory, n_segments * sizeof(sl_bytes) + n_sources * sizeof(struct payload *));
    if (!p)
        return NULL;
    sl_bytes *segments = (sl_bytes *)(void *)(p + 1);
    p->pub.segments = segments;
    p->pub.n_segments = n_segments;
    p->sources = (struct payload **)(void *)(segments + n_segments);
    return p;
}

void payload_list_hold(struct payload *list, struct payload *source)
{
    payload_ref(source);
    list->sources[list->n_sources++] = source;
}

void payload_ref(struct payload *p)
{
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
}

void payload_unref(struct payload *p)
{
    /* A list holds lists only as deep as batches were nested; sources are closed payloads, and the
     * graph is acyclic, so this recursion is bounded by the number of processors. */
    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < p->n_sources; i++)
        payload_unref(p->sources[i]);
    if (p->rewritten) {
        payload_unref(p->rewritten->from);
        free(p->rewritten);
    }
    payload_index_destroy(atomic_load_explicit(&p->index, memory_order_relaxed));
    payload_unref(atomic_load_explicit(&p->flat, memory_order_relaxed));
    if (p->buffer)
        memory_buffer_give(p->memory, p->buffer, p->capacity);
    free(p);
}

static struct payload *flat_of(struct payload *p)
{
    if (p->pub.n_segments <= 1)
        return p;
    struct payload *flat = atomic_load_explicit(&p->flat, memory_order_acquire);
    if (flat)
        return flat;
    flat = payload_open(p->memory, p->pub.bytes);
    if (!flat)
        return NULL;
    uint8_t *to = flat->buffer;
    for (uint32_t i = 0; i < p->pub.n_segments; i++) {
        memcpy(to, p->pub.segments[i].p, p->pub.segments[i].n);
        to += p->pub.segments[i].n;
    }
    set_one_segment(flat, p->pub.bytes, p->pub.signal, p->pub.encoding, p->pub.items);
    struct payload *first = NULL;
    if (!atomic_compare_exchange_strong(&p->flat, &first, flat)) {
        payload_unref(flat);
        return first;
    }
    return flat;
}

int32_t payload_flatten(struct payload *p, sl_bytes *out)
{
    const struct payload *flat = flat_of(p);
    if (!flat)
        return SL_ERR_NOMEM;
    *out = flat->pub.n_segments ? flat->pub.segments[0] : sl_slice("", 0);
    return SL_OK;
}
