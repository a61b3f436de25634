/* From a request's body as it was sent to OTLP's protobuf: unpacks it, and transcodes JSON. It lives
 * in a plugin file of its own, otlp_decode.so, that the first such request loads: its libraries take
 * half a millisecond to load that plain protobuf does not need. Private to the receiver. */
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

#define OTLP_DECODE_PLUGIN "otlp_decode"
#define OTLP_DECODE "sluice.otlp_decode/1"
struct decoder_api {
    uint32_t size;
    uint32_t reserved;
    /* Makes what it needs when a body first needs it. `limit`: bytes of a body, unpacked, and of what
     * JSON becomes. NULL: no memory. */
    struct decoder *(*create)(const sl_host *, size_t limit);
    void (*destroy)(struct decoder *);
    /* One thread at a time. There are `used` bytes at `at`, of the signal with the index; `body` is
     * the payload that holds them, or NULL. Puts what was in them in its place and lets go of it;
     * NULL where nothing was. On failure `body` stays. */
    int32_t (*run)(struct decoder *, struct body_form, uint32_t index, sl_payload **body,
                   const uint8_t *at, uint64_t *used, sl_error *);
};

/* A decoder that is made when first needed. All zero but for the first two: none yet. */
struct decoding {
    const sl_host *host;
    size_t limit;
    const struct decoder_api *api;
    struct decoder *decoder;
};
/* decoder_api.run of the decoder. One thread at a time. What is plain already stays as it is. */
int32_t decoding_run(struct decoding *, struct body_form, uint32_t index, sl_payload **body,
                     const uint8_t *at, uint64_t *used, sl_error *);
void decoding_deinit(struct decoding *);

#endif
