/* Between service.c, the process's life, and reload.c, which changes what it runs. */
#ifndef SLUICE_PIPELINE_SERVICE_INTERNAL_H
#define SLUICE_PIPELINE_SERVICE_INTERNAL_H
#include "pipeline/process/logs.h"
#include "pipeline/process/loop.h"
#include "pipeline/process/metrics_page.h"
#include "pipeline/process/service.h"
#include "pipeline/process/settings.h"
#include "pipeline/process/watch.h"

/* A reload runs on a thread of its own, so that timers and pages go on meanwhile; it touches what
 * belongs to the loop only by calling there. [loop] unless a line says otherwise. */
struct reloading {
    pthread_t thread;
    bool runs;                   /* the thread is to be joined */
    bool is_swapped;             /* the new graph runs; the old one drains */
    bool again;                  /* another was asked for meanwhile */
    bool ends_process;           /* the process is to end once the thread is through */
    _Atomic bool cancel;         /* not worth beginning the swap any more */
    _Atomic int64_t deadline_ns; /* for the old graph to drain */
};

struct service {
    struct service_options options;
    struct settings *settings; /* of what runs */
    struct runtime runtime;
    struct graph *graph;
    struct loop *loop;
    struct metrics_page *page;
    struct logs logs;
    struct watch *watch; /* NULL without --watch */
    struct reloading reloading;
    struct clock_timer rest; /* looks whether memory can go back to the system */
    bool draining, fatal;
    int signals;
    int64_t deadline_ns;
    uint64_t left;
};

uint64_t service_memory_limit(const struct service_config *);
/* [loop] The process ends: what is inside drains until the deadline. */
void service_end(struct service *);

/* [loop] Reloads the config, or does so once the reload that runs is through. */
void reload_begin(struct service *);
/* [loop] The process ends: a reload that has not swapped gives up. False: wait for it;
 * service_end is called again once it is through. */
bool reload_let_end(struct service *);
/* [loop] What the old graph still holds is not waited for any longer. */
void reload_hurry(struct service *);
#endif
