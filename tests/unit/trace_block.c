/* Blocks of traces: what is encoded comes back, equal to what protobuf-c reads in the requests;
 * damaged blocks are refused. Takes --seed N. */
#include "formats/trace/trace_block.h"
#include "formats/otlp/check.h"
#include "tests/support/otlp_flat.h"
#include "tests/support/random_otlp.h"
#include "tests/support/random_traces.h"
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { LIMIT = 1 << 30 };

static uint64_t seed;

/* ---- comparing ---- */

static int compare_items(const void *left, const void *right)
{
    const struct otlp_flat_item *a = left, *b = right;
    const size_t n = a->n < b->n ? a->n : b->n;
    const int order = memcmp(a->at, b->at, n);
    return order != 0 ? order : (a->n > b->n) - (a->n < b->n);
}

/* The same spans under the same resources and scopes, in whatever order. */
static void assert_same_spans(sl_bytes a, sl_bytes b)
{
    struct otlp_flat left, right;
    assert_true(otlp_flat_init(&left, SL_TRACES, a));
    assert_true(otlp_flat_init(&right, SL_TRACES, b));
    assert_int_equal(left.n, right.n);
    if (left.n > 0) {
        qsort(left.items, left.n, sizeof *left.items, compare_items);
        qsort(right.items, right.n, sizeof *right.items, compare_items);
    }
    for (uint32_t i = 0; i < left.n; i++) {
        assert_int_equal(left.items[i].n, right.items[i].n);
        assert_memory_equal(left.items[i].at, right.items[i].at, left.items[i].n);
    }
    otlp_flat_deinit(&left);
    otlp_flat_deinit(&right);
}

static sl_writer encode(const struct trace_options *options, const sl_bytes *requests, uint32_t n)
{
    sl_error error = {.size = sizeof error};
    sl_writer block = random_otlp_writer();
    if (trace_block_encode(options, requests, n, &block, &error) != SL_OK) {
        fail_msg("%s", error.text);
    }
    return block;
}

static sl_writer decode(sl_bytes block)
{
    sl_error error = {.size = sizeof error};
    sl_writer spans = random_otlp_writer();
    if (trace_block_decode(block, LIMIT, &spans, &error) != SL_OK) {
        fail_msg("%s", error.text);
    }
    struct otlp_checked checked;
    if (otlp_check(SL_TRACES, spans.at, spans.used, NULL, &checked, &error) != SL_OK) {
        fail_msg("%s", error.text);
    }
    return spans;
}

static struct trace_block_info info_of(const sl_writer *block)
{
    sl_error error = {.size = sizeof error};
    struct trace_block_info info;
    assert_int_equal(trace_block_info(sl_written(block), &info, &error), SL_OK);
    assert_int_equal(info.bytes, block->used);
    return info;
}

static void assert_comes_back(sl_bytes request)
{
    sl_writer block = encode(&(struct trace_options){0}, &request, 1);
    sl_writer spans = decode(sl_written(&block));
    assert_same_spans(request, sl_written(&spans));
    free(block.at);
    free(spans.at);
}

/* ---- what comes back ---- */

/* Any request that the check accepts. protobuf-c 1.4 cannot merge all messages that come in parts:
 * where there are some, only the count is compared. */
static void random_requests_come_back(void **state)
{
    (void)state;
    uint32_t spans = 0;
    for (uint32_t round = 0; round < 1500; round++) {
        const uint32_t flags = random_below(&seed, RANDOM_OTLP_FLAGS);
        struct otlp_checked checked;
        sl_error error = {.size = sizeof error};
        sl_writer request = random_otlp_writer();
        random_otlp(&seed, OTLP_TRACES_DATA, flags, 1 + random_below(&seed, 6), &request);
        assert_int_equal(otlp_check(SL_TRACES, request.at, request.used, NULL, &checked, &error),
                         SL_OK);
        if (flags & RANDOM_REPEATED) {
            const sl_bytes bytes = sl_written(&request);
            sl_writer block = encode(&(struct trace_options){0}, &bytes, 1);
            sl_writer back = decode(sl_written(&block));
            assert_int_equal(info_of(&block).n_spans, checked.items);
            free(block.at);
            free(back.at);
        } else {
            assert_comes_back(sl_written(&request));
        }
        spans += checked.items;
        free(request.at);
    }
    assert_true(spans > 2000);
}

