/* Views and cuts: golden bytes, fields that lie apart, and random requests against protobuf-c and
 * against themselves. Takes --seed N. */
#include "formats/otlp/check.h"
#include "formats/otlp/proto/trace.pb-c.h"
#include "formats/otlp/view.h"
#include "tests/support/otlp_flat.h"
#include "tests/support/random_otlp.h"
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { SEGMENTS_MAX = 64, RANGES_MAX = 40 };

static uint64_t seed;

static const uint32_t signals[] = {SL_TRACES, SL_METRICS, SL_LOGS};
static const enum otlp_type tops[] = {OTLP_TRACES_DATA, OTLP_METRICS_DATA, OTLP_LOGS_DATA};

/* A payload in segments, each on memory of its own, so that sanitizers see each step beyond. */
struct payload {
    sl_bytes segments[SEGMENTS_MAX];
    uint32_t n;
    void *memory;
    sl_view view;
};

static sl_bytes copy_of(sl_bytes b)
{
    uint8_t *at = malloc(b.n ? b.n : 1);
    if (b.n) {
        memcpy(at, b.p, b.n);
    }
    return sl_slice(at, b.n);
}

/* Cuts the request between top-level records where `split`. */
static void payload_split(struct payload *p, sl_bytes request, bool split)
{
    p->n = 0;
    p->memory = NULL;
    const uint8_t *from = request.p;
    sl_wire w = sl_wire_of(request);
    while (split && p->n < SEGMENTS_MAX - 1 && sl_wire_next(&w)) {
        if (random_below(&seed, 2)) {
            p->segments[p->n++] = copy_of(sl_slice(from, (size_t)(w.p - from)));
            from = w.p;
        }
    }
    p->segments[p->n++] = copy_of(sl_slice(from, (size_t)(w.end - from)));
}

static int32_t payload_index(struct payload *p, uint32_t signal, sl_error *error)
{
    struct otlp_view_plan plan;
    const int32_t status = otlp_view_plan(signal, p->segments, p->n, &plan, error);
    if (status != SL_OK) {
        return status;
    }
    p->memory = malloc(plan.bytes ? plan.bytes : 1);
    return otlp_view_build(&plan, p->memory, &p->view, error);
}

static void payload_init(struct payload *p, uint32_t signal, sl_bytes request, bool split)
{
    sl_error error = {.size = sizeof error};
    payload_split(p, request, split);
    if (payload_index(p, signal, &error) != SL_OK) {
        fail_msg("no view: %s", error.text);
    }
    assert_int_equal(p->view.signal, signal);
}

static void payload_deinit(struct payload *p)
{
    for (uint32_t i = 0; i < p->n; i++) {
        free((void *)(uintptr_t)p->segments[i].p);
    }
    free(p->memory);
}

/* The message of a cut, in one piece; free() its .p. Each part between two starts is a request of
 * its own. */
static sl_bytes cut(const struct payload *p, const struct otlp_range *ranges, uint32_t n,
                    uint32_t items)
{
    struct otlp_cut c;
    sl_error error = {.size = sizeof error};
    assert_int_equal(otlp_cut_plan(&p->view, ranges, n, &c, &error), SL_OK);
    assert_int_equal(c.items, items);
    const struct otlp_cut planned = c;
    c.slices = malloc(c.n_slices * sizeof *c.slices + 1);
    c.starts = malloc(c.n_starts * sizeof *c.starts + 1);
    c.arena = malloc((size_t)c.arena_used + 1);
    otlp_cut_fill(&p->view, ranges, n, &c);
    assert_int_equal(c.n_slices, planned.n_slices);
    assert_int_equal(c.n_starts, planned.n_starts);
    assert_int_equal(c.arena_used, planned.arena_used);
    assert_int_equal(c.bytes, planned.bytes);

    uint8_t *at = malloc((size_t)c.bytes + 1);
    size_t used = 0, part = 0;
    uint32_t start = 0, counted = 0;
    for (uint32_t i = 0; i <= c.n_slices; i++) {
        if (i == c.n_slices || (start < c.n_starts && c.starts[start] == i)) {
            struct otlp_checked checked;
            if (otlp_check(p->view.signal, at + part, used - part, NULL, &checked, &error)) {
                fail_msg("part %u of the cut: %s", start, error.text);
            }
            counted += checked.items;
            part = used;
            start++;
        }
        if (i < c.n_slices) {
            assert_true(c.slices[i].n > 0);
            memcpy(at + used, c.slices[i].p, c.slices[i].n);
            used += c.slices[i].n;
        }
    }
    assert_int_equal(start, c.n_starts + 1);
    assert_int_equal(used, c.bytes);
    assert_int_equal(counted, items);
    free(c.slices);
    free(c.starts);
    free(c.arena);
    return sl_slice(at, used);
}

