/* Records that are remembered, by sequence number. */
#include "pipeline/journal/log_internal.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct journal_entry *entry_in_segment(struct link *link)
{
    return (struct journal_entry *)((char *)link - offsetof(struct journal_entry, in_segment));
}

struct journal_entry *entry_in_put_back(struct link *link)
{
    return (struct journal_entry *)((char *)link - offsetof(struct journal_entry, in_put_back));
}

struct journal_entry *entry_in_changed(struct link *link)
{
    return (struct journal_entry *)((char *)link - offsetof(struct journal_entry, in_changed));
}

static struct journal_entry **bucket_of(const struct entry_table *table, uint64_t seq)
{
    return &table->buckets[seq & (table->n_buckets - 1)];
}

/* Where memory is short, the chains become longer. */
static void grow(struct entry_table *table)
{
    struct entry_table larger = {.n_buckets = table->n_buckets * 2, .n = table->n};
    larger.buckets = calloc(larger.n_buckets, sizeof(struct journal_entry *));
    if (!larger.buckets)
        return;
    for (size_t i = 0; i < table->n_buckets; i++)
        for (struct journal_entry *e = table->buckets[i], *next; e; e = next) {
            struct journal_entry **bucket = bucket_of(&larger, e->seq);
            next = e->chain;
            e->chain = *bucket;
            *bucket = e;
        }
    free(table->buckets);
    *table = larger;
}

struct journal_entry *entry_find(const struct journal *j, uint64_t seq)
{
    struct journal_entry *e = *bucket_of(&j->entries, seq);
    while (e && e->seq != seq)
        e = e->chain;
    return e;
}

struct journal_entry *entry_new(void)
{
    return calloc(1, sizeof(struct journal_entry));
}

void entry_add(struct journal *j, struct journal_entry *e)
{
    if (j->entries.n >= j->entries.n_buckets)
        grow(&j->entries);
    struct journal_entry **bucket = bucket_of(&j->entries, e->seq);
    e->chain = *bucket;
    *bucket = e;
    j->entries.n++;
    if (e->segment)
        list_put(&e->segment->entries, &e->in_segment);
}

void entry_remove(struct journal *j, struct journal_entry *e)
{
    struct journal_entry **from = bucket_of(&j->entries, e->seq);
    while (*from != e)
        from = &(*from)->chain;
    *from = e->chain;
    j->entries.n--;
    list_take(&e->in_segment);
    list_take(&e->in_put_back);
    list_take(&e->in_changed);
    if (e->open_mask != &e->small_mask)
        free(e->open_mask);
    free(e);
}

void entry_wait_no_more(struct journal *j, struct journal_entry *e)
{
    if (e->state != ENTRY_PUT_BACK)
        return;
    e->state = ENTRY_TAKEN;
    list_take(&e->in_put_back);
    tally_sub(&j->put_back, 1, e->open, e->bytes);
}

void entry_move(struct journal_entry *e, struct segment *segment, uint64_t at)
{
    list_take(&e->in_segment);
    e->segment = segment;
    e->at = at;
    list_put(&segment->entries, &e->in_segment);
}

bool entry_make_mask(struct journal_entry *e)
{
    const size_t words = entry_mask_words(e->items);
    if (e->open_mask)
        return true;
    e->open_mask = words <= 1 ? &e->small_mask : malloc(words * sizeof *e->open_mask);
    if (!e->open_mask)
        return false;
    memset(e->open_mask, 0xFF, words * sizeof *e->open_mask);
    if (e->items % 64)
        e->open_mask[words - 1] = ((uint64_t)1 << e->items % 64) - 1;
    return true;
}

uint32_t mask_clear(uint64_t *mask, uint32_t first, uint32_t n)
{
    uint32_t cleared = 0;
    for (uint32_t done = 0; done < n;) {
        const uint32_t bit = (first + done) % 64;
        const uint32_t some = n - done < 64 - bit ? n - done : 64 - bit;
        const uint64_t bits = (some == 64 ? UINT64_MAX : ((uint64_t)1 << some) - 1) << bit;
        uint64_t *word = &mask[(first + done) / 64];
        cleared += (uint32_t)__builtin_popcountll(*word & bits);
        *word &= ~bits;
        done += some;
    }
    return cleared;
}
