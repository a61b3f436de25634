/* Loads the decoder for the first body that needs it. One thread at a time. */
#include "receivers/otlp/decode.h"

static int32_t prepare(struct decoding *d, sl_error *error)
{
    const sl_plugins *plugins = (const sl_plugins *)sl_interface(d->host, SL_PLUGINS);
    const void *table = NULL;
    int32_t status = SL_OK;
    if (!d->api) {
        status = plugins
                     ? plugins->load(d->host, OTLP_DECODE_PLUGIN, OTLP_DECODE, &table, error)
                     : sl_fail(error, SL_ERR_UNSUPPORTED, "this host cannot load other plugins");
        d->api = (const struct decoder_api *)table;
    }
    if (status == SL_OK && !d->decoder)
        d->decoder = d->api->create(d->host, d->limit);
    if (status == SL_OK && !d->decoder)
        status = sl_fail(error, SL_ERR_NOMEM, "no memory to decode the body");
    return status;
}

int32_t decoding_run(struct decoding *d, struct body_form form, uint32_t index, sl_payload **body,
                     const uint8_t *at, uint64_t *used, sl_error *error)
{
    sl_error why = {.size = sizeof why};
    if (form.encoding == ENCODING_PLAIN && !form.json)
        return SL_OK;
    const int32_t status = prepare(d, &why);
    if (status == SL_OK)
        return d->api->run(d->decoder, form, index, body, at, used, error);
    if (status == SL_ERR_NOMEM)
        return sl_fail(error, status, "%s", why.text);
    /* The sender did nothing wrong, and may try again: what is installed can be mended. */
    sl_log(d->host, SL_LOG_ERROR, "OTLP: compressed and JSON requests cannot be read: %s",
           why.text);
    return sl_fail(error, SL_ERR_IO, "this server cannot read compressed and JSON requests now");
}

void decoding_deinit(struct decoding *d)
{
    if (d->decoder)
        d->api->destroy(d->decoder);
    d->decoder = NULL;
}
