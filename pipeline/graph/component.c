/* Components: config, lifecycle, status, and the way of an offer into the graph. */
#include "pipeline/graph/component.h"
#include "pipeline/delivery/metadata.h"
#include "pipeline/graph/host.h"
#include "pipeline/graph/outlet.h"
#include "pipeline/graph/sink.h"
#include "pipeline/graph/sockets.h"
#include "pipeline/telemetry/log.h"
#include "pipeline/telemetry/metrics.h"
#include <stdlib.h>

enum { EXPORTER_PARTS = 3 };

/* The accounts of a config entry, whichever component stands for it before and after a reload, so
 * that its metrics go on counting. Control threads. */
struct account {
    _Atomic uint32_t refs;
    struct ledger ledgers[SIGNALS];
};

static struct account *account_for(const struct component *predecessor)
{
    struct account *a = predecessor ? predecessor->account : calloc(1, sizeof *a);
    if (a)
        atomic_fetch_add(&a->refs, 1);
    return a;
}

static void account_unref(struct account *a)
{
    if (a && atomic_fetch_sub(&a->refs, 1) == 1)
        free(a);
}

static int32_t bind_config(struct component *c, const struct service_component *sc,
                           struct config_diagnostics *d)
{
    struct config_part parts[1 + EXPORTER_PARTS] = {
        {.fields = c->type->fields, .size = c->type->config_size}};
    sl_field timeout[2];
    uint32_t n = 0;
    if (c->kind == SL_KIND_exporter)
        exporter_config_parts(c->type, parts + 1, &n, timeout);
    char what[160];
    (void)snprintf(what, sizeof what, "%s \"%s\"", service_kind_name(c->kind), c->id);
    int32_t status = config_bind(what, sc->node, sc->at, parts, 1 + n, NULL, d, &c->bound);
    if (status != SL_OK)
        return status;
    c->config = parts[0].out;
    if (c->kind == SL_KIND_exporter) {
        sl_error error = {.size = sizeof error};
        struct exporter_config *e = calloc(1, sizeof *e);
        if (!e) {
            diagnostics_no_memory(d);
            return SL_ERR_NOMEM;
        }
        c->exporter = e;
        status = exporter_config_finish(c->type, parts + 1, e, &error);
        if (status != SL_OK)
            diagnostics_add(d, CONFIG_ERROR, sc->at, "%s: %s", what, error.text);
    }
    return status;
}

struct component *component_create(struct graph *g, struct runtime *r, const sl_type *type,
                                   const struct service_component *sc,
                                   const struct component *predecessor,
                                   struct config_diagnostics *d)
{
    struct component *c = calloc(1, sizeof *c);
    char *id = strdup(sc->id);
    struct config_place at = sc->at; /* of what is wrong */
    struct account *account = account_for(predecessor);
    if (!c || !id || !account) {
        free(c);
        free(id);
        account_unref(account);
        diagnostics_no_memory(d);
        return NULL;
    }
    c->runtime = r;
    c->graph = g;
    c->id = id;
    c->kind = sc->kind;
    c->type = type;
    c->account = account;
    c->ledgers = account->ledgers;
    c->log_fields[0] = log_text("otelcol.component.id", c->id);
    c->log_fields[1] = log_text("otelcol.component.kind", service_kind_name(c->kind));
    atomic_init(&c->status, SL_STATUS_OK);
    pthread_mutex_init(&c->mutex, NULL);
    pthread_cond_init(&c->jobs_done, NULL);
    host_init(&c->host, c, NULL);
    if (bind_config(c, sc, d) != SL_OK)
        goto failed;
    if (c->config)
        ((sl_base *)c->config)->host = &c->host.pub;
    c->self = c->config;
    sl_error error = {.size = sizeof error};
    if (type->create) {
        void *self = NULL;
        if (type->create(c->config, &self, &error) != SL_OK)
            goto refused;
        c->self = self;
    }
    c->state = COMPONENT_CREATED;
    if (type->prepare && type->prepare(c->self, &error) != SL_OK)
        goto refused;
    if (type->flags & SL_INERT)
        diagnostics_add(d, CONFIG_NOTE, sc->at, "%s \"%s\" has no effect in Sluice: %s",
                        service_kind_name(c->kind), c->id, type->help);
    return c;

refused:
    (void)config_place_of(c->bound, error.at, &at);
    diagnostics_add(d, CONFIG_ERROR, at, "%s \"%s\": %s", service_kind_name(c->kind), c->id,
                    error.text[0] ? error.text : "refused its configuration");
failed:
    component_destroy(c);
    return NULL;
}

