/* A queue that batches. Under the sink's mutex. */
#include "pipeline/graph/queue_batch.h"
#include "formats/partition/partition_key.h"
#include <stdlib.h>

static const int64_t NOMEM_RETRY_NS = 20000000;

/* A child's items are counted in 32 bits. */
static const uint64_t ITEMS_MAX = UINT64_C(1) << 31;

enum { BUCKETS = 64 };

struct partition {
    struct partition *next, *previous; /* by deadline */
    struct partition *chain;           /* of its hash bucket */
    struct delivery *first, *last; /* of the first the front may have been taken, and is claimed */
    uint64_t requests, items, bytes;
    int64_t deadline_ns;
    uint64_t hash;
    size_t key_length;
    uint8_t key[];
};

struct queue_batch {
    const struct batch_config *config;
    struct memory *memory;
    struct partition *first, *last; /* all that hold something, by deadline */
    struct partition *buckets[BUCKETS];
    uint32_t n_full;       /* partitions that have min_size */
    int64_t not_before_ns; /* there was no memory; 0: there was */
    sl_piece *pieces;      /* room for making a batch */
    uint32_t room;
};

struct queue_batch *queue_batch_create(const struct batch_config *config, struct memory *memory)
{
    struct queue_batch *q = calloc(1, sizeof *q);
    if (q)
        *q = (struct queue_batch){.config = config, .memory = memory};
    return q;
}

void queue_batch_destroy(struct queue_batch *q)
{
    if (!q)
        return;
    free(q->pieces);
    free(q);
}

/* ---- partitions ---- */

static uint64_t size_of(const struct queue_batch *q, const struct partition *p)
{
    return q->config->sizer == SIZER_BYTES ? p->bytes : p->items;
}

static bool is_full(const struct queue_batch *q, const struct partition *p)
{
    return size_of(q, p) >= q->config->min_size;
}

static void append(struct queue_batch *q, struct partition *p, int64_t deadline_ns)
{
    p->deadline_ns = deadline_ns;
    p->next = NULL;
    p->previous = q->last;
    if (q->last)
        q->last->next = p;
    else
        q->first = p;
    q->last = p;
}

static void unlink_partition(struct queue_batch *q, struct partition *p)
{
    if (p->previous)
        p->previous->next = p->next;
    else
        q->first = p->next;
    if (p->next)
        p->next->previous = p->previous;
    else
        q->last = p->previous;
}

static void drop_partition(struct queue_batch *q, struct partition *p)
{
    struct partition **at = &q->buckets[p->hash % BUCKETS];
    while (*at != p)
        at = &(*at)->chain;
    *at = p->chain;
    unlink_partition(q, p);
    free(p);
}

static int32_t find(struct queue_batch *q, const sl_metadata *m, int64_t now_ns,
                    struct partition **out)
{
    const sl_list *keys = &q->config->partition.metadata_keys;
    uint8_t key[PARTITION_KEY_MAX];
    const size_t n = keys->n ? partition_key_write(keys, m, key) : 0;
    if (keys->n && !n)
        return SL_ERR_TOO_LARGE;
    const uint64_t hash = partition_key_hash(key, n);
    struct partition **bucket = &q->buckets[hash % BUCKETS];
    for (struct partition *p = *bucket; p; p = p->chain) {
        if (p->hash == hash && p->key_length == n && !memcmp(p->key, key, n)) {
            *out = p;
            return SL_OK;
        }
    }
    struct partition *p = calloc(1, sizeof *p + n);
    if (!p)
        return SL_ERR_NOMEM;
    p->hash = hash;
    p->key_length = n;
    memcpy(p->key, key, n);
    p->chain = *bucket;
    *bucket = p;
    append(q, p, now_ns + q->config->flush_timeout);
    *out = p;
    return SL_OK;
}

static struct delivery *shift(struct partition *p)
{
    struct delivery *d = p->first;
    p->first = d->next;
    if (!p->first)
        p->last = NULL;
    d->next = NULL;
    p->requests--;
    return d;
}

