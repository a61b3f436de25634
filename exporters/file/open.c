/* Opens and closes the file exporter's file. Control thread. */
#include "exporters/file/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Makes the directories that the path names, from the top. `path` is written to and restored. */
static int make_directories(char *path, unsigned mode)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        const int failed = mkdir(path, (mode_t)mode) && errno != EEXIST;
        *slash = '/';
        if (failed)
            return errno;
    }
    return 0;
}

/* A socket cannot be opened by its name in /dev, and a stream of the process is not to be emptied:
 * what stands there is used as it is. */
static int open_stream(const char *path)
{
    const int stream = strcmp(path, "/dev/stdout") == 0   ? STDOUT_FILENO
                       : strcmp(path, "/dev/stderr") == 0 ? STDERR_FILENO
                                                          : -1;
    if (stream < 0)
        return -1;
    /* a description of our own, where possible, so that O_NONBLOCK is not shared */
    const int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    return fd >= 0 ? fd : fcntl(stream, F_DUPFD_CLOEXEC, 3);
}

int32_t output_open(const struct exporter *e, struct output **output, sl_error *error)
{
    struct output *o = calloc(1, sizeof *o);
    char *path = malloc(e->path.n + 1);
    unsigned mode;
    int failed = 0;
    if (!o || !path) {
        free(o);
        free(path);
        return sl_fail(error, SL_ERR_NOMEM, "no memory to open a file");
    }
    memcpy(path, e->path.p, e->path.n);
    path[e->path.n] = '\0';
    if (e->create_directory && exporter_permissions(e->directory_permissions, &mode))
        failed = make_directories(path, mode);
    o->fd = failed ? -1 : open_stream(path);
    if (!failed && o->fd < 0) /* not blocking: a pipe that nobody reads must not hold a thread */
        o->fd = open(path,
                     O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY |
                         (e->append ? 0 : O_TRUNC),
                     0600);
    struct stat st;
    if (!failed && (o->fd < 0 || fstat(o->fd, &st)))
        failed = errno;
    if (failed) {
        const int32_t status =
            sl_fail(error, SL_ERR_IO, "cannot open \"%.300s\": %s%s", path, strerror(failed),
                    failed == ENOENT && !e->create_directory
                        ? "; make its directory, or set create_directory: true"
                        : "");
        if (o->fd >= 0)
            close(o->fd);
        free(o);
        free(path);
        return status;
    }
    o->regular = S_ISREG(st.st_mode);
    o->host = sl_host_of(e);
    o->path = path;
    pthread_mutex_init(&o->mutex, NULL);
    *output = o;
    return SL_OK;
}

void output_close(struct output *o)
{
    if (close(o->fd) && errno != EINTR)
        sl_log(o->host, SL_LOG_ERROR, "closing \"%s\": %s", o->path, strerror(errno));
    for (size_t i = 0; i < SIGNALS; i++)
        json_schema_destroy(o->schemas[i]);
    pthread_mutex_destroy(&o->mutex);
    free((void *)(uintptr_t)o->path);
    free(o);
}
