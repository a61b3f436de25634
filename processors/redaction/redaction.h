/* What the files of the redaction processor share: the config and its compiled form, which are
 * read-only for all lanes, and a lane's instance.
 * Source of the behaviour: processor/redactionprocessor of opentelemetry-collector-contrib. */
#ifndef SLUICE_PROCESSORS_REDACTION_H
#define SLUICE_PROCESSORS_REDACTION_H
#include "formats/digest/digest.h"
#include "formats/otlp/attr_edit.h"
#include "formats/otlp/decimal.h"
#include "formats/otlp/rewrite_delivery.h"
#include "formats/pattern/pattern.h"

enum summary { SUMMARY_SILENT, SUMMARY_INFO, SUMMARY_DEBUG };

/* Keys, hashed, with linear probing. */
struct key_set {
    sl_bytes *at; /* .p is NULL where there is none */
    uint32_t n;
    uint32_t mask; /* places - 1; at least every other one is free */
};

struct patterns {
    struct pattern **at;
    uint32_t n;
};

struct redaction_config {
    sl_base base;
    uint8_t allow_all_keys, redact_all_types;
    sl_list allowed_keys, ignored_keys, ignored_key_patterns;
    sl_list blocked_key_patterns, blocked_values, allowed_values;
    uint32_t hash_function, summary;
    sl_bytes hmac_key;
    const sl_raw *url_sanitizer, *db_sanitizer;

    /* set by prepare */
    struct key_set allowed, ignored;
    struct patterns ignored_keys_by_pattern, blocked_keys, blocked, unblocked;
    struct pattern *everything;
    struct otlp_keys summary_keys; /* numbered as enum summary_key */
    struct decimal_powers powers;
};

extern const sl_field redaction_fields[];

/* config.c */
int32_t redaction_prepare(struct redaction_config *config, sl_error *error);
void redaction_free(struct redaction_config *config);
bool key_set_has(const struct key_set *set, sl_bytes key);

/* ---- a lane ---- */

/* Why an entry was touched, or was not. */
enum touch { REDACTED, MASKED, ALLOWED, IGNORED, TOUCHES };

/* Attributes that tell of it, of records and of bodies: keys and counts. */
enum summary_key {
    KEY_OF_KEYS = 0,           /* + touch */
    KEY_OF_COUNTS = TOUCHES,   /* + touch */
    KEY_OF_BODY = 2 * TOUCHES, /* + one of those */
    SUMMARY_KEYS = 4 * TOUCHES
};

/* Keys that were touched; slices of the record, or of the scratch. */
struct touched {
    sl_bytes *at[TOUCHES];
    uint32_t n[TOUCHES], room[TOUCHES];
};

struct redaction {
    struct otlp_delivery_rewriter rewriter;
    const struct redaction_config *config;
    struct otlp_attr_edit edit;
    struct pattern_matcher *matcher;
    struct digest *digest; /* NULL: masked by asterisks */
    struct touched touched;
    struct touched touched_elsewhere; /* in the body, while attributes are looked at */
    struct otlp_parts parts;          /* of events */
    struct otlp_scratch scratch;      /* of bodies: texts and paths */
    sl_writer text;                   /* of the value at hand */
    sl_writer record;                 /* a record whose body or events changed */
    sl_writer body;
    size_t path_bytes; /* that the paths of a body have taken */
    uint32_t signal;
    bool failed; /* no memory */
};

bool redaction_grow(sl_writer *writer, size_t more);
/* Empty again, also after a failure. */
void redaction_restart(sl_writer *writer);
void touched_clear(struct touched *touched);
void touched_add(struct redaction *r, enum touch touch, sl_bytes key);

/* What is to become of an entry by its key. */
enum fate { FATE_IGNORE, FATE_REMOVE, FATE_MASK, FATE_LOOK };
enum fate fate_of_key(struct redaction *r, sl_bytes key);
bool value_is_allowed(struct redaction *r, sl_bytes text);
/* The text with everything masked that is to be, in the scratch; the same slice: nothing is. */
sl_bytes mask_values(struct redaction *r, struct otlp_scratch *scratch, sl_bytes text);
sl_bytes mask_all(struct redaction *r, struct otlp_scratch *scratch, sl_bytes text);

/* Redacts the attributes of the record that the editor has loaded. */
void redact_attributes(struct redaction *r);
/* Adds the summary of what was touched to the record in the editor. */
void add_summary(struct redaction *r, uint32_t first_key);

/* body.c: the body of a log record. Returns the record, or a new one with another body; touches
 * are in r->touched. */
sl_bytes redact_body(struct redaction *r, sl_bytes record);

#endif
