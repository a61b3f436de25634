/* See plugin_host.h. */
#include "tests/support/plugin_host.h"
#include "formats/otlp/view.h"
#include "sluice/otlp.h"

#include <stdlib.h>
#include <time.h>

struct fake_payload {
    sl_payload pub;
    _Atomic uint32_t refs;
    sl_bytes *segments;
    void *view_memory; /* made on demand */
    sl_view view;
};

struct fake_delivery {
    sl_delivery pub;
    uint64_t *ids;
    uint8_t *claimed;
};

static const sl_metadata no_metadata = {.size = sizeof(sl_metadata)};

static struct plugin_host *of(const sl_host *h)
{
    return (struct plugin_host *)(uintptr_t)h;
}

static void check(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "plugin_host: %s\n", what);
        abort();
    }
}

static bool fails(struct plugin_host *h)
{
    h->calls++;
    return h->fail_at && (h->calls == h->fail_at || (h->fail_on && h->calls > h->fail_at));
}

/* ---- payloads ---- */

static void payload_ref(const sl_host *h, const sl_payload *p)
{
    ((struct fake_payload *)(uintptr_t)p)->refs++;
    __atomic_fetch_add(&of(h)->payload_refs, 1, __ATOMIC_RELAXED);
}

static void payload_unref(const sl_host *h, const sl_payload *payload)
{
    struct fake_payload *p = (struct fake_payload *)(uintptr_t)payload;
    __atomic_fetch_sub(&of(h)->payload_refs, 1, __ATOMIC_RELAXED);
    if (--p->refs)
        return;
    for (uint32_t i = 0; i < p->pub.n_segments; i++)
        free((void *)(uintptr_t)p->segments[i].p);
    free(p->segments);
    free(p->view_memory);
    free(p);
}

static int32_t payload_view(const sl_host *h, const sl_payload *payload, sl_view *view)
{
    struct fake_payload *p = (struct fake_payload *)(uintptr_t)payload;
    struct otlp_view_plan plan;
    (void)h;
    if (!p->view_memory) {
        int32_t status =
            otlp_view_plan(payload->signal, payload->segments, payload->n_segments, &plan, NULL);
        if (status != SL_OK)
            return status;
        p->view_memory = malloc(plan.bytes ? plan.bytes : 1);
        if (!p->view_memory)
            return SL_ERR_NOMEM;
        status = otlp_view_build(&plan, p->view_memory, &p->view, NULL);
        if (status != SL_OK)
            return status;
    }
    *view = p->view;
    return SL_OK;
}

static const sl_payload *payload_make(struct plugin_host *h, uint32_t signal,
                                      const sl_bytes *segments, uint32_t n, uint32_t items)
{
    struct fake_payload *p = calloc(1, sizeof *p);
    check(p != NULL, "memory");
    p->segments = calloc(n ? n : 1, sizeof *p->segments);
    check(p->segments != NULL, "memory");
    for (uint32_t i = 0; i < n; i++) {
        uint8_t *copy = malloc(segments[i].n ? segments[i].n : 1);
        check(copy != NULL, "memory");
        if (segments[i].n)
            memcpy(copy, segments[i].p, segments[i].n);
        p->segments[i] = sl_slice(copy, segments[i].n);
        p->pub.bytes += segments[i].n;
    }
    p->pub.size = sizeof p->pub;
    p->pub.signal = signal;
    p->pub.items = items;
    p->pub.n_segments = n;
    p->pub.segments = p->segments;
    p->pub.flags = SL_PAYLOAD_ALIGNED;
    payload_ref(&h->host, &p->pub);
    return &p->pub;
}

/* A payload that is written: one segment, of `capacity` bytes until it is closed. */
static bool too_much(const struct plugin_host *h, uint64_t capacity)
{
    return h->payload_most && capacity > h->payload_most;
}

static int32_t payload_open(const sl_host *h, uint64_t capacity, sl_payload **out, uint8_t **at)
{
    if (too_much(of(h), capacity) || fails(of(h)))
        return SL_ERR_NOMEM;
    uint8_t *bytes = calloc(1, capacity + 1);
    check(bytes != NULL, "memory");
    const sl_bytes segment = sl_slice(bytes, capacity);
    *out = (sl_payload *)(uintptr_t)payload_make(of(h), 0, &segment, 1, 0);
    free(bytes);
    *at = (uint8_t *)(uintptr_t)(*out)->segments[0].p;
    return SL_OK;
}

