/* Verbosity normal: a line for each span, point and log record, in the collector's form. */
#include "exporters/debug/text.h"

#include <math.h>

static void attributes(struct text *t, sl_attrs attrs, const char *between)
{
    sl_bytes key;
    sl_value value;
    for (const char *before = ""; sl_attr_next(&attrs, &key, &value); before = between) {
        text_format(t, "%s", before);
        text_safe(t, key);
        text_format(t, "=");
        text_value(t, &value);
    }
}

static void spans(struct text *t, const sl_view *view)
{
    for (uint32_t i = 0; i < view->items.n; i++) {
        const sl_span *s = sl_span_at(view, i);
        sl_attrs attrs = sl_span_attrs(s);
        sl_bytes pair;
        text_safe(t, s->name);
        text_format(t, " ");
        text_hex(t, s->trace_id, sizeof s->trace_id);
        text_format(t, " ");
        text_hex(t, s->span_id, sizeof s->span_id);
        if (sl_repeated_next(&attrs, &pair)) {
            text_format(t, " ");
            attributes(t, sl_span_attrs(s), " ");
        }
        text_format(t, "\n");
    }
}

static void logs(struct text *t, const sl_view *view)
{
    for (uint32_t i = 0; i < view->items.n; i++) {
        const sl_log_record *l = sl_log_at(view, i);
        const sl_value body = sl_log_body(l);
        text_value(t, &body);
        text_format(t, " ");
        attributes(t, sl_log_attrs(l), " ");
        text_format(t, "\n");
    }
}

static void extremes(struct text *t, uint64_t count, uint32_t has, const double values[3])
{
    static const char *const names[3] = {"sum", "min", "max"};
    static const uint32_t bits[3] = {SL_HAS_SUM, SL_HAS_MIN, SL_HAS_MAX};
    text_format(t, "count=%llu", (unsigned long long)count);
    for (size_t i = 0; i < 3; i++) {
        if (has & bits[i]) {
            text_format(t, " %s=", names[i]);
            text_double(t, values[i]);
        }
    }
}

static void histogram(struct text *t, const sl_point *p)
{
    sl_histogram h = sl_point_histogram(p);
    sl_number count, bound;
    extremes(t, h.count, h.has, (const double[]){h.sum, h.min, h.max});
    while (sl_numbers_next(&h.bucket_counts, &count)) {
        text_format(t, " ");
        if (sl_numbers_next(&h.bounds, &bound)) {
            text_format(t, "le");
            text_double(t, bound.f);
            text_format(t, "=");
        }
        text_format(t, "%llu", (unsigned long long)count.u);
    }
}

static void buckets(struct text *t, sl_numbers counts, int32_t scale, int32_t offset)
{
    sl_number count;
    for (double index = offset; sl_numbers_next(&counts, &count); index++) {
        text_format(t, " le");
        text_double(t, exp2(ldexp(index, -scale))); /* base^index, with base = 2^(2^-scale) */
        text_format(t, "=%llu", (unsigned long long)count.u);
    }
}

static void exponential(struct text *t, const sl_point *p)
{
    const sl_exponential e = sl_point_exponential(p);
    extremes(t, e.count, e.has, (const double[]){e.sum, e.min, e.max});
    buckets(t, e.negative, e.scale, e.negative_offset);
    buckets(t, e.positive, e.scale, e.positive_offset);
    if (e.zero_count) {
        text_format(t, " zero_count");
        text_double(t, e.zero_threshold);
        text_format(t, "=%llu", (unsigned long long)e.zero_count);
    }
}

static void summary(struct text *t, const sl_point *p)
{
    sl_summary s = sl_point_summary(p);
    double quantile, value;
    text_format(t, "count=%llu sum=%f", (unsigned long long)s.count, s.sum);
    while (sl_quantile_next(&s.quantiles, &quantile, &value)) {
        text_format(t, " q");
        text_double(t, quantile);
        text_format(t, "=");
        text_double(t, value);
    }
}

static void points(struct text *t, const sl_view *view)
{
    for (uint32_t i = 0; i < view->items.n; i++) {
        const sl_point *p = sl_point_at(view, i);
        text_safe(t, p->name);
        text_format(t, "{");
        attributes(t, sl_point_attrs(p), ",");
        text_format(t, "} ");
        if (p->type == SL_METRIC_HISTOGRAM)
            histogram(t, p);
        else if (p->type == SL_METRIC_EXPONENTIAL)
            exponential(t, p);
        else if (p->type == SL_METRIC_SUMMARY)
            summary(t, p);
        else if (p->value_type == SL_VALUE_INT)
            text_format(t, "%lld", (long long)p->value.i);
        else if (p->value_type == SL_VALUE_DOUBLE)
            text_double(t, p->value.f);
        text_format(t, "\n");
    }
}

void normal_write(struct text *t, const sl_view *view)
{
    if (view->signal == SL_TRACES)
        spans(t, view);
    else if (view->signal == SL_METRICS)
        points(t, view);
    else
        logs(t, view);
}
