/* The registry of metrics: families with their series, which are also found through a hash table;
 * all of it under the registry's lock. Any thread. */
#include "pipeline/telemetry/metrics.h"
#include <pthread.h>
#include <stdlib.h>

enum { BUCKETS = 1024 };

struct family;

struct series {
    struct metric metric; /* first, and alone on its cache line */
    struct family *family;
    struct series *next;        /* in the family, by labels */
    struct series *next_bucket; /* not for callbacks */
    int64_t (*read)(void *ctx); /* NULL: the metric is the value */
    void *ctx;
    _Atomic uint64_t *counts; /* of a histogram, one a bucket; in the same block */
    uint32_t hash, n_labels;
    struct metric_label labels[METRIC_LABELS_MAX]; /* by key; strings in the same block */
};

struct family {
    struct metric_def def; /* strings in the same block */
    struct family *next;   /* by name */
    struct series *first;
};

struct metrics {
    pthread_mutex_t lock;
    struct family *families;
    uint32_t n_series, max_series;
    _Atomic uint64_t refused;
    struct series *buckets[BUCKETS];
};

/* Labels in order of their keys, as they are kept and compared. */
struct sorted_labels {
    struct metric_label at[METRIC_LABELS_MAX];
    uint32_t n, hash;
};

static bool name_ok(const char *name, bool colon)
{
    if (!name || !*name)
        return false;
    for (const char *p = name; *p; p++) {
        bool letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || *p == '_';
        if (!letter && !(*p >= '0' && *p <= '9' && p != name) && !(*p == ':' && colon))
            return false;
    }
    return true;
}

static uint32_t hash_text(uint32_t hash, const char *text)
{
    do
        hash = (hash ^ (uint8_t)*text) * 16777619u;
    while (*text++);
    return hash;
}

static bool sort_labels(const char *name, const struct metric_label *labels, uint32_t n,
                        struct sorted_labels *sorted)
{
    if (n > METRIC_LABELS_MAX)
        return false;
    sorted->n = n;
    for (uint32_t i = 0; i < n; i++) {
        struct metric_label label = labels[i];
        uint32_t at = i;
        if (!label.key)
            return false;
        if (!label.value)
            label.value = "";
        while (at > 0 && strcmp(sorted->at[at - 1].key, label.key) > 0) {
            sorted->at[at] = sorted->at[at - 1];
            at--;
        }
        sorted->at[at] = label;
    }
    sorted->hash = hash_text(2166136261u, name);
    for (uint32_t i = 0; i < n; i++)
        sorted->hash = hash_text(hash_text(sorted->hash, sorted->at[i].key), sorted->at[i].value);
    return true;
}

/* What a lookup need not check, as only a checked series can be found. */
static bool labels_ok(const struct sorted_labels *sorted)
{
    for (uint32_t i = 0; i < sorted->n; i++) {
        const struct metric_label *label = &sorted->at[i];
        if (!name_ok(label->key, false) || strncmp(label->key, "__", 2) == 0 ||
            strlen(label->value) > METRIC_VALUE_MAX ||
            (i > 0 && strcmp(label->key, sorted->at[i - 1].key) == 0))
            return false;
    }
    return true;
}

static int compare_labels(const struct series *series, const struct sorted_labels *sorted)
{
    for (uint32_t i = 0; i < series->n_labels && i < sorted->n; i++) {
        int order = strcmp(series->labels[i].key, sorted->at[i].key);
        if (order == 0)
            order = strcmp(series->labels[i].value, sorted->at[i].value);
        if (order != 0)
            return order;
    }
    return series->n_labels < sorted->n ? -1 : series->n_labels > sorted->n;
}

static bool same_kind(const struct metric_def *a, const struct metric_def *b)
{
    return a->kind == b->kind &&
           (a->kind != METRIC_HISTOGRAM ||
            (a->n_bounds == b->n_bounds &&
             memcmp(a->bounds, b->bounds, a->n_bounds * sizeof *a->bounds) == 0));
}

/* Under the lock. */
static struct series *find(struct metrics *metrics, const char *name,
                           const struct sorted_labels *sorted)
{
    struct series *series = metrics->buckets[sorted->hash % BUCKETS];
    while (series && (series->hash != sorted->hash || strcmp(series->family->def.name, name) != 0 ||
                      compare_labels(series, sorted) != 0))
        series = series->next_bucket;
    return series;
}

static char *copy_text(char **at, const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = memcpy(*at, text, n);
    *at += n;
    return copy;
}

