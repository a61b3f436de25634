/* An exporter that fails, rejects, hangs and recovers as it is told, and remembers what it took. It
 * sends on the host's threads, or, told so, without keeping one waiting. */
#include "tests/plugins/test_interfaces.h"
#include <pthread.h>
#include <sluice/otlp.h>
#include <stdlib.h>

/* An attempt that a thread of the sink's own ends. */
struct attempt {
    struct attempt *next;
    sl_delivery *delivery;
    sl_send *send;
    void (*done)(void *ctx, int32_t status);
    void *ctx;
};

struct sink {
    sl_base base;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint32_t mode, hanging;
    bool stopped;
    uint64_t sends, items;
    uint8_t seen[TEST_SPANS_MAX];
    uint8_t async;
    bool has_thread;
    pthread_t thread;
    struct attempt *first, *last; /* begun, and not taken up by the thread */
};

struct config {
    sl_base base;
    uint32_t mode;
    uint8_t async;
};

static const char *const modes[] = {"ok", "fail", "reject", "partial", "hang", NULL};
static const sl_field fields[] = {SL_ENUM(struct config, mode, modes, "What it begins with."),
                                  SL_BOOL(struct config, async, "Keeps no thread waiting."),
                                  SL_END};

static uint32_t number_of(const sl_span *span)
{
    uint64_t id;
    memcpy(&id, span->span_id, sizeof id);
    return (uint32_t)(id - 1) % TEST_SPANS_MAX;
}

static void remember(struct sink *s, const sl_span *span)
{
    uint8_t *seen = &s->seen[number_of(span)];
    if (*seen < UINT8_MAX)
        ++*seen;
    s->items++;
}

/* Takes every third span, rejects every fifth, leaves the rest to the status. */
static void take_part(struct sink *s, sl_delivery *d, const sl_view *view)
{
    const sl_host *h = sl_host_of(s);
    for (uint32_t i = 0; i < view->items.n; i++) {
        const sl_span *span = sl_span_at(view, i);
        if (number_of(span) % 5 == 0) {
            (void)sl_settle(h, d, i, 1, SL_REJECTED, "fifth");
        } else if (number_of(span) % 3 == 0) {
            (void)sl_settle(h, d, i, 1, SL_DELIVERED, NULL);
            remember(s, span);
        }
    }
}

/* Does what the mode says; waits where it says to hang. With the mutex held. */
static int32_t attempt(struct sink *s, sl_delivery *d, sl_send *send)
{
    sl_view view;
    int32_t status = sl_view_of(sl_host_of(s), d, &view);
    if (status != SL_OK)
        return status;
    s->sends++;
    s->hanging++;
    while (s->mode == TEST_SINK_HANG && !s->stopped)
        pthread_cond_wait(&s->changed, &s->mutex);
    s->hanging--;
    switch (s->stopped ? TEST_SINK_FAIL : s->mode) {
    case TEST_SINK_FAIL:
        status = sl_fail(&send->error, SL_ERR_UNAVAILABLE, "told to fail");
        send->why = "told_to_fail";
        break;
    case TEST_SINK_REJECT:
        status = sl_fail(&send->error, SL_ERR_REJECTED, "told to reject");
        send->why = "told_to_reject";
        break;
    case TEST_SINK_PARTIAL:
        take_part(s, d, &view);
        status = sl_fail(&send->error, SL_ERR_UNAVAILABLE, "took a part");
        send->why = "took_a_part";
        break;
    default:
        for (uint32_t i = 0; i < view.items.n; i++)
            remember(s, sl_span_at(&view, i));
        break;
    }
    return status;
}

static int32_t send(void *self, sl_delivery *d, sl_send *send)
{
    struct sink *s = self;
    pthread_mutex_lock(&s->mutex);
    const int32_t status = attempt(s, d, send);
    pthread_mutex_unlock(&s->mutex);
    return status;
}

