/* A host for unit tests of receivers and extensions; see the header. */
#include "tests/support/receiver_host.h"
#include "formats/otlp/check.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
// clang-format off
#include <cmocka.h>
// clang-format on

struct host_payload {
    sl_payload pub;
    sl_bytes segment;
    uint8_t *at;
    uint64_t capacity;
    uint32_t refs;
};

static struct receiver_host *host_of(const sl_host *h)
{
    return (struct receiver_host *)(uintptr_t)h; /* its first member */
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- memory ---- */

static bool budget_reserve(const sl_host *h, uint64_t n)
{
    struct receiver_host *r = host_of(h);
    pthread_mutex_lock(&r->mutex);
    bool fits = !r->budget || (n <= r->budget && r->used <= r->budget - n);
    if (fits)
        r->used += n;
    if (r->used > r->used_most)
        r->used_most = r->used;
    pthread_mutex_unlock(&r->mutex);
    return fits;
}

static void budget_give_back(const sl_host *h, uint64_t n)
{
    struct receiver_host *r = host_of(h);
    pthread_mutex_lock(&r->mutex);
    assert_true(r->used >= n);
    r->used -= n;
    pthread_mutex_unlock(&r->mutex);
}

static void *h_allocate(const sl_host *h, size_t n)
{
    (void)h;
    return malloc(n);
}

static void h_release(const sl_host *h, void *p)
{
    (void)h;
    free(p);
}

/* ---- payloads ---- */

static struct host_payload *payload_of(const sl_payload *p)
{
    return (struct host_payload *)(uintptr_t)p;
}

static int32_t h_payload_open(const sl_host *h, uint64_t capacity, sl_payload **out, uint8_t **at)
{
    struct receiver_host *r = host_of(h);
    if (!budget_reserve(h, capacity))
        return SL_ERR_NOMEM;
    struct host_payload *p = (struct host_payload *)calloc(1, sizeof *p);
    assert_non_null(p);
    p->pub.size = sizeof p->pub;
    p->at = (uint8_t *)malloc(capacity ? capacity : 1); /* exactly: overruns are seen */
    assert_non_null(p->at);
    p->capacity = capacity;
    p->refs = 1;
    pthread_mutex_lock(&r->mutex);
    r->payloads++;
    pthread_mutex_unlock(&r->mutex);
    *out = &p->pub;
    *at = p->at;
    return SL_OK;
}

static int32_t h_payload_grow(const sl_host *h, sl_payload *pub, uint64_t capacity, uint8_t **at)
{
    struct host_payload *p = payload_of(pub);
    if (!budget_reserve(h, capacity))
        return SL_ERR_NOMEM;
    p->at = (uint8_t *)realloc(p->at, capacity);
    assert_non_null(p->at);
    budget_give_back(h, p->capacity);
    p->capacity = capacity;
    *at = p->at;
    return SL_OK;
}

static int32_t h_payload_close(const sl_host *h, sl_payload *pub, uint64_t used, uint32_t signal,
                               const char *encoding, uint32_t items, sl_error *error)
{
    struct host_payload *p = payload_of(pub);
    struct otlp_checked checked = {.items = items};
    (void)h;
    assert_true(used <= p->capacity);
    if (!encoding) {
        int32_t status = otlp_check(signal, p->at, used, NULL, &checked, error);
        if (status != SL_OK)
            return status;
    }
    p->segment = sl_slice(p->at, used);
    p->pub.signal = signal;
    p->pub.items = checked.items;
    p->pub.n_segments = used > 0;
    p->pub.segments = &p->segment;
    p->pub.bytes = used;
    p->pub.encoding = encoding;
    p->pub.flags = SL_PAYLOAD_ALIGNED;
    return SL_OK;
}

static void h_payload_ref(const sl_host *h, const sl_payload *pub)
{
    struct receiver_host *r = host_of(h);
    pthread_mutex_lock(&r->mutex);
    payload_of(pub)->refs++;
    pthread_mutex_unlock(&r->mutex);
}

static void h_payload_unref(const sl_host *h, const sl_payload *pub)
{
    struct receiver_host *r = host_of(h);
    struct host_payload *p = payload_of(pub);
    pthread_mutex_lock(&r->mutex);
    assert_true(p->refs > 0);
    bool last = --p->refs == 0;
    if (last)
        r->payloads--;
    pthread_mutex_unlock(&r->mutex);
    if (last) {
        budget_give_back(h, p->capacity);
        free(p->at);
        free(p);
    }
}

/* ---- offers ---- */

static sl_result result_for(const struct receiver_host *r, uint32_t items)
{
    sl_result result = r->result;
    result.size = sizeof result;
    if (result.items == 0)
        result.n[SL_DELIVERED] = items;
    result.items = items;
    return result;
}

static void tell(struct receiver_host *r, const struct host_offer *offer)
{
    pthread_mutex_lock(&r->mutex);
    const sl_result result = result_for(r, offer->items);
    pthread_mutex_unlock(&r->mutex);
    if (offer->hear->taken)
        offer->hear->taken(offer->hear->ctx, offer->cookie, &result);
    if (offer->hear->settled)
        offer->hear->settled(offer->hear->ctx, offer->cookie, &result);
}

struct job {
    struct receiver_host *host;
    struct host_offer offer;
    void (*work)(void *);
    void (*done)(void *);
    void *arg;
};

static void *job_run(void *arg)
{
    struct job *job = (struct job *)arg;
    struct receiver_host *r = job->host;
    if (job->work) {
        job->work(job->arg);
        if (job->done)
            job->done(job->arg);
    } else {
        tell(r, &job->offer);
    }
    free(job);
    pthread_mutex_lock(&r->mutex);
    r->jobs--;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->mutex);
    return NULL;
}

