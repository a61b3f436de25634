/* Builds views in two walks over the envelopes: the first counts, the second fills. Items are
 * stepped over by the first. Pure functions, any thread. */
#include "formats/otlp/view.h"
#include "formats/otlp/view_entries.h"
#include <inttypes.h>

struct builder {
    const struct otlp_view_plan *room; /* NULL: only counting */
    struct otlp_view_plan used;
    struct otlp_resource_entry *resources;
    struct otlp_scope_entry *scopes;
    struct otlp_metric_entry *metrics;
    uint8_t *items;
    uint8_t *merged;
    int32_t status; /* the first failure ends the walk */
};

static bool fail(struct builder *b, int32_t status)
{
    if (b->status == SL_OK) {
        b->status = status;
    }
    return false;
}

/* One more of something; false where it does not fit 32 bits, or the room that was planned. */
static bool count(struct builder *b, uint32_t *used, const uint32_t *room)
{
    if (*used == UINT32_MAX) {
        return fail(b, SL_ERR_TOO_LARGE);
    }
    if (room && *used == *room) {
        return fail(b, SL_ERR_INVALID);
    }
    *used += 1;
    return true;
}

static bool ended(struct builder *b, const sl_wire *w)
{
    return w->p == w->end || fail(b, SL_ERR_INVALID);
}

/* ---- messages in several parts ---- */

/* Collects slices that belong to one message. The first two are at hand at once; more are put
 * together by a second walk, which merge_begin prepares. */
struct parts {
    sl_bytes at[2];
    uint32_t n;
    uint64_t bytes;
};

static void add_part(struct parts *parts, const uint8_t *from, const uint8_t *to)
{
    const size_t n = (size_t)(to - from);
    sl_bytes *last = parts->n > 0 && parts->n <= 2 ? &parts->at[parts->n - 1] : NULL;
    parts->bytes += n;
    if (last && last->p + last->n == from) {
        last->n += n;
        return;
    }
    if (parts->n < 2) {
        parts->at[parts->n] = sl_slice(from, n);
    }
    parts->n += parts->n < 3;
}

/* Memory for a message in more than `most` parts; NULL: not needed, or only counting. */
static uint8_t *merge_begin(struct builder *b, struct parts *parts, uint32_t most)
{
    if (parts->n <= most) {
        return NULL;
    }
    const uint64_t at = b->used.merged;
    b->used.merged += parts->bytes;
    if (!b->room) {
        return NULL;
    }
    if (b->used.merged > b->room->merged) {
        fail(b, SL_ERR_INVALID);
        return NULL;
    }
    parts->at[0] = sl_slice(b->merged + at, (size_t)parts->bytes);
    parts->at[1] = sl_slice(NULL, 0);
    return b->merged + at;
}

static uint8_t *append(uint8_t *to, const uint8_t *from, size_t n)
{
    memcpy(to, from, n);
    return to + n;
}

/* Field `number` of the message occurs several times: all contents one after another are the merged
 * message, as protobuf merges. */
static void merge_occurrences(uint8_t *to, sl_bytes message, uint32_t number)
{
    sl_bytes part;
    sl_repeated all = sl_repeated_of(message, number);
    while (to && sl_repeated_next(&all, &part)) {
        if (part.n > 0) {
            to = append(to, part.p, part.n);
        }
    }
}

/* All fields of the message but the message fields `number`; 0 stands for a metric's data. */
static uint8_t *merge_others(uint8_t *to, sl_bytes message, uint32_t number)
{
    sl_wire w = sl_wire_of(message);
    while (to) {
        const uint8_t *from = w.p;
        if (!sl_wire_next(&w)) {
            break;
        }
        if (number ? w.number != number || w.type != SL_BYTES : !otlp_is_data(&w)) {
            to = append(to, from, (size_t)(w.p - from));
        }
    }
    return to;
}

static void set_header(struct otlp_header *header, const struct parts *parts, uint32_t head)
{
    header->parts[0] = parts->at[0];
    header->parts[1] = parts->at[1];
    header->head = head;
    header->reserved = 0;
}

/* Bytes of tag and length in front of the field's content. */
static uint32_t head_of(const sl_wire *w, const uint8_t *from)
{
    return (uint32_t)(w->bytes.p - from);
}

/* ---- the walk ---- */

