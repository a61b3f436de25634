#include "formats/trace/tokens.h"

void tokens_init(struct tokens *t)
{
    memset(t, 0, sizeof *t);
    t->rest_bytes = heap_writer();
}

void tokens_deinit(struct tokens *t)
{
    free(t->at);
    free(t->rest_bytes.at);
}

static struct token *add(struct tokens *t, uint32_t kind)
{
    void *at = t->at;
    if (!array_room(&at, t->n, &t->room, 1, sizeof *t->at)) {
        t->failed = true;
        return &t->none;
    }
    t->at = at;
    t->at[t->n] = (struct token){.kind = kind};
    return &t->at[t->n++];
}

static void add_number(struct tokens *t, uint32_t kind, uint64_t number)
{
    add(t, kind)->number = (int64_t)number;
}

static void add_text(struct tokens *t, uint32_t kind, sl_bytes text)
{
    add(t, kind)->text = text;
}

/* ---- attributes ---- */

/* The type and content of an AnyValue with exactly one field, or none. */
static void read_value(struct token *token, sl_bytes any)
{
    static const struct {
        uint8_t wire, token;
    } types[8] = {{SL_BYTES, TOKEN_ATTR_ANY},      {SL_BYTES, TOKEN_ATTR_TEXT},
                  {SL_VARINT, TOKEN_ATTR_BOOL},    {SL_VARINT, TOKEN_ATTR_INT},
                  {SL_FIXED64, TOKEN_ATTR_DOUBLE}, {SL_BYTES, TOKEN_ATTR_ANY},
                  {SL_BYTES, TOKEN_ATTR_ANY},      {SL_BYTES, TOKEN_ATTR_BYTES}};
    sl_wire w = sl_wire_of(any);
    token->kind = TOKEN_ATTR_ANY;
    token->text = any;
    if (any.n == 0) {
        token->kind = TOKEN_ATTR_NULL;
    } else if (sl_wire_next(&w) && w.p == w.end && w.number < 8 && w.type == types[w.number].wire) {
        token->kind = types[w.number].token;
        if (token->kind == TOKEN_ATTR_ANY) {
            return;
        }
        if (w.type == SL_BYTES) {
            token->text = w.bytes;
        } else {
            token->number = token->kind == TOKEN_ATTR_BOOL ? w.value != 0 : (int64_t)w.value;
        }
    }
}

static void add_attribute(struct tokens *t, sl_bytes pair)
{
    struct token *token = add(t, TOKEN_ATTR_ABSENT);
    sl_wire w = sl_wire_of(pair);
    sl_bytes any = sl_slice(NULL, 0);
    uint32_t keys = 0, values = 0, others = 0;
    while (sl_wire_next(&w)) {
        if (w.number == 1 && w.type == SL_BYTES) {
            token->key = w.bytes;
            keys++;
        } else if (w.number == 2 && w.type == SL_BYTES) {
            any = w.bytes;
            values++;
        } else {
            others++;
        }
    }
    if (keys > 1 || values > 1 || others > 0 || w.p != w.end) {
        token->kind = TOKEN_ATTR_OTHER;
        token->key = sl_slice(NULL, 0);
        token->text = pair;
    } else if (values == 1) {
        read_value(token, any);
    }
}

/* ---- events and links ---- */

static void add_attributes(struct tokens *t, sl_bytes message, uint32_t field)
{
    sl_bytes pair;
    sl_repeated all = sl_repeated_of(message, field);
    while (t->n < TOKENS_MAX && sl_repeated_next(&all, &pair)) {
        add_attribute(t, pair);
    }
}

