/* The arithmetic of claims, against a recursive oracle that knows no counters: random merges,
 * splits, forks, aggregates, partial settlements and finishes, with allocations failing, and with
 * the last endings made by several threads at once. Usage: test [SEED [RUNS]]. */
#include "pipeline/delivery/delivery.h"
#include "pipeline/delivery/metadata.h"
#include <setjmp.h>
#include <sluice/otlp.h>
#include <stdlib.h>
/* cmocka wants the headers above first */
#include <cmocka.h>

/* ---- failing allocations: linked with --wrap ---- */

static _Atomic int64_t fail_after = -1; /* allocations until one fails; -1: none does */
static _Atomic uint64_t failures;

void *__real_malloc(size_t);
void *__real_calloc(size_t, size_t);
void *__wrap_malloc(size_t);
void *__wrap_calloc(size_t, size_t);

static bool fails(void)
{
    if (atomic_load(&fail_after) < 0)
        return false;
    if (atomic_fetch_sub(&fail_after, 1) != 0)
        return false;
    atomic_fetch_add(&failures, 1);
    return true;
}

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

/* ---- random ---- */

static uint64_t seed_given = 1;
static uint32_t runs = 2000;
static uint64_t rng;

static uint32_t rnd(uint32_t n)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return n ? (uint32_t)((rng >> 11) % n) : 0;
}

/* ---- the oracle: what an item's end is, by definition ---- */

enum { OPEN, SET, ITEMWISE, FORK, KEPT_FORK, AS_ONE };
enum { NODES = 40000, CHILDREN = 32, ITEMS = 96, HANDLES = 512, ROOTS = 256 };

struct node {
    uint8_t kind, outcome;
    uint32_t n, child[CHILDREN];
    int memo; /* -2: not known in this round */
};
static struct node nodes[NODES];
static uint32_t n_nodes;

static const uint8_t bad_rank[SL_OUTCOMES] = {0, 1, 2, 3, 5, 4};

/* Of two ends of the same item: does `a` stand, and not `b`? */
static bool counts_more(uint8_t kind, int a, int b)
{
    if (kind == KEPT_FORK && (a == SL_FAILED || b == SL_FAILED))
        return a == SL_FAILED;
    return kind == FORK || kind == KEPT_FORK ? a < b : bad_rank[a] > bad_rank[b];
}

static int end_of(uint32_t i)
{
    struct node *o = &nodes[i];
    if (o->memo != -2)
        return o->memo;
    if (o->kind == OPEN)
        return o->memo = -1;
    if (o->kind == SET)
        return o->memo = o->outcome;
    int r = -2;
    for (uint32_t k = 0; k < o->n; k++) {
        const int x = end_of(o->child[k]);
        if (x < 0)
            return o->memo = -1;
        if (r == -2 || counts_more(o->kind, x, r))
            r = x;
    }
    return o->memo = r;
}

static uint32_t new_node(void)
{
    assert_true(n_nodes < NODES);
    nodes[n_nodes] = (struct node){.kind = OPEN};
    return n_nodes++;
}

/* ---- the world under test ---- */

struct handle {
    struct delivery *d;
    uint32_t node[ITEMS];
    bool claimed[ITEMS];
    bool is_kept;
};
static struct handle handles[HANDLES];
static uint32_t n_handles;

struct root_record {
    uint32_t n, node[ITEMS];
    _Atomic int taken, settled;
    bool taken_after_settled;
    sl_result result;
};
static struct root_record roots[ROOTS];
static uint32_t n_roots;
static struct memory *memory;
static struct ledger ledger;

static void hear_taken(void *ctx, uint64_t cookie, const sl_result *so_far)
{
    (void)ctx;
    (void)so_far;
    if (atomic_load(&roots[cookie].settled))
        roots[cookie].taken_after_settled = true;
    atomic_fetch_add(&roots[cookie].taken, 1);
}

static void hear_settled(void *ctx, uint64_t cookie, const sl_result *r)
{
    (void)ctx;
    roots[cookie].result = *r;
    atomic_fetch_add(&roots[cookie].settled, 1);
}

