/* Log lines: both encodings, escaping, cutting, levels, sampling on a virtual clock, outputs, and
 * lines of several threads. */
#include "pipeline/telemetry/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* 2026-08-01T12:00:00Z */
#define NOON INT64_C(1785585600000000000)

struct capture {
    int64_t now;
    uint32_t lines;
    size_t n;
    char text[64 * 1024];
};

static const struct log_fields none = {NULL, 0};

static int64_t capture_clock(void *ctx)
{
    return ((struct capture *)ctx)->now;
}

static void capture_line(void *ctx, sl_bytes line)
{
    struct capture *capture = ctx;
    assert_true(line.n > 0 && line.p[line.n - 1] == '\n');
    assert_null(memchr(line.p, '\n', line.n - 1));
    capture->lines++;
    if (capture->n + line.n < sizeof capture->text) {
        memcpy(capture->text + capture->n, line.p, line.n);
        capture->n += line.n;
        capture->text[capture->n] = 0;
    }
}

static void capture_clear(struct capture *capture)
{
    capture->n = capture->lines = 0;
    capture->text[0] = 0;
}

static int setup(void **state)
{
    struct capture *capture = calloc(1, sizeof *capture);
    assert_non_null(capture);
    capture->now = NOON;
    *state = capture;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static struct log_options options_for(struct capture *capture, enum log_encoding encoding)
{
    struct log_options options;
    log_options_init(&options);
    options.encoding = encoding;
    options.sampling.enabled = false;
    options.wall_clock = capture_clock;
    options.sink = capture_line;
    options.ctx = capture;
    return options;
}

static void test_console(void **state)
{
    struct capture *capture = *state;
    struct log_options options = options_for(capture, LOG_CONSOLE);
    struct log *log = log_create(&options);
    sl_log_field component[] = {log_text("otelcol.component.id", "otlp/2")};
    sl_log_field line[] = {log_text("error", "a \"b\" \\ c"), log_text("empty", NULL)};
    capture->now = NOON + 7654321;

    log_line(log, SL_LOG_INFO, "listening on %d", 4317);
    assert_string_equal(capture->text, "2026-08-01T12:00:00.007Z\tinfo\tlistening on 4317\n");
    capture_clear(capture);

    log_write(log, SL_LOG_WARN, sl_str("m"), (struct log_fields){component, 1},
              (struct log_fields){line, 2});
    assert_string_equal(capture->text,
                        "2026-08-01T12:00:00.007Z\twarn\tm\t{\"otelcol.component.id\": \"otlp/2\", "
                        "\"error\": \"a \\\"b\\\" \\\\ c\", \"empty\": \"\"}\n");
    log_destroy(log);
}

static void test_json(void **state)
{
    struct capture *capture = *state;
    struct log_options options = options_for(capture, LOG_JSON);
    sl_log_field initial[] = {log_text("service.name", "sluice"), log_text("k", "v")};
    char name[] = "sluice";
    initial[0].value = sl_str(name);
    options.initial_fields = initial;
    options.n_initial_fields = 2;
    struct log *log = log_create(&options);
    memset(name, 'x', sizeof name - 1); /* the log has a copy */

    log_line(log, SL_LOG_ERROR, "say \"no\"\\");
    assert_string_equal(capture->text,
                        "{\"level\":\"error\",\"ts\":\"2026-08-01T12:00:00.000Z\",\"msg\":\"say "
                        "\\\"no\\\"\\\\\",\"service.name\":\"sluice\",\"k\":\"v\"}\n");
    log_destroy(log);
}

static void test_escaping(void **state)
{
    static const struct {
        const char *in, *console, *json;
    } cases[] = {
        {"two\nlines\r\tend", "two\\nlines\\r\\tend", "two\\nlines\\r\\tend"},
        {"\x1b[31mred\x7f", "\\u001b[31mred\\u007f", "\\u001b[31mred\\u007f"},
        {"\xc2\x9b"
         "31m",
         "\\u009b31m", "\\u009b31m"},
        {"gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80", "gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80",
         "gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80"},
        {"bad \xff\xc3(", "bad \xef\xbf\xbd\xef\xbf\xbd(", "bad \xef\xbf\xbd\xef\xbf\xbd("},
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd",
         "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\"\\", "\"\\", "\\\"\\\\"},
    };
    struct capture *capture = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int json = 0; json < 2; json++) {
            char expected[512];
            struct log_options options = options_for(capture, json ? LOG_JSON : LOG_CONSOLE);
            struct log *log = log_create(&options);
            log_write(log, SL_LOG_INFO, sl_str(cases[i].in), none, none);
            (void)snprintf(expected, sizeof expected,
                           json ? "{\"level\":\"info\",\"ts\":\"2026-08-01T12:00:00.000Z\","
                                  "\"msg\":\"%s\"}\n"
                                : "2026-08-01T12:00:00.000Z\tinfo\t%s\n",
                           json ? cases[i].json : cases[i].console);
            assert_string_equal(capture->text, expected);
            capture_clear(capture);
            log_destroy(log);
        }
    }
}