static int32_t payload_grow(const sl_host *h, sl_payload *payload, uint64_t capacity, uint8_t **at)
{
    struct fake_payload *p = (struct fake_payload *)payload;
    *at = (uint8_t *)(uintptr_t)p->segments[0].p;
    if (too_much(of(h), capacity) || fails(of(h)))
        return SL_ERR_NOMEM;
    uint8_t *grown = realloc(*at, capacity + 1);
    check(grown != NULL, "memory");
    p->segments[0] = sl_slice(grown, capacity);
    *at = grown;
    return SL_OK;
}

/* The message is copied together: who refers to a segment that is not there finds out. */
static int32_t rewrite_close(const sl_host *h, sl_payload *payload, const sl_payload *from,
                             uint64_t used, const sl_bytes *segments, uint32_t n, uint32_t signal,
                             uint32_t items, uint32_t flags)
{
    struct fake_payload *p = (struct fake_payload *)payload;
    uint64_t bytes = 0;
    (void)from;
    (void)flags;
    if (fails(of(h)))
        return SL_ERR_NOMEM;
    check(used <= p->segments[0].n, "more was written than there was room for");
    for (uint32_t i = 0; i < n; i++)
        bytes += segments[i].n;
    uint8_t *all = malloc(bytes + 1), *to = all;
    check(all != NULL, "memory");
    for (uint32_t i = 0; i < n; i++)
        to = sl_put_slice(to, segments[i]);
    free((void *)(uintptr_t)p->segments[0].p);
    p->segments[0] = sl_slice(all, bytes);
    p->pub.bytes = bytes;
    p->pub.signal = signal;
    p->pub.items = items;
    return SL_OK;
}

/* ---- deliveries ---- */

static struct fake_delivery *fake(sl_delivery *d)
{
    return (struct fake_delivery *)d;
}

static sl_delivery *delivery_make(struct plugin_host *h, uint32_t n, const sl_payload *payload,
                                  const sl_metadata *metadata)
{
    struct fake_delivery *d = calloc(1, sizeof *d);
    check(d != NULL, "memory");
    d->ids = calloc(n, sizeof *d->ids);
    d->claimed = calloc(n, 1);
    check(n > 0 && d->ids && d->claimed, "memory, or a delivery without items");
    d->pub = (sl_delivery){.payload = payload,
                           .metadata = metadata ? metadata : &no_metadata,
                           .items = n,
                           .unclaimed = n};
    h->live++;
    return &d->pub;
}

static void delivery_free(struct plugin_host *h, sl_delivery *d)
{
    if (d->payload)
        payload_unref(&h->host, d->payload);
    free(fake(d)->ids);
    free(fake(d)->claimed);
    free(d);
    h->live--;
}

sl_delivery *plugin_host_delivery_of(struct plugin_host *h, uint32_t signal,
                                     const sl_bytes *segments, uint32_t n_segments, uint32_t n)
{
    sl_delivery *d = delivery_make(h, n, payload_make(h, signal, segments, n_segments, n), NULL);
    for (uint32_t i = 0; i < n; i++) {
        check(h->ids < HOST_IDS_MAX, "too many items");
        h->outcome[h->ids] = SL_OUTCOMES;
        fake(d)->ids[i] = h->ids++;
    }
    return d;
}

static const sl_payload *payload_of_ids(struct plugin_host *h, const uint64_t *ids, uint32_t n)
{
    const sl_bytes bytes = sl_slice(ids, n * sizeof *ids);
    return payload_make(h, SL_TRACES, &bytes, 1, n);
}

sl_delivery *plugin_host_delivery(struct plugin_host *h, uint32_t n, const sl_metadata *metadata)
{
    sl_delivery *d = plugin_host_delivery_of(h, SL_TRACES, NULL, 0, n);
    payload_unref(&h->host, d->payload);
    d->payload = payload_of_ids(h, fake(d)->ids, n);
    if (metadata)
        d->metadata = metadata;
    return d;
}

uint64_t plugin_host_id(const sl_delivery *d, uint32_t item)
{
    return ((const struct fake_delivery *)d)->ids[item];
}

static void settle_id(struct plugin_host *h, uint64_t id, int32_t outcome, const char *why)
{
    check(h->outcome[id] == SL_OUTCOMES, "an item has ended twice");
    h->outcome[id] = (uint8_t)outcome;
    h->why[id] = why;
}

