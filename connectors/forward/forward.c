/* forward: the end of one or more pipelines and the beginning of others, to merge or to fan out.
 * What it takes goes on as it is, debt and all. It keeps no state, so that all lanes use the
 * component at once. */
#include "sluice/plugin.h"

struct forward {
    sl_base base;
};

static const sl_field fields[] = {SL_END};

static int32_t process(void *self, sl_delivery *delivery)
{
    /* FULL means taken, but pause; the host asks again only once there is room */
    (void)sl_forward(sl_host_of(self), delivery);
    return SL_OK;
}

SL_TYPE(connector, forward, .signals = SL_TRACES | SL_METRICS | SL_LOGS | SL_PROFILES,
        .flags = SL_ANY_ENCODING, .stability = SL_BETA, SL_CONFIG(struct forward, fields),
        .process = process, .help = "Joins pipelines of one signal: hands on what it is given.");
SL_PLUGIN("0.1.0", &sl_type_forward);
