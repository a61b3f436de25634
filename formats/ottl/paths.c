/* What the paths of each context show. Pure functions over constant tables, any thread. */
#include "formats/otlp/view_entries.h"
#include "formats/ottl/internal.h"

enum path {
    RESOURCE_ATTRIBUTES,
    RESOURCE_DROPPED,
    SCOPE_NAME,
    SCOPE_VERSION,
    SCOPE_ATTRIBUTES,
    SCOPE_DROPPED,
    METRIC_NAME,
    METRIC_DESCRIPTION,
    METRIC_UNIT,
    METRIC_TYPE,
    METRIC_TEMPORALITY,
    METRIC_MONOTONIC,
    METRIC_POINTS,
    METRIC_METADATA,
    SPAN_TRACE_ID, /* from here on, of the record itself */
    SPAN_TRACE_ID_STRING,
    SPAN_SPAN_ID,
    SPAN_SPAN_ID_STRING,
    SPAN_PARENT_ID,
    SPAN_PARENT_ID_STRING,
    SPAN_TRACE_STATE,
    SPAN_NAME,
    SPAN_KIND,
    SPAN_KIND_STRING,
    SPAN_STATUS_CODE,
    SPAN_STATUS_MESSAGE,
    SPAN_START_NANO,
    SPAN_END_NANO,
    SPAN_START,
    SPAN_END,
    SPAN_ATTRIBUTES,
    SPAN_DROPPED_ATTRIBUTES,
    SPAN_EVENTS,
    SPAN_DROPPED_EVENTS,
    SPAN_LINKS,
    SPAN_DROPPED_LINKS,
    SPAN_FLAGS,
    EVENT_NAME,
    EVENT_NANO,
    EVENT_TIME,
    EVENT_ATTRIBUTES,
    EVENT_DROPPED,
    EVENT_INDEX,
    POINT_ATTRIBUTES,
    POINT_START_NANO,
    POINT_NANO,
    POINT_START,
    POINT_TIME,
    POINT_DOUBLE,
    POINT_INT,
    POINT_FLAGS,
    POINT_COUNT,
    POINT_SUM,
    POINT_SCALE,
    POINT_ZERO_COUNT,
    LOG_NANO,
    LOG_OBSERVED_NANO,
    LOG_TIME,
    LOG_OBSERVED,
    LOG_SEVERITY,
    LOG_SEVERITY_TEXT,
    LOG_BODY,
    LOG_ATTRIBUTES,
    LOG_DROPPED,
    LOG_FLAGS,
    LOG_TRACE_ID,
    LOG_TRACE_ID_STRING,
    LOG_SPAN_ID,
    LOG_SPAN_ID_STRING,
    LOG_EVENT_NAME
};

struct entry {
    uint32_t context;
    const char *name;
    enum path path;
};

