/* The load sender's order, pace, retries and counts on a time that the test sets, and its reading
 * of what servers answer. */
#include "commands/generate/send_core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define MS UINT64_C(1000000)

static const struct send_request three[] = {
    {.body = {.p = (const uint8_t *)"a", .n = 1}, .items = 10, .signal = SL_TRACES},
    {.body = {.p = (const uint8_t *)"bb", .n = 2}, .items = 20, .signal = SL_LOGS},
    {.body = {.p = (const uint8_t *)"ccc", .n = 3}, .items = 30, .signal = SL_METRICS},
};

static void core_init(struct send_core *core, const struct send_options *options)
{
    assert_int_equal(send_core_init(core, options, three, 3, NULL), SL_OK);
    send_core_start(core);
}

/* Begins a request at the given time after the start. */
static bool begin_at(struct send_core *core, uint64_t after_ns, struct send_task *task,
                     uint64_t *wake_ns)
{
    bool begun = send_core_begin(core, core->start_ns + after_ns, task, wake_ns);
    *wake_ns -= *wake_ns == SEND_NEVER ? 0 : core->start_ns;
    return begun;
}

static void end_acknowledged(struct send_core *core, struct send_task *task, uint64_t took_ns)
{
    struct send_answer answer = {.outcome = SEND_ACKNOWLEDGED};
    uint64_t again;
    assert_false(send_core_end(core, task->try_ns + took_ns, task, &answer, &again));
    assert_int_equal(again, 0);
}

static void cycles_through_the_requests_up_to_the_limit(void **state)
{
    (void)state;
    struct send_options options = {.requests = 5};
    struct send_core core;
    struct send_task task;
    uint64_t wake;
    core_init(&core, &options);
    for (uint64_t i = 0; i < 5; i++) {
        assert_true(begin_at(&core, 0, &task, &wake));
        assert_int_equal(task.sequence, i);
        assert_int_equal(task.request, i % 3);
        end_acknowledged(&core, &task, 1);
    }
    assert_false(begin_at(&core, 0, &task, &wake));
    assert_true(wake == SEND_NEVER);
    assert_int_equal(core.report.items_sent, 10 + 20 + 30 + 10 + 20);
    assert_int_equal(core.report.items_acknowledged, 90);
    assert_int_equal(core.report.bytes_acknowledged, 1 + 2 + 3 + 1 + 2);
    assert_int_equal(core.active, 0);
    send_core_deinit(&core);
}

static void sends_each_once_without_a_limit(void **state)
{
    (void)state;
    struct send_options options = {.requests = 0};
    struct send_core core;
    struct send_task task;
    uint64_t wake;
    core_init(&core, &options);
    for (int i = 0; i < 3; i++)
        assert_true(begin_at(&core, 0, &task, &wake));
    assert_false(begin_at(&core, 0, &task, &wake));
    send_core_deinit(&core);
}

static void keeps_the_rate_of_requests_and_catches_up(void **state)
{
    (void)state;
    struct send_options options = {.requests = 100, .requests_per_second = 100};
    struct send_core core;
    struct send_task task;
    uint64_t wake;
    core_init(&core, &options);
    assert_true(begin_at(&core, 0, &task, &wake));
    assert_false(begin_at(&core, 0, &task, &wake));
    assert_in_range(wake, 10 * MS - 1000, 10 * MS + 1000);
    int begun = 1;
    while (begin_at(&core, 95 * MS, &task, &wake)) /* slots were taken in the meantime */
        begun++;
    assert_int_equal(begun, 10);
    send_core_deinit(&core);
}

static void does_not_make_up_for_more_than_a_second(void **state)
{
    (void)state;
    struct send_options options = {.requests = 100000, .requests_per_second = 100};
    struct send_core core;
    struct send_task task;
    uint64_t wake;
    int begun = 0;
    core_init(&core, &options);
    while (begin_at(&core, 60000 * MS, &task, &wake))
        begun++;
    assert_in_range(begun, 100, 102);
    send_core_deinit(&core);
}

static void keeps_the_rate_of_items(void **state)
{
    (void)state;
    struct send_options options = {.requests = 100, .items_per_second = 1000};
    struct send_core core;
    struct send_task task;
    uint64_t wake;
    core_init(&core, &options);
    assert_true(begin_at(&core, 0, &task, &wake)); /* 10 items */
    assert_false(begin_at(&core, 9 * MS, &task, &wake));
    assert_true(begin_at(&core, 10 * MS, &task, &wake)); /* 20 items */
    assert_false(begin_at(&core, 29 * MS, &task, &wake));
    assert_true(begin_at(&core, 30 * MS, &task, &wake));
    send_core_deinit(&core);
}

static void begins_none_after_the_duration_or_a_stop(void **state)
{
    (void)state;
    atomic_bool stop = false;
    struct send_options options = {.duration_ns = 50 * MS, .stop = &stop};
    struct send_core core;
    struct send_task task;
    uint64_t wake;
    core_init(&core, &options);
    assert_true(begin_at(&core, 49 * MS, &task, &wake));
    assert_false(begin_at(&core, 50 * MS, &task, &wake));
    assert_true(wake == SEND_NEVER);
    atomic_store(&stop, true);
    assert_false(begin_at(&core, 0, &task, &wake));
    struct send_answer answer = {.outcome = SEND_REFUSED_RETRYABLE};
    assert_false(send_core_end(&core, send_now(), &task, &answer, &wake));
    send_core_deinit(&core);
}

