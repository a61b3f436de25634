/* Fuzz target: views and cuts of bytes that nobody checked. The first byte chooses the signal, the
 * next three two ranges, the rest is the request. What is cut from a checked request passes the
 * check and has the wanted number of items. */
#include "formats/otlp/check.h"
#include "formats/otlp/view.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_attributes(sl_attrs attrs)
{
    sl_bytes key;
    sl_value value;
    while (sl_attr_next(&attrs, &key, &value)) {
        sl_value_walk walk;
        sl_value_walk_begin(&walk, &value);
        while (sl_value_walk_next(&walk) > 0) {
        }
    }
}

static void read_point(const sl_point *point)
{
    sl_exemplar exemplar;
    sl_repeated exemplars = sl_point_exemplars(point);
    const sl_histogram h = sl_point_histogram(point);
    const sl_exponential e = sl_point_exponential(point);
    sl_summary s = sl_point_summary(point);
    double quantile, value;
    (void)sl_numbers_count(h.bucket_counts);
    (void)sl_numbers_count(h.bounds);
    (void)sl_numbers_count(e.positive);
    (void)sl_numbers_count(e.negative);
    while (sl_quantile_next(&s.quantiles, &quantile, &value)) {
    }
    while (sl_exemplar_next(&exemplars, &exemplar)) {
        read_attributes(sl_exemplar_attrs(&exemplar));
    }
    read_attributes(sl_point_attrs(point));
}

static void read_span(const sl_span *span)
{
    sl_event event;
    sl_link link;
    sl_repeated events = sl_span_events(span), links = sl_span_links(span);
    while (sl_event_next(&events, &event)) {
        read_attributes(sl_event_attrs(&event));
    }
    while (sl_link_next(&links, &link)) {
        read_attributes(sl_link_attrs(&link));
    }
    (void)sl_span_status_message(span);
    read_attributes(sl_span_attrs(span));
}

static void read_view(const sl_view *view)
{
    for (uint32_t i = 0; i < view->resources.n; i++) {
        read_attributes(sl_resource_attrs(sl_resource_at(view, i)));
    }
    for (uint32_t i = 0; i < view->scopes.n; i++) {
        read_attributes(sl_scope_attrs(sl_scope_at(view, i)));
    }
    for (uint32_t i = 0; i < view->metrics.n; i++) {
        read_attributes(sl_metric_metadata(sl_metric_at(view, i)));
    }
    for (uint32_t i = 0; i < view->items.n; i++) {
        if (view->signal == SL_TRACES) {
            read_span(sl_span_at(view, i));
        } else if (view->signal == SL_LOGS) {
            const sl_value body = sl_log_body(sl_log_at(view, i));
            read_attributes(sl_value_map(&body));
            read_attributes(sl_log_attrs(sl_log_at(view, i)));
        } else {
            read_point(sl_point_at(view, i));
        }
    }
}

static void cut(const sl_view *view, const struct otlp_range *ranges, uint32_t n, bool checked)
{
    struct otlp_cut c;
    if (otlp_cut_plan(view, ranges, n, &c, NULL) != SL_OK) {
        abort();
    }
    c.slices = malloc(c.n_slices * sizeof *c.slices + 1);
    c.starts = malloc(c.n_starts * sizeof *c.starts + 1);
    c.arena = malloc((size_t)c.arena_used + 1);
    uint8_t *message = malloc((size_t)c.bytes + 1);
    size_t used = 0;
    const uint64_t bytes = c.bytes;
    otlp_cut_fill(view, ranges, n, &c);
    for (uint32_t i = 0; i < c.n_slices; i++) {
        memcpy(message + used, c.slices[i].p, c.slices[i].n);
        used += c.slices[i].n;
    }
    struct otlp_checked result = {.items = 0};
    const struct otlp_limits limits = {.max_depth = SL_VALUE_DEPTH_MAX};
    if (used != bytes || c.bytes != bytes ||
        (checked && (otlp_check(view->signal, message, used, &limits, &result, NULL) != SL_OK ||
                     result.items != c.items))) {
        abort();
    }
    free(c.slices);
    free(c.starts);
    free(c.arena);
    free(message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint32_t signals[] = {SL_TRACES, SL_METRICS, SL_LOGS};
    if (size < 4) {
        return 0;
    }
    const uint32_t signal = signals[data[0] % 3];
    const sl_bytes request = sl_slice(data + 4, size - 4);
    const struct otlp_limits limits = {.max_depth = SL_VALUE_DEPTH_MAX};
    struct otlp_checked checked;
    struct otlp_view_plan plan;
    sl_view view;
    const bool good = otlp_check(signal, request.p, request.n, &limits, &checked, NULL) == SL_OK;
    if (otlp_view_plan(signal, &request, 1, &plan, NULL) != SL_OK) {
        if (good) {
            abort();
        }
        return 0;
    }
    void *memory = malloc((size_t)plan.bytes + 1);
    if (otlp_view_build(&plan, memory, &view, NULL) == SL_OK) {
        if (good && view.items.n != checked.items) {
            abort();
        }
        read_view(&view);
        const uint32_t n = view.items.n;
        const uint32_t first = n ? data[1] % n : 0, count = n ? data[2] % (n - first + 1) : 0;
        const struct otlp_range ranges[] = {{.first = first, .count = count},
                                            {.first = n ? data[3] % n : 0, .count = n > 0}};
        cut(&view, ranges, 2, good);
    } else if (good) {
        abort();
    }
    free(memory);
    return 0;
}
