/* The plugin http_loop: see loop.h. It has no component types. Control threads take and give, any
 * thread posts; all of it under a mutex that is held for a few instructions. */
#include "formats/http/loop.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

enum { STACK = 1024 * 1024 }; /* processors run on it; pages that nobody touches cost nothing */

/* One for the process, because that is the point of it: plugins do not know of each other. */
static struct {
    pthread_mutex_t control; /* take and give, one at a time */
    uint32_t users;
    uv_loop_t loop;
    uv_async_t wake;
    pthread_t thread;
    pthread_mutex_t mutex; /* guards the rest */
    http_loop_task *first, **last;
    bool stopping;
} shared = {.control = PTHREAD_MUTEX_INITIALIZER, .mutex = PTHREAD_MUTEX_INITIALIZER};

static void on_wake(uv_async_t *wake)
{
    pthread_mutex_lock(&shared.mutex);
    http_loop_task *task = shared.first;
    shared.first = NULL;
    shared.last = &shared.first;
    const bool stopping = shared.stopping;
    pthread_mutex_unlock(&shared.mutex);
    while (task) {
        http_loop_task *next = task->next; /* the task is gone once it has run */
        task->run(task);
        task = next;
    }
    if (stopping)
        uv_close((uv_handle_t *)wake, NULL);
}

static void *run_loop(void *arg)
{
    (void)arg;
    (void)pthread_setname_np(pthread_self(), "http");
    (void)uv_run(&shared.loop, UV_RUN_DEFAULT); /* until nothing is open on it */
    return NULL;
}

/* Signals are the host's business. */
static int start_thread(void)
{
    pthread_attr_t attr;
    sigset_t all, before;
    int failed = pthread_attr_init(&attr);
    if (failed)
        return failed;
    (void)pthread_attr_setstacksize(&attr, STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&shared.thread, &attr, run_loop, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
    return failed;
}

static int32_t begin(sl_error *error)
{
    int failed = uv_loop_init(&shared.loop);
    if (failed)
        return sl_fail(error, SL_ERR_IO, "cannot make a loop: %s", uv_strerror(failed));
    shared.first = NULL;
    shared.last = &shared.first;
    shared.stopping = false;
    failed = uv_async_init(&shared.loop, &shared.wake, on_wake);
    if (!failed && start_thread() == 0)
        return SL_OK;
    if (!failed) {
        uv_close((uv_handle_t *)&shared.wake, NULL);
        (void)uv_run(&shared.loop, UV_RUN_DEFAULT);
    }
    (void)uv_loop_close(&shared.loop);
    return sl_fail(error, SL_ERR_NOMEM, "cannot start a thread for HTTP");
}

static int32_t take(uv_loop_t **loop, sl_error *error)
{
    pthread_mutex_lock(&shared.control);
    const int32_t status = shared.users ? SL_OK : begin(error);
    if (status == SL_OK) {
        shared.users++;
        *loop = &shared.loop;
    }
    pthread_mutex_unlock(&shared.control);
    return status;
}

static void give(void)
{
    pthread_mutex_lock(&shared.control);
    if (--shared.users == 0) {
        pthread_mutex_lock(&shared.mutex);
        shared.stopping = true;
        (void)uv_async_send(&shared.wake);
        pthread_mutex_unlock(&shared.mutex);
        pthread_join(shared.thread, NULL);
        (void)uv_loop_close(&shared.loop);
    }
    pthread_mutex_unlock(&shared.control);
}

static bool is_here(void)
{
    return pthread_equal(pthread_self(), shared.thread) != 0;
}

static void post(http_loop_task *task)
{
    task->next = NULL;
    pthread_mutex_lock(&shared.mutex);
    const bool first = shared.first == NULL;
    *shared.last = task;
    shared.last = &task->next;
    if (first)
        (void)uv_async_send(&shared.wake);
    pthread_mutex_unlock(&shared.mutex);
}

static const void *interface_of(const char *id)
{
    static const http_loop table = {
        .size = sizeof table, .take = take, .give = give, .is_here = is_here, .post = post};
    return strcmp(id, HTTP_LOOP) == 0 ? &table : NULL;
}

SL_PLUGIN_WITH("0.1.0", interface_of);
