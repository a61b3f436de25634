/* A file system in memory whose power can fail. It remembers every operation, so that whatever a
 * crash after any of them could leave behind can be made (disk_crash), and it can fail any call.
 *
 * The model is pessimistic: bytes are on the disk only once their file was synced after they had
 * been written, names only once their directory was. A failed sync leaves what it should have
 * written unsafe for good, although a later one succeeds, as Linux does. Any thread. */
#ifndef SLUICE_TESTS_DISK_H
#define SLUICE_TESTS_DISK_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct disk;

struct disk *disk_create(void);
void disk_destroy(struct disk *);

/* Calls, as the system's. What fails answers -errno. */
int disk_open(struct disk *, const char *path, int flags); /* files, and directories to sync them */
int disk_close(struct disk *, int fd);
int disk_mkdir(struct disk *, const char *path);
int64_t disk_read(struct disk *, int fd, void *to, size_t n, uint64_t at);
int64_t disk_write(struct disk *, int fd, const struct iovec *, uint32_t n, uint64_t at);
int disk_resize(struct disk *, int fd, uint64_t size);
int disk_allocate(struct disk *, int fd, uint64_t size); /* at least; new bytes are zero */
int disk_sync(struct disk *, int fd);
int disk_rename(struct disk *, const char *from, const char *to);
int disk_unlink(struct disk *, const char *path);
int64_t disk_size(struct disk *, int fd);
int disk_lock(struct disk *, int fd); /* -EWOULDBLOCK: another descriptor has it */
/* Calls `visit` for each name in the directory, in no order, until it answers false. */
int disk_list(struct disk *, const char *path, bool (*visit)(void *, const char *name), void *ctx);

/* Copies a file's bytes out, for tests; *n is set. NULL: there is none. The caller frees. */
uint8_t *disk_copy(struct disk *, const char *path, size_t *n);
/* Sets a file's bytes, durably. */
void disk_put(struct disk *, const char *path, const void *bytes, size_t n);
/* Everything that was done is on the disk, and forgotten as operations. */
void disk_settle(struct disk *);

/* ---- faults ---- */

enum disk_call {
    DISK_OPENS = 1,
    DISK_READS = 2,
    DISK_WRITES = 4,
    DISK_SIZES = 8,
    DISK_SYNCS = 16,
    DISK_NAMES = 32, /* mkdir, rename, unlink, list, lock */
    DISK_ALL = 63
};

struct disk_fault {
    uint64_t at;   /* which of the calls from now on fails, counted from 1; 0: none */
    bool goes_on;  /* and all after it */
    bool partly;   /* a failing write writes some of it: the first one succeeds short */
    int error;     /* errno */
    unsigned mask; /* enum disk_call: which calls count, and fail */
};

void disk_fail(struct disk *, const struct disk_fault *);
uint64_t disk_failures(struct disk *); /* calls that have failed since disk_fail */
/* Files may take so many bytes in all; UINT64_MAX: any. */
void disk_set_room(struct disk *, uint64_t bytes);
uint64_t disk_used(struct disk *);

/* ---- crashes ---- */

/* What remains of what was not synced. */
enum disk_keep {
    DISK_KEEP_ALL, /* only the process has ended */
    DISK_KEEP_NONE,
    DISK_KEEP_FIRST, /* up to a sector, in the order in which it was written */
    DISK_KEEP_LAST,  /* from a sector on: the first were the last to be written */
    DISK_KEEP_SOME,  /* each sector by itself */
    DISK_KEEP_ZEROS, /* sizes are there, but of some sectors the bytes are not: zeros */
    DISK_KEEPS
};

struct disk_fate {
    enum disk_keep writes, names; /* of names ZEROS means SOME */
    uint32_t sector;              /* bytes that are written as one: 512, 4096 */
    uint64_t seed;
};

/* How many operations there have been: a position among them. */
size_t disk_now(struct disk *);
/* The disk as found after a crash behind the first `n` operations; no operations yet. */
struct disk *disk_crash(struct disk *, size_t n, const struct disk_fate *);
#endif