static void drop(sl_bytes b)
{
    free((void *)(uintptr_t)b.p);
}

static void assert_bytes(sl_bytes a, sl_bytes b)
{
    assert_int_equal(a.n, b.n);
    if (a.n) {
        assert_memory_equal(a.p, b.p, a.n);
    }
}

static void assert_text(sl_bytes a, const char *text)
{
    assert_bytes(a, sl_str(text));
}

/* ---- golden ---- */

static const char golden[] =
    "\x0a\x63\x0a\x15\x0a\x13\x0a\x0cservice.name\x12\x03\x0a\x01"
    "a\x12\x4a\x12\x48\x0a\x10\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"
    "\x12\x08\x01\x02\x03\x04\x05\x06\x07\x08\x2a\x02op\x30\x02\x39\x01\0\0\0\0\0\0\0"
    "\x41\x02\0\0\0\0\0\0\0\x4a\x08\x0a\x01k\x12\x03\x0a\x01v\x7a\x02\x18\x02\x85\x01\x01\x01\0\0";

static void test_golden(void **state)
{
    (void)state;
    const sl_bytes request = sl_slice(golden, sizeof golden - 1);
    struct payload p;
    payload_init(&p, SL_TRACES, request, false);
    assert_int_equal(p.view.items.n, 1);
    assert_int_equal(p.view.resources.n, 1);
    assert_int_equal(p.view.scopes.n, 1);
    assert_int_equal(p.view.metrics.n, 0);
    assert_null(sl_span_at(&p.view, 1));
    const sl_span *s = sl_span_at(&p.view, 0);
    assert_memory_equal(s->trace_id, "\1\2\3\4\5\6\7\x8\x9\xa\xb\xc\xd\xe\xf\x10", 16);
    assert_memory_equal(s->span_id, "\1\2\3\4\5\6\7\x8", 8);
    assert_memory_equal(s->parent_id, "\0\0\0\0\0\0\0\0", 8);
    assert_int_equal(s->start_ns, 1);
    assert_int_equal(s->end_ns, 2);
    assert_text(s->name, "op");
    assert_int_equal(s->kind, SL_SPAN_SERVER);
    assert_int_equal(s->status, SL_SPAN_ERROR);
    assert_int_equal(s->flags, 0x101);
    assert_int_equal(s->record.n, 72);
    assert_int_equal(s->head, 2);
    assert_text(sl_attr_text(sl_span_attrs(s), "k"), "v");
    assert_null(sl_attr_text(sl_span_attrs(s), "x").p);
    const sl_resource *r = sl_resource_at(&p.view, s->resource);
    assert_text(sl_attr_text(sl_resource_attrs(r), "service.name"), "a");
    assert_int_equal(r->n, 1);
    assert_int_equal(sl_scope_at(&p.view, s->scope)->resource, 0);

    const struct otlp_range whole = {.first = 0, .count = 1};
    const sl_bytes same = cut(&p, &whole, 1, 1);
    assert_bytes(same, request);
    drop(same);
    payload_deinit(&p);
}

