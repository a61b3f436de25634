/* The body of a log record: a plain value, or lists and maps whose entries are treated one by one, with
 * a path such as "user.emails.[0]" in the summary. On the instance's lane; without recursion. */
#include "formats/otlp/value_text.h"
#include "processors/redaction/redaction.h"

enum {
    BODY = 5,             /* field of a log record */
    PATHS_MAX = 64 * 1024 /* bytes of the paths that are told of one body */
};

/* Where a value stands. */
struct place {
    sl_bytes parent, name;
    bool top;
};

/* The path to it, in memory that stays for the summary, which alone tells it. A key that is long and
 * has many entries below it would make paths of any size: "..." stands for what is beyond the limit. */
static sl_bytes path_to(struct redaction *r, const struct place *place)
{
    const size_t n = place->parent.n + !place->top + place->name.n;
    if (r->config->summary != SUMMARY_DEBUG) {
        return sl_str("");
    }
    if (n > PATHS_MAX - r->path_bytes) {
        return sl_str("...");
    }
    uint8_t *at = otlp_scratch_room(&r->scratch, n + 1), *p = at;
    if (!at) {
        r->failed = true;
        return sl_str("");
    }
    p = sl_put_slice(p, place->parent);
    if (!place->top) {
        *p++ = '.';
    }
    sl_put_slice(p, place->name);
    otlp_scratch_take(&r->scratch, n + 1);
    r->path_bytes += n;
    return sl_slice(at, n);
}

/* A plain value. False: it stays as it is. */
static bool redact_plain(struct redaction *r, const sl_value *value, const struct place *place,
                         bool is_body, sl_bytes *text)
{
    const sl_bytes old = otlp_value_text(&r->config->powers, value, &r->scratch);
    if (!old.p) {
        r->failed = true;
        return false;
    }
    if (value_is_allowed(r, old)) {
        if (!is_body) { /* of a body that is allowed nothing is told, as in the Collector */
            touched_add(r, ALLOWED, path_to(r, place));
        }
        return false;
    }
    *text = mask_values(r, &r->scratch, old);
    if (sl_eq(*text, old)) {
        return false;
    }
    touched_add(r, MASKED, path_to(r, place));
    return true;
}

static sl_bytes text_or_nothing(const sl_value *value)
{
    return value->type == SL_VALUE_TEXT && value->bytes.p ? value->bytes : sl_str("");
}

/* ---- values in several fields ---- */

/* A value may have several fields: the last one counts, and behind others of its number the entries
 * of a list or map are added to theirs, for readers that merge as protobuf does. Whatever is given so
 * is written anew, in one field, so that nobody reads what was not looked at. */
struct value_fields {
    sl_bytes counting; /* from the first on that counts */
    sl_bytes last;     /* the field of the value, with its tag */
    bool several;
};

static struct value_fields fields_of(sl_bytes any, const sl_value *value)
{
    struct value_fields f = {.counting = any, .last = any};
    sl_wire w = sl_wire_of(any);
    uint32_t before = 0, n = 0;
    for (const uint8_t *at = w.p; sl_wire_next(&w); at = w.p) {
        if (w.number > SL_VALUE_BYTES) {
            continue;
        }
        if (w.number == value->type && before != w.number) {
            f.counting = sl_slice(at, (size_t)(w.end - at));
        }
        f.last = w.number == value->type ? sl_slice(at, (size_t)(w.p - at)) : f.last;
        before = w.number;
        n++;
    }
    f.several = n > 1;
    f.last = f.several ? f.last : any; /* with fields that are unknown */
    return f;
}

/* Takes a map's entry apart. True: it has several values, of which only the last is looked at. */
static bool split_entry(sl_bytes entry, sl_bytes *key, sl_bytes *any)
{
    sl_repeated values = sl_repeated_of(entry, 2);
    sl_bytes value;
    uint32_t n = 0;
    while (sl_repeated_next(&values, &value)) {
        n++;
    }
    sl_attr_split(entry, key, any);
    return n > 1;
}