static const sl_hear hears_both = {
    .size = sizeof hears_both, .taken = hear_taken, .settled = hear_settled};
static const sl_hear hears_end = {.size = sizeof hears_end, .settled = hear_settled};

static struct payload *new_payload(uint32_t items)
{
    struct payload *p = payload_open(memory, 16);
    if (p)
        payload_close_trusted(p, 8, SL_TRACES, items);
    return p;
}

static struct handle *add_handle(struct delivery *d)
{
    assert_true(n_handles < HANDLES);
    struct handle *h = &handles[n_handles++];
    memset(h, 0, sizeof *h);
    h->d = d;
    return h;
}

static void make_root(void)
{
    if (n_roots == ROOTS || n_handles == HANDLES)
        return;
    const uint32_t n = 1 + rnd(8);
    const bool both = rnd(2);
    struct payload *p = new_payload(n);
    const sl_metadata *m = metadata_empty(1);
    struct delivery *d =
        p && m ? delivery_root(p, m, both ? &hears_both : &hears_end, n_roots, NULL, NULL) : NULL;
    if (!d) {
        payload_unref(p);
        metadata_unref(m);
        return;
    }
    struct root_record *r = &roots[n_roots++];
    memset(r, 0, sizeof *r);
    r->n = n;
    struct handle *h = add_handle(d);
    h->is_kept = d->is_kept = rnd(2);
    for (uint32_t i = 0; i < n; i++)
        h->node[i] = r->node[i] = new_node();
    if (both) {
        delivery_run_begin(d, true);
        d->run = d;
    }
}

/* Random unclaimed runs of random handles. */
static uint32_t pick(sl_piece *pieces, uint32_t max, uint32_t *which)
{
    uint32_t n = 0;
    for (uint32_t t = 0; t < max && n_handles; t++) {
        const uint32_t at = rnd(n_handles);
        struct handle *h = &handles[at];
        const uint32_t items = h->d->pub.items;
        uint32_t first = rnd(items), looked = 0;
        while (looked++ < items && h->claimed[first])
            first = (first + 1) % items;
        if (h->claimed[first])
            continue;
        uint32_t count = 1;
        while (first + count < items && !h->claimed[first + count] && rnd(4))
            count++;
        for (uint32_t i = first; i < first + count; i++)
            h->claimed[i] = true;
        pieces[n] = (sl_piece){.from = &h->d->pub, .first = first, .count = count};
        which[n++] = at;
    }
    return n;
}

static void unpick(const sl_piece *pieces, uint32_t n, const uint32_t *which)
{
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < pieces[i].count; k++)
            handles[which[i]].claimed[pieces[i].first + k] = false;
}

static uint32_t node_of(const sl_piece *piece, uint32_t which, uint32_t k)
{
    return handles[which].node[piece->first + k];
}

static void settle(void)
{
    sl_piece pieces[4];
    uint32_t which[4];
    const uint32_t n = pick(pieces, 1 + rnd(4), which);
    const struct ending e = {.outcome = rnd(SL_OUTCOMES), .why = "test"};
    if (!n)
        return;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < pieces[i].count; k++) {
            struct node *o = &nodes[node_of(&pieces[i], which[i], k)];
            o->kind = SET;
            o->outcome = (uint8_t)e.outcome;
        }
    assert_int_equal(delivery_settle(pieces, n, &e, &ledger), SL_OK);
}

static void settle_some(void)
{
    struct handle *h = &handles[rnd(n_handles)];
    uint32_t n = rnd(h->d->pub.unclaimed + 1);
    const struct ending e = {.outcome = rnd(SL_OUTCOMES), .why = "some"};
    /* any items will do; the first unclaimed ones are taken */
    uint32_t left = n;
    for (uint32_t i = 0; i < h->d->pub.items && left; i++)
        if (!h->claimed[i]) {
            h->claimed[i] = true;
            nodes[h->node[i]].kind = SET;
            nodes[h->node[i]].outcome = (uint8_t)e.outcome;
            left--;
        }
    assert_int_equal(delivery_settle_some(h->d, n, &e, &ledger), SL_OK);
}

