/* redaction: removes attributes that are not allowed, and masks what must not leave, in spans and their
 * events, log records and their bodies, metric points, resources and scopes. Each lane has an
 * instance; the component is read-only. */
#include "processors/redaction/redaction.h"

#include <stdlib.h>

static void begin(struct redaction *r)
{
    r->failed = false;
    touched_clear(&r->touched);
}

static enum otlp_verdict result(struct redaction *r, bool changed, struct otlp_parts *parts)
{
    if (r->failed || r->edit.failed)
        return OTLP_ABORT;
    if (!changed)
        return OTLP_KEEP;
    return otlp_attrs_store(&r->edit, parts) ? OTLP_CHANGE : OTLP_ABORT;
}

/* A record of which nothing but its attributes is looked at. */
static enum otlp_verdict redact_record(struct redaction *r, sl_bytes record, uint32_t field,
                                       struct otlp_parts *parts)
{
    begin(r);
    if (!otlp_attrs_load(&r->edit, record, field))
        return OTLP_ABORT;
    redact_attributes(r);
    add_summary(r, 0);
    return result(r, r->edit.changed, parts);
}

static enum otlp_verdict see_resource(void *ctx, sl_bytes record, struct otlp_parts *parts)
{
    return redact_record(ctx, record, 1, parts);
}

static enum otlp_verdict see_scope(void *ctx, sl_bytes record, struct otlp_parts *parts)
{
    return redact_record(ctx, record, 3, parts);
}

static enum otlp_verdict see_point(void *ctx, sl_bytes record, uint32_t metric_type,
                                   struct otlp_parts *parts)
{
    return redact_record(ctx, record, otlp_attrs_field(SL_METRICS, metric_type), parts);
}

/* A copy of the span with its events redacted; the span itself where they stay as they are. False: no
 * memory. */
static bool redact_events(struct redaction *r, sl_bytes *span)
{
    enum { EVENTS = 11, EVENT_ATTRIBUTES = 3 };
    const uint8_t *done = span->p;
    sl_wire w = sl_wire_of(*span);
    redaction_restart(&r->record);
    for (;;) {
        const uint8_t *from = w.p;
        if (!sl_wire_next(&w))
            break;
        /* two comparisons: as one, they would wait for both to be stored */
        if (__builtin_expect(w.number != EVENTS, 1) || w.type != SL_BYTES)
            continue;
        otlp_parts_clear(&r->parts);
        switch (redact_record(r, w.bytes, EVENT_ATTRIBUTES, &r->parts)) {
        case OTLP_KEEP:
            continue;
        case OTLP_CHANGE:
            break;
        default:
            return false;
        }
        sl_write_raw(&r->record, sl_slice(done, (size_t)(from - done)));
        const size_t mark = sl_write_begin_sized(&r->record, EVENTS, (size_t)r->parts.bytes);
        for (uint32_t i = 0; i < r->parts.n; i++)
            sl_write_raw(&r->record, r->parts.at[i]);
        sl_write_end(&r->record, mark);
        done = w.p;
    }
    if (done != span->p) {
        sl_write_raw(&r->record, sl_slice(done, (size_t)(w.end - done)));
        *span = sl_written(&r->record);
    }
    return !r->record.failed;
}

static enum otlp_verdict see_span(void *ctx, sl_bytes record, uint32_t metric_type,
                                  struct otlp_parts *parts)
{
    struct redaction *r = ctx;
    sl_bytes span = record;
    (void)metric_type;
    if (!redact_events(r, &span))
        return OTLP_ABORT;
    begin(r);
    if (!otlp_attrs_load(&r->edit, span, 9))
        return OTLP_ABORT;
    redact_attributes(r);
    add_summary(r, 0);
    return result(r, r->edit.changed || span.p != record.p, parts);
}

static void swap_touched(struct redaction *r)
{
    const struct touched other = r->touched_elsewhere;
    r->touched_elsewhere = r->touched;
    r->touched = other;
}

