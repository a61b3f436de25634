/* The running graph: components, pipelines with their lanes, and sinks (exporters' queues).
 *
 *   receiver --offer--> outlet --> pipeline input --> lane: processor, processor --> sink --> send
 *                                                                              \-> connector -->
 * outlet
 *
 * Built on the control thread by graph_create, which calls create and prepare of every component;
 * after graph_start deliveries flow on any thread. A reload (reload.h) builds the next graph around
 * what stays of the running one. The control thread is whichever thread builds, starts and ends a
 * graph: two graphs without a component in common may each have their own. */
#ifndef SLUICE_PIPELINE_GRAPH_H
#define SLUICE_PIPELINE_GRAPH_H
#include "pipeline/config/service.h"
#include "pipeline/delivery/delivery.h"
#include "pipeline/time/clock.h"

struct graph;
struct lane;
struct pipeline;
struct sink;
struct stream;
struct instance;
struct workers;
struct sockets;
struct codecs;
struct log;
struct metrics;
struct plugin_registry;
struct plugin_loader;
struct loop;

enum { SIGNALS = 4 }; /* traces, metrics, logs, profiles: index = bit of enum sl_signal */
static inline uint32_t signal_index(uint32_t signal)
{
    return (uint32_t)__builtin_ctz(signal | 1u << (SIGNALS - 1));
}
const char *signal_items_name(uint32_t index); /* "spans", "metric_points", "log_records", ... */

/* How the reloads of the process went. */
struct reload_history {
    _Atomic uint64_t succeeded, failed;
    _Atomic uint64_t items_left; /* of what was removed, and had not drained in time */
    _Atomic int64_t last_success_ns, last_failure_ns; /* wall clock; 0: never */
};

/* What the whole process shares; outlives every graph. */
struct runtime {
    struct memory *memory;
    struct clock *clock;
    struct workers *workers;
    struct sockets *sockets;
    struct codecs *codecs;
    struct log *log;
    struct metrics *metrics;
    struct plugin_registry *registry;
    struct plugin_loader *loader;
    struct payload_limits limits;
    const char *state_directory;   /* for SL_STORAGE; NULL: none */
    const char *journal_directory; /* for pipelines without a journal of their own; NULL: none */
    pthread_mutex_t streams_mutex;
    struct stream *streams; /* that are open; guarded by streams_mutex */
    /* Guards which components, pipelines, lanes and sinks there are, for those who look at them
     * from other threads than the control thread (health, metrics, status). Held for a short look,
     * never while a plugin is called, but for the visits of SL_INSPECT. */
    pthread_mutex_t topology;
    pthread_cond_t status_changed; /* with `topology`: a component reported its status */
    struct graph *current;         /* what runs; NULL before the start */
    struct graph *leaving;         /* what a reload replaced, while it drains; or NULL */
    struct component *lingering;   /* stopped, but not all of what they offered has been settled */
    struct reload_history reloads;
    /* The metrics page, brought up to date; set by the process. Any thread. */
    void (*write_metrics)(void *arg, void (*write)(void *, sl_bytes), void *ctx);
    void *write_metrics_arg;
    /* Asks the main loop to end the process with an error; may be NULL. */
    void (*fatal)(void *arg, const char *component, const char *text);
    void *fatal_arg;
    /* Watches descriptors for instances (SL_POLL); NULL in tests without a loop. */
    struct loop *loop;
};

/* First member sl_host, so that a plugin's handle is ours. */
struct host {
    sl_host pub;
    struct component *component;
    struct instance *instance; /* NULL: the component's own handle */
};

/* Where deliveries of one signal go from a receiver or connector. It does not change: a reload puts
 * another in its place. */
struct outlet {
    int32_t ack; /* enum sl_ack */
    uint32_t n;
    struct pipeline *pipelines[];
};

enum component_state {
    COMPONENT_NEW,
    COMPONENT_CREATED,
    COMPONENT_RUNNING,
    COMPONENT_DRAINING,
    COMPONENT_STOPPED
};

