/* Decoding a delivery for a node that needs OTLP. Any thread. */
#include "pipeline/graph/transcode.h"
#include "pipeline/delivery/metadata.h"
#include "pipeline/graph/codecs.h"

int32_t delivery_decode(struct component *c, struct delivery **d)
{
    const sl_payload *in = (*d)->pub.payload;
    if (!in || !in->encoding || (c->type->flags & SL_ANY_ENCODING))
        return SL_OK;
    struct component *codec = codecs_find(c->runtime, in->encoding, in->signal);
    if (!codec)
        return SL_ERR_UNSUPPORTED;
    sl_payload *out = NULL;
    sl_error error = {.size = sizeof error};
    int32_t status = codec->type->decode(codec->self, in, &out, &error);
    if (status != SL_OK)
        return status;
    struct delivery *child;
    const sl_piece whole = {.from = &(*d)->pub};
    status = delivery_derive(c->runtime->memory, &whole, 1, SL_ITEMWISE, payload_of(out), NULL,
                             NULL, &child);
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
