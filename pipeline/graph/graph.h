/* The running graph: components, pipelines with their lanes, and sinks (exporters' queues).
 *
 *   receiver --offer--> outlet --> pipeline input --> lane: processor, processor --> sink --> send
 *                                                                              \-> connector -->
 * outlet
 *
 * Built on the control thread by graph_create, which calls create and prepare of every component;
 * after graph_start deliveries flow on any thread. */
#ifndef SLUICE_PIPELINE_GRAPH_H
#define SLUICE_PIPELINE_GRAPH_H
#include "pipeline/config/service.h"
#include "pipeline/delivery/delivery.h"
#include "pipeline/time/clock.h"

struct graph;
struct lane;
struct pipeline;
struct sink;
struct instance;
struct workers;
struct sockets;
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

/* What the whole process shares; outlives every graph. */
struct runtime {
    struct memory *memory;
    struct clock *clock;
    struct workers *workers;
    struct sockets *sockets;
    struct log *log;
    struct metrics *metrics;
    struct plugin_registry *registry;
    struct plugin_loader *loader;
    struct payload_limits limits;
    const char *state_directory; /* for SL_STORAGE; NULL: none */
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

/* Where deliveries of one signal go from a receiver or connector. */
struct outlet {
    struct pipeline **pipelines;
    uint32_t n;
    int32_t ack; /* enum sl_ack */
};

enum component_state {
    COMPONENT_NEW,
    COMPONENT_CREATED,
    COMPONENT_RUNNING,
    COMPONENT_DRAINING,
    COMPONENT_STOPPED
};

struct exporter_config;

struct component {
    struct runtime *runtime;
    struct graph *graph;
    const char *id; /* "otlp/in" */
    uint32_t kind;
    const sl_type *type;
    sl_log_field log_fields[2]; /* on each of its lines */
    struct config_bound *bound;
    void *config;
    void *self; /* what create gave, or the config struct */
    struct host host;
    enum component_state state;
    _Atomic int32_t status; /* enum sl_component_status */
    pthread_mutex_t mutex;  /* guards status_text, jobs */
    pthread_cond_t jobs_done;
    uint32_t jobs; /* blocking work that has not ended */
    char status_text[256];
    struct ledger ledgers[SIGNALS];
    struct outlet outlets[SIGNALS]; /* receivers and connectors */
    struct sink *sinks[SIGNALS];    /* exporters */
    const struct exporter_config *exporter;
    _Atomic uint64_t allocated; /* bytes through sl_allocate */
    char *storage_path;         /* for SL_STORAGE; made on first demand */
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

bool graph_healthy(struct graph *);
int64_t graph_up_since(struct graph *); /* wall clock ns; 0: not up yet */
struct component *graph_component(struct graph *, uint32_t kind, const char *id); /* or NULL */
/* Items in the graph: in inputs, held, queued, being sent. */
uint64_t graph_items_inside(struct graph *);
/* Calls `visit` for every component; for metrics and status pages. */
void graph_components(struct graph *, void (*visit)(void *, struct component *), void *arg);
void graph_sinks(struct graph *, void (*visit)(void *, struct sink *), void *arg);
void graph_lanes(struct graph *, void (*visit)(void *, struct lane *), void *arg);

/* [any] False while draining and after. */
bool graph_takes(const struct graph *);
/* [any] A component's status changed: is the graph up now? */
void graph_status_changed(struct graph *);
/* The codec of an encoding for a signal, made on first demand; NULL: there is none. Any thread. */
struct component *graph_codec(struct graph *, const char *encoding, uint32_t signal);

/* ---- inside the module ---- */

/* [any] SL_OK: room in every pipeline of the outlet. SL_ERR_FULL: `hear`, or the lane, is told once
 * there is. SL_ERR_NOMEM: and could not be remembered. */
int32_t outlet_room(struct outlet *, const sl_hear *hear, struct lane *waiter);
/* [any] Always takes; forks where there are several pipelines. `run`: the root whose `taken` waits
 * for this, or NULL. */
void outlet_push(struct outlet *, struct delivery *, struct delivery *run);
#endif
