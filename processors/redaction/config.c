/* The redaction processor's keys and their compiled form. Control thread. */
#include "processors/redaction/redaction.h"

#include <stdlib.h>

static const char *const hashes[] = {"none",        "md5",         "sha1", "sha3",
                                     "hmac-sha256", "hmac-sha512", NULL};
static const char *const summaries[] = {"silent", "info", "debug", NULL};

const sl_field redaction_fields[] = {
    SL_BOOL(struct redaction_config, allow_all_keys,
            "Keeps attributes whatever their keys are; allowed_keys then means nothing."),
    SL_TEXTS(struct redaction_config, allowed_keys,
             "Keys of attributes that are kept; all others are removed."),
    SL_TEXTS(struct redaction_config, ignored_keys,
             "Keys of attributes that are neither removed nor masked."),
    SL_TEXTS(struct redaction_config, ignored_key_patterns,
             "Patterns for keys of attributes that are neither removed nor masked."),
    SL_TEXTS(struct redaction_config, blocked_key_patterns,
             "Patterns for keys of attributes whose values are masked."),
    SL_TEXTS(struct redaction_config, blocked_values, "Patterns for what is masked inside values."),
    SL_TEXTS(struct redaction_config, allowed_values,
             "Patterns for values in which nothing is masked."),
    SL_BOOL(struct redaction_config, redact_all_types,
            "Looks at values of all types, as texts; else only at texts."),
    SL_ENUM(struct redaction_config, hash_function, hashes,
            "What is masked becomes its hash, in hexadecimal digits, instead of asterisks."),
    SL_TEXT(struct redaction_config, hmac_key, "The key of hmac-sha256 and hmac-sha512.",
            .flags = SL_SECRET),
    SL_ENUM(struct redaction_config, summary, summaries,
            "Attributes that tell what was done: info counts, debug also names keys."),
    SL_RAW(struct redaction_config, url_sanitizer,
           "Not supported, and refused where it is enabled."),
    SL_RAW(struct redaction_config, db_sanitizer,
           "Not supported, and refused where it is enabled."),
    SL_END};

static int32_t no_memory(sl_error *error)
{
    return sl_fail(error, SL_ERR_NOMEM, "no memory for the redaction's lists");
}

/* Keys of attributes differ at an end, or in length. */
static uint32_t hash_of(sl_bytes key)
{
    uint64_t head = 0, tail = 0;
    if (key.n >= sizeof head) {
        memcpy(&head, key.p, sizeof head);
        memcpy(&tail, key.p + key.n - sizeof tail, sizeof tail);
    }
    for (size_t i = 0; key.n < sizeof head && i < key.n; i++) {
        head = head << 8 | key.p[i];
    }
    const uint64_t factor = UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(((head ^ key.n) * factor ^ tail) * factor >> 32);
}

/* Where the key stands, or would stand. */
static uint32_t place_of(const struct key_set *set, sl_bytes key)
{
    uint32_t i = hash_of(key) & set->mask;
    while (set->at[i].p && !sl_eq(set->at[i], key)) {
        i = (i + 1) & set->mask;
    }
    return i;
}

bool key_set_has(const struct key_set *set, sl_bytes key)
{
    return set->n && set->at[place_of(set, key)].p;
}

static void key_set_add(struct key_set *set, sl_bytes key)
{
    set->at[place_of(set, key)] = key.n ? key : sl_str("");
    set->n++;
}

static const char *const summary_names[SUMMARY_KEYS] = {
    "redaction.redacted.keys",       "redaction.masked.keys",       "redaction.allowed.keys",
    "redaction.ignored.keys",        "redaction.redacted.count",    "redaction.masked.count",
    "redaction.allowed.count",       "redaction.ignored.count",     "redaction.body.redacted.keys",
    "redaction.body.masked.keys",    "redaction.body.allowed.keys", "redaction.body.ignored.keys",
    "redaction.body.redacted.count", "redaction.body.masked.count", "redaction.body.allowed.count",
    "redaction.body.ignored.count"};

