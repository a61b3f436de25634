/* A receiver and an exporter for the reload tests (world.h). Their common state is this file's: a
 * reload makes components anew, and the test asks what became of the items all the same. A source
 * waits in `stop` for those that offer through it, as real receivers do for their threads; after
 * that it still hears what becomes of what it has offered. */
#include "tests/plugins/world.h"
#include "tests/plugins/numbered_spans.h"
#include <pthread.h>
#include <sluice/otlp.h>
#include <stdlib.h>

enum { OFFERS_MAX = 1 << 18 };

struct source {
    sl_base base;
    uint8_t want_taken, fail_start;
    uint32_t version; /* a key to change */
    sl_hear hear;
    uint32_t offering;
    bool runs;
};

struct sink {
    sl_base base;
    uint8_t fail_start;
    uint32_t version;
    bool stopped;
};

struct name {
    char id[32];
    uint32_t mode;
    uint64_t items;
    uint8_t seen[TEST_SPANS_MAX];
};

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct source *sources[WORLD_NAMES];
    struct name sinks[WORLD_NAMES];
    uint32_t components;
    struct test_counts counts;
    uint64_t cookies;
    uint8_t heard[OFFERS_MAX]; /* bits: 1 taken, 2 settled, 4 wants to hear taken */
    struct {
        uint32_t first, n;
    } offers[OFFERS_MAX]; /* by cookie */
    uint8_t seen[TEST_SPANS_MAX], acknowledged[TEST_SPANS_MAX];
} world = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void lock(void)
{
    pthread_mutex_lock(&world.mutex);
}

static void unlock(void)
{
    pthread_mutex_unlock(&world.mutex);
}

/* ---- sources ---- */

static void on_taken(void *ctx, uint64_t cookie, const sl_result *so_far)
{
    (void)ctx;
    (void)so_far;
    lock();
    world.counts.taken++;
    world.counts.out_of_order += world.heard[cookie] != 4;
    world.heard[cookie] |= 1;
    unlock();
}

static void on_settled(void *ctx, uint64_t cookie, const sl_result *r)
{
    (void)ctx;
    lock();
    world.counts.settled++;
    world.counts.out_of_order += world.heard[cookie] != 0 && world.heard[cookie] != 5;
    world.heard[cookie] |= 2;
    for (uint32_t i = 0; i < SL_OUTCOMES; i++)
        world.counts.ended[i] += r->n[i];
    if (!r->n[SL_FAILED] && !r->n[SL_REJECTED])
        memset(world.acknowledged + world.offers[cookie].first, 1, world.offers[cookie].n);
    unlock();
}

static int32_t offer_through(struct source *s, uint32_t first, uint32_t n)
{
    const sl_host *h = sl_host_of(s);
    const size_t room = NUMBERED_SPANS_HEAD + (size_t)n * NUMBERED_SPAN;
    sl_payload *p;
    uint8_t *at;
    int32_t status = sl_payload_open(h, room, &p, &at);
    if (status != SL_OK)
        return status;
    status =
        sl_payload_close(h, p, numbered_spans_write(at, room, first, n), SL_TRACES, NULL, 0, NULL);
    if (status == SL_OK) {
        lock();
        const uint64_t cookie = world.cookies++ % OFFERS_MAX;
        world.heard[cookie] = s->want_taken ? 4 : 0;
        world.offers[cookie].first = first;
        world.offers[cookie].n = n;
        world.counts.offers++; /* settled may be heard before the offer returns */
        world.counts.items += n;
        unlock();
        status = sl_offer(h, p, NULL, &s->hear, cookie);
        if (status != SL_OK) {
            lock();
            world.counts.offers--;
            world.counts.items -= n;
            world.counts.full += status == SL_ERR_FULL;
            world.counts.refused += status != SL_ERR_FULL;
            unlock();
        }
    }
    if (status != SL_OK)
        sl_payload_unref(h, p);
    return status;
}

