/* The parts of disk.c and disk_crash.c. */
#ifndef SLUICE_TESTS_DISK_INTERNAL_H
#define SLUICE_TESTS_DISK_INTERNAL_H
#include "tests/support/disk.h"
#include <pthread.h>

enum { DISK_PATH = 160, DISK_FDS = 256 };

struct disk_node {
    uint8_t *bytes;
    size_t size, room;
};

struct disk_entry {
    char path[DISK_PATH];
    uint32_t node;
    bool directory;
};

struct disk_state {
    struct disk_node *nodes;
    uint32_t n_nodes, room_nodes;
    struct disk_entry *entries;
    uint32_t n_entries, room_entries;
};

enum disk_op_kind {
    DISK_OP_WRITE,
    DISK_OP_SIZE,
    DISK_OP_SYNC,
    DISK_OP_LINK,   /* path `to` is the node */
    DISK_OP_RENAME, /* `from` is `to` now */
    DISK_OP_UNLINK, /* `from` is gone */
    DISK_OP_SYNC_NAMES
};

struct disk_op {
    enum disk_op_kind kind;
    uint32_t node;
    uint64_t at, n; /* of bytes; n: the size */
    uint8_t *bytes;
    char from[DISK_PATH], to[DISK_PATH]; /* SYNC_NAMES: `to` is the directory */
    bool directory;
    bool doubtful; /* a sync that should have written it has failed */
};

struct disk_fd {
    uint32_t node;
    char path[DISK_PATH];
    bool used, directory, locked;
};

struct disk {
    pthread_mutex_t mutex;
    struct disk_state base, state; /* before the operations, and after */
    struct disk_op *ops;
    size_t n_ops, room_ops;
    struct disk_fd fds[DISK_FDS];
    struct disk_fault fault;
    uint64_t calls, failures;
    uint64_t room;
};

void *disk_grow(void *at, uint32_t n, uint32_t *room, size_t size);
struct disk_entry *disk_find(struct disk_state *, const char *path);
uint32_t disk_add_node(struct disk_state *);
void disk_link(struct disk_state *, const char *path, uint32_t node, bool directory);
void disk_remove(struct disk_state *, const char *path, uint32_t node);
/* Bytes of a node; `bytes` NULL: zeros. */
void disk_store(struct disk_node *, uint64_t at, const uint8_t *bytes, size_t n);
void disk_set_size(struct disk_node *, uint64_t size);
void disk_state_copy(struct disk_state *to, const struct disk_state *);
void disk_state_free(struct disk_state *);
/* The directory of a path, in `out`. */
void disk_parent(const char *path, char *out);
#endif