static void derive(void)
{
    sl_piece pieces[5];
    uint32_t which[5];
    if (n_handles == HANDLES)
        return;
    const bool as_one = rnd(3) == 0;
    const uint32_t n = pick(pieces, 1 + rnd(5), which);
    uint32_t sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += pieces[i].count;
    if (!n || sum > ITEMS) {
        unpick(pieces, n, which);
        return;
    }
    const uint32_t items = as_one ? 1 + rnd(12) : sum;
    struct payload *p = new_payload(items);
    struct delivery *d = NULL;
    const int32_t status = p ? delivery_derive(memory, pieces, n, as_one ? SL_AS_ONE : SL_ITEMWISE,
                                               p, NULL, &ledger, &d)
                             : SL_ERR_NOMEM;
    if (status != SL_OK) {
        assert_int_equal(status, SL_ERR_NOMEM);
        payload_unref(p);
        unpick(pieces, n, which);
        return;
    }
    struct node group = {.kind = AS_ONE};
    struct handle *h = add_handle(d);
    for (uint32_t i = 0; i < items; i++) {
        h->node[i] = new_node();
        if (as_one)
            group.child[group.n++] = h->node[i];
    }
    uint32_t at = 0;
    for (uint32_t i = 0; i < n; i++)
        h->is_kept |= handles[which[i]].is_kept;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < pieces[i].count; k++, at++)
            nodes[node_of(&pieces[i], which[i], k)] =
                as_one ? group : (struct node){.kind = ITEMWISE, .n = 1, .child = {h->node[at]}};
}

static void take_away(uint32_t at)
{
    handles[at] = handles[--n_handles];
}

static void fork_handle(void)
{
    const uint32_t at = rnd(n_handles), n = 2 + rnd(2);
    struct delivery *branches[3];
    struct handle old = handles[at];
    if (old.d->pub.unclaimed != old.d->pub.items || n_handles + n > HANDLES)
        return;
    struct delivery *run = old.d->run;
    if (delivery_fork(old.d, n, branches) != SL_OK)
        return; /* nothing has changed, which the oracle will notice otherwise */
    take_away(at);
    const uint32_t items = branches[0]->pub.items;
    for (uint32_t i = 0; i < items; i++)
        nodes[old.node[i]] = (struct node){.kind = old.is_kept ? KEPT_FORK : FORK, .n = n};
    for (uint32_t b = 0; b < n; b++) {
        struct handle *h = add_handle(branches[b]);
        h->is_kept = old.is_kept;
        for (uint32_t i = 0; i < items; i++)
            h->node[i] = nodes[old.node[i]].child[b] = new_node();
        if (run) {
            delivery_run_begin(run, false);
            branches[b]->run = run;
        }
    }
    if (run)
        delivery_run_over(run);
}

static void finish_at(uint32_t at, uint32_t outcome)
{
    struct handle old = handles[at];
    const struct ending e = {.outcome = outcome, .why = "finish"};
    take_away(at);
    for (uint32_t i = 0; i < old.d->pub.items; i++)
        if (!old.claimed[i])
            nodes[old.node[i]] = (struct node){.kind = SET, .outcome = (uint8_t)outcome};
    struct delivery *run = old.d->run;
    delivery_finish(old.d, &e, &ledger);
    if (run)
        delivery_run_over(run);
}

static void check(uint64_t seed)
{
    for (uint32_t i = 0; i < n_nodes; i++)
        nodes[i].memo = -2;
    for (uint32_t i = 0; i < n_roots; i++) {
        const struct root_record *r = &roots[i];
        uint32_t n[SL_OUTCOMES] = {0};
        bool open = false;
        for (uint32_t k = 0; k < r->n; k++) {
            const int x = end_of(r->node[k]);
            if (x < 0)
                open = true;
            else
                n[x]++;
        }
        const int settled = atomic_load(&r->settled);
        if (settled > 1 || (settled && open) || r->taken_after_settled)
            fail_msg("seed %llu root %u: settled %d, open %d", (unsigned long long)seed, i, settled,
                     open);
        if (settled)
            for (uint32_t o = 0; o < SL_OUTCOMES; o++)
                if (n[o] != r->result.n[o])
                    fail_msg("seed %llu root %u outcome %u: %u, the oracle says %u",
                             (unsigned long long)seed, i, o, r->result.n[o], n[o]);
    }
}