static const struct entry entries[] = {
    {OTTL_RESOURCE, "attributes", RESOURCE_ATTRIBUTES},
    {OTTL_RESOURCE, "dropped_attributes_count", RESOURCE_DROPPED},
    {OTTL_SCOPE, "name", SCOPE_NAME},
    {OTTL_SCOPE, "version", SCOPE_VERSION},
    {OTTL_SCOPE, "attributes", SCOPE_ATTRIBUTES},
    {OTTL_SCOPE, "dropped_attributes_count", SCOPE_DROPPED},
    {OTTL_SPAN, "trace_id", SPAN_TRACE_ID},
    {OTTL_SPAN, "trace_id.string", SPAN_TRACE_ID_STRING},
    {OTTL_SPAN, "span_id", SPAN_SPAN_ID},
    {OTTL_SPAN, "span_id.string", SPAN_SPAN_ID_STRING},
    {OTTL_SPAN, "parent_span_id", SPAN_PARENT_ID},
    {OTTL_SPAN, "parent_span_id.string", SPAN_PARENT_ID_STRING},
    {OTTL_SPAN, "trace_state", SPAN_TRACE_STATE},
    {OTTL_SPAN, "name", SPAN_NAME},
    {OTTL_SPAN, "kind", SPAN_KIND},
    {OTTL_SPAN, "kind.string", SPAN_KIND_STRING},
    {OTTL_SPAN, "status.code", SPAN_STATUS_CODE},
    {OTTL_SPAN, "status.message", SPAN_STATUS_MESSAGE},
    {OTTL_SPAN, "start_time_unix_nano", SPAN_START_NANO},
    {OTTL_SPAN, "end_time_unix_nano", SPAN_END_NANO},
    {OTTL_SPAN, "start_time", SPAN_START},
    {OTTL_SPAN, "end_time", SPAN_END},
    {OTTL_SPAN, "attributes", SPAN_ATTRIBUTES},
    {OTTL_SPAN, "dropped_attributes_count", SPAN_DROPPED_ATTRIBUTES},
    {OTTL_SPAN, "events", SPAN_EVENTS},
    {OTTL_SPAN, "dropped_events_count", SPAN_DROPPED_EVENTS},
    {OTTL_SPAN, "links", SPAN_LINKS},
    {OTTL_SPAN, "dropped_links_count", SPAN_DROPPED_LINKS},
    {OTTL_SPAN, "flags", SPAN_FLAGS},
    {OTTL_SPANEVENT, "name", EVENT_NAME},
    {OTTL_SPANEVENT, "time_unix_nano", EVENT_NANO},
    {OTTL_SPANEVENT, "time", EVENT_TIME},
    {OTTL_SPANEVENT, "attributes", EVENT_ATTRIBUTES},
    {OTTL_SPANEVENT, "dropped_attributes_count", EVENT_DROPPED},
    {OTTL_SPANEVENT, "event_index", EVENT_INDEX},
    {OTTL_METRIC, "name", METRIC_NAME},
    {OTTL_METRIC, "description", METRIC_DESCRIPTION},
    {OTTL_METRIC, "unit", METRIC_UNIT},
    {OTTL_METRIC, "type", METRIC_TYPE},
    {OTTL_METRIC, "aggregation_temporality", METRIC_TEMPORALITY},
    {OTTL_METRIC, "is_monotonic", METRIC_MONOTONIC},
    {OTTL_METRIC, "data_points", METRIC_POINTS},
    {OTTL_METRIC, "metadata", METRIC_METADATA},
    {OTTL_DATAPOINT, "attributes", POINT_ATTRIBUTES},
    {OTTL_DATAPOINT, "start_time_unix_nano", POINT_START_NANO},
    {OTTL_DATAPOINT, "time_unix_nano", POINT_NANO},
    {OTTL_DATAPOINT, "start_time", POINT_START},
    {OTTL_DATAPOINT, "time", POINT_TIME},
    {OTTL_DATAPOINT, "value_double", POINT_DOUBLE},
    {OTTL_DATAPOINT, "value_int", POINT_INT},
    {OTTL_DATAPOINT, "flags", POINT_FLAGS},
    {OTTL_DATAPOINT, "count", POINT_COUNT},
    {OTTL_DATAPOINT, "sum", POINT_SUM},
    {OTTL_DATAPOINT, "scale", POINT_SCALE},
    {OTTL_DATAPOINT, "zero_count", POINT_ZERO_COUNT},
    {OTTL_LOG, "time_unix_nano", LOG_NANO},
    {OTTL_LOG, "observed_time_unix_nano", LOG_OBSERVED_NANO},
    {OTTL_LOG, "time", LOG_TIME},
    {OTTL_LOG, "observed_time", LOG_OBSERVED},
    {OTTL_LOG, "severity_number", LOG_SEVERITY},
    {OTTL_LOG, "severity_text", LOG_SEVERITY_TEXT},
    {OTTL_LOG, "body", LOG_BODY},
    {OTTL_LOG, "body.string", LOG_BODY}, /* the parser makes a text of it */
    {OTTL_LOG, "attributes", LOG_ATTRIBUTES},
    {OTTL_LOG, "dropped_attributes_count", LOG_DROPPED},
    {OTTL_LOG, "flags", LOG_FLAGS},
    {OTTL_LOG, "trace_id", LOG_TRACE_ID},
    {OTTL_LOG, "trace_id.string", LOG_TRACE_ID_STRING},
    {OTTL_LOG, "span_id", LOG_SPAN_ID},
    {OTTL_LOG, "span_id.string", LOG_SPAN_ID_STRING},
    {OTTL_LOG, "event_name", LOG_EVENT_NAME},
};

