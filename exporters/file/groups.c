/* group_by: a request is taken apart by an attribute of its resources, and the parts go to the files
 * that its values name. Records are referenced where they lie; nothing in them is decoded but the
 * resource. Top-level fields that OTLP does not know cannot be told apart and go nowhere.
 * [blocking] */
#include "exporters/file/file.h"
#include "sluice/otlp.h"

#include <stdlib.h>

/* A ResourceSpans, ResourceMetrics or ResourceLogs. */
struct part {
    sl_bytes record; /* with tag and length */
    sl_bytes value;  /* of the attribute; .p NULL: it has none */
    uint32_t index;  /* in the request */
    int32_t status;  /* what became of it: SL_OK, or why not */
};

static sl_bytes value_of(sl_bytes envelope, sl_bytes key)
{
    sl_repeated resources = sl_repeated_of(envelope, 1);
    sl_bytes resource;
    sl_value v;
    while (sl_repeated_next(&resources, &resource)) {
        if (sl_attr_find(sl_repeated_of(resource, 1), key, &v))
            return v.type != SL_VALUE_TEXT ? sl_slice(NULL, 0)
                   : v.bytes.p             ? v.bytes
                                           : sl_slice("", 0);
    }
    return sl_slice(NULL, 0);
}

/* Fills `parts`, or only counts where it is NULL. */
static size_t take_apart(const struct request *r, sl_bytes key, struct part *parts)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) {
        sl_wire w = sl_wire_of(r->segments[i]);
        const uint8_t *from = w.p;
        for (; sl_wire_next(&w); from = w.p) {
            if (w.number != 1 || w.type != SL_BYTES)
                continue;
            if (parts)
                parts[n] = (struct part){.record = sl_slice(from, (size_t)(w.p - from)),
                                         .value = value_of(w.bytes, key),
                                         .index = (uint32_t)n};
            n++;
        }
    }
    return n;
}

static bool same_file(const struct part *a, const struct part *b)
{
    return !a->value.p == !b->value.p && sl_eq(a->value, b->value);
}

/* Parts of one file together, each file's in the order of the request; those without a value last. */
static int by_file(const void *a, const void *b)
{
    const struct part *x = a, *y = b;
    if (!x->value.p != !y->value.p)
        return x->value.p ? -1 : 1;
    const size_t n = x->value.n < y->value.n ? x->value.n : y->value.n;
    const int order = n ? memcmp(x->value.p, y->value.p, n) : 0;
    if (order)
        return order;
    if (x->value.n != y->value.n)
        return x->value.n < y->value.n ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

static int by_index(const void *a, const void *b)
{
    const struct part *x = a, *y = b;
    return x->index < y->index ? -1 : 1;
}

static bool is_for_good(int32_t status)
{
    return status == SL_ERR_REJECTED || status == SL_ERR_INVALID || status == SL_ERR_TOO_LARGE;
}

static int32_t write_part(struct exporter *e, const struct request *whole, const struct part *parts,
                          size_t n, sl_bytes *segments, sl_send *send)
{
    struct request r = {.signal = whole->signal, .segments = segments, .n = n};
    for (size_t i = 0; i < n; i++) {
        segments[i] = parts[i].record;
        r.bytes += parts[i].record.n;
    }
    return exporter_write(e, &r, &parts[0].value, send);
}

/* Where parts ended differently: each resource's items end as its part did. What may be tried again
 * stays unclaimed. */
static int32_t settle(const sl_host *h, sl_delivery *d, struct part *parts, size_t n)
{
    sl_view view;
    const int32_t status = sl_view_of(h, d, &view);
    qsort(parts, n, sizeof *parts, by_index);
    for (uint32_t i = 0; i < n && status == SL_OK; i++) {
        const sl_resource *r = sl_resource_at(&view, i);
        if (!r || r->n == 0)
            continue;
        if (parts[i].status == SL_OK)
            (void)sl_settle(h, d, r->first, r->n, SL_DELIVERED, NULL);
        else if (parts[i].status == SL_ERR_NOT_FOUND)
            (void)sl_settle(h, d, r->first, r->n, SL_DROPPED, "no_group_attribute");
        else if (is_for_good(parts[i].status))
            (void)sl_settle(h, d, r->first, r->n, SL_REJECTED, "group_path");
    }
    return status;
}

/* Once, so that what is wrong with the senders is seen. */
static void tell_of_dropped(struct exporter *e)
{
    pthread_mutex_lock(&e->mutex);
    const bool told = e->told_of_dropped;
    e->told_of_dropped = true;
    pthread_mutex_unlock(&e->mutex);
    if (!told)
        sl_log(sl_host_of(e), SL_LOG_WARN,
               "data of resources without the text attribute \"%.*s\" is dropped, as group_by "
               "has no file for it",
               (int)e->group_by.resource_attribute.n,
               (const char *)e->group_by.resource_attribute.p);
}

/* Writes the parts of one file, and notes on each what became of it. */
static int32_t send_group(struct exporter *e, const struct request *r, struct part *parts, size_t n,
                          sl_bytes *segments, sl_send *send)
{
    int32_t status = SL_ERR_NOT_FOUND;
    if (parts[0].value.p)
        status = write_part(e, r, parts, n, segments, send);
    else
        tell_of_dropped(e);
    if (is_for_good(status))
        sl_log(sl_host_of(e), SL_LOG_WARN, "data is refused: %s", send->error.text);
    for (size_t i = 0; i < n; i++)
        parts[i].status = status;
    return status;
}

int32_t groups_send(struct exporter *e, sl_delivery *d, const struct request *r, sl_send *send)
{
    const sl_host *h = sl_host_of(e);
    const sl_bytes key = e->group_by.resource_attribute;
    const size_t n = take_apart(r, key, NULL);
    if (n == 0)
        return SL_OK;
    struct part *parts = sl_allocate(h, n * (sizeof *parts + sizeof(sl_bytes)));
    if (!parts)
        return sl_fail(&send->error, SL_ERR_NOMEM, "no memory to take a request apart");
    sl_bytes *segments = (sl_bytes *)(void *)(parts + n);
    (void)take_apart(r, key, parts);
    bool one_file = true;
    for (size_t i = 1; i < n && one_file; i++)
        one_file = same_file(&parts[i], &parts[0]);
    if (!one_file)
        qsort(parts, n, sizeof *parts, by_file);
    int32_t again = SL_OK; /* why some of it is to be tried again */
    bool all_written = true;
    for (size_t from = 0, to; from < n; from = to) {
        for (to = from + 1; to < n && same_file(&parts[to], &parts[from]);)
            to++;
        const int32_t status = send_group(e, r, parts + from, to - from, segments, send);
        all_written = all_written && status == SL_OK;
        if (status != SL_OK && status != SL_ERR_NOT_FOUND && !is_for_good(status))
            again = status;
    }
    if (!all_written && !(one_file && again != SL_OK)) {
        const int32_t status = settle(h, d, parts, n);
        if (status != SL_OK)
            again = status;
    }
    sl_release(h, parts);
    return again;
}
