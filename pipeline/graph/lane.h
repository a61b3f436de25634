/* Lanes: where a pipeline's processors run, one after another.
 *
 * A lane is a queue with a promise that it runs on one thread at a time, whichever that is: who
 * brings work to an idle lane runs it, so that a request usually goes from the socket into an
 * exporter's queue without a change of thread. After a while the runner hands over to the lane's
 * worker, so that a receiver's thread gets back to its sockets. With several lanes each has a
 * worker that runs it, so that they run side by side. */
#ifndef SLUICE_PIPELINE_LANE_H
#define SLUICE_PIPELINE_LANE_H
#include "pipeline/graph/graph.h"
#include "pipeline/graph/journals.h"
#include "pipeline/graph/waiters.h"

enum { INSTANCE_TIMERS = 8 };

/* Work for a lane other than a delivery; embedded in its owner. */
struct lane_task {
    void (*run)(struct lane_task *);
    struct lane_task *next;
    bool queued; /* guarded by the lane's mutex */
};

struct instance_timer {
    struct clock_timer clock;
    struct lane_task task;
    struct instance *instance;
    uint32_t slot;
    int64_t at_ns; /* what the instance asked for; 0: nothing, or it is due */
    bool due;      /* waits for room in the output */
};

/* A processor in a lane, or a connector at a lane's end. Everything but `held` belongs to the lane.
 */
struct instance {
    struct host host;
    struct lane *lane;
    struct component *component;
    struct instance *next; /* the processor behind it; NULL: the outputs, and of a connector */
    void *self;
    bool opened;
    struct journal *log; /* of the pipeline's journal; NULL: it has none */
    bool shut;           /* set_ready(false) */
    bool refused;        /* process answered FULL and nothing has happened since */
    bool told_full;      /* forward answered FULL: on_ready follows */
    struct delivery *parked_first, *parked_last; /* wait for the instance */
    uint32_t n_parked;
    struct holder held;
    struct instance_timer timers[INSTANCE_TIMERS];
    uint64_t *mask;
    uint32_t mask_words;
    uint32_t jobs; /* blocking work that has not ended; guarded by the lane's mutex */
    bool closing;  /* no more of it begins; guarded by the lane's mutex */
};

/* Where a lane's last processor forwards to. */
struct output {
    struct sink *sink;         /* an exporter's, or */
    struct instance *instance; /* a connector */
};

/* What stands in a lane. A reload makes another one around the instances that stay, and puts it in
 * place while nobody runs the lane (reload.c). The instances that it takes out go on leading where
 * they led until they are empty. */
struct layout {
    struct pipeline *pipeline;
    struct instance **instances; /* one for each of the pipeline's processors */
    struct output *outputs;      /* one for each of its exporters */
    struct instance **leaving;   /* what it took out of the lane, and is not empty yet */
    uint32_t n_leaving;
};

struct lane {
    uint32_t index;
    pthread_mutex_t mutex; /* guards what follows, and layout.pipeline */
    struct delivery *first, *last;
    uint32_t n_input;
    uint64_t input_bytes;
    struct lane_task *tasks, *last_task;
    struct waiter *waiters;
    bool running, poked, closed;
    bool worker_started, worker_wanted, worker_stop;
    pthread_t worker;
    pthread_cond_t work;

    /* belong to whoever runs the lane */
    struct layout layout;
    struct delivery *current;     /* was taken from the input and is on its first run */
    struct delivery *current_run; /* its run token */
};

struct pipeline {
    struct runtime *runtime;
    const char *id; /* "traces/in" */
    uint32_t signal;
    struct component **processors;
    struct component **exporters; /* exporters and connectors */
    uint32_t n_processors, n_exporters;
    struct lane *lanes;
    uint32_t n_lanes;
    struct layout *layouts;  /* what is to stand in the lanes; while it is built */
    struct pipeline *before; /* whose lanes it takes over; while it is built, or NULL */
    bool lanes_stay;         /* in the next graph's pipeline; what it took out of them remains */
    bool trace_affinity;
    struct journal_plan journal;
    _Atomic uint32_t turn;
    uint64_t input_limit; /* bytes waiting for a lane */
};

