/* Running the actions, record by record; nothing is allocated once the runner's memory has grown. */
#include "formats/otlp/value_text.h"
#include "processors/attributes/actions_internal.h"

#include <stdlib.h>
#include <strings.h>

int32_t actions_runner_init(struct actions_runner *runner, const struct actions *actions,
                            sl_error *error)
{
    *runner = (struct actions_runner){.actions = actions};
    runner->edit.keys = &actions->keys;
    runner->edit.all = actions->by_pattern;
    runner->matcher = pattern_matcher_create(actions->groups_max);
    runner->context = calloc(actions->n + 1, sizeof *runner->context);
    if (actions->hashes) {
        runner->sha256 = digest_create(DIGEST_SHA256, sl_str(""));
    }
    if (!runner->matcher || !runner->context || (actions->hashes && !runner->sha256)) {
        actions_runner_deinit(runner);
        return sl_fail(error, SL_ERR_NOMEM, "no memory for a lane's actions, or no SHA-256");
    }
    return SL_OK;
}

void actions_runner_deinit(struct actions_runner *runner)
{
    otlp_attrs_free(&runner->edit);
    otlp_scratch_free(&runner->context_texts);
    pattern_matcher_free(runner->matcher);
    digest_free(runner->sha256);
    free(runner->context);
}

/* ---- values from the request's metadata ---- */

static bool same_key(sl_bytes key, sl_bytes lower)
{
    return key.n == lower.n && strncasecmp((const char *)key.p, (const char *)lower.p, key.n) == 0;
}

/* All values of the key, joined by semicolons. */
static bool find_context(struct actions_runner *r, sl_bytes key, const sl_metadata *metadata,
                         sl_bytes *any)
{
    static const char prefix[] = "metadata.";
    uint32_t found = 0;
    size_t n = 0;
    if (key.n > sizeof prefix - 1 && memcmp(key.p, prefix, sizeof prefix - 1) == 0) {
        key = sl_slice(key.p + sizeof prefix - 1, key.n - (sizeof prefix - 1));
    }
    for (uint32_t i = 0; i < metadata->n; i++) {
        if (same_key(key, metadata->at[i].key)) {
            n += metadata->at[i].value.n + 1;
            found++;
        }
    }
    if (!found) {
        return true;
    }
    uint8_t *at = otlp_scratch_room(&r->context_texts, n);
    if (!at) {
        return false;
    }
    otlp_scratch_take(&r->context_texts, n);
    uint8_t *p = at;
    for (uint32_t i = 0; i < metadata->n; i++) {
        if (same_key(key, metadata->at[i].key)) {
            p = sl_put_slice(p, metadata->at[i].value);
            *p++ = ';';
        }
    }
    *any = otlp_any_text(&r->context_texts, sl_slice(at, n - 1));
    return any->p != NULL;
}

bool actions_begin(struct actions_runner *r, const sl_metadata *metadata)
{
    otlp_scratch_clear(&r->context_texts);
    for (uint32_t i = 0; i < r->actions->n; i++) {
        r->context[i] = sl_slice(NULL, 0);
        if (r->actions->at[i].from_context.p &&
            !find_context(r, r->actions->at[i].from_context, metadata, &r->context[i])) {
            return false;
        }
    }
    return true;
}

/* ---- the actions ---- */

/* The value to set; .p is NULL where the source has none. */
static sl_bytes source_of(const struct actions_runner *r, const struct action *a)
{
    sl_bytes any = a->value;
    if (a->from_attribute != OTLP_NONE) {
        const struct otlp_attr *from = otlp_attrs_get(&r->edit, a->from_attribute);
        if (from) {
            any = from->any.p ? from->any : sl_slice("", 0); /* an attribute without a value */
        }
    } else if (a->from_context.p) {
        any = r->context[a - r->actions->at];
    }
    return any.p ? any : a->otherwise;
}

static void set(struct actions_runner *r, const struct action *a)
{
    const bool exists = otlp_attrs_get(&r->edit, a->key) != NULL;
    if (a->kind == ACTION_INSERT ? exists : a->kind == ACTION_UPDATE && !exists) {
        return;
    }
    const sl_bytes any = source_of(r, a);
    if (any.p) {
        otlp_attrs_set(&r->edit, a->key, any);
    }
}

/* Costly keys count as matching: what is to be hidden is hidden. */
static bool key_matches(struct actions_runner *r, const struct action *a,
                        const struct otlp_attr *attr)
{
    return a->pattern && attr->state != OTLP_ATTR_GONE &&
           pattern_match(a->pattern, r->matcher, attr->key) != PATTERN_NO;
}

static void remove_attrs(struct actions_runner *r, const struct action *a)
{
    if (a->key != OTLP_NONE) {
        otlp_attrs_remove(&r->edit, a->key);
    }
    for (uint32_t i = 0; a->pattern && i < r->edit.n; i++) {
        if (key_matches(r, a, &r->edit.at[i])) {
            otlp_attr_remove(&r->edit, &r->edit.at[i]);
        }
    }
}

/* Texts are hashed as they are, numbers as their eight bytes, truth values as one; of all others,
 * which the Collector does not hash, nothing is left. */
