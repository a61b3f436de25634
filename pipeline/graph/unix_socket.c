/* See unix_socket.h. Whether somebody listens at a path is found out by connecting to it: there is
 * nothing to be kept in mind, and nothing of another process's is taken for one's own. */
#include "pipeline/graph/unix_socket.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int new_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* Does nobody listen there, where there is a socket? */
static bool is_stale(const struct sockaddr_un *a, socklen_t n)
{
    struct stat st;
    if (lstat(a->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return false;
    const int fd = new_socket();
    if (fd < 0)
        return false;
    const bool stale = connect(fd, (const struct sockaddr *)a, n) != 0 && errno == ECONNREFUSED;
    (void)close(fd);
    return stale;
}

/* Two processes that start at once must not take each other's fresh socket for a stale one: the
 * folder is locked meanwhile, if that can be had without waiting. */
static int lock_folder(const char *path)
{
    char folder[sizeof(struct sockaddr_un)];
    const char *slash = strrchr(path, '/');
    const size_t n = slash == path ? 1 : slash ? (size_t)(slash - path) : 1;
    memcpy(folder, slash ? path : ".", n);
    folder[n] = '\0';
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        (void)flock(fd, LOCK_EX | LOCK_NB);
    return fd;
}

static const char *explain(int error)
{
    return error == EADDRINUSE ? "; another process, or another component of this config, listens "
                                 "there, or it is not a socket"
                               : "";
}

int32_t unix_socket_listen(sl_bytes path, int *fd, sl_error *error)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (path.n == 0 || path.n >= sizeof a.sun_path || memchr(path.p, 0, path.n))
        return sl_fail(error, SL_ERR_INVALID,
                       "endpoint \"%.*s\": with transport unix it is a path of 1 to %zu bytes",
                       (int)(path.n < 300 ? path.n : 300), (const char *)path.p,
                       sizeof a.sun_path - 1);
    memcpy(a.sun_path, path.p, path.n);
    socklen_t n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.n);
    const bool abstract = a.sun_path[0] == '@';
    if (abstract)
        a.sun_path[0] = '\0'; /* not shown in the file system; its length is all that ends it */
    else
        n++;
    const int lock = abstract ? -1 : lock_folder(a.sun_path);
    const int made = new_socket();
    int failed = made < 0 ? errno : 0;
    if (!failed && bind(made, (const struct sockaddr *)&a, n) != 0)
        failed = errno;
    if (failed == EADDRINUSE && !abstract && is_stale(&a, n) && unlink(a.sun_path) == 0)
        failed = bind(made, (const struct sockaddr *)&a, n) != 0 ? errno : 0;
    if (!failed && listen(made, SOMAXCONN) != 0)
        failed = errno;
    if (lock >= 0)
        (void)close(lock);
    if (!failed) {
        *fd = made;
        return SL_OK;
    }
    if (made >= 0)
        (void)close(made);
    return sl_fail(error, SL_ERR_IO, "cannot listen on \"%.*s\": %s%s", (int)path.n,
                   (const char *)path.p, strerror(failed), explain(failed));
}

void unix_socket_close(int fd)
{
    struct sockaddr_un a;
    socklen_t n = sizeof a;
    memset(&a, 0, sizeof a);
    const bool path = getsockname(fd, (struct sockaddr *)&a, &n) == 0 && a.sun_family == AF_UNIX &&
                      a.sun_path[0] != '\0' && n <= sizeof a;
    (void)close(fd);
    if (path && is_stale(&a, n))
        (void)unlink(a.sun_path);
}
