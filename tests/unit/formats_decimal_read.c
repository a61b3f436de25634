/* Numbers from text: the grammar, whole numbers, and doubles against the C library's correctly
 * rounded strtod: hard cases, halfway ones, and random ones. */
#include "formats/otlp/decimal_read.h"
#include "tests/oracle/random_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { RANDOM_NUMBERS = 200000 };

static uint64_t seed;
static struct decimal_powers powers;

static const uint8_t *scan(const char *text, struct decimal *d)
{
    return decimal_scan((const uint8_t *)text, (const uint8_t *)text + strlen(text), d);
}

static void test_grammar(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",     "-",   "+1",  ".5",  "01",  "-01", "1.",
                                        "1.e5", "1e",  "1e+", "1E-", "--1", "NaN", "x",
                                        " 1",   "-.1", "00",  "1.-", "-e1"};
    static const char *const right[] = {"0",    "-0",  "1",     "10",   "0.0",
                                        "1.50", "1e5", "1E+05", "-1e-5"};
    struct decimal d;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (scan(wrong[i], &d)) {
            fail_msg("\"%s\" passes", wrong[i]);
        }
    }
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        assert_ptr_equal(scan(right[i], &d), right[i] + strlen(right[i]));
    }
    /* It ends where the number does, and reads nothing behind the text. */
    const char *text = "12,";
    assert_ptr_equal(scan(text, &d), text + 2);
    assert_ptr_equal(decimal_scan((const uint8_t *)text, (const uint8_t *)text + 1, &d), text + 1);
    assert_int_equal(d.digits, 1);
}

static void test_whole(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t value;
    } good[] = {{"0", 0},
                {"-0", 0},
                {"7", 7},
                {"1.0", 1},
                {"1e3", 1000},
                {"120e-1", 12},
                {"1.5e1", 15},
                {"0e99999999999", 0},
                {"0.000e-99999999999", 0},
                {"18446744073709551615", UINT64_MAX},
                {"18446744073709551615.000", UINT64_MAX},
                {"1844674407370955161.5e1", UINT64_MAX}};
    static const char *const bad[] = {"0.5",
                                      "1.01",
                                      "1e-1",
                                      "18446744073709551616",
                                      "1e20",
                                      "1e400",
                                      "1e-400",
                                      "184467440737095516150",
                                      "5e-1",
                                      "1.00000000000000000000001",
                                      "18446744073709551615.1"};
    struct decimal d;
    uint64_t value;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_non_null(scan(good[i].text, &d));
        assert_true(decimal_whole(&d, &value));
        assert_true(value == good[i].value);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_non_null(scan(bad[i], &d));
        if (decimal_whole(&d, &value)) {
            fail_msg("%s is %llu", bad[i], (unsigned long long)value);
        }
    }
}

static void expect_as_strtod(const char *text)
{
    struct decimal d;
    double value = 77, expected = strtod(text, NULL);
    assert_non_null(scan(text, &d));
    const bool read = decimal_to_double(&powers, &d, (const uint8_t *)text, strlen(text), &value);
    if (read != (expected - expected == 0) ||
        (read && memcmp(&value, &expected, sizeof value) != 0)) {
        fail_msg("%s is read as %.17g, not as %.17g (seed %llu)", text, value, expected,
                 (unsigned long long)seed);
    }
}

static void test_doubles(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "0", "-0", "0.0", "-0e5", "1", "0.1", "0.3", "-1.5", "123456789012345678", "1e22", "1e23",
        "9007199254740993", "9007199254740992", "9007199254740991", "18446744073709551615",
        "18014398509481985", "4503599627370496.5", "4503599627370497.5", "0.5", "5e-324", "4e-324",
        "2.4703282292062327e-324", "2.4703282292062328e-324", "2.2250738585072014e-308",
        "2.2250738585072011e-308", "1.7976931348623157e308", "1.7976931348623158e308",
        "1.7976931348623159e308", "1e308", "1e309", "1e400", "-1e400", "1e-400", "1e999999999999",
        "8.98846567431158e307", "6.8985865317742005e-294", "1e-291", "1e-292", "1e-293", "1e-307",
        "1.00000005960464477550", "0.000000000000000000000000000000000000000000001",
        "100000000000000016777215", "100000000000000016777216", "358416272e-33", "9214843084008499",
        "30078505129381147446200", "1777820000000000000001",
        "0.500000000000000166533453693773481063544750213623046875", "3.518437208883201171875e13",
        "62.5364939768271845828",
        /* halfway between two doubles, and just above */
        "1.00000000000000011102230246251565404236316680908203125",
        "1.00000000000000011102230246251565404236316680908203124",
        "1.00000000000000011102230246251565404236316680908203126",
        "1.00000000000000033306690738754696212708950042724609375"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        expect_as_strtod(texts[i]);
    }
    /* Digits far behind the point decide, up to a limit. */
    char text[DECIMAL_TEXT_MAX + 10];
    const char half[] = "1.00000000000000011102230246251565404236316680908203125";
    memcpy(text, half, sizeof half - 1);
    memset(text + sizeof half - 1, '0', sizeof text - sizeof half);
    text[DECIMAL_TEXT_MAX - 1] = '1';
    text[DECIMAL_TEXT_MAX] = 0;
    expect_as_strtod(text);
    text[DECIMAL_TEXT_MAX - 1] = '0';
    text[DECIMAL_TEXT_MAX] = '1';
    text[DECIMAL_TEXT_MAX + 1] = 0;
    struct decimal d;
    double value;
    assert_non_null(scan(text, &d));
    assert_false(
        decimal_to_double(&powers, &d, (const uint8_t *)text, DECIMAL_TEXT_MAX + 1, &value));
}

static void test_random_doubles(void **state)
{
    (void)state;
    uint64_t random = seed;
    char text[400];
    for (int i = 0; i < RANDOM_NUMBERS; i++) {
        const uint64_t bits = random_next(&random);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (value - value != 0) {
            continue;
        }
        snprintf(text, sizeof text, "%.*g", (int)(random_next(&random) % 25) + 1, value);
        expect_as_strtod(text);
    }
    for (int i = 0; i < RANDOM_NUMBERS; i++) {
        const int n =
            snprintf(text, sizeof text, "%llu.%llu",
                     (unsigned long long)(random_next(&random) >> (random_next(&random) % 64)),
                     (unsigned long long)(random_next(&random) >> (random_next(&random) % 64)));
        if (i % 2) {
            snprintf(text + n, sizeof text - (size_t)n, "e%d",
                     (int)(random_next(&random) % 80) - 40);
        }
        expect_as_strtod(text);
    }
}

int main(int argc, char **argv)
{
    seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)time(NULL);
    printf("seed %llu\n", (unsigned long long)seed);
    decimal_powers_init(&powers);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grammar),
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_random_doubles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
