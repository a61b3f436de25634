/* From a request's body as it was sent to OTLP's protobuf: unpacks it, and transcodes JSON. One
 * thread at a time for each decoder. */
#ifndef SLUICE_RECEIVERS_OTLP_DECODE_H
#define SLUICE_RECEIVERS_OTLP_DECODE_H
#include "receivers/otlp/encoding.h"
#include "receivers/otlp/intake.h"

/* How a body is encoded. */
struct body_form {
    uint8_t encoding; /* enum content_encoding; not an absent one */
    bool json;
};

struct decoder;

/* Makes what it needs when a body first needs it. `limit`: bytes of a body, unpacked, and of what
 * JSON becomes. NULL: no memory. */
struct decoder *decoder_create(const sl_host *, size_t limit);
void decoder_destroy(struct decoder *);

/* `body` holds `used` bytes at `at`, of the signal with the index. Puts what was in them in its place
 * and lets go of it; NULL where nothing was. On failure `body` stays. */
int32_t decoder_run(struct decoder *, struct body_form, uint32_t index, sl_payload **body,
                    const uint8_t *at, uint64_t *used, sl_error *);

#endif
