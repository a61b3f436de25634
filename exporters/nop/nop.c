/* nop: takes everything and does nothing with it, for tests and for measuring a pipeline without a
 * destination. `send` runs on the host's consumer threads and shares nothing. */
#include "sluice/plugin.h"

struct nop {
    sl_base base;
};

static const sl_field fields[] = {SL_END};

static int32_t send_nowhere(void *component, sl_delivery *delivery, sl_send *send)
{
    (void)component;
    (void)delivery;
    (void)send;
    return SL_OK;
}

SL_TYPE(exporter, nop, .signals = SL_TRACES | SL_METRICS | SL_LOGS | SL_PROFILES,
        .flags = SL_ANY_ENCODING, .stability = SL_BETA, SL_CONFIG(struct nop, fields),
        .send = send_nowhere, .help = "Takes everything, counts it as delivered, and forgets it.");
SL_PLUGIN("0.1.0", &sl_type_nop);
