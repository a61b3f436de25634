/* The file system in memory: its calls. */
#include "tests/support/disk_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* ---- state ---- */

static void *require(void *p)
{
    if (!p)
        abort();
    return p;
}

void *disk_grow(void *at, uint32_t n, uint32_t *room, size_t size)
{
    if (n < *room)
        return at;
    *room = *room ? *room * 2 : 16;
    return require(realloc(at, *room * size));
}

struct disk_entry *disk_find(struct disk_state *s, const char *path)
{
    for (uint32_t i = 0; i < s->n_entries; i++)
        if (!strcmp(s->entries[i].path, path))
            return &s->entries[i];
    return NULL;
}

uint32_t disk_add_node(struct disk_state *s)
{
    s->nodes = disk_grow(s->nodes, s->n_nodes, &s->room_nodes, sizeof *s->nodes);
    s->nodes[s->n_nodes] = (struct disk_node){0};
    return s->n_nodes++;
}

static void copy_path(char *to, const char *path)
{
    const size_t n = strlen(path);
    if (n >= DISK_PATH)
        abort();
    memcpy(to, path, n + 1);
}

void disk_link(struct disk_state *s, const char *path, uint32_t node, bool directory)
{
    struct disk_entry *e = disk_find(s, path);
    if (!e) {
        s->entries = disk_grow(s->entries, s->n_entries, &s->room_entries, sizeof *s->entries);
        e = &s->entries[s->n_entries++];
        copy_path(e->path, path);
    }
    e->node = node;
    e->directory = directory;
}

void disk_remove(struct disk_state *s, const char *path, uint32_t node)
{
    struct disk_entry *e = disk_find(s, path);
    if (e && e->node == node)
        *e = s->entries[--s->n_entries];
}

void disk_set_size(struct disk_node *node, uint64_t size)
{
    if (size > node->room) {
        node->room = size;
        node->bytes = require(realloc(node->bytes, size));
    }
    if (size > node->size)
        memset(node->bytes + node->size, 0, size - node->size);
    node->size = size;
}

void disk_store(struct disk_node *node, uint64_t at, const uint8_t *bytes, size_t n)
{
    if (!n)
        return;
    if (at + n > node->size)
        disk_set_size(node, at + n);
    if (bytes)
        memcpy(node->bytes + at, bytes, n);
    else
        memset(node->bytes + at, 0, n);
}

void disk_state_copy(struct disk_state *to, const struct disk_state *from)
{
    *to = *from;
    to->room_nodes = from->n_nodes;
    to->room_entries = from->n_entries;
    to->nodes = require(malloc(from->n_nodes * sizeof *to->nodes + 1));
    to->entries = require(malloc(from->n_entries * sizeof *to->entries + 1));
    if (from->n_entries)
        memcpy(to->entries, from->entries, from->n_entries * sizeof *to->entries);
    for (uint32_t i = 0; i < from->n_nodes; i++) {
        to->nodes[i] = (struct disk_node){0};
        disk_store(&to->nodes[i], 0, from->nodes[i].bytes, from->nodes[i].size);
    }
}

void disk_state_free(struct disk_state *s)
{
    for (uint32_t i = 0; i < s->n_nodes; i++)
        free(s->nodes[i].bytes);
    free(s->nodes);
    free(s->entries);
}

void disk_parent(const char *path, char *out)
{
    copy_path(out, path);
    char *slash = strrchr(out, '/');
    *(slash ? slash : out) = 0;
}

struct disk *disk_create(void)
{
    struct disk *d = require(calloc(1, sizeof *d));
    pthread_mutex_init(&d->mutex, NULL);
    d->room = UINT64_MAX;
    return d;
}

static void forget_ops(struct disk *d)
{
    for (size_t i = 0; i < d->n_ops; i++)
        free(d->ops[i].bytes);
    d->n_ops = 0;
}

void disk_destroy(struct disk *d)
{
    if (!d)
        return;
    forget_ops(d);
    free(d->ops);
    disk_state_free(&d->base);
    disk_state_free(&d->state);
    pthread_mutex_destroy(&d->mutex);
    free(d);
}

/* ---- calls ---- */

