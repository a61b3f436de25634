/* What the files of the filter processor share: the config and its compiled form, which are
 * read-only for all lanes. */
#ifndef SLUICE_PROCESSORS_FILTER_H
#define SLUICE_PROCESSORS_FILTER_H
#include "formats/match/match.h"
#include "formats/ottl/ottl.h"

enum error_mode { ERROR_PROPAGATE, ERROR_IGNORE, ERROR_SILENT };

/* include and exclude of metrics and logs, which have other keys than those of spans */
struct metric_rule_config {
    uint32_t match_type;
    uint8_t regexp;
    sl_list metric_names, resource_attributes, expressions;
};

struct severity_config {
    sl_bytes min;
    uint8_t match_undefined;
};

struct log_rule_config {
    uint32_t match_type;
    uint8_t has_severity;
    sl_list resource_attributes, record_attributes, severity_texts, bodies;
    struct severity_config severity_number;
};

struct traces_config {
    const sl_raw *resource, *span, *spanevent;
};

struct metrics_config {
    const sl_raw *resource, *metric, *datapoint;
    uint8_t has_include, has_exclude, regexp;
    struct metric_rule_config include, exclude;
};

struct logs_config {
    const sl_raw *resource, *log_record;
    uint8_t has_include, has_exclude;
    struct log_rule_config include, exclude;
};

struct spans_config {
    uint8_t has_include, has_exclude;
    struct match_config include, exclude;
};

/* One condition, and what becomes of its errors. */
struct condition {
    struct ottl *ottl;
    enum error_mode mode;
    const char *text; /* for the log */
};

struct conditions {
    struct condition *at;
    uint32_t n;
};

/* The rules of one signal. */
struct signal_rules {
    struct conditions by_context[OTTL_CONTEXTS];
    /* items stay where all of `include` match and not all of `exclude`; metrics' resources are asked
     * by themselves */
    struct match *include, *exclude, *include_resource, *exclude_resource;
};

struct filter_config {
    sl_base base;
    uint32_t error_mode;
    struct traces_config traces;
    struct metrics_config metrics;
    struct logs_config logs;
    struct spans_config spans;
    const sl_raw *trace_conditions, *metric_conditions, *log_conditions;

    /* set by prepare */
    struct signal_rules for_traces, for_metrics, for_logs;
    struct decimal_powers powers;
    /* set by start; NULL where the host shows no metrics */
    const sl_metrics *counters;
    sl_metric *spans_filtered, *points_filtered, *logs_filtered;
};

extern const sl_field filter_fields[];

/* config.c. `filter_compile` leaves what it has made for `filter_free_rules` also when it fails. */
int32_t filter_compile(struct filter_config *config, sl_error *error);
void filter_free_rules(struct filter_config *config);

#endif
