/* See match.h. */
#include "formats/match/match.h"
#include "formats/match/raw_value.h"
#include "formats/otlp/value_text.h"
#include "formats/otlp/view_entries.h"

#include <stdlib.h>

/* ---- the config's keys ---- */

struct library_config {
    sl_bytes name, version; /* version.p NULL: any */
};

static const char *const match_types[] = {"strict", "regexp", NULL};

static const sl_field severity_fields[] = {
    SL_I64(struct match_severity, min, "The lowest severity number that matches."),
    SL_BOOL(struct match_severity, match_undefined, "Do records without a severity match?"),
    SL_END};
static const sl_struct severity_struct = {.size = sizeof(struct match_severity),
                                          .fields = severity_fields};

static const sl_field attribute_fields[] = {
    SL_TEXT(struct match_attribute_config, key, "The attribute's key.", .flags = SL_REQUIRED),
    SL_RAW(struct match_attribute_config, value,
           "The value that it must have, a pattern with match_type regexp; without: any."),
    SL_END};
const sl_struct match_attribute_struct = {.size = sizeof(struct match_attribute_config),
                                          .fields = attribute_fields};

static const sl_field library_fields[] = {
    SL_TEXT(struct library_config, name, "The scope's name.", .flags = SL_REQUIRED),
    SL_TEXT(struct library_config, version, "The scope's version; without: any."), SL_END};
static const sl_struct library_struct = {.size = sizeof(struct library_config),
                                         .fields = library_fields};

static const sl_field regexp_fields[] = {
    SL_IGNORE("cacheenabled", "Results are not cached: compiled patterns are as fast."),
    SL_IGNORE("cachemaxnumentries", "Results are not cached: compiled patterns are as fast."),
    SL_END};
const sl_struct match_regexp_struct = {.size = sizeof(uint8_t), .fields = regexp_fields};

static const sl_field fields[] = {
    SL_ENUM(struct match_config, match_type, match_types, "How texts are compared.",
            .flags = SL_REQUIRED, SL_PRESENT(struct match_config, has_type)),
    {.key = "regexp",
     .kind = SL_FIELD_STRUCT,
     .of = &match_regexp_struct,
     .offset = (uint32_t)offsetof(struct match_config, regexp),
     .help = "Settings of match_type regexp."},
    SL_TEXTS(struct match_config, services, "Spans: the resource's service.name is one of them."),
    SL_TEXTS(struct match_config, span_names, "Spans: the name is one of them."),
    SL_TEXTS(struct match_config, span_kinds,
             "Spans: the kind is one of them, such as SPAN_KIND_SERVER."),
    SL_TEXTS(struct match_config, log_bodies, "Log records: the body's text is one of them."),
    SL_TEXTS(struct match_config, log_severity_texts,
             "Log records: the severity text is one of them."),
    SL_STRUCT(struct match_config, log_severity_number, &severity_struct,
              "Log records: the severity number.", SL_PRESENT(struct match_config, has_severity)),
    SL_TEXTS(struct match_config, metric_names, "Metrics: the name is one of them."),
    SL_LIST(struct match_config, attributes, &match_attribute_struct,
            "Spans and log records: all of these attributes are there."),
    SL_LIST(struct match_config, resources, &match_attribute_struct,
            "All of these attributes of the resource are there."),
    SL_LIST(struct match_config, libraries, &library_struct, "The scope is one of them."),
    SL_END};
const sl_struct match_struct = {.size = sizeof(struct match_config), .fields = fields};

/* ---- compiled ---- */

/* Texts of which one must match; n 0: any text does. */
struct texts {
    sl_bytes *strict; /* or: */
    struct pattern **patterns;
    uint32_t n;
};

struct attribute {
    sl_bytes key;
    struct pattern *pattern;
    sl_bytes any; /* .p NULL: any value */
};

struct attributes {
    struct attribute *at;
    uint32_t n;
};

struct library {
    struct texts name, version;
};

struct match {
    bool regexp;
    bool of_spans, of_logs, of_metrics; /* has properties of that signal alone */
    struct texts services, names, kinds, bodies, severity_texts, metric_names;
    struct attributes attributes, resources;
    struct library *libraries;
    uint32_t n_libraries;
    bool has_severity;
    struct match_severity severity;
    struct otlp_scratch values;
};

