/* Component types and config tables that a plugin may and may not have. */
#include "pipeline/plugins/section.h"
#include "pipeline/plugins/type_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct config {
    sl_base base;
    uint8_t set;
    uint32_t number, tag;
    sl_bytes text;
    union {
        uint64_t a, b[2];
    } choice;
};

static int32_t process(void *instance, sl_delivery *delivery)
{
    (void)instance;
    (void)delivery;
    return SL_OK;
}

static int32_t start(void *component, sl_error *error)
{
    (void)component;
    (void)error;
    return SL_OK;
}

static sl_type good(void)
{
    sl_type type = {.size = sizeof(sl_type),
                    .kind = SL_KIND_processor,
                    .name = "test",
                    .signals = SL_TRACES,
                    .process = process};
    return type;
}

/* NULL: taken. The text is of the last call. */
static const char *refusal(const sl_type *type)
{
    static sl_error error; /* one thread; a text for the caller to look at */
    sl_type ours;
    error.size = sizeof error;
    error.text[0] = 0;
    int32_t status = type_take(type, &ours, &error);
    assert_int_equal(status != SL_OK, error.text[0] != 0);
    return status == SL_OK ? NULL : error.text;
}

static void expect_text(const char *text, const char *part)
{
    if (part == NULL ? text != NULL : !text || !strstr(text, part))
        fail_msg("got \"%s\", not \"%s\"", text ? text : "(taken)", part ? part : "(taken)");
}

static void expect_type(sl_type type, const char *part)
{
    expect_text(refusal(&type), part);
}

static void expect_fields(const sl_field *fields, const char *part)
{
    sl_type type = good();
    type.config_size = sizeof(struct config);
    type.fields = fields;
    expect_type(type, part);
}

static void expect_field(sl_field field, const char *part)
{
    sl_field fields[] = {field, SL_END};
    expect_fields(fields, part);
}

#define CHANGED(change) (type = good(), type.change, type)

static void test_types(void **state)
{
    sl_type type, ours;
    char name[PLUGIN_NAME_MAX + 2];
    static const char *const bad_aliases[] = {"ok", "not ok", NULL};
    (void)state;
    expect_type(good(), NULL);
    expect_text(refusal(NULL), "a type is NULL");
    expect_type(CHANGED(size = 8), "a type's size is 8; it must be ");
    expect_type(CHANGED(size = 1u << 30), "a type's size is 1073741824; it must be ");
    expect_type(CHANGED(name = NULL), "no name");
    expect_type(CHANGED(name = ""), "no name");
    expect_type(CHANGED(name = "a/b"), "no name");
    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = 0;
    expect_type(CHANGED(name = name), "no name");
    expect_type(CHANGED(kind = 0), "type ?:test: kind is 0; known are 1 to 6");
    expect_type(CHANGED(kind = 7), "type ?:test: kind is 7");
    expect_type(CHANGED(flags = 1u << 31), "type processor:test: flags are 0x80000000");
    expect_type(CHANGED(flags = SL_TRACE_AFFINITY | SL_ANY_ENCODING), NULL);
    expect_type(CHANGED(flags = SL_INERT), "SL_INERT is for extensions");
    expect_type(CHANGED(stability = 6), "stability is 6");
    expect_type(CHANGED(signals = 0), "signals is 0");
    expect_type(CHANGED(timeout_ns = -1), "timeout_ns is -1");
    expect_type(CHANGED(aliases = bad_aliases), "aliases[1] is not a name");
    expect_type(CHANGED(config_size = 4), "config_size is 4");
    expect_type(CHANGED(config_size = 1u << 31), "config_size is 2147483648");
    expect_type(CHANGED(process = NULL), "process is NULL, which a type of kind processor needs");
    expect_type(CHANGED(kind = SL_KIND_connector), NULL);
    expect_type(CHANGED(kind = SL_KIND_receiver), "start is NULL");
    expect_type(CHANGED(kind = SL_KIND_exporter), "send is NULL");
    expect_type(CHANGED(kind = SL_KIND_codec), "encode is NULL");
    type = good();
    type.kind = SL_KIND_receiver;
    type.start = start;
    expect_type(type, NULL);
    type = good();
    type.kind = SL_KIND_extension;
    type.signals = 0;
    type.process = NULL;
    expect_type(type, NULL);
    type.flags = SL_INERT;
    expect_type(type, "whose help says why");
    type.help = "It needs what is not here.";
    expect_type(type, NULL);

    /* What lies beyond the plugin's size is not looked at; defaults are filled in. */
    type = good();
    type.size = offsetof(sl_type, on_timer);
    type.on_fd = (void (*)(void *, int32_t, uint32_t))(uintptr_t)1;
    assert_int_equal(type_take(&type, &ours, NULL), SL_OK);
    assert_null(ours.on_fd);
    assert_int_equal(ours.size, sizeof ours);
    assert_int_equal(ours.config_size, sizeof(sl_base));
    assert_int_equal(ours.stability, SL_DEVELOPMENT);
}

