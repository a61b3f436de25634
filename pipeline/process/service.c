/* The process around the graph. Everything here runs on the control thread, which becomes the main
 * loop's, but for what plugins ask of it through the runtime's hooks. */
#include "pipeline/graph/journals.h"
#include "pipeline/graph/runtime.h"
#include "pipeline/memory/memory.h"
#include "pipeline/memory/system.h"
#include "pipeline/process/fault.h"
#include "pipeline/process/service_internal.h"
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { DRAIN_CHECK_MS = 5 };

uint64_t service_memory_limit(const struct service_config *s)
{
    return s->memory_limit ? s->memory_limit : system_memory_default();
}

/* Where an output cannot be opened the log stays as it is, and says so. */
static void set_log(struct service *s)
{
    sl_error error = {.size = sizeof error};
    const struct service_logs *l = &s->settings->config.logs;
    if (logs_open(&s->logs, l, &error) != SL_OK)
        log_line(s->runtime.log, SL_LOG_ERROR, "service::telemetry::logs: %s", error.text);
    else
        (void)logs_apply(&s->logs, l, s->runtime.log);
}

/* The config decides about memory, so it is read before the rest is made. Of a config that is wrong
 * there, the components are looked at too, so that all is said at once; the graph is not made. */
static int32_t prepare(struct service *s, const struct service_options *o,
                       struct config_diagnostics *d)
{
    sl_error error = {.size = sizeof error};
    s->settings = settings_load(&o->sources, d);
    if (!s->settings || !s->settings->has_config)
        return SL_ERR_INVALID;
    const struct runtime_options options = {
        .memory_limit = service_memory_limit(&s->settings->config),
        .plugin_directories = o->plugin_directories,
        .n_plugin_directories = o->n_plugin_directories,
        .installed_plugins = SLUICE_PLUGIN_DIRECTORY,
        .state_directory = o->state_directory,
        .journal_directory = o->journal_directory,
    };
    const int32_t status = runtime_init(&s->runtime, &options, &error);
    if (status != SL_OK)
        diagnostics_add(d, CONFIG_ERROR, (struct config_place){0}, "%s", error.text);
    return status;
}

struct service *service_create(const struct service_options *o, struct config_diagnostics *d)
{
    struct service *s = calloc(1, sizeof *s);
    if (!s) {
        diagnostics_no_memory(d);
        return NULL;
    }
    s->options = *o;
    if (prepare(s, o, d) == SL_OK)
        s->graph = graph_create(&s->runtime, &s->settings->config, d);
    if (!s->graph || diagnostics_failed(d)) {
        service_destroy(s);
        return NULL;
    }
    set_log(s);
    return s;
}

void service_destroy(struct service *s)
{
    if (!s)
        return;
    watch_destroy(s->watch);
    metrics_page_destroy(s->page);
    graph_destroy(s->graph);
    loop_destroy(s->loop);
    runtime_deinit(&s->runtime);
    logs_close(&s->logs);
    settings_destroy(s->settings);
    free(s);
}

/* ---- memory after a burst ---- */

static const int64_t REST_NS = INT64_C(5000000000);

static void memory_used_again(void *arg)
{
    struct service *s = arg;
    (void)clock_arm(s->runtime.clock, &s->rest, clock_now(s->runtime.clock) + REST_NS);
}

static void look_at_memory(struct clock_timer *timer)
{
    struct service *s =
        (struct service *)(void *)((uint8_t *)timer - offsetof(struct service, rest));
    if (!memory_rested(s->runtime.memory)) {
        memory_used_again(s);
        return;
    }
    memory_trim(s->runtime.memory);
    (void)malloc_trim(0);
}

/* ---- ending ---- */

void service_end(struct service *s)
{
    if (s->draining || !reload_let_end(s))
        return;
    fault_point("shutdown.begin");
    s->draining = true;
    s->deadline_ns = clock_now(s->runtime.clock);
    if (s->signals < 2) /* the second says not to wait */
        s->deadline_ns += s->settings->config.shutdown_timeout_ns;
    graph_drain(s->graph, s->deadline_ns);
    loop_tick_every(s->loop, DRAIN_CHECK_MS);
}

static void on_signal(void *arg, int number)
{
    struct service *s = arg;
    if (number == SIGHUP) {
        log_line(s->runtime.log, SL_LOG_INFO, "Received signal from OS: hangup.");
        reload_begin(s);
        return;
    }
    if (s->signals++) {
        log_line(s->runtime.log, SL_LOG_WARN, "Second signal: not waiting for the drain to finish");
        s->deadline_ns = 0;
        reload_hurry(s);
        return;
    }
    log_line(s->runtime.log, SL_LOG_INFO, "Received signal from OS: %s. Draining, at most %.1f s.",
             number == SIGTERM ? "terminated" : "interrupt",
             (double)s->settings->config.shutdown_timeout_ns / 1e9);
    service_end(s);
}

static void on_tick(void *arg)
{
    struct service *s = arg;
    if (!s->draining)
        return;
    const bool late = clock_now(s->runtime.clock) >= s->deadline_ns;
    if (late)
        reload_hurry(s);
    if ((graph_drained(s->graph) || late) && !s->reloading.runs) {
        fault_point("shutdown.drained");
        loop_end(s->loop);
    }
}