static void texts_free(struct texts *texts)
{
    for (uint32_t i = 0; texts->patterns && i < texts->n; i++) {
        pattern_free(texts->patterns[i]);
    }
    free(texts->patterns);
    free(texts->strict);
}

static void attributes_free(struct attributes *attributes)
{
    for (uint32_t i = 0; i < attributes->n; i++) {
        pattern_free(attributes->at[i].pattern);
    }
    free(attributes->at);
}

void match_free(struct match *match)
{
    if (!match) {
        return;
    }
    struct texts *const all[] = {&match->services, &match->names,          &match->kinds,
                                 &match->bodies,   &match->severity_texts, &match->metric_names};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        texts_free(all[i]);
    }
    for (uint32_t i = 0; i < match->n_libraries; i++) {
        texts_free(&match->libraries[i].name);
        texts_free(&match->libraries[i].version);
    }
    free(match->libraries);
    attributes_free(&match->attributes);
    attributes_free(&match->resources);
    otlp_scratch_free(&match->values);
    free(match);
}

static int32_t no_memory(sl_error *error)
{
    return sl_fail(error, SL_ERR_NOMEM, "no memory for include and exclude");
}

static int32_t texts_compile(const struct match *m, const sl_list *list, struct texts *texts,
                             sl_error *error)
{
    int32_t status = SL_OK;
    if (m->regexp) {
        texts->patterns = calloc(list->n + 1, sizeof *texts->patterns);
    } else {
        texts->strict = calloc(list->n + 1, sizeof *texts->strict);
    }
    if (!texts->patterns && !texts->strict) {
        return no_memory(error);
    }
    for (uint32_t i = 0; i < list->n && status == SL_OK; i++) {
        const sl_bytes text = *SL_LIST_AT(sl_bytes, *list, i);
        if (m->regexp) {
            status = pattern_compile(text, &texts->patterns[i], error);
        } else {
            texts->strict[i] = text;
        }
        texts->n = i + 1;
    }
    return status;
}

static int32_t text_compile(const struct match *m, sl_bytes text, struct texts *texts,
                            sl_error *error)
{
    const sl_list one = {.at = &text, .n = 1, .stride = sizeof text};
    return texts_compile(m, &one, texts, error);
}

static int32_t attribute_compile(struct match *m, const struct match_attribute_config *config,
                                 const char *what, struct attribute *to, sl_error *error)
{
    sl_bytes any;
    to->key = config->key;
    if (config->key.n == 0) {
        return sl_fail(error, SL_ERR_INVALID, "%s: a key is empty", what);
    }
    if (!raw_has_value(config->value)) {
        return SL_OK;
    }
    int32_t status = raw_value(config->value, &m->values, &any, error);
    if (status != SL_OK || !m->regexp) {
        to->any = any;
        return status;
    }
    const sl_value value = sl_value_of(any);
    if (value.type != SL_VALUE_TEXT) {
        return sl_fail(error, SL_ERR_INVALID,
                       "%s: with match_type regexp the value of \"%.*s\" must be a text; put it "
                       "into quotes",
                       what, (int)config->key.n, (const char *)config->key.p);
    }
    return pattern_compile(value.bytes, &to->pattern, error);
}

static int32_t attributes_compile(struct match *m, const sl_list *list, const char *what,
                                  struct attributes *to, sl_error *error)
{
    int32_t status = SL_OK;
    to->at = calloc(list->n + 1, sizeof *to->at);
    if (!to->at) {
        return no_memory(error);
    }
    for (uint32_t i = 0; i < list->n && status == SL_OK; i++) {
        status = attribute_compile(m, SL_LIST_AT(struct match_attribute_config, *list, i), what,
                                   &to->at[i], error);
        to->n = i + 1;
    }
    return status;
}

static int32_t libraries_compile(struct match *m, const sl_list *list, sl_error *error)
{
    int32_t status = SL_OK;
    m->libraries = calloc(list->n + 1, sizeof *m->libraries);
    if (!m->libraries) {
        return no_memory(error);
    }
    for (uint32_t i = 0; i < list->n && status == SL_OK; i++) {
        const struct library_config *config = SL_LIST_AT(struct library_config, *list, i);
        m->n_libraries = i + 1;
        status = text_compile(m, config->name, &m->libraries[i].name, error);
        if (status == SL_OK && config->version.p) {
            status = text_compile(m, config->version, &m->libraries[i].version, error);
        }
    }
    return status;
}