static const char *const names[] = {"one", "two", NULL}, *const no_names[] = {NULL};
static const sl_field inner_fields[] = {{.key = "a", .kind = SL_FIELD_U64, .help = "A number."},
                                        SL_END};
static const sl_struct inner = {sizeof(uint64_t), 0, inner_fields},
                       empty = {8, 0, NULL}, *const choices[] = {&inner, NULL};

static void test_fields(void **state)
{
    (void)state;
    const sl_field number = SL_U32(struct config, number, "A number.");
    sl_field f;
    expect_field(number, NULL);
#define FIELD(change) (f = number, f.change, f)
    expect_field(FIELD(kind = 0), "kind 0; known are 1 to 15");
    expect_field(FIELD(kind = 16), "kind 16");
    expect_field(FIELD(flags = 128), "unknown flags 0x80 of 0x80");
    expect_field(FIELD(help = NULL), "no help text");
    expect_field(FIELD(help = ""), "no help text");
    expect_field(FIELD(key = ""), "an empty key");
    expect_field(FIELD(flags = SL_INLINE), "SL_INLINE is for structs");
    expect_field(FIELD(offset = 0), "begin at 8"); /* that is the host's */
    expect_field(FIELD(offset = sizeof(struct config) - 2), "4 bytes at ");
    expect_field(FIELD(offset = sizeof(struct config) - 4), NULL);
    expect_field(FIELD(offset = UINT32_MAX), "4 bytes at 4294967295");
    expect_field(FIELD(offset = 13), "4 bytes at 13"); /* not aligned */
    expect_field(FIELD(present = sizeof(struct config)), NULL);
    expect_field(FIELD(present = sizeof(struct config) + 1), "config key \"number\"");
    expect_field(FIELD(def.u = UINT64_C(1) << 32), "its default and bounds");
    expect_fields((sl_field[]){number, number, SL_END}, "\"number\" stands twice");

    expect_field((sl_field)SL_U32(struct config, number, "h", .def.u = 5, SL_RANGE(u, 1, 5)), NULL);
    expect_field((sl_field)SL_U32(struct config, number, "h", .def.u = 6, SL_RANGE(u, 1, 5)),
                 "its default and bounds");
    expect_field((sl_field)SL_U32(struct config, number, "h", .min.u = 1, .max.u = 5,
                                  .flags = SL_BOUNDED | SL_REQUIRED),
                 NULL);
    expect_field((sl_field)SL_U32(struct config, number, "h", SL_RANGE(u, 1, UINT64_MAX)),
                 "its default and bounds");
    sl_field wide = {.key = "w", .kind = SL_FIELD_I64, .offset = 8, .help = "h", .def.i = -5};
    wide.flags = SL_BOUNDED;
    wide.min.i = -10;
    wide.max.i = -1;
    expect_field(wide, NULL);
    wide.def.i = 0;
    expect_field(wide, "its default and bounds");
    wide.kind = SL_FIELD_F64;
    wide.def.f = wide.min.f = 0;
    wide.max.f = 1;
    expect_field(wide, NULL);
    wide.def.f = __builtin_nan("");
    expect_field(wide, "its default and bounds");
    wide.kind = SL_FIELD_TEXTS;
    expect_field(wide, "its default and bounds"); /* nothing to bound */

    expect_field((sl_field)SL_ENUM(struct config, number, names, "h", .def.u = 1), NULL);
    expect_field((sl_field)SL_ENUM(struct config, number, names, "h", .def.u = 2),
                 "default 2 of 2 names");
    expect_field((sl_field)SL_ENUM(struct config, number, no_names, "h"), "default 0 of 0 names");
    expect_field((sl_field){.key = "e", .kind = SL_FIELD_ENUM, .offset = 12, .help = "h"},
                 "default 0 of 0 names");
    expect_field((sl_field)SL_TEXT(struct config, text, "h", .text = "default"), NULL);
    expect_field((sl_field)SL_IGNORE("gc", "Nothing to collect."), NULL);
}

