/* The actions' keys, what is wrong with them, and their compiled form. Control thread. */
#include "formats/match/raw_value.h"
#include "processors/attributes/actions_internal.h"

#include <stdlib.h>
#include <strings.h>

static const sl_field fields[] = {
    SL_TEXT(struct action_config, key, "The attribute to act on."),
    SL_TEXT(struct action_config, action,
            "insert, update, upsert, delete, hash, extract or convert.", .flags = SL_REQUIRED),
    SL_RAW(struct action_config, value, "insert, update, upsert: the value, typed as in YAML."),
    SL_TEXT(struct action_config, from_attribute,
            "insert, update, upsert: the attribute whose value is copied."),
    SL_TEXT(struct action_config, from_context,
            "insert, update, upsert: metadata.KEY, auth.KEY or client.address of the request."),
    SL_RAW(struct action_config, default_value,
           "insert, update, upsert: the value where the source has none."),
    SL_TEXT(struct action_config, pattern,
            "delete, hash: a pattern for keys; extract: for the value, with named groups."),
    SL_TEXT(struct action_config, converted_type, "convert: int, double or string."),
    SL_END};
const sl_struct action_struct = {.size = sizeof(struct action_config), .fields = fields};

/* Returns the text's place in the names, or -1. */
static int32_t find(sl_bytes text, const char *const *names)
{
    for (int32_t i = 0; names[i]; i++) {
        if (strlen(names[i]) == text.n &&
            strncasecmp(names[i], (const char *)text.p, text.n) == 0) {
            return i;
        }
    }
    return -1;
}

struct place {
    const char *name; /* of the list */
    uint32_t i;
    const char *action;
    sl_error *error;
};

static int32_t unused(const struct place *p, const char *key)
{
    return sl_fail(p->error, SL_ERR_INVALID, "%s[%u]: action %s does not use %s; remove it",
                   p->name, p->i, p->action, key);
}

/* Keys that the action has no use for, as in the Collector. */
static int32_t check_keys(const struct place *p, const struct action_config *c,
                          enum action_kind kind)
{
    const bool sets = kind <= ACTION_UPSERT;
    const int sources =
        raw_has_value(c->value) + (c->from_attribute.n > 0) + (c->from_context.n > 0);
    if (!sets && raw_has_value(c->value)) {
        return unused(p, "value");
    }
    if (!sets && c->from_attribute.n) {
        return unused(p, "from_attribute");
    }
    if (!sets && c->from_context.n) {
        return unused(p, "from_context");
    }
    if (!sets && raw_has_value(c->default_value)) {
        return unused(p, "default_value");
    }
    if ((sets || kind == ACTION_CONVERT) && c->pattern.n) {
        return unused(p, "pattern");
    }
    if (kind != ACTION_CONVERT && c->converted_type.n) {
        return unused(p, "converted_type");
    }
    if (sets && sources == 0 && !raw_has_value(c->default_value)) {
        return sl_fail(p->error, SL_ERR_INVALID,
                       "%s[%u]: action %s needs one of value, from_attribute, from_context and "
                       "default_value",
                       p->name, p->i, p->action);
    }
    if (sources > 1) {
        return sl_fail(p->error, SL_ERR_INVALID,
                       "%s[%u]: only one of value, from_attribute and from_context can be given",
                       p->name, p->i);
    }
    const bool by_pattern = (kind == ACTION_DELETE || kind == ACTION_HASH) && c->pattern.n;
    if (!c->key.n && !by_pattern) {
        return sl_fail(p->error, SL_ERR_INVALID, "%s[%u]: action %s needs a key%s", p->name, p->i,
                       p->action,
                       kind == ACTION_DELETE || kind == ACTION_HASH ? " or a pattern" : "");
    }
    if (kind == ACTION_EXTRACT && !c->pattern.n) {
        return sl_fail(p->error, SL_ERR_INVALID, "%s[%u]: action extract needs a pattern", p->name,
                       p->i);
    }
    return SL_OK;
}

static int32_t add_key(struct actions *actions, sl_bytes key, uint32_t *number, sl_error *error)
{
    *number = otlp_keys_add(&actions->keys, key);
    return *number != OTLP_NONE ? SL_OK : sl_fail(error, SL_ERR_NOMEM, "no memory for actions");
}