static int32_t offer(const char *name, uint32_t first, uint32_t n)
{
    struct source *s = NULL;
    lock();
    for (uint32_t i = 0; i < WORLD_NAMES; i++) {
        struct source *one = world.sources[i];
        const sl_host *h = one ? sl_host_of(one) : NULL;
        if (one && one->runs && !strcmp(sl_name(h), name))
            s = one; /* the last one is the newest */
    }
    if (s)
        s->offering++;
    unlock();
    if (!s)
        return SL_ERR_NOT_FOUND;
    const int32_t status = offer_through(s, first, n);
    lock();
    s->offering--;
    pthread_cond_broadcast(&world.changed);
    unlock();
    return status;
}

static void count_component(int32_t by)
{
    lock();
    world.components += (uint32_t)by;
    unlock();
}

static int32_t source_create(void *config, void **component, sl_error *error)
{
    struct source *s = config;
    (void)error;
    s->hear = (sl_hear){.size = sizeof s->hear,
                        .ctx = s,
                        .taken = s->want_taken ? on_taken : NULL,
                        .settled = on_settled};
    count_component(1);
    *component = s;
    return SL_OK;
}

static int32_t source_start(void *self, sl_error *error)
{
    struct source *s = self;
    uint32_t i = WORLD_NAMES;
    if (s->fail_start)
        return sl_fail(error, SL_ERR_FAILED, "told not to start");
    lock();
    while (i && !world.sources[i - 1])
        i--;
    if (i < WORLD_NAMES)
        world.sources[i] = s;
    s->runs = i < WORLD_NAMES;
    unlock();
    return s->runs ? SL_OK : sl_fail(error, SL_ERR_FAILED, "too many sources");
}

static void source_leave(struct source *s)
{
    lock();
    s->runs = false;
    while (s->offering)
        pthread_cond_wait(&world.changed, &world.mutex);
    uint32_t left = 0; /* without a gap: the last one is the newest */
    for (uint32_t i = 0; i < WORLD_NAMES; i++)
        if (world.sources[i] && world.sources[i] != s)
            world.sources[left++] = world.sources[i];
    while (left < WORLD_NAMES)
        world.sources[left++] = NULL;
    unlock();
}

static void source_drain(void *self, int64_t deadline_ns)
{
    (void)deadline_ns;
    source_leave(self);
}

static void source_stop(void *self)
{
    source_leave(self);
}

static void world_destroy(void *self)
{
    (void)self;
    count_component(-1);
}

/* ---- sinks ---- */

static struct name *name_of(const char *id)
{
    for (uint32_t i = 0; i < WORLD_NAMES; i++) {
        struct name *n = &world.sinks[i];
        if (!n->id[0])
            (void)snprintf(n->id, sizeof n->id, "%s", id);
        if (!strcmp(n->id, id))
            return n;
    }
    return &world.sinks[WORLD_NAMES - 1];
}

static int32_t send(void *self, sl_delivery *d, sl_send *send)
{
    struct sink *s = self;
    const sl_host *h = sl_host_of(s);
    sl_view view;
    int32_t status = sl_view_of(h, d, &view);
    if (status != SL_OK)
        return status;
    lock();
    struct name *n = name_of(sl_name(h));
    while (n->mode == TEST_SINK_HANG && !s->stopped)
        pthread_cond_wait(&world.changed, &world.mutex);
    if (s->stopped || n->mode == TEST_SINK_FAIL)
        status = sl_fail(&send->error, SL_ERR_UNAVAILABLE, "told to fail");
    else if (n->mode == TEST_SINK_REJECT)
        status = sl_fail(&send->error, SL_ERR_REJECTED, "told to reject");
    for (uint32_t i = 0; status == SL_OK && i < view.items.n; i++) {
        uint64_t id;
        memcpy(&id, sl_span_at(&view, i)->span_id, sizeof id);
        world.seen[(id - 1) % TEST_SPANS_MAX]++;
        n->seen[(id - 1) % TEST_SPANS_MAX]++;
        n->items++;
    }
    unlock();
    return status;
}