int32_t component_start(struct component *c, sl_error *error)
{
    sl_error own = {.size = sizeof own};
    const int32_t status = c->type->start ? c->type->start(c->self, &own) : SL_OK;
    if (status != SL_OK)
        return sl_fail(error, status, "%s \"%s\": %s", service_kind_name(c->kind), c->id,
                       own.text[0] ? own.text : "cannot start");
    c->state = COMPONENT_RUNNING;
    if (c->type->flags & SL_INERT) {
        const sl_log_field why = log_text("reason", c->type->help);
        log_write(c->runtime->log, SL_LOG_INFO, sl_str("The component has no effect in Sluice"),
                  (struct log_fields){c->log_fields, 2}, (struct log_fields){&why, 1});
    }
    return SL_OK;
}

void component_drain(struct component *c, int64_t deadline_ns)
{
    if (c->state != COMPONENT_RUNNING)
        return;
    c->state = COMPONENT_DRAINING;
    if (c->type->drain)
        c->type->drain(c->self, deadline_ns);
}

void component_stop(struct component *c)
{
    if (c->state == COMPONENT_NEW || c->state == COMPONENT_STOPPED)
        return;
    c->state = COMPONENT_STOPPED;
    if (c->type->stop)
        c->type->stop(c->self);
    pthread_mutex_lock(&c->mutex);
    c->jobs_over = true;
    while (c->jobs)
        pthread_cond_wait(&c->jobs_done, &c->mutex);
    pthread_mutex_unlock(&c->mutex);
}

/* Nothing of the name runs any more: its metrics go, too. */
static void forget_metrics(const struct component *c)
{
    struct runtime *r = c->runtime;
    pthread_mutex_lock(&r->topology);
    const bool gone = r->current && !graph_component(r->current, c->kind, c->id);
    pthread_mutex_unlock(&r->topology);
    if (gone)
        metrics_forget(r->metrics, service_kind_name(c->kind), c->id);
}

static void component_free(struct component *c)
{
    if (c->state != COMPONENT_NEW && c->type->destroy)
        c->type->destroy(c->self);
    forget_metrics(c);
    sockets_done_by(c->runtime->sockets, c);
    for (uint32_t i = 0; i < SIGNALS; i++) {
        sink_destroy(c->sinks[i]);
        sink_destroy(c->plan.sinks[i]);
        free(c->plan.outlets[i]);
        free(atomic_load(&c->outlets[i]));
    }
    for (uint32_t i = 0; i < c->n_uses; i++)
        free(c->uses[i]);
    free(c->uses);
    account_unref(c->account);
    config_free(c->bound);
    pthread_cond_destroy(&c->jobs_done);
    pthread_mutex_destroy(&c->mutex);
    free((void *)(uintptr_t)c->exporter);
    free(c->storage_path);
    free((void *)(uintptr_t)c->id);
    free(c);
}

void component_destroy(struct component *c)
{
    if (!c)
        return;
    struct runtime *r = c->runtime;
    component_stop(c);
    pthread_mutex_lock(&r->topology);
    const bool lingers = atomic_load_explicit(&c->unsettled, memory_order_acquire) != 0;
    c->graph = NULL;
    if (lingers) {
        c->next_lingering = r->lingering;
        r->lingering = c;
    }
    pthread_mutex_unlock(&r->topology);
    if (!lingers)
        component_free(c);
}

void components_sweep(struct runtime *r)
{
    pthread_mutex_lock(&r->topology);
    struct component *all = r->lingering, *kept = NULL;
    r->lingering = NULL;
    pthread_mutex_unlock(&r->topology);
    while (all) {
        struct component *c = all;
        all = c->next_lingering;
        if (atomic_load_explicit(&c->unsettled, memory_order_acquire)) {
            c->next_lingering = kept;
            kept = c;
        } else {
            component_free(c);
        }
    }
    pthread_mutex_lock(&r->topology);
    while (kept) {
        struct component *c = kept;
        kept = c->next_lingering;
        c->next_lingering = r->lingering;
        r->lingering = c;
    }
    pthread_mutex_unlock(&r->topology);
}

