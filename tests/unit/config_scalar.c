/* What scalars mean: types, numbers, durations, sizes, and how they are written again. */
#include "pipeline/config/nearest.h"
#include "pipeline/config/scalar.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void tells_types(void **state)
{
    static const struct {
        const char *text;
        enum scalar_type type;
    } all[] = {
        {"", SCALAR_NULL},
        {"~", SCALAR_NULL},
        {"null", SCALAR_NULL},
        {"NULL", SCALAR_NULL},
        {"nULL", SCALAR_TEXT},
        {"true", SCALAR_BOOL},
        {"True", SCALAR_BOOL},
        {"FALSE", SCALAR_BOOL},
        {"tRue", SCALAR_TEXT},
        {"yes", SCALAR_TEXT},
        {"on", SCALAR_TEXT},
        {"y", SCALAR_TEXT},
        {"0", SCALAR_INT},
        {"-17", SCALAR_INT},
        {"+5", SCALAR_INT},
        {"0x1F", SCALAR_INT},
        {"0o17", SCALAR_INT},
        {"0b101", SCALAR_INT},
        {"0123", SCALAR_INT},
        {"1_000", SCALAR_INT},
        {"0128", SCALAR_FLOAT},
        {"1.5", SCALAR_FLOAT},
        {".5", SCALAR_FLOAT},
        {"1.", SCALAR_FLOAT},
        {"1e3", SCALAR_FLOAT},
        {"-1.5E-3", SCALAR_FLOAT},
        {".inf", SCALAR_FLOAT},
        {"-.Inf", SCALAR_FLOAT},
        {".nan", SCALAR_FLOAT},
        {"1e999", SCALAR_FLOAT},
        {"99999999999999999999", SCALAR_INT},
        {".", SCALAR_TEXT},
        {"-", SCALAR_TEXT},
        {"1e", SCALAR_TEXT},
        {"0x", SCALAR_TEXT},
        {"0xg", SCALAR_TEXT},
        {"1.2.3", SCALAR_TEXT},
        {"5s", SCALAR_TEXT},
        {"_1", SCALAR_TEXT},
        {"1_", SCALAR_INT},
        {"2006-01-02", SCALAR_TEXT},
        {"localhost", SCALAR_TEXT},
        {"0.0.0.0:4317", SCALAR_TEXT},
        {"inf", SCALAR_TEXT},
        {"1:30", SCALAR_TEXT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (scalar_type(sl_str(all[i].text)) != all[i].type)
            fail_msg("\"%s\" is of type %d", all[i].text, scalar_type(sl_str(all[i].text)));
}

static void reads_whole_numbers(void **state)
{
    static const struct {
        const char *text;
        int32_t status;
        int64_t v;
    } all[] = {
        {"0", SL_OK, 0},
        {"-17", SL_OK, -17},
        {"0x1F", SL_OK, 31},
        {"-0x10", SL_OK, -16},
        {"0o17", SL_OK, 15},
        {"0123", SL_OK, 83},
        {"0b101", SL_OK, 5},
        {"1_000_000", SL_OK, 1000000},
        {"1e3", SL_OK, 1000},
        {"2.0", SL_OK, 2},
        {"9223372036854775807", SL_OK, INT64_MAX},
        {"-9223372036854775808", SL_OK, INT64_MIN},
        {"9223372036854775808", SL_ERR_TOO_LARGE, 0},
        {"-9223372036854775809", SL_ERR_TOO_LARGE, 0},
        {"99999999999999999999", SL_ERR_TOO_LARGE, 0},
        {"1e300", SL_ERR_TOO_LARGE, 0},
        {".inf", SL_ERR_TOO_LARGE, 0},
        {"1.5", SL_ERR_INVALID, 0},
        {".nan", SL_ERR_INVALID, 0},
        {"x", SL_ERR_INVALID, 0},
        {"", SL_ERR_INVALID, 0},
        {"1 ", SL_ERR_INVALID, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int64_t v = 0;
        if (scalar_i64(sl_str(all[i].text), &v) != all[i].status)
            fail_msg("\"%s\": status", all[i].text);
        if (all[i].status == SL_OK)
            assert_int_equal(v, all[i].v);
    }
    uint64_t u;
    assert_int_equal(scalar_u64(sl_str("18446744073709551615"), &u), SL_OK);
    assert_true(u == UINT64_MAX);
    assert_int_equal(scalar_u64(sl_str("18446744073709551616"), &u), SL_ERR_TOO_LARGE);
    assert_int_equal(scalar_u64(sl_str("-1"), &u), SL_ERR_TOO_LARGE);
    assert_int_equal(scalar_u64(sl_str("-1.0"), &u), SL_ERR_TOO_LARGE);
    assert_int_equal(scalar_u64(sl_str("-0"), &u), SL_OK);
}

static void reads_numbers(void **state)
{
    (void)state;
    double v;
    assert_int_equal(scalar_f64(sl_str("0x10"), &v), SL_OK);
    assert_true(v == 16);
    assert_int_equal(scalar_f64(sl_str("-2.5e-1"), &v), SL_OK);
    assert_true(v == -0.25);
    assert_int_equal(scalar_f64(sl_str("-.inf"), &v), SL_OK);
    assert_true(isinf(v) && v < 0);
    assert_int_equal(scalar_f64(sl_str(".NaN"), &v), SL_OK);
    assert_true(isnan(v));
    assert_int_equal(scalar_f64(sl_str("1e999"), &v), SL_ERR_TOO_LARGE);
    assert_int_equal(scalar_f64(sl_str("1.5x"), &v), SL_ERR_INVALID);
    char text[48];
    scalar_write_f64(0.1, text);
    assert_string_equal(text, "0.1");
    scalar_write_f64(1.0 / 3, text);
    assert_string_equal(text, "0.3333333333333333");
    scalar_write_f64(-HUGE_VAL, text);
    assert_string_equal(text, "-.inf");
}

static void reads_durations(void **state)
{
    static const struct {
        const char *text;
        int32_t status;
        int64_t v;
        const char *written;
    } all[] = {
        {"0", SL_OK, 0, "0s"},
        {"5s", SL_OK, 5000000000, "5s"},
        {"1h2m3s4ms", SL_OK, 3723004000000, "1h2m3s4ms"},
        {"1.5s", SL_OK, 1500000000, "1s500ms"},
        {"-1s", SL_OK, -1000000000, "-1s"},
        {"+1m", SL_OK, 60000000000, "1m"},
        {".5ms", SL_OK, 500000, "500us"},
        {"5.s", SL_OK, 5000000000, "5s"},
        {"10us", SL_OK, 10000, "10us"},
        {"10\xc2\xb5s", SL_OK, 10000, "10us"},
        {"10\xce\xbcs", SL_OK, 10000, "10us"},
        {"7ns", SL_OK, 7, "7ns"},
        {"1.9ns", SL_OK, 1, "1ns"},
        {"90m", SL_OK, 5400000000000, "1h30m"},
        {"9223372036854775807ns", SL_OK, INT64_MAX, NULL},
        {"-9223372036854775808ns", SL_OK, INT64_MIN, NULL},
        {"9223372036854775808ns", SL_ERR_TOO_LARGE, 0, NULL},
        {"9999999h", SL_ERR_TOO_LARGE, 0, NULL},
        {"99999999999999999999999s", SL_ERR_TOO_LARGE, 0, NULL},
        {"5", SL_ERR_INVALID, 0, NULL},
        {"", SL_ERR_INVALID, 0, NULL},
        {"-", SL_ERR_INVALID, 0, NULL},
        {"s", SL_ERR_INVALID, 0, NULL},
        {".s", SL_ERR_INVALID, 0, NULL},
        {"5S", SL_ERR_INVALID, 0, NULL},
        {"5 s", SL_ERR_INVALID, 0, NULL},
        {"5s ", SL_ERR_INVALID, 0, NULL},
        {"5d", SL_ERR_INVALID, 0, NULL},
        {"1s-2s", SL_ERR_INVALID, 0, NULL},
        {"1.2.3s", SL_ERR_INVALID, 0, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int64_t v = 0;
        char text[48];
        if (scalar_duration(sl_str(all[i].text), &v) != all[i].status)
            fail_msg("\"%s\": status", all[i].text);
        if (all[i].status)
            continue;
        assert_int_equal(v, all[i].v);
        scalar_write_duration(v, text);
        if (all[i].written)
            assert_string_equal(text, all[i].written);
        int64_t again;
        assert_int_equal(scalar_duration(sl_str(text), &again), SL_OK);
        assert_int_equal(again, v);
    }
}

static void reads_sizes(void **state)
{
    static const struct {
        const char *text;
        int32_t status;
        uint64_t v;
        const char *written;
    } all[] = {
        {"0", SL_OK, 0, "0"},
        {"4096", SL_OK, 4096, "4KiB"},
        {"64KiB", SL_OK, 65536, "64KiB"},
        {"64 KiB", SL_OK, 65536, "64KiB"},
        {"2MB", SL_OK, 2000000, "2000000"},
        {"2GiB", SL_OK, 2147483648u, "2GiB"},
        {"1.5GiB", SL_OK, 1610612736, "1536MiB"},
        {"10B", SL_OK, 10, "10"},
        {"16TiB", SL_OK, 17592186044416, "16TiB"},
        {"16777216TiB", SL_ERR_TOO_LARGE, 0, NULL},
        {"-1", SL_ERR_TOO_LARGE, 0, NULL},
        {"0.3KiB", SL_ERR_INVALID, 0, NULL},
        {"1.5", SL_ERR_INVALID, 0, NULL},
        {"2MBx", SL_ERR_INVALID, 0, NULL},
        {"1KiB2KiB", SL_ERR_INVALID, 0, NULL},
        {"MiB", SL_ERR_INVALID, 0, NULL},
        {"5M", SL_ERR_INVALID, 0, NULL},
        {"", SL_ERR_INVALID, 0, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        uint64_t v = 0;
        char text[48];
        if (scalar_size(sl_str(all[i].text), &v) != all[i].status)
            fail_msg("\"%s\": status", all[i].text);
        if (all[i].status)
            continue;
        assert_true(v == all[i].v);
        scalar_write_size(v, text);
        assert_string_equal(text, all[i].written);
    }
}

static const char *near(const char *word, const char *const *known)
{
    struct nearest n = nearest_to(sl_str(word));
    for (; *known; known++)
        nearest_try(&n, *known);
    return n.found;
}

static void finds_the_nearest_word(void **state)
{
    static const char *const keys[] = {"timeout", "send_batch_size", "send_batch_max_size", NULL};
    static const char *const large[] = {
        "0123456789012345678901234567890123456789012345678901234567890123456789", NULL};
    (void)state;
    assert_string_equal(near("send_batch_sise", keys), "send_batch_size");
    assert_string_equal(near("tiemout", keys), "timeout"); /* swapped letters are one mistake */
    assert_string_equal(near("Timeout", keys), "timeout");
    assert_string_equal(near("sendbatchsize", keys), "send_batch_size");
    assert_null(near("endpoint", keys));
    assert_null(near("", keys));
    assert_null(near("x", keys));
    assert_null(near(large[0], large)); /* longer than is compared */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_types),   cmocka_unit_test(reads_whole_numbers),
        cmocka_unit_test(reads_numbers), cmocka_unit_test(reads_durations),
        cmocka_unit_test(reads_sizes),   cmocka_unit_test(finds_the_nearest_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
