/* The filter's keys, and conditions and rules made of them. Control thread. */
#include "processors/filter/filter.h"

#include <stdlib.h>
#include <strings.h>

/* ---- keys ---- */

static const char *const modes[] = {"propagate", "ignore", "silent", NULL};
enum { MATCH_EXPR = 2 }; /* known, and refused */
static const char *const match_types[] = {"strict", "regexp", NULL};
static const char *const metric_match_types[] = {"strict", "regexp", "expr", NULL};

#define CONDITIONS(S, m, what)                                                                     \
    SL_RAW(S, m, "OTTL conditions; " what " for which one is true are dropped.")

static const sl_field traces_fields[] = {
    CONDITIONS(struct traces_config, resource, "resources with all their spans"),
    CONDITIONS(struct traces_config, span, "spans"),
    CONDITIONS(struct traces_config, spanevent, "events of spans"), SL_END};
static const sl_struct traces_struct = {.size = sizeof(struct traces_config),
                                        .fields = traces_fields};

static const sl_field metric_rule_fields[] = {
    SL_ENUM(struct metric_rule_config, match_type, metric_match_types,
            "How texts are compared; expr is refused: write conditions.", .flags = SL_REQUIRED),
    {.key = "regexp",
     .kind = SL_FIELD_STRUCT,
     .of = &match_regexp_struct,
     .offset = (uint32_t)offsetof(struct metric_rule_config, regexp),
     .help = "Settings of match_type regexp."},
    SL_TEXTS(struct metric_rule_config, metric_names, "Names of metrics."),
    SL_LIST(struct metric_rule_config, resource_attributes, &match_attribute_struct,
            "Attributes of resources."),
    SL_TEXTS(struct metric_rule_config, expressions,
             "Expressions of match_type expr, which is not supported: use conditions."),
    SL_END};
static const sl_struct metric_rule_struct = {.size = sizeof(struct metric_rule_config),
                                             .fields = metric_rule_fields};

static const sl_field severity_fields[] = {
    SL_TEXT(struct severity_config, min,
            "The lowest severity that matches: INFO, WARN2, or 1 to 24."),
    SL_BOOL(struct severity_config, match_undefined, "Do records without a severity match?"),
    SL_END};
static const sl_struct severity_struct = {.size = sizeof(struct severity_config),
                                          .fields = severity_fields};

static const sl_field log_rule_fields[] = {
    SL_ENUM(struct log_rule_config, match_type, match_types, "How texts are compared.",
            .flags = SL_REQUIRED),
    SL_LIST(struct log_rule_config, resource_attributes, &match_attribute_struct,
            "Attributes of resources."),
    SL_LIST(struct log_rule_config, record_attributes, &match_attribute_struct,
            "Attributes of log records."),
    SL_TEXTS(struct log_rule_config, severity_texts, "Severity texts."),
    SL_STRUCT(struct log_rule_config, severity_number, &severity_struct, "The severity number.",
              SL_PRESENT(struct log_rule_config, has_severity)),
    SL_TEXTS(struct log_rule_config, bodies, "Bodies, as text."),
    SL_END};
static const sl_struct log_rule_struct = {.size = sizeof(struct log_rule_config),
                                          .fields = log_rule_fields};

static const sl_field metrics_fields[] = {
    CONDITIONS(struct metrics_config, resource, "resources with all their metrics"),
    CONDITIONS(struct metrics_config, metric, "metrics"),
    CONDITIONS(struct metrics_config, datapoint, "points"),
    SL_STRUCT(struct metrics_config, include, &metric_rule_struct, "Only metrics that match stay.",
              SL_PRESENT(struct metrics_config, has_include)),
    SL_STRUCT(struct metrics_config, exclude, &metric_rule_struct,
              "Metrics that match are dropped.", SL_PRESENT(struct metrics_config, has_exclude)),
    {.key = "regexp",
     .kind = SL_FIELD_STRUCT,
     .of = &match_regexp_struct,
     .offset = (uint32_t)offsetof(struct metrics_config, regexp),
     .help = "Settings of match_type regexp."},
    SL_END};