static void fatal_on_loop(void *arg)
{
    service_end(arg);
}

static void fatal(void *arg, const char *component, const char *text)
{
    struct service *s = arg;
    log_line(s->runtime.log, SL_LOG_ERROR, "%s: %s. Ending the process.", component, text);
    __atomic_store_n(&s->fatal, true, __ATOMIC_RELEASE);
    if (s->loop)
        (void)loop_post(s->loop, fatal_on_loop, s);
}

/* ---- running ---- */

static void on_files_changed(void *arg)
{
    struct service *s = arg;
    log_line(s->runtime.log, SL_LOG_INFO, "The configuration's files have changed.");
    reload_begin(s);
}

static void begin_watch(struct service *s)
{
    if (!s->options.watch)
        return;
    s->watch = watch_create(loop_uv(s->loop), s->runtime.clock, on_files_changed, s);
    const int failed =
        s->watch ? watch_files(s->watch, s->settings->files, s->settings->n_files, false) : ENOMEM;
    if (failed)
        log_line(s->runtime.log, SL_LOG_ERROR, "--watch: not all files can be watched: %s",
                 strerror(failed));
}

static void say_durability(struct service *s)
{
    const uint32_t journals = journals_count(s->graph), all = graph_pipelines(s->graph);
    if (journals == all)
        log_line(s->runtime.log, SL_LOG_INFO,
                 "Every pipeline has a journal: what is acknowledged survives the process.");
    else if (journals)
        log_line(s->runtime.log, SL_LOG_INFO,
                 "%u of %u pipelines have a journal: what the others acknowledged is lost if the "
                 "process is killed.",
                 journals, all);
    else
        log_line(
            s->runtime.log, SL_LOG_INFO,
            "No pipeline has a journal: what is acknowledged is kept in memory until it is sent, "
            "and lost if the process is killed.");
}

static int finish(struct service *s, int status)
{
    loop_tick_every(s->loop, 0);
    const uint64_t failed = graph_failed_items(s->graph);
    s->left = graph_stop(s->graph);
    fault_point("shutdown.stopped");
    const struct journals_left kept = journals_left(&s->runtime);
    if (kept.streams) /* what was left and came from a journal is kept there */
        s->left = graph_failed_items(s->graph) - failed;
    if (kept.items)
        log_line(s->runtime.log, SL_LOG_INFO,
                 "%" PRIu64 " items (%" PRIu64 " bytes) stay in the journals.", kept.items,
                 kept.bytes);
    if (s->left) {
        log_line(s->runtime.log, SL_LOG_WARN,
                 "Shutdown complete. %" PRIu64 " items were left and are reported as failed.",
                 s->left);
        return status ? status : SERVICE_LEFT_ITEMS;
    }
    log_line(s->runtime.log, SL_LOG_INFO, "Shutdown complete. Nothing was left.");
    return status;
}

int service_run(struct service *s)
{
    const struct loop_handlers handlers = {.arg = s, .on_signal = on_signal, .on_tick = on_tick};
    sl_error error = {.size = sizeof error};
    s->loop = loop_create(s->runtime.clock, &handlers);
    if (!s->loop) {
        log_line(s->runtime.log, SL_LOG_ERROR, "No memory for the main loop");
        return SERVICE_NOT_STARTED;
    }
    s->runtime.loop = s->loop;
    s->runtime.fatal = fatal;
    s->runtime.fatal_arg = s;
    s->rest.fire = look_at_memory;
    memory_on_use(s->runtime.memory, memory_used_again, s);
    log_line(s->runtime.log, SL_LOG_INFO, "Starting sluice %s, pid %d", SLUICE_VERSION, getpid());
    if (graph_start(s->graph, &error) != SL_OK) {
        log_line(s->runtime.log, SL_LOG_ERROR, "Cannot start: %s", error.text);
        (void)graph_stop(s->graph);
        return SERVICE_NOT_STARTED;
    }
    s->page = metrics_page_create(&s->runtime, loop_uv(s->loop));
    if (!s->page || metrics_page_prepare(s->page, &s->settings->config, &error) != SL_OK) {
        log_line(s->runtime.log, SL_LOG_ERROR, "Cannot start: service::telemetry::metrics: %s",
                 s->page ? error.text : "no memory");
        return finish(s, SERVICE_NOT_STARTED);
    }
    metrics_page_commit(s->page, &s->settings->config);
    begin_watch(s);
    say_durability(s);
    log_line(s->runtime.log, SL_LOG_INFO,
             "Everything is ready. Begin running and processing data.");
    loop_run(s->loop);
    loop_tick_every(s->loop, 0); /* the loop still runs to close its handles; lanes are gone then */
    return finish(s, __atomic_load_n(&s->fatal, __ATOMIC_ACQUIRE) ? SERVICE_FATAL_ERROR
                                                                  : SERVICE_ENDED);
}

const struct graph *service_graph(const struct service *s)
{
    return s->graph;
}

const struct config_tree *service_tree(const struct service *s)
{
    return &s->settings->tree;
}
