/* Verbosity detailed, traces and logs: every field, in the collector's form. */
#include "exporters/debug/text.h"

void detailed_attributes(struct text *t, const char *indent, const char *header, sl_attrs attrs)
{
    sl_bytes key;
    sl_value value;
    for (bool first = true; sl_attr_next(&attrs, &key, &value); first = false) {
        if (first)
            text_format(t, "%s%s:\n", indent, header);
        text_format(t, "%s     -> ", indent[0] ? "     " : "");
        text_safe(t, key);
        text_format(t, ": ");
        text_typed_value(t, &value);
        text_format(t, "\n");
    }
}

static void line(struct text *t, const char *name, sl_bytes value)
{
    text_format(t, "%s", name);
    text_safe(t, value);
    text_format(t, "\n");
}

static void dropped(struct text *t, const char *name, uint32_t n)
{
    if (n)
        text_format(t, "%s: %u\n", name, n);
}

void detailed_resource(struct text *t, const char *what, uint32_t number, const sl_resource *r)
{
    text_format(t, "%s #%u\n", what, number);
    line(t, "Resource SchemaURL: ", r->schema_url);
    detailed_attributes(t, "", "Resource attributes", sl_resource_attrs(r));
    dropped(t, "Resource dropped attributes", r->dropped_attributes);
}

void detailed_scope(struct text *t, const char *what, uint32_t number, const sl_scope *s)
{
    text_format(t, "%s #%u\n%s SchemaURL: ", what, number, what);
    line(t, "", s->schema_url);
    text_format(t, "InstrumentationScope ");
    text_safe(t, s->name);
    text_format(t, " ");
    line(t, "", s->version);
    detailed_attributes(t, "", "InstrumentationScope attributes", sl_scope_attrs(s));
    dropped(t, "InstrumentationScope dropped attributes", s->dropped_attributes);
}

/* ---- spans ---- */

static void events(struct text *t, const sl_span *s)
{
    sl_repeated all = sl_span_events(s);
    sl_event e;
    for (uint32_t i = 0; sl_event_next(&all, &e); i++) {
        if (i == 0)
            text_format(t, "Events:\n");
        text_format(t, "SpanEvent #%u\n", i);
        line(t, "     -> Name: ", e.name);
        text_format(t, "     -> Timestamp: ");
        text_time(t, e.time_ns);
        text_format(t, "\n     -> DroppedAttributesCount: %u\n", e.dropped_attributes);
        detailed_attributes(t, "     -> ", "Attributes:", sl_event_attrs(&e));
    }
}

static void links(struct text *t, const sl_span *s)
{
    sl_repeated all = sl_span_links(s);
    sl_link l;
    for (uint32_t i = 0; sl_link_next(&all, &l); i++) {
        if (i == 0)
            text_format(t, "Links:\n");
        text_format(t, "SpanLink #%u\n     -> Trace ID: ", i);
        text_hex(t, l.trace_id.p, l.trace_id.n);
        text_format(t, "\n     -> ID: ");
        text_hex(t, l.span_id.p, l.span_id.n);
        line(t, "\n     -> TraceState: ", l.trace_state);
        dropped(t, "     -> Flags", l.flags);
        text_format(t, "     -> DroppedAttributesCount: %u\n", l.dropped_attributes);
        detailed_attributes(t, "     -> ", "Attributes:", sl_link_attrs(&l));
    }
}

static const char *kind_name(uint8_t kind)
{
    static const char *const names[] = {"Unspecified", "Internal", "Server",
                                        "Client",      "Producer", "Consumer"};
    return kind < sizeof names / sizeof *names ? names[kind] : "";
}

static const char *status_name(uint8_t status)
{
    static const char *const names[] = {"Unset", "Ok", "Error"};
    return status < sizeof names / sizeof *names ? names[status] : "";
}

