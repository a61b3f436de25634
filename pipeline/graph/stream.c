/* Journal streams: their life, where they lead, and what their logs tell. */
#include "pipeline/graph/sink.h"
#include "pipeline/graph/stream_internal.h"
#include "pipeline/graph/workers.h"
#include "pipeline/memory/memory.h"
#include "pipeline/telemetry/ids.h"
#include "pipeline/telemetry/log.h"
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- references ---- */

void stream_ref(struct stream *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
}

static void stream_free(struct stream *s)
{
    waiters_free(s->waiters);
    while (s->encodings) {
        struct encoding_name *next = s->encodings->next;
        free(s->encodings);
        s->encodings = next;
    }
    pthread_cond_destroy(&s->read_one);
    pthread_mutex_destroy(&s->mutex);
    free(s->name);
    free(s->directory);
    free(s);
}

bool stream_try_ref(struct stream *s)
{
    uint32_t refs = atomic_load(&s->refs);
    while (refs && !atomic_compare_exchange_weak(&s->refs, &refs, refs + 1)) {
    }
    return refs != 0;
}

/* The last reference is given up with the list's mutex held, so that nobody finds a stream in it
 * that has none; and never within a call of its log, which could not be closed then. */
void stream_unref(struct stream *s)
{
    struct runtime *r = s->runtime;
    uint32_t refs = atomic_load(&s->refs);
    while (refs > 1)
        if (atomic_compare_exchange_weak(&s->refs, &refs, refs - 1))
            return;
    pthread_mutex_lock(&r->streams_mutex);
    if (atomic_fetch_sub(&s->refs, 1) != 1) { /* opened again meanwhile */
        pthread_mutex_unlock(&r->streams_mutex);
        return;
    }
    for (struct stream **at = &r->streams; *at; at = &(*at)->next) {
        if (*at == s) {
            *at = s->next;
            break;
        }
    }
    pthread_mutex_unlock(&r->streams_mutex);
    clock_disarm(r->clock, &s->read_timer);
    journal_close(s->log);
    clock_disarm(r->clock, &s->work_timer); /* the log may ask for work until it is closed */
    clock_unreserve(r->clock, 2);
    stream_free(s);
}

/* ---- what the log asks for ---- */

static void work(void *arg)
{
    struct stream *s = arg;
    journal_work(s->log);
    stream_unref(s);
}

static void work_timer_fired(struct clock_timer *timer)
{
    struct stream *s =
        (struct stream *)(void *)((uint8_t *)timer - offsetof(struct stream, work_timer));
    pthread_mutex_lock(&s->mutex);
    s->work_at_ns = 0;
    pthread_mutex_unlock(&s->mutex);
    if (stream_try_ref(s) && workers_run(s->runtime->workers, work, s))
        work(s); /* no memory for handing it on: rather here than never */
}

static void on_work(void *ctx, int64_t delay_ns)
{
    struct stream *s = ctx;
    const int64_t at = clock_now(s->runtime->clock) + delay_ns;
    pthread_mutex_lock(&s->mutex);
    if (!s->work_at_ns || at < s->work_at_ns) {
        s->work_at_ns = at;
        (void)clock_arm(s->runtime->clock, &s->work_timer, at); /* has room: see clock_reserve */
    }
    pthread_mutex_unlock(&s->mutex);
}

/* What a log ended by itself. */
static void on_ended(void *ctx, enum journal_end how, uint64_t records, uint64_t items)
{
    static const char *const texts[] = {
        [JOURNAL_EXPIRED_AGE] = "older than max_age",
        [JOURNAL_EXPIRED_SIZE] = "made room for newer ones (on_full: drop_oldest)",
        [JOURNAL_QUARANTINED] = "damaged on disk; what is left of them is in quarantine/",
    };
    struct stream *s = ctx;
    const uint32_t outcome = how == JOURNAL_QUARANTINED ? SL_DROPPED : SL_EXPIRED;
    atomic_fetch_add_explicit(&s->ended[outcome], items, memory_order_relaxed);
    stream_fell(s);
    log_line(s->runtime->log, SL_LOG_WARN,
             "journal \"%s\": %" PRIu64 " records with %" PRIu64 " items were dropped: %s", s->name,
             records, items, texts[how]);
}

static void on_state(void *ctx)
{
    struct stream *s = ctx;
    struct journal_stats stats;
    journal_read_stats(s->log, &stats);
    atomic_store(&s->healthy, stats.state == JOURNAL_OK);
    if (stats.state == JOURNAL_OK)
        log_line(s->runtime->log, SL_LOG_INFO, "journal \"%s\": takes data again", s->name);
    else
        log_line(s->runtime->log, stats.state == JOURNAL_FULL ? SL_LOG_WARN : SL_LOG_ERROR,
                 "journal \"%s\": senders are told to try again later: %s", s->name, stats.text);
}