/* Whatever the length and the place of what is too long, the line ends as its encoding demands. */
static void test_cut(void **state)
{
    struct capture *capture = *state;
    char *big = malloc(LOG_LINE_MAX * 2);
    for (int json = 0; json < 2; json++) {
        struct log_options options = options_for(capture, json ? LOG_JSON : LOG_CONSOLE);
        struct log *log = log_create(&options);
        const char *tail = json ? "\"truncated\":\"true\"}\n" : "\"truncated\": \"true\"}\n";
        for (size_t n = LOG_LINE_MAX - 200; n < LOG_LINE_MAX - 40; n++) {
            memset(big, n % 2 ? '\n' : 'x', n);
            sl_log_field fields[] = {
                {"before", sl_str("1")}, {"big", sl_slice(big, n)}, {"after", sl_str("2")}};
            for (int place = 0; place < 2; place++) {
                if (place)
                    log_write(log, SL_LOG_INFO, sl_slice(big, n), none,
                              (struct log_fields){fields, 1});
                else
                    log_write(log, SL_LOG_INFO, sl_str("m"), none, (struct log_fields){fields, 3});
                bool cut = strstr(capture->text, "truncated") != NULL;
                assert_true(capture->n <= LOG_LINE_MAX);
                assert_int_equal(cut, strstr(capture->text, place ? "before" : "after") == NULL);
                if (cut)
                    assert_string_equal(capture->text + capture->n - strlen(tail), tail);
                size_t quotes = 0;
                for (const char *p = capture->text; *p; p++)
                    quotes += *p == '"';
                assert_int_equal(quotes % 2, 0);
                capture_clear(capture);
            }
        }
        log_destroy(log);
    }
    free(big);
}

static void test_levels(void **state)
{
    struct capture *capture = *state;
    struct log_options options = options_for(capture, LOG_CONSOLE);
    struct log *log;
    int32_t level = 99;
    static const char *const good[] = {"debug", "INFO", "Warn", "error", "dpanic", "fatal"};
    static const int32_t levels[] = {SL_LOG_DEBUG, SL_LOG_INFO,  SL_LOG_WARN,
                                     SL_LOG_ERROR, SL_LOG_ERROR, SL_LOG_ERROR};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(log_level_parse(sl_str(good[i]), &level), SL_OK);
        assert_int_equal(level, levels[i]);
    }
    assert_int_equal(log_level_parse(sl_str("infos"), &level), SL_ERR_INVALID);
    assert_int_equal(log_level_parse(sl_str(""), &level), SL_ERR_INVALID);

    options.level = SL_LOG_WARN;
    log = log_create(&options);
    assert_false(log_enabled(log, SL_LOG_INFO));
    assert_true(log_enabled(log, SL_LOG_WARN));
    log_line(log, SL_LOG_INFO, "no");
    assert_int_equal(capture->lines, 0);
    options.level = SL_LOG_DEBUG;
    options.encoding = LOG_JSON;
    assert_int_equal(log_configure(log, &options), SL_OK);
    log_line(log, SL_LOG_DEBUG, "yes");
    assert_non_null(strstr(capture->text, "\"level\":\"debug\""));
    options.n_outputs = LOG_OUTPUTS_MAX + 1;
    assert_int_equal(log_configure(log, &options), SL_ERR_TOO_LARGE);
    log_destroy(log);

    assert_false(log_enabled(NULL, SL_LOG_ERROR));
    log_line(NULL, SL_LOG_ERROR, "nowhere");
}

