/* The journal's calls on the file system in memory. */
#include "tests/support/disk_journal.h"
#include "tests/support/disk_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The path of a name in an open directory. */
static void join(struct disk *d, int directory, const char *name, char path[DISK_PATH])
{
    const char *parent = "";
    if (directory != JOURNAL_IO_CWD) {
        pthread_mutex_lock(&d->mutex);
        if (!d->fds[directory].used || !d->fds[directory].directory)
            abort();
        parent = d->fds[directory].path; /* does not change while it is open */
        pthread_mutex_unlock(&d->mutex);
    }
    const int n = snprintf(path, DISK_PATH, "%s%s%s", parent, *parent ? "/" : "", name);
    if (n < 0 || n >= DISK_PATH)
        abort();
    if (!strcmp(name, ".."))
        disk_parent(parent, path);
}

static int io_make_directory(void *ctx, int directory, const char *name)
{
    char path[DISK_PATH];
    join(ctx, directory, name, path);
    return disk_mkdir(ctx, path);
}

static int io_open_directory(void *ctx, int directory, const char *name)
{
    char path[DISK_PATH];
    join(ctx, directory, name, path);
    return disk_open(ctx, path, O_DIRECTORY);
}

static int io_open(void *ctx, int directory, const char *name, enum journal_open_mode mode)
{
    static const int flags[] = {[JOURNAL_OPEN_READ] = 0,
                                [JOURNAL_OPEN_WRITE] = 0,
                                [JOURNAL_OPEN_MAKE] = O_CREAT,
                                [JOURNAL_OPEN_NEW] = O_CREAT | O_EXCL};
    char path[DISK_PATH];
    join(ctx, directory, name, path);
    return disk_open(ctx, path, flags[mode]);
}

static int io_close(void *ctx, int fd)
{
    return disk_close(ctx, fd);
}

static ssize_t io_pread(void *ctx, int fd, void *to, size_t n, uint64_t at)
{
    return disk_read(ctx, fd, to, n, at);
}

static ssize_t io_pwritev(void *ctx, int fd, const struct iovec *parts, int n, uint64_t at)
{
    return disk_write(ctx, fd, parts, (uint32_t)n, at);
}

static int io_allocate(void *ctx, int fd, uint64_t bytes)
{
    return disk_allocate(ctx, fd, bytes);
}

static int io_truncate(void *ctx, int fd, uint64_t bytes)
{
    return disk_resize(ctx, fd, bytes);
}

static int io_sync(void *ctx, int fd)
{
    return disk_sync(ctx, fd);
}

static int io_rename(void *ctx, int from_directory, const char *from, int to_directory,
                     const char *to)
{
    char from_path[DISK_PATH], to_path[DISK_PATH];
    join(ctx, from_directory, from, from_path);
    join(ctx, to_directory, to, to_path);
    return disk_rename(ctx, from_path, to_path);
}

static int io_unlink(void *ctx, int directory, const char *name)
{
    char path[DISK_PATH];
    join(ctx, directory, name, path);
    return disk_unlink(ctx, path);
}

enum { NAMES = 256 };

struct names {
    char at[NAMES][DISK_PATH];
    int n;
};

static bool add_name(void *ctx, const char *name)
{
    struct names *names = ctx;
    if (names->n == NAMES)
        abort();
    (void)snprintf(names->at[names->n++], DISK_PATH, "%s", name);
    return true;
}

/* `visit` may itself make calls, so that all names are read before. */
static int io_list(void *ctx, int directory, int (*visit)(void *arg, const char *name), void *arg)
{
    char path[DISK_PATH];
    join(ctx, directory, "", path);
    path[strlen(path) - 1] = 0;
    struct names *names = calloc(1, sizeof *names);
    if (!names)
        return -ENOMEM;
    int result = disk_list(ctx, path, add_name, names);
    for (int i = 0; result == 0 && i < names->n; i++)
        result = visit(arg, names->at[i]);
    free(names);
    return result;
}

static int io_size(void *ctx, int fd, uint64_t *bytes)
{
    const int64_t size = disk_size(ctx, fd);
    if (size < 0)
        return (int)size;
    *bytes = (uint64_t)size;
    return 0;
}

static int io_lock(void *ctx, int fd)
{
    return disk_lock(ctx, fd);
}

struct journal_io disk_journal_io(struct disk *d)
{
    return (struct journal_io){
        .ctx = d,
        .make_directory = io_make_directory,
        .open_directory = io_open_directory,
        .open = io_open,
        .close = io_close,
        .pread = io_pread,
        .pwritev = io_pwritev,
        .allocate = io_allocate,
        .truncate = io_truncate,
        .sync = io_sync,
        .sync_directory = io_sync,
        .rename = io_rename,
        .unlink = io_unlink,
        .list = io_list,
        .size = io_size,
        .lock = io_lock,
    };
}