static bool add_item(struct builder *b, sl_bytes record, uint32_t head)
{
    const uint32_t i = b->used.items;
    bool ok;
    if (record.n > UINT32_MAX) {
        return fail(b, SL_ERR_TOO_LARGE);
    }
    if (!count(b, &b->used.items, b->room ? &b->room->items : NULL) || !b->room) {
        return b->status == SL_OK;
    }
    if (b->room->signal == SL_TRACES) {
        sl_span *span = (sl_span *)(void *)b->items + i;
        ok = otlp_read_span(record, span);
        span->head = (uint8_t)head;
        span->resource = b->used.resources - 1;
        span->scope = b->used.scopes - 1;
    } else if (b->room->signal == SL_LOGS) {
        sl_log_record *log = (sl_log_record *)(void *)b->items + i;
        ok = otlp_read_log(record, log);
        log->head = (uint8_t)head;
        log->resource = b->used.resources - 1;
        log->scope = b->used.scopes - 1;
    } else {
        const struct otlp_metric_entry *metric = &b->metrics[b->used.metrics - 1];
        sl_point *point = (sl_point *)(void *)b->items + i;
        ok = otlp_read_point(record, metric->pub.type, point);
        point->head = (uint8_t)head;
        point->resource = b->used.resources - 1;
        point->scope = b->used.scopes - 1;
        point->metric = b->used.metrics - 1;
        point->name = metric->pub.name;
        point->type = metric->pub.type;
        point->temporality = metric->pub.temporality;
        point->monotonic = metric->pub.monotonic;
    }
    return ok || fail(b, SL_ERR_INVALID);
}

/* What a Sum and the like say of all points: before the points, which need it. */
static void read_data(sl_bytes data, sl_metric_info *info)
{
    sl_wire w = sl_wire_of(data);
    while (sl_wire_next(&w)) {
        if (w.type == SL_VARINT && w.number == 2) {
            info->temporality = w.value < 255 ? (uint8_t)w.value : 255;
        } else if (w.type == SL_VARINT && w.number == 3) {
            info->monotonic = w.value != 0;
        }
    }
}

static bool add_points(struct builder *b, sl_bytes data, struct parts *others)
{
    sl_wire w = sl_wire_of(data);
    for (;;) {
        const uint8_t *from = w.p;
        if (!sl_wire_next(&w)) {
            return ended(b, &w);
        }
        if (w.number != OTLP_DATA_POINTS || w.type != SL_BYTES) {
            add_part(others, from, w.p);
        } else if (!add_item(b, w.bytes, head_of(&w, from))) {
            return false;
        }
    }
}

/* The metric's own fields, into `info`; and the number of its data fields. */
static bool read_metric(struct builder *b, sl_bytes message, sl_metric_info *info,
                        struct parts *others, uint32_t *n_data)
{
    sl_wire w = sl_wire_of(message);
    for (;;) {
        const uint8_t *from = w.p;
        if (!sl_wire_next(&w)) {
            return ended(b, &w);
        }
        if (otlp_is_data(&w)) {
            if (*n_data > 0 && info->type != w.number) {
                return fail(b, SL_ERR_INVALID); /* the check refuses it, too */
            }
            *n_data += 1;
            info->type = (uint8_t)w.number;
            if (b->room) {
                read_data(w.bytes, info);
            }
            continue;
        }
        add_part(others, from, w.p);
        if (w.type != SL_BYTES) {
            continue;
        }
        if (w.number == 1) {
            info->name = w.bytes;
        } else if (w.number == 2) {
            info->description = w.bytes;
        } else if (w.number == 3) {
            info->unit = w.bytes;
        } else if (w.number == 12) {
            if (info->metadata_at == info->metadata_end) {
                info->metadata_at = (uint32_t)(from - message.p);
            }
            info->metadata_end = (uint32_t)(w.p - message.p);
        }
    }
}

