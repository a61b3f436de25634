/* OTLP protobuf of the generator's records, in field order, as SDKs write them. Runs on the thread
 * that generates. */
#include "commands/generate/encode.h"

#include <stdlib.h>

static bool writer_grow(sl_writer *w, size_t more)
{
    size_t room = w->room ? w->room : 4096;
    while (room - w->used < more && room < ENCODE_MAX) {
        room *= 2;
    }
    if (room - w->used < more) {
        return false;
    }
    uint8_t *at = realloc(w->at, room);
    if (!at) {
        return false;
    }
    w->at = at;
    w->room = room;
    return true;
}

sl_writer encode_writer(void)
{
    return sl_writer_growing(writer_grow, NULL);
}

void encode_writer_deinit(sl_writer *w)
{
    free(w->at);
    *w = encode_writer();
}

static void write_attr(sl_writer *w, uint32_t field, const struct attr *a)
{
    switch (a->type) {
    case VALUE_TEXT:
        sl_write_attr_text(w, field, a->key, a->value.text);
        break;
    case VALUE_INT:
        sl_write_attr_int(w, field, a->key, a->value.integer);
        break;
    case VALUE_DOUBLE:
        sl_write_attr_double(w, field, a->key, a->value.number);
        break;
    case VALUE_BOOL:
        sl_write_attr_bool(w, field, a->key, a->value.truth);
        break;
    case VALUE_LIST: {
        size_t kv = sl_write_begin(w, field);
        sl_write_bytes(w, 1, a->key);
        size_t any = sl_write_begin(w, 2);
        size_t list = sl_write_begin(w, 5);
        for (uint32_t i = 0; i < a->list_size; i++) {
            sl_write_value_text(w, 1, a->value.list[i]);
        }
        sl_write_end(w, list);
        sl_write_end(w, any);
        sl_write_end(w, kv);
        break;
    }
    }
}

static void write_attrs(sl_writer *w, uint32_t field, const struct attrs *attrs)
{
    for (uint32_t i = 0; i < attrs->n; i++) {
        write_attr(w, field, &attrs->at[i]);
    }
}

static void write_event(sl_writer *w, const struct span_event *e)
{
    size_t mark = sl_write_begin_sized(w, 11, e->attrs.n ? 128 : 0);
    sl_write_fixed64(w, 1, e->time);
    sl_write_bytes(w, 2, e->name);
    write_attrs(w, 3, &e->attrs);
    sl_write_end(w, mark);
}

static void write_link(sl_writer *w, const struct span_link *l)
{
    size_t mark = sl_write_begin(w, 13);
    sl_write_bytes(w, 1, sl_slice(l->context.trace_id, 16));
    sl_write_bytes(w, 2, sl_slice(l->context.span_id, 8));
    write_attrs(w, 4, &l->attrs);
    sl_write_fixed32(w, 6, 0x301);
    sl_write_end(w, mark);
}

/* Puts the attribute that pads a span behind the others, which end at `at`. */
static void write_baggage(sl_writer *w, size_t at, size_t missing, sl_bytes baggage)
{
    const sl_bytes key = LIT("app.baggage");
    const size_t frame =
        1 + 1 + 1 + 1 + key.n + 1 + 1 + 1 + 1; /* tags and lengths, of a short text */
    size_t n = missing > frame ? missing - frame : 0;
    n -= n >= 128 + 4
             ? 3
             : 0; /* longer lengths take a byte more: of the text, its value and the pair */
    sl_bytes text = sl_slice(baggage.p, n < baggage.n ? n : baggage.n);
    size_t before = w->used;
    sl_write_attr_text(w, 9, key, text);
    size_t size = w->used - before;
    if (w->failed || !sl_writer_room(w, size)) {
        return;
    }
    memmove(w->at + at + size, w->at + at, before - at);
    w->used = at;
    sl_write_attr_text(w, 9, key, text);
    w->used = before + size;
}

void encode_span(sl_writer *w, const struct trace *t, uint32_t index, size_t least,
                 sl_bytes baggage)
{
    const struct span *s = &t->spans[index];
    size_t start = w->used;
    sl_write_bytes(w, 1, sl_slice(s->context.trace_id, 16));
    sl_write_bytes(w, 2, sl_slice(s->context.span_id, 8));
    if (s->parent != MODEL_NONE) {
        sl_write_bytes(w, 4, sl_slice(t->spans[s->parent].context.span_id, 8));
    }
    sl_write_bytes(w, 5, s->name);
    sl_write_int(w, 6, s->kind);
    sl_write_fixed64(w, 7, s->start);
    sl_write_fixed64(w, 8, s->end);
    write_attrs(w, 9, &s->attrs);
    size_t attrs_end = w->used;
    for (uint32_t i = 0; i < s->event_count; i++) {
        write_event(w, &s->events[i]);
    }
    for (uint32_t i = 0; i < s->link_count; i++) {
        write_link(w, &s->links[i]);
    }
    size_t status = sl_write_begin(w, 15);
    if (s->message.n) {
        sl_write_bytes(w, 2, s->message);
    }
    if (s->status != STATUS_UNSET) {
        sl_write_int(w, 3, s->status);
    }
    sl_write_end(w, status);
    sl_write_fixed32(w, 16, s->flags);
    if (w->used - start < least && baggage.n) {
        write_baggage(w, attrs_end, least - (w->used - start), baggage);
    }
}