static void traces_come_back(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 120; round++) {
        sl_writer request = random_otlp_writer();
        random_traces(&seed, 1 + random_below(&seed, round % 10 ? 200 : 6000), round % 4, &request);
        assert_comes_back(sl_written(&request));
        free(request.at);
    }
}

static void several_requests_make_one_block(void **state)
{
    sl_writer all = random_otlp_writer();
    sl_bytes requests[5];
    size_t at[6] = {0};
    (void)state;
    for (uint32_t i = 0; i < 5; i++) {
        random_traces(&seed, 100, 0, &all);
        at[i + 1] = all.used;
    }
    for (uint32_t i = 0; i < 5; i++) {
        requests[i] = sl_slice(all.at + at[i], at[i + 1] - at[i]);
    }
    sl_writer block = encode(&(struct trace_options){0}, requests, 5);
    sl_writer spans = decode(sl_written(&block));
    assert_same_spans(sl_written(&all), sl_written(&spans));
    assert_int_equal(info_of(&block).otlp_bytes, all.used);
    free(all.at);
    free(block.at);
    free(spans.at);
}

static void nothing_comes_back_as_nothing(void **state)
{
    (void)state;
    sl_writer block = encode(&(struct trace_options){0}, NULL, 0);
    sl_writer spans = decode(sl_written(&block));
    assert_int_equal(spans.used, 0);
    assert_int_equal(info_of(&block).n_spans, 0);
    free(block.at);
    free(spans.at);
}

/* ---- one trace of very many spans ---- */

enum { HUGE_TRACE = 300000 };

/* The parent of span i by its index; UINT32_MAX: none. */
static void huge_trace_comes_back(uint32_t (*parent_of)(uint32_t i))
{
    sl_writer request = random_otlp_writer();
    const size_t record = sl_write_begin_sized(&request, 1, 1 << 24);
    const size_t scope = sl_write_begin_sized(&request, 2, 1 << 24);
    for (uint32_t i = 0; i < HUGE_TRACE; i++) {
        const uint64_t id = UINT64_C(0x9e3779b97f4a7c15) * (i + 1);
        const uint32_t parent = parent_of(i);
        const uint64_t parent_id = UINT64_C(0x9e3779b97f4a7c15) * (parent + 1);
        const size_t span = sl_write_begin(&request, 2);
        sl_write_bytes(&request, 1, sl_slice("0123456789abcdef", 16));
        sl_write_bytes(&request, 2, sl_slice(&id, 8));
        if (parent != UINT32_MAX) {
            sl_write_bytes(&request, 4, sl_slice(&parent_id, 8));
        }
        sl_write_fixed64(&request, 7, 1000 + i);
        sl_write_end(&request, span);
    }
    sl_write_end(&request, scope);
    sl_write_end(&request, record);
    assert_comes_back(sl_written(&request));
    free(request.at);
}

static uint32_t chain(uint32_t i)
{
    return i - 1;
}
static uint32_t star(uint32_t i)
{
    return i == 0 ? UINT32_MAX : 0;
}
static uint32_t circle(uint32_t i)
{
    return i == 0 ? HUGE_TRACE - 1 : i - 1;
}
static uint32_t pairs(uint32_t i)
{
    return i ^ 1;
}
static uint32_t roots(uint32_t i)
{
    (void)i;
    return UINT32_MAX;
}

static void huge_traces_come_back(void **state)
{
    (void)state;
    huge_trace_comes_back(chain);
    huge_trace_comes_back(star);
    huge_trace_comes_back(circle);
    huge_trace_comes_back(pairs);
    huge_trace_comes_back(roots);
}

/* ---- the head ---- */

