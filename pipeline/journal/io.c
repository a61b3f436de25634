/* The table over the system's calls, and what holds for every table. */
#include "pipeline/journal/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int at_of(int directory)
{
    return directory == JOURNAL_IO_CWD ? AT_FDCWD : directory;
}

static int result_of(int result)
{
    return result < 0 ? -errno : result;
}

static int posix_make_directory(void *ctx, int directory, const char *name)
{
    (void)ctx;
    return result_of(mkdirat(at_of(directory), name, 0700));
}

static int posix_open_directory(void *ctx, int directory, const char *name)
{
    (void)ctx;
    return result_of(openat(at_of(directory), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static int posix_open(void *ctx, int directory, const char *name, enum journal_open_mode mode)
{
    static const int flags[] = {[JOURNAL_OPEN_READ] = O_RDONLY,
                                [JOURNAL_OPEN_WRITE] = O_RDWR,
                                [JOURNAL_OPEN_MAKE] = O_RDWR | O_CREAT,
                                [JOURNAL_OPEN_NEW] = O_RDWR | O_CREAT | O_EXCL};
    (void)ctx;
    /* not blocking: a pipe under a segment's name must not hold the start */
    const int fd = openat(at_of(directory), name,
                          flags[mode] | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0600);
    struct stat st;
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        return fd;
    (void)close(fd);
    return -EINVAL;
}

static int posix_close(void *ctx, int fd)
{
    (void)ctx;
    return result_of(close(fd));
}

static ssize_t posix_pread(void *ctx, int fd, void *to, size_t n, uint64_t at)
{
    (void)ctx;
    const ssize_t got = pread(fd, to, n, (off_t)at);
    return got < 0 ? -errno : got;
}

static ssize_t posix_pwritev(void *ctx, int fd, const struct iovec *parts, int n, uint64_t at)
{
    (void)ctx;
    const ssize_t put = pwritev(fd, parts, n, (off_t)at);
    return put < 0 ? -errno : put;
}

static int posix_allocate(void *ctx, int fd, uint64_t bytes)
{
    (void)ctx;
    if (fallocate(fd, 0, 0, (off_t)bytes) == 0)
        return 0;
    /* a file system that cannot: the room is found when it is written */
    if (errno != EOPNOTSUPP && errno != ENOSYS)
        return -errno;
    return result_of(ftruncate(fd, (off_t)bytes));
}

static int posix_truncate(void *ctx, int fd, uint64_t bytes)
{
    (void)ctx;
    return result_of(ftruncate(fd, (off_t)bytes));
}

static int posix_sync(void *ctx, int fd)
{
    (void)ctx;
    return result_of(fdatasync(fd));
}

static int posix_sync_directory(void *ctx, int directory)
{
    (void)ctx;
    return result_of(fsync(directory));
}

static int posix_rename(void *ctx, int from_directory, const char *from, int to_directory,
                        const char *to)
{
    (void)ctx;
    return result_of(renameat(from_directory, from, to_directory, to));
}

static int posix_unlink(void *ctx, int directory, const char *name)
{
    (void)ctx;
    return result_of(unlinkat(directory, name, 0));
}

static int posix_list(void *ctx, int directory, int (*visit)(void *arg, const char *name),
                      void *arg)
{
    (void)ctx;
    const int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    DIR *names = fdopendir(fd);
    if (!names) {
        const int failed = errno;
        (void)close(fd);
        return -failed;
    }
    int result = 0;
    while (result == 0) {
        errno = 0;
        const struct dirent *entry = readdir(names);
        if (!entry) {
            result = -errno;
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            result = visit(arg, entry->d_name);
    }
    (void)closedir(names);
    return result;
}

static int posix_size(void *ctx, int fd, uint64_t *bytes)
{
    struct stat st;
    (void)ctx;
    if (fstat(fd, &st))
        return -errno;
    *bytes = (uint64_t)st.st_size;
    return 0;
}

static int posix_lock(void *ctx, int fd)
{
    (void)ctx;
    return result_of(flock(fd, LOCK_EX | LOCK_NB));
}

const struct journal_io journal_io_posix = {
    .make_directory = posix_make_directory,
    .open_directory = posix_open_directory,
    .open = posix_open,
    .close = posix_close,
    .pread = posix_pread,
    .pwritev = posix_pwritev,
    .allocate = posix_allocate,
    .truncate = posix_truncate,
    .sync = posix_sync,
    .sync_directory = posix_sync_directory,
    .rename = posix_rename,
    .unlink = posix_unlink,
    .list = posix_list,
    .size = posix_size,
    .lock = posix_lock,
};

ssize_t journal_read(const struct journal_io *io, int fd, void *to, size_t n, uint64_t at)
{
    size_t done = 0;
    while (done < n) {
        const ssize_t got = io->pread(io->ctx, fd, (uint8_t *)to + done, n - done, at + done);
        if (got == -EINTR)
            continue;
        if (got < 0)
            return got;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

int journal_write_all(const struct journal_io *io, int fd, struct iovec *parts, int n, uint64_t at)
{
    while (n > 0) {
        if (parts->iov_len == 0) {
            parts++;
            n--;
            continue;
        }
        const ssize_t put = io->pwritev(io->ctx, fd, parts, n < IOV_MAX ? n : IOV_MAX, at);
        if (put == -EINTR)
            continue;
        if (put <= 0)
            return put < 0 ? (int)put : -EIO;
        at += (uint64_t)put;
        for (size_t left = (size_t)put; left > 0;) {
            const size_t some = left < parts->iov_len ? left : parts->iov_len;
            parts->iov_base = (uint8_t *)parts->iov_base + some;
            parts->iov_len -= some;
            left -= some;
            if (parts->iov_len == 0) {
                parts++;
                n--;
            }
        }
    }
    return 0;
}

int journal_sync(const struct journal_io *io, int fd)
{
    int result;
    do
        result = io->sync(io->ctx, fd);
    while (result == -EINTR);
    return result < 0 ? result : 0;
}
