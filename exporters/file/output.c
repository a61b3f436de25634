/* A file of the file exporter: opened, locked, its end looked at after a crash, and looked after:
 * when somebody has renamed or removed it, a new one is opened. Under the exporter's mutex. */
#include "exporters/file/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* How often it is made sure that the path still leads to the open file. */
static const int64_t LOOK_NS = 1000000000;

static int system_openat(int directory, const char *name, int flags, mode_t mode)
{
    return openat(directory, name, flags, mode);
}

const struct file_calls file_calls_of_system = {.openat = system_openat,
                                                .writev = writev,
                                                .ftruncate = ftruncate,
                                                .fdatasync = fdatasync,
                                                .renameat2 = renameat2};

int32_t output_create(struct exporter *e, const char *path, size_t n, const char *rest,
                      struct output **output, sl_error *error)
{
    struct output *o = calloc(1, sizeof *o);
    if (!o || place_init(&o->place, path, n, rest) != SL_OK) {
        free(o);
        return sl_fail(error, SL_ERR_NOMEM, "no memory to open a file");
    }
    o->exporter = e;
    o->fd = -1;
    o->opened = e->append || e->rotating || e->group_by.enabled;
    *output = o;
    return SL_OK;
}

void output_destroy(struct output *o)
{
    if (!o)
        return;
    output_close(o);
    place_deinit(&o->place);
    free(o);
}

/* A socket cannot be opened by its name in /dev, and a stream of the process is not to be emptied:
 * what stands there is used as it is. */
static int open_stream(const char *path, bool *is_stream)
{
    const int stream = strcmp(path, "/dev/stdout") == 0   ? STDOUT_FILENO
                       : strcmp(path, "/dev/stderr") == 0 ? STDERR_FILENO
                                                          : -1;
    *is_stream = stream >= 0;
    if (stream < 0)
        return -1;
    /* a description of our own, where possible, so that O_NONBLOCK is not shared */
    const int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    return fd >= 0 ? fd : fcntl(stream, F_DUPFD_CLOEXEC, 3);
}

static int open_file(struct output *o)
{
    const struct exporter *e = o->exporter;
    const bool careful = o->place.grouped || e->rotating;
    const char *name;
    const int directory =
        place_open_directory(&o->place, e->create_directory ? e->directory_mode : 0, &name);
    if (directory < 0)
        return -1;
    /* not blocking: a pipe that nobody reads must not hold a thread; for reading too, as what a
     * crash has left is looked at; where that is not allowed, such as on a pipe, for writing */
    const int flags =
        O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (careful ? O_NOFOLLOW : 0);
    struct stat st;
    const bool pipe = !fstatat(directory, name, &st, 0) && !S_ISREG(st.st_mode);
    const int fd = e->calls->openat(directory, name, flags | (pipe ? O_WRONLY : O_RDWR), 0600);
    const int failed = errno;
    if (fd >= 0 && e->fsync != FSYNC_NEVER)
        (void)fsync(directory); /* the name is to outlive a crash as the data does */
    (void)close(directory);
    errno = failed;
    return fd;
}

static const char *advice(const struct output *o, int failed)
{
    if (failed == ENOENT && !o->exporter->create_directory)
        return "; make its directory, or set create_directory: true";
    return failed == ELOOP ? "; it is a symbolic link: name the file itself" : "";
}

/* What no waiting mends: another value's file stands where a directory is needed, and the like. */
static bool is_hopeless(const struct output *o, int failed)
{
    return o->place.grouped && (failed == ENAMETOOLONG || failed == ENOTDIR || failed == EISDIR ||
                                failed == ELOOP || failed == EEXIST);
}

/* What a crash has left of an unfinished record goes. */
static int32_t cut_torn_end(struct output *o, sl_error *error)
{
    const struct exporter *e = o->exporter;
    const bool zstd = e->compression == COMPRESSION_ZSTD;
    uint64_t end;
    sl_error why = {.size = sizeof why};
    int32_t status =
        recover_end(o->fd, o->size, zstd || e->format == FORMAT_PROTO, zstd, &end, &why);
    if (status != SL_OK)
        return sl_fail(error, status, "\"%.200s\": %s", o->place.path, why.text);
    if (end == o->size)
        return SL_OK;
    if (e->calls->ftruncate(o->fd, (off_t)end))
        return sl_fail(error, SL_ERR_IO,
                       "\"%.200s\" ends with %llu bytes of an unfinished record, "
                       "which cannot be cut off: %s",
                       o->place.path, (unsigned long long)(o->size - end), strerror(errno));
    sl_log(sl_host_of(e), SL_LOG_WARN,
           "\"%s\" ended with %llu bytes of an unfinished record, which have been cut off",
           o->place.path, (unsigned long long)(o->size - end));
    o->size = end;
    return SL_OK;
}

