/* The file exporter after a crash: for every length that a file may have been left with, what is
 * whole stays, what is not goes, and what is not ours stops it. */
#include "tests/unit/exporter_file_support.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROOM = 4096 };

static const struct exporter kinds[] = {
    {.format = FORMAT_JSON, .append = 1},
    {.format = FORMAT_PROTO, .append = 1},
    {.format = FORMAT_JSON, .append = 1, .compression_name = {(const uint8_t *)"zstd", 4}},
    {.format = FORMAT_PROTO, .append = 1, .compression_name = {(const uint8_t *)"zstd", 4}},
};

static void every_length(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        struct fixture f;
        char whole[ROOM], after[ROOM];
        fixture_open(&f, kinds[k]);
        assert_int_equal(fixture_start(&f), SL_OK);
        for (int i = 0; i < 3; i++)
            assert_int_equal(fixture_send_spans(&f), SL_OK);
        fixture_stop(&f);
        const size_t n = fixture_read(f.path, whole, ROOM), record = n / 3;
        assert_true(n > 0 && n < ROOM && n % 3 == 0);
        for (size_t left = 0; left <= n; left++) {
            fixture_write(f.path, whole, left);
            f.h->log_used = 0;
            f.h->log[0] = '\0';
            assert_int_equal(fixture_start(&f), SL_OK);
            assert_int_equal(fixture_send_spans(&f), SL_OK);
            fixture_stop(&f);
            const size_t kept = left / record * record;
            assert_int_equal(fixture_read(f.path, after, ROOM), kept + record);
            assert_memory_equal(after, whole, kept);
            assert_memory_equal(after + kept, whole, record);
            assert_int_equal(strstr(f.h->log, "of an unfinished record") != NULL, left != kept);
        }
        /* the power went: the length is there, and zeros */
        memset(after, 0, ROOM);
        memcpy(after, whole, n);
        fixture_write(f.path, after, n + 100);
        assert_int_equal(fixture_start(&f), SL_OK);
        fixture_stop(&f);
        assert_int_equal(fixture_size(f.path), n);
        fixture_close(&f);
    }
}

static void longer_than_a_block(void **state)
{
    enum { LONG = 200000 };
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct fixture f;
        char *text = malloc(LONG + 64);
        assert_non_null(text);
        memset(text, 'x', LONG + 64);
        text[0] = '{';
        size_t whole = 3;
        if (kinds[k].format == FORMAT_PROTO) {
            /* a record of 100 bytes, then the first part of one of LONG + 100 */
            memcpy(text, "\0\0\0\x64\x0a", 5);
            whole = 104;
            memcpy(text + whole, "\0\x03\x0d\xa4\x0a", 5);
        } else {
            memcpy(text, "{}\n{", 4);
        }
        fixture_open(&f, kinds[k]);
        fixture_write(f.path, text, LONG);
        assert_int_equal(fixture_start(&f), SL_OK);
        assert_int_equal(fixture_size(f.path), whole);
        fixture_close(&f);
        free(text);
    }
}

/* Nothing is cut that was not written by this exporter in this format. */
static void not_ours(void **state)
{
    static const char *const texts[] = {"a line\nand the beginning", "{\"resourceSpans\":[",
                                        "\n\n{}x", "\0\0\0\5hello and more"};
    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
            const bool lines = k == 0;
            const size_t n = i == 3 ? 18 : strlen(texts[i]);
            struct fixture f;
            fixture_open(&f, kinds[k]);
            fixture_write(f.path, texts[i], n);
            const int32_t status = fixture_start(&f);
            if (lines && i != 0 && i != 3) {
                assert_int_equal(status, SL_OK); /* a line that was not finished */
            } else {
                assert_int_equal(status, SL_ERR_INVALID);
                assert_non_null(strstr(f.error.text, f.path));
                assert_non_null(strstr(f.error.text, "move the file away"));
                assert_int_equal(fixture_size(f.path), n);
            }
            fixture_close(&f);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length),
        cmocka_unit_test(longer_than_a_block),
        cmocka_unit_test(not_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
