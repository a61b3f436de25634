/* Pipelines' journals: where they lie, and what they lead to. */
#include "pipeline/graph/journals.h"
#include "pipeline/graph/build.h"
#include "pipeline/graph/lane.h"
#include "pipeline/graph/stores.h"
#include "pipeline/telemetry/log.h"
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/stat.h>

/* ---- planning ---- */

const sl_storage_provider *storage_of(const struct component *c)
{
    return c->type->interface_of ? c->type->interface_of(c->self, SL_STORAGE_PROVIDER) : NULL;
}

struct component *storage_find(struct graph *g, sl_bytes id, const char *wanted_by,
                               struct config_place at, struct config_diagnostics *d)
{
    for (uint32_t i = 0; i < g->n_extensions; i++) {
        struct component *c = g->extensions[i];
        if (!sl_eq(sl_str(c->id), id))
            continue;
        if (storage_of(c))
            return c;
        diagnostics_add(d, CONFIG_ERROR, at, "%s: the extension \"%s\" is no storage; %s",
                        wanted_by, c->id, "file_storage is one");
        return NULL;
    }
    diagnostics_add(d, CONFIG_ERROR, at,
                    "%s: the storage \"%.*s\" is not among service::extensions", wanted_by,
                    (int)id.n, (const char *)id.p);
    return NULL;
}

void journal_make_plan(struct graph *g, struct pipeline *p, const struct service_pipeline *sp,
                       struct config_diagnostics *d)
{
    char what[160];
    (void)snprintf(what, sizeof what, "journal of pipeline \"%.100s\"", sp->id);
    p->journal.config = sp->journal;
    p->journal.wanted = sp->has_journal || g->runtime->journal_directory;
    if (sp->has_journal)
        p->journal.storage = storage_find(g, sp->journal.storage, what, sp->journal_at, d);
}

/* ---- opening ---- */

static int32_t make_directory(const char *path, sl_error *error)
{
    return mkdir(path, 0700) && errno != EEXIST
               ? sl_fail(error, SL_ERR_IO, "--journal: cannot make \"%s\": %s", path,
                         strerror(errno))
               : SL_OK;
}

void journal_options(const struct pipeline *p, struct stream_options *o)
{
    const struct journal_plan *plan = &p->journal;
    const sl_storage_provider *storage = plan->storage ? storage_of(plan->storage) : NULL;
    const struct service_journal *c = &plan->config;
    const bool power = c->durability == SERVICE_SURVIVES_POWER || (storage && storage->sync);
    const uint64_t most = storage ? storage->max_bytes : 0;
    *o = (struct stream_options){
        .directory = storage ? storage->directory : p->runtime->journal_directory,
        .durability = power ? JOURNAL_POWER : JOURNAL_PROCESS,
        .on_full = c->on_full == SERVICE_DROP_OLDEST ? JOURNAL_DROP_OLDEST : JOURNAL_REFUSE,
        .max_bytes = most && most < c->max_bytes ? most : c->max_bytes,
        .max_age_ns = c->max_age,
    };
}

static int32_t open_one(struct pipeline *p, sl_error *error)
{
    char name[256];
    struct stream_options options;
    journal_options(p, &options);
    (void)snprintf(name, sizeof name, "in %.200s", p->id);
    options.name = name;
    if (!p->journal.storage) {
        const int32_t status = make_directory(options.directory, error);
        if (status != SL_OK)
            return status;
    }
    sl_error why = {.size = sizeof why};
    p->journal.stream = stream_open(p->runtime, &options, &why);
    return p->journal.stream
               ? SL_OK
               : sl_fail(error, why.code, "journal of pipeline \"%s\": %s", p->id, why.text);
}

static void say_what_waits(const struct pipeline *p)
{
    struct stream_stats stats;
    stream_read(p->journal.stream, &stats);
    if (stats.log.records)
        log_line(p->runtime->log, SL_LOG_INFO,
                 "journal \"%s\": %" PRIu64 " items in %" PRIu64 " records (%" PRIu64
                 " bytes) wait from before; they are offered again",
                 stream_name(p->journal.stream), stats.log.items, stats.log.records,
                 stats.log.bytes);
}

struct looked_for {
    const char *directory;
    bool found;
};

static void is_it(void *arg, struct stream *s)
{
    struct looked_for *l = arg;
    l->found |= stream_is_at(s, l->directory);
}

