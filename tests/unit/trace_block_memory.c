/* Blocks of traces where memory runs out: an error, and nothing leaks or is wrong. Takes --seed N. */
#include "formats/trace/trace_block.h"
#include "tests/support/failing_memory.h"
#include "tests/support/random_otlp.h"
#include "tests/support/random_traces.h"
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { ROOM = 4 * 1024 * 1024, ROUNDS = 400 };

static uint64_t seed;

static void failed_allocations_are_errors(void **state)
{
    uint8_t *const room = malloc(ROOM), *const expected = malloc(ROOM), *const got = malloc(ROOM);
    sl_writer request = random_otlp_writer();
    sl_error error = {.size = sizeof error};
    (void)state;
    random_traces(&seed, 400, RANDOM_TRACES_ODD, &request);
    const sl_bytes bytes = sl_written(&request);
    sl_writer block = sl_writer_fixed(room, ROOM), spans = sl_writer_fixed(expected, ROOM);
    assert_int_equal(trace_block_encode(&(struct trace_options){0}, &bytes, 1, &block, &error),
                     SL_OK);
    assert_int_equal(trace_block_decode(sl_written(&block), ROOM, &spans, &error), SL_OK);
    uint32_t encoded = 0, decoded = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        sl_writer to = sl_writer_fixed(got, ROOM);
        failing_memory_set(2 + random_below(&seed, 4 * round + 1));
        const int32_t status =
            trace_block_encode(&(struct trace_options){0}, &bytes, 1, &to, &error);
        failing_memory_set(0);
        assert_true(status == SL_OK || status == SL_ERR_NOMEM);
        if (status == SL_OK) {
            assert_int_equal(to.used, block.used);
            assert_memory_equal(to.at, block.at, to.used);
            encoded++;
        }
        to = sl_writer_fixed(got, ROOM);
        failing_memory_set(2 + random_below(&seed, 4 * round + 1));
        const int32_t back = trace_block_decode(sl_written(&block), ROOM, &to, &error);
        failing_memory_set(0);
        assert_true(back == SL_OK || back == SL_ERR_NOMEM);
        if (back == SL_OK) {
            assert_int_equal(to.used, spans.used);
            assert_memory_equal(to.at, spans.at, to.used);
            decoded++;
        }
    }
    assert_in_range(decoded, 1, ROUNDS - 1);
    assert_true(encoded < ROUNDS);
    assert_true(failing_memory_failures() > ROUNDS);
    free(room);
    free(expected);
    free(got);
    free(request.at);
}

int main(int argc, char **argv)
{
    seed = random_seed(argc, argv);
    const struct CMUnitTest tests[] = {cmocka_unit_test(failed_allocations_are_errors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