/* The bytes of `n` items of a delivery, taken to be alike. */
static uint64_t share(const struct delivery *d, uint64_t n)
{
    const uint64_t bytes = d->pub.payload ? d->pub.payload->bytes : 0;
    return n >= d->pub.items ? bytes : bytes / d->pub.items * n;
}

static uint32_t taken_of(const struct delivery *d)
{
    return d->pub.items - d->pub.unclaimed;
}

/* ---- in ---- */

int32_t queue_batch_add(struct queue_batch *q, struct delivery *d, int64_t now_ns)
{
    struct partition *p = NULL;
    const int32_t status = find(q, d->pub.metadata, now_ns, &p);
    if (status != SL_OK)
        return status;
    const bool was_full = p->requests && is_full(q, p);
    d->next = NULL;
    if (p->last)
        p->last->next = d;
    else
        p->first = d;
    p->last = d;
    p->requests++;
    p->items += d->pub.items;
    p->bytes += share(d, d->pub.items);
    q->n_full += !was_full && is_full(q, p);
    return SL_OK;
}

bool queue_batch_is_empty(const struct queue_batch *q)
{
    return !q->first;
}

bool queue_batch_ready(const struct queue_batch *q, int64_t now_ns, bool all)
{
    if (!q->first || now_ns < q->not_before_ns)
        return false;
    return all || q->n_full || q->first->deadline_ns <= now_ns;
}

int64_t queue_batch_deadline(const struct queue_batch *q)
{
    if (!q->first)
        return INT64_MAX;
    return q->first->deadline_ns > q->not_before_ns ? q->first->deadline_ns : q->not_before_ns;
}

/* ---- out ---- */

static struct partition *ready_one(const struct queue_batch *q, int64_t now_ns, bool all)
{
    struct partition *p = q->first;
    if (!p || all || p->deadline_ns <= now_ns)
        return p;
    while (p && !is_full(q, p))
        p = p->next;
    return p;
}

/* What is encoded is neither merged nor cut. */
static bool is_encoded(const struct delivery *d)
{
    return d->pub.payload && d->pub.payload->encoding;
}

/* The pieces of a batch from the front of the partition; `items` of them at most, of the given
 * bytes at most where a record is not larger by itself. 0: no memory. */
static uint32_t gather(struct queue_batch *q, const struct partition *p, uint64_t items,
                       uint64_t bytes)
{
    uint32_t n = 0;
    for (struct delivery *d = p->first; d && items; d = d->next) {
        const uint32_t skip = taken_of(d);
        uint64_t take = d->pub.unclaimed;
        if (is_encoded(d)) {
            if (n)
                break;
            items = take;
            bytes = UINT64_MAX;
        }
        take = take < items ? take : items;
        const uint64_t each = share(d, d->pub.items) / d->pub.items;
        if (each && take > bytes / each)
            take = bytes / each;
        if (!take && n)
            break;
        take = take ? take : 1;
        if (n == q->room) {
            const uint32_t room = q->room ? 2 * q->room : 64;
            sl_piece *pieces = realloc(q->pieces, room * sizeof *pieces);
            if (!pieces)
                return n;
            q->pieces = pieces;
            q->room = room;
        }
        q->pieces[n++] = (sl_piece){.from = &d->pub, .first = skip, .count = (uint32_t)take};
        items -= take;
        bytes -= each * take < bytes ? each * take : bytes;
        if (skip + take < d->pub.items)
            break;
    }
    return n;
}

/* What the pieces name leaves the partition: it is claimed by a child, or is the first delivery. */
static void remove_taken(struct partition *p, uint32_t n, const sl_piece *pieces, bool derived,
                         struct queue_taken *taken)
{
    static const struct ending in_child = {.outcome = SL_DELIVERED};
    for (uint32_t i = 0; i < n; i++) {
        struct delivery *d = p->first;
        const uint64_t bytes =
            share(d, pieces[i].first + pieces[i].count) - share(d, pieces[i].first);
        p->items -= pieces[i].count;
        p->bytes -= bytes;
        taken->items += pieces[i].count;
        taken->bytes += (int64_t)bytes;
        if (derived && d->pub.unclaimed)
            break; /* the rest of it stays */
        (void)shift(p);
        taken->requests++;
        if (derived)
            delivery_finish(d, &in_child, NULL);
    }
}