static const char *const names[OTTL_CONTEXTS] = {"resource", "scope",     "span", "spanevent",
                                                 "metric",   "datapoint", "log"};

const char *ottl_context_name(enum ottl_context context)
{
    return context < OTTL_CONTEXTS ? names[context] : "none";
}

static int32_t find_in(uint32_t context, sl_bytes path)
{
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        if (entries[i].context == context && sl_eq(path, sl_str(entries[i].name))) {
            return (int32_t)entries[i].path;
        }
    }
    return -1;
}

/* Contexts that are around, or the same. */
static bool sees(enum ottl_context from, uint32_t to)
{
    if (to == (uint32_t)from || to == OTTL_RESOURCE) {
        return true;
    }
    if (to == OTTL_SCOPE) {
        return from != OTTL_RESOURCE;
    }
    return (from == OTTL_SPANEVENT && to == OTTL_SPAN) ||
           (from == OTTL_DATAPOINT && to == OTTL_METRIC);
}

int32_t ottl_path_find(enum ottl_context context, sl_bytes path)
{
    static const char scope[] = "instrumentation_";
    sl_bytes rest = path;
    if (path.n > sizeof scope - 1 && memcmp(path.p, scope, sizeof scope - 1) == 0) {
        rest = sl_slice(path.p + sizeof scope - 1, path.n - (sizeof scope - 1));
    }
    for (uint32_t c = 0; c < OTTL_CONTEXTS; c++) {
        const size_t n = strlen(names[c]);
        if (rest.n > n && memcmp(rest.p, names[c], n) == 0 && rest.p[n] == '.') {
            return sees(context, c) ? find_in(c, sl_slice(rest.p + n + 1, rest.n - n - 1)) : -1;
        }
    }
    return find_in(context, path);
}

_Static_assert((int)SPAN_TRACE_ID == (int)OTTL_AROUND,
               "those of what is around a record come first");

sl_bytes ottl_path_around(uint32_t path, const struct ottl_subject *subject)
{
    return path < SCOPE_NAME      ? subject->resource
           : path < METRIC_NAME   ? subject->scope
           : path < SPAN_TRACE_ID ? subject->metric
                                  : sl_slice(NULL, 0);
}

/* ---- values ---- */

struct ottl_value ottl_value_of(const sl_value *v)
{
    switch (v->type) {
    case SL_VALUE_TEXT:
        return ottl_text(v->bytes);
    case SL_VALUE_BOOL:
        return ottl_bool(v->number.u);
    case SL_VALUE_INT:
        return ottl_int(v->number.i);
    case SL_VALUE_DOUBLE:
        return ottl_double(v->number.f);
    case SL_VALUE_LIST:
        return (struct ottl_value){.type = OTTL_LIST, .field = 1, .bytes = v->bytes};
    case SL_VALUE_MAP:
        return (struct ottl_value){.type = OTTL_MAP, .field = 1, .bytes = v->bytes};
    case SL_VALUE_BYTES:
        return (struct ottl_value){.type = OTTL_BYTES, .bytes = v->bytes};
    default:
        return ottl_nil();
    }
}

static struct ottl_value map_of(sl_bytes bytes, uint8_t field)
{
    return (struct ottl_value){.type = OTTL_MAP, .field = field, .bytes = bytes};
}

static struct ottl_value list_of(sl_bytes bytes, uint8_t field)
{
    return (struct ottl_value){.type = OTTL_LIST, .field = field, .bytes = bytes};
}

static struct ottl_value bytes_of(const void *p, size_t n)
{
    return (struct ottl_value){.type = OTTL_BYTES, .bytes = sl_slice(p, n)};
}

static struct ottl_value time_of(uint64_t ns)
{
    return (struct ottl_value){.type = OTTL_TIME, .number.i = (int64_t)ns};
}