static void claim(struct fake_delivery *d, uint32_t item)
{
    check(item < d->pub.items && !d->claimed[item], "an item is claimed twice, or does not exist");
    d->claimed[item] = 1;
    d->pub.unclaimed--;
}

static int32_t settle(const sl_host *host, const sl_piece *pieces, uint32_t n, int32_t outcome,
                      const char *why)
{
    for (uint32_t i = 0; i < n; i++) {
        struct fake_delivery *d = fake(pieces[i].from);
        const bool all = pieces[i].count == 0 && pieces[i].first == 0;
        const uint32_t count = all ? d->pub.items : pieces[i].count;
        for (uint32_t k = 0; k < count; k++) {
            claim(d, pieces[i].first + k);
            settle_id(of(host), d->ids[pieces[i].first + k], outcome, why);
        }
    }
    return SL_OK;
}

static int32_t settle_some(const sl_host *host, sl_delivery *d, uint32_t n, int32_t outcome,
                           const char *why)
{
    if (n > d->unclaimed)
        return SL_ERR_INVALID;
    for (uint32_t i = 0; n > 0; i++) {
        if (!fake(d)->claimed[i]) {
            claim(fake(d), i);
            settle_id(of(host), fake(d)->ids[i], outcome, why);
            n--;
        }
    }
    return SL_OK;
}

static void settle_rest(struct plugin_host *h, sl_delivery *d, int32_t outcome, const char *why)
{
    (void)settle_some(&h->host, d, d->unclaimed, outcome, why);
}

static void finish(const sl_host *host, sl_delivery *d, int32_t outcome, const char *why)
{
    settle_rest(of(host), d, outcome, why);
    delivery_free(of(host), d);
}

static int32_t derive(const sl_host *host, const sl_piece *pieces, uint32_t n, uint32_t mode,
                      sl_payload *payload, const sl_metadata *metadata, sl_delivery **child)
{
    struct plugin_host *h = of(host);
    if (mode != SL_ITEMWISE)
        return SL_ERR_UNSUPPORTED;
    if (fails(h))
        return SL_ERR_NOMEM;
    uint32_t items = 0;
    for (uint32_t i = 0; i < n; i++)
        items += pieces[i].count ? pieces[i].count : pieces[i].from->items;
    sl_delivery *d = delivery_make(h, items, NULL, metadata ? metadata : pieces[0].from->metadata);
    uint32_t at = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct fake_delivery *from = fake(pieces[i].from);
        const uint32_t count = pieces[i].count ? pieces[i].count : from->pub.items;
        for (uint32_t k = 0; k < count; k++) {
            claim(from, pieces[i].first + k);
            fake(d)->ids[at++] = from->ids[pieces[i].first + k];
        }
    }
    check(!payload || payload->items == items, "another number of items in the payload");
    d->payload = payload ? payload : payload_of_ids(h, fake(d)->ids, items);
    h->derives++;
    *child = d;
    return SL_OK;
}

static int32_t forward(const sl_host *host, uint32_t port, sl_delivery *d)
{
    struct plugin_host *h = of(host);
    check(port == 0 && d->unclaimed == d->items, "only port 0, and only what is not claimed");
    if (h->out_n == h->out_room) {
        h->out_room = h->out_room ? 2 * h->out_room : 64;
        h->out = realloc(h->out, h->out_room * sizeof *h->out);
        check(h->out != NULL, "memory");
    }
    h->out[h->out_n++] = d;
    return h->out_full_at && h->out_n >= h->out_full_at ? SL_ERR_FULL : SL_OK;
}

static int32_t select_items(const sl_host *host, sl_delivery *d, const uint64_t *keep,
                            const char *why)
{
    sl_delivery *child = NULL;
    uint32_t kept = 0;
    sl_piece *pieces = calloc(d->items, sizeof *pieces);
    check(pieces != NULL, "memory");
    for (uint32_t i = 0; i < d->items; i++) {
        if (sl_mask_test(keep, i))
            pieces[kept++] = (sl_piece){.from = d, .first = i, .count = 1};
    }
    const int32_t status = kept ? derive(host, pieces, kept, SL_ITEMWISE, NULL, NULL, &child) : 0;
    free(pieces);
    if (status != SL_OK)
        return status;
    finish(host, d, SL_DROPPED, why);
    return child ? forward(host, 0, child) : SL_OK;
}

