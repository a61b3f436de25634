/* Writes the spans of a block as OTLP, class by class: a class is made into steps, of which all
 * that does not change from span to span is one. */
#include "formats/trace/block_read.h"
#include "formats/trace/doubles.h"
#include "formats/trace/span_set.h"

enum { REQUEST_RECORD = 1, RECORD_SCOPE = 2, SCOPE_SPAN = 2 };

enum step_kind {
    STEP_LITERAL,     /* bytes as they are */
    STEP_TEXT,        /* field with a text */
    STEP_RAW,         /* text without tag and length */
    STEP_NUMBER,      /* field with a varint */
    STEP_FIXED32,     /* field with a number */
    STEP_ATTR_TEXT,   /* attribute: `bytes` is all between its length and its value */
    STEP_ATTR_NUMBER, /* likewise; a varint */
    STEP_ATTR_DOUBLE, /* likewise */
    STEP_ATTR_ANY,    /* likewise; the value is a message */
    STEP_EVENT,       /* opens; its time */
    STEP_LINK,        /* opens; its ids, from the columns of this step and the next two */
    STEP_LINK_COLUMN,
    STEP_CLOSE
};

struct step {
    uint32_t kind;
    uint32_t field;
    uint32_t value_field; /* of an attribute's value */
    sl_bytes bytes;
    /* the column: numbers, or indices into texts, or texts */
    const int64_t *numbers;
    const sl_bytes *texts;
    uint32_t stride; /* 0: all the same */
};

struct program {
    struct block_reader *b;
    struct step *steps;
    uint32_t n;
    uint32_t literal; /* where the open literal begins in `literals`; TRACE_NONE: none is open */
    sl_writer literals;
};

/* ---- columns ---- */

/* The column of a class that has one of its own. */
static int32_t read_own_column(struct block_reader *b, const struct read_class *class,
                               const struct read_type *type, struct step *step)
{
    const uint32_t n = class->n;
    int64_t *numbers = arena_get(&b->scratch, n, sizeof *numbers);
    bool constant = false;
    step->numbers = numbers;
    step->texts = type->texts;
    const int32_t status = !numbers ? SL_ERR_NOMEM
                           : type->kind == TOKEN_ATTR_DOUBLE
                               ? doubles_read(&b->values, numbers, n)
                               : numbers_read_some(&b->values, numbers, n, &constant);
    step->stride = !constant;
    return status;
}

static int32_t read_column(struct block_reader *b, const struct read_class *class,
                           struct read_type *type, struct step *step)
{
    step->stride = 1;
    if (column_of(type->kind) == COLUMN_NONE || class->n == 0) {
        return SL_OK;
    }
    if (is_shared(class, type)) {
        step->numbers = type->shared ? type->shared + type->at_shared : NULL;
        step->texts = type->shared_texts ? type->shared_texts + type->at_shared : type->texts;
        type->at_shared += class->n;
        return SL_OK;
    }
    const uint8_t *const from = b->values.bits;
    const int32_t status = read_own_column(b, class, type, step);
    type->n_values += class->n;
    type->bytes += (uint64_t)(b->values.bits - from);
    return status;
}

/* Indices into the texts of the type must be some. */
static bool good_indices(const struct read_type *type, const struct step *step, uint32_t n)
{
    if (column_of(type->kind) != COLUMN_TEXT || !step->numbers) {
        return true;
    }
    for (uint32_t i = 0; i < (step->stride ? n : 1); i++) {
        if ((uint64_t)step->numbers[i] >= type->n) {
            return false;
        }
    }
    return true;
}

static inline sl_bytes text_at(const struct step *step, uint32_t i)
{
    return step->numbers ? step->texts[step->numbers[i * step->stride]] : step->texts[i];
}

static inline int64_t number_at(const struct step *step, uint32_t i)
{
    return step->numbers[i * step->stride];
}

/* ---- one step ---- */

