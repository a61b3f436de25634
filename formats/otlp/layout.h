/* OTLP's messages by field number: what the checker must know of each field. Constant tables. */
#ifndef SLUICE_FORMATS_OTLP_LAYOUT_H
#define SLUICE_FORMATS_OTLP_LAYOUT_H
#include <stdint.h>

enum otlp_kind {
    OTLP_UNKNOWN, /* any wire type; skipped */
    OTLP_VARINT,
    OTLP_FIXED32,
    OTLP_FIXED64,
    OTLP_TEXT, /* UTF-8 */
    OTLP_BYTES,
    OTLP_ID8,  /* 0 or 8 bytes */
    OTLP_ID16, /* 0 or 16 bytes */
    OTLP_MESSAGE,
    OTLP_PACKED_VARINT, /* repeated; packed or one by one */
    OTLP_PACKED_FIXED64
};

enum otlp_field_flag {
    OTLP_REPEATED = 1,
    OTLP_ITEM = 2, /* what the signal counts: spans, points, log records */
    OTLP_UNIT = 4, /* goes to the quick check first, see check_fast.h */
    OTLP_DATA = 8  /* one of a metric's kinds of data: a metric has points of one kind only */
};

enum otlp_type {
    OTLP_TRACES_DATA,
    OTLP_RESOURCE_SPANS,
    OTLP_SCOPE_SPANS,
    OTLP_SPAN,
    OTLP_EVENT,
    OTLP_LINK,
    OTLP_STATUS,
    OTLP_METRICS_DATA,
    OTLP_RESOURCE_METRICS,
    OTLP_SCOPE_METRICS,
    OTLP_METRIC,
    OTLP_GAUGE,
    OTLP_SUM,
    OTLP_HISTOGRAM,
    OTLP_EXPONENTIAL_HISTOGRAM,
    OTLP_SUMMARY,
    OTLP_NUMBER_POINT,
    OTLP_HISTOGRAM_POINT,
    OTLP_EXPONENTIAL_POINT,
    OTLP_BUCKETS,
    OTLP_SUMMARY_POINT,
    OTLP_QUANTILE,
    OTLP_EXEMPLAR,
    OTLP_LOGS_DATA,
    OTLP_RESOURCE_LOGS,
    OTLP_SCOPE_LOGS,
    OTLP_LOG_RECORD,
    OTLP_RESOURCE,
    OTLP_ENTITY_REF,
    OTLP_SCOPE,
    OTLP_KEY_VALUE,
    OTLP_ANY_VALUE,
    OTLP_ARRAY_VALUE,
    OTLP_KEY_VALUE_LIST,
    OTLP_TYPES
};

enum { OTLP_FIELD_NUMBERS = 17 /* higher ones are unknown in every message */ };

struct otlp_field {
    uint8_t kind;    /* enum otlp_kind */
    uint8_t wire;    /* enum sl_wire_type; packed numbers: of a single one */
    uint8_t message; /* enum otlp_type of a message */
    uint8_t flags;   /* enum otlp_field_flag */
};

extern const struct otlp_field otlp_layout[OTLP_TYPES][OTLP_FIELD_NUMBERS];

/* As the protos call it, for error messages; NULL where the number is unknown. */
const char *otlp_field_name(enum otlp_type, uint32_t number);

#endif
