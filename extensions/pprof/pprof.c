/* The extension "pprof" of the OpenTelemetry Collector: its keys are read and checked, so that a
 * configuration that names it runs, and that is all. */
#include "sluice/plugin.h"

struct pprof {
    sl_base base;
    sl_bytes endpoint, save_to_file;
    int64_t block_profile_fraction, mutex_profile_fraction;
    struct dialer {
        int64_t timeout; /* ns */
    } dialer;
};

static const sl_field dialer_fields[] = {
    SL_DURATION(struct dialer, timeout, "How long to wait for a connection."), SL_END};
static const sl_struct dialer_struct = {sizeof(struct dialer), 0, dialer_fields};

static const sl_field fields[] = {
    SL_TEXT(struct pprof, endpoint, "Where the Collector serves its profiles.",
            .text = "localhost:1777"),
    SL_I64(struct pprof, block_profile_fraction, "How many blocking events are profiled."),
    SL_I64(struct pprof, mutex_profile_fraction, "How many waits for a lock are profiled."),
    SL_TEXT(struct pprof, save_to_file, "Where the Collector writes its CPU profile at the end."),
    SL_STRUCT(struct pprof, dialer, &dialer_struct, "How connections are made."),
    SL_END};

SL_TYPE(extension, pprof, .flags = SL_INERT, .stability = SL_BETA, SL_CONFIG(struct pprof, fields),
        .help = "In the Collector it serves profiles of the Go runtime; there is none here.");
SL_PLUGIN("0.1.0", &sl_type_pprof);
