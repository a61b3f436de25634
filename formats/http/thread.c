/* A thread with a loop and an HTTP server, or such a server on the shared loop. [control] starts,
 * drains and stops it; the rest runs on the loop's thread. */
#include "formats/http/thread.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

enum { STACK = 512 * 1024 }; /* pages that nobody touches cost nothing */

enum phase { PHASE_STARTING, PHASE_RUNNING, PHASE_FAILED };

struct http_thread {
    const http_loop *shared; /* NULL: the loop is its own */
    uv_loop_t *loop, own;
    http_loop_task begin;
    uv_async_t command;
    struct http_server *server;
    struct http_handler handler;
    struct http_limits limits;
    struct tls_security security;
    int fd;
    char name[16];
    pthread_t thread;

    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t changed;
    enum phase phase;
    bool drain, stop; /* wanted */
    bool drain_begun, drained, stop_begun;
    bool ended; /* nothing of it is open on the loop any more */
    int32_t status;
    sl_error error;
};

static void on_drained(void *ctx)
{
    struct http_thread *t = (struct http_thread *)ctx;
    pthread_mutex_lock(&t->lock);
    t->drained = true;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

static void on_command_closed(uv_handle_t *command)
{
    struct http_thread *t = (struct http_thread *)command->data;
    pthread_mutex_lock(&t->lock);
    t->ended = true;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

/* The last thing of the server's; then the last thing of all. */
static void on_server_closed(void *ctx)
{
    struct http_thread *t = (struct http_thread *)ctx;
    uv_close((uv_handle_t *)&t->command, on_command_closed);
}

static void on_command(uv_async_t *command)
{
    struct http_thread *t = (struct http_thread *)command->data;
    pthread_mutex_lock(&t->lock);
    bool drain = t->drain && !t->drain_begun && !t->stop;
    bool stop = t->stop && !t->stop_begun;
    t->drain_begun = t->drain_begun || drain;
    t->stop_begun = t->stop_begun || stop;
    pthread_mutex_unlock(&t->lock);
    if (drain)
        http_server_drain(t->server, on_drained, t);
    if (stop)
        http_server_close(t->server, on_server_closed, t);
}

static int32_t set_up(struct http_thread *t, sl_error *error)
{
    t->command.data = t;
    int failed = uv_async_init(t->loop, &t->command, on_command);
    if (failed) {
        t->ended = true;
        return sl_fail(error, SL_ERR_IO, "cannot set up a thread's loop: %s", uv_strerror(failed));
    }
    int32_t status = http_server_create(t->loop, &t->handler, &t->limits, &t->server, error);
    if (status != SL_OK) {
        on_server_closed(t);
        return status;
    }
    http_server_secure(t->server, &t->security);
    status = http_server_listen(t->server, t->fd, error);
    if (status != SL_OK)
        http_server_close(t->server, on_server_closed, t);
    return status;
}

static void begin(struct http_thread *t)
{
    int32_t status = set_up(t, &t->error);
    pthread_mutex_lock(&t->lock);
    t->status = status;
    t->phase = status == SL_OK ? PHASE_RUNNING : PHASE_FAILED;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

static void begin_posted(http_loop_task *task)
{
    begin((struct http_thread *)(void *)((uint8_t *)task - offsetof(struct http_thread, begin)));
}

static void *thread_run(void *arg)
{
    struct http_thread *t = (struct http_thread *)arg;
    (void)pthread_setname_np(pthread_self(), t->name);
    begin(t);
    (void)uv_run(t->loop, UV_RUN_DEFAULT); /* until nothing is open on it */
    return NULL;
}

/* Waits until nothing of it is left on the loop, and frees it. */
static void thread_free(struct http_thread *t)
{
    pthread_mutex_lock(&t->lock);
    while (!t->ended)
        (void)pthread_cond_wait(&t->changed, &t->lock);
    pthread_mutex_unlock(&t->lock);
    if (!t->shared) {
        (void)pthread_join(t->thread, NULL);
        (void)uv_loop_close(t->loop);
    }
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

static int32_t thread_create(struct http_thread *t)
{
    pthread_attr_t attr;
    sigset_t all, before;
    if (pthread_attr_init(&attr) != 0)
        return SL_ERR_NOMEM;
    (void)pthread_attr_setstacksize(&attr, STACK);
    (void)sigfillset(&all); /* signals are for the host's own threads */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&t->thread, &attr, thread_run, t);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
    return failed ? SL_ERR_NOMEM : SL_OK;
}

static struct http_thread *prepare(const struct http_handler *handler,
                                   const struct http_limits *limits, int fd,
                                   const struct tls_security *security)
{
    struct http_thread *t = (struct http_thread *)calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->loop = &t->own;
    t->handler = *handler;
    t->limits = *limits;
    t->fd = fd;
    if (security)
        t->security = *security;
    t->error.size = sizeof t->error;
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&t->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    (void)pthread_mutex_init(&t->lock, NULL);
    return t;
}

/* Of what `begin` has done. */
static int32_t wait_begun(struct http_thread *t, struct http_thread **out, sl_error *error)
{
    pthread_mutex_lock(&t->lock);
    while (t->phase == PHASE_STARTING)
        (void)pthread_cond_wait(&t->changed, &t->lock);
    pthread_mutex_unlock(&t->lock);
    if (t->phase == PHASE_FAILED) {
        int32_t status = sl_fail(error, t->status, "%s", t->error.text);
        thread_free(t);
        return status;
    }
    *out = t;
    return SL_OK;
}

int32_t http_thread_start(const struct http_handler *handler, const struct http_limits *limits,
                          int fd, const struct tls_security *security, const char *name,
                          struct http_thread **out, sl_error *error)
{
    struct http_thread *t = prepare(handler, limits, fd, security);
    if (!t)
        return sl_fail(error, SL_ERR_NOMEM, "no memory for an HTTP server");
    (void)snprintf(t->name, sizeof t->name, "%s", name);
    int failed = uv_loop_init(&t->own);
    if (failed || thread_create(t) != SL_OK) {
        if (!failed)
            (void)uv_loop_close(&t->own);
        pthread_cond_destroy(&t->changed);
        pthread_mutex_destroy(&t->lock);
        free(t);
        return failed ? sl_fail(error, SL_ERR_IO, "cannot make a thread's loop: %s",
                                uv_strerror(failed))
                      : sl_fail(error, SL_ERR_NOMEM, "cannot start a thread");
    }
    return wait_begun(t, out, error);
}

int32_t http_thread_start_on(const http_loop *shared, const struct http_handler *handler,
                             const struct http_limits *limits, int fd,
                             const struct tls_security *security, struct http_thread **out,
                             sl_error *error)
{
    struct http_thread *t = prepare(handler, limits, fd, security);
    if (!t)
        return sl_fail(error, SL_ERR_NOMEM, "no memory for an HTTP server");
    int32_t status = shared->take(&t->loop, error);
    if (status != SL_OK) {
        pthread_cond_destroy(&t->changed);
        pthread_mutex_destroy(&t->lock);
        free(t);
        return status;
    }
    t->shared = shared;
    t->begin.run = begin_posted;
    shared->post(&t->begin);
    status = wait_begun(t, out, error);
    if (status != SL_OK)
        shared->give();
    return status;
}

bool http_thread_drain(struct http_thread *t, uint64_t wait_ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    if (wait_ms > UINT32_MAX)
        wait_ms = UINT32_MAX;
    until.tv_sec += (time_t)(wait_ms / 1000);
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&t->lock);
    t->drain = true;
    (void)uv_async_send(&t->command);
    int waited = 0;
    while (!t->drained && waited != ETIMEDOUT)
        waited = pthread_cond_timedwait(&t->changed, &t->lock, &until);
    bool drained = t->drained;
    pthread_mutex_unlock(&t->lock);
    return drained;
}

void http_thread_stop(struct http_thread *t)
{
    if (!t)
        return;
    const http_loop *shared = t->shared;
    pthread_mutex_lock(&t->lock);
    t->stop = true;
    (void)uv_async_send(&t->command);
    pthread_mutex_unlock(&t->lock);
    thread_free(t);
    if (shared)
        shared->give();
}