static bool add_metric(struct builder *b, sl_bytes message, uint32_t head)
{
    const uint32_t i = b->used.metrics, first = b->used.items;
    struct otlp_metric_entry entry = {.pub = {.record = message, .first = first}};
    struct parts others = {.n = 0}, data_others = {.n = 0};
    uint32_t n_data = 0;
    if (message.n > UINT32_MAX) {
        return fail(b, SL_ERR_TOO_LARGE);
    }
    if (!read_metric(b, message, &entry.pub, &others, &n_data) ||
        !count(b, &b->used.metrics, b->room ? &b->room->metrics : NULL)) {
        return false;
    }
    if (b->room) {
        entry.pub.resource = b->used.resources - 1;
        entry.pub.scope = b->used.scopes - 1;
        b->metrics[i] = entry; /* the points read it */
    }
    sl_wire w = sl_wire_of(message);
    while (sl_wire_next(&w)) {
        if (otlp_is_data(&w) && !add_points(b, w.bytes, &data_others)) {
            return false;
        }
    }
    merge_others(merge_begin(b, &others, 2), message, 0);
    uint8_t *to = merge_begin(b, &data_others, 2);
    w = sl_wire_of(message);
    while (to && sl_wire_next(&w)) {
        if (otlp_is_data(&w)) {
            to = merge_others(to, w.bytes, OTLP_DATA_POINTS);
        }
    }
    if (b->room) {
        struct otlp_metric_entry *metric = &b->metrics[i];
        metric->pub.n = b->used.items - first;
        set_header(&metric->header, &others, head);
        set_header(&metric->data, &data_others, 0);
    }
    return b->status == SL_OK;
}

static bool add_scope(struct builder *b, sl_bytes message, uint32_t head)
{
    const uint32_t i = b->used.scopes, first = b->used.items;
    const bool metrics = b->used.signal == SL_METRICS;
    struct parts others = {.n = 0}, record = {.n = 0};
    sl_bytes schema_url = sl_slice(NULL, 0);
    sl_wire w = sl_wire_of(message);
    if (!count(b, &b->used.scopes, b->room ? &b->room->scopes : NULL)) {
        return false;
    }
    for (;;) {
        const uint8_t *from = w.p;
        if (!sl_wire_next(&w)) {
            break;
        }
        if (w.number == OTLP_SCOPE_ITEMS && w.type == SL_BYTES) {
            if (!(metrics ? add_metric : add_item)(b, w.bytes, head_of(&w, from))) {
                return false;
            }
            continue;
        }
        add_part(&others, from, w.p);
        if (w.number == OTLP_SCOPE_SCOPE && w.type == SL_BYTES) {
            add_part(&record, w.bytes.p, w.bytes.p + w.bytes.n);
        } else if (w.number == OTLP_SCHEMA_URL && w.type == SL_BYTES) {
            schema_url = w.bytes;
        }
    }
    if (!ended(b, &w)) {
        return false;
    }
    merge_others(merge_begin(b, &others, 2), message, OTLP_SCOPE_ITEMS);
    merge_occurrences(merge_begin(b, &record, 1), message, OTLP_SCOPE_SCOPE);
    if (!b->room || b->status != SL_OK) {
        return b->status == SL_OK;
    }
    struct otlp_scope_entry *scope = &b->scopes[i];
    memset(scope, 0, sizeof *scope);
    scope->pub.envelope = message;
    scope->pub.schema_url = schema_url;
    scope->pub.first = first;
    scope->pub.n = b->used.items - first;
    scope->pub.resource = b->used.resources - 1;
    set_header(&scope->header, &others, head);
    return otlp_read_scope(record.at[0], &scope->pub) || fail(b, SL_ERR_INVALID);
}

static bool add_resource(struct builder *b, sl_bytes message, uint32_t head)
{
    const uint32_t i = b->used.resources, first = b->used.items;
    struct parts others = {.n = 0}, record = {.n = 0};
    sl_bytes schema_url = sl_slice(NULL, 0);
    sl_wire w = sl_wire_of(message);
    if (message.n > UINT32_MAX) {
        return fail(b, SL_ERR_TOO_LARGE);
    }
    if (!count(b, &b->used.resources, b->room ? &b->room->resources : NULL)) {
        return false;
    }
    for (;;) {
        const uint8_t *from = w.p;
        if (!sl_wire_next(&w)) {
            break;
        }
        if (w.number == OTLP_RECORD_SCOPES && w.type == SL_BYTES) {
            if (!add_scope(b, w.bytes, head_of(&w, from))) {
                return false;
            }
            continue;
        }
        add_part(&others, from, w.p);
        if (w.number == OTLP_RECORD_RESOURCE && w.type == SL_BYTES) {
            add_part(&record, w.bytes.p, w.bytes.p + w.bytes.n);
        } else if (w.number == OTLP_SCHEMA_URL && w.type == SL_BYTES) {
            schema_url = w.bytes;
        }
    }
    if (!ended(b, &w)) {
        return false;
    }
    merge_others(merge_begin(b, &others, 2), message, OTLP_RECORD_SCOPES);
    merge_occurrences(merge_begin(b, &record, 1), message, OTLP_RECORD_RESOURCE);
    if (!b->room || b->status != SL_OK) {
        return b->status == SL_OK;
    }
    struct otlp_resource_entry *resource = &b->resources[i];
    memset(resource, 0, sizeof *resource);
    resource->pub.envelope = message;
    resource->pub.schema_url = schema_url;
    resource->pub.first = first;
    resource->pub.n = b->used.items - first;
    set_header(&resource->header, &others, head);
    return otlp_read_resource(record.at[0], &resource->pub) || fail(b, SL_ERR_INVALID);
}

