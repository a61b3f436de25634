/* Payloads and deliveries from one encoding to another. Any thread. */
#include "pipeline/graph/transcode.h"
#include "pipeline/delivery/metadata.h"
#include "pipeline/graph/codecs.h"

static bool same_encoding(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

/* One step: from OTLP, or to it. */
static int32_t convert(struct runtime *r, const sl_payload *in, const char *encoding,
                       sl_payload **out, sl_error *error)
{
    const char *name = encoding ? encoding : in->encoding;
    struct component *codec = codecs_find(r, name, in->signal);
    if (!codec)
        return sl_fail(error, SL_ERR_UNSUPPORTED, "no codec \"%s\" for %s", name,
                       service_signal_name(in->signal));
    sl_payload *made = NULL;
    const int32_t status = encoding ? codec->type->encode(codec->self, in, &made, error)
                                    : codec->type->decode(codec->self, in, &made, error);
    if (status != SL_OK)
        return status;
    if (made->items != in->items || made->signal != in->signal ||
        !same_encoding(made->encoding, encoding)) {
        payload_unref(payload_of(made));
        return sl_fail(error, SL_ERR_FAILED, "codec \"%s\" made something else of the data", name);
    }
    *out = made;
    return SL_OK;
}

int32_t payload_transcode(struct runtime *r, const sl_payload *in, const char *encoding,
                          sl_payload **out, sl_error *error)
{
    if (same_encoding(in->encoding, encoding)) {
        payload_ref(payload_of(in));
        *out = &payload_of(in)->pub;
        return SL_OK;
    }
    if (!in->encoding || !encoding)
        return convert(r, in, encoding, out, error);
    sl_payload *plain;
    int32_t status = convert(r, in, NULL, &plain, error);
    if (status != SL_OK)
        return status;
    status = convert(r, plain, encoding, out, error);
    payload_unref(payload_of(plain));
    return status;
}

int32_t delivery_decode(struct runtime *r, struct delivery **d)
{
    const sl_payload *in = (*d)->pub.payload;
    if (!in || !in->encoding)
        return SL_OK;
    sl_payload *out;
    sl_error error = {.size = sizeof error};
    int32_t status = payload_transcode(r, in, NULL, &out, &error);
    if (status != SL_OK)
        return status;
    struct delivery *child;
    const sl_piece whole = {.from = &(*d)->pub};
    status =
        delivery_derive(r->memory, &whole, 1, SL_ITEMWISE, payload_of(out), NULL, NULL, &child);
    if (status != SL_OK) {
        payload_unref(payload_of(out));
        return status;
    }
    const struct ending end = {.outcome = SL_DELIVERED};
    child->run = (*d)->run;
    (*d)->run = NULL;
    delivery_finish(*d, &end, NULL);
    *d = child;
    return SL_OK;
}

int32_t delivery_decode_for(const struct component *c, struct delivery **d)
{
    return c->type->flags & SL_ANY_ENCODING ? SL_OK : delivery_decode(c->runtime, d);
}
