#include "formats/trace/number_code.h"
#include "formats/trace/bits.h"
#include "formats/trace/number_split.h"
#include <math.h>

const struct number_split number_splits[NUMBERS_SPLITS] = {{1, 0}, {4, 1}, {4, 2},
                                                           {5, 3}, {6, 4}, {9, 0}};

enum { WINDOWS = 4, WINDOW = 256, FIRST_SPLIT = 2 };

void number_writer_init(struct number_writer *w)
{
    memset(w, 0, sizeof *w);
    w->about = heap_writer();
    w->bits = heap_writer();
}

void number_writer_deinit(struct number_writer *w)
{
    free(w->about.at);
    free(w->bits.at);
    free(w->x);
    free(w->y);
    free(w->symbols);
    free(w->coded);
    map_free(&w->listed);
}

static bool need_room(struct number_writer *w, uint32_t n)
{
    if (n <= w->room) {
        return true;
    }
    const size_t room = (size_t)n + n / 2 + 64;
    free(w->x);
    free(w->y);
    free(w->symbols);
    free(w->coded);
    w->x = malloc(room * sizeof *w->x);
    w->y = malloc(room * sizeof *w->y);
    w->symbols = malloc(room * sizeof *w->symbols);
    w->coded = malloc(room * 2 + 16);
    w->room = w->x && w->y && w->symbols && w->coded ? (uint32_t)room : 0;
    return w->room > 0;
}

/* ---- plans ---- */

/* How a stream is going to be written. */
struct plan {
    uint32_t kind, transform;
    bool listed;
    int64_t base;
    uint64_t unit;
    uint64_t largest; /* of FROM_BASE */
    double cost;      /* bits */
};