static void test_sampling(void **state)
{
    struct capture *capture = *state;
    struct log_options options = options_for(capture, LOG_CONSOLE);
    options.sampling = (struct log_sampling){true, INT64_C(10000000000), 10, 100};
    struct log *log = log_create(&options);
    for (int i = 0; i < 310; i++)
        log_line(log, SL_LOG_INFO, "same");
    assert_int_equal(capture->lines, 10 + 3);
    assert_int_equal(log_sampled_out(log), 297);
    log_line(log, SL_LOG_INFO, "other");
    log_line(log, SL_LOG_WARN, "same");
    assert_int_equal(capture->lines, 15);

    capture->now += INT64_C(10000000000); /* the next tick */
    for (int i = 0; i < 20; i++)
        log_line(log, SL_LOG_INFO, "same");
    assert_int_equal(capture->lines, 25);

    capture->now -= INT64_C(86400000000000); /* the clock is set back by a day */
    log_line(log, SL_LOG_INFO, "same");
    assert_int_equal(capture->lines, 26);

    options.sampling.thereafter = 0;
    assert_int_equal(log_configure(log, &options), SL_OK);
    for (int i = 0; i < 1000; i++)
        log_line(log, SL_LOG_INFO, "same");
    assert_int_equal(capture->lines, 36);
    log_destroy(log);
}

static void test_outputs(void **state)
{
    char path[] = "/tmp/sluice-log-XXXXXX", text[256] = "", name[64];
    bool owned;
    int fd;
    sl_error error = {.size = sizeof error};
    (void)state;
    assert_int_equal(log_output_open("stderr", &fd, &owned, &error), SL_OK);
    assert_int_equal(fd, 2);
    assert_false(owned);
    assert_int_equal(log_output_open("stdout", &fd, &owned, &error), SL_OK);
    assert_int_equal(fd, 1);
    assert_int_equal(log_output_open("http://x", &fd, &owned, &error), SL_ERR_UNSUPPORTED);
    assert_int_equal(log_output_open("/nowhere/at/all", &fd, &owned, &error), SL_ERR_IO);
    assert_string_equal(error.text, "log output \"/nowhere/at/all\": cannot open it: "
                                    "No such file or directory");

    fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    (void)snprintf(name, sizeof name, "file://%s", path);
    assert_int_equal(log_output_open(name, &fd, &owned, &error), SL_OK);
    assert_true(owned);

    struct log_options options;
    log_options_init(&options);
    assert_int_equal(options.outputs[0], 2);
    int closed = open("/dev/null", O_RDONLY); /* takes no line */
    options.outputs[0] = closed;
    options.outputs[1] = fd;
    options.n_outputs = 2;
    struct log *log = log_create(&options);
    log_line(log, SL_LOG_INFO, "to a file");
    log_line(log, SL_LOG_INFO, "again");
    assert_int_equal(log_lost(log), 2);
    log_destroy(log);
    close(fd);
    close(closed);

    fd = open(path, O_RDONLY);
    assert_true(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    unlink(path);
    assert_string_equal(strchr(text, '\t'), strstr(text, "\tinfo\tto a file\n"));
    assert_non_null(strstr(text, "Z\tinfo\tagain\n"));
}

enum { THREADS = 4, LINES = 500 };

static void *write_lines(void *arg)
{
    for (int i = 0; i < LINES; i++)
        log_line(arg, SL_LOG_INFO, "line %d of a thread", i);
    return NULL;
}

/* Each line reaches a pipe whole. */
static void test_threads(void **state)
{
    int fds[2];
    pthread_t threads[THREADS];
    char text[8192];
    size_t lines = 0, kept = 0;
    ssize_t n;
    (void)state;
    assert_int_equal(pipe(fds), 0);
    struct log_options options;
    log_options_init(&options);
    options.sampling.enabled = false;
    options.outputs[0] = fds[1];
    struct log *log = log_create(&options);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, log), 0);
    while (lines < THREADS * LINES && (n = read(fds[0], text + kept, sizeof text - kept)) > 0) {
        char *at = text, *end;
        kept += (size_t)n;
        while ((end = memchr(at, '\n', kept - (size_t)(at - text))) != NULL) {
            int number = -1, length = 0;
            *end = 0;
            assert_int_equal(sscanf(at + strlen("2026-08-01T12:00:00.000Z"),
                                    "\tinfo\tline %d of a thread%n", &number, &length),
                             1);
            assert_int_equal((size_t)length + 24, (size_t)(end - at));
            lines++;
            at = end + 1;
        }
        kept -= (size_t)(at - text);
        memmove(text, at, kept);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(lines, THREADS * LINES);
    log_destroy(log);
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_console, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json, setup, teardown),
        cmocka_unit_test_setup_teardown(test_escaping, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_levels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sampling, setup, teardown),
        cmocka_unit_test(test_outputs),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