static void add_event(struct tokens *t, sl_bytes record, uint64_t start)
{
    sl_wire w = sl_wire_of(record);
    uint64_t time = 0, dropped = 0;
    sl_bytes name = sl_slice(NULL, 0);
    while (sl_wire_next(&w)) {
        switch (w.number * 8 + w.type) {
        case 1 * 8 + SL_FIXED64:
            time = w.value;
            break;
        case 2 * 8 + SL_BYTES:
            name = w.bytes;
            break;
        case 3 * 8 + SL_BYTES:
            break;
        case 4 * 8 + SL_VARINT:
            dropped = w.value & UINT32_MAX;
            break;
        default:
            add_text(t, TOKEN_EVENT_OTHER, record);
            return;
        }
    }
    if (w.p != w.end) {
        add_text(t, TOKEN_EVENT_OTHER, record);
        return;
    }
    time -= t->unit ? time % t->unit : 0;
    add_number(t, TOKEN_EVENT, time - start);
    if (name.n > 0) {
        add_text(t, TOKEN_EVENT_NAME, name);
    }
    if (dropped > 0) {
        add_number(t, TOKEN_EVENT_DROPPED, dropped);
    }
    add_attributes(t, record, 3);
    add(t, TOKEN_END);
}

static uint64_t big_endian(const uint8_t *p)
{
    return __builtin_bswap64(sl_get_fixed64(p));
}

static void add_link(struct tokens *t, sl_bytes record)
{
    sl_wire w = sl_wire_of(record);
    uint64_t dropped = 0, flags = 0;
    sl_bytes trace_id = sl_slice(NULL, 0), span_id = trace_id, state = trace_id;
    bool other = false;
    while (!other && sl_wire_next(&w)) {
        switch (w.number * 8 + w.type) {
        case 1 * 8 + SL_BYTES:
            trace_id = w.bytes;
            break;
        case 2 * 8 + SL_BYTES:
            span_id = w.bytes;
            break;
        case 3 * 8 + SL_BYTES:
            state = w.bytes;
            break;
        case 4 * 8 + SL_BYTES:
            break;
        case 5 * 8 + SL_VARINT:
            dropped = w.value & UINT32_MAX;
            break;
        case 6 * 8 + SL_FIXED32:
            flags = w.value;
            break;
        default:
            other = true;
        }
    }
    if (other || w.p != w.end || trace_id.n != 16 || span_id.n != 8) {
        add_text(t, TOKEN_LINK_OTHER, record);
        return;
    }
    add_number(t, TOKEN_LINK, big_endian(trace_id.p));
    add_number(t, TOKEN_LINK_LOW, big_endian(trace_id.p + 8));
    add_number(t, TOKEN_LINK_SPAN, big_endian(span_id.p));
    if (state.n > 0) {
        add_text(t, TOKEN_LINK_STATE, state);
    }
    if (dropped > 0) {
        add_number(t, TOKEN_LINK_DROPPED, dropped);
    }
    if (flags > 0) {
        add_number(t, TOKEN_LINK_FLAGS, flags);
    }
    add_attributes(t, record, 4);
    add(t, TOKEN_END);
}

/* ---- spans ---- */

bool tokens_rest(struct tokens *t, const struct set_span *span)
{
    t->n = 0;
    t->name = sl_slice(NULL, 0);
    t->kind = t->status = t->flags = 0;
    t->has_status = false;
    t->rest = true;
    if (span->whole) {
        add_text(t, TOKEN_WHOLE, span->record);
        return !t->failed;
    }
    t->rest_bytes.used = 0;
    sl_wire w = sl_wire_of(span->record);
    for (const uint8_t *from = w.p; sl_wire_next(&w); from = w.p) {
        if (!is_place_field(&w)) {
            sl_write_raw(&t->rest_bytes, sl_slice(from, (size_t)(w.p - from)));
        }
    }
    add_text(t, TOKEN_REST, sl_written(&t->rest_bytes));
    return !t->failed && !t->rest_bytes.failed;
}

