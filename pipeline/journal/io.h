/* The system calls of a journal. All its input and output goes through one table, so that tests can
 * record it, let it fail and cut it off anywhere. Calls return 0 or more, or a negative errno; they
 * may be interrupted (-EINTR) and may do less than asked for: journal_read and journal_write below
 * go on then. Any thread. */
#ifndef SLUICE_PIPELINE_JOURNAL_IO_H
#define SLUICE_PIPELINE_JOURNAL_IO_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

enum { JOURNAL_IO_CWD = -1 }; /* as `directory`: paths are relative to the working directory */

enum journal_open_mode {
    JOURNAL_OPEN_READ,
    JOURNAL_OPEN_WRITE, /* and read; it is there */
    JOURNAL_OPEN_MAKE,  /* and read; it is made where it is missing, mode 0600 */
    JOURNAL_OPEN_NEW    /* and read; it is made; -EEXIST where it is there */
};

struct journal_io {
    void *ctx; /* the first argument of every call */
    int (*make_directory)(void *, int directory, const char *name); /* mode 0700 */
    int (*open_directory)(void *, int directory, const char *name);
    /* Never follows a symbolic link, never is inherited by another program. */
    int (*open)(void *, int directory, const char *name, enum journal_open_mode);
    int (*close)(void *, int fd);
    ssize_t (*pread)(void *, int fd, void *, size_t, uint64_t at);
    ssize_t (*pwritev)(void *, int fd, const struct iovec *, int n, uint64_t at);
    /* Makes the file `bytes` long and gives it all its room on the disk; what is new reads as zero. */
    int (*allocate)(void *, int fd, uint64_t bytes);
    int (*truncate)(void *, int fd, uint64_t bytes);
    int (*sync)(void *, int fd); /* fdatasync */
    int (*sync_directory)(void *, int directory);
    int (*rename)(void *, int from_directory, const char *from, int to_directory, const char *to);
    int (*unlink)(void *, int directory, const char *name);
    /* Every name in it but "." and ".."; ends with the first result of `visit` that is not 0. */
    int (*list)(void *, int directory, int (*visit)(void *arg, const char *name), void *arg);
    int (*size)(void *, int fd, uint64_t *bytes);
    int (*lock)(void *, int fd); /* for this open file alone; -EWOULDBLOCK: another has it */
};

extern const struct journal_io journal_io_posix;

/* Reads `n` bytes; returns how many there were before the end of the file, or a negative errno. */
ssize_t journal_read(const struct journal_io *, int fd, void *, size_t n, uint64_t at);
/* Writes all of it, and changes the array as it goes. 0, or a negative errno: some of it may have
 * been written. */
int journal_write_all(const struct journal_io *, int fd, struct iovec *, int n, uint64_t at);
/* Syncs, also when interrupted. 0, or a negative errno: what was written since the last sync may be
 * on the disk or not, and no later sync says which. */
int journal_sync(const struct journal_io *, int fd);
#endif
