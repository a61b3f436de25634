/* A file has one writer: two would write into each other's records. The kernel's lock keeps other
 * processes away; the list below tells which component of this process holds one, for the message,
 * and because after a reload a component's forerunner may still have to write what it holds. */
#include "exporters/file/file.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>

/* A file that a component of this process has written: one an exporter, and kept until the end. */
struct written {
    struct written *next;
    dev_t dev;
    ino_t ino;
    char path[]; /* too, since numbers of removed files are used again */
};

/* File scope, since the two components of a reload share nothing else. */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t released;
    struct lock *first;
    struct written *written;
} shared = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, NULL};

int32_t lock_take(struct lock *lock, int fd, const struct stat *st, const char *component,
                  sl_error *error)
{
    int32_t status = SL_OK;
    pthread_mutex_lock(&shared.mutex);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        *lock = (struct lock){
            .next = shared.first, .component = component, .dev = st->st_dev, .ino = st->st_ino};
        shared.first = lock;
    } else if (errno != EWOULDBLOCK) {
        status = sl_fail(error, SL_ERR_IO, "cannot lock it: %s", strerror(errno));
    } else {
        const struct lock *holder = shared.first;
        while (holder && (holder->dev != st->st_dev || holder->ino != st->st_ino))
            holder = holder->next;
        if (holder && strcmp(holder->component, component) == 0)
            status = sl_fail(error, SL_ERR_UNAVAILABLE,
                             "\"%.100s\" as it was before the reload still writes it", component);
        else if (holder)
            status = sl_fail(error, SL_ERR_STATE,
                             "exporter \"%.100s\" writes it too; use one exporter for both, or "
                             "two files",
                             holder->component);
        else
            status = sl_fail(error, SL_ERR_STATE, "another process writes it");
    }
    pthread_mutex_unlock(&shared.mutex);
    return status;
}

bool lock_first_writer(const char *path, const struct stat *st)
{
    const size_t n = strlen(path) + 1;
    pthread_mutex_lock(&shared.mutex);
    struct written *at = shared.written;
    while (at && (at->dev != st->st_dev || at->ino != st->st_ino || strcmp(at->path, path) != 0))
        at = at->next;
    struct written *made = at ? NULL : malloc(sizeof *made + n);
    if (made) {
        made->next = shared.written;
        made->dev = st->st_dev;
        made->ino = st->st_ino;
        memcpy(made->path, path, n);
        shared.written = made;
    }
    pthread_mutex_unlock(&shared.mutex);
    return made != NULL;
}

/* The descriptor is closed before, which ends the kernel's lock. */
void lock_release(struct lock *lock)
{
    pthread_mutex_lock(&shared.mutex);
    struct lock **at = &shared.first;
    while (*at && *at != lock)
        at = &(*at)->next;
    if (*at)
        *at = lock->next;
    pthread_cond_broadcast(&shared.released);
    pthread_mutex_unlock(&shared.mutex);
}

void lock_wait(int64_t ns)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    const int64_t at = until.tv_nsec + ns;
    until.tv_sec += at / 1000000000;
    until.tv_nsec = at % 1000000000;
    pthread_mutex_lock(&shared.mutex);
    (void)pthread_cond_timedwait(&shared.released, &shared.mutex, &until);
    pthread_mutex_unlock(&shared.mutex);
}

void lock_wake(void)
{
    pthread_mutex_lock(&shared.mutex);
    pthread_cond_broadcast(&shared.released);
    pthread_mutex_unlock(&shared.mutex);
}
