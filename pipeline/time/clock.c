/* A binary heap of timers under one mutex. Timers are few (a handful for each instance and each
 * delivery that waits for a retry), and the hot path moves deadlines only backwards. */
#include "pipeline/time/clock.h"
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct clock {
    pthread_mutex_t mutex;
    pthread_cond_t fired;
    bool is_virtual;
    int64_t now_ns; /* virtual time */
    struct clock_timer **heap;
    uint32_t n, room, reserved;
    struct clock_timer *firing;
    pthread_t runner;
    void (*wake)(void *);
    void *wake_arg;
};

/* Where virtual time begins: 2026-01-01T00:00:00Z on the wall, one second on the clock. */
static const int64_t VIRTUAL_START_NS = 1000000000;
static const int64_t VIRTUAL_WALL_NS = INT64_C(1767225600) * 1000000000;

static int64_t read_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

struct clock *clock_create(bool is_virtual)
{
    struct clock *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->is_virtual = is_virtual;
    c->now_ns = VIRTUAL_START_NS;
    if (pthread_mutex_init(&c->mutex, NULL)) {
        free(c);
        return NULL;
    }
    if (pthread_cond_init(&c->fired, NULL)) {
        pthread_mutex_destroy(&c->mutex);
        free(c);
        return NULL;
    }
    return c;
}

void clock_destroy(struct clock *c)
{
    if (!c)
        return;
    pthread_cond_destroy(&c->fired);
    pthread_mutex_destroy(&c->mutex);
    free(c->heap);
    free(c);
}

void clock_on_wake(struct clock *c, void (*wake)(void *), void *arg)
{
    pthread_mutex_lock(&c->mutex);
    c->wake = wake;
    c->wake_arg = arg;
    pthread_mutex_unlock(&c->mutex);
}

int64_t clock_now(struct clock *c)
{
    if (!c->is_virtual)
        return read_clock(CLOCK_MONOTONIC);
    return __atomic_load_n(&c->now_ns, __ATOMIC_ACQUIRE);
}

int64_t clock_wall(struct clock *c)
{
    if (!c->is_virtual)
        return read_clock(CLOCK_REALTIME);
    return clock_now(c) - VIRTUAL_START_NS + VIRTUAL_WALL_NS;
}

static void put(struct clock *c, uint32_t i, struct clock_timer *t)
{
    c->heap[i] = t;
    t->slot = i + 1;
}

static void sift(struct clock *c, uint32_t i)
{
    struct clock_timer *t = c->heap[i];
    while (i && c->heap[(i - 1) / 2]->due_ns > t->due_ns) {
        put(c, i, c->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child + 1 < c->n && c->heap[child + 1]->due_ns < c->heap[child]->due_ns)
            child++;
        if (child >= c->n || c->heap[child]->due_ns >= t->due_ns)
            break;
        put(c, i, c->heap[child]);
        i = child;
    }
    put(c, i, t);
}

static void take_out(struct clock *c, struct clock_timer *t)
{
    if (!t->slot)
        return;
    const uint32_t i = t->slot - 1;
    t->slot = 0;
    struct clock_timer *last = c->heap[--c->n];
    if (last != t) {
        put(c, i, last);
        sift(c, i);
    }
}

enum { SPARE = 8 }; /* timers of the process itself, for which nothing is reserved */

/* Mutex held. */
static int make_room(struct clock *c, uint32_t n)
{
    if (n <= c->room)
        return 0;
    const uint32_t room = n < 16 ? 16 : n < c->room * 2 ? c->room * 2 : n;
    struct clock_timer **heap = realloc(c->heap, room * sizeof *heap);
    if (!heap)
        return -1;
    c->heap = heap;
    c->room = room;
    return 0;
}

int clock_reserve(struct clock *c, uint32_t n)
{
    pthread_mutex_lock(&c->mutex);
    const int status = make_room(c, c->reserved + n + SPARE);
    if (!status)
        c->reserved += n;
    pthread_mutex_unlock(&c->mutex);
    return status;
}

void clock_unreserve(struct clock *c, uint32_t n)
{
    pthread_mutex_lock(&c->mutex);
    c->reserved -= n;
    pthread_mutex_unlock(&c->mutex);
}

int clock_arm(struct clock *c, struct clock_timer *t, int64_t due_ns)
{
    pthread_mutex_lock(&c->mutex);
    const int64_t next = c->n ? c->heap[0]->due_ns : INT64_MAX;
    if (!t->slot && make_room(c, c->n + 1)) {
        pthread_mutex_unlock(&c->mutex);
        return -1;
    }
    t->due_ns = due_ns;
    if (!t->slot)
        put(c, c->n++, t);
    sift(c, t->slot - 1);
    void (*wake)(void *) = due_ns < next ? c->wake : NULL;
    void *arg = c->wake_arg;
    pthread_mutex_unlock(&c->mutex);
    if (wake)
        wake(arg);
    return 0;
}

void clock_disarm(struct clock *c, struct clock_timer *t)
{
    pthread_mutex_lock(&c->mutex);
    take_out(c, t);
    while (c->firing == t && !pthread_equal(c->runner, pthread_self()))
        pthread_cond_wait(&c->fired, &c->mutex);
    pthread_mutex_unlock(&c->mutex);
}

int64_t clock_run(struct clock *c)
{
    pthread_mutex_lock(&c->mutex);
    c->runner = pthread_self();
    while (c->n && c->heap[0]->due_ns <= clock_now(c)) {
        struct clock_timer *t = c->heap[0];
        take_out(c, t);
        c->firing = t;
        pthread_mutex_unlock(&c->mutex);
        t->fire(t);
        pthread_mutex_lock(&c->mutex);
        c->firing = NULL;
        pthread_cond_broadcast(&c->fired);
    }
    const int64_t next = c->n ? c->heap[0]->due_ns : INT64_MAX;
    pthread_mutex_unlock(&c->mutex);
    return next;
}

void clock_advance(struct clock *c, int64_t ns)
{
    const int64_t until = clock_now(c) + ns;
    for (;;) {
        const int64_t next = clock_run(c);
        if (next > until)
            break;
        __atomic_store_n(&c->now_ns, next, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&c->now_ns, until, __ATOMIC_RELEASE);
    (void)clock_run(c);
}
