/* The host's optional interfaces: sockets, metrics, other plugins, storage, budget and memory,
 * descriptors, the process, rewritten payloads, codecs; what there is to inspect is in inspect.c. Each
 * function states its thread in plugin.h. */
#include "pipeline/graph/component.h"
#include "pipeline/graph/host.h"
#include "pipeline/graph/lane.h"
#include "pipeline/graph/sockets.h"
#include "pipeline/graph/transcode.h"
#include "pipeline/memory/memory.h"
#include "pipeline/memory/system.h"
#include "pipeline/plugins/loader.h"
#include "pipeline/process/loop.h"
#include "pipeline/telemetry/metrics.h"
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/stat.h>

static struct component *component_of(const sl_host *h)
{
    return host_of(h)->component;
}

/* ---- SL_LISTEN ---- */

static int32_t listen_open(const sl_host *h, sl_bytes endpoint, sl_bytes transport, int32_t *fd,
                           sl_error *error)
{
    const struct component *c = component_of(h);
    return sockets_open(c->runtime->sockets, c, endpoint, transport, fd, error);
}

static void listen_done(const sl_host *h, int32_t fd)
{
    sockets_done(component_of(h)->runtime->sockets, fd);
}

static const sl_listen listen_table = {
    .size = sizeof listen_table, .open = listen_open, .done = listen_done};

/* ---- SL_METRICS_INTERFACE ---- */

static sl_metric *metrics_metric(const sl_host *h, uint32_t kind, const char *name,
                                 const char *help, const char *label, const char *value)
{
    const struct component *c = component_of(h);
    const struct metric_def def = {.name = name, .help = help, .kind = kind};
    const struct metric_label labels[] = {
        {service_kind_name(c->kind), c->id},
        {label, value},
    };
    return (sl_metric *)metrics_series(c->runtime->metrics, &def, labels, label ? 2 : 1);
}

static sl_metric_histogram *metrics_histogram(const sl_host *h, const char *name, const char *help,
                                              const int64_t *bounds, uint32_t n_bounds)
{
    const struct component *c = component_of(h);
    const struct metric_def def = {.name = name,
                                   .help = help,
                                   .kind = METRIC_HISTOGRAM,
                                   .bounds = bounds,
                                   .n_bounds = n_bounds};
    const struct metric_label label = {service_kind_name(c->kind), c->id};
    return (sl_metric_histogram *)metrics_series(c->runtime->metrics, &def, &label, 1);
}

static void metrics_record(sl_metric_histogram *m, int64_t value)
{
    metric_record((struct metric *)m, value);
}

static sl_metric *metrics_labelled(const sl_host *h, uint32_t kind, const char *name,
                                   const char *help, const sl_log_field *fields, uint32_t n)
{
    const struct component *c = component_of(h);
    const struct metric_def def = {.name = name, .help = help, .kind = kind};
    struct metric_label labels[1 + SL_LABELS_MAX] = {{service_kind_name(c->kind), c->id}};
    char values[SL_LABELS_MAX][METRIC_VALUE_MAX + 1];
    if (n > SL_LABELS_MAX)
        return NULL;
    for (uint32_t i = 0; i < n; i++) {
        const sl_bytes value = fields[i].value;
        if (value.n > METRIC_VALUE_MAX)
            return NULL;
        if (value.n)
            memcpy(values[i], value.p, value.n);
        values[i][value.n] = 0;
        labels[1 + i] = (struct metric_label){fields[i].key, values[i]};
    }
    return (sl_metric *)metrics_series(c->runtime->metrics, &def, labels, 1 + n);
}

static void metrics_add(sl_metric *m, int64_t n)
{
    metric_add((struct metric *)m, n);
}

static void metrics_set(sl_metric *m, int64_t n)
{
    metric_set((struct metric *)m, n);
}

static const sl_metrics metrics_table = {.size = sizeof metrics_table,
                                         .metric = metrics_metric,
                                         .add = metrics_add,
                                         .set = metrics_set,
                                         .histogram = metrics_histogram,
                                         .record = metrics_record,
                                         .labelled = metrics_labelled};

/* ---- SL_PLUGINS ---- */

static int32_t plugins_load(const sl_host *h, const char *file, const char *id, const void **out,
                            sl_error *error)
{
    const struct runtime *r = component_of(h)->runtime;
    const struct plugin_file *found;
    const struct plugin *plugin;
    int32_t status = plugin_registry_file(r->registry, sl_str(file), &found, error);
    if (status != SL_OK)
        return status;
    status = plugin_load(r->loader, found->path, &plugin, error);
    if (status != SL_OK)
        return status;
    *out = plugin->interface_of ? plugin->interface_of(id) : NULL;
    return *out ? SL_OK
                : sl_fail(error, SL_ERR_NOT_FOUND, "plugin \"%s\" has no interface \"%s\"",
                          found->path, id);
}

static const sl_plugins plugins_table = {.size = sizeof plugins_table, .load = plugins_load};

/* ---- SL_STORAGE ---- */

static int32_t storage_directory(const sl_host *h, const char **path, sl_error *error)
{
    struct component *c = component_of(h);
    const char *base = c->runtime->state_directory;
    if (!base)
        return sl_fail(error, SL_ERR_NOT_FOUND, "the process has no state directory");
    if (!c->storage_path) {
        const size_t room = strlen(base) + strlen(c->id) + 16;
        char *made = malloc(room);
        if (!made)
            return sl_fail(error, SL_ERR_NOMEM, "no memory");
        const int n = snprintf(made, room, "%s/%s-", base, service_kind_name(c->kind));
        char *to = made + n;
        for (const char *p = c->id; *p; p++) /* ids hold one slash at most */
            *to++ = *p == '/' ? '@' : *p;
        *to = 0;
        if (mkdir(made, 0700) && errno != EEXIST) {
            const int32_t status =
                sl_fail(error, SL_ERR_IO, "cannot make \"%s\": %s", made, strerror(errno));
            free(made);
            return status;
        }
        c->storage_path = made;
    }
    *path = c->storage_path;
    return SL_OK;
}