static const sl_struct metrics_struct = {.size = sizeof(struct metrics_config),
                                         .fields = metrics_fields};

static const sl_field logs_fields[] = {
    CONDITIONS(struct logs_config, resource, "resources with all their log records"),
    CONDITIONS(struct logs_config, log_record, "log records"),
    SL_STRUCT(struct logs_config, include, &log_rule_struct, "Only log records that match stay.",
              SL_PRESENT(struct logs_config, has_include)),
    SL_STRUCT(struct logs_config, exclude, &log_rule_struct, "Log records that match are dropped.",
              SL_PRESENT(struct logs_config, has_exclude)),
    SL_END};
static const sl_struct logs_struct = {.size = sizeof(struct logs_config), .fields = logs_fields};

static const sl_field spans_fields[] = {
    SL_STRUCT(struct spans_config, include, &match_struct, "Only spans that match stay.",
              SL_PRESENT(struct spans_config, has_include)),
    SL_STRUCT(struct spans_config, exclude, &match_struct, "Spans that match are dropped.",
              SL_PRESENT(struct spans_config, has_exclude)),
    SL_END};
static const sl_struct spans_struct = {.size = sizeof(struct spans_config), .fields = spans_fields};

const sl_field filter_fields[] = {
    SL_ENUM(
        struct filter_config, error_mode, modes,
        "What becomes of data whose condition cannot be evaluated: propagate refuses it, ignore "
        "logs and takes the condition as false, silent does not log."),
    SL_STRUCT(struct filter_config, traces, &traces_struct, "Conditions for traces."),
    SL_STRUCT(struct filter_config, metrics, &metrics_struct, "Conditions for metrics."),
    SL_STRUCT(struct filter_config, logs, &logs_struct, "Conditions for logs."),
    SL_STRUCT(struct filter_config, spans, &spans_struct, "Rules for spans."),
    SL_RAW(struct filter_config, trace_conditions,
           "Conditions for traces whose paths name their context, such as span.name."),
    SL_RAW(struct filter_config, metric_conditions,
           "Conditions for metrics whose paths name their context, such as datapoint.attributes."),
    SL_RAW(struct filter_config, log_conditions,
           "Conditions for logs whose paths name their context, such as log.body."),
    SL_END};

/* ---- conditions ---- */

enum { RAW_SCALAR = 1, RAW_LIST = 2, RAW_MAP = 3 };

static int32_t wrong(const sl_raw *raw, const char *key, const char *what, sl_error *error)
{
    return sl_fail(error, SL_ERR_INVALID, "%s, line %u, column %u: %s", key, raw->line, raw->column,
                   what);
}

static int32_t add(const sl_raw *raw, const char *key, enum ottl_context context,
                   enum error_mode mode, struct signal_rules *rules, sl_error *error)
{
    sl_error own = {.size = sizeof own};
    size_t at;
    struct conditions *to = &rules->by_context[context];
    struct condition *grown = realloc(to->at, (to->n + 1) * sizeof *grown);
    if (!grown) {
        return sl_fail(error, SL_ERR_NOMEM, "no memory for a condition");
    }
    to->at = grown;
    to->at[to->n] = (struct condition){.mode = mode, .text = (const char *)raw->text.p};
    if (raw->kind != RAW_SCALAR) {
        return wrong(raw, key, "a condition is a text", error);
    }
    const int32_t status = ottl_compile(context, raw->text, &to->at[to->n].ottl, &at, &own);
    if (status != SL_OK) {
        /* the part around the place, with a mark in front of it */
        const size_t from = at > 40 ? at - 40 : 0;
        return sl_fail(error, status, "%s, line %u, column %u: %s: \"%s%.*s>>>%.*s\"", key,
                       raw->line, raw->column, own.text, from ? "..." : "", (int)(at - from),
                       (const char *)raw->text.p + from,
                       (int)(raw->text.n - at < 60 ? raw->text.n - at : 60),
                       (const char *)raw->text.p + at);
    }
    to->n++;
    return SL_OK;
}

