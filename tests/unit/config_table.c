/* Checking a plugin's field table before anything is bound to it. */
#include "config_kinds.h"
#include "config_support.h"
#include "pipeline/config/service.h"

struct small {
    uint32_t number;
    uint8_t flag;
    sl_bytes text;
    sl_list list;
};

static const char *check(const sl_field *fields, uint32_t size)
{
    static sl_error error;
    error = (sl_error){.size = sizeof error};
    return config_check_table(fields, size, &error) == SL_OK ? "" : error.text;
}

static void accepts_sound_tables(void **state)
{
    (void)state;
    assert_string_equal(check(kinds_fields, sizeof(struct kinds)), "");
    assert_string_equal(check(NULL, 8), "");
    /* service.c binds these */
    assert_string_equal(check(service_fields(), 4096), "");
    assert_string_equal(check(service_pipeline_fields(), 4096), "");
}

static const sl_struct by_value;
static const sl_field by_value_fields[] = {
    {.key = "self", .kind = SL_FIELD_STRUCT, .of = &by_value}, SL_END};
static const sl_struct by_value = {sizeof(struct small), 0, by_value_fields};

static void refuses_unsound_tables(void **state)
{
    static const char *const names[] = {"a", "b", NULL};
    static const char *const no_names[] = {NULL};
    static const sl_struct large = {4096, 0, kinds_tls_fields};
    static const sl_struct *const large_choice[] = {&large, NULL};
    static const sl_struct empty = {8, 0, NULL};
    static const struct {
        sl_field field;
        const char *said;
    } all[] = {
        {{.key = "k", .kind = 99}, "unknown kind 99"},
        {{.key = "k", .kind = 0}, "unknown kind 0"},
        {{.key = "k", .kind = SL_FIELD_U32, .flags = 1u << 20}, "flags 0x100000"},
        {{.key = "k", .kind = SL_FIELD_U32, .offset = sizeof(struct small)}, "outside its struct"},
        {{.key = "k", .kind = SL_FIELD_U64, .offset = sizeof(struct small) - 4}, "outside"},
        {{.key = "k", .kind = SL_FIELD_U32, .offset = 2}, "outside"},
        {{.key = "k", .kind = SL_FIELD_U32, .offset = UINT32_MAX - 3}, "outside"},
        {{.key = "k", .kind = SL_FIELD_BOOL, .present = sizeof(struct small) + 1}, "outside"},
        {{.key = "k", .kind = SL_FIELD_ENUM}, "no names are given"},
        {{.key = "k", .kind = SL_FIELD_ENUM, .names = no_names}, "no names are given"},
        {{.key = "k", .kind = SL_FIELD_ENUM, .names = names, .def.u = 2}, "none of the 2 names"},
        {{.key = "k", .kind = SL_FIELD_U32, .min.u = 5, .max.u = 4}, "above the upper"},
        {{.key = "k", .kind = SL_FIELD_U32, .min.u = 5, .max.u = 9}, "default is out of bounds"},
        {{.key = "k", .kind = SL_FIELD_F64, .flags = SL_BOUNDED, .def.f = 1}, "out of bounds"},
        {{.key = "k", .kind = SL_FIELD_I64, .min.i = 1, .max.i = -1}, "above the upper"},
        {{.key = "k", .kind = SL_FIELD_STRUCT}, "no struct is given"},
        {{.key = "k", .kind = SL_FIELD_STRUCT, .of = &empty}, "no struct is given"},
        {{.key = "k", .kind = SL_FIELD_STRUCT, .of = &large}, "outside its struct"},
        {{.key = "k", .kind = SL_FIELD_LIST}, "no struct is given"},
        {{.key = "k", .kind = SL_FIELD_UNION, .names = names}, "the tag's key, the choices"},
        {{.key = "k",
          .kind = SL_FIELD_UNION,
          .names = names,
          .tag_key = "t",
          .choices = large_choice},
         "\"a\" does not fit"},
        {{.key = "k", .kind = SL_FIELD_STRUCT, .of = &by_value}, "one contains itself"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const sl_field table[] = {all[i].field, SL_END};
        const char *text = check(table, sizeof(struct small));
        if (!strstr(text, all[i].said))
            fail_msg("wanted: %s\nfound: %s", all[i].said, text);
    }
    const sl_field twice[] = {SL_U32(struct small, number, "One."),
                              SL_U32(struct small, number, "Two."), SL_END};
    assert_non_null(strstr(check(twice, sizeof(struct small)), "stands there twice"));
    /* What is required needs no default within the bounds. */
    const sl_field required[] = {
        SL_U32(struct small, number, "One.", .min.u = 1, .max.u = 2, .flags = SL_REQUIRED), SL_END};
    assert_string_equal(check(required, sizeof(struct small)), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_sound_tables),
        cmocka_unit_test(refuses_unsound_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