static int32_t walk(struct builder *b, sl_error *error)
{
    for (uint32_t i = 0; i < b->used.n_segments && b->status == SL_OK; i++) {
        sl_wire w = sl_wire_of(b->used.segments[i]);
        for (;;) {
            const uint8_t *from = w.p;
            if (!sl_wire_next(&w)) {
                (void)ended(b, &w);
                break;
            }
            if (w.number == OTLP_TOP_RECORD && w.type == SL_BYTES &&
                !add_resource(b, w.bytes, head_of(&w, from))) {
                break;
            }
        }
    }
    if (b->status == SL_ERR_TOO_LARGE) {
        return sl_fail(error, SL_ERR_TOO_LARGE, "a record above 4 GiB, or too many of them");
    }
    return b->status == SL_OK ? SL_OK
                              : sl_fail(error, b->status, "not an OTLP request that was checked");
}

static uint64_t item_size(uint32_t signal)
{
    return signal == SL_TRACES ? sizeof(sl_span)
           : signal == SL_LOGS ? sizeof(sl_log_record)
                               : sizeof(sl_point);
}

int32_t otlp_view_plan(uint32_t signal, const sl_bytes *segments, uint32_t n_segments,
                       struct otlp_view_plan *plan, sl_error *error)
{
    struct builder b = {.used = {.signal = signal, .segments = segments, .n_segments = n_segments}};
    if (signal != SL_TRACES && signal != SL_METRICS && signal != SL_LOGS) {
        return sl_fail(error, SL_ERR_UNSUPPORTED,
                       "signal %" PRIu32 " has no view: only traces, metrics and logs have",
                       signal);
    }
    const int32_t status = walk(&b, error);
    if (status == SL_OK) {
        /* Counts of 32 bits times sizes of some hundred bytes cannot overflow 64. */
        b.used.bytes = b.used.resources * (uint64_t)sizeof *b.resources +
                       b.used.scopes * (uint64_t)sizeof *b.scopes +
                       b.used.metrics * (uint64_t)sizeof *b.metrics +
                       b.used.items * item_size(signal) + b.used.merged;
        *plan = b.used;
    }
    return status;
}

static sl_array array_of(const void *at, uint32_t n, size_t stride)
{
    return (sl_array){.at = (const uint8_t *)at, .n = n, .stride = (uint32_t)stride};
}

int32_t otlp_view_build(const struct otlp_view_plan *plan, void *memory, sl_view *view,
                        sl_error *error)
{
    struct builder b = {.room = plan,
                        .used = {.signal = plan->signal,
                                 .segments = plan->segments,
                                 .n_segments = plan->n_segments}};
    b.resources = (struct otlp_resource_entry *)memory;
    b.scopes = (struct otlp_scope_entry *)(void *)(b.resources + plan->resources);
    b.metrics = (struct otlp_metric_entry *)(void *)(b.scopes + plan->scopes);
    b.items = (uint8_t *)(b.metrics + plan->metrics);
    b.merged = b.items + plan->items * item_size(plan->signal);
    const int32_t status = walk(&b, error);
    if (status != SL_OK) {
        return status;
    }
    memset(view, 0, sizeof *view);
    view->size = sizeof *view;
    view->signal = plan->signal;
    view->resources = array_of(b.resources, b.used.resources, sizeof *b.resources);
    view->scopes = array_of(b.scopes, b.used.scopes, sizeof *b.scopes);
    view->metrics = array_of(b.metrics, b.used.metrics, sizeof *b.metrics);
    view->items = array_of(b.items, b.used.items, (size_t)item_size(plan->signal));
    return SL_OK;
}
