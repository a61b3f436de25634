/* A plugin without types, which only gives others an interface. */
#include <sluice/plugin.h>

static const void *interface_of(const char *id)
{
    static const uint32_t table = 42;
    return strcmp(id, "test.answer/1") == 0 ? &table : NULL;
}

SL_SECTION_("abi 0.1");
SL_EXPORT_ const sl_plugin sluice_plugin;
const sl_plugin sluice_plugin = {SL_MAGIC, sizeof(sl_plugin), SL_ABI_MAJOR, SL_ABI_MINOR, 0, "1",
                                 NULL,     interface_of};
