/* As a plugin of an older header looks: its tables end early. What lies behind them is not read. */
#include <sluice/plugin.h>

static int32_t process(void *instance, sl_delivery *delivery)
{
    (void)instance;
    (void)delivery;
    return SL_OK;
}

static void beyond(void *instance)
{
    (void)instance;
}

SL_SECTION_("abi 0.1");
SL_SECTION_("type processor:older");
SL_SECTION_("hint of a newer header"); /* unknown words are skipped */

static const sl_type older = {.size = offsetof(sl_type, on_timer),
                              .kind = SL_KIND_processor,
                              .name = "older",
                              .signals = SL_TRACES,
                              .process = process,
                              .on_ready = beyond};
static const sl_type *const types[] = {&older};

SL_EXPORT_ const sl_plugin sluice_plugin;
const sl_plugin sluice_plugin = {SL_MAGIC,
                                 offsetof(sl_plugin, interface_of),
                                 SL_ABI_MAJOR,
                                 SL_ABI_MINOR,
                                 1,
                                 "0.1",
                                 types,
                                 (const void *(*)(const char *))(uintptr_t)beyond};
