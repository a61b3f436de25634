/* A receiver that offers numbered spans when it is told to, and keeps a ledger of what it hears. */
#include "tests/plugins/numbered_spans.h"
#include "tests/plugins/test_interfaces.h"
#include <pthread.h>
#include <stdlib.h>

enum { OFFERS_MAX = 1 << 16 };

struct source {
    sl_base base;
    uint8_t want_taken;
    sl_hear hear;
    pthread_mutex_t mutex;
    struct test_counts counts;
    uint8_t heard[OFFERS_MAX]; /* 1: taken, 2: settled */
    uint64_t cookies;
    bool running;
};

struct config {
    sl_base base;
    uint8_t want_taken;
};

static const sl_field fields[] = {
    SL_BOOL(struct config, want_taken, "Ask to hear `taken`.", .def.u = 1), SL_END};

static void on_taken(void *ctx, uint64_t cookie, const sl_result *so_far)
{
    struct source *s = ctx;
    (void)so_far;
    pthread_mutex_lock(&s->mutex);
    s->counts.taken++;
    s->counts.out_of_order += s->heard[cookie] != 0;
    s->heard[cookie] |= 1;
    pthread_mutex_unlock(&s->mutex);
}

static void on_settled(void *ctx, uint64_t cookie, const sl_result *r)
{
    struct source *s = ctx;
    pthread_mutex_lock(&s->mutex);
    s->counts.settled++;
    s->counts.out_of_order += s->heard[cookie] != (s->want_taken ? 1 : 0);
    s->heard[cookie] |= 2;
    for (uint32_t i = 0; i < SL_OUTCOMES; i++)
        s->counts.ended[i] += r->n[i];
    pthread_mutex_unlock(&s->mutex);
}

static void on_ready(void *ctx)
{
    struct source *s = ctx;
    pthread_mutex_lock(&s->mutex);
    s->counts.ready++;
    pthread_mutex_unlock(&s->mutex);
}

static int32_t offer(void *self, uint32_t first, uint32_t n)
{
    struct source *s = self;
    const sl_host *h = sl_host_of(s);
    const size_t room = NUMBERED_SPANS_HEAD + (size_t)n * NUMBERED_SPAN;
    sl_payload *p;
    uint8_t *at;
    int32_t status = sl_payload_open(h, room, &p, &at);
    if (status != SL_OK)
        return status;
    const size_t used = n ? numbered_spans_write(at, room, first, n) : 0;
    status = sl_payload_close(h, p, used, SL_TRACES, NULL, 0, NULL);
    pthread_mutex_lock(&s->mutex);
    const uint64_t cookie = s->cookies++;
    if (status == SL_OK && (cookie >= OFFERS_MAX || !s->running))
        status = SL_ERR_STATE;
    if (status == SL_OK) { /* settled may be heard before the offer returns */
        s->counts.offers++;
        s->counts.items += n;
    }
    pthread_mutex_unlock(&s->mutex);
    if (status == SL_OK) {
        status = sl_offer(h, p, NULL, &s->hear, cookie);
        if (status != SL_OK) {
            pthread_mutex_lock(&s->mutex);
            s->counts.offers--;
            s->counts.items -= n;
            s->counts.full += status == SL_ERR_FULL;
            s->counts.refused += status != SL_ERR_FULL;
            pthread_mutex_unlock(&s->mutex);
        }
    }
    if (status != SL_OK)
        sl_payload_unref(h, p);
    return status;
}

static void counts(void *self, struct test_counts *out)
{
    struct source *s = self;
    pthread_mutex_lock(&s->mutex);
    *out = s->counts;
    pthread_mutex_unlock(&s->mutex);
}

static int32_t create(void *config, void **component, sl_error *error)
{
    const struct config *c = config;
    struct source *s = calloc(1, sizeof *s);
    if (!s)
        return sl_fail(error, SL_ERR_NOMEM, "no memory");
    s->base = c->base;
    s->want_taken = c->want_taken;
    s->hear = (sl_hear){.size = sizeof s->hear,
                        .ctx = s,
                        .taken = c->want_taken ? on_taken : NULL,
                        .settled = on_settled,
                        .ready = on_ready};
    pthread_mutex_init(&s->mutex, NULL);
    *component = s;
    return SL_OK;
}

static void run(struct source *s, bool running)
{
    pthread_mutex_lock(&s->mutex);
    s->running = running;
    pthread_mutex_unlock(&s->mutex);
}

static int32_t start(void *self, sl_error *error)
{
    (void)error;
    run(self, true);
    return SL_OK;
}

static void stop(void *self)
{
    run(self, false);
}

static void destroy(void *self)
{
    struct source *s = self;
    pthread_mutex_destroy(&s->mutex);
    free(s);
}

static const void *interface_of(void *self, const char *id)
{
    static const test_source table = {.offer = offer, .counts = counts};
    (void)self;
    return strcmp(id, TEST_SOURCE) ? NULL : &table;
}

SL_TYPE(receiver, test_source, .signals = SL_TRACES, SL_CONFIG(struct config, fields),
        .create = create, .start = start, .stop = stop, .destroy = destroy,
        .interface_of = interface_of, .help = "Offers numbered spans.");
SL_PLUGIN("0.1", &sl_type_test_source);