static void test_structs(void **state)
{
    (void)state;
    sl_field s = SL_STRUCT(struct config, choice, &inner, "h", SL_PRESENT(struct config, set));
    expect_field(s, NULL);
    s.of = &empty;
    expect_field(s, "its struct has 8 bytes and no fields");
    s.of = NULL;
    expect_field(s, "its struct has 0 bytes");
    s.of = &inner;
    s.offset = sizeof(struct config) - 7;
    expect_field(s, "8 bytes at ");

    sl_field u = SL_UNION(struct config, choice, tag, names, choices, "h");
    const sl_struct *both[] = {&inner, &empty};
    expect_field(u, NULL);
    u.choices = both;
    expect_field(u, "no fields");
    u.choices = NULL;
    expect_field(u, "a union without choices");
    u.choices = choices;
    u.tag = sizeof(struct config);
    expect_field(u, "config key \"choice\"");

    /* Keys of inlined structs stand with their parent's. */
    sl_field both_levels[] = {SL_U32(struct config, number, "h"),
                              SL_STRUCT(struct config, choice, &inner, "h", .flags = SL_INLINE),
                              SL_END};
    expect_fields(both_levels, NULL);
    both_levels[0].key = "a";
    expect_fields(both_levels, "\"a\" stands twice");

    /* A struct may contain a list of itself, but not be inlined into itself. */
    sl_field own[] = {{.key = "own", .kind = SL_FIELD_LIST, .help = "h"}, SL_END};
    sl_struct self = {sizeof(sl_list), 0, own};
    own[0].of = &self;
    sl_field list = {.key = "l", .kind = SL_FIELD_LIST, .offset = 16, .help = "h", .of = &self};
    expect_field(list, NULL);
    own[0].kind = SL_FIELD_STRUCT;
    own[0].flags = SL_INLINE;
    expect_field(list, "inlined into itself");
    sl_struct other = {sizeof(sl_list), 0, NULL};
    sl_field turn[] = {
        {.key = "t", .kind = SL_FIELD_STRUCT, .help = "h", .flags = SL_INLINE, .of = &self},
        SL_END};
    other.fields = turn;
    own[0].of = &other;
    expect_field(list, "inlined into itself");
}

static void test_no_end(void **state)
{
    enum { FIELDS = 600 };
    static sl_field fields[FIELDS];
    static char keys[FIELDS][16];
    (void)state;
    for (int i = 0; i < FIELDS; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "k%d", i);
        fields[i] = (sl_field)SL_U32(struct config, number, "h");
        fields[i].key = keys[i];
    }
    expect_fields(fields, "a config table has no end");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_structs),
        cmocka_unit_test(test_no_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
