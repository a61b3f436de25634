/* A small thread pool. Any thread. */
#include "pipeline/graph/workers.h"
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct job {
    struct job *next;
    void (*work)(void *);
    void *arg;
};

struct workers {
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    struct job *first, *last;
    uint32_t n, idle, max;
    uint32_t queued; /* an idle thread that was woken counts as idle until it runs */
    bool stopping;
    pthread_t threads[];
};

struct workers *workers_create(uint32_t max)
{
    struct workers *w = calloc(1, sizeof *w + max * sizeof(pthread_t));
    if (!w)
        return NULL;
    w->max = max;
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->wake, NULL);
    return w;
}

static void *run(void *arg)
{
    struct workers *w = arg;
    pthread_mutex_lock(&w->mutex);
    for (;;) {
        struct job *job = w->first;
        if (!job) {
            if (w->stopping)
                break;
            w->idle++;
            pthread_cond_wait(&w->wake, &w->mutex);
            w->idle--;
            continue;
        }
        w->first = job->next;
        if (!w->first)
            w->last = NULL;
        w->queued--;
        pthread_mutex_unlock(&w->mutex);
        job->work(job->arg);
        free(job);
        pthread_mutex_lock(&w->mutex);
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

int workers_run(struct workers *w, void (*work)(void *), void *arg)
{
    struct job *job = malloc(sizeof *job);
    if (!job)
        return -1;
    *job = (struct job){.work = work, .arg = arg};
    pthread_mutex_lock(&w->mutex);
    if (w->queued >= w->idle && w->n < w->max) {
        pthread_attr_t attr;
        pthread_attr_init(&attr);
        /* libraries that plugins load on these threads want a real stack */
        pthread_attr_setstacksize(&attr, 1024 * 1024);
        if (pthread_create(&w->threads[w->n], &attr, run, w) == 0)
            w->n++;
        pthread_attr_destroy(&attr);
    }
    if (!w->n) {
        pthread_mutex_unlock(&w->mutex);
        free(job);
        return -1;
    }
    if (w->last)
        w->last->next = job;
    else
        w->first = job;
    w->last = job;
    w->queued++;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->mutex);
    return 0;
}

void workers_destroy(struct workers *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->mutex);
    w->stopping = true;
    pthread_cond_broadcast(&w->wake);
    pthread_mutex_unlock(&w->mutex);
    for (uint32_t i = 0; i < w->n; i++)
        pthread_join(w->threads[i], NULL);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->mutex);
    free(w);
}
