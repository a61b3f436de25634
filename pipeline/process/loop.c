/* The main loop. Everything of libuv's is touched on the loop's thread only; other threads post. */
#include "pipeline/process/loop.h"
#include "pipeline/graph/lane.h"
#include <signal.h>
#include <stdlib.h>

struct posted {
    struct posted *next;
    void (*run)(void *);
    void *arg;
};

/* A descriptor that an instance watches. */
struct watch {
    struct lane_task task;
    struct watch *next;
    uv_poll_t poll;
    struct loop *loop;
    struct instance *instance;
    int32_t fd;
    _Atomic uint32_t ready; /* events that the lane has not been told */
};

struct watch_order {
    struct loop *loop;
    struct instance *instance;
    int32_t fd;
    uint32_t events;
};

struct loop {
    uv_loop_t uv;
    uv_async_t wake;
    uv_timer_t deadline, tick;
    uv_signal_t signals[3];
    struct clock *clock;
    struct loop_handlers handlers;
    pthread_mutex_t mutex; /* guards posted */
    struct posted *first, *last;
    struct watch *watches;
};

static void run_clock(struct loop *l);

static void on_deadline(uv_timer_t *timer)
{
    run_clock(timer->data);
}

static void run_clock(struct loop *l)
{
    const int64_t next = clock_run(l->clock);
    if (next == INT64_MAX) {
        uv_timer_stop(&l->deadline);
        return;
    }
    const int64_t wait = next - clock_now(l->clock);
    uv_update_time(&l->uv);
    /* rounded up: a timer that fires early would only be armed again */
    uv_timer_start(&l->deadline, on_deadline, wait > 0 ? (uint64_t)(wait + 999999) / 1000000 : 0,
                   0);
}

static void on_wake(uv_async_t *async)
{
    struct loop *l = async->data;
    pthread_mutex_lock(&l->mutex);
    struct posted *p = l->first;
    l->first = l->last = NULL;
    pthread_mutex_unlock(&l->mutex);
    while (p) {
        struct posted *next = p->next;
        p->run(p->arg);
        free(p);
        p = next;
    }
    run_clock(l);
}

static void wake_loop(void *arg)
{
    struct loop *l = arg;
    (void)uv_async_send(&l->wake);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct loop *l = handle->data;
    if (l->handlers.on_signal)
        l->handlers.on_signal(l->handlers.arg, number);
}

static void on_tick(uv_timer_t *timer)
{
    struct loop *l = timer->data;
    if (l->handlers.on_tick)
        l->handlers.on_tick(l->handlers.arg);
}

struct loop *loop_create(struct clock *clock, const struct loop_handlers *handlers)
{
    static const int numbers[3] = {SIGTERM, SIGINT, SIGHUP};
    struct loop *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->clock = clock;
    l->handlers = *handlers;
    if (uv_loop_init(&l->uv)) {
        free(l);
        return NULL;
    }
    pthread_mutex_init(&l->mutex, NULL);
    (void)uv_async_init(&l->uv, &l->wake, on_wake);
    (void)uv_timer_init(&l->uv, &l->deadline);
    (void)uv_timer_init(&l->uv, &l->tick);
    l->wake.data = l->deadline.data = l->tick.data = l;
    for (int i = 0; i < 3; i++) {
        (void)uv_signal_init(&l->uv, &l->signals[i]);
        l->signals[i].data = l;
        (void)uv_signal_start(&l->signals[i], on_signal, numbers[i]);
    }
    clock_on_wake(clock, wake_loop, l);
    return l;
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

void loop_destroy(struct loop *l)
{
    if (!l)
        return;
    clock_on_wake(l->clock, NULL, NULL);
    uv_walk(&l->uv, close_handle, NULL);
    (void)uv_run(&l->uv, UV_RUN_DEFAULT);
    (void)uv_loop_close(&l->uv);
    while (l->first) {
        struct posted *next = l->first->next;
        free(l->first);
        l->first = next;
    }
    while (l->watches) {
        struct watch *next = l->watches->next;
        free(l->watches);
        l->watches = next;
    }
    pthread_mutex_destroy(&l->mutex);
    free(l);
}

uv_loop_t *loop_uv(struct loop *l)
{
    return &l->uv;
}

void loop_run(struct loop *l)
{
    run_clock(l);
    (void)uv_run(&l->uv, UV_RUN_DEFAULT);
}

void loop_end(struct loop *l)
{
    uv_stop(&l->uv);
}

void loop_tick_every(struct loop *l, uint64_t ms)
{
    if (ms)
        (void)uv_timer_start(&l->tick, on_tick, ms, ms);
    else
        (void)uv_timer_stop(&l->tick);
}

bool loop_post(struct loop *l, void (*run)(void *), void *arg)
{
    struct posted *p = malloc(sizeof *p);
    if (!p)
        return false;
    *p = (struct posted){.run = run, .arg = arg};
    pthread_mutex_lock(&l->mutex);
    if (l->last)
        l->last->next = p;
    else
        l->first = p;
    l->last = p;
    pthread_mutex_unlock(&l->mutex);
    (void)uv_async_send(&l->wake);
    return true;
}

/* ---- descriptors ---- */

static void tell_instance(struct lane_task *task)
{
    struct watch *w = (struct watch *)(void *)task;
    const uint32_t events = atomic_exchange(&w->ready, 0);
    const sl_type *type = w->instance->component->type;
    if (events && w->instance->opened && type->on_fd)
        type->on_fd(w->instance->self, w->fd, events);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch *w = poll->data;
    uint32_t ready = 0;
    if (status < 0 || events & UV_READABLE)
        ready |= SL_POLL_READ;
    if (status < 0 || events & UV_WRITABLE)
        ready |= SL_POLL_WRITE;
    atomic_fetch_or(&w->ready, ready);
    /* one shot: the instance asks again when it has read, so that a busy one is not asked in vain
     */
    (void)uv_poll_stop(poll);
    lane_post(w->instance->lane, &w->task);
}

static void obey(void *arg)
{
    const struct watch_order *o = arg;
    struct watch *w = o->loop->watches;
    while (w && (w->fd != o->fd || w->instance != o->instance))
        w = w->next;
    if (!w && o->events && (w = calloc(1, sizeof *w))) {
        w->loop = o->loop;
        w->instance = o->instance;
        w->fd = o->fd;
        w->task.run = tell_instance;
        w->poll.data = w;
        if (uv_poll_init(&o->loop->uv, &w->poll, o->fd)) {
            free(w);
            w = NULL;
        } else {
            w->next = o->loop->watches;
            o->loop->watches = w;
        }
    }
    if (w && o->events)
        (void)uv_poll_start(&w->poll,
                            (o->events & SL_POLL_READ ? UV_READABLE : 0) |
                                (o->events & SL_POLL_WRITE ? UV_WRITABLE : 0),
                            on_poll);
    else if (w)
        (void)uv_poll_stop(&w->poll);
    free(arg);
}

int32_t loop_watch(struct loop *l, struct instance *in, int32_t fd, uint32_t events)
{
    struct watch_order *o = malloc(sizeof *o);
    if (!o)
        return SL_ERR_NOMEM;
    *o = (struct watch_order){.loop = l, .instance = in, .fd = fd, .events = events};
    if (!loop_post(l, obey, o)) {
        free(o);
        return SL_ERR_NOMEM;
    }
    return SL_OK;
}