static void test_nothing(void **state)
{
    (void)state;
    struct payload p;
    payload_init(&p, SL_LOGS, sl_slice("", 0), false);
    assert_int_equal(p.view.items.n, 0);
    const sl_bytes none = cut(&p, NULL, 0, 0);
    assert_int_equal(none.n, 0);
    drop(none);
    payload_deinit(&p);
    payload_init(&p, SL_LOGS, sl_slice("\x0a\x02\x12\x00", 4), false);
    assert_int_equal(p.view.items.n, 0);
    assert_int_equal(p.view.scopes.n, 1);
    payload_deinit(&p);
}

static void test_refusals(void **state)
{
    (void)state;
    struct otlp_view_plan plan;
    struct otlp_cut c;
    struct payload p;
    sl_error error = {.size = sizeof error};
    const sl_bytes bad = sl_slice("\x0a\x05\x12", 3);
    assert_int_equal(otlp_view_plan(SL_TRACES, &bad, 1, &plan, &error), SL_ERR_INVALID);
    assert_int_equal(otlp_view_plan(SL_PROFILES, &bad, 1, &plan, &error), SL_ERR_UNSUPPORTED);
    assert_int_equal(otlp_view_plan(SL_PROFILES, &bad, 1, &plan, NULL), SL_ERR_UNSUPPORTED);
    payload_init(&p, SL_TRACES, sl_slice(golden, sizeof golden - 1), false);
    const struct otlp_range beyond = {.first = 0, .count = 2};
    assert_int_equal(otlp_cut_plan(&p.view, &beyond, 1, &c, &error), SL_ERR_INVALID);
    assert_string_equal(error.text, "items 0 to 2 of a payload of 1");
    const struct otlp_range wraps = {.first = 1, .count = UINT32_MAX};
    assert_int_equal(otlp_cut_plan(&p.view, &wraps, 1, &c, &error), SL_ERR_INVALID);
    const struct otlp_range none = {.first = 0, .count = 0, .with = sl_str("")};
    assert_int_equal(otlp_cut_plan(&p.view, &none, 1, &c, &error), SL_ERR_INVALID);
    payload_deinit(&p);
}

/* ---- fields that lie apart ---- */

static void write_span(sl_writer *w, const char *name)
{
    const size_t span = sl_write_begin(w, 2);
    sl_write_text(w, 5, name);
    sl_write_end(w, span);
}

static void test_messages_in_parts_are_merged(void **state)
{
    (void)state;
    sl_writer w = random_otlp_writer();
    const size_t rs = sl_write_begin(&w, 1);
    const size_t scope_spans = sl_write_begin(&w, 2);
    write_span(&w, "before the scope");
    size_t m = sl_write_begin(&w, 1);
    sl_write_text(&w, 1, "scope");
    sl_write_attr_text(&w, 3, sl_str("first"), sl_str("1"));
    sl_write_end(&w, m);
    write_span(&w, "between");
    sl_write_text(&w, 3, "scope schema");
    sl_write_text(&w, 99, "unknown");
    write_span(&w, "behind");
    m = sl_write_begin(&w, 1);
    sl_write_text(&w, 2, "version");
    sl_write_attr_text(&w, 3, sl_str("second"), sl_str("2"));
    sl_write_end(&w, m);
    sl_write_end(&w, scope_spans);
    m = sl_write_begin(&w, 1);
    sl_write_attr_text(&w, 1, sl_str("service.name"), sl_str("a"));
    sl_write_end(&w, m);
    sl_write_bytes(&w, 2, sl_slice("", 0));
    sl_write_text(&w, 3, "resource schema");
    m = sl_write_begin(&w, 2);
    write_span(&w, "second scope");
    sl_write_end(&w, m);
    m = sl_write_begin(&w, 1);
    sl_write_attr_text(&w, 1, sl_str("service.name"), sl_str("not this"));
    sl_write_attr_text(&w, 1, sl_str("host.name"), sl_str("b"));
    sl_write_int(&w, 2, 9);
    sl_write_end(&w, m);
    sl_write_end(&w, rs);

    for (uint32_t round = 0; round < 2; round++) { /* as it is, and what is cut from it */
        struct payload p;
        const struct otlp_range all[] = {{.first = 0, .count = 1}, {.first = 2, .count = 2}};
        payload_init(&p, SL_TRACES, sl_written(&w), false);
        assert_int_equal(p.view.items.n, round ? 3 : 4);
        const sl_span *last = sl_span_at(&p.view, p.view.items.n - 1);
        const sl_resource *r = sl_resource_at(&p.view, 0);
        assert_int_equal(p.view.resources.n, 1);
        assert_text(sl_attr_text(sl_resource_attrs(r), "service.name"), "a");
        assert_text(sl_attr_text(sl_resource_attrs(r), "host.name"), "b");
        assert_text(r->schema_url, "resource schema");
        assert_int_equal(r->dropped_attributes, 9);
        const sl_scope *s = sl_scope_at(&p.view, sl_span_at(&p.view, 0)->scope);
        assert_text(s->name, "scope");
        assert_text(s->version, "version");
        assert_text(s->schema_url, "scope schema");
        assert_text(sl_attr_text(sl_scope_attrs(s), "first"), "1");
        assert_text(sl_attr_text(sl_scope_attrs(s), "second"), "2");
        assert_text(sl_message_bytes(s->envelope, 99), "unknown");
        assert_text(sl_span_at(&p.view, 0)->name, "before the scope");
        assert_text(sl_span_at(&p.view, 1)->name, round ? "behind" : "between");
        assert_text(last->name, "second scope");
        assert_text(sl_scope_at(&p.view, last->scope)->name, "");
        if (round == 0) {
            const sl_bytes part = cut(&p, all, 2, 3);
            free(w.at);
            w = random_otlp_writer();
            sl_write_raw(&w, part);
            drop(part);
        }
        payload_deinit(&p);
    }
    free(w.at);
}

