/* What the generators make and the encoders write: spans, log records and metric points as plain
 * structs. All slices point into constant tables or into the maker's pools, and are valid until the
 * maker's next call. */
#ifndef SLUICE_GENERATE_MODEL_H
#define SLUICE_GENERATE_MODEL_H

#include "sluice/plugin.h"

#define MODEL_NONE UINT32_MAX

/* A constant slice in a static table, and in an expression. */
#define TXT(literal)                                                                               \
    {                                                                                              \
        (const uint8_t *)(literal), sizeof(literal) - 1                                            \
    }
#define LIT(literal) ((sl_bytes)TXT(literal))

enum value_type { VALUE_TEXT, VALUE_INT, VALUE_DOUBLE, VALUE_BOOL, VALUE_LIST };

struct attr {
    sl_bytes key;
    enum value_type type;
    uint32_t list_size; /* VALUE_LIST */
    union {
        sl_bytes text;
        int64_t integer;
        double number;
        bool truth;
        const sl_bytes *list; /* texts */
    } value;
};

struct attrs {
    const struct attr *at;
    uint32_t n;
};

struct resource {
    struct attrs attrs;
    sl_bytes service;  /* the value of service.name */
    sl_bytes instance; /* the value of service.instance.id */
    sl_bytes schema_url;
};

struct scope {
    sl_bytes name;
    sl_bytes version;
};

enum span_kind { KIND_INTERNAL = 1, KIND_SERVER, KIND_CLIENT, KIND_PRODUCER, KIND_CONSUMER };
enum span_status { STATUS_UNSET, STATUS_OK, STATUS_ERROR };

struct span_context {
    uint8_t trace_id[16];
    uint8_t span_id[8];
};

struct span_event {
    uint64_t time;
    sl_bytes name;
    struct attrs attrs;
};

struct span_link {
    struct span_context context;
    struct attrs attrs;
};

struct span {
    struct span_context context;
    uint32_t parent; /* index in the trace, or MODEL_NONE for a root */
    uint32_t resource;
    uint16_t scope;
    uint8_t kind;
    uint8_t status;
    bool async;     /* may outlive its parent: it was started through a message */
    uint32_t flags; /* OTLP's SpanFlags */
    uint64_t start;
    uint64_t end;
    sl_bytes name;
    sl_bytes message; /* of the status */
    struct attrs attrs;
    const struct span_event *events;
    const struct span_link *links;
    uint32_t event_count;
    uint32_t link_count;
};

struct log_record {
    uint64_t time;
    uint64_t observed;
    uint32_t resource;
    uint16_t scope;
    uint8_t severity;
    bool traced; /* context is set */
    struct span_context context;
    sl_bytes severity_text;
    sl_bytes body;
    sl_bytes event_name;
    struct attrs attrs;
};

struct trace {
    uint64_t number;
    const struct span *spans; /* a parent stands before its children */
    uint32_t span_count;
    const struct log_record *logs;
    uint32_t log_count;
};

enum point_type { POINT_GAUGE, POINT_SUM, POINT_HISTOGRAM, POINT_EXPONENTIAL, POINT_SUMMARY };

struct exemplar {
    uint64_t time;
    double value;
    struct span_context context;
};

struct point {
    uint64_t start;
    uint64_t time;
    struct attrs attrs;
    bool whole; /* integer holds the value, else number */
    int64_t integer;
    double number;
    /* histograms and summaries */
    uint64_t count;
    double sum;
    double min;
    double max;
    const uint64_t *buckets; /* explicit: bound_count + 1 of them */
    uint32_t bucket_count;
    const double *bounds; /* explicit: upper bounds; summary: quantiles */
    uint32_t bound_count;
    const double *values; /* summary: a value for each quantile */
    int32_t scale;        /* exponential */
    int32_t offset;
    uint64_t zero_count;
    const struct exemplar *exemplars;
    uint32_t exemplar_count;
};

struct metric {
    sl_bytes name;
    sl_bytes description;
    sl_bytes unit;
    enum point_type type;
    uint16_t scope;
    bool monotonic;
    bool delta;
    const struct point *points;
    uint32_t point_count;
};

#endif
