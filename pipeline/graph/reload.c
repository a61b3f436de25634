/* The reload of a graph: plan what stays, build the rest, start it, swap, and later retire what has
 * left. See reload.h for the rules and docs/architecture.md for the whole way. */
#include "pipeline/graph/reload.h"
#include "pipeline/graph/build.h"
#include "pipeline/graph/component.h"
#include "pipeline/graph/sink.h"
#include "pipeline/graph/sockets.h"
#include "pipeline/process/fault.h"
#include <errno.h>
#include <time.h>

/* ---- what stays ---- */

static const struct service_component *entry_of(const struct service_config *s,
                                                const struct component *c)
{
    const struct service_component *sc = service_find(s, c->kind, c->id);
    return sc && sc->used ? sc : NULL;
}

static bool same_config(const struct reload *r, const struct component *c)
{
    const struct service_component *before = entry_of(r->old, c), *after = entry_of(r->next, c);
    return before && after && config_node_equal(before->node, after->node);
}

/* Will looking up the name find what it found? Only components that stay are still the same. */
static bool finds_the_same(const struct reload *r, const char *name)
{
    for (uint32_t kind = SL_KIND_receiver; kind <= SL_KIND_extension; kind++) {
        const struct component *c = graph_component(r->now, kind, name);
        const struct service_component *after = service_find(r->next, kind, name);
        if ((c != NULL) != (after && after->used) || (c && !c->plan.stays))
            return false;
    }
    return true;
}

static bool uses_the_same(const struct reload *r, const struct component *c)
{
    for (uint32_t i = 0; i < c->n_uses; i++)
        if (!finds_the_same(r, c->uses[i]))
            return false;
    return true;
}

static void plan(const struct reload *r)
{
    struct graph *g = r->now;
    for (uint32_t i = 0; i < g->n_components; i++)
        g->components[i]->plan.stays = same_config(r, g->components[i]);
    pthread_mutex_lock(&r->runtime->topology); /* guards what they use */
    for (bool again = true; again;) {
        again = false;
        for (uint32_t i = 0; i < g->n_components; i++) {
            struct component *c = g->components[i];
            if (c->plan.stays && !uses_the_same(r, c)) {
                c->plan.stays = false;
                again = true;
            }
        }
    }
    pthread_mutex_unlock(&r->runtime->topology);
}

static void forget_plan(struct graph *g)
{
    for (uint32_t i = 0; i < g->n_components; i++)
        g->components[i]->plan.stays = false;
}

/* ---- before the swap: all that can fail ---- */

enum { READY_WAIT_S = 10 };

/* Of what was made anew: has one failed since its start, or is one not ready yet? The topology's
 * mutex is held. */
static const struct component *look(const struct graph *g, int32_t least, int32_t most)
{
    for (uint32_t i = 0; i < g->n_components; i++) {
        const struct component *c = g->components[i];
        const int32_t status = atomic_load(&c->status);
        if (!c->plan.stays && status >= least && status <= most)
            return c;
    }
    return NULL;
}

static bool is_cancelled(const struct reload *r)
{
    return r->cancel && atomic_load(r->cancel);
}

/* Some components go on starting on other threads: loading gRPC, for example. */
static int32_t await_ready(const struct reload *r, struct graph *g, sl_error *error)
{
    struct timespec until;
    int timed_out = 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += READY_WAIT_S;
    pthread_mutex_lock(&r->runtime->topology);
    while (!is_cancelled(r) && !timed_out && !look(g, SL_STATUS_PERMANENT, SL_STATUS_FATAL) &&
           look(g, SL_STATUS_STARTING, SL_STATUS_STARTING))
        timed_out = pthread_cond_timedwait(&r->runtime->status_changed, &r->runtime->topology,
                                           &until) == ETIMEDOUT;
    const struct component *failed = look(g, SL_STATUS_PERMANENT, SL_STATUS_FATAL);
    const struct component *late = look(g, SL_STATUS_STARTING, SL_STATUS_STARTING);
    pthread_mutex_unlock(&r->runtime->topology);
    if (is_cancelled(r))
        return sl_fail(error, SL_ERR_SHUTDOWN, "the process is ending");
    const struct component *c = failed ? failed : late;
    return c ? sl_fail(error, failed ? SL_ERR_FAILED : SL_ERR_TIMEOUT, "%s \"%s\": %s",
                       service_kind_name(c->kind), c->id,
                       failed ? c->status_text : "is not ready after 10 s")
             : SL_OK;
}

static int32_t start(const struct reload *r, struct graph *g, sl_error *error)
{
    int32_t status = graph_start_consumers(g, error);
    if (status == SL_OK)
        status = graph_start_receivers(g, error);
    if (status == SL_OK)
        status = await_ready(r, g, error);
    return status == SL_OK && r->prepare ? r->prepare(r->arg, error) : status;
}

/* ---- the swap: nothing here can fail ---- */

/* Exporters of the same name: the new one goes on with what the old one has not sent. */
static void hand_over_queues(struct graph *from, struct graph *to)
{
    for (uint32_t i = 0; i < from->n_components; i++) {
        const struct component *old = from->components[i];
        const struct component *heir = graph_component(to, old->kind, old->id);
        for (uint32_t s = 0; heir && !old->plan.stays && s < SIGNALS; s++)
            if (old->sinks[s] && heir->sinks[s])
                sink_hand_over(old->sinks[s], heir->sinks[s]);
    }
}

static uint32_t leave_out(struct component **list, uint32_t n)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < n; i++)
        if (!list[i]->plan.stays)
            list[left++] = list[i];
    return left;
}

static void swap(struct reload *r, struct graph *g)
{
    struct graph *old = r->now;
    graph_take_over(g);
    hand_over_queues(old, g);
    pthread_mutex_lock(&r->runtime->topology);
    r->kept = old->n_components;
    r->made = g->n_components;
    old->n_components = leave_out(old->components, old->n_components);
    old->n_extensions = leave_out(old->extensions, old->n_extensions);
    r->removed = old->n_components;
    r->kept -= r->removed;
    r->made -= r->kept;
    g->up_since = old->up_since;
    g->started = true;
    g->before = NULL;
    pthread_mutex_unlock(&r->runtime->topology);
    forget_plan(g);
    graph_open(g);
}

struct graph *reload_swap(struct reload *r, struct config_diagnostics *d)
{
    sl_error error = {.size = sizeof error};
    plan(r);
    struct graph *g = graph_build(r->runtime, r->next, r->now, d);
    if (g) {
        sockets_share(r->runtime->sockets, r->now);
        const int32_t status = start(r, g, &error);
        sockets_share(r->runtime->sockets, NULL);
        if (status == SL_OK) {
            fault_point("reload.before_swap");
            swap(r, g);
            fault_point("reload.after_swap");
            return g;
        }
        diagnostics_add(d, CONFIG_ERROR, (struct config_place){0}, "cannot start: %s", error.text);
        graph_destroy(g);
    }
    forget_plan(r->now);
    return NULL;
}

/* ---- afterwards ---- */

static void forget_waiters(void *arg, struct lane *lane)
{
    (void)arg;
    lane_forget_gone(lane);
}

uint64_t reload_retire(struct graph *old)
{
    struct graph *now = old->runtime->current;
    const uint64_t left = graph_stop(old);
    graph_lanes(now, forget_waiters, NULL);
    graph_forget_gone(now);
    graph_destroy(old);
    return left;
}