static void span(struct text *t, uint32_t number, const sl_span *s)
{
    const sl_bytes state = s->trace_state;
    text_format(t, "Span #%u\n    Trace ID       : ", number);
    text_hex(t, s->trace_id, sizeof s->trace_id);
    text_format(t, "\n    Parent ID      : ");
    text_hex(t, s->parent_id, sizeof s->parent_id);
    text_format(t, "\n    ID             : ");
    text_hex(t, s->span_id, sizeof s->span_id);
    line(t, "\n    Name           : ", s->name);
    text_format(t, "    Kind           : %s\n", kind_name(s->kind));
    if (state.n)
        line(t, "    TraceState     : ", state);
    dropped(t, "    Flags          ", s->flags);
    text_format(t, "    Start time     : ");
    text_time(t, s->start_ns);
    text_format(t, "\n    End time       : ");
    text_time(t, s->end_ns);
    text_format(t, "\n    Status code    : %s\n", status_name(s->status));
    line(t, "    Status message : ", sl_span_status_message(s));
    dropped(t, "    DroppedAttributesCount", (uint32_t)sl_message_number(s->record, 10));
    detailed_attributes(t, "", "Attributes", sl_span_attrs(s));
    events(t, s);
    dropped(t, "    DroppedEventsCount", (uint32_t)sl_message_number(s->record, 12));
    links(t, s);
    dropped(t, "    DroppedLinksCount", (uint32_t)sl_message_number(s->record, 14));
}

/* ---- log records ---- */

static void severity(struct text *t, uint8_t number)
{
    static const char *const names[] = {"Trace", "Debug", "Info", "Warn", "Error", "Fatal"};
    text_format(t, "SeverityNumber: ");
    if (number == 0)
        text_format(t, "Unspecified");
    else if (number <= 24 && (number - 1) % 4)
        text_format(t, "%s%u", names[(number - 1) / 4], (unsigned)(number - 1) % 4 + 1);
    else if (number <= 24)
        text_format(t, "%s", names[(number - 1) / 4]);
    text_format(t, "(%u)\n", number);
}

static void log_record(struct text *t, uint32_t number, const sl_log_record *l)
{
    const sl_value body = sl_log_body(l);
    text_format(t, "LogRecord #%u\nObservedTimestamp: ", number);
    text_time(t, l->observed_ns);
    text_format(t, "\nTimestamp: ");
    text_time(t, l->time_ns);
    line(t, "\nSeverityText: ", l->severity_text);
    severity(t, l->severity);
    if (l->event_name.n)
        line(t, "EventName: ", l->event_name);
    text_format(t, "Body: ");
    text_typed_value(t, &body);
    text_format(t, "\n");
    detailed_attributes(t, "", "Attributes", sl_log_attrs(l));
    dropped(t, "DroppedAttributesCount", (uint32_t)sl_message_number(l->record, 7));
    text_format(t, "Trace ID: ");
    text_hex(t, l->trace_id, sizeof l->trace_id);
    text_format(t, "\nSpan ID: ");
    text_hex(t, l->span_id, sizeof l->span_id);
    text_format(t, "\nFlags: %u\n", l->flags);
}

/* ---- all ---- */

void detailed_write(struct text *t, const sl_view *view)
{
    const bool traces = view->signal == SL_TRACES;
    if (view->signal == SL_METRICS) {
        detailed_write_metrics(t, view);
        return;
    }
    for (uint32_t r = 0, s = 0; r < view->resources.n; r++) {
        detailed_resource(t, traces ? "ResourceSpans" : "ResourceLog", r, sl_resource_at(view, r));
        for (uint32_t first = s; s < view->scopes.n; s++) {
            const sl_scope *scope = sl_scope_at(view, s);
            if (scope->resource != r)
                break;
            detailed_scope(t, traces ? "ScopeSpans" : "ScopeLogs", s - first, scope);
            for (uint32_t i = 0; i < scope->n; i++) {
                if (traces)
                    span(t, i, sl_span_at(view, scope->first + i));
                else
                    log_record(t, i, sl_log_at(view, scope->first + i));
            }
        }
    }
}
