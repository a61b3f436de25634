/* The Collector's rules for what a processor looks at: `include` and `exclude` with `match_type`
 * strict or regexp. Compiled rules are read-only and shared by all threads; each thread brings a
 * pattern matcher. A rule has several properties, and all that are given must match; questions are
 * asked level by level, so that a resource is matched once for all that is in it.
 * Source: internal/filter of opentelemetry-collector-contrib. */
#ifndef SLUICE_FORMATS_MATCH_H
#define SLUICE_FORMATS_MATCH_H
#include "formats/otlp/decimal.h"
#include "formats/otlp/parts.h"
#include "formats/pattern/pattern.h"

/* ---- as configured; the field table is match_struct ---- */

struct match_severity {
    int64_t min;
    uint8_t match_undefined;
};

struct match_config {
    uint8_t has_type, has_severity, regexp;
    uint32_t match_type;
    sl_list services, span_names, span_kinds, log_bodies, log_severity_texts, metric_names;
    sl_list attributes, resources, libraries;
    struct match_severity log_severity_number;
};

extern const sl_struct match_struct;

/* A key with or without a value: entries of `attributes` and `resources`. */
struct match_attribute_config {
    sl_bytes key;
    const sl_raw *value;
};
extern const sl_struct match_attribute_struct;

/* What stands under the key `regexp`; of one uint8_t. */
extern const sl_struct match_regexp_struct;

/* ---- compiled ---- */

struct match;

/* `what` names the rule in errors: "include". */
int32_t match_compile(const struct match_config *config, const char *what, struct match **match,
                      sl_error *error);
void match_free(struct match *match);

/* What asking takes, one for each thread. */
struct match_scratch {
    struct pattern_matcher *matcher;
    const struct decimal_powers *powers;
    struct otlp_scratch texts;
};

/* The Resource and InstrumentationScope messages that an item belongs to. */
bool match_resource(const struct match *match, struct match_scratch *s, sl_bytes resource);
bool match_scope(const struct match *match, struct match_scratch *s, sl_bytes scope);
/* Does the rule ask for anything of a scope? */
bool match_asks_scope(const struct match *match);
/* The item itself: a rule with properties of another signal does not match. */
bool match_span(const struct match *match, struct match_scratch *s, const sl_span *span);
bool match_log(const struct match *match, struct match_scratch *s, const sl_log_record *log);
bool match_metric(const struct match *match, struct match_scratch *s, sl_bytes name);

#endif
