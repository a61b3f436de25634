/* The batch processor's groups, one for each combination of metadata values that is held. An empty
 * group is freed, so that the limit counts combinations in use. On the instance's lane. */
#include "formats/partition/partition_key.h"
#include "processors/batch/batch.h"

enum {
    HELD_FIRST = 32,    /* pieces */
    HELD_MAX = 1u << 22 /* pieces; 128 MiB of them */
};

static struct group *group_make(struct batch *b, const uint8_t *key, size_t length, uint64_t hash)
{
    struct group *g = sl_allocate(b->host, sizeof *g + length);
    if (!g)
        return NULL;
    memset(g, 0, sizeof *g);
    g->hash = hash;
    g->key_length = length;
    if (length)
        memcpy(g->key, key, length);
    b->groups++;
    return g;
}

int32_t group_find(struct batch *b, const sl_metadata *metadata, struct group **group)
{
    const struct batch_config *c = b->config;
    if (c->metadata_keys.n == 0) {
        if (!b->only)
            b->only = group_make(b, NULL, 0, 0);
        *group = b->only;
        return b->only ? SL_OK : SL_ERR_NOMEM;
    }
    uint8_t key[PARTITION_KEY_MAX];
    const size_t length = partition_key_write(&c->metadata_keys, metadata, key);
    if (length == 0)
        return SL_ERR_TOO_LARGE;
    const uint64_t hash = partition_key_hash(key, length);
    struct group **bucket = &b->buckets[hash % BUCKETS];
    for (struct group *g = *bucket; g; g = g->chain) {
        if (g->hash == hash && g->key_length == length && memcmp(g->key, key, length) == 0) {
            *group = g;
            return SL_OK;
        }
    }
    if (c->metadata_cardinality_limit && b->groups >= c->metadata_cardinality_limit)
        return SL_ERR_REJECTED;
    struct group *g = group_make(b, key, length, hash);
    if (!g)
        return SL_ERR_NOMEM;
    g->chain = *bucket;
    *bucket = g;
    *group = g;
    return SL_OK;
}

int32_t group_append(struct batch *b, struct group *g, sl_delivery *delivery)
{
    if (g->n == g->room) {
        if (g->room >= HELD_MAX)
            return SL_ERR_NOMEM;
        const uint32_t room = g->room ? 2 * g->room : HELD_FIRST;
        sl_piece *held = sl_allocate(b->host, room * sizeof *held);
        if (!held)
            return SL_ERR_NOMEM;
        if (g->n)
            memcpy(held, g->held, g->n * sizeof *held);
        sl_release(b->host, g->held);
        g->held = held;
        g->room = room;
    }
    g->held[g->n++] = (sl_piece){.from = delivery, .count = delivery->items};
    g->items += delivery->items;
    return SL_OK;
}

void group_remove(struct group *g, uint32_t n)
{
    g->n -= n;
    if (g->n)
        memmove(g->held, g->held + n, g->n * sizeof *g->held);
}

static void group_unqueue(struct batch *b, struct group *g)
{
    if (g->previous)
        g->previous->next = g->next;
    else if (b->first == g)
        b->first = g->next;
    if (g->next)
        g->next->previous = g->previous;
    else if (b->last == g)
        b->last = g->previous;
    g->next = g->previous = NULL;
}

void group_queue(struct batch *b, struct group *g, bool due)
{
    group_unqueue(b, g);
    if (!b->first) {
        b->first = b->last = g;
    } else if (due) {
        g->next = b->first;
        b->first->previous = g;
        b->first = g;
    } else {
        g->previous = b->last;
        b->last->next = g;
        b->last = g;
    }
}

void group_release(struct batch *b, struct group *g)
{
    group_unqueue(b, g);
    if (g == b->only)
        return;
    struct group **at = &b->buckets[g->hash % BUCKETS];
    while (*at != g)
        at = &(*at)->chain;
    *at = g->chain;
    b->groups--;
    sl_release(b->host, g->held);
    sl_release(b->host, g);
}

void group_free_all(struct batch *b)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        while (b->buckets[i])
            group_release(b, b->buckets[i]);
    }
    if (b->only) {
        sl_release(b->host, b->only->held);
        sl_release(b->host, b->only);
        b->only = NULL;
    }
}