static void write_attr_bytes(sl_writer *to, const struct step *step, sl_bytes text)
{
    const size_t any = 1 + sl_varint_size(text.n) + text.n;
    const size_t pair = step->bytes.n + 1 + sl_varint_size(any) + any;
    if (sl_writer_room(to, 1 + sl_varint_size(pair) + pair)) {
        uint8_t *p = to->at + to->used;
        *p++ = (uint8_t)(step->field << 3 | SL_BYTES);
        p = sl_put_slice(sl_put_varint(p, pair), step->bytes);
        *p++ = 2 << 3 | SL_BYTES;
        p = sl_put_varint(p, any);
        *p++ = (uint8_t)(step->value_field << 3 | SL_BYTES);
        to->used = (size_t)(sl_put_slice(sl_put_varint(p, text.n), text) - to->at);
    }
}

static void write_attr_number(sl_writer *to, const struct step *step, uint64_t v)
{
    const bool fixed = step->kind == STEP_ATTR_DOUBLE;
    const size_t any = 1 + (fixed ? 8 : sl_varint_size(v));
    const size_t pair = step->bytes.n + 2 + any;
    if (sl_writer_room(to, 1 + sl_varint_size(pair) + pair)) {
        uint8_t *p = to->at + to->used;
        *p++ = (uint8_t)(step->field << 3 | SL_BYTES);
        p = sl_put_slice(sl_put_varint(p, pair), step->bytes);
        *p++ = 2 << 3 | SL_BYTES;
        *p++ = (uint8_t)any;
        *p++ = (uint8_t)(step->value_field << 3 | (fixed ? SL_FIXED64 : SL_VARINT));
        if (fixed) {
            memcpy(p, &v, sizeof v);
            p += sizeof v;
        } else {
            p = sl_put_varint(p, v);
        }
        to->used = (size_t)(p - to->at);
    }
}

static void write_attr_any(sl_writer *to, const struct step *step, sl_bytes any)
{
    const size_t mark = sl_write_begin_sized(to, step->field, step->bytes.n + any.n + 8);
    sl_write_raw(to, step->bytes);
    sl_write_bytes(to, 2, any);
    sl_write_end(to, mark);
}

static void write_link_ids(sl_writer *to, const struct step *step, uint32_t i)
{
    const uint64_t id[3] = {__builtin_bswap64((uint64_t)number_at(step, i)),
                            __builtin_bswap64((uint64_t)number_at(step + 1, i)),
                            __builtin_bswap64((uint64_t)number_at(step + 2, i))};
    sl_write_bytes(to, 1, sl_slice(id, 16));
    sl_write_bytes(to, 2, sl_slice(&id[2], 8));
}

/* Runs step `k`, whatever it is but a literal or a raw one; `marks` are of what is open. */
static void run_step(sl_writer *to, const struct step *step, uint32_t i, uint64_t start,
                     size_t *mark)
{
    switch (step->kind) {
    case STEP_TEXT:
        sl_write_bytes(to, step->field, text_at(step, i));
        break;
    case STEP_RAW:
        sl_write_raw(to, text_at(step, i));
        break;
    case STEP_NUMBER:
        sl_write_varint(to, step->field, (uint64_t)number_at(step, i));
        break;
    case STEP_FIXED32:
        sl_write_fixed32(to, step->field, (uint32_t)number_at(step, i));
        break;
    case STEP_ATTR_TEXT:
        write_attr_bytes(to, step, text_at(step, i));
        break;
    case STEP_ATTR_NUMBER:
    case STEP_ATTR_DOUBLE:
        write_attr_number(to, step, (uint64_t)number_at(step, i));
        break;
    case STEP_ATTR_ANY:
        write_attr_any(to, step, text_at(step, i));
        break;
    case STEP_EVENT:
        *mark = sl_write_begin_sized(to, SPAN_EVENT, 200);
        sl_write_fixed64(to, 1, start + (uint64_t)number_at(step, i));
        break;
    case STEP_LINK:
        *mark = sl_write_begin(to, SPAN_LINK);
        write_link_ids(to, step, i);
        break;
    default:
        sl_write_end(to, *mark);
    }
}

