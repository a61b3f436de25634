/* Generated traces as trees: the same for the same seed, consistent in time, with failures that
 * travel upwards, retries and links as the topology has them. */
#include "commands/generate/traces.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define TRACES 3000

static uint64_t seed = 1;

static struct topology *topology_of(uint64_t with)
{
    struct topology *t = NULL;
    assert_int_equal(topology_create(with, 1, &t), SL_OK);
    return t;
}

static struct traces *maker(const struct topology *topology, uint64_t with, double errors,
                            uint32_t attributes)
{
    struct traces_options options = {.topology = topology,
                                     .seed = with,
                                     .start = UINT64_C(1757930400000000000),
                                     .mean_gap = 1e7,
                                     .errors = errors,
                                     .attributes = attributes};
    struct traces *t = NULL;
    assert_int_equal(traces_create(&options, &t), SL_OK);
    return t;
}

static const struct attr *find(const struct attrs *attrs, const char *key)
{
    for (uint32_t i = 0; i < attrs->n; i++) {
        if (sl_eq(attrs->at[i].key, sl_str(key))) {
            return &attrs->at[i];
        }
    }
    return NULL;
}

static bool is_event(const struct span_event *e, const char *name)
{
    return sl_eq(e->name, sl_str(name));
}

static uint64_t hash_bytes(uint64_t hash, sl_bytes b)
{
    for (size_t i = 0; i < b.n; i++) {
        hash = (hash ^ b.p[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static uint64_t hash_attrs(uint64_t hash, const struct attrs *attrs)
{
    for (uint32_t i = 0; i < attrs->n; i++) {
        const struct attr *a = &attrs->at[i];
        hash = hash_bytes(hash, a->key);
        hash = a->type == VALUE_TEXT
                   ? hash_bytes(hash, a->value.text)
                   : hash_bytes(hash, sl_slice(&a->value.integer, sizeof(a->value.integer)));
    }
    return hash;
}

static uint64_t hash_traces(uint64_t with, uint32_t attributes)
{
    struct topology *topology = topology_of(with);
    struct traces *t = maker(topology, with, 1, attributes);
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (int i = 0; i < 300; i++) {
        struct trace trace;
        assert_int_equal(traces_next(t, &trace), SL_OK);
        for (uint32_t k = 0; k < trace.span_count; k++) {
            const struct span *s = &trace.spans[k];
            hash = hash_bytes(hash, sl_slice(&s->context, sizeof(s->context)));
            hash = hash_bytes(hash, sl_slice(&s->start, 8));
            hash = hash_bytes(hash, sl_slice(&s->end, 8));
            hash = hash_bytes(hash, s->name);
            hash = attributes ? hash : hash_attrs(hash, &s->attrs);
        }
        for (uint32_t k = 0; k < trace.log_count; k++) {
            hash = hash_bytes(hash, trace.logs[k].body);
        }
    }
    traces_destroy(t);
    topology_destroy(topology);
    return hash;
}

static void test_determinism(void **state)
{
    (void)state;
    uint64_t hash = hash_traces(seed, 0);
    print_message("seed %llu: hash of 300 traces %016llx\n", (unsigned long long)seed,
                  (unsigned long long)hash);
    assert_true(hash == hash_traces(seed, 0));
    assert_true(hash != hash_traces(seed + 1, 0));
    /* Padding with attributes changes nothing else. */
    assert_true(hash_traces(seed, 20) == hash_traces(seed, 30));
}

static void check_span(const struct trace *trace, uint32_t i)
{
    const struct span *s = &trace->spans[i];
    assert_true(s->end > s->start);
    assert_true(s->name.n > 0);
    assert_true(s->attrs.n >= 3);
    assert_in_range(s->kind, KIND_INTERNAL, KIND_CONSUMER);
    for (uint32_t k = 0; k < s->event_count; k++) {
        assert_in_range(s->events[k].time, s->start, s->end);
    }
    assert_memory_equal(s->context.trace_id, trace->spans[0].context.trace_id, 16);
    if (i == 0) {
        assert_int_equal(s->parent, MODEL_NONE);
        return;
    }
    assert_true(s->parent < i);
    const struct span *parent = &trace->spans[s->parent];
    assert_true(s->start >= parent->start);
    if (s->async) {
        assert_int_equal(s->kind, KIND_CONSUMER);
        assert_int_equal(parent->kind, KIND_PRODUCER);
        assert_true(s->start >= parent->end);
        return;
    }
    if (s->end > parent->end) {
        fail_msg("trace %llu: span %u (%.*s) ends after its parent (%.*s)",
                 (unsigned long long)trace->number, i, (int)s->name.n, (const char *)s->name.p,
                 (int)parent->name.n, (const char *)parent->name.p);
    }
    if (s->kind == KIND_SERVER) {
        assert_int_equal(parent->kind, KIND_CLIENT);
        assert_true(s->resource != parent->resource);
    } else {
        assert_int_equal(s->resource, parent->resource);
    }
}

static void test_trees(void **state)
{
    (void)state;
    struct topology *topology = topology_of(seed);
    struct traces *t = maker(topology, seed, 1, 0);
    uint64_t before = 0;
    uint32_t spans = 0;
    uint32_t largest = 0;
    bool services[SERVICE_COUNT] = {false};
    uint32_t kinds[KIND_CONSUMER + 1] = {0};
    for (int n = 0; n < TRACES; n++) {
        uint64_t watermark = traces_watermark(t);
        assert_true(watermark >= before);
        before = watermark;
        struct trace trace;
        assert_int_equal(traces_next(t, &trace), SL_OK);
        assert_true(trace.span_count > 0);
        assert_true(trace.spans[0].start >= watermark);
        for (uint32_t i = 0; i < trace.span_count; i++) {
            check_span(&trace, i);
            services[topology->owners[trace.spans[i].resource]] = true;
            kinds[trace.spans[i].kind]++;
        }
        for (uint32_t i = 0; i < trace.log_count; i++) {
            assert_true(trace.logs[i].time >= watermark);
            assert_true(trace.logs[i].observed > trace.logs[i].time);
            assert_true(trace.logs[i].body.n > 0);
        }
        spans += trace.span_count;
        largest = trace.span_count > largest ? trace.span_count : largest;
    }
    print_message("%.1f spans a trace, %u in the largest\n", (double)spans / TRACES, largest);
    assert_in_range(spans / TRACES, 8, 30);
    assert_in_range(largest, 60, 1000);
    for (int i = 0; i < SERVICE_COUNT; i++) {
        assert_true(services[i]);
    }
    for (int i = KIND_INTERNAL; i <= KIND_CONSUMER; i++) {
        assert_true(kinds[i] > TRACES / 100);
    }
    traces_destroy(t);
    topology_destroy(topology);
}

/* A failed span has failed by itself (an exception, a time-out, a status) or has a failed child. */
static bool explained(const struct trace *trace, uint32_t i)
{
    const struct span *s = &trace->spans[i];
    for (uint32_t k = 0; k < s->event_count; k++) {
        if (is_event(&s->events[k], "exception")) {
            return true;
        }
    }
    for (uint32_t k = i + 1; k < trace->span_count; k++) {
        const struct span *c = &trace->spans[k];
        if (c->parent == i && !c->async &&
            (c->status == STATUS_ERROR || find(&c->attrs, "error.type"))) {
            return true;
        }
        /* A client sees refusals and answers as errors that their server does not. */
        if (c->parent == i && c->kind == KIND_SERVER) {
            return true;
        }
    }
    return find(&s->attrs, "error.type") != NULL || sl_eq(s->message, sl_str("context canceled"));
}

static void test_failures(void **state)
{
    (void)state;
    struct topology *topology = topology_of(seed);
    struct traces *t = maker(topology, seed, 1, 0);
    uint32_t failed = 0;
    uint32_t failed_roots = 0;
    uint32_t retries = 0;
    uint32_t exceptions = 0;
    uint32_t links = 0;
    for (int n = 0; n < TRACES; n++) {
        struct trace trace;
        assert_int_equal(traces_next(t, &trace), SL_OK);
        for (uint32_t i = 0; i < trace.span_count; i++) {
            const struct span *s = &trace.spans[i];
            links += s->link_count;
            retries += find(&s->attrs, "http.request.resend_count") != NULL;
            for (uint32_t k = 0; k < s->event_count; k++) {
                if (is_event(&s->events[k], "exception")) {
                    exceptions++;
                    assert_non_null(find(&s->events[k].attrs, "exception.type"));
                    assert_non_null(find(&s->events[k].attrs, "exception.stacktrace"));
                }
            }
            if (s->status != STATUS_ERROR) {
                continue;
            }
            failed++;
            failed_roots += i == 0;
            assert_true(explained(&trace, i));
        }
    }
    print_message(
        "%u failed spans, %u failed roots, %u retries, %u exceptions, %u links in %d traces\n",
        failed, failed_roots, retries, exceptions, links, TRACES);
    assert_in_range(failed_roots, TRACES / 500, TRACES / 10);
    assert_in_range(failed, failed_roots * 2, TRACES);
    assert_true(retries > 10);
    assert_true(exceptions > 10);
    assert_true(links > 100);
    traces_destroy(t);
    topology_destroy(topology);
}

/* Without failures, only the business refuses. */
static void test_no_errors(void **state)
{
    (void)state;
    struct topology *topology = topology_of(seed);
    struct traces *t = maker(topology, seed, 0, 0);
    for (int n = 0; n < 500; n++) {
        struct trace trace;
        assert_int_equal(traces_next(t, &trace), SL_OK);
        for (uint32_t i = 0; i < trace.span_count; i++) {
            const struct span *s = &trace.spans[i];
            const struct attr *status = find(&s->attrs, "http.response.status_code");
            if (s->kind == KIND_SERVER && status && s->status == STATUS_ERROR) {
                assert_true(sl_eq(s->message, sl_str("context canceled")) ||
                            sl_eq(s->message, sl_str("context deadline exceeded")) ||
                            status->value.integer >= 500);
            }
            for (uint32_t k = 0; k < s->event_count; k++) {
                const struct attr *message = find(&s->events[k].attrs, "exception.message");
                assert_false(message &&
                             sl_eq(message->value.text, sl_str("connection reset by peer")));
            }
        }
    }
    traces_destroy(t);
    topology_destroy(topology);
}

static void test_attributes(void **state)
{
    (void)state;
    struct topology *topology = topology_of(seed);
    struct traces *t = maker(topology, seed, 1, 24);
    struct trace trace;
    for (int n = 0; n < 100; n++) {
        assert_int_equal(traces_next(t, &trace), SL_OK);
        for (uint32_t i = 0; i < trace.span_count; i++) {
            const struct attrs *attrs = &trace.spans[i].attrs;
            assert_true(attrs->n >= 24);
            for (uint32_t a = 0; a < attrs->n; a++) {
                for (uint32_t b = a + 1; b < attrs->n; b++) {
                    assert_false(sl_eq(attrs->at[a].key, attrs->at[b].key));
                }
            }
        }
    }
    traces_destroy(t);
    topology_destroy(topology);
}

/* The id of a span follows from seed, trace and place, so that another program can tell what must
 * have arrived. */
static void test_ids(void **state)
{
    (void)state;
    struct topology *topology = topology_of(seed);
    struct traces *t = maker(topology, seed, 1, 0);
    for (uint64_t n = 1; n <= 200; n++) {
        struct trace trace;
        assert_int_equal(traces_next(t, &trace), SL_OK);
        assert_int_equal(trace.number, n);
        for (uint32_t i = 0; i < trace.span_count; i++) {
            struct span_context expected;
            trace_context(seed, n, i, &expected);
            assert_memory_equal(&trace.spans[i].context, &expected, sizeof(expected));
        }
    }
    traces_destroy(t);
    topology_destroy(topology);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        seed = strtoull(argv[1], NULL, 10);
    }
    print_message("seed %llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_determinism), cmocka_unit_test(test_trees),
        cmocka_unit_test(test_failures),    cmocka_unit_test(test_no_errors),
        cmocka_unit_test(test_attributes),  cmocka_unit_test(test_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