static void hash(struct actions_runner *r, struct otlp_attr *attr)
{
    char hex[DIGEST_HEX_MAX];
    const sl_value v = sl_value_of(attr->any);
    sl_bytes bytes = v.type == SL_VALUE_TEXT ? v.bytes : sl_slice(NULL, 0);
    if (v.type == SL_VALUE_INT || v.type == SL_VALUE_DOUBLE) {
        bytes = sl_slice(&v.number, sizeof v.number);
    } else if (v.type == SL_VALUE_BOOL) {
        bytes = sl_slice(&v.number, 1);
    }
    const size_t n = bytes.n ? digest_hex(r->sha256, bytes, hex) : 0;
    r->edit.failed |= bytes.n && !n;
    otlp_attr_replace(&r->edit, attr, otlp_any_text(&r->edit.scratch, sl_slice(hex, n)));
}

static void hash_attrs(struct actions_runner *r, const struct action *a)
{
    if (a->key != OTLP_NONE) {
        struct otlp_attr *attr = otlp_attrs_get(&r->edit, a->key);
        if (attr) {
            hash(r, attr);
            otlp_attrs_set(&r->edit, a->key, attr->any); /* others with the same key go */
        }
    }
    for (uint32_t i = 0; a->pattern && i < r->edit.n; i++) {
        if (key_matches(r, a, &r->edit.at[i])) {
            hash(r, &r->edit.at[i]);
        }
    }
}

static void extract(struct actions_runner *r, const struct action *a)
{
    const struct otlp_attr *attr = otlp_attrs_get(&r->edit, a->key);
    const sl_value v = sl_value_of(attr ? attr->any : sl_slice(NULL, 0));
    if (v.type != SL_VALUE_TEXT || pattern_match(a->pattern, r->matcher, v.bytes) != PATTERN_YES) {
        return;
    }
    for (uint32_t g = 0; g < a->n_groups; g++) {
        const sl_bytes text = pattern_group(r->matcher, v.bytes, g + 1);
        otlp_attrs_set(&r->edit, a->groups[g], otlp_any_text(&r->edit.scratch, text));
    }
}

/* As Go on most machines; out of range: the nearest. */
static int64_t whole_part(double value)
{
    if (value >= 0x1p63) {
        return INT64_MAX;
    }
    return value >= -0x1p63 ? (int64_t)value : INT64_MIN;
}

/* The converted value; .p is NULL where it cannot be, and stays as it is. */
static sl_bytes converted(struct actions_runner *r, enum convert_to to, const sl_value *v)
{
    struct otlp_scratch *scratch = &r->edit.scratch;
    int64_t i;
    double f;
    if (to == TO_STRING) {
        if (v->type == SL_VALUE_TEXT) {
            return sl_slice(NULL, 0);
        }
        const sl_bytes text = otlp_value_text(&r->actions->powers, v, scratch);
        r->edit.failed |= !text.p;
        return otlp_any_text(scratch, text);
    }
    switch (v->type) {
    case SL_VALUE_TEXT:
        if (to == TO_INT && otlp_text_int(v->bytes, &i)) {
            return otlp_any_int(scratch, i);
        }
        if (to == TO_DOUBLE && otlp_text_double(v->bytes, &f)) {
            return otlp_any_double(scratch, f);
        }
        break;
    case SL_VALUE_BOOL:
        return to == TO_INT ? otlp_any_int(scratch, v->number.i)
                            : otlp_any_double(scratch, (double)v->number.u);
    case SL_VALUE_INT:
        if (to == TO_DOUBLE) {
            return otlp_any_double(scratch, (double)v->number.i);
        }
        break;
    case SL_VALUE_DOUBLE:
        if (to == TO_INT) {
            return otlp_any_int(scratch, v->number.f == v->number.f ? whole_part(v->number.f) : 0);
        }
        break;
    default:
        break;
    }
    return sl_slice(NULL, 0);
}

static void convert(struct actions_runner *r, const struct action *a)
{
    const struct otlp_attr *attr = otlp_attrs_get(&r->edit, a->key);
    if (!attr) {
        return;
    }
    const sl_value v = sl_value_of(attr->any);
    const sl_bytes any = converted(r, a->to, &v);
    if (any.p) {
        otlp_attrs_set(&r->edit, a->key, any);
    }
}

enum otlp_verdict actions_run(struct actions_runner *r, sl_bytes record, uint32_t field,
                              struct otlp_parts *parts)
{
    if (!otlp_attrs_load(&r->edit, record, field)) {
        return OTLP_ABORT;
    }
    for (uint32_t i = 0; i < r->actions->n; i++) {
        const struct action *a = &r->actions->at[i];
        switch (a->kind) {
        case ACTION_INSERT:
        case ACTION_UPDATE:
        case ACTION_UPSERT:
            set(r, a);
            break;
        case ACTION_DELETE:
            remove_attrs(r, a);
            break;
        case ACTION_HASH:
            hash_attrs(r, a);
            break;
        case ACTION_EXTRACT:
            extract(r, a);
            break;
        case ACTION_CONVERT:
            convert(r, a);
            break;
        }
    }
    if (r->edit.failed) {
        return OTLP_ABORT;
    }
    if (!r->edit.changed) {
        return OTLP_KEEP;
    }
    return otlp_attrs_store(&r->edit, parts) ? OTLP_CHANGE : OTLP_ABORT;
}