static uint64_t gcd(uint64_t a, uint64_t b)
{
    while (b) {
        const uint64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

/* Base, unit and range. */
static void survey(const int64_t *v, uint32_t n, struct plan *plan)
{
    int64_t least = v[0], most = v[0];
    for (uint32_t i = 1; i < n; i++) {
        least = v[i] < least ? v[i] : least;
        most = v[i] > most ? v[i] : most;
    }
    uint64_t unit = 0;
    for (uint32_t i = 0; i < n && unit != 1; i++) {
        unit = gcd(unit, (uint64_t)v[i] - (uint64_t)least);
    }
    plan->base = least;
    plan->unit = unit ? unit : 1;
    plan->largest = ((uint64_t)most - (uint64_t)least) / plan->unit;
}

static void from_base(const struct plan *plan, const int64_t *v, uint32_t n, uint64_t *x)
{
    if (plan->unit == 1) {
        for (uint32_t i = 0; i < n; i++) {
            x[i] = (uint64_t)v[i] - (uint64_t)plan->base;
        }
    } else {
        for (uint32_t i = 0; i < n; i++) {
            x[i] = ((uint64_t)v[i] - (uint64_t)plan->base) / plan->unit;
        }
    }
}

static void to_zigzag(const int64_t *v, uint32_t n, uint64_t *x)
{
    for (uint32_t i = 0; i < n; i++) {
        x[i] = zigzag(v[i]);
    }
}

/* x before it becomes zigzag differences, in place; from the end, as each needs the one before. */
static void to_delta(uint64_t *x, uint32_t n)
{
    for (uint32_t i = n; i-- > 1;) {
        x[i] = zigzag((int64_t)(x[i] - x[i - 1]));
    }
    x[0] = zigzag((int64_t)x[0]);
}

/* False: a number is more than one above the largest before it. */
static bool to_from_most(const uint64_t *x, uint32_t n, uint64_t *y)
{
    uint64_t next = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (x[i] > next) {
            return false;
        }
        y[i] = next - x[i];
        next += x[i] == next;
    }
    return true;
}

static double log2_of(uint32_t v)
{
    return v > 1 ? (double)log2f((float)v) : 0;
}

/* Bits of `all` numbers that are split so, of which x is a sample of n; counts the symbols in
 * w->counts. */
static double split_cost(struct number_writer *w, uint32_t split, const uint64_t *x, uint32_t n,
                         uint32_t all)
{
    uint32_t top = 0, used = 0;
    uint64_t raw = 0;
    memset(w->counts, 0, sizeof w->counts);
    for (uint32_t i = 0; i < n; i++) {
        const struct symbol s = split_number(number_splits[split], x[i]);
        w->counts[s.symbol]++;
        raw += s.bits;
        top = s.symbol > top ? s.symbol : top;
    }
    double bits = n * log2_of(n);
    for (uint32_t i = 0; i <= top; i++) {
        if (w->counts[i]) {
            bits -= w->counts[i] * log2_of(w->counts[i]);
            used++;
        }
    }
    /* A sample looks more regular than the whole is: by (symbols - 1) / 2 nats (Miller, "Note on the
     * bias of information estimates", 1955). */
    bits += (used - 1) * (all > n ? 0.72 : 0);
    return (bits + (double)raw) * all / n + used * (all < 512 ? 2.5 : 3.5) + (top + 1 - used) + 10;
}

/* The best split of a sample of x for n numbers. */
static double best_split(struct number_writer *w, const uint64_t *x, uint32_t sample, uint32_t n,
                         uint32_t *kind)
{
    double best = INFINITY;
    for (uint32_t i = 0; i < NUMBERS_SPLITS; i++) {
        const double cost = split_cost(w, i, x, sample, n);
        if (cost < best) {
            best = cost;
            *kind = NUMBERS_CODED + i;
        }
    }
    return best;
}

/* Windows of consecutive numbers, as differences depend on their order. */
static uint32_t take_sample(const int64_t *v, uint32_t n, int64_t *sample)
{
    if (n <= WINDOWS * WINDOW) {
        memcpy(sample, v, n * sizeof *v);
        return n;
    }
    for (uint32_t i = 0; i < WINDOWS; i++) {
        const uint32_t at = (uint32_t)((uint64_t)(n - WINDOW) * i / (WINDOWS - 1));
        memcpy(sample + i * WINDOW, v + at, WINDOW * sizeof *v);
    }
    return WINDOWS * WINDOW;
}

static int compare_u64(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The different numbers of x, sorted, to y, and their number; 0: more than pay off. */
static uint32_t list_values(struct number_writer *w, const uint64_t *x, uint32_t n, uint64_t *y)
{
    const uint32_t most = n / 2 + 1 < NUMBERS_LIST_MAX ? n / 2 + 1 : NUMBERS_LIST_MAX;
    uint32_t found = 0;
    map_free(&w->listed);
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0 && x[i] == x[i - 1]) {
            continue;
        }
        const uint64_t hash = hash_mix(x[i], 0);
        uint64_t at = map_first(hash);
        uint32_t k = map_next(&w->listed, hash, &at);
        while (k != TRACE_NONE && y[k] != x[i]) {
            k = map_next(&w->listed, hash, &at);
        }
        if (k == TRACE_NONE) {
            if (found == most) {
                return 0;
            }
            if (!map_add(&w->listed, hash, found)) {
                w->about.failed = true;
                return 0;
            }
            y[found++] = x[i];
        }
    }
    qsort(y, found, sizeof *y, compare_u64);
    return found;
}

static void look_up(const uint64_t *list, uint32_t n_list, uint64_t *x, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t low = 0, high = n_list;
        while (high - low > 1) {
            const uint32_t middle = low + (high - low) / 2;
            if (list[middle] <= x[i]) {
                low = middle;
            } else {
                high = middle;
            }
        }
        x[i] = low;
    }
}

static uint32_t bit_length(uint64_t v)
{
    return v ? 64 - (uint32_t)__builtin_clzll(v) : 0;
}

static void consider(struct plan *best, uint32_t kind, uint32_t transform, double cost)
{
    if (cost < best->cost) {
        best->kind = kind;
        best->transform = transform;
        best->cost = cost;
    }
}

