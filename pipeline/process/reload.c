/* Reloading the config of the running process: on SIGHUP, and with --watch when a file changes.
 *
 * The thread below does one reload from the sources to the end of what it replaced. It calls on the
 * loop for what belongs there: to prepare the metrics page before the swap, to take over what has
 * been swapped, and to be joined. The loop runs until it has been. */
#include "pipeline/graph/reload.h"
#include "pipeline/memory/memory.h"
#include "pipeline/process/fault.h"
#include "pipeline/process/service_internal.h"
#include <inttypes.h>
#include <time.h>

enum { DRAIN_LOOK_NS = 5000000 };

struct job {
    struct service *s;
    struct settings *next;
    struct config_diagnostics d;
    struct reload swap;
    struct graph *now; /* NULL: the reload failed */
    struct logs logs;
    bool new_logs, loop_prepared;
    int64_t began_ns;
};

/* ---- calls on the loop, which are waited for ---- */

struct call {
    pthread_mutex_t mutex;
    pthread_cond_t over;
    bool is_over;
    void (*run)(struct job *, sl_error *);
    struct job *job;
    sl_error *error;
};

static void run_call(void *arg)
{
    struct call *c = arg;
    c->run(c->job, c->error);
    pthread_mutex_lock(&c->mutex);
    c->is_over = true;
    pthread_cond_signal(&c->over);
    pthread_mutex_unlock(&c->mutex);
}

/* Memory is short at most for a moment, and what has been swapped must be taken over. */
static void call_on_loop(struct job *j, void (*run)(struct job *, sl_error *), sl_error *error)
{
    struct call c = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                     .over = PTHREAD_COND_INITIALIZER,
                     .run = run,
                     .job = j,
                     .error = error};
    while (!loop_post(j->s->loop, run_call, &c))
        (void)nanosleep(&(struct timespec){.tv_nsec = DRAIN_LOOK_NS}, NULL);
    pthread_mutex_lock(&c.mutex);
    while (!c.is_over)
        pthread_cond_wait(&c.over, &c.mutex);
    pthread_mutex_unlock(&c.mutex);
}

/* ---- the process's own parts; on the loop ---- */

static void prepare_own(struct job *j, sl_error *error)
{
    static const char *const logs_path[] = {"service", "telemetry", "logs", NULL};
    struct service *s = j->s;
    const struct service_config *config = &j->next->config;
    sl_error own = {.size = sizeof own};
    if (!settings_agree(s->settings, j->next, logs_path)) {
        if (logs_open(&j->logs, &config->logs, &own) != SL_OK) {
            (void)sl_fail(error, SL_ERR_IO, "service::telemetry::logs: %s", own.text);
            return;
        }
        j->new_logs = true;
    }
    if (metrics_page_prepare(s->page, config, &own) != SL_OK) {
        (void)sl_fail(error, SL_ERR_IO, "service::telemetry::metrics: %s", own.text);
        if (j->new_logs)
            logs_close(&j->logs);
        j->new_logs = false;
        return;
    }
    j->loop_prepared = true;
    memory_set_limit(s->runtime.memory, service_memory_limit(config));
}

static int32_t prepare(void *arg, sl_error *error)
{
    struct job *j = arg;
    call_on_loop(j, prepare_own, error);
    return j->loop_prepared ? SL_OK : SL_ERR_IO;
}

static void take_over(struct job *j, sl_error *error)
{
    struct service *s = j->s;
    struct settings *old = s->settings;
    (void)error;
    s->graph = j->now;
    s->settings = j->next;
    metrics_page_commit(s->page, &s->settings->config);
    if (j->new_logs && logs_apply(&j->logs, &s->settings->config.logs, s->runtime.log) == SL_OK) {
        logs_close(&s->logs);
        s->logs = j->logs;
    }
    if (s->watch)
        (void)watch_files(s->watch, s->settings->files, s->settings->n_files, false);
    atomic_store(&s->reloading.deadline_ns,
                 clock_now(s->runtime.clock) + s->settings->config.shutdown_timeout_ns);
    s->reloading.is_swapped = true;
    settings_destroy(old);
    if (s->reloading.ends_process)
        service_end(s);
}

static void give_up(struct job *j, sl_error *error)
{
    struct service *s = j->s;
    (void)error;
    if (s->watch && j->next) /* its mistake may be mended in a file that is new in it */
        (void)watch_files(s->watch, j->next->files, j->next->n_files, true);
}

/* ---- the outcome ---- */

static double ms_since(const struct job *j)
{
    return (double)(clock_now(j->s->runtime.clock) - j->began_ns) / 1e6;
}

static void say_reasons(struct job *j)
{
    static const int32_t levels[CONFIG_SEVERITIES] = {SL_LOG_ERROR, SL_LOG_WARN, SL_LOG_DEBUG};
    diagnostics_sort(&j->d);
    for (uint32_t i = 0; i < j->d.n; i++) {
        const struct config_diagnostic *one = &j->d.list[i];
        if (one->at.file)
            log_line(j->s->runtime.log, levels[one->severity], "%s:%u:%u: %s", one->at.file,
                     one->at.line, one->at.column, one->text);
        else
            log_line(j->s->runtime.log, levels[one->severity], "%s", one->text);
    }
}

