/* Lists the series of the shop's resources and collects them in order of time. Runs on the thread
 * that generates. */
#include "commands/generate/metrics.h"

#include "commands/generate/operations.h"
#include "commands/generate/queries.h"
#include "commands/generate/series.h"
#include "commands/generate/traces.h"

#include <stdlib.h>

#define SECOND 1e9
#define RESTARTS_SERVICE 0.001 /* a collection */
#define RESTARTS_OTHER 0.00005

enum { ROSTER_MAX = 64, EXEMPLARS_MAX = 16, SPREAD_COUNT = SPREAD_PARTITIONS + 1 };

/* What a service's series of one spread are about: operations, queries, stores, or topic * 64 +
 * partition. */
struct roster {
    uint16_t at[ROSTER_MAX];
    uint32_t n;
};

struct group {
    uint32_t resource;
    uint32_t first; /* series */
    uint32_t n;
    uint64_t phase;
    uint64_t started;
    uint64_t collected; /* the last time, or 0 */
};

struct metrics {
    struct metrics_options options;
    struct rng rng;
    struct roster rosters[SERVICE_COUNT][SPREAD_COUNT];
    struct series *series;
    uint32_t series_count;
    struct group *groups; /* by phase */
    uint32_t group_count;
    uint32_t next;
    uint64_t round;
    struct metric *metrics;
    struct point *points;
    struct exemplar exemplars[EXEMPLARS_MAX];
    struct text_pool text;
    struct attr_pool attrs;
};

static void roster_add(struct roster *r, uint32_t what)
{
    for (uint32_t i = 0; i < r->n; i++) {
        if (r->at[i] == what) {
            return;
        }
    }
    if (r->n < ROSTER_MAX) {
        r->at[r->n++] = (uint16_t)what;
    }
}

static void rosters_fill_queries(struct roster rosters[SPREAD_COUNT], const struct operation *op)
{
    for (uint32_t i = 0; i < op->step_count; i++) {
        const struct step *step = &op->steps[i];
        if (step->kind == STEP_QUERY || step->kind == STEP_CACHED) {
            roster_add(&rosters[SPREAD_STORES], step->target);
            roster_add(&rosters[SPREAD_POOLS], topology_queries[step->target].store);
        }
        if (step->kind == STEP_CACHED) {
            roster_add(&rosters[SPREAD_STORES], step->fallback);
            roster_add(&rosters[SPREAD_POOLS], topology_queries[step->fallback].store);
        }
    }
}

static void rosters_fill(struct roster rosters[SERVICE_COUNT][SPREAD_COUNT])
{
    for (uint32_t i = 0; i < topology_operation_count; i++) {
        const struct operation *op = &topology_operations[i];
        struct roster *mine = rosters[op->service];
        rosters_fill_queries(mine, op);
        if (op->kind == OP_HTTP) {
            roster_add(&mine[SPREAD_ROUTES], i * 2);
            roster_add(&mine[SPREAD_ROUTES], i * 2 + 1);
        } else if (op->kind == OP_RPC) {
            roster_add(&mine[SPREAD_CALLS], i);
        } else if (op->kind != OP_LOCAL) {
            for (uint32_t p = 0; p < topology_topics[op->topic].partitions; p++) {
                roster_add(&mine[SPREAD_PARTITIONS], (uint32_t)op->topic * 64 + p);
            }
        }
    }
}

static bool reports(const struct topology *t, uint32_t resource, const struct family *f)
{
    uint32_t owner = t->owners[resource];
    switch (f->reporter) {
    case BY_SERVICE:
        return owner < SERVICE_COUNT &&
               (f->whose == ANYONE || topology_services[owner].language == f->whose);
    case BY_CONSUMER:
        return owner < SERVICE_COUNT;
    case BY_MACHINE:
        return resource >= t->machine_first && resource < t->store_first;
    default:
        return resource >= t->store_first &&
               (f->whose == ANYONE || topology_stores[resource - t->store_first].role == f->whose);
    }
}

/* How many series of the family the resource has. */
static uint32_t family_count(const struct topology *t,
                             struct roster rosters[SERVICE_COUNT][SPREAD_COUNT], uint32_t resource,
                             const struct family *f)
{
    if (!reports(t, resource, f)) {
        return 0;
    }
    uint32_t n = f->spread == SPREAD_NONE ? 1 : rosters[t->owners[resource]][f->spread].n;
    for (int i = 0; i < 2; i++) {
        n *= f->dimensions[i].n ? f->dimensions[i].n : 1;
    }
    return n;
}