static void all_settled(uint64_t seed)
{
    for (uint32_t i = 0; i < n_roots; i++)
        if (atomic_load(&roots[i].settled) != 1)
            fail_msg("seed %llu: root %u never settled", (unsigned long long)seed, i);
}

static void one_run(uint64_t seed, bool failing, uint32_t ops)
{
    rng = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    n_nodes = n_handles = n_roots = 0;
    for (uint32_t i = 0; i < ops; i++) {
        const uint32_t op = rnd(12);
        if (failing)
            atomic_store(&fail_after, rnd(3) ? -1 : (int64_t)rnd(6));
        if (op < 2 || !n_handles)
            make_root();
        else if (op < 5)
            derive();
        else if (op < 7)
            settle();
        else if (op == 7)
            settle_some();
        else if (op < 10)
            fork_handle();
        else
            finish_at(rnd(n_handles), rnd(SL_OUTCOMES));
        atomic_store(&fail_after, -1);
        check(seed);
    }
}

static void random_orders(void **state)
{
    (void)state;
    for (uint32_t r = 0; r < runs; r++) {
        const uint64_t seed = seed_given + r;
        one_run(seed, false, 60);
        while (n_handles)
            finish_at(rnd(n_handles), rnd(SL_OUTCOMES));
        check(seed);
        all_settled(seed);
    }
    assert_int_equal(memory_used(memory), 0);
}

static void allocations_fail(void **state)
{
    (void)state;
    for (uint32_t r = 0; r < runs; r++) {
        const uint64_t seed = seed_given + 1000000 + r;
        one_run(seed, true, 60);
        while (n_handles)
            finish_at(rnd(n_handles), rnd(SL_OUTCOMES));
        check(seed);
        all_settled(seed);
    }
    assert_true(atomic_load(&failures) > runs); /* or the test has tested nothing */
    assert_int_equal(memory_used(memory), 0);
}

/* ---- the last endings from several threads ---- */

enum { THREADS = 3 };
struct share {
    struct delivery *d[HANDLES];
    uint32_t outcome[HANDLES];
    uint32_t n;
};

static void *finish_share(void *arg)
{
    struct share *s = arg;
    struct ledger own;
    memset(&own, 0, sizeof own);
    for (uint32_t i = 0; i < s->n; i++) {
        const struct ending e = {.outcome = s->outcome[i], .why = "thread"};
        struct delivery *run = s->d[i]->run;
        delivery_finish(s->d[i], &e, &own);
        if (run)
            delivery_run_over(run);
    }
    return NULL;
}

static void threads_finish(void **state)
{
    static struct share shares[THREADS];
    (void)state;
    for (uint32_t r = 0; r < runs / 4 + 1; r++) {
        const uint64_t seed = seed_given + 2000000 + r;
        one_run(seed, false, 50);
        for (uint32_t t = 0; t < THREADS; t++)
            shares[t].n = 0;
        while (n_handles) {
            const uint32_t at = rnd(n_handles), outcome = rnd(SL_OUTCOMES);
            struct share *s = &shares[rnd(THREADS)];
            for (uint32_t i = 0; i < handles[at].d->pub.items; i++)
                if (!handles[at].claimed[i])
                    nodes[handles[at].node[i]] =
                        (struct node){.kind = SET, .outcome = (uint8_t)outcome};
            s->outcome[s->n] = outcome;
            s->d[s->n++] = handles[at].d;
            take_away(at);
        }
        pthread_t threads[THREADS];
        for (uint32_t t = 0; t < THREADS; t++)
            assert_int_equal(pthread_create(&threads[t], NULL, finish_share, &shares[t]), 0);
        for (uint32_t t = 0; t < THREADS; t++)
            pthread_join(threads[t], NULL);
        check(seed);
        all_settled(seed);
    }
    assert_int_equal(memory_used(memory), 0);
}