/* Body and attributes have summaries of their own, both among the attributes. */
static enum otlp_verdict see_log(void *ctx, sl_bytes record, uint32_t metric_type,
                                 struct otlp_parts *parts)
{
    struct redaction *r = ctx;
    (void)metric_type;
    begin(r);
    const sl_bytes log = redact_body(r, record);
    swap_touched(r);
    touched_clear(&r->touched);
    if (!otlp_attrs_load(&r->edit, log, 6))
        return OTLP_ABORT;
    redact_attributes(r);
    add_summary(r, 0);
    swap_touched(r);
    add_summary(r, KEY_OF_BODY);
    return result(r, r->edit.changed || log.p != record.p, parts);
}

static int32_t process(void *instance, sl_delivery *d)
{
    struct redaction *r = instance;
    if (!d->payload)
        return SL_ERR_STATE;
    r->signal = d->payload->signal;
    const struct otlp_rewrite_calls calls = {
        .resource = see_resource,
        .scope = see_scope,
        .item = r->signal == SL_TRACES    ? see_span
                : r->signal == SL_METRICS ? see_point
                                          : see_log,
    };
    return otlp_rewrite_delivery(&r->rewriter, d, &calls, r, NULL, NULL);
}

/* ---- life ---- */

static void close_lane(void *instance)
{
    struct redaction *r = instance;
    const sl_host *h = r->rewriter.host;
    for (uint32_t i = 0; i < TOUCHES; i++) {
        free(r->touched.at[i]);
        free(r->touched_elsewhere.at[i]);
    }
    free(r->text.at);
    free(r->record.at);
    free(r->body.at);
    otlp_parts_free(&r->parts);
    otlp_scratch_free(&r->scratch);
    otlp_attrs_free(&r->edit);
    pattern_matcher_free(r->matcher);
    digest_free(r->digest);
    otlp_delivery_rewriter_deinit(&r->rewriter);
    sl_release(h, r);
}

static int32_t open_lane(void *component, const sl_host *lane, void **instance, sl_error *error)
{
    static const enum digest_kind kinds[] = {DIGEST_MD5,         DIGEST_MD5,
                                             DIGEST_SHA1,        DIGEST_SHA3_256,
                                             DIGEST_HMAC_SHA256, DIGEST_HMAC_SHA512};
    const struct redaction_config *c = component;
    struct redaction *r = sl_allocate(lane, sizeof *r);
    if (!r)
        return sl_fail(error, SL_ERR_NOMEM, "no memory for a lane");
    *r = (struct redaction){.config = c};
    r->edit.keys = &c->summary_keys;
    r->edit.all = true;
    r->text = r->record = r->body = sl_writer_growing(redaction_grow, NULL);
    const int32_t status = otlp_delivery_rewriter_init(&r->rewriter, lane, error);
    r->matcher = pattern_matcher_create(0);
    if (c->hash_function)
        r->digest = digest_create(kinds[c->hash_function], c->hmac_key);
    if (status != SL_OK || !r->matcher || (c->hash_function && !r->digest)) {
        close_lane(r);
        return status != SL_OK ? status
                               : sl_fail(error, SL_ERR_NOMEM,
                                         "no memory for a lane, or OpenSSL does "
                                         "not allow the hash function");
    }
    *instance = r;
    return SL_OK;
}

static int32_t prepare(void *component, sl_error *error)
{
    return redaction_prepare(component, error);
}

static void destroy(void *component)
{
    redaction_free(component);
}

SL_TYPE(processor, redaction, .signals = SL_TRACES | SL_METRICS | SL_LOGS, .flags = SL_MUTATES,
        .stability = SL_BETA, SL_CONFIG(struct redaction_config, redaction_fields),
        .prepare = prepare, .destroy = destroy, .open = open_lane, .close = close_lane,
        .process = process,
        .help = "Removes attributes that are not allowed and masks what must not leave.");
SL_PLUGIN("0.1.0", &sl_type_redaction);
