/* Plugins that are each wrong in one way, which the build names in BROKEN_... */
#include <sluice/plugin.h>

#ifdef BROKEN_UNRESOLVED
int32_t nobody_defines_this(void);
#endif

#ifdef BROKEN_ABI_MINOR
SL_SECTION_("abi 0.99");
#elif !defined BROKEN_NO_SECTION
SL_SECTION_("abi 0.1");
#endif
#ifndef BROKEN_NO_SECTION
SL_SECTION_("type processor:broken");
#endif
#ifdef BROKEN_SECTION_HAS_MORE
SL_SECTION_("type exporter:phantom");
#endif
#ifdef BROKEN_KIND
SL_SECTION_("type gadget:broken");
#endif

static int32_t process(void *instance, sl_delivery *delivery)
{
    (void)instance;
    (void)delivery;
#ifdef BROKEN_UNRESOLVED
    return nobody_defines_this();
#else
    return SL_OK;
#endif
}

#ifdef BROKEN_TYPES_HAVE_MORE
static const char *const aliases[] = {"not_in_the_section", NULL};
#endif

static const sl_type broken = {.size = sizeof(sl_type),
                               .kind = SL_KIND_processor,
                               .name = "broken",
                               .signals = SL_TRACES,
#ifdef BROKEN_FLAGS
                               .flags = SL_HOLDS | 1u << 20,
#endif
#ifdef BROKEN_TYPES_HAVE_MORE
                               .aliases = aliases,
#endif
                               .process = process};
static const sl_type *const types[] = {&broken};

#ifdef BROKEN_FUNCTION
SL_EXPORT_ int32_t sluice_plugin(void);
int32_t sluice_plugin(void)
{
    return process((void *)(uintptr_t)types, NULL);
}
#elif defined BROKEN_SHORT
SL_EXPORT_ const uint32_t sluice_plugin;
const uint32_t sluice_plugin = SL_MAGIC;
SL_EXPORT_ const sl_type *const *unused(void);
const sl_type *const *unused(void)
{
    return types;
}
#else
#ifdef BROKEN_NO_SYMBOL
#define sluice_plugin hidden_plugin
#endif
SL_EXPORT_ const sl_plugin sluice_plugin;
const sl_plugin sluice_plugin = {
#ifdef BROKEN_MAGIC
    0x12345678,
#else
    SL_MAGIC,
#endif
#ifdef BROKEN_SIZE
    4096,
#else
    sizeof(sl_plugin),
#endif
    SL_ABI_MAJOR,
#if defined BROKEN_ABI_MINOR || defined BROKEN_ABI_DISAGREES
    99,
#else
    SL_ABI_MINOR,
#endif
    1,
    "1",
    types,
    NULL};
#endif
