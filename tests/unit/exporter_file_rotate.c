/* The file exporter's rotation, with the host's clock moved by the test. */
#include "tests/unit/exporter_file_support.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static const int64_t S = 1000000000, DAY = 86400 * INT64_C(1000000000);
static const int64_t NOON = INT64_C(1663131734173000000); /* 2022-09-14T05:02:14.173Z */

enum { RECORD = 300 * 1024 };

/* Three records of a MiB's third fit into a file, a fourth does not. */
static int32_t send_third(struct fixture *f, char letter)
{
    static uint8_t bytes[RECORD + 16];
    const uint32_t name = RECORD, span = name + 4, scope = span + 4, resource = scope + 4;
    uint8_t *p = bytes;
    const uint32_t lengths[] = {resource, scope, span, name};
    static const uint8_t tags[] = {0x0a, 0x12, 0x12, 0x2a};
    for (size_t i = 0; i < 4; i++) {
        *p++ = tags[i];
        *p++ = (uint8_t)(lengths[i] | 0x80);
        *p++ = (uint8_t)(lengths[i] >> 7 | 0x80);
        *p++ = (uint8_t)(lengths[i] >> 14);
    }
    memset(p, letter, RECORD);
    const sl_bytes segment = sl_slice(bytes, sizeof bytes);
    return fixture_send(f, SL_TRACES, &segment, 1, 1);
}

static void start_at(struct fixture *f, const char *name, struct exporter exporter)
{
    exporter.rotating = 1;
    exporter.rotation.max_megabytes = 1;
    fixture_open(f, exporter);
    f->h->now_ns = NOON;
    snprintf(f->path, sizeof f->path, "%s/%s", f->directory, name);
    assert_int_equal(fixture_start(f), SL_OK);
}