static struct disk_op *record(struct disk *d, enum disk_op_kind kind, uint32_t node)
{
    if (d->n_ops == d->room_ops) {
        d->room_ops = d->room_ops ? d->room_ops * 2 : 256;
        d->ops = require(realloc(d->ops, d->room_ops * sizeof *d->ops));
    }
    struct disk_op *op = &d->ops[d->n_ops++];
    memset(op, 0, sizeof *op);
    op->kind = kind;
    op->node = node;
    return op;
}

/* Is the call to fail? With the mutex held. */
static int fault_of(struct disk *d, enum disk_call kind)
{
    if (!d->fault.at || !(d->fault.mask & kind))
        return 0;
    d->calls++;
    if (d->fault.goes_on ? d->calls < d->fault.at : d->calls != d->fault.at)
        return 0;
    d->failures++;
    return -d->fault.error;
}

static struct disk_fd *fd_of(struct disk *d, int fd)
{
    if (fd < 0 || fd >= DISK_FDS || !d->fds[fd].used)
        abort();
    return &d->fds[fd];
}

static struct disk_node *node_of(struct disk *d, int fd)
{
    struct disk_fd *f = fd_of(d, fd);
    if (f->directory)
        abort();
    return &d->state.nodes[f->node];
}

static uint64_t bytes_used(const struct disk_state *s)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < s->n_entries; i++)
        n += s->entries[i].directory ? 0 : s->nodes[s->entries[i].node].size;
    return n;
}

/* How far a file may grow, at most to `size`. */
static uint64_t size_with_room(const struct disk *d, const struct disk_node *node, uint64_t size)
{
    const uint64_t used = bytes_used(&d->state), left = used < d->room ? d->room - used : 0;
    return size <= node->size || size - node->size <= left ? size : node->size + left;
}

static int open_locked(struct disk *d, const char *path, int flags)
{
    const int fault = fault_of(d, DISK_OPENS);
    if (fault)
        return fault;
    struct disk_entry *e = disk_find(&d->state, path);
    if (e && (flags & O_EXCL))
        return -EEXIST;
    if (!e && !(flags & O_CREAT))
        return -ENOENT;
    if (e && e->directory != !!(flags & O_DIRECTORY))
        return e->directory ? -EISDIR : -ENOTDIR;
    if (!e) {
        struct disk_op *op = record(d, DISK_OP_LINK, disk_add_node(&d->state));
        copy_path(op->to, path);
        disk_link(&d->state, path, op->node, false);
        e = disk_find(&d->state, path);
    }
    int fd = 0;
    while (fd < DISK_FDS && d->fds[fd].used)
        fd++;
    if (fd == DISK_FDS)
        return -EMFILE;
    d->fds[fd] = (struct disk_fd){.used = true, .node = e->node, .directory = e->directory};
    copy_path(d->fds[fd].path, path);
    if ((flags & O_TRUNC) && d->state.nodes[e->node].size) {
        (void)record(d, DISK_OP_SIZE, e->node);
        disk_set_size(&d->state.nodes[e->node], 0);
    }
    return fd;
}

int disk_open(struct disk *d, const char *path, int flags)
{
    pthread_mutex_lock(&d->mutex);
    const int fd = open_locked(d, path, flags);
    pthread_mutex_unlock(&d->mutex);
    return fd;
}

int disk_close(struct disk *d, int fd)
{
    pthread_mutex_lock(&d->mutex);
    fd_of(d, fd)->used = false;
    pthread_mutex_unlock(&d->mutex);
    return 0;
}

int disk_mkdir(struct disk *d, const char *path)
{
    pthread_mutex_lock(&d->mutex);
    int status = fault_of(d, DISK_NAMES);
    if (!status && disk_find(&d->state, path))
        status = -EEXIST;
    if (!status) {
        struct disk_op *op = record(d, DISK_OP_LINK, disk_add_node(&d->state));
        copy_path(op->to, path);
        op->directory = true;
        disk_link(&d->state, path, op->node, true);
    }
    pthread_mutex_unlock(&d->mutex);
    return status;
}

int64_t disk_read(struct disk *d, int fd, void *to, size_t n, uint64_t at)
{
    pthread_mutex_lock(&d->mutex);
    const struct disk_node *node = node_of(d, fd);
    int64_t status = fault_of(d, DISK_READS);
    if (!status && at < node->size) {
        status = (int64_t)(n < node->size - at ? n : node->size - at);
        memcpy(to, node->bytes + at, (size_t)status);
    }
    pthread_mutex_unlock(&d->mutex);
    return status;
}

