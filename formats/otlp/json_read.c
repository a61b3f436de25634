/* OTLP's JSON to protobuf. Each message that is open has a frame on an explicit stack; its record
 * has begun, and ends with it. Two things are guessed from what was before, and cost nothing where
 * the guess is right: which key comes after which, and how many bytes a length takes. One thread at
 * a time for each reader. */
#include "formats/otlp/json_read.h"

#include "formats/otlp/json_in.h"

#include <stdio.h>
#include <stdlib.h>

struct frame {
    const struct json_message *message;
    const struct json_field *field; /* whose value is being read */
    uint8_t *follower;              /* by field, and last for the beginning: which came next */
    struct json_record record;      /* its own */
    uint64_t index;                 /* of the array's element that is being read */
    uint32_t seen;                  /* fields */
    uint8_t last;                   /* field, or field_count */
    bool array;                     /* `field` is an array of objects, and open */
    bool comma;                     /* something is before */
};

struct json_reader {
    struct json_in in;
    uint8_t *followers, *widths; /* owned */
    size_t depth;
    struct frame frames[JSON_READ_DEPTH_MAX];
};

struct json_reader *json_reader_create(const struct json_schema *schema)
{
    struct json_reader *r = (struct json_reader *)calloc(1, sizeof *r);
    const size_t followers = schema->field_count + schema->message_count;
    if (!r) {
        return NULL;
    }
    r->in.schema = schema;
    r->followers = (uint8_t *)calloc(1, followers + schema->field_count);
    if (!r->followers) {
        json_reader_destroy(r);
        return NULL;
    }
    r->widths = r->followers + followers;
    memset(r->widths, 1, schema->field_count);
    r->in.width = r->widths;
    return r;
}

void json_reader_destroy(struct json_reader *r)
{
    if (r) {
        free(r->followers);
        free(r);
    }
}

static struct frame *top(struct json_reader *r)
{
    return &r->frames[r->depth - 1];
}

/* ---- keys ---- */

/* n >= 4 */
static bool same(const uint8_t *a, const char *b, size_t n)
{
    uint64_t x, y;
    uint32_t v, w;
    if (n < sizeof x) {
        memcpy(&v, a, sizeof v);
        memcpy(&w, b, sizeof w);
        return v == w && memcmp(a + sizeof v, b + sizeof v, n - sizeof v) == 0;
    }
    for (size_t i = 0; i < n - sizeof x; i += sizeof x) {
        memcpy(&x, a + i, sizeof x);
        memcpy(&y, b + i, sizeof y);
        if (x != y) {
            return false;
        }
    }
    memcpy(&x, a + n - sizeof x, sizeof x);
    memcpy(&y, b + n - sizeof y, sizeof y);
    return x == y;
}

static const struct json_field *field_named(const struct json_message *message, sl_bytes name)
{
    for (uint32_t i = 0; i < message->field_count; i++) {
        const struct json_field *field = &message->fields[i];
        if (sl_eq(sl_slice(field->key + 1, field->key_length - 3), name) ||
            sl_eq(sl_slice(field->name, field->name_length), name)) {
            return field;
        }
    }
    return NULL;
}

/* p is at the quote. *field is NULL where the key is unknown. Returns what follows the colon. */
static const uint8_t *key_read(struct json_reader *r, struct frame *f, const uint8_t *p,
                               const struct json_field **field)
{
    const struct json_field *guess = &f->message->fields[f->follower[f->last]];
    if (f->message->field_count > 0 && (size_t)(r->in.end - p) >= guess->key_length &&
        same(p, guess->key, guess->key_length)) {
        *field = guess;
        p += guess->key_length;
    } else {
        sl_bytes name;
        p = json_quoted(&r->in, p + 1, &name);
        if (!p) {
            return NULL;
        }
        *field = field_named(f->message, name);
        p = json_space(p, r->in.end);
        if (p == r->in.end || *p != ':') {
            return json_in_unexpected(&r->in, p, "a colon");
        }
        p++;
        if (*field) {
            f->follower[f->last] = (uint8_t)(*field - f->message->fields);
        }
    }
    if (*field) {
        f->last = (uint8_t)(*field - f->message->fields);
    }
    return p;
}

