/* Numbers as text: known forms, and random doubles against the C library's correctly rounded
 * printf and strtod. */
#include "formats/otlp/decimal.h"
#include "tests/oracle/random_message.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { RANDOM_DOUBLES = 200000 };

static uint64_t seed;
static struct decimal_powers powers;

static void expect_double(double value, const char *expected)
{
    char text[DECIMAL_MAX + 1];
    text[decimal_double(&powers, value, (uint8_t *)text)] = 0;
    assert_string_equal(text, expected);
}

static void test_powers(void **state)
{
    (void)state;
    const struct decimal_power *zeroth = powers.of - DECIMAL_POWER_MIN;
    assert_int_equal(zeroth[0].high, UINT64_C(0x8000000000000000));
    assert_int_equal(zeroth[0].low, 0);
    assert_int_equal(zeroth[1].high, UINT64_C(0xa000000000000000));
    assert_int_equal(zeroth[-1].high, UINT64_C(0xcccccccccccccccc));
    assert_int_equal(zeroth[-1].low, UINT64_C(0xcccccccccccccccd));
    /* 10^55 is the last that fits; 10^56 = 5^56 * 2^56 is rounded up. */
    assert_int_equal(zeroth[27].low, 0);
    assert_int_equal(zeroth[-292].high, UINT64_C(0xff77b1fcbebcdc4f));
    assert_int_equal(zeroth[-292].low, UINT64_C(0x25e8e89c13bb0f7b));
    for (int k = DECIMAL_POWER_MIN; k <= DECIMAL_POWER_MAX; k++) {
        assert_true(zeroth[k].high >> 63);
    }
}

static void test_forms(void **state)
{
    (void)state;
    expect_double(0, "0");
    expect_double(-0.0, "-0");
    expect_double(1, "1");
    expect_double(-1.5, "-1.5");
    expect_double(0.1, "0.1");
    expect_double(0.1 + 0.2, "0.30000000000000004");
    expect_double(100, "100");
    expect_double(1234.5678, "1234.5678");
    expect_double(1e20, "100000000000000000000");
    expect_double(1e21, "1e+21");
    expect_double(1.5e300, "1.5e+300");
    expect_double(0.000001, "0.000001");
    expect_double(0.00000123, "0.00000123");
    expect_double(0.0000001, "1e-7");
    expect_double(1.25e-10, "1.25e-10");
    expect_double(9007199254740993.0, "9007199254740992");
    expect_double(9223372036854775808.0, "9223372036854776000");
    /* The smallest, the largest, the smallest normal, and values hard to round. */
    expect_double(5e-324, "5e-324");
    expect_double(1.7976931348623157e308, "1.7976931348623157e+308");
    expect_double(2.2250738585072014e-308, "2.2250738585072014e-308");
    expect_double(9.5367431640625e-7, "9.5367431640625e-7");
    expect_double(1e23, "1e+23");
    expect_double(9.5e-323, "9.4e-323");
    expect_double(2.0e-44, "2e-44");
}

static void test_integers(void **state)
{
    (void)state;
    static const int64_t values[] = {0, 1, -1, 9, 10, 99, 100, 101, -100, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char text[DECIMAL_MAX + 1];
        char expected[DECIMAL_MAX + 1];
        text[decimal_i64(values[i], (uint8_t *)text)] = 0;
        snprintf(expected, sizeof expected, "%lld", (long long)values[i]);
        assert_string_equal(text, expected);
        text[decimal_u64((uint64_t)values[i], (uint8_t *)text)] = 0;
        snprintf(expected, sizeof expected, "%llu", (unsigned long long)values[i]);
        assert_string_equal(text, expected);
    }
}

/* The significant digits of a number's text, without zeros around them. */
static void digits_of(const char *text, char *digits)
{
    char *p = digits;
    for (; *text && *text != 'e'; text++) {
        if (*text >= '0' && *text <= '9' && (*text != '0' || p > digits)) {
            *p++ = *text;
        }
    }
    while (p > digits && p[-1] == '0') {
        p--;
    }
    *p = 0;
}

static void check_random(double value)
{
    char text[DECIMAL_MAX + 1];
    text[decimal_double(&powers, value, (uint8_t *)text)] = 0;
    if (strtod(text, NULL) != value) {
        fail_msg("%s is not %.17g", text, value);
    }
    char shortest[40];
    int precision = 0;
    do {
        snprintf(shortest, sizeof shortest, "%.*e", precision++, value);
    } while (strtod(shortest, NULL) != value);
    char ours[40];
    char theirs[40];
    digits_of(text, ours);
    digits_of(shortest, theirs);
    if (strlen(ours) > strlen(theirs) ||
        (strlen(ours) == strlen(theirs) && strcmp(ours, theirs) != 0)) {
        fail_msg("%s, but %s is as near", text, shortest);
    }
}

static void test_random(void **state)
{
    (void)state;
    uint64_t random = seed;
    for (int i = 0; i < RANDOM_DOUBLES; i++) {
        uint64_t bits = random_next(&random);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (i % 4 == 0) {
            value = (double)(bits >> 40) / 1000; /* such as are measured */
        } else if (i % 4 == 1) {
            value = ldexp(1, (int)(bits % 2098) - 1074); /* uneven neighbours */
        } else if (i % 4 == 2) {
            value = (double)(bits >> (bits % 64));
        }
        if (isfinite(value)) {
            check_random(value);
        }
    }
}

static int setup(void **state)
{
    (void)state;
    decimal_powers_init(&powers);
    return 0;
}

int main(int argc, char **argv)
{
    seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)time(NULL);
    printf("seed %llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_powers),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