/* ---- programs ---- */

/* A step that writes the same for all spans becomes part of a literal. */
static void add_step(struct program *p, const struct step *step, bool same)
{
    struct step *last = p->n > 0 ? &p->steps[p->n - 1] : NULL;
    if (!same) {
        p->steps[p->n++] = *step;
        return;
    }
    const size_t from = p->literals.used;
    if (step->kind == STEP_LITERAL) {
        sl_write_raw(&p->literals, step->bytes);
    } else {
        run_step(&p->literals, step, 0, 0, NULL);
    }
    const size_t n = p->literals.used - from;
    if (last && last->kind == STEP_LITERAL) {
        last->bytes.n += n;
    } else {
        p->steps[p->n++] = (struct step){
            .kind = STEP_LITERAL, .field = (uint32_t)from, .bytes = sl_slice(NULL, n)};
    }
}

/* What an attribute has beside its value: its key. */
static sl_bytes key_field(struct trace_arena *arena, sl_bytes key)
{
    const size_t n = key.n > 0 ? 1 + sl_varint_size(key.n) + key.n : 0;
    uint8_t *at = arena_get(arena, n + 1, 1);
    if (at && n > 0) {
        *at = 1 << 3 | SL_BYTES;
        (void)sl_put_slice(sl_put_varint(at + 1, key.n), key);
    }
    return sl_slice(at, n);
}

struct form {
    uint8_t step, field;
};

/* How tokens outside of attributes are written. */
static struct form form_of(uint32_t token)
{
    static const struct form forms[TOKEN_KINDS] = {
        [TOKEN_NAME] = {STEP_TEXT, SPAN_NAME},
        [TOKEN_TRACE_STATE] = {STEP_TEXT, SPAN_TRACE_STATE},
        [TOKEN_DROPPED_ATTRIBUTES] = {STEP_NUMBER, SPAN_DROPPED_ATTRIBUTES},
        [TOKEN_DROPPED_EVENTS] = {STEP_NUMBER, SPAN_DROPPED_EVENTS},
        [TOKEN_DROPPED_LINKS] = {STEP_NUMBER, SPAN_DROPPED_LINKS},
        [TOKEN_EVENT] = {STEP_EVENT, 0},
        [TOKEN_EVENT_NAME] = {STEP_TEXT, 2},
        [TOKEN_EVENT_DROPPED] = {STEP_NUMBER, 4},
        [TOKEN_EVENT_OTHER] = {STEP_TEXT, SPAN_EVENT},
        [TOKEN_LINK] = {STEP_LINK, 0},
        [TOKEN_LINK_LOW] = {STEP_LINK_COLUMN, 0},
        [TOKEN_LINK_SPAN] = {STEP_LINK_COLUMN, 0},
        [TOKEN_LINK_STATE] = {STEP_TEXT, 3},
        [TOKEN_LINK_DROPPED] = {STEP_NUMBER, 5},
        [TOKEN_LINK_FLAGS] = {STEP_FIXED32, 6},
        [TOKEN_LINK_OTHER] = {STEP_TEXT, SPAN_LINK},
        [TOKEN_END] = {STEP_CLOSE, 0},
        [TOKEN_REST] = {STEP_RAW, 0},
        [TOKEN_WHOLE] = {STEP_RAW, 0},
        [TOKEN_ATTR_TEXT] = {STEP_ATTR_TEXT, SL_VALUE_TEXT},
        [TOKEN_ATTR_BYTES] = {STEP_ATTR_TEXT, SL_VALUE_BYTES},
        [TOKEN_ATTR_BOOL] = {STEP_ATTR_NUMBER, SL_VALUE_BOOL},
        [TOKEN_ATTR_INT] = {STEP_ATTR_NUMBER, SL_VALUE_INT},
        [TOKEN_ATTR_DOUBLE] = {STEP_ATTR_DOUBLE, SL_VALUE_DOUBLE},
        [TOKEN_ATTR_ANY] = {STEP_ATTR_ANY, 0},
    };
    return forms[token];
}

