/* The generator's files: what is written comes back through replay, and damaged files are refused
 * with a reason. */
#include "commands/generate/output.h"
#include "commands/generate/replay.h"
#include "sluice/otlp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/sluice-generate-XXXXXX";
static char path[256];

struct heard {
    uint32_t n;
    uint32_t items;
    enum sl_signal signal;
    sl_bytes expected;
};

static enum sl_status hear(void *ctx, enum sl_signal signal, sl_bytes request, uint32_t items)
{
    struct heard *h = ctx;
    h->n++;
    h->items += items;
    h->signal = signal;
    if (h->expected.n) {
        assert_true(sl_eq(request, h->expected));
    }
    return SL_OK;
}

/* A request with `n` records, each with the fields that `fill` writes. */
static sl_bytes request_of(uint8_t *at, size_t room, int n, void (*fill)(sl_writer *))
{
    sl_writer w = sl_writer_fixed(at, room);
    size_t resource = sl_write_begin(&w, 1);
    size_t scope = sl_write_begin(&w, 2);
    for (int i = 0; i < n; i++) {
        size_t record = sl_write_begin(&w, 2);
        fill(&w);
        sl_write_end(&w, record);
    }
    sl_write_end(&w, scope);
    sl_write_end(&w, resource);
    assert_false(w.failed);
    return sl_written(&w);
}

static void fill_span(sl_writer *w)
{
    sl_write_bytes(w, 1, sl_str("0123456789abcdef"));
    sl_write_bytes(w, 2, sl_str("01234567"));
    sl_write_text(w, 5, "name");
    sl_write_fixed64(w, 7, 1);
    sl_write_fixed64(w, 8, 2);
}

static void fill_log(sl_writer *w)
{
    sl_write_int(w, 2, 9);
    sl_write_value_text(w, 5, sl_str("body"));
}

static void fill_log_bare(sl_writer *w)
{
    sl_write_value_text(w, 5, sl_str("body"));
    sl_write_bytes(w, 10, sl_str("01234567"));
}

static void fill_points(sl_writer *w, uint32_t field)
{
    sl_write_text(w, 1, "metric");
    sl_write_text(w, 2, "12345678");
    size_t data = sl_write_begin(w, field);
    for (int i = 0; i < 3; i++) {
        size_t point = sl_write_begin(w, 1);
        sl_write_fixed64(w, 3, 5);
        sl_write_end(w, point);
    }
    sl_write_end(w, data);
}

static void fill_gauge(sl_writer *w)
{
    fill_points(w, 5);
}

static void fill_sum(sl_writer *w)
{
    fill_points(w, 7);
}

static void fill_histogram(sl_writer *w)
{
    fill_points(w, 9);
}

static void test_inspect(void **state)
{
    (void)state;
    static const struct {
        void (*fill)(sl_writer *);
        enum sl_signal signal;
        uint32_t each;
    } cases[] = {{fill_span, SL_TRACES, 1},   {fill_log, SL_LOGS, 1},
                 {fill_log_bare, SL_LOGS, 1}, {fill_gauge, SL_METRICS, 3},
                 {fill_sum, SL_METRICS, 3},   {fill_histogram, SL_METRICS, 3}};
    uint8_t at[1024];
    enum sl_signal signal;
    uint32_t items;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        sl_bytes request = request_of(at, sizeof(at), 4, cases[i].fill);
        assert_int_equal(request_inspect(request, &signal, &items), SL_OK);
        assert_int_equal(signal, cases[i].signal);
        assert_int_equal(items, 4 * cases[i].each);
        for (size_t cut = 1; cut < request.n; cut++) {
            uint8_t *exact = malloc(cut); /* so that a sanitizer sees a read behind the end */
            assert_non_null(exact);
            memcpy(exact, request.p, cut);
            assert_int_equal(request_inspect(sl_slice(exact, cut), &signal, &items),
                             SL_ERR_INVALID);
            free(exact);
        }
    }
    assert_int_equal(request_inspect(sl_slice(NULL, 0), &signal, &items), SL_OK);
    assert_int_equal(items, 0);
}

