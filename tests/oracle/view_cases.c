/* view_cases SEED COUNT: writes random requests, what the view says of their items, and what is cut
 * from them, for otlp_view.py. Each case is four strings with a length of four bytes: the signal,
 * the request, a line for each item, the cut; then a fifth, the cut's items as uint32. One thread.
 */
#include "formats/otlp/check.h"
#include "formats/otlp/view.h"
#include "tests/support/random_otlp.h"
#include <stdlib.h>

enum { RANGES_MAX = 20 };

static void die(const char *what)
{
    fprintf(stderr, "view_cases: %s\n", what);
    exit(1);
}

static void put(const void *at, size_t n)
{
    const uint32_t length = (uint32_t)n;
    if (fwrite(&length, 4, 1, stdout) != 1 || (n > 0 && fwrite(at, n, 1, stdout) != 1)) {
        die("cannot write");
    }
}

static void hex(sl_writer *w, const char *name, sl_bytes b)
{
    sl_write_raw(w, sl_str(name));
    for (size_t i = 0; i < b.n; i++) {
        char digits[3];
        snprintf(digits, sizeof digits, "%02x", b.p[i]);
        sl_write_raw(w, sl_str(digits));
    }
}

static void number(sl_writer *w, const char *name, uint64_t v)
{
    char text[64];
    snprintf(text, sizeof text, "%s%llu", name, (unsigned long long)v);
    sl_write_raw(w, sl_str(text));
}

static uint32_t count(sl_attrs attrs)
{
    uint32_t n = 0;
    sl_bytes key;
    sl_value value;
    while (sl_attr_next(&attrs, &key, &value)) {
        n++;
    }
    return n;
}

static void describe(sl_writer *w, const sl_view *view, uint32_t i)
{
    uint32_t resource, scope, attributes;
    if (view->signal == SL_TRACES) {
        const sl_span *s = sl_span_at(view, i);
        resource = s->resource;
        scope = s->scope;
        attributes = count(sl_span_attrs(s));
        hex(w, "record=", s->record);
        hex(w, " name=", s->name);
        number(w, " start_time_unix_nano=", s->start_ns);
        number(w, " end_time_unix_nano=", s->end_ns);
        number(w, " status=", s->status);
        hex(w, " status_message=", sl_span_status_message(s));
        hex(w, " trace_state=", s->trace_state);
    } else if (view->signal == SL_LOGS) {
        const sl_log_record *l = sl_log_at(view, i);
        resource = l->resource;
        scope = l->scope;
        attributes = count(sl_log_attrs(l));
        hex(w, "record=", l->record);
        hex(w, " severity_text=", l->severity_text);
        hex(w, " event_name=", l->event_name);
        number(w, " time_unix_nano=", l->time_ns);
        number(w, " observed_time_unix_nano=", l->observed_ns);
    } else {
        const sl_point *p = sl_point_at(view, i);
        const sl_metric_info *m = sl_metric_at(view, p->metric);
        resource = p->resource;
        scope = p->scope;
        attributes = count(sl_point_attrs(p));
        hex(w, "record=", p->record);
        hex(w, " metric_name=", p->name);
        hex(w, " metric_unit=", m->unit);
        hex(w, " metric_description=", m->description);
        number(w, " metric_type=", p->type);
        number(w, " temporality=", p->temporality);
        number(w, " monotonic=", p->monotonic);
        number(w, " metadata=", count(sl_metric_metadata(m)));
        number(w, " time_unix_nano=", p->time_ns);
        number(w, " start_time_unix_nano=", p->start_ns);
    }
    const sl_resource *r = sl_resource_at(view, resource);
    const sl_scope *s = sl_scope_at(view, scope);
    number(w, " attributes=", attributes);
    hex(w, " resource=", r->record);
    hex(w, " resource_schema_url=", r->schema_url);
    number(w, " resource_attributes=", count(sl_resource_attrs(r)));
    hex(w, " scope=", s->record);
    hex(w, " scope_schema_url=", s->schema_url);
    hex(w, " scope_name=", s->name);
    hex(w, " scope_version=", s->version);
    number(w, " scope_attributes=", count(sl_scope_attrs(s)));
    sl_write_raw(w, sl_str("\n"));
}

static void put_cut(uint64_t *state, const sl_view *view)
{
    struct otlp_range ranges[RANGES_MAX];
    struct otlp_cut c;
    uint32_t n = 0;
    sl_writer items = random_otlp_writer(), message = random_otlp_writer();
    for (; view->items.n > 0 && n < RANGES_MAX; n++) {
        const uint32_t first = random_below(state, view->items.n);
        const uint32_t left = view->items.n - first;
        ranges[n] = (struct otlp_range){first, random_below(state, left < 8 ? left + 1 : 9),
                                        sl_slice(NULL, 0)};
        for (uint32_t i = 0; i < ranges[n].count; i++) {
            const uint32_t item = first + i;
            sl_write_raw(&items, sl_slice(&item, sizeof item));
        }
    }
    if (otlp_cut_plan(view, ranges, n, &c, NULL) != SL_OK) {
        die("cannot cut");
    }
    c.slices = malloc(c.n_slices * sizeof *c.slices + 1);
    c.starts = malloc(c.n_starts * sizeof *c.starts + 1);
    c.arena = malloc((size_t)c.arena_used + 1);
    otlp_cut_fill(view, ranges, n, &c);
    for (uint32_t i = 0; i < c.n_slices; i++) {
        sl_write_raw(&message, c.slices[i]);
    }
    put(message.at, message.used);
    put(items.at, items.used);
    free(c.slices);
    free(c.starts);
    free(c.arena);
    free(message.at);
    free(items.at);
}

int main(int argc, char **argv)
{
    static const uint32_t signals[] = {SL_TRACES, SL_METRICS, SL_LOGS};
    static const enum otlp_type tops[] = {OTLP_TRACES_DATA, OTLP_METRICS_DATA, OTLP_LOGS_DATA};
    static const char *const names[] = {"traces", "metrics", "logs"};
    if (argc != 3) {
        die("usage: view_cases SEED COUNT");
    }
    uint64_t state = strtoull(argv[1], NULL, 10);
    const unsigned long cases = strtoul(argv[2], NULL, 10);
    for (unsigned long i = 0; i < cases; i++) {
        struct otlp_checked checked;
        struct otlp_view_plan plan;
        sl_view view;
        sl_writer request = random_otlp_writer(), text = random_otlp_writer();
        random_otlp(&state, tops[i % 3], random_below(&state, RANDOM_OTLP_FLAGS),
                    1 + random_below(&state, 2), &request);
        const sl_bytes bytes = sl_written(&request);
        if (otlp_check(signals[i % 3], bytes.p, bytes.n, NULL, &checked, NULL) != SL_OK ||
            otlp_view_plan(signals[i % 3], &bytes, 1, &plan, NULL) != SL_OK) {
            die("refused");
        }
        void *memory = malloc((size_t)plan.bytes + 1);
        if (otlp_view_build(&plan, memory, &view, NULL) != SL_OK || view.items.n != checked.items) {
            die("no view");
        }
        for (uint32_t k = 0; k < view.items.n; k++) {
            describe(&text, &view, k);
        }
        put(names[i % 3], strlen(names[i % 3]));
        put(bytes.p, bytes.n);
        put(text.at, text.used);
        put_cut(&state, &view);
        free(memory);
        free(request.at);
        free(text.at);
    }
    return 0;
}