static void names(void **state)
{
    static const struct {
        const char *name, *list;
    } cases[] = {
        {"data.json", "data-2022-09-14T05-02-14.173.json data.json"},
        {"data", "data data-2022-09-14T05-02-14.173"},
        {".json", "-2022-09-14T05-02-14.173.json .json"},
        {"a.b.c", "a.b-2022-09-14T05-02-14.173.c a.b.c"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (uint32_t format = 0; format < 2; format++) {
            struct fixture f;
            start_at(&f, cases[i].name, (struct exporter){.format = format});
            for (int k = 0; k < 4; k++)
                assert_int_equal(send_third(&f, 'a'), SL_OK);
            assert_string_equal(fixture_list(&f), cases[i].list);
            fixture_close(&f);
        }
    }
}

static void local_time(void **state)
{
    struct fixture f;
    (void)state;
    assert_int_equal(setenv("TZ", "UTC-3", 1), 0);
    tzset();
    start_at(&f, "x", (struct exporter){.rotation.localtime = 1, .rotation.max_days = 1});
    for (int k = 0; k < 4; k++)
        assert_int_equal(send_third(&f, 'a'), SL_OK);
    assert_string_equal(fixture_list(&f), "x x-2022-09-14T08-02-14.173");
    f.h->now_ns += DAY - S; /* it is not a day old yet, in local time */
    for (int k = 0; k < 3; k++)
        assert_int_equal(send_third(&f, 'a'), SL_OK);
    assert_string_equal(fixture_list(&f), "x x-2022-09-14T08-02-14.173 x-2022-09-15T08-02-13.173");
    fixture_close(&f);
    assert_int_equal(unsetenv("TZ"), 0);
    tzset();
}

/* Records stand whole in their files, in order; none is split, whatever became of the time. */
static void whole_and_in_order(void **state)
{
    struct fixture f;
    char path[256], text[8];
    (void)state;
    start_at(&f, "x", (struct exporter){0});
    for (char c = 'a'; c < 'a' + 9; c++) /* all within one millisecond */
        assert_int_equal(send_third(&f, c), SL_OK);
    assert_string_equal(fixture_list(&f), "x x-2022-09-14T05-02-14.173 x-2022-09-14T05-02-14.174");
    size_t sizes[3], i = 0;
    char *list = strdup(fixture_list(&f));
    for (char *name = strtok(list, " "); name; name = strtok(NULL, " ")) {
        snprintf(path, sizeof path, "%s/%s", f.directory, name);
        sizes[i++] = fixture_size(path);
        assert_int_equal(fixture_read(path, text, 2), 2);
        assert_memory_equal(text, "{\"", 2);
    }
    free(list);
    assert_true(sizes[0] == sizes[1] && sizes[1] == sizes[2] && sizes[0] <= 1 << 20);
    fixture_close(&f);
}

/* What is larger than a file may be gets one of its own, and is not lost. */
static void larger_than_a_file(void **state)
{
    enum { MANY = 150000 };
    struct fixture f;
    uint8_t *bytes = malloc(MANY * 9);
    (void)state;
    assert_non_null(bytes);
    for (size_t i = 0; i < MANY; i++)
        memcpy(bytes + i * 9, two_spans, 9);
    const sl_bytes segment = sl_slice(bytes, MANY * 9);
    for (uint32_t format = 0; format < 2; format++) {
        start_at(&f, "x", (struct exporter){.format = format});
        assert_int_equal(fixture_send_spans(&f), SL_OK);
        assert_int_equal(fixture_send(&f, SL_TRACES, &segment, 1, 1), SL_OK);
        assert_true(fixture_size(f.path) > 1 << 20);
        assert_int_equal(fixture_send_spans(&f), SL_OK);
        assert_string_equal(fixture_list(&f),
                            "x x-2022-09-14T05-02-14.173 x-2022-09-14T05-02-14.174");
        fixture_close(&f);
    }
    free(bytes);
}

static void goes_on_with_the_file(void **state)
{
    struct fixture f;
    (void)state;
    start_at(&f, "x", (struct exporter){0});
    assert_int_equal(send_third(&f, 'a'), SL_OK);
    const size_t one = fixture_size(f.path);
    fixture_stop(&f);
    assert_int_equal(fixture_start(&f), SL_OK); /* though append is false, as in the Collector */
    assert_int_equal(send_third(&f, 'b'), SL_OK);
    assert_int_equal(fixture_size(f.path), 2 * one);
    fixture_close(&f);
}

static void touch(struct fixture *f, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", f->directory, name);
    fixture_write(path, "", 0);
}

static void old_ones_go(void **state)
{
    static const char *const not_mine[] = {
        "x-2022-09-14T05-02-14.173.jso",        "x-2022-09-14T05-02-14.json",
        "y-2022-09-14T05-02-14.173.json",       "x-2022-09-14T05-02-1x.173.json",
        "x-2022-09-14T05-02-14.173-sizes.json", "x-.json"};
    struct fixture f;
    (void)state;
    fixture_open(
        &f, (struct exporter){.rotating = 1,
                              .rotation = {.max_megabytes = 1, .max_backups = 2, .max_days = 3}});
    f.h->now_ns = NOON;
    snprintf(f.path, sizeof f.path, "%s/x.json", f.directory);
    touch(&f, "x-2022-09-13T00-00-00.000.json");
    touch(&f, "x-2022-09-12T00-00-00.000-size.json"); /* as newer Collectors name them */
    touch(&f, "x-2022-09-11T05-02-14.172.json");      /* 3 days and 1 ms old */
    for (size_t i = 0; i < sizeof not_mine / sizeof *not_mine; i++)
        touch(&f, not_mine[i]);
    assert_int_equal(fixture_start(&f), SL_OK);
    assert_null(strstr(fixture_list(&f), "09-11"));
    assert_non_null(strstr(fixture_list(&f), "09-12"));
    for (int k = 0; k < 4; k++)
        assert_int_equal(send_third(&f, 'a'), SL_OK);
    assert_null(strstr(fixture_list(&f), "09-12")); /* the third youngest now */
    assert_non_null(strstr(fixture_list(&f), "09-13T"));
    f.h->now_ns += 3 * DAY;
    for (int k = 0; k < 4; k++)
        assert_int_equal(send_third(&f, 'a'), SL_OK);
    assert_null(strstr(fixture_list(&f), "09-13T"));
    assert_non_null(strstr(fixture_list(&f), "x-2022-09-14T05-02-14.173.json")); /* just 3 days */
    for (size_t i = 0; i < sizeof not_mine / sizeof *not_mine; i++)
        assert_non_null(strstr(fixture_list(&f), not_mine[i]));
    fixture_close(&f);
}

static void not_through_a_link(void **state)
{
    struct fixture f;
    char target[256];
    (void)state;
    fixture_open(&f, (struct exporter){.rotating = 1});
    snprintf(target, sizeof target, "%s/elsewhere", f.directory);
    assert_int_equal(symlink(target, f.path), 0);
    assert_int_equal(fixture_start(&f), SL_ERR_IO);
    assert_non_null(strstr(f.error.text, "symbolic link: name the file itself"));
    f.exporter.rotating = 0;
    assert_int_equal(fixture_start(&f), SL_OK);
    assert_string_equal(fixture_list(&f), "elsewhere out");
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(local_time),
        cmocka_unit_test(whole_and_in_order),
        cmocka_unit_test(larger_than_a_file),
        cmocka_unit_test(goes_on_with_the_file),
        cmocka_unit_test(old_ones_go),
        cmocka_unit_test(not_through_a_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