static void write_point(sl_writer *w, int64_t v)
{
    const size_t point = sl_write_begin(w, 1);
    sl_write_fixed64(w, 6, (uint64_t)v);
    sl_write_end(w, point);
}

static void test_a_metric_keeps_its_headers(void **state)
{
    (void)state;
    sl_writer w = random_otlp_writer();
    const size_t rm = sl_write_begin(&w, 1), sm = sl_write_begin(&w, 2);
    const size_t metric = sl_write_begin(&w, 2);
    sl_write_text(&w, 1, "requests");
    size_t m = sl_write_begin(&w, 7);
    write_point(&w, 0);
    sl_write_int(&w, 2, SL_TEMPORALITY_DELTA);
    write_point(&w, 1);
    sl_write_bool(&w, 3, true);
    write_point(&w, 2);
    sl_write_end(&w, m);
    sl_write_text(&w, 3, "1");
    sl_write_attr_text(&w, 12, sl_str("note"), sl_str("kept"));
    m = sl_write_begin(&w, 7); /* the same Sum goes on */
    write_point(&w, 3);
    sl_write_int(&w, 2, SL_TEMPORALITY_CUMULATIVE);
    sl_write_text(&w, 77, "unknown");
    sl_write_end(&w, m);
    sl_write_text(&w, 2, "description");
    sl_write_end(&w, metric);
    sl_write_bytes(&w, 2,
                   sl_str("\x0a\x05"
                          "empty"));
    sl_write_end(&w, sm);
    sl_write_end(&w, rm);
    for (uint32_t round = 0; round < 2; round++) {
        struct payload p;
        payload_init(&p, SL_METRICS, sl_written(&w), false);
        assert_int_equal(p.view.items.n, round ? 2 : 4);
        assert_int_equal(p.view.metrics.n, round ? 1 : 2);
        for (uint32_t i = 0; i < p.view.items.n; i++) {
            const sl_point *point = sl_point_at(&p.view, i);
            assert_text(point->name, "requests");
            assert_int_equal(point->type, SL_METRIC_SUM);
            assert_int_equal(point->temporality, SL_TEMPORALITY_CUMULATIVE);
            assert_int_equal(point->monotonic, 1);
            assert_int_equal(point->value_type, SL_VALUE_INT);
            assert_int_equal(point->value.i, round ? 2 * (int)i + 1 : (int)i);
        }
        const sl_metric_info *info = sl_metric_at(&p.view, 0);
        assert_text(info->unit, "1");
        assert_text(info->description, "description");
        assert_text(sl_attr_text(sl_metric_metadata(info), "note"), "kept");
        const struct otlp_range odd[] = {{.first = 1, .count = 1}, {.first = 3, .count = 1}};
        if (round == 0) {
            const sl_bytes part = cut(&p, odd, 2, 2);
            free(w.at);
            w = random_otlp_writer();
            sl_write_raw(&w, part);
            drop(part);
        } else {
            assert_text(sl_message_bytes(sl_message_bytes(info->record, 7), 77), "unknown");
        }
        payload_deinit(&p);
    }
    free(w.at);
}