/* ---- lists and maps ---- */

struct level {
    sl_wire fields; /* those behind `entries` */
    sl_repeated entries;
    sl_bytes path;
    size_t any, list, pair;
    uint32_t index;
    bool map, open_pair;
};

static void open_level(struct redaction *r, struct level *level, uint32_t field,
                       const sl_value *value, sl_bytes counting, sl_bytes path)
{
    *level = (struct level){.fields = sl_wire_of(counting),
                            .entries = sl_repeated_of(sl_slice(NULL, 0), 1),
                            .map = value->type == SL_VALUE_MAP,
                            .path = path};
    level->any = sl_write_begin(&r->body, field);
    level->list = sl_write_begin(&r->body, value->type);
}

static bool next_entry(struct level *level, sl_bytes *entry)
{
    const uint32_t number = level->map ? SL_VALUE_MAP : SL_VALUE_LIST;
    while (!sl_repeated_next(&level->entries, entry)) {
        if (!sl_wire_next(&level->fields)) {
            return false;
        }
        if (level->fields.number == number && level->fields.type == SL_BYTES) {
            level->entries = sl_repeated_of(level->fields.bytes, 1);
        }
    }
    return true;
}

/* Writes an entry of a level: opens its pair, if it is a map's. */
static uint32_t begin_entry(struct redaction *r, struct level *level, sl_bytes key)
{
    if (!level->map) {
        return 1;
    }
    level->pair = sl_write_begin(&r->body, 1);
    level->open_pair = true;
    sl_write_bytes(&r->body, 1, key);
    return 2;
}

static void end_entry(struct redaction *r, struct level *level)
{
    if (level->open_pair) {
        sl_write_end(&r->body, level->pair);
        level->open_pair = false;
    }
}

/* One entry of the innermost level. Returns true where it is a list or map, which `*inner` shows. */
static bool redact_entry(struct redaction *r, struct level *level, bool top, sl_bytes key,
                         sl_bytes any, bool *changed, sl_value *inner, sl_bytes *counting,
                         sl_bytes *inner_path, uint32_t *field)
{
    char index[24];
    sl_bytes text, name = key;
    const sl_value value = sl_value_of(any);
    const struct value_fields fields = fields_of(any, &value);
    if (!level->map) {
        (void)snprintf(index, sizeof index, "[%u]", level->index++);
        name = sl_str(index);
    }
    const struct place place = {.parent = level->path, .name = name, .top = top};
    const enum fate fate = level->map ? fate_of_key(r, key) : FATE_LOOK;
    if (fate == FATE_REMOVE) {
        touched_add(r, REDACTED, path_to(r, &place));
        *changed = true;
        return false;
    }
    *field = begin_entry(r, level, key);
    *changed |= fields.several;
    if (fate == FATE_IGNORE) {
        touched_add(r, IGNORED, path_to(r, &place));
        sl_write_bytes(&r->body, *field, any);
    } else if (fate == FATE_MASK) {
        touched_add(r, MASKED, path_to(r, &place));
        sl_write_value_text(&r->body, *field, mask_all(r, &r->scratch, text_or_nothing(&value)));
        *changed = true;
    } else if (value.type == SL_VALUE_LIST || value.type == SL_VALUE_MAP) {
        *inner = value;
        *counting = fields.counting;
        *inner_path = path_to(r, &place);
        return true;
    } else if (redact_plain(r, &value, &place, false, &text)) {
        sl_write_value_text(&r->body, *field, text);
        *changed = true;
    } else {
        sl_write_bytes(&r->body, *field, fields.last);
    }
    end_entry(r, level);
    return false;
}

