/* Verbosity detailed, metrics: every field, in the collector's form. */
#include "exporters/debug/text.h"

#include <math.h>

static const char *type_name(uint8_t type)
{
    switch (type) {
    case SL_METRIC_GAUGE:
        return "Gauge";
    case SL_METRIC_SUM:
        return "Sum";
    case SL_METRIC_HISTOGRAM:
        return "Histogram";
    case SL_METRIC_EXPONENTIAL:
        return "ExponentialHistogram";
    case SL_METRIC_SUMMARY:
        return "Summary";
    default:
        return "Empty";
    }
}

static void descriptor(struct text *t, const sl_metric_info *m)
{
    static const char *const temporalities[] = {"Unspecified", "Delta", "Cumulative"};
    text_format(t, "Descriptor:\n     -> Name: ");
    text_safe(t, m->name);
    text_format(t, "\n     -> Description: ");
    text_safe(t, m->description);
    text_format(t, "\n     -> Unit: ");
    text_safe(t, m->unit);
    text_format(t, "\n     -> DataType: %s\n", type_name(m->type));
    if (m->type == SL_METRIC_SUM)
        text_format(t, "     -> IsMonotonic: %s\n", m->monotonic ? "true" : "false");
    if (m->type == SL_METRIC_SUM || m->type == SL_METRIC_HISTOGRAM ||
        m->type == SL_METRIC_EXPONENTIAL)
        text_format(t, "     -> AggregationTemporality: %s\n",
                    m->temporality < 3 ? temporalities[m->temporality] : "");
    detailed_attributes(t, "     -> ", "Metadata", sl_metric_metadata(m));
}

static void exemplars(struct text *t, const sl_point *p)
{
    sl_repeated all = sl_point_exemplars(p);
    sl_exemplar e;
    for (uint32_t i = 0; sl_exemplar_next(&all, &e); i++) {
        if (i == 0)
            text_format(t, "Exemplars:\n");
        text_format(t, "Exemplar #%u\n     -> Trace ID: ", i);
        text_hex(t, e.trace_id.p, e.trace_id.n);
        text_format(t, "\n     -> Span ID: ");
        text_hex(t, e.span_id.p, e.span_id.n);
        text_format(t, "\n     -> Timestamp: ");
        text_time(t, e.time_ns);
        text_format(t, "\n");
        if (e.value_type == SL_VALUE_INT)
            text_format(t, "     -> Value: %lld\n", (long long)e.value.i);
        else if (e.value_type == SL_VALUE_DOUBLE)
            text_format(t, "     -> Value: %f\n", e.value.f);
        detailed_attributes(t, "     -> ", "FilteredAttributes", sl_exemplar_attrs(&e));
    }
}

static void number_point(struct text *t, const sl_point *p)
{
    if (p->value_type == SL_VALUE_INT)
        text_format(t, "Value: %lld\n", (long long)p->value.i);
    else if (p->value_type == SL_VALUE_DOUBLE)
        text_format(t, "Value: %f\n", p->value.f);
}

static void extremes(struct text *t, uint64_t count, uint32_t has, const double values[3])
{
    static const char *const names[3] = {"Sum", "Min", "Max"};
    static const uint32_t bits[3] = {SL_HAS_SUM, SL_HAS_MIN, SL_HAS_MAX};
    text_format(t, "Count: %llu\n", (unsigned long long)count);
    for (size_t i = 0; i < 3; i++) {
        if (has & bits[i])
            text_format(t, "%s: %f\n", names[i], values[i]);
    }
}

static void histogram_point(struct text *t, const sl_point *p)
{
    sl_histogram h = sl_point_histogram(p);
    sl_number number;
    extremes(t, h.count, h.has, (const double[]){h.sum, h.min, h.max});
    for (uint32_t i = 0; sl_numbers_next(&h.bounds, &number); i++)
        text_format(t, "ExplicitBounds #%u: %f\n", i, number.f);
    for (uint32_t i = 0; sl_numbers_next(&h.bucket_counts, &number); i++)
        text_format(t, "Buckets #%u, Count: %llu\n", i, (unsigned long long)number.u);
}