bool component_uses(struct component *c, const char *name)
{
    for (uint32_t i = 0; i < c->n_uses; i++)
        if (!strcmp(c->uses[i], name))
            return true;
    char *copy = strdup(name);
    char **uses = copy ? realloc(c->uses, (c->n_uses + 1) * sizeof *uses) : NULL;
    if (!uses) {
        free(copy);
        return false;
    }
    c->uses = uses;
    c->uses[c->n_uses++] = copy;
    return true;
}

void component_report(struct component *c, int32_t status, const char *text)
{
    static const char *const names[] = {
        "", "starting", "ok", "recoverable error", "permanent error", "fatal error"};
    if (status < SL_STATUS_STARTING || status > SL_STATUS_FATAL)
        return;
    pthread_mutex_lock(&c->mutex);
    (void)snprintf(c->status_text, sizeof c->status_text, "%s", text ? text : "");
    pthread_mutex_unlock(&c->mutex);
    const int32_t before = atomic_exchange(&c->status, status);
    if (status != before && status >= SL_STATUS_RECOVERABLE) {
        const sl_log_field fields[] = {log_text("status", names[status]),
                                       log_text("error", text ? text : "")};
        log_write(c->runtime->log, status == SL_STATUS_RECOVERABLE ? SL_LOG_WARN : SL_LOG_ERROR,
                  sl_str("Component status changed"), (struct log_fields){c->log_fields, 2},
                  (struct log_fields){fields, 2});
    }
    const bool runs = graph_status_changed(c);
    if (status == SL_STATUS_FATAL && runs && c->runtime->fatal)
        c->runtime->fatal(c->runtime->fatal_arg, c->id, text ? text : "");
}

bool component_job_begins(struct component *c)
{
    pthread_mutex_lock(&c->mutex);
    const bool begins = !c->jobs_over;
    c->jobs += begins;
    pthread_mutex_unlock(&c->mutex);
    return begins;
}

void component_job_ends(struct component *c)
{
    pthread_mutex_lock(&c->mutex);
    if (--c->jobs == 0)
        pthread_cond_broadcast(&c->jobs_done);
    pthread_mutex_unlock(&c->mutex);
}

/* ---- offers ---- */

static void settle_empty(struct payload *payload, const sl_hear *hear, uint64_t cookie)
{
    const sl_result r = {.size = sizeof r};
    payload_unref(payload);
    if (hear && hear->taken)
        hear->taken(hear->ctx, cookie, &r);
    if (hear && hear->settled)
        hear->settled(hear->ctx, cookie, &r);
}

static int32_t offer_to(const struct outlet *outlet, struct component *c, struct payload *payload,
                        const sl_metadata *metadata, const sl_hear *hear, uint64_t cookie)
{
    if (!payload->pub.items) { /* never reaches a plugin */
        settle_empty(payload, hear, cookie);
        return SL_OK;
    }
    const int32_t status = outlet_room(outlet, c, hear, NULL);
    if (status != SL_OK)
        return status;
    metadata = metadata ? metadata_ref(metadata) : metadata_empty(clock_wall(c->runtime->clock));
    if (!metadata)
        return SL_ERR_NOMEM;
    struct ledger *ledger = &c->ledgers[signal_index(payload->pub.signal)];
    struct delivery *root = delivery_root(payload, metadata, hear, cookie, ledger, &c->unsettled);
    if (!root) {
        metadata_unref(metadata);
        return SL_ERR_NOMEM;
    }
    ledger_add(&ledger->received, payload->pub.items);
    struct delivery *run = hear && hear->taken ? root : NULL;
    if (run)
        delivery_run_begin(run, true);
    outlet_push(outlet, root, run);
    if (run)
        delivery_run_over(run);
    return SL_OK;
}

int32_t component_offer(struct component *c, struct payload *payload, const sl_metadata *metadata,
                        const sl_hear *hear, uint64_t cookie)
{
    uint32_t epoch;
    int32_t status;
    /* first: where it is open, the outlets are there */
    const uint32_t door = atomic_load_explicit(&c->door, memory_order_acquire);
    const struct outlet *outlet = outlet_enter(c, payload->pub.signal, &epoch);
    if (door == DOOR_NOT_YET)
        status = SL_ERR_UNAVAILABLE;
    else if (!outlet)
        status = SL_ERR_UNSUPPORTED;
    else if (door == DOOR_CLOSED)
        status = SL_ERR_SHUTDOWN;
    else
        status = offer_to(outlet, c, payload, metadata, hear, cookie);
    outlet_leave(c, epoch);
    return status;
}
