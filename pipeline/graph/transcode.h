/* Codecs between nodes: where a node needs OTLP and gets an encoding, or asks for one. Any thread. */
#ifndef SLUICE_PIPELINE_TRANSCODE_H
#define SLUICE_PIPELINE_TRANSCODE_H
#include "pipeline/graph/graph.h"

/* `in` in another encoding, NULL: as OTLP; the caller unrefs it. It is `in` itself where that has
 * the encoding. SL_ERR_UNSUPPORTED: there is no such codec for the signal. */
int32_t payload_transcode(struct runtime *, const sl_payload *in, const char *encoding,
                          sl_payload **out, sl_error *);

/* If `*d` is encoded, it becomes a child with the decoded payload, and the handle of the encoded one
 * ends. On failure `*d` is unchanged. */
int32_t delivery_decode(struct runtime *, struct delivery **d);
/* The same if the component takes only OTLP. */
int32_t delivery_decode_for(const struct component *, struct delivery **d);
#endif
