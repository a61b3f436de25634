/* The extension "memory_ballast", which old configurations of the OpenTelemetry Collector name: its
 * keys are read and checked, and that is all. */
#include "sluice/plugin.h"

struct memory_ballast {
    sl_base base;
    uint64_t size_mib, size_in_percentage;
};

static const sl_field fields[] = {
    SL_U64(struct memory_ballast, size_mib, "Memory to take from the garbage collector's sight.",
           .unit = "MiB"),
    SL_U64(struct memory_ballast, size_in_percentage, "The same as a part of what there is.",
           .unit = "percent", SL_RANGE(u, 0, 100)),
    SL_END};

SL_TYPE(
    extension, memory_ballast, .flags = SL_INERT, .stability = SL_STABILITY_DEPRECATED,
    SL_CONFIG(struct memory_ballast, fields),
    .help = "In the Collector it made Go collect garbage less often; there is no garbage here.");
SL_PLUGIN("0.1.0", &sl_type_memory_ballast);