static const char *kind_name(uint32_t kind)
{
    static const char *const names[] = {"SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL",
                                        "SPAN_KIND_SERVER",      "SPAN_KIND_CLIENT",
                                        "SPAN_KIND_PRODUCER",    "SPAN_KIND_CONSUMER"};
    return kind < sizeof names / sizeof *names ? names[kind] : "";
}

static int32_t check_kinds(const struct match_config *config, const char *what, sl_error *error)
{
    for (uint32_t i = 0; i < config->span_kinds.n && config->match_type == 0; i++) {
        const sl_bytes name = *SL_LIST_AT(sl_bytes, config->span_kinds, i);
        bool known = false;
        for (uint32_t kind = 1; kind <= SL_SPAN_CONSUMER; kind++) {
            known |= sl_eq(name, sl_str(kind_name(kind)));
        }
        if (!known) {
            return sl_fail(error, SL_ERR_INVALID,
                           "%s: no kind of spans is called \"%.*s\"; there are SPAN_KIND_INTERNAL, "
                           "_SERVER, _CLIENT, _PRODUCER and _CONSUMER",
                           what, (int)name.n, (const char *)name.p);
        }
    }
    return SL_OK;
}

static int32_t check(const struct match_config *c, const char *what, sl_error *error)
{
    const bool of_spans = c->services.n || c->span_names.n || c->span_kinds.n;
    const bool of_logs = c->log_bodies.n || c->log_severity_texts.n || c->has_severity;
    if (!of_spans && !of_logs && !c->metric_names.n && !c->attributes.n && !c->resources.n &&
        !c->libraries.n) {
        return sl_fail(error, SL_ERR_INVALID,
                       "%s needs at least one property that is not empty, such as services, "
                       "span_names, attributes or resources",
                       what);
    }
    if (of_spans + of_logs + (c->metric_names.n > 0) > 1) {
        return sl_fail(error, SL_ERR_INVALID,
                       "%s has properties of several signals, so that nothing would match all of "
                       "them; use a component for each signal",
                       what);
    }
    return check_kinds(c, what, error);
}

int32_t match_compile(const struct match_config *config, const char *what, struct match **match,
                      sl_error *error)
{
    int32_t status = check(config, what, error);
    if (status != SL_OK) {
        return status;
    }
    struct match *m = calloc(1, sizeof *m);
    if (!m) {
        return no_memory(error);
    }
    m->regexp = config->match_type == 1;
    m->of_spans = config->services.n || config->span_names.n || config->span_kinds.n;
    m->of_logs = config->log_bodies.n || config->log_severity_texts.n || config->has_severity;
    m->of_metrics = config->metric_names.n > 0;
    m->has_severity = config->has_severity;
    m->severity = config->log_severity_number;
    const struct {
        const sl_list *from;
        struct texts *to;
    } lists[] = {{&config->services, &m->services},
                 {&config->span_names, &m->names},
                 {&config->span_kinds, &m->kinds},
                 {&config->log_bodies, &m->bodies},
                 {&config->log_severity_texts, &m->severity_texts},
                 {&config->metric_names, &m->metric_names}};
    for (size_t i = 0; i < sizeof lists / sizeof *lists && status == SL_OK; i++) {
        status = texts_compile(m, lists[i].from, lists[i].to, error);
    }
    if (status == SL_OK) {
        status = attributes_compile(m, &config->attributes, what, &m->attributes, error);
    }
    if (status == SL_OK) {
        status = attributes_compile(m, &config->resources, what, &m->resources, error);
    }
    if (status == SL_OK) {
        status = libraries_compile(m, &config->libraries, error);
    }
    if (status != SL_OK) {
        match_free(m);
        return status;
    }
    *match = m;
    return SL_OK;
}

/* ---- asking ---- */

static bool texts_match(const struct texts *texts, const struct match_scratch *s, sl_bytes text)
{
    for (uint32_t i = 0; i < texts->n; i++) {
        if (texts->patterns ? pattern_match(texts->patterns[i], s->matcher, text) == PATTERN_YES
                            : sl_eq(texts->strict[i], text)) {
            return true;
        }
    }
    return texts->n == 0;
}

