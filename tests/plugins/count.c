/* A connector that makes a metric of each delivery of spans: one point, whose end is the spans'. */
#include <sluice/otlp.h>

struct config {
    sl_base base;
};
static const sl_field fields[] = {SL_END};

static int32_t process(void *self, sl_delivery *d)
{
    const sl_host *h = sl_host_of(self);
    const sl_piece all = {.from = d};
    sl_payload *p;
    sl_delivery *child;
    uint8_t *at;
    int32_t status = sl_payload_open(h, 256, &p, &at);
    if (status != SL_OK)
        return status;
    sl_writer w = sl_writer_fixed(at, 256);
    const size_t resource = sl_write_begin(&w, 1), scope = sl_write_begin(&w, 2);
    const size_t metric = sl_write_begin(&w, 2);
    sl_write_text(&w, 1, "spans");
    const size_t gauge = sl_write_begin(&w, 5), point = sl_write_begin(&w, 1);
    sl_write_fixed64(&w, 3, (uint64_t)sl_wall_clock(h));
    sl_write_fixed64(&w, 6, d->items);
    sl_write_end(&w, point);
    sl_write_end(&w, gauge);
    sl_write_end(&w, metric);
    sl_write_end(&w, scope);
    sl_write_end(&w, resource);
    status = w.failed ? SL_ERR_FAILED : sl_payload_close(h, p, w.used, SL_METRICS, NULL, 0, NULL);
    if (status == SL_OK)
        status = sl_derive_with(h, &all, 1, SL_AS_ONE, p, NULL, &child);
    if (status != SL_OK) {
        sl_payload_unref(h, p);
        return status;
    }
    sl_finish(h, d, SL_DELIVERED, NULL);
    (void)sl_forward(h, child);
    return SL_OK;
}

SL_TYPE(connector, test_count, .signals = SL_TRACES, .signals_out = SL_METRICS,
        SL_CONFIG(struct config, fields), .process = process, .help = "Counts spans.");
SL_PLUGIN("0.1", &sl_type_test_count);
