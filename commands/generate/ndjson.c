/* Flat JSON lines of the generator's records: the baseline that storage ratios are measured
 * against. The shapes stand in README.md. Runs on the thread that generates. */
#include "commands/generate/encode.h"

#include "formats/otlp/decimal.h"

#include <math.h>

static void put(sl_writer *w, sl_bytes s)
{
    sl_write_raw(w, s);
}

static void put_uint(sl_writer *w, uint64_t value)
{
    uint8_t buf[DECIMAL_MAX];
    put(w, sl_slice(buf, decimal_u64(value, buf)));
}

static void put_int(sl_writer *w, int64_t value)
{
    uint8_t buf[DECIMAL_MAX];
    put(w, sl_slice(buf, decimal_i64(value, buf)));
}

static void put_double(const struct ndjson *j, sl_writer *w, double value)
{
    uint8_t buf[DECIMAL_MAX];
    if (isfinite(value)) {
        put(w, sl_slice(buf, decimal_double(&j->powers, value, buf)));
    } else {
        put(w, LIT("null"));
    }
}

static void put_text(sl_writer *w, sl_bytes s)
{
    static const char hex[] = "0123456789abcdef";
    put(w, LIT("\""));
    size_t from = 0;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }
        put(w, sl_slice(s.p + from, i - from));
        from = i + 1;
        char escape[6] = {'\\', (char)c, '0', '0', hex[c >> 4], hex[c & 15]};
        size_t n = 2;
        if (c == '\n') {
            escape[1] = 'n';
        } else if (c == '\t') {
            escape[1] = 't';
        } else if (c < 0x20) {
            escape[1] = 'u';
            n = 6;
        }
        put(w, sl_slice(escape, n));
    }
    put(w, sl_slice(s.p + from, s.n - from));
    put(w, LIT("\""));
}

static void put_hex(sl_writer *w, const uint8_t *at, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    char buf[34];
    size_t used = 0;
    buf[used++] = '"';
    for (size_t i = 0; i < n; i++) {
        buf[used++] = hex[at[i] >> 4];
        buf[used++] = hex[at[i] & 15];
    }
    buf[used++] = '"';
    put(w, sl_slice(buf, used));
}

static void put_value(const struct ndjson *j, sl_writer *w, const struct attr *a)
{
    switch (a->type) {
    case VALUE_TEXT:
        put_text(w, a->value.text);
        break;
    case VALUE_INT:
        put_int(w, a->value.integer);
        break;
    case VALUE_DOUBLE:
        put_double(j, w, a->value.number);
        break;
    case VALUE_BOOL:
        put(w, a->value.truth ? LIT("true") : LIT("false"));
        break;
    case VALUE_LIST:
        put(w, LIT("["));
        for (uint32_t i = 0; i < a->list_size; i++) {
            put(w, i ? LIT(",") : LIT(""));
            put_text(w, a->value.list[i]);
        }
        put(w, LIT("]"));
        break;
    }
}

static void put_attrs(const struct ndjson *j, sl_writer *w, const struct attrs *attrs)
{
    put(w, LIT("{"));
    for (uint32_t i = 0; i < attrs->n; i++) {
        put(w, i ? LIT(",") : LIT(""));
        put_text(w, attrs->at[i].key);
        put(w, LIT(":"));
        put_value(j, w, &attrs->at[i]);
    }
    put(w, LIT("}"));
}

static void put_source(sl_writer *w, const struct resource *r)
{
    put(w, LIT(",\"service_name\":"));
    put_text(w, r->service);
    put(w, LIT(",\"instance_id\":"));
    put_text(w, r->instance);
}

static void put_events(const struct ndjson *j, sl_writer *w, const struct span *s)
{
    put(w, LIT(",\"logs\":["));
    for (uint32_t i = 0; i < s->event_count; i++) {
        put(w, i ? LIT(",{\"timestamp\":") : LIT("{\"timestamp\":"));
        put_uint(w, s->events[i].time);
        put(w, LIT(",\"name\":"));
        put_text(w, s->events[i].name);
        put(w, LIT(",\"fields\":"));
        put_attrs(j, w, &s->events[i].attrs);
        put(w, LIT("}"));
    }
    put(w, LIT("]"));
    if (s->link_count) {
        put(w, LIT(",\"links\":["));
        for (uint32_t i = 0; i < s->link_count; i++) {
            put(w, i ? LIT(",{\"trace_id\":") : LIT("{\"trace_id\":"));
            put_hex(w, s->links[i].context.trace_id, 16);
            put(w, LIT(",\"span_id\":"));
            put_hex(w, s->links[i].context.span_id, 8);
            put(w, LIT("}"));
        }
        put(w, LIT("]"));
    }
}