/* The first `n` bytes of the parts, in memory of their own. */
static uint8_t *join(const struct iovec *parts, size_t n)
{
    uint8_t *bytes = require(malloc(n + 1));
    for (size_t done = 0, m; done < n; done += m, parts++) {
        m = parts->iov_len < n - done ? parts->iov_len : n - done;
        if (m)
            memcpy(bytes + done, parts->iov_base, m);
    }
    return bytes;
}

static int64_t write_locked(struct disk *d, int fd, const struct iovec *parts, uint32_t n,
                            uint64_t at)
{
    struct disk_node *node = node_of(d, fd);
    const bool failed = d->failures > 0;
    const int fault = fault_of(d, DISK_WRITES);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < n; i++)
        bytes += parts[i].iov_len;
    if (fault && (!d->fault.partly || failed || bytes < 2))
        return fault;
    if (fault)
        bytes = 1 + (d->calls * UINT64_C(0x9e3779b97f4a7c15) >> 33) % (bytes - 1);
    const uint64_t end = size_with_room(d, node, at + bytes);
    if (end <= at && bytes)
        return -ENOSPC;
    bytes = end - at;
    struct disk_op *op = record(d, DISK_OP_WRITE, fd_of(d, fd)->node);
    op->at = at;
    op->n = bytes;
    op->bytes = join(parts, bytes);
    disk_store(node, at, op->bytes, bytes);
    return (int64_t)bytes;
}

int64_t disk_write(struct disk *d, int fd, const struct iovec *parts, uint32_t n, uint64_t at)
{
    pthread_mutex_lock(&d->mutex);
    const int64_t status = write_locked(d, fd, parts, n, at);
    pthread_mutex_unlock(&d->mutex);
    return status;
}

static int set_size(struct disk *d, int fd, uint64_t size, bool shrink)
{
    pthread_mutex_lock(&d->mutex);
    struct disk_node *node = node_of(d, fd);
    int status = fault_of(d, DISK_SIZES);
    if (!status && size_with_room(d, node, size) != size)
        status = -ENOSPC;
    if (!status && (shrink || size > node->size)) {
        record(d, DISK_OP_SIZE, fd_of(d, fd)->node)->n = size;
        disk_set_size(node, size);
    }
    pthread_mutex_unlock(&d->mutex);
    return status;
}

int disk_resize(struct disk *d, int fd, uint64_t size)
{
    return set_size(d, fd, size, true);
}

int disk_allocate(struct disk *d, int fd, uint64_t size)
{
    return set_size(d, fd, size, false);
}

/* Linux marks pages clean although they could not be written: nobody will write them again. */
static void doubt(struct disk *d, uint32_t node)
{
    for (size_t i = d->n_ops; i > 0; i--) {
        struct disk_op *op = &d->ops[i - 1];
        if (op->kind == DISK_OP_SYNC && op->node == node)
            break;
        if ((op->kind == DISK_OP_WRITE || op->kind == DISK_OP_SIZE) && op->node == node)
            op->doubtful = true;
    }
}

int disk_sync(struct disk *d, int fd)
{
    pthread_mutex_lock(&d->mutex);
    const struct disk_fd *f = fd_of(d, fd);
    const int status = fault_of(d, DISK_SYNCS);
    if (!status && f->directory)
        copy_path(record(d, DISK_OP_SYNC_NAMES, f->node)->to, f->path);
    else if (!status)
        (void)record(d, DISK_OP_SYNC, f->node);
    else if (!f->directory && status != -EINTR)
        doubt(d, f->node);
    pthread_mutex_unlock(&d->mutex);
    return status;
}

int disk_rename(struct disk *d, const char *from, const char *to)
{
    pthread_mutex_lock(&d->mutex);
    int status = fault_of(d, DISK_NAMES);
    const struct disk_entry *e = disk_find(&d->state, from);
    if (!status && !e)
        status = -ENOENT;
    if (!status) {
        struct disk_op *op = record(d, DISK_OP_RENAME, e->node);
        op->directory = e->directory;
        copy_path(op->from, from);
        copy_path(op->to, to);
        disk_remove(&d->state, from, op->node);
        disk_link(&d->state, to, op->node, op->directory);
    }
    pthread_mutex_unlock(&d->mutex);
    return status;
}

