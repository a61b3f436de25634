/* Protobuf wire bytes to OTLP's JSON. Each message gets a frame on an explicit stack: one pass over
 * its records notes where every known field begins and how often it occurs, then the fields are
 * written in the schema's order. A repeated field is read again from its first to its last record,
 * which costs nothing extra where they lie together, as encoders write them. Any thread. */
#include "formats/otlp/json_write.h"

#include "formats/otlp/json_number.h"
#include "formats/otlp/json_text.h"
#include "formats/otlp/wire.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SLOTS_MAX = 1024, /* of a whole stack; values inside values take 4.5 a message */
    SCALAR_MAX = 1 + JSON_KEY_MAX + JSON_NUMBER_TEXT_MAX
};
_Static_assert((int)SCALAR_MAX <= (int)JSON_OUT_RESERVE_MAX, "a scalar is one reservation");

/* What one message's bytes say about one field. */
struct slot {
    const uint8_t *first; /* the record where it begins */
    size_t segment;       /* and that record's segment */
    size_t count;         /* records from there on */
    uint64_t bits;        /* of the last record, as in struct wire_record */
    const uint8_t *at;
};

/* A place between two records of a message. */
struct cursor {
    const uint8_t *p, *end;
    size_t segment;
};

struct frame {
    const struct json_message *message;
    const sl_bytes *segments;
    size_t segment_count;
    sl_bytes own;    /* the only segment of a message that is not the root */
    uint8_t *merged; /* owned; where `own` had to be put together */
    size_t merged_size;
    struct slot *slots; /* one a field; valid where `seen` has its bit */
    uint32_t seen;
    uint32_t pending; /* fields still to be looked at */
    bool comma;
    const struct json_field *list; /* the array of objects that is being written, or NULL */
    size_t list_left;
    struct cursor list_at;
};

struct walk {
    const struct json_schema *schema;
    struct json_out *out;
    sl_error *error;
    int32_t status;
    size_t depth;
    size_t slots_used;
    uint64_t merged; /* bytes of all copies alive */
    struct frame frames[JSON_DEPTH_MAX];
    struct slot slots[SLOTS_MAX];
};

__attribute__((format(printf, 3, 4))) static void fail(struct walk *w, int32_t status,
                                                       const char *format, ...)
{
    w->status = status;
    if (!w->error) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    w->error->code = status;
    vsnprintf(w->error->text, sizeof w->error->text, format, arguments);
    va_end(arguments);
}

static bool fits(const struct json_field *field, uint32_t wire)
{
    return wire == field->wire || (wire == SL_BYTES && field->repeated);
}

static struct cursor cursor_at(const struct frame *f, const uint8_t *p, size_t segment)
{
    const sl_bytes *bytes = &f->segments[segment];
    return (struct cursor){p, bytes->n ? bytes->p + bytes->n : bytes->p, segment};
}

/* The next record of the field, which the pass before has seen there. */
static struct wire_record cursor_next(const struct frame *f, struct cursor *c,
                                      const struct json_field *field)
{
    struct wire_record record;
    do {
        while (c->p == c->end) {
            c->segment++;
            *c = cursor_at(f, f->segments[c->segment].p, c->segment);
        }
        c->p = wire_read(c->p, c->end, &record);
    } while (record.number != field->number || !fits(field, record.type));
    return record;
}

static void note_record(struct frame *f, const struct wire_record *record, const uint8_t *start,
                        size_t segment)
{
    if (record->number > JSON_NUMBER_MAX) {
        return;
    }
    uint8_t i = f->message->by_number[record->number];
    if (i == JSON_NO_FIELD || !fits(&f->message->fields[i], record->type)) {
        return;
    }
    struct slot *slot = &f->slots[i];
    uint32_t bit = UINT32_C(1) << i;
    f->seen &= ~f->message->fields[i].others;
    if (!(f->seen & bit)) {
        f->seen |= bit;
        slot->first = start;
        slot->segment = segment;
        slot->count = 0;
    }
    slot->count++;
    slot->bits = record->bits;
    slot->at = record->at;
}

static void note_all(struct walk *w, struct frame *f)
{
    for (size_t i = 0; i < f->segment_count; i++) {
        const uint8_t *p = f->segments[i].p;
        const uint8_t *end = f->segments[i].n ? p + f->segments[i].n : p;
        while (p < end) {
            struct wire_record record;
            const uint8_t *start = p;
            record.at = NULL;
            p = wire_read(p, end, &record);
            if (!p) {
                fail(w, SL_ERR_INVALID, "malformed protobuf: bad record at byte %td of a %s",
                     start - f->segments[i].p, f->message->name);
                return;
            }
            note_record(f, &record, start, i);
        }
    }
}

/* Opens a message that `own` is all of. */
static struct frame *push(struct walk *w, const struct json_message *message, sl_bytes own)
{
    if (w->depth == JSON_DEPTH_MAX || w->slots_used + message->field_count > SLOTS_MAX) {
        fail(w, SL_ERR_INVALID, "messages are nested deeper than %d", (int)JSON_DEPTH_MAX);
        return NULL;
    }
    struct frame *f = &w->frames[w->depth++];
    *f = (struct frame){.message = message, .own = own, .slots = &w->slots[w->slots_used]};
    f->segments = &f->own;
    f->segment_count = 1;
    w->slots_used += message->field_count;
    return f;
}