/* What becomes of a component's offers. */
enum component_door {
    DOOR_NOT_YET, /* it was started for a reload that is not through yet: come again */
    DOOR_OPEN,
    DOOR_CLOSED /* it drains */
};

struct exporter_config;
struct account;

/* What the graph that is being built will have a component do. Control thread. */
struct component_plan {
    bool stays; /* a component of the running graph that the next one has, too */
    struct outlet *outlets[SIGNALS];
    struct sink *sinks[SIGNALS];
};

struct component {
    struct runtime *runtime;
    struct graph *graph; /* that it belongs to; guarded by the topology's mutex */
    const char *id;      /* "otlp/in" */
    uint32_t kind;
    const sl_type *type;
    sl_log_field log_fields[2]; /* on each of its lines */
    struct config_bound *bound;
    void *config;
    void *self; /* what create gave, or the config struct */
    struct host host;
    _Atomic uint32_t state; /* enum component_state; changed by the control thread */
    _Atomic int32_t status; /* enum sl_component_status */
    _Atomic uint32_t door;  /* enum component_door */
    pthread_mutex_t mutex;  /* guards status_text, jobs, jobs_over */
    pthread_cond_t jobs_done;
    uint32_t jobs;  /* blocking work that has not ended */
    bool jobs_over; /* `stop` has returned: no more begin */
    char status_text[256];
    struct account *account; /* shared with the component of this name before and after a reload */
    struct ledger *ledgers;  /* of the account, one for each signal */
    _Atomic(struct outlet *) outlets[SIGNALS]; /* of emitters: receivers and connectors; or NULL */
    _Atomic uint32_t epoch;                    /* changes with the outlets */
    _Atomic uint32_t inside[2];                /* who is using outlets of an even, an odd epoch */
    _Atomic uint64_t unsettled;                /* what it offered and has not heard the end of */
    struct sink *sinks[SIGNALS];               /* exporters; guarded by the topology's mutex */
    struct component_plan plan;
    const struct exporter_config *exporter;
    _Atomic uint64_t allocated; /* bytes through sl_allocate */
    char *storage_path;         /* for SL_STORAGE; made on first demand */
    char **uses;                /* names that it looked up; guarded by the topology's mutex */
    uint32_t n_uses;
    struct component *next_lingering;
};

/* ---- building and ending ---- */

/* Makes everything that the service's pipelines use; reasons of a refusal go to `d`. NULL then. */
struct graph *graph_create(struct runtime *, const struct service_config *,
                           struct config_diagnostics *d);
/* Starts exporters first, receivers last. SL_OK, or the first failure, in `error`; the caller then
 * calls graph_destroy. */
int32_t graph_start(struct graph *, sl_error *error);
/* Receivers take in nothing new, instances forward what they hold, queues empty themselves. */
void graph_drain(struct graph *, int64_t deadline_ns);
/* To be called again and again while draining: asks instances again; true when nothing is left. */
bool graph_drained(struct graph *);
/* Ends everything; what is left is settled as failed. Returns the number of items left. */
uint64_t graph_stop(struct graph *);
void graph_destroy(struct graph *);
uint32_t graph_pipelines(const struct graph *);
/* Items that receivers offered and that ended as failed. */
uint64_t graph_failed_items(const struct graph *);

struct component *graph_component(struct graph *, uint32_t kind, const char *id); /* or NULL */
/* Calls `visit` for every component; control thread, or with the topology's mutex held. */
void graph_components(struct graph *, void (*visit)(void *, struct component *), void *arg);
void graph_lanes(struct graph *, void (*visit)(void *, struct lane *), void *arg);

/* [any] Of what runs now, whatever was reloaded: is all of it ready, and since when (wall clock ns;
 * 0: it is not up yet)? */
bool runtime_healthy(struct runtime *);
int64_t runtime_up_since(struct runtime *);
/* [any] Tells those who wait for it. False: the component's graph is not the running one. */
bool graph_status_changed(struct component *);
#endif
