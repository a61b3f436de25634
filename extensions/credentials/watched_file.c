/* Looking at a file and reading it; see watched_file.h. */
#include "extensions/credentials/watched_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_NS INT64_C(1000000000)
#define TICK_NS INT64_C(20000000) /* more than one of the kernel's clock, which stamps files */

void watched_file_init(struct watched_file *w, const char *path, size_t max)
{
    *w = (struct watched_file){.path = path, .max = max, .look_ns = INT64_MIN};
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool is_known(const struct watched_file *w, const struct stat *st)
{
    return w->known && w->device == st->st_dev && w->inode == st->st_ino &&
           w->size == st->st_size && same_time(w->modified, st->st_mtim) &&
           same_time(w->changed, st->st_ctim);
}

/* A file that was written just now may be written again in the same tick, which would leave no
 * trace: such a file is read once more. */
static void remember(struct watched_file *w, const struct stat *st)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    const int64_t age = (int64_t)(now.tv_sec - st->st_ctim.tv_sec) * 1000000000 +
                        (now.tv_nsec - st->st_ctim.tv_nsec);
    w->known = age > TICK_NS;
    w->device = st->st_dev;
    w->inode = st->st_ino;
    w->size = st->st_size;
    w->modified = st->st_mtim;
    w->changed = st->st_ctim;
}

static int32_t read_all(struct watched_file *w, int fd, char **text, size_t *n, sl_error *error)
{
    char *at = malloc(w->max + 1);
    size_t used = 0;
    if (!at)
        return sl_fail(error, SL_ERR_NOMEM, "no memory to read \"%s\"", w->path);
    for (;;) {
        const ssize_t got = read(fd, at + used, w->max + 1 - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 || used + (size_t)got > w->max) {
            const int failed = errno;
            secret_free(at, used);
            return got < 0 ? sl_fail(error, SL_ERR_IO, "cannot read \"%s\": %s", w->path,
                                     strerror(failed))
                           : sl_fail(error, SL_ERR_TOO_LARGE, "\"%s\" has more than %zu bytes",
                                     w->path, w->max);
        }
        if (got == 0)
            break;
        used += (size_t)got;
    }
    at[used] = 0;
    *text = at;
    *n = used;
    return SL_OK;
}

static int32_t read_file(struct watched_file *w, char **text, size_t *n, sl_error *error)
{
    struct stat st;
    /* Non-blocking, so that a pipe in its place cannot hold up whoever asks. */
    const int fd = open(w->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0) {
        const int failed = errno;
        if (fd >= 0)
            (void)close(fd);
        return sl_fail(error, SL_ERR_IO, "cannot open \"%s\": %s", w->path, strerror(failed));
    }
    int32_t status = SL_OK;
    if (!S_ISREG(st.st_mode))
        status = sl_fail(error, SL_ERR_IO, "\"%s\" is not a regular file", w->path);
    else
        status = read_all(w, fd, text, n, error);
    (void)close(fd);
    if (status == SL_OK)
        remember(w, &st);
    return status;
}

enum watched_news watched_file_look(struct watched_file *w, int64_t now_ns, char **text, size_t *n,
                                    sl_error *error)
{
    struct stat st;
    *text = NULL;
    *n = 0;
    if (now_ns < w->look_ns)
        return WATCHED_SAME;
    w->look_ns = now_ns + LOOK_NS;
    if (stat(w->path, &st) == 0 && is_known(w, &st)) {
        w->failing = false;
        return WATCHED_SAME;
    }
    if (read_file(w, text, n, error) == SL_OK) {
        w->failing = false;
        return WATCHED_CHANGED;
    }
    const bool is_news = !w->failing;
    w->failing = true;
    return is_news ? WATCHED_FAILED : WATCHED_SAME;
}

void watched_file_forget(struct watched_file *w)
{
    w->known = false;
}

/* ---- secrets ---- */

void secret_free(char *text, size_t n)
{
    if (text)
        explicit_bzero(text, n);
    free(text);
}

bool secret_equal(sl_bytes a, sl_bytes b)
{
    volatile uint8_t differ = a.n != b.n;
    for (size_t i = 0; i < a.n && i < b.n; i++)
        differ |= (uint8_t)(a.p[i] ^ b.p[i]);
    return differ == 0;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

sl_bytes secret_trim(sl_bytes t)
{
    while (t.n > 0 && is_space(t.p[0])) {
        t.p++;
        t.n--;
    }
    while (t.n > 0 && is_space(t.p[t.n - 1]))
        t.n--;
    return t;
}