static void write_span(sl_writer *to, uint8_t id, uint8_t parent, uint64_t start, uint64_t end,
                       uint64_t event)
{
    const uint8_t ids[8] = {id}, parents[8] = {parent};
    const size_t span = sl_write_begin(to, 2);
    sl_write_bytes(to, 1, sl_slice("0123456789abcdef", 16));
    sl_write_bytes(to, 2, sl_slice(ids, 8));
    sl_write_bytes(to, 4, sl_slice(parents, parent ? 8 : 0));
    sl_write_text(to, 5, "GET /");
    sl_write_fixed64(to, 7, start);
    sl_write_fixed64(to, 8, end);
    const size_t event_mark = sl_write_begin(to, 11);
    sl_write_fixed64(to, 1, event);
    sl_write_end(to, event_mark);
    sl_write_bytes(to, 15, sl_slice("\x18\x02", id == 2 ? 2 : 0));
    sl_write_end(to, span);
}

static sl_writer small_request(uint64_t cut)
{
    static const uint64_t times[3][3] = {{1000000500, 3000000700, 2000000900},
                                         {1500000123, 1700000456, 1600000789},
                                         {1600000001, 1600000002, 1600000003}};
    sl_writer request = random_otlp_writer();
    const size_t record = sl_write_begin(&request, 1), scope = sl_write_begin(&request, 2);
    for (uint8_t i = 0; i < 3; i++) {
        write_span(&request, (uint8_t)(i + 1), i, times[i][0] / cut * cut, times[i][1] / cut * cut,
                   times[i][2] / cut * cut);
    }
    sl_write_end(&request, scope);
    sl_write_end(&request, record);
    return request;
}

static void the_head_tells_what_is_in_it(void **state)
{
    (void)state;
    sl_writer request = small_request(1);
    const sl_bytes bytes = sl_written(&request);
    sl_writer block = encode(&(struct trace_options){0}, &bytes, 1);
    const struct trace_block_info info = info_of(&block);
    assert_int_equal(info.n_spans, 3);
    assert_int_equal(info.n_traces, 1);
    assert_int_equal(info.n_errors, 1);
    assert_int_equal(info.first_ns, 1000000500);
    assert_int_equal(info.last_ns, 3000000700);
    assert_int_equal(info.shortest_ns, 1);
    assert_int_equal(info.longest_ns, 2000000200);
    assert_int_equal(info.otlp_bytes, request.used);
    assert_int_equal(info.mode, 0);
    free(request.at);
    free(block.at);
}

/* ---- modes that drop something ---- */

static void times_are_cut_where_asked(void **state)
{
    static const struct {
        uint32_t mode;
        uint64_t unit;
    } modes[] = {{TRACE_MICROSECONDS, 1000}, {TRACE_MILLISECONDS, 1000000}};
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        sl_writer request = small_request(1), cut = small_request(modes[i].unit);
        const sl_bytes bytes = sl_written(&request);
        sl_writer block = encode(&(struct trace_options){.mode = modes[i].mode}, &bytes, 1);
        sl_writer spans = decode(sl_written(&block));
        assert_same_spans(sl_written(&cut), sl_written(&spans));
        assert_int_equal(info_of(&block).mode, modes[i].mode);
        free(request.at);
        free(cut.at);
        free(block.at);
        free(spans.at);
    }
}

static void derived_ids_keep_the_structure(void **state)
{
    (void)state;
    sl_writer request = small_request(1);
    const sl_bytes bytes = sl_written(&request);
    sl_writer block = encode(&(struct trace_options){.mode = TRACE_DERIVED_IDS}, &bytes, 1);
    sl_writer spans = decode(sl_written(&block)), again = decode(sl_written(&block));
    assert_int_equal(spans.used, again.used);
    assert_memory_equal(spans.at, again.at, spans.used); /* reproducible */
    /* each span has the one that started before it as its parent */
    uint8_t ids[3][8], parents[3][8];
    uint32_t n = 0;
    sl_bytes scope = sl_message_bytes(sl_message_bytes(sl_written(&spans), 1), 2), span;
    sl_repeated all = sl_repeated_of(scope, 2);
    while (sl_repeated_next(&all, &span)) {
        const uint64_t start = sl_message_number(span, 7);
        const uint32_t i = start < 1500000000 ? 0 : start < 1600000000 ? 1 : 2;
        const sl_bytes id = sl_message_bytes(span, 2), parent = sl_message_bytes(span, 4);
        assert_int_equal(id.n, 8);
        memcpy(ids[i], id.p, 8);
        assert_int_equal(parent.n, i == 0 ? 0 : 8);
        memcpy(parents[i], i == 0 ? id.p : parent.p, 8);
        n++;
    }
    assert_int_equal(n, 3);
    assert_memory_not_equal(ids[0], ids[1], 8);
    assert_memory_not_equal(ids[1], ids[2], 8);
    assert_memory_equal(parents[1], ids[0], 8);
    assert_memory_equal(parents[2], ids[1], 8);
    free(request.at);
    free(block.at);
    free(spans.at);
    free(again.at);
}