void encode_log(sl_writer *w, const struct log_record *l)
{
    sl_write_fixed64(w, 1, l->time);
    sl_write_int(w, 2, l->severity);
    sl_write_bytes(w, 3, l->severity_text);
    sl_write_value_text(w, 5, l->body);
    write_attrs(w, 6, &l->attrs);
    if (l->traced) {
        sl_write_fixed32(w, 8, 1);
        sl_write_bytes(w, 9, sl_slice(l->context.trace_id, 16));
        sl_write_bytes(w, 10, sl_slice(l->context.span_id, 8));
    }
    sl_write_fixed64(w, 11, l->observed);
    if (l->event_name.n) {
        sl_write_bytes(w, 12, l->event_name);
    }
}

static void write_exemplars(sl_writer *w, uint32_t field, const struct point *p)
{
    for (uint32_t i = 0; i < p->exemplar_count; i++) {
        const struct exemplar *e = &p->exemplars[i];
        size_t mark = sl_write_begin(w, field);
        sl_write_fixed64(w, 2, e->time);
        sl_write_double(w, 3, e->value);
        sl_write_bytes(w, 4, sl_slice(e->context.span_id, 8));
        sl_write_bytes(w, 5, sl_slice(e->context.trace_id, 16));
        sl_write_end(w, mark);
    }
}

static void write_number(sl_writer *w, const struct point *p)
{
    if (p->start) {
        sl_write_fixed64(w, 2, p->start);
    }
    sl_write_fixed64(w, 3, p->time);
    if (p->whole) {
        sl_write_fixed64(w, 6, (uint64_t)p->integer);
    } else {
        sl_write_double(w, 4, p->number);
    }
    write_attrs(w, 7, &p->attrs);
}

static void write_histogram(sl_writer *w, const struct point *p)
{
    sl_write_fixed64(w, 2, p->start);
    sl_write_fixed64(w, 3, p->time);
    sl_write_fixed64(w, 4, p->count);
    sl_write_double(w, 5, p->sum);
    sl_write_packed_fixed64(w, 6, p->buckets, p->bucket_count);
    sl_write_packed_double(w, 7, p->bounds, p->bound_count);
    write_exemplars(w, 8, p);
    write_attrs(w, 9, &p->attrs);
    if (p->count) {
        sl_write_double(w, 11, p->min);
        sl_write_double(w, 12, p->max);
    }
}

static void write_exponential(sl_writer *w, const struct point *p)
{
    write_attrs(w, 1, &p->attrs);
    sl_write_fixed64(w, 2, p->start);
    sl_write_fixed64(w, 3, p->time);
    sl_write_fixed64(w, 4, p->count);
    sl_write_double(w, 5, p->sum);
    sl_write_sint(w, 6, p->scale);
    sl_write_fixed64(w, 7, p->zero_count);
    if (p->bucket_count) {
        size_t mark = sl_write_begin(w, 8);
        sl_write_sint(w, 1, p->offset);
        sl_write_packed_varint(w, 2, p->buckets, p->bucket_count);
        sl_write_end(w, mark);
    }
    write_exemplars(w, 11, p);
    if (p->count) {
        sl_write_double(w, 12, p->min);
        sl_write_double(w, 13, p->max);
    }
}

static void write_summary(sl_writer *w, const struct point *p)
{
    sl_write_fixed64(w, 2, p->start);
    sl_write_fixed64(w, 3, p->time);
    sl_write_fixed64(w, 4, p->count);
    sl_write_double(w, 5, p->sum);
    for (uint32_t i = 0; i < p->bound_count; i++) {
        size_t mark = sl_write_begin(w, 6);
        sl_write_double(w, 1, p->bounds[i]);
        sl_write_double(w, 2, p->values[i]);
        sl_write_end(w, mark);
    }
    write_attrs(w, 7, &p->attrs);
}

void encode_metric(sl_writer *w, const struct metric *m)
{
    static const uint32_t fields[] = {[POINT_GAUGE] = 5,
                                      [POINT_SUM] = 7,
                                      [POINT_HISTOGRAM] = 9,
                                      [POINT_EXPONENTIAL] = 10,
                                      [POINT_SUMMARY] = 11};
    sl_write_bytes(w, 1, m->name);
    sl_write_bytes(w, 2, m->description);
    sl_write_bytes(w, 3, m->unit);
    size_t data = sl_write_begin_sized(w, fields[m->type], (size_t)m->point_count * 100);
    for (uint32_t i = 0; i < m->point_count; i++) {
        size_t mark = sl_write_begin(w, 1);
        switch (m->type) {
        case POINT_HISTOGRAM:
            write_histogram(w, &m->points[i]);
            break;
        case POINT_EXPONENTIAL:
            write_exponential(w, &m->points[i]);
            break;
        case POINT_SUMMARY:
            write_summary(w, &m->points[i]);
            break;
        default:
            write_number(w, &m->points[i]);
            break;
        }
        sl_write_end(w, mark);
    }
    if (m->type != POINT_GAUGE && m->type != POINT_SUMMARY) {
        sl_write_int(w, 2, m->delta ? 1 : 2);
    }
    if (m->type == POINT_SUM && m->monotonic) {
        sl_write_bool(w, 3, true);
    }
    sl_write_end(w, data);
}

void encode_resource(sl_writer *w, const struct resource *r)
{
    write_attrs(w, 1, &r->attrs);
}

void encode_scope(sl_writer *w, const struct scope *s)
{
    sl_write_bytes(w, 1, s->name);
    if (s->version.n) {
        sl_write_bytes(w, 2, s->version);
    }
}