static void on_room(void *ctx)
{
    struct stream *s = ctx;
    pthread_mutex_lock(&s->mutex);
    struct waiter *waiters = s->waiters;
    s->waiters = NULL;
    atomic_fetch_add(&s->telling, 1);
    pthread_mutex_unlock(&s->mutex);
    waiters_tell(waiters);
    atomic_fetch_sub(&s->telling, 1);
}

int32_t stream_room(struct stream *s, const struct component *emitter, const sl_hear *hear,
                    struct lane *waiter)
{
    if (journal_has_room(s->log))
        return SL_OK;
    if (!waiter && !(hear && hear->ready))
        return SL_ERR_FULL;
    pthread_mutex_lock(&s->mutex);
    const bool added = waiters_add(&s->waiters, emitter, hear, waiter);
    pthread_mutex_unlock(&s->mutex);
    if (journal_has_room(s->log)) /* room came up before anyone could be told */
        on_room(s);
    return added ? SL_ERR_FULL : SL_ERR_NOMEM;
}

void stream_forget_gone(struct stream *s)
{
    pthread_mutex_lock(&s->mutex);
    waiters_forget_gone(&s->waiters);
    pthread_mutex_unlock(&s->mutex);
    while (atomic_load(&s->telling))
        sched_yield(); /* someone is telling those that it took from the list */
}

static void on_synced(void *ctx, int64_t duration_ns)
{
    struct stream *s = ctx;
    metric_record(s->sync_durations, duration_ns);
}

static int64_t wall(void *clock)
{
    return clock_wall(clock);
}

/* ---- opening ---- */

static char *directory_of(const struct stream_options *o)
{
    char *path = NULL;
    const int n = asprintf(&path, "%s/%s", o->directory, o->name);
    if (n < 0)
        return NULL;
    for (char *p = path + strlen(o->directory) + 1; *p; p++) /* ids hold no other such characters */
        *p = *p == '/' ? '@' : *p == ' ' ? '-' : *p;
    return path;
}

bool stream_is_there(const struct stream_options *o)
{
    char *directory = directory_of(o);
    const bool is_there = directory && access(directory, F_OK) == 0;
    free(directory);
    return is_there;
}

static int32_t open_log(struct stream *s, const struct stream_options *o, sl_error *error)
{
    const struct journal_config config = {
        .directory = s->directory,
        .stream = s->name,
        .io = &journal_io_posix,
        .max_bytes = o->max_bytes,
        .max_age_ns = o->max_age_ns,
        .durability = o->durability,
        .on_full = o->on_full,
        .events = {.ctx = s,
                   .room = on_room,
                   .ended = on_ended,
                   .work = on_work,
                   .state = on_state,
                   .synced = on_synced},
        .now = wall,
        .now_arg = s->runtime->clock,
    };
    return journal_open(&config, &s->log, error);
}

static void on_ready(void *);

static struct stream *stream_make(struct runtime *r, const struct stream_options *o,
                                  sl_error *error)
{
    struct stream *s = calloc(1, sizeof *s);
    if (!s || clock_reserve(r->clock, 2)) {
        free(s);
        (void)sl_fail(error, SL_ERR_NOMEM, "no memory");
        return NULL;
    }
    s->runtime = r;
    s->max_bytes = o->max_bytes;
    s->max_age_ns = o->max_age_ns;
    s->durability = o->durability;
    s->on_full = o->on_full;
    atomic_store(&s->healthy, true);
    atomic_store(&s->refs, 1); /* the log may ask for work as soon as it is open */
    s->watch = (struct root_watch){.ended = stream_item_ended, .ctx = s};
    s->hear = (sl_hear){
        .size = sizeof s->hear, .ctx = s, .settled = stream_root_settled, .ready = on_ready};
    s->read_timer.fire = stream_read_timer_fired;
    s->work_timer.fire = work_timer_fired;
    (void)pthread_mutex_init(&s->mutex, NULL);
    (void)pthread_cond_init(&s->read_one, NULL);
    s->name = strdup(o->name);
    s->directory = directory_of(o);
    const struct metric_label label = {"journal", o->name};
    s->sync_durations = metrics_series(r->metrics, metric_id(METRIC_JOURNAL_SYNC), &label, 1);
    if (s->name && s->directory ? open_log(s, o, error) == SL_OK
                                : sl_fail(error, SL_ERR_NOMEM, "no memory") == SL_OK)
        return s;
    clock_unreserve(r->clock, 2);
    stream_free(s);
    return NULL;
}

struct stream *stream_open(struct runtime *r, const struct stream_options *o, sl_error *error)
{
    char *directory = directory_of(o);
    if (!directory) {
        (void)sl_fail(error, SL_ERR_NOMEM, "no memory");
        return NULL;
    }
    pthread_mutex_lock(&r->streams_mutex);
    struct stream *s = r->streams;
    while (s && strcmp(s->directory, directory) != 0)
        s = s->next;
    if (s) { /* over a reload */
        if (!s->owners++)
            stream_ref(s);
        if (s->max_bytes != o->max_bytes || s->max_age_ns != o->max_age_ns ||
            s->durability != o->durability || s->on_full != o->on_full)
            log_line(r->log, SL_LOG_WARN,
                     "journal \"%s\": its new limits hold from the next start on", s->name);
    } else if ((s = stream_make(r, o, error))) {
        s->owners = 1;
        s->next = r->streams;
        r->streams = s;
    }
    pthread_mutex_unlock(&r->streams_mutex);
    free(directory);
    return s;
}