static void negative_bucket(struct text *t, const sl_exponential *e, double factor, uint32_t i,
                            uint64_t count)
{
    const double index = (double)e->negative_offset + i;
    text_format(t, "Bucket [%f, %f), Count: %llu\n", -exp((index + 1) * factor),
                -exp(index * factor), (unsigned long long)count);
}

/* From the one farthest from zero; more than anyone uses come in the order of the wire. */
static void negative_buckets(struct text *t, const sl_exponential *e, double factor)
{
    uint64_t counts[512];
    sl_numbers all = e->negative;
    const uint32_t n = sl_numbers_count(all);
    sl_number count;
    for (uint32_t i = 0; sl_numbers_next(&all, &count); i++) {
        if (n > sizeof counts / sizeof *counts)
            negative_bucket(t, e, factor, i, count.u);
        else
            counts[i] = count.u;
    }
    for (uint32_t i = n <= sizeof counts / sizeof *counts ? n : 0; i-- > 0;)
        negative_bucket(t, e, factor, i, counts[i]);
}

static void exponential_point(struct text *t, const sl_point *p)
{
    sl_exponential e = sl_point_exponential(p);
    const double factor = ldexp(0.693147180559945309417232121458, -e.scale); /* ln 2 */
    sl_number count;
    extremes(t, e.count, e.has, (const double[]){e.sum, e.min, e.max});
    negative_buckets(t, &e, factor);
    if (e.zero_count)
        text_format(t, "Bucket [0, 0], Count: %llu\n", (unsigned long long)e.zero_count);
    for (double index = e.positive_offset; sl_numbers_next(&e.positive, &count); index++)
        text_format(t, "Bucket (%f, %f], Count: %llu\n", exp(index * factor),
                    exp((index + 1) * factor), (unsigned long long)count.u);
}

static void summary_point(struct text *t, const sl_point *p)
{
    sl_summary s = sl_point_summary(p);
    double quantile, value;
    text_format(t, "Count: %llu\nSum: %f\n", (unsigned long long)s.count, s.sum);
    for (uint32_t i = 0; sl_quantile_next(&s.quantiles, &quantile, &value); i++)
        text_format(t, "QuantileValue #%u: Quantile %f, Value %f\n", i, quantile, value);
}

static void point(struct text *t, uint32_t number, const sl_point *p)
{
    const char *kind = p->type == SL_METRIC_HISTOGRAM     ? "Histogram"
                       : p->type == SL_METRIC_EXPONENTIAL ? "ExponentialHistogram"
                       : p->type == SL_METRIC_SUMMARY     ? "Summary"
                                                          : "Number";
    text_format(t, "%sDataPoints #%u\n", kind, number);
    detailed_attributes(t, "", "Data point attributes", sl_point_attrs(p));
    text_format(t, "StartTimestamp: ");
    text_time(t, p->start_ns);
    text_format(t, "\nTimestamp: ");
    text_time(t, p->time_ns);
    text_format(t, "\n");
    if (p->flags)
        text_format(t, "Flags: %u\n", p->flags);
    if (p->type == SL_METRIC_HISTOGRAM)
        histogram_point(t, p);
    else if (p->type == SL_METRIC_EXPONENTIAL)
        exponential_point(t, p);
    else if (p->type == SL_METRIC_SUMMARY)
        summary_point(t, p);
    else
        number_point(t, p);
    if (p->type != SL_METRIC_SUMMARY)
        exemplars(t, p);
}

void detailed_write_metrics(struct text *t, const sl_view *view)
{
    for (uint32_t r = 0, s = 0, m = 0; r < view->resources.n; r++) {
        detailed_resource(t, "ResourceMetrics", r, sl_resource_at(view, r));
        for (uint32_t first = s; s < view->scopes.n; s++) {
            const sl_scope *scope = sl_scope_at(view, s);
            if (scope->resource != r)
                break;
            detailed_scope(t, "ScopeMetrics", s - first, scope);
            for (uint32_t first_metric = m; m < view->metrics.n; m++) {
                const sl_metric_info *metric = sl_metric_at(view, m);
                if (metric->scope != s)
                    break;
                text_format(t, "Metric #%u\n", m - first_metric);
                descriptor(t, metric);
                for (uint32_t i = 0; i < metric->n; i++)
                    point(t, i, sl_point_at(view, metric->first + i));
            }
        }
    }
}