static void test_two_kinds_of_data_are_refused(void **state)
{
    (void)state;
    struct otlp_view_plan plan;
    const sl_bytes request =
        sl_slice("\x0a\x0c\x12\x0a\x12\x08\x2a\x02\x0a\x00\x3a\x02\x0a\x00", 14);
    assert_int_equal(otlp_view_plan(SL_METRICS, &request, 1, &plan, NULL), SL_ERR_INVALID);
}

static void test_replacing_a_record(void **state)
{
    (void)state;
    sl_writer w = random_otlp_writer();
    const size_t rs = sl_write_begin(&w, 1), ss = sl_write_begin(&w, 2);
    for (int i = 0; i < 5; i++) {
        write_span(&w, (const char *[]){"0", "1", "2", "3", "4"}[i]);
    }
    sl_write_end(&w, ss);
    sl_write_end(&w, rs);
    struct payload p;
    payload_init(&p, SL_TRACES, sl_written(&w), false);
    const struct otlp_range ranges[] = {{.first = 0, .count = 2},
                                        {.first = 2, .count = 1, .with = sl_str("\x2a\x03new")},
                                        {.first = 3, .count = 1, .with = sl_str("")},
                                        {.first = 4, .count = 1}};
    const sl_bytes part = cut(&p, ranges, 4, 5);
    struct payload q;
    payload_init(&q, SL_TRACES, part, false);
    static const char *const names[] = {"0", "1", "new", "", "4"};
    for (uint32_t i = 0; i < 5; i++) {
        assert_text(sl_span_at(&q.view, i)->name, names[i]);
    }
    payload_deinit(&q);
    drop(part);
    payload_deinit(&p);
    free(w.at);
}

/* Neighbours are one slice, and so are whole resources. */
static void test_slices_are_joined(void **state)
{
    (void)state;
    sl_writer w = random_otlp_writer();
    for (uint32_t r = 0; r < 4; r++) {
        const size_t rs = sl_write_begin(&w, 1), resource = sl_write_begin(&w, 1);
        sl_write_attr_int(&w, 1, sl_str("resource"), r);
        sl_write_end(&w, resource);
        const size_t ss = sl_write_begin(&w, 2), scope = sl_write_begin(&w, 1);
        sl_write_text(&w, 1, "scope");
        sl_write_end(&w, scope);
        for (uint32_t i = 0; i < 10; i++) {
            write_span(&w, "span");
        }
        sl_write_end(&w, ss);
        sl_write_end(&w, rs);
    }
    struct payload p;
    struct otlp_cut c;
    payload_init(&p, SL_TRACES, sl_written(&w), false);
    const struct otlp_range all = {.first = 0, .count = 40};
    assert_int_equal(otlp_cut_plan(&p.view, &all, 1, &c, NULL), SL_OK);
    assert_int_equal(c.n_slices, 1);
    assert_int_equal(c.n_starts, 1);
    assert_int_equal(c.arena_used, 0);
    assert_int_equal(c.bytes, w.used);
    const struct otlp_range three[] = {{.first = 5, .count = 4}, {.first = 9, .count = 26}};
    assert_int_equal(otlp_cut_plan(&p.view, three, 2, &c, NULL), SL_OK);
    /* tag, resource, tag, scope, 5 spans; two resources; tag, resource, tag, scope and 5 spans */
    assert_int_equal(c.n_slices, 5 + 1 + 4);
    assert_int_equal(c.n_starts, 3);
    payload_deinit(&p);
    free(w.at);
}