static struct ottl_value number_of(sl_bytes message, uint32_t field)
{
    return ottl_int((int64_t)sl_message_number(message, field));
}

/* An id as hexadecimal digits; of none, an empty text. */
static struct ottl_value hex_of(const uint8_t *id, size_t n, struct otlp_scratch *scratch)
{
    static const char digits[] = "0123456789abcdef";
    static const uint8_t none[16] = {0};
    uint8_t *to = otlp_scratch_room(scratch, 2 * n);
    if (!to || memcmp(id, none, n) == 0) {
        return ottl_text(sl_str(""));
    }
    for (size_t i = 0; i < n; i++) {
        to[2 * i] = (uint8_t)digits[id[i] >> 4];
        to[2 * i + 1] = (uint8_t)digits[id[i] & 15];
    }
    otlp_scratch_take(scratch, 2 * n);
    return ottl_text(sl_slice(to, 2 * n));
}

static const char *kind_text(uint32_t kind)
{
    static const char *const kinds[] = {"Unspecified", "Internal", "Server",
                                        "Client",      "Producer", "Consumer"};
    return kind < sizeof kinds / sizeof *kinds ? kinds[kind] : "";
}

/* A metric's data: the last of its fields that is one. */
static sl_bytes data_of(sl_bytes metric, uint32_t *type)
{
    sl_bytes data = sl_slice(NULL, 0);
    sl_wire w = sl_wire_of(metric);
    *type = SL_METRIC_EMPTY;
    while (sl_wire_next(&w)) {
        if (otlp_is_data(&w)) {
            data = w.bytes;
            *type = w.number;
        }
    }
    return data;
}

static struct ottl_value metric_value(enum path path, sl_bytes metric)
{
    uint32_t type;
    const sl_bytes data = data_of(metric, &type);
    switch (path) {
    case METRIC_TYPE: /* numbers of the Collector's, not of the protocol */
        return ottl_int(type == SL_METRIC_GAUGE         ? 1
                        : type == SL_METRIC_SUM         ? 2
                        : type == SL_METRIC_HISTOGRAM   ? 3
                        : type == SL_METRIC_EXPONENTIAL ? 4
                        : type == SL_METRIC_SUMMARY     ? 5
                                                        : 0);
    case METRIC_TEMPORALITY:
        return type == SL_METRIC_SUM || type == SL_METRIC_HISTOGRAM || type == SL_METRIC_EXPONENTIAL
                   ? number_of(data, 2)
                   : ottl_nil();
    case METRIC_MONOTONIC:
        return type == SL_METRIC_SUM ? ottl_bool(sl_message_number(data, 3)) : ottl_nil();
    default:
        return list_of(data, OTLP_DATA_POINTS);
    }
}

static struct ottl_value point_value(enum path path, const struct ottl_subject *s)
{
    const uint32_t type = s->metric_type;
    const bool number = type == SL_METRIC_GAUGE || type == SL_METRIC_SUM;
    sl_point p;
    if (!otlp_read_point(s->point, type, &p)) {
        return ottl_nil();
    }
    switch (path) {
    case POINT_ATTRIBUTES:
        return map_of(s->point, type == SL_METRIC_HISTOGRAM     ? 9
                                : type == SL_METRIC_EXPONENTIAL ? 1
                                                                : 7);
    case POINT_START_NANO:
        return ottl_int((int64_t)p.start_ns);
    case POINT_NANO:
        return ottl_int((int64_t)p.time_ns);
    case POINT_START:
        return time_of(p.start_ns);
    case POINT_TIME:
        return time_of(p.time_ns);
    case POINT_FLAGS:
        return ottl_int(p.flags);
    case POINT_DOUBLE: /* the other kind of number has the value 0 */
        return number ? ottl_double(p.value_type == SL_VALUE_DOUBLE ? p.value.f : 0) : ottl_nil();
    case POINT_INT:
        return number ? ottl_int(p.value_type == SL_VALUE_INT ? p.value.i : 0) : ottl_nil();
    case POINT_COUNT:
        return number ? ottl_nil() : number_of(s->point, 4);
    case POINT_SUM:
        return number ? ottl_nil() : ottl_double(sl_get_double(sl_message_number(s->point, 5)));
    case POINT_SCALE:
        return type == SL_METRIC_EXPONENTIAL
                   ? ottl_int((int32_t)sl_get_sint(sl_message_number(s->point, 6)))
                   : ottl_nil();
    default:
        return type == SL_METRIC_EXPONENTIAL ? number_of(s->point, 7) : ottl_nil();
    }
}

