/* Changing the attributes of one record (span, log record, data point, event, resource, scope).
 * Loading looks for the attributes that a processor knows by their keys, or for all of them; the
 * processor gets, sets and removes; storing describes the new record as parts of the old one and of
 * new bytes. Attributes keep their place, new ones come last; nothing else of the record changes.
 * Memory is kept from record to record, but not what only a huge one needed. One thread at a time for each editor. */
#ifndef SLUICE_FORMATS_OTLP_ATTR_EDIT_H
#define SLUICE_FORMATS_OTLP_ATTR_EDIT_H
#include "formats/otlp/parts.h"

enum { OTLP_NONE = UINT32_MAX };

/* Keys that are known before any record is. Read-only once it is made. Zeroed: empty. */
struct otlp_keys {
    sl_bytes *at; /* their bytes are the caller's */
    uint32_t n;
    uint64_t lengths; /* a bit for each length modulo 64: what most attributes fail at */
};

/* The key's number, the old one if it is there already; OTLP_NONE: no memory. */
uint32_t otlp_keys_add(struct otlp_keys *keys, sl_bytes key);
void otlp_keys_free(struct otlp_keys *keys);

enum otlp_attr_state {
    OTLP_ATTR_OLD, /* as it was */
    OTLP_ATTR_SET, /* new, or with a new value */
    OTLP_ATTR_GONE
};

struct otlp_attr {
    sl_bytes key;
    sl_bytes any;             /* AnyValue message */
    const uint8_t *from, *to; /* its field in the record; NULL: it was not there */
    uint32_t next;            /* another with the same, known key */
    uint32_t state;           /* enum otlp_attr_state */
};

/* The attributes with one of the known keys; OTLP_NONE: there are none. Its end is known, too: senders
 * may give a key any number of times. */
struct otlp_attr_chain {
    uint32_t first, last;
};

struct otlp_attr_edit {
    const struct otlp_keys *keys; /* set once, before the first record */
    bool all;                     /* load attributes with unknown keys, too */
    struct otlp_attr *at;         /* old ones in their order, then new ones */
    uint32_t n, room;
    struct otlp_attr_chain *chains; /* by key number */
    uint32_t chains_room;
    uint32_t field; /* number of the attributes' field in the record */
    sl_bytes record;
    bool changed, failed;        /* failed: no memory, or a malformed record */
    struct otlp_scratch scratch; /* of the new values; cleared by load */
};

/* False: no memory, or malformed. `record` must stay valid until the parts are used. */
bool otlp_attrs_load(struct otlp_attr_edit *e, sl_bytes record, uint32_t field);

/* The first attribute with the key; NULL: there is none. Valid until the next set. */
struct otlp_attr *otlp_attrs_get(const struct otlp_attr_edit *e, uint32_t key);

/* Sets it to an AnyValue message, which must stay valid until the parts are used. There is one such
 * attribute afterwards, however many there were. */
void otlp_attrs_set(struct otlp_attr_edit *e, uint32_t key, sl_bytes any);
/* Adds one whose key is not known. */
void otlp_attrs_append(struct otlp_attr_edit *e, sl_bytes key, sl_bytes any);
void otlp_attr_replace(struct otlp_attr_edit *e, struct otlp_attr *attr, sl_bytes any);
void otlp_attr_remove(struct otlp_attr_edit *e, struct otlp_attr *attr);
/* All with the key. */
void otlp_attrs_remove(struct otlp_attr_edit *e, uint32_t key);

/* Adds the new record to the parts. False: no memory. */
bool otlp_attrs_store(struct otlp_attr_edit *e, struct otlp_parts *parts);
void otlp_attrs_free(struct otlp_attr_edit *e);

/* The number of the attributes' field in a span, log record, or data point of a metric of the type.
 */
static inline uint32_t otlp_attrs_field(uint32_t signal, uint32_t metric_type)
{
    if (signal != SL_METRICS) {
        return signal == SL_LOGS ? 6 : 9;
    }
    return metric_type == SL_METRIC_HISTOGRAM ? 9 : metric_type == SL_METRIC_EXPONENTIAL ? 1 : 7;
}

/* AnyValue messages in the editor's scratch; .p is NULL where there is no memory. */
sl_bytes otlp_any_text(struct otlp_scratch *scratch, sl_bytes text);
sl_bytes otlp_any_bool(struct otlp_scratch *scratch, bool value);
sl_bytes otlp_any_int(struct otlp_scratch *scratch, int64_t value);
sl_bytes otlp_any_double(struct otlp_scratch *scratch, double value);

#endif