static void job_start(const struct job *job)
{
    struct job *copy = (struct job *)malloc(sizeof *copy);
    pthread_t thread;
    pthread_attr_t attr;
    assert_non_null(copy);
    *copy = *job;
    pthread_mutex_lock(&copy->host->mutex);
    copy->host->jobs++;
    pthread_mutex_unlock(&copy->host->mutex);
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    assert_int_equal(pthread_create(&thread, &attr, job_run, copy), 0);
    (void)pthread_attr_destroy(&attr);
}

static int32_t h_offer(const sl_host *h, uint32_t port, sl_payload *pub, const sl_metadata *m,
                       const sl_hear *hear, uint64_t cookie)
{
    struct receiver_host *r = host_of(h);
    const struct host_payload *p = payload_of(pub);
    struct host_offer offer = {hear, cookie, pub->items};
    (void)m;
    assert_int_equal(port, 0);
    assert_true(pub->items > 0);
    pthread_mutex_lock(&r->mutex);
    r->offers++;
    free(r->last);
    r->last_n = pub->bytes;
    r->last = (uint8_t *)malloc(pub->bytes + 1);
    assert_non_null(r->last);
    memcpy(r->last, p->at, pub->bytes);
    enum host_answer answer = r->answer;
    const int32_t refusal = r->offer_status;
    if (answer != HOST_REFUSES)
        r->items[pub->signal >> 1] += pub->items; /* 1, 2, 4 to 0, 1, 2 */
    if (answer == HOST_HOLDS) {
        assert_true(r->n_held < HOST_OFFERS_MAX);
        r->held[r->n_held++] = offer;
        pthread_cond_broadcast(&r->changed);
    }
    pthread_mutex_unlock(&r->mutex);
    if (answer == HOST_REFUSES)
        return refusal;
    h_payload_unref(h, pub);
    if (answer == HOST_TAKES) {
        tell(r, &offer);
    } else if (answer == HOST_TAKES_ELSEWHERE) {
        const struct job job = {.host = r, .offer = offer};
        job_start(&job);
    }
    return SL_OK;
}

static int32_t h_ack(const sl_host *h, uint32_t port, uint32_t signal)
{
    (void)port;
    (void)signal;
    return host_of(h)->ack;
}

/* ---- services ---- */

static int32_t h_blocking(const sl_host *h, void (*work)(void *), void (*done)(void *), void *arg)
{
    const struct job job = {.host = host_of(h), .work = work, .done = done, .arg = arg};
    job_start(&job);
    return SL_OK;
}

static bool h_log_enabled(const sl_host *h, int32_t level)
{
    (void)h;
    (void)level;
    return false;
}

static void h_log(const sl_host *h, int32_t level, sl_bytes text, const sl_log_field *fields,
                  uint32_t n)
{
    (void)h;
    (void)level;
    (void)text;
    (void)fields;
    (void)n;
}

static int64_t h_now(const sl_host *h)
{
    (void)h;
    return clock_ns(CLOCK_MONOTONIC);
}