static struct ottl_value log_value(enum path path, const sl_log_record *log,
                                   struct otlp_scratch *scratch)
{
    const sl_value body = sl_log_body(log);
    switch (path) {
    case LOG_NANO:
        return ottl_int((int64_t)log->time_ns);
    case LOG_OBSERVED_NANO:
        return ottl_int((int64_t)log->observed_ns);
    case LOG_TIME:
        return time_of(log->time_ns);
    case LOG_OBSERVED:
        return time_of(log->observed_ns);
    case LOG_SEVERITY:
        return ottl_int(log->severity);
    case LOG_SEVERITY_TEXT:
        return ottl_text(log->severity_text);
    case LOG_BODY:
        return ottl_value_of(&body);
    case LOG_ATTRIBUTES:
        return map_of(sl_slice(log->record.p + log->attrs_at, log->attrs_end - log->attrs_at), 6);
    case LOG_DROPPED:
        return number_of(log->record, 7);
    case LOG_FLAGS:
        return ottl_int(log->flags);
    case LOG_TRACE_ID:
        return bytes_of(log->trace_id, 16);
    case LOG_TRACE_ID_STRING:
        return hex_of(log->trace_id, 16, scratch);
    case LOG_SPAN_ID:
        return bytes_of(log->span_id, 8);
    case LOG_SPAN_ID_STRING:
        return hex_of(log->span_id, 8, scratch);
    default:
        return ottl_text(log->event_name);
    }
}

static struct ottl_value span_value(enum path path, const sl_span *span,
                                    struct otlp_scratch *scratch)
{
    switch (path) {
    case SPAN_TRACE_ID:
        return bytes_of(span->trace_id, 16);
    case SPAN_TRACE_ID_STRING:
        return hex_of(span->trace_id, 16, scratch);
    case SPAN_SPAN_ID:
        return bytes_of(span->span_id, 8);
    case SPAN_SPAN_ID_STRING:
        return hex_of(span->span_id, 8, scratch);
    case SPAN_PARENT_ID:
        return bytes_of(span->parent_id, 8);
    case SPAN_PARENT_ID_STRING:
        return hex_of(span->parent_id, 8, scratch);
    case SPAN_TRACE_STATE:
        return ottl_text(sl_span_trace_state(span));
    case SPAN_NAME:
        return ottl_text(span->name);
    case SPAN_KIND:
        return ottl_int(span->kind);
    case SPAN_KIND_STRING:
        return ottl_text(sl_str(kind_text(span->kind)));
    case SPAN_STATUS_CODE:
        return ottl_int(span->status);
    case SPAN_STATUS_MESSAGE:
        return ottl_text(sl_span_status_message(span));
    case SPAN_START_NANO:
        return ottl_int((int64_t)span->start_ns);
    case SPAN_END_NANO:
        return ottl_int((int64_t)span->end_ns);
    case SPAN_START:
        return time_of(span->start_ns);
    case SPAN_END:
        return time_of(span->end_ns);
    case SPAN_ATTRIBUTES:
        return map_of(sl_slice(span->record.p + span->attrs_at, span->attrs_end - span->attrs_at),
                      9);
    case SPAN_DROPPED_ATTRIBUTES:
        return number_of(span->record, 10);
    case SPAN_EVENTS:
        return list_of(span->record, 11);
    case SPAN_DROPPED_EVENTS:
        return number_of(span->record, 12);
    case SPAN_LINKS:
        return list_of(span->record, 13);
    case SPAN_DROPPED_LINKS:
        return number_of(span->record, 14);
    default:
        return ottl_int(span->flags);
    }
}

