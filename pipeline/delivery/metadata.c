/* Metadata lists: one allocation each, the texts behind the entries. Any thread. */
#include "pipeline/delivery/metadata.h"
#include <stdatomic.h>
#include <stdlib.h>

struct metadata {
    sl_metadata pub;
    _Atomic uint32_t refs;
};

static struct metadata *own(const sl_metadata *m)
{
    return (struct metadata *)(uintptr_t)m;
}

static struct metadata *metadata_new(uint32_t n, size_t text, int64_t arrived_ns)
{
    size_t size;
    if (__builtin_mul_overflow((size_t)n, sizeof(sl_meta_entry), &size) ||
        __builtin_add_overflow(size, text + sizeof(struct metadata), &size))
        return NULL;
    struct metadata *m = malloc(size);
    if (!m)
        return NULL;
    *m = (struct metadata){.pub = {.size = sizeof m->pub,
                                   .n = n,
                                   .at = (const sl_meta_entry *)(const void *)(m + 1),
                                   .arrived_ns = arrived_ns}};
    atomic_init(&m->refs, 1);
    return m;
}

const sl_metadata *metadata_empty(int64_t arrived_ns)
{
    struct metadata *m = metadata_new(0, 0, arrived_ns);
    return m ? &m->pub : NULL;
}

static sl_bytes copy_text(uint8_t **to, sl_bytes text)
{
    const sl_bytes copy = sl_slice(*to, text.n);
    if (text.n)
        memcpy(*to, text.p, text.n);
    *to += text.n;
    return copy;
}

const sl_metadata *metadata_make(const sl_metadata *base, const sl_meta_entry *entries, uint32_t n,
                                 int64_t arrived_ns)
{
    const uint32_t n_base = base ? base->n : 0;
    size_t text = 0;
    for (uint32_t i = 0; i < n_base; i++)
        text += base->at[i].key.n + base->at[i].value.n;
    for (uint32_t i = 0; i < n; i++)
        text += entries[i].key.n + entries[i].value.n;
    struct metadata *m = metadata_new(n_base + n, text, base ? base->arrived_ns : arrived_ns);
    if (!m)
        return NULL;
    m->pub.flags = base ? base->flags : 0;
    sl_meta_entry *at = (sl_meta_entry *)(void *)(m + 1);
    uint8_t *to = (uint8_t *)(at + n_base + n);
    for (uint32_t i = 0; i < n_base + n; i++) {
        const sl_meta_entry *from = i < n_base ? &base->at[i] : &entries[i - n_base];
        at[i].key = copy_text(&to, from->key);
        at[i].value = copy_text(&to, from->value);
    }
    return &m->pub;
}

static bool has_entry(const sl_metadata *m, const sl_meta_entry *entry)
{
    for (uint32_t i = 0; i < m->n; i++)
        if (sl_eq(m->at[i].key, entry->key) && sl_eq(m->at[i].value, entry->value))
            return true;
    return false;
}

static bool all_have_entry(const sl_metadata *const *lists, uint32_t n, const sl_meta_entry *entry)
{
    for (uint32_t i = 0; i < n; i++)
        if (!has_entry(lists[i], entry))
            return false;
    return true;
}

const sl_metadata *metadata_common(const sl_metadata *const *parents, uint32_t n)
{
    const sl_metadata *first = parents[0];
    uint32_t flags = first->flags;
    int64_t arrived_ns = first->arrived_ns;
    bool same = true;
    for (uint32_t i = 1; i < n; i++) {
        same &= parents[i] == first || (parents[i]->n == 0 && first->n == 0);
        flags |= parents[i]->flags;
        if (parents[i]->arrived_ns < arrived_ns)
            arrived_ns = parents[i]->arrived_ns;
    }
    if (same && flags == first->flags && arrived_ns == first->arrived_ns)
        return metadata_ref(first);

    sl_meta_entry *kept = calloc((size_t)first->n + 1, sizeof *kept);
    uint32_t n_kept = 0;
    if (!kept)
        return NULL;
    for (uint32_t i = 0; i < first->n; i++)
        if (all_have_entry(parents + 1, n - 1, &first->at[i]))
            kept[n_kept++] = first->at[i];
    const sl_metadata *common = metadata_make(NULL, kept, n_kept, arrived_ns);
    if (common)
        own(common)->pub.flags = flags;
    free(kept);
    return common;
}

const sl_metadata *metadata_ref(const sl_metadata *m)
{
    atomic_fetch_add_explicit(&own(m)->refs, 1, memory_order_relaxed);
    return m;
}

void metadata_unref(const sl_metadata *m)
{
    if (m && atomic_fetch_sub_explicit(&own(m)->refs, 1, memory_order_acq_rel) == 1)
        free(own(m));
}
