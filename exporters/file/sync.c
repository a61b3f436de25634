/* With fsync: interval, a thread that sleeps until something was written, and flush_interval later
 * hands it to the disk. It wakes for nothing else. */
#include "exporters/file/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct syncer {
    struct exporter *exporter;
    pthread_t thread;
    pthread_cond_t noted; /* with the exporter's mutex, as is the rest */
    bool due, stopping;
};

enum { AT_ONCE = 64 };

struct batch {
    int fds[AT_ONCE];
    uint32_t n;
    bool more;
};

/* A descriptor of its own, so that the file may be written to, and closed, in the meantime. */
static void collect(void *ctx, struct output *o)
{
    struct batch *b = ctx;
    if (!o->dirty || o->fd < 0)
        return;
    const int fd = b->n < AT_ONCE ? fcntl(o->fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (fd < 0) {
        b->more = true;
        return;
    }
    o->dirty = false;
    b->fds[b->n++] = fd;
}

/* Mutex held; released while the disk works. */
static void sync_all(struct syncer *s)
{
    struct exporter *e = s->exporter;
    struct batch b;
    do {
        b = (struct batch){.n = 0};
        if (e->output)
            collect(&b, e->output);
        if (e->files)
            files_each(e->files, collect, &b);
        pthread_mutex_unlock(&e->mutex);
        for (uint32_t i = 0; i < b.n; i++) {
            if (e->calls->fdatasync(b.fds[i]) && errno != EINVAL && errno != EROFS)
                sl_log(sl_host_of(e), SL_LOG_ERROR,
                       "syncing a file failed, so the disk may lack what was written to it: %s",
                       strerror(errno));
            (void)close(b.fds[i]);
        }
        pthread_mutex_lock(&e->mutex);
    } while (b.more && b.n > 0);
}

static void *run(void *arg)
{
    struct syncer *s = arg;
    struct exporter *e = s->exporter;
    const int64_t interval = e->flush_interval ? e->flush_interval : INT64_C(1000000000);
    pthread_mutex_lock(&e->mutex);
    while (!s->stopping) {
        if (!s->due) {
            pthread_cond_wait(&s->noted, &e->mutex);
            continue;
        }
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        const int64_t at = until.tv_nsec + interval;
        until.tv_sec += at / 1000000000;
        until.tv_nsec = at % 1000000000;
        while (!s->stopping && pthread_cond_timedwait(&s->noted, &e->mutex, &until) == 0)
            ;
        s->due = false;
        sync_all(s);
    }
    pthread_mutex_unlock(&e->mutex);
    return NULL;
}

int32_t syncer_start(struct exporter *e, sl_error *error)
{
    struct syncer *s = calloc(1, sizeof *s);
    pthread_condattr_t attr;
    if (!s)
        return sl_fail(error, SL_ERR_NOMEM, "no memory to sync files");
    s->exporter = e;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&s->noted, &attr);
    (void)pthread_condattr_destroy(&attr);
    const int failed = pthread_create(&s->thread, NULL, run, s);
    if (failed) {
        pthread_cond_destroy(&s->noted);
        free(s);
        return sl_fail(error, SL_ERR_NOMEM, "no thread to sync files: %s", strerror(failed));
    }
    pthread_mutex_lock(&e->mutex);
    e->syncer = s;
    pthread_mutex_unlock(&e->mutex);
    return SL_OK;
}

void syncer_note(struct syncer *s)
{
    if (!s->due) {
        s->due = true;
        pthread_cond_signal(&s->noted);
    }
}

void syncer_stop(struct exporter *e)
{
    struct syncer *s = e->syncer;
    if (!s)
        return;
    pthread_mutex_lock(&e->mutex);
    e->syncer = NULL;
    s->stopping = true;
    pthread_cond_signal(&s->noted);
    pthread_mutex_unlock(&e->mutex);
    (void)pthread_join(s->thread, NULL);
    pthread_cond_destroy(&s->noted);
    free(s);
}