static struct ottl_value event_value(enum path path, const struct ottl_subject *s)
{
    switch (path) {
    case EVENT_NAME:
        return ottl_text(s->event->name);
    case EVENT_NANO:
        return ottl_int((int64_t)s->event->time_ns);
    case EVENT_TIME:
        return time_of(s->event->time_ns);
    case EVENT_ATTRIBUTES:
        return map_of(s->event->record, 3);
    case EVENT_DROPPED:
        return ottl_int(s->event->dropped_attributes);
    default:
        return ottl_int(s->event_index);
    }
}

struct ottl_value ottl_path_value(uint32_t number, const struct ottl_subject *s,
                                  struct otlp_scratch *scratch)
{
    const enum path path = (enum path)number;
    switch (path) {
    case RESOURCE_ATTRIBUTES:
        return map_of(s->resource, 1);
    case RESOURCE_DROPPED:
        return number_of(s->resource, 2);
    case SCOPE_NAME:
        return ottl_text(sl_message_bytes(s->scope, 1));
    case SCOPE_VERSION:
        return ottl_text(sl_message_bytes(s->scope, 2));
    case SCOPE_ATTRIBUTES:
        return map_of(s->scope, 3);
    case SCOPE_DROPPED:
        return number_of(s->scope, 4);
    case METRIC_NAME:
        return ottl_text(sl_message_bytes(s->metric, 1));
    case METRIC_DESCRIPTION:
        return ottl_text(sl_message_bytes(s->metric, 2));
    case METRIC_UNIT:
        return ottl_text(sl_message_bytes(s->metric, 3));
    case METRIC_METADATA:
        return map_of(s->metric, 12);
    default:
        break;
    }
    if (path >= LOG_NANO) {
        return log_value(path, s->log, scratch);
    }
    if (path >= POINT_ATTRIBUTES) {
        return point_value(path, s);
    }
    if (path >= EVENT_NAME) {
        return event_value(path, s);
    }
    return path >= SPAN_TRACE_ID ? span_value(path, s->span, scratch)
                                 : metric_value(path, s->metric);
}

/* ---- enums ---- */

bool ottl_enum_find(sl_bytes name, int64_t *value)
{
    static const struct {
        const char *name;
        int64_t value;
    } all[] = {
        {"SPAN_KIND_UNSPECIFIED", 0},
        {"SPAN_KIND_INTERNAL", 1},
        {"SPAN_KIND_SERVER", 2},
        {"SPAN_KIND_CLIENT", 3},
        {"SPAN_KIND_PRODUCER", 4},
        {"SPAN_KIND_CONSUMER", 5},
        {"STATUS_CODE_UNSET", 0},
        {"STATUS_CODE_OK", 1},
        {"STATUS_CODE_ERROR", 2},
        {"METRIC_DATA_TYPE_NONE", 0},
        {"METRIC_DATA_TYPE_GAUGE", 1},
        {"METRIC_DATA_TYPE_SUM", 2},
        {"METRIC_DATA_TYPE_HISTOGRAM", 3},
        {"METRIC_DATA_TYPE_EXPONENTIAL_HISTOGRAM", 4},
        {"METRIC_DATA_TYPE_SUMMARY", 5},
        {"AGGREGATION_TEMPORALITY_UNSPECIFIED", 0},
        {"AGGREGATION_TEMPORALITY_DELTA", 1},
        {"AGGREGATION_TEMPORALITY_CUMULATIVE", 2},
        {"FLAG_NONE", 0},
        {"FLAG_NO_RECORDED_VALUE", 1},
        {"SEVERITY_NUMBER_UNSPECIFIED", 0},
    };
    static const char *const severities[] = {"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (sl_eq(name, sl_str(all[i].name))) {
            *value = all[i].value;
            return true;
        }
    }
    for (int i = 0; i < 24; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, i % 4 ? "SEVERITY_NUMBER_%s%d" : "SEVERITY_NUMBER_%s",
                       severities[i / 4], i % 4 + 1);
        if (sl_eq(name, sl_str(text))) {
            *value = i + 1;
            return true;
        }
    }
    return false;
}
