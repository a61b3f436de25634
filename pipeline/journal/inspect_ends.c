/* What has become of the records in a journal's files. */
#include "pipeline/journal/inspect_internal.h"
#include <stdlib.h>
#include <string.h>

bool inspect_list_add(struct inspect_list *list, const void *item, size_t size)
{
    if (list->n == list->room) {
        size_t room = list->room ? list->room : 32, bytes;
        if (__builtin_mul_overflow(room, 2, &room) || __builtin_mul_overflow(room, size, &bytes))
            return false;
        void *at = realloc(list->at, bytes);
        if (!at)
            return false;
        list->at = at;
        list->room = room;
    }
    memcpy((uint8_t *)list->at + list->n++ * size, item, size);
    return true;
}

static void add(struct inspect_ends *e, struct inspect_list *list, const void *item, size_t size)
{
    e->no_memory |= !inspect_list_add(list, item, size);
}

void ends_add_settled(struct inspect_ends *e, const uint8_t *body, size_t n)
{
    for (size_t i = 0; i + FORMAT_RANGE_BYTES <= n; i += FORMAT_RANGE_BYTES) {
        const uint64_t first = format_get64(body + i), count = format_get64(body + i + 8);
        uint64_t last;
        if (count && !__builtin_add_overflow(first, count - 1, &last))
            e->no_memory |= !ranges_add(&e->settled, first, last);
    }
}

void ends_add_part(struct inspect_ends *e, uint64_t seq, const uint8_t *body, size_t n)
{
    for (size_t i = 0; i + FORMAT_PART_BYTES <= n; i += FORMAT_PART_BYTES) {
        const struct inspect_part p = {
            .seq = seq, .first = format_get32(body + i), .n = format_get32(body + i + 4)};
        add(e, &e->parts, &p, sizeof p);
    }
}

void ends_add_copy(struct inspect_ends *e, const struct inspect_record *r)
{
    const struct inspect_copy c = {.seq = r->head.seq, .segment = r->segment->head.id, .at = r->at};
    add(e, &e->copies, &c, sizeof c);
}

/* Both begin with the sequence number they are sorted by. */
static int by_seq(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

static int by_seq_and_place(const void *a, const void *b)
{
    const struct inspect_copy *x = a, *y = b;
    const int order = by_seq(a, b);
    if (order)
        return order;
    if (x->segment != y->segment)
        return x->segment < y->segment ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

static void sort(struct inspect_list *list, size_t size, int (*order)(const void *, const void *))
{
    if (list->n)
        qsort(list->at, list->n, size, order);
}

void ends_sort(struct inspect_ends *e)
{
    sort(&e->parts, sizeof(struct inspect_part), by_seq);
    sort(&e->copies, sizeof(struct inspect_copy), by_seq_and_place);
}

void ends_free(struct inspect_ends *e)
{
    ranges_free(&e->settled);
    free(e->parts.at);
    free(e->copies.at);
}

/* The first of a sorted list that is not before `seq`; or n. */
static size_t lower_bound(const struct inspect_list *list, size_t size, uint64_t seq)
{
    size_t low = 0, high = list->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (by_seq((const uint8_t *)list->at + middle * size, &seq) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool ends_is_settled(const struct inspect_ends *e, uint64_t seq)
{
    return ranges_have(&e->settled, seq);
}

bool ends_is_replaced(const struct inspect_ends *e, const struct inspect_record *r)
{
    const struct inspect_copy *c = e->copies.at;
    size_t i = lower_bound(&e->copies, sizeof *c, r->head.seq);
    if (i == e->copies.n || c[i].seq != r->head.seq)
        return false;
    while (i + 1 < e->copies.n && c[i + 1].seq == r->head.seq)
        i++;
    return c[i].segment != r->segment->head.id || c[i].at != r->at;
}

void ends_clear(const struct inspect_ends *e, uint64_t seq, uint32_t items, uint64_t *mask)
{
    const struct inspect_part *p = e->parts.at;
    for (size_t i = lower_bound(&e->parts, sizeof *p, seq); i < e->parts.n && p[i].seq == seq; i++)
        for (uint32_t k = p[i].first; k < items && k - p[i].first < p[i].n; k++)
            mask[k / 64] &= ~(UINT64_C(1) << (k % 64));
}
