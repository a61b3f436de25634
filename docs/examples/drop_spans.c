/* drop_spans: drops spans that have an attribute, or only those where it has a given value.
 *     cc -shared -fPIC -o drop_spans.so drop_spans.c */
#include <sluice/otlp.h>

struct drop_spans {
    sl_base base;
    sl_bytes key, value;
};

static const sl_field fields[] = {
    SL_TEXT(struct drop_spans, key, "The attribute to look for.", .flags = SL_REQUIRED),
    SL_TEXT(struct drop_spans, value, "Drop only spans where it is this text."), SL_END};

static int32_t process(void *self, sl_delivery *delivery)
{
    const struct drop_spans *config = self;
    const sl_host *host = sl_host_of(self);
    uint64_t *keep = sl_mask(host, delivery);
    sl_view view;
    if (!keep || sl_view_of(host, delivery, &view) != SL_OK)
        return SL_ERR_NOMEM;
    for (uint32_t i = 0; i < view.items.n; i++) {
        sl_value v;
        if (sl_attr_find(sl_span_attrs(sl_span_at(&view, i)), config->key, &v) &&
            (!config->value.p || (v.type == SL_VALUE_TEXT && sl_eq(v.bytes, config->value))))
            sl_mask_clear(keep, i);
    }
    return sl_select(host, delivery, keep, "attribute");
}

SL_TYPE(processor, drop_spans, .signals = SL_TRACES, SL_CONFIG(struct drop_spans, fields),
        .process = process, .help = "Drops spans by attribute.");
SL_PLUGIN("1.0", &sl_type_drop_spans);