/* ---- messages ---- */

/* p is at the brace. */
static const uint8_t *message_begin(struct json_reader *r, const struct json_message *message,
                                    const struct json_record *record, const uint8_t *p)
{
    const struct json_schema *schema = r->in.schema;
    if (r->depth == JSON_READ_DEPTH_MAX) {
        return json_in_fail(&r->in, p, SL_ERR_INVALID, "nested deeper than %d",
                            (int)JSON_READ_DEPTH_MAX);
    }
    struct frame *f = &r->frames[r->depth++];
    *f = (struct frame){.message = message, .record = *record};
    f->follower = r->followers + (message->fields - schema->fields) + (message - schema->messages);
    f->last = (uint8_t)message->field_count;
    return p + 1;
}

static const uint8_t *object_begin(struct json_reader *r, const struct json_field *field,
                                   const uint8_t *p)
{
    struct json_record record;
    if (p == r->in.end || *p != '{') {
        return json_in_unexpected(&r->in, p, "an object");
    }
    return json_record_begin(&r->in, field, &record) ? message_begin(r, field->message, &record, p)
                                                     : NULL;
}

/* p is behind the brace that ends the innermost message. */
static const uint8_t *object_end(struct json_reader *r, const uint8_t *p)
{
    const struct json_record *record = &top(r)->record;
    if (--r->depth == 0) {
        return p;
    }
    return json_record_end(&r->in, top(r)->field, record) ? p : NULL;
}

static const uint8_t *value_read(struct json_reader *r, struct frame *f, const uint8_t *p)
{
    const struct json_field *field = f->field;
    const uint32_t bit = UINT32_C(1) << (field - f->message->fields);
    const bool again = f->seen & bit; /* then a zero stands for itself */
    if (p < r->in.end && *p == 'n') {
        return json_null(&r->in, p);
    }
    f->seen |= bit;
    if (field->form != JSON_OBJECT) {
        return field->repeated ? json_values(&r->in, field, p)
                               : json_value(&r->in, field, field->presence || again, p);
    }
    if (!field->repeated) {
        return object_begin(r, field, p);
    }
    if (p == r->in.end || *p != '[') {
        return json_in_unexpected(&r->in, p, "an array");
    }
    f->array = true;
    f->index = 0;
    return p + 1;
}

/* Goes on to the next key of the innermost message, and reads its value or begins to. */
static const uint8_t *member_step(struct json_reader *r, struct frame *f, const uint8_t *p)
{
    const uint8_t *end = r->in.end;
    f->field = NULL;
    p = json_space(p, end);
    if (p < end && *p == '}') {
        return object_end(r, p + 1);
    }
    if (f->comma) {
        if (p == end || *p != ',') {
            return json_in_unexpected(&r->in, p, "a comma or }");
        }
        p = json_space(p + 1, end);
    }
    if (p == end || *p != '"') {
        return json_in_unexpected(&r->in, p, f->comma ? "a key in quotes" : "a key in quotes or }");
    }
    f->comma = true;
    p = key_read(r, f, p, &f->field);
    if (!p) {
        return NULL;
    }
    p = json_space(p, end);
    return f->field ? value_read(r, f, p) : json_skip(&r->in, p);
}

/* Goes on to the next object of the innermost message's array, and begins it. */
static const uint8_t *element_step(struct json_reader *r, struct frame *f, const uint8_t *p)
{
    const uint8_t *end = r->in.end;
    p = json_space(p, end);
    if (p < end && *p == ']') {
        f->array = false;
        return p + 1;
    }
    if (f->index > 0) {
        if (p == end || *p != ',') {
            return json_in_unexpected(&r->in, p, "a comma or ]");
        }
        p = json_space(p + 1, end);
    }
    f->index++;
    return object_begin(r, f->field, p);
}

/* ---- failures ---- */