static void begin(struct walk *w, struct frame *f)
{
    note_all(w, f);
    f->pending = f->seen | f->message->always;
    *json_out_reserve(w->out, 1) = '{';
    json_out_commit(w->out, 1);
}

static void pop(struct walk *w)
{
    struct frame *f = &w->frames[--w->depth];
    w->slots_used -= f->message->field_count;
    w->merged -= f->merged_size;
    free(f->merged);
}

static void put(struct walk *w, uint8_t c)
{
    *json_out_reserve(w->out, 1) = c;
    json_out_commit(w->out, 1);
}

static uint8_t *key_copy(struct frame *f, const struct json_field *field, uint8_t *at)
{
    *at = ',';
    at += f->comma;
    f->comma = true;
    memcpy(at, field->key, field->key_length);
    return at + field->key_length;
}

static void key_write(struct walk *w, struct frame *f, const struct json_field *field)
{
    uint8_t *at = json_out_reserve(w->out, 1 + JSON_KEY_MAX);
    json_out_commit(w->out, (size_t)(key_copy(f, field, at) - at));
}

static void bytes_write(struct walk *w, enum json_form form, const uint8_t *p, size_t n)
{
    switch (form) {
    case JSON_STRING:
        json_text_string(w->out, p, n);
        break;
    case JSON_HEX:
        json_text_hex(w->out, p, n);
        break;
    default:
        json_text_base64(w->out, p, n);
        break;
    }
}

/* Whether a value that is on the wire is left out for being zero. Varints of 32 bits lose what is
 * above, as everywhere. */
static bool is_zero(const struct json_field *field, uint64_t bits)
{
    bool narrow =
        field->form == JSON_INT32 || field->form == JSON_SINT32 || field->form == JSON_UINT32;
    return narrow ? (uint32_t)bits == 0 : bits == 0;
}

static void scalar_write(struct walk *w, struct frame *f, const struct json_field *field,
                         const struct slot *slot)
{
    if (!field->presence && is_zero(field, slot->bits)) {
        return;
    }
    if (field->wire == SL_BYTES) {
        key_write(w, f, field);
        bytes_write(w, field->form, slot->at, slot->bits);
        return;
    }
    uint8_t *at = json_out_reserve(w->out, SCALAR_MAX);
    uint8_t *p = key_copy(f, field, at);
    p += json_number(&w->schema->powers, field->form, slot->bits, p);
    json_out_commit(w->out, (size_t)(p - at));
}

/* Reads the next of packed values; NULL where they are cut off. */
static const uint8_t *packed_next(uint8_t wire, const uint8_t *p, const uint8_t *end,
                                  uint64_t *bits)
{
    switch (wire) {
    case SL_VARINT:
        return wire_varint(p, end, bits);
    case SL_FIXED64:
        if (end - p < 8) {
            return NULL;
        }
        *bits = wire_fixed64(p);
        return p + 8;
    default:
        if (end - p < 4) {
            return NULL;
        }
        *bits = wire_fixed32(p);
        return p + 4;
    }
}

/* Separates a value of an array from what is before it: the key where it is the first. */
static void element_begin(struct walk *w, struct frame *f, const struct json_field *field,
                          bool first)
{
    if (first) {
        key_write(w, f, field);
    }
    put(w, first ? '[' : ',');
}

static void number_write(struct walk *w, const struct json_field *field, uint64_t bits)
{
    uint8_t *at = json_out_reserve(w->out, JSON_NUMBER_TEXT_MAX);
    json_out_commit(w->out, json_number(&w->schema->powers, field->form, bits, at));
}

/* An array of anything but objects; nothing where all its records are empty packed ones. */
static void scalars_write(struct walk *w, struct frame *f, const struct json_field *field,
                          const struct slot *slot)
{
    struct cursor c = cursor_at(f, slot->first, slot->segment);
    bool first = true;
    for (size_t i = 0; i < slot->count && w->out->status == SL_OK; i++) {
        struct wire_record record = cursor_next(f, &c, field);
        if (field->wire == SL_BYTES) {
            element_begin(w, f, field, first);
            bytes_write(w, field->form, record.at, record.bits);
            first = false;
        } else if (record.type != SL_BYTES) {
            element_begin(w, f, field, first);
            number_write(w, field, record.bits);
            first = false;
        } else {
            const uint8_t *p = record.at;
            const uint8_t *end = p + record.bits;
            while (p < end) {
                uint64_t bits;
                p = packed_next(field->wire, p, end, &bits);
                if (!p) {
                    fail(w, SL_ERR_INVALID,
                         "malformed protobuf: packed field %u of a %s is cut off",
                         (unsigned)field->number, f->message->name);
                    return;
                }
                element_begin(w, f, field, first);
                number_write(w, field, bits);
                first = false;
            }
        }
    }
    if (!first) {
        put(w, ']');
    }
}

