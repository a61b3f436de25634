/* Spans and log records: what they say of their sampling, read from the wire, and their records
 * written anew with something else there; every other byte is copied. Any thread. */
#include "processors/probabilistic_sampler/sampler.h"

#include <stdlib.h>

enum {
    SPAN_TRACE_STATE = 3,
    LOG_ATTRIBUTES = 6,
    NUMBER_MAX = 64 /* bytes of a number in a text */
};

static const char priority_key[] = "sampling.priority";
static const char threshold_key[] = "sampling.threshold";
static const char randomness_key[] = "sampling.randomness";

/* ---- spans ---- */

/* A number, if all of the text is one. */
static bool number_of_text(sl_bytes text, double *number)
{
    char copy[NUMBER_MAX + 1], *end;
    if (text.n == 0 || text.n > NUMBER_MAX || text.p[0] <= ' ')
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    *number = strtod(copy, &end);
    return end == copy + text.n;
}

/* OpenTracing's tag: 0 leaves the span out, more keeps it. */
static void span_priority(const sl_value *v, struct item *item)
{
    double number;
    if (!sl_value_number(v, &number) &&
        !(v->type == SL_VALUE_TEXT && number_of_text(v->bytes, &number)))
        return;
    if (number == 0 || number > 0) {
        item->has_priority = true;
        item->priority = number > 0 ? THRESHOLD_ALWAYS : THRESHOLD_NEVER;
    }
}

enum {
    KEY = sizeof priority_key - 1,
    KEY_DOT = 8,
    LARGE = 256, /* places that are tried at once */
    SMALL = 64
};

/* May the key stand at one of the places? Two of its bytes, which seldom stand so far apart, are
 * looked for at all of them at once, with no branch in between. */
static inline bool may_be_at(const uint8_t *places, size_t n)
{
    uint8_t least = UINT8_MAX;
    for (size_t i = 0; i < n; i++) {
        const uint8_t other = (places[i + KEY_DOT] ^ '.') | (places[i + KEY - 1] ^ 'y');
        least = other < least ? other : least;
    }
    return least == 0;
}

static bool is_at(const uint8_t *places, size_t n)
{
    return memmem(places, n + KEY - 1, priority_key, KEY) != NULL;
}

/* Are the key's bytes anywhere in the text? Far quicker than to step through the attributes. */
static bool has_key_bytes(sl_bytes text)
{
    if (text.n < KEY)
        return false;
    const size_t places = text.n - KEY + 1;
    size_t from = 0;
    if (places < SMALL)
        return true; /* look at the few attributes instead */
    for (; from + LARGE <= places; from += LARGE) {
        if (may_be_at(text.p + from, LARGE) && is_at(text.p + from, LARGE))
            return true;
    }
    for (; from < places; from += SMALL) {
        const uint8_t *at = text.p + (from + SMALL <= places ? from : places - SMALL);
        if (may_be_at(at, SMALL) && is_at(at, SMALL))
            return true;
    }
    return false;
}

void span_read(const sl_span *span, struct item *item)
{
    sl_value priority;
    item->trace_id = span->trace_id;
    item->hashed = sl_slice(NULL, 0);
    item->has_priority = item->is_log = false;
    item->malformed = !tracestate_read(span->trace_state, &item->state);
    if (has_key_bytes(
            sl_slice(span->record.p + span->attrs_at, span->attrs_end - span->attrs_at)) &&
        sl_attr_find(sl_span_attrs(span), sl_str(priority_key), &priority))
        span_priority(&priority, item);
}

/* The trace state stands where it stood, or in front of the first field behind its place. */
void span_write(const sl_span *span, const struct item *item, sl_writer *out)
{
    char text[TRACESTATE_ROOM];
    const size_t n = tracestate_write(span->trace_state, &item->state, text);
    sl_wire w = sl_wire_of(span->record);
    bool written = false;
    const uint8_t *from = w.p, *at = w.p;
    while (sl_wire_next(&w)) {
        if (!written && w.number >= SPAN_TRACE_STATE) {
            sl_write_raw(out, sl_slice(from, (size_t)(at - from)));
            sl_write_bytes(out, SPAN_TRACE_STATE, sl_slice(text, n));
            from = at;
            written = true;
        }
        if (w.number == SPAN_TRACE_STATE) {
            sl_write_raw(out, sl_slice(from, (size_t)(at - from)));
            from = w.p;
        }
        at = w.p;
    }
    sl_write_raw(out, sl_slice(from, (size_t)(w.end - from)));
    if (!written)
        sl_write_bytes(out, SPAN_TRACE_STATE, sl_slice(text, n));
}