/* Every third attempt ends before `begin` has returned, the others on the sink's thread. */
static int32_t begin(void *self, sl_delivery *d, sl_send *send,
                     void (*done)(void *ctx, int32_t status), void *ctx)
{
    struct sink *s = self;
    pthread_mutex_lock(&s->mutex);
    if (s->sends % 3 == 0 && s->mode != TEST_SINK_HANG) {
        const int32_t status = attempt(s, d, send);
        pthread_mutex_unlock(&s->mutex);
        done(ctx, status);
        return SL_OK;
    }
    struct attempt *a = malloc(sizeof *a);
    if (a) {
        *a = (struct attempt){NULL, d, send, done, ctx};
        *(s->first ? &s->last->next : &s->first) = a;
        s->last = a;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->mutex);
    return a ? SL_OK : SL_ERR_NOMEM;
}

static void *end_attempts(void *self)
{
    struct sink *s = self;
    pthread_mutex_lock(&s->mutex);
    for (;;) {
        struct attempt *a = s->first;
        if (a) {
            s->first = a->next;
            const int32_t status = attempt(s, a->delivery, a->send);
            pthread_mutex_unlock(&s->mutex);
            a->done(a->ctx, status);
            free(a);
            pthread_mutex_lock(&s->mutex);
        } else if (s->stopped) {
            break;
        } else {
            pthread_cond_wait(&s->changed, &s->mutex);
        }
    }
    pthread_mutex_unlock(&s->mutex);
    return NULL;
}

static void set_mode(void *self, uint32_t mode)
{
    struct sink *s = self;
    pthread_mutex_lock(&s->mutex);
    s->mode = mode;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mutex);
}

static uint32_t seen(void *self, uint32_t span)
{
    struct sink *s = self;
    pthread_mutex_lock(&s->mutex);
    const uint32_t n = s->seen[span % TEST_SPANS_MAX];
    pthread_mutex_unlock(&s->mutex);
    return n;
}

static uint64_t sends(void *self)
{
    struct sink *s = self;
    pthread_mutex_lock(&s->mutex);
    const uint64_t n = s->sends;
    pthread_mutex_unlock(&s->mutex);
    return n;
}

static uint64_t items(void *self)
{
    struct sink *s = self;
    pthread_mutex_lock(&s->mutex);
    const uint64_t n = s->items;
    pthread_mutex_unlock(&s->mutex);
    return n;
}

static uint32_t hanging(void *self)
{
    struct sink *s = self;
    pthread_mutex_lock(&s->mutex);
    const uint32_t n = s->hanging;
    pthread_mutex_unlock(&s->mutex);
    return n;
}

static int32_t create(void *config, void **component, sl_error *error)
{
    const struct config *c = config;
    struct sink *s = calloc(1, sizeof *s);
    if (!s)
        return sl_fail(error, SL_ERR_NOMEM, "no memory");
    s->base = c->base;
    s->mode = c->mode;
    s->async = c->async;
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->changed, NULL);
    *component = s;
    return SL_OK;
}

static int32_t start(void *self, sl_error *error)
{
    struct sink *s = self;
    s->has_thread = s->async && pthread_create(&s->thread, NULL, end_attempts, s) == 0;
    return s->has_thread || !s->async ? SL_OK : sl_fail(error, SL_ERR_NOMEM, "no thread");
}

static void stop(void *self)
{
    struct sink *s = self;
    pthread_mutex_lock(&s->mutex);
    s->stopped = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mutex);
    if (s->has_thread)
        (void)pthread_join(s->thread, NULL);
    s->has_thread = false;
}

static void destroy(void *self)
{
    struct sink *s = self;
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->mutex);
    free(s);
}

static const void *interface_of(void *self, const char *id)
{
    static const test_sink table = {
        .mode = set_mode, .seen = seen, .sends = sends, .items = items, .hanging = hanging};
    static const sl_async_send async = {.size = sizeof async, .begin = begin};
    const struct sink *s = self;
    if (s->async && strcmp(id, SL_ASYNC_SEND) == 0)
        return &async;
    return strcmp(id, TEST_SINK) ? NULL : &table;
}

SL_TYPE(exporter, test_sink, .signals = SL_TRACES, .flags = SL_QUEUE | SL_RETRY | SL_TIMEOUT,
        .timeout_ns = INT64_C(5000000000), SL_CONFIG(struct config, fields), .create = create,
        .start = start, .stop = stop, .destroy = destroy, .send = send,
        .interface_of = interface_of, .help = "Does what it is told.");
SL_PLUGIN("0.1", &sl_type_test_sink);