static void say_outcome(struct job *j)
{
    struct runtime *r = &j->s->runtime;
    struct reload_history *h = &r->reloads;
    say_reasons(j);
    if (j->now) {
        atomic_fetch_add(&h->succeeded, 1);
        atomic_store(&h->last_success_ns, clock_wall(r->clock));
        log_line(r->log, SL_LOG_INFO,
                 "Configuration reloaded in %.1f ms: %u components kept, %u made, %u removed.",
                 ms_since(j), j->swap.kept, j->swap.made, j->swap.removed);
    } else if (!atomic_load(&j->s->reloading.cancel)) {
        atomic_fetch_add(&h->failed, 1);
        atomic_store(&h->last_failure_ns, clock_wall(r->clock));
        log_line(r->log, SL_LOG_ERROR,
                 "Configuration not reloaded (%u error%s, %.1f ms). Nothing has changed.",
                 j->d.count[CONFIG_ERROR], j->d.count[CONFIG_ERROR] == 1 ? "" : "s", ms_since(j));
    } else {
        log_line(r->log, SL_LOG_WARN, "The process ends: the configuration is not reloaded.");
    }
}

/* ---- the thread ---- */

static void swap(struct job *j)
{
    struct service *s = j->s;
    j->next = settings_load(&s->options.sources, &j->d);
    if (!j->next || !j->next->has_config)
        return;
    j->swap = (struct reload){.runtime = &s->runtime,
                              .now = s->graph,
                              .old = &s->settings->config,
                              .next = &j->next->config,
                              .cancel = &s->reloading.cancel,
                              .prepare = prepare,
                              .arg = j};
    j->now = reload_swap(&j->swap, &j->d);
}

/* What was replaced forwards and sends what it holds; its deadline may be brought forward. */
static void retire(struct job *j)
{
    struct service *s = j->s;
    struct graph *old = j->swap.now;
    graph_drain(old, atomic_load(&s->reloading.deadline_ns));
    while (!graph_drained(old) &&
           clock_now(s->runtime.clock) < atomic_load(&s->reloading.deadline_ns))
        (void)nanosleep(&(struct timespec){.tv_nsec = DRAIN_LOOK_NS}, NULL);
    const uint64_t left = reload_retire(old);
    fault_point("reload.retired");
    atomic_fetch_add(&s->runtime.reloads.items_left, left);
    if (left)
        log_line(s->runtime.log, SL_LOG_WARN,
                 "What the reload removed did not drain in time. %" PRIu64
                 " items were left and are reported as failed.",
                 left);
}

static void joined(void *arg)
{
    struct service *s = arg;
    struct reloading *r = &s->reloading;
    const bool again = r->again, ends = r->ends_process;
    (void)pthread_join(r->thread, NULL);
    *r = (struct reloading){.runs = false};
    if (ends)
        service_end(s);
    else if (again)
        reload_begin(s);
}

static void *reload(void *arg)
{
    struct service *s = arg;
    struct job j = {.s = s, .began_ns = clock_now(s->runtime.clock)};
    diagnostics_init(&j.d, NULL);
    swap(&j);
    call_on_loop(&j, j.now ? take_over : give_up, NULL);
    say_outcome(&j);
    diagnostics_deinit(&j.d);
    if (j.now)
        retire(&j);
    else
        settings_destroy(j.next);
    while (!loop_post(s->loop, joined, s))
        (void)nanosleep(&(struct timespec){.tv_nsec = DRAIN_LOOK_NS}, NULL);
    return NULL;
}

/* ---- from the loop ---- */

void reload_begin(struct service *s)
{
    struct reloading *r = &s->reloading;
    if (s->draining || r->ends_process)
        return;
    if (r->runs) {
        if (!r->again)
            log_line(s->runtime.log, SL_LOG_INFO,
                     "Another reload follows once this one is through%s.",
                     r->is_swapped ? " and what it removed has drained" : "");
        r->again = true;
        return;
    }
    r->runs = pthread_create(&r->thread, NULL, reload, s) == 0;
    if (!r->runs)
        log_line(s->runtime.log, SL_LOG_ERROR,
                 "Configuration not reloaded: no thread can be started. Nothing has changed.");
}

bool reload_let_end(struct service *s)
{
    struct reloading *r = &s->reloading;
    if (!r->runs || r->is_swapped)
        return true;
    r->ends_process = true;
    pthread_mutex_lock(&s->runtime.topology);
    atomic_store(&r->cancel, true);
    pthread_cond_broadcast(&s->runtime.status_changed);
    pthread_mutex_unlock(&s->runtime.topology);
    return false;
}

void reload_hurry(struct service *s)
{
    atomic_store(&s->reloading.deadline_ns, 0);
}