/* Data that no pipeline of the config will ever read. */
static void look_for_strays(struct runtime *r, const char *directory)
{
    DIR *dir = opendir(directory);
    for (const struct dirent *e; dir && (e = readdir(dir));) {
        char path[PATH_MAX];
        struct looked_for l = {.directory = path};
        if (strncmp(e->d_name, "in-", 3) != 0 && strncmp(e->d_name, "out-", 4) != 0)
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", directory, e->d_name);
        streams_each(r, is_it, &l);
        if (!l.found)
            log_line(r->log, SL_LOG_WARN,
                     "\"%s\": no pipeline or exporter of this configuration reads this journal; "
                     "`sluice journal ls %s` shows what is in it",
                     path, directory);
    }
    if (dir)
        (void)closedir(dir);
}

static void say_what_is_not_used(const struct graph *g)
{
    if (g->runtime->journal_directory)
        look_for_strays(g->runtime, g->runtime->journal_directory);
    for (uint32_t i = 0; i < g->n_extensions; i++) {
        const sl_storage_provider *storage = storage_of(g->extensions[i]);
        if (storage)
            look_for_strays(g->runtime, storage->directory);
    }
}

int32_t journals_open(struct graph *g, sl_error *error)
{
    int32_t status = SL_OK;
    for (uint32_t i = 0; i < g->n_pipelines && status == SL_OK; i++) {
        struct pipeline *p = g->pipelines[i];
        if (!p->journal.wanted)
            continue;
        status = open_one(p, error);
        if (status == SL_OK && !g->before)
            say_what_waits(p);
    }
    if (status == SL_OK)
        status = stores_open(g, error);
    if (status == SL_OK)
        say_what_is_not_used(g);
    return status;
}

/* ---- leading ---- */

static bool has_room(void *ctx, const sl_hear *ready)
{
    /* where it could not be remembered who waits, rather too much than nothing for ever */
    return pipeline_lanes_have_room(ctx, NULL, ready, NULL) != SL_ERR_FULL;
}

static void push(void *ctx, struct delivery *d)
{
    pipeline_enter(ctx, d, NULL);
}

static void forget(void *ctx, const sl_hear *ready)
{
    const struct pipeline *p = ctx;
    for (uint32_t l = 0; l < p->n_lanes; l++)
        lane_forget(&p->lanes[l], ready);
}

static bool has_stream(const struct graph *g, const struct stream *s)
{
    for (uint32_t i = 0; i < g->n_pipelines; i++)
        if (g->pipelines[i]->journal.stream == s)
            return true;
    return false;
}

static void say_what_is_left(const struct pipeline *p)
{
    struct stream_stats stats;
    stream_read(p->journal.stream, &stats);
    if (stats.log.waiting_items)
        log_line(p->runtime->log, SL_LOG_WARN,
                 "journal \"%s\": no pipeline reads it any more; %" PRIu64
                 " items wait in it until one does",
                 stream_name(p->journal.stream), stats.log.waiting_items);
}

void journals_lead(struct graph *g, struct graph *before)
{
    stores_lead(g);
    for (uint32_t i = 0; i < g->n_pipelines; i++) {
        struct pipeline *p = g->pipelines[i];
        const struct stream_outlet outlet = {
            .ctx = p, .has_room = has_room, .push = push, .forget = forget};
        if (p->journal.stream)
            stream_lead(p->journal.stream, &outlet);
    }
    for (uint32_t i = 0; before && i < before->n_pipelines; i++) {
        struct pipeline *p = before->pipelines[i];
        if (!p->journal.stream || has_stream(g, p->journal.stream))
            continue;
        stream_leave(p->journal.stream, p);
        say_what_is_left(p);
    }
}

void journals_pause(struct graph *g)
{
    stores_pause(g);
    for (uint32_t i = 0; i < g->n_pipelines; i++)
        if (g->pipelines[i]->journal.stream)
            stream_leave(g->pipelines[i]->journal.stream, g->pipelines[i]);
}

void journal_release(struct pipeline *p)
{
    if (p->journal.stream)
        stream_leave(p->journal.stream, p);
    stream_release(p->journal.stream);
    p->journal.stream = NULL;
}

/* ---- questions ---- */

static void add_up(void *arg, struct stream *s)
{
    struct journals_left *left = arg;
    struct stream_stats stats;
    stream_read(s, &stats);
    left->streams++;
    left->items += stats.log.items;
    left->bytes += stats.log.bytes;
}

struct journals_left journals_left(struct runtime *r)
{
    struct journals_left left = {0};
    streams_each(r, add_up, &left);
    return left;
}

uint32_t journals_count(const struct graph *g)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->n_pipelines; i++)
        n += g->pipelines[i]->journal.wanted;
    return n;
}
