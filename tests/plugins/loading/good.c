/* A processor with an alias and a config table of most kinds of fields, and an extension. */
#include <sluice/plugin.h>

struct policy {
    uint32_t kind;
    double rate;
    sl_list policies;
};

extern const sl_struct policy_struct;
static const char *const kinds[] = {"always", "rate", NULL};
static const sl_field policy_fields[] = {
    SL_ENUM(struct policy, kind, kinds, "What decides."),
    SL_F64(struct policy, rate, "Share that is kept.", .def.f = 0.5, SL_RANGE(f, 0, 1)),
    SL_LIST(struct policy, policies, &policy_struct, "Policies below this one."), SL_END};
const sl_struct policy_struct = {sizeof(struct policy), 0, policy_fields};

struct good {
    sl_base base;
    uint8_t on, limits_set;
    uint32_t count;
    sl_bytes text;
    int64_t timeout;
    struct {
        uint64_t bytes;
    } limits;
    struct policy policy;
    const sl_raw *rest;
};
static const sl_field limit_fields[] = {
    {.key = "bytes", .kind = SL_FIELD_SIZE, .help = "Most bytes.", .def.u = 1024}, SL_END};
static const sl_struct limit_struct = {sizeof(uint64_t), 0, limit_fields};
static const sl_field fields[] = {
    SL_BOOL(struct good, on, "Switches it on."),
    SL_U32(struct good, count, "Items.", .def.u = 8192, SL_RANGE(u, 1, 65536)),
    SL_TEXT(struct good, text, "A text.", .text = "none"),
    SL_DURATION(struct good, timeout, "How long it waits.", .def.i = 200000000),
    SL_STRUCT(struct good, limits, &limit_struct, "Limits.", SL_PRESENT(struct good, limits_set)),
    SL_STRUCT(struct good, policy, &policy_struct, "Policies.", .flags = SL_INLINE),
    SL_RAW(struct good, rest, "Anything."),
    SL_IGNORE("garbage_collection", "There is none in C."),
    SL_END};

static int32_t process(void *instance, sl_delivery *delivery)
{
    (void)instance;
    (void)delivery;
    return SL_OK;
}

static const char *const aliases[] = {"good_alias", NULL};

SL_ALIAS(processor, good_alias);
SL_TYPE(processor, good, .help = "Lets everything pass.", .aliases = aliases,
        .signals = SL_TRACES | SL_LOGS, .stability = SL_BETA, SL_CONFIG(struct good, fields),
        .process = process);
SL_TYPE(extension, good_extension, .help = "Does nothing.");
SL_PLUGIN("1.2.3", &sl_type_good, &sl_type_good_extension);