uint32_t metrics_capacity(const struct topology *t)
{
    struct roster rosters[SERVICE_COUNT][SPREAD_COUNT];
    memset(rosters, 0, sizeof(rosters));
    rosters_fill(rosters);
    uint32_t n = 0;
    for (uint32_t r = 0; r < t->resource_count; r++) {
        for (uint32_t f = 0; f < metric_family_count; f++) {
            n += family_count(t, rosters, r, &metric_families[f]);
        }
    }
    return n;
}

static sl_bytes number_text(struct metrics *m, uint64_t n)
{
    text_begin(&m->text);
    text_uint(&m->text, n);
    return text_end(&m->text);
}

static void route_attributes(struct metrics *m, uint32_t what)
{
    const struct operation *op = &topology_operations[what / 2];
    bool failed = what & 1;
    int64_t failure = op->rejected_status ? op->rejected_status : 500;
    int64_t success = op->success_status ? op->success_status : 200;
    attrs_text(&m->attrs, LIT("http.request.method"), op->method);
    if (op->route.n) {
        attrs_text(&m->attrs, LIT("http.route"), op->route);
    }
    attrs_int(&m->attrs, LIT("http.response.status_code"), failed ? failure : success);
    attrs_text(&m->attrs, LIT("url.scheme"), LIT("http"));
    attrs_text(&m->attrs, LIT("network.protocol.version"), LIT("1.1"));
    if (failed) {
        attrs_text(&m->attrs, LIT("error.type"), number_text(m, (uint64_t)failure));
    }
}

static void spread_attributes(struct metrics *m, enum spread spread, uint32_t what)
{
    switch (spread) {
    case SPREAD_ROUTES:
        route_attributes(m, what);
        break;
    case SPREAD_CALLS: {
        const struct operation *op = &topology_operations[what];
        text_begin(&m->text);
        text_add(&m->text, topology_services[op->service].package);
        text_char(&m->text, '.');
        text_add(&m->text, op->method);
        sl_bytes service = text_end(&m->text);
        attrs_text(&m->attrs, LIT("rpc.system"), LIT("grpc"));
        attrs_text(&m->attrs, LIT("rpc.service"), service);
        attrs_text(&m->attrs, LIT("rpc.method"), op->route);
        attrs_int(&m->attrs, LIT("rpc.grpc.status_code"), 0);
        break;
    }
    case SPREAD_STORES: {
        const struct query *q = &topology_queries[what];
        attrs_text(&m->attrs, LIT("db.system.name"), topology_stores[q->store].system);
        attrs_text(&m->attrs, LIT("db.namespace"), topology_stores[q->store].name);
        attrs_text(&m->attrs, LIT("db.operation.name"), q->operation);
        if (q->collection.n) {
            attrs_text(&m->attrs, LIT("db.collection.name"), q->collection);
        }
        attrs_text(&m->attrs, LIT("server.address"), topology_stores[q->store].host);
        break;
    }
    case SPREAD_POOLS:
        attrs_text(&m->attrs, LIT("db.client.connection.pool.name"), topology_stores[what].host);
        break;
    case SPREAD_PARTITIONS:
        attrs_text(&m->attrs, LIT("messaging.system"), LIT("kafka"));
        attrs_text(&m->attrs, LIT("messaging.destination.name"), topology_topics[what / 64].name);
        attrs_text(&m->attrs, LIT("messaging.destination.partition.id"), number_text(m, what % 64));
        break;
    default:
        break;
    }
}