static int32_t compile_groups(const struct place *p, struct actions *actions, struct action *a)
{
    a->n_groups = pattern_groups(a->pattern);
    a->groups = calloc(a->n_groups + 1, sizeof *a->groups);
    if (!a->groups) {
        return sl_fail(p->error, SL_ERR_NOMEM, "no memory for actions");
    }
    if (a->n_groups == 0) {
        return sl_fail(p->error, SL_ERR_INVALID,
                       "%s[%u]: the pattern of extract has no named group, such as "
                       "(?P<name>[a-z]+)",
                       p->name, p->i);
    }
    for (uint32_t g = 0; g < a->n_groups; g++) {
        const sl_bytes name = pattern_group_name(a->pattern, g + 1);
        if (!name.n) {
            return sl_fail(p->error, SL_ERR_INVALID,
                           "%s[%u]: group %u of the pattern has no name; write (?P<name>...), or "
                           "(?:...) for a group that is not extracted",
                           p->name, p->i, g + 1);
        }
        const int32_t status = add_key(actions, name, &a->groups[g], p->error);
        if (status != SL_OK) {
            return status;
        }
    }
    return SL_OK;
}

static int32_t compile_pattern(const struct place *p, struct actions *actions, struct action *a,
                               sl_bytes text)
{
    sl_error own = {.size = sizeof own};
    const int32_t status = pattern_compile(text, &a->pattern, &own);
    if (status != SL_OK) {
        return sl_fail(p->error, status, "%s[%u]: %s", p->name, p->i, own.text);
    }
    const uint32_t groups = pattern_groups(a->pattern);
    actions->groups_max = groups > actions->groups_max ? groups : actions->groups_max;
    actions->by_pattern |= a->kind != ACTION_EXTRACT;
    return a->kind == ACTION_EXTRACT ? compile_groups(p, actions, a) : SL_OK;
}

static int32_t compile(struct place *p, struct actions *actions, const struct action_config *c,
                       struct action *a)
{
    static const char *const kinds[] = {"insert", "update",  "upsert",  "delete",
                                        "hash",   "extract", "convert", NULL};
    static const char *const types[] = {"string", "int", "double", NULL};
    const int32_t kind = find(c->action, kinds);
    if (kind < 0) {
        return sl_fail(p->error, SL_ERR_INVALID,
                       "%s[%u]: there is no action \"%.*s\"; there are insert, update, upsert, "
                       "delete, hash, extract and convert",
                       p->name, p->i, (int)c->action.n, (const char *)c->action.p);
    }
    a->kind = (enum action_kind)kind;
    a->key = a->from_attribute = OTLP_NONE;
    p->action = kinds[kind];
    int32_t status = check_keys(p, c, a->kind);
    if (status == SL_OK && c->key.n) {
        status = add_key(actions, c->key, &a->key, p->error);
    }
    if (status == SL_OK && c->from_attribute.n) {
        status = add_key(actions, c->from_attribute, &a->from_attribute, p->error);
    }
    if (status == SL_OK && c->from_context.n) {
        a->from_context = c->from_context;
    }
    if (status == SL_OK && raw_has_value(c->value)) {
        status = raw_value(c->value, &actions->values, &a->value, p->error);
    }
    if (status == SL_OK && raw_has_value(c->default_value)) {
        status = raw_value(c->default_value, &actions->values, &a->otherwise, p->error);
    }
    if (status == SL_OK && c->pattern.n) {
        status = compile_pattern(p, actions, a, c->pattern);
    }
    if (status == SL_OK && a->kind == ACTION_CONVERT) {
        const int32_t to = find(c->converted_type, types);
        if (to < 0) {
            return sl_fail(p->error, SL_ERR_INVALID,
                           "%s[%u]: action convert needs converted_type: int, double or string",
                           p->name, p->i);
        }
        a->to = (enum convert_to)to;
    }
    actions->hashes |= a->kind == ACTION_HASH;
    return status;
}

int32_t actions_compile(const sl_list *list, const char *name, struct actions **actions,
                        sl_error *error)
{
    int32_t status = SL_OK;
    struct actions *all = calloc(1, sizeof *all);
    struct action *at = calloc(list->n + 1, sizeof *at);
    if (!all || !at) {
        free(all);
        free(at);
        return sl_fail(error, SL_ERR_NOMEM, "no memory for actions");
    }
    all->at = at;
    decimal_powers_init(&all->powers);
    if (list->n == 0) {
        status = sl_fail(error, SL_ERR_INVALID, "%s is empty; give at least one action", name);
    }
    for (uint32_t i = 0; i < list->n && status == SL_OK; i++) {
        struct place place = {.name = name, .i = i, .error = error};
        all->n = i + 1;
        status = compile(&place, all, SL_LIST_AT(struct action_config, *list, i), &at[i]);
    }
    if (status != SL_OK) {
        actions_free(all);
        return status;
    }
    *actions = all;
    return SL_OK;
}

void actions_free(struct actions *actions)
{
    if (!actions) {
        return;
    }
    for (uint32_t i = 0; i < actions->n; i++) {
        pattern_free(actions->at[i].pattern);
        free(actions->at[i].groups);
    }
    free(actions->at);
    otlp_keys_free(&actions->keys);
    otlp_scratch_free(&actions->values);
    free(actions);
}
