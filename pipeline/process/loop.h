/* The main thread's event loop: the host's timers, signals, descriptors that instances watch. */
#ifndef SLUICE_PIPELINE_LOOP_H
#define SLUICE_PIPELINE_LOOP_H
#include "pipeline/time/clock.h"
#include <sluice/plugin.h>
#include <uv.h>

struct instance;
struct loop;

struct loop_handlers {
    void *arg;
    void (*on_signal)(void *arg, int signal); /* SIGTERM, SIGINT, SIGHUP; on the loop */
    void (*on_tick)(void *arg);               /* after loop_tick_every; on the loop */
};

/* The loop drives `clock` unless that is virtual. */
struct loop *loop_create(struct clock *, const struct loop_handlers *);
void loop_destroy(struct loop *);
uv_loop_t *loop_uv(struct loop *);

void loop_run(struct loop *);                     /* until loop_end */
void loop_end(struct loop *);                     /* [loop] */
void loop_tick_every(struct loop *, uint64_t ms); /* 0: no more; [loop] */
/* [any] Runs `run(arg)` on the loop; false: no memory. */
bool loop_post(struct loop *, void (*run)(void *), void *arg);
/* [any] For SL_POLL: readiness is posted to the instance's lane. */
int32_t loop_watch(struct loop *, struct instance *, int32_t fd, uint32_t events);
#endif
