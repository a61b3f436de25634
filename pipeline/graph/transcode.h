/* Codecs between nodes: where a node needs OTLP and gets an encoding. Any thread. */
#ifndef SLUICE_PIPELINE_TRANSCODE_H
#define SLUICE_PIPELINE_TRANSCODE_H
#include "pipeline/graph/graph.h"

/* If the component takes only OTLP and `*d` is encoded, `*d` becomes a child with the decoded
 * payload and the handle of the encoded one ends. On failure `*d` is unchanged. */
int32_t delivery_decode(struct component *, struct delivery **d);
#endif