/* Of a regular file: to be the only writer, and where to go on. */
static int32_t take_over(struct output *o, const struct stat *st, sl_error *error)
{
    const struct exporter *e = o->exporter;
    sl_error why = {.size = sizeof why};
    int32_t status = lock_take(&o->lock, o->fd, st, sl_name(sl_host_of(e)), &why);
    if (status == SL_ERR_UNAVAILABLE)
        o->opened = true; /* it goes on where its forerunner ends: nothing is emptied in a reload */
    if (status != SL_OK)
        return sl_fail(error, status, "\"%.200s\": %s", o->place.path, why.text);
    o->dev = st->st_dev;
    o->ino = st->st_ino;
    o->size = (uint64_t)st->st_size;
    if (!o->opened && lock_first_writer(o->place.path, st)) {
        if (e->calls->ftruncate(o->fd, 0))
            return sl_fail(error, SL_ERR_IO, "cannot empty \"%.200s\": %s", o->place.path,
                           strerror(errno));
        o->size = 0;
    }
    return cut_torn_end(o, error);
}

int32_t output_open(struct output *o, sl_error *error)
{
    struct stat st;
    o->fd = o->place.grouped ? -1 : open_stream(o->place.path, &o->stream);
    if (o->fd < 0)
        o->fd = open_file(o);
    if (o->fd < 0 || fstat(o->fd, &st)) {
        const int failed = errno;
        output_close(o);
        return sl_fail(error, is_hopeless(o, failed) ? SL_ERR_REJECTED : SL_ERR_IO,
                       "cannot open \"%.300s\": %s%s", o->place.path, strerror(failed),
                       advice(o, failed));
    }
    o->regular = S_ISREG(st.st_mode);
    o->torn = 0;
    o->looked_ns = sl_now(sl_host_of(o->exporter));
    const int32_t status = o->regular && !o->stream ? take_over(o, &st, error) : SL_OK;
    if (status == SL_OK)
        o->opened = true;
    else
        output_close(o);
    return status;
}

void output_close(struct output *o)
{
    const struct exporter *e = o->exporter;
    sl_error error = {.size = sizeof error};
    if (o->fd < 0)
        return;
    if (o->dirty && e->fsync != FSYNC_NEVER && output_sync(o, &error) != SL_OK)
        sl_log(sl_host_of(e), SL_LOG_ERROR, "%s", error.text);
    if (close(o->fd) && errno != EINTR)
        sl_log(sl_host_of(e), SL_LOG_ERROR, "closing \"%s\": %s", o->place.path, strerror(errno));
    o->fd = -1;
    lock_release(&o->lock);
}

/* Has somebody renamed or removed the file, as logrotate does? */
static bool has_gone(const struct output *o)
{
    struct stat st;
    return stat(o->place.path, &st) ? errno == ENOENT : st.st_dev != o->dev || st.st_ino != o->ino;
}

int32_t output_ready(struct output *o, sl_error *error)
{
    const int64_t now = sl_now(sl_host_of(o->exporter));
    struct stat st;
    if (o->fd >= 0 && o->regular && !o->stream && now - o->looked_ns >= LOOK_NS) {
        o->looked_ns = now;
        if (has_gone(o)) {
            sl_log(sl_host_of(o->exporter), SL_LOG_INFO,
                   "\"%s\" was renamed or removed; a new one is made", o->place.path);
            output_close(o);
        } else if (!o->torn && fstat(o->fd, &st) == 0) {
            o->size = (uint64_t)st.st_size; /* somebody may have emptied it */
        }
    }
    return o->fd >= 0 ? SL_OK : output_open(o, error);
}

int32_t output_sync(struct output *o, sl_error *error)
{
    o->dirty = false;
    /* EINVAL: a pipe, which no disk keeps */
    if (o->exporter->calls->fdatasync(o->fd) == 0 || errno == EINVAL || errno == EROFS)
        return SL_OK;
    return sl_fail(error, SL_ERR_IO, "syncing \"%.300s\": %s", o->place.path, strerror(errno));
}