#ifndef SLUICE_CHECKED
static void double_claims_are_counted(void **state)
{
    (void)state;
    n_nodes = n_handles = n_roots = 0;
    rng = 7;
    make_root();
    struct delivery *d = handles[0].d;
    const uint64_t before = atomic_load(&ledger.double_claims);
    const struct ending e = {.outcome = SL_DROPPED, .why = "twice"};
    const sl_piece one = {.from = &d->pub, .first = 0, .count = 1};
    assert_int_equal(delivery_settle(&one, 1, &e, &ledger), SL_OK);
    assert_int_equal(delivery_settle(&one, 1, &e, &ledger), SL_ERR_STATE);
    assert_int_equal(atomic_load(&ledger.double_claims), before + 1);
    handles[0].claimed[0] = true;
    nodes[handles[0].node[0]] = (struct node){.kind = SET, .outcome = SL_DROPPED};
    finish_at(0, SL_DELIVERED);
    check(0);
    all_settled(0);
}
#endif

static void pieces_out_of_range_are_refused(void **state)
{
    (void)state;
    n_nodes = n_handles = n_roots = 0;
    rng = 11;
    make_root();
    struct delivery *d = handles[0].d;
    const struct ending e = {.outcome = SL_DROPPED, .why = "x"};
    const sl_piece past = {.from = &d->pub, .first = d->pub.items, .count = 1};
    const sl_piece wraps = {.from = &d->pub, .first = UINT32_MAX, .count = 2};
    struct delivery *child;
    assert_int_equal(delivery_settle(&past, 1, &e, &ledger), SL_ERR_INVALID);
    assert_int_equal(delivery_settle(&wraps, 1, &e, &ledger), SL_ERR_INVALID);
    assert_int_equal(delivery_settle_some(d, d->pub.items + 1, &e, &ledger), SL_ERR_INVALID);
    struct payload *p = new_payload(1);
    assert_int_equal(delivery_derive(memory, &past, 1, SL_ITEMWISE, p, NULL, &ledger, &child),
                     SL_ERR_INVALID);
    payload_unref(p);
    assert_int_equal(d->pub.unclaimed, d->pub.items);
    finish_at(0, SL_DELIVERED);
    all_settled(0);
}

/* A payload of two signals would be taken for one of the first, unchecked. */
static void payloads_are_of_one_signal(void **state)
{
    (void)state;
    static const uint32_t wrong[] = {0, SL_TRACES | SL_METRICS, SL_TRACES | SL_PROFILES << 1};
    const struct payload_limits limits = {.max_depth = SL_VALUE_DEPTH_MAX};
    sl_error error = {.size = sizeof error};
    struct payload *p = payload_open(memory, 16);
    assert_non_null(p);
    for (uint32_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(payload_close(p, &limits, 0, wrong[i], NULL, 0, &error), SL_ERR_INVALID);
        assert_non_null(strstr(error.text, "one signal"));
    }
    memset(p->buffer, 0xff, 8); /* a signal that nobody knows: its bytes are not looked at */
    assert_int_equal(payload_close(p, &limits, 8, SL_PROFILES << 1, NULL, 0, &error), SL_OK);
    assert_int_equal(p->pub.items, 1);
    payload_unref(p);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        seed_given = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        runs = (uint32_t)strtoul(argv[2], NULL, 10);
    print_message("seed %llu, %u runs of each kind\n", (unsigned long long)seed_given, runs);
    memory = memory_create(0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_orders),
        cmocka_unit_test(allocations_fail),
        cmocka_unit_test(threads_finish),
        cmocka_unit_test(pieces_out_of_range_are_refused),
        cmocka_unit_test(payloads_are_of_one_signal),
#ifndef SLUICE_CHECKED
        cmocka_unit_test(double_claims_are_counted),
#endif
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    memory_destroy(memory);
    return failed;
}