/* Everything but lists. */
static struct plan plan_plain(struct number_writer *w, const int64_t *v, uint32_t n)
{
    int64_t sample[WINDOWS * WINDOW];
    uint64_t x[WINDOWS * WINDOW];
    struct plan plan = {0};
    uint32_t kind = NUMBERS_CODED;
    survey(v, n, &plan);
    if (plan.largest == 0) {
        plan.kind = NUMBERS_CONSTANT;
        return plan;
    }
    plan.kind = NUMBERS_PACKED;
    plan.transform = NUMBERS_FROM_BASE;
    plan.cost = (double)bit_length(plan.largest) * n;
    if (n < 3) {
        return plan;
    }
    const uint32_t n_sample = take_sample(v, n, sample);
    from_base(&plan, sample, n_sample, x);
    double cost = 64 + best_split(w, x, n_sample, n, &kind);
    consider(&plan, kind, NUMBERS_FROM_BASE, cost);
    /* What the largest so far is does not show in windows. Only where most numbers occur twice or
     * are new can this be the best. */
    if (plan.largest < n) {
        from_base(&plan, v, n, w->x);
        if (to_from_most(w->x, n, w->y)) {
            if (w->y[n - 1] == 0 && plan.largest == n - 1) { /* 0, 1, 2, ... */
                plan.kind = NUMBERS_CONSTANT;
                plan.transform = NUMBERS_FROM_MOST;
                plan.cost = 0;
                return plan;
            }
            cost = 64 + best_split(w, w->y, n, n, &kind);
            consider(&plan, kind, NUMBERS_FROM_MOST, cost);
        }
    }
    to_delta(x, n_sample);
    cost = 64 + best_split(w, x + 1, n_sample - 1, n, &kind);
    consider(&plan, kind, NUMBERS_DELTA, cost);
    if (plan.base < 0) {
        to_zigzag(sample, n_sample, x);
        cost = 64 + best_split(w, x, n_sample, n, &kind);
        consider(&plan, kind, NUMBERS_ZIGZAG, cost);
    }
    plan.unit = plan.transform == NUMBERS_ZIGZAG ? 1 : plan.unit;
    return plan;
}

double numbers_cost(struct number_writer *w, const int64_t *v, uint32_t n)
{
    if (n == 0) {
        return 0;
    }
    return need_room(w, n) ? plan_plain(w, v, n).cost : INFINITY;
}

/* ---- writing ---- */

static void write_packed(struct number_writer *w, const uint64_t *x, uint32_t n, uint32_t width)
{
    if (!sl_writer_room(&w->bits, (size_t)n * 8 + 16)) {
        return;
    }
    struct bit_writer bits = {.p = w->bits.at + w->bits.used};
    for (uint32_t i = 0; i < n; i++) {
        put_bits(&bits, x[i], width);
    }
    w->bits.used = (size_t)(put_bits_end(&bits) - w->bits.at);
}

static void write_coded(struct number_writer *w, struct number_split split, const uint64_t *x,
                        uint32_t n)
{
    uint32_t top = 0;
    memset(w->counts, 0, sizeof w->counts);
    for (uint32_t i = 0; i < n; i++) {
        const struct symbol s = split_number(split, x[i]);
        w->symbols[i] = (uint16_t)s.symbol;
        w->counts[s.symbol]++;
        top = s.symbol > top ? s.symbol : top;
    }
    rans_make_model(&w->model, w->counts, top + 1, &w->bits);
    rans_encode(&w->model, w->symbols, n, w->coded, &w->bits);
    if (!sl_writer_room(&w->bits, (size_t)n * 8 + 16)) {
        return;
    }
    struct bit_writer bits = {.p = w->bits.at + w->bits.used};
    for (uint32_t i = 0; i < n; i++) {
        const struct symbol s = split_number(split, x[i]);
        put_bits(&bits, x[i] & (((uint64_t)1 << s.bits) - 1), s.bits);
    }
    w->bits.used = (size_t)(put_bits_end(&bits) - w->bits.at);
}

