/* A plugin in C++, where the tables are filled by hand; compiled, without being loaded, with the
 * warnings that a careful author switches on. */
#include <sluice/otlp.h>

namespace
{
struct config {
    sl_base base;
    sl_bytes text;
};

int32_t process(void *self, sl_delivery *d)
{
    return sl_forward(sl_host_of(self), d);
}

sl_field text_field()
{
    sl_field f = {};
    f.key = "text";
    f.kind = SL_FIELD_TEXT;
    f.offset = offsetof(config, text);
    f.help = "Help.";
    return f;
}

const sl_field fields[] = {text_field(), sl_field()};

sl_type type_of()
{
    sl_type t = {};
    t.size = sizeof t;
    t.kind = SL_KIND_processor;
    t.name = "every";
    t.help = "Help.";
    t.signals = SL_TRACES;
    t.config_size = sizeof(config);
    t.fields = fields;
    t.process = process;
    return t;
}

const sl_type type = type_of();
const sl_type *const types[] = {&type};
} // namespace

SL_SECTION_("type processor:every");
SL_SECTION_("abi " SL_QUOTE(SL_ABI_MAJOR) "." SL_QUOTE(SL_ABI_MINOR));
SL_EXPORT_ const sl_plugin SL_SYMBOL_ = {
    SL_MAGIC, sizeof(sl_plugin), SL_ABI_MAJOR, SL_ABI_MINOR, 1, "1.0", types, nullptr};