/* Where a condition's paths belong; of none, where items are. */
static int32_t add_inferred(const sl_raw *raw, const char *key, enum ottl_context items,
                            enum error_mode mode, struct signal_rules *rules, sl_error *error)
{
    enum ottl_context context = ottl_infer(raw->text);
    if (context == OTTL_CONTEXTS) {
        const char *on_metrics =
            raw->text.p ? strstr((const char *)raw->text.p, "OnDatapoint(") : NULL;
        context = items == OTTL_DATAPOINT && on_metrics ? OTTL_METRIC : items;
    }
    return add(raw, key, context, mode, rules, error);
}

static int32_t find(const sl_raw *text, const char *const *names)
{
    for (int32_t i = 0; names[i]; i++) {
        if (sl_eq(text->text, sl_str(names[i]))) {
            return i;
        }
    }
    return -1;
}

/* {context: span, error_mode: ignore, conditions: [...]} */
static int32_t add_group(const sl_raw *group, const char *key, enum ottl_context items,
                         enum error_mode mode, struct signal_rules *rules, sl_error *error)
{
    const sl_raw *list = NULL;
    int32_t context = -1, status = SL_OK;
    for (uint32_t i = 0; i < group->n; i++) {
        const sl_raw *c = &group->children[i];
        if (sl_eq(c->key, sl_str("conditions")) && c->kind == RAW_LIST) {
            list = c;
        } else if (sl_eq(c->key, sl_str("error_mode")) && find(c, modes) >= 0) {
            mode = (enum error_mode)find(c, modes);
        } else if (sl_eq(c->key, sl_str("context"))) {
            for (int32_t k = 0; k < OTTL_CONTEXTS; k++) {
                if (sl_eq(c->text, sl_str(ottl_context_name((enum ottl_context)k)))) {
                    context = k;
                }
            }
            if (context < 0) {
                return wrong(c, key, "there is no such context", error);
            }
        } else {
            return wrong(c, key,
                         "only context, error_mode (propagate, ignore, silent) and "
                         "conditions (a list) can be given here",
                         error);
        }
    }
    for (uint32_t i = 0; list && i < list->n && status == SL_OK; i++) {
        status = context >= 0
                     ? add(&list->children[i], key, (enum ottl_context)context, mode, rules, error)
                     : add_inferred(&list->children[i], key, items, mode, rules, error);
    }
    return status;
}

/* A list of conditions: all of the context, or, `flat`, of the one that each names. */
static int32_t add_list(const sl_raw *raw, const char *key, bool flat, enum ottl_context context,
                        enum error_mode mode, struct signal_rules *rules, sl_error *error)
{
    int32_t status = SL_OK;
    if (!raw || raw->kind == 0) {
        return SL_OK;
    }
    if (raw->kind != RAW_LIST) {
        return wrong(raw, key, "a list of conditions is needed", error);
    }
    for (uint32_t i = 0; i < raw->n && status == SL_OK; i++) {
        const sl_raw *one = &raw->children[i];
        status = (!flat                  ? add
                  : one->kind == RAW_MAP ? add_group
                                         : add_inferred)(one, key, context, mode, rules, error);
    }
    return status;
}

/* Contexts that are not of the signal would never be asked. */
static int32_t check_contexts(const struct signal_rules *rules, const char *key, uint32_t allowed,
                              sl_error *error)
{
    for (uint32_t c = 0; c < OTTL_CONTEXTS; c++) {
        if (rules->by_context[c].n && !(allowed >> c & 1)) {
            return sl_fail(error, SL_ERR_INVALID, "%s: the context %s is of another signal", key,
                           ottl_context_name((enum ottl_context)c));
        }
    }
    return SL_OK;
}

/* ---- rules ---- */