/* The status: its code is the class's, its message a column's. `step` NULL: no message. */
static bool add_status(struct program *p, const struct class_head *head, const struct step *step,
                       uint32_t n)
{
    struct step status = step ? *step : (struct step){0};
    uint8_t code[1 + SL_VARINT_MAX];
    sl_writer w = sl_writer_fixed(code, sizeof code);
    if (head->status) {
        sl_write_varint(&w, 3, head->status);
    }
    /* Written as an attribute is: its "key" is the code, its value is not within another message. */
    uint8_t *at = arena_get(&p->b->scratch, w.used + 1, 1);
    if (!at) {
        return false;
    }
    memcpy(at, code, w.used);
    status.bytes = sl_slice(at, w.used);
    status.field = SPAN_STATUS;
    if (step) {
        status.kind = STEP_ATTR_ANY;
        add_step(p, &status, step->stride == 0 || n == 1);
    } else {
        sl_writer literal = heap_writer();
        sl_write_bytes(&literal, SPAN_STATUS, status.bytes);
        add_step(p, &(struct step){.kind = STEP_LITERAL, .bytes = sl_written(&literal)}, true);
        p->literals.failed |= literal.failed;
        free(literal.at);
    }
    return true;
}

/* The steps of a token; `attr_field`: of attributes where it is. */
static int32_t add_token(struct program *p, struct read_class *class, uint32_t k,
                         uint32_t attr_field, bool *status_written)
{
    struct read_type *type = &p->b->types[class->types[k]];
    struct step step = {.field = attr_field};
    const int32_t status = read_column(p->b, class, type, &step);
    if (status != SL_OK) {
        return status;
    }
    if (!good_indices(type, &step, class->n)) {
        return SL_ERR_INVALID;
    }
    const struct form form = form_of(type->kind);
    step.kind = form.step;
    const bool same = step.stride == 0;
    switch (type->kind) {
    case TOKEN_STATUS_MESSAGE:
        *status_written = true;
        return add_status(p, &class->head, &step, class->n) ? SL_OK : SL_ERR_NOMEM;
    case TOKEN_ATTR_OTHER:
        step.kind = STEP_TEXT;
        break;
    case TOKEN_ATTR_ABSENT:
    case TOKEN_ATTR_NULL:
    case TOKEN_ATTR_TEXT:
    case TOKEN_ATTR_BYTES:
    case TOKEN_ATTR_BOOL:
    case TOKEN_ATTR_INT:
    case TOKEN_ATTR_DOUBLE:
    case TOKEN_ATTR_ANY:
        step.value_field = form.field;
        step.bytes = key_field(&p->b->scratch, type->key);
        if (!step.bytes.p) {
            return SL_ERR_NOMEM;
        }
        break;
    case TOKEN_EVENT:
    case TOKEN_LINK:
    case TOKEN_LINK_LOW:
    case TOKEN_LINK_SPAN:
    case TOKEN_END:
        add_step(p, &step, false);
        return SL_OK;
    default:
        step.field = form.field;
    }
    if (type->kind == TOKEN_ATTR_ABSENT || type->kind == TOKEN_ATTR_NULL) {
        sl_writer literal = heap_writer();
        const size_t mark = sl_write_begin(&literal, attr_field);
        sl_write_raw(&literal, step.bytes);
        if (type->kind == TOKEN_ATTR_NULL) {
            sl_write_bytes(&literal, 2, sl_slice(NULL, 0));
        }
        sl_write_end(&literal, mark);
        add_step(p, &(struct step){.kind = STEP_LITERAL, .bytes = sl_written(&literal)}, true);
        p->literals.failed |= literal.failed;
        free(literal.at);
        return SL_OK;
    }
    add_step(p, &step, same);
    return SL_OK;
}