/* A status of its two fields, each at most once. */
static bool read_status(struct tokens *t, sl_bytes status)
{
    sl_wire w = sl_wire_of(status);
    uint32_t codes = 0, messages = 0;
    sl_bytes message = sl_slice(NULL, 0);
    if (t->has_status) {
        return false;
    }
    t->has_status = true;
    while (sl_wire_next(&w)) {
        if (w.number == 3 && w.type == SL_VARINT && w.value <= UINT32_MAX && codes++ == 0) {
            t->status = (uint32_t)w.value;
        } else if (w.number == 2 && w.type == SL_BYTES && messages++ == 0) {
            message = w.bytes;
        } else {
            return false;
        }
    }
    if (message.n > 0) {
        add_text(t, TOKEN_STATUS_MESSAGE, message);
    }
    return w.p == w.end;
}

/* A number or text that may be left out where it is the default and is not there already. */
static void add_dropped(struct tokens *t, uint32_t kind, uint64_t n, uint32_t *seen)
{
    if (n & UINT32_MAX || *seen & 1u << kind) {
        add_number(t, kind, n & UINT32_MAX);
        *seen |= 1u << kind;
    }
}

/* False: this field has to be kept as it is, and with it the span. */
static bool read_field(struct tokens *t, const sl_wire *w, uint64_t start, uint32_t *seen)
{
    switch (w->number * 8 + w->type) {
    case SPAN_TRACE_ID * 8 + SL_BYTES:
    case SPAN_ID * 8 + SL_BYTES:
    case SPAN_PARENT_ID * 8 + SL_BYTES:
    case SPAN_START * 8 + SL_FIXED64:
    case SPAN_END * 8 + SL_FIXED64:
        return true;
    case SPAN_TRACE_STATE * 8 + SL_BYTES:
        if (w->bytes.n > 0 || *seen & 1u << TOKEN_TRACE_STATE) {
            add_text(t, TOKEN_TRACE_STATE, w->bytes);
            *seen |= 1u << TOKEN_TRACE_STATE;
        }
        return true;
    case SPAN_NAME * 8 + SL_BYTES:
        t->name = w->bytes;
        return true;
    case SPAN_KIND * 8 + SL_VARINT:
        t->kind = (uint32_t)w->value;
        return w->value <= UINT32_MAX;
    case SPAN_ATTRIBUTE * 8 + SL_BYTES:
        add_attribute(t, w->bytes);
        return true;
    case SPAN_DROPPED_ATTRIBUTES * 8 + SL_VARINT:
        add_dropped(t, TOKEN_DROPPED_ATTRIBUTES, w->value, seen);
        return true;
    case SPAN_EVENT * 8 + SL_BYTES:
        add_event(t, w->bytes, start);
        return true;
    case SPAN_DROPPED_EVENTS * 8 + SL_VARINT:
        add_dropped(t, TOKEN_DROPPED_EVENTS, w->value, seen);
        return true;
    case SPAN_LINK * 8 + SL_BYTES:
        add_link(t, w->bytes);
        return true;
    case SPAN_DROPPED_LINKS * 8 + SL_VARINT:
        add_dropped(t, TOKEN_DROPPED_LINKS, w->value, seen);
        return true;
    case SPAN_STATUS * 8 + SL_BYTES:
        return read_status(t, w->bytes);
    case SPAN_FLAGS * 8 + SL_FIXED32:
        t->flags = (uint32_t)w->value;
        return true;
    default:
        return false;
    }
}

bool tokens_of(struct tokens *t, const struct set_span *span)
{
    uint32_t seen = 0;
    sl_wire w = sl_wire_of(span->record);
    t->n = 0;
    t->name = sl_slice(NULL, 0);
    t->kind = t->status = t->flags = 0;
    t->has_status = t->rest = t->failed = false;
    bool usual = !span->whole;
    while (usual && sl_wire_next(&w)) {
        usual = read_field(t, &w, span->start, &seen) && t->n < TOKENS_MAX;
    }
    return usual ? !t->failed : tokens_rest(t, span);
}
