#include "pipeline/journal/ranges.h"

#include <stdlib.h>
#include <string.h>

/* The first range that ends at `number` or behind it. */
static size_t find(const struct ranges *set, uint64_t number)
{
    size_t low = 0, high = set->n;
    if (high > 0 && set->all[high - 1].last < number)
        return high; /* the usual case */
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (set->all[middle].last < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool grow(struct ranges *set)
{
    if (set->n < set->room)
        return true;
    const size_t room = set->room ? 2 * set->room : 16;
    struct range *all = realloc(set->all, room * sizeof *all);
    if (!all)
        return false;
    set->all = all;
    set->room = room;
    return true;
}

bool ranges_add(struct ranges *set, uint64_t first, uint64_t last)
{
    /* those from `from` to before `to` touch the new one and become part of it */
    const size_t from = find(set, first > 0 ? first - 1 : 0);
    size_t to = from;
    while (to < set->n && (last == UINT64_MAX || set->all[to].first <= last + 1))
        to++;
    if (from == to) {
        if (!grow(set))
            return false;
        memmove(set->all + from + 1, set->all + from, (set->n - from) * sizeof *set->all);
        set->all[from] = (struct range){first, last};
        set->n++;
        return true;
    }
    struct range *whole = &set->all[from];
    if (first < whole->first)
        whole->first = first;
    whole->last = set->all[to - 1].last > last ? set->all[to - 1].last : last;
    memmove(set->all + from + 1, set->all + to, (set->n - to) * sizeof *set->all);
    set->n -= to - from - 1;
    return true;
}

bool ranges_have(const struct ranges *set, uint64_t number)
{
    const size_t i = find(set, number);
    return i < set->n && set->all[i].first <= number;
}

void ranges_drop(struct ranges *set, size_t n)
{
    if (n < set->n)
        memmove(set->all, set->all + n, (set->n - n) * sizeof *set->all);
    set->n -= n;
}

void ranges_free(struct ranges *set)
{
    free(set->all);
    *set = (struct ranges){0};
}