void stream_release(struct stream *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->runtime->streams_mutex);
    const bool last = --s->owners == 0;
    pthread_mutex_unlock(&s->runtime->streams_mutex);
    if (!last)
        return;
    stream_lead(s, NULL);
    on_room(s); /* those who still wait lead elsewhere by now */
    stream_unref(s);
}

void streams_each(struct runtime *r, void (*visit)(void *, struct stream *), void *arg)
{
    pthread_mutex_lock(&r->streams_mutex);
    for (struct stream *s = r->streams; s; s = s->next)
        visit(arg, s);
    pthread_mutex_unlock(&r->streams_mutex);
}

/* ---- where it leads ---- */

struct stream_way *stream_way_enter(struct stream *s)
{
    for (;;) {
        const uint32_t now = atomic_load(&s->epoch);
        struct stream_way *way = &s->ways[now & 1];
        atomic_fetch_add(&way->inside, 1);
        if (atomic_load(&s->epoch) == now)
            return way;
        atomic_fetch_sub(&way->inside, 1); /* too late: it may not be waited for */
    }
}

void stream_way_leave(struct stream_way *way)
{
    atomic_fetch_sub(&way->inside, 1);
}

void stream_fell(struct stream *s)
{
    struct stream_way *way = stream_way_enter(s);
    if (way->leads && way->outlet.fell)
        way->outlet.fell(way->outlet.ctx);
    stream_way_leave(way);
}

/* The control thread alone changes it. */
static struct stream_way *way_now(struct stream *s)
{
    return &s->ways[atomic_load(&s->epoch) & 1];
}

void stream_lead(struct stream *s, const struct stream_outlet *outlet)
{
    struct stream_way *before = way_now(s), *way = &s->ways[before == s->ways];
    way->leads = outlet != NULL;
    way->outlet = outlet ? *outlet : (struct stream_outlet){0};
    atomic_fetch_add(&s->epoch, 1);
    while (atomic_load(&before->inside))
        sched_yield(); /* a delivery that is on its way through the lanes; they never block */
    if (before->leads)
        before->outlet.forget(before->outlet.ctx, &s->hear);
    pthread_mutex_lock(&s->mutex);
    s->waits_for_outlet = false;
    while (!outlet && s->reads_one) /* it may have a record in its hands */
        pthread_cond_wait(&s->read_one, &s->mutex);
    pthread_mutex_unlock(&s->mutex);
    if (outlet)
        stream_wake(s);
}

void stream_leave(struct stream *s, const void *ctx)
{
    const struct stream_way *way = way_now(s);
    if (way->leads && way->outlet.ctx == ctx)
        stream_lead(s, NULL);
}

static void on_ready(void *ctx)
{
    struct stream *s = ctx;
    pthread_mutex_lock(&s->mutex);
    s->waits_for_outlet = false;
    pthread_mutex_unlock(&s->mutex);
    stream_wake(s);
}

bool stream_window_open(const struct stream *s, uint64_t bytes)
{
    const uint64_t usual = UINT64_C(256) << 20;
    const uint64_t limit = memory_limit(s->runtime->memory);
    const uint64_t window = limit ? limit / 2 : usual;
    const uint64_t out = atomic_load_explicit(&s->in_flight_bytes, memory_order_relaxed);
    if (limit && memory_used(s->runtime->memory) > window)
        return !out; /* one at least, whatever uses the memory */
    return !out || (out < window && bytes <= window - out);
}

/* ---- questions ---- */

uint64_t stream_size(struct stream *s, uint32_t sizer)
{
    struct journal_size size;
    journal_read_size(s->log, &size);
    return sizer == SIZER_BYTES ? size.bytes : sizer == SIZER_ITEMS ? size.items : size.records;
}

bool stream_healthy(const struct stream *s)
{
    return atomic_load(&s->healthy);
}

bool stream_is_at(const struct stream *s, const char *directory)
{
    return !strcmp(s->directory, directory);
}

struct journal *stream_log(struct stream *s)
{
    return s->log;
}

const char *stream_name(const struct stream *s)
{
    return s->name;
}

void stream_read(struct stream *s, struct stream_stats *out)
{
    *out = (struct stream_stats){
        .appended_items = atomic_load(&s->appended_items),
        .offered_again = atomic_load(&s->offered_again),
        .in_flight = atomic_load(&s->in_flight),
        .in_flight_bytes = atomic_load(&s->in_flight_bytes),
    };
    for (uint32_t i = 0; i < SL_OUTCOMES; i++)
        out->ended_items[i] = atomic_load(&s->ended[i]);
    journal_read_stats(s->log, &out->log);
}