/* A batch that came out larger than its records were taken to be goes back, to be cut again. */
static void put_back(struct partition *p, struct delivery *d, struct queue_taken *taken)
{
    const uint64_t bytes = share(d, d->pub.items);
    d->next = p->first;
    p->first = d;
    p->last = p->last ? p->last : d;
    p->requests++;
    p->items += d->pub.items;
    p->bytes += bytes;
    taken->requests--;
    taken->items -= d->pub.items;
    taken->bytes -= (int64_t)bytes;
}

static struct delivery *make_batch(struct queue_batch *q, struct partition *p, uint64_t items,
                                   uint64_t bytes, struct queue_taken *taken)
{
    uint32_t n = gather(q, p, items, bytes);
    if (!n)
        return NULL;
    struct delivery *whole = p->first, *child = NULL;
    const bool first_is_whole = q->pieces[0].count == whole->pub.items;
    if (n > 1 || !first_is_whole)
        (void)delivery_derive(q->memory, q->pieces, n, SL_ITEMWISE, NULL, NULL, NULL, &child);
    if (!child && !first_is_whole)
        return NULL;
    /* merging takes memory, sending as it came does not */
    remove_taken(p, child ? n : 1, q->pieces, child != NULL, taken);
    return child ? child : whole;
}

struct delivery *queue_batch_take(struct queue_batch *q, int64_t now_ns, bool all,
                                  struct queue_taken *taken)
{
    *taken = (struct queue_taken){.requests = 0};
    struct partition *p = now_ns < q->not_before_ns ? NULL : ready_one(q, now_ns, all);
    if (!p)
        return NULL;
    const bool by_bytes = q->config->sizer == SIZER_BYTES;
    const uint64_t max = q->config->max_size ? q->config->max_size : UINT64_MAX;
    uint64_t items = by_bytes || max > ITEMS_MAX ? ITEMS_MAX : max;
    const uint64_t bytes = by_bytes ? max : UINT64_MAX;
    const bool was_full = is_full(q, p);
    struct delivery *d = make_batch(q, p, items, bytes, taken);
    while (d && by_bytes && d->pub.payload->bytes > max && d->pub.items > 1 && !is_encoded(d)) {
        items = d->pub.items * max / d->pub.payload->bytes;
        items = items < 1 ? 1 : items < d->pub.items ? items : d->pub.items - 1;
        put_back(p, d, taken);
        d = make_batch(q, p, items, UINT64_MAX, taken);
    }
    q->not_before_ns = d ? 0 : now_ns + NOMEM_RETRY_NS;
    q->n_full -= was_full;
    if (!p->first) {
        drop_partition(q, p);
        return d;
    }
    q->n_full += is_full(q, p);
    if (d) { /* what is left waits anew */
        unlink_partition(q, p);
        append(q, p, now_ns + q->config->flush_timeout);
    }
    return d;
}

struct delivery *queue_batch_pop(struct queue_batch *q, struct queue_taken *taken)
{
    struct partition *p = q->first;
    if (!p)
        return NULL;
    const bool was_full = is_full(q, p);
    struct delivery *d = shift(p);
    const uint64_t bytes = share(d, d->pub.items) - share(d, taken_of(d));
    *taken =
        (struct queue_taken){.requests = 1, .items = d->pub.unclaimed, .bytes = (int64_t)bytes};
    p->items -= d->pub.unclaimed;
    p->bytes -= bytes;
    q->n_full -= was_full;
    if (p->first)
        q->n_full += is_full(q, p);
    else
        drop_partition(q, p);
    return d;
}
