/* The parts of the process that outlive every graph. Control thread. */
#include "pipeline/graph/runtime.h"
#include "pipeline/graph/codecs.h"
#include "pipeline/graph/sockets.h"
#include "pipeline/graph/workers.h"
#include "pipeline/memory/memory.h"
#include "pipeline/plugins/loader.h"
#include "pipeline/telemetry/log.h"
#include "pipeline/telemetry/metrics.h"
#include <time.h>

enum { BLOCKING_THREADS = 16 };

int32_t runtime_init(struct runtime *r, const struct runtime_options *o, sl_error *error)
{
    memset(r, 0, sizeof *r);
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&r->topology, NULL);
    (void)pthread_mutex_init(&r->streams_mutex, NULL);
    (void)pthread_cond_init(&r->status_changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    struct log_options log;
    log_options_init(&log);
    r->log = log_create(o->log ? o->log : &log);
    r->clock = clock_create(o->virtual_clock);
    r->memory = memory_create(o->memory_limit);
    r->workers = workers_create(BLOCKING_THREADS);
    r->sockets = sockets_create();
    r->codecs = codecs_create();
    r->metrics = metrics_create(0);
    r->registry = plugin_registry_create();
    r->loader = plugin_loader_create();
    r->state_directory = o->state_directory;
    r->journal_directory = o->journal_directory;
    if (!r->log || !r->clock || !r->memory || !r->workers || !r->sockets || !r->codecs ||
        !r->metrics || !r->registry || !r->loader)
        return sl_fail(error, SL_ERR_NOMEM, "no memory");
    int32_t status = SL_OK;
    for (uint32_t i = 0; i < o->n_plugin_directories && status == SL_OK; i++)
        status = plugin_registry_scan(r->registry, o->plugin_directories[i], error);
    if (!o->n_plugin_directories) {
        char path[4096];
        status = plugin_directory_default(o->installed_plugins, path, sizeof path, error);
        if (status == SL_OK)
            status = plugin_registry_scan(r->registry, path, error);
    }
    return status;
}

void runtime_deinit(struct runtime *r)
{
    codecs_destroy(r->codecs);
    workers_destroy(r->workers);
    sockets_destroy(r->sockets);
    plugin_loader_destroy(r->loader);
    plugin_registry_destroy(r->registry);
    if (r->metrics)
        metrics_destroy(r->metrics);
    memory_destroy(r->memory);
    clock_destroy(r->clock);
    log_destroy(r->log);
    pthread_cond_destroy(&r->status_changed);
    pthread_mutex_destroy(&r->streams_mutex);
    pthread_mutex_destroy(&r->topology);
    memset(r, 0, sizeof *r);
}