static const sl_storage storage_table = {.size = sizeof storage_table,
                                         .directory = storage_directory};

/* ---- SL_BUDGET ---- */

static bool budget_reserve(const sl_host *h, uint64_t bytes)
{
    const struct component *c = component_of(h);
    if (c->kind == SL_KIND_receiver && !memory_takes_in(c->runtime->memory, bytes))
        return false;
    return memory_reserve(c->runtime->memory, bytes);
}

static void budget_give_back(const sl_host *h, uint64_t bytes)
{
    memory_give_back(component_of(h)->runtime->memory, bytes);
}

static const sl_budget budget_table = {
    .size = sizeof budget_table, .reserve = budget_reserve, .give_back = budget_give_back};

/* ---- SL_MEMORY ---- */

static uint64_t memory_used_by_process(const sl_host *h)
{
    (void)h;
    return system_memory_used();
}

static uint64_t memory_granted(const sl_host *h)
{
    (void)h;
    return system_memory_granted("");
}

static void memory_trim_all(const sl_host *h)
{
    memory_trim(component_of(h)->runtime->memory);
    (void)malloc_trim(0);
}

static const sl_memory memory_table = {.size = sizeof memory_table,
                                       .used = memory_used_by_process,
                                       .granted = memory_granted,
                                       .trim = memory_trim_all};

/* ---- SL_POLL ---- */

static int32_t poll_watch(const sl_host *h, int32_t fd, uint32_t events)
{
    struct instance *in = host_of(h)->instance;
    struct loop *loop = component_of(h)->runtime->loop;
    if (!in || !loop)
        return SL_ERR_UNSUPPORTED;
    return loop_watch(loop, in, fd, events);
}

static const sl_poll poll_table = {.size = sizeof poll_table, .watch = poll_watch};

/* ---- SL_PROCESS ---- */

static bool process_healthy(const sl_host *h)
{
    return runtime_healthy(component_of(h)->runtime);
}

static int64_t process_up_since(const sl_host *h)
{
    return runtime_up_since(component_of(h)->runtime);
}

static void process_write_metrics(const sl_host *h, void (*write)(void *, sl_bytes), void *ctx)
{
    const struct runtime *r = component_of(h)->runtime;
    if (r->write_metrics)
        r->write_metrics(r->write_metrics_arg, write, ctx);
}

static int32_t process_last_reload(const sl_host *h, int64_t *at_ns)
{
    const struct reload_history *r = &component_of(h)->runtime->reloads;
    const int64_t good = atomic_load(&r->last_success_ns), bad = atomic_load(&r->last_failure_ns);
    *at_ns = good > bad ? good : bad;
    return !*at_ns ? SL_ERR_NOT_FOUND : good > bad ? SL_OK : SL_ERR_FAILED;
}

static const sl_process process_table = {.size = sizeof process_table,
                                         .healthy = process_healthy,
                                         .up_since = process_up_since,
                                         .write_metrics = process_write_metrics,
                                         .last_reload = process_last_reload};

/* ---- SL_REWRITE ---- */

static int32_t rewrite_close(const sl_host *h, sl_payload *p, const sl_payload *from, uint64_t used,
                             const sl_bytes *segments, uint32_t n, uint32_t signal, uint32_t items,
                             uint32_t flags)
{
    (void)h;
    return payload_close_rewritten(payload_of(p), from ? payload_of(from) : NULL, used, segments, n,
                                   signal, items, flags);
}

static const sl_rewrite rewrite_table = {.size = sizeof rewrite_table, .close = rewrite_close};

/* ---- SL_CODECS ---- */

static int32_t codecs_transcode(const sl_host *h, const sl_payload *in, const char *encoding,
                                sl_payload **out, sl_error *error)
{
    return payload_transcode(component_of(h)->runtime, in, encoding, out, error);
}

static const sl_codecs codecs_table = {.size = sizeof codecs_table, .transcode = codecs_transcode};

/* ---- SL_JOURNAL_NOTE ---- */

static int32_t note_append(const sl_host *h, sl_bytes key, sl_bytes note)
{
    const struct instance *in = host_of(h)->instance;
    return in && in->log ? journal_note(in->log, sl_str(in->component->id), key, note)
                         : SL_ERR_UNSUPPORTED;
}

static void note_forget(const sl_host *h, sl_bytes key)
{
    const struct instance *in = host_of(h)->instance;
    if (in && in->log)
        journal_forget(in->log, sl_str(in->component->id), key);
}

static const sl_journal_note note_table = {
    .size = sizeof note_table, .append = note_append, .forget = note_forget};

const void *host_interface(const sl_host *h, const char *id)
{
    static const struct {
        const char *id;
        const void *interface;
    } all[] = {
        {SL_LISTEN, &listen_table},   {SL_METRICS_INTERFACE, &metrics_table},
        {SL_PLUGINS, &plugins_table}, {SL_STORAGE, &storage_table},
        {SL_BUDGET, &budget_table},   {SL_POLL, &poll_table},
        {SL_PROCESS, &process_table}, {SL_MEMORY, &memory_table},
        {SL_INSPECT, &inspect_table}, {SL_REWRITE, &rewrite_table},
        {SL_CODECS, &codecs_table},
    };
    const struct instance *in = host_of(h)->instance;
    if (!strcmp(id, SL_JOURNAL_NOTE))
        return in && in->log ? &note_table : NULL;
    for (uint32_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(all[i].id, id))
            return all[i].interface;
    return NULL;
}