static bool same_value(const sl_value *a, const sl_value *b)
{
    if (a->type != b->type) {
        return false;
    }
    switch (a->type) {
    case SL_VALUE_BOOL:
    case SL_VALUE_INT:
        return a->number.i == b->number.i;
    case SL_VALUE_DOUBLE:
        return a->number.f == b->number.f;
    default: /* lists and maps: as written, their entries in the same order */
        return sl_eq(a->bytes, b->bytes);
    }
}

static bool attribute_matches(const struct match *m, const struct attribute *a,
                              struct match_scratch *s, const sl_value *value)
{
    if (!m->regexp) {
        const sl_value expected = sl_value_of(a->any);
        return !a->any.p || same_value(&expected, value);
    }
    if (!a->pattern) {
        return true;
    }
    if (value->type == SL_VALUE_EMPTY || value->type > SL_VALUE_DOUBLE) {
        return false;
    }
    otlp_scratch_clear(&s->texts);
    const sl_bytes text = otlp_value_text(s->powers, value, &s->texts);
    return text.p && pattern_match(a->pattern, s->matcher, text) == PATTERN_YES;
}

static bool attributes_match(const struct match *m, const struct attributes *attributes,
                             struct match_scratch *s, sl_attrs attrs)
{
    for (uint32_t i = 0; i < attributes->n; i++) {
        sl_value value;
        if (!sl_attr_find(attrs, attributes->at[i].key, &value) ||
            !attribute_matches(m, &attributes->at[i], s, &value)) {
            return false;
        }
    }
    return true;
}

bool match_resource(const struct match *m, struct match_scratch *s, sl_bytes resource)
{
    const sl_attrs attrs = sl_repeated_of(resource, 1);
    sl_value service;
    if (m->services.n) {
        otlp_scratch_clear(&s->texts);
        const sl_bytes name = sl_attr_find(attrs, sl_str("service.name"), &service)
                                  ? otlp_value_text(s->powers, &service, &s->texts)
                                  : sl_str("<nil-service-name>");
        if (!name.p || !texts_match(&m->services, s, name)) {
            return false;
        }
    }
    return attributes_match(m, &m->resources, s, attrs);
}

bool match_asks_scope(const struct match *m)
{
    return m->n_libraries > 0;
}

bool match_scope(const struct match *m, struct match_scratch *s, sl_bytes scope)
{
    sl_scope read = {.record = scope};
    if (m->n_libraries > 0 && !otlp_read_scope(scope, &read)) {
        return false;
    }
    for (uint32_t i = 0; i < m->n_libraries; i++) {
        if (texts_match(&m->libraries[i].name, s, read.name) &&
            texts_match(&m->libraries[i].version, s, read.version)) {
            return true;
        }
    }
    return m->n_libraries == 0;
}

bool match_span(const struct match *m, struct match_scratch *s, const sl_span *span)
{
    return !m->of_logs && !m->of_metrics && texts_match(&m->names, s, span->name) &&
           (m->kinds.n == 0 || texts_match(&m->kinds, s, sl_str(kind_name(span->kind)))) &&
           attributes_match(m, &m->attributes, s, sl_span_attrs(span));
}

static bool severity_matches(const struct match *m, const sl_log_record *log)
{
    if (log->severity == 0) {
        return m->severity.match_undefined;
    }
    return log->severity >= m->severity.min;
}

static bool body_matches(const struct match *m, struct match_scratch *s, const sl_log_record *log)
{
    const sl_value body = sl_log_body(log);
    otlp_scratch_clear(&s->texts);
    const sl_bytes text = otlp_value_text(s->powers, &body, &s->texts);
    return text.p && texts_match(&m->bodies, s, text);
}

bool match_log(const struct match *m, struct match_scratch *s, const sl_log_record *log)
{
    return !m->of_spans && !m->of_metrics && (m->bodies.n == 0 || body_matches(m, s, log)) &&
           texts_match(&m->severity_texts, s, log->severity_text) &&
           (!m->has_severity || severity_matches(m, log)) &&
           attributes_match(m, &m->attributes, s, sl_log_attrs(log));
}

bool match_metric(const struct match *m, struct match_scratch *s, sl_bytes name)
{
    return !m->of_spans && !m->of_logs && m->attributes.n == 0 &&
           texts_match(&m->metric_names, s, name);
}