/* Under the lock. NULL: no memory, or the name is taken by another kind. */
static struct family *family_of(struct metrics *metrics, const struct metric_def *def)
{
    struct family **place = &metrics->families;
    while (*place && strcmp((*place)->def.name, def->name) < 0)
        place = &(*place)->next;
    if (*place && strcmp((*place)->def.name, def->name) == 0)
        return same_kind(&(*place)->def, def) ? *place : NULL;
    const uint32_t n_bounds = def->kind == METRIC_HISTOGRAM ? def->n_bounds : 0;
    const size_t bounds = n_bounds * sizeof *def->bounds;
    const char *unit = def->unit ? def->unit : "", *help = def->help ? def->help : "";
    size_t text = strlen(def->name) + strlen(unit) + strlen(help) + 3;
    struct family *family = malloc(sizeof *family + bounds + text);
    if (!family)
        return NULL;
    family->def.bounds = (const int64_t *)(const void *)(family + 1);
    family->def.n_bounds = n_bounds;
    if (n_bounds > 0)
        memcpy(family + 1, def->bounds, bounds);
    char *at = (char *)(family + 1) + bounds;
    family->def.name = copy_text(&at, def->name);
    family->def.unit = copy_text(&at, unit);
    family->def.help = copy_text(&at, help);
    family->def.kind = def->kind;
    family->def.divisor = def->divisor > 0 ? def->divisor : 1;
    family->first = NULL;
    family->next = *place;
    *place = family;
    return family;
}

/* Under the lock: a new series in its place among the family's. NULL: no memory, or it is there. */
static struct series *insert(struct family *family, const struct sorted_labels *sorted)
{
    struct series **place = &family->first;
    int order = 1;
    while (*place && (order = compare_labels(*place, sorted)) < 0)
        place = &(*place)->next;
    if (*place && order == 0)
        return NULL;
    const size_t buckets = family->def.n_bounds > 0 ? family->def.n_bounds + 1 : 0;
    size_t bytes = sizeof(struct series) + buckets * sizeof(_Atomic uint64_t);
    for (uint32_t i = 0; i < sorted->n; i++)
        bytes += strlen(sorted->at[i].key) + strlen(sorted->at[i].value) + 2;
    struct series *series = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!series)
        return NULL;
    memset(series, 0, sizeof *series);
    _Atomic uint64_t *counts = (_Atomic uint64_t *)(void *)(series + 1);
    for (size_t i = 0; i < buckets; i++)
        atomic_init(&counts[i], 0);
    series->counts = buckets > 0 ? counts : NULL;
    char *at = (char *)(counts + buckets);
    for (uint32_t i = 0; i < sorted->n; i++) {
        series->labels[i].key = copy_text(&at, sorted->at[i].key);
        series->labels[i].value = copy_text(&at, sorted->at[i].value);
    }
    series->n_labels = sorted->n;
    series->hash = sorted->hash;
    series->family = family;
    series->next = *place;
    *place = series;
    return series;
}

static bool def_ok(const struct metric_def *def)
{
    if (def->kind == METRIC_HISTOGRAM) {
        if (!def->bounds || def->n_bounds == 0 || def->n_bounds > METRIC_BOUNDS_MAX)
            return false;
        for (uint32_t i = 1; i < def->n_bounds; i++)
            if (def->bounds[i] <= def->bounds[i - 1])
                return false;
    } else if (def->kind != SL_COUNTER && def->kind != SL_GAUGE) {
        return false;
    }
    return name_ok(def->name, true);
}

struct metrics *metrics_create(uint32_t max_series)
{
    struct metrics *metrics = calloc(1, sizeof *metrics);
    if (!metrics)
        return NULL;
    pthread_mutex_init(&metrics->lock, NULL);
    metrics->max_series = max_series ? max_series : METRIC_SERIES_MAX;
    return metrics;
}

void metrics_destroy(struct metrics *metrics)
{
    if (!metrics)
        return;
    while (metrics->families) {
        struct family *family = metrics->families;
        while (family->first) {
            struct series *series = family->first;
            family->first = series->next;
            free(series);
        }
        metrics->families = family->next;
        free(family);
    }
    pthread_mutex_destroy(&metrics->lock);
    free(metrics);
}

struct metric *metrics_series(struct metrics *metrics, const struct metric_def *def,
                              const struct metric_label *labels, uint32_t n_labels)
{
    struct sorted_labels sorted;
    struct series *series = NULL;
    if (def && def_ok(def) && sort_labels(def->name, labels, n_labels, &sorted)) {
        pthread_mutex_lock(&metrics->lock);
        series = find(metrics, def->name, &sorted);
        struct family *family =
            !series && metrics->n_series < metrics->max_series && labels_ok(&sorted)
                ? family_of(metrics, def)
                : NULL;
        if (family && (series = insert(family, &sorted)) != NULL) {
            struct series **bucket = &metrics->buckets[sorted.hash % BUCKETS];
            series->next_bucket = *bucket;
            *bucket = series;
            metrics->n_series++;
        }
        pthread_mutex_unlock(&metrics->lock);
    }
    if (!series || !same_kind(&series->family->def, def)) {
        atomic_fetch_add_explicit(&metrics->refused, 1, memory_order_relaxed);
        return NULL;
    }
    return &series->metric;
}

