/* Another plugin with the same type name as good.c, and a codec name that several may have. */
#include <sluice/plugin.h>

static int32_t process(void *instance, sl_delivery *delivery)
{
    (void)instance;
    (void)delivery;
    return SL_ERR_REJECTED;
}

static int32_t turn(void *component, const sl_payload *in, sl_payload **out, sl_error *error)
{
    (void)component;
    (void)in;
    (void)out;
    return sl_fail(error, SL_ERR_UNSUPPORTED, "not a real codec");
}

SL_TYPE(processor, good, .signals = SL_TRACES, .process = process);
SL_TYPE(codec, shared, .signals = SL_METRICS, .encode = turn, .decode = turn);
SL_PLUGIN("2", &sl_type_good, &sl_type_shared);