static uint64_t *scratch_mask(const sl_host *host, uint32_t bits)
{
    struct plugin_host *h = of(host);
    free(h->mask);
    h->mask = fails(h) ? NULL : malloc((bits + 63) / 64 * sizeof *h->mask);
    if (h->mask)
        memset(h->mask, 0xff, (bits + 63) / 64 * sizeof *h->mask);
    return h->mask;
}

sl_delivery *plugin_host_take(struct plugin_host *h)
{
    if (h->out_n == 0)
        return NULL;
    sl_delivery *d = h->out[0];
    memmove(h->out, h->out + 1, --h->out_n * sizeof *h->out);
    return d;
}

void plugin_host_end(struct plugin_host *h, sl_delivery *d, int32_t outcome, const char *why)
{
    finish(&h->host, d, outcome, why);
}

uint32_t plugin_host_count(const struct plugin_host *h, int32_t outcome)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < h->ids; i++)
        n += h->outcome[i] == outcome;
    return n;
}

static void send_init(sl_send *send)
{
    const int64_t deadline_ns = send->deadline_ns;
    *send = (sl_send){
        .size = sizeof *send, .deadline_ns = deadline_ns, .error.size = sizeof send->error};
}

static int32_t settle_sent(struct plugin_host *h, sl_delivery *d, const sl_send *send,
                           int32_t status)
{
    if (status == SL_OK)
        settle_rest(h, d, SL_DELIVERED, NULL);
    else if (status == SL_ERR_REJECTED || status == SL_ERR_INVALID || status == SL_ERR_TOO_LARGE ||
             status == SL_ERR_DENIED || status == SL_ERR_UNSUPPORTED)
        settle_rest(h, d, SL_REJECTED, send->why);
    return status;
}

int32_t plugin_host_send(const sl_type *type, void *component, sl_delivery *d, sl_send *send)
{
    send_init(send);
    return settle_sent(of(sl_host_of(component)), d, send, type->send(component, d, send));
}

struct waiter {
    pthread_mutex_t mutex;
    pthread_cond_t ended;
    bool done;
    int32_t status;
};

static void on_sent(void *ctx, int32_t status)
{
    struct waiter *w = ctx;
    pthread_mutex_lock(&w->mutex);
    check(!w->done, "a send has ended twice");
    w->done = true;
    w->status = status;
    pthread_cond_signal(&w->ended);
    pthread_mutex_unlock(&w->mutex);
}

int32_t plugin_host_begin(const sl_type *type, void *component, sl_delivery *d, sl_send *send)
{
    struct waiter w = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, SL_OK};
    const sl_async_send *async = type->interface_of(component, SL_ASYNC_SEND);
    check(async != NULL, "it has no asynchronous send");
    send_init(send);
    int32_t status = async->begin(component, d, send, on_sent, &w);
    if (status == SL_OK) {
        pthread_mutex_lock(&w.mutex);
        while (!w.done)
            pthread_cond_wait(&w.ended, &w.mutex);
        pthread_mutex_unlock(&w.mutex);
        status = w.status;
    }
    return settle_sent(of(sl_host_of(component)), d, send, status);
}

/* ---- everything else ---- */

static void *allocate(const sl_host *host, size_t n)
{
    struct plugin_host *h = of(host);
    pthread_mutex_lock(&h->mutex);
    void *p = fails(h) ? NULL : malloc(n);
    h->allocations += p != NULL;
    pthread_mutex_unlock(&h->mutex);
    return p;
}

static void release(const sl_host *host, void *p)
{
    struct plugin_host *h = of(host);
    if (!p)
        return;
    pthread_mutex_lock(&h->mutex);
    h->allocations--;
    pthread_mutex_unlock(&h->mutex);
    free(p);
}

static int64_t real_now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t now(const sl_host *h)
{
    return of(h)->now_ns ? of(h)->now_ns : real_now(CLOCK_MONOTONIC);
}

static int64_t wall_clock(const sl_host *h)
{
    return of(h)->now_ns ? of(h)->now_ns : real_now(CLOCK_REALTIME);
}

static bool log_enabled(const sl_host *h, int32_t level)
{
    (void)h;
    (void)level;
    return true;
}