/* ---- damage ---- */

static int32_t try_decode(sl_bytes block, sl_error *error)
{
    /* on memory of its own, so that sanitizers see each step beyond */
    uint8_t *copy = malloc(block.n + (block.n == 0));
    (void)sl_put_slice(copy, block);
    sl_writer spans = random_otlp_writer();
    const int32_t status = trace_block_decode(sl_slice(copy, block.n), LIMIT, &spans, error);
    free(spans.at);
    free(copy);
    return status;
}

static void every_changed_byte_is_noticed(void **state)
{
    (void)state;
    sl_writer request = random_otlp_writer();
    random_traces(&seed, 60, RANDOM_TRACES_ODD, &request);
    const sl_bytes bytes = sl_written(&request);
    sl_writer block = encode(&(struct trace_options){0}, &bytes, 1);
    for (size_t i = 0; i < block.used; i++) {
        sl_error error = {.size = sizeof error};
        const uint8_t flip = (uint8_t)(1 + random_below(&seed, 255));
        block.at[i] ^= flip;
        assert_int_not_equal(try_decode(sl_written(&block), &error), SL_OK);
        assert_true(strncmp(error.text, "trace block: ", 13) == 0);
        block.at[i] ^= flip;
    }
    free(request.at);
    free(block.at);
}

static void every_cut_is_noticed(void **state)
{
    (void)state;
    sl_writer request = random_otlp_writer();
    random_traces(&seed, 60, 0, &request);
    const sl_bytes bytes = sl_written(&request);
    sl_writer block = encode(&(struct trace_options){0}, &bytes, 1);
    for (size_t n = 0; n < block.used; n++) {
        sl_error error = {.size = sizeof error};
        assert_int_not_equal(try_decode(sl_slice(block.at, n), &error), SL_OK);
    }
    free(request.at);
    free(block.at);
}

static void the_limit_holds(void **state)
{
    (void)state;
    sl_writer request = random_otlp_writer();
    random_traces(&seed, 3000, 0, &request);
    const sl_bytes bytes = sl_written(&request);
    sl_writer block = encode(&(struct trace_options){0}, &bytes, 1);
    for (uint64_t limit = 1000; limit < 8 * request.used; limit = limit * 3 / 2) {
        sl_error error = {.size = sizeof error};
        sl_writer spans = random_otlp_writer();
        const int32_t status = trace_block_decode(sl_written(&block), limit, &spans, &error);
        assert_true(status == SL_OK || status == SL_ERR_NOMEM || status == SL_ERR_TOO_LARGE);
        assert_true(status != SL_OK || limit >= spans.used);
        free(spans.at);
    }
    free(request.at);
    free(block.at);
}

static void malformed_requests_are_refused(void **state)
{
    sl_error error = {.size = sizeof error};
    sl_writer block = random_otlp_writer();
    const sl_bytes request = sl_slice("\x0a\x05\x12\x03\x12\x01\x08", 7);
    (void)state;
    assert_int_equal(trace_block_encode(&(struct trace_options){0}, &request, 1, &block, &error),
                     SL_ERR_INVALID);
    free(block.at);
}

int main(int argc, char **argv)
{
    seed = random_seed(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_requests_come_back),
        cmocka_unit_test(traces_come_back),
        cmocka_unit_test(several_requests_make_one_block),
        cmocka_unit_test(nothing_comes_back_as_nothing),
        cmocka_unit_test(huge_traces_come_back),
        cmocka_unit_test(the_head_tells_what_is_in_it),
        cmocka_unit_test(times_are_cut_where_asked),
        cmocka_unit_test(derived_ids_keep_the_structure),
        cmocka_unit_test(every_changed_byte_is_noticed),
        cmocka_unit_test(every_cut_is_noticed),
        cmocka_unit_test(the_limit_holds),
        cmocka_unit_test(malformed_requests_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