/* ---- log records ---- */

static void log_priority(const struct sampler *s, const sl_value *v, struct item *item)
{
    double percentage;
    if (sl_value_number(v, &percentage) && percentage != 0)
        item->has_priority =
            threshold_of_probability(percentage / 100, s->sampling_precision, &item->priority);
}

/* What is hashed: bytes as they are, all else as its text. Lists and maps are not. */
static sl_bytes hashed_value(const sl_value *v, char scratch[32])
{
    switch (v->type) {
    case SL_VALUE_TEXT:
    case SL_VALUE_BYTES:
        return v->bytes;
    case SL_VALUE_BOOL:
        return sl_str(v->number.u ? "true" : "false");
    case SL_VALUE_INT:
        return sl_slice(scratch, (size_t)snprintf(scratch, 32, "%lld", (long long)v->number.i));
    default:
        return sl_slice(NULL, 0);
    }
}

static bool is_key(sl_bytes key, const char *name, size_t n)
{
    return key.n == n && memcmp(key.p, name, n) == 0;
}

void log_read(const struct sampler *s, const sl_log_record *log, struct item *item,
              char scratch[32])
{
    sl_attrs attrs = sl_log_attrs(log);
    struct sampling_state *state = &item->state;
    sl_bytes key;
    sl_value v;
    bool has_hashed = false, has_priority = false;
    *state = (struct sampling_state){.randomness = 0};
    item->trace_id = log->trace_id;
    item->hashed = sl_slice(NULL, 0);
    item->is_log = true;
    item->malformed = item->has_priority = false;
    while (sl_attr_next(&attrs, &key, &v)) {
        if (v.type == SL_VALUE_TEXT && v.bytes.n > 0 && state->threshold_text.n == 0 &&
            is_key(key, threshold_key, sizeof threshold_key - 1)) {
            state->threshold_text = v.bytes;
            item->malformed |= !threshold_of_text(v.bytes, &state->threshold);
        } else if (v.type == SL_VALUE_TEXT && v.bytes.n > 0 && state->randomness_text.n == 0 &&
                   is_key(key, randomness_key, sizeof randomness_key - 1)) {
            state->randomness_text = v.bytes;
            item->malformed |= !randomness_of_text(v.bytes, &state->randomness);
        }
        if (s->from_attribute.n && !has_hashed && sl_eq(key, s->from_attribute)) {
            has_hashed = true;
            item->hashed = hashed_value(&v, scratch);
        }
        if (s->sampling_priority.n && !has_priority && sl_eq(key, s->sampling_priority)) {
            has_priority = true;
            log_priority(s, &v, item);
        }
    }
}

static void write_text(sl_writer *out, const char *key, sl_bytes value)
{
    if (value.n)
        sl_write_attr_text(out, LOG_ATTRIBUTES, sl_str(key), value);
}

/* The two attributes take the place of the first of them, or stand at the end. */
void log_write(const sl_log_record *log, const struct item *item, sl_writer *out)
{
    sl_wire w = sl_wire_of(log->record);
    const uint8_t *from = w.p;
    bool written = false;
    for (const uint8_t *at = w.p; sl_wire_next(&w); at = w.p) {
        sl_bytes key, any;
        if (w.number != LOG_ATTRIBUTES || w.type != SL_BYTES)
            continue;
        sl_attr_split(w.bytes, &key, &any);
        if (!sl_eq(key, sl_str(threshold_key)) && !sl_eq(key, sl_str(randomness_key)))
            continue;
        sl_write_raw(out, sl_slice(from, (size_t)(at - from)));
        if (!written) {
            write_text(out, randomness_key, item->state.randomness_text);
            write_text(out, threshold_key, item->state.threshold_text);
        }
        written = true;
        from = w.p;
    }
    sl_write_raw(out, sl_slice(from, (size_t)(w.end - from)));
    if (!written) {
        write_text(out, randomness_key, item->state.randomness_text);
        write_text(out, threshold_key, item->state.threshold_text);
    }
}