static int32_t compile_metric_rule(const struct metric_rule_config *c, const char *what,
                                   struct match **names, struct match **resources, sl_error *error)
{
    struct match_config config = {.match_type = c->match_type, .metric_names = c->metric_names};
    struct match_config resource = {.match_type = c->match_type,
                                    .resources = c->resource_attributes};
    int32_t status = SL_OK;
    if (c->match_type == MATCH_EXPR || c->expressions.n) {
        return sl_fail_at(
            error, SL_ERR_INVALID, &c->match_type,
            "%s: match_type expr is not supported; name what is to be dropped by OTTL conditions "
            "under metrics.datapoint: metric.name == \"x\" for MetricName == \"x\", "
            "attributes[\"k\"] != nil for HasLabel(\"k\"), attributes[\"k\"] == \"v\" for "
            "Label(\"k\") == \"v\"%s",
            what, strcmp(what, "metrics.include") == 0 ? ", each within not (...)" : "");
    }
    if (c->metric_names.n) {
        status = match_compile(&config, what, names, error);
    }
    if (status == SL_OK && c->resource_attributes.n) {
        status = match_compile(&resource, what, resources, error);
    }
    return status;
}

static int64_t severity_of(sl_bytes text)
{
    static const char *const names[] = {"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"};
    for (int i = 1; i <= 24; i++) {
        char name[16], number[8];
        (void)snprintf(name, sizeof name, (i - 1) % 4 ? "%s%d" : "%s", names[(i - 1) / 4],
                       (i - 1) % 4 + 1);
        (void)snprintf(number, sizeof number, "%d", i);
        if ((text.n == strlen(name) && strncasecmp(name, (const char *)text.p, text.n) == 0) ||
            sl_eq(text, sl_str(number))) {
            return i;
        }
    }
    return 0;
}

static int32_t compile_log_rule(const struct log_rule_config *c, const char *what,
                                struct match **match, sl_error *error)
{
    struct match_config config = {.match_type = c->match_type,
                                  .has_severity = c->has_severity,
                                  .log_bodies = c->bodies,
                                  .log_severity_texts = c->severity_texts,
                                  .attributes = c->record_attributes,
                                  .resources = c->resource_attributes};
    config.log_severity_number.match_undefined = c->severity_number.match_undefined;
    if (c->has_severity && c->severity_number.min.n) {
        config.log_severity_number.min = severity_of(c->severity_number.min);
        if (!config.log_severity_number.min) {
            return sl_fail(error, SL_ERR_INVALID, "%s: there is no severity \"%.*s\"", what,
                           (int)c->severity_number.min.n, (const char *)c->severity_number.min.p);
        }
    }
    return match_compile(&config, what, match, error);
}

static int32_t compile_rules(struct filter_config *c, sl_error *error)
{
    int32_t status = SL_OK;
    if (c->spans.has_include) {
        status = match_compile(&c->spans.include, "spans.include", &c->for_traces.include, error);
    }
    if (status == SL_OK && c->spans.has_exclude) {
        status = match_compile(&c->spans.exclude, "spans.exclude", &c->for_traces.exclude, error);
    }
    if (status == SL_OK && c->metrics.has_include) {
        status =
            compile_metric_rule(&c->metrics.include, "metrics.include", &c->for_metrics.include,
                                &c->for_metrics.include_resource, error);
    }
    if (status == SL_OK && c->metrics.has_exclude) {
        status =
            compile_metric_rule(&c->metrics.exclude, "metrics.exclude", &c->for_metrics.exclude,
                                &c->for_metrics.exclude_resource, error);
    }
    if (status == SL_OK && c->logs.has_include) {
        status = compile_log_rule(&c->logs.include, "logs.include", &c->for_logs.include, error);
    }
    if (status == SL_OK && c->logs.has_exclude) {
        status = compile_log_rule(&c->logs.exclude, "logs.exclude", &c->for_logs.exclude, error);
    }
    return status;
}

static bool any(const sl_raw *raw)
{
    return raw && raw->n > 0;
}