static int32_t make_program(struct program *p, struct read_class *class)
{
    struct block_reader *b = p->b;
    const struct class_head *head = &class->head;
    bool status_written = false;
    uint32_t attr_field = SPAN_ATTRIBUTE;
    p->n = 0;
    p->literals.used = 0;
    p->steps = arena_get(&b->scratch, (uint64_t) class->n_tokens + 4, sizeof *p->steps);
    if (!p->steps) {
        return SL_ERR_NOMEM;
    }
    sl_writer fixed = heap_writer();
    if (head->name != TRACE_NONE) {
        sl_write_bytes(&fixed, SPAN_NAME, b->names[head->name]);
    }
    if (head->kind) {
        sl_write_varint(&fixed, SPAN_KIND, head->kind);
    }
    if (head->flags) {
        sl_write_fixed32(&fixed, SPAN_FLAGS, head->flags);
    }
    add_step(p, &(struct step){.kind = STEP_LITERAL, .bytes = sl_written(&fixed)}, true);
    p->literals.failed |= fixed.failed;
    free(fixed.at);
    for (uint32_t k = 0; k < class->n_tokens; k++) {
        const uint32_t kind = b->types[class->types[k]].kind;
        const int32_t status = add_token(p, class, k, attr_field, &status_written);
        if (status != SL_OK) {
            return status;
        }
        attr_field = kind == TOKEN_EVENT  ? 3
                     : kind == TOKEN_LINK ? 4
                     : kind == TOKEN_END  ? SPAN_ATTRIBUTE
                                          : attr_field;
    }
    if ((head->has & CLASS_STATUS) && !status_written && !add_status(p, head, NULL, class->n)) {
        return SL_ERR_NOMEM;
    }
    for (uint32_t i = 0; i < p->n; i++) {
        if (p->steps[i].kind == STEP_LITERAL && p->literals.at) {
            p->steps[i].bytes.p = p->literals.at + p->steps[i].field;
        }
    }
    return p->literals.failed ? SL_ERR_NOMEM : SL_OK;
}

/* ---- spans ---- */

static void write_place(sl_writer *to, const struct block_reader *b, const struct read_place *place,
                        bool parent)
{
    if (!sl_writer_room(to, 64)) {
        return;
    }
    const uint64_t high = __builtin_bswap64(b->trace_high[place->trace]);
    const uint64_t low = __builtin_bswap64(b->trace_low[place->trace]);
    uint8_t *p = to->at + to->used;
    *p++ = SPAN_TRACE_ID << 3 | SL_BYTES;
    *p++ = 16;
    memcpy(p, &high, 8);
    memcpy(p + 8, &low, 8);
    p += 16;
    *p++ = SPAN_ID << 3 | SL_BYTES;
    *p++ = 8;
    memcpy(p, &place->id, 8);
    p += 8;
    if (parent) {
        *p++ = SPAN_PARENT_ID << 3 | SL_BYTES;
        *p++ = 8;
        memcpy(p, &place->parent_id, 8);
        p += 8;
    }
    if (place->times.start) {
        *p++ = SPAN_START << 3 | SL_FIXED64;
        memcpy(p, &place->times.start, 8);
        p += 8;
    }
    if (place->times.end) {
        *p++ = SPAN_END << 3 | SL_FIXED64;
        memcpy(p, &place->times.end, 8);
        p += 8;
    }
    to->used = (size_t)(p - to->at);
}

static int32_t write_class(struct program *p, const struct read_class *class, uint64_t end,
                           sl_writer *to)
{
    struct block_reader *b = p->b;
    for (uint32_t i = 0; i < class->n; i++) {
        const struct read_place *place = &b->places[b->by_class[class->first + i]];
        if (b->selected && !b->selected[place->trace]) {
            continue;
        }
        const size_t span = sl_write_begin_sized(to, SCOPE_SPAN, 200);
        size_t mark = 0;
        if (!class->whole) {
            write_place(to, b, place, place->has_parent);
        }
        for (uint32_t k = 0; k < p->n; k++) {
            const struct step *step = &p->steps[k];
            if (step->kind == STEP_LITERAL) {
                sl_write_raw(to, step->bytes);
            } else {
                run_step(to, step, i, place->times.start, &mark);
                k += step->kind == STEP_LINK ? 2 : 0;
            }
            if (to->used > end) {
                return SL_ERR_TOO_LARGE;
            }
        }
        sl_write_end(to, span);
    }
    return to->failed ? SL_ERR_NOMEM : SL_OK;
}