static int64_t h_wall_clock(const sl_host *h)
{
    struct receiver_host *r = host_of(h);
    pthread_mutex_lock(&r->mutex);
    int64_t ns = r->wall_ns;
    pthread_mutex_unlock(&r->mutex);
    return ns ? ns : clock_ns(CLOCK_REALTIME);
}

static void h_status(const sl_host *h, int32_t status, const char *text)
{
    struct receiver_host *r = host_of(h);
    pthread_mutex_lock(&r->mutex);
    r->status = status;
    (void)snprintf(r->status_text, sizeof r->status_text, "%s", text ? text : "");
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->mutex);
}

static const char *h_name(const sl_host *h)
{
    (void)h;
    return "tested";
}

static int32_t listen_open(const sl_host *h, sl_bytes endpoint, sl_bytes transport, int32_t *fd,
                           sl_error *error)
{
    struct receiver_host *r = host_of(h);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_true(sl_eq(transport, sl_str("tcp")));
    if (sl_eq(endpoint, sl_str("taken:1")))
        return sl_fail(error, SL_ERR_IO, "somebody else listens on taken:1");
    *fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(*fd >= 0);
    assert_int_equal(bind(*fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(*fd, 128), 0);
    assert_true(r->n_sockets < HOST_SOCKETS_MAX);
    r->sockets[r->n_sockets++] = *fd;
    return SL_OK;
}

static void listen_done(const sl_host *h, int32_t fd)
{
    struct receiver_host *r = host_of(h);
    bool mine = false;
    for (uint32_t i = 0; i < r->n_sockets; i++)
        mine = mine || r->sockets[i] == fd;
    assert_true(mine);
    r->sockets_done++;
}

static sl_metric *metrics_metric(const sl_host *h, uint32_t kind, const char *name,
                                 const char *help, const char *label, const char *value)
{
    struct receiver_host *r = host_of(h);
    assert_int_equal(kind, SL_COUNTER);
    assert_true(help[0] != 0 && label[0] != 0);
    pthread_mutex_lock(&r->mutex);
    assert_true(r->n_series < HOST_SERIES_MAX);
    struct host_series *s = &r->series[r->n_series++];
    pthread_mutex_unlock(&r->mutex);
    (void)snprintf(s->name, sizeof s->name, "%s", name);
    (void)snprintf(s->value, sizeof s->value, "%s", value);
    return (sl_metric *)(void *)s;
}

static void metrics_add(sl_metric *m, int64_t n)
{
    if (m)
        (void)__atomic_fetch_add(&((struct host_series *)(void *)m)->n, n, __ATOMIC_SEQ_CST);
}

static int32_t plugins_load(const sl_host *h, const char *file, const char *id, const void **out,
                            sl_error *error)
{
    struct receiver_host *r = host_of(h);
    *out = r->plugin ? r->plugin(file, id) : NULL;
    return *out ? SL_OK
                : sl_fail(error, SL_ERR_NOT_FOUND, "no plugin %s with %s is installed", file, id);
}

static bool process_healthy(const sl_host *h)
{
    struct receiver_host *r = host_of(h);
    pthread_mutex_lock(&r->mutex);
    bool healthy = !r->unhealthy;
    pthread_mutex_unlock(&r->mutex);
    return healthy;
}

static int64_t process_up_since(const sl_host *h)
{
    struct receiver_host *r = host_of(h);
    pthread_mutex_lock(&r->mutex);
    int64_t ns = r->up_since_ns;
    pthread_mutex_unlock(&r->mutex);
    return ns;
}

static const void *h_interface(const sl_host *h, const char *id)
{
    static const sl_listen listen_table = {
        .size = sizeof listen_table, .open = listen_open, .done = listen_done};
    static const sl_budget budget_table = {
        .size = sizeof budget_table, .reserve = budget_reserve, .give_back = budget_give_back};
    static const sl_metrics metrics_table = {
        .size = sizeof metrics_table, .metric = metrics_metric, .add = metrics_add};
    static const sl_plugins plugins_table = {.size = sizeof plugins_table, .load = plugins_load};
    static const sl_process process_table = {
        .size = sizeof process_table, .healthy = process_healthy, .up_since = process_up_since};
    (void)h;
    return strcmp(id, SL_LISTEN) == 0              ? (const void *)&listen_table
           : strcmp(id, SL_BUDGET) == 0            ? (const void *)&budget_table
           : strcmp(id, SL_METRICS_INTERFACE) == 0 ? (const void *)&metrics_table
           : strcmp(id, SL_PLUGINS) == 0           ? (const void *)&plugins_table
           : strcmp(id, SL_PROCESS) == 0           ? (const void *)&process_table
                                                   : NULL;
}

static const sl_host_table table = {
    .size = sizeof table,
    .interface_of_host = h_interface,
    .allocate = h_allocate,
    .release = h_release,
    .log_enabled = h_log_enabled,
    .log = h_log,
    .now = h_now,
    .wall_clock = h_wall_clock,
    .status = h_status,
    .name = h_name,
    .payload_open = h_payload_open,
    .payload_grow = h_payload_grow,
    .payload_close = h_payload_close,
    .payload_ref = h_payload_ref,
    .payload_unref = h_payload_unref,
    .offer = h_offer,
    .ack = h_ack,
    .blocking = h_blocking,
};

/* ---- for the tests ---- */

struct receiver_host *receiver_host_create(void)
{
    struct receiver_host *r = (struct receiver_host *)calloc(1, sizeof *r);
    pthread_condattr_t attr;
    assert_non_null(r);
    r->host.table = &table;
    (void)pthread_mutex_init(&r->mutex, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&r->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    return r;
}

static void wait_for(struct receiver_host *r, bool (*is_so)(const struct receiver_host *, uint32_t),
                     uint32_t n)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 10;
    int waited = 0;
    pthread_mutex_lock(&r->mutex);
    while (!is_so(r, n) && waited == 0)
        waited = pthread_cond_timedwait(&r->changed, &r->mutex, &until);
    bool so = is_so(r, n);
    pthread_mutex_unlock(&r->mutex);
    assert_true(so);
}

static bool has_no_jobs(const struct receiver_host *r, uint32_t n)
{
    return r->jobs == n;
}

static bool has_held(const struct receiver_host *r, uint32_t n)
{
    return r->n_held >= n;
}

static bool has_status(const struct receiver_host *r, uint32_t n)
{
    return r->status == (int32_t)n;
}

void receiver_host_wait_jobs(struct receiver_host *r)
{
    wait_for(r, has_no_jobs, 0);
}

void receiver_host_destroy(struct receiver_host *r)
{
    receiver_host_wait_jobs(r);
    assert_int_equal(r->payloads, 0);
    assert_int_equal(r->used, 0);
    assert_int_equal(r->n_held, 0);
    assert_int_equal(r->sockets_done, r->n_sockets);
    for (uint32_t i = 0; i < r->n_sockets; i++)
        close(r->sockets[i]);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->mutex);
    free(r->last);
    free(r);
}