static void retries_refusals_after_the_time_that_was_told(void **state)
{
    (void)state;
    struct send_options options = {.requests = 1, .retries = 2};
    struct send_core core;
    struct send_task task;
    uint64_t wake, again, now;
    core_init(&core, &options);
    now = core.start_ns;
    assert_true(begin_at(&core, 0, &task, &wake));
    struct send_answer told = {
        .outcome = SEND_REFUSED_RETRYABLE, .delayed = true, .delay_ns = 7000 * MS, .text = "busy"};
    assert_true(send_core_end(&core, now, &task, &told, &again));
    assert_int_equal(again - now, 7000 * MS);
    struct send_answer untold = {.outcome = SEND_FAILED};
    assert_true(send_core_end(&core, now, &task, &untold, &again));
    assert_int_equal(again - now, 200 * MS); /* the second wait, doubled */
    assert_false(send_core_end(&core, now, &task, &told, &again));
    assert_int_equal(core.active, 0);
    assert_int_equal(core.report.sent, 1);
    assert_int_equal(core.report.retries, 2);
    assert_int_equal(core.report.refusals, 2);
    assert_int_equal(core.report.refusals_delayed, 2);
    assert_int_equal(core.report.refused_retryable, 1);
    assert_int_equal(core.report.failed, 0);
    assert_string_equal(core.report.last_problem, "busy");
    send_core_deinit(&core);
}

static void never_retries_what_was_refused_for_good(void **state)
{
    (void)state;
    struct send_options options = {.requests = 1, .retries = 9};
    struct send_core core;
    struct send_task task;
    uint64_t wake, again;
    core_init(&core, &options);
    assert_true(begin_at(&core, 0, &task, &wake));
    struct send_answer answer = {.outcome = SEND_REFUSED_PERMANENT};
    assert_false(send_core_end(&core, core.start_ns, &task, &answer, &again));
    assert_int_equal(core.report.refused_permanent, 1);
    assert_int_equal(core.report.items_refused_permanent, 10);
    send_core_deinit(&core);
}

static void reports_percentiles_within_a_hundredth(void **state)
{
    (void)state;
    struct send_options options = {.requests = 1000};
    struct send_core core;
    struct send_task task;
    uint64_t wake;
    core_init(&core, &options);
    for (uint64_t i = 1; i <= 1000; i++) {
        assert_true(begin_at(&core, 0, &task, &wake));
        end_acknowledged(&core, &task, i * 10000);
    }
    send_core_finish(&core);
    assert_in_range(core.report.p50_ns, 4950000, 5050000);
    assert_in_range(core.report.p90_ns, 8910000, 9090000);
    assert_in_range(core.report.p99_ns, 9801000, 9999000);
    assert_int_equal(core.report.max_ns, 10000000);
    send_core_deinit(&core);
}

static size_t from_hex(const char *hex, uint8_t *out)
{
    size_t n = 0;
    for (; hex[0]; hex += 2, n++) {
        char pair[3] = {hex[0], hex[1], '\0'};
        out[n] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return n;
}

static void reads_partial_successes(void **state)
{
    (void)state;
    uint8_t bytes[64];
    size_t n = from_hex("0a0708031203626164", bytes); /* {rejected 3, "bad"} */
    struct send_answer answer = {.outcome = SEND_ACKNOWLEDGED};
    assert_true(send_read_partial(sl_slice(bytes, n), &answer));
    assert_true(answer.partial);
    assert_int_equal(answer.rejected, 3);
    for (size_t cut = 1; cut < n; cut++) {
        uint8_t *exact = (uint8_t *)malloc(cut); /* so that reading past it is noticed */
        memcpy(exact, bytes, cut);
        assert_false(send_read_partial(sl_slice(exact, cut), &answer));
        free(exact);
    }
    struct send_answer whole = {.outcome = SEND_ACKNOWLEDGED};
    assert_true(send_read_partial(sl_slice("\x0a\x00", 2), &whole));
    assert_true(send_read_partial(sl_slice(NULL, 0), &whole));
    assert_false(whole.partial);
}

static void reads_retry_delays(void **state)
{
    (void)state;
    uint8_t bytes[128];
    /* Status{14, "busy", RetryInfo{5 s}} */
    size_t n = from_hex("080e1204627573791a300a28747970652e676f6f676c65617069732e636f6d2f676f6f676c"
                        "652e7270632e5265747279496e666f12040a020805",
                        bytes);
    struct send_answer answer = {.outcome = SEND_REFUSED_RETRYABLE};
    send_read_retry_info(sl_slice(bytes, n), &answer);
    assert_true(answer.delayed);
    assert_int_equal(answer.delay_ns, 5000 * MS);
    for (size_t cut = 0; cut < n; cut++) {
        struct send_answer none = {.outcome = SEND_REFUSED_RETRYABLE};
        uint8_t *exact = (uint8_t *)malloc(cut + 1);
        memcpy(exact, bytes, cut);
        send_read_retry_info(sl_slice(exact, cut), &none);
        assert_false(none.delayed);
        free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cycles_through_the_requests_up_to_the_limit),
        cmocka_unit_test(sends_each_once_without_a_limit),
        cmocka_unit_test(keeps_the_rate_of_requests_and_catches_up),
        cmocka_unit_test(does_not_make_up_for_more_than_a_second),
        cmocka_unit_test(keeps_the_rate_of_items),
        cmocka_unit_test(begins_none_after_the_duration_or_a_stop),
        cmocka_unit_test(retries_refusals_after_the_time_that_was_told),
        cmocka_unit_test(never_retries_what_was_refused_for_good),
        cmocka_unit_test(reports_percentiles_within_a_hundredth),
        cmocka_unit_test(reads_partial_successes),
        cmocka_unit_test(reads_retry_delays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