static void log_add(struct plugin_host *h, sl_bytes text)
{
    const size_t room = sizeof h->log - h->log_used - 1;
    const size_t n = text.n < room ? text.n : room;
    if (n)
        memcpy(h->log + h->log_used, text.p, n);
    h->log_used += n;
    h->log[h->log_used] = '\0';
}

static void log_line(const sl_host *host, int32_t level, sl_bytes text, const sl_log_field *fields,
                     uint32_t n)
{
    struct plugin_host *h = of(host);
    const char *names[] = {"DEBUG ", "INFO ", "WARN ", "ERROR "};
    pthread_mutex_lock(&h->mutex);
    log_add(h, sl_str(names[level / 4 + 1]));
    log_add(h, text);
    for (uint32_t i = 0; i < n; i++) {
        log_add(h, sl_str(" "));
        log_add(h, sl_str(fields[i].key));
        log_add(h, sl_str("="));
        log_add(h, fields[i].value);
    }
    log_add(h, sl_str("\n"));
    pthread_mutex_unlock(&h->mutex);
}

static void status_report(const sl_host *host, int32_t status, const char *text)
{
    struct plugin_host *h = of(host);
    pthread_mutex_lock(&h->mutex);
    h->status = status;
    (void)snprintf(h->status_text, sizeof h->status_text, "%s", text ? text : "");
    pthread_mutex_unlock(&h->mutex);
}

static const char *name_of(const sl_host *h)
{
    return of(h)->name;
}

static void timer(const sl_host *h, uint32_t slot, int64_t at_ns)
{
    of(h)->timer_ns[slot] = at_ns;
}

static void set_ready(const sl_host *h, bool ready)
{
    of(h)->not_ready = !ready;
}

static sl_metric *metric(const sl_host *host, uint32_t kind, const char *name, const char *help,
                         const char *label, const char *value)
{
    struct plugin_host *h = of(host);
    (void)kind;
    (void)help;
    (void)label;
    (void)value;
    check(h->metric_n < HOST_METRICS_MAX, "too many metrics");
    struct host_metric *m = &h->metrics[h->metric_n++];
    snprintf(m->name, sizeof m->name, "%s", name);
    return (sl_metric *)m;
}

/* Shown as name{value,value}. */
static sl_metric *metric_labelled(const sl_host *host, uint32_t kind, const char *name,
                                  const char *help, const sl_log_field *labels, uint32_t n)
{
    char full[sizeof of(host)->metrics->name];
    size_t used = (size_t)snprintf(full, sizeof full, "%s{", name);
    for (uint32_t i = 0; i < n && used < sizeof full; i++)
        used += (size_t)snprintf(full + used, sizeof full - used, "%.*s%s", (int)labels[i].value.n,
                                 (const char *)labels[i].value.p, i + 1 < n ? "," : "}");
    return metric(host, kind, full, help, NULL, NULL);
}

static void metric_add(sl_metric *m, int64_t n)
{
    if (m)
        __atomic_fetch_add(&((struct host_metric *)m)->value, n, __ATOMIC_RELAXED);
}

static void metric_set(sl_metric *m, int64_t n)
{
    if (m)
        __atomic_store_n(&((struct host_metric *)m)->value, n, __ATOMIC_RELAXED);
}

/* Of a histogram the sum is kept. */
static sl_metric_histogram *histogram(const sl_host *host, const char *name, const char *help,
                                      const int64_t *bounds, uint32_t n_bounds)
{
    check(n_bounds > 0 && bounds, "a histogram without buckets");
    return (sl_metric_histogram *)metric(host, SL_COUNTER, name, help, NULL, NULL);
}

static void histogram_record(sl_metric_histogram *m, int64_t value)
{
    metric_add((sl_metric *)m, value);
}

int64_t plugin_host_metric(const struct plugin_host *h, const char *name)
{
    for (uint32_t i = 0; i < h->metric_n; i++) {
        if (strcmp(h->metrics[i].name, name) == 0)
            return h->metrics[i].value;
    }
    return -1;
}

static int32_t load(const sl_host *h, const char *file, const char *id, const void **table,
                    sl_error *error)
{
    *table = NULL;
    for (size_t i = 0; i < 2 && !*table; i++) {
        const sl_plugin *plugin = of(h)->loadable[i];
        *table = plugin ? plugin->interface_of(id) : NULL;
    }
    return *table ? SL_OK : sl_fail(error, SL_ERR_NOT_FOUND, "no plugin %s", file);
}