/* Steps over the columns of a class of which no span is wanted. */
static int32_t skip_columns(struct block_reader *b, const struct read_class *class)
{
    int32_t status = SL_OK;
    for (uint32_t k = 0; status == SL_OK && k < class->n_tokens; k++) {
        struct read_type *type = &b->types[class->types[k]];
        uint64_t places;
        if (is_shared(class, type)) {
            type->at_shared += class->n;
        } else if (column_of(type->kind) != COLUMN_NONE && class->n > 0) {
            const bool described =
                type->kind != TOKEN_ATTR_DOUBLE || read_number(&b->values, &places);
            status = described ? numbers_skip(&b->values, class->n) : SL_ERR_INVALID;
        }
    }
    return status;
}

/* The messages around the spans that are being written. TRACE_NONE: none is open. */
struct envelopes {
    uint32_t resource, scope;
    size_t record_mark, scope_mark;
};

static void close_envelopes(struct envelopes *e, bool resource_too, sl_writer *to)
{
    if (e->scope != TRACE_NONE) {
        sl_write_end(to, e->scope_mark);
        e->scope = TRACE_NONE;
    }
    if (resource_too && e->resource != TRACE_NONE) {
        sl_write_end(to, e->record_mark);
        e->resource = TRACE_NONE;
    }
}

/* Opens what is not open yet of what stands around spans of this scope. */
static void open_envelopes(struct envelopes *e, const struct block_reader *b, uint32_t scope,
                           sl_writer *to)
{
    const uint32_t resource = b->scopes[scope].resource;
    if (scope == e->scope) {
        return;
    }
    close_envelopes(e, resource != e->resource, to);
    const size_t guess = b->selected ? 1 << 14 : 1 << 24;
    if (e->resource == TRACE_NONE) {
        e->record_mark = sl_write_begin_sized(to, REQUEST_RECORD, guess);
        sl_write_raw(to, b->resources[resource]);
        e->resource = resource;
    }
    e->scope_mark = sl_write_begin_sized(to, RECORD_SCOPE, guess);
    sl_write_raw(to, b->scopes[scope].head);
    e->scope = scope;
}

static bool has_selected(const struct block_reader *b, const struct read_class *class)
{
    for (uint32_t i = 0; b->selected && i < class->n; i++) {
        if (b->selected[b->places[b->by_class[class->first + i]].trace]) {
            return true;
        }
    }
    return !b->selected && class->n > 0;
}

int32_t write_spans(struct block_reader *b, uint64_t limit, sl_writer *to)
{
    struct program p = {.b = b, .literals = heap_writer()};
    struct envelopes envelopes = {.resource = TRACE_NONE, .scope = TRACE_NONE};
    const uint64_t end = limit < UINT64_MAX - to->used ? to->used + limit : UINT64_MAX;
    int32_t status = SL_OK;
    for (uint32_t i = 0; status == SL_OK && i < b->n_classes; i++) {
        struct read_class *class = &b->classes[i];
        if (!has_selected(b, class)) {
            status = skip_columns(b, class);
            continue;
        }
        open_envelopes(&envelopes, b, class->head.scope, to);
        status = make_program(&p, class);
        status = status == SL_OK ? write_class(&p, class, end, to) : status;
        arena_reset(&b->scratch);
    }
    close_envelopes(&envelopes, true, to);
    free(p.literals.at);
    return status == SL_OK && to->failed ? SL_ERR_NOMEM : status;
}
