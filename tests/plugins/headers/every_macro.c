/* Uses every macro of <sluice/plugin.h> in its shortest and in its longest form; compiled, without
 * being loaded, with the warnings that a careful author switches on. */
#include <sluice/otlp.h>

struct small {
    uint32_t size;
    uint8_t given;
};

struct config {
    sl_base base;
    uint8_t on;
    uint32_t number, choice, kind;
    int64_t signed_number, time;
    uint64_t large, size;
    double share;
    sl_bytes text;
    sl_list texts, map, list;
    const sl_raw *raw;
    struct small small, other;
    uint8_t other_given;
    union {
        struct small one, two;
    } chosen;
};

static const char *const names[] = {"one", "two", NULL};
static const sl_field small_fields[] = {
    SL_U32(struct small, size, "Help.", .def.u = 8, SL_RANGE(u, 1, 9), .unit = "items"), SL_END};
static const sl_struct small = {sizeof(struct small), 0, small_fields};
static const sl_struct *const choices[] = {&small, &small};

static const sl_field fields[] = {
    SL_BOOL(struct config, on, "Help."),
    SL_U32(struct config, number, "Help."),
    SL_I64(struct config, signed_number, "Help."),
    SL_U64(struct config, large, "Help."),
    SL_F64(struct config, share, "Help.", .def.f = 0.5),
    SL_TEXT(struct config, text, "Help.", .text = "default", .flags = SL_SECRET),
    SL_DURATION(struct config, time, "Help."),
    SL_SIZE(struct config, size, "Help."),
    SL_ENUM(struct config, choice, names, "Help."),
    SL_TEXTS(struct config, texts, "Help."),
    SL_MAP(struct config, map, "Help."),
    SL_LIST(struct config, list, &small, "Help."),
    SL_RAW(struct config, raw, "Help."),
    SL_STRUCT(struct config, small, &small, "Help."),
    SL_STRUCT(struct config, other, &small, "Help.", SL_PRESENT(struct config, other_given)),
    SL_UNION(struct config, chosen, kind, names, choices, "Help."),
    SL_IGNORE("ignored", "Help."),
    SL_END};

static int32_t process(void *self, sl_delivery *d)
{
    const struct config *c = self;
    return c->list.n && SL_LIST_AT(struct small, c->list, 0)->given
               ? SL_ERR_FULL
               : sl_forward(sl_host_of(self), d);
}

static const void *interface_of(const char *id)
{
    (void)id;
    return NULL;
}

static const char *const aliases[] = {"every_one", NULL};
SL_ALIAS(processor, every_one);
SL_TYPE(processor, every, .signals = SL_TRACES, .aliases = aliases,
        SL_CONFIG(struct config, fields), .process = process);
SL_TYPE(processor, bare, .process = process);
SL_PLUGIN_WITH("1.0", interface_of, &sl_type_every, &sl_type_bare);
