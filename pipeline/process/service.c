/* The process around the graph. Everything here runs on the control thread, which becomes the main
 * loop's, but for what plugins ask of it through the runtime's hooks. */
#include "pipeline/process/service.h"
#include "pipeline/graph/runtime.h"
#include "pipeline/memory/memory.h"
#include "pipeline/memory/system.h"
#include "pipeline/process/loop.h"
#include "pipeline/process/metrics_page.h"
#include "pipeline/telemetry/log.h"
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { DRAIN_CHECK_MS = 5 };

struct service {
    struct config_tree tree;
    struct service_config config;
    struct runtime runtime;
    struct graph *graph;
    struct loop *loop;
    struct metrics_page *page;
    struct clock_timer rest; /* looks whether memory can go back to the system */
    bool tree_made, config_made;
    bool draining, fatal;
    int signals;
    int64_t deadline_ns;
    uint64_t left;
};

static void set_log(struct service *s)
{
    static const int32_t levels[] = {SL_LOG_DEBUG, SL_LOG_INFO, SL_LOG_WARN, SL_LOG_ERROR,
                                     SL_LOG_ERROR};
    const struct service_logs *l = &s->config.logs;
    struct log_options o;
    log_options_init(&o);
    o.level = levels[l->level];
    o.encoding = l->encoding == SERVICE_JSON ? LOG_JSON : LOG_CONSOLE;
    o.sampling = (struct log_sampling){.enabled = l->sampling.enabled != 0,
                                       .tick_ns = l->sampling.tick,
                                       .initial = l->sampling.initial,
                                       .thereafter = l->sampling.thereafter};
    if (l->output_paths.n)
        o.n_outputs = 0;
    for (uint32_t i = 0; i < l->output_paths.n && o.n_outputs < LOG_OUTPUTS_MAX; i++) {
        sl_error error = {.size = sizeof error};
        bool owned; /* lives as long as the process */
        int fd;
        const sl_bytes *path = SL_LIST_AT(sl_bytes, l->output_paths, i);
        if (log_output_open((const char *)path->p, &fd, &owned, &error) == SL_OK)
            o.outputs[o.n_outputs++] = fd;
        else
            log_line(s->runtime.log, SL_LOG_ERROR, "service::telemetry::logs: %s", error.text);
    }
    sl_log_field fields[16];
    const sl_raw *initial = l->initial_fields;
    for (uint32_t i = 0; initial && i < initial->n && i < 16; i++) {
        fields[i].key = (const char *)initial->children[i].key.p;
        fields[i].value = initial->children[i].text;
        o.n_initial_fields = i + 1;
    }
    o.initial_fields = fields;
    (void)log_configure(s->runtime.log, &o);
}

/* The config decides about memory, so it is read before the rest is made. */
static int32_t prepare(struct service *s, const struct service_options *o,
                       struct config_diagnostics *d)
{
    sl_error error = {.size = sizeof error};
    s->tree_made = true;
    int32_t status = sources_load(&o->sources, &s->tree, d);
    if (status != SL_OK)
        return status;
    s->config_made = true;
    /* Of a config that is wrong there, the components are looked at too, so that all is said at
     * once; the graph is not made. */
    status = service_init(&s->config, &s->tree, NULL, d);
    if (status != SL_OK && status != SL_ERR_INVALID)
        return status;
    const struct runtime_options options = {
        .memory_limit = s->config.memory_limit ? s->config.memory_limit : system_memory_default(),
        .plugin_directories = o->plugin_directories,
        .n_plugin_directories = o->n_plugin_directories,
        .installed_plugins = SLUICE_PLUGIN_DIRECTORY,
        .state_directory = o->state_directory,
    };
    status = runtime_init(&s->runtime, &options, &error);
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
    if (prepare(s, o, d) == SL_OK)
        s->graph = graph_create(&s->runtime, &s->config, d);
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
    metrics_page_destroy(s->page);
    graph_destroy(s->graph);
    loop_destroy(s->loop);
    runtime_deinit(&s->runtime);
    if (s->config_made)
        service_deinit(&s->config);
    if (s->tree_made)
        tree_deinit(&s->tree);
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

static void begin_drain(struct service *s)
{
    if (s->draining)
        return;
    s->draining = true;
    s->deadline_ns = clock_now(s->runtime.clock) + s->config.shutdown_timeout_ns;
    graph_drain(s->graph, s->deadline_ns);
    loop_tick_every(s->loop, DRAIN_CHECK_MS);
}

static void on_signal(void *arg, int number)
{
    struct service *s = arg;
    if (number == SIGHUP) {
        log_line(s->runtime.log, SL_LOG_WARN,
                 "SIGHUP: reloading the config is not supported by this version; nothing changed");
        return;
    }
    if (s->signals++) {
        log_line(s->runtime.log, SL_LOG_WARN, "Second signal: not waiting for the drain to finish");
        loop_end(s->loop);
        return;
    }
    log_line(s->runtime.log, SL_LOG_INFO, "Received signal from OS: %s. Draining, at most %.1f s.",
             number == SIGTERM ? "terminated" : "interrupt",
             (double)s->config.shutdown_timeout_ns / 1e9);
    begin_drain(s);
}

static void on_tick(void *arg)
{
    struct service *s = arg;
    if (s->draining && (graph_drained(s->graph) || clock_now(s->runtime.clock) >= s->deadline_ns))
        loop_end(s->loop);
}

static void fatal_on_loop(void *arg)
{
    begin_drain(arg);
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

static void say_durability(struct service *s)
{
    log_line(s->runtime.log, SL_LOG_INFO,
             "No pipeline has a journal: what is acknowledged is kept in memory until it is sent, "
             "and lost if the process is killed.");
}

static int finish(struct service *s, int status)
{
    loop_tick_every(s->loop, 0);
    s->left = graph_stop(s->graph);
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
    if (s->config.metrics.enabled) {
        s->page = metrics_page_create(s->graph, &s->runtime, &s->config, loop_uv(s->loop), &error);
        if (!s->page) {
            log_line(s->runtime.log, SL_LOG_ERROR, "Cannot start: service::telemetry::metrics: %s",
                     error.text);
            return finish(s, SERVICE_NOT_STARTED);
        }
    }
    say_durability(s);
    log_line(s->runtime.log, SL_LOG_INFO,
             "Everything is ready. Begin running and processing data.");
    loop_run(s->loop);
    loop_tick_every(s->loop, 0); /* the loop still runs to close its handles; lanes are gone then */
    return finish(s, __atomic_load_n(&s->fatal, __ATOMIC_ACQUIRE) ? SERVICE_FATAL_ERROR
                                                                  : SERVICE_ENDED);
}

const struct config_tree *service_tree(const struct service *s)
{
    return &s->tree;
}

const struct service_config *service_settings(const struct service *s)
{
    return &s->config;
}
