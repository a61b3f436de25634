/* Fuzz target: rewriting bytes that nobody checked. The first byte chooses the signal and what is
 * done to headers, the second what is done to items, the rest is the request. What is made of a
 * checked request passes the check, has the items that were kept, and no attribute that was to go. */
#include "formats/otlp/attr_edit.h"
#include "formats/otlp/check.h"
#include "formats/otlp/rewrite.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct context {
    struct otlp_keys keys;
    struct otlp_attr_edit edit;
    uint32_t signal;
    uint8_t headers, items;
    uint32_t n;
    bool sound; /* the request passes the check */
};

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static bool grow(sl_writer *w, size_t more)
{
    w->room = w->used + more;
    w->at = realloc(w->at, w->room);
    return w->at != NULL;
}

/* Sets "a", removes "k". */
static enum otlp_verdict edit(struct context *c, sl_bytes record, uint32_t field,
                              struct otlp_parts *parts)
{
    if (!otlp_attrs_load(&c->edit, record, field)) {
        return OTLP_KEEP; /* malformed */
    }
    otlp_attrs_set(&c->edit, 0, otlp_any_text(&c->edit.scratch, sl_str("value")));
    otlp_attrs_remove(&c->edit, 1);
    require(otlp_attrs_store(&c->edit, parts));
    uint8_t *all = malloc((size_t)parts->bytes + 1), *p = all;
    for (uint32_t i = 0; i < parts->n; i++) {
        p = sl_put_slice(p, parts->at[i]);
    }
    sl_value value;
    const sl_attrs attrs = sl_repeated_of(sl_slice(all, (size_t)(p - all)), field);
    require(!c->sound ||
            (sl_attr_find(attrs, sl_str("a"), &value) && sl_value_is(&value, "value")));
    require(!c->sound || !sl_attr_find(attrs, sl_str("k"), &value));
    free(all);
    return OTLP_CHANGE;
}

static enum otlp_verdict choose(struct context *c, uint8_t how, sl_bytes record, uint32_t field,
                                struct otlp_parts *parts)
{
    switch ((how + c->n++ * (how >> 4)) & 3) {
    case 1:
        return edit(c, record, field, parts);
    case 2:
        return OTLP_DROP;
    default:
        return OTLP_KEEP;
    }
}

static enum otlp_verdict resource(void *ctx, sl_bytes record, struct otlp_parts *parts)
{
    struct context *c = ctx;
    return choose(c, c->headers >> 2, record, 1, parts);
}

static enum otlp_verdict scope(void *ctx, sl_bytes record, struct otlp_parts *parts)
{
    struct context *c = ctx;
    return choose(c, c->headers >> 4, record, 3, parts);
}

static enum otlp_verdict metric(void *ctx, sl_bytes record)
{
    struct context *c = ctx;
    return record.n % 5 == 0 && c->headers & 0x80 ? OTLP_DROP : OTLP_KEEP;
}

static enum otlp_verdict item(void *ctx, sl_bytes record, uint32_t metric_type,
                              struct otlp_parts *parts)
{
    struct context *c = ctx;
    return choose(c, c->items, record, otlp_attrs_field(c->signal, metric_type), parts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint32_t signals[] = {SL_TRACES, SL_METRICS, SL_LOGS, SL_TRACES};
    const struct otlp_rewrite_calls calls = {
        .resource = resource, .scope = scope, .metric = metric, .item = item};
    if (size < 2) {
        return 0;
    }
    struct context c = {.signal = signals[data[0] & 3], .headers = data[0], .items = data[1]};
    struct otlp_rewriter r = {.n = 0};
    struct otlp_checked before, after;
    const sl_bytes request = sl_slice(data + 2, size - 2);
    c.sound = otlp_check(c.signal, request.p, request.n, NULL, &before, NULL) == SL_OK;
    require(otlp_keys_add(&c.keys, sl_str("a")) == 0 && otlp_keys_add(&c.keys, sl_str("k")) == 1);
    c.edit.keys = &c.keys;
    c.edit.all = data[1] & 8;
    r.out = sl_writer_growing(grow, NULL);
    const int32_t status = otlp_rewrite(&r, c.signal, &request, 1, &calls, &c);
    require(status == SL_OK || !c.sound);
    if (status == SL_OK && r.changed) {
        uint8_t *all = malloc((size_t)r.bytes + 1), *p = all;
        for (uint32_t i = 0; i < r.n; i++) {
            const struct otlp_stretch *s = &r.stretches[i];
            p = sl_put_slice(p, sl_slice(s->p ? s->p : r.out.at + s->at, s->n));
        }
        require((size_t)(p - all) == r.bytes);
        require(!c.sound || (r.seen == before.items &&
                             otlp_check(c.signal, all, r.bytes, NULL, &after, NULL) == SL_OK &&
                             after.items == r.items));
        free(all);
    }
    free(r.out.at);
    otlp_rewriter_free(&r);
    otlp_attrs_free(&c.edit);
    otlp_keys_free(&c.keys);
    return 0;
}