/* Opens an object whose parts lie apart: one after another they are the message. */
static void merged_begin(struct walk *w, struct frame *f, const struct json_field *field,
                         const struct slot *slot)
{
    size_t size = 0;
    struct cursor c = cursor_at(f, slot->first, slot->segment);
    for (size_t i = 0; i < slot->count; i++) {
        size += cursor_next(f, &c, field).bits;
    }
    if (w->merged + size > JSON_MERGED_MAX) {
        fail(w, SL_ERR_TOO_LARGE, "a %s in parts is too large to merge", field->message->name);
        return;
    }
    uint8_t *copy = malloc(size + 1);
    if (!copy) {
        fail(w, SL_ERR_NOMEM, "no memory to merge the parts of a %s", field->message->name);
        return;
    }
    size_t used = 0;
    c = cursor_at(f, slot->first, slot->segment);
    for (size_t i = 0; i < slot->count; i++) {
        struct wire_record record = cursor_next(f, &c, field);
        memcpy(copy + used, record.at, record.bits);
        used += record.bits;
    }
    struct frame *child = push(w, field->message, sl_slice(copy, size));
    if (!child) {
        free(copy);
        return;
    }
    child->merged = copy;
    child->merged_size = size;
    w->merged += size;
    begin(w, child);
}

static void object_begin(struct walk *w, const struct json_message *message, sl_bytes own)
{
    struct frame *child = push(w, message, own);
    if (child) {
        begin(w, child);
    }
}

static void field_write(struct walk *w, struct frame *f, uint32_t i)
{
    const struct json_field *field = &f->message->fields[i];
    const struct slot *slot = &f->slots[i];
    if (field->form != JSON_OBJECT) {
        (field->repeated ? scalars_write : scalar_write)(w, f, field, slot);
        return;
    }
    key_write(w, f, field);
    if (!(f->seen & UINT32_C(1) << i)) {
        object_begin(w, field->message, sl_slice(NULL, 0));
    } else if (field->repeated) {
        put(w, '[');
        f->list = field;
        f->list_left = slot->count;
        f->list_at = cursor_at(f, slot->first, slot->segment);
    } else if (slot->count == 1) {
        object_begin(w, field->message, sl_slice(slot->at, slot->bits));
    } else {
        merged_begin(w, f, field, slot);
    }
}

static void list_step(struct walk *w, struct frame *f)
{
    if (f->list_left == 0) {
        put(w, ']');
        f->list = NULL;
        return;
    }
    struct wire_record record = cursor_next(f, &f->list_at, f->list);
    uint32_t i = f->message->by_number[f->list->number];
    if (f->list_left < f->slots[i].count) {
        put(w, ',');
    }
    f->list_left--;
    object_begin(w, f->list->message, sl_slice(record.at, record.bits));
}

/* Does the next thing that the innermost open message needs. */
static void step(struct walk *w)
{
    struct frame *f = &w->frames[w->depth - 1];
    if (f->list) {
        list_step(w, f);
    } else if (f->pending) {
        uint32_t i = (uint32_t)__builtin_ctz(f->pending);
        f->pending &= f->pending - 1;
        field_write(w, f, i);
    } else {
        put(w, '}');
        pop(w);
    }
}

/* Takes back what was written since the call began, as far as it is still in the buffer. */
static void roll_back(struct json_out *out, size_t used, uint64_t flushed)
{
    out->used = out->flushed == flushed ? used : 0;
    if (!out->flush) {
        out->status = SL_OK;
    }
}

int32_t json_write(const struct json_schema *schema, const sl_bytes *segments, size_t count,
                   struct json_out *out, sl_error *error)
{
    if (out->status != SL_OK) {
        return out->status;
    }
    struct walk *w = malloc(sizeof *w);
    if (!w) {
        return SL_ERR_NOMEM;
    }
    w->schema = schema;
    w->out = out;
    w->error = error;
    w->status = SL_OK;
    w->depth = w->slots_used = 0;
    w->merged = 0;
    size_t used = out->used;
    uint64_t flushed = out->flushed;

    struct frame *root = push(w, schema->root, sl_slice(NULL, 0));
    if (root) {
        root->segments = segments;
        root->segment_count = count;
        begin(w, root);
    }
    while (w->depth > 0 && w->status == SL_OK && out->status == SL_OK) {
        step(w);
    }
    while (w->depth > 0) {
        pop(w);
    }
    if (w->status == SL_OK && out->status == SL_OK && !out->flush && out->used > out->limit) {
        out->status = SL_ERR_TOO_LARGE;
    }
    if (w->status == SL_OK && out->status != SL_OK) {
        fail(w, out->status, "the JSON text could not be written: %s",
             out->status == SL_ERR_TOO_LARGE ? "it is above the limit" : "the sink failed");
    }
    int32_t status = w->status;
    if (status != SL_OK) {
        roll_back(out, used, flushed);
    }
    free(w);
    return status;
}