int disk_unlink(struct disk *d, const char *path)
{
    pthread_mutex_lock(&d->mutex);
    int status = fault_of(d, DISK_NAMES);
    const struct disk_entry *e = disk_find(&d->state, path);
    if (!status && !e)
        status = -ENOENT;
    if (!status) {
        struct disk_op *op = record(d, DISK_OP_UNLINK, e->node);
        copy_path(op->from, path);
        disk_remove(&d->state, path, op->node);
    }
    pthread_mutex_unlock(&d->mutex);
    return status;
}

int64_t disk_size(struct disk *d, int fd)
{
    pthread_mutex_lock(&d->mutex);
    const int fault = fault_of(d, DISK_OPENS);
    const int64_t size = fault ? fault : (int64_t)node_of(d, fd)->size;
    pthread_mutex_unlock(&d->mutex);
    return size;
}

int disk_lock(struct disk *d, int fd)
{
    pthread_mutex_lock(&d->mutex);
    struct disk_fd *f = fd_of(d, fd);
    int status = fault_of(d, DISK_NAMES);
    for (int i = 0; !status && i < DISK_FDS; i++)
        if (i != fd && d->fds[i].used && d->fds[i].locked && d->fds[i].node == f->node)
            status = -EWOULDBLOCK;
    f->locked = !status;
    pthread_mutex_unlock(&d->mutex);
    return status;
}

int disk_list(struct disk *d, const char *path, bool (*visit)(void *, const char *name), void *ctx)
{
    char parent[DISK_PATH];
    const size_t n = strlen(path) + 1;
    pthread_mutex_lock(&d->mutex);
    int status = fault_of(d, DISK_NAMES);
    if (!status && !disk_find(&d->state, path))
        status = -ENOENT;
    for (uint32_t i = 0; !status && i < d->state.n_entries; i++) {
        disk_parent(d->state.entries[i].path, parent);
        if (!strcmp(parent, path) && !visit(ctx, d->state.entries[i].path + n))
            break;
    }
    pthread_mutex_unlock(&d->mutex);
    return status;
}

/* ---- for tests ---- */

uint8_t *disk_copy(struct disk *d, const char *path, size_t *n)
{
    pthread_mutex_lock(&d->mutex);
    const struct disk_entry *e = disk_find(&d->state, path);
    uint8_t *bytes = NULL;
    if (e && !e->directory) {
        const struct disk_node *node = &d->state.nodes[e->node];
        bytes = require(malloc(node->size + 1));
        if (node->size)
            memcpy(bytes, node->bytes, node->size);
        *n = node->size;
    }
    pthread_mutex_unlock(&d->mutex);
    return bytes;
}

void disk_put(struct disk *d, const char *path, const void *bytes, size_t n)
{
    pthread_mutex_lock(&d->mutex);
    if (!disk_find(&d->state, path))
        disk_link(&d->state, path, disk_add_node(&d->state), false);
    struct disk_node *node = &d->state.nodes[disk_find(&d->state, path)->node];
    disk_set_size(node, 0);
    disk_store(node, 0, bytes, n);
    pthread_mutex_unlock(&d->mutex);
    disk_settle(d);
}

void disk_settle(struct disk *d)
{
    pthread_mutex_lock(&d->mutex);
    forget_ops(d);
    disk_state_free(&d->base);
    disk_state_copy(&d->base, &d->state);
    pthread_mutex_unlock(&d->mutex);
}

void disk_fail(struct disk *d, const struct disk_fault *fault)
{
    pthread_mutex_lock(&d->mutex);
    d->fault = *fault;
    d->calls = 0;
    d->failures = 0;
    pthread_mutex_unlock(&d->mutex);
}

uint64_t disk_failures(struct disk *d)
{
    pthread_mutex_lock(&d->mutex);
    const uint64_t n = d->failures;
    pthread_mutex_unlock(&d->mutex);
    return n;
}

void disk_set_room(struct disk *d, uint64_t bytes)
{
    pthread_mutex_lock(&d->mutex);
    d->room = bytes;
    pthread_mutex_unlock(&d->mutex);
}

uint64_t disk_used(struct disk *d)
{
    pthread_mutex_lock(&d->mutex);
    const uint64_t bytes = bytes_used(&d->state);
    pthread_mutex_unlock(&d->mutex);
    return bytes;
}

size_t disk_now(struct disk *d)
{
    pthread_mutex_lock(&d->mutex);
    const size_t n = d->n_ops;
    pthread_mutex_unlock(&d->mutex);
    return n;
}