static int32_t make_set(const sl_list *list, bool with_summary, struct key_set *set,
                        sl_error *error)
{
    uint64_t places = 1;
    while (places < 2 * ((uint64_t)list->n + SUMMARY_KEYS)) {
        places *= 2;
    }
    set->at = places <= UINT32_MAX ? calloc(places, sizeof *set->at) : NULL;
    if (!set->at) {
        return no_memory(error);
    }
    set->mask = (uint32_t)places - 1;
    for (uint32_t i = 0; i < list->n; i++) {
        key_set_add(set, *SL_LIST_AT(sl_bytes, *list, i));
    }
    for (uint32_t i = 0; i < SUMMARY_KEYS && with_summary; i++) {
        key_set_add(set, sl_str(summary_names[i]));
    }
    return SL_OK;
}

static int32_t make_patterns(const sl_list *list, const char *key, struct patterns *patterns,
                             sl_error *error)
{
    sl_error own = {.size = sizeof own};
    patterns->at = calloc(list->n + 1, sizeof(struct pattern *));
    if (!patterns->at) {
        return no_memory(error);
    }
    for (uint32_t i = 0; i < list->n; i++) {
        const int32_t status =
            pattern_compile(*SL_LIST_AT(sl_bytes, *list, i), &patterns->at[i], &own);
        if (status != SL_OK) {
            return sl_fail(error, status, "%s[%u]: %s", key, i, own.text);
        }
        patterns->n++;
    }
    return SL_OK;
}

/* Does `enabled: true` stand anywhere in it? Levels are bounded. */
static bool is_enabled(const sl_raw *raw, uint32_t levels)
{
    for (uint32_t i = 0; raw && levels && i < raw->n; i++) {
        const sl_raw *c = &raw->children[i];
        if ((sl_eq(c->key, sl_str("enabled")) && sl_eq(c->text, sl_str("true"))) ||
            is_enabled(c, levels - 1)) {
            return true;
        }
    }
    return false;
}

static int32_t check(const struct redaction_config *c, sl_error *error)
{
    const sl_raw *enabled = is_enabled(c->url_sanitizer, 4)  ? c->url_sanitizer
                            : is_enabled(c->db_sanitizer, 4) ? c->db_sanitizer
                                                             : NULL;
    const bool keyed = c->hash_function >= 4;
    if (enabled) {
        return sl_fail(error, SL_ERR_INVALID,
                       "line %u: %.*s is not supported by this version; remove it, or mask with "
                       "blocked_values",
                       enabled->line, (int)enabled->key.n, (const char *)enabled->key.p);
    }
    if (keyed && !c->hmac_key.n) {
        return sl_fail(error, SL_ERR_INVALID, "hash_function %s needs hmac_key",
                       hashes[c->hash_function]);
    }
    return SL_OK;
}

int32_t redaction_prepare(struct redaction_config *c, sl_error *error)
{
    const struct {
        const sl_list *from;
        const char *key;
        struct patterns *to;
    } lists[] = {
        {&c->ignored_key_patterns, "ignored_key_patterns", &c->ignored_keys_by_pattern},
        {&c->blocked_key_patterns, "blocked_key_patterns", &c->blocked_keys},
        {&c->blocked_values, "blocked_values", &c->blocked},
        {&c->allowed_values, "allowed_values", &c->unblocked},
    };
    int32_t status = check(c, error);
    decimal_powers_init(&c->powers);
    for (size_t i = 0; i < sizeof lists / sizeof *lists && status == SL_OK; i++) {
        status = make_patterns(lists[i].from, lists[i].key, lists[i].to, error);
    }
    if (status == SL_OK) {
        status = pattern_compile(sl_str(".*"), &c->everything, error);
    }
    if (status == SL_OK) {
        status = make_set(&c->allowed_keys, true, &c->allowed, error);
    }
    if (status == SL_OK) {
        status = make_set(&c->ignored_keys, false, &c->ignored, error);
    }
    for (uint32_t i = 0; i < SUMMARY_KEYS && status == SL_OK; i++) {
        if (otlp_keys_add(&c->summary_keys, sl_str(summary_names[i])) != i) {
            status = no_memory(error);
        }
    }
    return status;
}

void redaction_free(struct redaction_config *c)
{
    struct patterns *const all[] = {&c->ignored_keys_by_pattern, &c->blocked_keys, &c->blocked,
                                    &c->unblocked};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        for (uint32_t k = 0; k < all[i]->n; k++) {
            pattern_free(all[i]->at[k]);
        }
        free(all[i]->at);
    }
    pattern_free(c->everything);
    free(c->allowed.at);
    free(c->ignored.at);
    otlp_keys_free(&c->summary_keys);
}