/* Writes the list or map anew, as field BODY. Returns whether anything is other than it was. */
static bool redact_nested(struct redaction *r, const sl_value *body, sl_bytes counting)
{
    struct level levels[SL_VALUE_DEPTH_MAX];
    uint32_t depth = 1;
    bool changed = false;
    open_level(r, &levels[0], BODY, body, counting, sl_str(""));
    while (depth > 0) {
        struct level *level = &levels[depth - 1];
        sl_bytes entry, key = sl_slice(NULL, 0), any, path;
        sl_bytes inner_fields;
        sl_value inner;
        uint32_t field;
        end_entry(r, level); /* of what was nested in it */
        if (!next_entry(level, &entry)) {
            sl_write_end(&r->body, level->list);
            sl_write_end(&r->body, level->any);
            depth--;
            continue;
        }
        any = entry;
        if (level->map) {
            changed |= split_entry(entry, &key, &any);
        }
        if (!redact_entry(r, level, depth == 1, key, any, &changed, &inner, &inner_fields, &path,
                          &field)) {
            continue;
        }
        if (depth == SL_VALUE_DEPTH_MAX) { /* the check refuses what is deeper */
            r->failed = true;
            break;
        }
        open_level(r, &levels[depth++], field, &inner, inner_fields, path);
    }
    return changed;
}

/* The record with the new body, which was written to r->body with its tag, in place of the old. */
static sl_bytes with_body(struct redaction *r, sl_bytes record)
{
    bool written = false;
    sl_wire w = sl_wire_of(record);
    redaction_restart(&r->record);
    for (;;) {
        const uint8_t *from = w.p;
        if (!sl_wire_next(&w)) {
            break;
        }
        if (w.number != BODY || w.type != SL_BYTES) {
            sl_write_raw(&r->record, sl_slice(from, (size_t)(w.p - from)));
        } else if (!written) {
            sl_write_raw(&r->record, sl_written(&r->body));
            written = true;
        }
    }
    r->failed |= r->record.failed;
    return sl_written(&r->record);
}

/* The body's AnyValue: its parts one behind the other, which is how they merge. False: there is none, or
 * no memory. */
static bool join_body(struct redaction *r, sl_bytes record, sl_bytes *any, bool *joined)
{
    sl_repeated all = sl_repeated_of(record, BODY);
    sl_bytes part;
    size_t n = 0, parts = 0;
    *any = sl_slice(NULL, 0);
    while (sl_repeated_next(&all, &part)) {
        if (part.n || !any->p) {
            *any = part;
        }
        parts += part.n > 0;
        n += part.n; /* within the record */
    }
    *joined = parts > 1;
    if (!*joined) {
        return any->p != NULL;
    }
    uint8_t *at = otlp_scratch_room(&r->scratch, n);
    if (!at) {
        r->failed = true;
        return false;
    }
    *any = sl_slice(at, n);
    otlp_scratch_take(&r->scratch, n);
    all = sl_repeated_of(record, BODY);
    while (sl_repeated_next(&all, &part)) {
        at = sl_put_slice(at, part);
    }
    return true;
}

sl_bytes redact_body(struct redaction *r, sl_bytes record)
{
    sl_bytes any, text;
    bool changed, joined;
    otlp_scratch_clear(&r->scratch);
    if (!join_body(r, record, &any, &joined)) {
        return record;
    }
    const sl_value body = sl_value_of(any);
    const struct value_fields fields = fields_of(any, &body);
    redaction_restart(&r->body);
    r->path_bytes = 0;
    if (body.type == SL_VALUE_LIST || body.type == SL_VALUE_MAP) {
        changed = redact_nested(r, &body, fields.counting);
    } else {
        const struct place whole = {.name = sl_str("body"), .top = true};
        changed = redact_plain(r, &body, &whole, true, &text);
        if (changed) {
            sl_write_value_text(&r->body, BODY, text);
        } else {
            sl_write_bytes(&r->body, BODY, fields.last);
        }
    }
    r->failed |= r->body.failed;
    changed |= fields.several || joined;
    return changed && !r->failed ? with_body(r, record) : record;
}