uint16_t receiver_host_port(struct receiver_host *r, uint32_t i)
{
    struct sockaddr_in a;
    socklen_t n = sizeof a;
    assert_true(i < r->n_sockets);
    assert_int_equal(getsockname(r->sockets[i], (struct sockaddr *)&a, &n), 0);
    return ntohs(a.sin_port);
}

int64_t receiver_host_metric(struct receiver_host *r, const char *name, const char *value)
{
    for (uint32_t i = 0; i < r->n_series; i++) {
        if (strcmp(r->series[i].name, name) == 0 && strcmp(r->series[i].value, value) == 0)
            return __atomic_load_n(&r->series[i].n, __ATOMIC_SEQ_CST);
    }
    fail_msg("no metric %s %s", name, value);
    return 0;
}

void receiver_host_wait_held(struct receiver_host *r, uint32_t n)
{
    wait_for(r, has_held, n);
}

void receiver_host_wait_status(struct receiver_host *r, int32_t status)
{
    wait_for(r, has_status, (uint32_t)status);
}

void receiver_host_meet(struct receiver_host *r)
{
    pthread_mutex_lock(&r->mutex);
    pthread_mutex_unlock(&r->mutex);
}

void receiver_host_answer(struct receiver_host *r)
{
    pthread_mutex_lock(&r->mutex);
    assert_true(r->n_held > 0);
    struct host_offer offer = r->held[0];
    memmove(r->held, r->held + 1, (r->n_held - 1) * sizeof *r->held);
    r->n_held--;
    pthread_mutex_unlock(&r->mutex);
    tell(r, &offer);
}
