/* What the view keeps behind its public records, for cutting. Internal to formats/otlp. */
#ifndef SLUICE_FORMATS_OTLP_VIEW_ENTRIES_H
#define SLUICE_FORMATS_OTLP_VIEW_ENTRIES_H
#include <sluice/otlp.h>

/* A message that holds records: what else it holds, as one or two slices (the usual case: fields
 * before the records and after them; otherwise put together in the view's memory). */
struct otlp_header {
    sl_bytes parts[2];
    uint32_t head; /* bytes of tag and length in front of the message */
    uint32_t reserved;
};

struct otlp_resource_entry {
    sl_resource pub;
    struct otlp_header header; /* of the ResourceSpans, ... */
};

struct otlp_scope_entry {
    sl_scope pub;
    struct otlp_header header; /* of the ScopeSpans, ... */
};

struct otlp_metric_entry {
    sl_metric_info pub;
    struct otlp_header header; /* of the Metric */
    struct otlp_header data;   /* of the Gauge, Sum, ... inside it */
};

/* Field numbers, the same for all three signals. */
enum {
    OTLP_TOP_RECORD = 1, /* of the request: resource_spans */
    OTLP_RECORD_RESOURCE = 1,
    OTLP_RECORD_SCOPES = 2, /* scope_spans */
    OTLP_SCOPE_SCOPE = 1,
    OTLP_SCOPE_ITEMS = 2, /* spans, metrics, log_records */
    OTLP_SCHEMA_URL = 3,  /* of both */
    OTLP_DATA_POINTS = 1
};

/* Is this field of a Metric its data? */
static inline bool otlp_is_data(const sl_wire *w)
{
    return w->type == SL_BYTES &&
           (w->number == SL_METRIC_GAUGE || w->number == SL_METRIC_SUM ||
            w->number == SL_METRIC_HISTOGRAM || w->number == SL_METRIC_EXPONENTIAL ||
            w->number == SL_METRIC_SUMMARY);
}

/* Fill a record from its message, which is at most 4 GiB long. They leave the indices and what
 * belongs to the metric alone. False: malformed. */
bool otlp_read_span(sl_bytes record, sl_span *span);
bool otlp_read_log(sl_bytes record, sl_log_record *log);
bool otlp_read_point(sl_bytes record, uint32_t metric_type, sl_point *point);
/* attributes, and of a scope name and version */
bool otlp_read_resource(sl_bytes record, sl_resource *resource);
bool otlp_read_scope(sl_bytes record, sl_scope *scope);

#endif