/* ---- random ---- */

static sl_bytes record_of(const sl_view *view, uint32_t i)
{
    return view->signal == SL_TRACES ? sl_span_at(view, i)->record
           : view->signal == SL_LOGS ? sl_log_at(view, i)->record
                                     : sl_point_at(view, i)->record;
}

static void assert_same_item(const sl_view *a, uint32_t i, const sl_view *b, uint32_t j)
{
    uint32_t resource[2], scope[2];
    const sl_view *view[2] = {a, b};
    const uint32_t item[2] = {i, j};
    for (int k = 0; k < 2; k++) {
        if (a->signal == SL_TRACES) {
            resource[k] = sl_span_at(view[k], item[k])->resource;
            scope[k] = sl_span_at(view[k], item[k])->scope;
        } else if (a->signal == SL_LOGS) {
            resource[k] = sl_log_at(view[k], item[k])->resource;
            scope[k] = sl_log_at(view[k], item[k])->scope;
        } else {
            resource[k] = sl_point_at(view[k], item[k])->resource;
            scope[k] = sl_point_at(view[k], item[k])->scope;
        }
    }
    const sl_resource *r = sl_resource_at(a, resource[0]), *r2 = sl_resource_at(b, resource[1]);
    const sl_scope *s = sl_scope_at(a, scope[0]), *s2 = sl_scope_at(b, scope[1]);
    assert_bytes(record_of(a, i), record_of(b, j));
    assert_bytes(r->record, r2->record);
    assert_bytes(r->schema_url, r2->schema_url);
    assert_int_equal(r->attrs_end, r2->attrs_end);
    assert_bytes(s->record, s2->record);
    assert_bytes(s->schema_url, s2->schema_url);
    assert_bytes(s->name, s2->name);
    assert_int_equal(s->resource, resource[0]);
    assert_in_range(i, s->first, s->first + s->n - 1);
    assert_in_range(i, r->first, r->first + r->n - 1);
    if (a->signal == SL_METRICS) {
        const sl_point *p = sl_point_at(a, i), *p2 = sl_point_at(b, j);
        const sl_metric_info *m = sl_metric_at(a, p->metric), *m2 = sl_metric_at(b, p2->metric);
        assert_bytes(p->name, p2->name);
        assert_bytes(m->unit, m2->unit);
        assert_bytes(m->description, m2->description);
        assert_int_equal(p->type, p2->type);
        assert_int_equal(p->temporality, p2->temporality);
        assert_int_equal(p->monotonic, p2->monotonic);
        assert_in_range(i, m->first, m->first + m->n - 1);
    }
}

static uint32_t random_ranges(struct otlp_range *ranges, uint32_t items, uint32_t *total)
{
    uint32_t n = 0, at = 0;
    const bool in_order = random_below(&seed, 3) > 0;
    *total = 0;
    while (n < RANGES_MAX && items > 0) {
        if (in_order && at >= items) {
            break;
        }
        const uint32_t first = in_order ? at + random_below(&seed, 3) : random_below(&seed, items);
        if (first >= items) {
            break;
        }
        const uint32_t left = items - first;
        const uint32_t count = random_below(&seed, (left < 12 ? left : 12) + 1);
        ranges[n++] = (struct otlp_range){.first = first, .count = count};
        *total += count;
        at = first + count;
    }
    return n;
}