void metric_record(struct metric *m, int64_t value)
{
    struct series *series = (struct series *)(void *)m; /* its first member */
    if (!series)
        return;
    const struct metric_def *def = &series->family->def;
    uint32_t bucket = 0;
    while (bucket < def->n_bounds && value > def->bounds[bucket])
        bucket++;
    atomic_fetch_add_explicit(&series->counts[bucket], 1, memory_order_relaxed);
    metric_add(m, value);
}

struct metrics_callback *metrics_observe(struct metrics *metrics, const struct metric_def *def,
                                         const struct metric_label *labels, uint32_t n_labels,
                                         int64_t (*read)(void *ctx), void *ctx)
{
    struct sorted_labels sorted;
    struct series *series = NULL;
    if (def && def_ok(def) && def->kind != METRIC_HISTOGRAM &&
        sort_labels(def->name, labels, n_labels, &sorted) && labels_ok(&sorted)) {
        pthread_mutex_lock(&metrics->lock);
        struct family *family =
            metrics->n_series < metrics->max_series ? family_of(metrics, def) : NULL;
        if (family && (series = insert(family, &sorted)) != NULL) {
            series->read = read;
            series->ctx = ctx;
            metrics->n_series++;
        }
        pthread_mutex_unlock(&metrics->lock);
    }
    if (!series)
        atomic_fetch_add_explicit(&metrics->refused, 1, memory_order_relaxed);
    return (struct metrics_callback *)series;
}

void metrics_unobserve(struct metrics *metrics, struct metrics_callback *callback)
{
    struct series *series = (struct series *)callback;
    if (!series)
        return;
    pthread_mutex_lock(&metrics->lock);
    struct series **place = &series->family->first;
    while (*place != series)
        place = &(*place)->next;
    *place = series->next;
    metrics->n_series--;
    pthread_mutex_unlock(&metrics->lock);
    free(series);
}

static bool has_label(const struct series *s, const char *key, const char *value)
{
    for (uint32_t i = 0; i < s->n_labels; i++)
        if (!strcmp(s->labels[i].key, key))
            return !strcmp(s->labels[i].value, value);
    return false;
}

static void unlink_bucket(struct metrics *metrics, struct series *series)
{
    struct series **at = &metrics->buckets[series->hash % BUCKETS];
    while (*at && *at != series)
        at = &(*at)->next_bucket;
    if (*at) /* callbacks are in none */
        *at = series->next_bucket;
}

void metrics_forget(struct metrics *metrics, const char *kind, const char *id)
{
    pthread_mutex_lock(&metrics->lock);
    for (struct family *family = metrics->families; family; family = family->next) {
        for (struct series **at = &family->first; *at;) {
            struct series *s = *at;
            if (s->read || !(has_label(s, kind, id) ||
                             (has_label(s, "component", id) && has_label(s, "kind", kind)))) {
                at = &s->next;
                continue;
            }
            *at = s->next;
            unlink_bucket(metrics, s);
            metrics->n_series--;
            free(s);
        }
    }
    pthread_mutex_unlock(&metrics->lock);
}

uint64_t metrics_refused(const struct metrics *metrics)
{
    return atomic_load_explicit(&metrics->refused, memory_order_relaxed);
}

static void visit_series(const struct metrics_visitor *visitor, const struct metric_def *def,
                         struct series *s)
{
    uint64_t counts[METRIC_BOUNDS_MAX + 1];
    if (!s->counts) {
        if (visitor->series)
            visitor->series(visitor->ctx, def, s->labels, s->n_labels,
                            s->read ? s->read(s->ctx) : metric_get(&s->metric));
    } else if (visitor->histogram) {
        for (uint32_t i = 0; i <= def->n_bounds; i++)
            counts[i] = atomic_load_explicit(&s->counts[i], memory_order_relaxed);
        visitor->histogram(visitor->ctx, def, s->labels, s->n_labels, metric_get(&s->metric),
                           counts);
    }
}

void metrics_visit(struct metrics *metrics, const struct metrics_visitor *visitor)
{
    pthread_mutex_lock(&metrics->lock);
    for (struct family *family = metrics->families; family; family = family->next) {
        if (family->first && visitor->family)
            visitor->family(visitor->ctx, &family->def);
        for (struct series *s = family->first; s; s = s->next)
            visit_series(visitor, &family->def, s);
    }
    pthread_mutex_unlock(&metrics->lock);
}