static int32_t sink_create(void *config, void **component, sl_error *error)
{
    (void)error;
    count_component(1);
    *component = config;
    return SL_OK;
}

static int32_t sink_start(void *self, sl_error *error)
{
    const struct sink *s = self;
    return s->fail_start ? sl_fail(error, SL_ERR_FAILED, "told not to start") : SL_OK;
}

static void sink_stop(void *self)
{
    struct sink *s = self;
    lock();
    s->stopped = true;
    pthread_cond_broadcast(&world.changed);
    unlock();
}

/* ---- the world ---- */

static void reset(void)
{
    lock();
    memset(world.sinks, 0, sizeof world.sinks);
    memset(&world.counts, 0, sizeof world.counts);
    memset(world.heard, 0, sizeof world.heard);
    memset(world.seen, 0, sizeof world.seen);
    memset(world.acknowledged, 0, sizeof world.acknowledged);
    world.cookies = 0;
    unlock();
}

static void counts(struct test_counts *out)
{
    lock();
    *out = world.counts;
    unlock();
}

static void set_mode(const char *sink, uint32_t mode)
{
    lock();
    name_of(sink)->mode = mode;
    pthread_cond_broadcast(&world.changed);
    unlock();
}

static uint32_t seen(uint32_t span)
{
    lock();
    const uint32_t n = world.seen[span % TEST_SPANS_MAX];
    unlock();
    return n;
}

static uint32_t seen_by(const char *sink, uint32_t span)
{
    lock();
    const uint32_t n = name_of(sink)->seen[span % TEST_SPANS_MAX];
    unlock();
    return n;
}

static bool acknowledged(uint32_t span)
{
    lock();
    const bool is = world.acknowledged[span % TEST_SPANS_MAX];
    unlock();
    return is;
}

static uint64_t items(const char *sink)
{
    lock();
    const uint64_t n = name_of(sink)->items;
    unlock();
    return n;
}

static uint32_t components(void)
{
    lock();
    const uint32_t n = world.components;
    unlock();
    return n;
}

static const void *interface_of(void *self, const char *id)
{
    static const test_world table = {.reset = reset,
                                     .offer = offer,
                                     .counts = counts,
                                     .mode = set_mode,
                                     .seen = seen,
                                     .seen_by = seen_by,
                                     .acknowledged = acknowledged,
                                     .items = items,
                                     .components = components};
    (void)self;
    return strcmp(id, TEST_WORLD) ? NULL : &table;
}

static const sl_field source_fields[] = {
    SL_BOOL(struct source, want_taken, "Ask to hear `taken`.", .def.u = 1),
    SL_BOOL(struct source, fail_start, "Do not start."),
    SL_U32(struct source, version, "Without meaning."), SL_END};
static const sl_field sink_fields[] = {SL_BOOL(struct sink, fail_start, "Do not start."),
                                       SL_U32(struct sink, version, "Without meaning."), SL_END};

SL_TYPE(receiver, world_source, .signals = SL_TRACES, SL_CONFIG(struct source, source_fields),
        .create = source_create, .start = source_start, .drain = source_drain, .stop = source_stop,
        .destroy = world_destroy, .interface_of = interface_of, .help = "Offers numbered spans.");
SL_TYPE(exporter, world_sink, .signals = SL_TRACES, .flags = SL_QUEUE | SL_RETRY | SL_TIMEOUT,
        .timeout_ns = INT64_C(5000000000), SL_CONFIG(struct sink, sink_fields),
        .create = sink_create, .start = sink_start, .stop = sink_stop, .destroy = world_destroy,
        .send = send, .interface_of = interface_of, .help = "Does what it is told.");
SL_PLUGIN("0.1", &sl_type_world_source, &sl_type_world_sink);
