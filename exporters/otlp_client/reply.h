/* The body of a destination's answer as protobuf, whatever it came as: inflated, transcoded from
 * JSON, each within a limit. Any thread. */
#ifndef SLUICE_EXPORTERS_OTLP_CLIENT_REPLY_H
#define SLUICE_EXPORTERS_OTLP_CLIENT_REPLY_H
#include "formats/otlp/json_schema.h"
#include "sluice/plugin.h"

struct client_reply {
    uint8_t *at; /* malloc; free it, also after a failure */
    size_t n;
};

/* gzip. SL_ERR_INVALID, SL_ERR_TOO_LARGE, SL_ERR_NOMEM. */
int32_t client_reply_inflate(sl_bytes packed, size_t limit, struct client_reply *);
/* The same for OTLP's JSON of the schema's root type. */
int32_t client_reply_transcode(const struct json_schema *, sl_bytes text, size_t limit,
                               struct client_reply *);

#endif
