/* The generator's numbers: bits that every machine must give, and the distributions' means and
 * spreads. */
#include "commands/generate/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define DRAWS 200000

static uint64_t bits(double x)
{
    uint64_t b;
    memcpy(&b, &x, sizeof(b));
    return b;
}

static void assert_near(double value, double expected, double tolerance)
{
    if (fabs(value - expected) > tolerance) {
        fail_msg("%.17g is not within %g of %.17g", value, tolerance, expected);
    }
}

static void test_streams(void **state)
{
    (void)state;
    struct rng a;
    struct rng b;
    struct rng c;
    rng_init(&a, 1, 7);
    rng_init(&b, 1, 7);
    rng_init(&c, 1, 8);
    int equal = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t x = rng_u64(&a);
        assert_int_equal(x, rng_u64(&b));
        equal += x == rng_u64(&c);
    }
    assert_int_equal(equal, 0);
}

/* Reference values of splitmix64's first output for seed 0, and of doubles computed step by step.
 */
static void test_same_bits_everywhere(void **state)
{
    (void)state;
    assert_true(rng_mix(0) == UINT64_C(0xe220a8397b1dcdaf));
    uint64_t sum = 0;
    struct rng r;
    rng_init(&r, 42, 0);
    for (int i = 0; i < 1000; i++) {
        sum = rng_mix(sum ^ bits(rng_normal(&r)));
        sum = rng_mix(sum ^ bits(rng_exponential(&r)));
        sum = rng_mix(sum ^ bits(rng_lognormal(&r, 3, 0.7)));
        sum = rng_mix(sum ^ bits(exact_wave(rng_unit(&r) * 9)));
    }
    print_message("hash of 4000 draws: %016llx\n", (unsigned long long)sum);
    assert_true(sum == UINT64_C(0xa4052f68f6278f5b));
}

static void test_functions(void **state)
{
    (void)state;
    for (double x = -50; x < 50; x += 0.0137) {
        assert_near(exact_exp(x) / exp(x), 1, 1e-14);
        assert_near(exact_log(exp(x)), x, 1e-13);
        assert_near(exact_wave(x), sin(x * 6.283185307179586), 1e-12);
    }
    assert_true(exact_exp(-1000) == 0);
    assert_true(isfinite(exact_exp(1000)));
}

static void test_distributions(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, 1, 1);
    double normal = 0;
    double squares = 0;
    double exponential = 0;
    double below_median = 0;
    uint32_t faces[6] = {0};
    for (int i = 0; i < DRAWS; i++) {
        double x = rng_normal(&r);
        normal += x;
        squares += x * x;
        exponential += rng_exponential(&r);
        below_median += rng_lognormal(&r, 5, 1.2) < 5;
        uint32_t face = rng_between(&r, 1, 6);
        assert_in_range(face, 1, 6);
        faces[face - 1]++;
        assert_true(rng_skewed(&r, 10) < 10);
        assert_int_equal(rng_below(&r, 1), 0);
    }
    assert_near(normal / DRAWS, 0, 0.01);
    assert_near(squares / DRAWS, 1, 0.02);
    assert_near(exponential / DRAWS, 1, 0.02);
    assert_near(below_median / DRAWS, 0.5, 0.01);
    for (int i = 0; i < 6; i++) {
        assert_near(faces[i], DRAWS / 6.0, DRAWS * 0.01);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_same_bits_everywhere),
        cmocka_unit_test(test_functions),
        cmocka_unit_test(test_distributions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
