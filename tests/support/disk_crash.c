/* What a crash leaves of the file system in memory. */
#include "tests/support/disk_internal.h"
#include <stdlib.h>
#include <string.h>

/* Decides piece by piece what remains of what was not synced. */
struct fate {
    enum disk_keep keep;
    uint64_t seed, cut, count;
};

static uint64_t next(uint64_t *seed)
{
    uint64_t x = *seed += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static bool keeps(struct fate *f)
{
    const uint64_t i = f->count++;
    switch (f->keep) {
    case DISK_KEEP_ALL:
        return true;
    case DISK_KEEP_NONE:
        return false;
    case DISK_KEEP_FIRST:
        return i < f->cut;
    case DISK_KEEP_LAST:
        return i >= f->cut;
    default:
        return next(&f->seed) & 1;
    }
}

static bool is_of_names(const struct disk_op *op)
{
    return op->kind == DISK_OP_LINK || op->kind == DISK_OP_RENAME || op->kind == DISK_OP_UNLINK;
}

/* Which of the first n operations are on the disk for certain. */
static bool *find_safe(const struct disk *d, size_t n)
{
    bool *safe = calloc(n + 1, sizeof *safe), *synced = calloc(d->state.n_nodes + 1, 1);
    char from[DISK_PATH], to[DISK_PATH];
    if (!safe || !synced)
        abort();
    for (size_t i = n; i > 0; i--) {
        const struct disk_op *op = &d->ops[i - 1];
        if (op->kind == DISK_OP_SYNC) {
            synced[op->node] = true;
        } else if (is_of_names(op)) {
            bool is_from = op->kind == DISK_OP_LINK, is_to = op->kind == DISK_OP_UNLINK;
            disk_parent(op->from, from);
            disk_parent(op->to, to);
            for (size_t k = i; k < n && !(is_from && is_to); k++)
                if (d->ops[k].kind == DISK_OP_SYNC_NAMES) {
                    is_from |= !strcmp(d->ops[k].to, from);
                    is_to |= !strcmp(d->ops[k].to, to);
                }
            safe[i - 1] = is_from && is_to;
        } else {
            safe[i - 1] = synced[op->node] && !op->doubtful;
        }
    }
    free(synced);
    return safe;
}

/* Bytes of the write at `at` up to the next sector's begin. */
static size_t piece(const struct disk_op *op, uint64_t at, uint32_t sector)
{
    const uint64_t left = op->at + op->n - at, fits = sector - at % sector;
    return (size_t)(left < fits ? left : fits);
}

static void count_pieces(const struct disk *d, size_t n, const bool *safe, uint32_t sector,
                         uint64_t *writes, uint64_t *names)
{
    *writes = *names = 0;
    for (size_t i = 0; i < n; i++) {
        const struct disk_op *op = &d->ops[i];
        if (safe[i])
            continue;
        *names += is_of_names(op);
        *writes += op->kind == DISK_OP_SIZE;
        if (op->kind == DISK_OP_WRITE)
            for (uint64_t at = op->at; at < op->at + op->n; at += piece(op, at, sector))
                ++*writes;
    }
}

static void apply_name(struct disk_state *s, const struct disk_op *op)
{
    if (op->kind != DISK_OP_LINK)
        disk_remove(s, op->from, op->node);
    if (op->kind != DISK_OP_UNLINK)
        disk_link(s, op->to, op->node, op->directory);
}

static void apply_bytes(struct disk_state *s, const struct disk_op *op, bool safe, uint32_t sector,
                        struct fate *f)
{
    struct disk_node *node = &s->nodes[op->node];
    if (op->kind == DISK_OP_SIZE) {
        if (safe || keeps(f))
            disk_set_size(node, op->n);
        return;
    }
    if (safe) {
        disk_store(node, op->at, op->bytes, op->n);
        return;
    }
    for (uint64_t at = op->at, n; at < op->at + op->n; at += n) {
        n = piece(op, at, sector);
        if (keeps(f))
            disk_store(node, at, op->bytes + (at - op->at), n);
        else if (f->keep == DISK_KEEP_ZEROS)
            disk_store(node, at, NULL, n);
    }
}

/* Entries whose directory was lost are out of reach. */
static void drop_orphans(struct disk_state *s)
{
    char parent[DISK_PATH];
    for (uint32_t i = 0; i < s->n_entries;) {
        const struct disk_entry *e = &s->entries[i];
        disk_parent(e->path, parent);
        if (*parent && !disk_find(s, parent)) {
            s->entries[i] = s->entries[--s->n_entries];
            i = 0;
        } else {
            i++;
        }
    }
}

struct disk *disk_crash(struct disk *d, size_t n, const struct disk_fate *fate)
{
    struct disk *after = disk_create();
    uint64_t seed = fate->seed, n_writes, n_names;
    pthread_mutex_lock(&d->mutex);
    bool *safe = find_safe(d, n);
    count_pieces(d, n, safe, fate->sector, &n_writes, &n_names);
    struct fate writes = {.keep = fate->writes, .seed = next(&seed)};
    struct fate names = {.keep = fate->names, .seed = next(&seed)};
    writes.cut = next(&seed) % (n_writes + 1);
    names.cut = next(&seed) % (n_names + 1);
    disk_state_copy(&after->state, &d->base);
    while (after->state.n_nodes < d->state.n_nodes)
        (void)disk_add_node(&after->state);
    for (size_t i = 0; i < n; i++) {
        const struct disk_op *op = &d->ops[i];
        if (is_of_names(op)) {
            if (safe[i] || keeps(&names))
                apply_name(&after->state, op);
        } else if (op->kind == DISK_OP_WRITE || op->kind == DISK_OP_SIZE) {
            apply_bytes(&after->state, op, safe[i], fate->sector, &writes);
        }
    }
    pthread_mutex_unlock(&d->mutex);
    free(safe);
    drop_orphans(&after->state);
    disk_settle(after);
    return after;
}