static void write_plan(struct number_writer *w, const struct plan *plan, const uint64_t *x,
                       uint32_t n, uint64_t largest)
{
    const size_t before = w->bits.used;
    if (plan->kind == NUMBERS_PACKED) {
        const uint32_t width = bit_length(largest);
        write_number(&w->about, width);
        write_packed(w, x, n, width);
    } else {
        write_coded(w, number_splits[plan->kind - NUMBERS_CODED], x, n);
    }
    write_number(&w->about, w->bits.used - before);
}

static void write_head(struct number_writer *w, const struct plan *plan)
{
    write_number(&w->about, plan->kind | plan->transform << 3 |
                                (plan->listed ? NUMBERS_LISTED : 0) |
                                (plan->unit > 1 ? NUMBERS_UNIT : 0));
    if (plan->transform != NUMBERS_ZIGZAG) {
        write_number(&w->about, zigzag(plan->base));
    }
    if (plan->unit > 1) {
        write_number(&w->about, plan->unit);
    }
}

/* The plain form of v by its plan, in w->x or w->y. */
static const uint64_t *transformed(struct number_writer *w, const struct plan *plan,
                                   const int64_t *v, uint32_t n)
{
    if (plan->transform == NUMBERS_ZIGZAG) {
        to_zigzag(v, n, w->x);
        return w->x;
    }
    from_base(plan, v, n, w->x);
    if (plan->transform == NUMBERS_FROM_MOST) {
        (void)to_from_most(w->x, n, w->y);
        return w->y;
    }
    if (plan->transform == NUMBERS_DELTA) {
        to_delta(w->x, n);
    }
    return w->x;
}

/* A list of the values and their indices, if that is cheaper than `plain`. */
static bool write_listed(struct number_writer *w, const struct plan *plain, const int64_t *v,
                         uint32_t n)
{
    struct plan plan = *plain;
    if (plan.transform == NUMBERS_ZIGZAG) {
        survey(v, n, &plan);
    }
    plan.transform = NUMBERS_FROM_BASE;
    plan.listed = true;
    from_base(&plan, v, n, w->x);
    const uint32_t n_list = list_values(w, w->x, n, w->y);
    if (n_list == 0 || plan.largest + 1 == n_list) {
        return false;
    }
    int64_t *steps = malloc(n_list * sizeof *steps);
    if (!steps) {
        w->about.failed = true;
        return false;
    }
    for (uint32_t i = 0; i < n_list; i++) {
        steps[i] = (int64_t)(w->y[i] - (i > 0 ? w->y[i - 1] : 0));
    }
    look_up(w->y, n_list, w->x, n);
    plan.cost = 24 + n_list * (log2((double)plan.largest / n_list) + 1.5) +
                best_split(w, w->x, n, n, &plan.kind);
    const bool pays = plan.cost < plain->cost;
    if (pays) {
        write_head(w, &plan);
        write_number(&w->about, n_list);
        write_plan(w, &plan, w->x, n, n_list - 1);
        const struct plan list_plan = plan_plain(w, steps, n_list);
        write_head(w, &list_plan);
        if (list_plan.kind != NUMBERS_CONSTANT) {
            write_plan(w, &list_plan, transformed(w, &list_plan, steps, n_list), n_list,
                       list_plan.largest);
        }
    }
    free(steps);
    return pays;
}

bool numbers_write(struct number_writer *w, const int64_t *v, uint32_t n)
{
    if (n == 0) {
        return true;
    }
    if (!need_room(w, n)) {
        return false;
    }
    struct plan plan = plan_plain(w, v, n);
    if (plan.kind == NUMBERS_CONSTANT || n < 6 || !write_listed(w, &plan, v, n)) {
        write_head(w, &plan);
        if (plan.kind != NUMBERS_CONSTANT) {
            write_plan(w, &plan, transformed(w, &plan, v, n), n, plan.largest);
        }
    }
    return !w->about.failed && !w->bits.failed;
}
