/* A codec that turns every bit over, a processor that has deliveries encoded by it and sends them
 * on, and an exporter that takes only those. */
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
    int32_t status = sl_payload_open(h, in->bytes, &p, &to);
    if (status != SL_OK)
        return status;
    for (uint32_t s = 0; s < in->n_segments; s++)
        for (size_t i = 0; i < in->segments[s].n; i++)
            *to++ = (uint8_t)~in->segments[s].p[i];
    status = sl_payload_close(h, p, in->bytes, in->signal, encoding, in->items, error);
    if (status != SL_OK)
        sl_payload_unref(h, p);
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
    const sl_codecs *codecs = (const sl_codecs *)sl_interface(h, SL_CODECS);
    int32_t status = codecs->transcode(h, d->payload, "test_xor", &p, NULL);
    if (status != SL_OK)
        return status;
    status = sl_derive_with(h, &all, 1, SL_ITEMWISE, p, NULL, &child);
    if (status != SL_OK) {
        sl_payload_unref(h, p);
        return status;
    }
    sl_finish(h, d, SL_DELIVERED, NULL);
    (void)sl_forward(h, child);
    return SL_OK;
}

static int32_t send_encoded(void *self, sl_delivery *d, sl_send *s)
{
    (void)self;
    (void)s;
    return d->payload->encoding && !strcmp(d->payload->encoding, "test_xor") ? SL_OK
                                                                             : SL_ERR_REJECTED;
}

SL_TYPE(codec, test_xor, .signals = SL_TRACES, SL_CONFIG(struct config, fields), .encode = encode,
        .decode = decode, .help = "Turns every bit over.");
SL_TYPE(processor, test_encode, .signals = SL_TRACES, SL_CONFIG(struct config, fields),
        .process = process, .help = "Encodes deliveries with test_xor.");
SL_TYPE(exporter, test_encoded, .signals = SL_TRACES, .flags = SL_ANY_ENCODING | SL_QUEUE,
        SL_CONFIG(struct config, fields), .send = send_encoded, .help = "Takes what is encoded.");
SL_PLUGIN("0.1", &sl_type_test_xor, &sl_type_test_encode, &sl_type_test_encoded);