enum { PATH_MAX_SHOWN = 160 };

struct path {
    char text[PATH_MAX_SHOWN];
    size_t n;
};

/* Puts a part in front of the path; false where there is no room. */
static bool path_prepend(struct path *path, const struct frame *f)
{
    char part[JSON_KEY_MAX + 32];
    int n;
    if (!f->field) {
        return true;
    }
    n = (int)f->field->key_length - 3;
    memcpy(part, f->field->key + 1, (size_t)n);
    if (f->array && f->index > 0) {
        n += snprintf(part + n, sizeof part - (size_t)n, "[%llu]",
                      (unsigned long long)(f->index - 1));
    }
    if (path->n > 0) {
        part[n++] = '.';
    }
    if (path->n + (size_t)n > sizeof path->text) {
        return false;
    }
    memmove(path->text + n, path->text, path->n);
    memcpy(path->text, part, (size_t)n);
    path->n += (size_t)n;
    return true;
}

/* From the inside outwards, as far as it fits: the inner part says more. */
static void path_of(const struct json_reader *r, struct path *path, bool *whole)
{
    *whole = true;
    path->n = 0;
    for (size_t i = r->depth; i > 0 && *whole; i--) {
        *whole = path_prepend(path, &r->frames[i - 1]);
    }
}

static int32_t failure(const struct json_reader *r, sl_error *error)
{
    const struct json_in *in = &r->in;
    struct path path;
    bool whole;
    size_t line = 1;
    const uint8_t *start = in->text;
    if (!in->bad || !error) {
        return sl_fail(error, in->status, "OTLP/JSON %s", in->why);
    }
    for (const uint8_t *p = in->text; p < in->bad; p++) {
        if (*p == '\n') {
            line++;
            start = p + 1;
        }
    }
    path_of(r, &path, &whole);
    return sl_fail(error, in->status, "OTLP/JSON line %zu, column %zu%s%s%.*s: %s", line,
                   (size_t)(in->bad - start) + 1, path.n ? ", " : "", whole ? "" : "...",
                   (int)path.n, path.text, in->why);
}

/* ---- the whole ---- */

static const uint8_t *begin(struct json_reader *r)
{
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf};
    struct json_in *in = &r->in;
    const struct json_record none = {0};
    if (in->end - in->text >= 3 && memcmp(in->text, mark, sizeof mark) == 0) {
        return json_in_fail(in, in->text, SL_ERR_INVALID,
                            "the text begins with a byte order mark; leave it out");
    }
    const uint8_t *p = json_space(in->text, in->end);
    if (p == in->end || *p != '{') {
        return json_in_unexpected(in, p, "an object");
    }
    return message_begin(r, in->schema->root, &none, p);
}

int32_t json_read(struct json_reader *r, sl_bytes text, const struct byte_target *target,
                  size_t limit, size_t *size, sl_error *error)
{
    static const uint8_t nothing[1];
    struct json_in *in = &r->in;
    in->text = text.n ? text.p : nothing;
    in->end = in->text + text.n;
    in->target = target;
    in->at = NULL;
    in->used = in->capacity = 0;
    in->limit = limit < SIZE_MAX - JSON_IN_RESERVE_MAX ? limit : SIZE_MAX - JSON_IN_RESERVE_MAX;
    in->status = SL_OK;
    in->bad = NULL;
    r->depth = 0;

    const uint8_t *p = begin(r);
    while (p && r->depth > 0) {
        struct frame *f = top(r);
        p = f->array ? element_step(r, f, p) : member_step(r, f, p);
    }
    if (p) {
        p = json_space(p, in->end);
        if (p < in->end) {
            json_in_unexpected(in, p, "the text's end");
        } else if (in->used > in->limit) {
            json_in_fail(in, NULL, SL_ERR_TOO_LARGE,
                         "becomes more than the limit of %zu bytes of protobuf", in->limit);
        }
    }
    if (in->status != SL_OK) {
        return failure(r, error);
    }
    *size = in->used;
    return SL_OK;
}