static enum sl_status series_add(struct metrics *m, uint32_t resource, const struct family *f,
                                 uint32_t index, double age)
{
    struct series *s = &m->series[m->series_count++];
    memset(s, 0, sizeof(*s));
    s->family = f;
    attrs_begin(&m->attrs);
    uint32_t rest = index;
    uint32_t values[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        if (f->dimensions[i].n) {
            values[i] = rest % f->dimensions[i].n;
            rest /= f->dimensions[i].n;
        }
    }
    double share = 1;
    if (f->spread != SPREAD_NONE) {
        uint32_t what = m->rosters[m->options.topology->owners[resource]][f->spread].at[rest];
        share = f->spread == SPREAD_ROUTES && (what & 1)
                    ? 0.01
                    : 1; /* failures are rare beside successes */
        spread_attributes(m, f->spread, what);
    }
    for (int i = 0; i < 2; i++) {
        if (f->dimensions[i].n) {
            attrs_text(&m->attrs, f->dimensions[i].key, f->dimensions[i].values[values[i]]);
        }
    }
    s->attrs = attrs_end(&m->attrs);
    return series_init(s, &m->rng, age, share);
}

/* Picks `options.series` of the capacity at even distances. */
static enum sl_status series_list(struct metrics *m)
{
    const struct topology *t = m->options.topology;
    uint64_t capacity = metrics_capacity(t);
    uint64_t wanted = m->options.series;
    uint64_t index = 0;
    for (uint32_t r = 0; r < t->resource_count; r++) {
        struct group *g = &m->groups[m->group_count];
        memset(g, 0, sizeof(*g));
        g->resource = r;
        g->first = m->series_count;
        g->phase = rng_u64(&m->rng) % METRICS_INTERVAL_NS;
        double age = 600 + rng_unit(&m->rng) * 5 * 86400;
        g->started = m->options.start - (uint64_t)(age * SECOND);
        for (uint32_t f = 0; f < metric_family_count; f++) {
            uint32_t n = family_count(t, m->rosters, r, &metric_families[f]);
            for (uint32_t i = 0; i < n; i++, index++) {
                if (index * wanted / capacity == (index + 1) * wanted / capacity) {
                    continue;
                }
                enum sl_status status = series_add(m, r, &metric_families[f], i, age);
                if (status != SL_OK) {
                    return status;
                }
            }
        }
        g->n = m->series_count - g->first;
        m->group_count += g->n ? 1 : 0;
    }
    return m->text.failed || m->attrs.failed ? SL_ERR_TOO_LARGE : SL_OK;
}

static int by_phase(const void *a, const void *b)
{
    const struct group *x = a;
    const struct group *y = b;
    return x->phase != y->phase        ? (x->phase < y->phase ? -1 : 1)
           : x->resource < y->resource ? -1
                                       : 1;
}

static uint16_t family_scope(const struct metrics *m, uint32_t resource, const struct family *f)
{
    uint32_t owner = m->options.topology->owners[resource];
    if (owner < SERVICE_COUNT) {
        return topology_scope((enum service_id)owner, (enum scope_role)f->role);
    }
    return f->reporter == BY_MACHINE ? topology_machine_scope() : topology_store_scope();
}

/* An observation of a histogram that names the trace in which it was made. */
static void exemplar_add(struct metrics *m, uint32_t *used, uint64_t time, const struct series *s,
                         struct point *p)
{
    if (m->options.trace_gap <= 0 || p->count == 0 || *used == EXEMPLARS_MAX ||
        !rng_chance(&m->rng, 0.1)) {
        return;
    }
    uint64_t when = time - rng_u64(&m->rng) % (METRICS_INTERVAL_NS / 2);
    uint64_t since = when > m->options.start ? when - m->options.start : 0;
    uint64_t number = 1 + (uint64_t)((double)since / m->options.trace_gap);
    if (number > m->options.traces) {
        return;
    }
    struct exemplar *e = &m->exemplars[(*used)++];
    e->time = when;
    e->value = rng_lognormal(&m->rng, s->family->median, s->family->sigma * 0.5);
    trace_context(m->options.seed, number, 0, &e->context);
    p->exemplars = e;
    p->exemplar_count = 1;
}

/* After a restart all counts begin again. */
static void maybe_restart(struct metrics *m, struct group *g, uint64_t time)
{
    bool service = m->options.topology->owners[g->resource] < SERVICE_COUNT;
    if (!g->collected || !rng_chance(&m->rng, service ? RESTARTS_SERVICE : RESTARTS_OTHER)) {
        return;
    }
    g->started = time - rng_u64(&m->rng) % (METRICS_INTERVAL_NS / 2) - 1;
    for (uint32_t i = 0; i < g->n; i++) {
        series_reset(&m->series[g->first + i]);
    }
}