static void test_random_cuts(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 1500; round++) {
        const uint32_t s = round % 3, flags = random_below(&seed, RANDOM_OTLP_FLAGS);
        struct otlp_range ranges[RANGES_MAX];
        struct otlp_flat before, after;
        struct payload p, q;
        uint32_t total;
        sl_writer w = random_otlp_writer();
        random_otlp(&seed, tops[s], flags, 1 + random_below(&seed, 3), &w);
        payload_init(&p, signals[s], sl_written(&w), true);
        const uint32_t n = random_ranges(ranges, p.view.items.n, &total);
        const sl_bytes part = cut(&p, ranges, n, total);
        payload_init(&q, signals[s], part, true);
        assert_int_equal(q.view.items.n, total);

        /* protobuf-c 1.4 cannot merge all messages that come in parts */
        const bool oracle = !(flags & RANDOM_REPEATED);
        if (oracle) {
            assert_true(otlp_flat_init(&before, signals[s], sl_written(&w)));
            assert_true(otlp_flat_init(&after, signals[s], part));
            assert_int_equal(before.n, p.view.items.n);
            assert_int_equal(after.n, total);
        }
        for (uint32_t i = 0, k = 0; i < n; i++) {
            for (uint32_t j = 0; j < ranges[i].count; j++, k++) {
                const uint32_t from = ranges[i].first + j;
                assert_same_item(&p.view, from, &q.view, k);
                if (oracle) {
                    assert_bytes(sl_slice(before.items[from].at, before.items[from].n),
                                 sl_slice(after.items[k].at, after.items[k].n));
                }
            }
        }
        if (oracle) {
            otlp_flat_deinit(&before);
            otlp_flat_deinit(&after);
        }
        payload_deinit(&q);
        payload_deinit(&p);
        drop(part);
        free(w.at);
    }
}

static void assert_binary(const ProtobufCBinaryData *theirs, const uint8_t *ours, size_t n)
{
    static const uint8_t zero[16] = {0};
    assert_memory_equal(ours, theirs->len ? theirs->data : zero, n);
}

static void assert_attributes(sl_attrs ours, size_t n,
                              Opentelemetry__Proto__Common__V1__KeyValue **theirs)
{
    sl_bytes key;
    sl_value value;
    for (size_t i = 0; i < n; i++) {
        assert_true(sl_attr_next(&ours, &key, &value));
        /* protobuf-c's texts end at a NUL */
        assert_memory_equal(key.n ? (const char *)key.p : "", theirs[i]->key,
                            strlen(theirs[i]->key));
        const Opentelemetry__Proto__Common__V1__AnyValue *v = theirs[i]->value;
        const uint32_t type = v && (uint32_t)v->value_case < 8 ? (uint32_t)v->value_case : 0;
        assert_int_equal(value.type, type);
        if (type == SL_VALUE_INT) {
            assert_int_equal(value.number.i, v->int_value);
        } else if (type == SL_VALUE_DOUBLE) {
            assert_memory_equal(&value.number.f, &v->double_value, 8);
        } else if (type == SL_VALUE_BOOL) {
            assert_int_equal(value.number.u, v->bool_value);
        } else if (type == SL_VALUE_BYTES) {
            assert_bytes(value.bytes, sl_slice(v->bytes_value.data, v->bytes_value.len));
        } else if (type == SL_VALUE_LIST) {
            sl_repeated list = sl_value_list(&value);
            for (size_t k = 0; k < v->array_value->n_values; k++) {
                assert_true(sl_list_next(&list, &value));
            }
            assert_false(sl_list_next(&list, &value));
        }
    }
    assert_false(sl_attr_next(&ours, &key, &value));
}