/* [control] An empty lane. */
int32_t lane_init(struct lane *, struct pipeline *, uint32_t index);
void lane_deinit(struct lane *);

/* [control] What stands in the lane by the pipeline's lists, with the instances that are in the lane
 * already, and new ones. */
int32_t layout_make(struct layout *, struct pipeline *, struct lane *);
int32_t layout_open(struct layout *, sl_error *); /* opens the new instances */
/* Gives up what was made for a lane that has not got it: closes and frees its new instances. */
void layout_discard(struct layout *);
/* Puts it in place of what stands there; nobody runs the lane meanwhile. Cannot fail. */
void lane_take_layout(struct lane *, struct layout *);

void lane_push(struct lane *, struct delivery *);  /* [any] always takes */
bool lane_has_room(struct lane *);                 /* [any] */
void lane_post(struct lane *, struct lane_task *); /* [any] */
/* [any] Something that the lane waits for may have changed. */
void lane_poke(struct lane *);
/* [any] Is told when the input has room again. False: no memory to remember it. */
bool lane_wait(struct lane *, const struct component *emitter, const sl_hear *,
               struct lane *waiter);

/* [lane] */
void lane_call(struct instance *, void (*callback)(void *instance));
void lane_give_note(struct instance *, sl_bytes key, sl_bytes note);
int32_t lane_forward(struct instance *, struct delivery *);
void instance_timer_set(struct instance *, uint32_t slot, int64_t at_ns);
void instance_set_ready(struct instance *, bool ready);
uint64_t *instance_mask(struct instance *, uint32_t bits);

/* [any] Blocking work of an instance: `close` waits for it, and none begins any more then. */
bool instance_job_begins(struct instance *);
void instance_job_ends(struct instance *);

/* [control] Asks instances to forward what they hold; and whether anything is left. */
void lane_drain(struct lane *);
bool lane_is_empty(struct lane *);
/* [control] No more work is taken; instances close; returns the items that were left. */
uint64_t lane_close(struct lane *);
/* [control] The same for those alone that a reload took out of the lane. */
void lane_drain_leaving(struct lane *);
bool lane_leaving_is_empty(struct lane *);
uint64_t lane_close_leaving(struct lane *);
/* [control] Waits until nobody is in the middle of a run that has begun before. */
void lane_pass(struct lane *);
/* [control] Whoever waits with this is not told any more once it has returned. */
void lane_forget(struct lane *, const sl_hear *);
/* [control] Forgets waiters that are stopped components or closed lanes. */
void lane_forget_gone(struct lane *);

/* The instance whose callback runs on this thread, for calls through a component's own handle. */
struct instance *lane_current_instance(void);

/* pipeline.c */
/* [any] SL_OK; SL_ERR_FULL: whoever waits will be told; SL_ERR_NOMEM: and could not be remembered.
 */
int32_t pipeline_room(struct pipeline *, struct component *emitter, const sl_hear *,
                      struct lane *waiter);
/* The same for its lanes alone, behind its journal. */
int32_t pipeline_lanes_have_room(struct pipeline *, struct component *emitter, const sl_hear *,
                                 struct lane *waiter);
/* [any] Always takes. `run` is the root whose `taken` waits for this, or NULL. */
void pipeline_push(struct pipeline *, struct delivery *, struct delivery *run);
/* [any] The same, past its journal. */
void pipeline_enter(struct pipeline *, struct delivery *, struct delivery *run);
/* [control] Of all its lanes; of one whose lanes stay: of what was taken out of them. */
void pipeline_drain(struct pipeline *);
bool pipeline_is_empty(struct pipeline *);
uint64_t pipeline_close(struct pipeline *);
void pipeline_destroy(struct pipeline *);
#endif