static void write_file(const void *bytes, size_t n)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void test_round_trip(void **state)
{
    (void)state;
    uint8_t at[1024];
    sl_bytes request = request_of(at, sizeof(at), 5, fill_log);
    struct output *o = NULL;
    sl_error error = {.size = sizeof(error)};
    assert_int_equal(output_create(folder, NULL, OUTPUT_OTLP, &o, &error), SL_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(output_request(o, SL_LOGS, request, 5), SL_OK);
    }
    assert_int_equal(output_finish(o, &error), SL_OK);
    assert_int_equal(output_bytes(o, SL_LOGS), 3 * (4 + request.n));
    assert_null(output_path(o, SL_TRACES));
    (void)snprintf(path, sizeof(path), "%s/logs.otlp", folder);
    assert_string_equal(output_path(o, SL_LOGS), path);
    output_destroy(o);

    struct replay r;
    struct heard heard = {.expected = request};
    assert_int_equal(replay_open(&r, path, &error), SL_OK);
    assert_int_equal(replay_run(&r, path, hear, &heard, &error), SL_OK);
    replay_close(&r);
    assert_int_equal(heard.n, 3);
    assert_int_equal(heard.items, 15);
    assert_int_equal(heard.signal, SL_LOGS);
    assert_int_equal(unlink(path), 0);
}

static void test_json(void **state)
{
    (void)state;
    uint8_t at[1024];
    sl_bytes request = request_of(at, sizeof(at), 1, fill_span);
    struct output *o = NULL;
    sl_error error = {.size = sizeof(error)};
    (void)snprintf(path, sizeof(path), "%s/one.json", folder);
    assert_int_equal(output_create(NULL, path, OUTPUT_JSON, &o, &error), SL_OK);
    assert_int_equal(output_request(o, SL_TRACES, request, 1), SL_OK);
    assert_int_equal(output_request(o, SL_LOGS, request, 1),
                     SL_ERR_INVALID); /* a file has one signal */
    assert_int_equal(output_finish(o, &error), SL_OK);
    output_destroy(o);
    char line[512];
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof(line), f));
    assert_int_equal(fgetc(f), EOF);
    (void)fclose(f);
    assert_non_null(strstr(line, "\"spanId\":\"3031323334353637\""));
    assert_non_null(strstr(line, "\"startTimeUnixNano\":\"1\""));
    assert_int_equal(unlink(path), 0);
}

static void expect_refusal(const void *bytes, size_t n, const char *says)
{
    struct replay r;
    struct heard heard = {0};
    sl_error error = {.size = sizeof(error)};
    write_file(bytes, n);
    enum sl_status status = replay_open(&r, path, &error);
    if (status == SL_OK) {
        status = replay_run(&r, path, hear, &heard, &error);
    }
    assert_int_equal(status, SL_ERR_INVALID);
    assert_non_null(strstr(error.text, says));
    assert_non_null(strstr(error.text, path));
    replay_close(&r);
}

static void test_damaged_files(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof(path), "%s/damaged.otlp", folder);
    expect_refusal("", 0, "holds no requests");
    expect_refusal("\0\0", 2, "ends inside the length of request 1");
    expect_refusal("\0\0\0\x09only", 8,
                   "request 1 at byte 0 says it has 9 bytes, and the file ends after 4 of them");
    expect_refusal("\0\0\0\0\0\0\0\2\xff\xff", 10, "request 2 at byte 4 is no OTLP export request");
    expect_refusal("\x28\xb5\x2f\xfd....", 8, "is compressed: decompress it first");
    assert_int_equal(unlink(path), 0);

    struct replay r;
    sl_error error = {.size = sizeof(error)};
    assert_int_equal(replay_open(&r, path, &error), SL_ERR_IO);
    assert_non_null(strstr(error.text, "No such file"));
}

static void test_unwritable(void **state)
{
    (void)state;
    struct output *o = NULL;
    sl_error error = {.size = sizeof(error)};
    assert_int_equal(output_create("/proc/none/such", NULL, OUTPUT_OTLP, &o, &error), SL_ERR_IO);
    assert_non_null(strstr(error.text, "cannot make the folder /proc/none/such"));
    assert_int_equal(output_create(NULL, "/dev/full", OUTPUT_OTLP, &o, &error), SL_OK);
    assert_int_equal(output_request(o, SL_TRACES, sl_str("xyz"), 1), SL_OK);
    assert_int_equal(output_finish(o, &error), SL_ERR_IO);
    assert_non_null(strstr(error.text, "No space left"));
    output_destroy(o);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inspect),    cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_json),       cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_unwritable),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
