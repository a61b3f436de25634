/* The plugin grpc_loop: see loop.h. It has no component types. Control threads take and give, under
 * a mutex; the loop's own threads run events. */
#include "formats/grpc/loop.h"

#include <grpc/support/log.h>
#include <grpc/support/time.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS_MAX = 16 };

/* One for the process, because that is the point of it: plugins do not know of each other. */
static struct {
    pthread_mutex_t mutex;
    uint32_t users, threads;
    grpc_completion_queue *queue;
    pthread_t thread[THREADS_MAX];
} shared = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void *poll_queue(void *arg)
{
    grpc_completion_queue *queue = arg;
    for (;;) {
        const grpc_event e =
            grpc_completion_queue_next(queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        if (e.type == GRPC_QUEUE_SHUTDOWN)
            return NULL;
        grpc_loop_event *event = e.tag;
#ifdef __SANITIZE_THREAD__
        __tsan_acquire(event); /* see grpc_loop_hand_over */
#endif
        event->run(event, e.success != 0);
    }
}

/* Signals are the host's business. */
static int start_thread(void)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed =
        pthread_create(&shared.thread[shared.threads], NULL, poll_queue, shared.queue);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!failed)
        (void)pthread_setname_np(shared.thread[shared.threads++], "grpc");
    return failed;
}

static void end(void)
{
    grpc_completion_queue_shutdown(shared.queue);
    while (shared.threads > 0)
        pthread_join(shared.thread[--shared.threads], NULL);
    grpc_completion_queue_destroy(shared.queue);
    shared.queue = NULL;
    grpc_shutdown();
}

static int32_t take(uint32_t threads, grpc_completion_queue **queue, sl_error *error)
{
    int failed = 0;
    if (threads < 1 || threads > THREADS_MAX)
        return sl_fail(error, SL_ERR_INVALID, "1 to %d threads can poll gRPC, not %u", THREADS_MAX,
                       threads);
    pthread_mutex_lock(&shared.mutex);
    if (shared.users == 0) {
        /* what peers do wrong is said by statuses; the core's own lines have no bound and no form */
        if (!getenv("GRPC_VERBOSITY"))
            gpr_set_log_verbosity((gpr_log_severity)(GPR_LOG_SEVERITY_ERROR + 1));
        grpc_init();
        shared.queue = grpc_completion_queue_create_for_next(NULL);
    }
    while (shared.threads < threads && !failed)
        failed = start_thread();
    if (!failed) {
        shared.users++;
        *queue = shared.queue;
    } else if (shared.users == 0) {
        end();
    }
    pthread_mutex_unlock(&shared.mutex);
    return failed ? sl_fail(error, SL_ERR_NOMEM, "cannot start a thread for gRPC: %s",
                            strerror(failed))
                  : SL_OK;
}

static void give(void)
{
    pthread_mutex_lock(&shared.mutex);
    if (--shared.users == 0)
        end();
    pthread_mutex_unlock(&shared.mutex);
}

static const void *interface_of(const char *id)
{
    static const grpc_loop table = {.size = sizeof table, .take = take, .give = give};
    return strcmp(id, GRPC_LOOP) == 0 ? &table : NULL;
}

SL_PLUGIN_WITH("0.1.0", interface_of);
