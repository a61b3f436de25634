/* A codec that turns every bit over, and a processor that sends deliveries on in that encoding. */
#include <sluice/plugin.h>

struct config {
    sl_base base;
};
static const sl_field fields[] = {SL_END};

static int32_t turn(void *self, const sl_payload *in, sl_payload **out, const char *encoding,
                    sl_error *error)
{
    const sl_host *h = sl_host_of(self);
    uint8_t *to;
    sl_payload *p;
    int32_t status = h->table->payload_open(h, in->bytes, &p, &to);
    if (status != SL_OK)
        return status;
    for (uint32_t s = 0; s < in->n_segments; s++)
        for (size_t i = 0; i < in->segments[s].n; i++)
            *to++ = (uint8_t)~in->segments[s].p[i];
    status = h->table->payload_close(h, p, in->bytes, in->signal, encoding, in->items, error);
    if (status != SL_OK)
        h->table->payload_unref(h, p);
    else
        *out = p;
    return status;
}

static int32_t encode(void *self, const sl_payload *in, sl_payload **out, sl_error *error)
{
    return turn(self, in, out, "test_xor", error);
}

static int32_t decode(void *self, const sl_payload *in, sl_payload **out, sl_error *error)
{
    return turn(self, in, out, NULL, error);
}

static int32_t process(void *self, sl_delivery *d)
{
    const sl_host *h = sl_host_of(self);
    const sl_piece all = {.from = d};
    sl_payload *p;
    sl_delivery *child;
    int32_t status = encode(self, d->payload, &p, NULL);
    if (status != SL_OK)
        return status;
    status = h->table->derive(h, &all, 1, SL_ITEMWISE, p, NULL, &child);
    if (status != SL_OK) {
        h->table->payload_unref(h, p);
        return status;
    }
    sl_finish(h, d, SL_DELIVERED, NULL);
    (void)sl_forward(h, child);
    return SL_OK;
}

SL_TYPE(codec, test_xor, .signals = SL_TRACES, SL_CONFIG(struct config, fields), .encode = encode,
        .decode = decode, .help = "Turns every bit over.");
SL_TYPE(processor, test_encode, .signals = SL_TRACES, SL_CONFIG(struct config, fields),
        .process = process, .help = "Encodes deliveries with test_xor.");
SL_PLUGIN("0.1", &sl_type_test_xor, &sl_type_test_encode);