static int32_t check(const struct filter_config *c, sl_error *error)
{
    const struct {
        bool conditions, flat, rules;
        const char *signal, *what;
    } signals[] = {
        {any(c->traces.resource) || any(c->traces.span) || any(c->traces.spanevent),
         any(c->trace_conditions), c->spans.has_include || c->spans.has_exclude, "trace", "spans"},
        {any(c->metrics.resource) || any(c->metrics.metric) || any(c->metrics.datapoint),
         any(c->metric_conditions), c->metrics.has_include || c->metrics.has_exclude, "metric",
         "metrics"},
        {any(c->logs.resource) || any(c->logs.log_record), any(c->log_conditions),
         c->logs.has_include || c->logs.has_exclude, "log", "logs"},
    };
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        if (signals[i].conditions + signals[i].flat + signals[i].rules > 1) {
            return sl_fail(
                error, SL_ERR_INVALID,
                "only one of %s_conditions, the conditions under %ss, and %s.include and "
                "exclude can be given",
                signals[i].signal, signals[i].signal, signals[i].what);
        }
    }
    return SL_OK;
}

int32_t filter_compile(struct filter_config *c, sl_error *error)
{
    const enum error_mode mode = (enum error_mode)c->error_mode;
    const struct {
        const sl_raw *raw;
        const char *key;
        enum ottl_context context;
        struct signal_rules *rules;
    } lists[] = {
        {c->traces.resource, "traces.resource", OTTL_RESOURCE, &c->for_traces},
        {c->traces.span, "traces.span", OTTL_SPAN, &c->for_traces},
        {c->traces.spanevent, "traces.spanevent", OTTL_SPANEVENT, &c->for_traces},
        {c->metrics.resource, "metrics.resource", OTTL_RESOURCE, &c->for_metrics},
        {c->metrics.metric, "metrics.metric", OTTL_METRIC, &c->for_metrics},
        {c->metrics.datapoint, "metrics.datapoint", OTTL_DATAPOINT, &c->for_metrics},
        {c->logs.resource, "logs.resource", OTTL_RESOURCE, &c->for_logs},
        {c->logs.log_record, "logs.log_record", OTTL_LOG, &c->for_logs},
    };
    const uint32_t around = 1u << OTTL_RESOURCE | 1u << OTTL_SCOPE;
    const struct {
        const sl_raw *raw;
        const char *key;
        enum ottl_context items;
        struct signal_rules *rules;
        uint32_t allowed;
    } flat[] = {
        {c->trace_conditions, "trace_conditions", OTTL_SPAN, &c->for_traces,
         around | 1u << OTTL_SPAN | 1u << OTTL_SPANEVENT},
        {c->metric_conditions, "metric_conditions", OTTL_DATAPOINT, &c->for_metrics,
         around | 1u << OTTL_METRIC | 1u << OTTL_DATAPOINT},
        {c->log_conditions, "log_conditions", OTTL_LOG, &c->for_logs, around | 1u << OTTL_LOG},
    };
    int32_t status = check(c, error);
    decimal_powers_init(&c->powers);
    for (size_t i = 0; i < sizeof lists / sizeof *lists && status == SL_OK; i++) {
        status = add_list(lists[i].raw, lists[i].key, false, lists[i].context, mode, lists[i].rules,
                          error);
    }
    for (size_t i = 0; i < sizeof flat / sizeof *flat && status == SL_OK; i++) {
        status =
            add_list(flat[i].raw, flat[i].key, true, flat[i].items, mode, flat[i].rules, error);
        if (status == SL_OK) {
            status = check_contexts(flat[i].rules, flat[i].key, flat[i].allowed, error);
        }
    }
    return status == SL_OK ? compile_rules(c, error) : status;
}

void filter_free_rules(struct filter_config *c)
{
    struct signal_rules *const all[] = {&c->for_traces, &c->for_metrics, &c->for_logs};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        for (uint32_t k = 0; k < OTTL_CONTEXTS; k++) {
            struct conditions *conditions = &all[i]->by_context[k];
            for (uint32_t n = 0; n < conditions->n; n++) {
                ottl_free(conditions->at[n].ottl);
            }
            free(conditions->at);
        }
        match_free(all[i]->include);
        match_free(all[i]->exclude);
        match_free(all[i]->include_resource);
        match_free(all[i]->exclude_resource);
    }
}