void metrics_next(struct metrics *m, struct collection *out)
{
    struct group *g = &m->groups[m->next];
    /* Timers fire a little late, and now and then much. */
    uint64_t late = (uint64_t)rng_lognormal(&m->rng, 1.5e6, 0.8);
    if (rng_chance(&m->rng, 0.02)) {
        late += rng_u64(&m->rng) % 1000000000;
    }
    uint64_t time = metrics_watermark(m) + late;
    maybe_restart(m, g, time);
    uint64_t before = g->collected ? g->collected : time - METRICS_INTERVAL_NS;
    uint64_t since = before > g->started ? before : g->started;
    double seconds = (double)(time - since) / SECOND;
    uint64_t day = UINT64_C(86400000000000);
    double day_time = (double)(time % day) / SECOND;

    struct metric *metric = NULL;
    const struct family *family = NULL;
    uint32_t exemplars = 0;
    out->metric_count = 0;
    for (uint32_t i = 0; i < g->n; i++) {
        struct series *s = &m->series[g->first + i];
        struct point *p = &m->points[i];
        series_step(s, &m->rng, seconds, day_time, (double)(time - g->started) / SECOND, p);
        p->time = time;
        p->start = s->family->type == POINT_GAUGE ? 0 : s->family->delta ? since : g->started;
        if (s->family->type == POINT_HISTOGRAM || s->family->type == POINT_EXPONENTIAL) {
            exemplar_add(m, &exemplars, time, s, p);
        }
        if (s->family != family) {
            family = s->family;
            metric = &m->metrics[out->metric_count++];
            metric->name = family->name;
            metric->description = family->description;
            metric->unit = family->unit;
            metric->type = family->type;
            metric->monotonic = family->monotonic;
            metric->delta = family->delta;
            metric->scope = family_scope(m, g->resource, family);
            metric->points = p;
            metric->point_count = 0;
        }
        metric->point_count++;
    }
    g->collected = time;
    out->resource = g->resource;
    out->time = time;
    out->metrics = m->metrics;
    out->point_count = g->n;
    if (++m->next == m->group_count) {
        m->next = 0;
        m->round++;
    }
}

uint64_t metrics_watermark(const struct metrics *m)
{
    return m->options.start + m->groups[m->next].phase + m->round * METRICS_INTERVAL_NS;
}

enum sl_status metrics_create(const struct metrics_options *options, struct metrics **out)
{
    if (options->series == 0 || options->series > metrics_capacity(options->topology)) {
        return SL_ERR_INVALID;
    }
    struct metrics *m = calloc(1, sizeof(*m));
    if (!m) {
        return SL_ERR_NOMEM;
    }
    m->options = *options;
    rng_init(&m->rng, options->seed, 3);
    rosters_fill(m->rosters);
    m->series = calloc(options->series, sizeof(*m->series));
    m->groups = calloc(options->topology->resource_count, sizeof(*m->groups));
    m->metrics = calloc(metric_family_count, sizeof(*m->metrics));
    enum sl_status status = m->series && m->groups && m->metrics ? SL_OK : SL_ERR_NOMEM;
    if (status == SL_OK) {
        status = text_pool_init(&m->text, (size_t)options->series * 48 + 64);
    }
    if (status == SL_OK) {
        status = attr_pool_init(&m->attrs, options->series * 8 + 8);
    }
    if (status == SL_OK) {
        status = series_list(m);
    }
    uint32_t most = 1;
    for (uint32_t i = 0; status == SL_OK && i < m->group_count; i++) {
        most = m->groups[i].n > most ? m->groups[i].n : most;
    }
    if (status == SL_OK) {
        qsort(m->groups, m->group_count, sizeof(*m->groups), by_phase);
        m->points = malloc(most * sizeof(*m->points));
        status = m->points ? SL_OK : SL_ERR_NOMEM;
    }
    if (status != SL_OK) {
        metrics_destroy(m);
        return status;
    }
    *out = m;
    return SL_OK;
}

void metrics_destroy(struct metrics *m)
{
    if (!m) {
        return;
    }
    for (uint32_t i = 0; i < m->series_count; i++) {
        series_deinit(&m->series[i]);
    }
    free(m->series);
    free(m->groups);
    free(m->metrics);
    free(m->points);
    text_pool_deinit(&m->text);
    attr_pool_deinit(&m->attrs);
    free(m);
}
