/* Export requests from encoded records. Traces, metrics and logs have the same frame: resources (1)
 * with their Resource (1), scopes (2) and schema URL (3); a scope has its name (1) and the records
 * (2). Runs on the thread that generates. */
#include "commands/generate/batches.h"

#include "commands/generate/encode.h"

#include <stdlib.h>

struct record {
    uint64_t key; /* resource, scope and place, so that sorting groups and keeps the order */
    size_t at;
    size_t n;
};

struct bucket {
    sl_writer bytes;
    struct record *records;
    uint32_t n;
    uint32_t room;
    uint32_t items;
    uint64_t due; /* when it is sent at the latest; UINT64_MAX if empty */
};

struct batches {
    struct batches_options options;
    struct bucket *buckets;
    uint32_t bucket_count;
    uint64_t due; /* of the bucket that is due first */
    sl_writer request;
};

static uint32_t record_resource(const struct record *r)
{
    return (uint32_t)(r->key >> 44);
}

static uint16_t record_scope(const struct record *r)
{
    return (uint16_t)(r->key >> 28);
}

static int by_key(const void *a, const void *b)
{
    const struct record *x = a;
    const struct record *y = b;
    return x->key < y->key ? -1 : x->key > y->key;
}

static void write_records(struct batches *b, const struct bucket *bucket)
{
    const struct topology *t = b->options.topology;
    sl_writer *w = &b->request;
    uint32_t i = 0;
    while (i < bucket->n) {
        uint32_t resource = record_resource(&bucket->records[i]);
        size_t outer = sl_write_begin_sized(w, 1, bucket->bytes.used);
        size_t mark = sl_write_begin_sized(w, 1, 1024);
        encode_resource(w, &t->resources[resource]);
        sl_write_end(w, mark);
        while (i < bucket->n && record_resource(&bucket->records[i]) == resource) {
            uint16_t scope = record_scope(&bucket->records[i]);
            size_t inner = sl_write_begin_sized(w, 2, bucket->bytes.used / 2);
            mark = sl_write_begin(w, 1);
            encode_scope(w, &t->scopes[scope]);
            sl_write_end(w, mark);
            uint64_t group = bucket->records[i].key >> 28;
            for (; i < bucket->n && bucket->records[i].key >> 28 == group; i++) {
                sl_write_bytes(
                    w, 2, sl_slice(bucket->bytes.at + bucket->records[i].at, bucket->records[i].n));
            }
            sl_write_end(w, inner);
        }
        sl_write_bytes(w, 3, t->resources[resource].schema_url);
        sl_write_end(w, outer);
    }
}

static enum sl_status bucket_send(struct batches *b, struct bucket *bucket)
{
    qsort(bucket->records, bucket->n, sizeof(*bucket->records), by_key);
    b->request.used = 0;
    write_records(b, bucket);
    uint32_t items = bucket->items;
    bucket->bytes.used = 0;
    bucket->n = 0;
    bucket->items = 0;
    bucket->due = UINT64_MAX;
    if (b->request.failed) {
        return SL_ERR_NOMEM;
    }
    return b->options.sink(b->options.ctx, b->options.signal, sl_written(&b->request), items);
}

static enum sl_status send_due(struct batches *b, uint64_t time)
{
    enum sl_status status = SL_OK;
    b->due = UINT64_MAX;
    for (uint32_t i = 0; i < b->bucket_count && status == SL_OK; i++) {
        struct bucket *bucket = &b->buckets[i];
        if (bucket->due <= time) {
            status = bucket_send(b, bucket);
        } else if (bucket->due < b->due) {
            b->due = bucket->due;
        }
    }
    return status;
}

enum sl_status batches_add(struct batches *b, uint64_t time, uint32_t resource, uint16_t scope,
                           sl_bytes record, uint32_t items)
{
    enum sl_status status = b->due <= time ? send_due(b, time) : SL_OK;
    struct bucket *bucket = &b->buckets[b->options.mixed ? 0 : resource];
    if (status == SL_OK && bucket->n && bucket->items + items > b->options.items) {
        status = bucket_send(b, bucket);
    }
    if (status != SL_OK) {
        return status;
    }
    if (bucket->n == bucket->room) {
        uint32_t room = bucket->room ? bucket->room * 2 : 64;
        struct record *records = realloc(bucket->records, room * sizeof(*records));
        if (!records) {
            return SL_ERR_NOMEM;
        }
        bucket->records = records;
        bucket->room = room;
    }
    if (bucket->n == 0 && b->options.delay) {
        bucket->due = time + b->options.delay;
        b->due = bucket->due < b->due ? bucket->due : b->due;
    }
    struct record *r = &bucket->records[bucket->n];
    r->key = (uint64_t)resource << 44 | (uint64_t)scope << 28 | bucket->n;
    r->at = bucket->bytes.used;
    r->n = record.n;
    sl_write_raw(&bucket->bytes, record);
    bucket->n++;
    bucket->items += items;
    if (bucket->bytes.failed) {
        return SL_ERR_NOMEM;
    }
    return bucket->items >= b->options.items ? bucket_send(b, bucket) : SL_OK;
}

enum sl_status batches_flush(struct batches *b)
{
    enum sl_status status = SL_OK;
    for (uint32_t i = 0; i < b->bucket_count && status == SL_OK; i++) {
        if (b->buckets[i].n) {
            status = bucket_send(b, &b->buckets[i]);
        }
    }
    return status;
}

enum sl_status batches_create(const struct batches_options *options, struct batches **out)
{
    struct batches *b = calloc(1, sizeof(*b));
    if (!b) {
        return SL_ERR_NOMEM;
    }
    b->options = *options;
    b->due = UINT64_MAX;
    b->request = encode_writer();
    b->bucket_count = options->mixed ? 1 : options->topology->resource_count;
    b->buckets = calloc(b->bucket_count, sizeof(*b->buckets));
    if (!b->buckets) {
        free(b);
        return SL_ERR_NOMEM;
    }
    for (uint32_t i = 0; i < b->bucket_count; i++) {
        b->buckets[i].bytes = encode_writer();
        b->buckets[i].due = UINT64_MAX;
    }
    *out = b;
    return SL_OK;
}

void batches_destroy(struct batches *b)
{
    if (!b) {
        return;
    }
    for (uint32_t i = 0; i < b->bucket_count; i++) {
        encode_writer_deinit(&b->buckets[i].bytes);
        free(b->buckets[i].records);
    }
    free(b->buckets);
    encode_writer_deinit(&b->request);
    free(b);
}