static void test_spans_against_protobuf(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 1500; round++) {
        const uint32_t flags = random_below(&seed, RANDOM_OTLP_FLAGS) & ~(uint32_t)RANDOM_REPEATED;
        struct payload p;
        sl_writer w = random_otlp_writer();
        random_otlp(&seed, OTLP_TRACES_DATA, flags, 2, &w);
        payload_init(&p, SL_TRACES, sl_written(&w), true);
        for (uint32_t i = 0; i < p.view.items.n; i++) {
            const sl_span *s = sl_span_at(&p.view, i);
            Opentelemetry__Proto__Trace__V1__Span *t =
                opentelemetry__proto__trace__v1__span__unpack(NULL, s->record.n, s->record.p);
            assert_non_null(t);
            assert_binary(&t->trace_id, s->trace_id, 16);
            assert_binary(&t->span_id, s->span_id, 8);
            assert_binary(&t->parent_span_id, s->parent_id, 8);
            assert_int_equal(s->start_ns, t->start_time_unix_nano);
            assert_int_equal(s->end_ns, t->end_time_unix_nano);
            assert_int_equal(s->flags, t->flags);
            assert_int_equal(s->kind, (uint32_t)t->kind < 255 ? (uint32_t)t->kind : 255);
            const uint32_t code = t->status ? (uint32_t)t->status->code : 0;
            assert_int_equal(s->status, code < 255 ? code : 255);
            assert_attributes(sl_span_attrs(s), t->n_attributes, t->attributes);
            sl_event event;
            sl_repeated events = sl_span_events(s);
            for (size_t k = 0; k < t->n_events; k++) {
                assert_true(sl_event_next(&events, &event));
                assert_int_equal(event.time_ns, t->events[k]->time_unix_nano);
                assert_attributes(sl_event_attrs(&event), t->events[k]->n_attributes,
                                  t->events[k]->attributes);
            }
            assert_false(sl_event_next(&events, &event));
            sl_link link;
            sl_repeated links = sl_span_links(s);
            for (size_t k = 0; k < t->n_links; k++) {
                assert_true(sl_link_next(&links, &link));
                assert_int_equal(link.flags, t->links[k]->flags);
                assert_bytes(link.trace_id,
                             sl_slice(t->links[k]->trace_id.data, t->links[k]->trace_id.len));
                assert_attributes(sl_link_attrs(&link), t->links[k]->n_attributes,
                                  t->links[k]->attributes);
            }
            assert_false(sl_link_next(&links, &link));
            opentelemetry__proto__trace__v1__span__free_unpacked(t, NULL);
        }
        payload_deinit(&p);
        free(w.at);
    }
}

/* Bytes that nobody checked: an error or a view, but never a step out of bounds. */
static void test_random_damage(void **state)
{
    (void)state;
    uint32_t views = 0;
    for (uint32_t round = 0; round < 6000; round++) {
        const uint32_t s = round % 3;
        struct payload p;
        sl_writer w = random_otlp_writer();
        random_otlp(&seed, tops[s], random_below(&seed, RANDOM_OTLP_FLAGS), 1, &w);
        for (uint32_t i = 1 + random_below(&seed, 3); i > 0 && w.used > 0; i--) {
            const size_t at = random_below(&seed, (uint32_t)w.used);
            if (random_below(&seed, 4) == 0) {
                w.used = at;
            } else {
                w.at[at] = (uint8_t)random_u64(&seed);
            }
        }
        payload_split(&p, sl_written(&w), false);
        if (payload_index(&p, signals[s], NULL) == SL_OK && p.view.items.n > 0) {
            sl_bytes key;
            sl_value value;
            views++;
            for (uint32_t i = 0; i < p.view.items.n; i++) {
                sl_attrs attrs = s == 0   ? sl_span_attrs(sl_span_at(&p.view, i))
                                 : s == 1 ? sl_point_attrs(sl_point_at(&p.view, i))
                                          : sl_log_attrs(sl_log_at(&p.view, i));
                while (sl_attr_next(&attrs, &key, &value)) {
                    sl_value_walk walk;
                    sl_value_walk_begin(&walk, &value);
                    while (sl_value_walk_next(&walk) > 0) {
                    }
                }
            }
            struct otlp_cut c;
            const struct otlp_range one = {.first = p.view.items.n - 1, .count = 1};
            assert_int_equal(otlp_cut_plan(&p.view, &one, 1, &c, NULL), SL_OK);
        }
        payload_deinit(&p);
        free(w.at);
    }
    assert_true(views > 100);
}

int main(int argc, char **argv)
{
    seed = random_seed(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_messages_in_parts_are_merged),
        cmocka_unit_test(test_a_metric_keeps_its_headers),
        cmocka_unit_test(test_two_kinds_of_data_are_refused),
        cmocka_unit_test(test_replacing_a_record),
        cmocka_unit_test(test_slices_are_joined),
        cmocka_unit_test(test_random_cuts),
        cmocka_unit_test(test_spans_against_protobuf),
        cmocka_unit_test(test_random_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