void ndjson_span(const struct ndjson *j, sl_writer *w, const struct trace *t, uint32_t index,
                 const struct resource *r)
{
    static const sl_bytes kinds[] = {TXT("unspecified"), TXT("internal"), TXT("server"),
                                     TXT("client"),      TXT("producer"), TXT("consumer")};
    const struct span *s = &t->spans[index];
    put(w, LIT("{\"trace_id\":"));
    put_hex(w, s->context.trace_id, 16);
    put(w, LIT(",\"span_id\":"));
    put_hex(w, s->context.span_id, 8);
    put(w, LIT(",\"parent_span_id\":"));
    if (s->parent == MODEL_NONE) {
        put(w, LIT("null"));
    } else {
        put_hex(w, t->spans[s->parent].context.span_id, 8);
    }
    put(w, LIT(",\"operation_name\":"));
    put_text(w, s->name);
    put_source(w, r);
    put(w, LIT(",\"kind\":"));
    put_text(w, kinds[s->kind]);
    put(w, LIT(",\"start_time\":"));
    put_uint(w, s->start);
    put(w, LIT(",\"end_time\":"));
    put_uint(w, s->end);
    put(w, LIT(",\"duration\":"));
    put_uint(w, s->end - s->start);
    put(w, LIT(",\"status_code\":"));
    put_uint(w, s->status);
    if (s->message.n) {
        put(w, LIT(",\"status_message\":"));
        put_text(w, s->message);
    }
    put(w, LIT(",\"tags\":"));
    put_attrs(j, w, &s->attrs);
    put_events(j, w, s);
    put(w, LIT("}\n"));
}

void ndjson_log(const struct ndjson *j, sl_writer *w, const struct log_record *l,
                const struct resource *r)
{
    put(w, LIT("{\"timestamp\":"));
    put_uint(w, l->time);
    put(w, LIT(",\"observed\":"));
    put_uint(w, l->observed);
    put(w, LIT(",\"severity\":"));
    put_text(w, l->severity_text);
    put_source(w, r);
    if (l->traced) {
        put(w, LIT(",\"trace_id\":"));
        put_hex(w, l->context.trace_id, 16);
        put(w, LIT(",\"span_id\":"));
        put_hex(w, l->context.span_id, 8);
    }
    put(w, LIT(",\"body\":"));
    put_text(w, l->body);
    put(w, LIT(",\"attributes\":"));
    put_attrs(j, w, &l->attrs);
    put(w, LIT("}\n"));
}

static void put_distribution(const struct ndjson *j, sl_writer *w, const struct metric *m,
                             const struct point *p)
{
    put(w, LIT(",\"count\":"));
    put_uint(w, p->count);
    put(w, LIT(",\"sum\":"));
    put_double(j, w, p->sum);
    if (m->type == POINT_SUMMARY) {
        put(w, LIT(",\"quantiles\":["));
        for (uint32_t i = 0; i < p->bound_count; i++) {
            put(w, i ? LIT(",[") : LIT("["));
            put_double(j, w, p->bounds[i]);
            put(w, LIT(","));
            put_double(j, w, p->values[i]);
            put(w, LIT("]"));
        }
        put(w, LIT("]"));
        return;
    }
    put(w, LIT(",\"min\":"));
    put_double(j, w, p->min);
    put(w, LIT(",\"max\":"));
    put_double(j, w, p->max);
    if (m->type == POINT_EXPONENTIAL) {
        put(w, LIT(",\"scale\":"));
        put_int(w, p->scale);
        put(w, LIT(",\"offset\":"));
        put_int(w, p->offset);
    } else {
        put(w, LIT(",\"bounds\":["));
        for (uint32_t i = 0; i < p->bound_count; i++) {
            put(w, i ? LIT(",") : LIT(""));
            put_double(j, w, p->bounds[i]);
        }
        put(w, LIT("]"));
    }
    put(w, LIT(",\"buckets\":["));
    for (uint32_t i = 0; i < p->bucket_count; i++) {
        put(w, i ? LIT(",") : LIT(""));
        put_uint(w, p->buckets[i]);
    }
    put(w, LIT("]"));
}

void ndjson_metric(const struct ndjson *j, sl_writer *w, const struct metric *m,
                   const struct resource *r)
{
    for (uint32_t i = 0; i < m->point_count; i++) {
        const struct point *p = &m->points[i];
        put(w, LIT("{\"timestamp\":"));
        put_uint(w, p->time);
        put(w, LIT(",\"metric_name\":"));
        put_text(w, m->name);
        put_source(w, r);
        if (m->type >= POINT_HISTOGRAM) {
            put_distribution(j, w, m, p);
        } else {
            put(w, LIT(",\"value\":"));
            if (p->whole) {
                put_int(w, p->integer);
            } else {
                put_double(j, w, p->number);
            }
        }
        put(w, LIT(",\"labels\":"));
        put_attrs(j, w, &p->attrs);
        put(w, LIT("}\n"));
    }
}