static uint64_t memory_used(const sl_host *h)
{
    return of(h)->memory_used;
}

static uint64_t memory_granted(const sl_host *h)
{
    return of(h)->memory_granted;
}

static void memory_trim(const sl_host *h)
{
    of(h)->trims++;
    if (of(h)->memory_after_trim)
        of(h)->memory_used = of(h)->memory_after_trim;
}

/* At once, as if a thread had been idle. */
static int32_t blocking(const sl_host *h, void (*work)(void *), void (*done)(void *), void *arg)
{
    (void)h;
    work(arg);
    if (done)
        done(arg);
    return SL_OK;
}

static const void *interface_of_host(const sl_host *h, const char *id)
{
    static const sl_metrics metrics = {.size = sizeof metrics,
                                       .metric = metric,
                                       .add = metric_add,
                                       .set = metric_set,
                                       .histogram = histogram,
                                       .record = histogram_record,
                                       .labelled = metric_labelled};
    static const sl_plugins plugins = {.size = sizeof plugins, .load = load};
    static const sl_memory memory = {
        .size = sizeof memory, .used = memory_used, .granted = memory_granted, .trim = memory_trim};
    static const sl_rewrite rewrite = {.size = sizeof rewrite, .close = rewrite_close};
    (void)h;
    if (strcmp(id, SL_REWRITE) == 0)
        return &rewrite;
    if (strcmp(id, SL_PLUGINS) == 0)
        return &plugins;
    if (strcmp(id, SL_MEMORY) == 0)
        return &memory;
    return strcmp(id, SL_METRICS_INTERFACE) == 0 ? &metrics : NULL;
}

static const void *interface_of_component(const sl_host *host, const char *name, const char *id)
{
    const struct plugin_host *h = of(host);
    return h->extension && strcmp(h->extension_name, name) == 0 && strcmp(h->extension_id, id) == 0
               ? h->extension
               : NULL;
}

/* What the test gives out is the test's. */
static void metadata_unref(const sl_host *host, const sl_metadata *metadata)
{
    struct plugin_host *h = of(host);
    pthread_mutex_lock(&h->mutex);
    h->metadata_unrefs += metadata != NULL;
    pthread_mutex_unlock(&h->mutex);
}

struct plugin_host *plugin_host_create(void)
{
    static const sl_host_table table = {
        .size = sizeof table,
        .interface_of_host = interface_of_host,
        .interface_of_component = interface_of_component,
        .allocate = allocate,
        .release = release,
        .log_enabled = log_enabled,
        .log = log_line,
        .now = now,
        .wall_clock = wall_clock,
        .status = status_report,
        .name = name_of,
        .payload_open = payload_open,
        .payload_grow = payload_grow,
        .payload_ref = payload_ref,
        .payload_unref = payload_unref,
        .payload_view = payload_view,
        .metadata_unref = metadata_unref,
        .forward = forward,
        .finish = finish,
        .settle = settle,
        .settle_some = settle_some,
        .derive = derive,
        .select = select_items,
        .scratch_mask = scratch_mask,
        .timer = timer,
        .set_ready = set_ready,
        .blocking = blocking,
    };
    struct plugin_host *h = calloc(1, sizeof *h);
    check(h != NULL, "memory");
    h->host.table = &table;
    h->name = "test";
    pthread_mutex_init(&h->mutex, NULL);
    return h;
}

void plugin_host_destroy(struct plugin_host *h)
{
    check(h->live == 0, "a delivery has not ended");
    check(h->out_n == 0, "something is left in the output");
    check(h->allocations == 0, "an allocation was not released");
    check(h->payload_refs == 0, "a payload reference is left");
    pthread_mutex_destroy(&h->mutex);
    free(h->out);
    free(h->mask);
    free(h);
}

void plugin_host_open(struct plugin_host *h, const sl_type *type, void *config, void **instance)
{
    sl_error error = {.size = sizeof error};
    check(!type->prepare || type->prepare(config, &error) == SL_OK, error.text);
    check(!type->start || type->start(config, &error) == SL_OK, error.text);
    check(type->open(config, &h->host, instance, &error) == SL_OK, error.text);
}

void plugin_host_close(struct plugin_host *h, const sl_type *type, void *config, void *instance)
{
    if (instance)
        type->close(instance);
    type->destroy(config);
    plugin_host_destroy(h);
}
